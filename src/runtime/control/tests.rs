//! The socket with a real engine behind it and hand-made clients in front of it.

use super::ask::{Ask, Reply, resolve};
use super::client::{Unheard, ask};
use super::serve::{CLIENTS_MAX, LINE_MAX};
use crate::model::agent::{Agent, AgentKind, Simulated};
use crate::model::command::{Command, Rejection, Which};
use crate::model::id::{AgentId, RunId, StepId};
use crate::model::state::RunState;
use crate::model::step::{Need, NeedOn, Step, Work};
use crate::model::time::Micros;
use crate::model::workflow::Workflow;
use crate::runtime::clock::ClockKind;
use crate::runtime::handle::{Handle, Origin, RunOrder};
use crate::runtime::store::disk::{Store, SyncMode};
use crate::runtime::{Config, Runtime, start};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::Arc;

/// One step under way for an hour, and two that need it.
struct Scene {
    _folder: tempfile::TempDir,
    store: Store,
    runtime: Runtime,
    tokio: tokio::runtime::Runtime,
}

impl Scene {
    fn new() -> Self {
        Self::below("store")
    }

    fn below(place: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join(place)).unwrap();
        let step = |id: &str, needs: &[u32]| {
            let needs = needs.iter().map(|&n| Need { step: StepId(n), on: NeedOn::Succeeded });
            let work = Work::Capability { capability: "any".into() };
            Step { needs: needs.collect(), estimate: Some(Micros::from_secs(3_600)), ..Step::new(id, work) }
        };
        let agent = Agent::new("sim", AgentKind::Simulated(Simulated::default()), "any");
        let workflow =
            Workflow::new("w", vec![agent], vec![step("first", &[]), step("then", &[0]), step("last", &[1])]);
        let kept = Some((store.clone(), SyncMode::Normal));
        let config = Config { clock: ClockKind::Real, speed: 1.0, program: PathBuf::from("upbeat"), store: kept };
        let runtime = start(config).unwrap();
        let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        tokio.block_on(async {
            let handle = runtime.handle();
            let origin = Some(Origin::default());
            let order = RunOrder { workflow: Arc::new(workflow), name: "r1".into(), seed: 7, origin, reuse: None };
            let run = handle.load(order).await.unwrap();
            handle.command(Command::Start { run }).await.unwrap();
        });
        Self { _folder: folder, store, runtime, tokio }
    }

    fn handle(&self) -> &Handle {
        self.runtime.handle()
    }

    fn ask(&self, request: &Ask) -> Result<Reply, Unheard> {
        ask(&self.store, "r1", request)
    }

    fn socket(&self) -> PathBuf {
        self.store.run_folder("r1").unwrap().join("control.sock")
    }

    fn connect(&self) -> BufReader<UnixStream> {
        BufReader::new(UnixStream::connect(self.socket()).unwrap())
    }

    fn until(&self, state: RunState) {
        let mut views = self.handle().views();
        let there = async {
            let there = views.wait_for(|view| view.runs[0].state == state);
            tokio::time::timeout(std::time::Duration::from_secs(20), there).await.unwrap().unwrap();
        };
        self.tokio.block_on(there);
    }

    fn close(self) -> Store {
        self.tokio.block_on(self.runtime.shutdown());
        self.store
    }
}

fn say(client: &mut BufReader<UnixStream>, line: &[u8]) -> String {
    client.get_mut().write_all(line).unwrap();
    let mut answer = String::new();
    client.read_line(&mut answer).unwrap();
    answer
}

#[test]
fn a_run_is_steered_by_names_and_the_answer_names_what_was_done() {
    let scene = Scene::new();
    assert_eq!(scene.socket().metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let Reply::Done(told) = scene.ask(&Ask::CancelStep { step: "then".into() }).unwrap() else { panic!() };
    assert_eq!((told.cancelled, told.dependents), (vec!["then".to_owned()], vec!["last".to_owned()]));
    assert!(matches!(scene.ask(&Ask::Pause {}).unwrap(), Reply::Done(_)));
    scene.until(RunState::Pausing);
    assert!(matches!(scene.ask(&Ask::Resume { seq: None }).unwrap(), Reply::Done(_)));
    scene.until(RunState::Running);
    let Reply::Refused(why) = scene.ask(&Ask::Resume { seq: Some(1) }).unwrap() else { panic!() };
    assert!(why.reason.contains("has moved on: its last event is"), "{why}");
    let Reply::Refused(why) = scene.ask(&Ask::CancelStep { step: "lats".into() }).unwrap() else { panic!() };
    assert_eq!(why.to_string(), "the run has no step lats; did you mean last?");
    assert!(matches!(scene.ask(&Ask::Cancel {}).unwrap(), Reply::Done(_)));
    scene.until(RunState::Cancelled);
    let Reply::Refused(why) = scene.ask(&Ask::Cancel {}).unwrap() else { panic!() };
    assert_eq!(why.reason, "the run has ended; it is cancelled");
    let socket = scene.socket();
    let store = scene.close();
    assert!(!socket.exists(), "the socket goes with its process");
    assert!(matches!(ask(&store, "r1", &Ask::Pause {}), Err(Unheard::NobodyThere(_))));
}

#[test]
fn what_was_answered_is_recorded() {
    let scene = Scene::new();
    for priority in 1..=20 {
        assert!(matches!(scene.ask(&Ask::Priority { step: "last".into(), priority }).unwrap(), Reply::Done(_)));
        let events = scene.store.read_since("r1", 0).unwrap().events;
        let last = serde_json::to_value(&events.last().unwrap().kind).unwrap();
        assert_eq!(last["priority"], priority, "{last}");
    }
    scene.close();
}

#[test]
fn hostile_bytes_get_an_error_line_and_the_next_request_an_answer() {
    let scene = Scene::new();
    let mut client = scene.connect();
    let lines: [&[u8]; 7] = [
        b"\n",
        b"{}\n",
        b"\xff\xfe\x00\n",
        b"{\"do\":\"fly\\u001b[2J\"}\n",
        b"{\"do\":\"pause\",\"more\":1}\n",
        b"{\"do\":\"priority\",\"step\":\"last\",\"priority\":101}\n",
        b"{\"do\":\"cancel_priority\",\"from\":9,\"to\":1}\n",
    ];
    for bad in lines {
        let answer = say(&mut client, bad);
        assert!(answer.starts_with("{\"refused\":{\"reason\":") && !answer.contains("u001b"), "{bad:?}: {answer}");
    }
    let deep = [b"[".repeat(100_000), b"\n".to_vec()].concat();
    assert!(say(&mut client, &deep).starts_with("{\"refused\""));
    assert!(say(&mut client, b"{\"do\":\"pause\"}\n").starts_with("{\"done\""));
    // A line without end is answered once, and not read any further.
    let mut long = scene.connect();
    let _ = long.get_mut().write_all(&vec![b'x'; LINE_MAX]);
    let mut answer = String::new();
    long.read_line(&mut answer).unwrap();
    assert!(answer.contains("at most 1048576 bytes"), "{answer}");
    assert_eq!(scene.ask(&Ask::Complete { step: "x".repeat(LINE_MAX), output: 1.into() }), Err(Unheard::TooLong));
    scene.close();
}

#[test]
fn silent_clients_hold_nobody_and_too_many_are_turned_away() {
    let scene = Scene::new();
    let silent: Vec<_> = (0..CLIENTS_MAX).map(|_| scene.connect()).collect();
    let Reply::Refused(why) = scene.ask(&Ask::Pause {}).unwrap() else { panic!() };
    assert_eq!(why.reason, "too many clients at once");
    // The engine goes on all the while, and ends although they are still there.
    scene.tokio.block_on(scene.handle().command(Command::Pause { run: RunId(0) })).unwrap();
    drop(silent);
    while !matches!(scene.ask(&Ask::Resume { seq: None }).unwrap(), Reply::Done(_)) {}
    let mut silent = scene.connect();
    scene.close();
    assert_eq!(silent.read(&mut [0]).unwrap(), 0);
}

#[test]
fn a_path_too_long_for_a_socket_is_got_around_and_nothing_is_left() {
    let long =
        "a-folder-with-a-name-that-alone-takes-most-of-what-a-socket's-address-can-hold-which-is-not-much-at-all";
    let scene = Scene::below(long);
    let pointer = scene.socket().with_file_name("control.at");
    let elsewhere = PathBuf::from(std::fs::read_to_string(&pointer).unwrap());
    assert!(!scene.socket().exists() && elsewhere.metadata().unwrap().permissions().mode() & 0o777 == 0o600);
    assert_eq!(elsewhere.parent().unwrap().metadata().unwrap().permissions().mode() & 0o777, 0o700);
    assert!(matches!(scene.ask(&Ask::Pause {}).unwrap(), Reply::Done(_)));
    scene.close();
    assert!(!pointer.exists() && !elsewhere.exists());
}

#[test]
fn the_socket_of_a_dead_process_is_replaced() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    drop(UnixListener::bind(folder.join("control.sock")).unwrap());
    std::fs::write(folder.join("control.at"), "/nowhere/any.sock").unwrap();
    let bound = super::place::bind(folder).unwrap();
    assert!(super::place::connect(folder).is_ok());
    drop(bound);
    assert_eq!(folder.read_dir().unwrap().count(), 0);
}

#[test]
fn names_become_ids_or_the_nearest_name() {
    let scene = Scene::new();
    let view = scene.handle().views().borrow().clone();
    let meant = |ask: &Ask| resolve(ask, &view, RunId(0));
    let run = RunId(0);
    let by_agent = Ask::CancelAgent { agent: "sim".into(), reassign: true };
    let which = Which::Agent(AgentId(0));
    assert_eq!(meant(&by_agent), Ok(Command::CancelWhere { run, which, reassign: true }));
    let reason = |ask: &Ask| meant(ask).map_err(|rejection: Rejection| rejection.to_string());
    let agent = Ask::CancelAgent { agent: "sin".into(), reassign: false };
    assert_eq!(reason(&agent), Err("the run has no agent sin; did you mean sim?".to_owned()));
    let capability = Ask::CancelCapability { capability: "many".into(), reassign: false };
    assert_eq!(reason(&capability), Err("the run has no capability many; did you mean any?".to_owned()));
    let rollback = Ask::Rollback { to: Some(3) };
    assert!(reason(&rollback).unwrap_err().starts_with("the run has no checkpoint 3; it has none"));
    assert_eq!(meant(&Ask::Rollback { to: None }), Ok(Command::Rollback { run, to: None }));
    scene.close();
}
