//! The graph as ordering, placing and routing see it: every edge cut into segments between neighbouring ranks.
//! Where an edge passes a rank it has a vertex of its own (a dummy), or shares one with edges of the same source.

use super::incidence::Incidence;

/// A piece of one or more edges between two neighbouring ranks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    /// Vertex in the lower rank.
    pub u: u32,
    /// Vertex in the next rank.
    pub v: u32,
    /// How many edges run through it.
    pub weight: u32,
}

/// A graph in which every segment joins neighbouring ranks. Vertices below `nodes` are nodes, the others dummies.
#[derive(Clone, Debug, Default)]
pub(crate) struct Layered {
    /// How many vertices are nodes.
    pub nodes: usize,
    /// Rank of every vertex.
    pub rank: Vec<u32>,
    /// All segments, by the rank of `u`, then as built.
    pub segments: Vec<Segment>,
    /// Where the path of each edge begins in `path`; one more entry than edges.
    pub path_start: Vec<u32>,
    /// Segments of every edge, from source to target.
    pub path: Vec<u32>,
}

/// How edges that pass a rank share vertices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sharing {
    /// Every edge has its own.
    Apart,
    /// Edges of one source share one until each leaves for its target.
    BySource,
    /// Edges to one target share one from where each joins.
    ByTarget,
}

impl Layered {
    /// Cuts the edges into segments.
    pub(crate) fn new(node_rank: &[u32], edges: &[(u32, u32)], sharing: Sharing) -> Self {
        if sharing == Sharing::ByTarget {
            let last = node_rank.iter().copied().max().unwrap_or(0);
            let mirrored: Vec<u32> = node_rank.iter().map(|r| last - r).collect();
            let back: Vec<(u32, u32)> = edges.iter().map(|(u, v)| (*v, *u)).collect();
            return Self::new(&mirrored, &back, Sharing::BySource).mirrored(last);
        }
        let mut build = Builder { rank: node_rank.to_vec(), links: Vec::new(), start: vec![0], path: Vec::new() };
        let bound = node_rank.len();
        let mut routes: Vec<Vec<u32>> = vec![Vec::new(); edges.len()];
        let out = Incidence::new(bound, edges, |e| e.0);
        for u in 0..bound {
            let mut mine: Vec<u32> = out.of(u).to_vec();
            mine.sort_by_key(|e| (node_rank[edges[*e as usize].1 as usize], edges[*e as usize].1, *e));
            build.source(u as u32, &mine, edges, &mut routes, sharing);
        }
        for route in routes {
            build.path.extend_from_slice(&route);
            build.start.push(build.path.len() as u32);
        }
        build.finish(bound)
    }

    /// The same graph with its flow turned round.
    fn mirrored(self, last: u32) -> Self {
        let rank = self.rank.iter().map(|r| last - r).collect();
        let links = self.segments.iter().map(|s| (s.v, s.u)).collect();
        let mut path = self.path;
        for ends in self.path_start.windows(2) {
            path[ends[0] as usize..ends[1] as usize].reverse();
        }
        Builder { rank, links, start: self.path_start, path }.finish(self.nodes)
    }

    /// The path of an edge as segment indices; empty for a self loop.
    pub(crate) fn path_of(&self, edge: usize) -> &[u32] {
        &self.path[self.path_start[edge] as usize..self.path_start[edge + 1] as usize]
    }

    /// How many ranks there are.
    pub(crate) fn depth(&self) -> usize {
        self.rank.iter().max().map_or(0, |r| *r as usize + 1)
    }

    /// Whether a vertex stands for a passing edge.
    pub(crate) fn is_dummy(&self, vertex: u32) -> bool {
        vertex as usize >= self.nodes
    }

    /// Segments leaving (`down`) or entering each vertex.
    pub(crate) fn incidence(&self, down: bool) -> Incidence {
        let pairs: Vec<(u32, u32)> = self.segments.iter().map(|s| (s.u, s.v)).collect();
        Incidence::new(self.rank.len(), &pairs, |e| if down { e.0 } else { e.1 })
    }

    /// Merges dummies that stand side by side and carry edges of one source (from the source on) or of one target
    /// (up to the target). No crossing is gained or lost, because nothing stands between the merged ones.
    pub(crate) fn bundle(&self, ranks: &[Vec<u32>]) -> (Self, Vec<Vec<u32>>) {
        let ends = self.dummy_ends();
        let mut leader: Vec<u32> = (0..self.rank.len() as u32).collect();
        let mut single = vec![true; self.rank.len()];
        let (before, after) = self.chain();
        let pair = |w: &[u32]| (w[0], w[1], self.is_dummy(w[0]) && self.is_dummy(w[1]));
        for (a, b, dummies) in ranks.iter().flat_map(|row| row.windows(2)).map(pair) {
            if dummies && self.end(&ends, a).0 == self.end(&ends, b).0 {
                let joint = leader[before(a) as usize] == leader[before(b) as usize];
                if joint {
                    leader[b as usize] = leader[a as usize];
                    single[a as usize] = false;
                    single[b as usize] = false;
                }
            }
        }
        for (a, b, dummies) in ranks.iter().rev().flat_map(|row| row.windows(2)).map(pair) {
            if dummies && single[a as usize] && single[b as usize] && self.end(&ends, a).1 == self.end(&ends, b).1 {
                let joint = leader[after(a) as usize] == leader[after(b) as usize];
                if joint {
                    leader[b as usize] = leader[a as usize];
                }
            }
        }
        self.merged(ranks, &leader)
    }

    fn end(&self, ends: &[(u32, u32)], dummy: u32) -> (u32, u32) {
        ends[dummy as usize - self.nodes]
    }

    /// Source and target of the edge each dummy belongs to (any of its edges; built apart there is one).
    fn dummy_ends(&self) -> Vec<(u32, u32)> {
        let mut ends = vec![(u32::MAX, u32::MAX); self.rank.len() - self.nodes];
        for e in 0..self.path_start.len() - 1 {
            let path = self.path_of(e);
            if let (Some(first), Some(last)) = (path.first(), path.last()) {
                let pair = (self.segments[*first as usize].u, self.segments[*last as usize].v);
                for s in &path[1..] {
                    ends[self.segments[*s as usize].u as usize - self.nodes] = pair;
                }
            }
        }
        ends
    }

    /// For dummies: the vertex before and after on their edge.
    fn chain(&self) -> (impl Fn(u32) -> u32 + '_, impl Fn(u32) -> u32 + '_) {
        let into = self.incidence(false);
        let out = self.incidence(true);
        (
            move |v: u32| into.of(v as usize).first().map_or(v, |s| self.segments[*s as usize].u),
            move |v: u32| out.of(v as usize).first().map_or(v, |s| self.segments[*s as usize].v),
        )
    }

    fn merged(&self, ranks: &[Vec<u32>], leader: &[u32]) -> (Self, Vec<Vec<u32>>) {
        let mut name = vec![u32::MAX; self.rank.len()];
        let mut rank = Vec::new();
        for v in 0..self.rank.len() {
            if leader[v] as usize == v {
                name[v] = rank.len() as u32;
                rank.push(self.rank[v]);
            }
        }
        let renamed = |v: u32| name[leader[v as usize] as usize];
        let mut build = Builder { rank, links: Vec::new(), start: vec![0], path: Vec::new() };
        // Segments are merged where both ends are: sort once, then number the distinct pairs.
        let mut pairs: Vec<(u32, u32)> = self.segments.iter().map(|s| (renamed(s.u), renamed(s.v))).collect();
        let places = pairs.clone();
        pairs.sort_unstable();
        pairs.dedup();
        let number: Vec<u32> = places.iter().map(|p| pairs.binary_search(p).map_or(0, |i| i as u32)).collect();
        build.links = pairs;
        build.path = self.path.iter().map(|s| number[*s as usize]).collect();
        build.start.clone_from(&self.path_start);
        let order = ranks
            .iter()
            .map(|row| row.iter().filter(|v| leader[**v as usize] == **v).map(|v| name[*v as usize]).collect())
            .collect();
        (build.finish(self.nodes), order)
    }
}

struct Builder {
    rank: Vec<u32>,
    links: Vec<(u32, u32)>,
    start: Vec<u32>,
    path: Vec<u32>,
}

impl Builder {
    fn link(&mut self, u: u32, v: u32) -> u32 {
        self.links.push((u, v));
        self.links.len() as u32 - 1
    }

    fn dummy(&mut self, rank: u32) -> u32 {
        self.rank.push(rank);
        self.rank.len() as u32 - 1
    }

    /// Routes the edges of one source, nearest target first; duplicates follow the first.
    fn source(&mut self, u: u32, mine: &[u32], edges: &[(u32, u32)], routes: &mut [Vec<u32>], sharing: Sharing) {
        let mut trunk: Vec<u32> = Vec::new();
        let mut tip = u;
        let mut last: Option<u32> = None;
        for &e in mine {
            let v = edges[e as usize].1;
            if v == u {
                continue;
            }
            if let Some(twin) = last.filter(|l| edges[*l as usize].1 == v) {
                routes[e as usize] = routes[twin as usize].clone();
                continue;
            }
            last = Some(e);
            if sharing == Sharing::Apart {
                tip = u;
                trunk.clear();
            }
            for r in self.rank[tip as usize] + 1..self.rank[v as usize] {
                let next = self.dummy(r);
                trunk.push(self.link(tip, next));
                tip = next;
            }
            let exit = self.link(tip, v);
            routes[e as usize] = trunk.iter().copied().chain([exit]).collect();
        }
    }

    fn finish(self, nodes: usize) -> Layered {
        let mut by_rank: Vec<u32> = (0..self.links.len() as u32).collect();
        by_rank.sort_by_key(|s| self.rank[self.links[*s as usize].0 as usize]);
        let mut number = vec![0u32; by_rank.len()];
        for (i, s) in by_rank.iter().enumerate() {
            number[*s as usize] = i as u32;
        }
        let link = |s: &u32| self.links[*s as usize];
        let mut segments: Vec<Segment> =
            by_rank.iter().map(|s| Segment { u: link(s).0, v: link(s).1, weight: 0 }).collect();
        let path: Vec<u32> = self.path.iter().map(|s| number[*s as usize]).collect();
        for s in &path {
            segments[*s as usize].weight += 1;
        }
        Layered { nodes, rank: self.rank, segments, path_start: self.start, path }
    }
}

/// Place of every vertex in its rank.
pub(crate) fn places(vertices: usize, ranks: &[Vec<u32>]) -> Vec<u32> {
    let mut place = vec![0; vertices];
    for row in ranks {
        for (i, v) in row.iter().enumerate() {
            place[*v as usize] = i as u32;
        }
    }
    place
}
