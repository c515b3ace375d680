//! What is different between two definitions of a workflow, for people: which steps and agents came, went and changed, and
//! in what.

use super::plain::list;
use crate::model::agent::Agent;
use crate::model::aggregate::{Aggregate, From};
use crate::model::growth::part_name;
use crate::model::safe::Safe;
use crate::model::step::{NeedOn, Step, Work};
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
    let mut lines = things("step", &named(&old.steps), &named(&new.steps));
    lines.extend(things("agent", &agents(old), &agents(new)));
    lines.extend(things("template", &templates(old), &templates(new)));
    let changed = changed(&whole(old), &whole(new));
    if !changed.is_empty() {
        lines.push(format!("workflow: {} changed", list(&changed)));
    }
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

fn named(steps: &[Step]) -> Named {
    let mut all = Vec::with_capacity(steps.len());
    for step in steps {
        all.push((step.id.to_string(), step_value(steps, step)));
        // Those of a workflow that is used go by the name of the step that uses it, as in a run.
        if let Work::Uses { workflow, .. } = &step.work {
            all.extend(
                named(&workflow.steps).into_iter().map(|(own, value)| (part_name(&step.id, &own).to_string(), value)),
            );
        }
    }
    all
}

fn templates(workflow: &Workflow) -> Named {
    workflow.templates.iter().map(|(name, step)| (name.to_string(), step_value(&workflow.steps, step))).collect()
}

/// A step as its file has it: what it does under the key that says so, and needs by name.
fn step_value(steps: &[Step], step: &Step) -> Value {
    let mut value = object(step);
    value.remove("measured");
    let work = value.remove("work");
    match (&step.work, work) {
        (Work::Uses { file, workflow }, _) => {
            value.insert("uses".to_owned(), json!(file));
            let inside = [
                ("data", json!(workflow.data)),
                ("success", json!(workflow.success)),
                ("result", result(workflow.result.as_ref(), &workflow.steps)),
                ("routes", json!(workflow.routes)),
            ];
            value.extend(inside.map(|(key, inside)| (format!("{key} of what it uses"), inside)));
        }
        (Work::Route, _) => {
            value.insert("route".to_owned(), json!(true));
        }
        (_, Some(Value::Object(work))) => value.extend(work),
        _ => {}
    }
    let needs = step.needs.iter().map(|need| {
        let on = match need.on {
            NeedOn::Succeeded => "succeeded",
            NeedOn::Completed => "completed",
            NeedOn::Failed => "failed",
        };
        json!([&*steps[need.step.index()].id, on])
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
        // What a simulated agent does where nothing else is said stands among its own keys.
        if let Some(Value::Object(default)) = value.remove("default") {
            value.extend(default);
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
    value.insert("result".to_owned(), result(workflow.result.as_ref(), &workflow.steps));
    value.insert("routes".to_owned(), json!(workflow.routes));
    value.extend(object(&workflow.limits).into_iter().map(|(key, value)| (format!("limits.{key}"), value)));
    Value::Object(value)
}

/// The result with the steps that it takes by name.
fn result(result: Option<&Aggregate>, steps: &[Step]) -> Value {
    let mut value = json!(result);
    if let Some(From::Steps(from)) = result.map(|result| &result.from) {
        value["from"] = from.iter().map(|step| json!(&*steps[step.index()].id)).collect();
    }
    value
}

fn object(thing: &impl Serialize) -> Map<String, Value> {
    match serde_json::to_value(thing) {
        Ok(Value::Object(members)) => members,
        _ => Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::agent::{AgentKind, Script, Simulated};
    use crate::model::id::StepId;
    use crate::model::policy::Mode;
    use crate::model::route::{Route, When};
    use crate::model::step::Need;
    use crate::model::time::Micros;
    use crate::report::sample;

    #[test]
    fn nothing_changed_is_nothing_and_what_was_measured_does_not_count() {
        let (old, mut new) = (sample::workflow(), sample::workflow());
        new.steps[0].measured = Some(Micros::from_secs(9));
        assert_eq!(differences(&old, &new), [""; 0]);
    }

    #[test]
    fn steps_agents_and_the_workflow_are_named_with_what_changed_in_them() {
        let (old, mut new) = (sample::workflow(), sample::workflow());
        new.steps.pop();
        new.steps.insert(0, sample::step("new\u{1b}[2J", "data", &[], None));
        for step in &mut new.steps[1..] {
            step.needs = step.needs.iter().map(|need| Need { step: StepId(need.step.0 + 1), ..*need }).collect();
        }
        new.steps[2].critical = true;
        new.steps[3].needs.clear();
        let script = Script { duration: Some(Micros::from_secs(1)), ..Script::default() };
        new.agents[1].kind = AgentKind::Simulated(Simulated { default: script, ..Simulated::default() });
        new.mode = Mode::Sequential;
        new.limits.max_parallel = Some(3);
        new.data = json!({"a": 1});
        assert_eq!(
            differences(&old, &new),
            [
                "step decision: removed",
                "step new: added",
                "step technical: critical changed",
                "step sentiment: needs changed",
                "agent technical-1: duration changed",
                "workflow: mode, limits.max_parallel changed",
                "workflow: data changed in a (a run that goes on keeps the data it has)",
            ]
        );
    }

    #[test]
    fn what_is_used_templates_and_routes_are_told_apart() {
        let uses = |inner: Workflow| Work::Uses { file: "inner.yaml".into(), workflow: Box::new(inner.into()) };
        let mut old = sample::workflow();
        old.steps[1].work = uses(Workflow::new("inner", Vec::new(), vec![sample::step("own", "data", &[], None)]));
        let mut inner = Workflow::new("inner", Vec::new(), vec![sample::step("own", "other", &[], None)]);
        inner.data = json!({"a": 1});
        let mut new = old.clone();
        new.steps[1].work = uses(inner);
        new.steps[2].work = Work::Route;
        new.templates.insert("cut".into(), sample::step("cut", "chunk", &[], None));
        new.routes = vec![Route { when: When::LargeData, path: vec!["cut".into()] }];
        let (technical, sentiment) = (&old.steps[1].id, &old.steps[2].id);
        assert_eq!(
            differences(&old, &new),
            [
                format!("step {technical}: data of what it uses changed"),
                format!("step {technical}/own: capability changed"),
                format!("step {sentiment}: capability, route changed"),
                "template cut: added".to_owned(),
                "workflow: routes changed".to_owned(),
            ]
        );
    }

    #[test]
    fn another_order_is_a_difference_and_many_are_counted() {
        let (old, mut new) = (sample::workflow(), sample::workflow());
        new.agents.clear();
        new.steps = (0..100).map(|n| sample::step(&format!("s{n}"), "x", &[], None)).collect();
        let many = differences(&old, &new);
        assert_eq!((many.len(), many[SHOWN].as_str()), (SHOWN + 1, "… and 80 more"));
        let mut turned = new.clone();
        turned.steps.reverse();
        assert_eq!(differences(&new, &turned), ["workflow: the order of the steps changed"]);
    }
}
