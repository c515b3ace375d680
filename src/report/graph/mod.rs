//! Drawing dependency graphs in cells: a layered layout of our own, and what is made of it.
//!
//! ```text
//!   input ─▶ rank ─▶ layered ─▶ order ─▶ place ─▶ route ─▶ Layout ─▶ paint, text, json, navigate
//!            simplex            sift                            └─▶ metrics
//!   input ─▶ collapse ─▶ input        input ─▶ dot, mermaid
//! ```
//!
//! Everything here is a pure function of its input: no clock (work is counted in operations), no randomness (restarts
//! are seeded), so two calls give the same picture on any machine.

mod collapse;
mod crossings;
mod dot;
mod drawing;
mod incidence;
mod index;
mod input;
#[cfg(test)]
mod invariants;
mod json;
mod layered;
mod mermaid;
mod metrics;
mod navigate;
mod order;
mod paint;
mod place;
mod rank;
mod route;
mod side;
mod sift;
mod simplex;
mod text;
mod workflow;

pub use collapse::{Folded, collapse};
pub use dot::dot;
pub use drawing::{Area, Layout, Placed, Point};
pub use input::{Direction, GraphInput, GraphNode, LayoutOptions};
pub use json::json;
pub use mermaid::mermaid;
pub use metrics::{Metrics, metrics};
pub use navigate::Step;
pub use paint::{Cell, EdgeStyles, Emphasis, paint};
pub use text::{TextOptions, text};
pub use workflow::from_workflow;

use drawing::SegmentEdges;
use layered::{Layered, Sharing};

/// Up to so many passing places every edge keeps its own while crossings are reduced.
const APART_MOST: u64 = 40_000;

/// Up to so many ranks may be passed by all edges together; longer edges are left out beyond that.
const PASSING_MOST: u64 = 12_000_000;

/// Lays a graph out.
#[must_use]
pub fn layout(input: &GraphInput, options: &LayoutOptions) -> Layout {
    let nodes = input.nodes.len();
    let bound = |v: u32| (v as usize) < nodes;
    let edges: Vec<(u32, u32)> =
        input.edges.iter().map(|(u, v)| if bound(*u) && bound(*v) { (*u, *v) } else { (0, 0) }).collect();
    let ranking = rank::assign(nodes, &edges, options.effort / 2);
    let (laid, undrawn_edges) = affordable(&ranking);
    let sharing = sharing(&ranking.rank, &laid);
    let mut graph = Layered::new(&ranking.rank, &laid, sharing);
    let mut order = order::order(&graph, options.effort);
    if sharing == Sharing::Apart {
        (graph, order) = graph.bundle(&order);
    }
    let place = layered::places(graph.rank.len(), &order);
    let crossings = crossings::count(&graph, &laid, &place);
    let turned = edges.iter().zip(&ranking.edges).map(|(a, b)| a != b).collect();
    let mut drawn = Layout {
        direction: options.direction,
        crossings,
        undrawn_edges,
        edge_count: edges.len(),
        turned,
        edges_of: SegmentEdges::new(&graph),
        cross: place,
        order,
        graph,
        ..Layout::default()
    };
    geometry(input, options, &mut drawn);
    let reaches = drawn.graph.segments.iter().enumerate().map(|(at, segment)| {
        let (corners, count) = drawn.corners(at as u32);
        let rows = corners[..count].iter().map(|corner| corner.1);
        let (low, high) = rows.fold((i32::MAX, i32::MIN), |(low, high), row| (low.min(row), high.max(row)));
        (drawn.graph.rank[segment.u as usize] as usize, low, high)
    });
    drawn.index = index::Index::new(drawn.order.len(), drawn.nodes.len(), &ranking.edges, reaches);
    drawn.reach = input.nodes.iter().map(|n| n.w.max(n.h) as i32).max().unwrap_or(1);
    drawn
}

/// The edges that can be drawn, the others as self loops, and how many these are.
fn affordable(ranking: &rank::Ranking) -> (Vec<(u32, u32)>, u32) {
    let mut laid = ranking.edges.clone();
    let span = |(u, v): (u32, u32)| u64::from(ranking.rank[v as usize].saturating_sub(ranking.rank[u as usize]));
    if laid.iter().map(|e| span(*e)).sum::<u64>() <= PASSING_MOST {
        return (laid, 0);
    }
    let mut by_span: Vec<u32> = (0..laid.len() as u32).collect();
    by_span.sort_by_key(|e| (span(laid[*e as usize]), *e));
    let (mut sum, mut undrawn) = (0, 0);
    for e in by_span {
        sum += span(laid[e as usize]);
        if sum > PASSING_MOST {
            laid[e as usize].1 = laid[e as usize].0;
            undrawn += 1;
        }
    }
    (laid, undrawn)
}

/// Every edge apart where that is little work, else the kind of sharing that takes fewer vertices.
fn sharing(rank: &[u32], edges: &[(u32, u32)]) -> Sharing {
    let span = |(u, v): &(u32, u32)| u64::from(rank[*v as usize].saturating_sub(rank[*u as usize] + 1));
    if edges.iter().map(span).sum::<u64>() <= APART_MOST {
        return Sharing::Apart;
    }
    let trunks = |end: fn(&(u32, u32)) -> u32| {
        let mut longest = vec![0; rank.len()];
        for e in edges {
            let most = &mut longest[end(e) as usize];
            *most = span(e).max(*most);
        }
        longest.iter().sum::<u64>()
    };
    if trunks(|e| e.0) <= 4 * trunks(|e| e.1) { Sharing::BySource } else { Sharing::ByTarget }
}

/// Coordinates: across by `place`, along by the width of ranks and the tracks between them.
fn geometry(input: &GraphInput, options: &LayoutOptions, drawn: &mut Layout) {
    let flat = options.direction == Direction::LeftToRight;
    let across = |n: &GraphNode| if flat { n.h } else { n.w }.max(1);
    let along = |n: &GraphNode| if flat { n.w } else { n.h }.max(1) as i32;
    let mut size: Vec<u32> = input.nodes.iter().map(across).collect();
    size.resize(drawn.graph.rank.len(), 1);
    let line_gap = u32::from(!flat);
    let extents = place::Extents { size: &size, node_gap: options.node_gap.max(line_gap), line_gap };
    drawn.centre = place::centres(&drawn.graph, &drawn.order, &drawn.cross, &extents);
    let mut breadth = (0..size.len()).map(|v| drawn.centre[v] + size[v] as i32 / 2 + 1).max().unwrap_or(0);

    let mut gaps = route_all(drawn, options);
    let (lead, least) = if flat { (2, 3) } else { (1, 2) };
    let mut at = 0;
    for (r, row) in drawn.order.iter().enumerate() {
        let nodes = row.iter().filter_map(|v| input.nodes.get(*v as usize));
        let deep = nodes.map(along).max().unwrap_or(1);
        drawn.rank_start.push(at);
        drawn.gap_start.push(at + deep);
        at += deep;
        if let Some(gap) = gaps.get_mut(r) {
            at += (gap.tracks as i32 + lead).max(least);
            breadth = breadth.max(gap.last_row + 1);
            drawn.bundled_gaps += u32::from(gap.bundled);
            drawn.turns.append(&mut gap.turns);
        }
    }
    (drawn.width, drawn.height) = if flat { (at, breadth) } else { (breadth, at) };
    for (v, n) in input.nodes.iter().enumerate() {
        let rank = drawn.graph.rank[v];
        let (start, low) = (drawn.rank_start[rank as usize], drawn.centre[v] - (size[v] as i32 - 1) / 2);
        let corner = drawn.point(start, low);
        let area = Area { x: corner.x, y: corner.y, w: n.w.max(1) as i32, h: n.h.max(1) as i32 };
        drawn.nodes.push(Placed { rank, cross: drawn.cross[v], area });
    }
}

fn route_all(drawn: &Layout, options: &LayoutOptions) -> Vec<route::Gap> {
    let rank_of = |s: &layered::Segment| drawn.graph.rank[s.u as usize];
    let mut gaps: Vec<route::Gap> = Vec::new();
    for chunk in drawn.graph.segments.chunk_by(|a, b| rank_of(a) == rank_of(b)) {
        // Lines of one source must lie next to each other; their answers go back to the order of the segments.
        let mut sorted: Vec<usize> = (0..chunk.len()).collect();
        sorted.sort_by_key(|i| drawn.cross[chunk[*i].u as usize]);
        let centre = |v: u32| drawn.centre[v as usize];
        let lines: Vec<(u32, i32, i32)> =
            sorted.iter().map(|i| (chunk[*i].u, centre(chunk[*i].u), centre(chunk[*i].v))).collect();
        let mut gap = route::gap(&lines, options.max_tracks);
        let mut turns = vec![route::Turn::default(); chunk.len()];
        for (slot, turn) in sorted.into_iter().zip(&gap.turns) {
            turns[slot] = *turn;
        }
        gap.turns = turns;
        gaps.push(gap);
    }
    gaps
}
