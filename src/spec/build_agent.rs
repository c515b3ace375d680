//! Agents from the tree.

use crate::model::agent::{Agent, AgentKind, Builtin, ProcessAgent, Script, Simulated};
use crate::model::defaults;
use crate::model::id::Name;
use crate::model::policy::Resources;
use crate::model::step::{EnvMap, EnvValue};
use crate::spec::agent_tables::{COMMON_TABLE, ENV_FROM, PROCESS_TABLE, SCRIPT, SIMULATED_TABLE};
use crate::spec::build_policy::{breaker, health, rate_limit, resources};
use crate::spec::diagnostic::Code;
use crate::spec::faults::Faults;
use crate::spec::source::Span;
use crate::spec::tree::{Entry, Node};
use crate::spec::walk::Fields;
use crate::spec::words::{any_of, quote};
use std::collections::HashMap;

/// Ids that begin like this belong to the built-in agents.
const RESERVED: &str = "builtin.";

/// An agent of the file. Its id and capabilities count even if the rest of it is at fault, so that nothing that refers
/// to it is reported as well.
pub(crate) struct DraftAgent {
    pub(crate) id: Name,
    pub(crate) capabilities: Vec<Name>,
    pub(crate) span: Span,
    pub(crate) agent: Option<Agent>,
}

/// All agents of a map.
pub(crate) fn agents(node: &Node, faults: &mut Faults<'_>) -> Vec<DraftAgent> {
    let mut seen: HashMap<String, Span> = HashMap::new();
    let mut drafts = Vec::with_capacity(node.entries().len());
    for entry in node.entries() {
        if let Some(first) = seen.insert(entry.key.to_lowercase(), entry.key_span) {
            let line = faults.line(first);
            let message =
                format!("agent {} is there twice without regard to case, first in line {line}", quote(&entry.key));
            faults.error(entry.key_span, Code::DuplicateId, message);
        }
        if entry.key.to_lowercase().starts_with(RESERVED) {
            let message = format!("ids that begin with `{RESERVED}` belong to the built-in agents");
            faults.error(entry.key_span, Code::BadText, message).expected("another id");
        }
        drafts.push(agent(entry, faults));
    }
    drafts
}

fn agent(entry: &Entry, faults: &mut Faults<'_>) -> DraftAgent {
    let fields = Fields::of(COMMON_TABLE, &entry.value);
    let mut capabilities: Vec<Name> = Vec::new();
    for name in fields.get("capabilities").map_or(&[][..], Node::list).iter().filter_map(Node::text) {
        if !capabilities.iter().any(|known| &**known == name) {
            capabilities.push(name.into());
        }
    }
    let kind = match fields.text("kind") {
        Some("simulated") => Some(AgentKind::Simulated(simulated(&Fields::of(SIMULATED_TABLE, &entry.value)))),
        Some("process") => Some(AgentKind::Process(process(&Fields::of(PROCESS_TABLE, &entry.value)))),
        Some("builtin") => builtin(entry, &fields, &mut capabilities, faults),
        _ => None,
    };
    let health = health(&fields, faults);
    let resources = resources(&fields, Resources::UNBOUNDED, faults);
    let agent = kind.map(|kind| {
        let usual = Agent::new(entry.key.as_str(), kind, "");
        Agent {
            capabilities: capabilities.clone(),
            slots: fields.count("slots").unwrap_or(defaults::SLOTS),
            weight: fields.number("weight").unwrap_or(1.0),
            backup: fields.flag("backup"),
            allow_faults: fields.flag("allow_faults"),
            breaker: breaker(&fields, usual.breaker, faults),
            rate_limit: rate_limit(&fields),
            health,
            resources,
            ..usual
        }
    });
    DraftAgent { id: entry.key.as_str().into(), capabilities, span: entry.key_span, agent }
}

fn script(fields: &Fields<'_>) -> Script {
    Script {
        duration: fields.time("duration"),
        output: fields.get("output").map(Node::to_value),
        fail_rate: fields.number("fail_rate"),
    }
}

fn simulated(fields: &Fields<'_>) -> Simulated {
    let entries = fields.get("script").map_or(&[][..], Node::entries);
    Simulated {
        speed: fields.number("speed").unwrap_or(1.0),
        jitter: fields.number("jitter").unwrap_or(0.0),
        default: script(fields),
        script: entries
            .iter()
            .map(|entry| (entry.key.as_str().into(), script(&Fields::of(&SCRIPT, &entry.value))))
            .collect(),
    }
}

fn process(fields: &Fields<'_>) -> ProcessAgent {
    let argv = fields.get("command").map_or(&[][..], Node::list);
    ProcessAgent {
        command: argv.iter().filter_map(Node::text).map(str::to_owned).collect(),
        cwd: fields.text("cwd").map(str::to_owned),
        env: fields.get("env").map(env).unwrap_or_default(),
        grace: fields.time("grace").unwrap_or(defaults::GRACE),
    }
}

/// Which built-in agent an entry stands for: the one that `capabilities` names, else the one its id names.
fn builtin(
    entry: &Entry,
    fields: &Fields<'_>,
    capabilities: &mut Vec<Name>,
    faults: &mut Faults<'_>,
) -> Option<AgentKind> {
    if capabilities.is_empty() && !fields.has("capabilities") {
        capabilities.push(entry.key.as_str().into());
    }
    let place = fields.get("capabilities").map_or(entry.key_span, |node| node.span);
    let named: Vec<Builtin> =
        Builtin::NAMED.into_iter().filter(|b| capabilities.iter().any(|name| &**name == b.capability())).collect();
    let [builtin] = named[..] else {
        let names = Builtin::NAMED.map(Builtin::capability);
        faults
            .error(place, Code::BadText, "it is not clear which built-in agent this is")
            .expected(format!("exactly one of {} in `capabilities`, or as the id", any_of(&names)));
        return None;
    };
    Some(AgentKind::Builtin { builtin })
}

/// Variables, in the order of the file.
pub(crate) fn env(node: &Node) -> EnvMap {
    let value = |node: &Node| match node.text() {
        Some(text) => Some(EnvValue::Text(text.to_owned())),
        None => {
            let fields = Fields::of(&ENV_FROM, node);
            let name = fields.text("env")?.to_owned();
            Some(EnvValue::FromEnv { name, masked: !fields.flag("plain") })
        }
    };
    node.entries().iter().filter_map(|entry| Some((entry.key.clone(), value(&entry.value)?))).collect()
}
