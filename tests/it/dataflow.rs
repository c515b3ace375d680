//! Filters, expectations and built-in agents through the engine's front door, under both clocks.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot set its scene has failed")]

use crate::processes::{DEADLINE, PROGRAM};
use serde_json::{Value, json};
use std::sync::Arc;
use upbeat::model::agent::{Agent, AgentKind, ProcessAgent, Simulated};
use upbeat::model::command::Command;
use upbeat::model::completion::{Failure, FailureClass};
use upbeat::model::defaults;
use upbeat::model::event::{Event, EventKind};
use upbeat::model::expression::Expression;
use upbeat::model::id::{RunId, StepId};
use upbeat::model::quality::Expect;
use upbeat::model::state::{EndCause, StepState};
use upbeat::model::step::{Need, NeedOn, Step, Work};
use upbeat::model::time::Micros;
use upbeat::model::view::RunSummary;
use upbeat::model::workflow::Workflow;
use upbeat::runtime::clock::ClockKind;
use upbeat::runtime::handle::{Handle, Origin, RunOrder};
use upbeat::runtime::store::disk::{Store, SyncMode};
use upbeat::runtime::{Config, start};

/// A run that has ended.
struct Told {
    summary: Box<RunSummary>,
    events: Vec<Arc<Event>>,
}

impl Told {
    fn output(&self, step: &str) -> &Value {
        let found = self.summary.outputs.iter().find(|(name, _)| &**name == step);
        found.map_or_else(|| panic!("no output of {step}: {:?}", self.failures()), |(_, output)| output)
    }
    fn failures(&self) -> Vec<(StepId, &Failure)> {
        let failed = self.events.iter().filter_map(|event| match &event.kind {
            EventKind::AttemptFailed { step, failure, .. } => Some((*step, failure)),
            _ => None,
        });
        failed.collect()
    }
    fn journal(&self) -> Vec<String> {
        self.events.iter().map(|event| format!("{event:?}")).collect()
    }
}

/// Runs a workflow to its end; `meanwhile` may look and send commands.
fn told_while(clock: ClockKind, workflow: Workflow, meanwhile: impl AsyncFnOnce(&Handle, RunId)) -> Told {
    told_in(None, clock, workflow, meanwhile)
}

fn told_in(
    store: Option<(Store, SyncMode)>,
    clock: ClockKind,
    workflow: Workflow,
    meanwhile: impl AsyncFnOnce(&Handle, RunId),
) -> Told {
    let runtime = start(Config { clock, speed: 1.0, program: PROGRAM.into(), store }).unwrap();
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio.block_on(async {
        let work = async {
            let handle = runtime.handle().clone();
            let origin = Some(Origin::default());
            let order = RunOrder { workflow: Arc::new(workflow), name: "run-1".into(), seed: 7, origin, reuse: None };
            let run = handle.load(order).await.unwrap();
            handle.command(Command::Start { run }).await.unwrap();
            meanwhile(&handle, run).await;
            let mut reader = handle.subscribe().await.unwrap();
            let mut events: Vec<Arc<Event>> = Vec::new();
            while events.last().is_none_or(|last| last.kind.name() != "run_finished") {
                events.push(reader.recv().await.unwrap());
            }
            let summary = handle.summary(run).await.unwrap();
            drop(reader);
            runtime.shutdown().await;
            Told { summary, events }
        };
        tokio::time::timeout(DEADLINE, work).await.expect("the run never ended")
    })
}

fn told(clock: ClockKind, workflow: Workflow) -> Told {
    told_while(clock, workflow, async |_, _| {})
}

fn source(text: &str) -> Expression {
    Expression::of_source(text).unwrap()
}

/// A simulated agent of this id and capability with this output.
fn sim(id: &str, output: Value) -> Agent {
    let mut simulated = Simulated::default();
    simulated.default.output = Some(output);
    Agent { slots: 100, ..Agent::new(id, AgentKind::Simulated(simulated), id) }
}

fn step(id: &str, capability: &str, with: &Value, needs: &[u32]) -> Step {
    Step {
        with: with.as_object().unwrap().clone(),
        needs: needs.iter().map(|n| Need { step: StepId(*n), on: NeedOn::Succeeded }).collect(),
        retry: defaults::retry(0),
        estimate: Some(Micros::from_secs(2)),
        timeout: Some(Micros::from_secs(3_600)),
        ..Step::new(id, Work::Capability { capability: capability.into() })
    }
}

fn flow(agents: Vec<Agent>, steps: Vec<Step>) -> Workflow {
    let mut workflow = Workflow::new("flow", agents, steps);
    workflow.add_builtins(2);
    workflow
}

#[test]
fn hostile_filters_fail_only_their_step() {
    let hostile = [
        "repeat(1)",
        "def f: f; f",
        "def f: 1 + f; f",
        "reduce range(1000) as $x (\"ab\"; . + .)",
        "env",
        "halt",
        "\"x\" * 20000000",
        "nan",
    ];
    let mut agents: Vec<Agent> = hostile
        .iter()
        .enumerate()
        .map(|(n, filter)| sim(&format!("h{n}"), json!({"x": format!("${{{{ {filter} }}}}")})))
        .collect();
    agents.push(sim("honest", json!({"n": "${{ .n + 1 }}"})));
    let mut steps: Vec<Step> =
        (0..hostile.len()).map(|n| step(&format!("bad-{n}"), &format!("h{n}"), &json!({}), &[])).collect();
    steps.extend(hostile.iter().enumerate().map(|(n, filter)| {
        step(&format!("change-{n}"), "transform", &json!({"value": 1, "filter": format!("({filter})")}), &[])
    }));
    steps.extend(hostile.iter().enumerate().map(|(n, filter)| Step {
        expect: Some(Box::new(Expect { assert: vec![source(&format!("({filter})"))], ..Expect::default() })),
        ..step(&format!("rule-{n}"), "honest", &json!({"n": n}), &[])
    }));
    let bad = steps.len();
    steps.extend((0..5).map(|n| step(&format!("good-{n}"), "honest", &json!({"n": n}), &[])));
    for clock in [ClockKind::Virtual, ClockKind::Real] {
        let mut workflow = flow(agents.clone(), steps.clone());
        if clock == ClockKind::Real {
            workflow.steps.iter_mut().for_each(|step| step.estimate = Some(Micros::from_millis(1)));
        }
        let told = told(clock, workflow);
        assert_eq!(
            (told.summary.counts.of(StepState::Failed), told.summary.counts.of(StepState::Succeeded)),
            (bad as u32, 5)
        );
        for n in 0..5 {
            assert_eq!(*told.output(&format!("good-{n}")), json!({ "n": n + 1 }));
        }
        for (step, failure) in told.failures() {
            let rule = step.index() >= 2 * hostile.len();
            let class = if rule { FailureClass::QualityRejected } else { FailureClass::Permanent };
            assert_eq!(failure.class, class, "{failure:?}");
            let filter = hostile[step.index() % hostile.len()];
            assert!(failure.message.contains(filter), "{}", failure.message);
        }
    }
}

/// Forty steps that compute, of every kind, in two waves; what takes long is begun first.
fn busy() -> Workflow {
    let slow = "[range(20000)] | map(. * 2) | add";
    let agents =
        vec![sim("calc", json!({"n": "${{ .n * 2 }}"})), sim("slow", json!({"n": format!("${{{{ {slow} }}}}")}))];
    let expect = |rule: &str| Some(Box::new(Expect { assert: vec![source(rule)], ..Expect::default() }));
    let mut steps = Vec::new();
    for n in 0..40_u32 {
        let needs: Vec<u32> = if n < 20 { vec![] } else { vec![n - 20] };
        let id = format!("s{n}");
        let mut step = match n % 5 {
            0 => step(&id, "slow", &json!({}), &needs),
            1 => step(&id, "chunk", &json!({"text": "x".repeat(50_000), "size": 7}), &needs),
            2 => Step {
                expect: expect(if n % 2 == 0 { ".n > 0" } else { ".n < 0" }),
                ..step(&id, "calc", &json!({"n": n}), &needs)
            },
            3 => step(&id, "transform", &json!({"value": n, "filter": ". + 1"}), &needs),
            _ => step(&id, "calc", &json!({"n": n}), &needs),
        };
        step.estimate = Some(Micros::from_millis(u64::from(n % 3) * 500));
        step.retry = defaults::retry(1);
        steps.push(step);
    }
    flow(agents, steps)
}

#[test]
fn under_the_virtual_clock_the_same_seed_gives_the_same_journal() {
    let first = told(ClockKind::Virtual, busy());
    assert_eq!(*first.output("s4"), json!({"n": 8}));
    assert_eq!(first.output("s1")["count"], 7_143);
    for (step, failure) in first.failures() {
        assert!(step.index() % 5 == 2 && failure.class == FailureClass::QualityRejected, "{failure:?}");
    }
    assert!(!first.failures().is_empty() && first.summary.counts.of(StepState::Skipped) > 0);
    let folder = tempfile::tempdir().unwrap();
    for (name, sync) in [("a", Some(SyncMode::Normal)), ("b", Some(SyncMode::Full)), ("c", None)] {
        let store = sync.map(|sync| (Store::open(&folder.path().join(name)).unwrap(), sync));
        let again = told_in(store, ClockKind::Virtual, busy(), async |_, _| {});
        assert_eq!(again.journal(), first.journal(), "neither load nor disk shows");
    }
}

#[test]
fn virtual_time_stands_still_while_something_is_computed() {
    let agents = vec![sim("late", json!("${{ [range(40000)] | add }}"))];
    let mut limited = step("limited", "transform", &json!({"value": 1, "filter": "[range(40000)] | add"}), &[]);
    // Far less than it takes; but no time passes.
    limited.timeout = Some(Micros::from_millis(1));
    let told = told(ClockKind::Virtual, flow(agents, vec![step("late", "late", &json!({}), &[]), limited]));
    assert_eq!(told.summary.elapsed, Micros::from_secs(2), "the answer comes at its time, not when it is known");
    assert_eq!(*told.output("late"), json!(799_980_000_u64));
    assert_eq!(told.output("limited")["value"], 799_980_000_u64);
}

#[test]
fn whoever_is_stopped_while_his_answer_is_computed_ends_at_once() {
    let endless = json!({"value": 1, "filter": "def f: f; f"});
    let agents = vec![sim("endless", json!("${{ def f: f; f }}"))];
    let steps = vec![
        step("change", "transform", &endless, &[]),
        Step { estimate: Some(Micros::from_millis(1)), ..step("late", "endless", &json!({}), &[]) },
    ];
    let told = told_while(ClockKind::Real, flow(agents, steps), async |handle, run| {
        let running = |state: &StepState| matches!(state, StepState::Running);
        let is_running = |view: &upbeat::model::view::EngineView| {
            view.runs[0].steps.iter().filter(|step| running(&step.state)).count() == 2
        };
        handle.views().wait_for(|view| is_running(view)).await.unwrap();
        handle.command(Command::Cancel { run, cause: EndCause::Cancel }).await.unwrap();
    });
    let at = |name: &str| told.events.iter().find(|event| event.kind.name() == name).map(|event| event.at);
    let took = at("run_finished").unwrap() - at("run_cancelling").unwrap();
    assert!(took < Micros::from_millis(500), "{took:?}: a filter takes a second to be killed");
    assert_eq!(told.summary.counts.of(StepState::Cancelled), 2);
    assert!(told.events.iter().all(|event| event.kind.name() != "answer_dropped"), "nothing comes late");
}

#[test]
fn a_process_is_held_against_what_its_step_expects_and_keeps_its_figures() {
    let command = ["sh", "-c", "cat >/dev/null; echo '{\"n\": 1}'"].map(str::to_owned).to_vec();
    let tool = AgentKind::Process(ProcessAgent { command, cwd: None, env: Vec::new(), grace: defaults::GRACE });
    let expect = |schema: Value| Some(Box::new(Expect { schema: Some(schema), ..Expect::default() }));
    let steps = vec![
        Step { expect: expect(json!({"required": ["n"]})), ..step("good", "any", &json!({}), &[]) },
        Step { expect: expect(json!({"required": ["m"]})), ..step("bad", "any", &json!({}), &[]) },
    ];
    let told = told(ClockKind::Real, flow(vec![Agent::new("tool", tool, "any")], steps));
    assert_eq!(*told.output("good"), json!({"n": 1}));
    let [(step, failure)] = told.failures()[..] else { panic!("{:?}", told.failures()) };
    assert_eq!((step, failure.class), (StepId(1), FailureClass::QualityRejected));
    assert!(failure.message.contains("\"m\" is a required property"), "{}", failure.message);
    let measured = told.events.iter().filter(|event| {
        matches!(
            &event.kind,
            EventKind::AttemptSucceeded { usage: Some(_), .. } | EventKind::AttemptFailed { usage: Some(_), .. }
        )
    });
    assert_eq!(measured.count(), 2, "what it used is told in both cases");
}

#[test]
fn an_engine_that_ends_does_not_wait_for_what_is_computed() {
    let runtime = start(Config { clock: ClockKind::Real, speed: 1.0, program: PROGRAM.into(), store: None }).unwrap();
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio.block_on(async {
        let handle = runtime.handle().clone();
        let endless = json!({"value": 1, "filter": "def f: f; f"});
        let workflow = Arc::new(flow(Vec::new(), vec![step("change", "transform", &endless, &[])]));
        let order = RunOrder { workflow, name: "run-1".into(), seed: 7, origin: None, reuse: None };
        let run = handle.load(order).await.unwrap();
        handle.command(Command::Start { run }).await.unwrap();
        let mut views = handle.views();
        views
            .wait_for(|view| view.runs[0].steps.iter().any(|step| matches!(step.state, StepState::Running)))
            .await
            .unwrap();
        tokio::time::timeout(DEADLINE, runtime.shutdown()).await.expect("it ends");
    });
}
