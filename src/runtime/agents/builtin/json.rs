//! `json`: reads a text as JSON, as strictly as the documents of agents are read, and says what is in it.

use super::args::Args;
use crate::model::completion::Failure;
use crate::model::strict_json;
use serde_json::{Value, json};

/// Does it.
pub(super) fn json(input: &Value) -> Result<Value, Failure> {
    let args = Args::new("json", input, &["text", "input", "value"])?;
    let (name, subject) = args.subject(&["text", "input", "value"])?;
    let text = subject.as_str().ok_or_else(|| args.wrong(name, subject, "text"))?;
    let value = strict_json::parse(text.as_bytes())
        .map_err(|error| args.fault(&format!("`{name}` is not one JSON document: {error}")))?;
    Ok(told(value))
}

/// A value with its type.
pub(super) fn told(value: Value) -> Value {
    let (kind, length, keys) = match &value {
        Value::Null => ("null", None, None),
        Value::Bool(_) => ("boolean", None, None),
        Value::Number(_) => ("number", None, None),
        Value::String(text) => ("string", Some(text.chars().count()), None),
        Value::Array(list) => ("array", Some(list.len()), None),
        Value::Object(members) => ("object", Some(members.len()), Some(members.keys().cloned().collect::<Vec<_>>())),
    };
    let mut output = json!({ "type": kind });
    if let Some(length) = length {
        output["length"] = length.into();
    }
    if let Some(keys) = keys {
        output["keys"] = keys.into();
    }
    output["value"] = value;
    output
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_told_with_its_type() {
        let told = |text: &str| json(&json!({ "text": text })).unwrap();
        assert_eq!(
            told(" {\"b\": 1, \"a\": [2]} "),
            json!({"type": "object", "length": 2, "keys": ["b", "a"], "value": {"b": 1, "a": [2]}})
        );
        assert_eq!(told("[1, 2]"), json!({"type": "array", "length": 2, "value": [1, 2]}));
        assert_eq!(told("\"é\""), json!({"type": "string", "length": 1, "value": "é"}));
        assert_eq!(told("null"), json!({"type": "null", "value": null}));
        assert_eq!(json(&json!({"input": "1.5"})).unwrap(), json!({"type": "number", "value": 1.5}));
    }

    #[test]
    fn what_is_no_document_is_refused_with_its_place() {
        for (input, words) in [
            (json!({"text": "{\"a\": 1, \"a\": 2}"}), "stands there twice at line 1"),
            (json!({"text": "[1,\n2"}), "line 2"),
            (json!({"text": ""}), "not one JSON document"),
            (json!({"text": "NaN"}), "not one JSON document"),
            (json!({"text": {"a": 1}}), "`text` is an object, text is expected"),
            (json!({"value": null}), "`value` is null, text is expected"),
        ] {
            let told = json(&input).unwrap_err().message;
            assert!(told.contains(words), "{told}");
        }
    }
}
