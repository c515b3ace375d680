//! The graph as plain text, for terminals, files and pipes: boxes and lines where they fit, else an indented list.

use super::collapse::collapse;
use super::drawing::{Area, Layout};
use super::input::{Direction, GraphInput, LayoutOptions};
use super::layout;
use super::paint::{EdgeStyles, paint};
use crate::model::safe::Safe;
use std::collections::BTreeMap;
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

/// How to draw.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TextOptions {
    /// Fold what plays the same part.
    pub collapse: bool,
    /// Columns there are; `None`: as many as it takes.
    pub width: Option<u32>,
    /// Plain ASCII instead of box drawing.
    pub ascii: bool,
}

/// Up to so many nodes each has a frame of its own.
const FRAMED_MOST: usize = 24;
/// A picture of more cells is of no use to anybody; the list is.
const CELLS_MOST: u64 = 20_000_000;
/// Widest labels to try, from generous to tight.
const LABELS: [usize; 4] = [40, 24, 16, 10];

/// Draws the graph; every line ends with a line break.
#[must_use]
pub fn text(input: &GraphInput, options: &TextOptions) -> String {
    let folded = options.collapse.then(|| collapse(input, 2, 300).graph);
    let graph = folded.as_ref().unwrap_or(input);
    let labels: Vec<String> = graph.nodes.iter().map(|n| Safe::line(&n.label).into_string()).collect();
    let widest = labels.iter().map(|l| l.width()).max().unwrap_or(0);
    let width = options.width.map_or(i32::MAX, |w| i32::try_from(w).unwrap_or(i32::MAX));
    for direction in [Direction::LeftToRight, Direction::TopToBottom] {
        for most in LABELS.into_iter().filter(|m| *m == LABELS[0] || *m < widest) {
            let picture = Picture::new(graph, &labels, most, direction, options.ascii);
            if picture.layout.width <= width {
                return if picture.cells() <= CELLS_MOST { picture.draw() } else { list(graph, &labels, options) };
            }
            // Narrower labels cannot save a picture that is many times too wide.
            if picture.layout.width / 4 > width {
                break;
            }
        }
    }
    list(graph, &labels, options)
}

struct Picture {
    layout: Layout,
    labels: Vec<String>,
    framed: bool,
    ascii: bool,
}

impl Picture {
    fn new(graph: &GraphInput, labels: &[String], most: usize, direction: Direction, ascii: bool) -> Self {
        let framed = graph.nodes.len() <= FRAMED_MOST;
        let mut sized = graph.clone();
        let labels: Vec<String> = labels.iter().map(|l| fit(l, most, ascii)).collect();
        for (node, label) in sized.nodes.iter_mut().zip(&labels) {
            node.w = label.width() as u32 + if framed { 4 } else { 2 };
            node.h = if framed { 3 } else { 1 };
        }
        let node_gap = u32::from(direction == Direction::TopToBottom) * 2;
        let layout = layout(&sized, &LayoutOptions { direction, node_gap, ..LayoutOptions::default() });
        Self { layout, labels, framed, ascii }
    }

    fn cells(&self) -> u64 {
        u64::from(self.layout.width.unsigned_abs()) * u64::from(self.layout.height.unsigned_abs())
    }

    fn draw(&self) -> String {
        let size = &self.layout;
        let styles = EdgeStyles { ascii: self.ascii, arrows: true, ..EdgeStyles::default() };
        // What stands in each row: where it begins, the text, the columns it takes.
        let mut rows: Vec<BTreeMap<i32, (String, i32)>> = vec![BTreeMap::new(); size.height.max(0) as usize];
        for cell in paint(size, Area { x: 0, y: 0, w: size.width, h: size.height }, &styles) {
            rows[cell.at.y as usize].insert(cell.at.x, (cell.glyph.to_string(), 1));
        }
        for (placed, label) in size.nodes.iter().zip(&self.labels) {
            let area = placed.area;
            for (i, line) in self.node(label, area.w).into_iter().enumerate() {
                rows[area.y as usize + i].insert(area.x, (line, area.w));
            }
        }
        let mut out = String::new();
        for row in rows {
            let mut at = 0;
            let from = out.len();
            for (x, (text, w)) in row {
                out.extend(std::iter::repeat_n(' ', (x - at).max(0) as usize));
                out.push_str(&text);
                at = x + w;
            }
            out.truncate(from + out[from..].trim_end().len());
            out.push('\n');
        }
        out
    }

    fn node(&self, label: &str, w: i32) -> Vec<String> {
        if !self.framed {
            return vec![format!(" {label} ")];
        }
        let (corners, level, upright) =
            if self.ascii { (['+'; 4], '-', '|') } else { (['╭', '╮', '╰', '╯'], '─', '│') };
        let line = level.to_string().repeat(w.max(2) as usize - 2);
        vec![
            format!("{}{line}{}", corners[0], corners[1]),
            format!("{upright} {label} {upright}"),
            format!("{}{line}{}", corners[2], corners[3]),
        ]
    }
}

/// Cuts a label in the middle, so that both its beginning and its end can be told.
fn fit(label: &str, most: usize, ascii: bool) -> String {
    if label.width() <= most {
        return if label.is_empty() { String::from(" ") } else { label.to_owned() };
    }
    let (mark, room) = if ascii { ("..", most - 2) } else { ("…", most - 1) };
    let take = |parts: &mut dyn Iterator<Item = &str>, room: usize| {
        let mut used = 0;
        let mut taken: Vec<String> = Vec::new();
        for g in parts {
            used += g.width();
            if used > room {
                break;
            }
            taken.push(g.to_owned());
        }
        taken
    };
    let head = take(&mut label.graphemes(true), room.div_ceil(2)).concat();
    let mut tail = take(&mut label.graphemes(true).rev(), room / 2);
    tail.reverse();
    format!("{head}{mark}{}", tail.concat())
}

/// One node a line, indented by depth, with what it waits for.
fn list(graph: &GraphInput, labels: &[String], options: &TextOptions) -> String {
    let nodes = graph.nodes.len();
    let ranking = super::rank::assign(nodes, &graph.edges, 0);
    let mut order: Vec<usize> = (0..nodes).collect();
    order.sort_by_key(|v| (ranking.depth[*v], *v));
    let mut needs: Vec<Vec<&str>> = vec![Vec::new(); nodes];
    for (u, v) in &graph.edges {
        needs[*v as usize].push(&labels[*u as usize]);
    }
    let most = options.width.map_or(usize::MAX, |w| (w as usize).max(4));
    let (mark, arrow) = if options.ascii { ("-", "<-") } else { ("·", "←") };
    let mut out = String::new();
    for v in order {
        let indent = " ".repeat((ranking.depth[v] as usize * 2).min(most / 2));
        let waits = if needs[v].is_empty() { String::new() } else { format!(" {arrow} {}", needs[v].join(", ")) };
        let line = format!("{indent}{mark} {}{waits}", labels[v]);
        out.push_str(&cut(&line, most, options.ascii));
        out.push('\n');
    }
    out
}

/// Cuts a line at its end.
fn cut(line: &str, most: usize, ascii: bool) -> String {
    if line.width() <= most {
        return line.to_owned();
    }
    let mark = if ascii { ".." } else { "…" };
    let mut out = String::new();
    let mut used = mark.width();
    for g in line.graphemes(true) {
        used += g.width();
        if used > most {
            break;
        }
        out.push_str(g);
    }
    out + mark
}

#[cfg(test)]
mod tests {
    use super::super::GraphNode;
    use super::*;

    fn graph(ids: &[&str], edges: &[(u32, u32)]) -> GraphInput {
        GraphInput { nodes: ids.iter().map(|id| GraphNode::new(id, 1, 1)).collect(), edges: edges.to_vec() }
    }

    fn drawn(input: &GraphInput, ascii: bool) -> String {
        text(input, &TextOptions { ascii, ..TextOptions::default() })
    }

    #[test]
    fn a_diamond_is_drawn_with_frames_and_joints() {
        let input = graph(&["a", "b", "c", "d"], &[(0, 1), (0, 2), (1, 3), (2, 3)]);
        let expected = "        \
        ╭───╮
╭───╮ ╭▶│ b │─╮ ╭───╮
│ a │─┤ ╰───╯ ├▶│ d │
╰───╯ │ ╭───╮ │ ╰───╯
      ╰▶│ c │─╯
        ╰───╯
";
        assert_eq!(drawn(&input, false), expected);
        let expected = "        \
        +---+
+---+ +>| b |-+ +---+
| a |-+ +---+ +>| d |
+---+ | +---+ | +---+
      +>| c |-+
        +---+
";
        assert_eq!(drawn(&input, true), expected);
    }

    #[test]
    fn nothing_and_one_node_are_drawn_too() {
        assert_eq!(drawn(&graph(&[], &[]), false), "");
        assert_eq!(drawn(&graph(&["only"], &[]), false), "╭──────╮\n│ only │\n╰──────╯\n");
    }

    #[test]
    fn no_line_is_wider_than_asked_and_wide_glyphs_keep_the_frame_square() {
        let ids: Vec<String> = (0..9).map(|i| format!("\u{6b65}\u{9aa4}_with_a_long_name_{i}")).collect();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        let input = graph(&ids, &[(0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (5, 6), (6, 7), (7, 8)]);
        for width in [1000, 100, 60, 30, 12, 5] {
            let picture = text(&input, &TextOptions { width: Some(width), ..TextOptions::default() });
            assert!(picture.lines().all(|l| l.width() <= width as usize), "{width}:\n{picture}");
        }
        let row = drawn(&graph(&["\u{6b65}"], &[]), false);
        assert_eq!(row, "╭────╮\n│ \u{6b65} │\n╰────╯\n");
    }

    #[test]
    fn a_hostile_label_cannot_reach_the_terminal() {
        let picture = drawn(&graph(&["a\u{1b}[2Jb\nc"], &[]), false);
        assert!(picture.chars().all(|c| c == '\n' || !c.is_control()), "{picture:?}");
    }

    #[test]
    fn folding_draws_one_box_for_many() {
        let mut input = graph(&["s", "w1", "w2", "w3", "t"], &[(0, 1), (0, 2), (0, 3), (1, 4), (2, 4), (3, 4)]);
        for i in 1..4 {
            input.nodes[i].kind = "work".to_owned();
        }
        let picture = text(&input, &TextOptions { collapse: true, ..TextOptions::default() });
        assert_eq!(picture.lines().nth(1), Some("│ s │──▶│ work ×3 │──▶│ t │"));
    }
}
