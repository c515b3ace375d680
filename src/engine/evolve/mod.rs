//! State and event to state: total, cannot fail, makes no choice.
//!
//! Replaying a journal runs exactly this code, so nothing here may look at anything but the state and the event.

mod attempt;
mod growth;
mod registry;
mod run;
mod step;
mod undo;

use super::redefine;
use super::world::World;
use crate::model::event::{Event, EventKind};
use crate::model::path::Path;
use serde_json::Value;

/// Applies one event.
pub(crate) fn evolve(world: &mut World, event: &Event) {
    if let EventKind::WorkflowChanged { workflow, moved, .. } = &event.kind {
        redefine::redefine(world, event.run, workflow, moved);
    }
    registry::evolve(world, event);
    let run = world.run_mut(event.run);
    run.seq = event.seq;
    match &event.kind {
        EventKind::RunStarted { .. }
        | EventKind::StrategyChosen { .. }
        | EventKind::RunPausing { .. }
        | EventKind::RunPaused { .. }
        | EventKind::RunInterrupted
        | EventKind::RunResumed
        | EventKind::RunStopping
        | EventKind::RunCancelling { .. }
        | EventKind::RunCompensating { .. }
        | EventKind::RunRolledBack { .. }
        | EventKind::RunEscalated { .. }
        | EventKind::RunAnswered { .. }
        | EventKind::RetryRound
        | EventKind::CheckpointMade { .. }
        | EventKind::ResultPreparing
        | EventKind::ResultReady { .. }
        | EventKind::RunFinished { .. }
        | EventKind::RunReopened => run::evolve(run, event),
        EventKind::AttemptStarted { .. }
        | EventKind::AttemptEnding { .. }
        | EventKind::AttemptSucceeded { .. }
        | EventKind::AttemptFailed { .. } => attempt::evolve(run, event),
        EventKind::StepsAdded { .. }
        | EventKind::StepsRemoved { .. }
        | EventKind::StepsRestored { .. }
        | EventKind::EditUndone { .. }
        | EventKind::RouteChosen { .. }
        | EventKind::StepRewired { .. } => growth::evolve(run, event),
        EventKind::StepCompensating { .. }
        | EventKind::StepCompensated { .. }
        | EventKind::CompensationFailed { .. } => undo::evolve(run, event),
        EventKind::FaultFired { .. } => run.meters.faults += 1,
        EventKind::WorkflowChanged { .. }
        | EventKind::AnswerDropped { .. }
        | EventKind::AgentBroken { .. }
        | EventKind::AgentHealed { .. }
        | EventKind::AgentParked { .. }
        | EventKind::AgentUnparked { .. }
        | EventKind::BreakerChanged { .. }
        | EventKind::FaultCleared { .. }
        | EventKind::CommandRefused { .. } => {}
        _ => step::evolve(run, event),
    }
}

/// The paths that an output would be written to, and the fields it lacks.
pub(crate) fn output_paths<'w>(
    mappings: &'w [crate::model::mapping::OutputMapping],
    output: &Value,
) -> (Vec<&'w Path>, Vec<&'w str>) {
    let mut paths = Vec::new();
    let mut missing = Vec::new();
    for mapping in mappings {
        match output {
            Value::Object(fields) if !fields.contains_key(&mapping.field) => missing.push(mapping.field.as_str()),
            _ => paths.push(&mapping.path),
        }
    }
    (paths, missing)
}
