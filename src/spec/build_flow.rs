//! Data flow from the tree: lists to go through, outputs brought together, what outputs have to be, steps they bring.

use crate::model::aggregate::{Aggregate, From, Missing, Operation, Quorum, Strategy, Wait};
use crate::model::expression::Expression;
use crate::model::growth::{Expand, ForEach};
use crate::model::path::Path;
use crate::model::quality::{COMPLETENESS, DOMAINS, Expect, OnFail, Quality};
use crate::spec::build_policy::success;
use crate::spec::diagnostic::Code;
use crate::spec::faults::Faults;
use crate::spec::flow_tables::{AGGREGATE, EXPAND, EXPAND_USUAL, EXPECT};
use crate::spec::source::Span;
use crate::spec::tree::{Kind, Node};
use crate::spec::units::share;
use crate::spec::walk::{Fields, count};
use crate::spec::words::{join, quote};
use indexmap::IndexMap;
use serde_json::Value;

/// A place in the data that is read, and where that is said.
pub(crate) type Read = (Path, Span);

/// What an aggregate takes, its steps still by name.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    pub(crate) steps: Vec<(String, Span)>,
    /// Where it says that only critical steps are waited for.
    pub(crate) critical: Option<Span>,
    /// The votes that a winner needs, and where that is said.
    pub(crate) quorum: Option<(u32, Span)>,
    /// What is read instead of steps.
    pub(crate) read: Option<Read>,
}

/// Whom an aggregate is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// A step.
    Step,
    /// The result of the run.
    Result,
}

/// The path or filter of a key.
fn expression(fields: &Fields<'_>, name: &str) -> Option<Expression> {
    Expression::of_source(fields.text(name)?).ok()
}

/// The data path of a key, if it is one.
pub(crate) fn read(fields: &Fields<'_>, name: &str) -> Option<Read> {
    let node = fields.get(name)?;
    match Expression::of_source(node.text()?) {
        Ok(Expression::Path(path)) => Some((path, node.span)),
        _ => None,
    }
}

/// Members that belong to one strategy each.
const MEMBERS: [(&str, &str); 7] = [
    ("unique_by", "merge"),
    ("sort_by", "merge"),
    ("op", "reduce"),
    ("fold", "reduce"),
    ("filter", "transform"),
    ("by", "vote"),
    ("quorum", "vote"),
];

/// Strategies that work on a list in which a value may be made up.
const INTERPOLATING: [&str; 3] = ["merge", "reduce", "transform"];

/// Builds an aggregate. What is at fault in it is made up: the file is refused.
pub(crate) fn aggregate(node: &Node, place: Place, faults: &mut Faults<'_>) -> (Aggregate, Sources) {
    let fields = Fields::of(&AGGREGATE, node);
    let word = fields.text("strategy").unwrap_or("");
    for (member, owner) in MEMBERS {
        if let Some(span) = fields.key_span(member).filter(|_| !word.is_empty() && owner != word) {
            let message = format!("`{member}` belongs to the strategy `{owner}`, this one is {}", quote(word));
            faults.error(span, Code::Conflict, message).expected(format!("the key left out, or `strategy: {owner}`"));
        }
    }
    let missing = match fields.text("missing") {
        Some("null") => Missing::Null,
        Some("fail") => Missing::Fail,
        Some("interpolate") => Missing::Interpolate,
        _ => Missing::Skip,
    };
    if let Some(node) = fields.get("missing").filter(|_| missing == Missing::Interpolate)
        && !word.is_empty()
        && !INTERPOLATING.contains(&word)
    {
        let message = format!("`interpolate` has no meaning for the strategy {}", quote(word));
        faults
            .error(node.span, Code::Conflict, message)
            .expected("`skip`, `null` or `fail`; or one of the strategies `merge`, `reduce` and `transform`");
    }
    let (from, mut sources) = from(&fields);
    let wait = if fields.text("wait") == Some("critical") { Wait::Critical } else { Wait::All };
    if let Some(span) = fields.key_span("wait") {
        let meaningless = match (place, &from) {
            (Place::Result, _) => Some("the result is made when everything has ended"),
            (_, From::Source(_)) => Some("`from` names no steps"),
            _ => None,
        };
        if let Some(why) = meaningless {
            faults
                .error(span, Code::Conflict, format!("`wait` has no meaning here: {why}"))
                .expected("the key left out; `needs` says what else a step waits for");
        } else if wait == Wait::Critical {
            sources.critical = Some(span);
        }
    }
    let strategy = strategy(word, &fields, node, faults);
    if let Strategy::Vote { quorum: Some(Quorum::Votes(votes)), .. } = strategy {
        sources.quorum = fields.get("quorum").map(|node| (votes, node.span));
    }
    (Aggregate { from, strategy, missing, wait }, sources)
}

/// Where the values come from; steps are filled in when all are known.
fn from(fields: &Fields<'_>) -> (From, Sources) {
    let mut sources = Sources { read: read(fields, "from"), ..Sources::default() };
    if let Some(source) = expression(fields, "from") {
        return (From::Source(source), sources);
    }
    let list = fields.get("from").map_or(&[][..], Node::list);
    sources.steps = list.iter().filter_map(|node| Some((node.text()?.to_owned(), node.span))).collect();
    (From::Steps(Vec::new()), sources)
}

fn strategy(word: &str, fields: &Fields<'_>, node: &Node, faults: &mut Faults<'_>) -> Strategy {
    let filter = |name: &str| fields.text(name).and_then(|text| Expression::of_filter(text).ok());
    match word {
        "merge" => {
            Strategy::Merge { unique_by: expression(fields, "unique_by"), sort_by: expression(fields, "sort_by") }
        }
        "reduce" => {
            if fields.has("op") == fields.has("fold") {
                let (message, place) = match fields.key_span("fold") {
                    Some(place) => ("`reduce` takes one of `op` and `fold`, this one has both", place),
                    None => ("`reduce` does not say what the values become", node.span),
                };
                faults
                    .error(place, Code::Conflict, message)
                    .expected("`op: sum`, `mean`, `min`, `max` or `count`; or `fold` with a filter");
            }
            match (fields.text("op"), filter("fold")) {
                (None, Some(fold)) => Strategy::Fold(fold),
                (op, _) => Strategy::Reduce(operation(op)),
            }
        }
        "transform" => {
            if !fields.has("filter") {
                faults
                    .error(node.span, Code::MissingKey, "`transform` does not say what the values become")
                    .expected("`filter: …`, a filter over the list of values");
            }
            filter("filter").map_or(Strategy::First, Strategy::Transform)
        }
        "vote" => Strategy::Vote { by: expression(fields, "by"), quorum: fields.get("quorum").and_then(quorum) },
        _ => Strategy::First,
    }
}

fn operation(word: Option<&str>) -> Operation {
    match word {
        Some("mean") => Operation::Mean,
        Some("min") => Operation::Min,
        Some("max") => Operation::Max,
        Some("count") => Operation::Count,
        _ => Operation::Sum,
    }
}

fn quorum(node: &Node) -> Option<Quorum> {
    match node.text() {
        Some(text) => share(text).map(Quorum::Share),
        None => count(node).map(Quorum::Votes),
    }
}

/// Keys that go with `for_each`.
const SIBLINGS: [&str; 3] = ["max_parallel", "chunk", "success"];
/// Keys that a step of many items cannot have, and why.
const NOT_OF_MANY: [(&str, &str); 4] = [
    ("approval", "a question is asked once"),
    ("aggregate", "outputs are brought together once"),
    ("barrier", "how many items there will be is not known beforehand"),
    ("expand", "steps join by the output of one step, and every item has an output of its own"),
];

/// What a step is done for.
pub(crate) fn for_each(fields: &Fields<'_>, faults: &mut Faults<'_>) -> Option<ForEach> {
    if !fields.has("for_each") {
        for key in SIBLINGS {
            if let Some(place) = fields.key_span(key) {
                faults
                    .error(place, Code::Conflict, format!("`{key}` goes with `for_each`, which this step has not"))
                    .expected("`for_each` beside it, or the key at the workflow (`max_parallel` in `limits` there)");
            }
        }
        return None;
    }
    for (key, why) in NOT_OF_MANY {
        let Some(place) = fields.key_span(key) else { continue };
        if key == "expand" && !is_expanding(fields) {
            continue;
        }
        let message = format!("`{key}` and `for_each` exclude each other: {why}");
        faults.error(place, Code::Conflict, message).expected("two steps, one of which needs the other");
    }
    Some(ForEach {
        items: expression(fields, "for_each")?,
        max_parallel: fields.count("max_parallel"),
        chunk: fields.count("chunk"),
        success: success(fields),
    })
}

/// Whether an output brings steps: not with `expand: false`.
fn is_expanding(fields: &Fields<'_>) -> bool {
    fields.get("expand").is_some_and(|node| !matches!(node.kind, Kind::Bool(false)))
}

/// What an output brings, and where each capability stands that it may ask for.
pub(crate) fn expand(fields: &Fields<'_>) -> (Option<Expand>, Vec<Span>) {
    let Some(node) = fields.get("expand").filter(|_| is_expanding(fields)) else { return (None, Vec::new()) };
    let fields = Fields::of(&EXPAND, node);
    let allow = fields.get("allow").map(|node| {
        let names = node.list().iter().filter_map(|node| Some((node.text()?.into(), node.span)));
        names.unzip::<_, _, Vec<_>, Vec<_>>()
    });
    let (allow, spans) = allow.map_or((None, Vec::new()), |(names, spans)| (Some(names), spans));
    (Some(Expand { allow, max: fields.count("max").unwrap_or(EXPAND_USUAL) }), spans)
}

/// What an output has to be.
pub(crate) fn expect(fields: &Fields<'_>, faults: &mut Faults<'_>) -> Option<Box<Expect>> {
    let node = fields.get("expect").filter(|node| matches!(node.kind, Kind::Map(_)))?;
    let fields = Fields::of(&EXPECT, node);
    if !["schema", "assert", "quality"].iter().any(|key| fields.has(key)) {
        faults
            .error(node.span, Code::MissingKey, "`expect` expects nothing")
            .expected("`schema`, `assert`, `quality`, or several of them");
    }
    let schema = fields.get("schema");
    let value = schema.map(Node::to_value);
    if let (Some(schema), Some(value)) = (schema, &value) {
        // What has an id of its own is referred to from there.
        let root = (!value.to_string().contains("\"$id\"")).then_some(value);
        local(schema, root, faults);
    }
    let asserted = fields.get("assert");
    let asserted =
        asserted.map_or(&[][..], |node| if node.text().is_some() { std::slice::from_ref(node) } else { node.list() });
    Some(Box::new(Expect {
        schema: value,
        assert: asserted.iter().filter_map(|node| Expression::of_source(node.text()?).ok()).collect(),
        quality: fields.get("quality").and_then(|node| quality(node, faults)),
        on_fail: match fields.text("on_fail") {
            Some("fail") => OnFail::Fail,
            Some("warn") => OnFail::Warn,
            _ => OnFail::Retry,
        },
    }))
}

/// Members of a schema that hold data, in which nothing refers to anything.
const SCHEMA_DATA: [&str; 4] = ["const", "enum", "default", "examples"];

/// Reports references of a schema to other documents, and those that lead nowhere from its `root`.
fn local(schema: &Node, root: Option<&Value>, faults: &mut Faults<'_>) {
    schema.list().iter().for_each(|node| local(node, root, faults));
    for entry in schema.entries().iter().filter(|entry| !SCHEMA_DATA.contains(&entry.key.as_str())) {
        let refers = matches!(entry.key.as_str(), "$ref" | "$dynamicRef" | "$recursiveRef");
        match entry.value.text().filter(|_| refers) {
            Some(target) if !target.starts_with('#') => {
                let message = format!("a schema refers to nothing outside itself, found {}", quote(target));
                faults
                    .error(entry.value.span, Code::BadText, message)
                    .expected("a reference such as `#/$defs/item`, and what it names under `$defs`");
            }
            Some(target) if target.starts_with("#/") && !target.contains('%') => {
                if root.is_some_and(|root| root.pointer(&target[1..]).is_none()) {
                    let message = format!("the schema has nothing at {}", quote(target));
                    faults.error(entry.value.span, Code::BadText, message).expected("a place inside the schema");
                }
            }
            _ => local(&entry.value, root, faults),
        }
    }
}

/// The domain where none is named.
const NO_DOMAIN: &str = DOMAINS[0].0;
/// The score that known domains name beside [`COMPLETENESS`].
const ACCURACY: &str = "accuracy";

/// The least scores: those that are declared, and those of a known domain that is named.
fn quality(node: &Node, faults: &mut Faults<'_>) -> Option<Quality> {
    let mut thresholds = IndexMap::new();
    let mut domain = node.text().map(|text| (text, node.span));
    for entry in node.entries() {
        match (&entry.value.kind, entry.key.as_str()) {
            (Kind::Null, _) => {}
            (Kind::Text(text), "domain") => domain = Some((text, entry.value.span)),
            (Kind::Number(number), key) if key != "domain" => {
                thresholds.insert(key.into(), number.as_f64().unwrap_or(1.0));
            }
            (Kind::Text(_) | Kind::Number(_), key) => {
                let expected = if key == "domain" { "a name such as `analytical`" } else { "a number from 0 to 1" };
                let message = format!("{} has the wrong type, found {}", quote(key), entry.value.type_word());
                faults.error(entry.value.span, Code::WrongType, message).expected(expected);
                return None;
            }
            // Other types are reported already.
            _ => return None,
        }
    }
    let known = domain.and_then(|(name, _)| DOMAINS.iter().find(|(known, ..)| *known == name));
    if let Some((_, completeness, accuracy)) = known {
        thresholds.entry(COMPLETENESS.into()).or_insert(*completeness);
        thresholds.entry(ACCURACY.into()).or_insert(*accuracy);
    }
    if thresholds.is_empty() {
        let names = join(DOMAINS.iter().map(|(name, ..)| format!("`{name}`")).collect(), "and");
        let (message, place) = match domain {
            Some((name, place)) => (format!("the domain {} declares no score", quote(name)), place),
            None => ("`quality` declares no score".to_owned(), node.span),
        };
        let near =
            domain.and_then(|(name, _)| crate::spec::words::nearest(name, DOMAINS.iter().map(|(name, ..)| *name)));
        faults
            .error(place, Code::MissingKey, message)
            .expected(format!("at least one score, as in `{{domain: mine, accuracy: 0.9}}`; {names} need none"))
            .suggest(near);
    }
    Some(Quality { domain: domain.map_or(NO_DOMAIN, |(name, _)| name).into(), thresholds })
}
