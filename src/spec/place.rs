//! Where a character of a text stands in the file that the text was read from: behind indentation, folded lines and
//! escapes.

use crate::spec::source::Span;

/// Finds characters of one text. Asked in their order, all of them together take one walk.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Places<'t> {
    whole: Span,
    raw: &'t str,
    text: &'t str,
    /// How far the text was walked.
    done: usize,
    reader: Reader<'t>,
}

impl<'t> Places<'t> {
    /// Of a text that was read from `raw`, which stands at `whole`.
    pub(crate) fn new(whole: Span, raw: &'t str, text: &'t str) -> Self {
        Self { whole, raw, text, done: 0, reader: Reader::new(raw) }
    }
    /// The place of the character at byte `at` of the text; the whole if the two do not go together, as where an alias
    /// stands for the text.
    pub(crate) fn of(&mut self, at: usize) -> Span {
        let start = self.whole.start as usize;
        self.inside(at).map_or(self.whole, |(from, to)| Span::new(start + from, start + to))
    }
    fn inside(&mut self, at: usize) -> Option<(usize, usize)> {
        if at < self.done {
            *self = Self::new(self.whole, self.raw, self.text);
        }
        let from = self.done;
        for (offset, c) in self.text.get(from..)?.char_indices() {
            self.done = from + offset;
            let begun = self.reader.skip_to(c);
            if self.done >= at {
                return Some((begun, { self.reader }.take(c)?));
            }
            self.reader.take(c)?;
        }
        self.done = self.text.len();
        Some((self.reader.at, self.reader.at))
    }
}

/// How a scalar is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Style {
    /// Without quotes, in one or several lines.
    Plain,
    /// In `'`.
    Single,
    /// In `"`: YAML or JSON.
    Double,
}

#[derive(Clone, Copy, Debug)]
struct Reader<'r> {
    raw: &'r str,
    at: usize,
    style: Style,
}

impl<'r> Reader<'r> {
    fn new(raw: &'r str) -> Self {
        let (at, style) = match raw.as_bytes().first() {
            Some(b'\'') => (1, Style::Single),
            Some(b'"') => (1, Style::Double),
            // The first line of a block holds only how it is to be read.
            Some(b'|' | b'>') => (raw.find('\n').map_or(raw.len(), |end| end + 1), Style::Plain),
            _ => (0, Style::Plain),
        };
        Self { raw, at, style }
    }
    fn rest(&self) -> &'r str {
        &self.raw[self.at..]
    }
    /// Goes over what stands for nothing before `c`: indentation, folded and escaped line ends.
    fn skip_to(&mut self, c: char) -> usize {
        loop {
            let next = self.rest().chars().next();
            let folded =
                self.style == Style::Double && ["\\\n", "\\\r\n"].iter().any(|end| self.rest().starts_with(end));
            if folded {
                self.at += 1;
            } else if let Some(blank) = next.filter(|next| next.is_whitespace() && !c.is_whitespace()) {
                self.at += blank.len_utf8();
                continue;
            } else {
                return self.at;
            }
            self.at += self.rest().len() - self.rest().trim_start().len();
        }
    }
    /// Goes over what stands for `c`; gives its end.
    fn take(&mut self, c: char) -> Option<usize> {
        let next = self.rest().chars().next();
        if self.style == Style::Double && next == Some('\\') {
            self.at += escape(self.rest());
        } else if self.style == Style::Single && c == '\'' {
            self.at += self.rest().starts_with("''").then_some(2)?;
        } else if next == Some(c) || (c.is_whitespace() && next.is_some_and(char::is_whitespace)) {
            self.at += next.map_or(0, char::len_utf8);
        } else if !c.is_whitespace() {
            return None;
        }
        Some(self.at)
    }
}

/// The length of the escape that a text begins with; a pair of surrogates is one.
fn escape(text: &str) -> usize {
    let digits = |text: &str| match text.as_bytes().get(1) {
        Some(b'x') => 4,
        Some(b'u') => 6,
        Some(b'U') => 10,
        _ => 1 + text[1..].chars().next().map_or(0, char::len_utf8),
    };
    let first = digits(text).min(text.len());
    let high = text.get(2..4).is_some_and(|hex| matches!(hex.to_ascii_lowercase().as_str(), "d8" | "d9" | "da" | "db"));
    let pair = first == 6 && high && text.get(first..).is_some_and(|rest| rest.starts_with("\\u"));
    let length = if pair { first + 6 } else { first };
    // Never into the middle of a character.
    (length..=text.len()).find(|end| text.is_char_boundary(*end)).unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::faults::Faults;
    use crate::spec::source::Source;
    use crate::spec::tree::Node;

    fn inside(raw: &str, text: &str, at: usize) -> Option<(usize, usize)> {
        Places::new(Span::default(), raw, text).inside(at)
    }

    fn shown(yaml: &str, node: &Node, needle: &str) -> Option<(usize, String)> {
        let text = node.text().unwrap();
        let raw = &yaml[node.span.start as usize..node.span.end as usize];
        let at = text.find(needle).unwrap();
        inside(raw, text, at).map(|(from, to)| {
            let from = node.span.start as usize + from;
            (from, yaml[from..node.span.start as usize + to].to_owned())
        })
    }

    #[test]
    fn a_character_is_found_whatever_way_its_text_is_written() {
        for yaml in [
            "a: one é Z two",
            "a: 'it''s one Z'",
            "a: \"\\u00e9 \\x41\\n\\\"one\\\" Z\"",
            "a: |\n  one\n    two\n  Z\n  three\n",
            "a: |2-  # comment\n    one\n\n\n  Z\n",
            "a: >\n  one\n  two\n\n  Z three\n",
            "a: one\n  two\n  Z three\n",
            "a: 'one\n  two\n\n  Z three'\n",
            "a: \"one \\\n   two\n\n  Z three\"\n",
            "a: \"\\ud83d\\ude00 Z\"",
            "- a: |+\n    x\n\n    Z\n\n",
        ] {
            let source = Source::new(if yaml.contains("\\ud83d") { "f.json" } else { "f.yaml" }, yaml);
            let mut faults = Faults::new(&source);
            let json = format!("{{\"a\": {}}}", &yaml[3..]);
            let (text, node) = if source.is_json() {
                (json.as_str(), crate::spec::json::read(&json, &mut faults).map_err(|bad| bad.message).unwrap())
            } else {
                (yaml, crate::spec::yaml::read(yaml, &mut faults).unwrap())
            };
            let map = if node.list().is_empty() { &node } else { &node.list()[0] };
            let expected = text.find('Z').unwrap();
            assert_eq!(shown(text, &map.entries()[0].value, "Z"), Some((expected, "Z".to_owned())), "{yaml}");
        }
    }

    #[test]
    fn what_does_not_go_together_has_no_place_and_the_end_has_one() {
        assert_eq!(inside("*alias", "text", 2), None);
        assert_eq!(inside("'don", "'", 0), None);
        assert_eq!(inside("abc", "abc", 3), Some((3, 3)));
        assert_eq!(inside("\"\\u12", "é", 0), Some((1, 5)));
        assert_eq!(inside("\"\\é", "x", 0), Some((1, 4)));
        assert_eq!(inside("", "x", 0), None);
    }
}
