//! What only shows when all steps and agents are known: names that nobody has, circles, and work nobody can do.

use crate::model::agent::{Agent, AgentKind, Builtin};
use crate::model::id::{Name, StepId};
use crate::model::policy::Mode;
use crate::model::step::{Fallback, Need, Work};
use crate::model::workflow::Workflow;
use crate::spec::barrier;
use crate::spec::build::Draft;
use crate::spec::build_step::DraftStep;
use crate::spec::cycle;
use crate::spec::diagnostic::Code;
use crate::spec::expressions::{self, Compile};
use crate::spec::faults::Faults;
use crate::spec::flow;
use crate::spec::outputs;
use crate::spec::sharing;
use crate::spec::source::{LIMITS, Span};
use crate::spec::sources;
use crate::spec::together;
use crate::spec::words::{NearestName, nearest, quote};
use std::collections::{HashMap, HashSet};

/// Ties a draft together. `Some` only if nothing refuses the file.
pub(crate) fn finish(
    mut draft: Draft,
    agents_file: &[Agent],
    agents_needed: bool,
    cores: u32,
    compile: Option<Compile>,
    faults: &mut Faults<'_>,
) -> Option<Workflow> {
    let ids = ids(&draft.steps, faults);
    let edges: usize = draft.steps.iter().map(|step| step.needs.len() + step.sources.steps.len()).sum();
    if edges > LIMITS.edges {
        let message = format!("{edges} needs are more than the {} a workflow may have", LIMITS.edges);
        faults.error(draft.steps[0].span, Code::TooLarge, message);
        return None;
    }
    let (mut needs, mut need_spans) = needs(&draft.steps, &ids, faults);
    sources::resolve(&mut draft, &ids, &mut needs, &mut need_spans, faults);
    if !cycle::report(&draft.steps, &needs, &need_spans, faults) {
        barrier::report(&draft.steps, &needs, faults);
    }
    sharing::semaphores(&draft.steps, faults);
    without_effect(&draft, faults);
    outputs::report(&draft, &ids, faults);
    let texts = draft.texts.iter().chain(draft.steps.iter().flat_map(|step| &step.texts));
    expressions::compile(texts, compile, faults);
    agents(&mut draft, agents_file, agents_needed, faults);
    if faults.any_error() {
        return None;
    }
    flow::warn(&draft, &needs, &ids, faults);
    let meetings = if agents_needed { together::meetings(&draft.steps) } else { Vec::new() };
    let Draft { mut workflow, steps, .. } = draft;
    workflow.steps = steps
        .into_iter()
        .zip(needs)
        .map(|(draft, needs)| {
            let mut step = draft.step;
            step.needs = needs;
            step
        })
        .collect();
    workflow.add_builtins(cores);
    together::warn(&meetings, &workflow, faults);
    Some(workflow)
}

/// Warns about what a workflow declares for a case that cannot come.
fn without_effect(draft: &Draft, faults: &mut Faults<'_>) {
    if let Some(place) = draft.idle_threshold
        && !matches!(draft.workflow.mode, Mode::Hybrid | Mode::Auto)
    {
        faults
            .warning(place, Code::NoEffect, "only the modes `hybrid` and `auto` look at `parallel_threshold`")
            .expected("`mode: hybrid` or `mode: auto` beside it");
    }
    if draft.steps.iter().any(|step| step.step.compensate.is_some()) {
        return;
    }
    let way_out = "`compensate` at the steps whose work can be undone";
    if let Some(place) = draft.rollback {
        faults
            .warning(place, Code::NoEffect, "nothing can be rolled back: no step says how it is undone")
            .expected(way_out);
    }
    for step in draft.steps.iter().filter(|step| step.step.pivot) {
        faults
            .warning(step.places.pivot, Code::NoEffect, "`pivot` has no effect: no step says how it is undone")
            .expected(way_out);
    }
}

/// The index of every id; ids that are there twice keep their first.
fn ids(steps: &[DraftStep], faults: &mut Faults<'_>) -> HashMap<Name, StepId> {
    let mut ids = HashMap::with_capacity(steps.len());
    let mut lower: HashMap<String, usize> = HashMap::with_capacity(steps.len());
    for (at, draft) in steps.iter().enumerate().filter(|(_, draft)| draft.named) {
        if let Some(&first) = lower.get(&draft.step.id.to_lowercase()) {
            let line = faults.line(steps[first].span);
            let same = if steps[first].step.id == draft.step.id { "" } else { " without regard to case" };
            let message = format!("step {} is there twice{same}, first in line {line}", quote(&draft.step.id));
            faults.error(draft.span, Code::DuplicateId, message).expected("an id of its own for every step");
        } else {
            lower.insert(draft.step.id.to_lowercase(), at);
        }
        ids.entry(draft.step.id.clone()).or_insert(StepId::from_index(at));
    }
    ids
}

/// The needs by index, and where each stands.
fn needs(
    steps: &[DraftStep],
    ids: &HashMap<Name, StepId>,
    faults: &mut Faults<'_>,
) -> (Vec<Vec<Need>>, Vec<Vec<Span>>) {
    let mut nearest = NearestName::default();
    let mut all = Vec::with_capacity(steps.len());
    let mut spans = Vec::with_capacity(steps.len());
    for draft in steps {
        let mut found: Vec<Need> = Vec::with_capacity(draft.needs.len());
        let mut places = Vec::with_capacity(draft.needs.len());
        let mut seen = HashSet::new();
        for need in draft.needs.iter().filter(|need| crate::spec::units::is_id(&need.name)) {
            let Some(&step) = ids.get(need.name.as_str()) else {
                let near = nearest.of(&need.name, steps.iter().map(|step| &*step.step.id));
                let message = format!("step {} needs {}, which is no step", quote(&draft.step.id), quote(&need.name));
                faults.error(need.span, Code::UnknownStep, message).expected("the id of a step").suggest(near);
                continue;
            };
            let again =
                if draft.needs.len() <= 16 { found.iter().any(|other| other.step == step) } else { !seen.insert(step) };
            if again {
                let message = format!("{} is needed already", quote(&need.name));
                faults.warning(need.span, Code::NoEffect, message);
                continue;
            }
            found.push(Need { step, on: need.on });
            places.push(need.span);
        }
        all.push(found);
        spans.push(places);
    }
    (all, spans)
}

/// Puts the agents together (those of `--agents` win) and looks for work that nobody can do.
fn agents(draft: &mut Draft, agents_file: &[Agent], agents_needed: bool, faults: &mut Faults<'_>) {
    let mut names: Vec<Name> = Vec::new();
    let mut offered: Vec<Name> = Vec::new();
    for mine in &draft.agents {
        let replacement = agents_file.iter().find(|agent| agent.id.eq_ignore_ascii_case(&mine.id));
        names.push(replacement.map_or(&mine.id, |agent| &agent.id).clone());
        offered.extend(replacement.map_or(&mine.capabilities, |agent| &agent.capabilities).iter().cloned());
        if let Some(agent) = replacement.or(mine.agent.as_ref()) {
            draft.workflow.agents.push(agent.clone());
            replaces_builtin(agent, mine.span, faults);
        }
    }
    for agent in agents_file {
        if !draft.agents.iter().any(|mine| mine.id.eq_ignore_ascii_case(&agent.id)) {
            names.push(agent.id.clone());
            offered.extend(agent.capabilities.iter().cloned());
            draft.workflow.agents.push(agent.clone());
        }
    }
    for builtin in Builtin::NAMED {
        // Where an agent of the file offers the same, the built-in one is not there.
        if !offered.iter().any(|name| &**name == builtin.capability()) {
            names.push(builtin.agent_id().into());
            offered.push(builtin.capability().into());
        }
    }
    if agents_needed {
        Offers { names, offered }.check(draft, faults);
        sharing::resources(draft, &draft.workflow.agents, faults);
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
const fn asked(work: &Work, span: Span) -> Option<(bool, &Name, Span)> {
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

/// What may be asked for.
struct Offers {
    names: Vec<Name>,
    offered: Vec<Name>,
}

impl Offers {
    fn check(&self, draft: &Draft, faults: &mut Faults<'_>) {
        let names: HashSet<&str> = self.names.iter().map(|name| &**name).collect();
        let offered: HashSet<&str> = self.offered.iter().map(|name| &**name).collect();
        for step in &draft.steps {
            let fallbacks =
                step.step.fallback.iter().zip(&step.fallback_spans).filter_map(|(fallback, span)| match fallback {
                    Fallback::Agent(name) => Some((true, name, *span)),
                    Fallback::Capability(name) => Some((false, name, *span)),
                    Fallback::Value(_) => None,
                });
            let work = asked(&step.step.work, step.asks_span);
            let undo = step.step.compensate.as_deref().and_then(|undo| asked(&undo.work, step.undo_span));
            for (is_agent, name, span) in work.into_iter().chain(undo).chain(fallbacks) {
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
