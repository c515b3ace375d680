//! A saved run, whole: where it stands, each of its steps, what failed, how to go on.

use super::asks::{Ask, asks, lines};
use super::events::Names;
use super::format::width;
use super::look;
use super::plain::{duration, message, waits};
use super::result;
use super::summary::{failures, steps};
use super::ways::Ways;
use super::when::{ago, utc};
use crate::model::id::Name;
use crate::model::safe::Safe;
use crate::model::state::{BreakerState, StepState};
use crate::model::time::Micros;
use crate::model::view::{AgentView, CheckpointView, RunSummary, RunView, StepView};
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

/// How a checkpoint is called on the command line.
#[must_use]
pub fn checkpoint_name(number: u32) -> String {
    format!("checkpoint-{number}")
}

/// Lines under a title; nothing where there are none.
fn section(title: &str, lines: Vec<String>) -> String {
    if lines.is_empty() {
        return String::new();
    }
    let lines: String = lines.into_iter().map(|line| format!("  {line}\n")).collect();
    format!("\n{title}\n{lines}")
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
        out += &section("waiting", self.waiting());
        out += &section("asked", lines(&self.asks()));
        out += &section("agents", self.troubled());
        out += &section("checkpoints", self.checkpoints());
        out += &failures(self.summary);
        out
    }

    fn names(&self) -> Names {
        Names::of(self.run, self.agents)
    }

    /// What a run that goes on asks.
    fn asks(&self) -> Vec<Ask> {
        if self.run.state.ended() { Vec::new() } else { asks(self.run, self.ways) }
    }

    /// Steps that wait, each with the reason and the time.
    fn waiting(&self) -> Vec<String> {
        let names = self.names();
        let steps = self.run.workflow.steps.iter().zip(&self.run.steps);
        let waiting = steps.filter_map(|(spec, step)| Some((spec, step.wait.as_ref()?)));
        waiting
            .map(|(spec, (why, until))| format!("{} {}", Safe::line(&spec.id), waits(why, *until, &names, self.now)))
            .collect()
    }

    /// Agents that take no work, or not all of it.
    fn troubled(&self) -> Vec<String> {
        let rest = |at: Micros| duration(at.saturating_sub(self.now));
        let mut lines = Vec::new();
        for agent in self.agents {
            let name = Safe::line(&agent.name);
            if let Some(broken) = &agent.broken {
                let healing = broken.until.map_or(String::new(), |at| format!(", heals in {}", rest(at)));
                lines.push(format!("{name} takes no work: {}{healing}", message(&broken.reason)));
            }
            match agent.breaker {
                None | Some(BreakerState::Closed) => {}
                Some(BreakerState::Open { until, .. }) => {
                    lines.push(format!("{name}: its breaker is open, a probe in {}", rest(until)));
                }
                Some(breaker) => lines.push(format!("{name}: its breaker is {}", breaker.word())),
            }
            if let Some(until) = agent.parked.filter(|until| *until > self.now) {
                lines.push(format!("{name} takes no calls for {}", rest(until)));
            }
        }
        lines
    }

    fn checkpoints(&self) -> Vec<String> {
        let (names, start) = (self.names(), self.run.started.unwrap_or_default());
        let line = |checkpoint: &CheckpointView| {
            let at = duration(checkpoint.at.saturating_sub(start));
            format!("{}, before {}, +{at}", checkpoint_name(checkpoint.number), Safe::line(names.step(checkpoint.step)))
        };
        self.run.checkpoints.iter().map(line).collect()
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
            members.insert("agents".to_owned(), self.agents.iter().map(|agent| self.agent_json(agent)).collect());
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
            "frozen": self.run.frozen,
            "checkpoints": self.checkpoints_json(),
            "asks": self.asks().iter().map(ask_json).collect::<Value>(),
        })
    }

    fn checkpoints_json(&self) -> Value {
        let (names, start) = (self.names(), self.run.started.unwrap_or_default());
        let checkpoints = self.run.checkpoints.iter().map(|checkpoint| {
            json!({
                "checkpoint": checkpoint_name(checkpoint.number),
                "step": names.step(checkpoint.step),
                "at_s": checkpoint.at.saturating_sub(start).as_secs_f64(),
            })
        });
        checkpoints.collect()
    }

    fn agent_json(&self, agent: &AgentView) -> Value {
        let start = self.run.started.unwrap_or_default();
        let since = |at: Micros| at.saturating_sub(start).as_secs_f64();
        let breaker_until = match agent.breaker {
            Some(BreakerState::Open { until, .. }) => Some(since(until)),
            _ => None,
        };
        json!({
            "agent": &*agent.name,
            "kind": agent.kind,
            "broken": agent.broken.as_ref().map(|broken| &broken.reason),
            "broken_until_s": agent.broken.as_ref().and_then(|broken| broken.until).map(since),
            "breaker": agent.breaker.map(BreakerState::word),
            "breaker_until_s": breaker_until,
            "parked_until_s": agent.parked.map(since),
            "succeeded": agent.succeeded,
            "failed": agent.failed,
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
            "waits_until_s": since(step.wait.as_ref().and_then(|(_, until)| *until)),
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

fn ask_json(ask: &Ask) -> Value {
    json!({"step": ask.step, "what": ask.what, "command": ask.command})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::id::{AgentId, StepId};
    use crate::model::state::{Broken, WaitReason};
    use crate::report::sample;

    #[test]
    fn what_a_run_waits_for_is_shown_with_the_time_left() {
        let second = Micros::from_secs;
        let mut run = sample::run(&sample::workflow());
        let backoff = WaitReason::Backoff { retry: 1, limit: 2 };
        (run.steps[1].state, run.steps[1].wait) = (StepState::Waiting, Some((backoff, Some(second(7)))));
        (run.steps[2].state, run.steps[2].wait) = (StepState::Waiting, Some((WaitReason::Approval, None)));
        run.checkpoints = vec![CheckpointView { number: 1, step: StepId(3), at: second(3) }];
        run.question = Some((1, 2));
        let mut agents = [sample::agent_view("a\u{1b}[2J"), sample::agent_view("b")];
        agents[0].broken =
            Some(Broken { reason: "gone".into(), injected: false, since: second(1), until: Some(second(9)) });
        agents[1].id = AgentId(1);
        agents[1].breaker = Some(BreakerState::Open { until: second(6), cooldown: second(10) });
        agents[1].parked = Some(second(8));
        let summary = sample::summary();
        let ways = Ways::default();
        let shown = Shown {
            run: &run,
            agents: &agents,
            summary: &summary,
            now: second(5),
            interrupted: false,
            live: true,
            pid: None,
            began_unix_ms: 0,
            clock: "real",
            from: None,
            ways: &ways,
        };
        let text = shown.text(0);
        let sections = "\nwaiting\n  technical waits 2.0 s before retry 1 of 2\n  sentiment waits for a person's yes or no\n\
                        \nasked\n  sentiment asks: yes or no?\n    answer with: upbeat answer r1 sentiment approve|reject\n  \
                        the run asks: 1 of 2 steps succeeded, fewer than it declares; will that do?\n    \
                        answer with: upbeat answer r1 run approve|reject\n\
                        \nagents\n  a takes no work: gone, heals in 4.0 s\n  b: its breaker is open, a probe in 1.0 s\n  \
                        b takes no calls for 3.0 s\n\
                        \ncheckpoints\n  checkpoint-1, before risk, +3.0 s\n";
        assert!(text.ends_with(sections), "{text}");
        let document = shown.document();
        assert_eq!(document["steps"][1]["waits_until_s"], 7.0);
        assert_eq!(document["run"]["checkpoints"][0]["checkpoint"], "checkpoint-1");
        assert_eq!(document["run"]["asks"][1]["step"], Value::Null);
        assert_eq!(
            (&document["agents"][1]["breaker"], &document["agents"][1]["breaker_until_s"]),
            (&json!("open"), &json!(6.0))
        );
    }
}
