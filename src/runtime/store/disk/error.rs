//! What can go wrong with a store, in words for people: what, where, and the way out.

use crate::model::id::Name;
use rusqlite::ErrorCode;
use std::path::Path;

/// The kind of a store's fault; decides what can be done about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreErrorKind {
    /// No room left on the disk.
    Full,
    /// The system could not read or write: a failing disk, a quota, a limit on file sizes, missing rights.
    Io,
    /// What is stored is not what was written.
    Damaged {
        /// The run.
        run: Name,
        /// The event at which it shows, if it shows at one.
        seq: Option<u64>,
    },
    /// Another process (or another journal of this one) has the run open for writing.
    InUse {
        /// The process, if it said which it is.
        pid: Option<u32>,
    },
    /// There is no such run.
    NotFound,
    /// Several runs fit.
    Ambiguous,
    /// Written by a newer version of upbeat.
    TooNew,
    /// The journal's last event is not the one that was expected.
    Conflict {
        /// The number that the caller expected the journal to end with.
        expected: u64,
        /// The number it ends with.
        found: u64,
    },
    /// Something that the store does not do: a folder that others may write to, a run that exists already.
    Refused,
}

/// A fault of a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreError {
    /// What kind.
    pub kind: StoreErrorKind,
    /// What happened and where, a sentence without a full stop. Holds foreign text (paths, ids): sanitise it before it
    /// meets a terminal.
    pub message: String,
    /// What can be done about it, if anything.
    pub way_out: Option<String>,
}

impl std::fmt::Display for StoreError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)?;
        if let Some(way_out) = &self.way_out { write!(f, "; {way_out}") } else { Ok(()) }
    }
}

impl std::error::Error for StoreError {}

impl StoreError {
    pub(super) fn new(kind: StoreErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), way_out: None }
    }

    pub(super) fn or(mut self, way_out: impl Into<String>) -> Self {
        self.way_out = Some(way_out.into());
        self
    }

    pub(super) fn refused(message: impl Into<String>) -> Self {
        Self::new(StoreErrorKind::Refused, message)
    }

    /// A journal that does not say what was written; `what` completes "the journal of RUN".
    pub(super) fn damaged(run: &str, seq: Option<u64>, what: &str) -> Self {
        let place = seq.map_or(String::new(), |seq| format!(" at event {seq}"));
        let kind = StoreErrorKind::Damaged { run: run.into(), seq };
        Self::new(kind, format!("the journal of run {run} is damaged{place}: {what}"))
            .or("restore the run's folder from a backup, or run the workflow again")
    }

    /// An operation of the system on `path` failed; `doing` as in "could not <doing>".
    pub(super) fn io(doing: &str, path: &Path, error: &std::io::Error) -> Self {
        use std::io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
        let message = format!("could not {doing} {}: {error}", path.display());
        match error.kind() {
            // What matters first, because a line may be cut.
            StorageFull | QuotaExceeded | FileTooLarge => {
                Self::new(StoreErrorKind::Full, format!("{NO_ROOM}: {message}")).or(MAKE_ROOM)
            }
            _ => Self::new(StoreErrorKind::Io, message),
        }
    }

    /// SQLite refused an operation on the file `path`.
    pub(super) fn sqlite(doing: &str, path: &Path, error: &rusqlite::Error) -> Self {
        let message = format!("could not {doing} {}: {error}", path.display());
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::new(StoreErrorKind::Full, format!("{NO_ROOM}: {message}")).or(MAKE_ROOM),
            Some(ErrorCode::SystemIoFailure) => Self::new(StoreErrorKind::Io, format!("the disk refused: {message}"))
                .or("look for a quota, a limit on file sizes or a failing disk, then try again"),
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                Self::new(StoreErrorKind::InUse { pid: None }, message).or("try again")
            }
            Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
                Self::new(StoreErrorKind::Io, message).or("look at the owner and mode of the file and its folder")
            }
            _ => Self::new(StoreErrorKind::Io, message),
        }
    }

    /// SQLite failed while reading a run's file. What is no fault of the system is damage: the queries are fixed, so a
    /// table that is missing or a value of a wrong type can only come from a file that has changed.
    pub(super) fn reading(run: &str, path: &Path, error: &rusqlite::Error) -> Self {
        let system = [
            ErrorCode::SystemIoFailure,
            ErrorCode::DatabaseBusy,
            ErrorCode::DatabaseLocked,
            ErrorCode::ReadOnly,
            ErrorCode::CannotOpen,
            ErrorCode::PermissionDenied,
            ErrorCode::OutOfMemory,
            ErrorCode::DiskFull,
        ];
        match error.sqlite_error_code() {
            Some(code) if system.contains(&code) => Self::sqlite("read", path, error),
            _ => Self::damaged(run, None, &format!("{} cannot be read: {error}", file_name(path))),
        }
    }
}

const NO_ROOM: &str = "no room left on the disk";
const MAKE_ROOM: &str = "make room on that disk, then try again";

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}
