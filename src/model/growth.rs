//! How a run's graph grows while it runs: items of a list, steps that a step's output brings, edits by people.

use super::expression::Expression;
use super::id::{Name, StepId};
use super::policy::Success;
use super::step::{Need, NeedOn, Step};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;

/// A step that is done once for every element of a list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ForEach {
    /// The list.
    pub items: Expression,
    /// The most items at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_parallel: Option<u32>,
    /// Elements per item; an item is a list then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chunk: Option<u32>,
    /// What of it has to succeed.
    pub success: Success,
}

/// A step whose output brings further steps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expand {
    /// The capabilities they may ask for; `None`: all of the file's agents.
    pub allow: Option<Vec<Name>>,
    /// The most steps that one output may bring.
    pub max: u32,
}

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

/// The name of a step of a part.
#[must_use]
pub fn part_name(step: &str, own: &str) -> Name {
    format!("{step}/{own}").into()
}

/// The name of an item.
#[must_use]
pub fn item_name(step: &str, index: usize) -> Name {
    format!("{step}[{index}]").into()
}

/// The elements that items are made of: those of the list, or so many at a time as lists of their own.
///
/// # Errors
/// If it is no list, or gives more than `most` items.
pub fn cut(list: &Value, chunk: Option<u32>, most: usize) -> Result<Value, String> {
    let Value::Array(elements) = list else {
        return Err(format!("`for_each` needs a list, found {}", kind(list)));
    };
    let size = chunk.map_or(1, |chunk| chunk.max(1) as usize);
    let count = elements.len().div_ceil(size);
    if count > most {
        return Err(format!("`for_each` makes at most {most} items, this list gives {count}; `chunk` makes fewer"));
    }
    Ok(match chunk {
        None => list.clone(),
        Some(_) => Value::Array(elements.chunks(size).map(|part| Value::Array(part.to_vec())).collect()),
    })
}

/// What a value is, in a word.
#[must_use]
pub const fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
