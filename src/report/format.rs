//! Numbers and names in as many cells as there are: lengths of time that do not jitter, counts, ellipses, bars.
//!
//! Widths are cells of a terminal. Text given here is safe already (`model::safe`) or made by upbeat.

use crate::model::time::Micros;
use std::borrow::Cow;
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

/// Cells that [`span`] never exceeds, whatever the time.
pub const SPAN_WIDTH: usize = 6;

/// A length of time for tables: `0.4 s`, `59.9 s`, `1m05s`, `2h07m`, `3d04h`. At most [`SPAN_WIDTH`] cells: padded to
/// that width, a growing number moves nothing.
#[must_use]
pub fn span(time: Micros) -> String {
    let tenths = time.0 / 100_000;
    let seconds = tenths / 10;
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    match seconds {
        0..60 => format!("{seconds}.{} s", tenths % 10),
        60..3_600 => format!("{minutes}m{:02}s", seconds % 60),
        3_600..86_400 => format!("{hours}h{:02}m", minutes % 60),
        86_400..8_640_000 => format!("{days}d{:02}h", hours % 24),
        _ => format!("{} d", days.min(9_999)),
    }
}

/// [`span`], padded on the left.
#[must_use]
pub fn span_fixed(time: Micros) -> String {
    format!("{:>SPAN_WIDTH$}", span(time))
}

/// A clock: `00:07`, `12:34`, `1:02:03`, `2d 03:04`.
#[must_use]
pub fn clock(time: Micros) -> String {
    let seconds = time.0 / 1_000_000;
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    match seconds {
        0..3_600 => format!("{minutes:02}:{:02}", seconds % 60),
        3_600..86_400 => format!("{hours}:{:02}:{:02}", minutes % 60, seconds % 60),
        _ => format!("{days}d {:02}:{:02}", hours % 24, minutes % 60),
    }
}

/// A count with separators: `1,204`.
#[must_use]
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A count with its noun: `1 step`, `1,204 steps`.
#[must_use]
pub fn plural(n: u64, noun: &str) -> String {
    format!("{} {noun}{}", count(n), if n == 1 { "" } else { "s" })
}

/// A share in percent: `0 %`, `4.2 %`, `87 %`, `100 %`. What is not all never reads as all, nor what is something as
/// nothing.
#[must_use]
pub fn percent(share: f64) -> String {
    let percent = if share.is_finite() { share.clamp(0.0, 1.0) * 100.0 } else { 0.0 };
    match percent {
        p if p <= 0.0 => "0 %".to_owned(),
        p if p >= 100.0 => "100 %".to_owned(),
        p if p < 0.1 => "<0.1 %".to_owned(),
        p if p < 9.95 => format!("{p:.1} %"),
        p => format!("{:.0} %", p.min(99.0)),
    }
}

/// So many a second, or a minute or an hour where that is easier to read: `12.5/s`, `3.0/min`.
#[must_use]
pub fn rate(per_second: f64) -> String {
    let steady = if per_second.is_finite() { per_second.max(0.0) } else { 0.0 };
    match steady {
        0.0 => "0/s".to_owned(),
        r if r >= 1.0 => format!("{r:.1}/s"),
        r if r * 60.0 >= 0.1 => format!("{:.1}/min", r * 60.0),
        r => format!("{:.1}/h", r * 3_600.0),
    }
}

/// Cells a text takes.
#[must_use]
pub fn width(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { text.width() }
}

/// The sign that something was left out.
#[must_use]
pub const fn ellipsis(ascii: bool) -> &'static str {
    if ascii { ".." } else { "…" }
}

/// As many whole characters from the start as fit.
fn head(text: &str, room: usize) -> &str {
    let mut used = 0;
    for (at, grapheme) in text.grapheme_indices(true) {
        used += grapheme.width();
        if used > room {
            return &text[..at];
        }
    }
    text
}

/// As many whole characters from the end as fit.
fn tail(text: &str, room: usize) -> &str {
    let mut used = 0;
    for (at, grapheme) in text.grapheme_indices(true).rev() {
        used += grapheme.width();
        if used > room {
            return &text[at + grapheme.len()..];
        }
    }
    text
}

/// The text in at most `room` cells, its end left out where it is too long.
#[must_use]
pub fn cut(text: &str, room: usize, ascii: bool) -> Cow<'_, str> {
    if width(text) <= room {
        return Cow::Borrowed(text);
    }
    let dots = ellipsis(ascii);
    let dots_width = width(dots);
    if room < dots_width {
        return Cow::Borrowed(head(dots, room));
    }
    Cow::Owned(format!("{}{dots}", head(text, room - dots_width).trim_end()))
}

/// The text in at most `room` cells, its middle left out where it is too long: names differ at both ends.
#[must_use]
pub fn cut_middle(text: &str, room: usize, ascii: bool) -> Cow<'_, str> {
    let dots = ellipsis(ascii);
    let kept = room.saturating_sub(width(dots));
    if width(text) <= room || kept < 4 {
        return cut(text, room, ascii);
    }
    let left = head(text, kept - kept / 3);
    let right = tail(text, kept - width(left));
    Cow::Owned(format!("{left}{dots}{right}"))
}

/// A text padded on the right to exactly `room` cells, or cut in the middle.
#[must_use]
pub fn fixed(text: &str, room: usize, ascii: bool) -> String {
    let shown = cut_middle(text, room, ascii);
    let pad = room.saturating_sub(width(&shown));
    format!("{shown}{:pad$}", "")
}

/// Parts of a progress bar, as text: what is done, what is under way, what is left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bar {
    /// Done.
    pub done: String,
    /// Under way.
    pub active: String,
    /// Left.
    pub rest: String,
}

/// A bar of `cells` cells. It is full only when everything is done, and shows a cell as soon as anything is.
#[must_use]
pub fn bar(done: u64, active: u64, total: u64, cells: usize, ascii: bool) -> Bar {
    let wide = cells as u64;
    let share = |n: u64| (n.min(total) * wide).checked_div(total).unwrap_or(0);
    let done_cells = if done > 0 { share(done).max(1) } else { 0 }.min(wide);
    let reached = share(done.saturating_add(active)).max(done_cells + u64::from(active > 0)).min(wide);
    let (full, half, empty) = if ascii { ("#", "=", "-") } else { ("▰", "▰", "▱") };
    let times = |sign: &str, n: u64| sign.repeat(usize::try_from(n).unwrap_or(cells));
    Bar { done: times(full, done_cells), active: times(half, reached - done_cells), rest: times(empty, wide - reached) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_stay_in_their_cells() {
        let said = |us| span(Micros(us));
        assert_eq!(said(0), "0.0 s");
        assert_eq!(said(449_999), "0.4 s");
        assert_eq!(said(59_999_999), "59.9 s");
        assert_eq!(said(65_000_000), "1m05s");
        assert_eq!(said(7_620_000_000), "2h07m");
        assert_eq!(said(273_600_000_000), "3d04h");
        let mut us = 1;
        while us < u64::MAX / 3 {
            assert!(width(&said(us)) <= SPAN_WIDTH, "{us}");
            us *= 3;
        }
        assert_eq!(span_fixed(Micros(u64::MAX)), "9999 d");
    }

    #[test]
    fn clocks_count_minutes_then_hours_then_days() {
        let said = |s| clock(Micros::from_secs(s));
        assert_eq!([said(7), said(754), said(3_723), said(183_840)], ["00:07", "12:34", "1:02:03", "2d 03:04"]);
    }

    #[test]
    fn shares_are_all_or_nothing_only_where_they_are() {
        let said = [0.0, 0.000_1, 0.042, 0.099_9, 0.874, 0.999_9, 1.0, f64::NAN].map(percent);
        assert_eq!(said, ["0 %", "<0.1 %", "4.2 %", "10 %", "87 %", "99 %", "100 %", "0 %"]);
    }

    #[test]
    fn rates_are_told_in_the_unit_that_is_easy_to_read() {
        let said = [0.0, 12.34, 0.05, 0.000_5, f64::INFINITY].map(rate);
        assert_eq!(said, ["0/s", "12.3/s", "3.0/min", "1.8/h", "0/s"]);
    }

    #[test]
    fn counts_have_separators_and_nouns_a_plural() {
        assert_eq!([count(0), count(999), count(1_204), count(1_000_000)], ["0", "999", "1,204", "1,000,000"]);
        assert_eq!([plural(1, "step"), plural(0, "step")], ["1 step", "0 steps"]);
    }

    #[test]
    fn long_names_lose_their_middle_and_never_half_a_character() {
        assert_eq!(cut_middle("technical_analysis", 18, false), "technical_analysis");
        assert_eq!(cut_middle("technical_analysis", 10, false), "techni…sis");
        assert_eq!(cut_middle("technical_analysis", 10, true), "techni..is");
        assert_eq!(cut("technical_analysis", 5, false), "tech…");
        assert_eq!(cut_middle("日本語のステップ", 9, false), "日本語…プ");
        assert_eq!(cut("abc", 0, false), "");
        assert_eq!(cut("abc", 1, true), ".");
        for room in 0..20 {
            for text in
                ["technical_analysis", "日本語のステップ", "e\u{301}e\u{301}e\u{301}e\u{301}e\u{301}e\u{301}e\u{301}"]
            {
                for ascii in [false, true] {
                    assert!(width(&cut_middle(text, room, ascii)) <= room);
                    assert_eq!(width(&fixed(text, room, ascii)), room);
                }
            }
        }
    }

    #[test]
    fn a_bar_is_full_only_at_the_end_and_never_empty_after_the_start() {
        let shown = |done, active, total| {
            let b = bar(done, active, total, 10, true);
            b.done + &b.active + &b.rest
        };
        assert_eq!(shown(0, 0, 6), "----------");
        assert_eq!(shown(1, 0, 1_000), "#---------");
        assert_eq!(shown(999, 0, 1_000), "#########-");
        assert_eq!(shown(3, 2, 6), "#####===--");
        assert_eq!(shown(6, 0, 6), "##########");
        assert_eq!(shown(0, 0, 0), "----------");
    }
}
