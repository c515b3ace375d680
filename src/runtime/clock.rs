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

/// A clock that began at zero.
#[derive(Clone, Copy, Debug)]
pub enum Clock {
    /// Began at this instant.
    Real(Instant),
    /// Stands here.
    Virtual(Micros),
}

impl Clock {
    /// A clock that begins now.
    #[must_use]
    pub fn new(kind: ClockKind) -> Self {
        match kind {
            ClockKind::Real => Self::Real(Instant::now()),
            ClockKind::Virtual => Self::Virtual(Micros::ZERO),
        }
    }
    /// The time by this clock.
    #[must_use]
    pub fn now(&self) -> Micros {
        match self {
            Self::Real(origin) => {
                Micros(u64::try_from(Instant::now().duration_since(*origin).as_micros()).unwrap_or(u64::MAX))
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
    /// The instant of a time by the real clock; `None` for the virtual one.
    #[must_use]
    pub fn instant(&self, at: Micros) -> Option<Instant> {
        match self {
            Self::Real(origin) => Some(*origin + Duration::from_micros(at.0)),
            Self::Virtual(_) => None,
        }
    }
}

/// The instant `after` from now, for waits that no run's clock knows of (screens, graces).
#[must_use]
pub fn later(after: Duration) -> Instant {
    Instant::now() + after
}

/// Now, for waits that no run's clock knows of.
#[must_use]
pub fn now() -> Instant {
    Instant::now()
}
