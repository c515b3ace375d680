//! A range of priorities: two ends, moved by arrows or typed.

use super::page::{Note, Page, Row};
use super::{Reply, Scene, cancel, hits};
use crate::model::action::Action;
use crate::model::command::{Command, Which};
use crate::model::defaults::{PRIORITY, PRIORITY_MAX};
use crate::report::format::plural;
use crate::tui::keymap::Key;
use ratatui::crossterm::event::KeyCode;

/// What an arrow moves an end by.
const STEP: u8 = 5;

/// Both ends, included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    from: u8,
    to: u8,
    /// The upper end is the one that moves.
    upper: bool,
    /// The next digit goes on with a number that was begun.
    typing: bool,
}

impl Range {
    /// What is less urgent than usual.
    pub(super) const fn new() -> Self {
        Self { from: 0, to: PRIORITY - 1, upper: true, typing: false }
    }

    const fn end(&mut self) -> &mut u8 {
        if self.upper { &mut self.to } else { &mut self.from }
    }

    const fn which(self) -> Which {
        Which::Priority { from: self.from, to: self.to }
    }

    pub(super) fn press(&mut self, scene: &Scene<'_>, key: Key, action: Option<Action>) -> Reply {
        let digit = key.typed().and_then(|c| c.to_digit(10)).and_then(|digit| u8::try_from(digit).ok());
        if let Some(digit) = digit {
            let begun = if self.typing { *self.end() } else { 0 };
            *self.end() = begun.saturating_mul(10).saturating_add(digit).min(PRIORITY_MAX);
            self.typing = true;
            return Reply::Stay;
        }
        self.typing = false;
        match (key.code, action) {
            (KeyCode::Enter, _) => {
                let hit = hits::of(scene.view, scene.run, &self.which(), false);
                if !hit.is_empty() {
                    let command = Command::CancelWhere { run: scene.run.id, which: self.which(), reassign: false };
                    return Reply::Send(command);
                }
            }
            (KeyCode::Esc, _) | (_, Some(Action::Quit | Action::Interrupt)) => return Reply::Back,
            (KeyCode::Backspace, _) => *self.end() /= 10,
            (_, Some(Action::Up | Action::FocusPrevious)) => self.upper = false,
            (_, Some(Action::Down | Action::FocusNext)) => self.upper = true,
            (_, Some(Action::Left | Action::PriorityDown)) => *self.end() = self.end().saturating_sub(STEP),
            (_, Some(Action::Right | Action::PriorityUp)) => {
                *self.end() = self.end().saturating_add(STEP).min(PRIORITY_MAX);
            }
            _ => {}
        }
        Reply::Stay
    }

    pub(super) fn page(self, scene: &Scene<'_>) -> Page {
        let row = |label: &str, end: u8| Row {
            key: None,
            label: format!("{label} {end:>3}"),
            note: String::new(),
            idle: false,
        };
        let mut notes = match self.from > self.to {
            true => vec![Note::plain("nothing lies between: the range begins above its end")],
            false => cancel::ends(scene, &hits::of(scene.view, scene.run, &self.which(), false)),
        };
        notes.push(Note::plain(in_use(scene)));
        Page {
            title: "cancel by priority".to_owned(),
            rows: vec![row("from", self.from), row("to  ", self.to)],
            cursor: Some(usize::from(self.upper)),
            notes,
            keys: vec![("Enter", "does it"), ("Esc", "back"), ("←→ 0-9", "change"), ("↑↓", "end")],
            ..Page::default()
        }
    }
}

/// The priorities that open steps have, each with its number of steps.
fn in_use(scene: &Scene<'_>) -> String {
    let mut counts = [0u64; u8::MAX as usize + 1];
    hits::unended(scene.run).for_each(|(_, seen, _)| counts[usize::from(seen.priority)] += 1);
    let used = counts.iter().enumerate().filter(|(_, count)| **count > 0);
    let words: Vec<String> = used.map(|(priority, n)| format!("{priority} ({})", plural(*n, "step"))).collect();
    match words.is_empty() {
        true => "no step is left".to_owned(),
        false => format!("in use: {}", words.join(", ")),
    }
}
