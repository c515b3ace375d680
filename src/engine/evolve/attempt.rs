//! What events about attempts change in their run.

use super::step::set_state;
use crate::engine::run::{Current, Run};
use crate::model::bug::{Bug, seeded};
use crate::model::completion::{Failure, FailureClass, Usage};
use crate::model::event::{EndingWhy, Event, EventKind};
use crate::model::id::{AgentId, Name, StepId};
use crate::model::state::StepState;
use crate::model::time::Micros;
use crate::model::view::{ATTEMPTS_KEPT, AttemptView};
use std::sync::Arc;

pub(super) fn evolve(run: &mut Run, event: &Event) {
    let at = event.at;
    match &event.kind {
        EventKind::AttemptStarted { step, attempt, agent, fallback, undo } => {
            start(run, *step, (*attempt, *agent), *fallback, *undo, at);
        }
        EventKind::AttemptEnding { step, why, .. } => {
            if let Some(current) = &mut run.step_mut(*step).current {
                current.ending = Some(*why);
                if let Some(since) = current.halted.take() {
                    current.halted_for += at - since;
                }
            }
            run.step_mut(*step).injected |= *why == EndingWhy::Fault;
        }
        EventKind::AttemptSucceeded { step, usage, scores, .. } => {
            run.step_mut(*step).scores.clone_from(scores);
            end(run, *step, at, None, *usage);
        }
        EventKind::AttemptFailed { step, failure, usage, .. } => {
            end(run, *step, at, Some(Arc::new(failure.clone())), *usage);
        }
        _ => {}
    }
}

fn start(run: &mut Run, step: StepId, (attempt, agent): (u32, AgentId), fallback: Option<u32>, undo: bool, at: Micros) {
    let class = if undo { run.undo_home[step.index()].unwrap_or_default() } else { run.step(step).class };
    if undo {
        run.step_mut(step).wait = None;
    } else {
        set_state(run, step, StepState::Running, at);
        run.gates.take(step);
    }
    run.meters.attempts += 1;
    if let Some(template) = run.spec(step).template.clone() {
        let idle = run.meters.idle.entry(template).or_default();
        let (made, reused) = if *idle == 0 { (1, 0) } else { (0, 1) };
        *idle -= reused;
        run.meters.made += made;
        run.meters.reused += reused;
    }
    run.active += 1;
    run.meters.active_max = run.meters.active_max.max(run.active);
    run.meters.agents_used.insert(agent);
    run.classes[class].active += 1;
    let entry = run.step_mut(step);
    let retry = match &mut entry.undo {
        Some(tries) if undo => {
            tries.spent += 1;
            tries.spent > 1
        }
        _ => {
            entry.spent += 1;
            entry.started.get_or_insert(at);
            entry.spent > 1 && fallback.is_none()
        }
    };
    entry.attempts = attempt;
    if !entry.tried.contains(&agent) {
        entry.tried.push(agent);
    }
    let (ending, halted, halted_for) = (None, None, Micros::ZERO);
    entry.current = Some(Current { attempt, agent, class, started: at, ending, undo, halted, halted_for });
    entry.log.push_back(AttemptView { attempt, agent, started: at, ended: None, failure: None, fallback });
    if entry.log.len() > ATTEMPTS_KEPT {
        entry.log.pop_front();
    }
    run.meters.retries += u32::from(retry);
}

fn end(run: &mut Run, step: StepId, at: Micros, failure: Option<Arc<Failure>>, usage: Option<Usage>) {
    let Some(current) = run.step_mut(step).current.take() else { return };
    run.active -= 1;
    run.classes[current.class].active -= 1;
    let worked = current.worked(at);
    run.meters.busy += worked;
    if !current.undo {
        run.gates.give_back(step);
    }
    if let Some(template) = run.spec(step).template.clone() {
        *run.meters.idle.entry(template).or_default() += 1;
    }
    if let Some(usage) = usage {
        let total = run.meters.usage.get_or_insert_default();
        total.cpu_s += usage.cpu_s;
        total.peak_rss_bytes = total.peak_rss_bytes.max(usage.peak_rss_bytes);
    }
    match &failure {
        None => {
            run.meters.ended_well += 1;
            let kind: Name = run.spec_now(step).kind().into();
            run.meters.durations.add(&kind, worked);
        }
        Some(failure) => {
            // Taking no more calls is no failure.
            let is_its_fault = failure.class.blames_the_agent() && failure.class != FailureClass::RateLimited;
            run.meters.ended_ill += u32::from(is_its_fault);
            failed(run, step, &current, failure, at);
        }
    }
    if let Some(last) = run.step_mut(step).log.back_mut() {
        last.ended = Some(at);
        last.failure = failure;
    }
}

fn failed(run: &mut Run, step: StepId, current: &Current, failure: &Arc<Failure>, at: Micros) {
    let entry = run.step_mut(step);
    let lost = failure.class == FailureClass::Unknown;
    if !current.undo && !lost && failure.class != FailureClass::Cancelled {
        entry.hit.get_or_insert(at);
    }
    if lost && seeded(Bug::AttemptNumberReused) {
        entry.attempts -= 1;
    }
    // An agent that could not be reached at all has not used up a try, nor has one that takes no more calls, nor one that
    // was taken away.
    let limited = failure.class == FailureClass::RateLimited;
    let taken_away = matches!(current.ending, Some(EndingWhy::Park | EndingWhy::TakenOver)) || lost;
    let free = taken_away || failure.class == FailureClass::Unreachable || limited && !seeded(Bug::RateLimitSpends);
    if free && !(lost && seeded(Bug::LostAttemptSpends)) {
        match &mut entry.undo {
            Some(tries) if current.undo => tries.spent = tries.spent.saturating_sub(1),
            _ => entry.spent = entry.spent.saturating_sub(1),
        }
    }
    entry.limited += u32::from(limited);
    // Who was left by its agent may go to it again; who was taken from it goes elsewhere first.
    if current.ending == Some(EndingWhy::Park) || lost {
        entry.tried.retain(|agent| *agent != current.agent);
    }
    entry.injected |= failure.injected;
    if current.undo {
        return;
    }
    entry.in_doubt |= failure.class.leaves_doubt();
    entry.failure = Some(failure.clone());
}
