//! From a checked tree to a draft: the nouns of `model`, with needs still by name and places kept for later checks.
//!
//! Everything here takes what is well-formed and passes over what is not: the walker has reported it. What only shows
//! when several keys are seen together is reported here.

use crate::model::defaults::PARALLEL_THRESHOLD;
use crate::model::expression::Expression;
use crate::model::id::Name;
use crate::model::policy::{Limits, Mode, OnThresholdMissed, Recovery};
use crate::model::route::{Route, When};
use crate::model::stream::Streaming;
use crate::model::workflow::Workflow;
use crate::spec::build_agent::{DraftAgent, agents, env};
use crate::spec::build_flow::{Place, Sources, aggregate};
use crate::spec::build_policy::{retry_budget, success};
use crate::spec::build_step::{DraftStep, step};
use crate::spec::diagnostic::Code;
use crate::spec::expressions::{self, Computed};
use crate::spec::faults::Faults;
use crate::spec::source::{LIMITS, Span};
use crate::spec::tables::{DEFAULTS, LIMITS as LIMITS_TABLE, ROUTE, STEP, STEP_IN_MAP, STREAM, TEMPLATE, WORKFLOW};
use crate::spec::tree::{Entry, Kind, Node};
use crate::spec::walk::{Fields, count};
use crate::spec::words::quote;
use indexmap::IndexMap;
use serde_json::Value;

/// A workflow on its way: `workflow` has neither steps nor agents yet.
pub(crate) struct Draft {
    pub(crate) workflow: Workflow,
    pub(crate) steps: Vec<DraftStep>,
    pub(crate) agents: Vec<DraftAgent>,
    /// Names in `limits.capability`, with their places.
    pub(crate) limited: Vec<Span>,
    /// Where `recovery: rollback` stands.
    pub(crate) rollback: Option<Span>,
    /// Where `parallel_threshold` stands beside a mode of the file that has no use for it.
    pub(crate) idle_threshold: Option<Span>,
    /// What the result takes.
    pub(crate) result: Sources,
    /// What is computed, but in steps.
    pub(crate) texts: Vec<Computed>,
    /// Steps that routing steps are done by.
    pub(crate) templates: Vec<DraftStep>,
    pub(crate) routes: Vec<DraftRoute>,
}

/// A way that routing steps may go, and where it stands.
pub(crate) struct DraftRoute {
    pub(crate) route: Route,
    pub(crate) span: Span,
    /// Where each name of its path stands.
    pub(crate) spans: Vec<Span>,
}

/// Builds a draft from the root of a workflow file. `stem` is its id if it names none.
pub(crate) fn workflow(root: &Node, stem: &str, faults: &mut Faults<'_>) -> Draft {
    let fields = Fields::of(&WORKFLOW, root);
    let text = |name: &str| fields.text(name);
    let (limits, limited) = fields.get("limits").map(limits).unwrap_or_default();
    let mode = match text("mode") {
        Some("sequential") => Mode::Sequential,
        Some("hybrid") => Mode::Hybrid,
        Some("auto") => Mode::Auto,
        _ => Mode::Parallel,
    };
    let mode_source = if fields.has("mode") { "the file" } else { "the default" };
    let recovery = match text("recovery") {
        Some("fail_fast") => Recovery::FailFast,
        Some("retry") => Recovery::Retry,
        Some("rollback") => Recovery::Rollback,
        _ => Recovery::Continue,
    };
    let place = |name: &str| fields.get(name).map(|node| node.span);
    let result = fields.get("result").filter(|node| matches!(node.kind, Kind::Map(_)));
    let result = result.map(|node| aggregate(node, Place::Result, faults));
    let (result, sources) = result.map_or((None, Sources::default()), |(made, sources)| (Some(made), sources));
    let idle_threshold =
        if matches!(mode, Mode::Hybrid | Mode::Auto) { None } else { fields.key_span("parallel_threshold") };
    let workflow = Workflow {
        id: text("id").unwrap_or(stem).into(),
        name: text("name").map(str::to_owned),
        description: text("description").map(str::to_owned),
        folder: None,
        start_folder: None,
        data: Value::Object(fields.get("data").map(Node::to_object).unwrap_or_default()),
        env: fields.get("env").map(env).unwrap_or_default(),
        mode,
        parallel_threshold: fields.count("parallel_threshold").unwrap_or(PARALLEL_THRESHOLD),
        mode_source: mode_source.to_owned(),
        limits,
        success: success(&fields),
        recovery,
        on_threshold_missed: match text("on_threshold_missed") {
            Some("retry") => OnThresholdMissed::Retry,
            Some("escalate") => OnThresholdMissed::Escalate,
            _ => OnThresholdMissed::Fail,
        },
        agents: Vec::new(),
        result,
        templates: IndexMap::new(),
        routes: Vec::new(),
        on: fields.get("on").map(event_types).unwrap_or_default(),
        stream: fields.get("stream").filter(|node| matches!(node.kind, Kind::Map(_))).map(stream),
        steps: Vec::new(),
    };
    let agents = fields.get("agents").map(|node| agents(node, faults)).unwrap_or_default();
    let steps = steps(&fields, faults);
    let templates = templates(&fields, faults);
    let routes = fields.get("routes").map_or(&[][..], Node::list).iter().filter_map(route).collect();
    let rollback = place("recovery").filter(|_| recovery == Recovery::Rollback);
    let texts = expressions::of_table(&WORKFLOW, root, &["steps"]);
    Draft { workflow, steps, agents, limited, rollback, idle_threshold, result: sources, texts, templates, routes }
}

/// One text or a list of them, each once.
fn event_types(node: &Node) -> Vec<Name> {
    let mut types: Vec<Name> = Vec::new();
    for text in node.text().into_iter().chain(node.list().iter().filter_map(Node::text)) {
        if !types.iter().any(|known| &**known == text) {
            types.push(text.into());
        }
    }
    types
}

fn stream(node: &Node) -> Streaming {
    let fields = Fields::of(&STREAM, node);
    let usual = Streaming::default();
    Streaming {
        max_in_flight: fields.count("max_in_flight").unwrap_or(usual.max_in_flight),
        ordered: !fields.get("ordered").is_some_and(|node| matches!(node.kind, Kind::Bool(false))),
    }
}

fn limits(node: &Node) -> (Limits, Vec<Span>) {
    let fields = Fields::of(&LIMITS_TABLE, node);
    let capabilities = fields.get("capability").map_or(&[][..], Node::entries);
    let limits = Limits {
        max_parallel: fields.count("max_parallel"),
        deadline: fields.time("deadline"),
        capability: capabilities
            .iter()
            .filter_map(|entry| Some((entry.key.as_str().into(), count(&entry.value)?)))
            .collect(),
        retry_budget: retry_budget(&fields),
    };
    let valid = capabilities.iter().filter(|entry| count(&entry.value).is_some());
    (limits, valid.map(|entry| entry.key_span).collect())
}

/// The words that stand for a kind of input.
const KINDS: [(&str, When); 3] = [
    ("large_data", When::LargeData),
    ("structured_data", When::StructuredData),
    ("streaming_data", When::StreamingData),
];

fn route(node: &Node) -> Option<DraftRoute> {
    let fields = Fields::of(&ROUTE, node);
    let text = fields.text("when")?;
    let kind = KINDS.iter().find(|(word, _)| *word == text.trim()).map(|(_, when)| when.clone());
    let when = kind.or_else(|| Expression::of_source(text).ok().map(When::Filter))?;
    let path = fields.get("path").map_or(&[][..], Node::list);
    let (path, spans) = path.iter().filter_map(|node| Some((Name::from(node.text()?), node.span))).unzip();
    Some(DraftRoute { route: Route { when, path }, span: node.span, spans })
}

/// Keys of `defaults` that have no meaning in templates.
const NOT_OF_TEMPLATES: [&str; 3] = ["needs", "critical", "barrier"];

fn templates(fields: &Fields<'_>, faults: &mut Faults<'_>) -> Vec<DraftStep> {
    let Some(node) = fields.get("templates") else { return Vec::new() };
    let shared = fields.get("defaults").map(|node| Fields::of(&DEFAULTS, node)).unwrap_or_default();
    let shared = Fields::default().over(&shared, |key| !NOT_OF_TEMPLATES.contains(&key));
    let entries = node.entries().iter().filter(|entry| matches!(entry.value.kind, Kind::Map(_)));
    let one = |entry: &Entry| {
        let id = Some((entry.key.as_str(), entry.key_span));
        step(id, Fields::of(&TEMPLATE, &entry.value), &shared, entry.key_span, faults)
    };
    entries.map(one).collect()
}

fn steps(fields: &Fields<'_>, faults: &mut Faults<'_>) -> Vec<DraftStep> {
    let Some(node) = fields.get("steps") else { return Vec::new() };
    let shared = fields.get("defaults").map(|node| Fields::of(&DEFAULTS, node)).unwrap_or_default();
    let found = node.list().len().max(node.entries().len());
    if found > LIMITS.steps {
        let message = format!("{found} steps are more than the {} a workflow may have", LIMITS.steps);
        faults.error(node.span, Code::TooLarge, message);
        return Vec::new();
    }
    if matches!(&node.kind, Kind::Map(entries) if entries.is_empty()) {
        faults.error(node.span, Code::OutOfRange, "`steps` is empty").expected("at least one step");
    }
    let mut steps = Vec::with_capacity(found);
    for node in node.list() {
        if matches!(node.kind, Kind::Map(_)) {
            let own = Fields::of(&STEP, node);
            let id = own.get("id").and_then(|id| Some((id.text()?, id.span)));
            let texts = expressions::of_table(&STEP, node, &[]);
            steps.push(DraftStep { texts, ..step(id, own, &shared, node.span, faults) });
        }
    }
    for entry in node.entries() {
        if matches!(entry.value.kind, Kind::Map(_)) {
            let own = Fields::of(&STEP_IN_MAP, &entry.value);
            if let Some(id) = own.get("id").filter(|id| id.text() != Some(&entry.key)) {
                let message = format!("this step is called {} by its key", quote(&entry.key));
                faults
                    .error(id.span, Code::Conflict, message)
                    .expected("the same id, or none")
                    .suggest(Some(entry.key.clone()));
            }
            let texts = expressions::of_table(&STEP_IN_MAP, &entry.value, &[]);
            let id = Some((entry.key.as_str(), entry.key_span));
            steps.push(DraftStep { texts, ..step(id, own, &shared, entry.key_span, faults) });
        }
    }
    steps
}
