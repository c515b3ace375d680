//! How a run goes, in numbers.

use super::meters::add_phase;
use super::run::Run;
use super::world::World;
use crate::model::id::{AgentId, Name, StepId};
use crate::model::state::StepState;
use crate::model::time::Micros;
use crate::model::view::Figures;
use std::collections::{BTreeMap, BTreeSet};

/// The run's figures at a moment.
pub(crate) fn figures(world: &World, run: &Run, now: Micros) -> Figures {
    let now = run.ended.unwrap_or(now);
    let elapsed = elapsed(run, now).as_secs_f64();
    let share = |part: u32, all: u32| if all == 0 { 0.0 } else { f64::from(part) / f64::from(all) };
    let per_second = |count: u32| if elapsed > 0.0 { f64::from(count) / elapsed } else { 0.0 };
    let mut phases = run.meters.phases;
    for step in run.steps.iter().filter(|step| !step.state.ended() && run.started.is_some()) {
        add_phase(&mut phases, step.state, step.wait.as_ref().map(|(why, _)| why), now.saturating_sub(step.since));
        // What failed and is not made good yet is under recovery.
        phases.recovery += step.hit.map_or(Micros::ZERO, |hit| now.saturating_sub(hit));
    }
    for step in run.steps.iter().filter(|step| step.state == StepState::Succeeded) {
        let repaired = step.hit.zip(step.ended).map(|(hit, end)| end.saturating_sub(hit));
        phases.recovery += repaired.unwrap_or(Micros::ZERO);
    }
    let bound = lower_bound(world, run, now).as_secs_f64();
    Figures {
        durations: run.meters.durations.figures(),
        throughput_per_s: per_second(run.counts.of(StepState::Succeeded)),
        error_rate: share(run.meters.ended_ill, run.meters.ended_ill + run.meters.ended_well),
        retry_rate: share(run.meters.retries, run.meters.attempts),
        phases,
        efficiency: if elapsed > 0.0 { (bound / elapsed).min(1.0) } else { 1.0 },
        bottleneck: bottleneck(run),
    }
}

/// Time since the start without pauses.
pub(crate) fn elapsed(run: &Run, now: Micros) -> Micros {
    let Some(started) = run.started else { return Micros::ZERO };
    let pause = run.paused_since.map_or(Micros::ZERO, |since| now.saturating_sub(since));
    (now - started).saturating_sub(run.paused_for + pause)
}

/// What most ready and waiting steps stand in line for.
fn bottleneck(run: &Run) -> Option<(Name, u32)> {
    if run.state.ended() {
        return None;
    }
    let mut lines: BTreeMap<usize, u32> = BTreeMap::new();
    for id in run.step_ids().filter(|id| run.is_queued(*id)) {
        *lines.entry(run.step(id).class).or_default() += 1;
    }
    let (class, count) = lines.into_iter().max_by_key(|(class, count)| (*count, std::cmp::Reverse(*class)))?;
    Some((run.classes[class].asks_for.clone(), count))
}

/// No schedule on the run's agents could have been shorter than this.
pub(crate) fn lower_bound(world: &World, run: &Run, now: Micros) -> Micros {
    critical_path(run, now).max(slot_bound(world, run))
}

/// The longest chain of measured step times: first start to end, along needs.
pub(crate) fn critical_path(run: &Run, now: Micros) -> Micros {
    let mut chain = vec![Micros::ZERO; run.steps.len()];
    let mut longest = Micros::ZERO;
    for &id in &run.shape.order {
        let step = run.step(id);
        // A step that was cut takes as long as its items, and ends with the last of them.
        let cut = step.cut.as_ref().is_some_and(|items| !items.steps.is_empty());
        let begun = if cut { step.ended } else { step.started };
        let own = begun.map_or(Micros::ZERO, |start| step.ended.unwrap_or(now) - start);
        // After a retry by hand a need may have ended later than a step that relied on its first end began.
        let earlier = |need: StepId| run.step(need).ended.is_some_and(|end| begun.is_some_and(|s| end <= s));
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
    Micros(run.meters.busy.0 / slots.max(1))
}
