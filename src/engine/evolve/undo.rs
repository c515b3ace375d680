//! What events about undoing steps change.

use super::step::{advance_cursors, set_cursors_back, set_state};
use crate::engine::run::{Run, Undo};
use crate::model::bug::{Bug, seeded};
use crate::model::event::{Event, EventKind};
use crate::model::id::StepId;
use crate::model::state::StepState;
use std::sync::Arc;

pub(super) fn evolve(run: &mut Run, event: &Event) {
    let at = event.at;
    match &event.kind {
        EventKind::StepCompensating { step } => {
            let before = run.step(*step).state;
            if before != StepState::Compensating {
                set_state(run, *step, StepState::Compensating, at);
                let entry = run.step_mut(*step);
                entry.undo = Some(Undo { before, since: at, spent: 0, failure: None });
                entry.tried.clear();
                turn_changed(run, before);
            }
            run.step_mut(*step).wait = None;
        }
        EventKind::StepCompensated { step, .. } => {
            run.step_mut(*step).in_doubt = false;
            run.undone.push(*step);
            undo_ended(run, *step);
            set_state(run, *step, StepState::Compensated, at);
            run.step_mut(*step).ended = Some(at);
            advance_cursors(run);
        }
        EventKind::CompensationFailed { step, failure } => {
            undo_ended(run, *step);
            // What it did is still there.
            let before = run.step(*step).undo.as_ref().map_or(StepState::Succeeded, |undo| undo.before);
            set_state(run, *step, before, at);
            turn_changed(run, before);
            if let Some(undo) = &mut run.step_mut(*step).undo {
                undo.failure = Some(Arc::new(failure.clone()));
            }
            advance_cursors(run);
        }
        _ => {}
    }
}

fn undo_ended(run: &mut Run, step: StepId) {
    if !seeded(Bug::CompensatesTwice) || run.undone.len() != 1 {
        run.undo.retain(|other| *other != step);
    }
}

/// A step that had not ended is being undone, or is no longer: others may have their turn because of that.
fn turn_changed(run: &mut Run, before: StepState) {
    if !before.ended() {
        set_cursors_back(run);
    }
}
