//! Who does a step: one thing out of several, and which keys go with it.

use crate::model::step::{Decision, Work};
use crate::spec::build_flow::{Place, Sources, aggregate};
use crate::spec::computed::EXPRESSION;
use crate::spec::diagnostic::Code;
use crate::spec::faults::Faults;
use crate::spec::policy_tables::APPROVAL;
use crate::spec::source::Span;
use crate::spec::tables::WORK_KEYS;
use crate::spec::tree::{Kind, Node};
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

/// What a step that is made of others is told; `required` belongs to `input`.
const TOLD_KEYS: [&str; 3] = ["with", "input", "required"];
/// What else an agent's step has and a step made of others has not.
const OTHER_KEYS: [&str; 5] = ["timeout", "on_exhausted", "expect", "pivot", "estimate"];

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
            .expected(format!("one of {}", any_of(&WORK_KEYS)));
        let fields = own.over(shared, |key| !PROCESS_KEYS.contains(&key));
        return Chosen { work: nothing, span: owner, fields, sources: Sources::default() };
    };
    let (work, sources) = match way {
        "aggregate" => {
            let (aggregate, sources) = aggregate(node, Place::Step, faults);
            (Work::Aggregate(Box::new(aggregate)), sources)
        }
        _ => (of(way, node, faults), Sources::default()),
    };
    let refused = refused_beside(&work);
    for key in &refused {
        if let Some(place) = own.key_span(key) {
            misplaced(key, way, &work, place, faults);
        }
    }
    let keep = |key: &str| !WORK_KEYS.contains(&key) && !refused.contains(&key);
    Chosen { work, span: node.span, fields: own.over(shared, keep), sources }
}

/// Keys that do not go with a kind of work.
fn refused_beside(work: &Work) -> Vec<&'static str> {
    let agents = || PROCESS_KEYS.iter().chain(&AGENT_KEYS).copied();
    let of_others = || agents().filter(|key| !TOLD_KEYS.contains(key)).chain(OTHER_KEYS);
    match work {
        Work::Run { .. } | Work::Command { .. } => Vec::new(),
        Work::Capability { .. } | Work::Agent { .. } => PROCESS_KEYS.to_vec(),
        Work::Approval { .. } => agents().chain(COMPUTED_KEYS).collect(),
        Work::Aggregate(_) => agents().collect(),
        Work::Uses { .. } => of_others().filter(|key| *key != "estimate").collect(),
        Work::Route => of_others().collect(),
    }
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
        Work::Uses { .. } => (
            format!("`{key}` has no meaning beside `uses`: the steps of the other workflow say it for themselves"),
            "the key left out, or set in the file that is used",
        ),
        Work::Route => (
            format!("`{key}` has no meaning beside `route`: the templates of the path say it for themselves"),
            "the key left out, or set at the templates",
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

/// The work that the key `way` stands for.
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
        // What it says is read when all files are known.
        "uses" => Work::Uses { file: text(), workflow: Box::default() },
        "route" => {
            if matches!(node.kind, Kind::Bool(false)) {
                faults
                    .error(node.span, Code::Conflict, "`route: false` says that nothing is done")
                    .expected("`route: true`, or the key left out and another way to do the step");
            }
            Work::Route
        }
        _ => Work::Run { line: text() },
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
