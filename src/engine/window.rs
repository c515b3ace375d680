//! How often an agent may be called: the exact log of its last calls, in a window that slides.
//!
//! Exact, because a provider that counts exactly is the one that answers 429: no stretch of the declared length holds
//! more calls than declared. The memory is one time per call of the limit.

use crate::model::policy::RateLimit;
use crate::model::time::Micros;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// The times of the last calls, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Window(VecDeque<Micros>);

impl Window {
    /// A call begins.
    pub(crate) fn call(&mut self, limit: RateLimit, at: Micros) {
        // A journal that is opened beside others may tell of earlier calls than those that are known.
        let later = self.0.iter().rev().take_while(|other| **other > at).count();
        self.0.insert(self.0.len() - later, at);
        while self.0.len() > limit.calls as usize {
            self.0.pop_front();
        }
    }

    /// Until when no further call may begin, if none may begin at `now`.
    pub(crate) fn full_until(&self, limit: RateLimit, now: Micros) -> Option<Micros> {
        let first = *self.0.front().filter(|_| self.0.len() >= limit.calls as usize)?;
        let until = first + limit.per;
        (until > now).then_some(until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::rng::Rng;

    #[test]
    fn no_stretch_of_the_length_ever_holds_more_calls_than_declared_and_none_is_held_back_without_need() {
        for seed in 0..300 {
            let mut rng = Rng::new(seed);
            let limit = RateLimit { calls: u32::try_from(1 + rng.below(5)).unwrap(), per: Micros(1 + rng.below(50)) };
            let (mut window, mut calls, mut now) = (Window::default(), Vec::new(), Micros::ZERO);
            for _ in 0..200 {
                now += Micros(rng.below(20));
                let recent = calls.iter().filter(|at: &&Micros| **at + limit.per > now).count();
                let held = window.full_until(limit, now);
                assert_eq!(held.is_some(), recent >= limit.calls as usize, "seed {seed} at {now:?}: {calls:?}");
                if held.is_none() {
                    window.call(limit, now);
                    calls.push(now);
                }
            }
        }
    }
}
