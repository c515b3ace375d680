//! What is different between two definitions of a workflow, for people: which steps and agents came, went and changed, and
//! in what.

use super::plain::list;
use crate::model::agent::Agent;
use crate::model::safe::Safe;
use crate::model::step::{NeedOn, Step};
use crate::model::workflow::Workflow;
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::collections::HashMap;

/// More differences than this are only counted.
const SHOWN: usize = 30;

/// What changed from `old` to `new`, a line a thing, safe to print; empty: nothing that a run would notice. How long
/// steps took in earlier runs is no part of a definition.
#[must_use]
pub fn differences(old: &Workflow, new: &Workflow) -> Vec<String> {
    let mut lines = things("step", &steps(old), &steps(new));
    lines.extend(things("agent", &agents(old), &agents(new)));
    let changed = changed(&whole(old), &whole(new));
    lines.extend(changed.into_iter().map(|key| format!("workflow: {} changed", Safe::line(&key))));
    let data = self::changed(&old.data, &new.data);
    if !data.is_empty() {
        lines.push(format!("workflow: data changed in {} (a run that goes on keeps the data it has)", list(&data)));
    }
    let order = |workflow: &Workflow| workflow.steps.iter().map(|step| step.id.clone()).collect::<Vec<_>>();
    if lines.is_empty() && order(old) != order(new) {
        lines.push("workflow: the order of the steps changed".to_owned());
    }
    if lines.len() > SHOWN {
        let more = lines.len() - SHOWN;
        lines.truncate(SHOWN);
        lines.push(format!("… and {more} more"));
    }
    lines
}

type Named = Vec<(String, Value)>;

fn things(noun: &str, old: &Named, new: &Named) -> Vec<String> {
    let (before, after): (HashMap<_, _>, HashMap<_, _>) =
        (old.iter().map(|(id, value)| (id, value)).collect(), new.iter().map(|(id, value)| (id, value)).collect());
    let gone = old.iter().filter(|(id, _)| !after.contains_key(id));
    let mut lines: Vec<String> = gone.map(|(id, _)| format!("{noun} {}: removed", Safe::line(id))).collect();
    for (id, value) in new {
        match before.get(id) {
            None => lines.push(format!("{noun} {}: added", Safe::line(id))),
            Some(was) => {
                let keys = changed(was, value);
                if !keys.is_empty() {
                    lines.push(format!("{noun} {}: {} changed", Safe::line(id), list(&keys)));
                }
            }
        }
    }
    lines
}

/// The members that differ.
fn changed(old: &Value, new: &Value) -> Vec<String> {
    let none = Map::new();
    let (old, new) = (old.as_object().unwrap_or(&none), new.as_object().unwrap_or(&none));
    let added = new.keys().filter(|key| !old.contains_key(*key));
    old.keys().filter(|key| old.get(*key) != new.get(*key)).chain(added).cloned().collect()
}

fn steps(workflow: &Workflow) -> Named {
    workflow.steps.iter().map(|step| (step.id.to_string(), step_value(workflow, step))).collect()
}

/// A step as its file has it: what it does under the key that says so, and needs by name.
fn step_value(workflow: &Workflow, step: &Step) -> Value {
    let mut value = object(step);
    value.remove("measured");
    if let Some(Value::Object(work)) = value.remove("work") {
        value.extend(work);
    }
    let needs = step.needs.iter().map(|need| {
        let on = match need.on {
            NeedOn::Succeeded => "succeeded",
            NeedOn::Completed => "completed",
            NeedOn::Failed => "failed",
        };
        json!([&*workflow.step(need.step).id, on])
    });
    value.insert("needs".to_owned(), needs.collect());
    Value::Object(value)
}

fn agents(workflow: &Workflow) -> Named {
    let value = |agent: &Agent| {
        let mut value = object(agent);
        if let Some(Value::Object(kind)) = value.remove("kind") {
            value.extend(kind);
        }
        Value::Object(value)
    };
    workflow.agents.iter().map(|agent| (agent.id.to_string(), value(agent))).collect()
}

/// What concerns the workflow as a whole.
fn whole(workflow: &Workflow) -> Value {
    let mut value = Map::new();
    value.insert("id".to_owned(), json!(&*workflow.id));
    value.insert("name".to_owned(), json!(workflow.name));
    value.insert("description".to_owned(), json!(workflow.description));
    value.insert("env".to_owned(), json!(workflow.env));
    value.insert("mode".to_owned(), json!(workflow.mode));
    value.insert("success".to_owned(), json!(workflow.success));
    value.insert("recovery".to_owned(), json!(workflow.recovery));
    value.extend(object(&workflow.limits).into_iter().map(|(key, value)| (format!("limits.{key}"), value)));
    Value::Object(value)
}

fn object(thing: &impl Serialize) -> Map<String, Value> {
    match serde_json::to_value(thing) {
        Ok(Value::Object(members)) => members,
        _ => Map::new(),
    }
}
