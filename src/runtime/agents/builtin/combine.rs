//! Bringing values together, by every strategy of the model.

use super::args::{of_filter, permanent};
use super::order::compare;
use super::sources::{Part, Sources, no_number, too_large};
use super::{keys, numbers};
use crate::model::aggregate::{Missing, Operation, Quorum, Strategy};
use crate::model::completion::Failure;
use crate::model::expression::Expression;
use crate::runtime::apart::apart;
use crate::runtime::evaluate::{Around, Evaluator};
use serde_json::{Number, Value, json};
use std::sync::Arc;

/// What came of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Combined {
    /// The one value.
    pub value: Value,
    /// The names of what was missing.
    pub missing: Vec<String>,
}

impl Combined {
    /// The output of a step.
    #[must_use]
    pub fn into_output(self) -> Value {
        json!({ "value": self.value, "missing": self.missing })
    }
}

/// Brings values together.
///
/// # Errors
/// Why they have no value together.
pub async fn combine(
    evaluator: &Evaluator,
    around: &Around,
    strategy: &Strategy,
    rule: Missing,
    mut sources: Sources,
) -> Result<Combined, Failure> {
    let missing = sources.missing();
    let could = sources.values.len();
    let (sources, parts) = apart(move || {
        let parts = sources.parts(rule);
        (sources, parts)
    })
    .await?;
    let parts = parts?;
    let value = match strategy {
        Strategy::Merge { unique_by, sort_by } => {
            let mut list = Arc::new(Value::Array(apart(move || merged(parts)).await?));
            if let Some(by) = unique_by {
                let keys = keys::of(evaluator, around, by, &list, "unique_by").await?;
                list = apart(move || Arc::new(Value::Array(unique(owned(list), &keys)))).await?;
            }
            if let Some(by) = sort_by {
                let keys = keys::of(evaluator, around, by, &list, "sort_by").await?;
                list = apart(move || Arc::new(Value::Array(sorted(owned(list), keys)))).await?;
            }
            Value::Array(owned(list))
        }
        Strategy::Reduce(operation) => {
            let operation = *operation;
            apart(move || reduced(operation, &parts, &sources)).await??
        }
        Strategy::Fold(filter) => over_list(evaluator, around, filter, parts, "fold").await?,
        Strategy::Transform(filter) => over_list(evaluator, around, filter, parts, "filter").await?,
        Strategy::Vote { by, quorum } => {
            let votes: Vec<Value> = parts.into_iter().filter(|part| !part.stands_in).map(|part| part.value).collect();
            let votes = match by {
                Some(by) => keys::of(evaluator, around, by, &Arc::new(Value::Array(votes)), "by").await?,
                None => votes,
            };
            let quorum = *quorum;
            apart(move || winner(votes, quorum, could)).await??
        }
        Strategy::First => {
            let first = parts.into_iter().find(|part| !part.stands_in);
            first.ok_or_else(|| permanent(format!("none of the {could} values is there")))?.value
        }
    };
    Ok(Combined { value, missing })
}

async fn over_list(
    evaluator: &Evaluator,
    around: &Around,
    filter: &Expression,
    parts: Vec<Part>,
    place: &str,
) -> Result<Value, Failure> {
    let list = Arc::new(Value::Array(parts.into_iter().map(|part| part.value).collect()));
    let value = evaluator.find(filter, around, &list).await;
    Ok(value.map_err(|error| of_filter(&error, &format!("`{place}`"), filter))?.unwrap_or_default())
}

/// The elements of a list that nobody else holds any more.
fn owned(list: Arc<Value>) -> Vec<Value> {
    match Arc::unwrap_or_clone(list) {
        Value::Array(list) => list,
        other => vec![other],
    }
}

/// Lists one behind the other, what is no list as an element.
fn merged(parts: Vec<Part>) -> Vec<Value> {
    let mut merged = Vec::new();
    for part in parts {
        match part.value {
            Value::Array(list) => merged.extend(list),
            other => merged.push(other),
        }
    }
    merged
}

/// Positions by their keys; where keys are equal, as they came.
fn by_keys(keys: &[Value]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..keys.len()).collect();
    order.sort_by(|a, b| compare(&keys[*a], &keys[*b]));
    order
}

/// Of elements with the same key the first one.
fn unique(list: Vec<Value>, keys: &[Value]) -> Vec<Value> {
    let mut stays = vec![true; list.len()];
    for pair in by_keys(keys).windows(2) {
        stays[pair[1]] = compare(&keys[pair[0]], &keys[pair[1]]).is_ne();
    }
    list.into_iter().zip(stays).filter(|(_, stays)| *stays).map(|(value, _)| value).collect()
}

fn sorted(list: Vec<Value>, keys: Vec<Value>) -> Vec<Value> {
    let mut pairs: Vec<(Value, Value)> = keys.into_iter().zip(list).collect();
    pairs.sort_by(|(a, _), (b, _)| compare(a, b));
    pairs.into_iter().map(|(_, value)| value).collect()
}

fn reduced(operation: Operation, parts: &[Part], sources: &Sources) -> Result<Value, Failure> {
    if operation == Operation::Count {
        return Ok(parts.len().into());
    }
    let number = |part: &Part| match &part.value {
        Value::Number(number) => Ok(number.clone()),
        Value::Null if part.stands_in => {
            let name = sources.name(part.at);
            let way_out = "`missing: skip` leaves it out, `missing: interpolate` finds one";
            Err(permanent(format!("`{}` is missing, and null is no number; {way_out}", name.escape_debug())))
        }
        other => Err(no_number(&sources.name(part.at), other)),
    };
    let list: Vec<Number> = parts.iter().map(number).collect::<Result<_, _>>()?;
    Ok(match operation {
        Operation::Sum => numbers::sum(&list).ok_or_else(too_large)?.into(),
        Operation::Mean => numbers::mean(&list).ok_or_else(too_large)?,
        Operation::Min => numbers::least(&list).cloned().map_or(Value::Null, Value::Number),
        Operation::Max => numbers::greatest(&list).cloned().map_or(Value::Null, Value::Number),
        Operation::Count => list.len().into(),
    })
}

/// The value with the most votes; of several the one that was seen first. None of no votes.
fn winner(mut votes: Vec<Value>, quorum: Option<Quorum>, could: usize) -> Result<Value, Failure> {
    let order = by_keys(&votes);
    let mut best: Option<(usize, usize)> = None;
    let mut from = 0;
    while from < order.len() {
        let first = order[from];
        let alike = order[from..].iter().take_while(|at| compare(&votes[**at], &votes[first]).is_eq()).count();
        if best.is_none_or(|(most, seen)| alike > most || (alike == most && first < seen)) {
            best = Some((alike, first));
        }
        from += alike;
    }
    let (most, first) = best.unwrap_or_default();
    if let Some(needed) = quorum.map(|quorum| quorum.votes(could)).filter(|needed| most < *needed) {
        let voted = votes.len();
        return Err(permanent(format!(
            "no value has the {needed} votes it needs: {voted} of {could} voted, and the most that agree are {most}"
        )));
    }
    Ok(if votes.is_empty() { Value::Null } else { votes.swap_remove(first) })
}
