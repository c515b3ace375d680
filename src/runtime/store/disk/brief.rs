//! A run in a few numbers, kept beside its journal so that a list of runs need not read journals. Pure.

use crate::model::event::EventKind;
use crate::model::growth::Addition;
use crate::model::id::StepId;
use crate::model::state::{RunState, RunStatus};
use crate::model::time::Micros;
use serde::{Deserialize, Serialize};

/// How a step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    Succeeded,
    Failed,
    Skipped,
    Cancelled,
    Compensated,
}

/// Where a run stands, as its events tell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Brief {
    /// The run's state.
    pub state: RunState,
    /// The word of its result, once it has ended.
    pub status: Option<RunStatus>,
    /// Steps of the workflow.
    pub total: u32,
    /// Steps that succeeded.
    pub succeeded: u32,
    /// Steps that failed for good.
    pub failed: u32,
    /// Steps that were skipped.
    pub skipped: u32,
    /// Steps that were cancelled.
    pub cancelled: u32,
    /// Steps whose work was undone.
    #[serde(default)]
    pub compensated: u32,
    /// Attempts that were begun.
    pub attempts: u32,
    /// When the run was started, by the engine's clock.
    pub started_at: Option<Micros>,
    /// When its last event happened.
    pub last_at: Micros,
    /// The state that it goes on in when it is resumed.
    #[serde(default = "running")]
    going: RunState,
    /// How each step ended, so that a reopened one can be counted back. Not stored: it is as large as the workflow, and
    /// every commit stores the brief. `None` after loading; see [`Brief::remembers`].
    #[serde(skip)]
    ended: Option<Vec<Option<Ended>>>,
    /// The same at each checkpoint, by its number.
    #[serde(skip)]
    marks: Vec<(u32, Vec<Option<Ended>>)>,
    /// Steps that were cut into items, which are counted in their place.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    cut: Vec<StepId>,
    /// How the step ended that is being undone.
    #[serde(skip)]
    undoing: Option<(StepId, Ended)>,
}

const fn running() -> RunState {
    RunState::Running
}

impl Brief {
    /// A run of `total` steps before its first event.
    #[must_use]
    pub fn new(total: u32) -> Self {
        Self {
            state: RunState::Pending,
            status: None,
            total,
            succeeded: 0,
            failed: 0,
            skipped: 0,
            cancelled: 0,
            compensated: 0,
            attempts: 0,
            started_at: None,
            last_at: Micros::ZERO,
            going: RunState::Running,
            ended: Some(Vec::new()),
            marks: Vec::new(),
            cut: Vec::new(),
            undoing: None,
        }
    }

    /// Whether it has followed the run from its first event, and so can count back a step that is reopened. A brief that
    /// was loaded cannot; it has to be folded anew before such an event is applied.
    #[must_use]
    pub const fn remembers(&self) -> bool {
        self.ended.is_some()
    }

    /// Whether the numbers agree; what only one of them remembers is left aside.
    #[must_use]
    pub fn agrees_with(&self, other: &Self) -> bool {
        let numbers = |brief: &Self| Self { ended: None, marks: Vec::new(), undoing: None, ..brief.clone() };
        numbers(self) == numbers(other)
    }

    /// Takes in an event that happened at `at`.
    pub fn apply(&mut self, event: &EventKind, at: Micros) {
        self.last_at = at;
        match event {
            EventKind::RunStarted { .. } => {
                self.state = RunState::Running;
                self.started_at = Some(at);
            }
            EventKind::RunPausing { .. } => self.state = RunState::Pausing,
            EventKind::RunPaused { .. } => self.state = RunState::Paused,
            EventKind::RunInterrupted
                if matches!(self.state, RunState::Running | RunState::Pausing | RunState::Compensating) =>
            {
                self.state = RunState::Paused;
            }
            EventKind::WorkflowChanged { workflow, moved, .. } => self.redefine(workflow.steps.len(), moved),
            EventKind::RunResumed => self.state = self.going,
            EventKind::RunStopping => self.state = RunState::Stopping,
            EventKind::RunCancelling { .. } => self.goes_on(RunState::Cancelling),
            EventKind::RunCompensating { .. } => self.goes_on(RunState::Compensating),
            EventKind::RunRolledBack { to } => self.roll_back(*to),
            EventKind::CheckpointMade { checkpoint, .. } => {
                self.marks.extend(self.ended.clone().map(|ended| (*checkpoint, ended)));
            }
            EventKind::RunFinished { state, status, .. } => {
                self.state = *state;
                self.status = Some(*status);
            }
            EventKind::RunReopened => self.goes_on(RunState::Running),
            EventKind::StepSucceeded { step, .. } => self.end(*step, Ended::Succeeded),
            EventKind::StepFailed { step, .. } => self.end(*step, Ended::Failed),
            EventKind::StepSkipped { step, .. } => self.end(*step, Ended::Skipped),
            EventKind::StepCancelled { step, .. } => self.end(*step, Ended::Cancelled),
            EventKind::StepReopened { step } => self.reopen(*step),
            EventKind::StepCompensating { step } => {
                if let Some(how) = self.how(*step) {
                    self.undoing = Some((*step, how));
                    self.reopen(*step);
                }
            }
            EventKind::StepCompensated { step, .. } => self.end(*step, Ended::Compensated),
            EventKind::CompensationFailed { step, .. } => {
                let before = self.undoing.take().filter(|(undoing, _)| undoing == step);
                self.end(*step, before.map_or(Ended::Succeeded, |(_, how)| how));
            }
            EventKind::StepsAdded { by, added, .. } => self.grow(*by, added),
            EventKind::StepsRemoved { steps, .. } => self.total = self.total.saturating_sub(count(steps.len())),
            EventKind::StepsRestored { steps } => self.total = self.total.saturating_add(count(steps.len())),
            EventKind::AttemptStarted { .. } => self.attempts = self.attempts.saturating_add(1),
            _ => {}
        }
    }

    /// Steps join: items are counted instead of the step that was cut into them.
    fn grow(&mut self, by: Option<StepId>, added: &Addition) {
        let joined = count(added.count());
        self.total = self.total.saturating_add(joined);
        if let (Addition::Items(_) | Addition::Part { .. }, Some(by)) = (added, by)
            && joined > 0
        {
            self.total -= 1;
            self.cut.push(by);
        }
    }

    const fn goes_on(&mut self, state: RunState) {
        (self.state, self.going, self.status) = (state, state, None);
    }

    /// The steps that had ended at a checkpoint, and no others.
    fn roll_back(&mut self, to: u32) {
        self.goes_on(RunState::Running);
        let mark = self.marks.iter().rev().find(|(number, _)| *number == to).map(|(_, ended)| ended.clone());
        self.marks.retain(|(number, _)| *number < to);
        self.count_anew(mark.unwrap_or_default().into_iter().enumerate());
    }

    /// The steps of another definition: those that ended and are in it still count.
    fn redefine(&mut self, steps: usize, moved: &[Option<StepId>]) {
        let before = self.ended.replace(Vec::new()).unwrap_or_default();
        self.total = u32::try_from(steps).unwrap_or(u32::MAX);
        let placed = moved.iter().zip(before).filter_map(|(place, how)| Some((place.as_ref()?.index(), how)));
        self.count_anew(placed.collect::<Vec<_>>().into_iter());
    }

    fn count_anew(&mut self, all: impl Iterator<Item = (usize, Option<Ended>)>) {
        (self.succeeded, self.failed, self.skipped, self.cancelled, self.compensated) = (0, 0, 0, 0, 0);
        self.ended = Some(Vec::new());
        for (step, how) in all {
            if let Some(how) = how {
                self.end(StepId::from_index(step), how);
            }
        }
    }

    fn how(&self, step: StepId) -> Option<Ended> {
        *self.ended.as_ref()?.get(step.index())?
    }

    fn counter(&mut self, how: Ended) -> &mut u32 {
        match how {
            Ended::Succeeded => &mut self.succeeded,
            Ended::Failed => &mut self.failed,
            Ended::Skipped => &mut self.skipped,
            Ended::Cancelled => &mut self.cancelled,
            Ended::Compensated => &mut self.compensated,
        }
    }

    fn end(&mut self, step: StepId, how: Ended) {
        if self.cut.contains(&step) {
            return;
        }
        self.reopen(step);
        *self.counter(how) += 1;
        if let Some(ended) = &mut self.ended {
            // Bounded by the steps of the workflow, except where a journal names a step that does not exist.
            let most = usize::try_from(self.total).unwrap_or(usize::MAX).saturating_add(self.cut.len());
            if step.index() < most && ended.len() <= step.index() {
                ended.resize(step.index() + 1, None);
            }
            if let Some(slot) = ended.get_mut(step.index()) {
                *slot = Some(how);
            }
        }
    }

    fn reopen(&mut self, step: StepId) {
        let before = self.ended.as_mut().and_then(|ended| ended.get_mut(step.index())).and_then(Option::take);
        if let Some(how) = before {
            let counter = self.counter(how);
            *counter = counter.saturating_sub(1);
        }
    }
}

fn count(steps: usize) -> u32 {
    u32::try_from(steps).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::completion::{Failure, FailureClass};

    #[test]
    fn a_reopened_step_is_counted_once_however_often_it_ends() {
        let mut brief = Brief::new(2);
        let step = StepId(1);
        let failure = Failure::new(FailureClass::Crash, "");
        brief.apply(&EventKind::RunStarted { seed: 1 }, Micros(1));
        brief.apply(&EventKind::StepFailed { step, failure }, Micros(2));
        assert_eq!((brief.failed, brief.succeeded), (1, 0));
        brief.apply(&EventKind::StepReopened { step }, Micros(3));
        assert_eq!((brief.failed, brief.succeeded), (0, 0));
        brief.apply(
            &EventKind::StepSucceeded { step, output: Default::default(), fallback: None, reused: None },
            Micros(4),
        );
        assert_eq!((brief.failed, brief.succeeded, brief.last_at), (0, 1, Micros(4)));
    }

    #[test]
    fn a_loaded_brief_has_the_same_numbers_and_knows_that_it_forgot() {
        let mut brief = Brief::new(1);
        brief.apply(
            &EventKind::StepSucceeded { step: StepId(0), output: Default::default(), fallback: None, reused: None },
            Micros(7),
        );
        let text = serde_json::to_string(&brief).unwrap();
        let loaded: Brief = serde_json::from_str(&text).unwrap();
        assert!(brief.agrees_with(&loaded) && brief.remembers() && !loaded.remembers());
    }
}
