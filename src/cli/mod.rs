//! The headless commands and their exit codes.
//!
//! [`main`] does what the command line asks for. What needs the panel comes back as [`Next::Panel`], because this room
//! does not know the panel: `main.rs` opens it and comes back with [`after_panel`].

mod agents;
mod args;
mod begin;
mod check;
mod checkpoint;
mod control;
mod graph;
mod guide;
mod headless;
mod journal;
mod keys;
mod load;
mod logs;
mod options;
mod out;
mod parked;
mod progress;
mod recipe;
mod refused;
mod replay;
mod resume;
mod run;
mod runs;
mod saved;
mod selftest;
mod session;
mod show;
mod signals;
mod source;
mod store;
mod stream;
mod tally;
mod through;
mod unreal;
mod watch;

pub use session::{PanelOrder, after_panel};

use args::{Cli, Command, CompletionsArgs, Output, PlanArgs};
use clap::{ArgMatches, CommandFactory, FromArgMatches};
use out::{Done, EXIT_CLOSED, Stop};
use std::ffi::OsString;

/// What is to be done when the command line has been read.
#[derive(Debug)]
pub enum Next {
    /// Everything is done; this is the exit code.
    Exit(u8),
    /// The panel is to be shown.
    Panel(PanelOrder),
}

/// Does what the command line asks for, up to the panel.
#[must_use]
pub fn main(args: impl IntoIterator<Item = OsString>) -> Next {
    let matches = match Cli::command().try_get_matches_from(args) {
        Ok(matches) => matches,
        Err(told) => return Next::Exit(tell(&told)),
    };
    match Cli::from_arg_matches(&matches) {
        Ok(cli) => command(&cli, &matches).unwrap_or_else(|Stop(code)| Next::Exit(code)),
        Err(told) => Next::Exit(tell(&told)),
    }
}

/// Says on standard error what went wrong in upbeat itself, and gives the exit code for that.
#[must_use]
pub fn own_fault(what: &str) -> u8 {
    out::say(&format!("upbeat: {what}"));
    out::EXIT_FAULT
}

/// Help and version go to standard output, wrong usage to standard error.
fn tell(told: &clap::Error) -> u8 {
    match told.print() {
        Ok(()) => u8::try_from(told.exit_code()).unwrap_or(out::EXIT_USAGE),
        Err(_) => EXIT_CLOSED,
    }
}

fn command(cli: &Cli, matches: &ArgMatches) -> Result<Next, Stop> {
    let own = matches.subcommand().map_or(matches, |(_, own)| own);
    let done = match &cli.command {
        None => {
            refused::config();
            return run::open(cli, own);
        }
        Some(Command::Run(args)) => {
            refused::config();
            return run::run(args, own);
        }
        Some(Command::Resume(args)) => return resume::resume(args),
        Some(Command::Retry(args)) => return resume::retry(args),
        Some(Command::Rerun(args)) => return resume::rerun(args),
        Some(Command::Pause(args)) => control::pause(args),
        Some(Command::Cancel(args)) => control::cancel(args),
        Some(Command::Answer(args)) => control::answer(args),
        Some(Command::Watch(args)) => watch::watch(args, own),
        Some(Command::Stream(args)) => stream::stream(args),
        Some(Command::Agents(args)) => agents::agents(args),
        Some(Command::Guide(args)) => guide::guide(args),
        Some(Command::Runs(args)) => runs::runs(args),
        Some(Command::Show(args)) => show::show(args),
        Some(Command::Logs(args)) => logs::logs(args),
        Some(Command::Replay(args)) => replay::replay(args),
        Some(Command::Check(args)) => check::check(args),
        Some(Command::Plan(args)) => plan(args),
        Some(Command::Graph(args)) => graph::graph(args),
        Some(Command::Keys(args)) => print(&if args.markdown { keys::markdown() } else { keys::text() }),
        Some(Command::Schema) => print(&(crate::report::json::pretty(&crate::spec::schema()) + "\n")),
        Some(Command::Completions(args)) => completions(args),
        Some(Command::Selftest(args)) => selftest::selftest(args),
        Some(Command::Later(later)) => refused::command(later),
    };
    done.map(Next::Exit)
}

fn print(text: &str) -> Done {
    out::result(text).map(|()| 0)
}

/// `upbeat plan`.
fn plan(args: &PlanArgs) -> Done {
    let loaded = load::workflow(&args.file, &args.model, load::Needs::Agents)?;
    let workflow = loaded.accept(args.output)?;
    let shape = crate::engine::graph::shape(&workflow);
    let mut plan = crate::report::plan::Plan::new(&workflow, &shape);
    if let Err(why) = plan.think_of(&shape, &args.what_if) {
        return out::refuse(&format!("--what-if: {why}"));
    }
    print(&match args.output {
        Output::Text => plan.text(),
        Output::Json => crate::report::json::pretty(&plan.json()) + "\n",
    })
}

/// `upbeat completions`. Names that are hidden from the help are not offered either.
fn completions(args: &CompletionsArgs) -> Done {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "upbeat", &mut text);
    print(&String::from_utf8_lossy(&text))
}
