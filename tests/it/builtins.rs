//! Built-in agents that compute: aggregates against models that are too simple to be wrong, and inputs that make no sense.
#![expect(clippy::panic, reason = "a test that cannot set its scene has failed")]

use crate::compute::{order, run};
use crate::processes::PROGRAM;
use serde_json::{Value, json};
use std::sync::Arc;
use upbeat::model::agent::{Agent, AgentKind, Builtin};
use upbeat::model::completion::{FailureClass, Outcome};
use upbeat::model::rng::Rng;
use upbeat::model::step::{Step, Work};
use upbeat::runtime::compute::Calculator;
use upbeat::runtime::evaluate::{Evaluator, Scope};

fn calculator() -> Calculator {
    Calculator::new(PROGRAM.into())
}

/// What a built-in agent returns for this payload, or why it fails for good.
async fn done(calculator: &Calculator, builtin: Builtin, input: Value) -> Result<Value, String> {
    let agent = Agent::new(builtin.agent_id(), AgentKind::Builtin { builtin }, builtin.capability());
    let step = Step::new("s", Work::Capability { capability: builtin.capability().into() });
    match calculator.work(&order(step, agent, input), 1).await {
        Outcome::Succeeded { output, scores: None, brings: None } => Ok((*output).clone()),
        Outcome::Failed(failure) if failure.class == FailureClass::Permanent => Err(failure.message),
        other => panic!("{other:?}"),
    }
}

/// A drawn value with few differences, so that many are equal.
fn drawn(rng: &mut Rng, depth: u32) -> Value {
    match rng.below(if depth == 0 { 6 } else { 8 }) {
        0 => json!(rng.chance(0.5)),
        1 => json!(rng.below(4) as i64 - 2),
        2 => json!((rng.below(4) as f64 - 2.0) / 2.0),
        3 => json!(["", "a", "ab", "é"][rng.below(4) as usize]),
        4 => json!(u64::MAX - rng.below(2)),
        5 => json!({"k": rng.below(3)}),
        6 => (0..rng.below(3)).map(|_| drawn(rng, depth - 1)).collect(),
        _ => json!({"k": drawn(rng, depth - 1), "j": rng.below(2)}),
    }
}

fn list_of(rng: &mut Rng, most: u64, mut value: impl FnMut(&mut Rng) -> Value) -> Vec<Value> {
    (0..rng.below(most + 1)).map(|_| value(rng)).collect()
}

#[test]
fn merging_agrees_with_jq_over_drawn_lists() {
    run(async {
        let (calculator, evaluator) = (calculator(), Evaluator::new(PROGRAM.into()));
        let mut rng = Rng::new(1);
        for _ in 0..150 {
            let values = list_of(&mut rng, 12, |rng| drawn(rng, 2));
            let merged = "map(if type == \"array\" then .[] else . end)";
            for (with, model) in [
                (json!({}), merged.to_owned()),
                (json!({"sort_by": "."}), format!("{merged} | sort")),
                (json!({"sort_by": "[.k?]"}), format!("{merged} | sort_by([.k?])")),
                (json!({"sort_by": "[.k?] # a comment"}), format!("{merged} | sort_by([.k?])")),
                (json!({"unique_by": ".", "sort_by": "(.)"}), format!("{merged} | unique")),
                (
                    json!({"unique_by": "[.k?, .j?]"}),
                    format!(
                        "{merged} | reduce .[] as $x ([]; if any(.[]; [.k?, .j?] == ($x | [.k?, .j?])) then . else . + [$x] end)"
                    ),
                ),
            ] {
                let mut input = json!({"values": values, "strategy": "merge"});
                input.as_object_mut().unwrap().extend(with.as_object().unwrap().clone());
                let expected = evaluator.ask(&model, Scope::of(&input["values"])).await.unwrap();
                let output = done(&calculator, Builtin::Aggregate, input.clone()).await;
                assert_eq!(output, Ok(json!({"value": expected, "missing": []})), "{input}");
            }
        }
    });
}

#[test]
fn reducing_agrees_with_exact_sums_over_drawn_lists() {
    run(async {
        let calculator = calculator();
        let mut rng = Rng::new(2);
        for _ in 0..300 {
            let values = list_of(&mut rng, 8, |rng| {
                if rng.chance(0.2) { Value::Null } else { json!(rng.below(2_001) as i64 - 1_000) }
            });
            let there: Vec<i64> = values.iter().filter_map(Value::as_i64).collect();
            let missing: Vec<String> =
                (0..values.len()).filter(|at| values[*at].is_null()).map(|at| format!("[{at}]")).collect();
            let (sum, count) = (there.iter().sum::<i64>(), there.len() as i64);
            let mean = match count {
                0 => Value::Null,
                _ if sum % count == 0 => json!(sum / count),
                _ => json!(sum as f64 / count as f64),
            };
            for (op, expected) in [
                ("sum", json!(sum)),
                ("mean", mean),
                ("min", json!(there.iter().min())),
                ("max", json!(there.iter().max())),
                ("count", json!(count)),
            ] {
                let input = json!({"values": values, "strategy": "reduce", "op": op});
                let output = done(&calculator, Builtin::Aggregate, input.clone()).await;
                assert_eq!(output, Ok(json!({"value": expected, "missing": missing})), "{input}");
            }
            // What stands in: the mean of the first number to the left and the first one to the right.
            let input = json!({"values": values, "strategy": "merge", "missing": "interpolate"});
            let output = done(&calculator, Builtin::Aggregate, input).await;
            let near = |at: usize| {
                let left = values[..at].iter().rev().find_map(Value::as_i64);
                let right = values[at..].iter().find_map(Value::as_i64);
                let (left, right) = (left.or(right)?, right.or(left)?);
                Some(if (left + right) % 2 == 0 {
                    json!((left + right) / 2)
                } else {
                    json!((left + right) as f64 / 2.0)
                })
            };
            let filled: Option<Vec<Value>> = (0..values.len())
                .map(|at| if values[at].is_null() { near(at) } else { Some(values[at].clone()) })
                .collect();
            assert_eq!(output.ok().map(|output| output["value"].clone()), filled.map(Value::Array), "{values:?}");
        }
    });
}

#[test]
fn votes_agree_with_counting_over_drawn_lists() {
    run(async {
        let calculator = calculator();
        let mut rng = Rng::new(3);
        for _ in 0..300 {
            let values = list_of(&mut rng, 9, |rng| match rng.below(5) {
                0 => Value::Null,
                1 => json!(1),
                2 => json!(1.0),
                n => json!({"label": n % 2, "by": rng.below(9)}),
            });
            let quorum = rng.below(4) + 1;
            for by in [None, Some(".label?")] {
                let key = |value: &Value| match by {
                    // Compared as numbers, `1` and `1.0` agree.
                    None => {
                        if value == &json!(1.0) {
                            json!(1)
                        } else {
                            value.clone()
                        }
                    }
                    Some(_) => value.get("label").cloned().unwrap_or_default(),
                };
                let votes: Vec<&Value> = values.iter().filter(|value| !value.is_null()).collect();
                let count = |of: &Value| votes.iter().filter(|vote| key(vote) == key(of)).count() as u64;
                // The first of those with the most.
                let most = votes.iter().map(|vote| count(vote)).max().unwrap_or(0);
                let first = votes.iter().find(|vote| count(vote) == most);
                let expected = first.map_or(Value::Null, |vote| match by {
                    None => (**vote).clone(),
                    Some(_) => key(vote),
                });
                let mut input = json!({"values": values, "strategy": "vote", "by": by});
                let output = done(&calculator, Builtin::Aggregate, input.clone()).await.unwrap();
                assert_eq!(output["value"], expected, "{input}");
                input["quorum"] = json!(quorum);
                let output = done(&calculator, Builtin::Aggregate, input.clone()).await;
                assert_eq!(output.is_ok(), most >= quorum, "{input}: {output:?}");
                let (all, voted) = (values.len(), votes.len());
                if let Err(why) = output {
                    let counts = format!("{voted} of {all} voted, and the most that agree are {most}");
                    assert!(why.ends_with(&counts), "{why}");
                }
            }
        }
    });
}

#[test]
fn aggregates_that_make_no_sense_say_what_would() {
    run(async {
        let calculator = calculator();
        for (input, words) in [
            (json!({"values": [1]}), "`strategy` is missing; merge, reduce, transform, vote or first"),
            (json!({"values": [1], "strategy": "mix"}), "`strategy` is the text \"mix\", one of merge, reduce"),
            (json!({"values": 1, "strategy": "merge"}), "`values` is 1, a list is expected"),
            (json!({"strategy": "merge"}), "nothing to work on"),
            (json!({"values": [1], "strategy": "reduce"}), "`reduce` takes `op`"),
            (json!({"values": [1], "strategy": "reduce", "op": "sum", "fold": "add"}), "one of them"),
            (json!({"values": [1], "strategy": "reduce", "op": "product"}), "one of sum, mean, min, max, count"),
            (json!({"values": [1], "strategy": "merge", "op": "sum"}), "`op` does not go with this `strategy`"),
            (json!({"values": [1, "x"], "strategy": "reduce", "op": "sum"}), "`[1]` is the text \"x\", a number"),
            (
                json!({"values": [1, {}], "names": ["a", "b"], "strategy": "reduce", "op": "max"}),
                "`b` is an object, a number",
            ),
            (json!({"values": [1, null], "strategy": "reduce", "op": "sum", "missing": "null"}), "null is no number"),
            (json!({"values": [1, null], "strategy": "merge", "missing": "fail"}), "nothing came from `[1]`"),
            (json!({"values": [null], "strategy": "first"}), "none of the 1 values is there"),
            (json!({"values": [1], "strategy": "transform"}), "`transform` takes a `filter`"),
            (json!({"values": [1], "strategy": "transform", "filter": ".[] | keys"}), "`filter`: "),
            (json!({"values": [1, 2], "strategy": "transform", "filter": ".[]"}), "more than one value"),
            (
                json!({"values": [1], "strategy": "merge", "sort_by": "(1, 2)"}),
                "`sort_by` of element 0: the filter gives more",
            ),
            (
                json!({"values": [1], "strategy": "merge", "sort_by": ".x"}),
                "`sort_by` of element 0: cannot index number",
            ),
            (json!({"values": [1], "strategy": "vote", "quorum": "most"}), "a number of votes or a share like 60%"),
            (json!({"values": [1], "names": ["a", "b"], "strategy": "merge"}), "a list of one text for each value"),
            (json!({"values": [1e308, 1e308], "strategy": "reduce", "op": "sum"}), "too large"),
        ] {
            let why = done(&calculator, Builtin::Aggregate, input).await.unwrap_err();
            assert!(why.starts_with("`aggregate`: ") && why.contains(words), "{why}");
        }
        let fold = json!({"values": [1, 2, 3], "strategy": "reduce", "fold": "reduce .[] as $x (1; . * $x)"});
        assert_eq!(done(&calculator, Builtin::Aggregate, fold).await.unwrap()["value"], 6);
        let apart = json!({"values": [1], "strategy": "reduce", "fold": "add }} ${{ add"});
        assert!(done(&calculator, Builtin::Aggregate, apart).await.unwrap_err().contains("more than one filter"));
        let none = json!({"values": [], "strategy": "first"});
        assert!(done(&calculator, Builtin::Aggregate, none).await.is_err());
        let share = json!({"values": ["y", "y", "n", null], "strategy": "vote", "quorum": "50%"});
        assert_eq!(done(&calculator, Builtin::Aggregate, share).await, Ok(json!({"value": "y", "missing": ["[3]"]})));
    });
}

#[test]
fn values_are_validated_by_schema_and_rules() {
    run(async {
        let calculator = calculator();
        let validate = async |input: Value| done(&calculator, Builtin::Validate, input).await;
        let schema = json!({"type": "object", "properties": {"n": {"type": "integer"}}});
        let rules = json!([".n > 0", "ok", "$item == \"the item\""]);
        let good = json!({"value": {"n": 1, "ok": true}, "schema": schema, "rules": rules});
        assert_eq!(validate(good).await, Ok(json!({"valid": true, "errors": []})));
        let bad = json!({"value": {"n": -0.5, "ok": 1}, "schema": schema, "rules": rules});
        let errors = json!([
            "/n: -0.5 is not of type \"integer\"",
            "`.n > 0` gives false, true is expected",
            "`ok` gives 1, true is expected"
        ]);
        assert_eq!(validate(bad.clone()).await, Ok(json!({"valid": false, "errors": errors})));
        let mut strict = bad;
        strict["strict"] = json!(true);
        let why = validate(strict).await.unwrap_err();
        assert!(why.starts_with("`validate`: the value is not valid: /n: -0.5"), "{why}");
        assert_eq!(validate(json!({"input": [0]})).await, Ok(json!({"valid": true, "errors": []})));
        assert_eq!(validate(json!({"text": ""})).await.unwrap()["valid"], false);
        for (input, words) in [
            (json!({"value": 1, "schema": {"type": "x"}}), "the schema cannot be used"),
            (json!({"value": 1, "schema": {"$ref": "http://localhost:1/x"}}), "the schema cannot be used"),
            (json!({"value": 1, "rules": ".n"}), "`rules` is the text \".n\", a list"),
            (json!({"value": 1, "rules": [1]}), "`rules[0]` is 1, a filter"),
            (json!({"value": 1, "rules": [". + \"x"]}), "`rules[0]`: the string that begins here"),
            (json!({"value": 1, "strict": "yes"}), "`strict` is the text \"yes\", true or false"),
            (json!({"rules": []}), "nothing to work on"),
        ] {
            let why = validate(input).await.unwrap_err();
            assert!(why.contains(words), "{why}");
        }
    });
}

#[test]
fn the_others_answer_with_their_own_output() {
    run(async {
        let calculator = calculator();
        for (builtin, input, output) in [
            (Builtin::Chunk, json!({"text": "abc", "size": 2}), json!({"chunks": ["ab", "c"], "count": 2})),
            (Builtin::Json, json!({"text": "[1]"}), json!({"type": "array", "length": 1, "value": [1]})),
            (Builtin::Transform, json!({"value": {"n": 2}, "filter": ".n + $index"}), json!({"value": 6})),
            (Builtin::Transform, json!({"value": " a ", "ops": ["trim", "upper"]}), json!({"value": "A"})),
        ] {
            assert_eq!(done(&calculator, builtin, input).await, Ok(output));
        }
        let why =
            done(&calculator, Builtin::Transform, json!({"value": 1, "filter": "def f: f; f"})).await.unwrap_err();
        assert_eq!(why, "`transform`: `filter`: the filter took longer than 1 s (the filter is `def f: f; f`)");
        let why = done(&calculator, Builtin::Combine, json!({"values": []})).await.unwrap_err();
        assert!(why.contains("is no `aggregate` step"), "{why}");
    });
}

/// The largest resident set of this process so far, in MB.
fn peak_mb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak =
        status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix("kB")?.trim().parse().ok());
    peak.unwrap_or(0) / 1024
}

#[test]
#[ignore = "measures: run by hand, with --nocapture"]
fn figures_of_ten_megabytes_in_chunks() {
    run(async {
        let calculator = calculator();
        let text: String =
            "Some words of a long text, with é and 漢 in it.\n".chars().cycle().take(10_000_000).collect();
        let bytes = text.len();
        let input = Arc::new(json!({"text": text}));
        for (by, size) in [("chars", 1_000), ("words", 200), ("lines", 100)] {
            let mut input = (*input).clone();
            input["by"] = json!(by);
            input["size"] = json!(size);
            let (before, began) = (peak_mb(), upbeat::runtime::clock::now());
            let output = done(&calculator, Builtin::Chunk, input).await.unwrap();
            println!(
                "{bytes} bytes by {by}: {} chunks in {:?}, peak {before} -> {} MB",
                output["count"],
                began.elapsed(),
                peak_mb()
            );
        }
    });
}
