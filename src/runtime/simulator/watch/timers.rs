//! Timers: whatever ends by time has one, and one of what is over says nothing any more.

use super::agents::AgentSeen;
use super::seen::RunSeen;
use super::{Broken, Watch};
use crate::model::effect::Timer;
use crate::model::id::{AgentId, RunId, StepId};
use crate::model::state::{BreakerState, RunState, WaitReason};
use crate::model::time::Micros;
use std::collections::BTreeMap;

/// Timers that will be due, and how often each.
pub(crate) type Armed = BTreeMap<Timer, u32>;

impl Watch {
    /// Whether a timer has nothing to say any more.
    pub(crate) fn is_stale(&self, timer: Timer, now: Micros) -> bool {
        match timer {
            Timer::AttemptTimeout { run, step, attempt } => {
                let run = self.run(run);
                run.step(step).at_work.is_none_or(|work| {
                    let limit = run.spec(step, work.undo).timeout;
                    let over = limit.is_none_or(|limit| work.worked(now) >= limit);
                    work.attempt != attempt || work.ending.is_some() || work.halted.is_some() || !over
                })
            }
            Timer::Idle { run, step, attempt } => self
                .run(run)
                .step(step)
                .at_work
                .is_none_or(|work| work.attempt != attempt || work.ending.is_some() || work.halted.is_some()),
            Timer::Approval { run, step } => {
                !matches!(self.run(run).step(step).wait, Some((WaitReason::Approval, Some(until))) if until <= now)
            }
            Timer::Backoff { run, step, attempt } => {
                let seen = self.run(run).step(step);
                seen.backoff.is_none() || seen.attempts != attempt
            }
            Timer::Deadline { run, epoch } => {
                let run = self.run(run);
                let counts = matches!(run.state, RunState::Running | RunState::Pausing | RunState::Stopping);
                epoch != run.epoch || !counts
            }
            Timer::Heal { agent, epoch } => self.stale_for(agent, |seen| seen.broken && seen.breaks == epoch),
            Timer::Unpark { agent, epoch } => {
                self.stale_for(agent, |seen| seen.parked.is_some() && seen.parkings == epoch)
            }
            Timer::Breaker { agent, epoch } => self.stale_for(agent, |seen| seen.breaker.in_time(epoch, now).is_some()),
        }
    }

    /// Whether the timer of an agent says nothing: it is not the current one, or no run wants to know.
    fn stale_for(&self, agent: AgentId, current: impl Fn(&AgentSeen) -> bool) -> bool {
        let known = |run: &RunSeen| run.is_live() && run.agents.contains(&agent);
        !current(&self.agents[agent.index()]) || !self.runs.iter().any(known)
    }

    /// While nothing waits for the disk: whatever has an end by time has a timer.
    ///
    /// # Errors
    /// What waits without one.
    pub(crate) fn has_timers(&self, armed: &Armed) -> Result<(), Broken> {
        for (at, seen) in self.runs.iter().enumerate().filter(|(_, run)| run.is_live()) {
            let run = RunId::from_index(at);
            if seen.state != RunState::Paused {
                (0..seen.steps.len()).try_for_each(|at| step_ends(run, seen, StepId::from_index(at), armed))?;
                seen.agents.iter().try_for_each(|agent| self.agent_comes_back(*agent, armed))?;
            }
            if seen.workflow.limits.deadline.is_some() && seen.state == RunState::Running {
                let timer = Timer::Deadline { run, epoch: seen.epoch };
                rule!(armed.contains_key(&timer), "timers: the run's deadline has no timer");
            }
        }
        Ok(())
    }

    fn agent_comes_back(&self, agent: AgentId, armed: &Armed) -> Result<(), Broken> {
        let seen = &self.agents[agent.index()];
        let name = &seen.definition.id;
        let heals = Timer::Heal { agent, epoch: seen.breaks };
        let ends = !seen.broken || seen.heals.is_none() || armed.contains_key(&heals);
        rule!(ends, "timers: nothing heals {name}");
        let unparks = Timer::Unpark { agent, epoch: seen.parkings };
        rule!(seen.parked.is_none() || armed.contains_key(&unparks), "timers: {name} is left alone for ever");
        let moves = Timer::Breaker { agent, epoch: seen.breaker.changes };
        let open = matches!(seen.breaker.state, BreakerState::Open { .. }) || seen.breaker.probe.is_some();
        rule!(!open || armed.contains_key(&moves), "timers: the breaker of {name} stays as it is for ever");
        Ok(())
    }
}

fn step_ends(run: RunId, seen: &RunSeen, step: StepId, armed: &Armed) -> Result<(), Broken> {
    let (entry, attempt) = (seen.step(step), seen.step(step).attempts);
    if entry.backoff.is_some() {
        let timer = Timer::Backoff { run, step, attempt };
        rule!(armed.contains_key(&timer), "timers: nothing ends the wait of step {}", step.0);
    }
    if let Some((WaitReason::Approval, Some(_))) = entry.wait {
        let timer = Timer::Approval { run, step };
        rule!(armed.contains_key(&timer), "timers: nothing ends the approval of step {}", step.0);
    }
    let Some(work) = entry.at_work.filter(|work| work.ending.is_none() && work.halted.is_none()) else {
        return Ok(());
    };
    let spec = seen.spec(step, work.undo);
    let timer = Timer::AttemptTimeout { run, step, attempt };
    let ends = spec.timeout.is_none() || armed.contains_key(&timer);
    rule!(ends, "timers: nothing ends attempt {attempt} of step {}", step.0);
    let timer = Timer::Idle { run, step, attempt };
    let ends = spec.idle_timeout.is_none() || armed.contains_key(&timer);
    rule!(ends, "timers: attempt {attempt} of step {} may be silent for ever", step.0);
    Ok(())
}
