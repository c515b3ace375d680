//! The graph: boxes and lines, or a list where there is no room for them or no picture yet.

use super::cx::Cx;
use super::pen::{Pen, Piece};
use crate::model::id::StepId;
use crate::model::state::StepState;
use crate::model::view::{RunView, StepView};
use crate::report::format::{count, cut, cut_middle, plural, span, span_fixed, width};
use crate::report::graph::{Area, Cell, Direction, EdgeStyles, Emphasis, paint};
use crate::report::look::Role;
use crate::tui::app::inner;
use crate::tui::arrange::Pane;
use crate::tui::graph::plan::{Detail, Drawing};
use crate::tui::theme::Part;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use std::collections::HashSet;

/// The deepest indent of the list, in levels.
const INDENT_MAX: u32 = 8;

const UNDERLINED: Style = Style::new().add_modifier(Modifier::UNDERLINED);

/// Draws the pane.
pub(crate) fn draw(pen: &mut Pen<'_>, area: Rect, cx: &Cx<'_>) {
    let focused = cx.app.focus == Pane::Graph;
    let dim = pen.part(Part::Dim);
    let mut figures = Vec::new();
    if let Some(run) = cx.run {
        let path = run.shape.critical_path_time;
        if path.0 > 0 {
            figures.push(Piece::new(format!("critical path {}{}", span(path), pen.dot()), dim));
        }
        figures.push(Piece::new(plural(run.steps.len() as u64, "step"), dim));
    }
    let title = super::title(pen, cx, Pane::Graph, focused);
    pen.frame(area, focused, &title, &figures);
    let room = inner(area);
    let Some(run) = cx.run.filter(|_| !room.is_empty()) else { return };
    match cx.app.graph.drawing.as_ref().filter(|_| !cx.app.at.graph_as_list) {
        Some(drawing) => {
            picture(pen, room, cx, run, drawing);
            more(pen, area, cx, drawing);
        }
        None => list(pen, room, cx, run),
    }
}

/// The step at a cell of the pane.
pub(crate) fn step_at(app: &crate::tui::app::App, area: Rect, x: u16, y: u16) -> Option<StepId> {
    let room = inner(area);
    if !room.contains((x, y).into()) {
        return None;
    }
    if app.graph.drawing.is_none() || app.at.graph_as_list {
        return app.texts.order().get(app.tops.list + usize::from(y - room.y)).copied();
    }
    let view = app.graph_view(room);
    app.node_at(view.x + i32::from(x - room.x), view.y + i32::from(y - room.y))
}

/// Arrows in the frame where the picture goes on.
fn more(pen: &mut Pen<'_>, area: Rect, cx: &Cx<'_>, drawing: &Drawing) {
    let view = cx.app.graph_view(inner(area));
    let middle = area.y + area.height / 2;
    let signs = if pen.theme.ascii { ['<', '>', '^', 'v'] } else { ['←', '→', '↑', '↓'] };
    let style = pen.part(Part::Key);
    let (right, bottom) = (area.right().saturating_sub(1), area.bottom().saturating_sub(1));
    let sides = [
        (view.x > 0, area.x, middle),
        (view.x + view.w < drawing.layout.width, right, middle),
        (view.y > 0, right.saturating_sub(1), area.y),
        (view.y + view.h < drawing.layout.height, right.saturating_sub(1), bottom),
    ];
    for ((goes_on, x, y), sign) in sides.into_iter().zip(signs) {
        if goes_on {
            pen.sign(x, y, sign, style);
        }
    }
}

fn picture(pen: &mut Pen<'_>, room: Rect, cx: &Cx<'_>, run: &RunView, drawing: &Drawing) {
    let view = cx.app.graph_view(room);
    let emphasis = emphasis(cx, run, drawing);
    let styles = EdgeStyles { emphasis: &emphasis, dashed: &[], ascii: pen.theme.ascii, arrows: true };
    for cell in paint(&drawing.layout, view, &styles) {
        let (x, y) = (room.x as i32 + cell.at.x - view.x, room.y as i32 + cell.at.y - view.y);
        let style = line_style(pen, run, drawing, &cell);
        pen.sign(u16::try_from(x).unwrap_or(0), u16::try_from(y).unwrap_or(0), cell.glyph, style);
    }
    for node in drawing.layout.nodes_in(view) {
        let Some(placed) = drawing.layout.nodes.get(node as usize) else { continue };
        let mut own = Buffer::empty(Rect::new(0, 0, cells(placed.area.w), cells(placed.area.h)));
        let mut small = Pen { buffer: &mut own, theme: pen.theme };
        match drawing.detail {
            Detail::Card => card(&mut small, cx, run, StepId(node)),
            detail => {
                let down = drawing.layout.direction == Direction::TopToBottom;
                line(&mut small, cx, run, StepId(node), detail == Detail::Line, down);
            }
        }
        if is_dimmed(cx, node) {
            let dim = pen.part(Part::Frame).remove_modifier(Modifier::BOLD);
            own.set_style(own.area, dim);
        }
        copy(pen, room, view, placed.area, &own);
    }
}

fn cells(n: i32) -> u16 {
    u16::try_from(n.max(0)).unwrap_or(u16::MAX)
}

/// Copies a box into the pane, as far as it is in view.
fn copy(pen: &mut Pen<'_>, room: Rect, view: Area, area: Area, own: &Buffer) {
    for dy in 0..own.area.height {
        for dx in 0..own.area.width {
            let (x, y) = (area.x + i32::from(dx) - view.x, area.y + i32::from(dy) - view.y);
            if x < 0 || y < 0 || x >= i32::from(room.width) || y >= i32::from(room.height) {
                continue;
            }
            let to = (room.x + cells(x), room.y + cells(y));
            if let (Some(from), Some(cell)) = (own.cell((dx, dy)), pen.buffer.cell_mut(to)) {
                *cell = from.clone();
                let (first, last) = (x == 0 && dx > 0, x + 1 == i32::from(room.width) && dx + 1 < own.area.width);
                // What goes on outside the pane says so; half of a wide character would push the frame aside.
                let bare = matches!(from.symbol(), " " | "─" | "━" | "-" | "#");
                if (first || last) && !bare {
                    cell.set_char(if pen.theme.ascii { '.' } else { '…' });
                } else if last && width(from.symbol()) > 1 {
                    cell.set_char(' ');
                }
            }
        }
    }
}

/// Somebody has selected another part of the graph.
fn is_dimmed(cx: &Cx<'_>, node: u32) -> bool {
    !cx.app.follows && !cx.app.graph.lineage.get(node as usize).copied().unwrap_or(true)
}

fn emphasis(cx: &Cx<'_>, run: &RunView, drawing: &Drawing) -> Vec<Emphasis> {
    let path: HashSet<(u32, u32)> = run.shape.critical_path.windows(2).map(|pair| (pair[0].0, pair[1].0)).collect();
    let one = |(source, target): &(u32, u32)| {
        let lit = run.steps.get(*source as usize).is_some_and(|step| step.state == StepState::Succeeded);
        if is_dimmed(cx, *source) || is_dimmed(cx, *target) {
            Emphasis::Dim
        } else if path.contains(&(*source, *target)) {
            Emphasis::Critical
        } else if lit {
            Emphasis::Lit
        } else {
            Emphasis::Normal
        }
    };
    drawing.edges.iter().map(one).collect()
}

fn line_style(pen: &Pen<'_>, run: &RunView, drawing: &Drawing, cell: &Cell) -> Style {
    let source = drawing.edges.get(cell.edge as usize).and_then(|edge| run.steps.get(edge.0 as usize));
    let lit = source.is_some_and(|step| step.state == StepState::Succeeded);
    match (cell.emphasis, lit) {
        (Emphasis::Dim, _) | (_, false) => pen.part(Part::Frame),
        (_, true) => pen.theme.role(Role::Good),
    }
}

/// What stands in the lower edge of a card: who, and how long.
fn status(cx: &Cx<'_>, run: &RunView, id: StepId, room: usize) -> (String, String) {
    let Some(step) = run.steps.get(id.index()) else { return Default::default() };
    let ascii = cx.theme.ascii;
    let time = cx.time(step).map(span);
    match step.state {
        StepState::Unknown => ("R: again?".to_owned(), String::new()),
        StepState::Waiting | StepState::Failed | StepState::Skipped => {
            let why = match (&step.failure, step.state) {
                (Some(failure), StepState::Failed) => failure.class.word().replace('_', " "),
                _ => cx.reason(run, id),
            };
            (cut(&why, room, ascii).into_owned(), String::new())
        }
        StepState::Pending | StepState::Ready => {
            let estimate = run.workflow.step(id).estimate.map_or_else(String::new, |time| format!("~{}", span(time)));
            (String::new(), estimate)
        }
        StepState::Succeeded if step.undo_failed => ("not undone".to_owned(), String::new()),
        StepState::Compensating | StepState::Compensated => (look_word(step).to_owned(), String::new()),
        StepState::Running | StepState::Cancelling if run.frozen => ("frozen".to_owned(), String::new()),
        StepState::Cancelled => (String::new(), time.unwrap_or_default()),
        _ => {
            let time = time.unwrap_or_default();
            let left = room.saturating_sub(width(&time) + 3);
            let agent = step.agent.map_or("", |agent| cx.app.texts.agent(agent));
            let agent = if left >= 4 { cut_middle(agent, left, ascii).into_owned() } else { String::new() };
            (agent, time)
        }
    }
}

const fn look_word(step: &StepView) -> &'static str {
    crate::report::look::step(step.state).word
}

fn card(pen: &mut Pen<'_>, cx: &Cx<'_>, run: &RunView, id: StepId) {
    let Some(step) = run.steps.get(id.index()) else { return };
    let area = pen.buffer.area;
    let look = cx.look(step);
    let role = pen.theme.role(look.role);
    let selected = cx.app.step == Some(id);
    let frame = match step.state {
        StepState::Pending | StepState::Ready | StepState::Skipped | StepState::Cancelled => pen.part(Part::Frame),
        _ => role.remove_modifier(Modifier::BOLD),
    };
    let frame = if selected { pen.part(Part::FrameFocused) } else { frame };
    pen.border(area, frame);
    if selected {
        heavy(pen, area, frame);
    }
    let quiet = look.role == Role::Idle || look.role == Role::Off;
    let name = pen.part(if selected {
        Part::Strong
    } else if quiet {
        Part::Dim
    } else {
        Part::Text
    });
    pen.sign(2, 1, look.sign(pen.theme.ascii), role);
    pen.name(4, 1, area.width.saturating_sub(6), cx.app.texts.step(id), name);
    if step.injected {
        let mark = pen.injected();
        pen.pieces(area.width.saturating_sub(2), 1, 1, &[mark]);
    }
    let room = usize::from(area.width).saturating_sub(6);
    let (who, time) = status(cx, run, id, room);
    let lower = area.height.saturating_sub(1);
    let style =
        if step.state.active() || matches!(look.role, Role::Bad | Role::Waiting) { role } else { pen.part(Part::Dim) };
    let style = style.remove_modifier(Modifier::BOLD);
    if !who.is_empty() {
        pen.text(2, lower, area.width.saturating_sub(4), &format!(" {who} "), style);
    }
    if !time.is_empty() {
        let wide = cells(i32::try_from(width(&time)).unwrap_or(0) + 2);
        pen.text(area.width.saturating_sub(wide + 2), lower, wide, &format!(" {time} "), style);
    }
}

/// The selected card's frame: heavy, so that it is seen without colour too.
fn heavy(pen: &mut Pen<'_>, area: Rect, style: Style) {
    for cell in &mut pen.buffer.content {
        let sign = match cell.symbol() {
            "╭" => '┏',
            "╮" => '┓',
            "╰" => '┗',
            "╯" => '┛',
            "─" => '━',
            "│" => '┃',
            "-" | "|" | "+" => '#',
            _ => continue,
        };
        cell.set_char(sign).set_style(style);
    }
    debug_assert_eq!(area, pen.buffer.area, "boxes are drawn on their own");
}

/// One line about a step: glyph and name, and its figure if `timed`. `centred` lines meet edges in their middle.
fn line(pen: &mut Pen<'_>, cx: &Cx<'_>, run: &RunView, id: StepId, timed: bool, centred: bool) {
    let Some(step) = run.steps.get(id.index()) else { return };
    let area = pen.buffer.area;
    let figure = if timed { figure(cx, step) } else { String::new() };
    // Down the page lines meet boxes in the middle: without a time the name stands there.
    let from = if centred && timed && figure.is_empty() { 3.min(area.width / 4) } else { 0 };
    let look = cx.look(step);
    let role = pen.theme.role(look.role);
    let name =
        if look.role == Role::Idle || look.role == Role::Off { pen.part(Part::Dim) } else { pen.part(Part::Text) };
    pen.sign(from, 0, look.sign(pen.theme.ascii), role);
    if step.injected {
        let mark = pen.injected();
        pen.pieces(from + 1, 0, 1, &[mark]);
    }
    // A figure takes the last columns, where there is one.
    let end = area.width.saturating_sub(8);
    let name_end = if figure.is_empty() { area.width } else { end.saturating_sub(1) };
    let used = pen.name(from + 2, 0, name_end.saturating_sub(from + 2), cx.app.texts.step(id), name);
    pen.text(end, 0, 7, &figure, role.remove_modifier(Modifier::BOLD));
    if cx.app.step == Some(id) {
        super::mark_row(pen, area, cx.app.focus == Pane::Graph);
        if cx.app.focus != Pane::Graph {
            pen.tint(Rect { x: from + 2, width: used, ..area }, UNDERLINED);
        }
    }
}

/// The one figure about a step: its time, or what is left of its wait.
fn figure(cx: &Cx<'_>, step: &StepView) -> String {
    match (&step.wait, cx.time(step)) {
        (Some(_), _) if step.state == StepState::Waiting => {
            super::waits::figure(&cx.ground(), step).unwrap_or_default()
        }
        (_, Some(time)) => span_fixed(time),
        _ => String::new(),
    }
}

/// The graph as a list: steps in order, indented by level.
fn list(pen: &mut Pen<'_>, room: Rect, cx: &Cx<'_>, run: &RunView) {
    let mut room = room;
    if cx.app.graph.awaited {
        let words =
            format!("drawing the graph of {} steps{}", count(run.steps.len() as u64), super::dots(pen.theme.ascii));
        pen.text(room.x, room.y, room.width, &words, pen.part(Part::Dim));
        room = Rect { y: room.y + 1, height: room.height.saturating_sub(1), ..room };
    }
    let shown = cx.app.texts.order().iter().skip(cx.app.tops.list).take(usize::from(room.height));
    for (row, id) in (0..).zip(shown) {
        let Some(step) = run.steps.get(id.index()) else { continue };
        let at = Rect { y: room.y + row, height: 1, ..room };
        let look = cx.look(step);
        let level = run.shape.level.get(id.index()).copied().unwrap_or(0).min(INDENT_MAX);
        let indent = u16::try_from(level * 2).unwrap_or(0).min(room.width / 3);
        let role = pen.theme.role(look.role);
        pen.sign(at.x + indent, at.y, look.sign(pen.theme.ascii), role);
        if step.injected {
            let mark = pen.injected();
            pen.pieces(at.x + indent + 1, at.y, 1, &[mark]);
        }
        let figure = figure(cx, step);
        let end = at.right().saturating_sub(7);
        let style = pen.part(if look.role == Role::Idle { Part::Dim } else { Part::Text });
        let name_room = end.saturating_sub(at.x + indent + 2);
        pen.name(at.x + indent + 2, at.y, name_room, cx.app.texts.step(*id), style);
        pen.text(end, at.y, 7, &figure, role.remove_modifier(Modifier::BOLD));
        if cx.app.step == Some(*id) {
            super::mark_row(pen, at, cx.app.focus == Pane::Graph);
        }
    }
}
