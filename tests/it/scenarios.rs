//! What happens when: small stories as text, played by the engine on a virtual clock and held against what was expected.
//!
//! A story is a file in `tests/scenarios/`: what it shows (`# …`), a workflow as any file says it, how attempts end, what
//! comes from outside at which time; then the events that follow and what is seen at each `look` and at the end. With
//! `UPBEAT_SCENARIOS=write` in the environment the last two sections are written anew instead of compared: read what
//! changed before it is kept.
//!
//! - `== agents behave`: `STEP: crash, ok after 2s {"x": 1}, rate_limited 3s`, `undo STEP: crash always`. An attempt ends
//!   with `ok`, a class of failure, `malformed`; it never ends by itself with `timeout`, `silent` (says nothing either),
//!   `deaf` (does not end when it is asked to) and `late` (answers after its end). Whatever is not told does what a
//!   simulated agent does.
//! - `== inputs`: `at 5s: cancel b; look`. See `scenarios/commands.rs` for what can be said; `look` shows everything,
//!   `look STEP` every sentence about one step, `crash` has upbeat die and another one go on with the journal.
#![expect(clippy::unwrap_used, reason = "a test that cannot set its scene has failed")]
#![expect(clippy::disallowed_methods, reason = "one variable says whether stories are compared or written")]

mod commands;
mod exact;
mod page;
mod script;
mod words;
mod world;

use crate::program::root;
use script::Scenario;
use std::collections::BTreeMap;
use std::fs;
use std::panic::catch_unwind;
use std::path::PathBuf;
use world::{Played, play};

/// Set to `write`, what is seen is written into the files.
const WRITE: &str = "UPBEAT_SCENARIOS";

/// All stories, by name.
fn stories() -> BTreeMap<String, PathBuf> {
    let files = fs::read_dir(root().join("tests/scenarios")).unwrap().map(|entry| entry.unwrap().path());
    files.map(|path| (path.file_stem().unwrap().to_str().unwrap().to_owned(), path)).collect()
}

fn told(path: &PathBuf) -> Result<(Scenario, String, Played), String> {
    let text = fs::read_to_string(path).map_err(|error| error.to_string())?;
    let scenario = Scenario::read(&text)?;
    // Which story it was is worth more than where it broke off.
    let played =
        catch_unwind(|| play(&scenario)).unwrap_or_else(|_| Err("the engine's own check failed".to_owned()))?;
    Ok((scenario, text, played))
}

/// The first line in which two texts differ.
fn first_difference(expected: &str, seen: &str) -> String {
    let mut lines = expected.lines().zip(seen.lines()).enumerate();
    match lines.find(|(_, (expected, seen))| expected != seen) {
        Some((at, (expected, seen))) => format!("line {}\n  expected: {expected}\n  seen:     {seen}", at + 1),
        None => format!("{} lines are expected, {} are seen", expected.lines().count(), seen.lines().count()),
    }
}

#[test]
fn every_story_goes_as_it_is_told() {
    let write = std::env::var(WRITE).is_ok_and(|word| word == "write");
    let mut faults = Vec::new();
    for (name, path) in stories() {
        match told(&path) {
            Err(why) => faults.push(format!("{name}: {why}")),
            Ok((scenario, text, played)) => {
                let seen = scenario.with(&played.events, &played.looks);
                if seen != text && write {
                    fs::write(&path, seen).unwrap();
                } else if seen != text {
                    faults.push(format!("{name}: {}", first_difference(&text, &seen)));
                }
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n\n"));
}
