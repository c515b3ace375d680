//! The store as its users meet it: begun, written, read, refused, listed.

use super::*;
use crate::model::completion::{EndProof, Failure, FailureClass, Usage};
use crate::model::event::{EndingWhy, Event, EventKind};
use crate::model::id::{AgentId, RunId, StepId};
use crate::model::mapping::Path as DataPath;
use crate::model::policy::Mode;
use crate::model::state::{EndCause, RunState, RunStatus, SkipReason, WaitReason};
use crate::model::time::Micros;
use crate::model::workflow::Workflow;
use serde_json::{Value, json};
use std::sync::Arc;

pub(super) fn header(run: &str) -> Header {
    Header {
        run: run.into(),
        workflow: Arc::new(Workflow::new("flow", Vec::new(), Vec::new())),
        seed: 7,
        began_unix_ms: 1_000,
        files: vec![FileStamp { path: "flow.yaml".into(), hash: file_hash(b"id: flow") }],
        recipe: json!({"set": ["a=1"]}),
        clock: "virtual".into(),
        speed: 1.0,
        from: None,
        version: "0.1.0".into(),
    }
}

pub(super) fn events(kinds: impl IntoIterator<Item = EventKind>, first: u64) -> Vec<Arc<Event>> {
    let event = |(seq, kind)| Arc::new(Event { seq, at: Micros(seq * 10), run: RunId(0), kind });
    (first..).zip(kinds).map(event).collect()
}

/// An event of every kind, small and large.
pub(super) fn every_kind() -> Vec<EventKind> {
    let step = StepId(0);
    let agent = AgentId(1);
    let failure = Failure::new(FailureClass::Crash, "exit code 3\u{1b}[31m");
    let usage = Some(Usage { cpu_s: 0.1, peak_rss_bytes: 1 << 40 });
    let large = Arc::new(json!({"text": "x".repeat(record::LARGE * 2), "n": u64::MAX, "f": 0.1, "i": -5}));
    let mut kinds = vec![
        EventKind::RunStarted { seed: u64::MAX },
        EventKind::StrategyChosen { mode: Mode::Parallel, reason: "because".into() },
        EventKind::RunPausing { park: true },
        EventKind::RunPaused,
        EventKind::RunResumed,
        EventKind::RunStopping,
        EventKind::RunCancelling { cause: EndCause::Quit },
    ];
    kinds.extend([
        EventKind::StepReady { step, input: Some(Arc::new(json!({"a": [1, null]}))), missing: vec!["b".into()] },
        EventKind::StepReady { step, input: Some(large.clone()), missing: Vec::new() },
        EventKind::StepReady { step, input: None, missing: Vec::new() },
        EventKind::AttemptStarted { step, attempt: 1, agent, fallback: Some(2) },
        EventKind::AttemptEnding { step, attempt: 1, why: EndingWhy::Fault },
        EventKind::AttemptSucceeded { step, attempt: 1, agent, usage },
        EventKind::AttemptFailed {
            step,
            attempt: 1,
            agent,
            failure: failure.clone(),
            usage,
            proof: EndProof::Unconfirmed { left: 2 },
        },
        EventKind::AnswerDropped { step, attempt: 1 },
        EventKind::FallbackTaken { step, fallback: 0 },
        EventKind::StepWaiting { step, why: WaitReason::Backoff { retry: 1, limit: 3 }, until: Some(Micros(9)) },
        EventKind::StepWaiting {
            step,
            why: WaitReason::Capability { capability: "w".into(), broken: vec![agent] },
            until: None,
        },
        EventKind::StepSkipped { step, why: SkipReason::Upstream { need: StepId(3) } },
        EventKind::StepSucceeded { step, output: large, fallback: Some(1), reused: Some("r0".into()) },
        EventKind::StepSucceeded { step, output: Arc::new(Value::Null), fallback: None, reused: None },
        EventKind::StepFailed { step, failure },
        EventKind::StepCancelling { step },
        EventKind::StepCancelled { step, because: Some(step), cause: Some(EndCause::Deadline) },
        EventKind::StepReopened { step },
        EventKind::PriorityChanged { step, priority: 100 },
        EventKind::DataChanged { step, paths: vec![DataPath::parse("a.b").unwrap()], missing: vec!["c".into()] },
        EventKind::AgentBroken { agent, reason: "r".into(), injected: true, until: Some(Micros(1)) },
        EventKind::AgentHealed { agent },
        EventKind::FaultFired { fault: "f".into(), agent, kind: "crash".into() },
        EventKind::FaultCleared { fault: "f".into() },
        EventKind::CommandRefused { command: "start".into(), reason: "no".into() },
        EventKind::RunFinished { state: RunState::Partial, status: RunStatus::Partial, cause: None },
        EventKind::RunReopened,
    ]);
    kinds
}

pub(super) fn store() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("store")).unwrap();
    (folder, store)
}

fn plain(events: &[Arc<Event>]) -> Vec<Event> {
    events.iter().map(|event| (**event).clone()).collect()
}

#[test]
fn every_kind_of_event_comes_back_as_it_was() {
    let (_folder, store) = store();
    let written = events(every_kind(), 1);
    let names: std::collections::BTreeSet<&str> = written.iter().map(|event| event.kind.name()).collect();
    assert_eq!(names.len(), 30, "an event of every kind");
    let mut journal = store.create(&header("a1"), SyncMode::Normal).unwrap();
    journal.append(0, &written).unwrap();
    let live = store.read("a1").unwrap();
    assert_eq!(live.events, plain(&written));
    assert_eq!(live.header, header("a1"));
    journal.close().unwrap();
    assert_eq!(store.read("a1").unwrap(), live);
    let (_journal, again) = store.open_journal("a1", SyncMode::Full).unwrap();
    assert_eq!(again, live);
}
