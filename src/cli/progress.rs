//! Plain progress on standard error: a line per event and per line that agents print, and on a terminal one moving line
//! below them.

use super::out::Printer;
use crate::model::event::EventKind;
use crate::model::id::{RunId, StepId};
use crate::model::safe::Safe;
use crate::model::state::StepState;
use crate::model::time::Micros;
use crate::model::view::{EngineView, RunView};
use crate::report::events::Names;
use crate::report::plain;
use crate::runtime::environment;
use crate::runtime::handle::Handle;
use crate::runtime::logs::{Body, LogLine, LogStore, Stream};
use std::collections::HashMap;
use std::io::IsTerminal;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Interval, MissedTickBehavior};

/// The moving line is drawn at most so often.
const REDRAW: Duration = Duration::from_millis(100);
/// Lines taken from the log at a time.
const BATCH: usize = 200;
/// Columns where the terminal does not say.
const COLUMNS: usize = 80;

/// What it takes to tell how a run goes.
#[derive(Debug)]
pub(crate) struct Progress {
    run: RunId,
    views: watch::Receiver<Arc<EngineView>>,
    logs: Arc<LogStore>,
    grown: watch::Receiver<u64>,
    /// The next line of the log to be told.
    next: u64,
    started: HashMap<StepId, Micros>,
    /// When the run started: the newest view may not know yet.
    run_started: Option<Micros>,
    out: Printer,
    moving: Option<Moving>,
}

/// The line that is drawn again and again.
#[derive(Debug)]
struct Moving {
    ticks: Interval,
    /// Ticks since the newest view came: how far a person's clock is ahead of it.
    since_view: u64,
    revision: u64,
    shown: String,
}

impl Progress {
    /// For a run that is about to start; has to be called inside the asynchronous runtime.
    pub(crate) fn new(handle: &Handle, run: RunId) -> Self {
        let obeys = environment::var("TERM").is_some_and(|term| term != "dumb");
        let moving = (obeys && std::io::stderr().is_terminal()).then(|| {
            let mut ticks = tokio::time::interval(REDRAW);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            Moving { ticks, since_view: 0, revision: 0, shown: String::new() }
        });
        let logs = handle.logs().clone();
        Self {
            run,
            views: handle.views(),
            grown: logs.grown(),
            logs,
            next: 0,
            started: HashMap::new(),
            run_started: None,
            out: Printer::stderr(),
            moving,
        }
    }

    /// Waits for something new and tells it. Nothing is lost when the waiting is given up.
    pub(crate) async fn tick(&mut self) {
        if self.moving.is_none() {
            // The log never closes before the engine, and then the run has ended anyway.
            if self.grown.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        } else if let Some(moving) = &mut self.moving {
            moving.ticks.tick().await;
            moving.since_view += 1;
        }
        self.tell();
    }

    /// Tells what is new: lines first, then the moving line anew.
    fn tell(&mut self) {
        // With a reader that stands still the lines stay in the log, which is bounded.
        while self.out.has_room() {
            let lines = self.logs.since(self.next, BATCH);
            let Some(last) = lines.last() else { break };
            let mut text = self.clear();
            if lines[0].seq > self.next {
                text += &format!("  … {} lines were dropped\n", lines[0].seq - self.next);
            }
            self.next = last.seq + 1;
            let view = self.views.borrow_and_update().clone();
            if let Some(run) = view.runs.iter().find(|run| run.id == self.run) {
                let names = Names::of(run, &view.agents);
                self.run_started = self.run_started.or(names.started);
                let own = self.run;
                for line in lines.iter().filter(|line| line.run == own) {
                    text += &self.line(line, &names).map_or(String::new(), |line| line + "\n");
                }
            }
            self.out.offer(text);
        }
        self.draw();
    }

    /// A line of the log, if it is worth telling.
    fn line(&mut self, line: &LogLine, names: &Names) -> Option<String> {
        if let Body::Event(event) = &line.body
            && let EventKind::RunStarted { .. } = event.kind
        {
            self.run_started = Some(event.at);
        }
        let at = plain::duration(line.at.saturating_sub(self.run_started.unwrap_or(line.at)));
        match &line.body {
            Body::Event(event) => {
                let mut took = String::new();
                match event.kind {
                    EventKind::AttemptStarted { step, .. } => {
                        self.started.entry(step).or_insert(event.at);
                    }
                    EventKind::StepSucceeded { step, .. } => {
                        if let Some(start) = self.started.get(&step) {
                            took = format!(" in {}", plain::duration(event.at.saturating_sub(*start)));
                        }
                    }
                    _ => {}
                }
                plain::is_news(&event.kind).then(|| format!("{at:>9}  {}{took}", plain::event_line(event, names)))
            }
            // What a step prints as its output is its result, and is told there.
            Body::Text(Stream::Stdout, _) => None,
            Body::Text(Stream::Stderr | Stream::Note, text) => {
                let step = line.step.map_or(String::new(), |step| format!("{}: ", Safe::line(names.step(step))));
                Some(format!("{at:>9}  {step}{}", Safe::line(text)))
            }
        }
    }

    /// What takes the moving line away.
    fn clear(&mut self) -> String {
        match &mut self.moving {
            Some(moving) if !moving.shown.is_empty() => {
                moving.shown.clear();
                "\r\u{1b}[K".to_owned()
            }
            _ => String::new(),
        }
    }

    fn draw(&mut self) {
        let Some(moving) = &mut self.moving else { return };
        if !self.out.has_room() {
            return;
        }
        let view = self.views.borrow_and_update().clone();
        if view.revision != moving.revision {
            (moving.revision, moving.since_view) = (view.revision, 0);
        }
        let Some(run) = view.runs.iter().find(|run| run.id == self.run) else { return };
        #[expect(clippy::cast_precision_loss, reason = "ticks of a run fit")]
        let ahead = moving.since_view as f64 * REDRAW.as_secs_f64() * view.clock_rate;
        let text = cut(&moving_line(run, view.now + Micros::from_secs_f64(ahead)), columns());
        if text != moving.shown {
            self.out.offer(format!("\r{text}\u{1b}[K"));
            moving.shown = text;
        }
    }

    /// Tells the rest and takes the moving line away.
    pub(crate) async fn finish(mut self) {
        self.tell();
        while self.next < self.logs.next_seq() && self.out.ready().await {
            self.tell();
        }
        let text = self.clear();
        self.out.print(text).await;
        let _ = self.out.finish().await;
    }
}

/// `running · 3/8 done · 4 s · 2 running: fetch, merge`
fn moving_line(run: &RunView, now: Micros) -> String {
    let counts = &run.counts;
    let elapsed = run.started.map_or(0, |start| now.saturating_sub(start).0 / 1_000_000);
    let running: Vec<String> = (run.steps.iter().enumerate())
        .filter(|(_, step)| step.state.active())
        .take(8)
        .map(|(at, _)| Safe::line(&run.workflow.steps[at].id).into_string())
        .collect();
    let mut text = format!("  {} · {}/{} done", run.state.word(), counts.ended(), counts.total());
    for state in [StepState::Failed, StepState::Waiting] {
        if counts.of(state) > 0 {
            text += &format!(" · {} {}", counts.of(state), state.word());
        }
    }
    text += &format!(" · {elapsed} s");
    if !running.is_empty() {
        text += &format!(" · {} running: {}", counts.active(), running.join(", "));
    }
    text
}

/// What fits on one line, with one column to spare.
pub(crate) fn cut(text: &str, columns: usize) -> String {
    use unicode_width::UnicodeWidthChar;
    let mut used = 0;
    text.chars()
        .take_while(|c| {
            used += c.width().unwrap_or(0);
            used < columns
        })
        .collect()
}

/// Columns of the terminal behind standard error.
pub(crate) fn columns() -> usize {
    rustix::termios::tcgetwinsize(std::io::stderr()).map_or(COLUMNS, |size| match size.ws_col {
        0 => COLUMNS,
        n => usize::from(n),
    })
}
