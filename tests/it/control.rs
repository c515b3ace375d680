//! A run steered from another process: over its socket while somebody has it open, else where it lies.

use crate::program::{Folder, Said, upbeat};
use crate::pty::Terminal;
use crate::saved::{Running, Scene};
use rustix::process::Signal;
use serde_json::json;

/// `b` waits for a file; `c` and `d` need it; `e` needs nothing but comes last.
const GATE: &str = "
id: gate
steps:
  - {id: a, run: 'true'}
  - {id: b, run: 'until [ -f DIR/go ]; do sleep 0.01; done', needs: [a]}
  - {id: c, run: 'true', needs: [b]}
  - {id: d, run: 'true', needs: [c]}
  - {id: e, run: 'true', needs: {b: {on: completed}}}
";

fn begun(scene: &Scene) -> Running {
    scene.run_until(&["run", &scene.workflow(GATE)], &["attempt_started\",\"step\":\"b"])
}

/// The one line on standard output, and that nothing went wrong.
fn fine(said: &Said) -> &str {
    assert_eq!((said.code, said.err.as_str()), (0, ""), "{}", said.out);
    said.out.trim_end()
}

#[test]
fn a_headless_run_that_is_paused_from_outside_ends_once_drained_and_is_resumed() {
    let scene = Scene::new();
    let running = begun(&scene);
    let pid = running.pid();
    let paused = scene.upbeat(&["pause", "last"]);
    assert!(fine(&paused).ends_with(&format!("pauses in process {pid}: what runs ends first, nothing new starts")));
    let again = scene.upbeat(&["pause", "last"]);
    assert_eq!((again.code, again.err.as_str()), (2, "upbeat: the run is pausing already\n"));
    scene.folder.file("go", "");
    let left = running.end();
    assert_eq!(left.code, 75, "{}", left.err);
    assert_eq!(left.lines().last().unwrap()["result"]["status"], "parked");
    let gone = scene.upbeat(&["pause", "last"]);
    assert_eq!(gone.code, 2);
    assert!(gone.err.contains("is paused and nothing of it runs; `upbeat resume "), "{}", gone.err);
    assert_eq!(scene.upbeat(&["resume", "last", "--output", "json"]).code, 0);
}

#[test]
fn a_pausing_run_goes_on_where_it_is_and_a_number_is_a_check_there_too() {
    let scene = Scene::new();
    let running = begun(&scene);
    let refused = scene.upbeat(&["resume", "last"]);
    assert!(refused.code == 2 && refused.err.contains("is under way in process"), "{}", refused.err);
    assert_eq!(scene.upbeat(&["pause", "last", "--output", "json"]).json(), json!({"status": "pausing"}));
    let stale = scene.upbeat(&["resume", "last@1"]);
    assert!(stale.code == 2 && stale.err.contains("has moved on: its last event is"), "{}", stale.err);
    let changed = scene.upbeat(&["resume", "last", "--accept-changes"]);
    assert!(changed.code == 2 && changed.err.contains("can be changed there"), "{}", changed.err);
    let resumed = scene.upbeat(&["resume", "last"]);
    assert!(fine(&resumed).contains(" goes on in process "), "{}", resumed.out);
    scene.folder.file("go", "");
    assert_eq!(running.end().code, 0);
}

#[test]
fn a_step_is_cancelled_and_the_answer_names_what_went_with_it() {
    let scene = Scene::new();
    let running = begun(&scene);
    let misspelt = scene.upbeat(&["cancel", "last", "--step", "bb"]);
    assert_eq!((misspelt.code, misspelt.err.as_str()), (2, "upbeat: the run has no step bb; did you mean b?\n"));
    let answer = scene.upbeat(&["cancel", "last", "--step", "c", "--output", "json"]);
    assert_eq!((answer.code, answer.out.as_str()), (0, "{\"status\":\"cancelled\",\"dependents\":[\"d\"]}\n"));
    let answer = scene.upbeat(&["cancel", "last", "--step", "b"]);
    assert_eq!(fine(&answer), "step b is cancelled");
    let end = running.end().lines().pop().unwrap();
    assert_eq!(end["result"]["metadata"]["steps"]["cancelled"], 3, "{end}");
    assert!(end["result"]["outputs"].get("e").is_some(), "what goes on after any end of b goes on");
}

#[test]
fn a_run_is_cancelled_from_outside_and_what_comes_too_late_is_refused() {
    let scene = Scene::new();
    let running = begun(&scene);
    let answer = scene.upbeat(&["cancel", "last"]);
    assert!(fine(&answer).ends_with("is being cancelled"), "{}", answer.out);
    let end = running.end();
    assert_eq!(end.code, 8, "{}", end.err);
    for late in [&["cancel", "last"][..], &["pause", "last"], &["answer", "last", "b", "approve"]] {
        let refused = scene.upbeat(late);
        assert_eq!(refused.code, 2, "{late:?}");
        assert!(refused.err.contains("has ended, it is cancelled; `upbeat retry "), "{late:?}: {}", refused.err);
    }
}

#[test]
fn many_at_once_all_get_an_answer_whatever_becomes_of_the_run() {
    let scene = Scene::new();
    let running = begun(&scene);
    let codes: Vec<Said> = std::thread::scope(|scope| {
        let asked: Vec<_> = (0..8).map(|_| scope.spawn(|| scene.upbeat(&["cancel", "last"]))).collect();
        asked.into_iter().map(|asked| asked.join().unwrap()).collect()
    });
    assert!(codes.iter().any(|said| said.code == 0));
    for said in &codes {
        let late = said.code == 2 && said.err.contains("has ended");
        assert!(said.code == 0 || late, "{}: {}", said.code, said.err);
    }
    assert_eq!(running.end().code, 8);
}

#[test]
fn a_parked_run_is_steered_where_it_lies() {
    let scene = Scene::new();
    let left = begun(&scene).end_by(Signal::INT);
    assert_eq!(left.code, 75);
    let folder = std::fs::read_dir(std::path::Path::new(&scene.store).join("runs")).unwrap().next().unwrap().unwrap();
    assert!(!folder.path().join("control.sock").exists(), "the socket goes with its process");
    let answer = scene.upbeat(&["cancel", "last", "--step", "c", "--output", "json"]);
    assert_eq!(
        (answer.code, answer.json()),
        (0, json!({"status": "cancelled", "dependents": ["d"]})),
        "{}",
        answer.err
    );
    let refused = scene.upbeat(&["cancel", "last", "--step", "c"]);
    assert!(refused.code == 2 && refused.err.contains("c has ended; it is cancelled"), "{}", refused.err);
    assert_eq!(scene.last()["steps"][2]["state"], "cancelled");
    assert_eq!(scene.last()["steps"][1]["state"], "ready", "nothing was begun");
    let answer = scene.upbeat(&["cancel", "last"]);
    assert!(fine(&answer).ends_with(" is cancelled"), "{}", answer.out);
    assert_eq!(scene.last()["run"]["state"], "cancelled");
}

#[test]
fn a_run_in_a_panel_is_steered_from_another_terminal() {
    let scene = Scene::new();
    let file = scene.workflow(GATE);
    let args = ["run", &file, "--store", &scene.store];
    let mut terminal = Terminal::start(&scene.folder.path(""), &args, (120, 40), &[("UPBEAT_NO_STORE", "")]);
    terminal.wait_for("running");
    assert!(fine(&scene.upbeat(&["pause", "last"])).contains(" pauses in process "));
    terminal.wait_for("pausing");
    scene.folder.file("go", "");
    terminal.wait_for("paused");
    assert!(fine(&scene.upbeat(&["resume", "last"])).contains(" goes on in process "));
    terminal.wait_for("done after");
    terminal.press("q");
    assert_eq!(terminal.end().0, 0);
}

#[test]
fn a_checkpoint_that_was_never_made_is_refused_with_those_that_were() {
    let scene = Scene::new();
    begun(&scene).end_by(Signal::INT);
    let refused = scene.upbeat(&["rerun", "last", "--from", "checkpoint-1", "--output", "json"]);
    assert_eq!(refused.code, 2);
    assert!(refused.err.contains("has no checkpoint 1; it has none"), "{}", refused.err);
}

#[test]
fn what_cannot_be_understood_is_refused_with_what_was_expected() {
    let scene = Scene::new();
    begun(&scene).end_by(Signal::INT);
    let cases: [(&[&str], &str); 5] = [
        (&["answer", "last", "b", "maybe"], "maybe is neither `approve` nor `reject` nor JSON"),
        (&["cancel", "last", "--reassign"], "--reassign needs to know what"),
        (&["cancel", "last", "--capability", "nothing"], "the run has no capability nothing"),
        (&["pause", "last", "--step", "b"], "a step cannot be paused by itself"),
        (&["resume", "last", "--step", "b"], "a run is resumed as a whole"),
    ];
    for (args, words) in cases {
        let said = scene.upbeat(args);
        assert!(said.code == 2 && said.err.contains(words), "{args:?}: {}", said.err);
    }
    for args in [&["cancel", "last", "--step", "b", "--agent", "x"][..], &["cancel", "last", "--priority", "9-1"]] {
        assert_eq!(scene.upbeat(args).code, 2, "{args:?}");
    }
    let nobody = scene.upbeat(&["pause", "nope"]);
    let list = format!("`upbeat runs --store '{}'` lists them\n", scene.store);
    assert_eq!((nobody.code, nobody.err), (2, format!("upbeat: there is no run nope; {list}")));
    let empty = scene.upbeat(&["cancel", ""]);
    let which = "upbeat: which run? Give its id, the beginning of it, or `last`";
    assert_eq!((empty.code, empty.err), (2, format!("{which}; {list}")));
    let stranger = scene.upbeat(&["cancel", "last", "--step", "zzzz"]);
    assert!(stranger.err.starts_with("upbeat: the run has no step zzzz; `upbeat show "), "{}", stranger.err);
    let dressed = scene.upbeat(&["cancel", "last", "--step", "b\u{1b}[31m\u{202e}"]);
    let hidden = "in which there is more than can be shown; did you mean b?\n";
    assert!(dressed.code == 2 && dressed.err.ends_with(hidden), "{}", dressed.err);
    assert!(!dressed.err.contains(['\u{1b}', '\u{202e}']), "{}", dressed.err);
}

#[test]
fn a_run_whose_process_was_killed_is_steered_where_it_lies() {
    let scene = Scene::new();
    begun(&scene).end_by(Signal::KILL);
    let folder = std::fs::read_dir(std::path::Path::new(&scene.store).join("runs")).unwrap().next().unwrap().unwrap();
    assert!(folder.path().join("control.sock").exists(), "nobody was left to remove it");
    for freeze in [&[][..], &["--freeze"]] {
        let paused = scene.upbeat(&[&["pause", "last"], freeze].concat());
        let expected = "is interrupted and nothing of it runs; `upbeat resume ";
        assert!(paused.code == 2 && paused.err.contains(expected), "{}", paused.err);
    }
    let cancelled = scene.upbeat(&["cancel", "last", "--step", "c", "--output", "json"]);
    assert_eq!((cancelled.code, cancelled.json()), (0, json!({"status": "cancelled", "dependents": ["d"]})));
    let answered = scene.upbeat(&["answer", "last", "b", "{}", "--output", "json"]);
    assert_eq!((answered.code, answered.json()), (0, json!({"status": "answered"})), "{}", answered.err);
}

#[test]
fn a_run_that_was_undone_is_not_said_to_be_tried_again() {
    let scene = Scene::new();
    let file = scene.workflow(
        "recovery: rollback
steps:
  - {id: a, run: 'true', compensate: {run: 'true'}}
  - {id: b, run: 'exit 1', needs: a}",
    );
    assert_eq!(scene.upbeat(&["run", &file, "--headless"]).code, 6);
    for args in [&["cancel", "last"][..], &["pause", "last"], &["answer", "last", "a", "approve"], &["resume", "last"]]
    {
        let refused = scene.upbeat(args);
        assert_eq!(refused.code, 2, "{args:?}");
        assert!(refused.err.contains("has ended, it is compensated; `upbeat rerun "), "{args:?}: {}", refused.err);
    }
}

#[test]
fn agents_are_tried_and_told_apart() {
    let folder = Folder::new();
    let text = "
agents:
  there: {kind: process, command: [cat], capabilities: [one]}
  pretend: {kind: simulated, capabilities: [two], slots: 3}
steps:
  - {id: a, capability: one}
  - {id: b, capability: two}
  - {id: c, capability: echo}
";
    let file = folder.file("agents.yaml", text);
    let told = upbeat(&["agents", &file]);
    assert_eq!(told.code, 0, "{}", told.err);
    for words in
        ["there         process    one", "pretend       simulated  two           3", "builtin.echo  built in   echo"]
    {
        assert!(told.out.contains(words), "{words}: {}", told.out);
    }
    let gone = folder.file("gone.yaml", &text.replace("[cat]", "[no-such-program-anywhere]"));
    let told = upbeat(&["agents", &gone, "--output", "json"]);
    assert_eq!((told.code, &told.json()[0]["reachable"]), (1, &json!(false)), "{}", told.err);
    assert!(told.json()[0]["error"].as_str().unwrap().contains("no-such-program-anywhere"));
    assert_eq!(upbeat(&["agents", &folder.file("bad.yaml", "steps: [{id: a, capability: nobody}]")]).code, 2);
}

#[test]
fn the_guide_lists_its_pages_and_prints_them() {
    let list = upbeat(&["guide"]);
    assert!(list.code == 0 && list.out.contains("control            Steering a run\n"), "{}", list.out);
    assert!(list.out.contains("what-happens-when  What happens when\n"), "{}", list.out);
    let page = upbeat(&["guide", "control"]);
    assert!(page.code == 0 && page.out.starts_with("# Steering a run\n"), "{}", page.out);
    let none = upbeat(&["guide", "contrl"]);
    assert!(
        none.code == 2 && none.err.contains("the guide has no page contrl; it has built-in-agents"),
        "{}",
        none.err
    );
}
