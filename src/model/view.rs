//! Read-only pictures of the engine for screens and reports. Names in them are foreign text: sanitise before drawing.

use super::completion::Failure;
use super::id::{AgentId, Name, RunId, StepId};
use super::policy::Mode;
use super::quality::Scores;
use super::route::Decision;
use super::state::{BreakerState, Broken, EndCause, RunState, RunStatus, SkipReason, StepState, WaitReason};
use super::time::Micros;
use super::workflow::Workflow;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;

/// The whole engine at one moment.
#[derive(Clone, Debug, Default)]
pub struct EngineView {
    /// When it was taken, by the engine's clock.
    pub now: Micros,
    /// How fast the engine's clock runs against a person's (simulated agents at `--speed` do not count). 0: it is
    /// virtual, and clocks on a screen do not move between two views.
    pub clock_rate: f64,
    /// Grows with every change.
    pub revision: u64,
    /// Runs in the order of loading.
    pub runs: Vec<RunView>,
    /// Agents in the order of registration; indexed by [`AgentId`].
    pub agents: Vec<AgentView>,
    /// Details of the step somebody looks at.
    pub detail: Option<StepDetail>,
    /// Where runs are saved, and whether that works.
    pub store: StoreView,
    /// What upbeat and its agents' processes use; `None`: no run is live, it was not looked at yet, or cannot be here.
    pub machine: Option<MachineView>,
}

/// What upbeat and its agents' processes use of this machine. Shares are of one core: 1.0 is one core wholly in use.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct MachineView {
    /// Processor time of upbeat itself, over the time since the last look.
    pub cpu_share: f64,
    /// Memory of upbeat itself that is resident, in bytes.
    pub rss_bytes: u64,
    /// Processor time of agents' processes, over the same time: of those that ended meanwhile, too.
    pub children_cpu_share: f64,
    /// Memory of agents' processes that is resident, in bytes. What several share is counted for each.
    pub children_rss_bytes: u64,
    /// Agents' processes, with all their descendants.
    pub children: u32,
}

/// How safe what was recorded is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Saving {
    /// It is gone when upbeat ends.
    #[default]
    Nothing,
    /// It survives the end of upbeat, however sudden; a loss of power may take the last moments.
    Normal,
    /// It survives a loss of power too.
    Full,
}

impl Saving {
    /// The word of `--sync`, or that nothing is saved.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Nothing => "not saved",
            Self::Normal => "normal",
            Self::Full => "full",
        }
    }
}

/// Where runs are saved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreView {
    /// How safely.
    pub saving: Saving,
    /// The store takes nothing at the moment: nothing new is begun until it does.
    pub trouble: Option<StoreTrouble>,
}

/// Why nothing can be recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreTrouble {
    /// What happened and what can be done, for people.
    pub message: String,
    /// Events that wait in memory.
    pub waiting: u64,
}

/// One run.
#[derive(Clone, Debug)]
pub struct RunView {
    /// Its place in the engine.
    pub id: RunId,
    /// Its name (`run_id`).
    pub name: Name,
    /// What it executes.
    pub workflow: Arc<Workflow>,
    /// What of its graph does not change while it runs.
    pub shape: Arc<Shape>,
    /// Where it stands.
    pub state: RunState,
    /// How it ended, when it has.
    pub status: Option<RunStatus>,
    /// Why it ended early, if it did.
    pub cause: Option<EndCause>,
    /// The seed of its draws.
    pub seed: u64,
    /// When it started.
    pub started: Option<Micros>,
    /// When it ended.
    pub ended: Option<Micros>,
    /// Time spent paused so far, with a pause that is not over.
    pub paused_for: Micros,
    /// Steps, indexed by [`StepId`].
    pub steps: Vec<StepView>,
    /// Steps per state.
    pub counts: Counts,
    /// Attempts begun so far.
    pub attempts: u32,
    /// Injected faults that struck so far.
    pub faults: u32,
    /// Expected time left, where enough is known.
    pub eta: Option<Micros>,
    /// The order of work in force: what `auto` has chosen.
    pub mode: Mode,
    /// Whether what runs is halted where it stands.
    pub frozen: bool,
    /// Too little succeeded, and a person is asked whether that will do: (succeeded, of those that count).
    pub question: Option<(u32, u32)>,
    /// Nothing will happen any more unless a person does something.
    pub stuck: bool,
    /// Marks that the run can roll back to, oldest first.
    pub checkpoints: Vec<CheckpointView>,
    /// What was done is being undone, also while that stands still.
    pub undoing: bool,
    /// What a rollback of the whole run would do, where anything is declared to be undone.
    pub rollback: Option<RollbackView>,
    /// How it goes, in numbers.
    pub figures: Figures,
    /// The last event's sequence number.
    pub seq: u64,
}

/// The part of a run's graph that does not change.
#[derive(Clone, Debug, Default)]
pub struct Shape {
    /// Topological order, stable: the order of the file wherever needs allow.
    pub order: Vec<StepId>,
    /// What waits for each step.
    pub dependents: Vec<Vec<StepId>>,
    /// Longest distance from a step without needs, in edges.
    pub level: Vec<u32>,
    /// Steps on the critical path by estimates, in order.
    pub critical_path: Vec<StepId>,
    /// Length of the critical path by estimates (steps without one count with the default duration).
    pub critical_path_time: Micros,
    /// How much later each step could end without making the run longer, by estimates.
    pub slack: Vec<Micros>,
}

/// Steps per state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts([u32; StepState::ALL.len()]);

impl Counts {
    /// How many are in this state.
    #[must_use]
    pub const fn of(&self, state: StepState) -> u32 {
        self.0[state as usize]
    }
    /// Counts a step in.
    pub const fn add(&mut self, state: StepState) {
        self.0[state as usize] += 1;
    }
    /// Counts a step out.
    pub const fn remove(&mut self, state: StepState) {
        self.0[state as usize] -= 1;
    }
    /// All steps.
    #[must_use]
    pub fn total(&self) -> u32 {
        self.0.iter().sum()
    }
    /// Steps that have ended.
    #[must_use]
    pub fn ended(&self) -> u32 {
        StepState::ALL.iter().filter(|state| state.ended()).map(|&state| self.of(state)).sum()
    }
    /// Steps with an attempt under way.
    #[must_use]
    pub const fn active(&self) -> u32 {
        self.of(StepState::Running) + self.of(StepState::Cancelling)
    }
}

/// One step of a run.
#[derive(Clone, Debug)]
pub struct StepView {
    /// Where it stands.
    pub state: StepState,
    /// Why it waits, and until when.
    pub wait: Option<(WaitReason, Option<Micros>)>,
    /// Why it was skipped.
    pub skip: Option<SkipReason>,
    /// The agent at work, or the last one.
    pub agent: Option<AgentId>,
    /// 0–100.
    pub priority: u8,
    /// Attempts begun.
    pub attempts: u32,
    /// Whether an injected fault struck one of its attempts.
    pub injected: bool,
    /// The fallback that did it or is at it, by its place in the list.
    pub fallback: Option<u32>,
    /// When its first attempt began.
    pub started: Option<Micros>,
    /// When the attempt under way began.
    pub attempt_started: Option<Micros>,
    /// When it ended.
    pub ended: Option<Micros>,
    /// The class and message of its last failure.
    pub failure: Option<Arc<Failure>>,
    /// The agent that a person gave it to.
    pub pinned: Option<AgentId>,
    /// What it did could not be undone.
    pub undo_failed: bool,
    /// What it is told is being computed.
    pub preparing: bool,
    /// The step that it is a part of, and its number if it is an item.
    pub part_of: Option<(StepId, Option<u32>)>,
    /// How many items or steps it was cut into.
    pub parts: Option<u32>,
    /// It left the graph: it is not to be shown.
    pub gone: bool,
    /// How good its output is, where that was looked at.
    pub scores: Option<Arc<Scores>>,
}

/// A mark that a run can roll back to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckpointView {
    /// Its number, from 1.
    pub number: u32,
    /// The step that it stands before.
    pub step: StepId,
    /// When it was made.
    pub at: Micros,
}

/// What a rollback would do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RollbackView {
    /// Steps that would be undone, in this order.
    pub undone: Vec<StepId>,
    /// Steps that were done and declare nothing to undo them.
    pub left: Vec<StepId>,
    /// A step after which there is no way back.
    pub pivot: Option<StepId>,
}

/// How a run goes, in numbers. Shares are in `0.0..=1.0`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figures {
    /// Durations of successful attempts, per kind of step, in the order they first ended.
    pub durations: Vec<KindFigures>,
    /// Steps that ended well per second since the start; pauses do not count.
    pub throughput_per_s: f64,
    /// Attempts that failed, of those that ended.
    pub error_rate: f64,
    /// Retries, of attempts begun.
    pub retry_rate: f64,
    /// Times of all steps added up, by what they did.
    pub phases: Phases,
    /// The lower bound of the time so far over the time it took.
    pub efficiency: f64,
    /// What most ready and waiting steps stand in line for, and how many do.
    pub bottleneck: Option<(Name, u32)>,
}

/// Durations of one kind of step.
#[derive(Clone, Debug, PartialEq)]
pub struct KindFigures {
    /// The step's action, else what it asks for; processes by step.
    pub kind: Name,
    /// Successful attempts.
    pub count: u32,
    /// Their mean.
    pub mean: Micros,
    /// 95 of 100 took at most this long; within 4 %.
    pub p95: Micros,
    /// The longest.
    pub max: Micros,
}

/// Where the steps' time went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Phases {
    /// Ready or held back: for an agent, a lock, a person.
    pub waiting: Micros,
    /// At work.
    pub running: Micros,
    /// Between attempts.
    pub backoff: Micros,
    /// From a first failed attempt to the good end, and undoing.
    pub recovery: Micros,
}

/// One agent.
#[derive(Clone, Debug)]
pub struct AgentView {
    /// Its place in the registry.
    pub id: AgentId,
    /// Its name.
    pub name: Name,
    /// `simulated`, `process`, `builtin`: shown, so that nobody takes a simulation for the real thing.
    pub kind: &'static str,
    /// What it can do.
    pub capabilities: Vec<Name>,
    /// Attempts it takes at once.
    pub slots: u32,
    /// Only used when no other is left.
    pub backup: bool,
    /// Whether faults may be injected.
    pub takes_faults: bool,
    /// Why it takes no work.
    pub broken: Option<Broken>,
    /// What it is doing.
    pub busy: Vec<Busy>,
    /// Attempts that succeeded.
    pub succeeded: u64,
    /// Attempts that failed.
    pub failed: u64,
    /// How its breaker stands; `None`: it has none.
    pub breaker: Option<BreakerState>,
    /// It takes no calls until then.
    pub parked: Option<Micros>,
    /// Attempt times added up, over its slots and the time since it first could work, in `0.0..=1.0`.
    pub utilisation: f64,
}

/// An agent's slot in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Busy {
    /// The run.
    pub run: RunId,
    /// The step.
    pub step: StepId,
    /// The attempt.
    pub attempt: u32,
    /// Since when.
    pub since: Micros,
}

/// Everything about one step, for the inspector.
#[derive(Clone, Debug)]
pub struct StepDetail {
    /// The run.
    pub run: RunId,
    /// The step.
    pub step: StepId,
    /// Its payload, once computed.
    pub input: Option<Arc<Value>>,
    /// Its output, once there.
    pub output: Option<Arc<Value>>,
    /// Its attempts, oldest first; only the last [`ATTEMPTS_KEPT`] of them.
    pub attempts: Vec<AttemptView>,
    /// Why it is where it is: sentences, most important first. See `engine::explain`.
    pub why: Vec<String>,
    /// What would be cancelled with it.
    pub dependents: Vec<StepId>,
}

/// How many attempts of a step are kept in detail; older ones are only counted.
pub const ATTEMPTS_KEPT: usize = 50;

/// One attempt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AttemptView {
    /// From 1.
    pub attempt: u32,
    /// Who.
    pub agent: AgentId,
    /// When it began.
    pub started: Micros,
    /// When it ended.
    pub ended: Option<Micros>,
    /// How it failed, if it did.
    pub failure: Option<Arc<Failure>>,
    /// The fallback it belongs to.
    pub fallback: Option<u32>,
}

/// Everything the result of a run is made of. Times are lengths unless said otherwise.
#[derive(Clone, Debug)]
pub struct RunSummary {
    /// Its name.
    pub run_name: Name,
    /// What was executed.
    pub workflow: Arc<Workflow>,
    /// Its last state.
    pub state: RunState,
    /// How it ended.
    pub status: RunStatus,
    /// Why it ended early, if it did.
    pub cause: Option<EndCause>,
    /// The seed.
    pub seed: u64,
    /// The last event's sequence number.
    pub seq: u64,
    /// How safe it is.
    pub saving: Saving,
    /// The run's data after all output mappings.
    pub data: Value,
    /// What each step returned, in the order of the file.
    pub outputs: Vec<(Name, Arc<Value>)>,
    /// What its routing steps decided, in this order.
    pub routes: Vec<(Name, Decision)>,
    /// Agents of templates: how often one was made, and how often one that was there was taken again.
    pub pool: (u32, u32),
    /// The value of the workflow's `result`, if it has one and it could be computed.
    pub result: Option<Arc<Value>>,
    /// From start to end.
    pub elapsed: Micros,
    /// Attempt times added up.
    pub busy: Micros,
    /// Longest chain of measured step times.
    pub critical_path: Micros,
    /// No schedule on these agents could have been shorter.
    pub lower_bound: Micros,
    /// The most attempts at once.
    pub max_parallel: u32,
    /// Agents that had an attempt.
    pub agents_used: u32,
    /// Attempts begun.
    pub attempts: u32,
    /// Attempts beyond the first of each step, fallbacks not counted.
    pub retries: u32,
    /// Fallbacks taken.
    pub fallbacks: u32,
    /// Share of steps that succeeded, of those that count.
    pub success_rate: f64,
    /// Steps per state.
    pub counts: Counts,
    /// Order of work.
    pub mode: Mode,
    /// Why that order.
    pub mode_reason: String,
    /// Processor time and largest memory of processes; `None` where none was measured.
    pub usage: Option<super::completion::Usage>,
    /// Final failures.
    pub errors: Vec<StepError>,
    /// Steps with a failed attempt.
    pub steps_hit: u32,
    /// Those of them that ended well.
    pub steps_recovered: u32,
    /// Injected faults that struck.
    pub faults: u32,
    /// Mean time from the first failed attempt to success.
    pub mttr: Option<Micros>,
    /// How it went, in numbers.
    pub figures: Figures,
    /// What its agents did.
    pub agents: Vec<AgentSummary>,
    /// Steps that were undone, in this order.
    pub undone: Vec<Name>,
    /// What is waited for, of those that only a person can answer; empty: nothing is.
    pub asks: Vec<Name>,
    /// A line per step, in the order of the file.
    pub steps: Vec<StepSummary>,
}

/// What an agent did in a run.
#[derive(Clone, Debug)]
pub struct AgentSummary {
    /// Its name.
    pub agent: Name,
    /// Attempts that succeeded.
    pub succeeded: u64,
    /// Attempts that failed.
    pub failed: u64,
    /// Attempt times added up, over its slots and the run's time, in `0.0..=1.0`.
    pub utilisation: f64,
}

/// A final failure.
#[derive(Clone, Debug)]
pub struct StepError {
    /// The step's name; that of the step which was cut, where it is an item.
    pub step: Name,
    /// The item's number, if it is one.
    pub item: Option<u32>,
    /// The last failure.
    pub failure: Failure,
    /// Attempts begun.
    pub attempts: u32,
    /// The agent of the last attempt.
    pub agent: Option<Name>,
    /// It was undoing the step that failed: what the step did is still there.
    pub undo: bool,
}

impl StepError {
    /// What failed, as a command names it.
    #[must_use]
    pub fn name(&self) -> Name {
        self.item.map_or_else(|| self.step.clone(), |item| super::growth::item_name(&self.step, item as usize))
    }
}

/// One step at the end of a run.
#[derive(Clone, Debug)]
pub struct StepSummary {
    /// Its name.
    pub step: Name,
    /// Its last state.
    pub state: StepState,
    /// Attempts begun.
    pub attempts: u32,
    /// The agent of the last attempt.
    pub agent: Option<Name>,
    /// Start of the first attempt, since the run began.
    pub started: Option<Micros>,
    /// End, since the run began.
    pub ended: Option<Micros>,
    /// Whether an injected fault struck it.
    pub injected: bool,
    /// How good its output is, where that was looked at.
    pub scores: Option<Arc<Scores>>,
    /// How many items or steps it was cut into.
    pub parts: Option<u32>,
}
