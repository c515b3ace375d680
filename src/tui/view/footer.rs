//! The last line: the keys that help here and now, from the table. While somebody types, what they type.

use super::cx::Cx;
use super::pen::{Pen, Piece, width_of};
use crate::model::action::{Action, row_of};
use crate::model::state::{RunState, StepState, WaitReason};
use crate::model::view::StepView;
use crate::report::look;
use crate::tui::app::{Overlay, Subject};
use crate::tui::arrange::Pane;
use crate::tui::dialogs::asking;
use crate::tui::keymap::label;
use crate::tui::theme::Part;
use ratatui::layout::Rect;
use ratatui::style::Modifier;

/// Draws it.
pub(crate) fn draw(pen: &mut Pen<'_>, area: Rect, cx: &Cx<'_>) {
    if area.is_empty() {
        return;
    }
    if let Some(typed) = &cx.app.prompt {
        let where_ = match cx.app.focus {
            Pane::Logs => "log",
            Pane::Agents => "agents",
            _ => "steps",
        };
        let typed = crate::model::safe::Safe::line(typed);
        let cursor = if pen.theme.ascii { "_" } else { "▏" };
        let pieces = [
            Piece::new(format!(" search the {where_}: "), pen.part(Part::Dim)),
            Piece::new(typed.into_string(), pen.part(Part::Strong)),
            Piece::new(cursor, pen.part(Part::Key)),
            Piece::new("   Enter", pen.part(Part::Key)),
            Piece::new(" find   ", pen.part(Part::Dim)),
            Piece::new("Esc", pen.part(Part::Key)),
            Piece::new(" end", pen.part(Part::Dim)),
        ];
        pen.pieces(area.x, area.y, area.width, &pieces);
        return;
    }
    if matches!(cx.app.overlay, Some(Overlay::Ask(_))) {
        let (key, dim) = (pen.part(Part::Key), pen.part(Part::Dim));
        let pieces = [Piece::new("y", key), Piece::new(" yes  ", dim), Piece::new("n", key), Piece::new(" no", dim)];
        pen.pieces(area.x + 1, area.y, area.width.saturating_sub(1), &pieces);
        return;
    }
    if let Some(Overlay::Dialog(dialogs)) = &cx.app.overlay {
        let keys = super::dialogs::page(cx, dialogs).map_or_else(Vec::new, |page| super::dialogs::keys(pen, &page));
        pen.pieces(area.x + 1, area.y, area.width.saturating_sub(1), &keys);
        return;
    }
    let room = usize::from(area.width.saturating_sub(2));
    let last = [hint(pen, Action::Help, None), hint(pen, Action::Quit, None)];
    let kept: usize = last.iter().map(|pieces| width_of(pieces) + 2).sum();
    let mut x = area.x + 1;
    let mut used = 0;
    for (action, words) in actions(cx) {
        let pieces = hint(pen, action, words);
        let wide = width_of(&pieces) + 2;
        if used + wide + kept > room + 2 {
            break;
        }
        used += wide;
        x += pen.pieces(x, area.y, area.right().saturating_sub(x), &pieces) + 2;
    }
    let mut x = area.right().saturating_sub(u16::try_from(kept).unwrap_or(0)).max(x) + 1;
    for pieces in &last {
        x += pen.pieces(x, area.y, area.right().saturating_sub(x), pieces) + 2;
    }
}

fn hint(pen: &Pen<'_>, action: Action, words: Option<&'static str>) -> Vec<Piece> {
    let row = row_of(action);
    let key = label(row.keys[0], pen.theme.ascii);
    let words = words.unwrap_or(row.hint).replace('…', super::dots(pen.theme.ascii));
    if action == Action::Answer {
        // Only there while something asks: it must be seen.
        let style = pen.theme.role(look::ASKS.role).add_modifier(Modifier::REVERSED | Modifier::BOLD);
        return vec![Piece::new(format!(" {key} {words} "), style)];
    }
    vec![Piece::new(key, pen.part(Part::Key)), Piece::new(format!(" {words}"), pen.part(Part::Dim))]
}

/// What helps here, most helpful first; with other words where the table's would mislead.
fn actions(cx: &Cx<'_>) -> Vec<(Action, Option<&'static str>)> {
    let mut list = Vec::new();
    if cx.app.overlay.is_some() {
        return vec![(Action::Back, Some("close")), (Action::Down, Some("scroll"))];
    }
    let Some(run) = cx.run else { return list };
    if asking(run).next().is_some() {
        list.push((Action::Answer, Some("answer")));
    }
    match run.state {
        _ if run.frozen && !run.state.ended() => list.push((Action::Freeze, Some("resume"))),
        RunState::Pending => list.push((Action::Start, None)),
        RunState::Running => list.push((Action::PauseOrResume, None)),
        RunState::Pausing | RunState::Paused => list.push((Action::Resume, None)),
        _ => {}
    }
    let shown = cx.app.subject(run);
    let on_step = match cx.app.focus {
        Pane::Graph | Pane::Steps => true,
        Pane::Inspector => shown == Subject::Step,
        Pane::Agents | Pane::Logs => false,
    };
    let step = cx.app.step.and_then(|step| run.steps.get(step.index())).filter(|_| on_step);
    if let Some(step) = step {
        list.extend(for_step(step).iter().map(|action| match (action, step.state) {
            (Action::CancelStep, StepState::Cancelling) => (*action, Some("at once")),
            (Action::RetryStep, StepState::Waiting) => (*action, Some("retry now")),
            _ => (*action, None),
        }));
    }
    if cx.app.on_agent() {
        let agent = cx.app.agent.and_then(|agent| cx.view.agents.get(agent.index()));
        let broken = agent.is_some_and(|agent| agent.broken.is_some());
        list.push((if broken { Action::Heal } else { Action::FailAgent }, None));
        if agent.is_some_and(|agent| agent.breaker.is_some()) {
            list.push((Action::Breaker, None));
        }
        let words = if cx.app.focus == Pane::Agents { "all about it" } else { "its step" };
        list.push((Action::Open, Some(words)));
    }
    match cx.app.focus {
        Pane::Agents => {}
        Pane::Logs => {
            let scope = if cx.app.book.scope().is_some() { "all steps" } else { "this step" };
            list.extend([(Action::Open, Some(scope)), (Action::Follow, None)]);
            list.push((Action::FocusLogs, Some(if cx.app.diagnostics { "run's log" } else { "diagnostics" })));
        }
        Pane::Graph => list.extend([(Action::Open, None), (Action::Direction, None)]),
        Pane::Steps => list.extend([(Action::Open, None), (Action::PriorityUp, Some("priority"))]),
        Pane::Inspector => {
            list.push((Action::FocusInspector, Some(if shown == Subject::Run { "the step" } else { "figures" })));
        }
    }
    if !cx.app.follows && on_step && !run.state.ended() {
        list.push((Action::Follow, None));
    }
    if !run.state.ended() || run.rollback.is_some() {
        list.push((Action::CancelMore, None));
    }
    list.extend([
        (Action::Search, None),
        (Action::Zoom, None),
        (Action::Copy, None),
        (Action::FocusNext, Some("pane")),
    ]);
    list
}

/// What helps with a step, most helpful first.
fn for_step(step: &StepView) -> &'static [Action] {
    match (step.state, &step.wait) {
        (StepState::Running, _) => &[Action::CancelStep, Action::FailAgent],
        (StepState::Failed, _) => &[Action::RetryStep, Action::Why, Action::CompleteStep],
        (StepState::Cancelled | StepState::Skipped | StepState::Unknown, _) => &[Action::RetryStep, Action::Why],
        (StepState::Pending | StepState::Ready, _) => &[Action::Why, Action::CancelStep, Action::SkipStep],
        (StepState::Waiting, Some((WaitReason::Backoff { .. }, _))) => {
            &[Action::Why, Action::RetryStep, Action::CancelStep]
        }
        (StepState::Waiting, Some((WaitReason::Capability { .. }, _))) => {
            &[Action::Why, Action::Heal, Action::CancelStep, Action::SkipStep]
        }
        (StepState::Waiting, Some((WaitReason::Breaker { .. } | WaitReason::RateLimit { .. }, _))) => {
            &[Action::Why, Action::ReassignStep, Action::CancelStep]
        }
        (StepState::Waiting, Some((why, _))) if why.asks_a_person() => &[Action::Why, Action::SkipStep],
        (StepState::Waiting, _) => &[Action::Why, Action::CancelStep, Action::SkipStep],
        (StepState::Cancelling, _) => &[Action::CancelStep],
        (StepState::Succeeded | StepState::Compensating | StepState::Compensated, _) => &[],
    }
}
