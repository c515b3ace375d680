//! Values that have to be computed before a step can go on: asked of the outside, because filters are programs.

use super::id::{Name, RunId, StepId};
use super::route::Routed;
use super::workflow::Workflow;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;

/// Something to be computed. Its [`Computed`] comes back exactly once.
#[derive(Clone, Debug)]
pub struct Computation {
    /// The run.
    pub run: RunId,
    /// The run's name.
    pub run_name: Name,
    /// The run's seed.
    pub seed: u64,
    /// What for: a step's input, or, without a step, the run's result.
    pub step: Option<StepId>,
    /// Counts what was asked for it: an older answer is dropped.
    pub ticket: u32,
    /// The workflow as it is now.
    pub workflow: Arc<Workflow>,
    /// The run's data.
    pub data: Arc<Value>,
    /// The item of a `for_each`, and its number.
    pub item: Option<(Arc<Value>, u32)>,
    /// What steps returned, where a filter looks at that; else empty.
    pub outputs: Vec<(Name, Arc<Value>)>,
    /// What an aggregate brings together: each value's name, and the value if there is one.
    pub sources: Vec<(Name, Option<Arc<Value>>)>,
    /// Which parts are asked for.
    pub parts: Parts,
}

/// Which parts of a step are computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Parts {
    /// Its condition: where that is false, nothing else is computed.
    pub condition: bool,
    /// The list of its `for_each`, and nothing behind it.
    pub items: bool,
    /// The result of the workflow that it uses, of which everything has ended.
    pub result: bool,
}

/// What came of a computation.
#[derive(Clone, Debug, PartialEq)]
pub struct Computed {
    /// The run.
    pub run: RunId,
    /// The step; `None`: the run's result.
    pub step: Option<StepId>,
    /// Which question it answers.
    pub ticket: u32,
    /// What was found.
    pub found: Result<Found, String>,
}

/// What was found.
#[derive(Clone, Debug, PartialEq)]
pub enum Found {
    /// The condition is false.
    Refused,
    /// The payload.
    Input(Prepared),
    /// The elements that items are made of: always a list, cut into chunks already.
    Items(Arc<Value>),
    /// The run's result.
    Result(Arc<Value>),
    /// The payload of a routing step, and where it goes.
    Routed(Arc<Value>, Routed),
}

/// A step's payload, computed once and the same for every attempt.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Prepared {
    /// `with`, and the mapped input over it: always an object.
    pub input: Arc<Value>,
    /// Input keys left out because their paths led nowhere.
    pub missing: Vec<String>,
    /// What else was computed, if anything.
    pub process: Option<Arc<ProcessValues>>,
}

/// Computed values of a process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessValues {
    /// Its program and arguments, where one of them was computed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub argv: Option<Vec<String>>,
    /// Variables that were computed, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<(String, String)>,
}
