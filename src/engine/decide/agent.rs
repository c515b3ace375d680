//! Agents: broken on purpose, healed, lost.

use super::Decided;
use crate::engine::run::Run;
use crate::engine::world::World;
use crate::model::bug::{Bug, seeded};
use crate::model::command::Rejection;
use crate::model::defaults::FAULT_LIFE;
use crate::model::event::{EndingWhy, EventKind};
use crate::model::id::{AgentId, Name};
use crate::model::state::{StepState, WaitReason};
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

/// The agent works again: every run that knows it notes so, and steps that waited for it stand in the queue again.
fn healed(world: &World, agent: AgentId, decided: &mut Decided) {
    let injected = world.registry.agent(agent).broken.as_ref().is_some_and(|broken| broken.injected);
    for (at, run) in world.live_runs_with(agent).enumerate() {
        decided.push((run.id, EventKind::AgentHealed { agent }));
        call_back(run, &[agent], decided);
        if injected && at == 0 {
            decided.push((run.id, EventKind::FaultCleared { fault: fault_name(world, agent) }));
        }
    }
}

/// Steps that waited for one of these agents stand in the queue again.
pub(crate) fn call_back(run: &Run, agents: &[AgentId], decided: &mut Decided) {
    if agents.is_empty() || run.counts.of(StepState::Waiting) == 0 {
        return;
    }
    for step in run.step_ids() {
        let entry = run.step(step);
        let waits = matches!(&entry.wait, Some((WaitReason::Capability { .. }, _)));
        if waits && run.classes[entry.class].candidates.iter().any(|candidate| agents.contains(candidate)) {
            decided.push((run.id, EventKind::StepReady { step, input: None, missing: Vec::new() }));
        }
    }
}
