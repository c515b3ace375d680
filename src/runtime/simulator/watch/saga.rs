//! Undoing: in reverse, each once, nothing that was not done, and nothing left in a run that ends compensated.

use super::Broken;
use super::seen::{RunSeen, StepSeen};
use crate::model::event::{Event, EventKind};
use crate::model::id::StepId;
use crate::model::policy::OnCancel;
use crate::model::state::{EndCause, RunState, StepState};
use std::collections::BTreeSet;

impl RunSeen {
    pub(super) fn saga_event(&mut self, event: &Event) -> Result<(), Broken> {
        match &event.kind {
            EventKind::RunCompensating { steps, to } => self.begins_to_undo(steps, *to),
            EventKind::StepCompensating { step } => self.is_undone_now(*step),
            EventKind::StepCompensated { step, .. } => {
                self.undo_ends(*step)?;
                let seen = &mut self.steps[step.index()];
                rule!(!seen.undone, "saga: step {} is undone twice", step.0);
                (seen.state, seen.undone, seen.in_doubt, seen.done) = (StepState::Compensated, true, false, false);
                Ok(())
            }
            EventKind::CompensationFailed { step, .. } => {
                self.given_up(*step)?;
                self.undo_ends(*step)?;
                let seen = &mut self.steps[step.index()];
                (seen.state, seen.undo_failed) = (seen.before, true);
                Ok(())
            }
            EventKind::RunRolledBack { to } => self.back_to(*to),
            EventKind::StepCancelled { step, cause, .. } => {
                let goes_on = matches!(cause, None | Some(EndCause::Cancel | EndCause::FailFast | EndCause::Deadline));
                let wanted = self.workflow.step(*step).on_cancel == OnCancel::Compensate;
                if goes_on && wanted && self.is_to_be_undone(*step) {
                    self.to_undo.push_back(*step);
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// A rollback undoes exactly what was done and can be undone, unless there is no way back.
    fn begins_to_undo(&mut self, steps: &[StepId], to: Option<u32>) -> Result<(), Broken> {
        rule!(self.at_work().next().is_none(), "saga: a run is rolled back while something runs");
        let again = self.state == RunState::CompensationFailed;
        let mark = to.and_then(|to| self.marks.iter().find(|mark| mark.number == to));
        rule!(to.is_none() || mark.is_some(), "saga: there is no checkpoint {to:?}");
        let since = |id: &StepId| mark.is_none_or(|mark| !mark.ended[id.index()]);
        let meant = |id: &StepId| {
            if again { self.step(*id).undo_failed } else { self.is_to_be_undone(*id) && since(id) }
        };
        let wanted: BTreeSet<StepId> = self.workflow.step_ids().filter(meant).collect();
        let planned: BTreeSet<StepId> = steps.iter().copied().collect();
        let once = planned.len() == steps.len();
        let right = if again { planned.is_subset(&wanted) } else { planned == wanted };
        rule!(once && right, "saga: {wanted:?} are to be undone, and {steps:?} will be");
        let pivot = self
            .workflow
            .step_ids()
            .find(|id| self.workflow.step(*id).pivot && self.step(*id).state == StepState::Succeeded && since(id));
        rule!(again || pivot.is_none(), "saga: a rollback behind the pivot {pivot:?}");
        for step in steps {
            self.steps[step.index()].undo_failed = false;
        }
        self.to_undo = steps.iter().copied().collect();
        self.undone_again = again;
        Ok(())
    }

    /// A step is about to be undone: it is to be, it is the only one, and nothing that rests on it is still there.
    fn is_undone_now(&mut self, step: StepId) -> Result<(), Broken> {
        let seen = self.step(step);
        if seen.state == StepState::Compensating {
            rule!(seen.at_work.is_none(), "saga: step {} is undone while it is undone", step.0);
            let seen = &mut self.steps[step.index()];
            (seen.backoff, seen.wait) = (None, None);
            return Ok(());
        }
        rule!(self.is_to_be_undone(step), "saga: step {} is undone, and there is nothing to undo", step.0);
        rule!(self.to_undo.contains(&step), "saga: step {} is undone, and nobody wants it", step.0);
        let other = self.steps.iter().position(|seen| seen.state == StepState::Compensating);
        rule!(other.is_none(), "saga: steps {} and {other:?} are undone at once", step.0);
        if self.rollback.is_some() {
            let rests = self.rests_on(step).into_iter().find(|id| self.to_undo.contains(id));
            rule!(rests.is_none(), "saga: step {} is undone before {rests:?}, which rests on it", step.0);
        }
        let seen = &mut self.steps[step.index()];
        (seen.before, seen.undo_spent) = (seen.state, 0);
        (seen.state, seen.backoff, seen.wait) = (StepState::Compensating, None, None);
        Ok(())
    }

    pub(super) fn start_undo(&mut self, step: StepId) -> Result<(), Broken> {
        let limit = self.spec(step, true).retry.limit;
        let other = self.at_work().find(|(_, work)| work.undo);
        rule!(other.is_none(), "saga: steps {} and {other:?} are undone at once", step.0);
        let seen = &mut self.steps[step.index()];
        let state = seen.state;
        rule!(state == StepState::Compensating, "saga: an attempt undoes step {}: {}", step.0, state.word());
        let held = seen.wait.as_ref().is_some_and(|(why, _)| !why.is_about_agents());
        rule!(!held, "saga: an attempt undoes step {} before its wait is over", step.0);
        seen.undo_spent += 1;
        rule!(seen.undo_spent <= limit + 1, "saga: try {} of {} to undo step {}", seen.undo_spent, limit + 1, step.0);
        Ok(())
    }

    /// To undo something is given up only when its own retries are spent, or upbeat itself is to end.
    fn given_up(&self, step: StepId) -> Result<(), Broken> {
        let seen = self.step(step);
        let policy = &self.spec(step, true).retry;
        let must = matches!(self.cause, Some(EndCause::Quit | EndCause::Terminate | EndCause::HangUp));
        let hopeless = seen
            .failed
            .is_none_or(|class| !policy.covers(class) || class == crate::model::completion::FailureClass::Unreachable);
        let limited = seen.failed == Some(crate::model::completion::FailureClass::RateLimited);
        rule!(
            must || limited || seen.undo_spent > policy.limit || seen.failed.is_some() && hopeless,
            "saga: undoing step {} is given up after {} of {} tries",
            step.0,
            seen.undo_spent,
            policy.limit + 1
        );
        Ok(())
    }

    fn undo_ends(&mut self, step: StepId) -> Result<(), Broken> {
        let seen = self.step(step);
        let state = seen.state;
        rule!(state == StepState::Compensating, "saga: undoing step {} ends: {}", step.0, state.word());
        rule!(seen.at_work.is_none(), "saga: undoing step {} ends before its attempt", step.0);
        self.to_undo.retain(|other| *other != step);
        let seen = &mut self.steps[step.index()];
        (seen.backoff, seen.wait) = (None, None);
        Ok(())
    }

    /// Steps that need this one, directly or through others.
    fn rests_on(&self, step: StepId) -> Vec<StepId> {
        let mut rests = vec![false; self.steps.len()];
        rests[step.index()] = true;
        let mut found = Vec::new();
        for id in self.workflow.step_ids().filter(|id| *id != step) {
            if self.workflow.step(id).needs.iter().any(|need| rests[need.step.index()]) {
                rests[id.index()] = true;
                found.push(id);
            }
        }
        found
    }

    /// The run stands at a checkpoint again: what was done since is undone, and is to be done anew.
    fn back_to(&mut self, to: u32) -> Result<(), Broken> {
        rule!(self.rollback == Some(Some(to)), "saga: the run goes back to {to} instead of {:?}", self.rollback);
        rule!(self.to_undo.is_empty(), "saga: the run goes back before {:?} are undone", self.to_undo);
        let mark = self.marks.iter().find(|mark| mark.number == to).cloned();
        let Some(mark) = mark else { return Err(format!("saga: there is no checkpoint {to}")) };
        self.marks.retain(|other| other.number < to);
        for id in self.workflow.step_ids().filter(|id| !mark.ended[id.index()]) {
            let left = self.is_to_be_undone(id) || self.step(id).undo_failed;
            rule!(!left, "saga: the run goes back, and step {} is not undone", id.0);
            let seen = &mut self.steps[id.index()];
            *seen = StepSeen {
                state: StepState::Pending,
                done: false,
                lent: false,
                in_doubt: false,
                undone: false,
                undo_failed: false,
                ..seen.clone()
            };
            self.retries -= u32::from(std::mem::take(&mut seen.planned));
            seen.open();
        }
        Ok(())
    }
}
