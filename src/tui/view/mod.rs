//! The screen: a pure function of view, panel and moment. Each pane is a file; this one puts them together.

mod agents;
mod cx;
mod dialog;
mod dialogs;
mod footer;
mod graph;
mod header;
mod help;
mod inspector;
mod json;
mod logs;
mod news;
mod pen;
mod steps;
mod toast;
mod waits;

pub(crate) use agents::agent_at;
pub(crate) use cx::Cx;
pub(crate) use graph::step_at as step_in_graph;
pub(crate) use inspector::text as inspector_text;

use super::app::Overlay;
use super::arrange::Pane;
use super::dialogs::asking;
use super::theme::Part;
use crate::report::format::count;
use crate::report::look::{self, AgentState};
use pen::{Pen, Piece, width_of};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

/// What was counted while drawing: scrolling ends there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Drawn {
    /// Rows the inspector has.
    pub(crate) inspector_rows: usize,
    /// Rows the overlay has.
    pub(crate) overlay_rows: usize,
    /// Rows of a dialog's text that do not fit.
    pub(crate) beyond: usize,
}

/// Draws everything.
pub(crate) fn draw(buffer: &mut Buffer, cx: &Cx<'_>) -> Drawn {
    let mut pen = Pen { buffer, theme: cx.theme };
    let mut drawn = Drawn::default();
    let at = &cx.app.at;
    if at.one_line() {
        one_line(&mut pen, at.header, cx);
        ascii_only(&mut pen);
        return drawn;
    }
    header::draw(&mut pen, at.header, cx);
    news::draw(&mut pen, at.news, cx);
    strip(&mut pen, at.strip, cx);
    for (pane, area) in &at.panes {
        match pane {
            Pane::Graph => graph::draw(&mut pen, *area, cx),
            Pane::Steps => steps::draw(&mut pen, *area, cx),
            Pane::Agents => agents::draw(&mut pen, *area, cx),
            Pane::Logs => logs::draw(&mut pen, *area, cx),
            Pane::Inspector => drawn.inspector_rows = inspector::draw(&mut pen, *area, cx),
        }
    }
    footer::draw(&mut pen, at.footer, cx);
    match &cx.app.overlay {
        Some(Overlay::Help(top)) => drawn.overlay_rows = help::draw(&mut pen, at.screen, *top),
        Some(Overlay::Why(top)) => drawn.overlay_rows = dialog::why(&mut pen, at.screen, cx, *top),
        Some(Overlay::Ask(question)) => dialog::ask(&mut pen, at.screen, question),
        Some(Overlay::Dialog(dialogs)) => drawn.beyond = dialogs::draw(&mut pen, at.screen, cx, dialogs),
        None => {}
    }
    toast::draw(&mut pen, at.screen, cx);
    ascii_only(&mut pen);
    drawn
}

/// State and progress, where nothing else has room.
fn one_line(pen: &mut Pen<'_>, area: Rect, cx: &Cx<'_>) {
    let Some(run) = cx.run else {
        pen.text(area.x, area.y, area.width, "upbeat", pen.part(Part::Dim));
        return;
    };
    let look = look::run_of(run);
    // What asks a person comes before everything else, also in a single cell.
    let mark = if asking(run).next().is_some() { look::ASKS } else { look };
    let (mark, style) = (pen.glyph(mark), pen.theme.role(mark.role));
    let counts = format!(" {}/{}", count(u64::from(run.counts.ended())), count(u64::from(run.counts.total())));
    let clock = format!(" {}", crate::report::format::clock(cx.elapsed(run)));
    let (text, dim) = (pen.part(Part::Text), pen.part(Part::Dim));
    let mut pieces = vec![Piece::new(mark, style)];
    let room = usize::from(area.width);
    for piece in [Piece::new(counts, text), Piece::new(format!(" {}", look.word), style), Piece::new(clock, dim)] {
        if width_of(&pieces) + width_of(std::slice::from_ref(&piece)) <= room {
            pieces.push(piece);
        }
    }
    pen.pieces(area.x, area.y, area.width, &pieces);
}

/// The panes that are not shown, each with its key and its figure.
fn strip(pen: &mut Pen<'_>, area: Rect, cx: &Cx<'_>) {
    if area.is_empty() {
        return;
    }
    let mut x = area.x + 1;
    for pane in Pane::ALL {
        let shown = cx.app.at.of(pane).is_some();
        let style = pen.part(if shown { Part::Strong } else { Part::Dim });
        let figure =
            figure(cx, pane).filter(|_| area.width >= 60).map_or_else(String::new, |figure| format!(" {figure}"));
        let pieces = [
            Piece::new(pane.number().to_string(), pen.part(Part::Key)),
            Piece::new(format!(" {}", name_of(cx, pane)), style),
            Piece::new(figure, pen.part(Part::Dim)),
        ];
        let wide = u16::try_from(width_of(&pieces)).unwrap_or(u16::MAX);
        if x.saturating_add(wide) > area.right() {
            break;
        }
        x += pen.pieces(x, area.y, wide, &pieces) + if area.width >= 60 { 3 } else { 1 };
    }
}

/// One figure about a pane.
fn figure(cx: &Cx<'_>, pane: Pane) -> Option<String> {
    let run = cx.run?;
    let figure = match pane {
        Pane::Graph => return None,
        Pane::Steps => format!("{}/{}", count(u64::from(run.counts.ended())), count(u64::from(run.counts.total()))),
        Pane::Agents => {
            let busy = cx.view.agents.iter().filter(|agent| !agent.busy.is_empty()).count();
            let out = cx.view.agents.iter().filter(|agent| AgentState::of(agent).is_out()).count();
            if out > 0 { format!("{busy} busy, {out} out") } else { format!("{busy} busy") }
        }
        Pane::Logs => count(cx.app.book.len() as u64),
        Pane::Inspector => {
            let name = inspector::subject(cx)?.1;
            crate::report::format::cut_middle(&name, 20, cx.theme.ascii).into_owned()
        }
    };
    Some(figure)
}

/// What a pane is called now: the inspector by what it is about.
fn name_of(cx: &Cx<'_>, pane: Pane) -> &'static str {
    match pane {
        Pane::Inspector => inspector::subject(cx).map_or(pane.name(), |subject| subject.0),
        _ => pane.name(),
    }
}

/// The number and the name of a pane.
fn title(pen: &Pen<'_>, cx: &Cx<'_>, pane: Pane, focused: bool) -> Vec<Piece> {
    let style = pen.part(if focused { Part::Strong } else { Part::Text });
    vec![
        Piece::new(pane.number().to_string(), pen.part(Part::Key)),
        Piece::new(format!(" {}", name_of(cx, pane)), style),
    ]
}

/// Marks the selected row.
fn mark_row(pen: &mut Pen<'_>, row: Rect, focused: bool) {
    if focused {
        let style = pen.part(Part::Selected);
        pen.tint(row, style);
    } else {
        let style = pen.part(Part::SelectedElsewhere);
        pen.tint(row, style);
    }
}

/// The sign that something goes on.
const fn dots(ascii: bool) -> &'static str {
    crate::report::format::ellipsis(ascii)
}

/// A rectangle in the middle of another.
fn centred(screen: Rect, w: u16, h: u16) -> Rect {
    let (w, h) = (w.min(screen.width), h.min(screen.height));
    Rect { x: screen.x + (screen.width - w) / 2, y: screen.y + (screen.height - h) / 2, width: w, height: h }
}

/// On a terminal without Unicode nothing else may reach it, wherever it came from.
fn ascii_only(pen: &mut Pen<'_>) {
    if !pen.theme.ascii {
        return;
    }
    for cell in &mut pen.buffer.content {
        if !cell.symbol().is_ascii() {
            cell.set_char('?');
        }
    }
}
