//! The mouse: a click focuses and selects, the wheel scrolls what is under the pointer.

use super::app::{App, Overlay, inner};
use super::arrange::Pane;
use super::consult::scrolled;
use super::view::{agent_at, step_in_graph};
use crate::model::view::EngineView;
use ratatui::crossterm::event::{MouseButton, MouseEvent, MouseEventKind};

/// Rows and columns a notch of the wheel scrolls.
const NOTCH: isize = 3;

/// Something was done with the mouse; tells whether anything changed.
pub(crate) fn mouse(app: &mut App, view: &EngineView, event: MouseEvent) -> bool {
    match event.kind {
        MouseEventKind::Down(MouseButton::Left) => click(app, view, event.column, event.row),
        MouseEventKind::ScrollUp => wheel(app, event, (0, -NOTCH)),
        MouseEventKind::ScrollDown => wheel(app, event, (0, NOTCH)),
        MouseEventKind::ScrollLeft => wheel(app, event, (-NOTCH, 0)),
        MouseEventKind::ScrollRight => wheel(app, event, (NOTCH, 0)),
        _ => false,
    }
}

fn click(app: &mut App, view: &EngineView, x: u16, y: u16) -> bool {
    match app.overlay {
        // A question wants a key: a stray click shall not answer it.
        Some(Overlay::Ask(_) | Overlay::Dialog(_)) => return false,
        Some(_) => {
            app.overlay = None;
            return true;
        }
        None => {}
    }
    let Some((pane, area)) = app.at.at(x, y) else { return false };
    app.focus(pane);
    match pane {
        Pane::Graph => {
            if let Some(step) = step_in_graph(app, area, x, y) {
                app.follows = false;
                let held = app.graph.viewport.held;
                app.select(step);
                // What was clicked is in view: nothing has to move under the pointer.
                app.graph.viewport.held = held;
            }
        }
        Pane::Steps => {
            let row = usize::from(y.saturating_sub(inner(area).y + 1));
            let clicked = app.texts.order().get(app.tops.steps + row).copied();
            if let Some(step) = clicked.filter(|_| y > inner(area).y && inner(area).contains((x, y).into())) {
                app.follows = false;
                app.select(step);
            }
        }
        Pane::Agents => app.agent = agent_at(app, view, area, x, y).or(app.agent),
        Pane::Logs | Pane::Inspector => {}
    }
    true
}

fn wheel(app: &mut App, event: MouseEvent, (dx, dy): (isize, isize)) -> bool {
    let shown = usize::from(app.at.screen.height).saturating_sub(4);
    match &mut app.overlay {
        Some(Overlay::Help(top) | Overlay::Why(top)) => {
            *top = top.saturating_add_signed(dy).min(app.overlay_rows.saturating_sub(shown));
            return true;
        }
        Some(Overlay::Ask(_)) => return false,
        Some(Overlay::Dialog(_)) => return scrolled(app, dy.signum()),
        None => {}
    }
    let Some((pane, _)) = app.at.at(event.column, event.row) else { return false };
    let rows = app.rows_of(pane);
    match pane {
        Pane::Graph if app.graph.drawing.is_some() && !app.at.graph_as_list => {
            let n = |way: isize| i32::try_from(way).unwrap_or(0);
            app.graph.viewport.scroll(n(dx) * 2, n(dy));
        }
        Pane::Graph | Pane::Steps => {
            let order = app.texts.order();
            let row = app.step.map_or(0, |step| app.texts.row(step));
            let to = row.saturating_add_signed(dy).min(order.len().saturating_sub(1));
            if let Some(step) = order.get(to).copied() {
                app.follows = false;
                app.select(step);
            }
        }
        Pane::Agents => return false,
        Pane::Logs => app.book.step(dy),
        Pane::Inspector => {
            let last = app.inspector_rows.saturating_sub(rows);
            app.tops.inspector = app.tops.inspector.saturating_add_signed(dy).min(last);
        }
    }
    true
}
