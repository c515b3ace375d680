//! Events for people: one short sentence each, for plain progress and for the panel's log.
//!
//! Every name and message in them is foreign text and passes the sanitiser here; what comes out may be printed as it is.

use super::events::Names;
use crate::model::completion::{EndProof, Failure};
use crate::model::event::{EndingWhy, Event, EventKind, TakeOver};
use crate::model::growth::Addition;
use crate::model::id::{AgentId, StepId};
use crate::model::safe::Safe;
use crate::model::state::{BreakerState, EndCause, RunStatus, SkipReason, WaitReason};
use crate::model::step::Fallback;
use crate::model::time::Micros;

/// How much of a message a line shows.
const MESSAGE_CHARS_MAX: usize = 200;

/// A length of time for people: `340 ms`, `8.0 s`, `1 m 05 s`, `2 h 03 m`.
#[must_use]
pub fn duration(time: Micros) -> String {
    let ms = time.as_millis();
    let seconds = ms / 1_000;
    match ms {
        0 => "0 s".to_owned(),
        1..1_000 => format!("{ms} ms"),
        1_000..60_000 => format!("{seconds}.{} s", ms % 1_000 / 100),
        60_000..3_600_000 => format!("{} m {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} m", seconds / 3_600, seconds % 3_600 / 60),
    }
}

/// Whether plain progress tells it: what follows at once from another line stays unsaid.
#[must_use]
pub const fn is_news(kind: &EventKind) -> bool {
    !matches!(
        kind,
        EventKind::StepReady { .. }
            | EventKind::DataChanged { .. }
            | EventKind::AttemptSucceeded { .. }
            | EventKind::AttemptEnding { .. }
            | EventKind::StepCancelling { .. }
            | EventKind::StepPreparing { .. }
            | EventKind::ResultPreparing
            | EventKind::StepCompensating { .. }
            | EventKind::AgentUnparked { .. }
            | EventKind::StrategyChosen { .. }
            | EventKind::FaultCleared { .. }
    )
}

/// What happened, as a sentence without a full stop, safe to print.
#[must_use]
pub fn event_line(event: &Event, names: &Names) -> String {
    let kind = &event.kind;
    let what = match kind.step() {
        Some(step) => step_line(kind, names, event.at).map(|line| format!("{} {line}", Safe::line(names.step(step)))),
        None => None,
    };
    what.unwrap_or_else(|| run_line(kind, names, event.at))
}

fn run_line(kind: &EventKind, names: &Names, now: Micros) -> String {
    match kind {
        EventKind::RunStarted { seed } => {
            format!("run {} of {} started, seed {seed}", Safe::line(&names.run), Safe::line(&names.workflow.id))
        }
        EventKind::StrategyChosen { mode, reason } => format!("order of work: {}, {}", mode.word(), Safe::line(reason)),
        EventKind::RunPausing { park: false, .. } => "pausing: running steps end first, nothing new starts".to_owned(),
        EventKind::RunPausing { park: true, .. } => {
            "leaving: what runs is ended, and done again when the run goes on".to_owned()
        }
        EventKind::RunInterrupted => "upbeat had ended without leaving the run; nothing of it runs any more".to_owned(),
        EventKind::WorkflowChanged { .. } => "the run goes on with the changed workflow".to_owned(),
        EventKind::RunPaused { frozen: true } => "frozen: what runs is halted where it stands".to_owned(),
        EventKind::RunPaused { .. } => "paused: nothing runs".to_owned(),
        EventKind::RunResumed => "resumed".to_owned(),
        EventKind::RunStopping => "stopping: running steps end first, the rest is cancelled".to_owned(),
        EventKind::RunCancelling { cause } => format!("ending the run: {}", cause_words(*cause)),
        EventKind::RunFinished { status, cause, .. } => finished(*status, *cause),
        EventKind::RunCompensating { steps, to } => {
            let until = to.map_or(String::new(), |to| format!(", back to checkpoint-{to}"));
            format!("undoing what was done{until}: {}", step_list(steps, names))
        }
        EventKind::RunRolledBack { to } => format!("rolled back: the run goes on from checkpoint-{to}"),
        EventKind::RunEscalated { succeeded, counted } => {
            format!("asks whether {succeeded} of {counted} steps will do: fewer succeeded than it declares")
        }
        EventKind::RunAnswered { approved: true } => "a person says that this will do".to_owned(),
        EventKind::RunAnswered { .. } => "a person says that this will not do".to_owned(),
        EventKind::RetryRound => "what failed is tried once more".to_owned(),
        EventKind::AgentParked { agent, until, said } => {
            let why = if said.is_some() { "it said so itself" } else { "its declared rate is used up" };
            let rest = duration(until.saturating_sub(now));
            format!("agent {} takes no calls for {rest}: {why}", Safe::line(names.agent(*agent)))
        }
        EventKind::AgentUnparked { agent } => format!("agent {} takes calls again", Safe::line(names.agent(*agent))),
        EventKind::BreakerChanged { agent, to, reason } => {
            let probe = match to {
                BreakerState::Open { until, .. } => format!(", a probe in {}", duration(until.saturating_sub(now))),
                _ => String::new(),
            };
            let agent = Safe::line(names.agent(*agent));
            format!("breaker of agent {agent} is {}{probe}: {}", to.word(), message(reason))
        }
        EventKind::RunReopened => "the run goes on: a step is tried again".to_owned(),
        EventKind::AgentBroken { agent, reason, injected, until } => {
            let mark = if *injected { " (injected)" } else { "" };
            let healing = until.map_or(String::new(), |at| format!(", heals in {}", duration(at.saturating_sub(now))));
            format!("agent {} takes no work{mark}: {}{healing}", Safe::line(names.agent(*agent)), message(reason))
        }
        EventKind::AgentHealed { agent } => format!("agent {} takes work again", Safe::line(names.agent(*agent))),
        EventKind::FaultFired { fault, agent, kind } => format!(
            "fault {} struck agent {} (injected): {}",
            Safe::line(fault),
            Safe::line(names.agent(*agent)),
            Safe::line(kind)
        ),
        EventKind::FaultCleared { fault } => format!("fault {} is over", Safe::line(fault)),
        EventKind::CommandRefused { command, reason } => {
            format!("{} refused: {}", Safe::line(command), message(reason))
        }
        other => growth_line(other, names).unwrap_or_else(|| other.name().replace('_', " ")),
    }
}

fn finished(status: RunStatus, cause: Option<EndCause>) -> String {
    match cause {
        Some(cause) if status != RunStatus::Deadline => format!("run {}: {}", status.word(), cause_words(cause)),
        _ => match status {
            RunStatus::Deadline => "run failed: its deadline passed".to_owned(),
            RunStatus::Partial => "run partly succeeded".to_owned(),
            other => format!("run {}", other.word()),
        },
    }
}

/// What happened to the graph as a whole, and to the run's result.
fn growth_line(kind: &EventKind, names: &Names) -> Option<String> {
    let line = match kind {
        EventKind::StepsAdded { first, added, .. } => format!("joined by hand: {}", joined(*first, added, names)),
        EventKind::StepsRemoved { steps, .. } => format!("left the graph: {}", named(steps.iter().copied(), names)),
        EventKind::StepsRestored { steps } => {
            format!("back in the graph: {}", named(steps.iter().map(|(step, _)| *step), names))
        }
        EventKind::EditUndone { edit } => format!("edit {edit} is taken back"),
        EventKind::ResultPreparing => "everything has ended; the result is being computed".to_owned(),
        EventKind::ResultReady { failure: None, .. } => "the result is there".to_owned(),
        EventKind::ResultReady { failure: Some(failure), .. } => {
            format!("there is no result: {}", failed(failure))
        }
        _ => return None,
    };
    Some(line)
}

/// The names of steps.
fn named(steps: impl Iterator<Item = StepId>, names: &Names) -> String {
    let all: Vec<String> = steps.map(|step| names.step(step).to_owned()).collect();
    list(&all)
}

/// The names of steps that joined.
fn joined(first: StepId, added: &Addition, names: &Names) -> String {
    named((first.index()..first.index() + added.count()).map(StepId::from_index), names)
}

/// Why a run was ended early, in words.
#[must_use]
pub const fn cause_words(cause: EndCause) -> &'static str {
    match cause {
        EndCause::Cancel => "cancelled by a command",
        EndCause::Quit => "quit",
        EndCause::Terminate => "asked to terminate",
        EndCause::HangUp => "the terminal hung up",
        EndCause::Deadline => "its deadline passed",
        EndCause::FailFast => "a step failed and `recovery` is `fail_fast`",
        EndCause::Stop => "stopped by a command",
        EndCause::Rollback => "what was done is rolled back",
        EndCause::Reject => "a person said no",
    }
}

/// What happened to a step, to stand behind its name; `None` for an event that concerns no step.
fn step_line(kind: &EventKind, names: &Names, now: Micros) -> Option<String> {
    let line = match kind {
        EventKind::StepReady { missing, .. } if missing.is_empty() => "is ready".to_owned(),
        EventKind::StepReady { missing, .. } => format!("is ready, without input {}", list(missing)),
        EventKind::StepWaiting { why, until, .. } => waits(why, *until, names, now),
        EventKind::StepSkipped { why: SkipReason::Upstream { need }, .. } => {
            format!("skipped: {} did not succeed", Safe::line(names.step(*need)))
        }
        EventKind::StepSkipped { why: SkipReason::NotNeeded { need }, .. } => {
            format!("not needed: {} ended well", Safe::line(names.step(*need)))
        }
        EventKind::StepSkipped { why: SkipReason::Condition, .. } => "skipped: its condition does not hold".to_owned(),
        EventKind::StepSkipped { why: SkipReason::ByHand, .. } => "skipped by hand".to_owned(),
        EventKind::StepPreparing { .. } => "is being prepared".to_owned(),
        EventKind::StepsAdded { added: added @ Addition::Items(_), .. } => match added.count() {
            1 => "is cut into 1 item".to_owned(),
            count => format!("is cut into {count} items"),
        },
        EventKind::StepsAdded { first, added: added @ Addition::Part { .. }, .. } => {
            format!("is done by {}", joined(*first, added, names))
        }
        EventKind::StepsAdded { first, added, .. } => format!("brings {}", joined(*first, added, names)),
        EventKind::RouteChosen { decision, .. } => {
            let path: Vec<String> = decision.path.iter().map(ToString::to_string).collect();
            format!("goes by {}: {}", list(&path), message(&decision.reason))
        }
        EventKind::StepRewired { needs, .. } if needs.is_empty() => "needs nothing now".to_owned(),
        EventKind::StepRewired { needs, .. } => {
            format!("needs {} now", named(needs.iter().map(|need| need.step), names))
        }
        EventKind::StepSucceeded { reused: Some(run), .. } => {
            format!("is taken over from run {}", Safe::line(run))
        }
        EventKind::StepSucceeded { fallback: None, .. } => "succeeded".to_owned(),
        EventKind::StepSucceeded { fallback: Some(_), .. } => "succeeded by its fallback".to_owned(),
        EventKind::StepFailed { failure, .. } => format!("failed for good: {}", failed(failure)),
        EventKind::StepCancelling { .. } => "is being cancelled".to_owned(),
        EventKind::StepCancelled { because, cause, .. } => match (because, cause) {
            (Some(step), _) if Some(*step) != kind.step() => {
                format!("cancelled with {}", Safe::line(names.step(*step)))
            }
            (_, Some(cause)) => format!("cancelled: {}", cause_words(*cause)),
            _ => "cancelled".to_owned(),
        },
        EventKind::StepReopened { .. } => "is tried again".to_owned(),
        EventKind::StepUnknown { .. } => "ran when upbeat ended: what it did is not known".to_owned(),
        EventKind::PriorityChanged { priority, .. } => format!("has priority {priority} now"),
        EventKind::FallbackTaken { step, fallback } => match names.fallback(*step, *fallback) {
            Some(Fallback::Agent(agent)) => format!("falls back to agent {}", Safe::line(agent)),
            Some(Fallback::Capability(capability)) => {
                format!("falls back to capability {}", Safe::line(capability))
            }
            Some(Fallback::Value(_)) => "falls back to a fixed value".to_owned(),
            None => format!("takes fallback {}", fallback + 1),
        },
        EventKind::DataChanged { paths, missing, .. } => {
            let paths: Vec<String> = paths.iter().map(ToString::to_string).collect();
            let without =
                if missing.is_empty() { String::new() } else { format!(", did not return {}", list(missing)) };
            if paths.is_empty() {
                format!("wrote nothing{without}")
            } else {
                format!("wrote {}{without}", list(&paths))
            }
        }
        _ => return attempt_line(kind, names),
    };
    Some(line)
}

/// What happened to an attempt, or by a person's hand.
fn attempt_line(kind: &EventKind, names: &Names) -> Option<String> {
    let line = match kind {
        EventKind::StepTakenOver { then, .. } => match then {
            TakeOver::Skip => "is to be left out".to_owned(),
            TakeOver::Complete(_) => "is completed by hand".to_owned(),
            TakeOver::Reassign(Some(to)) => format!("is given to agent {}", Safe::line(names.agent(*to))),
            TakeOver::Reassign(None) => "is given to another agent".to_owned(),
        },
        EventKind::StepCompensating { .. } => "is being undone".to_owned(),
        EventKind::StepCompensated { .. } => "is undone".to_owned(),
        EventKind::CompensationFailed { failure, .. } => format!("could not be undone: {}", failed(failure)),
        EventKind::CheckpointMade { checkpoint, .. } => {
            format!("is critical: checkpoint-{checkpoint} stands before it")
        }
        EventKind::AttemptStarted { attempt, agent, undo: true, .. } => {
            format!("is undone by {}, attempt {attempt}", Safe::line(names.agent(*agent)))
        }
        EventKind::AttemptStarted { attempt, agent, .. } => {
            let agent = Safe::line(names.agent(*agent));
            if *attempt == 1 { format!("started on {agent}") } else { format!("started on {agent}, attempt {attempt}") }
        }
        EventKind::AttemptEnding { attempt, why, .. } => format!("attempt {attempt} is being ended: {}", ending(*why)),
        EventKind::AttemptSucceeded { attempt, agent, .. } => {
            format!("attempt {attempt} on {} succeeded", Safe::line(names.agent(*agent)))
        }
        EventKind::AttemptFailed { attempt, agent, failure, proof, .. } => {
            let left = match proof {
                EndProof::Proved => String::new(),
                EndProof::Unconfirmed { left } => format!("; {left} of its processes could not be ended"),
            };
            format!("attempt {attempt} on {} failed: {}{left}", Safe::line(names.agent(*agent)), failed(failure))
        }
        EventKind::AnswerDropped { attempt, .. } => {
            format!("attempt {attempt} answered after its end: the answer is dropped")
        }
        _ => return None,
    };
    Some(line)
}

/// Why a step waits, and for how long where there is a time, to stand behind its name.
#[must_use]
pub fn waits(why: &WaitReason, until: Option<Micros>, names: &Names, now: Micros) -> String {
    let rest = until.map(|at| at.saturating_sub(now));
    match why {
        WaitReason::Backoff { retry, limit } => {
            let wait = rest.map_or_else(|| "a while".to_owned(), duration);
            format!("waits {wait} before retry {retry} of {limit}")
        }
        WaitReason::Capability { capability, broken } => {
            let broken: Vec<String> = broken.iter().map(|&agent| names.agent(agent).to_owned()).collect();
            format!("waits for an agent that can do {}; broken: {}", Safe::line(capability), list(&broken))
        }
        WaitReason::RateLimit { agents, .. } => {
            let wait = rest.map_or_else(|| "a while".to_owned(), duration);
            format!("waits {wait}: {} takes no more calls", agent_list(agents, names))
        }
        WaitReason::Breaker { agents, .. } => {
            let wait = rest.map_or_else(String::new, |rest| format!(" {}", duration(rest)));
            format!("waits{wait}: the breaker of {} is open", agent_list(agents, names))
        }
        WaitReason::Approval => "waits for a person's yes or no".to_owned(),
        WaitReason::Person => "waits for a person: its retries are spent".to_owned(),
        WaitReason::Lock { lock, holder } => {
            format!("waits for the lock {}, held by {}", Safe::line(lock), Safe::line(names.step(*holder)))
        }
        WaitReason::Semaphore { semaphore, holders } => {
            format!("waits for the semaphore {}, held by {}", Safe::line(semaphore), step_list(holders, names))
        }
        WaitReason::Barrier { barrier, missing } => {
            format!("waits at the barrier {} for {}", Safe::line(barrier), step_list(missing, names))
        }
    }
}

fn agent_list(agents: &[AgentId], names: &Names) -> String {
    list(&agents.iter().map(|&agent| names.agent(agent).to_owned()).collect::<Vec<_>>())
}

fn step_list(steps: &[StepId], names: &Names) -> String {
    list(&steps.iter().map(|&step| names.step(step).to_owned()).collect::<Vec<_>>())
}

/// A failure in words: class, mark, message.
pub(crate) fn failed(failure: &Failure) -> String {
    let mark = if failure.injected { " (injected)" } else { "" };
    format!("{}{mark}: {}", failure.class.word().replace('_', " "), message(&failure.message))
}

const fn ending(why: EndingWhy) -> &'static str {
    match why {
        EndingWhy::Timeout => "it took too long",
        EndingWhy::Idle => "it was silent for too long",
        EndingWhy::TakenOver => "a person decided otherwise",
        EndingWhy::Cancel => "it is cancelled",
        EndingWhy::Deadline => "the run's deadline passed",
        EndingWhy::Fault => "a fault struck its agent",
        EndingWhy::Park => "upbeat is to end; it is done again",
    }
}

/// At most a few names.
pub(crate) fn list(names: &[String]) -> String {
    const SHOWN: usize = 5;
    let mut shown: Vec<String> = names.iter().take(SHOWN).map(|name| Safe::line(name).into_string()).collect();
    if names.len() > SHOWN {
        shown.push(format!("{} more", names.len() - SHOWN));
    }
    shown.join(", ")
}

/// A message on one line, cut where it gets long.
pub(crate) fn message(text: &str) -> String {
    let text = Safe::line(text.trim_end()).into_string();
    match text.char_indices().nth(MESSAGE_CHARS_MAX) {
        Some((cut, _)) => format!("{}…", &text[..cut]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::completion::FailureClass;
    use crate::model::id::{AgentId, RunId, StepId};
    use crate::report::sample;

    fn said(kind: EventKind) -> String {
        event_line(&Event { seq: 1, at: Micros::from_secs(3), run: RunId(0), kind }, &sample::names())
    }

    #[test]
    fn durations_read_like_a_person_says_them() {
        let cases = [(0, "0 s"), (340, "340 ms"), (8_000, "8.0 s"), (59_990, "59.9 s"), (65_000, "1 m 05 s")];
        for (ms, text) in cases {
            assert_eq!(duration(Micros::from_millis(ms)), text);
        }
        assert_eq!(duration(Micros::from_secs(7_380)), "2 h 03 m");
    }

    #[test]
    fn control_and_resilience_are_told_in_words() {
        let (step, agent, until) = (StepId(1), AgentId(1), Micros::from_millis(5_500));
        let open = BreakerState::Open { until, cooldown: Micros::from_secs(10) };
        let lines = [
            (
                EventKind::RunCompensating { steps: vec![step, StepId(0)], to: None },
                "undoing what was done: technical, market",
            ),
            (EventKind::RunRolledBack { to: 2 }, "rolled back: the run goes on from checkpoint-2"),
            (
                EventKind::AgentParked { agent, until, said: Some(1) },
                "agent technical-1 takes no calls for 2.5 s: it said so itself",
            ),
            (
                EventKind::BreakerChanged { agent, to: open, reason: "3 failures".into() },
                "breaker of agent technical-1 is open, a probe in 2.5 s: 3 failures",
            ),
            (EventKind::StepSkipped { step, why: SkipReason::ByHand }, "technical skipped by hand"),
            (
                EventKind::StepTakenOver { step, then: TakeOver::Reassign(Some(agent)) },
                "technical is given to agent technical-1",
            ),
            (EventKind::CheckpointMade { checkpoint: 3, step }, "technical is critical: checkpoint-3 stands before it"),
            (
                EventKind::AttemptStarted { step, attempt: 2, agent, fallback: None, undo: true },
                "technical is undone by technical-1, attempt 2",
            ),
            (
                EventKind::CompensationFailed { step, failure: Failure::new(FailureClass::Crash, "gone") },
                "technical could not be undone: crash: gone",
            ),
        ];
        for (kind, line) in lines {
            assert_eq!(said(kind), line);
        }
    }

    #[test]
    fn every_line_names_its_step_and_says_one_thing() {
        let (step, agent) = (StepId(1), AgentId(1));
        let started = |attempt| EventKind::AttemptStarted { step, attempt, agent, fallback: None, undo: false };
        assert_eq!(said(started(1)), "technical started on technical-1");
        assert_eq!(said(started(2)), "technical started on technical-1, attempt 2");
        let failure = Failure { injected: true, ..Failure::new(FailureClass::MalformedOutput, "no\nJSON\u{1b}[2J") };
        let proof = EndProof::Unconfirmed { left: 2 };
        assert_eq!(
            said(EventKind::AttemptFailed { step, attempt: 1, agent, failure, usage: None, proof }),
            "technical attempt 1 on technical-1 failed: malformed output (injected): no␊JSON; \
             2 of its processes could not be ended"
        );
        let why = WaitReason::Backoff { retry: 1, limit: 2 };
        assert_eq!(
            said(EventKind::StepWaiting { step, why, until: Some(Micros::from_millis(4_500)) }),
            "technical waits 1.5 s before retry 1 of 2"
        );
        let cancelled = |because| EventKind::StepCancelled { step, because, cause: None };
        assert_eq!(said(cancelled(Some(StepId(0)))), "technical cancelled with market");
        assert_eq!(said(cancelled(Some(step))), "technical cancelled");
    }

    #[test]
    fn the_run_and_its_agents_have_lines_of_their_own() {
        assert_eq!(said(EventKind::RunStarted { seed: 5 }), "run r1 of trading started, seed 5");
        let broken = EventKind::AgentBroken {
            agent: AgentId(0),
            reason: "broken by key".into(),
            injected: true,
            until: Some(Micros::from_secs(303)),
        };
        assert_eq!(said(broken), "agent market-1 takes no work (injected): broken by key, heals in 5 m 00 s");
        let end =
            |status, cause| EventKind::RunFinished { state: crate::model::state::RunState::Failed, status, cause };
        assert_eq!(said(end(RunStatus::Deadline, Some(EndCause::Deadline))), "run failed: its deadline passed");
        assert_eq!(said(end(RunStatus::Cancelled, Some(EndCause::Quit))), "run cancelled: quit");
        assert_eq!(said(end(RunStatus::Succeeded, None)), "run succeeded");
    }

    #[test]
    fn long_messages_are_cut() {
        assert_eq!(message(&"x".repeat(1_000)).chars().count(), MESSAGE_CHARS_MAX + 1);
    }
}
