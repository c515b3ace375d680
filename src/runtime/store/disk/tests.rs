//! The store as its users meet it: begun, written, read, refused, listed.

use super::*;
use crate::model::completion::{EndProof, Failure, FailureClass, Usage};
use crate::model::event::{EndingWhy, Event, EventKind};
use crate::model::id::{AgentId, RunId, StepId};
use crate::model::path::Path as DataPath;
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
        EventKind::RunPaused { frozen: false },
        EventKind::RunResumed,
        EventKind::RunStopping,
        EventKind::RunCancelling { cause: EndCause::Quit },
    ];
    kinds.extend([
        EventKind::StepReady {
            step,
            input: Some(Arc::new(json!({"a": [1, null]}))),
            missing: vec!["b".into()],
            process: None,
        },
        EventKind::StepReady { step, input: Some(large.clone()), missing: Vec::new(), process: None },
        EventKind::StepReady { step, input: None, missing: Vec::new(), process: None },
        EventKind::AttemptStarted { step, attempt: 1, agent, fallback: Some(2), undo: false },
        EventKind::AttemptEnding { step, attempt: 1, why: EndingWhy::Fault },
        EventKind::AttemptSucceeded { step, attempt: 1, agent, usage, scores: None },
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
        EventKind::StepSucceeded { step, output: large, fallback: Some(1), reused: None },
        EventKind::StepSucceeded { step, output: Arc::new(Value::Null), fallback: None, reused: None },
        EventKind::StepFailed { step, failure },
        EventKind::StepCancelling { step, because: None },
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

fn kind(error: Result<impl std::fmt::Debug, StoreError>) -> StoreErrorKind {
    error.unwrap_err().kind
}

/// A run of steps that succeed, two events each.
pub(super) fn steps(count: u32) -> Vec<EventKind> {
    let started = |step| EventKind::AttemptStarted { step, attempt: 1, agent: AgentId(0), fallback: None, undo: false };
    let ended = |step: StepId| {
        let output = Arc::new(json!({"n": step.0, "text": "y".repeat(60)}));
        EventKind::StepSucceeded { step, output, fallback: None, reused: None }
    };
    (0..count).map(StepId).flat_map(|step| [started(step), ended(step)]).collect()
}

#[test]
fn workflows_that_ship_come_back_whole_with_the_header() {
    let (_folder, store) = store();
    let mut read = 0;
    for (at, file) in std::fs::read_dir("workflows").unwrap().enumerate() {
        let path = file.unwrap().path();
        let name = path.to_string_lossy();
        if path.extension().is_none_or(|ending| ending != "yaml") {
            continue;
        }
        let source = crate::spec::source_from_bytes(&name, std::fs::read(&path).unwrap()).unwrap();
        let Some(workflow) = crate::spec::read(&source, &crate::spec::Options::default()).value else { continue };
        let header = Header { workflow: Arc::new(workflow), speed: 0.1, ..header(&format!("r{at}")) };
        drop(store.create(&header, SyncMode::Normal).unwrap());
        assert_eq!(store.read(&header.run).unwrap().header, header, "{name}");
        read += 1;
    }
    assert!(read >= 5, "{read} workflows");
}

#[test]
fn a_run_has_one_writer_and_any_number_of_readers() {
    let (_folder, store) = store();
    let mut journal = store.create(&header("a1"), SyncMode::Normal).unwrap();
    assert!(store.is_live("a1") && !store.is_live("b"));
    let Err(refused) = store.open_journal("a1", SyncMode::Normal) else { panic!("two writers") };
    assert_eq!(refused.kind, StoreErrorKind::InUse { pid: Some(std::process::id()) });
    let all = events(steps(200), 1);
    let reader = {
        let store = store.clone();
        let all = plain(&all);
        std::thread::spawn(move || {
            let mut reads = 0_u64;
            loop {
                let saved = store.read("a1").unwrap();
                assert_eq!(saved.events, all[..saved.events.len()]);
                assert_eq!(saved.events.len() % 4, 0, "half a commit was read");
                reads += 1;
                if saved.events.len() == all.len() {
                    return reads;
                }
            }
        })
    };
    for batch in all.chunks(4) {
        journal.append(batch[0].seq - 1, batch).unwrap();
    }
    assert!(reader.join().unwrap() > 0);
    drop(journal);
    assert!(!store.is_live("a1"));
    assert_eq!(store.open_journal("a1", SyncMode::Normal).unwrap().1.last_seq, 400);
}

#[test]
fn an_append_that_does_not_continue_the_journal_is_refused_and_changes_nothing() {
    let (_folder, store) = store();
    let mut journal = store.create(&header("a1"), SyncMode::Normal).unwrap();
    let all = events(steps(2), 1);
    journal.append(0, &all[..2]).unwrap();
    assert_eq!(kind(journal.append(0, &all[..2])), StoreErrorKind::Conflict { expected: 0, found: 2 });
    assert_eq!(kind(journal.append(2, &all[3..])), StoreErrorKind::Refused);
    journal.append(2, &all[2..]).unwrap();
    assert_eq!(store.read("a1").unwrap().events, plain(&all));
    assert_eq!(kind(store.create(&header("a1"), SyncMode::Normal)), StoreErrorKind::Refused);
}

#[test]
fn a_snapshot_shortens_the_reading_and_a_damaged_one_is_passed_over() {
    let (folder, store) = store();
    let mut journal = store.create(&header("a1"), SyncMode::Normal).unwrap();
    let all = events(steps(10), 1);
    journal.append(0, &all).unwrap();
    assert_eq!(kind(journal.put_snapshot(21, b"later")), StoreErrorKind::Conflict { expected: 21, found: 20 });
    journal.put_snapshot(8, b"state").unwrap();
    journal.put_snapshot(15, b"later state").unwrap();
    drop(journal);
    let saved = store.read("a1").unwrap();
    assert_eq!(saved.snapshot, Some((15, b"later state".to_vec())));
    assert_eq!(saved.events, plain(&all[15..]));
    assert_eq!(store.read_since("a1", 0).unwrap().events, plain(&all));
    assert_eq!(store.read_since("a1", 18).unwrap().with_run(RunId(3)).events[0].run, RunId(3));
    assert_eq!(store.read_since("a1", 99).unwrap().events, []);
    let db = rusqlite::Connection::open(folder.path().join("store/runs/a1/journal.db")).unwrap();
    db.execute("UPDATE snapshot SET bytes = X'00'", []).unwrap();
    drop(db);
    let saved = store.read("a1").unwrap();
    assert_eq!((saved.snapshot, saved.events), (None, plain(&all)));
}

#[test]
fn the_brief_is_the_fold_of_the_events_also_after_reopening() {
    let (_folder, store) = store();
    let mut head = header("a1");
    let step = crate::model::step::Step::new("s", crate::model::step::Work::Run { line: "echo".into() });
    head.workflow = Arc::new(Workflow::new("flow", Vec::new(), vec![step.clone(), step]));
    let mut journal = store.create(&head, SyncMode::Normal).unwrap();
    let step = StepId(1);
    let failure = Failure::new(FailureClass::Crash, "");
    let kinds = [
        EventKind::RunStarted { seed: 1 },
        EventKind::StepFailed { step, failure },
        EventKind::StepReopened { step },
        EventKind::StepSucceeded { step, output: Default::default(), fallback: None, reused: None },
    ];
    let all = events(kinds, 1);
    journal.append(0, &all[..2]).unwrap();
    drop(journal);
    let (mut journal, saved) = store.open_journal("a1", SyncMode::Normal).unwrap();
    assert_eq!((saved.brief.failed, saved.brief.total), (1, 2));
    journal.append(2, &all[2..]).unwrap();
    let mut folded = Brief::new(2);
    all.iter().for_each(|event| folded.apply(&event.kind, event.at));
    assert_eq!((folded.failed, folded.succeeded), (0, 1));
    assert!(store.read("a1").unwrap().brief.agrees_with(&folded));
}

#[test]
fn folders_and_files_are_ours_alone_from_the_first_moment() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let (folder, store) = store();
    let mut journal = store.create(&header("a1"), SyncMode::Normal).unwrap();
    journal.append(0, &events(steps(1), 1)).unwrap();
    store.write_lines("a1", LINES_BYTES_MAX).unwrap().close().unwrap();
    let _history = store.history().unwrap();
    let mut waiting = vec![folder.path().join("store")];
    let mut files = 0;
    while let Some(path) = waiting.pop() {
        let found = path.symlink_metadata().unwrap();
        let mode = found.permissions().mode() & 0o777;
        if found.is_dir() {
            assert_eq!(mode, 0o700, "{}", path.display());
            waiting.extend(path.read_dir().unwrap().map(|entry| entry.unwrap().path()));
        } else {
            assert_eq!(mode, 0o600, "{}", path.display());
            files += 1;
        }
    }
    // journal with log and index, lock, output, history with log and index
    assert!(files >= 7, "{files}");
    drop(journal);

    symlink(folder.path().join("store"), folder.path().join("link")).unwrap();
    assert_eq!(kind(Store::open(&folder.path().join("link"))), StoreErrorKind::Refused);
    let runs = folder.path().join("store/runs");
    symlink(runs.join("a1"), runs.join("b1")).unwrap();
    assert_eq!(kind(store.read("b1")), StoreErrorKind::Refused);
    let elsewhere = folder.path().join("elsewhere.db");
    std::fs::rename(runs.join("a1/journal.db"), &elsewhere).unwrap();
    symlink(&elsewhere, runs.join("a1/journal.db")).unwrap();
    assert_eq!(kind(store.read("a1")), StoreErrorKind::Refused);
    assert_eq!(kind(store.open_journal("a1", SyncMode::Normal)), StoreErrorKind::Refused);
    let open = std::fs::Permissions::from_mode(0o770);
    std::fs::set_permissions(folder.path().join("store"), open).unwrap();
    let refused = Store::open(&folder.path().join("store")).unwrap_err();
    assert_eq!(refused.kind, StoreErrorKind::Refused);
    assert!(refused.way_out.unwrap().contains("chmod go-w"));
}

#[test]
fn names_of_runs_lead_nowhere_but_into_the_store() {
    let (_folder, store) = store();
    for name in ["", "last", ".", "..", "../a", "a/b", "/etc", "-rf", "a\0", "ä", &"x".repeat(65)] {
        assert_eq!(kind(store.create(&header(name), SyncMode::Normal)), StoreErrorKind::Refused, "{name:?}");
        assert_eq!(kind(store.read(name)), StoreErrorKind::NotFound, "{name:?}");
    }
}

#[test]
fn what_a_newer_version_wrote_is_left_alone() {
    let (folder, store) = store();
    drop(store.create(&header("a1"), SyncMode::Normal).unwrap());
    let path = folder.path().join("store/runs/a1/journal.db");
    rusqlite::Connection::open(&path).unwrap().pragma_update(None, "user_version", 2).unwrap();
    let before = std::fs::read(&path).unwrap();
    assert_eq!(kind(store.read("a1")), StoreErrorKind::TooNew);
    assert_eq!(kind(store.open_journal("a1", SyncMode::Normal)), StoreErrorKind::TooNew);
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[test]
fn a_list_is_newest_first_and_survives_a_damaged_run() {
    let (folder, store) = store();
    assert_eq!(kind(store.find("last")), StoreErrorKind::NotFound);
    for (run, began) in [("aa11", 5), ("ab22", 9), ("cc33", 7)] {
        let mut journal = store.create(&Header { began_unix_ms: began, ..header(run) }, SyncMode::Normal).unwrap();
        journal.append(0, &events(steps(3), 1)).unwrap();
    }
    let live = store.open_journal("ab22", SyncMode::Normal).unwrap();
    std::fs::write(folder.path().join("store/runs/aa11/journal.db"), b"not a database, and long enough to be one")
        .unwrap();
    let list = store.list().unwrap();
    let shown: Vec<_> = list.iter().map(|entry| (&*entry.run, entry.live, entry.told.is_ok())).collect();
    assert_eq!(shown, [("aa11", false, false), ("ab22", true, true), ("cc33", false, true)]);
    assert!(list.iter().all(|entry| entry.bytes > 0));
    assert_eq!(list[1].told.as_ref().unwrap().1.attempts, 3);
    drop(live);
    assert_eq!(&*store.find("last").unwrap(), "aa11", "the newest is not passed over in silence");
    assert_eq!(&*store.find("c").unwrap(), "cc33");
    assert_eq!(&*store.find("ab22").unwrap(), "ab22");
    let ambiguous = store.find("a").unwrap_err();
    assert_eq!(ambiguous.kind, StoreErrorKind::Ambiguous);
    assert!(ambiguous.message.contains("aa11, ab22"), "{ambiguous}");
    let missing = store.find("cc34").unwrap_err();
    assert_eq!(missing.kind, StoreErrorKind::NotFound);
    assert!(missing.to_string().contains("did you mean cc33?"), "{missing}");
}

#[test]
fn a_run_that_was_never_complete_is_not_there_and_in_nobodys_way() {
    let (folder, store) = store();
    let making = folder.path().join("store/making/dead");
    folder::make_private(&making).unwrap();
    drop(Lock::take(&making).unwrap());
    std::fs::write(making.join("journal.db"), b"half").unwrap();
    assert_eq!(store.list().unwrap(), []);
    drop(store.create(&header("a1"), SyncMode::Normal).unwrap());
    assert!(!making.exists());
    assert_eq!(store.list().unwrap().len(), 1);
}

#[test]
fn durations_are_averaged_and_follow_a_change() {
    let (_folder, store) = store();
    let mut history = store.history().unwrap();
    history.add([("run:a", Micros(100)), ("run:a", Micros(300)), ("b", Micros(7))]).unwrap();
    let known = history.get(&["b", "run:a", "c"]).unwrap();
    assert_eq!(known[1], Some(Timing { count: 2, mean: Micros(200) }));
    assert_eq!((known[0].unwrap().mean, known[2]), (Micros(7), None));
    let mut other = store.history().unwrap();
    other.add((0..100).map(|_| ("run:a", Micros(1_000)))).unwrap();
    let timing = history.get(&["run:a"]).unwrap()[0].unwrap();
    assert!(timing.count == 102 && timing.mean > Micros(950), "{timing:?}");
}
