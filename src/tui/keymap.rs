//! From keys to actions: the table `model::action::ACTIONS`, turned round.
//!
//! Terminals tell the same key in several ways (a capital with or without Shift, Shift-Tab as a key of its own); a
//! [`Key`] has one form only.

use crate::model::action::{ACTIONS, Action};
use crokey::{KeyCombination, OneToThree};
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use std::collections::HashMap;

/// A key in its one form: capitals carry no Shift, and neither does what needs Shift on some keyboards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    /// The key.
    pub(crate) code: KeyCode,
    modifiers: KeyModifiers,
}

impl Key {
    pub(crate) fn new(code: KeyCode, modifiers: KeyModifiers) -> Self {
        let mut modifiers = modifiers & (KeyModifiers::CONTROL | KeyModifiers::ALT | KeyModifiers::SHIFT);
        let code = match code {
            KeyCode::Char(c) if modifiers.contains(KeyModifiers::CONTROL) => {
                modifiers.remove(KeyModifiers::SHIFT);
                KeyCode::Char(c.to_ascii_lowercase())
            }
            KeyCode::Char(c) => {
                let shift = modifiers.contains(KeyModifiers::SHIFT);
                modifiers.remove(KeyModifiers::SHIFT);
                KeyCode::Char(if shift { c.to_ascii_uppercase() } else { c })
            }
            KeyCode::Tab | KeyCode::BackTab if code == KeyCode::BackTab || modifiers.contains(KeyModifiers::SHIFT) => {
                modifiers.remove(KeyModifiers::SHIFT);
                KeyCode::BackTab
            }
            other => other,
        };
        Self { code, modifiers }
    }

    /// The key of a terminal event.
    pub(crate) fn of(event: KeyEvent) -> Self {
        let KeyCombination { codes, modifiers } = KeyCombination::from(event);
        match codes {
            OneToThree::One(code) => Self::new(code, modifiers),
            _ => Self::new(event.code, event.modifiers),
        }
    }

    /// The key of a name in the table.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let mut chars = name.chars();
        if let (Some(c), None) = (chars.next(), chars.next()) {
            return Some(Self::new(KeyCode::Char(c), KeyModifiers::NONE));
        }
        let KeyCombination { codes, modifiers } = crokey::parse(name).ok()?;
        match codes {
            OneToThree::One(code) => Some(Self::new(code, modifiers)),
            _ => None,
        }
    }

    /// The key without Alt, if it has Alt.
    pub(crate) fn without_alt(self) -> Option<Self> {
        let bare = self.modifiers - KeyModifiers::ALT;
        (bare != self.modifiers).then(|| Self::new(self.code, bare))
    }

    /// The character it types, if it types one.
    pub(crate) fn typed(self) -> Option<char> {
        match self.code {
            KeyCode::Char(c) if !self.modifiers.intersects(KeyModifiers::CONTROL | KeyModifiers::ALT) => Some(c),
            _ => None,
        }
    }
}

/// Which action a key means.
#[derive(Clone, Debug)]
pub(crate) struct Keymap(HashMap<Key, Action>);

impl Default for Keymap {
    fn default() -> Self {
        let rows = ACTIONS.iter().flat_map(|row| row.keys.iter().map(move |key| (key, row.action)));
        Self(rows.filter_map(|(key, action)| Some((Key::parse(key)?, action))).collect())
    }
}

impl Keymap {
    /// The action of a key.
    pub(crate) fn action(&self, key: Key) -> Option<Action> {
        self.0.get(&key).copied()
    }
}

/// A key's name for people: `Ctrl-C`, `PgUp`, `↑`.
pub(crate) fn label(name: &str, ascii: bool) -> String {
    match (name, ascii) {
        ("up", false) => "↑".to_owned(),
        ("down", false) => "↓".to_owned(),
        ("left", false) => "←".to_owned(),
        ("right", false) => "→".to_owned(),
        ("pageup", _) => "PgUp".to_owned(),
        ("pagedown", _) => "PgDn".to_owned(),
        _ if name.chars().count() == 1 => name.to_owned(),
        _ => {
            let capital = |part: &str| {
                let mut chars = part.chars();
                chars.next().map_or_else(String::new, |c| c.to_uppercase().collect::<String>() + chars.as_str())
            };
            name.split('-').map(capital).collect::<Vec<_>>().join("-")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn press(code: KeyCode, modifiers: KeyModifiers) -> Option<Action> {
        Keymap::default().action(Key::of(KeyEvent::new(code, modifiers)))
    }

    #[test]
    fn every_key_of_the_table_is_understood_and_finds_its_action() {
        let map = Keymap::default();
        for row in ACTIONS {
            for name in row.keys {
                let key = Key::parse(name).unwrap_or_else(|| panic!("{name}"));
                assert_eq!(map.action(key), Some(row.action), "{name}");
            }
        }
        assert_eq!(map.0.len(), ACTIONS.iter().map(|row| row.keys.len()).sum::<usize>(), "two keys are one");
    }

    #[test]
    fn capitals_are_the_same_with_and_without_shift() {
        for modifiers in [KeyModifiers::NONE, KeyModifiers::SHIFT] {
            assert_eq!(press(KeyCode::Char('R'), modifiers), Some(Action::RetryStep));
            assert_eq!(press(KeyCode::Char('?'), modifiers), Some(Action::Help));
            assert_eq!(press(KeyCode::Char('>'), modifiers), Some(Action::PriorityUp));
            assert_eq!(press(KeyCode::BackTab, modifiers), Some(Action::FocusPrevious));
        }
        assert_eq!(press(KeyCode::Char('r'), KeyModifiers::SHIFT), Some(Action::RetryStep));
        assert_eq!(press(KeyCode::Char('r'), KeyModifiers::NONE), Some(Action::Resume));
        assert_eq!(press(KeyCode::Tab, KeyModifiers::SHIFT), Some(Action::FocusPrevious));
        assert_eq!(press(KeyCode::Char('C'), KeyModifiers::CONTROL | KeyModifiers::SHIFT), Some(Action::Interrupt));
    }

    #[test]
    fn keys_with_alt_or_other_controls_have_no_meaning_of_their_own() {
        assert_eq!(press(KeyCode::Char('x'), KeyModifiers::ALT), None);
        assert_eq!(press(KeyCode::Char('q'), KeyModifiers::CONTROL), None);
    }

    #[test]
    fn labels_are_what_is_printed_on_keys() {
        assert_eq!(label("ctrl-c", false), "Ctrl-C");
        assert_eq!(label("shift-tab", false), "Shift-Tab");
        assert_eq!(label("pageup", false), "PgUp");
        assert_eq!([label("up", false), label("up", true)], ["↑", "Up"]);
        assert_eq!(label("R", false), "R");
    }
}
