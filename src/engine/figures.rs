//! How a run goes, in numbers that are kept while it runs: durations per kind of step, and where the time went.

use super::run::Run;
use super::summary::lower_bound;
use super::world::World;
use crate::model::id::Name;
use crate::model::state::{StepState, WaitReason};
use crate::model::time::Micros;
use crate::model::view::{Figures, KindFigures, Phases};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Buckets per doubling: a bucket is 4.4 % wide, so that its middle is within 2.2 % of what is in it.
const PER_DOUBLING: f64 = 16.0;

/// Durations of one kind: counted exactly, their spread in buckets that grow with the value.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Spread {
    count: u32,
    total: Micros,
    max: Micros,
    /// Count per bucket.
    buckets: BTreeMap<u16, u32>,
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "0..=1023")]
fn bucket(time: Micros) -> u16 {
    ((time.0.max(1) as f64).log2() * PER_DOUBLING).round() as u16
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "times are far below 2^63")]
fn middle(bucket: u16) -> Micros {
    Micros((f64::from(bucket) / PER_DOUBLING).exp2().round() as u64)
}

impl Spread {
    fn add(&mut self, time: Micros) {
        self.count += 1;
        self.total += time;
        self.max = self.max.max(time);
        *self.buckets.entry(bucket(time)).or_default() += 1;
    }
    /// At most so many of a hundred took longer.
    fn percentile(&self, percent: u64) -> Micros {
        let wanted = (u64::from(self.count) * percent).div_ceil(100);
        let mut seen = 0;
        for (at, count) in &self.buckets {
            seen += u64::from(*count);
            if seen >= wanted {
                return middle(*at).min(self.max);
            }
        }
        self.max
    }
}

/// Durations of successful attempts, per kind of step.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Durations(IndexMap<Name, Spread>);

impl Durations {
    pub(crate) fn add(&mut self, kind: &str, time: Micros) {
        if let Some(spread) = self.0.get_mut(kind) {
            spread.add(time);
        } else {
            let mut spread = Spread::default();
            spread.add(time);
            self.0.insert(kind.into(), spread);
        }
    }
    /// How long this kind took on average.
    pub(crate) fn mean(&self, kind: &str) -> Option<Micros> {
        self.0.get(kind).map(|spread| Micros(spread.total.0 / u64::from(spread.count.max(1))))
    }
    fn figures(&self) -> Vec<KindFigures> {
        let one = |(kind, spread): (&Name, &Spread)| KindFigures {
            kind: kind.clone(),
            count: spread.count,
            mean: Micros(spread.total.0 / u64::from(spread.count.max(1))),
            p95: spread.percentile(95),
            max: spread.max,
        };
        self.0.iter().map(one).collect()
    }
}

impl Run {
    /// A step leaves the state it has been in since `since`: the time goes to that state's phase.
    pub(crate) fn spend(&mut self, state: StepState, wait: Option<&WaitReason>, time: Micros) {
        if self.started.is_none() {
            return;
        }
        add_phase(&mut self.phases, state, wait, time);
    }
}

fn add_phase(phases: &mut Phases, state: StepState, wait: Option<&WaitReason>, time: Micros) {
    match (state, wait) {
        (StepState::Waiting, Some(WaitReason::Backoff { .. })) => phases.backoff += time,
        (StepState::Ready | StepState::Waiting | StepState::Unknown, _) => phases.waiting += time,
        (StepState::Running | StepState::Cancelling, _) => phases.running += time,
        (StepState::Compensating, _) => phases.recovery += time,
        _ => {}
    }
}

/// The run's figures at a moment.
pub(crate) fn figures(world: &World, run: &Run, now: Micros) -> Figures {
    let now = run.ended.unwrap_or(now);
    let elapsed = elapsed(run, now).as_secs_f64();
    let share = |part: u32, all: u32| if all == 0 { 0.0 } else { f64::from(part) / f64::from(all) };
    let per_second = |count: u32| if elapsed > 0.0 { f64::from(count) / elapsed } else { 0.0 };
    let mut phases = run.phases;
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
        durations: run.durations.figures(),
        throughput_per_s: per_second(run.counts.of(StepState::Succeeded)),
        error_rate: share(run.ended_ill, run.ended_ill + run.ended_well),
        retry_rate: share(run.retries, run.attempts),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::rng::Rng;

    #[test]
    fn the_95th_percentile_is_within_4_percent_of_the_sorted_list() {
        for seed in 0..50 {
            let mut rng = Rng::new(seed);
            let (mut durations, mut all) = (Durations::default(), Vec::new());
            for _ in 0..=rng.below(400) {
                let bits = 4 + rng.below(30);
                let time = Micros(1 + rng.below(1 << bits));
                durations.add("kind", time);
                all.push(time);
            }
            all.sort_unstable();
            let exact = all[(all.len() * 95).div_ceil(100) - 1].as_secs_f64();
            let got = &durations.figures()[0];
            assert!(
                (got.p95.as_secs_f64() / exact - 1.0).abs() <= 0.04 || got.p95.0.abs_diff((exact * 1e6) as u64) <= 1
            );
            assert_eq!((got.count as usize, got.max), (all.len(), *all.last().unwrap()));
            assert_eq!(got.mean.0, all.iter().map(|t| t.0).sum::<u64>() / all.len() as u64);
        }
    }
}
