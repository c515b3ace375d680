//! The second line: what to know or to do now. What asks a person takes the whole line and cannot be overlooked.

use super::cx::Cx;
use super::pen::{Pen, Piece};
use crate::model::id::StepId;
use crate::model::policy::Success;
use crate::model::safe::Safe;
use crate::model::state::{RunState, StepState, WaitReason};
use crate::model::step::Work;
use crate::model::view::{RunView, Saving, StoreTrouble};
use crate::report::format::{percent, plural, span};
use crate::report::look::Role;
use crate::report::result::speedup;
use crate::tui::dialogs::asking;
use crate::tui::theme::Part;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};

/// The most names in a sentence.
const NAMES_MAX: usize = 3;

/// Draws the second line.
pub(crate) fn draw(pen: &mut Pen<'_>, area: Rect, cx: &Cx<'_>) {
    if let Some(run) = cx.run.filter(|_| !area.is_empty()) {
        let pieces = said(pen, cx, run);
        pen.pieces(area.x + 1, area.y, area.width.saturating_sub(2), &pieces);
        if cx.app.ending.is_none() && cx.view.store.trouble.is_none() && wants_a_person(run) {
            let style = pen.theme.role(Role::Waiting);
            pen.tint(Rect { height: 1, ..area }, style.add_modifier(Modifier::REVERSED));
        }
    }
}

/// What to know or to do now.
fn said(pen: &Pen<'_>, cx: &Cx<'_>, run: &RunView) -> Vec<Piece> {
    let (dim, text, key) = (pen.part(Part::Dim), pen.part(Part::Text), pen.part(Part::Key));
    if let Some(trouble) = &cx.view.store.trouble {
        return store_trouble(pen, trouble);
    }
    let plain = |words: String| vec![Piece::new(words, text)];
    let dots = super::dots(pen.theme.ascii);
    if cx.app.ending.is_some() && !run.state.ended() {
        return plain(format!("ending what runs{dots} Ctrl-C: at once"));
    }
    if let Some(question) = asked(pen, cx, run) {
        return question;
    }
    if run.frozen && !run.state.ended() {
        let what = match active(run).as_slice() {
            [] => "frozen: nothing runs".to_owned(),
            halted => format!("frozen: {} halted where it stands", cx.app.texts.list(halted, NAMES_MAX)),
        };
        return vec![Piece::new(format!("{what}; press "), text), Piece::new("P", key), Piece::new(" to go on", text)];
    }
    match run.state {
        RunState::Pending => {
            let about = cx.app.texts.description.as_str();
            let what = format!(" to start {}", plural(run.steps.len() as u64, "step"));
            let mut pieces = vec![Piece::new("press ", text), Piece::new("s", key), Piece::new(what, text)];
            if !about.is_empty() {
                pieces.push(Piece::new(format!("{}{about}", pen.dot()), dim));
            }
            pieces
        }
        RunState::Pausing => {
            let mut pieces = vec![Piece::new("pausing: waiting for ", text)];
            pieces.push(Piece::new(cx.app.texts.list(&active(run), NAMES_MAX), pen.theme.role(Role::Active)));
            pieces
        }
        RunState::Paused => {
            let mut pieces = vec![
                Piece::new("paused: nothing runs; press ", text),
                Piece::new("r", key),
                Piece::new(" to go on", text),
            ];
            if cx.view.store.saving != Saving::Nothing {
                let token = format!("{}saved as {}@{}", pen.dot(), cx.app.texts.run.as_str(), run.seq);
                pieces.push(Piece::new(token, dim));
            }
            pieces
        }
        RunState::Stopping | RunState::Cancelling => {
            plain(format!("{}: waiting for {}", run.state.word(), cx.app.texts.list(&active(run), NAMES_MAX)))
        }
        RunState::Compensating => {
            let undoing = |step: &StepId| run.steps[step.index()].state == StepState::Compensating;
            let now: Vec<StepId> = run.shape.order.iter().copied().filter(undoing).collect();
            let what = if now.is_empty() { "what was done".to_owned() } else { cx.app.texts.list(&now, NAMES_MAX) };
            plain(format!("rolling back: undoing {what}{dots} what cannot be undone is named at the end"))
        }
        RunState::Running => running(pen, cx, run),
        _ => ended(pen, cx, run),
    }
}

/// Nothing can be recorded: what is wrong comes last, because it may be long.
fn store_trouble(pen: &Pen<'_>, trouble: &StoreTrouble) -> Vec<Piece> {
    let text = pen.part(Part::Text);
    let waiting = plural(trouble.waiting, "event");
    vec![
        Piece::new("nothing new starts, nothing can be saved: ", pen.theme.role(Role::Bad)),
        Piece::new("r", pen.part(Part::Key)),
        Piece::new(format!(" tries again ({waiting} wait){}", pen.dot()), text),
        Piece::new(Safe::line(&trouble.message).into_string(), pen.theme.role(Role::Bad)),
    ]
}

fn active(run: &RunView) -> Vec<StepId> {
    let at_work = |step: &StepId| run.steps.get(step.index()).is_some_and(|step| step.state.active());
    run.shape.order.iter().copied().filter(at_work).collect()
}

/// Whether only a person can end what a run waits for.
fn wants_a_person(run: &RunView) -> bool {
    run.counts.of(StepState::Unknown) > 0 || asking(run).next().is_some()
}

/// What is asked of a person, with the key that answers.
fn asked(pen: &Pen<'_>, cx: &Cx<'_>, run: &RunView) -> Option<Vec<Piece>> {
    // The line is drawn reversed as a whole: colours of its own would be lost in it.
    let (text, key) = (Style::new(), Style::new().add_modifier(Modifier::BOLD));
    let all: Vec<Option<StepId>> = asking(run).collect();
    let words = match all.as_slice() {
        [] => {
            let unknown = |step: &StepId| run.steps[step.index()].state == StepState::Unknown;
            let step = run.shape.order.iter().copied().find(unknown)?;
            let words = format!("{} ran when upbeat ended, what it did is not known: ", cx.app.texts.step(step));
            return Some(vec![
                Piece::new(words, text),
                Piece::new("R", key),
                Piece::new(" does it again, ", text),
                Piece::new("c", key),
                Piece::new(" cancels it", text),
            ]);
        }
        [None] => run_asks(run),
        [Some(step)] => step_asks(cx, run, *step),
        more => {
            let steps: Vec<StepId> = more.iter().filter_map(|who| *who).collect();
            let who = if more.contains(&None) { "the run, " } else { "" };
            format!("{who}{}", cx.app.texts.list(&steps, NAMES_MAX))
        }
    };
    let sign = pen.glyph(crate::report::look::ASKS);
    Some(vec![
        Piece::new(format!("{sign} press "), text),
        Piece::new("a", key),
        Piece::new(" to answer: ", text),
        Piece::new(words, text),
    ])
}

/// What the run asks.
fn run_asks(run: &RunView) -> String {
    let (succeeded, counted) = run.question.unwrap_or_default();
    let needed = match run.workflow.success {
        Success::All => "all".to_owned(),
        Success::Any => "one".to_owned(),
        Success::Min(share) => percent(share),
    };
    format!("{succeeded} of {counted} succeeded, {needed} needed: accept, retry or fail?")
}

/// What a step asks.
fn step_asks(cx: &Cx<'_>, run: &RunView, step: StepId) -> String {
    let name = cx.app.texts.step(step);
    match (&run.steps[step.index()].wait, &run.workflow.step(step).work) {
        (Some((WaitReason::Approval, _)), Work::Approval { prompt, .. }) => {
            format!("{name}: {}", Safe::line(prompt.lines().next().unwrap_or_default()))
        }
        _ => format!("{name} failed, its retries are spent: retry, fail or a value?"),
    }
}

/// Nothing is wrong: what the workflow is about. Something holds everything up: that.
fn running(pen: &Pen<'_>, cx: &Cx<'_>, run: &RunView) -> Vec<Piece> {
    let in_state = |state: StepState| {
        let found = |step: &StepId| run.steps.get(step.index()).is_some_and(|step| step.state == state);
        run.shape.order.iter().copied().find(found)
    };
    let stuck = run.stuck || run.counts.active() == 0;
    if stuck && let Some(step) = in_state(StepState::Waiting) {
        let words = format!("{} waits: {}", cx.app.texts.step(step), cx.reason(run, step));
        let mut pieces = vec![Piece::new(words, pen.theme.role(Role::Waiting))];
        let wait = run.steps.get(step.index()).and_then(|step| step.wait.as_ref());
        if matches!(wait, Some((WaitReason::Capability { .. }, _))) {
            let text = pen.part(Part::Text);
            pieces.extend([
                Piece::new("; ", text),
                Piece::new("u", pen.part(Part::Key)),
                Piece::new(" heals it", text),
            ]);
        }
        return pieces;
    }
    let mode = format!("{}, {}", run.mode.word(), plural(cx.view.agents.len() as u64, "agent"));
    let about = cx.app.texts.description.as_str();
    let gap = if about.is_empty() { "" } else { pen.dot() };
    vec![Piece::new(format!("{about}{gap}{mode}"), pen.part(Part::Dim))]
}

/// How it ended, in a word for a sentence.
const fn word(state: RunState) -> &'static str {
    match state {
        RunState::Succeeded => "done",
        RunState::Partial => "done in part",
        RunState::CompensationFailed => "rolled back in part",
        RunState::Compensated => "rolled back",
        other => other.word(),
    }
}

/// The result line.
fn ended(pen: &Pen<'_>, cx: &Cx<'_>, run: &RunView) -> Vec<Piece> {
    let (dim, text) = (pen.part(Part::Dim), pen.part(Part::Text));
    let dot = || Piece::new(pen.dot(), dim);
    let mut pieces = vec![Piece::new(format!("{} after {}", word(run.state), span(cx.elapsed(run))), text)];
    let failed: Vec<StepId> = run
        .shape
        .order
        .iter()
        .copied()
        .filter(|step| run.steps.get(step.index()).is_some_and(|step| step.state == StepState::Failed))
        .collect();
    if !failed.is_empty() {
        pieces.push(dot());
        let words = format!("failed: {}", cx.app.texts.list(&failed, NAMES_MAX));
        pieces.push(Piece::new(words, pen.theme.role(Role::Bad)));
        pieces.push(Piece::new("; ", text));
        pieces.push(Piece::new("R", pen.part(Part::Key)));
        pieces.push(Piece::new(" tries it again", text));
    }
    let names = |found: &dyn Fn(StepId) -> bool| {
        let steps: Vec<StepId> = run.shape.order.iter().copied().filter(|step| found(*step)).collect();
        (!steps.is_empty()).then(|| cx.app.texts.list(&steps, NAMES_MAX))
    };
    if let Some(left) = names(&|step| run.steps[step.index()].undo_failed) {
        pieces.extend([dot(), Piece::new(format!("could not be undone: {left}"), pen.theme.role(Role::Bad))]);
    }
    if let Some(undone) = names(&|step| run.steps[step.index()].state == StepState::Compensated) {
        pieces.extend([dot(), Piece::new(format!("undone: {undone}"), dim)]);
    }
    if let Some(summary) = cx.summary {
        let faster = speedup(summary);
        if faster > 1.05 {
            pieces.push(dot());
            pieces.push(Piece::new(format!("{faster:.1}x faster than one by one"), pen.theme.role(Role::Good)));
            pieces.push(Piece::new(format!(" ({})", span(summary.busy)), dim));
        }
        if summary.steps_recovered > 0 {
            pieces.push(dot());
            let steps = plural(u64::from(summary.steps_recovered), "step");
            pieces.push(Piece::new(format!("{steps} recovered"), pen.theme.role(Role::Good)));
        }
    }
    pieces
}
