//! Everything of a run is ended at once: by a person, a failure, a deadline, the end of upbeat.

use super::run::Run;
use crate::model::completion::{Failure, FailureClass};
use crate::model::event::{EndingWhy, EventKind};
use crate::model::id::RunId;
use crate::model::state::{EndCause, StepState};

type Decided = Vec<(RunId, EventKind)>;

/// Cancels what is open and ends what runs. What is being undone is not cut off, unless upbeat itself is to end.
pub(crate) fn end_everything(run: &Run, cause: EndCause, decided: &mut Decided) {
    let why = if cause == EndCause::Deadline { EndingWhy::Deadline } else { EndingWhy::Cancel };
    let must = matches!(cause, EndCause::Quit | EndCause::Terminate | EndCause::HangUp);
    for step in run.step_ids() {
        let entry = run.step(step);
        let undoing = entry.state == StepState::Compensating;
        match (&entry.current, entry.state.ended()) {
            (_, true) => {}
            _ if undoing && !must => {}
            (Some(current), _) => {
                decided.push((run.id, EventKind::AttemptEnding { step, attempt: current.attempt, why }));
                if !undoing && entry.state != StepState::Cancelling {
                    decided.push((run.id, EventKind::StepCancelling { step, because: None }));
                }
            }
            (None, _) if undoing => {
                let failure = Failure::new(FailureClass::Cancelled, "upbeat was ended before it was undone");
                decided.push((run.id, EventKind::CompensationFailed { step, failure }));
            }
            (None, _) => {
                decided.push((run.id, EventKind::StepCancelled { step, because: None, cause: Some(cause) }));
            }
        }
    }
}
