//! What an action does: pure. The panel's state changes here; what concerns the world comes back as requests.

use super::app::{Answer, App, Overlay, Subject};
use super::arrange::Pane;
use super::consult;
use super::keymap::{Key, Keymap, label};
use super::request::Request;
use super::search::{clear_search, search_next, typed};
use super::steer::{agent_command, confirmed, end, interrupt, quit, steer, step_command};
use super::travel::travel;
use crate::model::action::{Action, row_of};
use crate::model::state::EndCause;
use crate::model::view::EngineView;
use crate::report::graph::Direction;
use crate::report::look::Role;
use ratatui::crossterm::event::KeyCode;

/// A key was pressed.
pub(crate) fn press(app: &mut App, view: &EngineView, keymap: &Keymap, key: Key) -> Vec<Request> {
    if consult::typing(app) && key.without_alt().is_some() {
        // Esc and a key in one go: the key was text, and must not be a command once there is nothing to type into.
        return consult::pressed(app, view, Key::parse("esc").expect("a key of the table"), None).unwrap_or_default();
    }
    // Esc and a key in one go look like that key with Alt to a terminal.
    if let Some(bare) = key.without_alt().filter(|_| keymap.action(key).is_none()) {
        let esc = Key::parse("esc").expect("a key of the table");
        let mut requests = press(app, view, keymap, esc);
        requests.extend(press(app, view, keymap, bare));
        return requests;
    }
    let action = keymap.action(key);
    if app.prompt.is_some() && !matches!(action, Some(Action::Suspend | Action::Redraw)) {
        typed(app, key, action);
        return Vec::new();
    }
    if let Some(requests) = consult::pressed(app, view, key, action) {
        return requests;
    }
    if let Some(Overlay::Ask(question)) = &app.overlay {
        let answer = question.yes.clone();
        return match (key.code, action) {
            (KeyCode::Char('y' | 'Y') | KeyCode::Enter, _) => {
                app.overlay = None;
                confirmed(app, view, answer)
            }
            (_, Some(Action::Interrupt)) if answer == Answer::Quit => end(app, EndCause::Quit, true),
            (KeyCode::Char('n' | 'N') | KeyCode::Esc, _) | (_, Some(Action::Quit | Action::Interrupt)) => {
                app.overlay = None;
                Vec::new()
            }
            (_, Some(action @ (Action::Suspend | Action::Redraw))) => update(app, view, action),
            _ => Vec::new(),
        };
    }
    match action {
        Some(action) => update(app, view, action),
        None => Vec::new(),
    }
}

/// Does what an action means here and now.
pub(crate) fn update(app: &mut App, view: &EngineView, action: Action) -> Vec<Request> {
    let row = row_of(action);
    if !row.built {
        let key = label(row.keys[0], app.caps.ascii);
        app.toast(Role::Waiting, &format!("{key} comes later: this version cannot do “{}” yet", row.doc));
        return Vec::new();
    }
    match action {
        Action::Start | Action::PauseOrResume | Action::Resume | Action::Freeze => steer(app, view, action),
        Action::CancelMore | Action::Answer | Action::SkipStep | Action::CompleteStep | Action::ReassignStep => {
            consult::open(app, view, action)
        }
        Action::Breaker => consult::breaker(app, view),
        Action::CancelStep | Action::RetryStep | Action::PriorityUp | Action::PriorityDown => {
            step_command(app, view, action)
        }
        Action::FailAgent | Action::Heal => agent_command(app, view, action),
        Action::Quit => quit(app, view),
        Action::Interrupt => interrupt(app, view),
        Action::Suspend => vec![Request::Suspend],
        Action::Redraw => vec![Request::Redraw],
        Action::Copy => copy(app),
        _ => {
            look(app, view, action);
            Vec::new()
        }
    }
}

/// What changes the screen alone.
fn look(app: &mut App, view: &EngineView, action: Action) {
    match action {
        Action::FocusNext => focus(app, app.focus.next(false)),
        Action::FocusPrevious => focus(app, app.focus.next(true)),
        Action::FocusGraph => focus(app, Pane::Graph),
        Action::FocusSteps => focus(app, Pane::Steps),
        Action::FocusAgents => focus(app, Pane::Agents),
        Action::FocusInspector => {
            if app.focus == Pane::Inspector && app.overlay.is_none() {
                let shown = app.run_in(view).map_or(app.subject, |run| app.subject(run));
                app.subject = if shown == Subject::Run { Subject::Step } else { Subject::Run };
                // Following would go on showing the run.
                app.follows &= app.subject == Subject::Run;
                app.tops.inspector = 0;
            }
            focus(app, Pane::Inspector);
        }
        Action::FocusLogs => {
            app.diagnostics = app.focus == Pane::Logs && app.overlay.is_none() && !app.diagnostics;
            focus(app, Pane::Logs);
        }
        Action::Zoom => {
            app.overlay = None;
            app.zoomed = !app.zoomed;
        }
        Action::Direction => turn(app),
        Action::Open => open(app, view),
        Action::Back => back(app),
        Action::Search => {
            app.overlay = None;
            app.diagnostics &= app.focus != Pane::Logs;
            clear_search(app);
            app.prompt = Some(String::new());
        }
        Action::SearchNext => search_next(app, false),
        Action::SearchPrevious => search_next(app, true),
        Action::Follow => follow(app, view),
        Action::Why => {
            app.overlay = if matches!(app.overlay, Some(Overlay::Why(_))) { None } else { Some(Overlay::Why(0)) };
        }
        Action::Help => {
            app.overlay = if matches!(app.overlay, Some(Overlay::Help(_))) { None } else { Some(Overlay::Help(0)) };
        }
        moving => travel(app, view, moving),
    }
}

fn focus(app: &mut App, pane: Pane) {
    app.overlay = None;
    app.focus(pane);
}

fn turn(app: &mut App) {
    if app.at.graph_as_list {
        app.toast(Role::Waiting, "the graph is a list on a screen this narrow: it has one direction");
        return;
    }
    let shown = app.graph.drawing.as_ref().map_or(Direction::LeftToRight, |drawing| drawing.layout.direction);
    app.graph.direction = Some(match shown {
        Direction::LeftToRight => Direction::TopToBottom,
        Direction::TopToBottom => Direction::LeftToRight,
    });
    app.graph.viewport.held = false;
}

fn open(app: &mut App, view: &EngineView) {
    app.overlay = None;
    match app.focus {
        Pane::Graph | Pane::Steps | Pane::Agents => app.focus(Pane::Inspector),
        Pane::Inspector if app.subject == Subject::Agent => {
            let busy = app.agent.and_then(|agent| view.agents.get(agent.index())).and_then(|agent| agent.busy.first());
            match busy.filter(|busy| Some(busy.run) == app.run) {
                Some(busy) => {
                    app.follows = false;
                    app.select(busy.step);
                    app.subject = Subject::Step;
                }
                None => app.toast(Role::Waiting, "this agent works on nothing now: there is no step to open"),
            }
        }
        Pane::Logs => {
            let scope = if app.book.scope().is_some() { None } else { app.step };
            app.book.set_scope(scope);
            app.diagnostics = false;
        }
        Pane::Inspector => app.zoomed = !app.zoomed,
    }
}

fn back(app: &mut App) {
    if app.overlay.take().is_some() {
    } else if !app.query.is_empty() || !app.book.query().is_empty() {
        clear_search(app);
    } else if app.zoomed {
        app.zoomed = false;
    } else if app.diagnostics {
        app.diagnostics = false;
    } else if app.focus == Pane::Logs {
        if app.book.scope().is_some() { app.book.set_scope(None) } else { app.book.follow() }
    }
}

fn follow(app: &mut App, view: &EngineView) {
    if app.focus == Pane::Logs {
        app.book.follow();
        return;
    }
    app.follows = true;
    app.graph.viewport.held = false;
    app.absorb(view);
}

fn copy(app: &App) -> Vec<Request> {
    let request = match app.focus {
        Pane::Graph | Pane::Steps => app.step.map(|step| Request::Copy(app.texts.step(step).to_owned())),
        Pane::Agents => app.agent.map(|agent| Request::Copy(app.texts.agent(agent).to_owned())),
        Pane::Logs => app.book.current().map(Request::CopyLine),
        Pane::Inspector => Some(Request::CopyInspector),
    };
    request.into_iter().collect()
}
