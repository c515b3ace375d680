//! The finished layout: where every box stands and how every edge runs, in cells, with the origin top left.
//! Lines are kept as segments between ranks; whole polylines are put together when asked for.

use super::incidence::Incidence;
use super::index::Index;
use super::input::Direction;
use super::layered::Layered;
use super::route::Turn;

/// A cell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Point {
    /// Column.
    pub x: i32,
    /// Row.
    pub y: i32,
}

/// A rectangle of cells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Area {
    /// Leftmost column.
    pub x: i32,
    /// Topmost row.
    pub y: i32,
    /// Columns.
    pub w: i32,
    /// Rows.
    pub h: i32,
}

impl Area {
    /// Whether a cell lies inside.
    #[must_use]
    pub fn contains(&self, p: Point) -> bool {
        p.x >= self.x && p.y >= self.y && p.x < self.x + self.w && p.y < self.y + self.h
    }

    /// Whether two rectangles share a cell.
    #[must_use]
    pub fn meets(&self, other: &Self) -> bool {
        self.x < other.x + other.w
            && other.x < self.x + self.w
            && self.y < other.y + other.h
            && other.y < self.y + self.h
    }
}

/// Where a node stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Placed {
    /// Rank, from 0 along the edges.
    pub rank: u32,
    /// Place across, from 0, counted together with the lines that pass the rank.
    pub cross: u32,
    /// Its box.
    pub area: Area,
}

/// A layout: boxes, lines and the figures about them.
#[derive(Clone, Debug, Default)]
pub struct Layout {
    /// The way edges flow.
    pub direction: Direction,
    /// Every node, in the order of the input.
    pub nodes: Vec<Placed>,
    /// Columns in all.
    pub width: i32,
    /// Rows in all.
    pub height: i32,
    /// Crossings of edges that share no end.
    pub crossings: u64,
    /// Gaps in which lines of different sources had to share tracks.
    pub bundled_gaps: u32,
    /// Edges left undrawn, the longest ones, because passing every rank would take more room than there is
    /// (only in graphs far beyond what anybody could look at).
    pub undrawn_edges: u32,
    pub(crate) graph: Layered,
    pub(crate) edge_count: usize,
    /// Whether an edge is drawn from its target to its source (only where the input had a cycle).
    pub(crate) turned: Vec<bool>,
    /// Order in each rank, dummies included.
    pub(crate) order: Vec<Vec<u32>>,
    pub(crate) cross: Vec<u32>,
    /// Centre across, of every vertex.
    pub(crate) centre: Vec<i32>,
    /// First cell along of every rank; and of the gap after it.
    pub(crate) rank_start: Vec<i32>,
    pub(crate) gap_start: Vec<i32>,
    pub(crate) turns: Vec<Turn>,
    /// Edges through each segment.
    pub(crate) edges_of: SegmentEdges,
    pub(crate) index: Index,
    /// How far the largest box reaches from its centre, across.
    pub(crate) reach: i32,
}

/// Edges through each segment, as one flat list.
#[derive(Clone, Debug, Default)]
pub(crate) struct SegmentEdges {
    start: Vec<u32>,
    items: Vec<u32>,
}

impl SegmentEdges {
    pub(crate) fn new(graph: &Layered) -> Self {
        let edges = graph.path_start.len().saturating_sub(1);
        let pairs: Vec<(u32, u32)> =
            (0..edges).flat_map(|e| graph.path_of(e).iter().map(move |s| (*s, e as u32))).collect();
        let incidence = Incidence::new(graph.segments.len(), &pairs, |p| p.0);
        let mut all = Self { start: vec![0], items: Vec::with_capacity(pairs.len()) };
        for s in 0..graph.segments.len() {
            all.items.extend(incidence.of(s).iter().map(|i| pairs[*i as usize].1));
            all.start.push(all.items.len() as u32);
        }
        all
    }

    pub(crate) fn of(&self, segment: u32) -> &[u32] {
        &self.items[self.start[segment as usize] as usize..self.start[segment as usize + 1] as usize]
    }
}

impl Layout {
    /// A cell from its place along the flow and across it.
    pub(crate) fn point(&self, along: i32, across: i32) -> Point {
        match self.direction {
            Direction::LeftToRight => Point { x: along, y: across },
            Direction::TopToBottom => Point { x: across, y: along },
        }
    }

    /// The cell along the flow of a track in the gap after `rank`.
    pub(crate) fn track(&self, rank: u32, track: u32) -> i32 {
        let lead = match self.direction {
            Direction::LeftToRight => 1,
            Direction::TopToBottom => 0,
        };
        self.gap_start[rank as usize] + lead + track as i32
    }

    /// Where lines leave a vertex: the last cell of a box, or the first cell of the rank for a passing line.
    pub(crate) fn exit(&self, vertex: u32) -> i32 {
        match self.nodes.get(vertex as usize).map(|n| (n.area, self.direction)) {
            Some((area, Direction::LeftToRight)) => area.x + area.w - 1,
            Some((area, Direction::TopToBottom)) => area.y + area.h - 1,
            None => self.rank_start[self.graph.rank[vertex as usize] as usize],
        }
    }

    /// Where lines reach a vertex.
    pub(crate) fn entry(&self, vertex: u32) -> i32 {
        self.rank_start[self.graph.rank[vertex as usize] as usize]
    }

    /// The corners of one segment: (along, across), from its source vertex to its target vertex.
    pub(crate) fn corners(&self, segment: u32) -> ([(i32, i32); 6], usize) {
        let s = self.graph.segments[segment as usize];
        let (from, to) = (self.centre[s.u as usize], self.centre[s.v as usize]);
        let rank = self.graph.rank[s.u as usize];
        let (exit, entry) = ((self.exit(s.u), from), (self.entry(s.v), to));
        let turn = self.turns[segment as usize];
        let first = self.track(rank, turn.track);
        match turn.bend {
            None if from == to => ([exit, entry, entry, entry, entry, entry], 2),
            None => ([exit, (first, from), (first, to), entry, entry, entry], 4),
            Some((row, second)) => {
                let second = self.track(rank, second);
                ([exit, (first, from), (first, row), (second, row), (second, to), entry], 6)
            }
        }
    }

    /// How many edges there are.
    #[must_use]
    pub fn edge_count(&self) -> usize {
        self.edge_count
    }

    /// The places across at which an edge passes the ranks between its ends.
    pub fn via(&self, edge: usize) -> impl Iterator<Item = u32> + '_ {
        let path = self.graph.path_of(edge);
        path.iter().skip(1).map(|s| self.cross[self.graph.segments[*s as usize].u as usize])
    }

    /// The polyline of an edge, from the border of its source to that of its target. Empty for a self loop and for an undrawn edge.
    #[must_use]
    pub fn points(&self, edge: usize) -> Vec<Point> {
        let mut points: Vec<Point> = Vec::new();
        for s in self.graph.path_of(edge) {
            let (corners, count) = self.corners(*s);
            for (along, across) in &corners[..count] {
                let next = self.point(*along, *across);
                if points.last() == Some(&next) {
                    continue;
                }
                if let [.., a, b] = points[..]
                    && ((a.x == b.x && b.x == next.x) || (a.y == b.y && b.y == next.y))
                {
                    points.pop();
                }
                points.push(next);
            }
        }
        if self.turned[edge] {
            points.reverse();
        }
        points
    }

    /// The nodes of a rank in the order they are drawn.
    pub fn rank_nodes(&self, rank: u32) -> impl DoubleEndedIterator<Item = u32> + '_ {
        let row: &[u32] = self.order.get(rank as usize).map_or(&[], Vec::as_slice);
        row.iter().copied().filter(|v| !self.graph.is_dummy(*v))
    }

    /// How many ranks there are.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.order.len()
    }
}
