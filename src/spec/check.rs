//! What only shows when all steps and agents are known: names that nobody has, circles, and work nobody can do.

use crate::model::id::{Name, StepId};
use crate::model::policy::Mode;
use crate::model::step::{Need, Step, Work};
use crate::model::workflow::Workflow;
use crate::spec::barrier;
use crate::spec::build::Draft;
use crate::spec::build_step::DraftStep;
use crate::spec::crew::Crew;
use crate::spec::cycle;
use crate::spec::diagnostic::Code;
use crate::spec::expressions;
use crate::spec::faults::Faults;
use crate::spec::flow;
use crate::spec::options::Options;
use crate::spec::outputs;
use crate::spec::routes;
use crate::spec::sharing;
use crate::spec::source::{LIMITS, Span};
use crate::spec::sources;
use crate::spec::together;
use crate::spec::words::{NearestName, quote};
use indexmap::IndexMap;
use std::collections::{HashMap, HashSet};

/// Ties a draft together. `Some` only if nothing refuses the file. `part`: another file uses it, whose agents do its
/// steps.
pub(crate) fn finish(
    mut draft: Draft,
    crew: &Crew,
    templates: &IndexMap<Name, Step>,
    options: &Options,
    part: bool,
    faults: &mut Faults<'_>,
) -> Option<Workflow> {
    let ids = ids(&draft.steps, faults);
    let edges: usize = draft.steps.iter().map(|step| step.needs.len() + step.sources.steps.len()).sum();
    if edges > LIMITS.edges {
        let message = format!("{edges} needs are more than the {} a workflow may have", LIMITS.edges);
        faults.error(draft.steps[0].span, Code::TooLarge, message);
        return None;
    }
    let (mut needs, mut need_spans) = needs(&draft.steps, &ids, faults);
    sources::resolve(&mut draft, &ids, &mut needs, &mut need_spans, faults);
    if !cycle::report(&draft.steps, &needs, &need_spans, faults) {
        barrier::report(&draft.steps, &needs, faults);
    }
    sharing::semaphores(draft.steps.iter().chain(&draft.templates), faults);
    routes::report(&draft, part, faults);
    without_effect(&draft, faults);
    outputs::report(&draft, &ids, faults);
    let texts = draft.texts.iter().chain(draft.steps.iter().flat_map(|step| &step.texts));
    expressions::compile(texts, options.compile, faults);
    if options.agents_needed {
        crew.check(&draft, faults);
    }
    if faults.any_error() {
        return None;
    }
    flow::warn(&draft, &needs, &ids, faults);
    let meetings = if options.agents_needed { together::meetings(&draft.steps) } else { Vec::new() };
    let Draft { mut workflow, steps, routes, .. } = draft;
    workflow.agents.clone_from(&crew.agents);
    workflow.templates.clone_from(templates);
    workflow.routes = routes.into_iter().map(|draft| draft.route).collect();
    workflow.steps = steps
        .into_iter()
        .zip(needs)
        .map(|(draft, needs)| {
            let mut step = draft.step;
            step.needs = needs;
            step
        })
        .collect();
    workflow.add_builtins(options.cores);
    together::warn(&meetings, &workflow, faults);
    if part {
        // Those of the whole stand where the whole is.
        (workflow.agents, workflow.templates) = (Vec::new(), IndexMap::new());
    }
    Some(workflow)
}

/// Warns about what a workflow declares for a case that cannot come.
fn without_effect(draft: &Draft, faults: &mut Faults<'_>) {
    if let Some(place) = draft.idle_threshold
        && !matches!(draft.workflow.mode, Mode::Hybrid | Mode::Auto)
    {
        faults
            .warning(place, Code::NoEffect, "only the modes `hybrid` and `auto` look at `parallel_threshold`")
            .expected("`mode: hybrid` or `mode: auto` beside it");
    }
    if draft.steps.iter().any(|step| can_be_undone(&step.step)) {
        return;
    }
    let way_out = "`compensate` at the steps whose work can be undone";
    if let Some(place) = draft.rollback {
        faults
            .warning(place, Code::NoEffect, "nothing can be rolled back: no step says how it is undone")
            .expected(way_out);
    }
    for step in draft.steps.iter().filter(|step| step.step.pivot) {
        faults
            .warning(step.places.pivot, Code::NoEffect, "`pivot` has no effect: no step says how it is undone")
            .expected(way_out);
    }
}

/// Whether a step, or one of the workflow that it uses, says how it is undone.
fn can_be_undone(step: &Step) -> bool {
    step.compensate.is_some()
        || matches!(&step.work, Work::Uses { workflow, .. } if workflow.steps.iter().any(can_be_undone))
}

/// The index of every id; ids that are there twice keep their first.
fn ids(steps: &[DraftStep], faults: &mut Faults<'_>) -> HashMap<Name, StepId> {
    let mut ids = HashMap::with_capacity(steps.len());
    let mut lower: HashMap<String, usize> = HashMap::with_capacity(steps.len());
    for (at, draft) in steps.iter().enumerate().filter(|(_, draft)| draft.named) {
        if let Some(&first) = lower.get(&draft.step.id.to_lowercase()) {
            let line = faults.line(steps[first].span);
            let same = if steps[first].step.id == draft.step.id { "" } else { " without regard to case" };
            let message = format!("step {} is there twice{same}, first in line {line}", quote(&draft.step.id));
            faults.error(draft.span, Code::DuplicateId, message).expected("an id of its own for every step");
        } else {
            lower.insert(draft.step.id.to_lowercase(), at);
        }
        ids.entry(draft.step.id.clone()).or_insert(StepId::from_index(at));
    }
    ids
}

/// The needs by index, and where each stands.
fn needs(
    steps: &[DraftStep],
    ids: &HashMap<Name, StepId>,
    faults: &mut Faults<'_>,
) -> (Vec<Vec<Need>>, Vec<Vec<Span>>) {
    let mut nearest = NearestName::default();
    let mut all = Vec::with_capacity(steps.len());
    let mut spans = Vec::with_capacity(steps.len());
    for draft in steps {
        let mut found: Vec<Need> = Vec::with_capacity(draft.needs.len());
        let mut places = Vec::with_capacity(draft.needs.len());
        let mut seen = HashSet::new();
        for need in draft.needs.iter().filter(|need| crate::spec::units::is_id(&need.name)) {
            let Some(&step) = ids.get(need.name.as_str()) else {
                let near = nearest.of(&need.name, steps.iter().map(|step| &*step.step.id));
                let message = format!("step {} needs {}, which is no step", quote(&draft.step.id), quote(&need.name));
                faults.error(need.span, Code::UnknownStep, message).expected("the id of a step").suggest(near);
                continue;
            };
            let again =
                if draft.needs.len() <= 16 { found.iter().any(|other| other.step == step) } else { !seen.insert(step) };
            if again {
                let message = format!("{} is needed already", quote(&need.name));
                faults.warning(need.span, Code::NoEffect, message);
                continue;
            }
            found.push(Need { step, on: need.on });
            places.push(need.span);
        }
        all.push(found);
        spans.push(places);
    }
    (all, spans)
}
