//! What will happen when a saved run goes on, said before it does: what stays, what is done again, what is still to do.

use super::format::plural;
use super::plain::{list, message};
use crate::model::id::StepId;
use crate::model::safe::Safe;
use crate::model::state::{RunState, StepState};
use crate::model::view::{AgentView, RunView, StepView};
use std::collections::HashMap;

/// Compares a run as it was left with what it will be taken up as; a line a thing, safe to print. `agents` are those of
/// `left`.
#[must_use]
pub fn ahead(left: &RunView, taken_up: &RunView, agents: &[AgentView]) -> Vec<String> {
    let before: HashMap<&str, &StepView> = left.workflow.steps.iter().map(|step| &*step.id).zip(&left.steps).collect();
    let mut lines = Vec::new();
    let mut done = 0;
    let undone = undone(taken_up);
    let mut to_undo = vec![false; taken_up.steps.len()];
    undone.iter().for_each(|step| to_undo[step.index()] = true);
    let mut groups: [Vec<String>; 4] = Default::default();
    let [reopened, asked, again, first] = &mut groups;
    for (at, (spec, now)) in taken_up.workflow.steps.iter().zip(&taken_up.steps).enumerate() {
        let name = || spec.id.to_string();
        let was = before.get(&*spec.id).copied();
        let lost = was.filter(|was| was.attempt_started.is_some());
        if let Some(was) = lost {
            lines.push(lost_line(&spec.id, was, now, agents));
        } else if to_undo[at] {
            // It is told in the order in which it comes.
        } else if now.state == StepState::Succeeded {
            done += 1;
        } else if now.wait.as_ref().is_some_and(|(why, _)| why.asks_a_person()) {
            asked.push(name());
        } else if now.state.ended() || now.state == StepState::Unknown {
            // It stays as it is.
        } else if was.is_some_and(|was| was.state.ended() || was.state == StepState::Unknown) {
            reopened.push(name());
        } else if was.is_some_and(|was| was.attempts > 0) {
            again.push(name());
        } else {
            first.push(name());
        }
    }
    let total = taken_up.steps.len();
    lines.insert(0, format!("{done} of {} done and stay so", plural(total as u64, "step")));
    let undone: Vec<String> = undone
        .iter()
        .filter(|step| !is_lost(&before, &taken_up.workflow.step(**step).id))
        .map(|step| taken_up.workflow.step(*step).id.to_string())
        .collect();
    let told = [
        ("still to be undone, in this order", &undone),
        ("tried again", &*reopened),
        ("waiting for a person's answer", &*asked),
        ("begun before, done again", &*again),
        ("still to do", &*first),
    ];
    for (what, names) in told.into_iter().filter(|(_, names)| !names.is_empty()) {
        lines.push(format!("{what}: {}", list(names)));
    }
    lines
}

/// The steps that a rollback under way has yet to undo, in their order.
fn undone(run: &RunView) -> &[StepId] {
    let rollback = run.rollback.as_ref().filter(|_| run.state == RunState::Compensating);
    rollback.map_or(&[], |rollback| &rollback.undone)
}

fn is_lost(before: &HashMap<&str, &StepView>, name: &str) -> bool {
    before.get(name).is_some_and(|was| was.attempt_started.is_some())
}

/// A step that was under way when upbeat ended.
fn lost_line(name: &str, was: &StepView, now: &StepView, agents: &[AgentView]) -> String {
    let agent = was.agent.and_then(|agent| agents.get(agent.index()));
    let agent = agent.map_or(String::new(), |agent| format!(" on {}", Safe::line(&agent.name)));
    let follows = match now.state {
        StepState::Unknown => "you are asked what is to become of it".to_owned(),
        StepState::Failed => {
            let why = now.failure.as_ref().map_or(String::new(), |failure| format!(": {}", message(&failure.message)));
            format!("it fails{why}")
        }
        StepState::Cancelled => "it is cancelled".to_owned(),
        StepState::Compensating if now.failure.is_some() => "it fails, and what it may have done is undone".to_owned(),
        StepState::Compensating => "what it did is undone".to_owned(),
        state if state.ended() => format!("it is {}", state.word()),
        _ => "it is done again".to_owned(),
    };
    let way = if was.state == StepState::Compensating { "being undone" } else { "under way" };
    format!("{} was {way} (attempt {}{agent}): {follows}", Safe::line(name), was.attempts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::completion::{Failure, FailureClass};
    use crate::model::id::StepId;
    use crate::model::state::WaitReason;
    use crate::model::time::Micros;
    use crate::model::view::RollbackView;
    use crate::model::workflow::Workflow;
    use crate::report::sample::{self, step_view as step};
    use std::sync::Arc;

    fn run(workflow: &Workflow, steps: Vec<StepView>) -> RunView {
        RunView { steps, ..sample::run(workflow) }
    }

    fn agents() -> [AgentView; 1] {
        [sample::agent_view("w\u{1b}[2J")]
    }

    #[test]
    fn what_stays_what_is_lost_and_what_is_left_are_told_apart() {
        use StepState::{Failed, Pending, Ready, Running, Succeeded, Unknown};
        let workflow = sample::workflow();
        let left = [(Succeeded, 1), (Running, 1), (Running, 2), (Ready, 1), (Pending, 0)];
        let then = [(Succeeded, 1), (Ready, 1), (Unknown, 2), (Ready, 1), (Pending, 0)];
        let view = |states: &[(StepState, u32)]| {
            run(&workflow, states.iter().map(|(state, attempts)| step(*state, *attempts)).collect())
        };
        let mut taken_up = view(&then);
        assert_eq!(
            ahead(&view(&left), &taken_up, &agents()),
            [
                "1 of 5 steps done and stay so",
                "technical was under way (attempt 1 on w): it is done again",
                "sentiment was under way (attempt 2 on w): you are asked what is to become of it",
                "begun before, done again: risk",
                "still to do: decision",
            ]
        );
        taken_up.steps[2].state = Failed;
        taken_up.steps[2].failure = Some(Arc::new(Failure::new(FailureClass::Unknown, "nobody\nto ask")));
        let told = ahead(&view(&left), &taken_up, &agents());
        assert_eq!(told[2], "sentiment was under way (attempt 2 on w): it fails: nobody␊to ask");
    }

    #[test]
    fn a_rollback_that_was_interrupted_names_what_it_has_yet_to_undo_and_a_question_who_is_asked() {
        use StepState::{Compensated, Compensating, Succeeded, Waiting};
        let workflow = sample::workflow();
        let view = |states: [StepState; 5]| run(&workflow, states.map(|state| step(state, 1)).to_vec());
        let mut left = view([Succeeded, Succeeded, Compensating, Compensated, Waiting]);
        left.steps[2].attempt_started = Some(Micros::ZERO);
        let mut taken_up = view([Succeeded, Succeeded, Compensating, Compensated, Waiting]);
        taken_up.state = RunState::Compensating;
        taken_up.rollback =
            Some(RollbackView { undone: vec![StepId(2), StepId(1), StepId(0)], left: Vec::new(), pivot: None });
        taken_up.steps[4].wait = Some((WaitReason::Person, None));
        assert_eq!(
            ahead(&left, &taken_up, &agents()),
            [
                "0 of 5 steps done and stay so",
                "sentiment was being undone (attempt 1 on w): what it did is undone",
                "still to be undone, in this order: technical, market",
                "waiting for a person's answer: decision",
            ]
        );
        taken_up.state = RunState::Paused;
        assert_eq!(ahead(&left, &taken_up, &agents())[0], "2 of 5 steps done and stay so");
    }

    #[test]
    fn a_retry_names_what_it_opens_also_under_a_definition_with_other_places() {
        let workflow = sample::workflow();
        let states = [StepState::Succeeded, StepState::Failed, StepState::Succeeded, StepState::Skipped];
        let mut left: Vec<StepView> = states.into_iter().map(|state| step(state, 1)).collect();
        left.push(step(StepState::Skipped, 0));
        let left = run(&workflow, left);
        let mut other = workflow;
        other.steps.swap(0, 1);
        let mut now: Vec<StepView> = (0..5).map(|_| step(StepState::Pending, 1)).collect();
        (now[1].state, now[2].state) = (StepState::Succeeded, StepState::Succeeded);
        let told = ahead(&left, &run(&other, now), &agents());
        assert_eq!(told, ["2 of 5 steps done and stay so", "tried again: technical, risk, decision"]);
    }
}
