//! What happened and what is seen, a line each.

use super::world::{RUN, World};
use serde_json::Value;
use upbeat::model::id::{AgentId, StepId};
use upbeat::model::state::{BreakerState, RunState, StepState};
use upbeat::model::time::Micros;
use upbeat::model::view::{AgentView, RunView, StepView};
use upbeat::report::result::{document, exit_code, live_document};

/// Members that say nothing here: what is the same in all scenarios, or stands elsewhere in the line.
const LEFT_OUT: [&str; 8] = ["seq", "at_ms", "event", "step", "attempt", "agent", "run_id", "retryable"];

/// A time in seconds.
pub(crate) fn seconds(time: Micros) -> String {
    format!("{}s", time.as_secs_f64())
}

fn of_millis(value: &Value) -> String {
    format!("{}s", value.as_f64().unwrap_or_default() / 1e3)
}

/// `4s attempt_failed b#2 on w class=crash message="as told"`.
pub(crate) fn event(event: &Value) -> String {
    let word = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
    let mut line = format!("{} {}", of_millis(&event["at_ms"]), word("event"));
    if event["step"].is_string() {
        line.push_str(&format!(" {}", word("step")));
    }
    if event["attempt"].is_u64() {
        line.push_str(&format!("#{}", event["attempt"]));
    }
    if event["agent"].is_string() {
        line.push_str(&format!(" on {}", word("agent")));
    }
    for (name, value) in event.as_object().into_iter().flatten() {
        let said = match value {
            Value::Bool(false) => continue,
            _ if LEFT_OUT.contains(&name.as_str()) => continue,
            _ if name.ends_with("_ms") => of_millis(value),
            Value::String(text) if !text.is_empty() && !text.contains([' ', '"']) => text.clone(),
            other => other.to_string(),
        };
        line.push_str(&format!(" {}={said}", name.trim_end_matches("_ms")));
    }
    line
}

/// How a step stands: `waiting: backoff until 3s`.
pub(crate) fn standing(step: &StepView) -> String {
    let mut said = step.state.word().to_owned();
    if let Some((why, until)) = &step.wait {
        said.push_str(&format!(": {}", why.word()));
        if let Some(until) = until {
            said.push_str(&format!(" until {}", seconds(*until)));
        }
    }
    if let Some(fallback) = step.fallback {
        said.push_str(&format!(", fallback {}", fallback + 1));
    }
    if step.undo_failed {
        said.push_str(", not undone");
    }
    said
}

fn step(world: &World, run: &RunView, id: StepId) -> String {
    let view = &run.steps[id.index()];
    let name = &world.workflow.step(id).id;
    let standing = standing(view);
    // What is over and well needs no words.
    if matches!(view.state, StepState::Succeeded | StepState::Compensated) && !view.undo_failed {
        return format!("  {name} {standing}\n");
    }
    let why = world.engine.explain(world.now, RUN, id);
    format!("  {name} {standing} -- {}\n", why.first().map_or("", |why| why))
}

/// One step with every sentence about it.
pub(crate) fn one(world: &World, id: StepId) -> String {
    let view = world.view();
    let step = &view.runs[0].steps[id.index()];
    let name = &world.workflow.step(id).id;
    let priority = step.priority;
    let mut text = format!("at {}: {name} {}, priority {priority}\n", seconds(world.now), standing(step));
    for why in world.engine.explain(world.now, RUN, id) {
        text.push_str(&format!("  {why}\n"));
    }
    text
}

fn agent(world: &World, agent: &AgentView) -> Option<String> {
    let mut said = Vec::new();
    if let Some(broken) = &agent.broken {
        let until = broken.until.map_or(String::new(), |until| format!(" until {}", seconds(until)));
        said.push(format!("broken{until}: {}", broken.reason));
    }
    match agent.breaker {
        None | Some(BreakerState::Closed) => {}
        Some(BreakerState::Open { until, .. }) => said.push(format!("breaker open until {}", seconds(until))),
        Some(other) => said.push(format!("breaker {}", other.word())),
    }
    if let Some(until) = agent.parked {
        said.push(format!("takes no calls until {}", seconds(until)));
    }
    if !agent.busy.is_empty() {
        let busy: Vec<&str> = agent.busy.iter().map(|busy| &*world.workflow.step(busy.step).id).collect();
        said.push(format!("busy with {}", busy.join(", ")));
    }
    (!said.is_empty()).then(|| format!("  agent {}: {}\n", agent.name, said.join("; ")))
}

fn names(world: &World, steps: &[StepId]) -> String {
    let names: Vec<&str> = steps.iter().map(|id| &*world.workflow.step(*id).id).collect();
    if names.is_empty() { "nothing".to_owned() } else { names.join(", ") }
}

/// Everything.
pub(crate) fn all(world: &World, when: &str) -> String {
    let view = world.view();
    let run = &view.runs[0];
    let mut text = format!("{when} {}: run {}", seconds(world.now), run.state.word());
    if run.frozen {
        text.push_str(", frozen");
    }
    if let Some((succeeded, counted)) = run.question {
        text.push_str(&format!(", asks whether {succeeded} of {counted} will do"));
    }
    if run.stuck {
        text.push_str(", stuck");
    }
    if run.mode != world.workflow.mode {
        text.push_str(&format!(", {}", run.mode.word()));
    }
    text.push('\n');
    text.extend(world.workflow.step_ids().map(|id| step(world, run, id)));
    text.extend(view.agents.iter().filter_map(|found| agent(world, found)));
    let waiting = matches!(run.state, RunState::Running | RunState::Paused | RunState::Failed);
    if let Some(rollback) = run.rollback.as_ref().filter(|_| waiting) {
        let (undone, left) = (names(world, &rollback.undone), names(world, &rollback.left));
        let pivot =
            rollback.pivot.map_or(String::new(), |pivot| format!("; no way back after {}", names(world, &[pivot])));
        text.push_str(&format!("  a rollback undoes {undone}; leaves {left}{pivot}\n"));
    }
    text
}

/// The result.
pub(crate) fn result(world: &World) -> String {
    let Some(summary) = world.engine.summary(world.now, RUN) else { return String::new() };
    let ended = summary.state.ended();
    let document = if ended { document(&summary) } else { live_document(&summary) };
    let mut text = format!("result {}", document["status"].as_str().unwrap_or_default());
    if ended {
        text.push_str(&format!(", exit {}", exit_code(&summary)));
    }
    let meta = &document["metadata"];
    text.push_str(&format!(
        ", {} attempts, {} retries, {} fallbacks\n",
        meta["attempts"], meta["retries"], meta["fallbacks"]
    ));
    for error in document["errors"].as_array().into_iter().flatten() {
        let word = |name: &str| error[name].as_str().unwrap_or_default();
        text.push_str(&format!(
            "  {} {}: {} -- {}\n",
            word("step"),
            word("class"),
            word("message"),
            word("remediation")
        ));
    }
    text
}

/// The agents' names.
pub(crate) fn agents(world: &World, agents: &[AgentId]) -> String {
    let names: Vec<&str> = agents.iter().map(|id| &*world.workflow.agents[id.index()].id).collect();
    names.join(", ")
}
