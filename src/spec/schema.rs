//! The JSON Schema (draft 2020-12) of the workflow file, made from the tables that the walker goes by: it knows what
//! this build takes and nothing else. Rules between keys (one thing per step, ids that exist) are `upbeat check`'s.

use crate::spec::agent_tables::{AGENT, AGENTS_FILE};
use crate::spec::keys::{Key, KeyRule, Shape, Table, Word};
use crate::spec::tables::WORKFLOW;
use serde_json::{Map, Value, json};

const ID: &str = r"^[A-Za-z0-9][A-Za-z0-9._@:+-]{0,127}$";
const NAME: &str = r"^[^\s\u0000-\u001f\u007f-\u009f]{1,128}$";
const VARIABLE: &str = r"^(?!LD_|DYLD_|BASH_ENV$|ENV$)[^=\u0000]+$";
const URL: &str =
    r"^[Hh][Tt][Tt][Pp][Ss]?://[A-Za-z0-9\[][A-Za-z0-9._:\[\]-]*([/?#][^\s\u0000-\u001f\u007f-\u009f]*)?$";
const DURATION: &str = r"^([0-9]+(\.[0-9]+)?(ms|s|m|h|d))+$";
const SHARE: &str = r"^(100(\.0*)?|[0-9]{1,2}(\.[0-9]*)?) *%$";

/// The schema of a workflow file; of an agents file under `$defs/agents_file`.
#[must_use]
pub fn schema() -> Value {
    let mut maker = Maker { definitions: Map::new() };
    maker.table(&WORKFLOW);
    maker.table(&AGENTS_FILE);
    let _ = maker.shape(&AGENT);
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "upbeat workflow",
        "$ref": "#/$defs/workflow",
        "$defs": maker.definitions,
    })
}

struct Maker {
    definitions: Map<String, Value>,
}

impl Maker {
    fn table(&mut self, table: &Table) -> Value {
        let reference = json!({ "$ref": format!("#/$defs/{}", table.id) });
        if self.definitions.contains_key(table.id) {
            return reference;
        }
        // Its place is taken before its parts are made, so that the order is that of the reader's way through the file.
        self.definitions.insert(table.id.to_owned(), Value::Null);
        let mut properties = Map::new();
        let mut required = Vec::new();
        for key in table.keys().filter(|key| key.is_taken()) {
            properties.insert(key.name.to_owned(), self.key(key));
            for alias in key.aliases {
                let doc = format!("Another name of `{}`.", key.name);
                properties.insert(
                    (*alias).to_owned(),
                    json!({ "description": doc, "$ref": format!("#/$defs/{}/properties/{}", table.id, key.name) }),
                );
            }
            if key.required {
                let names = std::iter::once(&key.name).chain(key.aliases);
                required.push(json!({ "anyOf": names.map(|name| json!({ "required": [name] })).collect::<Vec<_>>() }));
            }
        }
        let mut made = json!({ "type": "object", "properties": properties, "additionalProperties": false });
        if !required.is_empty() {
            made["allOf"] = Value::Array(required);
        }
        self.definitions.insert(table.id.to_owned(), made);
        reference
    }
    fn key(&mut self, key: &Key) -> Value {
        let made = self.shape(&key.shape);
        if key.required || key.shape.keeps_null() {
            let mut made = made;
            made["description"] = key.doc.into();
            return made;
        }
        // `null` is "not given", as programs write it that dump all their fields.
        json!({ "description": key.doc, "anyOf": [made, { "type": "null" }] })
    }
    fn shape(&mut self, shape: &Shape) -> Value {
        match shape {
            Shape::Later | Shape::Refused(_) => json!(false),
            Shape::Text | Shape::Argument | Shape::ArgumentOrFilter | Shape::Template => json!({ "type": "string" }),
            Shape::Filled | Shape::CommandLine | Shape::PathOrFilter | Shape::Filter => {
                json!({ "type": "string", "pattern": r"\S" })
            }
            Shape::Id => json!({ "type": "string", "pattern": ID }),
            Shape::Name => json!({ "type": "string", "pattern": NAME }),
            Shape::Url => json!({ "type": "string", "pattern": URL }),
            Shape::Bool => json!({ "type": "boolean" }),
            Shape::Whole(from, to) => json!({ "type": "integer", "minimum": from, "maximum": to }),
            Shape::Number { from, inclusive: true, to } => json!({ "type": "number", "minimum": from, "maximum": to }),
            Shape::Number { from, inclusive: false, to } => {
                json!({ "type": "number", "exclusiveMinimum": from, "maximum": to })
            }
            Shape::Duration { from, off } => {
                let mut ways = vec![
                    json!({ "type": "number", "minimum": from.as_secs_f64(), "maximum": 366 * 24 * 3600 }),
                    json!({ "type": "string", "pattern": DURATION }),
                ];
                if *off {
                    ways.push(json!({ "const": "off" }));
                }
                json!({ "anyOf": ways })
            }
            Shape::Share => json!({ "type": "string", "pattern": SHARE }),
            Shape::Words(words) => Self::words(words.iter().filter(|word| word.built)),
            Shape::Path => json!({ "type": "string", "pattern": r"^[^.$(\[{\s]" }),
            Shape::Literal | Shape::Value => json!({}),
            Shape::Object => json!({ "type": "object" }),
            Shape::List(element, least) => json!({ "type": "array", "items": self.shape(element), "minItems": least }),
            Shape::Map(rule, value) => {
                let pattern = match rule {
                    KeyRule::Id => ID,
                    KeyRule::Name => NAME,
                    KeyRule::Variable => VARIABLE,
                    KeyRule::Filled => ".",
                };
                json!({ "type": "object", "propertyNames": { "pattern": pattern }, "additionalProperties": self.shape(value) })
            }
            Shape::Table(table) => self.table(table),
            Shape::Kinds(kinds) => self.kinds(kinds),
            Shape::Either(shapes) => {
                json!({ "anyOf": shapes.iter().map(|shape| self.shape(shape)).collect::<Vec<_>>() })
            }
        }
    }
    fn words<'w>(words: impl Iterator<Item = &'w Word>) -> Value {
        json!({ "oneOf": words.map(|word| json!({ "const": word.word, "description": word.doc })).collect::<Vec<_>>() })
    }
    fn kinds(&mut self, kinds: &[(&Word, &Table)]) -> Value {
        let mut ways = Vec::new();
        for (word, table) in kinds.iter().filter(|(word, _)| word.built) {
            let reference = self.table(table);
            self.definitions[table.id]["properties"]["kind"] = json!({ "const": word.word, "description": word.doc });
            ways.push(reference);
        }
        json!({ "oneOf": ways })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every reference of the schema leads somewhere, every key has its sentence.
    fn visit(root: &Value, at: &Value) {
        if let Some(reference) = at.get("$ref").and_then(Value::as_str) {
            assert!(root.pointer(&reference[1..]).is_some(), "{reference}");
        }
        match at {
            Value::Object(members) => members.values().for_each(|value| visit(root, value)),
            Value::Array(list) => list.iter().for_each(|value| visit(root, value)),
            _ => {}
        }
    }

    #[test]
    fn the_schema_is_closed_and_every_key_is_described() {
        let schema = schema();
        visit(&schema, &schema);
        for (name, table) in schema["$defs"].as_object().unwrap() {
            assert_eq!(table["additionalProperties"], false, "{name}");
            for (key, value) in table["properties"].as_object().unwrap() {
                assert!(value["description"].as_str().is_some_and(|doc| !doc.is_empty()), "{name}.{key}");
            }
        }
    }

    #[test]
    fn what_is_not_built_is_not_in_the_schema() {
        let schema = schema();
        assert!(schema["$defs"]["workflow"]["properties"].get("groups").is_none());
        assert!(schema["$defs"]["step"]["properties"]["uses"].is_object());
        assert!(schema["$defs"]["defaults"]["properties"].get("route").is_none());
        for refused in
            ["id", "needs", "for_each", "aggregate", "approval", "uses", "route", "critical", "expand", "barrier"]
        {
            assert!(schema["$defs"]["template"]["properties"].get(refused).is_none(), "{refused}");
        }
        assert!(schema["$defs"]["template"]["properties"]["expect"].is_object());
        assert_eq!(schema["$defs"]["route"]["properties"]["path"]["minItems"], 1);
        assert!(schema["$defs"]["step"]["properties"]["for_each"].is_object());
        assert!(schema["$defs"]["defaults"]["properties"].get("for_each").is_none());
        assert!(schema["$defs"]["aggregate"]["properties"]["quorum"].is_object());
        assert!(schema["$defs"]["step"]["properties"]["depends_on"].is_object());
        assert!(schema["$defs"]["defaults"]["properties"].get("approval").is_none());
        assert!(!schema.to_string().contains("worker"));
        assert!(!schema.to_string().contains("llm"));
        assert_eq!(schema["$defs"]["process"]["properties"]["kind"]["const"], "process");
    }
}
