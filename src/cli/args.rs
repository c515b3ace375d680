//! The command line: every command and option of upbeat.
//!
//! What this build cannot do yet is parsed all the same, so that it can be refused by name (see `refused`) instead of
//! being taken for something else. Options take their value from the flag, else from the variable `UPBEAT_…`, else
//! from the default.

pub(crate) use super::options::{AnswerArgs, CancelArgs, GuideArgs, Output, PauseArgs, SavedRun, StorePlace};

use crate::model::policy::Mode;
use crate::report::what_if::More;
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
    /// List saved runs, the newest first
    Runs(RunsArgs),
    /// Show a saved run: where it stands, its steps, its failures
    Show(ShowArgs),
    /// Print what happened in a saved run and what its agents printed
    Logs(LogsArgs),
    /// Read the journal of a saved run back; nothing is done again
    Replay(ReplayArgs),
    /// Go on with a run that was left or interrupted
    Resume(ResumeArgs),
    /// Try again what failed in a run
    Retry(RetryArgs),
    /// Begin a new run of what a saved one was made of
    Rerun(RerunArgs),
    /// Pause a run in another process: running steps end first
    Pause(PauseArgs),
    /// Cancel a run, or steps of it, in another process or parked
    Cancel(CancelArgs),
    /// Answer what a run asks, in another process or parked
    Answer(AnswerArgs),
    /// Run the workflows that handle an event, for every event of a source
    Watch(WatchArgs),
    /// Take every item of a source through the steps of a workflow
    Stream(StreamArgs),
    /// Try every agent of a workflow: is it there, what can it do, how quick is it
    Agents(AgentsArgs),
    /// Read the guide
    Guide(GuideArgs),
    /// List the keys of the panel
    Keys(KeysArgs),
    /// Print the JSON Schema of workflow files
    Schema,
    /// Print completions for a shell
    Completions(CompletionsArgs),
    /// Simulate runs with every kind of fault, and check that upbeat keeps its promises here too
    Selftest(SelftestArgs),
    #[command(flatten)]
    Later(Later),
}

/// Commands of later versions: known by name, refused.
#[derive(Debug, Subcommand)]
pub(crate) enum Later {
    #[command(hide = true, disable_help_flag = true)]
    Drill(Rest),
    #[command(hide = true, disable_help_flag = true)]
    Demo(Rest),
}

impl Later {
    /// The command's name.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Drill(_) => "drill",
            Self::Demo(_) => "demo",
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

/// Time and chance.
#[derive(Clone, Debug, Args)]
pub(crate) struct Pace {
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
}

/// How the engine runs it.
#[derive(Clone, Debug, Args)]
pub(crate) struct EngineOptions {
    #[command(flatten)]
    pub(crate) pace: Pace,
    #[arg(long, value_name = "FILE", env = "UPBEAT_FAULTS", hide = true)]
    pub(crate) faults: Option<OsString>,
    #[command(flatten)]
    pub(crate) place: StorePlace,
    /// Save nothing: what is interrupted is gone
    #[arg(long, env = "UPBEAT_NO_STORE", hide_env = true, value_parser = FalseyValueParser::new())]
    pub(crate) no_store: bool,
    #[command(flatten)]
    pub(crate) sync: SyncOption,
}

/// How safely runs are saved.
#[derive(Clone, Debug, Args)]
pub(crate) struct SyncOption {
    /// How safely a run is saved: `normal` survives a `kill -9` of upbeat, a loss of power may take the last moments;
    /// `full` survives that too, and waits for the disk at every commit
    #[arg(
        long,
        value_name = "MODE",
        value_enum,
        env = "UPBEAT_SYNC",
        hide_env = true,
        default_value = "normal",
        hide_possible_values = true
    )]
    pub(crate) sync: SyncWord,
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
    #[command(flatten)]
    pub(crate) model: ModelOptions,
    #[command(flatten)]
    pub(crate) engine: EngineOptions,
}

/// `upbeat watch`.
#[derive(Debug, Args)]
pub(crate) struct WatchArgs {
    /// Workflows with `on`: the types of the events that they handle
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,
    /// Where events come from, a JSON object with a `type` a line: a file or pipe; `-` is standard input
    #[arg(long, value_name = "FILE", default_value = "-")]
    pub(crate) events: PathBuf,
    #[command(flatten)]
    pub(crate) model: ModelOptions,
    #[command(flatten)]
    pub(crate) engine: EngineOptions,
}

/// `upbeat stream`.
#[derive(Debug, Args)]
pub(crate) struct StreamArgs {
    /// Workflow with `stream`
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Where items come from, a JSON value a line: a file or pipe; `-` is standard input
    #[arg(long, value_name = "FILE", default_value = "-")]
    pub(crate) items: PathBuf,
    #[command(flatten)]
    pub(crate) model: ModelOptions,
    #[command(flatten)]
    pub(crate) pace: Pace,
    /// What holds for streams anyway: nothing of them is saved
    #[arg(long)]
    pub(crate) no_store: bool,
}

/// How a saved run goes on.
#[derive(Clone, Debug, Args)]
pub(crate) struct GoOnOptions {
    /// Plain progress instead of the panel
    #[arg(long, env = "UPBEAT_HEADLESS", hide_env = true, value_parser = FalseyValueParser::new())]
    pub(crate) headless: bool,
    /// What standard output carries; `json` and `jsonl` imply --headless
    #[arg(long, value_enum, env = "UPBEAT_OUTPUT", hide_env = true)]
    pub(crate) output: Option<RunOutput>,
    /// Simulated agents work this many times as fast; default: as before
    #[arg(long, value_name = "X", value_parser = speed, env = "UPBEAT_SPEED", hide_env = true)]
    pub(crate) speed: Option<f64>,
    #[command(flatten)]
    pub(crate) sync: SyncOption,
}

/// `upbeat resume`.
#[derive(Debug, Args)]
pub(crate) struct ResumeArgs {
    /// The run: its id, the beginning of one, or `last`; `@SEQ` behind it: only if its last event is that one
    #[arg(value_name = "RUN[@SEQ]")]
    pub(crate) run: String,
    #[command(flatten)]
    pub(crate) place: StorePlace,
    #[arg(long, value_name = "STEP", hide = true)]
    pub(crate) step: Option<String>,
    /// Go on although the workflow's file has changed: what has ended stays, the rest follows the new file
    #[arg(
        long, env = "UPBEAT_ACCEPT_CHANGES", hide_env = true, value_parser = FalseyValueParser::new()
    )]
    pub(crate) accept_changes: bool,
    #[command(flatten)]
    pub(crate) options: GoOnOptions,
}

/// `upbeat retry`.
#[derive(Debug, Args)]
pub(crate) struct RetryArgs {
    #[command(flatten)]
    pub(crate) saved: SavedRun,
    /// Only this step, and what was left out because of it; default: all that failed or was cancelled
    #[arg(long, value_name = "STEP")]
    pub(crate) step: Option<String>,
    #[command(flatten)]
    pub(crate) options: GoOnOptions,
}

/// `upbeat rerun`.
#[derive(Debug, Args)]
pub(crate) struct RerunArgs {
    #[command(flatten)]
    pub(crate) saved: SavedRun,
    /// Take over what succeeded, but for this step and what depends on it, or what had succeeded when a checkpoint
    /// (`checkpoint-N`) was made; default: everything is done again
    #[arg(long, value_name = "STEP|CHECKPOINT")]
    pub(crate) from: Option<String>,
    #[command(flatten)]
    pub(crate) options: GoOnOptions,
}

/// `upbeat runs`.
#[derive(Debug, Args)]
pub(crate) struct RunsArgs {
    /// The most runs listed; default: 20, as JSON all
    #[arg(long, value_name = "N", value_parser = RangedU64ValueParser::<u64>::new().range(1..))]
    pub(crate) limit: Option<u64>,
    /// How they are told
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) place: StorePlace,
}

/// `upbeat show`.
#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    #[command(flatten)]
    pub(crate) saved: SavedRun,
    /// Only what failed, and what can be done about it
    #[arg(long)]
    pub(crate) failures: bool,
    /// How it is told
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) output: Output,
}

/// `upbeat logs`.
#[derive(Debug, Args)]
pub(crate) struct LogsArgs {
    #[command(flatten)]
    pub(crate) saved: SavedRun,
    /// Only this step
    #[arg(long, value_name = "STEP")]
    pub(crate) step: Option<String>,
    /// Only lines that this regular expression fits
    #[arg(long, value_name = "RE")]
    pub(crate) grep: Option<String>,
    /// How they are told: as lines, or as a JSON document a line
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) output: Output,
}

/// `upbeat replay`.
#[derive(Debug, Args)]
pub(crate) struct ReplayArgs {
    #[command(flatten)]
    pub(crate) saved: SavedRun,
    /// How it is told: what happened line by line, the result document, or the events as `upbeat run` printed them
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) output: RunOutput,
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
    /// Say what so many more agents would save; may be repeated
    #[arg(long, value_name = "CAPABILITY=+N")]
    pub(crate) what_if: Vec<More>,
    #[command(flatten)]
    pub(crate) model: ModelOptions,
}

/// `upbeat agents`.
#[derive(Debug, Args)]
pub(crate) struct AgentsArgs {
    /// Workflow whose agents are tried; `-` reads standard input
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// File with agents to use beside or instead of the workflow's own
    #[arg(long, value_name = "FILE", env = "UPBEAT_AGENTS", hide_env = true)]
    pub(crate) agents: Option<PathBuf>,
    /// How they are told
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) output: Output,
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

/// `upbeat selftest`.
#[derive(Debug, Args)]
pub(crate) struct SelftestArgs {
    /// How many worlds to simulate
    #[arg(long, value_name = "N", default_value = "1000", value_parser = RangedU64ValueParser::<u64>::new().range(1..))]
    pub(crate) seeds: u64,
    /// The first seed
    #[arg(long, value_name = "S", default_value = "0")]
    pub(crate) from: u64,
    /// Simulate this one seed and tell everything that happens
    #[arg(long, value_name = "S", conflicts_with_all = ["seeds", "from"])]
    pub(crate) seed: Option<u64>,
    /// How the result is told
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) output: Output,
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

/// Orders of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ModeWord {
    /// Whatever needs, agents and limits allow
    Parallel,
    /// One step at a time
    Sequential,
    /// Level by level: larger groups in parallel, the rest in order
    Hybrid,
    /// Chosen by the graph, the load and the free agents
    Auto,
}

impl ModeWord {
    /// What it stands for.
    pub(crate) const fn mode(self) -> Mode {
        match self {
            Self::Parallel => Mode::Parallel,
            Self::Sequential => Mode::Sequential,
            Self::Hybrid => Mode::Hybrid,
            Self::Auto => Mode::Auto,
        }
    }
}

/// Clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ClockWord {
    /// Time as it passes
    Real,
    /// Time jumps from event to event
    Virtual,
}

/// How safely runs are saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SyncWord {
    /// Survives the end of upbeat, however sudden
    Normal,
    /// Survives a loss of power too
    Full,
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

impl From<Output> for RunOutput {
    fn from(output: Output) -> Self {
        match output {
            Output::Text => Self::Text,
            Output::Json => Self::Json,
        }
    }
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
        assert_eq!((cli.engine.pace.seed, cli.model.set.len()), (Some(3), 2));
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
