//! The list that every pass over a file writes its findings to.
//!
//! Places are kept as byte offsets while reading; lines and columns are worked out once at the end, in the order of
//! the file, so that a thousand faults in one line of 16 MB still take one walk over it.

use crate::spec::diagnostic::{Code, Diagnostic, Excerpt, Severity};
use crate::spec::place::Places;
use crate::spec::source::{LIMITS, Source, Span};
use crate::spec::words::quote;

/// Faults that are kept while reading, more than are shown: the ones shown are the first of the file.
const KEPT_MAX: usize = 10_000;

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) span: Span,
    severity: Severity,
    pub(crate) code: Code,
    message: String,
    expected: Option<String>,
    suggestion: Option<String>,
}

impl Fault {
    /// Says what was expected.
    pub(crate) fn expected(&mut self, expected: impl Into<String>) -> &mut Self {
        self.expected = Some(expected.into());
        self
    }
    /// Says what was probably meant.
    pub(crate) fn suggest(&mut self, suggestion: Option<String>) -> &mut Self {
        self.suggestion = suggestion;
        self
    }
}

/// Findings without their source, kept while it is moved.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    list: Vec<Fault>,
    dropped: usize,
    errors: usize,
    concealed: Vec<Span>,
}

/// All findings about one source.
#[derive(Debug)]
pub(crate) struct Faults<'s> {
    source: &'s Source,
    list: Vec<Fault>,
    spare: Fault,
    dropped: usize,
    errors: usize,
    /// Places of texts that no excerpt may show.
    concealed: Vec<Span>,
}

impl<'s> Faults<'s> {
    /// An empty list.
    pub(crate) fn new(source: &'s Source) -> Self {
        let spare = Fault {
            span: Span::default(),
            severity: Severity::Note,
            code: Code::Syntax,
            message: String::new(),
            expected: None,
            suggestion: None,
        };
        Self { source, list: Vec::new(), spare, dropped: 0, errors: 0, concealed: Vec::new() }
    }
    /// What was found so far about this source.
    pub(crate) fn with(source: &'s Source, found: Findings) -> Self {
        let Findings { list, dropped, errors, concealed } = found;
        Self { list, dropped, errors, concealed, ..Self::new(source) }
    }
    /// The findings, to be taken up again by [`Self::with`].
    pub(crate) fn detach(self) -> Findings {
        let Self { list, dropped, errors, concealed, .. } = self;
        Findings { list, dropped, errors, concealed }
    }
    /// The name of the source.
    pub(crate) fn name(&self) -> &'s str {
        self.source.name()
    }
    /// The line of a place, as people count.
    pub(crate) fn line(&self, span: Span) -> usize {
        self.source.line_number(span.start)
    }
    /// Where the characters of a text stand that was read from `whole`.
    pub(crate) fn places<'t>(&self, whole: Span, text: &'t str) -> Places<'t>
    where
        's: 't,
    {
        let raw = self.source.text().get(whole.start as usize..whole.end as usize).unwrap_or("");
        Places::new(whole, raw, text)
    }
    /// The place of byte `at` of a text that was read from `whole`, or `whole` if that cannot be said.
    pub(crate) fn inside(&self, whole: Span, text: &str, at: usize) -> Span {
        let raw = self.source.text().get(whole.start as usize..whole.end as usize).unwrap_or("");
        Places::new(whole, raw, text).of(at)
    }
    /// Whether anything found so far refuses the file.
    pub(crate) const fn any_error(&self) -> bool {
        self.errors > 0
    }
    /// Takes over what another list about the same source holds.
    pub(crate) fn take(&mut self, other: Self) {
        self.errors += other.errors;
        self.dropped += other.dropped;
        self.list.extend(other.list);
        self.concealed.extend(other.concealed);
    }
    /// Keeps a text out of all excerpts: lines that it touches are not shown.
    pub(crate) fn conceal(&mut self, span: Span) {
        self.concealed.push(span);
    }
    /// Whether more would only be counted; then words about it are wasted.
    pub(crate) const fn is_full(&self) -> bool {
        self.list.len() >= KEPT_MAX
    }
    /// Adds something that refuses the file.
    pub(crate) fn error(&mut self, span: Span, code: Code, message: impl Into<String>) -> &mut Fault {
        self.errors += 1;
        self.add(span, Severity::Error, code, message.into())
    }
    /// Adds that a key comes twice.
    pub(crate) fn duplicate_key(&mut self, first: Span, again: Span, key: &str) {
        let message = if self.is_full() {
            String::new()
        } else {
            format!("key {} is given twice, first in line {}", quote(key), self.line(first))
        };
        self.error(again, Code::DuplicateKey, message);
    }
    /// Adds something that is probably not meant.
    pub(crate) fn warning(&mut self, span: Span, code: Code, message: impl Into<String>) -> &mut Fault {
        self.add(span, Severity::Warning, code, message.into())
    }
    /// Adds something good to know.
    pub(crate) fn note(&mut self, span: Span, code: Code, message: impl Into<String>) -> &mut Fault {
        self.add(span, Severity::Note, code, message.into())
    }
    fn add(&mut self, span: Span, severity: Severity, code: Code, message: String) -> &mut Fault {
        let fault = Fault { span, severity, code, message, expected: None, suggestion: None };
        // Warnings leave room for what refuses the file.
        if self.list.len() >= if severity == Severity::Error { KEPT_MAX } else { KEPT_MAX / 2 } {
            self.dropped += 1;
            self.spare = fault;
            return &mut self.spare;
        }
        self.list.push(fault);
        self.list.last_mut().expect("pushed just now")
    }
    /// The findings in the order of the file, and how many more there are. What several aliases of one place say is
    /// said once.
    pub(crate) fn finish(self) -> (Vec<Diagnostic>, usize) {
        let Self { source, mut list, mut dropped, concealed, .. } = self;
        list.sort_by(|a, b| (a.span, a.severity, a.code, &a.message).cmp(&(b.span, b.severity, b.code, &b.message)));
        list.dedup();
        if list.len() > LIMITS.diagnostics {
            dropped += list.len() - LIMITS.diagnostics;
            // Warnings must not push out what refuses the file.
            list.sort_by_key(|fault| fault.severity);
            list.truncate(LIMITS.diagnostics);
            list.sort_by_key(|fault| fault.span);
        }
        let mut cursor = Cursor { line: 0, bounds: source.line_bounds(0), offset: 0, column: 1 };
        let diagnostics = list.into_iter().map(|fault| cursor.place(source, fault, &concealed)).collect();
        (diagnostics, dropped)
    }
}

/// Walks forward over the source and turns offsets into lines and columns.
struct Cursor {
    line: usize,
    bounds: (usize, usize),
    offset: usize,
    column: usize,
}

impl Cursor {
    fn place(&mut self, source: &Source, fault: Fault, concealed: &[Span]) -> Diagnostic {
        let text = source.text();
        let start = boundary(text, fault.span.start);
        let end = boundary(text, fault.span.end).max(start);
        let line = source.line_index(Span::new(start, end).start);
        if line != self.line {
            let bounds = source.line_bounds(line);
            *self = Self { line, bounds, offset: bounds.0, column: 1 };
        }
        self.column += text[self.offset..start].chars().count();
        self.offset = start;
        let touches = |span: &Span| (span.start as usize) < self.bounds.1 && (span.end as usize) > self.bounds.0;
        let excerpt = (!concealed.iter().any(touches)).then(|| Excerpt::new(source, self.bounds, start, end));
        Diagnostic {
            file: source.name().to_owned(),
            line: line + 1,
            column: self.column,
            severity: fault.severity,
            code: fault.code,
            message: fault.message,
            expected: fault.expected,
            suggestion: fault.suggestion,
            excerpt,
        }
    }
}

/// The offset, or the beginning of the character it falls into, or the end of the text.
fn boundary(text: &str, offset: u32) -> usize {
    let offset = (offset as usize).min(text.len());
    (0..4).map(|back| offset.saturating_sub(back)).find(|&at| text.is_char_boundary(at)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_come_out_in_the_order_of_the_file_and_once_each() {
        let source = Source::new("f", "ab\ncdé fg\n");
        let mut faults = Faults::new(&source);
        faults.error(Span::new(8, 10), Code::Cycle, "late");
        faults.warning(Span::new(1, 2), Code::NoEffect, "early");
        faults.error(Span::new(8, 10), Code::Cycle, "late");
        assert!(faults.any_error());
        let (list, more) = faults.finish();
        let places: Vec<_> = list.iter().map(|d| (d.line, d.column, d.message.as_str())).collect();
        assert_eq!(places, [(1, 2, "early"), (2, 5, "late")]);
        assert_eq!(more, 0);
    }

    #[test]
    fn a_line_with_a_concealed_text_is_not_shown_and_its_neighbours_are() {
        let source = Source::new("f", "above\na secret b\nbelow\n");
        let mut faults = Faults::new(&source);
        faults.conceal(Span::new(8, 14));
        for at in [0, 6, 15, 17] {
            faults.error(Span::new(at, at + 1), Code::Cycle, "e");
        }
        let (list, _) = faults.finish();
        assert_eq!(
            list.iter().map(|d| (d.line, d.excerpt.is_some())).collect::<Vec<_>>(),
            [(1, true), (2, false), (2, false), (3, true)]
        );
        assert!(list.iter().all(|d| !d.render().contains("secret")));
    }

    #[test]
    fn a_thousand_are_shown_and_the_rest_is_counted_errors_first() {
        let source = Source::new("f", "x".repeat(30_000));
        let mut faults = Faults::new(&source);
        for at in 0..2_000 {
            faults.warning(Span::new(at, at), Code::NoEffect, "w");
        }
        for at in 2_000..20_000 {
            faults.error(Span::new(at, at), Code::Cycle, "e");
        }
        let (list, more) = faults.finish();
        assert_eq!((list.len(), more), (1_000, 19_000));
        assert!(list.iter().all(|d| d.severity == Severity::Error));
    }
}
