//! Values with filters in their texts, at any depth.

use crate::model::expression::Expression;
use crate::model::path::{Part, Path};
use crate::runtime::agents::builtin::text_of;
use crate::runtime::evaluate::{Around, EvaluationError, Evaluator};
use serde_json::Value;
use std::sync::Arc;

/// Texts of a value that hold filters, and where they stand.
pub(super) type Templates = Vec<(Path, Expression)>;

/// Finds them.
///
/// # Errors
/// If what is between `${{` and `}}` cannot be taken apart; `place` is what the value is called.
pub(super) fn find(value: &Value, place: &str) -> Result<Templates, String> {
    let mut found = Vec::new();
    walk(value, &mut Vec::new(), &mut |path, text| {
        let read = Expression::of_text(text);
        let read = read.map_err(|fault| format!("`{}`: {}", called(place, &Path(path.to_vec())), fault.message))?;
        found.extend(read.map(|expression| (Path(path.to_vec()), expression)));
        Ok::<_, String>(())
    })?;
    Ok(found)
}

/// Whether there is any: what cannot be taken apart counts as well.
pub(super) fn any(value: &Value) -> bool {
    walk(value, &mut Vec::new(), &mut |_, text| match Expression::of_text(text) {
        Ok(None) => Ok(()),
        Ok(Some(_)) | Err(_) => Err(()),
    })
    .is_err()
}

/// Puts what is computed in place of the texts.
///
/// # Errors
/// The first failure, with its place and the filter.
pub(super) async fn put(
    evaluator: &Evaluator,
    around: &Around,
    input: &Arc<Value>,
    value: &mut Value,
    templates: &Templates,
    place: &str,
) -> Result<(), EvaluationFault> {
    for (path, expression) in templates {
        let computed = evaluator.find(expression, around, input).await;
        let computed = computed.map_err(|error| EvaluationFault::new(&called(place, path), error, expression))?;
        path.set(value, computed.unwrap_or_default());
    }
    Ok(())
}

/// What is wrong with a filter, in words, and what it was.
pub(super) struct EvaluationFault {
    pub(super) message: String,
    pub(super) error: EvaluationError,
}

impl EvaluationFault {
    pub(super) fn new(place: &str, error: EvaluationError, expression: &Expression) -> Self {
        Self { message: format!("`{place}`: {error} (the filter is `{}`)", text_of(expression)), error }
    }
}

/// `with` and `a.b` are `with.a.b`, `with` and `[0]` are `with[0]`.
fn called(place: &str, path: &Path) -> String {
    match path.0.first() {
        None => place.to_owned(),
        Some(Part::Index(_)) => format!("{place}{path}"),
        Some(Part::Key(_)) => format!("{place}.{path}"),
    }
}

/// Shows every text of a value with its place.
fn walk<E>(
    value: &Value,
    path: &mut Vec<Part>,
    show: &mut impl FnMut(&[Part], &str) -> Result<(), E>,
) -> Result<(), E> {
    let mut inside = |part: Part, value: &Value| {
        // Values without anything inside are most of them.
        if matches!(value, Value::String(_) | Value::Array(_) | Value::Object(_)) {
            path.push(part);
            walk(value, path, show)?;
            path.pop();
        }
        Ok(())
    };
    match value {
        Value::String(text) => show(path, text),
        Value::Array(list) => list.iter().enumerate().try_for_each(|(at, value)| inside(Part::Index(at), value)),
        Value::Object(members) => members.iter().try_for_each(|(key, value)| inside(Part::Key(key.clone()), value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn filters_are_found_at_any_depth_and_named_by_their_place() {
        let value = json!({"a": ["x", {"odd key": "${{ .n }}"}], "b": "Dear ${{ .name }}", "c": 1});
        let places: Vec<String> = find(&value, "with").unwrap().iter().map(|(path, _)| called("with", path)).collect();
        assert_eq!(places, ["with.a[1].\"odd key\"", "with.b"]);
        assert!(any(&value) && !any(&json!({"a": ["x", {"$": "}}"}]})));
        assert_eq!(called("output", &Path(Vec::new())), "output");
        let broken = find(&json!([["${{ .a"]]), "output").unwrap_err();
        assert!(broken.starts_with("`output[0][0]`: `${{` is never closed"), "{broken}");
        assert!(any(&json!(["${{ .a"])), "it is to be told");
    }
}
