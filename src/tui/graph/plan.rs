//! From a workflow to a layout that suits the pane: cards where they fit, else lines.

use crate::model::view::Shape;
use crate::model::workflow::Workflow;
use crate::report::format::width;
use crate::report::graph::{Direction, GraphInput, Layout, LayoutOptions, from_workflow, layout};
use std::sync::Arc;

/// Beyond this many steps and needs a layout is made on a thread of its own.
const AT_ONCE_MAX: usize = 240;
/// Beyond this many steps and needs there is no drawing: the list is shown.
const DRAWN_MAX: usize = 60_000;
/// Work for uncrossing edges: less than for exports, because somebody waits.
const EFFORT: u64 = 20_000_000;
/// Beyond this many steps and needs only a few ways are tried: each costs a layout.
const EVERY_WAY_MAX: usize = 100;
/// Ways to show a step and the most cells of its name, the most telling first.
const WAYS: [(Detail, usize); 7] = [
    (Detail::Card, 26),
    (Detail::Card, 16),
    (Detail::Line, 22),
    (Detail::Card, 12),
    (Detail::Line, 14),
    (Detail::Name, 18),
    (Detail::Name, 12),
];
/// The way of graphs that fit in no way.
const OVERFLOWING: (Detail, usize) = (Detail::Line, 22);
/// Cells around a name: frame, padding, glyph; and at least so many for a card's lower frame.
const CARD_AROUND: usize = 6;
const CARD_LEAST: usize = 16;
/// Glyph and space before a name; then the time and a mark.
const LINE_AROUND: usize = 11;
/// Glyph and space before a name, a space after it.
const NAME_AROUND: usize = 3;

/// How much of a step is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Detail {
    /// A frame with the name, and agent and time in its lower edge.
    #[default]
    Card,
    /// One line: glyph, name, time.
    Line,
    /// One line: glyph and name.
    Name,
}

/// What a picture is made for. Another wish is another picture.
#[derive(Clone, Debug)]
pub(crate) struct Wish {
    /// The workflow.
    pub(crate) workflow: Arc<Workflow>,
    /// Its shape.
    pub(crate) shape: Arc<Shape>,
    /// The way edges flow; `None`: whichever shows more.
    pub(crate) direction: Option<Direction>,
    /// Cells of the pane.
    pub(crate) room: (u16, u16),
}

impl PartialEq for Wish {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shape, &other.shape) && self.direction == other.direction && self.room == other.room
    }
}

impl Wish {
    fn size(&self) -> usize {
        self.workflow.steps.len() + self.workflow.steps.iter().map(|step| step.needs.len()).sum::<usize>()
    }
    /// Whether it is worth a drawing at all.
    pub(crate) fn drawable(&self) -> bool {
        self.size() <= DRAWN_MAX
    }
    /// Whether it is drawn within a frame's time.
    pub(crate) fn at_once(&self) -> bool {
        self.size() <= AT_ONCE_MAX
    }
}

/// A finished picture.
#[derive(Clone, Debug)]
pub(crate) struct Drawing {
    /// Boxes and lines.
    pub(crate) layout: Layout,
    /// Source and target of every edge, by step.
    pub(crate) edges: Vec<(u32, u32)>,
    /// What boxes show.
    pub(crate) detail: Detail,
}

fn boxes(wish: &Wish, (detail, name_max): (Detail, usize), direction: Direction) -> GraphInput {
    let (around, least, h) = match detail {
        Detail::Card => (CARD_AROUND, CARD_LEAST, 3),
        Detail::Line => (LINE_AROUND, 0, 1),
        Detail::Name => (NAME_AROUND, 0, 1),
    };
    let flat = direction == Direction::LeftToRight;
    let own = |place: usize| (width(&wish.workflow.steps[place].id).min(name_max) + around).max(least);
    // Boxes of one level are equally wide, so that their edges begin in one column.
    let mut widest = vec![0; wish.shape.level.iter().max().map_or(1, |level| *level as usize + 1)];
    for (place, level) in wish.shape.level.iter().enumerate() {
        let widest = &mut widest[*level as usize];
        *widest = own(place).max(*widest);
    }
    from_workflow(&wish.workflow, |place| {
        let w = if flat { widest[wish.shape.level.get(place).map_or(0, |level| *level as usize)] } else { own(place) };
        (u32::try_from(w.max(own(place))).unwrap_or(1), h)
    })
}

fn drawn(wish: &Wish, way: (Detail, usize), direction: Direction, node_gap: u32) -> Drawing {
    let input = boxes(wish, way, direction);
    let options = LayoutOptions { direction, node_gap, effort: EFFORT, ..LayoutOptions::default() };
    Drawing { layout: layout(&input, &options), edges: input.edges, detail: way.0 }
}

/// Whether a picture could fit at all: a cheap bound that spares most layouts. Every level takes the width (or height) of
/// a box and an arrow; and the boxes together need their rows (or columns).
fn may_fit(wish: &Wish, way: (Detail, usize), direction: Direction) -> bool {
    let input = boxes(wish, way, direction);
    let levels = wish.shape.level.iter().max().map_or(0, |level| *level as usize + 1);
    let mut along = vec![0u32; levels];
    let mut across = 0;
    for (node, level) in input.nodes.iter().zip(&wish.shape.level) {
        let (own, other) = if direction == Direction::LeftToRight { (node.w, node.h) } else { (node.h, node.w) };
        let widest = &mut along[*level as usize];
        *widest = own.max(*widest);
        across += other;
    }
    let arrow = if direction == Direction::LeftToRight { 3 } else { 2 };
    let long = along.iter().sum::<u32>() + arrow * u32::try_from(levels.saturating_sub(1)).unwrap_or(u32::MAX);
    let wide = across.div_ceil(u32::try_from(levels.max(1)).unwrap_or(u32::MAX));
    let (room_along, room_across) = match direction {
        Direction::LeftToRight => (wish.room.0, wish.room.1),
        Direction::TopToBottom => (wish.room.1, wish.room.0),
    };
    long <= u32::from(room_along) && wide <= u32::from(room_across)
}

/// Draws. The first way in which everything fits is taken: much about each step before little, along the page before
/// down it. Where none fits, lines, in the direction that hides less.
pub(crate) fn draw(wish: &Wish) -> Drawing {
    let room = (i32::from(wish.room.0), i32::from(wish.room.1));
    let over = |drawing: &Drawing| {
        let (w, h) = (drawing.layout.width.max(1), drawing.layout.height.max(1));
        // The share that is out of sight.
        1.0 - f64::from(w.min(room.0)) * f64::from(h.min(room.1)) / (f64::from(w) * f64::from(h))
    };
    let directions = match wish.direction {
        Some(direction) => vec![direction],
        // Down the page a large graph is wide at once: not worth a second try.
        None if wish.at_once() => vec![Direction::LeftToRight, Direction::TopToBottom],
        None => vec![Direction::LeftToRight],
    };
    for way in WAYS.iter().filter(|way| wish.size() <= EVERY_WAY_MAX || (wish.at_once() && way.0 != Detail::Card)) {
        for direction in &directions {
            let gaps: &[u32] = match direction {
                Direction::TopToBottom => &[2],
                Direction::LeftToRight => &[1, 0],
            };
            if !may_fit(wish, *way, *direction) {
                continue;
            }
            for gap in gaps {
                let drawing = drawn(wish, *way, *direction, *gap);
                if over(&drawing) <= 0.0 {
                    return drawing;
                }
            }
        }
    }
    let ways = directions.into_iter().map(|direction| {
        let drawing = drawn(wish, OVERFLOWING, direction, if direction == Direction::LeftToRight { 1 } else { 2 });
        (over(&drawing), drawing)
    });
    ways.min_by(|a, b| a.0.total_cmp(&b.0)).expect("there is at least one direction").1
}
#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::tests::fixtures;

    fn wish(room: (u16, u16), direction: Option<Direction>) -> Wish {
        let view = fixtures::loaded();
        let run = &view.runs[0];
        Wish { workflow: run.workflow.clone(), shape: run.shape.clone(), direction, room }
    }

    #[test]
    fn a_graph_that_fits_is_drawn_in_cards_and_otherwise_so_that_little_is_hidden() {
        let wide = draw(&wish((180, 30), None));
        assert_eq!((wide.detail, wide.layout.direction), (Detail::Card, Direction::LeftToRight));
        let narrow = draw(&wish((68, 20), None));
        assert_eq!(narrow.layout.direction, Direction::TopToBottom);
        assert!(narrow.layout.width <= 68 && narrow.layout.height <= 20);
        let asked = draw(&wish((68, 20), Some(Direction::LeftToRight)));
        assert_eq!(asked.layout.direction, Direction::LeftToRight);
    }

    #[test]
    fn a_picture_holds_every_step_and_every_need() {
        for room in [(180, 30), (60, 10), (1, 1), (0, 0)] {
            let drawing = draw(&wish(room, None));
            assert_eq!(drawing.layout.nodes.len(), 6);
            assert_eq!(drawing.edges.len(), 6);
        }
    }
}
