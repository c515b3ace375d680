//! Whose turn it is among steps that ask for the same: the engine's queue, for a run that is played through.
//!
//! Priority, then the longest expected way to the end, then age, then the order of the file; a priority gains points with
//! the time its oldest step has waited.

use crate::model::defaults::{AGEING_EVERY, AGEING_POINTS};
use crate::model::time::Micros;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// A step's place: priority, longest way, since when, the step. Smaller goes first.
pub(super) type Place = (Reverse<u8>, Reverse<Micros>, Micros, usize);
/// A place behind what waiting has made of its priority.
pub(super) type Rank = (Reverse<u64>, Place);

/// The steps of one priority, in their order and by age.
#[derive(Clone, Debug, Default)]
struct Level {
    places: BTreeSet<Place>,
    ages: BTreeMap<(Micros, usize), Place>,
}

/// Steps that stand in line.
#[derive(Clone, Debug, Default)]
pub(super) struct Turns {
    /// By priority, the highest first.
    levels: BTreeMap<Reverse<u8>, Level>,
}

impl Turns {
    pub(super) fn insert(&mut self, place: Place) {
        let level = self.levels.entry(place.0).or_default();
        level.places.insert(place);
        level.ages.insert((place.2, place.3), place);
    }

    pub(super) fn remove(&mut self, place: Place) {
        let Some(level) = self.levels.get_mut(&place.0) else { return };
        level.places.remove(&place);
        level.ages.remove(&(place.2, place.3));
        if level.places.is_empty() {
            self.levels.remove(&place.0);
        }
    }

    /// Who comes first. `now`: waiting counts; `None`: it does not.
    pub(super) fn first(&self, now: Option<Micros>) -> Option<Rank> {
        let (highest, level) = self.levels.first_key_value()?;
        let Some(now) = now else { return level.places.first().map(|place| (Reverse(u64::from(highest.0)), *place)) };
        let aged = |(priority, level): (&Reverse<u8>, &Level)| {
            let since = level.ages.first_key_value().map_or(now, |((since, _), _)| *since);
            let waited = now.saturating_sub(since);
            (Reverse(u64::from(priority.0) + waited.0 / AGEING_EVERY.0 * AGEING_POINTS), *priority)
        };
        let (points, priority) = self.levels.iter().map(aged).min()?;
        let level = &self.levels[&priority];
        let place = if priority == *highest {
            level.places.first()
        } else {
            level.ages.first_key_value().map(|(_, place)| place)
        };
        place.map(|place| (points, *place))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_lifts_a_lower_priority_over_a_higher_one() {
        let mut turns = Turns::default();
        let place = |priority: u8, since: u64, step: usize| {
            (Reverse(priority), Reverse(Micros::from_secs(1)), Micros::from_secs(since), step)
        };
        turns.insert(place(25, 0, 0));
        turns.insert(place(50, 59, 1));
        let first = |turns: &Turns, now: u64| turns.first(Some(Micros::from_secs(now))).map(|(_, place)| place.3);
        assert_eq!((first(&turns, 59), turns.first(None).map(|(_, place)| place.3)), (Some(1), Some(1)));
        assert_eq!(first(&turns, 60), Some(0));
        turns.remove(place(25, 0, 0));
        assert_eq!(first(&turns, 60), Some(1));
        turns.remove(place(50, 59, 1));
        assert_eq!(first(&turns, 60), None);
    }
}
