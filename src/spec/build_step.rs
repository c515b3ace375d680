//! Steps from the tree: what they do, what they need, and the defaults of the contract for all that is left out.

use crate::model::defaults;
use crate::model::expression::Expression;
use crate::model::id::Name;
use crate::model::mapping::{InputMapping, OutputMapping};
use crate::model::path::Path;
use crate::model::policy::{OnCancel, OnExhausted, OnUnknown};
use crate::model::step::{Fallback, NeedOn, StdoutMode, Step, Work};
use crate::model::time::Micros;
use crate::spec::build_agent::env;
use crate::spec::build_compensation::compensation;
use crate::spec::build_flow::{Read, Sources, expand, expect, for_each, read};
use crate::spec::build_policy::{resources, retry, semaphore};
use crate::spec::build_work::choose;
use crate::spec::diagnostic::Code;
use crate::spec::expressions::Computed;
use crate::spec::faults::Faults;
use crate::spec::source::Span;
use crate::spec::tables::{FALLBACK, NEED};
use crate::spec::tree::{Kind, Node};
use crate::spec::walk::{Fields, count};
use crate::spec::words::{nearest, quote};

/// A step on its way: its needs are still names.
pub(crate) struct DraftStep {
    pub(crate) step: Step,
    /// Where its id stands, or the step itself if it has none.
    pub(crate) span: Span,
    /// Whether its id can be referred to.
    pub(crate) named: bool,
    pub(crate) needs: Vec<DraftNeed>,
    /// Where the agent or capability is named.
    pub(crate) asks_span: Span,
    /// Where its compensation does.
    pub(crate) undo_span: Span,
    /// Where the values stand that are compared with those of other steps and of agents.
    pub(crate) places: Places,
    /// Where each fallback names its agent or capability.
    pub(crate) fallback_spans: Vec<Span>,
    /// Places in the data that are read, and where each is named.
    pub(crate) reads: Vec<Read>,
    /// What an aggregate takes.
    pub(crate) sources: Sources,
    /// Where each capability stands that steps of its output may ask for.
    pub(crate) allow_spans: Vec<Span>,
    /// What is computed.
    pub(crate) texts: Vec<Computed>,
    /// Where each path of `output` stands.
    pub(crate) output_spans: Vec<Span>,
}

/// Places of values, where they are given.
#[derive(Clone, Copy, Default)]
pub(crate) struct Places {
    pub(crate) barrier: Span,
    pub(crate) semaphore: Span,
    pub(crate) resources: Span,
    pub(crate) pivot: Span,
}

/// A need by name.
pub(crate) struct DraftNeed {
    pub(crate) name: String,
    pub(crate) on: NeedOn,
    pub(crate) span: Span,
}

/// Builds one step from its own keys and those that all steps share.
pub(crate) fn step(
    id: Option<(&str, Span)>,
    own: Fields<'_>,
    shared: &Fields<'_>,
    owner: Span,
    faults: &mut Faults<'_>,
) -> DraftStep {
    let asks_for_undo = own.has("on_cancel");
    let span = id.map_or(owner, |(_, span)| span);
    let chosen = choose(own, shared, span, faults);
    let undo = compensation(id.map_or("", |(id, _)| id), &chosen, shared, faults);
    let (undo, undo_span) = undo.map_or((None, chosen.span), |(step, span)| (Some(Box::new(step)), span));
    let (fields, asks_span) = (chosen.fields, chosen.span);
    let input = inputs(&fields, faults);
    let (expand, allow_spans) = expand(&fields);
    let (output, output_spans) = outputs(&fields);
    let (fallback, fallback_spans) = fallbacks(&fields, faults);
    let step = Step {
        input,
        output,
        fallback,
        on_cancel: on_cancel(&fields, asks_for_undo, faults),
        compensate: undo,
        for_each: for_each(&fields, faults),
        expect: expect(&fields, faults),
        expand,
        ..of_one_key_each(Step::new(id.map_or("", |(id, _)| id), chosen.work), &fields, faults)
    };
    alone_at_a_barrier(&step, &fields, faults);
    let place = |name: &str| fields.get(name).map_or(Span::default(), |node| node.span);
    DraftStep {
        named: id.is_some_and(|(id, _)| crate::spec::units::is_id(id)),
        span,
        needs: fields.get("needs").map(needs).unwrap_or_default(),
        places: Places {
            barrier: place("barrier"),
            semaphore: place("semaphore"),
            resources: place("resources"),
            pivot: place("pivot"),
        },
        step,
        asks_span,
        undo_span,
        fallback_spans,
        reads: reads(&fields, chosen.sources.read.as_ref()),
        sources: chosen.sources,
        allow_spans,
        texts: Vec::new(),
        output_spans,
    }
}

/// What can never start: alone, and together with others.
fn alone_at_a_barrier(step: &Step, fields: &Fields<'_>, faults: &mut Faults<'_>) {
    if let Some(place) = fields.key_span("barrier").filter(|_| step.alone) {
        faults
            .error(
                place,
                Code::Conflict,
                "`barrier` and `parallel_safe: false` exclude each other: a barrier's steps start together",
            )
            .expected("one of the two");
    }
}

/// The places in the data that a step reads.
fn reads(fields: &Fields<'_>, from: Option<&Read>) -> Vec<Read> {
    let mapped = fields.get("input").map_or(&[][..], Node::entries).iter().filter_map(|entry| {
        match Expression::of_source(entry.value.text()?) {
            Ok(Expression::Path(path)) => Some((path, entry.value.span)),
            _ => None,
        }
    });
    let own = ["if", "for_each"].into_iter().filter_map(|key| read(fields, key));
    own.chain(from.cloned()).chain(mapped).collect()
}

/// Fills in what is read from one key each.
fn of_one_key_each(step: Step, fields: &Fields<'_>, faults: &mut Faults<'_>) -> Step {
    let text = |name: &str| fields.text(name);
    let estimate = fields.time("estimate");
    let timeout = timeout(&step, fields, estimate, faults);
    Step {
        name: text("name").map(str::to_owned),
        description: text("description").map(str::to_owned),
        group: text("group").map(str::to_owned),
        action: text("action").map(Into::into),
        condition: text("if").and_then(|text| Expression::of_source(text).ok()),
        alone: fields.get("parallel_safe").is_some_and(|node| matches!(node.kind, Kind::Bool(false))),
        with: fields.get("with").map(Node::to_object).unwrap_or_default(),
        cwd: text("cwd").map(str::to_owned),
        env: fields.get("env").map(env).unwrap_or_default(),
        stdout: match text("stdout") {
            Some("json") => StdoutMode::Json,
            Some("text") => StdoutMode::Text,
            _ => StdoutMode::Auto,
        },
        timeout,
        idle_timeout: fields.time("idle_timeout"),
        retry: retry(fields, usual_retries(&step.work), defaults::AGENT_RETRIES, faults),
        priority: fields.get("priority").and_then(priority).unwrap_or(defaults::PRIORITY),
        critical: fields.flag("critical"),
        estimate,
        on_unknown: match text("on_unknown") {
            Some("ask") => OnUnknown::Ask,
            Some("retry") => OnUnknown::Retry,
            Some("fail") => OnUnknown::Fail,
            _ if fields.flag("idempotent") => OnUnknown::Retry,
            _ => OnUnknown::Ask,
        },
        pivot: fields.flag("pivot"),
        on_exhausted: if text("on_exhausted") == Some("pause") { OnExhausted::Pause } else { OnExhausted::Fail },
        barrier: text("barrier").map(Into::into),
        lock: text("lock").map(Into::into),
        semaphore: semaphore(fields),
        resources: resources(fields, 0.0, faults),
        ..step
    }
}

const fn usual_retries(work: &Work) -> u32 {
    match work {
        Work::Run { .. } | Work::Command { .. } => defaults::PROCESS_RETRIES,
        Work::Capability { .. } | Work::Agent { .. } => defaults::AGENT_RETRIES,
        Work::Approval { .. } | Work::Aggregate(_) | Work::Uses { .. } | Work::Route => 0,
    }
}

/// The longest time of an attempt; a person has none.
fn timeout(step: &Step, fields: &Fields<'_>, estimate: Option<Micros>, faults: &mut Faults<'_>) -> Option<Micros> {
    if step.is_approval() {
        return None;
    }
    let timeout = match fields.get("timeout") {
        Some(_) => fields.time("timeout"),
        None => Some(defaults::timeout(step.is_process(), estimate)),
    };
    if let (Some(node), Some(idle), Some(whole)) = (fields.get("idle_timeout"), fields.time("idle_timeout"), timeout)
        && idle >= whole
    {
        faults
            .warning(node.span, Code::NoEffect, "`idle_timeout` never strikes: `timeout` is not longer")
            .expected("less than `timeout`, 30 s or more if left out (10 min for `run` and `command`)");
    }
    timeout
}

/// What becomes of the work of a cancelled step. `own`: the step itself says so, so it has to have something to undo it.
fn on_cancel(fields: &Fields<'_>, own: bool, faults: &mut Faults<'_>) -> OnCancel {
    let Some(node) = fields.get("on_cancel").filter(|node| node.text() == Some("compensate")) else {
        return OnCancel::Leave;
    };
    if fields.has("compensate") {
        return OnCancel::Compensate;
    }
    if own {
        faults
            .error(node.span, Code::MissingKey, "`on_cancel: compensate` needs `compensate`")
            .expected("`compensate` beside it, which says how the step is undone");
    }
    OnCancel::Leave
}

fn needs(node: &Node) -> Vec<DraftNeed> {
    let plain = |node: &Node| Some(DraftNeed { name: node.text()?.to_owned(), on: NeedOn::Succeeded, span: node.span });
    match &node.kind {
        Kind::Text(_) => plain(node).into_iter().collect(),
        Kind::List(list) => list.iter().filter_map(plain).collect(),
        Kind::Map(entries) => entries
            .iter()
            .map(|entry| {
                let on = match Fields::of(&NEED, &entry.value).get("on").and_then(Node::text) {
                    Some("completed") => NeedOn::Completed,
                    Some("failed") => NeedOn::Failed,
                    _ => NeedOn::Succeeded,
                };
                DraftNeed { name: entry.key.clone(), on, span: entry.key_span }
            })
            .collect(),
        _ => Vec::new(),
    }
}

fn inputs(fields: &Fields<'_>, faults: &mut Faults<'_>) -> Vec<InputMapping> {
    let entries = fields.get("input").map_or(&[][..], Node::entries);
    let required: Vec<&Node> = fields.get("required").map_or(&[][..], Node::list).iter().collect();
    for key in required.iter().filter_map(|node| Some((node.text()?, node.span))) {
        if !entries.iter().any(|entry| entry.key == key.0) {
            let near = nearest(key.0, entries.iter().map(|entry| entry.key.as_str()));
            let message = format!("{} is required, but `input` does not give it", quote(key.0));
            faults.error(key.1, Code::UnknownKey, message).expected("a key of `input`").suggest(near);
        }
    }
    let mappings = entries.iter().filter_map(|entry| {
        let source = Expression::of_source(entry.value.text()?).ok()?;
        let required = required.iter().any(|node| node.text() == Some(&entry.key));
        Some(InputMapping { key: entry.key.clone(), source, required })
    });
    mappings.collect()
}

fn outputs(fields: &Fields<'_>) -> (Vec<OutputMapping>, Vec<Span>) {
    let entries = fields.get("output").map_or(&[][..], Node::entries);
    let mappings = entries.iter().filter_map(|entry| {
        let path = Path::parse(entry.value.text()?).ok()?;
        Some((OutputMapping { field: entry.key.clone(), path }, entry.value.span))
    });
    mappings.unzip()
}

fn fallbacks(fields: &Fields<'_>, faults: &mut Faults<'_>) -> (Vec<Fallback>, Vec<Span>) {
    let list = fields.get("fallback").map_or(&[][..], Node::list);
    let mut all = Vec::with_capacity(list.len());
    for node in list.iter().filter(|node| matches!(node.kind, Kind::Map(_))) {
        let fields = Fields::of(&FALLBACK, node);
        let given = ["agent", "capability", "value"].into_iter().filter(|key| fields.has(key)).collect::<Vec<_>>();
        let [way] = given[..] else {
            let message = if given.is_empty() { "this fallback names nothing" } else { "a fallback names one thing" };
            faults.error(node.span, Code::Conflict, message).expected("one of `agent`, `capability` or `value`");
            continue;
        };
        let node = fields.get(way).expect("given, as just seen");
        let name = || Name::from(node.text().unwrap_or(""));
        let fallback = match way {
            "agent" => Fallback::Agent(name()),
            "capability" => Fallback::Capability(name()),
            _ => Fallback::Value(node.to_value()),
        };
        all.push((fallback, node.span));
    }
    all.into_iter().unzip()
}

fn priority(node: &Node) -> Option<u8> {
    if let Some(text) = node.text() {
        return defaults::PRIORITY_NAMES.iter().find(|(name, _)| *name == text).map(|(_, priority)| *priority);
    }
    count(node).and_then(|priority| u8::try_from(priority).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::Micros;

    #[test]
    fn the_tables_and_the_model_name_the_same_priorities_and_times() {
        let node = |text: &str| Node { span: Span::default(), kind: Kind::Text(text.to_owned()) };
        assert_eq!(
            ["low", "normal", "high", "urgent"].map(|word| priority(&node(word))),
            [Some(25), Some(50), Some(75), Some(90)]
        );
        assert_eq!(defaults::timeout(false, Some(Micros::from_secs(20))), Micros::from_secs(60));
    }
}
