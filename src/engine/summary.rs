//! A run's numbers: everything its result document is made of.

use super::run::Run;
use super::world::World;
use crate::model::completion::Failure;
use crate::model::id::{AgentId, StepId};
use crate::model::state::{RunStatus, StepState};
use crate::model::time::Micros;
use crate::model::view::{RunSummary, Saving, StepError, StepSummary};
use std::collections::BTreeSet;

pub(crate) fn summary(world: &World, run: &Run, now: Micros) -> RunSummary {
    let started = run.started.unwrap_or(now);
    let elapsed = run.ended.unwrap_or(now) - started;
    let critical_path = critical_path(run, now);
    let name = |id: AgentId| world.registry.agent(id).definition.id.clone();
    let hit: Vec<_> = run.steps.iter().filter_map(|step| step.hit.map(|at| (step, at))).collect();
    let recovered = hit.iter().filter(|(step, _)| step.state == StepState::Succeeded);
    let repairs: Vec<Micros> = recovered.filter_map(|(step, at)| step.ended.map(|end| end - *at)).collect();
    let (succeeded, counted) = run.share();
    let steps = run.step_ids().map(|id| {
        let step = run.step(id);
        StepSummary {
            step: run.spec(id).id.clone(),
            state: step.state,
            attempts: step.attempts,
            agent: step.log.back().map(|attempt| name(attempt.agent)),
            started: step.started.map(|at| at - started),
            ended: step.ended.map(|at| at - started),
            injected: step.injected,
        }
    });
    RunSummary {
        run_name: run.name.clone(),
        workflow: run.workflow.clone(),
        state: run.state,
        status: run.status.unwrap_or(RunStatus::Cancelled),
        cause: run.cause,
        seed: run.seed,
        seq: run.seq,
        saving: Saving::default(),
        data: run.data.clone(),
        outputs: run
            .step_ids()
            .filter_map(|id| Some((run.spec(id).id.clone(), run.step(id).output.clone()?)))
            .collect(),
        elapsed,
        busy: run.busy,
        critical_path,
        lower_bound: critical_path.max(slot_bound(world, run)),
        max_parallel: run.active_max,
        agents_used: u32::try_from(run.agents_used.len()).unwrap_or(u32::MAX),
        attempts: run.attempts,
        retries: run.retries,
        fallbacks: run.fallbacks,
        success_rate: if counted == 0 { 1.0 } else { f64::from(succeeded) / f64::from(counted) },
        counts: run.counts,
        mode: run.workflow.mode,
        mode_reason: run.workflow.mode_reason(),
        usage: run.usage,
        errors: errors(world, run),
        steps_hit: u32::try_from(hit.len()).unwrap_or(u32::MAX),
        steps_recovered: u32::try_from(repairs.len()).unwrap_or(u32::MAX),
        faults: run.faults,
        mttr: mean(&repairs),
        figures: crate::model::view::Figures::default(),
        agents: Vec::new(),
        undone: Vec::new(),
        asks: Vec::new(),
        steps: steps.collect(),
    }
}

fn mean(times: &[Micros]) -> Option<Micros> {
    let count = u64::try_from(times.len()).ok().filter(|count| *count > 0)?;
    Some(Micros(times.iter().copied().sum::<Micros>().0 / count))
}

/// The longest chain of measured step times: first start to end, along needs.
fn critical_path(run: &Run, now: Micros) -> Micros {
    let mut chain = vec![Micros::ZERO; run.steps.len()];
    let mut longest = Micros::ZERO;
    for &id in &run.shape.order {
        let step = run.step(id);
        let own = step.started.map_or(Micros::ZERO, |start| step.ended.unwrap_or(now) - start);
        // After a retry by hand a need may have ended later than a step that relied on its first end began.
        let earlier = |need: StepId| run.step(need).ended.is_some_and(|end| step.started.is_some_and(|s| end <= s));
        let needs = run.spec(id).needs.iter().map(|need| need.step);
        let before = needs.filter(|need| earlier(*need)).map(|need| chain[need.index()]).max();
        chain[id.index()] = own + before.unwrap_or(Micros::ZERO);
        longest = longest.max(chain[id.index()]);
    }
    longest
}

/// Busy time spread over all slots that could have taken a step.
fn slot_bound(world: &World, run: &Run) -> Micros {
    let able: BTreeSet<AgentId> = run.classes.iter().flat_map(|class| class.candidates.iter().copied()).collect();
    let slots: u64 = able.iter().map(|id| u64::from(world.registry.agent(*id).definition.slots)).sum();
    Micros(run.busy.0 / slots.max(1))
}

/// Final failures, in the order of the file.
fn errors(world: &World, run: &Run) -> Vec<StepError> {
    let failed = run.step_ids().filter(|id| run.step(*id).state == StepState::Failed);
    failed
        .filter_map(|id| {
            let step = run.step(id);
            let failure: Failure = step.failure.as_deref()?.clone();
            let agent = step.log.back().map(|attempt| world.registry.agent(attempt.agent).definition.id.clone());
            Some(StepError { step: run.spec(id).id.clone(), failure, attempts: step.attempts, agent })
        })
        .collect()
}
