//! Attempts: numbered one after another, one at a time, and not more of them than declared.

use super::Broken;
use super::seen::{AtWork, RunSeen};
use crate::model::completion::FailureClass;
use crate::model::event::{EndingWhy, Event, EventKind};
use crate::model::id::{AgentId, StepId};
use crate::model::state::StepState;
use crate::model::time::Micros;

impl RunSeen {
    pub(super) fn attempt_event(&mut self, event: &Event) -> Result<(), Broken> {
        match &event.kind {
            EventKind::AttemptStarted { step, attempt, agent, undo, .. } => {
                self.numbered(*step, *attempt)?;
                if *undo {
                    self.start_undo(*step)?;
                } else {
                    self.start(event)?;
                }
                self.begin(*step, *attempt, *agent, *undo, event);
                Ok(())
            }
            EventKind::AttemptEnding { step, attempt, why } => {
                let seen = &mut self.steps[step.index()];
                let Some(work) = &mut seen.at_work else {
                    return Err(format!("fence: attempt {attempt} is ended, but none is under way"));
                };
                rule!(work.attempt == *attempt, "fence: attempt {attempt} is ended instead of {}", work.attempt);
                if *why == EndingWhy::Timeout {
                    let most = self.workflow.step(*step);
                    let most = if work.undo { most.compensate.as_deref().unwrap_or(most) } else { most }.timeout;
                    let (worked, halted) = (work.worked(event.at), work.halted.is_some());
                    let over = !halted && most.is_some_and(|most| worked >= most);
                    rule!(over, "frozen: attempt {attempt} of step {} times out after {worked:?}", step.0);
                }
                let silent = *why != EndingWhy::Idle || work.halted.is_none();
                rule!(silent, "frozen: attempt {attempt} of step {} is called silent while it is halted", step.0);
                work.ending = Some(*why);
                if let Some(since) = work.halted.take() {
                    work.halted_for += event.at - since;
                }
                Ok(())
            }
            EventKind::AttemptSucceeded { step, attempt, .. } => {
                let work = self.ends(*step, *attempt)?;
                self.steps[step.index()].answered |= !work.undo;
                Ok(())
            }
            EventKind::AttemptFailed { step, attempt, failure, .. } => {
                let work = self.ends(*step, *attempt)?;
                self.failed(*step, &work, failure.class, failure.retry_after);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// The number of an attempt that begins follows the last one's, and no other is under way.
    fn numbered(&self, step: StepId, attempt: u32) -> Result<(), Broken> {
        let seen = self.step(step);
        let last = seen.attempts;
        rule!(seen.at_work.is_none(), "fence: step {} has two attempts at once", step.0);
        rule!(attempt == last + 1, "fence: attempt {attempt} of step {} follows attempt {last}", step.0);
        Ok(())
    }

    fn start(&mut self, event: &Event) -> Result<(), Broken> {
        let EventKind::AttemptStarted { step, fallback, .. } = event.kind else { return Ok(()) };
        let at = step.index();
        let limit = self.workflow.step(step).retry.limit;
        self.needs_met(step)?;
        self.shared_is_free(step)?;
        let seen = &mut self.steps[at];
        rule!(!seen.done, "once: step {at} starts after it succeeded");
        rule!(seen.fallback == fallback, "retries: step {at} is at fallback {:?}, not {fallback:?}", seen.fallback);
        let ready = seen.state == StepState::Ready || seen.failed.is_some();
        rule!(ready, "needs: step {at} starts while it is {}", seen.state.word());
        if fallback.is_some() {
            seen.spent_there += 1;
            rule!(seen.spent_there == 1, "retries: fallback {fallback:?} of step {at} is tried again");
        }
        seen.spent += 1;
        let most = (limit + 1).max(seen.granted);
        rule!(fallback.is_some() || seen.spent <= most, "retries: try {} of {most} of step {at}", seen.spent);
        seen.planned = false;
        self.firsts += u32::from(!std::mem::replace(&mut seen.begun, true));
        seen.state = StepState::Running;
        Ok(())
    }

    fn begin(&mut self, step: StepId, attempt: u32, agent: AgentId, undo: bool, event: &Event) {
        let takes = self.spec(step, undo).resources.unwrap_or_default();
        let seen = &mut self.steps[step.index()];
        seen.attempts = attempt;
        (seen.backoff, seen.wait, seen.failed) = (None, None, None);
        seen.at_work = Some(AtWork {
            attempt,
            agent,
            ending: None,
            fallback: seen.fallback.filter(|_| !undo),
            undo,
            since: event.at,
            halted: None,
            halted_for: Micros::ZERO,
            begun: 0,
            takes,
        });
    }

    fn ends(&mut self, step: StepId, attempt: u32) -> Result<AtWork, Broken> {
        let work = self.steps[step.index()].at_work.take().filter(|work| work.attempt == attempt);
        work.ok_or_else(|| format!("fence: attempt {attempt} is not under way"))
    }

    fn failed(&mut self, step: StepId, work: &AtWork, class: FailureClass, retry_after: Option<Micros>) {
        let seen = &mut self.steps[step.index()];
        let taken = matches!(work.ending, Some(EndingWhy::Park | EndingWhy::TakenOver));
        let free = matches!(class, FailureClass::Unknown | FailureClass::Unreachable | FailureClass::RateLimited);
        seen.limited += u32::from(class == FailureClass::RateLimited);
        if taken || free {
            let counter = match (work.undo, work.fallback) {
                (true, _) => &mut seen.undo_spent,
                (false, Some(_)) => &mut seen.spent_there,
                (false, None) => &mut seen.spent,
            };
            *counter = counter.saturating_sub(1);
            if !work.undo && work.fallback.is_some() {
                seen.spent = seen.spent.saturating_sub(1);
            }
        }
        let mine = Some(EndingWhy::Cancel) != work.ending && work.ending != Some(EndingWhy::Deadline) && !taken;
        seen.failed = (mine && (work.undo || work.fallback.is_none())).then_some(class);
        seen.retry_after = retry_after;
        seen.in_doubt |= !work.undo && class.leaves_doubt();
    }

    /// What runs is halted where it stands.
    pub(super) fn halt(&mut self, at: Micros) {
        self.frozen = true;
        for work in self.steps.iter_mut().filter_map(|step| step.at_work.as_mut()) {
            if work.ending.is_none() {
                work.halted.get_or_insert(at);
            }
        }
    }

    /// What was halted goes on.
    pub(super) fn thaw(&mut self, at: Micros) {
        self.frozen = false;
        for work in self.steps.iter_mut().filter_map(|step| step.at_work.as_mut()) {
            if let Some(since) = work.halted.take() {
                work.halted_for += at - since;
            }
        }
    }
}
