//! Workflows that use others and steps that find their way, with the real program.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot set its scene has failed")]

use crate::compute::run;
use crate::processes::PROGRAM;
use crate::program::{Folder, root, upbeat};
use crate::saved::{Scene, started};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use upbeat::model::computation::{Computation, Found, Parts};
use upbeat::model::expression::Expression;
use upbeat::model::id::{RunId, StepId};
use upbeat::model::rng::Rng;
use upbeat::model::route::{Route, Routed, When};
use upbeat::model::step::{Step, Work};
use upbeat::model::workflow::Workflow;
use upbeat::runtime::compute::Calculator;

/// The documents of the shipped workflow, in the order of the file.
const DOCUMENTS: [&str; 5] = ["note", "order", "letter", "readings", "alert"];

#[test]
fn every_document_takes_the_path_it_asks_for_under_both_clocks() {
    let text = std::fs::read_to_string(root().join("workflows/document_processing.yaml")).unwrap();
    // The letter as the file has it: folded lines, one space between them.
    let folded = text.split("text: >-\n").nth(1).unwrap().lines().take_while(|line| line.starts_with("        "));
    let letter = folded.map(str::trim).collect::<Vec<_>>().join(" ");
    assert!(letter.len() > 1_000 && letter.is_ascii(), "{}", letter.len());
    for clock in ["virtual", "real"] {
        let ended =
            upbeat(&["run", "workflows/document_processing.yaml", "--clock", clock, "--output", "json", "--no-store"]);
        assert_eq!(ended.code, 0, "{}", ended.err);
        let result = ended.json();
        let routes = result["metadata"]["routes"].as_array().unwrap();
        let path = |name: &str| {
            let at = DOCUMENTS.iter().position(|document| *document == name).unwrap();
            let route = routes.iter().find(|route| route["step"] == format!("process[{at}]").as_str()).unwrap();
            assert!(!route["reason"].as_str().unwrap().is_empty());
            route["path"].clone()
        };
        assert_eq!(routes.len(), 5);
        assert_eq!(path("note"), json!(["validate"]));
        assert_eq!(path("order"), json!(["json", "validate"]));
        assert_eq!(path("letter"), json!(["chunk", "validate"]));
        assert_eq!(path("readings"), json!(["numeric", "validate"]));
        assert_eq!(path("alert"), json!(["headline", "validate"]));
        let nothing = |name: &str| json!({"name": name, "pieces": null, "pens": null, "mean": null, "headline": null, "valid": true});
        let with = |name: &str, member: &str, value: Value| {
            let mut row = nothing(name);
            row[member] = value;
            row
        };
        assert_eq!(
            result["result"],
            json!([
                nothing("note"),
                with("order", "pens", json!(12)),
                with("letter", "pieces", json!(letter.len().div_ceil(400))),
                with("readings", "mean", json!((20.5 + 21.0 + 19.5 + 23.0) / 4.0)),
                with("alert", "headline", json!("THE CELLAR IS UNDER WATER")),
            ])
        );
        let pieces = result["outputs"]["process"][2]["chunk"]["chunks"].as_array().unwrap();
        assert_eq!(pieces.iter().filter_map(Value::as_str).collect::<String>(), letter);
    }
}

#[test]
fn a_report_uses_a_chapter_for_every_topic() {
    let args = ["workflows/nested_report.yaml", "--output", "json"];
    let plan = upbeat(&[&["plan"], &args[..]].concat()).json();
    let ended = upbeat(&[&["run"], &args[..], &["--clock", "virtual", "--no-store"]].concat());
    assert_eq!(ended.code, 0, "{}", ended.err);
    let result = ended.json();
    let chapter = |topic: &str| format!("{topic}: what is written about {topic}; what was seen of {topic}");
    assert_eq!(result["result"], json!([chapter("tides"), chapter("reefs")]));
    // Reading and looking take 2 and 3 s side by side, binding 1 s after that.
    assert_eq!((&result["metadata"]["elapsed_s"], &plan["critical_path_s"]), (&json!(4.0), &json!(4.0)));
    assert!(result["data"].get("topic").is_none() && result["data"].get("text").is_none(), "its data stays inside");
}

#[test]
fn a_file_that_is_used_is_found_from_the_folder_of_the_one_that_uses_it() {
    let folder = Folder::new();
    std::fs::create_dir_all(folder.path("parts/tools")).unwrap();
    folder.file("parts/inner.yaml", "env: {WHO: inner, MORE: yes}\nsteps:\n  where: {run: 'basename $PWD; echo $WHO $MORE', cwd: tools, env: {WHO: step}, stdout: text}\n");
    let file = folder.file("flow.yaml", "steps: {a: {uses: parts/inner.yaml}}");
    let ended = upbeat(&["run", &file, "--output", "json", "--no-store"]);
    assert_eq!(ended.code, 0, "{}", ended.err);
    assert_eq!(ended.json()["outputs"]["a"]["where"]["stdout"], "tools\nstep yes\n");
}

#[test]
fn what_is_no_regular_file_is_not_waited_for() {
    let folder = Folder::new();
    let pipe = folder.path("pipe.yaml");
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::from_raw_mode(0o600)).unwrap();
    folder.file("inner.yaml", "steps: {a: {run: ls}}");
    let file = folder
        .file("flow.yaml", "steps: {a: {uses: pipe.yaml}, b: {uses: /dev/zero}, c: {uses: iner.yaml}, d: {uses: .}}");
    let ended = upbeat(&["check", &file]);
    assert_eq!(ended.code, 2);
    for words in [
        "`pipe.yaml` cannot be used: this is no regular file",
        "`/dev/zero` cannot be used: this is no regular file",
        "`iner.yaml` cannot be used: there is no such file; did you mean",
        "`.` cannot be used: this is a folder",
    ] {
        assert!(ended.err.contains(words), "{}", ended.err);
    }
}

#[test]
fn a_file_that_uses_itself_by_another_name_is_found_out() {
    let folder = Folder::new();
    std::fs::create_dir(folder.path("sub")).unwrap();
    let file = folder.file("flow.yaml", "steps: {a: {uses: sub/../flow.yaml}}");
    let ended = upbeat(&["check", &file]);
    assert_eq!(ended.code, 2);
    assert!(ended.err.contains("error[cycle]: these files use each other without end"), "{}", ended.err);
    assert!(ended.err.matches("flow.yaml").count() >= 3, "{}", ended.err);
}

#[test]
fn a_run_is_not_resumed_with_another_file_in_place_of_one_that_it_used() {
    let scene = Scene::new();
    let wait = "until [ -f DIR/go ]; do sleep 0.01; done".replace("DIR", scene.folder.path("").to_str().unwrap());
    let inner = format!("steps:\n  slow: {{run: '{wait}'}}\n");
    scene.folder.file("inner.yaml", &inner);
    let file = scene.workflow("steps: {a: {uses: inner.yaml}}");
    let ended = scene.run_until(&["run", &file], &[&started("a/slow")]).end_by(rustix::process::Signal::TERM);
    assert_eq!(ended.code, 75, "{}", ended.err);
    scene.folder.file("inner.yaml", &(inner + "  more: {run: ls}\n"));
    let refused = scene.upbeat(&["resume", "last"]);
    assert_eq!(refused.code, 2, "{}", refused.err);
    assert!(refused.err.contains("step a/more: added"), "{}", refused.err);
}

/// The rules, said again in the plainest way: what the members of an input are, one by one.
fn by_the_rules(input: &Value) -> Vec<&'static str> {
    fn texts(value: &Value, all: &mut Vec<String>) {
        match value {
            Value::String(text) => all.push(text.clone()),
            Value::Array(list) => list.iter().for_each(|value| texts(value, all)),
            Value::Object(members) => members.values().for_each(|value| texts(value, all)),
            _ => {}
        }
    }
    let members = input.as_object().unwrap();
    let mut all = Vec::new();
    texts(input, &mut all);
    let parsed = |value: &Value| value.as_str().and_then(|text| serde_json::from_str::<Value>(text).ok());
    let is_numbers =
        |value: &Value| value.as_array().is_some_and(|list| !list.is_empty() && list.iter().all(Value::is_number));
    let mut path = Vec::new();
    let structure = |value: &Value| value.is_object() || (value.is_array() && !is_numbers(value));
    if members
        .values()
        .any(|value| structure(value) || parsed(value).is_some_and(|inner| inner.is_object() || inner.is_array()))
    {
        path.push("json");
    }
    if all.iter().any(|text| text.chars().count() > 1_000) {
        path.push("chunk");
    }
    let digits = |text: &str| {
        let of = |test: fn(char) -> bool| text.chars().filter(|c| test(*c)).count();
        of(|c| c.is_ascii_digit()) > of(|c| c.is_alphabetic() && !"eE".contains(c))
    };
    let is_digits = |value: &Value| {
        value.as_str().is_some_and(|text| parsed(value).is_none_or(|inner| inner.is_number()) && digits(text))
    };
    if members.values().any(|value| value.is_number() || is_numbers(value) || is_digits(value)) {
        path.push("numeric");
    }
    path.push("validate");
    path
}

fn drawn(rng: &mut Rng, depth: u32) -> Value {
    match rng.below(if depth == 0 { 9 } else { 11 }) {
        0 => Value::Null,
        1 => json!(rng.chance(0.5)),
        2 => json!(rng.below(1_000)),
        3 => json!("a few words"),
        4 => json!(["12 apples", "3, 4.5 and 6", "7 8 9", "-1.5e3", "no number"][rng.below(5) as usize]),
        5 => json!("é".repeat(998 + rng.below(5) as usize)),
        6 => json!(["{\"a\": 1}", " [1, 2]", "{\"a\": ", "[words]", "\"text\"", "12"][rng.below(6) as usize]),
        7 => (0..rng.below(4)).map(|n| json!(n)).collect(),
        8 => json!(""),
        9 => (0..rng.below(3)).map(|_| drawn(rng, depth - 1)).collect(),
        _ => json!({"k": drawn(rng, depth - 1)}),
    }
}

/// Asks where a routing step goes that is told this.
async fn routed(calculator: &Calculator, workflow: &Workflow, input: &Value) -> Routed {
    let mut workflow = workflow.clone();
    workflow.steps[0].with = input.as_object().cloned().unwrap();
    let asked = Computation {
        run: RunId(0),
        run_name: "run-1".into(),
        seed: 1,
        step: Some(StepId(0)),
        ticket: 1,
        workflow: Arc::new(workflow),
        data: Arc::new(json!({})),
        item: None,
        outputs: Vec::new(),
        sources: Vec::new(),
        parts: Parts::default(),
    };
    match calculator.compute(asked).await.found {
        Ok(Found::Routed(told, routed)) => {
            assert_eq!(*told, *input);
            routed
        }
        other => panic!("{other:?}"),
    }
}

fn routing(routes: Vec<Route>) -> Workflow {
    Workflow { routes, ..Workflow::new("flow", Vec::new(), vec![Step::new("r", Work::Route)]) }
}

#[test]
fn drawn_inputs_go_by_the_rules_and_those_of_one_shape_go_the_same_way() {
    run(async {
        let calculator = Calculator::new(PROGRAM.into());
        let mut rng = Rng::new(5);
        let mut by_shape: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for _ in 0..4_000 {
            let input: Value =
                Value::Object((0..rng.below(5)).map(|n| (format!("m{n}"), drawn(&mut rng, 2))).collect());
            let found = routed(&calculator, &routing(Vec::new()), &input).await;
            let expected = by_the_rules(&input);
            assert_eq!(found.paths, [expected.iter().map(|name| (*name).into()).collect::<Vec<_>>()], "{input}");
            let before = by_shape.entry(found.shape.clone()).or_insert_with(|| expected.clone());
            assert_eq!(*before, expected, "{}: {input}", found.shape);
            assert!(found.reason.ends_with("; validate last") && found.reason.len() < 200, "{}", found.reason);
        }
        // Every mixture came up: with and without JSON (text or value), long texts, numbers.
        assert_eq!(by_shape.len(), 12, "{:?}", by_shape.keys());
    });
}

#[test]
fn the_first_route_that_fits_is_taken_and_equal_ones_count_as_equal() {
    run(async {
        let calculator = Calculator::new(PROGRAM.into());
        let filter = |text: &str| When::Filter(Expression::of_source(text).unwrap());
        let route = |when: When, path: &str| Route { when, path: vec![path.into()] };
        let workflow = routing(vec![
            route(filter(".size + 1 > 3"), "a"),
            route(filter(".size + 1 > 3"), "b"),
            route(filter("kind"), "c"),
            route(filter(".size + 1 > 3"), "d"),
            route(When::LargeData, "e"),
            route(When::StructuredData, "f"),
            route(When::StreamingData, "g"),
        ]);
        for (input, paths) in [
            (json!({"size": 3}), &["a", "b"][..]),
            (json!({"size": "three"}), &["validate"]),
            (json!({"size": [], "kind": false}), &["f"]),
            (json!({"kind": "x"}), &["c"]),
            (json!({"kind": "x", "size": 9}), &["a", "b"]),
            (json!({"text": "x".repeat(1_001)}), &["e"]),
            (json!({"values": vec![1.25; 250]}), &["e"]),
            (json!({"a": 1, "b": {}}), &["f"]),
            (json!({"text": "{\"a\": 1}"}), &["f"]),
            (json!({"stream": true}), &["g"]),
            (json!({"values": vec![1; 101]}), &["g"]),
            (json!({"text": "plain"}), &["validate"]),
        ] {
            let found = routed(&calculator, &workflow, &input).await;
            let told: Vec<&str> = found.paths.iter().map(|path| &*path[0]).collect();
            assert_eq!(told, paths, "{input} {}", found.reason);
        }
    });
}

#[test]
fn routes_of_a_used_file_hold_for_its_own_steps() {
    let folder = Folder::new();
    folder.file("inner.yaml", "templates: {mine: {capability: echo}}\nroutes: [{when: .go, path: [mine]}]\nsteps: {r: {route: true, with: {go: true}}, s: {route: true, with: {go: true}, for_each: '[1]'}}");
    let file = folder.file(
        "flow.yaml",
        "routes: [{when: .go, path: [validate]}]\nsteps: {r: {route: true, with: {go: true}}, u: {uses: inner.yaml}, i: {uses: inner.yaml, for_each: '[1]'}}",
    );
    let ended = upbeat(&["run", &file, "--clock", "virtual", "--output", "json", "--no-store"]);
    assert_eq!(ended.code, 0, "{}", ended.err);
    let routes = ended.json()["metadata"]["routes"].take();
    let mut paths: Vec<(&str, &str)> = routes
        .as_array()
        .unwrap()
        .iter()
        .map(|route| (route["step"].as_str().unwrap(), route["path"][0].as_str().unwrap()))
        .collect();
    paths.sort_unstable();
    let expected = [("i[0]/r", "mine"), ("i[0]/s[0]", "mine"), ("r", "validate"), ("u/r", "mine"), ("u/s[0]", "mine")];
    assert_eq!(paths, expected);
}
