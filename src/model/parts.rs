//! Steps that become several: once for every element of a list, or by what they return.

use super::expression::Expression;
use super::id::Name;
use super::policy::Success;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A step that is done once for every element of a list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ForEach {
    /// The list.
    pub items: Expression,
    /// The most items at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_parallel: Option<u32>,
    /// Elements per item; an item is a list then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chunk: Option<u32>,
    /// What of it has to succeed.
    pub success: Success,
}

/// A step whose output brings further steps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expand {
    /// The capabilities they may ask for; `None`: all of the file's agents.
    pub allow: Option<Vec<Name>>,
    /// The most steps that one output may bring.
    pub max: u32,
}

/// The name of a step of a part.
#[must_use]
pub fn part_name(step: &str, own: &str) -> Name {
    format!("{step}/{own}").into()
}

/// The name of an item.
#[must_use]
pub fn item_name(step: &str, index: usize) -> Name {
    format!("{step}[{index}]").into()
}

/// The elements that items are made of: those of the list, or so many at a time as lists of their own.
///
/// # Errors
/// If that gives more than `most` items.
pub fn cut(list: Vec<Value>, chunk: Option<u32>, most: usize) -> Result<Value, String> {
    let size = chunk.map_or(1, |chunk| chunk.max(1) as usize);
    let (all, count) = (list.len(), list.len().div_ceil(size));
    if count > most {
        let enough = all.div_ceil(most);
        return Err(format!(
            "`for_each`: {count} items, {most} are the most; `chunk: {enough}` would make few enough of the {all} elements"
        ));
    }
    if chunk.is_none() {
        return Ok(Value::Array(list));
    }
    let mut rest = list.into_iter();
    let mut chunks = Vec::with_capacity(count);
    while rest.len() > 0 {
        chunks.push(Value::Array(rest.by_ref().take(size).collect()));
    }
    Ok(Value::Array(chunks))
}

/// What a value is, in a word.
#[must_use]
pub const fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn lists_are_cut_without_losing_anything_and_not_into_too_many() {
        let list = vec![json!(1), json!(2), json!(3)];
        assert_eq!(cut(list.clone(), Some(2), 9), Ok(json!([[1, 2], [3]])));
        assert_eq!(cut(list.clone(), None, 3), Ok(json!([1, 2, 3])));
        assert_eq!(cut(Vec::new(), Some(2), 9), Ok(json!([])));
        let why = cut(list, None, 2).unwrap_err();
        assert!(why.contains("3 items, 2 are the most; `chunk: 2`"), "{why}");
    }
}
