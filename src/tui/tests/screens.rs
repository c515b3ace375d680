//! Snapshots of the whole screen, and rules that hold for each of them.

use super::fixtures::{self, RUN};
use super::held;
use crate::model::action::ACTIONS;
use crate::model::rng::Rng;
use crate::model::state::{RunState, StepState};
use crate::model::view::EngineView;
use crate::report::look::Role;
use crate::runtime::logs::LogStore;
use crate::tui::app::{App, Overlay};
use crate::tui::arrange::Pane;
use crate::tui::caps::{Capabilities, ColourDepth};
use crate::tui::graph::plan::draw as draw_graph;
use crate::tui::keymap::{Key, Keymap};
use crate::tui::mouse::mouse;
use crate::tui::request::Request;
use crate::tui::search::paste;
use crate::tui::theme::Theme;
use crate::tui::update;
use crate::tui::view::{self, Cx};
use ratatui::buffer::Buffer;
use ratatui::crossterm::event::{KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use ratatui::layout::Rect;
use ratatui::style::Color;
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
        self.app.beyond = drawn.beyond;
        buffer
    }
}

/// Presses a key of the table's notation.
pub(crate) fn press(stage: &mut Stage, key: &str) -> Vec<Request> {
    let key = Key::parse(key).expect("a key");
    update::press(&mut stage.app, &stage.view, &Keymap::default(), key)
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

/// The screen's styles, as runs: what carries a colour or a weight, line by line.
fn styles(buffer: &Buffer) -> String {
    let mut out = String::new();
    for y in 0..buffer.area.height {
        let mut runs: Vec<(String, String)> = Vec::new();
        for x in 0..buffer.area.width {
            let cell = &buffer[(x, y)];
            let mut name = Vec::new();
            if cell.fg != Color::Reset {
                name.push(format!("{:?}", cell.fg).to_lowercase());
            }
            if cell.bg != Color::Reset {
                name.push(format!("on {:?}", cell.bg).to_lowercase());
            }
            if !cell.modifier.is_empty() {
                name.push(format!("{:?}", cell.modifier).to_lowercase());
            }
            let name = name.join(" ");
            match runs.last_mut() {
                Some((last, text)) if *last == name => text.push_str(cell.symbol()),
                _ => runs.push((name, cell.symbol().to_owned())),
            }
        }
        for (name, text) in runs.iter().filter(|(name, text)| !name.is_empty() && !text.trim().is_empty()) {
            out.push_str(&format!("{y:>2} [{name}] {}\n", text.trim()));
        }
    }
    out
}

const SIZES: [(u16, u16); 5] = [(200, 60), (120, 40), (80, 24), (40, 12), (1, 1)];

fn moments() -> [(&'static str, EngineView); 5] {
    [
        ("loading", EngineView::default()),
        ("busy", fixtures::busy()),
        ("failing", fixtures::failing()),
        ("finished", fixtures::finished()),
        ("pausing", fixtures::paused()),
    ]
}

/// Every moment: the usual ones, and those in which something is held up, asked or undone.
fn every_moment() -> impl Iterator<Item = (&'static str, EngineView)> {
    moments().into_iter().chain(held::all())
}

const fn caps(colours: ColourDepth, ascii: bool) -> Capabilities {
    Capabilities { colours, ascii }
}

#[test]
fn the_screen_at_every_size_and_moment() {
    for (name, view) in moments() {
        for ascii in [false, true] {
            for (w, h) in SIZES {
                let buffer = Stage::new(view.clone(), caps(ColourDepth::True, ascii)).draw(w, h);
                let set = if ascii { "ascii" } else { "unicode" };
                insta::assert_snapshot!(format!("{name}_{w}x{h}_{set}"), text(&buffer));
            }
        }
    }
}

#[test]
fn what_is_held_up_asked_or_undone() {
    for (name, view) in held::all() {
        for (w, h, pane) in [(120, 40, Pane::Graph), (80, 24, Pane::Steps), (40, 12, Pane::Steps)] {
            let mut stage = Stage::new(view.clone(), caps(ColourDepth::True, false));
            stage.app.focus(pane);
            insta::assert_snapshot!(format!("{name}_{w}x{h}"), text(&stage.draw(w, h)));
        }
    }
    for (w, h) in [(120, 40), (80, 24)] {
        for pane in [Pane::Agents, Pane::Inspector] {
            let mut stage = Stage::new(held::held(), caps(ColourDepth::True, false));
            stage.app.focus(Pane::Agents);
            press(&mut stage, "down");
            stage.app.focus(pane);
            insta::assert_snapshot!(format!("held_{}_{w}x{h}", pane.name()), text(&stage.draw(w, h)));
        }
        let mut stage = Stage::new(held::held(), caps(ColourDepth::True, false));
        for key in ["6", "6"] {
            press(&mut stage, key);
        }
        insta::assert_snapshot!(format!("figures_{w}x{h}"), text(&stage.draw(w, h)));
    }
}

/// Keys that open each dialog, on which view.
fn dialogs() -> [(&'static str, EngineView, &'static [&'static str]); 11] {
    [
        ("end", held::held(), &["C"]),
        ("run", held::held(), &["C", "w"]),
        ("agents", held::held(), &["C", "a"]),
        ("agent", held::held(), &["C", "a", "1", "g"]),
        ("priority", held::held(), &["C", "p"]),
        ("rollback", held::asking(), &["C", "u"]),
        ("reassign", held::held(), &["A", "4"]),
        ("value", held::held(), &["m", "\"", "x"]),
        ("approval", held::approval(), &["a"]),
        ("person", held::asking(), &["a", "2"]),
        ("share", held::missed(), &["a"]),
    ]
}

#[test]
fn dialogs_at_every_size() {
    for (name, view, keys) in dialogs() {
        for (w, h) in [(120, 40), (80, 24), (40, 12)] {
            let mut stage = Stage::new(view.clone(), caps(ColourDepth::True, false));
            stage.draw(w, h);
            for key in keys {
                press(&mut stage, key);
            }
            insta::assert_snapshot!(format!("dialog_{name}_{w}x{h}"), text(&stage.draw(w, h)));
        }
    }
}

/// A dialog covers a rectangle and changes nothing around it but the line of keys.
#[test]
fn a_dialog_draws_in_its_box_alone() {
    for (name, view, keys) in dialogs() {
        for (w, h) in [(120, 40), (80, 24), (40, 12), (21, 6), (20, 5)] {
            let mut stage = Stage::new(view.clone(), caps(ColourDepth::True, true));
            let before = stage.draw(w, h);
            for key in keys {
                press(&mut stage, key);
            }
            let toasts = std::mem::take(&mut stage.app.toasts);
            assert!(toasts.is_empty(), "{name}: {toasts:?}");
            let after = stage.draw(w, h);
            let changed = |x: u16, y: u16| before[(x, y)] != after[(x, y)];
            let (wide, corner) = (w.min(84), '+');
            let left = (w - wide) / 2;
            let rows: Vec<u16> = (0..h - 1).filter(|y| (0..w).any(|x| changed(x, *y))).collect();
            let (top, bottom) = (rows[0], rows[rows.len() - 1]);
            for y in 0..h - 1 {
                for x in (0..w).filter(|x| changed(*x, y)) {
                    let inside = (left..left + wide).contains(&x) && (top..=bottom).contains(&y);
                    assert!(inside, "{name} {w}x{h}: {x},{y}");
                }
            }
            let at = |x: u16, y: u16| after[(x, y)].symbol().chars().next();
            assert!(h < 12 || at(left, top) == Some(corner) || rows.len() < 3, "{name} {w}x{h}: no corner");
        }
    }
}

#[test]
fn what_lies_on_top() {
    let mut stage = Stage::new(fixtures::busy(), caps(ColourDepth::True, false));
    stage.draw(100, 30);
    stage.app.overlay = Some(Overlay::Help(0));
    insta::assert_snapshot!("help_100x30", text(&stage.draw(100, 30)));
    stage.app.overlay = Some(Overlay::Why(0));
    insta::assert_snapshot!("why_100x30", text(&stage.draw(100, 30)));
    stage.app.overlay = None;
    press(&mut stage, "c");
    stage.app.toast(Role::Bad, "cannot fail agent: market-1 is a real agent and its entry does not allow faults");
    insta::assert_snapshot!("cancel_100x30", text(&stage.draw(100, 30)));
    stage.app.overlay = None;
    stage.app.prompt = Some("risk".to_owned());
    insta::assert_snapshot!("search_60x20", text(&stage.draw(60, 20)));
}

#[test]
fn colours_and_weights() {
    for (name, colours) in [("none", ColourDepth::None), ("sixteen", ColourDepth::Sixteen)] {
        let mut stage = Stage::new(fixtures::busy(), caps(colours, false));
        insta::assert_snapshot!(format!("styles_{name}_80x24"), styles(&stage.draw(80, 24)));
        stage.app.focus(Pane::Steps);
        insta::assert_snapshot!(format!("styles_steps_{name}_80x24"), styles(&stage.draw(80, 24)));
    }
}

#[test]
fn without_colours_there_are_none_and_in_ascii_there_is_nothing_else() {
    for (_, view) in every_moment() {
        for (w, h) in SIZES {
            let buffer = Stage::new(view.clone(), caps(ColourDepth::None, true)).draw(w, h);
            for cell in &buffer.content {
                assert_eq!((cell.fg, cell.bg), (Color::Reset, Color::Reset));
                assert!(cell.symbol().is_ascii(), "{:?}", cell.symbol());
            }
        }
    }
}

/// Take all colours and weights away, and every state can still be told: the same screen without styles differs wherever
/// a state differs.
#[test]
fn no_state_is_told_by_colour_alone() {
    for ascii in [false, true] {
        for (w, h) in [(120, 40), (80, 24), (40, 12)] {
            let mut seen = std::collections::BTreeMap::new();
            for state in StepState::ALL {
                let mut view = fixtures::loaded();
                view.clock_rate = 0.0;
                view.runs[0].state = RunState::Running;
                view.runs[0].steps[1] = fixtures::idle_step(state);
                let mut stage = Stage::new(view, caps(ColourDepth::True, ascii));
                stage.app.focus(Pane::Steps);
                let row = text(&stage.draw(w, h));
                let row = row.lines().skip(3).find(|line| line.contains("technical_analysis")).map(str::to_owned);
                if let Some(other) = seen.insert(row, state) {
                    panic!("{state:?} and {other:?} look the same at {w}x{h}, ascii {ascii}");
                }
            }
        }
    }
}

#[test]
fn every_cell_of_our_own_takes_one_column() {
    for (_, view) in every_moment() {
        let buffer = Stage::new(view, caps(ColourDepth::True, false)).draw(160, 50);
        for cell in &buffer.content {
            let foreign = cell.symbol().chars().any(|c| ('\u{3000}'..='\u{9fff}').contains(&c));
            assert!(foreign || crate::report::format::width(cell.symbol()) == 1, "{:?}", cell.symbol());
        }
    }
}

#[test]
fn whatever_happens_nothing_falls_over_and_nothing_foreign_gets_through() {
    let mut rng = Rng::new(2_026);
    let keys = Keymap::default();
    for _ in 0..20 {
        let ascii = rng.below(2) == 0;
        let mut stage = Stage::new(fixtures::random(&mut rng), caps(ColourDepth::Indexed, ascii));
        for _ in 0..12 {
            let (w, h) = (1 + rng.below(180) as u16, 1 + rng.below(60) as u16);
            for _ in 0..rng.below(8) {
                match rng.below(11) {
                    0 => {
                        let kind = [
                            MouseEventKind::Down(MouseButton::Left),
                            MouseEventKind::ScrollUp,
                            MouseEventKind::ScrollDown,
                            MouseEventKind::ScrollRight,
                        ][rng.below(4) as usize];
                        let (column, row) = (rng.below(180) as u16, rng.below(60) as u16);
                        let event = MouseEvent { kind, column, row, modifiers: KeyModifiers::NONE };
                        mouse(&mut stage.app, &stage.view, event);
                    }
                    1 => paste(&mut stage.app, "pasted \u{1b}[31m text\nq"),
                    2 => {
                        stage.view = fixtures::random(&mut rng);
                        stage.app.absorb(&stage.view);
                    }
                    // Into and through dialogs.
                    3..=5 => {
                        let names =
                            ["C", "a", "m", "A", "S", "b", "enter", "down", "esc", "w", "1", "u", "p", "delete", "e"];
                        let key = Key::parse(names[rng.below(15) as usize]).expect("a key");
                        update::press(&mut stage.app, &stage.view, &keys, key);
                    }
                    _ => {
                        let row = &ACTIONS[rng.below(ACTIONS.len() as u64) as usize];
                        let key = Key::parse(row.keys[0]).expect("the table is tested");
                        update::press(&mut stage.app, &stage.view, &keys, key);
                    }
                }
            }
            let buffer = stage.draw(w, h);
            for cell in &buffer.content {
                let bad = |c: char| c.is_control() || crate::model::safe::is_invisible(c);
                assert!(!cell.symbol().chars().any(bad), "{:?}", cell.symbol());
                assert!(!ascii || cell.symbol().is_ascii());
            }
        }
    }
}

#[test]
fn a_hundred_thousand_steps_are_drawn_as_fast_as_ten() {
    let steps = (0..100_000).map(|n| fixtures::step(&format!("step_{n}"), if n > 0 { &[0] } else { &[] }, 1)).collect();
    let (workflow, shape) = fixtures::workflow(steps);
    let mut view = fixtures::loaded();
    view.runs[0].steps = vec![fixtures::idle_step(StepState::Pending); 100_000];
    (view.runs[0].workflow, view.runs[0].shape) = (workflow, shape);
    let mut stage = Stage::new(view, caps(ColourDepth::True, false));
    press(&mut stage, "2");
    for key in ["G", "pageup", "1", "G"] {
        press(&mut stage, key);
        let shown = text(&stage.draw(200, 60));
        assert!(shown.contains("step_99"), "{key}: the end is in view");
    }
    assert!(stage.app.graph.drawing.is_none(), "too large for a drawing");
}
