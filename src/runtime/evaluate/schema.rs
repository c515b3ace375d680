//! Holding a value against a JSON Schema, in the child: a schema is a program of whoever wrote it, as a filter is.
//!
//! Nothing is fetched: a reference leads into the schema itself, or to one of the drafts, else the schema cannot be used.

use indexmap::IndexMap;
use jsonschema::error::ValidationErrorKind;
use jsonschema::{PatternOptions, ValidationError, Validator};
use serde::Deserialize;
use serde_json::{Value, json};

/// What the line of a request begins with.
pub(super) const BEGINS: &[u8] = b"{\"schema\":";
/// As many compiled schemas are kept.
const KEPT_MAX: usize = 32;
/// As many faults are told.
const FAULTS_MAX: usize = 20;
/// The longest fault, in bytes: values are repeated in them.
const FAULT_BYTES_MAX: usize = 300;
/// As many steps back one pattern may take in one text.
const STEPS_BACK_MAX: usize = 100_000;
/// The largest compiled pattern, in bytes.
const PATTERN_BYTES_MAX: usize = 1 << 20;

/// What is held against what. The schema stands there as text, by which its compiled form is found again.
#[derive(Deserialize)]
struct Request {
    schema: String,
    input: Value,
}

/// Schemas that were used last, by their text.
#[derive(Default)]
pub(super) struct Schemas(IndexMap<Box<str>, Validator>);

impl Schemas {
    /// What is wrong with the value of a request, in words: `{"faults": [‥], "more": whether there are others}`.
    ///
    /// # Errors
    /// If the schema cannot be used.
    pub(super) fn answer(&mut self, line: &[u8]) -> Result<Value, String> {
        let mut reader = serde_json::Deserializer::from_slice(line);
        // Values of 128 levels stand one level deeper here; whoever sends them has counted them.
        reader.disable_recursion_limit();
        let Request { schema, input } =
            Request::deserialize(&mut reader).map_err(|error| format!("the request cannot be read: {error}"))?;
        let validator = self.get(&schema)?;
        let mut errors = validator.iter_errors(&input);
        let faults: Vec<String> = errors.by_ref().take(FAULTS_MAX).map(|error| in_words(&error)).collect();
        Ok(json!({ "faults": faults, "more": errors.next().is_some() }))
    }

    fn get(&mut self, text: &str) -> Result<&Validator, String> {
        if !self.0.contains_key(text) {
            let made = compile(text)?;
            if self.0.len() >= KEPT_MAX {
                self.0.drain(..KEPT_MAX / 2);
            }
            self.0.insert(text.into(), made);
        }
        self.0.get(text).ok_or_else(|| "the schema was lost".to_owned())
    }
}

fn compile(text: &str) -> Result<Validator, String> {
    let mut reader = serde_json::Deserializer::from_str(text);
    reader.disable_recursion_limit();
    let schema = Value::deserialize(&mut reader).map_err(|error| format!("the schema is not JSON: {error}"))?;
    let patterns = PatternOptions::fancy_regex()
        .backtrack_limit(STEPS_BACK_MAX)
        .size_limit(PATTERN_BYTES_MAX)
        .dfa_size_limit(PATTERN_BYTES_MAX);
    let options = jsonschema::options().offline().with_pattern_options(patterns);
    options.build(&schema).map_err(|error| {
        let place = match error.instance_path().as_str() {
            "" => String::new(),
            path => format!(" at {path}"),
        };
        let why = match error.kind() {
            ValidationErrorKind::Referencing(_) => "a reference leads to nothing inside it, and nothing is fetched: ",
            _ => "",
        };
        cut(format!("the schema cannot be used: {why}{error}{place}"))
    })
}

/// A fault with its place: `/items/0/price: "x" is not of type "number"`. A value that is long is left out.
fn in_words(error: &ValidationError<'_>) -> String {
    let path = error.instance_path().as_str();
    let mut words = error.to_string();
    if words.len() + path.len() > FAULT_BYTES_MAX {
        words = error.masked_with("a long value").to_string();
    }
    cut(if path.is_empty() { words } else { format!("{path}: {words}") })
}

fn cut(mut text: String) -> String {
    if text.len() > FAULT_BYTES_MAX {
        text.truncate(text.floor_char_boundary(FAULT_BYTES_MAX));
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(schemas: &mut Schemas, schema: &Value, input: &Value) -> Result<Value, String> {
        schemas.answer(json!({"schema": schema.to_string(), "input": input}).to_string().as_bytes())
    }

    fn faults(schema: &Value, input: &Value) -> Vec<String> {
        let answer = ask(&mut Schemas::default(), schema, input).unwrap();
        serde_json::from_value(answer["faults"].clone()).unwrap()
    }

    #[test]
    fn faults_say_where_what_was_found_and_what_was_expected() {
        let schema = json!({
            "type": "object", "required": ["id"],
            "properties": {"items": {"type": "array", "items": {"$ref": "#/$defs/item"}}},
            "$defs": {"item": {"type": "object", "properties": {"price": {"type": "number", "minimum": 0}}}}
        });
        assert_eq!(faults(&schema, &json!({"id": 1, "items": [{"price": 2}]})), Vec::<String>::new());
        let found = faults(&schema, &json!({"items": [{"price": 1}, {"price": "x"}, {"price": -1}]}));
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(found.iter().any(|fault| fault == "/items/1/price: \"x\" is not of type \"number\""), "{found:?}");
        assert!(found.iter().any(|fault| fault == "\"id\" is a required property"), "{found:?}");
    }

    #[test]
    fn faults_are_few_and_short() {
        let schema = json!({"items": {"type": "string"}});
        let answer = ask(&mut Schemas::default(), &schema, &json!(vec![1; 1000])).unwrap();
        assert_eq!((answer["faults"].as_array().unwrap().len(), &answer["more"]), (FAULTS_MAX, &json!(true)));
        let long = faults(&json!({"type": "number"}), &json!("é".repeat(10_000)));
        assert_eq!(long, ["a long value is not of type \"number\""]);
        let deep = json!({"x".repeat(1_000): 1});
        let far = faults(&json!({"additionalProperties": {"type": "string"}}), &deep);
        assert!(far[0].len() <= FAULT_BYTES_MAX + '…'.len_utf8() && far[0].ends_with('…'));
    }

    #[test]
    fn references_lead_nowhere_else_and_wrong_schemas_are_told() {
        for schema in [
            json!({"$ref": "http://localhost:1/a.json"}),
            json!({"$ref": "https://example.com/a.json"}),
            json!({"$ref": "file:///etc/passwd"}),
            json!({"$ref": "other.json"}),
            json!({"$id": "http://localhost:1/x", "$ref": "y"}),
            json!({"$ref": "#/$defs/nothing"}),
            json!({"type": 1}),
            json!({"pattern": "("}),
            json!({"pattern": "(((a{1000}){1000}){1000})"}),
            json!(7),
        ] {
            let told = ask(&mut Schemas::default(), &schema, &json!({"a": 1}));
            assert!(told.as_ref().is_err_and(|why| why.starts_with("the schema cannot be used")), "{schema}: {told:?}");
            let refers = schema.to_string().contains("$ref");
            assert_eq!(told.is_err_and(|why| why.contains("nothing is fetched")), refers, "{schema}");
        }
    }

    #[test]
    fn a_draft_of_somebody_elses_is_not_fetched_either() {
        let own = json!({"$schema": "http://localhost:1/own", "type": "object"});
        let told = ask(&mut Schemas::default(), &own, &json!({}));
        assert!(told.is_err_and(|why| why.starts_with("the schema cannot be used")));
    }

    #[test]
    fn a_pattern_that_goes_back_for_ever_is_cut_off() {
        let schema = json!({"pattern": r"^(a|a)*\1b$"});
        let found = faults(&schema, &json!(format!("{}!", "a".repeat(60))));
        assert!(found[0].contains("backtracking"), "{found:?}");
    }

    #[test]
    fn a_schema_is_compiled_once_and_few_are_kept() {
        let mut schemas = Schemas::default();
        for n in 0..=KEPT_MAX {
            for _ in 0..2 {
                ask(&mut schemas, &json!({"minimum": n}), &json!(n)).unwrap();
            }
        }
        assert!(schemas.0.len() <= KEPT_MAX && schemas.0.contains_key("{\"minimum\":32}"));
    }
}
