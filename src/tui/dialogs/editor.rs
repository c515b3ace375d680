//! Typing a JSON value. Everything pressed or pasted is text here; only Enter and Esc mean something else.

use super::page::{Field, Note, Page};
use super::{Reply, Scene};
use crate::model::action::Action;
use crate::model::command::{Answer, Command};
use crate::model::id::StepId;
use crate::model::safe::Safe;
use crate::model::state::StepState;
use crate::model::strict_json;
use crate::report::look::Role;
use crate::tui::keymap::Key;
use ratatui::crossterm::event::KeyCode;
use serde_json::Value;
use unicode_segmentation::UnicodeSegmentation;

/// The longest text, in bytes: more is given in a file.
const TEXT_MAX: usize = 256 << 10;

/// What the value is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// The step's output, by hand.
    Complete,
    /// The answer to what it asks.
    Answer,
}

/// A text with a cursor in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Editor {
    purpose: Purpose,
    step: StepId,
    before: String,
    after: String,
    /// What was pasted is longer than there is room for.
    refused: Option<usize>,
}

impl Editor {
    /// An empty object, with the cursor in it.
    pub(crate) fn new(purpose: Purpose, step: StepId) -> Self {
        Self { purpose, step, before: "{".to_owned(), after: "}".to_owned(), refused: None }
    }

    fn text(&self) -> String {
        format!("{}{}", self.before, self.after)
    }

    fn value(&self) -> Result<Value, serde_json::Error> {
        strict_json::parse(self.text().as_bytes())
    }

    /// Why the value would be refused, whatever it is.
    fn moot(&self, scene: &Scene<'_>) -> Option<&'static str> {
        let state = scene.run.steps.get(self.step.index())?.state;
        match (self.purpose, state) {
            (Purpose::Answer, StepState::Waiting) => None,
            (Purpose::Answer, _) => Some("it asks no longer: a value would be refused; Esc closes"),
            (Purpose::Complete, StepState::Succeeded | StepState::Compensating | StepState::Compensated) => {
                Some("it is done already: a value would be refused; Esc closes")
            }
            (Purpose::Complete, _) => None,
        }
    }

    /// Text was pasted, or typed. Line breaks and tabs become blanks: in JSON they mean the same.
    pub(crate) fn insert(&mut self, text: &str) {
        let blank = |c: char| if matches!(c, '\n' | '\r' | '\t') { ' ' } else { c };
        let text: String = text.chars().map(blank).filter(|c| !c.is_control()).collect();
        let long = self.before.len() + self.after.len() + text.len();
        if long > TEXT_MAX {
            // Half a value is worth nothing: all of it or none.
            self.refused = Some(text.len());
            return;
        }
        self.before.push_str(&text);
    }

    pub(super) fn press(&mut self, scene: &Scene<'_>, key: Key, action: Option<Action>) -> Reply {
        self.refused = None;
        if let Some(c) = key.typed() {
            self.insert(c.encode_utf8(&mut [0; 4]));
            return Reply::Stay;
        }
        match (key.code, action) {
            (KeyCode::Enter, _) => return self.enter(scene),
            (KeyCode::Esc, _) | (_, Some(Action::Interrupt)) => return Reply::Back,
            (KeyCode::Left, _) => self.left(),
            (KeyCode::Right, _) => self.right(),
            (KeyCode::Home | KeyCode::Up | KeyCode::PageUp, _) => self.go(0),
            (KeyCode::End | KeyCode::Down | KeyCode::PageDown, _) => self.go(usize::MAX),
            (KeyCode::Backspace, _) => {
                let last = self.before.graphemes(true).next_back().map_or(0, str::len);
                self.before.truncate(self.before.len() - last);
            }
            (KeyCode::Delete, _) => {
                let first = self.after.graphemes(true).next().map_or(0, str::len);
                self.after.drain(..first);
            }
            (_, Some(Action::HalfPageUp)) => {
                self.before.clear();
                self.after.clear();
            }
            _ => {}
        }
        Reply::Stay
    }

    /// Sends the value, or goes to where it is wrong.
    fn enter(&mut self, scene: &Scene<'_>) -> Reply {
        if self.moot(scene).is_some() {
            return Reply::Stay;
        }
        let (run, step) = (scene.run.id, self.step);
        match (self.value(), self.purpose) {
            (Ok(output), Purpose::Complete) => Reply::Send(Command::CompleteStep { run, step, output }),
            (Ok(value), Purpose::Answer) => {
                Reply::Send(Command::Answer { run, step: Some(step), answer: Answer::Value(value) })
            }
            (Err(error), _) => {
                self.go(error.column().saturating_sub(1));
                Reply::Stay
            }
        }
    }

    fn left(&mut self) {
        let Some(last) = self.before.graphemes(true).next_back().map(str::len) else { return };
        let moved = self.before.split_off(self.before.len() - last);
        self.after.insert_str(0, &moved);
    }

    fn right(&mut self) {
        let Some(first) = self.after.graphemes(true).next().map(str::len) else { return };
        self.before.extend(self.after.drain(..first));
    }

    /// Puts the cursor before the character at a byte.
    fn go(&mut self, byte: usize) {
        let text = self.text();
        let at = text.grapheme_indices(true).map(|(at, _)| at).take_while(|at| *at <= byte).last().unwrap_or(0);
        let at = if byte >= text.len() { text.len() } else { at };
        self.after = text[at..].to_owned();
        self.before = text[..at].to_owned();
    }

    pub(super) fn page(&self, scene: &Scene<'_>) -> Page {
        let name = scene.texts.step(self.step);
        let title = match self.purpose {
            Purpose::Complete => format!("complete {name} by hand with this output"),
            Purpose::Answer => format!("answer {name} with this value"),
        };
        let mut notes = Vec::new();
        if let Some(long) = self.refused {
            let words = format!("{long} bytes do not fit: a value has room for {TEXT_MAX}; nothing was taken");
            notes.push(Note::with(Role::Bad, words));
        }
        match (self.moot(scene), self.value()) {
            (Some(why), _) => notes.push(Note::with(Role::Waiting, why)),
            (None, Ok(value)) => {
                notes.push(Note::with(Role::Good, format!("a whole JSON value: {}", kind(&value))));
                notes.extend(effect(scene, self.purpose, self.step).map(Note::plain));
            }
            (None, Err(error)) => notes.push(Note::with(Role::Bad, wrong(&error, &self.text()))),
        }
        let safe = |text: &str| Safe::line(text).into_string();
        Page {
            title,
            field: Some(Field { before: safe(&self.before), after: safe(&self.after) }),
            notes,
            keys: vec![("Enter", "sends it"), ("Esc", "back"), ("Ctrl-U", "clears")],
            ..Page::default()
        }
    }
}

const fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// What becomes of an attempt that is under way.
fn effect(scene: &Scene<'_>, purpose: Purpose, step: StepId) -> Option<String> {
    let seen = scene.run.steps.get(step.index())?;
    (purpose == Purpose::Complete && seen.state.active())
        .then(|| "its attempt is ended; what it does is dropped".to_owned())
}

/// What is wrong, and at which character: the text is one line here.
fn wrong(error: &serde_json::Error, text: &str) -> String {
    let said = error.to_string();
    let what = said.rsplit_once(" at line ").map_or(said.as_str(), |(what, _)| what);
    let byte = error.column().saturating_sub(1).min(text.len());
    let character = text.char_indices().take_while(|(at, _)| *at < byte).count() + 1;
    // It ends before a value is whole: what was to come is told, not where the end is.
    if let Some(inside) = what.strip_prefix("EOF while parsing ") {
        return format!("not JSON yet: it ends inside {inside}, at character {character}");
    }
    format!("not JSON yet: {} at character {character}", Safe::line(what))
}
