//! Searching: what is typed becomes the search at once, and the first match is shown while typing.

use super::app::App;
use super::arrange::Pane;
use super::consult::pasted;
use super::keymap::Key;
use crate::model::action::Action;
use crate::model::id::AgentId;
use crate::report::look::Role;
use ratatui::crossterm::event::KeyCode;

/// The longest search text.
const QUERY_MAX: usize = 200;

/// Text was pasted: it goes where text is typed, and nowhere else.
pub(crate) fn paste(app: &mut App, text: &str) {
    if pasted(app, text) {
        return;
    }
    let Some(prompt) = &mut app.prompt else { return };
    let line = text.lines().next().unwrap_or_default();
    prompt.extend(line.chars().filter(|c| !c.is_control()).take(QUERY_MAX));
    search_now(app);
}

/// A key, while somebody types.
pub(crate) fn typed(app: &mut App, key: Key, action: Option<Action>) {
    let Some(prompt) = &mut app.prompt else { return };
    match (key.code, action) {
        (KeyCode::Enter, _) => {
            app.prompt = None;
            let shown = if app.focus == Pane::Logs { app.book.query() } else { &app.query };
            if !shown.is_empty() && !find(app, false, true) {
                app.toast(Role::Waiting, &format!("nothing here matches “{}”", said(app)));
            }
            return;
        }
        (KeyCode::Esc, _) | (_, Some(Action::Interrupt)) => {
            app.prompt = None;
            clear_search(app);
            return;
        }
        (KeyCode::Backspace, _) => {
            prompt.pop();
        }
        (_, Some(Action::HalfPageUp)) => prompt.clear(),
        _ => match key.typed() {
            Some(c) if prompt.chars().count() < QUERY_MAX => prompt.push(c),
            _ => return,
        },
    }
    search_now(app);
}

fn said(app: &App) -> String {
    if app.focus == Pane::Logs { app.book.query().to_owned() } else { app.query.clone() }
}

/// Ends the search.
pub(crate) fn clear_search(app: &mut App) {
    app.query.clear();
    app.book.set_query("");
}

/// Takes what is typed so far as the search, and shows the first match.
fn search_now(app: &mut App) {
    let text = app.prompt.clone().unwrap_or_default().to_lowercase();
    if app.focus == Pane::Logs {
        app.book.set_query(&text);
    } else {
        app.query = text;
        find(app, false, true);
    }
}

/// Goes to a match; `here` counts too when the text has just changed. `false`: there is none.
fn find(app: &mut App, back: bool, here: bool) -> bool {
    if app.focus == Pane::Logs {
        return app.book.query().is_empty() || app.book.find(back) || here;
    }
    if app.query.is_empty() {
        return true;
    }
    let matches = |text: &str| text.to_lowercase().contains(&app.query);
    if app.focus == Pane::Agents {
        let count = app.texts.agents().len();
        let from = app.agent.map_or(0, AgentId::index);
        let found = around(count, from, back, here).find(|at| matches(app.texts.agents()[*at].as_str()));
        app.agent = found.map(AgentId::from_index).or(app.agent);
        return found.is_some();
    }
    let from = app.step.map_or(0, |step| app.texts.row(step));
    let order = app.texts.order();
    let found = around(order.len(), from, back, here).map(|row| order[row]).find(|s| matches(app.texts.step(*s)));
    if let Some(step) = found {
        app.select(step);
        app.follows = false;
    }
    found.is_some()
}

/// Every place once, from the next one on (or from here), in either direction.
fn around(count: usize, from: usize, back: bool, here: bool) -> impl Iterator<Item = usize> {
    (usize::from(!here)..count + usize::from(!here))
        .map(move |n| if back { (from + count - n % count) % count } else { (from + n) % count })
}

/// To the next match.
pub(crate) fn search_next(app: &mut App, back: bool) {
    if said(app).is_empty() {
        app.toast(Role::Waiting, "nothing is searched for: press / and type");
    } else if !find(app, back, false) {
        app.toast(Role::Waiting, &format!("nothing here matches “{}”", said(app)));
    }
}
