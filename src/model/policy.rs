//! Declared behaviour under failure and load: retry, success, limits, recovery.

use super::failure::FailureClass;
use super::id::Name;
use super::time::Micros;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

/// How backoff times are spread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Jitter {
    /// Uniform between nothing and the whole backoff.
    Full,
    /// Half the backoff plus a uniform half.
    Equal,
    /// Exactly the backoff.
    None,
}

/// When and how a failed attempt is tried again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RetryPolicy {
    /// Retries after the first attempt.
    pub limit: u32,
    /// Wait before the first retry that backs off.
    pub interval: Micros,
    /// Factor from one wait to the next.
    pub backoff: f64,
    /// The longest wait.
    pub max_interval: Micros,
    /// Spread of the waits.
    pub jitter: Jitter,
    /// Classes that are retried; `None`: every retryable class.
    pub on: Option<Vec<FailureClass>>,
}

impl RetryPolicy {
    /// Whether a failure of this class may be tried again at all (the limit aside).
    #[must_use]
    pub fn covers(&self, class: FailureClass) -> bool {
        class.retryable() && self.on.as_ref().is_none_or(|classes| classes.contains(&class))
    }
    /// The wait before retry number `retry` (from 1), with `draw` in `0.0..1.0` deciding the jitter.
    #[must_use]
    pub fn wait(&self, retry: u32, draw: f64) -> Micros {
        let exponent = i32::try_from(retry.saturating_sub(1)).unwrap_or(i32::MAX);
        let grown = self.interval.as_secs_f64() * self.backoff.powi(exponent);
        let full = grown.min(self.max_interval.as_secs_f64());
        let seconds = match self.jitter {
            Jitter::None => full,
            Jitter::Equal => full / 2.0 + full / 2.0 * draw,
            Jitter::Full => full * draw,
        };
        Micros::from_secs_f64(seconds)
    }
}

/// What becomes of a step whose attempt was under way when upbeat ended without saving.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnUnknown {
    /// A person is asked; where there is none it fails and names the way out.
    #[default]
    Ask,
    /// It is done again, with the same idempotency key.
    Retry,
    /// It fails.
    Fail,
}

/// Which part of a workflow has to succeed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Success {
    /// Every step.
    #[default]
    All,
    /// At least one step.
    Any,
    /// At least this share, in `0.0..=1.0`.
    Min(f64),
}

/// What a final failure does to the rest of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Recovery {
    /// The independent rest still runs.
    Continue,
    /// Everything else is cancelled.
    FailFast,
    /// When nothing more can run, what failed is tried once more, at most once a run.
    Retry,
    /// When the run can no longer succeed, what was done is undone in reverse.
    Rollback,
}

/// What happens when too little of a run has succeeded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnThresholdMissed {
    /// The run fails.
    #[default]
    Fail,
    /// What failed is tried once more, at most once a run.
    Retry,
    /// A person is asked.
    Escalate,
}

/// What becomes of a step whose retries and fallbacks are spent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnExhausted {
    /// It fails.
    #[default]
    Fail,
    /// It waits for a person.
    Pause,
}

/// What becomes of the work of a step that is cancelled while it runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnCancel {
    /// It stays as it is.
    #[default]
    Leave,
    /// The step's compensation is run.
    Compensate,
}

/// When an agent is left alone after failures, and for how long at first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BreakerPolicy {
    /// Failures in a row that open it, at least 1.
    pub failures: u32,
    /// How long it stays open at first; doubled with each failed probe.
    pub cooldown: Micros,
}

/// How often an agent may be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RateLimit {
    /// Attempts that may begin …
    pub calls: u32,
    /// … within any stretch of this length.
    pub per: Micros,
}

/// How it is found out whether an agent is well.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// What is asked.
    pub probe: HealthProbe,
    /// Time from one probe to the next.
    pub every: Micros,
}

/// What a health check asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HealthProbe {
    /// A program that ends with 0 if the agent is well.
    Command(Vec<String>),
    /// An address that answers with a status of 200 to 299 if the agent is well.
    Url(String),
}

/// What an agent has to give, or a step takes of it while an attempt runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Resources {
    /// Processor cores.
    pub cpu: f64,
    /// Memory in megabytes.
    pub memory_mb: f64,
}

impl Resources {
    /// As much as is asked: what an agent has of a thing that it does not name beside another that it does.
    pub const UNBOUNDED: f64 = f64::MAX;
    /// Whether so much is left of `all` when `taken` is gone. A thousandth is forgiven, so that sums of fractions fit.
    #[must_use]
    pub fn fits(self, all: Self, taken: Self) -> bool {
        self.cpu + taken.cpu <= all.cpu + 1e-3 && self.memory_mb + taken.memory_mb <= all.memory_mb + 1e-3
    }
}

/// Retries that a run may spend beside those of its steps' own limits.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RetryBudget {
    /// So many in any case …
    pub min: u32,
    /// … and this share of the first attempts begun so far, in `0.0..=1.0`.
    pub share: f64,
}

impl RetryBudget {
    /// Whether another retry may be begun after this many first attempts and retries.
    #[must_use]
    pub fn allows(self, first_attempts: u32, retries: u32) -> bool {
        f64::from(retries) < f64::from(self.min) + self.share * f64::from(first_attempts) - 1e-9
    }
}

/// In which order and how many at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Whatever needs, agents and limits allow.
    Parallel,
    /// One step at a time, in topological order.
    Sequential,
    /// Level by level: levels of at least `parallel_threshold` steps in parallel, smaller ones a step at a time.
    Hybrid,
    /// Chosen by the graph, the load and the free agents, while the run goes on.
    Auto,
}

impl Mode {
    /// The word of the file and of the command line.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Parallel => "parallel",
            Self::Sequential => "sequential",
            Self::Hybrid => "hybrid",
            Self::Auto => "auto",
        }
    }
}

/// Upper bounds of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Limits {
    /// The most attempts at once.
    pub max_parallel: Option<u32>,
    /// The longest the run may take; pauses do not count.
    pub deadline: Option<Micros>,
    /// The most attempts at once per capability.
    pub capability: IndexMap<Name, u32>,
    /// Retries of the whole run; without one only the steps' own limits hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_budget: Option<RetryBudget>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::rng::Rng;

    fn policy(jitter: Jitter) -> RetryPolicy {
        let interval = Micros::from_secs(1);
        RetryPolicy { limit: 9, interval, backoff: 2.0, max_interval: Micros::from_secs(30), jitter, on: None }
    }

    #[test]
    fn waits_double_up_to_the_cap() {
        let waits: Vec<u64> = (1..8).map(|n| policy(Jitter::None).wait(n, 0.5).as_millis()).collect();
        assert_eq!(waits, [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
        assert_eq!(policy(Jitter::None).wait(u32::MAX, 0.0).as_millis(), 30_000);
    }

    #[test]
    fn full_jitter_spans_the_whole_wait_and_equal_jitter_its_upper_half() {
        assert_eq!(policy(Jitter::Full).wait(2, 0.0), Micros::ZERO);
        assert_eq!(policy(Jitter::Full).wait(2, 0.5).as_millis(), 1_000);
        assert_eq!(policy(Jitter::Equal).wait(2, 0.0).as_millis(), 1_000);
        assert_eq!(policy(Jitter::Equal).wait(2, 0.5).as_millis(), 1_500);
    }

    #[test]
    fn drawn_waits_are_those_of_a_model_that_multiplies_step_by_step() {
        let mut rng = Rng::new(5);
        for _ in 0..2_000 {
            let jitter = [Jitter::None, Jitter::Equal, Jitter::Full][rng.below(3) as usize];
            let drawn = RetryPolicy {
                interval: Micros(10_000 + rng.below(5_000_000)),
                backoff: 1.0 + rng.below(30) as f64 / 10.0,
                max_interval: Micros(10_000 + rng.below(60_000_000)),
                ..policy(jitter)
            };
            let (retry, draw) = (1 + rng.below(12), rng.below(1_000) as f64 / 1_000.0);
            let mut full = drawn.interval.0 as f64;
            for _ in 1..retry {
                full *= drawn.backoff;
            }
            let full = full.min(drawn.max_interval.0 as f64);
            let kept = match jitter {
                Jitter::None => full,
                Jitter::Equal => full / 2.0,
                Jitter::Full => 0.0,
            };
            let expected = kept + (full - kept) * draw;
            let wait = drawn.wait(u32::try_from(retry).unwrap(), draw).0 as f64;
            assert!((wait - expected).abs() <= 1.0, "{drawn:?}, retry {retry}, draw {draw}: {wait}, not {expected}");
        }
    }

    #[test]
    fn a_budget_allows_as_many_retries_as_a_model_that_counts_them_one_by_one() {
        let mut rng = Rng::new(6);
        for _ in 0..2_000 {
            let percent = rng.below(60);
            let (min, first) = (u32::try_from(rng.below(6)).unwrap(), u32::try_from(rng.below(200)).unwrap());
            let budget = RetryBudget { min, share: percent as f64 / 100.0 };
            // In whole numbers: another one is allowed while a hundred times the retries beyond the minimum are fewer.
            let mut retries = 0;
            while u64::from(retries) * 100 < u64::from(min) * 100 + percent * u64::from(first) {
                assert!(budget.allows(first, retries), "{budget:?}: {retries} retries after {first} first attempts");
                retries += 1;
            }
            assert!(!budget.allows(first, retries), "{budget:?}: {retries} retries after {first} first attempts");
        }
    }

    #[test]
    fn only_declared_classes_are_covered_and_never_permanent_ones() {
        let mut p = policy(Jitter::None);
        assert!(p.covers(FailureClass::Crash) && !p.covers(FailureClass::Permanent));
        p.on = Some(vec![FailureClass::Timeout, FailureClass::Permanent]);
        assert!(
            p.covers(FailureClass::Timeout) && !p.covers(FailureClass::Crash) && !p.covers(FailureClass::Permanent)
        );
    }
}
