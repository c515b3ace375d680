//! Steering: which command a key means for the run, the selected step or an agent. What the engine may refuse is left to
//! the engine; here only what cannot even be asked is answered, with the reason and the way out.

use super::app::{Answer, App, Ending, Overlay, Question, under_way};
use super::dialogs::{can_do, dependents};
use super::request::Request;
use crate::model::action::Action;
use crate::model::command::Command;
use crate::model::defaults::{PRIORITY_MAX, PRIORITY_STEP};
use crate::model::id::{AgentId, RunId, StepId};
use crate::model::state::{EndCause, RunState, StepState, WaitReason};
use crate::model::view::{EngineView, RunView, Saving};
use crate::report::format::plural;
use crate::report::look::Role;

/// The most names in a question.
const NAMES_MAX: usize = 5;

/// What concerns the run.
pub(crate) fn steer(app: &mut App, view: &EngineView, action: Action) -> Vec<Request> {
    let Some(run) = app.run_in(view) else { return Vec::new() };
    let id = run.id;
    let command = match (action, run.state) {
        // Going on after the store took nothing is the same key as going on after a pause.
        (Action::PauseOrResume, _) if view.store.trouble.is_some() => Command::Resume { run: id },
        (Action::Start, _) => Command::Start { run: id },
        (Action::Freeze | Action::PauseOrResume, _) if run.frozen => Command::Resume { run: id },
        (Action::Freeze, _) => Command::Freeze { run: id },
        (Action::PauseOrResume, RunState::Paused | RunState::Pausing) | (Action::Resume, _) => {
            Command::Resume { run: id }
        }
        _ => Command::Pause { run: id },
    };
    vec![Request::Command(command)]
}

/// What concerns the selected step.
pub(crate) fn step_command(app: &mut App, view: &EngineView, action: Action) -> Vec<Request> {
    let (Some(run), Some(step)) = (app.run_in(view), app.step) else { return Vec::new() };
    let Some(seen) = run.steps.get(step.index()) else { return Vec::new() };
    let id = run.id;
    let priority = match action {
        Action::PriorityUp => seen.priority.saturating_add(PRIORITY_STEP).min(PRIORITY_MAX),
        _ => seen.priority.saturating_sub(PRIORITY_STEP),
    };
    match action {
        Action::RetryStep => vec![Request::Command(Command::RetryStep { run: id, step })],
        Action::CancelStep => {
            let cancel = Command::CancelStep { run: id, step };
            // Nothing to ask where it will be refused, or where it was asked before.
            if seen.state.ended() || seen.state == StepState::Cancelling {
                return vec![Request::Command(cancel)];
            }
            let taken_along = taken_along(view, run, step);
            let name = app.texts.step(step);
            let mut lines = vec![match taken_along.len() {
                0 => format!("cancel {name}?"),
                n => format!("cancel {name} and {}?", plural(n as u64, "dependent")),
            }];
            if !taken_along.is_empty() {
                lines.push(app.texts.list(&taken_along, NAMES_MAX));
            }
            app.overlay = Some(Overlay::Ask(Question { lines, yes: Answer::Command(cancel) }));
            Vec::new()
        }
        _ if priority == seen.priority => {
            app.toast(Role::Waiting, &format!("its priority is {priority} already: that is the end of the scale"));
            Vec::new()
        }
        _ => {
            app.toast(Role::Ready, &format!("{} has priority {priority} now", app.texts.step(step).to_owned()));
            vec![Request::Command(Command::SetPriority { run: id, step, priority })]
        }
    }
}

/// What would be cancelled with a step: as the engine says, else all that waits for its success.
fn taken_along(view: &EngineView, run: &RunView, step: StepId) -> Vec<StepId> {
    if let Some(detail) = view.detail.as_ref().filter(|detail| (detail.run, detail.step) == (run.id, step)) {
        return detail.dependents.clone();
    }
    dependents(run, &[step])
}

/// What concerns an agent: the selected one, or the one the selected step has or needs.
pub(crate) fn agent_command(app: &mut App, view: &EngineView, action: Action) -> Vec<Request> {
    let heals = action == Action::Heal;
    if app.on_agent() {
        let Some(agent) = app.agent else { return Vec::new() };
        let command = if heals { Command::HealAgent { agent } } else { Command::FailAgent { agent } };
        return vec![Request::Command(command)];
    }
    let (Some(run), Some(step)) = (app.run_in(view), app.step) else { return Vec::new() };
    let Some(seen) = run.steps.get(step.index()) else { return Vec::new() };
    let broken = |agent: &AgentId| view.agents.get(agent.index()).is_some_and(|agent| agent.broken.is_some());
    let found = if heals {
        let awaited = match &seen.wait {
            Some((WaitReason::Capability { broken, .. }, _)) => broken.as_slice(),
            _ => &[],
        };
        let spec = run.workflow.step(step);
        let able = view.agents.iter().filter(|agent| can_do(agent, spec));
        awaited.iter().copied().chain(seen.agent).chain(able.map(|agent| agent.id)).find(broken)
    } else {
        seen.agent.filter(|_| seen.state.active())
    };
    let name = app.texts.step(step).to_owned();
    match (found, heals) {
        (Some(agent), true) => vec![Request::Command(Command::HealAgent { agent })],
        (Some(agent), false) => vec![Request::Command(Command::FailAgent { agent })],
        (None, true) => {
            app.toast(Role::Waiting, &format!("no broken agent could do {name}; to heal another one, select it (3)"));
            Vec::new()
        }
        (None, false) => {
            app.toast(
                Role::Waiting,
                &format!("no agent works on {name} now; select a running step, or an agent (3), and press x again"),
            );
            Vec::new()
        }
    }
}

/// How a run is ended when upbeat is to end.
pub(crate) const fn parting(view: &EngineView, run: RunId, cause: EndCause) -> Command {
    match view.store.saving {
        Saving::Nothing => Command::Cancel { run, cause },
        Saving::Normal | Saving::Full => Command::Park { run },
    }
}

/// Leaves; asks first where a run is under way.
pub(crate) fn quit(app: &mut App, view: &EngineView) -> Vec<Request> {
    app.overlay = None;
    let Some(run) = under_way(view).next() else { return vec![Request::Leave] };
    if app.ending.is_some() {
        app.toast(Role::Waiting, "ending already; press Ctrl-C to end everything at once");
        return Vec::new();
    }
    let working = plural(u64::from(run.counts.active()), "step");
    let lines = if view.store.saving == Saving::Nothing {
        let doing = format!("the run is under way: {working} at work");
        vec!["end the run and quit?".to_owned(), doing, "nothing of it is saved".to_owned()]
    } else {
        let doing = match run.counts.active() {
            0 => "nothing is at work just now".to_owned(),
            _ => format!("{working} at work: ended now, done again when the run goes on"),
        };
        vec![
            "leave the run and quit?".to_owned(),
            doing,
            safety(view.store.saving).to_owned(),
            format!("upbeat resume {} goes on with it", app.texts.run.as_str()),
        ]
    };
    app.overlay = Some(Overlay::Ask(Question { lines, yes: Answer::Quit }));
    Vec::new()
}

/// What a store of this kind survives.
const fn safety(saving: Saving) -> &'static str {
    match saving {
        Saving::Nothing => "nothing of it is saved",
        Saving::Normal => "it is saved: it survives the end of upbeat; a loss of power may take the last moments",
        Saving::Full => "it is saved: it survives a loss of power",
    }
}

/// The same, and pressed again: at once.
pub(crate) fn interrupt(app: &mut App, view: &EngineView) -> Vec<Request> {
    if app.ending.is_some() {
        return end(app, EndCause::Quit, true);
    }
    let asks = quit(app, view);
    if let Some(Overlay::Ask(question)) = &mut app.overlay {
        question.lines.push("Ctrl-C again: at once".to_owned());
    }
    asks
}

/// Leaves: the runs are ended first. Said again, without grace.
pub(crate) fn end(app: &mut App, cause: EndCause, forced: bool) -> Vec<Request> {
    app.overlay = None;
    app.prompt = None;
    let cause = app.ending.map_or(cause, |ending| ending.cause);
    app.ending = Some(Ending { cause, forced });
    vec![Request::End { cause, forced }]
}

/// A question was answered with yes.
pub(crate) fn confirmed(app: &mut App, view: &EngineView, answer: Answer) -> Vec<Request> {
    match answer {
        Answer::Command(command) => vec![Request::Command(command)],
        Answer::Quit if under_way(view).next().is_none() => vec![Request::Leave],
        Answer::Quit => end(app, EndCause::Quit, false),
    }
}
