//! What waits for the store: effects are performed, and events told, only when the events are durable.
//!
//! The engine may decide faster than a disk takes. Every decision becomes a batch with a ticket; batches are released
//! in order, as far as the store has acknowledged. Pure, so that the simulator holds effects by the very same code.

use crate::model::bug::{Bug, seeded};
use crate::model::effect::Effect;
use crate::model::event::Event;
use crate::model::time::Micros;
use std::collections::VecDeque;
use std::sync::Arc;

/// One decision: facts, and the work that follows from them.
#[derive(Debug)]
pub struct Batch {
    /// Its number, from 1.
    pub ticket: u64,
    /// When it was decided; times of its effects count from here.
    pub now: Micros,
    /// In the order they happened.
    pub events: Vec<Arc<Event>>,
    /// In the order they are to be performed.
    pub effects: Vec<Effect>,
}

/// Batches that wait.
#[derive(Debug, Default)]
pub struct Held {
    queue: VecDeque<Batch>,
    last: u64,
    events: usize,
}

impl Held {
    /// Takes a decision; gives the ticket to be acknowledged.
    pub fn hold(&mut self, now: Micros, events: Vec<Arc<Event>>, effects: Vec<Effect>) -> u64 {
        self.last += 1;
        self.events += events.len();
        self.queue.push_back(Batch { ticket: self.last, now, events, effects });
        self.last
    }

    /// The next batch that may be released when everything up to `durable` is acknowledged.
    pub fn release(&mut self, durable: u64) -> Option<Batch> {
        let durable = if seeded(Bug::EffectsBeforeDurable) { u64::MAX } else { durable };
        self.queue.front().filter(|batch| batch.ticket <= durable)?;
        let batch = self.queue.pop_front()?;
        self.events -= batch.events.len();
        Some(batch)
    }

    /// Events that wait.
    #[must_use]
    pub const fn events(&self) -> usize {
        self.events
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::effect::Effect;
    use crate::model::id::RunId;

    #[test]
    fn nothing_is_released_before_it_is_durable_and_all_in_order() {
        let mut held = Held::default();
        let effect = || vec![Effect::Finished { run: RunId(0) }];
        let tickets: Vec<u64> = (0..3).map(|at| held.hold(Micros(at), Vec::new(), effect())).collect();
        assert_eq!(tickets, [1, 2, 3]);
        assert!(held.release(0).is_none());
        assert_eq!(
            [held.release(2), held.release(2), held.release(2)].map(|b| b.map(|b| b.ticket)),
            [Some(1), Some(2), None]
        );
        assert!(!held.is_empty());
        assert_eq!(held.release(9).map(|batch| batch.now), Some(Micros(2)));
        assert!(held.is_empty());
    }
}
