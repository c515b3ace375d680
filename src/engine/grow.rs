//! How a run's graph changes while it runs: steps join it, leave it, need others than before.
//!
//! Steps are appended, so the numbers of those that are there hold; a step that leaves keeps its number and is marked.
//! The run has a definition of its own, which grows with it. An item of a `for_each` is a step like any other: it needs
//! what its step needed, and its step now needs the end of all of its items.

use super::gates::Gates;
use super::graph;
use super::make::{Classes, dependents, new_step};
use super::run::{Cut, PartOf, Run};
use crate::model::expression::Expression;
use crate::model::growth::{Addition, item_name};
use crate::model::id::StepId;
use crate::model::state::{SkipReason, StepState};
use crate::model::step::{Need, NeedOn, Semaphore, Step};
use crate::model::time::Micros;
use crate::model::workflow::Workflow;
use serde_json::Value;
use std::sync::Arc;

/// Steps join the graph.
pub(crate) fn add(run: &mut Run, by: Option<StepId>, added: &Addition, at: Micros) {
    let first = run.steps.len();
    match (added, by) {
        (Addition::Items(list), Some(by)) => items(run, by, list, at),
        (Addition::Part { steps, data }, Some(by)) => part(run, by, steps, data.as_ref(), at),
        (Addition::Steps(steps), by) => {
            let scope = by.and_then(|by| run.step(by).scope);
            steps.iter().for_each(|step| append(run, step.clone(), by, None, scope, at));
        }
        (Addition::Items(_) | Addition::Part { .. }, None) => return,
    }
    changed(run, first);
}

/// A step is cut into items.
fn items(run: &mut Run, of: StepId, list: &Arc<Value>, at: Micros) {
    let count = list.as_array().map_or(0, Vec::len);
    let (spec, scope) = (run.spec(of).clone(), run.step(of).scope);
    let first = run.steps.len();
    for index in 0..count {
        let part_of = PartOf { of, index: Some(u32::try_from(index).unwrap_or(u32::MAX)) };
        append(run, item_of(&spec, index), Some(of), Some(part_of), scope, at);
    }
    waits_for_parts(run, of, first, Some(list.clone()), at);
}

/// Steps are done in place of another.
fn part(run: &mut Run, of: StepId, steps: &[Step], data: Option<&Arc<Value>>, at: Micros) {
    let first = run.steps.len();
    let scope = if data.is_some() { Some(of) } else { run.step(of).scope };
    if let Some(data) = data {
        run.scopes.insert(of, data.clone());
    }
    for step in steps {
        append(run, step.clone(), Some(of), Some(PartOf { of, index: None }), scope, at);
    }
    waits_for_parts(run, of, first, None, at);
}

/// A step that was cut waits for the end of all its parts.
fn waits_for_parts(run: &mut Run, of: StepId, first: usize, list: Option<Arc<Value>>, at: Micros) {
    let steps: Vec<StepId> = (first..run.steps.len()).map(StepId::from_index).collect();
    let needs: Vec<Need> = steps.iter().map(|step| Need { step: *step, on: NeedOn::Completed }).collect();
    let before = if needs.is_empty() {
        Vec::new()
    } else {
        std::mem::replace(&mut Arc::make_mut(&mut run.workflow).steps[of.index()].needs, needs)
    };
    let entry = run.step_mut(of);
    entry.preparing = None;
    entry.started.get_or_insert(at);
    entry.cut = Some(Cut { list, steps, before });
}

/// The definition of an item. What concerns the whole stays with its step.
fn item_of(spec: &Step, index: usize) -> Step {
    let within = spec.for_each.as_ref().and_then(|for_each| for_each.max_parallel);
    let id = item_name(&spec.id, index);
    let undone = |undo: &Step| Box::new(Step { id: id.clone(), ..undo.clone() });
    Step {
        compensate: spec.compensate.as_deref().map(undone),
        id: id.clone(),
        for_each: None,
        within: within.map(|permits| Semaphore { name: format!("max_parallel of {}", spec.id).into(), permits }),
        condition: spec.condition.clone().filter(is_about_items),
        output: Vec::new(),
        critical: false,
        pivot: false,
        ..spec.clone()
    }
}

/// Whether an expression looks at the item: then it is asked for each of them.
pub(crate) fn is_about_items(expression: &Expression) -> bool {
    expression.filters().any(|filter| filter.text().contains("$item") || filter.text().contains("$index"))
}

fn append(
    run: &mut Run,
    step: Step,
    brought_by: Option<StepId>,
    part_of: Option<PartOf>,
    scope: Option<StepId>,
    at: Micros,
) {
    let homes = match part_of {
        Some(PartOf { of, index: Some(_) }) => (run.home[of.index()], run.undo_home[of.index()]),
        _ => {
            let mut classes = Classes::going_on(&run.workflow, &run.agents, std::mem::take(&mut run.classes));
            let homes = (classes.of_own_work(&step), step.compensate.as_deref().map(|undo| classes.of_own_work(undo)));
            step.fallback.iter().for_each(|fallback| classes.of_fallback(&step, fallback));
            run.classes = classes.list;
            homes
        }
    };
    while run.queue.classes() < run.classes.len() {
        run.queue.add_class();
    }
    run.home.push(homes.0);
    run.undo_home.push(homes.1);
    let mut entry = new_step(&step, homes.0);
    (entry.brought_by, entry.part_of, entry.scope, entry.since) = (brought_by, part_of, scope, at);
    entry.joined = true;
    run.steps.push(entry);
    Arc::make_mut(&mut run.workflow).steps.push(step);
}

/// Steps leave the graph.
pub(crate) fn remove(run: &mut Run, steps: &[StepId]) {
    for &step in steps {
        leave(run, step);
    }
    changed(run, run.steps.len());
}

/// A step leaves the graph: nothing waits for it, and it waits for nothing.
pub(crate) fn leave(run: &mut Run, step: StepId) {
    let entry = run.step_mut(step);
    (entry.gone, entry.state, entry.skip) = (true, StepState::Skipped, Some(SkipReason::ByHand));
    (entry.wait, entry.preparing, entry.take_over) = (None, None, None);
    Arc::make_mut(&mut run.workflow).steps[step.index()].needs.clear();
}

/// Steps that had left are there again, as they were.
pub(crate) fn restore(run: &mut Run, steps: &[(StepId, Vec<Need>)], at: Micros) {
    for (step, needs) in steps {
        let entry = run.step_mut(*step);
        (entry.gone, entry.state, entry.skip, entry.since) = (false, StepState::Pending, None, at);
        Arc::make_mut(&mut run.workflow).steps[step.index()].needs.clone_from(needs);
    }
    changed(run, run.steps.len());
}

/// A step needs others than before.
pub(crate) fn rewire(run: &mut Run, step: StepId, needs: &[Need]) {
    Arc::make_mut(&mut run.workflow).steps[step.index()].needs = needs.to_vec();
    changed(run, run.steps.len());
}

/// A step that was cut is whole again, to be cut anew: its parts leave.
pub(crate) fn make_whole(run: &mut Run, step: StepId) {
    let Some(Cut { steps, before, .. }) = run.step_mut(step).cut.take() else { return };
    run.scopes.remove(&step);
    let cut = !steps.is_empty();
    for part in steps {
        make_whole(run, part);
        leave(run, part);
    }
    if cut {
        Arc::make_mut(&mut run.workflow).steps[step.index()].needs = before;
    }
}

/// The definition as it was declared: without the steps that joined, and with the needs that were there.
pub(crate) fn declared(run: &Run) -> Workflow {
    let mut workflow = (*run.workflow).clone();
    for id in run.step_ids() {
        if let Some(cut) = run.step(id).cut.as_ref().filter(|cut| !cut.steps.is_empty()) {
            workflow.steps[id.index()].needs.clone_from(&cut.before);
        }
    }
    for edit in run.edits.iter().rev() {
        for (id, needs) in edit.removed.iter().chain(&edit.rewired) {
            workflow.steps[id.index()].needs.clone_from(needs);
        }
    }
    // Who joins stands behind all that were there.
    workflow.steps.truncate(run.steps.iter().take_while(|step| !step.joined).count());
    workflow
}

/// Computes anew what follows from the graph. `first`: the first of the steps that are new.
pub(crate) fn changed(run: &mut Run, first: usize) {
    let workflow = run.workflow.clone();
    let mut weights = graph::weights(&workflow);
    for (weight, step) in weights.iter_mut().zip(&run.steps) {
        // What is done by its parts takes no time of its own.
        if step.gone || step.cut.is_some() {
            *weight = Micros::ZERO;
        }
    }
    let shape = Arc::new(graph::shape_by(&workflow, &weights));
    run.tails = graph::tails(&shape, &weights);
    let mut by_level = shape.order.clone();
    by_level.sort_by_key(|step| shape.level[step.index()]);
    (run.by_level, run.shape) = (Arc::new(by_level), shape);
    run.dependents = dependents(&workflow);
    run.gates = Gates::of(&workflow);
    debug_assert!(run.steps[first..].iter().all(|step| step.state == StepState::Pending));
    run.recount();
}
