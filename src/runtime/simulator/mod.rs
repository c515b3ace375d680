//! The simulator: the engine and the store's own code in a world of which every part is drawn from a seed.
//!
//! ```text
//!   person ─▶ commands ┐                     ┌▶ Held ─▶ effects ─▶ model agents, timers ─┐
//!   timers ────────────┼▶ Engine ─▶ events ──┤      ▲                                   │
//!   agents ────────────┘        ▲            └▶ Writer ─▶ records ─▶ model disk          │
//!                               └───────────────────────────────────────────────────────┘
//! ```
//!
//! Clock, agents, person and disk are models; the engine, the holding back of effects and the form of stored records
//! are the code that upbeat runs with. The first part of a world has faults, of kinds and at rates that the seed says:
//! agents that fail, hang, vanish and answer twice; a disk that is slow, full or failing; kills and power cuts at any
//! moment; damaged journals. The second part has none, and every run must end in it.
//!
//! What must hold is listed in [`RULES`]. A seed that breaks a rule is a bug report: the same seed gives the same events
//! on every machine and in every build, and `upbeat selftest --seed S` tells them.

mod disk;
mod people;
mod plan;
mod recovery;
mod stats;
mod suite;
mod watch;
mod world;
mod writer;

#[cfg(test)]
mod tests;

pub use stats::{Fault, Stats};
pub use suite::{Progress, Report, Suite};

use crate::model::command::Command;
use crate::model::id::{AgentId, RunId, StepId};
use crate::model::rng::mix;
use crate::model::state::{RunState, StepState};
use crate::model::time::Micros;
use disk::Crash;
use std::panic::{AssertUnwindSafe, catch_unwind};
use watch::Broken;
use world::World;

/// What is checked, by the word that a failure begins with. Unless another time is named: after every input.
pub const RULES: [(&str, &str); 22] = [
    ("numbers", "events are numbered from 1 without gaps, also over crashes"),
    ("once", "a step succeeds at most once over its whole journal, and only after an answer or a value"),
    ("needs", "a step becomes ready only when its needs are met, and starts only when it is ready"),
    ("fence", "one attempt of a step at a time, numbered one after another, never reused, also over crashes"),
    ("retries", "no more tries than declared, lost and parked ones aside; none is given up before they are spent"),
    ("slots", "agents get what they can do, as much as they have slots for, and nothing while they are broken"),
    ("limits", "limits of the run and per capability hold"),
    ("paused", "nothing starts unless the run is running"),
    ("states", "no run and no step ends twice or before its parts, or goes on after its end"),
    ("cancel", "a cancel reaches every attempt of a run, and what relies on a cancelled step"),
    ("answers", "the answer of the attempt under way counts"),
    ("late answers", "any other answer changes nothing and is noted as dropped"),
    ("timers", "whatever has an end by time has a timer (when nothing waits for the disk), and timers are obeyed"),
    ("stale timers", "timers of what is over change nothing"),
    ("refused", "a refused command changes nothing"),
    ("effects", "attempts are begun and stopped exactly where events say so"),
    ("durable", "effects are performed, and events told, only when the disk would still have them after a crash"),
    ("lost", "no acknowledged event is lost or changed; without syncing a power cut may take the end, at a commit"),
    ("damage", "a damaged journal is refused (at recoveries)"),
    (
        "replay",
        "the journal, or a snapshot and what follows, gives the state that was lived (crashes, end, small runs)",
    ),
    ("reasons", "a step that does not run says why, and is right (one step after every input)"),
    ("ends", "without faults every run ends, within a bounded number of turns and a bounded time"),
];

/// The longest a world may go on without faults, per step.
const CALM_PER_STEP: Micros = Micros::from_secs(900);
/// The most things that may happen in it, per step.
const CALM_TURNS_PER_STEP: u64 = 400;

/// A rule that a seed has broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The seed.
    pub seed: u64,
    /// What is broken: a word of [`RULES`], or another check's, and what was seen.
    pub what: String,
    /// When, by the clock of the simulated world.
    pub at: Micros,
}

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "seed {} at {:.6} s: {}", self.seed, self.at.as_secs_f64(), self.what)
    }
}

/// Simulates one seed.
///
/// # Errors
/// The rule that is broken; a panic counts as one.
pub fn simulate(seed: u64) -> Result<Stats, Violation> {
    live(seed, false).0
}

/// Simulates one seed, and tells what happened: a line per input, event and step of the disk.
pub fn retell(seed: u64) -> (Result<Stats, Violation>, Vec<String>) {
    live(seed, true)
}

fn live(seed: u64, story: bool) -> (Result<Stats, Violation>, Vec<String>) {
    let mut world = match World::new(seed, story) {
        Ok(world) => world,
        Err(what) => return (Err(Violation { seed, what, at: Micros::ZERO }), Vec::new()),
    };
    let lived = catch_unwind(AssertUnwindSafe(|| world.live())).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref().copied());
        Err(format!("panic: {}", text.unwrap_or("without words")))
    });
    let at = world.now;
    let told = world.story.take().unwrap_or_default();
    let result = lived.map(|()| world.figures()).map_err(|what| Violation { seed, what, at });
    (result, told)
}

impl World {
    fn live(&mut self) -> Result<(), Broken> {
        for _ in 0..self.plan.turns {
            if self.strikes(Fault::Kill) {
                self.crash(Crash::Kill)?;
            } else if self.strikes(Fault::PowerCut) {
                self.crash(Crash::PowerCut)?;
            } else if self.is_full() {
                if !self.take_due()? {
                    break;
                }
            } else if self.strikes(Fault::AgentBroken) {
                self.break_agent()?;
            } else if self.rng.chance(self.plan.person) {
                self.press()?;
            } else if !self.take_due()? {
                break;
            }
        }
        self.calm_down()?;
        self.last_look()
    }

    /// From now on nothing fails, and somebody sees to it that all runs go on: every one of them must end.
    fn calm_down(&mut self) -> Result<(), Broken> {
        self.calm = true;
        self.tell(|| "! no more faults".to_owned());
        self.unhang();
        let steps: u64 = self.plan.runs.iter().map(|run| run.workflow.steps.len() as u64).sum();
        let mut turns = CALM_TURNS_PER_STEP * (steps + 1);
        let until = self.now + Micros(CALM_PER_STEP.0 * (steps + 1));
        self.see_to_it()?;
        loop {
            if turns == 0 || self.now > until {
                return Err(format!(
                    "ends: not all runs have ended after {:.0} s without faults",
                    self.now.as_secs_f64()
                ));
            }
            turns -= 1;
            if self.take_due()? {
                continue;
            }
            if self.watch.all_ended() {
                return Ok(());
            }
            if !self.see_to_it()? {
                return Err("ends: nothing is due, nothing is waited for, and a run has not ended".to_owned());
            }
        }
    }

    /// Starts, resumes, heals and answers. False: there was nothing to do.
    fn see_to_it(&mut self) -> Result<bool, Broken> {
        let mut did = false;
        for at in 0..self.plan.runs.len() {
            let run = RunId::from_index(at);
            match self.watch.run(run).state {
                RunState::Pending => did |= self.command(Command::Start { run })?.is_ok(),
                RunState::Paused | RunState::Pausing => did |= self.command(Command::Resume { run })?.is_ok(),
                _ => {}
            }
            for step in 0..self.plan.runs[at].workflow.steps.len() {
                if self.watch.run(run).steps[step].state == StepState::Unknown {
                    did |= self.command(Command::RetryStep { run, step: StepId::from_index(step) })?.is_ok();
                }
            }
        }
        for agent in 0..self.watch.agents() {
            did |= self.command(Command::HealAgent { agent: AgentId::from_index(agent) })?.is_ok();
        }
        Ok(did)
    }

    /// All has ended: the journals hold all of it, and give the state that was lived.
    fn last_look(&mut self) -> Result<(), Broken> {
        for at in 0..self.plan.runs.len() {
            let (journal, told) = (&self.disk[at], self.told[at].len() as u64);
            if journal.written() != told || self.acknowledged[at] != told {
                return Err(format!("lost: of {told} events of run {at} the journal has {}", journal.written()));
            }
            self.stats.note(journal.checksum());
            if self.engine.summary(self.now, RunId::from_index(at)).is_none() {
                return Err(format!("states: run {at} has no summary"));
            }
        }
        self.check_copies()
    }

    fn figures(&self) -> Stats {
        let mut stats = self.stats.clone();
        stats.seeds = 1;
        stats.simulated = self.now;
        stats.hash = mix(stats.hash ^ self.now.0);
        stats
    }
}
