//! `transform`: changes a value with a filter, or a text with simple operations.

use super::args::{Args, of_filter};
use crate::model::completion::Failure;
use crate::runtime::apart::apart;
use crate::runtime::evaluate::{Around, Evaluator};
use serde_json::{Value, json};
use std::sync::Arc;

/// What is done to a text.
#[derive(Clone, Copy)]
enum Op {
    Upper,
    Lower,
    Trim,
    Words,
    Lines,
    Chars,
}

const OPS: [(&str, Op); 6] = [
    ("upper", Op::Upper),
    ("lower", Op::Lower),
    ("trim", Op::Trim),
    ("words", Op::Words),
    ("lines", Op::Lines),
    ("chars", Op::Chars),
];

/// What is to be done.
pub(super) enum Plan {
    /// This is the output.
    Done(Value),
    /// The filter still has to be computed.
    Filter,
}

/// Does what needs no filter.
pub(super) fn plan(input: &Value) -> Result<Plan, Failure> {
    let args = Args::new("transform", input, &["value", "input", "text", "filter", "ops"])?;
    let (name, subject) = args.subject(&["value", "input", "text"])?;
    let ops = match (args.get("filter"), args.get("ops")) {
        (Some(_), None) => return Ok(Plan::Filter),
        (None, Some(Value::Array(ops))) => ops,
        (None, Some(other)) => return Err(args.wrong("ops", other, "a list of operations")),
        _ => return Err(args.fault("a `filter` or a list of `ops` is expected, one of them")),
    };
    let mut value = subject.clone();
    for (at, op) in ops.iter().enumerate() {
        let Some((word, op)) = OPS.iter().find(|(word, _)| op.as_str() == Some(word)) else {
            let words = OPS.map(|(word, _)| word).join(", ");
            return Err(args.wrong(&format!("ops[{at}]"), op, &format!("one of {words}")));
        };
        let Value::String(text) = &value else {
            let what = if at == 0 { name.to_owned() } else { format!("what `{word}` gets") };
            return Err(args.wrong(&what, &value, "text"));
        };
        value = match op {
            Op::Upper => text.to_uppercase().into(),
            Op::Lower => text.to_lowercase().into(),
            Op::Trim => text.trim().into(),
            Op::Words => text.split_whitespace().count().into(),
            Op::Lines => text.lines().count().into(),
            Op::Chars => text.chars().count().into(),
        };
    }
    Ok(Plan::Done(json!({ "value": value })))
}

/// Computes the filter.
pub(super) async fn filtered(evaluator: &Evaluator, around: &Around, input: &Arc<Value>) -> Result<Value, Failure> {
    let args = Args::new("transform", input, &["value", "input", "text", "filter", "ops"])?;
    let (name, _) = args.subject(&["value", "input", "text"])?;
    let whole = input.clone();
    let subject = apart(move || Arc::new(whole.get(name).cloned().unwrap_or_default())).await?;
    let filter = args.filter("filter")?.ok_or_else(|| args.fault("a `filter` is expected"))?;
    let value = evaluator.find(&filter, around, &subject).await;
    let value = value.map_err(|error| of_filter(&error, "`transform`: `filter`", &filter))?;
    Ok(json!({ "value": value }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn done(input: &Value) -> Result<Value, String> {
        match plan(input).map_err(|failure| failure.message)? {
            Plan::Done(output) => Ok(output["value"].clone()),
            Plan::Filter => panic!("it needs a filter"),
        }
    }

    #[test]
    fn operations_follow_one_another() {
        assert_eq!(done(&json!({"value": "  Two Words ", "ops": ["trim", "upper"]})), Ok(json!("TWO WORDS")));
        assert_eq!(done(&json!({"text": "Straße", "ops": ["lower", "chars"]})), Ok(json!(6)));
        assert_eq!(done(&json!({"input": "a b\nc", "ops": ["words"]})), Ok(json!(3)));
        assert_eq!(done(&json!({"input": "a b\nc", "ops": ["lines"]})), Ok(json!(2)));
        assert_eq!(done(&json!({"input": [1], "ops": []})), Ok(json!([1])));
        assert!(matches!(plan(&json!({"input": 1, "filter": ". + 1"})), Ok(Plan::Filter)));
    }

    #[test]
    fn what_cannot_be_done_is_refused() {
        for (input, words) in [
            (json!({"value": 5, "ops": ["upper"]}), "`value` is 5, text"),
            (json!({"value": "a", "ops": ["words", "upper"]}), "`what `upper` gets` is 1, text"),
            (json!({"value": "a", "ops": ["shout"]}), "`ops[0]` is the text \"shout\", one of upper"),
            (json!({"value": "a", "ops": "upper"}), "`ops` is the text \"upper\", a list"),
            (json!({"value": "a"}), "a `filter` or a list of `ops`"),
            (json!({"value": "a", "filter": ".", "ops": []}), "one of them"),
            (json!({"filter": "."}), "nothing to work on"),
        ] {
            let told = plan(&input).err().unwrap().message;
            assert!(told.contains(words), "{told}");
        }
    }
}
