//! The list of a `for_each`, cut into the elements that items are made of.

use super::Asker;
use crate::model::growth::ForEach;
use crate::runtime::agents::builtin::{found, text_of};
use crate::runtime::apart::apart;
use serde_json::Value;
use std::sync::Arc;

/// The most items of one step.
const ITEMS_MAX: usize = 10_000;

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
        let chunk = for_each.chunk.map_or(1, |chunk| chunk.max(1) as usize);
        let count = list.len().div_ceil(chunk);
        if count > ITEMS_MAX {
            let (all, enough) = (list.len(), list.len().div_ceil(ITEMS_MAX));
            return Err(format!(
                "`for_each`: {count} items, {ITEMS_MAX} are the most; `chunk: {enough}` would make few enough of the {all} elements"
            ));
        }
        if for_each.chunk.is_none() {
            return Ok(Arc::new(Value::Array(list)));
        }
        let cut = apart(move || cut(list, chunk)).await.map_err(|failure| failure.message)?;
        Ok(Arc::new(cut))
    }
}

/// Lists of so many elements; the last one has what is left.
fn cut(list: Vec<Value>, chunk: usize) -> Value {
    let mut rest = list.into_iter();
    let mut chunks = Vec::with_capacity(rest.len().div_ceil(chunk));
    while rest.len() > 0 {
        chunks.push(Value::Array(rest.by_ref().take(chunk).collect()));
    }
    Value::Array(chunks)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn lists_are_cut_without_losing_anything() {
        assert_eq!(cut(vec![json!(1), json!(2), json!(3)], 2), json!([[1, 2], [3]]));
        assert_eq!(cut(vec![json!(1), json!(2)], 2), json!([[1, 2]]));
        assert_eq!(cut(Vec::new(), 2), json!([]));
    }
}
