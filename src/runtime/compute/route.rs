//! Where a routing step goes: by the routes of the file, else by what its input looks like.
//!
//! The same input has the same answer. What inputs have in common is said in a word, the shape: the engine decides once for
//! each.

use super::Asker;
use crate::model::agent::Builtin;
use crate::model::id::Name;
use crate::model::route::{LARGE_CHARS, Route, Routed, STREAMING_ELEMENTS, When};
use crate::model::step::{Step, Work};
use crate::model::strict_json;
use crate::model::workflow::Workflow;
use crate::runtime::agents::builtin::{is_mostly_digits, text_of};
use crate::runtime::apart::apart;
use crate::runtime::evaluate::EvaluationError;
use serde_json::{Map, Value};
use std::sync::Arc;

impl Asker<'_> {
    /// The paths that fit a routing step's input.
    pub(super) async fn routed(&self, step: &Step, input: &Arc<Value>) -> Result<Routed, String> {
        let routes = routes(&self.asked.workflow, step);
        let looked_at = input.clone();
        let seen = apart(move || Seen::of(&looked_at)).await.map_err(|failure| failure.message)?;
        for (at, route) in routes.list.iter().enumerate() {
            if !self.fits(at, route, input, &seen).await? {
                continue;
            }
            // Routes for the same inputs lead equally well.
            let same = routes.list[at..].iter().take_while(|other| other.when == route.when);
            let word = word(&route.when);
            return Ok(Routed {
                shape: format!("{}routes[{at}]: {word}", routes.owner),
                paths: same.map(|route| route.path.clone()).collect(),
                reason: format!("the input fits the route for `{word}`"),
            });
        }
        Ok(seen.routed())
    }

    async fn fits(&self, at: usize, route: &Route, input: &Arc<Value>, seen: &Seen) -> Result<bool, String> {
        let filter = match &route.when {
            When::LargeData => return Ok(seen.is_large),
            When::StructuredData => return Ok(seen.is_structured),
            When::StreamingData => return Ok(seen.is_streaming),
            When::Filter(filter) => filter,
        };
        match self.evaluator.find(filter, &self.around, input).await {
            Ok(value) => Ok(!matches!(value, None | Some(Value::Null | Value::Bool(false)))),
            // A filter for another kind of input does not fit this one.
            Err(EvaluationError::Failed(_)) => Ok(false),
            Err(error) => Err(format!("`routes[{at}].when`: {error} (the filter is `{}`)", text_of(filter))),
        }
    }
}

/// The routes of the file that a step stands in, and what tells them apart from those of other files.
struct Routes<'w> {
    list: &'w [Route],
    owner: String,
}

/// The steps of a workflow that is used go by its routes: they are named behind the step that uses it.
fn routes<'w>(workflow: &'w Workflow, step: &Step) -> Routes<'w> {
    let (mut list, mut id, mut rest, mut start) = (&workflow.routes, &workflow.id, &*step.id, 0);
    while let Some(end) = rest.find('/') {
        let user = &step.id[..start + end];
        // An item is done by the same workflow as the step that it belongs to.
        let Some(Work::Uses { workflow: used, .. }) = workflow.find(user).map(|user| &workflow.step(user).work) else {
            break;
        };
        (list, id, start, rest) = (&used.routes, &used.id, start + end + 1, &rest[end + 1..]);
    }
    let owner = if start == 0 { String::new() } else { format!("{id}: ") };
    Routes { list, owner }
}

fn word(when: &When) -> String {
    match when {
        When::LargeData => "large_data".to_owned(),
        When::StructuredData => "structured_data".to_owned(),
        When::StreamingData => "streaming_data".to_owned(),
        When::Filter(filter) => text_of(filter),
    }
}

/// What an input looks like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// The characters of its longest text.
    pub longest: usize,
    /// What reads as JSON, if anything: the member, or the text in it.
    pub json: Option<Json>,
    /// Numbers, lists of them, or a text that is mostly digits.
    pub numbers: bool,
    is_large: bool,
    is_structured: bool,
    is_streaming: bool,
}

/// Where JSON was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Json {
    /// A text that reads as an object or a list.
    Text,
    /// An object, or a list that is not all numbers, stands in it.
    Value,
}

impl Seen {
    /// Looks at the members of an input.
    #[must_use]
    pub fn of(input: &Value) -> Self {
        let none = Map::new();
        let members = input.as_object().unwrap_or(&none);
        let mut seen = Self::default();
        let mut others = 0;
        for (name, value) in members {
            seen.longest = seen.longest.max(longest(value));
            match value {
                Value::String(text) if reads_as_json(text) => seen.json = Some(Json::Text),
                Value::String(text) => seen.numbers |= is_mostly_digits(text),
                Value::Number(_) => seen.numbers = true,
                Value::Array(list) if !list.is_empty() && list.iter().all(Value::is_number) => seen.numbers = true,
                Value::Array(_) | Value::Object(_) => seen.json = seen.json.or(Some(Json::Value)),
                Value::Null | Value::Bool(_) => {}
            }
            others += usize::from(!value.is_string() && !value.is_null());
            let many = value.as_array().is_some_and(|list| list.len() > STREAMING_ELEMENTS);
            seen.is_streaming |= many || (name == "stream" && *value == Value::Bool(true));
        }
        seen.is_large = seen.longest > LARGE_CHARS || input.to_string().chars().count() > LARGE_CHARS;
        seen.is_structured = others > 1 || seen.json == Some(Json::Text);
        seen
    }

    /// The path that it asks for, and why.
    #[must_use]
    pub fn routed(&self) -> Routed {
        let mut path: Vec<Name> = Vec::new();
        let mut shape: Vec<&str> = Vec::new();
        let mut reasons: Vec<String> = Vec::new();
        for builtin in Builtin::ANALYSIS {
            let (word, why) = match builtin {
                Builtin::Json => match self.json {
                    Some(Json::Text) => ("json", "a text reads as JSON".to_owned()),
                    Some(Json::Value) => ("object", "an object or a list stands in it".to_owned()),
                    None => continue,
                },
                Builtin::Chunk if self.longest > LARGE_CHARS => {
                    ("long-text", format!("a text has more than {LARGE_CHARS} characters"))
                }
                Builtin::Numeric if self.numbers => ("numbers", "there are numbers".to_owned()),
                Builtin::Validate => {
                    path.push(builtin.capability().into());
                    continue;
                }
                _ => continue,
            };
            path.push(builtin.capability().into());
            shape.push(word);
            reasons.push(format!("{why}: {}", builtin.capability()));
        }
        if shape.is_empty() {
            (shape, reasons) = (vec!["plain"], vec!["neither JSON, nor a long text, nor numbers".to_owned()]);
        }
        Routed { shape: shape.join("+"), paths: vec![path], reason: format!("{}; validate last", reasons.join(", ")) }
    }
}

/// The characters of the longest text in a value.
fn longest(value: &Value) -> usize {
    match value {
        Value::String(text) => text.chars().count(),
        Value::Array(list) => list.iter().map(longest).max().unwrap_or(0),
        Value::Object(members) => members.values().map(longest).max().unwrap_or(0),
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    }
}

/// Whether a text is one JSON document that is an object or a list.
fn reads_as_json(text: &str) -> bool {
    text.trim_start().starts_with(['{', '[']) && strict_json::parse(text.as_bytes()).is_ok()
}
