//! Snapshots of the whole screen, and rules that hold for each of them.

use super::fixtures::{self, RUN};
use crate::model::view::EngineView;
use crate::runtime::logs::LogStore;
use crate::tui::app::App;
use crate::tui::caps::{Capabilities, ColourDepth};
use crate::tui::graph::plan::draw as draw_graph;
use crate::tui::theme::Theme;
use crate::tui::view::{self, Cx};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use std::sync::Arc;

/// A panel on a hand-made view.
pub(crate) struct Stage {
    pub(crate) app: App,
    pub(crate) view: EngineView,
    pub(crate) log: LogStore,
    theme: Theme,
}

impl Stage {
    pub(crate) fn new(view: EngineView, caps: Capabilities) -> Self {
        let mut app = App::new(caps, RUN);
        app.absorb(&view);
        Self { app, view, log: fixtures::log(), theme: Theme::new(caps) }
    }

    /// The screen at a size.
    pub(crate) fn draw(&mut self, w: u16, h: u16) -> Buffer {
        let area = Rect::new(0, 0, w, h);
        self.app.settle(area, &self.view);
        if let Some(wish) = self.app.wished(&self.view) {
            self.app.graph.drawing = Some(Arc::new(draw_graph(&wish)));
            self.app.graph.wish = Some(wish);
        }
        self.app.settle(area, &self.view);
        self.app.book.read(&self.log, RUN, &self.app.texts);
        let ended = self.view.runs.first().is_some_and(|run| run.state.ended());
        let summary = ended.then(|| fixtures::summary(&self.view));
        let cx = Cx {
            app: &self.app,
            view: &self.view,
            run: self.app.run_in(&self.view),
            log: &self.log,
            summary: summary.as_ref(),
            now: self.view.now,
            theme: self.theme,
        };
        let mut buffer = Buffer::empty(area);
        let drawn = view::draw(&mut buffer, &cx);
        self.app.inspector_rows = drawn.inspector_rows;
        self.app.overlay_rows = drawn.overlay_rows;
        buffer
    }
}

/// The screen as text.
pub(crate) fn text(buffer: &Buffer) -> String {
    let mut out = String::new();
    for y in 0..buffer.area.height {
        let mut line = String::new();
        let mut skip = 0;
        for x in 0..buffer.area.width {
            let symbol = buffer[(x, y)].symbol();
            if skip == 0 {
                line.push_str(symbol);
                skip = crate::report::format::width(symbol).saturating_sub(1);
            } else {
                skip -= 1;
            }
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

#[test]
fn print_screens() {
    let caps = Capabilities { colours: ColourDepth::True, ascii: false };
    for view in [fixtures::busy(), fixtures::finished(), fixtures::failing()] {
        for (w, h) in [(120, 40), (80, 24), (40, 12)] {
            println!("{}", text(&Stage::new(view.clone(), caps).draw(w, h)));
        }
    }
    println!("{}", text(&Stage::new(fixtures::loaded(), caps).draw(200, 60)));
}
