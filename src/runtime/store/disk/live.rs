//! Who writes to a run, and when it was last written to.

use super::{Store, folder};

impl Store {
    /// The process that has a run open for writing; `None` if nobody has, or it did not say which it is.
    #[must_use]
    pub fn writer(&self, run: &str) -> Option<u32> {
        let folder = self.folder(run).ok()?;
        folder::is_locked(&folder).then(|| folder::writer(&folder)).flatten()
    }

    /// When a run was last written to, milliseconds since 1970 by the machine's clock; `None` if the disk does not say.
    #[must_use]
    pub fn written_unix_ms(&self, run: &str) -> Option<u64> {
        let journal = self.folder(run).ok()?.join("journal.db");
        let times = [journal.clone(), folder::beside(&journal, "-wal")].map(|path| {
            let modified = path.symlink_metadata().and_then(|found| found.modified()).ok()?;
            let since = modified.duration_since(std::time::UNIX_EPOCH).ok()?;
            u64::try_from(since.as_millis()).ok()
        });
        times.into_iter().flatten().max()
    }
}
