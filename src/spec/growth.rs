//! Steps that join a running graph: read from what a step returned, or from a line that a person wrote, by the tables of
//! the workflow file. One fault refuses all of them.

use crate::model::growth::NewStep;
use crate::model::id::Name;
use crate::model::step::Work;
use crate::spec::build_step::{DraftStep, step};
use crate::spec::cycle::{NAMED_MAX, circle, knots};
use crate::spec::data;
use crate::spec::diagnostic::{Code, Diagnostic, Severity};
use crate::spec::expressions::{self, Compile, Compiled, Computed, MESSAGE_MAX};
use crate::spec::faults::Faults;
use crate::spec::source::{Source, Span};
use crate::spec::tables::STEP;
use crate::spec::tree::{Entry, Kind, Node};
use crate::spec::walk::{self, Fields};
use crate::spec::words::{NearestName, any_of, clip, join, nearest, quote};
use serde_json::Value;
use std::collections::{HashMap, HashSet};

/// The keys that such a step may have.
const KEYS: [&str; 14] = [
    "id",
    "capability",
    "action",
    "with",
    "input",
    "output",
    "needs",
    "if",
    "timeout",
    "retry",
    "priority",
    "estimate",
    "for_each",
    "description",
];

/// Capabilities that a message names.
const ALLOWED_SHOWN: usize = 12;

/// What such steps have to keep to.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'r> {
    /// The capabilities they may ask for.
    pub allowed: &'r [Name],
    /// The most steps that one output may bring.
    pub max: usize,
    /// The names of the steps that the run has: new ones differ from them, and may need them.
    pub names: &'r [Name],
    /// Says what is wrong with filters; without it nobody looks whether they are jq.
    pub compile: Option<Compile>,
}

/// Reads the member `steps` of what a step returned. Steps that say nothing of `needs` need nothing here.
///
/// # Errors
/// A sentence that names the first step at fault, and its key.
pub fn steps(output: &Value, rules: &Rules<'_>) -> Result<Vec<NewStep>, String> {
    let list = match output.get("steps") {
        Some(Value::Array(list)) => list,
        Some(other) => {
            return Err(format!("`steps` of the output has to be a list, found {}", node(other).type_word()));
        }
        None => return Err("the output has no `steps`: an object with a list of them is expected".to_owned()),
    };
    if list.len() > rules.max {
        return Err(format!("the output brings {} steps; at most {} may join at once", list.len(), rules.max));
    }
    let source = Source::new("output", "");
    let mut read = Vec::with_capacity(list.len());
    for (at, value) in list.iter().enumerate() {
        let node = node(value);
        let who = who(&node).unwrap_or_else(|| format!("number {} of `steps`", at + 1));
        let mut faults = Faults::new(&source);
        let step = one_step(&node, &mut faults);
        read.push(finish(step, faults, |fault| format!("step {who}: {}", sentence(&fault)))?);
    }
    together(read, rules)
}

/// Reads one step from a line of JSON or YAML.
///
/// # Errors
/// A sentence that says what is wrong, and where.
pub fn one(text: &str, rules: &Rules<'_>) -> Result<NewStep, String> {
    let source = Source::new("step", text);
    let mut faults = Faults::new(&source);
    let node = data::tree(&source, &mut faults);
    let step = node.as_ref().and_then(|node| one_step(node, &mut faults));
    let read = finish(step, faults, |fault| format!("column {}: {}", fault.column, sentence(&fault)))?;
    let mut all = together(vec![read], rules)?;
    all.pop().ok_or_else(|| "there is no step".to_owned())
}

/// A step on its way, and what is computed in it.
type Read = (DraftStep, Vec<Computed>);

/// What was read, unless something refuses it.
fn finish(step: Option<Read>, faults: Faults<'_>, say: impl Fn(Diagnostic) -> String) -> Result<Read, String> {
    let fault = faults.finish().0.into_iter().find(|fault| fault.severity == Severity::Error);
    match (fault, step) {
        (Some(fault), _) => Err(say(fault)),
        (None, Some(step)) => Ok(step),
        (None, None) => Err("there is no step".to_owned()),
    }
}

fn sentence(fault: &Diagnostic) -> String {
    let expected = fault.expected.as_ref().map_or(String::new(), |expected| format!("; expected {expected}"));
    let near = fault.suggestion.as_ref().map_or(String::new(), |near| format!("; did you mean `{near}`?"));
    format!("{}{expected}{near}", fault.message)
}

/// The name of a step, for messages.
fn who(node: &Node) -> Option<String> {
    let id = node.entries().iter().find(|entry| STEP.find(&entry.key).is_some_and(|key| key.name == "id"))?;
    id.value.text().map(quote)
}

/// Reads one step by itself.
fn one_step(node: &Node, faults: &mut Faults<'_>) -> Option<Read> {
    if !matches!(node.kind, Kind::Map(_)) {
        let message = format!("a step has to be a map, found {}", node.type_word());
        faults.error(node.span, Code::WrongType, message).expected("a map such as `{id: more, capability: search}`");
        return None;
    }
    let allowed = |key: &str| STEP.find(key).is_some_and(|key| KEYS.contains(&key.name));
    for entry in node.entries().iter().filter(|entry| !allowed(&entry.key)) {
        let message = format!("a step that joins a running graph cannot have the key {}", quote(&entry.key));
        faults
            .error(entry.key_span, Code::UnknownKey, message)
            .expected(any_of(&KEYS))
            .suggest(nearest(&entry.key, KEYS));
    }
    if faults.any_error() {
        return None;
    }
    walk::table(&STEP, node, node.span, faults);
    let fields = Fields::of(&STEP, node);
    if !fields.has("capability") {
        faults
            .error(node.span, Code::MissingKey, "it does not say what it asks for")
            .expected("`capability: …`, what any agent has to be able to do");
        return None;
    }
    let id = fields.get("id").and_then(|id| Some((id.text()?, id.span)));
    let draft = step(id, fields.clone(), &Fields::default(), node.span, faults);
    Some((draft, expressions::of_table(&STEP, node, &[])))
}

/// What only shows when all are known: names, circles, capabilities, and whether filters are jq.
fn together(read: Vec<Read>, rules: &Rules<'_>) -> Result<Vec<NewStep>, String> {
    let taken: HashSet<String> = rules.names.iter().map(|name| name.to_lowercase()).collect();
    let mut new = HashSet::with_capacity(read.len());
    for (draft, _) in &read {
        let id = draft.step.id.to_lowercase();
        if taken.contains(&id) {
            return Err(format!("step {}: the run has a step of this name already", quote(&draft.step.id)));
        }
        if !new.insert(id) {
            return Err(format!("step {}: it is there twice (letter case does not count)", quote(&draft.step.id)));
        }
    }
    for (draft, _) in &read {
        asks(draft, rules)?;
    }
    needs(&read, rules)?;
    filters(&read, rules)?;
    let joins = read.into_iter().map(|(draft, _)| {
        let mut seen = HashSet::new();
        let needs = draft.needs.into_iter().filter(|need| seen.insert(need.name.clone()));
        NewStep { needs: needs.map(|need| (Name::from(need.name.as_str()), need.on)).collect(), step: draft.step }
    });
    Ok(joins.collect())
}

/// Refuses a capability that is not allowed.
fn asks(draft: &DraftStep, rules: &Rules<'_>) -> Result<(), String> {
    let Work::Capability { capability } = &draft.step.work else { return Ok(()) };
    if rules.allowed.contains(capability) {
        return Ok(());
    }
    let near = nearest(capability, rules.allowed.iter().map(|name| &**name));
    let near = near.map_or(String::new(), |near| format!("; did you mean {}?", quote(&near)));
    let shown: Vec<String> = rules.allowed.iter().take(ALLOWED_SHOWN).map(|name| quote(name)).collect();
    let more = if rules.allowed.len() > shown.len() { ", …" } else { "" };
    let allowed = if shown.is_empty() { "none".to_owned() } else { join(shown, "or") + more };
    let (id, capability) = (quote(&draft.step.id), quote(capability));
    Err(format!("step {id}: `capability` {capability} cannot be asked for; allowed are {allowed}{near}"))
}

/// Refuses needs that nobody meets, and circles.
fn needs(read: &[Read], rules: &Rules<'_>) -> Result<(), String> {
    let known: HashSet<&str> = rules.names.iter().map(|name| &**name).collect();
    let new: HashMap<&str, usize> = read.iter().enumerate().map(|(at, (draft, _))| (&*draft.step.id, at)).collect();
    let mut edges = Vec::with_capacity(read.len());
    for (draft, _) in read {
        let mut own = Vec::new();
        for need in &draft.needs {
            match new.get(need.name.as_str()) {
                Some(at) => own.push(*at),
                None if known.contains(need.name.as_str()) => {}
                None => {
                    let names: Vec<&str> = read
                        .iter()
                        .map(|(draft, _)| &*draft.step.id)
                        .chain(rules.names.iter().map(|name| &**name))
                        .collect();
                    let near = NearestName::default().of(&need.name, names.into_iter());
                    let near = near.map_or(String::new(), |near| format!("; did you mean {}?", quote(&near)));
                    let (id, name) = (quote(&draft.step.id), quote(&need.name));
                    return Err(format!(
                        "step {id}: `needs` names {name}, which is neither a step of the run nor one of the new ones{near}"
                    ));
                }
            }
        }
        edges.push(own);
    }
    let Some(knot) = knots(&edges).into_iter().next() else { return Ok(()) };
    let mut knot_of = vec![usize::MAX; edges.len()];
    knot.iter().for_each(|&step| knot_of[step] = 0);
    let circle = circle(&edges, &knot_of, 0, knot[0]);
    let names: Vec<&str> = circle.iter().chain(&circle[..1]).take(NAMED_MAX).map(|&at| &*read[at].0.step.id).collect();
    Err(format!("the new steps wait for each other: {}", names.join(" -> ")))
}

/// Refuses filters that are not jq.
fn filters(read: &[Read], rules: &Rules<'_>) -> Result<(), String> {
    let Some(compile) = rules.compile else { return Ok(()) };
    let texts = || read.iter().flat_map(|(draft, texts)| texts.iter().map(move |one| (draft, one)));
    let filters = || texts().flat_map(|(draft, one)| one.filters.iter().map(move |filter| (draft, filter.text())));
    let compiled = Compiled::of(filters().map(|(_, filter)| filter), compile)
        .map_err(|error| format!("the filters of the new steps cannot be checked: {error}"))?;
    for (draft, filter) in filters() {
        if let Some(fault) = compiled.fault(filter) {
            let id = quote(&draft.step.id);
            let (filter, message) = (quote(filter), clip(&fault.message, MESSAGE_MAX));
            return Err(format!("step {id}: the filter {filter}: {message} (at byte {})", fault.at));
        }
    }
    if compiled.some_left { Err("the new steps hold too many filters".to_owned()) } else { Ok(()) }
}

/// A value as the tables see it; it has no places.
fn node(value: &Value) -> Node {
    let kind = match value {
        Value::Null => Kind::Null,
        Value::Bool(bool) => Kind::Bool(*bool),
        Value::Number(number) => Kind::Number(number.clone()),
        Value::String(text) => Kind::Text(text.clone()),
        Value::Array(list) => Kind::List(list.iter().map(node).collect()),
        Value::Object(members) => {
            let entry = |(key, value): (&String, &Value)| Entry {
                key: key.clone(),
                key_span: Span::default(),
                value: node(value),
            };
            Kind::Map(members.iter().map(entry).collect())
        }
    };
    Node { span: Span::default(), kind }
}
