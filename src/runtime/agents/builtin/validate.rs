//! `validate`: holds a value against a JSON Schema and rules; without either it only has to be there.

use super::args::{Args, of_filter, text_of};
use crate::model::completion::{Failure, FailureClass};
use crate::model::expression::Expression;
use crate::runtime::apart::apart;
use crate::runtime::evaluate::{Around, EvaluationError, Evaluator};
use serde_json::{Value, json};
use std::sync::Arc;

/// The most rules.
const RULES_MAX: usize = 100;

/// Does it.
pub(super) async fn validate(evaluator: &Evaluator, around: &Around, input: &Arc<Value>) -> Result<Value, Failure> {
    let args = Args::new("validate", input, &["value", "input", "text", "schema", "rules", "strict"])?;
    let (name, _) = args.subject(&["value", "input", "text"])?;
    let whole = input.clone();
    let subject = apart(move || Arc::new(whole.get(name).cloned().unwrap_or_default())).await?;
    let strict = args.flag("strict")?;
    let rules = match args.get("rules") {
        None => &[],
        Some(Value::Array(rules)) if rules.len() <= RULES_MAX => rules.as_slice(),
        Some(other) => return Err(args.wrong("rules", other, "a list of at most 100 filters")),
    };
    let mut errors = Vec::new();
    if let Some(schema) = args.get("schema") {
        errors.extend(against(evaluator, schema, &subject).await.map_err(|why| match why {
            Undecided::NotKnown(why) => Failure::new(FailureClass::Transient, format!("`validate`: {why}")),
            Undecided::Schema(why) => args.fault(&why),
        })?);
    } else if rules.is_empty() && is_empty(&subject) {
        errors.push("there is nothing: a value that is neither null nor empty is expected".to_owned());
    }
    for (at, rule) in rules.iter().enumerate() {
        let name = format!("rules[{at}]");
        let text = rule.as_str().ok_or_else(|| args.wrong(&name, rule, "a filter"))?;
        let filter =
            Expression::of_source(text).map_err(|fault| args.fault(&format!("`{name}`: {}", fault.message)))?;
        errors.extend(broken(evaluator, around, &filter, &subject).await?);
    }
    if strict && !errors.is_empty() {
        return Err(args.fault(&format!("the value is not valid: {}", errors.join("; "))));
    }
    Ok(json!({ "valid": errors.is_empty(), "errors": errors }))
}

/// Why nothing is known of a value.
pub enum Undecided {
    /// The schema cannot be used.
    Schema(String),
    /// Nobody could look; no schema is to blame.
    NotKnown(String),
}

/// What is wrong with a value by a schema. What cannot be decided within the limits is wrong.
///
/// # Errors
/// Why nothing can be said.
pub async fn against(evaluator: &Evaluator, schema: &Value, value: &Arc<Value>) -> Result<Vec<String>, Undecided> {
    let limit = |what: &str| Ok(vec![format!("it cannot be held against the schema: that {what}")]);
    match evaluator.hold(schema, value).await {
        Ok((mut faults, more)) => {
            if more {
                faults.push("and more".to_owned());
            }
            Ok(faults)
        }
        Err(EvaluationError::Time) => limit("takes longer than 1 s"),
        Err(EvaluationError::Memory) => limit("needs more than 256 MB"),
        Err(EvaluationError::Depth) => limit("leads too deep"),
        Err(EvaluationError::Failed(why)) => Err(Undecided::Schema(why)),
        Err(EvaluationError::Unavailable(why)) => Err(Undecided::NotKnown(why)),
    }
}

/// What is wrong with a value by a filter, which has to give `true`.
///
/// # Errors
/// If nobody could compute it.
pub async fn broken(
    evaluator: &Evaluator,
    around: &Around,
    rule: &Expression,
    value: &Arc<Value>,
) -> Result<Option<String>, Failure> {
    match evaluator.find(rule, around, value).await {
        Ok(Some(Value::Bool(true))) => Ok(None),
        Ok(Some(other)) => {
            Ok(Some(format!("`{}` gives {}, true is expected", text_of(rule), super::args::found(&other))))
        }
        Ok(None) => Ok(Some(format!("there is nothing at `{}`, true is expected", text_of(rule)))),
        Err(error @ EvaluationError::Unavailable(_)) => Err(of_filter(&error, "a rule", rule)),
        Err(error) => Ok(Some(format!("`{}` cannot be computed: {error}", text_of(rule)))),
    }
}

/// Whether a value says nothing: null, or a text, list or object without anything in it.
#[must_use]
pub fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(members) => members.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}
