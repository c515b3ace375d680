//! The real program, killed in the middle of its work, stopped, and out of room: nothing is lost, nothing done twice,
//! nothing left behind.
#![expect(clippy::disallowed_methods, reason = "tests start and kill the program they test")]
#![expect(clippy::unwrap_used, reason = "a test that cannot set its scene has failed")]

use crate::program::{Folder, Said, command, said};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// A condition that has not come by then never does.
const DEADLINE: Duration = Duration::from_secs(60);
/// How long leftovers may take to be gone after upbeat was killed.
const GONE_WITHIN: Duration = Duration::from_secs(2);
/// Steps of the run that is aborted at each of its records.
const CHAIN: usize = 8;
const STEPS: usize = 200;
const WIDTH: usize = 10;

/// Waits for a condition.
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !holds() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Two hundred processes in layers; each writes down that it began and that it was done, and gives a value on.
fn workflow(folder: &Folder, seconds: &str) -> String {
    let log = folder.path("log");
    let mut text = "id: layers\ndefaults: { idempotent: true }\nsteps:\n".to_owned();
    for at in 0..STEPS {
        let needs: Vec<String> = match at / WIDTH {
            0 => Vec::new(),
            layer => [0, 3, 7].map(|n| format!("s{}", (layer - 1) * WIDTH + (at + n) % WIDTH)).into(),
        };
        let note = |word: &str| format!("echo {word} $UPBEAT_STEP_ID $UPBEAT_ATTEMPT >> {}", log.display());
        let line = format!("{}; sleep {seconds}; {}; echo '{{\"n\": {at}}}'", note("begun"), note("done"));
        let (needs, line) = (needs.join(", "), serde_json::to_string(&line).unwrap());
        writeln!(text, "  - {{id: s{at}, needs: [{needs}], output: {{n: values.s{at}}}, stdout: json, run: {line}}}")
            .unwrap();
    }
    folder.file("layers.yaml", &text)
}

pub(crate) fn start(args: &[&str], folder: &Folder, out: &str) -> Child {
    let out = fs::File::create(folder.path(out)).unwrap();
    let errors = fs::File::options().create(true).append(true).open(folder.path("stderr")).unwrap();
    command(args).stdout(out).stderr(errors).stdin(Stdio::null()).spawn().unwrap()
}

pub(crate) fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

pub(crate) fn lines_of(folder: &Folder) -> Vec<String> {
    fs::read_to_string(folder.path("log")).unwrap_or_default().lines().map(str::to_owned).collect()
}

/// Processes that carry the mark of a run of this store.
fn marked(runs: &BTreeSet<String>) -> Vec<u32> {
    let ids = fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    ids.filter(|id: &u32| {
        let environment = fs::read(format!("/proc/{id}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|variable| {
            let run = variable.strip_prefix(b"UPBEAT_RUN_ID=").and_then(|run| std::str::from_utf8(run).ok());
            run.is_some_and(|run| runs.contains(run))
        })
    })
    .collect()
}

fn runs_in(store: &str) -> BTreeSet<String> {
    let runs = fs::read_dir(format!("{store}/runs")).into_iter().flatten().flatten();
    runs.filter_map(|entry| entry.file_name().into_string().ok()).collect()
}

/// What must hold of the journal and of what the processes wrote down.
fn nothing_twice_nothing_lost(store: &str, written: &[String]) {
    let replayed = said(&mut command(&["replay", "last", "--store", store, "--output", "jsonl"]), "");
    let events = replayed.lines();
    let (mut began, mut succeeded) = (BTreeMap::new(), BTreeMap::new());
    for (at, event) in events.iter().filter(|event| event["seq"].is_u64()).enumerate() {
        assert_eq!(event["seq"], at as u64 + 1, "the journal has no gaps");
        let step = event["step"].as_str().unwrap_or_default().to_owned();
        match event["event"].as_str().unwrap() {
            "attempt_started" => {
                assert!(!succeeded.contains_key(&step), "{step} was begun again after it was done");
                began.insert((step, event["attempt"].as_u64().unwrap()), at);
            }
            "step_succeeded" => assert!(succeeded.insert(step, at).is_none(), "a step completes once"),
            _ => {}
        }
    }
    assert_eq!(succeeded.len(), STEPS);
    let mut seen = BTreeSet::new();
    for line in written {
        assert!(seen.insert(line), "{line} was written twice");
        let mut words = line.split(' ').skip(1);
        let key = (words.next().unwrap().to_owned(), words.next().unwrap().parse().unwrap());
        assert!(began.contains_key(&key), "{line}: no event said so before");
    }
}

fn comparable(result: &Value) -> Value {
    let steps = &result["metadata"]["steps"];
    serde_json::json!([result["status"], result["data"], result["outputs"], result["errors"], steps])
}

/// Kills it that often, each time after some more lines were written and a little while, and resumes it.
fn killed_and_resumed(kills: u64, seed: u64) {
    let folder = Folder::new();
    let store = folder.path("store").to_str().unwrap().to_owned();
    let file = workflow(&folder, "0.02");
    let mut random = seed;
    let mut next = |below: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % below
    };
    let tail = ["--headless", "--output", "json", "--store", &store];
    let mut args = vec!["run", &file];
    for kill in 0..kills {
        let mut child = start(&[&args[..], &tail[..]].concat(), &folder, "result");
        let lines = lines_of(&folder).len();
        let more = usize::try_from(1 + next((STEPS * 2) as u64 / (kills + 1))).unwrap();
        let pause = Duration::from_micros(next(30_000));
        let mut over = false;
        until("it works on", || {
            over = child.try_wait().unwrap().is_some();
            over || lines_of(&folder).len() >= lines + more
        });
        if over {
            assert!(kill > 0, "it ended before the first kill: {}", fs::read_to_string(folder.path("stderr")).unwrap());
            break;
        }
        std::thread::sleep(pause);
        child.kill().unwrap();
        child.wait().unwrap();
        let dead = Instant::now();
        let runs = runs_in(&store);
        until("what it started is gone", || marked(&runs).is_empty());
        assert!(dead.elapsed() < GONE_WITHIN, "gone only after {:?}", dead.elapsed());
        args = vec!["resume", "last"];
    }
    let state = said(&mut command(&["show", "last", "--store", &store, "--output", "json"]), "").json();
    let last = if state["status"] == "succeeded" {
        serde_json::from_str(&fs::read_to_string(folder.path("result")).unwrap()).unwrap()
    } else {
        let Said { code, out, err } = said(&mut command(&[&["resume", "last"][..], &tail[..]].concat()), "");
        assert_eq!(code, 0, "{err}");
        serde_json::from_str(&out).unwrap()
    };
    nothing_twice_nothing_lost(&store, &lines_of(&folder));
    let calm = Folder::new();
    let file = workflow(&calm, "0");
    let undisturbed = said(&mut command(&["run", &file, "--headless", "--output", "json", "--no-store"]), "").json();
    assert_eq!(comparable(&last), comparable(&undisturbed));
}

#[test]
fn killed_at_random_moments_and_resumed_it_ends_as_if_undisturbed() {
    killed_and_resumed(4, 1);
}

#[test]
#[ignore = "takes minutes: fifty kills"]
fn killed_fifty_times_it_ends_as_if_undisturbed() {
    for seed in 1..=3 {
        killed_and_resumed(50, seed);
    }
}

/// Ends the program at an edge of one record's durability, resumes it, and compares the end. Gives whether it was hit.
fn aborted_at(edge: &str, seq: u64, file: &str, undisturbed: &Value) -> bool {
    let folder = Folder::new();
    let store = folder.path("store").to_str().unwrap().to_owned();
    let tail = ["--headless", "--output", "json", "--store", &store];
    let log = folder.path("log").to_str().unwrap().to_owned();
    let mut first = command(&[&["run", file], &tail[..]].concat());
    let aborted = said(first.env("UPBEAT_TEST_ABORT", format!("{edge}:{seq}")).env("TZ", &log), "");
    if aborted.code == 0 {
        return false;
    }
    assert_eq!((aborted.code, aborted.out.as_str()), (-1, ""), "{edge}:{seq} {}", aborted.err);
    let shown = said(&mut command(&["show", "last", "--store", &store, "--output", "json"]), "");
    assert_eq!(shown.code, 0, "{edge}:{seq} {}", shown.err);
    let resumed = said(command(&[&["resume", "last"], &tail[..]].concat()).env("TZ", &log), "");
    // Behind the last record there is nothing to go on with.
    let end = if shown.json()["status"] == "succeeded" { shown } else { resumed };
    assert_eq!(end.code, 0, "{edge}:{seq} {}", end.err);
    assert_eq!(comparable(&end.json()), comparable(undisturbed), "{edge}:{seq}");
    // What is recorded as done is not done again: each attempt wrote its own line, once.
    let written = lines_of(&folder);
    assert_eq!(written.iter().collect::<BTreeSet<_>>().len(), written.len(), "{edge}:{seq} {written:?}");
    assert!(written.len() <= CHAIN + 2, "two at most were under way: {edge}:{seq} {written:?}");
    true
}

#[test]
fn aborted_at_every_edge_of_every_record_it_ends_as_if_undisturbed() {
    let folder = Folder::new();
    let mut text = "id: edges\ndefaults: { idempotent: true }\nsteps:\n".to_owned();
    for at in 0..CHAIN {
        let needs = if at < 2 { String::new() } else { format!("needs: s{}, ", at - 2) };
        // A variable that agents are given says where to write.
        let line = format!("echo $UPBEAT_STEP_ID $UPBEAT_ATTEMPT >> $TZ; echo '{{\"n\": {at}}}'");
        let line = serde_json::to_string(&line).unwrap();
        writeln!(text, "  s{at}: {{{needs}output: {{n: v.s{at}}}, stdout: json, run: {line}}}").unwrap();
    }
    let file = folder.file("edges.yaml", &text);
    let calm = folder.path("calm").to_str().unwrap().to_owned();
    let mut undisturbed = command(&["run", &file, "--headless", "--output", "json", "--no-store"]);
    let undisturbed = said(undisturbed.env("TZ", &calm), "").json();
    let edges = ["before-write", "after-write", "after-sync"];
    let hits: u64 = std::thread::scope(|scope| {
        let worker = |edge: &'static str| {
            let (file, undisturbed) = (&file, &undisturbed);
            scope.spawn(move || (1..).take_while(|seq| aborted_at(edge, *seq, file, undisturbed)).count() as u64)
        };
        let workers: Vec<_> = edges.into_iter().map(worker).collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).sum()
    });
    assert!(hits >= 3 * 40, "{hits} edges of the journal's records");
}

/// How long the program is stopped: longer than the step's timeout, and for a look by hand as long as one likes.
fn stop_seconds() -> u64 {
    std::env::var("UPBEAT_TEST_STOP_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(3)
}

#[test]
fn stopped_for_some_seconds_it_goes_on_and_calls_nothing_late_that_was_in_time() {
    let folder = Folder::new();
    let (store, log) = (folder.path("store").to_str().unwrap().to_owned(), folder.path("log"));
    let text = format!(
        "steps:\n  a: {{run: 'echo begun >> {0}; sleep 0.5; echo done >> {0}', timeout: 2s}}\n  b: {{run: 'true', needs: a}}\n",
        log.display()
    );
    let file = folder.file("stop.yaml", &text);
    let child = start(&["run", &file, "--headless", "--output", "json", "--store", &store], &folder, "result");
    until("the step has begun", || !lines_of(&folder).is_empty());
    signal(&child, Signal::STOP);
    let stopped = Instant::now();
    until("the step is done", || lines_of(&folder).len() == 2);
    until("its timeout is long over", || stopped.elapsed() > Duration::from_secs(stop_seconds()));
    signal(&child, Signal::CONT);
    let end = child.wait_with_output().unwrap();
    assert_eq!(end.status.code(), Some(0), "{}", fs::read_to_string(folder.path("result")).unwrap());
    let result: Value = serde_json::from_str(&fs::read_to_string(folder.path("result")).unwrap()).unwrap();
    assert_eq!((&result["metadata"]["attempts"], &result["status"]), (&2.into(), &"succeeded".into()));
}

#[test]
fn out_of_room_it_parks_and_loses_nothing_that_was_recorded() {
    let folder = Folder::new();
    let (store, log) = (folder.path("store").to_str().unwrap().to_owned(), folder.path("log"));
    let mut text = "defaults: { idempotent: true }\nsteps:\n".to_owned();
    for at in 0..60 {
        let needs = if at == 0 { String::new() } else { format!(", needs: s{}", at - 1) };
        // Something to write down with each step, so that room runs out in the middle.
        let noise = "n".repeat(2_000);
        writeln!(text, "  s{at}: {{run: 'echo $UPBEAT_STEP_ID >> {}; echo {noise}'{needs}}}", log.display()).unwrap();
    }
    let file = folder.file("full.yaml", &text);
    let program = env!("CARGO_BIN_EXE_upbeat");
    // No file may grow beyond this: to SQLite it looks like a full disk.
    let limited = format!("ulimit -f 1000; exec {program} run {file} --headless --output json --store {store}");
    let mut shell = std::process::Command::new("/bin/sh");
    let full = said(shell.args(["-c", &limited]).env_remove("UPBEAT_STORE"), "");
    assert_eq!(full.code, 75, "{}", full.err);
    assert_eq!(full.json()["status"], "parked");
    assert!(full.err.contains("upbeat resume "), "{}", full.err);
    let done = said(&mut command(&["show", "last", "--store", &store, "--output", "json"]), "").json();
    let recorded = done["metadata"]["steps"]["succeeded"].as_u64().unwrap();
    assert!((1..60).contains(&recorded), "{recorded} steps were recorded");
    let before = lines_of(&folder).len() as u64;
    assert!(before >= recorded && before <= recorded + 2, "{before} ran, {recorded} are recorded");
    let resumed = said(&mut command(&["resume", "last", "--headless", "--output", "json", "--store", &store]), "");
    assert_eq!(resumed.code, 0, "{}", resumed.err);
    assert_eq!(resumed.json()["metadata"]["steps"]["succeeded"], 60);
    let ran = lines_of(&folder);
    assert!(ran.len() <= 62, "what was recorded is not done again");
}

#[test]
fn killed_by_a_signal_it_says_so() {
    let folder = Folder::new();
    let store = folder.path("store").to_str().unwrap().to_owned();
    let log = folder.path("log");
    let file = folder.file("long.yaml", &format!("steps:\n  a: {{run: 'echo begun > {}; sleep 60'}}\n", log.display()));
    let mut child = start(&["run", &file, "--headless", "--store", &store], &folder, "result");
    until("the step has begun", || !lines_of(&folder).is_empty());
    signal(&child, Signal::KILL);
    assert_eq!(child.wait().unwrap().signal(), Some(9));
    let list = said(&mut command(&["runs", "--store", &store, "--output", "json"]), "").json();
    let way_out = said(&mut command(&["runs", "--store", &store]), "").out;
    assert_eq!(list.as_array().unwrap().len(), 1);
    assert!(way_out.contains("interrupted"), "{way_out}");
}
