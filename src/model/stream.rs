//! How the items of a stream go through a workflow.

use serde::{Deserialize, Serialize};

/// The most items that a workflow may let be under way at once.
pub const IN_FLIGHT_MAX: u32 = 1_000;
/// How many may be where the file does not say.
const IN_FLIGHT: u32 = 8;

/// What a workflow declares by `stream`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Streaming {
    /// The most items under way at once, `1..=`[`IN_FLIGHT_MAX`].
    pub max_in_flight: u32,
    /// Whether results come in the order of the items.
    pub ordered: bool,
}

impl Default for Streaming {
    fn default() -> Self {
        Self { max_in_flight: IN_FLIGHT, ordered: true }
    }
}
