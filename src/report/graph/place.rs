//! Places across the ranks, in whole cells: Brandes and Köpf's four alignments, each packed as a graph of blocks
//! (which avoids the shifting step of the paper and its known error), then the mean of the middle two.
//! Long edges come out straight, boxes never overlap, and order is kept.

use super::incidence::Incidence;
use super::layered::{Layered, Segment};

/// What placing needs to know besides the graph.
pub(crate) struct Extents<'a> {
    /// Cells each vertex takes across its rank.
    pub size: &'a [u32],
    /// Free cells between two nodes.
    pub node_gap: u32,
    /// Free cells between a line and its neighbour.
    pub line_gap: u32,
}

/// The centre cell of every vertex, from 0.
pub(crate) fn centres(graph: &Layered, ranks: &[Vec<u32>], place: &[u32], extents: &Extents<'_>) -> Vec<i32> {
    let work = Placing {
        graph,
        ranks,
        place,
        extents,
        crossed: crossed(graph, place),
        up: graph.incidence(false),
        down: graph.incidence(true),
    };
    let mut four: Vec<Vec<i32>> = Vec::with_capacity(4);
    for forward in [true, false] {
        for left in [true, false] {
            let root = work.align(forward, left);
            four.push(work.pack(&root, left));
        }
    }
    let widths: Vec<i32> = four.iter().map(|xs| spread(xs).1 - spread(xs).0).collect();
    let narrowest = (0..4).min_by_key(|i| widths[*i]).unwrap_or(0);
    let (low, high) = spread(&four[narrowest]);
    for (i, xs) in four.iter_mut().enumerate() {
        let (own_low, own_high) = spread(xs);
        let shift = if i % 2 == 0 { low - own_low } else { high - own_high };
        xs.iter_mut().for_each(|x| *x += shift);
    }
    let mut centre: Vec<i32> = (0..graph.rank.len())
        .map(|v| {
            let mut xs = [four[0][v], four[1][v], four[2][v], four[3][v]];
            xs.sort_unstable();
            (xs[1] + xs[2]).div_euclid(2)
        })
        .collect();
    let least = (0..centre.len()).map(|v| centre[v] - work.before(v as u32)).min().unwrap_or(0);
    centre.iter_mut().for_each(|c| *c -= least);
    centre
}

fn spread(xs: &[i32]) -> (i32, i32) {
    (xs.iter().copied().min().unwrap_or(0), xs.iter().copied().max().unwrap_or(0))
}

/// Segments that cross an inner piece of a long edge; they give way so that the long edge stays straight.
fn crossed(graph: &Layered, place: &[u32]) -> Vec<bool> {
    let mut crossed = vec![false; graph.segments.len()];
    let inner = |s: &Segment| graph.is_dummy(s.u) && graph.is_dummy(s.v);
    let mut from = 0;
    for gap in graph.segments.chunk_by(|a, b| graph.rank[a.u as usize] == graph.rank[b.u as usize]) {
        let mut by_place: Vec<u32> = (from as u32..(from + gap.len()) as u32).collect();
        from += gap.len();
        let ends = |s: u32| {
            let segment = graph.segments[s as usize];
            (place[segment.u as usize], place[segment.v as usize])
        };
        by_place.sort_unstable_by_key(|s| ends(*s));
        for forward in [true, false] {
            // Forward: the furthest inner end seen at strictly smaller places; backward: the nearest at greater ones.
            let (mut settled, mut pending): (Option<u32>, Vec<(u32, u32)>) = (None, Vec::new());
            let count = by_place.len();
            for i in 0..count {
                let s = by_place[if forward { i } else { count - 1 - i }];
                let (a, b) = ends(s);
                while pending.last().is_some_and(|p| p.0 != a) {
                    if let Some((_, d)) = pending.pop() {
                        settled = Some(settled.map_or(d, |x| if forward { x.max(d) } else { x.min(d) }));
                    }
                }
                let hit = settled.is_some_and(|d| if forward { d > b } else { d < b });
                if inner(&graph.segments[s as usize]) {
                    pending.push((a, b));
                } else if hit {
                    crossed[s as usize] = true;
                }
            }
        }
    }
    crossed
}

struct Placing<'a> {
    graph: &'a Layered,
    ranks: &'a [Vec<u32>],
    place: &'a [u32],
    extents: &'a Extents<'a>,
    crossed: Vec<bool>,
    up: Incidence,
    down: Incidence,
}

impl Placing<'_> {
    /// Cells of a vertex before its centre.
    fn before(&self, v: u32) -> i32 {
        (self.extents.size[v as usize] as i32 - 1) / 2
    }

    /// Cells from the centre of `u` to that of its right-hand neighbour `v`, at least.
    fn distance(&self, u: u32, v: u32) -> i32 {
        let gap = if self.graph.is_dummy(u) || self.graph.is_dummy(v) {
            self.extents.line_gap
        } else {
            self.extents.node_gap
        };
        let after = self.extents.size[u as usize] as i32 - 1 - self.before(u);
        after + 1 + gap as i32 + self.before(v)
    }

    /// Ties every vertex to the median of its neighbours behind where nothing is in the way; returns block roots.
    fn align(&self, forward: bool, left: bool) -> Vec<u32> {
        let mut root: Vec<u32> = (0..self.graph.rank.len() as u32).collect();
        let mut tied = vec![false; root.len()];
        let depth = self.ranks.len();
        let mut near: Vec<(u32, u32, bool)> = Vec::new();
        for step in 0..depth {
            let row = &self.ranks[if forward { step } else { depth - 1 - step }];
            let mut frontier: i64 = if left { -1 } else { i64::MAX };
            for i in 0..row.len() {
                let v = row[if left { i } else { row.len() - 1 - i }];
                let list = if forward { self.up.of(v as usize) } else { self.down.of(v as usize) };
                near.clear();
                near.extend(list.iter().map(|s| {
                    let segment = self.graph.segments[*s as usize];
                    let u = if forward { segment.u } else { segment.v };
                    (self.place[u as usize], u, self.crossed[*s as usize])
                }));
                near.sort_unstable();
                let Some(last) = near.len().checked_sub(1) else { continue };
                let medians = if left { [last / 2, last.div_ceil(2)] } else { [last.div_ceil(2), last / 2] };
                for m in medians {
                    let (place, u, blocked) = near[m];
                    let free = if left { frontier < i64::from(place) } else { frontier > i64::from(place) };
                    if !blocked && free && !tied[u as usize] {
                        root[v as usize] = root[u as usize];
                        tied[u as usize] = true;
                        frontier = i64::from(place);
                        break;
                    }
                }
            }
        }
        root
    }

    /// Packs blocks as close as order and sizes allow, then pulls each towards the block after it.
    fn pack(&self, root: &[u32], left: bool) -> Vec<i32> {
        let mut ties: Vec<(u32, u32)> = Vec::new();
        let mut gaps: Vec<i32> = Vec::new();
        for pair in self.ranks.iter().flat_map(|row| row.windows(2)) {
            let (a, b) = if left { (pair[0], pair[1]) } else { (pair[1], pair[0]) };
            ties.push((root[a as usize], root[b as usize]));
            gaps.push(self.distance(pair[0], pair[1]));
        }
        let out = Incidence::new(root.len(), &ties, |t| t.0);
        let mut waits = vec![0u32; root.len()];
        for t in &ties {
            waits[t.1 as usize] += 1;
        }
        let mut line: Vec<u32> =
            (0..root.len() as u32).filter(|v| root[*v as usize] == *v && waits[*v as usize] == 0).collect();
        let mut x = vec![0i32; root.len()];
        let mut i = 0;
        while i < line.len() {
            let v = line[i] as usize;
            for t in out.of(v) {
                let w = ties[*t as usize].1 as usize;
                x[w] = x[w].max(x[v] + gaps[*t as usize]);
                waits[w] -= 1;
                if waits[w] == 0 {
                    line.push(w as u32);
                }
            }
            i += 1;
        }
        for v in line.iter().rev() {
            let room = out.of(*v as usize).iter().map(|t| x[ties[*t as usize].1 as usize] - gaps[*t as usize]).min();
            if let Some(room) = room {
                x[*v as usize] = x[*v as usize].max(room);
            }
        }
        root.iter().map(|r| if left { x[*r as usize] } else { -x[*r as usize] }).collect()
    }
}
