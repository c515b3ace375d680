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

/// Pairs `(a, b)`, `(c, d)` with `a < c` and `b > d`. Sorts its argument.
pub(crate) fn inversions(pairs: &mut [(u32, u32)], fenwick: &mut Fenwick) -> u64 {
    pairs.sort_unstable();
    let Some(most) = pairs.iter().map(|p| p.1).max() else { return 0 };
    if pairs.len() <= 12 {
        let crossed = |(i, p): (usize, &(u32, u32))| pairs[i + 1..].iter().filter(|q| q.0 > p.0 && q.1 < p.1).count();
        return pairs.iter().enumerate().map(|e| crossed(e) as u64).sum();
    }
    fenwick.reset(most as usize + 1);
    // Equal first places are sorted by the second, so they never count against each other.
    let mut total = 0;
    for (seen, p) in pairs.iter().enumerate() {
        total += seen as u64 - fenwick.up_to(p.1);
        fenwick.add(p.1, 1);
    }
    total
}

/// Crossings of the drawn edges, pairs that share an end left out. `place` is each vertex's place in its rank.
pub(crate) fn count(graph: &Layered, edges: &[(u32, u32)], place: &[u32]) -> u64 {
    let mut fenwick = Fenwick::default();
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
        total += inversions(&mut all, &mut fenwick);
        for end in [0, 1] {
            let mut by_end: Vec<(u32, u32)> = gap
                .iter()
                .map(|p| (if end == 0 { edges[p.2 as usize].0 } else { edges[p.2 as usize].1 }, p.1))
                .collect();
            by_end.sort_unstable();
            for related in by_end.chunk_by(|a, b| a.0 == b.0).filter(|c| c.len() > 1) {
                let mut pairs: Vec<(u32, u32)> = related.iter().map(|p| place_of(p.1)).collect();
                total -= inversions(&mut pairs, &mut fenwick);
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
            assert_eq!(inversions(&mut pairs, &mut Fenwick::default()), slow);
        }
    }
}
