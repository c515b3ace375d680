//! Writing into cells: text that never leaves its place, spans in a row, frames with titles.

use crate::report::format::{cut, cut_middle, width};
use crate::report::look::{INJECTED, Look};
use crate::tui::theme::{Part, Theme};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

/// A piece of text with a style.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) text: String,
    pub(crate) style: Style,
}

impl Piece {
    pub(crate) fn new(text: impl Into<String>, style: Style) -> Self {
        Self { text: text.into(), style }
    }
}

/// Cells of some pieces.
pub(crate) fn width_of(pieces: &[Piece]) -> usize {
    pieces.iter().map(|piece| width(&piece.text)).sum()
}

/// A buffer with the theme it is drawn in.
pub(crate) struct Pen<'b> {
    pub(crate) buffer: &'b mut Buffer,
    pub(crate) theme: Theme,
}

impl Pen<'_> {
    /// The style of a part.
    pub(crate) fn part(&self, part: Part) -> Style {
        self.theme.part(part)
    }

    /// Writes into at most `room` cells from `x` on; tells how many were used. What is too long loses its end.
    pub(crate) fn text(&mut self, x: u16, y: u16, room: u16, text: &str, style: Style) -> u16 {
        let shown = cut(text, usize::from(room), self.theme.ascii);
        self.put(x, y, room, &shown, style)
    }

    /// The same; what is too long loses its middle.
    pub(crate) fn name(&mut self, x: u16, y: u16, room: u16, text: &str, style: Style) -> u16 {
        let shown = cut_middle(text, usize::from(room), self.theme.ascii);
        self.put(x, y, room, &shown, style)
    }

    fn put(&mut self, x: u16, y: u16, room: u16, text: &str, style: Style) -> u16 {
        if !self.buffer.area.contains((x, y).into()) {
            return 0;
        }
        // What lay there before (a frame, a row) leaves no weight or colour behind.
        let wide = u16::try_from(width(text)).unwrap_or(u16::MAX).min(room);
        self.clear(Rect { x, y, width: wide, height: 1 });
        let (end, _) = self.buffer.set_stringn(x, y, text, usize::from(room), style);
        end.saturating_sub(x)
    }

    /// One cell.
    pub(crate) fn sign(&mut self, x: u16, y: u16, sign: char, style: Style) {
        if let Some(cell) = self.buffer.cell_mut((x, y)) {
            cell.reset();
            cell.set_char(sign).set_style(style);
        }
    }

    /// Pieces one after the other; the one that does not fit is cut, the rest left out.
    pub(crate) fn pieces(&mut self, x: u16, y: u16, room: u16, pieces: &[Piece]) -> u16 {
        let mut used = 0;
        for piece in pieces {
            let left = room.saturating_sub(used);
            if left == 0 {
                break;
            }
            used += self.text(x + used, y, left, &piece.text, piece.style);
            if width(&piece.text) > usize::from(left) {
                break;
            }
        }
        used
    }

    /// Clears an area.
    pub(crate) fn clear(&mut self, area: Rect) {
        let area = area.intersection(self.buffer.area);
        for y in area.top()..area.bottom() {
            for x in area.left()..area.right() {
                if let Some(cell) = self.buffer.cell_mut((x, y)) {
                    cell.reset();
                }
            }
        }
    }

    /// Lays a style over a row.
    pub(crate) fn tint(&mut self, area: Rect, style: Style) {
        let area = area.intersection(self.buffer.area);
        self.buffer.set_style(area, style);
    }

    /// A frame. The title stands left, the figures right; what has no room is left out, figures first.
    pub(crate) fn frame(&mut self, area: Rect, focused: bool, title: &[Piece], figures: &[Piece]) {
        let style = self.part(if focused { Part::FrameFocused } else { Part::Frame });
        self.border(area, style);
        if area.height == 0 || area.width < 8 {
            return;
        }
        let room = area.width - 4;
        let own = u16::try_from(width_of(title)).unwrap_or(u16::MAX);
        let end = self.caption(area.x + 1, area.y, room, title);
        let wide = u16::try_from(width_of(figures)).unwrap_or(u16::MAX);
        if !figures.is_empty() && own.saturating_add(wide).saturating_add(5) <= room {
            let at = area.right() - wide - 3;
            if at > end {
                self.caption(at, area.y, wide + 2, figures);
            }
        }
    }

    /// Text set into a frame, with a space on either side; tells where it ends.
    fn caption(&mut self, x: u16, y: u16, room: u16, pieces: &[Piece]) -> u16 {
        self.text(x, y, 1, " ", Style::new());
        let used = self.pieces(x + 1, y, room.saturating_sub(1), pieces);
        self.text(x + 1 + used, y, 1, " ", Style::new());
        x + used + 2
    }

    /// The lines of a frame.
    pub(crate) fn border(&mut self, area: Rect, style: Style) {
        let area = area.intersection(self.buffer.area);
        if area.width < 2 || area.height < 2 {
            return;
        }
        let [corner_a, corner_b, corner_c, corner_d, level, upright] =
            if self.theme.ascii { ['+', '+', '+', '+', '-', '|'] } else { ['╭', '╮', '╰', '╯', '─', '│'] };
        let (right, bottom) = (area.right() - 1, area.bottom() - 1);
        for x in area.left() + 1..right {
            self.sign(x, area.y, level, style);
            self.sign(x, bottom, level, style);
        }
        for y in area.top() + 1..bottom {
            self.sign(area.x, y, upright, style);
            self.sign(right, y, upright, style);
        }
        self.sign(area.x, area.y, corner_a, style);
        self.sign(right, area.y, corner_b, style);
        self.sign(area.x, bottom, corner_c, style);
        self.sign(right, bottom, corner_d, style);
    }

    /// The glyph of a state as text.
    pub(crate) fn glyph(&self, look: Look) -> String {
        look.sign(self.theme.ascii).to_string()
    }

    /// The mark of what was injected.
    pub(crate) fn injected(&self) -> Piece {
        Piece::new(self.glyph(INJECTED), self.theme.role(INJECTED.role))
    }

    /// The sign between two figures.
    pub(crate) const fn dot(&self) -> &'static str {
        if self.theme.ascii { " - " } else { " · " }
    }
}
