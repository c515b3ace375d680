//! A JSON value as a few lines: as many as somebody reads, whatever its size.

use crate::model::safe::Safe;
use serde_json::Value;

/// Characters of one string that are shown.
const STRING_MAX: usize = 400;
/// Values up to this many characters stand on one line.
const SHORT: usize = 60;

/// At most `most` lines. What was left out is said in the last one.
pub(crate) fn lines(value: &Value, most: usize, dots: &str) -> Vec<Safe> {
    let mut lines = Vec::new();
    add(value, "", 0, &mut lines, most, dots);
    if lines.len() > most {
        lines.truncate(most.saturating_sub(1));
        lines.push(format!("{dots} more is left out here"));
    }
    lines.iter().map(|line| Safe::line(line)).collect()
}

fn scalar(value: &Value, dots: &str) -> String {
    match value {
        Value::String(text) => {
            let shown: String = text.chars().take(STRING_MAX).collect();
            if shown.len() < text.len() {
                format!("{}{dots} ({} bytes)", Value::from(shown), text.len())
            } else {
                value.to_string()
            }
        }
        other => other.to_string(),
    }
}

/// A value small enough for one line, if it is.
fn short(value: &Value, dots: &str, left: usize) -> Option<String> {
    let text = match value {
        Value::Array(items) if items.len() * 2 <= left => {
            let parts: Option<Vec<String>> = items.iter().map(|item| short(item, dots, left / 2)).collect();
            format!("[{}]", parts?.join(", "))
        }
        Value::Object(members) if members.len() * 6 <= left => {
            let part = |(key, value): (&String, &Value)| {
                (key.len() < left).then(|| short(value, dots, left / 2).map(|value| format!("{key}: {value}")))?
            };
            let parts: Option<Vec<String>> = members.iter().map(part).collect();
            format!("{{{}}}", parts?.join(", "))
        }
        Value::Array(_) | Value::Object(_) => return None,
        other => scalar(other, dots),
    };
    (text.chars().count() <= left).then_some(text)
}

fn add(value: &Value, label: &str, depth: usize, lines: &mut Vec<String>, most: usize, dots: &str) {
    if lines.len() > most {
        return;
    }
    let indent = "  ".repeat(depth.min(20));
    let label = if label.is_empty() { String::new() } else { format!("{label}: ") };
    if let Some(text) = short(value, dots, SHORT).filter(|_| depth > 0 || !value.is_object()) {
        lines.push(format!("{indent}{label}{text}"));
        return;
    }
    match value {
        Value::Object(members) => {
            let below = if label.is_empty() { depth } else { depth + 1 };
            if !label.is_empty() {
                lines.push(format!("{indent}{}", label.trim_end()));
            } else if members.is_empty() {
                lines.push(format!("{indent}{{}}"));
            }
            for (key, value) in members.iter().take(most) {
                let key: String = key.chars().take(STRING_MAX).collect();
                add(value, &key, below.max(1), lines, most, dots);
            }
        }
        Value::Array(items) => {
            lines.push(format!("{indent}{}{} items", label, items.len()));
            for item in items.iter().take(most) {
                add(item, "-", depth + 1, lines, most, dots);
            }
        }
        other => lines.push(format!("{indent}{label}{}", scalar(other, dots))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn shown(value: &Value, most: usize) -> Vec<String> {
        lines(value, most, "…").into_iter().map(Safe::into_string).collect()
    }

    #[test]
    fn small_values_stand_on_one_line_and_large_ones_are_bounded() {
        assert_eq!(shown(&json!({"a": 1, "b": {"c": [1, 2]}}), 9), ["  a: 1", "  b: {c: [1, 2]}"]);
        assert_eq!(shown(&json!("x"), 9), ["\"x\""]);
        let wide: Vec<u32> = (0..100_000).collect();
        let lines = shown(&json!({"list": wide}), 20);
        assert_eq!(lines.len(), 20);
        assert!(lines[0].contains("100000 items") && lines[19].contains("left out"), "{lines:?}");
        let long = shown(&json!({"text": "y".repeat(1_000_000)}), 9);
        assert!(long[0].chars().count() < 500 && long[0].contains("1000000 bytes"));
    }

    #[test]
    fn nothing_in_a_value_reaches_the_terminal_as_it_is() {
        let lines = shown(&json!({"\u{1b}[31mkey": "\u{9b}2J\u{202e}"}), 9);
        assert!(lines.iter().all(|line| !line.contains(['\u{1b}', '\u{9b}', '\u{202e}'])), "{lines:?}");
    }
}
