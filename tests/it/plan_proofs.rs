//! Plans are held against what they foretell: real runs under the virtual clock, and figures computed another way here.
#![expect(clippy::unwrap_used, reason = "a test that cannot set its scene has failed")]

use crate::program::{root, upbeat};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use upbeat::engine::graph::shape;
use upbeat::model::agent::{Agent, AgentKind, Simulated};
use upbeat::model::command::Command;
use upbeat::model::id::StepId;
use upbeat::model::policy::{Mode, RateLimit, Resources};
use upbeat::model::rng::Rng;
use upbeat::model::state::RunStatus;
use upbeat::model::step::{Need, NeedOn, Semaphore, Step, Work};
use upbeat::model::time::Micros;
use upbeat::model::workflow::Workflow;
use upbeat::report::plan::Plan;
use upbeat::runtime::clock::ClockKind;
use upbeat::runtime::handle::{Handle, RunOrder};
use upbeat::runtime::{Config, environment, start};
use upbeat::spec::{Diagnostic, Options, Source, Used, read};

/// Names the folder with graphs of the world outside.
const GRAPHS: &str = "UPBEAT_GRAPHS";
/// More places than any graph here has steps.
const PLENTY: u32 = 100_000;

/// Runs workflows under the virtual clock, one after the other, each by an engine of its own.
struct Runner(tokio::runtime::Runtime);

impl Runner {
    fn new() -> Self {
        Self(tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap())
    }

    /// How long a run takes that has to end well.
    fn elapsed(&self, workflow: &Workflow, what: &str) -> Micros {
        let program = PathBuf::from(env!("CARGO_BIN_EXE_upbeat"));
        let runtime = start(Config { clock: ClockKind::Virtual, speed: 1.0, program, store: None }).unwrap();
        self.0.block_on(async {
            let elapsed = follow(runtime.handle(), workflow, what).await;
            runtime.shutdown().await;
            elapsed
        })
    }
}

async fn follow(handle: &Handle, workflow: &Workflow, what: &str) -> Micros {
    let workflow = Arc::new(workflow.clone());
    let run = handle.load(RunOrder { workflow, name: "r".into(), seed: 0, origin: None, reuse: None }).await.unwrap();
    // A reader that comes later is told everything; one that does not read yet would hold the engine.
    handle.command(Command::Start { run }).await.unwrap();
    let mut events = handle.subscribe().await.unwrap();
    while events.recv().await.unwrap().kind.name() != "run_finished" {}
    let summary = handle.summary(run).await.unwrap();
    assert_eq!(summary.status, RunStatus::Succeeded, "{what}: {:?}", summary.errors.first());
    summary.elapsed
}

fn planned(workflow: &Workflow) -> Value {
    Plan::new(workflow, &shape(workflow)).json()
}

fn micros(seconds: &Value) -> Micros {
    Micros::from_secs_f64(seconds.as_f64().unwrap())
}

/// The longest way that ends with each step and the longest that begins with it, by relaxing every edge until nothing
/// changes any more; and how many edges lead to each step at most.
fn longest(workflow: &Workflow, time: &[Micros]) -> (Vec<Micros>, Vec<Micros>, Vec<u32>) {
    let count = workflow.steps.len();
    let (mut to, mut from, mut level) = (time.to_vec(), time.to_vec(), vec![0; count]);
    let mut changed = true;
    while changed {
        changed = false;
        for (at, step) in workflow.steps.iter().enumerate() {
            for need in step.needs.iter().map(|need| need.step.index()) {
                let (end, rest, next) = (to[need] + time[at], from[at] + time[need], level[need] + 1);
                changed |= end > to[at] || rest > from[need] || next > level[at];
                (to[at], from[need], level[at]) = (to[at].max(end), from[need].max(rest), level[at].max(next));
            }
        }
    }
    (to, from, level)
}

/// Holds levels, critical path and slack of a plan against their definitions. `time`: what each step takes.
fn check_graph(workflow: &Workflow, plan: &Value, time: &[Micros], what: &str) {
    let (to, from, level) = longest(workflow, time);
    let whole = to.iter().copied().max().unwrap_or_default();
    assert_eq!(micros(&plan["critical_path_s"]), whole, "{what}: the longest way");
    let at = |name: &Value| workflow.find(name.as_str().unwrap()).unwrap();
    let mut seen = 0;
    for (number, names) in plan["levels"].as_array().unwrap().iter().enumerate() {
        for name in names.as_array().unwrap() {
            assert_eq!(level[at(name).index()] as usize, number, "{what}: the level of {name}");
            seen += 1;
        }
    }
    assert_eq!(seen, workflow.steps.len(), "{what}: every step stands in one level");
    // The latest end that makes nothing longer, less the earliest.
    for id in workflow.step_ids() {
        let latest = whole - (from[id.index()] - time[id.index()]);
        let slack = micros(&plan["slack"][&*workflow.step(id).id]);
        assert_eq!(slack, latest - to[id.index()], "{what}: the slack of {}", workflow.step(id).id);
    }
    let path: Vec<StepId> = plan["critical_path"].as_array().unwrap().iter().map(at).collect();
    assert_eq!(path.iter().map(|id| time[id.index()]).sum::<Micros>(), whole, "{what}: the path is as long as it says");
    for pair in path.windows(2) {
        assert!(workflow.step(pair[1]).needs.iter().any(|need| need.step == pair[0]), "{what}: the path is a chain");
    }
}

/// Holds both estimates against runs.
fn check_times(runner: &Runner, workflow: &Workflow, plan: &Value, what: &str) {
    assert_eq!(micros(&plan["parallel_s"]), runner.elapsed(workflow, what), "{what}: as it is run");
    let sequential = Workflow { mode: Mode::Sequential, ..workflow.clone() };
    assert_eq!(micros(&plan["sequential_s"]), runner.elapsed(&sequential, what), "{what}: one after the other");
}

fn needs(on: impl IntoIterator<Item = usize>) -> Vec<Need> {
    on.into_iter().map(|at| Need { step: StepId::from_index(at), on: NeedOn::Succeeded }).collect()
}

fn agent(id: &str, capability: &str, slots: u32) -> Agent {
    Agent { slots, ..Agent::new(id, AgentKind::Simulated(Simulated::default()), capability) }
}

fn below(rng: &mut Rng, bound: usize) -> usize {
    usize::try_from(rng.below(bound as u64)).unwrap()
}

/// A graph of one of four shapes: what each step needs, always of smaller numbers.
fn drawn_needs(rng: &mut Rng, count: usize) -> Vec<Vec<usize>> {
    let kind = rng.below(4);
    let width = 1 + below(rng, 12);
    let density = 1 + below(rng, 4);
    let mut needs: Vec<Vec<usize>> = Vec::with_capacity(count);
    for at in 0..count {
        let mut on: Vec<usize> = match kind {
            // Chains side by side.
            0 => at.checked_sub(width).into_iter().collect(),
            // Layers.
            1 => {
                let end = at - at % width;
                (end.saturating_sub(width)..end).filter(|_| rng.chance(0.5)).collect()
            }
            // In series and side by side: a fork, its branches, a join.
            2 if at % (width + 1) == 0 => (at.saturating_sub(width)..at).collect(),
            2 => vec![at - at % (width + 1)],
            // Any.
            _ => (0..density.min(at)).map(|_| below(rng, at)).collect(),
        };
        on.sort_unstable();
        on.dedup();
        needs.push(on);
    }
    needs
}

/// A workflow of a drawn graph, with as many agents as there are steps.
fn drawn(rng: &mut Rng) -> Workflow {
    let count = 1 + below(rng, 200);
    let steps = drawn_needs(rng, count).into_iter().enumerate().map(|(at, on)| Step {
        needs: needs(on),
        estimate: Some(Micros::from_millis(rng.below(20) * 500)),
        timeout: None,
        ..Step::new(format!("s{at}"), Work::Capability { capability: "a".into() })
    });
    let steps = steps.collect();
    Workflow::new("drawn", vec![agent("plenty", "a", PLENTY)], steps)
}

/// The same graph with few agents of different abilities, speeds and loads, limits, priorities and levels of order.
fn pressed(rng: &mut Rng, workflow: &Workflow) -> Workflow {
    let mut workflow = workflow.clone();
    workflow.agents.clear();
    for at in 0..1 + below(rng, 4) {
        let mut one =
            agent(&format!("agent-{at}"), ["a", "b", "c"][at.min(2)], 1 + u32::try_from(rng.below(3)).unwrap());
        if rng.chance(0.5) {
            one.capabilities.push(["a", "b", "c"][below(rng, 3)].into());
        }
        one.capabilities.dedup();
        one.weight = [1.0, 1.0, 2.0][below(rng, 3)];
        one.backup = rng.chance(0.1);
        let speed = [1.0, 1.0, 0.5, 1.04][below(rng, 4)];
        one.kind = AgentKind::Simulated(Simulated { speed, ..Simulated::default() });
        if rng.chance(0.2) {
            let calls = 1 + u32::try_from(rng.below(4)).unwrap();
            one.rate_limit = Some(RateLimit { calls, per: Micros::from_millis(500 + rng.below(20) * 500) });
        }
        if rng.chance(0.2) {
            one.resources = Some(Resources { cpu: 2.0, memory_mb: Resources::UNBOUNDED });
        }
        workflow.agents.push(one);
    }
    let offered: Vec<_> = workflow.agents.iter().flat_map(|agent| agent.capabilities.clone()).collect();
    let lifted = rng.chance(0.5);
    for step in &mut workflow.steps {
        step.work = Work::Capability { capability: offered[below(rng, offered.len())].clone() };
        if lifted {
            step.priority = [25, 50, 50, 75][below(rng, 4)];
        }
        if rng.chance(0.1) {
            step.resources = Some(Resources { cpu: 1.5, memory_mb: 0.0 });
        }
    }
    workflow.limits.max_parallel = rng.chance(0.3).then(|| 1 + u32::try_from(rng.below(6)).unwrap());
    if rng.chance(0.3) {
        workflow.limits.capability.insert("a".into(), 1 + u32::try_from(rng.below(3)).unwrap());
    }
    workflow.mode = [Mode::Parallel, Mode::Parallel, Mode::Auto, Mode::Hybrid][below(rng, 4)];
    workflow
}

#[test]
fn levels_critical_path_slack_and_times_are_those_of_drawn_graphs_and_of_their_runs() {
    let runner = Runner::new();
    for seed in 0..60 {
        let workflow = drawn(&mut Rng::new(seed));
        let what = format!("seed {seed}, {} steps", workflow.steps.len());
        let plan = planned(&workflow);
        let time: Vec<Micros> = workflow.steps.iter().map(|step| step.estimate.unwrap()).collect();
        check_graph(&workflow, &plan, &time, &what);
        assert_eq!(plan["parallel_s"], plan["critical_path_s"], "{what}: agents are never short");
        assert_eq!(micros(&plan["sequential_s"]), time.iter().copied().sum(), "{what}: all work added up");
        check_times(&runner, &workflow, &plan, &what);
    }
}

#[test]
fn times_are_those_of_runs_where_agents_are_few_and_differ() {
    let runner = Runner::new();
    for seed in 0..150 {
        let mut rng = Rng::new(1_000 + seed);
        let workflow = drawn(&mut rng);
        let workflow = pressed(&mut rng, &workflow);
        let what = format!("seed {seed}, {} steps, {:?}", workflow.steps.len(), workflow.mode);
        check_times(&runner, &workflow, &planned(&workflow), &what);
    }
}

#[test]
fn times_are_those_of_runs_that_share_locks_and_semaphores_and_meet_at_barriers() {
    let runner = Runner::new();
    for seed in 0..80 {
        let mut rng = Rng::new(5_000 + seed);
        let mut workflow = drawn(&mut rng);
        workflow.agents[0].slots = 1 + u32::try_from(rng.below(5)).unwrap();
        workflow.agents.push(agent("other", "b", 2));
        let levels = shape(&workflow).level;
        let barrier = rng.below(u64::from(*levels.iter().max().unwrap()) + 1);
        for (step, level) in workflow.steps.iter_mut().zip(levels) {
            if rng.chance(0.4) {
                step.work = Work::Capability { capability: "b".into() };
            }
            step.lock = rng.chance(0.1).then(|| ["l", "m"][below(&mut rng, 2)].into());
            step.semaphore = rng.chance(0.2).then(|| Semaphore { name: "s".into(), permits: 2 });
            // Steps of one level never need each other.
            step.barrier = (u64::from(level) == barrier && rng.chance(0.5)).then(|| "meet".into());
        }
        let what = format!("seed {seed}, {} steps", workflow.steps.len());
        check_times(&runner, &workflow, &planned(&workflow), &what);
    }
}

/// A file that a shipped workflow uses.
fn beside(using: &str, file: &str) -> Result<Used, Box<Diagnostic>> {
    let path = Path::new(using).with_file_name(file).to_str().unwrap().to_owned();
    let text = std::fs::read_to_string(&path).unwrap();
    Ok(Used { source: Source::new(path.as_str(), text), path, hash: String::new() })
}

/// A shipped workflow as the program reads it, but that nobody fails: the plan is of the case in which all goes well.
fn shipped(path: &Path) -> Option<Workflow> {
    let text = std::fs::read_to_string(path).unwrap();
    let outcome = read(
        &Source::new(path.to_str().unwrap(), text),
        &Options { cores: 2, used: Some(beside), ..Options::default() },
    );
    let said = outcome.render();
    assert!(outcome.value.is_some(), "{said}");
    let mut workflow = outcome.value?;
    // Of what is used the plan knows the longest chain, not the steps one after the other.
    if workflow.steps.iter().any(|step| matches!(step.work, Work::Uses { .. })) {
        return None;
    }
    for agent in &mut workflow.agents {
        if let AgentKind::Simulated(simulated) = &mut agent.kind {
            simulated.default.fail_rate = None;
            simulated.script.values_mut().for_each(|script| script.fail_rate = None);
        }
    }
    workflow.agents.iter().all(|agent| agent.kind.is_virtual()).then_some(workflow)
}

#[test]
fn times_of_the_shipped_workflows_are_those_of_their_runs() {
    let runner = Runner::new();
    let mut compared = 0;
    for entry in std::fs::read_dir(root().join("workflows")).unwrap() {
        let path = entry.unwrap().path();
        let Some(workflow) = shipped(&path) else { continue };
        // What outputs decide (steps that they bring, whether they are good enough) nobody knows before.
        let decides = |step: &Step| step.expand.is_some() || step.expect.is_some() || step.for_each.is_some();
        if workflow.steps.iter().any(decides) {
            continue;
        }
        check_times(&runner, &workflow, &planned(&workflow), path.to_str().unwrap());
        compared += 1;
    }
    assert!(compared >= 6, "{compared}");
}

#[test]
fn the_guide_shows_a_plan_as_the_program_tells_it() {
    let guide = std::fs::read_to_string(root().join("assets/guide/planning.md")).unwrap();
    let told = upbeat(&["plan", "workflows/order_processing.yaml"]);
    let shown = guide.split("```text\n").nth(1).and_then(|rest| rest.split("```").next());
    assert_eq!(shown.unwrap(), told.out);
}

/// A graph as a workflow: nodes without a known duration take a second.
fn graph(path: &Path) -> Workflow {
    let json: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let nodes = json["nodes"].as_array().unwrap();
    let place: std::collections::HashMap<&str, usize> =
        nodes.iter().enumerate().map(|(at, node)| (node["id"].as_str().unwrap(), at)).collect();
    let step = |(at, node): (usize, &Value)| Step {
        estimate: Some(Micros::from_secs_f64(node["runtime_s"].as_f64().unwrap_or(1.0))),
        timeout: None,
        ..Step::new(format!("n{at}"), Work::Capability { capability: "any".into() })
    };
    let mut steps: Vec<Step> = nodes.iter().enumerate().map(step).collect();
    for edge in json["edges"].as_array().unwrap() {
        let end = |at: usize| place[edge[at].as_str().unwrap()];
        steps[end(1)].needs.extend(needs([end(0)]));
    }
    Workflow::new("graph", vec![agent("plenty", "any", PLENTY)], steps)
}

#[test]
fn levels_critical_path_slack_and_times_are_those_of_graphs_of_the_world_outside() {
    let Some(folder) = environment::var(GRAPHS) else {
        println!("skipped: {GRAPHS} names no folder with graphs");
        return;
    };
    let runner = Runner::new();
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|ending| ending == "json"));
    files.sort();
    assert!(!files.is_empty(), "the folder that {GRAPHS} names holds no graphs");
    for path in files {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let mut workflow = graph(&path);
        let plan = planned(&workflow);
        let time: Vec<Micros> = workflow.steps.iter().map(|step| step.estimate.unwrap()).collect();
        check_graph(&workflow, &plan, &time, &name);
        check_times(&runner, &workflow, &plan, &name);
        workflow.agents = vec![agent("few", "any", 7)];
        let few = planned(&workflow);
        check_times(&runner, &workflow, &few, &name);
        let levels = plan["levels"].as_array().unwrap().len();
        let (many, seven) = (&plan["parallel_s"], &few["parallel_s"]);
        println!(
            "{name}: {} steps, {levels} levels, critical path {}, sequential {}, parallel {many}, with 7 slots {seven}",
            time.len(),
            plan["critical_path_s"],
            plan["sequential_s"],
        );
    }
}
