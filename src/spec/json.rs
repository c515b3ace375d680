//! Strict JSON (RFC 8259) with places. YAML would take most of it too, but not long keys, and it would take more:
//! comments, unquoted text, trailing commas.

use crate::spec::diagnostic::Code;
use crate::spec::faults::Faults;
use crate::spec::scalar;
use crate::spec::source::{LIMITS, Span};
use crate::spec::tree::{Entry, Kind, Node, without_duplicates};
use crate::spec::words::quote;

/// Where and why a text is not JSON.
#[derive(Debug)]
pub(crate) struct NotJson {
    pub(crate) span: Span,
    pub(crate) code: Code,
    pub(crate) message: String,
}

/// Reads a whole text. The first fault of syntax ends it; other faults go to the list and reading goes on.
pub(crate) fn read(text: &str, faults: &mut Faults<'_>) -> Result<Node, NotJson> {
    let mut reader = Reader { text, at: 0, faults };
    reader.skip_blanks();
    let node = reader.value(1)?;
    reader.skip_blanks();
    if reader.at < text.len() {
        return Err(reader.wrong("the end of the file"));
    }
    Ok(node)
}

struct Reader<'t, 'f, 's> {
    text: &'t str,
    at: usize,
    faults: &'f mut Faults<'s>,
}

impl Reader<'_, '_, '_> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }
    fn skip_blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }
    fn not_json(&self, start: usize, end: usize, message: String) -> NotJson {
        NotJson { span: Span::new(start, end), code: Code::Syntax, message }
    }
    fn wrong(&self, expected: &str) -> NotJson {
        let found = self.text[self.at..].chars().next();
        let (length, found) =
            found.map_or((0, "the end of the file".to_owned()), |c| (c.len_utf8(), quote(c.encode_utf8(&mut [0; 4]))));
        self.not_json(self.at, self.at + length, format!("this is not JSON: expected {expected}, found {found}"))
    }
    fn value(&mut self, depth: usize) -> Result<Node, NotJson> {
        let start = self.at;
        if depth > LIMITS.depth {
            let message = format!("nested deeper than {} levels", LIMITS.depth);
            return Err(NotJson { span: Span::new(start, start + 1), code: Code::TooLarge, message });
        }
        let kind = match self.peek() {
            Some(b'{') => self.map(depth)?,
            Some(b'[') => self.list(depth)?,
            Some(b'"') => Kind::Text(self.string()?),
            Some(b'-' | b'0'..=b'9') => self.number()?,
            _ => self.word()?,
        };
        Ok(Node { span: Span::new(start, self.at), kind })
    }
    fn map(&mut self, depth: usize) -> Result<Kind, NotJson> {
        self.at += 1;
        let mut entries = Vec::new();
        self.skip_blanks();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(Kind::Map(entries));
        }
        loop {
            self.skip_blanks();
            if self.peek() != Some(b'"') {
                return Err(self.wrong("a key in double quotes"));
            }
            let start = self.at;
            let key = self.string()?;
            let key_span = Span::new(start, self.at);
            self.skip_blanks();
            if self.peek() != Some(b':') {
                return Err(self.wrong("`:`"));
            }
            self.at += 1;
            self.skip_blanks();
            let value = self.value(depth + 1)?;
            entries.push(Entry { key, key_span, value });
            self.skip_blanks();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => break,
                _ => return Err(self.wrong("`,` or `}`")),
            }
        }
        self.at += 1;
        let faults = &mut *self.faults;
        Ok(Kind::Map(without_duplicates(entries, |first, again| {
            faults.duplicate_key(first.key_span, again.key_span, &again.key);
        })))
    }
    fn list(&mut self, depth: usize) -> Result<Kind, NotJson> {
        self.at += 1;
        let mut list = Vec::new();
        self.skip_blanks();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(Kind::List(list));
        }
        loop {
            self.skip_blanks();
            list.push(self.value(depth + 1)?);
            self.skip_blanks();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => break,
                _ => return Err(self.wrong("`,` or `]`")),
            }
        }
        self.at += 1;
        Ok(Kind::List(list))
    }
    fn word(&mut self) -> Result<Kind, NotJson> {
        for (word, kind) in [("null", Kind::Null), ("true", Kind::Bool(true)), ("false", Kind::Bool(false))] {
            if self.text[self.at..].starts_with(word) {
                self.at += word.len();
                return Ok(kind);
            }
        }
        Err(self.wrong("a value"))
    }
    fn number(&mut self) -> Result<Kind, NotJson> {
        let start = self.at;
        let bytes = self.text.as_bytes();
        let digits = |mut at: usize| {
            while bytes.get(at).is_some_and(u8::is_ascii_digit) {
                at += 1;
            }
            at
        };
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        let whole = self.at;
        self.at = digits(whole);
        if self.at == whole {
            return Err(self.wrong("a digit"));
        }
        if bytes[whole] == b'0' && self.at > whole + 1 {
            let number = quote(&self.text[start..self.at]);
            return Err(self.not_json(
                start,
                self.at,
                format!("{number} has a leading zero, which JSON does not know"),
            ));
        }
        if self.peek() == Some(b'.') {
            self.at = digits(self.at + 1);
            if bytes[self.at - 1] == b'.' {
                return Err(self.wrong("a digit"));
            }
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            let exponent = self.at;
            self.at = digits(exponent);
            if self.at == exponent {
                return Err(self.wrong("a digit"));
            }
        }
        let text = &self.text[start..self.at];
        // YAML has no negative zero among whole numbers; JSON keeps it.
        Ok(match if text == "-0" { scalar::decimal("-0.0") } else { scalar::decimal(text) } {
            Ok(kind) => kind,
            Err(bad) => {
                self.faults.error(Span::new(start, self.at), bad.code, bad.message).expected(bad.expected);
                Kind::Null
            }
        })
    }
    fn string(&mut self) -> Result<String, NotJson> {
        let open = self.at;
        self.at += 1;
        let mut out = String::new();
        loop {
            let rest = &self.text.as_bytes()[self.at..];
            let plain = rest.iter().position(|&b| b == b'"' || b == b'\\' || b < 0x20).unwrap_or(rest.len());
            out.push_str(&self.text[self.at..self.at + plain]);
            self.at += plain;
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(out);
                }
                Some(b'\\') => out.push(self.escape()?),
                None => return Err(self.not_json(open, open + 1, "this text has no closing `\"`".to_owned())),
                Some(_) => return Err(self.wrong("`\"`, or the character written as an escape like `\\n`")),
            }
        }
    }
    fn escape(&mut self) -> Result<char, NotJson> {
        let start = self.at;
        let escaped = self.text.as_bytes().get(start + 1).copied();
        self.at += 2;
        Ok(match escaped {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode(start),
            _ => {
                self.at = start;
                return Err(self.wrong("one of the escapes `\\\" \\\\ \\/ \\b \\f \\n \\r \\t \\uXXXX`"));
            }
        })
    }
    fn unicode(&mut self, start: usize) -> Result<char, NotJson> {
        let high = self.four_digits(start)?;
        if !(0xd800..0xe000).contains(&high) {
            return Ok(char::from_u32(high).expect("neither a surrogate nor beyond four digits"));
        }
        let pair = self.text.as_bytes()[self.at..].starts_with(b"\\u") && high < 0xdc00;
        if pair {
            self.at += 2;
            let low = self.four_digits(start)?;
            if (0xdc00..0xe000).contains(&low) {
                let code = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
                return Ok(char::from_u32(code).expect("pairs reach exactly up to U+10FFFF"));
            }
        }
        Err(self.not_json(start, self.at, "half of a `\\u` pair stands alone".to_owned()))
    }
    fn four_digits(&mut self, start: usize) -> Result<u32, NotJson> {
        let digits = self.text.as_bytes().get(self.at..self.at + 4).unwrap_or(&[]);
        if digits.len() < 4 || !digits.iter().all(u8::is_ascii_hexdigit) {
            return Err(self.not_json(start, start + 2, "`\\u` needs four hexadecimal digits".to_owned()));
        }
        let value = digits.iter().fold(0, |value, &b| value * 16 + char::from(b).to_digit(16).unwrap_or(0));
        self.at += 4;
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::source::Source;
    use serde_json::{Value, json};

    fn read_text(text: &str) -> Result<Value, String> {
        let source = Source::new("t.json", text);
        let mut faults = Faults::new(&source);
        let node = read(text, &mut faults).map_err(|bad| bad.message)?;
        let (list, _) = faults.finish();
        if let Some(first) = list.into_iter().next() { Err(first.message) } else { Ok(node.to_value()) }
    }

    #[test]
    fn it_reads_what_serde_json_reads_and_to_the_same_value() {
        let long_key = format!("{{\"{}\": 1}}", "k".repeat(100_000));
        let texts = [
            r#"{"a": [1, -2.5e3, true, false, null, "x"], "b": {"": {}}, "c": []}"#,
            r#""\"\\\/\b\f\n\r\t\u00e9\uD834\udd1e é""#,
            "[0, -0, 1.0, 1e-7, 18446744073709551615, -9223372036854775808]",
            " \t\r\n{ } ",
            &long_key,
        ];
        for text in texts {
            let expected: Value = serde_json::from_str(text).unwrap();
            assert_eq!(read_text(text).unwrap(), expected);
        }
        assert_eq!(read_text("-0").unwrap().to_string(), "-0.0");
        assert_eq!(read_text("1.50").unwrap(), json!(1.5));
    }

    #[test]
    fn it_refuses_what_is_not_json() {
        let texts = [
            "",
            "{",
            "[1,]",
            "{\"a\":1,}",
            "{a: 1}",
            "01",
            "-",
            "1.",
            ".5",
            "1e",
            "+1",
            "nul",
            "\"\n\"",
            "\"\\x\"",
            "\"\\ud800\"",
            "\"\\udc00\\ud800\"",
            "\"\\u12\"",
            "\"\\u+123\"",
            "\"open",
            "1 2",
            "// c\n1",
            "'a'",
            "[1 2]",
            "{\"a\" 1}",
            "\u{feff}1",
            "\"é\\",
        ];
        for text in texts {
            assert!(serde_json::from_str::<Value>(text).is_err(), "{text}");
            assert!(read_text(text).is_err(), "{text}");
        }
        for text in ["1e400", "18446744073709551616", "{\"a\": 1, \"a\": 1}"] {
            assert!(read_text(text).is_err(), "{text}");
        }
    }

    #[test]
    fn depth_is_bounded_with_the_root_counted_as_one() {
        let nest = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        assert!(read_text(&nest(64)).is_ok());
        assert_eq!(read_text(&nest(65)).unwrap_err(), "nested deeper than 64 levels");
        assert!(read_text(&"[".repeat(1_000_000)).is_err());
    }
}
