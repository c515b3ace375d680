//! The one writer of JSON for people's pipes and terminals.
//!
//! On top of what JSON itself escapes, everything that could act on a terminal or hide in it is written as `\uXXXX`:
//! DEL, C1, bidirectional and other invisible characters, line separators. The text stays the same JSON value.

use crate::model::safe::is_invisible;
use serde::Serialize;
use std::fmt::Write;

/// A value as one line, without a line break at its end.
#[must_use]
pub fn line(value: &impl Serialize) -> String {
    escape(serde_json::to_string(value).expect("values have text keys and finite numbers"))
}

/// Each value as a line of its own.
#[must_use]
pub fn lines(values: &[impl Serialize]) -> String {
    values.iter().map(|value| line(value) + "\n").collect()
}

/// A value for reading: indented, without a line break at its end.
#[must_use]
pub fn pretty(value: &impl Serialize) -> String {
    escape(serde_json::to_string_pretty(value).expect("values have text keys and finite numbers"))
}

/// Outside of strings JSON is plain ASCII, so whatever needs escaping stands inside one.
fn escape(text: String) -> String {
    if text.bytes().all(|b| b < 0x7f) {
        return text;
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_hidden(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(out, "\\u{unit:04x}").expect("a String takes everything");
            }
        } else {
            out.push(c);
        }
    }
    out
}

const fn is_hidden(c: char) -> bool {
    matches!(c, '\u{7f}'..='\u{9f}') || is_invisible(c)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn what_a_terminal_would_obey_is_escaped_and_reads_back_the_same() {
        let value =
            json!({"a\u{7f}": "\u{1b}[31m\u{9b}2J\u{202e}x\u{2028}\u{200d}\u{feff}\u{e0041}", "ü": "日本 ✓ 😀"});
        for text in [line(&value), pretty(&value)] {
            assert!(text.chars().all(|c| c == '\n' || !(c.is_control() || is_invisible(c))), "{text:?}");
            assert!(text.contains("日本 ✓ 😀") && text.contains("\\udb40\\udc41") && text.contains("\\u001b[31m"));
            assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
        }
    }

    #[test]
    fn members_keep_their_order_and_numbers_their_shape() {
        let value = json!({"b": 1, "a": 8.0, "c": 0.1, "d": 1e30});
        assert_eq!(line(&value), r#"{"b":1,"a":8.0,"c":0.1,"d":1e+30}"#);
    }
}
