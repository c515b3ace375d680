//! Why is this step not running? Exact sentences, the most important first.

use super::route;
use super::run::{NeedState, Run};
use super::world::World;
use crate::model::event::EndingWhy;
use crate::model::id::{AgentId, StepId};
use crate::model::policy::Mode;
use crate::model::state::{RunState, SkipReason, StepState, WaitReason};
use crate::model::step::NeedOn;
use crate::model::time::Micros;

/// The most names in one sentence; the rest is counted.
const NAMES_MAX: usize = 6;

pub(crate) fn explain(world: &World, run: &Run, step: StepId, now: Micros) -> Vec<String> {
    let entry = run.step(step);
    match entry.state {
        StepState::Pending => pending(run, step),
        StepState::Ready => ready(world, run, step),
        StepState::Waiting => waiting(world, run, step, now),
        StepState::Running | StepState::Cancelling => running(world, run, step),
        StepState::Succeeded => vec![match entry.fallback {
            Some(at) => format!("it is done, by fallback {}", at + 1),
            None => "it is done".to_owned(),
        }],
        StepState::Failed => {
            let why = entry.failure.as_ref().map_or(String::new(), |f| format!(" ({}): {}", f.class.word(), f.message));
            let attempts = count(entry.attempts as usize, "attempt");
            vec![format!("it failed after {attempts}{why}"), "press R to retry it".to_owned()]
        }
        StepState::Skipped => vec![skipped(run, step)],
        StepState::Cancelled => vec![match (entry.cancelled_by, run.cause) {
            (Some(by), _) => format!("it was cancelled together with {}", run.spec(by).id),
            (None, Some(_)) => "it was cancelled when the run was ended".to_owned(),
            (None, None) => "it was cancelled".to_owned(),
        }],
        StepState::Unknown => vec![
            format!("upbeat ended while attempt {} ran; what it did is not known", entry.attempts),
            "press R to do it again, with the same idempotency key, or c to cancel it".to_owned(),
        ],
        StepState::Compensating => vec!["what it did is being undone".to_owned()],
        StepState::Compensated => vec!["what it did was undone".to_owned()],
    }
}

fn count(n: usize, noun: &str) -> String {
    if n == 1 { format!("1 {noun}") } else { format!("{n} {noun}s") }
}

fn list(names: &[&str]) -> String {
    let shown = names.iter().take(NAMES_MAX).copied().collect::<Vec<_>>().join(", ");
    if names.len() > NAMES_MAX { format!("{shown} and {} more", names.len() - NAMES_MAX) } else { shown }
}

fn run_reason(run: &Run) -> Option<String> {
    match run.state {
        RunState::Pending => Some("the run has not been started; press s".to_owned()),
        RunState::Pausing | RunState::Paused => Some(format!("the run is {}; press r to resume", run.state.word())),
        RunState::Stopping | RunState::Cancelling => Some(format!("the run is {}", run.state.word())),
        _ => None,
    }
}

fn pending(run: &Run, step: StepId) -> Vec<String> {
    let needs = run.spec(step).needs.iter().filter(|n| run.need_state(n.step, n.on) == NeedState::Open);
    let sentences = needs.map(|need| {
        let (name, state) = (&run.spec(need.step).id, run.step(need.step).state.word());
        match need.on {
            NeedOn::Succeeded => format!("needs {name}, which is {state}"),
            NeedOn::Completed => format!("needs {name} to end, which is {state}"),
            NeedOn::Failed => format!("is there in case {name} fails, which is {state}"),
        }
    });
    let mut all: Vec<String> = run_reason(run).into_iter().chain(sentences).collect();
    if all.len() > NAMES_MAX + 1 {
        let more = all.len() - NAMES_MAX;
        all.truncate(NAMES_MAX);
        all.push(format!("and {} more", count(more, "need")));
    }
    all
}

fn holders(world: &World, run: &Run, agents: &[AgentId]) -> Vec<String> {
    let busy = agents.iter().flat_map(|id| world.registry.agent(*id).busy.values());
    busy.map(|b| {
        let holder = world.run(b.run);
        let name = &holder.spec(b.step).id;
        if b.run == run.id { name.to_string() } else { format!("{name} of run {}", holder.name) }
    })
    .collect()
}

fn ready(world: &World, run: &Run, step: StepId) -> Vec<String> {
    let mut all: Vec<String> = run_reason(run).into_iter().collect();
    let entry = run.step(step);
    let class = &run.classes[entry.class];
    if run.workflow.mode == Mode::Sequential {
        let at_work = run.step_ids().find(|id| run.step(*id).current.is_some());
        if let Some(other) = at_work {
            all.push(format!("one step at a time, and {} is under way", run.spec(other).id));
        } else if let Some(turn) = run.shape.order.get(run.cursor).filter(|turn| **turn != step) {
            all.push(format!("one step at a time, and {} comes first", run.spec(*turn).id));
        }
    }
    if run.workflow.limits.max_parallel.is_some_and(|max| run.active >= max) {
        all.push(format!("the run's limit of {} is reached", count(run.active as usize, "attempt")));
    }
    if class.limit.is_some_and(|max| class.active >= max) {
        all.push(format!("the limit of {} for {} is reached", count(class.active as usize, "attempt"), class.asks_for));
    }
    let able: Vec<AgentId> = route::unbroken(&world.registry, class).collect();
    if !able.iter().any(|id| world.registry.agent(*id).is_free()) {
        let slots: u32 = able.iter().map(|id| world.registry.agent(*id).definition.slots).sum();
        let held = holders(world, run, &able);
        let names: Vec<&str> = held.iter().map(String::as_str).collect();
        all.push(format!("{}: {} of {slots} slots held by {}", class.asks_for, held.len(), list(&names)));
        let ahead = run.queue.ahead_of(run.place(step));
        if ahead > 0 {
            all.push(format!("{} stand before it in the queue", count(ahead, "step")));
        }
    }
    if all.is_empty() {
        all.push("it starts now".to_owned());
    }
    all
}

fn waiting(world: &World, run: &Run, step: StepId, now: Micros) -> Vec<String> {
    let entry = run.step(step);
    let Some((why, until)) = &entry.wait else { return Vec::new() };
    let left = until.map(|until| (until - now).as_secs_f64());
    let mut all: Vec<String> = run_reason(run).into_iter().collect();
    match why {
        WaitReason::Backoff { retry, limit } => {
            let left = left.map_or(String::new(), |left| format!(", {left:.1} s left"));
            all.insert(0, format!("backoff before retry {retry} of {limit}{left}; R retries now"));
            if let Some(failure) = &entry.failure {
                all.push(format!("the last attempt failed ({}): {}", failure.class.word(), failure.message));
            }
        }
        WaitReason::RateLimit { .. }
        | WaitReason::Breaker { .. }
        | WaitReason::Approval
        | WaitReason::Person
        | WaitReason::Lock { .. }
        | WaitReason::Semaphore { .. }
        | WaitReason::Barrier { .. } => {}
        WaitReason::Capability { capability, .. } => {
            all.insert(0, format!("nobody unbroken can do {capability}"));
            for id in &run.classes[entry.class].candidates {
                let agent = world.registry.agent(*id);
                let Some(broken) = &agent.broken else { continue };
                let heals = broken.until.map_or("press u on it to heal it".to_owned(), |until| {
                    format!("heals in {:.0} s, or press u on it", (until - now).as_secs_f64())
                });
                all.push(format!("agent {} is broken: {}; {heals}", agent.definition.id, broken.reason));
            }
        }
    }
    all
}

fn running(world: &World, run: &Run, step: StepId) -> Vec<String> {
    let Some(current) = &run.step(step).current else { return Vec::new() };
    let agent = &world.registry.agent(current.agent).definition.id;
    let sentence = match current.ending {
        None => format!("it is running: attempt {} on {agent}", current.attempt),
        Some(EndingWhy::Timeout) => format!("attempt {} took too long and is being ended on {agent}", current.attempt),
        Some(EndingWhy::Idle) => {
            format!("attempt {} was silent for too long and is being ended on {agent}", current.attempt)
        }
        Some(EndingWhy::TakenOver) => {
            format!("attempt {} is being ended on {agent}, as a person decided", current.attempt)
        }
        Some(EndingWhy::Fault) => format!("{agent} was broken on purpose; attempt {} is being ended", current.attempt),
        Some(EndingWhy::Park) => {
            format!("attempt {} is being ended on {agent}, to be done again when the run goes on", current.attempt)
        }
        Some(EndingWhy::Cancel | EndingWhy::Deadline) => {
            format!("attempt {} is being ended on {agent}; c again ends it at once", current.attempt)
        }
    };
    vec![sentence]
}

fn skipped(run: &Run, step: StepId) -> String {
    match run.step(step).skip {
        Some(SkipReason::NotNeeded { need }) => {
            format!("it was not needed: {} ended as {}", run.spec(need).id, run.step(need).state.word())
        }
        Some(SkipReason::Upstream { need }) => {
            format!("{}, which it needs, ended as {}", run.spec(need).id, run.step(need).state.word())
        }
        Some(SkipReason::ByHand) => "a person skipped it".to_owned(),
        None => "it was skipped".to_owned(),
    }
}
