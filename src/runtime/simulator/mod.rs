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

mod checks;
mod disk;
mod drawn;
mod people;
mod plan;
mod recovery;
mod stats;
mod suite;
mod watch;
mod wishes;
mod world;
mod writer;

#[cfg(test)]
mod tests;

pub use stats::{Fault, Stats};
pub use suite::{Progress, Report, Suite};

use crate::model::command::{Answer, BreakerMode, Command};
use crate::model::id::{AgentId, RunId, StepId};
use crate::model::rng::mix;
use crate::model::state::{RunState, StepState};
use crate::model::time::Micros;
use disk::Crash;
use serde_json::json;
use std::panic::{AssertUnwindSafe, catch_unwind};
use watch::Broken;
use world::World;

/// What is checked, by the word that a failure begins with. Unless another time is named: after every input.
pub const RULES: [(&str, &str); 30] = [
    ("numbers", "events are numbered from 1 without gaps, also over crashes"),
    ("once", "a step succeeds at most once over its whole journal, and only after an answer or a value"),
    ("needs", "a step becomes ready only when its needs are met, and starts only when it is ready"),
    ("fence", "one attempt of a step at a time, numbered one after another, never reused, also over crashes"),
    (
        "retries",
        "no more tries than declared, lost, parked and refused ones aside; none is given up before they are spent",
    ),
    ("deadline", "no retry is begun that cannot end before the run's deadline, by what is known of durations"),
    ("budget", "no more retries than the run declares"),
    ("slots", "agents get what they can do, as much as they have slots for, and nothing while they are broken"),
    ("rates", "nobody is called more often than declared, nor while it asked to be left alone"),
    (
        "breakers",
        "breakers change when and as a naive one would; one probe at a time; nothing goes through an open one",
    ),
    ("limits", "limits of the run and per capability hold"),
    ("order", "sequential and hybrid order hold"),
    ("shared", "locks, semaphores and barriers hold"),
    ("frozen", "what is frozen stands still, does not time out, and its halts are not counted as work"),
    (
        "saga",
        "what was done is undone in reverse, once, and wholly in a run that ends compensated; never behind a pivot",
    ),
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
    (
        "reasons",
        "a step that does not run says why, and is right (one step after every input; all of them now and then)",
    ),
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
            } else if self.strikes(Fault::AgentUnwell) {
                self.check_health()?;
            } else if self.plan.load && self.rng.chance(0.03) {
                self.weigh()?;
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
                return Err(format!("ends: nothing is due, nobody is asked, and {}", self.what_is_left()));
            }
        }
    }

    /// Starts, resumes, heals and answers. False: there was nothing to do.
    fn see_to_it(&mut self) -> Result<bool, Broken> {
        let mut did = false;
        for at in 0..self.plan.runs.len() {
            let run = RunId::from_index(at);
            match self.watch.run(run).state {
                RunState::Pending => did |= self.command(&Command::Start { run })?.is_ok(),
                RunState::Paused | RunState::Pausing => did |= self.command(&Command::Resume { run })?.is_ok(),
                _ => {}
            }
            did |= self.answer_all(run)?;
        }
        for agent in 0..self.watch.agents() {
            did |= self.command(&Command::HealAgent { agent: AgentId::from_index(agent) })?.is_ok();
        }
        for agent in self.watch.held_open() {
            did |= self.command(&Command::SetBreaker { agent, mode: BreakerMode::Automatic })?.is_ok();
        }
        Ok(did)
    }

    /// Whatever a run and its steps ask gets an answer that lets them go on.
    fn answer_all(&mut self, run: RunId) -> Result<bool, Broken> {
        let mut did = false;
        for at in 0..self.watch.run(run).steps.len() {
            let step = StepId::from_index(at);
            let seen = self.watch.run(run).step(step);
            let asks = seen.wait.as_ref().is_some_and(|(why, _)| why.asks_a_person());
            if asks {
                // What was tried again and failed for ever is given a value at last.
                let value = self.rng.chance(0.5);
                let answer = if value { Answer::Value(json!({"out": "given"})) } else { Answer::Approve };
                did |= self.command(&Command::Answer { run, step: Some(step), answer })?.is_ok();
            } else if seen.state == StepState::Unknown {
                did |= self.command(&Command::RetryStep { run, step })?.is_ok();
            }
        }
        if self.watch.run(run).question {
            did |= self.command(&Command::Answer { run, step: None, answer: Answer::Approve })?.is_ok();
        }
        Ok(did)
    }

    /// The first step that has not ended, and why.
    fn what_is_left(&self) -> String {
        for run in (0..self.plan.runs.len()).map(RunId::from_index) {
            let mut open = self.watch.run(run).workflow.step_ids();
            if let Some(step) = open.find(|step| !self.watch.run(run).step(*step).state.ended()) {
                let why = self.engine.explain(self.now, run, step);
                return format!("step {} of run {} has not ended: {}", step.0, run.0, why.join("; "));
            }
        }
        "a run has not ended whose steps have".to_owned()
    }

    /// All has ended: the journals hold all of it, and give the state that was lived.
    fn last_look(&mut self) -> Result<(), Broken> {
        for at in 0..self.plan.runs.len() {
            let (journal, told) = (&self.disk[at], self.told[at].len() as u64);
            if journal.written() != told || self.acknowledged[at] != told {
                return Err(format!("lost: of {told} events of run {at} the journal has {}", journal.written()));
            }
            self.stats.note(journal.checksum());
            let run = RunId::from_index(at);
            let Some(summary) = self.engine.summary(self.now, run) else {
                return Err(format!("states: run {at} has no summary"));
            };
            let busy = self.watch.run(run).busy;
            if summary.busy != busy {
                return Err(format!("frozen: run {at} counts {:?} of work, and {busy:?} were done", summary.busy));
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
