//! Folders and files that belong to this user alone, and the lock that says who writes.
//!
//! The lock is the system's (`flock`), not the file's existence: it goes with the process that held it, however that
//! ended.

use super::error::{StoreError, StoreErrorKind};
use rustix::fs::{FlockOperation, OFlags};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How often and how long to wait for readers that look whether the lock is held.
const LOCK_TRIES: u32 = 200;
const LOCK_PAUSE: Duration = Duration::from_millis(5);

/// Makes a folder (0700) unless it exists, and refuses one that others could have prepared.
pub(crate) fn make_private(path: &Path) -> Result<(), StoreError> {
    match DirBuilder::new().recursive(true).mode(0o700).create(path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(StoreError::io("make the folder", path, &error)),
        _ => check_private(path),
    }
}

/// Refuses a folder that is a symbolic link, belongs to somebody else, or that others may write to.
pub(super) fn check_private(path: &Path) -> Result<(), StoreError> {
    let found = path.symlink_metadata().map_err(|error| StoreError::io("look at", path, &error))?;
    let shown = path.display();
    if found.is_symlink() {
        return Err(StoreError::refused(format!("the store's folder {shown} is a symbolic link"))
            .or("name the folder that it points to"));
    }
    if !found.is_dir() {
        return Err(StoreError::refused(format!("{shown} is not a folder")).or("name another folder with --store"));
    }
    check_owner(path, &found)?;
    if found.mode() & 0o022 != 0 {
        let mode = found.mode() & 0o777;
        return Err(StoreError::refused(format!("others may write to the store's folder {shown} (mode {mode:03o})"))
            .or(format!("take that right away: chmod go-w {shown}")));
    }
    Ok(())
}

fn check_owner(path: &Path, found: &std::fs::Metadata) -> Result<(), StoreError> {
    let own = rustix::process::geteuid().as_raw();
    if found.uid() == own {
        return Ok(());
    }
    let message = format!("{} belongs to user {}, and this is user {own}", path.display(), found.uid());
    Err(StoreError::refused(message).or("name a folder of your own with --store"))
}

/// Makes an empty file (0600) unless it exists, and refuses anything but a file of one's own.
///
/// The file is closed again before SQLite opens it: closing any descriptor of a file gives up all of SQLite's locks.
pub(super) fn make_file(path: &Path) -> Result<(), StoreError> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => check_file(path),
        Err(error) => Err(StoreError::io("make", path, &error)),
    }
}

/// Refuses anything but a file of one's own. Does not open it: see [`make_file`].
pub(super) fn check_file(path: &Path) -> Result<(), StoreError> {
    let found = path.symlink_metadata().map_err(|error| StoreError::io("open", path, &error))?;
    if !found.is_file() {
        return Err(StoreError::refused(format!("{} is not a plain file", path.display())));
    }
    check_owner(path, &found)
}

/// Puts a file's or folder's contents onto the disk. Not for a file that SQLite has open.
pub(super) fn sync(path: &Path) -> Result<(), StoreError> {
    File::open(path).and_then(|file| file.sync_all()).map_err(|error| StoreError::io("write", path, &error))
}

/// The right to write to a run, held until it is dropped.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock of a folder, waiting about a second for readers that only look.
    pub(super) fn take(folder: &Path) -> Result<Self, StoreError> {
        let path = lock_path(folder);
        let no_follow = OFlags::NOFOLLOW.bits().cast_signed();
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(no_follow)
            .open(&path);
        let mut file = file.map_err(|error| StoreError::io("open", &path, &error))?;
        check_file(&path)?;
        for tried in 1.. {
            match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => break,
                Err(rustix::io::Errno::WOULDBLOCK) if tried < LOCK_TRIES => std::thread::sleep(LOCK_PAUSE),
                Err(rustix::io::Errno::WOULDBLOCK) => return Err(in_use(folder)),
                Err(error) => return Err(StoreError::io("lock", &path, &error.into())),
            }
        }
        // For people who are refused; a disk without room for it is no reason not to go on.
        let _ = file.set_len(0).and_then(|()| write!(file, "{}", std::process::id()));
        Ok(Self { _file: file })
    }
}

impl Lock {
    /// The lock of a folder that has one which nobody holds.
    pub(super) fn of_nobody(folder: &Path) -> Option<Self> {
        let no_follow = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let file = OpenOptions::new().read(true).custom_flags(no_follow.bits().cast_signed()).open(lock_path(folder));
        let file = file.ok()?;
        rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).ok()?;
        Some(Self { _file: file })
    }
}

/// What changes when somebody writes to a file of SQLite's: its size and time, and those of its log.
pub(super) fn stamp(path: &Path) -> [Option<(u64, u64, i64, i64)>; 2] {
    [path.to_owned(), beside(path, "-wal")].map(|path| {
        let found = path.symlink_metadata().ok()?;
        Some((found.ino(), found.len(), found.mtime(), found.mtime_nsec()))
    })
}

/// The path of a file that SQLite keeps beside a database.
pub(super) fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// Removes a file if it is there.
pub(super) fn remove(path: &Path) -> Result<(), StoreError> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(StoreError::io("remove", path, &error)),
        _ => Ok(()),
    }
}

/// Whether somebody holds the lock of a folder. Writes nothing.
pub(super) fn is_locked(folder: &Path) -> bool {
    let no_follow = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = OpenOptions::new().read(true).custom_flags(no_follow.bits().cast_signed()).open(lock_path(folder));
    let Ok(file) = file else { return false };
    matches!(rustix::fs::flock(&file, FlockOperation::NonBlockingLockShared), Err(rustix::io::Errno::WOULDBLOCK))
}

fn lock_path(folder: &Path) -> PathBuf {
    folder.join("lock")
}

/// The process that last took the lock of a folder, if it said which it is.
pub(super) fn writer(folder: &Path) -> Option<u32> {
    let mut text = String::new();
    let file =
        OpenOptions::new().read(true).custom_flags(OFlags::NOFOLLOW.bits().cast_signed()).open(lock_path(folder));
    file.and_then(|file| file.take(20).read_to_string(&mut text)).ok()?;
    text.trim().parse().ok()
}

fn in_use(folder: &Path) -> StoreError {
    let pid = writer(folder);
    let run = folder.file_name().unwrap_or_default().to_string_lossy();
    let by = pid.map_or(String::new(), |pid| format!(" by process {pid}"));
    StoreError::new(StoreErrorKind::InUse { pid }, format!("run {run} is open for writing{by}"))
        .or("wait until that process has ended, or end it")
}
