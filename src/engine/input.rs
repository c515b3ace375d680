//! What goes into the engine, and what comes out.

use crate::model::command::Command;
use crate::model::completion::Completion;
use crate::model::computation::Computed;
use crate::model::effect::{Effect, Timer};
use crate::model::event::Event;
use crate::model::id::{AgentId, RunId, StepId};
use crate::model::workflow::{FileStamp, Workflow};
use std::sync::Arc;

/// Something the engine has to decide about.
#[derive(Clone, Debug)]
pub enum Input {
    /// A person's request.
    Command(Command),
    /// The end of an attempt.
    Completion(Completion),
    /// What was to be computed.
    Computed(Computed),
    /// A timer that is due.
    Timer(Timer),
    /// A health check of an agent came back.
    Health {
        /// The agent.
        agent: AgentId,
        /// What is wrong with it; `None`: it is well.
        fault: Option<String>,
    },
    /// The machine's one-minute load per core was looked at; only under the real clock.
    Load {
        /// It.
        per_core: f64,
    },
    /// A run's journal was opened by another process than the one that wrote it.
    Reopened {
        /// The run.
        run: RunId,
        /// Whether a person is there to be asked about unknown outcomes.
        ask: bool,
    },
    /// An attempt was under way when upbeat ended; it is proved that nothing of it is left.
    Lost {
        /// The run.
        run: RunId,
        /// The step.
        step: StepId,
        /// The attempt.
        attempt: u32,
        /// Whether a person is there to be asked.
        ask: bool,
    },
    /// A parked run goes on under another definition.
    Redefined {
        /// The run.
        run: RunId,
        /// The new definition.
        workflow: Arc<Workflow>,
        /// The files it was read from.
        files: Vec<FileStamp>,
    },
}

/// What follows from an input: facts first, then the work they ask for. Reused by the caller.
#[derive(Debug, Default)]
pub struct Outbox {
    /// To be made durable before any effect is performed.
    pub events: Vec<Arc<Event>>,
    /// To be performed in order.
    pub effects: Vec<Effect>,
}
