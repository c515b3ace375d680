//! Steps: ready when their needs are met, ended once, opened again only by those who may.

use super::Broken;
use super::seen::{RunSeen, StepSeen};
use crate::model::event::{Event, EventKind, TakeOver};
use crate::model::id::StepId;
use crate::model::policy::OnExhausted;
use crate::model::state::{SkipReason, StepState, WaitReason};
use crate::model::step::Fallback;
use crate::model::time::Micros;

impl StepSeen {
    /// It begins anew, with fresh retries.
    pub(super) fn open(&mut self) {
        self.state = StepState::Pending;
        (self.spent, self.granted, self.spent_there, self.limited) = (0, 0, 0, 0);
        (self.fallback, self.answered, self.begun, self.skip) = (None, false, false, None);
        (self.backoff, self.wait, self.lent) = (None, None, false);
    }
}

impl RunSeen {
    pub(super) fn needs_met(&self, step: StepId) -> Result<(), Broken> {
        for need in &self.workflow.step(step).needs {
            let state = self.step(need.step).state;
            // What has begun once stays begun: a person may open a need again behind it.
            let begun = self.step(step).state != StepState::Pending;
            let met = self.is_met(need.step, need.on) || begun;
            rule!(met, "needs: step {} begins, but its need {} is {}", step.0, need.step.0, state.word());
        }
        Ok(())
    }

    pub(super) fn step_event(&mut self, event: &Event) -> Result<(), Broken> {
        let Some(step) = event.kind.step() else { return Ok(()) };
        let at = step.index();
        match &event.kind {
            EventKind::StepReady { input, .. } => self.is_ready(step, input.is_some())?,
            EventKind::StepWaiting { why, until, .. } => self.waits(step, why, *until)?,
            EventKind::StepSucceeded { reused, fallback, .. } => {
                let by_hand = self.reading || self.by_hand == Some(step);
                let lent = fallback.and_then(|at| self.workflow.step(step).fallback.get(at as usize));
                let seen = &mut self.steps[at];
                rule!(!std::mem::replace(&mut seen.done, true), "once: step {at} succeeds twice");
                let answered = seen.answered || reused.is_some() || by_hand;
                rule!(answered, "once: step {at} succeeds without an answer");
                seen.lent = reused.is_some() || matches!(lent, Some(Fallback::Value(_)));
                self.end(step, StepState::Succeeded)?;
            }
            EventKind::FallbackTaken { fallback, .. } => {
                let spec = self.workflow.step(step).fallback.get(*fallback as usize);
                let value = matches!(spec, Some(Fallback::Value(_)));
                let seen = &mut self.steps[at];
                self.retries -= u32::from(std::mem::take(&mut seen.planned));
                let next = seen.fallback.map_or(0, |at| at + 1);
                rule!(spec.is_some() && next == *fallback, "retries: step {at} takes fallback {fallback}, not {next}");
                (seen.spent_there, seen.answered, seen.failed) = (0, seen.answered || value, None);
                seen.fallback = Some(*fallback);
            }
            EventKind::StepFailed { .. } => self.end(step, StepState::Failed)?,
            EventKind::StepSkipped { why, .. } => {
                self.is_left_out(step, *why)?;
                self.steps[at].skip = Some(*why);
                self.end(step, StepState::Skipped)?;
            }
            EventKind::StepCancelled { .. } => self.end(step, StepState::Cancelled)?,
            EventKind::StepCancelling { .. } => self.steps[at].state = StepState::Cancelling,
            EventKind::StepUnknown { .. } => self.steps[at].state = StepState::Unknown,
            EventKind::StepReopened { .. } => {
                let seen = &mut self.steps[at];
                let asks = matches!(seen.wait, Some((WaitReason::Person, _)));
                let may = (seen.state.ended() || asks) && !seen.done;
                rule!(may, "once: step {at} is opened while it is {}", seen.state.word());
                seen.open();
                (self.question, self.said) = (false, None);
                self.to_undo.retain(|other| *other != step);
            }
            EventKind::StepTakenOver { then, .. } => self.taken_over(step, then),
            EventKind::PriorityChanged { priority, .. } => self.steps[at].priority = *priority,
            _ => {}
        }
        Ok(())
    }

    fn is_ready(&mut self, step: StepId, with_input: bool) -> Result<(), Broken> {
        if with_input {
            self.needs_met(step)?;
        }
        let seen = &mut self.steps[step.index()];
        let begins = seen.state == StepState::Pending;
        rule!(begins == with_input, "needs: step {} is ready while it is {}", step.0, seen.state.word());
        rule!(seen.at_work.is_none() && !seen.state.ended(), "states: step {} is ready again", step.0);
        (seen.state, seen.backoff, seen.wait, seen.failed) = (StepState::Ready, None, None, None);
        Ok(())
    }

    fn waits(&mut self, step: StepId, why: &WaitReason, until: Option<Micros>) -> Result<(), Broken> {
        let spec = self.workflow.step(step);
        let (pauses, approval) = (spec.on_exhausted == OnExhausted::Pause, spec.is_approval());
        let seen = &mut self.steps[step.index()];
        let about_agents = seen.wait.as_ref().is_some_and(|(why, _)| why.is_about_agents());
        rule!(seen.at_work.is_none() && !seen.state.ended(), "states: step {} waits", step.0);
        let right = match why {
            WaitReason::Person => pauses,
            WaitReason::Approval => approval,
            WaitReason::Backoff { .. } => until.is_some(),
            _ if seen.state == StepState::Compensating => why.is_about_agents(),
            _ => seen.state == StepState::Ready || about_agents,
        };
        rule!(right, "reasons: step {} waits for {} while it is {}", step.0, why.word(), seen.state.word());
        seen.backoff = until.filter(|_| matches!(why, WaitReason::Backoff { .. }));
        seen.wait = Some((why.clone(), until));
        if seen.state != StepState::Compensating {
            seen.state = StepState::Waiting;
        }
        Ok(())
    }

    /// A step is left out because of a need that is lost, or by a person.
    fn is_left_out(&self, step: StepId, why: SkipReason) -> Result<(), Broken> {
        let lost = match why {
            SkipReason::Condition | SkipReason::ByHand => return Ok(()),
            SkipReason::Upstream { need } | SkipReason::NotNeeded { need } => need,
        };
        let need = self.workflow.step(step).needs.iter().find(|need| need.step == lost);
        let right = need.is_some_and(|need| self.has_ended(lost) && !self.is_met(lost, need.on));
        rule!(right, "needs: step {} is left out because of step {}, which is no reason", step.0, lost.0);
        Ok(())
    }

    fn taken_over(&mut self, step: StepId, then: &TakeOver) {
        let seen = &mut self.steps[step.index()];
        match then {
            TakeOver::Complete(_) => seen.answered = true,
            TakeOver::Reassign(Some(agent)) => {
                seen.pinned = Some(*agent);
                if seen.fallback.take().is_some() {
                    // An attempt under way is taken away and not counted.
                    seen.granted = seen.spent + u32::from(seen.at_work.is_none());
                    if let Some(work) = &mut seen.at_work {
                        work.fallback = None;
                    }
                }
            }
            TakeOver::Skip | TakeOver::Reassign(None) => {}
        }
    }

    fn end(&mut self, step: StepId, state: StepState) -> Result<(), Broken> {
        let seen = &mut self.steps[step.index()];
        // What was planned and not begun never will be.
        self.retries -= u32::from(std::mem::take(&mut seen.planned));
        rule!(!seen.state.ended(), "states: step {} ends as {} but is {}", step.0, state.word(), seen.state.word());
        let undoing = seen.state == StepState::Compensating;
        rule!(!undoing, "saga: step {} ends as {} while it is undone", step.0, state.word());
        rule!(seen.at_work.is_none(), "states: step {} ends before its attempt", step.0);
        (seen.state, seen.backoff, seen.wait) = (state, None, None);
        Ok(())
    }
}
