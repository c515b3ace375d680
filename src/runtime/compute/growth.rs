//! The steps that an output brings: read by whoever reads files, refused as a whole.

use crate::model::completion::{Failure, FailureClass};
use crate::model::effect::AttemptOrder;
use crate::model::growth::NewStep;
use serde_json::Value;
use std::sync::Arc;

/// Reads the steps of an output, by the rules of the step that expands and of its workflow; an error says what is wrong
/// with them.
pub type ReadSteps = fn(&Value, &AttemptOrder) -> Result<Vec<NewStep>, String>;

/// What an output brings; `None`: the step does not expand.
pub(super) fn brought(
    read: ReadSteps,
    order: &AttemptOrder,
    output: &Value,
) -> Result<Option<Arc<Vec<NewStep>>>, Failure> {
    if order.undo || order.spec().expand.is_none() {
        return Ok(None);
    }
    let malformed = |why: String| {
        Failure::new(FailureClass::MalformedOutput, format!("the steps of the output cannot join the run: {why}"))
    };
    read(output, order).map(|steps| Some(Arc::new(steps))).map_err(malformed)
}
