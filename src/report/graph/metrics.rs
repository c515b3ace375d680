//! Figures about a layout, for comparisons and for choosing between two.

use super::drawing::Layout;

/// How good a layout is; less is better throughout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Metrics {
    /// Crossings of edges that share no end.
    pub crossings: u64,
    /// Ranks crossed by all edges together.
    pub span: u64,
    /// Ranks crossed by the longest edge.
    pub longest: u64,
    /// Turns of all edges together.
    pub bends: u64,
    /// Cells of the whole picture.
    pub area: u64,
}

/// Measures a layout.
#[must_use]
pub fn metrics(layout: &Layout) -> Metrics {
    let mut all = Metrics { crossings: layout.crossings, ..Metrics::default() };
    for e in 0..layout.edge_count() {
        let span = layout.graph.path_of(e).len() as u64;
        all.span += span;
        all.longest = all.longest.max(span);
        all.bends += layout.points(e).len().saturating_sub(2) as u64;
    }
    all.area = u64::from(layout.width.unsigned_abs()) * u64::from(layout.height.unsigned_abs());
    all
}
