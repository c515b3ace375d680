//! What events about the graph change, and what an edit did, so that it can be taken back.

use crate::engine::grow;
use crate::engine::run::{EditDone, Run};
use crate::model::event::{Event, EventKind};
use crate::model::id::StepId;

pub(super) fn evolve(run: &mut Run, event: &Event) {
    match &event.kind {
        EventKind::StepsAdded { by, added, edit, .. } => {
            let first = run.steps.len();
            grow::add(run, *by, added, event.at);
            let new = (first..run.steps.len()).map(StepId::from_index);
            if let Some(edit) = edit {
                done(run, *edit).added.extend(new);
            }
        }
        EventKind::StepsRemoved { steps, edit } => {
            let needs = |id: &StepId| (*id, run.spec(*id).needs.clone());
            let before: Vec<_> = steps.iter().map(needs).collect();
            grow::remove(run, steps);
            if let Some(edit) = edit {
                done(run, *edit).removed.extend(before);
            }
        }
        EventKind::StepsRestored { steps } => grow::restore(run, steps, event.at),
        EventKind::StepRewired { step, needs, edit } => {
            let before = run.spec(*step).needs.clone();
            grow::rewire(run, *step, needs);
            if let Some(edit) = edit {
                done(run, *edit).rewired.push((*step, before));
            }
        }
        EventKind::RouteChosen { step, input, decision } => {
            run.step_mut(*step).input = Some(input.clone());
            run.routed.push((*step, decision.clone()));
        }
        EventKind::EditUndone { edit } => run.edits.retain(|done| done.number != *edit),
        _ => {}
    }
}

fn done(run: &mut Run, number: u32) -> &mut EditDone {
    let at = run.edits.iter().position(|done| done.number == number).unwrap_or_else(|| {
        run.edits.push(EditDone { number, ..EditDone::default() });
        run.edits.len() - 1
    });
    &mut run.edits[at]
}
