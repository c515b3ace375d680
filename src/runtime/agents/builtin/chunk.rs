//! `chunk`: cuts a text or a list into pieces.
//!
//! A character is what people take for one (with its accents and joined signs); none is ever cut.

use super::args::Args;
use crate::model::completion::Failure;
use serde_json::{Value, json};
use std::collections::VecDeque;
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
            let ranges = in_text(text, by, size, overlap).ok_or_else(|| too_many("100,000 pieces"))?;
            if ranges.iter().map(ExactSizeIterator::len).sum::<usize>() > BYTES_MAX {
                return Err(too_many("64 MB of text in the pieces together"));
            }
            ranges.into_iter().filter_map(|range| text.get(range)).map(Value::from).collect()
        }
    };
    let count = chunks.len();
    Ok(json!({ "chunks": chunks, "count": count }))
}

/// Where in a text each piece stands. `None`: there would be too many pieces.
fn in_text(text: &str, by: By, size: usize, overlap: usize) -> Option<Vec<Range<usize>>> {
    let place = |unit: &str| {
        let from = unit.as_ptr() as usize - text.as_ptr() as usize;
        from..from + unit.len()
    };
    match by {
        By::Chars => pieces(text.graphemes(true).map(place), size, overlap),
        By::Words => pieces(text.split_whitespace().map(place), size, overlap),
        By::Lines | By::Items => pieces(text.lines().map(place), size, overlap),
    }
}

/// Where each piece begins and ends that has so many of these units.
fn pieces(units: impl Iterator<Item = Range<usize>>, size: usize, overlap: usize) -> Option<Vec<Range<usize>>> {
    let step = size - overlap;
    let mut pieces: Vec<Range<usize>> = Vec::new();
    // Where pieces begin that have not ended yet.
    let mut open = VecDeque::new();
    let (mut count, mut end) = (0_usize, 0);
    for unit in units {
        if count.is_multiple_of(step) {
            open.push_back(unit.start);
        }
        (count, end) = (count + 1, unit.end);
        if count >= size && (count - size).is_multiple_of(step) {
            if pieces.len() == CHUNKS_MAX {
                return None;
            }
            pieces.extend(open.pop_front().map(|from| from..end));
        }
    }
    // The last one is shorter, unless one ended with the text.
    if count > 0 && pieces.last().is_none_or(|last| last.end < end) {
        if pieces.len() == CHUNKS_MAX {
            return None;
        }
        pieces.extend(open.pop_front().map(|from| from..end));
    }
    Some(pieces)
}

/// Which of so many elements each piece has. `None`: there would be too many pieces.
fn ranges(elements: usize, size: usize, overlap: usize) -> Option<Vec<Range<usize>>> {
    pieces((0..elements).map(|at| at..at + 1), size, overlap)
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
