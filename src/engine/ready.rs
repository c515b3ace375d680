//! The ready queue: steps that could start, in the order they should, apart by what they ask for.
//!
//! Steps that ask for the same thing stand or fall together when an agent is sought, so each *class* (a capability, or
//! one agent, and what is taken of it) has its own ordered set: a class without a free agent costs one look, however
//! many steps wait in it.
//!
//! Within a priority the order is the contract's. So that low priorities do not starve, a priority gains points with
//! the time its oldest step has waited; where a lower one comes first because of that, it is that step's turn.

use crate::model::defaults::{AGEING_EVERY, AGEING_POINTS};
use crate::model::id::StepId;
use crate::model::time::Micros;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// A step's place: priority, then the longest expected way to the end, then age, then the order of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) priority: Reverse<u8>,
    pub(crate) tail: Reverse<Micros>,
    pub(crate) since: Micros,
    pub(crate) step: StepId,
}

/// A place with what waiting adds to it: heads of classes are compared by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rank {
    aged: Reverse<u64>,
    pub(crate) place: Place,
}

impl Rank {
    /// A place that waiting adds nothing to.
    pub(crate) const fn of(place: Place) -> Self {
        Self { aged: Reverse(place.priority.0 as u64), place }
    }
}

/// The steps of one priority, in their order and by age.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Level {
    places: BTreeSet<Place>,
    ages: BTreeMap<(Micros, StepId), Place>,
}

impl Level {
    /// What the priority has grown to.
    fn aged(&self, priority: u8, now: Micros) -> u64 {
        let waited = self.ages.first_key_value().map_or(Micros::ZERO, |((since, _), _)| now.saturating_sub(*since));
        u64::from(priority) + waited.0 / AGEING_EVERY.0 * AGEING_POINTS
    }
    fn oldest(&self) -> Option<Place> {
        self.ages.first_key_value().map(|(_, place)| *place)
    }
}

/// Ordered steps per class.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ReadyQueue {
    /// Per class, by priority, the highest first.
    classes: Vec<BTreeMap<Reverse<u8>, Level>>,
    len: usize,
}

impl ReadyQueue {
    pub(crate) fn new(classes: usize) -> Self {
        Self { classes: vec![BTreeMap::new(); classes], len: 0 }
    }
    /// Room for one more class.
    pub(crate) fn add_class(&mut self) {
        self.classes.push(BTreeMap::new());
    }
    pub(crate) fn insert(&mut self, class: usize, place: Place) {
        let level = self.classes[class].entry(place.priority).or_default();
        if level.places.insert(place) {
            level.ages.insert((place.since, place.step), place);
            self.len += 1;
        }
    }
    pub(crate) fn remove(&mut self, class: usize, place: Place) {
        let Some(level) = self.classes[class].get_mut(&place.priority) else { return };
        if level.places.remove(&place) {
            level.ages.remove(&(place.since, place.step));
            self.len -= 1;
        }
        if level.places.is_empty() {
            self.classes[class].remove(&place.priority);
        }
    }
    pub(crate) const fn is_empty(&self) -> bool {
        self.len == 0
    }
    /// Whether anything of a class stands in it.
    pub(crate) fn has(&self, class: usize) -> bool {
        !self.classes[class].is_empty()
    }
    /// Whose turn it is in each class that has somebody.
    pub(crate) fn heads(&self, now: Micros) -> impl Iterator<Item = (usize, Rank)> {
        self.classes.iter().enumerate().filter_map(move |(class, levels)| {
            let best =
                levels.iter().map(|(priority, level)| (Reverse(level.aged(priority.0, now)), *priority)).min()?;
            let (highest, _) = levels.first_key_value()?;
            let level = &levels[&best.1];
            let place = if best.1 == *highest { level.places.first().copied() } else { level.oldest() }?;
            Some((class, Rank { aged: best.0, place }))
        })
    }
    /// All steps of a class, in the order of their places.
    pub(crate) fn class(&self, class: usize) -> impl Iterator<Item = StepId> {
        self.classes[class].values().flat_map(|level| &level.places).map(|place| place.step)
    }
    /// The first step of a class that is wanted.
    pub(crate) fn first(&self, class: usize, mut wanted: impl FnMut(StepId) -> bool) -> Option<Place> {
        self.classes[class].values().flat_map(|level| &level.places).find(|place| wanted(place.step)).copied()
    }
    /// How many classes there are.
    pub(crate) const fn classes(&self) -> usize {
        self.classes.len()
    }
    /// How many steps of a class stand before this place.
    pub(crate) fn ahead_of(&self, class: usize, place: Place) -> usize {
        let before = self.classes[class].range(..=place.priority);
        before.map(|(_, level)| level.places.range(..place).count()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::rng::Rng;

    fn place(priority: u8, tail_s: u64, since: u64, step: u32) -> Place {
        Place {
            priority: Reverse(priority),
            tail: Reverse(Micros::from_secs(tail_s)),
            since: Micros(since),
            step: StepId(step),
        }
    }

    fn turn(queue: &ReadyQueue, now: u64) -> Option<u32> {
        queue.heads(Micros::from_secs(now)).map(|(_, rank)| rank.place.step.0).next()
    }

    #[test]
    fn priority_comes_before_the_critical_path_before_age_before_the_file() {
        let mut queue = ReadyQueue::new(1);
        for p in [place(50, 1, 0, 0), place(50, 9, 5, 1), place(90, 0, 9, 2), place(50, 9, 5, 3), place(50, 9, 4, 4)] {
            queue.insert(0, p);
        }
        assert_eq!(queue.class(0).map(|s| s.0).collect::<Vec<_>>(), [2, 4, 1, 3, 0]);
        assert_eq!(turn(&queue, 0), Some(2));
    }

    #[test]
    fn what_has_waited_for_long_enough_comes_before_a_higher_priority() {
        let mut queue = ReadyQueue::new(1);
        let low = place(25, 1, 0, 0);
        queue.insert(0, low);
        queue.insert(0, place(75, 1, Micros::from_secs(55).0, 1));
        assert_eq!(turn(&queue, 59), Some(1), "25 + 25 are less than 75");
        // After a minute both are worth 75: the higher one goes first; then the low one is worth more.
        assert_eq!(turn(&queue, 60), Some(1));
        queue.remove(0, place(75, 1, Micros::from_secs(55).0, 1));
        queue.insert(0, place(75, 1, Micros::from_secs(90).0, 2));
        assert_eq!(turn(&queue, 90), Some(0));
        queue.remove(0, low);
        assert_eq!(turn(&queue, 90), Some(2));
    }

    #[test]
    fn heads_agree_with_a_naive_choice_over_drawn_queues() {
        for seed in 0..300 {
            let mut rng = Rng::new(seed);
            let (mut queue, mut all) = (ReadyQueue::new(1), Vec::new());
            for step in 0..rng.below(12) {
                let priority = [25, 50, 75][rng.below(3) as usize];
                let since = Micros::from_secs(rng.below(100)).0;
                let p = place(priority, rng.below(3), since, u32::try_from(step).unwrap());
                queue.insert(0, p);
                all.push(p);
            }
            let now = Micros::from_secs(100);
            let worth = |p: &Place| {
                let oldest = all.iter().filter(|q| q.priority == p.priority).map(|q| q.since).min().unwrap();
                u64::from(p.priority.0) + (now - oldest).0 / AGEING_EVERY.0 * AGEING_POINTS
            };
            let best = all.iter().map(|p| (worth(p), p.priority.0)).max();
            let expected = best.and_then(|(_, priority)| {
                let level = all.iter().filter(|p| p.priority.0 == priority);
                let highest = all.iter().map(|p| p.priority.0).max() == Some(priority);
                if highest { level.min().copied() } else { level.min_by_key(|p| (p.since, p.step)).copied() }
            });
            assert_eq!(turn(&queue, 100), expected.map(|p| p.step.0), "seed {seed}: {all:?}");
        }
    }
}
