//! The patterns of a file, with the real program: each is held against values computed another way.

use crate::program::{Folder, Said, command, root, said, upbeat};
use crate::recovery::{lines_of, start, until};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// A run of a file under the virtual clock.
fn virtually(file: &str) -> Said {
    upbeat(&["run", file, "--clock", "virtual", "--output", "json"])
}

const CHUNKS: &str = r#"
id: chunks
data: {list: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]}
agents:
  good: {kind: simulated, capabilities: [work], slots: 10, output: {n: "${{ .n }}"}}
steps:
  - id: each
    for_each: list
    WHERE
    run: '[ "$UPBEAT_IN_N" != 3 ] && [ "$UPBEAT_IN_N" != 7 ] && echo "{\"n\": $UPBEAT_IN_N}"'
    with: {n: "${{ $item }}"}
  - {id: all, aggregate: {from: [each], strategy: merge}}
"#;

#[test]
fn two_of_ten_chunks_fail_and_the_rest_is_merged_partial_with_the_missing_named() {
    let folder = Folder::new();
    // The share may be that of the step or of the whole run.
    let of_step = CHUNKS.replace("WHERE", "success: {min: 80%}");
    let of_run = CHUNKS.replace("    WHERE\n", "").replace("id: chunks", "id: chunks\nsuccess: {min: 80%}");
    for text in [of_step, of_run] {
        let ended = upbeat(&["run", &folder.file("chunks.yaml", &text), "--output", "json"]);
        assert_eq!(ended.code, 3, "{}", ended.err);
        let result = ended.json();
        assert_eq!(result["status"], "partial");
        let there: Vec<Value> = [0, 1, 2, 4, 5, 6, 8, 9].iter().map(|n| json!({"n": n})).collect();
        assert_eq!(result["outputs"]["all"], json!({"value": there, "missing": ["each[3]", "each[7]"]}));
        let errors = result["errors"].as_array().unwrap();
        assert_eq!(
            errors.iter().map(|error| (&error["step"], &error["item"])).collect::<Vec<_>>(),
            [(&json!("each"), &json!(3)), (&json!("each"), &json!(7))]
        );
    }
    let all = CHUNKS.replace("    WHERE\n", "");
    assert_eq!(upbeat(&["run", &folder.file("chunks.yaml", &all), "--output", "json"]).code, 1);
}

const GROWS: &str = r#"
id: grows
defaults: {idempotent: true}
steps:
  - {id: a, run: 'echo "begun $UPBEAT_STEP_ID" >> LOG'}
  - id: plan
    needs: a
    idempotent: true
    capability: planning
    expand: {allow: [work], max: 100}
  - {id: end, needs: plan, run: 'true'}
agents:
  planner:
    kind: simulated
    capabilities: [planning]
    duration: 10ms
    output: {steps: "${{ [range(97) | {id: \"t\\(.)\", capability: \"work\", with: {n: .}}] }}"}
  worker:
    kind: process
    capabilities: [work]
    slots: 4
    command: [sh, -c, 'sleep 0.03; echo "done $UPBEAT_STEP_ID" >> LOG; echo "{\"n\": 1}"']
result: {from: "[$outputs[] | .n? // empty]", strategy: reduce, op: sum}
"#;

#[test]
fn a_run_grows_from_3_to_100_steps_is_killed_in_the_middle_and_goes_on_with_the_grown_graph() {
    let folder = Folder::new();
    let file = folder.file("grows.yaml", &GROWS.replace("LOG", folder.path("log").to_str().unwrap()));
    let store = folder.path("store").to_str().unwrap().to_owned();
    let mut child = start(&["run", &file, "--store", &store, "--output", "json"], &folder, "first");
    until("half of the steps that joined are done", || lines_of(&folder).len() > 40);
    child.kill().unwrap();
    child.wait().unwrap();
    let args = ["resume", "last", "--store", &store, "--output", "json"];
    let ended = said(command(&args).env_remove("UPBEAT_NO_STORE"), "");
    assert_eq!(ended.code, 0, "{}", ended.err);
    let result = ended.json();
    assert_eq!(result["result"], 97);
    assert_eq!(result["metadata"]["steps"]["total"], 100);
    assert_eq!(result["metadata"]["steps"]["succeeded"], 100);
    // What had been done was not done again, but for the four that were under way.
    let done = lines_of(&folder).iter().filter(|line| line.starts_with("done")).count();
    assert!((97..=101).contains(&done), "{done} were done");
    // A new run begins with the graph of the file, and its planner plans anew.
    let args = ["rerun", "last", "--from", "end", "--store", &store, "--output", "json"];
    let again = said(command(&args).env_remove("UPBEAT_NO_STORE"), "");
    assert_eq!((again.code, &again.json()["result"]), (0, &json!(97)), "{}", again.err);
    assert!(again.err.contains("taken over: a; 2 of 3 to do"), "{}", again.err);
}

#[test]
fn the_first_answer_ends_the_others_and_a_quorum_the_vote() {
    let folder = Folder::new();
    let text = r#"
agents:
  a: {kind: simulated, capabilities: [any], slots: 9, output: {label: "${{ .label }}"}}
steps:
  - {id: quick, capability: any, estimate: 1, with: {label: x}}
  - {id: slow, capability: any, estimate: 9, with: {label: y}}
  - {id: one, aggregate: {from: [quick, slow], strategy: first}}
  - {id: v1, capability: any, estimate: 1, with: {label: yes}}
  - {id: v2, capability: any, estimate: 2, with: {label: no}}
  - {id: v3, capability: any, estimate: 3, with: {label: yes}}
  - {id: v4, capability: any, estimate: 8, with: {label: no}}
  - {id: vote, aggregate: {from: [v1, v2, v3, v4], strategy: vote, by: .label, quorum: 2}}
"#;
    let ended = virtually(&folder.file("first.yaml", text));
    assert_eq!(ended.code, 0, "{}", ended.err);
    let result = ended.json();
    assert_eq!(result["outputs"]["one"], json!({"value": {"label": "x"}, "missing": ["slow"]}));
    assert_eq!(result["outputs"]["vote"], json!({"value": "yes", "missing": ["v4"]}));
    assert_eq!(result["metadata"]["elapsed_s"], 3.0);
}

#[test]
fn hostile_filters_fail_their_own_steps_and_the_run_goes_on() {
    let folder = Folder::new();
    let filters = [
        ("def f: f + 1; 0 | f", "recursed too deeply"),
        ("[repeat(1)]", "longer than 1 s"),
        ("\"x\" | until(false; . + .)", "more than 256 MB"),
        ("\"x\" - 1", "cannot"),
        ("1, 2", "more than one value"),
    ];
    let mut text = "success: {min: 1%}\nsteps:\n  - {id: fine, run: echo fine}\n".to_owned();
    for (at, (filter, _)) in filters.iter().enumerate() {
        let value = serde_json::to_string(&format!("${{{{ {filter} }}}}")).unwrap();
        writeln!(text, "  - {{id: f{at}, capability: echo, with: {{x: {value}}}}}").unwrap();
    }
    let ended = upbeat(&["run", &folder.file("hostile.yaml", &text), "--output", "json"]);
    assert_eq!(ended.code, 3, "{}", ended.err);
    let result = ended.json();
    assert_eq!(result["outputs"]["fine"], json!({"stdout": "fine\n"}));
    let errors = result["errors"].as_array().unwrap();
    assert_eq!(errors.len(), filters.len());
    for (error, (filter, expected)) in errors.iter().zip(filters) {
        let message = error["message"].as_str().unwrap();
        // On a slow machine the time of a runaway may be over before its stack or its memory is used up.
        let runaway = expected.contains("recursed") || expected.contains("MB");
        let stopped = message.contains(expected) || runaway && message.contains("longer than 1 s");
        assert!(error["class"] == "permanent" && stopped, "{filter}: {message}");
    }
    for forbidden in ["env", "$ENV", "halt", "now", "input", "debug", "stderr"] {
        let text = format!("steps:\n  - {{id: a, if: '. | {forbidden}', capability: echo}}\n");
        let checked = upbeat(&["check", &folder.file("forbidden.yaml", &text)]);
        assert_eq!(checked.code, 2, "{forbidden}: {}{}", checked.out, checked.err);
    }
}

#[test]
fn an_output_that_brings_what_it_may_not_is_refused_as_a_whole() {
    let folder = Folder::new();
    let many: Vec<Value> = (0..10_000).map(|n| json!({"id": format!("n{n}"), "capability": "work"})).collect();
    let brings = [
        json!([{"id": "x", "run": "true"}]),
        json!([{"id": "x", "capability": "work", "needs": "y"}, {"id": "y", "capability": "work", "needs": "x"}]),
        json!([{"id": "x", "capability": "work"}, {"id": "y", "capability": "foreign"}]),
        json!([{"id": "x", "capability": "work"}, {"id": "PLAN", "capability": "work"}]),
        json!([{"id": "x", "capability": "work", "expand": true}]),
        Value::Array(many),
    ];
    for steps in brings {
        let flow = json!({
            "agents": {
                "p": {"kind": "simulated", "capabilities": ["plan"], "output": {"steps": steps}},
                "w": {"kind": "simulated", "capabilities": ["work"]},
            },
            "steps": [{"id": "plan", "capability": "plan", "expand": {"max": 1000}, "retry": 0}],
        });
        let ended = virtually(&folder.file("brings.json", &flow.to_string()));
        assert_eq!(ended.code, 1, "{}", ended.err);
        let result = ended.json();
        assert_eq!(result["errors"][0]["class"], "malformed_output", "{}", result["errors"]);
        assert_eq!(result["metadata"]["steps"]["total"], 1);
    }
}

#[test]
fn two_virtual_runs_of_everything_that_computes_differ_in_nothing_but_the_run_id() {
    for name in ["quality_gate", "dynamic_plan"] {
        let file = format!("workflows/{name}.yaml");
        let journal = || {
            let args = ["run", &file, "--clock", "virtual", "--seed", "3", "--output", "jsonl"];
            let ended = upbeat(&args);
            assert_eq!(ended.code, 0, "{}", ended.err);
            let mut lines = ended.lines();
            lines[0]["run_id"] = Value::Null;
            lines.last_mut().unwrap()["result"]["run_id"] = Value::Null;
            lines
        };
        assert_eq!(journal(), journal(), "{name}");
    }
}

#[test]
fn what_is_not_good_enough_does_not_pass_the_gate() {
    let result = virtually("workflows/quality_gate.yaml").json();
    assert_eq!(result["status"], "succeeded");
    let meta = &result["metadata"];
    assert_eq!((&meta["fallbacks"], &meta["attempts"]), (&json!(1), &json!(6)));
    // All that the schema asks for is there; of the teaser's five leaves one is empty.
    assert_eq!(meta["quality"]["steps"]["article"]["scores"], json!({"accuracy": 0.96, "completeness": 1.0}));
    assert_eq!(meta["quality"]["steps"]["teaser"]["faults"].as_array().unwrap().len(), 1);
    assert_eq!(result["data"]["published"][1], "Twice a day the sea rises and falls, and it does so on time.");
}

#[test]
fn a_plan_becomes_the_graph_and_more_parts_more_steps() {
    for parts in [1, 4, 8] {
        let set = format!("question.parts={parts}");
        let args = ["run", "workflows/dynamic_plan.yaml", "--clock", "virtual", "--output", "json", "--set", &set];
        let result = upbeat(&args).json();
        assert_eq!(result["metadata"]["steps"]["total"], 2 + 2 * parts);
        let expected: Vec<String> = (0..parts).map(|part| format!("part {part} of why bridges stand")).collect();
        assert_eq!(result["result"], json!(expected));
    }
}

#[test]
fn words_are_counted_by_map_and_reduce_as_a_plain_loop_counts_them() {
    let text = std::fs::read_to_string(root().join("README.md")).unwrap().to_ascii_lowercase();
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for word in text.split(|c: char| !c.is_ascii_lowercase()).filter(|word| !word.is_empty()) {
        *counts.entry(word).or_default() += 1;
    }
    let ended = upbeat(&["run", "workflows/map_reduce.yaml", "--output", "json"]);
    assert_eq!(ended.code, 0, "{}", ended.err);
    let result = ended.json();
    assert_eq!(result["data"]["counts"], json!(counts));
    let mut top: Vec<(&str, u64)> = counts.into_iter().collect();
    top.sort_by_key(|(word, count)| (std::cmp::Reverse(*count), *word));
    let top: Vec<Value> = top.into_iter().take(10).map(|(word, count)| json!({"word": word, "count": count})).collect();
    assert_eq!(result["result"], json!(top));
}

const REUSED: &str = r#"
steps:
  - {id: list, run: 'echo "[1, 2, 3, 4]"', output: {any: list}}
  - {id: each, needs: list, for_each: list, success: {min: 50%}, run: 'test $UPBEAT_IN_N != LOST && echo "{\"n\": $UPBEAT_IN_N}"',
     with: {n: "${{ $item }}"}}
  - {id: count, aggregate: {from: [each], strategy: reduce, op: count}}
result: {from: [each], strategy: reduce, op: count}
"#;

#[test]
fn a_rerun_takes_items_over_one_by_one_and_their_loss_with_them() {
    for (lost, count, code) in [("9", 4, 0), ("3", 3, 3)] {
        let folder = Folder::new();
        let file = folder.file("reused.yaml", &REUSED.replace("LOST", lost));
        let store = folder.path("store").to_str().unwrap().to_owned();
        let saved = |args: &[&str]| {
            let all = [args, &["--store", &store, "--output", "json"]].concat();
            said(command(&all).env_remove("UPBEAT_NO_STORE"), "")
        };
        let first = saved(&["run", &file]);
        let again = saved(&["rerun", "last", "--from", "count"]);
        for ended in [first, again] {
            assert_eq!(ended.code, code, "{}", ended.err);
            let result = ended.json();
            assert_eq!((&result["result"], &result["outputs"]["count"]["value"]), (&json!(count), &json!(count)));
        }
    }
}

#[test]
fn items_are_undone_each_once_and_their_step_not_besides() {
    let folder = Folder::new();
    let log = folder.path("log").display().to_string();
    let text = r#"
recovery: rollback
data: {list: [1, 2]}
steps:
  - {id: each, for_each: list, run: 'true', compensate: {run: 'echo "$UPBEAT_STEP_ID" >> LOG'}}
  - {id: fails, needs: each, run: 'false'}
"#;
    let ended = upbeat(&["run", &folder.file("undo.yaml", &text.replace("LOG", &log)), "--output", "json"]);
    assert_eq!(ended.code, 6, "{}", ended.err);
    let mut undone = lines_of(&folder);
    undone.sort();
    assert_eq!(undone, ["each[0]", "each[1]"]);
    assert_eq!(ended.json()["metadata"]["undone"].as_array().unwrap().len(), 2);
}

#[test]
fn what_needs_a_step_that_was_beaten_is_left_out_with_it() {
    let folder = Folder::new();
    let text = r#"
agents: {a: {kind: simulated, capabilities: [any], slots: 9}}
steps:
  - {id: quick, capability: any, estimate: 1}
  - {id: slow, capability: any, estimate: 9}
  - {id: after_slow, capability: any, needs: slow}
  - {id: one, aggregate: {from: [quick, slow], strategy: first}}
"#;
    let ended = virtually(&folder.file("beaten.yaml", text));
    assert_eq!((ended.code, &ended.json()["metadata"]["success_rate"]), (0, &json!(1.0)), "{}", ended.err);
}
