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

mod ask;
mod breaker;
mod compare;
mod decide;
mod ending;
mod evolve;
pub mod explain;
mod figures;
mod gates;
pub mod graph;
mod grow;
mod input;
mod make;
mod meters;
mod oracle;
mod order;
mod passage;
mod prepare;
mod project;
mod react;
mod ready;
mod redefine;
mod registry;
mod restore;
mod route;
mod routing;
mod run;
mod settle;
mod share;
mod snapshot;
mod summary;
mod told;
mod verdict;
pub(crate) mod waits;
mod window;
mod world;

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod stories;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_growth;
#[cfg(test)]
mod tests_recovery;

pub use input::{Input, Outbox};
pub use meters::Spread;

use crate::model::bug::{Bug, seeded};
use crate::model::command::Rejection;
use crate::model::event::{Event, EventKind};
use crate::model::id::{Name, RunId, StepId};
use crate::model::state::RunState;
use crate::model::time::Micros;
use crate::model::view::{EngineView, RunSummary};
use crate::model::workflow::{FileStamp, Workflow};
use serde_json::Value;
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

    /// Has a loaded run start with the outputs of an earlier run (`from`) for some steps, which are not done again.
    pub fn reuse(&mut self, run: RunId, outputs: Vec<(StepId, Arc<Value>)>, from: Name) {
        let run = self.world.run_mut(run);
        debug_assert!(run.started.is_none(), "what has begun cannot begin otherwise");
        run.reuse = outputs;
        run.from = Some(from);
    }

    /// Gives a loaded run the item of a stream that it is about: `$item` and `$index`, and `item` in its data.
    pub fn feed(&mut self, run: RunId, item: Arc<Value>, index: u32) {
        let run = self.world.run_mut(run);
        debug_assert!(run.started.is_none(), "what has begun cannot begin otherwise");
        if let Value::Object(data) = Arc::make_mut(&mut run.data) {
            data.insert("item".to_owned(), (*item).clone());
        }
        run.item = Some((item, index));
    }

    /// Whether nothing of a run is under way, and nothing will be unless somebody asks for it.
    #[must_use]
    pub fn rests(&self, run: RunId) -> bool {
        let Some(run) = self.world.runs.get(&run) else { return true };
        let stands = run.started.is_none() || run.state.ended() || run.state == RunState::Paused && !run.frozen;
        run.active == 0 && stands
    }

    /// Forgets a run that [rests](Engine::rests). What is known of its agents stays; what is late for it finds nobody.
    pub fn unload(&mut self, run: RunId) {
        debug_assert!(self.rests(run), "what is at work cannot be forgotten");
        self.world.unload(run);
        self.self_check("a run was unloaded");
    }

    /// Loads a run and brings it to the state its journal gives: a snapshot, if there is one, and the events behind it.
    /// Nothing is decided and no work asked for; [`Engine::reopen`] does that. Agents are numbered as in a journal.
    ///
    /// # Errors
    /// If the agents cannot join (see [`Engine::load`]), or the events are not those of such a run.
    pub fn restore(
        &mut self,
        workflow: Arc<Workflow>,
        name: Name,
        seed: u64,
        snapshot: Option<&[u8]>,
        events: impl IntoIterator<Item = Event>,
    ) -> Result<RunId, Rejection> {
        let in_use = self.world.agents_in_use();
        let id = self.world.load(workflow, name, seed)?;
        let folded = restore::restore(&mut self.world, id, snapshot, events);
        // Whether they take work is known better from the runs under way than from an old journal.
        for (agent, standing) in in_use.into_iter().filter(|_| !seeded(Bug::OldJournalRules)) {
            self.world.registry.agent_mut(agent).stands(standing);
        }
        if let Err(fault) = folded {
            self.world.take_back(id);
            return Err(Rejection::new(fault));
        }
        Ok(id)
    }

    /// Settles what was under way when the writer of a restored run's journal ended: nothing of its attempts is left,
    /// the caller has made sure. `ask`: a person is there to be asked about unknown outcomes. A run that was left
    /// properly gives no events.
    pub fn reopen(&mut self, now: Micros, run: RunId, ask: bool, outbox: &mut Outbox) {
        // The oracle looks only when all is settled: until then attempts that are gone hold slots.
        let mut decide = |engine: &mut Self, input| {
            let verdict = engine.decide(now, &input, outbox);
            debug_assert_eq!(verdict, Ok(()), "what happened cannot be refused");
        };
        decide(self, Input::Reopened { run, ask });
        let lost: Vec<_> = {
            let found = self.world.run(run);
            let attempt = |step| found.step(step).current.as_ref().map(|current| (step, current.attempt));
            let most = if seeded(Bug::RecoveryForgetsAttempts) { 1 } else { usize::MAX };
            found.step_ids().filter_map(attempt).take(most).collect()
        };
        for (step, attempt) in lost {
            decide(self, Input::Lost { run, step, attempt, ask });
        }
        self.self_check("a run was opened again");
    }

    /// The same for a run that goes on under another definition. What is asked about unknown outcomes is asked by the new
    /// one, so that it may say what was missing in the old one.
    ///
    /// # Errors
    /// If the run cannot be given another definition: it has ended, or ends by being opened.
    pub fn reopen_as(
        &mut self,
        now: Micros,
        run: RunId,
        ask: bool,
        (workflow, files): (Arc<Workflow>, Vec<FileStamp>),
        outbox: &mut Outbox,
    ) -> Result<(), Rejection> {
        self.reopen(now, run, true, outbox);
        self.handle(now, &Input::Redefined { run, workflow, files }, outbox)?;
        self.reopen(now, run, ask, outbox);
        Ok(())
    }

    /// A run's whole state as a document, and the number of the event it stands behind. `None` where that cannot be
    /// told apart from what other runs did, or nothing has happened yet.
    #[must_use]
    pub fn snapshot(&self, run: RunId) -> Option<(u64, Vec<u8>)> {
        snapshot::take(&self.world, self.world.run(run))
    }

    /// The number of a run's last event.
    #[must_use]
    pub fn last_seq(&self, run: RunId) -> u64 {
        self.world.run(run).seq
    }

    /// Whether a run has ended for good.
    #[must_use]
    pub fn has_ended(&self, run: RunId) -> bool {
        self.world.run(run).state.ended()
    }

    /// How many steps a run has.
    #[must_use]
    pub fn steps(&self, run: RunId) -> usize {
        self.world.run(run).steps.len()
    }

    /// The run's definition as it was declared: without what joined its graph while it ran.
    #[must_use]
    pub fn declared(&self, run: RunId) -> Workflow {
        grow::declared(self.world.run(run))
    }

    /// How long the successful attempts of real agents took, each under its step's [`Workflow::timing_key`].
    #[must_use]
    pub fn durations(&self, run: RunId) -> Vec<(String, Micros)> {
        let run = self.world.run(run);
        let took = |id: StepId| {
            let last = run.step(id).log.back().filter(|attempt| attempt.failure.is_none())?;
            let simulated = self.world.registry.agent(last.agent).definition.kind.is_virtual();
            (!simulated).then(|| Some((run.workflow.timing_key(id), last.ended? - last.started)))?
        };
        run.step_ids().filter_map(took).collect()
    }

    /// The event as it stands in a journal: agents are numbered by their place in the workflow.
    #[must_use]
    pub fn for_journal(&self, event: &Arc<Event>) -> Arc<Event> {
        restore::for_journal(self.world.run(event.run), event)
    }

    /// Decides about one input at time `now` (never before an earlier `now`) and appends what follows to `outbox`.
    ///
    /// # Errors
    /// A command that cannot be done, with the reason; the refusal of a command to a run under way is an event too.
    pub fn handle(&mut self, now: Micros, input: &Input, outbox: &mut Outbox) -> Result<(), Rejection> {
        let verdict = self.decide(now, input, outbox);
        self.self_check(input);
        verdict
    }

    /// In debug builds: all counters and queues agree with a slow recomputation, as long as that is quick.
    fn self_check(&self, after: impl std::fmt::Debug) {
        if cfg!(debug_assertions) && self.world.steps() <= ORACLE_STEPS_MAX {
            let checked = self.check();
            debug_assert_eq!(checked, Ok(()), "after {after:?}");
        }
    }

    fn decide(&mut self, now: Micros, input: &Input, outbox: &mut Outbox) -> Result<(), Rejection> {
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
            settle::settle(&mut self.world, now, &mut decided);
            if decided.is_empty() {
                break;
            }
        }
        self.decided = decided;
        verdict
    }

    fn record(&mut self, now: Micros, run: RunId, kind: EventKind, outbox: &mut Outbox) {
        let event = Event { seq: self.world.run(run).seq + 1, at: now, run, kind };
        react::before(&self.world, &event, &mut outbox.effects);
        evolve::evolve(&mut self.world, &event);
        react::after(&self.world, &event, &mut outbox.effects);
        outbox.events.push(Arc::new(event));
    }

    /// How many runs are loaded.
    #[must_use]
    pub fn runs(&self) -> usize {
        self.world.runs.len()
    }

    /// Whether some run is under way, and none waits for a person only.
    #[must_use]
    pub fn goes_on_by_itself(&self) -> bool {
        let live = |run: &&run::Run| run.started.is_some() && !run.state.ended() && run.state != RunState::Paused;
        let mut live = self.world.runs.values().filter(live).peekable();
        live.peek().is_some() && live.all(|run| !project::is_stuck(&self.world, run))
    }

    /// The picture for screens. Details are filled in for the step looked at.
    #[must_use]
    pub fn view(&self, now: Micros, look_at: Option<(RunId, StepId)>) -> EngineView {
        project::view(&self.world, now, look_at)
    }

    /// The result so far, at time `now` for a run that has not ended.
    #[must_use]
    pub fn summary(&self, now: Micros, run: RunId) -> Option<RunSummary> {
        self.world.runs.get(&run).map(|found| summary::summary(&self.world, found, now))
    }

    /// Why a step is where it is, most important sentence first.
    #[must_use]
    pub fn explain(&self, now: Micros, run: RunId, step: StepId) -> Vec<String> {
        explain::explain(&self.world, self.world.run(run), step, now)
    }

    /// How a run's state here differs from its state in another engine; with `agents` also what is known of its agents.
    /// `None`: in nothing.
    #[must_use]
    pub fn difference(&self, other: &Self, run: RunId, agents: bool) -> Option<String> {
        compare::runs(self.world.run(run), other.world.run(run))
            .or_else(|| agents.then(|| compare::agents(&self.world, &other.world, run)).flatten())
    }

    /// Compares all counters and queues with a slow recomputation from the states.
    ///
    /// # Errors
    /// The first difference, in words.
    pub fn check(&self) -> Result<(), String> {
        oracle::check(&self.world)
    }
}
