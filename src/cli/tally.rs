//! What is counted of a flow, and the one moving line that shows it on a terminal.

use super::out::Printer;
use super::progress::{columns, cut};
use crate::engine::Spread;
use crate::model::time::Micros;
use crate::report::plain::duration;
use crate::runtime::environment;
use crate::runtime::handle::Told;
use std::io::IsTerminal;
use std::time::Duration;
use tokio::time::{Interval, MissedTickBehavior};

/// The moving line is drawn so often …
const REDRAW: Duration = Duration::from_millis(100);
/// … and shows what came in the last so many of these.
const RATE_TICKS: u64 = 10;

/// What was counted. Times are by the engine's clock.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Lines that were answered.
    pub(crate) lines: u64,
    /// Runs that came to an end, or stand.
    pub(crate) runs: u64,
    /// Of lines or runs, those that went wrong.
    pub(crate) errors: u64,
    /// What people are to be told beside the figures; taken when it is said.
    pub(crate) notes: Vec<String>,
    spread: Spread,
    first: Option<Micros>,
    last: Micros,
}

impl Tally {
    /// Counts a run.
    pub(crate) fn take(&mut self, told: &Told) {
        self.runs += 1;
        self.spread.add(told.summary.elapsed);
        let began = told.at.saturating_sub(told.summary.elapsed);
        self.first = Some(self.first.map_or(began, |first| first.min(began)));
        self.last = self.last.max(told.at);
    }

    /// Lines a second, from the first beginning to the last end; 0 where no time passed.
    #[expect(clippy::cast_precision_loss, reason = "a rate is no count")]
    pub(crate) fn rate(&self) -> f64 {
        let span = self.last.saturating_sub(self.first.unwrap_or_default()).as_secs_f64();
        if span > 0.0 { self.lines as f64 / span } else { 0.0 }
    }

    /// How long a run took at most, in so many of a hundred cases.
    pub(crate) fn percentile(&self, percent: u64) -> Micros {
        self.spread.percentile(percent)
    }

    /// `p50 20 ms, p95 41 ms`
    pub(crate) fn times(&self) -> String {
        format!("p50 {}, p95 {}", duration(self.percentile(50)), duration(self.percentile(95)))
    }
}

/// The moving line; it moves on a terminal only.
#[derive(Debug)]
pub(crate) struct Moving {
    ticks: Interval,
    out: Printer,
    shown: String,
    /// Lines answered when the rate was last taken, the ticks since, and the rate.
    before: u64,
    since: u64,
    rate: u64,
}

impl Moving {
    /// One, if standard error is a terminal that obeys; has to be called inside the asynchronous runtime.
    pub(crate) fn new() -> Option<Self> {
        let obeys = environment::var("TERM").is_some_and(|term| term != "dumb");
        (obeys && std::io::stderr().is_terminal()).then(|| {
            let mut ticks = tokio::time::interval(REDRAW);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            Self { ticks, out: Printer::stderr(), shown: String::new(), before: 0, since: 0, rate: 0 }
        })
    }

    /// Waits until it is time to draw.
    pub(crate) async fn tick(&mut self) {
        self.ticks.tick().await;
    }

    /// Draws. `what`: what is counted, in the plural.
    pub(crate) fn draw(&mut self, what: &str, tally: &Tally, in_flight: usize) {
        self.since += 1;
        if self.since >= RATE_TICKS {
            (self.rate, self.before, self.since) = (tally.lines - self.before, tally.lines, 0);
        }
        let Tally { lines, errors, .. } = tally;
        let text = format!("  {lines} {what} · {}/s · {in_flight} in flight · {errors} errors", self.rate);
        let text = cut(&text, columns());
        if text != self.shown && self.out.has_room() {
            self.out.offer(format!("\r{text}\u{1b}[K"));
            self.shown = text;
        }
    }

    /// Says lines above it.
    pub(crate) async fn say(&mut self, lines: &[String]) {
        self.shown.clear();
        self.out.print(format!("\r\u{1b}[K{}\n", lines.join("\n"))).await;
    }

    /// Takes it away.
    pub(crate) async fn finish(self) {
        if !self.shown.is_empty() {
            self.out.print("\r\u{1b}[K".to_owned()).await;
        }
        let _ = self.out.finish().await;
    }
}
