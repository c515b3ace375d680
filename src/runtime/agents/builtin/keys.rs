//! What the elements of a list have somewhere: by a path at once, by a filter in one request for all of them.

use super::args::{of_filter, permanent};
use crate::model::completion::Failure;
use crate::model::expression::{Expression, follow};
use crate::runtime::evaluate::{Around, EvaluationError, Evaluator};
use serde_json::Value;
use std::sync::Arc;

/// For each element what the expression gives for it; a path that leads nowhere gives null.
///
/// # Errors
/// What is wrong with the filter, or with which element.
pub(super) async fn of(
    evaluator: &Evaluator,
    around: &Around,
    by: &Expression,
    list: &Arc<Value>,
    place: &str,
) -> Result<Vec<Value>, Failure> {
    let elements = || list.as_array().into_iter().flatten();
    let place = |at: usize| format!("`{place}` of element {at}");
    let failed = |at: usize, why: String| of_filter(&EvaluationError::Failed(why), &place(at), by);
    match by {
        Expression::Path(path) => Ok(elements().map(|value| path.get(value).cloned().unwrap_or_default()).collect()),
        Expression::Filter(filter) => match filter.path() {
            Some(path) => {
                let keys = elements().enumerate();
                keys.map(|(at, value)| follow(path, value).cloned().map_err(|why| failed(at, why))).collect()
            }
            None => {
                // A line of its own: the filter may end with a comment.
                let all = format!("[.[] | [\n{}\n]]", filter.text());
                let all = Expression::of_source(&all).map_err(|fault| permanent(fault.message))?;
                let found = evaluator.find(&all, around, list).await;
                let keys = found.map_err(|error| of_filter(&error, "an element's key", by))?.unwrap_or_default();
                let Value::Array(keys) = keys else { return Err(permanent("the keys are no list".to_owned())) };
                let keys = keys.into_iter().enumerate();
                keys.map(|(at, key)| single(key).ok_or_else(|| failed(at, MANY.to_owned()))).collect()
            }
        },
        Expression::Template(_) => Err(permanent(format!("{} is a text, a path or a filter is expected", place(0)))),
    }
}

/// Why a filter has no key.
const MANY: &str = "the filter gives more than one value";

/// The value of a filter that gave these values: none is null.
fn single(values: Value) -> Option<Value> {
    match values {
        Value::Array(mut values) if values.len() <= 1 => Some(values.pop().unwrap_or_default()),
        _ => None,
    }
}
