//! Items through a workflow: every one answered, in order where that is asked for, and no more read than is worked on.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot set its scene has failed")]

use crate::program::{Folder, Said, command, said};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

/// Whatever takes longer has failed.
const DEADLINE: Duration = Duration::from_secs(60);

/// The program at work, its input open, its output read line by line as it comes.
pub(crate) struct Flowing {
    child: Child,
    pub(crate) input: Option<ChildStdin>,
    lines: Receiver<String>,
}

impl Flowing {
    pub(crate) fn start(args: &[&str]) -> Self {
        let mut child =
            command(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let out = child.stdout.take().unwrap();
        let (say, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                let _ = say.send(line);
            }
        });
        let input = child.stdin.take();
        Self { child, input, lines }
    }
    pub(crate) fn write(&mut self, line: &str) {
        let input = self.input.as_mut().unwrap();
        input.write_all(format!("{line}\n").as_bytes()).unwrap();
        input.flush().unwrap();
    }
    /// The next line that it prints.
    pub(crate) fn line(&self) -> Value {
        let line = self.lines.recv_timeout(DEADLINE).unwrap();
        serde_json::from_str(&line).unwrap()
    }
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }
    /// Closes its input and waits for the end; gives what it had not printed before.
    pub(crate) fn end(mut self) -> Said {
        drop(self.input.take());
        let mut err = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
        let out = self.lines.iter().map(|line| line + "\n").collect();
        Said { code: self.child.wait().unwrap().code().unwrap_or(-1), out, err }
    }
}

impl Drop for Flowing {
    fn drop(&mut self) {
        // Of a test that has failed; else it is gone already.
        let _ = self.child.kill();
    }
}

/// Waits until something is so.
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let (_keep, never) = channel::<()>();
    for _ in 0..6_000 {
        if is_so() {
            return;
        }
        let _ = never.recv_timeout(DEADLINE / 6_000);
    }
    panic!("in vain: {what}");
}

fn stream(file: &str, options: &[&str], input: &str) -> Said {
    said(&mut command(&[&["stream", file, "--items", "-"], options].concat()), input)
}

fn items(ended: &Said) -> (Vec<Value>, Value) {
    let mut lines = ended.lines();
    let last = lines.pop().unwrap();
    assert_eq!(last["event"], "stream_finished", "{}", ended.err);
    assert_eq!(last["stats"]["items_processed"], lines.len(), "{last}");
    let errors = lines.iter().filter(|line| line.get("error").is_some()).count();
    assert_eq!(last["stats"]["errors"], errors, "{last}");
    (lines, last["stats"].clone())
}

fn numbers(lines: &[Value]) -> Vec<u64> {
    lines.iter().map(|line| line["item"].as_u64().unwrap()).collect()
}

fn counted(to: usize) -> String {
    (0..to).map(|n| format!("{{\"n\": {n}}}\n")).collect()
}

/// Steps whose agent takes now longer, now less long.
fn uneven(ordered: bool) -> String {
    format!(
        "stream: {{max_in_flight: 8, ordered: {ordered}}}
agents: {{w: {{kind: simulated, capabilities: [work], slots: 8, duration: 30ms, jitter: 0.9}}}}
steps:
  - {{id: a, capability: work, with: {{n: '${{{{ $item.n }}}}', at: '${{{{ $index }}}}'}}}}
  - {{id: b, capability: work, needs: a, input: {{n: item.n}}}}
"
    )
}

#[test]
fn results_come_in_the_order_of_the_items_however_long_each_takes() {
    let folder = Folder::new();
    let file = folder.file("flow.yaml", &uneven(true));
    for clock in ["virtual", "real"] {
        let ended = stream(&file, &["--clock", clock, "--seed", "3"], &counted(60));
        assert_eq!(ended.code, 0, "{}", ended.err);
        let (lines, stats) = items(&ended);
        assert_eq!(numbers(&lines), (0..60).collect::<Vec<u64>>());
        for (n, line) in lines.iter().enumerate() {
            assert_eq!(line["result"], json!({"a": {"n": n, "at": n}, "b": {"n": n}}));
        }
        let (p50, p95) = (stats["p50_s"].as_f64().unwrap(), stats["p95_s"].as_f64().unwrap());
        assert!(p50 > 0.006 && p95 >= p50, "{stats}");
    }
}

#[test]
fn without_order_results_come_as_items_end() {
    let folder = Folder::new();
    let file = folder.file("flow.yaml", &uneven(false));
    let ended = stream(&file, &["--seed", "3"], &counted(60));
    assert_eq!(ended.code, 0, "{}", ended.err);
    let (lines, _) = items(&ended);
    let mut seen = numbers(&lines);
    assert!(!seen.is_sorted(), "one of 60 items ends before the one before it");
    seen.sort_unstable();
    assert_eq!(seen, (0..60).collect::<Vec<u64>>());
}

const ECHO: &str = "
stream: {max_in_flight: 16}
steps: [{id: a, capability: echo, input: {n: item.n}, required: [n]}]
";

#[test]
fn bad_lines_and_bad_items_are_errors_of_their_own() {
    let folder = Folder::new();
    let file = folder.file("flow.yaml", ECHO);
    let ended = stream(&file, &[], "{\"n\":1}\nnope\n\n[1]\n{\"n\":2}");
    assert_eq!(ended.code, 3, "{}", ended.err);
    let (lines, stats) = items(&ended);
    assert_eq!(stats["errors"], 3);
    assert_eq!(
        (&lines[0], &lines[4]),
        (&json!({"item": 0, "result": {"a": {"n": 1}}}), &json!({"item": 4, "result": {"a": {"n": 2}}}))
    );
    assert_eq!((&lines[1]["error"]["class"], &lines[1]["error"]["step"]), (&json!("permanent"), &Value::Null));
    assert!(lines[1]["error"]["message"].as_str().unwrap().starts_with("the line is no JSON: "));
    assert_eq!(lines[2]["error"]["message"], "the line is empty; a JSON value is expected");
    assert_eq!(lines[3]["error"]["step"], "a");
    assert_eq!(stream(&file, &[], "nope\n").code, 1, "all failed");
    assert_eq!(stream(&file, &[], "").code, 0, "none failed");
}

#[test]
fn a_line_without_end_is_passed_over_and_the_next_one_taken() {
    let folder = Folder::new();
    let file = folder.file("flow.yaml", ECHO);
    let long = format!("{{\"n\":\"{}\"}}\n{{\"n\":2}}\n", "x".repeat(17 * 1024 * 1024));
    let path = folder.file("items", &long);
    let ended = said(&mut command(&["stream", &file, "--items", &path]), "");
    let (lines, _) = items(&ended);
    assert_eq!(lines[0]["error"]["message"], "the line is longer than 16 MB and was passed over");
    assert_eq!(lines[1], json!({"item": 1, "result": {"a": {"n": 2}}}));
}

#[test]
fn a_workflows_result_is_the_items_result_and_may_look_at_the_item() {
    let folder = Folder::new();
    let file = folder.file(
        "flow.yaml",
        "stream: {}
steps: [{id: a, capability: echo, input: {n: item}}]
result: {from: '[$item, $index, $outputs.a.n]', strategy: transform, filter: add}",
    );
    let ended = stream(&file, &[], "5\n7\n");
    assert_eq!(ended.code, 0, "{}", ended.err);
    let results: Vec<Value> = items(&ended).0.iter().map(|line| line["result"].clone()).collect();
    assert_eq!(results, [json!(10), json!(15)]);
}

#[test]
fn what_only_a_person_could_bring_on_is_an_error_and_holds_nobody() {
    let folder = Folder::new();
    let file = folder.file(
        "flow.yaml",
        "stream: {max_in_flight: 2}
steps:
  - {id: ask, if: item.ask, approval: {prompt: Go on?}}
  - {id: a, capability: echo, needs: ask, input: {n: item.n}}",
    );
    let input: String = (0..9).map(|n| format!("{{\"n\": {n}, \"ask\": {}}}\n", n % 3 == 0)).collect();
    for clock in ["virtual", "real"] {
        let ended = stream(&file, &["--clock", clock], &input);
        assert_eq!(ended.code, 3, "{}", ended.err);
        let (lines, stats) = items(&ended);
        assert_eq!(stats["errors"], 3);
        assert!(lines[3]["error"]["message"].as_str().unwrap().starts_with("only a person"), "{}", lines[3]);
        assert_eq!(lines[4]["result"]["a"], json!({"n": 4}));
    }
}

#[test]
fn twenty_thousand_items_are_all_accounted_for() {
    let folder = Folder::new();
    let file = folder.file("flow.yaml", ECHO);
    let line = |n: usize| if n % 100 == 7 { "{bad\n".to_owned() } else { format!("{{\"n\":{n}}}\n") };
    let path = folder.file("items", &(0..20_000).map(line).collect::<String>());
    let ended = said(&mut command(&["stream", &file, "--items", &path]), "");
    assert_eq!(ended.code, 3, "{}", ended.err);
    let (lines, stats) = items(&ended);
    assert_eq!((lines.len(), &stats["errors"]), (20_000, &json!(200)));
    for (n, line) in lines.iter().enumerate() {
        assert_eq!(line["item"], n);
        assert_eq!(line.get("error").is_some(), n % 100 == 7, "{line}");
        assert!(n % 100 == 7 || line["result"]["a"]["n"] == n, "{line}");
    }
}

/// Items that begin with a mark and wait for a file.
fn gated(folder: &Folder, streaming: &str) -> String {
    let dir = folder.path("").to_str().unwrap().trim_end_matches('/').to_owned();
    let run = format!("touch {dir}/began-$UPBEAT_IN_N; until [ -f {dir}/go ]; do sleep 0.01; done");
    let step = format!("{{id: a, run: '{run}', input: {{n: item.n}}}}");
    folder.file("flow.yaml", &format!("agents: {{}}\nstream: {streaming}\nsteps: [{step}]\n"))
}

fn begun(folder: &Folder) -> usize {
    let entries = std::fs::read_dir(folder.path("")).unwrap().flatten();
    entries.filter(|entry| entry.file_name().to_string_lossy().starts_with("began-")).count()
}

#[test]
fn the_end_of_the_source_waits_for_what_is_under_way() {
    let folder = Folder::new();
    let mut flowing = Flowing::start(&["stream", &gated(&folder, "{max_in_flight: 3}"), "--items", "-"]);
    for n in 0..5 {
        flowing.write(&format!("{{\"n\":{n}}}"));
    }
    drop(flowing.input.take());
    until("an item begins", || begun(&folder) > 0);
    folder.file("go", "");
    let ended = flowing.end();
    assert_eq!(ended.code, 0, "{}", ended.err);
    assert_eq!(items(&ended).0.len(), 5);
    assert_eq!(begun(&folder), 5);
}

#[test]
fn a_source_is_not_read_further_than_is_worked_on() {
    let folder = Folder::new();
    // Two cores or more: as many processes at once as there are, but never more items than may be under way.
    let mut flowing = Flowing::start(&["stream", &gated(&folder, "{max_in_flight: 2}"), "--items", "-"]);
    let mut input = flowing.input.take().unwrap();
    let (say, written) = channel();
    const LINES: usize = 600;
    let writer = std::thread::spawn(move || {
        for n in 0..LINES {
            let line = format!("{{\"n\":{n},\"rest\":\"{}\"}}\n", "x".repeat(10_000));
            input.write_all(line.as_bytes()).unwrap();
            let _ = say.send(n);
        }
    });
    let mut last = 0;
    let blocked = loop {
        match written.recv_timeout(Duration::from_secs(2)) {
            Ok(n) => last = n,
            Err(why) => break why,
        }
    };
    assert_eq!(blocked, RecvTimeoutError::Timeout, "all of 6 MB was taken, with two items under way");
    assert!(last < 100, "{last} lines of 10 kB were taken");
    assert!((1..=2).contains(&begun(&folder)), "{}", begun(&folder));
    folder.file("go", "");
    writer.join().unwrap();
    let ended = flowing.end();
    assert_eq!(ended.code, 0, "{}", ended.err);
    assert_eq!(numbers(&items(&ended).0), (0..LINES as u64).collect::<Vec<u64>>());
}

#[test]
fn a_signal_ends_what_is_under_way_and_all_that_was_begun_is_answered() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 129)] {
        let folder = Folder::new();
        let mut flowing = Flowing::start(&["stream", &gated(&folder, "{max_in_flight: 2}"), "--items", "-"]);
        for n in 0..50 {
            flowing.write(&format!("{{\"n\":{n}}}"));
        }
        until("an item begins", || begun(&folder) > 0);
        flowing.signal(signal);
        // Its input stays open: it ends all the same.
        let input = flowing.input.take();
        let ended = flowing.end();
        drop(input);
        assert_eq!(ended.code, code, "{}", ended.err);
        let (lines, stats) = items(&ended);
        assert!((1..=2).contains(&lines.len()), "{}", ended.out);
        assert_eq!(stats["errors"], lines.len());
        assert!(lines.iter().all(|line| line["error"]["class"] == "cancelled"), "{}", ended.out);
    }
}

#[test]
fn nothing_of_a_stream_is_saved_and_that_is_said() {
    let folder = Folder::new();
    let file = folder.file("flow.yaml", ECHO);
    let store = folder.path("store");
    let mut saving = command(&["stream", &file]);
    let ended = said(saving.env_remove("UPBEAT_NO_STORE").env("UPBEAT_STORE", &store), "{\"n\":1}\n");
    assert_eq!(ended.code, 0, "{}", ended.err);
    assert!(ended.err.contains("items are not saved: what is interrupted is gone\n"), "{}", ended.err);
    assert!(!store.exists());
}

#[test]
fn a_file_that_streams_nothing_and_bad_settings_are_refused() {
    let folder = Folder::new();
    let steps = "steps: [{id: a, capability: echo}]";
    let ended = stream(&folder.file("plain.yaml", steps), &[], "");
    assert!(ended.code == 2 && ended.err.contains("it needs a `stream`"), "{}", ended.err);
    for (settings, word) in [
        ("{max_in_flight: 0}", "from 1 to 1000"),
        ("{max_in_flight: 1001}", "from 1 to 1000"),
        ("{orderd: true}", "ordered"),
        ("true", "stream"),
    ] {
        let ended = stream(&folder.file("bad.yaml", &format!("stream: {settings}\n{steps}")), &[], "");
        assert!(ended.code == 2 && ended.err.contains(word), "{settings}: {}", ended.err);
    }
    let file = folder.file("flow.yaml", ECHO);
    let ended = stream(&file, &["--data", "-"], "");
    assert!(ended.code == 2 && ended.err.contains("can be read only once"), "{}", ended.err);
    let ended = said(&mut command(&["stream", &file, "--items", "/nonexistent"]), "");
    assert_eq!(ended.code, 2);
}

#[test]
fn the_shipped_stream_gives_figures_of_every_item() {
    let ended = stream("workflows/stream_stats.yaml", &[], "{\"values\":[1,2,6]}\n{\"values\":[]}\n{}\n");
    assert_eq!(ended.code, 3, "{}", ended.err);
    let (lines, _) = items(&ended);
    assert_eq!((&lines[0]["result"]["figures"]["sum"], &lines[0]["result"]["figures"]["mean"]), (&json!(9), &json!(3)));
    assert_eq!(lines[1]["result"]["figures"]["count"], 0);
    assert_eq!(lines[2]["error"]["step"], "figures");
}
