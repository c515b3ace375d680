//! Everything about the selected step: why it is where it is, its attempts, what went in and what came out.

use super::cx::Cx;
use super::json;
use super::pen::{Pen, Piece, width_of};
use crate::model::id::StepId;
use crate::model::safe::Safe;
use crate::model::state::StepState;
use crate::model::step::{Fallback, Work};
use crate::model::view::{AttemptView, RunView, StepDetail, StepView};
use crate::report::format::{count, cut_middle, span, span_fixed, width};
use crate::report::look::{Look, Role, step as look_of};
use crate::tui::app::padded;
use crate::tui::arrange::Pane;
use crate::tui::theme::Part;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};

/// Lines shown of an input and of an output.
const JSON_LINES: usize = 300;
/// Cells of the labels.
const LABEL: usize = 9;

type Line = Vec<Piece>;

/// Draws the pane; tells how many rows there are to scroll through.
pub(crate) fn draw(pen: &mut Pen<'_>, area: Rect, cx: &Cx<'_>) -> usize {
    let focused = cx.app.focus == Pane::Inspector;
    let mut title = super::title(pen, Pane::Inspector, focused);
    if let Some(step) = cx.app.step.filter(|_| cx.run.is_some()) {
        let room = usize::from(area.width).saturating_sub(14);
        let name = cut_middle(cx.app.texts.step(step), room, pen.theme.ascii).into_owned();
        title.push(Piece::new(format!("  {name}"), pen.part(Part::Strong)));
    }
    let room = padded(area);
    let lines: Vec<Line> = lines(pen, cx).into_iter().flat_map(|line| wrapped(line, usize::from(room.width))).collect();
    let top = cx.app.tops.inspector.min(lines.len().saturating_sub(usize::from(room.height)));
    let more = lines.len().saturating_sub(top + usize::from(room.height));
    let figures = if more > 0 { vec![Piece::new(format!("{more} more"), pen.part(Part::Dim))] } else { Vec::new() };
    pen.frame(area, focused, &title, &figures);
    for (y, line) in (room.y..room.bottom()).zip(lines.iter().skip(top)) {
        pen.pieces(room.x, y, room.width, line);
    }
    lines.len()
}

/// A line in as many rows as it needs; later rows stand below the text, not below the label.
fn wrapped(line: Line, room: usize) -> Vec<Line> {
    if width_of(&line) <= room || room < 24 {
        return vec![line];
    }
    let indent = if line.first().is_some_and(|piece| width(&piece.text) == LABEL + 1) { LABEL + 1 } else { 4 };
    let mut rows: Vec<Line> = vec![Vec::new()];
    let mut used = 0;
    for piece in line {
        for word in piece.text.split_inclusive(' ') {
            let own = width(word.trim_end());
            if used > indent && used + own > room {
                rows.push(vec![Piece::new(" ".repeat(indent), Style::new())]);
                used = indent;
            }
            let row = rows.last_mut().expect("there is always a row");
            row.push(Piece::new(word, piece.style));
            used += width(word);
        }
    }
    for last in rows.iter_mut().filter_map(|row| row.last_mut()) {
        last.text.truncate(last.text.trim_end().len());
    }
    rows
}

/// The same as text.
pub(crate) fn text(cx: &Cx<'_>) -> String {
    let mut buffer = ratatui::buffer::Buffer::empty(Rect::new(0, 0, 1, 1));
    let pen = Pen { buffer: &mut buffer, theme: cx.theme };
    let text = |line: &Line| line.iter().map(|piece| piece.text.as_str()).collect::<String>().trim_end().to_owned();
    lines(&pen, cx).iter().map(text).collect::<Vec<_>>().join("\n")
}

fn lines(pen: &Pen<'_>, cx: &Cx<'_>) -> Vec<Line> {
    let (Some(run), Some(id)) = (cx.run, cx.app.step) else { return Vec::new() };
    let Some(step) = run.steps.get(id.index()) else { return Vec::new() };
    let mut lines = vec![state_line(pen, cx, step)];
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
                let shown = json::lines(value, JSON_LINES, super::dots(pen.theme.ascii));
                lines.extend(shown.into_iter().map(|l| vec![Piece::new(l.into_string(), pen.part(Part::Text))]));
            }
        }
    }
    lines
}

fn heading(pen: &Pen<'_>, text: &str, lines: &mut Vec<Line>) {
    lines.push(Vec::new());
    lines.push(vec![Piece::new(text, pen.part(Part::Dim).add_modifier(Modifier::UNDERLINED))]);
}

fn labelled(pen: &Pen<'_>, label: &str, text: String) -> Line {
    vec![Piece::new(format!("{label:LABEL$} "), pen.part(Part::Dim)), Piece::new(text, pen.part(Part::Text))]
}

fn state_line(pen: &Pen<'_>, cx: &Cx<'_>, step: &StepView) -> Line {
    let look: Look = cx.look(step.state);
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
    let safe = |text: &str| Safe::line(text).into_string();
    let asks = match &step.work {
        Work::Run { line } => format!("run: {}", safe(line.lines().next().unwrap_or_default())),
        Work::Command { argv } => format!("command: {}", safe(&argv.join(" "))),
        Work::Capability { capability } => format!("capability {}", safe(capability)),
        Work::Agent { agent } => format!("agent {}", safe(agent)),
        Work::Approval { prompt, .. } => format!("a person: {}", safe(prompt)),
    };
    let action = step.action.as_ref().map_or_else(String::new, |action| format!(", action {}", safe(action)));
    lines.push(labelled(pen, "asks for", asks + &action));
    if !step.needs.is_empty() {
        let needs: Vec<StepId> = step.needs.iter().map(|need| need.step).collect();
        lines.push(labelled(pen, "needs", cx.app.texts.list(&needs, 6)));
    }
    let priority = run.steps.get(id.index()).map_or(step.priority, |seen| seen.priority);
    let timeout = step.timeout.map_or_else(|| "no timeout".to_owned(), |time| format!("timeout {}", span(time)));
    let critical = if step.critical { ", critical" } else { "" };
    let retries = match step.retry.limit {
        1 => "1 retry".to_owned(),
        n => format!("{} retries", count(u64::from(n))),
    };
    let policy = format!("{retries}, {timeout}, priority {priority}{critical}");
    lines.push(labelled(pen, "policy", policy));
    for (place, fallback) in step.fallback.iter().enumerate() {
        let what = match fallback {
            Fallback::Agent(agent) => format!("agent {}", safe(agent)),
            Fallback::Capability(capability) => format!("capability {}", safe(capability)),
            Fallback::Value(_) => "a value of the file".to_owned(),
        };
        lines.push(labelled(pen, if place == 0 { "fallback" } else { "" }, what));
    }
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
        (None, None) => cx.look(StepState::Running),
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
