//! Paths into JSON documents: `user.names[0]`. Reading never fails loudly; writing makes what is missing.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::fmt;

/// The largest index a path may name: writing it must not make a document without bound.
pub const INDEX_MAX: usize = 9_999;
/// The most parts of a path: as deep as a file may nest.
pub const PATH_PARTS_MAX: usize = 64;

/// One part of a path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Part {
    /// A position in a list, from 0.
    Index(usize),
    /// A member of an object.
    Key(String),
}

/// A data path: `a.b[0].c`. The empty path is the whole document and cannot be written in a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Path(pub Vec<Part>);

impl Path {
    /// Reads `a.b[0].c`. Keys are any characters but `.`, `[`, `]`, `"`, white space and control characters; other
    /// keys are quoted: `a."odd key".b`.
    ///
    /// # Errors
    /// A sentence that says what is wrong and what a path looks like.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        let bad = |why: &str| Err(format!("{why}; a data path looks like `user.names[0]`"));
        loop {
            if let Some(quoted) = rest.strip_prefix('"') {
                let Some(end) = quoted.find('"') else { return bad("a quoted key has no closing quote") };
                parts.push(Part::Key(quoted[..end].to_owned()));
                rest = &quoted[end + 1..];
            } else {
                let end = rest.find(['.', '[']).unwrap_or(rest.len());
                let key = &rest[..end];
                if key.is_empty() {
                    return bad("a key is missing");
                }
                if key.contains(|c: char| c == ']' || c == '"' || c.is_whitespace() || c.is_control()) {
                    return bad("a key holds a character that needs quotes");
                }
                parts.push(Part::Key(key.to_owned()));
                rest = &rest[end..];
            }
            while let Some(inner) = rest.strip_prefix('[') {
                let Some(end) = inner.find(']') else { return bad("`[` has no `]`") };
                match inner[..end].parse::<usize>() {
                    Ok(index) if index <= INDEX_MAX => parts.push(Part::Index(index)),
                    Ok(_) => return bad(&format!("an index is at most {INDEX_MAX}")),
                    Err(_) => return bad("an index is a whole number"),
                }
                rest = &inner[end + 1..];
            }
            if parts.len() > PATH_PARTS_MAX {
                return bad(&format!("a path has at most {PATH_PARTS_MAX} parts"));
            }
            if rest.is_empty() {
                return Ok(Self(parts));
            }
            let Some(next) = rest.strip_prefix('.') else { return bad("a `.` is missing after `]` or a quoted key") };
            rest = next;
        }
    }

    /// The value at this path, if there is one.
    #[must_use]
    pub fn get<'v>(&self, root: &'v Value) -> Option<&'v Value> {
        self.0.iter().try_fold(root, |value, part| match part {
            Part::Key(key) => value.get(key.as_str()),
            Part::Index(index) => value.get(*index),
        })
    }

    /// Writes `new` at this path. Missing objects and lists are made on the way, a list grows by `null`s up to the
    /// index; a value of another shape that stands in the way is replaced.
    pub fn set(&self, root: &mut Value, new: Value) {
        let mut place = root;
        for part in &self.0 {
            place = match part {
                Part::Key(key) => {
                    if !place.is_object() {
                        *place = Value::Object(Map::new());
                    }
                    let Value::Object(map) = place else { unreachable!("made an object just now") };
                    map.entry(key.clone()).or_insert(Value::Null)
                }
                Part::Index(index) => {
                    if !place.is_array() {
                        *place = Value::Array(Vec::new());
                    }
                    let Value::Array(list) = place else { unreachable!("made a list just now") };
                    if list.len() <= *index {
                        list.resize(index + 1, Value::Null);
                    }
                    &mut list[*index]
                }
            };
        }
        *place = new;
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, part) in self.0.iter().enumerate() {
            match part {
                Part::Index(index) => write!(f, "[{index}]")?,
                Part::Key(key) => {
                    let plain = !key.is_empty()
                        && !key.contains(|c: char| ".[]\"".contains(c) || c.is_whitespace() || c.is_control());
                    let dot = if at == 0 { "" } else { "." };
                    if plain { write!(f, "{dot}{key}")? } else { write!(f, "{dot}\"{key}\"")? }
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn paths_read_back_as_they_were_written() {
        for text in ["a", "a.b.c", "a[0]", "a.b[2][3].c", "a.\"odd key\".b", "\"x.y\""] {
            assert_eq!(Path::parse(text).unwrap().to_string(), text);
        }
        for text in ["", ".a", "a.", "a..b", "a[", "a[x]", "a[0]b", "a b", "a[10000]", "a\"b\"", "\"a", "[0]"] {
            assert!(Path::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn writing_makes_what_is_missing_and_reading_finds_it() {
        let mut data = json!({"a": 1});
        Path::parse("b.c[2].d").unwrap().set(&mut data, json!("x"));
        assert_eq!(data, json!({"a": 1, "b": {"c": [null, null, {"d": "x"}]}}));
        Path::parse("a.z").unwrap().set(&mut data, json!(2));
        assert_eq!(Path::parse("a.z").unwrap().get(&data), Some(&json!(2)));
        assert_eq!(Path::parse("a.z.q").unwrap().get(&data), None);
    }
}
