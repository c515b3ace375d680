//! What a process gets beside its payload: arguments and variables that are computed.

use super::Asker;
use crate::model::agent::AgentKind;
use crate::model::computation::ProcessValues;
use crate::model::expression::{Expression, Fault};
use crate::model::step::{EnvMap, EnvValue, Step, Work};
use crate::model::workflow::Workflow;
use serde_json::Value;

/// Computes them. `None`: nothing is computed.
///
/// # Errors
/// The first failure, with its place.
pub(super) async fn values(asker: &Asker<'_>, step: &Step) -> Result<Option<ProcessValues>, String> {
    let mut values = ProcessValues::default();
    if let Work::Command { argv } = &step.work {
        values.argv = arguments(asker, argv).await?;
    }
    let workflow = &asker.asked.workflow;
    if starts_processes(workflow, step) {
        for map in [&workflow.env, &step.env] {
            variables(asker, map, &mut values.env).await?;
        }
    }
    Ok(Some(values).filter(|values| *values != ProcessValues::default()))
}

/// Whether a process may do the step.
fn starts_processes(workflow: &Workflow, step: &Step) -> bool {
    step.is_process() || workflow.agents.iter().any(|agent| matches!(agent.kind, AgentKind::Process(_)))
}

async fn arguments(asker: &Asker<'_>, argv: &[String]) -> Result<Option<Vec<String>>, String> {
    let mut computed = None;
    let mut only_operands = false;
    for (at, argument) in argv.iter().enumerate() {
        only_operands |= at > 0 && argument == "--";
        let place = format!("command[{at}]");
        let expression = if at == 0 { None } else { read(argument, &place)? };
        let Some(expression) = expression else { continue };
        let text = in_text(asker.value(&place, &expression).await?);
        if text.starts_with('-') && !only_operands {
            return Err(format!(
                "`{place}` would be {}, which the program takes for an option; put `--` before it if the program knows that",
                super::found(&Value::from(text))
            ));
        }
        computed.get_or_insert_with(|| argv.to_vec())[at] = text;
    }
    Ok(computed)
}

/// Variables that are computed; one that is there already is replaced, since later ones win.
async fn variables(asker: &Asker<'_>, map: &EnvMap, into: &mut Vec<(String, String)>) -> Result<(), String> {
    for (name, value) in map {
        let EnvValue::Text(text) = value else { continue };
        let place = format!("env.{name}");
        let Some(expression) = read(text, &place)? else { continue };
        let text = in_text(asker.value(&place, &expression).await?);
        into.retain(|(known, _)| known != name);
        into.push((name.clone(), text));
    }
    Ok(())
}

fn read(text: &str, place: &str) -> Result<Option<Expression>, String> {
    Expression::of_text(text).map_err(|Fault { message, .. }| format!("`{place}`: {message}"))
}

/// A value as it stands inside a text.
fn in_text(value: Option<Value>) -> String {
    match value.unwrap_or_default() {
        Value::String(text) => text,
        other => other.to_string(),
    }
}
