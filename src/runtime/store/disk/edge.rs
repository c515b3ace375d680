//! The edges of durability, where tests end the program for real: before a record is written, after it, and after its
//! commit is on the disk. In builds without debug assertions nothing of this is there.

use crate::runtime::environment;
use std::sync::OnceLock;

/// A place in the life of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Edge {
    /// Nothing of it is written.
    BeforeWrite,
    /// It is written, and its transaction is open.
    AfterWrite,
    /// Its transaction is committed.
    AfterSync,
}

impl Edge {
    const fn word(self) -> &'static str {
        match self {
            Self::BeforeWrite => "before-write",
            Self::AfterWrite => "after-write",
            Self::AfterSync => "after-sync",
        }
    }
}

/// A record has come to an edge. Ends the program at once, as a crash would, if `UPBEAT_TEST_ABORT` says `EDGE:SEQ`.
pub(super) fn reached(edge: Edge, seq: u64) {
    static WANTED: OnceLock<Option<String>> = OnceLock::new();
    if !cfg!(debug_assertions) {
        return;
    }
    let wanted = WANTED.get_or_init(|| environment::var("UPBEAT_TEST_ABORT"));
    let is_it = wanted.as_ref().and_then(|wanted| wanted.split_once(':'));
    if is_it.is_some_and(|(word, number)| word == edge.word() && number.parse() == Ok(seq)) {
        std::process::abort();
    }
}
