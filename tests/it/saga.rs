//! The real program in the middle of a rollback, killed and resumed: what was undone is not undone again, the order
//! holds, and what could not be undone is named.
#![expect(clippy::unwrap_used, reason = "a test that cannot set its scene has failed")]

use crate::program::{Folder, Said, command, said};
use crate::recovery::{lines_of, signal, start, until};
use rustix::process::Signal;
use serde_json::Value;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::process::ExitStatusExt;

/// Booked in this order, each after the one before; the fifth fails for good.
const BOOKED: [&str; 6] = ["flight", "hotel", "car", "tour", "insurance", "mail"];

/// Steps that write down what they do. Cancelling the car stays at work until somebody says that it may end; cancelling
/// the hotel fails twice, and that of the flight always if `stubborn`.
fn workflow(folder: &Folder, stubborn: bool) -> String {
    let log = folder.path("log");
    let (log, resumed) = (log.display(), folder.path("resumed"));
    let mut text = "id: journey\nrecovery: rollback\nsteps:\n".to_owned();
    for (at, name) in BOOKED.iter().enumerate() {
        let needs = if at == 0 { String::new() } else { format!("needs: {}, ", BOOKED[at - 1]) };
        let undo = match *name {
            "hotel" => "test $(grep -c '^begun hotel' LOG) -ge 3".to_owned(),
            "car" => format!("test -e {} || sleep 60", resumed.display()),
            "flight" if stubborn => "exit 1".to_owned(),
            _ => "true".to_owned(),
        };
        let undo = format!("echo begun {name} $UPBEAT_IDEMPOTENCY_KEY >> LOG; {undo}; echo undone {name} >> LOG");
        let undo = serde_json::to_string(&undo.replace("LOG", &log.to_string())).unwrap();
        let run = if *name == "insurance" { "exit 65".to_owned() } else { format!("echo booked {name} >> {log}") };
        let compensate = format!("compensate: {{run: {undo}, retry: {{limit: 4, interval: 10ms, jitter: none}}}}");
        writeln!(text, "  {name}: {{{needs}run: {run}, {compensate}}}").unwrap();
    }
    folder.file("journey.yaml", &text)
}

fn from_store(store: &str, args: &[&str]) -> Said {
    said(&mut command(&[args, &["--store", store]].concat()), "")
}

/// The steps that events of this name are about.
fn steps_of<'e>(events: &'e [Value], name: &str) -> Vec<&'e str> {
    events.iter().filter(|event| event["event"] == name).filter_map(|event| event["step"].as_str()).collect()
}

/// Runs it, kills it while the car is being cancelled, and resumes it: the end, and what was written down.
fn killed_in_the_middle(stubborn: bool) -> (Said, Vec<Value>, Vec<String>) {
    let folder = Folder::new();
    let store = folder.path("store").to_str().unwrap().to_owned();
    let file = workflow(&folder, stubborn);
    let mut child = start(&["run", &file, "--headless", "--output", "json", "--store", &store], &folder, "result");
    until("the car is being cancelled", || lines_of(&folder).iter().any(|line| line.starts_with("begun car")));
    signal(&child, Signal::KILL);
    assert_eq!(child.wait().unwrap().signal(), Some(9));
    fs::write(folder.path("resumed"), "").unwrap();
    let end = from_store(&store, &["resume", "last", "--headless", "--output", "json"]);
    let events = from_store(&store, &["replay", "last", "--output", "jsonl"]).lines();
    (end, events, lines_of(&folder))
}

/// Lines that begin with these words.
fn starting<'l>(lines: &'l [String], words: &str) -> Vec<&'l str> {
    lines.iter().filter_map(|line| line.strip_prefix(words)).map(str::trim).collect()
}

#[test]
fn killed_in_the_middle_of_a_rollback_it_undoes_the_rest_once_and_in_reverse() {
    let (end, events, lines) = killed_in_the_middle(false);
    assert_eq!(end.code, 6, "{}\n{}", end.out, end.err);
    let result = end.json();
    assert_eq!(result["status"], "compensated");
    assert_eq!(result["metadata"]["steps"]["compensated"], 4);
    assert_eq!(steps_of(&events, "step_compensated"), ["tour", "car", "hotel", "flight"], "each once, in reverse");
    assert_eq!(starting(&lines, "undone"), ["tour", "car", "hotel", "flight"], "and so did the world see it");
    assert_eq!(starting(&lines, "booked"), BOOKED[..4], "what was booked is not booked again");
    assert_eq!(starting(&lines, "begun hotel").len(), 3, "it failed twice, and then worked");
    let car = starting(&lines, "begun car");
    assert!(car.len() == 2 && car[0] == car[1] && !car[0].is_empty(), "done again with the same key: {car:?}");
    let undoing = events.iter().filter(|event| event["event"] == "attempt_started" && event["undo"] == true);
    assert_eq!(undoing.count(), 4 + 1 + 2, "one each, one that was cut off, two that failed");
}

#[test]
fn what_can_never_be_undone_is_named_and_the_rest_is_undone() {
    let (end, events, lines) = killed_in_the_middle(true);
    assert_eq!(end.code, 7, "{}\n{}", end.out, end.err);
    let result = end.json();
    assert_eq!(result["status"], "compensation_failed");
    assert_eq!(steps_of(&events, "step_compensated"), ["tour", "car", "hotel"]);
    assert_eq!(steps_of(&events, "compensation_failed"), ["flight"]);
    assert_eq!(starting(&lines, "begun flight").len(), 5, "five attempts, and then no more");
    let errors = result["errors"].as_array().unwrap();
    let named = errors.iter().find(|error| error["step"] == "flight").unwrap();
    assert_eq!(named["class"], "crash");
    let remediation = named["remediation"].as_str().unwrap();
    assert!(remediation.contains("did is still there: undo it by hand"), "{remediation}");
    assert!(errors.iter().any(|error| error["step"] == "insurance" && error["class"] == "permanent"), "{errors:?}");
}
