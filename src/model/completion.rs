//! What comes back from an agent: the outcome of one attempt.

use super::growth::NewStep;
use super::id::{RunId, StepId};
use super::quality::Scores;
use super::time::Micros;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;

/// Kinds of failure; the word decides whether a retry makes sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureClass {
    /// Likely to pass: the agent asked to be tried again (exit 75).
    Transient,
    /// The attempt took longer than its `timeout`.
    Timeout,
    /// The attempt gave no output for longer than its `idle_timeout`.
    IdleTimeout,
    /// The agent ended in disorder: an exit code, a signal, a lost connection.
    Crash,
    /// The agent cannot be started or reached at all.
    Unreachable,
    /// The agent takes no more calls for a while: spends no attempt.
    RateLimited,
    /// The answer is not what the protocol asks for.
    MalformedOutput,
    /// The answer is not what the step expects.
    QualityRejected,
    /// Trying again would not help.
    Permanent,
    /// A person said no.
    Rejected,
    /// Ended by a cancel.
    Cancelled,
    /// The run's deadline passed.
    Deadline,
    /// upbeat ended while the attempt ran: what it did is not known.
    Unknown,
}

impl FailureClass {
    /// All classes a file may name in `retry.on`.
    pub const ALL: [Self; 13] = [
        Self::Transient,
        Self::Timeout,
        Self::IdleTimeout,
        Self::Crash,
        Self::Unreachable,
        Self::RateLimited,
        Self::MalformedOutput,
        Self::QualityRejected,
        Self::Permanent,
        Self::Rejected,
        Self::Cancelled,
        Self::Deadline,
        Self::Unknown,
    ];
    /// The word of the contract.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Transient => "transient",
            Self::Timeout => "timeout",
            Self::IdleTimeout => "idle_timeout",
            Self::Crash => "crash",
            Self::Unreachable => "unreachable",
            Self::RateLimited => "rate_limited",
            Self::MalformedOutput => "malformed_output",
            Self::QualityRejected => "quality_rejected",
            Self::Permanent => "permanent",
            Self::Rejected => "rejected",
            Self::Cancelled => "cancelled",
            Self::Deadline => "deadline",
            Self::Unknown => "unknown",
        }
    }
    /// Whether it says something about the agent: an attempt that was taken from it does not.
    #[must_use]
    pub const fn blames_the_agent(self) -> bool {
        !matches!(self, Self::Cancelled | Self::Deadline | Self::Unknown | Self::Rejected)
    }
    /// Whether a breaker counts it: it says that the agent does not work, not that it was asked for the wrong thing.
    #[must_use]
    pub const fn counts_for_breaker(self) -> bool {
        matches!(
            self,
            Self::Transient
                | Self::Timeout
                | Self::IdleTimeout
                | Self::Crash
                | Self::Unreachable
                | Self::MalformedOutput
        )
    }
    /// Whether what the attempt did outside is not known: it was cut off in the middle.
    #[must_use]
    pub const fn leaves_doubt(self) -> bool {
        matches!(self, Self::Timeout | Self::IdleTimeout | Self::Cancelled | Self::Deadline | Self::Unknown)
    }
    /// Whether another attempt could end better.
    #[must_use]
    pub const fn retryable(self) -> bool {
        !matches!(self, Self::Permanent | Self::Rejected | Self::Cancelled | Self::Deadline)
    }
}

/// A failed attempt, or a step that could not be tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Its kind.
    pub class: FailureClass,
    /// What happened, in words. Foreign text: sanitise before it meets a terminal.
    pub message: String,
    /// Whether it was injected on purpose.
    pub injected: bool,
    /// How long the agent asked to be left alone (`rate_limited`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<Micros>,
}

impl Failure {
    /// A failure that was not injected.
    #[must_use]
    pub fn new(class: FailureClass, message: impl Into<String>) -> Self {
        Self { class, message: message.into(), injected: false, retry_after: None }
    }
}

/// What an attempt used, as far as it could be measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Usage {
    /// User and system time of the attempt's processes, in seconds.
    pub cpu_s: f64,
    /// The largest resident set seen, in bytes.
    pub peak_rss_bytes: u64,
}

/// Whether everything an attempt started is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndProof {
    /// Nothing of it is left.
    Proved,
    /// Some descendants could not be ended (another user's processes): this many were left.
    Unconfirmed {
        /// How many.
        left: u32,
    },
}

/// How an attempt ended, as the runtime saw it.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// The agent answered.
    Succeeded {
        /// Its output.
        output: Arc<Value>,
        /// How good it is, where the step expects something.
        scores: Option<Arc<Scores>>,
        /// The steps that it brings, where the step expands.
        brings: Option<Arc<Vec<NewStep>>>,
    },
    /// The agent failed.
    Failed(Failure),
    /// It was ended because the engine asked for it. The engine knows why.
    Stopped,
}

impl Outcome {
    /// An answer that nothing more is known of.
    #[must_use]
    pub const fn succeeded(output: Arc<Value>) -> Self {
        Self::Succeeded { output, scores: None, brings: None }
    }
}

/// The end of one attempt. `attempt` is the fence: an answer of an older attempt is recorded and dropped.
#[derive(Clone, Debug, PartialEq)]
pub struct Completion {
    /// The run.
    pub run: RunId,
    /// The step.
    pub step: StepId,
    /// The attempt, from 1.
    pub attempt: u32,
    /// How it ended.
    pub outcome: Outcome,
    /// What it used, if that was measured.
    pub usage: Option<Usage>,
    /// Whether everything it started is gone.
    pub proof: EndProof,
    /// The agent itself cannot be used any more (it cannot be started): it is broken, with this reason.
    pub agent_lost: Option<String>,
}
