//! A choice of a menu: how it reads, and what it leads to.

use super::page::Row;
use crate::model::command::Command;
use crate::model::id::{AgentId, StepId};

/// What there is to choose from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    /// What is to be ended, or undone.
    End,
    /// Whose steps.
    Agents,
    /// What becomes of this agent's steps.
    Agent(AgentId),
    /// Steps that ask for which capability.
    Capabilities,
    /// Steps that ask for which action.
    Actions,
    /// Back to which mark.
    Checkpoints,
    /// Who is to do this step.
    Reassign(StepId),
    /// Which of several questions.
    Asking,
}

/// What a choice leads on to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Another choice.
    Menu(Level),
    /// A range of priorities.
    Range,
    /// The question of a step; without one, of the run.
    Question(Option<StepId>),
}

/// One choice, as the view has it now.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Item {
    pub(super) row: Row,
    pub(super) does: Does,
}

/// What Enter on a choice does.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Does {
    /// It leads on.
    Open(Next),
    /// This is sent.
    Send(Command),
    /// Nothing, for this reason.
    Nothing(String),
}

impl Item {
    /// A choice without a letter.
    pub(super) fn new(label: impl Into<String>, note: impl Into<String>, does: Does) -> Self {
        let idle = matches!(does, Does::Nothing(_));
        Self { row: Row { key: None, label: label.into(), note: note.into(), idle }, does }
    }
    /// The same with a letter.
    pub(super) fn lettered(self, key: char) -> Self {
        Self { row: Row { key: Some(key), ..self.row }, ..self }
    }
}

/// Gives the first nine choices their digits.
pub(super) fn numbered(items: Vec<Item>) -> Vec<Item> {
    let digits = ('1'..='9').map(Some).chain(std::iter::repeat(None));
    items.into_iter().zip(digits).map(|(item, key)| Item { row: Row { key, ..item.row }, ..item }).collect()
}
