//! Moments for people and machines: how long ago, and as a date in UTC.

use super::plain::duration;
use crate::model::time::Micros;

const DAY_MS: u64 = 86_400_000;

/// `3 m 05 s ago`, `2 d ago`: how long before `now` something was, both in milliseconds since 1970.
#[must_use]
pub fn ago(then: u64, now: u64) -> String {
    let since = now.saturating_sub(then);
    match since {
        0..1_000 => "just now".to_owned(),
        1_000..60_000 => format!("{} s ago", since / 1_000),
        60_000..3_600_000 => format!("{} m ago", since / 60_000),
        3_600_000..DAY_MS => format!("{} ago", duration(Micros::from_millis(since))),
        _ => format!("{} d ago", since / DAY_MS),
    }
}

/// `2026-02-03T04:05:06.007Z`.
#[must_use]
pub fn utc(unix_ms: u64) -> String {
    let (days, rest) = (unix_ms / DAY_MS, unix_ms % DAY_MS);
    let (year, month, day) = date(days);
    let (hours, minutes) = (rest / 3_600_000, rest / 60_000 % 60);
    format!("{year:04}-{month:02}-{day:02}T{hours:02}:{minutes:02}:{:02}.{:03}Z", rest / 1_000 % 60, rest % 1_000)
}

/// The date so many days after the first of January 1970. Years are counted from March, so that the day that some years
/// have more is their last.
fn date(days: u64) -> (u64, u64, u64) {
    const DAYS_IN_400_YEARS: u64 = 146_097;
    // 0000-03-01 lies so many days before 1970-01-01.
    let days = days + 719_468;
    let (era, of_era) = (days / DAYS_IN_400_YEARS, days % DAYS_IN_400_YEARS);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_know_leap_years_and_the_turn_of_the_year() {
        let rows = [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (951_868_799_999, "2000-02-29T23:59:59.999Z"),
            (1_704_067_199_000, "2023-12-31T23:59:59.000Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        ];
        for (ms, text) in rows {
            assert_eq!(utc(ms), text);
        }
    }

    #[test]
    fn what_was_is_told_in_the_unit_that_fits() {
        let rows = [(10, "just now"), (3_000, "3 s ago"), (200_000, "3 m ago"), (7_380_000, "2 h 03 m ago")];
        for (since, text) in rows {
            assert_eq!(ago(1_000, 1_000 + since), text);
        }
        assert_eq!(ago(0, 3 * DAY_MS + 5), "3 d ago");
        assert_eq!(ago(9, 3), "just now");
    }
}
