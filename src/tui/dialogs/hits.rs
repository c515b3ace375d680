//! Which steps a command would hit, as far as a view tells: counted and named before anybody says yes.

use crate::model::command::Which;
use crate::model::id::{AgentId, StepId};
use crate::model::step::{NeedOn, Step, Work};
use crate::model::view::{AgentView, EngineView, RunView, StepView};
use std::collections::HashMap;

/// Steps that a command would hit, each in one list only, in the order of their ids.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Hits {
    /// At work now.
    pub(crate) at_work: Vec<StepId>,
    /// Not begun, or waiting.
    pub(crate) open: Vec<StepId>,
    /// At work now, and given to another agent.
    pub(crate) given: Vec<StepId>,
    /// Depend on the success of those that are cancelled.
    pub(crate) dependents: Vec<StepId>,
}

impl Hits {
    /// Whether nothing would happen.
    pub(crate) const fn is_empty(&self) -> bool {
        self.at_work.is_empty() && self.open.is_empty() && self.given.is_empty()
    }
}

/// Whether an agent has what a step asks for.
pub(crate) fn can_do(agent: &AgentView, step: &Step) -> bool {
    match &step.work {
        Work::Agent { agent: name } => agent.name == *name,
        Work::Approval { .. } => false,
        _ => agent.capabilities.iter().any(|capability| **capability == *step.asks_for()),
    }
}

/// Steps that need the success of these, at any distance, and have not ended; in the order of their ids.
pub(crate) fn dependents(run: &RunView, of: &[StepId]) -> Vec<StepId> {
    let mut seen = vec![false; run.steps.len()];
    let mut mark = |step: StepId| seen.get_mut(step.index()).is_some_and(|seen| !std::mem::replace(seen, true));
    of.iter().for_each(|step| {
        mark(*step);
    });
    let (mut open, mut found) = (of.to_vec(), Vec::new());
    while let Some(at) = open.pop() {
        for next in run.shape.dependents.get(at.index()).into_iter().flatten() {
            let needs_success = run
                .workflow
                .steps
                .get(next.index())
                .is_some_and(|step| step.needs.iter().any(|need| need.step == at && need.on == NeedOn::Succeeded));
            let ended = run.steps.get(next.index()).is_none_or(|step| step.state.ended());
            if needs_success && !ended && mark(*next) {
                found.push(*next);
                open.push(*next);
            }
        }
    }
    found.sort_unstable();
    found
}

/// Steps that have not ended, with what the file says about them.
pub(crate) fn unended(run: &RunView) -> impl Iterator<Item = (StepId, &StepView, &Step)> {
    let steps = run.steps.iter().zip(&run.workflow.steps).enumerate();
    steps.filter(|(_, (seen, _))| !seen.state.ended()).map(|(at, (seen, step))| (StepId::from_index(at), seen, step))
}

/// For each step the one agent that may do it, where there is only one.
pub(crate) fn only_ones(view: &EngineView, run: &RunView) -> Vec<Option<AgentId>> {
    let mut known: HashMap<(bool, &str), Option<AgentId>> = HashMap::new();
    let steps = run.steps.iter().zip(&run.workflow.steps);
    let only = steps.map(|(seen, step)| {
        seen.pinned.or_else(|| {
            let asks = (matches!(step.work, Work::Agent { .. }), step.asks_for());
            *known.entry(asks).or_insert_with(|| {
                let mut able = view.agents.iter().filter(|agent| can_do(agent, step));
                able.next().filter(|_| able.next().is_none()).map(|agent| agent.id)
            })
        })
    });
    only.collect()
}

/// The run's steps that an agent works on.
pub(crate) fn worked_on(view: &EngineView, run: &RunView, agent: AgentId) -> Vec<StepId> {
    let busy = view.agents.get(agent.index()).map_or(&[][..], |agent| agent.busy.as_slice());
    let known = |step: &StepId| step.index() < run.steps.len();
    let mut steps: Vec<StepId> = busy.iter().filter(|b| b.run == run.id).map(|b| b.step).filter(known).collect();
    steps.sort_unstable();
    steps.dedup();
    steps
}

/// What a cancel of some steps would hit. `reassign`: what another agent can take is given to it, as far as it is at work.
pub(crate) fn of(view: &EngineView, run: &RunView, which: &Which, reassign: bool) -> Hits {
    let mut hits = Hits::default();
    let meant: Vec<StepId> = match which {
        Which::Agent(agent) => {
            let only = only_ones(view, run);
            let working = worked_on(view, run, *agent);
            unended(run)
                .filter(|(id, _, _)| only[id.index()] == Some(*agent) || working.binary_search(id).is_ok())
                .map(|(id, _, _)| id)
                .collect()
        }
        Which::Capability(name) => unended(run)
            .filter(|(_, _, step)| matches!(&step.work, Work::Capability { capability } if capability == name))
            .map(|(id, _, _)| id)
            .collect(),
        Which::Action(name) => {
            unended(run).filter(|(_, _, step)| step.action.as_ref() == Some(name)).map(|(id, _, _)| id).collect()
        }
        Which::Priority { from, to } => {
            unended(run).filter(|(_, seen, _)| (*from..=*to).contains(&seen.priority)).map(|(id, _, _)| id).collect()
        }
    };
    for id in meant {
        let (seen, step) = (&run.steps[id.index()], run.workflow.step(id));
        let takes = |agent: &AgentView| Some(agent.id) != seen.agent && agent.broken.is_none() && can_do(agent, step);
        if !seen.state.active() {
            hits.open.push(id);
        } else if reassign && seen.pinned.is_none() && view.agents.iter().any(takes) {
            hits.given.push(id);
        } else {
            hits.at_work.push(id);
        }
    }
    let cancelled: Vec<StepId> = hits.at_work.iter().chain(&hits.open).copied().collect();
    hits.dependents = dependents(run, &cancelled);
    hits
}

/// What ending the whole run would hit.
pub(crate) fn of_run(run: &RunView) -> Hits {
    let mut hits = Hits::default();
    for (id, seen, _) in unended(run) {
        if seen.state.active() { hits.at_work.push(id) } else { hits.open.push(id) }
    }
    hits
}
