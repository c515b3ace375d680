//! The slow, obvious recomputation of what the engine keeps count of. Used in debug builds and tests.

use super::decide::undo;
use super::route;
use super::run::{NeedState, Run, RunResult};
use super::settle;
use super::world::World;
use crate::model::id::{AgentId, StepId};
use crate::model::state::{RunState, StepState, WaitReason};
use crate::model::time::Micros;
use crate::model::view::Counts;
use std::collections::BTreeSet;

macro_rules! agree {
    ($what:expr, $kept:expr, $recomputed:expr) => {
        if $kept != $recomputed {
            return Err(format!("{}: kept {:?}, recomputed {:?}", $what, $kept, $recomputed));
        }
    };
}

pub(crate) fn check(world: &World) -> Result<(), String> {
    for run in world.runs.values() {
        check_counts(run)?;
        check_steps(run)?;
        check_rest(world, run)?;
    }
    for (at, entry) in world.registry.agents.iter().enumerate() {
        let id = AgentId::from_index(at);
        let currents = world.runs.values().flat_map(|run| &run.steps).filter_map(|step| step.current.as_ref());
        let held = currents.filter(|current| current.agent == id).count();
        agree!(format!("slots of {}", entry.definition.id), entry.busy.len(), held);
        if entry.busy.len() > entry.definition.slots as usize {
            return Err(format!("{} has more attempts than slots", entry.definition.id));
        }
    }
    Ok(())
}

fn check_counts(run: &Run) -> Result<(), String> {
    let mut counts = Counts::default();
    run.steps.iter().for_each(|step| counts.add(step.state));
    agree!("steps per state", run.counts, counts);
    let preparing = run.steps.iter().filter(|step| step.preparing.is_some()).count();
    agree!("steps for which something is computed", run.preparing as usize, preparing);
    let active = run.steps.iter().filter(|step| step.current.is_some()).count();
    agree!("active attempts", run.active as usize, active);
    for (at, class) in run.classes.iter().enumerate() {
        let in_class = run.steps.iter().filter(|s| s.current.as_ref().is_some_and(|c| c.class == at)).count();
        agree!(format!("attempts of {}", class.asks_for), class.active as usize, in_class);
        let queued: Vec<_> = run.queue.class(at).collect();
        let mut ready: Vec<_> = run
            .step_ids()
            .filter(|&id| run.is_queued(id) && run.step(id).class == at)
            .map(|id| run.place(id))
            .collect();
        ready.sort_unstable();
        agree!(format!("queue of {}", class.asks_for), queued, ready.iter().map(|p| p.step).collect::<Vec<_>>());
        if class.limit.is_some_and(|limit| run.active_of_limit(class) > limit) {
            return Err(format!("{} exceeds its limit", class.asks_for));
        }
    }
    if run.workflow.limits.max_parallel.is_some_and(|max| run.active > max) {
        return Err("more attempts at once than max_parallel".to_owned());
    }
    Ok(())
}

fn check_steps(run: &Run) -> Result<(), String> {
    for id in run.step_ids() {
        let (step, spec) = (run.step(id), run.spec(id));
        if step.state == StepState::Compensating {
            if step.wait.is_some() && step.current.is_some() {
                return Err(format!("{} waits to be undone and is being undone", spec.id));
            }
        } else {
            agree!(format!("{}: attempt under way", spec.id), step.current.is_some(), step.state.active());
            agree!(format!("{}: reason to wait", spec.id), step.wait.is_some(), step.state == StepState::Waiting);
        }
        if step.state == StepState::Pending && run.started.is_some() {
            let unmet = spec.needs.iter().filter(|n| run.need_state(n.step, n.on) != NeedState::Met).count();
            agree!(format!("{}: unmet needs", spec.id), step.unmet as usize, unmet);
            let lost = spec.needs.iter().any(|n| matches!(run.need_state(n.step, n.on), NeedState::Lost(_)));
            if lost || (unmet == 0 || run.is_early(id)) && step.preparing.is_none() {
                return Err(format!("{} stays pending with lost: {lost}, unmet: {unmet}", spec.id));
            }
        }
    }
    for (what, order, cursor) in
        [("first open step", &run.shape.order, run.cursor), ("the same by levels", &*run.by_level, run.level_cursor)]
    {
        let first_open = order.iter().position(|id| !run.has_had_its_turn(*id)).unwrap_or(order.len());
        agree!(what, cursor, first_open);
    }
    for gate in &run.gates.gates {
        let at_work = |id: &&StepId| run.step(**id).current.as_ref().is_some_and(|current| !current.undo);
        let holders: BTreeSet<StepId> = gate.members.iter().filter(at_work).copied().collect();
        agree!(format!("holders of {}", gate.name), gate.holders, holders);
        if holders.len() > gate.permits as usize {
            return Err(format!("{} is held more often than it may be", gate.name));
        }
    }
    Ok(())
}

/// After settling nothing may be left that follows by itself.
fn check_rest(world: &World, run: &Run) -> Result<(), String> {
    if run.started.is_none() || run.state.ended() {
        return Ok(());
    }
    let stands = run.state == RunState::Paused || run.question.is_some() || run.result == RunResult::Asked;
    if run.all_ended() && run.undo.is_empty() && run.active == 0 && !stands {
        return Err("every step has ended but the run has not".to_owned());
    }
    let passing = matches!(run.state, RunState::Pausing | RunState::Stopping | RunState::Cancelling);
    if run.active == 0 && run.preparing == 0 && run.undo.is_empty() && passing && run.result != RunResult::Asked {
        return Err(format!("nothing runs, but the run is still {}", run.state.word()));
    }
    if run.state == RunState::Paused && run.active > 0 && !run.frozen {
        return Err("the run is paused, and something runs".to_owned());
    }
    run.step_ids().try_for_each(|id| check_wait(world, run, id))?;
    if run.state == RunState::Running && settle::choice(world, run, Micros::ZERO).is_some() {
        return Err("a ready step, a free agent, and nothing started".to_owned());
    }
    check_undo(world, run)
}

/// What a step waits for is what holds it up, no more and no less.
fn check_wait(world: &World, run: &Run, id: StepId) -> Result<(), String> {
    let (step, name) = (run.step(id), &run.spec(id).id);
    let nobody = || route::obstacle(&world.registry, &run.classes[step.class]);
    match (step.state, &step.wait) {
        (StepState::Ready, _) => {
            if let Some((why, _)) = nobody() {
                return Err(format!("{name} is ready although it waits for {}", why.word()));
            }
            if let Some(why) = run.held_up(id).filter(|_| run.state == RunState::Running && run.has_turn(id)) {
                // Whoever is at the door of a gate may find it taken, and whoever passed a barrier may find another one
                // opened again; when its turn comes it is sent back.
                let late = !matches!(why, WaitReason::Barrier { .. }) || run.step(id).state == StepState::Ready;
                return if late { Ok(()) } else { Err(format!("{name} is ready although {} holds it up", why.word())) };
            }
            Ok(())
        }
        (StepState::Waiting, Some((WaitReason::Barrier { .. }, _))) if run.missing_at_barrier(id).is_empty() => {
            Err(format!("{name} waits at a barrier where nobody is missing"))
        }
        (StepState::Waiting, Some((why @ (WaitReason::Lock { .. } | WaitReason::Semaphore { .. }), _))) => {
            let gates = run.gates.of_step(id).iter();
            let free = gates.filter(|at| run.gates.gates[**at].is_waited_for_in(why)).any(|at| run.is_let_in(*at, id));
            if free { Err(format!("{name} waits for what nobody holds")) } else { Ok(()) }
        }
        (StepState::Waiting, Some((WaitReason::Backoff { .. }, None))) => Err(format!("{name} backs off for ever")),
        _ => Ok(()),
    }
}

/// One compensation at a time, and one as long as there is something to be undone.
fn check_undo(world: &World, run: &Run) -> Result<(), String> {
    let undoing: Vec<StepId> = run.step_ids().filter(|id| run.step(*id).state == StepState::Compensating).collect();
    if undoing.len() > 1 {
        return Err("two steps are being undone at once".to_owned());
    }
    let Some(&first) = run.undo.front() else {
        // Where upbeat itself is to end, what is being undone is cut off.
        let ends = |id: &StepId| run.step(*id).current.as_ref().is_some_and(|current| current.ending.is_some());
        return if undoing.iter().all(ends) {
            Ok(())
        } else {
            Err("a step is being undone that is not to be".to_owned())
        };
    };
    let step = run.step(first);
    let free = |class: usize| {
        route::has_room(run, &run.classes[class]) && route::pick(&world.registry, run, first, class, false).is_some()
    };
    let idle = step.current.is_none() && step.wait.is_none() && undo::goes_on(run);
    if idle && run.undo_home[first.index()].is_some_and(free) {
        return Err("a step is to be undone, an agent is free, and nothing started".to_owned());
    }
    Ok(())
}
