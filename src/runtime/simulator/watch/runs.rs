//! Runs: where they stand, what their clocks show, and how they end.

use super::Broken;
use super::seen::{Mark, RunSeen};
use crate::model::event::{Event, EventKind};
use crate::model::policy::{OnCancel, OnThresholdMissed, Recovery};
use crate::model::state::{EndCause, RunState, StepState};
use crate::model::time::Micros;

impl RunSeen {
    pub(super) fn run_event(&mut self, event: &Event) -> Result<(), Broken> {
        let at = event.at;
        match &event.kind {
            EventKind::RunStarted { .. } => {
                self.state = RunState::Running;
                self.deadline = self.workflow.limits.deadline.map(|limit| at + limit);
            }
            EventKind::StrategyChosen { mode, .. } => self.mode = *mode,
            EventKind::RunPausing { .. } => self.goes(RunState::Pausing, at),
            EventKind::RunPaused { frozen } => {
                let idle = self.at_work().next().is_none();
                rule!(idle != *frozen || self.state == RunState::Pausing, "paused: frozen is {frozen}, idle is {idle}");
                self.state = RunState::Paused;
                self.stands_since.get_or_insert(at);
                if *frozen {
                    self.halt(at);
                }
            }
            EventKind::RunInterrupted => self.interrupted(at),
            EventKind::RunResumed => self.resumed(at)?,
            EventKind::RunReopened => {
                rule!(self.state.ended(), "states: a run that is {} is opened", self.state.word());
                self.taken_up(at);
                self.goes(RunState::Running, at);
                self.epoch += 1;
            }
            EventKind::RunStopping => self.goes(RunState::Stopping, at),
            EventKind::RunCancelling { cause } => {
                self.thaw(at);
                (self.state, self.cause, self.question) = (RunState::Cancelling, Some(*cause), false);
                if matches!(cause, EndCause::Quit | EndCause::Terminate | EndCause::HangUp) {
                    self.rollback = None;
                    self.to_undo.clear();
                }
            }
            EventKind::RunFinished { state, cause, .. } => self.finishes(*state, *cause, at)?,
            EventKind::CheckpointMade { checkpoint, .. } => {
                let ended = self.steps.iter().map(|step| step.state.ended()).collect();
                let last = self.marks.last().map_or(0, |mark| mark.number);
                rule!(*checkpoint == last + 1, "saga: checkpoint {checkpoint} follows {last}");
                self.marks.push(Mark { number: *checkpoint, ended });
            }
            EventKind::RetryRound => {
                self.rounds += 1;
                rule!(self.rounds == 1, "retries: what failed is tried once more for the second time");
            }
            EventKind::RunEscalated { .. } => {
                rule!(!self.share().0, "ends: a person is asked although enough succeeded");
                self.question = true;
            }
            EventKind::RunAnswered { approved } => {
                rule!(self.question, "ends: a run is answered that asks nothing");
                rule!(self.reading || self.answered == Some(*approved), "ends: the run is answered by nobody");
                (self.question, self.said) = (false, Some(*approved));
            }
            EventKind::AnswerDropped { .. } | EventKind::AgentHealed { .. } => {}
            EventKind::PriorityChanged { .. } | EventKind::StepTakenOver { .. } if self.state == RunState::Pending => {}
            EventKind::RunCompensating { .. } => {
                rule!(self.state != RunState::Pending, "saga: what has not begun is rolled back");
            }
            _ => rule!(self.is_live(), "states: {} in a run that is {}", event.kind.name(), self.state.word()),
        }
        Ok(())
    }

    fn resumed(&mut self, at: Micros) -> Result<(), Broken> {
        let stood = matches!(self.state, RunState::Paused | RunState::Pausing);
        rule!(stood, "states: a run that is {} is resumed", self.state.word());
        let state = match (self.rollback, self.cause) {
            (Some(_), _) => RunState::Compensating,
            (None, Some(_)) => RunState::Cancelling,
            (None, None) => RunState::Running,
        };
        self.goes(state, at);
        self.epoch += 1;
        Ok(())
    }

    /// The second look at an event, when what it says about steps has been taken in.
    pub(super) fn afterwards(&mut self, event: &Event) {
        match &event.kind {
            EventKind::RunCompensating { to, .. } => {
                let must = matches!(self.cause, Some(EndCause::Quit | EndCause::Terminate | EndCause::HangUp));
                let kept = if must { Some(EndCause::Cancel) } else { self.cause };
                let kept = kept.filter(|cause| self.undone_again || *cause == EndCause::Rollback);
                self.taken_up(event.at);
                (self.cause, self.rollback) = (kept, Some(*to));
                self.goes(RunState::Compensating, event.at);
                self.epoch += 1;
            }
            EventKind::RunRolledBack { .. } => {
                (self.rollback, self.state) = (None, RunState::Running);
                self.epoch += 1;
            }
            _ => {}
        }
    }

    /// Nothing holds the run any more: its clock goes on.
    fn goes(&mut self, state: RunState, at: Micros) {
        self.thaw(at);
        self.state = state;
        if let Some(since) = self.stands_since.take() {
            self.deadline = self.deadline.map(|deadline| deadline + (at - since));
        }
    }

    /// An ended run goes on: time in which it had ended does not count; if its time was over it gets all of it anew.
    fn taken_up(&mut self, at: Micros) {
        if self.cause.take() == Some(EndCause::Deadline) && self.state.ended() {
            self.deadline = self.workflow.limits.deadline.map(|limit| at + limit);
            self.stands_since = None;
        }
        (self.question, self.said, self.rollback) = (false, None, None);
    }

    fn interrupted(&mut self, at: Micros) {
        let undone = |(step, _)| self.workflow.step(step).on_cancel == OnCancel::Compensate;
        let undoing = self.rollback.is_some()
            || self.cause == Some(EndCause::Rollback)
            || !self.to_undo.is_empty()
            || self.at_work().any(undone);
        let stands = match self.state {
            RunState::Running | RunState::Pausing | RunState::Paused | RunState::Compensating => true,
            RunState::Cancelling | RunState::Stopping => undoing,
            _ => false,
        };
        self.thaw(at);
        if stands {
            self.state = RunState::Paused;
            self.stands_since.get_or_insert(at);
        }
    }

    fn finishes(&mut self, state: RunState, cause: Option<EndCause>, at: Micros) -> Result<(), Broken> {
        rule!(!self.state.ended(), "states: a run ends that has ended");
        let open = self.steps.iter().position(|step| !step.state.ended());
        rule!(open.is_none(), "states: the run ends before step {}", open.unwrap_or_default());
        rule!(self.to_undo.is_empty(), "saga: the run ends before {:?} are undone", self.to_undo);
        self.ends_rightly(state)?;
        self.goes(state, at);
        (self.cause, self.question, self.stands_since) = (cause, false, Some(at));
        Ok(())
    }

    /// A run fails only when what it declares for that case has been tried.
    fn tried_everything(&self, state: RunState) -> Result<(), Broken> {
        if state != RunState::Failed || self.said.is_some() {
            return Ok(());
        }
        let workflow = &self.workflow;
        let pivot = workflow.steps.iter().zip(&self.steps);
        let pivot = pivot.into_iter().any(|(spec, seen)| spec.pivot && seen.state == StepState::Succeeded);
        let back = workflow.recovery == Recovery::Rollback && !pivot;
        rule!(!back, "saga: a run that is declared to be rolled back ends as failed");
        let asks = workflow.on_threshold_missed == OnThresholdMissed::Escalate && !self.critical_lost();
        rule!(!asks, "ends: a run that is declared to ask ends as failed");
        let again = workflow.recovery == Recovery::Retry || workflow.on_threshold_missed == OnThresholdMissed::Retry;
        let failed = self.steps.iter().any(|seen| seen.state == StepState::Failed);
        rule!(!(again && failed && self.rounds == 0), "retries: a run that is declared to try again ends as failed");
        Ok(())
    }

    /// The state that a run ends in is the one its steps give.
    fn ends_rightly(&self, state: RunState) -> Result<(), Broken> {
        let failed = self.steps.iter().any(|step| step.undo_failed);
        let left = self.workflow.step_ids().find(|id| self.is_to_be_undone(*id));
        match state {
            RunState::Compensated => {
                rule!(left.is_none(), "saga: the run ends as compensated, and step {left:?} is not undone");
                rule!(!failed, "saga: the run ends as compensated, and something could not be undone");
            }
            RunState::CompensationFailed => {
                let whole = self.rollback != Some(None) || self.undone_again || left.is_none();
                rule!(failed && whole, "saga: the run ends as it does, and step {left:?} is not undone");
            }
            _ => {}
        }
        if self.cause.is_some() || self.rollback.is_some() || self.state == RunState::Stopping {
            return Ok(());
        }
        let (met, all) = self.share();
        let expected = match (met, all) {
            _ if self.question => return Err("ends: nobody answered what the run asks".to_owned()),
            _ if self.said == Some(true) => RunState::Partial,
            _ if self.said == Some(false) => RunState::Failed,
            _ if failed => RunState::CompensationFailed,
            (true, true) => RunState::Succeeded,
            (true, false) => RunState::Partial,
            (false, _) => RunState::Failed,
        };
        self.tried_everything(state)?;
        rule!(state == expected, "ends: the run ends as {} instead of {}", state.word(), expected.word());
        Ok(())
    }
}
