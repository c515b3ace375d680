//! Behaviour: the pure state machine that decides what happens next.
//!
//! One door: [`Engine::handle`]. An input is *decided* upon (facts, or a refusal), each fact *evolves* the state (total,
//! without choices) and is *reacted* to (work for the outside); then the state is *settled*: whatever now follows by
//! itself (a step became ready, an agent is free, the run is over) becomes facts too, until nothing more follows.
//!
//! ```text
//!   input ─▶ decide ─▶ events ─▶ evolve ─▶ state ─▶ settle ─▶ events ─▶ …
//!                        └─▶ react ─▶ effects
//! ```
//!
//! No clock (`now` is an argument), no randomness (draws are hashes of the run's seed), no disk, no threads: the same
//! inputs give the same events, and the same events the same state.
#![deny(clippy::iter_over_hash_type)]

mod decide;
mod evolve;
pub mod explain;
pub mod graph;
mod input;
mod oracle;
mod project;
mod react;
mod ready;
mod registry;
mod route;
mod run;
mod settle;
mod summary;
mod world;

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;

pub use input::{Input, Outbox};

use crate::model::command::Rejection;
use crate::model::event::{Event, EventKind};
use crate::model::id::{Name, RunId, StepId};
use crate::model::time::Micros;
use crate::model::view::{EngineView, RunSummary};
use crate::model::workflow::Workflow;
use std::sync::Arc;
use world::World;

/// Runs up to this size are checked against the oracle after every input in debug builds.
const ORACLE_STEPS_MAX: usize = 64;

/// Any number of runs and one registry of agents.
#[derive(Debug, Default)]
pub struct Engine {
    world: World,
    /// Facts decided but not yet applied; kept to reuse its memory.
    decided: Vec<(RunId, EventKind)>,
}

impl Engine {
    /// An engine without runs.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Loads a run; it stays `pending` until it is started. Its agents join the registry.
    ///
    /// # Errors
    /// If an agent of the same name is at work for another run under another definition.
    pub fn load(&mut self, workflow: Arc<Workflow>, name: Name, seed: u64) -> Result<RunId, Rejection> {
        self.world.load(workflow, name, seed)
    }

    /// Decides about one input at time `now` (never before an earlier `now`) and appends what follows to `outbox`.
    ///
    /// # Errors
    /// A command that cannot be done, with the reason; the refusal of a command to a run under way is an event too.
    pub fn handle(&mut self, now: Micros, input: &Input, outbox: &mut Outbox) -> Result<(), Rejection> {
        debug_assert!(self.decided.is_empty());
        let mut decided = std::mem::take(&mut self.decided);
        let verdict = decide::decide(&self.world, now, input, &mut decided);
        if let Err(rejection) = &verdict {
            decided.clear();
            decide::refused(&self.world, input, rejection, &mut decided);
        }
        loop {
            for (run, kind) in decided.drain(..) {
                self.record(now, run, kind, outbox);
            }
            settle::settle(&mut self.world, &mut decided);
            if decided.is_empty() {
                break;
            }
        }
        self.decided = decided;
        if cfg!(debug_assertions) && self.world.steps() <= ORACLE_STEPS_MAX {
            let checked = self.check();
            debug_assert_eq!(checked, Ok(()), "after {input:?}");
        }
        verdict
    }

    fn record(&mut self, now: Micros, run: RunId, kind: EventKind, outbox: &mut Outbox) {
        let event = Event { seq: self.world.run(run).seq + 1, at: now, run, kind };
        react::before(&self.world, &event, &mut outbox.effects);
        evolve::evolve(&mut self.world, &event);
        react::after(&self.world, &event, &mut outbox.effects);
        outbox.events.push(Arc::new(event));
    }

    /// How many runs have been loaded.
    #[must_use]
    pub fn runs(&self) -> usize {
        self.world.runs.len()
    }

    /// The picture for screens. Details are filled in for the step looked at.
    #[must_use]
    pub fn view(&self, now: Micros, look_at: Option<(RunId, StepId)>) -> EngineView {
        project::view(&self.world, now, look_at)
    }

    /// The result so far, at time `now` for a run that has not ended.
    #[must_use]
    pub fn summary(&self, now: Micros, run: RunId) -> Option<RunSummary> {
        self.world.runs.get(run.index()).map(|found| summary::summary(&self.world, found, now))
    }

    /// Why a step is where it is, most important sentence first.
    #[must_use]
    pub fn explain(&self, now: Micros, run: RunId, step: StepId) -> Vec<String> {
        explain::explain(&self.world, self.world.run(run), step, now)
    }

    /// Compares all counters and queues with a slow recomputation from the states.
    ///
    /// # Errors
    /// The first difference, in words.
    pub fn check(&self) -> Result<(), String> {
        oracle::check(&self.world)
    }
}
