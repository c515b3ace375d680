//! Moving about: rows in lists, neighbours in the graph, lines in the log.

use super::app::{App, Overlay};
use super::arrange::Pane;
use crate::model::action::Action;
use crate::model::id::{AgentId, StepId};
use crate::model::view::EngineView;
use crate::report::graph::Step as Way;

/// Rows that an action moves by, where a page has so many.
fn rows(action: Action, page: usize) -> isize {
    let page = isize::try_from(page.saturating_sub(2).max(1)).unwrap_or(1);
    match action {
        Action::Up => -1,
        Action::Down => 1,
        Action::PageUp => -page,
        Action::PageDown => page,
        Action::HalfPageUp => -(page / 2).max(1),
        Action::HalfPageDown => (page / 2).max(1),
        Action::First => isize::MIN / 2,
        Action::Last => isize::MAX / 2,
        _ => 0,
    }
}

/// The first row shown, after scrolling by some rows.
fn scrolled(top: usize, by: isize, count: usize, shown: usize) -> usize {
    top.saturating_add_signed(by).min(count.saturating_sub(shown))
}

/// Moves in the focused pane, or in what lies on top.
pub(crate) fn travel(app: &mut App, view: &EngineView, action: Action) {
    let way = rows(action, app.rows_of(app.focus));
    let shown = usize::from(app.at.screen.height).saturating_sub(4);
    if let Some(Overlay::Help(top) | Overlay::Why(top)) = &mut app.overlay {
        *top = scrolled(*top, rows(action, shown), app.overlay_rows, shown);
        return;
    }
    if app.focus == Pane::Graph && !app.at.graph_as_list && walk(app, action) {
        return;
    }
    match app.focus {
        Pane::Graph | Pane::Steps => {
            let order = app.texts.order();
            let row = app.step.map_or(0, |step| app.texts.row(step));
            let to = row.saturating_add_signed(way).min(order.len().saturating_sub(1));
            if let Some(step) = order.get(to).copied().filter(|_| way != 0) {
                app.follows = false;
                app.select(step);
            }
        }
        Pane::Agents => {
            let way = match action {
                Action::Left => -1,
                Action::Right => 1,
                _ => way,
            };
            let at = app.agent.map_or(0, AgentId::index).saturating_add_signed(way);
            app.agent = view.agents.get(at.min(view.agents.len().saturating_sub(1))).map(|agent| agent.id);
        }
        Pane::Logs => match action {
            Action::First => app.book.go(0),
            Action::Last => app.book.follow(),
            Action::Left | Action::Right => {}
            _ => app.book.step(way),
        },
        Pane::Inspector => {
            let shown = app.rows_of(Pane::Inspector);
            app.tops.inspector = scrolled(app.tops.inspector, way, app.inspector_rows, shown);
        }
    }
}

/// Moves along the picture; `false` where that means nothing and rows are to be moved instead.
fn walk(app: &mut App, action: Action) -> bool {
    let way = match action {
        Action::Left => Way::Left,
        Action::Right => Way::Right,
        Action::Up => Way::Up,
        Action::Down => Way::Down,
        _ => return false,
    };
    let (Some(drawing), Some(step)) = (&app.graph.drawing, app.step) else { return false };
    app.follows = false;
    if let Some(next) = drawing.layout.neighbour(step.0, way).map(StepId) {
        app.select(next);
    }
    app.graph.viewport.held = false;
    true
}
