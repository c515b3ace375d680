//! The first line: is it going well? And below it, where there is room: what to know or to do now.

use super::cx::Cx;
use super::pen::{Pen, Piece, width_of};
use crate::model::id::StepId;
use crate::model::safe::Safe;
use crate::model::state::{RunState, StepState, WaitReason};
use crate::model::view::{RunView, Saving, StoreTrouble};
use crate::report::format::{bar, clock, count, plural, span};
use crate::report::look::{self, AgentState, Role};
use crate::report::result::speedup;
use crate::tui::theme::Part;
use ratatui::layout::Rect;

/// The longest bar.
const BAR_MAX: usize = 24;
/// Running steps named while pausing.
const NAMES_MAX: usize = 3;

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
    let look = look::run(run.state);
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
    list.push(Segment { worth: 7, pieces: vec![Piece::new(clock(cx.elapsed(run)), text)] });
    list.push(Segment { worth: 8, pieces: progress(pen, run, room, cells) });
    if let Some(eta) = run.eta.filter(|_| !run.state.ended() && run.state != RunState::Pending) {
        let pieces = vec![Piece::new("eta ", dim), Piece::new(clock(eta), text)];
        list.push(Segment { worth: 4, pieces });
    }
    list.push(Segment { worth: 5, pieces: figures(pen, cx, run) });
    let broken = cx.view.agents.iter().filter(|agent| agent.broken.is_some()).count() as u64;
    if run.faults > 0 || cx.view.agents.iter().any(|a| AgentState::of(a) == AgentState::BrokenOnPurpose) {
        let mut pieces = vec![pen.injected()];
        pieces.push(Piece::new(format!(" {}", plural(u64::from(run.faults), "fault")), pen.theme.role(Role::Fault)));
        list.push(Segment { worth: 4, pieces });
    }
    if broken > 0 {
        let pieces = vec![Piece::new(format!("{} broken", plural(broken, "agent")), pen.theme.role(Role::Bad))];
        list.push(Segment { worth: 2, pieces });
    }
    list
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
    vec![
        figure(busy as u64, "busy", Role::Active),
        dot(),
        figure(waiting, "waiting", Role::Waiting),
        dot(),
        figure(failed, "failed", Role::Bad),
    ]
}

/// Draws the second line.
pub(crate) fn news(pen: &mut Pen<'_>, area: Rect, cx: &Cx<'_>) {
    if let Some(run) = cx.run.filter(|_| !area.is_empty()) {
        let pieces = said(pen, cx, run);
        pen.pieces(area.x + 1, area.y, area.width.saturating_sub(2), &pieces);
    }
}

/// What to know or to do now.
pub(crate) fn said(pen: &Pen<'_>, cx: &Cx<'_>, run: &RunView) -> Vec<Piece> {
    let (dim, text, key) = (pen.part(Part::Dim), pen.part(Part::Text), pen.part(Part::Key));
    if let Some(trouble) = &cx.view.store.trouble {
        return store_trouble(pen, trouble);
    }
    let plain = |words: String| vec![Piece::new(words, text)];
    let dots = super::dots(pen.theme.ascii);
    if cx.app.ending.is_some() && !run.state.ended() {
        return plain(format!("ending what runs{dots} Ctrl-C: at once"));
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

/// Nothing is wrong: what the workflow is about. Something waits for a person: that.
fn running(pen: &Pen<'_>, cx: &Cx<'_>, run: &RunView) -> Vec<Piece> {
    let in_state = |state: StepState| {
        let found = |step: &StepId| run.steps.get(step.index()).is_some_and(|step| step.state == state);
        run.shape.order.iter().copied().find(found)
    };
    if let Some(step) = in_state(StepState::Unknown) {
        let words = format!("{} ran when upbeat ended, what it did is not known: ", cx.app.texts.step(step));
        let (text, key) = (pen.part(Part::Text), pen.part(Part::Key));
        return vec![
            Piece::new(words, pen.theme.role(Role::Bad)),
            Piece::new("R", key),
            Piece::new(" does it again, ", text),
            Piece::new("c", key),
            Piece::new(" cancels it", text),
        ];
    }
    let stuck = run.counts.active() == 0;
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
    let mode = format!("{}, {}", run.workflow.mode.word(), plural(cx.view.agents.len() as u64, "agent"));
    let about = cx.app.texts.description.as_str();
    let gap = if about.is_empty() { "" } else { pen.dot() };
    vec![Piece::new(format!("{about}{gap}{mode}"), pen.part(Part::Dim))]
}

/// How it ended, in a word for a sentence.
const fn word(state: RunState) -> &'static str {
    match state {
        RunState::Succeeded => "done",
        RunState::Partial => "done in part",
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
