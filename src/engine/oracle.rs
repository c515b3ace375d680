//! The slow, obvious recomputation of what the engine keeps count of. Used in debug builds and tests.

use super::route;
use super::run::{NeedState, Run};
use super::world::World;
use crate::model::id::AgentId;
use crate::model::state::{RunState, StepState, WaitReason};
use crate::model::view::Counts;

macro_rules! agree {
    ($what:expr, $kept:expr, $recomputed:expr) => {
        if $kept != $recomputed {
            return Err(format!("{}: kept {:?}, recomputed {:?}", $what, $kept, $recomputed));
        }
    };
}

pub(crate) fn check(world: &World) -> Result<(), String> {
    for run in &world.runs {
        check_counts(run)?;
        check_steps(run)?;
        check_rest(world, run)?;
    }
    for (at, entry) in world.registry.agents.iter().enumerate() {
        let id = AgentId::from_index(at);
        let currents = world.runs.iter().flat_map(|run| &run.steps).filter_map(|step| step.current.as_ref());
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
    let active = run.steps.iter().filter(|step| step.current.is_some()).count();
    agree!("active attempts", run.active as usize, active);
    for (at, class) in run.classes.iter().enumerate() {
        let in_class = run.steps.iter().filter(|s| s.current.as_ref().is_some_and(|c| c.class == at)).count();
        agree!(format!("attempts of {}", class.asks_for), class.active as usize, in_class);
        let queued: Vec<_> = run.queue.class(at).collect();
        let mut ready: Vec<_> = run
            .step_ids()
            .filter(|&id| run.step(id).state == StepState::Ready && run.step(id).class == at)
            .map(|id| run.place(id))
            .collect();
        ready.sort_unstable();
        agree!(format!("queue of {}", class.asks_for), queued, ready.iter().map(|p| p.step).collect::<Vec<_>>());
        if class.limit.is_some_and(|limit| class.active > limit) {
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
        agree!(format!("{}: attempt under way", spec.id), step.current.is_some(), step.state.active());
        agree!(format!("{}: reason to wait", spec.id), step.wait.is_some(), step.state == StepState::Waiting);
        if step.state == StepState::Pending && run.started.is_some() {
            let unmet = spec.needs.iter().filter(|n| run.need_state(n.step, n.on) != NeedState::Met).count();
            agree!(format!("{}: unmet needs", spec.id), step.unmet as usize, unmet);
            let lost = spec.needs.iter().any(|n| matches!(run.need_state(n.step, n.on), NeedState::Lost(_)));
            if lost || unmet == 0 {
                return Err(format!("{} stays pending with lost: {lost}, unmet: {unmet}", spec.id));
            }
        }
    }
    let order = &run.shape.order;
    let first_open = order.iter().position(|id| !run.step(*id).state.ended()).unwrap_or(order.len());
    agree!("first open step", run.cursor, first_open);
    Ok(())
}

/// After settling nothing may be left that follows by itself.
fn check_rest(world: &World, run: &Run) -> Result<(), String> {
    if run.started.is_none() || run.state.ended() {
        return Ok(());
    }
    if run.all_ended() {
        return Err("every step has ended but the run has not".to_owned());
    }
    if run.active == 0 && matches!(run.state, RunState::Pausing | RunState::Stopping | RunState::Cancelling) {
        return Err(format!("nothing runs, but the run is still {}", run.state.word()));
    }
    for step in &run.steps {
        let class = &run.classes[step.class];
        let able = route::unbroken(&world.registry, class).next().is_some();
        if matches!(step.wait, Some((WaitReason::Capability { .. }, _))) && able {
            return Err(format!("a step waits for {} although an agent is there", class.asks_for));
        }
        if step.state == StepState::Ready && !able {
            return Err(format!("a step is ready although nobody can do {}", class.asks_for));
        }
    }
    if run.state == RunState::Running && run.active == 0 && run.counts.of(StepState::Ready) > 0 {
        let head = run.queue.heads().any(|(class, place)| {
            let turn = run.workflow.mode == crate::model::policy::Mode::Parallel
                || run.shape.order.get(run.cursor) == Some(&place.step);
            turn && route::pick(&world.registry, run, place.step, class, false).is_some()
                && route::has_room(run, &run.classes[class])
        });
        if head {
            return Err("a ready step, a free agent, and nothing started".to_owned());
        }
    }
    Ok(())
}
