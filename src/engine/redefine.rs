//! A run that goes on under another definition: what has ended stays, by the names of its steps; the rest begins anew.

use super::run::{StepRun, new_run};
use super::world::World;
use crate::model::id::{RunId, StepId};
use crate::model::state::{SkipReason, StepState};
use crate::model::workflow::Workflow;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Puts the definition in the place of the old one. Data, attempts and figures of the run stay.
pub(crate) fn redefine(world: &mut World, id: RunId, workflow: &Arc<Workflow>) {
    let agents = workflow.agents.iter().map(|agent| world.registry.put(agent)).collect();
    let run = world.run_mut(id);
    let fresh = new_run(id, run.name.clone(), workflow.clone(), run.seed, agents);
    let old = std::mem::replace(run, fresh);
    let places: BTreeMap<&str, StepId> = old.workflow.step_ids().map(|at| (&*old.spec(at).id, at)).collect();
    let moved = |at: StepId| workflow.find(&old.spec(at).id);
    for at in workflow.step_ids() {
        let Some(before) = places.get(&*workflow.step(at).id).map(|place| old.step(*place)) else { continue };
        let blank = run.step(at).clone();
        *run.step_mut(at) = carried(before, blank, moved);
    }
    (run.seq, run.state, run.status, run.cause) = (old.seq, old.state, old.status, old.cause);
    (run.started, run.ended, run.paused_since) = (old.started, old.ended, old.paused_since);
    (run.paused_for, run.deadline_moved, run.resumes) = (old.paused_for, old.deadline_moved, old.resumes);
    (run.critical_failed, run.fresh_failure, run.data) = (old.critical_failed, old.fresh_failure, old.data.clone());
    (run.active_max, run.attempts, run.retries) = (old.active_max, old.attempts, old.retries);
    (run.fallbacks, run.faults, run.busy, run.usage) = (old.fallbacks, old.faults, old.busy, old.usage);
    run.agents_used.clone_from(&old.agents_used);
    run.recount();
}

/// An ended step as it was; another one keeps its attempts, so that their numbers are never given twice.
fn carried(before: &StepRun, blank: StepRun, moved: impl Fn(StepId) -> Option<StepId>) -> StepRun {
    let skip = match before.skip {
        None => Some(None),
        Some(SkipReason::Upstream { need }) => moved(need).map(|need| Some(SkipReason::Upstream { need })),
        Some(SkipReason::NotNeeded { need }) => moved(need).map(|need| Some(SkipReason::NotNeeded { need })),
    };
    match skip {
        Some(skip) if before.state.ended() => StepRun {
            skip,
            cancelled_by: before.cancelled_by.and_then(moved),
            unmet: 0,
            class: blank.class,
            priority: blank.priority,
            ..before.clone()
        },
        _ => StepRun {
            state: StepState::Pending,
            attempts: before.attempts,
            log: before.log.clone(),
            hit: before.hit,
            injected: before.injected,
            ..blank
        },
    }
}
