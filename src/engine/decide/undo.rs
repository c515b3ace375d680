//! Sagas: undoing what was done, in reverse.
//!
//! What is undone: every step that was done, or may have been done (its attempt was cut off), and declares how. In which
//! order: a step's compensation begins only when those of all steps that rely on it have ended; among independent ones,
//! what ended last is undone first; one at a time. (Garcia-Molina and Salem, "Sagas", 1987; the order is the reverse of a
//! topological order refined by ends.) Each compensation is an attempt like any other, with its own retries and timeout;
//! if it never works the rest is undone all the same.

use super::{Decided, agent, existing};
use crate::engine::ending::end_everything;
use crate::engine::react::DRAW_BACKOFF;
use crate::engine::route;
use crate::engine::run::{Checkpoint, Current, Run};
use crate::engine::world::World;
use crate::model::bug::{Bug, seeded};
use crate::model::command::Rejection;
use crate::model::completion::{Failure, FailureClass};
use crate::model::event::{EndingWhy, EventKind};
use crate::model::id::StepId;
use crate::model::rng;
use crate::model::state::{EndCause, RunState, StepState, WaitReason};
use crate::model::time::Micros;
use crate::model::view::RollbackView;
use std::collections::BTreeSet;

/// The order in which these steps are undone.
pub(crate) fn order(run: &Run, steps: &BTreeSet<StepId>) -> Vec<StepId> {
    // Reverse topological with the last end first: Kahn's algorithm on the reversed graph, with a heap by ends. Steps that
    // are not undone stand in it too, so that an order by way of them holds.
    let mut blocked: Vec<u32> = vec![0; run.steps.len()];
    for id in run.step_ids() {
        for need in &run.spec(id).needs {
            blocked[need.step.index()] += 1;
        }
    }
    let key = |id: StepId| (run.step(id).ended.unwrap_or_default(), id);
    let mut heap: BTreeSet<(Micros, StepId)> = run.step_ids().filter(|id| blocked[id.index()] == 0).map(key).collect();
    let mut order = Vec::with_capacity(steps.len());
    while let Some((_, id)) = heap.pop_last() {
        if steps.contains(&id) {
            order.push(id);
        }
        for need in &run.spec(id).needs {
            let left = &mut blocked[need.step.index()];
            *left -= 1;
            if *left == 0 {
                heap.insert(key(need.step));
            }
        }
    }
    if seeded(Bug::CompensatesForwards) {
        order.reverse();
    }
    order
}

/// What a rollback would do: of everything, or of what was done since a checkpoint.
pub(crate) fn preview(run: &Run, since: Option<&Checkpoint>) -> RollbackView {
    let before = |id: &StepId| since.is_some_and(|checkpoint| checkpoint.ended.contains(id));
    let ids = || run.step_ids().filter(|id| !before(id));
    let undone = order(run, &ids().filter(|id| run.can_be_undone(*id)).collect());
    let left = |id: &StepId| {
        let entry = run.step(*id);
        let did = entry.state == StepState::Succeeded && !entry.foreign || entry.in_doubt;
        did && run.spec(*id).compensate.is_none() && !run.spec(*id).is_approval()
    };
    let left: Vec<StepId> = run.shape.order.iter().copied().filter(|id| !before(id)).filter(left).collect();
    let pivot = run.pivot().filter(|id| !before(id) && !seeded(Bug::PivotIgnored));
    RollbackView { undone, left, pivot }
}

/// A person wants what was done to be undone.
pub(crate) fn by_hand(run: &Run, to: Option<u32>, decided: &mut Decided) -> Result<(), Rejection> {
    if run.started.is_none() {
        return Err(Rejection::with_way_out("the run has not been started", "there is nothing to undo"));
    }
    let checkpoint = match to {
        None => None,
        Some(number) => Some(run.checkpoints.iter().find(|c| c.number == number).ok_or_else(|| {
            let known: Vec<String> = run.checkpoints.iter().map(|c| c.number.to_string()).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            Rejection::with_way_out(
                format!("there is no checkpoint {number}"),
                format!("checkpoints of the run: {known}"),
            )
        })?),
    };
    let busy = matches!(run.state, RunState::Cancelling | RunState::Stopping | RunState::Compensating);
    if busy || run.rollback.is_some() || matches!(run.state, RunState::Compensated | RunState::CompensationFailed) {
        return Err(Rejection::new(format!("a run that is {} cannot be rolled back", run.state.word())));
    }
    if run.cause.is_some() && !run.state.ended() {
        return Err(Rejection::with_way_out("the run is being ended already", "resume it, and wait until it has"));
    }
    if to.is_some() && !run.undo.is_empty() {
        let reason = "something that was cut off is still to be undone";
        return Err(Rejection::with_way_out(reason, "let the run go on until it is"));
    }
    let preview = preview(run, checkpoint);
    if let Some(pivot) = preview.pivot {
        let reason = format!("{} is done, and after it there is no way back", existing(run, pivot)?);
        return Err(Rejection::with_way_out(reason, "retry or skip what failed: only forwards is left"));
    }
    // What is under way is cut off, and undone if it says how.
    let at_work = |id: StepId| run.step(id).current.is_some() && run.spec(id).compensate.is_some();
    if checkpoint.is_none() && preview.undone.is_empty() && !run.step_ids().any(at_work) {
        let reason = "nothing that was done can be undone";
        return Err(Rejection::with_way_out(reason, "steps say how with `compensate`"));
    }
    if run.active > 0 {
        if to.is_some() {
            return Err(Rejection::with_way_out("steps are under way", "pause the run, and go back when nothing runs"));
        }
        decided.push((run.id, EventKind::RunCancelling { cause: EndCause::Rollback }));
        end_everything(run, EndCause::Rollback, decided);
        return Ok(());
    }
    // What is to be undone already is, before the rest.
    if to.is_none() && !(run.all_ended() && run.undo.is_empty()) {
        decided.push((run.id, EventKind::RunCancelling { cause: EndCause::Rollback }));
        end_everything(run, EndCause::Rollback, decided);
        return Ok(());
    }
    decided.push((run.id, EventKind::RunCompensating { steps: preview.undone, to }));
    Ok(())
}

/// A compensation's attempt failed: again later, or given up.
pub(crate) fn failed(
    world: &World,
    now: Micros,
    run: &Run,
    step: StepId,
    current: &Current,
    failure: Failure,
    decided: &mut Decided,
) {
    let entry = run.step(step);
    let policy = &run.spec_now(step).retry;
    let gone = matches!(run.cause, Some(EndCause::Quit | EndCause::Terminate | EndCause::HangUp));
    match current.ending {
        Some(EndingWhy::Park) => {
            decided.push((run.id, EventKind::StepCompensating { step }));
            return;
        }
        Some(_) if gone => {
            decided.push((run.id, EventKind::CompensationFailed { step, failure }));
            return;
        }
        _ => {}
    }
    if failure.class == FailureClass::RateLimited
        && let Some((wait, said)) =
            agent::limited(world, current.agent, &failure, run.seed, (run.id, step, current.attempt))
    {
        agent::park(world, current.agent, now + wait, Some(said), decided);
        decided.push((run.id, EventKind::StepCompensating { step }));
        return;
    }
    let others = || route::has_others(&world.registry, &run.classes[current.class], current.agent);
    if failure.class == FailureClass::Unreachable && others() {
        decided.push((run.id, EventKind::StepCompensating { step }));
        return;
    }
    let used = entry.undo.as_ref().map_or(0, |undo| undo.spent).saturating_sub(1);
    if failure.class == FailureClass::Unreachable || used >= policy.limit || !policy.covers(failure.class) {
        decided.push((run.id, EventKind::CompensationFailed { step, failure }));
        return;
    }
    let draw = rng::unit(rng::draw(run.seed, &[DRAW_BACKOFF, u64::from(step.0), u64::from(current.attempt)]));
    let until = Some(now + policy.wait(used + 1, draw));
    let why = WaitReason::Backoff { retry: used + 1, limit: policy.limit };
    decided.push((run.id, EventKind::StepWaiting { step, why, until }));
}

/// Whether compensations are begun in the state that the run is in.
pub(crate) const fn goes_on(run: &Run) -> bool {
    matches!(run.state, RunState::Running | RunState::Compensating | RunState::Cancelling | RunState::Stopping)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::graph::tests::{step, workflow};
    use crate::engine::make::new_run;
    use crate::model::id::RunId;
    use crate::model::rng::Rng;
    use std::sync::Arc;

    #[test]
    fn over_drawn_graphs_nothing_is_undone_before_what_rests_on_it_and_among_the_rest_the_last_end_comes_first() {
        for seed in 0..300 {
            let mut rng = Rng::new(seed);
            let size = 1 + u32::try_from(rng.below(14)).unwrap();
            let steps = (0..size).map(|at| {
                let needs: Vec<u32> = (0..at).filter(|_| rng.chance(0.25)).collect();
                step(&format!("s{at}"), &needs, 1.0)
            });
            let made = Arc::new(workflow(steps.collect()));
            let mut run = new_run(RunId(0), "r".into(), made.clone(), seed, Vec::new());
            for id in made.step_ids() {
                run.step_mut(id).ended = Some(Micros(rng.below(50)));
            }
            let chosen: BTreeSet<StepId> = made.step_ids().filter(|_| rng.chance(0.7)).collect();

            // The model: of those on which nothing rests that is still there, the one that ended last, again and again.
            let mut there: BTreeSet<StepId> = made.step_ids().collect();
            let mut expected = Vec::new();
            while !there.is_empty() {
                let free = |id: &&StepId| {
                    !there.iter().any(|other| made.step(*other).needs.iter().any(|need| need.step == **id))
                };
                let last = *there.iter().filter(free).max_by_key(|id| (run.step(**id).ended, **id)).unwrap();
                there.remove(&last);
                expected.extend(chosen.contains(&last).then_some(last));
            }
            assert_eq!(order(&run, &chosen), expected, "seed {seed}");
        }
    }
}
