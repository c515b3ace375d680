//! What is wrong with a file, where, and what to do about it: for machines (serialised) and for people (rendered).

use crate::model::safe::Safe;
use crate::spec::source::{LIMITS, Source};
use serde::Serialize;
use std::fmt::Write as _;
use unicode_width::UnicodeWidthStr;

/// Cells of a source line that are shown around the place.
const WINDOW: usize = 100;
/// Of these, how many stand before the place when the line is longer.
const WINDOW_BEFORE: usize = 60;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The file is refused.
    Error,
    /// The file is taken, but it probably does not do what was meant.
    Warning,
    /// Good to know.
    Note,
}

impl Severity {
    /// The word in messages.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $word:literal,)*) => {
        /// The kind of a fault, stable for programs that read diagnostics.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
        pub enum Code { $($(#[$doc])* #[serde(rename = $word)] $name,)* }
        impl Code {
            /// The word in messages and in the serialised form.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }
        }
    };
}

codes! {
    /// Not YAML or JSON.
    Syntax = "syntax",
    /// A file that is not there or cannot be read.
    Unreadable = "unreadable",
    /// Not valid UTF-8.
    Encoding = "encoding",
    /// Nothing in the file.
    Empty = "empty",
    /// Beyond a limit of the reader: bytes, depth, aliases, steps, needs.
    TooLarge = "too_large",
    /// A second YAML document.
    SecondDocument = "second_document",
    /// A YAML feature that is not taken: tags, merge keys, other versions.
    YamlFeature = "yaml_feature",
    /// A key that is not text.
    KeyNotText = "key_not_text",
    /// The same key twice, or a key beside its alias.
    DuplicateKey = "duplicate_key",
    /// A number that reads differently to different readers.
    AmbiguousNumber = "ambiguous_number",
    /// A number that cannot be kept as it is.
    NumberRange = "number_range",
    /// An alias without an anchor before it, or inside its own anchor.
    BadAlias = "bad_alias",
    /// A secret where only a reference to one may stand.
    Secret = "secret",
    /// A key nobody knows.
    UnknownKey = "unknown_key",
    /// A key that has to be there.
    MissingKey = "missing_key",
    /// A value of the wrong type.
    WrongType = "wrong_type",
    /// A word that is not one of the possible ones.
    UnknownWord = "unknown_word",
    /// A number, duration or text outside its range.
    OutOfRange = "out_of_range",
    /// Text that does not read as what it has to be: a duration, a path, an id.
    BadText = "bad_text",
    /// A filter that is no filter, or names what is not there.
    BadFilter = "bad_filter",
    /// Keys that exclude each other, or that do not go together.
    Conflict = "conflict",
    /// Part of the format, but not of this build.
    Unsupported = "unsupported",
    /// Two steps or agents with one id.
    DuplicateId = "duplicate_id",
    /// A need that no step satisfies.
    UnknownStep = "unknown_step",
    /// An agent that is not there.
    UnknownAgent = "unknown_agent",
    /// A capability that no agent offers.
    UnknownCapability = "unknown_capability",
    /// A template that is not there.
    UnknownTemplate = "unknown_template",
    /// Steps that wait for each other, or files that use each other.
    Cycle = "cycle",
    /// Steps of a barrier that wait for each other.
    Deadlock = "deadlock",
    /// Steps of a barrier that there is not room for at once.
    Apart = "apart",
    /// Two unordered steps write one data path.
    UnorderedWrites = "unordered_writes",
    /// An input that nothing provides.
    MissingInput = "missing_input",
    /// An agent of the file takes the place of a built-in one.
    ReplacesBuiltin = "replaces_builtin",
    /// Given, but without effect.
    NoEffect = "no_effect",
}

/// One fault of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// The file as it was named.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    /// How bad it is.
    pub severity: Severity,
    /// Its kind.
    pub code: Code,
    /// What is wrong, in words.
    pub message: String,
    /// What was expected there.
    pub expected: Option<String>,
    /// What was probably meant, as it would be written.
    pub suggestion: Option<String>,
    /// The source line around the place.
    #[serde(skip)]
    pub excerpt: Option<Excerpt>,
}

/// A piece of a source line with the place marked, safe to print.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Excerpt {
    before: String,
    marked: String,
    after: String,
}

impl Excerpt {
    /// The line from `bounds` of `source`, cut to a window around `start..end`.
    pub(crate) fn new(source: &Source, bounds: (usize, usize), start: usize, end: usize) -> Self {
        let text = source.text();
        let start = start.clamp(bounds.0, bounds.1);
        let end = end.clamp(start, bounds.1);
        let from =
            text[bounds.0..start].char_indices().rev().take(WINDOW).last().map_or(start, |(at, _)| bounds.0 + at);
        let mut before: Vec<char> = text[from..start].chars().collect();
        let rest: Vec<char> = text[start..bounds.1].chars().take(WINDOW + 1).collect();
        let cut_left = before.len() + rest.len() > WINDOW && before.len() > WINDOW_BEFORE;
        if cut_left {
            before.drain(..before.len() - WINDOW_BEFORE);
        }
        let cut_left = cut_left || from > bounds.0;
        let room = WINDOW.saturating_sub(before.len());
        let marked_chars = text[start..end].chars().take(room).count();
        let safe = |chars: &[char]| Safe::line(&chars.iter().collect::<String>()).into_string();
        let shown = &rest[..rest.len().min(room)];
        Self {
            before: format!("{}{}", if cut_left { "…" } else { "" }, safe(&before)),
            marked: safe(&shown[..marked_chars.min(shown.len())]),
            after: format!(
                "{}{}",
                safe(&shown[marked_chars.min(shown.len())..]),
                if rest.len() > room { "…" } else { "" }
            ),
        }
    }
}

impl Diagnostic {
    /// A fault of a file as a whole, shown at its beginning.
    #[must_use]
    pub fn whole_file(file: &str, code: Code, message: impl Into<String>) -> Self {
        Self {
            file: file.to_owned(),
            line: 1,
            column: 1,
            severity: Severity::Error,
            code,
            message: message.into(),
            expected: None,
            suggestion: None,
            excerpt: None,
        }
    }
    /// Several lines for people, without a line break at the end:
    ///
    /// ```text
    /// flow.yaml:4:5: error[unknown_key]: unknown key `timeot`
    ///   4 |     timeot: 5s
    ///     |     ^^^^^^
    ///   expected: a key of a step
    ///   help: did you mean `timeout`?
    /// ```
    #[must_use]
    pub fn render(&self) -> String {
        let mut out = format!(
            "{}:{}:{}: {}[{}]: {}",
            Safe::line(&self.file),
            self.line,
            self.column,
            self.severity.word(),
            self.code.word(),
            Safe::line(&self.message)
        );
        if let Some(Excerpt { before, marked, after }) = &self.excerpt {
            let number = self.line.to_string();
            let blank = " ".repeat(number.len());
            let indent = " ".repeat(before.width());
            let carets = "^".repeat(marked.width().max(1));
            let _ = write!(out, "\n  {number} | {before}{marked}{after}\n  {blank} | {indent}{carets}");
        }
        if let Some(expected) = &self.expected {
            let _ = write!(out, "\n  expected: {}", Safe::line(expected));
        }
        if let Some(suggestion) = &self.suggestion {
            let _ = write!(out, "\n  help: did you mean `{}`?", Safe::line(suggestion));
        }
        out
    }
}

/// All diagnostics of a file for people, and a last line when there are more than are shown.
#[must_use]
pub fn render_all(diagnostics: &[Diagnostic], more: usize) -> String {
    let mut out = String::new();
    for diagnostic in diagnostics {
        out.push_str(&diagnostic.render());
        out.push('\n');
    }
    if more > 0 {
        let _ = writeln!(out, "… and {more} more (at most {} are shown)", LIMITS.diagnostics);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str, start: usize, end: usize) -> Diagnostic {
        let source = Source::new("f\u{1b}[2J.yaml", text);
        let line = source.line_index(u32::try_from(start).unwrap());
        let bounds = source.line_bounds(line);
        let mut diagnostic = Diagnostic::whole_file(source.name(), Code::UnknownKey, "unknown key `b\u{7}`");
        diagnostic.line = line + 1;
        diagnostic.column = start - bounds.0 + 1;
        diagnostic.excerpt = Some(Excerpt::new(&source, bounds, start, end));
        diagnostic
    }

    #[test]
    fn the_caret_stands_under_the_place() {
        let mut diagnostic = at("a: 1\nbé: 22\nc: 3", 10, 12);
        diagnostic.expected = Some("a word".to_owned());
        diagnostic.suggestion = Some("two".to_owned());
        let lines = diagnostic.render();
        let lines: Vec<&str> = lines.lines().collect();
        assert_eq!(lines[0], "f.yaml:2:6: error[unknown_key]: unknown key `b␇`");
        assert_eq!(lines[1], "  2 | bé: 22");
        assert_eq!(lines[2], "    |     ^^");
        assert_eq!(lines[3], "  expected: a word");
        assert_eq!(lines[4], "  help: did you mean `two`?");
    }

    #[test]
    fn a_line_of_a_million_characters_is_cut_to_a_window_around_the_place() {
        let text = format!("{}HERE{}", "x".repeat(500_000), "y".repeat(500_000));
        let rendered = at(&text, 500_000, 500_004).render();
        let lines: Vec<&str> = rendered.lines().collect();
        assert!(lines[1].contains("…") && lines[1].contains("HEREyyy") && lines[1].chars().count() < 120, "{rendered}");
        let column = lines[1].chars().position(|c| c == 'H').unwrap();
        assert_eq!(lines[2].chars().position(|c| c == '^').unwrap(), column);
        assert_eq!(lines[2].matches('^').count(), 4);
    }

    #[test]
    fn escape_sequences_of_the_file_do_not_come_through() {
        let rendered = at("k: \"\u{1b}]52;c;evil\u{7}\u{202e}x\"", 3, 4).render();
        assert!(!rendered.contains('\u{1b}') && !rendered.contains('\u{202e}') && !rendered.contains('\u{7}'));
    }

    #[test]
    fn the_serialised_form_has_exactly_the_members_of_the_contract() {
        let value = serde_json::to_value(at("a: 1", 0, 1)).unwrap();
        let keys: Vec<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(keys, ["file", "line", "column", "severity", "code", "message", "expected", "suggestion"]);
        assert_eq!(value["code"], "unknown_key");
        assert_eq!(value["severity"], "error");
    }
}
