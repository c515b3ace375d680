//! Ending and undoing: the choices of `C`, and what each of them would hit.

use super::Scene;
use super::hits::{self, Hits, only_ones};
use super::item::{Does, Item, Level, Next, numbered};
use super::page::Note;
use crate::model::command::{Command, Which};
use crate::model::id::{AgentId, Name, StepId};
use crate::model::safe::Safe;
use crate::model::state::EndCause;
use crate::model::step::Work;
use crate::model::time::Micros;
use crate::model::view::RunView;
use crate::report::format::plural;
use crate::report::look::Role;
use std::collections::HashMap;

/// The most names in a sentence.
const NAMES_MAX: usize = 5;
/// The most names where their order matters.
const ORDER_MAX: usize = 12;

/// Why a run that is being rolled back has no other way.
const UNDOING: &str = "what was begun to be undone is undone to the end; q leaves it for later";

/// What can be ended or undone.
pub(super) fn end(scene: &Scene<'_>) -> Vec<Item> {
    let (run, view) = (scene.run, scene.view);
    let open = hits::unended(run).count() as u64;
    let left = if open == 0 { "nothing is left to end".to_owned() } else { format!("{} left", plural(open, "step")) };
    let none = || match run.undoing {
        true => Does::Nothing(UNDOING.to_owned()),
        false => Does::Nothing("every step has ended: there is nothing to cancel".to_owned()),
    };
    let over = open == 0 || run.undoing;
    let leads = |level: Level| if over { none() } else { Does::Open(Next::Menu(level)) };
    let acts = |command: Command| if over || run.state.ended() { none() } else { Does::Send(command) };
    let kinds = |n: usize| if open == 0 { String::new() } else { format!("{n} to choose from") };
    let undone = run.rollback.as_ref().map_or(0, |rollback| rollback.undone.len() as u64);
    let marks = run.checkpoints.len() as u64;
    vec![
        Item::new("the whole run", left, acts(Command::Cancel { run: run.id, cause: EndCause::Cancel })).lettered('w'),
        Item::new("by agent…", kinds(view.agents.len()), leads(Level::Agents)).lettered('a'),
        Item::new("by capability…", kinds(asked(scene, capability).len()), leads(Level::Capabilities)).lettered('c'),
        Item::new("by action…", kinds(asked(scene, action).len()), leads(Level::Actions)).lettered('t'),
        Item::new(
            "by priority…",
            if open == 0 { String::new() } else { priorities(run) },
            if over { none() } else { Does::Open(Next::Range) },
        )
        .lettered('p'),
        Item::new("stop", "what runs ends first", acts(Command::Stop { run: run.id })).lettered('s'),
        Item::new(
            "roll back",
            if undone == 0 { "nothing to undo".to_owned() } else { format!("undoes {}", plural(undone, "step")) },
            whole_rollback(scene),
        )
        .lettered('u'),
        Item::new(
            "to a checkpoint…",
            if marks == 0 { "none was made".to_owned() } else { plural(marks, "checkpoint") },
            if run.undoing {
                none()
            } else if marks == 0 {
                Does::Nothing("no checkpoint was made: one is made before each critical step".to_owned())
            } else {
                Does::Open(Next::Menu(Level::Checkpoints))
            },
        )
        .lettered('b'),
    ]
}

fn whole_rollback(scene: &Scene<'_>) -> Does {
    if scene.run.undoing {
        return Does::Nothing(UNDOING.to_owned());
    }
    let Some(rollback) = scene.run.rollback.as_ref().filter(|rollback| !rollback.undone.is_empty()) else {
        return Does::Nothing("nothing that was done declares how it is undone (compensate)".to_owned());
    };
    match rollback.pivot {
        Some(pivot) => Does::Nothing(no_way_back(scene, pivot)),
        None => Does::Send(Command::Rollback { run: scene.run.id, to: None }),
    }
}

fn no_way_back(scene: &Scene<'_>, pivot: StepId) -> String {
    format!("{} is done, and after it there is no way back (pivot)", scene.texts.step(pivot))
}

/// Names that open steps ask by, each with its number of steps, in the order of the file.
fn asked<'r>(scene: &Scene<'r>, by: fn(&Work, Option<&'r Name>) -> Option<Name>) -> Vec<(Name, u64)> {
    let mut places: HashMap<Name, usize> = HashMap::new();
    let mut found: Vec<(Name, u64)> = Vec::new();
    for (_, _, step) in hits::unended(scene.run) {
        let Some(name) = by(&step.work, step.action.as_ref()) else { continue };
        let place = *places.entry(name.clone()).or_insert_with(|| {
            found.push((name, 0));
            found.len() - 1
        });
        found[place].1 += 1;
    }
    found
}

fn capability(work: &Work, _: Option<&Name>) -> Option<Name> {
    match work {
        Work::Capability { capability } => Some(capability.clone()),
        _ => None,
    }
}

fn action(_: &Work, action: Option<&Name>) -> Option<Name> {
    action.cloned()
}

/// Which priorities open steps have: `25 to 75`.
fn priorities(run: &RunView) -> String {
    let of = || hits::unended(run).map(|(_, seen, _)| seen.priority);
    match (of().min(), of().max()) {
        (Some(low), Some(high)) if low < high => format!("{low} to {high}"),
        (Some(low), _) => format!("all have {low}"),
        _ => String::new(),
    }
}

/// Every agent, with what of it would be hit.
pub(super) fn agents(scene: &Scene<'_>) -> Vec<Item> {
    let mut only = vec![0u64; scene.view.agents.len()];
    let ones = only_ones(scene.view, scene.run);
    for (id, seen, _) in hits::unended(scene.run) {
        let one = ones[id.index()].filter(|_| !seen.state.active());
        if let Some(count) = one.and_then(|agent| only.get_mut(agent.index())) {
            *count += 1;
        }
    }
    let items = scene.view.agents.iter().zip(only).map(|(agent, only)| {
        let working = hits::worked_on(scene.view, scene.run, agent.id).len() as u64;
        let note = match (working, only) {
            (0, 0) => "nothing to cancel".to_owned(),
            (working, 0) => format!("{working} at work"),
            (0, only) => format!("{only} that only it can do"),
            (working, only) => format!("{working} at work, {only} that only it can do"),
        };
        Item::new(scene.texts.agent(agent.id), note, Does::Open(Next::Menu(Level::Agent(agent.id))))
    });
    numbered(items.collect())
}

/// What becomes of an agent's steps.
pub(super) fn agent(scene: &Scene<'_>, agent: AgentId) -> Vec<Item> {
    let which = || Which::Agent(agent);
    let cancelled = hits::of(scene.view, scene.run, &which(), false);
    let given = hits::of(scene.view, scene.run, &which(), true);
    let send = |reassign: bool| Does::Send(Command::CancelWhere { run: scene.run.id, which: which(), reassign });
    let nothing = |words: &str| Does::Nothing(format!("{} {words}", scene.texts.agent(agent)));
    let (cancel, give) = match (cancelled.is_empty(), given.given.is_empty()) {
        (true, _) => {
            let none = "works on nothing of this run, and nothing is left that only it can do";
            (nothing(none), nothing(none))
        }
        (false, true) => (send(false), nothing("works on nothing that another agent could take")),
        (false, false) => (send(false), send(true)),
    };
    let count = |n: usize, words: &str| format!("{} {words}", plural(n as u64, "step"));
    vec![
        Item::new("cancel them", count(cancelled.at_work.len() + cancelled.open.len(), "cancelled"), cancel)
            .lettered('c'),
        Item::new("give them to others", count(given.given.len(), "given away"), give).lettered('g'),
    ]
}

/// Every capability that is asked for.
pub(super) fn capabilities(scene: &Scene<'_>) -> Vec<Item> {
    named(scene, asked(scene, capability), Which::Capability)
}

/// Every action that is asked for.
pub(super) fn actions(scene: &Scene<'_>) -> Vec<Item> {
    named(scene, asked(scene, action), Which::Action)
}

fn named(scene: &Scene<'_>, names: Vec<(Name, u64)>, which: fn(Name) -> Which) -> Vec<Item> {
    let items = names.into_iter().map(|(name, count)| {
        let command = Command::CancelWhere { run: scene.run.id, which: which(name.clone()), reassign: false };
        Item::new(Safe::line(&name).into_string(), plural(count, "step"), Does::Send(command))
    });
    numbered(items.collect())
}

/// Every mark, the newest first.
pub(super) fn checkpoints(scene: &Scene<'_>) -> Vec<Item> {
    let pivot = scene.run.rollback.as_ref().and_then(|rollback| rollback.pivot);
    let items = scene.run.checkpoints.iter().rev().map(|mark| {
        let label = format!("checkpoint {}, before {}", mark.number, scene.texts.step(mark.step));
        let ago = format!("{} ago", crate::report::format::span(scene.now.saturating_sub(mark.at)));
        let since = |step: &StepId| done_since(scene.run, *step, mark.at);
        let does = match pivot.filter(since) {
            Some(pivot) => Does::Nothing(no_way_back(scene, pivot)),
            None => Does::Send(Command::Rollback { run: scene.run.id, to: Some(mark.number) }),
        };
        Item::new(label, ago, does)
    });
    numbered(items.collect())
}

/// What a command would do, in sentences.
pub(super) fn notes(scene: &Scene<'_>, command: &Command) -> Vec<Note> {
    match command {
        Command::Cancel { .. } => ends(scene, &hits::of_run(scene.run)),
        Command::Stop { .. } => stops(scene),
        Command::CancelWhere { which, reassign, .. } => ends(scene, &hits::of(scene.view, scene.run, which, *reassign)),
        Command::Rollback { to, .. } => rollback(scene, *to),
        Command::ReassignStep { step, agent, .. } => super::reassign::notes(scene, *step, *agent),
        _ => Vec::new(),
    }
}

fn some(scene: &Scene<'_>, words: &str, steps: &[StepId], tail: &str) -> Option<String> {
    let count = plural(steps.len() as u64, "step");
    (!steps.is_empty()).then(|| format!("{words} {count}{tail}: {}", scene.texts.list(steps, NAMES_MAX)))
}

/// What a cancel ends.
pub(super) fn ends(scene: &Scene<'_>, hits: &Hits) -> Vec<Note> {
    if hits.is_empty() {
        return vec![Note::plain("nothing to cancel: no step that has not ended is meant")];
    }
    let sentences = [
        (Role::Bad, some(scene, "ends", &hits.at_work, " at work")),
        (Role::Active, some(scene, "gives", &hits.given, " to other agents")),
        (Role::Waiting, some(scene, "cancels", &hits.open, "")),
        (Role::Waiting, some(scene, "and with them", &hits.dependents, " that depend on them")),
    ];
    sentences.into_iter().filter_map(|(role, text)| Some(Note::with(role, text?))).collect()
}

fn stops(scene: &Scene<'_>) -> Vec<Note> {
    let hits = hits::of_run(scene.run);
    let sentences = [
        (Role::Active, some(scene, "lets", &hits.at_work, " at work end")),
        (Role::Waiting, some(scene, "cancels", &hits.open, "")),
    ];
    sentences.into_iter().filter_map(|(role, text)| Some(Note::with(role, text?))).collect()
}

/// Whether a step was at work at some time after this moment.
fn done_since(run: &RunView, step: StepId, at: Micros) -> bool {
    let Some(step) = run.steps.get(step.index()) else { return false };
    step.started.is_some_and(|started| started >= at) || step.ended.is_none_or(|ended| ended > at)
}

/// What a rollback undoes, in its order, and what it cannot undo.
fn rollback(scene: &Scene<'_>, to: Option<u32>) -> Vec<Note> {
    let run = scene.run;
    let empty = crate::model::view::RollbackView::default();
    let all = run.rollback.as_ref().unwrap_or(&empty);
    let since = to.and_then(|to| run.checkpoints.iter().find(|mark| mark.number == to)).map(|mark| mark.at);
    let meant = |step: &StepId| since.is_none_or(|since| done_since(run, *step, since));
    let of = |steps: &[StepId]| steps.iter().copied().filter(meant).collect::<Vec<_>>();
    let (undone, left) = (of(&all.undone), of(&all.left));
    let at_work = hits::of_run(run).at_work;
    let mut notes: Vec<Note> =
        some(scene, "ends", &at_work, " at work").map(|text| Note::with(Role::Bad, text)).into_iter().collect();
    if undone.is_empty() {
        notes.push(Note::plain("undoes nothing: nothing done since declares how it is undone"));
    } else {
        let names = scene.texts.list(&undone, ORDER_MAX);
        let words = format!("undoes {} in this order: {names}", plural(undone.len() as u64, "step"));
        notes.push(Note::with(Role::Ending, words));
    }
    if !left.is_empty() {
        let names = scene.texts.list(&left, NAMES_MAX);
        notes.push(Note::with(Role::Waiting, format!("cannot undo, because nothing is declared for it: {names}")));
    }
    notes.push(Note::plain(match to {
        None => "then the run ends as compensated".to_owned(),
        Some(number) => format!("then the run goes on from checkpoint {number}"),
    }));
    notes
}
