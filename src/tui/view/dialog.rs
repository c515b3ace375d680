//! Boxes on top of the panes: a question that names what will happen, and the answer to "why?".

use super::cx::Cx;
use super::pen::{Pen, Piece};
use crate::model::safe::Safe;
use crate::report::format::{cut_middle, width};
use crate::tui::app::{Question, inner};
use crate::tui::theme::Part;
use ratatui::layout::Rect;
use unicode_segmentation::UnicodeSegmentation;

/// The widest box.
const WIDTH_MAX: u16 = 72;

/// Text in lines of at most so many cells, broken between words.
pub(crate) fn wrap(text: &str, room: usize) -> Vec<String> {
    let room = room.max(1);
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let last = lines.last_mut().expect("there is always a line");
        if !last.is_empty() && width(last) + 1 + width(word) <= room {
            last.push(' ');
            last.push_str(word);
            continue;
        }
        if !last.is_empty() {
            lines.push(String::new());
        }
        for grapheme in word.graphemes(true) {
            let last = lines.last_mut().expect("there is always a line");
            if width(last) + width(grapheme) > room && !last.is_empty() {
                lines.push(String::new());
            }
            lines.last_mut().expect("there is always a line").push_str(grapheme);
        }
    }
    lines
}

/// A question and its two answers.
pub(crate) fn ask(pen: &mut Pen<'_>, screen: Rect, question: &Question) {
    let room = usize::from(WIDTH_MAX.min(screen.width)).saturating_sub(6);
    let lines: Vec<(bool, String)> = (0..)
        .zip(&question.lines)
        .flat_map(|(place, line)| wrap(line, room).into_iter().map(move |part| (place == 0, part)))
        .collect();
    let wide = lines.iter().map(|(_, line)| width(line)).max().unwrap_or(0).clamp(24, room.max(24)) + 6;
    let tall = u16::try_from(lines.len() + 4).unwrap_or(u16::MAX);
    let area = super::centred(screen, u16::try_from(wide).unwrap_or(WIDTH_MAX), tall);
    pen.clear(area);
    pen.border(area, pen.part(Part::FrameFocused));
    let room = inner(area);
    let mut y = room.y;
    for (first, line) in &lines {
        pen.text(
            room.x + 2,
            y,
            room.width.saturating_sub(3),
            line,
            pen.part(if *first { Part::Strong } else { Part::Text }),
        );
        y += 1;
    }
    let (key, dim) = (pen.part(Part::Key), pen.part(Part::Dim));
    let answers = [Piece::new("y", key), Piece::new(" yes      ", dim), Piece::new("n", key), Piece::new(" no", dim)];
    let y = if lines.len() + 2 <= usize::from(room.height) { y + 1 } else { y };
    if y < room.bottom() {
        pen.pieces(room.x + 2, y, room.width.saturating_sub(2), &answers);
    }
}

/// Why the selected step is where it is; tells how many rows that takes.
pub(crate) fn why(pen: &mut Pen<'_>, screen: Rect, cx: &Cx<'_>, top: usize) -> usize {
    let (Some(run), Some(id)) = (cx.run, cx.app.step) else { return 0 };
    let Some(step) = run.steps.get(id.index()) else { return 0 };
    let room = usize::from(WIDTH_MAX.min(screen.width)).saturating_sub(6);
    let detail = cx.view.detail.as_ref().filter(|detail| (detail.run, detail.step) == (run.id, id));
    let mut lines = Vec::new();
    match detail {
        Some(detail) => {
            for sentence in &detail.why {
                lines.extend(wrap(Safe::line(sentence).as_str(), room));
            }
        }
        None => lines.push(format!("asking the engine{}", super::dots(pen.theme.ascii))),
    }
    let area = super::centred(screen, WIDTH_MAX, u16::try_from(lines.len() + 5).unwrap_or(u16::MAX));
    pen.clear(area);
    let name = cut_middle(cx.app.texts.step(id), room.saturating_sub(12), pen.theme.ascii).into_owned();
    let title = [Piece::new(name, pen.part(Part::Strong))];
    let figures = [Piece::new("Esc", pen.part(Part::Key)), Piece::new(" closes", pen.part(Part::Dim))];
    pen.frame(area, true, &title, &figures);
    let inside = inner(area);
    let look = cx.look(step);
    let state = [Piece::new(format!("{} {}", pen.glyph(look), look.word), pen.theme.role(look.role))];
    if inside.height > 0 {
        pen.pieces(inside.x + 2, inside.y, inside.width.saturating_sub(2), &state);
    }
    for (y, line) in (inside.y + 2..inside.bottom()).zip(lines.iter().skip(top)) {
        pen.text(inside.x + 2, y, inside.width.saturating_sub(3), line, pen.part(Part::Text));
    }
    lines.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_between_words_and_long_words_anywhere() {
        assert_eq!(wrap("a long reason", 8), ["a long", "reason"]);
        assert_eq!(wrap("abcdefghij kl", 4), ["abcd", "efgh", "ij", "kl"]);
        assert_eq!(wrap("", 4), [""]);
        assert_eq!(wrap("日本語", 4), ["日本", "語"]);
    }
}
