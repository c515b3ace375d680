//! The observer's own breaker: a list of what attempts said about their agent since the last change.

use super::Broken;
use crate::model::completion::FailureClass;
use crate::model::defaults::BREAKER_COOLDOWN_MAX;
use crate::model::id::{RunId, StepId};
use crate::model::policy::BreakerPolicy;
use crate::model::state::BreakerState;
use crate::model::time::Micros;

/// Names an attempt.
type Attempt = (RunId, StepId, u32);

/// What is known of an agent's breaker.
#[derive(Clone, Debug, Default)]
pub(crate) struct BreakerSeen {
    pub(crate) state: BreakerState,
    /// Counts its changes.
    pub(crate) changes: u32,
    /// Good and bad ends of attempts that count.
    said: Vec<bool>,
    pub(crate) probe: Option<Attempt>,
    /// What it has to change to before the engine rests.
    pub(crate) due: Option<BreakerState>,
    /// What the input under way may change it to.
    pub(crate) asked: Option<BreakerState>,
}

impl BreakerSeen {
    /// Whether an attempt may begin.
    pub(crate) const fn lets_through(&self) -> bool {
        match self.state {
            BreakerState::Closed | BreakerState::ForcedClosed => true,
            BreakerState::HalfOpen { .. } => self.probe.is_none(),
            BreakerState::Open { .. } | BreakerState::ForcedOpen => false,
        }
    }

    pub(crate) const fn begin(&mut self, attempt: Attempt) {
        if matches!(self.state, BreakerState::HalfOpen { .. }) {
            self.probe = Some(attempt);
        }
    }

    /// An attempt has ended that began after so many changes; `None`: well.
    pub(crate) fn end(
        &mut self,
        policy: Option<BreakerPolicy>,
        (attempt, begun): (Attempt, u32),
        failed: Option<FailureClass>,
        now: Micros,
    ) {
        let is_probe = self.probe == Some(attempt);
        if is_probe {
            self.probe = None;
        }
        let half_open = matches!(self.state, BreakerState::HalfOpen { .. });
        let counts = if half_open { is_probe } else { begun == self.changes };
        let says = match failed {
            None => Some(true),
            Some(class) => class.counts_for_breaker().then_some(false),
        };
        let (true, Some(says), Some(policy)) = (counts, says, policy) else { return };
        self.said.push(says);
        let in_a_row = self.said.iter().rev().take_while(|good| !**good).count();
        self.due = match self.state {
            BreakerState::Closed if in_a_row >= policy.failures as usize => {
                Some(BreakerState::Open { until: now + policy.cooldown, cooldown: policy.cooldown })
            }
            BreakerState::HalfOpen { .. } if says => Some(BreakerState::Closed),
            BreakerState::HalfOpen { cooldown } => Some(again(cooldown, now)),
            _ => None,
        };
    }

    /// What follows when a timer of that change is due.
    pub(crate) fn in_time(&self, change: u32, now: Micros) -> Option<BreakerState> {
        match self.state {
            BreakerState::Open { cooldown, .. } if change == self.changes => Some(BreakerState::HalfOpen { cooldown }),
            BreakerState::HalfOpen { cooldown } if change == self.changes && self.probe.is_some() => {
                Some(again(cooldown, now))
            }
            _ => None,
        }
    }

    /// It changes, and had to or was asked to.
    pub(crate) fn change(&mut self, to: BreakerState, reading: bool) -> Result<(), Broken> {
        if to == self.state {
            // The same change stands in the journal of every run that knows the agent.
            return Ok(());
        }
        let allowed = reading || self.due == Some(to) || self.asked == Some(to);
        rule!(allowed, "breakers: it goes from {:?} to {to:?} without a reason", self.state);
        (self.state, self.probe, self.due, self.asked) = (to, None, None, None);
        self.changes += 1;
        self.said.clear();
        Ok(())
    }
}

fn again(cooldown: Micros, now: Micros) -> BreakerState {
    let longest = BREAKER_COOLDOWN_MAX.max(cooldown);
    let cooldown = Micros(cooldown.0.saturating_mul(2)).min(longest);
    BreakerState::Open { until: now + cooldown, cooldown }
}
