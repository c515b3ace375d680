//! Where a step stands for those who look: its state, and what it waits for right now.
//!
//! What an event said when the waiting began may have changed since: an agent more is broken, the lock went from hand to
//! hand. Steps that stand in the queue keep their places meanwhile, without an event for every change; so the present is
//! computed here, for views and explanations alike.

use super::gates::gate_reason;
use super::route;
use super::run::Run;
use super::world::World;
use crate::model::id::StepId;
use crate::model::state::{StepState, WaitReason};
use crate::model::time::Micros;

/// A reason, and until when.
pub(crate) type Wait = (WaitReason, Option<Micros>);

/// Per class of a run, why nobody takes its work now.
pub(crate) fn obstacles(world: &World, run: &Run) -> Vec<Option<Wait>> {
    let classes = run.classes.iter().enumerate();
    classes
        .map(|(at, class)| {
            route::obstacle(&world.registry, class).filter(|_| run.queue.has(at) || !run.undo.is_empty())
        })
        .collect()
}

/// The step's state and reason to wait now.
pub(crate) fn standing(world: &World, run: &Run, step: StepId) -> (StepState, Option<Wait>) {
    standing_by(run, step, &|class| route::obstacle(&world.registry, &run.classes[class]))
}

/// The same where it is known why nobody takes the work of a class.
pub(crate) fn standing_by(
    run: &Run,
    step: StepId,
    obstacle: &dyn Fn(usize) -> Option<Wait>,
) -> (StepState, Option<Wait>) {
    let entry = run.step(step);
    match (entry.state, &entry.wait) {
        // Its items are at work.
        (StepState::Pending, _) if entry.cut.is_some() => (StepState::Running, None),
        (StepState::Ready, _) => by_agents(obstacle(entry.class)),
        (StepState::Waiting, Some((why, _))) if why.is_about_agents() => by_agents(obstacle(entry.class)),
        (StepState::Waiting, Some((why, until))) => {
            let now = match why {
                WaitReason::Lock { .. } | WaitReason::Semaphore { .. } => at_gate(run, why),
                WaitReason::Barrier { barrier, .. } => {
                    WaitReason::Barrier { barrier: barrier.clone(), missing: run.missing_at_barrier(step) }
                }
                other => other.clone(),
            };
            (StepState::Waiting, Some((now, *until)))
        }
        (StepState::Compensating, wait)
            if entry.current.is_none() && wait.as_ref().is_none_or(|(why, _)| why.is_about_agents()) =>
        {
            let class = run.undo_home[step.index()];
            let next = run.undo.front() == Some(&step);
            let why = class.filter(|_| next).and_then(obstacle);
            (StepState::Compensating, why)
        }
        (state, wait) => (state, wait.clone()),
    }
}

fn by_agents(obstacle: Option<Wait>) -> (StepState, Option<Wait>) {
    match obstacle {
        Some(wait) => (StepState::Waiting, Some(wait)),
        None => (StepState::Ready, None),
    }
}

/// Who holds what is waited for; where nobody does, who goes first.
fn at_gate(run: &Run, why: &WaitReason) -> WaitReason {
    let Some(gate) = run.gates.gates.iter().find(|gate| gate.is_waited_for_in(why)) else { return why.clone() };
    let mut shown = gate.clone();
    let first = gate.members.iter().find(|id| run.step(**id).state == StepState::Ready && run.has_turn(**id));
    if shown.holders.len() < shown.permits as usize {
        shown.holders.extend(first);
    }
    if shown.holders.is_empty() { why.clone() } else { gate_reason(&shown) }
}
