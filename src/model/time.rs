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

/// Reads a duration: a number of seconds, or text with `ms s m h d`, also joined (`1m30s`).
///
/// # Errors
/// A sentence that says what is wrong and what a duration looks like.
pub fn parse(text: &str) -> Result<Micros, String> {
    const FORMS: &str = "a duration looks like `30`, `500ms`, `1.5s`, `1m30s`, `2h` or `1d`";
    let bad = || format!("{text:?} is not a duration; {FORMS}");
    if text.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        return text.parse().ok().filter(|s: &f64| s.is_finite()).map(Micros::from_secs_f64).ok_or_else(bad);
    }
    let mut rest = text;
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(bad)?;
        let number: f64 = rest[..digits].parse().map_err(|_| bad())?;
        let tail = &rest[digits..];
        let letters = tail.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(tail.len());
        let unit = match &tail[..letters] {
            "ms" => 0.001,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3_600.0,
            "d" => 86_400.0,
            _ => return Err(bad()),
        };
        seconds += number * unit;
        rest = &tail[letters..];
    }
    if text.is_empty() || !f64::is_finite(seconds) { Err(bad()) } else { Ok(Micros::from_secs_f64(seconds)) }
}

/// Reads a duration from a document: a number of seconds, or text as [`parse`] takes it.
///
/// # Errors
/// As [`parse`]; negative numbers and other shapes too.
pub fn from_json(value: &serde_json::Value) -> Result<Micros, String> {
    match value {
        serde_json::Value::String(text) => parse(text),
        other => match other.as_f64() {
            Some(seconds) if seconds >= 0.0 => Ok(Micros::from_secs_f64(seconds)),
            _ => Err(format!("{other} is not a duration; give seconds, or text like `1m30s`")),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_seconds_or_text_with_units() {
        let ms = |text| parse(text).map(Micros::as_millis);
        assert_eq!(ms("1m30s"), Ok(90_000));
        assert_eq!(ms("1.5"), Ok(1_500));
        assert_eq!(ms("250ms"), Ok(250));
        assert_eq!(ms("1d2h"), Ok(93_600_000));
        for text in ["", "s", "5x", "1m 30s", "-5s", "1..2s", "5s3", "ten", ".", "1e3s"] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert!(from_json(&serde_json::json!(-1)).is_err() && from_json(&serde_json::json!([])).is_err());
        assert_eq!(from_json(&serde_json::json!(0.25)).map(Micros::as_millis), Ok(250));
    }
}
