//! What is computed in a file: every filter with its place, gathered by the tables, and compiled all at once.

use crate::model::expression::{Expression, Fault, Filter};
use crate::spec::diagnostic::Code;
use crate::spec::faults::Faults;
use crate::spec::keys::{Shape, Table};
use crate::spec::source::Span;
use crate::spec::tree::{Kind, Node};
use crate::spec::walk::takes;
use crate::spec::words::clip;
use std::collections::{HashMap, HashSet};
use std::io;

/// Says what is wrong with each of some filters, in their order, without running any. It may fail for want of means.
pub type Compile = fn(&[&str]) -> io::Result<Vec<Result<(), Fault>>>;

/// A text of the file with filters in it that do more than follow a path.
#[derive(Debug)]
pub(crate) struct Computed {
    pub(crate) span: Span,
    pub(crate) text: String,
    pub(crate) filters: Vec<Filter>,
}

/// All of them in a map that follows a table, but for what stands under the keys of `but`.
pub(crate) fn of_table(table: &Table, node: &Node, but: &[&str]) -> Vec<Computed> {
    let mut found = Vec::new();
    in_table(table, node, but, &mut found);
    found
}

fn in_table(table: &Table, node: &Node, but: &[&str], found: &mut Vec<Computed>) {
    for entry in node.entries() {
        if let Some(key) = table.find(&entry.key).filter(|key| !but.contains(&key.name)) {
            in_shape(&key.shape, &entry.value, found);
        }
    }
}

fn in_shape(shape: &Shape, node: &Node, found: &mut Vec<Computed>) {
    match shape {
        Shape::PathOrFilter => add(node, found, |text| Expression::of_source(text).ok()),
        Shape::Filter => add(node, found, |text| Expression::of_filter(text).ok()),
        Shape::Value | Shape::Template | Shape::ArgumentOrFilter => in_texts(node, found),
        Shape::List(element, _) => node.list().iter().for_each(|node| in_shape(element, node, found)),
        Shape::Map(_, value) => node.entries().iter().for_each(|entry| in_shape(value, &entry.value, found)),
        Shape::Table(table) => in_table(table, node, &[], found),
        Shape::Kinds(kinds) => {
            let kind = node.entries().iter().find(|entry| entry.key == "kind").and_then(|entry| entry.value.text());
            if let Some((_, table)) = kinds.iter().find(|(word, _)| Some(word.word) == kind) {
                in_table(table, node, &[], found);
            }
        }
        Shape::Either(shapes) => {
            if let Some(shape) = shapes.iter().find(|shape| takes(shape, node)) {
                in_shape(shape, node, found);
            }
        }
        _ => {}
    }
}

fn in_texts(node: &Node, found: &mut Vec<Computed>) {
    match &node.kind {
        Kind::Text(_) => add(node, found, |text| Expression::of_text(text).ok().flatten()),
        Kind::List(list) => list.iter().for_each(|node| in_texts(node, found)),
        Kind::Map(entries) => entries.iter().for_each(|entry| in_texts(&entry.value, found)),
        _ => {}
    }
}

fn add(node: &Node, found: &mut Vec<Computed>, read: impl Fn(&str) -> Option<Expression>) {
    let Some((text, expression)) = node.text().and_then(|text| Some((text, read(text)?))) else { return };
    let filters: Vec<Filter> = expression.filters().filter(|filter| filter.path().is_none()).cloned().collect();
    if !filters.is_empty() {
        found.push(Computed { span: node.span, text: text.to_owned(), filters });
    }
}

/// The most different filters that are compiled, each for some milliseconds: a file of many more is still read.
const COMPILED_MAX: usize = 10_000;

/// The longest message of a compiler that is repeated: it may quote the filter.
pub(crate) const MESSAGE_MAX: usize = 200;

/// What is wrong with some filters.
#[derive(Debug, Default)]
pub(crate) struct Compiled<'t> {
    faults: HashMap<&'t str, Fault>,
    /// Whether there were more different ones than are compiled.
    pub(crate) some_left: bool,
}

impl<'t> Compiled<'t> {
    /// Compiles all different ones of some filters in one call.
    ///
    /// # Errors
    /// If the compiler cannot work.
    pub(crate) fn of(filters: impl Iterator<Item = &'t str>, compile: Compile) -> io::Result<Self> {
        let mut seen = HashSet::new();
        let mut different: Vec<&str> = filters.filter(|filter| seen.insert(*filter)).take(COMPILED_MAX + 1).collect();
        let some_left = different.len() > COMPILED_MAX;
        different.truncate(COMPILED_MAX);
        if different.is_empty() {
            return Ok(Self::default());
        }
        let results = compile(&different)?;
        let faults = different.into_iter().zip(results).filter_map(|(filter, result)| Some((filter, result.err()?)));
        Ok(Self { faults: faults.collect(), some_left })
    }
    /// What is wrong with one of them.
    pub(crate) fn fault(&self, filter: &str) -> Option<&Fault> {
        self.faults.get(filter)
    }
}

/// Compiles the filters of a file in one call, and reports each fault at its place.
pub(crate) fn compile<'c>(all: impl Iterator<Item = &'c Computed>, compile: Option<Compile>, faults: &mut Faults<'_>) {
    let Some(compile) = compile else { return };
    let all: Vec<&Computed> = all.collect();
    let Some(first) = all.first() else { return };
    let compiled = match Compiled::of(all.iter().flat_map(|one| &one.filters).map(Filter::text), compile) {
        Ok(compiled) => compiled,
        Err(error) => {
            let message = format!("the filters of this file cannot be checked: {error}");
            faults.error(first.span, Code::BadFilter, message).expected("enough memory for one more thread");
            return;
        }
    };
    for one in &all {
        let mut places = faults.places(one.span, &one.text);
        for filter in &one.filters {
            if let Some(fault) = compiled.fault(filter.text()) {
                let place = places.of(filter.at() + fault.at);
                faults.error(place, Code::BadFilter, clip(&fault.message, MESSAGE_MAX));
            }
        }
    }
    if compiled.some_left {
        let message = format!("only the first {COMPILED_MAX} different filters of this file were looked at");
        faults.note(first.span, Code::BadFilter, message);
    }
}
