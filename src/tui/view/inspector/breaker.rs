//! Breakers in words: how an agent's stands, and what those of a step's agents are set to.

use crate::model::state::BreakerState;
use crate::model::step::Step;
use crate::model::view::AgentView;
use crate::report::format::{plural, span};
use crate::tui::dialogs::can_do;
use crate::tui::view::cx::Cx;

/// The most agents named.
const NAMES_MAX: usize = 3;

/// How a breaker stands.
pub(super) fn state(cx: &Cx<'_>, breaker: BreakerState) -> String {
    match breaker {
        BreakerState::Closed => "closed: work goes through".to_owned(),
        BreakerState::Open { until, cooldown } => {
            format!("open: a probe goes through in {} (of {})", cx.left(until), span(cooldown))
        }
        BreakerState::HalfOpen { .. } => "half-open: one probe goes through, and its end decides".to_owned(),
        BreakerState::ForcedOpen => "forced open by hand: nothing goes through; b changes it".to_owned(),
        BreakerState::ForcedClosed => "forced closed by hand: everything goes through; b changes it".to_owned(),
    }
}

/// When an agent's breaker opens.
pub(super) fn policy(cx: &Cx<'_>, agent: &AgentView) -> Option<String> {
    let definition = cx.run?.workflow.agents.iter().find(|definition| definition.id == agent.name)?;
    let policy = definition.breaker?;
    Some(format!(
        "opens after {} in a row, for {}",
        plural(u64::from(policy.failures), "failure"),
        span(policy.cooldown)
    ))
}

/// Those of the agents that could do a step: the ones that are not simply closed by name, the rest counted.
pub(super) fn of_step(cx: &Cx<'_>, step: &Step) -> Option<String> {
    let able = cx.view.agents.iter().filter(|agent| can_do(agent, step));
    let states: Vec<(&AgentView, BreakerState)> = able.filter_map(|agent| Some((agent, agent.breaker?))).collect();
    let (closed, other): (Vec<_>, Vec<_>) = states.iter().partition(|(_, state)| *state == BreakerState::Closed);
    let mut words: Vec<String> = other
        .iter()
        .take(NAMES_MAX)
        .map(|(agent, state)| {
            let left = match state {
                BreakerState::Open { until, .. } => format!(" {}", cx.left(*until)),
                _ => String::new(),
            };
            format!("{} {}{left}", cx.app.texts.agent(agent.id), state.word())
        })
        .collect();
    if other.len() > NAMES_MAX {
        words.push(format!("{} more not closed", other.len() - NAMES_MAX));
    }
    if !closed.is_empty() {
        words.push(format!("{} closed", closed.len()));
    }
    (!words.is_empty()).then(|| words.join(", "))
}
