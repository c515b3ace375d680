//! Where journals live. Effects are performed only after [`Store::append`] has returned.

mod memory;

pub use memory::MemoryStore;

use crate::model::event::Event;
use crate::model::id::RunId;
use std::sync::Arc;

/// A store. A closed set: nothing is mocked, and every kind is replayed the same way.
#[derive(Debug)]
pub enum Store {
    /// Lost when upbeat ends; the summary says so.
    Memory(MemoryStore),
}

impl Store {
    /// Appends events in order and returns once they are as durable as this store makes them.
    ///
    /// # Errors
    /// When they could not be kept; nothing that follows from them may be done then.
    pub fn append(&mut self, events: &[Arc<Event>]) -> std::io::Result<()> {
        match self {
            Self::Memory(store) => store.append(events),
        }
        Ok(())
    }

    /// The events of a run from a sequence number on, oldest first.
    pub fn read_from(&self, run: RunId, seq: u64) -> impl Iterator<Item = &Arc<Event>> {
        match self {
            Self::Memory(store) => store.read_from(run, seq),
        }
    }
}
