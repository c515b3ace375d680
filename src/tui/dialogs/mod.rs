//! Dialogs: what is asked before something happens that cannot be taken back, and where values are typed.
//!
//! A dialog keeps only where the person stands (a row, a text); what it offers and what that would hit is read from the
//! newest view at every key and every frame. So it never names what is no longer so, and it never closes by itself: keys
//! meant for it can not fall through to the panel. What it wants done comes back as a [`Reply`].

mod answer;
mod cancel;
mod editor;
mod hits;
mod item;
mod menu;
mod page;
mod range;
mod reassign;

pub(crate) use answer::{Answering, asking};
pub(crate) use editor::{Editor, Purpose};
pub(crate) use hits::{can_do, dependents};
pub(crate) use item::Level;
pub(crate) use menu::Menu;
pub(crate) use page::{Field, Note, Page, Row};

use super::keymap::Key;
use super::texts::Texts;
use crate::model::action::Action;
use crate::model::command::Command;
use crate::model::time::Micros;
use crate::model::view::{EngineView, RunView};
use crate::report::format::span;
use range::Range;

/// What dialogs are made from.
#[derive(Clone, Copy)]
pub(crate) struct Scene<'a> {
    pub(crate) view: &'a EngineView,
    pub(crate) run: &'a RunView,
    pub(crate) texts: &'a Texts,
    /// Now, by the engine's clock.
    pub(crate) now: Micros,
    /// Rows of text beyond what fits, as drawn last: scrolling ends there.
    pub(crate) beyond: usize,
}

impl Scene<'_> {
    /// Time left until a moment, as text.
    pub(crate) fn left(&self, until: Micros) -> String {
        span(until.saturating_sub(self.now))
    }
}

/// What a key in a dialog leads to.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Reply {
    /// It stays.
    Stay,
    /// One level back; from the first one: it closes.
    Back,
    /// Another dialog on top of it.
    Open(Dialog),
    /// This is sent, and all of them close.
    Send(Command),
}

/// One dialog.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Dialog {
    /// A choice.
    Menu(Menu),
    /// A range of priorities.
    Range(Range),
    /// A value to be typed.
    Editor(Editor),
    /// A question of a step or of the run.
    Answer(Answering),
}

impl Dialog {
    /// A key.
    pub(crate) fn press(&mut self, scene: &Scene<'_>, key: Key, action: Option<Action>) -> Reply {
        match self {
            Self::Menu(menu) => menu.press(scene, key, action),
            Self::Range(range) => range.press(scene, key, action),
            Self::Editor(editor) => editor.press(scene, key, action),
            Self::Answer(answering) => answering.press(scene, key, action),
        }
    }
    /// What it looks like now.
    pub(crate) fn page(&self, scene: &Scene<'_>) -> Page {
        match self {
            Self::Menu(menu) => menu.page(scene),
            Self::Range(range) => range.page(scene),
            Self::Editor(editor) => editor.page(scene),
            Self::Answer(answering) => answering.page(scene),
        }
    }
}

/// Dialogs on top of each other; there is always one.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Dialogs {
    below: Vec<Dialog>,
    top: Dialog,
}

impl Dialogs {
    pub(crate) const fn new(first: Dialog) -> Self {
        Self { below: Vec::new(), top: first }
    }
    /// The one that takes keys.
    pub(crate) const fn top(&self) -> &Dialog {
        &self.top
    }
    /// The one that takes keys.
    pub(crate) const fn top_mut(&mut self) -> &mut Dialog {
        &mut self.top
    }
    /// Lays another one on top.
    pub(crate) fn push(&mut self, dialog: Dialog) {
        self.below.push(std::mem::replace(&mut self.top, dialog));
    }
    /// Takes the top one away; `false` where it was the only one.
    pub(crate) fn pop(&mut self) -> bool {
        let Some(below) = self.below.pop() else { return false };
        self.top = below;
        true
    }
}
