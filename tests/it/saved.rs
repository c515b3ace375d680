//! Saved runs, with the real program and real stores: whatever ends upbeat, a run goes on where it was left.
#![expect(clippy::unwrap_used, reason = "a test that cannot set its scene has failed")]

use crate::program::{Folder, Said, command, other, said};
use crate::pty::Terminal;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::io::Read;
use std::process::{Child, Stdio};

/// Steps that leave a trace each; the second one waits for a file.
const TRACES: &str = "
id: traces
data: {name: x}
steps:
  - {id: a, run: 'echo a >> DIR/trace; echo one', output: {stdout: first}}
  - {id: b, run: 'echo b >> DIR/trace; until [ -f DIR/go ]; do sleep 0.01; done; echo two', needs: [a], output: {stdout: second}}
  - {id: c, run: 'echo c >> DIR/trace; echo $UPBEAT_IN_FIRST', input: {first: first}, needs: [b], output: {stdout: third}}
";

pub(crate) struct Scene {
    pub(crate) folder: Folder,
    pub(crate) store: String,
}

impl Scene {
    pub(crate) fn new() -> Self {
        let folder = Folder::new();
        let store = folder.path("runs of mine").to_str().unwrap().to_owned();
        Self { folder, store }
    }
    /// Writes a workflow, with the folder's path for `DIR`.
    pub(crate) fn workflow(&self, text: &str) -> String {
        self.folder
            .file("flow.yaml", &text.replace("DIR", self.folder.path("").to_str().unwrap().trim_end_matches('/')))
    }
    pub(crate) fn upbeat(&self, args: &[&str]) -> Said {
        said(&mut command(&[args, &["--store", &self.store]].concat()), "")
    }
    /// Starts a run and reads what it prints until all of `marks` were there.
    pub(crate) fn run_until(&self, args: &[&str], marks: &[&str]) -> Running {
        let args = [args, &["--store", &self.store, "--output", "jsonl"]].concat();
        let child = command(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut running = Running { child, text: String::new() };
        running.read_until(marks);
        running
    }
    fn go(&self) {
        self.folder.file("go", "");
    }
    /// What the steps left behind, sorted.
    fn traces(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.folder.path("trace")).unwrap_or_default();
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    }
    /// The newest run.
    pub(crate) fn last(&self) -> Value {
        self.upbeat(&["show", "last", "--output", "json"]).json()
    }
}

/// The program, and what it has printed so far.
pub(crate) struct Running {
    child: Child,
    text: String,
}

impl Running {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
    fn read_until(&mut self, marks: &[&str]) {
        let out = self.child.stdout.as_mut().unwrap();
        while !marks.iter().all(|mark| self.text.contains(mark)) {
            let mut some = [0; 4_096];
            let n = out.read(&mut some).unwrap();
            assert!(n > 0, "never printed {marks:?}: {}", self.text);
            self.text += std::str::from_utf8(&some[..n]).unwrap();
        }
    }
    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }
    /// Sends a signal and waits for the end.
    pub(crate) fn end_by(self, signal: Signal) -> Said {
        self.signal(signal);
        self.end()
    }
    /// Waits for the end.
    pub(crate) fn end(mut self) -> Said {
        self.child.stdout.take().unwrap().read_to_string(&mut self.text).unwrap();
        let mut err = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
        Said { code: self.child.wait().unwrap().code().unwrap_or(-1), out: self.text, err }
    }
}

pub(crate) fn started(step: &str) -> String {
    format!("attempt_started\",\"step\":\"{step}")
}

/// The command that a parked run was left with, as a shell would take it apart.
fn resume_command(err: &str) -> Vec<String> {
    let line = err.lines().find_map(|line| line.strip_prefix("resume with: upbeat ")).expect("a resume command");
    let (words, store) = line.split_once(" --store '").expect("the store is named");
    let mut words: Vec<String> = words.split(' ').map(str::to_owned).collect();
    words.extend(["--store".to_owned(), store.strip_suffix('\'').unwrap().to_owned()]);
    words
}

#[test]
fn a_run_left_by_a_signal_goes_on_and_ends_as_if_nothing_had_been() {
    let undisturbed = {
        let scene = Scene::new();
        scene.go();
        let ended = scene.upbeat(&["run", &scene.workflow(TRACES), "--output", "json"]);
        assert_eq!((ended.code, scene.traces()), (0, ["a", "b", "c"].map(str::to_owned).to_vec()), "{}", ended.err);
        ended.json()
    };
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let scene = Scene::new();
        let left = scene.run_until(&["run", &scene.workflow(TRACES)], &[&started("b")]).end_by(signal);
        assert_eq!(left.code, 75, "{signal:?}: {}", left.err);
        let last = left.lines().pop().unwrap();
        assert_eq!((&last["event"], &last["result"]["status"]), (&json!("run_finished"), &json!("parked")));
        assert_eq!(left.lines()[left.lines().len() - 2]["event"], "run_paused");
        scene.go();
        let words = resume_command(&left.err);
        let words: Vec<&str> = words.iter().map(String::as_str).chain(["--output", "jsonl"]).collect();
        let ended = said(&mut command(&words), "");
        assert_eq!(ended.code, 0, "{signal:?}: {}", ended.err);
        assert!(ended.err.contains("1 of 3 steps done and stay so\n"), "{}", ended.err);
        assert!(ended.err.contains("begun before, done again: b\n"), "{}", ended.err);
        let lines = ended.lines();
        let before = left.lines().len() as u64 - 1;
        for (at, line) in (before + 1..).zip(&lines) {
            assert_eq!(line["seq"], at, "numbers go on: {line}");
        }
        assert_eq!(lines[0]["event"], "run_resumed");
        assert!(lines[0]["at_ms"].as_f64() >= left.lines()[left.lines().len() - 2]["at_ms"].as_f64());
        let result = &lines[lines.len() - 1]["result"];
        for member in ["status", "data", "outputs", "errors"] {
            assert_eq!(result[member], undisturbed[member], "{signal:?} {member}");
        }
        assert_eq!(result["metadata"]["steps"], undisturbed["metadata"]["steps"]);
        let traces = scene.traces();
        assert_eq!((&*traces[0], &*traces[traces.len() - 1]), ("a", "c"));
        assert_eq!(traces.iter().filter(|trace| *trace == "a" || *trace == "c").count(), 2, "{traces:?}");
    }
}

/// Four ways to be lost, on an agent that takes its time.
const LOST: &str = "
agents:
  worker: {kind: simulated, capabilities: [work], slots: 4, duration: 10m}
defaults: {retry: 0}
steps:
  - {id: again, capability: work, on_unknown: retry}
  - {id: harmless, capability: work, idempotent: true}
  - {id: asked, capability: work}
  - {id: given_up, capability: work, on_unknown: fail}
";

#[test]
fn a_killed_run_goes_on_and_each_lost_step_does_what_it_declares() {
    let scene = Scene::new();
    let marks = ["again", "harmless", "asked", "given_up"].map(started);
    let marks: Vec<&str> = marks.iter().map(String::as_str).collect();
    let running = scene.run_until(&["run", &scene.workflow(LOST)], &marks);
    let held = running.pid();
    let refused = scene.upbeat(&["resume", "last"]);
    assert_eq!(refused.code, 2);
    assert!(refused.err.contains(&format!("is under way in process {held}; leave it there")), "{}", refused.err);
    running.end_by(Signal::KILL);

    assert_eq!(scene.last()["run"]["state"], "interrupted");
    let ended = scene.upbeat(&["resume", "last", "--speed", "1000000", "--output", "json"]);
    assert_eq!(ended.code, 1, "{}", ended.err);
    for line in [
        "again was under way (attempt 1 on worker): it is done again\n",
        "harmless was under way (attempt 1 on worker): it is done again\n",
        "asked was under way (attempt 1 on worker): it fails: upbeat ended while it ran, and nobody is there",
        "given_up was under way (attempt 1 on worker): it fails: upbeat ended while it ran, and it is declared",
    ] {
        assert!(ended.err.contains(line), "{line} is not in\n{}", ended.err);
    }
    let result = ended.json();
    assert_eq!(result["metadata"]["steps"]["succeeded"], 2, "a lost attempt spends no retry");
    let failed: Vec<(&str, &str)> = (result["errors"].as_array().unwrap().iter())
        .map(|error| (error["step"].as_str().unwrap(), error["class"].as_str().unwrap()))
        .collect();
    assert_eq!(failed, [("asked", "unknown"), ("given_up", "unknown")]);
    let way_out = result["errors"][0]["message"].as_str().unwrap();
    assert!(way_out.contains(&format!("upbeat retry {} --step asked", result["run_id"].as_str().unwrap())));

    let fast = ["--speed", "1000000", "--output", "json"];
    let ended = scene.upbeat(&[&["retry", "last", "--step", "asked"][..], &fast].concat());
    assert_eq!((ended.code, ended.json()["metadata"]["steps"]["succeeded"].as_u64()), (1, Some(3)), "{}", ended.err);
    let ended = scene.upbeat(&[&["retry", "last"][..], &fast].concat());
    assert_eq!((ended.code, ended.json()["status"].as_str()), (0, Some("succeeded")), "{}", ended.err);
    assert!(ended.err.contains("tried again: given_up\n"), "{}", ended.err);
    let events = scene.upbeat(&["replay", "last", "--output", "jsonl"]).lines();
    assert!(events.iter().zip(1_u64..).all(|(event, seq)| event["seq"] == seq));
    let names: Vec<&str> = events.iter().filter_map(|event| event["event"].as_str()).collect();
    assert_eq!(names.iter().filter(|name| **name == "run_interrupted").count(), 1);
    assert_eq!(names.iter().filter(|name| **name == "run_finished").count(), 3);
}

#[test]
fn a_run_is_resumed_only_where_it_stands_and_only_while_it_can_go_on() {
    let scene = Scene::new();
    let file = scene.workflow(TRACES);
    let left = scene.run_until(&["run", &file], &[&started("b")]).end_by(Signal::INT);
    let token = resume_command(&left.err)[1].clone();
    let (run, seq) = token.split_once('@').unwrap();
    let seq: u64 = seq.parse().unwrap();
    assert_eq!(scene.last()["run"]["token"], token);
    let refused = |args: &[&str], words: &[&str]| {
        let ended = scene.upbeat(args);
        assert_eq!((ended.code, ended.out.as_str()), (2, ""), "{args:?}: {}", ended.err);
        for word in words {
            assert!(ended.err.contains(word), "{args:?}: {word} is not in\n{}", ended.err);
        }
    };
    refused(&["resume", &format!("{run}@{}", seq - 1)], &["has moved on", &format!("is {seq}, not"), &token]);
    refused(&["resume", &format!("{run}@x")], &["x is not the number of an event"]);
    refused(&["resume", "nothing"], &["there is no run nothing"]);
    refused(&["retry", run], &["nothing of it failed"]);
    refused(&["retry", run, "--step", "aa"], &["has no step aa"]);
    scene.go();
    assert_eq!(scene.upbeat(&["resume", &token]).code, 0);
    refused(&["resume", run], &["has ended, it is succeeded", "upbeat rerun"]);
    refused(&["resume", &token], &["has moved on"]);
}

#[test]
fn a_changed_file_is_refused_with_what_changed_unless_that_is_accepted() {
    let scene = Scene::new();
    let left = |scene: &Scene| {
        let _ = std::fs::remove_file(scene.folder.path("go"));
        let file = scene.workflow(TRACES);
        assert_eq!(scene.run_until(&["run", &file], &[&started("b")]).end_by(Signal::INT).code, 75);
        scene.go();
    };
    left(&scene);
    scene.workflow(&format!("# only a remark\n{TRACES}"));
    let ended = scene.upbeat(&["resume", "last", "--output", "json"]);
    assert_eq!(ended.code, 0, "{}", ended.err);
    assert!(ended.err.contains("nothing in it that the run would notice\n"), "{}", ended.err);

    left(&scene);
    let changed = TRACES.replace("id: c, ", "id: c, priority: high, ").replace("id: b,", "id: b, timeout: 5m,");
    scene.workflow(&(changed + "  - {id: d, run: 'echo four', needs: [c], output: {stdout: fourth}}\n"));
    let refused = scene.upbeat(&["resume", "last"]);
    assert_eq!((refused.code, refused.out.as_str()), (2, ""));
    for line in
        ["\n  step b: timeout changed\n", "\n  step c: priority changed\n", "\n  step d: added\n", "--accept-changes"]
    {
        assert!(refused.err.contains(line), "{line}: {}", refused.err);
    }
    let ended = scene.upbeat(&["resume", "last", "--accept-changes", "--output", "json"]);
    assert_eq!(ended.code, 0, "{}", ended.err);
    assert_eq!(ended.json()["data"]["fourth"], "four\n");
    assert_eq!(ended.json()["metadata"]["steps"]["succeeded"], 4);

    left(&scene);
    scene.workflow(&TRACES.replace("echo two", "echo deux"));
    std::fs::remove_file(scene.folder.path("go")).unwrap();
    let accepted = ["resume", "last", "--accept-changes"];
    assert_eq!(scene.run_until(&accepted, &[&started("b")]).end_by(Signal::TERM).code, 75);
    scene.go();
    let ended = scene.upbeat(&["resume", "last", "--output", "json"]);
    assert_eq!((ended.code, &ended.json()["data"]["second"]), (0, &json!("deux\n")), "{}", ended.err);
    assert!(!ended.err.contains("changed since"), "what was accepted is not asked about again: {}", ended.err);

    left(&scene);
    let file = scene.folder.path("flow.yaml");
    std::fs::write(&file, "steps: [{id: a, run: 1}]").unwrap();
    let refused = scene.upbeat(&["resume", "last"]);
    assert_eq!(refused.code, 2);
    assert!(refused.err.contains("cannot be used as it is"), "{}", refused.err);
    std::fs::remove_file(&file).unwrap();
    let ended = scene.upbeat(&["resume", "last", "--output", "json"]);
    assert_eq!((ended.code, &ended.json()["data"]["third"]), (0, &json!("one\n")), "{}", ended.err);
    assert!(ended.err.contains("flow.yaml is gone; the run goes on with what was saved of it\n"), "{}", ended.err);
}

/// The second step fails until somebody repairs it.
const BROKEN: &str = "
steps:
  - {id: first, run: 'echo first >> DIR/trace; echo 1'}
  - {id: second, run: 'echo second >> DIR/trace; test -f DIR/go', needs: [first]}
  - {id: third, run: 'echo third >> DIR/trace; echo 3', needs: [second]}
  - {id: beside, run: 'echo beside >> DIR/trace; echo 4'}
";

#[test]
fn what_failed_is_tried_again_when_it_has_been_repaired() {
    let scene = Scene::new();
    let ended = scene.upbeat(&["run", &scene.workflow(BROKEN), "--headless"]);
    assert_eq!((ended.code, scene.traces()), (1, ["beside", "first", "second"].map(str::to_owned).to_vec()));
    let way_out =
        ended.out.lines().find_map(|line| line.strip_prefix("  try again  upbeat retry ")).expect("a way out");
    let run = way_out.split(' ').next().unwrap().to_owned();
    scene.go();
    let ended = scene.upbeat(&["retry", &run[..6], "--output", "json"]);
    assert_eq!((ended.code, ended.json()["status"].as_str()), (0, Some("succeeded")), "{}", ended.err);
    assert!(ended.err.contains("2 of 4 steps done and stay so\n"), "{}", ended.err);
    assert!(ended.err.contains("tried again: second, third\n"), "{}", ended.err);
    assert_eq!(scene.traces(), ["beside", "first", "second", "second", "third"]);
    assert_eq!(ended.json()["run_id"], run);
}

#[test]
fn a_rerun_is_a_run_of_its_own_and_takes_over_what_lies_upstream() {
    let scene = Scene::new();
    scene.go();
    let first = scene.upbeat(&["run", &scene.workflow(BROKEN), "--output", "json", "--seed", "7"]).json();
    assert_eq!(first["status"], "succeeded");
    let ended = scene.upbeat(&["rerun", "last", "--from", "second", "--output", "json"]);
    assert_eq!(ended.code, 0, "{}", ended.err);
    assert!(ended.err.contains("taken over: first, beside; 2 of 4 to do\n"), "{}", ended.err);
    let second = ended.json();
    assert_ne!(second["run_id"], first["run_id"]);
    assert_eq!((&second["seed"], &second["outputs"]), (&json!(7), &first["outputs"]));
    assert_eq!(scene.traces(), ["beside", "first", "second", "second", "third", "third"]);
    assert_eq!(scene.last()["run"]["rerun_of"], first["run_id"]);
    assert_eq!(scene.upbeat(&["rerun", "last"]).code, 0);
    assert_eq!(scene.traces().len(), 10);
    let refused = scene.upbeat(&["rerun", "last", "--from", "secnd"]);
    assert_eq!(refused.code, 2);
    assert!(refused.err.contains("did you mean second?"), "{}", refused.err);
}

#[test]
fn a_run_that_was_only_loaded_is_started_by_resume() {
    let scene = Scene::new();
    scene.go();
    let ended = scene.upbeat(&["run", &scene.workflow(TRACES), "--paused", "--output", "json", "--set", "name=y"]);
    assert_eq!((ended.code, ended.json()["status"].as_str()), (75, Some("parked")), "{}", ended.err);
    assert!(ended.err.starts_with("upbeat: loaded and not started (--paused)\n"), "{}", ended.err);
    assert_eq!((scene.traces(), &scene.last()["run"]["state"]), (Vec::<String>::new(), &json!("pending")));
    let ended = scene.upbeat(&["resume", "last", "--output", "json"]);
    assert_eq!((ended.code, &ended.json()["data"]["name"]), (0, &json!("y")), "{}", ended.err);
    assert_eq!(scene.traces(), ["a", "b", "c"]);
}

#[test]
fn a_run_that_was_left_before_it_began_is_the_same_as_one_that_was_not() {
    let scene = Scene::new();
    let text = "
agents: {w: {kind: simulated, capabilities: [work], duration: 1s, fail_rate: 0.4}}
steps: [{id: a, capability: work}, {id: b, capability: work, needs: a}, {id: c, capability: work}]
";
    let file = scene.workflow(text);
    let args = ["run", &file, "--clock", "virtual", "--seed", "5", "--output", "jsonl"];
    let plain = |said: &Said| said.out.replace(said.lines()[0]["run_id"].as_str().unwrap(), "ID");
    let at_once = scene.upbeat(&args);
    assert_eq!(scene.upbeat(&[&args[..], &["--paused"]].concat()).code, 75);
    let later = scene.upbeat(&["resume", "last", "--output", "jsonl"]);
    assert_eq!(plain(&later), plain(&at_once));
}

#[test]
fn a_workflow_from_standard_input_goes_on_as_it_was_read() {
    let scene = Scene::new();
    let text = "steps: [{id: a, run: 'echo hello'}]";
    let left = said(&mut command(&["run", "-", "--paused", "--headless", "--store", &scene.store]), text);
    assert_eq!(left.code, 75, "{}", left.err);
    let ended = scene.upbeat(&["resume", "last", "--output", "json"]);
    assert_eq!((ended.code, &ended.json()["outputs"]["a"]["stdout"]), (0, &json!("hello\n")), "{}", ended.err);
}

#[test]
fn a_second_signal_waits_for_no_grace() {
    let scene = Scene::new();
    let text = "steps: [{id: deaf, run: 'trap \"\" TERM; touch DIR/deaf; while :; do sleep 0.02; done'},
  {id: loud, run: 'until [ -f DIR/deaf ]; do sleep 0.01; done'}]";
    let ready = "step_succeeded\",\"step\":\"loud";
    let mut running = scene.run_until(&["run", &scene.workflow(text)], &[ready]);
    running.signal(Signal::INT);
    running.read_until(&["run_pausing"]);
    let left = running.end_by(Signal::INT);
    assert_eq!(left.code, 75, "{}", left.err);
    let at =
        |name: &str| left.lines().into_iter().find(|line| line["event"] == name).unwrap()["at_ms"].as_f64().unwrap();
    assert!(at("attempt_failed") - at("run_pausing") < 5_000.0, "the grace is five seconds");
}

#[test]
fn a_retry_of_a_parked_run_tries_what_failed_and_goes_on_with_the_rest() {
    let scene = Scene::new();
    let text = "steps: [{id: bad, run: 'test -f DIR/go'}, {id: slow, run: 'until [ -f DIR/go ]; do sleep 0.01; done'}]";
    let failed = "step_failed\",\"step\":\"bad";
    let left = scene.run_until(&["run", &scene.workflow(text)], &[failed, &started("slow")]).end_by(Signal::INT);
    assert_eq!(left.code, 75);
    scene.go();
    let ended = scene.upbeat(&["retry", "last", "--output", "json"]);
    assert_eq!((ended.code, ended.json()["status"].as_str()), (0, Some("succeeded")), "{}", ended.err);
    assert!(ended.err.contains("tried again: bad\n") && ended.err.contains("done again: slow\n"), "{}", ended.err);
}

#[test]
fn how_long_steps_took_is_known_to_the_next_run() {
    let scene = Scene::new();
    scene.go();
    let file = scene.workflow(TRACES);
    let measured = || {
        let run = scene.upbeat(&["run", &file, "--output", "json"]).json()["run_id"].as_str().unwrap().to_owned();
        let db = rusqlite::Connection::open(format!("{}/runs/{run}/journal.db", scene.store)).unwrap();
        let header: Vec<u8> =
            db.query_row("SELECT json FROM header", [], |row| Ok(row.get_ref(0)?.as_bytes()?.to_vec())).unwrap();
        let header: Value = serde_json::from_slice(&header).unwrap();
        header["workflow"]["steps"][0]["measured"].clone()
    };
    assert_eq!(measured(), Value::Null);
    assert!(measured().as_u64().is_some_and(|micros| micros > 0));
}

#[test]
fn on_a_terminal_a_saved_run_goes_on_in_the_panel() {
    let scene = Scene::new();
    let text = "
agents: {w: {kind: simulated, capabilities: [work], duration: 50ms}}
steps: [{id: alpha, capability: work}, {id: beta, capability: work, needs: alpha}]
";
    assert_eq!(scene.upbeat(&["run", &scene.workflow(text), "--paused", "--headless"]).code, 75);
    let folder = scene.folder.path("");
    let mut terminal = Terminal::start(&folder, &["resume", "last", "--store", &scene.store], (120, 40), &[]);
    terminal.wait_for("done after");
    terminal.press("q");
    let (code, left) = terminal.end();
    assert_eq!(code, 0);
    assert!(left.contains("still to do: alpha, beta") && left.contains("saved: survives a kill"), "{left}");
}

#[test]
fn a_full_disk_parks_the_run_and_nothing_that_was_acknowledged_is_lost() {
    let scene = Scene::new();
    let mut text = "steps:\n".to_owned();
    for step in 0..60 {
        let needs = if step == 0 { String::new() } else { format!(", needs: [s{}]", step - 1) };
        text += &format!(
            "  - {{id: s{step}, run: 'echo s{step} >> DIR/trace; head -c 9000 /dev/zero | tr \"\\\\0\" x'{needs}}}\n"
        );
    }
    let file = scene.workflow(&text);
    let mut limited = other("/bin/sh");
    // Files of this process may have 300 KiB; the signal about that is ignored, so that writing fails instead.
    limited.args(["-c", "trap '' XFSZ; ulimit -f 600; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_upbeat")]);
    limited.args(["run", &file, "--store", &scene.store, "--output", "json"]);
    let left = said(&mut limited, "");
    assert_eq!((left.code, left.json()["status"].as_str()), (75, Some("parked")), "{}", left.err);
    assert!(left.err.contains("the run cannot be recorded and is left: "), "{}", left.err);
    assert_eq!(resume_command(&left.err)[0], "resume");
    let done = scene.last()["run"]["done"].as_u64().unwrap();
    assert!(done > 0 && done < 60, "{done}");
    let ended = scene.upbeat(&["resume", "last", "--output", "json"]);
    // What ran when the disk was full is not known: it is tried again by hand.
    let ended = if ended.code == 1 { scene.upbeat(&["retry", "last", "--output", "json"]) } else { ended };
    assert_eq!((ended.code, ended.json()["metadata"]["steps"]["succeeded"].as_u64()), (0, Some(60)), "{}", ended.err);
}
