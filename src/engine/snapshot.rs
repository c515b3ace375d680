//! A run's whole state as one document, so that opening a long run does not have to fold all of its events.
//!
//! A snapshot is only ever taken of an engine that has had this one run, so that what it says about agents comes from
//! this run's events alone. Counts, queues and worklists are not in it: they follow from the rest.

use super::breaker::Breaker;
use super::meters::Meters;
use super::registry::{AgentEntry, Begun};
use super::run::{Checkpoint, Class, EditDone, Rollback, Run, RunResult, StepRun};
use super::window::Window;
use super::world::World;
use crate::model::bug::{Bug, seeded};
use crate::model::event::TakeOver;
use crate::model::id::{AgentId, Name, RunId, StepId};
use crate::model::policy::Mode;
use crate::model::route::Decision;
use crate::model::state::{Broken, EndCause, RunState, RunStatus};
use crate::model::time::Micros;
use crate::model::view::Busy;
use crate::model::workflow::Workflow;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

#[derive(Serialize, Deserialize)]
struct Snapshot {
    /// The definition the run has now.
    workflow: Arc<Workflow>,
    seq: u64,
    state: RunState,
    status: Option<RunStatus>,
    cause: Option<EndCause>,
    started: Option<Micros>,
    ended: Option<Micros>,
    paused_since: Option<Micros>,
    paused_for: Micros,
    resumes: u32,
    deadline_moved: Micros,
    parking: bool,
    frozen: bool,
    mode: Mode,
    mode_reason: String,
    checkpoints: Vec<Checkpoint>,
    undo: VecDeque<StepId>,
    rollback: Option<Rollback>,
    undone: Vec<StepId>,
    retried: bool,
    question: Option<(u32, u32)>,
    accepted: Option<bool>,
    pins: Vec<(AgentId, usize, usize)>,
    classes: Vec<Class>,
    routed: Vec<(StepId, Decision)>,
    edits: Vec<EditDone>,
    result_asked: Option<u32>,
    result: RunResult,
    meters: Meters,
    steps: Vec<StepRun>,
    data: Arc<Value>,
    scopes: BTreeMap<StepId, Arc<Value>>,
    fresh_failure: bool,
    /// In the order of the workflow's agents.
    agents: Vec<AgentState>,
}

#[derive(Serialize, Deserialize)]
struct AgentState {
    broken: Option<Broken>,
    breaks: u32,
    succeeded: u64,
    failed: u64,
    measured: BTreeMap<Name, (u32, Micros)>,
    breaker: Breaker,
    parked: Option<Micros>,
    parkings: u32,
    said: u32,
    window: Window,
    worked: Micros,
    /// By step.
    begun: Vec<(StepId, Begun)>,
}

/// The run's state, and the event it stands behind; `None` where other runs have used the agents too.
pub(crate) fn take(world: &World, run: &Run) -> Option<(u64, Vec<u8>)> {
    if world.runs.len() != 1 || run.started.is_none() {
        return None;
    }
    let agent = |id: &AgentId| {
        let entry = world.registry.agent(*id);
        AgentState {
            broken: entry.broken.clone(),
            breaks: entry.breaks,
            succeeded: entry.succeeded,
            failed: entry.failed,
            measured: entry.measured().clone(),
            breaker: entry.breaker.clone(),
            parked: entry.parked,
            parkings: entry.parkings,
            said: entry.said,
            window: entry.window.clone(),
            worked: entry.worked,
            begun: entry.begun.iter().map(|((_, step), begun)| (*step, *begun)).collect(),
        }
    };
    let snapshot = Snapshot {
        workflow: run.workflow.clone(),
        seq: run.seq,
        state: run.state,
        status: run.status,
        cause: run.cause,
        started: run.started,
        ended: run.ended,
        paused_since: run.paused_since,
        paused_for: run.paused_for,
        resumes: run.resumes,
        deadline_moved: run.deadline_moved,
        parking: run.parking,
        frozen: run.frozen,
        mode: run.mode,
        mode_reason: run.mode_reason.clone(),
        checkpoints: run.checkpoints.clone(),
        undo: run.undo.clone(),
        rollback: run.rollback,
        undone: run.undone.clone(),
        retried: run.retried,
        question: run.question,
        accepted: run.accepted,
        pins: run.pins.clone(),
        classes: run.classes.clone(),
        routed: run.routed.clone(),
        edits: run.edits.clone(),
        result_asked: run.result_asked,
        result: run.result.clone(),
        meters: run.meters.clone(),
        steps: run.steps.clone(),
        data: run.data.clone(),
        scopes: run.scopes.clone(),
        fresh_failure: run.fresh_failure,
        agents: run.agents.iter().map(agent).collect(),
    };
    serde_json::to_vec(&snapshot).ok().map(|bytes| (run.seq, bytes))
}

/// Brings a run that was just loaded to the state of a snapshot.
///
/// # Errors
/// If it is not a snapshot of such a run, in words. Nothing was changed then.
pub(crate) fn apply(world: &mut World, id: RunId, bytes: &[u8]) -> Result<(), String> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    reader.disable_recursion_limit();
    let snapshot = Snapshot::deserialize(&mut reader).map_err(|error| error.to_string())?;
    if snapshot.steps.len() != snapshot.workflow.steps.len() || snapshot.agents.len() != snapshot.workflow.agents.len()
    {
        return Err("it does not fit its own workflow".to_owned());
    }
    if snapshot.workflow != world.run(id).workflow {
        // Nothing has happened in it yet, so nothing is carried over.
        super::redefine::redefine(world, id, &snapshot.workflow, &[]);
    }
    let run = world.run_mut(id);
    (run.seq, run.state, run.status, run.cause) = (snapshot.seq, snapshot.state, snapshot.status, snapshot.cause);
    (run.started, run.ended, run.paused_since) = (snapshot.started, snapshot.ended, snapshot.paused_since);
    (run.paused_for, run.deadline_moved, run.resumes) =
        (snapshot.paused_for, snapshot.deadline_moved, snapshot.resumes);
    (run.parking, run.fresh_failure) = (snapshot.parking, snapshot.fresh_failure);
    (run.data, run.scopes, run.meters) = (snapshot.data, snapshot.scopes, snapshot.meters);
    run.steps = snapshot.steps;
    if seeded(Bug::SnapshotMissesField) {
        run.steps.iter_mut().for_each(|step| step.spent = 0);
    }
    (run.frozen, run.mode, run.mode_reason) = (snapshot.frozen, snapshot.mode, snapshot.mode_reason);
    (run.checkpoints, run.undo, run.rollback) = (snapshot.checkpoints, snapshot.undo, snapshot.rollback);
    (run.undone, run.retried) = (snapshot.undone, snapshot.retried);
    (run.question, run.accepted) = (snapshot.question, snapshot.accepted);
    let agents = run.agents.clone();
    // Their numbers tell in which order they were made, which nothing else does.
    (run.classes, run.pins) = (snapshot.classes, snapshot.pins);
    run.routed = snapshot.routed;
    (run.edits, run.result_asked, run.result) = (snapshot.edits, snapshot.result_asked, snapshot.result);
    place_agents(run, &agents);
    super::grow::changed(run, run.steps.len());
    let busy: Vec<_> = run
        .step_ids()
        .filter_map(|step| {
            let current = run.step(step).current.as_ref()?;
            Some((current.agent, Busy { run: id, step, attempt: current.attempt, since: current.started }))
        })
        .collect();
    for (place, state) in agents.into_iter().zip(snapshot.agents) {
        let entry: &mut AgentEntry = world.registry.agent_mut(place);
        (entry.broken, entry.breaks) = (state.broken, state.breaks);
        entry.set_measured(state.succeeded, state.failed, state.measured);
        (entry.breaker, entry.parked, entry.parkings) = (state.breaker, state.parked, state.parkings);
        (entry.said, entry.window, entry.worked) = (state.said, state.window, state.worked);
        if let Some((of_run, ..)) = &mut entry.breaker.probe {
            *of_run = id;
        }
        entry.begun.extend(state.begun.into_iter().map(|(step, begun)| ((id, step), begun)));
    }
    for (agent, busy) in busy {
        world.registry.agent_mut(agent).busy.insert((id, busy.step), busy);
    }
    Ok(())
}

/// In a snapshot, as in a journal, agents are numbered by their place in the workflow.
fn place_agents(run: &mut Run, agents: &[AgentId]) {
    if agents.iter().enumerate().all(|(at, id)| id.index() == at) {
        return;
    }
    let place = |id: AgentId| agents.get(id.index()).copied().unwrap_or(id);
    run.classes.iter_mut().flat_map(|class| &mut class.candidates).for_each(|id| *id = place(*id));
    run.pins.iter_mut().for_each(|(agent, ..)| *agent = place(*agent));
    run.meters.agents_used = run.meters.agents_used.iter().map(|id| place(*id)).collect();
    for step in &mut run.steps {
        step.tried.iter_mut().for_each(|id| *id = place(*id));
        step.log.iter_mut().for_each(|attempt| attempt.agent = place(attempt.agent));
        if let Some(current) = &mut step.current {
            current.agent = place(current.agent);
        }
        if let Some((why, _)) = &mut step.wait {
            why.agents_mut().iter_mut().for_each(|id| *id = place(*id));
        }
        step.pinned = step.pinned.map(place);
        if let Some(TakeOver::Reassign(Some(id))) = &mut step.take_over {
            *id = place(*id);
        }
    }
}
