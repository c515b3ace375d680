//! The panel on a real terminal: it starts, obeys keys, and leaves the terminal as it found it, however it ends.

use crate::pty::Terminal;
use rustix::process::{Signal, kill_process};
use std::path::Path;

const SIZE: (u16, u16) = (120, 40);

/// Two simulated agents, four steps; long enough to be watched, short enough to be waited for.
const WORKFLOW: &str = "
id: watched
agents:
  first: {kind: simulated, capabilities: [work], duration: 60s}
  second: {kind: simulated, capabilities: [work], duration: 60s}
steps:
  - {id: alpha, capability: work}
  - {id: beta, capability: work, needs: [alpha]}
  - {id: gamma, capability: work, needs: [alpha]}
  - {id: delta, capability: work, needs: [beta, gamma]}
";

fn folder(workflow: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(folder.path().join("w.yaml"), workflow).expect("a file in it");
    folder
}

fn watched(folder: &Path) -> Terminal {
    let terminal = Terminal::start(folder, &["run", "w.yaml"], SIZE, &[]);
    terminal.wait_for("alpha");
    terminal.wait_for("running");
    terminal
}

#[test]
fn quitting_in_a_run_asks_once_ends_everything_and_exits_130() {
    let folder = folder(WORKFLOW);
    let mut terminal = watched(folder.path());
    terminal.press("q");
    terminal.wait_until("(a question)", |screen| screen.contains("quit") && screen.contains('?'));
    terminal.press("y");
    let (code, text) = terminal.end();
    assert_eq!(code, 130);
    assert!(text.contains("watched") && text.contains("cancelled"), "a summary is left:\n{text}");
}

#[test]
fn a_finished_run_stays_on_the_screen_and_quits_without_asking() {
    let folder = folder(&WORKFLOW.replace("60s", "10ms"));
    let mut terminal = Terminal::start(folder.path(), &["run", "w.yaml"], SIZE, &[]);
    terminal.wait_for("done after");
    terminal.press("q");
    let (code, text) = terminal.end();
    assert_eq!(code, 0);
    assert!(text.contains("4"), "{text}");
}

#[test]
fn signals_restore_the_terminal_and_give_their_own_codes() {
    for (signal, expected) in [(Signal::TERM, 143), (Signal::HUP, 129), (Signal::INT, 130)] {
        let folder = folder(WORKFLOW);
        let terminal = watched(folder.path());
        kill_process(terminal.pid(), signal).expect("it can be signalled");
        assert_eq!(terminal.end().0, expected, "{signal:?}");
    }
}

#[test]
fn ctrl_c_twice_ends_at_once() {
    let folder = folder(WORKFLOW);
    let mut terminal = watched(folder.path());
    terminal.press("\u{3}");
    terminal.press("\u{3}");
    assert_eq!(terminal.end().0, 130);
}

#[test]
fn a_pause_drains_and_names_what_still_runs() {
    let folder = folder(&WORKFLOW.replace("60s", "3s"));
    let mut terminal = watched(folder.path());
    terminal.press("p");
    terminal.wait_for("pausing");
    terminal.wait_for("paused");
    terminal.press("r");
    terminal.wait_for("done after");
    terminal.press("q");
    assert_eq!(terminal.end().0, 0);
}

#[test]
fn an_agent_broken_by_key_loses_its_step_to_the_other_and_the_run_succeeds() {
    let folder = folder(&WORKFLOW.replace("60s", "3s"));
    let mut terminal = watched(folder.path());
    // The selection follows the running step: x breaks the agent at work on it.
    terminal.press("x");
    terminal.wait_for("broken");
    terminal.wait_for("↯");
    terminal.press("u");
    terminal.wait_until("(nobody broken)", |screen| !screen.contains("✗ broken"));
    terminal.wait_for("done after");
    terminal.press("q");
    assert_eq!(terminal.end().0, 0);
}

#[test]
fn a_cancel_names_the_dependents_and_takes_them_along() {
    let folder = folder(WORKFLOW);
    let mut terminal = watched(folder.path());
    terminal.press("c");
    terminal.wait_until("(the question)", |screen| screen.contains("3 dependents") && screen.contains("delta"));
    terminal.press("y");
    terminal.wait_for("failed after");
    terminal.press("q");
    assert_eq!(terminal.end().0, 1, "a step cancelled by hand counts against the run");
}

#[test]
fn every_size_is_survived_and_help_lists_the_keys() {
    let folder = folder(WORKFLOW);
    let mut terminal = watched(folder.path());
    for size in [(1, 1), (40, 12), (200, 60), (10, 3), (80, 24)] {
        terminal.resize(size);
        terminal.press("?");
        terminal.press("\u{1b}");
    }
    terminal.resize(SIZE);
    terminal.press("?");
    terminal.wait_for("break the selected agent");
    terminal.press("\u{3}\u{3}");
    assert_eq!(terminal.end().0, 130);
}

#[test]
fn suspending_leaves_the_terminal_usable_and_coming_back_paints_again() {
    let folder = folder(WORKFLOW);
    let mut terminal = watched(folder.path());
    terminal.press("\u{1a}");
    terminal.wait_until("(the panel is gone)", |screen| !screen.contains("alpha"));
    kill_process(terminal.pid(), Signal::CONT).expect("it can be continued");
    terminal.wait_for("alpha");
    terminal.press("\u{3}\u{3}");
    assert_eq!(terminal.end().0, 130);
}

#[test]
fn a_terminal_that_goes_away_ends_the_run_as_hung_up() {
    let folder = folder(WORKFLOW);
    assert_eq!(watched(folder.path()).close(), 129);
}
