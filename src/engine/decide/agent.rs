//! Agents: broken on purpose, healed, lost.

use super::Decided;
use crate::engine::breaker::{Probe, Says};
use crate::engine::react::DRAW_LIMIT;
use crate::engine::world::World;
use crate::model::bug::{Bug, seeded};
use crate::model::command::{BreakerMode, Rejection};
use crate::model::completion::Failure;
use crate::model::defaults::{FAULT_LIFE, RATE_LIMIT_WAIT, RATE_LIMIT_WAIT_MAX};
use crate::model::event::{EndingWhy, EventKind};
use crate::model::id::{AgentId, Name};
use crate::model::rng;
use crate::model::state::BreakerState;
use crate::model::time::Micros;

fn known(world: &World, agent: AgentId) -> Result<(), Rejection> {
    world.registry.agents.get(agent.index()).map(|_| ()).ok_or_else(|| Rejection::new("there is no such agent"))
}

/// The name of the fault that a key press injects into an agent.
fn fault_name(world: &World, agent: AgentId) -> Name {
    let entry = world.registry.agent(agent);
    format!("key-{}-{}", entry.definition.id, entry.breaks).into()
}

/// Breaks an agent: its attempts crash, and it takes no work until it is healed.
pub(crate) fn fail(world: &World, now: Micros, agent: AgentId, decided: &mut Decided) -> Result<(), Rejection> {
    known(world, agent)?;
    let entry = world.registry.agent(agent);
    let name = &entry.definition.id;
    if !entry.definition.takes_faults() {
        let way_out = "give it `allow_faults: true` in the file if it may be broken on purpose";
        return Err(Rejection::with_way_out(format!("agent {name} is real and takes no faults"), way_out));
    }
    if let Some(broken) = &entry.broken {
        return Err(Rejection::with_way_out(format!("agent {name} is broken already: {}", broken.reason), "heal it"));
    }
    let runs: Vec<_> = world.live_runs_with(agent).map(|run| run.id).collect();
    let Some(&first) = runs.first() else {
        return Err(Rejection::with_way_out("no run that knows this agent is under way", "start the run first"));
    };
    // One more break than now: the name belongs to the break that follows.
    let fault: Name = format!("key-{name}-{}", entry.breaks + 1).into();
    decided.push((first, EventKind::FaultFired { fault, agent, kind: "crash".into() }));
    for &run in &runs {
        let reason = "broken on purpose".to_owned();
        let until = Some(now + FAULT_LIFE);
        decided.push((run, EventKind::AgentBroken { agent, reason, injected: true, until }));
    }
    for busy in entry.busy.values() {
        let current = world.run(busy.run).step(busy.step).current.as_ref();
        if current.is_some_and(|current| current.ending.is_none()) {
            let kind = EventKind::AttemptEnding { step: busy.step, attempt: busy.attempt, why: EndingWhy::Fault };
            decided.push((busy.run, kind));
        }
    }
    Ok(())
}

pub(crate) fn heal(world: &World, agent: AgentId, decided: &mut Decided) -> Result<(), Rejection> {
    known(world, agent)?;
    let entry = world.registry.agent(agent);
    if entry.broken.is_none() {
        return Err(Rejection::new(format!("agent {} is not broken", entry.definition.id)));
    }
    if world.live_runs_with(agent).next().is_none() {
        return Err(Rejection::new("no run that knows this agent is under way"));
    }
    healed(world, agent, decided);
    Ok(())
}

pub(crate) fn healed_by_itself(world: &World, agent: AgentId, epoch: u32, decided: &mut Decided) {
    let entry = world.registry.agent(agent);
    if entry.broken.is_some() && (entry.breaks == epoch || seeded(Bug::HealEpochIgnored)) {
        healed(world, agent, decided);
    }
}

/// The agent works again, and every run that knows it notes so.
fn healed(world: &World, agent: AgentId, decided: &mut Decided) {
    let injected = world.registry.agent(agent).broken.as_ref().is_some_and(|broken| broken.injected);
    for (at, run) in world.live_runs_with(agent).enumerate() {
        decided.push((run.id, EventKind::AgentHealed { agent }));
        if injected && at == 0 {
            decided.push((run.id, EventKind::FaultCleared { fault: fault_name(world, agent) }));
        }
    }
}

/// An agent that cannot be used any more is broken in every run that knows it.
pub(crate) fn lose(world: &World, agent: AgentId, reason: &str, decided: &mut Decided) {
    if world.registry.agent(agent).broken.is_some() {
        return;
    }
    for run in world.live_runs_with(agent) {
        let kind = EventKind::AgentBroken { agent, reason: reason.to_owned(), injected: false, until: None };
        decided.push((run.id, kind));
    }
}

/// A health check came back. What was broken on purpose stays so, however well it feels.
pub(crate) fn checked(world: &World, agent: AgentId, fault: Option<&str>, decided: &mut Decided) {
    let Some(entry) = world.registry.agents.get(agent.index()) else { return };
    match (fault, &entry.broken) {
        (Some(fault), None) => lose(world, agent, &format!("health check: {fault}"), decided),
        (None, Some(broken)) if !broken.injected => healed(world, agent, decided),
        _ => {}
    }
}

fn changed(world: &World, agent: AgentId, to: BreakerState, reason: &str, decided: &mut Decided) {
    for run in world.live_runs_with(agent) {
        decided.push((run.id, EventKind::BreakerChanged { agent, to, reason: reason.to_owned() }));
    }
}

/// What the end of an attempt means for its agent's breaker.
pub(crate) fn attempt_ended(
    world: &World,
    now: Micros,
    agent: AgentId,
    attempt: Probe,
    says: Says,
    decided: &mut Decided,
) {
    let entry = world.registry.agent(agent);
    let Some(policy) = entry.definition.breaker else { return };
    let begun = entry.begun.get(&(attempt.0, attempt.1)).map_or(entry.breaker.epoch, |begun| begun.epoch);
    let Some(to) = entry.breaker.follows(policy, (attempt, begun), says, now) else { return };
    let probed = matches!(entry.breaker.state, BreakerState::HalfOpen { .. });
    let reason = match (probed, says) {
        (true, Says::Works) => "the probe succeeded".to_owned(),
        (true, _) => "the probe failed".to_owned(),
        (false, _) if policy.failures == 1 => "a failure".to_owned(),
        (false, _) => format!("{} failures in a row", policy.failures),
    };
    changed(world, agent, to, &reason, decided);
}

pub(crate) fn breaker_due(world: &World, now: Micros, agent: AgentId, epoch: u32, decided: &mut Decided) {
    let breaker = &world.registry.agent(agent).breaker;
    let Some(to) = breaker.due(epoch, now) else { return };
    let reason = if matches!(to, BreakerState::HalfOpen { .. }) {
        "one attempt may try whether it works again"
    } else {
        "the probe took too long"
    };
    changed(world, agent, to, reason, decided);
}

pub(crate) fn set_breaker(
    world: &World,
    agent: AgentId,
    mode: BreakerMode,
    decided: &mut Decided,
) -> Result<(), Rejection> {
    known(world, agent)?;
    let entry = world.registry.agent(agent);
    let name = &entry.definition.id;
    let to = match mode {
        BreakerMode::Automatic => BreakerState::Closed,
        BreakerMode::ForcedOpen => BreakerState::ForcedOpen,
        BreakerMode::ForcedClosed => BreakerState::ForcedClosed,
    };
    if entry.breaker.state == to {
        return Err(Rejection::new(format!("the breaker of {name} is {} already", to.word())));
    }
    if world.live_runs_with(agent).next().is_none() {
        return Err(Rejection::with_way_out("no run that knows this agent is under way", "start the run first"));
    }
    changed(world, agent, to, "set by a person", decided);
    Ok(())
}

/// How long an agent that takes no more calls is to be left alone; `None`: longer than anybody should wait.
pub(crate) fn limited(
    world: &World,
    agent: AgentId,
    failure: &Failure,
    seed: u64,
    attempt: Probe,
) -> Option<(Micros, u32)> {
    let entry = world.registry.agent(agent);
    if let Some(asked) = failure.retry_after {
        return (asked <= RATE_LIMIT_WAIT_MAX).then_some((asked, entry.said));
    }
    // Equal jitter: half the wait for certain, so that a crowd neither comes back at once nor together.
    let grown = RATE_LIMIT_WAIT.0.saturating_mul(1 << entry.said.min(16));
    let full = Micros(grown).min(RATE_LIMIT_WAIT_MAX).as_secs_f64();
    let draw = rng::unit(rng::draw(seed, &[DRAW_LIMIT, u64::from(attempt.1.0), u64::from(attempt.2)]));
    Some((Micros::from_secs_f64(full / 2.0 + full / 2.0 * draw), entry.said + 1))
}

/// The agent is left alone until then, in every run that knows it.
pub(crate) fn park(world: &World, agent: AgentId, until: Micros, said: Option<u32>, decided: &mut Decided) {
    if world.registry.agent(agent).parked.is_some_and(|parked| parked >= until) {
        return;
    }
    for run in world.live_runs_with(agent) {
        decided.push((run.id, EventKind::AgentParked { agent, until, said }));
    }
}

pub(crate) fn unparked(world: &World, agent: AgentId, epoch: u32, decided: &mut Decided) {
    let entry = world.registry.agent(agent);
    if entry.parked.is_some() && entry.parkings == epoch {
        for run in world.live_runs_with(agent) {
            decided.push((run.id, EventKind::AgentUnparked { agent }));
        }
    }
}
