//! Why an attempt is ended from outside, and what a person decided about its step.

use super::id::AgentId;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;

/// Why an attempt is being ended from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndingWhy {
    /// It took longer than its timeout.
    Timeout,
    /// It gave no output for longer than its idle timeout.
    Idle,
    /// Its step or run is cancelled.
    Cancel,
    /// The run's deadline passed.
    Deadline,
    /// A fault struck its agent.
    Fault,
    /// The run is saved and left: the step is done again when the run goes on.
    Park,
    /// A person has decided otherwise about the step: see [`TakeOver`].
    TakenOver,
}

/// What a person decided about a step; it holds as soon as the attempt under way has ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TakeOver {
    /// It is left out.
    Skip,
    /// This is its output.
    Complete(Arc<Value>),
    /// Another agent does it: this one, or any but the last.
    Reassign(Option<AgentId>),
}
