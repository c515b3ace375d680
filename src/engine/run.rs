//! One run: dense vectors per step, counters that spare recounting, and the rules of needs.

use super::gates::Gates;
use super::meters::Meters;
use super::ready::{Place, ReadyQueue};
use crate::model::bug::{Bug, seeded};
use crate::model::completion::Failure;
use crate::model::computation::ProcessValues;
use crate::model::event::{EndingWhy, TakeOver};
use crate::model::id::{AgentId, Name, RunId, StepId};
use crate::model::policy::{Mode, Recovery, Resources};
use crate::model::quality::Scores;
use crate::model::route::Decision;
use crate::model::state::{EndCause, RunState, RunStatus, SkipReason, StepState, WaitReason};
use crate::model::step::{Fallback, Need, NeedOn, Step};
use crate::model::time::Micros;
use crate::model::view::{AttemptView, Counts, Shape};
use crate::model::workflow::Workflow;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// What an edit did, for it to be taken back.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct EditDone {
    /// Its number, from 1.
    pub(crate) number: u32,
    /// Steps that joined.
    pub(crate) added: Vec<StepId>,
    /// Steps that left, and what they needed.
    pub(crate) removed: Vec<(StepId, Vec<Need>)>,
    /// Steps that need others now, and what they needed.
    pub(crate) rewired: Vec<(StepId, Vec<Need>)>,
}

/// How far the result of a run is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) enum RunResult {
    /// Nobody has asked for it.
    #[default]
    Open,
    /// It is being computed.
    Asked,
    /// It is there.
    Found(Arc<Value>),
    /// There is none.
    Failed(Arc<Failure>),
}

/// What steps ask for: a capability or one agent, and what they take of it. Steps that ask for the same share a class.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Class {
    pub(crate) asks_for: Name,
    /// Whether that is an agent's id.
    pub(crate) by_id: bool,
    /// What an attempt takes of its agent.
    pub(crate) demand: Resources,
    /// The capability whose limit counts its attempts: that of the step, also where one agent was chosen by hand.
    pub(crate) limited_as: Name,
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
    /// Whether it undoes what the step did.
    pub(crate) undo: bool,
    /// Since when it is halted where it stands.
    pub(crate) halted: Option<Micros>,
    /// How long it was halted before.
    pub(crate) halted_for: Micros,
}

impl Current {
    /// How long it has been at work, halts not counted.
    pub(crate) fn worked(&self, at: Micros) -> Micros {
        let halted = self.halted.map_or(Micros::ZERO, |since| at - since);
        at - self.started - self.halted_for - halted
    }
}

/// How far what a step did has been undone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Undo {
    /// The state of the step before.
    pub(crate) before: StepState,
    /// When it began.
    pub(crate) since: Micros,
    /// Attempts that count against the compensation's retry limit.
    pub(crate) spent: u32,
    /// Why it never worked, if it is given up.
    pub(crate) failure: Option<Arc<Failure>>,
}

/// How far a run is being rolled back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Rollback {
    /// To its beginning, and it ends.
    Whole,
    /// To this checkpoint, and it goes on.
    To(u32),
    /// What could not be undone is tried once more, and the run ends as it would have ended then.
    Again,
}

/// A mark that the run can roll back to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Checkpoint {
    /// From 1.
    pub(crate) number: u32,
    /// The critical step that it stands before.
    pub(crate) step: StepId,
    pub(crate) at: Micros,
    pub(crate) data: Arc<Value>,
    /// Data of steps that have their own.
    pub(crate) scopes: BTreeMap<StepId, Arc<Value>>,
    /// How many steps the graph had then.
    pub(crate) steps: usize,
    /// Steps that had ended by then.
    pub(crate) ended: Vec<StepId>,
}

/// A step's place among those that another was cut into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PartOf {
    /// The step that was cut.
    pub(crate) of: StepId,
    /// From 0, if it is an item of a `for_each`.
    pub(crate) index: Option<u32>,
}

/// What a step was cut into: items of a `for_each`, or steps that are done in its place.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Cut {
    /// What each item is about, if they are items: a list.
    pub(crate) list: Option<Arc<Value>>,
    /// The steps, items in the order of the list.
    pub(crate) steps: Vec<StepId>,
    /// What the step that was cut needed before.
    pub(crate) before: Vec<Need>,
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
    /// When it came to the state it is in.
    pub(crate) since: Micros,
    /// The agent that a person gave it to.
    pub(crate) pinned: Option<AgentId>,
    /// What a person decided while an attempt was under way.
    pub(crate) take_over: Option<TakeOver>,
    /// How often it met an agent that takes no more calls since it was last opened.
    pub(crate) limited: u32,
    /// An attempt of it was cut off: what it did outside is not known.
    pub(crate) in_doubt: bool,
    /// Its output is that of another run.
    pub(crate) foreign: bool,
    /// Counts rollbacks: what is done anew has another idempotency key.
    pub(crate) epoch: u32,
    pub(crate) undo: Option<Undo>,
    /// The end of the run that cancelled it.
    pub(crate) ended_by: Option<EndCause>,
    /// What it is told is being computed: the number of the question.
    pub(crate) preparing: Option<u32>,
    /// Questions asked for it so far.
    pub(crate) asked: u32,
    /// What else was computed for its process.
    pub(crate) process: Option<Arc<ProcessValues>>,
    /// What it is a part of.
    pub(crate) part_of: Option<PartOf>,
    /// What it was cut into.
    pub(crate) cut: Option<Cut>,
    /// The step whose own data it reads and writes; `None`: the run's.
    pub(crate) scope: Option<StepId>,
    /// How good its output is, where that was looked at.
    pub(crate) scores: Option<Arc<Scores>>,
    /// The step that brought it into the graph.
    pub(crate) brought_by: Option<StepId>,
    /// It joined the graph while the run was under way.
    pub(crate) joined: bool,
    /// It left the graph.
    pub(crate) gone: bool,
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
    /// Class of each step's compensation.
    pub(crate) undo_home: Vec<Option<usize>>,
    /// Classes made for steps that were given to an agent by hand: the agent, the class they came from, and the class.
    pub(crate) pins: Vec<(AgentId, usize, usize)>,
    /// Topological order, level by level.
    pub(crate) by_level: Arc<Vec<StepId>>,
    /// Registry places of the workflow's agents.
    pub(crate) agents: Vec<AgentId>,
    /// Those of them whose calls are limited.
    pub(crate) limited: Vec<AgentId>,
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
    /// What runs is halted where it stands.
    pub(crate) frozen: bool,
    /// The order of work in force.
    pub(crate) mode: Mode,
    pub(crate) mode_reason: String,
    pub(crate) checkpoints: Vec<Checkpoint>,
    /// Steps to be undone, the next one first.
    pub(crate) undo: VecDeque<StepId>,
    /// It is being rolled back: to a checkpoint, or whole.
    pub(crate) rollback: Option<Rollback>,
    /// Steps that were undone, in this order.
    pub(crate) undone: Vec<StepId>,
    /// What failed has been tried once more.
    pub(crate) retried: bool,
    /// A person is asked whether so much success will do.
    pub(crate) question: Option<(u32, u32)>,
    /// What that person said.
    pub(crate) accepted: Option<bool>,
    /// Steps for which something is being computed.
    pub(crate) preparing: u32,
    /// What its routing steps decided, in this order.
    pub(crate) routed: Vec<(StepId, Decision)>,
    /// What people changed in its graph, for it to be taken back: oldest first.
    pub(crate) edits: Vec<EditDone>,
    /// The item of a stream that it is about, and its number.
    pub(crate) item: Option<(Arc<Value>, u32)>,
    /// The number of the question for its result; each has its own.
    pub(crate) result_asked: Option<u32>,
    /// How far its result is.
    pub(crate) result: RunResult,
    pub(crate) steps: Vec<StepRun>,
    pub(crate) counts: Counts,
    pub(crate) data: Arc<Value>,
    /// Data of steps that have their own.
    pub(crate) scopes: BTreeMap<StepId, Arc<Value>>,
    pub(crate) gates: Gates,
    pub(crate) queue: ReadyQueue,
    /// Pending steps whose needs are all met, to be made ready.
    pub(crate) open: Vec<StepId>,
    /// Pending steps that have lost a need, to be skipped.
    pub(crate) lost: VecDeque<(StepId, SkipReason)>,
    /// Where sequential mode stands in the topological order: all before it have ended.
    pub(crate) cursor: usize,
    /// Where hybrid order stands in the order by levels.
    pub(crate) level_cursor: usize,
    /// A step has failed since the run was last opened.
    pub(crate) fresh_failure: bool,

    pub(crate) active: u32,
    pub(crate) meters: Meters,
}

/// Whether what needs a step goes on when it is skipped for this reason.
const fn goes_on(skip: Option<SkipReason>) -> bool {
    matches!(skip, Some(SkipReason::ByHand | SkipReason::Condition))
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
    /// The data that a step reads and writes.
    pub(crate) fn data_of(&self, id: StepId) -> &Arc<Value> {
        self.step(id).scope.and_then(|scope| self.scopes.get(&scope)).unwrap_or(&self.data)
    }
    /// The number that the next step to join has.
    pub(crate) fn next_step(&self) -> StepId {
        StepId::from_index(self.steps.len())
    }
    /// What is being done about a step: its work, or its compensation.
    pub(crate) fn spec_now(&self, id: StepId) -> &Step {
        let spec = self.spec(id);
        match &spec.compensate {
            Some(compensate) if self.step(id).state == StepState::Compensating => compensate,
            _ => spec,
        }
    }
    pub(crate) fn step_ids(&self) -> impl ExactSizeIterator<Item = StepId> + use<> {
        self.workflow.step_ids()
    }

    /// How a need that asks `step` to end as `on` stands.
    pub(crate) fn need_state(&self, step: StepId, on: NeedOn) -> NeedState {
        let ended = self.step(step);
        // Undoing what a step did does not change how it had ended.
        let state = match (&ended.undo, ended.state) {
            (Some(undo), StepState::Compensating | StepState::Compensated) => undo.before,
            (_, state) => state,
        };
        let upstream = NeedState::Lost(SkipReason::Upstream { need: step });
        let not_needed = NeedState::Lost(SkipReason::NotNeeded { need: step });
        match (state, on) {
            // Another had enough without it.
            (StepState::Cancelled, NeedOn::Succeeded | NeedOn::Failed) if self.is_beaten(step) => not_needed,
            (state, _) if !state.ended() => NeedState::Open,
            (_, NeedOn::Completed)
            | (StepState::Succeeded, NeedOn::Succeeded)
            | (StepState::Failed, NeedOn::Failed) => NeedState::Met,
            (StepState::Succeeded, NeedOn::Failed) => not_needed,
            (StepState::Skipped, NeedOn::Succeeded) if goes_on(ended.skip) => NeedState::Met,
            (StepState::Skipped, NeedOn::Failed) if goes_on(ended.skip) => not_needed,
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
                if on == NeedOn::Succeeded && !taken[next.index()] && !self.has_had_its_turn(next) {
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
        let (name, by_id) = match self.spec(step).fallback.get(fallback as usize)? {
            Fallback::Agent(name) => (name, true),
            Fallback::Capability(name) => (name, false),
            Fallback::Value(_) => return None,
        };
        let demand = self.spec(step).resources.unwrap_or_default();
        self.classes.iter().position(|class| {
            let same = class.asks_for == *name && class.by_id == by_id && class.limited_as == *name;
            same && class.demand == demand
        })
    }

    /// Attempts under way that count for the limit of a class.
    pub(crate) fn active_of_limit(&self, class: &Class) -> u32 {
        let same = self.classes.iter().filter(|other| other.limited_as == class.limited_as);
        same.map(|other| other.active).sum()
    }

    /// The class of steps that were given to this agent by hand and came from that class; made when it is first needed.
    pub(crate) fn pin_class(&mut self, agent: AgentId, home: usize) -> usize {
        if let Some((.., class)) = self.pins.iter().find(|pin| (pin.0, pin.1) == (agent, home)) {
            return *class;
        }
        let place = self.agents.iter().position(|own| *own == agent).unwrap_or_default();
        let base = &self.classes[home];
        self.classes.push(Class {
            asks_for: self.workflow.agents[place].id.clone(),
            by_id: true,
            candidates: vec![agent],
            active: 0,
            ..base.clone()
        });
        let class = self.classes.len() - 1;
        self.pins.push((agent, home, class));
        self.queue.add_class();
        class
    }

    /// Whether the step has done, or may have done, something outside that its compensation undoes.
    pub(crate) fn can_be_undone(&self, step: StepId) -> bool {
        let entry = self.step(step);
        let by_value = entry
            .fallback
            .is_some_and(|at| matches!(self.spec(step).fallback.get(at as usize), Some(Fallback::Value(_))));
        let done = entry.state == StepState::Succeeded && !entry.foreign && !by_value;
        // What was done by its parts is undone by them.
        self.spec(step).compensate.is_some()
            && entry.cut.is_none()
            && entry.undo.is_none()
            && (done || entry.in_doubt && !seeded(Bug::DoubtLeftAlone))
    }

    /// The first step done after which there is no way back.
    pub(crate) fn pivot(&self) -> Option<StepId> {
        self.step_ids().find(|id| self.spec(*id).pivot && self.step(*id).state == StepState::Succeeded)
    }

    /// Whether a critical step has failed.
    pub(crate) fn critical_failed(&self) -> bool {
        self.counts.of(StepState::Failed) > 0
            && self.step_ids().any(|id| self.step(id).state == StepState::Failed && self.spec(id).critical)
    }

    /// Whether it is declared to be rolled back when it fails, and there is a way back.
    pub(crate) fn can_be_rolled_back(&self) -> bool {
        self.workflow.recovery == Recovery::Rollback && (self.pivot().is_none() || seeded(Bug::PivotIgnored))
    }

    /// The state that the run goes on in when nothing holds it.
    pub(crate) const fn going(&self) -> RunState {
        match (self.rollback, self.cause) {
            (Some(_), _) => RunState::Compensating,
            (None, Some(_)) => RunState::Cancelling,
            (None, None) => RunState::Running,
        }
    }

    /// Computes everything that follows from the states of the steps: counts, queue, worklists, slots of classes.
    pub(crate) fn recount(&mut self) {
        self.counts = Counts::default();
        self.preparing = 0;
        self.queue = ReadyQueue::new(self.classes.len());
        self.classes.iter_mut().for_each(|class| class.active = 0);
        self.active = 0;
        self.gates.clear();
        self.open.clear();
        self.lost.clear();
        for id in self.step_ids() {
            self.counts.add(self.step(id).state);
            self.preparing += u32::from(self.step(id).preparing.is_some());
            if let Some(class) = self.step(id).current.as_ref().map(|current| current.class) {
                self.classes[class].active += 1;
                self.active += 1;
            }
            match self.step(id).state {
                StepState::Ready => {
                    self.queue.insert(self.step(id).class, self.place(id));
                    self.gates.fresh.push(id);
                }
                StepState::Waiting if self.is_queued(id) => self.queue.insert(self.step(id).class, self.place(id)),
                StepState::Pending => self.recount_needs(id),
                _ => {}
            }
        }
        let first_open = self.shape.order.iter().position(|id| !self.has_had_its_turn(*id));
        self.cursor = first_open.unwrap_or(self.steps.len());
        let first_open = self.by_level.iter().position(|id| !self.has_had_its_turn(*id));
        self.level_cursor = first_open.unwrap_or(self.steps.len());
        self.recount_gates();
    }

    /// Whether a step stands in the queue: also if nobody takes work like it at the moment.
    pub(crate) fn is_queued(&self, id: StepId) -> bool {
        let entry = self.step(id);
        let for_agents = |(why, _): &(WaitReason, Option<Micros>)| why.is_about_agents();
        entry.state == StepState::Ready
            || entry.state == StepState::Waiting && entry.wait.as_ref().is_some_and(for_agents)
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
        if unmet == 0 || self.is_early(id) {
            self.open.push(id);
        }
        self.lost.extend(lost.map(|why| (id, why)));
    }

    /// Whether every step has ended.
    pub(crate) fn all_ended(&self) -> bool {
        self.counts.ended() as usize == self.steps.len()
    }

    /// When the run's time is over; pauses do not count.
    pub(crate) fn deadline(&self) -> Option<Micros> {
        Some(self.started? + self.workflow.limits.deadline? + self.paused_for + self.deadline_moved)
    }
}
