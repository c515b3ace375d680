//! Events and the workflows that handle them.
#![expect(clippy::unwrap_used, reason = "a test that cannot set its scene has failed")]

use crate::program::{Folder, Said, command, said};
use crate::saved::Scene;
use crate::streams::{Flowing, until};
use rustix::process::Signal;
use serde_json::{Value, json};

fn watch(files: &[&str], options: &[&str], input: &str) -> Said {
    said(&mut command(&[&["watch"], files, &["--events", "-"], options].concat()), input)
}

/// A handler of `x` whose one step is this line; `DIR` is the folder.
fn handler(folder: &Folder, name: &str, on: &str, line: &str) -> String {
    let dir = folder.path("").to_str().unwrap().trim_end_matches('/').to_owned();
    let line = line.replace("DIR", &dir);
    folder.file(&format!("{name}.yaml"), &format!("on: {on}\nsteps: [{{id: a, run: '{line}', input: {{n: event.n}}}}]"))
}

fn statuses(answer: &Value) -> Vec<&str> {
    answer["results"].as_array().unwrap().iter().map(|result| result["status"].as_str().unwrap()).collect()
}

#[test]
fn the_handlers_of_an_event_run_side_by_side() {
    let folder = Folder::new();
    let meet = |own: &str, other: &str| format!("touch DIR/{own}; until [ -f DIR/{other} ]; do sleep 0.01; done");
    let one = handler(&folder, "one", "[x, y]", &meet("one", "two"));
    let two = handler(&folder, "two", "x", &meet("two", "one"));
    let ended = watch(&[&one, &two], &[], "{\"type\":\"x\",\"n\":1}\n");
    assert_eq!(ended.code, 0, "{}", ended.err);
    let answers = ended.lines();
    assert_eq!(answers.len(), 1);
    assert_eq!((&answers[0]["event_type"], &answers[0]["handlers_executed"]), (&json!("x"), &json!(2)));
    assert_eq!(statuses(&answers[0]), ["succeeded", "succeeded"]);
    let names: Vec<&Value> = answers[0]["results"].as_array().unwrap().iter().map(|r| &r["workflow"]).collect();
    assert_eq!(names, ["one", "two"], "in the order of the files");
    assert_eq!(answers[0]["results"][0]["data"]["event"], json!({"type": "x", "n": 1}));
    assert!(ended.err.contains("upbeat: 1 events, 2 handlers run, 0 failures; p50 "), "{}", ended.err);
}

#[test]
fn events_overtake_each_other_and_their_answers_do_not() {
    let folder = Folder::new();
    // The first event waits for what only the second one brings.
    let file =
        handler(&folder, "one", "x", "[ $UPBEAT_IN_N = 2 ] && touch DIR/go; until [ -f DIR/go ]; do sleep 0.01; done");
    let ended = watch(&[&file], &[], "{\"type\":\"x\",\"n\":1}\n{\"type\":\"x\",\"n\":2}\n");
    assert_eq!(ended.code, 0, "{}", ended.err);
    let numbers: Vec<Value> =
        ended.lines().iter().map(|answer| answer["results"][0]["data"]["event"]["n"].clone()).collect();
    assert_eq!(numbers, [1, 2]);
}

#[test]
fn what_is_no_event_and_what_nobody_handles_is_answered_in_its_place() {
    let input = "{\"type\":\"order_placed\",\"order\":{\"id\":7,\"items\":2}}\nnope\n{\"type\":3}\n{\"type\":\"gone\"}\n\
                 {\"type\":\"order_cancelled\",\"order\":{\"id\":5}}\n";
    let files = ["workflows/event_handlers.yaml", "workflows/event_notices.yaml"];
    for clock in ["virtual", "real"] {
        let ended = watch(&files, &["--clock", clock], input);
        assert_eq!(ended.code, 0, "{}", ended.err);
        let answers = ended.lines();
        assert_eq!((answers.len(), statuses(&answers[0]).len()), (5, 2));
        let data = |of: usize, at: usize| &answers[of]["results"][at]["data"];
        assert_eq!(
            (&data(0, 0)["order"], &data(0, 1)["note"]),
            (&json!({"reserved": 2, "parcel": "P-7"}), &json!("order_placed: order 7"))
        );
        assert_eq!((&answers[1]["event_type"], &answers[1]["status"]), (&Value::Null, &json!("error")));
        assert!(answers[1]["message"].as_str().unwrap().starts_with("the line is no JSON: "));
        assert_eq!(answers[2]["message"], "an event is an object with a text as its `type`");
        assert_eq!(answers[3], json!({"event_type": "gone", "status": "no_handlers"}));
        assert_eq!(
            (&answers[4]["handlers_executed"], &data(4, 0)["note"]),
            (&json!(1), &json!("order_cancelled: order 5"))
        );
        assert!(ended.err.contains("upbeat: line 2: the line is no JSON: "), "{}", ended.err);
        assert!(ended.err.contains("5 events, 3 handlers run, 2 failures"), "{}", ended.err);
    }
}

#[test]
fn a_handler_that_fails_is_told_and_the_watch_goes_on() {
    let folder = Folder::new();
    let file = handler(&folder, "one", "x", "exit $UPBEAT_IN_N");
    let ended = watch(&[&file], &["--seed", "1"], "{\"type\":\"x\",\"n\":1}\n{\"type\":\"x\",\"n\":0}\n");
    assert_eq!(ended.code, 0, "{}", ended.err);
    let answers = ended.lines();
    assert_eq!((statuses(&answers[0]), statuses(&answers[1])), (vec!["failed"], vec!["succeeded"]));
    assert_eq!(answers[0]["results"][0]["errors"][0]["step"], "a");
    assert_ne!(answers[0]["results"][0]["seed"], answers[1]["results"][0]["seed"], "each run has draws of its own");
    assert!(ended.err.contains("2 handlers run, 1 failures"), "{}", ended.err);
}

#[test]
fn every_event_is_answered_while_the_source_is_open() {
    let mut watching = Flowing::start(&["watch", "workflows/event_notices.yaml", "--events", "-", "--speed", "100"]);
    for n in 0..3 {
        watching.write(&format!("{{\"type\":\"order_placed\",\"order\":{{\"id\":{n}}}}}"));
        assert_eq!(watching.line()["results"][0]["data"]["note"], format!("order_placed: order {n}"));
    }
    assert_eq!(watching.end().code, 0);
}

#[test]
fn a_signal_ends_the_handlers_and_their_events_are_answered() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let folder = Folder::new();
        let file = handler(&folder, "one", "x", "touch DIR/began; sleep 600");
        let mut watching = Flowing::start(&["watch", &file]);
        watching.write("{\"type\":\"x\"}");
        until("the handler begins", || folder.path("began").exists());
        watching.signal(signal);
        let input = watching.input.take();
        let ended = watching.end();
        drop(input);
        assert_eq!(ended.code, code, "{}", ended.err);
        assert_eq!(statuses(&ended.lines()[0]), ["cancelled"]);
    }
}

#[test]
fn runs_of_a_watch_are_saved_and_one_that_is_interrupted_can_go_on() {
    let scene = Scene::new();
    let file = handler(
        &scene.folder,
        "one",
        "x",
        "touch DIR/began-$UPBEAT_IN_N; [ $UPBEAT_IN_N = 1 ] || until [ -f DIR/go ]; do sleep 0.01; done",
    );
    let mut watching = Flowing::start(&["watch", &file, "--store", &scene.store]);
    watching.write("{\"type\":\"x\",\"n\":1}");
    let first = watching.line()["results"][0].clone();
    let id = first["run_id"].as_str().unwrap();
    let shown = scene.upbeat(&["show", id, "--output", "json"]).json();
    assert_eq!((&shown["status"], &shown["data"]["event"]["n"]), (&json!("succeeded"), &json!(1)));
    // Its journal is given back: the same event is handled again by another process, while the watch goes on.
    let again = scene.upbeat(&["rerun", id, "--output", "json"]);
    assert_eq!((again.code, &again.json()["data"]["event"]["n"]), (0, &json!(1)), "{}", again.err);
    watching.write("{\"type\":\"x\",\"n\":2}");
    until("the second handler begins", || scene.folder.path("began-2").exists());
    watching.signal(Signal::INT);
    let ended = watching.end();
    assert_eq!(ended.code, 75, "{}", ended.err);
    let left = &ended.lines()[0]["results"][0];
    assert_eq!(left["status"], "parked");
    assert!(ended.err.contains("upbeat: resume with: upbeat resume "), "{}", ended.err);
    scene.folder.file("go", "");
    let resumed = scene.upbeat(&["resume", left["run_id"].as_str().unwrap(), "--output", "json"]);
    assert_eq!((resumed.code, &resumed.json()["data"]["event"]["n"]), (0, &json!(2)), "{}", resumed.err);
}

#[test]
fn a_handler_that_asks_a_person_is_parked_and_answered_elsewhere_while_the_watch_goes_on() {
    let scene = Scene::new();
    let file = scene.workflow("on: x\nsteps:\n  - {id: ask, approval: {prompt: Go on?}}\n  - {id: b, capability: echo, needs: ask, input: {n: event.n}}");
    let mut watching = Flowing::start(&["watch", &file, "--store", &scene.store]);
    watching.write("{\"type\":\"x\",\"n\":4}");
    let parked = watching.line()["results"][0].clone();
    assert_eq!(parked["status"], "parked");
    let id = parked["run_id"].as_str().unwrap();
    let answered = scene.upbeat(&["answer", id, "ask", "approve"]);
    assert_eq!(answered.code, 0, "{}", answered.err);
    let resumed = scene.upbeat(&["resume", id, "--output", "json"]);
    assert_eq!((resumed.code, &resumed.json()["outputs"]["b"]["n"]), (0, &json!(4)), "{}", resumed.err);
    watching.write("{\"type\":\"y\"}");
    assert_eq!(watching.line()["status"], "no_handlers");
    assert_eq!(watching.end().code, 0);
}

#[test]
fn files_that_handle_nothing_or_disagree_about_an_agent_are_refused() {
    let folder = Folder::new();
    let steps = "steps: [{id: a, capability: work}]";
    let agent =
        |speed: u32| format!("agents: {{w: {{kind: simulated, capabilities: [work], speed: {speed}}}}}\n{steps}");
    let plain = folder.file("plain.yaml", &agent(1));
    let ended = watch(&[&plain], &[], "");
    assert!(ended.code == 2 && ended.err.contains("it needs an `on`"), "{}", ended.err);
    let one = folder.file("one.yaml", &format!("on: x\n{}", agent(1)));
    let two = folder.file("two.yaml", &format!("on: x\n{}", agent(2)));
    let ended = watch(&[&one, &two], &[], "");
    assert!(
        ended.code == 2 && ended.err.contains("the agent w of two is another one than that of one"),
        "{}",
        ended.err
    );
    for bad in ["[]", "[1]", "{x: y}", "''"] {
        let ended = watch(&[&folder.file("bad.yaml", &format!("on: {bad}\n{}", agent(1)))], &[], "");
        assert_eq!(ended.code, 2, "{bad}");
    }
}
