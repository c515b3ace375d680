//! Process agents: refused until the reaper that proves their end is in place.

use crate::model::completion::{Completion, EndProof, Failure, FailureClass, Outcome};
use crate::model::effect::AttemptOrder;
use crate::runtime::clock::Clock;
use crate::runtime::logs::LogStore;
use crate::runtime::reaper::Pool;
use std::sync::Arc;

/// Ends an attempt.
#[derive(Debug)]
pub(crate) struct Stop;

impl Stop {
    pub(crate) const fn stop(&self, _at_once: bool) {}
}

/// Where an attempt's output lines go.
pub(crate) struct Log;

impl Log {
    pub(crate) fn new(_logs: Arc<LogStore>, _clock: Clock, _order: &AttemptOrder) -> Self {
        Self
    }
}

/// Begins an attempt.
pub(crate) fn attempt(
    _pool: Arc<Pool>,
    order: &AttemptOrder,
    _log: Log,
) -> (Stop, impl Future<Output = Completion> + use<>) {
    let failure = Failure::new(FailureClass::Permanent, "process agents are not supported yet");
    let (run, step, attempt) = (order.run, order.step, order.attempt);
    let (outcome, proof) = (Outcome::Failed(failure), EndProof::Proved);
    (Stop, async move { Completion { run, step, attempt, outcome, usage: None, proof, agent_lost: None } })
}
