//! What follows by itself from a state: steps become ready or are skipped, agents are given work, runs end.
//!
//! Called after every batch of events until nothing more follows. Each call decides about one kind of thing only, so
//! that the next decision sees the state that this one led to.

use super::decide::step::input_of;
use super::route;
use super::run::Run;
use super::world::World;
use crate::model::bug::{Bug, seeded};
use crate::model::completion::{Failure, FailureClass};
use crate::model::event::{EndingWhy, EventKind};
use crate::model::id::{AgentId, RunId, StepId};
use crate::model::policy::{Mode, Recovery, Success};
use crate::model::state::{EndCause, RunState, RunStatus, StepState, WaitReason};
use std::collections::BTreeSet;

/// Appends the next facts, or none.
pub(crate) fn settle(world: &mut World, decided: &mut Vec<(RunId, EventKind)>) {
    for at in 0..world.runs.len() {
        let id = RunId::from_index(at);
        if world.runs[at].started.is_none() || world.runs[at].state.ended() {
            continue;
        }
        fail_fast(&world.runs[at], decided);
        if decided.is_empty() {
            skip_lost(&mut world.runs[at], decided);
        }
        if decided.is_empty() {
            open_steps(&mut world.runs[at], decided);
        }
        if decided.is_empty() {
            dispatch(world, &world.runs[at], decided);
        }
        if decided.is_empty() {
            park(world, &world.runs[at], decided);
        }
        if decided.is_empty() {
            end(&world.runs[at], decided);
        }
        if !decided.is_empty() {
            debug_assert!(decided.iter().all(|(run, _)| *run == id));
            return;
        }
    }
}

/// A final failure ends a run that is declared to fail fast.
fn fail_fast(run: &Run, decided: &mut Vec<(RunId, EventKind)>) {
    if run.fresh_failure && run.workflow.recovery == Recovery::FailFast && run.cause.is_none() {
        let cause = EndCause::FailFast;
        decided.push((run.id, EventKind::RunCancelling { cause }));
        end_everything(run, cause, decided);
    }
}

/// Pending steps that lost a need are skipped, one at a time: one that lost two at once is skipped once.
fn skip_lost(run: &mut Run, decided: &mut Vec<(RunId, EventKind)>) {
    while let Some((step, why)) = run.lost.pop_front() {
        if run.step(step).state == StepState::Pending {
            decided.push((run.id, EventKind::StepSkipped { step, why }));
            return;
        }
    }
}

/// Steps with all needs met: their input is computed once, and they stand in the queue.
fn open_steps(run: &mut Run, decided: &mut Vec<(RunId, EventKind)>) {
    // A step that was opened again together with its needs may stand in the list twice.
    let mut seen = BTreeSet::new();
    for step in std::mem::take(&mut run.open) {
        let entry = run.step(step);
        if entry.state != StepState::Pending || entry.unmet != 0 || !seen.insert(step) {
            continue;
        }
        match input_of(run, step) {
            Ok((input, missing)) => decided.push((run.id, EventKind::StepReady { step, input: Some(input), missing })),
            Err(message) => {
                let failure = Failure::new(FailureClass::Permanent, message);
                decided.push((run.id, EventKind::StepFailed { step, failure }));
            }
        }
    }
}

/// Gives the best ready step to the best agent, one at a time.
fn dispatch(world: &World, run: &Run, decided: &mut Vec<(RunId, EventKind)>) {
    let dispatches = run.state.dispatches() || run.state == RunState::Pausing && seeded(Bug::PauseStillDispatches);
    if !dispatches || run.queue.is_empty() {
        return;
    }
    let chosen = match run.workflow.mode {
        Mode::Parallel => parallel_choice(world, run),
        _ => sequential_choice(world, run),
    };
    if let Some((step, agent)) = chosen {
        decided.push((run.id, attempt_started(run, step, agent)));
    }
}

/// The start of a step's next attempt.
pub(crate) fn attempt_started(run: &Run, step: StepId, agent: AgentId) -> EventKind {
    let entry = run.step(step);
    EventKind::AttemptStarted { step, attempt: entry.attempts + 1, agent, fallback: entry.fallback, undo: false }
}

fn parallel_choice(world: &World, run: &Run) -> Option<(StepId, AgentId)> {
    let heads = run.queue.heads().filter(|(class, _)| route::has_room(run, &run.classes[*class]));
    let able = heads.filter_map(|(class, place)| {
        route::pick(&world.registry, run, place.step, class, false).map(|agent| (place, agent))
    });
    able.min_by_key(|(place, _)| *place).map(|(place, agent)| (place.step, agent))
}

fn sequential_choice(world: &World, run: &Run) -> Option<(StepId, AgentId)> {
    let step = *run.shape.order.get(run.cursor)?;
    let entry = run.step(step);
    if run.active > 0 || entry.state != StepState::Ready || !route::has_room(run, &run.classes[entry.class]) {
        return None;
    }
    route::pick(&world.registry, run, step, entry.class, false).map(|agent| (step, agent))
}

/// Ready steps that nobody unbroken could do wait, with that reason.
fn park(world: &World, run: &Run, decided: &mut Vec<(RunId, EventKind)>) {
    for (at, _) in run.queue.heads() {
        let class = &run.classes[at];
        if route::unbroken(&world.registry, class).next().is_some() {
            continue;
        }
        let broken = || class.candidates.clone();
        for step in run.queue.class(at) {
            let why = WaitReason::Capability { capability: class.asks_for.clone(), broken: broken() };
            let until = class.candidates.iter().filter_map(|id| world.registry.agent(*id).broken.as_ref()?.until).min();
            decided.push((run.id, EventKind::StepWaiting { step, why, until }));
        }
    }
}

/// Pauses, stops and ends.
fn end(run: &Run, decided: &mut Vec<(RunId, EventKind)>) {
    if run.active > 0 {
        return;
    }
    if run.all_ended() {
        decided.push((run.id, verdict(run)));
    } else if run.state == RunState::Pausing {
        decided.push((run.id, EventKind::RunPaused { frozen: false }));
    } else if run.state == RunState::Stopping {
        end_everything(run, EndCause::Stop, decided);
    }
}

/// Cancels what is open and ends what runs.
pub(crate) fn end_everything(run: &Run, cause: EndCause, decided: &mut Vec<(RunId, EventKind)>) {
    let why = if cause == EndCause::Deadline { EndingWhy::Deadline } else { EndingWhy::Cancel };
    for step in run.step_ids() {
        let entry = run.step(step);
        match (&entry.current, entry.state.ended()) {
            (_, true) => {}
            (Some(current), _) => {
                decided.push((run.id, EventKind::AttemptEnding { step, attempt: current.attempt, why }));
                if entry.state != StepState::Cancelling {
                    decided.push((run.id, EventKind::StepCancelling { step }));
                }
            }
            (None, _) => {
                decided.push((run.id, EventKind::StepCancelled { step, because: None, cause: Some(cause) }));
            }
        }
    }
}

/// How a run whose steps have all ended has ended.
fn verdict(run: &Run) -> EventKind {
    let finished = |state, status| EventKind::RunFinished { state, status, cause: run.cause };
    match (run.cause, run.state) {
        (Some(EndCause::Deadline), _) => return finished(RunState::Failed, RunStatus::Deadline),
        (Some(EndCause::FailFast), _) => return finished(RunState::Failed, RunStatus::Failed),
        (Some(EndCause::Cancel | EndCause::Quit | EndCause::Terminate | EndCause::HangUp), _) => {
            return finished(RunState::Cancelled, RunStatus::Cancelled);
        }
        (Some(EndCause::Stop), _) | (None, RunState::Stopping) => {
            let (state, status, cause) = (RunState::Stopped, RunStatus::Cancelled, Some(EndCause::Stop));
            return EventKind::RunFinished { state, status, cause };
        }
        (Some(EndCause::Rollback | EndCause::Reject) | None, _) => {}
    }
    let (succeeded, counted) = run.share();
    let met = match run.workflow.success {
        Success::All => succeeded == counted,
        Success::Any => succeeded > 0 || counted == 0,
        Success::Min(share) => f64::from(succeeded) >= share * f64::from(counted) - 1e-9,
    };
    match (met && !run.critical_failed, succeeded == counted) {
        (true, true) => finished(RunState::Succeeded, RunStatus::Succeeded),
        (true, false) => finished(RunState::Partial, RunStatus::Partial),
        (false, _) => finished(RunState::Failed, RunStatus::Failed),
    }
}
