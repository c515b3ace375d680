//! Barriers: steps that start together must not wait for each other on the way there.
//!
//! All members of a barrier are taken for one node of the graph. What then waits for itself, through needs and barriers
//! together, could never start.

use crate::model::step::Need;
use crate::spec::build_step::DraftStep;
use crate::spec::cycle::{NAMED_MAX, circle, knots};
use crate::spec::diagnostic::Code;
use crate::spec::faults::Faults;
use crate::spec::words::{clip, quote};
use std::collections::HashMap;

/// The most characters of a barrier's name within a circle.
const NAME_SHOWN: usize = 40;

/// Reports barriers of one step, and every circle of `needs`, which have none by themselves, with barriers.
pub(crate) fn report(steps: &[DraftStep], needs: &[Vec<Need>], faults: &mut Faults<'_>) {
    let graph = Graph::new(steps);
    for members in &graph.members {
        if let [only] = members[..]
            && let Some(name) = &steps[only].step.barrier
        {
            faults
                .warning(steps[only].places.barrier, Code::NoEffect, format!("nobody else waits at {}", quote(name)))
                .expected("another step with the same `barrier`");
        }
    }
    if graph.members.len() == steps.len() {
        return;
    }
    let edges = graph.edges(needs);
    let knots = knots(&edges);
    let mut knot_of = vec![usize::MAX; edges.len()];
    for (number, knot) in knots.iter().enumerate() {
        knot.iter().for_each(|&node| knot_of[node] = number);
    }
    for (number, knot) in knots.iter().enumerate() {
        graph.tell(steps, needs, &circle(&edges, &knot_of, number, knot[0]), faults);
    }
}

/// Steps as nodes, and barriers as nodes of several steps.
struct Graph {
    node_of: Vec<usize>,
    /// The steps of each node, by the place of the first in the file.
    members: Vec<Vec<usize>>,
}

impl Graph {
    fn new(steps: &[DraftStep]) -> Self {
        let mut members: Vec<Vec<usize>> = Vec::with_capacity(steps.len());
        let mut node_of = Vec::with_capacity(steps.len());
        let mut barriers: HashMap<&str, usize> = HashMap::new();
        for (at, draft) in steps.iter().enumerate() {
            let next = members.len();
            let node = draft.step.barrier.as_deref().map_or(next, |name| *barriers.entry(name).or_insert(next));
            if node == next {
                members.push(Vec::new());
            }
            members[node].push(at);
            node_of.push(node);
        }
        Self { node_of, members }
    }

    /// Which nodes each node needs.
    fn edges(&self, needs: &[Vec<Need>]) -> Vec<Vec<usize>> {
        let of = |members: &Vec<usize>| {
            members.iter().flat_map(|&step| &needs[step]).map(|need| self.node_of[need.step.index()]).collect()
        };
        self.members.iter().map(of).collect()
    }

    /// Reports one circle of nodes, each followed by one that needs it, as the steps and barriers it leads through.
    fn tell(&self, steps: &[DraftStep], needs: &[Vec<Need>], nodes: &[usize], faults: &mut Faults<'_>) {
        let following = nodes.iter().skip(1).chain(&nodes[..1]);
        let edges: Vec<(usize, usize)> =
            nodes.iter().zip(following).filter_map(|(&from, &to)| self.edge(needs, from, to)).collect();
        let name = |step: usize| &*steps[step].step.id;
        let mut shown = String::new();
        let mut joined = None;
        for (at, &(from, to)) in edges.iter().enumerate() {
            if at == 0 {
                shown += name(from);
            }
            let next = edges[(at + 1) % edges.len()].0;
            let barrier = steps[to].step.barrier.as_deref().filter(|_| to != next);
            joined = joined.or(barrier.map(|_| to));
            if at < NAMED_MAX {
                shown += &format!(" -> {}", name(to));
                shown += &barrier.map_or(String::new(), |it| format!(" ~{}~ {}", clip(it, NAME_SHOWN), name(next)));
            }
        }
        if edges.len() > NAMED_MAX {
            shown += &format!(" -> … ({} needs in all)", edges.len());
        }
        let Some(place) = joined.map(|step| steps[step].places.barrier) else { return };
        faults
            .error(place, Code::Deadlock, format!("these steps would wait for each other at a barrier: {shown}"))
            .expected("no way from one step of a barrier to another; `->` leads to a step that needs the one before it, `~NAME~` to one of the same barrier");
    }

    /// A need that leads from a step of one node to a step of another.
    fn edge(&self, needs: &[Vec<Need>], from: usize, to: usize) -> Option<(usize, usize)> {
        self.members[to].iter().find_map(|&step| {
            let need = needs[step].iter().find(|need| self.node_of[need.step.index()] == from)?;
            Some((need.step.index(), step))
        })
    }
}
