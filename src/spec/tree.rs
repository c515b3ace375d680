//! What a file says, as a tree in which every value and every key knows its place.
//!
//! Depth is bounded by the reader before anything recurses over the tree, dropping it included.

use crate::spec::source::Span;
use serde_json::{Map, Number, Value};

/// A value and its place.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    pub(crate) span: Span,
    pub(crate) kind: Kind,
}

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind {
    /// Nothing, `null` or `~`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A finite number.
    Number(Number),
    /// Text.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// Members in the order of the file, every key once.
    Map(Vec<Entry>),
}

/// A member of a map.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_span: Span,
    pub(crate) value: Node,
}

impl Node {
    /// What kind of value it is, for messages.
    pub(crate) const fn type_word(&self) -> &'static str {
        match &self.kind {
            Kind::Null => "nothing",
            Kind::Bool(_) => "true or false",
            Kind::Number(_) => "a number",
            Kind::Text(_) => "text",
            Kind::List(_) => "a list",
            Kind::Map(_) => "a map",
        }
    }
    /// Its text, if it is text.
    pub(crate) fn text(&self) -> Option<&str> {
        if let Kind::Text(text) = &self.kind { Some(text) } else { None }
    }
    /// Whether it is `null` or nothing.
    pub(crate) const fn is_null(&self) -> bool {
        matches!(self.kind, Kind::Null)
    }
    /// Its elements; none if it is no list.
    pub(crate) fn list(&self) -> &[Self] {
        if let Kind::List(list) = &self.kind { list } else { &[] }
    }
    /// Its members; none if it is no map.
    pub(crate) fn entries(&self) -> &[Entry] {
        if let Kind::Map(entries) = &self.kind { entries } else { &[] }
    }
    /// The value without places.
    pub(crate) fn to_value(&self) -> Value {
        match &self.kind {
            Kind::Null => Value::Null,
            Kind::Bool(bool) => Value::Bool(*bool),
            Kind::Number(number) => Value::Number(number.clone()),
            Kind::Text(text) => Value::String(text.clone()),
            Kind::List(list) => Value::Array(list.iter().map(Self::to_value).collect()),
            Kind::Map(_) => Value::Object(self.to_object()),
        }
    }
    /// Its members without places.
    pub(crate) fn to_object(&self) -> Map<String, Value> {
        self.entries().iter().map(|entry| (entry.key.clone(), entry.value.to_value())).collect()
    }
    /// How many values it holds, itself included, and how deep it is (1 for a value without parts). Long texts count for
    /// more than one, by the memory they take.
    pub(crate) fn measure(&self) -> (usize, usize) {
        let long = |text: &str| text.len() / size_of::<Self>();
        let children: Vec<(usize, usize)> = match &self.kind {
            Kind::Text(text) => return (1 + long(text), 1),
            Kind::List(list) => list.iter().map(Self::measure).collect(),
            Kind::Map(entries) => {
                let of = |entry: &Entry| {
                    let (nodes, depth) = entry.value.measure();
                    (nodes + long(&entry.key), depth)
                };
                entries.iter().map(of).collect()
            }
            _ => Vec::new(),
        };
        let nodes = children.iter().map(|(nodes, _)| nodes).sum::<usize>();
        let depth = children.iter().map(|(_, depth)| *depth).max().unwrap_or(0);
        (nodes + 1, depth + 1)
    }
}

/// Reports keys that come twice and keeps the first of each; shared by the readers of YAML and JSON.
pub(crate) fn without_duplicates(entries: Vec<Entry>, mut report: impl FnMut(&Entry, &Entry)) -> Vec<Entry> {
    let mut kept: Vec<Entry> = Vec::with_capacity(entries.len());
    if entries.len() <= 12 {
        for entry in entries {
            match kept.iter().find(|first| first.key == entry.key) {
                Some(first) => report(first, &entry),
                None => kept.push(entry),
            }
        }
        return kept;
    }
    let mut seen = std::collections::HashMap::<String, usize>::with_capacity(entries.len());
    for entry in entries {
        if let Some(&first) = seen.get(&entry.key) {
            report(&kept[first], &entry);
        } else {
            seen.insert(entry.key.clone(), kept.len());
            kept.push(entry);
        }
    }
    kept
}
