//! What an accepted command is answered with, where the screen alone would not tell.

use super::texts::Texts;
use crate::model::command::{Answer, BreakerMode, Command, Done};
use crate::model::id::StepId;
use crate::report::format::plural;

/// The most names in an answer.
const NAMES_MAX: usize = 3;

/// A line about what a command did; `None`: one sees it.
pub(crate) fn accepted(texts: &Texts, command: &Command, done: &Done) -> Option<String> {
    let words = match command {
        Command::CancelStep { .. } | Command::CancelWhere { .. } | Command::Cancel { .. } => return hit(texts, done),
        Command::SkipStep { step, .. } => format!("{} is skipped", texts.step(*step)),
        Command::CompleteStep { step, .. } => format!("{} is completed by hand", texts.step(*step)),
        Command::ReassignStep { step, agent, .. } => {
            format!("{} is given to {}", texts.step(*step), texts.agent(*agent))
        }
        Command::Answer { step, answer, .. } => {
            let who = step.map_or("the run", |step| texts.step(step));
            match answer {
                Answer::Approve => format!("{who} is answered: yes"),
                Answer::Reject => format!("{who} is answered: no"),
                Answer::Value(_) => format!("{who} is answered with a value"),
            }
        }
        Command::Rollback { to: None, .. } => "what was done is being undone".to_owned(),
        Command::Rollback { to: Some(number), .. } => format!("going back to checkpoint {number}"),
        Command::SetBreaker { agent, mode } => {
            let mode = match mode {
                BreakerMode::Automatic => "works by itself again",
                BreakerMode::ForcedOpen => "is held open: it gets no work; b again: held closed",
                BreakerMode::ForcedClosed => "is held closed: it gets work whatever happens; b again: automatic",
            };
            format!("the breaker of {} {mode}", texts.agent(*agent))
        }
        _ => return None,
    };
    Some(words)
}

/// `2 steps cancelled (a, b), 3 dependents with them, 1 given to others`.
fn hit(texts: &Texts, done: &Done) -> Option<String> {
    let part = |steps: &[StepId], noun: &str, tail: &str| {
        let names = texts.list(steps, NAMES_MAX);
        (!steps.is_empty()).then(|| format!("{}{tail} ({names})", plural(steps.len() as u64, noun)))
    };
    let parts = [
        part(&done.cancelled, "step", " cancelled"),
        part(&done.dependents, "dependent", " with them"),
        part(&done.reassigned, "step", " given to others"),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::id::{AgentId, RunId};
    use crate::tui::tests::fixtures;

    #[test]
    fn what_was_hit_is_counted_and_named() {
        let view = fixtures::busy();
        let mut texts = Texts::default();
        texts.refresh(&view, &view.runs[0]);
        let command = Command::CancelStep { run: RunId(0), step: StepId(1) };
        let done = Done { cancelled: vec![StepId(1)], dependents: [3, 4].map(StepId).to_vec(), reassigned: Vec::new() };
        let said = accepted(&texts, &command, &done).unwrap();
        assert_eq!(
            said,
            "1 step cancelled (technical_analysis), 2 dependents with them (risk_assessment, trading_decision)"
        );
        assert_eq!(accepted(&texts, &command, &Done::default()), None, "one sees what is being cancelled");
        let open = Command::SetBreaker { agent: AgentId(1), mode: BreakerMode::ForcedOpen };
        let said = accepted(&texts, &open, &Done::default()).unwrap();
        assert!(said.starts_with("the breaker of technical-1 is held open"), "{said}");
    }
}
