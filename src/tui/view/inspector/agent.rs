//! Everything about an agent: what it does, whether it takes work and why not, what it can do, and how it has done.

use super::step::resources;
use super::{Line, breaker, heading, labelled};
use crate::model::agent::Agent;
use crate::model::policy::HealthProbe;
use crate::model::safe::Safe;
use crate::model::view::{AgentView, RunView};
use crate::report::format::{count, percent, plural, span};
use crate::report::look::{self, AgentState, INJECTED, Role};
use crate::tui::theme::Part;
use crate::tui::view::cx::Cx;
use crate::tui::view::pen::{Pen, Piece};

/// The most steps and capabilities listed.
const LISTED_MAX: usize = 20;

/// Its lines.
pub(super) fn lines(pen: &Pen<'_>, cx: &Cx<'_>, run: &RunView, agent: &AgentView) -> Vec<Line> {
    let look = look::agent(AgentState::of(agent));
    let load = format!("{}{} of {}", pen.dot(), agent.busy.len(), plural(u64::from(agent.slots), "slot"));
    let mut lines = vec![vec![
        Piece::new(format!("{} {}", pen.glyph(look), look.word), pen.theme.role(look.role)),
        Piece::new(load, pen.part(Part::Dim)),
        Piece::new(format!("{}{}", pen.dot(), agent.kind), pen.part(Part::Dim)),
    ]];
    trouble(pen, cx, agent, &mut lines);
    let definition = run.workflow.agents.iter().find(|definition| definition.id == agent.name);
    let safe = |text: &str| Safe::line(text).into_string();
    let mut can: Vec<String> = agent.capabilities.iter().take(LISTED_MAX).map(|name| safe(name)).collect();
    if agent.capabilities.len() > LISTED_MAX {
        can.push(format!("{} more", agent.capabilities.len() - LISTED_MAX));
    }
    lines.push(labelled(pen, "can do", can.join(", ")));
    lines.push(labelled(pen, "used", format!("{} of its time", percent(agent.utilisation))));
    lines.push(labelled(pen, "attempts", tally(agent)));
    lines.push(labelled(
        pen,
        "breaker",
        match agent.breaker {
            None => "none".to_owned(),
            Some(state) => breaker::state(cx, state),
        },
    ));
    if let Some(words) = breaker::policy(cx, agent) {
        lines.push(labelled(pen, "", words));
    }
    if let Some(definition) = definition {
        declared(pen, definition, &mut lines);
    }
    lines.push(labelled(
        pen,
        "faults",
        if agent.takes_faults { "may be injected" } else { "are not allowed" }.to_owned(),
    ));
    if !agent.busy.is_empty() {
        heading(pen, "works on", &mut lines);
        for busy in agent.busy.iter().take(LISTED_MAX) {
            let name = if busy.run == run.id { cx.app.texts.step(busy.step) } else { "a step of another run" };
            let time = span(cx.now.saturating_sub(busy.since));
            let words = format!("{name}{}attempt {}{}{time}", pen.dot(), busy.attempt, pen.dot());
            lines.push(vec![Piece::new(words, pen.part(Part::Text))]);
        }
    }
    lines
}

/// Why it takes no work, where it takes none.
fn trouble(pen: &Pen<'_>, cx: &Cx<'_>, agent: &AgentView, lines: &mut Vec<Line>) {
    let mut say = |label: &str, role: Role, words: String| {
        let mut line = labelled(pen, label, words);
        line.iter_mut().skip(1).for_each(|piece| piece.style = pen.theme.role(role));
        lines.push(line);
    };
    if let Some(broken) = &agent.broken {
        let injected = if broken.injected { format!("{}: ", INJECTED.word) } else { String::new() };
        let heals = match broken.until {
            Some(until) => format!("; heals in {}, or u", cx.left(until)),
            None => "; u heals it".to_owned(),
        };
        let reason = Safe::line(&broken.reason);
        let role = if broken.injected { Role::Fault } else { Role::Bad };
        let ago = span(cx.now.saturating_sub(broken.since));
        say("broken", role, format!("{injected}{reason}, {ago} ago{heals}"));
    }
    if let Some(until) = agent.parked {
        say("parked", Role::Waiting, format!("takes no calls for {}", cx.left(until)));
    }
}

/// `3 succeeded, 1 failed (25 %)`.
fn tally(agent: &AgentView) -> String {
    let ended = agent.succeeded + agent.failed;
    if ended == 0 {
        return "none ended yet".to_owned();
    }
    #[expect(clippy::cast_precision_loss, reason = "a share for people")]
    let share = agent.failed as f64 / ended as f64;
    format!("{} succeeded, {} failed ({})", count(agent.succeeded), count(agent.failed), percent(share))
}

/// What its entry in the file says.
fn declared(pen: &Pen<'_>, agent: &Agent, lines: &mut Vec<Line>) {
    if let Some(limit) = agent.rate_limit {
        let words = format!("{} in {}", plural(u64::from(limit.calls), "call"), span(limit.per));
        lines.push(labelled(pen, "limit", words));
    }
    if let Some(health) = &agent.health {
        let asks = match &health.probe {
            HealthProbe::Command(argv) => argv.join(" "),
            HealthProbe::Url(url) => url.clone(),
        };
        lines.push(labelled(pen, "health", format!("{} every {}", Safe::line(&asks), span(health.every))));
    }
    if let Some(has) = agent.resources {
        lines.push(labelled(pen, "has", resources(has)));
    }
    let backup = if agent.backup { "; a backup: only when no other is left" } else { "" };
    lines.push(labelled(pen, "weight", format!("{}{backup}", agent.weight)));
}
