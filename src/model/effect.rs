//! Work the engine asks of the outside. The driver performs it after the events it follows from are durable.

use super::agent::Agent;
use super::computation::{Computation, ProcessValues};
use super::id::{AgentId, Name, RunId, StepId};
use super::step::Step;
use super::time::Micros;
use super::workflow::Workflow;
use serde_json::Value;
use std::sync::Arc;

/// A piece of work for the driver.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Begin an attempt; its [`super::completion::Completion`] comes back exactly once.
    Start(Box<AttemptOrder>),
    /// Compute something; its [`super::computation::Computed`] comes back exactly once.
    Compute(Box<Computation>),
    /// End an attempt; its completion still comes.
    Stop {
        /// The run.
        run: RunId,
        /// The step.
        step: StepId,
        /// The attempt.
        attempt: u32,
        /// Without grace.
        at_once: bool,
    },
    /// Halt an attempt where it stands, or let it go on. An attempt that is ended while it is halted is let go first.
    Freeze {
        /// The run.
        run: RunId,
        /// The step.
        step: StepId,
        /// The attempt.
        attempt: u32,
        /// Whether it is to be halted.
        frozen: bool,
    },
    /// Hand the timer back at a time. Stale timers are ignored by the engine, so none is ever taken back.
    SetTimer {
        /// When.
        at: Micros,
        /// What for.
        timer: Timer,
    },
    /// The run has ended: its result may be read.
    Finished {
        /// The run.
        run: RunId,
    },
}

/// What a timer was set for; carries the epoch it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Timer {
    /// An attempt's time is over.
    AttemptTimeout {
        /// The run.
        run: RunId,
        /// The step.
        step: StepId,
        /// The attempt.
        attempt: u32,
    },
    /// An attempt has been silent for too long, unless it was heard since: the driver knows, and sets it anew then.
    Idle {
        /// The run.
        run: RunId,
        /// The step.
        step: StepId,
        /// The attempt.
        attempt: u32,
    },
    /// An approval's time is over.
    Approval {
        /// The run.
        run: RunId,
        /// The step.
        step: StepId,
    },
    /// An agent takes calls again.
    Unpark {
        /// The agent.
        agent: AgentId,
        /// Counts how often it was parked.
        epoch: u32,
    },
    /// An agent's breaker moves on: from open to half-open, or back where a probe takes too long.
    Breaker {
        /// The agent.
        agent: AgentId,
        /// Counts its changes.
        epoch: u32,
    },
    /// A wait between attempts is over.
    Backoff {
        /// The run.
        run: RunId,
        /// The step.
        step: StepId,
        /// The attempt that failed before it.
        attempt: u32,
    },
    /// The run's time is over.
    Deadline {
        /// The run.
        run: RunId,
        /// Counts resumes: each moves the deadline.
        epoch: u32,
    },
    /// A broken agent heals by itself.
    Heal {
        /// The agent.
        agent: AgentId,
        /// Counts how often it broke.
        epoch: u32,
    },
}

impl Timer {
    /// The run it is about; `None`: it is an agent's.
    #[must_use]
    pub const fn run(self) -> Option<RunId> {
        match self {
            Self::AttemptTimeout { run, .. }
            | Self::Idle { run, .. }
            | Self::Approval { run, .. }
            | Self::Backoff { run, .. }
            | Self::Deadline { run, .. } => Some(run),
            Self::Unpark { .. } | Self::Breaker { .. } | Self::Heal { .. } => None,
        }
    }
}

/// Everything an agent needs to work on an attempt.
#[derive(Clone, Debug)]
pub struct AttemptOrder {
    /// The run.
    pub run: RunId,
    /// The run's name.
    pub run_name: Name,
    /// The workflow.
    pub workflow: Arc<Workflow>,
    /// The step.
    pub step: StepId,
    /// From 1.
    pub attempt: u32,
    /// Whether what the step did is to be undone.
    pub undo: bool,
    /// The agent's place in the registry.
    pub agent: AgentId,
    /// The agent's definition.
    pub definition: Arc<Agent>,
    /// The payload: `with`, and the mapped input over it. Always an object.
    pub input: Arc<Value>,
    /// What else was computed for its process.
    pub process: Option<Arc<ProcessValues>>,
    /// The item of a `for_each`, and its number.
    pub item: Option<(Arc<Value>, u32)>,
    /// Time left for this attempt, if it is limited.
    pub time_left: Option<Micros>,
    /// Priority at the start.
    pub priority: u8,
    /// The same for all attempts of a step.
    pub idempotency_key: String,
    /// A random number of this attempt's own, from the run's seed.
    pub draw: u64,
}

impl AttemptOrder {
    /// What is to be done: the step, or its compensation.
    #[must_use]
    pub fn spec(&self) -> &Step {
        let step = self.workflow.step(self.step);
        if self.undo { step.compensate.as_deref().unwrap_or(step) } else { step }
    }
}
