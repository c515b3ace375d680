//! The neighbours of every vertex on one side of its rank.

use super::layered::Layered;

/// Neighbours of every vertex on one side, with weights.
pub(crate) struct Side {
    start: Vec<u32>,
    items: Vec<(u32, u32)>,
}

impl Side {
    /// The side below (`down`) or above.
    pub(crate) fn new(graph: &Layered, down: bool) -> Self {
        let incidence = graph.incidence(down);
        let mut side = Self { start: vec![0], items: Vec::with_capacity(graph.segments.len()) };
        for v in 0..graph.rank.len() {
            for s in incidence.of(v) {
                let segment = graph.segments[*s as usize];
                side.items.push((if down { segment.v } else { segment.u }, segment.weight));
            }
            side.start.push(side.items.len() as u32);
        }
        side
    }

    /// Neighbours and weights.
    pub(crate) fn of(&self, vertex: u32) -> &[(u32, u32)] {
        &self.items[self.start[vertex as usize] as usize..self.start[vertex as usize + 1] as usize]
    }
}
