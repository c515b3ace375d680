//! A saved run, whole: where it stands, each of its steps, what failed, how to go on.

use super::format::width;
use super::look;
use super::plain::duration;
use super::result;
use super::summary::{failures, steps};
use super::ways::Ways;
use super::when::{ago, utc};
use crate::model::id::Name;
use crate::model::safe::Safe;
use crate::model::state::StepState;
use crate::model::time::Micros;
use crate::model::view::{AgentView, RunSummary, RunView, StepView};
use serde_json::{Value, json};

/// Everything there is to show.
#[derive(Debug)]
pub struct Shown<'a> {
    /// The run.
    pub run: &'a RunView,
    /// Its agents.
    pub agents: &'a [AgentView],
    /// Its numbers.
    pub summary: &'a RunSummary,
    /// The time of the run's clock.
    pub now: Micros,
    /// Whether it was under way and nobody carries it on.
    pub interrupted: bool,
    /// Whether a process carries it on, and which.
    pub live: bool,
    /// The process.
    pub pid: Option<u32>,
    /// When it was begun, milliseconds since 1970.
    pub began_unix_ms: u64,
    /// The word of its clock.
    pub clock: &'a str,
    /// The run that it is a rerun of.
    pub from: Option<&'a Name>,
    /// How commands name it.
    pub ways: &'a Ways,
}

impl Shown<'_> {
    fn state(&self) -> (char, &'static str) {
        let look = look::run(self.run.state);
        if self.interrupted { ('?', "interrupted") } else { (look.glyph, look.word) }
    }

    /// What resumes exactly this state of it.
    fn token(&self) -> String {
        format!("{}@{}", self.run.name, self.run.seq)
    }

    fn onward(&self) -> Option<String> {
        if self.live { None } else { self.ways.onward(self.summary) }
    }

    /// The page for people, safe to print. `unix_now`: milliseconds since 1970.
    #[must_use]
    pub fn text(&self, unix_now: u64) -> String {
        let (sign, word) = self.state();
        let mut out =
            format!("{}  {}  {sign} {word}\n\n", Safe::line(&self.run.name), Safe::line(&self.run.workflow.id));
        let mut row = |label: &str, text: &str| out += &format!("  {label:<11}{text}\n");
        row("begun", &format!("{} ({})", ago(self.began_unix_ms, unix_now), utc(self.began_unix_ms)));
        if let Some(from) = self.from {
            row("rerun of", Safe::line(from).as_str());
        }
        row("steps", &steps(self.summary));
        row("time", &self.time());
        row("seed", &format!("{}, {} clock", self.summary.seed, self.clock));
        match (self.live, self.pid) {
            (true, Some(pid)) => row("carried on", &format!("by process {pid}")),
            (true, None) => row("carried on", "by another process"),
            (false, _) if self.run.state.ended() => {}
            (false, _) => row("token", Safe::line(&self.token()).as_str()),
        }
        if let Some(command) = self.onward() {
            row(if self.run.state.ended() { "try again" } else { "go on" }, &command);
        }
        out.push('\n');
        out += &self.table();
        out += &failures(self.summary);
        out
    }

    /// What failed, and what to do about it.
    #[must_use]
    pub fn failures(&self) -> String {
        let mut text = failures(self.summary).trim_start().to_owned();
        if text.is_empty() {
            return format!("nothing of run {} failed for good\n", Safe::line(&self.run.name));
        }
        if let Some(command) = self.onward() {
            text += &format!("\n{}: {command}\n", if self.run.state.ended() { "try again" } else { "go on" });
        }
        text
    }

    fn time(&self) -> String {
        let Some(start) = self.run.started else { return "not started".to_owned() };
        let took = duration(self.run.ended.unwrap_or(self.now).saturating_sub(start));
        match self.run.eta.filter(|_| self.live) {
            Some(eta) => format!("{took} so far, about {} to go", duration(eta)),
            None => took,
        }
    }

    /// A line per step.
    fn table(&self) -> String {
        let mut rows = vec![["step", "state", "attempts", "agent", "began", "took"].map(str::to_owned)];
        rows.extend(self.run.workflow.steps.iter().zip(&self.run.steps).map(|(spec, step)| self.cells(&spec.id, step)));
        let widths: Vec<usize> = (0..6).map(|at| rows.iter().map(|row| width(&row[at])).max().unwrap_or(0)).collect();
        let mut out = String::new();
        for row in rows {
            let cells = row.iter().zip(&widths);
            let line: String =
                cells.map(|(cell, wide)| format!("{cell}{}", " ".repeat(wide - width(cell) + 2))).collect();
            out += &format!("  {}\n", line.trim_end());
        }
        out
    }

    fn cells(&self, id: &str, step: &StepView) -> [String; 6] {
        let look = look::step(step.state);
        let mark = if step.injected { format!(" {}", look::INJECTED.glyph) } else { String::new() };
        let lost = if self.lost(step) { ", interrupted" } else { "" };
        let start = self.run.started.unwrap_or_default();
        let end = step.ended.or_else(|| step.state.active().then_some(self.now));
        let took = step.started.zip(end).map_or(String::new(), |(from, to)| duration(to.saturating_sub(from)));
        [
            Safe::line(id).into_string(),
            format!("{} {}{mark}{lost}", look.glyph, look.word),
            if step.attempts == 0 { String::new() } else { step.attempts.to_string() },
            self.agent(step).map_or(String::new(), |agent| Safe::line(agent).into_string()),
            step.started.map_or(String::new(), |at| format!("+{}", duration(at.saturating_sub(start)))),
            took,
        ]
    }

    fn agent(&self, step: &StepView) -> Option<&str> {
        self.agents.get(step.agent?.index()).map(|agent| &*agent.name)
    }

    /// Whether nobody carries on an attempt that was under way.
    fn lost(&self, step: &StepView) -> bool {
        !self.live && step.state.active()
    }

    /// The result document, and what it lacks for a run that may not have ended.
    #[must_use]
    pub fn document(&self) -> Value {
        let tell = if self.live { result::live_document } else { result::document };
        let mut document = tell(self.summary);
        if let Some(members) = document.as_object_mut() {
            members.insert("run".to_owned(), self.run_json());
            let steps = self.run.workflow.steps.iter().zip(&self.run.steps);
            members.insert("steps".to_owned(), steps.map(|(spec, step)| self.step_json(&spec.id, step)).collect());
        }
        document
    }

    fn run_json(&self) -> Value {
        let started = self.run.started;
        json!({
            "state": self.state().1,
            "live": self.live,
            "pid": self.pid,
            "token": self.token(),
            "seq": self.run.seq,
            "began": utc(self.began_unix_ms),
            "clock": self.clock,
            "rerun_of": self.from.map(|from| &**from),
            "done": self.run.counts.ended(),
            "total": self.run.counts.total(),
            "elapsed_s": started.map(|at| self.run.ended.unwrap_or(self.now).saturating_sub(at).as_secs_f64()),
            "eta_s": self.run.eta.filter(|_| self.live).map(Micros::as_secs_f64),
            "command": self.onward(),
        })
    }

    fn step_json(&self, id: &str, step: &StepView) -> Value {
        let start = self.run.started.unwrap_or_default();
        let since = |at: Option<Micros>| at.map(|at| at.saturating_sub(start).as_secs_f64());
        json!({
            "step": id,
            "state": step.state.word(),
            "interrupted": self.lost(step),
            "waits_for": step.wait.as_ref().map(|(why, _)| why.word()),
            "attempts": step.attempts,
            "agent": self.agent(step),
            "began_s": since(step.started),
            "ended_s": since(step.ended),
            "injected": step.injected,
            "failure": step.failure.as_ref().filter(|_| step.state != StepState::Succeeded).map(|failure| {
                json!({"class": failure.class.word(), "message": failure.message, "injected": failure.injected})
            }),
        })
    }
}
