//! Who writes to a run, and when it was last written to.

use super::{Store, StoreError, folder, lines};
use crate::model::time::Micros;
use std::path::PathBuf;

impl Store {
    /// The folder of a run that exists.
    ///
    /// # Errors
    /// `NotFound`; `Refused` if others could have prepared it.
    pub fn run_folder(&self, run: &str) -> Result<PathBuf, StoreError> {
        self.folder(run)
    }

    /// The process that has a run open for writing; `None` if nobody has, or it did not say which it is.
    #[must_use]
    pub fn writer(&self, run: &str) -> Option<u32> {
        let folder = self.folder(run).ok()?;
        folder::is_locked(&folder).then(|| folder::writer(&folder)).flatten()
    }

    /// When the last line of a run was printed, by its own clock: it was at work for at least so long.
    #[must_use]
    pub fn last_printed(&self, run: &str) -> Option<Micros> {
        let path = self.folder(run).ok()?.join("output.db");
        lines::last_at(&self.folder(run).ok()?, &path)
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

#[cfg(test)]
mod tests {
    use crate::model::event::EventKind;
    use crate::runtime::store::disk::tests::{events, every_kind, header, store};
    use crate::runtime::store::disk::{StoreErrorKind, SyncMode};

    #[test]
    fn a_writer_says_who_it_is_until_it_has_ended() {
        let (_folder, store) = store();
        assert_eq!((store.writer("a1"), store.written_unix_ms("a1")), (None, None));
        let journal = store.create(&header("a1"), SyncMode::Normal).unwrap();
        assert_eq!(store.writer("a1"), Some(std::process::id()));
        assert!(store.written_unix_ms("a1").is_some());
        drop(journal);
        assert_eq!(store.writer("a1"), None);
    }

    #[test]
    fn pages_of_events_are_the_journal_and_end_before_what_is_damaged() {
        let (folder, store) = store();
        let mut journal = store.create(&header("a1"), SyncMode::Normal).unwrap();
        journal.append(0, &events(every_kind(), 1)).unwrap();
        let all = store.read_since("a1", 0).unwrap().events;
        for most in [1, 4, 1_000] {
            let mut paged = Vec::new();
            loop {
                let (page, damage) = store.events_page("a1", paged.len() as u64, most).unwrap();
                assert_eq!(damage, None);
                let is_last = page.len() < most;
                paged.extend(page);
                if is_last {
                    break;
                }
            }
            assert_eq!(paged, all, "{most} events a page");
        }
        assert_eq!(store.header("a1").unwrap(), header("a1"));
        journal
            .append(all.len() as u64, &events([EventKind::RunPaused { frozen: false }], all.len() as u64 + 1))
            .unwrap();
        journal.close().unwrap();
        let db = rusqlite::Connection::open(folder.path().join("store/runs/a1/journal.db")).unwrap();
        let guards: Vec<String> = {
            let mut query = db.prepare("SELECT name FROM sqlite_master WHERE type = 'trigger'").unwrap();
            query.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
        };
        guards.iter().for_each(|guard| db.execute_batch(&format!("DROP TRIGGER {guard}")).unwrap());
        db.execute("DELETE FROM events WHERE seq > 6", []).unwrap();
        drop(db);
        let (page, damage) = store.events_page("a1", 2, 1_000).unwrap();
        assert_eq!(page, all[2..6]);
        assert_eq!(damage.unwrap().kind, StoreErrorKind::Damaged { run: "a1".into(), seq: Some(7) });
    }
}
