//! What the engine asks to be computed, and what an attempt's answer still needs before the engine hears of it.
//!
//! ```text
//!   Effect::Compute ──▶ Calculator::compute ──▶ Computed     conditions, lists of items, inputs, results of runs
//!   an agent's answer ──▶ Calculator::finish ──▶ Outcome     simulated outputs, expectations, steps that it brings
//!   Effect::Start ──▶ Calculator::work ──▶ Outcome           built-in agents
//! ```
//!
//! Filters and schemas are computed by the evaluator, in a process of their own; what else may take long is done on
//! another thread. The same question has the same answer: nothing here looks at a clock or draws.

mod finish;
mod growth;
mod input;
mod items;
mod judge;
mod process;
mod route;
mod sources;
mod templates;

pub use judge::Judged;
pub use route::{Json, Seen};

use crate::model::computation::{Computation, Computed, Found};
use crate::model::expression::is_true;
use crate::model::step::{Step, Work};
use crate::runtime::agents::builtin::{found, text_of};
use crate::runtime::apart::apart;
use crate::runtime::evaluate::{Around, Evaluator, run_value};
use serde_json::{Map, Value};
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// As many questions are worked on at once; others wait before anything is copied for them, so that thousands of them
/// neither fill the memory nor keep the engine's thread from hearing what people want.
const AT_ONCE_MAX: usize = 32;

/// Computes. Clones share one evaluator.
#[derive(Clone, Debug)]
pub struct Calculator {
    evaluator: Evaluator,
    room: Arc<Semaphore>,
}

impl Calculator {
    /// One whose filters are computed by this program, which is upbeat itself.
    #[must_use]
    pub fn new(program: PathBuf) -> Self {
        Self { evaluator: Evaluator::new(program), room: Arc::new(Semaphore::new(AT_ONCE_MAX)) }
    }

    /// Answers a question of the engine's. Must be called within a tokio runtime with time and events.
    pub async fn compute(&self, asked: Computation) -> Computed {
        let (run, step, ticket) = (asked.run, asked.step, asked.ticket);
        // It is never closed.
        let _room = self.room.acquire().await.ok();
        let found = self.find(asked).await;
        Computed { run, step, ticket, found }
    }

    async fn find(&self, asked: Computation) -> Result<Found, String> {
        let run = run_value(&asked.run_name, &asked.workflow.id, asked.seed);
        let around = Around::new(asked.item.as_ref(), run).with_outputs(outputs_of(&asked).await?);
        let asker = Asker { evaluator: &self.evaluator, around, asked: &asked };
        let step = asked.step.map(|step| asked.workflow.step(step));
        let ended = match step.map(|step| &step.work) {
            None => Some(&asked.workflow.result),
            Some(Work::Uses { workflow, .. }) if asked.parts.result => Some(&workflow.result),
            Some(_) => None,
        };
        if let Some(result) = ended {
            return asker.result(result.as_ref()).await;
        }
        let Some(step) = step else { return Err("nothing was asked".to_owned()) };
        if asked.parts.condition && !asker.condition(step).await? {
            return Ok(Found::Refused);
        }
        if asked.parts.items
            && let Some(for_each) = &step.for_each
        {
            return asker.items(for_each).await.map(Found::Items);
        }
        match &step.work {
            Work::Aggregate(aggregate) => asker.payload(aggregate).await.map(Found::Input),
            Work::Route => {
                let input = asker.input(step).await?.input;
                let routed = asker.routed(step, &input).await?;
                Ok(Found::Routed(input, routed))
            }
            _ => asker.input(step).await.map(Found::Input),
        }
    }
}

/// `$outputs`, put together apart where there is anything: outputs may be large.
async fn outputs_of(asked: &Computation) -> Result<Value, String> {
    if asked.outputs.is_empty() {
        return Ok(Value::Object(Map::new()));
    }
    let outputs = asked.outputs.clone();
    let object = move || outputs.iter().map(|(name, value)| (name.to_string(), (**value).clone())).collect();
    apart(object).await.map(Value::Object).map_err(|failure| failure.message)
}

/// A question, and what its filters may see.
struct Asker<'a> {
    evaluator: &'a Evaluator,
    around: Around,
    asked: &'a Computation,
}

impl Asker<'_> {
    /// Whether a step's condition holds, as jq takes truth: null and false are not true, and a path to nothing is not.
    async fn condition(&self, step: &Step) -> Result<bool, String> {
        let Some(condition) = &step.condition else { return Ok(true) };
        let value = self.value("if", condition).await?;
        Ok(is_true(value.as_ref()))
    }
}
