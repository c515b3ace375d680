//! The walker: holds a file against the tables of [`crate::spec::keys`] and reports every difference.
//!
//! It builds nothing. Whoever builds from the tree afterwards ([`Fields`]) may take what is well-formed and pass over
//! what is not: the fault is on the list, and a file with errors never becomes a workflow.

use crate::model::path::Path;
use crate::model::time::{BadDuration, Micros, duration, seconds_to_micros};
use crate::spec::computed;
use crate::spec::diagnostic::Code;
use crate::spec::faults::Faults;
use crate::spec::keys::{Key, KeyRule, Shape, Table, Word};
use crate::spec::source::Span;
use crate::spec::tree::{Entry, Kind, Node};
use crate::spec::units::{BadUrl, bad_url, bad_variable, is_id, is_name, share};
use crate::spec::words::{clip, nearest, quote};
use serde_json::Number;

/// Checks a map against a table. `owner` is where a missing key is reported.
pub(crate) fn table(table: &Table, node: &Node, owner: Span, faults: &mut Faults<'_>) {
    let mut given: Vec<(&'static str, Span)> = Vec::with_capacity(node.entries().len());
    let mut meant: Vec<&'static str> = Vec::new();
    for entry in node.entries() {
        let Some(key) = table.find(&entry.key) else {
            meant.extend(unknown_key(table, entry, faults));
            continue;
        };
        if entry.value.is_null() && !key.shape.keeps_null() {
            continue;
        }
        if let Some((_, first)) = given.iter().find(|(name, _)| *name == key.name) {
            let line = faults.line(*first);
            let message =
                format!("{} is another name of `{}`, which line {line} gives already", quote(&entry.key), key.name);
            faults.error(entry.key_span, Code::DuplicateKey, message).expected("one of the two");
            continue;
        }
        given.push((key.name, entry.key_span));
        let place = if key.is_taken() { entry.value.span } else { entry.key_span };
        shape(&key.shape, &entry.value, place, &entry.key, faults);
    }
    let missing = |key: &&Key| key.required && !given.iter().any(|(name, _)| *name == key.name);
    for key in table.keys().filter(missing).filter(|key| !meant.contains(&key.name)) {
        faults.error(owner, Code::MissingKey, format!("{} needs `{}`", table.what, key.name)).expected(format!(
            "`{}: …`, {}",
            key.name,
            key.shape.describe()
        ));
    }
}

/// Reports it, and says which key was probably meant: that one is not missing as well.
fn unknown_key(table: &Table, entry: &Entry, faults: &mut Faults<'_>) -> Option<&'static str> {
    if faults.is_full() {
        faults.error(entry.key_span, Code::UnknownKey, String::new());
        return None;
    }
    let names = table.keys().flat_map(|key| std::iter::once(key.name).chain(key.aliases.iter().copied()));
    let near = nearest(&entry.key, names);
    let fault = faults.error(entry.key_span, Code::UnknownKey, format!("unknown key {}", quote(&entry.key)));
    if near.is_none() {
        let built: Vec<&str> = table.keys().filter(|key| key.is_taken()).map(|key| key.name).collect();
        fault.expected(format!("a key of {}: {}", table.what, built.join(", ")));
        return None;
    }
    let meant = near.as_deref().and_then(|near| table.find(near)).map(|key| key.name);
    fault.expected(format!("a key of {}", table.what)).suggest(near);
    meant
}

/// Checks a value against a shape. `name` is what the value is called in messages.
fn shape(shape: &Shape, node: &Node, place: Span, name: &str, faults: &mut Faults<'_>) {
    match shape {
        Shape::Later => unsupported(name, "", place, faults),
        Shape::Refused(why) => {
            let message = format!("{} cannot stand here: {why}", quote(name));
            faults.error(place, Code::Conflict, message).expected("the key at the steps that are meant");
        }
        Shape::Value => computed::texts(node, faults),
        Shape::Literal => computed::refuse(node, faults),
        Shape::Object if matches!(node.kind, Kind::Map(_)) => {}
        Shape::Bool if matches!(node.kind, Kind::Bool(_)) => {}
        Shape::List(element, least) => list(element, *least, shape, node, name, faults),
        Shape::Map(rule, value) => map(*rule, value, shape, node, name, faults),
        Shape::Table(keys) if matches!(node.kind, Kind::Map(_)) => table(keys, node, place, faults),
        Shape::Kinds(kinds) => agent(kinds, node, place, name, faults),
        Shape::Either(shapes) => match shapes.iter().find(|shape| takes(shape, node)) {
            Some(chosen) => self::shape(chosen, node, place, name, faults),
            None => wrong_type(shape, node, name, faults),
        },
        Shape::Whole(..) | Shape::Number { .. } => number(shape, node, name, faults),
        Shape::Duration { .. } => time(shape, node, name, faults),
        _ => text(shape, node, name, faults),
    }
}

/// Whether a value has the type of a shape, so that this shape and no other should judge it.
pub(crate) fn takes(shape: &Shape, node: &Node) -> bool {
    match node.kind {
        Kind::Null => false,
        Kind::Bool(_) => matches!(shape, Shape::Bool),
        Kind::Number(_) => matches!(shape, Shape::Whole(..) | Shape::Number { .. } | Shape::Duration { .. }),
        Kind::Text(_) => matches!(
            shape,
            Shape::Text
                | Shape::Filled
                | Shape::Argument
                | Shape::Template
                | Shape::PathOrFilter
                | Shape::Id
                | Shape::Name
                | Shape::Words(_)
                | Shape::Duration { .. }
                | Shape::Share
        ),
        Kind::List(_) => matches!(shape, Shape::List(..)),
        Kind::Map(_) => matches!(shape, Shape::Map(..) | Shape::Table(_) | Shape::Object),
    }
}

fn unsupported(name: &str, extra: &str, place: Span, faults: &mut Faults<'_>) {
    let message = format!("{}{extra} is not supported yet by this version of upbeat", quote(name));
    faults.error(place, Code::Unsupported, message);
}

fn wrong_type(shape: &Shape, node: &Node, name: &str, faults: &mut Faults<'_>) {
    let shown = match &node.kind {
        Kind::Bool(_) | Kind::Number(_) => format!("{}, {}", quote(&node.to_value().to_string()), node.type_word()),
        Kind::Text(text) => format!("the text {}", quote(text)),
        _ => node.type_word().to_owned(),
    };
    let suggestion = rewritten(shape, node);
    let message = format!("{} has the wrong type, found {shown}", quote(name));
    faults.error(node.span, Code::WrongType, message).expected(shape.describe()).suggest(suggestion);
}

/// The same value in the type that is expected, if that is easily said.
fn rewritten(shape: &Shape, node: &Node) -> Option<String> {
    let any = |test: fn(&Shape) -> bool| match shape {
        Shape::Either(shapes) => shapes.iter().any(test),
        one => test(one),
    };
    match &node.kind {
        Kind::Text(text) if any(|s| matches!(s, Shape::Bool)) => match text.to_lowercase().as_str() {
            "yes" | "on" | "true" | "y" => Some("true".to_owned()),
            "no" | "off" | "false" | "n" => Some("false".to_owned()),
            _ => None,
        },
        Kind::Text(text) if any(|s| matches!(s, Shape::Whole(..) | Shape::Number { .. })) => {
            text.trim().parse::<Number>().ok().map(|number| number.to_string())
        }
        Kind::Text(text) if any(|s| matches!(s, Shape::List(..))) && text.len() <= 60 => {
            Some(format!("[{}]", clip(text, 60)))
        }
        Kind::Bool(false) if any(can_be_off) => Some("off".to_owned()),
        Kind::Bool(_) | Kind::Number(_) if any(is_text) => Some(format!("\"{}\"", node.to_value())),
        _ => None,
    }
}

/// Whether any text is a value of a shape, or almost any.
const fn is_text(shape: &Shape) -> bool {
    matches!(
        shape,
        Shape::Text
            | Shape::Filled
            | Shape::Argument
            | Shape::ArgumentOrFilter
            | Shape::Template
            | Shape::Id
            | Shape::Name
    )
}

/// Whether `off` is a value of a shape.
fn can_be_off(shape: &Shape) -> bool {
    match shape {
        Shape::Duration { off, .. } => *off,
        Shape::Words(words) => words.iter().any(|word| word.word == "off"),
        _ => false,
    }
}

fn list(element: &Shape, least: usize, whole: &Shape, node: &Node, name: &str, faults: &mut Faults<'_>) {
    let Kind::List(list) = &node.kind else { return wrong_type(whole, node, name, faults) };
    if list.len() < least {
        let message = format!("{} is empty", quote(name));
        faults.error(node.span, Code::OutOfRange, message).expected(whole.describe());
    }
    for (at, child) in list.iter().enumerate() {
        shape(element, child, child.span, &format!("{name}[{at}]"), faults);
    }
}

fn map(rule: KeyRule, value: &Shape, whole: &Shape, node: &Node, name: &str, faults: &mut Faults<'_>) {
    let Kind::Map(entries) = &node.kind else { return wrong_type(whole, node, name, faults) };
    for entry in entries {
        let key = quote(&entry.key);
        let (fits, expected) = match rule {
            KeyRule::Id => (is_id(&entry.key), Shape::Id.describe()),
            KeyRule::Name => (is_name(&entry.key), Shape::Name.describe()),
            KeyRule::Filled => (!entry.key.is_empty(), Shape::Filled.describe()),
            KeyRule::Variable => match bad_variable(&entry.key) {
                Some(why) => {
                    let message = format!("a process cannot be given the variable {key}: {why}");
                    faults.error(entry.key_span, Code::BadText, message);
                    continue;
                }
                None => (true, String::new()),
            },
        };
        if !fits {
            faults.error(entry.key_span, Code::BadText, format!("{key} cannot be a name here")).expected(expected);
        }
        // A missing key of a step in a map is reported at the step's name.
        let place = if matches!(value, Shape::Table(_) | Shape::Kinds(_)) { entry.key_span } else { entry.value.span };
        shape(value, &entry.value, place, &entry.key, faults);
    }
}

fn agent(
    kinds: &'static [(&'static Word, &'static Table)],
    node: &Node,
    owner: Span,
    name: &str,
    faults: &mut Faults<'_>,
) {
    let Kind::Map(entries) = &node.kind else {
        let message = format!("agent {} has to be a map, found {}", quote(name), node.type_word());
        faults.error(node.span, Code::WrongType, message).expected("a map with a `kind`");
        return;
    };
    let words: Vec<&str> = kinds.iter().filter(|(word, _)| word.built).map(|(word, _)| word.word).collect();
    let Some(entry) = entries.iter().find(|entry| entry.key == "kind" && !entry.value.is_null()) else {
        let message = format!("agent {} needs `kind`", quote(name));
        faults.error(owner, Code::MissingKey, message).expected(crate::spec::words::any_of(&words));
        return;
    };
    let Some(kind) = entry.value.text() else { return wrong_type(&Shape::Filled, &entry.value, "kind", faults) };
    match kinds.iter().find(|(word, _)| word.word == kind) {
        Some((word, keys)) if word.built => table(keys, node, owner, faults),
        Some((word, _)) => unsupported(word.word, " as a `kind`", entry.value.span, faults),
        None => {
            let near = nearest(kind, words.iter().copied());
            faults
                .error(entry.value.span, Code::UnknownWord, format!("unknown kind of agent {}", quote(kind)))
                .expected(crate::spec::words::any_of(&words))
                .suggest(near);
        }
    }
}

fn number(shape: &Shape, node: &Node, name: &str, faults: &mut Faults<'_>) {
    let Kind::Number(number) = &node.kind else { return wrong_type(shape, node, name, faults) };
    let fits = match shape {
        Shape::Whole(from, to) => match number.as_u64() {
            Some(number) => (*from..=*to).contains(&number),
            None if number.is_f64() => return wrong_type(shape, node, name, faults),
            None => false,
        },
        Shape::Number { from, inclusive, to } => {
            let number = number.as_f64().unwrap_or(f64::NAN);
            number <= *to && (number > *from || (*inclusive && number >= *from))
        }
        _ => true,
    };
    if !fits {
        let message = format!("{} is out of range: {number}", quote(name));
        faults.error(node.span, Code::OutOfRange, message).expected(shape.describe());
    }
}

/// Reads a duration from a value, `off` aside.
pub(crate) fn duration_of(node: &Node) -> Result<Micros, BadDuration> {
    match &node.kind {
        Kind::Number(number) => seconds_to_micros(number.as_f64().unwrap_or(f64::NAN)),
        Kind::Text(text) => duration(text),
        _ => Err(BadDuration::Unreadable),
    }
}

/// A whole number of 32 bits.
pub(crate) fn count(node: &Node) -> Option<u32> {
    let Kind::Number(number) = &node.kind else { return None };
    number.as_u64().and_then(|number| u32::try_from(number).ok())
}

fn time(shape: &Shape, node: &Node, name: &str, faults: &mut Faults<'_>) {
    let Shape::Duration { from, off } = shape else { return };
    if !matches!(node.kind, Kind::Number(_) | Kind::Text(_)) {
        return wrong_type(shape, node, name, faults);
    }
    if *off && node.text() == Some("off") {
        return;
    }
    let shown = node.text().map_or_else(|| node.to_value().to_string(), str::to_owned);
    match duration_of(node) {
        Ok(time) if time >= *from => {}
        Ok(_) => {
            let least =
                if from.as_millis() > 0 { format!("at least {} ms", from.as_millis()) } else { "over 0".to_owned() };
            let message = format!("{} is too short: {}", quote(name), quote(&shown));
            faults
                .error(node.span, Code::OutOfRange, message)
                .expected(format!("a duration, {least}, such as `500ms` or `1m30s`"));
        }
        Err(BadDuration::Range) => {
            let message = format!("{} is out of range: {}", quote(name), quote(&shown));
            faults.error(node.span, Code::OutOfRange, message).expected("a duration from 0 to 366 days");
        }
        Err(bad) => {
            let near = (bad == BadDuration::NoUnit).then(|| format!("{shown}s"));
            let message = format!("{} does not read as a duration: {}", quote(name), quote(&shown));
            faults.error(node.span, Code::BadText, message).expected(shape.describe()).suggest(near);
        }
    }
}

fn text(shape: &Shape, node: &Node, name: &str, faults: &mut Faults<'_>) {
    let Kind::Text(text) = &node.kind else { return wrong_type(shape, node, name, faults) };
    let fits = match shape {
        Shape::Id => is_id(text),
        Shape::Name => is_name(text),
        Shape::Share => share(text).is_some(),
        Shape::Filled | Shape::CommandLine => !text.trim().is_empty() && !text.contains('\0'),
        Shape::Argument | Shape::ArgumentOrFilter | Shape::Template => !text.contains('\0'),
        Shape::Words(words) => return word(words, shape, node, text, name, faults),
        Shape::Path => return path(shape, node, text, name, faults),
        Shape::PathOrFilter => return computed::source(shape, node, text, name, faults),
        Shape::Filter => return computed::filter(node, text, faults),
        Shape::Url => return address(shape, node, text, name, faults),
        Shape::Text => true,
        _ => return wrong_type(shape, node, name, faults),
    };
    if !fits {
        let message = format!(
            "{} cannot be {}",
            quote(name),
            if text.contains('\0') { "text with a NUL".to_owned() } else { quote(text) }
        );
        faults.error(node.span, Code::BadText, message).expected(shape.describe());
    }
    match shape {
        Shape::CommandLine => computed::command_line(node, text, faults),
        Shape::Filled | Shape::Argument => computed::refuse(node, faults),
        Shape::ArgumentOrFilter => computed::argument(node, text, faults),
        Shape::Template => computed::texts(node, faults),
        _ => {}
    }
}

fn word(words: &[Word], shape: &Shape, node: &Node, text: &str, name: &str, faults: &mut Faults<'_>) {
    match words.iter().find(|word| word.word == text) {
        Some(word) if word.built => {}
        Some(word) => unsupported(word.word, &format!(" as {}", quote(name)), node.span, faults),
        None => {
            let near = nearest(text, words.iter().map(|word| word.word));
            let message = format!("{} cannot be {}", quote(name), quote(text));
            faults.error(node.span, Code::UnknownWord, message).expected(shape.describe()).suggest(near);
        }
    }
}

fn path(shape: &Shape, node: &Node, text: &str, name: &str, faults: &mut Faults<'_>) {
    if let Err(why) = Path::parse(text) {
        let message = format!("{} is not a data path: {}: {why}", quote(name), quote(text));
        faults.error(node.span, Code::BadText, message).expected(shape.describe());
    }
}

/// Where credentials may stand in it, neither the message nor an excerpt repeats it.
fn address(shape: &Shape, node: &Node, text: &str, name: &str, faults: &mut Faults<'_>) {
    let Some(bad) = bad_url(text) else { return };
    let shown = if text.contains('@') {
        faults.conceal(node.span);
        String::new()
    } else {
        format!(": {}", quote(text))
    };
    let (code, message) = match bad {
        BadUrl::Credentials => {
            (Code::Secret, format!("{} holds a user's name or a password; it is not shown here", quote(name)))
        }
        BadUrl::Unreadable => (Code::BadText, format!("{} does not read as an address{shown}", quote(name))),
    };
    faults.error(node.span, code, message).expected(shape.describe());
}

/// The members of a map by the names of a table, aliases resolved; unknown keys, those that the map cannot have, and
/// nothings left out.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fields<'n> {
    given: Vec<(&'static str, Span, &'n Node)>,
}

impl<'n> Fields<'n> {
    /// Of a map that was checked already; of anything else: none.
    pub(crate) fn of(table: &Table, node: &'n Node) -> Self {
        let mut given: Vec<(&'static str, Span, &'n Node)> = Vec::with_capacity(node.entries().len());
        for entry in node.entries() {
            let Some(key) = table.find(&entry.key) else { continue };
            let nothing = entry.value.is_null() && !key.shape.keeps_null();
            let refused = matches!(key.shape, Shape::Refused(_));
            if !nothing && !refused && !given.iter().any(|(name, ..)| *name == key.name) {
                given.push((key.name, entry.key_span, &entry.value));
            }
        }
        Self { given }
    }
    /// The value of a key.
    pub(crate) fn get(&self, name: &str) -> Option<&'n Node> {
        self.given.iter().find(|(given, ..)| *given == name).map(|(_, _, node)| *node)
    }
    /// Where a key stands.
    pub(crate) fn key_span(&self, name: &str) -> Option<Span> {
        self.given.iter().find(|(given, ..)| *given == name).map(|(_, span, _)| *span)
    }
    /// The text of a key.
    pub(crate) fn text(&self, name: &str) -> Option<&'n str> {
        self.get(name).and_then(Node::text)
    }
    /// The whole number of a key.
    pub(crate) fn count(&self, name: &str) -> Option<u32> {
        self.get(name).and_then(count)
    }
    /// The number of a key.
    pub(crate) fn number(&self, name: &str) -> Option<f64> {
        let Kind::Number(number) = &self.get(name)?.kind else { return None };
        number.as_f64()
    }
    /// The length of time of a key; none for `off`.
    pub(crate) fn time(&self, name: &str) -> Option<Micros> {
        self.get(name).and_then(|node| duration_of(node).ok())
    }
    /// Whether a key is `true`.
    pub(crate) fn flag(&self, name: &str) -> bool {
        self.get(name).is_some_and(|node| matches!(node.kind, Kind::Bool(true)))
    }
    /// Whether a key is given.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }
    /// The same with members of `others` where this one has none, but for those that `keep` refuses.
    pub(crate) fn over(mut self, others: &Self, keep: impl Fn(&str) -> bool) -> Self {
        for other in &others.given {
            if !self.has(other.0) && keep(other.0) {
                self.given.push(*other);
            }
        }
        self
    }
}
