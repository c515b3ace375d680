//! What the layout is given: nodes with the cells they need, edges as pairs of indices, and a few wishes.
//! The caller decides how much of a node is shown (card, pill, dot) by its size; the layout never looks at labels.

/// A node to be placed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GraphNode {
    /// The name used in exports.
    pub id: String,
    /// The text people read.
    pub label: String,
    /// What sort of work it is; nodes of different kinds are never folded together.
    pub kind: String,
    /// A declared fold this node belongs to.
    pub group: Option<String>,
    /// Width of its box in cells, at least 1.
    pub w: u32,
    /// Height of its box in cells, at least 1.
    pub h: u32,
}

impl GraphNode {
    /// A node whose label is its id.
    #[must_use]
    pub fn new(id: &str, w: u32, h: u32) -> Self {
        Self { id: id.to_owned(), label: id.to_owned(), w, h, ..Self::default() }
    }
}

/// A directed graph; an edge means "the second waits for the first".
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GraphInput {
    /// The nodes; edges name them by their place in this list.
    pub nodes: Vec<GraphNode>,
    /// Source and target of every edge.
    pub edges: Vec<(u32, u32)>,
}

/// The way edges flow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Direction {
    /// Ranks are columns.
    #[default]
    LeftToRight,
    /// Ranks are rows.
    TopToBottom,
}

/// Wishes about a layout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayoutOptions {
    /// The way edges flow.
    pub direction: Direction,
    /// Free cells between two boxes of one rank.
    pub node_gap: u32,
    /// At most so many parallel tracks between two ranks; beyond that, lines of different sources share tracks.
    pub max_tracks: u32,
    /// Work allowed for uncrossing edges, in elementary operations (not time: the same input gives the same picture).
    pub effort: u64,
}

impl Default for LayoutOptions {
    fn default() -> Self {
        Self { direction: Direction::LeftToRight, node_gap: 1, max_tracks: 24, effort: 160_000_000 }
    }
}
