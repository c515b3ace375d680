//! What events about a whole run change.

use super::step::{reopen, set_state};
use crate::engine::grow;
use crate::engine::run::{Checkpoint, Rollback, Run, RunResult};
use crate::model::bug::{Bug, seeded};
use crate::model::event::{Event, EventKind};
use crate::model::id::StepId;
use crate::model::policy::OnCancel;
use crate::model::state::{EndCause, RunState, StepState};
use crate::model::time::Micros;
use std::sync::Arc;

pub(super) fn evolve(run: &mut Run, event: &Event) {
    let at = event.at;
    match &event.kind {
        EventKind::RunStarted { .. } => {
            run.started = Some(at);
            run.state = RunState::Running;
            run.steps.iter_mut().for_each(|step| step.since = at);
        }
        EventKind::StrategyChosen { mode, reason } => {
            run.mode = *mode;
            run.mode_reason.clone_from(reason);
        }
        EventKind::RunCompensating { steps, to } => compensate(run, steps, *to, at),
        EventKind::RunRolledBack { to } => roll_back(run, *to, at),
        EventKind::RunEscalated { succeeded, counted } => run.question = Some((*succeeded, *counted)),
        EventKind::RunAnswered { approved } => (run.question, run.accepted) = (None, Some(*approved)),
        EventKind::RetryRound => (run.retried, run.fresh_failure) = (true, false),
        EventKind::CheckpointMade { checkpoint, step } => {
            let ended = run.step_ids().filter(|id| run.step(*id).state.ended()).collect();
            let (data, scopes, steps) = (run.data.clone(), run.scopes.clone(), run.steps.len());
            run.checkpoints.push(Checkpoint { number: *checkpoint, step: *step, at, data, scopes, steps, ended });
        }
        EventKind::RunFinished { state, status, cause } => {
            run.state = *state;
            run.status = Some(*status);
            run.cause = *cause;
            run.ended = Some(at);
            run.question = None;
            run.frozen = false;
            end_pause(run, at);
        }
        EventKind::ResultPreparing => {
            run.result = RunResult::Asked;
            run.result_asked = Some(run.result_asked.map_or(1, |last| last + 1));
        }
        EventKind::ResultReady { value, failure } => {
            run.result = match (value, failure) {
                (_, Some(failure)) => RunResult::Failed(Arc::new(failure.clone())),
                (value, None) => RunResult::Found(value.clone().unwrap_or_default()),
            };
        }
        EventKind::RunReopened => {
            goes_on_after_its_end(run, at);
            run.state = RunState::Running;
            run.resumes += 1;
        }
        _ => stand(run, event),
    }
}

/// What holds a run, lets it go on, or ends it.
fn stand(run: &mut Run, event: &Event) {
    let at = event.at;
    match &event.kind {
        EventKind::RunPausing { park } => {
            thaw(run, at);
            run.state = RunState::Pausing;
            run.parking |= *park;
            end_pause(run, at);
        }
        EventKind::RunPaused { frozen } => {
            pause(run, at);
            run.frozen = *frozen;
            if *frozen {
                run.steps.iter_mut().filter_map(|step| step.current.as_mut()).for_each(|current| {
                    if current.ending.is_none() {
                        current.halted.get_or_insert(at);
                    }
                });
            }
        }
        // A cancel or a stop that was under way is carried through; anything else stands still until it is resumed. To
        // undo something is to begin something, so that stands still too.
        EventKind::RunInterrupted => {
            let cut_off =
                |id: &StepId| run.step(*id).current.is_some() && run.spec(*id).on_cancel == OnCancel::Compensate;
            let undoing = run.rollback.is_some()
                || run.cause == Some(EndCause::Rollback)
                || !run.undo.is_empty()
                || run.step_ids().any(|id| cut_off(&id));
            let stands = match run.state {
                RunState::Running | RunState::Pausing | RunState::Paused | RunState::Compensating => true,
                RunState::Cancelling | RunState::Stopping => undoing,
                _ => false,
            };
            thaw(run, at);
            if stands {
                pause(run, at);
            }
            ask_again(run);
        }
        EventKind::RunResumed => {
            thaw(run, at);
            run.state = run.going();
            run.parking = false;
            run.resumes += 1;
            end_pause(run, at);
        }
        EventKind::RunStopping => {
            thaw(run, at);
            run.state = RunState::Stopping;
            end_pause(run, at);
        }
        EventKind::RunCancelling { cause } => {
            thaw(run, at);
            run.state = RunState::Cancelling;
            run.cause = Some(*cause);
            run.question = None;
            if matches!(cause, EndCause::Quit | EndCause::Terminate | EndCause::HangUp) {
                // upbeat is to end, and nothing of the run is kept: what is not undone by now never will be.
                run.rollback = None;
                run.undo.clear();
            }
        }
        _ => {}
    }
}

/// Whoever was to compute something is gone: it is asked for again.
fn ask_again(run: &mut Run) {
    if run.result == RunResult::Asked {
        run.result = RunResult::Open;
    }
    for id in run.step_ids() {
        if run.step_mut(id).preparing.take().is_some() {
            run.preparing -= 1;
            run.open.push(id);
        }
    }
}

fn pause(run: &mut Run, at: Micros) {
    run.state = RunState::Paused;
    run.parking = false;
    run.paused_since.get_or_insert(at);
}

fn end_pause(run: &mut Run, at: Micros) {
    if let Some(since) = run.paused_since.take() {
        run.paused_for += at - since;
    }
}

/// What was halted goes on, or is ended: its clock goes on from where it stood.
fn thaw(run: &mut Run, at: Micros) {
    run.frozen = false;
    for current in run.steps.iter_mut().filter_map(|step| step.current.as_mut()) {
        if let Some(since) = current.halted.take().filter(|_| !seeded(Bug::HaltCounts)) {
            current.halted_for += at - since;
        }
    }
}

/// An ended run is taken up again.
fn goes_on_after_its_end(run: &mut Run, at: Micros) {
    run.status = None;
    run.result = RunResult::Open;
    (run.question, run.accepted) = (None, None);
    run.rollback = None;
    if let Some(ended) = run.ended.take() {
        run.paused_for += at - ended;
    }
    if run.cause.take() == Some(EndCause::Deadline) {
        // Its time was over: what is tried again gets the whole time anew.
        run.deadline_moved = at - run.started.unwrap_or_default() - run.paused_for;
    }
    run.fresh_failure = false;
}

fn compensate(run: &mut Run, steps: &[StepId], to: Option<u32>, at: Micros) {
    let again = run.state == RunState::CompensationFailed;
    let cause = match run.cause {
        // Whoever ended upbeat then does not end it now.
        Some(EndCause::Quit | EndCause::Terminate | EndCause::HangUp) if again => Some(EndCause::Cancel),
        cause => cause.filter(|cause| again || *cause == EndCause::Rollback),
    };
    goes_on_after_its_end(run, at);
    end_pause(run, at);
    run.cause = cause;
    run.state = RunState::Compensating;
    run.rollback = Some(if again { Rollback::Again } else { to.map_or(Rollback::Whole, Rollback::To) });
    run.undo = steps.iter().copied().collect();
    run.resumes += 1;
}

/// Steps that others brought since, which bring them anew, leave the graph. Gives those that are left.
fn go_back(run: &mut Run, mut anew: Vec<StepId>, steps_then: usize) -> Vec<StepId> {
    let begins_anew = anew.clone();
    let since = |run: &Run, id: StepId| {
        let brought = run.step(id).brought_by.is_some_and(|by| begins_anew.contains(&by));
        id.index() >= steps_then && brought && !run.step(id).gone
    };
    let leaving: Vec<StepId> = begins_anew.iter().copied().filter(|id| since(run, *id)).collect();
    for &id in &leaving {
        if let Some(part) = run.step(id).part_of {
            grow::make_whole(run, part.of);
        } else {
            grow::leave(run, id);
        }
    }
    anew.retain(|id| !run.step(*id).gone);
    if !leaving.is_empty() {
        grow::changed(run, run.steps.len());
    }
    anew
}

/// The data is what it was; what had not ended by then begins anew.
fn roll_back(run: &mut Run, to: u32, at: Micros) {
    run.rollback = None;
    run.state = RunState::Running;
    run.resumes += 1;
    let Some(checkpoint) = run.checkpoints.iter().find(|checkpoint| checkpoint.number == to).cloned() else { return };
    (run.data, run.scopes) = (checkpoint.data, checkpoint.scopes);
    run.checkpoints.retain(|other| other.number < to);
    let anew: Vec<StepId> = run.step_ids().filter(|id| !checkpoint.ended.contains(id)).collect();
    let anew = go_back(run, anew, checkpoint.steps);
    for &step in &anew {
        if run.step(step).state != StepState::Pending {
            // Not ended yet in any sense that others could rely on: all are pending before needs are counted.
            set_state(run, step, StepState::Pending, at);
        }
    }
    for &step in &anew {
        reopen(run, step, at);
        let entry = run.step_mut(step);
        (entry.undo, entry.in_doubt, entry.epoch) = (None, false, entry.epoch + 1);
    }
    run.recount();
}
