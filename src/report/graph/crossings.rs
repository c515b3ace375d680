//! Counting crossings: inversions between neighbouring ranks, in O(E log V) with a Fenwick tree.

use super::layered::Layered;

/// Sums over prefixes, with updates.
#[derive(Default)]
pub(crate) struct Fenwick {
    sums: Vec<u64>,
}

impl Fenwick {
    /// Forgets everything and makes room for places `0..size`.
    pub(crate) fn reset(&mut self, size: usize) {
        self.sums.clear();
        self.sums.resize(size + 1, 0);
    }

    /// Adds `amount` at `place`.
    pub(crate) fn add(&mut self, place: u32, amount: u64) {
        let mut i = place as usize + 1;
        while i < self.sums.len() {
            self.sums[i] += amount;
            i += i & i.wrapping_neg();
        }
    }

    /// The sum over places up to and including `place`.
    pub(crate) fn up_to(&self, place: u32) -> u64 {
        let mut i = (place as usize + 1).min(self.sums.len() - 1);
        let mut sum = 0;
        while i > 0 {
            sum += self.sums[i];
            i &= i - 1;
        }
        sum
    }
}

/// Pairs `(a, b)`, `(c, d)` with `a < c` and `b > d`, by merging. Sorts its argument; `spare` is room to work in.
pub(crate) fn inversions(pairs: &mut [(u32, u32)], spare: &mut Vec<(u32, u32)>) -> u64 {
    // Equal first places are sorted by the second, so they never count against each other.
    pairs.sort_unstable();
    spare.clear();
    spare.extend_from_slice(pairs);
    let (mut from, mut to) = (pairs, spare.as_mut_slice());
    let (mut total, mut run) = (0, 1);
    while run < from.len() {
        for (a, b) in from.chunks(run * 2).zip(to.chunks_mut(run * 2)) {
            total += merge(a, run.min(a.len()), b);
        }
        std::mem::swap(&mut from, &mut to);
        run *= 2;
    }
    total
}

/// Merges the two sorted parts of `from` by the second place; returns how often the right part overtakes the left.
fn merge(from: &[(u32, u32)], middle: usize, to: &mut [(u32, u32)]) -> u64 {
    let (mut i, mut j, mut total) = (0, middle, 0);
    for slot in to {
        if j == from.len() || i < middle && from[i].1 <= from[j].1 {
            *slot = from[i];
            i += 1;
        } else {
            *slot = from[j];
            j += 1;
            total += (middle - i) as u64;
        }
    }
    total
}

/// Crossings of the drawn edges, pairs that share an end left out. `place` is each vertex's place in its rank.
pub(crate) fn count(graph: &Layered, edges: &[(u32, u32)], place: &[u32]) -> u64 {
    let mut spare = Vec::new();
    let mut pieces: Vec<(u32, u32, u32)> = Vec::with_capacity(graph.path.len());
    for e in 0..edges.len() {
        pieces.extend(
            graph.path_of(e).iter().map(|s| (graph.rank[graph.segments[*s as usize].u as usize], *s, e as u32)),
        );
    }
    pieces.sort_unstable();
    let mut total = 0;
    for gap in pieces.chunk_by(|a, b| a.0 == b.0) {
        let place_of = |s: u32| {
            let segment = graph.segments[s as usize];
            (place[segment.u as usize], place[segment.v as usize])
        };
        let mut all: Vec<(u32, u32)> = gap.iter().map(|p| place_of(p.1)).collect();
        total += inversions(&mut all, &mut spare);
        for end in [0, 1] {
            let mut by_end: Vec<(u32, u32)> = gap
                .iter()
                .map(|p| (if end == 0 { edges[p.2 as usize].0 } else { edges[p.2 as usize].1 }, p.1))
                .collect();
            by_end.sort_unstable();
            for related in by_end.chunk_by(|a, b| a.0 == b.0).filter(|c| c.len() > 1) {
                let mut pairs: Vec<(u32, u32)> = related.iter().map(|p| place_of(p.1)).collect();
                total -= inversions(&mut pairs, &mut spare);
            }
        }
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inversions_agree_with_counting_every_pair() {
        let mut seed = 3u64;
        for size in [0usize, 1, 5, 12, 13, 60] {
            let mut pairs: Vec<(u32, u32)> = Vec::new();
            for _ in 0..size {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(99);
                pairs.push(((seed >> 40) as u32 % 9, (seed >> 50) as u32 % 9));
            }
            let slow = pairs.iter().flat_map(|a| pairs.iter().map(move |b| (a, b)));
            let slow = slow.filter(|(a, b)| a.0 < b.0 && a.1 > b.1).count() as u64;
            assert_eq!(inversions(&mut pairs, &mut Vec::new()), slow);
        }
    }
}
