//! Places where two rules meet: a clock that jumps and a person who is asked, a budget and a retry, lines and faults.

use crate::program::{Folder, Said, upbeat};
use crate::saved::Scene;
use serde_json::{Value, json};

/// Runs that only a person can bring on, and when they have come that far, in ms. Each has timers that are due later.
const STUCK: [(&str, u32); 4] = [
    (
        "limits: {deadline: 1h}
agents: {a: {kind: simulated, capabilities: [x]}}
steps: [{id: s, capability: x, estimate: 3s, timeout: 500s}, {id: q, approval: {prompt: go on?}, needs: s}]",
        3_000,
    ),
    (
        "limits: {deadline: 20s}
agents: {a: {kind: simulated, capabilities: [x], fail_rate: 1}}
steps: [{id: s, capability: x, estimate: 2s, retry: 0, timeout: 9s, on_exhausted: pause}]",
        2_000,
    ),
    (
        "success: {min: 80%}
on_threshold_missed: escalate
agents: {a: {kind: simulated, slots: 9, capabilities: [x]}, b: {kind: simulated, capabilities: [y], fail_rate: 1}}
steps: [{id: s, capability: x, estimate: 4s, timeout: 100s}, {id: t, capability: y, estimate: 1s, retry: 0}]",
        4_000,
    ),
    // The breaker opens with the third failure; it would be half-open later.
    (
        "agents: {b: {kind: simulated, capabilities: [y], fail_rate: 1, breaker: {failures: 3, cooldown: 60s}}}
steps: [{id: t, capability: y, estimate: 1s, retry: {limit: 2, interval: 1s, jitter: none}, on_exhausted: pause}]",
        6_000,
    ),
];

/// What a run said, without what names it: its id and the store.
fn without_names(lines: &[Value]) -> Vec<Value> {
    let nameless = |line: &Value| {
        let mut line = line.clone();
        if let Some(result) = line.get_mut("result") {
            result["run_id"] = json!("");
        }
        if line.get("run_id").is_some() {
            line["run_id"] = json!("");
        }
        line
    };
    lines.iter().map(nameless).collect()
}

#[test]
fn a_run_that_waits_for_a_person_parks_at_the_same_virtual_time_each_time() {
    for (text, ms) in STUCK {
        let mut first = None;
        for _ in 0..4 {
            let scene = Scene::new();
            let file = scene.workflow(text);
            let parked = scene.upbeat(&["run", &file, "--clock", "virtual", "--output", "jsonl"]);
            assert_eq!(parked.code, 75, "{}", parked.err);
            let lines = parked.lines();
            let paused = lines.iter().find(|line| line["event"] == "run_paused").unwrap();
            assert_eq!(paused["at_ms"], ms, "{text}");
            let lines = without_names(&lines);
            assert_eq!(first.get_or_insert_with(|| lines.clone()), &lines);
            let unsaved = upbeat(&["run", &file, "--clock", "virtual", "--output", "jsonl", "--no-store"]).lines();
            let all = unsaved.len() - 1;
            let (events, end) = (without_names(&unsaved[..all]), &unsaved[all]["result"]);
            assert_eq!(events, lines[..all], "all of it is told, and nothing is parked");
            assert_eq!(end["metadata"]["elapsed_s"], f64::from(ms) / 1_000.0, "{text}");
        }
    }
}

#[test]
fn a_question_with_a_default_is_waited_for_on_the_virtual_clock() {
    let folder = Folder::new();
    let file = folder.file("q.yaml", "steps: [{id: q, approval: {prompt: go on?, timeout: 40s, default: approve}}]");
    let ended = upbeat(&["run", &file, "--clock", "virtual", "--output", "json"]);
    assert_eq!((ended.code, &ended.json()["metadata"]["elapsed_s"]), (0, &json!(40.0)), "{}", ended.err);
}

fn virtually(text: &str, output: &str) -> Said {
    let folder = Folder::new();
    upbeat(&["run", &folder.file("flow.yaml", text), "--clock", "virtual", "--output", output])
}

#[test]
fn the_virtual_clock_refuses_what_is_undone_for_real() {
    let undone = |compensate: &str| {
        virtually(
            &format!(
                "recovery: rollback
agents:
  a: {{kind: simulated, capabilities: [x]}}
  p: {{kind: process, capabilities: [z], command: ['true']}}
steps: [{{id: s, capability: x, compensate: {compensate}}}]"
            ),
            "json",
        )
    };
    for (compensate, named) in [
        ("{capability: z, action: u}", "p (process in `compensate`)"),
        ("{run: 'true'}", "`run` and `command` in `compensate`"),
        ("{command: ['true']}", "`run` and `command` in `compensate`"),
    ] {
        let refused = undone(compensate);
        assert_eq!((refused.code, refused.out.as_str()), (2, ""), "{compensate}");
        assert!(refused.err.ends_with(&format!("these are not: {named}\n")), "{}", refused.err);
    }
    assert_eq!(undone("{action: u}").code, 0, "the agent of the step undoes it");
}

#[test]
fn the_virtual_clock_says_once_that_health_is_not_checked() {
    let ended = virtually(
        "agents:
  a: {kind: simulated, capabilities: [x], health: {command: [touch, /nonexistent/x], every: 1s}}
  b: {kind: simulated, capabilities: [x], health: {command: ['false'], every: 1s}}
  c: {kind: simulated, capabilities: [unused], health: {command: ['false'], every: 1s}}
steps: [{id: s, capability: x, estimate: 5s}, {id: t, capability: x, estimate: 5s}]",
        "json",
    );
    assert_eq!(ended.code, 0, "{}", ended.err);
    let said: Vec<&str> = ended.err.lines().filter(|line| line.contains("health")).collect();
    let expected = "upbeat: under the virtual clock no `health` is checked; agents that declare it: a, b";
    assert_eq!(said, [expected], "{}", ended.err);
}

#[test]
fn a_retry_that_the_run_has_no_budget_or_no_time_for_names_that_as_what_to_raise() {
    let failing = |limits: &str| {
        let text = format!(
            "limits: {limits}
agents: {{a: {{kind: simulated, slots: 9, capabilities: [x], fail_rate: 1, breaker: off}}}}
steps: [{{id: s, capability: x, estimate: 1s, retry: {{limit: 9, interval: 3s, backoff: 1, jitter: none}}}}]"
        );
        virtually(&text, "json").json()["errors"][0]["remediation"].as_str().unwrap().to_owned()
    };
    assert!(failing("{retry_budget: 2}").contains("raise `limits.retry_budget`"));
    assert!(failing("{deadline: 9s}").contains("raise `limits.deadline`"));
    assert!(failing("{}").contains("raise the step's `retry`"));
}

#[test]
fn faults_of_a_file_are_a_line_each_where_lines_are_asked_for() {
    let bad = "steps: [{id: a, capability: x, need: b}, {id: b, capability: y}]";
    let lines = virtually(bad, "jsonl");
    assert_eq!(lines.code, 2);
    let whole = virtually(bad, "json");
    assert!(lines.lines().len() > 1, "{}", lines.out);
    let codes = |faults: &[Value]| faults.iter().map(|fault| fault["message"].clone()).collect::<Vec<_>>();
    assert_eq!(codes(&lines.lines()), codes(whole.json().as_array().unwrap()));
}
