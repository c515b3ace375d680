//! What a dialog shows, apart from how it is drawn. All text in it is safe.

use crate::report::look::Role;

/// A dialog as text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Page {
    /// What it is about.
    pub(crate) title: String,
    /// Paragraphs, and the first row of them that is shown.
    pub(crate) text: Vec<String>,
    pub(crate) top: usize,
    /// What is typed.
    pub(crate) field: Option<Field>,
    /// Choices.
    pub(crate) rows: Vec<Row>,
    /// The row that Enter means.
    pub(crate) cursor: Option<usize>,
    /// What Enter would do, the most important first.
    pub(crate) notes: Vec<Note>,
    /// Keys and what they do.
    pub(crate) keys: Vec<(&'static str, &'static str)>,
}

/// A text being typed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Field {
    /// Left of the cursor.
    pub(crate) before: String,
    /// From the cursor on.
    pub(crate) after: String,
}

/// One choice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Row {
    /// The letter that goes to it.
    pub(crate) key: Option<char>,
    pub(crate) label: String,
    /// What stands beside it.
    pub(crate) note: String,
    /// It would do nothing.
    pub(crate) idle: bool,
}

/// A sentence about what would happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Note {
    /// `None`: nothing that a colour would tell.
    pub(crate) role: Option<Role>,
    pub(crate) text: String,
}

impl Note {
    pub(crate) fn plain(text: impl Into<String>) -> Self {
        Self { role: None, text: text.into() }
    }
    pub(crate) fn with(role: Role, text: impl Into<String>) -> Self {
        Self { role: Some(role), text: text.into() }
    }
}
