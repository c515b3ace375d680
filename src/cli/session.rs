//! An engine with one run in it: shown in the panel, or told with plain progress.

use super::Next;
use super::args::RunOutput;
use super::begin::Begin;
use super::headless::{self, Telling};
use super::out::{Done, EXIT_FAULT, EXIT_USAGE, Stop, leave, say};
use super::store::Kept;
use crate::model::command::{Command, Rejection};
use crate::model::id::RunId;
use crate::model::safe::Safe;
use crate::model::state::{EndCause, RunState};
use crate::model::view::{EngineView, RunView};
use crate::model::workflow::Workflow;
use crate::report::ways::Ways;
use crate::report::{result, summary};
use crate::runtime::clock::ClockKind;
use crate::runtime::control::{self, Ask, Told};
use crate::runtime::handle::{Handle, RestoreOrder};
use crate::runtime::store::disk::SyncMode;
use crate::runtime::{self, Runtime, environment};
use std::io::IsTerminal;

/// A run that waits for the panel. Give it back to [`super::after_panel`] when the panel has closed.
#[derive(Debug)]
pub struct PanelOrder {
    runtime: Runtime,
    saved: Option<Ways>,
    /// The run the panel shows.
    pub run: RunId,
}

impl PanelOrder {
    /// The way to the engine.
    #[must_use]
    pub const fn handle(&self) -> &Handle {
        self.runtime.handle()
    }
}

/// Why the panel cannot be shown.
pub(crate) fn no_panel() -> Option<&'static str> {
    if !std::io::stdin().is_terminal() {
        Some("standard input is not a terminal")
    } else if !std::io::stdout().is_terminal() {
        Some("standard output is not a terminal")
    } else if environment::var("TERM").is_some_and(|term| term == "dumb") {
        Some("TERM is `dumb`")
    } else {
        None
    }
}

/// What a run prints if it is not shown in the panel; `None`: it is.
pub(crate) fn output(asked: Option<RunOutput>, headless: bool) -> Option<RunOutput> {
    let output = asked.unwrap_or(RunOutput::Text);
    if headless || output != RunOutput::Text {
        return Some(output);
    }
    no_panel().map(|why| {
        say(&format!("upbeat: plain progress, because {why}"));
        output
    })
}

/// Notes in the steps how long steps of their kind took in earlier runs. Without, estimates are worse, and that is all.
pub(crate) fn measured(workflow: &mut Workflow, kept: &Kept) {
    let keys: Vec<String> = workflow.step_ids().map(|step| workflow.timing_key(step)).collect();
    let asked: Vec<&str> = keys.iter().map(String::as_str).collect();
    match kept.store.history().and_then(|history| history.get(&asked)) {
        Ok(timings) => {
            for (step, timing) in workflow.steps.iter_mut().zip(timings) {
                step.measured = timing.map(|timing| timing.mean);
            }
        }
        Err(error) => say(&format!("upbeat: how long steps took is not known: {}", Safe::line(&error.to_string()))),
    }
}

/// What came of opening a saved run for one command.
pub(crate) enum Visit {
    /// It was done; where the run stands now.
    Done(Told, RunState),
    /// The command was refused.
    Refused(Rejection),
    /// The run could not be opened.
    Unopened(Rejection),
}

/// An engine.
#[derive(Debug)]
pub(crate) struct Session {
    runtime: Runtime,
    saved: Option<Ways>,
}

impl Session {
    /// The one place where an engine is started.
    pub(crate) fn start(clock: ClockKind, speed: f64, kept: Option<Kept>, sync: SyncMode) -> Result<Self, Stop> {
        let saved = kept.as_ref().map(|kept| kept.ways.clone());
        let store = kept.map(|kept| (kept.store, sync));
        let started = environment::own_program()
            .and_then(|program| runtime::start(runtime::Config { clock, speed, program, store }));
        match started {
            Ok(runtime) => Ok(Self { runtime, saved }),
            Err(error) => {
                say(&format!("upbeat: cannot start the engine: {error}"));
                Err(Stop(EXIT_FAULT))
            }
        }
    }

    /// Begins a run. `output`: what it prints; `None`: it is shown in the panel.
    pub(crate) fn begin(self, begin: Begin, output: Option<RunOutput>) -> Result<Next, Stop> {
        match output {
            Some(output) => self.plainly(begin, output).map(Next::Exit),
            None => self.panel(begin),
        }
    }

    fn plainly(self, begin: Begin, output: RunOutput) -> Done {
        let Self { runtime, saved } = self;
        block_on(async move {
            let end = headless::run(runtime.handle(), begin, Telling { output, saved }).await;
            runtime.shutdown().await;
            end
        })
    }

    /// Has something done with the engine, then ends it; gives the exit code.
    pub(crate) fn during(self, work: impl AsyncFnOnce(&Handle) -> Done) -> Done {
        block_on(async move {
            let end = work(self.runtime.handle()).await;
            self.runtime.shutdown().await;
            end
        })
    }

    /// Opens a saved run, has a command done to it, and leaves it again.
    pub(crate) fn steer(self, order: RestoreOrder, ask: &Ask) -> Result<Visit, Stop> {
        block_on(async move {
            let visit = visit(self.runtime.handle(), order, ask).await;
            self.runtime.shutdown().await;
            Ok(visit)
        })
    }

    fn panel(self, begin: Begin) -> Result<Next, Stop> {
        let Self { runtime, saved } = self;
        block_on(async move {
            let code = if matches!(begin, Begin::New(..)) { EXIT_FAULT } else { EXIT_USAGE };
            match begin.enact(runtime.handle()).await {
                Ok(run) => Ok(Next::Panel(PanelOrder { runtime, saved, run })),
                Err(rejection) => {
                    say(&format!("upbeat: {}", Safe::line(&rejection.to_string())));
                    runtime.shutdown().await;
                    Err(Stop(code))
                }
            }
        })
    }
}

async fn visit(handle: &Handle, order: RestoreOrder, ask: &Ask) -> Visit {
    let run = match handle.restore(order).await {
        Ok(run) => run,
        Err(rejection) => return Visit::Unopened(rejection),
    };
    match steer(handle, run, ask).await {
        Ok((told, state)) => Visit::Done(told, state),
        Err(rejection) => Visit::Refused(rejection),
    }
}

async fn steer(handle: &Handle, run: RunId, ask: &Ask) -> Result<(Told, RunState), Rejection> {
    let gone = || Rejection::new("the engine ended before it answered");
    let mut views = handle.views();
    let is_there = |view: &EngineView| view.store.trouble.is_some() || view.runs.iter().any(|shown| shown.id == run);
    let view = views.wait_for(|view| is_there(view)).await.map_err(|_| gone())?.clone();
    let done = handle.command(control::resolve(ask, &view, run)?).await?;
    let state = handle.summary(run).await.ok_or_else(gone)?.state;
    Ok((control::tell(&done, &view, run), state))
}

/// Runs a future to its end.
pub(crate) fn block_on<T>(future: impl Future<Output = Result<T, Stop>>) -> Result<T, Stop> {
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(future),
        Err(error) => {
            say(&format!("upbeat: cannot wait for events: {error}"));
            Err(Stop(EXIT_FAULT))
        }
    }
}

/// What follows when the panel has closed: the run is left so that it can go on, or ended where nothing is saved; a
/// summary stays in the scrollback, and the exit code is that of the run.
#[must_use]
pub fn after_panel(order: PanelOrder) -> u8 {
    let PanelOrder { runtime, saved, run } = order;
    let end = block_on(async move {
        let handle = runtime.handle();
        let is_recorded = settle(handle, run, saved.is_some()).await;
        let summary = handle.summary(run).await;
        let ways = saved.unwrap_or_default();
        let ways = if is_recorded { ways } else { ways.unsure() };
        runtime.shutdown().await;
        match summary {
            Some(summary) if summary.state != RunState::Pending => {
                // Where the terminal has gone away nobody reads it; the run's end is told by the exit code all the same.
                leave(&summary::text(&summary, &ways));
                Ok(result::exit_code(&summary))
            }
            _ => Ok(0),
        }
    });
    end.unwrap_or_else(|Stop(code)| code)
}

/// Waits until nothing of the run is under way. The panel brings that about itself; this is for a run of which it could
/// not. False: the store takes nothing, so that the last events may not be recorded.
async fn settle(handle: &Handle, run: RunId, is_saved: bool) -> bool {
    let mut views = handle.views();
    // What is frozen is still under way.
    let rests = |run: &RunView| match run.state {
        RunState::Pending => true,
        RunState::Paused => !run.frozen,
        state => state.ended(),
    };
    let at_rest = |view: &EngineView| {
        let shown = view.runs.iter().find(|shown| shown.id == run);
        view.store.trouble.is_some() || shown.is_none_or(rests)
    };
    let rests_already = at_rest(&views.borrow());
    if !rests_already {
        let leave = if is_saved { Command::Park { run } } else { Command::Cancel { run, cause: EndCause::Quit } };
        let _ = handle.command(leave).await;
        let _ = views.wait_for(|view| at_rest(view)).await;
    }
    views.borrow().store.trouble.is_none()
}
