//! Which part of the picture the pane shows.

use crate::report::graph::{Area, Layout};

/// Cells kept between the selected box and the pane's edge.
const MARGIN: (i32, i32) = (4, 1);

/// The upper left cell of the picture that is in view; negative where the picture is smaller than the pane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Viewport {
    pub(crate) x: i32,
    pub(crate) y: i32,
    /// The reader has scrolled by hand: the selection is not chased.
    pub(crate) held: bool,
}

impl Viewport {
    /// Scrolls by hand.
    pub(crate) const fn scroll(&mut self, dx: i32, dy: i32) {
        self.x = self.x.saturating_add(dx);
        self.y = self.y.saturating_add(dy);
        self.held = true;
    }

    /// Brings the view back to the picture and, unless held, to the selected box.
    pub(crate) fn settle(&mut self, layout: &Layout, room: (i32, i32), selected: Option<Area>) {
        if let Some(area) = selected.filter(|_| !self.held) {
            self.x = near(self.x, room.0, area.x, area.w, MARGIN.0);
            self.y = near(self.y, room.1, area.y, area.h, MARGIN.1);
        }
        self.x = clamp(self.x, layout.width, room.0);
        self.y = clamp(self.y, layout.height, room.1);
    }

    /// The part of the picture in view.
    pub(crate) const fn area(self, room: (i32, i32)) -> Area {
        Area { x: self.x, y: self.y, w: room.0, h: room.1 }
    }
}

/// The nearest place from which `at..at + size` is seen, with a margin where there is room for one.
fn near(from: i32, room: i32, at: i32, size: i32, margin: i32) -> i32 {
    let margin = margin.min((room - size).max(0) / 2);
    if at - margin < from || size > room {
        at - margin
    } else if at + size + margin > from + room {
        at + size + margin - room
    } else {
        from
    }
}

/// Within the picture; a picture smaller than the room stands in the middle.
fn clamp(from: i32, whole: i32, room: i32) -> i32 {
    if whole <= room { -((room - whole) / 2) } else { from.clamp(0, whole - room) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_picture_stands_in_the_middle_and_a_large_one_never_leaves_the_pane() {
        assert_eq!(clamp(99, 10, 30), -10);
        assert_eq!(clamp(-5, 100, 30), 0);
        assert_eq!(clamp(99, 100, 30), 70);
    }

    #[test]
    fn the_selected_box_comes_into_view_by_the_shortest_way() {
        assert_eq!(near(0, 30, 5, 10, 4), 0, "in view already");
        assert_eq!(near(0, 30, 40, 10, 4), 24);
        assert_eq!(near(50, 30, 40, 10, 4), 36);
        assert_eq!(near(0, 8, 40, 10, 4), 40, "too wide: its beginning");
    }
}
