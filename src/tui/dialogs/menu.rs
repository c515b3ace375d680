//! A choice by letter or arrows. A letter goes to its row, and opens it where it leads on; only Enter does something.

use super::answer::{Answering, questions};
use super::item::{Does, Item, Level, Next};
use super::page::{Note, Page};
use super::range::Range;
use super::{Dialog, Reply, Scene, cancel, reassign};
use crate::model::action::Action;
use crate::model::id::AgentId;
use crate::tui::keymap::Key;
use ratatui::crossterm::event::KeyCode;

/// Rows that a page moves by.
const PAGE: usize = 8;

/// Where the person stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Menu {
    level: Level,
    cursor: usize,
}

impl Menu {
    pub(crate) const fn new(level: Level) -> Self {
        Self { level, cursor: 0 }
    }

    fn items(self, scene: &Scene<'_>) -> Vec<Item> {
        match self.level {
            Level::End => cancel::end(scene),
            Level::Agents => cancel::agents(scene),
            Level::Agent(agent) => cancel::agent(scene, agent),
            Level::Capabilities => cancel::capabilities(scene),
            Level::Actions => cancel::actions(scene),
            Level::Checkpoints => cancel::checkpoints(scene),
            Level::Reassign(step) => reassign::agents(scene, step),
            Level::Asking => questions(scene),
        }
    }

    pub(super) fn page(self, scene: &Scene<'_>) -> Page {
        let items = self.items(scene);
        let cursor = self.cursor.min(items.len().saturating_sub(1));
        let name = |agent: AgentId| scene.texts.agent(agent);
        let title = match self.level {
            Level::End => "end or undo".to_owned(),
            Level::Agents => "cancel by agent".to_owned(),
            Level::Agent(agent) => format!("the steps of {}", name(agent)),
            Level::Capabilities => "cancel by capability".to_owned(),
            Level::Actions => "cancel by action".to_owned(),
            Level::Checkpoints => "roll back to a checkpoint".to_owned(),
            Level::Reassign(step) => format!("give {} to", scene.texts.step(step)),
            Level::Asking => "what is to be answered?".to_owned(),
        };
        let enter = match items.get(cursor).map(|item| &item.does) {
            Some(Does::Open(_)) => Some("opens"),
            Some(Does::Send(_)) => Some("does it"),
            Some(Does::Nothing(_)) | None => None,
        };
        let mut keys: Vec<(&str, &str)> = enter.map(|words| ("Enter", words)).into_iter().collect();
        keys.extend([("Esc", "back"), ("↑↓", "choose")]);
        Page {
            title,
            notes: items.get(cursor).map_or_else(Vec::new, |item| notes(scene, &item.does)),
            rows: items.into_iter().map(|item| item.row).collect(),
            cursor: Some(cursor),
            keys,
            ..Page::default()
        }
    }

    pub(super) fn press(&mut self, scene: &Scene<'_>, key: Key, action: Option<Action>) -> Reply {
        let items = self.items(scene);
        let last = items.len().saturating_sub(1);
        self.cursor = self.cursor.min(last);
        // The letters of the rows come before what letters mean elsewhere.
        let lettered = key.typed().and_then(|c| items.iter().position(|item| item.row.key == Some(c)));
        if let Some(row) = lettered {
            self.cursor = row;
            return match &items[row].does {
                Does::Open(next) => Reply::Open(opened(*next)),
                Does::Send(_) | Does::Nothing(_) => Reply::Stay,
            };
        }
        match (key.code, action) {
            (KeyCode::Enter, _) | (_, Some(Action::Right)) => match items.into_iter().nth(self.cursor) {
                Some(Item { does: Does::Open(next), .. }) => return Reply::Open(opened(next)),
                Some(Item { does: Does::Send(command), .. }) if key.code == KeyCode::Enter => {
                    return Reply::Send(command);
                }
                _ => {}
            },
            (KeyCode::Esc | KeyCode::Backspace, _) => return Reply::Back,
            (_, Some(Action::Left | Action::Quit | Action::Interrupt)) => return Reply::Back,
            (_, Some(Action::Up | Action::FocusPrevious)) => self.cursor = self.cursor.saturating_sub(1),
            (_, Some(Action::Down | Action::FocusNext)) => self.cursor = (self.cursor + 1).min(last),
            (_, Some(Action::PageUp | Action::HalfPageUp)) => self.cursor = self.cursor.saturating_sub(PAGE),
            (_, Some(Action::PageDown | Action::HalfPageDown)) => self.cursor = (self.cursor + PAGE).min(last),
            (_, Some(Action::First)) => self.cursor = 0,
            (_, Some(Action::Last)) => self.cursor = last,
            _ => {}
        }
        Reply::Stay
    }

    /// The wheel.
    pub(crate) fn scroll(&mut self, rows: isize) {
        self.cursor = self.cursor.saturating_add_signed(rows.signum());
    }
}

const fn opened(next: Next) -> Dialog {
    match next {
        Next::Menu(level) => Dialog::Menu(Menu::new(level)),
        Next::Range => Dialog::Range(Range::new()),
        Next::Question(step) => Dialog::Answer(Answering::new(step)),
    }
}

/// What a choice would do, in sentences.
fn notes(scene: &Scene<'_>, does: &Does) -> Vec<Note> {
    match does {
        Does::Send(command) => cancel::notes(scene, command),
        Does::Nothing(why) => vec![Note::plain(why.clone())],
        Does::Open(_) => Vec::new(),
    }
}
