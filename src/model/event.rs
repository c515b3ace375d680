//! Facts, past tense: what a run's journal consists of. The same events in the same order give the same state.

use super::completion::{EndProof, Failure, Usage};
use super::computation::ProcessValues;
pub use super::ending::{EndingWhy, TakeOver};
use super::growth::Addition;
use super::id::{AgentId, Name, RunId, StepId};
use super::path::Path;
use super::policy::Mode;
use super::quality::Scores;
use super::route::Decision;
use super::state::{BreakerState, EndCause, RunState, RunStatus, SkipReason, WaitReason};
use super::step::Need;
use super::time::Micros;
use super::workflow::{FileStamp, Workflow};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;

/// One fact about one run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// From 1 without gaps, per run.
    pub seq: u64,
    /// When, by the engine's clock.
    pub at: Micros,
    /// The run.
    pub run: RunId,
    /// What.
    #[serde(flatten)]
    pub kind: EventKind,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks with a reference")]
const fn is_false(flag: &bool) -> bool {
    !*flag
}

/// What happened. The tag is the event's name on the outside.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum EventKind {
    /// The run began.
    RunStarted {
        /// The seed of every draw.
        seed: u64,
    },
    /// The order of work was settled.
    StrategyChosen {
        /// Which.
        mode: Mode,
        /// Why, for people.
        reason: String,
    },
    /// A pause was asked for; running attempts end first.
    RunPausing {
        /// They are ended, to be done again: the run is being left.
        #[serde(default, skip_serializing_if = "is_false")]
        park: bool,
    },
    /// Nothing runs.
    RunPaused {
        /// What ran is halted where it stands.
        #[serde(default, skip_serializing_if = "is_false")]
        frozen: bool,
    },
    /// What was done is being undone, in this order.
    RunCompensating {
        /// The steps.
        steps: Vec<StepId>,
        /// The checkpoint that the run goes on from afterwards; without one it ends.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        to: Option<u32>,
    },
    /// The run stands at a checkpoint again: what was done since is to be done anew.
    RunRolledBack {
        /// The checkpoint's number.
        to: u32,
    },
    /// Too little succeeded: a person is asked whether that will do.
    RunEscalated {
        /// Steps that succeeded …
        succeeded: u32,
        /// … of those that count.
        counted: u32,
    },
    /// A person has said whether that will do.
    RunAnswered {
        /// It will.
        approved: bool,
    },
    /// What failed is tried once more.
    RetryRound,
    /// A mark that the run can roll back to, or a new one start from.
    CheckpointMade {
        /// Its number, from 1.
        checkpoint: u32,
        /// The critical step that it stands before.
        step: StepId,
    },
    /// The run goes on.
    RunResumed,
    /// upbeat had ended without leaving the run: what was under way then is settled next.
    RunInterrupted,
    /// The run goes on under another definition: what has ended stays, by name; the rest begins anew.
    WorkflowChanged {
        /// The new definition.
        workflow: Arc<Workflow>,
        /// The files it was read from.
        files: Vec<FileStamp>,
        /// Where each step of the old definition is in the new one.
        moved: Vec<Option<StepId>>,
    },
    /// A stop was asked for; running attempts end first.
    RunStopping,
    /// The run is being ended.
    RunCancelling {
        /// Why.
        cause: EndCause,
    },
    /// The run ended for good.
    RunFinished {
        /// Its last state.
        state: RunState,
        /// The word of the result.
        status: RunStatus,
        /// Why it ended early, if it did.
        cause: Option<EndCause>,
    },
    /// Retrying by hand reopened an ended run.
    RunReopened,
    /// A step's needs are met (with its input), or its waiting is over (without).
    StepReady {
        /// The step.
        step: StepId,
        /// The payload, computed once.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        input: Option<Arc<Value>>,
        /// Input keys left out because their path led nowhere.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        missing: Vec<String>,
        /// What else was computed for its process.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        process: Option<Arc<ProcessValues>>,
    },
    /// A step's needs are met, and what it is told is being computed.
    StepPreparing {
        /// The step.
        step: StepId,
    },
    /// Steps joined the run's graph, all of them at once.
    StepsAdded {
        /// The step that brought them; without one a person did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<StepId>,
        /// The number of the first of them; the others follow.
        first: StepId,
        /// What joined.
        added: Addition,
        /// The number of the edit that it belongs to, if a person did it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        edit: Option<u32>,
    },
    /// A routing step looked at its input and chose a path, which is done in its place.
    RouteChosen {
        /// The step.
        step: StepId,
        /// What it was told.
        input: Arc<Value>,
        /// Where it goes.
        decision: Decision,
    },
    /// Pending steps left the run's graph.
    StepsRemoved {
        /// Which.
        steps: Vec<StepId>,
        /// The number of the edit that it belongs to; `None`: an edit is taken back.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        edit: Option<u32>,
    },
    /// Steps that had left the graph are there again.
    StepsRestored {
        /// Which, and what each needs.
        steps: Vec<(StepId, Vec<Need>)>,
    },
    /// An edit is taken back, by the events that follow.
    EditUndone {
        /// Its number.
        edit: u32,
    },
    /// A pending step needs others than before.
    StepRewired {
        /// The step.
        step: StepId,
        /// What has to end first.
        needs: Vec<Need>,
        /// The number of the edit that it belongs to; `None`: an edit is taken back.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        edit: Option<u32>,
    },
    /// Everything has ended, and the run's result is being computed.
    ResultPreparing,
    /// The run's result.
    ResultReady {
        /// It; `None`: there is none, because of the failure.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        value: Option<Arc<Value>>,
        /// Why there is none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        failure: Option<Failure>,
    },
    /// A step cannot go on yet.
    StepWaiting {
        /// The step.
        step: StepId,
        /// Why.
        why: WaitReason,
        /// Until when, where there is a time.
        until: Option<Micros>,
    },
    /// A step will not be done.
    StepSkipped {
        /// The step.
        step: StepId,
        /// Why.
        why: SkipReason,
    },
    /// A step is done.
    StepSucceeded {
        /// The step.
        step: StepId,
        /// Its output.
        output: Arc<Value>,
        /// The fallback that did it, by its place in the list.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fallback: Option<u32>,
        /// The run that did it, when its output is used again.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reused: Option<Name>,
    },
    /// upbeat ended while the step's attempt ran: a person has to say what is to be done.
    StepUnknown {
        /// The step.
        step: StepId,
    },
    /// A step is given up.
    StepFailed {
        /// The step.
        step: StepId,
        /// The last failure.
        failure: Failure,
    },
    /// A step's attempt is being ended by a cancel.
    StepCancelling {
        /// The step.
        step: StepId,
        /// The step that made it needless, if one did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        because: Option<StepId>,
    },
    /// A step was cancelled.
    StepCancelled {
        /// The step.
        step: StepId,
        /// The step or, without one, the end of the run that took it along.
        because: Option<StepId>,
        /// Why the run ended early, if that is the reason.
        cause: Option<EndCause>,
    },
    /// A person decided about a step whose attempt is under way, or gave it to an agent.
    StepTakenOver {
        /// The step.
        step: StepId,
        /// What was decided.
        then: TakeOver,
    },
    /// What a step did is about to be undone, or to be tried to be undone again.
    StepCompensating {
        /// The step.
        step: StepId,
    },
    /// What a step did was undone.
    StepCompensated {
        /// The step.
        step: StepId,
        /// What its compensation returned.
        output: Arc<Value>,
    },
    /// What a step did could not be undone.
    CompensationFailed {
        /// The step.
        step: StepId,
        /// The last failure.
        failure: Failure,
    },
    /// A person asked for another go: the step is pending again, with fresh retries.
    StepReopened {
        /// The step.
        step: StepId,
    },
    /// A step's priority was changed.
    PriorityChanged {
        /// The step.
        step: StepId,
        /// 0–100.
        priority: u8,
    },
    /// An agent began to work on a step.
    AttemptStarted {
        /// The step.
        step: StepId,
        /// From 1, never reused.
        attempt: u32,
        /// The agent.
        agent: AgentId,
        /// The fallback it belongs to, by its place in the list.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fallback: Option<u32>,
        /// Whether it undoes what the step did.
        #[serde(default, skip_serializing_if = "is_false")]
        undo: bool,
    },
    /// An attempt is being ended from outside; its end follows.
    AttemptEnding {
        /// The step.
        step: StepId,
        /// The attempt.
        attempt: u32,
        /// Why.
        why: EndingWhy,
    },
    /// An agent answered.
    AttemptSucceeded {
        /// The step.
        step: StepId,
        /// The attempt.
        attempt: u32,
        /// The agent.
        agent: AgentId,
        /// What it used.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        usage: Option<Usage>,
        /// How good the answer is, where that was looked at.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        scores: Option<Arc<Scores>>,
    },
    /// An attempt failed, or was ended from outside.
    AttemptFailed {
        /// The step.
        step: StepId,
        /// The attempt.
        attempt: u32,
        /// The agent.
        agent: AgentId,
        /// How.
        failure: Failure,
        /// What it used.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        usage: Option<Usage>,
        /// Whether everything it started is gone.
        proof: EndProof,
    },
    /// An answer came after its attempt had ended: recorded and dropped.
    AnswerDropped {
        /// The step.
        step: StepId,
        /// The attempt.
        attempt: u32,
    },
    /// Retries are spent; a fallback takes over.
    FallbackTaken {
        /// The step.
        step: StepId,
        /// Its place in the list, from 0.
        fallback: u32,
    },
    /// A step's output was written into the data.
    DataChanged {
        /// The step.
        step: StepId,
        /// Where.
        paths: Vec<Path>,
        /// Output fields that were mapped but not returned.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        missing: Vec<String>,
    },
    /// An agent takes no work.
    AgentBroken {
        /// The agent.
        agent: AgentId,
        /// Why.
        reason: String,
        /// Whether on purpose.
        injected: bool,
        /// When it heals by itself.
        until: Option<Micros>,
    },
    /// An agent takes work again.
    AgentHealed {
        /// The agent.
        agent: AgentId,
    },
    /// An agent takes no calls for a while.
    AgentParked {
        /// The agent.
        agent: AgentId,
        /// Until then.
        until: Micros,
        /// It said so itself, and how often in a row without a time; else its declared rate is used up.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        said: Option<u32>,
    },
    /// An agent takes calls again.
    AgentUnparked {
        /// The agent.
        agent: AgentId,
    },
    /// An agent's breaker changed.
    BreakerChanged {
        /// The agent.
        agent: AgentId,
        /// How it stands now.
        #[serde(flatten)]
        to: BreakerState,
        /// Why, for people.
        reason: String,
    },
    /// An injected fault struck.
    FaultFired {
        /// The fault's name.
        fault: Name,
        /// The agent it struck.
        agent: AgentId,
        /// Its kind.
        kind: Name,
    },
    /// An injected fault is over.
    FaultCleared {
        /// The fault's name.
        fault: Name,
    },
    /// A command could not be done.
    CommandRefused {
        /// What was asked.
        command: Name,
        /// Why not.
        reason: String,
    },
}

impl EventKind {
    /// The event's name on the outside.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::RunStarted { .. } => "run_started",
            Self::StrategyChosen { .. } => "strategy_chosen",
            Self::RunPausing { .. } => "run_pausing",
            Self::RunPaused { .. } => "run_paused",
            Self::RunCompensating { .. } => "run_compensating",
            Self::RunRolledBack { .. } => "run_rolled_back",
            Self::RunEscalated { .. } => "run_escalated",
            Self::RunAnswered { .. } => "run_answered",
            Self::RetryRound => "retry_round",
            Self::CheckpointMade { .. } => "checkpoint_made",
            Self::RunResumed => "run_resumed",
            Self::RunInterrupted => "run_interrupted",
            Self::WorkflowChanged { .. } => "workflow_changed",
            Self::RunStopping => "run_stopping",
            Self::RunCancelling { .. } => "run_cancelling",
            Self::RunFinished { .. } => "run_finished",
            Self::RunReopened => "run_reopened",
            Self::StepReady { .. } => "step_ready",
            Self::StepPreparing { .. } => "step_preparing",
            Self::StepsAdded { .. } => "steps_added",
            Self::RouteChosen { .. } => "route_chosen",
            Self::StepsRemoved { .. } => "steps_removed",
            Self::StepsRestored { .. } => "steps_restored",
            Self::EditUndone { .. } => "edit_undone",
            Self::StepRewired { .. } => "step_rewired",
            Self::ResultPreparing => "result_preparing",
            Self::ResultReady { .. } => "result_ready",
            Self::StepWaiting { .. } => "step_waiting",
            Self::StepSkipped { .. } => "step_skipped",
            Self::StepSucceeded { .. } => "step_succeeded",
            Self::StepUnknown { .. } => "step_unknown",
            Self::StepFailed { .. } => "step_failed",
            Self::StepCancelling { .. } => "step_cancelling",
            Self::StepCancelled { .. } => "step_cancelled",
            Self::StepTakenOver { .. } => "step_taken_over",
            Self::StepCompensating { .. } => "step_compensating",
            Self::StepCompensated { .. } => "step_compensated",
            Self::CompensationFailed { .. } => "compensation_failed",
            Self::StepReopened { .. } => "step_reopened",
            Self::PriorityChanged { .. } => "priority_changed",
            Self::AttemptStarted { .. } => "attempt_started",
            Self::AttemptEnding { .. } => "attempt_ending",
            Self::AttemptSucceeded { .. } => "attempt_succeeded",
            Self::AttemptFailed { .. } => "attempt_failed",
            Self::AnswerDropped { .. } => "answer_dropped",
            Self::FallbackTaken { .. } => "fallback_taken",
            Self::DataChanged { .. } => "data_changed",
            Self::AgentBroken { .. } => "agent_broken",
            Self::AgentHealed { .. } => "agent_healed",
            Self::AgentParked { .. } => "agent_parked",
            Self::AgentUnparked { .. } => "agent_unparked",
            Self::BreakerChanged { .. } => "breaker_changed",
            Self::FaultFired { .. } => "fault_fired",
            Self::FaultCleared { .. } => "fault_cleared",
            Self::CommandRefused { .. } => "command_refused",
        }
    }
    /// The step it concerns.
    #[must_use]
    pub const fn step(&self) -> Option<StepId> {
        match self {
            Self::StepReady { step, .. }
            | Self::StepPreparing { step }
            | Self::StepsAdded { by: Some(step), .. }
            | Self::StepRewired { step, .. }
            | Self::RouteChosen { step, .. }
            | Self::StepWaiting { step, .. }
            | Self::StepSkipped { step, .. }
            | Self::StepSucceeded { step, .. }
            | Self::StepFailed { step, .. }
            | Self::StepUnknown { step }
            | Self::StepCancelling { step, .. }
            | Self::StepCancelled { step, .. }
            | Self::StepReopened { step }
            | Self::StepTakenOver { step, .. }
            | Self::StepCompensating { step }
            | Self::StepCompensated { step, .. }
            | Self::CompensationFailed { step, .. }
            | Self::CheckpointMade { step, .. }
            | Self::PriorityChanged { step, .. }
            | Self::AttemptStarted { step, .. }
            | Self::AttemptEnding { step, .. }
            | Self::AttemptSucceeded { step, .. }
            | Self::AttemptFailed { step, .. }
            | Self::AnswerDropped { step, .. }
            | Self::FallbackTaken { step, .. }
            | Self::DataChanged { step, .. } => Some(*step),
            _ => None,
        }
    }
    /// The attempt it concerns.
    #[must_use]
    pub const fn attempt(&self) -> Option<u32> {
        match self {
            Self::AttemptStarted { attempt, .. }
            | Self::AttemptEnding { attempt, .. }
            | Self::AttemptSucceeded { attempt, .. }
            | Self::AttemptFailed { attempt, .. }
            | Self::AnswerDropped { attempt, .. } => Some(*attempt),
            _ => None,
        }
    }
    /// The agent it concerns.
    #[must_use]
    pub const fn agent(&self) -> Option<AgentId> {
        match self {
            Self::AttemptStarted { agent, .. }
            | Self::AttemptSucceeded { agent, .. }
            | Self::AttemptFailed { agent, .. }
            | Self::AgentBroken { agent, .. }
            | Self::AgentHealed { agent }
            | Self::AgentParked { agent, .. }
            | Self::AgentUnparked { agent }
            | Self::BreakerChanged { agent, .. }
            | Self::FaultFired { agent, .. } => Some(*agent),
            _ => None,
        }
    }
    /// Replaces every agent in it. In a journal agents are numbered by their place in the workflow, in an engine by
    /// their place in its registry.
    pub fn map_agents(&mut self, mut map: impl FnMut(AgentId) -> AgentId) {
        match self {
            Self::AttemptStarted { agent, .. }
            | Self::AttemptSucceeded { agent, .. }
            | Self::AttemptFailed { agent, .. }
            | Self::AgentBroken { agent, .. }
            | Self::AgentHealed { agent }
            | Self::AgentParked { agent, .. }
            | Self::AgentUnparked { agent }
            | Self::BreakerChanged { agent, .. }
            | Self::StepTakenOver { then: TakeOver::Reassign(Some(agent)), .. }
            | Self::FaultFired { agent, .. } => *agent = map(*agent),
            Self::StepWaiting { why, .. } => why.agents_mut().iter_mut().for_each(|agent| *agent = map(*agent)),
            _ => {}
        }
    }
}
