//! Events for machines: what a line of `--output jsonl` says.
//!
//! Steps and agents go by name, times are milliseconds since the run started, reasons are words. The payload of a step
//! is left out, and its output where it is large: both are in the result document or in the store.

use super::result::{scores_json, usage_json};
use crate::model::completion::{EndProof, Failure, Usage};
use crate::model::event::{EndingWhy, Event, EventKind, TakeOver};
use crate::model::growth::{Addition, item_name};
use crate::model::id::{AgentId, Name, StepId};
use crate::model::state::{BreakerState, EndCause, SkipReason, WaitReason};
use crate::model::step::Fallback;
use crate::model::time::Micros;
use crate::model::view::{AgentView, RunView};
use crate::model::workflow::Workflow;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// An output is part of its event up to this many bytes of JSON.
pub const OUTPUT_BYTES_MAX: usize = 1_024;

/// What it takes to call the things in an event by their names.
#[derive(Clone, Debug)]
pub struct Names {
    /// The run's name.
    pub run: Name,
    /// What it executes.
    pub workflow: Arc<Workflow>,
    /// Agents by their place in the registry.
    pub agents: Vec<Name>,
    /// When the run started, by the engine's clock.
    pub started: Option<Micros>,
    /// Steps that joined the run since, behind those of the workflow.
    pub joined: Vec<Name>,
    /// Which step each item belongs to, and its number.
    pub items: BTreeMap<StepId, (StepId, u32)>,
}

impl Names {
    /// The names in a view.
    #[must_use]
    pub fn of(run: &RunView, agents: &[AgentView]) -> Self {
        Self {
            run: run.name.clone(),
            workflow: run.workflow.clone(),
            agents: agents.iter().map(|agent| agent.name.clone()).collect(),
            started: run.started,
            joined: Vec::new(),
            items: (0..)
                .zip(&run.steps)
                .filter_map(|(at, step)| step.part_of.and_then(|(of, index)| Some((StepId(at), (of, index?)))))
                .collect(),
        }
    }
    /// Hears of an event before it is told: steps may have joined.
    pub fn hear(&mut self, event: &Event) {
        let EventKind::StepsAdded { by, first, added, .. } = &event.kind else { return };
        if first.index() != self.workflow.steps.len() + self.joined.len() {
            // They are known already: the picture that the names are from is newer than the event.
            return;
        }
        match (added, by) {
            (Addition::Items(_), Some(by)) => {
                let of = self.step(*by).to_owned();
                for (at, index) in (first.index()..).zip(0..added.count()) {
                    self.joined.push(item_name(&of, index));
                    self.items.insert(StepId::from_index(at), (*by, u32::try_from(index).unwrap_or(u32::MAX)));
                }
            }
            (Addition::Steps(steps) | Addition::Part { steps, .. }, _) => {
                self.joined.extend(steps.iter().map(|step| step.id.clone()));
            }
            (Addition::Items(_), None) => {}
        }
    }
    /// A step's name.
    #[must_use]
    pub fn step(&self, id: StepId) -> &str {
        let joined = || self.joined.get(id.index().checked_sub(self.workflow.steps.len())?);
        let own = self.workflow.steps.get(id.index()).map(|step| &step.id);
        own.or_else(joined).map_or("?", |name| name)
    }
    /// An agent's name.
    #[must_use]
    pub fn agent(&self, id: AgentId) -> &str {
        self.agents.get(id.index()).map_or("?", |name| name)
    }
    /// A fallback of a step, by its place in the list.
    #[must_use]
    pub fn fallback(&self, step: StepId, place: u32) -> Option<&Fallback> {
        let of = self.items.get(&step).map_or(step, |(of, _)| *of);
        self.workflow.steps.get(of.index())?.fallback.get(place as usize)
    }
    /// Milliseconds since the run started.
    fn since_start(&self, at: Micros) -> Value {
        millis(at.saturating_sub(self.started.unwrap_or(at)))
    }
}

/// Milliseconds: whole where they are whole.
fn millis(time: Micros) -> Value {
    if time.0.is_multiple_of(1_000) { json!(time.as_millis()) } else { json!(time.as_secs_f64() * 1e3) }
}

/// An event as JSON: `seq`, `at_ms`, `event`, then `step`, `attempt` and `agent` where it concerns one, then its own
/// members.
#[must_use]
pub fn event_json(event: &Event, names: &Names) -> Value {
    let mut out = Map::new();
    out.insert("seq".to_owned(), json!(event.seq));
    out.insert("at_ms".to_owned(), names.since_start(event.at));
    out.insert("event".to_owned(), json!(event.kind.name()));
    if let Some(step) = event.kind.step() {
        let item = names.items.get(&step);
        out.insert("step".to_owned(), json!(names.step(item.map_or(step, |(of, _)| *of))));
        if let Some((_, index)) = item {
            out.insert("item".to_owned(), json!(index));
        }
    }
    if let Some(attempt) = event.kind.attempt() {
        out.insert("attempt".to_owned(), json!(attempt));
    }
    if let Some(agent) = event.kind.agent() {
        out.insert("agent".to_owned(), json!(names.agent(agent)));
    }
    if let Value::Object(own) = own_members(&event.kind, names) {
        out.extend(own.into_iter().filter(|(_, value)| !value.is_null()));
    }
    Value::Object(out)
}

/// What an event says beside when, which step and who. Members that are null are left out by the caller.
fn own_members(kind: &EventKind, names: &Names) -> Value {
    match kind {
        EventKind::RunStarted { seed } => {
            json!({"run_id": &*names.run, "workflow": &*names.workflow.id, "seed": seed})
        }
        EventKind::StrategyChosen { mode, reason } => json!({"strategy": mode.word(), "reason": reason}),
        EventKind::RunCancelling { cause } => json!({"cause": cause_word(*cause)}),
        EventKind::RunFinished { state, status, cause } => {
            json!({"state": state.word(), "status": status.word(), "cause": cause.map(cause_word)})
        }
        EventKind::StepReady { missing, .. } => json!({"missing": non_empty(missing)}),
        EventKind::StepWaiting { why, until, .. } => waiting(why, *until, names),
        EventKind::StepSkipped { why, .. } => skipped(*why, names),
        EventKind::StepSucceeded { output, fallback, reused, .. } => succeeded(output, *fallback, reused.as_deref()),
        EventKind::WorkflowChanged { workflow, .. } => json!({"workflow": &*workflow.id}),
        EventKind::StepFailed { failure, .. } => failed(failure, None, EndProof::Proved),
        EventKind::AttemptFailed { failure, usage, proof, .. } => failed(failure, usage.as_ref(), *proof),
        EventKind::StepCancelled { because, cause, .. } => {
            json!({"because": because.map(|step| names.step(step)), "cause": cause.map(cause_word)})
        }
        EventKind::PriorityChanged { priority, .. } => json!({"priority": priority}),
        EventKind::AttemptStarted { fallback, undo, .. } => {
            json!({"fallback": fallback, "undo": undo.then_some(true)})
        }
        EventKind::AttemptEnding { why, .. } => json!({"reason": ending_word(*why)}),
        EventKind::AttemptSucceeded { usage, scores, .. } => {
            json!({"resources": usage.as_ref().map(usage_json), "quality": scores.as_deref().map(scores_json)})
        }
        EventKind::FallbackTaken { step, fallback } => {
            json!({"fallback": fallback, "to": names.fallback(*step, *fallback).map(fallback_json)})
        }
        EventKind::DataChanged { paths, missing, .. } => {
            let paths: Vec<String> = paths.iter().map(ToString::to_string).collect();
            json!({"paths": paths, "missing": non_empty(missing)})
        }
        EventKind::AgentBroken { reason, injected, until, .. } => {
            json!({"reason": reason, "injected": injected, "until_ms": until.map(|at| names.since_start(at))})
        }
        EventKind::FaultFired { fault, kind, .. } => json!({"fault": &**fault, "kind": &**kind}),
        EventKind::FaultCleared { fault } => json!({"fault": &**fault}),
        EventKind::CommandRefused { command, reason } => json!({"command": &**command, "reason": reason}),
        other => control_members(other, names),
    }
}

/// The same of what steers a run, and of what keeps agents from harm.
fn control_members(kind: &EventKind, names: &Names) -> Value {
    match kind {
        EventKind::RunPausing { park, .. } => json!({"park": park.then_some(true)}),
        EventKind::RunPaused { frozen } => json!({"frozen": frozen.then_some(true)}),
        EventKind::RunCompensating { steps, to } => {
            json!({"steps": steps.iter().map(|step| names.step(*step)).collect::<Vec<_>>(), "checkpoint": to})
        }
        EventKind::StepsAdded { first, added, .. } => {
            let all = (first.index()..first.index() + added.count()).map(StepId::from_index);
            json!({"steps": all.map(|step| names.step(step)).collect::<Vec<_>>()})
        }
        EventKind::RouteChosen { decision, .. } => {
            let path: Vec<&str> = decision.path.iter().map(|name| &**name).collect();
            json!({"path": path, "reason": decision.reason, "cached": decision.cached})
        }
        EventKind::StepsRemoved { steps, .. } => {
            json!({"steps": steps.iter().map(|step| names.step(*step)).collect::<Vec<_>>()})
        }
        EventKind::StepsRestored { steps } => {
            json!({"steps": steps.iter().map(|(step, _)| names.step(*step)).collect::<Vec<_>>()})
        }
        EventKind::StepRewired { needs, .. } => {
            json!({"needs": needs.iter().map(|need| names.step(need.step)).collect::<Vec<_>>()})
        }
        EventKind::EditUndone { edit } => json!({"edit": edit}),
        EventKind::ResultReady { failure, .. } => {
            failure.as_ref().map_or(Value::Null, |failure| failed(failure, None, EndProof::Proved))
        }
        EventKind::StepCancelling { because, .. } => json!({"because": because.map(|step| names.step(step))}),
        EventKind::RunRolledBack { to } => json!({"checkpoint": to}),
        EventKind::RunEscalated { succeeded, counted } => json!({"succeeded": succeeded, "counted": counted}),
        EventKind::RunAnswered { approved } => json!({"approved": approved}),
        EventKind::CheckpointMade { checkpoint, .. } => json!({"checkpoint": checkpoint}),
        EventKind::StepTakenOver { then, .. } => taken_over(then, names),
        EventKind::StepCompensated { output, .. } => succeeded(output, None, None),
        EventKind::CompensationFailed { failure, .. } => failed(failure, None, EndProof::Proved),
        EventKind::AgentParked { until, said, .. } => {
            let why = if said.is_some() { "the agent said so" } else { "its declared rate is used up" };
            json!({"reason": why, "until_ms": names.since_start(*until)})
        }
        EventKind::BreakerChanged { to, reason, .. } => {
            let until = match to {
                BreakerState::Open { until, .. } => Some(names.since_start(*until)),
                _ => None,
            };
            json!({"to": to.word(), "reason": reason, "until_ms": until})
        }
        // The rest says all it has to say with its name, its step and its agent.
        _ => Value::Null,
    }
}

fn non_empty(names: &[String]) -> Option<&[String]> {
    (!names.is_empty()).then_some(names)
}

fn waiting(why: &WaitReason, until: Option<Micros>, names: &Names) -> Value {
    let until = until.map(|at| names.since_start(at));
    match why {
        WaitReason::Backoff { retry, limit } => {
            json!({"reason": "backoff", "retry": retry, "limit": limit, "until_ms": until})
        }
        WaitReason::Capability { capability, broken } => {
            let broken: Vec<&str> = broken.iter().map(|&agent| names.agent(agent)).collect();
            json!({"reason": "capability", "capability": &**capability, "broken": broken, "until_ms": until})
        }
        WaitReason::RateLimit { capability, agents } | WaitReason::Breaker { capability, agents } => {
            let agents: Vec<&str> = agents.iter().map(|&agent| names.agent(agent)).collect();
            let reason = why.word().replace(' ', "_");
            json!({"reason": reason, "capability": &**capability, "agents": agents, "until_ms": until})
        }
        WaitReason::Approval | WaitReason::Person => json!({"reason": why.word(), "until_ms": until}),
        WaitReason::Lock { lock, holder } => {
            json!({"reason": "lock", "lock": &**lock, "holders": [names.step(*holder)]})
        }
        WaitReason::Semaphore { semaphore, holders } => {
            let holders: Vec<&str> = holders.iter().map(|step| names.step(*step)).collect();
            json!({"reason": "semaphore", "semaphore": &**semaphore, "holders": holders})
        }
        WaitReason::Barrier { barrier, missing } => {
            let missing: Vec<&str> = missing.iter().map(|step| names.step(*step)).collect();
            json!({"reason": "barrier", "barrier": &**barrier, "missing": missing})
        }
    }
}

fn taken_over(then: &TakeOver, names: &Names) -> Value {
    match then {
        TakeOver::Skip => json!({"then": "skip"}),
        TakeOver::Complete(_) => json!({"then": "complete"}),
        TakeOver::Reassign(to) => json!({"then": "reassign", "to": to.map(|agent| names.agent(agent))}),
    }
}

fn skipped(why: SkipReason, names: &Names) -> Value {
    match why {
        SkipReason::Upstream { need } => json!({"reason": "upstream", "need": names.step(need)}),
        SkipReason::NotNeeded { need } => json!({"reason": "not_needed", "need": names.step(need)}),
        SkipReason::Condition => json!({"reason": "condition"}),
        SkipReason::ByHand => json!({"reason": "by_hand"}),
    }
}

fn succeeded(output: &Value, fallback: Option<u32>, reused: Option<&str>) -> Value {
    let mut counter = Counter::default();
    let small = serde_json::to_writer(&mut counter, output).is_ok();
    if small {
        json!({"output": output, "fallback": fallback, "reused_from": reused})
    } else {
        json!({"output_omitted": true, "fallback": fallback, "reused_from": reused})
    }
}

/// Measures without keeping, and gives up beyond the bound: a large output is not written twice to learn its size.
#[derive(Default)]
struct Counter(usize);

impl std::io::Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len();
        if self.0 > OUTPUT_BYTES_MAX { Err(std::io::ErrorKind::FileTooLarge.into()) } else { Ok(bytes.len()) }
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn failed(failure: &Failure, usage: Option<&Usage>, proof: EndProof) -> Value {
    let left = match proof {
        EndProof::Proved => None,
        EndProof::Unconfirmed { left } => Some(left),
    };
    json!({
        "class": failure.class.word(),
        "message": failure.message,
        "injected": failure.injected,
        "retryable": failure.class.retryable(),
        "resources": usage.map(usage_json),
        "processes_left": left,
    })
}

fn fallback_json(fallback: &Fallback) -> Value {
    match fallback {
        Fallback::Agent(agent) => json!({"agent": &**agent}),
        Fallback::Capability(capability) => json!({"capability": &**capability}),
        Fallback::Value(_) => json!("value"),
    }
}

const fn cause_word(cause: EndCause) -> &'static str {
    match cause {
        EndCause::Cancel => "cancel",
        EndCause::Quit => "quit",
        EndCause::Terminate => "terminate",
        EndCause::HangUp => "hang_up",
        EndCause::Deadline => "deadline",
        EndCause::FailFast => "fail_fast",
        EndCause::Stop => "stop",
        EndCause::Rollback => "rollback",
        EndCause::Reject => "reject",
    }
}

const fn ending_word(why: EndingWhy) -> &'static str {
    match why {
        EndingWhy::Timeout => "timeout",
        EndingWhy::Idle => "idle",
        EndingWhy::TakenOver => "taken_over",
        EndingWhy::Cancel => "cancel",
        EndingWhy::Deadline => "deadline",
        EndingWhy::Fault => "fault",
        EndingWhy::Park => "park",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::completion::FailureClass;
    use crate::model::id::RunId;
    use crate::model::policy::Mode;
    use crate::report::{json, sample};

    fn text(at: u64, kind: EventKind) -> String {
        json::line(&event_json(&Event { seq: 7, at: Micros(at), run: RunId(0), kind }, &sample::names()))
    }

    #[test]
    fn events_name_steps_and_agents_and_count_from_the_start_of_the_run() {
        let started =
            EventKind::AttemptStarted { step: StepId(1), attempt: 2, agent: AgentId(1), fallback: None, undo: false };
        assert_eq!(
            text(3_000_000, started),
            r#"{"seq":7,"at_ms":2000,"event":"attempt_started","step":"technical","attempt":2,"agent":"technical-1"}"#
        );
        assert_eq!(
            text(1_000_500, EventKind::RunPausing { park: false }),
            r#"{"seq":7,"at_ms":0.5,"event":"run_pausing"}"#
        );
        assert_eq!(
            text(1_000_000, EventKind::RunStarted { seed: 3 }),
            r#"{"seq":7,"at_ms":0,"event":"run_started","run_id":"r1","workflow":"trading","seed":3}"#
        );
        assert_eq!(
            text(1_000_000, EventKind::StrategyChosen { mode: Mode::Parallel, reason: "the default".into() }),
            r#"{"seq":7,"at_ms":0,"event":"strategy_chosen","strategy":"parallel","reason":"the default"}"#
        );
    }

    #[test]
    fn reasons_are_words_with_their_details() {
        let why = WaitReason::Backoff { retry: 1, limit: 2 };
        let waiting = EventKind::StepWaiting { step: StepId(0), why, until: Some(Micros(1_250_000)) };
        assert!(text(1_000_000, waiting).ends_with(r#""reason":"backoff","retry":1,"limit":2,"until_ms":250}"#));
        let why = WaitReason::Capability { capability: "data".into(), broken: vec![AgentId(0)] };
        let waiting = EventKind::StepWaiting { step: StepId(0), why, until: None };
        assert!(
            text(1_000_000, waiting).ends_with(r#""reason":"capability","capability":"data","broken":["market-1"]}"#)
        );
        let why = SkipReason::Upstream { need: StepId(0) };
        let skipped = EventKind::StepSkipped { step: StepId(1), why };
        assert!(text(1_000_000, skipped).ends_with(r#""reason":"upstream","need":"market"}"#));
        let failure = Failure { injected: true, ..Failure::new(FailureClass::Crash, "gone") };
        let failed = EventKind::StepFailed { step: StepId(1), failure };
        assert!(
            text(1_000_000, failed).ends_with(r#""class":"crash","message":"gone","injected":true,"retryable":true}"#)
        );
    }

    #[test]
    fn large_outputs_are_left_out_and_small_ones_kept() {
        let done = |output: Value| EventKind::StepSucceeded {
            step: StepId(0),
            output: output.into(),
            fallback: None,
            reused: None,
        };
        assert!(text(0, done(json!({"n": 1}))).ends_with(r#""output":{"n":1}}"#));
        let large = text(0, done(json!({"text": "x".repeat(OUTPUT_BYTES_MAX)})));
        assert!(large.ends_with(r#""output_omitted":true}"#), "{large}");
    }
}
