//! A disk that may lose, tear and change what was given to it, and on it the journal of one run.
//!
//! A journal is kept as a database with a write-ahead log keeps it: a *table* of records with a *head* that says where
//! it ends, and a *log* of commits behind it, each a frame with a checksum that covers the frame before. What is in the
//! log counts as far as its frames are whole; from time to time the log is synced and folded into the table. The
//! records themselves are made and read by the store's own code ([`record`](crate::runtime::store::disk::record)).

use crate::model::bug::{Bug, seeded};
use crate::model::event::Event;
use crate::model::id::RunId;
use crate::model::rng::{Rng, mix};
use crate::model::time::Micros;
use crate::runtime::store::disk::record::{Damage, Decoder, Encoder, Head, LargeValue, RawRecord, ValueHash};
use std::collections::BTreeMap;
use std::sync::Arc;
use twox_hash::XxHash3_64;

/// Bytes before the body of a frame: its length and its checksum.
const FRAME: usize = 4 + 8;
/// A frame that holds records.
const COMMIT: u8 = 1;
/// A frame that holds a snapshot.
const SNAPSHOT: u8 = 2;

/// How a machine or a process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Crash {
    /// The process is gone; what it wrote is there.
    Kill,
    /// The machine is gone; what was not synced need not be there.
    PowerCut,
}

/// What is done to a stored journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Harm {
    BitFlip,
    Swapped,
    Missing,
    Shortened,
}

/// A snapshot and the event it stands behind.
pub(super) type Snapshot = (u64, Vec<u8>);

/// A journal as it was read.
#[derive(Debug, Default)]
pub(super) struct Opened {
    pub(super) events: Vec<Event>,
    pub(super) snapshot: Option<Snapshot>,
}

/// The journal of one run.
#[derive(Clone, Debug)]
pub(super) struct Journal {
    /// The place before the first record.
    origin: Head,
    table: Vec<u8>,
    head: Head,
    snapshot: Option<Snapshot>,
    values: BTreeMap<ValueHash, Vec<u8>>,
    log: Vec<u8>,
    /// The checksum of the last whole frame of the log.
    chain: u64,
    /// How much of the log is whole frames.
    whole: usize,
    /// How much of the log is synced, and the last event in there.
    synced: (usize, u64),
    /// The place after the last committed record.
    tip: Head,
}

impl Journal {
    pub(super) const fn new(header: u64) -> Self {
        let origin = Head { seq: 0, checksum: header };
        Self {
            origin,
            table: Vec::new(),
            head: origin,
            snapshot: None,
            values: BTreeMap::new(),
            log: Vec::new(),
            chain: mix(header),
            whole: 0,
            synced: (0, 0),
            tip: origin,
        }
    }

    /// The last committed event.
    pub(super) const fn written(&self) -> u64 {
        self.tip.seq
    }

    /// The last event that no power cut can take.
    pub(super) const fn synced(&self) -> u64 {
        self.synced.1
    }

    /// The checksum of the last committed record: covers all before.
    pub(super) const fn checksum(&self) -> u64 {
        self.tip.checksum
    }

    /// Writes a commit: all of it, or where it `tears` only so many bytes, which is as good as nothing.
    pub(super) fn commit(&mut self, events: &[Arc<Event>], tears: Option<&mut Rng>) -> Result<(), Damage> {
        let mut encoder = Encoder::after(self.tip);
        let mut body = vec![COMMIT];
        for event in events {
            let (record, large) = encoder.encode(event)?;
            if let Some(LargeValue { hash, json }) = large {
                self.values.insert(hash, json);
            }
            put_row(&mut body, &RawRecord::from(&record));
        }
        let head = encoder.head();
        body.extend(head.seq.to_le_bytes());
        body.extend(head.checksum.to_le_bytes());
        if self.append(&body, tears) {
            self.tip = head;
        }
        Ok(())
    }

    /// Writes a snapshot of the state behind an event.
    pub(super) fn put_snapshot(&mut self, seq: u64, bytes: &[u8]) {
        let mut body = vec![SNAPSHOT];
        body.extend(seq.to_le_bytes());
        body.extend(bytes);
        self.append(&body, None);
    }

    fn append(&mut self, body: &[u8], tears: Option<&mut Rng>) -> bool {
        self.log.truncate(self.whole);
        let sum = frame_sum(self.chain, body);
        let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
        self.log.extend(length.to_le_bytes());
        self.log.extend(sum.to_le_bytes());
        self.log.extend(body);
        if let Some(rng) = tears {
            let kept = rng.below((FRAME + body.len()) as u64) as usize;
            self.log.truncate(self.whole + kept);
            return false;
        }
        (self.whole, self.chain) = (self.log.len(), sum);
        true
    }

    /// Waits until everything written is safe from a power cut.
    pub(super) const fn sync(&mut self) {
        self.synced = (self.whole, self.tip.seq);
    }

    /// Folds the log into the table.
    pub(super) fn checkpoint(&mut self) {
        self.sync();
        let log = std::mem::take(&mut self.log);
        for body in frames(&log, self.origin_of_log()).0 {
            match body.split_first() {
                Some((&SNAPSHOT, rest)) => self.snapshot = read_snapshot(rest),
                Some((_, rest)) => self.table.extend(&rest[..rest.len() - 16]),
                None => {}
            }
        }
        self.head = self.tip;
        (self.whole, self.synced, self.chain) = (0, (0, self.tip.seq), self.origin_of_log());
    }

    /// The checksum that the first frame of the log covers: tells the frames of this log from those of an older one.
    const fn origin_of_log(&self) -> u64 {
        mix(self.origin.checksum ^ self.head.seq)
    }

    /// Takes away what a crash takes; a power cut may cut through the middle of a commit.
    pub(super) fn crash(&mut self, crash: Crash, rng: &mut Rng) {
        if crash == Crash::PowerCut {
            let lost = (self.log.len() - self.synced.0) as u64;
            self.log.truncate(self.synced.0 + rng.below(lost + 1) as usize);
        }
    }

    /// Has a sync fail: what was written since the last one may be gone, or still be there.
    ///
    /// # Errors
    /// See [`Journal::reopen`].
    pub(super) fn fail_sync(&mut self, rng: &mut Rng) -> Result<(), Damage> {
        if rng.chance(0.5) {
            self.log.truncate(self.synced.0);
        }
        self.reopen()
    }

    /// Finds out anew what is there, as whoever opens the journal does.
    ///
    /// # Errors
    /// If something is missing that was synced.
    pub(super) fn reopen(&mut self) -> Result<(), Damage> {
        let (bodies, chain, whole) = frames(&self.log, self.origin_of_log());
        let tip = bodies.iter().rev().find_map(|body| read_head(body)).unwrap_or(self.head);
        self.log.truncate(whole);
        (self.chain, self.whole, self.tip) = (chain, whole, tip);
        if self.synced.0 > whole {
            return Err(Damage { seq: tip.seq + 1, what: "what was synced is not there any more".to_owned() });
        }
        Ok(())
    }

    /// Reads the whole journal.
    ///
    /// # Errors
    /// If it is not what was written.
    pub(super) fn open(&self, run: RunId) -> Result<Opened, Damage> {
        let (bodies, _, whole) = frames(&self.log, self.origin_of_log());
        let mut opened = Opened { events: Vec::new(), snapshot: self.snapshot.clone() };
        let mut decoder = Decoder::after(self.origin, run);
        let mut head = self.head;
        self.read_rows(&self.table, &mut decoder, &mut opened.events)?;
        for body in bodies {
            match body.split_first() {
                Some((&SNAPSHOT, rest)) => opened.snapshot = read_snapshot(rest),
                Some((_, rest)) => {
                    self.read_rows(&rest[..rest.len() - 16], &mut decoder, &mut opened.events)?;
                    head = read_head(body).unwrap_or(head);
                }
                None => {}
            }
        }
        if seeded(Bug::AppendNotAtomic) && self.log.len() > whole + FRAME {
            // Half a commit: as many of its records as are there.
            let _ = self.read_rows(&self.log[whole + FRAME + 1..], &mut decoder, &mut opened.events);
        } else if decoder.head() != head && !seeded(Bug::HeadNotCompared) {
            let seq = decoder.head().seq + 1;
            return Err(Damage { seq, what: format!("the journal ends before it, but has {} events", head.seq) });
        }
        Ok(opened)
    }

    fn read_rows(&self, mut bytes: &[u8], decoder: &mut Decoder, events: &mut Vec<Event>) -> Result<(), Damage> {
        while !bytes.is_empty() {
            let seq = decoder.head().seq + 1;
            let Some(row) = take_row(&mut bytes) else {
                return Err(Damage { seq, what: "its record cannot be told from the next one".to_owned() });
            };
            events.push(decoder.accept(row, |hash| self.values.get(hash).cloned())?);
        }
        Ok(())
    }

    /// A copy with this damage in its table; `None` if there is nothing to damage.
    pub(super) fn damaged(&self, harm: Harm, rng: &mut Rng) -> Option<Self> {
        let mut copy = self.clone();
        copy.checkpoint();
        let mut rows = Vec::new();
        let mut bytes = copy.table.as_slice();
        while let Some(row) = take_row(&mut bytes) {
            rows.push(row);
        }
        let at = usize::try_from(rng.below(rows.len() as u64)).unwrap_or(0);
        let last = *rows.last()?;
        let mut table = Vec::new();
        match harm {
            Harm::BitFlip => {
                table.clone_from(&copy.table);
                let bit = rng.below(table.len() as u64 * 8);
                table[usize::try_from(bit / 8).unwrap_or(0)] ^= 1 << (bit % 8);
            }
            Harm::Swapped => {
                let stranger = stranger(&rows[at], rng)?;
                (0..rows.len()).for_each(|n| put_row(&mut table, &if n == at { (&stranger).into() } else { rows[n] }));
            }
            Harm::Missing => rows.iter().filter(|row| row.seq != rows[at].seq).for_each(|row| put_row(&mut table, row)),
            Harm::Shortened => rows.iter().filter(|row| row.seq != last.seq).for_each(|row| put_row(&mut table, row)),
        }
        copy.table = table;
        Some(copy)
    }
}

/// The record that another run has under the same number.
fn stranger(row: &RawRecord<'_>, rng: &mut Rng) -> Option<crate::runtime::store::disk::record::Record> {
    let mut encoder = Encoder::after(Head { seq: row.seq - 1, checksum: rng.next() });
    let kind = crate::model::event::EventKind::RunPaused { frozen: false };
    encoder.encode(&Event { seq: row.seq, at: row.at + Micros(1), run: RunId(0), kind }).ok().map(|(record, _)| record)
}

fn frame_sum(chain: u64, body: &[u8]) -> u64 {
    mix(chain) ^ XxHash3_64::oneshot(body)
}

/// The bodies of the whole frames of a log, the checksum of the last one, and where it ends.
fn frames(log: &[u8], origin: u64) -> (Vec<&[u8]>, u64, usize) {
    let (mut bodies, mut chain, mut whole) = (Vec::new(), origin, 0);
    let mut rest = log;
    while let (Some(length), Some(sum)) = (take(&mut rest, 4), take(&mut rest, 8)) {
        let length = length.iter().rev().fold(0_usize, |number, byte| number << 8 | usize::from(*byte));
        let Some(body) = take(&mut rest, length) else { break };
        if frame_sum(chain, body).to_le_bytes() != *sum {
            break;
        }
        chain = frame_sum(chain, body);
        whole = log.len() - rest.len();
        bodies.push(body);
    }
    (bodies, chain, whole)
}

fn take<'a>(bytes: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(count)?;
    *bytes = rest;
    Some(taken)
}

fn take_u64(bytes: &mut &[u8]) -> Option<u64> {
    take(bytes, 8)?.try_into().ok().map(u64::from_le_bytes)
}

fn read_snapshot(mut bytes: &[u8]) -> Option<Snapshot> {
    let seq = take_u64(&mut bytes)?;
    Some((seq, bytes.to_vec()))
}

fn read_head(body: &[u8]) -> Option<Head> {
    if body.first() != Some(&COMMIT) {
        return None;
    }
    let mut end = body.get(body.len().checked_sub(16)?..)?;
    Some(Head { seq: take_u64(&mut end)?, checksum: take_u64(&mut end)? })
}

fn put_row(out: &mut Vec<u8>, row: &RawRecord<'_>) {
    out.extend(row.seq.to_le_bytes());
    out.extend(row.at.0.to_le_bytes());
    out.extend(row.checksum.to_le_bytes());
    out.push(u8::from(row.value.is_some()));
    out.extend(row.value.iter().flatten());
    out.extend((row.payload.len() as u64).to_le_bytes());
    out.extend(row.payload);
}

fn take_row<'a>(bytes: &mut &'a [u8]) -> Option<RawRecord<'a>> {
    let (seq, at, checksum) = (take_u64(bytes)?, Micros(take_u64(bytes)?), take_u64(bytes)?);
    let value = match take(bytes, 1)? {
        [0] => None,
        [1] => Some(take(bytes, 16)?.try_into().ok()?),
        _ => return None,
    };
    let length = usize::try_from(take_u64(bytes)?).ok()?;
    Some(RawRecord { seq, at, value, payload: take(bytes, length)?, checksum })
}
