//! Holding an output against what its step expects: shape, rules, and how good it is.

use super::Calculator;
use crate::model::completion::{Failure, FailureClass};
use crate::model::effect::AttemptOrder;
use crate::model::id::Name;
use crate::model::quality::{COMPLETENESS, DOMAINS, Expect, OnFail, Scores};
use crate::runtime::agents::builtin::{Undecided, against, broken, found, is_empty};
use crate::runtime::apart::apart;
use crate::runtime::evaluate::Around;
use indexmap::IndexMap;
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::sync::Arc;

/// As many faults are kept, and as many scores of an output.
const TOLD_MAX: usize = 50;

/// What came of looking at an output.
#[derive(Clone, Debug, PartialEq)]
pub enum Judged {
    /// It stands; what is not as expected is only said.
    Fit(Scores),
    /// The attempt has failed.
    Unfit(Failure),
}

impl Calculator {
    /// Holds an output against what its step expects; a step that expects nothing is content.
    pub async fn judge(&self, order: &AttemptOrder, around: &Around, output: &Arc<Value>) -> Judged {
        let Some(expect) = order.spec().expect.as_deref() else { return Judged::Fit(Scores::default()) };
        let scores = match self.look(expect, around, output).await {
            Ok(scores) => scores,
            Err(failure) => return Judged::Unfit(failure),
        };
        if scores.faults.is_empty() || expect.on_fail == OnFail::Warn {
            return Judged::Fit(scores);
        }
        let message = format!("the output is not what is expected: {}", scores.faults.join("; "));
        Judged::Unfit(Failure::new(FailureClass::QualityRejected, message))
    }

    async fn look(&self, expect: &Expect, around: &Around, output: &Arc<Value>) -> Result<Scores, Failure> {
        let mut faults = Vec::new();
        if let Some(schema) = &expect.schema {
            let found = against(&self.evaluator, schema, output).await.map_err(|why| match why {
                Undecided::Schema(why) => Failure::new(FailureClass::Permanent, format!("`expect.schema`: {why}")),
                Undecided::NotKnown(why) => Failure::new(FailureClass::Transient, format!("`expect.schema`: {why}")),
            })?;
            faults.extend(found.into_iter().map(|fault| format!("`schema`: {fault}")));
        }
        for rule in &expect.assert {
            let fault = broken(&self.evaluator, around, rule, output).await?;
            faults.extend(fault.map(|fault| format!("`assert`: {fault}")));
        }
        let declared = expect.schema.as_ref().map(declarations).unwrap_or_default();
        let looked_at = output.clone();
        let measured = apart(move || completeness(&declared, &looked_at)).await?;
        let mut scores = scores_of(output, measured);
        if let Some(quality) = &expect.quality {
            let said = output.get("scores").and_then(Value::as_object);
            let thresholds = quality.thresholds.iter();
            faults.extend(thresholds.filter_map(|(name, least)| below(name, *least, &scores, said)));
        }
        if faults.len() > TOLD_MAX {
            let others = faults.len() - TOLD_MAX;
            faults.truncate(TOLD_MAX);
            faults.push(format!("and {others} more"));
        }
        scores.faults = faults;
        scores.domain = expect.quality.as_ref().map_or_else(|| DOMAINS[0].0.into(), |quality| quality.domain.clone());
        Ok(scores)
    }
}

/// The scores that an output says of itself, and how complete it is: measured, unless it says so.
fn scores_of(output: &Value, measured: f64) -> Scores {
    let said = output.get("scores").and_then(Value::as_object).into_iter().flatten();
    let valid = said.filter_map(|(name, score)| Some((Name::from(name.as_str()), score_of(score)?)));
    let mut scores: IndexMap<Name, f64> = valid.take(TOLD_MAX).collect();
    scores.entry(COMPLETENESS.into()).or_insert(measured);
    Scores { scores, ..Scores::default() }
}

fn score_of(value: &Value) -> Option<f64> {
    value.as_f64().filter(|score| (0.0..=1.0).contains(score))
}

/// What is wrong with a score.
fn below(name: &str, least: f64, scores: &Scores, said: Option<&Map<String, Value>>) -> Option<String> {
    // One that is said and is no score counts as one that is missing, also where it could be measured.
    let said = said.and_then(|said| said.get(name));
    if let Some(value) = said.filter(|value| score_of(value).is_none()) {
        return Some(format!("`quality`: `scores.{name}` is {}, a number from 0 to 1 is expected", found(value)));
    }
    match scores.scores.get(name) {
        Some(score) if *score >= least => None,
        Some(score) => Some(format!("`quality`: {name} is {}, at least {least} is expected", rounded(*score, least))),
        None => {
            Some(format!("`quality`: the output says no {name}; `scores.{name}` of at least {least} is expected in it"))
        }
    }
}

/// A score with as many digits as show on which side of the threshold it is.
fn rounded(score: f64, least: f64) -> String {
    let short = format!("{score:.3}");
    let differs = short.parse::<f64>().is_ok_and(|short| short < least);
    let short = short.trim_end_matches('0').trim_end_matches('.');
    if differs { short.to_owned() } else { score.to_string() }
}

/// What a schema declares: for every object its members, and what they hold.
#[derive(Clone, Debug, Default, PartialEq)]
struct Declared(Vec<(String, Self)>);

/// The members that a schema declares, through `properties`; those that are only `required` count as well.
fn declarations(schema: &Value) -> Declared {
    let properties = schema.get("properties").and_then(Value::as_object);
    let required = schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let known = properties.into_iter().flatten().map(|(name, inner)| (name.clone(), declarations(inner)));
    let is_known = |name: &&str| properties.is_some_and(|properties| properties.contains_key(*name));
    let others: BTreeSet<&str> = required.filter(|name| !is_known(name)).collect();
    Declared(known.chain(others.into_iter().map(|name| (name.to_owned(), Declared::default()))).collect())
}

/// The share of what is declared that is there and not empty; where nothing is declared, of all that is there.
fn completeness(declared: &Declared, output: &Value) -> f64 {
    let (there, all) = if declared.0.is_empty() { leaves(output) } else { members(declared, Some(output)) };
    there as f64 / all.max(1) as f64
}

fn members(declared: &Declared, value: Option<&Value>) -> (usize, usize) {
    declared.0.iter().fold((0, 0), |(there, all), (name, inner)| {
        let member = value.and_then(|value| value.get(name.as_str()));
        let is_there = member.is_some_and(|member| !is_empty(member));
        let (inner_there, inner_all) = members(inner, member);
        (there + usize::from(is_there) + inner_there, all + 1 + inner_all)
    })
}

/// How many values without anything inside say something, and how many there are.
fn leaves(value: &Value) -> (usize, usize) {
    let inside: Vec<&Value> = match value {
        Value::Array(list) if !list.is_empty() => list.iter().collect(),
        Value::Object(members) if !members.is_empty() => members.values().collect(),
        leaf => return (usize::from(!is_empty(leaf)), 1),
    };
    inside.into_iter().map(leaves).fold((0, 0), |(there, all), (more, of)| (there + more, all + of))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn measured(schema: &Value, output: &Value) -> f64 {
        completeness(&declarations(schema), output)
    }

    #[test]
    fn completeness_is_the_share_of_what_the_schema_declares() {
        let schema = json!({
            "required": ["a", "z"],
            "properties": {"a": {}, "b": {"type": "object", "required": ["x"], "properties": {"y": {}}}}
        });
        for (output, share) in [
            (json!({"a": 1, "b": {"x": 0, "y": false}, "z": "t"}), 1.0),
            (json!({"a": 1, "b": {"x": 0}, "z": ""}), 0.6),
            (json!({"a": null, "b": {}, "z": []}), 0.0),
            (json!({"a": 1, "b": "text"}), 0.4),
            (json!("text"), 0.0),
            (json!({"others": 1}), 0.0),
        ] {
            assert!((measured(&schema, &output) - share).abs() < 1e-9, "{output}: {}", measured(&schema, &output));
        }
    }

    #[test]
    fn without_declarations_it_is_the_share_of_what_says_something() {
        for (output, share) in [
            (json!({"a": 1, "b": null, "c": [1, "", {"d": {}}], "e": false}), 0.5),
            (json!({}), 0.0),
            (json!(null), 0.0),
            (json!("text"), 1.0),
            (json!([1, 2]), 1.0),
        ] {
            assert!((measured(&json!({"type": "object"}), &output) - share).abs() < 1e-9, "{output}");
        }
    }

    #[test]
    fn scores_that_are_missing_low_or_none_are_told() {
        let output = json!({"scores": {"accuracy": 0.79996, "tone": "high", "more": 1.5, "good": 1}});
        let scores = scores_of(&output, 0.25);
        let said = output["scores"].as_object();
        let told = |name: &str, least: f64| below(name, least, &scores, said);
        assert_eq!(told("good", 1.0), None);
        assert_eq!(told(COMPLETENESS, 0.25), None);
        for (name, words) in [
            ("accuracy", "accuracy is 0.79996, at least 0.8 is expected"),
            (COMPLETENESS, "completeness is 0.25, at least 0.8"),
            ("tone", "`scores.tone` is the text \"high\", a number from 0 to 1"),
            ("more", "`scores.more` is 1.5, a number from 0 to 1"),
            ("other", "the output says no other; `scores.other` of at least 0.8"),
        ] {
            assert!(told(name, 0.8).is_some_and(|fault| fault.contains(words)), "{:?}", told(name, 0.8));
        }
        assert_eq!(scores_of(&json!({"scores": {"completeness": 0.5}}), 1.0).scores[COMPLETENESS], 0.5);
    }
}
