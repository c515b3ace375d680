//! How runs stand still and end: pauses, one more round, a question to a person, a rollback, the verdict.

use super::decide::undo;
use super::ending::end_everything;
use super::run::{Rollback, Run, RunResult};
use crate::model::completion::FailureClass;
use crate::model::event::EventKind;
use crate::model::id::{RunId, StepId};
use crate::model::policy::{OnThresholdMissed, Recovery};
use crate::model::state::{EndCause, RunState, RunStatus, StepState};

/// Pauses, stops and ends.
pub(crate) fn end(run: &Run, decided: &mut Vec<(RunId, EventKind)>) {
    if run.active > 0 || run.preparing > 0 && !matches!(run.state, RunState::Stopping) {
        return;
    }
    // Who is asked need not answer where the run is ended anyway.
    let asks = run.question.is_some() && !matches!(run.state, RunState::Stopping | RunState::Cancelling);
    let over = run.all_ended() && !asks;
    let undoes = run.rollback.is_some() || !run.undo.is_empty() || run.cause == Some(EndCause::Rollback);
    let more = over && more_follows(run);
    match run.state {
        RunState::Pausing if !over || undoes || more => decided.push((run.id, EventKind::RunPaused { frozen: false })),
        // What people decide about a run that stands still is kept; what follows from it follows when the run goes on.
        RunState::Paused => {}
        RunState::Compensating if run.undo.is_empty() => conclude(run, decided),
        RunState::Compensating => {}
        RunState::Stopping if !over => end_everything(run, EndCause::Stop, decided),
        _ if over && run.undo.is_empty() => conclude(run, decided),
        _ => {}
    }
}

/// Whether too little success means at once that the run has failed.
pub(crate) fn missed_means_failed(run: &Run) -> bool {
    match run.workflow.on_threshold_missed {
        OnThresholdMissed::Fail => true,
        OnThresholdMissed::Retry => run.retried,
        OnThresholdMissed::Escalate => run.critical_failed(),
    }
}

/// All steps have ended and nothing is left to be undone.
fn conclude(run: &Run, decided: &mut Vec<(RunId, EventKind)>) {
    if let Some(to) = run.rollback {
        match to {
            Rollback::To(to) if !undo_failed(run) => decided.push((run.id, EventKind::RunRolledBack { to })),
            Rollback::Again if run.cause != Some(EndCause::Rollback) || !undo::preview(run, None).undone.is_empty() => {
                let (succeeded, counted) = run.share();
                let met = run.enough(succeeded, counted) && !run.critical_failed();
                decided.push((run.id, verdict(run, met, run.is_all(succeeded, counted))));
            }
            // There is no way back to the checkpoint, nor forwards from what is half undone.
            _ if !run.all_ended() => end_everything(run, EndCause::Rollback, decided),
            _ => decided.push((run.id, rolled_back(run))),
        }
        return;
    }
    if run.cause == Some(EndCause::Rollback) {
        let steps = undo::preview(run, None).undone;
        decided.push((run.id, EventKind::RunCompensating { steps, to: None }));
        return;
    }
    let (succeeded, counted) = run.share();
    let met = run.enough(succeeded, counted) && !run.critical_failed();
    let free = run.cause.is_none() && run.state == RunState::Running;
    if let Some(approved) = run.accepted.filter(|_| free) {
        finish(run, as_answered(run, approved), decided);
        return;
    }
    if free && again(run, met) {
        decided.push((run.id, EventKind::RetryRound));
        decided.extend(once_more(run).map(|step| (run.id, EventKind::StepReopened { step })));
        return;
    }
    if free && !met && asks_when_missed(run) {
        decided.push((run.id, EventKind::RunEscalated { succeeded, counted }));
        return;
    }
    if free && !met && run.can_be_rolled_back() {
        decided.push((run.id, EventKind::RunCancelling { cause: EndCause::Rollback }));
        return;
    }
    finish(run, verdict(run, met, run.is_all(succeeded, counted)), decided);
}

/// The end of a run, as soon as its result is known.
fn finish(run: &Run, end: EventKind, decided: &mut Vec<(RunId, EventKind)>) {
    let EventKind::RunFinished { state, cause: None, .. } = end else {
        decided.push((run.id, end));
        return;
    };
    match &run.result {
        RunResult::Asked => {}
        RunResult::Open if run.workflow.result.is_some() => decided.push((run.id, EventKind::ResultPreparing)),
        RunResult::Failed(_) if matches!(state, RunState::Succeeded | RunState::Partial) => {
            let (state, status) = (RunState::Failed, RunStatus::Failed);
            decided.push((run.id, EventKind::RunFinished { state, status, cause: None }));
        }
        RunResult::Open | RunResult::Found(_) | RunResult::Failed(_) => decided.push((run.id, end)),
    }
}

/// Whether a run whose steps have all ended goes on when nothing holds it: once more, with a question, or back.
fn more_follows(run: &Run) -> bool {
    let (succeeded, counted) = run.share();
    let met = run.enough(succeeded, counted) && !run.critical_failed();
    run.cause.is_none() && (again(run, met) || !met && (asks_when_missed(run) || run.can_be_rolled_back()))
}

/// Whether a person is asked about so little success: not where a critical step failed, which nothing makes good.
fn asks_when_missed(run: &Run) -> bool {
    run.workflow.on_threshold_missed == OnThresholdMissed::Escalate && !run.critical_failed()
}

/// How a run goes on or ends when a person has said whether so much success will do.
fn as_answered(run: &Run, approved: bool) -> EventKind {
    let finished = |state, status, cause| EventKind::RunFinished { state, status, cause };
    match approved {
        true => finished(RunState::Partial, RunStatus::Partial, None),
        false if run.can_be_rolled_back() => EventKind::RunCancelling { cause: EndCause::Rollback },
        false => finished(RunState::Failed, RunStatus::Rejected, Some(EndCause::Reject)),
    }
}

/// Whether what failed is to be tried once more. After a step that cannot be undone that is all that is left.
fn again(run: &Run, met: bool) -> bool {
    let wanted = match run.workflow.recovery {
        Recovery::Retry => true,
        Recovery::Rollback => !met && run.pivot().is_some(),
        Recovery::Continue | Recovery::FailFast => false,
    };
    let missed = !met && run.workflow.on_threshold_missed == OnThresholdMissed::Retry;
    !run.retried && (wanted || missed) && once_more(run).next().is_some()
}

/// What failed, and what was skipped or cancelled because of it, in topological order.
fn once_more(run: &Run) -> impl Iterator<Item = StepId> {
    let mut taken = vec![false; run.steps.len()];
    for step in run.step_ids().filter(|id| run.step(*id).state == StepState::Failed && !run.left_out_as_part(*id)) {
        taken[step.index()] = true;
        for other in super::decide::by_hand::taken_along(run, step) {
            taken[other.index()] = true;
        }
    }
    run.shape.order.iter().copied().filter(move |id| taken[id.index()])
}

fn undo_failed(run: &Run) -> bool {
    run.steps.iter().any(|step| step.undo.as_ref().is_some_and(|undo| undo.failure.is_some()))
}

fn rolled_back(run: &Run) -> EventKind {
    let cause = Some(EndCause::Rollback);
    let (state, status) = if undo_failed(run) {
        (RunState::CompensationFailed, RunStatus::CompensationFailed)
    } else {
        (RunState::Compensated, RunStatus::Compensated)
    };
    EventKind::RunFinished { state, status, cause }
}

/// Whether it is only because a person said no that the run fails.
fn is_rejected(run: &Run) -> bool {
    let failed = run.steps.iter().filter(|step| step.state == StepState::Failed);
    let classes: Vec<FailureClass> = failed.filter_map(|step| Some(step.failure.as_ref()?.class)).collect();
    !classes.is_empty() && classes.iter().all(|class| *class == FailureClass::Rejected)
}

/// How a run whose steps have all ended has ended.
fn verdict(run: &Run, met: bool, all: bool) -> EventKind {
    let finished = |state, status| EventKind::RunFinished { state, status, cause: run.cause };
    match run.cause {
        // A step that was cut off was to be undone, and could not be.
        Some(EndCause::Cancel | EndCause::Deadline | EndCause::FailFast) if undo_failed(run) => {
            finished(RunState::CompensationFailed, RunStatus::CompensationFailed)
        }
        Some(EndCause::Deadline) => finished(RunState::Failed, RunStatus::Deadline),
        Some(EndCause::FailFast) if is_rejected(run) => finished(RunState::Failed, RunStatus::Rejected),
        Some(EndCause::FailFast) => finished(RunState::Failed, RunStatus::Failed),
        Some(EndCause::Cancel | EndCause::Quit | EndCause::Terminate | EndCause::HangUp) => {
            finished(RunState::Cancelled, RunStatus::Cancelled)
        }
        Some(EndCause::Stop) => stopped(),
        None if run.state == RunState::Stopping => stopped(),
        Some(EndCause::Rollback | EndCause::Reject) | None => match (met, all) {
            _ if undo_failed(run) => finished(RunState::CompensationFailed, RunStatus::CompensationFailed),
            (true, true) => finished(RunState::Succeeded, RunStatus::Succeeded),
            (true, false) => finished(RunState::Partial, RunStatus::Partial),
            (false, _) if is_rejected(run) => finished(RunState::Failed, RunStatus::Rejected),
            (false, _) => finished(RunState::Failed, RunStatus::Failed),
        },
    }
}

fn stopped() -> EventKind {
    EventKind::RunFinished { state: RunState::Stopped, status: RunStatus::Cancelled, cause: Some(EndCause::Stop) }
}
