//! What agents print, kept beside the journal, written by a thread of its own.
//!
//! Nothing waits for it: a line that the thread cannot keep up with is dropped and counted, and the count becomes a line
//! where the gap is. A run keeps a bounded amount of text: the first quarter of the bound from its beginning, the rest
//! from its end; what lay between is dropped and counted as well.

use super::base::{self, Schema, SyncMode};
use super::error::{StoreError, StoreErrorKind};
use super::{Store, read_undisturbed};
use crate::model::id::{AgentId, StepId};
use crate::model::time::Micros;
use crate::runtime::logs::Stream;
use rusqlite::{Connection, Row, Transaction, params};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

/// The text that a run keeps unless it is told otherwise, in bytes.
pub const LINES_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Lines on their way to the thread.
const QUEUE: usize = 16 * 1024;
/// The most lines of one transaction.
const BATCH: usize = 8 * 1024;

const SCHEMA: Schema = Schema {
    steps: &["
    CREATE TABLE lines (n INTEGER PRIMARY KEY, at INTEGER NOT NULL, step INTEGER, attempt INTEGER, agent INTEGER,
        stream INTEGER NOT NULL, text TEXT NOT NULL) STRICT;
    CREATE TABLE kept (id INTEGER PRIMARY KEY CHECK (id = 1), next INTEGER NOT NULL, head_next INTEGER NOT NULL,
        head_bytes INTEGER NOT NULL, tail_first INTEGER NOT NULL, tail_bytes INTEGER NOT NULL) STRICT;
    INSERT INTO kept (id, next, head_next, head_bytes, tail_first, tail_bytes) VALUES (1, 0, 0, 0, 0, 0);
    "],
};

/// A line that was printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Printed {
    /// When, by the engine's clock.
    pub at: Micros,
    /// The step.
    pub step: Option<StepId>,
    /// The attempt.
    pub attempt: Option<u32>,
    /// The agent.
    pub agent: Option<AgentId>,
    /// Where it came from.
    pub stream: Stream,
    /// The text as it came. Foreign text: sanitise it before it meets a terminal.
    pub text: Arc<str>,
}

impl Printed {
    /// A remark of the store about lines that are not there.
    fn gap(at: Micros, text: String) -> Self {
        Self { at, step: None, attempt: None, agent: None, stream: Stream::Note, text: text.into() }
    }
}

/// The way to the thread that writes lines.
#[derive(Debug)]
pub struct Lines {
    queue: Option<SyncSender<Printed>>,
    /// Lines dropped since the thread last looked.
    dropped: Arc<AtomicU64>,
    thread: Option<JoinHandle<Result<(), StoreError>>>,
}

impl Store {
    /// Opens the printed lines of a run for writing, after those it has. At most `bytes_max` of text are kept. The caller
    /// has the run's journal open.
    ///
    /// # Errors
    /// `NotFound`, `Refused`, `Full`, `Io`, `TooNew`, `Damaged`.
    pub fn write_lines(&self, run: &str, bytes_max: u64) -> Result<Lines, StoreError> {
        let path = self.folder(run)?.join("output.db");
        let opened = open(&path)?;
        let dropped = Arc::new(AtomicU64::new(0));
        let (queue, lines) = sync_channel(QUEUE);
        let work = Work { path: path.clone(), open: Some(opened), bytes_max, dropped: dropped.clone() };
        let thread = std::thread::Builder::new().name("lines".to_owned()).spawn(move || work.run(&lines));
        let thread = thread.map_err(|error| StoreError::io("start a thread for", &path, &error))?;
        Ok(Lines { queue: Some(queue), dropped, thread: Some(thread) })
    }

    /// Gives `each` the printed lines of a run in order, those of one step or all. Where lines were dropped there is one
    /// that says how many. Changes nothing on the disk; a run that printed nothing has no lines.
    ///
    /// # Errors
    /// `NotFound`, `Damaged`, `TooNew`, `Refused`, `Io`. Lines that were given before the error are good.
    pub fn read_lines(&self, run: &str, step: Option<StepId>, each: &mut dyn FnMut(Printed)) -> Result<(), StoreError> {
        let folder = self.folder(run)?;
        let path = folder.join("output.db");
        if path.symlink_metadata().is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound) {
            return Ok(());
        }
        let all = read_undisturbed(&folder, &path, SCHEMA, |db, path| {
            read(db, step, 0, usize::MAX).map_err(|error| StoreError::reading(run, path, &error))
        })?;
        all.lines.into_iter().for_each(each);
        Ok(())
    }
}

/// Some of the lines of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LinesPage {
    /// The lines, in order.
    pub lines: Vec<Printed>,
    /// Where the next page begins; `None`: there is none.
    pub next: Option<u64>,
}

impl Store {
    /// At most `most` of the lines of a run, from the place `from` on; 0 is the beginning. See [`Store::read_lines`].
    ///
    /// # Errors
    /// As [`Store::read_lines`].
    pub fn lines_page(&self, run: &str, from: u64, most: usize) -> Result<LinesPage, StoreError> {
        let folder = self.folder(run)?;
        let path = folder.join("output.db");
        if path.symlink_metadata().is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound) {
            return Ok(LinesPage::default());
        }
        read_undisturbed(&folder, &path, SCHEMA, |db, path| {
            read(db, None, from, most).map_err(|error| StoreError::reading(run, path, &error))
        })
    }
}

impl Lines {
    /// Hands a line over. Never waits: a line for which there is no room is dropped and counted.
    pub fn push(&self, line: Printed) {
        let Some(queue) = &self.queue else { return };
        match queue.try_send(line) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                self.dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Writes what was handed over, presses it onto the disk and ends the thread.
    ///
    /// # Errors
    /// What kept lines from being stored; the run itself does not suffer from it.
    pub fn close(mut self) -> Result<(), StoreError> {
        self.end()
    }

    fn end(&mut self) -> Result<(), StoreError> {
        self.queue = None;
        let Some(thread) = self.thread.take() else { return Ok(()) };
        let fault = || StoreError::new(StoreErrorKind::Io, "the thread that writes printed lines ended in disorder");
        thread.join().map_err(|_| fault())?
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        // Whoever wants to know calls `close`.
        let _ = self.end();
    }
}

/// Which lines are kept. Numbers are given without gaps, so the lines between the two parts are those that were dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Kept {
    /// The number of the next line.
    next: u64,
    /// The number behind the last line of the beginning.
    head_next: u64,
    head_bytes: u64,
    /// The number of the oldest line of the end.
    tail_first: u64,
    tail_bytes: u64,
}

impl Kept {
    fn read(db: &Connection) -> rusqlite::Result<Self> {
        let number = |row: &Row<'_>, at: usize| row.get::<_, i64>(at).map(i64::cast_unsigned);
        db.query_row("SELECT next, head_next, head_bytes, tail_first, tail_bytes FROM kept", [], |row| {
            Ok(Self {
                next: number(row, 0)?,
                head_next: number(row, 1)?,
                head_bytes: number(row, 2)?,
                tail_first: number(row, 3)?,
                tail_bytes: number(row, 4)?,
            })
        })
    }

    fn write(self, change: &Transaction<'_>) -> rusqlite::Result<()> {
        let sql = "UPDATE kept SET next = ?1, head_next = ?2, head_bytes = ?3, tail_first = ?4, tail_bytes = ?5";
        let numbers = [self.next, self.head_next, self.head_bytes, self.tail_first, self.tail_bytes];
        change.prepare_cached(sql)?.execute(numbers.map(u64::cast_signed))?;
        Ok(())
    }

    /// Counts a line in, and gives its number.
    fn add(&mut self, bytes: u64, bytes_max: u64) -> u64 {
        let number = self.next;
        self.next = self.next.saturating_add(1);
        // The beginning grows until it is full and never again.
        if self.head_next == number && self.head_bytes.saturating_add(bytes) <= bytes_max / 4 {
            self.head_next = self.next;
            self.tail_first = self.next;
            self.head_bytes += bytes;
        } else {
            self.tail_bytes = self.tail_bytes.saturating_add(bytes);
        }
        number
    }

    fn dropped(self) -> u64 {
        self.tail_first.saturating_sub(self.head_next)
    }
}

struct Work {
    path: PathBuf,
    /// `None` after a failure, until the next batch opens it anew.
    open: Option<(Connection, Kept)>,
    bytes_max: u64,
    dropped: Arc<AtomicU64>,
}

impl Work {
    fn run(mut self, lines: &Receiver<Printed>) -> Result<(), StoreError> {
        let mut last_at = Micros::ZERO;
        while let Ok(first) = lines.recv() {
            let batch: Vec<Printed> = std::iter::once(first).chain(lines.try_iter().take(BATCH - 1)).collect();
            last_at = batch.last().map_or(last_at, |line| line.at);
            // A disk without room may have some again for a later batch; meanwhile the agents go on.
            let _ = self.write(batch, last_at);
        }
        // Lines that were dropped after the last one got through.
        self.write(Vec::new(), last_at)?;
        let Some((db, _)) = self.open else { return Ok(()) };
        let mut closed = db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        if let Err((_, error)) = db.close() {
            closed = closed.and(Err(error));
        }
        closed.map_err(|error| failed(&self.path, &error))
    }

    /// Writes a batch, with a remark about the lines that were dropped before. One that cannot be written is dropped and
    /// counted as well.
    fn write(&mut self, mut batch: Vec<Printed>, at: Micros) -> Result<(), StoreError> {
        let lost = batch.len() as u64;
        let missing = self.dropped.swap(0, Ordering::Relaxed);
        if missing > 0 {
            batch.push(Printed::gap(at, format!("{missing} lines are missing here: they could not be stored in time")));
        }
        let written = if batch.is_empty() { Ok(()) } else { self.put(&batch) };
        if written.is_err() {
            self.open = None;
            self.dropped.fetch_add(lost + missing, Ordering::Relaxed);
        }
        written
    }

    fn put(&mut self, batch: &[Printed]) -> Result<(), StoreError> {
        let (db, kept) = match self.open.take() {
            Some(open) => self.open.insert(open),
            None => self.open.insert(open(&self.path)?),
        };
        let mut after = *kept;
        let mut write = || {
            let change = db.transaction()?;
            for line in batch {
                let number = after.add(line.text.len() as u64, self.bytes_max);
                insert(&change, number, line)?;
            }
            drop_middle(&change, &mut after, self.bytes_max)?;
            after.write(&change)?;
            change.commit()
        };
        write().map_err(|error| failed(&self.path, &error))?;
        *kept = after;
        Ok(())
    }
}

fn open(path: &Path) -> Result<(Connection, Kept), StoreError> {
    let db = base::open(path, SCHEMA, SyncMode::Normal)?;
    let kept = Kept::read(&db).map_err(|error| StoreError::sqlite("read", path, &error))?;
    Ok((db, kept))
}

fn failed(path: &Path, error: &rusqlite::Error) -> StoreError {
    StoreError::sqlite("write printed lines to", path, error)
}

fn insert(change: &Transaction<'_>, number: u64, line: &Printed) -> rusqlite::Result<()> {
    let sql = "INSERT INTO lines (n, at, step, attempt, agent, stream, text) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    change.prepare_cached(sql)?.execute(params![
        number.cast_signed(),
        line.at.0.cast_signed(),
        line.step.map(|step| step.0),
        line.attempt,
        line.agent.map(|agent| agent.0),
        stream_number(line.stream),
        &*line.text
    ])?;
    Ok(())
}

/// Drops the oldest lines of the end until it fits.
fn drop_middle(change: &Transaction<'_>, kept: &mut Kept, bytes_max: u64) -> rusqlite::Result<()> {
    let most = bytes_max - bytes_max / 4;
    if kept.tail_bytes <= most {
        return Ok(());
    }
    let mut oldest = change.prepare_cached("SELECT n, octet_length(text) FROM lines WHERE n >= ?1 ORDER BY n")?;
    let mut rows = oldest.query([kept.tail_first.cast_signed()])?;
    while kept.tail_bytes > most
        && let Some(row) = rows.next()?
    {
        kept.tail_first = row.get::<_, i64>(0)?.cast_unsigned().saturating_add(1);
        kept.tail_bytes = kept.tail_bytes.saturating_sub(row.get::<_, i64>(1)?.cast_unsigned());
    }
    change
        .prepare_cached("DELETE FROM lines WHERE n >= ?1 AND n < ?2")?
        .execute([kept.head_next.cast_signed(), kept.tail_first.cast_signed()])?;
    Ok(())
}

fn read(db: &mut Connection, step: Option<StepId>, from: u64, most: usize) -> rusqlite::Result<LinesPage> {
    let moment = db.transaction()?;
    let kept = Kept::read(&moment)?;
    // A remark of the store belongs to no step and is of interest to all.
    let sql = "SELECT n, at, step, attempt, agent, stream, text FROM lines
        WHERE n >= ?2 AND (?1 IS NULL OR step = ?1 OR (step IS NULL AND stream = 2)) ORDER BY n LIMIT ?3";
    let mut query = moment.prepare(sql)?;
    let limit = i64::try_from(most).unwrap_or(i64::MAX);
    let mut rows = query.query(params![step.map(|step| step.0), from.cast_signed(), limit])?;
    let mut lines = Vec::new();
    let mut last = None;
    let mut taken = 0;
    // The gap belongs to the page that reaches over it.
    let mut gap = Some(kept.dropped()).filter(|count| *count > 0 && from <= kept.head_next);
    while let Some(row) = rows.next()? {
        let line = printed(row)?;
        let number = row.get::<_, i64>(0)?.cast_unsigned();
        if number >= kept.tail_first
            && let Some(count) = gap.take()
        {
            lines
                .push(Printed::gap(line.at, format!("{count} lines were left out here: a run keeps a bounded amount")));
        }
        lines.push(line);
        (last, taken) = (Some(number), taken + 1);
    }
    let next = last.filter(|_| taken == most).map(|number| number + 1);
    if let Some(count) = gap.filter(|_| next.is_none()) {
        let at = lines.last().map_or(Micros::ZERO, |line| line.at);
        lines.push(Printed::gap(at, format!("{count} lines were left out here: a run keeps a bounded amount")));
    }
    Ok(LinesPage { lines, next })
}

/// When the last line was printed. Best effort: it decides nothing but where a clock goes on.
pub(super) fn last_at(folder: &Path, path: &Path) -> Option<Micros> {
    if !path.exists() {
        return None;
    }
    let read = read_undisturbed(folder, path, SCHEMA, |db, path| {
        let query = db.query_row("SELECT at FROM lines ORDER BY n DESC LIMIT 1", [], |row| row.get::<_, i64>(0));
        query.map_err(|error| StoreError::reading("", path, &error))
    });
    Some(Micros(read.ok()?.cast_unsigned()))
}

fn printed(row: &Row<'_>) -> rusqlite::Result<Printed> {
    // A damaged text need not be one; what is left of it is still worth showing.
    let text = String::from_utf8_lossy(row.get_ref(6)?.as_bytes()?).into();
    Ok(Printed {
        at: Micros(row.get::<_, i64>(1)?.cast_unsigned()),
        step: row.get::<_, Option<u32>>(2)?.map(StepId),
        attempt: row.get(3)?,
        agent: row.get::<_, Option<u32>>(4)?.map(AgentId),
        stream: match row.get::<_, i64>(5)? {
            0 => Stream::Stdout,
            1 => Stream::Stderr,
            _ => Stream::Note,
        },
        text,
    })
}

const fn stream_number(stream: Stream) -> i64 {
    match stream {
        Stream::Stdout => 0,
        Stream::Stderr => 1,
        Stream::Note => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::store::disk::tests::{header, store};

    fn line(step: u32, text: &str) -> Printed {
        let step = Some(StepId(step));
        Printed {
            at: Micros(5),
            step,
            attempt: Some(1),
            agent: Some(AgentId(2)),
            stream: Stream::Stderr,
            text: text.into(),
        }
    }

    fn all(store: &Store, step: Option<StepId>) -> Vec<Printed> {
        let mut lines = Vec::new();
        store.read_lines("a1", step, &mut |line| lines.push(line)).unwrap();
        lines
    }

    #[test]
    fn lines_come_back_in_order_and_by_step_also_after_another_go() {
        let (_folder, store) = store();
        let _journal = store.create(&header("a1"), SyncMode::Normal).unwrap();
        assert_eq!(all(&store, None), []);
        for half in [["one", "two\u{1b}[2J"], ["three", "fünf\0"]] {
            let lines = store.write_lines("a1", LINES_BYTES_MAX).unwrap();
            lines.push(line(0, half[0]));
            lines.push(line(1, half[1]));
            lines.close().unwrap();
        }
        assert_eq!(all(&store, None), [line(0, "one"), line(1, "two\u{1b}[2J"), line(0, "three"), line(1, "fünf\0")]);
        assert_eq!(all(&store, Some(StepId(1))), [line(1, "two\u{1b}[2J"), line(1, "fünf\0")]);
    }

    #[test]
    fn the_beginning_and_the_end_are_kept_and_the_middle_is_counted() {
        let (_folder, store) = store();
        let _journal = store.create(&header("a1"), SyncMode::Normal).unwrap();
        let lines = store.write_lines("a1", 4_000).unwrap();
        for n in 0..1_000 {
            lines.push(line(0, &format!("{n:0100}")));
        }
        lines.close().unwrap();
        let kept = all(&store, None);
        let numbers: Vec<u32> = kept.iter().filter_map(|line| line.text.parse().ok()).collect();
        assert_eq!(numbers, (0..10).chain(970..1_000).collect::<Vec<u32>>());
        assert!(kept[10].text.starts_with("960 lines were left out"), "{}", kept[10].text);
        for most in [1, 7, 10, 41, 100] {
            let (mut paged, mut from) = (Vec::new(), Some(0));
            while let Some(next) = from {
                let page = store.lines_page("a1", next, most).unwrap();
                assert!(page.lines.len() <= most + 1, "a page has so many lines, and the remark about the gap");
                paged.extend(page.lines);
                from = page.next;
            }
            assert_eq!(paged, kept, "{most} lines a page");
        }
    }

    #[test]
    fn a_flood_is_never_waited_for_and_what_is_missing_is_counted() {
        let (_folder, store) = store();
        let _journal = store.create(&header("a1"), SyncMode::Normal).unwrap();
        let lines = store.write_lines("a1", LINES_BYTES_MAX).unwrap();
        let pushed = 300_000_u64;
        for _ in 0..pushed {
            lines.push(line(0, "x"));
        }
        lines.close().unwrap();
        let mut stored = 0_u64;
        let mut missing = 0_u64;
        for line in all(&store, None) {
            match line.stream {
                Stream::Note => missing += line.text.split(' ').next().unwrap().parse::<u64>().unwrap(),
                _ => stored += 1,
            }
        }
        assert_eq!(stored + missing, pushed);
    }
}
