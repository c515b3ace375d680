//! Steps that join the graph: brought by a step's output, or added by a person. All of them join, or none.

use super::Decided;
use crate::engine::run::Run;
use crate::model::command::Rejection;
use crate::model::defaults::ADDED_STEPS_MAX;
use crate::model::event::EventKind;
use crate::model::growth::{Addition, Edit, NewStep};
use crate::model::id::{Name, StepId};
use crate::model::state::StepState;
use crate::model::step::{Need, NeedOn, Step, Work};
use std::collections::HashMap;
use std::sync::Arc;

/// What joins because of a step's output. Those that need nothing need the step that brought them.
///
/// # Errors
/// Why nothing joins.
pub(crate) fn brought(run: &Run, by: StepId, brings: Option<&[NewStep]>) -> Result<Option<EventKind>, String> {
    let Some((expand, new)) = run.spec(by).expand.as_ref().zip(brings) else { return Ok(None) };
    if new.len() > expand.max as usize {
        return Err(format!("the output brings {} steps, at most {} may join (`expand.max`)", new.len(), expand.max));
    }
    if new.is_empty() {
        return Ok(None);
    }
    let mut steps = joined(run, new)?;
    for step in &mut steps {
        // It says of itself whether it may be done twice; what it brings cannot.
        step.on_unknown = run.spec(by).on_unknown;
        if step.needs.is_empty() {
            step.needs.push(Need { step: by, on: NeedOn::Succeeded });
        }
    }
    let (first, added) = (run.next_step(), Addition::Steps(Arc::new(steps)));
    Ok(Some(EventKind::StepsAdded { by: Some(by), first, added, edit: None }))
}

/// New steps with the numbers that they will have, their needs by number.
fn joined(run: &Run, new: &[NewStep]) -> Result<Vec<Step>, String> {
    let first = run.steps.len();
    let expands = |by: StepId| run.spec(by).expand.is_some();
    let others = |id: &StepId| {
        let entry = run.step(*id);
        !entry.gone && (entry.brought_by.is_some_and(expands) || is_by_hand(run, *id))
    };
    let added = run.step_ids().filter(others).count();
    if added + new.len() > ADDED_STEPS_MAX {
        return Err(format!("{} steps would have joined the run, at most {ADDED_STEPS_MAX} may", added + new.len()));
    }
    let mut ids: HashMap<String, StepId> = HashMap::new();
    for id in run.step_ids().filter(|id| !run.step(*id).gone) {
        ids.insert(run.spec(id).id.to_lowercase(), id);
    }
    for (at, one) in new.iter().enumerate() {
        let name = &one.step.id;
        if ids.insert(name.to_lowercase(), StepId::from_index(first + at)).is_some() {
            return Err(format!("there is a step {name} already"));
        }
        if let Some(asked) = nobody_offers(run, &one.step) {
            return Err(format!("step {name} asks for {asked}, which no agent of the run offers"));
        }
    }
    let mut steps = Vec::with_capacity(new.len());
    for one in new {
        let need = |(name, on): &(Name, NeedOn)| match ids.get(&name.to_lowercase()) {
            Some(step) => Ok(Need { step: *step, on: *on }),
            None => Err(format!("step {} needs {name}, which is no step", one.step.id)),
        };
        let needs = one.needs.iter().map(need).collect::<Result<Vec<_>, _>>()?;
        steps.push(Step { needs, ..one.step.clone() });
    }
    let needs = |id: StepId| match id.index().checked_sub(first) {
        Some(new) => &steps[new].needs,
        None => &run.spec(id).needs,
    };
    match circle(first + steps.len(), needs) {
        None => Ok(steps),
        Some(id) => Err(format!("step {} would need itself", steps[id.index().saturating_sub(first)].id)),
    }
}

fn is_by_hand(run: &Run, id: StepId) -> bool {
    run.edits.iter().any(|edit| edit.added.contains(&id))
}

/// What the step asks for, if nobody could do it.
fn nobody_offers(run: &Run, step: &Step) -> Option<String> {
    let asked = step.asks_for();
    let offers = run.workflow.agents.iter().any(|agent| match &step.work {
        Work::Agent { .. } => &*agent.id == asked,
        _ => agent.capabilities.iter().any(|capability| &**capability == asked),
    });
    (!offers && !step.is_approval()).then(|| asked.to_owned())
}

/// A step that needs itself, directly or through others.
fn circle<'n>(count: usize, needs: impl Fn(StepId) -> &'n Vec<Need>) -> Option<StepId> {
    let ids = || (0..count).map(StepId::from_index);
    let mut behind = vec![Vec::new(); count];
    let mut open = vec![0usize; count];
    for id in ids() {
        for need in needs(id) {
            behind[need.step.index()].push(id);
            open[id.index()] += 1;
        }
    }
    let mut free: Vec<StepId> = ids().filter(|id| open[id.index()] == 0).collect();
    while let Some(id) = free.pop() {
        for next in &behind[id.index()] {
            open[next.index()] -= 1;
            if open[next.index()] == 0 {
                free.push(*next);
            }
        }
    }
    ids().rev().find(|id| open[id.index()] > 0)
}

/// A person changes the graph: all of it is done, or nothing.
pub(crate) fn edit(run: &Run, edit: &Edit, decided: &mut Decided) -> Result<(), Rejection> {
    can_be_edited(run)?;
    if edit.add.is_empty() && edit.drop.is_empty() && edit.rewire.is_empty() {
        return Err(Rejection::new("the edit changes nothing"));
    }
    for &step in edit.drop.iter().chain(edit.rewire.iter().map(|(step, _)| step)) {
        is_pending(run, step)?;
    }
    let steps = joined(run, &edit.add).map_err(Rejection::new)?;
    let first = run.steps.len();
    // The graph as it would be.
    let mut needs: Vec<Vec<Need>> = run.workflow.steps.iter().chain(&steps).map(|step| step.needs.clone()).collect();
    for (step, new) in &edit.rewire {
        if edit.drop.contains(step) {
            return Err(Rejection::new(format!("{} cannot be dropped and rewired at once", run.spec(*step).id)));
        }
        needs[step.index()].clone_from(new);
    }
    for step in &edit.drop {
        needs[step.index()].clear();
    }
    let name = |id: StepId| id.index().checked_sub(first).map_or_else(|| &run.spec(id).id, |new| &steps[new].id);
    for at in 0..needs.len() {
        let id = StepId::from_index(at);
        for need in &needs[at] {
            let dropped = edit.drop.contains(&need.step);
            let known = need.step.index() < needs.len();
            let there = known && run.steps.get(need.step.index()).is_none_or(|entry| !entry.gone);
            if dropped || !there {
                let other = if known { name(need.step) } else { name(id) };
                let reason = format!("{} needs {other}, which would not be there", name(id));
                return Err(Rejection::with_way_out(reason, "drop it as well, or let it need others"));
            }
        }
    }
    if let Some(id) = circle(needs.len(), |id| &needs[id.index()]) {
        return Err(Rejection::with_way_out(format!("{} would need itself", name(id)), "leave one of the needs out"));
    }
    let number = Some(run.edits.last().map_or(1, |last| last.number + 1));
    if !steps.is_empty() {
        let (first, added) = (run.next_step(), Addition::Steps(Arc::new(steps)));
        decided.push((run.id, EventKind::StepsAdded { by: None, first, added, edit: number }));
    }
    for (step, needs) in &edit.rewire {
        let (step, needs) = (*step, needs.clone());
        decided.push((run.id, EventKind::StepRewired { step, needs, edit: number }));
    }
    if !edit.drop.is_empty() {
        decided.push((run.id, EventKind::StepsRemoved { steps: edit.drop.clone(), edit: number }));
    }
    Ok(())
}

/// The last edit is taken back, if nothing of it has begun.
pub(crate) fn undo(run: &Run, decided: &mut Decided) -> Result<(), Rejection> {
    can_be_edited(run)?;
    let Some(last) = run.edits.last() else { return Err(Rejection::new("no edit is left to be taken back")) };
    for &step in last.added.iter().chain(last.rewired.iter().map(|(step, _)| step)) {
        is_pending(run, step)?;
    }
    let leans = |id: &StepId| {
        let needs = &run.spec(*id).needs;
        let new = last.added.contains(id) || last.rewired.iter().any(|(step, _)| step == id);
        !new && needs.iter().any(|need| last.added.contains(&need.step))
    };
    if let Some(id) = run.step_ids().find(leans) {
        let reason = format!("{} needs a step that the edit added", run.spec(id).id);
        return Err(Rejection::with_way_out(reason, "let it need others first"));
    }
    decided.push((run.id, EventKind::EditUndone { edit: last.number }));
    if !last.removed.is_empty() {
        decided.push((run.id, EventKind::StepsRestored { steps: last.removed.clone() }));
    }
    for (step, needs) in &last.rewired {
        decided.push((run.id, EventKind::StepRewired { step: *step, needs: needs.clone(), edit: None }));
    }
    if !last.added.is_empty() {
        decided.push((run.id, EventKind::StepsRemoved { steps: last.added.clone(), edit: None }));
    }
    Ok(())
}

fn can_be_edited(run: &Run) -> Result<(), Rejection> {
    if run.started.is_none() {
        return Err(Rejection::with_way_out("the run has not been started", "change the file, or start it first"));
    }
    if run.state.ended() || run.cause.is_some() || run.rollback.is_some() {
        return Err(Rejection::new(format!("the graph of a run that is {} cannot be changed", run.state.word())));
    }
    Ok(())
}

fn is_pending(run: &Run, step: StepId) -> Result<(), Rejection> {
    let name = super::existing(run, step)?;
    let entry = run.step(step);
    if entry.gone {
        return Err(Rejection::new(format!("{name} has left the graph")));
    }
    if entry.part_of.is_some() || entry.cut.is_some() {
        return Err(Rejection::new(format!("{name} is cut into items, or is one: its place in the graph is fixed")));
    }
    if entry.state != StepState::Pending || entry.preparing.is_some() {
        let reason = format!("{name} is {}: only pending steps can be changed", entry.state.word());
        return Err(Rejection::new(reason));
    }
    Ok(())
}
