//! How a workflow was read, saved with its run so that it can be read again.

use crate::model::path::Path as DataPath;
use crate::model::policy::Mode;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::path::Path;

/// The name of standard input, as an option and in messages.
pub(crate) const STDIN: &str = "-";

/// Where a text came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Input {
    /// A file, its path from the root on.
    File(String),
    /// Standard input: it cannot be read again.
    Stdin,
}

impl Input {
    /// What a path on the command line means.
    pub(crate) fn of(path: &Path) -> Self {
        if path.as_os_str() == STDIN {
            return Self::Stdin;
        }
        let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        Self::File(whole.to_string_lossy().into_owned())
    }
}

/// Everything that decided what the workflow became.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Recipe {
    /// The workflow's file.
    pub(crate) workflow: Input,
    /// The file of `--agents`.
    pub(crate) agents: Option<Input>,
    /// What `--data` gave.
    pub(crate) data: Option<Map<String, Value>>,
    /// What `--set` gave.
    pub(crate) set: Vec<(DataPath, Value)>,
    /// What `--mode` gave.
    pub(crate) mode: Option<Mode>,
    /// What `--max-parallel` gave.
    pub(crate) max_parallel: Option<u32>,
    /// Slots of the built-in process agent then.
    pub(crate) cores: u32,
}

impl Recipe {
    /// The files to read again; `None` where one of them was standard input.
    pub(crate) fn files(&self) -> Option<Vec<&str>> {
        std::iter::once(&self.workflow)
            .chain(&self.agents)
            .map(|input| match input {
                Input::File(path) => Some(path.as_str()),
                Input::Stdin => None,
            })
            .collect()
    }
}
