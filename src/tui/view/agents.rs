//! The agent map: a row an agent while they fit, then a tile, then a cell a slot.

use super::cx::Cx;
use super::pen::{Pen, Piece, width_of};
use crate::model::id::AgentId;
use crate::model::state::BreakerState;
use crate::model::time::Micros;
use crate::model::view::{AgentView, EngineView};
use crate::report::format::{SPAN_WIDTH, count, cut, percent, plural, span_fixed, width};
use crate::report::look::{self, AgentState, INJECTED};
use crate::tui::app::{App, inner, padded};
use crate::tui::arrange::Pane;
use crate::tui::theme::Part;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};

/// The most cells for one agent's slots.
const SLOT_CELLS: usize = 8;
/// The longest name in a row and in a tile.
const NAME_MAX: u16 = 20;
const TILE_NAME_MAX: u16 = 12;

/// How the agents are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Map {
    /// A row each.
    Rows { top: usize },
    /// So many tiles of so many cells in a row.
    Tiles { columns: usize, wide: u16, top: usize },
    /// A cell for each slot, a space between agents: so many agents in a row.
    Cells { columns: usize, wide: u16, top: usize },
}

fn map(app: &App, view: &EngineView, room: Rect) -> Map {
    let (rows, agents) = (usize::from(room.height).max(1), view.agents.len());
    if agents <= rows {
        return Map::Rows { top: 0 };
    }
    let longest = app.texts.agents().iter().map(|name| width(name.as_str())).max().unwrap_or(1);
    let tile = u16::try_from(longest).unwrap_or(u16::MAX).min(TILE_NAME_MAX) + 4;
    let columns = usize::from((room.width / tile).max(1));
    // The last row is for the words about the selected one.
    let rows = rows.saturating_sub(1).max(1);
    let selected = app.agent.map_or(0, AgentId::index);
    let top = |columns: usize| (selected / columns).saturating_sub(rows - 1);
    if agents.div_ceil(columns) <= rows {
        return Map::Tiles { columns, wide: tile, top: 0 };
    }
    let slots = view.agents.iter().map(slot_cells).max().unwrap_or(1);
    let wide = u16::try_from(slots).unwrap_or(1) + 1;
    let columns = usize::from((room.width / wide).max(1));
    Map::Cells { columns, wide, top: top(columns) }
}

fn slot_cells(agent: &AgentView) -> usize {
    (agent.slots as usize).clamp(1, SLOT_CELLS)
}

/// The agent at a cell of the pane.
pub(crate) fn agent_at(app: &App, view: &EngineView, area: Rect, x: u16, y: u16) -> Option<AgentId> {
    let room = padded(area);
    if !room.contains((x, y).into()) {
        return None;
    }
    let (column, row) = (usize::from(x - room.x), usize::from(y - room.y));
    let place = match map(app, view, room) {
        Map::Rows { top } => top + row,
        Map::Tiles { columns, wide, top } | Map::Cells { columns, wide, top } => {
            let column = column / usize::from(wide);
            if column >= columns {
                return None;
            }
            (top + row) * columns + column
        }
    };
    view.agents.get(place).map(|agent| agent.id)
}

/// Draws the pane.
pub(crate) fn draw(pen: &mut Pen<'_>, area: Rect, cx: &Cx<'_>) {
    let focused = cx.app.focus == Pane::Agents;
    let mut title = super::title(pen, cx, Pane::Agents, focused);
    if !cx.app.query.is_empty() && focused {
        title.push(Piece::new(format!("  /{}", cx.app.query), pen.part(Part::Key)));
    }
    let mut figures = figures(pen, cx);
    // What is well may be left out, what is not may not.
    let room = usize::from(area.width).saturating_sub(width_of(&title) + 9);
    while width_of(&figures) > room && figures.len() > 1 {
        figures.remove(0);
    }
    if let Some(first) = figures.first_mut() {
        first.text = first.text.trim_start_matches(pen.dot()).to_owned();
    }
    pen.frame(area, focused, &title, &figures);
    let (room, frame) = (padded(area), inner(area));
    if room.is_empty() {
        return;
    }
    if cx.view.agents.is_empty() {
        pen.text(room.x, room.y, room.width, "no agents yet", pen.part(Part::Dim));
        return;
    }
    match map(cx.app, cx.view, room) {
        Map::Rows { top } => {
            for (y, agent) in (room.y..room.bottom()).zip(cx.view.agents.iter().skip(top)) {
                let line = Rect { y, height: 1, ..room };
                row(pen, line, cx, agent);
                if cx.app.agent == Some(agent.id) && focused {
                    super::mark_row(pen, Rect { x: frame.x, width: frame.width, ..line }, focused);
                }
            }
        }
        map => grid(pen, room, cx, map),
    }
}

fn figures(pen: &Pen<'_>, cx: &Cx<'_>) -> Vec<Piece> {
    let of = |wanted: &[AgentState]| {
        cx.view.agents.iter().filter(|agent| wanted.contains(&AgentState::of(agent))).count() as u64
    };
    let busy = cx.view.agents.iter().filter(|agent| !agent.busy.is_empty()).count() as u64;
    let broken = of(&[AgentState::Broken, AgentState::BrokenOnPurpose]);
    let mut pieces = vec![
        Piece::new(format!("{} busy", count(busy)), pen.part(Part::Dim)),
        Piece::new(
            format!("{}{} idle", pen.dot(), count(of(&[AgentState::Idle, AgentState::Backup]))),
            pen.part(Part::Dim),
        ),
    ];
    if broken > 0 {
        let role = look::agent(AgentState::Broken).role;
        pieces.push(Piece::new(format!("{}{} broken", pen.dot(), count(broken)), pen.theme.role(role)));
    }
    for (state, word) in
        [(AgentState::BreakerOpen, "open"), (AgentState::Probing, "probing"), (AgentState::Parked, "parked")]
    {
        let n = of(&[state]);
        if n > 0 {
            let style = pen.theme.role(look::agent(state).role);
            pieces.push(Piece::new(format!("{}{} {word}", pen.dot(), count(n)), style));
        }
    }
    pieces
}

/// What an agent is, in three letters at least: nobody shall take a simulation for the real thing.
const fn kind(agent: &AgentView) -> &'static str {
    match agent.kind.as_bytes() {
        b"simulated" => "sim",
        b"process" => "proc",
        b"builtin" => "own",
        _ => agent.kind,
    }
}

fn row(pen: &mut Pen<'_>, line: Rect, cx: &Cx<'_>, agent: &AgentView) {
    let state = AgentState::of(agent);
    let look = look::agent(state);
    let role = pen.theme.role(look.role);
    let dim = pen.part(Part::Dim);
    let names = cx.app.texts.agents().iter().map(|name| width(name.as_str())).max().unwrap_or(4);
    let name_room = u16::try_from(names).unwrap_or(NAME_MAX).clamp(4, NAME_MAX).min(line.width / 3);
    pen.sign(line.x, line.y, look.sign(pen.theme.ascii), role);
    let style = pen.part(if state == AgentState::Idle { Part::Dim } else { Part::Text });
    pen.name(line.x + 2, line.y, name_room, cx.app.texts.agent(agent.id), style);
    let x = line.x + 2 + name_room + 1;
    // From the right: kind, tallies, time.
    let mut end = line.right();
    let tag = kind(agent);
    let wide = u16::try_from(width(tag)).unwrap_or(0);
    if end.saturating_sub(x) > wide + 14 {
        end -= wide;
        pen.text(end, line.y, wide, tag, dim);
        end -= 1;
    }
    end = used(pen, line, agent, x, end);
    end = tallies(pen, line, agent, x, end);
    // How long it is at it; how long it stays broken.
    let since = agent.busy.iter().map(|busy| busy.since).min();
    let time = match until(agent) {
        Some(until) => Some(span_fixed(until.saturating_sub(cx.now))),
        None => since.map(|since| span_fixed(cx.now.saturating_sub(since))),
    };
    let time_width = SPAN_WIDTH as u16;
    if end.saturating_sub(x) > time_width + 8 {
        end -= time_width;
        if let Some(time) = time {
            pen.text(end, line.y, time_width, &time, role.remove_modifier(Modifier::BOLD));
        }
        end -= 1;
    }
    what(pen, cx, agent, Rect { x, width: end.saturating_sub(x), ..line });
}

/// When it takes work again by itself.
fn until(agent: &AgentView) -> Option<Micros> {
    match (&agent.broken, agent.breaker) {
        (Some(broken), _) => broken.until,
        (None, Some(BreakerState::Open { until, .. })) => Some(until),
        (None, _) => agent.parked,
    }
}

/// How much of its time it works, and which share of its attempts failed: where there is room for words.
fn used(pen: &mut Pen<'_>, line: Rect, agent: &AgentView, x: u16, end: u16) -> u16 {
    let ended = agent.succeeded + agent.failed;
    #[expect(clippy::cast_precision_loss, reason = "a share for people")]
    let failing = if ended == 0 { 0.0 } else { agent.failed as f64 / ended as f64 };
    let mut end = end;
    if agent.broken.is_some() {
        // Why it is broken matters more.
        return end;
    }
    for (text, shown) in [
        (format!("{:>6} used", percent(agent.utilisation)), ended > 0 || agent.utilisation > 0.0),
        (format!("{:>6} fail", percent(failing)), agent.failed > 0),
    ] {
        let wide = u16::try_from(width(&text)).unwrap_or(u16::MAX);
        if end.saturating_sub(x) <= wide + 36 {
            break;
        }
        end -= wide;
        if shown {
            let style = pen.part(Part::Dim);
            pen.text(end, line.y, wide, &text, style);
        }
        end -= 1;
    }
    end
}

fn tallies(pen: &mut Pen<'_>, line: Rect, agent: &AgentView, x: u16, end: u16) -> u16 {
    let good = look::step(crate::model::state::StepState::Succeeded);
    let bad = look::step(crate::model::state::StepState::Failed);
    let mut end = end;
    for (n, look) in [(agent.failed, bad), (agent.succeeded, good)] {
        let text = format!("{}{}", count(n), pen.glyph(look));
        let wide = u16::try_from(width(&text)).unwrap_or(0).max(3);
        if end.saturating_sub(x) <= wide + 12 {
            break;
        }
        end -= wide;
        if n > 0 {
            let pad = wide - u16::try_from(width(&text)).unwrap_or(0);
            let style = pen.theme.role(look.role).remove_modifier(Modifier::BOLD);
            pen.text(end + pad, line.y, wide, &text, style);
        }
        end -= 1;
    }
    end
}

/// What an agent does, or why it does nothing.
fn what(pen: &mut Pen<'_>, cx: &Cx<'_>, agent: &AgentView, room: Rect) {
    let dim = pen.part(Part::Dim);
    let state = AgentState::of(agent);
    let role = pen.theme.role(look::agent(state).role).remove_modifier(Modifier::BOLD);
    let word = look::agent(state).word;
    let mut pieces = Vec::new();
    match (&agent.broken, agent.busy.as_slice()) {
        (Some(broken), _) => {
            let heals = if broken.until.is_some() && room.width >= 16 { ", heals in" } else { "" };
            // The time stands in its own column, at the end of the words where they are short.
            let text_room = usize::from(room.width).saturating_sub(width(heals) + word.len() + 1);
            pieces.push(Piece::new(word, role));
            let reason = crate::model::safe::Safe::line(&broken.reason);
            let injected = if broken.injected { INJECTED.word } else { "" };
            let text = [injected, reason.as_str()].into_iter().filter(|t| !t.is_empty()).collect::<Vec<_>>().join(": ");
            if text_room > 12 {
                let text = cut(&text, text_room - 1, pen.theme.ascii).into_owned();
                pieces.push(Piece::new(format!(" {text}"), dim));
            }
            pieces.push(Piece::new(heals, dim));
        }
        (None, busy) if matches!(state, AgentState::BreakerOpen | AgentState::Probing | AgentState::Parked) => {
            let forced = agent.breaker == Some(BreakerState::ForcedOpen);
            pieces.push(Piece::new(if forced { "breaker forced open" } else { word }, role));
            let with = busy.first().map(|busy| format!(" {}", step_name(cx, busy)));
            pieces.extend(with.map(|name| Piece::new(name, dim)));
        }
        (None, []) => pieces.push(Piece::new(word, dim)),
        (None, [busy]) => {
            if agent.slots > 1 {
                pieces.push(slots(pen, agent));
            }
            pieces.push(Piece::new(step_name(cx, busy), role));
        }
        (None, more) => {
            pieces.push(slots(pen, agent));
            pieces.push(Piece::new(plural(more.len() as u64, "step"), role));
            let names: Vec<String> = more.iter().take(4).map(|busy| step_name(cx, busy)).collect();
            pieces.push(Piece::new(format!(": {}", names.join(", ")), dim));
        }
    }
    if agent.breaker == Some(BreakerState::ForcedClosed) {
        pieces.push(Piece::new(" (breaker forced closed)", dim));
    }
    pen.pieces(room.x, room.y, room.width, &pieces);
}

fn slots(pen: &Pen<'_>, agent: &AgentView) -> Piece {
    let (busy, idle) = (look::agent(AgentState::Busy), look::agent(AgentState::Idle));
    if agent.slots as usize > SLOT_CELLS {
        let load = format!("{}/{} ", count(agent.busy.len() as u64), count(u64::from(agent.slots)));
        return Piece::new(load, pen.part(Part::Dim));
    }
    let taken = agent.busy.len().min(slot_cells(agent));
    let text = pen.glyph(busy).repeat(taken) + &pen.glyph(idle).repeat(slot_cells(agent) - taken) + " ";
    Piece::new(text, pen.part(Part::Dim))
}

fn step_name(cx: &Cx<'_>, busy: &crate::model::view::Busy) -> String {
    if Some(busy.run) == cx.app.run { cx.app.texts.step(busy.step).to_owned() } else { "another run".to_owned() }
}

/// Tiles or cells, and a line about the selected agent.
fn grid(pen: &mut Pen<'_>, room: Rect, cx: &Cx<'_>, map: Map) {
    let (columns, wide, top, tiles) = match map {
        Map::Tiles { columns, wide, top } => (columns, wide, top, true),
        Map::Cells { columns, wide, top } => (columns, wide, top, false),
        Map::Rows { .. } => return,
    };
    let rows = usize::from(room.height).saturating_sub(1).max(1);
    for (place, agent) in cx.view.agents.iter().enumerate().skip(top * columns).take(rows * columns) {
        let place = place - top * columns;
        let x = room.x + u16::try_from(place % columns).unwrap_or(0) * wide;
        let y = room.y + u16::try_from(place / columns).unwrap_or(0);
        let look = look::agent(AgentState::of(agent));
        let style = pen.theme.role(look.role);
        let cells = if tiles { 1 } else { slot_cells(agent) };
        for cell in 0..cells {
            // In cells, slots that are free are drawn as such.
            let free = !tiles && agent.broken.is_none() && cell >= agent.busy.len();
            let look = if free && !agent.backup { look::agent(AgentState::Idle) } else { look };
            let style = if free { pen.part(Part::Dim) } else { style };
            pen.sign(x + u16::try_from(cell).unwrap_or(0), y, look.sign(pen.theme.ascii), style);
        }
        if tiles {
            let dim = agent.busy.is_empty() && agent.broken.is_none();
            let style = pen.part(if dim { Part::Dim } else { Part::Text });
            pen.name(x + 2, y, wide.saturating_sub(4), cx.app.texts.agent(agent.id), style);
        }
        if cx.app.agent == Some(agent.id) && cx.app.focus == Pane::Agents {
            let own = Rect { x, y, width: wide.saturating_sub(1), height: 1 };
            pen.tint(own, Style::new().add_modifier(Modifier::REVERSED));
        }
    }
    if let Some(agent) = cx.app.agent.and_then(|agent| cx.view.agents.get(agent.index())).filter(|_| room.height > 1) {
        row(pen, Rect { y: room.bottom() - 1, height: 1, ..room }, cx, agent);
    }
}
