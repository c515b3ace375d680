//! Everything about a step: why it is where it is, what is declared for it, its attempts, what went in and came out.

use super::{Line, heading, labelled};
use crate::model::id::StepId;
use crate::model::policy::{Jitter, OnCancel, OnExhausted, Resources, RetryPolicy};
use crate::model::safe::Safe;
use crate::model::state::StepState;
use crate::model::step::{Decision, Fallback, Step, Work};
use crate::model::view::{AttemptView, RunView, StepDetail, StepView};
use crate::report::format::{count, plural, span, span_fixed};
use crate::report::look::{Look, Role, step as look_of};
use crate::tui::theme::Part;
use crate::tui::view::cx::Cx;
use crate::tui::view::pen::{Pen, Piece};
use crate::tui::view::{dots, json, waits};
use ratatui::style::Modifier;

/// Lines shown of an input and of an output.
const JSON_LINES: usize = 300;
/// The most names in a reason.
const NAMES_MAX: usize = 12;

/// Its lines.
pub(super) fn lines(pen: &Pen<'_>, cx: &Cx<'_>, run: &RunView, id: StepId) -> Vec<Line> {
    let Some(step) = run.steps.get(id.index()) else { return Vec::new() };
    let mut lines = vec![state_line(pen, cx, step)];
    if step.state == StepState::Waiting && step.wait.is_some() {
        let role = cx.look(step).role;
        let mut line = labelled(pen, "waits", waits::words(&cx.ground(), step, NAMES_MAX));
        line.iter_mut().skip(1).for_each(|piece| piece.style = pen.theme.role(role));
        lines.push(line);
    }
    if step.undo_failed {
        let words = "what it did could not be undone: somebody has to see to it".to_owned();
        let mut line = labelled(pen, "undo", words);
        line.iter_mut().skip(1).for_each(|piece| piece.style = pen.theme.role(Role::Bad));
        lines.push(line);
    }
    let detail = cx.view.detail.as_ref().filter(|detail| (detail.run, detail.step) == (run.id, id));
    // A step at work or done needs no reason beyond the first line.
    if let Some(detail) = detail.filter(|_| !matches!(step.state, StepState::Running | StepState::Succeeded)) {
        why(pen, detail, &mut lines);
    }
    about(pen, cx, run, id, &mut lines);
    if let Some(detail) = detail {
        attempts(pen, cx, detail, &mut lines);
        for (label, value) in [("input", &detail.input), ("output", &detail.output)] {
            if let Some(value) = value {
                heading(pen, label, &mut lines);
                let shown = json::lines(value, JSON_LINES, dots(pen.theme.ascii));
                lines.extend(shown.into_iter().map(|l| vec![Piece::new(l.into_string(), pen.part(Part::Text))]));
            }
        }
    }
    lines
}

fn state_line(pen: &Pen<'_>, cx: &Cx<'_>, step: &StepView) -> Line {
    let look: Look = cx.look(step);
    let dim = pen.part(Part::Dim);
    let mut line = vec![Piece::new(format!("{} {}", pen.glyph(look), look.word), pen.theme.role(look.role))];
    if let Some(agent) = step.agent {
        let word = if step.state.active() { "on" } else { "last on" };
        line.push(Piece::new(format!("{}{word} ", pen.dot()), dim));
        line.push(Piece::new(cx.app.texts.agent(agent), pen.part(Part::Text)));
    }
    if let Some(time) = cx.time(step) {
        line.push(Piece::new(format!("{}{}", pen.dot(), span(time)), dim));
    }
    if step.injected {
        line.push(Piece::new("  ", dim));
        line.push(pen.injected());
        line.push(Piece::new(" injected", pen.theme.role(Role::Fault).remove_modifier(Modifier::BOLD)));
    }
    line
}

fn why(pen: &Pen<'_>, detail: &StepDetail, lines: &mut Vec<Line>) {
    for (place, sentence) in detail.why.iter().enumerate() {
        let label = if place == 0 { "why" } else { "" };
        lines.push(labelled(pen, label, Safe::line(sentence).into_string()));
    }
}

fn about(pen: &Pen<'_>, cx: &Cx<'_>, run: &RunView, id: StepId, lines: &mut Vec<Line>) {
    let step = run.workflow.step(id);
    lines.push(labelled(pen, "asks for", asks_for(step)));
    if !step.needs.is_empty() {
        let needs: Vec<StepId> = step.needs.iter().map(|need| need.step).collect();
        lines.push(labelled(pen, "needs", cx.app.texts.list(&needs, 6)));
    }
    policy(pen, cx, run, id, lines);
    for (place, fallback) in step.fallback.iter().enumerate() {
        let what = match fallback {
            Fallback::Agent(agent) => format!("agent {}", safe(agent)),
            Fallback::Capability(capability) => format!("capability {}", safe(capability)),
            Fallback::Value(_) => "a value of the file".to_owned(),
        };
        lines.push(labelled(pen, if place == 0 { "fallback" } else { "" }, what));
    }
}

/// When and how it is tried, and what holds it back.
fn policy(pen: &Pen<'_>, cx: &Cx<'_>, run: &RunView, id: StepId, lines: &mut Vec<Line>) {
    let step = run.workflow.step(id);
    let seen = run.steps.get(id.index());
    if let Work::Approval { timeout, default, .. } = &step.work {
        let words = match (timeout, default) {
            (Some(timeout), Some(Decision::Approve)) => format!("no answer counts as yes after {}", span(*timeout)),
            (Some(timeout), Some(Decision::Reject)) => format!("no answer counts as no after {}", span(*timeout)),
            _ => "an answer is waited for".to_owned(),
        };
        lines.push(labelled(pen, "policy", words));
        return;
    }
    let priority = seen.map_or(step.priority, |seen| seen.priority);
    let timeout = step.timeout.map_or_else(|| "no timeout".to_owned(), |time| format!("timeout {}", span(time)));
    let idle = step.idle_timeout.map_or_else(String::new, |time| format!(", idle {}", span(time)));
    let marks = [(step.critical, ", critical"), (step.pivot, ", pivot: after it no rollback")];
    let marks: String = marks.into_iter().filter(|(is, _)| *is).map(|(_, words)| words).collect();
    lines.push(labelled(pen, "policy", format!("{timeout}{idle}, priority {priority}{marks}")));
    lines.push(labelled(pen, "retry", retry(&step.retry)));
    if step.on_exhausted == OnExhausted::Pause {
        lines.push(labelled(pen, "spent", "a person is asked what is to be done".to_owned()));
    }
    if let Some(agent) = seen.and_then(|seen| seen.pinned) {
        lines.push(labelled(pen, "given to", format!("{}, by hand", cx.app.texts.agent(agent))));
    }
    lines.extend(super::breaker::of_step(cx, step).map(|words| labelled(pen, "breakers", words)));
    let shares = [
        step.lock.as_ref().map(|name| format!("lock {}", safe(name))),
        step.semaphore
            .as_ref()
            .map(|s| format!("semaphore {} ({})", safe(&s.name), plural(u64::from(s.permits), "permit"))),
        step.barrier.as_ref().map(|name| format!("barrier {}", safe(name))),
        step.resources.map(resources),
    ];
    let shares: Vec<String> = shares.into_iter().flatten().collect();
    if !shares.is_empty() {
        lines.push(labelled(pen, "takes", shares.join(", ")));
    }
    if let Some(undo) = &step.compensate {
        let when = if step.on_cancel == OnCancel::Compensate { ", also when it is cancelled" } else { "" };
        lines.push(labelled(pen, "undone by", format!("{}{when}", asks_for(undo))));
    }
}

/// `2 retries after 1.0 s, x2 up to 30.0 s, full jitter`.
fn retry(policy: &RetryPolicy) -> String {
    let retries = match policy.limit {
        0 => return "no retries".to_owned(),
        1 => "1 retry".to_owned(),
        n => format!("{} retries", count(u64::from(n))),
    };
    let jitter = match policy.jitter {
        Jitter::Full => "full jitter",
        Jitter::Equal => "equal jitter",
        Jitter::None => "no jitter",
    };
    let (first, most) = (span(policy.interval), span(policy.max_interval));
    let classes = policy.on.as_ref().map_or_else(String::new, |classes| {
        let words: Vec<&str> = classes.iter().map(|class| class.word()).collect();
        format!(", only on {}", words.join(", "))
    });
    format!("{retries} after {first}, x{} up to {most}, {jitter}{classes}", policy.backoff)
}

/// `2 cores, 512 MB`.
pub(super) fn resources(resources: Resources) -> String {
    format!("{} cores, {} MB", resources.cpu, resources.memory_mb)
}

fn safe(text: &str) -> String {
    Safe::line(text).into_string()
}

/// What is asked, and of whom.
fn asks_for(step: &Step) -> String {
    let asks = match &step.work {
        Work::Run { line } => format!("run: {}", safe(line.lines().next().unwrap_or_default())),
        Work::Command { argv } => format!("command: {}", safe(&argv.join(" "))),
        Work::Capability { capability } => format!("capability {}", safe(capability)),
        Work::Agent { agent } => format!("agent {}", safe(agent)),
        Work::Route => "a path of templates, chosen by its input".to_owned(),
        Work::Uses { file, .. } => format!("the workflow {}", safe(file)),
        Work::Aggregate(_) => "what others returned, brought together".to_owned(),
        Work::Approval { prompt, .. } => format!("a person: {}", safe(prompt.lines().next().unwrap_or_default())),
    };
    let action = step.action.as_ref().map_or_else(String::new, |action| format!(", action {}", safe(action)));
    asks + &action
}

fn attempts(pen: &Pen<'_>, cx: &Cx<'_>, detail: &StepDetail, lines: &mut Vec<Line>) {
    if detail.attempts.is_empty() {
        return;
    }
    heading(pen, "attempts", lines);
    for attempt in detail.attempts.iter().rev() {
        lines.push(attempt_line(pen, cx, attempt));
        if let Some(failure) = &attempt.failure {
            let mut line = vec![Piece::new("     ", pen.part(Part::Dim))];
            if failure.injected {
                line.push(pen.injected());
                line.push(Piece::new(" injected ", pen.theme.role(Role::Fault).remove_modifier(Modifier::BOLD)));
            }
            line.push(Piece::new(format!("{}: ", failure.class.word()), pen.theme.role(Role::Bad)));
            for (place, text) in Safe::lines(&failure.message).into_iter().take(12).enumerate() {
                if place > 0 {
                    lines.push(std::mem::replace(&mut line, vec![Piece::new("     ", pen.part(Part::Dim))]));
                }
                line.push(Piece::new(text.into_string(), pen.part(Part::Text)));
            }
            lines.push(line);
        }
    }
}

fn attempt_line(pen: &Pen<'_>, cx: &Cx<'_>, attempt: &AttemptView) -> Line {
    let look = match (&attempt.failure, attempt.ended) {
        (Some(_), _) => look_of(StepState::Failed),
        (None, Some(_)) => look_of(StepState::Succeeded),
        (None, None) => cx.running(),
    };
    let end = attempt.ended.unwrap_or(cx.now);
    let fallback = if attempt.fallback.is_some() { ", fallback" } else { "" };
    vec![
        Piece::new(format!("{:>2} ", attempt.attempt), pen.part(Part::Dim)),
        Piece::new(format!("{} {:10}", pen.glyph(look), look.word), pen.theme.role(look.role)),
        Piece::new(format!("{}  ", span_fixed(end.saturating_sub(attempt.started))), pen.part(Part::Text)),
        Piece::new(format!("{}{fallback}", cx.app.texts.agent(attempt.agent)), pen.part(Part::Text)),
    ]
}
