//! `upbeat selftest`: the simulator on the user's machine.
//!
//! Every seed is a world of its own with agents, disk and person as models; what is tested is the engine and the store's
//! code as they are in this program. See `runtime::simulator` for what is checked.

use super::args::{Output, SelftestArgs};
use super::out::{self, Done, EXIT_FAULT};
use crate::report::json::pretty;
use crate::runtime::clock;
use crate::runtime::simulator::{Fault, Progress, Report, Stats, Suite, Violation, retell};
use serde_json::{Map, Value, json};
use std::io::{IsTerminal, Write};
use std::time::Duration;

/// The shortest time between two lines of progress.
const PROGRESS_EVERY: Duration = Duration::from_millis(100);

/// Simulates, and tells what came of it.
pub(crate) fn selftest(args: &SelftestArgs) -> Done {
    match args.seed {
        Some(seed) => one(seed, args.output),
        None => many(args),
    }
}

fn code(failed: u64) -> u8 {
    if failed == 0 { 0 } else { EXIT_FAULT }
}

/// One seed, with everything that happens.
fn one(seed: u64, output: Output) -> Done {
    let (result, story) = retell(seed);
    let failed = u64::from(result.is_err());
    let text = match (output, &result) {
        (Output::Text, Ok(stats)) => {
            format!("{}\nseed {seed}: no rule was broken\n{}", story.join("\n"), figures(stats))
        }
        (Output::Text, Err(failure)) => format!("{}\n{failure}\n", story.join("\n")),
        (Output::Json, _) => {
            let mut document = result.as_ref().map_or_else(|_| Map::new(), document);
            document.insert("seed".to_owned(), json!(seed));
            document.insert("failure".to_owned(), result.as_ref().err().map_or(Value::Null, failure));
            document.insert("story".to_owned(), json!(story));
            pretty(&Value::Object(document)) + "\n"
        }
    };
    out::result(&text).map(|()| code(failed))
}

fn many(args: &SelftestArgs) -> Done {
    let threads = std::thread::available_parallelism().map_or(1, Into::into);
    let began = clock::now();
    let mut line = ProgressLine::new(args.seeds);
    let report = Suite { first: args.from, count: args.seeds, threads }.run(|progress| line.show(progress));
    line.clear();
    let took = clock::now().duration_since(began).as_secs_f64();
    let speed = count_per_second(args.seeds, took);
    let text = match args.output {
        Output::Text => text(&report, args.seeds, took, speed, threads),
        Output::Json => {
            let mut document = document(&report.stats);
            document.insert("from".to_owned(), json!(args.from));
            document.insert("seeds".to_owned(), json!(args.seeds));
            document.insert("failed".to_owned(), json!(report.failed));
            document.insert("failures".to_owned(), report.failures.iter().map(failure).collect());
            document.insert("elapsed_s".to_owned(), json!(took));
            document.insert("seeds_per_s".to_owned(), json!(speed));
            document.insert("threads".to_owned(), json!(threads));
            pretty(&Value::Object(document)) + "\n"
        }
    };
    out::result(&text).map(|()| code(report.failed))
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
fn count_per_second(count: u64, seconds: f64) -> f64 {
    (count as f64 / seconds.max(1e-6)).round()
}

fn text(report: &Report, seeds: u64, took: f64, speed: f64, threads: usize) -> String {
    let mut text = match report.failed {
        0 => format!("{seeds} seeds, no rule was broken\n"),
        failed => format!("{failed} of {seeds} seeds broke a rule:\n"),
    };
    for failure in &report.failures {
        text += &format!("{failure}\n  upbeat selftest --seed {}\n", failure.seed);
    }
    let more = report.failed - report.failures.len() as u64;
    if more > 0 {
        text += &format!("and {more} more\n");
    }
    text + &figures(&report.stats) + &format!("{:<18} {speed} ({took:.1} s, {threads} threads)\n", "seeds/s")
}

fn figures(stats: &Stats) -> String {
    let mut text = String::new();
    let counts = [
        ("inputs", stats.inputs),
        ("events", stats.events),
        ("attempts", stats.attempts),
        ("crashes", stats.crashes),
        ("recoveries", stats.recoveries),
        ("faults", stats.faults.iter().sum()),
    ];
    for (word, count) in counts {
        text += &format!("{word:<18} {count}\n");
    }
    for (fault, count) in Fault::ALL.iter().zip(stats.faults) {
        text += &format!("  {:<16} {count}\n", fault.word());
    }
    text += &format!("{:<18} {:.1} h\n", "simulated time", stats.simulated.as_secs_f64() / 3_600.0);
    text + &format!("{:<18} {:016x}\n", "event hash", stats.hash)
}

fn document(stats: &Stats) -> Map<String, Value> {
    let faults = Fault::ALL.iter().zip(stats.faults);
    let faults: Map<String, Value> = faults.map(|(fault, count)| (fault.word().to_owned(), json!(count))).collect();
    let document = json!({
        "inputs": stats.inputs,
        "events": stats.events,
        "attempts": stats.attempts,
        "crashes": stats.crashes,
        "recoveries": stats.recoveries,
        "faults": faults,
        "simulated_s": stats.simulated.as_secs_f64(),
        "event_hash": format!("{:016x}", stats.hash),
    });
    match document {
        Value::Object(document) => document,
        _ => Map::new(),
    }
}

fn failure(failure: &Violation) -> Value {
    json!({
        "seed": failure.seed,
        "at_s": failure.at.as_secs_f64(),
        "what": failure.what,
        "command": format!("upbeat selftest --seed {}", failure.seed),
    })
}

/// One line on standard error that says how far it is, if somebody is there to see it.
struct ProgressLine {
    seeds: u64,
    began: tokio::time::Instant,
    next: Option<tokio::time::Instant>,
}

impl ProgressLine {
    fn new(seeds: u64) -> Self {
        let now = clock::now();
        Self { seeds, began: now, next: std::io::stderr().is_terminal().then_some(now) }
    }

    fn show(&mut self, progress: Progress) {
        let now = clock::now();
        if self.next.is_none_or(|next| now < next) {
            return;
        }
        self.next = Some(now + PROGRESS_EVERY);
        let took = now.duration_since(self.began).as_secs_f64();
        let speed = count_per_second(progress.done, took);
        let failed = if progress.failed > 0 { format!(", {} failed", progress.failed) } else { String::new() };
        let line = format!("\r{} of {} seeds{failed}, {speed}/s, {took:.0} s\x1b[K", progress.done, self.seeds);
        let _ = std::io::stderr().lock().write_all(line.as_bytes());
    }

    fn clear(&self) {
        if self.next.is_some() {
            let _ = std::io::stderr().lock().write_all(b"\r\x1b[K");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::Micros;

    #[test]
    fn a_failing_seed_is_told_with_the_command_that_tells_it_in_full() {
        let what = "once: step 3 succeeds twice".to_owned();
        let failures = vec![Violation { seed: 77, what, at: Micros::from_millis(1_500) }];
        let report = Report { stats: Stats { seeds: 8, ..Stats::default() }, failed: 2, failures };
        let told = text(&report, 10, 2.0, 5.0, 2);
        assert!(
            told.starts_with(
                "2 of 10 seeds broke a rule:\nseed 77 at 1.500000 s: once: step 3 succeeds twice\n  \
                 upbeat selftest --seed 77\nand 1 more\n"
            ),
            "{told}"
        );
        assert!(told.ends_with("seeds/s            5 (2.0 s, 2 threads)\n"), "{told}");
        assert_eq!((code(0), code(2)), (0, EXIT_FAULT));
        assert_eq!(failure(&report.failures[0])["command"], "upbeat selftest --seed 77");
    }
}
