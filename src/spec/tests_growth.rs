//! Steps that outputs bring and people write: what they become, and what refuses them all.

use super::growth::{Rules, one, steps};
use crate::model::defaults;
use crate::model::expression::{Expression, Fault};
use crate::model::growth::NewStep;
use crate::model::id::Name;
use crate::model::rng::Rng;
use crate::model::step::{NeedOn, Work};
use crate::model::time::Micros;
use serde_json::{Value, json};
use std::io;

fn compiler(filters: &[&str]) -> io::Result<Vec<Result<(), Fault>>> {
    let fault = |filter: &str| filter.find("nope").map(|at| Fault { at, message: "there is no `nope`".to_owned() });
    Ok(filters.iter().map(|filter| fault(filter).map_or(Ok(()), Err)).collect())
}

fn with_rules<T>(read: impl FnOnce(&Rules<'_>) -> T) -> T {
    let names: [Name; 2] = ["plan".into(), "Fetch".into()];
    let allowed: [Name; 2] = ["search".into(), "write".into()];
    read(&Rules { allowed: &allowed, max: 4, names: &names, compile: Some(compiler) })
}

fn brought(output: &Value) -> Result<Vec<NewStep>, String> {
    with_rules(|rules| steps(output, rules))
}

#[test]
fn an_output_brings_steps_with_the_defaults_of_the_contract() {
    let output = json!({"why": "more is to be found", "steps": [
        {"id": "a", "capability": "search", "action": "find", "with": {"q": "${{ .topic }}", "n": null}, "input": {"k": ".x + 1"},
         "output": {"hits": "found.a"}, "needs": ["plan", "plan"], "if": ".go", "timeout": "5s", "retry": 0, "priority": "high",
         "estimate": 2, "for_each": "topics", "description": "d"},
        {"step_id": "b", "agent_capability": "write", "depends_on": {"a": {"on": "completed"}}, "if": null},
    ]});
    let all = brought(&output).unwrap();
    let [a, b] = &all[..] else { panic!("two steps") };
    assert_eq!((&*a.step.id, a.step.action.as_deref(), a.step.priority), ("a", Some("find"), 75));
    assert_eq!((a.step.timeout, a.step.retry.limit), (Some(Micros::from_secs(5)), 0));
    assert_eq!((&a.step.with["q"], &a.step.with["n"]), (&json!("${{ .topic }}"), &json!(null)));
    assert_eq!(a.step.for_each.as_ref().unwrap().items, Expression::of_source("topics").unwrap());
    assert!(a.step.condition.is_some() && a.step.input.len() == 1 && a.step.output.len() == 1);
    assert_eq!(a.needs, [("plan".into(), NeedOn::Succeeded)]);
    assert_eq!(b.step.work, Work::Capability { capability: "write".into() });
    assert_eq!((b.step.timeout, b.step.retry.limit), (Some(defaults::AGENT_TIMEOUT), defaults::AGENT_RETRIES));
    assert_eq!(b.needs, [("a".into(), NeedOn::Completed)]);
    assert_eq!(brought(&json!({"steps": []})).unwrap(), []);
}

#[test]
fn one_fault_refuses_all_and_names_the_step_and_the_key() {
    let good = json!({"id": "good", "capability": "search"});
    let with = |step: Value| json!({"steps": [good, step]});
    for (output, words) in [
        (json!([]), "has no `steps`"),
        (json!({"step": []}), "has no `steps`"),
        (json!({"steps": {"a": 1}}), "has to be a list, found a map"),
        (json!({"steps": [1, 2, 3, 4, 5]}), "brings 5 steps; at most 4"),
        (with(json!("x")), "step number 2 of `steps`: a step has to be a map, found text"),
        (with(json!({"capability": "search"})), "step number 2 of `steps`: a step needs `id`"),
        (with(json!({"id": "a b", "capability": "search"})), "step `a b`: `id` cannot be `a b`"),
        (with(json!({"id": "x"})), "step `x`: it does not say what it asks for"),
        (
            with(json!({"id": "x", "run": "rm -rf /"})),
            "step `x`: a step that joins a running graph cannot have the key `run`",
        ),
        (with(json!({"id": "x", "capability": "search", "agent": "a"})), "cannot have the key `agent`"),
        (with(json!({"id": "x", "capability": "search", "expand": true})), "cannot have the key `expand`"),
        (with(json!({"id": "x", "capabilty": "search"})), "did you mean `capability`?"),
        (
            with(json!({"id": "x", "capability": "shell"})),
            "step `x`: `capability` `shell` cannot be asked for; allowed are `search` or `write`",
        ),
        (with(json!({"id": "x", "capability": "serch"})), "did you mean `search`?"),
        (with(json!({"id": "x", "capability": "search", "retry": -1})), "step `x`: `retry` is out of range"),
        (with(json!({"id": "x", "capability": "search", "timeout": {}})), "`timeout` has the wrong type"),
        (
            with(json!({"id": "x", "capability": "search", "timeout": 1, "retry_count": 1, "retry": 2})),
            "another name of `retry`",
        ),
        (
            with(json!({"id": "x", "capability": "search", "with": {"a": ["${{ .a"]}})),
            "step `x`: `${{` is never closed",
        ),
        (
            with(json!({"id": "x", "capability": "search", "with": {"a": ["${{ 1 + nope }}"]}})),
            "step `x`: the filter `1 + nope`: there is no `nope` (at byte 4)",
        ),
        (with(json!({"id": "x", "capability": "search", "for_each": ".a | nope"})), "step `x`: the filter"),
        (with(json!({"id": "x", "capability": "search", "if": "a..b"})), "step `x`: `if` is not a data path"),
        (with(json!({"id": "x", "capability": "search", "needs": "gone"})), "step `x`: `needs` names `gone`"),
        (with(json!({"id": "x", "capability": "search", "needs": ["fetch"]})), "did you mean `Fetch`?"),
        (with(json!({"id": "PLAN", "capability": "search"})), "step `PLAN`: the run has a step of this name already"),
        (with(json!({"id": "Good", "capability": "search"})), "step `Good`: it is there twice"),
        (with(json!({"id": "x", "capability": "search", "needs": "x"})), "wait for each other: x -> x"),
        (with(json!({"id": "\u{1b}[31mx", "capability": "search"})), "step `x`: `id` cannot be"),
        (
            json!({"steps": [{"id": "a", "capability": "search", "needs": "c"}, {"id": "b", "capability": "search", "needs": "a"},
            {"id": "c", "capability": "search", "needs": ["b", "plan"]}]}),
            "wait for each other: a -> b -> c -> a",
        ),
    ] {
        let fault = brought(&output).unwrap_err();
        assert!(fault.contains(words), "{output}\n  {fault}\n  should say {words}");
        assert!(!fault.contains('\u{1b}'), "{fault:?}");
    }
}

#[test]
fn a_person_writes_one_step_by_the_same_rules() {
    let read = |text: &str| with_rules(|rules| one(text, rules));
    for text in [
        "{id: x, capability: search, needs: [plan]}",
        "{\"id\": \"x\", \"capability\": \"search\", \"needs\": \"plan\"}",
    ] {
        let step = read(text).unwrap();
        assert_eq!((&*step.step.id, step.needs.len()), ("x", 1));
    }
    for (text, words) in [
        ("", "the file is empty"),
        ("x", "a step has to be a map"),
        ("{id: x", "this is not YAML"),
        (
            "{id: x, capability: search, timeot: 5}",
            "column 29: a step that joins a running graph cannot have the key `timeot`",
        ),
        ("{id: x, capability: search, timeout: soon}", "column 38: `timeout` does not read as a duration"),
        ("{id: plan, capability: search}", "the run has a step of this name already"),
        ("{id: x, capability: search, if: '.a | nope'}", "there is no `nope`"),
    ] {
        let fault = read(text).unwrap_err();
        assert!(fault.contains(words), "{text}: {fault}");
    }
}

#[test]
fn a_thousand_steps_and_deep_values_are_read() {
    let list: Vec<Value> =
        (0..1_000).map(|n| json!({"id": format!("s{n}"), "capability": "c", "needs": if n > 0 { vec![format!("s{}", n - 1)] } else { vec![] }})).collect();
    let allowed: [Name; 1] = ["c".into()];
    let names: Vec<Name> = (0..100_000).map(|n| format!("old{n}").into()).collect();
    let rules = Rules { allowed: &allowed, max: 1_000, names: &names, compile: None };
    assert_eq!(steps(&json!({"steps": list}), &rules).unwrap().len(), 1_000);
    let deep = (0..120).fold(json!("${{ .a }}"), |inner, _| json!([inner]));
    assert!(steps(&json!({"steps": [{"id": "x", "capability": "c", "with": {"deep": deep}}]}), &rules).is_ok());
}

#[test]
fn no_mutation_of_a_line_panics_or_is_taken_without_an_id_of_its_own() {
    let base = "{id: x, capability: search, with: {a: ['${{ .b }}', 1]}, needs: {plan: {on: failed}}, if: '.a | not', for_each: xs, retry: {limit: 2}}";
    let pieces = [
        "{", "}", "[", "]", ":", ", ", "'", "\"", "${{", "}}", "|", "&a ", "*a", "\u{0}", "\n", "é", "~", "0", "Plan",
        "x",
    ];
    let mut rng = Rng::new(77);
    let mut taken = 0;
    for _ in 0..3_000 {
        let mut text: Vec<char> = base.chars().collect();
        for _ in 0..=rng.below(3) {
            let at = rng.below(text.len() as u64) as usize;
            if rng.below(2) == 0 {
                text.remove(at);
            } else {
                text.splice(at..at, pieces[rng.below(pieces.len() as u64) as usize].chars());
            }
        }
        let text: String = text.into_iter().collect();
        if let Ok(step) = with_rules(|rules| one(&text, rules)) {
            taken += 1;
            assert!(crate::spec::units::is_id(&step.step.id) && !step.step.id.eq_ignore_ascii_case("plan"), "{text}");
            assert!(matches!(&step.step.work, Work::Capability { capability } if &**capability == "search"), "{text}");
        }
    }
    assert!(taken > 100, "{taken}");
}
