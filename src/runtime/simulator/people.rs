//! Those who meet the engine from outside: agents that work, fail, hang and answer late, and a person at the keys.

use super::plan::Habit;
use super::stats::Fault;
use super::watch::{Broken, StepSeen};
use super::wishes::{Sight, wish};
use super::world::{AttemptKey, Due, World};
use crate::engine::Input;
use crate::model::command::Command;
use crate::model::completion::{Completion, EndProof, Failure, FailureClass, Outcome, Usage};
use crate::model::defaults::{GRACE, RATE_LIMIT_WAIT_MAX};
use crate::model::effect::{AttemptOrder, Timer};
use crate::model::id::{AgentId, RunId, StepId};
use crate::model::rng::unit;
use crate::model::state::StepState;
use crate::model::time::Micros;
use crate::runtime::store::disk::record::LARGE;
use serde_json::json;
use std::sync::Arc;

/// The classes an agent can fail with by itself.
const FAILURES: [FailureClass; 5] = [
    FailureClass::Transient,
    FailureClass::Transient,
    FailureClass::Crash,
    FailureClass::MalformedOutput,
    FailureClass::Permanent,
];

/// The share of answers that are stored apart from their record.
const LARGE_ANSWERS: f64 = 0.002;

/// The end of an attempt.
fn end(key: AttemptKey, outcome: Outcome) -> Completion {
    let (run, step, attempt) = key;
    Completion { run, step, attempt, outcome, usage: None, proof: EndProof::Proved, agent_lost: None }
}

fn answer(attempt: u32) -> Outcome {
    Outcome::succeeded(Arc::new(json!({"out": attempt})))
}

impl World {
    /// An agent begins to work.
    pub(super) fn start(&mut self, order: &AttemptOrder) {
        let key = (order.run, order.step, order.attempt);
        if self.strikes(Fault::AgentHangs) {
            self.active.insert(key, None);
            return;
        }
        let mut completion = end(key, answer(order.attempt));
        if self.rng.chance(LARGE_ANSWERS) {
            let text = "x".repeat(LARGE + 1);
            completion.outcome = Outcome::succeeded(Arc::new(json!({"out": text})));
        }
        if self.strikes(Fault::AgentLost) {
            completion.outcome = Outcome::Failed(Failure::new(FailureClass::Unreachable, "it cannot be started"));
            completion.agent_lost = Some("it cannot be started".to_owned());
        } else if self.strikes(Fault::AgentLimits) {
            completion.outcome = Outcome::Failed(self.too_much());
        } else if self.strikes(Fault::AgentFails) {
            let class = FAILURES[self.rng.below(FAILURES.len() as u64) as usize];
            completion.outcome = Outcome::Failed(Failure::new(class, "the model agent failed"));
        }
        if self.rng.chance(0.1) {
            completion.usage = Some(Usage { cpu_s: 0.25, peak_rss_bytes: 1 << 20 });
        }
        // Without faults agents are quick, so that what is tried again and again works at last.
        let most = if self.calm { Micros::from_millis(50) } else { self.plan.work_max };
        let at = self.now + self.a_while(most);
        let place = self.at(at, Due::Answer(Box::new(completion)));
        self.active.insert(key, Some(place));
    }

    /// An agent takes no more calls: for a time that it says, or not; now and then for longer than anybody waits.
    fn too_much(&mut self) -> Failure {
        let mut failure = Failure::new(FailureClass::RateLimited, "the model agent takes no more calls");
        failure.retry_after = match self.rng.below(20) {
            0 => Some(RATE_LIMIT_WAIT_MAX + Micros(1)),
            1..12 => Some(self.a_while(Micros::from_secs(20))),
            _ => None,
        };
        failure
    }

    /// An agent is halted where it stands, or goes on; what was about to answer may do so all the same.
    pub(super) fn freeze(&mut self, key: AttemptKey, frozen: bool) {
        let Some(place) = self.active.get(&key).copied() else { return };
        if frozen {
            let place = place.filter(|_| !self.rng.chance(0.1));
            if let Some(place) = place {
                self.due.remove(&place).map(|due| self.halted.insert(key, Some((place.0 - self.now, due))));
                self.active.insert(key, None);
            } else {
                self.halted.insert(key, None);
            }
        } else {
            let left = self.halted.remove(&key).flatten();
            let hangs = place.is_none() && left.is_none();
            if hangs && !self.calm {
                return;
            }
            let (left, due) = left.unwrap_or_else(|| (Micros::ZERO, Due::Answer(Box::new(end(key, answer(key.2))))));
            let place = place.unwrap_or_else(|| self.at(self.now + left, due));
            self.active.insert(key, Some(place));
        }
    }

    /// An agent is told to end: it does within the grace, unless it ends by itself before.
    pub(super) fn stop(&mut self, key: AttemptKey, at_once: bool) {
        let Some(place) = self.active.get(&key).copied() else { return };
        self.halted.remove(&key);
        let most = if at_once { Micros::from_millis(100) } else { GRACE };
        let at = self.now + self.a_while(most);
        let races = place.is_some_and(|place| place.0 <= at) && self.strikes(Fault::AgentRaces);
        if races {
            return;
        }
        if let Some(place) = place {
            self.due.remove(&place);
        }
        let place = self.at(at, Due::Answer(Box::new(end(key, Outcome::Stopped))));
        self.active.insert(key, Some(place));
    }

    /// Whoever does not answer does so now.
    pub(super) fn unhang(&mut self) {
        let hanging: Vec<AttemptKey> =
            self.active.iter().filter(|(_, place)| place.is_none()).map(|(key, _)| *key).collect();
        let hanging: Vec<AttemptKey> = hanging.into_iter().filter(|key| !self.halted.contains_key(key)).collect();
        for key in hanging {
            let place = self.at(self.now, Due::Answer(Box::new(end(key, answer(key.2)))));
            self.active.insert(key, Some(place));
        }
    }

    /// The person does something.
    pub(super) fn press(&mut self) -> Result<(), Broken> {
        let run = RunId::from_index(usize::try_from(self.rng.below(self.plan.runs.len() as u64)).unwrap_or(0));
        let seen = &self.watch.run(run).steps;
        // People look at what moves or has failed more than at the rest, and some only at what hangs.
        let hangs = |step: &StepSeen| matches!(step.state, StepState::Waiting | StepState::Failed | StepState::Unknown);
        let dull = |step: &StepSeen| matches!(step.state, StepState::Pending | StepState::Succeeded);
        let interesting = |step: &StepSeen| if self.plan.habit == Habit::Retries { hangs(step) } else { !dull(step) };
        let draws_the_eye: Vec<usize> = (0..seen.len()).filter(|at| interesting(&seen[*at])).collect();
        let step = if draws_the_eye.is_empty() || self.rng.chance(0.3) {
            usize::try_from(self.rng.below(seen.len() as u64)).unwrap_or(0)
        } else {
            draws_the_eye[usize::try_from(self.rng.below(draws_the_eye.len() as u64)).unwrap_or(0)]
        };
        let agent = self.some_agent();
        let sight = Sight { run, step: StepId::from_index(step), agent, undoes: self.plan.undoes };
        let command = wish(&mut self.rng, self.plan.habit, sight);
        self.command(&command)?.ok();
        Ok(())
    }

    fn some_agent(&mut self) -> AgentId {
        AgentId(u32::try_from(self.rng.below(self.watch.agents() as u64)).unwrap_or(0))
    }

    /// A health check of an agent comes back.
    pub(super) fn check_health(&mut self) -> Result<(), Broken> {
        let (agent, well) = (self.some_agent(), self.rng.chance(0.5));
        let fault = (!well).then(|| "it gives no sign of life".to_owned());
        self.input(&Input::Health { agent, fault })?;
        Ok(())
    }

    /// The machine's load is looked at.
    pub(super) fn weigh(&mut self) -> Result<(), Broken> {
        let per_core = unit(self.rng.next()) * 1.6;
        self.input(&Input::Load { per_core })?;
        Ok(())
    }

    /// An attempt may have been silent for too long: the driver knows when it was heard last.
    pub(super) fn listen(&mut self, timer: Timer) -> Result<(), Broken> {
        let Timer::Idle { run, step, attempt } = timer else { return Ok(()) };
        let hangs = self.active.get(&(run, step, attempt)).is_some_and(Option::is_none);
        let stale = self.watch.is_stale(timer, self.now);
        if stale || hangs || self.strikes(Fault::AgentSilent) {
            return self.timer(timer);
        }
        let undo = self.watch.run(run).step(step).at_work.is_some_and(|work| work.undo);
        let limit = self.watch.run(run).spec(step, undo).idle_timeout.unwrap_or_default();
        let left = limit.saturating_sub(self.a_while(Micros(limit.0 / 2)));
        if self.disarm(timer) {
            self.at(self.now + left, Due::Timer(timer));
        }
        Ok(())
    }

    /// The person breaks an agent.
    pub(super) fn break_agent(&mut self) -> Result<(), Broken> {
        let agent = self.some_agent();
        self.command(&Command::FailAgent { agent })?.ok();
        Ok(())
    }
}
