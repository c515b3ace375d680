//! What an output has to be: its shape, what holds for it, how good it is.

use super::expression::Expression;
use super::id::Name;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What a step expects of its output.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Expect {
    /// A JSON Schema without remote references.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<Value>,
    /// Filters over the output, each of which has to give `true`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub assert: Vec<Expression>,
    /// How good it has to be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quality: Option<Quality>,
    /// What follows where it is not.
    pub on_fail: OnFail,
}

/// Thresholds for scores.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Quality {
    /// What kind of work it is; the thresholds of a known one hold where none is declared.
    pub domain: Name,
    /// The least that each score has to be, in `0.0..=1.0`.
    pub thresholds: IndexMap<Name, f64>,
}

/// What follows from an output that is not what is expected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnFail {
    /// The attempt has failed, and the step's own retries follow.
    #[default]
    Retry,
    /// The attempt has failed, and no retry follows.
    Fail,
    /// It is said, and the output stands.
    Warn,
}

/// The score that is measured here: the share of what the schema asks for that is there.
pub const COMPLETENESS: &str = "completeness";

/// The least scores of the known domains, where a file declares none: name, completeness, accuracy.
pub const DOMAINS: [(&str, f64, f64); 4] =
    [("generic", 0.8, 0.8), ("analytical", 0.9, 0.85), ("creative", 0.7, 0.6), ("technical", 0.95, 0.9)];

/// What came of looking at an output.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    /// What kind of work it is.
    pub domain: Name,
    /// Each score, in `0.0..=1.0`.
    pub scores: IndexMap<Name, f64>,
    /// What is not as expected, in words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<String>,
}
