//! A workflow and a summary for the tests of this room.

use crate::model::agent::{Agent, AgentKind, Simulated};
use crate::model::completion::{Failure, FailureClass};
use crate::model::id::{AgentId, RunId, StepId};
use crate::model::policy::Mode;
use crate::model::state::{RunState, RunStatus, StepState};
use crate::model::step::{Need, NeedOn, Step, Work};
use crate::model::time::Micros;
use crate::model::view::{
    AgentView, Counts, Figures, RunSummary, RunView, Saving, Shape, StepError, StepSummary, StepView,
};
use crate::model::workflow::Workflow;
use crate::report::events::Names;
use serde_json::json;
use std::sync::Arc;

/// A step that asks for `capability`, needs `needs` (by place) and is expected to take `seconds`.
pub(crate) fn step(id: &str, capability: &str, needs: &[u32], seconds: Option<u64>) -> Step {
    Step {
        needs: needs.iter().map(|&n| Need { step: StepId(n), on: NeedOn::Succeeded }).collect(),
        estimate: seconds.map(Micros::from_secs),
        ..Step::new(id, Work::Capability { capability: capability.into() })
    }
}

/// A simulated agent.
pub(crate) fn agent(id: &str, capability: &str, slots: u32) -> Agent {
    Agent { slots, ..Agent::new(id, AgentKind::Simulated(Simulated::default()), capability) }
}

/// The five steps of the trading example: 2 s, then 4 s beside 3 s, then 1 s, then 1 s.
pub(crate) fn workflow() -> Workflow {
    let steps = vec![
        step("market", "data", &[], Some(2)),
        step("technical", "tech", &[0], Some(4)),
        step("sentiment", "senti", &[0], Some(3)),
        step("risk", "risk", &[1, 2], Some(1)),
        step("decision", "decide", &[3], Some(1)),
    ];
    let agents = vec![
        agent("market-1", "data", 1),
        agent("technical-1", "tech", 1),
        agent("sentiment-1", "senti", 1),
        agent("risk-1", "risk", 1),
        agent("strategy-1", "decide", 1),
    ];
    Workflow::new("trading", agents, steps)
}

/// The shape of a workflow whose steps stand in topological order, as all of these do.
pub(crate) fn shape(workflow: &Workflow) -> Shape {
    let mut shape = Shape { dependents: vec![Vec::new(); workflow.steps.len()], ..Shape::default() };
    for id in workflow.step_ids() {
        let needs = &workflow.step(id).needs;
        shape.order.push(id);
        shape.level.push(needs.iter().map(|need| shape.level[need.step.index()] + 1).max().unwrap_or(0));
        for need in needs {
            shape.dependents[need.step.index()].push(id);
        }
    }
    shape
}

/// A final failure after three attempts on `tech-1`.
pub(crate) fn error(step: &str, class: FailureClass, message: &str) -> StepError {
    let (failure, agent) = (Failure::new(class, message), Some("tech-1".into()));
    StepError { step: step.into(), failure, attempts: 3, agent, item: None, undo: false }
}

/// What the trading example ends with.
pub(crate) fn summary() -> RunSummary {
    let workflow = Arc::new(workflow());
    let mut counts = Counts::default();
    let mut steps = Vec::new();
    for step in &workflow.steps {
        counts.add(StepState::Succeeded);
        steps.push(StepSummary {
            step: step.id.clone(),
            state: StepState::Succeeded,
            attempts: 1,
            agent: None,
            started: Some(Micros::ZERO),
            ended: step.estimate,
            injected: false,
            scores: None,
            parts: None,
        });
    }
    RunSummary {
        run_name: "r1".into(),
        workflow,
        state: RunState::Succeeded,
        status: RunStatus::Succeeded,
        cause: None,
        seed: 0,
        seq: 20,
        saving: Saving::default(),
        data: json!({"risk": 0.35}),
        routes: Vec::new(),
        pool: (0, 0),
        result: None,
        outputs: vec![("market".into(), Arc::new(json!({"n": 1})))],
        elapsed: Micros::from_secs(8),
        busy: Micros::from_secs(11),
        critical_path: Micros::from_secs(8),
        lower_bound: Micros::from_secs(8),
        max_parallel: 2,
        agents_used: 5,
        attempts: 5,
        retries: 0,
        fallbacks: 0,
        success_rate: 1.0,
        counts,
        mode: Mode::Parallel,
        mode_reason: "the default".to_owned(),
        usage: None,
        errors: Vec::new(),
        steps_hit: 0,
        steps_recovered: 0,
        faults: 0,
        mttr: None,
        figures: Figures::default(),
        agents: Vec::new(),
        undone: Vec::new(),
        asks: Vec::new(),
        steps,
    }
}

/// The names of the trading example; its run started after one second.
pub(crate) fn names() -> Names {
    let workflow = Arc::new(workflow());
    let agents = workflow.agents.iter().map(|agent| agent.id.clone()).collect();
    Names {
        run: "r1".into(),
        workflow,
        agents,
        started: Some(Micros::from_secs(1)),
        joined: Vec::new(),
        items: std::collections::BTreeMap::new(),
    }
}

/// A step as a view shows it.
pub(crate) fn step_view(state: StepState, attempts: u32) -> StepView {
    StepView {
        state,
        wait: None,
        skip: None,
        agent: (attempts > 0).then_some(AgentId(0)),
        priority: 50,
        attempts,
        injected: false,
        fallback: None,
        started: (attempts > 0).then_some(Micros::ZERO),
        attempt_started: state.active().then_some(Micros::ZERO),
        ended: None,
        failure: None,
        pinned: None,
        undo_failed: false,
        preparing: false,
        part_of: None,
        parts: None,
        gone: false,
        scores: None,
    }
}

/// A paused run of a workflow whose steps have not begun.
pub(crate) fn run(workflow: &Workflow) -> RunView {
    RunView {
        id: RunId(0),
        name: "r1".into(),
        workflow: Arc::new(workflow.clone()),
        shape: Arc::default(),
        state: RunState::Paused,
        status: None,
        cause: None,
        seed: 0,
        started: Some(Micros::ZERO),
        ended: None,
        paused_for: Micros::ZERO,
        undoing: false,
        steps: workflow.steps.iter().map(|_| step_view(StepState::Pending, 0)).collect(),
        counts: Counts::default(),
        attempts: 0,
        faults: 0,
        eta: None,
        mode: Mode::Parallel,
        frozen: false,
        question: None,
        stuck: false,
        checkpoints: Vec::new(),
        rollback: None,
        figures: Figures::default(),
        seq: 9,
    }
}

/// An agent as a view shows it.
pub(crate) fn agent_view(name: &str) -> AgentView {
    AgentView {
        id: AgentId(0),
        name: name.into(),
        kind: "simulated",
        capabilities: Vec::new(),
        slots: 1,
        backup: false,
        takes_faults: true,
        broken: None,
        busy: Vec::new(),
        succeeded: 0,
        failed: 0,
        breaker: None,
        parked: None,
        utilisation: 0.0,
    }
}
