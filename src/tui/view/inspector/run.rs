//! The run in figures: how much is done, how fast, how well, and where the time went.

use super::{Line, heading, labelled};
use crate::model::policy::Success;
use crate::model::safe::Safe;
use crate::model::state::StepState;
use crate::model::time::Micros;
use crate::model::view::{Figures, Phases, RunSummary, RunView};
use crate::report::format::{bar, count, cut_middle, percent, plural, rate, span, span_fixed, width};
use crate::report::look;
use crate::report::result::speedup;
use crate::tui::theme::Part;
use crate::tui::view::cx::Cx;
use crate::tui::view::pen::{Pen, Piece};

/// Kinds of step listed.
const KINDS_MAX: usize = 40;
/// Cells of a kind's name.
const KIND: usize = 18;
/// Cells of a phase's bar.
const BAR: usize = 12;

/// Its lines.
pub(super) fn lines(pen: &Pen<'_>, cx: &Cx<'_>, run: &RunView) -> Vec<Line> {
    let look = look::run_of(run);
    let mut lines = vec![vec![
        Piece::new(format!("{} {}", pen.glyph(look), look.word), pen.theme.role(look.role)),
        Piece::new(format!("{}{}", pen.dot(), span(cx.elapsed(run))), pen.part(Part::Dim)),
        Piece::new(format!("{}{}", pen.dot(), plural(u64::from(run.attempts), "attempt")), pen.part(Part::Dim)),
    ]];
    lines.push(totals(pen, run));
    if run.started.is_some() {
        pace(pen, &run.figures, &mut lines);
    }
    machine(pen, cx, &mut lines);
    if let Some(summary) = cx.summary {
        result(pen, summary, &mut lines);
    }
    let needed = match run.workflow.success {
        Success::All => "all steps".to_owned(),
        Success::Any => "one step".to_owned(),
        Success::Min(share) => format!("{} of the steps", percent(share)),
    };
    lines.push(labelled(pen, "needs", format!("{needed} to succeed")));
    lines.push(labelled(pen, "order", run.mode.word().to_owned()));
    if let Some(last) = run.checkpoints.last() {
        let words = format!(
            "{}, the last before {}",
            plural(run.checkpoints.len() as u64, "checkpoint"),
            cx.app.texts.step(last.step)
        );
        lines.push(labelled(pen, "marks", words));
    }
    phases(pen, run.figures.phases, &mut lines);
    kinds(pen, &run.figures, &mut lines);
    lines
}

/// Steps per state, each with its glyph.
fn totals(pen: &Pen<'_>, run: &RunView) -> Line {
    let mut line = vec![Piece::new(format!("{:width$} ", "steps", width = super::LABEL), pen.part(Part::Dim))];
    for state in StepState::ALL {
        let n = run.counts.of(state);
        if n > 0 {
            let look = look::step(state);
            let gap = if line.len() > 1 { "  " } else { "" };
            let words = format!("{gap}{} {} {}", pen.glyph(look), count(u64::from(n)), look.word);
            line.push(Piece::new(words, pen.theme.role(look.role)));
        }
    }
    line
}

fn pace(pen: &Pen<'_>, figures: &Figures, lines: &mut Vec<Line>) {
    lines.push(labelled(pen, "speed", format!("{}, of steps that ended well", rate(figures.throughput_per_s))));
    let shares =
        format!("{} of attempts fail, {} are retries", percent(figures.error_rate), percent(figures.retry_rate));
    lines.push(labelled(pen, "errors", shares));
    lines.push(labelled(
        pen,
        "efficient",
        format!("{} of what is possible on these agents", percent(figures.efficiency)),
    ));
    if let Some((name, waiting)) = &figures.bottleneck {
        let words =
            format!("the bottleneck is {}: {} in line for it", Safe::line(name), plural(u64::from(*waiting), "step"));
        lines.push(labelled(pen, "holds up", words));
    }
}

/// What upbeat and the processes of its agents use of this machine.
fn machine(pen: &Pen<'_>, cx: &Cx<'_>, lines: &mut Vec<Line>) {
    let Some(machine) = cx.view.machine else { return };
    let own = format!("upbeat {} of a core, {}", of_core(machine.cpu_share), megabytes(machine.rss_bytes));
    lines.push(labelled(pen, "machine", own));
    if machine.children > 0 {
        let children =
            if machine.children == 1 { "1 process".to_owned() } else { format!("{} processes", machine.children) };
        let (share, memory) = (of_core(machine.children_cpu_share), megabytes(machine.children_rss_bytes));
        let words = format!("{children} of agents {share} of a core, {memory}");
        lines.push(labelled(pen, "", words));
    }
}

/// A share of one core; several cores are more than 100 %.
fn of_core(share: f64) -> String {
    format!("{:.0} %", share.max(0.0) * 100.0)
}

#[expect(clippy::cast_precision_loss, reason = "no machine has 2^53 bytes of memory")]
fn megabytes(bytes: u64) -> String {
    format!("{:.0} MB", bytes as f64 / 1e6)
}

/// What only the end tells.
fn result(pen: &Pen<'_>, summary: &RunSummary, lines: &mut Vec<Line>) {
    let words =
        format!("{:.1}x one by one ({}); at best {}", speedup(summary), span(summary.busy), span(summary.lower_bound));
    lines.push(labelled(pen, "faster", words));
    if summary.steps_hit > 0 {
        let words =
            format!("{} of {} recovered", summary.steps_recovered, plural(u64::from(summary.steps_hit), "step"));
        let mttr = summary.mttr.map_or_else(String::new, |time| format!(", in {} on average", span(time)));
        lines.push(labelled(pen, "recovery", words + &mttr));
    }
    if let Some(usage) = summary.usage {
        let peak = megabytes(usage.peak_rss_bytes);
        lines.push(labelled(pen, "used", format!("{:.1} s of processor, {peak} at most", usage.cpu_s)));
    }
}

/// Where the steps' time went.
fn phases(pen: &Pen<'_>, phases: Phases, lines: &mut Vec<Line>) {
    let parts = [
        ("running", phases.running),
        ("waiting", phases.waiting),
        ("backoff", phases.backoff),
        ("recovery", phases.recovery),
    ];
    let all: u64 = parts.iter().map(|(_, time)| time.0).fold(0, u64::saturating_add);
    if all == 0 {
        return;
    }
    heading(pen, "the steps' time", lines);
    for (word, time) in parts {
        let drawn = bar(time.0 / 1_000, 0, all / 1_000, BAR, pen.theme.ascii);
        let mut line = labelled(pen, word, span_fixed(time));
        line.push(Piece::new(format!("  {}", drawn.done), pen.part(Part::Strong)));
        line.push(Piece::new(drawn.rest, pen.part(Part::Dim)));
        line.push(Piece::new(format!(" {:>6}", percent(ratio(time, Micros(all)))), pen.part(Part::Dim)));
        lines.push(line);
    }
}

fn ratio(part: Micros, whole: Micros) -> f64 {
    if whole == Micros::ZERO { 0.0 } else { part.as_secs_f64() / whole.as_secs_f64() }
}

/// How long attempts took, by kind of step.
fn kinds(pen: &Pen<'_>, figures: &Figures, lines: &mut Vec<Line>) {
    if figures.durations.is_empty() {
        return;
    }
    heading(pen, "attempts that succeeded", lines);
    let widest = figures.durations.iter().map(|kind| width(&Safe::line(&kind.kind).into_string())).max().unwrap_or(0);
    let room = widest.clamp(4, KIND);
    let dim = pen.part(Part::Dim);
    lines.push(vec![Piece::new(format!("{:room$}      n   mean    p95    max", "kind"), dim)]);
    for kind in figures.durations.iter().take(KINDS_MAX) {
        let name = Safe::line(&kind.kind).into_string();
        let name = cut_middle(&name, room, pen.theme.ascii);
        let pad = room.saturating_sub(width(&name));
        let times = [kind.mean, kind.p95, kind.max].map(span_fixed).join(" ");
        let n = count(u64::from(kind.count));
        lines.push(vec![Piece::new(format!("{name}{:pad$} {n:>6} {times}", ""), pen.part(Part::Text))]);
    }
    let more = figures.durations.len().saturating_sub(KINDS_MAX);
    if more > 0 {
        lines.push(vec![Piece::new(format!("and {}", plural(more as u64, "more kind")), dim)]);
    }
}
