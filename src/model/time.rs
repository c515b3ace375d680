//! Time as numbers: microseconds, never a clock.

use serde::{Deserialize, Serialize};
use std::ops::{Add, AddAssign, Sub};

/// Microseconds: a point in time (since the engine's clock began) or a length of time. Arithmetic saturates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Micros(pub u64);

impl Micros {
    /// No time at all.
    pub const ZERO: Self = Self(0);

    /// From whole milliseconds.
    #[must_use]
    pub const fn from_millis(ms: u64) -> Self {
        Self(ms.saturating_mul(1_000))
    }
    /// From whole seconds.
    #[must_use]
    pub const fn from_secs(s: u64) -> Self {
        Self(s.saturating_mul(1_000_000))
    }
    /// From seconds as a float; negative and NaN become zero, too much becomes the largest value.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "float casts saturate, which is meant")]
    pub fn from_secs_f64(s: f64) -> Self {
        Self((s * 1e6).round() as u64)
    }
    /// In seconds.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "exact up to 285 years")]
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1e6
    }
    /// In whole milliseconds, rounded down.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0 / 1_000
    }
    /// This length divided by a speed (2.0 = twice as fast). A speed that is not positive counts as 1.
    #[must_use]
    pub fn at_speed(self, speed: f64) -> Self {
        if speed > 0.0 && speed.is_finite() { Self::from_secs_f64(self.as_secs_f64() / speed) } else { self }
    }
    /// `self - other`, or zero.
    #[must_use]
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl Add for Micros {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl AddAssign for Micros {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sub for Micros {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        self.saturating_sub(other)
    }
}

impl std::iter::Sum for Micros {
    fn sum<I: Iterator<Item = Self>>(times: I) -> Self {
        times.fold(Self::ZERO, Add::add)
    }
}
