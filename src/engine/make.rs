//! A new run of a workflow: nothing has happened yet.

use super::gates::Gates;
use super::graph;
use super::meters::Meters;
use super::ready::ReadyQueue;
use super::run::{Class, Run, RunResult, StepRun};
use crate::model::id::{AgentId, Name, RunId, StepId};
use crate::model::policy::Resources;
use crate::model::state::{RunState, StepState};
use crate::model::step::{Fallback, NeedOn, Step, Work};
use crate::model::time::Micros;
use crate::model::view::Counts;
use crate::model::workflow::Workflow;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Builds a run that waits for its start. `agent_of` finds an agent of the workflow in the registry.
pub(crate) fn new_run(id: RunId, name: Name, workflow: Arc<Workflow>, seed: u64, agents: Vec<AgentId>) -> Run {
    let shape = Arc::new(graph::shape(&workflow));
    let tails = graph::tails(&shape, &graph::weights(&workflow));
    let (classes, home, undo_home) = Classes::collect(&workflow, &agents);
    let pairs = workflow.agents.iter().zip(&agents);
    let limited = pairs.filter(|(agent, _)| agent.rate_limit.is_some()).map(|(_, id)| *id).collect();
    let mut by_level = shape.order.clone();
    by_level.sort_by_key(|step| shape.level[step.index()]);
    let mut counts = Counts::default();
    let steps: Vec<StepRun> = workflow.steps.iter().zip(&home).map(|(step, &class)| new_step(step, class)).collect();
    steps.iter().for_each(|step| counts.add(step.state));
    Run {
        id,
        name,
        seed,
        tails,
        queue: ReadyQueue::new(classes.len()),
        classes,
        dependents: dependents(&workflow),
        home,
        undo_home,
        pins: Vec::new(),
        limited,
        by_level: Arc::new(by_level),
        agents,
        reuse: Vec::new(),
        from: None,
        seq: 0,
        state: RunState::Pending,
        status: None,
        cause: None,
        started: None,
        ended: None,
        paused_since: None,
        paused_for: Micros::ZERO,
        resumes: 0,
        deadline_moved: Micros::ZERO,
        parking: false,
        frozen: false,
        mode: workflow.mode,
        mode_reason: workflow.mode_reason(),
        checkpoints: Vec::new(),
        undo: VecDeque::new(),
        rollback: None,
        undone: Vec::new(),
        retried: false,
        question: None,
        accepted: None,
        preparing: 0,
        routed: Vec::new(),
        edits: Vec::new(),
        item: None,
        result_asked: None,
        result: RunResult::Open,
        open: shape.order.iter().copied().filter(|id| workflow.step(*id).needs.is_empty()).collect(),
        lost: VecDeque::new(),
        steps,
        counts,
        data: Arc::new(workflow.data.clone()),
        scopes: BTreeMap::new(),
        gates: Gates::of(&workflow),
        cursor: 0,
        level_cursor: 0,
        fresh_failure: false,
        active: 0,
        meters: Meters::default(),
        workflow,
        shape,
    }
}

/// What waits for each step, and for which end of it.
pub(crate) fn dependents(workflow: &Workflow) -> Vec<Vec<(StepId, NeedOn)>> {
    let mut dependents = vec![Vec::new(); workflow.steps.len()];
    for id in workflow.step_ids() {
        for need in &workflow.step(id).needs {
            dependents[need.step.index()].push((id, need.on));
        }
    }
    dependents
}

pub(crate) fn new_step(step: &Step, class: usize) -> StepRun {
    StepRun {
        state: StepState::Pending,
        wait: None,
        skip: None,
        cancelled_by: None,
        unmet: u32::try_from(step.needs.len()).unwrap_or(u32::MAX),
        input: None,
        output: None,
        attempts: 0,
        spent: 0,
        tried: Vec::new(),
        current: None,
        log: VecDeque::new(),
        fallback: None,
        class,
        priority: step.priority,
        ready_since: Micros::ZERO,
        started: None,
        ended: None,
        failure: None,
        hit: None,
        injected: false,
        since: Micros::ZERO,
        pinned: None,
        take_over: None,
        limited: 0,
        in_doubt: false,
        foreign: false,
        epoch: 0,
        undo: None,
        ended_by: None,
        preparing: None,
        asked: 0,
        process: None,
        part_of: None,
        cut: None,
        scope: None,
        scores: None,
        brought_by: None,
        joined: false,
        gone: false,
    }
}

/// What tells classes apart: the name, whether it is an agent's, and the bits of what is taken.
type Key = (Name, bool, u64, u64);

fn key(asks_for: &str, by_id: bool, demand: Resources) -> Key {
    (asks_for.into(), by_id, demand.cpu.to_bits(), demand.memory_mb.to_bits())
}

/// Collects the classes of a workflow, each once.
pub(crate) struct Classes<'w> {
    workflow: &'w Workflow,
    agents: &'w [AgentId],
    pub(crate) list: Vec<Class>,
    /// By name, whether it is an agent's, and the bits of what is taken.
    known: BTreeMap<Key, usize>,
}

impl<'w> Classes<'w> {
    /// All of them, that of each step's own work, and that of each step's compensation.
    fn collect(workflow: &'w Workflow, agents: &'w [AgentId]) -> (Vec<Class>, Vec<usize>, Vec<Option<usize>>) {
        let mut classes = Self { workflow, agents, list: Vec::new(), known: BTreeMap::new() };
        let home = workflow.steps.iter().map(|step| classes.of_own_work(step)).collect();
        for step in &workflow.steps {
            for fallback in &step.fallback {
                classes.of_fallback(step, fallback);
            }
        }
        let undo_home = workflow.steps.iter().map(|step| {
            let compensate = step.compensate.as_deref()?;
            Some(classes.of_own_work(compensate))
        });
        let undo_home = undo_home.collect();
        (classes.list, home, undo_home)
    }

    /// Goes on where others have collected. Classes of steps that were given away by hand are nobody else's.
    pub(crate) fn going_on(workflow: &'w Workflow, agents: &'w [AgentId], list: Vec<Class>) -> Self {
        let own = list.iter().enumerate().rev().filter(|(_, class)| class.asks_for == class.limited_as);
        let known = own.map(|(at, class)| (key(&class.asks_for, class.by_id, class.demand), at)).collect();
        Self { workflow, agents, list, known }
    }

    pub(crate) fn of_fallback(&mut self, step: &Step, fallback: &Fallback) {
        match fallback {
            Fallback::Agent(name) => _ = self.of(step, name, true),
            Fallback::Capability(name) => _ = self.of(step, name, false),
            Fallback::Value(_) => {}
        }
    }

    pub(crate) fn of_own_work(&mut self, step: &Step) -> usize {
        self.of(step, step.asks_for(), matches!(step.work, Work::Agent { .. }))
    }

    /// The class of what a step asks for: one agent, or whoever has a capability and is large enough.
    fn of(&mut self, step: &Step, asks_for: &str, by_id: bool) -> usize {
        let demand = step.resources.unwrap_or_default();
        let key = key(asks_for, by_id, demand);
        if let Some(&at) = self.known.get(&key) {
            return at;
        }
        self.known.insert(key, self.list.len());
        let able = self.workflow.agents.iter().zip(self.agents).filter(|(agent, _)| {
            let asked = if by_id {
                &*agent.id == asks_for
            } else {
                agent.capabilities.iter().any(|capability| &**capability == asks_for)
            };
            asked && agent.resources.is_none_or(|all| demand.fits(all, Resources::default()))
        });
        self.list.push(Class {
            asks_for: asks_for.into(),
            by_id,
            demand,
            limited_as: asks_for.into(),
            candidates: able.map(|(_, id)| *id).collect(),
            limit: self.workflow.limits.capability.get(asks_for).copied(),
            active: 0,
        });
        self.list.len() - 1
    }
}
