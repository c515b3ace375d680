//! What an aggregate brings together, in their places; and the run's result, which is one.

use super::Asker;
use super::templates::EvaluationFault;
use crate::model::aggregate::{Aggregate, From};
use crate::model::computation::{Found, Prepared};
use crate::runtime::agents::builtin::{Sources, combine, found, text_of};
use crate::runtime::apart::apart;
use serde_json::Value;
use std::sync::Arc;

impl Asker<'_> {
    /// The payload of an aggregate step: `{"values": [1, null], "names": ["a", "b"], "missing": ["b"]}`.
    pub(super) async fn payload(&self, aggregate: &Aggregate) -> Result<Prepared, String> {
        let sources = self.sources(aggregate).await?;
        let payload = apart(move || sources.into_payload()).await.map_err(|failure| failure.message)?;
        Ok(Prepared { input: Arc::new(payload), ..Prepared::default() })
    }

    /// The value of a workflow's `result`.
    pub(super) async fn result(&self, declared: Option<&Aggregate>) -> Result<Found, String> {
        let Some(aggregate) = declared else {
            return Err("the workflow declares no `result`".to_owned());
        };
        let sources = self.sources(aggregate).await.map_err(|why| format!("`result`: {why}"))?;
        let combined = combine(self.evaluator, &self.around, &aggregate.strategy, aggregate.missing, sources).await;
        let value = combined.map_err(|failure| format!("`result`: {}", failure.message))?.value;
        Ok(Found::Result(Arc::new(value)))
    }

    async fn sources(&self, aggregate: &Aggregate) -> Result<Sources, String> {
        let source = match &aggregate.from {
            From::Steps(_) => {
                let sources = self.asked.sources.clone();
                let own = move || Sources {
                    values: sources.iter().map(|(_, value)| value.as_ref().map(|value| (**value).clone())).collect(),
                    names: Some(sources.iter().map(|(name, _)| name.to_string()).collect()),
                };
                return apart(own).await.map_err(|failure| failure.message);
            }
            From::Source(source) => source,
        };
        let value = self.evaluator.find(source, &self.around, &self.asked.data).await;
        match value.map_err(|error| EvaluationFault::new("from", error, source).message)? {
            Some(Value::Array(list)) => Ok(Sources::of_list(list)),
            Some(other) => Err(format!("`from`: `{}` is {}, a list is expected", text_of(source), found(&other))),
            None => Err(format!("`from`: the data has no {}; a list is expected there", text_of(source))),
        }
    }
}
