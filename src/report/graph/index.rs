//! Sorted views of a finished layout, so that painting and moving about cost only what they touch.

use super::incidence::Incidence;

/// What lets painting touch only what can be seen: per gap, segments sorted by the row they begin in. And who
/// is joined to whom, for moving about.
#[derive(Clone, Debug, Default)]
pub(crate) struct Index {
    gaps: Vec<Vec<Reach>>,
    sources: Neighbours,
    targets: Neighbours,
}

/// Neighbours of every node.
#[derive(Clone, Debug, Default)]
struct Neighbours {
    start: Vec<u32>,
    items: Vec<u32>,
}

impl Neighbours {
    fn new(nodes: usize, edges: &[(u32, u32)], forward: bool) -> Self {
        let list = Incidence::new(nodes, edges, |e| if forward { e.0 } else { e.1 });
        let mut all = Self { start: vec![0], items: Vec::with_capacity(edges.len()) };
        for v in 0..nodes {
            let ends = list.of(v).iter().map(|e| edges[*e as usize]).filter(|(a, b)| a != b);
            all.items.extend(ends.map(|(a, b)| if forward { b } else { a }));
            all.start.push(all.items.len() as u32);
        }
        all
    }

    fn of(&self, node: u32) -> &[u32] {
        let at = node as usize;
        match (self.start.get(at), self.start.get(at + 1)) {
            (Some(from), Some(to)) => &self.items[*from as usize..*to as usize],
            _ => &[],
        }
    }
}

/// The rows a segment touches.
#[derive(Clone, Copy, Debug)]
struct Reach {
    low: i32,
    high: i32,
    /// Greatest `high` up to here.
    furthest: i32,
    segment: u32,
}

impl Index {
    /// Sorts what a finished layout holds: for every segment, in order, the gap it lies in and its lowest and highest row.
    pub(crate) fn new(
        gaps: usize,
        nodes: usize,
        edges: &[(u32, u32)],
        reaches: impl Iterator<Item = (usize, i32, i32)>,
    ) -> Self {
        let mut gaps: Vec<Vec<Reach>> = vec![Vec::new(); gaps];
        for (segment, (gap, low, high)) in reaches.enumerate() {
            gaps[gap].push(Reach { low, high, furthest: high, segment: segment as u32 });
        }
        for gap in &mut gaps {
            gap.sort_by_key(|r| (r.low, r.segment));
            let mut furthest = i32::MIN;
            for reach in gap {
                furthest = furthest.max(reach.high);
                reach.furthest = furthest;
            }
        }
        Self { gaps, sources: Neighbours::new(nodes, edges, false), targets: Neighbours::new(nodes, edges, true) }
    }

    /// Sources of the edges into a node.
    pub(crate) fn sources(&self, node: u32) -> &[u32] {
        self.sources.of(node)
    }

    /// Targets of the edges out of a node.
    pub(crate) fn targets(&self, node: u32) -> &[u32] {
        self.targets.of(node)
    }

    /// Segments of a gap that touch rows `low..=high`.
    pub(crate) fn seen(&self, gap: usize, low: i32, high: i32) -> impl Iterator<Item = u32> + '_ {
        let list: &[Reach] = self.gaps.get(gap).map_or(&[], Vec::as_slice);
        let end = list.partition_point(|r| r.low <= high);
        list[..end]
            .iter()
            .rev()
            .take_while(move |r| r.furthest >= low)
            .filter(move |r| r.high >= low)
            .map(|r| r.segment)
    }
}
