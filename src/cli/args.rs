//! The command line: every command and option of upbeat.
//!
//! What this build cannot do yet is parsed all the same, so that it can be refused by name (see `refused`) instead of
//! being taken for something else. Options take their value from the flag, else from the variable `UPBEAT_…`, else
//! from the default.

use clap::builder::{FalseyValueParser, RangedU64ValueParser};
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::ffi::OsString;
use std::path::PathBuf;

/// A control panel in the terminal for multi-agent workflows: run them, watch them, steer them, break them on purpose.
#[derive(Debug, Parser)]
#[command(
    name = "upbeat",
    version,
    args_conflicts_with_subcommands = true,
    disable_help_subcommand = true,
    subcommand_value_name = "COMMAND",
    override_usage = "upbeat [OPTIONS] [FILE]\n       upbeat <COMMAND> …",
    after_help = "`upbeat FILE` opens the panel with the workflow loaded; `s` starts it, `?` shows the keys.\n\
                  `upbeat run FILE` starts at once, without a terminal too.\n\
                  Every option has a variable: `--max-parallel` is UPBEAT_MAX_PARALLEL."
)]
pub(crate) struct Cli {
    /// What to do; without a command: the panel.
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    /// Workflow to open in the panel, YAML or JSON
    #[arg(value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) model: ModelOptions,
    #[command(flatten)]
    pub(crate) engine: EngineOptions,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a workflow: in the panel on a terminal, else with plain progress
    Run(RunArgs),
    /// Find every fault of workflow files, with its place and the way out
    Check(CheckArgs),
    /// Show what a run would do: levels, critical path, times, who does what
    Plan(PlanArgs),
    /// Draw the graph of a workflow
    Graph(GraphArgs),
    /// List the keys of the panel
    Keys(KeysArgs),
    /// Print the JSON Schema of workflow files
    Schema,
    /// Print completions for a shell
    Completions(CompletionsArgs),
    #[command(flatten)]
    Later(Later),
}

/// Commands of later versions: known by name, refused.
#[derive(Debug, Subcommand)]
pub(crate) enum Later {
    #[command(hide = true, disable_help_flag = true)]
    Runs(Rest),
    #[command(hide = true, disable_help_flag = true)]
    Show(Rest),
    #[command(hide = true, disable_help_flag = true)]
    Logs(Rest),
    #[command(hide = true, disable_help_flag = true)]
    Resume(Rest),
    #[command(hide = true, disable_help_flag = true)]
    Retry(Rest),
    #[command(hide = true, disable_help_flag = true)]
    Rerun(Rest),
    #[command(hide = true, disable_help_flag = true)]
    Replay(Rest),
    #[command(hide = true, disable_help_flag = true)]
    Pause(Rest),
    #[command(hide = true, disable_help_flag = true)]
    Cancel(Rest),
    #[command(hide = true, disable_help_flag = true)]
    Answer(Rest),
    #[command(hide = true, disable_help_flag = true)]
    Watch(Rest),
    #[command(hide = true, disable_help_flag = true)]
    Stream(Rest),
    #[command(hide = true, disable_help_flag = true)]
    Drill(Rest),
    #[command(hide = true, disable_help_flag = true)]
    Agents(Rest),
    #[command(hide = true, disable_help_flag = true)]
    Guide(Rest),
    #[command(hide = true, disable_help_flag = true)]
    Demo(Rest),
    #[command(hide = true, disable_help_flag = true)]
    Selftest(Rest),
}

impl Later {
    /// The command's name.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Runs(_) => "runs",
            Self::Show(_) => "show",
            Self::Logs(_) => "logs",
            Self::Resume(_) => "resume",
            Self::Retry(_) => "retry",
            Self::Rerun(_) => "rerun",
            Self::Replay(_) => "replay",
            Self::Pause(_) => "pause",
            Self::Cancel(_) => "cancel",
            Self::Answer(_) => "answer",
            Self::Watch(_) => "watch",
            Self::Stream(_) => "stream",
            Self::Drill(_) => "drill",
            Self::Agents(_) => "agents",
            Self::Guide(_) => "guide",
            Self::Demo(_) => "demo",
            Self::Selftest(_) => "selftest",
        }
    }
}

/// Whatever follows a command that is refused anyway.
#[derive(Debug, Args)]
pub(crate) struct Rest {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    rest: Vec<OsString>,
}

/// What changes the workflow that is read.
#[derive(Clone, Debug, Args)]
pub(crate) struct ModelOptions {
    /// File with agents to use beside or instead of the workflow's own
    #[arg(long, value_name = "FILE", env = "UPBEAT_AGENTS", hide_env = true)]
    pub(crate) agents: Option<PathBuf>,
    /// Data laid over the workflow's data, member by member; `-` reads standard input
    #[arg(long, value_name = "FILE", env = "UPBEAT_DATA", hide_env = true)]
    pub(crate) data: Option<PathBuf>,
    /// Put a value (JSON, else text) at a path of the data; may be repeated
    #[arg(long, value_name = "PATH=VALUE", env = "UPBEAT_SET", hide_env = true)]
    pub(crate) set: Vec<String>,
    /// Order of work
    #[arg(long, value_enum, env = "UPBEAT_MODE", hide_env = true)]
    pub(crate) mode: Option<ModeWord>,
    /// The most attempts at once
    #[arg(
        long, value_name = "N", env = "UPBEAT_MAX_PARALLEL", hide_env = true,
        value_parser = RangedU64ValueParser::<u32>::new().range(1..=1_000_000)
    )]
    pub(crate) max_parallel: Option<u32>,
}

/// How the engine runs it.
#[derive(Clone, Debug, Args)]
pub(crate) struct EngineOptions {
    /// `virtual`: time jumps from event to event (simulated and built-in agents only)
    #[arg(long, value_enum, default_value = "real", env = "UPBEAT_CLOCK", hide_env = true)]
    pub(crate) clock: ClockWord,
    /// Simulated agents work this many times as fast
    #[arg(
        long, value_name = "X", default_value = "1", hide_default_value = true, value_parser = speed,
        env = "UPBEAT_SPEED", hide_env = true
    )]
    pub(crate) speed: f64,
    /// Seed of every draw; default: drawn, or 0 with the virtual clock
    #[arg(long, value_name = "N", env = "UPBEAT_SEED", hide_env = true)]
    pub(crate) seed: Option<u64>,
    /// Folder for saved runs (this version saves none yet)
    #[arg(long, value_name = "DIR", env = "UPBEAT_STORE", hide_env = true, conflicts_with = "no_store")]
    pub(crate) store: Option<PathBuf>,
    /// Save nothing
    #[arg(long, env = "UPBEAT_NO_STORE", hide_env = true, value_parser = FalseyValueParser::new())]
    pub(crate) no_store: bool,
    #[arg(long, value_name = "FILE", env = "UPBEAT_FAULTS", hide = true)]
    pub(crate) faults: Option<OsString>,
    #[arg(long, value_name = "MODE", env = "UPBEAT_SYNC", hide = true)]
    pub(crate) sync: Option<OsString>,
}

/// `upbeat run`.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// Workflow to run, YAML or JSON; `-` reads standard input
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Plain progress instead of the panel
    #[arg(long, env = "UPBEAT_HEADLESS", hide_env = true, value_parser = FalseyValueParser::new())]
    pub(crate) headless: bool,
    /// What standard output carries; `json` and `jsonl` imply --headless
    #[arg(long, value_enum, env = "UPBEAT_OUTPUT", hide_env = true)]
    pub(crate) output: Option<RunOutput>,
    /// Load, but do not start
    #[arg(long, env = "UPBEAT_PAUSED", hide_env = true, value_parser = FalseyValueParser::new())]
    pub(crate) paused: bool,
    #[arg(long, env = "UPBEAT_ACCEPT_CHANGES", hide = true, value_parser = FalseyValueParser::new())]
    pub(crate) accept_changes: bool,
    #[command(flatten)]
    pub(crate) model: ModelOptions,
    #[command(flatten)]
    pub(crate) engine: EngineOptions,
}

/// `upbeat check`.
#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// Workflows to check; `-` reads standard input
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,
    /// How the faults are told
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) model: ModelOptions,
}

/// `upbeat plan`.
#[derive(Debug, Args)]
pub(crate) struct PlanArgs {
    /// Workflow to plan; `-` reads standard input
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// How the plan is told
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) output: Output,
    #[arg(long, value_name = "CAPABILITY=+N", hide = true)]
    pub(crate) what_if: Vec<OsString>,
    #[command(flatten)]
    pub(crate) model: ModelOptions,
}

/// `upbeat graph`.
#[derive(Debug, Args)]
pub(crate) struct GraphArgs {
    /// Workflow to draw; `-` reads standard input; it needs no agents
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// The drawing
    #[arg(short, long, value_enum, default_value = "text")]
    pub(crate) format: GraphFormat,
    /// Columns of the text drawing; default: the terminal's, else as many as it takes
    #[arg(long, value_name = "N", value_parser = RangedU64ValueParser::<u16>::new().range(20..))]
    pub(crate) width: Option<u16>,
    /// Fold steps that play the same part (text drawing)
    #[arg(long)]
    pub(crate) collapse: bool,
    /// How faults of the file are told
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) model: ModelOptions,
}

impl GraphArgs {
    /// Columns of the text drawing.
    pub(crate) fn columns(&self) -> Option<u32> {
        let terminal = || {
            let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok()?;
            (size.ws_col > 0).then_some(size.ws_col)
        };
        self.width.or_else(terminal).map(u32::from)
    }
}

/// `upbeat completions`.
#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell
    pub(crate) shell: clap_complete::Shell,
}

/// `upbeat keys`.
#[derive(Debug, Args)]
pub(crate) struct KeysArgs {
    /// As a Markdown table
    #[arg(long)]
    pub(crate) markdown: bool,
}

/// Orders of work, those of later versions among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ModeWord {
    /// Whatever needs, agents and limits allow
    Parallel,
    /// One step at a time
    Sequential,
    #[value(hide = true)]
    Hybrid,
    #[value(hide = true)]
    Auto,
}

/// Clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ClockWord {
    /// Time as it passes
    Real,
    /// Time jumps from event to event
    Virtual,
}

/// What a run prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum RunOutput {
    /// A summary for people
    Text,
    /// The result document
    Json,
    /// Every event as a line, the last one with the result document
    Jsonl,
}

/// What other commands print.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people
    Text,
    /// For machines
    Json,
}

/// Drawings of a graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum GraphFormat {
    /// Boxes and lines
    Text,
    /// For Graphviz
    Dot,
    /// For Markdown
    Mermaid,
    /// The panel's own layout, in cells
    Json,
    #[value(hide = true)]
    Svg,
}

fn speed(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(speed) if (1e-6..=1e6).contains(&speed) => Ok(speed),
        _ => Err("a number from 0.000001 to 1000000, such as 10".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_file_without_a_command_is_for_the_panel() {
        let cli = Cli::try_parse_from(["upbeat", "a.yaml", "--seed", "3", "--set", "a=1", "--set", "b=2"]).unwrap();
        assert!(cli.command.is_none() && cli.file.is_some());
        assert_eq!((cli.engine.seed, cli.model.set.len()), (Some(3), 2));
        assert!(Cli::try_parse_from(["upbeat", "--seed", "3", "run", "a.yaml"]).is_err());
    }

    #[test]
    fn commands_of_later_versions_take_anything() {
        let cli = Cli::try_parse_from(["upbeat", "drill", "x.yaml", "--output", "markdown", "-x"]).unwrap();
        let Some(Command::Later(later)) = cli.command else { panic!("{cli:?}") };
        assert_eq!(later.name(), "drill");
    }

    #[test]
    fn numbers_out_of_range_are_refused() {
        for bad in [["--speed", "0"], ["--speed", "nan"], ["--max-parallel", "0"], ["--seed", "-1"]] {
            assert!(Cli::try_parse_from(["upbeat", "run", "a.yaml", bad[0], bad[1]]).is_err(), "{bad:?}");
        }
    }
}
