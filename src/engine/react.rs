//! State and event to work for the outside.

use super::ask;
use super::run::Run;
use super::world::World;
use crate::model::bug::{Bug, seeded};
use crate::model::completion::FailureClass;
use crate::model::defaults::PROBE_LIMIT;
use crate::model::effect::{AttemptOrder, Effect, Timer};
use crate::model::event::{EndingWhy, Event, EventKind};
use crate::model::id::{AgentId, StepId};
use crate::model::rng;
use crate::model::state::{BreakerState, StepState, WaitReason};
use crate::model::time::Micros;
use serde_json::{Value, json};
use std::sync::Arc;

/// Names the purpose of a draw.
const DRAW_ATTEMPT: u64 = 1;
/// Names the purpose of a draw.
pub(crate) const DRAW_BACKOFF: u64 = 2;
/// Names the purpose of a draw.
pub(crate) const DRAW_LIMIT: u64 = 3;

/// Work that has to be read off the state before the event changes it: whether a second cancel hurries the first, and
/// what was halted and goes on.
pub(crate) fn before(world: &World, event: &Event, effects: &mut Vec<Effect>) {
    let run = world.run(event.run);
    match event.kind {
        EventKind::AttemptEnding { step, attempt, why } => {
            let current = run.step(step).current.as_ref();
            let again = current.is_some_and(|current| current.ending.is_some());
            effects.push(Effect::Stop { run: event.run, step, attempt, at_once: again || why == EndingWhy::Fault });
        }
        EventKind::RunResumed
        | EventKind::RunPausing { .. }
        | EventKind::RunStopping
        | EventKind::RunCancelling { .. }
            if run.frozen =>
        {
            halt(run, false, effects);
            if !seeded(Bug::TimerOfHaltedLost) {
                time_anew(run, event.at, effects);
            }
        }
        _ => {}
    }
}

/// Halts what runs, or lets it go on.
fn halt(run: &Run, frozen: bool, effects: &mut Vec<Effect>) {
    for step in run.step_ids() {
        if let Some(current) = run.step(step).current.as_ref().filter(|current| current.halted.is_some()) {
            effects.push(Effect::Freeze { run: run.id, step, attempt: current.attempt, frozen });
        }
    }
}

/// Work that follows from the state after the event.
pub(crate) fn after(world: &World, event: &Event, effects: &mut Vec<Effect>) {
    let run = world.run(event.run);
    match &event.kind {
        EventKind::RunStarted { .. }
        | EventKind::RunReopened
        | EventKind::RunRolledBack { .. }
        | EventKind::RunResumed => {
            set_deadline(run, effects);
            set_again(world, run, effects);
        }
        EventKind::RunPausing { .. }
        | EventKind::RunStopping
        | EventKind::RunCancelling { .. }
        | EventKind::RunCompensating { .. } => set_again(world, run, effects),
        EventKind::RunPaused { frozen: true } if !seeded(Bug::NotHalted) => halt(run, true, effects),
        EventKind::RunFinished { .. } => effects.push(Effect::Finished { run: run.id }),
        EventKind::StepPreparing { step } => {
            effects.push(Effect::Compute(Box::new(ask::computation(run, Some(*step)))));
        }
        EventKind::ResultPreparing => effects.push(Effect::Compute(Box::new(ask::computation(run, None)))),
        EventKind::StepWaiting { step, why, until: Some(at) } => {
            effects.extend(timer_of(run, *step, why, *at));
        }
        EventKind::AttemptStarted { step, attempt, agent, .. } => {
            effects.push(Effect::Start(Box::new(order(world, run, *step, *attempt, *agent, event.at))));
            time(run, *step, *attempt, event.at, Micros::ZERO, effects);
            let breaker = &world.registry.agent(*agent).breaker;
            if breaker.probe == Some((run.id, *step, *attempt)) {
                let timer = Timer::Breaker { agent: *agent, epoch: breaker.epoch };
                effects.push(Effect::SetTimer { at: event.at + PROBE_LIMIT, timer });
            }
        }
        EventKind::AgentBroken { agent, .. }
        | EventKind::AgentParked { agent, .. }
        | EventKind::BreakerChanged { agent, .. } => time_agent(world, *agent, effects),
        _ => {}
    }
}

/// The timer of a wait.
fn timer_of(run: &Run, step: StepId, why: &WaitReason, at: Micros) -> Option<Effect> {
    let timer = match why {
        WaitReason::Backoff { .. } => Timer::Backoff { run: run.id, step, attempt: run.step(step).attempts },
        WaitReason::Approval => Timer::Approval { run: run.id, step },
        // The agents have timers of their own.
        _ => return None,
    };
    Some(Effect::SetTimer { at, timer })
}

/// The timers of an attempt that has been at work for so long.
fn time(run: &Run, step: StepId, attempt: u32, now: Micros, worked: Micros, effects: &mut Vec<Effect>) {
    let spec = run.spec_now(step);
    if let Some(timeout) = spec.timeout {
        let timer = Timer::AttemptTimeout { run: run.id, step, attempt };
        effects.push(Effect::SetTimer { at: now + timeout.saturating_sub(worked), timer });
    }
    if let Some(silence) = spec.idle_timeout {
        let timer = Timer::Idle { run: run.id, step, attempt };
        effects.push(Effect::SetTimer { at: now + silence, timer });
    }
}

/// The timers of attempts that are halted and go on now: their clocks go on from where they stood.
fn time_anew(run: &Run, now: Micros, effects: &mut Vec<Effect>) {
    for step in run.step_ids() {
        if let Some(current) = run.step(step).current.as_ref().filter(|current| current.halted.is_some()) {
            time(run, step, current.attempt, now, current.worked(now), effects);
        }
    }
}

/// The timers of an agent: when it heals, takes calls again, may be probed.
fn time_agent(world: &World, agent: AgentId, effects: &mut Vec<Effect>) {
    let entry = world.registry.agent(agent);
    let mut set = |at: Micros, timer: Timer| effects.push(Effect::SetTimer { at, timer });
    if let Some(at) = entry.broken.as_ref().and_then(|broken| broken.until) {
        set(at, Timer::Heal { agent, epoch: entry.breaks });
    }
    if let Some(at) = entry.parked {
        set(at, Timer::Unpark { agent, epoch: entry.parkings });
    }
    if let BreakerState::Open { until, .. } = entry.breaker.state {
        set(until, Timer::Breaker { agent, epoch: entry.breaker.epoch });
    }
}

fn set_deadline(run: &Run, effects: &mut Vec<Effect>) {
    if let Some(at) = run.deadline() {
        effects.push(Effect::SetTimer { at, timer: Timer::Deadline { run: run.id, epoch: run.resumes } });
    }
}

/// Timers live as long as the process that set them: a run that goes on in another one needs its waits again. And an
/// agent whose time came while no run was under way is healed when one is. Where timers are set twice the second one is
/// stale when it comes.
fn set_again(world: &World, run: &Run, effects: &mut Vec<Effect>) {
    for step in run.step_ids() {
        if let Some((why, Some(at))) = &run.step(step).wait
            && !(matches!(why, WaitReason::Backoff { .. }) && seeded(Bug::BackoffNotSetAgain))
        {
            effects.extend(timer_of(run, step, why, *at));
        }
    }
    for &agent in &run.agents {
        let parked = world.registry.agent(agent).parked.is_some();
        let forgotten = seeded(Bug::HealNotSetAgain) || parked && seeded(Bug::TimerOfParkingLost);
        if !forgotten {
            time_agent(world, agent, effects);
        }
    }
}

fn order(world: &World, run: &Run, step: StepId, attempt: u32, agent: AgentId, now: Micros) -> AttemptOrder {
    let spec = run.spec_now(step);
    let undo = run.step(step).state == StepState::Compensating;
    // What is undone is undone whether or not the run's time is over.
    let left = run.deadline().filter(|_| !undo).map(|deadline| deadline - now);
    let time_left = [spec.timeout, left].into_iter().flatten().min();
    let entry = run.step(step);
    AttemptOrder {
        run: run.id,
        run_name: run.name.clone(),
        workflow: run.workflow.clone(),
        step,
        attempt,
        undo,
        agent,
        definition: world.registry.agent(agent).definition.clone(),
        input: if undo { undo_input(run, step) } else { entry.input.clone().unwrap_or_else(|| Arc::new(json!({}))) },
        process: entry.process.clone().filter(|_| !undo),
        item: run.item_of(step),
        time_left,
        priority: entry.priority,
        idempotency_key: idempotency_key(run, step, undo),
        draw: rng::draw(run.seed, &[DRAW_ATTEMPT, u64::from(step.0), u64::from(attempt)]),
    }
}

/// What a compensation is told: its own arguments, and what it undoes.
fn undo_input(run: &Run, step: StepId) -> Arc<Value> {
    let entry = run.step(step);
    let done = entry.undo.as_ref().is_some_and(|undo| undo.before == StepState::Succeeded);
    let mut input = run.spec_now(step).with.clone();
    let given = |value: &Option<Arc<Value>>| value.as_deref().cloned().unwrap_or_default();
    input.insert("outcome".to_owned(), json!(if done { "completed" } else { "unknown" }));
    input.insert("input".to_owned(), given(&entry.input));
    input.insert("output".to_owned(), given(&entry.output));
    Arc::new(Value::Object(input))
}

/// The same for all attempts of a step in a run, different for every other step and run; after a rollback another one,
/// because what is done then is done anew; and one of its own for undoing it.
fn idempotency_key(run: &Run, step: StepId, undo: bool) -> String {
    let mut text = [run.name.as_bytes(), b"/", run.spec(step).id.as_bytes()].concat();
    let epoch = run.step(step).epoch;
    if epoch > 0 {
        text.extend(format!("/{epoch}").bytes());
    }
    if undo {
        text.extend(b"/undo");
    }
    let (mut high, mut low) = (rng::mix(1), rng::mix(2));
    for byte in text {
        high = rng::mix(high ^ u64::from(byte));
        low = rng::mix(low.rotate_left(7) ^ u64::from(byte));
    }
    format!("upb_{high:016x}{low:016x}")
}

/// The words for an attempt that was ended from outside.
pub(crate) fn ending_failure(run: &Run, step: StepId, why: EndingWhy, agent: &str) -> (FailureClass, String) {
    match why {
        EndingWhy::Timeout => {
            let limit = run.spec_now(step).timeout.map_or(0.0, Micros::as_secs_f64);
            (FailureClass::Timeout, format!("no answer within {limit} s"))
        }
        EndingWhy::Idle => {
            let limit = run.spec_now(step).idle_timeout.map_or(0.0, Micros::as_secs_f64);
            (FailureClass::IdleTimeout, format!("no output for {limit} s"))
        }
        EndingWhy::TakenOver => (FailureClass::Cancelled, "ended because a person decided otherwise".to_owned()),
        EndingWhy::Cancel => (FailureClass::Cancelled, "cancelled while it ran".to_owned()),
        EndingWhy::Deadline => (FailureClass::Deadline, "the run's deadline passed while it ran".to_owned()),
        EndingWhy::Park => (FailureClass::Cancelled, "ended because upbeat was to end; it is done again".to_owned()),
        EndingWhy::Fault => (FailureClass::Crash, format!("agent {agent} was broken on purpose")),
    }
}
