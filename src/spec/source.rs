//! A text to read, the places in it, and how much of everything a file may hold.

use std::cell::OnceCell;

/// What a file may hold at most. A caller reads no more than `bytes + 1` bytes of a file.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of one file.
    pub bytes: usize,
    /// Nesting; the root is 1.
    pub depth: usize,
    /// Steps of one workflow.
    pub steps: usize,
    /// Needs of all steps together.
    pub edges: usize,
    /// Nodes that aliases may add, for each byte of the file.
    pub alias_nodes_per_byte: usize,
    /// Nodes that aliases may add at all: ten times the largest file would not fit into memory.
    pub alias_nodes: usize,
    /// Files that a workflow may use, directly or by others; together they have at most `bytes`.
    pub files: usize,
    /// How deep files may use each other; the first one that is used is at 1.
    pub nesting: usize,
    /// Bytes of JSON that all workflows that are used come to, each as often as it is used.
    pub used_bytes: usize,
    /// Diagnostics that are shown; the others are counted.
    pub diagnostics: usize,
}

/// The limits of this build.
pub const LIMITS: Limits = Limits {
    bytes: 16 * 1024 * 1024,
    depth: 64,
    steps: 100_000,
    edges: 1_000_000,
    alias_nodes_per_byte: 10,
    alias_nodes: 8_000_000,
    files: 1_000,
    nesting: 8,
    used_bytes: 128 << 20,
    diagnostics: 1_000,
};

/// A stretch of a source, in bytes behind a byte order mark.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Span {
    pub(crate) start: u32,
    pub(crate) end: u32,
}

impl Span {
    /// From byte offsets; offsets beyond the limits of a file cannot come up and saturate.
    pub(crate) fn new(start: usize, end: usize) -> Self {
        let small = |offset| u32::try_from(offset).unwrap_or(u32::MAX);
        Self { start: small(start), end: small(end) }
    }
}

/// The text of a file, and the name it is called by in messages.
#[derive(Clone, Debug)]
pub struct Source {
    name: String,
    text: String,
    bom: bool,
    line_starts: OnceCell<Vec<u32>>,
}

impl Source {
    /// A text under a name, usually the path as the user wrote it.
    #[must_use]
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        let text: String = text.into();
        let bom = text.starts_with('\u{feff}');
        Self { name: name.into(), text, bom, line_starts: OnceCell::new() }
    }
    /// The name in messages.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
    /// The text without a byte order mark.
    #[must_use]
    pub fn text(&self) -> &str {
        if self.bom { &self.text['\u{feff}'.len_utf8()..] } else { &self.text }
    }
    /// Whether the name ends in `.json`: then nothing but strict JSON will do.
    #[must_use]
    pub fn is_json(&self) -> bool {
        self.name.len() > 5 && self.name.to_ascii_lowercase().ends_with(".json")
    }
    /// The name without folders and extension: the id of a workflow that names none, made to fit the rule for ids.
    #[must_use]
    pub fn stem(&self) -> String {
        let file = self.name.rsplit(['/', '\\']).next().unwrap_or("");
        let stem = file.rsplit_once('.').map_or(file, |(stem, _)| stem);
        let fits = |c: char| c.is_ascii_alphanumeric() || "._@:+-".contains(c);
        let stem: String = stem.chars().map(|c| if fits(c) { c } else { '-' }).take(128).collect();
        let stem = stem.trim_start_matches(|c: char| !c.is_ascii_alphanumeric());
        if stem.is_empty() { "workflow".to_owned() } else { stem.to_owned() }
    }
    /// The line of an offset, from 0.
    pub(crate) fn line_index(&self, offset: u32) -> usize {
        self.line_starts().partition_point(|&start| start <= offset).saturating_sub(1)
    }
    /// The line of an offset, from 1, as people count.
    pub(crate) fn line_number(&self, offset: u32) -> usize {
        self.line_index(offset) + 1
    }
    /// Where a line (from 0) begins and ends, without its line break.
    pub(crate) fn line_bounds(&self, line: usize) -> (usize, usize) {
        let starts = self.line_starts();
        let start = starts.get(line).map_or(0, |&start| start as usize);
        let end = starts.get(line + 1).map_or(self.text().len(), |&next| next as usize - 1);
        let end = if self.text()[start..end].ends_with('\r') { end - 1 } else { end };
        (start, end)
    }
    fn line_starts(&self) -> &[u32] {
        self.line_starts.get_or_init(|| {
            let ends = self.text().bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
            std::iter::once(0).chain(ends.map(|(at, _)| Span::new(at + 1, 0).start)).collect()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_counted_from_one_and_a_byte_order_mark_takes_no_place() {
        let source = Source::new("x/My flow.yaml", "\u{feff}ab\r\nc\n\nd");
        assert_eq!(source.text(), "ab\r\nc\n\nd");
        assert_eq!([0, 3, 4, 6, 7].map(|at| source.line_number(at)), [1, 1, 2, 3, 4]);
        assert_eq!(source.line_bounds(0), (0, 2));
        assert_eq!(source.line_bounds(3), (7, 8));
        assert_eq!(source.stem(), "My-flow");
        assert_eq!(Source::new("-", "").stem(), "workflow");
    }
}
