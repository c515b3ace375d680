//! What upbeat and its evaluator say to each other: JSON, one line each.
//!
//! ```text
//!   evaluator   {"ready":true}                                                        once, at the start
//!   upbeat      {"filter":"$item + .n","variables":{"item":1},"input":{"n":2}}
//!   evaluator   {"value":3}   or   {"error":"cannot index 3 with \"a\""}
//!   upbeat      {"schema":"{\"type\":\"string\"}","input":1}
//!   evaluator   {"value":{"faults":["1 is not of type \"string\""],"more":false}}
//! ```

use super::ANSWER_MAX;
use super::compile::VARIABLES;
use crate::model::strict_json;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// What a child says when it may be asked.
pub(super) const READY: &[u8] = b"{\"ready\":true}";
/// What stands around a value.
pub(super) const VALUE: (&[u8], &[u8]) = (b"{\"value\":", b"}");
/// The longest line a child may say.
pub(super) const LINE_MAX: usize = ANSWER_MAX + 64;

#[derive(Serialize)]
struct Request<'r> {
    filter: &'r str,
    variables: BTreeMap<&'r str, &'r Value>,
    input: &'r Value,
}

/// A request as a line. Only variables that the filter names are sent; `values` are in the order of [`VARIABLES`].
pub(super) fn request(filter: &str, values: [&Value; VARIABLES.len()], input: &Value) -> serde_json::Result<Vec<u8>> {
    let named = VARIABLES.iter().zip(values).filter(|(name, _)| filter.contains(**name));
    let variables = named.map(|(name, value)| (&name[1..], value)).collect();
    let mut line = serde_json::to_vec(&Request { filter, variables, input })?;
    line.push(b'\n');
    Ok(line)
}

#[derive(Serialize)]
struct Held<'r> {
    schema: &'r str,
    input: &'r Value,
}

/// A value that is to be held against a schema, as a line. The schema goes as text, by which the child knows it again.
pub(super) fn held(schema: &str, input: &Value) -> serde_json::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(&Held { schema, input })?;
    line.push(b'\n');
    Ok(line)
}

/// An error as a line.
pub(super) fn error(message: &str) -> Vec<u8> {
    serde_json::json!({ "error": message }).to_string().into_bytes()
}

/// Reads an answer. `None`: that is none.
pub(super) fn answer(line: &[u8]) -> Option<Result<Value, String>> {
    if let Some(value) = line.strip_prefix(VALUE.0).and_then(|rest| rest.strip_suffix(VALUE.1)) {
        return strict_json::parse(value).ok().map(Ok);
    }
    match strict_json::parse(line).ok()?.get_mut("error")?.take() {
        Value::String(message) => Some(Err(message)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_request_is_one_line_with_the_variables_that_are_named() {
        let (item, index, outputs, run) = (json!("a\nb"), json!(0), json!({"big": 1}), json!({}));
        let line = request("$item\n+ $run", [&item, &index, &outputs, &run], &json!({"n": 2})).unwrap();
        let text = String::from_utf8(line).unwrap();
        assert_eq!(text.matches('\n').count(), 1);
        assert_eq!(
            serde_json::from_str::<Value>(&text).unwrap(),
            json!({"filter": "$item\n+ $run", "variables": {"item": "a\nb", "run": {}}, "input": {"n": 2}})
        );
    }

    #[test]
    fn answers_are_read_strictly() {
        assert_eq!(answer(b"{\"value\":[1,\"}\"]}"), Some(Ok(json!([1, "}"]))));
        assert_eq!(answer(b"{\"value\":null}"), Some(Ok(Value::Null)));
        assert_eq!(answer(&error("no\n\"such\"")), Some(Err("no\n\"such\"".to_owned())));
        let deep = |levels: usize| format!("{{\"value\":{}{}}}", "[".repeat(levels), "]".repeat(levels));
        assert!(answer(deep(128).as_bytes()).is_some());
        for line in [
            "",
            "{}",
            "1",
            "{\"value\":}",
            "{\"value\":1,\"error\":\"x\"}",
            "{\"error\":1}",
            "{\"value\":1e999}",
            "{\"value\":{\"a\":1,\"a\":2}}",
            "{\"value\":NaN}",
            "{\"ready\":true}",
            deep(129).as_str(),
        ] {
            assert_eq!(answer(line.as_bytes()), None, "{line}");
        }
    }
}
