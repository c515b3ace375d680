//! jq filters and JSON Schemas, computed outside upbeat's own process.
//!
//! ```text
//!   Evaluator ──pipe──▶ upbeat __eval      one request a line: filter, variables, input
//!             ◀──pipe──                    one answer a line: value or error
//! ```
//!
//! A filter is a program of whoever wrote the file. Inside a process it can be neither stopped nor kept from using up the
//! stack or the memory, so it runs in a child that may be killed at any moment: 1 s for an answer, 256 MB, no
//! environment, no files, no terminal. The child is started when the first filter has to be computed, and kept. What
//! kills it fails; what waited behind goes to the next child.
//!
//! Schemas, with their patterns and references, are such programs too, and go the same way.
//!
//! `compile` is the language (which functions there are, and what is wrong with a filter), `answer` turns values into JSON,
//! [`child`] is the process and `limits` what it may use, [`Evaluator`] is upbeat's side, `live` its hold on one child.

mod answer;
mod around;
pub mod child;
mod compile;
mod limits;
mod live;
mod pool;
mod protocol;
mod schema;

pub use around::{Around, run_value};
pub use compile::{FILTER_BYTES_MAX, VARIABLES, check};
pub use pool::{EvaluationError, Evaluator, Scope};

use std::time::Duration;

/// The hidden word that makes upbeat an evaluator.
pub const COMMAND: &str = "__eval";

/// How long one filter may take.
const TIME_MAX: Duration = Duration::from_secs(1);
/// How much memory the filters of one child may need, in bytes.
const MEMORY_MAX: u64 = 256 << 20;
/// The stack that a filter is computed on, in bytes; it is used only as far as it is needed.
const STACK: usize = 64 << 20;
/// The longest answer, in bytes of JSON.
const ANSWER_MAX: usize = 16 << 20;
/// The longest request, in bytes of JSON: one that fits leaves a child room to compute something.
const REQUEST_MAX: usize = 64 << 20;
