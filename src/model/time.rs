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

/// The longest duration a file may name.
pub const DURATION_MAX: Micros = Micros::from_secs(366 * 24 * 3_600);

/// Units of durations, longest name first where one begins another.
const UNITS: [(&str, f64); 5] = [("ms", 1e-3), ("s", 1.0), ("m", 60.0), ("h", 3600.0), ("d", 86400.0)];

/// Why a text is no duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadDuration {
    /// It does not read as one.
    Unreadable,
    /// A number without a unit: probably seconds.
    NoUnit,
    /// Negative, not finite or longer than the longest timeout.
    Range,
}

impl std::fmt::Display for BadDuration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Unreadable => "a duration is a number of seconds, or text like `1m30s`",
            Self::NoUnit => "text needs a unit, as in `30s`",
            Self::Range => "a duration is neither negative nor longer than 366 days",
        })
    }
}

/// Reads `1m30s`, `500ms`, `1.5h`.
///
/// # Errors
/// Why it is no duration.
pub fn duration(text: &str) -> Result<Micros, BadDuration> {
    let mut rest = text;
    let mut seconds = 0.0;
    if rest.is_empty() {
        return Err(BadDuration::Unreadable);
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, tail) = rest.split_at(digits);
        let well_formed = number.starts_with(|c: char| c.is_ascii_digit()) && !number.ends_with('.');
        let Some(number) = number.parse::<f64>().ok().filter(|_| well_formed) else {
            return Err(if text.starts_with('-') { BadDuration::Range } else { BadDuration::Unreadable });
        };
        if tail.is_empty() {
            return Err(if rest.len() == text.len() { BadDuration::NoUnit } else { BadDuration::Unreadable });
        }
        let letters = tail.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(tail.len());
        let Some((_, factor)) = UNITS.iter().find(|(unit, _)| *unit == &tail[..letters]) else {
            return Err(BadDuration::Unreadable);
        };
        seconds += number * factor;
        rest = &tail[letters..];
    }
    seconds_to_micros(seconds)
}

/// A number of seconds as a duration.
///
/// # Errors
/// If it is out of range.
pub fn seconds_to_micros(seconds: f64) -> Result<Micros, BadDuration> {
    if !(0.0..=DURATION_MAX.as_secs_f64()).contains(&seconds) {
        return Err(BadDuration::Range);
    }
    Ok(Micros::from_secs_f64(seconds))
}

/// Reads a duration from a document: a number of seconds, or text as [`duration`] takes it.
///
/// # Errors
/// Why it is no duration.
pub fn from_json(value: &serde_json::Value) -> Result<Micros, BadDuration> {
    match value {
        serde_json::Value::String(text) => duration(text),
        other => other.as_f64().map_or(Err(BadDuration::Unreadable), seconds_to_micros),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_numbers_with_units_also_joined() {
        let good = [
            ("1m30s", 90_000),
            ("500ms", 500),
            ("1.5h", 5_400_000),
            ("2d", 172_800_000),
            ("0s", 0),
            ("1h2m3s4ms", 3_723_004),
        ];
        for (text, ms) in good {
            assert_eq!(duration(text), Ok(Micros::from_millis(ms)), "{text}");
        }
        for text in ["", "s", "1x", "1 m", "1m 30s", "1m30", "1..5s", "1.s", ".5s", "١s", "1S", "1sec"] {
            assert_eq!(duration(text), Err(BadDuration::Unreadable), "{text}");
        }
        assert_eq!(duration("10"), Err(BadDuration::NoUnit));
        for text in ["367d", "-1s", &format!("{}d", "9".repeat(400))] {
            assert_eq!(duration(text), Err(BadDuration::Range), "{text}");
        }
        assert_eq!(seconds_to_micros(f64::NAN), Err(BadDuration::Range));
    }

    #[test]
    fn documents_hold_durations_as_numbers_or_text() {
        use serde_json::json;
        assert_eq!(from_json(&json!(0.25)), Ok(Micros::from_millis(250)));
        assert_eq!(from_json(&json!("1m30s")), Ok(Micros::from_secs(90)));
        assert_eq!(from_json(&json!(-1)), Err(BadDuration::Range));
        assert_eq!(from_json(&json!([])), Err(BadDuration::Unreadable));
    }
}
