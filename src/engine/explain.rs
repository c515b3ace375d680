//! Why is this step not running? Exact sentences, the most important first.

use super::route;
use super::run::{Class, NeedState, Run};
use super::waits::{Wait, standing};
use super::world::World;
use crate::model::event::EndingWhy;
use crate::model::id::{AgentId, StepId};
use crate::model::policy::Mode;
use crate::model::state::{RunState, SkipReason, StepState, WaitReason};
use crate::model::step::{Decision, NeedOn, Work};
use crate::model::time::Micros;

/// The most names in one sentence; the rest is counted.
const NAMES_MAX: usize = 6;

pub(crate) fn explain(world: &World, run: &Run, step: StepId, now: Micros) -> Vec<String> {
    let entry = run.step(step);
    let (state, wait) = standing(world, run, step);
    match state {
        StepState::Compensating => compensating(world, run, step, wait.as_ref(), now),
        _ if entry.undo.as_ref().is_some_and(|undo| undo.failure.is_some()) => not_undone(run, step),
        StepState::Pending => pending(run, step),
        StepState::Ready => ready(world, run, step, now),
        StepState::Waiting => wait.map_or_else(Vec::new, |wait| waiting(world, run, step, &wait, now)),
        StepState::Running if entry.cut.is_some() => vec![items(run, step)],
        StepState::Running | StepState::Cancelling => running(world, run, step),
        StepState::Succeeded => succeeded(run, step),
        StepState::Failed => {
            let why = entry.failure.as_ref().map_or(String::new(), |f| format!(" ({}): {}", f.class.word(), f.message));
            let after = match entry.attempts {
                0 => String::new(),
                attempts => format!(" after {}", count(attempts as usize, "attempt")),
            };
            vec![format!("it failed{after}{why}"), "press R to retry it, S to go on without it".to_owned()]
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
        StepState::Compensated => vec!["what it did was undone".to_owned()],
    }
}

/// How far the items of a step are.
fn items(run: &Run, step: StepId) -> String {
    let (succeeded, lost, counted) = run.parts_so_far(step);
    let lost = if lost == 0 { String::new() } else { format!(", {lost} did not") };
    let items = run.step(step).cut.as_ref().is_some_and(|cut| cut.list.is_some());
    let noun = if items { "item" } else { "step" };
    format!("of its {} {succeeded} succeeded{lost}", count(counted as usize, noun))
}

fn succeeded(run: &Run, step: StepId) -> Vec<String> {
    let done = match run.step(step).fallback {
        Some(at) => format!("it is done, by fallback {}", at + 1),
        None => "it is done".to_owned(),
    };
    let place = run.undo.iter().position(|id| *id == step);
    let before = place.and_then(|at| run.undo.get(at.checked_sub(1)?));
    match before {
        Some(before) => vec![format!("{done}, and is undone after {}", run.spec(*before).id)],
        None => vec![done],
    }
}

fn not_undone(run: &Run, step: StepId) -> Vec<String> {
    let failure = run.step(step).undo.as_ref().and_then(|undo| undo.failure.as_ref());
    let why = failure.map_or(String::new(), |f| format!(" ({}): {}", f.class.word(), f.message));
    let mut all = vec![format!("what it did could not be undone{why}")];
    if run.state == RunState::CompensationFailed {
        all.push("press R to try that again".to_owned());
    }
    all
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
        RunState::Paused if run.frozen => Some("the run is frozen; press r to resume".to_owned()),
        RunState::Pausing | RunState::Paused => Some(format!("the run is {}; press r to resume", run.state.word())),
        RunState::Stopping | RunState::Cancelling | RunState::Compensating => {
            Some(format!("the run is {}", run.state.word()))
        }
        _ => None,
    }
}

fn pending(run: &Run, step: StepId) -> Vec<String> {
    if run.step(step).preparing.is_some() {
        let reason = "what it is told is being computed".to_owned();
        return run_reason(run).into_iter().chain([reason]).collect();
    }
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

fn ready(world: &World, run: &Run, step: StepId, now: Micros) -> Vec<String> {
    let mut all: Vec<String> = run_reason(run).into_iter().collect();
    let entry = run.step(step);
    let class = &run.classes[entry.class];
    all.extend(out_of_turn(run, step));
    if no_room(world, run, class, &mut all) {
        let ahead = run.queue.ahead_of(entry.class, run.place(step));
        if ahead > 0 {
            all.push(format!("{} before it in the queue; waiting lifts it", stand(ahead)));
        }
    }
    // Who stands in the queue is sent to the gate when an agent is free for it; it would be held up there now.
    all.extend(run.held_up(step).map(|why| because(world, run, step, &why, None, now)));
    if all.is_empty() {
        all.push("it starts now".to_owned());
    }
    all
}

/// The limits that are reached; and whether all who could take work of this class are at work.
fn no_room(world: &World, run: &Run, class: &Class, all: &mut Vec<String>) -> bool {
    if run.workflow.limits.max_parallel.is_some_and(|max| run.active >= max) {
        all.push(format!("the run's limit of {} is reached", count(run.active as usize, "attempt")));
    }
    let counted = run.active_of_limit(class);
    if class.limit.is_some_and(|max| counted >= max) {
        all.push(format!("the limit of {} for {} is reached", count(counted as usize, "attempt"), class.limited_as));
    }
    let able: Vec<AgentId> = route::open(&world.registry, class).collect();
    if able.iter().any(|id| world.registry.agent(*id).has_room(class.demand)) {
        return false;
    }
    let slots: u32 = able.iter().map(|id| world.registry.agent(*id).definition.slots).sum();
    let held = holders(world, run, &able);
    let names: Vec<&str> = held.iter().map(String::as_str).collect();
    if held.len() < slots as usize {
        let what = "what is left of the agents' resources is too little";
        all.push(format!("{}: {what}; the rest is taken by {}", class.asks_for, list(&names)));
    } else {
        all.push(format!("{}: {} of {slots} slots held by {}", class.asks_for, held.len(), list(&names)));
    }
    true
}

fn stand(steps: usize) -> String {
    if steps == 1 { "1 step stands".to_owned() } else { format!("{steps} steps stand") }
}

/// The order of work holds it back.
fn out_of_turn(run: &Run, step: StepId) -> Option<String> {
    if run.has_turn(step) {
        return None;
    }
    let at_work = run.step_ids().find(|id| *id != step && run.step(*id).current.is_some());
    let (words, first) = match run.mode {
        Mode::Hybrid => ("level by level", run.first_by_level()),
        _ => ("one step at a time", run.first_in_order()),
    };
    match (at_work, first) {
        (Some(other), _) => Some(format!("{words}, and {} is under way", run.spec(other).id)),
        (None, Some(first)) => Some(format!("{words}, and {} comes first", run.spec(first).id)),
        (None, None) => None,
    }
}

fn seconds(until: Option<Micros>, now: Micros) -> Option<String> {
    until.map(|until| format!("{:.1} s", until.saturating_sub(now).as_secs_f64()))
}

fn names_of(world: &World, agents: &[AgentId]) -> String {
    let names: Vec<&str> = agents.iter().map(|id| &*world.registry.agent(*id).definition.id).collect();
    list(&names)
}

fn steps_of(run: &Run, steps: &[StepId]) -> String {
    let names: Vec<&str> = steps.iter().map(|id| &*run.spec(*id).id).collect();
    list(&names)
}

fn waiting(world: &World, run: &Run, step: StepId, (why, until): &Wait, now: Micros) -> Vec<String> {
    let mut all: Vec<String> = run_reason(run).into_iter().collect();
    all.insert(0, because(world, run, step, why, *until, now));
    match why {
        WaitReason::Backoff { .. } | WaitReason::Person => {
            if let Some(failure) = &run.step(step).failure {
                all.push(format!("the last attempt failed ({}): {}", failure.class.word(), failure.message));
            }
        }
        WaitReason::Capability { broken, .. } => all.extend(broken.iter().filter_map(|id| is_broken(world, *id, now))),
        WaitReason::RateLimit { .. } | WaitReason::Breaker { .. } => {
            let class = &run.classes[run.step(step).class];
            all.extend(class.candidates.iter().filter_map(|id| is_broken(world, *id, now)));
        }
        _ => {}
    }
    all
}

fn is_broken(world: &World, id: AgentId, now: Micros) -> Option<String> {
    let agent = world.registry.agent(id);
    let broken = agent.broken.as_ref()?;
    let heals = broken.until.map_or("press u on it to heal it".to_owned(), |until| {
        format!("heals in {:.0} s, or press u on it", until.saturating_sub(now).as_secs_f64())
    });
    Some(format!("agent {} is broken: {}; {heals}", agent.definition.id, broken.reason))
}

/// The reason itself, with the time that is left and the key that helps.
fn because(world: &World, run: &Run, step: StepId, why: &WaitReason, until: Option<Micros>, now: Micros) -> String {
    let left = seconds(until, now);
    let in_time = left.as_ref().map_or(String::new(), |left| format!(", {left} left"));
    match why {
        WaitReason::Backoff { retry, limit } => {
            format!("backoff before retry {retry} of {limit}{in_time}; R retries now")
        }
        WaitReason::Capability { capability, .. } => format!("nobody unbroken can do {capability}"),
        WaitReason::RateLimit { capability, agents } => {
            let names = names_of(world, agents);
            let again = left.map_or(String::new(), |left| format!("; the next call is in {left}"));
            format!("{capability}: {names} takes no more calls{again}")
        }
        WaitReason::Breaker { capability, agents } => {
            let names = names_of(world, agents);
            let probe = agents.iter().find_map(|id| world.registry.agent(*id).breaker.probe);
            match (probe, left) {
                (_, Some(left)) => format!("{capability}: the breaker of {names} is open; the next probe is in {left}"),
                (Some((probing, at, _)), None) => {
                    let prober = &world.run(probing).spec(at).id;
                    format!("{capability}: {prober} probes whether {names} works again")
                }
                (None, None) => format!("{capability}: the breaker of {names} is held open; press b on it"),
            }
        }
        WaitReason::Approval => {
            let Work::Approval { prompt, default, .. } = &run.spec(step).work else { return String::new() };
            let then = match (default, left) {
                (Some(default), Some(left)) => {
                    let word = if *default == Decision::Approve { "approved" } else { "rejected" };
                    format!("; {word} by itself in {left}")
                }
                _ => String::new(),
            };
            format!("a person is asked: {prompt}{then}; press a")
        }
        WaitReason::Person => "its retries are spent, and a person decides: a answers, R retries, S skips".to_owned(),
        WaitReason::Lock { lock, holder } => format!("the lock {lock} is held by {}", run.spec(*holder).id),
        WaitReason::Semaphore { semaphore, holders } => {
            format!("the semaphore {semaphore} is held by {}", steps_of(run, holders))
        }
        WaitReason::Barrier { barrier, missing } => {
            format!("it waits at the barrier {barrier} for {}", steps_of(run, missing))
        }
    }
}

fn compensating(world: &World, run: &Run, step: StepId, wait: Option<&Wait>, now: Micros) -> Vec<String> {
    let mut all = Vec::new();
    if let Some((why, until)) = wait {
        all.push(because(world, run, step, why, *until, now));
        if let WaitReason::Capability { broken, .. } = why {
            all.extend(broken.iter().filter_map(|id| is_broken(world, *id, now)));
        }
    }
    let stands = matches!(run.state, RunState::Pausing | RunState::Paused);
    if run.step(step).current.is_none() {
        all.extend(run_reason(run).filter(|_| stands));
        if let Some(class) = run.undo_home[step.index()].filter(|_| wait.is_none()) {
            no_room(world, run, &run.classes[class], &mut all);
        }
    }
    let halted = run.step(step).current.as_ref().is_some_and(|current| current.halted.is_some());
    let undone = "what it did is being undone".to_owned();
    let at_work = running(world, run, step);
    if halted {
        all.extend(at_work);
        all.push(undone);
    } else {
        all.push(undone);
        all.extend(at_work);
    }
    all
}

fn running(world: &World, run: &Run, step: StepId) -> Vec<String> {
    let Some(current) = &run.step(step).current else { return Vec::new() };
    let agent = &world.registry.agent(current.agent).definition.id;
    let sentence = match current.ending {
        None if current.halted.is_some() => {
            format!("attempt {} is frozen on {agent}; r lets it go on", current.attempt)
        }
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
        Some(SkipReason::Condition) => "its condition (`if`) does not hold".to_owned(),
        Some(SkipReason::ByHand) => "a person skipped it".to_owned(),
        None => "it was skipped".to_owned(),
    }
}
