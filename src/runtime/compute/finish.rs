//! What an attempt's answer still needs before the engine hears of it.

use super::{Calculator, Judged, growth, templates};
use crate::model::agent::AgentKind;
use crate::model::completion::{Failure, FailureClass, Outcome};
use crate::model::effect::AttemptOrder;
use crate::runtime::agents::builtin;
use crate::runtime::evaluate::{Around, EvaluationError, run_value};
use serde_json::Value;
use std::sync::Arc;

impl Calculator {
    /// Whether an answer can be told as it is.
    #[must_use]
    pub fn is_final(order: &AttemptOrder, outcome: &Outcome) -> bool {
        let Outcome::Succeeded { output, .. } = outcome else { return true };
        let step = order.spec();
        let is_simulated = matches!(order.definition.kind, AgentKind::Simulated(_));
        step.expect.is_none() && step.expand.is_none() && !(is_simulated && says_own(order) && templates::any(output))
    }

    /// Does an attempt of a built-in agent that computes, with all that its answer needs. `seed`: the run's.
    pub async fn work(&self, order: &AttemptOrder, seed: u64) -> Outcome {
        let around = around(order, seed);
        let outcome = builtin::work(&self.evaluator, &around, order).await;
        self.complete(order, &around, outcome).await
    }

    /// Completes an answer: what a simulated agent computes, whether it is what the step expects, what it brings.
    pub async fn finish(&self, order: &AttemptOrder, seed: u64, outcome: Outcome) -> Outcome {
        let around = around(order, seed);
        let outcome = match outcome {
            Outcome::Succeeded { output, .. } if matches!(order.definition.kind, AgentKind::Simulated(_)) => {
                match self.simulated(order, &around, output).await {
                    Ok(output) => Outcome::succeeded(output),
                    Err(failure) => Outcome::Failed(failure),
                }
            }
            other => other,
        };
        self.complete(order, &around, outcome).await
    }

    async fn complete(&self, order: &AttemptOrder, around: &Around, outcome: Outcome) -> Outcome {
        let Outcome::Succeeded { output, .. } = outcome else { return outcome };
        let scores = match self.judge(order, around, &output).await {
            Judged::Fit(scores) => order.spec().expect.is_some().then(|| Arc::new(scores)),
            Judged::Unfit(failure) => return Outcome::Failed(failure),
        };
        match growth::brought(self.read_steps, order, &output) {
            Ok(brings) => Outcome::Succeeded { output, scores, brings },
            Err(failure) => Outcome::Failed(failure),
        }
    }

    /// A simulated agent's output with what it computes over the payload.
    async fn simulated(
        &self,
        order: &AttemptOrder,
        around: &Around,
        output: Arc<Value>,
    ) -> Result<Arc<Value>, Failure> {
        // Its input, returned as it is, is data: what looks like a filter there is none.
        if !says_own(order) || !templates::any(&output) {
            return Ok(output);
        }
        let permanent = |why: String| Failure::new(FailureClass::Permanent, why);
        let found = templates::find(&output, "output").map_err(permanent)?;
        let mut computed = (*output).clone();
        let put = templates::put(&self.evaluator, around, &order.input, &mut computed, &found, "output").await;
        put.map_err(|fault| match fault.error {
            EvaluationError::Unavailable(_) => Failure::new(FailureClass::Transient, fault.message),
            _ => permanent(fault.message),
        })?;
        Ok(Arc::new(computed))
    }
}

/// Whether a simulated agent returns what the file says, and not its input.
fn says_own(order: &AttemptOrder) -> bool {
    match &order.definition.kind {
        AgentKind::Simulated(simulated) => simulated.output(order.spec().action.as_deref()).is_some(),
        AgentKind::Process(_) | AgentKind::Builtin { .. } => false,
    }
}

fn around(order: &AttemptOrder, seed: u64) -> Around {
    Around::new(order.item.as_ref(), run_value(&order.run_name, &order.workflow.id, seed))
}
