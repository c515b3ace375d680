//! What of a workflow's graph does not change while it runs: order, levels, critical path, slack.

use crate::model::agent::{AgentKind, Builtin};
use crate::model::defaults;
use crate::model::id::StepId;
use crate::model::step::Step;
use crate::model::time::{self, Micros};
use crate::model::view::Shape;
use crate::model::workflow::Workflow;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// How long a step is expected to take: its estimate, else the shortest time that a simulated agent which could do it
/// has scripted, else what earlier runs took, else nothing is known.
#[must_use]
pub fn expected(workflow: &Workflow, step: &Step) -> Option<Micros> {
    let scripted = || {
        let asks = step.asks_for();
        let able = workflow.agents.iter().filter(|a| &*a.id == asks || a.capabilities.iter().any(|c| &**c == asks));
        able.filter_map(|agent| agent_time(&agent.kind, step)).min()
    };
    step.estimate.or_else(scripted).or(step.measured)
}

/// How long this kind of agent is known to take for a step.
#[must_use]
pub fn agent_time(kind: &AgentKind, step: &Step) -> Option<Micros> {
    match kind {
        AgentKind::Simulated(sim) => Some(sim.duration(step.action.as_deref(), step.estimate).at_speed(sim.speed)),
        AgentKind::Builtin { builtin: Builtin::Echo } => Some(Micros::ZERO),
        AgentKind::Builtin { builtin: Builtin::Sleep } => {
            step.with.get("duration").and_then(|duration| time::from_json(duration).ok())
        }
        AgentKind::Process(_) | AgentKind::Builtin { builtin: Builtin::Process } => step.estimate,
        // They compute, which takes next to nothing.
        AgentKind::Builtin { .. } => Some(step.estimate.unwrap_or(Micros::ZERO)),
    }
}

/// Expected times of all steps; unknown ones count as [`defaults::SIMULATED_DURATION`].
#[must_use]
pub fn weights(workflow: &Workflow) -> Vec<Micros> {
    workflow.steps.iter().map(|s| expected(workflow, s).unwrap_or(defaults::SIMULATED_DURATION)).collect()
}

/// For each step, the longest expected time from its start to the end of the last step behind it.
#[must_use]
pub fn tails(shape: &Shape, weights: &[Micros]) -> Vec<Micros> {
    let mut tails = weights.to_vec();
    for &step in shape.order.iter().rev() {
        let behind = shape.dependents[step.index()].iter().map(|d| tails[d.index()]).max();
        tails[step.index()] += behind.unwrap_or(Micros::ZERO);
    }
    tails
}

/// Computes the shape. Time O((steps + needs) log steps). The workflow has no cycle (the reader made sure).
#[must_use]
pub fn shape(workflow: &Workflow) -> Shape {
    shape_by(workflow, &weights(workflow))
}

/// The same where it is known how long each step is expected to take.
#[must_use]
pub fn shape_by(workflow: &Workflow, weights: &[Micros]) -> Shape {
    let count = workflow.steps.len();
    let mut dependents = vec![Vec::new(); count];
    let mut missing: Vec<u32> = vec![0; count];
    for (at, step) in workflow.steps.iter().enumerate() {
        for need in &step.needs {
            dependents[need.step.index()].push(StepId::from_index(at));
            missing[at] += 1;
        }
    }
    // Kahn's algorithm with a heap instead of a queue: among the steps that could come next the first of the file does.
    let mut heap: BinaryHeap<Reverse<StepId>> =
        (0..count).filter(|&at| missing[at] == 0).map(|at| Reverse(StepId::from_index(at))).collect();
    let mut order = Vec::with_capacity(count);
    let mut level = vec![0u32; count];
    while let Some(Reverse(step)) = heap.pop() {
        order.push(step);
        for &next in &dependents[step.index()] {
            level[next.index()] = level[next.index()].max(level[step.index()] + 1);
            missing[next.index()] -= 1;
            if missing[next.index()] == 0 {
                heap.push(Reverse(next));
            }
        }
    }
    debug_assert_eq!(order.len(), count, "a checked workflow has no cycle");
    let mut shape = Shape { order, dependents, level, ..Shape::default() };
    let tails = tails(&shape, weights);
    shape.critical_path_time = tails.iter().copied().max().unwrap_or(Micros::ZERO);
    shape.critical_path = critical_path(workflow, &shape, &tails);
    // Heads: earliest possible starts. What is left between head + tail and the whole is slack.
    let mut heads = vec![Micros::ZERO; count];
    for &step in &shape.order {
        let end = heads[step.index()] + weights[step.index()];
        for next in &shape.dependents[step.index()] {
            heads[next.index()] = heads[next.index()].max(end);
        }
    }
    shape.slack = (0..count).map(|at| shape.critical_path_time - heads[at] - tails[at]).collect();
    shape
}

/// Follows the longest tail from a step without needs to the end; ties go to the first of the file.
fn critical_path(workflow: &Workflow, shape: &Shape, tails: &[Micros]) -> Vec<StepId> {
    let longest = |steps: &mut dyn Iterator<Item = StepId>| steps.min_by_key(|s| (Reverse(tails[s.index()]), *s));
    let mut path = Vec::new();
    let mut next = longest(&mut workflow.step_ids().filter(|s| workflow.step(*s).needs.is_empty()));
    while let Some(step) = next {
        path.push(step);
        next = longest(&mut shape.dependents[step.index()].iter().copied());
    }
    path
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    use crate::model::step::{Need, NeedOn, Work};

    /// A step on the capability `any` with these needs and seconds.
    pub(crate) fn step(id: &str, needs: &[u32], seconds: f64) -> Step {
        let work = Work::Capability { capability: "any".into() };
        Step {
            needs: needs.iter().map(|&n| Need { step: StepId(n), on: NeedOn::Succeeded }).collect(),
            timeout: Some(defaults::timeout(false, Some(Micros::from_secs_f64(seconds)))),
            estimate: Some(Micros::from_secs_f64(seconds)),
            ..Step::new(id, work)
        }
    }

    /// A workflow of these steps without agents.
    pub(crate) fn workflow(steps: Vec<Step>) -> Workflow {
        Workflow::new("test", Vec::new(), steps)
    }

    #[test]
    fn a_diamond_has_its_levels_critical_path_and_slack() {
        let steps = vec![step("a", &[], 2.0), step("b", &[0], 4.0), step("c", &[0], 3.0), step("d", &[1, 2], 1.0)];
        let shape = shape(&workflow(steps));
        assert_eq!(shape.level, [0, 1, 1, 2]);
        assert_eq!(shape.critical_path, [StepId(0), StepId(1), StepId(3)]);
        assert_eq!(shape.critical_path_time, Micros::from_secs(7));
        assert_eq!(shape.slack.iter().map(|s| s.as_millis()).collect::<Vec<_>>(), [0, 0, 1_000, 0]);
    }

    #[test]
    fn the_order_of_the_file_stands_wherever_needs_allow() {
        let steps = vec![step("late", &[2], 1.0), step("b", &[], 1.0), step("c", &[], 1.0), step("d", &[1], 1.0)];
        assert_eq!(shape(&workflow(steps)).order, [StepId(1), StepId(2), StepId(0), StepId(3)]);
    }
}
