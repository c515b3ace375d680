//! What a text of the file computes: a data path, a jq filter, or a template of text and filters.
//!
//! ```text
//!   where a path or a filter stands (input, for_each, if …)     where a value stands (with, env …)
//!     user.names[0]            a data path                        plain text           nothing to compute
//!     .user | keys             a filter: begins . $ ( [ {         ${{ .user }}         a filter: the JSON type is kept
//!     ${{ .user | keys }}      a filter                           Dear ${{ .name }}!   a template: always text
//! ```
//!
//! Here texts are only taken apart: whether a filter is jq is for the compiler to say. A filter that does nothing but
//! follow a path (`.a.b[0]`) is known as such, because it can be answered at once by [`follow`].

use crate::model::path::{INDEX_MAX, PATH_PARTS_MAX, Part, Path};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::borrow::Cow;

/// What opens a filter inside a text.
const OPENING: &str = "${{";
/// What closes it.
const CLOSING: &str = "}}";

/// What is wrong with a text or a filter, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The byte of the text at which it shows.
    pub at: usize,
    /// What is wrong and what would be right.
    pub message: String,
}

/// A jq filter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filter {
    text: String,
    /// The byte of the whole text at which the filter begins.
    at: usize,
    /// The path, if the filter does nothing but follow one.
    path: Option<Path>,
}

/// A part of a template.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Piece {
    /// Stands there as it is.
    Text(String),
    /// Is replaced by its value.
    Filter(Filter),
}

/// Something that is computed when it is needed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Expression {
    /// A place in the run's data.
    Path(Path),
    /// Any JSON value.
    Filter(Filter),
    /// Text with values put in.
    Template(Vec<Piece>),
}

impl Filter {
    fn new(text: &str, at: usize) -> Self {
        let at = at + (text.len() - text.trim_start().len());
        let text = text.trim();
        Self { text: text.to_owned(), at, path: plain_path(text) }
    }
    /// The filter itself, without what encloses it.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }
    /// The byte of the whole text at which the filter begins, to place what a compiler says of it.
    #[must_use]
    pub const fn at(&self) -> usize {
        self.at
    }
    /// The path, if the filter does nothing but follow one; the empty path is `.`.
    #[must_use]
    pub const fn path(&self) -> Option<&Path> {
        self.path.as_ref()
    }
}

impl Expression {
    /// Reads a text that stands where a path or a filter is due.
    ///
    /// # Errors
    /// The first fault, with its place.
    pub fn of_source(text: &str) -> Result<Self, Fault> {
        let trimmed = text.trim();
        let start = text.len() - text.trim_start().len();
        let fault = |at: usize, message: &str| Err(Fault { at, message: message.to_owned() });
        if trimmed.is_empty() {
            return fault(
                0,
                "a data path like `user.names[0]` or a filter like `.user | keys` is expected, not nothing",
            );
        }
        if trimmed.starts_with(OPENING) {
            let mut pieces = split(text)?.into_iter().filter(|piece| !is_blank(piece));
            return match (pieces.next(), pieces.next()) {
                (Some(Piece::Filter(filter)), None) => Ok(Self::Filter(filter)),
                _ => fault(start, "`${{ … }}` has to be the whole text here; write what stands beside it inside it"),
            };
        }
        if trimmed.starts_with(['.', '$', '(', '[', '{']) {
            scan(trimmed, 0, false).map_err(|fault| Fault { at: fault.at + start, ..fault })?;
            return Ok(Self::Filter(Filter::new(trimmed, start)));
        }
        if let Some(at) = text.find(OPENING) {
            return fault(at, "a data path holds no `${{`; begin with `.` to write a filter");
        }
        Path::parse(trimmed).map(Self::Path).map_err(|message| Fault { at: start, message })
    }

    /// Reads a text that stands where only a filter is due, with or without `${{ }}` around it.
    ///
    /// # Errors
    /// The first fault, with its place.
    pub fn of_filter(text: &str) -> Result<Self, Fault> {
        let trimmed = text.trim();
        if trimmed.is_empty() {
            return Err(Fault { at: 0, message: "a filter like `map(.id)` is expected, not nothing".to_owned() });
        }
        if trimmed.starts_with(OPENING) {
            return Self::of_source(text);
        }
        let start = text.len() - text.trim_start().len();
        scan(trimmed, 0, false).map_err(|fault| Fault { at: fault.at + start, ..fault })?;
        Ok(Self::Filter(Filter::new(trimmed, start)))
    }

    /// Reads a text that stands where a value is due. `None`: it is nothing but text.
    ///
    /// # Errors
    /// The first fault, with its place.
    pub fn of_text(text: &str) -> Result<Option<Self>, Fault> {
        if !text.contains(OPENING) {
            return Ok(None);
        }
        let mut pieces = split(text)?;
        Ok(Some(match pieces.pop() {
            Some(Piece::Filter(filter)) if pieces.is_empty() => Self::Filter(filter),
            last => {
                pieces.extend(last);
                Self::Template(pieces)
            }
        }))
    }

    /// The filters in it, in order.
    pub fn filters(&self) -> impl Iterator<Item = &Filter> {
        let (alone, pieces) = match self {
            Self::Path(_) => (None, &[][..]),
            Self::Filter(filter) => (Some(filter), &[][..]),
            Self::Template(pieces) => (None, pieces.as_slice()),
        };
        alone.into_iter().chain(pieces.iter().filter_map(|piece| match piece {
            Piece::Text(_) => None,
            Piece::Filter(filter) => Some(filter),
        }))
    }
}

/// The text of a template: `values` are those of its filters, in order; one that is not there is null.
#[must_use]
pub fn fill(pieces: &[Piece], values: &[Value]) -> String {
    let mut values = values.iter();
    let parts = pieces.iter().map(|piece| match piece {
        Piece::Text(text) => Cow::Borrowed(text.as_str()),
        Piece::Filter(_) => in_text(values.next().unwrap_or(&Value::Null)),
    });
    parts.collect()
}

/// A value as it stands inside a text: strings as they are, others as JSON.
fn in_text(value: &Value) -> Cow<'_, str> {
    match value {
        Value::String(text) => Cow::Borrowed(text),
        other => Cow::Owned(other.to_string()),
    }
}

/// Whether a value holds a filter at any depth.
#[must_use]
pub fn holds_filters(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains(OPENING),
        Value::Array(list) => list.iter().any(holds_filters),
        Value::Object(members) => members.values().any(holds_filters),
        _ => false,
    }
}

/// Whether a condition holds that gave this value; `None`: there was nothing at its path. As in jq, everything holds but
/// `null` and `false`.
#[must_use]
pub fn is_true(value: Option<&Value>) -> bool {
    !matches!(value, None | Some(Value::Null | Value::Bool(false)))
}

/// Follows a filter's path as the evaluator would: null and what is not there give null, and so does an index into an
/// object, whose keys may be anything to the evaluator.
///
/// # Errors
/// If something on the way has no members or elements of that kind.
pub fn follow<'v>(path: &Path, root: &'v Value) -> Result<&'v Value, String> {
    const NULL: &Value = &Value::Null;
    path.0.iter().try_fold(root, |value, part| match (value, part) {
        (Value::Null, _) | (Value::Object(_), Part::Index(_)) => Ok(NULL),
        (Value::Object(members), Part::Key(key)) => Ok(members.get(key).unwrap_or(NULL)),
        (Value::Array(list), Part::Index(index)) => Ok(list.get(*index).unwrap_or(NULL)),
        (other, Part::Key(key)) => Err(format!("cannot index {} with {}", kind(other), Value::from(key.as_str()))),
        (other, Part::Index(index)) => Err(format!("cannot index {} with {index}", kind(other))),
    })
}

const fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn is_blank(piece: &Piece) -> bool {
    matches!(piece, Piece::Text(text) if text.trim().is_empty())
}

/// Takes a text apart at every `${{ … }}`.
fn split(text: &str) -> Result<Vec<Piece>, Fault> {
    let mut pieces = Vec::new();
    let mut from = 0;
    while let Some(found) = text[from..].find(OPENING) {
        let opening = from + found;
        if found > 0 {
            pieces.push(Piece::Text(text[from..opening].to_owned()));
        }
        let inside = opening + OPENING.len();
        let end = scan(text, inside, true)?.ok_or_else(|| Fault {
            at: opening,
            message: "`${{` is never closed; a filter inside a text ends with `}}`".to_owned(),
        })?;
        let filter = Filter::new(&text[inside..end], inside);
        if filter.text.is_empty() {
            let message = "there is no filter between `${{` and `}}`; `${{ . }}` would be all of the data";
            return Err(Fault { at: opening, message: message.to_owned() });
        }
        pieces.push(Piece::Filter(filter));
        from = end + CLOSING.len();
    }
    if from < text.len() {
        pieces.push(Piece::Text(text[from..].to_owned()));
    }
    Ok(pieces)
}

/// Walks over a filter that begins at `from`, minding strings, what is put into them, brackets and comments. Gives the
/// place of the `}}` that ends it, if it is `enclosed` and there is one.
fn scan(text: &str, from: usize, enclosed: bool) -> Result<Option<usize>, Fault> {
    let bytes = text.as_bytes();
    let starts = |at: usize, word: &str| bytes[at..].starts_with(word.as_bytes());
    // What closes everything that is open, and where that was opened.
    let mut open: Vec<(u8, usize)> = Vec::new();
    let mut at = from;
    while at < bytes.len() {
        let inner = open.last().map(|(closing, _)| *closing);
        match (inner, bytes[at]) {
            (Some(b'"'), b'\\') => {
                at += 1;
                if bytes.get(at) == Some(&b'(') {
                    open.push((b')', at));
                }
            }
            (Some(closing), byte) if closing == byte => {
                open.pop();
            }
            (Some(b'"'), _) => {}
            (_, b'$') if starts(at, OPENING) => {
                let message = "a `${{` inside a filter; inside, the filter goes on without it";
                return Err(Fault { at, message: message.to_owned() });
            }
            // Brackets that are open here are left to the compiler, which knows more about them.
            (_, b'}') if enclosed && starts(at, CLOSING) => return Ok(Some(at)),
            (_, b'"') => open.push((b'"', at)),
            (_, b'(') => open.push((b')', at)),
            (_, b'[') => open.push((b']', at)),
            (_, b'{') => open.push((b'}', at)),
            (_, b'#') => {
                let is_over = |end: usize| bytes[end] == b'\n' || (enclosed && starts(end, CLOSING));
                at = (at..bytes.len()).find(|end| is_over(*end)).unwrap_or(bytes.len());
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    match open.iter().find(|(closing, _)| *closing == b'"') {
        Some((_, at)) => {
            Err(Fault { at: *at, message: "the string that begins here is never closed with `\"`".to_owned() })
        }
        None => Ok(None),
    }
}

/// The path of a filter that does nothing but follow one: `.`, `.a.b[0]`, `.["a key"]`, `."a key"`.
fn plain_path(text: &str) -> Option<Path> {
    let mut parts = Vec::new();
    let mut rest = match text.strip_prefix('.')? {
        "" => return Some(Path(parts)),
        after if after.starts_with('[') => after,
        _ => text,
    };
    while !rest.is_empty() && parts.len() < PATH_PARTS_MAX {
        let (part, after) = if let Some(inner) = rest.strip_prefix('[') {
            let (part, after) = if inner.starts_with('"') { quoted(inner)? } else { index(inner)? };
            (part, after.strip_prefix(']')?)
        } else {
            let name = rest.strip_prefix('.')?;
            if name.starts_with('"') { quoted(name)? } else { word(name)? }
        };
        parts.push(part);
        rest = after;
    }
    rest.is_empty().then_some(Path(parts))
}

/// A string without escapes.
fn quoted(text: &str) -> Option<(Part, &str)> {
    let (key, after) = text.strip_prefix('"')?.split_once('"')?;
    (!key.contains('\\')).then(|| (Part::Key(key.to_owned()), after))
}

fn index(text: &str) -> Option<(Part, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit())?;
    let index = text[..end].parse().ok().filter(|index| *index <= INDEX_MAX)?;
    Some((Part::Index(index), &text[end..]))
}

fn word(text: &str) -> Option<(Part, &str)> {
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(text.len());
    let is_name = end > 0 && !text.starts_with(|c: char| c.is_ascii_digit());
    is_name.then(|| (Part::Key(text[..end].to_owned()), &text[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn filter(expression: &Expression) -> (&str, usize) {
        let Expression::Filter(filter) = expression else { panic!("{expression:?}") };
        (filter.text(), filter.at())
    }

    #[test]
    fn where_a_path_or_a_filter_stands_the_first_character_decides() {
        let path = |text: &str| Expression::Path(Path::parse(text).unwrap());
        assert_eq!(Expression::of_source("user.names[0]").unwrap(), path("user.names[0]"));
        assert_eq!(Expression::of_source(" user ").unwrap(), path("user"));
        for text in [".a", "$item.x", "(.a, .b) | . + 1", "[.a]", "{a: .b}", "."] {
            assert_eq!(filter(&Expression::of_source(text).unwrap()), (text, 0));
        }
        assert_eq!(filter(&Expression::of_source("  .a + 1 ").unwrap()), (".a + 1", 2));
        assert_eq!(filter(&Expression::of_source(" ${{ .a }} ").unwrap()), (".a", 5));
    }

    #[test]
    fn where_only_a_filter_stands_a_word_is_one() {
        for (text, expected) in [("add", ("add", 0)), (" length > 0 ", ("length > 0", 1)), ("${{ add }}", ("add", 4))] {
            assert_eq!(filter(&Expression::of_filter(text).unwrap()), expected);
        }
        for bad in ["", " ", "\"open", "${{ a }} b", "a | ${{ b }}"] {
            assert!(Expression::of_filter(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn where_a_value_stands_only_the_opening_makes_an_expression() {
        assert_eq!(Expression::of_text("user.name, .a and }}").unwrap(), None);
        assert_eq!(filter(&Expression::of_text("${{ .a.b }}").unwrap().unwrap()), (".a.b", 4));
        let template = Expression::of_text("Dear ${{.name}}, ${{ .n + 1 }}").unwrap().unwrap();
        let filters: Vec<_> = template.filters().map(|filter| (filter.text(), filter.at())).collect();
        assert_eq!(filters, [(".name", 8), (".n + 1", 21)]);
        let Expression::Template(pieces) = &template else { panic!("{template:?}") };
        assert_eq!(fill(pieces, &[json!("Ann"), json!({"a": [1, "x"]})]), "Dear Ann, {\"a\":[1,\"x\"]}");
        assert_eq!(fill(pieces, &[json!(null)]), "Dear null, null");
        let padded = Expression::of_text(" ${{ .a }}").unwrap().unwrap();
        assert!(matches!(padded, Expression::Template(_)), "text around it makes it text");
    }

    #[test]
    fn what_looks_like_an_end_inside_a_filter_does_not_end_it() {
        for inside in [
            r#""}}""#,
            r#""a\"}}""#,
            r#""\("}}" + .a)}}""#,
            "{a: {b: 1}}",
            "{a:{b:{}}}",
            "[{a: {}}]",
            "\"${{\"",
            ".a # \" {\n | .b",
        ] {
            for text in [format!("${{{{{inside}}}}}"), format!("${{{{ {inside} }}}}")] {
                let read = Expression::of_text(&text).unwrap().unwrap();
                assert_eq!(filter(&read).0, inside, "{text}");
            }
        }
        let read = Expression::of_text("${{ .a # why }} and ${{ (.b }}").unwrap().unwrap();
        assert_eq!(read.filters().map(Filter::text).collect::<Vec<_>>(), [".a # why", "(.b"]);
    }

    #[test]
    fn faults_show_their_place() {
        for (text, at, words) in [
            ("a ${{ .b", 2, "never closed"),
            ("${{ .b }", 0, "never closed"),
            ("ab ${{ }} c", 3, "no filter between"),
            ("${{ .a + ${{ .b }} }}", 9, "inside a filter"),
            ("x ${{ \"a }}", 6, "string that begins here"),
            ("${{ \"\\(\"a) }}", 4, "string that begins here"),
        ] {
            let fault = Expression::of_text(text).unwrap_err();
            assert_eq!(fault.at, at, "{text}: {fault:?}");
            assert!(fault.message.contains(words), "{text}: {fault:?}");
        }
        for (text, at, words) in [
            ("  ", 0, "not nothing"),
            (" ${{ .a }}.b", 1, "the whole text"),
            ("${{ .a }} ${{ .b }}", 0, "the whole text"),
            ("user.${{ .a }}", 5, "begin with `.`"),
            (" .a + ${{ .b }}", 6, "inside a filter"),
            (" .a + \"x", 6, "string that begins here"),
            (" a b", 1, "looks like"),
        ] {
            let fault = Expression::of_source(text).unwrap_err();
            assert_eq!(fault.at, at, "{text}: {fault:?}");
            assert!(fault.message.contains(words), "{text}: {fault:?}");
        }
    }

    #[test]
    fn filters_that_only_follow_a_path_are_known() {
        for (text, path) in [
            (".", ""),
            (".a", "a"),
            (".a.b[0].c", "a.b[0].c"),
            (".[0][1]", "[0][1]"),
            (".[\"odd key\"].b", "\"odd key\".b"),
            (".a[\"b\"][2]", "a.b[2]"),
            (".\"odd key\".\"x\"", "\"odd key\".x"),
            (".if", "if"),
        ] {
            assert_eq!(plain_path(text).map(|path| path.to_string()).as_deref(), Some(path), "{text}");
        }
        let deep = ".a".repeat(PATH_PARTS_MAX + 1);
        for text in [
            "",
            "a",
            "..",
            ".a.",
            ".a?",
            ".[]",
            ".[-1]",
            ".a[1:2]",
            ".a | .b",
            ".a b",
            ".[\"a\\n\"]",
            ".[\"\\(1)\"]",
            ".1",
            ".a[0",
            ".a[10000]",
            ".a.[0]",
            ".é",
            "$item",
            ".[\"a]",
            deep.as_str(),
        ] {
            assert_eq!(plain_path(text), None, "{text}");
        }
    }

    #[test]
    fn following_a_path_lets_null_through_and_refuses_what_has_no_parts() {
        let data = json!({"a": {"b": [1, {"c": "x"}]}, "n": null, "s": "text"});
        let get = |text: &str| follow(&plain_path(text).unwrap(), &data).cloned();
        assert_eq!(get("."), Ok(data.clone()));
        assert_eq!(get(".a.b[1].c"), Ok(json!("x")));
        for text in [".x", ".x.y[3]", ".n.a[0].b", ".a.b[7]", ".a.b[7].c", ".a[0]"] {
            assert_eq!(get(text), Ok(Value::Null), "{text}");
        }
        assert_eq!(get(".s.k"), Err("cannot index string with \"k\"".to_owned()));
        assert_eq!(get(".a.b.c"), Err("cannot index array with \"c\"".to_owned()));
        assert_eq!(get(".a.b[0][1]"), Err("cannot index number with 1".to_owned()));
    }
}
