//! What has to be known before a step can go on: whether its condition holds, what it is told, what it is cut into.
//!
//! Paths are followed here, at once. Filters are programs, so they are asked of the outside ([`Computation`]); the step
//! stays pending meanwhile. Either way what was found is recorded, once, and holds for every attempt.

use super::ask::asks_condition;
use super::decide::cancel;
use super::decide::step::{done, give_up};

use super::routing;
use super::run::{Cut, Run};
use super::share::enough;
use super::told::{self, at_once};
use crate::model::aggregate::From;
use crate::model::completion::{Failure, FailureClass};
use crate::model::computation::{Computed, Found, Prepared};
use crate::model::defaults::ITEMS_MAX;
use crate::model::event::EventKind;
use crate::model::expression::{Expression, holds_filters, is_true};
use crate::model::growth::{Addition, cut, kind, part_name};
use crate::model::id::{RunId, StepId};
use crate::model::state::{SkipReason, StepState, WaitReason};
use crate::model::step::{EnvValue, Step, Used, Work};
use crate::model::time::Micros;
use serde_json::Value;
use std::sync::Arc;

type Decided = Vec<(RunId, EventKind)>;

/// A pending step whose needs are met goes on: with what can be found at once, else it is asked for.
pub(crate) fn begin(run: &Run, now: Micros, step: StepId, decided: &mut Decided) {
    match found_at_once(run, step) {
        Some(found) => follows(run, now, step, found, decided),
        None => decided.push((run.id, EventKind::StepPreparing { step })),
    }
}

/// An answer has come.
pub(crate) fn answered(run: &Run, now: Micros, computed: &Computed, decided: &mut Decided) {
    let found = computed.found.clone();
    let Some(step) = computed.step else {
        if run.result_asked == Some(computed.ticket) {
            let (value, failure) = match found {
                Ok(Found::Result(value)) => (Some(value), None),
                Ok(_) => (None, Some("its values are not there".to_owned())),
                Err(message) => (None, Some(message)),
            };
            let failure = failure.map(|message| Failure::new(FailureClass::Permanent, message));
            decided.push((run.id, EventKind::ResultReady { value, failure }));
        }
        return;
    };
    // The step may have been ended or taken over since.
    if run.steps.get(step.index()).is_some_and(|entry| entry.preparing == Some(computed.ticket)) {
        follows(run, now, step, found, decided);
    }
}

/// What follows from what was found.
fn follows(run: &Run, now: Micros, step: StepId, found: Result<Found, String>, decided: &mut Decided) {
    let spec = run.spec(step);
    let checkpoint = |decided: &mut Decided| {
        if spec.critical {
            let made = decided.iter().filter(|(_, kind)| matches!(kind, EventKind::CheckpointMade { .. })).count();
            let last = run.checkpoints.iter().map(|checkpoint| checkpoint.number).max().unwrap_or(0);
            let checkpoint = last + 1 + u32::try_from(made).unwrap_or(u32::MAX);
            decided.push((run.id, EventKind::CheckpointMade { checkpoint, step }));
        }
    };
    match found {
        Ok(Found::Refused) => decided.push((run.id, EventKind::StepSkipped { step, why: SkipReason::Condition })),
        Ok(Found::Items(list)) => {
            checkpoint(decided);
            let (by, first, added) = (Some(step), run.next_step(), Addition::Items(list));
            decided.push((run.id, EventKind::StepsAdded { by, first, added, edit: None }));
        }
        Ok(Found::Input(Prepared { input, missing, process })) => {
            checkpoint(decided);
            if let Work::Uses { workflow, .. } = &spec.work {
                decided.push((run.id, another(run, step, workflow, &input)));
                return;
            }
            let input = told::laid_over(run, step, input);
            decided.push((run.id, EventKind::StepReady { step, input: Some(input), missing, process }));
            if let Work::Approval { timeout, default, .. } = &spec.work {
                let until = timeout.filter(|_| default.is_some()).map(|timeout| now + timeout);
                decided.push((run.id, EventKind::StepWaiting { step, why: WaitReason::Approval, until }));
            }
            end_the_rest(run, step, decided);
        }
        Ok(Found::Routed(input, routed)) => {
            checkpoint(decided);
            routing::decide(run, step, &input, &routed, decided);
        }
        Ok(Found::Result(value)) => done(run, step, &value, None, None, decided),
        // Whoever stands in for it would be asked with the same input.
        Err(message) => give_up(run, step, Failure::new(FailureClass::Permanent, message), decided),
    }
}

/// The steps of another workflow join, to be done in place of the one that uses it.
fn another(run: &Run, step: StepId, workflow: &Used, input: &Value) -> EventKind {
    let first = run.next_step();
    let mut data = workflow.data.clone();
    if let (Value::Object(data), Value::Object(input)) = (&mut data, input) {
        data.extend(input.clone());
    }
    let place = |id: StepId| StepId::from_index(first.index() + id.index());
    let own = |id: StepId| {
        let mut own = workflow.steps[id.index()].clone();
        own.id = part_name(&run.spec(step).id, &own.id);
        own.needs.iter_mut().for_each(|need| need.step = place(need.step));
        if own.needs.is_empty() {
            own.needs.clone_from(&run.spec(step).needs);
        }
        if let Work::Aggregate(aggregate) = &mut own.work
            && let From::Steps(from) = &mut aggregate.from
        {
            from.iter_mut().for_each(|id| *id = place(*id));
        }
        own
    };
    let steps = Arc::new((0..workflow.steps.len()).map(StepId::from_index).map(own).collect());
    let added = Addition::Part { steps, data: Some(Arc::new(data)) };
    EventKind::StepsAdded { by: Some(step), first, added, edit: None }
}

/// Who has enough does not need the others any more.
fn end_the_rest(run: &Run, step: StepId, decided: &mut Decided) {
    if !run.is_early(step) {
        return;
    }
    for source in run.sources_of(step) {
        let state = run.step(source).state;
        if !state.ended() && !matches!(state, StepState::Cancelling | StepState::Compensating) {
            cancel::one(run, source, Some(step), decided);
        }
    }
}

/// All parts of a step have ended: it is done, or has failed with them.
pub(crate) fn close(run: &Run, step: StepId, decided: &mut Decided) {
    let Some(cut) = &run.step(step).cut else { return };
    let (succeeded, lost, counted) = run.parts_so_far(step);
    if enough(run.success_of(step), succeeded, counted) {
        match &run.spec(step).work {
            Work::Uses { workflow, .. } if workflow.result.is_some() && cut.list.is_none() => {
                decided.push((run.id, EventKind::StepPreparing { step }));
            }
            work => done(run, step, &Arc::new(output_of(run, work, cut)), None, None, decided),
        }
        return;
    }
    let is_lost = |id: &&StepId| run.step(**id).state != StepState::Succeeded && !run.is_needless(**id);
    let all: Vec<&StepId> = cut.steps.iter().filter(is_lost).collect();
    let failure = all.iter().find_map(|id| run.step(**id).failure.as_deref());
    let class = failure.map_or(FailureClass::Cancelled, |failure| failure.class);
    let first = all.first().map_or(String::new(), |id| format!(", the first of them {}", run.spec(**id).id));
    let what = if cut.list.is_some() { "items" } else { "steps" };
    let message = format!("{lost} of {counted} {what} did not succeed{first}");
    let injected = failure.is_some_and(|failure| failure.injected);
    let failure = Failure { injected, ..Failure::new(class, message) };
    decided.push((run.id, EventKind::StepFailed { step, failure }));
}

/// What a step that was cut returns: the outputs of its items, of the steps of another workflow by name, or of the last of
/// a path.
fn output_of(run: &Run, work: &Work, cut: &Cut) -> Value {
    let output = |id: &StepId| match run.step(*id).state {
        StepState::Succeeded => run.step(*id).output.as_deref().cloned().unwrap_or_default(),
        _ => Value::Null,
    };
    match (work, &cut.list) {
        (_, Some(_)) => Value::Array(cut.steps.iter().map(output).collect()),
        (Work::Uses { .. }, None) => {
            let there = cut.steps.iter().filter(|id| run.step(**id).state == StepState::Succeeded);
            Value::Object(there.map(|id| (run.local_name(*id).to_owned(), output(id))).collect())
        }
        (_, None) => cut.steps.last().map(output).unwrap_or_default(),
    }
}

/// What can be found without the outside; `None`: something cannot.
fn found_at_once(run: &Run, step: StepId) -> Option<Result<Found, String>> {
    let (spec, data) = (run.spec(step), &**run.data_of(step));
    if let Some(condition) = spec.condition.as_ref().filter(|_| asks_condition(spec)) {
        match at_once(condition, data)? {
            Ok(value) if is_true(value) => {}
            Ok(_) => return Some(Ok(Found::Refused)),
            Err(why) => return Some(Err(format!("`if` cannot be computed: {why}"))),
        }
    }
    if let Some(for_each) = &spec.for_each {
        return Some(match at_once(&for_each.items, data)? {
            Ok(Some(Value::Array(list))) => {
                cut(list.clone(), for_each.chunk, ITEMS_MAX).map(|list| Found::Items(Arc::new(list)))
            }
            Ok(Some(other)) => Err(format!("`for_each` needs a list, found {}", kind(other))),
            Ok(None) => Err("the list of `for_each` is missing: the data has no such path".to_owned()),
            Err(why) => Err(format!("the list of `for_each` cannot be computed: {why}")),
        });
    }
    let computes = matches!(spec.work, Work::Aggregate(_) | Work::Route) || spec.with.values().any(holds_filters);
    if computes || is_process_computed(run, spec) {
        return None;
    }
    let mut payload = spec.with.clone();
    let mut missing = Vec::new();
    for mapping in &spec.input {
        match at_once(&mapping.source, data)? {
            Ok(Some(value)) => {
                payload.insert(mapping.key.clone(), value.clone());
            }
            Ok(None) if mapping.required => {
                let (key, path) = (&mapping.key, path_of(&mapping.source));
                return Some(Err(format!("required input {key} is missing: the data has no {path}")));
            }
            Ok(None) => missing.push(mapping.key.clone()),
            Err(why) => return Some(Err(format!("input {} cannot be computed: {why}", mapping.key))),
        }
    }
    let input = Arc::new(Value::Object(payload));
    Some(Ok(Found::Input(Prepared { input, missing, process: None })))
}

fn path_of(source: &Expression) -> String {
    match source {
        Expression::Path(path) => path.to_string(),
        other => other.filters().next().map_or_else(String::new, |filter| filter.text().to_owned()),
    }
}

/// Whether the process of a step is told something that has to be computed.
fn is_process_computed(run: &Run, spec: &Step) -> bool {
    let computed = |text: &str| text.contains("${{");
    let env = spec.env.iter().chain(&run.workflow.env);
    let mut env = env.filter_map(|(_, value)| match value {
        EnvValue::Text(text) => Some(text),
        EnvValue::FromEnv { .. } => None,
    });
    spec.is_process()
        && (env.any(|text| computed(text))
            || matches!(&spec.work, Work::Command { argv } if argv.iter().any(|part| computed(part))))
}
