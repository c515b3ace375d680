//! Moving from node to node the way the picture reads: along edges with the flow, along the rank across it.

use super::drawing::{Layout, Point};
use super::input::Direction;

/// Where to go on the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// To the left.
    Left,
    /// To the right.
    Right,
    /// Upwards.
    Up,
    /// Downwards.
    Down,
}

impl Layout {
    /// The node to move to from `node`; with the flow along edges to the nearest neighbour, across it within the rank.
    #[must_use]
    pub fn neighbour(&self, node: u32, step: Step) -> Option<u32> {
        let flat = self.direction == Direction::LeftToRight;
        match (step, flat) {
            (Step::Left, true) | (Step::Up, false) => self.nearest(node, &self.sources_of(node)),
            (Step::Right, true) | (Step::Down, false) => self.nearest(node, &self.targets_of(node)),
            (Step::Up, true) | (Step::Left, false) => self.beside(node, false),
            (Step::Down, true) | (Step::Right, false) => self.beside(node, true),
        }
    }

    /// Nodes that `node` waits for, as drawn: top to bottom, or left to right.
    #[must_use]
    pub fn sources_of(&self, node: u32) -> Vec<u32> {
        self.sorted(self.index.sources(node))
    }

    /// Nodes that wait for `node`, as drawn.
    #[must_use]
    pub fn targets_of(&self, node: u32) -> Vec<u32> {
        self.sorted(self.index.targets(node))
    }

    fn sorted(&self, list: &[u32]) -> Vec<u32> {
        let mut list = list.to_vec();
        list.sort_by_key(|v| (self.centre[*v as usize], self.nodes[*v as usize].rank, *v));
        list.dedup();
        list
    }

    fn nearest(&self, node: u32, list: &[u32]) -> Option<u32> {
        let here = *self.centre.get(node as usize)?;
        let rank = i64::from(self.nodes.get(node as usize)?.rank);
        let away = |v: u32| {
            let ranks = (i64::from(self.nodes[v as usize].rank) - rank).abs();
            ((self.centre[v as usize] - here).abs(), ranks, v)
        };
        list.iter().copied().min_by_key(|v| away(*v))
    }

    fn beside(&self, node: u32, after: bool) -> Option<u32> {
        let placed = self.nodes.get(node as usize)?;
        let row = &self.order[placed.rank as usize];
        let at = placed.cross as usize;
        let mut onward = row[at + 1..].iter();
        let mut back = row[..at].iter().rev();
        let node = |v: &&u32| !self.graph.is_dummy(**v);
        if after { onward.find(node) } else { back.find(node) }.copied()
    }

    /// The node whose box holds a cell.
    #[must_use]
    pub fn node_at(&self, cell: Point) -> Option<u32> {
        let (along, across) = match self.direction {
            Direction::LeftToRight => (cell.x, cell.y),
            Direction::TopToBottom => (cell.y, cell.x),
        };
        let rank = self.rank_start.partition_point(|s| *s <= along).checked_sub(1)?;
        let row = &self.order[rank];
        let near = row.partition_point(|v| self.centre[*v as usize] < across);
        // The box whose centre is next on either side, passing lines aside.
        let before = row[..near].iter().rev().find(|v| !self.graph.is_dummy(**v));
        let after = row[near..].iter().find(|v| !self.graph.is_dummy(**v));
        before.into_iter().chain(after).copied().find(|v| self.nodes[*v as usize].area.contains(cell))
    }

    /// Nodes whose boxes touch a part of the picture, by rank, then as drawn.
    #[must_use]
    pub fn nodes_in(&self, view: super::drawing::Area) -> Vec<u32> {
        let flat = self.direction == Direction::LeftToRight;
        let (from, to) = if flat { (view.x, view.x + view.w) } else { (view.y, view.y + view.h) };
        let (low, high) = if flat { (view.y, view.y + view.h) } else { (view.x, view.x + view.w) };
        let first = self.rank_start.partition_point(|s| *s <= from).saturating_sub(1);
        let mut seen = Vec::new();
        for (rank, row) in self.order.iter().enumerate().skip(first) {
            if self.rank_start[rank] >= to {
                break;
            }
            // Boxes reach beyond their centres; the widest of the input bounds how far.
            let start = row.partition_point(|v| self.centre[*v as usize] < low - self.reach);
            let near = row[start..].iter().take_while(|v| self.centre[**v as usize] <= high + self.reach);
            seen.extend(near.filter(|v| self.nodes.get(**v as usize).is_some_and(|n| n.area.meets(&view))));
        }
        seen
    }
}
