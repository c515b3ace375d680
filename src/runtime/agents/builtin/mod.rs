//! Agents that are part of upbeat and compute: their input goes in, their output comes out, nothing outside is touched.
//!
//! Whatever may take long is done on another thread, filters and schemas in the evaluator. What is wrong with an input is a
//! `permanent` failure that says what was found and what is expected.

mod aggregate;
mod args;
mod chain;
mod chunk;
mod combine;
mod json;
mod keys;
mod numbers;
mod numeric;
mod order;
mod sources;
mod transform;
mod validate;

pub use args::{found, text_of};
pub use combine::{Combined, combine};
pub use numeric::is_mostly_digits;
pub use sources::Sources;
pub use validate::{Undecided, against, broken, is_empty};

use crate::model::agent::{AgentKind, Builtin};
use crate::model::completion::{Failure, Outcome};
use crate::model::effect::AttemptOrder;
use crate::model::step::Work;
use crate::runtime::apart::apart;
use crate::runtime::evaluate::{Around, Evaluator};
use serde_json::Value;
use std::sync::Arc;

/// Whether an agent of this kind works here.
#[must_use]
pub const fn works(kind: &AgentKind) -> bool {
    match kind {
        AgentKind::Simulated(_) | AgentKind::Process(_) => false,
        AgentKind::Builtin { builtin } => !matches!(builtin, Builtin::Process | Builtin::Echo | Builtin::Sleep),
    }
}

/// Does an attempt of a built-in agent.
pub async fn work(evaluator: &Evaluator, around: &Around, order: &AttemptOrder) -> Outcome {
    let AgentKind::Builtin { builtin } = order.definition.kind else {
        return Outcome::Failed(args::permanent(format!("the agent `{}` is not built in", order.definition.id)));
    };
    match in_its_place(evaluator, around, order, builtin).await {
        Ok(output) => Outcome::succeeded(Arc::new(output)),
        Err(failure) => Outcome::Failed(failure),
    }
}

/// In the path of a routing step an agent finds what it works on, and passes on what it is told.
async fn in_its_place(
    evaluator: &Evaluator,
    around: &Around,
    order: &AttemptOrder,
    builtin: Builtin,
) -> Result<Value, Failure> {
    let whole = order.clone();
    let Some(told) = apart(move || chain::Told::of(&whole, builtin)).await? else {
        return output(evaluator, around, order, builtin, order.input.clone()).await;
    };
    let (asked, rest) = told.split();
    let answer = match asked {
        chain::Asked::Payload(payload) => output(evaluator, around, order, builtin, Arc::new(payload)).await?,
        chain::Asked::Answer(answer) => answer?,
    };
    Ok(chain::Told::answered(rest, answer))
}

async fn output(
    evaluator: &Evaluator,
    around: &Around,
    order: &AttemptOrder,
    builtin: Builtin,
    input: Arc<Value>,
) -> Result<Value, Failure> {
    match builtin {
        Builtin::Chunk => apart(move || chunk::chunk(&input)).await?,
        Builtin::Json => apart(move || json::json(&input)).await?,
        Builtin::Numeric => apart(move || numeric::numeric(&input)).await?,
        Builtin::Validate => validate::validate(evaluator, around, &input).await,
        Builtin::Aggregate => aggregate::aggregate(evaluator, around, &input).await,
        Builtin::Transform => match apart({
            let input = input.clone();
            move || transform::plan(&input)
        })
        .await??
        {
            transform::Plan::Done(output) => Ok(output),
            transform::Plan::Filter => transform::filtered(evaluator, around, &input).await,
        },
        Builtin::Combine => {
            let Work::Aggregate(aggregate) = &order.spec().work else {
                let step = &order.spec().id;
                return Err(args::permanent(format!(
                    "`{step}` is no `aggregate` step, which is all that can be done here"
                )));
            };
            let sources = apart(move || match input.as_object() {
                Some(payload) => Sources::of_payload(payload),
                None => Err(args::permanent(format!("the payload is {}, an object is expected", found(&input)))),
            });
            let combined = combine(evaluator, around, &aggregate.strategy, aggregate.missing, sources.await??).await?;
            Ok(combined.into_output())
        }
        Builtin::Process | Builtin::Echo | Builtin::Sleep => {
            Err(args::permanent(format!("`{}` computes nothing", builtin.capability())))
        }
    }
}
