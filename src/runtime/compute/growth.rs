//! The steps that an output brings: read like those of a file, refused as a whole.

use crate::model::completion::{Failure, FailureClass};
use crate::model::effect::AttemptOrder;
use crate::model::growth::NewStep;
use crate::model::id::Name;
use crate::runtime::apart::apart;
use crate::runtime::evaluate;
use crate::spec::growth::{Rules, steps};
use serde_json::Value;
use std::sync::Arc;

/// What an output brings; `None`: the step does not expand.
pub(super) async fn brought(order: &AttemptOrder, output: &Arc<Value>) -> Result<Option<Arc<Vec<NewStep>>>, Failure> {
    if order.undo || order.spec().expand.is_none() {
        return Ok(None);
    }
    let (order, output) = (order.clone(), output.clone());
    // Its filters are compiled, which takes a while for many of them.
    let read = apart(move || read(&order, &output)).await?;
    read.map(|steps| Some(Arc::new(steps))).map_err(|why| {
        Failure::new(FailureClass::MalformedOutput, format!("the steps of the output cannot join the run: {why}"))
    })
}

fn read(order: &AttemptOrder, output: &Value) -> Result<Vec<NewStep>, String> {
    let expand = order.spec().expand.as_ref();
    let offered = order.workflow.agents.iter().flat_map(|agent| &agent.capabilities);
    // What no file can name stays unnamed.
    let offered = || offered.clone().filter(|name| !name.contains(' ')).cloned().collect();
    let allowed: Vec<Name> = expand.and_then(|expand| expand.allow.clone()).unwrap_or_else(offered);
    let names: Vec<Name> = order.workflow.steps.iter().map(|step| step.id.clone()).collect();
    let max = expand.map_or(0, |expand| expand.max as usize);
    steps(output, &Rules { allowed: &allowed, max, names: &names, compile: Some(evaluate::check) })
}
