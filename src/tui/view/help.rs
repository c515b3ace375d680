//! The help: every key, from the table.

use super::pen::{Pen, Piece};
use crate::model::action::{ACTIONS, ActionRow, Section};
use crate::report::format::width;
use crate::tui::app::inner;
use crate::tui::keymap::label;
use crate::tui::theme::Part;
use ratatui::layout::Rect;

/// Cells for the keys.
const KEYS: usize = 14;
/// The widest help.
const WIDTH_MAX: u16 = 86;

/// Draws it; tells how many rows it has.
pub(crate) fn draw(pen: &mut Pen<'_>, screen: Rect, top: usize) -> usize {
    let lines = lines(pen);
    let tall = u16::try_from(lines.len() + 2).unwrap_or(u16::MAX);
    let area = super::centred(screen, WIDTH_MAX.min(screen.width), tall.min(screen.height.saturating_sub(2)));
    pen.clear(area);
    let rows = usize::from(area.height.saturating_sub(2));
    let top = top.min(lines.len().saturating_sub(rows));
    let more = lines.len().saturating_sub(top + rows);
    let title = [Piece::new("keys", pen.part(Part::Strong))];
    let mut figures = Vec::new();
    if more > 0 {
        figures.push(Piece::new(format!("{more} more{}", pen.dot()), pen.part(Part::Dim)));
    }
    figures.extend([Piece::new("Esc", pen.part(Part::Key)), Piece::new(" closes", pen.part(Part::Dim))]);
    pen.frame(area, true, &title, &figures);
    let room = inner(area);
    for (y, line) in (room.y..room.bottom()).zip(lines.iter().skip(top)) {
        pen.pieces(room.x + 1, y, room.width.saturating_sub(2), line);
    }
    lines.len()
}

fn lines(pen: &Pen<'_>) -> Vec<Vec<Piece>> {
    let mut lines = Vec::new();
    for section in Section::ALL {
        if !lines.is_empty() {
            lines.push(Vec::new());
        }
        lines.push(vec![Piece::new(section.title(), pen.part(Part::Strong))]);
        // What can be done comes first; what comes later is there, but out of the way.
        let rows = |built: bool| ACTIONS.iter().filter(move |row| row.section == section && row.built == built);
        lines.extend(rows(true).chain(rows(false)).map(|row| line(pen, row)));
    }
    lines
}

fn line(pen: &Pen<'_>, row: &ActionRow) -> Vec<Piece> {
    let keys: Vec<String> = row.keys.iter().map(|key| label(key, pen.theme.ascii)).collect();
    let keys = keys.join(" ");
    let pad = KEYS.saturating_sub(width(&keys));
    let (key, doc) = if row.built {
        (pen.part(Part::Key), pen.part(Part::Text))
    } else {
        (pen.part(Part::Dim), pen.part(Part::Dim))
    };
    let later = if row.built { "" } else { " (comes later)" };
    vec![Piece::new(format!("  {keys}{:pad$}", ""), key), Piece::new(format!("{}{later}", row.doc), doc)]
}
