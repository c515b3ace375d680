//! State and event to work for the outside.

use super::run::Run;
use super::world::World;
use crate::model::bug::{Bug, seeded};
use crate::model::completion::FailureClass;
use crate::model::effect::{AttemptOrder, Effect, Timer};
use crate::model::event::{EndingWhy, Event, EventKind};
use crate::model::id::{AgentId, StepId};
use crate::model::rng;
use crate::model::state::WaitReason;
use crate::model::time::Micros;
use serde_json::{Map, Value};
use std::sync::Arc;

/// Names the purpose of a draw.
const DRAW_ATTEMPT: u64 = 1;
/// Names the purpose of a draw.
pub(crate) const DRAW_BACKOFF: u64 = 2;

/// Work that has to be read off the state before the event changes it: whether a second cancel hurries the first.
pub(crate) fn before(world: &World, event: &Event, effects: &mut Vec<Effect>) {
    if let EventKind::AttemptEnding { step, attempt, why } = event.kind {
        let current = world.run(event.run).step(step).current.as_ref();
        let again = current.is_some_and(|current| current.ending.is_some());
        effects.push(Effect::Stop { run: event.run, step, attempt, at_once: again || why == EndingWhy::Fault });
    }
}

/// Work that follows from the state after the event.
pub(crate) fn after(world: &World, event: &Event, effects: &mut Vec<Effect>) {
    let run = world.run(event.run);
    match &event.kind {
        EventKind::RunStarted { .. } | EventKind::RunReopened | EventKind::RunResumed => {
            set_deadline(run, effects);
            set_again(world, run, effects);
        }
        EventKind::RunFinished { .. } => effects.push(Effect::Finished { run: run.id }),
        EventKind::StepWaiting { step, why: WaitReason::Backoff { .. }, until: Some(at) } => {
            let attempt = run.step(*step).attempts;
            effects.push(Effect::SetTimer { at: *at, timer: Timer::Backoff { run: run.id, step: *step, attempt } });
        }
        EventKind::AttemptStarted { step, attempt, agent, .. } => {
            effects.push(Effect::Start(Box::new(order(world, run, *step, *attempt, *agent, event.at))));
            if let Some(timeout) = run.spec(*step).timeout {
                let timer = Timer::AttemptTimeout { run: run.id, step: *step, attempt: *attempt };
                effects.push(Effect::SetTimer { at: event.at + timeout, timer });
            }
        }
        EventKind::AgentBroken { agent, until: Some(at), .. } => {
            let epoch = world.registry.agent(*agent).breaks;
            effects.push(Effect::SetTimer { at: *at, timer: Timer::Heal { agent: *agent, epoch } });
        }
        _ => {}
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
        if let Some((WaitReason::Backoff { .. }, Some(at))) = run.step(step).wait
            && !seeded(Bug::BackoffNotSetAgain)
        {
            let attempt = run.step(step).attempts;
            effects.push(Effect::SetTimer { at, timer: Timer::Backoff { run: run.id, step, attempt } });
        }
    }
    for &agent in &run.agents {
        let entry = world.registry.agent(agent);
        if let Some(at) = entry.broken.as_ref().and_then(|broken| broken.until)
            && !seeded(Bug::HealNotSetAgain)
        {
            effects.push(Effect::SetTimer { at, timer: Timer::Heal { agent, epoch: entry.breaks } });
        }
    }
}

fn order(world: &World, run: &Run, step: StepId, attempt: u32, agent: AgentId, now: Micros) -> AttemptOrder {
    let spec = run.spec(step);
    let left = run.deadline().map(|deadline| deadline - now);
    let time_left = [spec.timeout, left].into_iter().flatten().min();
    let entry = run.step(step);
    AttemptOrder {
        run: run.id,
        run_name: run.name.clone(),
        workflow: run.workflow.clone(),
        step,
        attempt,
        undo: false,
        agent,
        definition: world.registry.agent(agent).definition.clone(),
        input: entry.input.clone().unwrap_or_else(|| Arc::new(Value::Object(Map::new()))),
        time_left,
        priority: entry.priority,
        idempotency_key: idempotency_key(run, step),
        draw: rng::draw(run.seed, &[DRAW_ATTEMPT, u64::from(step.0), u64::from(attempt)]),
    }
}

/// The same for all attempts of a step in a run, different for every other step and run.
fn idempotency_key(run: &Run, step: StepId) -> String {
    let text = [run.name.as_bytes(), b"/", run.spec(step).id.as_bytes()].concat();
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
            let limit = run.spec(step).timeout.map_or(0.0, Micros::as_secs_f64);
            (FailureClass::Timeout, format!("no answer within {limit} s"))
        }
        EndingWhy::Idle => {
            let limit = run.spec(step).idle_timeout.map_or(0.0, Micros::as_secs_f64);
            (FailureClass::IdleTimeout, format!("no output for {limit} s"))
        }
        EndingWhy::TakenOver => (FailureClass::Cancelled, "ended because a person decided otherwise".to_owned()),
        EndingWhy::Cancel => (FailureClass::Cancelled, "cancelled while it ran".to_owned()),
        EndingWhy::Deadline => (FailureClass::Deadline, "the run's deadline passed while it ran".to_owned()),
        EndingWhy::Park => (FailureClass::Cancelled, "ended because upbeat was to end; it is done again".to_owned()),
        EndingWhy::Fault => (FailureClass::Crash, format!("agent {agent} was broken on purpose")),
    }
}
