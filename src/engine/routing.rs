//! Routing steps: which path of templates is done in place of one, and what each of its steps is told.
//!
//! What an input looks like is found outside; here it is decided, once for every kind of input. Among paths that fit
//! equally well the one goes whose templates have been quickest so far.

use super::decide::step::give_up;
use super::run::Run;
use crate::model::agent::Builtin;
use crate::model::completion::{Failure, FailureClass};
use crate::model::event::EventKind;
use crate::model::growth::{Addition, part_name};
use crate::model::id::{Name, RunId, StepId};
use crate::model::route::{Decision, Routed};
use crate::model::step::{Need, NeedOn, Step, Work};
use crate::model::time::Micros;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

type Decided = Vec<(RunId, EventKind)>;

/// Takes the way that an input asks for.
pub(crate) fn decide(run: &Run, step: StepId, input: &Arc<Value>, routed: &Routed, decided: &mut Decided) {
    let before = run.routed.iter().map(|(_, made)| made).find(|made| made.shape == routed.shape);
    let decision = match before {
        Some(made) => Decision { cached: true, ..made.clone() },
        None => {
            let (path, quicker) = quickest(run, &routed.paths);
            let why = if quicker { ", and it has been the quickest of those that fit" } else { "" };
            Decision { shape: routed.shape.clone(), path, reason: format!("{}{why}", routed.reason), cached: false }
        }
    };
    match steps(run, step, &decision.path) {
        Ok(steps) => {
            let (first, input) = (run.next_step(), input.clone());
            decided.push((run.id, EventKind::RouteChosen { step, input, decision }));
            let added = Addition::Part { steps: Arc::new(steps), data: None };
            decided.push((run.id, EventKind::StepsAdded { by: Some(step), first, added, edit: None }));
        }
        Err(message) => give_up(run, step, Failure::new(FailureClass::Permanent, message), decided),
    }
}

/// The path whose templates have been quickest, and whether that was known of more than one; else the first.
fn quickest(run: &Run, paths: &[Vec<Name>]) -> (Vec<Name>, bool) {
    let time = |path: &Vec<Name>| -> Option<Micros> {
        let one = |name: &Name| {
            let template = template(run, name)?;
            run.meters.durations.mean(template.kind()).or(template.measured)
        };
        path.iter().map(one).sum()
    };
    let known: Vec<(Micros, &Vec<Name>)> = paths.iter().filter_map(|path| Some((time(path)?, path))).collect();
    let best = known.iter().min_by_key(|(time, _)| *time).map(|(_, path)| (*path).clone());
    let several = known.len() > 1;
    (best.or_else(|| paths.first().cloned()).unwrap_or_default(), several)
}

/// A template by its name; those that the input itself may ask for are there without being declared.
fn template(run: &Run, name: &Name) -> Option<Step> {
    let named = |builtin: &Builtin| builtin.capability() == &**name;
    let own = run.workflow.templates.get(name).cloned();
    own.or_else(|| {
        let capability = Builtin::NAMED.into_iter().find(named)?.capability().into();
        Some(Step::new(name.clone(), Work::Capability { capability }))
    })
}

/// The steps of a path, one behind the other.
fn steps(run: &Run, step: StepId, path: &[Name]) -> Result<Vec<Step>, String> {
    let first = run.next_step();
    let mut used: BTreeMap<&Name, u32> = BTreeMap::new();
    let mut steps: Vec<Step> = Vec::with_capacity(path.len());
    for (at, name) in path.iter().enumerate() {
        let Some(template) = template(run, name) else {
            let known: Vec<&str> = run.workflow.templates.keys().map(|name| &**name).collect();
            let known = if known.is_empty() { "none is declared".to_owned() } else { known.join(", ") };
            return Err(format!("unknown template {name}; templates of the workflow: {known}"));
        };
        let times = used.entry(name).and_modify(|times| *times += 1).or_insert(1);
        let own = if *times == 1 { name.to_string() } else { format!("{name}.{times}") };
        let needs = match at.checked_sub(1) {
            None => run.spec(step).needs.clone(),
            Some(before) => {
                let before = StepId::from_index(first.index() + before);
                vec![Need { step: before, on: NeedOn::Succeeded }]
            }
        };
        let id = part_name(&run.spec(step).id, &own);
        let priority = run.step(step).priority;
        steps.push(Step { id, needs, priority, template: Some(name.clone()), ..template });
    }
    if steps.is_empty() {
        return Err("the input asks for no template".to_owned());
    }
    Ok(steps)
}
