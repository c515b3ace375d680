//! The steps as a table; only the rows in view are made.

use super::cx::Cx;
use super::pen::{Pen, Piece};
use crate::model::id::StepId;
use crate::model::state::StepState;
use crate::model::view::RunView;
use crate::report::format::{SPAN_WIDTH, count, plural, span_fixed, width};
use crate::report::look::Role;
use crate::tui::app::{inner, padded};
use crate::tui::arrange::Pane;
use crate::tui::theme::Part;
use ratatui::layout::Rect;

/// Columns of the state's word, of the time and of the tries.
const STATE: u16 = 10;
const STATE_UNDOING: u16 = 12;
const TIME: u16 = SPAN_WIDTH as u16;
const TRIES: u16 = 5;
const STEP_MAX: u16 = 34;
/// With less room, agent and reason share a column: a step at work has the one, a step that waits the other.
const BOTH_WIDTH: u16 = 84;
const AGENT_MAX: u16 = 20;

/// Where columns begin and how wide they are; 0: not shown.
#[derive(Clone, Copy, Default)]
struct Columns {
    step: u16,
    state: u16,
    agent: u16,
    time: u16,
    tries: u16,
    why: u16,
}

fn columns(room: u16, names: u16, agents: u16, state: u16) -> Columns {
    // Glyph and its space come first, a space follows each column.
    let mut left = room.saturating_sub(2);
    let mut take = |wish: u16, least: u16, keep: u16| {
        let free = left.saturating_sub(keep);
        if free < least + 1 {
            return 0;
        }
        let got = wish.min(free - 1);
        left -= got + 1;
        got
    };
    let mut c =
        Columns { step: take(names.clamp(4, STEP_MAX), 4, if room > 24 { TIME + 1 } else { 0 }), ..Columns::default() };
    c.time = take(TIME, TIME, 0);
    c.state = take(state, state, 0);
    if room >= BOTH_WIDTH {
        c.agent = take(agents.clamp(5, AGENT_MAX), 5, 0);
    }
    c.tries = take(TRIES, TRIES, 12);
    c.why = take(u16::MAX, 9, 0);
    c
}

/// Draws the pane.
pub(crate) fn draw(pen: &mut Pen<'_>, area: Rect, cx: &Cx<'_>) {
    let focused = cx.app.focus == Pane::Steps;
    let total = cx.app.texts.order().len() as u64;
    let done = cx.run.map_or(0, |run| u64::from(run.counts.ended()));
    let figure = format!("{} of {}", count(done), plural(total, "step"));
    let mut title = super::title(pen, cx, Pane::Steps, focused);
    if !cx.app.query.is_empty() {
        title.push(Piece::new(format!("  /{}", cx.app.query), pen.part(Part::Key)));
    }
    pen.frame(area, focused, &title, &[Piece::new(figure, pen.part(Part::Dim))]);
    let frame = inner(area);
    let area = padded(area);
    let Some(run) = cx.run.filter(|_| !area.is_empty()) else { return };
    let widest = |names: &mut dyn Iterator<Item = usize>| u16::try_from(names.max().unwrap_or(0)).unwrap_or(u16::MAX);
    let rows = usize::from(area.height).saturating_sub(1);
    let top = cx.app.tops.steps.min(cx.app.texts.order().len().saturating_sub(1));
    let shown = cx.app.texts.order().get(top..).unwrap_or_default();
    // Columns follow what all agents are called, and the steps of this workflow up to a bound: they stay while rows scroll.
    let sample = cx.app.texts.order().iter().take(512);
    let names = widest(&mut sample.map(|step| width(cx.app.texts.step(*step))));
    let agents = widest(&mut cx.app.texts.agents().iter().take(512).map(|agent| width(agent.as_str())));
    let undoing = run.counts.of(StepState::Compensating) + run.counts.of(StepState::Compensated) > 0;
    let columns = columns(area.width, names, agents, if undoing { STATE_UNDOING } else { STATE });
    heading(pen, area, columns);
    for (row, step) in (1..).zip(shown.iter().take(rows)) {
        let line = Rect { y: area.y + row, height: 1, ..area };
        draw_row(pen, line, cx, run, *step, columns);
        if cx.app.step == Some(*step) {
            super::mark_row(pen, Rect { x: frame.x, width: frame.width, ..line }, focused);
        }
    }
}

fn heading(pen: &mut Pen<'_>, area: Rect, c: Columns) {
    let style = pen.part(Part::Dim);
    let mut x = area.x + 2;
    let why = if c.agent > 0 { "why" } else { "agent or reason" };
    for (wide, word) in
        [(c.step, "step"), (c.state, "state"), (c.agent, "agent"), (c.time, "  time"), (c.tries, "tries"), (c.why, why)]
    {
        if wide > 0 {
            pen.text(x, area.y, wide, word, style);
            x += wide + 1;
        }
    }
}

fn draw_row(pen: &mut Pen<'_>, line: Rect, cx: &Cx<'_>, run: &RunView, id: StepId, c: Columns) {
    let Some(step) = run.steps.get(id.index()) else { return };
    let look = cx.look(step);
    let role = pen.theme.role(look.role);
    let (text, dim) = (pen.part(Part::Text), pen.part(Part::Dim));
    let quiet = matches!(look.role, Role::Idle | Role::Off);
    pen.sign(line.x, line.y, look.sign(pen.theme.ascii), role);
    let mut x = line.x + 2;
    pen.name(x, line.y, c.step, cx.app.texts.step(id), if quiet { dim } else { text });
    x += c.step + 1;
    if c.state > 0 {
        pen.text(x, line.y, c.state, look.word, role);
        x += c.state + 1;
    }
    if c.agent > 0 {
        let agent = step.agent.map_or("", |agent| cx.app.texts.agent(agent));
        pen.name(x, line.y, c.agent, agent, if step.state.active() { text } else { dim });
        x += c.agent + 1;
    }
    if c.time > 0 {
        // Without a column for reasons, the time that a wait still takes, or its reason in a word, stands here.
        let wait = Some(step).filter(|step| c.why == 0 && step.state == StepState::Waiting);
        if let Some(figure) = wait.and_then(|step| super::waits::figure(&cx.ground(), step)) {
            pen.text(x, line.y, c.time + 1, &figure, role);
        } else if let Some(time) = cx.time(step) {
            pen.text(x, line.y, c.time, &span_fixed(time), if step.state.active() { text } else { dim });
        }
        x += c.time + 1;
    }
    if c.tries > 0 {
        if step.attempts > 0 {
            let tries = format!("{:>2}", step.attempts);
            let used = pen.text(x, line.y, c.tries, &tries, dim);
            if step.injected {
                let mark = pen.injected();
                pen.pieces(x + used, line.y, c.tries.saturating_sub(used), &[mark]);
            }
        }
        x += c.tries + 1;
    } else if step.injected {
        let mark = pen.injected();
        pen.pieces(line.x + 1, line.y, 1, &[mark]);
    }
    if c.why > 0 {
        let strong =
            step.undo_failed || matches!(step.state, StepState::Waiting | StepState::Failed | StepState::Unknown);
        let room = line.right().saturating_sub(x).min(c.why);
        let reason = cx.reason(run, id);
        let agent = step.agent.filter(|_| c.agent == 0 && (step.state.active() || reason.is_empty()));
        match agent {
            Some(agent) => {
                let style = if step.state.active() { text } else { dim };
                pen.name(x, line.y, room, cx.app.texts.agent(agent), style);
            }
            None => {
                pen.text(x, line.y, room, &reason, if strong { role } else { dim });
            }
        }
    }
}
