//! What a command did to steps: the answer to whoever gave it.

use super::command::Done;
use super::event::{EventKind, TakeOver};
use super::id::StepId;

/// What a command that was accepted did to steps, read from the events that it led to.
#[must_use]
pub fn done<'e>(events: impl IntoIterator<Item = &'e EventKind>) -> Done {
    let mut done = Done::default();
    let note = |list: &mut Vec<StepId>, step: StepId| {
        if !list.contains(&step) {
            list.push(step);
        }
    };
    for event in events {
        match event {
            EventKind::StepCancelling { step, because: None }
            | EventKind::StepCancelled { step, because: None, .. } => {
                note(&mut done.cancelled, *step);
            }
            EventKind::StepCancelled { step, because: Some(of), .. } if of == step => {
                note(&mut done.cancelled, *step);
            }
            EventKind::StepCancelling { step, because: Some(_) }
            | EventKind::StepCancelled { step, because: Some(_), .. } => note(&mut done.dependents, *step),
            EventKind::StepTakenOver { step, then: TakeOver::Reassign(_) } => note(&mut done.reassigned, *step),
            _ => {}
        }
    }
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_of_a_command_is_what_its_events_did_to_steps() {
        let cancelled = |step, because: Option<u32>| EventKind::StepCancelled {
            step: StepId(step),
            because: because.map(StepId),
            cause: None,
        };
        let events = [
            EventKind::StepCancelling { step: StepId(1), because: None },
            cancelled(1, None),
            cancelled(2, Some(1)),
            cancelled(3, Some(3)),
            EventKind::StepTakenOver { step: StepId(4), then: TakeOver::Reassign(None) },
            EventKind::StepTakenOver { step: StepId(5), then: TakeOver::Skip },
            EventKind::RunResumed,
        ];
        let steps = |ids: &[u32]| ids.iter().copied().map(StepId).collect::<Vec<_>>();
        let expected = Done { cancelled: steps(&[1, 3]), dependents: steps(&[2]), reassigned: steps(&[4]) };
        assert_eq!(done(&events), expected);
        assert_eq!(done(&[]), Done::default());
    }
}
