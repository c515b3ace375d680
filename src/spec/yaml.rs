//! YAML 1.2 with places, built from the events of the parser. What a tree of plain data cannot say is refused: tags,
//! merge keys, a second document, keys that are not text.

use crate::spec::diagnostic::Code;
use crate::spec::faults::Faults;
use crate::spec::scalar;
use crate::spec::source::{LIMITS, Span};
use crate::spec::tree::{Entry, Kind, Node, without_duplicates};
use crate::spec::words::quote;
use granit_parser::{ErrorKind, Event, Parser, ScalarStyle, ScanError};

/// Reads a whole text. `None`: nothing could be made of it, and the faults say why.
pub(crate) fn read(text: &str, faults: &mut Faults<'_>) -> Option<Node> {
    let options = granit_parser::options! { flow_nesting_limit: LIMITS.depth, block_nesting_limit: LIMITS.depth };
    let budget = text.len().saturating_mul(LIMITS.alias_nodes_per_byte).min(LIMITS.alias_nodes);
    let mut builder =
        Builder { faults, open: Vec::new(), root: None, anchors: Vec::new(), documents: 0, budget, stopped: false };
    for event in Parser::new_from_str_with_options(text, options) {
        match event {
            Ok((event, span)) => builder.event(event, place(&span)),
            Err(error) => {
                builder.syntax(text, &error);
                return None;
            }
        }
        if builder.stopped {
            return None;
        }
    }
    if builder.root.is_none() {
        builder.faults.error(Span::default(), Code::Empty, "the file is empty");
    }
    builder.root
}

fn place(span: &granit_parser::Span) -> Span {
    span.byte_range().map_or(Span::default(), |range| Span::new(range.start, range.end))
}

/// A list or map that has begun and not ended.
struct Open {
    span: Span,
    anchor: usize,
    parts: Parts,
}

enum Parts {
    List(Vec<Node>),
    /// `key` waits for its value; a key at fault is without text and drops its value.
    Map {
        entries: Vec<Entry>,
        key: Option<(Option<String>, Span)>,
    },
}

/// What an anchor stands for.
enum Anchor {
    /// Still being read: an alias here would contain itself.
    Open,
    /// Its value, how many values it holds and how deep it is.
    Done { node: Node, nodes: usize, depth: usize },
}

struct Builder<'f, 's> {
    faults: &'f mut Faults<'s>,
    open: Vec<Open>,
    root: Option<Node>,
    /// By the parser's numbers, which count from 1.
    anchors: Vec<Anchor>,
    documents: usize,
    /// Nodes that aliases may still add.
    budget: usize,
    stopped: bool,
}

impl Builder<'_, '_> {
    fn event(&mut self, event: Event<'_>, span: Span) {
        match event {
            Event::DocumentStart(_, version) => self.document(version.map(|v| (v.major, v.minor)), span),
            Event::Scalar(text, style, anchor, tag) => {
                self.refuse_tag(tag.as_deref(), span);
                let kind = self.scalar(&text, style, span);
                self.finished(Node { span, kind }, anchor);
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.refuse_tag(tag.as_deref(), span);
                self.begin(span, anchor, Parts::List(Vec::new()));
            }
            Event::MappingStart(_, anchor, tag) => {
                self.refuse_tag(tag.as_deref(), span);
                self.begin(span, anchor, Parts::Map { entries: Vec::new(), key: None });
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(span),
            Event::Alias(anchor) => self.alias(anchor, span),
            _ => {}
        }
    }
    fn document(&mut self, version: Option<(u32, u32)>, span: Span) {
        self.documents += 1;
        if self.documents > 1 {
            let message = "a second document begins here; a file holds one";
            self.faults.error(span, Code::SecondDocument, message).expected("one document, without a second `---`");
            self.stopped = true;
        }
        if let Some((major, minor)) = version
            && (major, minor) != (1, 2)
        {
            let message = format!("the file says it is YAML {major}.{minor}; it is read as YAML 1.2");
            self.faults.error(span, Code::YamlFeature, message).expected("`%YAML 1.2`, or no such line");
        }
    }
    fn refuse_tag(&mut self, tag: Option<&granit_parser::Tag>, span: Span) {
        if let Some(tag) = tag {
            let message = format!("tags are not supported, found {}", quote(&tag.original()));
            self.faults.error(span, Code::YamlFeature, message).expected("the value alone; in quotes if it is text");
        }
    }
    fn scalar(&mut self, text: &str, style: ScalarStyle, span: Span) -> Kind {
        if style != ScalarStyle::Plain {
            return Kind::Text(text.to_owned());
        }
        match scalar::plain(text) {
            Ok(kind) => kind,
            Err(bad) => {
                self.faults.error(span, bad.code, bad.message).expected(bad.expected);
                // As text it goes on to be what was probably meant, or to one more fault at the same place.
                if self.wants_key() { Kind::Text(text.to_owned()) } else { Kind::Null }
            }
        }
    }
    fn wants_key(&self) -> bool {
        matches!(self.open.last(), Some(Open { parts: Parts::Map { key: None, .. }, .. }))
    }
    fn begin(&mut self, span: Span, anchor: usize, parts: Parts) {
        if self.open.len() >= LIMITS.depth {
            self.too_deep(span);
        }
        if anchor > 0 {
            self.anchor(anchor, Anchor::Open);
        }
        self.open.push(Open { span, anchor, parts });
    }
    fn anchor(&mut self, number: usize, anchor: Anchor) {
        while self.anchors.len() < number {
            self.anchors.push(Anchor::Open);
        }
        self.anchors[number - 1] = anchor;
    }
    fn too_deep(&mut self, span: Span) {
        self.faults.error(span, Code::TooLarge, format!("nested deeper than {} levels", LIMITS.depth));
        self.stopped = true;
    }
    fn end(&mut self, end: Span) {
        let Some(Open { span, anchor, parts }) = self.open.pop() else { return };
        // A block's end event lies behind it; flow collections end with their bracket.
        let span = Span { start: span.start, end: span.end.max(end.end.min(span.start.saturating_add(1))) };
        let kind = match parts {
            Parts::List(list) => Kind::List(list),
            Parts::Map { entries, .. } => {
                let faults = &mut *self.faults;
                Kind::Map(without_duplicates(entries, |first, again| {
                    faults.duplicate_key(first.key_span, again.key_span, &again.key);
                }))
            }
        };
        self.finished(Node { span, kind }, anchor);
    }
    fn alias(&mut self, anchor: usize, span: Span) {
        let (node, nodes, depth) = match self.anchors.get(anchor.wrapping_sub(1)) {
            Some(Anchor::Done { node, nodes, depth }) => (node, *nodes, *depth),
            Some(Anchor::Open) => {
                self.faults.error(span, Code::BadAlias, "this alias stands inside the value it stands for");
                self.stopped = true;
                return;
            }
            None => {
                self.faults.error(span, Code::BadAlias, "this alias has no anchor before it");
                self.stopped = true;
                return;
            }
        };
        if nodes > self.budget {
            let message = format!(
                "aliases make more of this file than is taken: {} values for each byte, {} in all",
                LIMITS.alias_nodes_per_byte, LIMITS.alias_nodes
            );
            self.faults.error(span, Code::TooLarge, message);
            self.stopped = true;
            return;
        }
        if self.open.len() + depth > LIMITS.depth {
            self.too_deep(span);
            return;
        }
        self.budget -= nodes;
        let node = Node { span, kind: node.kind.clone() };
        self.finished(node, 0);
    }
    fn finished(&mut self, node: Node, anchor: usize) {
        if self.open.len() >= LIMITS.depth {
            self.too_deep(node.span);
            return;
        }
        if anchor > 0 {
            let (nodes, depth) = node.measure();
            // Anchors inside anchors would keep copies of copies: what they keep counts like what aliases add.
            if nodes > self.budget {
                self.faults.error(node.span, Code::TooLarge, "anchors hold more of this file than is taken");
                self.stopped = true;
                return;
            }
            self.budget -= nodes;
            self.anchor(anchor, Anchor::Done { node: node.clone(), nodes, depth });
        }
        let Some(parent) = self.open.last_mut() else {
            self.root = Some(node);
            return;
        };
        match &mut parent.parts {
            Parts::List(list) => list.push(node),
            Parts::Map { entries, key } => match key.take() {
                Some((Some(key), key_span)) => entries.push(Entry { key, key_span, value: node }),
                Some((None, _)) => {}
                None => *key = Some(Self::key(self.faults, node)),
            },
        }
    }
    fn key(faults: &mut Faults<'_>, node: Node) -> (Option<String>, Span) {
        let span = node.span;
        match node.kind {
            Kind::Text(text) => {
                let quoted = span.end as usize > span.start as usize + text.len();
                if text == "<<" && !quoted {
                    let message = "merge keys `<<` are not supported";
                    let ways = "the keys written out, or `defaults` for what all steps share";
                    faults.error(span, Code::YamlFeature, message).expected(ways);
                    return (None, span);
                }
                (Some(text), span)
            }
            other => {
                let node = Node { span, kind: other };
                let shown = match &node.kind {
                    Kind::List(_) | Kind::Map(_) => String::new(),
                    Kind::Null => " (nothing)".to_owned(),
                    _ => format!(" {}", node.to_value()),
                };
                let message = format!("a key has to be text, this is {}{shown}", node.type_word());
                let fault = faults.error(span, Code::KeyNotText, message);
                if !matches!(node.kind, Kind::Bool(_) | Kind::Number(_)) {
                    return (None, span);
                }
                let meant = node.to_value().to_string();
                fault.suggest(Some(format!("\"{meant}\"")));
                (Some(meant), span)
            }
        }
    }
    fn syntax(&mut self, text: &str, error: &ScanError) {
        let at = error.marker().byte_offset().unwrap_or(text.len()).min(text.len());
        let length = text.get(at..).and_then(|rest| rest.chars().next()).map_or(0, char::len_utf8);
        let span = Span::new(at, at + length);
        match error.kind() {
            ErrorKind::RecursionLimitExceeded => self.too_deep(span),
            ErrorKind::UnknownAnchor => {
                self.faults
                    .error(span, Code::BadAlias, "this alias has no anchor before it")
                    .expected("an anchor `&name` above, or the text in quotes if `*` belongs to it");
            }
            kind => {
                self.faults.error(span, Code::Syntax, format!("this is not YAML: {kind}"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::diagnostic::Diagnostic;
    use crate::spec::source::Source;
    use serde_json::{Value, json};

    fn read_text(text: &str) -> (Option<Value>, Vec<Diagnostic>) {
        let source = Source::new("t.yaml", text);
        let mut faults = Faults::new(&source);
        let node = read(source.text(), &mut faults);
        (node.map(|node| node.to_value()), faults.finish().0)
    }

    fn good(text: &str) -> Value {
        let (value, faults) = read_text(text);
        assert!(faults.is_empty(), "{faults:?}");
        value.unwrap()
    }

    fn bad(text: &str) -> Vec<(usize, usize, Code)> {
        read_text(text).1.iter().map(|d| (d.line, d.column, d.code)).collect()
    }

    #[test]
    fn block_and_flow_text_and_aliases_become_plain_data() {
        let text = "\u{feff}a: &x [1, yes, 'no']\nb: *x\nc: |\n  two\n  lines\nd: {e: ~, f: \"q\\u0041\"}\n\"<<\": 1\n";
        let value = json!({"a": [1, "yes", "no"], "b": [1, "yes", "no"], "c": "two\nlines\n", "d": {"e": null, "f": "qA"}, "<<": 1});
        assert_eq!(good(text), value);
        assert_eq!(good("%YAML 1.2\n---\na: 1\n...\n"), json!({"a": 1}));
    }

    #[test]
    fn places_are_those_of_keys_and_values() {
        let source = Source::new("t", "a: 1\nbc:\n  - x\n  - {d: yy}\n");
        let mut faults = Faults::new(&source);
        let node = read(source.text(), &mut faults).unwrap();
        let bc = &node.entries()[1];
        let at = |span: Span| (span.start as usize, &source.text()[span.start as usize..span.end as usize]);
        assert_eq!(at(bc.key_span), (5, "bc"));
        assert_eq!(at(bc.value.list()[0].span), (13, "x"));
        let d = &bc.value.list()[1].entries()[0];
        assert_eq!(at(d.key_span).1, "d");
        assert_eq!(at(d.value.span).1, "yy");
    }

    #[test]
    fn every_fault_of_the_tree_is_reported_not_only_the_first() {
        let text = "a: 010\nb: !!str x\na: 2\n1: x\n<<: {z: 1}\nc: .inf\na: 3\n";
        let expected = [
            (1, 4, Code::AmbiguousNumber),
            (2, 10, Code::YamlFeature),
            (3, 1, Code::DuplicateKey),
            (4, 1, Code::KeyNotText),
            (5, 1, Code::YamlFeature),
            (6, 4, Code::NumberRange),
            (7, 1, Code::DuplicateKey),
        ];
        assert_eq!(bad(text), expected);
    }

    #[test]
    fn what_is_not_one_document_of_yaml_is_refused() {
        assert_eq!(bad("")[0].2, Code::Empty);
        assert_eq!(bad("# only a comment\n")[0].2, Code::Empty);
        assert_eq!(bad("a: 1\n---\nb: 2\n"), [(2, 1, Code::SecondDocument)]);
        assert_eq!(bad("a: [1, 2\nb: 3\n")[0].2, Code::Syntax);
        assert_eq!(bad("a: *none\n"), [(1, 4, Code::BadAlias)]);
        assert_eq!(bad("a: &x [*x]\n"), [(1, 8, Code::BadAlias)]);
        assert_eq!(bad("%YAML 1.1\n---\na: 1\n")[0].2, Code::YamlFeature);
    }

    #[test]
    fn bombs_are_refused_before_they_grow() {
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for n in 1..12 {
            let refs = vec![format!("*a{}", n - 1); 10].join(", ");
            bomb.push_str(&format!("a{n}: &a{n} [{refs}]\n"));
        }
        assert_eq!(bad(&bomb).last().unwrap().2, Code::TooLarge);
        let long = format!("a: &a {}\nb: [{}]\n", "x".repeat(1 << 20), vec!["*a"; 100_000].join(", "));
        assert_eq!(bad(&long).last().unwrap().2, Code::TooLarge, "a long text is more than one value");
        let some = format!("a: &a {}\nb: [{}]\n", "x".repeat(1 << 16), vec!["*a"; 100].join(", "));
        assert_eq!(bad(&some), []);
        for deep in ["[".repeat(100_000), "- ".repeat(100_000), "{a: ".repeat(50_000), "? ".repeat(10_000)] {
            let faults = bad(&deep);
            assert!(!faults.is_empty(), "{}", &deep[..6]);
        }
        let nest = |n: usize| format!("{}x{}", "[".repeat(n - 1), "]".repeat(n - 1));
        assert!(bad(&nest(64)).is_empty());
        assert_eq!(bad(&nest(65))[0].2, Code::TooLarge);
        let by_alias = format!("a: &a {}\nb: {}*a{}\n", nest(40), "[".repeat(30), "]".repeat(30));
        assert_eq!(bad(&by_alias)[0].2, Code::TooLarge);
    }
}
