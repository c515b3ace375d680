//! Files that were cut or changed: what is read is a beginning of what was written, between two commits, or an error that
//! says where. Never a panic, never a wrong event, and reading changes no byte.

use super::tests::{events, header, steps, store};
use super::*;
use crate::model::event::Event;
use std::sync::Arc;

/// A page of the log: a page of the database and its header.
const PAGE: usize = 4_096 + 24;

/// A run of 40 events in commits of growing size, and its files.
struct Written {
    events: Vec<Event>,
    /// The numbers of the last events of the commits, and 0.
    ends: Vec<u64>,
    database: Vec<u8>,
    log: Option<Vec<u8>>,
}

/// `killed`: the log was not copied into the database, as after `kill -9`.
fn written(killed: bool) -> Written {
    let (folder, store) = store();
    let mut journal = store.create(&header("a1"), SyncMode::Normal).unwrap();
    let all: Vec<Arc<Event>> = events(steps(20), 1);
    let mut ends = vec![0];
    for size in [1, 2, 3, 5, 8, 13, 8] {
        let from = *ends.last().unwrap();
        let to = from + size;
        journal.append(from, &all[usize::try_from(from).unwrap()..usize::try_from(to).unwrap()]).unwrap();
        ends.push(to);
    }
    journal.put_snapshot(20, &[7; 300]).unwrap();
    let path = folder.path().join("store/runs/a1/journal.db");
    if !killed {
        journal.close().unwrap();
    }
    // While the journal is open its files are those that a killed writer leaves.
    let log = std::fs::read(folder::beside(&path, "-wal")).ok().filter(|log| !log.is_empty());
    assert_eq!(log.is_some(), killed);
    let events = all.iter().map(|event| (**event).clone()).collect();
    Written { events, ends, database: std::fs::read(&path).unwrap(), log }
}

/// What reading found.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    All,
    Beginning,
    Error,
}

struct Bench {
    _folder: tempfile::TempDir,
    store: Store,
    path: PathBuf,
}

impl Bench {
    fn new() -> Self {
        let (folder, store) = store();
        let path = folder.path().join("store/runs/a1/journal.db");
        folder::make_private(path.parent().unwrap()).unwrap();
        Self { _folder: folder, store, path }
    }

    /// Puts files in place, reads them, and checks all that is promised.
    fn read(&self, truth: &Written, database: &[u8], log: Option<&[u8]>, what: &dyn Fn() -> String) -> Found {
        let log_path = folder::beside(&self.path, "-wal");
        std::fs::write(&self.path, database).unwrap();
        match log {
            Some(log) => std::fs::write(&log_path, log).unwrap(),
            None => folder::remove(&log_path).unwrap(),
        }
        let read = self.store.read_since("a1", 0);
        assert!(std::fs::read(&self.path).unwrap() == database, "{}: reading changed it", what());
        assert!(std::fs::read(&log_path).ok().as_deref() == log, "{}: reading changed the log", what());
        let files = self.path.parent().unwrap().read_dir().unwrap().count();
        assert_eq!(files, 1 + usize::from(log.is_some()), "{}: reading made a file", what());
        let entry = self.store.list().unwrap().remove(0);
        let found = self.judge(truth, read, entry, what);
        self.open(truth, what);
        found
    }

    /// Opening for writing may mend the files, but finds the same or refuses.
    fn open(&self, truth: &Written, what: &dyn Fn() -> String) {
        if let Ok((journal, saved)) = self.store.open_journal("a1", SyncMode::Normal) {
            let after = saved.snapshot.map_or(0, |(seq, _)| usize::try_from(seq).unwrap());
            let last = usize::try_from(journal.last_seq()).unwrap();
            assert!(saved.events == truth.events[after..last], "{}: a wrong event", what());
            assert!(truth.ends.contains(&journal.last_seq()), "{}: half a commit", what());
        }
        for ending in ["-wal", "-shm", "-mark"] {
            folder::remove(&folder::beside(&self.path, ending)).unwrap();
        }
        folder::remove(&self.path.with_file_name("lock")).unwrap();
    }

    fn judge(
        &self,
        truth: &Written,
        read: Result<Saved, StoreError>,
        entry: Entry,
        what: &dyn Fn() -> String,
    ) -> Found {
        match read {
            Ok(saved) => {
                let length = saved.events.len();
                assert!(saved.events == truth.events[..length], "{}: a wrong event", what());
                assert!(truth.ends.contains(&(length as u64)), "{}: half a commit, {length} events", what());
                assert_eq!(saved.last_seq, length as u64);
                assert_eq!(saved.header, header("a1"));
                let mut brief = header("a1").brief();
                saved.events.iter().for_each(|event| brief.apply(&event.kind, event.at));
                assert!(saved.brief.agrees_with(&brief), "{}", what());
                // The label is for lists alone; where it is damaged the list says so.
                match entry.told {
                    Ok((_, listed)) => assert_eq!(listed, saved.brief, "{}", what()),
                    Err(error) => assert!(matches!(error.kind, StoreErrorKind::Damaged { .. }), "{}: {error}", what()),
                }
                // The way with the snapshot tells the same, or refuses.
                if let Ok(short) = self.store.read("a1") {
                    let after = short.snapshot.map_or(0, |(seq, bytes)| {
                        assert_eq!((seq, bytes), (20, vec![7; 300]));
                        20
                    });
                    assert_eq!(short.events, saved.events[after..]);
                }
                if length == truth.events.len() { Found::All } else { Found::Beginning }
            }
            Err(error) => {
                assert!(error.message.contains("a1") || error.message.contains("journal.db"), "{error}");
                Found::Error
            }
        }
    }
}

/// Cuts both files at every `stride`-th byte and flips bits of the last pages, every `stride`-th.
fn sweep(killed: bool, stride: usize) -> [usize; 3] {
    let truth = written(killed);
    let bench = Bench::new();
    let mut counts = [0; 3];
    let mut count = |found: Found| counts[found as usize] += 1;
    let (database, log) = (&truth.database, truth.log.as_deref());
    assert_eq!(bench.read(&truth, database, log, &|| "whole".into()), Found::All);
    // Lengths at which SQLite thinks differently of a file, whatever the stride.
    let special = [1, 2, 511, 512, 4_095, 4_096, database.len() - 1];
    for cut in (0..database.len()).step_by(stride).chain(special) {
        count(bench.read(&truth, &database[..cut], log, &|| format!("database cut at {cut}")));
    }
    // Every bit of the last pages, and every 27th of those before, at a stride of one.
    let last = |file: &[u8]| file.len().saturating_sub(3 * PAGE) * 8;
    let bits = |file: &[u8]| {
        let before = (0..last(file)).step_by(27 * stride);
        before.chain((last(file)..file.len() * 8).step_by(stride)).collect::<Vec<usize>>()
    };
    for bit in bits(database) {
        let mut changed = database.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        count(bench.read(&truth, &changed, log, &|| format!("database bit {bit}")));
    }
    if let Some(log) = log {
        for cut in (0..log.len()).step_by(stride) {
            count(bench.read(&truth, database, Some(&log[..cut]), &|| format!("log cut at {cut}")));
        }
        for bit in bits(log) {
            let mut changed = log.to_vec();
            changed[bit / 8] ^= 1 << (bit % 8);
            count(bench.read(&truth, database, Some(&changed), &|| format!("log bit {bit}")));
        }
    }
    counts
}

#[test]
fn a_killed_run_that_was_cut_or_changed_gives_a_beginning_or_an_error() {
    let [all, beginning, error] = sweep(true, 509);
    assert!(all > 0 && beginning > 0 && error > 0, "{all} {beginning} {error}");
}

#[test]
fn a_closed_run_that_was_cut_or_changed_gives_everything_or_an_error() {
    let [all, beginning, error] = sweep(false, 509);
    assert!(all > 0 && beginning == 0 && error > 0, "{all} {beginning} {error}");
}

#[test]
#[ignore = "takes minutes: every byte and every bit of the last pages"]
fn a_closed_run_cut_at_every_byte() {
    eprintln!("closed: {:?} (all, beginning, error)", sweep(false, 1));
}

#[test]
#[ignore = "takes minutes: every byte and every bit of the last pages"]
fn a_killed_run_cut_at_every_byte() {
    eprintln!("killed: {:?} (all, beginning, error)", sweep(true, 1));
}

/// Changes the tables of a closed run behind the store's back and gives what reading says.
fn after(change: &str) -> StoreError {
    let (folder, store) = store();
    let mut journal = store.create(&header("a1"), SyncMode::Normal).unwrap();
    journal.append(0, &events(steps(10), 1)).unwrap();
    journal.close().unwrap();
    let db = rusqlite::Connection::open(folder.path().join("store/runs/a1/journal.db")).unwrap();
    db.execute_batch("DROP TRIGGER events_stay; DROP TRIGGER events_never_change").unwrap();
    db.execute_batch(change).unwrap();
    drop(db);
    let error = store.read("a1").unwrap_err();
    assert_eq!(store.open_journal("a1", SyncMode::Normal).unwrap_err(), error);
    error
}

#[test]
fn a_journal_that_was_shortened_thinned_or_reordered_names_the_event() {
    let damaged = |seq| StoreErrorKind::Damaged { run: "a1".into(), seq: Some(seq) };
    assert_eq!(after("DELETE FROM events WHERE seq > 15").kind, damaged(16));
    assert_eq!(after("DELETE FROM events WHERE seq = 7").kind, damaged(7));
    assert_eq!(after("UPDATE events SET at = 0 WHERE seq = 9").kind, damaged(9));
    let swap = "UPDATE events SET seq = 99 WHERE seq = 3; UPDATE events SET seq = 3 WHERE seq = 4;
        UPDATE events SET seq = 4 WHERE seq = 99";
    assert_eq!(after(swap).kind, damaged(3));
    let longer = "INSERT INTO events SELECT 21, at, value, payload, checksum FROM events WHERE seq = 20";
    assert_eq!(after(longer).kind, damaged(21));
    assert_eq!(
        after("DELETE FROM events WHERE seq > 15; UPDATE head SET seq = 15").kind,
        StoreErrorKind::Damaged { run: "a1".into(), seq: None }
    );
}

#[test]
fn nobody_removes_or_changes_an_event_by_accident() {
    let (folder, store) = store();
    let mut journal = store.create(&header("a1"), SyncMode::Normal).unwrap();
    journal.append(0, &events(steps(1), 1)).unwrap();
    journal.close().unwrap();
    let db = rusqlite::Connection::open(folder.path().join("store/runs/a1/journal.db")).unwrap();
    assert!(db.execute("DELETE FROM events", []).is_err());
    assert!(db.execute("UPDATE events SET at = 1", []).is_err());
    assert!(db.execute("UPDATE header SET json = ''", []).is_err());
}

#[test]
fn a_record_of_another_run_does_not_fit() {
    use super::record::{Decoder, Encoder};
    use crate::model::id::RunId;
    let all = events(steps(2), 1);
    let start = |checksum| record::Head { seq: 0, checksum };
    let mut encoder = Encoder::after(start(1));
    let records: Vec<_> = all.iter().map(|event| encoder.encode(event).unwrap().0).collect();
    let mut own = Decoder::after(start(1), RunId(0));
    assert!(records.iter().all(|record| own.accept(record, |_| None).is_ok()));
    let damage = Decoder::after(start(2), RunId(0)).accept(&records[0], |_| None).unwrap_err();
    assert_eq!((damage.seq, &*damage.what), (1, "its checksum does not fit"));
    assert_eq!(Decoder::after(start(1), RunId(0)).accept(&records[1], |_| None).unwrap_err().seq, 1);
}

#[test]
fn a_copy_that_may_not_be_written_to_is_read_with_and_without_its_log() {
    use std::fs::{Permissions, set_permissions};
    use std::os::unix::fs::PermissionsExt;
    for killed in [true, false] {
        let truth = written(killed);
        let bench = Bench::new();
        let folder = bench.path.parent().unwrap();
        std::fs::write(&bench.path, &truth.database).unwrap();
        set_permissions(&bench.path, Permissions::from_mode(0o400)).unwrap();
        if let Some(log) = &truth.log {
            let path = folder::beside(&bench.path, "-wal");
            std::fs::write(&path, log).unwrap();
            set_permissions(&path, Permissions::from_mode(0o400)).unwrap();
        }
        set_permissions(folder, Permissions::from_mode(0o500)).unwrap();
        let read = bench.store.read_since("a1", 0);
        // So that the folder can be removed again.
        set_permissions(folder, Permissions::from_mode(0o700)).unwrap();
        assert_eq!(read.unwrap().events, truth.events);
    }
}

#[test]
fn what_was_written_since_the_machine_was_started_is_missed_when_it_is_not_there() {
    let (folder, store) = store();
    let mut journal = store.create(&header("a1"), SyncMode::Normal).unwrap();
    let all: Vec<Arc<Event>> = events(steps(6), 1);
    journal.append(0, &all[..5]).unwrap();
    journal.append(5, &all[5..9]).unwrap();
    let path = folder.path().join("store/runs/a1/journal.db");
    let [database, log, mark] =
        ["", "-wal", "-mark"].map(|ending| std::fs::read(folder::beside(&path, ending)).unwrap());
    drop(journal);
    let bench = Bench::new();
    let read = |log: &[u8], mark: &[u8]| {
        for (ending, bytes) in [("", &database[..]), ("-wal", log), ("-mark", mark)] {
            std::fs::write(folder::beside(&bench.path, ending), bytes).unwrap();
        }
        (bench.store.read_since("a1", 0), bench.store.events_page("a1", 0, 100).unwrap().1, bench.store.list().unwrap())
    };
    assert_eq!(read(&log, &mark).0.unwrap().events.len(), 9);
    // One bit in the last commit: to SQLite it never happened.
    let mut flipped = log;
    let place = flipped.len() - 100;
    flipped[place] ^= 1;
    let (whole, page, list) = read(&flipped, &mark);
    let damage = StoreErrorKind::Damaged { run: "a1".into(), seq: Some(6) };
    assert_eq!((whole.unwrap_err().kind, page.unwrap().kind), (damage.clone(), damage.clone()));
    assert_eq!(list[0].told.as_ref().unwrap_err().kind, damage);
    assert_eq!(bench.store.open_journal("a1", SyncMode::Normal).unwrap_err().kind, damage);
    // The machine was started anew: that may have been a loss of power, and then it is a beginning.
    let older = [b"another start".as_slice(), &mark[mark.iter().position(|byte| *byte == b' ').unwrap()..]].concat();
    assert_eq!(read(&flipped, &older).0.unwrap().events.len(), 5);
}
