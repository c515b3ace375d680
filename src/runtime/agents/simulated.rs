//! Simulated and built-in agents: their answers are computed at once and handed back when their time has come.

use super::request::asks_a_person;
use crate::model::agent::{AgentKind, Builtin, Simulated};
use crate::model::completion::{Failure, FailureClass, Outcome};
use crate::model::effect::AttemptOrder;
use crate::model::rng;
use crate::model::time::Micros;
use std::sync::Arc;

/// Names the purpose of a draw.
const DRAW_JITTER: u64 = 1;
/// Names the purpose of a draw.
const DRAW_FAILURE: u64 = 2;

/// When the agent answers, counted from its start, and what. `None`: this kind does real work. `speed` divides what
/// simulated agents take.
#[must_use]
pub fn answer(order: &AttemptOrder, speed: f64) -> Option<(Micros, Outcome)> {
    if order.spec().is_approval() {
        let failure = Failure::new(FailureClass::Permanent, asks_a_person(order));
        return Some((Micros::ZERO, Outcome::Failed(failure)));
    }
    match &order.definition.kind {
        AgentKind::Simulated(simulated) => Some(simulate(order, simulated, speed)),
        AgentKind::Builtin { builtin: Builtin::Echo } => Some((Micros::ZERO, echo(order))),
        AgentKind::Builtin { builtin: Builtin::Sleep } => Some(sleep(order)),
        AgentKind::Builtin { .. } | AgentKind::Process(_) => None,
    }
}

fn echo(order: &AttemptOrder) -> Outcome {
    Outcome::succeeded(order.input.clone())
}

fn sleep(order: &AttemptOrder) -> (Micros, Outcome) {
    let Some(duration) = order.input.get("duration") else {
        return (crate::model::defaults::SIMULATED_DURATION, echo(order));
    };
    match crate::model::time::from_json(duration) {
        Ok(time) => (time, echo(order)),
        Err(why) => {
            let message = format!("`sleep` cannot read its `duration`: {why}");
            (Micros::ZERO, Outcome::Failed(Failure::new(FailureClass::Permanent, message)))
        }
    }
}

fn simulate(order: &AttemptOrder, simulated: &Simulated, speed: f64) -> (Micros, Outcome) {
    let step = order.spec();
    let action = step.action.as_deref();
    let jitter = simulated.jitter * (2.0 * rng::unit(rng::draw(order.draw, &[DRAW_JITTER])) - 1.0);
    let duration = simulated.duration(action, step.estimate).at_speed(simulated.speed * speed);
    let time = if jitter == 0.0 { duration } else { duration.at_speed(1.0 / (1.0 + jitter).max(0.0)) };
    let fail_rate = simulated.fail_rate(action);
    let outcome = if rng::unit(rng::draw(order.draw, &[DRAW_FAILURE])) < fail_rate {
        let message = format!("the simulated agent failed, as it does in {} % of attempts", fail_rate * 100.0);
        Outcome::Failed(Failure::new(FailureClass::Transient, message))
    } else {
        let output = simulated.output(action).map_or_else(|| order.input.clone(), |value| Arc::new(value.clone()));
        Outcome::succeeded(output)
    };
    (time, outcome)
}
