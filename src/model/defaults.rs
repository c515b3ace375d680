//! Every default of the contract, in one table.

use super::failure::FailureClass;
use super::policy::{BreakerPolicy, Jitter, RetryPolicy};
use super::time::Micros;

/// Timeout of an attempt on an agent, unless three times the estimate is longer.
pub const AGENT_TIMEOUT: Micros = Micros::from_secs(30);
/// An estimate is trusted up to this factor before the attempt times out.
pub const TIMEOUT_PER_ESTIMATE: u64 = 3;
/// Timeout of `run` and `command`.
pub const PROCESS_TIMEOUT: Micros = Micros::from_secs(600);
/// Retries of steps on agents.
pub const AGENT_RETRIES: u32 = 2;
/// Retries of `run` and `command`.
pub const PROCESS_RETRIES: u32 = 0;
/// Wait before the first retry that backs off.
pub const RETRY_INTERVAL: Micros = Micros::from_secs(1);
/// The shortest interval a file may ask for.
pub const RETRY_INTERVAL_MIN: Micros = Micros::from_millis(10);
/// The most retries a file may ask for.
pub const RETRY_LIMIT_MAX: u32 = 1_000_000;
/// Factor from one wait to the next.
pub const RETRY_BACKOFF: f64 = 2.0;
/// The longest wait between attempts.
pub const RETRY_MAX_INTERVAL: Micros = Micros::from_secs(30);
/// Spread of waits.
pub const RETRY_JITTER: Jitter = Jitter::Full;
/// Priority of a step; `low`, `normal`, `high` and `urgent` are the other names.
pub const PRIORITY: u8 = 50;
/// Names for priorities.
pub const PRIORITY_NAMES: [(&str, u8); 4] = [("low", 25), ("normal", 50), ("high", 75), ("urgent", 90)];
/// The highest priority.
pub const PRIORITY_MAX: u8 = 100;
/// What a key press changes a priority by.
pub const PRIORITY_STEP: u8 = 10;
/// Time between TERM and KILL of a process.
pub const GRACE: Micros = Micros::from_secs(5);
/// How long a fault injected by key lasts when nobody heals it.
pub const FAULT_LIFE: Micros = Micros::from_secs(300);
/// How long a simulated agent works when neither it nor the step says.
pub const SIMULATED_DURATION: Micros = Micros::from_secs(1);
/// Slots of an agent.
pub const SLOTS: u32 = 1;
/// Slots of built-in agents that only answer or wait.
pub const BUILTIN_SLOTS: u32 = 1_000_000;
/// The longest timeout.
pub const TIMEOUT_MAX: Micros = super::time::DURATION_MAX;
/// When an agent that declares nothing else is left alone.
pub const BREAKER: BreakerPolicy = BreakerPolicy { failures: 3, cooldown: Micros::from_secs(10) };
/// The longest a breaker stays open, however many probes failed.
pub const BREAKER_COOLDOWN_MAX: Micros = Micros::from_secs(300);
/// How long a probe may take before its agent counts as still failing, whatever its own timeout.
pub const PROBE_LIMIT: Micros = Micros::from_secs(300);
/// How long an agent that says no time is left alone when it takes no more calls; doubled each time in a row.
pub const RATE_LIMIT_WAIT: Micros = Micros::from_secs(5);
/// The longest wait that an agent may ask for; a step that would have to wait longer fails.
pub const RATE_LIMIT_WAIT_MAX: Micros = Micros::from_secs(600);
/// How often a step may meet an agent that takes no more calls before it fails.
pub const RATE_LIMIT_WAITS: u32 = 20;
/// A step in the queue gains this much priority …
pub const AGEING_POINTS: u64 = 25;
/// … for each time it has waited so long.
pub const AGEING_EVERY: Micros = Micros::from_secs(30);
/// Retries of a whole run that a declared budget allows in any case …
pub const RETRY_BUDGET_MIN: u32 = 3;
/// … and the share of first attempts that it adds.
pub const RETRY_BUDGET_SHARE: f64 = 0.2;
/// The most calls that a declared rate limit may count.
pub const RATE_LIMIT_CALLS_MAX: u32 = 100_000;
/// Time from one probe of an agent's health to the next.
pub const HEALTH_EVERY: Micros = Micros::from_secs(30);
/// The shortest time that a file may ask for there.
pub const HEALTH_EVERY_MIN: Micros = Micros::from_millis(100);
/// Retries of a compensation: five attempts in all.
pub const COMPENSATION_RETRIES: u32 = 4;
/// The smallest level that hybrid order runs in parallel.
pub const PARALLEL_THRESHOLD: u32 = 3;
/// The least that a file may ask for there: a single step has nothing beside it.
pub const PARALLEL_THRESHOLD_MIN: u32 = 2;
/// The most items that a `for_each` step may be cut into.
pub const ITEMS_MAX: usize = 10_000;
/// The most steps that outputs and people may add to a run.
pub const ADDED_STEPS_MAX: usize = 1_000;
/// Share of a core's one-minute load above which `auto` chooses hybrid order.
pub const AUTO_LOAD: f64 = 0.8;
/// Free capable agents below which `auto` chooses hybrid order.
pub const AUTO_FREE_AGENTS: usize = 2;
/// Agents whose expected finish lies within this share of the best count as equal.
pub const FINISH_TIE: f64 = 0.05;

/// The retry policy with this many retries and every other value at its default.
#[must_use]
pub fn retry(limit: u32) -> RetryPolicy {
    let on: Option<Vec<FailureClass>> = None;
    RetryPolicy {
        limit,
        interval: RETRY_INTERVAL,
        backoff: RETRY_BACKOFF,
        max_interval: RETRY_MAX_INTERVAL,
        jitter: RETRY_JITTER,
        on,
    }
}

/// The timeout of a step that declares none.
#[must_use]
pub fn timeout(is_process: bool, estimate: Option<Micros>) -> Micros {
    if is_process {
        return PROCESS_TIMEOUT;
    }
    let trusted = estimate.map_or(Micros::ZERO, |e| Micros(e.0.saturating_mul(TIMEOUT_PER_ESTIMATE)));
    AGENT_TIMEOUT.max(trusted).min(TIMEOUT_MAX)
}
