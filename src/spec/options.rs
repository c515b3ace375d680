//! What comes from outside the file: options of the command line, and whoever reads files and compiles filters.

use crate::model::agent::Agent;
use crate::model::path::Path;
use crate::model::policy::Mode;
use crate::spec::diagnostic::Diagnostic;
use crate::spec::expressions::Compile;
use crate::spec::source::Source;
use serde_json::{Map, Value};

/// A file that a workflow uses.
#[derive(Clone, Debug)]
pub struct Used {
    /// Its text, and the name it goes by in messages.
    pub source: Source,
    /// Where it lies, from the root on: the same for every way to name it.
    pub path: String,
    /// A hash of its bytes.
    pub hash: String,
}

/// Reads a file that another one uses: the name of that one as in messages, and the name that stands in it, which is
/// relative to its folder. At most [`crate::spec::LIMITS`]`.bytes` of it.
pub type ReadUsed = fn(using: &str, file: &str) -> Result<Used, Box<Diagnostic>>;

/// What comes from outside the file.
#[derive(Clone, Debug)]
pub struct Options {
    /// Whether every capability and agent has to be there; a command that only draws asks for none.
    pub agents_needed: bool,
    /// Agents of `--agents`: added to those of the file; one with the same id takes the file's place.
    pub agents: Vec<Agent>,
    /// Data of `--data`, laid over the file's member by member.
    pub data: Option<Map<String, Value>>,
    /// Values of `--set`, over both.
    pub set: Vec<(Path, Value)>,
    /// The order of work, and where it was said, if not by the file.
    pub mode: Option<(Mode, String)>,
    /// The most attempts at once, if not by the file.
    pub max_parallel: Option<u32>,
    /// The folder that relative folders of the file start from.
    pub folder: Option<String>,
    /// Slots of the built-in process agent.
    pub cores: u32,
    /// Where the file itself lies: as [`Used::path`] says it of others, so that a file which uses itself is found out.
    pub file: Option<String>,
    /// Reads the files that a workflow uses; without it none can be used.
    pub used: Option<ReadUsed>,
    /// Says what is wrong with filters; without it nobody looks whether they are jq.
    pub compile: Option<Compile>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            agents_needed: true,
            agents: Vec::new(),
            data: None,
            set: Vec::new(),
            mode: None,
            max_parallel: None,
            folder: None,
            cores: 1,
            file: None,
            used: None,
            compile: None,
        }
    }
}
