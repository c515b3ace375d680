//! Small texts with a meaning of their own: durations, shares, ids, names of variables.

use crate::model::defaults::TIMEOUT_MAX;
use crate::model::time::Micros;

/// Units of durations, longest name first where one begins another.
const UNITS: [(&str, f64); 5] = [("ms", 1e-3), ("s", 1.0), ("m", 60.0), ("h", 3600.0), ("d", 86400.0)];

/// Why a text is no duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadDuration {
    /// It does not read as one.
    Unreadable,
    /// A number without a unit: probably seconds.
    NoUnit,
    /// Negative, not finite or longer than the longest timeout.
    Range,
}

/// Reads `1m30s`, `500ms`, `1.5h`.
pub(crate) fn duration(text: &str) -> Result<Micros, BadDuration> {
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
pub(crate) fn seconds_to_micros(seconds: f64) -> Result<Micros, BadDuration> {
    if !(0.0..=TIMEOUT_MAX.as_secs_f64()).contains(&seconds) {
        return Err(BadDuration::Range);
    }
    Ok(Micros::from_secs_f64(seconds))
}

/// Reads `80%` as 0.8.
pub(crate) fn share(text: &str) -> Option<f64> {
    let number = text.strip_suffix('%')?.trim_end();
    if number.is_empty() || !number.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        return None;
    }
    number.parse::<f64>().ok().filter(|share| (0.0..=100.0).contains(share)).map(|share| share / 100.0)
}

/// Whether a text is an id.
pub(crate) fn is_id(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() <= 128
        && bytes.first().is_some_and(u8::is_ascii_alphanumeric)
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || b"._@:+-".contains(b))
}

/// Whether a text can name a capability.
pub(crate) fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 512
        && text.chars().count() <= 128
        && !text.contains(|c: char| c.is_whitespace() || c.is_control())
}

/// Why a process cannot be given a variable of this name.
pub(crate) fn bad_variable(name: &str) -> Option<&'static str> {
    if name.is_empty() || name.contains(['=', '\0']) {
        return Some("a variable's name is not empty and holds neither `=` nor NUL");
    }
    let loader = name.starts_with("LD_") || name.starts_with("DYLD_");
    (loader || matches!(name, "BASH_ENV" | "ENV")).then_some("it would change what programs and shells load")
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
    fn shares_ids_and_variables_follow_their_rules() {
        assert_eq!(share("80%"), Some(0.8));
        assert_eq!([share("80"), share("101%"), share("%"), share("-1%"), share("8e1%")], [None; 5]);
        for good in ["a", "9", "a.b_c@d:e+f-g", &"x".repeat(128)] {
            assert!(is_id(good), "{good}");
        }
        for bad in ["", "_a", "a b", "é", "a[0]", &"x".repeat(129)] {
            assert!(!is_id(bad), "{bad}");
        }
        for bad in ["LD_PRELOAD", "DYLD_X", "BASH_ENV", "ENV", "", "A=B", "A\0"] {
            assert!(bad_variable(bad).is_some(), "{bad}");
        }
        assert!(bad_variable("ENVIRONMENT").is_none());
    }
}
