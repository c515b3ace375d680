//! Routing: a step looks at its input and is done by a path of templates.

use super::expression::Expression;
use super::id::Name;
use serde::{Deserialize, Serialize};

/// One way that a routing step may go: the first that fits is taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// When it fits.
    pub when: When,
    /// Its templates, in order; at least one.
    pub path: Vec<Name>,
}

/// When a route fits an input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// A filter over the input gives neither `null` nor `false`.
    Filter(Expression),
    /// There is much of it: text, or its JSON, of more than [`LARGE_CHARS`] characters.
    LargeData,
    /// It is an object with more than one member that is no text, or text that reads as JSON.
    StructuredData,
    /// It says that it goes on: a member `stream` that is `true`, or a list of more than [`STREAMING_ELEMENTS`].
    StreamingData,
}

/// Text of more characters is cut into chunks.
pub const LARGE_CHARS: usize = 1_000;
/// A list of more elements counts as a stream.
pub const STREAMING_ELEMENTS: usize = 100;

/// What came of looking at an input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Routed {
    /// What the input looks like, in a word that inputs of the same kind share: decisions are kept by it.
    pub shape: String,
    /// Paths that fit equally well, each not empty; the one that has been quickest so far is taken.
    pub paths: Vec<Vec<Name>>,
    /// Why these, for people.
    pub reason: String,
}

/// What a routing step decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// What the input looked like.
    pub shape: String,
    /// The templates, in order.
    pub path: Vec<Name>,
    /// Why, for people.
    pub reason: String,
    /// It had been decided for an input like this before.
    #[serde(default)]
    pub cached: bool,
}
