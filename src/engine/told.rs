//! What a step is told beside what its file says: its item, what the step before it returned, what an aggregate takes.

use super::run::{Cut, NeedState, Run};
use crate::model::aggregate::{From, Strategy};
use crate::model::expression::{Expression, follow};
use crate::model::id::StepId;
use crate::model::state::StepState;
use crate::model::step::Work;
use serde_json::{Value, json};
use std::sync::Arc;

/// The value of an expression, where no program is needed. `None` inside: there is nothing at its path.
pub(crate) fn at_once<'v>(expression: &Expression, data: &'v Value) -> Option<Result<Option<&'v Value>, String>> {
    match expression {
        Expression::Path(path) => Some(Ok(path.get(data))),
        Expression::Filter(filter) => filter.path().map(|path| follow(path, data).map(Some)),
        Expression::Template(_) => None,
    }
}

/// What a step of a path follows: the input of its routing step, or what the step before it returned; and its place.
pub(crate) fn before(run: &Run, id: StepId) -> Option<(Arc<Value>, u32)> {
    let part = run.step(id).part_of?;
    if !matches!(run.spec(part.of).work, Work::Route) {
        return None;
    }
    let path = &run.step(part.of).cut.as_ref()?.steps;
    let at = path.iter().position(|step| *step == id)?;
    let before = match at.checked_sub(1) {
        None => run.step(part.of).input.clone()?,
        Some(before) => run.step(path[before]).output.clone()?,
    };
    Some((before, u32::try_from(at).unwrap_or(u32::MAX)))
}

/// A payload, laid over what a step of a path follows.
pub(crate) fn laid_over(run: &Run, step: StepId, input: Arc<Value>) -> Arc<Value> {
    let Some((before, _)) = before(run, step) else { return input };
    let mut whole = match &*before {
        Value::Object(members) => members.clone(),
        other => json!({"value": other}).as_object().cloned().unwrap_or_default(),
    };
    if let Value::Object(own) = &*input {
        whole.extend(own.clone());
    }
    Arc::new(Value::Object(whole))
}

impl Run {
    /// The item that a step is about, and its number.
    pub(crate) fn item_of(&self, id: StepId) -> Option<(Arc<Value>, u32)> {
        let Some(part) = self.step(id).part_of else { return self.item.clone() };
        let Some(index) = part.index else {
            if let Some((before, at)) = before(self, id) {
                return Some((before, at));
            }
            // Another workflow knows only what it is told.
            let same = self.step(id).scope == self.step(part.of).scope;
            return self.item_of(part.of).filter(|_| same);
        };
        let list = self.step(part.of).cut.as_ref()?.list.as_ref()?;
        Some((Arc::new(list.get(index as usize)?.clone()), index))
    }
    /// The name of a step among those that share its data.
    pub(crate) fn local_name(&self, id: StepId) -> &str {
        let name = &*self.spec(id).id;
        let scope = self.step(id).scope.map(|scope| &*self.spec(scope).id);
        scope.and_then(|scope| name.strip_prefix(scope)?.strip_prefix('/')).unwrap_or(name)
    }

    /// What an aggregate step takes.
    pub(crate) fn sources_of(&self, step: StepId) -> Vec<StepId> {
        match &self.spec(step).work {
            Work::Aggregate(aggregate) => match &aggregate.from {
                From::Steps(from) => self.sources(from),
                From::Source(_) => Vec::new(),
            },
            _ => Vec::new(),
        }
    }

    /// These steps, or their items where they were cut; without what was left out for good reason.
    pub(crate) fn sources(&self, from: &[StepId]) -> Vec<StepId> {
        let of = |id: &StepId| match &self.step(*id).cut {
            Some(Cut { list: Some(_), steps, .. }) => steps.clone(),
            _ => vec![*id],
        };
        from.iter().flat_map(of).filter(|id| !self.step(*id).gone && !self.is_needless(*id)).collect()
    }

    /// Whether an aggregate that need not wait for all has enough.
    pub(crate) fn is_early(&self, step: StepId) -> bool {
        let spec = self.spec(step);
        let Work::Aggregate(aggregate) = &spec.work else { return false };
        let From::Steps(from) = &aggregate.from else { return false };
        let others = spec.needs.iter().filter(|need| !from.contains(&need.step));
        let is_met = |step, on| self.need_state(step, on) == NeedState::Met;
        if !self.ends_others(step) || !others.into_iter().all(|need| is_met(need.step, need.on)) {
            return false;
        }
        let sources = self.sources(from);
        let there = sources.iter().filter(|id| self.step(**id).state == StepState::Succeeded);
        let mut values = there.filter_map(|id| self.step(*id).output.as_deref());
        match &aggregate.strategy {
            Strategy::First => values.next().is_some(),
            Strategy::Vote { by, quorum: Some(quorum) } => {
                let whole = |id: &StepId| self.spec(*id).for_each.is_some() && self.step(*id).cut.is_none();
                if from.iter().any(|id| whole(id) && !self.step(*id).state.ended()) {
                    return false;
                }
                let voted: Option<Vec<&Value>> = values
                    .map(|value| by.as_ref().map_or(Some(value), |by| at_once(by, value)?.ok().flatten()))
                    .collect();
                // Where a program says what is compared, all are waited for.
                let Some(voted) = voted else { return false };
                let most = voted.iter().map(|vote| voted.iter().filter(|other| *other == vote).count()).max();
                most.is_some_and(|most| most >= quorum.votes(sources.len()))
            }
            _ => false,
        }
    }
}
