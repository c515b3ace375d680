//! Ranks: which column (or row) each node stands in, so that every edge points forward and edges stay short.
//! Longest path gives a first answer; network simplex (`simplex`) makes the sum of spans least.

use super::incidence::Incidence;
use super::simplex;

/// Every edge in the direction it is laid out, and the rank of every node.
pub(crate) struct Ranking {
    /// Edges as laid out: the ones that closed a cycle are turned round; self loops stay as they are.
    pub edges: Vec<(u32, u32)>,
    /// Rank of every node, from 0.
    pub rank: Vec<u32>,
    /// Longest path from a source to every node.
    pub depth: Vec<u32>,
}

/// Ranks the nodes; `budget` bounds the work of the network simplex.
pub(crate) fn assign(nodes: usize, edges: &[(u32, u32)], budget: u64) -> Ranking {
    let (mut rank, edges) = longest_path(nodes, edges);
    let mut proper: Vec<(u32, u32)> = edges.iter().copied().filter(|(u, v)| u != v).collect();
    proper.sort_unstable();
    proper.dedup();
    let whole = |ranks: &[i32]| ranks.iter().map(|r| u32::try_from(*r).unwrap_or(0)).collect();
    let depth = whole(&rank);
    simplex::shorten(&mut rank, &proper, budget);
    balance(&mut rank, &proper);
    Ranking { edges, rank: whole(&rank), depth }
}

/// Longest-path ranks. Should a cycle be there after all, the edges into its first node are turned round.
fn longest_path(nodes: usize, edges: &[(u32, u32)]) -> (Vec<i32>, Vec<(u32, u32)>) {
    let mut edges = edges.to_vec();
    let out = Incidence::new(nodes, &edges, |e| e.0);
    let into = Incidence::new(nodes, &edges, |e| e.1);
    let mut waits: Vec<u32> = vec![0; nodes];
    for (u, v) in edges.iter().filter(|(u, v)| u != v) {
        let _ = u;
        waits[*v as usize] += 1;
    }
    let mut rank = vec![0i32; nodes];
    let mut placed = vec![false; nodes];
    let mut queue: Vec<u32> = (0..nodes as u32).filter(|v| waits[*v as usize] == 0).collect();
    let (mut next, mut scan) = (0, 0);
    for _ in 0..nodes {
        if next == queue.len() {
            while placed[scan] {
                scan += 1;
            }
            queue.push(scan as u32);
        }
        let u = queue[next] as usize;
        next += 1;
        placed[u] = true;
        for &e in into.of(u) {
            let (a, b) = edges[e as usize];
            if a != b && !placed[a as usize] {
                edges[e as usize] = (b, a);
                rank[a as usize] = rank[a as usize].max(rank[u] + 1);
            }
        }
        for &e in out.of(u) {
            let (a, v) = (edges[e as usize].0 as usize, edges[e as usize].1 as usize);
            if a != u || placed[v] {
                continue;
            }
            rank[v] = rank[v].max(rank[u] + 1);
            waits[v] -= 1;
            if waits[v] == 0 {
                queue.push(v as u32);
            }
        }
    }
    (rank, edges)
}

/// Nodes with as many edges in as out may stand anywhere between their neighbours at no cost: even out the ranks.
fn balance(rank: &mut [i32], edges: &[(u32, u32)]) {
    let nodes = rank.len();
    let out = Incidence::new(nodes, edges, |e| e.0);
    let into = Incidence::new(nodes, edges, |e| e.1);
    let depth = rank.iter().max().map_or(0, |r| *r as usize + 1);
    let mut crowd = vec![0u32; depth];
    for r in rank.iter() {
        crowd[*r as usize] += 1;
    }
    let mut steps = 64 * (nodes as i64 + 64);
    for v in 0..nodes {
        let (ins, outs) = (into.of(v), out.of(v));
        if ins.is_empty() || ins.len() != outs.len() || steps < 0 {
            continue;
        }
        let low = ins.iter().map(|e| rank[edges[*e as usize].0 as usize] + 1).max().unwrap_or(0);
        let high = outs.iter().map(|e| rank[edges[*e as usize].1 as usize] - 1).min().unwrap_or(low);
        steps -= i64::from(high - low);
        let best = (low..=high).min_by_key(|r| (crowd[*r as usize] + u32::from(*r != rank[v]), *r)).unwrap_or(rank[v]);
        crowd[rank[v] as usize] -= 1;
        crowd[best as usize] += 1;
        rank[v] = best;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_takes_one_rank_each() {
        assert_eq!(assign(4, &[(2, 3), (0, 1), (1, 2)], 1000).rank, [0, 1, 2, 3]);
    }

    #[test]
    fn a_late_source_stands_next_to_its_only_reader() {
        let ranking = assign(5, &[(0, 1), (1, 2), (2, 3), (4, 3)], 1000);
        assert_eq!(ranking.rank, [0, 1, 2, 3, 2]);
    }

    #[test]
    fn a_cycle_is_broken_instead_of_hanging() {
        let ranking = assign(3, &[(0, 1), (1, 2), (2, 0), (1, 1)], 1000);
        for (u, v) in ranking.edges.iter().filter(|(u, v)| u != v) {
            assert!(ranking.rank[*u as usize] < ranking.rank[*v as usize]);
        }
    }

    #[test]
    fn every_component_begins_at_rank_zero() {
        let ranking = assign(5, &[(0, 1), (2, 3)], 1000);
        assert_eq!(ranking.rank, [0, 1, 0, 1, 0]);
    }
}
