//! What people ask for: requests that may be refused with a reason.

use super::id::{AgentId, RunId, StepId};
use super::state::EndCause;
use serde::{Deserialize, Serialize};

/// A request to the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
    /// Go on after a pause.
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
    /// Run a failed, cancelled or skipped step again, with fresh retries; what was skipped because of it is reopened.
    RetryStep {
        /// The run.
        run: RunId,
        /// The step.
        step: StepId,
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
            | Self::Resume { run }
            | Self::Stop { run }
            | Self::Park { run }
            | Self::RetryFailed { run }
            | Self::Cancel { run, .. }
            | Self::CancelStep { run, .. }
            | Self::RetryStep { run, .. }
            | Self::SetPriority { run, .. } => Some(*run),
            Self::FailAgent { .. } | Self::HealAgent { .. } => None,
        }
    }
    /// What was asked, as a short verb phrase.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Start { .. } => "start",
            Self::Pause { .. } => "pause",
            Self::Resume { .. } => "resume",
            Self::Stop { .. } => "stop",
            Self::Park { .. } => "save and leave",
            Self::RetryFailed { .. } => "retry",
            Self::Cancel { .. } => "cancel run",
            Self::CancelStep { .. } => "cancel step",
            Self::RetryStep { .. } => "retry step",
            Self::SetPriority { .. } => "set priority",
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
