//! How work fails: kinds of failure, and one failure in words.

use super::time::Micros;
use serde::{Deserialize, Serialize};

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
