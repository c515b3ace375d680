//! Policies and steering in small stories, on a virtual clock.

mod agents;
mod hands;
mod order;
mod undoing;

use crate::engine::graph::tests::{step, workflow};
use crate::engine::simulation::{Sim, agent};
use crate::model::command::{Answer, BreakerMode, Command, Which};
use crate::model::completion::{Failure, FailureClass, Outcome};
use crate::model::effect::AttemptOrder;
use crate::model::event::EventKind;
use crate::model::id::{AgentId, RunId, StepId};
use crate::model::policy::{
    Jitter, Mode, OnCancel, OnExhausted, OnThresholdMissed, RateLimit, Recovery, Resources, RetryBudget, Success,
};
use crate::model::state::{BreakerState, EndCause, RunState, RunStatus, StepState, WaitReason};
use crate::model::step::{Decision, Fallback, Semaphore, Step, Work};
use crate::model::time::Micros;
use crate::model::view::{RunSummary, StepView};
use crate::model::workflow::Workflow;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;

const RUN: RunId = RunId(0);

const fn s(seconds: u64) -> Micros {
    Micros::from_secs(seconds)
}

fn on_agents(steps: Vec<Step>, slots: u32) -> Workflow {
    let mut made = workflow(steps);
    made.agents.push(agent("worker", &["any"], slots));
    made
}

fn summary(sim: &Sim) -> RunSummary {
    sim.engine.summary(sim.now, RUN).unwrap()
}

fn seen(sim: &Sim, step: u32) -> StepView {
    sim.engine.view(sim.now, None).runs[0].steps[step as usize].clone()
}

fn states(sim: &Sim) -> Vec<StepState> {
    summary(sim).steps.iter().map(|step| step.state).collect()
}

fn why(sim: &Sim, step: u32) -> String {
    sim.engine.explain(sim.now, RUN, StepId(step)).join("; ")
}

/// Attempts end as scripted, by step (or `undo:STEP`), one word each; then well. Each takes its estimate.
fn scripted(script: &[(&str, &[&str])]) -> Sim {
    let mut script: BTreeMap<String, Vec<String>> = script
        .iter()
        .map(|(id, words)| ((*id).to_owned(), words.iter().rev().map(|word| (*word).to_owned()).collect()))
        .collect();
    Sim::new(move |order: &AttemptOrder| {
        let spec = order.spec();
        let name = if order.undo { format!("undo:{}", spec.id) } else { spec.id.to_string() };
        let word = script.get_mut(&name).and_then(Vec::pop).unwrap_or_default();
        let failure = |class| Outcome::Failed(Failure::new(class, "as told"));
        let outcome = match word.as_str() {
            "crash" => failure(FailureClass::Crash),
            "permanent" => failure(FailureClass::Permanent),
            "limited" => failure(FailureClass::RateLimited),
            "limited-3" => {
                Outcome::Failed(Failure { retry_after: Some(s(3)), ..Failure::new(FailureClass::RateLimited, "429") })
            }
            _ => Outcome::succeeded(Arc::new(json!({"from": name}))),
        };
        (spec.estimate.unwrap_or(s(1)), outcome)
    })
}

fn begin(sim: &mut Sim, workflow: Workflow) {
    let run = sim.load(workflow);
    sim.command(Command::Start { run }).unwrap();
}

fn undoable(mut step: Step) -> Step {
    let work = Work::Capability { capability: "any".into() };
    let mut undo = Step { estimate: Some(s(1)), ..Step::new(step.id.clone(), work) };
    undo.retry.limit = 4;
    undo.retry.jitter = Jitter::None;
    step.compensate = Some(Box::new(undo));
    step
}

fn names(sim: &Sim, pick: impl Fn(&EventKind) -> Option<StepId>) -> Vec<u32> {
    sim.events.iter().filter_map(|event| pick(&event.kind)).map(|step| step.0).collect()
}

fn undone(sim: &Sim) -> Vec<u32> {
    names(sim, |kind| match kind {
        EventKind::StepCompensated { step, .. } => Some(*step),
        _ => None,
    })
}
