//! The run's own log: what agents print and what the engine does, bounded, searchable, in one order.
//!
//! upbeat's diagnostics about itself go another way (`tracing`, shown by tui-logger). A line is foreign text: it is kept
//! as it came and sanitised by whoever shows it.

use crate::model::event::{Event, EventKind};
use crate::model::id::{AgentId, RunId, StepId};
use crate::model::time::Micros;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// The most lines kept.
pub const LINES_MAX: usize = 50_000;
/// The most bytes of text kept.
pub const BYTES_MAX: usize = 16 * 1024 * 1024;
/// Longer lines are cut here.
pub const LINE_BYTES_MAX: usize = 16 * 1024;

/// Where a line came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stream {
    /// An agent's standard output.
    Stdout,
    /// An agent's standard error.
    Stderr,
    /// upbeat's own remark about a step (a warning, a note).
    Note,
}

/// What a line says.
#[derive(Clone, Debug)]
pub enum Body {
    /// A line of text as it came, without its line break; invalid UTF-8 is replaced.
    Text(Stream, Arc<str>),
    /// Something the engine did.
    Event(Arc<Event>),
}

/// One line.
#[derive(Clone, Debug)]
pub struct LogLine {
    /// From 0, without gaps; lines that were dropped leave the numbers of the rest alone.
    pub seq: u64,
    /// When, by the engine's clock.
    pub at: Micros,
    /// The run.
    pub run: RunId,
    /// The step.
    pub step: Option<StepId>,
    /// The attempt.
    pub attempt: Option<u32>,
    /// The agent.
    pub agent: Option<AgentId>,
    /// The text.
    pub body: Body,
}

#[derive(Debug, Default)]
struct Ring {
    lines: VecDeque<LogLine>,
    bytes: usize,
    next: u64,
}

/// Takes a line of text for good. Never waits.
pub type Spill = Box<dyn FnMut(&LogLine) + Send>;

/// Where the lines of runs go for good.
#[derive(Default)]
struct Spills(BTreeMap<RunId, Spill>);

impl std::fmt::Debug for Spills {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// The store. Shared by the driver, which writes, and screens, which read.
#[derive(Debug)]
pub struct LogStore {
    ring: Mutex<Ring>,
    grown: watch::Sender<u64>,
    spills: Mutex<Spills>,
}

impl Default for LogStore {
    fn default() -> Self {
        Self { ring: Mutex::default(), grown: watch::Sender::new(0), spills: Mutex::default() }
    }
}

impl LogStore {
    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn spills(&self) -> MutexGuard<'_, Spills> {
        self.spills.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands every line of text of a run over as well, as it came. Events stand in the run's journal anyway.
    pub fn spill(&self, run: RunId, to: Spill) {
        self.spills().0.insert(run, to);
    }

    /// Hands nothing of a run over any more.
    pub fn end_spill(&self, run: RunId) {
        let ended = self.spills().0.remove(&run);
        drop(ended);
    }

    /// Hands nothing over any more; what was handed over is finished when this returns.
    pub fn end_spills(&self) {
        let ended = std::mem::take(&mut *self.spills());
        drop(ended);
    }

    /// Appends an event, and a remark where it says more than its line; not those that a fuller line stands for. Readers
    /// hear of it with the next line or [`LogStore::announce`]: events come in crowds.
    pub fn tell(&self, event: &Arc<Event>) {
        if let EventKind::AttemptEnding { .. } | EventKind::StrategyChosen { .. } = event.kind {
            return;
        }
        let line = |agent, body| LogLine {
            seq: 0,
            at: event.at,
            run: event.run,
            step: event.kind.step(),
            attempt: event.kind.attempt(),
            agent,
            body,
        };
        self.keep(line(event.kind.agent(), Body::Event(event.clone())));
        let note = match &event.kind {
            EventKind::StepReady { missing, .. } if !missing.is_empty() => {
                format!("input left out, because its path leads nowhere: {}", missing.join(", "))
            }
            EventKind::DataChanged { missing, .. } if !missing.is_empty() => {
                format!("the output lacks fields that are mapped: {}", missing.join(", "))
            }
            _ => return,
        };
        self.keep(line(None, Body::Text(Stream::Note, note.into())));
    }

    /// Appends a line (`seq` is given here) and drops the oldest ones beyond the bounds.
    pub fn push(&self, mut line: LogLine) {
        if let Body::Text(stream, text) = &line.body
            && text.len() > LINE_BYTES_MAX
        {
            let cut = text.floor_char_boundary(LINE_BYTES_MAX);
            line.body = Body::Text(*stream, format!("{} … ({} bytes more)", &text[..cut], text.len() - cut).into());
        }
        if let Body::Text(..) = &line.body
            && let Some(spill) = self.spills().0.get_mut(&line.run)
        {
            spill(&line);
        }
        self.keep(line);
        self.announce();
    }

    /// Tells readers of everything appended so far.
    pub fn announce(&self) {
        let next = self.next_seq();
        self.grown.send_if_modified(|grown| std::mem::replace(grown, next.max(*grown)) < next);
    }

    fn keep(&self, mut line: LogLine) {
        let mut ring = self.ring();
        line.seq = ring.next;
        ring.next += 1;
        ring.bytes += cost(&line);
        ring.lines.push_back(line);
        while ring.lines.len() > LINES_MAX || ring.bytes > BYTES_MAX {
            let Some(gone) = ring.lines.pop_front() else { break };
            ring.bytes -= cost(&gone);
        }
    }

    /// Lines from `seq` on, at most `max`; starts later where older ones were dropped.
    #[must_use]
    pub fn since(&self, seq: u64, max: usize) -> Vec<LogLine> {
        let ring = self.ring();
        let first = ring.next - ring.lines.len() as u64;
        let skip = usize::try_from(seq.saturating_sub(first)).unwrap_or(usize::MAX);
        ring.lines.iter().skip(skip).take(max).cloned().collect()
    }

    /// The number of the oldest line kept: that many were dropped.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        let ring = self.ring();
        ring.next - ring.lines.len() as u64
    }

    /// The number the next line gets.
    #[must_use]
    pub fn next_seq(&self) -> u64 {
        self.ring().next
    }

    /// Tells when lines were added; holds the number the next line gets.
    #[must_use]
    pub fn grown(&self) -> watch::Receiver<u64> {
        self.grown.subscribe()
    }
}

fn cost(line: &LogLine) -> usize {
    size_of::<LogLine>()
        + match &line.body {
            Body::Text(_, text) => text.len(),
            Body::Event(_) => size_of::<Event>(),
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> LogLine {
        let body = Body::Text(Stream::Stdout, text.into());
        LogLine { seq: 0, at: Micros::ZERO, run: RunId(0), step: None, attempt: None, agent: None, body }
    }

    #[test]
    fn old_lines_go_first_and_numbers_stay() {
        let store = LogStore::default();
        for n in 0..LINES_MAX + 10 {
            store.push(line(&n.to_string()));
        }
        assert_eq!(store.dropped(), 10);
        let got = store.since(0, 1);
        assert_eq!(got[0].seq, 10);
        assert!(matches!(&got[0].body, Body::Text(_, text) if &**text == "10"));
        assert_eq!(store.since(LINES_MAX as u64 + 9, 99).len(), 1);
    }

    #[test]
    fn bytes_are_bounded_and_long_lines_cut() {
        let store = LogStore::default();
        for _ in 0..2_000 {
            store.push(line(&"x".repeat(LINE_BYTES_MAX * 2)));
        }
        let kept: usize = store.since(0, usize::MAX).iter().map(cost).sum();
        assert!(kept <= BYTES_MAX);
        assert!(store.dropped() > 0);
    }
}
