//! What follows by itself from a state: steps become ready or are skipped, agents are given work, runs end.
//!
//! Called after every batch of events until nothing more follows. Each call decides about one kind of thing only, so
//! that the next decision sees the state that this one led to.

use super::decide::step::{ready_again, take_fallback};
use super::decide::undo;
use super::ending::end_everything;
use super::prepare;
use super::ready::Rank;
use super::route;
use super::run::Run;
use super::verdict;
use super::world::World;
use crate::model::bug::{Bug, seeded};
use crate::model::event::EventKind;
use crate::model::id::{AgentId, RunId, StepId};
use crate::model::policy::{Mode, Recovery};
use crate::model::state::{EndCause, RunState, StepState, WaitReason};
use crate::model::time::Micros;
use std::collections::BTreeSet;

type Decided = Vec<(RunId, EventKind)>;

/// Appends the next facts, or none.
pub(crate) fn settle(world: &mut World, now: Micros, decided: &mut Decided) {
    let live = world.runs.values().filter(|run| run.started.is_some() && !run.state.ended());
    for id in live.map(|run| run.id).collect::<Vec<_>>() {
        fail_early(world.run(id), decided);
        if decided.is_empty() {
            skip_lost(world.run_mut(id), decided);
        }
        if decided.is_empty() {
            open_steps(world.run_mut(id), now, decided);
        }
        if decided.is_empty() {
            hold_up(world.run_mut(id), decided);
        }
        if decided.is_empty() {
            leave_full_agents_alone(world, world.run(id), now, decided);
        }
        if decided.is_empty() {
            dispatch(world, world.run(id), now, decided);
        }
        if decided.is_empty() {
            park(world, world.run(id), decided);
        }
        if decided.is_empty() {
            undo_next(world, world.run(id), decided);
        }
        if decided.is_empty() {
            verdict::end(world.run(id), decided);
        }
        if !decided.is_empty() {
            debug_assert!(decided.iter().all(|(run, kind)| *run == id || kind.agent().is_some()));
            return;
        }
    }
}

/// A final failure ends a run that is declared to fail fast, and one that is declared to be rolled back when it can no
/// longer succeed.
fn fail_early(run: &Run, decided: &mut Decided) {
    if !run.fresh_failure || run.cause.is_some() || run.rollback.is_some() {
        return;
    }
    // A run that stands still ends or is rolled back when it goes on.
    let cause = match run.workflow.recovery {
        Recovery::FailFast if run.state == RunState::Paused => return,
        Recovery::FailFast => EndCause::FailFast,
        Recovery::Rollback if run.state != RunState::Running => return,
        Recovery::Rollback if verdict::missed_means_failed(run) && run.can_be_rolled_back() && !run.may_succeed() => {
            EndCause::Rollback
        }
        _ => return,
    };
    decided.push((run.id, EventKind::RunCancelling { cause }));
    end_everything(run, cause, decided);
}

/// Pending steps that lost a need are skipped, one at a time: one that lost two at once is skipped once.
fn skip_lost(run: &mut Run, decided: &mut Decided) {
    while let Some((step, why)) = run.lost.pop_front() {
        if run.step(step).state == StepState::Pending {
            decided.push((run.id, EventKind::StepSkipped { step, why }));
            return;
        }
    }
}

/// Steps with all needs met: what they are told is found, or asked for; and those whose items have ended are done.
fn open_steps(run: &mut Run, now: Micros, decided: &mut Decided) {
    // A step that was opened again together with its needs may stand in the list twice.
    let mut seen = BTreeSet::new();
    let mut open = std::mem::take(&mut run.open).into_iter();
    while let Some(step) = open.next() {
        let entry = run.step(step);
        let opens = entry.state == StepState::Pending && entry.preparing.is_none() && !entry.gone;
        if !opens || !seen.insert(step) || entry.unmet != 0 && !run.is_early(step) {
            continue;
        }
        if entry.cut.is_some() {
            prepare::close(run, step, decided);
        } else {
            prepare::begin(run, now, step, decided);
        }
        if matches!(decided.last(), Some((_, EventKind::StepsAdded { .. }))) {
            // Who joins next has another number.
            run.open.extend(open);
            return;
        }
    }
}

/// Steps that became ready are held up by what they share with others; and who is held up goes on when it is free.
fn hold_up(run: &mut Run, decided: &mut Decided) {
    if run.gates.is_empty() {
        return;
    }
    for step in std::mem::take(&mut run.gates.fresh) {
        if run.step(step).state == StepState::Ready
            && let Some(why) = run.held_up(step)
        {
            decided.push((run.id, EventKind::StepWaiting { step, why, until: None }));
        }
    }
    if decided.is_empty() && std::mem::take(&mut run.gates.arrived) {
        let at_barrier = |id: &StepId| matches!(run.step(*id).wait, Some((WaitReason::Barrier { .. }, _)));
        let members = run.gates.barriers.values().flatten().copied();
        let free = members.filter(at_barrier).filter(|id| run.missing_at_barrier(*id).is_empty());
        decided.extend(free.map(|step| (run.id, ready_again(step))));
    }
    if !matches!(run.mode, Mode::Parallel | Mode::Auto) {
        run.gates.turns_changed();
    }
    while decided.is_empty()
        && let Some(gate) = run.gates.changed.pop_first()
    {
        if !seeded(Bug::LockNotHandedOn)
            && let Some(step) = run.next_at(gate)
            && run.is_let_in(gate, step)
        {
            run.gates.changed.insert(gate);
            decided.push((run.id, ready_again(step)));
        }
    }
}

/// Agents whose declared rate is used up are left alone until the next call may begin.
fn leave_full_agents_alone(world: &World, run: &Run, now: Micros, decided: &mut Decided) {
    for &agent in &run.limited {
        let entry = world.registry.agent(agent);
        let Some(limit) = entry.definition.rate_limit.filter(|_| entry.parked.is_none() && !seeded(Bug::RateIgnored))
        else {
            continue;
        };
        if let Some(until) = entry.window.full_until(limit, now) {
            for run in world.live_runs_with(agent) {
                decided.push((run.id, EventKind::AgentParked { agent, until, said: None }));
            }
            return;
        }
    }
}

/// Gives the best ready step to the best agent, one at a time.
fn dispatch(world: &World, run: &Run, now: Micros, decided: &mut Decided) {
    let dispatches = run.state.dispatches() || run.state == RunState::Pausing && seeded(Bug::PauseStillDispatches);
    if !dispatches || run.queue.is_empty() {
        return;
    }
    let Some((step, agent)) = choice(world, run, now) else { return };
    if let Some(why) = run.held_up(step) {
        // Another took it since this one became ready, or one that was at the barrier was opened again.
        decided.push((run.id, EventKind::StepWaiting { step, why, until: None }));
        return;
    }
    if run.step(step).state == StepState::Waiting {
        decided.push((run.id, ready_again(step)));
    }
    decided.push((run.id, attempt_started(run, step, agent)));
}

/// The start of a step's next attempt.
pub(crate) fn attempt_started(run: &Run, step: StepId, agent: AgentId) -> EventKind {
    let entry = run.step(step);
    EventKind::AttemptStarted { step, attempt: entry.attempts + 1, agent, fallback: entry.fallback, undo: false }
}

/// Whose turn it is, and who does it.
pub(crate) fn choice(world: &World, run: &Run, now: Micros) -> Option<(StepId, AgentId)> {
    if run.mode == Mode::Parallel || run.mode == Mode::Auto {
        let heads = run.queue.heads(now).map(|(class, rank)| (rank, class));
        return best(world, run, heads);
    }
    // Only some steps have their turn: those of the level, or the next one.
    let turns = (0..run.queue.classes()).filter_map(|class| {
        let place = run.queue.first(class, |step| run.has_turn(step))?;
        Some((Rank::of(place), class))
    });
    best(world, run, turns)
}

fn best(world: &World, run: &Run, heads: impl Iterator<Item = (Rank, usize)>) -> Option<(StepId, AgentId)> {
    let able = heads.filter(|(_, class)| route::has_room(run, &run.classes[*class])).filter_map(|(rank, class)| {
        let step = rank.place.step;
        route::pick(&world.registry, run, step, class, false).map(|agent| (rank, step, agent))
    });
    able.min_by_key(|(rank, ..)| *rank).map(|(_, step, agent)| (step, agent))
}

/// Ready steps whose work nobody takes wait, with that reason; they keep their places. Where all that could do it are
/// broken, a step that declares what stands in for it takes that at once.
fn park(world: &World, run: &Run, decided: &mut Decided) {
    if run.counts.of(StepState::Ready) == 0 {
        return;
    }
    let ready = |id: &StepId| run.step(*id).state == StepState::Ready;
    for class in (0..run.queue.classes()).filter(|class| run.queue.has(*class)) {
        let Some((why, until)) = route::obstacle(&world.registry, &run.classes[class]) else { continue };
        let down = matches!(why, WaitReason::Capability { .. }) && run.state.dispatches();
        for step in run.queue.class(class).filter(ready) {
            if !down || !take_fallback(run, step, decided) {
                decided.push((run.id, EventKind::StepWaiting { step, why: why.clone(), until }));
            }
        }
    }
}

/// The next compensation: begun, or given to an agent.
fn undo_next(world: &World, run: &Run, decided: &mut Decided) {
    let Some(&step) = run.undo.front().filter(|_| undo::goes_on(run)) else { return };
    let entry = run.step(step);
    if entry.state != StepState::Compensating {
        decided.push((run.id, EventKind::StepCompensating { step }));
        return;
    }
    let held = entry.wait.as_ref().is_some_and(|(why, _)| !why.is_about_agents());
    let Some(class) = run.undo_home[step.index()].filter(|_| entry.current.is_none() && !held) else { return };
    if let Some((why, until)) = route::obstacle(&world.registry, &run.classes[class]) {
        if entry.wait.is_none() {
            decided.push((run.id, EventKind::StepWaiting { step, why, until }));
        }
        return;
    }
    if !route::has_room(run, &run.classes[class]) {
        return;
    }
    if let Some(agent) = route::pick(&world.registry, run, step, class, false) {
        let attempt = entry.attempts + 1;
        decided.push((run.id, EventKind::AttemptStarted { step, attempt, agent, fallback: None, undo: true }));
    }
}
