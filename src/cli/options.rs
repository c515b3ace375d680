//! The options of the commands that look at or steer a saved run.

use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// Where saved runs lie.
#[derive(Clone, Debug, Args)]
pub(crate) struct StorePlace {
    /// Folder of saved runs; default: upbeat's folder among those for state
    #[arg(long, value_name = "DIR", env = "UPBEAT_STORE", hide_env = true)]
    pub(crate) store: Option<PathBuf>,
}

/// A saved run, and where to look for it.
#[derive(Clone, Debug, Args)]
pub(crate) struct SavedRun {
    /// The run: its id, the beginning of one, or `last`
    #[arg(value_name = "RUN")]
    pub(crate) run: String,
    #[command(flatten)]
    pub(crate) place: StorePlace,
}

/// What other commands print.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people
    Text,
    /// For machines
    Json,
}

/// `upbeat pause`.
#[derive(Debug, Args)]
pub(crate) struct PauseArgs {
    #[command(flatten)]
    pub(crate) saved: SavedRun,
    /// Halt running steps where they stand, instead of letting them end
    #[arg(long)]
    pub(crate) freeze: bool,
    #[arg(long, value_name = "STEP", hide = true)]
    pub(crate) step: Option<String>,
    /// How the answer is told
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) output: Output,
}

/// `upbeat cancel`.
#[derive(Debug, Args)]
pub(crate) struct CancelArgs {
    #[command(flatten)]
    pub(crate) saved: SavedRun,
    #[command(flatten)]
    pub(crate) what: Cancelled,
    /// Give to another agent what one is at work on and another can take
    #[arg(long, conflicts_with_all = ["step", "stop"])]
    pub(crate) reassign: bool,
    /// How the answer is told
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) output: Output,
}

/// What is cancelled; nothing of it: the whole run.
#[derive(Debug, Args)]
#[group(multiple = false)]
pub(crate) struct Cancelled {
    /// Only this step, and what depends on its success
    #[arg(long, value_name = "STEP")]
    pub(crate) step: Option<String>,
    /// What this agent works on, and what nobody but it may do
    #[arg(long, value_name = "AGENT")]
    pub(crate) agent: Option<String>,
    /// The steps that ask for this capability
    #[arg(long, value_name = "CAPABILITY")]
    pub(crate) capability: Option<String>,
    /// The steps that ask for this action
    #[arg(long, value_name = "ACTION")]
    pub(crate) action: Option<String>,
    /// The steps of these priorities: `0-25`, or one number
    #[arg(long, value_name = "FROM-TO", value_parser = priorities)]
    pub(crate) priority: Option<(u8, u8)>,
    /// Let what runs end, and cancel the rest
    #[arg(long)]
    pub(crate) stop: bool,
}

/// `upbeat answer`.
#[derive(Debug, Args)]
pub(crate) struct AnswerArgs {
    /// The run: its id, the beginning of one, or `last`
    #[arg(value_name = "RUN")]
    pub(crate) run: String,
    /// The step that asks; `run`: the run itself, whether what succeeded will do
    #[arg(value_name = "STEP")]
    pub(crate) step: String,
    /// `approve`, `reject`, or the step's output as JSON
    #[arg(value_name = "approve|reject|JSON")]
    pub(crate) answer: String,
    #[command(flatten)]
    pub(crate) place: StorePlace,
    /// How it is told what came of it
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) output: Output,
}

/// `upbeat guide`.
#[derive(Debug, Args)]
pub(crate) struct GuideArgs {
    /// The page; without one they are listed
    #[arg(value_name = "TOPIC")]
    pub(crate) topic: Option<String>,
}

fn priorities(text: &str) -> Result<(u8, u8), String> {
    let (from, to) = text.split_once('-').unwrap_or((text, text));
    match (from.trim().parse(), to.trim().parse()) {
        (Ok(from), Ok(to)) if from <= to && to <= 100 => Ok((from, to)),
        _ => Err("two numbers from 0 to 100, the lower one first, such as 0-25".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_priorities_are_two_numbers_in_order() {
        assert_eq!(priorities("0-25"), Ok((0, 25)));
        assert_eq!(priorities("50"), Ok((50, 50)));
        for bad in ["25-0", "0-101", "low", "1-2-3", "-5", ""] {
            assert!(priorities(bad).is_err(), "{bad}");
        }
    }
}
