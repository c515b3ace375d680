//! Who does a step: one thing out of several, and which keys go with it.

use crate::model::step::{Decision, Work};
use crate::spec::build_flow::{Place, Sources, aggregate};
use crate::spec::computed::EXPRESSION;
use crate::spec::diagnostic::Code;
use crate::spec::faults::Faults;
use crate::spec::policy_tables::APPROVAL;
use crate::spec::source::Span;
use crate::spec::tables::{WORK_BUILT, WORK_KEYS};
use crate::spec::tree::Node;
use crate::spec::walk::Fields;
use crate::spec::words::{any_of, join};

/// Keys that only `run` and `command` have a use for.
const PROCESS_KEYS: [&str; 3] = ["cwd", "env", "stdout"];
/// Keys about agents and their attempts: neither a person nor an aggregate has any of them.
const AGENT_KEYS: [&str; 17] = [
    "action",
    "with",
    "input",
    "required",
    "idle_timeout",
    "retry",
    "fallback",
    "idempotent",
    "on_unknown",
    "on_cancel",
    "compensate",
    "barrier",
    "lock",
    "semaphore",
    "resources",
    "parallel_safe",
    "expand",
];
/// Keys that an aggregate has besides: a person has none of them.
const COMPUTED_KEYS: [&str; 4] = ["timeout", "estimate", "on_exhausted", "expect"];

/// What a step does, where that is said, and its keys with the shared ones that go with it.
pub(crate) struct Chosen<'n> {
    pub(crate) work: Work,
    pub(crate) span: Span,
    pub(crate) fields: Fields<'n>,
    /// What an aggregate takes.
    pub(crate) sources: Sources,
}

/// Chooses it from a step's own keys, else from those that all steps share. `owner` is the place of the step.
pub(crate) fn choose<'n>(own: Fields<'n>, shared: &Fields<'n>, owner: Span, faults: &mut Faults<'_>) -> Chosen<'n> {
    let mine = ways(&own, &WORK_KEYS);
    let chosen = if mine.is_empty() { ways(shared, &WORK_KEYS) } else { mine.clone() };
    let source = if mine.is_empty() { shared } else { &own };
    let nothing = Work::Run { line: String::new() };
    more_than_one("a step", &chosen, source, owner, faults);
    let Some((way, node)) = chosen.first().and_then(|&way| Some((way, source.get(way)?))) else {
        faults
            .error(owner, Code::MissingKey, "this step does nothing")
            .expected(format!("one of {}", any_of(&WORK_KEYS[..WORK_BUILT])));
        let fields = own.over(shared, |key| !PROCESS_KEYS.contains(&key));
        return Chosen { work: nothing, span: owner, fields, sources: Sources::default() };
    };
    let is_known = WORK_KEYS[..WORK_BUILT].contains(&way);
    let (work, sources) = match way {
        "aggregate" => {
            let (aggregate, sources) = aggregate(node, Place::Step, faults);
            (Work::Aggregate(Box::new(aggregate)), sources)
        }
        _ => (of(way, node, faults), Sources::default()),
    };
    let refused: &[&[&str]] = match work {
        _ if !is_known => &[],
        Work::Run { .. } | Work::Command { .. } => &[],
        Work::Approval { .. } => &[&PROCESS_KEYS, &AGENT_KEYS, &COMPUTED_KEYS],
        Work::Aggregate(_) | Work::Uses { .. } | Work::Route => &[&PROCESS_KEYS, &AGENT_KEYS],
        Work::Capability { .. } | Work::Agent { .. } => &[&PROCESS_KEYS],
    };
    for key in refused.iter().flat_map(|keys| keys.iter()) {
        if let Some(place) = own.key_span(key) {
            misplaced(key, way, &work, place, faults);
        }
    }
    let refused = |key: &str| refused.iter().any(|keys| keys.contains(&key));
    let is_process = matches!(work, Work::Run { .. } | Work::Command { .. }) && is_known;
    let keep = |key: &str| !WORK_KEYS.contains(&key) && !refused(key) && (is_process || !PROCESS_KEYS.contains(&key));
    Chosen { work, span: node.span, fields: own.over(shared, keep), sources }
}

/// Reports a key that does not go with the work of its step.
fn misplaced(key: &str, way: &str, work: &Work, place: Span, faults: &mut Faults<'_>) {
    let (message, way_out) = match work {
        Work::Approval { .. } => (
            format!("`{key}` has no meaning beside `approval`: a person answers, and no agent is asked"),
            if key == "timeout" { "`timeout` inside `approval`" } else { "the key left out" },
        ),
        Work::Aggregate(_) => (
            format!(
                "`{key}` has no meaning beside `aggregate`: what is there is brought together, and no agent is asked"
            ),
            if key == "input" { "`from` inside `aggregate`" } else { "the key left out, or a step of its own" },
        ),
        _ => (
            format!("`{key}` goes with `run` and `command`, this step has `{way}`"),
            "the key left out, or set where the agent is described",
        ),
    };
    faults.error(place, Code::Conflict, message).expected(way_out);
}

/// The keys among `all` that are given and say who does it.
pub(crate) fn ways(fields: &Fields<'_>, all: &[&'static str]) -> Vec<&'static str> {
    all.iter().copied().filter(|key| fields.has(key)).collect()
}

/// Reports more than one way for `what`.
pub(crate) fn more_than_one(what: &str, ways: &[&str], source: &Fields<'_>, owner: Span, faults: &mut Faults<'_>) {
    if ways.len() > 1 {
        let all = join(ways.iter().map(|key| format!("`{key}`")).collect(), "and");
        let place = source.key_span(ways[1]).unwrap_or(owner);
        faults
            .error(place, Code::Conflict, format!("{what} does one thing, this one has {all}"))
            .expected("one of them");
    }
}

/// The work that the key `way` stands for; an empty line for a way that is not built.
pub(crate) fn of(way: &str, node: &Node, faults: &mut Faults<'_>) -> Work {
    let text = || node.text().unwrap_or("").to_owned();
    match way {
        "command" => {
            let first = node.list().first();
            if let Some(program) = first.filter(|node| node.text().is_some_and(|text| text.contains(EXPRESSION))) {
                faults
                    .error(program.span, Code::Conflict, "which program is started is not computed")
                    .expected("the program's name; what follows it may be computed");
            }
            Work::Command { argv: node.list().iter().map(|part| part.text().unwrap_or("").to_owned()).collect() }
        }
        "capability" => Work::Capability { capability: text().into() },
        "agent" => Work::Agent { agent: text().into() },
        "approval" => approval(node, faults),
        "run" => Work::Run { line: text() },
        _ => Work::Run { line: String::new() },
    }
}

fn approval(node: &Node, faults: &mut Faults<'_>) -> Work {
    let fields = Fields::of(&APPROVAL, node);
    let default =
        fields.text("default").map(|word| if word == "approve" { Decision::Approve } else { Decision::Reject });
    if let (Some(place), false) = (fields.key_span("timeout"), fields.has("default")) {
        faults
            .warning(place, Code::NoEffect, "`timeout` has no effect without `default`: an answer is waited for")
            .expected("`default: approve` or `default: reject` beside it");
    }
    if let (Some(place), false) = (fields.key_span("default"), fields.has("timeout")) {
        faults
            .warning(place, Code::NoEffect, "`default` has no effect without `timeout`: an answer is waited for")
            .expected("a `timeout` beside it");
    }
    Work::Approval { prompt: fields.text("prompt").unwrap_or("").to_owned(), timeout: fields.time("timeout"), default }
}
