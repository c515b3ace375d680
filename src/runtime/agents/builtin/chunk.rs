//! `chunk`: cuts a text or a list into pieces.
//!
//! A character is what people take for one (with its accents and joined signs); none is ever cut.

use super::args::Args;
use crate::model::completion::Failure;
use serde_json::{Value, json};
use std::ops::Range;
use unicode_segmentation::UnicodeSegmentation;

/// The most pieces.
const CHUNKS_MAX: usize = 100_000;
/// The most bytes of all pieces of a text together: pieces that overlap repeat it.
const BYTES_MAX: usize = 64 << 20;
/// The most elements of all pieces of a list together.
const ELEMENTS_MAX: usize = 1_000_000;

#[derive(Clone, Copy, PartialEq)]
enum By {
    Chars,
    Words,
    Lines,
    Items,
}

impl By {
    const ALL: [(&str, Self); 4] =
        [("chars", Self::Chars), ("words", Self::Words), ("lines", Self::Lines), ("items", Self::Items)];

    /// How many of them a piece has where nothing is said.
    const fn usual_size(self) -> usize {
        match self {
            Self::Chars => 1_000,
            Self::Words => 200,
            Self::Lines | Self::Items => 100,
        }
    }
}

/// Does it.
pub(super) fn chunk(input: &Value) -> Result<Value, Failure> {
    let args = Args::new("chunk", input, &["text", "items", "value", "input", "size", "overlap", "by"])?;
    let (name, subject) = args.subject(&["text", "items", "value", "input"])?;
    let by = args.word("by", &By::ALL)?;
    let by = match (subject, by) {
        (Value::String(_), None) if name != "items" => By::Chars,
        (Value::String(_), Some(by)) if name != "items" && by != By::Items => by,
        (Value::Array(_), None | Some(By::Items)) if name != "text" => By::Items,
        (Value::Array(_), _) if name == "text" => return Err(args.wrong(name, subject, "text")),
        (Value::String(_), _) if name == "items" => return Err(args.wrong(name, subject, "a list")),
        (Value::String(_), _) => {
            return Err(args.fault("a text is not cut `by: items`; chars, words or lines is expected"));
        }
        (Value::Array(_), _) => return Err(args.fault("a list is cut `by: items` only")),
        _ => return Err(args.wrong(name, subject, "text or a list")),
    };
    let size = args.whole("size", 1)?.unwrap_or(by.usual_size());
    let overlap = args.whole("overlap", 0)?.unwrap_or(0);
    if overlap >= size {
        return Err(args.fault(&format!("`overlap` is {overlap}, less than the `size` of {size} is expected")));
    }
    let too_many = |what: &str| {
        args.fault(&format!("there would be more than {what}; take a larger `size` or a smaller `overlap`"))
    };
    let chunks: Vec<Value> = match subject {
        Value::Array(list) => {
            let ranges = ranges(list.len(), size, overlap).ok_or_else(|| too_many("100,000 pieces"))?;
            if ranges.iter().map(ExactSizeIterator::len).sum::<usize>() > ELEMENTS_MAX {
                return Err(too_many("1,000,000 elements in the pieces together"));
            }
            ranges.into_iter().map(|range| Value::from(&list[range])).collect()
        }
        _ => {
            let text = subject.as_str().unwrap_or_default();
            let units = units(text, by);
            let ranges = ranges(units.len(), size, overlap).ok_or_else(|| too_many("100,000 pieces"))?;
            let pieces: Vec<&str> = ranges.into_iter().filter_map(|range| piece(text, &units[range])).collect();
            if pieces.iter().map(|piece| piece.len()).sum::<usize>() > BYTES_MAX {
                return Err(too_many("64 MB of text in the pieces together"));
            }
            pieces.into_iter().map(Value::from).collect()
        }
    };
    let count = chunks.len();
    Ok(json!({ "chunks": chunks, "count": count }))
}

/// Where the units of a text begin and end. Those of 4 GB are counted as well: a text is never as long.
fn units(text: &str, by: By) -> Vec<(u32, u32)> {
    let place = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
    let unit = |(at, unit): (usize, &str)| (place(at), place(at + unit.len()));
    match by {
        By::Chars => text.grapheme_indices(true).map(unit).collect(),
        By::Words => {
            text.split_whitespace().map(|word| unit((word.as_ptr() as usize - text.as_ptr() as usize, word))).collect()
        }
        By::Lines | By::Items => {
            text.lines().map(|line| unit((line.as_ptr() as usize - text.as_ptr() as usize, line))).collect()
        }
    }
}

/// The text from the first of these units to the last.
fn piece<'t>(text: &'t str, units: &[(u32, u32)]) -> Option<&'t str> {
    text.get(units.first()?.0 as usize..units.last()?.1 as usize)
}

/// Which of so many units each piece has. `None`: there would be too many pieces.
fn ranges(units: usize, size: usize, overlap: usize) -> Option<Vec<Range<usize>>> {
    let mut ranges = Vec::new();
    let mut from = 0;
    while from < units {
        if ranges.len() == CHUNKS_MAX {
            return None;
        }
        let to = from.saturating_add(size).min(units);
        ranges.push(from..to);
        if to == units {
            break;
        }
        from += size - overlap;
    }
    Some(ranges)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunks(input: &Value) -> Value {
        let output = chunk(input).unwrap();
        assert_eq!(output["count"], output["chunks"].as_array().unwrap().len());
        output["chunks"].clone()
    }

    fn refused(input: &Value) -> String {
        chunk(input).unwrap_err().message
    }

    #[test]
    fn texts_are_cut_by_characters_words_and_lines() {
        assert_eq!(chunks(&json!({"text": "abcdefg", "size": 3})), json!(["abc", "def", "g"]));
        assert_eq!(chunks(&json!({"text": "abcdefg", "size": 3, "overlap": 1})), json!(["abc", "cde", "efg"]));
        assert_eq!(
            chunks(&json!({"input": " one  two\nthree ", "size": 2, "by": "words"})),
            json!(["one  two", "three"])
        );
        assert_eq!(chunks(&json!({"value": "a\nb\r\n\nc\n", "size": 2, "by": "lines"})), json!(["a\nb", "\nc"]));
        assert_eq!(chunks(&json!({"text": ""})), json!([]));
        assert_eq!(chunks(&json!({"text": "short"})), json!(["short"]));
        assert_eq!(chunks(&json!({"items": [1, 2, 3], "size": 2})), json!([[1, 2], [3]]));
        assert_eq!(chunks(&json!({"input": [1, 2, 3], "size": 2, "overlap": 1})), json!([[1, 2], [2, 3]]));
    }

    #[test]
    fn no_character_is_cut_and_nothing_is_lost() {
        let text = "e\u{301}🇩🇪👩‍👩‍👧x\r\nü漢";
        for size in 1..9 {
            let pieces = chunks(&json!({"text": text, "size": size}));
            let whole: String = pieces.as_array().unwrap().iter().filter_map(Value::as_str).collect();
            assert_eq!(whole, text);
        }
        assert_eq!(chunks(&json!({"text": text, "size": 1})), json!(["e\u{301}", "🇩🇪", "👩‍👩‍👧", "x", "\r\n", "ü", "漢"]));
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_what_would() {
        for (input, words) in [
            (json!({}), "nothing to work on; `text` or `items`"),
            (json!({"text": 5}), "`text` is 5, text"),
            (json!({"text": [1]}), "`text` is a list of 1, text"),
            (json!({"items": "x"}), "`items` is the text \"x\", a list"),
            (json!({"text": "a", "items": [1]}), "both there"),
            (json!({"text": "a", "size": 0}), "`size` is 0, a whole number from 1 on"),
            (json!({"text": "a", "size": 2, "overlap": 2}), "less than the `size` of 2"),
            (json!({"text": "a", "by": "bytes"}), "one of chars, words, lines, items"),
            (json!({"text": "a", "by": "items"}), "not cut `by: items`"),
            (json!({"items": [1], "by": "words"}), "only"),
            (json!({"text": "a", "sizes": 2}), "knows no `sizes`"),
            (json!({"text": "a".repeat(200_001), "size": 2}), "100,000 pieces"),
            (json!({"text": "a".repeat(160_000), "size": 80_000, "overlap": 79_000}), ""),
            (json!({"text": "a".repeat(160_000), "size": 80_000, "overlap": 79_999}), "64 MB"),
            (json!({"items": vec![1; 20_000], "size": 10_000, "overlap": 9_999}), "1,000,000 elements"),
        ] {
            if words.is_empty() {
                chunks(&input);
            } else {
                let told = refused(&input);
                assert!(told.contains(words), "{told}");
            }
        }
    }
}
