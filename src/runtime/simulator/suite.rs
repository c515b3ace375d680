//! Many seeds on all cores.

use super::stats::Stats;
use super::{Violation, simulate};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;

/// Seeds that a thread takes at once.
const PORTION: u64 = 16;
/// Failures that are kept; more are only counted.
const FAILURES_MAX: usize = 1_000;

/// Seeds to be simulated.
#[derive(Clone, Copy, Debug)]
pub struct Suite {
    /// The first seed.
    pub first: u64,
    /// How many follow one another.
    pub count: u64,
    /// How many are simulated at once, at least 1.
    pub threads: usize,
}

/// How far a suite has come.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// Seeds done.
    pub done: u64,
    /// Seeds that failed.
    pub failed: u64,
}

/// What came of a suite.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The figures of the seeds that kept every rule.
    pub stats: Stats,
    /// How many did not.
    pub failed: u64,
    /// Those of them that came first, by their seeds.
    pub failures: Vec<Violation>,
}

impl Suite {
    /// Simulates all seeds; `tell` hears how far it has come now and then.
    pub fn run(&self, mut tell: impl FnMut(Progress)) -> Report {
        let taken = AtomicU64::new(0);
        let (results, portions) = mpsc::channel();
        let mut report = Report::default();
        std::thread::scope(|scope| {
            for _ in 0..self.threads.max(1) {
                let (results, taken) = (results.clone(), &taken);
                scope.spawn(move || self.work(taken, &results));
            }
            drop(results);
            for (stats, failures) in portions {
                report.stats.add(&stats);
                report.failed += failures.len() as u64;
                report.failures.extend(failures);
                report.failures.truncate(FAILURES_MAX);
                tell(Progress { done: report.stats.seeds + report.failed, failed: report.failed });
            }
        });
        report.failures.sort_by_key(|failure| failure.seed);
        report
    }

    fn work(&self, taken: &AtomicU64, results: &mpsc::Sender<(Stats, Vec<Violation>)>) {
        loop {
            let from = taken.fetch_add(PORTION, Ordering::Relaxed);
            if from >= self.count {
                return;
            }
            let (mut sum, mut failures) = (Stats::default(), Vec::new());
            for at in from..self.count.min(from + PORTION) {
                match simulate(self.first.wrapping_add(at)) {
                    Ok(stats) => sum.add(&stats),
                    Err(failure) => failures.push(failure),
                }
            }
            if results.send((sum, failures)).is_err() {
                return;
            }
        }
    }
}
