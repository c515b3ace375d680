//! The suite as it runs with every change: old failures, fresh seeds, planted bugs, the same hash everywhere.

use super::{RULES, Suite, retell, simulate};
use crate::model::bug::{Bug, plant};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Seeds that are simulated with every change; any planted bug has to be found by one of them.
const SEEDS: u64 = 8_000;
/// The hash of all that happens in the first 200 seeds.
const PINNED: u64 = 0x4892_1497_a8a7_a8c3;

fn threads() -> usize {
    std::thread::available_parallelism().map_or(2, Into::into)
}

#[test]
fn seeds_that_once_failed_keep_every_rule() {
    let lines = include_str!("../../../tests/seeds.txt").lines();
    for line in lines.map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let seed = line.parse().unwrap_or_else(|_| panic!("tests/seeds.txt: {line} is no seed"));
        assert!(simulate(seed).is_ok(), "{}", simulate(seed).unwrap_err());
    }
}

#[test]
fn every_seed_keeps_every_rule() {
    let report = Suite { first: 0, count: SEEDS, threads: threads() }.run(|_| {});
    let told: Vec<String> = report.failures.iter().take(20).map(ToString::to_string).collect();
    let seeds: Vec<String> = report.failures.iter().map(|failure| failure.seed.to_string()).collect();
    assert!(
        report.failed == 0,
        "{} of {SEEDS} seeds failed (add them to tests/seeds.txt; `upbeat selftest --seed S` tells one): {}\n{}",
        report.failed,
        seeds.join(" "),
        told.join("\n")
    );
    println!("{:#?}", report.stats);
    for (fault, count) in super::Fault::ALL.iter().zip(report.stats.faults) {
        assert!(count >= 100, "{} struck only {count} times", fault.word());
    }
}

#[test]
fn every_planted_bug_is_found() {
    let next = AtomicUsize::new(0);
    let missed: Vec<Bug> = std::thread::scope(|scope| {
        let hunt = || {
            let mut missed = Vec::new();
            while let Some(&bug) = Bug::ALL.get(next.fetch_add(1, Ordering::Relaxed)) {
                plant(Some(bug));
                let found = (0..SEEDS).find_map(|seed| simulate(seed).err());
                plant(None);
                match found {
                    Some(found) => println!("{bug:?}: after {} seeds: {:.90}", found.seed + 1, found.what),
                    None => missed.push(bug),
                }
            }
            missed
        };
        let hunters: Vec<_> = (0..threads()).map(|_| scope.spawn(hunt)).collect();
        hunters.into_iter().flat_map(|hunter| hunter.join().unwrap()).collect()
    });
    assert!(missed.is_empty(), "not found within {SEEDS} seeds: {missed:?}");
    assert!(Bug::ALL.len() >= 50);
}

#[test]
fn the_same_seed_gives_the_same_world_everywhere() {
    for seed in 0..20 {
        assert_eq!(retell(seed), retell(seed));
    }
    let report = Suite { first: 0, count: 200, threads: threads() }.run(|_| {});
    assert_eq!(
        report.stats.hash, PINNED,
        "{:#018x}: pinned anew only when worlds are drawn differently",
        report.stats.hash
    );
}

#[test]
fn every_rule_has_a_name_of_its_own() {
    for (at, (name, _)) in RULES.iter().enumerate() {
        assert!(RULES.iter().skip(at + 1).all(|(other, _)| other != name), "{name}");
    }
}
