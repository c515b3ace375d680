//! How a run's graph grows while it runs: items of a list, steps that a step's output brings, edits by people.

use super::id::{Name, StepId};
pub use super::parts::{Expand, ForEach, cut, item_name, kind, part_name};
use super::step::{Need, NeedOn, Step};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;

/// A step on its way into a run: what it needs is still said by name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NewStep {
    /// The step, its `needs` empty.
    pub step: Step,
    /// What has to end first: names of steps of the run, or of others that come with it.
    pub needs: Vec<(Name, NeedOn)>,
}

/// What joins a run's graph.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Addition {
    /// One item of a `for_each` step per element of this list.
    Items(Arc<Value>),
    /// Steps, their needs by number: those of the run, then their own from there on.
    Steps(Arc<Vec<Step>>),
    /// Steps that are done in place of the one that brings them, which waits for them.
    Part {
        /// The steps, their needs by number.
        steps: Arc<Vec<Step>>,
        /// The data that they read and write; `None`: that of the step which brings them.
        data: Option<Arc<Value>>,
    },
}

/// A change of a run's graph that a person asks for. All of it is done, or nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Edit {
    /// Steps that join it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub add: Vec<NewStep>,
    /// Pending steps that leave it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub drop: Vec<StepId>,
    /// Pending steps that need others than before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rewire: Vec<(StepId, Vec<Need>)>,
}

impl Addition {
    /// How many steps join.
    #[must_use]
    pub fn count(&self) -> usize {
        match self {
            Self::Items(list) => list.as_array().map_or(0, Vec::len),
            Self::Steps(steps) | Self::Part { steps, .. } => steps.len(),
        }
    }
}
