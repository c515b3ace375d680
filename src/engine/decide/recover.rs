//! A run whose journal was opened again: what was under way when upbeat ended is settled before anything goes on.
//!
//! The caller has proved that nothing of the old attempts is left. An attempt that was being ended anyway (a timeout, a
//! cancel, a fault) has ended as it was to; the outcome of any other is unknown, and the step says what follows.

use super::{Decided, step};
use crate::engine::run::{Run, RunResult};
use crate::engine::world::World;
use crate::model::bug::{Bug, seeded};
use crate::model::command::Rejection;
use crate::model::completion::{Completion, EndProof, Failure, FailureClass, Outcome};
use crate::model::event::EventKind;
use crate::model::id::{AgentId, RunId, StepId};
use crate::model::policy::OnUnknown;
use crate::model::state::{RunState, SkipReason, StepState};
use crate::model::time::Micros;
use crate::model::workflow::{FileStamp, Workflow};
use std::sync::Arc;

/// The journal was opened by another upbeat than the one that wrote it. `ask`: a person is there to be asked.
pub(crate) fn reopened(world: &World, run: RunId, ask: bool, decided: &mut Decided) {
    let run = world.run(run);
    if run.started.is_none() {
        return;
    }
    let computing = run.preparing > 0 || run.result == RunResult::Asked;
    let left_properly = run.active == 0 && !computing && (run.state.ended() || run.state == RunState::Paused);
    if !left_properly {
        decided.push((run.id, EventKind::RunInterrupted));
    }
    // Whoever could not be started then may have been repaired since; what was broken on purpose stays broken.
    let broken = |id: &AgentId| world.registry.agent(*id).broken.as_ref();
    let lost = |id: &&AgentId| broken(id).is_some_and(|broken| !broken.injected);
    decided.extend(run.agents.iter().filter(lost).map(|&agent| (run.id, EventKind::AgentHealed { agent })));
    for step in run.step_ids().filter(|&id| run.step(id).state == StepState::Unknown) {
        // Another definition may have an answer by now.
        if run.spec(step).on_unknown == OnUnknown::Retry {
            decided.push((run.id, step::ready_again(step)));
        } else if !ask {
            let failure = nobody_to_ask(run, step);
            decided.push((run.id, EventKind::StepFailed { step, failure }));
        }
    }
}

/// An attempt was under way when upbeat ended.
pub(crate) fn lost(world: &World, now: Micros, at: (RunId, StepId, u32), ask: bool, decided: &mut Decided) {
    let (run, step, attempt) = (world.run(at.0), at.1, at.2);
    let Some(current) = run.step(step).current.as_ref().filter(|current| current.attempt == attempt) else { return };
    if current.ending.is_some() {
        let (outcome, proof) = (Outcome::Stopped, EndProof::Proved);
        let end = Completion { run: run.id, step, attempt, outcome, usage: None, proof, agent_lost: None };
        step::completed(world, now, &end, decided);
        return;
    }
    let failure = Failure::new(FailureClass::Unknown, "upbeat ended while it ran; what it did is not known");
    let (agent, proof) = (current.agent, EndProof::Proved);
    decided.push((run.id, EventKind::AttemptFailed { step, attempt, agent, failure, usage: None, proof }));
    if current.undo {
        // It is undone with the same idempotency key as before, whatever came of it.
        decided.push((run.id, EventKind::StepCompensating { step }));
        return;
    }
    if seeded(Bug::UnknownTakenAsDone) {
        step::done(run, step, &Arc::new(serde_json::Value::Null), None, None, decided);
        return;
    }
    let next = match run.spec(step).on_unknown {
        OnUnknown::Retry => step::ready_again(step),
        OnUnknown::Ask if ask => EventKind::StepUnknown { step },
        OnUnknown::Ask => EventKind::StepFailed { step, failure: nobody_to_ask(run, step) },
        OnUnknown::Fail => {
            let message = "upbeat ended while it ran, and it is declared to fail then (`on_unknown: fail`)";
            EventKind::StepFailed { step, failure: Failure::new(FailureClass::Unknown, message) }
        }
    };
    decided.push((run.id, next));
}

fn nobody_to_ask(run: &Run, step: StepId) -> Failure {
    let (name, id) = (&run.name, &run.spec(step).id);
    Failure::new(
        FailureClass::Unknown,
        format!(
            "upbeat ended while it ran, and nobody is there to be asked whether it may be done again; if it may: \
             upbeat retry {name} --step {id}"
        ),
    )
}

/// The run goes on under another definition.
pub(crate) fn redefined(
    run: &Run,
    workflow: &Arc<Workflow>,
    files: &[FileStamp],
    decided: &mut Decided,
) -> Result<(), Rejection> {
    let stands = run.state == RunState::Pending || (run.state == RunState::Paused && run.active == 0);
    if !stands {
        let reason = format!("a run that is {} cannot be given another definition", run.state.word());
        return Err(Rejection::with_way_out(reason, "start a new run of the changed file"));
    }
    if run.step_ids().any(|id| run.step(id).joined || run.step(id).gone) || !run.edits.is_empty() {
        let reason = "its graph has changed while it ran, and another definition does not know how";
        return Err(Rejection::with_way_out(reason, "resume it with the file as it was, or start a new run"));
    }
    let moved: Vec<Option<StepId>> = run.step_ids().map(|step| workflow.find(&run.spec(step).id)).collect();
    // What was skipped because of a step that is gone has no reason left.
    for step in run.step_ids() {
        if let Some(SkipReason::Upstream { need } | SkipReason::NotNeeded { need }) = run.step(step).skip
            && moved[need.index()].is_none()
        {
            decided.push((run.id, EventKind::StepReopened { step }));
        }
    }
    let (workflow, files) = (workflow.clone(), files.to_vec());
    decided.push((run.id, EventKind::WorkflowChanged { workflow, files, moved }));
    Ok(())
}
