//! Cancels of steps: of one, or of all that something is true of, each with what relies on its success.

use super::{Decided, existing};
use crate::engine::route;
use crate::engine::run::Run;
use crate::engine::world::World;
use crate::model::bug::{Bug, seeded};
use crate::model::command::{Rejection, Which};
use crate::model::event::{EndingWhy, EventKind, TakeOver};
use crate::model::id::{AgentId, StepId};
use crate::model::state::StepState;

fn can_be_cancelled(run: &Run) -> Result<(), Rejection> {
    if run.started.is_none() {
        return Err(Rejection::with_way_out("the run has not been started", "start it first"));
    }
    Ok(())
}

/// Cancels a step and everything that relies on its success; a second cancel hurries the first.
pub(crate) fn step(run: &Run, step: StepId, decided: &mut Decided) -> Result<(), Rejection> {
    let name = existing(run, step)?;
    can_be_cancelled(run)?;
    let entry = run.step(step);
    if entry.state.ended() {
        return Err(Rejection::new(format!("{name} has ended; it is {}", entry.state.word())));
    }
    if entry.state == StepState::Compensating {
        let reason = format!("what {name} did is being undone; that is not cancelled half-way");
        return Err(Rejection::with_way_out(reason, "q leaves the run, to go on later"));
    }
    one(run, step, None, decided);
    for &item in entry.cut.iter().flat_map(|items| &items.steps) {
        let state = run.step(item).state;
        if !state.ended() && state != StepState::Compensating {
            one(run, item, Some(step), decided);
        }
    }
    if seeded(Bug::CancelLosesDependents) {
        return Ok(());
    }
    for dependent in run.dependents_of_success(step) {
        one(run, dependent, Some(step), decided);
    }
    Ok(())
}

/// Cancels one step; `because`: the step with which, or by which, it goes.
pub(crate) fn one(run: &Run, step: StepId, because: Option<StepId>, decided: &mut Decided) {
    let entry = run.step(step);
    if let Some(current) = &entry.current {
        let (attempt, why) = (current.attempt, EndingWhy::Cancel);
        decided.push((run.id, EventKind::AttemptEnding { step, attempt, why }));
        if entry.state != StepState::Cancelling {
            decided.push((run.id, EventKind::StepCancelling { step, because }));
        }
    } else {
        decided.push((run.id, EventKind::StepCancelled { step, because, cause: None }));
    }
}

/// Cancels all of a kind. With `reassign`, what an agent works on and another could take goes to that one instead.
pub(crate) fn these(
    world: &World,
    run: &Run,
    which: &Which,
    reassign: bool,
    decided: &mut Decided,
) -> Result<(), Rejection> {
    can_be_cancelled(run)?;
    let open = |id: &StepId| {
        let state = run.step(*id).state;
        !state.ended() && state != StepState::Compensating && run.step(*id).cut.is_none()
    };
    let meant: Vec<StepId> =
        run.shape.order.iter().copied().filter(open).filter(|id| is_meant(run, which, *id)).collect();
    if meant.is_empty() {
        return Err(Rejection::new("no step of the run that has not ended fits"));
    }
    let mut gone = vec![false; run.steps.len()];
    for &id in &meant {
        if gone[id.index()] {
            continue;
        }
        if reassign && goes_elsewhere(world, run, id) {
            let attempt = run.step(id).attempts;
            decided.push((run.id, EventKind::StepTakenOver { step: id, then: TakeOver::Reassign(None) }));
            decided.push((run.id, EventKind::AttemptEnding { step: id, attempt, why: EndingWhy::TakenOver }));
            continue;
        }
        gone[id.index()] = true;
        one(run, id, None, decided);
        for dependent in run.dependents_of_success(id) {
            // One that is meant itself is cancelled for its own sake.
            if !gone[dependent.index()] && !meant.contains(&dependent) {
                gone[dependent.index()] = true;
                one(run, dependent, Some(id), decided);
            }
        }
    }
    Ok(())
}

fn is_meant(run: &Run, which: &Which, step: StepId) -> bool {
    let (entry, spec) = (run.step(step), run.spec(step));
    match which {
        Which::Agent(agent) => match &entry.current {
            Some(current) => current.agent == *agent,
            None => *run.classes[entry.class].candidates == [*agent],
        },
        Which::Capability(name) => spec.asks_for() == &**name,
        Which::Action(name) => spec.action.as_ref() == Some(name),
        Which::Priority { from, to } => (*from..=*to).contains(&entry.priority),
    }
}

/// Whether somebody else could take a step that an agent is at work on.
fn goes_elsewhere(world: &World, run: &Run, step: StepId) -> bool {
    let entry = run.step(step);
    let Some(current) = entry.current.as_ref().filter(|current| current.ending.is_none()) else { return false };
    let other = |id: AgentId| id != current.agent;
    route::open(&world.registry, &run.classes[entry.class]).any(other)
}
