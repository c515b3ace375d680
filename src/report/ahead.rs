//! What will happen when a saved run goes on, said before it does: what stays, what is done again, what is still to do.

use super::format::plural;
use super::plain::{list, message};
use crate::model::safe::Safe;
use crate::model::state::StepState;
use crate::model::view::{AgentView, RunView, StepView};
use std::collections::HashMap;

/// Compares a run as it was left with what it will be taken up as; a line a thing, safe to print. `agents` are those of
/// `left`.
#[must_use]
pub fn ahead(left: &RunView, taken_up: &RunView, agents: &[AgentView]) -> Vec<String> {
    let before: HashMap<&str, &StepView> = left.workflow.steps.iter().map(|step| &*step.id).zip(&left.steps).collect();
    let mut lines = Vec::new();
    let mut done = 0;
    let mut groups: [Vec<String>; 3] = Default::default();
    let [reopened, again, first] = &mut groups;
    for (spec, now) in taken_up.workflow.steps.iter().zip(&taken_up.steps) {
        let name = || spec.id.to_string();
        let was = before.get(&*spec.id).copied();
        let lost = was.filter(|was| was.attempt_started.is_some());
        if let Some(was) = lost {
            lines.push(lost_line(&spec.id, was, now, agents));
        } else if now.state == StepState::Succeeded {
            done += 1;
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
    let told = [("tried again", &*reopened), ("begun before, done again", &*again), ("still to do", &*first)];
    for (what, names) in told.into_iter().filter(|(_, names)| !names.is_empty()) {
        lines.push(format!("{what}: {}", list(names)));
    }
    lines
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
        state if state.ended() => format!("it is {}", state.word()),
        _ => "it is done again".to_owned(),
    };
    format!("{} was under way (attempt {}{agent}): {follows}", Safe::line(name), was.attempts)
}
