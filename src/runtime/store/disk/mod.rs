//! Runs on disk: one folder per run with its journal, and a file of durations for all.
//!
//! ```text
//! ROOT/runs/RUN/journal.db   header, events, large values, snapshot, head (SQLite; beside it -wal and -shm)
//!               journal.db-mark how far it was written, so that what is missing is missed
//!               output.db    what agents printed
//!               lock         held while somebody writes to the run
//!               control.sock how other processes steer it meanwhile (`runtime::control`)
//! ROOT/history.db            how long steps took
//! ROOT/making/               runs that are not complete yet
//! ```
//!
//! One process writes to a run at a time; any number may read, and readers change nothing on the disk. Folders are 0700,
//! files 0600, and the store lives in no folder that somebody else could have prepared.

mod base;
mod brief;
mod edge;
mod error;
pub(crate) mod folder;
mod header;
mod history;
mod journal;
mod lines;
mod list;
mod live;
mod mark;
pub mod record;
mod saved;
mod writer;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_damage;
#[cfg(test)]
mod tests_writer;

pub use base::SyncMode;
pub use brief::Brief;
pub use error::{StoreError, StoreErrorKind};
pub use header::{FileStamp, Header, Label, file_hash};
pub use history::{History, MEAN_OVER, Timing};
pub use journal::Journal;
pub use lines::{LINES_BYTES_MAX, Lines, LinesPage, Printed};
pub use list::Entry;
pub use saved::Saved;
pub use writer::{AWAKE, Ack, Writer};

use crate::model::event::Event;
use folder::Lock;
use saved::Since;
use std::path::{Path, PathBuf};

/// The word for the newest run; no run has this name.
const LAST: &str = "last";
/// The longest name of a run.
const NAME_MAX: usize = 64;
/// How often a read is begun again because a writer came or went meanwhile.
const READ_TRIES: u32 = 5;

/// A folder of runs.
#[derive(Clone, Debug)]
pub struct Store {
    root: PathBuf,
}

impl Store {
    /// Opens a store, making its folders where they are missing.
    ///
    /// # Errors
    /// `Refused` if the folder is a symbolic link, belongs to somebody else, or others may write to it; `Io`.
    pub fn open(root: &Path) -> Result<Self, StoreError> {
        folder::make_private(root)?;
        // SQLite is told to follow no link at all; those on the way to the store are the user's own affair.
        let root = root.canonicalize().map_err(|error| StoreError::io("find", root, &error))?;
        let store = Self { root };
        folder::make_private(&store.runs())?;
        Ok(store)
    }

    /// The store's folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Begins a run: its header is on the disk when this returns.
    ///
    /// # Errors
    /// `Refused` if the name cannot be one of a run or is taken; `Full`, `Io`.
    pub fn create(&self, header: &Header, sync: SyncMode) -> Result<Journal, StoreError> {
        check_name(&header.run)?;
        let target = self.runs().join(&*header.run);
        let taken =
            || StoreError::refused(format!("there is a run {} already", header.run)).or("begin it under another name");
        if target.symlink_metadata().is_ok() {
            return Err(taken());
        }
        // The run appears under its name when it is complete, so nobody ever meets half of one.
        let making = self.root.join("making");
        folder::make_private(&making)?;
        sweep(&making);
        let draft = making.join(&*header.run);
        folder::make_private(&draft)?;
        let lock = Lock::take(&draft)?;
        let draft_file = draft.join("journal.db");
        for ending in ["", "-wal", "-shm"] {
            folder::remove(&folder::beside(&draft_file, ending))?;
        }
        Journal::begin(&draft_file, header)?;
        folder::sync(&draft_file)?;
        folder::sync(&draft)?;
        match std::fs::rename(&draft, &target) {
            Err(error) if error.kind() == std::io::ErrorKind::DirectoryNotEmpty => return Err(taken()),
            moved => moved.map_err(|error| StoreError::io("make", &target, &error))?,
        }
        folder::sync(&self.runs())?;
        Journal::fresh(&target.join("journal.db"), header, sync, lock)
    }

    /// Opens a run for writing and reads it.
    ///
    /// # Errors
    /// `NotFound`; `InUse` if somebody writes to it; `Damaged`, `TooNew`, `Refused`, `Full`, `Io`.
    pub fn open_journal(&self, run: &str, sync: SyncMode) -> Result<(Journal, Saved), StoreError> {
        let folder = self.folder(run)?;
        let lock = Lock::take(&folder)?;
        Journal::open(&folder.join("journal.db"), run.into(), sync, lock)
    }

    /// Reads a run: its newest snapshot and the events after it. Changes nothing on the disk.
    ///
    /// # Errors
    /// `NotFound`, `Damaged`, `TooNew`, `Refused`, `Io`.
    pub fn read(&self, run: &str) -> Result<Saved, StoreError> {
        self.read_journal(run, Since::Snapshot)
    }

    /// Reads a run without its snapshot: the events after the number `seq`, all of them for 0.
    ///
    /// # Errors
    /// As [`Store::read`].
    pub fn read_since(&self, run: &str, seq: u64) -> Result<Saved, StoreError> {
        self.read_journal(run, Since::Event(seq))
    }

    /// How a run began.
    ///
    /// # Errors
    /// As [`Store::read`].
    pub fn header(&self, run: &str) -> Result<Header, StoreError> {
        let folder = self.folder(run)?;
        let path = folder.join("journal.db");
        let header = |db: &mut rusqlite::Connection, path: &Path| saved::header(db, path, run);
        read_undisturbed(&folder, &path, journal::SCHEMA, header).map(|(header, _)| header)
    }

    /// At most `most` events behind the number `after`, and what is wrong with the one behind them, if something is:
    /// those before it are good.
    ///
    /// # Errors
    /// As [`Store::read`], where not even the beginning can be read.
    pub fn events_page(
        &self,
        run: &str,
        after: u64,
        most: usize,
    ) -> Result<(Vec<Event>, Option<StoreError>), StoreError> {
        let folder = self.folder(run)?;
        let path = folder.join("journal.db");
        read_undisturbed(&folder, &path, journal::SCHEMA, |db, path| saved::page(db, path, run, (after, most)))
    }

    /// Whether somebody has the run open for writing.
    #[must_use]
    pub fn is_live(&self, run: &str) -> bool {
        self.folder(run).is_ok_and(|folder| folder::is_locked(&folder))
    }

    /// Takes a run of this store that nobody writes to, so that nobody begins to while its leftovers are ended. `None`:
    /// it is not here, or somebody is at work on it.
    #[must_use]
    pub fn claim(&self, run: &str) -> Option<Claim> {
        Some(Claim { _lock: Lock::of_nobody(&self.folder(run).ok()?)? })
    }

    fn runs(&self) -> PathBuf {
        self.root.join("runs")
    }

    /// The folder of a run that exists.
    fn folder(&self, run: &str) -> Result<PathBuf, StoreError> {
        let folder = self.runs().join(run);
        if check_name(run).is_err() || folder.symlink_metadata().is_err() {
            return Err(self.not_found(run));
        }
        folder::check_private(&folder)?;
        Ok(folder)
    }

    fn read_journal(&self, run: &str, since: Since) -> Result<Saved, StoreError> {
        let folder = self.folder(run)?;
        let path = folder.join("journal.db");
        read_undisturbed(&folder, &path, journal::SCHEMA, |db, path| saved::read(db, path, run, since))
    }
}

/// A run that nobody may write to while this lives.
#[derive(Debug)]
pub struct Claim {
    _lock: Lock,
}

/// Reads a file of a run. Readers of a run that nobody writes to take no locks, so that they hold nobody up; what they
/// read is thrown away if a writer came or went meanwhile.
fn read_undisturbed<T>(
    folder: &Path,
    path: &Path,
    schema: base::Schema,
    read: impl Fn(&mut rusqlite::Connection, &Path) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let mut tried = 0;
    loop {
        tried += 1;
        let live = folder::is_locked(folder);
        let before = folder::stamp(path);
        let got = base::open_to_read(path, schema, live).and_then(|mut db| read(&mut db, path));
        let undisturbed = live == folder::is_locked(folder) && (live || before == folder::stamp(path));
        if tried == READ_TRIES || undisturbed {
            return got;
        }
    }
}

/// Names of runs become names of folders, and come from outside: letters, digits, `-` and `_` only.
fn check_name(run: &str) -> Result<(), StoreError> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if !run.is_empty() && run.len() <= NAME_MAX && run != LAST && !run.starts_with('-') && run.bytes().all(fits) {
        return Ok(());
    }
    Err(StoreError::refused(format!("{run:?} cannot be the name of a run"))
        .or(format!("use up to {NAME_MAX} letters, digits, `-` and `_`, not `{LAST}`")))
}

/// Removes what a process left that died while it began a run. Best effort: it is in nobody's way.
fn sweep(making: &Path) {
    let Ok(drafts) = making.read_dir() else { return };
    for draft in drafts.flatten().map(|entry| entry.path()) {
        if let Some(_lock) = Lock::of_nobody(&draft) {
            let _ = std::fs::remove_dir_all(&draft);
        }
    }
}
