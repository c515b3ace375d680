//! A breaker: leaves an agent alone that fails again and again, and lets one attempt through now and then to see.
//!
//! A pure machine: the moment is an argument, nothing is drawn, and it can be saved. States and their order follow
//! Nygard's *Release It!* (closed, open, half-open); what is ours: one probe only, tied to its attempt, so that however
//! it ends the permit is free again; outcomes of attempts begun before the last change say nothing about now; the time
//! of being open doubles with each failed probe.

use crate::model::bug::{Bug, seeded};
use crate::model::completion::FailureClass;
use crate::model::defaults::BREAKER_COOLDOWN_MAX;
use crate::model::id::{RunId, StepId};
use crate::model::policy::BreakerPolicy;
use crate::model::state::BreakerState;
use crate::model::time::Micros;
use serde::{Deserialize, Serialize};

/// What the end of an attempt says about its agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Says {
    Works,
    Fails,
    /// The attempt was taken from it, or it was asked for something that cannot be done.
    Nothing,
}

impl Says {
    /// What a failure of this class says; `None`: success.
    pub(crate) fn of(class: Option<FailureClass>) -> Self {
        match class {
            None => Self::Works,
            Some(class) if class.counts_for_breaker() => Self::Fails,
            Some(_) => Self::Nothing,
        }
    }
}

/// Which attempt is the probe.
pub(crate) type Probe = (RunId, StepId, u32);

/// The machine.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Breaker {
    pub(crate) state: BreakerState,
    /// Failures in a row while closed.
    pub(crate) failures: u32,
    /// Counts changes: the epoch of timers and of attempts.
    pub(crate) epoch: u32,
    /// The attempt that was let through while half-open.
    pub(crate) probe: Option<Probe>,
}

impl Breaker {
    /// Whether an attempt may begin.
    pub(crate) fn admits(&self) -> bool {
        match self.state {
            BreakerState::Closed | BreakerState::ForcedClosed => true,
            BreakerState::HalfOpen { .. } => self.probe.is_none() || seeded(Bug::ManyProbes),
            BreakerState::Open { .. } | BreakerState::ForcedOpen => false,
        }
    }

    /// Whether the agent counts as working.
    pub(crate) const fn is_closed(&self) -> bool {
        matches!(self.state, BreakerState::Closed | BreakerState::ForcedClosed)
    }

    /// An attempt begins.
    pub(crate) fn begin(&mut self, attempt: Probe) {
        if matches!(self.state, BreakerState::HalfOpen { .. }) {
            self.probe = Some(attempt);
        }
    }

    /// Whether what an attempt says counts: it is the probe, or began under the state that is in force.
    fn counts(&self, attempt: Probe, begun: u32) -> bool {
        match self.state {
            BreakerState::HalfOpen { .. } => self.probe == Some(attempt),
            _ => begun == self.epoch || seeded(Bug::OldOutcomeCounts),
        }
    }

    /// What follows from the end of an attempt that began in epoch `begun`: the new state, if it changes.
    pub(crate) fn follows(
        &self,
        policy: BreakerPolicy,
        (attempt, begun): (Probe, u32),
        says: Says,
        now: Micros,
    ) -> Option<BreakerState> {
        if !self.counts(attempt, begun) {
            return None;
        }
        match (self.state, says) {
            (BreakerState::Closed, Says::Fails) if self.failures + 1 >= policy.failures => {
                Some(BreakerState::Open { until: now + policy.cooldown, cooldown: policy.cooldown })
            }
            (BreakerState::HalfOpen { .. }, Says::Works) => Some(BreakerState::Closed),
            (BreakerState::HalfOpen { .. }, Says::Fails) => self.open_again(now),
            _ => None,
        }
    }

    /// Its time in this state is over: from open to half-open; back to open where the probe takes too long.
    pub(crate) fn due(&self, epoch: u32, now: Micros) -> Option<BreakerState> {
        match self.state {
            _ if epoch != self.epoch => None,
            BreakerState::Open { cooldown, .. } => Some(BreakerState::HalfOpen { cooldown }),
            BreakerState::HalfOpen { .. } if self.probe.is_some() => self.open_again(now),
            _ => None,
        }
    }

    /// Open for twice as long as the last time.
    fn open_again(&self, now: Micros) -> Option<BreakerState> {
        let BreakerState::HalfOpen { cooldown } = self.state else { return None };
        let cooldown = Micros(cooldown.0.saturating_mul(2)).min(BREAKER_COOLDOWN_MAX.max(cooldown));
        Some(BreakerState::Open { until: now + cooldown, cooldown })
    }

    /// An attempt has ended: failures in a row are counted, and a probe gives its permit back.
    pub(crate) fn end(&mut self, attempt: Probe, begun: u32, says: Says) {
        if self.state == BreakerState::Closed && self.counts(attempt, begun) {
            match says {
                Says::Works => self.failures = 0,
                Says::Fails => self.failures += 1,
                Says::Nothing => {}
            }
        }
        if self.probe == Some(attempt) {
            self.probe = None;
        }
    }

    /// The state changes. The same change may stand in the journals of several runs.
    pub(crate) fn set(&mut self, state: BreakerState) {
        if self.state != state {
            (self.state, self.failures, self.probe) = (state, 0, None);
            self.epoch += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::rng::Rng;

    const POLICY: BreakerPolicy = BreakerPolicy { failures: 3, cooldown: Micros::from_secs(10) };

    const fn attempt(number: u32) -> Probe {
        (RunId(0), StepId(0), number)
    }

    /// An attempt begins and ends in the state that is in force.
    fn one(breaker: &mut Breaker, number: u32, says: Says, now: Micros) {
        assert!(breaker.admits());
        let begun = breaker.epoch;
        breaker.begin(attempt(number));
        let next = breaker.follows(POLICY, (attempt(number), begun), says, now);
        breaker.end(attempt(number), begun, says);
        if let Some(next) = next {
            breaker.set(next);
        }
    }

    #[test]
    fn it_opens_after_failures_in_a_row_probes_once_and_closes() {
        let mut breaker = Breaker::default();
        for (number, says) in [(1, Says::Fails), (2, Says::Fails), (3, Says::Works), (4, Says::Fails)] {
            one(&mut breaker, number, says, Micros::ZERO);
        }
        one(&mut breaker, 5, Says::Fails, Micros::ZERO);
        assert_eq!(breaker.state, BreakerState::Closed, "a success between starts the count anew");
        one(&mut breaker, 6, Says::Fails, Micros::ZERO);
        assert_eq!(breaker.state, BreakerState::Open { until: Micros::from_secs(10), cooldown: Micros::from_secs(10) });
        assert!(!breaker.admits());
        assert_eq!(breaker.due(breaker.epoch + 1, Micros::from_secs(10)), None, "a stale timer");
        let next = breaker.due(breaker.epoch, Micros::from_secs(10)).unwrap();
        breaker.set(next);
        breaker.begin(attempt(7));
        assert!(!breaker.admits(), "one probe only");
        let epoch = breaker.epoch;
        assert_eq!(
            breaker.follows(POLICY, (attempt(8), epoch), Says::Works, Micros::ZERO),
            None,
            "only the probe decides"
        );
        assert_eq!(breaker.follows(POLICY, (attempt(7), epoch), Says::Works, Micros::ZERO), Some(BreakerState::Closed));
    }

    #[test]
    fn failed_probes_double_the_wait_up_to_the_longest() {
        let mut breaker = Breaker::default();
        for number in 1..=3 {
            one(&mut breaker, number, Says::Fails, Micros::ZERO);
        }
        let mut waits = Vec::new();
        for number in 4..12 {
            breaker.set(breaker.due(breaker.epoch, Micros::ZERO).unwrap());
            one(&mut breaker, number, Says::Fails, Micros::ZERO);
            let BreakerState::Open { cooldown, .. } = breaker.state else { panic!("{breaker:?}") };
            waits.push(cooldown.as_millis() / 1_000);
        }
        assert_eq!(waits, [20, 40, 80, 160, 300, 300, 300, 300]);
    }

    #[test]
    fn a_probe_that_is_taken_away_gives_its_permit_back_and_one_that_never_ends_loses_it() {
        let mut breaker = Breaker::default();
        breaker.set(BreakerState::HalfOpen { cooldown: Micros::from_secs(10) });
        one(&mut breaker, 1, Says::Nothing, Micros::ZERO);
        assert!(breaker.admits() && matches!(breaker.state, BreakerState::HalfOpen { .. }));
        breaker.begin(attempt(2));
        let late = breaker.due(breaker.epoch, Micros::from_secs(300)).unwrap();
        assert_eq!(late, BreakerState::Open { until: Micros::from_secs(320), cooldown: Micros::from_secs(20) });
        let begun = breaker.epoch;
        breaker.set(late);
        assert_eq!(breaker.follows(POLICY, (attempt(2), begun), Says::Works, Micros::from_secs(301)), None);
    }

    /// The obvious model: a list of what counted since the last change.
    #[derive(Default)]
    struct Naive {
        history: Vec<Says>,
        open_until: Option<u64>,
        cooldown: u64,
        half_open: bool,
    }

    impl Naive {
        fn admits(&self) -> bool {
            self.open_until.is_none()
        }
        fn end(&mut self, says: Says, now: u64) {
            if says == Says::Nothing {
                return;
            }
            self.history.push(says);
            let row = self.history.iter().rev().take_while(|s| **s == Says::Fails).count();
            if self.half_open {
                self.half_open = false;
                if says == Says::Fails {
                    self.cooldown = (self.cooldown * 2).min(300);
                    self.open_until = Some(now + self.cooldown);
                }
                self.history.clear();
            } else if row >= 3 {
                self.cooldown = 10;
                self.open_until = Some(now + 10);
                self.history.clear();
            }
        }
        fn pass(&mut self, now: u64) {
            if self.open_until.is_some_and(|until| until <= now) {
                self.open_until = None;
                self.half_open = true;
            }
        }
    }

    #[test]
    fn it_agrees_with_a_naive_model_over_many_drawn_stories() {
        for seed in 0..500 {
            let mut rng = Rng::new(seed);
            let (mut breaker, mut naive, mut now) = (Breaker::default(), Naive::default(), 0);
            for number in 0..200 {
                now += rng.below(20);
                if let BreakerState::Open { until, .. } = breaker.state
                    && until <= Micros::from_secs(now)
                {
                    let next = breaker.due(breaker.epoch, until).unwrap();
                    breaker.set(next);
                }
                naive.pass(now);
                assert_eq!(breaker.admits(), naive.admits(), "seed {seed}, attempt {number}");
                if breaker.admits() {
                    let says = [Says::Works, Says::Fails, Says::Fails, Says::Nothing][rng.below(4) as usize];
                    one(&mut breaker, number, says, Micros::from_secs(now));
                    naive.end(says, now);
                }
            }
        }
    }
}
