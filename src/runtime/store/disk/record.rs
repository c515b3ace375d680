//! How an event is stored, and how it is known to be the one that was stored. Pure: no disk, so that a simulated disk
//! can use it as well.
//!
//! A record is `(seq, at, value, payload, checksum)`. The payload is the JSON of the event's kind. A step's input or
//! output of more than [`LARGE`] bytes stands elsewhere, once per run, under the hash of its JSON; `value` names it, and
//! the payload holds `null` in its place. The reference is a field of the record and not of the JSON, so nothing that an
//! agent says can be taken for one.
//!
//! Checksums form a chain: each covers the one before it, the first that of the header. So a record that was changed,
//! left out, put elsewhere or taken from another run does not fit.

use crate::model::bug::{Bug, seeded};
use crate::model::event::{Event, EventKind};
use crate::model::growth::Addition;
use crate::model::id::RunId;
use crate::model::time::Micros;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::Arc;
use twox_hash::{XxHash3_64, XxHash3_128};

/// A payload of more bytes has its input or output stored on its own, if that alone is as large.
pub const LARGE: usize = 64 * 1024;

/// The deepest nesting of a payload. Agents' answers are at most 128 deep; mappings put them deeper. A deeper one would
/// need more stack to be read back than a thread has for certain, so it is refused before it is written.
pub const DEPTH_MAX: usize = 1_000;

/// The name of a large value: the hash of its JSON.
pub type ValueHash = [u8; 16];

/// A stored event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// From 1 without gaps.
    pub seq: u64,
    /// When, by the engine's clock.
    pub at: Micros,
    /// The large value that belongs into the payload.
    pub value: Option<ValueHash>,
    /// The JSON of the event's kind.
    pub payload: String,
    /// Covers all of the above and the checksum of the record before.
    pub checksum: u64,
}

/// A large value that a record refers to, to be stored before the record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LargeValue {
    /// Its name.
    pub hash: ValueHash,
    /// Its JSON.
    pub json: Vec<u8>,
}

/// Why records are not what was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The event at which it shows.
    pub seq: u64,
    /// How, a clause for people.
    pub what: String,
}

impl std::fmt::Display for Damage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "event {}: {}", self.seq, self.what)
    }
}

/// A place in a journal: the number of an event and its checksum. At the beginning 0 and the header's checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The number of the last event.
    pub seq: u64,
    /// Its checksum.
    pub checksum: u64,
}

/// Turns events into records, one after another.
#[derive(Clone, Copy, Debug)]
pub struct Encoder {
    head: Head,
}

impl Encoder {
    /// Continues after a place.
    #[must_use]
    pub const fn after(head: Head) -> Self {
        Self { head }
    }

    /// The place after the last event that was encoded.
    #[must_use]
    pub const fn head(&self) -> Head {
        self.head
    }

    /// The record of the next event, and the large value that it refers to, if it does.
    ///
    /// # Errors
    /// If the event is not the next one, or could not be read back.
    pub fn encode(&mut self, event: &Event) -> Result<(Record, Option<LargeValue>), Damage> {
        let damage = |what: String| Damage { seq: event.seq, what };
        if event.seq != self.head.seq + 1 {
            return Err(damage(format!("event {} was to follow", self.head.seq + 1)));
        }
        let mut payload = json(&event.kind).map_err(damage)?;
        let mut large = None;
        if payload.len() > LARGE
            && let Some((small, value)) = part(&event.kind)
        {
            let json = json(value).map_err(damage)?;
            if json.len() > LARGE {
                payload = self::json(&small).map_err(damage)?;
                large = Some(LargeValue { hash: value_hash(json.as_bytes()), json: json.into_bytes() });
            }
        }
        let value = large.as_ref().map(|large| large.hash);
        let checksum = record_sum(self.head.checksum, event.seq, event.at, value.as_ref(), payload.as_bytes());
        self.head = Head { seq: event.seq, checksum };
        Ok((Record { seq: event.seq, at: event.at, value, payload, checksum }, large))
    }
}

/// A record as it comes from a disk: its text need not be text.
#[derive(Clone, Copy, Debug)]
pub struct RawRecord<'a> {
    /// From 1 without gaps.
    pub seq: u64,
    /// When, by the engine's clock.
    pub at: Micros,
    /// The large value that belongs into the payload.
    pub value: Option<ValueHash>,
    /// The JSON of the event's kind.
    pub payload: &'a [u8],
    /// The checksum.
    pub checksum: u64,
}

impl<'a> From<&'a Record> for RawRecord<'a> {
    fn from(record: &'a Record) -> Self {
        let Record { seq, at, value, ref payload, checksum } = *record;
        Self { seq, at, value, payload: payload.as_bytes(), checksum }
    }
}

/// Turns records back into events, one after another, and accepts nothing that was not written.
#[derive(Clone, Debug)]
pub struct Decoder {
    head: Head,
    run: RunId,
    /// Large values met so far: steps that pass a value on share it in memory as they do on disk.
    values: HashMap<ValueHash, Arc<Value>>,
}

impl Decoder {
    /// Continues after a place; the events get the number `run`.
    #[must_use]
    pub fn after(head: Head, run: RunId) -> Self {
        Self { head, run, values: HashMap::new() }
    }

    /// The place after the last event that was accepted.
    #[must_use]
    pub const fn head(&self) -> Head {
        self.head
    }

    /// The event of the next record. `lookup` gives the JSON of a large value, if it is there.
    ///
    /// # Errors
    /// If the record is not the one that was written after the one before.
    pub fn accept<'a>(
        &mut self,
        record: impl Into<RawRecord<'a>>,
        lookup: impl FnOnce(&ValueHash) -> Option<Vec<u8>>,
    ) -> Result<Event, Damage> {
        let RawRecord { seq, at, value, payload, checksum } = record.into();
        let expected = self.head.seq + 1;
        let damage = |what: &str| Damage { seq: expected, what: what.to_owned() };
        if seq != expected {
            return Err(damage(&format!("it is missing: event {seq} follows event {}", self.head.seq)));
        }
        let fits = record_sum(self.head.checksum, seq, at, value.as_ref(), payload) == checksum;
        if !fits && !seeded(Bug::ChecksumNotChecked) {
            return Err(damage("its checksum does not fit"));
        }
        let mut kind: EventKind = parse(payload).map_err(|error| damage(&error))?;
        if let Some(hash) = value {
            let value = self.value(hash, lookup).map_err(|what| damage(&what))?;
            match &mut kind {
                EventKind::StepReady { input, .. } => *input = Some(value),
                EventKind::RouteChosen { input, .. } => *input = value,
                EventKind::StepSucceeded { output, .. } => *output = value,
                EventKind::StepsAdded { added: Addition::Items(items), .. } => *items = value,
                EventKind::ResultReady { value: result, .. } => *result = Some(value),
                _ => return Err(damage("it refers to a value but has no place for one")),
            }
        }
        self.head = Head { seq, checksum };
        Ok(Event { seq, at, run: self.run, kind })
    }

    fn value(
        &mut self,
        hash: ValueHash,
        lookup: impl FnOnce(&ValueHash) -> Option<Vec<u8>>,
    ) -> Result<Arc<Value>, String> {
        if let Some(value) = self.values.get(&hash) {
            return Ok(value.clone());
        }
        let json = lookup(&hash).ok_or("the value it refers to is missing")?;
        if value_hash(&json) != hash {
            return Err("the value it refers to is not the one that was written".to_owned());
        }
        let value = Arc::new(parse::<Value>(&json)?);
        self.values.insert(hash, value.clone());
        Ok(value)
    }
}

/// The part of an event that can be large, and the event without it.
fn part(kind: &EventKind) -> Option<(EventKind, &Arc<Value>)> {
    match kind {
        EventKind::StepReady { step, input: Some(input), missing, process } => {
            let (missing, process) = (missing.clone(), process.clone());
            Some((EventKind::StepReady { step: *step, input: None, missing, process }, input))
        }
        EventKind::StepsAdded { by, first, added: Addition::Items(items), edit } => {
            let added = Addition::Items(Arc::default());
            Some((EventKind::StepsAdded { by: *by, first: *first, added, edit: *edit }, items))
        }
        EventKind::RouteChosen { step, input, decision } => {
            let decision = decision.clone();
            Some((EventKind::RouteChosen { step: *step, input: Arc::default(), decision }, input))
        }
        EventKind::ResultReady { value: Some(value), failure } => {
            Some((EventKind::ResultReady { value: None, failure: failure.clone() }, value))
        }
        EventKind::StepSucceeded { step, output, fallback, reused } => {
            let small = EventKind::StepSucceeded {
                step: *step,
                output: Arc::new(Value::Null),
                fallback: *fallback,
                reused: reused.clone(),
            };
            Some((small, output))
        }
        _ => None,
    }
}

/// The name of a large value.
#[must_use]
pub fn value_hash(json: &[u8]) -> ValueHash {
    XxHash3_128::oneshot(json).to_le_bytes()
}

/// A checksum over parts, each with its length, so that nothing can move from one part to the next.
pub(super) fn checksum(parts: &[&[u8]]) -> u64 {
    let mut bytes = Vec::with_capacity(parts.iter().map(|part| part.len() + 8).sum());
    for part in parts {
        bytes.extend_from_slice(&(part.len() as u64).to_le_bytes());
        bytes.extend_from_slice(part);
    }
    XxHash3_64::oneshot(&bytes)
}

fn record_sum(previous: u64, seq: u64, at: Micros, value: Option<&ValueHash>, payload: &[u8]) -> u64 {
    let value = value.map_or(&[][..], |hash| &hash[..]);
    let previous = if seeded(Bug::ChecksumNotChained) { 0 } else { previous };
    checksum(&[&previous.to_le_bytes(), &seq.to_le_bytes(), &at.0.to_le_bytes(), value, payload])
}

/// The JSON of something, unless it is nested too deep to be read back.
pub(super) fn json<T: serde::Serialize>(value: &T) -> Result<String, String> {
    let text = serde_json::to_string(value).map_err(|error| format!("it has no JSON: {error}"))?;
    let depth = depth(text.as_bytes());
    if depth > DEPTH_MAX {
        return Err(format!("its data is nested {depth} deep, at most {DEPTH_MAX} can be stored"));
    }
    Ok(text)
}

/// Reads JSON that may be deeper than serde's limit, but not deeper than the stack allows.
pub(super) fn parse<T: DeserializeOwned>(json: &[u8]) -> Result<T, String> {
    if depth(json) > DEPTH_MAX {
        return Err(format!("its data is nested more than {DEPTH_MAX} deep"));
    }
    let mut reader = serde_json::Deserializer::from_slice(json);
    reader.disable_recursion_limit();
    let value = T::deserialize(&mut reader).and_then(|value| reader.end().map(|()| value));
    value.map_err(|error| format!("it cannot be read: {error}"))
}

/// How deep the arrays and objects of a JSON text are nested.
fn depth(json: &[u8]) -> usize {
    let (mut now, mut most) = (0_usize, 0_usize);
    let mut bytes = json.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => skip_string(&mut bytes),
            b'[' | b'{' => {
                now += 1;
                most = most.max(now);
            }
            b']' | b'}' => now = now.saturating_sub(1),
            _ => {}
        }
    }
    most
}

fn skip_string(bytes: &mut std::slice::Iter<'_, u8>) {
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => {
                bytes.next();
            }
            b'"' => return,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::id::StepId;
    use serde_json::json;

    const START: Head = Head { seq: 0, checksum: 42 };

    fn succeeded(output: Value) -> Event {
        let kind = EventKind::StepSucceeded { step: StepId(3), output: Arc::new(output), fallback: None, reused: None };
        Event { seq: 1, at: Micros(5), run: RunId(0), kind }
    }

    fn nested(depth: usize) -> Value {
        (0..depth).fold(json!(1), |inner, _| json!([inner]))
    }

    #[test]
    fn data_nested_deeper_than_serdes_limit_comes_back() {
        // The event itself is one level.
        let event = succeeded(nested(DEPTH_MAX - 1));
        let (record, _) = Encoder::after(START).encode(&event).unwrap();
        assert_eq!(Decoder::after(START, RunId(0)).accept(&record, |_| None).unwrap(), event);
    }

    #[test]
    fn data_nested_too_deep_is_refused_before_it_is_written() {
        let refused = Encoder::after(START).encode(&succeeded(nested(DEPTH_MAX))).unwrap_err();
        assert!(refused.what.contains("1001 deep, at most 1000"), "{refused}");
        let text = "[".repeat(1_000_000);
        assert!(parse::<Value>(text.as_bytes()).is_err());
        // Brackets in text are no nesting.
        assert!(parse::<Value>(json!("\"[\\".repeat(5_000)).to_string().as_bytes()).is_ok());
    }

    #[test]
    fn large_data_stands_elsewhere_once_and_must_be_what_was_written() {
        let event = succeeded(json!({"text": "x".repeat(LARGE)}));
        let (record, large) = Encoder::after(START).encode(&event).unwrap();
        let large = large.unwrap();
        assert!(record.payload.len() < 100 && record.value == Some(large.hash));
        let mut decoder = Decoder::after(START, RunId(0));
        assert_eq!(decoder.clone().accept(&record, |_| None).unwrap_err().what, "the value it refers to is missing");
        let other = decoder.clone().accept(&record, |_| Some(b"{}".to_vec())).unwrap_err();
        assert_eq!(other.what, "the value it refers to is not the one that was written");
        assert_eq!(decoder.accept(&record, |_| Some(large.json.clone())).unwrap(), event);
        // A record whose reference was taken away or exchanged does not fit its checksum.
        for value in [None, Some([0; 16])] {
            let forged = Record { value, ..record.clone() };
            let damage = Decoder::after(START, RunId(0)).accept(&forged, |_| Some(large.json.clone())).unwrap_err();
            assert_eq!(damage.what, "its checksum does not fit");
        }
    }

    #[test]
    fn nothing_that_an_agent_says_is_taken_for_a_reference() {
        for output in [json!(null), json!({"value": "00".repeat(16)}), json!({"event": "run_paused", "hash": [1]})] {
            let event = succeeded(output);
            let (record, large) = Encoder::after(START).encode(&event).unwrap();
            assert!(large.is_none() && record.value.is_none());
            let nothing = |_: &ValueHash| panic!("nothing is looked up");
            assert_eq!(Decoder::after(START, RunId(0)).accept(&record, nothing).unwrap(), event);
        }
    }

    #[test]
    fn a_gap_is_named_by_the_event_that_is_missing() {
        let mut encoder = Encoder::after(START);
        let kinds = |seq| Event { seq, ..succeeded(json!(seq)) };
        let records: Vec<Record> = (1..4).map(|seq| encoder.encode(&kinds(seq)).unwrap().0).collect();
        let mut decoder = Decoder::after(START, RunId(0));
        decoder.accept(&records[0], |_| None).unwrap();
        let gap = decoder.accept(&records[2], |_| None).unwrap_err();
        assert_eq!((gap.seq, &*gap.what), (2, "it is missing: event 3 follows event 1"));
    }
}
