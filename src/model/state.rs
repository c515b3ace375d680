//! The states of runs, steps and agents, and the reasons for waiting and ending.

use super::id::{AgentId, Name, StepId};
use super::time::Micros;
use serde::{Deserialize, Serialize};

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// Loaded, not started.
    Pending,
    /// Under way.
    Running,
    /// Asked to pause: nothing new starts, what runs ends first.
    Pausing,
    /// Nothing runs until it is resumed.
    Paused,
    /// Asked to stop: what runs ends first.
    Stopping,
    /// Stopped before its end.
    Stopped,
    /// Asked to cancel: what runs is being ended.
    Cancelling,
    /// What was done is being undone.
    Compensating,
    /// Ended: all that had to succeed did.
    Succeeded,
    /// Ended: enough succeeded, with failures.
    Partial,
    /// Ended: too little succeeded.
    Failed,
    /// Ended by a cancel.
    Cancelled,
    /// Ended: rolled back.
    Compensated,
    /// Ended: rolled back but for what could not be undone.
    CompensationFailed,
}

impl RunState {
    /// Whether the run has ended for good.
    #[must_use]
    pub const fn ended(self) -> bool {
        matches!(
            self,
            Self::Stopped
                | Self::Succeeded
                | Self::Partial
                | Self::Failed
                | Self::Cancelled
                | Self::Compensated
                | Self::CompensationFailed
        )
    }
    /// Whether new attempts may start.
    #[must_use]
    pub const fn dispatches(self) -> bool {
        matches!(self, Self::Running)
    }
    /// The word of the contract.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Pausing => "pausing",
            Self::Paused => "paused",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
            Self::Cancelling => "cancelling",
            Self::Compensating => "compensating",
            Self::Succeeded => "succeeded",
            Self::Partial => "partial",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Compensated => "compensated",
            Self::CompensationFailed => "compensation_failed",
        }
    }
}

/// Why a run was ended before its work was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndCause {
    /// A command cancelled the whole run (exit 8).
    Cancel,
    /// A person quit, or INT came (exit 130 where nothing is saved).
    Quit,
    /// TERM came (143).
    Terminate,
    /// The terminal hung up (129).
    HangUp,
    /// The run's deadline passed (5).
    Deadline,
    /// A step failed in a run with `recovery: fail_fast` (1).
    FailFast,
    /// A command stopped the run (75, or 130 where nothing is saved).
    Stop,
    /// The run can no longer succeed and is declared to be rolled back then, or a command asked for it (6 or 7).
    Rollback,
    /// Too little succeeded, and a person said no to going on (4).
    Reject,
}

/// How a run ended, the word of the result document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// All met.
    Succeeded,
    /// Share met, with failures.
    Partial,
    /// Share missed, critical step failed, or fail_fast.
    Failed,
    /// Failed because a person said no.
    Rejected,
    /// The run's deadline passed.
    Deadline,
    /// Rolled back: every compensation worked.
    Compensated,
    /// Rolled back, and a compensation never worked.
    CompensationFailed,
    /// Cancelled as a whole, or interrupted where nothing is saved.
    Cancelled,
}

impl RunStatus {
    /// The word of the contract.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Partial => "partial",
            Self::Failed => "failed",
            Self::Rejected => "rejected",
            Self::Deadline => "deadline",
            Self::Compensated => "compensated",
            Self::CompensationFailed => "compensation_failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// Where a step stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepState {
    /// Its needs are not met yet.
    Pending,
    /// Could start; stands in the queue.
    Ready,
    /// An attempt is under way.
    Running,
    /// Cannot start for a reason other than its needs and the queue: see [`WaitReason`].
    Waiting,
    /// Its attempt is being ended by a cancel.
    Cancelling,
    /// Done, also by a fallback.
    Succeeded,
    /// Given up.
    Failed,
    /// Not done because a need ended otherwise than required.
    Skipped,
    /// Cancelled by a person, a limit, or the end of its run.
    Cancelled,
    /// upbeat ended while its attempt ran, and a person has to say what is to be done.
    Unknown,
    /// What it did is being undone.
    Compensating,
    /// What it did was undone.
    Compensated,
}

impl StepState {
    /// All states, in the order they are listed for people.
    pub const ALL: [Self; 12] = [
        Self::Pending,
        Self::Ready,
        Self::Running,
        Self::Waiting,
        Self::Cancelling,
        Self::Succeeded,
        Self::Failed,
        Self::Skipped,
        Self::Cancelled,
        Self::Unknown,
        Self::Compensating,
        Self::Compensated,
    ];
    /// Whether the step has ended (a retry by hand may reopen it).
    #[must_use]
    pub const fn ended(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Skipped | Self::Cancelled | Self::Compensated)
    }
    /// Whether an attempt at its work is under way.
    #[must_use]
    pub const fn active(self) -> bool {
        matches!(self, Self::Running | Self::Cancelling)
    }
    /// The word of the contract.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Ready => "ready",
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Cancelling => "cancelling",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
            Self::Cancelled => "cancelled",
            Self::Unknown => "unknown",
            Self::Compensating => "compensating",
            Self::Compensated => "compensated",
        }
    }
}

/// Why a step waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum WaitReason {
    /// A failed attempt is tried again after a while.
    Backoff {
        /// Which retry follows, from 1.
        retry: u32,
        /// How many there are.
        limit: u32,
    },
    /// No unbroken agent has what the step asks for.
    Capability {
        /// The capability, or the agent's id where one agent is asked for.
        capability: Name,
        /// The broken agents that could do it.
        broken: Vec<AgentId>,
    },
    /// Every unbroken agent that could do it takes no calls for a while.
    RateLimit {
        /// The capability, or the agent's id where one agent is asked for.
        capability: Name,
        /// The agents that are left alone.
        agents: Vec<AgentId>,
    },
    /// The breaker of every agent that could do it now is open, or lets only a probe through.
    Breaker {
        /// The capability, or the agent's id where one agent is asked for.
        capability: Name,
        /// The agents behind open breakers.
        agents: Vec<AgentId>,
    },
    /// A person says yes or no.
    Approval,
    /// Its retries are spent, and a person says what is to be done.
    Person,
    /// Another step holds the lock.
    Lock {
        /// The lock.
        lock: Name,
        /// Who holds it.
        holder: StepId,
    },
    /// All permits of a semaphore are taken.
    Semaphore {
        /// The semaphore.
        semaphore: Name,
        /// Who holds them.
        holders: Vec<StepId>,
    },
    /// Others of its barrier are not ready yet.
    Barrier {
        /// The barrier.
        barrier: Name,
        /// Who is missing.
        missing: Vec<StepId>,
    },
}

impl WaitReason {
    /// One word for tables and machines.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Backoff { .. } => "backoff",
            Self::Capability { .. } => "capability",
            Self::RateLimit { .. } => "rate limit",
            Self::Breaker { .. } => "breaker",
            Self::Approval => "approval",
            Self::Person => "person",
            Self::Lock { .. } => "lock",
            Self::Semaphore { .. } => "semaphore",
            Self::Barrier { .. } => "barrier",
        }
    }
    /// Whether it ends as soon as an agent takes the step's work.
    #[must_use]
    pub const fn is_about_agents(&self) -> bool {
        matches!(self, Self::Capability { .. } | Self::RateLimit { .. } | Self::Breaker { .. })
    }
    /// Whether only a person can end it.
    #[must_use]
    pub const fn asks_a_person(&self) -> bool {
        matches!(self, Self::Approval | Self::Person)
    }
    /// The agents it is about.
    #[must_use]
    pub fn agents(&self) -> &[AgentId] {
        match self {
            Self::Capability { broken: agents, .. } | Self::RateLimit { agents, .. } | Self::Breaker { agents, .. } => {
                agents
            }
            _ => &[],
        }
    }
    /// The agents it is about, to be numbered otherwise.
    pub fn agents_mut(&mut self) -> &mut [AgentId] {
        match self {
            Self::Capability { broken: agents, .. } | Self::RateLimit { agents, .. } | Self::Breaker { agents, .. } => {
                agents
            }
            _ => &mut [],
        }
    }
}

/// How an agent's breaker stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "breaker", rename_all = "snake_case")]
pub enum BreakerState {
    /// Work goes through.
    #[default]
    Closed,
    /// Nothing goes through until then.
    Open {
        /// When a probe may go through.
        until: Micros,
        /// How long it stays open.
        cooldown: Micros,
    },
    /// One attempt goes through, and its end decides.
    HalfOpen {
        /// How long it was open before.
        cooldown: Micros,
    },
    /// Nothing goes through, by a person's hand.
    ForcedOpen,
    /// Everything goes through, by a person's hand.
    ForcedClosed,
}

impl BreakerState {
    /// The word for people and machines.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open { .. } => "open",
            Self::HalfOpen { .. } => "half-open",
            Self::ForcedOpen => "forced open",
            Self::ForcedClosed => "forced closed",
        }
    }
}

/// Why a step was skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "because", rename_all = "snake_case")]
pub enum SkipReason {
    /// A need failed, was cancelled or was skipped for that reason: counts against the run's share.
    Upstream {
        /// The need that cannot be met.
        need: StepId,
    },
    /// It was there for another outcome of a need (`on: failed`, and the need succeeded): left out of the share.
    NotNeeded {
        /// The need that ended well.
        need: StepId,
    },
    /// Its own condition does not hold: left out of the share, and what needs it goes on.
    Condition,
    /// A person skipped it: left out of the share, and what needs it goes on.
    ByHand,
}

/// Why an agent takes no work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Broken {
    /// What happened, for people.
    pub reason: String,
    /// Whether it was broken on purpose.
    pub injected: bool,
    /// Since when.
    pub since: Micros,
    /// When it heals by itself, if it does.
    pub until: Option<Micros>,
}
