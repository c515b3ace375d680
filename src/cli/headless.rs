//! A run without the panel: progress on standard error, the result on standard output, signals as commands.

use super::args::RunOutput;
use super::begin::{Begin, Start};
use super::out::{Done, EXIT_FAULT, EXIT_USAGE, Printer, Stop, say};
use super::progress::Progress;
use super::signals::Signals;
use crate::model::command::{Command, Rejection};
use crate::model::event::{Event, EventKind};
use crate::model::id::RunId;
use crate::model::safe::Safe;
use crate::model::state::{EndCause, RunState};
use crate::model::time::Micros;
use crate::model::view::{AgentView, EngineView, RunSummary, RunView, Saving};
use crate::report::events::{Names, event_json};
use crate::report::ways::{Ways, saving_words};
use crate::report::{asks, json, plain, result, summary};
use crate::runtime::handle::Handle;
use serde_json::json;
use std::collections::VecDeque;
use std::sync::Arc;
use tokio::sync::{mpsc, watch};

/// Lines that wait for a slow reader before the engine has to wait too.
const WAITING_MAX: usize = 1_000;
/// Steps that are named when a run cannot go on.
const WAITING_TOLD: usize = 10;

/// What a headless run is told with.
#[derive(Clone, Debug)]
pub(crate) struct Telling {
    /// What standard output carries.
    pub(crate) output: RunOutput,
    /// Whether the run is saved, and how commands name it.
    pub(crate) saved: Option<Ways>,
}

/// Begins, watches and reports a run; gives the exit code. The engine is still there afterwards.
pub(crate) async fn run(handle: &Handle, begin: Begin, telling: Telling) -> Done {
    let code = if matches!(begin, Begin::New(..)) { EXIT_FAULT } else { EXIT_USAGE };
    let refused = |rejection: &Rejection| {
        say(&format!("upbeat: {}", Safe::line(&rejection.to_string())));
        Stop(code)
    };
    let parked = matches!(begin, Begin::New(_, Start::Parked));
    let mut events = handle.subscribe().await.map_err(|rejection| refused(&rejection))?;
    let mut signals = Signals::new()?;
    let mut early = VecDeque::new();
    let begin = async {
        let run = begin.enact(handle).await.map_err(|rejection| refused(&rejection))?;
        let names = names(handle, run).await?;
        Ok((run, names, handle.summary(run).await.map_or(0, |summary| summary.seq)))
    };
    let (run, names, begun) = while_reading(&mut events, &mut early, begin).await?;
    let mut watch = Watch { run, names, begun, seen: 0, progress: None, lines: None, stands: None, asked: Vec::new() };
    match telling.output {
        RunOutput::Text | RunOutput::Json => watch.progress = Some(Progress::new(handle, run)),
        RunOutput::Jsonl => watch.lines = Some(Printer::stdout()),
    }
    let end = if parked {
        let hint = if telling.saved.is_some() { "" } else { "; without a store nothing can resume it later" };
        say(&format!("upbeat: loaded and not started (--paused){hint}"));
        End::Over
    } else {
        let source = Source { handle, early, events, saved: telling.saved.clone() };
        watch.follow(source, &mut signals).await
    };
    if matches!(end, End::Unread) {
        // Nobody wants the rest; whoever closes the engine parks or ends the run.
        return Err(Stop(super::out::EXIT_CLOSED));
    }
    let Some(mut summary) = handle.summary(run).await else {
        say("upbeat: the engine ended before the run did; this is a fault of upbeat");
        return Err(Stop(EXIT_FAULT));
    };
    if let End::Trouble(_) = end {
        // Whatever the engine has decided since: it is not recorded, so it has not happened.
        summary.state = if summary.state == RunState::Pending { RunState::Pending } else { RunState::Paused };
    }
    watch.conclude(&summary, end, &telling, &mut signals).await
}

/// Does something while the events are read, because the engine waits for its readers.
async fn while_reading<T>(
    events: &mut mpsc::Receiver<Arc<Event>>,
    early: &mut VecDeque<Arc<Event>>,
    work: impl Future<Output = T>,
) -> T {
    tokio::pin!(work);
    loop {
        tokio::select! {
            biased;
            done = &mut work => return done,
            Some(event) = events.recv() => early.push_back(event),
        }
    }
}

/// The names of a loaded run.
async fn names(handle: &Handle, run: RunId) -> Result<Names, Stop> {
    let mut views = handle.views();
    let view = views.wait_for(|view| view.runs.iter().any(|r| r.id == run)).await.map_err(|_| Stop(EXIT_FAULT))?;
    let run = view.runs.iter().find(|r| r.id == run).expect("waited for it just now");
    Ok(Names::of(run, &view.agents))
}

/// Why the watching ended.
enum End {
    /// The run has ended, or stands still until somebody resumes it.
    Over,
    /// Nobody reads the events any more.
    Unread,
    /// Nothing can be recorded any more, and why.
    Trouble(String),
    /// Only a person can bring the run on, and it cannot be left for later.
    Stuck,
}

/// What is watched.
struct Source<'h> {
    handle: &'h Handle,
    /// Events that came while the run was begun.
    early: VecDeque<Arc<Event>>,
    events: mpsc::Receiver<Arc<Event>>,
    /// How commands name the run, if it is saved.
    saved: Option<Ways>,
}

struct Watch {
    run: RunId,
    names: Names,
    /// The last event that came of beginning: an end before it has been taken back.
    begun: u64,
    /// The last event that was seen.
    seen: u64,
    /// Lines for people, on standard error.
    progress: Option<Progress>,
    /// Lines for machines, on standard output.
    lines: Option<Printer>,
    /// The event that ended the run or brought it to a stand.
    stands: Option<Arc<Event>>,
    /// What only a person can decide, and how.
    asked: Vec<String>,
}

impl Watch {
    /// Until the run has ended or stands still.
    async fn follow(&mut self, source: Source<'_>, signals: &mut Signals) -> End {
        let Source { handle, early, mut events, saved } = source;
        let (is_saved, run) = (saved.is_some(), self.run);
        let (mut views, mut stuck_views) = (handle.views(), handle.views());
        let mut waiting: VecDeque<String> = early.iter().filter_map(|event| self.take(event)).collect();
        let mut ending = false;
        // The event that brought a run that is not saved to where only a person can bring it on: all up to it is told.
        let mut stuck_at = None;
        while !self.is_over() || !waiting.is_empty() {
            if waiting.is_empty() && stuck_at.is_some_and(|seq| self.seen >= seq) {
                return End::Stuck;
            }
            // A reader that stands still holds the engine, until the run is to end: then nothing may hold it.
            let room = waiting.len() < WAITING_MAX || ending;
            tokio::select! {
                biased;
                cause = signals.next() => {
                    if self.is_over() {
                        return End::Over;
                    }
                    ending = true;
                    // A refusal means that the run has ended in the meantime, and its last event is on the way.
                    let _ = handle.send(self.leave(is_saved, cause));
                }
                open = hand_over(self.lines.as_ref(), &mut waiting), if !waiting.is_empty() => {
                    if !open {
                        return End::Unread;
                    }
                }
                event = events.recv(), if room && !self.is_over() => {
                    let Some(event) = event else { return End::Over };
                    waiting.extend(self.take(&event));
                }
                (asked, seq) = stuck(&mut stuck_views, run, saved.as_ref()), if self.asked.is_empty() && !self.is_over() => {
                    self.asked = asked;
                    if is_saved {
                        // A refusal means that it has come to a stand by itself.
                        let _ = handle.send(Command::Park { run });
                    } else {
                        stuck_at = Some(seq);
                    }
                }
                trouble = trouble(&mut views), if is_saved && !self.is_over() => return End::Trouble(trouble),
                () = tick(self.progress.as_mut()) => {}
            }
        }
        End::Over
    }

    /// What a signal asks for: said again it means at once.
    const fn leave(&self, is_saved: bool, cause: EndCause) -> Command {
        if is_saved { Command::Park { run: self.run } } else { Command::Cancel { run: self.run, cause } }
    }

    fn is_over(&self) -> bool {
        self.stands.is_some() && self.seen >= self.begun
    }

    /// Notes an event; gives the line it makes for machines.
    fn take(&mut self, event: &Arc<Event>) -> Option<String> {
        if event.run != self.run {
            return None;
        }
        self.seen = event.seq;
        self.names.hear(event);
        match event.kind {
            EventKind::RunStarted { .. } => self.names.started = self.names.started.or(Some(event.at)),
            // What is frozen is still under way: only a drained run can be left.
            EventKind::RunPaused { frozen: false } | EventKind::RunFinished { .. } => {
                self.stands = Some(event.clone());
            }
            EventKind::RunResumed | EventKind::RunReopened => self.stands = None,
            _ => {}
        }
        if self.is_over() && matches!(event.kind, EventKind::RunFinished { .. }) {
            // It becomes the last line, with the result.
            return None;
        }
        self.lines.as_ref().map(|_| json::line(&event_json(event, &self.names)) + "\n")
    }

    /// Says what has to be said, prints the result, and gives the exit code.
    async fn conclude(mut self, summary: &RunSummary, end: End, telling: &Telling, signals: &mut Signals) -> Done {
        let run = Safe::line(&summary.run_name);
        let mut notes = Vec::new();
        if telling.output != RunOutput::Text {
            let saved = saving_words(summary.saving);
            notes.push(format!("upbeat: run {run}, seed {}; {saved}", summary.seed));
        }
        let mut ways = telling.saved.clone().unwrap_or_default();
        if let End::Trouble(why) = &end {
            notes.push(format!("upbeat: the run cannot be recorded and is left: {}", Safe::line(why)));
            ways = ways.unsure();
        }
        if !summary.state.ended() {
            notes.extend(self.asked.drain(..).map(|line| format!("upbeat: {line}")));
        }
        if summary.saving != Saving::Nothing && !summary.state.ended() {
            notes.push(format!("resume with: {}", ways.resume(&summary.run_name, summary.seq)));
        }
        self.note(&notes).await;
        let code = result::exit_code(summary);
        let cut_short = async {
            // The result may be held by a reader that stands still: a signal ends the waiting for it.
            signals.next().await;
            Ok(code)
        };
        tokio::select! {
            end = self.report(summary, telling.output, &ways) => end.map(|()| code),
            code = cut_short => code,
        }
    }

    /// Says lines behind the progress.
    async fn note(&mut self, lines: &[String]) {
        if let Some(progress) = self.progress.take() {
            progress.finish().await;
        }
        lines.iter().for_each(|line| say(line));
    }

    /// Prints the result.
    async fn report(&mut self, summary: &RunSummary, output: RunOutput, ways: &Ways) -> Result<(), Stop> {
        let stdout = self.lines.take().unwrap_or_else(Printer::stdout);
        let text = match output {
            RunOutput::Text => summary::text(summary, ways),
            RunOutput::Json => json::pretty(&result::document(summary)) + "\n",
            RunOutput::Jsonl => last_line(self.stands.as_deref(), &self.names, summary) + "\n",
        };
        stdout.print(text).await;
        stdout.finish().await
    }
}

/// The last line for machines: the event that ended the run, if one did, with the result.
pub(crate) fn last_line(last: Option<&Event>, names: &Names, summary: &RunSummary) -> String {
    let mut line = match last.filter(|event| matches!(event.kind, EventKind::RunFinished { .. })) {
        Some(event) => {
            let event = event_json(event, names);
            json!({"seq": event["seq"], "at_ms": event["at_ms"], "event": event["event"]})
        }
        None => json!({"event": "run_finished"}),
    };
    line["result"] = result::document(summary);
    json::line(&line)
}

/// Waits until the store takes nothing, and says why.
async fn trouble(views: &mut watch::Receiver<Arc<EngineView>>) -> String {
    let why = |view: &EngineView| view.store.trouble.as_ref().map(|trouble| trouble.message.clone());
    match views.wait_for(|view| view.store.trouble.is_some()).await {
        Ok(view) => why(&view).unwrap_or_default(),
        Err(_) => std::future::pending().await,
    }
}

/// Waits until only a person can bring the run on; gives what is asked, how it is answered if it is saved, and the number
/// of the last event until then.
async fn stuck(views: &mut watch::Receiver<Arc<EngineView>>, run: RunId, saved: Option<&Ways>) -> (Vec<String>, u64) {
    let is_stuck = |shown: &RunView| shown.id == run && shown.stuck;
    let Ok(view) = views.wait_for(|view| view.runs.iter().any(is_stuck)).await else {
        return std::future::pending().await;
    };
    let Some(shown) = view.runs.iter().find(|shown| is_stuck(shown)) else { return std::future::pending().await };
    (waited_for(shown, &view.agents, view.now, saved), shown.seq)
}

/// What a run that cannot go on by itself waits for.
fn waited_for(run: &RunView, agents: &[AgentView], now: Micros, saved: Option<&Ways>) -> Vec<String> {
    let asks = asks::asks(run, &saved.cloned().unwrap_or_default());
    let mut told = vec!["the run cannot go on by itself; it waits for a person".to_owned()];
    told.extend(match saved {
        Some(_) => asks::lines(&asks),
        // Nothing that could be answered is left when this process has ended.
        None => asks.iter().map(asks::Ask::question).collect(),
    });
    if asks.is_empty() {
        let names = Names::of(run, agents);
        let steps = run.workflow.steps.iter().zip(&run.steps);
        let waiting = steps.filter_map(|(spec, step)| Some((spec, step.wait.as_ref()?)));
        told.extend(waiting.take(WAITING_TOLD).map(|(spec, (why, until))| {
            format!("{} {}", Safe::line(&spec.id), plain::waits(why, *until, &names, now))
        }));
    }
    told
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::state::WaitReason;
    use crate::model::step::{Step, Work};
    use crate::model::workflow::Workflow;
    use crate::runtime::clock::ClockKind;
    use crate::runtime::handle::RunOrder;
    use crate::runtime::{Config, start};

    /// A view of a run of one approval, taken from an engine and then made to say that it is stuck.
    fn stuck_view() -> EngineView {
        let work = Work::Approval { prompt: "go on?".to_owned(), timeout: None, default: None };
        let workflow = Arc::new(Workflow::new("w", Vec::new(), vec![Step::new("review", work)]));
        let config = Config { clock: ClockKind::Virtual, speed: 1.0, program: "upbeat".into(), store: None };
        let runtime = start(config).unwrap();
        let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        tokio.block_on(async {
            let order = RunOrder { workflow, name: "r1".into(), seed: 0, origin: None, reuse: None };
            let run = runtime.handle().load(order).await.unwrap();
            let mut views = runtime.handle().views();
            let mut view = (**views.wait_for(|view| !view.runs.is_empty()).await.unwrap()).clone();
            runtime.shutdown().await;
            let shown = &mut view.runs[run.index()];
            shown.stuck = true;
            shown.steps[0].state = crate::model::state::StepState::Waiting;
            shown.steps[0].wait = Some((WaitReason::Approval, None));
            view
        })
    }

    #[test]
    fn a_run_that_only_a_person_can_bring_on_says_what_is_asked_and_how_to_answer() {
        let view = stuck_view();
        let (say, views) = watch::channel(Arc::new(EngineView::default()));
        let mut views = views;
        say.send_replace(Arc::new(view));
        let tokio = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let ways = Ways::new(Some("/s".to_owned()));
        let first = "the run cannot go on by itself; it waits for a person";
        assert_eq!(
            tokio.block_on(stuck(&mut views, RunId(0), Some(&ways))).0,
            [first, "review asks: go on?", "  answer with: upbeat answer r1 review approve|reject --store /s"]
        );
        assert_eq!(tokio.block_on(stuck(&mut views, RunId(0), None)).0, [first, "review asks: go on?"]);
    }
}
