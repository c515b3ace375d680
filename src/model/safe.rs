//! The one sanitiser: foreign text becomes [`Safe`] before it may reach a terminal.
//!
//! Escape sequences are removed whole (nothing like `]52;c;…` is left lying about), control, C1 and bidirectional
//! characters become visible stand-ins of one cell, and runs of combining marks are cut.

use std::fmt;

/// The most combining marks that one character keeps.
const MARKS_MAX: usize = 4;

/// Text that cannot do anything to a terminal but show itself, on one line.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Safe(String);

impl Safe {
    /// Makes one line safe. Line breaks become `␊`, tabs become spaces.
    #[must_use]
    pub fn line(text: &str) -> Self {
        if text.bytes().all(|b| (0x20..0x7f).contains(&b)) {
            return Self(text.to_owned());
        }
        let mut out = String::with_capacity(text.len());
        let mut marks = 0;
        let mut rest = text.chars();
        while let Some(c) = rest.next() {
            match c {
                '\u{1b}' => rest = skip_escape(rest),
                '\u{9b}' => rest = skip_control_sequence(rest),
                '\u{90}' | '\u{98}' | '\u{9d}' | '\u{9e}' | '\u{9f}' => rest = skip_string(rest),
                _ => {}
            }
            if is_mark(c) {
                marks += 1;
                if marks <= MARKS_MAX {
                    out.push(c);
                }
                continue;
            }
            marks = 0;
            match c {
                '\u{1b}' | '\u{90}' | '\u{98}' | '\u{9b}' | '\u{9d}' | '\u{9e}' | '\u{9f}' => {}
                '\t' => out.push_str("  "),
                '\u{0}'..='\u{1f}' => out.push(char::from_u32(0x2400 + c as u32).unwrap_or('?')),
                '\u{7f}' => out.push('␡'),
                '\u{80}'..='\u{9f}' => out.push('�'),
                _ if is_invisible(c) => out.push('�'),
                _ => out.push(c),
            }
        }
        Self(out)
    }
    /// Makes each line of a text safe; a trailing carriage return of a line is dropped.
    #[must_use]
    pub fn lines(text: &str) -> Vec<Self> {
        text.lines().map(|line| Self::line(line.strip_suffix('\r').unwrap_or(line))).collect()
    }
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
    /// The text, owned.
    #[must_use]
    pub fn into_string(self) -> String {
        self.0
    }
}

impl fmt::Display for Safe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Characters that change how their neighbours are shown, or show nothing where something is: bidirectional controls,
/// zero-width joiners, variation selectors, line separators, tags, the byte order mark, private and unassigned ends.
#[must_use]
pub const fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}')
}

const fn is_mark(c: char) -> bool {
    matches!(c,
        '\u{300}'..='\u{36f}' | '\u{483}'..='\u{489}' | '\u{591}'..='\u{5bd}' | '\u{610}'..='\u{61a}'
        | '\u{64b}'..='\u{65f}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}' | '\u{20d0}'..='\u{20ff}'
        | '\u{fe20}'..='\u{fe2f}')
}

/// Behind ESC: a control sequence, a string up to its end, or one character with its intermediates.
fn skip_escape(mut rest: std::str::Chars<'_>) -> std::str::Chars<'_> {
    let before = rest.clone();
    match rest.next() {
        Some('[') => skip_control_sequence(rest),
        Some('P' | 'X' | ']' | '^' | '_') => skip_string(rest),
        Some(c @ ' '..='/') => {
            let mut last = c;
            let mut at = rest.clone();
            while matches!(last, ' '..='/') {
                rest = at.clone();
                let Some(next) = at.next() else { return at };
                last = next;
            }
            if matches!(last, '0'..='~') { at } else { rest }
        }
        Some('0'..='~') => rest,
        _ => before,
    }
}

/// Parameters, intermediates, one final character. Anything else ends it and stays.
fn skip_control_sequence(mut rest: std::str::Chars<'_>) -> std::str::Chars<'_> {
    loop {
        let before = rest.clone();
        match rest.next() {
            Some(' '..='?') => {}
            Some('@'..='~') => return rest,
            _ => return before,
        }
    }
}

/// Up to BEL or ST. A string that never ends swallows the text: it would on a terminal.
fn skip_string(mut rest: std::str::Chars<'_>) -> std::str::Chars<'_> {
    while let Some(c) = rest.next() {
        match c {
            '\u{7}' | '\u{9c}' => return rest,
            '\u{1b}' => {
                let mut behind = rest.clone();
                if behind.next() == Some('\\') {
                    return behind;
                }
                return skip_escape(rest);
            }
            '\n' => return rest,
            _ => {}
        }
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn safe(text: &str) -> String {
        Safe::line(text).into_string()
    }

    #[test]
    fn escape_sequences_go_whole_and_leave_no_litter() {
        assert_eq!(safe("a\u{1b}[31;1mb\u{1b}[0mc"), "abc");
        assert_eq!(safe("a\u{1b}]52;c;ZXZpbA==\u{7}b"), "ab");
        assert_eq!(safe("a\u{1b}]0;title\u{1b}\\b"), "ab");
        assert_eq!(safe("a\u{1b}P1$q\u{1b}\\b\u{1b}(Bc\u{1b}7d"), "abcd");
        assert_eq!(safe("a\u{9b}2Jb\u{9d}0;x\u{9c}c"), "abc");
        assert_eq!(safe("end\u{1b}"), "end");
        assert_eq!(safe("open\u{1b}]0;never ends"), "open");
        assert_eq!(safe("\u{1b}[31"), "");
    }

    #[test]
    fn controls_and_bidi_become_visible_and_stay_one_cell() {
        assert_eq!(safe("a\u{0}b\rc\nd\u{7f}"), "a␀b␍c␊d␡");
        assert_eq!(safe("x\u{202e}y\u{200d}z\u{feff}\u{85}"), "x�y�z��");
        assert_eq!(safe("tab\there"), "tab  here");
    }

    #[test]
    fn marks_are_kept_up_to_a_few() {
        assert_eq!(safe("e\u{301}"), "e\u{301}");
        let zalgo = format!("e{}x", "\u{301}".repeat(100_000));
        assert_eq!(safe(&zalgo).chars().count(), 2 + MARKS_MAX);
    }

    #[test]
    fn ordinary_text_of_the_world_is_left_alone() {
        for text in ["plain", "größe", "日本語", "Привет", "a → b ✓"] {
            assert_eq!(safe(text), text);
        }
    }

    #[test]
    fn no_random_text_leaves_anything_that_a_terminal_would_obey() {
        let alphabet: Vec<char> = "\u{1b}\u{9b}\u{9d}\u{90}\u{7}\u{9c}\\[]PX^_();01 mJHa\n\r\u{202e}".chars().collect();
        let mut rng = super::super::rng::Rng::new(11);
        for _ in 0..20_000 {
            let text: String =
                (0..rng.below(24)).map(|_| alphabet[rng.below(alphabet.len() as u64) as usize]).collect();
            let out = safe(&text);
            assert!(out.chars().all(|c| !c.is_control() && !is_invisible(c)), "{text:?} -> {out:?}");
            assert_eq!(safe(&out), out, "{text:?}");
        }
    }
}
