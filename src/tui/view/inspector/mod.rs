//! Everything about one thing: the selected step, the selected agent, or the run.

mod agent;
mod breaker;
mod run;
mod step;

use super::cx::Cx;
use super::pen::{Pen, Piece, width_of};
use crate::report::format::{cut_middle, width};
use crate::tui::app::{Subject, padded};
use crate::tui::arrange::Pane;
use crate::tui::theme::Part;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};

/// Cells of the labels.
const LABEL: usize = 9;

type Line = Vec<Piece>;

/// Draws the pane; tells how many rows there are to scroll through.
pub(crate) fn draw(pen: &mut Pen<'_>, area: Rect, cx: &Cx<'_>) -> usize {
    let focused = cx.app.focus == Pane::Inspector;
    let mut title = super::title(pen, cx, Pane::Inspector, focused);
    if let Some((_, name)) = subject(cx) {
        let room = usize::from(area.width).saturating_sub(14);
        let name = cut_middle(&name, room, pen.theme.ascii).into_owned();
        title.push(Piece::new(format!("  {name}"), pen.part(Part::Strong)));
    }
    let room = padded(area);
    let lines: Vec<Line> = lines(pen, cx).into_iter().flat_map(|line| wrapped(line, usize::from(room.width))).collect();
    let top = cx.app.tops.inspector.min(lines.len().saturating_sub(usize::from(room.height)));
    let more = lines.len().saturating_sub(top + usize::from(room.height));
    let figures = if more > 0 { vec![Piece::new(format!("{more} more"), pen.part(Part::Dim))] } else { Vec::new() };
    pen.frame(area, focused, &title, &figures);
    for (y, line) in (room.y..room.bottom()).zip(lines.iter().skip(top)) {
        pen.pieces(room.x, y, room.width, line);
    }
    lines.len()
}

/// A line in as many rows as it needs; later rows stand below the text, not below the label.
fn wrapped(line: Line, room: usize) -> Vec<Line> {
    if width_of(&line) <= room || room < 24 {
        return vec![line];
    }
    let indent = if line.first().is_some_and(|piece| width(&piece.text) == LABEL + 1) { LABEL + 1 } else { 4 };
    let mut rows: Vec<Line> = vec![Vec::new()];
    let mut used = 0;
    for piece in line {
        for word in piece.text.split_inclusive(' ') {
            let own = width(word.trim_end());
            if used > indent && used + own > room {
                rows.push(vec![Piece::new(" ".repeat(indent), Style::new())]);
                used = indent;
            }
            let row = rows.last_mut().expect("there is always a row");
            row.push(Piece::new(word, piece.style));
            used += width(word);
        }
    }
    for last in rows.iter_mut().filter_map(|row| row.last_mut()) {
        last.text.truncate(last.text.trim_end().len());
    }
    rows
}

/// The same as text.
pub(crate) fn text(cx: &Cx<'_>) -> String {
    let mut buffer = ratatui::buffer::Buffer::empty(Rect::new(0, 0, 1, 1));
    let pen = Pen { buffer: &mut buffer, theme: cx.theme };
    let text = |line: &Line| line.iter().map(|piece| piece.text.as_str()).collect::<String>().trim_end().to_owned();
    lines(&pen, cx).iter().map(text).collect::<Vec<_>>().join("\n")
}

/// What it is about: the kind of thing, and its name.
pub(super) fn subject(cx: &Cx<'_>) -> Option<(&'static str, String)> {
    let run = cx.run?;
    Some(match cx.app.subject(run) {
        Subject::Step => ("step", cx.app.texts.step(cx.app.step?).to_owned()),
        Subject::Agent => ("agent", cx.app.texts.agent(cx.app.agent?).to_owned()),
        Subject::Run => ("run", cx.app.texts.run.as_str().to_owned()),
    })
}

fn lines(pen: &Pen<'_>, cx: &Cx<'_>) -> Vec<Line> {
    let Some(run) = cx.run else { return Vec::new() };
    match cx.app.subject(run) {
        Subject::Step => cx.app.step.map_or_else(Vec::new, |id| step::lines(pen, cx, run, id)),
        Subject::Agent => {
            let agent = cx.app.agent.and_then(|agent| cx.view.agents.get(agent.index()));
            agent.map_or_else(Vec::new, |shown| agent::lines(pen, cx, run, shown))
        }
        Subject::Run => run::lines(pen, cx, run),
    }
}

fn heading(pen: &Pen<'_>, text: &str, lines: &mut Vec<Line>) {
    lines.push(Vec::new());
    lines.push(vec![Piece::new(text, pen.part(Part::Dim).add_modifier(Modifier::UNDERLINED))]);
}

fn labelled(pen: &Pen<'_>, label: &str, text: String) -> Line {
    vec![Piece::new(format!("{label:LABEL$} "), pen.part(Part::Dim)), Piece::new(text, pen.part(Part::Text))]
}
