//! A run without the panel: progress on standard error, the result on standard output, signals as commands.

use super::args::RunOutput;
use super::out::{Done, EXIT_FAULT, Printer, Stop, say};
use super::progress::Progress;
use super::signals::Signals;
use crate::model::command::{Command, Rejection};
use crate::model::event::{Event, EventKind};
use crate::model::id::RunId;
use crate::model::safe::Safe;
use crate::model::state::EndCause;
use crate::model::view::RunSummary;
use crate::report::events::{Names, event_json};
use crate::report::{json, result, summary};
use crate::runtime::handle::{Handle, RunOrder};
use serde_json::json;
use std::collections::VecDeque;
use std::sync::Arc;
use tokio::sync::mpsc;

/// Lines that wait for a slow reader before the engine has to wait too.
const WAITING_MAX: usize = 1_000;

/// Loads, starts, watches and reports a run; gives the exit code. The engine is still there afterwards.
pub(crate) async fn run(handle: &Handle, order: RunOrder, output: RunOutput, paused: bool) -> Done {
    let refused = |rejection: &Rejection| {
        say(&format!("upbeat: {}", Safe::line(&rejection.to_string())));
        Stop(EXIT_FAULT)
    };
    let events = handle.subscribe().await.map_err(|rejection| refused(&rejection))?;
    let run = handle.load(order).await.map_err(|rejection| refused(&rejection))?;
    let mut signals = Signals::new()?;
    let names = names(handle, run).await?;
    let mut watch = Watch { run, names, progress: None, lines: None, last: None };
    match output {
        RunOutput::Text | RunOutput::Json => watch.progress = Some(Progress::new(handle, run)),
        RunOutput::Jsonl => watch.lines = Some(Printer::stdout()),
    }
    let open = if paused {
        say("upbeat: loaded and not started (--paused); without a store nothing can resume it later");
        true
    } else {
        handle.command(Command::Start { run }).await.map_err(|rejection| refused(&rejection))?;
        watch.follow(handle, events, &mut signals).await
    };
    if !open {
        // The reader of the events has gone: nobody wants the rest.
        drop(handle.command(Command::Cancel { run, cause: EndCause::Quit }).await);
        return Err(Stop(super::out::EXIT_CLOSED));
    }
    let Some(summary) = handle.summary(run).await else {
        say("upbeat: the engine ended before the run did; this is a fault of upbeat");
        return Err(Stop(EXIT_FAULT));
    };
    if output != RunOutput::Text {
        let run = Safe::line(&summary.run_name);
        watch.note(format!("upbeat: run {run}, seed {}; nothing of it was saved", summary.seed)).await;
    }
    let code = result::exit_code(&summary);
    let cut_short = async {
        // The result may be held by a reader that stands still: a signal ends the waiting for it.
        signals.next().await;
        Ok(code)
    };
    tokio::select! {
        end = watch.report(&summary, output) => end.map(|()| code),
        code = cut_short => code,
    }
}

/// The names of a loaded run.
async fn names(handle: &Handle, run: RunId) -> Result<Names, Stop> {
    let mut views = handle.views();
    let view = views.wait_for(|view| view.runs.iter().any(|r| r.id == run)).await.map_err(|_| Stop(EXIT_FAULT))?;
    let run = view.runs.iter().find(|r| r.id == run).expect("waited for it just now");
    Ok(Names::of(run, &view.agents))
}

struct Watch {
    run: RunId,
    names: Names,
    /// Lines for people, on standard error.
    progress: Option<Progress>,
    /// Lines for machines, on standard output.
    lines: Option<Printer>,
    /// The event that ended the run.
    last: Option<Arc<Event>>,
}

impl Watch {
    /// Until the run has ended. False: nobody reads the events any more.
    async fn follow(&mut self, handle: &Handle, mut events: mpsc::Receiver<Arc<Event>>, signals: &mut Signals) -> bool {
        let mut waiting = VecDeque::new();
        let mut ending = false;
        loop {
            // A reader that stands still holds the engine, until the run is to end: then nothing may hold it.
            let room = waiting.len() < WAITING_MAX || ending;
            tokio::select! {
                biased;
                cause = signals.next() => {
                    if self.last.is_some() {
                        return true;
                    }
                    ending = true;
                    // A refusal means that the run has ended in the meantime, and its last event is on the way.
                    let _ = handle.send(Command::Cancel { run: self.run, cause });
                }
                open = hand_over(self.lines.as_ref(), &mut waiting), if !waiting.is_empty() => {
                    if !open {
                        return false;
                    }
                }
                event = events.recv(), if room && self.last.is_none() => {
                    let Some(event) = event else { return true };
                    if event.run == self.run {
                        waiting.extend(self.take(&event));
                    }
                }
                () = tick(self.progress.as_mut()) => {}
            }
            if self.last.is_some() && waiting.is_empty() {
                return true;
            }
        }
    }

    /// Notes an event; gives the line it makes for machines.
    fn take(&mut self, event: &Arc<Event>) -> Option<String> {
        match event.kind {
            EventKind::RunStarted { .. } => self.names.started = self.names.started.or(Some(event.at)),
            EventKind::RunFinished { .. } => {
                self.last = Some(event.clone());
                return None;
            }
            _ => {}
        }
        self.lines.as_ref().map(|_| json::line(&event_json(event, &self.names)) + "\n")
    }

    /// Says a line behind the progress.
    async fn note(&mut self, line: String) {
        if let Some(progress) = self.progress.take() {
            progress.finish().await;
        }
        say(&line);
    }

    /// Prints the result.
    async fn report(&mut self, summary: &RunSummary, output: RunOutput) -> Result<(), Stop> {
        if let Some(progress) = self.progress.take() {
            progress.finish().await;
        }
        let stdout = self.lines.take().unwrap_or_else(Printer::stdout);
        let text = match output {
            RunOutput::Text => summary::text(summary),
            RunOutput::Json => json::pretty(&result::document(summary)) + "\n",
            RunOutput::Jsonl => self.last_line(summary) + "\n",
        };
        stdout.print(text).await;
        stdout.finish().await
    }

    /// The event that ended the run, with the result.
    fn last_line(&self, summary: &RunSummary) -> String {
        let mut line = match &self.last {
            Some(event) => {
                let event = event_json(event, &self.names);
                json!({"seq": event["seq"], "at_ms": event["at_ms"], "event": event["event"]})
            }
            None => json!({"event": "run_finished"}),
        };
        line["result"] = result::document(summary);
        json::line(&line)
    }
}

/// Gives a line to the printer; false if its reader is gone.
async fn hand_over(lines: Option<&Printer>, waiting: &mut VecDeque<String>) -> bool {
    let Some(lines) = lines else { return true };
    // Waiting for room first keeps the line when a signal comes between.
    if !lines.ready().await {
        return false;
    }
    if let Some(line) = waiting.pop_front() {
        lines.offer(line);
    }
    true
}

/// Brings the progress up to date; without any, never.
async fn tick(progress: Option<&mut Progress>) {
    match progress {
        Some(progress) => progress.tick().await,
        None => std::future::pending().await,
    }
}
