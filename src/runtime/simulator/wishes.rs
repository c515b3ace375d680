//! What a person might think of.

use super::plan::Habit;
use crate::model::command::{Answer, BreakerMode, Command, Which};
use crate::model::id::{AgentId, RunId, StepId};
use crate::model::rng::Rng;
use crate::model::state::EndCause;
use serde_json::json;

/// What a person looks at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sight {
    pub(super) run: RunId,
    pub(super) step: StepId,
    pub(super) agent: AgentId,
    /// The run can be undone.
    pub(super) undoes: bool,
}

/// A wish, by the person's habit most of the time.
pub(super) fn wish(rng: &mut Rng, habit: Habit, sight: Sight) -> Command {
    let Sight { run, step, agent, .. } = sight;
    let at = match habit {
        Habit::Pauses if rng.chance(0.6) => rng.below(23),
        Habit::Retries if rng.chance(0.4) => 27 + rng.below(9),
        Habit::Retries if rng.chance(0.6) => 23 + rng.below(16),
        Habit::Breaks if rng.chance(0.6) => 39 + rng.below(14),
        Habit::Decides if rng.chance(0.6) => 53 + rng.below(16),
        Habit::Undoes if rng.chance(0.3) => 69 + rng.below(3),
        _ => rng.below(85),
    };
    match at {
        0..6 => Command::Pause { run },
        6..11 => Command::Freeze { run },
        11..21 => Command::Resume { run },
        21..23 => Command::Park { run },
        23..27 => Command::CancelStep { run, step },
        27..36 => Command::RetryStep { run, step },
        36..39 => Command::RetryFailed { run },
        39..43 => Command::FailAgent { agent },
        43..48 => Command::HealAgent { agent },
        48..53 => set_breaker(rng, agent),
        53..56 => Command::SkipStep { run, step },
        56..59 => Command::CompleteStep { run, step, output: json!({"out": "by hand"}) },
        59..63 => Command::ReassignStep { run, step, agent },
        63..69 => answer(rng, run, step),
        69..72 => undo(rng, sight),
        72..80 => Command::SetPriority { run, step, priority: u8::try_from(rng.below(101)).unwrap_or(0) },
        80..82 => several(rng, sight),
        82 => Command::Start { run },
        83 => Command::Stop { run },
        _ => end(rng, run),
    }
}

fn end(rng: &mut Rng, run: RunId) -> Command {
    let causes = [EndCause::Cancel, EndCause::Quit, EndCause::Terminate, EndCause::HangUp];
    Command::Cancel { run, cause: causes[rng.below(4) as usize] }
}

fn set_breaker(rng: &mut Rng, agent: AgentId) -> Command {
    let modes = [BreakerMode::Automatic, BreakerMode::Automatic, BreakerMode::ForcedOpen, BreakerMode::ForcedClosed];
    Command::SetBreaker { agent, mode: modes[rng.below(4) as usize] }
}

fn answer(rng: &mut Rng, run: RunId, step: StepId) -> Command {
    let answer = match rng.below(4) {
        0 => Answer::Reject,
        1 => Answer::Value(json!({"out": "answered"})),
        _ => Answer::Approve,
    };
    Command::Answer { run, step: rng.chance(0.8).then_some(step), answer }
}

/// Everything is to be undone, or what was done since one of the first checkpoints.
fn undo(rng: &mut Rng, sight: Sight) -> Command {
    let run = sight.run;
    if !sight.undoes && rng.chance(0.7) {
        return Command::Resume { run };
    }
    let to = rng.chance(0.6).then(|| 1 + u32::try_from(rng.below(3)).unwrap_or(0));
    Command::Rollback { run, to }
}

fn several(rng: &mut Rng, sight: Sight) -> Command {
    let which = match rng.below(4) {
        0 => Which::Agent(sight.agent),
        1 => Which::Capability(format!("c{}", rng.below(4)).into()),
        2 => Which::Action(format!("act{}", rng.below(3)).into()),
        _ => {
            let from = u8::try_from(rng.below(101)).unwrap_or(0);
            Which::Priority { from, to: from.saturating_add(30) }
        }
    };
    Command::CancelWhere { run: sight.run, which, reassign: rng.chance(0.5) }
}
