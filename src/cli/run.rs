//! `upbeat run FILE` and `upbeat [FILE]`: from options to an engine with a loaded run, then the panel or plain progress.

use super::args::{Cli, ClockWord, EngineOptions, ModelOptions, Pace, RunArgs, RunOutput};
use super::begin::{Begin, Start};
use super::load::{self, Needs};
use super::out::{EXIT_FAULT, Stop, refuse, say};
use super::session::{self, Session};
use super::store::{self, Kept};
use super::{Next, refused, unreal};
use crate::model::safe::Safe;
use crate::model::workflow::Workflow;
use crate::runtime::chance;
use crate::runtime::clock::ClockKind;
use crate::runtime::handle::{Origin, RunOrder};
use crate::runtime::store::disk::SyncMode;
use clap::{ArgMatches, CommandFactory};
use std::path::Path;
use std::sync::Arc;

/// `upbeat run FILE`.
pub(crate) fn run(args: &RunArgs, matches: &ArgMatches) -> Result<Next, Stop> {
    refused::run(args, matches)?;
    let output = session::output(args.output, args.headless);
    let (workflow, origin) = read(&args.file, &args.model, output.unwrap_or(RunOutput::Text))?;
    let kept = store::for_new(&args.engine, matches)?;
    let order = order(workflow, origin, &args.engine, kept.as_ref())?;
    let start = match (args.paused, output) {
        (false, _) => Start::Now,
        (true, None) => Start::Later,
        (true, Some(_)) => Start::Parked,
    };
    session(&args.engine.pace, kept, store::sync(&args.engine.sync))?.begin(Begin::New(Box::new(order), start), output)
}

/// `upbeat [FILE]`.
pub(crate) fn open(cli: &Cli, matches: &ArgMatches) -> Result<Next, Stop> {
    refused::engine(&cli.engine, matches)?;
    if let Some(why) = session::no_panel() {
        let file = cli.file.as_ref().map_or("FILE".into(), |file| file.to_string_lossy());
        return refuse(&format!("there is no panel, because {why}; `upbeat run {}` runs without", Safe::line(&file)));
    }
    let Some(file) = &cli.file else { return refuse(&no_file()) };
    hint_at_command(file);
    let (workflow, origin) = read(file, &cli.model, RunOutput::Text)?;
    let kept = store::for_new(&cli.engine, matches)?;
    let order = order(workflow, origin, &cli.engine, kept.as_ref())?;
    session(&cli.engine.pace, kept, store::sync(&cli.engine.sync))?
        .begin(Begin::New(Box::new(order), Start::Later), None)
}

/// Reads the workflow, and what it can be read again by.
fn read(file: &Path, model: &ModelOptions, told: RunOutput) -> Result<(Workflow, Origin), Stop> {
    let (loaded, recipe) = load::with_recipe(file, model, Needs::Agents)?;
    let files = loaded.files();
    let workflow = loaded.accept(told)?;
    let recipe = serde_json::to_value(recipe).map_err(|error| {
        say(&format!("upbeat: what the workflow was read from cannot be noted: {error}"));
        Stop(EXIT_FAULT)
    })?;
    Ok((workflow, Origin { files, recipe }))
}

/// The engine that the options ask for.
pub(crate) fn session(pace: &Pace, kept: Option<Kept>, sync: SyncMode) -> Result<Session, Stop> {
    let clock = match pace.clock {
        ClockWord::Real => ClockKind::Real,
        ClockWord::Virtual => ClockKind::Virtual,
    };
    Session::start(clock, pace.speed, kept, sync)
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

/// The seed that was given, or one drawn.
pub(crate) fn seed(pace: &Pace) -> u64 {
    match (pace.seed, pace.clock) {
        (Some(seed), _) => seed,
        (None, ClockWord::Virtual) => 0,
        (None, ClockWord::Real) => chance::seed(),
    }
}

/// Sees that a workflow can live in the time that was asked for, and notes what is known of its steps.
pub(crate) fn suit(workflow: &mut Workflow, pace: &Pace, kept: Option<&Kept>) -> Result<(), Stop> {
    if pace.clock == ClockWord::Virtual {
        unreal::admit(workflow)?;
    }
    if let Some(kept) = kept.filter(|_| pace.clock == ClockWord::Real) {
        session::measured(workflow, kept);
    }
    Ok(())
}

/// The run that the options ask for.
fn order(
    mut workflow: Workflow,
    origin: Origin,
    options: &EngineOptions,
    kept: Option<&Kept>,
) -> Result<RunOrder, Stop> {
    let seed = seed(&options.pace);
    suit(&mut workflow, &options.pace, kept)?;
    let origin = kept.is_some().then_some(origin);
    Ok(RunOrder { workflow: Arc::new(workflow), name: chance::run_id(), seed, origin, reuse: None })
}
