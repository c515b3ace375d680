//! Steps and their attempts: ends, timeouts, retries, fallbacks, and what people ask for.

use super::Decided;
use crate::engine::evolve::output_paths;
use crate::engine::react::{DRAW_BACKOFF, ending_failure};
use crate::engine::route;
use crate::engine::run::{Current, NeedState, Run};
use crate::engine::world::World;
use crate::model::bug::{Bug, seeded};
use crate::model::command::Rejection;
use crate::model::completion::{Completion, EndProof, Failure, FailureClass, Outcome};
use crate::model::defaults::PRIORITY_MAX;
use crate::model::event::{EndingWhy, EventKind};
use crate::model::id::{AgentId, Name, StepId};
use crate::model::policy::Mode;
use crate::model::rng;
use crate::model::state::{RunState, SkipReason, StepState, WaitReason};
use crate::model::step::Fallback;
use crate::model::time::Micros;
use serde_json::Value;
use std::sync::Arc;

/// The payload of a step: `with`, and the mapped input over it; and the keys whose paths lead nowhere.
///
/// # Errors
/// A required key is missing.
pub(crate) fn input_of(run: &Run, step: StepId) -> Result<(Arc<Value>, Vec<String>), String> {
    let spec = run.spec(step);
    let mut payload = spec.with.clone();
    let mut missing = Vec::new();
    for mapping in &spec.input {
        match mapping.path.get(&run.data) {
            Some(value) => {
                payload.insert(mapping.key.clone(), value.clone());
            }
            None if mapping.required => {
                return Err(format!("required input {} is missing: the data has no {}", mapping.key, mapping.path));
            }
            None => missing.push(mapping.key.clone()),
        }
    }
    Ok((Arc::new(Value::Object(payload)), missing))
}

/// The end of an attempt.
pub(crate) fn completed(world: &World, now: Micros, completion: &Completion, decided: &mut Decided) {
    let run = world.run(completion.run);
    let step = completion.step;
    let current = match &run.step(step).current {
        Some(current) if current.attempt == completion.attempt || seeded(Bug::FenceIgnored) => current.clone(),
        _ => {
            decided.push((run.id, EventKind::AnswerDropped { step, attempt: completion.attempt }));
            return;
        }
    };
    if let (None, Outcome::Succeeded { output }) = (current.ending, &completion.outcome) {
        succeeded(run, step, &current, output, completion, decided);
        return;
    }
    let failure = failure_of(world, run, step, &current, completion);
    decided.push((
        run.id,
        EventKind::AttemptFailed {
            step,
            attempt: current.attempt,
            agent: current.agent,
            failure: failure.clone(),
            usage: completion.usage,
            proof: completion.proof,
        },
    ));
    if let Some(reason) = &completion.agent_lost {
        lose_agent(world, current.agent, reason, decided);
    }
    match current.ending {
        Some(EndingWhy::Cancel) => {
            let (because, cause) = (run.step(step).cancelled_by, run.cause);
            decided.push((run.id, EventKind::StepCancelled { step, because, cause }));
        }
        Some(EndingWhy::Deadline) => decided.push((run.id, EventKind::StepFailed { step, failure })),
        Some(EndingWhy::Park) => {
            decided.push((run.id, EventKind::StepReady { step, input: None, missing: Vec::new() }));
        }
        _ => after_failure(world, now, run, step, &current, failure, decided),
    }
}

fn succeeded(
    run: &Run,
    step: StepId,
    current: &Current,
    output: &Arc<Value>,
    completion: &Completion,
    decided: &mut Decided,
) {
    let (attempt, agent) = (current.attempt, current.agent);
    decided.push((run.id, EventKind::AttemptSucceeded { step, attempt, agent, usage: completion.usage }));
    done(run, step, output, run.step(step).fallback, None, decided);
}

/// A step is done with an output: it goes into the data.
pub(crate) fn done(
    run: &Run,
    step: StepId,
    output: &Arc<Value>,
    fallback: Option<u32>,
    reused: Option<Name>,
    decided: &mut Decided,
) {
    decided.push((run.id, EventKind::StepSucceeded { step, output: output.clone(), fallback, reused }));
    let (paths, missing) = output_paths(&run.spec(step).output, output);
    if !paths.is_empty() || !missing.is_empty() {
        let paths = paths.into_iter().cloned().collect();
        let missing = missing.into_iter().map(str::to_owned).collect();
        decided.push((run.id, EventKind::DataChanged { step, paths, missing }));
    }
}

fn failure_of(world: &World, run: &Run, step: StepId, current: &Current, completion: &Completion) -> Failure {
    let mut failure = match (current.ending, &completion.outcome) {
        (Some(why), _) => {
            let agent = &world.registry.agent(current.agent).definition.id;
            let (class, message) = ending_failure(run, step, why, agent);
            Failure { injected: why == EndingWhy::Fault, ..Failure::new(class, message) }
        }
        (None, Outcome::Failed(failure)) => failure.clone(),
        (None, Outcome::Stopped | Outcome::Succeeded { .. }) => {
            Failure::new(FailureClass::Crash, "ended from outside without being asked to")
        }
    };
    if let EndProof::Unconfirmed { left } = completion.proof {
        failure.message.push_str(&format!("; {left} of its processes could not be ended"));
    }
    failure
}

/// An agent that cannot be used any more is broken in every run that knows it.
fn lose_agent(world: &World, agent: AgentId, reason: &str, decided: &mut Decided) {
    if world.registry.agent(agent).broken.is_some() {
        return;
    }
    for run in world.live_runs_with(agent) {
        let kind = EventKind::AgentBroken { agent, reason: reason.to_owned(), injected: false, until: None };
        decided.push((run.id, kind));
    }
}

/// Retry elsewhere at once, retry later, fall back, or give up.
fn after_failure(
    world: &World,
    now: Micros,
    run: &Run,
    step: StepId,
    current: &Current,
    failure: Failure,
    decided: &mut Decided,
) {
    let entry = run.step(step);
    let policy = &run.spec(step).retry;
    let class = &run.classes[entry.class];
    let others = || route::unbroken(&world.registry, class).any(|id| id != current.agent);
    // An agent that could not even be started has not used up a try, as long as somebody else can take the step.
    if failure.class == FailureClass::Unreachable && others() {
        decided.push((run.id, EventKind::StepReady { step, input: None, missing: Vec::new() }));
        return;
    }
    let used = entry.spent.saturating_sub(1);
    let limit = policy.limit + u32::from(seeded(Bug::RetryLimitOffByOne));
    let left = entry.fallback.is_none() && used < limit && failure.class != FailureClass::Unreachable;
    if !left || !policy.covers(failure.class) {
        fall_back(run, step, failure, decided);
        return;
    }
    if let Some(agent) = fresh_agent(world, run, step, current) {
        let (attempt, fallback) = (current.attempt + 1, entry.fallback);
        decided.push((run.id, EventKind::AttemptStarted { step, attempt, agent, fallback, undo: false }));
        return;
    }
    let draw = rng::unit(rng::draw(run.seed, &[DRAW_BACKOFF, u64::from(step.0), u64::from(current.attempt)]));
    let until = Some(now + policy.wait(used + 1, draw));
    let why = WaitReason::Backoff { retry: used + 1, limit: policy.limit };
    decided.push((run.id, EventKind::StepWaiting { step, why, until }));
}

/// A capable agent that is free and has not tried the step yet. The failed attempt's own slot is about to be free, so
/// the limits of the run have room for one.
fn fresh_agent(world: &World, run: &Run, step: StepId, current: &Current) -> Option<AgentId> {
    let entry = run.step(step);
    let turn = match run.workflow.mode {
        Mode::Parallel => true,
        _ => run.shape.order.get(run.cursor) == Some(&step),
    };
    if !run.state.dispatches() || !turn || current.class != entry.class {
        return None;
    }
    route::pick(&world.registry, run, step, entry.class, true)
}

/// The next fallback, or the end.
fn fall_back(run: &Run, step: StepId, failure: Failure, decided: &mut Decided) {
    let next = run.step(step).fallback.map_or(0, |at| at + 1);
    match run.spec(step).fallback.get(next as usize) {
        Some(Fallback::Value(value)) => {
            decided.push((run.id, EventKind::FallbackTaken { step, fallback: next }));
            done(run, step, &Arc::new(value.clone()), Some(next), None, decided);
        }
        Some(Fallback::Agent(_) | Fallback::Capability(_)) => {
            decided.push((run.id, EventKind::FallbackTaken { step, fallback: next }));
            decided.push((run.id, EventKind::StepReady { step, input: None, missing: Vec::new() }));
        }
        None => decided.push((run.id, EventKind::StepFailed { step, failure })),
    }
}

/// An attempt's time is over, if it is still under way.
pub(crate) fn timed_out(run: &Run, step: StepId, attempt: u32, decided: &mut Decided) {
    let due = run.step(step).current.as_ref().is_some_and(|current| {
        (current.attempt == attempt || seeded(Bug::StaleTimeoutAccepted)) && current.ending.is_none()
    });
    if due {
        decided.push((run.id, EventKind::AttemptEnding { step, attempt, why: EndingWhy::Timeout }));
    }
}

/// A wait between attempts is over, if the step still waits for it.
pub(crate) fn backed_off(run: &Run, step: StepId, attempt: u32, decided: &mut Decided) {
    let entry = run.step(step);
    let own = entry.attempts == attempt || seeded(Bug::StaleBackoffAccepted);
    if own && matches!(entry.wait, Some((WaitReason::Backoff { .. }, _))) {
        decided.push((run.id, EventKind::StepReady { step, input: None, missing: Vec::new() }));
    }
}

fn existing(run: &Run, step: StepId) -> Result<&str, Rejection> {
    let found = run.workflow.steps.get(step.index());
    found.map(|step| &*step.id).ok_or_else(|| Rejection::new("there is no such step"))
}

/// Cancels a step and everything that relies on its success; a second cancel hurries the first.
pub(crate) fn cancel(run: &Run, step: StepId, decided: &mut Decided) -> Result<(), Rejection> {
    let name = existing(run, step)?;
    if run.started.is_none() {
        return Err(Rejection::with_way_out("the run has not been started", "start it first"));
    }
    let entry = run.step(step);
    if entry.state.ended() {
        return Err(Rejection::new(format!("{name} has ended; it is {}", entry.state.word())));
    }
    cancel_one(run, step, None, decided);
    if seeded(Bug::CancelLosesDependents) {
        return Ok(());
    }
    for dependent in run.dependents_of_success(step) {
        cancel_one(run, dependent, Some(step), decided);
    }
    Ok(())
}

fn cancel_one(run: &Run, step: StepId, because: Option<StepId>, decided: &mut Decided) {
    let entry = run.step(step);
    if let Some(current) = &entry.current {
        let (attempt, why) = (current.attempt, EndingWhy::Cancel);
        decided.push((run.id, EventKind::AttemptEnding { step, attempt, why }));
        if entry.state != StepState::Cancelling {
            decided.push((run.id, EventKind::StepCancelling { step }));
        }
    } else {
        decided.push((run.id, EventKind::StepCancelled { step, because, cause: None }));
    }
}

/// Opens an ended step again, with what was skipped or cancelled because of it.
pub(crate) fn retry(run: &Run, step: StepId, decided: &mut Decided) -> Result<(), Rejection> {
    let name = existing(run, step)?;
    let entry = run.step(step);
    match entry.state {
        StepState::Failed | StepState::Cancelled | StepState::Skipped => {}
        StepState::Unknown => {
            decided.push((run.id, EventKind::StepReady { step, input: None, missing: Vec::new() }));
            return Ok(());
        }
        StepState::Succeeded if seeded(Bug::DoneStepReopened) => {}
        StepState::Succeeded => return Err(Rejection::new(format!("{name} is done; a step completes at most once"))),
        StepState::Waiting if matches!(entry.wait, Some((WaitReason::Backoff { .. }, _))) => {
            // A person who presses retry during a backoff means: now.
            decided.push((run.id, EventKind::StepReady { step, input: None, missing: Vec::new() }));
            return Ok(());
        }
        state => return Err(Rejection::new(format!("{name} has not ended; it is {}", state.word()))),
    }
    if matches!(run.state, RunState::Cancelling | RunState::Stopping) {
        return Err(Rejection::with_way_out(format!("the run is {}", run.state.word()), "wait until it has ended"));
    }
    let lost = run.spec(step).needs.iter().find(|n| matches!(run.need_state(n.step, n.on), NeedState::Lost(_)));
    if let Some(need) = lost {
        let need = &run.spec(need.step).id;
        return Err(Rejection::with_way_out(
            format!("{name} needs {need}, which did not end well"),
            format!("retry {need} first"),
        ));
    }
    if run.state.ended() {
        decided.push((run.id, EventKind::RunReopened));
    }
    decided.push((run.id, EventKind::StepReopened { step }));
    for dependent in taken_along(run, step) {
        decided.push((run.id, EventKind::StepReopened { step: dependent }));
    }
    Ok(())
}

/// Opens everything that did not succeed; what was skipped for good reason is skipped again.
pub(crate) fn retry_failed(run: &Run, decided: &mut Decided) -> Result<(), Rejection> {
    if run.started.is_none() || matches!(run.state, RunState::Cancelling | RunState::Stopping) {
        return Err(Rejection::with_way_out(format!("the run is {}", run.state.word()), "wait until it has ended"));
    }
    let state = |step: &StepId| run.step(*step).state;
    let worth_it = |step: &StepId| matches!(state(step), StepState::Failed | StepState::Cancelled | StepState::Unknown);
    if !run.shape.order.iter().any(worth_it) {
        return Err(Rejection::new("nothing of it failed or was cancelled"));
    }
    if run.state.ended() {
        decided.push((run.id, EventKind::RunReopened));
    }
    for &step in &run.shape.order {
        match state(&step) {
            StepState::Failed | StepState::Cancelled | StepState::Skipped => {
                decided.push((run.id, EventKind::StepReopened { step }));
            }
            StepState::Unknown => {
                decided.push((run.id, EventKind::StepReady { step, input: None, missing: Vec::new() }));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Dependents that were skipped or cancelled because of `step`, directly or through others, in topological order.
fn taken_along(run: &Run, step: StepId) -> Vec<StepId> {
    let mut taken = vec![false; run.steps.len()];
    taken[step.index()] = true;
    let mut found = Vec::new();
    for &next in &run.shape.order {
        let entry = run.step(next);
        let because = match (entry.state, entry.skip) {
            (StepState::Skipped, Some(SkipReason::Upstream { need } | SkipReason::NotNeeded { need })) => {
                taken[need.index()]
            }
            (StepState::Cancelled, _) => entry.cancelled_by.is_some_and(|by| taken[by.index()]),
            _ => false,
        };
        if because {
            taken[next.index()] = true;
            found.push(next);
        }
    }
    found
}

pub(crate) fn set_priority(run: &Run, step: StepId, priority: u8, decided: &mut Decided) -> Result<(), Rejection> {
    let name = existing(run, step)?;
    let entry = run.step(step);
    if entry.state.ended() || entry.state.active() {
        let reason = format!("{name} is {}: its priority decides nothing any more", entry.state.word());
        return Err(Rejection::new(reason));
    }
    if priority > PRIORITY_MAX || priority == entry.priority {
        return Err(Rejection::new(format!("the priority of {name} is {} of 0–{PRIORITY_MAX}", entry.priority)));
    }
    decided.push((run.id, EventKind::PriorityChanged { step, priority }));
    Ok(())
}
