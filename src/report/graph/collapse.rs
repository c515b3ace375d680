//! Folding: many nodes that play the same part become one. Declared groups first; then nodes of one kind at one depth
//! whose neighbours play the same parts (colour refinement); as a last resort all of one kind at one depth.
//! Folded graphs have no cycle: a class stands at one depth, and a group that would close a cycle stays open.

use super::incidence::Incidence;
use super::input::{GraphInput, GraphNode};
use std::collections::BTreeMap;

/// A folded graph and who is in each of its nodes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Folded {
    /// The smaller graph; boxes keep the size of their first member.
    pub graph: GraphInput,
    /// Members of every node, in the order of the input.
    pub members: Vec<Vec<u32>>,
    /// The node that each input node went into.
    pub node_of: Vec<u32>,
}

/// Rounds of refinement; real graphs settle in a few.
const ROUNDS_MOST: usize = 64;

/// Folds classes of at least `least` members; where more than `most` nodes remain, by kind and depth.
#[must_use]
pub fn collapse(input: &GraphInput, least: usize, most: usize) -> Folded {
    let grouped = by_groups(input);
    let depth = depths(&grouped.graph);
    let fine = refine(&grouped.graph, &depth);
    let mut folded = compose(&grouped, fold(&grouped.graph, &fine, least));
    if folded.graph.nodes.len() > most {
        let coarse = number(grouped.graph.nodes.iter().zip(&depth).map(|(n, d)| (n.kind.clone(), n.group.clone(), *d)));
        folded = compose(&grouped, fold(&grouped.graph, &coarse, 2));
    }
    for (node, members) in folded.graph.nodes.iter_mut().zip(&folded.members) {
        if members.len() > 1 {
            let first = &input.nodes[members[0] as usize];
            let of_group = first
                .group
                .as_ref()
                .filter(|g| members.iter().all(|m| input.nodes[*m as usize].group.as_ref() == Some(g)));
            let name = of_group.unwrap_or(if first.kind.is_empty() { &first.label } else { &first.kind });
            node.label = format!("{name} ×{}", members.len());
        }
    }
    folded
}

/// Numbers keys by first appearance.
fn number<K: Ord>(keys: impl Iterator<Item = K>) -> Vec<u32> {
    let mut known = BTreeMap::new();
    keys.map(|k| {
        let next = known.len() as u32;
        *known.entry(k).or_insert(next)
    })
    .collect()
}

/// Folds every declared group that does not close a cycle.
fn by_groups(input: &GraphInput) -> Folded {
    let mut open: Vec<bool> = input.nodes.iter().map(|n| n.group.is_none()).collect();
    loop {
        let class = number(
            input.nodes.iter().enumerate().map(|(i, n)| if open[i] { (None, i) } else { (n.group.as_deref(), 0) }),
        );
        let folded = fold(input, &class, 1);
        let stuck = in_cycles(&folded.graph);
        let mut changed = false;
        for (v, node) in folded.node_of.iter().enumerate() {
            if stuck[*node as usize] && !open[v] {
                open[v] = true;
                changed = true;
            }
        }
        if !changed {
            return folded;
        }
    }
}

/// Nodes on or behind a cycle and before none that is free: what peeling from both ends leaves.
fn in_cycles(graph: &GraphInput) -> Vec<bool> {
    let nodes = graph.nodes.len();
    let mut left = vec![true; nodes];
    for forward in [true, false] {
        let ahead = Incidence::new(nodes, &graph.edges, |e| if forward { e.0 } else { e.1 });
        let mut waits = vec![0u32; nodes];
        for (u, v) in &graph.edges {
            if left[*u as usize] && left[*v as usize] {
                waits[if forward { *v } else { *u } as usize] += 1;
            }
        }
        let mut line: Vec<usize> = (0..nodes).filter(|v| left[*v] && waits[*v] == 0).collect();
        while let Some(u) = line.pop() {
            left[u] = false;
            for e in ahead.of(u) {
                let (a, b) = graph.edges[*e as usize];
                let v = if forward { b } else { a } as usize;
                if left[v] {
                    waits[v] -= 1;
                    if waits[v] == 0 {
                        line.push(v);
                    }
                }
            }
        }
    }
    left
}

fn depths(graph: &GraphInput) -> Vec<u32> {
    super::rank::assign(graph.nodes.len(), &graph.edges, 0).depth
}

/// Splits classes until members of one class have the same classes before and after them.
fn refine(graph: &GraphInput, depth: &[u32]) -> Vec<u32> {
    let nodes = graph.nodes.len();
    let out = Incidence::new(nodes, &graph.edges, |e| e.0);
    let into = Incidence::new(nodes, &graph.edges, |e| e.1);
    let mut class = number(graph.nodes.iter().zip(depth).map(|(n, d)| (&n.kind, &n.group, *d)));
    let mut count = class.iter().max().map_or(0, |c| *c as usize + 1);
    for _ in 0..ROUNDS_MOST {
        let set = |list: &[u32], after: bool| {
            let mut set: Vec<u32> = list
                .iter()
                .map(|e| graph.edges[*e as usize])
                .map(|(u, v)| class[if after { v } else { u } as usize])
                .collect();
            set.sort_unstable();
            set.dedup();
            set
        };
        let next = number((0..nodes).map(|v| (class[v], set(into.of(v), false), set(out.of(v), true))));
        let now = next.iter().max().map_or(0, |c| *c as usize + 1);
        class = next;
        if now == count {
            break;
        }
        count = now;
    }
    class
}

/// One node per class of at least `least` members, the others as they are.
fn fold(input: &GraphInput, class: &[u32], least: usize) -> Folded {
    let mut size = vec![0usize; input.nodes.len()];
    for c in class {
        size[*c as usize] += 1;
    }
    let alone = |v: usize| size[class[v] as usize] < least;
    let node_of = number((0..input.nodes.len()).map(|v| if alone(v) { (1, v as u32) } else { (0, class[v]) }));
    let mut folded = Folded { node_of, ..Folded::default() };
    for (v, node) in folded.node_of.iter().enumerate() {
        if *node as usize == folded.members.len() {
            folded.members.push(Vec::new());
            folded.graph.nodes.push(GraphNode { ..input.nodes[v].clone() });
        }
        folded.members[*node as usize].push(v as u32);
    }
    let ends = |(u, v): &(u32, u32)| (folded.node_of[*u as usize], folded.node_of[*v as usize]);
    let mut edges: Vec<(u32, u32)> = input.edges.iter().map(ends).filter(|(u, v)| u != v).collect();
    edges.sort_unstable();
    edges.dedup();
    folded.graph.edges = edges;
    folded
}

/// A fold of a fold, in terms of the first input.
fn compose(first: &Folded, second: Folded) -> Folded {
    let node_of: Vec<u32> = first.node_of.iter().map(|n| second.node_of[*n as usize]).collect();
    let mut members = vec![Vec::new(); second.members.len()];
    for (v, node) in node_of.iter().enumerate() {
        members[*node as usize].push(v as u32);
    }
    Folded { graph: second.graph, members, node_of }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(kinds: &[&str], edges: &[(u32, u32)]) -> GraphInput {
        let node =
            |(i, k): (usize, &&str)| GraphNode { kind: (*k).to_owned(), ..GraphNode::new(&format!("n{i}"), 1, 1) };
        GraphInput { nodes: kinds.iter().enumerate().map(node).collect(), edges: edges.to_vec() }
    }

    #[test]
    fn parallel_chains_fold_into_one_chain() {
        let input = graph(&["s", "a", "b", "a", "b", "t"], &[(0, 1), (1, 2), (2, 5), (0, 3), (3, 4), (4, 5)]);
        let folded = collapse(&input, 2, 300);
        assert_eq!(folded.graph.edges, [(0, 1), (1, 2), (2, 3)]);
        assert_eq!(folded.graph.nodes[1].label, "a ×2");
        assert_eq!(folded.members[2], [2, 4]);
    }

    #[test]
    fn a_group_that_would_close_a_cycle_stays_open() {
        let mut input = graph(&["a", "b", "c"], &[(0, 1), (1, 2)]);
        for i in [0, 2] {
            input.nodes[i].group = Some("g".to_owned());
        }
        assert_eq!(collapse(&input, 2, 300).graph.nodes.len(), 3);
        input.nodes[1].group = Some("g".to_owned());
        assert_eq!(collapse(&input, 2, 300).graph.nodes[0].label, "g ×3");
    }

    #[test]
    fn where_too_many_remain_kind_and_depth_decide() {
        let input = graph(&["a", "a", "b", "c", "d"], &[(0, 2), (1, 3), (1, 4)]);
        assert_eq!(collapse(&input, 2, 300).graph.nodes.len(), 5);
        assert_eq!(collapse(&input, 2, 4).graph.nodes.len(), 4);
    }
}
