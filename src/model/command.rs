//! What people ask for: requests that may be refused with a reason.

use super::growth::Edit;
use super::id::{AgentId, Name, RunId, StepId};
use super::state::EndCause;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Which steps of a run are meant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Which {
    /// Those that an agent works on, and those that nobody but it may do.
    Agent(AgentId),
    /// Those that ask for a capability.
    Capability(Name),
    /// Those that ask for an action.
    Action(Name),
    /// Those whose priority lies in a range, both ends included.
    Priority {
        /// The lower end.
        from: u8,
        /// The upper end.
        to: u8,
    },
}

/// What a person answers to what a run asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// Yes: an approval is given; a step that waits for a person is tried again; a share that was missed is accepted.
    Approve,
    /// No: the approval, the step or the run fails.
    Reject,
    /// This is the step's output.
    Value(Value),
}

/// How a person sets a breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BreakerMode {
    /// It opens and closes by itself.
    Automatic,
    /// Nothing goes through.
    ForcedOpen,
    /// Everything goes through.
    ForcedClosed,
}

/// A request to the engine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum Command {
    /// Start a loaded run.
    Start {
        /// The run.
        run: RunId,
    },
    /// Let running attempts end and start nothing new.
    Pause {
        /// The run.
        run: RunId,
    },
    /// Start nothing new and halt what runs where it stands: local processes are stopped, clocks of attempts too.
    Freeze {
        /// The run.
        run: RunId,
    },
    /// Go on after a pause; a run that was stopped is opened again.
    Resume {
        /// The run.
        run: RunId,
    },
    /// End the run without its remaining steps: running attempts end by themselves, the rest is cancelled.
    Stop {
        /// The run.
        run: RunId,
    },
    /// Leave the run so that it can go on later: attempts are ended and done again then. Said again: at once, without
    /// grace.
    Park {
        /// The run.
        run: RunId,
    },
    /// Open everything of an ended run that did not succeed, with fresh retries.
    RetryFailed {
        /// The run.
        run: RunId,
    },
    /// End the run now: attempts are ended, the rest is cancelled. Said again: at once, without grace.
    Cancel {
        /// The run.
        run: RunId,
        /// Why: decides the exit code.
        cause: EndCause,
    },
    /// Cancel a step and what depends on its success. Said again: at once, without grace.
    CancelStep {
        /// The run.
        run: RunId,
        /// The step.
        step: StepId,
    },
    /// Cancel a set of steps, each with what depends on its success.
    CancelWhere {
        /// The run.
        run: RunId,
        /// Which steps.
        which: Which,
        /// What another agent can take is given to it instead, as far as an agent is at work on it.
        reassign: bool,
    },
    /// Leave a step out: what needs it goes on as if its condition had not held.
    SkipStep {
        /// The run.
        run: RunId,
        /// The step.
        step: StepId,
    },
    /// Give a step's output by hand.
    CompleteStep {
        /// The run.
        run: RunId,
        /// The step.
        step: StepId,
        /// Its output.
        output: Value,
    },
    /// Give a step to this agent; an attempt under way elsewhere is ended and spends no retry.
    ReassignStep {
        /// The run.
        run: RunId,
        /// The step.
        step: StepId,
        /// The agent; it has what the step asks for.
        agent: AgentId,
    },
    /// Answer what a step, or without one the run, asks.
    Answer {
        /// The run.
        run: RunId,
        /// The step.
        step: Option<StepId>,
        /// The answer.
        answer: Answer,
    },
    /// Undo what was done: all of it, which ends the run, or what was done since a checkpoint, from which it goes on.
    Rollback {
        /// The run.
        run: RunId,
        /// The checkpoint's number, from 1.
        to: Option<u32>,
    },
    /// Set an agent's breaker by hand.
    SetBreaker {
        /// The agent.
        agent: AgentId,
        /// How.
        mode: BreakerMode,
    },
    /// Run a failed, cancelled or skipped step again, with fresh retries; what was skipped because of it is reopened.
    RetryStep {
        /// The run.
        run: RunId,
        /// The step.
        step: StepId,
    },
    /// Change the graph: steps that join it, pending ones that leave it or need others. All of it or nothing.
    Edit {
        /// The run.
        run: RunId,
        /// The change.
        edit: Box<Edit>,
    },
    /// Take the last change of the graph back, if nothing of it has begun.
    UndoEdit {
        /// The run.
        run: RunId,
    },
    /// Change a step's place in the queue.
    SetPriority {
        /// The run.
        run: RunId,
        /// The step.
        step: StepId,
        /// 0–100, higher first.
        priority: u8,
    },
    /// Break an agent on purpose: its attempts end with class `crash`, injected, and it gets no work until healed.
    FailAgent {
        /// The agent.
        agent: AgentId,
    },
    /// Make a broken agent usable again.
    HealAgent {
        /// The agent.
        agent: AgentId,
    },
}

impl Command {
    /// The run it concerns, if it concerns one.
    #[must_use]
    pub const fn run(&self) -> Option<RunId> {
        match self {
            Self::Start { run }
            | Self::Pause { run }
            | Self::Freeze { run }
            | Self::Resume { run }
            | Self::Stop { run }
            | Self::Park { run }
            | Self::RetryFailed { run }
            | Self::Cancel { run, .. }
            | Self::CancelStep { run, .. }
            | Self::RetryStep { run, .. }
            | Self::CancelWhere { run, .. }
            | Self::SkipStep { run, .. }
            | Self::CompleteStep { run, .. }
            | Self::ReassignStep { run, .. }
            | Self::Answer { run, .. }
            | Self::Rollback { run, .. }
            | Self::Edit { run, .. }
            | Self::UndoEdit { run }
            | Self::SetPriority { run, .. } => Some(*run),
            Self::FailAgent { .. } | Self::HealAgent { .. } | Self::SetBreaker { .. } => None,
        }
    }
    /// What was asked, as a short verb phrase.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Start { .. } => "start",
            Self::Pause { .. } => "pause",
            Self::Freeze { .. } => "freeze",
            Self::Resume { .. } => "resume",
            Self::Stop { .. } => "stop",
            Self::Park { .. } => "save and leave",
            Self::RetryFailed { .. } => "retry",
            Self::Cancel { .. } => "cancel run",
            Self::CancelStep { .. } => "cancel step",
            Self::CancelWhere { .. } => "cancel steps",
            Self::SkipStep { .. } => "skip step",
            Self::CompleteStep { .. } => "complete step",
            Self::ReassignStep { .. } => "reassign step",
            Self::Answer { .. } => "answer",
            Self::Rollback { .. } => "roll back",
            Self::SetBreaker { .. } => "set breaker",
            Self::RetryStep { .. } => "retry step",
            Self::SetPriority { .. } => "set priority",
            Self::Edit { .. } => "edit the graph",
            Self::UndoEdit { .. } => "take an edit back",
            Self::FailAgent { .. } => "fail agent",
            Self::HealAgent { .. } => "heal agent",
        }
    }
}

/// Why a command was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejection {
    /// The reason, a sentence without a full stop.
    pub reason: String,
    /// What could be done instead, if anything.
    pub way_out: Option<String>,
}

impl Rejection {
    /// A refusal with nothing to do instead.
    #[must_use]
    pub fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), way_out: None }
    }
    /// A refusal with a way out.
    #[must_use]
    pub fn with_way_out(reason: impl Into<String>, way_out: impl Into<String>) -> Self {
        Self { reason: reason.into(), way_out: Some(way_out.into()) }
    }
}

impl std::fmt::Display for Rejection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.reason)?;
        if let Some(way_out) = &self.way_out { write!(f, "; {way_out}") } else { Ok(()) }
    }
}

/// What a command that was accepted did to steps: the answer for scripts, and for a line on a screen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// Steps that the command cancelled, or is cancelling.
    pub cancelled: Vec<StepId>,
    /// Steps that went with them because they depend on their success.
    pub dependents: Vec<StepId>,
    /// Steps that were given to another agent instead.
    pub reassigned: Vec<StepId>,
}
