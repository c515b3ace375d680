//! The run's log, and behind the same key upbeat's own diagnostics. Only the rows in view are read and made safe.

use super::cx::Cx;
use super::pen::{Pen, Piece};
use crate::model::event::EventKind;
use crate::report::format::{SPAN_WIDTH, count, span_fixed, width};
use crate::report::look::Role;
use crate::runtime::logs::{Body, LogLine, Stream};
use crate::tui::app::{inner, padded};
use crate::tui::arrange::Pane;
use crate::tui::logbook::text;
use crate::tui::theme::Part;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::widgets::Widget;

/// Cells of the source.
const SOURCE_MAX: u16 = 16;

/// Draws the pane.
pub(crate) fn draw(pen: &mut Pen<'_>, area: Rect, cx: &Cx<'_>) {
    let focused = cx.app.focus == Pane::Logs;
    if cx.app.diagnostics {
        diagnostics(pen, area, cx);
        return;
    }
    let book = &cx.app.book;
    let (title, figures) = captions(pen, cx, focused);
    pen.frame(area, focused, &title, &figures);
    let (room, frame) = (padded(area), inner(area));
    let rows = usize::from(room.height);
    if rows == 0 {
        return;
    }
    if book.len() == 0 {
        let words = if book.scope().is_some() { "nothing from this step yet" } else { "nothing was said yet" };
        pen.text(room.x, room.y, room.width, words, pen.part(Part::Dim));
        return;
    }
    let here = book.row();
    let top = (here + 1).saturating_sub(if book.follows() { rows } else { rows.div_ceil(2).max(1) + rows / 2 });
    let top = top.min(book.len().saturating_sub(rows));
    for (y, (row, seq)) in (room.y..room.bottom()).zip((top..).zip(book.rows(top, rows))) {
        let Some(line) = cx.log.since(seq, 1).into_iter().next().filter(|line| line.seq == seq) else { continue };
        let at = Rect { y, height: 1, ..room };
        draw_line(pen, at, cx, &line);
        if focused && row == here && !book.follows() {
            super::mark_row(pen, Rect { x: frame.x, width: frame.width, ..at }, true);
        }
    }
}

fn captions(pen: &Pen<'_>, cx: &Cx<'_>, focused: bool) -> (Vec<Piece>, Vec<Piece>) {
    let book = &cx.app.book;
    let dim = pen.part(Part::Dim);
    let mut title = super::title(pen, cx, Pane::Logs, focused);
    let scope = book.scope().map_or_else(|| "all".to_owned(), |step| cx.app.texts.step(step).to_owned());
    title.push(Piece::new(format!("  {scope}"), dim));
    if !book.query().is_empty() {
        let (at, of) = book.found();
        title.push(Piece::new(format!("  /{}", crate::model::safe::Safe::line(book.query())), pen.part(Part::Key)));
        title.push(Piece::new(format!(" {at} of {of}"), dim));
    }
    let mut figures = Vec::new();
    if !book.follows() {
        let words = if book.unseen > 0 { format!("+{} new", count(book.unseen)) } else { "stands still".to_owned() };
        figures.push(Piece::new(format!("{words}, "), pen.theme.role(Role::Waiting)));
        figures.push(Piece::new("f", pen.part(Part::Key)));
        figures.push(Piece::new(format!(" follows{}", pen.dot()), dim));
    }
    let dropped = cx.log.dropped();
    let lost = if dropped > 0 { format!(", {} older dropped", count(dropped)) } else { String::new() };
    figures.push(Piece::new(format!("{} lines{lost}", count(book.len() as u64)), dim));
    (title, figures)
}

fn draw_line(pen: &mut Pen<'_>, at: Rect, cx: &Cx<'_>, line: &LogLine) {
    let started = cx.run.and_then(|run| run.started).unwrap_or(line.at);
    let dim = pen.part(Part::Dim);
    let mut x = at.x;
    if at.width > 30 {
        pen.text(x, at.y, SPAN_WIDTH as u16, &span_fixed(line.at.saturating_sub(started)), dim);
        x += SPAN_WIDTH as u16 + 1;
    }
    let words = text(line, &cx.app.texts);
    let style = match &line.body {
        Body::Event(event) => event_style(pen, &event.kind),
        Body::Text(stream, _) => {
            let source = line.step.map_or("", |step| cx.app.texts.step(step));
            if cx.app.book.scope().is_none() && at.width > 50 && !source.is_empty() {
                let used = pen.name(x, at.y, SOURCE_MAX, source, dim);
                x += used + 1;
            }
            if *stream == Stream::Note { pen.theme.role(Role::Waiting) } else { pen.part(Part::Text) }
        }
    };
    let room = at.right().saturating_sub(x);
    pen.text(x, at.y, room, words.as_str(), style);
    underline(pen, Rect { x, width: room, ..at }, words.as_str(), cx.app.book.query());
}

/// Underlines what was found.
fn underline(pen: &mut Pen<'_>, at: Rect, text: &str, query: &str) {
    if query.is_empty() || !text.to_lowercase().contains(query) {
        return;
    }
    let style = pen.part(Part::Match);
    if !text.is_ascii() {
        pen.tint(at, style);
        return;
    }
    for (from, found) in text.to_ascii_lowercase().match_indices(query) {
        let from = u16::try_from(from).unwrap_or(u16::MAX);
        if from < at.width {
            let wide = u16::try_from(width(found)).unwrap_or(0).min(at.width - from);
            pen.tint(Rect { x: at.x + from, width: wide, ..at }, style);
        }
    }
}

fn event_style(pen: &Pen<'_>, kind: &EventKind) -> Style {
    let role = match kind {
        EventKind::StepFailed { .. } | EventKind::AttemptFailed { .. } | EventKind::CompensationFailed { .. } => {
            Role::Bad
        }
        EventKind::AgentBroken { injected: true, .. } | EventKind::FaultFired { .. } => Role::Fault,
        EventKind::AgentBroken { .. } => Role::Bad,
        EventKind::StepSucceeded { .. } | EventKind::AgentHealed { .. } | EventKind::RunFinished { .. } => Role::Good,
        EventKind::RunCompensating { .. }
        | EventKind::StepCompensating { .. }
        | EventKind::StepCompensated { .. }
        | EventKind::RunRolledBack { .. } => Role::Ending,
        EventKind::StepWaiting { .. }
        | EventKind::RunEscalated { .. }
        | EventKind::RunAnswered { .. }
        | EventKind::AgentParked { .. }
        | EventKind::BreakerChanged { .. }
        | EventKind::FallbackTaken { .. }
        | EventKind::CommandRefused { .. }
        | EventKind::RunPausing { .. }
        | EventKind::RunPaused { .. } => Role::Waiting,
        _ => return pen.part(Part::Dim),
    };
    pen.theme.role(role).remove_modifier(Modifier::BOLD)
}

fn diagnostics(pen: &mut Pen<'_>, area: Rect, cx: &Cx<'_>) {
    let focused = cx.app.focus == Pane::Logs;
    let mut title = super::title(pen, cx, Pane::Logs, focused);
    title.push(Piece::new("  upbeat's own diagnostics", pen.part(Part::Dim)));
    let figures = [Piece::new("4", pen.part(Part::Key)), Piece::new(" the run's log", pen.part(Part::Dim))];
    pen.frame(area, focused, &title, &figures);
    let widget = tui_logger::TuiLoggerWidget::default()
        .output_separator(' ')
        .output_timestamp(Some("%H:%M:%S".to_owned()))
        .output_level(Some(tui_logger::TuiLoggerLevelOutput::Abbreviated))
        .output_file(false)
        .output_line(false)
        .style_error(pen.theme.role(Role::Bad))
        .style_warn(pen.theme.role(Role::Waiting))
        .style_debug(pen.part(Part::Dim))
        .style_trace(pen.part(Part::Dim));
    let room = inner(area).intersection(pen.buffer.area);
    if !room.is_empty() {
        widget.render(room, pen.buffer);
    }
}
