//! The flow of data: inputs that nothing provides, and steps that may overwrite each other. Only warnings: data can
//! also come from where a file does not show it, and large workflows are looked at as far as a fixed effort reaches.

use crate::model::id::{Name, StepId};
use crate::model::path::{Part, Path};
use crate::model::step::Need;
use crate::spec::build::Draft;
use crate::spec::diagnostic::Code;
use crate::spec::faults::Faults;
use crate::spec::outputs;
use crate::spec::source::Span;
use crate::spec::words::quote;
use std::collections::{BTreeMap, HashMap, HashSet};

/// Needs that are followed in all to find out what comes before what.
const EFFORT: usize = 500_000;

/// Warns about the data flow of a draft without circles.
pub(crate) fn warn(draft: &Draft, needs: &[Vec<Need>], ids: &HashMap<Name, StepId>, faults: &mut Faults<'_>) {
    let writes = writes(draft);
    let mut before = Before { needs, rank: ranks(needs), effort: EFFORT };
    unordered_writes(draft, &writes, &mut before, faults);
    missing_inputs(draft, &writes, &mut before, ids, faults);
    early_outputs(draft, ids, &mut before, faults);
    if before.effort == 0 {
        let message = "this workflow is too large to look at all of its data paths";
        faults.note(draft.steps.first().map_or(Span::default(), |step| step.span), Code::NoEffect, message);
    }
}

/// Who writes a path.
#[derive(Default)]
struct Writers {
    /// Exactly this path, with the place of the mapping.
    here: Vec<(StepId, Span)>,
    /// A path inside this one.
    inside: Vec<StepId>,
}

fn writes(draft: &Draft) -> BTreeMap<&[Part], Writers> {
    let mut writes: BTreeMap<&[Part], Writers> = BTreeMap::new();
    for (at, step) in draft.steps.iter().enumerate() {
        for (mapping, span) in step.step.output.iter().zip(&step.output_spans) {
            let parts = mapping.path.0.as_slice();
            let id = StepId::from_index(at);
            writes.entry(parts).or_default().here.push((id, *span));
            for length in 1..parts.len() {
                let inside = &mut writes.entry(&parts[..length]).or_default().inside;
                if inside.last() != Some(&id) {
                    inside.push(id);
                }
            }
        }
    }
    writes
}

/// Places in a topological order.
fn ranks(needs: &[Vec<Need>]) -> Vec<usize> {
    let mut dependants = vec![Vec::new(); needs.len()];
    let mut missing: Vec<usize> = needs.iter().map(Vec::len).collect();
    for (step, list) in needs.iter().enumerate() {
        list.iter().for_each(|need| dependants[need.step.index()].push(step));
    }
    let mut order: Vec<usize> = (0..needs.len()).filter(|&step| missing[step] == 0).collect();
    let mut rank = vec![0; needs.len()];
    let mut at = 0;
    while let Some(&step) = order.get(at) {
        rank[step] = at;
        at += 1;
        for &dependant in &dependants[step] {
            missing[dependant] -= 1;
            if missing[dependant] == 0 {
                order.push(dependant);
            }
        }
    }
    rank
}

/// Answers what comes before what, with bounded effort.
struct Before<'n> {
    needs: &'n [Vec<Need>],
    rank: Vec<usize>,
    effort: usize,
}

impl Before<'_> {
    /// Whether `first` has ended whenever `last` starts. Unknown (out of effort) counts as yes: no false warnings.
    fn is(&mut self, first: StepId, last: StepId) -> bool {
        self.effort = self.effort.saturating_sub(1);
        if self.effort == 0 {
            return true;
        }
        let least = self.rank[first.index()];
        let mut open = vec![last];
        let mut seen = HashSet::new();
        while let Some(step) = open.pop() {
            for need in &self.needs[step.index()] {
                if need.step == first {
                    return true;
                }
                if self.rank[need.step.index()] > least && seen.insert(need.step) {
                    open.push(need.step);
                }
                self.effort = self.effort.saturating_sub(1);
                if self.effort == 0 {
                    return true;
                }
            }
        }
        false
    }
}

fn unordered_writes(
    draft: &Draft,
    writes: &BTreeMap<&[Part], Writers>,
    before: &mut Before<'_>,
    faults: &mut Faults<'_>,
) {
    for (path, writers) in writes {
        let mut here = writers.here.clone();
        here.sort_by_key(|(step, _)| before.rank[step.index()]);
        here.dedup_by_key(|(step, _)| *step);
        // In a topological order, all are ordered exactly if every two neighbours are.
        let pair = here.windows(2).find(|pair| !before.is(pair[0].0, pair[1].0)).map(|pair| (pair[0], pair[1]));
        if let Some((one, other)) = pair {
            let (one, other) = if one.0 < other.0 { (one, other) } else { (other, one) };
            let name = |step: StepId| quote(&draft.steps[step.index()].step.id);
            let shown = quote(&Path(path.to_vec()).to_string());
            let message = format!("{} and {} both write {shown}, in no fixed order", name(one.0), name(other.0));
            faults
                .warning(other.1, Code::UnorderedWrites, message)
                .expected("paths of their own, or a need between the two");
        }
    }
}

fn missing_inputs(
    draft: &Draft,
    writes: &BTreeMap<&[Part], Writers>,
    before: &mut Before<'_>,
    ids: &HashMap<Name, StepId>,
    faults: &mut Faults<'_>,
) {
    for (at, step) in draft.steps.iter().enumerate() {
        let reader = StepId::from_index(at);
        // What a filter looks for need not be there.
        for (path, span) in &step.reads {
            if path.get(&draft.workflow.data).is_some() {
                continue;
            }
            let parts = path.0.as_slice();
            let here = (1..=parts.len())
                .filter_map(|length| writes.get(&parts[..length]))
                .flat_map(|w| &w.here)
                .map(|(id, _)| *id);
            let inside = writes.get(parts).into_iter().flat_map(|writers| writers.inside.iter().copied());
            let mut other = None;
            let found = here.chain(inside).filter(|writer| *writer != reader).any(|writer| {
                other.get_or_insert(writer);
                before.is(writer, reader)
            });
            if found {
                continue;
            }
            let shown = quote(&path.to_string());
            let message = match other {
                Some(writer) => {
                    let writer = quote(&draft.steps[writer.index()].step.id);
                    format!("{shown} is written by {writer}, which this step does not wait for")
                }
                None => format!("nothing provides {shown}: it is not in `data`, and no step writes it"),
            };
            let way = if other.is_some() {
                "a need on that step"
            } else {
                "a path in `data`, or one that a step before writes"
            };
            // A step by its name alone reads as a path.
            let is_from = step.sources.read.as_ref().is_some_and(|(_, place)| place == span);
            let name = path.to_string();
            let near = (is_from && ids.contains_key(name.as_str())).then(|| format!("[{name}]"));
            faults.warning(*span, Code::MissingInput, message).expected(way).suggest(near);
        }
    }
}

/// Warns about outputs that a step's filters take from steps that need not have ended then.
fn early_outputs(draft: &Draft, ids: &HashMap<Name, StepId>, before: &mut Before<'_>, faults: &mut Faults<'_>) {
    for (at, step) in draft.steps.iter().enumerate() {
        for one in &step.texts {
            let mut places = faults.places(one.span, &one.text);
            for (filter, named) in outputs::each(one) {
                let Some(other) = outputs::find(&named.name, ids, draft) else { continue };
                if !before.is(other, StepId::from_index(at)) {
                    let name = quote(&draft.steps[other.index()].step.id);
                    let message = format!("the output of {name} need not be there: this step does not wait for it");
                    let place = places.of(filter + named.at);
                    faults.warning(place, Code::MissingInput, message).expected("a need on that step");
                }
            }
        }
    }
}
