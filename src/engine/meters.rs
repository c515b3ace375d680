//! What is counted of a run with every event: attempts, durations per kind of step, where the time of steps goes.

use crate::model::completion::Usage;
use crate::model::id::{AgentId, Name};
use crate::model::state::{StepState, WaitReason};
use crate::model::time::Micros;
use crate::model::view::{KindFigures, Phases};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// All of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Meters {
    /// The most attempts at once.
    pub(crate) active_max: u32,
    pub(crate) attempts: u32,
    pub(crate) retries: u32,
    pub(crate) fallbacks: u32,
    /// Injected faults that struck.
    pub(crate) faults: u32,
    /// Per template, how many of its agents are idle; and how often one was made and taken again.
    pub(crate) idle: BTreeMap<Name, u32>,
    pub(crate) made: u32,
    pub(crate) reused: u32,
    /// Times of ended attempts added up.
    pub(crate) busy: Micros,
    pub(crate) agents_used: BTreeSet<AgentId>,
    pub(crate) usage: Option<Usage>,
    pub(crate) durations: Durations,
    /// Attempts that ended well, and otherwise through their own or their agent's fault.
    pub(crate) ended_well: u32,
    pub(crate) ended_ill: u32,
    pub(crate) phases: Phases,
}

/// Buckets per doubling: a bucket is 4.4 % wide, so that its middle is within 2.2 % of what is in it.
const PER_DOUBLING: f64 = 16.0;

/// Durations of one kind: counted exactly, their spread in buckets that grow with the value.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spread {
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
    /// Counts one more; beyond four thousand million nothing more is.
    pub fn add(&mut self, time: Micros) {
        if self.count == u32::MAX {
            return;
        }
        self.count += 1;
        self.total += time;
        self.max = self.max.max(time);
        *self.buckets.entry(bucket(time)).or_default() += 1;
    }
    /// So many of a hundred took at most this long, within 4 %; zero where none was counted.
    #[must_use]
    pub fn percentile(&self, percent: u64) -> Micros {
        let wanted = (u64::from(self.count) * percent).div_ceil(100);
        let mut seen = 0;
        for (at, count) in &self.buckets {
            seen += u64::from(*count);
            if seen >= wanted && seen < u64::from(self.count) {
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
    pub(crate) fn figures(&self) -> Vec<KindFigures> {
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

/// A step has been in a state for so long: the time goes to that state's phase.
pub(crate) fn add_phase(phases: &mut Phases, state: StepState, wait: Option<&WaitReason>, time: Micros) {
    match (state, wait) {
        (StepState::Waiting, Some(WaitReason::Backoff { .. })) => phases.backoff += time,
        (StepState::Ready | StepState::Waiting | StepState::Unknown, _) => phases.waiting += time,
        (StepState::Running | StepState::Cancelling, _) => phases.running += time,
        (StepState::Compensating, _) => phases.recovery += time,
        _ => {}
    }
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
