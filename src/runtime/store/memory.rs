//! Journals in memory: the last events of each run, for readers that come late.

use crate::model::event::Event;
use crate::model::id::RunId;
use std::collections::VecDeque;
use std::sync::Arc;

/// The most events kept per run; older ones are dropped.
const EVENTS_MAX: usize = 1_000_000;

/// Events per run, dense by [`RunId`].
#[derive(Debug, Default)]
pub struct MemoryStore {
    runs: Vec<VecDeque<Arc<Event>>>,
}

impl MemoryStore {
    pub(super) fn append(&mut self, events: &[Arc<Event>]) {
        for event in events {
            let at = event.run.index();
            if self.runs.len() <= at {
                self.runs.resize_with(at + 1, VecDeque::new);
            }
            let journal = &mut self.runs[at];
            debug_assert!(journal.back().is_none_or(|last| last.seq + 1 == event.seq), "a journal has no gaps");
            journal.push_back(event.clone());
            if journal.len() > EVENTS_MAX {
                journal.pop_front();
            }
        }
    }

    pub(super) fn read_from(&self, run: RunId, seq: u64) -> impl Iterator<Item = &Arc<Event>> {
        self.runs.get(run.index()).into_iter().flatten().filter(move |event| event.seq >= seq)
    }
}
