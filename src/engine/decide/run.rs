//! Commands and timers that concern a whole run.

use super::Decided;
use super::step::done;
use crate::engine::run::Run;
use crate::engine::settle::end_everything;
use crate::model::bug::{Bug, seeded};
use crate::model::command::Rejection;
use crate::model::event::{EndingWhy, EventKind};
use crate::model::state::{EndCause, RunState};

fn refuse(run: &Run, verb: &str) -> Rejection {
    let way_out = match run.state {
        RunState::Pending => "start it first",
        RunState::Paused | RunState::Pausing => "resume it first",
        _ => return Rejection::new(format!("a run that is {} cannot be {verb}", run.state.word())),
    };
    Rejection::with_way_out(format!("a run that is {} cannot be {verb}", run.state.word()), way_out)
}

pub(crate) fn start(run: &Run, decided: &mut Decided) -> Result<(), Rejection> {
    if run.state != RunState::Pending {
        return Err(Rejection::new(format!("the run has been started already; it is {}", run.state.word())));
    }
    decided.push((run.id, EventKind::RunStarted { seed: run.seed }));
    let (mode, reason) = (run.workflow.mode, run.workflow.mode_reason());
    decided.push((run.id, EventKind::StrategyChosen { mode, reason }));
    for (step, output) in &run.reuse {
        done(run, *step, output, None, run.from.clone(), decided);
    }
    Ok(())
}

pub(crate) fn pause(run: &Run, decided: &mut Decided) -> Result<(), Rejection> {
    match run.state {
        RunState::Running => {
            decided.push((run.id, EventKind::RunPausing { park: false }));
            Ok(())
        }
        RunState::Pausing | RunState::Paused => Err(Rejection::new(format!("the run is {} already", run.state.word()))),
        _ => Err(refuse(run, "paused")),
    }
}

pub(crate) fn resume(run: &Run, decided: &mut Decided) -> Result<(), Rejection> {
    match run.state {
        RunState::Pausing | RunState::Paused => {
            decided.push((run.id, EventKind::RunResumed));
            Ok(())
        }
        RunState::Running => Err(Rejection::new("the run is not paused")),
        _ => Err(refuse(run, "resumed")),
    }
}

pub(crate) fn stop(run: &Run, decided: &mut Decided) -> Result<(), Rejection> {
    match run.state {
        RunState::Running | RunState::Pausing | RunState::Paused => {
            decided.push((run.id, EventKind::RunStopping));
            Ok(())
        }
        _ => Err(refuse(run, "stopped")),
    }
}

/// Ends what runs, to be done again when the run goes on. Said again, or while a cancel is under way: without grace.
pub(crate) fn park(run: &Run, decided: &mut Decided) -> Result<(), Rejection> {
    match run.state {
        RunState::Running | RunState::Pausing | RunState::Stopping => {}
        RunState::Paused => return Ok(()),
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
    if run.state != RunState::Cancelling {
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
