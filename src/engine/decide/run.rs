//! Commands and timers that concern a whole run.

use super::Decided;
use super::step::done;
use crate::engine::ending::end_everything;
use crate::engine::run::Run;
use crate::engine::world::World;
use crate::model::bug::{Bug, seeded};
use crate::model::command::Rejection;
use crate::model::defaults::{AUTO_FREE_AGENTS, AUTO_LOAD};
use crate::model::event::{EndingWhy, EventKind};
use crate::model::id::{AgentId, RunId};
use crate::model::policy::Mode;
use crate::model::state::{EndCause, RunState, StepState};
use std::collections::BTreeSet;

fn refuse(run: &Run, verb: &str) -> Rejection {
    let way_out = match run.state {
        RunState::Paused | RunState::Pausing if run.rollback.is_some() => {
            let reason = format!("a run that is being rolled back cannot be {verb}");
            return Rejection::with_way_out(reason, "what was begun to be undone is undone to the end: resume it");
        }
        RunState::Pending => "start it first",
        RunState::Paused | RunState::Pausing => "resume it first",
        RunState::Compensating => "what was begun to be undone is undone to the end; q leaves it for later",
        _ => return Rejection::new(format!("a run that is {} cannot be {verb}", run.state.word())),
    };
    Rejection::with_way_out(format!("a run that is {} cannot be {verb}", run.state.word()), way_out)
}

pub(crate) fn start(run: &Run, decided: &mut Decided) -> Result<(), Rejection> {
    if run.state != RunState::Pending {
        return Err(Rejection::new(format!("the run has been started already; it is {}", run.state.word())));
    }
    decided.push((run.id, EventKind::RunStarted { seed: run.seed }));
    let (mode, reason) = match run.workflow.mode {
        Mode::Auto => by_graph(run),
        mode => (mode, run.workflow.mode_reason()),
    };
    decided.push((run.id, EventKind::StrategyChosen { mode, reason }));
    for (step, output) in &run.reuse {
        done(run, *step, output, None, run.from.clone(), decided);
    }
    Ok(())
}

/// Whether every two steps depend on each other, directly or through others: then each level has one.
fn is_chain(run: &Run) -> bool {
    run.shape.level.iter().max().is_none_or(|highest| *highest as usize + 1 == run.steps.len())
}

/// What `auto` chooses where nothing but the graph speaks.
fn by_graph(run: &Run) -> (Mode, String) {
    let source = &run.workflow.mode_source;
    if is_chain(run) {
        return (Mode::Sequential, format!("{source} (auto): no two steps are independent"));
    }
    (Mode::Parallel, format!("{source} (auto): there are independent steps"))
}

/// `auto` looks at the machine's load and at the agents that are free for the run.
pub(crate) fn weigh(world: &World, run: &Run, per_core: f64, decided: &mut Decided) {
    let looks = run.workflow.mode == Mode::Auto && run.started.is_some() && !run.state.ended();
    if !looks || is_chain(run) {
        return;
    }
    let able: BTreeSet<AgentId> = run.home.iter().flat_map(|class| &run.classes[*class].candidates).copied().collect();
    let free = able.iter().filter(|id| is_free_for(world, run.id, **id)).count();
    let source = &run.workflow.mode_source;
    let (mode, reason) = if per_core > AUTO_LOAD {
        (Mode::Hybrid, format!("{source} (auto): the load is {per_core:.2} a core, over {AUTO_LOAD}"))
    } else if free < AUTO_FREE_AGENTS {
        (Mode::Hybrid, format!("{source} (auto): {free} capable agents are free, fewer than {AUTO_FREE_AGENTS}"))
    } else {
        by_graph(run)
    };
    if mode != run.mode {
        decided.push((run.id, EventKind::StrategyChosen { mode, reason }));
    }
}

/// Whether an agent takes work and has a slot that no other run holds: what the run itself keeps busy is free for it.
fn is_free_for(world: &World, run: RunId, agent: AgentId) -> bool {
    let entry = world.registry.agent(agent);
    let elsewhere = entry.busy.keys().filter(|(other, _)| *other != run).count();
    entry.is_open() && elsewhere < entry.definition.slots as usize
}

pub(crate) fn pause(run: &Run, decided: &mut Decided) -> Result<(), Rejection> {
    match run.state {
        RunState::Running | RunState::Compensating => {
            decided.push((run.id, EventKind::RunPausing { park: false }));
            Ok(())
        }
        RunState::Pausing | RunState::Paused => Err(Rejection::new(format!("the run is {} already", run.state.word()))),
        _ => Err(refuse(run, "paused")),
    }
}

/// Halts what runs where it stands.
pub(crate) fn freeze(run: &Run, decided: &mut Decided) -> Result<(), Rejection> {
    match run.state {
        RunState::Running | RunState::Pausing | RunState::Compensating => {
            decided.push((run.id, EventKind::RunPaused { frozen: run.active > 0 }));
            Ok(())
        }
        RunState::Paused if run.frozen => Err(Rejection::with_way_out("the run is frozen already", "resume it")),
        RunState::Paused => Err(Rejection::new("the run is paused already, and nothing of it runs")),
        _ => Err(refuse(run, "frozen")),
    }
}

pub(crate) fn resume(run: &Run, decided: &mut Decided) -> Result<(), Rejection> {
    match run.state {
        RunState::Pausing | RunState::Paused => {
            decided.push((run.id, EventKind::RunResumed));
            Ok(())
        }
        RunState::Running => Err(Rejection::new("the run is not paused")),
        RunState::Stopped => {
            decided.push((run.id, EventKind::RunReopened));
            let stopped = |step: &&crate::model::id::StepId| {
                let entry = run.step(**step);
                entry.state == StepState::Cancelled && entry.ended_by == Some(EndCause::Stop)
            };
            let steps = run.shape.order.iter().filter(stopped);
            decided.extend(steps.map(|&step| (run.id, EventKind::StepReopened { step })));
            Ok(())
        }
        _ => Err(refuse(run, "resumed")),
    }
}

pub(crate) fn stop(run: &Run, decided: &mut Decided) -> Result<(), Rejection> {
    match run.state {
        RunState::Running | RunState::Pausing | RunState::Paused if run.rollback.is_none() && run.cause.is_none() => {
            decided.push((run.id, EventKind::RunStopping));
            Ok(())
        }
        _ => Err(refuse(run, "stopped")),
    }
}

/// Ends what runs, to be done again when the run goes on. Said again, or while a cancel is under way: without grace.
pub(crate) fn park(run: &Run, decided: &mut Decided) -> Result<(), Rejection> {
    match run.state {
        RunState::Running | RunState::Pausing | RunState::Stopping | RunState::Compensating => {}
        RunState::Paused if run.active > 0 => {}
        RunState::Paused => return Ok(()),
        RunState::Cancelling if run.steps.iter().any(|step| step.current.as_ref().is_some_and(|c| c.undo)) => {}
        RunState::Cancelling => return cancel(run, run.cause.unwrap_or(EndCause::Cancel), decided),
        _ => return Err(refuse(run, "left to go on later")),
    }
    if run.state != RunState::Stopping && !run.parking {
        decided.push((run.id, EventKind::RunPausing { park: true }));
    }
    for step in run.step_ids() {
        let Some(current) = &run.step(step).current else { continue };
        let attempt = current.attempt;
        match current.ending {
            None => decided.push((run.id, EventKind::AttemptEnding { step, attempt, why: EndingWhy::Park })),
            Some(why) if run.parking || why == EndingWhy::Park => {
                decided.push((run.id, EventKind::AttemptEnding { step, attempt, why }));
            }
            Some(_) => {}
        }
    }
    Ok(())
}

/// Cancels the run; a cancel of a run that is being cancelled hurries it.
pub(crate) fn cancel(run: &Run, cause: EndCause, decided: &mut Decided) -> Result<(), Rejection> {
    if run.state.ended() {
        return Err(Rejection::new(format!("the run has ended; it is {}", run.state.word())));
    }
    if run.started.is_none() {
        return Err(Rejection::with_way_out("the run has not been started", "there is nothing to cancel"));
    }
    // Where nothing is saved it has to end whatever it is doing.
    let must = matches!(cause, EndCause::Quit | EndCause::Terminate | EndCause::HangUp);
    if run.rollback.is_some() && !must {
        return Err(refuse(run, "cancelled"));
    }
    let ends_anyway = matches!(run.cause, Some(EndCause::Quit | EndCause::Terminate | EndCause::HangUp));
    if run.state != RunState::Cancelling || must && !ends_anyway {
        decided.push((run.id, EventKind::RunCancelling { cause }));
    }
    end_everything(run, cause, decided);
    Ok(())
}

/// The run's time is over. A timer of before a pause is stale; a paused run has time.
pub(crate) fn deadline(run: &Run, epoch: u32, decided: &mut Decided) {
    let own = epoch == run.resumes || seeded(Bug::DeadlineEpochIgnored);
    let due = own && matches!(run.state, RunState::Running | RunState::Pausing | RunState::Stopping);
    if due {
        decided.push((run.id, EventKind::RunCancelling { cause: EndCause::Deadline }));
        end_everything(run, EndCause::Deadline, decided);
    }
}
