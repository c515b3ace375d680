//! What events about steps change.

use crate::engine::meters::add_phase;
use crate::engine::run::{NeedState, Run, RunResult, StepRun};
use crate::model::bug::{Bug, seeded};
use crate::model::completion::{Failure, FailureClass};
use crate::model::event::{Event, EventKind, TakeOver};
use crate::model::id::{AgentId, StepId};
use crate::model::path::Path;
use crate::model::policy::OnCancel;
use crate::model::state::{EndCause, StepState, WaitReason};
use crate::model::step::NeedOn;
use crate::model::time::Micros;
use serde_json::Value;
use std::sync::Arc;

pub(super) fn evolve(run: &mut Run, event: &Event) {
    let at = event.at;
    match &event.kind {
        EventKind::StepReady { .. } | EventKind::StepPreparing { .. } => prepare(run, &event.kind, at),
        EventKind::StepWaiting { step, why, until } => wait(run, *step, why, *until, at),
        EventKind::StepSkipped { step, why } => {
            run.step_mut(*step).skip = Some(*why);
            end_step(run, *step, StepState::Skipped, at);
        }
        EventKind::StepSucceeded { step, output, fallback, reused } => {
            let entry = run.step_mut(*step);
            entry.output = Some(output.clone());
            entry.fallback = *fallback;
            entry.foreign = reused.is_some();
            end_step(run, *step, StepState::Succeeded, at);
        }
        EventKind::StepFailed { step, failure } => fail_step(run, *step, failure, at),
        EventKind::StepUnknown { step } => set_state(run, *step, StepState::Unknown, at),
        EventKind::StepCancelling { step, because } => {
            set_state(run, *step, StepState::Cancelling, at);
            run.step_mut(*step).cancelled_by = *because;
        }
        EventKind::StepCancelled { step, because, cause } => {
            let entry = run.step_mut(*step);
            (entry.cancelled_by, entry.ended_by) = (*because, *cause);
            end_step(run, *step, StepState::Cancelled, at);
            if undone_when_cancelled(run, *step, *cause) {
                run.undo.push_back(*step);
            }
        }
        EventKind::StepTakenOver { step, then } => taken_over(run, *step, then),
        EventKind::StepReopened { step } => {
            // What is done again, with the same idempotency key, is not undone before.
            run.undo.retain(|other| other != step);
            reopen(run, *step, at);
        }
        EventKind::PriorityChanged { step, priority } => set_priority(run, *step, *priority),
        EventKind::FallbackTaken { step, fallback } => {
            run.meters.fallbacks += 1;
            let class = run.fallback_class(*step, *fallback);
            let entry = run.step_mut(*step);
            entry.fallback = Some(*fallback);
            entry.tried.clear();
            if let Some(class) = class {
                change_class(run, *step, class);
            }
        }
        EventKind::DataChanged { step, .. } => {
            if let Some(output) = run.step(*step).output.clone() {
                let workflow = run.workflow.clone();
                let own = run.step(*step).scope.and_then(|scope| run.scopes.get_mut(&scope));
                let data = Arc::make_mut(own.unwrap_or(&mut run.data));
                for mapping in &workflow.step(*step).output {
                    write_output(data, &output, &mapping.field, &mapping.path);
                }
            }
        }
        _ => {}
    }
}

/// What a step is told is known, or asked for.
fn prepare(run: &mut Run, kind: &EventKind, at: Micros) {
    match kind {
        EventKind::StepReady { step, input, process, .. } => {
            set_state(run, *step, StepState::Ready, at);
            if let Some(input) = input {
                let entry = run.step_mut(*step);
                (entry.input, entry.process) = (Some(input.clone()), process.clone());
            }
        }
        EventKind::StepPreparing { step } => {
            let entry = run.step_mut(*step);
            entry.asked += 1;
            entry.preparing = Some(entry.asked);
            run.preparing += 1;
        }
        _ => {}
    }
}

fn set_priority(run: &mut Run, step: StepId, priority: u8) {
    let queued = run.is_queued(step);
    let class = run.step(step).class;
    if queued && !seeded(Bug::PriorityNotRequeued) {
        run.queue.remove(class, run.place(step));
    }
    run.step_mut(step).priority = priority;
    if queued {
        run.queue.insert(class, run.place(step));
    }
}

fn wait(run: &mut Run, step: StepId, why: &WaitReason, until: Option<Micros>, at: Micros) {
    if run.step(step).state != StepState::Compensating {
        leave_queue(run, step);
        set_state(run, step, StepState::Waiting, at);
    }
    run.step_mut(step).wait = Some((why.clone(), until));
    if run.is_queued(step) {
        // Nobody takes work like it at the moment: it keeps its place, and goes when somebody does.
        run.queue.insert(run.step(step).class, run.place(step));
    }
}

/// Whether a step that was cut off is undone at once. When upbeat is to end nothing new is begun.
fn undone_when_cancelled(run: &Run, step: StepId, cause: Option<EndCause>) -> bool {
    let goes_on = matches!(cause, None | Some(EndCause::Cancel | EndCause::FailFast | EndCause::Deadline));
    goes_on && run.spec(step).on_cancel == OnCancel::Compensate && run.can_be_undone(step)
}

fn taken_over(run: &mut Run, step: StepId, then: &TakeOver) {
    if let TakeOver::Reassign(Some(agent)) = then {
        pin(run, step, *agent);
    }
    if run.step(step).current.is_some() {
        run.step_mut(step).take_over = Some(then.clone());
    }
}

fn pin(run: &mut Run, step: StepId, agent: AgentId) {
    let class = run.pin_class(agent, run.home[step.index()]);
    let entry = run.step_mut(step);
    entry.pinned = Some(agent);
    entry.fallback = None;
    change_class(run, step, class);
}

fn change_class(run: &mut Run, step: StepId, class: usize) {
    let queued = run.is_queued(step);
    if queued {
        run.queue.remove(run.step(step).class, run.place(step));
    }
    run.step_mut(step).class = class;
    if queued {
        run.queue.insert(class, run.place(step));
    }
}

/// Takes a step out of the queue, if it stands there.
fn leave_queue(run: &mut Run, step: StepId) {
    if run.is_queued(step) {
        run.queue.remove(run.step(step).class, run.place(step));
    }
}

/// Changes a step's state and everything that is counted by it.
pub(super) fn set_state(run: &mut Run, step: StepId, state: StepState, at: Micros) {
    leave_queue(run, step);
    let entry = run.step_mut(step);
    let (old, wait, since, asked) = (entry.state, entry.wait.take(), entry.since, entry.preparing.take());
    entry.state = state;
    entry.since = at;
    run.preparing -= u32::from(asked.is_some());
    if run.started.is_some() {
        add_phase(&mut run.meters.phases, old, wait.as_ref().map(|(why, _)| why), at.saturating_sub(since));
    }
    run.counts.remove(old);
    run.counts.add(state);
    if state == StepState::Ready {
        // Who comes back from being held up keeps the age it had.
        let held_up = wait.as_ref().is_some_and(|(why, _)| !matches!(why, WaitReason::Backoff { .. }));
        if old != StepState::Waiting || !held_up {
            run.step_mut(step).ready_since = at;
        }
        run.queue.insert(run.step(step).class, run.place(step));
        if !run.gates.is_empty() {
            run.gates.fresh.push(step);
        }
    }
    if !run.gates.is_empty() {
        run.gates.arrived |= run.spec(step).barrier.is_some();
        run.gates.moved(step);
    }
}

fn fail_step(run: &mut Run, step: StepId, failure: &Failure, at: Micros) {
    let entry = run.step_mut(step);
    if failure.class == FailureClass::Unknown {
        // Nobody's failed attempt as long as it could be done again; now it is one that was not made good.
        entry.hit.get_or_insert(at);
    }
    entry.failure = Some(Arc::new(failure.clone()));
    end_step(run, step, StepState::Failed, at);
    // What one item of many lacks is its step's to judge.
    run.fresh_failure |= !run.is_excused(step);
}

fn end_step(run: &mut Run, step: StepId, state: StepState, at: Micros) {
    set_state(run, step, state, at);
    let entry = run.step_mut(step);
    entry.ended = Some(at);
    entry.take_over = None;
    if state == StepState::Succeeded {
        entry.failure = None;
    }
    for at in 0..run.dependents[step.index()].len() {
        let (dependent, on) = run.dependents[step.index()][at];
        tell(run, dependent, step, on);
    }
    look_for_early(run, step);
    advance_cursors(run);
}

/// Sequential order stands at the first step that has not ended, hybrid order at the first by levels.
pub(super) fn advance_cursors(run: &mut Run) {
    while run.shape.order.get(run.cursor).is_some_and(|step| run.has_had_its_turn(*step)) {
        run.cursor += 1;
    }
    while run.by_level.get(run.level_cursor).is_some_and(|step| run.has_had_its_turn(*step)) {
        run.level_cursor += 1;
    }
}

/// Who goes on as soon as it has enough may have it now.
fn look_for_early(run: &mut Run, ended: StepId) {
    let of = run.step(ended).part_of.map_or(ended, |item| item.of);
    for at in 0..run.dependents[of.index()].len() {
        let (dependent, _) = run.dependents[of.index()][at];
        if run.ends_others(dependent) && run.is_early(dependent) {
            run.open.push(dependent);
        }
    }
}

/// Tells a dependent that a need has ended: it comes closer to ready, or has lost the need.
fn tell(run: &mut Run, dependent: StepId, need: StepId, on: NeedOn) {
    if run.step(dependent).state != StepState::Pending {
        return;
    }
    match run.need_state(need, on) {
        NeedState::Met => {
            let entry = run.step_mut(dependent);
            entry.unmet -= 1;
            if seeded(Bug::FirstNeedIsEnough) {
                entry.unmet = 0;
            }
            if entry.unmet == 0 {
                run.open.push(dependent);
            }
        }
        NeedState::Lost(why) => {
            if run.step(need).state != StepState::Skipped || !seeded(Bug::SkipNotPropagated) {
                run.lost.push_back((dependent, why));
            }
        }
        NeedState::Open => {}
    }
}

/// Opens an ended step again: its needs are counted anew, and those who counted it as ended count it as open.
pub(super) fn reopen(run: &mut Run, step: StepId, at: Micros) {
    for at in 0..run.dependents[step.index()].len() {
        let (dependent, on) = run.dependents[step.index()][at];
        if run.need_state(step, on) == NeedState::Met && run.step(dependent).state == StepState::Pending {
            run.step_mut(dependent).unmet += 1;
        }
    }
    let needs = run.spec(step).needs.iter();
    let unmet = needs.filter(|need| run.need_state(need.step, need.on) != NeedState::Met).count();
    let unmet = if seeded(Bug::ReopenForgetsNeeds) { 0 } else { unmet };
    set_state(run, step, StepState::Pending, at);
    let pinned = run.step(step).pinned;
    let home = run.home[step.index()];
    let class = pinned.map_or(home, |agent| run.pin_class(agent, home));
    let entry = run.step_mut(step);
    *entry = StepRun {
        unmet: u32::try_from(unmet).unwrap_or(u32::MAX),
        skip: None,
        cancelled_by: None,
        ended_by: None,
        take_over: None,
        input: None,
        output: None,
        spent: 0,
        limited: 0,
        tried: Vec::new(),
        fallback: None,
        foreign: false,
        class,
        started: None,
        ended: None,
        failure: None,
        process: None,
        scores: None,
        ..entry.clone()
    };
    // Another need may have been lost for good: then the step is skipped again, for that reason.
    let lost = run.spec(step).needs.iter().find_map(|need| match run.need_state(need.step, need.on) {
        NeedState::Lost(why) => Some(why),
        NeedState::Open | NeedState::Met => None,
    });
    run.lost.extend(lost.map(|why| (step, why)));
    if unmet == 0 {
        run.open.push(step);
    }
    // There is something to do again, so whether what was done will do is not the question any more.
    if !seeded(Bug::QuestionStays) {
        (run.question, run.accepted) = (None, None);
        run.result = RunResult::Open;
    }
    set_cursors_back(run);
}

/// A step that had ended has not any more.
pub(super) fn set_cursors_back(run: &mut Run) {
    (run.cursor, run.level_cursor) = (0, 0);
    advance_cursors(run);
}

/// Writes one field of an output; an output that is no object goes whole.
fn write_output(data: &mut Value, output: &Value, field: &str, path: &Path) {
    match output {
        Value::Object(fields) => {
            if let Some(value) = fields.get(field) {
                path.set(data, value.clone());
            }
        }
        whole => path.set(data, whole.clone()),
    }
}
