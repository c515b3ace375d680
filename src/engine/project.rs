//! State to views: what screens see.

use super::decide::undo;
use super::explain;
use super::figures::figures;
use super::registry::AgentEntry;
use super::route;
use super::run::{Run, RunResult};
use super::waits::{Wait, obstacles, standing, standing_by};
use super::world::World;
use crate::model::id::{AgentId, RunId, StepId};
use crate::model::state::{BreakerState, RunState, StepState};
use crate::model::time::Micros;
use crate::model::view::{AgentView, CheckpointView, Counts, EngineView, RunView, StepDetail, StepView, StoreView};
use std::collections::BTreeMap;

/// Up to this size a view says what a rollback would do: finding its order looks at the whole graph.
const PREVIEW_STEPS_MAX: usize = 2_000;

pub(crate) fn view(world: &World, now: Micros, look_at: Option<(RunId, StepId)>) -> EngineView {
    let looked_at =
        look_at.filter(|(run, step)| world.runs.get(run).is_some_and(|run| run.steps.get(step.index()).is_some()));
    let agents = world.registry.agents.iter().enumerate();
    EngineView {
        now,
        clock_rate: 1.0,
        revision: world.runs.values().map(|run| run.seq).sum(),
        runs: world.runs.values().map(|run| run_view(world, run, now)).collect(),
        agents: agents.map(|(at, entry)| agent_view(world, AgentId::from_index(at), entry, now)).collect(),
        detail: looked_at.map(|(run, step)| detail(world, world.run(run), step, now)),
        store: StoreView::default(),
        machine: None,
    }
}

fn run_view(world: &World, run: &Run, now: Micros) -> RunView {
    let obstacles = obstacles(world, run);
    let steps: Vec<StepView> = run.step_ids().map(|id| step_view(run, id, &obstacles)).collect();
    let mut counts = Counts::default();
    let whole = |step: &&StepView| !step.gone && step.parts.is_none_or(|parts| parts == 0);
    steps.iter().filter(whole).for_each(|step| counts.add(step.state));
    let undoable = run.steps.len() <= PREVIEW_STEPS_MAX && run.workflow.steps.iter().any(|s| s.compensate.is_some());
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
        paused_for: run.paused_for + run.paused_since.map_or(Micros::ZERO, |since| now.saturating_sub(since)),
        undoing: run.rollback.is_some(),
        stuck: is_stuck(world, run),
        steps,
        counts,
        attempts: run.meters.attempts,
        faults: run.meters.faults,
        eta: eta(world, run, now),
        mode: run.mode,
        frozen: run.frozen,
        question: run.question,
        checkpoints: run
            .checkpoints
            .iter()
            .map(|mark| CheckpointView { number: mark.number, step: mark.step, at: mark.at })
            .collect(),
        rollback: (undoable && run.started.is_some()).then(|| undo::preview(run, None)),
        figures: figures(world, run, now),
        seq: run.seq,
    }
}

/// Whether nothing will happen any more unless a person does something: nothing runs, and whatever waits, waits without
/// an end. A health check may still find a broken agent well.
pub(crate) fn is_stuck(world: &World, run: &Run) -> bool {
    let goes = matches!(run.state, RunState::Running | RunState::Compensating);
    goes && run.active == 0
        && run.preparing == 0
        && run.result != RunResult::Asked
        && !run.step_ids().any(|id| moves(world, run, id))
}

/// Whether something will become of a step by itself.
fn moves(world: &World, run: &Run, id: StepId) -> bool {
    if !matches!(run.step(id).state, StepState::Ready | StepState::Waiting | StepState::Compensating) {
        return false;
    }
    match standing(world, run, id) {
        // Who is ready and waits for its turn begins when the step before it has ended: whether that moves is what counts.
        (StepState::Ready, _) => run.has_turn(id),
        (_, Some((why, until))) => until.is_some() || why.agents().iter().any(|id| is_watched(world, *id)),
        (state, None) => state == StepState::Compensating,
    }
}

/// Whether a health check may heal it.
fn is_watched(world: &World, id: AgentId) -> bool {
    let entry = world.registry.agent(id);
    entry.definition.health.is_some() && entry.broken.as_ref().is_some_and(|broken| !broken.injected)
}

fn step_view(run: &Run, id: StepId, obstacles: &[Option<Wait>]) -> StepView {
    let step = run.step(id);
    let (state, wait) = standing_by(run, id, &|class| obstacles[class].clone());
    StepView {
        state,
        wait,
        skip: step.skip,
        agent: step.current.as_ref().map(|c| c.agent).or_else(|| step.log.back().map(|a| a.agent)),
        priority: step.priority,
        attempts: step.attempts,
        injected: step.injected,
        fallback: step.fallback,
        started: step.started,
        attempt_started: step.current.as_ref().map(|c| c.started + c.halted_for),
        ended: step.ended,
        failure: step.failure.clone(),
        pinned: step.pinned,
        undo_failed: step.undo.as_ref().is_some_and(|undo| undo.failure.is_some()),
        preparing: step.preparing.is_some(),
        part_of: step.part_of.map(|part| (part.of, part.index)),
        parts: step.cut.as_ref().map(|cut| u32::try_from(cut.steps.len()).unwrap_or(u32::MAX)),
        gone: step.gone,
        scores: step.scores.clone(),
    }
}

fn agent_view(world: &World, id: AgentId, entry: &AgentEntry, now: Micros) -> AgentView {
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
        breaker: shown_breaker(entry),
        parked: entry.parked,
        utilisation: utilisation(world, id, entry, now),
    }
}

/// An agent without a declared breaker has one as soon as a person sets it.
fn shown_breaker(entry: &AgentEntry) -> Option<BreakerState> {
    let untouched = entry.definition.breaker.is_none() && entry.breaker.state == BreakerState::Closed;
    (!untouched).then_some(entry.breaker.state)
}

/// Attempt times over slots and the time since the first run that knows the agent began.
fn utilisation(world: &World, id: AgentId, entry: &AgentEntry, now: Micros) -> f64 {
    let knows = |run: &&Run| run.agents.contains(&id);
    let since = world.runs.values().filter(knows).filter_map(|run| run.started).min();
    let last = world.runs.values().filter(knows).map(|run| run.ended.unwrap_or(now)).max();
    let span = since.zip(last).map_or(0.0, |(since, last)| last.saturating_sub(since).as_secs_f64());
    let at_work = entry.busy.values().map(|busy| now.saturating_sub(busy.since)).sum::<Micros>();
    let capacity = span * f64::from(entry.definition.slots);
    if capacity > 0.0 { ((entry.worked + at_work).as_secs_f64() / capacity).min(1.0) } else { 0.0 }
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

/// The time left: the longest expected way to the end from where the steps stand, or the work left for one kind of agent
/// spread over its slots, whichever is longer. How long steps take is known from this run, else from earlier ones, else
/// from what was estimated.
fn eta(world: &World, run: &Run, now: Micros) -> Option<Micros> {
    if run.state.ended() || run.state == RunState::Pending {
        return None;
    }
    let mut tails = vec![Micros::ZERO; run.steps.len()];
    let mut work: BTreeMap<usize, Micros> = BTreeMap::new();
    for &id in run.shape.order.iter().rev() {
        let behind = run.shape.dependents[id.index()].iter().map(|next| tails[next.index()]).max();
        let own = left(run, id, now);
        tails[id.index()] = own + behind.unwrap_or_default();
        *work.entry(run.step(id).class).or_default() += own;
    }
    let spread = work.into_iter().map(|(class, left)| {
        let slots = route::unbroken(&world.registry, &run.classes[class]);
        let slots: u64 = slots.map(|agent| u64::from(world.registry.agent(agent).definition.slots)).sum();
        Micros(left.0 / slots.max(1))
    });
    tails.into_iter().chain(spread).max()
}

/// How long a step is still expected to be at work.
fn left(run: &Run, id: StepId, now: Micros) -> Micros {
    let (step, spec) = (run.step(id), run.spec(id));
    let open = matches!(step.state, StepState::Pending | StepState::Ready | StepState::Waiting | StepState::Unknown);
    if step.current.is_none() && !open || spec.is_approval() {
        return Micros::ZERO;
    }
    let known = run.meters.durations.mean(spec.kind()).or(spec.measured);
    let expected = known.unwrap_or_else(|| {
        let behind = run.shape.dependents[id.index()].iter().map(|next| run.tails[next.index()]).max();
        run.tails[id.index()] - behind.unwrap_or_default()
    });
    step.current.as_ref().map_or(expected, |current| expected - current.worked(now))
}
