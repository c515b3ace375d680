//! What the observer knows of agents, and whether one may be given an attempt now.

use super::breaker::BreakerSeen;
use super::seen::{AtWork, RunSeen};
use super::{Broken, Watch};
use crate::model::agent::Agent;
use crate::model::completion::FailureClass;
use crate::model::defaults::{RATE_LIMIT_WAIT_MAX, RATE_LIMIT_WAITS, SIMULATED_DURATION};
use crate::model::event::{EndingWhy, Event, EventKind};
use crate::model::id::{AgentId, RunId, StepId};
use crate::model::policy::{Mode, Resources};
use crate::model::state::{BreakerState, RunState, StepState, WaitReason};
use crate::model::time::Micros;

/// The picture of an agent.
#[derive(Clone, Debug)]
pub(super) struct AgentSeen {
    pub(super) definition: Agent,
    pub(super) broken: bool,
    pub(super) breaks: u32,
    pub(super) heals: Option<Micros>,
    pub(super) parked: Option<Micros>,
    pub(super) parkings: u32,
    pub(super) breaker: BreakerSeen,
    /// When its attempts began.
    calls: Vec<Micros>,
    /// It said that it is to be left alone until then.
    asks_for_peace: Option<Micros>,
}

impl AgentSeen {
    pub(super) fn new(definition: Agent) -> Self {
        Self {
            definition,
            broken: false,
            breaks: 0,
            heals: None,
            parked: None,
            parkings: 0,
            breaker: BreakerSeen::default(),
            calls: Vec::new(),
            asks_for_peace: None,
        }
    }

    /// It stays as runs under way know it; what was called in an old journal was called all the same.
    pub(super) fn stays(&mut self, known: Self) {
        let calls = std::mem::take(&mut self.calls);
        *self = Self { calls, ..known };
    }

    pub(super) fn forget_what_is_due(&mut self) {
        (self.breaker.due, self.breaker.asked, self.asks_for_peace) = (None, None, None);
    }

    /// Neither broken nor behind a breaker.
    pub(super) const fn is_sound(&self) -> bool {
        !self.broken && matches!(self.breaker.state, BreakerState::Closed | BreakerState::ForcedClosed)
    }

    /// Whether it is asked for, and has what the work takes when it does nothing else.
    pub(super) fn can_do(&self, asked: &str, takes: Resources) -> bool {
        let has = self.definition.resources.is_none_or(|all| takes.cpu <= all.cpu && takes.memory_mb <= all.memory_mb);
        has && (*self.definition.id == *asked || self.definition.capabilities.iter().any(|name| **name == *asked))
    }

    pub(super) fn at_rest(&mut self) -> Result<(), Broken> {
        let name = &self.definition.id;
        rule!(self.breaker.due.is_none(), "breakers: that of {name} should be {:?}", self.breaker.due);
        if let Some(until) = self.asks_for_peace.take() {
            let left = self.parked.is_some_and(|parked| parked >= until);
            rule!(left, "rates: {name} asked to be left alone until {until:?}, and is until {:?}", self.parked);
        }
        self.breaker.asked = None;
        Ok(())
    }
}

impl Watch {
    /// Those who could do what a step asks for now, as the step stands.
    pub(super) fn candidates(&self, run: &RunSeen, step: StepId, undo: bool) -> Vec<AgentId> {
        let seen = run.step(step);
        match seen.pinned.filter(|_| !undo && seen.fallback.is_none()) {
            Some(agent) => vec![agent],
            None => {
                let asked = run.asks_for(step, seen.fallback.filter(|_| !undo), undo);
                let takes = run.spec(step, undo).resources.unwrap_or_default();
                let able = |id: &AgentId| self.agents[id.index()].can_do(asked, takes);
                run.agents.iter().copied().filter(able).collect()
            }
        }
    }

    /// Those of them that are not broken; of backups only where nobody else works.
    pub(super) fn eligible(&self, candidates: &[AgentId]) -> Vec<AgentId> {
        let agent = |id: &AgentId| &self.agents[id.index()];
        let regular = candidates.iter().any(|id| agent(id).is_sound() && !agent(id).definition.backup);
        let fits = |id: &AgentId| !(agent(id).broken || regular && agent(id).definition.backup);
        candidates.iter().copied().filter(fits).collect()
    }

    fn busy(&self, agent: AgentId) -> impl Iterator<Item = AtWork> {
        let all = self.runs.iter().flat_map(RunSeen::at_work).map(|(_, work)| work);
        all.filter(move |work| work.agent == agent)
    }

    pub(super) fn may_start(
        &self,
        event: &Event,
        step: StepId,
        agent: AgentId,
        fallback: Option<u32>,
        undo: bool,
    ) -> Result<(), Broken> {
        let run = self.run(event.run);
        let starts = match run.state {
            RunState::Running => true,
            RunState::Compensating | RunState::Cancelling | RunState::Stopping => undo,
            _ => false,
        };
        rule!(starts, "paused: a step starts while the run is {}", run.state.word());
        let candidates = self.candidates(run, step, undo);
        let name = &self.agents[agent.index()].definition.id;
        rule!(candidates.contains(&agent), "slots: {name} is not asked for by step {}", step.0);
        if !self.apart {
            let takes = run.spec(step, undo).resources.unwrap_or_default();
            self.takes_work(agent, event.at, takes, &candidates)?;
        }
        within_limits(run, step, fallback, undo)?;
        if undo { Ok(()) } else { has_turn(run, step) }
    }

    /// Whether the agent takes an attempt now.
    fn takes_work(&self, agent: AgentId, at: Micros, takes: Resources, candidates: &[AgentId]) -> Result<(), Broken> {
        let seen = &self.agents[agent.index()];
        let name = &seen.definition.id;
        rule!(!seen.broken, "slots: a step is given to {name}, which is broken");
        rule!(seen.parked.is_none(), "rates: a step is given to {name}, which takes no calls");
        rule!(seen.breaker.lets_through(), "breakers: a step is given to {name}: {:?}", seen.breaker.state);
        rule!(self.eligible(candidates).contains(&agent), "slots: {name} is a backup, and others work");
        let held = self.busy(agent).count();
        rule!(held < seen.definition.slots as usize, "slots: {name} is given more attempts than it has slots");
        if let Some(all) = seen.definition.resources {
            let (mut cpu, mut memory) = (takes.cpu, takes.memory_mb);
            for work in self.busy(agent) {
                cpu += work.takes.cpu;
                memory += work.takes.memory_mb;
            }
            let fits = cpu <= all.cpu + 1e-3 && memory <= all.memory_mb + 1e-3;
            rule!(fits, "slots: {name} is asked for {cpu} cores and {memory} MB, and has {all:?}");
        }
        if let Some(limit) = seen.definition.rate_limit {
            let recent = seen.calls.iter().filter(|call| **call + limit.per > at).count();
            rule!(recent < limit.calls as usize, "rates: {name} is called {} times within {:?}", recent + 1, limit.per);
        }
        Ok(())
    }

    /// What an event says about agents.
    pub(super) fn agent_event(&mut self, event: &Event) -> Result<(), Broken> {
        match &event.kind {
            EventKind::AttemptStarted { step, attempt, agent, .. } => {
                let seen = &mut self.agents[agent.index()];
                seen.calls.push(event.at);
                seen.breaker.begin((event.run, *step, *attempt));
            }
            EventKind::AttemptSucceeded { step, attempt, agent, .. } => {
                self.attempt_ended(event, *step, (*attempt, *agent), None);
            }
            EventKind::AttemptFailed { step, attempt, agent, failure, .. } => {
                self.attempt_ended(event, *step, (*attempt, *agent), Some(failure.class));
                if failure.class == FailureClass::RateLimited {
                    self.asked_for_peace(event, *step, *agent, failure.retry_after);
                }
            }
            EventKind::AgentBroken { agent, until, .. } => {
                let seen = &mut self.agents[agent.index()];
                if !seen.broken {
                    (seen.broken, seen.breaks, seen.heals) = (true, seen.breaks + 1, *until);
                }
            }
            EventKind::AgentHealed { agent } => self.agents[agent.index()].broken = false,
            EventKind::AgentParked { agent, until, .. } => {
                let seen = &mut self.agents[agent.index()];
                if seen.parked != Some(*until) {
                    (seen.parked, seen.parkings) = (Some(*until), seen.parkings + 1);
                }
            }
            EventKind::AgentUnparked { agent } => self.agents[agent.index()].parked = None,
            EventKind::BreakerChanged { agent, to, .. } => {
                self.agents[agent.index()].breaker.change(*to, self.reading)?;
            }
            _ => {}
        }
        Ok(())
    }

    fn attempt_ended(&mut self, event: &Event, step: StepId, at: (u32, AgentId), failed: Option<FailureClass>) {
        let run = &self.runs[event.run.index()];
        let Some(work) = run.step(step).at_work.filter(|work| work.attempt == at.0) else { return };
        let kind = run.spec(step, work.undo).kind().into();
        let (attempt, worked) = ((event.run, step, at.0), work.worked(event.at));
        if failed.is_none() {
            let (count, time) = self.measured.entry((at.1, kind)).or_default();
            *count += 1;
            *time += worked.0;
        }
        let seen = &mut self.agents[at.1.index()];
        // What was broken on purpose says nothing about how it works.
        let failed = if work.ending == Some(EndingWhy::Fault) { Some(FailureClass::Cancelled) } else { failed };
        seen.breaker.end(seen.definition.breaker, (attempt, work.begun), failed, event.at);
        self.runs[event.run.index()].busy += worked;
    }

    fn asked_for_peace(&mut self, event: &Event, step: StepId, agent: AgentId, time: Option<Micros>) {
        let seen = self.run(event.run).step(step);
        let patient = seen.limited < RATE_LIMIT_WAITS || seen.at_work.is_some_and(|work| work.undo);
        let time = time.unwrap_or_default();
        if patient && time <= RATE_LIMIT_WAIT_MAX {
            self.agents[agent.index()].asks_for_peace = Some(event.at + time);
        }
    }

    /// Whether an attempt at the step that begins then on one of these agents could end before the run's deadline.
    fn in_time(&self, run: &RunSeen, step: StepId, agents: &[AgentId], begin: Micros) -> bool {
        let Some(deadline) = run.deadline else { return true };
        let spec = run.spec(step, false);
        let known = |agent: &AgentId| match self.measured.get(&(*agent, spec.kind().into())) {
            Some((count, time)) => Micros(time / count),
            None => spec.estimate.unwrap_or(SIMULATED_DURATION),
        };
        begin + agents.iter().map(known).min().unwrap_or_default() < deadline
    }

    /// A step is tried again only in time and within the run's budget; and given up for them only where they say so.
    pub(super) fn may_try_again(&mut self, event: &Event) -> Result<(), Broken> {
        let run = self.run(event.run);
        let (step, agents, begin) = match &event.kind {
            EventKind::StepWaiting { step, why: WaitReason::Backoff { .. }, until: Some(until) }
                if run.step(*step).state != StepState::Compensating =>
            {
                (*step, self.candidates(run, *step, false), *until)
            }
            EventKind::AttemptStarted { step, agent, fallback: None, undo: false, .. }
                if run.step(*step).failed.is_some() =>
            {
                (*step, vec![*agent], event.at)
            }
            EventKind::FallbackTaken { step, .. } | EventKind::StepFailed { step, .. } => {
                return self.not_too_early(event.run, *step, event.at);
            }
            EventKind::StepWaiting { step, why: WaitReason::Person, .. } => {
                return self.not_too_early(event.run, *step, event.at);
            }
            _ => return Ok(()),
        };
        rule!(self.apart || self.in_time(run, step, &agents, begin), "deadline: step {} is tried too late", step.0);
        if let Some(budget) = run.workflow.limits.retry_budget {
            let (tried, first) = (run.retries, run.firsts);
            rule!(budget.allows(first, tried), "budget: retry {} after {first} first attempts", tried + 1);
        }
        let run = &mut self.runs[event.run.index()];
        run.retries += 1;
        run.steps[step.index()].planned = true;
        Ok(())
    }

    /// A failed attempt is given up only when its retries are spent, or its failure is none that is tried again, or
    /// there is no time or no budget left.
    fn not_too_early(&self, id: RunId, step: StepId, now: Micros) -> Result<(), Broken> {
        let run = self.run(id);
        let seen = run.step(step);
        let policy = &run.workflow.step(step).retry;
        let Some(class) = seen.failed else { return Ok(()) };
        let refused = match class {
            FailureClass::Unreachable | FailureClass::Unknown => true,
            FailureClass::RateLimited => {
                seen.limited > RATE_LIMIT_WAITS || seen.retry_after.is_some_and(|time| time > RATE_LIMIT_WAIT_MAX)
            }
            class => !policy.covers(class),
        };
        let spent = class != FailureClass::RateLimited && (seen.spent > policy.limit || seen.fallback.is_some());
        let latest = now + policy.wait(seen.spent, 1.0);
        let late = !self.in_time(run, step, &self.candidates(run, step, false), latest);
        // The engine also counts attempts that were begun again after they were lost, so it may be the first to say no.
        let poor = run.workflow.limits.retry_budget.is_some() && class != FailureClass::RateLimited;
        rule!(
            refused || spent || self.apart || poor || late && class != FailureClass::RateLimited,
            "retries: step {} is given up after {} of {} tries ({})",
            step.0,
            seen.spent,
            policy.limit + 1,
            class.word()
        );
        Ok(())
    }
}

/// The limits of the run and per capability hold.
fn within_limits(run: &RunSeen, step: StepId, fallback: Option<u32>, undo: bool) -> Result<(), Broken> {
    let at_work = run.at_work().filter(|(other, _)| *other != step).count();
    let max = run.workflow.limits.max_parallel.map_or(usize::MAX, |max| max as usize);
    // An attempt that replaces a failed one takes its place: its end stands right before.
    rule!(at_work < max, "limits: more than {max} attempts at once");
    let asked = run.asks_for(step, fallback, undo);
    if let Some(limit) = run.workflow.limits.capability.get(asked) {
        let same = run.at_work().filter(|(at, work)| run.asks_for(*at, work.fallback, work.undo) == asked);
        rule!(same.count() < *limit as usize, "limits: more than {limit} attempts at {asked} at once");
    }
    Ok(())
}

/// The order of work lets the step begin.
fn has_turn(run: &RunSeen, step: StepId) -> Result<(), Broken> {
    let others = run.at_work().filter(|(other, _)| *other != step).count();
    let level = run.level[step.index()];
    let wide = run.level.iter().filter(|other| **other == level).count() >= run.workflow.parallel_threshold as usize;
    match run.mode {
        Mode::Parallel | Mode::Auto => Ok(()),
        Mode::Sequential => {
            rule!(others == 0, "order: step {} begins in sequential order beside others", step.0);
            Ok(())
        }
        Mode::Hybrid => {
            rule!(wide || others == 0, "order: step {} begins beside others, and its level is narrow", step.0);
            let at_barrier = |at: usize| matches!(run.steps[at].wait, Some((WaitReason::Barrier { .. }, _)));
            let waits = |at: usize| run.steps[at].state == StepState::Pending || at_barrier(at);
            let ended = |at: usize| run.steps[at].state.ended() || run.steps[at].state == StepState::Compensating;
            let open = |at: &usize| !ended(*at) && run.level[*at] < level && !waits(*at);
            let before = (0..run.steps.len()).find(open);
            rule!(before.is_none(), "order: step {} begins before step {before:?} of an earlier level", step.0);
            Ok(())
        }
    }
}
