//! Between the panel and its dialogs: keys that open one, keys and text that go into it, and what comes out.

use super::app::{Answer, App, Overlay, Question};
use super::dialogs::{Answering, Dialog, Dialogs, Editor, Level, Menu, Purpose, Reply, Scene, asking};
use super::keymap::Key;
use super::request::Request;
use crate::model::action::Action;
use crate::model::command::{BreakerMode, Command};
use crate::model::id::{AgentId, StepId};
use crate::model::state::{BreakerState, StepState};
use crate::model::step::NeedOn;
use crate::model::view::{EngineView, RunView};
use crate::report::look::Role;

/// The most names in a question.
const NAMES_MAX: usize = 5;

/// A key that opens a dialog or asks about the selected step.
pub(crate) fn open(app: &mut App, view: &EngineView, action: Action) -> Vec<Request> {
    let Some(run) = app.run_in(view) else { return Vec::new() };
    let selected = app.step.filter(|step| step.index() < run.steps.len());
    let dialog = match (action, selected) {
        (Action::CancelMore, _) => Dialog::Menu(Menu::new(Level::End)),
        (Action::Answer, _) => match question(app, run) {
            Some(dialog) => dialog,
            None => {
                app.toast(Role::Waiting, "nothing asks for an answer now");
                return Vec::new();
            }
        },
        (Action::SkipStep, Some(step)) => return skip(app, run, step),
        (Action::CompleteStep, Some(step)) if run.steps[step.index()].state == StepState::Succeeded => {
            let name = app.texts.step(step).to_owned();
            app.toast(Role::Waiting, &format!("{name} is done: there is nothing to complete by hand"));
            return Vec::new();
        }
        (Action::CompleteStep, Some(step)) => Dialog::Editor(Editor::new(Purpose::Complete, step)),
        (Action::ReassignStep, Some(step)) => Dialog::Menu(Menu::new(Level::Reassign(step))),
        _ => return Vec::new(),
    };
    app.overlay = Some(Overlay::Dialog(Dialogs::new(dialog)));
    Vec::new()
}

/// What the selected step asks; else the only thing that asks; else the choice.
fn question(app: &App, run: &RunView) -> Option<Dialog> {
    let all: Vec<Option<StepId>> = asking(run).collect();
    let who = match all.as_slice() {
        [] => return None,
        [one] => *one,
        more => match app.step.filter(|_| !app.on_agent()).filter(|step| more.contains(&Some(*step))) {
            Some(step) => Some(step),
            None => return Some(Dialog::Menu(Menu::new(Level::Asking))),
        },
    };
    Some(Dialog::Answer(Answering::new(who)))
}

/// Names what goes on without the step, and asks.
fn skip(app: &mut App, run: &RunView, step: StepId) -> Vec<Request> {
    let command = Command::SkipStep { run: run.id, step };
    let seen = &run.steps[step.index()];
    if seen.state.ended() {
        return vec![Request::Command(command)];
    }
    let name = app.texts.step(step);
    let mut lines = vec![format!("skip {name}?")];
    if let Some(agent) = seen.agent.filter(|_| seen.state.active()) {
        lines.push(format!("its attempt on {} is ended", app.texts.agent(agent)));
    }
    let goes_on = |next: &StepId| {
        let needs = run.workflow.steps.get(next.index()).map_or(&[][..], |step| step.needs.as_slice());
        needs.iter().any(|need| need.step == step && need.on != NeedOn::Failed)
    };
    let next: Vec<StepId> =
        run.shape.dependents.get(step.index()).into_iter().flatten().copied().filter(goes_on).collect();
    lines.push(match next.as_slice() {
        [] => "nothing needs it".to_owned(),
        some => format!("what goes on without it: {}", app.texts.list(some, NAMES_MAX)),
    });
    app.overlay = Some(Overlay::Ask(Question { lines, yes: Answer::Command(command) }));
    Vec::new()
}

/// The next setting of the breaker of the selected agent, or of the selected step's last one.
pub(crate) fn breaker(app: &mut App, view: &EngineView) -> Vec<Request> {
    let last = || {
        let run = app.run_in(view)?;
        run.steps.get(app.step?.index())?.agent
    };
    let agent = if app.on_agent() { app.agent } else { last() };
    let Some(agent) = agent.and_then(|agent: AgentId| view.agents.get(agent.index())) else {
        app.toast(Role::Waiting, "the selected step has had no agent yet; select an agent (3), and press b again");
        return Vec::new();
    };
    let Some(state) = agent.breaker else {
        let name = app.texts.agent(agent.id).to_owned();
        app.toast(Role::Waiting, &format!("{name} has no breaker: its entry says off, or it is built in"));
        return Vec::new();
    };
    let mode = match state {
        BreakerState::Closed | BreakerState::Open { .. } | BreakerState::HalfOpen { .. } => BreakerMode::ForcedOpen,
        BreakerState::ForcedOpen => BreakerMode::ForcedClosed,
        BreakerState::ForcedClosed => BreakerMode::Automatic,
    };
    vec![Request::Command(Command::SetBreaker { agent: agent.id, mode })]
}

/// A key, while a dialog lies on top. `None`: there is none, or the key is none of its business.
pub(crate) fn pressed(app: &mut App, view: &EngineView, key: Key, action: Option<Action>) -> Option<Vec<Request>> {
    if !matches!(app.overlay, Some(Overlay::Dialog(_))) || matches!(action, Some(Action::Suspend | Action::Redraw)) {
        return None;
    }
    let Some(Overlay::Dialog(mut dialogs)) = app.overlay.take() else { return None };
    let Some(run) = app.run_in(view) else { return Some(Vec::new()) };
    let scene = Scene { view, run, texts: &app.texts, now: view.now, beyond: app.beyond };
    let (stays, requests) = match dialogs.top_mut().press(&scene, key, action) {
        Reply::Stay => (true, Vec::new()),
        Reply::Back => (dialogs.pop(), Vec::new()),
        Reply::Open(dialog) => {
            dialogs.push(dialog);
            (true, Vec::new())
        }
        Reply::Send(command) => (false, vec![Request::Command(command)]),
    };
    app.overlay = stays.then_some(Overlay::Dialog(dialogs));
    Some(requests)
}

/// Whether keys are text for a dialog.
pub(crate) fn typing(app: &App) -> bool {
    matches!(&app.overlay, Some(Overlay::Dialog(dialogs)) if matches!(dialogs.top(), Dialog::Editor(_)))
}

/// Text was pasted; tells whether a dialog took it. One that takes no text swallows it: pasted text runs nothing.
pub(crate) fn pasted(app: &mut App, text: &str) -> bool {
    let Some(Overlay::Dialog(dialogs)) = &mut app.overlay else { return false };
    if let Dialog::Editor(editor) = dialogs.top_mut() {
        editor.insert(text);
    }
    true
}

/// The wheel over a dialog.
pub(crate) fn scrolled(app: &mut App, rows: isize) -> bool {
    let beyond = app.beyond;
    let Some(Overlay::Dialog(dialogs)) = &mut app.overlay else { return false };
    match dialogs.top_mut() {
        Dialog::Menu(menu) => menu.scroll(rows),
        Dialog::Answer(answering) => answering.scroll(beyond, rows),
        Dialog::Range(_) | Dialog::Editor(_) => return false,
    }
    true
}
