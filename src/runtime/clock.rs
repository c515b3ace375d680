//! The only clock of the crate: real, or virtual and moved by the driver.
#![expect(clippy::disallowed_methods, reason = "this file owns the clock; everyone else asks it")]

use crate::model::time::Micros;
use std::time::Duration;
use tokio::time::Instant;

/// Which time a run lives in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockKind {
    /// The machine's monotonic clock.
    Real,
    /// Jumps from event to event and is never touched by the machine's load.
    Virtual,
}

/// A clock that began at zero, or where the run that it goes on with had come to.
#[derive(Clone, Copy, Debug)]
pub enum Clock {
    /// Stood at this time at this instant.
    Real(Micros, Instant),
    /// Stands here.
    Virtual(Micros),
}

impl Clock {
    /// A clock that begins now.
    #[must_use]
    pub fn new(kind: ClockKind) -> Self {
        match kind {
            ClockKind::Real => Self::Real(Micros::ZERO, Instant::now()),
            ClockKind::Virtual => Self::Virtual(Micros::ZERO),
        }
    }
    /// The time by this clock.
    #[must_use]
    pub fn now(&self) -> Micros {
        match self {
            Self::Real(base, origin) => {
                let since = Instant::now().duration_since(*origin).as_micros();
                *base + Micros(u64::try_from(since).unwrap_or(u64::MAX))
            }
            Self::Virtual(now) => *now,
        }
    }
    /// Moves a virtual clock forward; the real one moves by itself.
    pub fn jump(&mut self, to: Micros) {
        if let Self::Virtual(now) = self {
            *now = to.max(*now);
        }
    }
    /// Goes on from where a run had come to, whatever the kind; never backwards.
    pub fn go_on_from(&mut self, at: Micros) {
        let at = at.max(self.now());
        *self = match self {
            Self::Real(..) => Self::Real(at, Instant::now()),
            Self::Virtual(_) => Self::Virtual(at),
        };
    }
    /// The instant of a time by the real clock; `None` for the virtual one.
    #[must_use]
    pub fn instant(&self, at: Micros) -> Option<Instant> {
        match self {
            Self::Real(base, origin) => origin.checked_add(Duration::from_micros(at.0.saturating_sub(base.0))),
            Self::Virtual(_) => None,
        }
    }
}

/// The instant `after` from now, for waits that no run's clock knows of (screens, graces).
#[must_use]
pub fn later(after: Duration) -> Instant {
    Instant::now() + after
}

/// Milliseconds since 1970 by the machine's calendar clock, for people: nothing is ever decided by it.
#[must_use]
pub fn unix_ms() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Now, for waits that no run's clock knows of.
#[must_use]
pub fn now() -> Instant {
    Instant::now()
}
