//! Computing for those who hold their values shared: what is large is written for the child on another thread.

use super::compile::VARIABLES;
use super::pool::{EvaluationError, Evaluator, Scope, no_json};
use super::protocol;
use crate::model::expression::{Expression, Filter, Piece, fill, follow};
use crate::runtime::apart::apart;
use serde_json::{Value, json};
use std::sync::Arc;

/// Values of more than about so many bytes of JSON are large: to write fewer is done sooner than handed over.
const LARGE: usize = 64 * 1024;

/// What filters see beside their input.
#[derive(Clone, Debug, Default)]
pub struct Around {
    item: Arc<Value>,
    index: Value,
    outputs: Arc<Value>,
    run: Value,
}

impl Around {
    /// The variables of an item (or none), where nothing of `$outputs` is known.
    #[must_use]
    pub fn new(item: Option<&(Arc<Value>, u32)>, run: Value) -> Self {
        let (item, index) = item.map_or_else(Default::default, |(item, index)| (item.clone(), Value::from(*index)));
        Self { item, index, outputs: Arc::default(), run }
    }

    /// The same, with `$outputs`.
    #[must_use]
    pub fn with_outputs(self, outputs: Value) -> Self {
        Self { outputs: Arc::new(outputs), ..self }
    }

    /// What a filter sees that works on this.
    #[must_use]
    pub fn scope<'s>(&'s self, input: &'s Value) -> Scope<'s> {
        Scope { input, item: &self.item, index: &self.index, outputs: &self.outputs, run: &self.run }
    }
}

/// `$run`.
#[must_use]
pub fn run_value(name: &str, workflow: &str, seed: u64) -> Value {
    json!({ "id": name, "workflow": workflow, "seed": seed })
}

impl Evaluator {
    /// The value of an expression; `None`: it is a data path at which there is nothing. The same as
    /// [`Evaluator::compute`], without keeping others waiting where values are large.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn find(
        &self,
        expression: &Expression,
        around: &Around,
        input: &Arc<Value>,
    ) -> Result<Option<Value>, EvaluationError> {
        match expression {
            Expression::Path(path) => Ok(path.get(input).cloned()),
            Expression::Filter(filter) => self.find_one(filter, around, input).await.map(Some),
            Expression::Template(pieces) => {
                let mut values = Vec::new();
                for piece in pieces {
                    if let Piece::Filter(filter) = piece {
                        values.push(self.find_one(filter, around, input).await?);
                    }
                }
                Ok(Some(Value::String(fill(pieces, &values))))
            }
        }
    }

    async fn find_one(&self, filter: &Filter, around: &Around, input: &Arc<Value>) -> Result<Value, EvaluationError> {
        if let Some(path) = filter.path() {
            return follow(path, input).cloned().map_err(EvaluationError::Failed);
        }
        if ![input, &around.item, &around.outputs].into_iter().any(|value| is_large(value)) {
            return self.ask(filter.text(), around.scope(input)).await;
        }
        let (text, around, input) = (filter.text().to_owned(), around.clone(), input.clone());
        let write = move || {
            let scope = around.scope(&input);
            let values: [&Value; VARIABLES.len()] = [scope.item, scope.index, scope.outputs, scope.run];
            protocol::request(&text, values, scope.input)
        };
        self.send(written_apart(write)).await
    }

    /// What is wrong with a value by a JSON Schema, in words: at most 20 faults, and whether there are more. Must be called
    /// within a tokio runtime with time and events.
    ///
    /// # Errors
    /// [`EvaluationError::Failed`]: the schema cannot be used. Else why it is not known.
    pub async fn hold(&self, schema: &Value, value: &Arc<Value>) -> Result<(Vec<String>, bool), EvaluationError> {
        let found = if is_large(value) {
            let (schema, value) = (schema.to_string(), value.clone());
            self.send(written_apart(move || protocol::held(&schema, &value))).await?
        } else {
            self.send(async { protocol::held(&schema.to_string(), value).map_err(|error| no_json(&error)) }).await?
        };
        let faults = found.get("faults").and_then(Value::as_array).into_iter().flatten();
        let faults = faults.filter_map(Value::as_str).map(str::to_owned).collect();
        Ok((faults, found.get("more") == Some(&Value::Bool(true))))
    }
}

async fn written_apart(
    write: impl FnOnce() -> serde_json::Result<Vec<u8>> + Send + 'static,
) -> Result<Vec<u8>, EvaluationError> {
    let written = apart(write).await.map_err(|failure| EvaluationError::Unavailable(failure.message))?;
    written.map_err(|error| no_json(&error))
}

/// Whether a value is large. Looks at no more of it than tells.
fn is_large(value: &Value) -> bool {
    fn left(value: &Value, room: usize) -> Option<usize> {
        let room = room.checked_sub(4)?;
        match value {
            Value::String(text) => room.checked_sub(text.len()),
            Value::Array(list) => list.iter().try_fold(room, |room, value| left(value, room)),
            Value::Object(members) => {
                members.iter().try_fold(room, |room, (name, value)| left(value, room.checked_sub(name.len())?))
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => Some(room),
        }
    }
    left(value, LARGE).is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_is_what_takes_long_to_write() {
        for (value, large) in [
            (json!("x".repeat(LARGE)), true),
            (json!({"x".repeat(LARGE): 1}), true),
            (json!(vec![1; LARGE / 4]), true),
            (json!([[{"a": "x".repeat(LARGE / 2)}]]), false),
            (Value::Null, false),
        ] {
            assert_eq!(is_large(&value), large);
        }
    }
}
