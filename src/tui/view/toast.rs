//! Messages that go by themselves, above the footer on the right.

use super::cx::Cx;
use super::dialog::wrap;
use super::pen::{Pen, Piece};
use crate::report::format::width;
use crate::report::look::Role;
use crate::tui::theme::Part;
use ratatui::layout::Rect;

/// The widest message.
const WIDTH_MAX: u16 = 62;

/// Draws them.
pub(crate) fn draw(pen: &mut Pen<'_>, screen: Rect, cx: &Cx<'_>) {
    if cx.app.toasts.is_empty() {
        return;
    }
    let room = usize::from(WIDTH_MAX.min(screen.width)).saturating_sub(6).max(1);
    let mut lines: Vec<Vec<Piece>> = Vec::new();
    for toast in &cx.app.toasts {
        let (mark, style) = match toast.role {
            Role::Bad | Role::Fault => ("!", pen.theme.role(toast.role)),
            Role::Good => ("+", pen.theme.role(toast.role)),
            _ => ("i", pen.part(Part::Key)),
        };
        for (place, part) in wrap(toast.text.as_str(), room).into_iter().enumerate() {
            let mark = if place == 0 { mark } else { " " };
            lines.push(vec![Piece::new(format!("{mark} "), style), Piece::new(part, pen.part(Part::Text))]);
        }
    }
    let most = usize::from(screen.height.saturating_sub(4)).max(1);
    let lines = &lines[lines.len().saturating_sub(most)..];
    let wide = lines.iter().map(|line| line.iter().map(|piece| width(&piece.text)).sum::<usize>()).max().unwrap_or(0);
    let wide = u16::try_from(wide + 4).unwrap_or(WIDTH_MAX).min(screen.width);
    let tall = u16::try_from(lines.len() + 2).unwrap_or(u16::MAX).min(screen.height);
    let area =
        Rect { x: screen.right() - wide, y: screen.bottom().saturating_sub(tall + 1), width: wide, height: tall };
    pen.clear(area);
    pen.border(area, pen.part(Part::FrameFocused));
    for (y, line) in (area.y + 1..area.bottom().saturating_sub(1)).zip(lines) {
        pen.pieces(area.x + 2, y, area.width.saturating_sub(3), line);
    }
}
