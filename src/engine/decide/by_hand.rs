//! What people decide about one step: again, not at all, done, another agent, another place in the queue, an answer.

use super::step::{decide_approval, done, ready_again};
use super::{Decided, existing};
use crate::engine::run::{NeedState, Run};
use crate::engine::world::World;
use crate::model::bug::{Bug, seeded};
use crate::model::command::{Answer, Rejection};
use crate::model::completion::{Failure, FailureClass};
use crate::model::defaults::PRIORITY_MAX;
use crate::model::event::{EndingWhy, EventKind, TakeOver};
use crate::model::id::{AgentId, StepId};
use crate::model::state::{RunState, SkipReason, StepState, WaitReason};
use crate::model::step::Decision;
use crate::model::time::Micros;
use serde_json::Value;
use std::sync::Arc;

/// Opens an ended step again, with what was skipped or cancelled because of it.
pub(crate) fn retry(run: &Run, step: StepId, decided: &mut Decided) -> Result<(), Rejection> {
    let name = existing(run, step)?;
    let entry = run.step(step);
    if run.state == RunState::CompensationFailed && entry.undo.as_ref().is_some_and(|undo| undo.failure.is_some()) {
        decided.push((run.id, EventKind::RunCompensating { steps: vec![step], to: None }));
        return Ok(());
    }
    match entry.state {
        StepState::Failed | StepState::Cancelled | StepState::Skipped => {}
        StepState::Compensating if matches!(entry.wait, Some((WaitReason::Backoff { .. }, _))) => {
            decided.push((run.id, EventKind::StepCompensating { step }));
            return Ok(());
        }
        StepState::Unknown => {
            decided.push((run.id, ready_again(step)));
            return Ok(());
        }
        StepState::Compensated => {
            return Err(Rejection::with_way_out(format!("what {name} did was undone"), "begin a new run"));
        }
        StepState::Succeeded if seeded(Bug::DoneStepReopened) => {}
        StepState::Succeeded => return Err(Rejection::new(format!("{name} is done; a step completes at most once"))),
        StepState::Waiting if matches!(entry.wait, Some((WaitReason::Person, _))) => {
            decided.push((run.id, EventKind::StepReopened { step }));
            return Ok(());
        }
        StepState::Waiting if matches!(entry.wait, Some((WaitReason::Backoff { .. }, _))) => {
            // A person who presses retry during a backoff means: now.
            decided.push((run.id, ready_again(step)));
            return Ok(());
        }
        state => return Err(Rejection::new(format!("{name} has not ended; it is {}", state.word()))),
    }
    can_be_taken_up(run)?;
    if let Some(item) = entry.part_of.filter(|_| run.left_out_as_part(step)) {
        let of = &run.spec(item.of).id;
        return Err(Rejection::new(format!("{of} has ended without it, and a step completes at most once")));
    }
    let lost = run.spec(step).needs.iter().find(|n| matches!(run.need_state(n.step, n.on), NeedState::Lost(_)));
    if let Some(need) = lost {
        let need = &run.spec(need.step).id;
        return Err(Rejection::with_way_out(
            format!("{name} needs {need}, which did not end well"),
            format!("retry {need} first"),
        ));
    }
    take_up(run, step, decided);
    Ok(())
}

/// What has ended can be opened, unless the run is being ended or was undone.
fn can_be_taken_up(run: &Run) -> Result<(), Rejection> {
    let word = run.state.word();
    match run.state {
        RunState::Cancelling | RunState::Stopping | RunState::Compensating => {
            Err(Rejection::with_way_out(format!("the run is {word}"), "wait until it has ended"))
        }
        RunState::Compensated | RunState::CompensationFailed => {
            Err(Rejection::with_way_out(format!("the run was rolled back; it is {word}"), "begin a new one"))
        }
        _ if run.rollback.is_some() => {
            let way_out = "resume it, and what was begun to be undone is undone; then begin a new one";
            Err(Rejection::with_way_out("the run is being rolled back", way_out))
        }
        _ if run.cause.is_some() && !run.state.ended() => {
            Err(Rejection::with_way_out("the run is being ended", "wait until it has"))
        }
        _ => Ok(()),
    }
}

/// Opens an ended step, what went with it, and the run.
fn take_up(run: &Run, step: StepId, decided: &mut Decided) {
    if run.state.ended() {
        decided.push((run.id, EventKind::RunReopened));
    }
    let mut all = vec![step];
    // A step that was cut is taken up with the items that it lacks, and an item with its step.
    let lacks = |id: &StepId| {
        let state = run.step(*id).state;
        state.ended() && state != StepState::Succeeded && !run.is_needless(*id)
    };
    let items = run.step(step).cut.iter().flat_map(|items| &items.steps);
    all.splice(0..0, items.copied().filter(lacks));
    all.extend(run.step(step).part_of.map(|item| item.of).filter(|of| run.step(*of).state.ended()));
    for at in all.clone() {
        all.extend(taken_along(run, at).into_iter().filter(|dependent| !all.contains(dependent)).collect::<Vec<_>>());
    }
    decided.extend(all.into_iter().map(|step| (run.id, EventKind::StepReopened { step })));
}

/// Nobody needs the items of a step that is ended by hand any more.
fn end_items(run: &Run, step: StepId, decided: &mut Decided) {
    for &item in run.step(step).cut.iter().flat_map(|items| &items.steps) {
        if !run.step(item).state.ended() && run.step(item).state != StepState::Compensating {
            super::cancel::one(run, item, Some(step), decided);
        }
    }
}

/// Leaves a step out: what needs it goes on.
pub(crate) fn skip(run: &Run, step: StepId, decided: &mut Decided) -> Result<(), Rejection> {
    let then = TakeOver::Skip;
    let skipped = (run.id, EventKind::StepSkipped { step, why: SkipReason::ByHand });
    if run.step(step).skip == Some(SkipReason::ByHand) {
        return Err(Rejection::new(format!("{} is skipped already", existing(run, step)?)));
    }
    settle_by_hand(run, step, "skipped", then, decided, |decided| decided.push(skipped))
}

/// Gives a step's output by hand.
pub(crate) fn complete(run: &Run, step: StepId, output: &Value, decided: &mut Decided) -> Result<(), Rejection> {
    let output = Arc::new(output.clone());
    let then = TakeOver::Complete(output.clone());
    settle_by_hand(run, step, "completed by hand", then, decided, |decided| {
        done(run, step, &output, None, None, decided);
    })
}

/// Ends a step as a person wants it: at once, or when its attempt has ended.
fn settle_by_hand(
    run: &Run,
    step: StepId,
    verb: &str,
    then: TakeOver,
    decided: &mut Decided,
    end: impl FnOnce(&mut Decided),
) -> Result<(), Rejection> {
    let name = existing(run, step)?;
    let entry = run.step(step);
    if run.started.is_none() {
        return Err(Rejection::with_way_out("the run has not been started", "start it first"));
    }
    match entry.state {
        StepState::Succeeded => return Err(Rejection::new(format!("{name} is done; a step completes at most once"))),
        StepState::Cancelling | StepState::Compensating | StepState::Compensated => {
            return Err(Rejection::new(format!("{name} is {}: it cannot be {verb}", entry.state.word())));
        }
        _ => {}
    }
    can_be_taken_up(run)?;
    let before = match &entry.take_over {
        Some(TakeOver::Skip) => Some("skipped"),
        Some(TakeOver::Complete(_)) => Some("completed by hand"),
        Some(TakeOver::Reassign(_)) | None => None,
    };
    if let Some(before) = before {
        return Err(Rejection::new(format!("{name} is being {before} already")));
    }
    match &entry.current {
        Some(current) => {
            let (attempt, why) = (current.attempt, EndingWhy::TakenOver);
            decided.push((run.id, EventKind::StepTakenOver { step, then }));
            decided.push((run.id, EventKind::AttemptEnding { step, attempt, why }));
        }
        None => {
            if entry.state.ended() {
                take_up(run, step, decided);
            }
            end(decided);
            end_items(run, step, decided);
        }
    }
    Ok(())
}

/// Gives a step to an agent.
pub(crate) fn reassign(
    world: &World,
    run: &Run,
    step: StepId,
    agent: AgentId,
    decided: &mut Decided,
) -> Result<(), Rejection> {
    let name = existing(run, step)?;
    let entry = run.step(step);
    let Some(other) = world.registry.agents.get(agent.index()) else {
        return Err(Rejection::new("there is no such agent"));
    };
    let (other, home) = (&other.definition.id, &run.classes[run.home[step.index()]]);
    let open = matches!(entry.state, StepState::Pending | StepState::Ready | StepState::Waiting | StepState::Running);
    if !open || run.state.ended() {
        let reason = format!("{name} is {}: it cannot be given to another agent", entry.state.word());
        return Err(Rejection::with_way_out(reason, "retry it first"));
    }
    if entry.cut.is_some() {
        return Err(Rejection::with_way_out(format!("{name} is cut into items"), "give its items to the agent"));
    }
    if run.spec(step).is_approval() {
        return Err(Rejection::with_way_out(format!("{name} is done by a person"), "answer it"));
    }
    if !home.candidates.contains(&agent) {
        let able: Vec<&str> = home.candidates.iter().map(|id| &*world.registry.agent(*id).definition.id).collect();
        let offers = world.registry.agent(agent).definition.capabilities.contains(&home.asks_for) && !home.by_id;
        let lacks = if offers { "is too small for" } else { "does not have" };
        let reason = format!("agent {other} {lacks} {}", home.asks_for);
        return Err(Rejection::with_way_out(reason, format!("these have it: {}", able.join(", "))));
    }
    if world.registry.agent(agent).broken.is_some() {
        return Err(Rejection::with_way_out(format!("agent {other} is broken"), "heal it first"));
    }
    let at_work = entry.current.as_ref().map(|current| current.agent);
    if at_work.or(entry.pinned) == Some(agent) {
        return Err(Rejection::new(format!("{name} is with {other} already")));
    }
    if entry.current.as_ref().is_some_and(|current| current.ending.is_some()) {
        return Err(Rejection::with_way_out(format!("the attempt of {name} is being ended"), "wait for its end"));
    }
    decided.push((run.id, EventKind::StepTakenOver { step, then: TakeOver::Reassign(Some(agent)) }));
    if let Some(current) = &entry.current {
        let (attempt, why) = (current.attempt, EndingWhy::TakenOver);
        decided.push((run.id, EventKind::AttemptEnding { step, attempt, why }));
    }
    Ok(())
}

/// Answers what a step or the run asks.
pub(crate) fn answer(
    run: &Run,
    now: Micros,
    step: Option<StepId>,
    answer: &Answer,
    decided: &mut Decided,
) -> Result<(), Rejection> {
    let Some(step) = step else { return answer_the_run(run, answer, decided) };
    let name = existing(run, step)?;
    let entry = run.step(step);
    let asks = match (entry.state, &entry.wait) {
        (StepState::Waiting, Some((why, _))) if why.asks_a_person() => Some(why),
        (StepState::Unknown, _) => None,
        (state, _) => {
            let reason = format!("{name} asks nothing; it is {}", state.word());
            return Err(match run.question {
                Some(_) => Rejection::with_way_out(reason, "the run asks: answer it instead"),
                None => Rejection::new(reason),
            });
        }
    };
    if run.cause.is_some() || run.rollback.is_some() {
        return Err(Rejection::new("the run is being ended"));
    }
    if let Some((WaitReason::Approval, Some(until))) = &entry.wait
        && *until <= now
    {
        let reason = format!("the time to answer {name} is over");
        return Err(Rejection::with_way_out(reason, "what is declared for that case holds: resume the run"));
    }
    match (asks, answer) {
        (_, Answer::Value(value)) => done(run, step, &Arc::new(value.clone()), None, None, decided),
        (Some(WaitReason::Approval), Answer::Approve) => {
            decide_approval(run, step, Decision::Approve, "a person", decided);
        }
        (Some(WaitReason::Approval), Answer::Reject) => {
            decide_approval(run, step, Decision::Reject, "a person said no", decided);
        }
        (Some(_), Answer::Approve) => decided.push((run.id, EventKind::StepReopened { step })),
        (None, Answer::Approve) => decided.push((run.id, ready_again(step))),
        (_, Answer::Reject) => {
            let unknown = || Failure::new(FailureClass::Unknown, "upbeat ended while it ran, and a person gave it up");
            let failure = entry.failure.as_deref().cloned().unwrap_or_else(unknown);
            decided.push((run.id, EventKind::StepFailed { step, failure }));
        }
    }
    Ok(())
}

fn answer_the_run(run: &Run, answer: &Answer, decided: &mut Decided) -> Result<(), Rejection> {
    if run.question.is_none() {
        return Err(Rejection::new("the run asks nothing"));
    }
    let approved = match answer {
        Answer::Approve => true,
        Answer::Reject => false,
        Answer::Value(_) => {
            return Err(Rejection::with_way_out("the run asks for a yes or a no", "say approve or reject"));
        }
    };
    decided.push((run.id, EventKind::RunAnswered { approved }));
    Ok(())
}

/// Opens everything that did not succeed; what was skipped for good reason is skipped again.
pub(crate) fn retry_failed(run: &Run, decided: &mut Decided) -> Result<(), Rejection> {
    if run.started.is_none() {
        return Err(Rejection::with_way_out("the run has not been started", "start it first"));
    }
    if run.state == RunState::CompensationFailed {
        // What could not be undone is tried again; the run stays rolled back.
        let failed = |id: &StepId| run.step(*id).undo.as_ref().is_some_and(|undo| undo.failure.is_some());
        let steps: Vec<StepId> = super::undo::order(run, &run.step_ids().filter(failed).collect());
        decided.push((run.id, EventKind::RunCompensating { steps, to: None }));
        return Ok(());
    }
    can_be_taken_up(run)?;
    let state = |step: &StepId| run.step(*step).state;
    let worth_it = |step: &StepId| {
        let open = matches!(state(step), StepState::Failed | StepState::Cancelled | StepState::Unknown);
        open && !run.left_out_as_part(*step) && !run.is_beaten(*step)
    };
    if !run.shape.order.iter().any(worth_it) {
        return Err(Rejection::new("nothing of it failed or was cancelled"));
    }
    if run.state.ended() {
        decided.push((run.id, EventKind::RunReopened));
    }
    for &step in &run.shape.order {
        match state(&step) {
            StepState::Failed | StepState::Cancelled | StepState::Skipped
                if !run.left_out_as_part(step) && !run.is_beaten(step) && !run.step(step).gone =>
            {
                decided.push((run.id, EventKind::StepReopened { step }));
            }
            StepState::Unknown => {
                decided.push((run.id, ready_again(step)));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Dependents that were skipped or cancelled because of `step`, directly or through others, in topological order.
pub(crate) fn taken_along(run: &Run, step: StepId) -> Vec<StepId> {
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
    for &step in entry.cut.iter().flat_map(|items| &items.steps) {
        let state = run.step(step).state;
        if !state.ended() && !state.active() && run.step(step).priority != priority {
            decided.push((run.id, EventKind::PriorityChanged { step, priority }));
        }
    }
    Ok(())
}
