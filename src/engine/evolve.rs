//! State and event to state: total, cannot fail, makes no choice.
//!
//! Replaying a journal runs exactly this code, so nothing here may look at anything but the state and the event.

use super::redefine;
use super::run::{Current, NeedState, Run, StepRun};
use super::world::World;
use crate::model::bug::{Bug, seeded};
use crate::model::completion::{Failure, FailureClass, Usage};
use crate::model::event::{EndingWhy, Event, EventKind};
use crate::model::id::{AgentId, StepId};
use crate::model::mapping::Path;
use crate::model::state::{Broken, EndCause, RunState, StepState};
use crate::model::step::NeedOn;
use crate::model::time::Micros;
use crate::model::view::{ATTEMPTS_KEPT, AttemptView, Busy};
use serde_json::Value;
use std::sync::Arc;

/// Applies one event.
pub(crate) fn evolve(world: &mut World, event: &Event) {
    if let EventKind::WorkflowChanged { workflow, moved, .. } = &event.kind {
        redefine::redefine(world, event.run, workflow, moved);
    }
    evolve_registry(world, event);
    let run = world.run_mut(event.run);
    run.seq = event.seq;
    match &event.kind {
        EventKind::RunStarted { .. }
        | EventKind::RunPausing { .. }
        | EventKind::RunPaused { .. }
        | EventKind::RunInterrupted
        | EventKind::RunResumed
        | EventKind::RunStopping
        | EventKind::RunCancelling { .. }
        | EventKind::RunFinished { .. }
        | EventKind::RunReopened => evolve_run(run, event),
        EventKind::AttemptStarted { .. }
        | EventKind::AttemptEnding { .. }
        | EventKind::AttemptSucceeded { .. }
        | EventKind::AttemptFailed { .. } => evolve_attempt(run, event),
        EventKind::FaultFired { .. } => run.faults += 1,
        EventKind::StrategyChosen { .. }
        | EventKind::WorkflowChanged { .. }
        | EventKind::AnswerDropped { .. }
        | EventKind::AgentBroken { .. }
        | EventKind::AgentHealed { .. }
        | EventKind::FaultCleared { .. }
        | EventKind::CommandRefused { .. } => {}
        _ => evolve_step(run, event),
    }
}

fn evolve_run(run: &mut Run, event: &Event) {
    match &event.kind {
        EventKind::RunStarted { .. } => {
            run.started = Some(event.at);
            run.state = RunState::Running;
        }
        EventKind::RunPausing { park } => {
            run.state = RunState::Pausing;
            run.parking |= *park;
        }
        EventKind::RunPaused { .. } => pause(run, event.at),
        // A cancel or a stop that was under way is carried through; anything else stands still until it is resumed.
        EventKind::RunInterrupted => match run.state {
            RunState::Running | RunState::Pausing => pause(run, event.at),
            _ => {}
        },
        EventKind::RunResumed => {
            run.state = RunState::Running;
            run.parking = false;
            run.resumes += 1;
            if let Some(since) = run.paused_since.take() {
                run.paused_for += event.at - since;
            }
        }
        EventKind::RunStopping => run.state = RunState::Stopping,
        EventKind::RunCancelling { cause } => {
            run.state = RunState::Cancelling;
            run.cause = Some(*cause);
        }
        EventKind::RunFinished { state, status, cause } => {
            run.state = *state;
            run.status = Some(*status);
            run.cause = *cause;
            run.ended = Some(event.at);
            if let Some(since) = run.paused_since.take() {
                run.paused_for += event.at - since;
            }
        }
        EventKind::RunReopened => {
            run.state = RunState::Running;
            run.status = None;
            if let Some(ended) = run.ended.take() {
                run.paused_for += event.at - ended;
            }
            if run.cause.take() == Some(EndCause::Deadline) {
                // Its time was over: what is tried again gets the whole time anew.
                run.deadline_moved = event.at - run.started.unwrap_or_default() - run.paused_for;
            }
            run.critical_failed = false;
            run.fresh_failure = false;
            run.resumes += 1;
        }
        _ => {}
    }
}

fn pause(run: &mut Run, at: Micros) {
    run.state = RunState::Paused;
    run.parking = false;
    run.paused_since.get_or_insert(at);
}

fn evolve_step(run: &mut Run, event: &Event) {
    let at = event.at;
    match &event.kind {
        EventKind::StepReady { step, input, .. } => {
            let entry = run.step_mut(*step);
            entry.ready_since = at;
            if let Some(input) = input {
                entry.input = Some(input.clone());
            }
            set_state(run, *step, StepState::Ready);
        }
        EventKind::StepWaiting { step, why, until } => {
            set_state(run, *step, StepState::Waiting);
            run.step_mut(*step).wait = Some((why.clone(), *until));
        }
        EventKind::StepSkipped { step, why } => {
            run.step_mut(*step).skip = Some(*why);
            end_step(run, *step, StepState::Skipped, at);
        }
        EventKind::StepSucceeded { step, output, fallback, .. } => {
            let entry = run.step_mut(*step);
            entry.output = Some(output.clone());
            entry.fallback = *fallback;
            end_step(run, *step, StepState::Succeeded, at);
        }
        EventKind::StepFailed { step, failure } => fail_step(run, *step, failure, at),
        EventKind::StepUnknown { step } => set_state(run, *step, StepState::Unknown),
        EventKind::StepCancelling { step } => set_state(run, *step, StepState::Cancelling),
        EventKind::StepCancelled { step, because, .. } => {
            run.step_mut(*step).cancelled_by = *because;
            end_step(run, *step, StepState::Cancelled, at);
        }
        EventKind::StepReopened { step } => reopen(run, *step),
        EventKind::PriorityChanged { step, priority } => {
            let queued = run.step(*step).state == StepState::Ready;
            let class = run.step(*step).class;
            if queued && !seeded(Bug::PriorityNotRequeued) {
                run.queue.remove(class, run.place(*step));
            }
            run.step_mut(*step).priority = *priority;
            if queued {
                run.queue.insert(class, run.place(*step));
            }
        }
        EventKind::FallbackTaken { step, fallback } => {
            run.fallbacks += 1;
            let class = run.fallback_class(*step, *fallback);
            let entry = run.step_mut(*step);
            entry.fallback = Some(*fallback);
            entry.tried.clear();
            if let Some(class) = class {
                entry.class = class;
            }
        }
        EventKind::DataChanged { step, .. } => {
            if let Some(output) = run.step(*step).output.clone() {
                let workflow = run.workflow.clone();
                for mapping in &workflow.step(*step).output {
                    write_output(&mut run.data, &output, &mapping.field, &mapping.path);
                }
            }
        }
        _ => {}
    }
}

fn evolve_attempt(run: &mut Run, event: &Event) {
    let at = event.at;
    match &event.kind {
        EventKind::AttemptStarted { step, attempt, agent, fallback, .. } => {
            start_attempt(run, *step, *attempt, *agent, *fallback, at);
        }
        EventKind::AttemptEnding { step, why, .. } => {
            if let Some(current) = &mut run.step_mut(*step).current {
                current.ending = Some(*why);
            }
            run.step_mut(*step).injected |= *why == EndingWhy::Fault;
        }
        EventKind::AttemptSucceeded { step, usage, .. } => end_attempt(run, *step, at, None, *usage),
        EventKind::AttemptFailed { step, failure, usage, .. } => {
            end_attempt(run, *step, at, Some(Arc::new(failure.clone())), *usage);
        }
        _ => {}
    }
}

/// Changes a step's state and everything that is counted by it.
fn set_state(run: &mut Run, step: StepId, state: StepState) {
    let (old, class) = (run.step(step).state, run.step(step).class);
    if old == StepState::Ready {
        run.queue.remove(class, run.place(step));
    }
    run.counts.remove(old);
    run.counts.add(state);
    let entry = run.step_mut(step);
    entry.state = state;
    entry.wait = None;
    if state == StepState::Ready {
        run.queue.insert(class, run.place(step));
    }
}

fn fail_step(run: &mut Run, step: StepId, failure: &Failure, at: Micros) {
    run.critical_failed |= run.spec(step).critical;
    run.fresh_failure = true;
    let entry = run.step_mut(step);
    if failure.class == FailureClass::Unknown {
        // Nobody's failed attempt as long as it could be done again; now it is one that was not made good.
        entry.hit.get_or_insert(at);
    }
    entry.failure = Some(Arc::new(failure.clone()));
    end_step(run, step, StepState::Failed, at);
}

fn end_step(run: &mut Run, step: StepId, state: StepState, at: Micros) {
    set_state(run, step, state);
    let entry = run.step_mut(step);
    entry.ended = Some(at);
    if state == StepState::Succeeded {
        entry.failure = None;
    }
    for at in 0..run.dependents[step.index()].len() {
        let (dependent, on) = run.dependents[step.index()][at];
        tell(run, dependent, step, on);
    }
    advance_cursor(run);
}

/// Sequential mode stands at the first step that has not ended.
fn advance_cursor(run: &mut Run) {
    while run.shape.order.get(run.cursor).is_some_and(|step| run.step(*step).state.ended()) {
        run.cursor += 1;
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
fn reopen(run: &mut Run, step: StepId) {
    for at in 0..run.dependents[step.index()].len() {
        let (dependent, on) = run.dependents[step.index()][at];
        if run.need_state(step, on) == NeedState::Met && run.step(dependent).state == StepState::Pending {
            run.step_mut(dependent).unmet += 1;
        }
    }
    let needs = run.spec(step).needs.iter();
    let unmet = needs.filter(|need| run.need_state(need.step, need.on) != NeedState::Met).count();
    let unmet = if seeded(Bug::ReopenForgetsNeeds) { 0 } else { unmet };
    set_state(run, step, StepState::Pending);
    let home = run.home[step.index()];
    let entry = run.step_mut(step);
    *entry = StepRun {
        unmet: u32::try_from(unmet).unwrap_or(u32::MAX),
        skip: None,
        cancelled_by: None,
        input: None,
        output: None,
        spent: 0,
        tried: Vec::new(),
        fallback: None,
        class: home,
        started: None,
        ended: None,
        failure: None,
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
    run.cursor = 0;
    advance_cursor(run);
}

fn start_attempt(run: &mut Run, step: StepId, attempt: u32, agent: AgentId, fallback: Option<u32>, at: Micros) {
    set_state(run, step, StepState::Running);
    run.attempts += 1;
    run.active += 1;
    run.active_max = run.active_max.max(run.active);
    run.agents_used.insert(agent);
    let class = run.step(step).class;
    run.classes[class].active += 1;
    let entry = run.step_mut(step);
    let retry = entry.spent > 0 && fallback.is_none();
    entry.attempts = attempt;
    entry.spent += 1;
    if !entry.tried.contains(&agent) {
        entry.tried.push(agent);
    }
    entry.started.get_or_insert(at);
    entry.current = Some(Current { attempt, agent, class, started: at, ending: None });
    entry.log.push_back(AttemptView { attempt, agent, started: at, ended: None, failure: None, fallback });
    if entry.log.len() > ATTEMPTS_KEPT {
        entry.log.pop_front();
    }
    run.retries += u32::from(retry);
}

fn end_attempt(run: &mut Run, step: StepId, at: Micros, failure: Option<Arc<Failure>>, usage: Option<Usage>) {
    let Some(current) = run.step_mut(step).current.take() else { return };
    run.active -= 1;
    run.classes[current.class].active -= 1;
    run.busy += at - current.started;
    if let Some(usage) = usage {
        let total = run.usage.get_or_insert_default();
        total.cpu_s += usage.cpu_s;
        total.peak_rss_bytes = total.peak_rss_bytes.max(usage.peak_rss_bytes);
    }
    let entry = run.step_mut(step);
    if let Some(failure) = &failure {
        if !matches!(failure.class, FailureClass::Cancelled | FailureClass::Unknown) {
            entry.hit.get_or_insert(at);
        }
        // An agent that could not be reached at all has not used up a try, nor has one that upbeat left alone.
        let taken_away = current.ending == Some(EndingWhy::Park) || failure.class == FailureClass::Unknown;
        let lost = failure.class == FailureClass::Unknown;
        if lost && seeded(Bug::AttemptNumberReused) {
            entry.attempts -= 1;
        }
        let kept = lost && seeded(Bug::LostAttemptSpends);
        if (taken_away || failure.class == FailureClass::Unreachable) && !kept {
            entry.spent = entry.spent.saturating_sub(1);
        }
        if taken_away {
            entry.tried.retain(|agent| *agent != current.agent);
        }
        entry.injected |= failure.injected;
        entry.failure = Some(failure.clone());
    }
    if let Some(last) = entry.log.back_mut() {
        last.ended = Some(at);
        last.failure = failure;
    }
}

fn evolve_registry(world: &mut World, event: &Event) {
    match &event.kind {
        EventKind::AttemptStarted { step, attempt, agent, .. } => {
            let busy = Busy { run: event.run, step: *step, attempt: *attempt, since: event.at };
            world.registry.agent_mut(*agent).busy.insert((event.run, *step), busy);
        }
        EventKind::AttemptSucceeded { step, agent, .. } | EventKind::AttemptFailed { step, agent, .. } => {
            let run = &world.runs[event.run.index()];
            let (kind, started) = (run.spec(*step).kind(), run.step(*step).current.as_ref().map(|c| c.started));
            let failed = match &event.kind {
                EventKind::AttemptFailed { failure, .. } => Some(failure.class),
                _ => None,
            };
            let entry = world.registry.agent_mut(*agent);
            if failed != Some(FailureClass::Timeout) || !seeded(Bug::PermitLeaked) {
                entry.busy.remove(&(event.run, *step));
            }
            match (failed, started) {
                (None, Some(started)) => {
                    entry.succeeded += 1;
                    entry.measure(kind, event.at - started);
                }
                (Some(class), _) if !class.blames_the_agent() => {}
                _ => entry.failed += 1,
            }
        }
        EventKind::AgentBroken { agent, reason, injected, until } => {
            let entry = world.registry.agent_mut(*agent);
            // The same break stands in the journal of every run that knows the agent.
            if entry.broken.is_none() {
                entry.breaks += 1;
                entry.broken =
                    Some(Broken { reason: reason.clone(), injected: *injected, since: event.at, until: *until });
            }
        }
        EventKind::AgentHealed { agent } => world.registry.agent_mut(*agent).broken = None,
        _ => {}
    }
}

/// The paths that an output would be written to, and the fields it lacks.
pub(crate) fn output_paths<'w>(
    mappings: &'w [crate::model::mapping::OutputMapping],
    output: &Value,
) -> (Vec<&'w Path>, Vec<&'w str>) {
    let mut paths = Vec::new();
    let mut missing = Vec::new();
    for mapping in mappings {
        match output {
            Value::Object(fields) if !fields.contains_key(&mapping.field) => missing.push(mapping.field.as_str()),
            _ => paths.push(&mapping.path),
        }
    }
    (paths, missing)
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
