//! Whether two engines hold the same state of a run: what was lived, and what its journal or a snapshot gives.
//!
//! The worklists `open` and `lost` are left out: at rest they may hold what has been dealt with.

use super::registry::AgentEntry;
use super::run::Run;
use super::world::World;
use crate::model::id::RunId;
use std::fmt::Debug;

/// The first difference, in words.
fn differ<T: PartialEq + Debug>(what: &str, ours: &T, theirs: &T) -> Option<String> {
    (ours != theirs).then(|| format!("{what}: {ours:?} here, {theirs:?} there"))
}

/// How two states of a run differ.
pub(crate) fn runs(ours: &Run, theirs: &Run) -> Option<String> {
    let of_step = || {
        let step = ours.step_ids().find(|id| ours.steps[id.index()] != theirs.steps[id.index()])?;
        differ(&ours.spec(step).id, ours.step(step), theirs.step(step))
    };
    differ("number of steps", &ours.steps.len(), &theirs.steps.len())
        .or_else(|| differ("events", &ours.seq, &theirs.seq))
        .or_else(|| differ("state", &ours.state, &theirs.state))
        .or_else(of_step)
        .or_else(|| differ("steps per state", &ours.counts, &theirs.counts))
        .or_else(|| differ("queue", &ours.queue, &theirs.queue))
        .or_else(|| differ("classes", &ours.classes, &theirs.classes))
        .or_else(|| differ("data", &(&ours.data, &ours.scopes), &(&theirs.data, &theirs.scopes)))
        .or_else(|| rest(ours, theirs))
}

fn rest(a: &Run, b: &Run) -> Option<String> {
    differ("status", &(a.status, a.cause), &(b.status, b.cause))
        .or_else(|| differ("start and end", &(a.started, a.ended), &(b.started, b.ended)))
        .or_else(|| differ("pauses", &(a.paused_since, a.paused_for), &(b.paused_since, b.paused_for)))
        .or_else(|| differ("deadline", &(a.resumes, a.deadline_moved), &(b.resumes, b.deadline_moved)))
        .or_else(|| differ("being left", &a.parking, &b.parking))
        .or_else(|| differ("place in the order", &a.cursor, &b.cursor))
        .or_else(|| differ("failures", &a.fresh_failure, &b.fresh_failure))
        .or_else(|| differ("at work", &a.active, &b.active))
        .or_else(|| differ("meters", &a.meters, &b.meters))
        .or_else(|| differ("order of work", &(a.mode, &a.mode_reason), &(b.mode, &b.mode_reason)))
        .or_else(|| differ("halted", &a.frozen, &b.frozen))
        .or_else(|| differ("checkpoints", &a.checkpoints, &b.checkpoints))
        .or_else(|| differ("to be undone", &(&a.undo, a.rollback), &(&b.undo, b.rollback)))
        .or_else(|| differ("undone", &a.undone, &b.undone))
        .or_else(|| differ("tried once more", &a.retried, &b.retried))
        .or_else(|| differ("asked", &(a.question, a.accepted), &(b.question, b.accepted)))
        .or_else(|| differ("given to agents", &a.pins, &b.pins))
        .or_else(|| differ("definition", &a.workflow, &b.workflow))
        .or_else(|| differ("edits", &(&a.edits, &a.routed), &(&b.edits, &b.routed)))
        .or_else(|| differ("result", &(&a.result, a.result_asked), &(&b.result, b.result_asked)))
        .or_else(|| differ("being computed", &a.preparing, &b.preparing))
        .or_else(|| differ("gates", &a.gates.gates, &b.gates.gates))
}

/// How what is known of the agents of a run differs.
pub(crate) fn agents(ours: &World, theirs: &World, run: RunId) -> Option<String> {
    let pairs = ours.run(run).agents.iter().zip(&theirs.run(run).agents);
    pairs.map(|(a, b)| agent(ours.registry.agent(*a), theirs.registry.agent(*b))).find_map(|difference| difference)
}

fn agent(a: &AgentEntry, b: &AgentEntry) -> Option<String> {
    differ("broken", &(&a.broken, a.breaks), &(&b.broken, b.breaks))
        .or_else(|| differ("attempts", &a.busy, &b.busy))
        .or_else(|| differ("ended", &(a.succeeded, a.failed), &(b.succeeded, b.failed)))
        .or_else(|| differ("breaker", &a.breaker, &b.breaker))
        .or_else(|| differ("left alone", &(a.parked, a.parkings, a.said), &(b.parked, b.parkings, b.said)))
        .or_else(|| differ("calls", &(&a.window, &a.begun, a.worked), &(&b.window, &b.begun, b.worked)))
        .or_else(|| differ("measured", a.measured(), b.measured()))
        .map(|difference| format!("agent {}: {difference}", a.definition.id))
}
