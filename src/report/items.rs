//! How often a step is done: once, or once for every element of a list that the file already holds.
//!
//! For a run that is played through, such a step is unfolded: a step for each item, and the step itself, which ends with
//! the last of them.

use crate::model::expression::Expression;
use crate::model::id::StepId;
use crate::model::path::Path;
use crate::model::step::{Need, NeedOn, Step};
use crate::model::time::Micros;
use crate::model::view::Shape;
use crate::model::workflow::Workflow;
use serde_json::Value;
use std::borrow::Cow;

/// A workflow is unfolded to so many steps at most; beyond it, lists count as unknown.
const UNFOLDED_MAX: u64 = 200_000;

/// How often a step is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Times {
    /// As most steps are.
    Once,
    /// Once for each of so many items.
    Items(u64),
    /// Once for each item of a list that is known only when it runs.
    Unknown,
}

impl Times {
    /// The least number of attempts; an unknown list counts as one item.
    pub(crate) const fn at_least(self) -> u64 {
        match self {
            Self::Once | Self::Unknown => 1,
            Self::Items(items) => items,
        }
    }

    /// How long the whole step takes if agents are never short, where an attempt takes `time`.
    pub(crate) fn span(self, step: &Step, time: Micros) -> Micros {
        let most = step.for_each.as_ref().and_then(|for_each| for_each.max_parallel).map_or(u64::MAX, u64::from);
        Micros(time.0.saturating_mul(self.at_least().div_ceil(most.max(1))))
    }
}

/// How often each step is done, by place in the workflow.
#[must_use]
pub(crate) fn times(workflow: &Workflow) -> Vec<Times> {
    let mut times: Vec<Times> = workflow.steps.iter().map(|step| of_step(workflow, step)).collect();
    let all: u64 = times.iter().fold(0, |sum: u64, times| sum.saturating_add(times.at_least()));
    if all > UNFOLDED_MAX {
        times.iter_mut().filter(|times| matches!(times, Times::Items(_))).for_each(|times| *times = Times::Unknown);
    }
    times
}

fn of_step(workflow: &Workflow, step: &Step) -> Times {
    let Some(for_each) = &step.for_each else { return Times::Once };
    let items = match &for_each.items {
        Expression::Path(path) => in_data(workflow, path),
        Expression::Filter(filter) => match filter.path() {
            Some(path) => in_data(workflow, path),
            // A list that is written out.
            None => serde_json::from_str::<Vec<Value>>(filter.text()).ok().map(|list| list.len()),
        },
        Expression::Template(_) => None,
    };
    items.map_or(Times::Unknown, |items| {
        Times::Items((items as u64).div_ceil(for_each.chunk.map_or(1, u64::from).max(1)))
    })
}

/// The length of a list in the data that a run begins with, if no step writes there.
fn in_data(workflow: &Workflow, path: &Path) -> Option<usize> {
    let meets = |other: &Path| path.0.iter().zip(&other.0).all(|(own, other)| own == other);
    if workflow.steps.iter().flat_map(|step| &step.output).any(|output| meets(&output.path)) {
        return None;
    }
    path.get(&workflow.data)?.as_array().map(Vec::len)
}

/// A workflow whose items are steps.
pub(crate) struct Unfolded<'a> {
    pub(crate) workflow: Cow<'a, Workflow>,
    pub(crate) shape: Cow<'a, Shape>,
    /// The step that a step is an item of.
    pub(crate) item_of: Vec<Option<usize>>,
    /// Steps that only wait for their items: they take neither time nor an agent.
    pub(crate) is_join: Vec<bool>,
}

impl<'a> Unfolded<'a> {
    /// Unfolds a workflow.
    pub(crate) fn new(workflow: &'a Workflow, shape: &'a Shape) -> Self {
        let count = workflow.steps.len();
        let times = times(workflow);
        let (mut item_of, mut is_join) = (vec![None; count], vec![false; count]);
        if times.iter().all(|times| !matches!(times, Times::Items(_))) {
            return Self { workflow: Cow::Borrowed(workflow), shape: Cow::Borrowed(shape), item_of, is_join };
        }
        let (mut with, mut grown) = (workflow.clone(), shape.clone());
        grown.order.clear();
        for &id in &shape.order {
            if let Times::Items(items) = times[id.index()] {
                is_join[id.index()] = true;
                for _ in 0..items {
                    let item = StepId::from_index(with.steps.len());
                    let spec = workflow.step(id);
                    spec.needs.iter().for_each(|need| grown.dependents[need.step.index()].push(item));
                    with.steps.push(Step { for_each: None, barrier: None, ..spec.clone() });
                    with.steps[id.index()].needs.push(Need { step: item, on: NeedOn::Completed });
                    grown.dependents.push(vec![id]);
                    grown.level.push(shape.level[id.index()]);
                    grown.order.push(item);
                    item_of.push(Some(id.index()));
                    is_join.push(false);
                }
            }
            grown.order.push(id);
        }
        Self { workflow: Cow::Owned(with), shape: Cow::Owned(grown), item_of, is_join }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::growth::ForEach;
    use crate::model::policy::Success;
    use crate::report::sample::{self, step};
    use serde_json::json;

    fn over(items: &str, chunk: Option<u32>) -> Workflow {
        let mut workflow = sample::workflow();
        workflow.data = json!({"names": ["a", "b", "c", "d", "e"], "deep": {"none": []}, "word": "x"});
        workflow.steps = vec![step("each", "data", &[], Some(2))];
        let items = Expression::of_source(items).unwrap();
        workflow.steps[0].for_each = Some(ForEach { items, max_parallel: None, chunk, success: Success::All });
        workflow
    }

    #[test]
    fn a_list_in_the_data_or_written_out_is_counted_and_any_other_is_unknown() {
        let counted = |items: &str, chunk| times(&over(items, chunk))[0];
        assert_eq!(counted("names", None), Times::Items(5));
        assert_eq!(counted(".names", Some(2)), Times::Items(3));
        assert_eq!(counted("deep.none", None), Times::Items(0));
        assert_eq!(counted("[1, 2, 3]", None), Times::Items(3));
        for unknown in ["word", "missing", ".names | map(.)", "$outputs.x"] {
            assert_eq!(counted(unknown, None), Times::Unknown, "{unknown}");
        }
        assert_eq!(times(&sample::workflow()), [Times::Once; 5]);
    }

    #[test]
    fn a_list_that_a_step_writes_is_unknown() {
        let mut workflow = over("names", None);
        workflow.steps.push(step("writes", "data", &[], Some(1)));
        for (path, expected) in [("names[2]", Times::Unknown), ("names", Times::Unknown), ("name", Times::Items(5))] {
            let path = Path::parse(path).unwrap();
            workflow.steps[1].output = vec![crate::model::mapping::OutputMapping { field: "x".to_owned(), path }];
            assert_eq!(times(&workflow)[0], expected);
        }
    }

    #[test]
    fn items_take_turns_where_only_so_many_may_be_at_work() {
        let mut workflow = over("names", None);
        let span = |workflow: &Workflow| times(workflow)[0].span(&workflow.steps[0], Micros::from_secs(2));
        assert_eq!(span(&workflow), Micros::from_secs(2));
        workflow.steps[0].for_each.as_mut().unwrap().max_parallel = Some(2);
        assert_eq!(span(&workflow), Micros::from_secs(6));
    }
}
