//! The first line: is it going well?

use super::cx::Cx;
use super::pen::{Pen, Piece, width_of};
use crate::model::state::{RunState, StepState};
use crate::model::view::{RunView, Saving};
use crate::report::format::{bar, clock, count, plural};
use crate::report::look::{self, AgentState, Role};
use crate::tui::dialogs::asking;
use crate::tui::theme::Part;
use ratatui::layout::Rect;
use ratatui::style::Modifier;

/// The longest bar.
const BAR_MAX: usize = 24;

/// Something in the header, and how much it matters: what matters least goes first where there is no room.
struct Segment {
    worth: u8,
    pieces: Vec<Piece>,
}

/// Draws the first line.
pub(crate) fn draw(pen: &mut Pen<'_>, area: Rect, cx: &Cx<'_>) {
    if area.is_empty() {
        return;
    }
    let Some(run) = cx.run else {
        let dim = pen.part(Part::Dim);
        let brand = Piece::new(" upbeat ", pen.part(Part::Brand));
        let dots = if pen.theme.ascii { "  loading.." } else { "  loading…" };
        pen.pieces(area.x, area.y, area.width, &[brand, Piece::new(dots, dim)]);
        return;
    };
    let room = usize::from(area.width);
    let wide = |segments: &[Segment], gap: usize| {
        segments.iter().map(|segment| width_of(&segment.pieces) + gap).sum::<usize>().saturating_sub(gap)
    };
    // A shorter bar and narrower gaps come before leaving anything out.
    let (mut gap, mut list) = (3, Vec::new());
    for (try_gap, cells) in [(3, BAR_MAX), (3, 16), (2, 12), (2, 8)] {
        (gap, list) = (try_gap, segments(pen, cx, run, room, cells));
        if wide(&list, gap) < room {
            break;
        }
    }
    while list.len() > 1 && wide(&list, gap) >= room {
        let least = list.iter().map(|segment| segment.worth).min().unwrap_or(0);
        list.retain(|segment| segment.worth > least);
    }
    let gap = u16::try_from(gap).unwrap_or(2);
    let bare = list.first().and_then(|segment| segment.pieces.first()).is_some_and(|p| !p.text.starts_with(' '));
    let mut x = area.x + u16::from(bare);
    for segment in &list {
        x += pen.pieces(x, area.y, area.right().saturating_sub(x), &segment.pieces) + gap;
    }
}

fn segments(pen: &Pen<'_>, cx: &Cx<'_>, run: &RunView, room: usize, cells: usize) -> Vec<Segment> {
    let (dim, strong, text) = (pen.part(Part::Dim), pen.part(Part::Strong), pen.part(Part::Text));
    let look = look::run_of(run);
    let texts = &cx.app.texts;
    let name_room = (room / 4).clamp(8, 40);
    let name = crate::report::format::cut_middle(texts.workflow.as_str(), name_room, pen.theme.ascii).into_owned();
    let run_name = crate::report::format::cut(texts.run.as_str(), 12, pen.theme.ascii).into_owned();
    let mut list = vec![
        Segment { worth: 3, pieces: vec![Piece::new(" upbeat ", pen.part(Part::Brand))] },
        Segment { worth: 6, pieces: vec![Piece::new(name, strong)] },
        Segment { worth: 1, pieces: vec![Piece::new(format!("run {run_name}"), dim), saved(pen, cx)] },
        Segment { worth: 9, pieces: vec![state(pen, cx, run, look)] },
    ];
    if let Some(asks) = asks(pen, cx, run, room) {
        list.push(Segment { worth: 10, pieces: vec![asks] });
    }
    if run.state == RunState::Compensating {
        let (done, all) = undone(run);
        let words = format!("undone {} of {}", count(done), count(all));
        list.push(Segment { worth: 8, pieces: vec![Piece::new(words, pen.theme.role(Role::Ending))] });
    }
    list.push(Segment { worth: 7, pieces: vec![Piece::new(clock(cx.elapsed(run)), text)] });
    list.push(Segment { worth: 8, pieces: progress(pen, run, room, cells) });
    if let Some(eta) = run.eta.filter(|_| !run.state.ended() && run.state != RunState::Pending) {
        let pieces = vec![Piece::new("eta ", dim), Piece::new(clock(eta), text)];
        list.push(Segment { worth: 4, pieces });
    }
    list.push(Segment { worth: 5, pieces: figures(pen, cx, run) });
    if run.faults > 0 || cx.view.agents.iter().any(|a| AgentState::of(a) == AgentState::BrokenOnPurpose) {
        let mut pieces = vec![pen.injected()];
        pieces.push(Piece::new(format!(" {}", plural(u64::from(run.faults), "fault")), pen.theme.role(Role::Fault)));
        list.push(Segment { worth: 4, pieces });
    }
    let (ill, idle) = agents(pen, cx);
    if !ill.is_empty() {
        list.push(Segment { worth: 4, pieces: ill });
    }
    list.push(Segment { worth: 1, pieces: vec![idle] });
    list
}

/// Somebody has to answer something: with the key, and in a style that is seen from afar.
fn asks(pen: &Pen<'_>, cx: &Cx<'_>, run: &RunView, room: usize) -> Option<Piece> {
    if cx.app.ending.is_some() {
        return None;
    }
    let sign = pen.glyph(look::ASKS);
    let words = match asking(run).count() {
        0 => return None,
        _ if room < 60 => format!(" {sign} a "),
        1 => format!(" {sign} a: answer "),
        n => format!(" {sign} a: answer {n} "),
    };
    Some(Piece::new(words, pen.theme.role(look::ASKS.role).add_modifier(Modifier::REVERSED | Modifier::BOLD)))
}

/// Agents that take no work, by what is the matter; and how many have none.
fn agents(pen: &Pen<'_>, cx: &Cx<'_>) -> (Vec<Piece>, Piece) {
    let of = |wanted: &[AgentState]| {
        cx.view.agents.iter().filter(|agent| wanted.contains(&AgentState::of(agent))).count() as u64
    };
    let ill = [
        (of(&[AgentState::Broken, AgentState::BrokenOnPurpose]), AgentState::Broken, " broken"),
        (of(&[AgentState::BreakerOpen]), AgentState::BreakerOpen, " breaker open"),
        (of(&[AgentState::Probing]), AgentState::Probing, " probing"),
        (of(&[AgentState::Parked]), AgentState::Parked, " parked"),
    ];
    let mut pieces = Vec::new();
    for (n, state, word) in ill {
        if n > 0 {
            let style = pen.theme.role(look::agent(state).role);
            if !pieces.is_empty() {
                pieces.push(Piece::new(pen.dot(), pen.part(Part::Dim)));
            }
            pieces.push(Piece::new(format!("{}{word}", count(n)), style));
        }
    }
    let idle = of(&[AgentState::Idle, AgentState::Backup]);
    (pieces, Piece::new(format!("{} idle", count(idle)), pen.part(Part::Dim)))
}

/// How far a rollback under way has come: steps undone, or found not to be, of all that are to be.
fn undone(run: &RunView) -> (u64, u64) {
    let mut meant = vec![false; run.steps.len()];
    let mut done = 0;
    for (meant, step) in meant.iter_mut().zip(&run.steps) {
        let over = step.state == StepState::Compensated || (step.undo_failed && step.state != StepState::Compensating);
        done += u64::from(over);
        *meant = over || step.state == StepState::Compensating;
    }
    for step in run.rollback.iter().flat_map(|rollback| &rollback.undone) {
        if let Some(meant) = meant.get_mut(step.index()) {
            *meant = true;
        }
    }
    (done, meant.into_iter().filter(|meant| *meant).count() as u64)
}

/// What most of the waiting steps wait for, where several wait.
fn mostly(run: &RunView) -> Option<&'static str> {
    if run.counts.of(StepState::Waiting) < 2 {
        return None;
    }
    let mut reasons: Vec<(&str, u32)> = Vec::new();
    let mut waiting = 0;
    for (why, _) in run.steps.iter().filter(|step| step.state == StepState::Waiting).filter_map(|s| s.wait.as_ref()) {
        waiting += 1;
        match reasons.iter_mut().find(|(word, _)| *word == why.word()) {
            Some((_, n)) => *n += 1,
            None => reasons.push((why.word(), 1)),
        }
    }
    reasons.into_iter().find(|(_, n)| waiting > 1 && n * 2 > waiting).map(|(word, _)| word)
}

/// How safe the run is, in a word.
fn saved(pen: &Pen<'_>, cx: &Cx<'_>) -> Piece {
    let words = match cx.view.store.saving {
        Saving::Nothing => "not saved",
        Saving::Normal => "saved",
        Saving::Full => "saved, synced",
    };
    let style = match cx.view.store.trouble {
        Some(_) => pen.theme.role(Role::Bad),
        None => pen.part(Part::Dim),
    };
    Piece::new(format!(" ({words})"), style)
}

fn state(pen: &Pen<'_>, cx: &Cx<'_>, run: &RunView, look: look::Look) -> Piece {
    let word = match cx.app.ending {
        Some(_) if !run.state.ended() => {
            return Piece::new(
                format!("{} ending{}", pen.glyph(look::run(RunState::Cancelling)), super::dots(pen.theme.ascii)),
                pen.theme.role(Role::Ending),
            );
        }
        _ => look.word,
    };
    Piece::new(format!("{} {word}", pen.glyph(look)), pen.theme.role(look.role))
}

fn progress(pen: &Pen<'_>, run: &RunView, room: usize, cells: usize) -> Vec<Piece> {
    let (ended, total) = (u64::from(run.counts.ended()), u64::from(run.counts.total()));
    let drawn = bar(ended, u64::from(run.counts.active()), total, cells, pen.theme.ascii);
    let bad = run.counts.of(StepState::Failed) > 0;
    let mut pieces = Vec::new();
    if room >= 36 {
        pieces.push(Piece::new(drawn.done, pen.theme.role(if bad { Role::Bad } else { Role::Good })));
        pieces.push(Piece::new(drawn.active, pen.theme.role(Role::Active)));
        pieces.push(Piece::new(drawn.rest + " ", pen.part(Part::Dim)));
    }
    pieces.push(Piece::new(format!("{}/{}", count(ended), count(total)), pen.part(Part::Strong)));
    pieces
}

fn figures(pen: &Pen<'_>, cx: &Cx<'_>, run: &RunView) -> Vec<Piece> {
    let dim = pen.part(Part::Dim);
    let failed = u64::from(run.counts.of(StepState::Failed));
    let waiting = u64::from(run.counts.of(StepState::Waiting) + run.counts.of(StepState::Unknown));
    let busy: usize = cx.view.agents.iter().map(|agent| agent.busy.len()).sum();
    let figure = |n: u64, word: &str, role: Role| {
        Piece::new(format!("{} {word}", count(n)), if n > 0 { pen.theme.role(role) } else { dim })
    };
    let dot = || Piece::new(pen.dot(), dim);
    let held = mostly(run).map_or_else(|| "waiting".to_owned(), |reason| format!("waiting ({reason})"));
    vec![
        figure(busy as u64, "busy", Role::Active),
        dot(),
        figure(waiting, &held, Role::Waiting),
        dot(),
        figure(failed, "failed", Role::Bad),
    ]
}
