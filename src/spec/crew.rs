//! Everybody who can do the work: the agents of all files together, and what is asked of nobody.

use crate::model::agent::{Agent, AgentKind, Builtin};
use crate::model::id::Name;
use crate::model::step::{Fallback, Work};
use crate::spec::build::Draft;
use crate::spec::build_agent::DraftAgent;
use crate::spec::build_step::DraftStep;
use crate::spec::diagnostic::Code;
use crate::spec::faults::Faults;
use crate::spec::sharing;
use crate::spec::source::Span;
use crate::spec::words::{nearest, quote};
use std::collections::{HashMap, HashSet};

/// The agents of a workflow and of all that it uses.
#[derive(Debug, Default)]
pub(crate) struct Crew {
    pub(crate) agents: Vec<Agent>,
    names: Vec<Name>,
    offered: Vec<Name>,
    /// Some have faults of their own: what they have is not known.
    unsure: bool,
    /// What each agent of a file is, and where: by its id without regard to case.
    known: HashMap<String, (Option<Agent>, String)>,
}

impl Crew {
    /// Takes in the agents of a file; those of `--agents` stand in for them.
    pub(crate) fn join(&mut self, agents: &[DraftAgent], agents_file: &[Agent], faults: &mut Faults<'_>) {
        for mine in agents {
            let lower = mine.id.to_lowercase();
            let replacement = agents_file.iter().find(|agent| agent.id.eq_ignore_ascii_case(&mine.id));
            if let Some((agent, place)) = self.known.get(&lower) {
                let differs = replacement.is_none() && mine.agent.is_some() && agent.is_some() && *agent != mine.agent;
                // Two of one file are reported there.
                if differs && !place.starts_with(&format!("{}:", faults.name())) {
                    let message = format!(
                        "agent {} is another one in {place}, which uses this file or is used with it",
                        quote(&mine.id)
                    );
                    faults
                        .error(mine.span, Code::DuplicateId, message)
                        .expected("the same agent in both files, one of another id, or one entry left out");
                }
                continue;
            }
            let place = format!("{}:{}", faults.name(), faults.line(mine.span));
            self.known.insert(lower, (mine.agent.clone(), place));
            self.unsure |= mine.agent.is_none();
            self.names.push(replacement.map_or(&mine.id, |agent| &agent.id).clone());
            self.offered.extend(replacement.map_or(&mine.capabilities, |agent| &agent.capabilities).iter().cloned());
            if let Some(agent) = replacement.or(mine.agent.as_ref()) {
                self.agents.push(agent.clone());
                replaces_builtin(agent, mine.span, faults);
            }
        }
    }

    /// Takes in those of `--agents` that stand in for nobody, then the built-in ones.
    pub(crate) fn complete(&mut self, agents_file: &[Agent]) {
        for agent in agents_file.iter().filter(|agent| !self.known.contains_key(&agent.id.to_lowercase())) {
            self.names.push(agent.id.clone());
            self.offered.extend(agent.capabilities.iter().cloned());
            self.agents.push(agent.clone());
        }
        for builtin in Builtin::NAMED {
            // Where an agent of the file offers the same, the built-in one is not there.
            if !self.offered.iter().any(|name| &**name == builtin.capability()) {
                self.names.push(builtin.agent_id().into());
                self.offered.push(builtin.capability().into());
            }
        }
    }

    /// Looks for work of a file that nobody can do.
    pub(crate) fn check(&self, draft: &Draft, faults: &mut Faults<'_>) {
        let names: HashSet<&str> = self.names.iter().map(|name| &**name).collect();
        let offered: HashSet<&str> = self.offered.iter().map(|name| &**name).collect();
        for step in draft.steps.iter().chain(&draft.templates) {
            for (is_agent, name, span) in asked_of(step) {
                match is_agent {
                    true if !names.contains(&**name) && crate::spec::units::is_id(name) => {
                        self.no_agent(name, span, faults);
                    }
                    false if !offered.contains(&**name) && crate::spec::units::is_name(name) => {
                        self.no_capability(name, span, faults);
                    }
                    _ => {}
                }
            }
        }
        let allowed = draft
            .steps
            .iter()
            .filter_map(|step| Some(step.step.expand.as_ref()?.allow.iter().flatten().zip(&step.allow_spans)));
        for (name, span) in allowed.flatten() {
            if !offered.contains(&**name) && crate::spec::units::is_name(name) {
                self.no_capability(name, *span, faults);
            }
        }
        for (name, span) in draft.workflow.limits.capability.keys().zip(&draft.limited) {
            if !offered.contains(&**name) {
                self.no_capability(name, *span, faults);
            }
        }
        if !self.unsure {
            sharing::resources(draft, &self.agents, faults);
        }
    }
    fn no_agent(&self, name: &str, span: Span, faults: &mut Faults<'_>) {
        let near = nearest(name, self.names.iter().map(|name| &**name));
        let fault = faults.error(span, Code::UnknownAgent, format!("there is no agent {}", quote(name)));
        fault.expected("the id of an agent of `agents` or of the option --agents").suggest(near);
    }
    fn no_capability(&self, name: &str, span: Span, faults: &mut Faults<'_>) {
        let near = nearest(name, self.offered.iter().map(|name| &**name));
        let fault = faults.error(span, Code::UnknownCapability, format!("no agent has the capability {}", quote(name)));
        fault.expected("a capability of an agent of `agents` or of the option --agents").suggest(near);
    }
}

fn replaces_builtin(agent: &Agent, span: Span, faults: &mut Faults<'_>) {
    if matches!(agent.kind, AgentKind::Builtin { .. }) {
        return;
    }
    for builtin in Builtin::NAMED {
        if agent.capabilities.iter().any(|name| &**name == builtin.capability()) {
            let message =
                format!("agent {} takes the place of the built-in agent `{}`", quote(&agent.id), builtin.capability());
            faults.note(span, Code::ReplacesBuiltin, message);
        }
    }
}

/// Whether one agent is asked, or any with a capability; its name; and where that stands.
type Asked<'d> = (bool, &'d Name, Span);

/// Whom a step asks: for itself, to be undone, and when all else has failed.
fn asked_of(draft: &DraftStep) -> Vec<Asked<'_>> {
    let fallbacks =
        draft.step.fallback.iter().zip(&draft.fallback_spans).filter_map(|(fallback, span)| match fallback {
            Fallback::Agent(name) => Some((true, name, *span)),
            Fallback::Capability(name) => Some((false, name, *span)),
            Fallback::Value(_) => None,
        });
    let undo = draft.step.compensate.as_deref().and_then(|undo| asked(&undo.work, draft.undo_span));
    asked(&draft.step.work, draft.asks_span).into_iter().chain(undo).chain(fallbacks).collect()
}

const fn asked(work: &Work, span: Span) -> Option<Asked<'_>> {
    match work {
        Work::Agent { agent } => Some((true, agent, span)),
        Work::Capability { capability } => Some((false, capability, span)),
        Work::Run { .. }
        | Work::Command { .. }
        | Work::Approval { .. }
        | Work::Aggregate(_)
        | Work::Uses { .. }
        | Work::Route => None,
    }
}
