//! `upbeat run FILE` and `upbeat [FILE]`: from options to an engine with a loaded run, then the panel or plain progress.

use super::args::{Cli, ClockWord, EngineOptions, Output, RunArgs, RunOutput};
use super::load::{self, Needs};
use super::out::{Done, EXIT_FAULT, Stop, refuse, say};
use super::{Next, headless, refused};
use crate::model::agent::{AgentKind, Builtin};
use crate::model::command::Command;
use crate::model::id::RunId;
use crate::model::safe::Safe;
use crate::model::state::{EndCause, RunState};
use crate::model::step::{Fallback, Work};
use crate::model::workflow::Workflow;
use crate::report::{result, summary};
use crate::runtime::clock::ClockKind;
use crate::runtime::handle::{Handle, RunOrder};
use crate::runtime::{self, Runtime, chance, environment};
use clap::{ArgMatches, CommandFactory};
use std::io::IsTerminal;
use std::path::Path;
use std::sync::Arc;

/// A loaded run that waits for the panel. Give it back to [`super::after_panel`] when the panel has closed.
#[derive(Debug)]
pub struct PanelOrder {
    runtime: Runtime,
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

/// `upbeat run FILE`.
pub(crate) fn run(args: &RunArgs, matches: &ArgMatches) -> Result<Next, Stop> {
    refused::run(args, matches)?;
    let output = args.output.unwrap_or(RunOutput::Text);
    let plain = args.headless || output != RunOutput::Text;
    let no_panel = if plain { None } else { no_panel() };
    if let Some(why) = no_panel {
        say(&format!("upbeat: plain progress, because {why}"));
    }
    let told = if output == RunOutput::Text { Output::Text } else { Output::Json };
    let loaded = load::workflow(&args.file, &args.model, Needs::Agents)?;
    let order = order(loaded.accept(told)?, &args.engine)?;
    let runtime = start_engine(&args.engine)?;
    if plain || no_panel.is_some() {
        return Ok(Next::Exit(plainly(runtime, order, output, args.paused)?));
    }
    panel(runtime, order, !args.paused)
}

/// `upbeat [FILE]`.
pub(crate) fn open(cli: &Cli, matches: &ArgMatches) -> Result<Next, Stop> {
    refused::model(&cli.model)?;
    refused::engine(&cli.engine, matches)?;
    if let Some(why) = no_panel() {
        let file = cli.file.as_ref().map_or("FILE".into(), |file| file.to_string_lossy());
        return refuse(&format!("there is no panel, because {why}; `upbeat run {}` runs without", Safe::line(&file)));
    }
    let Some(file) = &cli.file else { return refuse(&no_file()) };
    hint_at_command(file);
    let loaded = load::workflow(file, &cli.model, Needs::Agents)?;
    let order = order(loaded.accept(Output::Text)?, &cli.engine)?;
    panel(start_engine(&cli.engine)?, order, false)
}

/// Why the panel cannot be shown.
fn no_panel() -> Option<&'static str> {
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

/// What to do without a file: name the ones at hand.
fn no_file() -> String {
    const SHOWN: usize = 20;
    let is_workflow = |path: &Path| path.extension().is_some_and(|ending| ending == "yaml" || ending == "json");
    let found = std::fs::read_dir("workflows").into_iter().flatten().flatten().map(|entry| entry.path());
    let mut files: Vec<_> = found.filter(|path| is_workflow(path)).collect();
    files.sort();
    let mut text = "which workflow? Give a file: `upbeat FILE` opens it, `upbeat run FILE` starts it".to_owned();
    for file in files.iter().take(SHOWN) {
        text += &format!("\n  upbeat {}", Safe::line(&file.to_string_lossy()));
    }
    if files.len() > SHOWN {
        text += &format!("\n  … and {} more in ./workflows", files.len() - SHOWN);
    }
    text
}

/// A misspelt command looks like a file that is not there.
fn hint_at_command(file: &Path) {
    let Some(word) = file.to_str().filter(|word| !file.exists() && !word.contains(['.', '/'])) else { return };
    let near = |name: &str| strsim::damerau_levenshtein(word, name) <= 2;
    if let Some(command) = Cli::command().get_subcommands().find(|command| near(command.get_name())) {
        say(&format!("upbeat: did you mean `upbeat {}`?", command.get_name()));
    }
}

/// The run that the options ask for.
fn order(workflow: Workflow, options: &EngineOptions) -> Result<RunOrder, Stop> {
    let seed = match (options.seed, options.clock) {
        (Some(seed), _) => seed,
        (None, ClockWord::Virtual) => 0,
        (None, ClockWord::Real) => chance::seed(),
    };
    if options.clock == ClockWord::Virtual {
        let real = real_agents(&workflow);
        if !real.is_empty() {
            return refuse(&format!(
                "`--clock virtual` needs every agent in use to be simulated or built in; these are not: {}",
                real.join(", ")
            ));
        }
    }
    Ok(RunOrder { workflow: Arc::new(workflow), name: chance::run_id(), seed, origin: None, reuse: None })
}

/// Agents that a step may use and that work in real time.
fn real_agents(workflow: &Workflow) -> Vec<String> {
    let asked = |agent: &crate::model::agent::Agent| {
        let offers = |capability: &str| agent.capabilities.iter().any(|own| &**own == capability);
        workflow.steps.iter().any(|step| {
            let itself = match &step.work {
                Work::Agent { agent: id } => agent.id == *id,
                _ => offers(step.asks_for()),
            };
            itself
                || step.fallback.iter().any(|fallback| match fallback {
                    Fallback::Agent(id) => agent.id == *id,
                    Fallback::Capability(capability) => offers(capability),
                    Fallback::Value(_) => false,
                })
        })
    };
    let real = workflow.agents.iter().filter(|agent| !agent.kind.is_virtual() && asked(agent));
    real.map(|agent| match &agent.kind {
        AgentKind::Builtin { builtin: Builtin::Process } => "`run` and `command` steps".to_owned(),
        kind => format!("{} ({})", Safe::line(&agent.id), kind.word()),
    })
    .collect()
}

/// The one place where an engine is started.
fn start_engine(options: &EngineOptions) -> Result<Runtime, Stop> {
    let clock = match options.clock {
        ClockWord::Real => ClockKind::Real,
        ClockWord::Virtual => ClockKind::Virtual,
    };
    let started = environment::own_program()
        .and_then(|program| runtime::start(runtime::Config { clock, speed: options.speed, program, store: None }));
    started.map_err(|error| {
        say(&format!("upbeat: cannot start the engine: {error}"));
        Stop(EXIT_FAULT)
    })
}

/// Runs a future to its end.
fn block_on<T>(future: impl Future<Output = Result<T, Stop>>) -> Result<T, Stop> {
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(future),
        Err(error) => {
            say(&format!("upbeat: cannot wait for events: {error}"));
            Err(Stop(EXIT_FAULT))
        }
    }
}

fn plainly(runtime: Runtime, order: RunOrder, output: RunOutput, paused: bool) -> Done {
    block_on(async move {
        let end = headless::run(runtime.handle(), order, output, paused).await;
        runtime.shutdown().await;
        end
    })
}

fn panel(runtime: Runtime, order: RunOrder, start: bool) -> Result<Next, Stop> {
    block_on(async move {
        let refused = |rejection| {
            say(&format!("upbeat: {rejection}"));
            Stop(EXIT_FAULT)
        };
        let run = runtime.handle().load(order).await.map_err(refused)?;
        if start {
            runtime.handle().command(Command::Start { run }).await.map_err(refused)?;
        }
        Ok(Next::Panel(PanelOrder { runtime, run }))
    })
}

/// What follows when the panel has closed: everything is ended, a summary stays in the scrollback, and the exit code is
/// that of the run.
#[must_use]
pub fn after_panel(order: PanelOrder) -> u8 {
    let run = order.run;
    let end = block_on(async move {
        let handle = order.runtime.handle();
        let mut views = handle.views();
        let state = |view: &crate::model::view::EngineView| view.runs.iter().find(|r| r.id == run).map(|r| r.state);
        if state(&views.borrow()).is_some_and(|state| state != RunState::Pending && !state.ended()) {
            // The panel ends runs itself; this is for one that could not.
            let _ = handle.command(Command::Cancel { run, cause: EndCause::Quit }).await;
            let _ = views.wait_for(|view| state(view).is_none_or(RunState::ended)).await;
        }
        let summary = handle.summary(run).await;
        order.runtime.shutdown().await;
        match summary {
            Some(summary) if summary.state != RunState::Pending => {
                // Where the terminal has gone away nobody reads it; the run's end is told by the exit code all the same.
                super::out::leave(&summary::text(&summary));
                Ok(result::exit_code(&summary))
            }
            _ => Ok(0),
        }
    });
    end.unwrap_or_else(|Stop(code)| code)
}
