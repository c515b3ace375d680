//! Steps from the tree: what they do, what they need, and the defaults of the contract for all that is left out.

use crate::model::completion::FailureClass;
use crate::model::defaults;
use crate::model::id::Name;
use crate::model::mapping::{InputMapping, OutputMapping, Path};
use crate::model::policy::{Jitter, OnUnknown, RetryPolicy};
use crate::model::step::{Fallback, NeedOn, StdoutMode, Step, Work};
use crate::spec::build_agent::{env, flag, number};
use crate::spec::diagnostic::Code;
use crate::spec::faults::Faults;
use crate::spec::source::Span;
use crate::spec::tables::{FALLBACK, NEED, RETRY, WORK_KEYS};
use crate::spec::tree::{Kind, Node};
use crate::spec::walk::{Fields, count, duration_of};
use crate::spec::words::{any_of, join, nearest, quote};

/// Keys that only `run` and `command` have a use for.
const PROCESS_KEYS: [&str; 3] = ["cwd", "env", "stdout"];

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
    /// Where each fallback names its agent or capability.
    pub(crate) fallback_spans: Vec<Span>,
    /// Where each path of `input` stands, in the order of the step's mappings.
    pub(crate) input_spans: Vec<Span>,
    /// Where each path of `output` stands.
    pub(crate) output_spans: Vec<Span>,
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
    let (work, asks_span, fields) = work(own, shared, id.map_or(owner, |(_, span)| span), faults);
    let text = |name: &str| fields.get(name).and_then(Node::text);
    let is_process = matches!(work, Work::Run { .. } | Work::Command { .. });
    let time = |name: &str| fields.get(name).and_then(|node| duration_of(node).ok());
    let estimate = time("estimate");
    let timeout = match fields.get("timeout") {
        Some(node) if node.text() == Some("off") => None,
        Some(node) => duration_of(node).ok(),
        None => Some(defaults::timeout(is_process, estimate)),
    };
    let (input, input_spans) = inputs(&fields, faults);
    let (output, output_spans) = outputs(&fields);
    let (fallback, fallback_spans) = fallbacks(&fields, faults);
    let step = Step {
        name: text("name").map(str::to_owned),
        description: text("description").map(str::to_owned),
        group: text("group").map(str::to_owned),
        action: text("action").map(Into::into),
        with: fields.get("with").map(Node::to_object).unwrap_or_default(),
        cwd: text("cwd").map(str::to_owned),
        env: fields.get("env").map(env).unwrap_or_default(),
        stdout: match text("stdout") {
            Some("json") => StdoutMode::Json,
            Some("text") => StdoutMode::Text,
            _ => StdoutMode::Auto,
        },
        needs: Vec::new(),
        input,
        output,
        timeout,
        retry: retry(&fields, is_process, faults),
        priority: fields.get("priority").and_then(priority).unwrap_or(defaults::PRIORITY),
        critical: flag(&fields, "critical"),
        fallback,
        estimate,
        measured: None,
        on_unknown: match text("on_unknown") {
            Some("ask") => OnUnknown::Ask,
            Some("retry") => OnUnknown::Retry,
            Some("fail") => OnUnknown::Fail,
            _ if flag(&fields, "idempotent") => OnUnknown::Retry,
            _ => OnUnknown::Ask,
        },
        ..Step::new(id.map_or("", |(id, _)| id), work)
    };
    DraftStep {
        named: id.is_some_and(|(id, _)| crate::spec::units::is_id(id)),
        span: id.map_or(owner, |(_, span)| span),
        needs: fields.get("needs").map(needs).unwrap_or_default(),
        step,
        asks_span,
        fallback_spans,
        input_spans,
        output_spans,
    }
}

/// What the step does, where that is said, and its keys with the shared ones that go with it.
fn work<'n>(own: Fields<'n>, shared: &Fields<'n>, owner: Span, faults: &mut Faults<'_>) -> (Work, Span, Fields<'n>) {
    let chosen = |fields: &Fields<'_>| WORK_KEYS.iter().copied().filter(|key| fields.has(key)).collect::<Vec<_>>();
    let mine = chosen(&own);
    let ways = if mine.is_empty() { chosen(shared) } else { mine.clone() };
    let source = if mine.is_empty() { shared } else { &own };
    let nothing = Work::Run { line: String::new() };
    if ways.len() > 1 {
        let both = join(ways.iter().map(|key| format!("`{key}`")).collect(), "and");
        let place = source.key_span(ways[1]).unwrap_or(owner);
        faults
            .error(place, Code::Conflict, format!("a step does one thing, this one has {both}"))
            .expected("one of them");
    }
    let Some(&way) = ways.first() else {
        faults
            .error(owner, Code::MissingKey, "this step does nothing")
            .expected(format!("one of {}", any_of(&WORK_KEYS[..4])));
        return (nothing, owner, own.over(shared, |key| !PROCESS_KEYS.contains(&key)));
    };
    let node = source.get(way).expect("chosen because it is there");
    let text = || node.text().unwrap_or("").to_owned();
    let work = match way {
        "run" => Work::Run { line: text() },
        "command" => {
            Work::Command { argv: node.list().iter().map(|part| part.text().unwrap_or("").to_owned()).collect() }
        }
        "capability" => Work::Capability { capability: text().into() },
        "agent" => Work::Agent { agent: text().into() },
        _ => nothing,
    };
    let is_process = matches!(way, "run" | "command");
    let is_known = is_process || matches!(way, "capability" | "agent");
    for key in PROCESS_KEYS.iter().filter(|_| is_known && !is_process) {
        if let Some(place) = own.key_span(key) {
            let message = format!("`{key}` goes with `run` and `command`, this step has `{way}`");
            faults
                .error(place, Code::Conflict, message)
                .expected("the key left out, or set where the agent is described");
        }
    }
    let span = node.span;
    let keep = |key: &str| !WORK_KEYS.contains(&key) && (is_process || !PROCESS_KEYS.contains(&key));
    (work, span, own.over(shared, keep))
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

fn inputs(fields: &Fields<'_>, faults: &mut Faults<'_>) -> (Vec<InputMapping>, Vec<Span>) {
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
        let path = Path::parse(entry.value.text()?).ok()?;
        let required = required.iter().any(|node| node.text() == Some(&entry.key));
        Some((InputMapping { key: entry.key.clone(), path, required }, entry.value.span))
    });
    mappings.unzip()
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

fn retry(fields: &Fields<'_>, is_process: bool, faults: &mut Faults<'_>) -> RetryPolicy {
    let usual = if is_process { defaults::PROCESS_RETRIES } else { defaults::AGENT_RETRIES };
    let Some(node) = fields.get("retry") else { return defaults::retry(usual) };
    if let Some(limit) = count(node) {
        return defaults::retry(limit);
    }
    let fields = Fields::of(&RETRY, node);
    let time = |name: &str| fields.get(name).and_then(|node| duration_of(node).ok());
    let mut policy = defaults::retry(defaults::AGENT_RETRIES);
    policy.limit = fields.get("limit").and_then(count).unwrap_or(policy.limit);
    policy.interval = time("interval").unwrap_or(policy.interval);
    policy.backoff = number(&fields, "backoff").unwrap_or(policy.backoff);
    policy.max_interval = time("max_interval").unwrap_or(policy.max_interval.max(policy.interval));
    if policy.max_interval < policy.interval
        && let Some(node) = fields.get("max_interval")
    {
        faults
            .error(node.span, Code::OutOfRange, "`max_interval` is shorter than `interval`")
            .expected("at least `interval`");
    }
    policy.jitter = match fields.get("jitter").and_then(Node::text) {
        Some("equal") => Jitter::Equal,
        Some("none") => Jitter::None,
        _ => policy.jitter,
    };
    policy.on = fields.get("on").map(|node| classes(node, faults));
    policy
}

fn classes(node: &Node, faults: &mut Faults<'_>) -> Vec<FailureClass> {
    let mut classes = Vec::new();
    for node in node.list() {
        let Some(class) = FailureClass::ALL.into_iter().find(|class| Some(class.word()) == node.text()) else {
            continue;
        };
        if !class.retryable() {
            let message = format!("a failure of class `{}` is never retried", class.word());
            faults.warning(node.span, Code::NoEffect, message);
        }
        classes.push(class);
    }
    classes
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
