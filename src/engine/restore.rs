//! From a journal to the state it gives, and from events to the form they have in a journal.
//!
//! A journal is folded by the same `evolve` that made the state in the first place. Before that, each event is looked at
//! for whether it fits the run at all, so that a journal of something else is an error and not a panic.

use super::evolve;
use super::run::Run;
use super::snapshot;
use super::world::World;
use crate::model::event::{Event, EventKind};
use crate::model::id::{AgentId, RunId};
use std::sync::Arc;

/// Folds a journal into a run that was just loaded.
///
/// # Errors
/// What does not fit, in words that name the event.
pub(crate) fn restore(
    world: &mut World,
    id: RunId,
    snapshot: Option<&[u8]>,
    events: impl IntoIterator<Item = Event>,
) -> Result<(), String> {
    if let Some(bytes) = snapshot {
        snapshot::apply(world, id, bytes).map_err(|why| format!("the snapshot cannot be used: {why}"))?;
    }
    for mut event in events {
        let run = world.run(id);
        fits(run, &event).map_err(|why| format!("event {} does not belong to this run: {why}", event.seq))?;
        event.run = id;
        let agents = &run.agents;
        event.kind.map_agents(|at| agents[at.index()]);
        evolve::evolve(world, &event);
    }
    // Whoever wrote the journal has settled between its events, and so emptied the worklists; here nobody has.
    world.run_mut(id).recount();
    Ok(())
}

fn fits(run: &Run, event: &Event) -> Result<(), String> {
    if event.seq != run.seq + 1 {
        return Err(format!("event {} was expected", run.seq + 1));
    }
    if event.kind.step().is_some_and(|step| step.index() >= run.steps.len()) {
        return Err("it names a step that the workflow does not have".to_owned());
    }
    if let EventKind::StepsAdded { first, .. } = &event.kind
        && *first != run.next_step()
    {
        return Err("it adds steps in a place where others are".to_owned());
    }
    let mut foreign = false;
    let agents = run.agents.len();
    event.kind.clone().map_agents(|agent| {
        foreign |= agent.index() >= agents;
        agent
    });
    if foreign {
        return Err("it names an agent that the workflow does not have".to_owned());
    }
    let begins = matches!(event.kind, EventKind::RunStarted { .. });
    // Only priorities, agents and the definition can be changed before the start.
    let may_come_early = matches!(
        event.kind,
        EventKind::PriorityChanged { .. } | EventKind::StepTakenOver { .. } | EventKind::WorkflowChanged { .. }
    );
    let early = run.started.is_none() && may_come_early;
    if begins == run.started.is_some() && !early {
        return Err("a run starts once, before anything else".to_owned());
    }
    Ok(())
}

/// With one run in an engine the two ways to number agents are the same, and the event is shared.
pub(crate) fn for_journal(run: &Run, event: &Arc<Event>) -> Arc<Event> {
    if run.agents.iter().enumerate().all(|(at, id)| id.index() == at) {
        return event.clone();
    }
    let mut local = (**event).clone();
    local.kind.map_agents(|id| run.agents.iter().position(|own| *own == id).map_or(id, AgentId::from_index));
    Arc::new(local)
}
