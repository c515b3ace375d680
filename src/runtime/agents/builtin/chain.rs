//! Built-in agents in the path of a routing step: what they work on out of all that they are told, and what they pass on.
//!
//! A step of a path is told what the one before it returned. So that nothing is lost on the way, each of these agents puts
//! what it found under its capability, beside what it was told. What the step itself says (`with`, `input`) is said to the
//! agent as anywhere else; what it says nothing of is chosen from the rest.

use super::json;
use super::numeric;
use crate::model::agent::Builtin;
use crate::model::completion::Failure;
use crate::model::effect::AttemptOrder;
use crate::model::route::LARGE_CHARS;
use crate::model::strict_json;
use serde_json::{Map, Value};

/// What an agent in a path is asked, and what it passes on.
#[derive(Debug)]
pub(super) struct Told {
    /// Its own payload, or what it answers at once.
    pub(super) asked: Asked,
    /// What stays beside its answer.
    rest: Map<String, Value>,
    name: &'static str,
}

/// What is asked.
#[derive(Debug)]
pub(super) enum Asked {
    /// This, as anywhere else.
    Payload(Value),
    /// Nothing more: it is known.
    Answer(Result<Value, Failure>),
}

/// Agents that take part in this; the others return what they are told anyway, or are asked by name.
const TAKING_PART: [Builtin; 6] =
    [Builtin::Chunk, Builtin::Json, Builtin::Numeric, Builtin::Validate, Builtin::Transform, Builtin::Aggregate];

/// Members by which a step says itself what is worked on.
const SUBJECTS: [&str; 5] = ["text", "items", "values", "value", "input"];

impl Told {
    /// What a step of a path is told; `None`: it is none, or its agent has no part in this.
    pub(super) fn of(order: &AttemptOrder, builtin: Builtin) -> Option<Self> {
        let spec = order.spec();
        if order.undo || spec.template.is_none() || !TAKING_PART.contains(&builtin) {
            return None;
        }
        let is_own = |name: &String| spec.with.contains_key(name) || spec.input.iter().any(|input| input.key == *name);
        let (own, rest) = order.input.as_object()?.clone().into_iter().partition(|(name, _)| is_own(name));
        Some(Self::new(builtin, own, rest))
    }

    fn new(builtin: Builtin, own: Map<String, Value>, rest: Map<String, Value>) -> Self {
        let name = builtin.capability();
        let is_said = SUBJECTS.iter().any(|subject| own.contains_key(*subject));
        let asked = if is_said { Asked::Payload(own.into()) } else { choose(builtin, own, &rest) };
        Self { asked, rest, name }
    }

    /// What it returns: its answer, beside what it was told.
    pub(super) fn answered(rest: (Map<String, Value>, &'static str), answer: Value) -> Value {
        let (mut whole, name) = rest;
        whole.insert(name.to_owned(), answer);
        Value::Object(whole)
    }

    /// The two halves.
    pub(super) fn split(self) -> (Asked, (Map<String, Value>, &'static str)) {
        (self.asked, (self.rest, self.name))
    }
}

/// Chooses what is worked on, where the step does not say.
fn choose(builtin: Builtin, mut own: Map<String, Value>, rest: &Map<String, Value>) -> Asked {
    let document = document(rest);
    match builtin {
        Builtin::Json => return of_json(own, &document),
        Builtin::Numeric => {
            let numbers = document.values().flat_map(numeric::numbers_of).map(Value::Number);
            own.insert("values".to_owned(), numbers.collect());
        }
        Builtin::Chunk => {
            let text = longest(rest.values());
            let is_long = text.is_some_and(|text| text.chars().nth(LARGE_CHARS).is_some());
            let list = document.values().find(|value| value.is_array()).filter(|_| !is_long);
            match (list, text) {
                (Some(list), _) => own.insert("items".to_owned(), list.clone()),
                (None, Some(text)) => {
                    let named = document.get("text").and_then(Value::as_str).filter(|_| !is_long);
                    own.insert("text".to_owned(), named.unwrap_or(text).into())
                }
                (None, None) => None,
            };
        }
        Builtin::Aggregate => {
            if let Some(list) = document.values().find(|value| value.is_array()) {
                own.insert("values".to_owned(), list.clone());
            }
        }
        _ => {
            let parsed = rest.get(Builtin::Json.capability()).filter(|found| is_finding(found));
            let value = parsed.and_then(|found| found.get("value")).cloned();
            own.insert("value".to_owned(), value.unwrap_or_else(|| subject_of(document)));
        }
    }
    Asked::Payload(own.into())
}

/// A document that is a text reads as JSON; one with lists or objects in it is what such a text would give.
fn of_json(mut own: Map<String, Value>, document: &Map<String, Value>) -> Asked {
    let mut texts = document.values().filter_map(Value::as_str);
    let mut read = texts.clone().filter(|text| text.trim_start().starts_with(['{', '[']));
    let read = read.find(|text| strict_json::parse(text.as_bytes()).is_ok());
    let is_value = document.values().any(|value| value.is_array() || value.is_object());
    match read.or_else(|| texts.next().filter(|_| !is_value)) {
        Some(text) => {
            own.insert("text".to_owned(), text.into());
            Asked::Payload(own.into())
        }
        None => Asked::Answer(Ok(json::told(subject_of(document.clone())))),
    }
}

/// What agents of the path found stands under their capabilities, always an object; the rest is the document. Null is as
/// good as nothing.
fn document(rest: &Map<String, Value>) -> Map<String, Value> {
    let found =
        |name: &str, value: &Value| TAKING_PART.iter().any(|builtin| builtin.capability() == name) && is_finding(value);
    let own = rest.iter().filter(|(name, value)| !value.is_null() && !found(name, value));
    own.map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// The members of which an answer of these agents has at least one.
const FOUND: [&str; 5] = ["chunks", "type", "sum", "valid", "value"];

fn is_finding(value: &Value) -> bool {
    value.as_object().is_some_and(|members| FOUND.iter().any(|name| members.contains_key(*name)))
}

/// A document of one member that says no more than that it is one stands for this member.
fn subject_of(document: Map<String, Value>) -> Value {
    match document.iter().next() {
        Some((name, value)) if document.len() == 1 && SUBJECTS.contains(&name.as_str()) => value.clone(),
        _ => Value::Object(document),
    }
}

/// The longest text in some values, the first of several.
fn longest<'v>(values: impl Iterator<Item = &'v Value>) -> Option<&'v str> {
    let mut best: Option<(usize, &str)> = None;
    for value in values {
        let text = match value {
            Value::String(text) => Some(text.as_str()),
            Value::Array(list) => longest(list.iter()),
            Value::Object(members) => longest(members.values()),
            Value::Null | Value::Bool(_) | Value::Number(_) => None,
        };
        if let Some(text) = text {
            let length = text.chars().count();
            if best.is_none_or(|(most, _)| length > most) {
                best = Some((length, text));
            }
        }
    }
    best.map(|(_, text)| text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn asked(builtin: Builtin, own: &Value, rest: &Value) -> Value {
        let map = |value: &Value| value.as_object().cloned().unwrap_or_default();
        match Told::new(builtin, map(own), map(rest)).asked {
            Asked::Payload(payload) => payload,
            Asked::Answer(answer) => answer.unwrap(),
        }
    }

    #[test]
    fn each_agent_finds_what_it_works_on() {
        let long = "x".repeat(1_001);
        for (builtin, rest, expected) in [
            (Builtin::Json, json!({"id": 1, "text": " {\"a\": 1}"}), json!({"text": " {\"a\": 1}"})),
            (Builtin::Json, json!({"text": "none"}), json!({"text": "none"})),
            (
                Builtin::Json,
                json!({"a": [1], "b": "x"}),
                json!({"type": "object", "length": 2, "keys": ["a", "b"], "value": {"a": [1], "b": "x"}}),
            ),
            (Builtin::Json, json!({"value": [1]}), json!({"type": "array", "length": 1, "value": [1]})),
            (Builtin::Chunk, json!({"a": "short", "b": {"c": long}}), json!({"text": long})),
            (Builtin::Chunk, json!({"a": "short", "b": ["c"]}), json!({"items": ["c"]})),
            (Builtin::Chunk, json!({"a": "short"}), json!({"text": "short"})),
            (Builtin::Chunk, json!({"a": 1}), json!({})),
            (
                Builtin::Numeric,
                json!({"n": 3, "text": "4, 5", "name": "R2", "of": [6, 7]}),
                json!({"values": [3, 4, 5, 6, 7]}),
            ),
            (Builtin::Numeric, json!({"n": 3, "chunk": {"chunks": [], "count": 9}}), json!({"values": [3]})),
            (
                Builtin::Validate,
                json!({"text": "a", "json": {"type": "object", "value": {"b": 1}}}),
                json!({"value": {"b": 1}}),
            ),
            (Builtin::Validate, json!({"text": "a", "chunk": {"chunks": [], "count": 0}}), json!({"value": "a"})),
            (Builtin::Validate, json!({"a": 1, "b": 2}), json!({"value": {"a": 1, "b": 2}})),
            (Builtin::Validate, json!({}), json!({"value": {}})),
            (Builtin::Aggregate, json!({"a": 1, "b": [2]}), json!({"values": [2]})),
            (Builtin::Transform, json!({"text": "b"}), json!({"value": "b"})),
        ] {
            assert_eq!(asked(builtin, &json!({}), &rest), expected, "{builtin:?} of {rest}");
        }
    }

    #[test]
    fn what_the_step_says_itself_comes_first_and_a_document_sets_no_option() {
        let rest = json!({"size": 1, "by": "Ada", "text": "abc"});
        assert_eq!(asked(Builtin::Chunk, &json!({"size": 2}), &rest), json!({"size": 2, "text": "abc"}));
        assert_eq!(asked(Builtin::Chunk, &json!({"text": "own"}), &rest), json!({"text": "own"}));
        let told = Told::new(Builtin::Chunk, Map::new(), rest.as_object().cloned().unwrap());
        let (_, rest) = told.split();
        assert_eq!(
            Told::answered(rest, json!({"count": 1})),
            json!({"size": 1, "by": "Ada", "text": "abc", "chunk": {"count": 1}})
        );
    }
}
