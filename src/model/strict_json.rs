//! JSON from agents and people, read strictly: no duplicate members, at most 128 levels, finite numbers, and nothing after it.
//!
//! `serde_json` alone would keep the last of two members of one name without a word, and its own limit of levels is one
//! too low.

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use std::fmt;

/// Objects and arrays may be inside each other this often.
const DEPTH_MAX: u32 = 128;

/// Reads one JSON document.
///
/// # Errors
/// What is wrong, with line and column.
pub fn parse(text: &[u8]) -> Result<Value, serde_json::Error> {
    let mut reader = serde_json::Deserializer::from_slice(text);
    // Ours is checked at every level, before the next one is entered.
    reader.disable_recursion_limit();
    let value = Strict { depth: 0 }.deserialize(&mut reader)?;
    reader.end()?;
    Ok(value)
}

/// Reads a value that stands inside so many others.
#[derive(Clone, Copy)]
struct Strict {
    depth: u32,
}

impl Strict {
    fn enter<E: Error>(self) -> Result<Self, E> {
        if self.depth >= DEPTH_MAX {
            return Err(E::custom(format_args!("more than {DEPTH_MAX} levels")));
        }
        Ok(Self { depth: self.depth + 1 })
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }
    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }
    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("a number that is not finite"))
    }
    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_string<E: Error>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let inner = self.enter()?;
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(inner)? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let inner = self.enter()?;
        let mut object = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            if object.contains_key(&name) {
                return Err(A::Error::custom(format_args!("the member `{name}` stands there twice")));
            }
            let value = members.next_value_seed(inner)?;
            object.insert(name, value);
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_read_as_they_are() {
        for text in
            ["null", "true", "-1", "18446744073709551615", "1.5", r#""a\u00e9\n""#, r#"{"b":[1,{"a":{}}],"a":[]}"#]
        {
            assert_eq!(parse(text.as_bytes()).unwrap(), serde_json::from_str::<Value>(text).unwrap());
        }
        assert_eq!(parse(b" \n[1]\r\n\t").unwrap(), serde_json::json!([1]));
    }

    #[test]
    fn what_others_let_pass_is_refused_with_its_place() {
        for (text, words) in [
            ("", "EOF"),
            ("{\n\"a\":1,\"a\":2}", "the member `a` stands there twice at line 2 column 9"),
            (r#"{"o":[{"x":1,"y":2,"x":3}]}"#, "the member `x` stands there twice"),
            ("1e400", "number out of range"),
            ("NaN", "expected"),
            ("[1] [2]", "trailing characters"),
            ("{\"a\":1}garbage", "trailing characters"),
            ("[1,]", "trailing comma"),
            ("\"\u{1}\"", "control character"),
            ("\u{feff}1", "expected value"),
        ] {
            let error = parse(text.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(words), "{text}: {error}");
        }
        assert!(parse(b"\"\xff\"").is_err());
    }

    #[test]
    fn one_hundred_and_twenty_eight_levels_pass_and_one_more_does_not() {
        let nested = |levels: usize| format!("{}1{}", "[".repeat(levels), "]".repeat(levels));
        assert!(parse(nested(128).as_bytes()).is_ok());
        assert!(parse(nested(129).as_bytes()).unwrap_err().to_string().contains("128 levels"));
        let objects = |levels: usize| format!("{}1{}", "{\"a\":".repeat(levels), "}".repeat(levels));
        assert!(parse(objects(128).as_bytes()).is_ok());
        assert!(parse(objects(129).as_bytes()).is_err());
        assert!(parse("[".repeat(10_000_000).as_bytes()).is_err(), "and no stack is exhausted");
    }
}
