//! A step's payload: `with`, the mapped `input` over it, and what its process gets beside.

use super::templates::{self, EvaluationFault};
use super::{Asker, process};
use crate::model::computation::Prepared;
use crate::model::expression::Expression;
use crate::model::step::Step;
use serde_json::Value;
use std::sync::Arc;

impl Asker<'_> {
    /// The value of a path or filter over the run's data. `None`: a path that leads nowhere. `place`: where it stands in the
    /// step.
    pub(super) async fn value(&self, place: &str, expression: &Expression) -> Result<Option<Value>, String> {
        let value = self.evaluator.find(expression, &self.around, &self.asked.data).await;
        value.map_err(|error| EvaluationFault::new(place, error, expression).message)
    }

    pub(super) async fn input(&self, step: &Step) -> Result<Prepared, String> {
        let mut payload = Value::Object(step.with.clone());
        let found = templates::find(&payload, "with")?;
        templates::put(self.evaluator, &self.around, &self.asked.data, &mut payload, &found, "with")
            .await
            .map_err(|fault| fault.message)?;
        let mut missing = Vec::new();
        for mapping in &step.input {
            let key = &mapping.key;
            match self.value(&format!("input.{key}"), &mapping.source).await? {
                Some(value) => payload[key.as_str()] = value,
                None if mapping.required => {
                    let path = super::text_of(&mapping.source);
                    return Err(format!("required input {key} is missing: the data has no {path}"));
                }
                None => missing.push(key.clone()),
            }
        }
        let process = process::values(self, step).await?.map(Arc::new);
        Ok(Prepared { input: Arc::new(payload), missing, process })
    }
}
