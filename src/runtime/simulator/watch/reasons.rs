//! Reasons to wait: what a view says about every step is true now, by the observer's own picture.

use super::seen::RunSeen;
use super::{Broken, Watch};
use crate::model::id::{AgentId, StepId};
use crate::model::state::{BreakerState, RunState, StepState, WaitReason};
use crate::model::time::Micros;
use crate::model::view::{RunView, StepView};

type Wait = (WaitReason, Option<Micros>);

impl Watch {
    /// Compares what a view says about a run with the picture.
    ///
    /// # Errors
    /// What the view has wrong.
    pub(crate) fn agrees(&self, view: &RunView) -> Result<(), Broken> {
        let run = self.run(view.id);
        rule!(run.state == view.state, "reasons: the run is {}, and seen {}", run.state.word(), view.state.word());
        for (at, seen) in view.steps.iter().enumerate() {
            let step = StepId::from_index(at);
            self.is_right(run, step, seen).map_err(|why| {
                format!(
                    "reasons: step {at} is {}, seen as {} {:?}: {why}",
                    run.steps[at].state.word(),
                    seen.state.word(),
                    seen.wait
                )
            })?;
        }
        rule!(!view.stuck || asks_somebody(run, view), "reasons: a run is stuck, and nobody is asked anything");
        Ok(())
    }

    fn is_right(&self, run: &RunSeen, step: StepId, view: &StepView) -> Result<(), Broken> {
        let seen = run.step(step);
        let about_agents = seen.wait.as_ref().is_some_and(|(why, _)| why.is_about_agents());
        match (seen.state, &seen.wait) {
            (StepState::Ready, _) => self.waits_for_agents(run, step, view),
            (StepState::Waiting, _) if about_agents => self.waits_for_agents(run, step, view),
            (StepState::Waiting, Some((why, until))) => {
                rule!(view.state == StepState::Waiting, "it waits");
                let Some((now, when)) = &view.wait else { return Err("it has no reason".to_owned()) };
                rule!(until == when, "it waits until {until:?}");
                holds(run, step, why, now)
            }
            (StepState::Compensating, Some(wait)) if !about_agents => {
                rule!(view.state == StepState::Compensating && view.wait.as_ref() == Some(wait), "it is undone later");
                Ok(())
            }
            (StepState::Compensating, _) => {
                let own = self.obstacle(&self.candidates(run, step, true), run.asks_for(step, None, true));
                let idle = seen.at_work.is_none() && run.to_undo.front() == Some(&step);
                let own = own.filter(|_| idle);
                rule!(view.state == StepState::Compensating && view.wait == own, "to undo it: {own:?}");
                Ok(())
            }
            (state, _) => {
                rule!(view.state == state && view.wait.is_none(), "it waits for nothing");
                Ok(())
            }
        }
    }

    fn waits_for_agents(&self, run: &RunSeen, step: StepId, view: &StepView) -> Result<(), Broken> {
        let seen = run.step(step);
        let pin = seen.pinned.filter(|_| seen.fallback.is_none());
        let asked = match pin {
            Some(agent) => &*self.agents[agent.index()].definition.id,
            None => run.asks_for(step, seen.fallback, false),
        };
        let own = self.obstacle(&self.candidates(run, step, false), asked);
        let state = if own.is_some() { StepState::Waiting } else { StepState::Ready };
        rule!(view.state == state && view.wait == own, "as for agents: {own:?}");
        Ok(())
    }

    /// Why nobody takes such work, and until when.
    fn obstacle(&self, candidates: &[AgentId], asked: &str) -> Option<Wait> {
        let able = self.eligible(candidates);
        let agent = |id: &AgentId| &self.agents[id.index()];
        if able.iter().any(|id| agent(id).parked.is_none() && agent(id).breaker.lets_through()) {
            return None;
        }
        if able.is_empty() {
            let until = candidates.iter().filter_map(|id| agent(id).heals).min();
            let why = WaitReason::Capability { capability: asked.into(), broken: candidates.to_vec() };
            return Some((why, until));
        }
        // Each comes back at some time, or nobody knows when.
        let back = |id: &AgentId| match agent(id).breaker.state {
            BreakerState::Open { until, .. } => Some(agent(id).parked.unwrap_or_default().max(until)),
            BreakerState::ForcedOpen => None,
            BreakerState::HalfOpen { .. } if agent(id).breaker.probe.is_some() => None,
            _ => agent(id).parked,
        };
        let (through, behind): (Vec<AgentId>, Vec<AgentId>) =
            able.iter().copied().partition(|id| agent(id).breaker.lets_through());
        let first = |some: &[AgentId]| some.iter().filter_map(back).min();
        let capability = asked.into();
        match (first(&through), first(&behind)) {
            (Some(call), probe) if probe.is_none_or(|probe| call <= probe) => {
                Some((WaitReason::RateLimit { capability, agents: through }, Some(call)))
            }
            (_, probe) => Some((WaitReason::Breaker { capability, agents: behind }, probe)),
        }
    }

    /// Whether sentences name what a step waits for.
    pub(crate) fn names_it(&self, run: &RunSeen, wait: &Wait, sentences: &[String]) -> bool {
        let said = sentences.join("; ");
        let agents = wait.0.agents().iter().map(|id| self.agents[id.index()].definition.id.to_string());
        let step = |id: &StepId| run.workflow.step(*id).id.to_string();
        let mut names: Vec<String> = match &wait.0 {
            WaitReason::Lock { lock, holder } => vec![lock.to_string(), step(holder)],
            WaitReason::Semaphore { semaphore, holders } => {
                std::iter::once(semaphore.to_string()).chain(holders.iter().take(6).map(step)).collect()
            }
            WaitReason::Barrier { barrier, missing } => {
                std::iter::once(barrier.to_string()).chain(missing.iter().take(6).map(step)).collect()
            }
            WaitReason::Backoff { .. } => vec!["backoff".to_owned()],
            WaitReason::Approval | WaitReason::Person => vec!["person".to_owned()],
            WaitReason::Breaker { .. } if wait.1.is_none() => Vec::new(),
            _ => agents.take(6).collect(),
        };
        names.retain(|name| !said.contains(name));
        names.is_empty()
    }
}

/// Whether a reason that has nothing to do with agents is true now.
fn holds(run: &RunSeen, step: StepId, why: &WaitReason, now: &WaitReason) -> Result<(), Broken> {
    let next = |id: &StepId| run.step(*id).state == StepState::Ready;
    match now {
        WaitReason::Lock { lock, holder } => {
            let held = run.holders_of_lock(lock);
            let first = held.is_empty() && next(holder) && run.workflow.step(*holder).lock.as_ref() == Some(lock);
            rule!(held.contains(holder) || first, "the lock is held by {held:?}");
        }
        WaitReason::Semaphore { semaphore, holders } => {
            let held = run.holders_of_semaphore(semaphore);
            let others = holders.iter().filter(|id| !held.contains(id));
            rule!(held.iter().all(|id| holders.contains(id)), "the semaphore is held by {held:?}");
            rule!(others.clone().all(next), "the semaphore is held by {held:?}");
        }
        WaitReason::Barrier { missing, .. } => {
            let own = run.missing(step);
            rule!(*missing == own && !own.is_empty(), "missing at the barrier: {own:?}");
        }
        _ => rule!(now == why, "it waits for {why:?}"),
    }
    rule!(std::mem::discriminant(now) == std::mem::discriminant(why), "it waits for {why:?}");
    Ok(())
}

/// Whether a person could make a run go on in which nothing happens by itself.
fn asks_somebody(run: &RunSeen, view: &RunView) -> bool {
    let asks = |step: &StepView| {
        step.state == StepState::Unknown
            || step
                .wait
                .as_ref()
                .is_some_and(|(why, until)| until.is_none() && (why.asks_a_person() || why.is_about_agents()))
    };
    let idle = run.at_work().next().is_none();
    idle && run.state != RunState::Paused && (run.question || view.steps.iter().any(asks))
}
