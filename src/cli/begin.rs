//! The ways a run comes into an engine: loaded anew, or opened where it was left.

use crate::model::command::{Command, Rejection};
use crate::model::id::{RunId, StepId};
use crate::model::state::RunState;
use crate::runtime::handle::{Handle, RestoreOrder, RunOrder};

/// What is to become of a new run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// It starts.
    Now,
    /// It waits for a person.
    Later,
    /// It is saved, for `resume` to start it.
    Parked,
}

/// What is to become of a saved run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GoOn {
    /// It goes on.
    Resume,
    /// What failed or was cancelled is tried again.
    RetryFailed,
    /// This step is.
    RetryStep(StepId),
}

/// A run to be had, and what is to become of it.
#[derive(Clone, Debug)]
pub(crate) enum Begin {
    /// A new one.
    New(Box<RunOrder>, Start),
    /// A saved one.
    Saved(RestoreOrder, GoOn),
}

impl Begin {
    /// Brings the run into the engine and has it go its way.
    pub(crate) async fn enact(self, handle: &Handle) -> Result<RunId, Rejection> {
        match self {
            Self::New(order, start) => {
                let is_saved = order.origin.is_some();
                let run = handle.load(*order).await?;
                match start {
                    Start::Now => drop(handle.command(Command::Start { run }).await?),
                    Start::Parked if is_saved => handle.save(run).await?,
                    Start::Parked | Start::Later => {}
                }
                Ok(run)
            }
            Self::Saved(order, how) => {
                let run = handle.restore(order).await?;
                go_on(handle, run, how).await?;
                Ok(run)
            }
        }
    }
}

async fn go_on(handle: &Handle, run: RunId, how: GoOn) -> Result<(), Rejection> {
    match how {
        GoOn::Resume => {}
        GoOn::RetryFailed => drop(handle.command(Command::RetryFailed { run }).await?),
        GoOn::RetryStep(step) => drop(handle.command(Command::RetryStep { run, step }).await?),
    }
    match handle.summary(run).await.map(|summary| summary.state) {
        Some(RunState::Pending) => handle.command(Command::Start { run }).await.map(drop),
        Some(RunState::Stopped) if how == GoOn::Resume => handle.command(Command::Resume { run }).await.map(drop),
        Some(RunState::Paused) => handle.command(Command::Resume { run }).await.map(drop),
        // A cancel that was under way when upbeat ended has been carried through.
        _ => Ok(()),
    }
}
