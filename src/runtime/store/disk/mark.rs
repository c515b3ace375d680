//! How far a journal has been written, said beside it after every commit: without a sync, and so for nothing.
//!
//! SQLite takes a log whose end is damaged for one that had not grown that far, and says nothing. As long as the machine
//! has not been started anew nothing that was written can be missing, whatever became of upbeat; so a journal that ends
//! before its mark is damaged. After a restart the mark says nothing: a loss of power may have taken the end of the log,
//! the mark, or both. Nor does it where the system does not tell its starts apart (elsewhere than on Linux).

use super::error::StoreError;
use super::folder;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::OnceLock;

/// Digits of the number in the file.
const DIGITS: usize = 20;

/// The mark of a journal that is being written.
#[derive(Debug)]
pub(super) struct Mark {
    /// `None`: it cannot be had, and the journal does without.
    file: Option<(File, u64)>,
}

/// What this start of the machine is called.
fn start() -> Option<&'static str> {
    static START: OnceLock<Option<String>> = OnceLock::new();
    let read = || std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok();
    START.get_or_init(|| read().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())).as_deref()
}

impl Mark {
    /// Opens the mark beside a journal that ends at `seq`.
    pub(super) fn open(journal: &Path, seq: u64) -> Self {
        let path = folder::beside(journal, "-mark");
        let open = |start: &str| {
            folder::make_file(&path).ok()?;
            let no_follow = rustix::fs::OFlags::NOFOLLOW.bits().cast_signed();
            let file = OpenOptions::new().write(true).truncate(true).custom_flags(no_follow).open(&path).ok()?;
            let text = format!("{start} {seq:0DIGITS$}\n");
            file.write_all_at(text.as_bytes(), 0).ok()?;
            Some((file, start.len() as u64 + 1))
        };
        Self { file: start().and_then(open) }
    }

    /// Everything up to `seq` is committed.
    pub(super) fn set(&mut self, seq: u64) {
        if let Some((file, place)) = &self.file
            && file.write_all_at(format!("{seq:0DIGITS$}").as_bytes(), *place).is_err()
        {
            self.file = None;
        }
    }
}

/// How far a journal must reach at least. To be asked before the journal is read: a writer may go on meanwhile.
pub(super) fn least(journal: &Path) -> u64 {
    let text = std::fs::read_to_string(folder::beside(journal, "-mark")).unwrap_or_default();
    let said = text.trim_end().split_once(' ').filter(|(of, _)| Some(*of) == start());
    said.and_then(|(_, seq)| seq.parse().ok()).unwrap_or(0)
}

/// Compares where a journal ends with how far it must reach.
pub(super) fn check(run: &str, least: u64, found: u64) -> Result<(), StoreError> {
    if found >= least {
        return Ok(());
    }
    let what = format!("it ends at event {found}, but {least} were recorded; the end of its log is lost or damaged");
    Err(StoreError::damaged(run, Some(found + 1), &what))
}
