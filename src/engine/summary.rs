//! A run's numbers: everything its result document is made of.

use super::figures::{critical_path, elapsed, figures, lower_bound};
use super::run::{Run, RunResult};
use super::waits::standing;
use super::world::World;
use crate::model::completion::Failure;
use crate::model::id::{AgentId, Name, StepId};
use crate::model::state::{RunStatus, StepState};
use crate::model::time::Micros;
use crate::model::view::{AgentSummary, Counts, RunSummary, Saving, StepError, StepSummary};
use std::collections::BTreeMap;

pub(crate) fn summary(world: &World, run: &Run, now: Micros) -> RunSummary {
    let started = run.started.unwrap_or(now);
    let elapsed = run.ended.unwrap_or(now) - started;
    let critical_path = critical_path(run, now);
    let hit: Vec<_> = run.steps.iter().filter_map(|step| step.hit.map(|at| (step, at))).collect();
    let recovered = hit.iter().filter(|(step, _)| step.state == StepState::Succeeded);
    let repairs: Vec<Micros> = recovered.filter_map(|(step, at)| step.ended.map(|end| end - *at)).collect();
    let (succeeded, counted) = run.share();
    let there = || run.step_ids().filter(|id| !run.step(*id).gone);
    let mut counts = Counts::default();
    let whole = |id: &StepId| run.step(*id).cut.as_ref().is_none_or(|items| items.steps.is_empty());
    there().filter(whole).for_each(|id| counts.add(run.step(id).state));
    RunSummary {
        run_name: run.name.clone(),
        workflow: run.workflow.clone(),
        state: run.state,
        status: run.status.unwrap_or(RunStatus::Cancelled),
        cause: run.cause,
        seed: run.seed,
        seq: run.seq,
        saving: Saving::default(),
        data: (*run.data).clone(),
        routes: run.routed.iter().map(|(step, made)| (run.spec(*step).id.clone(), made.clone())).collect(),
        pool: (run.meters.made, run.meters.reused),
        result: match &run.result {
            RunResult::Found(value) => Some(value.clone()),
            _ => None,
        },
        outputs: there()
            .filter(|id| run.step(*id).part_of.is_none_or(|part| part.index.is_none()))
            .filter_map(|id| Some((run.spec(id).id.clone(), run.step(id).output.clone()?)))
            .collect(),
        elapsed,
        busy: run.meters.busy,
        critical_path,
        lower_bound: lower_bound(world, run, now),
        max_parallel: run.meters.active_max,
        agents_used: u32::try_from(run.meters.agents_used.len()).unwrap_or(u32::MAX),
        attempts: run.meters.attempts,
        retries: run.meters.retries,
        fallbacks: run.meters.fallbacks,
        success_rate: if counted == 0 { 1.0 } else { f64::from(succeeded) / f64::from(counted) },
        counts,
        mode: run.mode,
        mode_reason: run.mode_reason.clone(),
        usage: run.meters.usage,
        errors: errors(world, run),
        steps_hit: u32::try_from(hit.len()).unwrap_or(u32::MAX),
        steps_recovered: u32::try_from(repairs.len()).unwrap_or(u32::MAX),
        faults: run.meters.faults,
        mttr: mean(&repairs),
        figures: figures(world, run, now),
        agents: agents(world, run, now),
        undone: run.undone.iter().map(|id| run.spec(*id).id.clone()).collect(),
        asks: asks(run),
        steps: there().map(|id| step_summary(world, run, id)).collect(),
    }
}

/// One step in a few numbers; times since the run began.
fn step_summary(world: &World, run: &Run, id: StepId) -> StepSummary {
    let (step, began) = (run.step(id), run.started.unwrap_or_default());
    StepSummary {
        step: run.spec(id).id.clone(),
        state: standing(world, run, id).0,
        attempts: step.attempts,
        agent: step.log.back().map(|attempt| world.registry.agent(attempt.agent).definition.id.clone()),
        started: step.started.map(|at| at - began),
        ended: step.ended.map(|at| at.saturating_sub(began)),
        injected: step.injected,
        scores: step.scores.clone(),
        parts: step.cut.as_ref().map(|cut| u32::try_from(cut.steps.len()).unwrap_or(u32::MAX)),
    }
}

/// What only a person can answer.
fn asks(run: &Run) -> Vec<Name> {
    if run.state.ended() {
        return Vec::new();
    }
    let of_run = run.question.map(|_| "run".into());
    let asking = run.step_ids().filter(|id| {
        let entry = run.step(*id);
        entry.state == StepState::Unknown || entry.wait.as_ref().is_some_and(|(why, _)| why.asks_a_person())
    });
    of_run.into_iter().chain(asking.map(|id| run.spec(id).id.clone())).collect()
}

/// What each agent did in the run: what it did for others is not counted.
fn agents(world: &World, run: &Run, now: Micros) -> Vec<AgentSummary> {
    let elapsed = elapsed(run, run.ended.unwrap_or(now)).as_secs_f64();
    let mut all: BTreeMap<AgentId, (u64, u64, Micros)> =
        run.meters.agents_used.iter().map(|id| (*id, (0, 0, Micros::ZERO))).collect();
    for attempt in run.steps.iter().flat_map(|step| &step.log) {
        let (succeeded, failed, worked) = all.entry(attempt.agent).or_default();
        match (&attempt.failure, attempt.ended) {
            (None, Some(_)) => *succeeded += 1,
            (Some(failure), _) if failure.class.blames_the_agent() => *failed += 1,
            _ => {}
        }
        *worked += attempt.ended.unwrap_or(now).saturating_sub(attempt.started);
    }
    let summary = |(id, (succeeded, failed, worked)): (AgentId, (u64, u64, Micros))| {
        let definition = &world.registry.agent(id).definition;
        let capacity = elapsed * f64::from(definition.slots);
        let utilisation = if capacity > 0.0 { (worked.as_secs_f64() / capacity).min(1.0) } else { 0.0 };
        AgentSummary { agent: definition.id.clone(), succeeded, failed, utilisation }
    };
    all.into_iter().map(summary).collect()
}

fn mean(times: &[Micros]) -> Option<Micros> {
    let count = u64::try_from(times.len()).ok().filter(|count| *count > 0)?;
    Some(Micros(times.iter().copied().sum::<Micros>().0 / count))
}

/// Final failures, in the order of the file.
fn errors(world: &World, run: &Run) -> Vec<StepError> {
    let not_undone = |id: StepId| run.step(id).undo.as_ref().and_then(|undo| undo.failure.as_deref());
    // What failed has failed, also if what it may have done was undone since.
    let failed = |id: StepId| match &run.step(id).undo {
        Some(undo) => undo.before == StepState::Failed,
        None => run.step(id).state == StepState::Failed,
    };
    // A step that was cut has failed with its items.
    let itself = |id: StepId| run.step(id).cut.as_ref().is_none_or(|items| items.steps.is_empty());
    let own = |id: StepId| run.step(id).failure.as_deref().filter(|_| failed(id) && itself(id));
    let of_result = match &run.result {
        RunResult::Failed(failure) => Some(StepError {
            step: "result".into(),
            item: None,
            failure: (**failure).clone(),
            attempts: 0,
            agent: None,
            undo: false,
        }),
        _ => None,
    };
    run.step_ids()
        .flat_map(|id| {
            let all = own(id).map(|failure| (failure, false)).into_iter();
            all.chain(not_undone(id).map(|failure| (failure, true))).map(move |(failure, undo)| (id, failure, undo))
        })
        .map(|(id, failure, undo)| {
            let failure: Failure = failure.clone();
            let step = run.step(id);
            let agent = step.log.back().map(|attempt| world.registry.agent(attempt.agent).definition.id.clone());
            let index = step.part_of.and_then(|part| Some((part.of, part.index?)));
            let (of, item) = index.map_or((id, None), |(of, index)| (of, Some(index)));
            StepError { step: run.spec(of).id.clone(), item, failure, attempts: step.attempts, agent, undo }
        })
        .chain(of_result)
        .collect()
}
