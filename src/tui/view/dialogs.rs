//! The one place that draws dialogs: text that scrolls, what is typed, choices, what Enter would do, and the keys.
//!
//! Where there is little room the choices and what they would do come first; text scrolls in what is left.

use super::cx::Cx;
use super::dialog::wrap;
use super::pen::{Pen, Piece, width_of};
use crate::report::format::{cut_middle, width};
use crate::tui::app::inner;
use crate::tui::dialogs::{Dialogs, Field, Note, Page, Row, Scene};
use crate::tui::theme::Part;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};

/// The widest box.
const WIDTH_MAX: u16 = 84;
/// Rows kept for what Enter would do, where rows are short.
const NOTES_LEAST: usize = 3;
/// Rows kept for the text, where rows are short.
const TEXT_LEAST: usize = 2;

type Line = Vec<Piece>;

/// The page of the dialog on top.
pub(super) fn page(cx: &Cx<'_>, dialogs: &Dialogs) -> Option<Page> {
    let run = cx.run?;
    let scene = Scene { view: cx.view, run, texts: &cx.app.texts, now: cx.now, beyond: cx.app.beyond };
    Some(dialogs.top().page(&scene))
}

/// Its keys and what they do, for the last line of the box and of the screen.
pub(super) fn keys(pen: &Pen<'_>, page: &Page) -> Line {
    let mut line = Vec::new();
    for (key, words) in &page.keys {
        let gap = if line.is_empty() { "" } else { "   " };
        let key = if pen.theme.ascii {
            key.replace("↑↓", "Up Down").replace("←→", "Left Right")
        } else {
            (*key).to_owned()
        };
        line.push(Piece::new(format!("{gap}{key}"), pen.part(Part::Key)));
        line.push(Piece::new(format!(" {words}"), pen.part(Part::Dim)));
    }
    line
}

/// Draws it; tells how many rows of its text do not fit.
pub(crate) fn draw(pen: &mut Pen<'_>, screen: Rect, cx: &Cx<'_>, dialogs: &Dialogs) -> usize {
    let Some(page) = page(cx, dialogs) else { return 0 };
    let wide = WIDTH_MAX.min(screen.width);
    let room = usize::from(wide).saturating_sub(4).max(1);
    let text: Vec<String> = page.text.iter().flat_map(|line| wrap(line, room)).collect();
    let field = page.field.as_ref().map_or_else(Vec::new, |field| typed(pen, field, room));
    let notes: Vec<Line> = page.notes.iter().flat_map(|note| noted(pen, note, room)).collect();
    // Frame and keys are three rows; a blank row stands between parts, where there is room.
    let most = usize::from(screen.height).saturating_sub(3);
    let parts = [text.len(), field.len(), page.rows.len(), notes.len()];
    let used = parts.iter().filter(|rows| **rows > 0).count();
    let blank = usize::from(parts.iter().sum::<usize>() + used <= most);
    let free = most.saturating_sub(used * blank);
    let shares = shares(parts, free);
    let tall = shares.iter().sum::<usize>() + used * blank + 3;
    let area = super::centred(screen, wide, u16::try_from(tall).unwrap_or(u16::MAX));
    pen.clear(area);
    let title = cut_middle(&page.title, room.saturating_sub(2), pen.theme.ascii).into_owned();
    let hidden = shares[2] < page.rows.len();
    let place = format!("{} of {}", page.cursor.unwrap_or(0) + 1, page.rows.len());
    let figures = if hidden { vec![Piece::new(place, pen.part(Part::Dim))] } else { Vec::new() };
    pen.frame(area, true, &[Piece::new(title, pen.part(Part::Strong))], &figures);
    let inside = inner(area);
    let mut at = Rect { x: inside.x + 1, y: inside.y, width: inside.width.saturating_sub(2), height: 0 };
    let [text_rows, field_rows, choice_rows, note_rows] = shares.map(|rows| u16::try_from(rows).unwrap_or(u16::MAX));
    let mut next = |rows: u16| {
        at = Rect { y: at.y + at.height, height: rows, ..at };
        let own = at.intersection(inside);
        at.height += if rows > 0 { u16::from(blank > 0) } else { 0 };
        own
    };
    let beyond = text.len().saturating_sub(shares[0]);
    let (text_at, field_at, rows_at, notes_at) =
        (next(text_rows), next(field_rows), next(choice_rows), next(note_rows));
    paragraphs(pen, text_at, &text, page.top.min(beyond));
    lines(pen, field_at, &field, tail(&field, field_at));
    choices(pen, rows_at, &page);
    lines(pen, notes_at, &notes, 0);
    let keys_at = Rect {
        x: inside.x + 1,
        y: inside.bottom().saturating_sub(1),
        width: inside.width.saturating_sub(2),
        height: 1,
    };
    let below = keys_at.y >= notes_at.bottom().max(rows_at.bottom()).max(field_at.bottom()).max(text_at.bottom());
    if below && inside.height > 0 {
        let keys = keys(pen, &page);
        pen.pieces(keys_at.x, keys_at.y, keys_at.width, &keys);
    }
    beyond
}

/// Rows for text, field, choices and notes where there is not enough for all: text gives way first, then notes.
fn shares([text, field, rows, notes]: [usize; 4], free: usize) -> [usize; 4] {
    let field_rows = field.min(free);
    let mut left = free - field_rows;
    let kept = text.min(TEXT_LEAST).min(left / 2) + notes.min(NOTES_LEAST).min(left / 2);
    let choice_rows = rows.min(left.saturating_sub(kept).max(1)).min(left);
    left -= choice_rows;
    let note_rows = notes.min(left.saturating_sub(text.min(TEXT_LEAST)));
    left -= note_rows;
    [text.min(left), field_rows, choice_rows, note_rows]
}

fn paragraphs(pen: &mut Pen<'_>, area: Rect, text: &[String], top: usize) {
    let style = pen.part(Part::Text);
    for (y, line) in (area.y..area.bottom()).zip(text.iter().skip(top)) {
        pen.text(area.x, y, area.width, line, style);
    }
    let more = text.len().saturating_sub(top + usize::from(area.height));
    if more > 0 && area.height > 0 {
        let words = format!(" {more} more ");
        let wide = u16::try_from(width(&words)).unwrap_or(0).min(area.width);
        let style = pen.part(Part::Key);
        pen.text(area.right() - wide, area.bottom() - 1, wide, &words, style);
    }
}

/// The first row shown so that the cursor, which stands in a row of its own style, is seen.
fn tail(field: &[Line], area: Rect) -> usize {
    let row = field.iter().position(|line| line.iter().any(|piece| is_cursor(piece.style))).unwrap_or(0);
    (row + 1).saturating_sub(usize::from(area.height))
}

fn is_cursor(style: Style) -> bool {
    style.add_modifier.contains(Modifier::REVERSED)
}

fn lines(pen: &mut Pen<'_>, area: Rect, lines: &[Line], top: usize) {
    for (y, line) in (area.y..area.bottom()).zip(lines.iter().skip(top)) {
        pen.pieces(area.x, y, area.width, line);
    }
}

/// What is typed, broken anywhere, with a cursor that is seen without colours.
fn typed(pen: &Pen<'_>, field: &Field, room: usize) -> Vec<Line> {
    use unicode_segmentation::UnicodeSegmentation;
    let (text, cursor) = (pen.part(Part::Text), Style::new().add_modifier(Modifier::REVERSED));
    let end = [" "];
    let left = field.before.graphemes(true).map(|g| (g, text));
    let right = field.after.graphemes(true).chain(end).enumerate();
    let right = right.map(|(place, g)| (g, if place == 0 { cursor } else { text }));
    let mut rows: Vec<Line> = vec![Vec::new()];
    let mut used = 0;
    for (grapheme, style) in left.chain(right) {
        let wide = width(grapheme);
        if used + wide > room && used > 0 {
            rows.push(Vec::new());
            used = 0;
        }
        used += wide;
        match rows.last_mut() {
            Some(row) => match row.last_mut() {
                Some(piece) if piece.style == style => piece.text.push_str(grapheme),
                _ => row.push(Piece::new(grapheme, style)),
            },
            None => rows.push(vec![Piece::new(grapheme, style)]),
        }
    }
    rows
}

fn noted(pen: &Pen<'_>, note: &Note, room: usize) -> Vec<Line> {
    let style = match note.role {
        Some(role) => pen.theme.role(role).remove_modifier(Modifier::BOLD),
        None => pen.part(Part::Text),
    };
    wrap(&note.text, room).into_iter().map(|line| vec![Piece::new(line, style)]).collect()
}

fn choices(pen: &mut Pen<'_>, area: Rect, page: &Page) {
    let rows = usize::from(area.height);
    if rows == 0 {
        return;
    }
    let cursor = page.cursor.unwrap_or(0);
    let top = cursor.saturating_sub(rows - 1);
    let labels = page.rows.iter().map(|row| width(&row.label)).max().unwrap_or(0);
    let lettered = page.rows.iter().any(|row| row.key.is_some());
    for (place, (y, row)) in (top..).zip((area.y..area.bottom()).zip(page.rows.iter().skip(top))) {
        let line = Rect { y, height: 1, ..area };
        choice(pen, line, row, labels, lettered);
        if page.cursor == Some(place) {
            super::mark_row(pen, line, true);
        }
    }
}

fn choice(pen: &mut Pen<'_>, line: Rect, row: &Row, labels: usize, lettered: bool) {
    let (key, text, dim) = (pen.part(Part::Key), pen.part(Part::Text), pen.part(Part::Dim));
    let letter = if lettered { format!(" {}  ", row.key.unwrap_or(' ')) } else { " ".to_owned() };
    let used = pen.text(line.x, line.y, line.width, &letter, key);
    let left = line.width.saturating_sub(used);
    // The label keeps at least half; what stands beside it may be cut.
    let column =
        u16::try_from(labels).unwrap_or(u16::MAX).min(if row.note.is_empty() { left } else { (left / 2).max(12) });
    let style = if row.idle { dim } else { text };
    let label = row.label.replace('…', super::dots(pen.theme.ascii));
    pen.name(line.x + used, line.y, column.min(left), &label, style);
    let beside = [Piece::new(row.note.clone(), dim)];
    if width_of(&beside) > 0 && left > column + 2 {
        pen.pieces(line.x + used + column + 2, line.y, left - column - 2, &beside);
    }
}
