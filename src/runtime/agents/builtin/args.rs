//! What a built-in agent is told, read with words for what is wrong: what was found, and what is expected.

use crate::model::completion::{Failure, FailureClass};
use crate::model::expression::{Expression, Filter};
use crate::runtime::evaluate::EvaluationError;
use serde_json::{Map, Value};

/// The members of a payload.
#[derive(Clone, Copy, Debug)]
pub(super) struct Args<'a> {
    agent: &'static str,
    members: &'a Map<String, Value>,
}

impl<'a> Args<'a> {
    /// The payload of an agent that knows these members.
    ///
    /// # Errors
    /// If there is another one.
    pub(super) fn new(agent: &'static str, input: &'a Value, known: &[&str]) -> Result<Self, Failure> {
        let Some(members) = input.as_object() else {
            return Err(permanent(format!("`{agent}` takes an object, not {}", found(input))));
        };
        match members.keys().find(|name| !known.contains(&name.as_str())) {
            Some(name) => {
                let known = known.join(", ");
                Err(permanent(format!("`{agent}` knows no `{}`; it takes: {known}", name.escape_debug())))
            }
            None => Ok(Self { agent, members }),
        }
    }

    /// What is wrong with a member.
    pub(super) fn wrong(&self, name: &str, value: &Value, expected: &str) -> Failure {
        permanent(format!("`{}`: `{name}` is {}, {expected} is expected", self.agent, found(value)))
    }

    pub(super) fn fault(&self, what: &str) -> Failure {
        permanent(format!("`{}`: {what}", self.agent))
    }

    /// A member; null is as good as none.
    pub(super) fn get(&self, name: &str) -> Option<&'a Value> {
        self.members.get(name).filter(|value| !value.is_null())
    }

    /// The one member of these that is there, and its name.
    ///
    /// # Errors
    /// If none is, or several are.
    pub(super) fn subject(&self, names: &[&'static str]) -> Result<(&'static str, &'a Value), Failure> {
        let mut there = names.iter().filter_map(|name| Some((*name, self.members.get(*name)?)));
        match (there.next(), there.next()) {
            (Some(found), None) => Ok(found),
            (Some((one, _)), Some((other, _))) => {
                Err(self.fault(&format!("`{one}` and `{other}` are both there, one of them is expected")))
            }
            (None, _) => {
                let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
                Err(self.fault(&format!("there is nothing to work on; {} is expected", names.join(" or "))))
            }
        }
    }

    /// A text.
    pub(super) fn text(&self, name: &str) -> Result<Option<&'a str>, Failure> {
        let Some(value) = self.get(name) else { return Ok(None) };
        value.as_str().map(Some).ok_or_else(|| self.wrong(name, value, "text"))
    }

    /// One of these words.
    pub(super) fn word<T: Copy>(&self, name: &str, words: &[(&str, T)]) -> Result<Option<T>, Failure> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let word = words.iter().find(|(word, _)| value.as_str() == Some(word));
        word.map(|(_, meant)| Some(*meant)).ok_or_else(|| {
            let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            self.wrong(name, value, &format!("one of {}", words.join(", ")))
        })
    }

    /// A whole number, at least this.
    pub(super) fn whole(&self, name: &str, least: usize) -> Result<Option<usize>, Failure> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let whole = value.as_u64().and_then(|whole| usize::try_from(whole).ok()).filter(|whole| *whole >= least);
        whole.map(Some).ok_or_else(|| self.wrong(name, value, &format!("a whole number from {least} on")))
    }

    pub(super) fn flag(&self, name: &str) -> Result<bool, Failure> {
        let Some(value) = self.get(name) else { return Ok(false) };
        value.as_bool().ok_or_else(|| self.wrong(name, value, "true or false"))
    }

    /// A filter, also one that begins like a path.
    pub(super) fn filter(&self, name: &str) -> Result<Option<Expression>, Failure> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        // The filter may end with a comment.
        let enclosed =
            if text.trim_start().starts_with("${{") { text.trim().to_owned() } else { format!("${{{{{text}\n}}}}") };
        match Expression::of_text(&enclosed) {
            Ok(Some(filter @ Expression::Filter(_))) => Ok(Some(filter)),
            Ok(_) => Err(self.fault(&format!("`{name}` is more than one filter"))),
            Err(fault) => Err(self.fault(&format!("`{name}`: {}", fault.message))),
        }
    }

    /// A path or a filter.
    pub(super) fn source(&self, name: &str) -> Result<Option<Expression>, Failure> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        let fault = |fault: crate::model::expression::Fault| self.fault(&format!("`{name}`: {}", fault.message));
        Expression::of_source(text).map(Some).map_err(fault)
    }
}

/// A failure that trying again does not help.
pub(super) fn permanent(message: String) -> Failure {
    Failure::new(FailureClass::Permanent, message)
}

/// The failure of a filter, and where it stands. A filter that could not be tried may be tried again.
pub(super) fn of_filter(error: &EvaluationError, place: &str, expression: &Expression) -> Failure {
    let class = match error {
        EvaluationError::Unavailable(_) => FailureClass::Transient,
        _ => FailureClass::Permanent,
    };
    Failure::new(class, format!("{place}: {error} (the filter is `{}`)", text_of(expression)))
}

/// The longest filter that is shown, in characters.
const SHOWN_CHARS: usize = 120;

/// An expression as people wrote it, cut where it is long.
#[must_use]
pub fn text_of(expression: &Expression) -> String {
    let whole = match expression {
        Expression::Path(path) => path.to_string(),
        Expression::Filter(filter) => filter.text().to_owned(),
        Expression::Template(_) => expression.filters().map(Filter::text).collect::<Vec<_>>().join("`, `"),
    };
    match whole.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{}…", &whole[..end]),
        None => whole,
    }
}

/// What a value is, with the value itself where it is short.
#[must_use]
pub fn found(value: &Value) -> String {
    const SHORT: usize = 40;
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::String(text) if text.chars().nth(SHORT).is_none() => format!("the text {value}"),
        Value::String(_) => "a text".to_owned(),
        Value::Array(list) => format!("a list of {}", list.len()),
        Value::Object(_) => "an object".to_owned(),
    }
}
