//! What comes back from an agent: the outcome of one attempt.

pub use super::failure::{Failure, FailureClass};
use super::growth::NewStep;
use super::id::{RunId, StepId};
use super::quality::Scores;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;

/// What an attempt used, as far as it could be measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Usage {
    /// User and system time of the attempt's processes, in seconds.
    pub cpu_s: f64,
    /// The largest resident set seen, in bytes.
    pub peak_rss_bytes: u64,
}

/// Whether everything an attempt started is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndProof {
    /// Nothing of it is left.
    Proved,
    /// Some descendants could not be ended (another user's processes): this many were left.
    Unconfirmed {
        /// How many.
        left: u32,
    },
}

/// How an attempt ended, as the runtime saw it.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// The agent answered.
    Succeeded {
        /// Its output.
        output: Arc<Value>,
        /// How good it is, where the step expects something.
        scores: Option<Arc<Scores>>,
        /// The steps that it brings, where the step expands.
        brings: Option<Arc<Vec<NewStep>>>,
    },
    /// The agent failed.
    Failed(Failure),
    /// It was ended because the engine asked for it. The engine knows why.
    Stopped,
}

impl Outcome {
    /// An answer that nothing more is known of.
    #[must_use]
    pub const fn succeeded(output: Arc<Value>) -> Self {
        Self::Succeeded { output, scores: None, brings: None }
    }
}

/// The end of one attempt. `attempt` is the fence: an answer of an older attempt is recorded and dropped.
#[derive(Clone, Debug, PartialEq)]
pub struct Completion {
    /// The run.
    pub run: RunId,
    /// The step.
    pub step: StepId,
    /// The attempt, from 1.
    pub attempt: u32,
    /// How it ended.
    pub outcome: Outcome,
    /// What it used, if that was measured.
    pub usage: Option<Usage>,
    /// Whether everything it started is gone.
    pub proof: EndProof,
    /// The agent itself cannot be used any more (it cannot be started): it is broken, with this reason.
    pub agent_lost: Option<String>,
}
