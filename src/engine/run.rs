//! One run: dense vectors per step, counters that spare recounting, and the rules of needs.

use super::graph;
use super::ready::{Place, ReadyQueue};
use crate::model::completion::{Failure, Usage};
use crate::model::event::EndingWhy;
use crate::model::id::{AgentId, Name, RunId, StepId};
use crate::model::state::{EndCause, RunState, RunStatus, SkipReason, StepState, WaitReason};
use crate::model::step::{Fallback, NeedOn, Step};
use crate::model::time::Micros;
use crate::model::view::{AttemptView, Counts, Shape};
use crate::model::workflow::Workflow;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// What steps ask for: a capability or one agent. Steps that ask for the same share a class.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Class {
    pub(crate) asks_for: Name,
    /// Who could do it, in the order of the file.
    pub(crate) candidates: Vec<AgentId>,
    /// The most attempts at once, from `limits.capability`.
    pub(crate) limit: Option<u32>,
    /// Attempts under way.
    pub(crate) active: u32,
}

/// The attempt under way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Current {
    pub(crate) attempt: u32,
    pub(crate) agent: AgentId,
    pub(crate) class: usize,
    pub(crate) started: Micros,
    /// Why it is being ended from outside.
    pub(crate) ending: Option<EndingWhy>,
}

/// One step of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct StepRun {
    pub(crate) state: StepState,
    pub(crate) wait: Option<(WaitReason, Option<Micros>)>,
    pub(crate) skip: Option<SkipReason>,
    /// The step whose cancel took this one along.
    pub(crate) cancelled_by: Option<StepId>,
    /// Needs that are not met yet.
    pub(crate) unmet: u32,
    pub(crate) input: Option<Arc<Value>>,
    pub(crate) output: Option<Arc<Value>>,
    /// Attempts begun ever; the last one's number.
    pub(crate) attempts: u32,
    /// Attempts that count against the retry limit since the step was last opened.
    pub(crate) spent: u32,
    /// Agents tried since the step was last opened.
    pub(crate) tried: Vec<AgentId>,
    pub(crate) current: Option<Current>,
    /// The last attempts, oldest first.
    pub(crate) log: VecDeque<AttemptView>,
    pub(crate) fallback: Option<u32>,
    pub(crate) class: usize,
    pub(crate) priority: u8,
    pub(crate) ready_since: Micros,
    pub(crate) started: Option<Micros>,
    pub(crate) ended: Option<Micros>,
    pub(crate) failure: Option<Arc<Failure>>,
    /// When its first attempt failed (cancels do not count).
    pub(crate) hit: Option<Micros>,
    pub(crate) injected: bool,
}

/// One run.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub(crate) id: RunId,
    pub(crate) name: Name,
    pub(crate) workflow: Arc<Workflow>,
    pub(crate) shape: Arc<Shape>,
    pub(crate) seed: u64,
    pub(crate) tails: Vec<Micros>,
    pub(crate) classes: Vec<Class>,
    /// What waits for each step, and for which end of it.
    pub(crate) dependents: Vec<Vec<(StepId, NeedOn)>>,
    /// Class of each step's own work.
    pub(crate) home: Vec<usize>,
    /// Registry places of the workflow's agents.
    pub(crate) agents: Vec<AgentId>,
    /// Outputs of an earlier run that stand for the steps' own, and that run.
    pub(crate) reuse: Vec<(StepId, Arc<Value>)>,
    pub(crate) from: Option<Name>,

    pub(crate) seq: u64,
    pub(crate) state: RunState,
    pub(crate) status: Option<RunStatus>,
    /// Why it is being ended early.
    pub(crate) cause: Option<EndCause>,
    pub(crate) started: Option<Micros>,
    pub(crate) ended: Option<Micros>,
    pub(crate) paused_since: Option<Micros>,
    pub(crate) paused_for: Micros,
    /// Counts resumes: the epoch of the deadline timer.
    pub(crate) resumes: u32,
    /// How much later than counted from the start the deadline is, because the run was opened again behind it.
    pub(crate) deadline_moved: Micros,
    /// It is being left: what runs is ended and done again later.
    pub(crate) parking: bool,
    pub(crate) steps: Vec<StepRun>,
    pub(crate) counts: Counts,
    pub(crate) data: Value,
    pub(crate) queue: ReadyQueue,
    /// Pending steps whose needs are all met, to be made ready.
    pub(crate) open: Vec<StepId>,
    /// Pending steps that have lost a need, to be skipped.
    pub(crate) lost: VecDeque<(StepId, SkipReason)>,
    /// Where sequential mode stands in the topological order: all before it have ended.
    pub(crate) cursor: usize,
    pub(crate) critical_failed: bool,
    /// A step has failed since the run was last opened.
    pub(crate) fresh_failure: bool,

    pub(crate) active: u32,
    pub(crate) active_max: u32,
    pub(crate) attempts: u32,
    pub(crate) retries: u32,
    pub(crate) fallbacks: u32,
    pub(crate) faults: u32,
    pub(crate) busy: Micros,
    pub(crate) agents_used: BTreeSet<AgentId>,
    pub(crate) usage: Option<Usage>,
}

/// Whether a need can be relied on now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NeedState {
    /// The step it names has not ended.
    Open,
    Met,
    /// It never will be.
    Lost(SkipReason),
}

impl Run {
    pub(crate) fn step(&self, id: StepId) -> &StepRun {
        &self.steps[id.index()]
    }
    pub(crate) fn step_mut(&mut self, id: StepId) -> &mut StepRun {
        &mut self.steps[id.index()]
    }
    pub(crate) fn spec(&self, id: StepId) -> &Step {
        self.workflow.step(id)
    }
    pub(crate) fn step_ids(&self) -> impl ExactSizeIterator<Item = StepId> + use<> {
        self.workflow.step_ids()
    }

    /// How a need that asks `step` to end as `on` stands.
    pub(crate) fn need_state(&self, step: StepId, on: NeedOn) -> NeedState {
        let ended = self.step(step);
        let upstream = NeedState::Lost(SkipReason::Upstream { need: step });
        let not_needed = NeedState::Lost(SkipReason::NotNeeded { need: step });
        match (ended.state, on) {
            (state, _) if !state.ended() => NeedState::Open,
            (_, NeedOn::Completed)
            | (StepState::Succeeded, NeedOn::Succeeded)
            | (StepState::Failed, NeedOn::Failed) => NeedState::Met,
            (StepState::Succeeded, NeedOn::Failed) => not_needed,
            (StepState::Skipped, _) if matches!(ended.skip, Some(SkipReason::NotNeeded { .. })) => not_needed,
            _ => upstream,
        }
    }

    /// The step's place in the ready queue.
    pub(crate) fn place(&self, id: StepId) -> Place {
        let step = self.step(id);
        Place {
            priority: Reverse(step.priority),
            tail: Reverse(self.tails[id.index()]),
            since: step.ready_since,
            step: id,
        }
    }

    /// Steps that rely on the success of `step`, directly or through others, and have not ended; in topological order.
    pub(crate) fn dependents_of_success(&self, step: StepId) -> Vec<StepId> {
        let mut taken = vec![false; self.steps.len()];
        taken[step.index()] = true;
        let mut stack = vec![step];
        let mut found = Vec::new();
        while let Some(at) = stack.pop() {
            for &(next, on) in &self.dependents[at.index()] {
                if on == NeedOn::Succeeded && !taken[next.index()] && !self.step(next).state.ended() {
                    taken[next.index()] = true;
                    stack.push(next);
                    found.push(next);
                }
            }
        }
        found.sort_by_key(|id| (self.shape.level[id.index()], *id));
        found
    }

    /// The class that a fallback asks for; `None` for a value.
    pub(crate) fn fallback_class(&self, step: StepId, fallback: u32) -> Option<usize> {
        let name = match self.spec(step).fallback.get(fallback as usize)? {
            Fallback::Agent(name) | Fallback::Capability(name) => name,
            Fallback::Value(_) => return None,
        };
        self.classes.iter().position(|class| class.asks_for == *name)
    }

    /// Computes everything that follows from the states of the steps: counts, queue, worklists, slots of classes.
    pub(crate) fn recount(&mut self) {
        self.counts = Counts::default();
        self.queue = ReadyQueue::new(self.classes.len());
        self.classes.iter_mut().for_each(|class| class.active = 0);
        self.active = 0;
        self.open.clear();
        self.lost.clear();
        for id in self.step_ids() {
            self.counts.add(self.step(id).state);
            if let Some(class) = self.step(id).current.as_ref().map(|current| current.class) {
                self.classes[class].active += 1;
                self.active += 1;
            }
            match self.step(id).state {
                StepState::Ready => self.queue.insert(self.step(id).class, self.place(id)),
                StepState::Pending => self.recount_needs(id),
                _ => {}
            }
        }
        let first_open = self.shape.order.iter().position(|id| !self.step(*id).state.ended());
        self.cursor = first_open.unwrap_or(self.steps.len());
    }

    /// The needs of a pending step: how many are unmet, and whether it is to be opened or skipped now.
    fn recount_needs(&mut self, id: StepId) {
        let workflow = self.workflow.clone();
        let states = workflow.step(id).needs.iter().map(|need| self.need_state(need.step, need.on));
        let (mut unmet, mut lost) = (0, None);
        for state in states {
            unmet += u32::from(state != NeedState::Met);
            if let NeedState::Lost(why) = state {
                lost.get_or_insert(why);
            }
        }
        self.step_mut(id).unmet = unmet;
        if unmet == 0 {
            self.open.push(id);
        }
        self.lost.extend(lost.map(|why| (id, why)));
    }

    /// Whether every step has ended.
    pub(crate) fn all_ended(&self) -> bool {
        self.counts.ended() as usize == self.steps.len()
    }

    /// Whether the step is left out when the share of successes is taken.
    pub(crate) fn left_out(&self, id: StepId) -> bool {
        matches!(self.step(id).skip, Some(SkipReason::NotNeeded { .. }))
    }

    /// (succeeded, of those that count).
    pub(crate) fn share(&self) -> (u32, u32) {
        let out = self.step_ids().filter(|&id| self.left_out(id)).count();
        let counted = self.steps.len() - out;
        (self.counts.of(StepState::Succeeded), u32::try_from(counted).unwrap_or(u32::MAX))
    }

    /// When the run's time is over; pauses do not count.
    pub(crate) fn deadline(&self) -> Option<Micros> {
        Some(self.started? + self.workflow.limits.deadline? + self.paused_for + self.deadline_moved)
    }
}

/// Builds a run that waits for its start. `agent_of` finds an agent of the workflow in the registry.
pub(crate) fn new_run(id: RunId, name: Name, workflow: Arc<Workflow>, seed: u64, agents: Vec<AgentId>) -> Run {
    let shape = Arc::new(graph::shape(&workflow));
    let tails = graph::tails(&shape, &graph::weights(&workflow));
    let mut classes = Classes { workflow: &workflow, agents: &agents, list: Vec::new(), known: BTreeMap::new() };
    let home: Vec<usize> = workflow.steps.iter().map(|step| classes.of(step.asks_for())).collect();
    for fallback in workflow.steps.iter().flat_map(|step| &step.fallback) {
        if let Fallback::Agent(name) | Fallback::Capability(name) = fallback {
            classes.of(name);
        }
    }
    let classes = classes.list;
    let mut dependents = vec![Vec::new(); workflow.steps.len()];
    for id in workflow.step_ids() {
        for need in &workflow.step(id).needs {
            dependents[need.step.index()].push((id, need.on));
        }
    }
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
        dependents,
        home,
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
        open: shape.order.iter().copied().filter(|id| workflow.step(*id).needs.is_empty()).collect(),
        lost: VecDeque::new(),
        steps,
        counts,
        data: workflow.data.clone(),
        cursor: 0,
        critical_failed: false,
        fresh_failure: false,
        active: 0,
        active_max: 0,
        attempts: 0,
        retries: 0,
        fallbacks: 0,
        faults: 0,
        busy: Micros::ZERO,
        agents_used: BTreeSet::new(),
        usage: None,
        workflow,
        shape,
    }
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
    }
}

/// Collects the classes of a workflow, each once.
struct Classes<'w> {
    workflow: &'w Workflow,
    agents: &'w [AgentId],
    list: Vec<Class>,
    known: BTreeMap<Name, usize>,
}

impl Classes<'_> {
    /// The class of what is asked for: an agent's id, else a capability.
    fn of(&mut self, asks_for: &str) -> usize {
        if let Some(&at) = self.known.get(asks_for) {
            return at;
        }
        self.known.insert(asks_for.into(), self.list.len());
        let able = self.workflow.agents.iter().zip(self.agents).filter(|(agent, _)| {
            &*agent.id == asks_for || agent.capabilities.iter().any(|capability| &**capability == asks_for)
        });
        self.list.push(Class {
            asks_for: asks_for.into(),
            candidates: able.map(|(_, id)| *id).collect(),
            limit: self.workflow.limits.capability.get(asks_for).copied(),
            active: 0,
        });
        self.list.len() - 1
    }
}
