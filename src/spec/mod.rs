//! Text to workflow: reads YAML and JSON, reports every fault with its place.
//!
//! ```text
//!   text ──yaml, json──▶ tree ──walk (keys, tables)──▶ faults ─▶ diagnostics
//!                          └────build──▶ draft ──check, cycle, flow──▶ Workflow, if nothing refuses it
//! ```
//!
//! A file may use others: `library` finds them all, `whole` reads each by the same road and puts them into each other.
//!
//! What is computed is taken apart by the walker (`computed`), gathered from the tree by the same tables and compiled in
//! one call (`expressions`), with whatever compiler the caller has; `place` finds its faults inside quotes and blocks.
//! Steps that join a running graph are read by the same tables ([`growth`]).
//!
//! Reading files is the caller's ([`Options`]`.used`): [`LIMITS`] says how much to read at most. The tables that the walker goes by also make
//! the JSON Schema ([`schema`]), so that neither can know a key that the other does not.

mod agent_tables;
mod barrier;
mod build;
mod build_agent;
mod build_compensation;
mod build_flow;
mod build_policy;
mod build_step;
mod build_work;
mod check;
mod computed;
mod crew;
mod cycle;
pub mod data;
pub mod diagnostic;
mod expected;
mod expressions;
mod faults;
mod flow;
mod flow_tables;
pub mod growth;
mod json;
mod keys;
mod library;
mod options;
mod outputs;
mod place;
mod policy_tables;
mod routes;
mod scalar;
mod schema;
mod sharing;
pub mod source;
mod sources;
mod tables;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_assembly;
#[cfg(test)]
mod tests_flow;
#[cfg(test)]
mod tests_growth;
#[cfg(test)]
mod tests_policy;
mod together;
mod tree;
mod units;
mod walk;
mod whole;
mod words;
mod yaml;

use crate::model::agent::Agent;
use crate::model::workflow::FileStamp;
pub use diagnostic::{Code, Diagnostic, Severity, render_all};
pub use expressions::Compile;
use faults::Faults;
pub use options::{Options, ReadUsed, Used};
pub use schema::schema;
use serde_json::{Map, Value};
pub use source::{LIMITS, Source};
pub use whole::read;

/// What came of reading a file.
#[derive(Clone, Debug)]
pub struct Outcome<T> {
    /// What was read, if nothing refuses the file.
    pub value: Option<T>,
    /// Everything there is to say about it, in the order of the file, at most [`LIMITS`]`.diagnostics`.
    pub diagnostics: Vec<Diagnostic>,
    /// How many more there are.
    pub more: usize,
    /// The files that it uses, directly or by others.
    pub files: Vec<FileStamp>,
}

impl<T> Outcome<T> {
    fn new(value: Option<T>, faults: Faults<'_>) -> Self {
        let value = if faults.any_error() { None } else { value };
        let (diagnostics, more) = faults.finish();
        Self { value, diagnostics, more, files: Vec::new() }
    }
    /// The diagnostics for people, one line break behind each.
    #[must_use]
    pub fn render(&self) -> String {
        render_all(&self.diagnostics, self.more)
    }
}

/// Reads the file of `--agents`: a map with `agents`. `compile` is that of [`Options`].
#[must_use]
pub fn read_agents(source: &Source, compile: Option<Compile>) -> Outcome<Vec<Agent>> {
    let mut faults = Faults::new(source);
    let root = data::tree(source, &mut faults).filter(|root| data::is_map(root, "an agents file", &mut faults));
    let agents = root.map(|root| {
        walk::table(&agent_tables::AGENTS_FILE, &root, root.span, &mut faults);
        let texts = expressions::of_table(&agent_tables::AGENTS_FILE, &root, &[]);
        expressions::compile(texts.iter(), compile, &mut faults);
        let fields = walk::Fields::of(&agent_tables::AGENTS_FILE, &root);
        let drafts = fields.get("agents").map(|node| build_agent::agents(node, &mut faults)).unwrap_or_default();
        drafts.into_iter().filter_map(|draft| draft.agent).collect()
    });
    Outcome::new(agents, faults)
}

/// Reads the file of `--data`: a map.
#[must_use]
pub fn read_data(source: &Source) -> Outcome<Map<String, Value>> {
    let mut faults = Faults::new(source);
    let data = data::document(source, &mut faults);
    Outcome::new(data, faults)
}

/// Makes a source of the bytes of a file.
///
/// # Errors
/// A diagnostic if there are too many of them, or if they are not UTF-8.
pub fn source_from_bytes(name: &str, bytes: Vec<u8>) -> Result<Source, Box<Diagnostic>> {
    if bytes.len() > LIMITS.bytes {
        let message = format!("the file has more than {} MB", LIMITS.bytes >> 20);
        return Err(Box::new(Diagnostic::whole_file(name, Code::TooLarge, message)));
    }
    String::from_utf8(bytes).map(|text| Source::new(name, text)).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let before = String::from_utf8_lossy(&error.as_bytes()[..at]).into_owned();
        let mut diagnostic = Diagnostic::whole_file(name, Code::Encoding, "the file is not UTF-8 from here on");
        diagnostic.line = before.matches('\n').count() + 1;
        diagnostic.column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
        diagnostic.expected = Some("text in UTF-8".to_owned());
        Box::new(diagnostic)
    })
}
