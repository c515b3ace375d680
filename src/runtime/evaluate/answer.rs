//! A filter's value as JSON, or why it cannot be written so.
//!
//! Values of jq are more than JSON: numbers may be infinite, keys may be anything, there are strings of bytes. Numbers are
//! written as jq people expect them: what was computed and is whole has no fraction (`6 / 2` is `3`).

use super::ANSWER_MAX;
use jaq_json::{Num, Val};
use std::io::Write;

/// Objects and lists may be inside each other this often, as everywhere in data.
const DEPTH_MAX: u32 = 128;
/// Whole numbers up to here are exact in a float.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;

/// Writes a value behind what is in `out`.
///
/// # Errors
/// Why it is not JSON, or too much of it.
pub(super) fn write(value: &Val, out: &mut Vec<u8>) -> Result<(), String> {
    Writer { limit: out.len() + ANSWER_MAX, out }.value(value, 0)
}

struct Writer<'o> {
    out: &'o mut Vec<u8>,
    limit: usize,
}

impl Writer<'_> {
    fn value(&mut self, value: &Val, depth: u32) -> Result<(), String> {
        match value {
            Val::Null => self.text("null"),
            Val::Bool(true) => self.text("true"),
            Val::Bool(false) => self.text("false"),
            Val::Num(number) => self.number(number),
            Val::TStr(bytes) => self.string(bytes),
            Val::BStr(_) => Err("the filter's value holds bytes, which JSON cannot".to_owned()),
            Val::Arr(items) => {
                let inner = inside(depth)?;
                self.text("[")?;
                for (at, item) in items.iter().enumerate() {
                    self.text(if at == 0 { "" } else { "," })?;
                    self.value(item, inner)?;
                }
                self.text("]")
            }
            Val::Obj(members) => {
                let inner = inside(depth)?;
                self.text("{")?;
                for (at, (key, value)) in members.iter().enumerate() {
                    self.text(if at == 0 { "" } else { "," })?;
                    let Val::TStr(name) = key else {
                        return Err("the filter's value has a key that is no string".to_owned());
                    };
                    self.string(name)?;
                    self.text(":")?;
                    self.value(value, inner)?;
                }
                self.text("}")
            }
        }
    }

    fn number(&mut self, number: &Num) -> Result<(), String> {
        let float = |number: f64| match number.is_finite() {
            true => Ok(number),
            false => Err(format!("the filter's value holds {number}, which is not a number of JSON")),
        };
        let written = match number {
            Num::Int(whole) => whole.to_string(),
            // JSON readers take such numbers for floats; one that is none would be refused.
            Num::BigInt(whole) => {
                let text = whole.to_string();
                float(text.parse().unwrap_or(f64::INFINITY)).map(|_| text)?
            }
            Num::Dec(text) => float(text.parse().unwrap_or(f64::NAN)).map(|_| text.to_string())?,
            Num::Float(number) => {
                let number = float(*number)?;
                let is_whole = number.fract() == 0.0 && number.abs() < EXACT_MAX && !is_negative_zero(number);
                if is_whole { format!("{number:.0}") } else { serde_json::Value::from(number).to_string() }
            }
        };
        self.text(&written)
    }

    fn string(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.room(bytes.len())?;
        let text =
            std::str::from_utf8(bytes).map_err(|_| "the filter's value holds text that is not UTF-8".to_owned())?;
        serde_json::to_writer(&mut *self.out, text).map_err(|error| error.to_string())?;
        self.room(0)
    }

    fn text(&mut self, text: &str) -> Result<(), String> {
        self.room(text.len())?;
        self.out.write_all(text.as_bytes()).map_err(|error| error.to_string())
    }

    fn room(&self, more: usize) -> Result<(), String> {
        if self.out.len() + more > self.limit {
            return Err(format!("the filter's value has more than {} MB", ANSWER_MAX >> 20));
        }
        Ok(())
    }
}

fn inside(depth: u32) -> Result<u32, String> {
    if depth >= DEPTH_MAX {
        return Err(format!("the filter's value has more than {DEPTH_MAX} levels"));
    }
    Ok(depth + 1)
}

fn is_negative_zero(number: f64) -> bool {
    number == 0.0 && number.is_sign_negative()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::strict_json;

    fn round(text: &str) -> Result<String, String> {
        let value = jaq_json::read::parse_single(text.as_bytes()).unwrap();
        let mut out = Vec::new();
        write(&value, &mut out)?;
        strict_json::parse(&out).unwrap();
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn documents_come_out_as_they_went_in() {
        for text in [
            "null",
            "[true,false,-1,1.0,1e23,18446744073709551615,123456789012345678901234567890]",
            r#"{"b":{"é\"\n":[]},"a":{}}"#,
            r#""\u001b and \u0000""#,
        ] {
            assert_eq!(round(text).as_deref(), Ok(text));
        }
    }

    #[test]
    fn what_was_computed_and_is_whole_has_no_fraction() {
        let written = |number: f64| {
            let mut out = Vec::new();
            write(&Val::Num(Num::Float(number)), &mut out).map(|()| String::from_utf8(out).unwrap())
        };
        assert_eq!(written(3.0).as_deref(), Ok("3"));
        assert_eq!(written(-2.5).as_deref(), Ok("-2.5"));
        assert_eq!(written(1e300).unwrap().parse(), Ok(1e300));
        assert_eq!(written(-0.0).as_deref(), Ok("-0.0"));
        for number in [f64::INFINITY, f64::NEG_INFINITY, f64::NAN] {
            assert!(written(number).unwrap_err().contains("not a number of JSON"));
        }
    }

    #[test]
    fn what_json_cannot_hold_is_refused() {
        let nested = |levels: usize| format!("{}1{}", "[".repeat(levels), "]".repeat(levels));
        assert!(round(&nested(128)).is_ok());
        assert!(round(&nested(129)).unwrap_err().contains("128 levels"));
        assert!(round("1e400").unwrap_err().contains("not a number"));
        assert!(round(&"9".repeat(400)).unwrap_err().contains("not a number"));
        let refused = |value: &Val| write(value, &mut Vec::new()).unwrap_err();
        assert!(refused(&Val::byte_str("x")).contains("bytes"));
        assert!(refused(&Val::utf8_str(vec![0xff])).contains("UTF-8"));
        assert!(refused(&Val::obj([(Val::from(1_usize), Val::Null)].into_iter().collect())).contains("no string"));
        assert!(refused(&Val::utf8_str("x".repeat(ANSWER_MAX))).contains("16 MB"));
        assert!(refused(&Val::utf8_str("\u{1}".repeat(ANSWER_MAX / 4))).contains("16 MB"), "as it is written");
    }
}
