//! What a run asks of a person, and the command that answers each question.

use super::format::plural;
use super::plain::message;
use super::ways::{Ways, quoted};
use crate::model::safe::Safe;
use crate::model::state::{StepState, WaitReason};
use crate::model::step::{Step, Work};
use crate::model::view::{RunView, StepView};

/// The word for the run itself where a step is expected.
pub const RUN_ITSELF: &str = "run";
/// More questions than this are only counted.
const SHOWN: usize = 10;

/// A question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// The step that asks; `None`: the run itself.
    pub step: Option<String>,
    /// What it asks, safe to print.
    pub what: String,
    /// The command that answers it, safe to print.
    pub command: String,
}

impl Ask {
    /// Who asks what, safe to print.
    #[must_use]
    pub fn question(&self) -> String {
        let who = self.step.as_deref().map_or_else(|| "the run".to_owned(), |step| Safe::line(step).into_string());
        format!("{who} asks: {}", self.what)
    }
}

/// What a run asks, in the order of the file, the run's own question last.
#[must_use]
pub fn asks(run: &RunView, ways: &Ways) -> Vec<Ask> {
    let steps = run.workflow.steps.iter().zip(&run.steps);
    let mut asks: Vec<Ask> = steps.filter_map(|(spec, step)| of_step(run, spec, step, ways)).collect();
    if let Some((succeeded, counted)) = run.question {
        let what = format!("{succeeded} of {} succeeded, fewer than it declares; will that do?", steps_of(counted));
        asks.push(Ask { step: None, what, command: answer(run, RUN_ITSELF, "approve|reject", ways) });
    }
    asks
}

fn steps_of(n: u32) -> String {
    plural(u64::from(n), "step")
}

fn of_step(run: &RunView, spec: &Step, step: &StepView, ways: &Ways) -> Option<Ask> {
    let failure = || step.failure.as_ref().map_or(String::new(), |failure| format!(": {}", message(&failure.message)));
    let (what, command) = match (step.state, step.wait.as_ref().map(|(why, _)| why)) {
        (StepState::Waiting, Some(WaitReason::Approval)) => {
            let prompt = match &spec.work {
                Work::Approval { prompt, .. } => message(prompt),
                _ => "yes or no?".to_owned(),
            };
            (prompt, answer(run, &spec.id, "approve|reject", ways))
        }
        (StepState::Waiting, Some(WaitReason::Person)) => {
            (format!("its retries are spent{}", failure()), answer(run, &spec.id, "approve|reject|JSON", ways))
        }
        (StepState::Unknown, _) => {
            let retry = format!("{} --step {}", run.name, quoted(&spec.id));
            ("it ran when upbeat ended; may it be done again?".to_owned(), ways.command("retry", &retry))
        }
        _ => return None,
    };
    Some(Ask { step: Some(spec.id.to_string()), what, command })
}

fn answer(run: &RunView, step: &str, words: &str, ways: &Ways) -> String {
    ways.command("answer", &format!("{} {} {words}", run.name, quoted(step)))
}

/// The questions and their commands as lines, safe to print.
#[must_use]
pub fn lines(asks: &[Ask]) -> Vec<String> {
    let mut lines = Vec::new();
    for ask in asks.iter().take(SHOWN) {
        lines.push(ask.question());
        lines.push(format!("  answer with: {}", ask.command));
    }
    if asks.len() > SHOWN {
        lines.push(format!("… and {} more", asks.len() - SHOWN));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::completion::{Failure, FailureClass};
    use crate::report::sample;
    use std::sync::Arc;

    #[test]
    fn every_question_comes_with_the_command_that_answers_it() {
        let mut workflow = sample::workflow();
        workflow.steps[0].work = Work::Approval { prompt: "go\u{1b}[2J on?".to_owned(), timeout: None, default: None };
        workflow.steps[1].id = "it's".into();
        let mut run = sample::run(&workflow);
        assert_eq!(asks(&run, &Ways::default()), []);
        run.steps[0].state = StepState::Waiting;
        run.steps[0].wait = Some((WaitReason::Approval, None));
        run.steps[1].state = StepState::Waiting;
        run.steps[1].wait = Some((WaitReason::Person, None));
        run.steps[1].failure = Some(Arc::new(Failure::new(FailureClass::Crash, "gone")));
        run.steps[2].state = StepState::Unknown;
        run.question = Some((3, 5));
        assert_eq!(
            lines(&asks(&run, &Ways::new(Some("/s".to_owned())))),
            [
                "market asks: go on?",
                "  answer with: upbeat answer r1 market approve|reject --store /s",
                "it's asks: its retries are spent: gone",
                "  answer with: upbeat answer r1 'it'\\''s' approve|reject|JSON --store /s",
                "sentiment asks: it ran when upbeat ended; may it be done again?",
                "  answer with: upbeat retry r1 --step sentiment --store /s",
                "the run asks: 3 of 5 steps succeeded, fewer than it declares; will that do?",
                "  answer with: upbeat answer r1 run approve|reject --store /s",
            ]
        );
    }

    #[test]
    fn many_questions_are_counted() {
        let ask = Ask { step: Some("a".to_owned()), what: "x".to_owned(), command: "y".to_owned() };
        assert_eq!(lines(&vec![ask; 500]).last().map(String::as_str), Some("… and 490 more"));
    }
}
