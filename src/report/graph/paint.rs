//! Lines as characters. Each cell collects, for its four sides, whether a line leaves there and how heavy it is; what
//! character that makes is decided at the end, so the order of painting does not matter and junctions come by
//! themselves. Where two lines only cross, the upright one stays whole and the level one is broken: no tee, no plus.

use super::drawing::{Area, Layout, Point};
use super::input::Direction;

/// How an edge is to look. Where several share a cell, the greatest wins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Emphasis {
    /// Out of the way of what is selected.
    Dim,
    /// Nothing special.
    #[default]
    Normal,
    /// Data has flowed.
    Lit,
    /// On the critical path.
    Critical,
    /// At what is selected.
    Selected,
}

impl Emphasis {
    fn heavy(self) -> bool {
        self >= Self::Critical
    }
}

/// The look of edges; those beyond the lists are normal and whole.
#[derive(Clone, Copy, Debug, Default)]
pub struct EdgeStyles<'a> {
    /// Emphasis by edge.
    pub emphasis: &'a [Emphasis],
    /// Whether an edge is dashed (a fallback, a compensation).
    pub dashed: &'a [bool],
    /// Plain ASCII characters instead of box drawing.
    pub ascii: bool,
    /// Whether an arrow head stands before each target.
    pub arrows: bool,
}

/// One painted cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell {
    /// Where.
    pub at: Point,
    /// The character.
    pub glyph: char,
    /// The greatest emphasis of the edges there.
    pub emphasis: Emphasis,
    /// An edge of that emphasis.
    pub edge: u32,
    /// Whether every edge there is dashed.
    pub dashed: bool,
}

/// Paints the lines inside `view`; cells come by row, then column. Boxes are the caller's; lines stop beside them.
#[must_use]
pub fn paint(layout: &Layout, view: Area, styles: &EdgeStyles<'_>) -> Vec<Cell> {
    let mut canvas = Canvas::new(view);
    let (from, to, low, high) = match layout.direction {
        Direction::LeftToRight => (view.x, view.x + view.w - 1, view.y, view.y + view.h - 1),
        Direction::TopToBottom => (view.y, view.y + view.h - 1, view.x, view.x + view.w - 1),
    };
    let first = layout.rank_start.partition_point(|s| *s <= from).saturating_sub(2);
    for gap in first..layout.order.len() {
        if layout.rank_start[gap] > to {
            break;
        }
        for s in layout.index.seen(gap, low, high) {
            canvas.segment(layout, s, styles);
        }
    }
    canvas.cells(styles.ascii)
}

const UP: usize = 0;
const RIGHT: usize = 1;
const DOWN: usize = 2;
const LEFT: usize = 3;

/// A cell being painted.
#[derive(Clone, Copy, Default)]
struct Mark {
    /// Weight towards up, right, down, left: 0 none, 1 light, 2 heavy.
    side: [u8; 4],
    /// Whether a line turns here, so that lines that meet here belong together.
    joint: bool,
    whole: bool,
    arrow: bool,
    emphasis: Emphasis,
    edge: u32,
    used: bool,
}

struct Canvas {
    view: Area,
    marks: Vec<Mark>,
}

/// How one segment is to look.
#[derive(Clone, Copy)]
struct Look {
    emphasis: Emphasis,
    edge: u32,
    whole: bool,
}

impl Canvas {
    fn new(view: Area) -> Self {
        let cells = view.w.max(0) as usize * view.h.max(0) as usize;
        Self { view, marks: vec![Mark::default(); cells] }
    }

    fn segment(&mut self, layout: &Layout, segment: u32, styles: &EdgeStyles<'_>) {
        let mut look = Look { emphasis: Emphasis::Dim, edge: u32::MAX, whole: false };
        for e in layout.edges_of.of(segment) {
            let emphasis = styles.emphasis.get(*e as usize).copied().unwrap_or_default();
            look.whole |= !styles.dashed.get(*e as usize).copied().unwrap_or_default();
            if look.edge == u32::MAX || emphasis > look.emphasis {
                look = Look { emphasis, edge: *e, ..look };
            }
        }
        let s = layout.graph.segments[segment as usize];
        let (corners, count) = layout.corners(segment);
        let mut points: Vec<Point> = corners[..count].iter().map(|c| layout.point(c.0, c.1)).collect();
        // Lines begin and end beside boxes, not under them.
        let step = layout.point(1, 0);
        if !layout.graph.is_dummy(s.u) {
            points[0] = Point { x: points[0].x + step.x, y: points[0].y + step.y };
        }
        let target = !layout.graph.is_dummy(s.v);
        if target {
            let end = &mut points[count - 1];
            *end = Point { x: end.x - step.x, y: end.y - step.y };
        }
        for pair in points.windows(2) {
            self.line(pair[0], pair[1], look);
        }
        // Only turns are joints: a line that merely begins beside its box may still be crossed there.
        for corner in &points[1..count - 1] {
            if let Some(mark) = self.at(*corner) {
                mark.joint = true;
            }
        }
        self.edge_sides(&points, (!layout.graph.is_dummy(s.u), target), layout.direction, look);
        if target
            && styles.arrows
            && let Some(mark) = self.at(points[count - 1])
        {
            mark.arrow = true;
        }
    }

    /// The stubs that touch boxes: the outermost cells also reach towards the box.
    fn edge_sides(&mut self, points: &[Point], boxes: (bool, bool), direction: Direction, look: Look) {
        let (back, ahead) = match direction {
            Direction::LeftToRight => (LEFT, RIGHT),
            Direction::TopToBottom => (UP, DOWN),
        };
        let ends = [(points[0], back, boxes.0), (points[points.len() - 1], ahead, boxes.1)];
        for (point, side, _) in ends.into_iter().filter(|e| e.2) {
            if let Some(mark) = self.at(point) {
                mark.reach(side, look);
            }
        }
    }

    fn at(&mut self, p: Point) -> Option<&mut Mark> {
        if !self.view.contains(p) {
            return None;
        }
        let i = (p.y - self.view.y) as usize * self.view.w as usize + (p.x - self.view.x) as usize;
        self.marks.get_mut(i)
    }

    /// A straight line, both ends included.
    fn line(&mut self, a: Point, b: Point, look: Look) {
        if a == b {
            return;
        }
        let (first, last) = if a <= b { (a, b) } else { (b, a) };
        let level = first.y == last.y;
        let (back, ahead) = if level { (LEFT, RIGHT) } else { (UP, DOWN) };
        let (low, high, start, end) = if level {
            (first.x, last.x, self.view.x, self.view.x + self.view.w - 1)
        } else {
            (first.y, last.y, self.view.y, self.view.y + self.view.h - 1)
        };
        for i in low.max(start)..=high.min(end) {
            let p = if level { Point { x: i, y: first.y } } else { Point { x: first.x, y: i } };
            if let Some(mark) = self.at(p) {
                if i > low {
                    mark.reach(back, look);
                }
                if i < high {
                    mark.reach(ahead, look);
                }
            }
        }
    }

    fn cells(&self, ascii: bool) -> Vec<Cell> {
        let w = self.view.w.max(1) as usize;
        let marks = self.marks.iter().enumerate().filter(|(_, m)| m.used);
        marks
            .map(|(i, m)| Cell {
                at: Point { x: self.view.x + (i % w) as i32, y: self.view.y + (i / w) as i32 },
                glyph: if ascii { m.ascii() } else { m.glyph() },
                emphasis: m.emphasis,
                edge: m.edge,
                dashed: !m.whole,
            })
            .collect()
    }
}

impl Mark {
    fn reach(&mut self, side: usize, look: Look) {
        self.side[side] = self.side[side].max(1 + u8::from(look.emphasis.heavy()));
        self.whole |= look.whole;
        if !self.used || look.emphasis > self.emphasis {
            self.emphasis = look.emphasis;
            self.edge = look.edge;
        }
        self.used = true;
    }

    fn crossing(&self) -> bool {
        !self.joint && self.side.iter().all(|s| *s > 0)
    }

    fn glyph(&self) -> char {
        let [up, right, down, left] = self.side;
        if self.arrow {
            return if up > 0 && left == 0 { '▼' } else { '▶' };
        }
        if self.crossing() {
            return if up.max(down) > 1 { '┃' } else { '│' };
        }
        if !self.whole {
            match self.side {
                [0, 1, 0, 1] => return '┄',
                [1, 0, 1, 0] => return '┆',
                [0, 2, 0, 2] => return '┅',
                [2, 0, 2, 0] => return '┇',
                _ => {}
            }
        }
        GLYPHS[usize::from(up) * 27 + usize::from(right) * 9 + usize::from(down) * 3 + usize::from(left)]
    }

    fn ascii(&self) -> char {
        let [up, right, down, left] = self.side.map(|s| s > 0);
        let heavy = self.side.contains(&2);
        if self.arrow {
            return if up && !left { 'v' } else { '>' };
        }
        match (up || down, left || right) {
            (true, false) if !self.whole => ':',
            (true, false) => '|',
            (false, _) if !self.whole => '.',
            (false, _) if heavy => '=',
            (false, _) => '-',
            (true, true) if self.crossing() => '|',
            (true, true) => '+',
        }
    }
}

/// By weight up, right, down, left in base three. Corners of light lines are round.
#[rustfmt::skip]
const GLYPHS: [char; 81] = [
    ' ', '╴', '╸', '╷', '╮', '┑', '╻', '┒', '┓', '╶', '─', '╾', '╭', '┬', '┭', '┎', '┰', '┱', '╺', '╼', '━', '┍', '┮', '┯', '┏', '┲', '┳',
    '╵', '╯', '┙', '│', '┤', '┥', '╽', '┧', '┪', '╰', '┴', '┵', '├', '┼', '┽', '┟', '╁', '╅', '┕', '┶', '┷', '┝', '┾', '┿', '┢', '╆', '╈',
    '╹', '┚', '┛', '╿', '┦', '┩', '┃', '┨', '┫', '┖', '┸', '┹', '┞', '╀', '╃', '┠', '╂', '╉', '┗', '┺', '┻', '┡', '╄', '╇', '┣', '╊', '╋',
];

#[cfg(test)]
mod tests {
    use super::super::{GraphInput, GraphNode, LayoutOptions, layout};
    use super::*;

    fn picture(edges: &[(u32, u32)], nodes: usize, direction: Direction, styles: &EdgeStyles<'_>) -> Vec<String> {
        let nodes = (0..nodes).map(|i| GraphNode::new(&i.to_string(), 1, 1)).collect();
        let input = GraphInput { nodes, edges: edges.to_vec() };
        let drawn = layout(&input, &LayoutOptions { direction, ..LayoutOptions::default() });
        let mut rows = vec![vec![' '; drawn.width as usize]; drawn.height as usize];
        for cell in paint(&drawn, Area { x: 0, y: 0, w: drawn.width, h: drawn.height }, styles) {
            rows[cell.at.y as usize][cell.at.x as usize] = cell.glyph;
        }
        for (i, n) in drawn.nodes.iter().enumerate() {
            rows[n.area.y as usize][n.area.x as usize] = (b'0' + i as u8) as char;
        }
        rows.into_iter().map(|r| r.into_iter().collect::<String>().trim_end().to_owned()).collect()
    }

    #[test]
    fn every_weight_has_its_character() {
        assert_eq!(GLYPHS.iter().collect::<std::collections::BTreeSet<_>>().len(), 81);
        let mark = |side| Mark { side, joint: true, whole: true, ..Mark::default() }.glyph();
        assert_eq!([mark([1, 2, 1, 2]), mark([2, 1, 2, 0]), mark([0, 2, 2, 0])], ['┿', '┠', '┏']);
    }

    #[test]
    fn lines_that_only_cross_do_not_join() {
        let mark = |joint| Mark { side: [1; 4], joint, whole: true, ..Mark::default() };
        assert_eq!((mark(false).glyph(), mark(true).glyph()), ('│', '┼'));
        assert_eq!((mark(false).ascii(), mark(true).ascii()), ('|', '+'));
    }

    #[test]
    fn downwards_the_same_graph_reads_from_top_to_bottom() {
        let styles = EdgeStyles { arrows: true, ..EdgeStyles::default() };
        let rows = picture(&[(0, 1), (0, 2)], 3, Direction::TopToBottom, &styles);
        assert_eq!(rows, [" 0", "╭┴╮", "▼ ▼", "1 2"]);
    }

    #[test]
    fn the_critical_branch_is_heavy_and_a_fallback_dashed() {
        let emphasis = [Emphasis::Critical, Emphasis::Normal];
        let dashed = [false, true];
        let styles = EdgeStyles { emphasis: &emphasis, dashed: &dashed, ..EdgeStyles::default() };
        let rows = picture(&[(0, 1), (0, 2)], 3, Direction::LeftToRight, &styles);
        assert_eq!(rows, ["  ┏━1", "0━┩", "  ╰┄2"]);
    }
}
