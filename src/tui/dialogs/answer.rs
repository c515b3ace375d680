//! Questions to a person: an approval, a step whose retries are spent, a run that missed its share.

use super::editor::{Editor, Purpose};
use super::item::{Does, Item, Next, numbered};
use super::page::{Page, Row};
use super::{Dialog, Reply, Scene};
use crate::model::action::Action;
use crate::model::command::{Answer, Command};
use crate::model::id::StepId;
use crate::model::policy::Success;
use crate::model::safe::Safe;
use crate::model::state::{StepState, WaitReason};
use crate::model::step::{Decision, Work};
use crate::model::view::{RunView, StepView};
use crate::report::format::{percent, plural};
use crate::tui::keymap::Key;
use ratatui::crossterm::event::KeyCode;

/// The most failed steps named.
const NAMES_MAX: usize = 8;
/// Rows that a page scrolls by.
const PAGE: usize = 8;

/// What a step asks a person, if it does.
const fn asks(step: &StepView) -> Option<&WaitReason> {
    match (&step.wait, step.state) {
        (Some((why, _)), StepState::Waiting) if why.asks_a_person() => Some(why),
        _ => None,
    }
}

/// Everything that asks a person: the run itself (`None`), then steps in their order.
pub(crate) fn asking(run: &RunView) -> impl Iterator<Item = Option<StepId>> + '_ {
    // In most runs nothing waits: then a hundred thousand steps are not looked through for every frame.
    let none_waits = run.counts.of(StepState::Waiting) == 0;
    let order = run.shape.order.iter().copied().take(if none_waits { 0 } else { usize::MAX });
    let steps = order.filter(|step| run.steps.get(step.index()).is_some_and(|step| asks(step).is_some()));
    run.question.map(|_| None).into_iter().chain(steps.map(Some))
}

/// The questions, where there are several.
pub(super) fn questions(scene: &Scene<'_>) -> Vec<Item> {
    let items = asking(scene.run).map(|who| {
        let open = Does::Open(Next::Question(who));
        match who {
            None => Item::new("the run", "too little has succeeded", open),
            Some(step) => {
                let why = scene.run.steps.get(step.index()).and_then(asks);
                let note = match why {
                    Some(WaitReason::Approval) => "asks for a yes or no",
                    _ => "its retries are spent",
                };
                Item::new(scene.texts.step(step), note, open)
            }
        }
    });
    let items: Vec<Item> = items.collect();
    match items.is_empty() {
        true => vec![Item::new("nothing", "", Does::Nothing("everything has been answered".to_owned()))],
        false => numbered(items),
    }
}

/// A question on the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Answering {
    /// The step; without one, the run.
    step: Option<StepId>,
    /// The first row of the text that is shown.
    top: usize,
}

/// A letter and what it answers.
struct Choice {
    key: char,
    label: &'static str,
    note: &'static str,
    gives: Gives,
}

enum Gives {
    Command(Command),
    Value(StepId),
}

impl Answering {
    pub(crate) const fn new(step: Option<StepId>) -> Self {
        Self { step, top: 0 }
    }

    /// What can be answered now; nothing where it was answered already.
    fn choices(self, scene: &Scene<'_>) -> Vec<Choice> {
        let run = scene.run.id;
        let step = self.step;
        let gives = |answer: Answer| Gives::Command(Command::Answer { run, step, answer });
        let choice = |key, label, note, gives| Choice { key, label, note, gives };
        let Some(id) = step else {
            return match scene.run.question {
                None => Vec::new(),
                Some(_) => vec![
                    choice('y', "accept", "the run ends as partial", gives(Answer::Approve)),
                    choice('r', "retry", "what failed is tried again", Gives::Command(Command::RetryFailed { run })),
                    choice('n', "fail", "the run ends as failed", gives(Answer::Reject)),
                ],
            };
        };
        match scene.run.steps.get(id.index()).and_then(asks) {
            Some(WaitReason::Approval) => vec![
                choice('y', "yes", "it is approved", gives(Answer::Approve)),
                choice('n', "no", "it is rejected, and fails", gives(Answer::Reject)),
                choice('e', "a value…", "it is approved with a value of yours", Gives::Value(id)),
            ],
            Some(_) => vec![
                choice('r', "retry", "it is tried again, with fresh retries", gives(Answer::Approve)),
                choice('f', "fail", "it fails", gives(Answer::Reject)),
                choice('e', "a value…", "it is completed with a value of yours", Gives::Value(id)),
            ],
            None => Vec::new(),
        }
    }

    pub(super) fn press(&mut self, scene: &Scene<'_>, key: Key, action: Option<Action>) -> Reply {
        let typed = key.typed().map(|c| c.to_ascii_lowercase());
        if let Some(choice) = self.choices(scene).into_iter().find(|choice| Some(choice.key) == typed) {
            return match choice.gives {
                Gives::Command(command) => Reply::Send(command),
                Gives::Value(step) => Reply::Open(Dialog::Editor(Editor::new(Purpose::Answer, step))),
            };
        }
        match (key.code, action) {
            (KeyCode::Esc, _) | (_, Some(Action::Quit | Action::Interrupt)) => return Reply::Back,
            (_, Some(Action::Up)) => self.scroll(scene.beyond, -1),
            (_, Some(Action::Down)) => self.scroll(scene.beyond, 1),
            (_, Some(Action::PageUp | Action::HalfPageUp)) => self.scroll(scene.beyond, -(PAGE as isize)),
            (_, Some(Action::PageDown | Action::HalfPageDown)) => self.scroll(scene.beyond, PAGE as isize),
            (_, Some(Action::First)) => self.top = 0,
            (_, Some(Action::Last)) => self.top = scene.beyond,
            _ => {}
        }
        Reply::Stay
    }

    /// Moves the text.
    pub(crate) fn scroll(&mut self, beyond: usize, rows: isize) {
        self.top = self.top.saturating_add_signed(rows).min(beyond);
    }

    pub(super) fn page(self, scene: &Scene<'_>) -> Page {
        let choices = self.choices(scene);
        let open = !choices.is_empty();
        let row = |choice: &Choice| Row {
            key: Some(choice.key),
            label: choice.label.to_owned(),
            note: choice.note.to_owned(),
            idle: false,
        };
        let (title, text) = self.asked(scene);
        let mut keys = vec![("Esc", if open { "later" } else { "closes" })];
        if scene.beyond > 0 {
            keys.push(("↑↓", "scroll"));
        }
        Page {
            title,
            text: if open { text } else { vec!["this has been answered, or is no longer asked".to_owned()] },
            top: self.top,
            rows: choices.iter().map(row).collect(),
            keys,
            ..Page::default()
        }
    }

    /// The question in words.
    fn asked(self, scene: &Scene<'_>) -> (String, Vec<String>) {
        let Some(id) = self.step else { return ("the run asks".to_owned(), share(scene)) };
        let name = scene.texts.step(id);
        let seen = scene.run.steps.get(id.index());
        let spec = scene.run.workflow.steps.get(id.index());
        let mut text = Vec::new();
        let wait = seen.and_then(|seen| seen.wait.as_ref());
        if let (Some((WaitReason::Approval, until)), Some(spec)) = (wait, spec) {
            if let Work::Approval { prompt, default, .. } = &spec.work {
                text.extend(Safe::lines(prompt).into_iter().map(Safe::into_string));
                if let (Some(default), Some(until)) = (default, until) {
                    let word = match default {
                        Decision::Approve => "yes",
                        Decision::Reject => "no",
                    };
                    text.push(format!("without an answer it counts as {word} in {}", scene.left(*until)));
                }
            }
            return (format!("{name} asks for your yes or no"), text);
        }
        let attempts = seen.map_or(0, |seen| u64::from(seen.attempts));
        text.push(format!("it failed after {}, and nothing else is left to try", plural(attempts, "attempt")));
        if let Some(failure) = seen.and_then(|seen| seen.failure.as_ref()) {
            let mut message = Safe::lines(&failure.message).into_iter().map(Safe::into_string);
            text.push(format!("{}: {}", failure.class.word(), message.next().unwrap_or_default()));
            text.extend(message);
        }
        (format!("{name} asks what is to be done"), text)
    }
}

/// What the run asks: how much succeeded, how much is needed, and what failed.
fn share(scene: &Scene<'_>) -> Vec<String> {
    let run = scene.run;
    let Some((succeeded, counted)) = run.question else { return Vec::new() };
    let needed = match run.workflow.success {
        Success::All => "all are needed".to_owned(),
        Success::Any => "one is needed".to_owned(),
        Success::Min(share) => format!("{} are needed", percent(share)),
    };
    let failed = |step: &StepId| run.steps.get(step.index()).is_some_and(|step| step.state == StepState::Failed);
    let failed: Vec<StepId> = run.shape.order.iter().copied().filter(failed).collect();
    let mut text = vec![format!("{succeeded} of {counted} succeeded, {needed}")];
    if !failed.is_empty() {
        text.push(format!("failed: {}", scene.texts.list(&failed, NAMES_MAX)));
    }
    text
}
