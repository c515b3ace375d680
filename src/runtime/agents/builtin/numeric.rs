//! `numeric`: figures of numbers that are given, or found in a text.
//!
//! In a text a number is digits with a point and an exponent as JSON writes them. A sign belongs to it where no letter, digit
//! or point stands before it: `-5` is minus five, `2024-01-05` are 2024, 1 and 5. Commas between digits separate.

use super::args::{Args, permanent};
use super::numbers;
use super::sources::{no_number, too_large};
use crate::model::completion::Failure;
use regex::Regex;
use serde_json::{Number, Value, json};
use std::sync::LazyLock;

#[expect(clippy::expect_used, reason = "a constant pattern, compiled by the tests")]
static NUMBER: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?").expect("it is a pattern"));

/// Does it.
pub(super) fn numeric(input: &Value) -> Result<Value, Failure> {
    let args = Args::new("numeric", input, &["values", "text", "input", "value"])?;
    let (name, subject) = args.subject(&["values", "text", "input", "value"])?;
    let found: Vec<Number> = match subject {
        Value::String(text) if name != "values" => in_text(text),
        Value::Number(number) if name != "text" => vec![number.clone()],
        Value::Array(list) if name != "text" => {
            let number = |(at, value): (usize, &Value)| match value {
                Value::Number(number) => Ok(number.clone()),
                other => Err(permanent(format!("`numeric`: {}", no_number(&format!("{name}[{at}]"), other).message))),
            };
            list.iter().enumerate().map(number).collect::<Result<_, _>>()?
        }
        other => {
            let expected = match name {
                "values" => "a list of numbers",
                "text" => "text",
                _ => "a list of numbers, or text with numbers in it,",
            };
            return Err(args.wrong(name, other, expected));
        }
    };
    let or_null = |number: Option<&Number>| number.cloned().map_or(Value::Null, Value::Number);
    Ok(json!({
        "count": found.len(),
        "sum": numbers::sum(&found).ok_or_else(too_large)?,
        "mean": numbers::mean(&found).ok_or_else(too_large)?,
        "min": or_null(numbers::least(&found)),
        "max": or_null(numbers::greatest(&found)),
        "median": numbers::median(&found).ok_or_else(too_large)?,
        "stddev": numbers::deviation(&found).ok_or_else(too_large)?,
    }))
}

/// The numbers of a value: itself, those of a list of nothing else, or those of a text that is mostly digits.
pub fn numbers_of(value: &Value) -> Vec<Number> {
    match value {
        Value::Number(number) => vec![number.clone()],
        Value::Array(list) if list.iter().all(Value::is_number) => list
            .iter()
            .filter_map(|value| if let Value::Number(number) = value { Some(number.clone()) } else { None })
            .collect(),
        Value::String(text) if is_mostly_digits(text) => in_text(text),
        _ => Vec::new(),
    }
}

/// Whether there are more digits than letters and other signs in a text; what numbers are written with does not count.
pub fn is_mostly_digits(text: &str) -> bool {
    let (mut digits, mut others) = (0_usize, 0_usize);
    for c in text.chars() {
        digits += usize::from(c.is_ascii_digit());
        others += usize::from(!c.is_ascii_digit() && !c.is_whitespace() && !"+-.,;:%eE".contains(c));
    }
    digits > others
}

/// The numbers of a text. Those beyond the largest one are no numbers.
fn in_text(text: &str) -> Vec<Number> {
    let number = |found: regex::Match<'_>| {
        let mut before = text[..found.start()].chars().rev();
        let signed = before.next().filter(|sign| "+-".contains(*sign));
        let joins = |c: char| c.is_alphanumeric() || c == '.' || c == '_' || c == '-';
        let is_negative = signed == Some('-') && !before.next().is_some_and(joins);
        // Leading zeros are none in JSON.
        let digits = found.as_str().trim_start_matches('0');
        let zero = if digits.starts_with(|c: char| c.is_ascii_digit()) { "" } else { "0" };
        let sign = if is_negative { "-" } else { "" };
        serde_json::from_str::<Number>(&format!("{sign}{zero}{digits}")).ok()
    };
    NUMBER.find_iter(text).filter_map(number).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers_in(text: &str) -> String {
        serde_json::to_string(&in_text(text)).unwrap()
    }

    #[test]
    fn numbers_are_found_in_texts() {
        assert_eq!(numbers_in("3 apples, -2.5 pears and 1e3 nuts"), "[3,-2.5,1000.0]");
        assert_eq!(numbers_in("2024-01-05, v-1, +7, (-8) −9 x=-0.50"), "[2024,1,5,1,7,-8,9,-0.5]");
        assert_eq!(numbers_in("1,000 and 1.2.3 and 007 and 0 and 1e999"), "[1,0,1.2,3,7,0]");
        assert_eq!(numbers_in("none"), "[]");
    }

    #[test]
    fn figures_are_those_of_the_numbers() {
        let told = |input: Value| numeric(&input).unwrap();
        let all =
            json!({"count": 4, "sum": 10, "mean": 2.5, "min": 1, "max": 4, "median": 2.5, "stddev": 1.25_f64.sqrt()});
        assert_eq!(told(json!({"values": [4, 1, 3, 2]})), all);
        assert_eq!(told(json!({"text": "4 1 3 2"})), all);
        assert_eq!(told(json!({"input": "4 1 3 2"})), all);
        let none =
            json!({"count": 0, "sum": 0, "mean": null, "min": null, "max": null, "median": null, "stddev": null});
        assert_eq!(told(json!({"text": "none"})), none);
        assert_eq!(told(json!({"value": 7}))["sum"], 7);
    }

    #[test]
    fn what_are_no_numbers_is_refused() {
        for (input, words) in [
            (json!({"values": [1, "2"]}), "`values[1]` is the text \"2\", a number is expected"),
            (json!({"values": "1"}), "`values` is the text \"1\", a list of numbers is expected"),
            (json!({"text": 1}), "`text` is 1, text is expected"),
            (json!({"input": {}}), "`input` is an object"),
            (json!({"values": [1e308, 1e308]}), "too large"),
        ] {
            let told = numeric(&input).unwrap_err().message;
            assert!(told.contains(words), "{told}");
        }
    }
}
