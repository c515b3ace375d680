//! What the command line knows and this build cannot do yet: refused by name, never ignored.
//!
//! A flag stops the command. A variable may be set for other versions: it gets one line on standard error.

use super::args::{EngineOptions, GraphArgs, GraphFormat, Later, RunArgs};
use super::out::{Done, Stop, refuse, say};
use clap::ArgMatches;
use clap::parser::ValueSource;

/// Refuses a command.
pub(crate) fn command(later: &Later) -> Done {
    refuse(&format!("`upbeat {}` is not supported yet; `upbeat --help` lists what is", later.name()))
}

/// Refuses the options of later versions that were given.
pub(crate) fn engine(options: &EngineOptions, matches: &ArgMatches) -> Result<(), Stop> {
    if options.faults.is_some() { option("faults", matches) } else { Ok(()) }
}

/// The same for `upbeat run`.
pub(crate) fn run(args: &RunArgs, matches: &ArgMatches) -> Result<(), Stop> {
    engine(&args.engine, matches)
}

/// The same for `upbeat graph`.
pub(crate) fn graph(args: &GraphArgs) -> Result<(), Stop> {
    if args.format == GraphFormat::Svg {
        return refuse("`--format svg` is not supported yet; use text, dot, mermaid or json");
    }
    Ok(())
}

fn option(id: &str, matches: &ArgMatches) -> Result<(), Stop> {
    let flag = id.replace('_', "-");
    if matches.value_source(id) == Some(ValueSource::EnvVariable) {
        say(&format!("upbeat: UPBEAT_{} is not supported yet and is ignored", id.to_uppercase()));
        return Ok(());
    }
    refuse(&format!("`--{flag}` is not supported yet"))
}

/// Says that the configuration file is not read yet, if there is one.
pub(crate) fn config() {
    use crate::runtime::environment::var;
    let folder = var("XDG_CONFIG_HOME")
        .filter(|folder| !folder.is_empty())
        .map(std::path::PathBuf::from)
        .or_else(|| Some(std::path::PathBuf::from(var("HOME")?).join(".config")));
    let Some(file) = folder.map(|folder| folder.join("upbeat/config.yaml")) else { return };
    if file.exists() {
        let file = crate::model::safe::Safe::line(&file.to_string_lossy());
        say(&format!("upbeat: {file} is not supported yet and is ignored"));
    }
}
