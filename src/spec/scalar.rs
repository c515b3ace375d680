//! What unquoted text of YAML means: the core schema of YAML 1.2, narrowed where people read it differently.
//!
//! Only `true` and `false` are booleans; `yes`, `on`, `True` are text. A number that YAML 1.1 and 1.2 (or people) read
//! differently, `010` or `1_000`, is refused with both readings. What cannot be kept as it is written, `1e400` or
//! integers beyond 64 bits, is refused too: a reader must not change numbers.

use crate::spec::diagnostic::Code;
use crate::spec::tree::Kind;
use serde_json::Number;

/// Why a scalar is refused, and what to write instead.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct BadScalar {
    pub(crate) code: Code,
    pub(crate) message: String,
    pub(crate) expected: String,
}

impl BadScalar {
    fn new(code: Code, message: impl Into<String>, expected: impl Into<String>) -> Self {
        Self { code, message: message.into(), expected: expected.into() }
    }
}

/// The value of an unquoted scalar.
pub(crate) fn plain(text: &str) -> Result<Kind, BadScalar> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Ok(Kind::Null),
        "true" => return Ok(Kind::Bool(true)),
        "false" => return Ok(Kind::Bool(false)),
        _ => {}
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if text.len() > 400 || !unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return Ok(Kind::Text(text.to_owned()));
    }
    if matches!(unsigned, ".inf" | ".Inf" | ".INF" | ".nan" | ".NaN" | ".NAN") {
        let message = format!("`{text}` is not a finite number");
        return Err(BadScalar::new(Code::NumberRange, message, format!("a finite number, or text: \"{text}\"")));
    }
    if let Some(digits) = unsigned.strip_prefix("0x") {
        return radix(text, digits, 16);
    }
    if let Some(digits) = unsigned.strip_prefix("0o") {
        return radix(text, digits, 8);
    }
    if !looks_decimal(unsigned) {
        return Ok(Kind::Text(text.to_owned()));
    }
    ambiguous(text, unsigned)?;
    decimal(text)
}

/// Digits, perhaps with `_`, a fraction and an exponent: nothing else is a number.
fn looks_decimal(unsigned: &str) -> bool {
    let (mantissa, exponent) = match unsigned.find(['e', 'E']) {
        Some(at) => (&unsigned[..at], Some(&unsigned[at + 1..])),
        None => (unsigned, None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit() || b == b'_');
    let exponent_fits = exponent.is_none_or(|part| {
        let part = part.strip_prefix(['-', '+']).unwrap_or(part);
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit())
    });
    let any_digit = mantissa.bytes().any(|b| b.is_ascii_digit());
    let starts_well =
        whole.starts_with(|c: char| c.is_ascii_digit()) || (whole.is_empty() && !fraction.starts_with('_'));
    digits(whole) && digits(fraction) && exponent_fits && any_digit && starts_well
}

fn ambiguous(text: &str, unsigned: &str) -> Result<(), BadScalar> {
    if text.contains('_') {
        let plain = text.replace('_', "");
        let message = format!("`{text}` is the text \"{text}\" to YAML 1.2 and the number {plain} to YAML 1.1");
        return Err(BadScalar::new(Code::AmbiguousNumber, message, format!("{plain}, or \"{text}\" for text")));
    }
    let second_is_digit = unsigned.as_bytes().get(1).is_some_and(u8::is_ascii_digit);
    if !unsigned.starts_with('0') || !second_is_digit {
        return Ok(());
    }
    let sign = &text[..text.len() - unsigned.len()];
    let trimmed = unsigned.trim_start_matches('0');
    let zero = if trimmed.starts_with(|c: char| c.is_ascii_digit()) { "" } else { "0" };
    let decimal = format!("{sign}{zero}{trimmed}");
    let octal = if unsigned.bytes().all(|b| b.is_ascii_digit()) { i64::from_str_radix(unsigned, 8).ok() } else { None };
    let (other, ways) = match octal {
        Some(octal) => (format!("the number {sign}{octal} to YAML 1.1"), format!(", {sign}{octal}")),
        None => (format!("the text \"{text}\" to others"), String::new()),
    };
    let message = format!("`{text}` is the number {decimal} to YAML 1.2 and {other}");
    Err(BadScalar::new(Code::AmbiguousNumber, message, format!("{decimal}{ways}, or \"{text}\" for text")))
}

fn radix(text: &str, digits: &str, radix: u32) -> Result<Kind, BadScalar> {
    let spare = digits.replace('_', "");
    if spare.is_empty() || !spare.chars().all(|c| c.is_digit(radix)) {
        return Ok(Kind::Text(text.to_owned()));
    }
    if spare.len() != digits.len() {
        return ambiguous(text, digits).map(|()| Kind::Null);
    }
    let Ok(number) = u64::from_str_radix(digits, radix) else { return Err(beyond(text)) };
    if !text.starts_with('-') {
        return Ok(Kind::Number(number.into()));
    }
    // The core schema knows no sign here.
    Ok(Kind::Text(text.to_owned()))
}

fn beyond(text: &str) -> BadScalar {
    let message = format!("the number {} does not fit 64 bits", crate::spec::words::clip(text, 40));
    BadScalar::new(
        Code::NumberRange,
        message,
        "a whole number of at most 64 bits, a number with an exponent, or text in quotes",
    )
}

/// A decimal number as it is written, already known to be one.
pub(crate) fn decimal(text: &str) -> Result<Kind, BadScalar> {
    let text_without_plus = text.strip_prefix('+').unwrap_or(text);
    if !text.contains(['.', 'e', 'E']) {
        if let Ok(number) = text_without_plus.parse::<u64>() {
            return Ok(Kind::Number(number.into()));
        }
        return match text_without_plus.parse::<i64>() {
            Ok(number) => Ok(Kind::Number(number.into())),
            Err(_) => Err(beyond(text)),
        };
    }
    match text_without_plus.parse::<f64>().ok().and_then(Number::from_f64) {
        Some(number) => Ok(Kind::Number(number)),
        None => Err(BadScalar::new(
            Code::NumberRange,
            format!("the number {} is too large", crate::spec::words::clip(text, 40)),
            "a number up to 1.7e308",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn value(text: &str) -> Value {
        crate::spec::tree::Node { span: Default::default(), kind: plain(text).unwrap() }.to_value()
    }

    #[test]
    fn only_true_and_false_are_booleans() {
        assert_eq!([value("true"), value("false")], [json!(true), json!(false)]);
        for text in ["yes", "no", "on", "off", "True", "FALSE", "y", "n"] {
            assert_eq!(value(text), json!(text));
        }
    }

    #[test]
    fn numbers_of_the_core_schema_are_numbers_and_look_alikes_are_text() {
        let numbers = [
            ("0", json!(0)),
            ("-17", json!(-17)),
            ("+5", json!(5)),
            ("0x1F", json!(31)),
            ("0o17", json!(15)),
            ("1.5", json!(1.5)),
            (".5", json!(0.5)),
            ("1.", json!(1.0)),
            ("1e3", json!(1000.0)),
            ("0.25", json!(0.25)),
            ("18446744073709551615", json!(u64::MAX)),
            ("-9223372036854775808", json!(i64::MIN)),
        ];
        for (text, number) in numbers {
            assert_eq!(value(text), number, "{text}");
        }
        for text in ["1.2.3", "2024-01-02", "10s", "1e", "0x", "0o9", "12:30", "-", ".", "1_a", "_1", "-0x1", "e5", "+"]
        {
            assert_eq!(value(text), json!(text), "{text}");
        }
        for text in ["", "~", "null"] {
            assert_eq!(value(text), json!(null));
        }
    }

    #[test]
    fn a_number_with_two_readings_is_refused_with_both() {
        let message = |text: &str| plain(text).unwrap_err().message;
        assert_eq!(message("010"), "`010` is the number 10 to YAML 1.2 and the number 8 to YAML 1.1");
        assert_eq!(message("-007"), "`-007` is the number -7 to YAML 1.2 and the number -7 to YAML 1.1");
        assert_eq!(message("08"), "`08` is the number 8 to YAML 1.2 and the text \"08\" to others");
        assert_eq!(message("00.5"), "`00.5` is the number 0.5 to YAML 1.2 and the text \"00.5\" to others");
        assert_eq!(message("1_000"), "`1_000` is the text \"1_000\" to YAML 1.2 and the number 1000 to YAML 1.1");
        assert_eq!(plain("0x_ff").unwrap_err().code, Code::AmbiguousNumber);
    }

    #[test]
    fn numbers_that_cannot_be_kept_are_refused() {
        for text in ["1e400", "-1e999", ".inf", "-.INF", ".nan", "18446744073709551616", "-9223372036854775809"] {
            assert_eq!(plain(text).unwrap_err().code, Code::NumberRange, "{text}");
        }
    }
}
