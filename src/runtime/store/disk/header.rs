//! What is written once when a run is begun: the workflow itself, where it came from, how it is run.

use super::brief::Brief;
use super::record::checksum;
use crate::model::id::Name;
pub use crate::model::workflow::FileStamp;
use crate::model::workflow::Workflow;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;
use twox_hash::XxHash3_128;

/// The fingerprint of a file's bytes: 128 bits as 32 hexadecimal digits. Tells a changed file from an unchanged one; it
/// is no proof against somebody who makes two files with one fingerprint on purpose.
#[must_use]
pub fn file_hash(bytes: &[u8]) -> String {
    format!("{:032x}", XxHash3_128::oneshot(bytes))
}

/// The beginning of a journal. Never changed afterwards.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// The run's name.
    pub run: Name,
    /// What is executed, whole: a run can be read and resumed without its files.
    pub workflow: Arc<Workflow>,
    /// The seed of its draws.
    pub seed: u64,
    /// When it was begun, milliseconds since 1970 UTC.
    pub began_unix_ms: u64,
    /// The files it was made from.
    pub files: Vec<FileStamp>,
    /// How the workflow was read from them (options, data laid over it). Opaque to the store.
    pub recipe: Value,
    /// The word of its clock: `real` or `virtual`.
    pub clock: String,
    /// What divides the times of simulated agents.
    pub speed: f64,
    /// The run that it is a rerun of.
    pub from: Option<Name>,
    /// The version of upbeat that began it.
    pub version: String,
}

/// What a list of runs shows of a header. Stored beside it, so that a list need not read whole workflows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Label {
    /// The run's name.
    pub run: Name,
    /// The workflow's id.
    pub workflow: Name,
    /// The seed of its draws.
    pub seed: u64,
    /// When it was begun, milliseconds since 1970 UTC.
    pub began_unix_ms: u64,
    /// The word of its clock.
    pub clock: String,
    /// The run that it is a rerun of.
    pub from: Option<Name>,
    /// The version of upbeat that began it.
    pub version: String,
}

impl Header {
    /// What a list shows of it.
    #[must_use]
    pub fn label(&self) -> Label {
        Label {
            run: self.run.clone(),
            workflow: self.workflow.id.clone(),
            seed: self.seed,
            began_unix_ms: self.began_unix_ms,
            clock: self.clock.clone(),
            from: self.from.clone(),
            version: self.version.clone(),
        }
    }
    /// The brief of the run before its first event.
    #[must_use]
    pub fn brief(&self) -> Brief {
        Brief::new(u32::try_from(self.workflow.steps.len()).unwrap_or(u32::MAX))
    }
}

/// The checksum of a label's JSON.
pub(super) fn label_sum(label: &[u8]) -> u64 {
    checksum(&[b"upbeat label 1", label])
}

/// The checksum of a header's JSON: every event's checksum follows from it.
pub(super) fn header_sum(json: &[u8]) -> u64 {
    checksum(&[b"upbeat header 1", json])
}

/// The checksum of the row that says where the journal ends.
pub(super) fn head_sum(seq: u64, last: u64, brief: &[u8]) -> u64 {
    checksum(&[b"upbeat head 1", &seq.to_le_bytes(), &last.to_le_bytes(), brief])
}

/// The checksum of a snapshot after the event `seq`, whose own checksum is `last`.
pub(super) fn snapshot_sum(seq: u64, last: u64, bytes: &[u8]) -> u64 {
    checksum(&[b"upbeat snapshot 1", &seq.to_le_bytes(), &last.to_le_bytes(), bytes])
}
