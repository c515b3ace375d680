//! What is asked of the outside, because filters are programs.

use super::grow::is_about_items;
use super::run::Run;
use crate::model::aggregate::{Aggregate, From};
use crate::model::computation::{Computation, Parts};
use crate::model::growth::item_name;
use crate::model::id::{Name, StepId};
use crate::model::state::StepState;
use crate::model::step::{Step, Work};
use serde_json::Value;
use std::sync::Arc;

/// Whether a step's condition is asked now: that of a step that is cut into items may be about them.
pub(crate) fn asks_condition(spec: &Step) -> bool {
    spec.condition.as_ref().is_some_and(|condition| spec.for_each.is_none() || !is_about_items(condition))
}

/// What is asked of the outside for a step, or for the run's result.
pub(crate) fn computation(run: &Run, step: Option<StepId>) -> Computation {
    let spec = step.map(|step| run.spec(step));
    let mut parts = Parts::default();
    if let Some(spec) = spec {
        let cut = step.is_some_and(|step| run.step(step).cut.is_some());
        let (condition, items) = (!cut && asks_condition(spec), !cut && spec.for_each.is_some());
        parts = Parts { condition, items, result: cut };
    }
    let sources = match (spec.map(|spec| &spec.work), &run.workflow.result) {
        (Some(Work::Aggregate(aggregate)), _) => match &aggregate.from {
            From::Steps(from) => run.sources(from),
            From::Source(_) => Vec::new(),
        },
        // Of another workflow the steps have numbers of their own, here counted from the first of them.
        (Some(Work::Uses { workflow, .. }), _) if parts.result => match &workflow.result.as_ref().map(|r| &r.from) {
            Some(From::Steps(from)) => {
                let own = step.and_then(|step| run.step(step).cut.as_ref()).map_or(&[][..], |cut| &cut.steps);
                let from: Vec<StepId> = from.iter().filter_map(|id| own.get(id.index()).copied()).collect();
                run.sources(&from)
            }
            _ => Vec::new(),
        },
        (None, Some(Aggregate { from: From::Steps(from), .. })) => run.sources(from),
        _ => Vec::new(),
    };
    let scope = if parts.result { step } else { step.and_then(|step| run.step(step).scope) };
    let source = |id: StepId| {
        let entry = run.step(id);
        let name = run.local_name(id);
        let output = entry.output.clone().filter(|_| entry.state == StepState::Succeeded);
        match output.as_deref() {
            // It was taken over whole from an earlier run; its items stand in its output.
            Some(Value::Array(list)) if run.is_whole(id) => {
                let item = |(at, value): (usize, &Value)| {
                    (item_name(name, at), Some(value).filter(|value| !value.is_null()).cloned().map(Arc::new))
                };
                list.iter().enumerate().map(item).collect()
            }
            _ => vec![(name.into(), output)],
        }
    };
    Computation {
        run: run.id,
        run_name: run.name.clone(),
        seed: run.seed,
        step,
        ticket: match step {
            Some(step) => run.step(step).preparing.unwrap_or_default(),
            None => run.result_asked.unwrap_or_default(),
        },
        workflow: run.workflow.clone(),
        data: if parts.result {
            step.and_then(|step| run.scopes.get(&step))
        } else {
            step.map(|step| run.data_of(step))
        }
        .unwrap_or(&run.data)
        .clone(),
        item: step.map_or_else(|| run.item.clone(), |step| run.item_of(step)),
        outputs: if looks_at_outputs(run, spec) { outputs(run, scope) } else { Vec::new() },
        sources: sources.into_iter().flat_map(source).collect(),
        parts,
    }
}

/// What the steps of a scope returned so far, items aside: their step returns all of them.
fn outputs(run: &Run, scope: Option<StepId>) -> Vec<(Name, Arc<Value>)> {
    let own = |id: &StepId| {
        let entry = run.step(*id);
        entry.scope == scope && entry.part_of.is_none_or(|part| part.index.is_none()) && !entry.gone
    };
    let own = run.step_ids().filter(own);
    own.filter_map(|id| Some((run.local_name(id).into(), run.step(id).output.clone()?))).collect()
}

/// Whether a filter of the step, or of the run's result, looks at what steps returned. One that only might is taken for
/// one that does.
fn looks_at_outputs(run: &Run, spec: Option<&Step>) -> bool {
    let text = match spec {
        Some(spec) => serde_json::to_string(&(spec, &run.workflow.env)),
        None => serde_json::to_string(&run.workflow.result),
    };
    text.is_ok_and(|text| text.contains("$outputs"))
}
