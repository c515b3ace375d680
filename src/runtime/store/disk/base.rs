//! SQLite, opened the way each use needs it.
//!
//! A writer keeps its file in write-ahead mode. A reader must not write at all, not even to the files that SQLite keeps
//! beside a database, so it opens one of three ways: a run that somebody writes to as an ordinary second connection; a
//! run that ended in order (no `-wal`) as immutable; and one that was killed (with a `-wal`) with the index of its log in
//! memory, which SQLite does where nobody else can have the file open.

use super::error::{StoreError, StoreErrorKind};
use super::folder;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use std::fmt::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

/// How long to wait for another connection's locks.
const BUSY: Duration = Duration::from_millis(2_000);
/// Pages of the log after which it is copied into the database.
const CHECKPOINT_PAGES: u32 = 2_000;
/// Marks the files as upbeat's own (`upbt`).
const APPLICATION: i32 = 0x7570_6274;

/// How hard a commit is pressed onto the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SyncMode {
    /// Survives the end of the program, however it comes. A power failure may take the last commits.
    #[default]
    Normal,
    /// Survives a power failure as well; each commit waits for the disk.
    Full,
}

impl SyncMode {
    /// The word of the command line.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Full => "full",
        }
    }
    const fn pragma(self) -> &'static str {
        match self {
            Self::Normal => "NORMAL",
            Self::Full => "FULL",
        }
    }
}

/// A kind of file: what makes each version of it from the one before.
#[derive(Clone, Copy, Debug)]
pub(super) struct Schema {
    /// The statements that lead to version 1, 2, …
    pub(super) steps: &'static [&'static str],
}

impl Schema {
    fn newest(self) -> usize {
        self.steps.len()
    }

    /// Refuses a file of a newer upbeat, or of something else. Gives the file's version; 0: empty.
    fn version(self, db: &Connection, path: &Path) -> Result<usize, StoreError> {
        let pragma = |name| db.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
        let read = pragma("user_version").and_then(|version| Ok((version, pragma("application_id")?)));
        let (version, application) = read.map_err(|error| reading(path, &error))?;
        if version == 0 && application == 0 {
            return Ok(0);
        }
        if application != i64::from(APPLICATION) {
            let message = format!("{} was not written by upbeat, or is damaged in its first page", path.display());
            return Err(StoreError::new(StoreErrorKind::Damaged { run: run_of(path).into(), seq: None }, message));
        }
        match usize::try_from(version) {
            Ok(version) if version <= self.newest() => Ok(version),
            _ => {
                let message = format!(
                    "{} has format {version}, and this upbeat ({}) reads formats up to {}",
                    path.display(),
                    env!("CARGO_PKG_VERSION"),
                    self.newest()
                );
                Err(StoreError::new(StoreErrorKind::TooNew, message).or("use the version of upbeat that wrote it"))
            }
        }
    }

    /// Brings a file to the newest version, one step at a time, each step whole or not at all.
    fn migrate(self, db: &mut Connection, path: &Path) -> Result<(), StoreError> {
        let from = self.version(db, path)?;
        for (at, step) in self.steps.iter().enumerate().skip(from) {
            let migrate = |db: &mut Connection| {
                let change = db.transaction()?;
                change.execute_batch(step)?;
                change.pragma_update(None, "application_id", APPLICATION)?;
                change.pragma_update(None, "user_version", u32::try_from(at + 1).unwrap_or(u32::MAX))?;
                change.commit()
            };
            migrate(db).map_err(|error| StoreError::sqlite("bring to the newest format", path, &error))?;
        }
        Ok(())
    }
}

/// Opens a file for writing, making it (0600) and its tables where they are missing.
pub(super) fn open(path: &Path, schema: Schema, sync: SyncMode) -> Result<Connection, StoreError> {
    open_with(path, schema, sync.pragma())
}

/// Opens a file that nobody knows of yet and that its maker presses onto the disk himself, once, when it is complete.
pub(super) fn open_draft(path: &Path, schema: Schema) -> Result<Connection, StoreError> {
    open_with(path, schema, "OFF")
}

fn open_with(path: &Path, schema: Schema, sync: &str) -> Result<Connection, StoreError> {
    folder::make_file(path)?;
    not_emptied(path)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let opened = Connection::open_with_flags(path, flags).and_then(|db| {
        guard(&db)?;
        db.pragma_update(None, "synchronous", sync)?;
        db.pragma_update(None, "journal_mode", "WAL")?;
        db.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
        Ok(db)
    });
    let mut db = opened.map_err(|error| reading(path, &error))?;
    schema.migrate(&mut db, path)?;
    Ok(db)
}

/// Opens a file for reading and writes nothing to the disk. `live`: somebody has it open for writing.
pub(super) fn open_to_read(path: &Path, schema: Schema, live: bool) -> Result<Connection, StoreError> {
    folder::check_file(path)?;
    not_emptied(path)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let opened = if live {
        Connection::open_with_flags(path, flags)
    } else if folder::beside(path, "-wal").symlink_metadata().is_ok_and(|log| log.len() > 0) {
        folder::check_file(&folder::beside(path, "-wal"))?;
        Connection::open_with_flags_and_vfs(path, flags, c"unix-none").and_then(|db| {
            db.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
            Ok(db)
        })
    } else {
        Connection::open_with_flags(immutable(path), flags | OpenFlags::SQLITE_OPEN_URI)
    };
    let db = opened.and_then(|db| guard(&db).map(|()| db)).map_err(|error| reading(path, &error))?;
    if schema.version(&db, path)? == 0 {
        return Err(StoreError::damaged(&run_of(path), None, "nothing was ever written to it"));
    }
    Ok(db)
}

/// The smallest page that SQLite knows.
const PAGE_MIN: u64 = 512;

/// Refuses a database without a whole page that has a log: SQLite takes one of no byte, and of one, for new, and its log
/// for a leftover, which it removes.
fn not_emptied(path: &Path) -> Result<(), StoreError> {
    let length = |path: &Path| path.symlink_metadata().map_or(0, |found| found.len());
    if length(path) < PAGE_MIN && length(&folder::beside(path, "-wal")) > 0 {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        return Err(StoreError::damaged(
            &run_of(path),
            None,
            &format!("{name} has lost its first page, but there is a log"),
        ));
    }
    Ok(())
}

/// What holds for every connection: no function of a file's schema runs with our rights, no table is written behind
/// SQLite's back, cells are looked at before they are believed.
fn guard(db: &Connection) -> rusqlite::Result<()> {
    db.busy_timeout(BUSY)?;
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    if db.is_readonly("main")? {
        db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    }
    db.pragma_update(None, "trusted_schema", false)?;
    db.pragma_update(None, "cell_size_check", true)
}

fn reading(path: &Path, error: &rusqlite::Error) -> StoreError {
    StoreError::reading(&run_of(path), path, error)
}

/// The run that a file belongs to: the name of its folder.
fn run_of(path: &Path) -> String {
    let folder = path.parent().and_then(Path::file_name).unwrap_or_default();
    folder.to_string_lossy().into_owned()
}

/// The address of a file that nobody writes to: SQLite takes no locks and looks for no log.
fn immutable(path: &Path) -> String {
    let mut address = String::from("file:");
    for byte in path.as_os_str().as_bytes() {
        if byte.is_ascii_alphanumeric() || b"/-_.".contains(byte) {
            address.push(char::from(*byte));
        } else {
            // Writing to a text cannot fail.
            let _ = write!(address, "%{byte:02X}");
        }
    }
    address + "?immutable=1"
}
