//! What filters see beside their input, held by those who compute many of them.

use super::pool::Scope;
use serde_json::{Value, json};
use std::sync::Arc;

/// The variables.
#[derive(Clone, Debug, Default)]
pub struct Around {
    item: Arc<Value>,
    index: Value,
    outputs: Value,
    run: Value,
}

impl Around {
    /// The variables of an item (or none), where nothing of `$outputs` is known.
    #[must_use]
    pub fn new(item: Option<&(Arc<Value>, u32)>, run: Value) -> Self {
        let (item, index) = item.map_or_else(Default::default, |(item, index)| (item.clone(), Value::from(*index)));
        Self { item, index, outputs: Value::Null, run }
    }

    /// The same, with `$outputs`.
    #[must_use]
    pub fn with_outputs(self, outputs: Value) -> Self {
        Self { outputs, ..self }
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
