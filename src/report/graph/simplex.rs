//! Network simplex for ranks (Gansner, Koutsofios, North, Vo 1993), with one short cut: for unit weights the cut
//! value of a tree edge is the sum of (out-degree − in-degree) over the subtree below it, so no cut value has to be
//! derived from others and membership is a walk, not a numbering. Work is bounded; what is reached then is feasible.

use super::incidence::Incidence;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

const NONE: u32 = u32::MAX;

/// Moves feasible ranks so that the sum of edge spans is least (or as small as `budget` allows); each component
/// begins at rank 0 afterwards. Edges must be free of self loops and duplicates.
pub(crate) fn shorten(rank: &mut [i32], edges: &[(u32, u32)], budget: u64) {
    let mut tree = Tree::new(rank, edges);
    tree.grow();
    tree.sum_up();
    tree.pivot(budget);
    tree.normalise();
}

struct Tree<'a> {
    rank: &'a mut [i32],
    edges: &'a [(u32, u32)],
    out: Incidence,
    into: Incidence,
    /// The tree edge towards the parent; `NONE` at the root of a component.
    above: Vec<u32>,
    /// Edges of the tree at each node.
    branches: Vec<Vec<u32>>,
    /// Sum of out-degree − in-degree over the subtree.
    supply: Vec<i64>,
    /// Nodes in the order they joined the tree: parents first.
    joined: Vec<u32>,
    component: Vec<u32>,
    mark: Vec<bool>,
}

impl<'a> Tree<'a> {
    fn new(rank: &'a mut [i32], edges: &'a [(u32, u32)]) -> Self {
        let nodes = rank.len();
        Self {
            out: Incidence::new(nodes, edges, |e| e.0),
            into: Incidence::new(nodes, edges, |e| e.1),
            above: vec![NONE; nodes],
            branches: vec![Vec::new(); nodes],
            supply: vec![0; nodes],
            joined: Vec::with_capacity(nodes),
            component: vec![NONE; nodes],
            mark: vec![false; nodes],
            rank,
            edges,
        }
    }

    fn other(&self, edge: u32, node: u32) -> u32 {
        let (u, v) = self.edges[edge as usize];
        if u == node { v } else { u }
    }

    fn slack(&self, edge: u32) -> i32 {
        let (u, v) = self.edges[edge as usize];
        self.rank[v as usize] - self.rank[u as usize] - 1
    }

    /// A spanning tree of tight edges per component: Prim's way, where the whole tree slides to meet the nearest
    /// outsider. `slide` is how far the tree has moved, so heap keys stay valid.
    fn grow(&mut self) {
        for root in 0..self.rank.len() as u32 {
            if self.component[root as usize] != NONE {
                continue;
            }
            let (mut slide, first) = (0i32, self.joined.len());
            let mut leaving: BinaryHeap<Reverse<(i32, u32)>> = BinaryHeap::new();
            let mut entering: BinaryHeap<Reverse<(i32, u32)>> = BinaryHeap::new();
            self.join(root, root, NONE, slide, &mut leaving, &mut entering);
            loop {
                while leaving.peek().is_some_and(|e| self.component[self.edges[e.0.1 as usize].1 as usize] == root) {
                    leaving.pop();
                }
                while entering.peek().is_some_and(|e| self.component[self.edges[e.0.1 as usize].0 as usize] == root) {
                    entering.pop();
                }
                let near = leaving.peek().map(|e| (e.0.0 - slide, e.0.1));
                let far = entering.peek().map(|e| (e.0.0 + slide, e.0.1));
                let forward = match (near, far) {
                    (None, None) => break,
                    (Some(a), Some(b)) => a.0 <= b.0,
                    (a, _) => a.is_some(),
                };
                let (slack, edge) = if forward { near } else { far }.unwrap_or_default();
                slide += if forward { slack } else { -slack };
                let (u, v) = self.edges[edge as usize];
                self.join(if forward { v } else { u }, root, edge, slide, &mut leaving, &mut entering);
            }
            for i in first..self.joined.len() {
                self.rank[self.joined[i] as usize] += slide;
            }
        }
    }

    fn join(
        &mut self,
        node: u32,
        root: u32,
        edge: u32,
        slide: i32,
        leaving: &mut BinaryHeap<Reverse<(i32, u32)>>,
        entering: &mut BinaryHeap<Reverse<(i32, u32)>>,
    ) {
        let n = node as usize;
        self.rank[n] -= slide;
        self.component[n] = root;
        self.above[n] = edge;
        self.joined.push(node);
        if edge != NONE {
            self.branches[n].push(edge);
            let parent = self.other(edge, node) as usize;
            self.branches[parent].push(edge);
        }
        for &e in self.out.of(n) {
            let v = self.edges[e as usize].1 as usize;
            if self.component[v] != root {
                leaving.push(Reverse((self.rank[v] - self.rank[n] - 1, e)));
            }
        }
        for &e in self.into.of(n) {
            let u = self.edges[e as usize].0 as usize;
            if self.component[u] != root {
                entering.push(Reverse((self.rank[n] - self.rank[u] - 1, e)));
            }
        }
    }

    fn sum_up(&mut self) {
        for v in 0..self.rank.len() {
            self.supply[v] = self.out.of(v).len() as i64 - self.into.of(v).len() as i64;
        }
        for i in (0..self.joined.len()).rev() {
            let v = self.joined[i];
            if self.above[v as usize] != NONE {
                let parent = self.other(self.above[v as usize], v) as usize;
                self.supply[parent] += self.supply[v as usize];
            }
        }
    }

    /// Negative where the sum of spans shrinks when the subtree of `v` lets go of its parent.
    fn cut(&self, v: u32) -> i64 {
        let edge = self.above[v as usize];
        match edge {
            NONE => 0,
            _ if self.edges[edge as usize].0 == v => self.supply[v as usize],
            _ => -self.supply[v as usize],
        }
    }

    fn pivot(&mut self, budget: u64) {
        let nodes = self.rank.len();
        let (mut work, mut at, mut idle) = (0u64, 0usize, 0usize);
        while work < budget && idle < nodes {
            let (mut best, mut worst, mut found) = (NONE, 0, 0);
            while idle < nodes && found < 20 {
                let cut = self.cut(at as u32);
                if cut < 0 {
                    found += 1;
                    if cut < worst {
                        (best, worst) = (at as u32, cut);
                    }
                }
                idle += 1;
                work += 1;
                at = (at + 1) % nodes;
            }
            if best != NONE {
                idle = 0;
                work += self.exchange(best);
            }
        }
    }

    /// Lets the subtree of `top` go and ties it where it meets the rest first. Returns the work done.
    fn exchange(&mut self, top: u32) -> u64 {
        let old = self.above[top as usize];
        let upward = self.edges[old as usize].0 == top;
        let mut inside = vec![top];
        self.mark[top as usize] = true;
        let (mut i, mut work) = (0, 0u64);
        while i < inside.len() {
            let v = inside[i];
            for b in 0..self.branches[v as usize].len() {
                let e = self.branches[v as usize][b];
                let w = self.other(e, v);
                if e != old && !self.mark[w as usize] {
                    self.mark[w as usize] = true;
                    inside.push(w);
                }
            }
            i += 1;
        }
        let mut enter: Option<(i32, u32)> = None;
        for &v in &inside {
            let list = if upward { self.into.of(v as usize) } else { self.out.of(v as usize) };
            work += list.len() as u64 + 1;
            for &e in list {
                if !self.mark[self.other(e, v) as usize] && e != old {
                    let key = (self.slack(e), e);
                    enter = Some(enter.map_or(key, |k| k.min(key)));
                }
            }
        }
        if let Some((slack, new)) = enter {
            let shift = if upward { -slack } else { slack };
            for &v in &inside {
                self.rank[v as usize] += shift;
            }
            work += self.retie(top, old, new);
        }
        for &v in &inside {
            self.mark[v as usize] = false;
        }
        work
    }

    fn retie(&mut self, top: u32, old: u32, new: u32) -> u64 {
        let (a, b) = self.edges[new as usize];
        let (inner, outer) = if self.mark[a as usize] { (a, b) } else { (b, a) };
        let whole = self.supply[top as usize];
        let mut work = self.add_upwards(self.other(old, top), -whole);
        self.branches[top as usize].retain(|e| *e != old);
        let parent = self.other(old, top) as usize;
        self.branches[parent].retain(|e| *e != old);
        self.branches[inner as usize].push(new);
        self.branches[outer as usize].push(new);
        // Turn the path from the new joint to the old one round.
        let (mut v, mut link, mut below) = (inner, new, 0i64);
        loop {
            let up = self.above[v as usize];
            let own = self.supply[v as usize];
            self.supply[v as usize] = whole - below;
            below = own;
            self.above[v as usize] = link;
            work += 1;
            if v == top {
                break;
            }
            link = up;
            v = self.other(up, v);
        }
        work += self.add_upwards(outer, whole);
        work
    }

    fn add_upwards(&mut self, from: u32, amount: i64) -> u64 {
        let (mut v, mut work) = (from, 1);
        loop {
            self.supply[v as usize] += amount;
            let up = self.above[v as usize];
            if up == NONE {
                return work;
            }
            v = self.other(up, v);
            work += 1;
        }
    }

    fn normalise(&mut self) {
        let mut least = vec![i32::MAX; self.rank.len()];
        for v in 0..self.rank.len() {
            let c = self.component[v] as usize;
            least[c] = least[c].min(self.rank[v]);
        }
        for v in 0..self.rank.len() {
            self.rank[v] -= least[self.component[v] as usize];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(rank: &[i32], edges: &[(u32, u32)]) -> i32 {
        edges.iter().map(|(u, v)| rank[*v as usize] - rank[*u as usize]).sum()
    }

    /// Tries every assignment of up to `depth` ranks.
    fn least_span(nodes: usize, edges: &[(u32, u32)], depth: i32) -> i32 {
        let mut best = i32::MAX;
        let mut rank = vec![0; nodes];
        loop {
            if edges.iter().all(|(u, v)| rank[*u as usize] < rank[*v as usize]) {
                best = best.min(span(&rank, edges));
            }
            let Some(i) = rank.iter().position(|r| *r + 1 < depth) else { return best };
            rank[i] += 1;
            rank[..i].fill(0);
        }
    }

    #[test]
    fn the_sum_of_spans_is_the_least_there_is() {
        let mut seed = 7u64;
        for _ in 0..40 {
            let mut edges = Vec::new();
            for u in 0..6u32 {
                for v in u + 1..6 {
                    seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    if (seed >> 33) % 5 < 2 {
                        edges.push((u, v));
                    }
                }
            }
            let mut rank: Vec<i32> = (0..6).collect();
            shorten(&mut rank, &edges, 1_000_000);
            assert!(edges.iter().all(|(u, v)| rank[*u as usize] < rank[*v as usize]));
            assert_eq!(span(&rank, &edges), least_span(6, &edges, 6), "{edges:?}");
        }
    }

    #[test]
    fn without_any_budget_the_ranks_are_still_feasible() {
        let edges = [(0, 3), (1, 3), (0, 4), (3, 5), (2, 5), (4, 5)];
        let mut rank = vec![0, 1, 2, 3, 4, 5];
        shorten(&mut rank, &edges, 0);
        assert!(edges.iter().all(|(u, v)| rank[*u as usize] < rank[*v as usize]));
    }
}
