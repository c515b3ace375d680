//! Reading a run back, and believing nothing that is not proved by its checksums.
//!
//! What is found: a record that was changed, left out, reordered or taken from another run; a table that was cut short
//! or is longer than the head row says; a changed header, head or value. A damaged snapshot is passed over, since the
//! events tell the same.
//!
//! What SQLite does not find: the loss of whole commits at the end of the log (`journal.db-wal`). A log that was cut, or
//! whose end a failing disk dropped, looks like one that had not grown that far yet, and so the journal ends earlier, always
//! between two commits. The mark beside it tells, unless the machine was started anew since: then a loss of power may have
//! done just that. Where the log has been copied into the database, which closing does, nothing can be lost this
//! way.

use super::brief::Brief;
use super::error::StoreError;
use super::header::{Header, Label, head_sum, header_sum, label_sum, snapshot_sum};
use super::mark;
use super::record::{Damage, Decoder, Head, RawRecord, parse};
use crate::model::event::Event;
use crate::model::id::RunId;
use crate::model::time::Micros;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, Row};
use std::path::Path;

/// A run as it was stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Saved {
    /// How it began.
    pub header: Header,
    /// Where it stands.
    pub brief: Brief,
    /// The newest snapshot and the number of the last event in it, if there is one and it was asked for.
    pub snapshot: Option<(u64, Vec<u8>)>,
    /// The events after the snapshot, or after the number asked for. Their run is `RunId(0)`; see [`Saved::with_run`].
    pub events: Vec<Event>,
    /// The number of the journal's last event; 0 without one.
    pub last_seq: u64,
    pub(super) head: Head,
}

impl Saved {
    /// The same with the events under the number that an engine has given the run.
    #[must_use]
    pub fn with_run(mut self, run: RunId) -> Self {
        for event in &mut self.events {
            event.run = run;
        }
        self
    }
}

/// Which events to read.
#[derive(Clone, Copy, Debug)]
pub(super) enum Since {
    /// Those after the newest snapshot.
    Snapshot,
    /// Those after this one, 0: all.
    Event(u64),
}

/// What a list shows of a run.
pub(super) fn outline(db: &Connection, path: &Path, run: &str) -> Result<(Label, Brief), StoreError> {
    let least = mark::least(path);
    let row = one(db, path, run, "SELECT label, label_sum FROM header", |row| Ok((bytes(row, 0)?, number(row, 1)?)))?;
    let (label, sum) = row.ok_or_else(|| StoreError::damaged(run, None, "it has no header"))?;
    if label_sum(&label) != sum {
        return Err(StoreError::damaged(run, None, "its header is not what was written"));
    }
    let label: Label = parse(&label).map_err(|what| StoreError::damaged(run, None, &format!("its header: {what}")))?;
    same_run(run, &label.run)?;
    let (head, brief) = head(db, path, run)?;
    mark::check(run, least, head.seq)?;
    Ok((label, brief))
}

/// Where a journal ends.
pub(super) fn head(db: &Connection, path: &Path, run: &str) -> Result<(Head, Brief), StoreError> {
    let row = one(db, path, run, "SELECT seq, checksum, brief, row_sum FROM head", |row| {
        Ok((Head { seq: number(row, 0)?, checksum: number(row, 1)? }, bytes(row, 2)?, number(row, 3)?))
    })?;
    let damaged = |what: &str| StoreError::damaged(run, None, what);
    let (head, brief, sum) = row.ok_or_else(|| damaged("nothing says where it ends"))?;
    if head_sum(head.seq, head.checksum, &brief) != sum {
        return Err(damaged("the place where it ends is not what was written"));
    }
    let brief = parse(&brief).map_err(|what| damaged(&format!("its brief: {what}")))?;
    Ok((head, brief))
}

/// Reads a run as it is at one moment, also while it is being written.
pub(super) fn read(db: &mut Connection, path: &Path, run: &str, since: Since) -> Result<Saved, StoreError> {
    let least = mark::least(path);
    let moment = db.transaction().map_err(|error| StoreError::reading(run, path, &error))?;
    let (header, start) = header(&moment, path, run)?;
    let (head, brief) = head(&moment, path, run)?;
    mark::check(run, least, head.seq)?;
    let found = match since {
        Since::Snapshot => snapshot(&moment, path, run, head)?,
        Since::Event(_) => None,
    };
    let (after, snapshot) = match (since, found) {
        (Since::Event(seq), _) => (anchor(&moment, path, run, seq.min(head.seq), start)?, None),
        (Since::Snapshot, Some((place, bytes))) => (place, Some((place.seq, bytes))),
        (Since::Snapshot, None) => (start, None),
    };
    let events = events(&moment, path, run, after, head)?;
    Ok(Saved { header, brief, snapshot, events, last_seq: head.seq, head })
}

/// How a run began, and the place before its first event.
pub(super) fn header(db: &Connection, path: &Path, run: &str) -> Result<(Header, Head), StoreError> {
    let row = one(db, path, run, "SELECT json, checksum FROM header", |row| Ok((bytes(row, 0)?, number(row, 1)?)))?;
    let (json, checksum) = row.ok_or_else(|| StoreError::damaged(run, None, "it has no header"))?;
    if header_sum(&json) != checksum {
        return Err(StoreError::damaged(run, None, "its header is not what was written"));
    }
    let header: Header = parse(&json).map_err(|what| StoreError::damaged(run, None, &format!("its header: {what}")))?;
    same_run(run, &header.run)?;
    Ok((header, Head { seq: 0, checksum }))
}

fn same_run(run: &str, found: &str) -> Result<(), StoreError> {
    if run == found {
        return Ok(());
    }
    Err(StoreError::refused(format!("the folder of run {run} holds the journal of run {found}"))
        .or("give the folder its name back"))
}

/// The place of an event, to continue reading after it. Its own checksum is taken as it is: that of the event after it
/// covers it, and the head row that of the last.
fn anchor(db: &Connection, path: &Path, run: &str, seq: u64, start: Head) -> Result<Head, StoreError> {
    if seq == 0 {
        return Ok(start);
    }
    let sql = format!("SELECT checksum FROM events WHERE seq = {seq}");
    let checksum = one(db, path, run, &sql, |row| number(row, 0))?;
    let checksum = checksum.ok_or_else(|| StoreError::damaged(run, Some(seq), "it is missing"))?;
    Ok(Head { seq, checksum })
}

/// The newest snapshot, unless it is damaged or does not belong to these events.
fn snapshot(db: &Connection, path: &Path, run: &str, head: Head) -> Result<Option<(Head, Vec<u8>)>, StoreError> {
    let sql = "SELECT s.seq, s.bytes, s.checksum, e.checksum FROM snapshot s JOIN events e ON e.seq = s.seq";
    let row = one(db, path, run, sql, |row| Ok((number(row, 0)?, bytes(row, 1)?, number(row, 2)?, number(row, 3)?)))?;
    Ok(row.and_then(|(seq, bytes, sum, checksum)| {
        let whole = seq <= head.seq && snapshot_sum(seq, checksum, &bytes) == sum;
        whole.then_some((Head { seq, checksum }, bytes))
    }))
}

fn events(db: &Connection, path: &Path, run: &str, after: Head, head: Head) -> Result<Vec<Event>, StoreError> {
    let mut events = Vec::with_capacity(usize::try_from((head.seq - after.seq).min(1_000_000)).unwrap_or(0));
    let found = each(db, path, run, (after, usize::MAX), &mut |event| events.push(event))?;
    ends_at(run, found, head)?;
    Ok(events)
}

/// Some events behind number `after`, and what is wrong with the one behind them, if something is.
pub(super) fn page(
    db: &mut Connection,
    path: &Path,
    run: &str,
    (after, most): (u64, usize),
) -> Result<(Vec<Event>, Option<StoreError>), StoreError> {
    let least = mark::least(path);
    let moment = db.transaction().map_err(|error| StoreError::reading(run, path, &error))?;
    let sql = "SELECT checksum FROM header";
    let checksum = one(&moment, path, run, sql, |row| number(row, 0))?.unwrap_or_default();
    let start = Head { seq: 0, checksum };
    let (head, _) = head(&moment, path, run)?;
    let after = match anchor(&moment, path, run, after.min(head.seq), start) {
        Ok(place) => place,
        Err(damage) => return Ok((Vec::new(), Some(damage))),
    };
    let mut events = Vec::new();
    let read = each(&moment, path, run, (after, most), &mut |event| events.push(event));
    let damage = match read {
        Ok(found) if events.len() < most => {
            ends_at(run, found, head).and_then(|()| mark::check(run, least, head.seq)).err()
        }
        Ok(_) => None,
        Err(damage) => Some(damage),
    };
    Ok((events, damage))
}

/// Gives `take` at most so many events behind a place, and says where they end.
fn each(
    db: &Connection,
    path: &Path,
    run: &str,
    (after, most): (Head, usize),
    take: &mut dyn FnMut(Event),
) -> Result<Head, StoreError> {
    let damaged = |damage: Damage| StoreError::damaged(run, Some(damage.seq), &damage.what);
    let sqlite = |error: rusqlite::Error| StoreError::reading(run, path, &error);
    let mut values = db.prepare("SELECT json FROM large WHERE hash = ?1").map_err(sqlite)?;
    let sql = "SELECT seq, at, value, payload, checksum FROM events WHERE seq > ?1 ORDER BY seq";
    let mut query = db.prepare(sql).map_err(sqlite)?;
    let mut rows = query.query([after.seq.cast_signed()]).map_err(sqlite)?;
    let mut decoder = Decoder::after(after, RunId(0));
    for _ in 0..most {
        let next = decoder.head().seq + 1;
        // A page that cannot be read is a place in the journal as well.
        let at_next = |error: rusqlite::Error| match StoreError::reading(run, path, &error) {
            StoreError { kind: super::error::StoreErrorKind::Damaged { .. }, message, .. } => {
                StoreError::damaged(run, Some(next), &message)
            }
            other => other,
        };
        let Some(row) = rows.next().map_err(at_next)? else { break };
        let record = raw(row).map_err(at_next)?;
        let mut failed = None;
        let lookup = |hash: &[u8; 16]| {
            let found = values.query_row([hash], |row| bytes(row, 0)).optional();
            found.unwrap_or_else(|error| {
                failed = Some(error);
                None
            })
        };
        let event = decoder.accept(record, lookup);
        if let Some(error) = failed {
            return Err(at_next(error));
        }
        take(event.map_err(damaged)?);
    }
    Ok(decoder.head())
}

/// Compares where the events end with where they must.
fn ends_at(run: &str, found: Head, head: Head) -> Result<(), StoreError> {
    if found == head {
        return Ok(());
    }
    if found.seq < head.seq {
        let what = format!("it is missing: the journal had {} events", head.seq);
        return Err(StoreError::damaged(run, Some(found.seq + 1), &what));
    }
    let what = format!("it does not fit the row that says where the journal ends, at event {}", head.seq);
    Err(StoreError::damaged(run, Some(head.seq.min(found.seq)), &what))
}

fn raw<'row>(row: &'row Row<'_>) -> rusqlite::Result<RawRecord<'row>> {
    let value = match row.get_ref(2)? {
        ValueRef::Null => None,
        _ => Some(row.get(2)?),
    };
    let payload = row.get_ref(3)?.as_bytes()?;
    Ok(RawRecord { seq: number(row, 0)?, at: Micros(number(row, 1)?), value, payload, checksum: number(row, 4)? })
}

/// The row of a query that gives one at most.
fn one<T>(
    db: &Connection,
    path: &Path,
    run: &str,
    sql: &str,
    read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Option<T>, StoreError> {
    db.query_row(sql, [], read).optional().map_err(|error| StoreError::reading(run, path, &error))
}

/// A number that SQLite keeps as one with a sign.
fn number(row: &Row<'_>, at: usize) -> rusqlite::Result<u64> {
    row.get::<_, i64>(at).map(i64::cast_unsigned)
}

/// A text or blob, as bytes: a damaged text need not be one.
fn bytes(row: &Row<'_>, at: usize) -> rusqlite::Result<Vec<u8>> {
    Ok(row.get_ref(at)?.as_bytes()?.to_vec())
}
