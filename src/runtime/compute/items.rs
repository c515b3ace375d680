//! The list of a `for_each`, cut into the elements that items are made of.

use super::Asker;
use crate::model::defaults::ITEMS_MAX;
use crate::model::growth::{ForEach, cut};
use crate::runtime::agents::builtin::{found, text_of};
use crate::runtime::apart::apart;
use serde_json::Value;
use std::sync::Arc;

impl Asker<'_> {
    pub(super) async fn items(&self, for_each: &ForEach) -> Result<Arc<Value>, String> {
        let list = match self.value("for_each", &for_each.items).await? {
            Some(Value::Array(list)) => list,
            Some(other) => {
                let from = text_of(&for_each.items);
                return Err(format!("`for_each`: `{from}` is {}, a list is expected", found(&other)));
            }
            None => {
                let from = text_of(&for_each.items);
                return Err(format!("`for_each`: the data has no {from}; a list is expected there"));
            }
        };
        let chunk = for_each.chunk;
        let cut = apart(move || cut(list, chunk, ITEMS_MAX)).await.map_err(|failure| failure.message)?;
        cut.map(Arc::new)
    }
}
