//! Which panes are on the screen, and where: a pure function of size, focus and zoom.
//!
//! ```text
//!   160 x 36 and more   graph, steps │ agents, inspector, logs
//!   100 x 20 and more   the same with two panes a side where there is no room for three
//!   less                one pane and a strip that names the others
//!   less than 20 x 5    one line
//! ```

use ratatui::layout::Rect;

/// A pane. The order is that of `Tab`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Pane {
    #[default]
    Graph,
    Steps,
    Agents,
    Logs,
    Inspector,
}

impl Pane {
    pub(crate) const ALL: [Self; 5] = [Self::Graph, Self::Steps, Self::Agents, Self::Logs, Self::Inspector];

    /// The key that focuses it.
    pub(crate) const fn number(self) -> char {
        match self {
            Self::Graph => '1',
            Self::Steps => '2',
            Self::Agents => '3',
            Self::Logs => '4',
            Self::Inspector => '6',
        }
    }
    /// Its name.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Graph => "graph",
            Self::Steps => "steps",
            Self::Agents => "agents",
            Self::Logs => "log",
            Self::Inspector => "step",
        }
    }
    const fn left(self) -> bool {
        matches!(self, Self::Graph | Self::Steps)
    }
    pub(crate) const fn next(self, back: bool) -> Self {
        let count = Self::ALL.len();
        Self::ALL[(self as usize + if back { count - 1 } else { 1 }) % count]
    }
}

/// Smaller than this, the whole panel is one line.
const LEAST_WIDTH: u16 = 20;
const LEAST_HEIGHT: u16 = 5;
/// Fewer columns, and the graph is drawn as a list.
const LIST_WIDTH: u16 = 60;
/// From here on there are two sides.
const SIDES_WIDTH: u16 = 100;
const SIDES_HEIGHT: u16 = 20;
/// From here on a side has room for one more pane.
const TALL: u16 = 32;

/// Where everything is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Arranged {
    /// The whole screen.
    pub(crate) screen: Rect,
    /// Run, state, progress.
    pub(crate) header: Rect,
    /// What to know or to do now; empty where there is no room.
    pub(crate) news: Rect,
    /// Names of the panes that are not shown; empty where all are.
    pub(crate) strip: Rect,
    /// Keys.
    pub(crate) footer: Rect,
    /// The panes that are shown.
    pub(crate) panes: Vec<(Pane, Rect)>,
    /// Whether the graph is drawn as a list.
    pub(crate) graph_as_list: bool,
}

impl Arranged {
    /// Where a pane is, if it is shown.
    pub(crate) fn of(&self, pane: Pane) -> Option<Rect> {
        self.panes.iter().find(|(shown, _)| *shown == pane).map(|(_, area)| *area)
    }
    /// The pane and its area at a cell.
    pub(crate) fn at(&self, x: u16, y: u16) -> Option<(Pane, Rect)> {
        self.panes.iter().find(|(_, area)| area.contains((x, y).into())).copied()
    }
    /// Whether there is only a line.
    pub(crate) const fn one_line(&self) -> bool {
        self.footer.height == 0
    }
}

/// Arranges a screen. `others` holds the panes that were focused last on either side.
pub(crate) fn arrange(screen: Rect, focus: Pane, zoomed: bool, others: (Pane, Pane)) -> Arranged {
    let (w, h) = (screen.width, screen.height);
    let mut at = Arranged { screen, graph_as_list: w < LIST_WIDTH, ..Arranged::default() };
    if w < LEAST_WIDTH || h < LEAST_HEIGHT {
        at.header = Rect { height: h.min(1), ..screen };
        return at;
    }
    let news = u16::from(h >= SIDES_HEIGHT);
    let row = |y: u16, height: u16| Rect { x: screen.x, y: screen.y + y, width: w, height };
    at.header = row(0, 1);
    at.news = row(1, news);
    at.footer = row(h - 1, 1);
    let mut body = row(1 + news, h - 2 - news);
    if zoomed || w < SIDES_WIDTH || h < SIDES_HEIGHT {
        if body.height >= 4 {
            at.strip = Rect { height: 1, ..body };
            body.y += 1;
            body.height -= 1;
        }
        at.panes.push((focus, body));
        return at;
    }
    let left = (w * 58).div_ceil(100);
    let sides = (Rect { width: left, ..body }, Rect { x: body.x + left, width: w - left, ..body });
    let tall = h >= TALL;
    stack(&mut at.panes, sides.0, &[(Pane::Graph, 62), (Pane::Steps, 38)]);
    if tall {
        stack(&mut at.panes, sides.1, &[(Pane::Agents, 30), (Pane::Inspector, 34), (Pane::Logs, 36)]);
    } else {
        let top = if others.1 == Pane::Logs { Pane::Agents } else { others.1 };
        stack(&mut at.panes, sides.1, &[(top, 50), (Pane::Logs, 50)]);
    }
    at
}

fn stack(panes: &mut Vec<(Pane, Rect)>, side: Rect, shares: &[(Pane, u16)]) {
    let mut y = side.y;
    for (place, (pane, share)) in shares.iter().enumerate() {
        let rest = side.y + side.height - y;
        let height = if place + 1 == shares.len() { rest } else { (side.height * share / 100).min(rest) };
        panes.push((*pane, Rect { y, height, ..side }));
        y += height;
    }
}

/// The panes focused last on either side, after this one is focused.
pub(crate) const fn remember(others: (Pane, Pane), focus: Pane) -> (Pane, Pane) {
    if focus.left() {
        (focus, others.1)
    } else if matches!(focus, Pane::Logs) {
        others
    } else {
        (others.0, focus)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_every_size_panes_lie_on_the_screen_and_never_on_each_other() {
        for w in (0..260).step_by(7).chain([1, 19, 20, 59, 60, 99, 100, 120, 160, 200]) {
            for h in (0..80).step_by(3).chain([1, 4, 5, 19, 20, 24, 31, 32, 40, 60]) {
                for focus in Pane::ALL {
                    for zoomed in [false, true] {
                        let screen = Rect::new(0, 0, w, h);
                        let at = arrange(screen, focus, zoomed, remember((Pane::Graph, Pane::Agents), focus));
                        let mut all = vec![at.header, at.news, at.strip, at.footer];
                        all.extend(at.panes.iter().map(|(_, area)| *area));
                        let cells: u32 = all.iter().map(|area| area.area()).sum();
                        let spread =
                            all.iter().fold(
                                Rect::default(),
                                |whole, area| {
                                    if area.is_empty() { whole } else { whole.union(*area) }
                                },
                            );
                        assert!(spread.width <= w && spread.height <= h);
                        for (place, one) in all.iter().enumerate() {
                            assert!(all[..place].iter().all(|other| other.intersection(*one).is_empty()));
                        }
                        assert!(at.one_line() || cells == screen.area(), "{w}x{h} leaves cells over");
                        assert!(at.one_line() || at.of(focus).is_some(), "{w}x{h} hides the focused {focus:?}");
                    }
                }
            }
        }
    }
}
