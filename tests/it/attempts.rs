//! Process steps and process agents through the engine's front door: documents, variables, exit classes, floods, stops.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot set its scene has failed")]

use crate::processes::{DEADLINE, PROGRAM, Scene, is_alive, wait_until};
use serde_json::{Value, json};
use std::sync::Arc;
use upbeat::model::agent::{Agent, AgentKind, ProcessAgent};
use upbeat::model::command::Command;
use upbeat::model::completion::{EndProof, Failure, FailureClass};
use upbeat::model::defaults;
use upbeat::model::event::EventKind;
use upbeat::model::state::EndCause;
use upbeat::model::step::{EnvValue, Step, Work};
use upbeat::model::time::Micros;
use upbeat::model::view::RunSummary;
use upbeat::model::workflow::Workflow;
use upbeat::runtime::clock::ClockKind;
use upbeat::runtime::handle::{Handle, RunOrder};
use upbeat::runtime::logs::{Body, Stream};
use upbeat::runtime::{Config, start};

fn step(work: Work) -> Step {
    Step {
        action: Some("act".into()),
        timeout: Some(Micros::from_secs(3_600)),
        retry: defaults::retry(0),
        ..Step::new("s", work)
    }
}

fn run_step(line: &str) -> Step {
    step(Work::Run { line: line.to_owned() })
}

/// An agent of the file with this command.
fn agent(command: &[&str]) -> Agent {
    let kind = AgentKind::Process(ProcessAgent {
        command: command.iter().map(|word| (*word).to_owned()).collect(),
        cwd: None,
        env: Vec::new(),
        grace: Micros::from_millis(100),
    });
    Agent::new("tool", kind, "any")
}

/// A workflow of one step.
fn workflow(step: Step, agents: Vec<Agent>) -> Workflow {
    let mut workflow = Workflow::new("flow", agents, vec![step]);
    workflow.add_builtins(1);
    workflow
}

/// What is known of a run after its end.
struct Told {
    summary: Box<RunSummary>,
    failures: Vec<Failure>,
    proofs: Vec<EndProof>,
    broken: Vec<String>,
    lines: Vec<(Stream, String)>,
}

impl Told {
    fn output(&self) -> &Value {
        let Some((_, output)) = self.summary.outputs.first() else { panic!("no output: {:?}", self.failures) };
        output
    }
    fn class(&self) -> FailureClass {
        let Some(failure) = self.failures.last() else { panic!("no failure: {:?}", self.summary.outputs) };
        failure.class
    }
    fn message(&self) -> &str {
        &self.failures.last().unwrap().message
    }
    fn of(&self, stream: Stream) -> Vec<&str> {
        self.lines.iter().filter(|(from, _)| *from == stream).map(|(_, text)| text.as_str()).collect()
    }
}

fn lines(handle: &Handle) -> Vec<(Stream, String)> {
    let lines = handle.logs().since(0, usize::MAX).into_iter();
    let text = lines.filter_map(|line| match line.body {
        Body::Text(stream, text) => Some((stream, text.to_string())),
        Body::Event(_) => None,
    });
    text.collect()
}

/// Runs a workflow to its end; `meanwhile` may look and send commands.
fn told_while(workflow: Workflow, meanwhile: impl AsyncFnOnce(&Handle, upbeat::model::id::RunId)) -> Told {
    let runtime = start(Config { clock: ClockKind::Real, speed: 1.0, program: PROGRAM.into(), store: None }).unwrap();
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio.block_on(async {
        let work = async {
            let handle = runtime.handle().clone();
            let order =
                RunOrder { workflow: Arc::new(workflow), name: "run-1".into(), seed: 7, origin: None, reuse: None };
            let run = handle.load(order).await.unwrap();
            handle.command(Command::Start { run }).await.unwrap();
            meanwhile(&handle, run).await;
            let mut events = handle.subscribe().await.unwrap();
            let (mut failures, mut proofs, mut broken) = (Vec::new(), Vec::new(), Vec::new());
            loop {
                let event = events.recv().await.unwrap();
                match &event.kind {
                    EventKind::AttemptFailed { failure, proof, .. } => {
                        failures.push(failure.clone());
                        proofs.push(*proof);
                    }
                    EventKind::AgentBroken { .. } => broken.push(format!("{:?}", event.kind)),
                    kind if kind.name() == "run_finished" => break,
                    _ => {}
                }
            }
            let summary = handle.summary(run).await.unwrap();
            drop(events);
            let lines = lines(&handle);
            runtime.shutdown().await;
            Told { summary, failures, proofs, broken, lines }
        };
        tokio::time::timeout(DEADLINE, work).await.expect("the run never ended")
    })
}

fn told(workflow: Workflow) -> Told {
    told_while(workflow, async |_, _| {})
}

fn by_run(line: &str) -> Told {
    told(workflow(run_step(line), Vec::new()))
}

fn by_agent(line: &str) -> Told {
    let step = step(Work::Capability { capability: "any".into() });
    told(workflow(step, vec![agent(&["/bin/sh", "-c", line])]))
}

#[test]
fn the_document_and_the_variables_say_what_is_asked() {
    let mut asked = step(Work::Capability { capability: "any".into() });
    asked.with = json!({"user.name": "ö", "n": 5, "list": [1], "big": "x".repeat(70_000)}).as_object().unwrap().clone();
    let line = r#"document=$(cat); printf '{"document":%s,"name":"%s","n":"%s","list":"%s","big":"%s","env":"%s %s %s %s"}' \
        "$document" "$UPBEAT_IN_USER_NAME" "$UPBEAT_IN_N" "$UPBEAT_IN_LIST" "${UPBEAT_IN_BIG-none}" \
        "$UPBEAT_RUN_ID" "$UPBEAT_STEP_ID" "$UPBEAT_ATTEMPT" "$TERM""#;
    let told = told(workflow(asked.clone(), vec![agent(&["/bin/sh", "-c", line])]));
    let output = told.output();
    let document = &output["document"];
    assert_eq!(document["input"], Value::Object(asked.with));
    for (key, value) in [
        ("run_id", json!("run-1")),
        ("workflow", json!("flow")),
        ("step_id", json!("s")),
        ("agent", json!("tool")),
        ("attempt", json!(1)),
        ("priority", json!(50)),
        ("action", json!("act")),
    ] {
        assert_eq!(document[key], value, "{key}");
    }
    assert!(document["deadline_ms"].as_u64().is_some_and(|ms| ms > 3_500_000 && ms <= 3_600_000));
    assert!(document["idempotency_key"].as_str().is_some_and(|key| !key.is_empty()));
    let variables = ["name", "n", "list", "big", "env"].map(|key| output[key].as_str().unwrap());
    assert_eq!(variables, ["ö", "5", "[1]", "none", "run-1 s 1 dumb"]);
    let notes = told.of(Stream::Note);
    assert!(notes.iter().any(|note| note.contains("`input.big`") && note.contains("64 KiB")), "{notes:?}");
}

#[test]
fn text_of_run_steps_is_an_output_and_a_log_and_structures_are_taken_as_such() {
    let told = by_run("echo one; echo two >&2; echo three");
    assert_eq!(*told.output(), json!({"stdout": "one\nthree\n"}));
    assert_eq!((told.of(Stream::Stdout), told.of(Stream::Stderr)), (vec!["one", "three"], vec!["two"]));
    assert_eq!(*by_run("echo '{\"a\": [1]}'").output(), json!({"a": [1]}));
    let argv = ["printf", "%s", "$HOME; $(x)"].map(str::to_owned).to_vec();
    let told = self::told(workflow(step(Work::Command { argv }), Vec::new()));
    assert_eq!(*told.output(), json!({"stdout": "$HOME; $(x)"}), "no shell reads a command");
    assert!(by_run("false; echo not reached").failures.len() == 1, "-e holds");
}

#[test]
fn exits_become_the_classes_of_the_contract() {
    use FailureClass::{Crash, Permanent, Transient, Unreachable};
    for (line, local, remote) in [
        ("exit 75", Transient, Transient),
        ("exit 65", Permanent, Permanent),
        ("echo why >&2; exit 1", Crash, Crash),
        ("exit 127", Permanent, Unreachable),
        ("kill -KILL $$", Crash, Crash),
    ] {
        let (run, agent) = (by_run(line), by_agent(line));
        assert_eq!((run.class(), agent.class()), (local, remote), "{line}");
        assert_eq!(run.proofs, [EndProof::Proved]);
        assert_eq!(agent.broken.len(), usize::from(remote == Unreachable), "{line}");
    }
    assert_eq!(by_run("echo first >&2; echo why >&2; exit 1").message(), "exit code 1: why");
}

#[test]
fn what_cannot_start_is_the_step_s_fault_for_commands_and_the_agent_s_for_agents() {
    let argv = vec!["no-such-program".to_owned()];
    let local = told(workflow(step(Work::Command { argv }), Vec::new()));
    assert_eq!(local.class(), FailureClass::Permanent);
    assert!(local.message().contains("no program `no-such-program` in PATH"), "{}", local.message());
    let asked = step(Work::Capability { capability: "any".into() });
    let remote = told(workflow(asked, vec![agent(&["/no/such/agent"])]));
    assert_eq!(remote.class(), FailureClass::Unreachable);
    assert_eq!(remote.broken.len(), 1);
}

#[test]
fn answers_that_are_no_document_are_malformed() {
    for line in ["true", "echo hello", "echo '{} {}'", "echo '{\"a\":1,\"a\":2}'", "exec >&-; sleep 0"] {
        assert_eq!(by_agent(line).class(), FailureClass::MalformedOutput, "{line}");
    }
    assert_eq!(*by_agent("echo null").output(), Value::Null);
}

#[test]
fn a_flood_from_an_agent_is_cut_off_and_one_from_a_step_keeps_both_ends() {
    let flood = by_agent("exec cat /dev/zero");
    assert_eq!(flood.class(), FailureClass::MalformedOutput);
    assert!(flood.message().contains("16 MB"));
    let long = by_run("echo begin; head -c 40000000 /dev/zero | tr '\\0' x; echo; echo end");
    let text = long.output()["stdout"].as_str().unwrap();
    assert!(text.starts_with("begin\nxxx") && text.ends_with("xxx\nend\n") && text.len() < 3_000_000);
    assert!(text.contains("bytes left out"));
    let lines = long.of(Stream::Stdout);
    assert_eq!((lines[0], lines.len(), *lines.last().unwrap()), ("begin", 3, "end"));
    assert!(lines[1].contains("bytes more"));
    let loud = by_run("head -c 4000000 /dev/zero | tr '\\0' '\\n' >&2; echo heard");
    assert_eq!(*loud.output(), json!({"stdout": "heard\n"}), "stderr never fails a step");
}

#[test]
fn input_that_is_never_read_and_streams_that_are_closed_do_no_harm() {
    let mut deaf = run_step("exec <&-; echo fine");
    deaf.with = json!({"big": "x".repeat(3_000_000)}).as_object().unwrap().clone();
    assert_eq!(*told(workflow(deaf.clone(), Vec::new())).output(), json!({"stdout": "fine\n"}));
    deaf.work = Work::Run { line: "echo fine".into() };
    assert_eq!(*told(workflow(deaf.clone(), Vec::new())).output(), json!({"stdout": "fine\n"}));
    deaf.work = Work::Run { line: "wc -c".into() };
    let read = told(workflow(deaf, Vec::new())).output()["stdout"].as_str().unwrap().trim().parse::<u64>().unwrap();
    assert!(read > 3_000_000);
    assert_eq!(*by_run("exec >&- 2>&-; exit 0").output(), json!({"stdout": ""}));
}

#[test]
fn secrets_from_the_environment_are_masked_everywhere() {
    let mut step = run_step("echo \"it is $KEY\"; echo \"$KEY\" >&2; echo \"$OPEN\"");
    let from = |masked| EnvValue::FromEnv { name: "CARGO_PKG_DESCRIPTION".into(), masked };
    step.env = vec![("KEY".into(), from(true)), ("OPEN".into(), EnvValue::Text("open".into()))];
    let secret = env!("CARGO_PKG_DESCRIPTION");
    let shown = told(workflow(step.clone(), Vec::new()));
    assert_eq!(*shown.output(), json!({"stdout": "it is ***\nopen\n"}));
    assert!(shown.lines.iter().all(|(_, text)| !text.contains(secret)), "{:?}", shown.lines);
    assert_eq!(shown.of(Stream::Stderr), ["***"]);
    step.work = Work::Run { line: "echo \"$KEY\" >&2; exit 1".into() };
    assert_eq!(told(workflow(step.clone(), Vec::new())).message(), "exit code 1: ***");
    step.env = vec![("KEY".into(), from(false))];
    assert_eq!(told(workflow(step.clone(), Vec::new())).message(), format!("exit code 1: {secret}"));
    step.env = vec![("LD_PRELOAD".into(), EnvValue::Text("x".into()))];
    let refused = told(workflow(step, Vec::new()));
    assert!(refused.class() == FailureClass::Permanent && refused.message().contains("LD_PRELOAD"));
}

/// The line of the hostile script.
fn hostile(scene: &Scene, then: &str) -> Step {
    let mut step = run_step(&format!("exec sh '{}' '{then}'", scene.path().join("hostile.sh").display()));
    step.env = vec![("DIR".into(), EnvValue::Text(scene.path().to_str().unwrap().into()))];
    step
}

#[test]
fn an_attempt_has_ended_when_its_detached_descendants_are_gone() {
    let scene = Scene::new();
    let told = told(workflow(hostile(&scene, "exit 0"), Vec::new()));
    assert_eq!(*told.output(), json!({"stdout": "ready\n"}), "though they still held the pipe");
    scene.assert_gone();
    let usage = told.summary.usage.unwrap();
    assert!(usage.cpu_s > 0.0 && usage.peak_rss_bytes > 100_000, "{usage:?}");
}

#[test]
fn a_cancel_leaves_nothing_behind_even_when_the_agent_has_stopped_itself() {
    for then in ["exec sleep 1000", "kill -STOP $$; exec sleep 1000"] {
        let scene = Scene::new();
        let told = told_while(workflow(hostile(&scene, then), Vec::new()), async |handle, run| {
            let ready = || lines(handle).iter().any(|(_, text)| text == "ready");
            wait_until("the agent", DEADLINE, ready);
            assert!(scene.pids().iter().all(|pid| is_alive(*pid)));
            for _ in 0..2 {
                // The second one does not wait for the grace.
                handle.command(Command::Cancel { run, cause: EndCause::Cancel }).await.unwrap();
            }
        });
        scene.assert_gone();
        assert_eq!(told.proofs, [EndProof::Proved]);
        assert_eq!(told.class(), FailureClass::Cancelled);
    }
}

#[test]
fn a_timeout_ends_the_whole_tree() {
    let scene = Scene::new();
    let mut step = hostile(&scene, "exec sleep 1000");
    step.work = Work::Capability { capability: "any".into() };
    step.timeout = Some(Micros::from_secs(2));
    let script = scene.path().join("hostile.sh").display().to_string();
    let told = told(workflow(step, vec![agent(&["sh", &script, "exec sleep 1000"])]));
    scene.assert_gone();
    assert_eq!((told.class(), told.proofs.as_slice()), (FailureClass::Timeout, [EndProof::Proved].as_slice()));
}
