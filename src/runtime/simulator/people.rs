//! Those who meet the engine from outside: agents that work, fail, hang and answer late, and a person at the keys.

use super::plan::Habit;
use super::stats::Fault;
use super::watch::{Broken, StepSeen};
use super::world::{AttemptKey, Due, World};
use crate::model::command::Command;
use crate::model::completion::{Completion, EndProof, Failure, FailureClass, Outcome, Usage};
use crate::model::defaults::GRACE;
use crate::model::effect::AttemptOrder;
use crate::model::id::{AgentId, RunId, StepId};
use crate::model::rng::Rng;
use crate::model::state::{EndCause, StepState};
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
    Outcome::Succeeded { output: Arc::new(json!({"out": attempt})) }
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
            completion.outcome = Outcome::Succeeded { output: Arc::new(json!({"out": text})) };
        }
        if self.strikes(Fault::AgentLost) {
            completion.outcome = Outcome::Failed(Failure::new(FailureClass::Unreachable, "it cannot be started"));
            completion.agent_lost = Some("it cannot be started".to_owned());
        } else if self.strikes(Fault::AgentFails) {
            let class = FAILURES[self.rng.below(FAILURES.len() as u64) as usize];
            completion.outcome = Outcome::Failed(Failure::new(class, "the model agent failed"));
        }
        if self.rng.chance(0.1) {
            completion.usage = Some(Usage { cpu_s: 0.25, peak_rss_bytes: 1 << 20 });
        }
        let at = self.now + self.a_while(self.plan.work_max);
        let place = self.at(at, Due::Answer(Box::new(completion)));
        self.active.insert(key, Some(place));
    }

    /// An agent is told to end: it does within the grace, unless it ends by itself before.
    pub(super) fn stop(&mut self, key: AttemptKey, at_once: bool) {
        let Some(place) = self.active.get(&key).copied() else { return };
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
        let agents = self.watch.agents() as u64;
        let command = wish(&mut self.rng, self.plan.habit, run, StepId::from_index(step), agents);
        self.command(command)?.ok();
        Ok(())
    }

    /// The person breaks an agent.
    pub(super) fn break_agent(&mut self) -> Result<(), Broken> {
        let agent = AgentId(u32::try_from(self.rng.below(self.watch.agents() as u64)).unwrap_or(0));
        self.command(Command::FailAgent { agent })?.ok();
        Ok(())
    }
}

/// What a person might think of.
fn wish(rng: &mut Rng, habit: Habit, run: RunId, step: StepId, agents: u64) -> Command {
    let agent = AgentId(u32::try_from(rng.below(agents)).unwrap_or(0));
    let causes = [EndCause::Cancel, EndCause::Quit, EndCause::Terminate, EndCause::HangUp];
    let any = match habit {
        Habit::Pauses if rng.chance(0.6) => rng.below(20),
        Habit::Retries if rng.chance(0.6) => 20 + rng.below(16),
        Habit::Breaks if rng.chance(0.6) => 36 + rng.below(9),
        _ => rng.below(60),
    };
    match any {
        0..8 => Command::Pause { run },
        8..18 => Command::Resume { run },
        18..20 => Command::Park { run },
        20..24 => Command::CancelStep { run, step },
        24..33 => Command::RetryStep { run, step },
        33..36 => Command::RetryFailed { run },
        36..40 => Command::FailAgent { agent },
        40..45 => Command::HealAgent { agent },
        45..56 => Command::SetPriority { run, step, priority: u8::try_from(rng.below(101)).unwrap_or(0) },
        56 => Command::Start { run },
        57 => Command::Stop { run },
        _ => Command::Cancel { run, cause: causes[rng.below(4) as usize] },
    }
}
