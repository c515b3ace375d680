//! What files say about the flow of data: what it becomes, what is refused, and what is probably not meant.

use super::tests::{Broken, faults, mutated, told};
use super::*;
use crate::model::aggregate::{Aggregate, From, Missing, Operation, Quorum, Strategy, Wait};
use crate::model::expression::{Expression, Fault};
use crate::model::growth::{Expand, ForEach};
use crate::model::id::StepId;
use crate::model::policy::Success;
use crate::model::quality::OnFail;
use crate::model::step::{EnvValue, NeedOn, Step, Work};
use crate::model::workflow::Workflow;
use serde_json::json;
use std::io;

const FULL: &str = r##"
data: { cities: [a, b], go: true, n: 3 }
env: { HOME_TOWN: "${{ .cities[0] }}" }
agents:
  s: { kind: simulated, capabilities: [c], output: { said: "${{ .text | ascii_upcase }}" }, script: { x: { output: "${{ .a }}!" } } }
  j: { kind: builtin, capabilities: [json] }
defaults: { if: go, expect: { schema: true, on_fail: warn } }
steps:
  fetch:
    capability: c
    for_each: cities
    max_parallel: 2
    chunk: 3
    success: { min: 50% }
    with: { city: "${{ $item }}", deep: [{ text: "in ${{ $item }}, ${{ $index }}" }] }
    input: { n: .n + 1, m: n, o: "${{ .go }}" }
    output: { x: found }
    expect:
      schema: { type: object, properties: { $ref: { type: string } }, items: { $ref: "#/$defs/x~1y" }, $defs: { x/y: true }, const: { $ref: "http://data" } }
      assert: [.ok, "${{ .n > 1 }}"]
      quality: { domain: analytical, accuracy: 0.5, tone: 1 }
      on_fail: fail
  list: { command: [echo, "${{ .cities | join(\",\") }}", "--", x], env: { A: "${{ .n }} of ${{ .n }}" }, parallel_safe: false, if: .n > 2, critical: true }
  plan: { run: ls, expand: { allow: [c, echo], max: 7 }, expect: { assert: .ok, quality: creative } }
  more: { capability: c, expand: true, needs: plan }
  merge: { aggregate: { from: [fetch, list, plan], strategy: merge, unique_by: .id, sort_by: rank, missing: interpolate, wait: critical } }
  sum: { aggregate: { from: [fetch, list], strategy: reduce, op: mean, missing: "null" }, needs: { list: { on: failed } }, timeout: 5, estimate: 1, on_exhausted: pause, priority: 1, critical: true, output: { value: total } }
  fold: { aggregate: { from: total, strategy: reduce, fold: add / length }, needs: sum, expect: { assert: [.value > 0] } }
  shape: { aggregate: { from: .cities, strategy: transform, filter: "map(ascii_upcase)" } }
  vote: { aggregate: { from: [fetch], strategy: vote, by: .choice, quorum: 60%, missing: fail } }
  votes: { aggregate: { from: [fetch], strategy: vote, quorum: 2 } }
  first: { aggregate: { from: [more, plan], strategy: first } }
result: { from: [sum, vote], strategy: reduce, op: count }
"##;

fn source(text: &str) -> Expression {
    Expression::of_source(text).unwrap()
}

fn aggregate(step: &Step) -> &Aggregate {
    let Work::Aggregate(aggregate) = &step.work else { panic!("{} is an aggregate", step.id) };
    aggregate
}

fn needs(step: &Step) -> Vec<(u32, NeedOn)> {
    step.needs.iter().map(|need| (need.step.0, need.on)).collect()
}

#[test]
fn every_key_of_data_flow_reaches_the_model() {
    let outcome = faults("f.yaml", FULL);
    assert!(outcome.diagnostics.is_empty(), "{}", outcome.render());
    let flow = outcome.value.unwrap();
    let [fetch, list, plan, more, ..] = &flow.steps[..] else { panic!("eleven steps") };
    let each = ForEach { items: source("cities"), max_parallel: Some(2), chunk: Some(3), success: Success::Min(0.5) };
    assert_eq!(fetch.for_each, Some(each));
    assert_eq!(fetch.with["deep"], json!([{"text": "in ${{ $item }}, ${{ $index }}"}]), "texts stay as they are");
    let inputs: Vec<&Expression> = fetch.input.iter().map(|mapping| &mapping.source).collect();
    assert_eq!(inputs, [&source(".n + 1"), &source("n"), &source("${{ .go }}")]);
    assert_eq!((&fetch.condition, &list.condition), (&Some(source("go")), &Some(source(".n > 2"))));
    let expect = fetch.expect.as_deref().unwrap();
    assert_eq!(expect.schema.as_ref().unwrap()["properties"]["$ref"]["type"], "string");
    assert_eq!(expect.assert, [source(".ok"), source("${{ .n > 1 }}")]);
    let quality = expect.quality.as_ref().unwrap();
    let least: Vec<(&str, f64)> = quality.thresholds.iter().map(|(name, least)| (&**name, *least)).collect();
    assert_eq!((&*quality.domain, expect.on_fail), ("analytical", OnFail::Fail));
    assert_eq!(least, [("accuracy", 0.5), ("tone", 1.0), ("completeness", 0.9)]);
    let shared = more.expect.as_deref().unwrap();
    assert_eq!((&shared.schema, shared.on_fail), (&Some(json!(true)), OnFail::Warn));
    let creative = plan.expect.as_deref().unwrap().quality.as_ref().unwrap();
    assert_eq!((creative.thresholds["completeness"], creative.thresholds["accuracy"]), (0.7, 0.6));
    assert_eq!(
        list.work,
        Work::Command { argv: ["echo", "${{ .cities | join(\",\") }}", "--", "x"].map(str::to_owned).to_vec() }
    );
    assert_eq!(list.env[0].1, EnvValue::Text("${{ .n }} of ${{ .n }}".to_owned()));
    assert_eq!((list.alone, fetch.alone), (true, false));
    assert_eq!(plan.expand, Some(Expand { allow: Some(vec!["c".into(), "echo".into()]), max: 7 }));
    assert_eq!(more.expand, Some(Expand { allow: None, max: 100 }));
    assert!(flow.agents.iter().any(|agent| &*agent.id == "builtin.echo"), "what an output may ask for is there");
    assert!(flow.agents.iter().any(|agent| &*agent.id == "builtin.combine"));
    let text = serde_json::to_string(&flow).unwrap();
    assert_eq!(serde_json::from_str::<Workflow>(&text).unwrap(), flow, "it survives being saved");
}

#[test]
fn every_strategy_reaches_the_model_and_what_it_takes_is_needed() {
    let flow = faults("f.yaml", FULL).value.unwrap();
    let [.., merge, sum, fold, shape, vote, votes, first] = &flow.steps[..] else { panic!("eleven steps") };
    let of = |ids: &[u32]| From::Steps(ids.iter().copied().map(StepId).collect());
    let merged = Aggregate {
        from: of(&[0, 1, 2]),
        strategy: Strategy::Merge { unique_by: Some(source(".id")), sort_by: Some(source("rank")) },
        missing: Missing::Interpolate,
        wait: Wait::Critical,
    };
    assert_eq!(*aggregate(merge), merged);
    assert_eq!(needs(merge), [(1, NeedOn::Completed)], "only what is critical is waited for");
    let mean = Aggregate {
        from: of(&[0, 1]),
        strategy: Strategy::Reduce(Operation::Mean),
        missing: Missing::Null,
        wait: Wait::All,
    };
    assert_eq!(*aggregate(sum), mean);
    assert_eq!(needs(sum), [(1, NeedOn::Failed), (0, NeedOn::Completed)], "a need of its own keeps its end");
    assert_eq!((sum.retry.limit, sum.timeout.unwrap().as_millis(), sum.critical), (0, 5_000, true));
    assert_eq!(aggregate(fold).from, From::Source(source("total")));
    assert_eq!(aggregate(fold).strategy, Strategy::Fold(Expression::of_filter("add / length").unwrap()));
    assert_eq!(needs(fold), [(5, NeedOn::Succeeded)]);
    assert_eq!(aggregate(shape).strategy, Strategy::Transform(Expression::of_filter("map(ascii_upcase)").unwrap()));
    let strategy = Strategy::Vote { by: Some(source(".choice")), quorum: Some(Quorum::Share(0.6)) };
    assert_eq!((&aggregate(vote).strategy, aggregate(vote).missing), (&strategy, Missing::Fail));
    assert_eq!(aggregate(votes).strategy, Strategy::Vote { by: None, quorum: Some(Quorum::Votes(2)) });
    assert_eq!((&aggregate(first).strategy, needs(first).len()), (&Strategy::First, 2));
    let result = flow.result.as_ref().unwrap();
    assert_eq!((&result.from, &result.strategy), (&of(&[5, 8]), &Strategy::Reduce(Operation::Count)));
}

#[rustfmt::skip]
const BROKEN: &[Broken] = &[
    // Expressions.
    ("steps: { a: { run: ls, if: true } }\n", &[("1:28 wrong_type", "`if` has the wrong type", None)]),
    ("steps: { a: { run: ls, if: n > 1 } }\n", &[("1:28 bad_text", "not a data path", Some(".n > 1"))]),
    ("steps: { a: { run: ls, if: '' } }\n", &[("1:28 bad_filter", "is expected, not nothing", None)]),
    ("steps: { a: { run: ls, if: '${{ .a }} or' } }\n", &[("1:29 bad_filter", "has to be the whole text", None)]),
    ("steps: { a: { run: ls, if: 'it ${{ .a }}' } }\n", &[("1:32 bad_filter", "holds no `${{`", None)]),
    ("steps: { a: { run: ls, with: { k: [a, 'b ${{ \"c }}'] } } }\n", &[("1:46 bad_filter", "never closed", None)]),
    ("steps:\n  a:\n    run: ls\n    with:\n      k: |\n        one\n          two ${{ }}\n", &[("7:15 bad_filter", "no filter between", None)]),
    ("steps: { a: { run: ls, env: { A: 'x ${{ .a' } } }\n", &[("1:37 bad_filter", "`${{` is never closed", None)]),
    ("steps: { a: { command: [a, '--x=${{ .a }}'] } }\n", &[("1:28 conflict", "has to be the whole argument", None)]),
    ("steps: { a: { command: ['${{ .a }}', b] } }\n", &[("1:25 conflict", "which program is started is not computed", None)]),
    ("steps: { a: { run: ls, output: { k: '${{ .a }}' } } }\n", &[("1:37 bad_text", "not a data path", None)]),
    ("steps: { a: { run: ls, cwd: 'a/${{ .a }}' } }\n", &[("1:32 conflict", "nothing is computed here", None)]),
    ("steps: { a: { run: ls, fallback: [{ value: { x: '${{ .a }}' } }] } }\n", &[("1:50 conflict", "nothing is computed here", None)]),
    ("steps: { a: { run: ls, compensate: { run: ls, with: { x: '${{ .a }}' } } } }\n", &[("1:59 conflict", "nothing is computed here", None)]),
    ("agents: { a: { kind: process, command: [x], env: { A: '${{ .a }}' } } }\nsteps: { x: { agent: a } }\n", &[("1:56 conflict", "nothing is computed here", None)]),
    ("steps: { a: { approval: { prompt: 'Go ${{ .a }}?' } } }\n", &[("1:39 conflict", "nothing is computed here", None)]),
    // Lists.
    ("steps: { a: { run: ls, chunk: 2 } }\n", &[("1:24 conflict", "`chunk` goes with `for_each`", None)]),
    ("steps: { a: { run: ls, max_parallel: 2, success: any } }\n", &[("1:24 conflict", "`max_parallel`", None), ("1:41 conflict", "`success`", None)]),
    ("steps: { a: { run: ls, for_each: .x, chunk: 0 } }\n", &[("1:45 out_of_range", "`chunk`", None)]),
    ("steps: { a: { run: ls, for_each: [1, 2] } }\n", &[("1:34 wrong_type", "found a list", None)]),
    ("steps: { a: { for_each: .x, approval: { prompt: x } } }\n", &[("1:29 conflict", "`approval` and `for_each` exclude", None)]),
    ("steps: { a: { for_each: .x, aggregate: { from: .y, strategy: first } } }\n", &[("1:29 conflict", "`aggregate` and `for_each`", None)]),
    ("steps: { a: { for_each: .x, run: ls, barrier: b } }\n", &[("1:38 conflict", "`barrier` and `for_each`", None)]),
    ("steps: { a: { for_each: .x, run: ls, expand: true } }\n", &[("1:38 conflict", "`expand` and `for_each`", None)]),
    ("steps: { a: { run: ls, parallel_safe: false, barrier: b } }\n", &[("1:46 conflict", "exclude each other", None)]),
    // Aggregates.
    ("steps: { a: { aggregate: { strategy: first } } }\n", &[("1:26 missing_key", "an aggregate needs `from`", None)]),
    ("steps: { a: { aggregate: { from: .x } } }\n", &[("1:26 missing_key", "an aggregate needs `strategy`", None)]),
    ("steps: { a: { aggregate: { from: [], strategy: first } } }\n", &[("1:34 out_of_range", "`from` is empty", None)]),
    ("steps: { a: { aggregate: { from: .x, strategy: merg } } }\n", &[("1:48 unknown_word", "`merg`", Some("merge"))]),
    ("steps: { fetch: { run: ls }, a: { aggregate: { from: [fetsh], strategy: first } } }\n", &[("1:55 unknown_step", "aggregate `a` takes `fetsh`", Some("fetch"))]),
    ("steps: { a: { aggregate: { from: [a], strategy: first } } }\n", &[("1:35 cycle", "a -> a", None)]),
    ("steps:\n  b: { run: ls, needs: a }\n  a: { aggregate: { from: [b], strategy: first } }\n", &[("2:24 cycle", "b -> a -> b", None)]),
    ("steps: { a: { aggregate: { from: .x, strategy: merge, op: sum, quorum: 2 } } }\n", &[("1:55 conflict", "`op` belongs to the strategy `reduce`", None), ("1:64 conflict", "`quorum` belongs to the strategy `vote`", None)]),
    ("steps: { a: { aggregate: { from: .x, strategy: reduce } } }\n", &[("1:26 conflict", "does not say what the values become", None)]),
    ("steps: { a: { aggregate: { from: .x, strategy: reduce, op: sum, fold: add } } }\n", &[("1:65 conflict", "has both", None)]),
    ("steps: { a: { aggregate: { from: .x, strategy: transform } } }\n", &[("1:26 missing_key", "`transform` does not say", None)]),
    ("steps: { a: { aggregate: { from: .x, strategy: vote, quorum: 0 } } }\n", &[("1:62 out_of_range", "`quorum`", None)]),
    ("steps: { a: { aggregate: { from: .x, strategy: vote, quorum: many } } }\n", &[("1:62 bad_text", "`many`", None)]),
    ("steps: { a: { aggregate: { from: .x, strategy: vote, missing: interpolate } } }\n", &[("1:63 conflict", "`interpolate` has no meaning", None)]),
    ("steps: { a: { aggregate: { from: .x, strategy: first, wait: critical } } }\n", &[("1:55 conflict", "`from` names no steps", None)]),
    ("steps: { b: { run: ls }, a: { aggregate: { from: [b], strategy: first, wait: critical } } }\n", &[("1:72 conflict", "no step of `from` is `critical`", None)]),
    ("steps: { a: { run: ls } }\nresult: { from: [a], strategy: first, wait: all }\n", &[("2:39 conflict", "when everything has ended", None)]),
    ("steps: { a: { run: ls } }\nresult: { from: [b], strategy: first }\n", &[("2:18 unknown_step", "`result` takes `b`", None)]),
    ("steps: { a: { aggregate: { from: .x, strategy: first }, retry: 2, input: { x: y }, env: { A: b }, expand: true } }\n",
        &[("1:57 conflict", "`retry` has no meaning beside `aggregate`", None), ("1:67 conflict", "`input`", None), ("1:84 conflict", "`env`", None), ("1:99 conflict", "`expand`", None)]),
    ("steps: { a: { aggregate: { from: .x, strategy: first }, run: ls } }\n", &[("1:15 conflict", "`run` and `aggregate`", None)]),
    // Expectations.
    ("steps: { a: { run: ls, expect: { on_fail: warn } } }\n", &[("1:32 missing_key", "`expect` expects nothing", None)]),
    ("steps: { a: { run: ls, expect: { schema: [1] } } }\n", &[("1:42 wrong_type", "`schema`", None)]),
    ("steps: { a: { run: ls, expect: { schema: { items: [{ $ref: 'http://x/y' }] } } } }\n", &[("1:60 bad_text", "nothing outside itself", None)]),
    ("steps: { a: { run: ls, expect: { schema: { $dynamicRef: other.json } } } }\n", &[("1:57 bad_text", "`other.json`", None)]),
    ("steps: { a: { run: ls, expect: { schema: { $ref: '#/$defs/x' } } } }\n", &[("1:50 bad_text", "nothing at `#/$defs/x`", None)]),
    ("steps: { a: { run: ls }, v: { aggregate: { from: [a], strategy: vote, quorum: 2 } } }\n", &[("1:79 out_of_range", "2 votes can never come together", None)]),
    ("steps: { a: { run: ls, expect: { assert: [] } } }\n", &[("1:42 out_of_range", "`assert` is empty", None)]),
    ("steps: { a: { run: ls, expect: { assert: [x > 1] } } }\n", &[("1:43 bad_text", "not a data path", Some(".x > 1"))]),
    ("steps: { a: { run: ls, expect: { quality: analytcal } } }\n", &[("1:43 missing_key", "`analytcal` declares no score", Some("analytical"))]),
    ("steps: { a: { run: ls, expect: { quality: { domain: mine } } } }\n", &[("1:53 missing_key", "`mine` declares no score", None)]),
    ("steps: { a: { run: ls, expect: { quality: {} } } }\n", &[("1:43 missing_key", "declares no score", None)]),
    ("steps: { a: { run: ls, expect: { quality: { accuracy: 1.5 } } } }\n", &[("1:55 out_of_range", "`accuracy`", None)]),
    ("steps: { a: { run: ls, expect: { quality: { accuracy: high } } } }\n", &[("1:55 wrong_type", "`accuracy`", None)]),
    ("steps: { a: { run: ls, expect: { quality: { domain: 1 } } } }\n", &[("1:53 wrong_type", "`domain`", None)]),
    ("steps: { a: { run: ls, expect: { schema: true, on_fail: stop } } }\n", &[("1:57 unknown_word", "`stop`", None)]),
    ("steps: { a: { approval: { prompt: x }, expect: { schema: true } } }\n", &[("1:40 conflict", "`expect` has no meaning beside `approval`", None)]),
    // Growth.
    ("steps: { a: { run: ls, expand: { allow: [nobody] } } }\n", &[("1:42 unknown_capability", "`nobody`", None)]),
    ("steps: { a: { run: ls, expand: { max: 1001 } } }\n", &[("1:39 out_of_range", "`max`", None)]),
    ("steps: { a: { run: ls, expand: yes } }\n", &[("1:32 wrong_type", "`expand`", Some("true"))]),
    ("steps: { a: { approval: { prompt: x }, expand: true } }\n", &[("1:40 conflict", "`expand` has no meaning beside `approval`", None)]),
    ("steps: { a: { run: ls, parallel_safe: no } }\n", &[("1:39 wrong_type", "`parallel_safe`", Some("false"))]),
    // Defaults.
    ("defaults: { for_each: .x, expand: true }\nsteps: { a: { run: ls } }\n", &[("1:13 conflict", "`for_each` cannot stand here: a list belongs to one step", None), ("1:27 conflict", "`expand`", None)]),
    ("defaults: { aggregate: { from: .x, strategy: first }, approval: { prompt: x } }\nsteps: { a: { run: ls } }\n", &[("1:13 conflict", "`aggregate`", None), ("1:55 conflict", "`approval`", None)]),
    // Outputs of other steps.
    ("steps: { fetch: { run: ls }, b: { run: ls, if: $outputs.fetsh.n } }\n", &[("1:57 unknown_step", "no member `fetsh`", Some("$outputs.fetch"))]),
    ("steps: { fetch-all: { run: ls }, b: { run: ls, with: { x: 'it: ${{ .a + $outputs.fetch-all.n }}' } } }\n", &[("1:82 unknown_step", "`fetch`", Some("$outputs[\"fetch-all\"]"))]),
    ("steps: { a: { run: ls } }\nresult: { from: '[$outputs[\"b\"], $outputs.a, $outputs[\"a[0]\"]]', strategy: first }\n", &[("2:29 unknown_step", "`b`", None), ("2:56 unknown_step", "`a[0]`", Some("$outputs.a"))]),
];

#[test]
fn broken_flows_are_told_where_and_what_and_what_was_meant() {
    assert!(BROKEN.len() > 60);
    told(Severity::Error, BROKEN);
}

#[rustfmt::skip]
const DOUBTFUL: &[Broken] = &[
    ("steps: { a: { run: ls, if: x.y } }\n", &[("1:28 missing_input", "nothing provides `x.y`", None)]),
    ("steps: { a: { run: ls, for_each: x } }\n", &[("1:34 missing_input", "nothing provides `x`", None)]),
    ("steps: { a: { run: ls }, b: { aggregate: { from: a, strategy: first } } }\n", &[("1:50 missing_input", "nothing provides `a`", Some("[a]"))]),
    ("steps: { a: { run: ls, for_each: .x, output: { o: p } }, b: { run: ls, if: p } }\n", &[("1:76 missing_input", "`p` is written by `a`, which this step does not wait for", None)]),
    ("steps: { a: { aggregate: { from: .x, strategy: first }, output: { value: p } }, b: { run: ls, needs: a, input: { k: p } } }\n", &[]),
    ("steps: { a: { run: ls }, b: { aggregate: { from: [a, a], strategy: first } } }\n", &[("1:54 no_effect", "`a` is taken already", None)]),
    ("steps: { a: { run: ls }, b: { run: ls, if: $outputs.a.ok } }\n", &[("1:44 missing_input", "the output of `a` need not be there", None)]),
    ("steps: { a: { run: ls }, m: { run: ls, needs: a }, b: { run: ls, needs: m, if: $outputs.a.ok } }\n", &[]),
    ("steps: { a: { run: ls, for_each: .x }, b: { run: ls, needs: a, with: { k: '${{ $outputs[\"a[3]\"] }}' } } }\n", &[]),
    ("steps: { a: { run: ls, expand: true }, b: { run: ls, needs: a, with: { k: '${{ $outputs.more }}' } } }\n", &[("1:89 unknown_step", "no member `more`", None)]),
    ("steps: { a: { run: ls, expand: false, if: .x } }\n", &[]),
    ("steps: { a: { run: ls, env: { A: '${{ .x }}', B: y }, compensate: { run: ls } } }\n", &[("1:29 no_effect", "not given the variable `A`", None)]),
];

#[test]
fn what_is_probably_not_meant_is_a_warning() {
    told(Severity::Warning, DOUBTFUL);
}

/// A compiler that knows one word.
fn compiler(filters: &[&str]) -> io::Result<Vec<Result<(), Fault>>> {
    let fault = |filter: &str| filter.find("nope").map(|at| Fault { at, message: format!("{} in all", filters.len()) });
    Ok(filters.iter().map(|filter| fault(filter).map_or(Ok(()), Err)).collect())
}

/// A compiler that repeats what it is given.
fn echo(filters: &[&str]) -> io::Result<Vec<Result<(), Fault>>> {
    Ok(filters.iter().map(|filter| Err(Fault { at: 0, message: (*filter).to_owned() })).collect())
}

fn broken(_: &[&str]) -> io::Result<Vec<Result<(), Fault>>> {
    Err(io::Error::other("no thread"))
}

const FILTERS: &str = r#"
env: { A: "${{ nope1 }}" }
agents: { s: { kind: simulated, capabilities: [c], output: ["\"${{ .a | nope2 }}\""] } }
defaults: { with: { d: "${{ .x | nope3 }}" } }
steps:
  a:
    capability: c
    if: .x | nope4
    with:
      block: |
        It is
          ${{ 1 + nope5 }}
      folded: >-
        It
        is

        ${{ . | nope6 }}
      plain: It
        is ${{ . | nope7 }}
      quoted: 'it''s
        ${{ . | nope8 }}'
    input: { k: ".x \
      | nope9" }
    expect: { assert: [.ok, .a | nopeA] }
  b: { aggregate: { from: [a], strategy: merge, sort_by: .a | nopeB } }
result: { from: [a], strategy: transform, filter: nopeC }
"#;

#[test]
fn all_filters_are_compiled_at_once_and_each_fault_has_its_place() {
    let options = Options { compile: Some(compiler), ..Options::default() };
    let outcome = read(&Source::new("f.yaml", FILTERS), &options);
    let lines: Vec<&str> = FILTERS.lines().collect();
    let shown: Vec<String> = outcome
        .diagnostics
        .iter()
        .map(|d| {
            assert_eq!((d.code, d.message.as_str()), (Code::BadFilter, "12 in all"));
            lines[d.line - 1].chars().skip(d.column - 1).take(5).collect()
        })
        .collect();
    let expected = ["1", "2", "3", "4", "5", "6", "7", "8", "9", "A", "B", "C"].map(|end| format!("nope{end}"));
    assert_eq!(shown, expected);
    assert!(outcome.value.is_none());
    assert!(read(&Source::new("f.yaml", FILTERS), &Options::default()).value.is_some(), "nobody looked");
    let agents = Source::new("a.json", r#"{"agents": {"s": {"kind": "simulated", "output": "\u00e9 ${{ nope }}"}}}"#);
    let told = read_agents(&agents, Some(compiler)).diagnostics;
    assert_eq!((told.len(), told[0].column, told[0].code), (1, 62, Code::BadFilter));
}

#[test]
fn a_compiler_that_fails_refuses_the_file_and_plain_paths_need_none() {
    let options = Options { compile: Some(broken), ..Options::default() };
    let outcome = read(&Source::new("f.yaml", "steps: { a: { run: ls, if: .x + 1 } }\n"), &options);
    assert!(outcome.diagnostics[0].message.contains("cannot be checked: no thread"));
    assert!(read(&Source::new("f.yaml", "steps: { a: { run: ls, if: '.x[0].y' } }\n"), &options).value.is_some());
}

#[test]
fn equal_filters_are_compiled_once_and_no_more_than_are_bearable() {
    let steps = |count: usize, all: &dyn Fn(usize) -> String| {
        let lines: Vec<String> =
            (0..count).map(|n| format!("  s{n}: {{ run: ls, if: .a | nope{} }}\n", all(n))).collect();
        format!("steps:\n{}", lines.concat())
    };
    let options = Options { compile: Some(compiler), ..Options::default() };
    let told = |text: &str| read(&Source::new("f.yaml", text), &options).diagnostics;
    let same = told(&steps(50, &|_| String::new()));
    assert_eq!((same.len(), same[49].message.as_str()), (50, "1 in all"));
    let many = told(&steps(10_001, &|n| n.to_string()).replace("nope", "good"));
    assert_eq!((many.len(), many[0].severity), (1, Severity::Note), "{}", render_all(&many, 0));
}

#[test]
fn what_a_compiler_repeats_is_shown_safely_and_cut() {
    let text =
        format!("{{\"steps\": {{\"a\": {{\"run\": \"ls\", \"if\": \". | \\u001b[31m{}\"}}}}}}", "x".repeat(1 << 20));
    let options = Options { compile: Some(echo), ..Options::default() };
    let told = read(&Source::new("f.json", text), &options);
    assert!(!told.render().contains('\u{1b}') && told.diagnostics[0].message.chars().count() <= 200);
}

#[test]
fn an_alias_that_stands_for_a_filter_is_the_place_of_its_fault() {
    let text = "data: { f: &f \"${{ nope }}\" }\nsteps: { a: { run: ls, with: { k: *f } } }\n";
    let options = Options { compile: Some(compiler), ..Options::default() };
    let told = read(&Source::new("f.yaml", text), &options).diagnostics;
    assert_eq!((told.len(), told[0].line, told[0].column), (1, 2, 35));
}

#[test]
fn hostile_values_are_told_and_cost_little() {
    let schema = format!("{}true{}", "{ not: ".repeat(58), " }".repeat(58));
    assert!(
        faults("f.yaml", &format!("steps: {{ a: {{ run: ls, expect: {{ schema: {schema} }} }} }}\n")).value.is_some()
    );
    let deep = format!("{}true{}", "{ not: ".repeat(100), " }".repeat(100));
    let deep = faults("f.yaml", &format!("steps: {{ a: {{ run: ls, expect: {{ schema: {deep} }} }} }}\n"));
    assert_eq!(deep.diagnostics[0].code, Code::TooLarge);
    let many: Vec<String> = (0..50_000).map(|n| format!("s{n}")).collect();
    let steps: String = many.iter().map(|id| format!("  {id}: {{ run: ls }}\n")).collect();
    let all = faults(
        "f.yaml",
        &format!("steps:\n{steps}  all: {{ aggregate: {{ from: [{}], strategy: merge }} }}\n", many.join(", ")),
    );
    assert_eq!(all.value.unwrap().steps[50_000].needs.len(), 50_000);
    let wrong = faults(
        "f.yaml",
        &format!("steps: {{ a: {{ aggregate: {{ from: [{}], strategy: merge }} }} }}\n", many.join(", ")),
    );
    assert_eq!((wrong.diagnostics.len(), wrong.more), (1_000, 49_000));
    let long = format!("steps: {{ a: {{ run: ls, if: '. | {}' }} }}\n", "x".repeat(9 * 1024));
    assert!(faults("f.yaml", &long).value.is_some(), "how long a filter may be is for the compiler to say");
    let parts = "${{ .a | .b }}".repeat(20_000);
    assert!(faults("f.yaml", &format!("steps: {{ a: {{ run: ls, with: {{ k: \"{parts}\" }} }} }}\n")).value.is_some());
    let open = "${{ \\\"".repeat(50_000);
    assert!(faults("f.yaml", &format!("steps: {{ a: {{ run: ls, with: {{ k: \"{open}\" }} }} }}\n")).value.is_none());
    let named = "$outputs.a,".repeat(50_000);
    assert!(faults("f.yaml", &format!("steps: {{ a: {{ run: ls, if: \"[{named} 1]\" }} }}\n")).value.is_some());
}

#[test]
fn no_mutation_of_a_flow_panics_or_loads_without_being_well_formed() {
    assert!(mutated("f.yaml", FULL, 2026, 2_000) > 100);
}
