//! Questions of the engine's, and what outputs are held against, with the real evaluator.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot set its scene has failed")]

use crate::processes::{DEADLINE, PROGRAM};
use serde_json::{Value, json};
use std::future::Future;
use std::sync::Arc;
use upbeat::model::agent::{Agent, AgentKind, Builtin, ProcessAgent, Simulated};
use upbeat::model::aggregate::{Aggregate, From, Missing, Operation, Quorum, Strategy, Wait};
use upbeat::model::completion::{FailureClass, Outcome};
use upbeat::model::computation::{Computation, Found, Parts, Prepared, ProcessValues};
use upbeat::model::defaults;
use upbeat::model::effect::AttemptOrder;
use upbeat::model::expression::Expression;
use upbeat::model::growth::{Expand, ForEach};
use upbeat::model::id::{AgentId, Name, RunId, StepId};
use upbeat::model::mapping::InputMapping;
use upbeat::model::policy::Success;
use upbeat::model::quality::{Expect, OnFail, Quality, Scores};
use upbeat::model::step::{EnvValue, Step, Work};
use upbeat::model::workflow::Workflow;
use upbeat::runtime::agents::process;
use upbeat::runtime::clock::{Clock, ClockKind};
use upbeat::runtime::compute::Calculator;
use upbeat::runtime::reaper::Pool;

pub(crate) fn run<T>(work: impl Future<Output = T>) -> T {
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio.block_on(async { tokio::time::timeout(DEADLINE, work).await.expect("nobody is left hanging") })
}

fn calculator() -> Calculator {
    Calculator::new(PROGRAM.into())
}

pub(crate) fn source(text: &str) -> Expression {
    Expression::of_source(text).unwrap()
}

fn any(id: &str) -> Step {
    Step::new(id, Work::Capability { capability: "any".into() })
}

fn tool() -> Agent {
    let command = vec!["cat".to_owned()];
    let kind = AgentKind::Process(ProcessAgent { command, cwd: None, env: Vec::new(), grace: defaults::GRACE });
    Agent::new("tool", kind, "any")
}

fn data() -> Value {
    json!({"user": {"name": "Ann", "tags": ["a", "b"]}, "n": 2, "nothing": null, "no": false, "dash": "-rf"})
}

/// A question about the one step of a workflow.
fn asked(step: Step) -> Computation {
    let mut workflow = Workflow::new("flow", vec![tool()], vec![step]);
    workflow.env = vec![("WIDE".to_owned(), EnvValue::Text("${{ .n }}".to_owned()))];
    Computation {
        run: RunId(0),
        run_name: "run-1".into(),
        seed: 18_446_744_073_709_551_615,
        step: Some(StepId(0)),
        ticket: 7,
        workflow: Arc::new(workflow),
        data: Arc::new(data()),
        item: None,
        outputs: Vec::new(),
        sources: Vec::new(),
        parts: Parts::default(),
    }
}

async fn found(asked: Computation) -> Result<Found, String> {
    let (run, step, ticket) = (asked.run, asked.step, asked.ticket);
    let computed = calculator().compute(asked).await;
    assert_eq!((computed.run, computed.step, computed.ticket), (run, step, ticket));
    computed.found
}

async fn prepared(asked: Computation) -> Result<Prepared, String> {
    match found(asked).await? {
        Found::Input(prepared) => Ok(prepared),
        other => panic!("{other:?}"),
    }
}

fn with(value: &Value) -> Step {
    Step { with: value.as_object().unwrap().clone(), ..any("s") }
}

fn mapping(key: &str, text: &str, required: bool) -> InputMapping {
    InputMapping { key: key.to_owned(), source: source(text), required }
}

#[test]
fn a_condition_is_true_as_jq_takes_truth() {
    run(async {
        for (text, holds) in [
            ("user", true),
            ("n", true),
            (".n == 2", true),
            (".n > 5", false),
            ("nothing", false),
            ("no", false),
            ("not.there", false),
            (".not.there", false),
            ("(empty)", false),
            ("(0)", true),
            ("$run.seed == 18446744073709551615 and $run.id == \"run-1\" and $run.workflow == \"flow\"", true),
            ("$item == null and $index == null and $outputs == {}", true),
        ] {
            let condition = Some(source(text));
            let question = Computation {
                parts: Parts { condition: true, items: false, result: false },
                ..asked(Step { condition, ..any("s") })
            };
            let answer = found(question).await.unwrap();
            assert_eq!(matches!(answer, Found::Input(_)), holds, "{text}: {answer:?}");
            assert_eq!(matches!(answer, Found::Refused), !holds, "{text}");
        }
        let broken = Step { condition: Some(source(".user + 1")), ..any("s") };
        assert!(matches!(found(asked(broken.clone())).await, Ok(Found::Input(_))), "it was not asked for");
        let question = Computation { parts: Parts { condition: true, items: true, result: false }, ..asked(broken) };
        let why = found(question).await.unwrap_err();
        assert!(why.starts_with("`if`: ") && why.ends_with("(the filter is `.user + 1`)"), "{why}");
    });
}

#[test]
fn a_payload_is_computed_at_any_depth_and_mapped_input_lies_over_it() {
    run(async {
        let mut step = with(&json!({
            "plain": "Ann .n }}", "deep": [{"x": "${{ .user.tags }}"}], "text": "Dear ${{ .user.name }}: ${{ .user }}",
            "over": "${{ .n }}", "all": "${{ [$item, $index, $outputs.a, $run.workflow] }}"
        }));
        step.input = vec![
            mapping("over", "user.tags[1]", true),
            mapping("gone", "user.age", false),
            mapping("sum", ".n + 1", true),
            mapping("void", ".user.age", true),
        ];
        let question = Computation {
            item: Some((Arc::new(json!({"k": 1})), 3)),
            outputs: vec![("a".into(), Arc::new(json!("out")))],
            ..asked(step)
        };
        let told = prepared(question).await.unwrap();
        let expected = json!({
            "plain": "Ann .n }}", "deep": [{"x": ["a", "b"]}], "over": "b", "all": [{"k": 1}, 3, "out", "flow"],
            "text": "Dear Ann: {\"name\":\"Ann\",\"tags\":[\"a\",\"b\"]}", "sum": 3, "void": null
        });
        assert_eq!(*told.input, expected);
        assert_eq!(told.missing, ["gone"]);
        let required = Step { input: vec![mapping("age", "user.age", true)], ..any("s") };
        let why = prepared(asked(required)).await.unwrap_err();
        assert_eq!(why, "required input age is missing: the data has no user.age");
    });
}

#[test]
fn filters_that_fail_say_where_they_stand() {
    run(async {
        let env = |text: &str| vec![("NAME".to_owned(), EnvValue::Text(text.to_owned()))];
        let command = |argument: &str| Work::Command { argv: vec!["echo".to_owned(), argument.to_owned()] };
        for (step, words) in [
            (with(&json!({"a": [{"b": "x ${{ repeat(1) }}"}]})), "`with.a[0].b`: the filter gives more than one value"),
            (with(&json!({"a": "${{ def f: f; f }}"})), "`with.a`: the filter took longer than 1 s"),
            (with(&json!({"a": "${{ env }}"})), "`with.a`: the filter is wrong at byte 0"),
            (with(&json!({"a": "${{ halt }}"})), "(the filter is `halt`)"),
            (with(&json!({"a": "${{ reduce range(1000) as $x (\"ab\"; . + .) }}"})), "needed more than 256 MB"),
            (with(&json!({"a": "${{ def f: 1 + f; f }}"})), "recursed too deeply"),
            (Step { input: vec![mapping("k", ".user.name.x", false)], ..any("s") }, "`input.k`: cannot index string"),
            (Step { env: env("${{ .n | keys }}"), ..any("s") }, "`env.NAME`: "),
            (Step::new("s", command("${{ .n | keys }}")), "`command[1]`: "),
            (
                Step::new("s", command("${{ .dash }}")),
                "`command[1]` would be the text \"-rf\", which the program takes for an option",
            ),
        ] {
            let why = prepared(asked(step)).await.unwrap_err();
            assert!(why.contains(words), "{why}");
        }
    });
}

#[test]
fn a_process_gets_computed_arguments_and_variables() {
    run(async {
        let argv = ["echo", "${{ .user.tags }}", "--", "${{ .dash }}", "plain"].map(str::to_owned).to_vec();
        let mut step = Step::new("s", Work::Command { argv });
        step.env = vec![
            ("PLAIN".to_owned(), EnvValue::Text("x".to_owned())),
            ("MADE".to_owned(), EnvValue::Text("n=${{ .n }}".to_owned())),
            ("WIDE".to_owned(), EnvValue::Text("${{ .user.name }}".to_owned())),
        ];
        let process = prepared(asked(step)).await.unwrap().process.unwrap();
        assert_eq!(process.argv.as_deref().unwrap(), ["echo", "[\"a\",\"b\"]", "--", "-rf", "plain"]);
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(process.env, [pair("MADE", "n=2"), pair("WIDE", "Ann")], "the step's own wins");
        let mut question = asked(any("s"));
        assert_eq!(prepared(question.clone()).await.unwrap().process.unwrap().env, [pair("WIDE", "2")]);
        Arc::make_mut(&mut question.workflow).agents =
            vec![Agent::new("sim", AgentKind::Simulated(Simulated::default()), "any")];
        assert_eq!(prepared(question).await.unwrap().process, None, "no process could do it");
    });
}

#[test]
fn what_was_computed_reaches_the_process() {
    run(async {
        let script = "printf '%s|%s|%s|%s' \"$1\" \"$MADE\" \"$PLAIN\" \"$UPBEAT_IN_K\"";
        let argv = |last: &str| ["sh", "-c", script, "sh", last].map(str::to_owned).to_vec();
        let mut step = Step::new("s", Work::Command { argv: argv("${{ .x }}") });
        let variable = |name: &str, text: &str| (name.to_owned(), EnvValue::Text(text.to_owned()));
        step.env = vec![variable("MADE", "n=${{ .n }}"), variable("PLAIN", "plain")];
        let agent = AgentKind::Builtin { builtin: Builtin::Process };
        let mut order = order(step, Agent::new("builtin.process", agent, "local process"), json!({"k": [1]}));
        let env = [("MADE", "n=2"), ("PLAIN", "another")].map(|(name, text)| (name.to_owned(), text.to_owned()));
        order.process = Some(Arc::new(ProcessValues { argv: Some(argv("two words")), env: env.to_vec() }));
        let log = process::Log::new(Arc::default(), Clock::new(ClockKind::Real), &order);
        let (_grip, work) = process::attempt(Arc::new(Pool::new(PROGRAM.into())), &order, log);
        let Outcome::Succeeded { output, .. } = work.await.outcome else { panic!("it failed") };
        assert_eq!(output["stdout"], "two words|n=2|plain|[1]", "a text without filters is not replaced");
    });
}

#[test]
fn items_are_a_list_cut_into_chunks_and_not_too_many() {
    run(async {
        let items = async |text: &str, chunk: Option<u32>| {
            let for_each = Some(ForEach { items: source(text), max_parallel: None, chunk, success: Success::All });
            let parts = Parts { condition: false, items: true, result: false };
            match found(Computation { parts, ..asked(Step { for_each, ..any("s") }) }).await? {
                Found::Items(items) => Ok((*items).clone()),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(items("user.tags", None).await, Ok(json!(["a", "b"])));
        assert_eq!(items("[range(5)]", Some(2)).await, Ok(json!([[0, 1], [2, 3], [4]])));
        assert_eq!(items("[]", Some(2)).await, Ok(json!([])));
        assert_eq!(items("[range(10000)]", None).await.unwrap().as_array().unwrap().len(), 10_000);
        for (text, chunk, words) in [
            ("user.name", None, "`for_each`: `user.name` is the text \"Ann\", a list is expected"),
            ("user.none", None, "`for_each`: the data has no user.none"),
            (".user.none", None, "`for_each`: `.user.none` is null"),
            (".user | keys | .[0].x", None, "`for_each`: cannot index"),
            ("[range(10001)]", None, "`for_each`: 10001 items, 10000 are the most; `chunk: 2`"),
            ("[range(40000)]", Some(3), "`for_each`: 13334 items, 10000 are the most; `chunk: 4`"),
        ] {
            let why: String = items(text, chunk).await.unwrap_err();
            assert!(why.starts_with(words), "{why}");
        }
    });
}

fn sum_of(from: From) -> Aggregate {
    Aggregate { from, strategy: Strategy::Reduce(Operation::Sum), missing: Missing::Skip, wait: Wait::All }
}

#[test]
fn an_aggregate_gets_values_in_their_places_and_the_names_of_the_missing() {
    run(async {
        let steps = sum_of(From::Steps(vec![StepId(0)]));
        let sources: Vec<(Name, Option<Arc<Value>>)> = vec![
            ("a".into(), Some(Arc::new(json!(1)))),
            ("b".into(), None),
            ("c[0]".into(), Some(Arc::new(Value::Null))),
        ];
        let question = |aggregate: &Aggregate| Computation {
            sources: sources.clone(),
            ..asked(Step::new("s", Work::Aggregate(Box::new(aggregate.clone()))))
        };
        let payload = prepared(question(&steps)).await.unwrap().input;
        assert_eq!(*payload, json!({"values": [1, null, null], "names": ["a", "b", "c[0]"], "missing": ["b"]}));
        let listed = prepared(question(&sum_of(From::Source(source("[.n, null]"))))).await.unwrap().input;
        assert_eq!(*listed, json!({"values": [2, null], "missing": ["[1]"]}));
        for (text, words) in [
            ("user", "`from`: `user` is an object, a list is expected"),
            ("none", "`from`: the data has no none"),
            (".n[0]", "`from`: cannot index number"),
        ] {
            let why = prepared(question(&sum_of(From::Source(source(text))))).await.unwrap_err();
            assert!(why.starts_with(words), "{why}");
        }
        let result = async |result: Option<Aggregate>| {
            let mut question =
                Computation { step: None, sources: vec![("a".into(), Some(Arc::new(json!(1))))], ..asked(any("s")) };
            Arc::make_mut(&mut question.workflow).result = result;
            found(question).await
        };
        assert_eq!(result(Some(steps.clone())).await, Ok(Found::Result(Arc::new(json!(1)))));
        let texts = Some(sum_of(From::Source(source("user.tags"))));
        assert_eq!(result(texts).await, Err("`result`: `[0]` is the text \"a\", a number is expected".to_owned()));
        assert!(result(None).await.is_err());
    });
}

/// An order for a step that this agent does.
pub(crate) fn order(step: Step, agent: Agent, input: Value) -> AttemptOrder {
    AttemptOrder {
        run: RunId(0),
        run_name: "run-1".into(),
        workflow: Arc::new(Workflow::new("flow", vec![agent.clone()], vec![step])),
        step: StepId(0),
        attempt: 1,
        undo: false,
        agent: AgentId(0),
        definition: Arc::new(agent),
        input: Arc::new(input),
        process: None,
        item: Some((Arc::new(json!("the item")), 4)),
        time_left: None,
        priority: 50,
        idempotency_key: "key".to_owned(),
        draw: 0,
    }
}

/// How an attempt ends whose agent answered this.
async fn finished(step: Step, output: Value) -> Outcome {
    calculator().finish(&order(step, tool(), json!({})), 1, Outcome::succeeded(Arc::new(output))).await
}

fn expecting(expect: Expect) -> Step {
    Step { expect: Some(Box::new(expect)), ..any("s") }
}

fn scores(outcome: &Outcome) -> &Scores {
    match outcome {
        Outcome::Succeeded { scores: Some(scores), .. } => scores,
        other => panic!("{other:?}"),
    }
}

fn rejected(outcome: &Outcome) -> &str {
    match outcome {
        Outcome::Failed(failure) if failure.class == FailureClass::QualityRejected => &failure.message,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_output_is_held_against_all_that_its_step_expects() {
    run(async {
        let expect = |on_fail: OnFail| Expect {
            schema: Some(
                json!({"type": "object", "required": ["n", "text"], "properties": {"n": {"type": "integer"}}}),
            ),
            assert: [".n > 1", "ok", "$item == \"the item\" and $index == 4", "$run.id == \"run-1\""]
                .map(source)
                .to_vec(),
            quality: Some(Quality {
                domain: "own".into(),
                thresholds: [("completeness".into(), 0.9), ("tone".into(), 0.5)].into_iter().collect(),
            }),
            on_fail,
        };
        let good = json!({"n": 2, "text": "x", "ok": true, "scores": {"tone": 0.75}});
        let outcome = finished(expecting(expect(OnFail::Retry)), good.clone()).await;
        assert!(matches!(&outcome, Outcome::Succeeded { output, .. } if **output == good));
        let told = scores(&outcome);
        assert_eq!((&*told.domain, told.scores["completeness"], told.scores["tone"]), ("own", 1.0, 0.75));
        assert!(told.faults.is_empty(), "{told:?}");
        let bad = json!({"n": 1.5, "ok": "yes", "scores": {"tone": 0.25}});
        let faults = [
            "`schema`: \"text\" is a required property",
            "`schema`: /n: 1.5 is not of type \"integer\"",
            "`assert`: `ok` gives the text \"yes\", true is expected",
            "`quality`: completeness is 0.5, at least 0.9 is expected",
            "`quality`: tone is 0.25, at least 0.5 is expected",
        ];
        for on_fail in [OnFail::Retry, OnFail::Fail] {
            let outcome = finished(expecting(expect(on_fail)), bad.clone()).await;
            for fault in faults {
                assert!(rejected(&outcome).contains(fault), "{fault}: {outcome:?}");
            }
        }
        let outcome = finished(expecting(expect(OnFail::Warn)), bad).await;
        let mut told = scores(&outcome).faults.clone();
        told.sort();
        let mut expected = faults.to_vec();
        expected.sort_unstable();
        assert_eq!(told, expected);
        let nothing = finished(expecting(Expect::default()), json!({"a": 1, "b": null})).await;
        assert_eq!(scores(&nothing).scores["completeness"], 0.5, "scores are told whatever is expected");
        assert!(matches!(finished(any("s"), json!(1)).await, Outcome::Succeeded { scores: None, .. }));
    });
}

#[test]
fn rules_that_are_not_true_are_told_and_harm_nobody() {
    run(async {
        for (rule, words) in [
            (".n", "`.n` gives 1, true is expected"),
            ("n", "`n` gives 1, true"),
            ("none", "there is nothing at `none`, true"),
            (".n.x == 1", "`.n.x == 1` cannot be computed: "),
            ("(repeat(true))", "more than one value"),
            ("(def f: f; f)", "took longer than 1 s"),
            ("(\"x\" * 1000000000 | length > 0)", "needed more than 256 MB"),
            ("(env | true)", "no clock, environment"),
        ] {
            let expect = Expect { assert: vec![source(rule)], ..Expect::default() };
            let outcome = finished(expecting(expect), json!({"n": 1})).await;
            assert!(rejected(&outcome).contains(words), "{outcome:?}");
        }
    });
}

#[test]
fn schemas_that_are_bombs_fail_their_attempt_and_nobody_else() {
    run(async {
        let chain: serde_json::Map<String, Value> = (0..20_000)
            .map(|n| (format!("d{n}"), json!({"$ref": format!("#/$defs/d{}", n + 1)})))
            .chain([("d20000".to_owned(), json!({"type": "string"}))])
            .collect();
        let doubling: serde_json::Map<String, Value> = (0..40)
            .map(|n| {
                let next = json!({"$ref": format!("#/$defs/e{}", n + 1)});
                (format!("e{n}"), json!({"allOf": [next, next, {"type": "string"}]}))
            })
            .chain([("e40".to_owned(), json!({"type": "string"}))])
            .collect();
        let mut nested = json!({"type": "string"});
        for _ in 0..60 {
            nested = json!({"anyOf": [{"not": nested}, false]});
        }
        for (name, schema, output) in [
            ("itself", json!({"$ref": "#"}), json!("x")),
            (
                "a circle",
                json!({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}}),
                json!(1),
            ),
            ("a circle of all", json!({"allOf": [{"$ref": "#"}, {"$ref": "#"}]}), json!(1)),
            ("a chain", json!({"$ref": "#/$defs/d0", "$defs": chain}), json!(1)),
            ("doubling", json!({"$ref": "#/$defs/e0", "$defs": doubling}), json!(1)),
            ("a pattern", json!({"pattern": "^(([a-z])+.)+[A-Z]([a-z])+$"}), json!("a".repeat(100_000))),
            (
                "going back",
                json!({"items": {"pattern": r"^(a|a)*\1b$"}}),
                json!(vec![format!("{}!", "a".repeat(60)); 5_000]),
            ),
            ("a large pattern", json!({"pattern": "((((a{100}){100}){100}){100})"}), json!("a")),
            (
                "many unique ones",
                json!({"uniqueItems": true}),
                json!((0..100_000).map(|n| json!([n])).collect::<Vec<_>>()),
            ),
            (
                "depth",
                json!({"$ref": "#/$defs/l", "$defs": {"l": {"items": {"$ref": "#/$defs/l"}, "allOf": [nested]}}}),
                {
                    let mut deep = json!([]);
                    for _ in 0..127 {
                        deep = json!([deep]);
                    }
                    deep
                },
            ),
            ("elsewhere", json!({"$ref": "https://example.com/schema.json"}), json!(1)),
        ] {
            let expect = Expect { schema: Some(schema), ..Expect::default() };
            let step = expecting(expect);
            let honest = expecting(Expect { schema: Some(json!({"type": "number"})), ..Expect::default() });
            let calculator = calculator();
            let hostile = order(step, tool(), json!({}));
            let honest = order(honest, tool(), json!({}));
            let (ended, fine) = tokio::join!(
                calculator.finish(&hostile, 1, Outcome::succeeded(Arc::new(output))),
                calculator.finish(&honest, 1, Outcome::succeeded(Arc::new(json!(1)))),
            );
            println!("{name}: {}", format!("{ended:?}").chars().take(200).collect::<String>());
            assert!(matches!(fine, Outcome::Succeeded { .. }), "{name}: {fine:?}");
            let is_transient = matches!(&ended, Outcome::Failed(failure) if failure.class == FailureClass::Transient);
            assert!(!is_transient, "{name}: {ended:?}");
        }
    });
}

#[test]
fn a_schema_that_cannot_be_used_fails_for_good() {
    run(async {
        for schema in [json!({"$ref": "https://example.com/schema.json"}), json!({"type": "numbr"}), json!([1])] {
            let outcome = finished(expecting(Expect { schema: Some(schema), ..Expect::default() }), json!(1)).await;
            let Outcome::Failed(failure) = outcome else { panic!("{outcome:?}") };
            assert_eq!(failure.class, FailureClass::Permanent);
            assert!(failure.message.starts_with("`expect.schema`: the schema cannot be used"), "{}", failure.message);
        }
    });
}

#[test]
fn steps_that_an_output_brings_are_read_or_refuse_it_as_a_whole() {
    run(async {
        let growing = || Step { expand: Some(Expand { allow: None, max: 100 }), ..any("s") };
        let new = json!([{"id": "new-0", "capability": "any"}, {"id": "new-1", "capability": "any", "needs": "new-0"}]);
        let outcome = finished(growing(), json!({"steps": new})).await;
        let Outcome::Succeeded { brings: Some(brings), .. } = outcome else { panic!("{outcome:?}") };
        assert_eq!(brings.iter().map(|new| &*new.step.id).collect::<Vec<_>>(), ["new-0", "new-1"]);
        let circle =
            json!([{"id": "a", "capability": "any", "needs": "b"}, {"id": "b", "capability": "any", "needs": "a"}]);
        let foreign = json!([{"id": "a", "capability": "other"}]);
        let shell = json!([{"id": "a", "run": "true"}]);
        for (steps, expected) in [(json!(2), "a list"), (circle, "a"), (foreign, "other"), (shell, "run")] {
            let outcome = finished(growing(), json!({"steps": steps})).await;
            let Outcome::Failed(failure) = outcome else { panic!("{outcome:?}") };
            assert_eq!(failure.class, FailureClass::MalformedOutput);
            assert!(failure.message.starts_with("the steps of the output cannot join the run: "));
            assert!(failure.message.contains(expected), "{}", failure.message);
        }
        assert!(matches!(finished(any("s"), json!({"steps": 2})).await, Outcome::Succeeded { brings: None, .. }));
    });
}

#[test]
fn a_simulated_agent_computes_its_output_over_the_payload() {
    run(async {
        let mut simulated = Simulated::default();
        simulated.default.output = Some(
            json!({"twice": "${{ .n * 2 }}", "text": "${{ $item }} ${{ $index }} ${{ $run.seed }} ${{ $outputs }}"}),
        );
        let agent = Agent::new("sim", AgentKind::Simulated(simulated.clone()), "any");
        let answer = |output: &Value| Outcome::succeeded(Arc::new(output.clone()));
        let raw = simulated.default.output.clone().unwrap();
        let order_of = |agent: &Agent| order(any("s"), agent.clone(), json!({"n": 21}));
        let outcome = calculator().finish(&order_of(&agent), 9, answer(&raw)).await;
        let Outcome::Succeeded { output, .. } = outcome else { panic!("{outcome:?}") };
        assert_eq!(*output, json!({"twice": 42, "text": "the item 4 9 null"}));
        simulated.default.output = Some(json!("${{ .n | keys }}"));
        let broken = Agent::new("sim", AgentKind::Simulated(simulated), "any");
        let outcome = calculator().finish(&order_of(&broken), 9, answer(&json!("${{ .n | keys }}"))).await;
        let Outcome::Failed(failure) = outcome else { panic!("{outcome:?}") };
        assert!(failure.class == FailureClass::Permanent && failure.message.starts_with("`output`: "), "{failure:?}");
        let echoing = Agent::new("sim", AgentKind::Simulated(Simulated::default()), "any");
        let outcome = calculator().finish(&order_of(&echoing), 9, answer(&json!({"n": "${{ .x }}"}))).await;
        assert_eq!(outcome, answer(&json!({"n": "${{ .x }}"})), "its input is data");
    });
}

#[test]
fn a_vote_counts_those_who_could_have_voted() {
    run(async {
        let strategy = Strategy::Vote { by: None, quorum: Some(Quorum::Share(0.6)) };
        let aggregate = Aggregate { strategy, ..sum_of(From::Steps(Vec::new())) };
        let step = || Step::new("s", Work::Aggregate(Box::new(aggregate.clone())));
        let combine =
            Agent::new("builtin.combine", AgentKind::Builtin { builtin: Builtin::Combine }, "combine outputs");
        let vote = async |values: Value, missing: Value| {
            let payload = json!({"values": values, "names": ["a", "b", "c"], "missing": missing});
            calculator().work(&order(step(), combine.clone(), payload), 1).await
        };
        let outcome = vote(json!(["y", null, "y"]), json!(["b"])).await;
        assert_eq!(outcome, Outcome::succeeded(Arc::new(json!({"value": "y", "missing": ["b"]}))));
        let outcome = vote(json!(["y", null, null]), json!(["b", "c"])).await;
        let Outcome::Failed(failure) = outcome else { panic!("{outcome:?}") };
        assert_eq!(failure.class, FailureClass::Permanent);
        let words = "no value has the 2 votes it needs: 1 of 3 voted, and the most that agree are 1";
        assert_eq!(failure.message, words);
    });
}
