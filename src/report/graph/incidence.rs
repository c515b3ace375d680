//! Edges grouped by the node they touch.

/// Which edges touch a node: one flat list and where each node's part begins.
pub(crate) struct Incidence {
    start: Vec<u32>,
    items: Vec<u32>,
}

impl Incidence {
    /// Groups edge indices by the end that `end` picks.
    pub(crate) fn new(nodes: usize, edges: &[(u32, u32)], end: impl Fn(&(u32, u32)) -> u32) -> Self {
        let mut start = vec![0u32; nodes + 1];
        for e in edges {
            start[end(e) as usize + 1] += 1;
        }
        for i in 0..nodes {
            start[i + 1] += start[i];
        }
        let mut fill = start.clone();
        let mut items = vec![0u32; edges.len()];
        for (i, e) in edges.iter().enumerate() {
            let slot = &mut fill[end(e) as usize];
            items[*slot as usize] = i as u32;
            *slot += 1;
        }
        Self { start, items }
    }

    /// The edges at a node, in the order of the list.
    pub(crate) fn of(&self, node: usize) -> &[u32] {
        &self.items[self.start[node] as usize..self.start[node + 1] as usize]
    }
}
