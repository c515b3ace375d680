//! The command line: what goes to which stream, and how it ends.

use crate::program::{Folder, command, said, upbeat};
use serde_json::json;
use std::io::Read;
use std::process::Stdio;

const TWO: &str = "
agents:
  worker: {kind: simulated, capabilities: [work], slots: 2}
steps:
  - {id: first, capability: work, estimate: 1s, input: {who: name}}
  - {id: second, capability: work, estimate: 2s, needs: first}
";

const FAILING: &str = "
agents:
  bad: {kind: simulated, capabilities: [work], fail_rate: 1}
  good: {kind: simulated, capabilities: [other]}
steps:
  - {id: broken, capability: work, estimate: 1s, retry: 0}
  - {id: fine, capability: other, estimate: 1s}
";

#[test]
fn text_output_is_a_summary_on_stdout_and_progress_on_stderr() {
    let folder = Folder::new();
    let ended = upbeat(&["run", &folder.file("two.yaml", TWO), "--clock", "virtual", "--headless", "--set", "name=x"]);
    assert_eq!(ended.code, 0);
    let id = ended.out.lines().last().unwrap().split_whitespace().nth(1).unwrap().trim_end_matches(',').to_owned();
    let expected = "two  succeeded after 3.0 s\n\n  steps      2 of 2 succeeded\n  time       3.0 s for 3.0 s of work; \
                    these agents could not have been faster\n";
    assert!(ended.out.starts_with(expected), "{}", ended.out);
    assert!(ended.out.ends_with(&format!("  run        {id}, seed 0; nothing of it was saved\n")), "{}", ended.out);
    let progress = format!(
        "\x20     0 s  run {id} of two started, seed 0\n\
         \x20     0 s  first started on worker\n\
         \x20   1.0 s  first succeeded in 1.0 s\n\
         \x20   1.0 s  second started on worker\n\
         \x20   3.0 s  second succeeded in 2.0 s\n\
         \x20   3.0 s  run succeeded\n"
    );
    assert_eq!(ended.err, progress);
}

#[test]
fn without_a_terminal_run_says_why_it_is_plain_and_the_panel_is_refused() {
    let folder = Folder::new();
    let file = folder.file("two.yaml", TWO);
    let ended = upbeat(&["run", &file, "--clock", "virtual", "--set", "name=x"]);
    assert!(
        ended.err.starts_with("upbeat: plain progress, because standard input is not a terminal\n"),
        "{}",
        ended.err
    );
    for args in [&[][..], &[file.as_str()]] {
        let ended = upbeat(args);
        assert_eq!((ended.code, ended.out.as_str()), (2, ""));
        assert!(ended.err.contains("standard input is not a terminal; `upbeat run"), "{}", ended.err);
        assert_eq!(ended.err.lines().count(), 1);
    }
}

#[test]
fn jsonl_has_an_event_a_line_and_ends_with_the_result() {
    let folder = Folder::new();
    let file = folder.file("two.yaml", TWO);
    let ended = upbeat(&["run", &file, "--clock", "virtual", "--output", "jsonl", "--set", "name=\"x\\u202ey\""]);
    let lines = ended.lines();
    for (at, line) in lines.iter().enumerate() {
        assert_eq!(line["seq"], at + 1, "{line}");
    }
    let names: Vec<&str> = lines.iter().map(|line| line["event"].as_str().unwrap()).collect();
    assert_eq!((names[0], names[names.len() - 1]), ("run_started", "run_finished"));
    let last = &lines[lines.len() - 1];
    assert_eq!(last.as_object().unwrap().keys().collect::<Vec<_>>(), ["seq", "at_ms", "event", "result"]);
    assert_eq!(last["result"]["status"], "succeeded");
    assert_eq!(last["result"]["outputs"]["first"]["who"], "x\u{202e}y");
    assert!(!ended.out.contains('\u{202e}') && ended.out.contains("x\\u202ey"));
    let id = last["result"]["run_id"].as_str().unwrap();
    assert_eq!(ended.err, format!("upbeat: run {id}, seed 0; nothing of it was saved\n"));
}

#[test]
fn failures_have_their_exit_codes_and_say_what_to_do() {
    let folder = Folder::new();
    let file = folder.file("f.yaml", FAILING);
    let run = |more: &str| {
        let file = if more.is_empty() { file.clone() } else { folder.file("g.yaml", &format!("{FAILING}{more}\n")) };
        upbeat(&["run", &file, "--clock", "virtual", "--output", "json"])
    };
    let ended = run("");
    assert_eq!((ended.code, ended.json()["status"].as_str()), (1, Some("failed")));
    let errors = ended.json()["errors"].take();
    assert_eq!((&errors[0]["step"], &errors[0]["class"]), (&json!("broken"), &json!("transient")));
    assert_eq!((&errors[0]["attempts"], &errors[0]["agent"]), (&json!(1), &json!("bad")));
    assert!(errors[0]["remediation"].as_str().unwrap().contains("retry"));
    let partial = run("success: any");
    assert_eq!((partial.code, partial.json()["status"].as_str()), (3, Some("partial")));
    let late = run("limits: {deadline: 500ms}");
    assert_eq!((late.code, late.json()["status"].as_str()), (5, Some("deadline")));
    assert_eq!(late.json()["metadata"]["elapsed_s"], 0.5);
}

#[test]
fn data_comes_from_a_file_from_stdin_and_from_set_in_that_order() {
    let folder = Folder::new();
    let file = folder.file("two.yaml", &format!("data: {{name: file, other: 1}}\n{TWO}"));
    let run = |args: &[&str], input: &str| {
        let all = [&["run", &file, "--clock", "virtual", "--output", "json"], args].concat();
        let ended = said(&mut command(&all), input);
        assert_eq!(ended.code, 0, "{}", ended.err);
        ended.json()["data"].take()
    };
    assert_eq!(run(&[], ""), json!({"name": "file", "other": 1}));
    assert_eq!(run(&["--data", "-"], "name: stdin"), json!({"name": "stdin", "other": 1}));
    let data = folder.file("data.json", r#"{"name": {"deep": true}}"#);
    assert_eq!(
        run(&["--data", &data, "--set", "name.more=[1]", "--set", "text=a b"], ""),
        json!({"name": {"deep": true, "more": [1]}, "other": 1, "text": "a b"})
    );
    let mut by_variable = command(&["run", &file, "--clock", "virtual", "--output", "json", "--seed", "3"]);
    let ended = said(by_variable.env("UPBEAT_SET", "name=variable").env("UPBEAT_SEED", "9"), "");
    assert_eq!((&ended.json()["data"]["name"], &ended.json()["seed"]), (&json!("variable"), &json!(3)));
}

#[test]
fn faults_of_a_file_go_to_stderr_or_as_json_to_stdout() {
    let folder = Folder::new();
    let file =
        folder.file("bad.yaml", "steps:\n  - {id: a, capability: nobody}\n  - {id: b, needs: aa, run: 'true'}\n");
    for command in ["run", "check", "plan"] {
        let text = upbeat(&[command, &file]);
        assert_eq!((text.code, text.out.as_str()), (2, ""), "{command}");
        assert!(text.err.contains("bad.yaml:2:") && text.err.contains("bad.yaml:3:"), "{command}: {}", text.err);
        let json = upbeat(&[command, &file, "--output", "json"]);
        assert_eq!((json.code, json.err.as_str()), (2, ""), "{command}");
        let faults = json.json();
        assert_eq!(faults.as_array().unwrap().len(), 2, "{faults}");
        let keys: Vec<&String> = faults[0].as_object().unwrap().keys().collect();
        let expected = ["file", "line", "column", "severity", "code", "message", "expected", "suggestion"];
        assert_eq!(keys, expected, "{command}");
    }
    // Drawing asks for no agents.
    let drawn = upbeat(&["graph", &folder.file("open.yaml", "steps: [{id: a, capability: nobody}]"), "-f", "dot"]);
    assert_eq!(drawn.code, 0, "{}", drawn.err);
    assert_eq!(upbeat(&["graph", &file]).code, 2);
}

#[test]
fn files_that_cannot_be_read_are_faults_with_a_reason() {
    let folder = Folder::new();
    folder.file("flow.yaml", TWO);
    std::fs::write(folder.path("latin.yaml"), b"id: gr\xfcn\n").unwrap();
    std::fs::write(folder.path("huge.yaml"), vec![b'#'; 17 << 20]).unwrap();
    let path = |name: &str| folder.path(name).to_str().unwrap().to_owned();
    let rows = [
        (path("flwo.yaml"), "flow.yaml?"),
        (path(""), "this is a folder"),
        (path("latin.yaml"), "not UTF-8"),
        (path("huge.yaml"), "more than 16 MB"),
    ];
    for (file, reason) in rows {
        let ended = upbeat(&["check", &file]);
        assert_eq!(ended.code, 2, "{file}");
        assert!(ended.err.contains(reason), "{file}: {}", ended.err);
    }
    let ended = upbeat(&["run", &path("flow.yaml"), "--data", &path("none.json"), "--output", "json"]);
    assert_eq!((ended.code, &ended.json()[0]["code"]), (2, &json!("unreadable")));
}

#[test]
fn what_is_not_built_yet_is_refused_by_name() {
    let refused = |args: &[&str], word: &str| {
        let ended = upbeat(args);
        assert_eq!((ended.code, ended.out.as_str()), (2, ""), "{args:?}");
        assert_eq!(ended.err.lines().count(), 1, "{args:?}: {}", ended.err);
        assert!(ended.err.contains(word) && ended.err.contains("not supported yet"), "{args:?}: {}", ended.err);
    };
    let commands = "drill demo";
    for name in commands.split(' ') {
        refused(&[name, "x", "--output", "json", "--events", "-"], &format!("`upbeat {name}`"));
    }
    let file = "workflows/standard.yaml";
    refused(&["run", file, "--faults", "x.yaml"], "`--faults`");
    refused(&["graph", file, "-f", "svg"], "svg");
    let mut by_variable = command(&["run", file, "--clock", "virtual", "--output", "jsonl"]);
    let ended = said(by_variable.env("UPBEAT_FAULTS", "x"), "");
    assert_eq!(ended.code, 0);
    assert!(ended.err.contains("upbeat: UPBEAT_FAULTS is not supported yet and is ignored\n"), "{}", ended.err);
}

#[test]
fn the_virtual_clock_refuses_real_agents_by_name() {
    let folder = Folder::new();
    let file = folder.file("p.yaml", "agents: {p: {kind: process, capabilities: [w], command: ['true']}}\nsteps: [{id: a, capability: w}, {id: b, run: 'true'}]");
    let ended = upbeat(&["run", &file, "--clock", "virtual"]);
    assert_eq!(ended.code, 2);
    assert!(ended.err.contains("these are not: p (process), `run` and `command` steps\n"), "{}", ended.err);
}

#[test]
fn a_paused_headless_run_parks_and_is_reported() {
    let folder = Folder::new();
    let file = folder.file("two.yaml", TWO);
    let ended = upbeat(&["run", &file, "--paused", "--output", "json", "--clock", "virtual"]);
    assert_eq!((ended.code, ended.json()["status"].as_str()), (75, Some("parked")));
    assert_eq!(ended.json()["metadata"]["steps"]["pending"], 2);
    assert!(ended.err.contains("without a store nothing can resume it"), "{}", ended.err);
}

#[test]
fn signals_end_a_run_with_their_own_codes() {
    let folder = Folder::new();
    let slow = TWO.replace("2s", "10m");
    let file = folder.file("slow.yaml", &slow);
    for (signal, code) in [("INT", 130), ("TERM", 143), ("HUP", 129)] {
        let mut child = command(&["run", &file, "--speed", "10", "--output", "jsonl"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut out = child.stdout.take().unwrap();
        let mut text = String::new();
        while !text.contains("attempt_started\",\"step\":\"second") {
            let mut some = [0; 4_096];
            let n = out.read(&mut some).unwrap();
            assert!(n > 0, "{text}");
            text += std::str::from_utf8(&some[..n]).unwrap();
        }
        let pid = rustix::process::Pid::from_child(&child);
        let number = match signal {
            "INT" => rustix::process::Signal::INT,
            "TERM" => rustix::process::Signal::TERM,
            _ => rustix::process::Signal::HUP,
        };
        rustix::process::kill_process(pid, number).unwrap();
        out.read_to_string(&mut text).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(code), "{signal}");
        let last: serde_json::Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
        assert_eq!(last["event"], "run_finished", "{signal}");
        assert_eq!(last["result"]["status"], "cancelled", "{signal}");
    }
}

#[test]
fn a_closed_stdout_ends_quietly() {
    let folder = Folder::new();
    let file = folder.file("two.yaml", TWO);
    let run = ["run", &file, "--clock", "virtual", "--headless", "--set", "name=x"];
    let lines = [&run[..], &["--output", "jsonl"]].concat();
    for args in [&["keys"][..], &["schema"], &["--help"], &["plan", &file], &run, &lines] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let child = command(args).stdout(writer).stderr(Stdio::piped()).spawn().unwrap();
        let ended = child.wait_with_output().unwrap();
        let err = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(141), "{args:?}: {err}");
        assert!(!err.contains("panic") && !err.contains("pipe"), "{args:?}: {err}");
    }
}

#[test]
fn documents_about_upbeat_itself_are_printed() {
    let keys = upbeat(&["keys"]);
    assert!(keys.code == 0 && keys.out.contains("start the run"));
    assert!(upbeat(&["keys", "--markdown"]).out.starts_with("| key | does |\n|---|---|\n| `s` | start the run |\n"));
    assert_eq!(upbeat(&["schema"]).json()["$schema"].as_str().map(|s| s.contains("json-schema.org")), Some(true));
    for shell in ["bash", "zsh", "fish"] {
        let completions = upbeat(&["completions", shell]);
        assert!(completions.code == 0 && completions.out.contains("upbeat"), "{shell}");
    }
    let help = upbeat(&["--help"]);
    assert!(help.code == 0 && help.out.contains("completions") && help.err.is_empty());
    assert_eq!(upbeat(&["run"]).code, 2);
    assert_eq!(upbeat(&["run", "a.yaml", "--bogus"]).code, 2);
}

#[test]
fn names_that_would_reach_for_the_terminal_are_shown_harmlessly() {
    let folder = Folder::new();
    let text = "name: \"a\\e]0;owned\\a\\e[31mb\\u202e\"\n".to_owned() + TWO;
    let file = folder.file("n.yaml", &text);
    for args in [&["plan", &file][..], &["graph", &file], &["run", &file, "--clock", "virtual"]] {
        let ended = upbeat(args);
        assert_eq!(ended.code, 0, "{}", ended.err);
        assert!(!(ended.out + &ended.err).contains(['\u{1b}', '\u{202e}', '\u{7}']), "{args:?}");
    }
}

#[test]
fn ten_steps_on_four_agents_take_less_than_half_of_one_after_the_other() {
    let folder = Folder::new();
    let file = folder.file("ten.yaml", &ten());
    let elapsed = |mode: &str| {
        let ended = upbeat(&["run", &file, "--output", "json", "--speed", "5", "--mode", mode]);
        assert_eq!(ended.code, 0, "{}", ended.err);
        ended.json()["metadata"]["elapsed_s"].as_f64().unwrap()
    };
    let (parallel, sequential) = (elapsed("parallel"), elapsed("sequential"));
    assert!(parallel * 2.0 < sequential, "{parallel} {sequential}");
}

fn ten() -> String {
    let mut text = "agents:\n".to_owned();
    for agent in 0..4 {
        text += &format!("  a{agent}: {{kind: simulated, capabilities: [w]}}\n");
    }
    text += "steps:\n";
    for step in 0..10 {
        text += &format!("  - {{id: s{step}, capability: w, estimate: 500ms}}\n");
    }
    text
}

#[test]
fn selftest_gives_the_same_hash_each_time_and_tells_a_seed_in_full() {
    let run = |args: &[&str]| {
        let ended = upbeat(&[&["selftest"], args].concat());
        assert_eq!((ended.code, ended.err.as_str()), (0, ""), "{args:?}: {}", ended.out);
        ended
    };
    let of_many = |from: &str| run(&["--seeds", "20", "--from", from, "--output", "json"]).json();
    let (first, second) = (of_many("7"), of_many("7"));
    assert_eq!((&first["seeds"], &first["failed"]), (&json!(20), &json!(0)));
    assert_eq!(first["event_hash"], second["event_hash"]);
    assert_ne!(first["event_hash"], of_many("8")["event_hash"]);
    assert!(first["events"].as_u64() > Some(100) && first["faults"]["agent_fails"].as_u64() > Some(0), "{first:#}");
    let one = run(&["--seed", "7"]).out;
    assert!(one.contains("RunStarted") && one.contains("seed 7: no rule was broken\n"), "{one}");
    assert_eq!(upbeat(&["selftest", "--seeds", "0"]).code, 2);
}

#[test]
fn a_run_that_begins_with_thousands_of_events_at_once_is_told_to_its_end() {
    let folder = Folder::new();
    let steps: Vec<String> = (0..3_000).map(|at| format!("  s{at}: {{capability: x}}\n")).collect();
    let agents = "agents: { w: { kind: simulated, capabilities: [x], slots: 3000, duration: 0s } }\n";
    let file = folder.file("wide.yaml", &format!("{agents}steps:\n{}", steps.concat()));
    let ended = upbeat(&["run", &file, "--clock", "virtual", "--output", "jsonl", "--no-store"]);
    assert_eq!(ended.code, 0, "{}", ended.err);
    assert_eq!(ended.lines().len(), 3 + 4 * 3_000);
}

const POLICIES: &str = "
mode: hybrid
recovery: rollback
on_threshold_missed: escalate
limits: {retry_budget: {min: 3, share: 20%}}
agents:
  desk:
    kind: simulated
    capabilities: [book]
    slots: 9
    breaker: {failures: 2, cooldown: 5s}
    health: {url: 'https://example.org/up', every: 30s}
    rate_limit: {calls: 10, per: 1m}
    resources: {cpu: 2}
steps:
  - {id: a, capability: book, estimate: 1s, compensate: {action: cancel}, on_cancel: compensate, lock: seat}
  - {id: b, capability: book, estimate: 1s, compensate: {run: 'true'}, lock: seat}
  - {id: c, capability: book, estimate: 1s, barrier: gate, idle_timeout: 5s}
  - {id: d, capability: book, estimate: 1s, barrier: gate, semaphore: {name: s, permits: 2}}
  - {id: ask, needs: [a, b, c, d], approval: {prompt: 'Go?', timeout: 1h, default: reject}}
  - {id: e, needs: ask, capability: book, estimate: 1s, resources: {cpu: 2}, pivot: true, on_exhausted: pause}
  - {id: f, needs: ask, capability: book, estimate: 1s, resources: {cpu: 1}, critical: true}
";

#[test]
fn a_file_of_every_policy_is_checked_and_planned() {
    let folder = Folder::new();
    let file = folder.file("policies.yaml", POLICIES);
    let ended = upbeat(&["check", &file, "--output", "json"]);
    assert_eq!((ended.code, ended.json()), (0, json!([])), "{}", ended.out);
    let plan = |args: &[&str]| {
        let ended = upbeat(&[&["plan", &file, "--output", "json"], args].concat());
        assert_eq!(ended.code, 0, "{}", ended.err);
        ended.json()
    };
    let hybrid = plan(&[]);
    // Four steps of which two share a lock, then a person, then two steps in order: the level is below three.
    assert_eq!((&hybrid["strategy"], &hybrid["parallel_s"]), (&json!("hybrid"), &json!(4.0)));
    assert_eq!(hybrid["reason"], "the file: level by level, those of at least 3 steps in parallel");
    let parallel = plan(&["--mode", "parallel"]);
    assert_eq!((&parallel["strategy"], &parallel["parallel_s"]), (&json!("parallel"), &json!(4.0)));
    let auto = plan(&["--mode", "auto"]);
    assert_eq!(auto["strategy"], "parallel");
    assert!(auto["reason"].as_str().unwrap().starts_with("the option --mode: auto, and some steps are independent"));
    let kinds: Vec<&str> =
        auto["risks"].as_array().unwrap().iter().map(|risk| risk["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["single_agent", "critical", "not_undone", "approval_time"]);
    let text = upbeat(&["plan", &file, "--mode", "hybrid"]);
    assert!(text.out.contains("counted as no time: ask\n"), "{}", text.out);
}

#[test]
fn what_could_never_start_and_what_must_not_be_shown_are_refused_by_check() {
    let folder = Folder::new();
    let steps = "steps:\n  - {id: a, run: 'true', barrier: g}\n  - {id: b, run: 'true', barrier: g, needs: a}\n";
    let ended = upbeat(&["check", &folder.file("stuck.yaml", steps)]);
    assert_eq!(ended.code, 2);
    assert!(ended.err.contains("stuck.yaml:3:35: error[deadlock]"), "{}", ended.err);
    assert!(ended.err.contains("a -> b ~g~ a"), "{}", ended.err);
    let agents =
        "agents: {a: {kind: simulated, health: {url: 'https://me:hush@example.org'}}}\nsteps: [{id: x, agent: a}]\n";
    let file = folder.file("secret.yaml", agents);
    for args in [&["check", &file][..], &["check", &file, "--output", "json"], &["run", &file]] {
        let ended = upbeat(args);
        assert_eq!(ended.code, 2, "{args:?}");
        let told = ended.out + &ended.err;
        assert!(told.contains("secret") && !told.contains("hush"), "{told}");
    }
}

#[test]
fn what_more_agents_would_save_is_what_a_run_with_them_saves() {
    let folder = Folder::new();
    let agent = |id: &str| format!("{id}: {{kind: simulated, capabilities: [search]}}, ");
    let text = |more: &str| {
        let agents = format!("{}{more}w: {{kind: simulated, capabilities: [write]}}", agent("a"));
        let searches: String = (0..5).map(|at| format!("s{at}: {{capability: search, estimate: 3s}}, ")).collect();
        let sum = "sum: {capability: write, estimate: 1s, needs: [s0, s1, s2, s3, s4]}";
        format!("agents: {{{agents}}}\nsteps: {{{searches}{sum}}}\n")
    };
    let file = folder.file("few.yaml", &text(""));
    let plan = upbeat(&["plan", &file, "--output", "json", "--what-if", "search=+2"]).json();
    let more = folder.file("more.yaml", &text(&format!("{}{}", agent("b"), agent("c"))));
    let run = upbeat(&["run", &more, "--output", "json", "--clock", "virtual"]).json();
    let told = &plan["what_if"][0];
    assert_eq!(told["parallel_s"], run["metadata"]["elapsed_s"], "{plan}");
    assert_eq!(told["more"], json!({"search": 2}));
    assert_eq!(told["saves_s"], json!(9.0), "five searches of 3 s, then two rounds of them");
    let none = upbeat(&["plan", &file, "--what-if", "read=+1"]);
    assert!(none.code == 2 && none.err.contains("no step asks for read; they ask for: search, write"), "{}", none.err);
    let wrong = upbeat(&["plan", &file, "--what-if", "search=1"]);
    assert!(wrong.code == 2 && wrong.err.contains("CAPABILITY=+N"), "{}", wrong.err);
}

#[test]
fn filters_are_compiled_before_anything_runs_and_each_fault_has_its_place() {
    const FLOW: &str = "data: { xs: [1, 2] }
steps:
  a:
    run: ls
    if: .xs | lenght > 0
    with:
      text: |
        There are ${{ .xs | length }}
        and ${{ $nope }}
  b: { aggregate: { from: [a], strategy: transform, filter: \"map(.x\" } }
";
    let folder = Folder::new();
    let file = folder.file("flow.yaml", FLOW);
    for args in [&["check", &file][..], &["run", &file, "--headless"], &["plan", &file], &["graph", &file]] {
        let ended = upbeat(args);
        assert_eq!((ended.code, ended.out.as_str()), (2, ""), "{args:?}");
        for place in [
            ":5:15: error[bad_filter]: there is no filter `lenght`",
            ":9:17: error[bad_filter]: there is no variable `$nope`",
            ":10:68: error[bad_filter]: the filter ends where a closing `)` is expected",
        ] {
            assert!(ended.err.contains(place), "{args:?}: {}", ended.err);
        }
    }
    let long =
        folder.file("long.yaml", &format!("steps: {{ a: {{ run: ls, if: '. | {}1' }} }}\n", "-".repeat(9 * 1024)));
    let ended = upbeat(&["check", &long]);
    assert!(ended.code == 2 && ended.err.contains("8192 is the most"), "{}", ended.err);
    let agents = folder.file("agents.yaml", "agents: { s: { kind: simulated, output: '${{ .a | nope }}' } }\n");
    let ended = upbeat(&["check", &folder.file("two.yaml", TWO), "--agents", &agents]);
    assert!(ended.code == 2 && ended.err.contains("there is no filter `nope`"), "{}", ended.err);
    let good = FLOW.replace("lenght", "length").replace("$nope", "$run.id").replace("map(.x", "map(.x)");
    let ended = upbeat(&["check", &folder.file("good.yaml", &good)]);
    assert_eq!((ended.code, ended.err.as_str()), (0, ""), "{}", ended.out);
}
