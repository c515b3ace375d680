//! Locks and semaphores of a run that is played through: who holds them, who waits, and who is about to take them.
//!
//! A step takes all it needs when its attempt begins. One that finds a door shut leaves the queue; as soon as there is
//! room for one more than those that stand in the queue for it, the first of those that wait comes back.

use super::turns::Place;
use crate::model::workflow::Workflow;
use std::collections::{BTreeMap, BTreeSet};

/// A level that has its turn as a whole; 0 where levels do not count.
pub(super) type Level = u32;

#[derive(Clone, Debug)]
struct Door {
    permits: u32,
    holders: u32,
    /// Steps in the queue that are going to take it.
    before: BTreeMap<Level, u32>,
    waiting: BTreeMap<Level, BTreeSet<Place>>,
}

/// All doors of a run.
#[derive(Clone, Debug, Default)]
pub(super) struct Doors {
    doors: Vec<Door>,
    of_step: Vec<Vec<usize>>,
    /// Doors that have to be looked at.
    changed: BTreeSet<usize>,
}

impl Doors {
    pub(super) fn of(workflow: &Workflow) -> Self {
        let mut all = Self::default();
        let mut known: BTreeMap<(bool, &str), usize> = BTreeMap::new();
        for step in &workflow.steps {
            let lock = step.lock.iter().map(|name| (true, &**name, 1));
            let semaphore = step.semaphore.iter().map(|own| (false, &*own.name, own.permits));
            let own = lock.chain(semaphore).map(|(is_lock, name, permits)| {
                *known.entry((is_lock, name)).or_insert_with(|| {
                    let (before, waiting) = (BTreeMap::new(), BTreeMap::new());
                    all.doors.push(Door { permits, holders: 0, before, waiting });
                    all.doors.len() - 1
                })
            });
            let own = own.collect();
            all.of_step.push(own);
        }
        all
    }

    /// A door that a step finds shut.
    pub(super) fn shut(&self, step: usize) -> Option<usize> {
        self.of_step[step].iter().copied().find(|&at| self.doors[at].holders >= self.doors[at].permits)
    }

    /// A step joins the queue, or leaves it.
    pub(super) fn queued(&mut self, step: usize, level: Level, joins: bool) {
        for &at in &self.of_step[step] {
            let before = self.doors[at].before.entry(level).or_default();
            *before = if joins { *before + 1 } else { before.saturating_sub(1) };
            self.changed.insert(at);
        }
    }

    /// A step waits.
    pub(super) fn wait(&mut self, door: usize, level: Level, place: Place) {
        self.doors[door].waiting.entry(level).or_default().insert(place);
        self.changed.extend(&self.of_step[place.3]);
    }

    /// A step's attempt begins, or ends.
    pub(super) fn held(&mut self, step: usize, begins: bool) {
        for &at in &self.of_step[step] {
            let holders = &mut self.doors[at].holders;
            *holders = if begins { *holders + 1 } else { holders.saturating_sub(1) };
            self.changed.insert(at);
        }
    }

    /// Every door has to be looked at again: another level has its turn.
    pub(super) fn turn(&mut self) {
        self.changed.extend(0..self.doors.len());
    }

    /// Somebody of a level who need not wait any longer; it is for the caller to put it back in the queue.
    pub(super) fn next(&mut self, level: Level) -> Option<Place> {
        while let Some(at) = self.changed.pop_first() {
            let door = &mut self.doors[at];
            let before = door.before.get(&level).copied().unwrap_or(0);
            if door.holders + before < door.permits
                && let Some(place) = door.waiting.get_mut(&level).and_then(BTreeSet::pop_first)
            {
                self.changed.insert(at);
                return Some(place);
            }
        }
        None
    }

    /// A step stops waiting, whatever it waits for.
    pub(super) fn leave(&mut self, level: Level, place: Place) {
        for &at in &self.of_step[place.3] {
            if let Some(waiting) = self.doors[at].waiting.get_mut(&level) {
                waiting.remove(&place);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::Micros;
    use crate::report::sample;
    use std::cmp::Reverse;

    #[test]
    fn a_door_lets_in_as_many_as_it_has_permits_and_calls_the_first_of_those_that_wait() {
        let mut workflow = sample::workflow();
        for step in &mut workflow.steps[..3] {
            step.lock = Some("l".into());
        }
        let mut doors = Doors::of(&workflow);
        let place = |step: usize| (Reverse(50), Reverse(Micros::ZERO), Micros::ZERO, step);
        assert_eq!((doors.shut(0), doors.shut(3)), (None, None));
        doors.held(0, true);
        assert_eq!(doors.shut(1), Some(0));
        doors.wait(0, 0, place(2));
        doors.wait(0, 0, place(1));
        assert_eq!(doors.next(0), None);
        doors.held(0, false);
        assert_eq!(doors.next(1), None, "another level has its turn");
        doors.turn();
        assert_eq!(doors.next(0), Some(place(1)));
        doors.queued(1, 0, true);
        assert_eq!(doors.next(0), None, "one is about to take it");
        doors.queued(1, 0, false);
        assert_eq!(doors.next(0), Some(place(2)));
    }
}
