//! Where a step's payload comes from, and where its output goes.

use super::expression::Expression;
use super::path::Path;
use serde::{Deserialize, Serialize};

/// Where a payload key comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputMapping {
    /// The key of the payload.
    pub key: String,
    /// Where it is read: a place in the run's data, or a filter over it.
    pub source: Expression,
    /// Whether a missing value is an error instead of a warning.
    pub required: bool,
}

/// Where a field of the output goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputMapping {
    /// The field of the output object. An output that is no object goes whole to the path.
    pub field: String,
    /// Where in the run's data it is written.
    pub path: Path,
}
