//! Whether what is said about steps that do not run is true: each reason is held against what the views show, by plain
//! recomputation, and the time left against the moment it ends.

use super::words::{agents, seconds};
use super::world::{RUN, World};
use upbeat::model::id::{AgentId, StepId};
use upbeat::model::policy::Mode;
use upbeat::model::state::{BreakerState, RunState, StepState, WaitReason};
use upbeat::model::step::{Fallback, Step, Work};
use upbeat::model::time::Micros;
use upbeat::model::view::{AgentView, EngineView, RunView, StepView};

/// Every step of the run.
pub(crate) fn check(world: &World, view: &EngineView) -> Result<(), String> {
    let run = &view.runs[0];
    for id in world.workflow.step_ids() {
        let said = world.engine.explain(world.now, RUN, id);
        let step = &run.steps[id.index()];
        one(world, view, run, id, &said).map_err(|why| {
            let name = &world.workflow.step(id).id;
            format!("{name} is {}, and is explained with {said:?}: {why}", super::words::standing(step))
        })?;
    }
    Ok(())
}

fn one(world: &World, view: &EngineView, run: &RunView, id: StepId, said: &[String]) -> Result<(), String> {
    let step = &run.steps[id.index()];
    if said.is_empty() || said.iter().any(String::is_empty) {
        return Err("nothing is said".to_owned());
    }
    if run.started.is_some() && said.iter().any(|sentence| sentence == "it starts now") {
        return Err("it does not start".to_owned());
    }
    let (must_wait, may_wait) = match step.state {
        StepState::Waiting => (true, true),
        StepState::Compensating => (false, true),
        _ => (false, false),
    };
    match &step.wait {
        None if must_wait => return Err("it waits without a reason".to_owned()),
        Some(_) if !may_wait => return Err("it has a reason to wait and does not".to_owned()),
        Some((why, until)) => {
            is_so(world, view, id, why, *until)?;
            names_the_time(world.now, why, *until, said)?;
        }
        None => {}
    }
    match step.state {
        StepState::Pending => pending(world, run, id),
        StepState::Ready => ready(world, view, run, id),
        StepState::Compensating if step.attempt_started.is_none() => {
            must(said[0] != "what it did is being undone", || "nobody undoes it".to_owned())
        }
        _ => Ok(()),
    }
}

/// The time left that is named is the time until then.
fn names_the_time(now: Micros, why: &WaitReason, until: Option<Micros>, said: &[String]) -> Result<(), String> {
    let Some(until) = until else { return Ok(()) };
    if until < now {
        return Err(format!("it waits until {}, which is past", seconds(until)));
    }
    let left = (until - now).as_secs_f64();
    let exact = match why {
        WaitReason::Capability { .. } => format!("heals in {left:.0} s"),
        _ => format!("{left:.1} s"),
    };
    if said.iter().any(|sentence| sentence.contains(&exact)) { Ok(()) } else { Err(format!("it does not say {exact}")) }
}

fn must(holds: bool, what: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(what()) }
}

/// The reason is true.
fn is_so(world: &World, view: &EngineView, id: StepId, why: &WaitReason, until: Option<Micros>) -> Result<(), String> {
    let run = &view.runs[0];
    let spec = world.workflow.step(id);
    let agent = |id: &AgentId| &view.agents[id.index()];
    let all = |list: &[AgentId], what: &str, holds: &dyn Fn(&AgentView) -> bool| {
        must(!list.is_empty() && list.iter().all(|id| holds(agent(id))), || {
            format!("not {what}: {}", agents(world, list))
        })
    };
    let state = |id: &StepId| run.steps[id.index()].state;
    match why {
        WaitReason::Backoff { retry, limit } => {
            must(*retry <= *limit && until.is_some(), || "no such retry".to_owned())
        }
        WaitReason::Capability { broken, .. } => {
            all(broken, "broken", &|agent| agent.broken.is_some())?;
            let heals = broken.iter().filter_map(|id| agent(id).broken.as_ref()?.until).min();
            must(until == heals, || format!("the first of them heals at {heals:?}"))
        }
        WaitReason::RateLimit { agents: list, .. } => {
            all(list, "left alone", &|agent| agent.parked.is_some() && agent.broken.is_none())?;
            let first = list.iter().filter_map(|id| agent(id).parked).min();
            must(until == first, || format!("the next call is at {first:?}"))
        }
        WaitReason::Breaker { agents: list, .. } => {
            let shut = |agent: &AgentView| {
                !matches!(agent.breaker, None | Some(BreakerState::Closed | BreakerState::ForcedClosed))
            };
            all(list, "behind a breaker", &|agent| shut(agent) && agent.broken.is_none())?;
            let opens = |id: &AgentId| match agent(id).breaker {
                Some(BreakerState::Open { until, .. }) => Some(until.max(agent(id).parked.unwrap_or_default())),
                _ => None,
            };
            let first = list.iter().filter_map(opens).min();
            must(until == first, || format!("the next probe is at {first:?}"))
        }
        WaitReason::Approval => must(spec.is_approval(), || "it asks nobody".to_owned()),
        WaitReason::Person => must(run.steps[id.index()].failure.is_some(), || "nothing failed".to_owned()),
        WaitReason::Lock { lock, holder } => {
            let same = world.workflow.step(*holder).lock.as_ref() == Some(lock) && spec.lock.as_ref() == Some(lock);
            must(same && *holder != id && (state(holder).active() || state(holder) == StepState::Ready), || {
                "the holder does not hold it".to_owned()
            })
        }
        WaitReason::Semaphore { semaphore, holders } => {
            let permits = spec.semaphore.as_ref().filter(|own| own.name == *semaphore).map_or(0, |own| own.permits);
            let held = holders.iter().filter(|id| state(id).active() || state(id) == StepState::Ready).count();
            must(permits > 0 && held >= permits as usize, || format!("{held} of {permits} are held"))
        }
        WaitReason::Barrier { missing, .. } => {
            let there = |id: &StepId| {
                let other = &run.steps[id.index()];
                let same = world.workflow.step(*id).barrier == spec.barrier;
                !same || other.state.ended() || other.started.is_some() || other.state == StepState::Ready
            };
            must(!missing.is_empty() && !missing.iter().any(there), || "they are all there".to_owned())
        }
    }
}

/// A need is open.
fn pending(world: &World, run: &RunView, id: StepId) -> Result<(), String> {
    let needs = &world.workflow.step(id).needs;
    let open = needs.iter().any(|need| !run.steps[need.step.index()].state.ended());
    let stands = run.state != RunState::Running;
    must(open || stands, || "all its needs have ended".to_owned())
}

/// Something holds it up: the run, a limit, or that all who could do it are at work.
fn ready(world: &World, view: &EngineView, run: &RunView, id: StepId) -> Result<(), String> {
    let limits = &world.workflow.limits;
    let spec = world.workflow.step(id);
    let asks = asked(spec, &run.steps[id.index()]);
    let at_work = |id: &StepId| run.steps[id.index()].attempt_started.is_some();
    let active: Vec<StepId> = world.workflow.step_ids().filter(at_work).collect();
    let count = |n: usize, limit: u32| n >= limit as usize;
    let full = limits.max_parallel.is_some_and(|max| count(active.len(), max));
    let same = active.iter().filter(|other| world.workflow.step(**other).asks_for() == asks).count();
    let limited = limits.capability.get(asks).is_some_and(|max| count(same, *max));
    // Where steps go one after the other, one is at work or comes first and is held up by something else.
    let before = |other: &StepId| *other != id && matches!(run.steps[other.index()].state, StepState::Waiting);
    let comes_first = world.workflow.step_ids().any(|other| before(&other));
    let ordered = matches!(run.mode, Mode::Sequential | Mode::Hybrid) && (!active.is_empty() || comes_first);
    let pinned = |agent: &&AgentView| run.steps[id.index()].pinned.is_none_or(|pin| pin == agent.id);
    let able = |agent: &&AgentView| &*agent.name == asks || agent.capabilities.iter().any(|own| &**own == asks);
    let open = |agent: &&AgentView| {
        let shut = matches!(agent.breaker, Some(BreakerState::Open { .. } | BreakerState::ForcedOpen));
        agent.broken.is_none() && agent.parked.is_none() && !shut
    };
    let busy = |agent: &AgentView| count(agent.busy.len(), agent.slots);
    let resources = spec.resources.is_some();
    let backup_waits = |agent: &AgentView| agent.backup;
    let mut candidates = view.agents.iter().filter(able).filter(pinned).filter(open);
    let taken = candidates.all(|agent| busy(agent) || backup_waits(agent) || resources && !agent.busy.is_empty());
    let stands = run.state != RunState::Running;
    must(full || limited || ordered || taken || stands, || "nothing holds it up".to_owned())
}

/// Who is asked now: the step's own agents, or its fallback's.
fn asked<'s>(spec: &'s Step, step: &StepView) -> &'s str {
    match step.fallback.and_then(|at| spec.fallback.get(at as usize)) {
        Some(Fallback::Agent(name) | Fallback::Capability(name)) => name,
        Some(Fallback::Value(_)) | None => match &spec.work {
            Work::Capability { capability } => capability,
            Work::Agent { agent } => agent,
            _ => spec.asks_for(),
        },
    }
}
