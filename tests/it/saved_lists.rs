//! What is told of saved runs: lists, pages, logs and replays, also of damaged ones; and where runs are saved at all.

use crate::program::{Folder, command, said, upbeat};
use crate::saved::Scene;
use rustix::process::Signal;
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;

const TWO: &str = "
id: two
agents:
  worker: {kind: simulated, capabilities: [work], duration: 1s}
steps:
  - {id: first, capability: work}
  - {id: second, capability: work, needs: first}
";

const NOISY: &str = "
id: noisy
steps:
  - {id: loud, run: 'echo out-1; printf \"err \\033[31mred\\n\" >&2'}
  - {id: quiet, run: 'echo out-2; exit 3', needs: loud}
";

#[test]
fn a_replay_gives_the_events_and_the_result_as_the_run_gave_them() {
    let scene = Scene::new();
    let file = scene.workflow(TWO);
    let ran = scene.upbeat(&["run", &file, "--clock", "virtual", "--output", "jsonl"]);
    let again = scene.upbeat(&["replay", "last", "--output", "jsonl"]);
    assert_eq!((again.code, again.out.as_str()), (0, ran.out.as_str()));
    let document = scene.upbeat(&["replay", "last", "--output", "json"]).json();
    assert_eq!(document, ran.lines().pop().unwrap()["result"]);
    let run = document["run_id"].as_str().unwrap();
    assert_eq!(
        scene.upbeat(&["replay", &run[..5]]).out,
        format!(
            "\x20     0 s  run {run} of two started, seed 0\n\
             \x20     0 s  first started on worker\n\
             \x20   1.0 s  first succeeded\n\
             \x20   1.0 s  second started on worker\n\
             \x20   2.0 s  second succeeded\n\
             \x20   2.0 s  run succeeded\n"
        )
    );
}

#[test]
fn a_page_of_a_run_shows_its_steps_and_its_failures() {
    let scene = Scene::new();
    let ran = scene.upbeat(&["run", &scene.workflow(TWO), "--clock", "virtual", "--output", "json"]).json();
    let run = ran["run_id"].as_str().unwrap();
    let page = scene.upbeat(&["show", "last"]);
    assert_eq!((page.code, page.err.as_str()), (0, ""));
    assert!(page.out.starts_with(&format!("{run}  two  ✓ succeeded\n\n  begun      just now (20")), "{}", page.out);
    let rest = "\x20 steps      2 of 2 succeeded\n  time       2.0 s\n  seed       0, virtual clock\n\n\
         \x20 step    state        attempts  agent   began   took\n\
         \x20 first   ✓ succeeded  1         worker  +0 s    1.0 s\n\
         \x20 second  ✓ succeeded  1         worker  +1.0 s  1.0 s\n";
    assert!(page.out.ends_with(rest), "{}", page.out);
    let document = scene.last();
    for (member, value) in ran.as_object().unwrap() {
        assert_eq!(&document[member], value, "the result document is in it");
    }
    assert_eq!(document["steps"][1]["began_s"], 1.0);
    let none = scene.upbeat(&["show", run, "--failures"]);
    assert_eq!((none.code, none.out), (0, format!("nothing of run {run} failed for good\n")));

    assert_eq!(scene.upbeat(&["run", &scene.workflow(NOISY)]).code, 1);
    let failures = scene.upbeat(&["show", "last", "--failures"]).out;
    assert!(failures.starts_with("failed for good\n  quiet, 1 attempt, last on builtin.process\n    "), "{failures}");
    assert!(failures.contains("\n    → ") && failures.contains("\ntry again: upbeat retry "), "{failures}");
    assert_eq!(scene.upbeat(&["show", "last", "--failures", "--output", "json"]).json()[0]["step"], "quiet");
}

#[test]
fn the_list_has_every_run_the_newest_first_and_says_how_to_go_on() {
    let scene = Scene::new();
    let none = scene.upbeat(&["runs"]);
    assert_eq!(none.code, 2);
    assert!(none.err.contains("does not exist; `upbeat run FILE` begins one"), "{}", none.err);
    let id = |args: &[&str]| scene.upbeat(args).json()["run_id"].as_str().unwrap().to_owned();
    let good = id(&["run", &scene.workflow(TWO), "--clock", "virtual", "--output", "json"]);
    let bad = id(&["run", &scene.workflow(NOISY), "--output", "json"]);
    let slow = scene.workflow(&TWO.replace("1s", "10m"));
    let running = scene.run_until(&["run", &slow], &["attempt_started"]);
    let list = scene.upbeat(&["runs", "--output", "json"]).json();
    let of = |key: &str| list.as_array().unwrap().iter().map(|run| run[key].clone()).collect::<Vec<Value>>();
    assert_eq!(of("run_id")[1..], [json!(bad), json!(good)]);
    assert_eq!(of("state"), ["running", "failed", "succeeded"]);
    assert_eq!(of("pid"), [json!(running.pid()), Value::Null, Value::Null]);
    let shown = scene.upbeat(&["show", "last"]).out;
    assert!(shown.contains(&format!("\n  carried on by process {}\n", running.pid())), "{shown}");
    assert!(shown.contains(" so far, about "), "{shown}");
    running.end_by(Signal::KILL);
    let text = scene.upbeat(&["runs"]).out;
    let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["run", "state", "workflow", "steps", "begun", "took", "go", "on"]);
    assert_eq!(rows[1][1..5], ["?", "interrupted", "two", "0/2"]);
    assert!(text.lines().nth(1).unwrap().contains("upbeat resume "), "{text}");
    assert_eq!((rows[2][0], rows[2][2], rows[2][4]), (&*bad, "failed", "2/2"));
    assert!(text.lines().nth(2).unwrap().contains(&format!("upbeat retry {bad} --store '")), "{text}");
    assert_eq!((rows[3][0], rows[3][2]), (&*good, "succeeded"));
    let short = scene.upbeat(&["runs", "--limit", "1"]).out;
    assert!(short.ends_with("… and 2 older; `--limit N` shows more\n"), "{short}");
}

#[test]
fn logs_have_events_and_printed_lines_in_one_order() {
    let scene = Scene::new();
    assert_eq!(scene.upbeat(&["run", &scene.workflow(NOISY)]).code, 1);
    let all = scene.upbeat(&["logs", "last"]).out;
    assert!(!all.contains('\u{1b}'), "{all:?}");
    let told: Vec<&str> = all.lines().map(|line| line[9..].trim_start()).collect();
    let at =
        |what: &str| told.iter().position(|line| line.starts_with(what)).unwrap_or_else(|| panic!("{what}: {all}"));
    let order = [
        "loud started",
        "loud stderr: err red",
        "loud succeeded",
        "quiet started",
        "quiet stdout: out-2",
        "run failed",
    ];
    assert!(order.windows(2).all(|pair| at(pair[0]) < at(pair[1])), "{all}");
    let some = scene.upbeat(&["logs", "last", "--step", "loud", "--grep", "^out-\\d$", "--output", "json"]).lines();
    assert_eq!(some.len(), 1, "{some:?}");
    assert_eq!((&some[0]["stream"], &some[0]["text"]), (&json!("stdout"), &json!("out-1")));
    assert_eq!((&some[0]["step"], &some[0]["attempt"]), (&json!("loud"), &json!(1)));
    let refused = scene.upbeat(&["logs", "last", "--grep", "(a"]);
    assert_eq!((refused.code, refused.out.as_str()), (2, ""));
    assert!(refused.err.contains("--grep (a: unclosed group"), "{}", refused.err);
    assert_eq!(scene.upbeat(&["logs", "last", "--step", "lout"]).code, 2);
}

#[test]
fn a_damaged_journal_is_told_up_to_where_it_is_whole() {
    let scene = Scene::new();
    let ran = scene.upbeat(&["run", &scene.workflow(TWO), "--clock", "virtual", "--output", "jsonl"]);
    let run = ran.lines()[0]["run_id"].as_str().unwrap().to_owned();
    let journal = format!("{}/runs/{run}/journal.db", scene.store);
    let db = rusqlite::Connection::open(&journal).unwrap();
    let guards: Vec<String> = {
        let mut query = db.prepare("SELECT name FROM sqlite_master WHERE type = 'trigger'").unwrap();
        query.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    for guard in guards {
        db.execute_batch(&format!("DROP TRIGGER {guard}")).unwrap();
    }
    db.execute("UPDATE events SET at = at + 1 WHERE seq = 5", []).unwrap();
    drop(db);
    let told = scene.upbeat(&["replay", &run, "--output", "jsonl"]);
    assert_eq!((told.code, told.lines()), (2, ran.lines()[..4].to_vec()));
    assert!(told.err.contains("is damaged at event 5"), "{}", told.err);
    assert!(told.err.ends_with(&format!("the journal of run {run} is whole up to event 4\n")), "{}", told.err);
    for command in ["show", "resume", "retry", "rerun"] {
        let ended = scene.upbeat(&[command, &run]);
        assert_eq!(ended.code, 2, "{command}");
        assert!(ended.err.contains("is damaged at event 5"), "{command}: {}", ended.err);
    }
    assert_eq!(scene.upbeat(&["runs", "--output", "json"]).json()[0]["run_id"], run);
}

#[test]
fn without_a_store_nothing_is_written_and_one_that_cannot_be_had_is_said() {
    let folder = Folder::new();
    let file = folder.file("two.yaml", TWO);
    let run = ["run", &file, "--clock", "virtual", "--output", "json"];
    let state = |name: &str| folder.path(name).to_str().unwrap().to_owned();
    let usual = |args: &[&str], home: &str| {
        let mut command = command(args);
        said(command.env_remove("UPBEAT_NO_STORE").env("XDG_STATE_HOME", state(home)), "")
    };
    let ended = usual(&[&run[..], &["--no-store"]].concat(), "none");
    assert_eq!((ended.code, folder.path("none").exists()), (0, false));
    assert!(ended.err.ends_with("; nothing of it was saved\n"), "{}", ended.err);

    let ended = usual(&run, "usual");
    assert_eq!(ended.code, 0, "{}", ended.err);
    assert!(
        ended.err.ends_with("; saved: survives a kill, not a loss of power (`--sync full` does)\n"),
        "{}",
        ended.err
    );
    let listed = usual(&["runs"], "usual");
    assert!(listed.out.contains(ended.json()["run_id"].as_str().unwrap()), "{}", listed.out);
    let full = usual(&[&run[..], &["--sync", "full"]].concat(), "usual");
    assert!(full.err.ends_with("; saved: survives a kill and a loss of power\n"), "{}", full.err);

    folder.file("taken", "");
    let ended = usual(&run, "taken");
    assert_eq!((ended.code, ended.err.matches("saved").count()), (0, 2), "{}", ended.err);
    assert!(ended.err.starts_with("upbeat: the run is not saved: could not make the folder"), "{}", ended.err);
    assert!(ended.err.ends_with("; nothing of it was saved\n"), "{}", ended.err);
    let place = state("taken/x");
    let ended = upbeat(&[&run[..], &["--store", &place]].concat());
    assert_eq!((ended.code, ended.out.as_str()), (2, ""));
    assert!(ended.err.contains("cannot be used") && ended.err.contains("--no-store"), "{}", ended.err);

    std::fs::create_dir(folder.path("open")).unwrap();
    std::fs::set_permissions(folder.path("open"), std::fs::Permissions::from_mode(0o777)).unwrap();
    let open = state("open");
    let mut by_variable = command(&run);
    let ended = said(by_variable.env_remove("UPBEAT_NO_STORE").env("UPBEAT_STORE", &open), "");
    assert_eq!(ended.code, 2);
    assert!(ended.err.contains("others may write to"), "{}", ended.err);
    assert_eq!(upbeat(&[&run[..], &["--store", &open, "--no-store"]].concat()).code, 2);
}
