//! The ready queue: steps that could start, in the order they should, apart by what they ask for.
//!
//! Steps that ask for the same thing stand or fall together when an agent is sought, so each *class* (a capability, or
//! one agent) has its own ordered set: a class without a free agent costs one look, however many steps wait in it.

use crate::model::id::StepId;
use crate::model::time::Micros;
use std::cmp::Reverse;
use std::collections::BTreeSet;

/// A step's place: priority, then the longest expected way to the end, then age, then the order of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) priority: Reverse<u8>,
    pub(crate) tail: Reverse<Micros>,
    pub(crate) since: Micros,
    pub(crate) step: StepId,
}

/// Ordered steps per class.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ReadyQueue {
    classes: Vec<BTreeSet<Place>>,
    len: usize,
}

impl ReadyQueue {
    pub(crate) fn new(classes: usize) -> Self {
        Self { classes: vec![BTreeSet::new(); classes], len: 0 }
    }
    pub(crate) fn insert(&mut self, class: usize, place: Place) {
        self.len += usize::from(self.classes[class].insert(place));
    }
    pub(crate) fn remove(&mut self, class: usize, place: Place) {
        self.len -= usize::from(self.classes[class].remove(&place));
    }
    pub(crate) const fn is_empty(&self) -> bool {
        self.len == 0
    }
    /// The first step of each class that has one.
    pub(crate) fn heads(&self) -> impl Iterator<Item = (usize, Place)> {
        self.classes.iter().enumerate().filter_map(|(class, set)| set.first().map(|place| (class, *place)))
    }
    /// All steps of a class, in order.
    pub(crate) fn class(&self, class: usize) -> impl Iterator<Item = StepId> {
        self.classes[class].iter().map(|place| place.step)
    }
    /// How many steps stand before this place, over all classes.
    pub(crate) fn ahead_of(&self, place: Place) -> usize {
        self.classes.iter().map(|set| set.range(..place).count()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(priority: u8, tail_s: u64, since: u64, step: u32) -> Place {
        Place {
            priority: Reverse(priority),
            tail: Reverse(Micros::from_secs(tail_s)),
            since: Micros(since),
            step: StepId(step),
        }
    }

    #[test]
    fn priority_comes_before_the_critical_path_before_age_before_the_file() {
        let mut queue = ReadyQueue::new(1);
        for p in [place(50, 1, 0, 0), place(50, 9, 5, 1), place(90, 0, 9, 2), place(50, 9, 5, 3), place(50, 9, 4, 4)] {
            queue.insert(0, p);
        }
        assert_eq!(queue.class(0).map(|s| s.0).collect::<Vec<_>>(), [2, 4, 1, 3, 0]);
    }
}
