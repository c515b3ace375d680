//! One run, open for writing: its lock, its connection, the place where it ends.

use super::base::{self, Schema, SyncMode};
use super::brief::Brief;
use super::edge::{Edge, reached};
use super::error::{StoreError, StoreErrorKind};
use super::folder::Lock;
use super::header::{Header, head_sum, header_sum, label_sum, snapshot_sum};
use super::mark::Mark;
use super::record::{Encoder, Head, LargeValue, Record, json};
use super::saved::{self, Saved, Since};
use crate::model::event::{Event, EventKind};
use crate::model::id::Name;
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The tables of a journal. Events are only ever added, and the triggers hold everybody to it.
pub(super) const SCHEMA: Schema = Schema {
    steps: &["
    CREATE TABLE header (id INTEGER PRIMARY KEY CHECK (id = 1), label TEXT NOT NULL, label_sum INTEGER NOT NULL,
        json TEXT NOT NULL, checksum INTEGER NOT NULL) STRICT;
    CREATE TABLE head (id INTEGER PRIMARY KEY CHECK (id = 1), seq INTEGER NOT NULL, checksum INTEGER NOT NULL,
        brief TEXT NOT NULL, row_sum INTEGER NOT NULL) STRICT;
    CREATE TABLE events (seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, value BLOB, payload TEXT NOT NULL,
        checksum INTEGER NOT NULL) STRICT;
    CREATE TABLE large (hash BLOB NOT NULL UNIQUE, json BLOB NOT NULL) STRICT;
    CREATE TABLE snapshot (id INTEGER PRIMARY KEY CHECK (id = 1), seq INTEGER NOT NULL, bytes BLOB NOT NULL,
        checksum INTEGER NOT NULL) STRICT;
    CREATE TRIGGER events_stay BEFORE DELETE ON events BEGIN SELECT RAISE(ABORT, 'events are never removed'); END;
    CREATE TRIGGER events_never_change BEFORE UPDATE ON events
        BEGIN SELECT RAISE(ABORT, 'events are never changed'); END;
    CREATE TRIGGER header_stays BEFORE DELETE ON header BEGIN SELECT RAISE(ABORT, 'the header is never removed'); END;
    CREATE TRIGGER header_never_changes BEFORE UPDATE ON header
        BEGIN SELECT RAISE(ABORT, 'the header is never changed'); END;
    "],
};

/// A run that is open for writing. There is one at a time, held by the lock of the run's folder.
#[derive(Debug)]
pub struct Journal {
    /// `None` after an error: what failed once is not used again.
    db: Option<Connection>,
    path: PathBuf,
    run: Name,
    sync: SyncMode,
    /// Where the journal ends, as far as was acknowledged.
    head: Head,
    /// Where the last commit would have led, if it failed: it may have arrived all the same.
    attempted: Option<Head>,
    brief: Brief,
    mark: Mark,
    _lock: Lock,
}

impl Journal {
    /// Writes a new journal with its header, not yet durable, and closes it.
    pub(super) fn begin(path: &Path, header: &Header) -> Result<(), StoreError> {
        let refused = |what: String| StoreError::refused(format!("run {} cannot be stored: {what}", header.run));
        let label = json(&header.label()).map_err(refused)?;
        let text = json(header).map_err(refused)?;
        let brief = header.brief();
        let checksum = header_sum(text.as_bytes());
        let mut db = base::open_draft(path, SCHEMA)?;
        let mut write = || {
            let change = db.transaction()?;
            change.execute(
                "INSERT INTO header (id, label, label_sum, json, checksum) VALUES (1, ?1, ?2, ?3, ?4)",
                params![label, label_sum(label.as_bytes()).cast_signed(), text, checksum.cast_signed()],
            )?;
            put_head(&change, Head { seq: 0, checksum }, &brief)?;
            change.commit()
        };
        write().map_err(|error| StoreError::sqlite("write", path, &error))?;
        db.close().map_err(|(_, error)| StoreError::sqlite("close", path, &error))
    }

    /// Opens a journal that was just begun and whose lock is held.
    pub(super) fn fresh(path: &Path, header: &Header, sync: SyncMode, lock: Lock) -> Result<Self, StoreError> {
        let db = base::open(path, SCHEMA, sync)?;
        let (head, _) = saved::head(&db, path, &header.run)?;
        Ok(Self {
            db: Some(db),
            path: path.into(),
            run: header.run.clone(),
            sync,
            head,
            attempted: None,
            // Unlike a loaded one it knows how each step ended.
            brief: header.brief(),
            mark: Mark::open(path, head.seq),
            _lock: lock,
        })
    }

    /// Opens a journal whose lock is held, and reads it.
    pub(super) fn open(path: &Path, run: Name, sync: SyncMode, lock: Lock) -> Result<(Self, Saved), StoreError> {
        if path.symlink_metadata().map_or(0, |found| found.len()) == 0 {
            // Opening would make an empty one.
            return Err(StoreError::damaged(&run, None, "journal.db is missing or empty"));
        }
        let mut db = base::open(path, SCHEMA, sync)?;
        let saved = saved::read(&mut db, path, &run, Since::Snapshot)?;
        let head = saved.head;
        let journal = Self {
            db: Some(db),
            path: path.into(),
            run,
            sync,
            head,
            attempted: None,
            brief: saved.brief.clone(),
            mark: Mark::open(path, head.seq),
            _lock: lock,
        };
        Ok((journal, saved))
    }

    /// The run's name.
    #[must_use]
    pub const fn run(&self) -> &Name {
        &self.run
    }

    /// Its file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The number of the last event that was acknowledged.
    #[must_use]
    pub const fn last_seq(&self) -> u64 {
        self.head.seq
    }

    /// Appends events in one transaction: afterwards all of them are stored, or none.
    ///
    /// # Errors
    /// `Conflict` if the journal does not end at `expected_seq`; `Refused` if an event cannot be stored at all; else that
    /// writing failed. Then the file is closed and the journal must be [reopened](Self::reopen) before it is used again.
    pub fn append(&mut self, expected_seq: u64, events: &[Arc<Event>]) -> Result<(), StoreError> {
        if expected_seq != self.head.seq {
            return Err(conflict(&self.run, expected_seq, self.head.seq));
        }
        if events.is_empty() {
            return Ok(());
        }
        let mut encoder = Encoder::after(self.head);
        let encode = |event: &Arc<Event>| {
            encoder.encode(event).map_err(|damage| StoreError::refused(format!("run {}: {damage}", self.run)))
        };
        let records = events.iter().map(encode).collect::<Result<Vec<_>, _>>()?;
        let head = encoder.head();
        self.remember_before(events)?;
        let db = connection(&mut self.db, &self.path)?;
        for event in events {
            self.brief.apply(&event.kind, event.at);
        }
        self.attempted = Some(head);
        let error = match write(db, self.head, &records, head, &self.brief) {
            Ok(Written::Whole) => {
                self.mark.set(head.seq);
                self.head = head;
                self.attempted = None;
                return Ok(());
            }
            // Somebody has written to a file whose lock is held here.
            Ok(Written::Elsewhere(found)) => conflict(&self.run, expected_seq, found),
            Ok(Written::Clash(seq)) => {
                StoreError::refused(format!("run {}: the data of event {seq} has the hash of other data", self.run))
            }
            Err(error) => StoreError::sqlite("write to", &self.path, &error),
        };
        self.db = None;
        Err(error)
    }

    /// Stores a snapshot of the state after the event `seq`, in place of the one before.
    ///
    /// # Errors
    /// `Conflict` if `seq` has not been reached; else as [`Journal::append`].
    pub fn put_snapshot(&mut self, seq: u64, bytes: &[u8]) -> Result<(), StoreError> {
        if seq == 0 || seq > self.head.seq {
            return Err(conflict(&self.run, seq, self.head.seq));
        }
        let db = connection(&mut self.db, &self.path)?;
        let mut write = || {
            let change = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let last: i64 =
                change
                    .query_row("SELECT checksum FROM events WHERE seq = ?1", [seq.cast_signed()], |row| row.get(0))?;
            let sum = snapshot_sum(seq, last.cast_unsigned(), bytes);
            change.execute(
                "INSERT OR REPLACE INTO snapshot (id, seq, bytes, checksum) VALUES (1, ?1, ?2, ?3)",
                params![seq.cast_signed(), bytes, sum.cast_signed()],
            )?;
            change.commit()
        };
        let written = write().map_err(|error| StoreError::sqlite("write a snapshot to", &self.path, &error));
        if written.is_err() {
            self.db = None;
        }
        written
    }

    /// Opens the file anew after an error: descriptors that failed once are never trusted again.
    ///
    /// What the failed commit left is settled here: the journal ends either where it was acknowledged, or (the error came
    /// after the commit) behind all of its events; see [`Journal::last_seq`]. What is found is then pressed into the
    /// database itself, so that nothing rests on a log that the disk may have dropped.
    ///
    /// # Errors
    /// If it cannot be opened, or does not end where it must: `Conflict`, `Damaged`.
    pub fn reopen(&mut self) -> Result<(), StoreError> {
        self.db = None;
        let mut db = base::open(&self.path, SCHEMA, self.sync)?;
        let (head, brief) = saved::head(&db, &self.path, &self.run)?;
        if head != self.head && Some(head) != self.attempted {
            return Err(conflict(&self.run, self.head.seq, head.seq));
        }
        let settle = |db: &mut Connection| db.query_row("PRAGMA wal_checkpoint(FULL)", [], |row| row.get::<_, i64>(0));
        let busy = settle(&mut db).map_err(|error| StoreError::sqlite("write to", &self.path, &error))?;
        if busy != 0 {
            let message = format!("{} is being read and could not be settled", self.path.display());
            return Err(StoreError::new(StoreErrorKind::InUse { pid: None }, message).or("try again"));
        }
        self.db = Some(db);
        self.head = head;
        self.brief = brief;
        self.attempted = None;
        Ok(())
    }

    /// Copies the log into the database and closes it. Dropping does the same and says nothing.
    ///
    /// # Errors
    /// If that failed. What was acknowledged is stored in any case.
    pub fn close(mut self) -> Result<(), StoreError> {
        let Some(db) = self.db.take() else { return Ok(()) };
        let mut closed = db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        if let Err((_, error)) = db.close() {
            closed = closed.and(Err(error));
        }
        closed.map_err(|error| StoreError::sqlite("close", &self.path, &error))
    }

    /// A brief that was loaded does not know how single steps ended. It is folded anew where that matters: a step is
    /// reopened or undone, or the steps are others from now on.
    fn remember_before(&mut self, events: &[Arc<Event>]) -> Result<(), StoreError> {
        let counts_back = |kind: &EventKind| {
            matches!(
                kind,
                EventKind::StepReopened { .. }
                    | EventKind::WorkflowChanged { .. }
                    | EventKind::RunRolledBack { .. }
                    | EventKind::StepCompensating { .. }
                    | EventKind::StepCompensated { .. }
                    | EventKind::CompensationFailed { .. }
            )
        };
        let reopens = events.iter().any(|event| counts_back(&event.kind));
        if !reopens || self.brief.remembers() {
            return Ok(());
        }
        let db = connection(&mut self.db, &self.path)?;
        let saved = saved::read(db, &self.path, &self.run, Since::Event(0))?;
        let mut brief = saved.header.brief();
        for event in &saved.events {
            brief.apply(&event.kind, event.at);
        }
        self.brief = brief;
        Ok(())
    }
}

#[cfg(test)]
impl Journal {
    /// Lets the file grow to so many pages only, until it is opened anew: a full disk.
    pub(super) fn limit_pages(&self, pages: u32) {
        let db = self.db.as_ref().unwrap();
        db.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(())).unwrap();
    }

    /// As if the commit of these events, all there are, had come back with an error.
    pub(super) fn forget_last_commit(&mut self, events: &[Arc<Event>]) {
        let db = self.db.as_ref().unwrap();
        let start = db.query_row("SELECT checksum FROM header", [], |row| row.get::<_, i64>(0)).unwrap();
        self.attempted = Some(self.head);
        self.head = Head { seq: self.head.seq - events.len() as u64, checksum: start.cast_unsigned() };
    }
}

fn connection<'a>(db: &'a mut Option<Connection>, path: &Path) -> Result<&'a mut Connection, StoreError> {
    db.as_mut().ok_or_else(|| {
        let message = format!("{} was closed after an error", path.display());
        StoreError::new(StoreErrorKind::Io, message).or("reopen it")
    })
}

fn conflict(run: &str, expected: u64, found: u64) -> StoreError {
    let message = format!("run {run} was expected to end with event {expected} and ends with event {found}");
    StoreError::new(StoreErrorKind::Conflict { expected, found }, message)
}

/// What became of a commit.
enum Written {
    /// All of it is stored.
    Whole,
    /// Nothing: the journal ends with another event, this one.
    Elsewhere(u64),
    /// Nothing: a large value of this event has the hash of a different one.
    Clash(u64),
}

/// Writes records and the new head in one transaction.
fn write(
    db: &mut Connection,
    before: Head,
    records: &[(Record, Option<LargeValue>)],
    after: Head,
    brief: &Brief,
) -> rusqlite::Result<Written> {
    let change = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let (seq, checksum) = change
        .prepare_cached("SELECT seq, checksum FROM head")?
        .query_row([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)))?;
    if (Head { seq: seq.cast_unsigned(), checksum: checksum.cast_unsigned() }) != before {
        return Ok(Written::Elsewhere(seq.cast_unsigned()));
    }
    {
        let sql = "INSERT INTO events (seq, at, value, payload, checksum) VALUES (?1, ?2, ?3, ?4, ?5)";
        let mut insert = change.prepare_cached(sql)?;
        for (record, large) in records {
            reached(Edge::BeforeWrite, record.seq);
            if let Some(large) = large
                && !put_large(&change, large)?
            {
                return Ok(Written::Clash(record.seq));
            }
            insert.execute(params![
                record.seq.cast_signed(),
                record.at.0.cast_signed(),
                record.value,
                record.payload,
                record.checksum.cast_signed()
            ])?;
            reached(Edge::AfterWrite, record.seq);
        }
    }
    put_head(&change, after, brief)?;
    change.commit()?;
    records.iter().for_each(|(record, _)| reached(Edge::AfterSync, record.seq));
    Ok(Written::Whole)
}

/// Stores a large value unless it is there. `false`: there is another one of that hash. The hash is quick and not made
/// to withstand somebody who looks for such a pair, so the bytes are compared.
fn put_large(change: &Transaction<'_>, large: &LargeValue) -> rusqlite::Result<bool> {
    let mut find = change.prepare_cached("SELECT json FROM large WHERE hash = ?1")?;
    let same = find.query_row([large.hash], |row| Ok(row.get_ref(0)?.as_blob()? == large.json)).optional()?;
    if let Some(same) = same {
        return Ok(same);
    }
    change
        .prepare_cached("INSERT INTO large (hash, json) VALUES (?1, ?2)")?
        .execute(params![large.hash, large.json])?;
    Ok(true)
}

fn put_head(change: &Transaction<'_>, head: Head, brief: &Brief) -> rusqlite::Result<()> {
    let brief = serde_json::to_string(brief).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
    let sum = head_sum(head.seq, head.checksum, brief.as_bytes());
    let sql = "INSERT OR REPLACE INTO head (id, seq, checksum, brief, row_sum) VALUES (1, ?1, ?2, ?3, ?4)";
    change.prepare_cached(sql)?.execute(params![
        head.seq.cast_signed(),
        head.checksum.cast_signed(),
        brief,
        sum.cast_signed()
    ])?;
    Ok(())
}
