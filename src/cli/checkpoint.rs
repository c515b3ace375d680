//! What had succeeded when a checkpoint was made, read from a run's journal.

use super::journal::Events;
use super::out::{Stop, refuse};
use super::saved::Folded;
use super::store::Kept;
use crate::model::event::{Event, EventKind};
use crate::model::id::StepId;
use crate::runtime::handle::Outputs;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The number of a checkpoint in the word for one, `checkpoint-N`.
pub(crate) fn number(word: &str) -> Option<u32> {
    let digits = word.strip_prefix("checkpoint-")?;
    // One way to write each: `checkpoint-01` is none.
    digits.parse().ok().filter(|number: &u32| *number > 0 && number.to_string() == digits)
}

/// The outputs of everything that had succeeded when a checkpoint was made.
pub(crate) fn outputs(kept: &Kept, folded: &Folded, number: u32) -> Result<Outputs, Stop> {
    let name = folded.name();
    let mut events = Events::new(kept, name.clone());
    let mut done = Done::default();
    while let Some(event) = events.next()? {
        done.follow(&event);
    }
    if let Some(outputs) = done.checkpoints.get(&number) {
        return Ok(outputs.iter().map(|(step, output)| (*step, output.clone())).collect());
    }
    let known: Vec<String> =
        done.checkpoints.keys().map(|number| crate::report::show::checkpoint_name(*number)).collect();
    let has = if known.is_empty() {
        "it has none: they are made before steps that are `critical`".to_owned()
    } else {
        format!("it has {}", crate::report::plain::list(&known))
    };
    refuse(&format!("run {name} has no checkpoint {number}; {has}"))
}

/// What is done, and what was at each checkpoint.
#[derive(Default)]
struct Done {
    now: BTreeMap<StepId, Arc<Value>>,
    checkpoints: BTreeMap<u32, BTreeMap<StepId, Arc<Value>>>,
}

impl Done {
    fn follow(&mut self, event: &Event) {
        match &event.kind {
            EventKind::StepSucceeded { step, output, .. } => {
                self.now.insert(*step, output.clone());
            }
            EventKind::StepReopened { step } | EventKind::StepCompensated { step, .. } => {
                self.now.remove(step);
            }
            EventKind::CheckpointMade { checkpoint, .. } => {
                self.checkpoints.insert(*checkpoint, self.now.clone());
            }
            EventKind::RunRolledBack { to } => {
                if let Some(then) = self.checkpoints.get(to) {
                    self.now.clone_from(then);
                }
            }
            EventKind::WorkflowChanged { moved, .. } => {
                self.now = moved_to(&self.now, moved);
                self.checkpoints.values_mut().for_each(|then| *then = moved_to(then, moved));
            }
            _ => {}
        }
    }
}

/// The same under another definition.
fn moved_to(done: &BTreeMap<StepId, Arc<Value>>, moved: &[Option<StepId>]) -> BTreeMap<StepId, Arc<Value>> {
    let place = |step: &StepId| moved.get(step.index()).copied().flatten();
    done.iter().filter_map(|(step, output)| Some((place(step)?, output.clone()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::id::RunId;
    use crate::model::time::Micros;
    use crate::model::workflow::Workflow;
    use serde_json::json;

    fn succeeded(step: u32, output: i32) -> EventKind {
        EventKind::StepSucceeded { step: StepId(step), output: Arc::new(json!(output)), fallback: None, reused: None }
    }

    fn made(checkpoint: u32) -> EventKind {
        EventKind::CheckpointMade { checkpoint, step: StepId(9) }
    }

    fn at(number: u32, kinds: Vec<EventKind>) -> Vec<(u32, Value)> {
        let mut done = Done::default();
        for kind in kinds {
            done.follow(&Event { seq: 1, at: Micros::ZERO, run: RunId(0), kind });
        }
        done.checkpoints[&number].iter().map(|(step, output)| (step.0, (**output).clone())).collect()
    }

    #[test]
    fn a_checkpoint_keeps_what_was_done_then_whatever_came_of_it_later() {
        let reopened = EventKind::StepReopened { step: StepId(0) };
        let events = vec![succeeded(0, 1), made(1), succeeded(1, 2), made(2), reopened, succeeded(0, 7), made(3)];
        assert_eq!(at(1, events.clone()), [(0, json!(1))]);
        assert_eq!(at(2, events.clone()), [(0, json!(1)), (1, json!(2))]);
        assert_eq!(at(3, events), [(0, json!(7)), (1, json!(2))]);
    }

    #[test]
    fn what_was_undone_or_rolled_back_is_not_done_any_more() {
        let undone = EventKind::StepCompensated { step: StepId(1), output: Arc::new(Value::Null) };
        let back = EventKind::RunRolledBack { to: 1 };
        assert_eq!(at(2, vec![succeeded(0, 1), succeeded(1, 2), undone, made(2)]), [(0, json!(1))]);
        assert_eq!(at(2, vec![succeeded(0, 1), made(1), succeeded(1, 2), back, made(2)]), [(0, json!(1))]);
    }

    #[test]
    fn steps_keep_their_outputs_under_another_definition() {
        let workflow = Arc::new(Workflow::new("w", Vec::new(), Vec::new()));
        let moved = vec![Some(StepId(1)), None];
        let changed = EventKind::WorkflowChanged { workflow, files: Vec::new(), moved };
        assert_eq!(at(1, vec![succeeded(0, 1), succeeded(1, 2), made(1), changed]), [(1, json!(1))]);
    }

    #[test]
    fn checkpoints_are_numbered_from_one_and_written_one_way() {
        assert_eq!(number("checkpoint-12"), Some(12));
        for none in ["checkpoint-0", "checkpoint-01", "checkpoint-", "checkpoint--1", "checkpoint-+1", "12"] {
            assert_eq!(number(none), None, "{none}");
        }
    }
}
