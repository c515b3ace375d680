//! One rank under local search: exchanging neighbours, and sifting a vertex to its best place, both against the two
//! ranks beside it at once. Places of the neighbours are read once, because only this rank moves.

use super::side::Side;

/// A rank and where its neighbours stand.
pub(crate) struct Row {
    /// Current order, as indices into the first order.
    order: Vec<u32>,
    names: Vec<u32>,
    /// For each vertex and side: the part of `spots` that is its own.
    bounds: Vec<(u32, u32, u32)>,
    /// Places and weights of neighbours, sorted by place.
    spots: Vec<(u32, u32)>,
    /// Operations spent.
    pub work: u64,
}

impl Row {
    /// Reads the places of all neighbours.
    pub(crate) fn new(row: &[u32], up: &Side, down: &Side, place: &[u32]) -> Self {
        let mut view = Self {
            order: (0..row.len() as u32).collect(),
            names: row.to_vec(),
            bounds: Vec::with_capacity(row.len()),
            spots: Vec::new(),
            work: row.len() as u64,
        };
        for v in row {
            let begin = view.spots.len();
            view.gather(up.of(*v), place);
            let middle = view.spots.len();
            view.gather(down.of(*v), place);
            view.bounds.push((begin as u32, middle as u32, view.spots.len() as u32));
        }
        view.work += view.spots.len() as u64 * 3;
        view
    }

    fn gather(&mut self, neighbours: &[(u32, u32)], place: &[u32]) {
        let from = self.spots.len();
        self.spots.extend(neighbours.iter().map(|n| (place[n.0 as usize], n.1)));
        self.spots[from..].sort_unstable();
    }

    /// Crossings between the edges of `a` and `b` with `a` before `b`, less those with `b` before `a`.
    fn gain(&mut self, a: u32, b: u32) -> i64 {
        let (x, y) = (self.bounds[a as usize], self.bounds[b as usize]);
        self.work += u64::from(x.2 - x.0 + y.2 - y.0) + 2;
        let part = |from: u32, to: u32| &self.spots[from as usize..to as usize];
        difference(part(x.0, x.1), part(y.0, y.1)) + difference(part(x.1, x.2), part(y.1, y.2))
    }

    /// Exchanges neighbours in the row while that helps; `flip` exchanges them once where it makes no difference.
    pub(crate) fn switch(&mut self, flip: bool, budget: u64) {
        let mut flip = flip;
        loop {
            let mut better = false;
            let mut i = 1;
            while i < self.order.len() {
                let gain = self.gain(self.order[i - 1], self.order[i]);
                if gain > 0 || flip && gain == 0 {
                    self.order.swap(i - 1, i);
                    better |= gain > 0;
                }
                i += 1;
            }
            flip = false;
            if !better || self.work >= budget {
                return;
            }
        }
    }

    /// Moves every vertex to its best place, one after the other; returns the crossings saved.
    pub(crate) fn sift(&mut self, budget: u64) -> u64 {
        let mut saved = 0;
        for v in 0..self.order.len() as u32 {
            if self.work >= budget {
                break;
            }
            let Some(at) = self.order.iter().position(|o| *o == v) else { continue };
            let (mut best, mut target) = (0, at);
            let mut sum = 0;
            for i in (0..at).rev() {
                sum += self.gain(self.order[i], v);
                if sum > best {
                    (best, target) = (sum, i);
                }
            }
            sum = 0;
            for i in at + 1..self.order.len() {
                sum += self.gain(v, self.order[i]);
                if sum > best {
                    (best, target) = (sum, i);
                }
            }
            if target < at {
                self.order[target..=at].rotate_right(1);
            } else {
                self.order[at..=target].rotate_left(1);
            }
            saved += best.unsigned_abs();
        }
        saved
    }

    /// Writes the order back.
    pub(crate) fn write(&self, row: &mut [u32]) {
        for (slot, o) in row.iter_mut().zip(&self.order) {
            *slot = self.names[*o as usize];
        }
    }
}

/// Inversions with `a` first less inversions with `b` first, both sorted by place.
fn difference(a: &[(u32, u32)], b: &[(u32, u32)]) -> i64 {
    let total: i64 = b.iter().map(|q| i64::from(q.1)).sum();
    let (mut less, mut i) = (0i64, 0);
    let mut sum = 0;
    for (p, w) in a {
        while i < b.len() && b[i].0 < *p {
            less += i64::from(b[i].1);
            i += 1;
        }
        let mut equal = 0;
        let mut j = i;
        while j < b.len() && b[j].0 == *p {
            equal += i64::from(b[j].1);
            j += 1;
        }
        sum += i64::from(*w) * (less - (total - less - equal));
    }
    sum
}
