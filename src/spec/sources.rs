//! What aggregates take: names become steps, and steps become needs.

use crate::model::aggregate::From;
use crate::model::id::{Name, StepId};
use crate::model::step::{Need, NeedOn, Work};
use crate::spec::build::Draft;
use crate::spec::build_flow::Sources;
use crate::spec::build_step::DraftStep;
use crate::spec::diagnostic::Code;
use crate::spec::faults::Faults;
use crate::spec::source::Span;
use crate::spec::words::{NearestName, quote};
use std::collections::{HashMap, HashSet};

/// Fills in the steps of all aggregates, and adds them to what their steps need.
pub(crate) fn resolve(
    draft: &mut Draft,
    ids: &HashMap<Name, StepId>,
    needs: &mut [Vec<Need>],
    places: &mut [Vec<Span>],
    faults: &mut Faults<'_>,
) {
    let mut nearest = NearestName::default();
    for at in 0..draft.steps.len() {
        let step = &draft.steps[at];
        if step.sources.steps.is_empty() {
            continue;
        }
        let who = format!("aggregate {}", quote(&step.step.id));
        let found = steps(&who, &step.sources, &draft.steps, ids, &mut nearest, faults);
        enough(&step.sources, &found, &draft.steps, faults);
        let critical = step.sources.critical;
        let is_needed = |id: StepId| critical.is_none() || draft.steps[id.index()].step.critical;
        let waited: Vec<(StepId, Span)> = found.iter().copied().filter(|(id, _)| is_needed(*id)).collect();
        if let Some(place) = critical.filter(|_| waited.is_empty() && !found.is_empty()) {
            faults
                .error(place, Code::Conflict, "no step of `from` is `critical`, so there is nothing to wait for")
                .expected("`critical: true` at one of them at least, or `wait: all`");
        }
        let known: HashSet<StepId> = needs[at].iter().map(|need| need.step).collect();
        for (step, place) in waited.into_iter().filter(|(step, _)| !known.contains(step)) {
            needs[at].push(Need { step, on: NeedOn::Completed });
            places[at].push(place);
        }
        if let Work::Aggregate(aggregate) = &mut draft.steps[at].step.work {
            aggregate.from = From::Steps(found.into_iter().map(|(step, _)| step).collect());
        }
    }
    if !draft.result.steps.is_empty() {
        let found = steps("`result`", &draft.result, &draft.steps, ids, &mut nearest, faults);
        enough(&draft.result, &found, &draft.steps, faults);
        if let Some(result) = &mut draft.workflow.result {
            result.from = From::Steps(found.into_iter().map(|(step, _)| step).collect());
        }
    }
}

/// Reports a quorum of more votes than there can be. How many items vote is not known here.
fn enough(sources: &Sources, found: &[(StepId, Span)], steps: &[DraftStep], faults: &mut Faults<'_>) {
    let Some((votes, place)) = sources.quorum else { return };
    let counted = found.iter().all(|(step, _)| steps[step.index()].step.for_each.is_none());
    if counted && found.len() < votes as usize {
        let message = format!("{votes} votes can never come together: `from` names {}", found.len());
        faults.error(place, Code::OutOfRange, message).expected(format!("at most {}", found.len()));
    }
}

/// The steps that are named, each once.
fn steps(
    who: &str,
    sources: &Sources,
    steps: &[DraftStep],
    ids: &HashMap<Name, StepId>,
    nearest: &mut NearestName,
    faults: &mut Faults<'_>,
) -> Vec<(StepId, Span)> {
    let mut found = Vec::with_capacity(sources.steps.len());
    let mut seen = HashSet::new();
    for (name, place) in sources.steps.iter().filter(|(name, _)| crate::spec::units::is_id(name)) {
        match ids.get(name.as_str()) {
            Some(step) if seen.insert(*step) => found.push((*step, *place)),
            Some(_) => {
                faults.warning(*place, Code::NoEffect, format!("{} is taken already", quote(name)));
            }
            None => {
                let near = nearest.of(name, steps.iter().map(|step| &*step.step.id));
                let message = format!("{who} takes {}, which is no step", quote(name));
                faults.error(*place, Code::UnknownStep, message).expected("the id of a step").suggest(near);
            }
        }
    }
    found
}
