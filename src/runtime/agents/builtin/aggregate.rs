//! `aggregate`: brings a list of values together, told by its payload in the words of the file.

use super::args::{Args, permanent};
use super::combine::combine;
use super::sources::Sources;
use crate::model::aggregate::{Missing, Operation, Quorum, Strategy};
use crate::model::completion::Failure;
use crate::runtime::evaluate::{Around, Evaluator};
use serde_json::Value;

const KNOWN: [&str; 13] = [
    "values",
    "input",
    "names",
    "missing",
    "strategy",
    "unique_by",
    "sort_by",
    "op",
    "fold",
    "filter",
    "by",
    "quorum",
    "value",
];
const RULES: [(&str, Missing); 4] =
    [("skip", Missing::Skip), ("null", Missing::Null), ("fail", Missing::Fail), ("interpolate", Missing::Interpolate)];
const OPERATIONS: [(&str, Operation); 5] = [
    ("sum", Operation::Sum),
    ("mean", Operation::Mean),
    ("min", Operation::Min),
    ("max", Operation::Max),
    ("count", Operation::Count),
];

#[derive(Clone, Copy)]
enum Kind {
    Merge,
    Reduce,
    Transform,
    Vote,
    First,
}

const KINDS: [(&str, Kind); 5] = [
    ("merge", Kind::Merge),
    ("reduce", Kind::Reduce),
    ("transform", Kind::Transform),
    ("vote", Kind::Vote),
    ("first", Kind::First),
];

/// Does it.
pub(super) async fn aggregate(evaluator: &Evaluator, around: &Around, input: &Value) -> Result<Value, Failure> {
    let args = Args::new("aggregate", input, &KNOWN)?;
    let (strategy, used) = strategy(&args)?;
    let common = ["values", "input", "value", "names", "missing", "strategy"];
    let members = input.as_object().into_iter().flatten();
    if let Some((name, _)) = members
        .filter(|(_, value)| !value.is_null())
        .find(|(name, _)| !common.contains(&name.as_str()) && !used.contains(&name.as_str()))
    {
        return Err(args.fault(&format!("`{name}` does not go with this `strategy`")));
    }
    let rule = args.word("missing", &RULES)?.unwrap_or_default();
    let (name, list) = args.subject(&["values", "input", "value"])?;
    let list = list.as_array().ok_or_else(|| args.wrong(name, list, "a list"))?;
    let mut sources = Sources::of_list(list.clone());
    if let Some(names) = args.get("names") {
        let texts: Option<Vec<String>> =
            names.as_array().and_then(|names| names.iter().map(|name| name.as_str().map(str::to_owned)).collect());
        let texts = texts.filter(|names| names.len() == list.len());
        sources.names = Some(texts.ok_or_else(|| args.wrong("names", names, "a list of one text for each value"))?);
    }
    let combined = combine(evaluator, around, &strategy, rule, sources).await;
    let combined =
        combined.map_err(|failure| Failure { message: format!("`aggregate`: {}", failure.message), ..failure })?;
    Ok(combined.into_output())
}

/// The strategy, and the members that it uses.
fn strategy(args: &Args<'_>) -> Result<(Strategy, &'static [&'static str]), Failure> {
    let Some(kind) = args.word("strategy", &KINDS)? else {
        return Err(permanent(
            "`aggregate`: `strategy` is missing; merge, reduce, transform, vote or first is expected".to_owned(),
        ));
    };
    Ok(match kind {
        Kind::Merge => {
            let strategy = Strategy::Merge { unique_by: args.source("unique_by")?, sort_by: args.source("sort_by")? };
            (strategy, &["unique_by", "sort_by"])
        }
        Kind::Reduce => match (args.word("op", &OPERATIONS)?, args.filter("fold")?) {
            (Some(operation), None) => (Strategy::Reduce(operation), &["op"]),
            (None, Some(filter)) => (Strategy::Fold(filter), &["fold"]),
            _ => return Err(args.fault("`reduce` takes `op` (sum, mean, min, max, count) or `fold`, one of them")),
        },
        Kind::Transform => {
            let filter = args.filter("filter")?;
            (Strategy::Transform(filter.ok_or_else(|| args.fault("`transform` takes a `filter`"))?), &["filter"])
        }
        Kind::Vote => (Strategy::Vote { by: args.source("by")?, quorum: quorum(args)? }, &["by", "quorum"]),
        Kind::First => (Strategy::First, &[]),
    })
}

/// `2`: so many votes; `60%`: this share of all.
fn quorum(args: &Args<'_>) -> Result<Option<Quorum>, Failure> {
    let Some(value) = args.get("quorum") else { return Ok(None) };
    let votes =
        value.as_u64().and_then(|votes| u32::try_from(votes).ok()).filter(|votes| *votes > 0).map(Quorum::Votes);
    let share = || {
        let percent: f64 = value.as_str()?.strip_suffix('%')?.trim().parse().ok()?;
        (0.0..=100.0).contains(&percent).then_some(Quorum::Share(percent / 100.0))
    };
    votes.or_else(share).map(Some).ok_or_else(|| args.wrong("quorum", value, "a number of votes or a share like 60%"))
}
