//! What events change in what is known of agents.

use crate::engine::breaker::Says;
use crate::engine::registry::{AgentEntry, Begun};
use crate::engine::world::World;
use crate::model::bug::{Bug, seeded};
use crate::model::completion::FailureClass;
use crate::model::event::{EndingWhy, Event, EventKind};
use crate::model::id::{AgentId, StepId};
use crate::model::state::Broken;
use crate::model::view::Busy;

pub(super) fn evolve(world: &mut World, event: &Event) {
    match &event.kind {
        EventKind::AttemptStarted { step, attempt, agent, .. } => begin(world, event, *step, *attempt, *agent),
        EventKind::AttemptSucceeded { step, attempt, agent, .. } => end(world, event, *step, (*attempt, *agent), None),
        EventKind::AttemptFailed { step, attempt, agent, failure, .. } => {
            end(world, event, *step, (*attempt, *agent), Some(failure.class));
        }
        EventKind::AgentBroken { agent, reason, injected, until } => {
            let entry = world.registry.agent_mut(*agent);
            // The same break stands in the journal of every run that knows the agent.
            if entry.broken.is_none() {
                entry.breaks += 1;
                entry.broken =
                    Some(Broken { reason: reason.clone(), injected: *injected, since: event.at, until: *until });
            }
        }
        EventKind::AgentHealed { agent } => world.registry.agent_mut(*agent).broken = None,
        EventKind::AgentParked { agent, until, said } => {
            let entry = world.registry.agent_mut(*agent);
            if entry.parked != Some(*until) {
                entry.parkings += 1;
                entry.parked = Some(*until);
            }
            if let Some(said) = said {
                entry.said = *said;
            }
        }
        EventKind::AgentUnparked { agent } => world.registry.agent_mut(*agent).parked = None,
        EventKind::BreakerChanged { agent, to, .. } => world.registry.agent_mut(*agent).breaker.set(*to),
        _ => {}
    }
}

fn begin(world: &mut World, event: &Event, step: StepId, attempt: u32, agent: AgentId) {
    let key = (event.run, step);
    let takes = world.run(event.run).spec_now(step).resources.unwrap_or_default();
    let entry = world.registry.agent_mut(agent);
    entry.busy.insert(key, Busy { run: event.run, step, attempt, since: event.at });
    entry.begun.insert(key, Begun { epoch: entry.breaker.epoch, takes });
    entry.breaker.begin((event.run, step, attempt));
    if let Some(limit) = entry.definition.rate_limit {
        entry.window.call(limit, event.at);
    }
}

fn end(world: &mut World, event: &Event, step: StepId, (attempt, agent): (u32, AgentId), failed: Option<FailureClass>) {
    let run = &world.runs[&event.run];
    let current = run.step(step).current.as_ref();
    let (kind, worked) = (run.spec_now(step).kind(), current.map(|current| current.worked(event.at)));
    let on_purpose = current.is_some_and(|current| current.ending == Some(EndingWhy::Fault));
    let says = if on_purpose { Says::Nothing } else { Says::of(failed) };
    let entry = world.registry.agent_mut(agent);
    if failed != Some(FailureClass::Timeout) || !seeded(Bug::PermitLeaked) {
        entry.busy.remove(&(event.run, step));
    }
    end_for_breaker(entry, event, step, attempt, says);
    entry.worked += worked.unwrap_or_default();
    match (failed, worked) {
        (None, Some(worked)) => {
            entry.succeeded += 1;
            entry.said = 0;
            entry.measure(kind, worked);
        }
        // Taking no more calls is no failure.
        (Some(FailureClass::RateLimited), _) => {}
        (Some(class), _) if !class.blames_the_agent() => {}
        _ => entry.failed += 1,
    }
}

fn end_for_breaker(entry: &mut AgentEntry, event: &Event, step: StepId, attempt: u32, says: Says) {
    let begun = entry.begun.remove(&(event.run, step)).map_or(entry.breaker.epoch, |begun| begun.epoch);
    if says != Says::Nothing || !seeded(Bug::ProbeNotReleased) {
        entry.breaker.end((event.run, step, attempt), begun, says);
    }
}
