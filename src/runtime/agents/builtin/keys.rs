//! What the elements of a list have somewhere: by a path at once, by a filter in one request for all of them.

use super::args::{of_filter, permanent};
use crate::model::completion::Failure;
use crate::model::expression::{Expression, follow};
use crate::runtime::evaluate::{Around, EvaluationError, Evaluator};
use serde_json::Value;

/// For each element what the expression gives for it; a path that leads nowhere gives null.
///
/// # Errors
/// What is wrong with the filter, or with which element.
pub(super) async fn of(
    evaluator: &Evaluator,
    around: &Around,
    by: &Expression,
    list: &[Value],
    place: &str,
) -> Result<Vec<Value>, Failure> {
    let place = |at: usize| format!("`{place}` of element {at}");
    let failed = |at: usize, why: String| of_filter(&EvaluationError::Failed(why), &place(at), by);
    match by {
        Expression::Path(path) => Ok(list.iter().map(|value| path.get(value).cloned().unwrap_or_default()).collect()),
        Expression::Filter(filter) => match filter.path() {
            Some(path) => {
                let keys = list.iter().enumerate();
                keys.map(|(at, value)| follow(path, value).cloned().map_err(|why| failed(at, why))).collect()
            }
            None => {
                // A line of its own: the filter may end with a comment.
                let all = format!("[.[] | [\n{}\n]]", filter.text());
                let whole = Value::Array(list.to_vec());
                let found = evaluator.ask(&all, around.scope(&whole)).await;
                let found = found.map_err(|error| of_filter(&error, "every element's key", by))?;
                let Value::Array(keys) = found else { return Err(permanent("the keys are no list".to_owned())) };
                keys.into_iter()
                    .enumerate()
                    .map(|(at, key)| single(key).ok_or_else(|| failed(at, MANY.to_owned())))
                    .collect()
            }
        },
        Expression::Template(_) => {
            let mut keys = Vec::with_capacity(list.len());
            for (at, value) in list.iter().enumerate() {
                let key = evaluator.compute(by, around.scope(value)).await;
                keys.push(key.map_err(|error| of_filter(&error, &place(at), by))?.unwrap_or_default());
            }
            Ok(keys)
        }
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
