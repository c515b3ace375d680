//! Giving a step to another agent: who could do it, how each of them stands, and when it would be done.

use super::Scene;
use super::hits::can_do;
use super::item::{Does, Item, numbered};
use super::page::Note;
use crate::model::command::Command;
use crate::model::id::{AgentId, StepId};
use crate::model::time::Micros;
use crate::model::view::AgentView;
use crate::report::format::span;
use crate::report::look::{self, AgentState, Role};

/// Every agent that has what the step asks for.
pub(super) fn agents(scene: &Scene<'_>, step: StepId) -> Vec<Item> {
    let Some(seen) = scene.run.steps.get(step.index()) else { return Vec::new() };
    let spec = scene.run.workflow.step(step);
    let able: Vec<&AgentView> = scene.view.agents.iter().filter(|agent| can_do(agent, spec)).collect();
    if able.is_empty() {
        let why = if spec.is_approval() { "a person answers it: press a" } else { "no agent has what it asks for" };
        return vec![Item::new("nobody", "", Does::Nothing(why.to_owned()))];
    }
    let items = able.into_iter().map(|agent| {
        let word = look::agent(AgentState::of(agent)).word;
        let load = format!("{word}, {}/{} slots", agent.busy.len(), agent.slots);
        let note = match expected(scene, agent, step) {
            Some(time) => format!("{load}, done in ~{}", span(time)),
            None => load,
        };
        let has_it = seen.pinned == Some(agent.id) || (seen.state.active() && seen.agent == Some(agent.id));
        let does = if has_it {
            Does::Nothing(format!("{} has it already", scene.texts.agent(agent.id)))
        } else if seen.state.ended() {
            Does::Nothing(format!("it has ended ({}): R opens it again", seen.state.word()))
        } else {
            Does::Send(Command::ReassignStep { run: scene.run.id, step, agent: agent.id })
        };
        Item::new(scene.texts.agent(agent.id), note, does)
    });
    numbered(items.collect())
}

/// How long a step of this kind takes: measured in this run, else estimated, else measured before.
fn usual(scene: &Scene<'_>, step: StepId) -> Option<Micros> {
    let spec = scene.run.workflow.steps.get(step.index())?;
    let measured = scene.run.figures.durations.iter().find(|figures| *figures.kind == *spec.kind());
    measured.map(|figures| figures.mean).or(spec.estimate).or(spec.measured)
}

/// When the agent would be done with it, if nothing goes wrong; `None` where nobody knows, or it takes no work.
fn expected(scene: &Scene<'_>, agent: &AgentView, step: StepId) -> Option<Micros> {
    if matches!(AgentState::of(agent), AgentState::Broken | AgentState::BrokenOnPurpose | AgentState::BreakerOpen) {
        return None;
    }
    let parked = agent.parked.map_or(Micros::ZERO, |until| until.saturating_sub(scene.now));
    let mut wait = Micros::ZERO;
    if agent.busy.len() >= agent.slots as usize {
        let left = agent.busy.iter().map(|busy| {
            let passed = scene.now.saturating_sub(busy.since);
            let whole = if busy.run == scene.run.id { usual(scene, busy.step) } else { None };
            whole.map(|whole| whole.saturating_sub(passed))
        });
        // A slot of unknown length could be the first to be free: then nobody knows.
        wait = left.collect::<Option<Vec<_>>>()?.into_iter().min()?;
    }
    Some(parked.max(wait) + usual(scene, step)?)
}

/// What giving it away would do.
pub(super) fn notes(scene: &Scene<'_>, step: StepId, agent: AgentId) -> Vec<Note> {
    let Some(seen) = scene.run.steps.get(step.index()) else { return Vec::new() };
    let (name, to) = (scene.texts.step(step), scene.texts.agent(agent));
    let mut notes = Vec::new();
    if seen.state.active() {
        let from = seen.agent.map_or("its agent", |agent| scene.texts.agent(agent));
        let words = format!("its attempt on {from} is ended and spends no retry; it starts anew on {to}");
        notes.push(Note::with(Role::Bad, words));
    } else {
        notes.push(Note::plain(format!("{name} is done by {to} and by nobody else")));
    }
    let Some(target) = scene.view.agents.get(agent.index()) else { return notes };
    match AgentState::of(target) {
        AgentState::Broken | AgentState::BrokenOnPurpose => {
            notes.push(Note::with(Role::Bad, format!("{to} is broken: it waits until {to} is healed")));
        }
        AgentState::BreakerOpen => {
            notes.push(Note::with(Role::Waiting, format!("the breaker of {to} is open: it waits until that closes")));
        }
        _ if target.busy.len() >= target.slots as usize => {
            notes.push(Note::with(Role::Waiting, format!("all slots of {to} are taken: it waits for one")));
        }
        _ => {}
    }
    notes
}
