//! State to views: what screens see.

use super::explain;
use super::registry::AgentEntry;
use super::run::{Run, StepRun};
use super::world::World;
use crate::model::id::{AgentId, RunId, StepId};
use crate::model::state::{RunState, StepState};
use crate::model::time::Micros;
use crate::model::view::{AgentView, EngineView, RunView, StepDetail, StepView, StoreView};

pub(crate) fn view(world: &World, now: Micros, look_at: Option<(RunId, StepId)>) -> EngineView {
    let looked_at = look_at
        .filter(|(run, step)| world.runs.get(run.index()).is_some_and(|run| run.steps.get(step.index()).is_some()));
    let agents = world.registry.agents.iter().enumerate();
    EngineView {
        now,
        clock_rate: 1.0,
        revision: world.runs.iter().map(|run| run.seq).sum(),
        runs: world.runs.iter().map(|run| run_view(run, now)).collect(),
        agents: agents.map(|(at, entry)| agent_view(AgentId::from_index(at), entry)).collect(),
        detail: looked_at.map(|(run, step)| detail(world, world.run(run), step, now)),
        store: StoreView::default(),
    }
}

fn run_view(run: &Run, now: Micros) -> RunView {
    RunView {
        id: run.id,
        name: run.name.clone(),
        workflow: run.workflow.clone(),
        shape: run.shape.clone(),
        state: run.state,
        status: run.status,
        cause: run.cause,
        seed: run.seed,
        started: run.started,
        ended: run.ended,
        paused_for: run.paused_for,
        steps: run.steps.iter().map(step_view).collect(),
        counts: run.counts,
        attempts: run.attempts,
        faults: run.faults,
        eta: eta(run, now),
        mode: run.workflow.mode,
        frozen: false,
        question: None,
        stuck: false,
        checkpoints: Vec::new(),
        rollback: None,
        figures: crate::model::view::Figures::default(),
        seq: run.seq,
    }
}

fn step_view(step: &StepRun) -> StepView {
    StepView {
        state: step.state,
        wait: step.wait.clone(),
        skip: step.skip,
        agent: step.current.as_ref().map(|c| c.agent).or_else(|| step.log.back().map(|a| a.agent)),
        priority: step.priority,
        attempts: step.attempts,
        injected: step.injected,
        fallback: step.fallback,
        started: step.started,
        attempt_started: step.current.as_ref().map(|c| c.started),
        ended: step.ended,
        failure: step.failure.clone(),
        pinned: None,
        undo_failed: false,
    }
}

fn agent_view(id: AgentId, entry: &AgentEntry) -> AgentView {
    let definition = &entry.definition;
    AgentView {
        id,
        name: definition.id.clone(),
        kind: definition.kind.word(),
        capabilities: definition.capabilities.clone(),
        slots: definition.slots,
        backup: definition.backup,
        takes_faults: definition.takes_faults(),
        broken: entry.broken.clone(),
        busy: entry.busy.values().copied().collect(),
        succeeded: entry.succeeded,
        failed: entry.failed,
        breaker: definition.breaker.map(|_| crate::model::state::BreakerState::Closed),
        parked: None,
        utilisation: 0.0,
    }
}

fn detail(world: &World, run: &Run, step: StepId, now: Micros) -> StepDetail {
    let entry = run.step(step);
    StepDetail {
        run: run.id,
        step,
        input: entry.input.clone(),
        output: entry.output.clone(),
        attempts: entry.log.iter().cloned().collect(),
        why: explain::explain(world, run, step, now),
        dependents: run.dependents_of_success(step),
    }
}

/// The longest expected way to the end from where the steps stand. Rough: slots that will be short do not count.
fn eta(run: &Run, now: Micros) -> Option<Micros> {
    if run.state.ended() || run.state == RunState::Pending {
        return None;
    }
    let left = run.step_ids().map(|id| {
        let (step, tail) = (run.step(id), run.tails[id.index()]);
        match (&step.current, step.state) {
            (Some(current), _) => {
                let behind = run.shape.dependents[id.index()].iter().map(|d| run.tails[d.index()]).max();
                (tail - (now - current.started)).max(behind.unwrap_or(Micros::ZERO))
            }
            (None, StepState::Pending | StepState::Ready | StepState::Waiting) => tail,
            _ => Micros::ZERO,
        }
    });
    left.max()
}
