//! Steps and their attempts: inputs, ends, timeouts, retries, fallbacks.

use super::{Decided, agent, expand, undo};
use crate::engine::breaker::Says;
use crate::engine::evolve::output_paths;
use crate::engine::react::{DRAW_BACKOFF, ending_failure};
use crate::engine::route;
use crate::engine::run::{Current, Run, StepRun};
use crate::engine::world::World;
use crate::model::bug::{Bug, seeded};
use crate::model::completion::{Completion, EndProof, Failure, FailureClass, Outcome};
use crate::model::defaults::RATE_LIMIT_WAITS;
use crate::model::event::{EndingWhy, EventKind, TakeOver};
use crate::model::id::{AgentId, Name, StepId};
use crate::model::policy::OnExhausted;
use crate::model::quality::{Expect, OnFail};
use crate::model::rng;
use crate::model::state::{BreakerState, SkipReason, StepState, WaitReason};
use crate::model::step::{Decision, Fallback, Work};
use crate::model::time::Micros;
use serde_json::{Value, json};
use std::sync::Arc;

/// The step may be given to an agent again.
pub(crate) const fn ready_again(step: StepId) -> EventKind {
    EventKind::StepReady { step, input: None, missing: Vec::new(), process: None }
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
    let (answer, refused) = match (current.ending, &completion.outcome) {
        (None, Outcome::Succeeded { output, scores, brings }) => {
            match expand::brought(run, step, brings.as_ref().map(|brings| brings.as_slice())) {
                Ok(added) => (Some((output, scores, added)), None),
                Err(why) => (None, Some(Failure::new(FailureClass::MalformedOutput, why))),
            }
        }
        _ => (None, None),
    };
    let attempt = (run.id, step, current.attempt);
    if let Some((output, scores, added)) = answer {
        let (attempt, agent, usage, scores) = (current.attempt, current.agent, completion.usage, scores.clone());
        decided.push((run.id, EventKind::AttemptSucceeded { step, attempt, agent, usage, scores }));
        agent::attempt_ended(world, now, agent, (run.id, step, attempt), Says::Works, decided);
        if current.undo {
            decided.push((run.id, EventKind::StepCompensated { step, output: output.clone() }));
        } else {
            done(run, step, output, run.step(step).fallback, None, decided);
            decided.extend(added.map(|added| (run.id, added)));
        }
        return;
    }
    let failure = refused.unwrap_or_else(|| failure_of(world, run, step, &current, completion));
    let says = if current.ending == Some(EndingWhy::Fault) { Says::Nothing } else { Says::of(Some(failure.class)) };
    let (agent, usage, proof) = (current.agent, completion.usage, completion.proof);
    let kind =
        EventKind::AttemptFailed { step, attempt: current.attempt, agent, failure: failure.clone(), usage, proof };
    decided.push((run.id, kind));
    agent::attempt_ended(world, now, agent, attempt, says, decided);
    if let Some(reason) = &completion.agent_lost {
        agent::lose(world, agent, reason, decided);
    }
    if current.undo {
        undo::failed(world, now, run, step, &current, failure, decided);
    } else {
        after_end(world, now, run, step, &current, failure, decided);
    }
}

/// What follows from the end of an attempt that did not succeed.
fn after_end(
    world: &World,
    now: Micros,
    run: &Run,
    step: StepId,
    current: &Current,
    failure: Failure,
    decided: &mut Decided,
) {
    match current.ending {
        Some(EndingWhy::Cancel) => {
            let (because, cause) = (run.step(step).cancelled_by, run.cause);
            decided.push((run.id, EventKind::StepCancelled { step, because, cause }));
        }
        Some(EndingWhy::Deadline) => decided.push((run.id, EventKind::StepFailed { step, failure })),
        Some(EndingWhy::Park) => decided.push((run.id, ready_again(step))),
        Some(EndingWhy::TakenOver) => match &run.step(step).take_over {
            Some(TakeOver::Skip) => decided.push((run.id, EventKind::StepSkipped { step, why: SkipReason::ByHand })),
            Some(TakeOver::Complete(output)) => done(run, step, output, None, None, decided),
            Some(TakeOver::Reassign(_)) | None => decided.push((run.id, ready_again(step))),
        },
        _ => after_failure(world, now, run, step, current, failure, decided),
    }
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
    let others = || route::has_others(&world.registry, class, current.agent);
    // An agent that could not even be started has not used up a try, as long as somebody else can take the step.
    if failure.class == FailureClass::Unreachable && others() {
        decided.push((run.id, ready_again(step)));
        return;
    }
    if failure.class == FailureClass::RateLimited {
        rate_limited(world, now, run, step, current, &failure, decided);
        return;
    }
    let used = entry.spent.saturating_sub(1);
    let limit = policy.limit + u32::from(seeded(Bug::RetryLimitOffByOne));
    let left = entry.fallback.is_none() && used < limit && failure.class != FailureClass::Unreachable;
    let is_final = |expect: &Expect| expect.on_fail == OnFail::Fail && failure.class == FailureClass::QualityRejected;
    if !left || !policy.covers(failure.class) || run.spec(step).expect.as_deref().is_some_and(is_final) {
        fall_back(run, step, failure, decided);
        return;
    }
    if !budget_allows(run) {
        let message = format!("{}; the run's retry budget is spent", failure.message);
        fall_back(run, step, Failure { message, ..failure }, decided);
        return;
    }
    if let Some(agent) = fresh_agent(world, run, step, current, decided)
        && ends_in_time(world, run, step, &[agent], now)
    {
        let (attempt, fallback) = (current.attempt + 1, entry.fallback);
        decided.push((run.id, EventKind::AttemptStarted { step, attempt, agent, fallback, undo: false }));
        return;
    }
    let draw = rng::unit(rng::draw(run.seed, &[DRAW_BACKOFF, u64::from(step.0), u64::from(current.attempt)]));
    let until = now + policy.wait(used + 1, draw);
    if !ends_in_time(world, run, step, &class.candidates, until) {
        let message = format!("{}; another attempt could not end before the run's deadline", failure.message);
        fall_back(run, step, Failure { message, ..failure }, decided);
        return;
    }
    let why = WaitReason::Backoff { retry: used + 1, limit: policy.limit };
    decided.push((run.id, EventKind::StepWaiting { step, why, until: Some(until) }));
}

/// The agent takes no more calls: it is left alone, and the step has lost nothing but time.
fn rate_limited(
    world: &World,
    now: Micros,
    run: &Run,
    step: StepId,
    current: &Current,
    failure: &Failure,
    decided: &mut Decided,
) {
    let met = run.step(step).limited + 1;
    let wait = agent::limited(world, current.agent, failure, run.seed, (run.id, step, current.attempt));
    let message = match wait {
        Some((wait, said)) if met <= RATE_LIMIT_WAITS => {
            agent::park(world, current.agent, now + wait, Some(said), decided);
            decided.push((run.id, ready_again(step)));
            return;
        }
        Some(_) => format!("{}; it was met {met} times by agents that take no more calls", failure.message),
        None => format!("{}; it asks for a longer wait than anybody should have to", failure.message),
    };
    fall_back(run, step, Failure { message, ..failure.clone() }, decided);
}

/// Whether the run may spend another retry, where it has declared how many it may.
fn budget_allows(run: &Run) -> bool {
    let declared = run.workflow.limits.retry_budget.filter(|_| !seeded(Bug::RetryBudgetIgnored));
    declared.is_none_or(|budget| {
        let planned = run.steps.iter().filter(|step| is_to_be_retried(step)).count();
        let planned = u32::try_from(planned).unwrap_or(u32::MAX);
        let first = run.steps.iter().filter(|step| step.started.is_some()).count();
        budget.allows(u32::try_from(first).unwrap_or(u32::MAX), run.meters.retries + planned)
    })
}

/// Whether a retry of the step was decided and has not begun: it waits for its time, an agent, a lock.
fn is_to_be_retried(step: &StepRun) -> bool {
    let on_its_way = match (step.state, &step.wait) {
        (StepState::Ready, _) => true,
        (StepState::Waiting, Some((why, _))) => !why.asks_a_person(),
        _ => false,
    };
    on_its_way && step.spent > 0 && step.fallback.is_none()
}

/// Whether an attempt that begins then could end before the run's deadline, on the fastest of these agents. Where nothing
/// is known of its duration it counts as none.
fn ends_in_time(world: &World, run: &Run, step: StepId, agents: &[AgentId], begin: Micros) -> bool {
    let Some(deadline) = run.deadline().filter(|_| !seeded(Bug::RetriedTooLate)) else { return true };
    let spec = run.spec_now(step);
    let known = agents.iter().filter_map(|id| world.registry.agent(*id).known(spec)).min();
    begin + known.unwrap_or_default() < deadline
}

/// A capable agent that is free and has not tried the step yet. The failed attempt's own slot is about to be free, so
/// the limits of the run have room for one.
fn fresh_agent(world: &World, run: &Run, step: StepId, current: &Current, decided: &Decided) -> Option<AgentId> {
    let entry = run.step(step);
    if !run.state.dispatches() || !run.has_turn(step) || current.class != entry.class {
        return None;
    }
    // Its breaker opens with this very failure: who is kept for that case may begin.
    let opens = |kind: &EventKind| matches!(kind, EventKind::BreakerChanged { agent, to: BreakerState::Open { .. }, .. } if *agent == current.agent);
    let gone = decided.iter().any(|(_, kind)| opens(kind)).then_some(current.agent);
    route::pick_without(&world.registry, run, step, entry.class, true, gone)
}

/// The next fallback, or the end.
pub(crate) fn fall_back(run: &Run, step: StepId, failure: Failure, decided: &mut Decided) {
    if !take_fallback(run, step, decided) {
        give_up(run, step, failure, decided);
    }
}

/// Nothing is left to be tried: the step fails, or a person is asked.
pub(crate) fn give_up(run: &Run, step: StepId, failure: Failure, decided: &mut Decided) {
    let person = run.spec(step).on_exhausted == OnExhausted::Pause && run.cause.is_none();
    if person && failure.class != FailureClass::Deadline {
        decided.push((run.id, EventKind::StepWaiting { step, why: WaitReason::Person, until: None }));
    } else {
        decided.push((run.id, EventKind::StepFailed { step, failure }));
    }
}

/// Takes the next fallback, if there is one.
pub(crate) fn take_fallback(run: &Run, step: StepId, decided: &mut Decided) -> bool {
    let next = run.step(step).fallback.map_or(0, |at| at + 1);
    match run.spec(step).fallback.get(next as usize) {
        Some(Fallback::Value(value)) => {
            decided.push((run.id, EventKind::FallbackTaken { step, fallback: next }));
            done(run, step, &Arc::new(value.clone()), Some(next), None, decided);
            true
        }
        Some(Fallback::Agent(_) | Fallback::Capability(_)) => {
            decided.push((run.id, EventKind::FallbackTaken { step, fallback: next }));
            decided.push((run.id, ready_again(step)));
            true
        }
        None => false,
    }
}

/// An attempt's time is over, if it is still under way and was at work for so long.
pub(crate) fn timed_out(run: &Run, now: Micros, step: StepId, attempt: u32, decided: &mut Decided) {
    let limit = run.spec_now(step).timeout;
    let due = run.step(step).current.as_ref().is_some_and(|current| {
        let own = current.attempt == attempt || seeded(Bug::StaleTimeoutAccepted);
        let stands = current.halted.is_some() || limit.is_none_or(|limit| current.worked(now) < limit);
        let stands = stands && !seeded(Bug::FrozenClockRuns) && !seeded(Bug::StaleTimeoutAccepted);
        own && current.ending.is_none() && !stands
    });
    if due {
        decided.push((run.id, EventKind::AttemptEnding { step, attempt, why: EndingWhy::Timeout }));
    }
}

/// An attempt has been silent for too long; the driver has made sure.
pub(crate) fn fell_silent(run: &Run, step: StepId, attempt: u32, decided: &mut Decided) {
    let due = run
        .step(step)
        .current
        .as_ref()
        .is_some_and(|current| current.attempt == attempt && current.ending.is_none() && current.halted.is_none());
    if due {
        decided.push((run.id, EventKind::AttemptEnding { step, attempt, why: EndingWhy::Idle }));
    }
}

/// A wait between attempts is over, if the step still waits for it.
pub(crate) fn backed_off(run: &Run, step: StepId, attempt: u32, decided: &mut Decided) {
    let entry = run.step(step);
    let own = entry.attempts == attempt || seeded(Bug::StaleBackoffAccepted);
    if own && matches!(entry.wait, Some((WaitReason::Backoff { .. }, _))) {
        let undo = entry.state == StepState::Compensating;
        let next = if undo { EventKind::StepCompensating { step } } else { ready_again(step) };
        decided.push((run.id, next));
    }
}

/// Nobody answered an approval in time: what was declared for that case counts as the answer.
pub(crate) fn unanswered(run: &Run, now: Micros, step: StepId, decided: &mut Decided) {
    let due = match &run.step(step).wait {
        Some((WaitReason::Approval, Some(until))) => *until <= now,
        _ => false,
    };
    let Work::Approval { default: Some(default), .. } = &run.spec(step).work else { return };
    if due {
        decide_approval(run, step, *default, "nobody answered in time", decided);
    }
}

/// An approval is given or refused.
pub(crate) fn decide_approval(run: &Run, step: StepId, decision: Decision, by: &str, decided: &mut Decided) {
    match decision {
        Decision::Approve => done(run, step, &Arc::new(json!({"approved": true, "by": by})), None, None, decided),
        Decision::Reject => {
            let failure = Failure::new(FailureClass::Rejected, format!("not approved: {by}"));
            decided.push((run.id, EventKind::StepFailed { step, failure }));
        }
    }
}
