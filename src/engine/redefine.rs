//! A run that goes on under another definition: what has ended stays, by the names of its steps; the rest begins anew.

use super::make::new_run;
use super::run::{Checkpoint, StepRun};
use super::world::World;
use crate::model::id::{RunId, StepId};
use crate::model::policy::Mode;
use crate::model::state::{SkipReason, StepState};
use crate::model::workflow::Workflow;
use std::sync::Arc;

/// Puts the definition in the place of the old one. `moved`: where each step of the old one is now. Data, attempts and
/// figures of the run stay.
pub(crate) fn redefine(world: &mut World, id: RunId, workflow: &Arc<Workflow>, moved: &[Option<StepId>]) {
    let agents = workflow.agents.iter().map(|agent| world.registry.put(agent)).collect();
    let run = world.run_mut(id);
    let fresh = new_run(id, run.name.clone(), workflow.clone(), run.seed, agents);
    let old = std::mem::replace(run, fresh);
    let place = |at: StepId| moved.get(at.index()).copied().flatten();
    for at in old.step_ids() {
        if let Some(to) = place(at) {
            let blank = run.step(to).clone();
            *run.step_mut(to) = carried(old.step(at), blank, place);
        }
    }
    (run.seq, run.state, run.status, run.cause) = (old.seq, old.state, old.status, old.cause);
    (run.started, run.ended, run.paused_since) = (old.started, old.ended, old.paused_since);
    (run.paused_for, run.deadline_moved, run.resumes) = (old.paused_for, old.deadline_moved, old.resumes);
    (run.fresh_failure, run.data) = (old.fresh_failure, old.data);
    run.meters = old.meters;
    (run.mode, run.mode_reason) = match workflow.mode {
        Mode::Auto => (old.mode, old.mode_reason),
        mode => (mode, workflow.mode_reason()),
    };
    (run.retried, run.question, run.accepted) = (old.retried, old.question, old.accepted);
    run.result_asked = old.result_asked;
    run.scopes = old.scopes;
    run.item = old.item;
    run.routed = old.routed.into_iter().filter_map(|(step, made)| Some((place(step)?, made))).collect();
    // Other steps may stand in it: what is to be undone and where it could go back to are told by their names.
    run.undo = old.undo.iter().filter_map(|step| place(*step)).collect();
    run.undone = old.undone.iter().filter_map(|step| place(*step)).collect();
    run.rollback = old.rollback;
    run.checkpoints =
        old.checkpoints.into_iter().filter_map(|checkpoint| moved_checkpoint(checkpoint, place)).collect();
    run.recount();
}

fn moved_checkpoint(checkpoint: Checkpoint, place: impl Fn(StepId) -> Option<StepId>) -> Option<Checkpoint> {
    let ended = checkpoint.ended.iter().filter_map(|step| place(*step)).collect();
    Some(Checkpoint { step: place(checkpoint.step)?, ended, ..checkpoint })
}

/// An ended step as it was; another one begins anew and keeps its attempts, so that their numbers are never given twice.
fn carried(before: &StepRun, blank: StepRun, place: impl Fn(StepId) -> Option<StepId>) -> StepRun {
    if !before.state.ended() {
        // What is not known of its attempt stays unknown, whatever the definition says.
        let asks = before.state == StepState::Unknown;
        return StepRun {
            state: if asks { StepState::Unknown } else { StepState::Pending },
            input: before.input.clone().filter(|_| asks),
            attempts: before.attempts,
            log: before.log.clone(),
            hit: before.hit,
            injected: before.injected,
            in_doubt: before.in_doubt,
            epoch: before.epoch,
            since: before.since,
            ..blank
        };
    }
    let skip = before.skip.and_then(|why| match why {
        SkipReason::Upstream { need } => Some(SkipReason::Upstream { need: place(need)? }),
        SkipReason::NotNeeded { need } => Some(SkipReason::NotNeeded { need: place(need)? }),
        SkipReason::Condition | SkipReason::ByHand => Some(why),
    });
    StepRun {
        skip,
        cancelled_by: before.cancelled_by.and_then(place),
        unmet: 0,
        class: blank.class,
        priority: blank.priority,
        pinned: None,
        ..before.clone()
    }
}
