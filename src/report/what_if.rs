//! What more agents of a capability would change: the plan played again with them.

use super::plain::duration;
use super::play::{play, strategy};
use super::schedule::Expected;
use crate::model::agent::Agent;
use crate::model::safe::Safe;
use crate::model::time::Micros;
use crate::model::view::Shape;
use crate::model::workflow::Workflow;
use serde_json::{Value, json};
use std::str::FromStr;

/// The most agents that may be thought of at once.
pub const AGENTS_MAX: u32 = 1_000;

/// So many more agents of a capability.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct More {
    /// What they can do.
    pub capability: String,
    /// How many there are more, from 1.
    pub agents: u32,
}

impl FromStr for More {
    type Err = String;

    /// Reads `CAPABILITY=+N`.
    ///
    /// # Errors
    /// What is wrong with it, and what is expected.
    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || format!("expected CAPABILITY=+N with N from 1 to {AGENTS_MAX}, such as search=+1");
        let (capability, number) = text.rsplit_once("=+").ok_or_else(expected)?;
        let agents = number.parse().ok().filter(|agents| (1..=AGENTS_MAX).contains(agents)).ok_or_else(expected)?;
        if capability.is_empty() {
            return Err(expected());
        }
        Ok(Self { capability: capability.to_owned(), agents })
    }
}

/// What they would change.
#[derive(Clone, Debug)]
pub(crate) struct WhatIf {
    more: Vec<More>,
    /// What a run would take without them, and with them.
    before: Micros,
    after: Micros,
    /// No run is shorter than this, however many agents there are.
    critical: Micros,
}

impl WhatIf {
    /// Plays the run with all of `more`.
    ///
    /// # Errors
    /// If no step asks for a capability, or nobody has it whom others could be like.
    pub(crate) fn new(workflow: &Workflow, shape: &Shape, more: &[More], before: Micros) -> Result<Self, String> {
        let mut with = workflow.clone();
        for more in more {
            let like = somebody(workflow, &more.capability)?;
            let others = (1..=more.agents).map(|n| {
                let id = format!("{}+{n}", like.id).into();
                Agent { id, backup: false, capabilities: vec![more.capability.as_str().into()], ..like.clone() }
            });
            with.agents.extend(others);
        }
        let after = play(&with, shape, strategy(&with, shape)).time;
        Ok(Self { more: more.to_vec(), before, after, critical: Expected::of(&with, shape).critical_time })
    }

    /// For machines: times in seconds.
    pub(crate) fn json(&self) -> Value {
        let more: serde_json::Map<String, Value> =
            self.more.iter().map(|more| (more.capability.clone(), json!(more.agents))).collect();
        let saves = self.before.as_secs_f64() - self.after.as_secs_f64();
        json!({"more": more, "parallel_s": self.after.as_secs_f64(), "saves_s": saves})
    }

    /// For people, safe to print.
    pub(crate) fn text(&self) -> String {
        let more: Vec<String> =
            self.more.iter().map(|more| format!("{} +{}", Safe::line(&more.capability), more.agents)).collect();
        let (more, after) = (more.join(" and "), duration(self.after));
        if self.after < self.before {
            let share = (1.0 - self.after.as_secs_f64() / self.before.as_secs_f64()) * 100.0;
            let saves = duration(self.before - self.after);
            format!("{more}: {after} instead of {}, saves {saves} ({share:.0} %)", duration(self.before))
        } else if self.after > self.before {
            // Lists of work are not always shorter with more hands (Graham, 1969): the order changes with them.
            format!("{more}: {after}, {} more: steps come in another order", duration(self.after - self.before))
        } else if self.before <= self.critical {
            format!("{more}: saves nothing: the critical path takes {after}")
        } else {
            format!("{more}: saves nothing: {after}; something else holds the run up")
        }
    }
}

/// Whom more agents of a capability would be like: the first who has it, a backup only where there is nobody else.
fn somebody<'w>(workflow: &'w Workflow, capability: &str) -> Result<&'w Agent, String> {
    if !workflow.steps.iter().any(|step| step.asks_for() == capability) {
        let mut asked: Vec<&str> = workflow.steps.iter().map(|step| step.asks_for()).collect();
        asked.sort_unstable();
        asked.dedup();
        let asked = asked.join(", ");
        return Err(format!("no step asks for {}; they ask for: {}", Safe::line(capability), Safe::line(&asked)));
    }
    let mut able: Vec<&Agent> =
        workflow.agents.iter().filter(|agent| agent.capabilities.iter().any(|own| &**own == capability)).collect();
    able.sort_by_key(|agent| agent.backup);
    able.first()
        .copied()
        .ok_or_else(|| format!("{} is an agent: more are counted for capabilities only", Safe::line(capability)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample::{agent, shape, step};

    /// Three searches of 4 s on one agent, and a summary of 1 s.
    fn searches() -> Workflow {
        let mut steps: Vec<_> = (0..3).map(|at| step(&format!("s{at}"), "search", &[], Some(4))).collect();
        steps.push(step("sum", "write", &[0, 1, 2], Some(1)));
        Workflow::new("searches", vec![agent("finder", "search", 1), agent("writer", "write", 1)], steps)
    }

    fn told(workflow: &Workflow, more: &[&str]) -> String {
        let more: Vec<More> = more.iter().map(|text| text.parse().unwrap()).collect();
        let shape = shape(workflow);
        let before = play(workflow, &shape, strategy(workflow, &shape)).time;
        WhatIf::new(workflow, &shape, &more, before).map_or_else(|error| error, |what_if| what_if.text())
    }

    #[test]
    fn more_agents_save_what_the_run_played_with_them_saves() {
        let workflow = searches();
        assert_eq!(told(&workflow, &["search=+1"]), "search +1: 9.0 s instead of 13.0 s, saves 4.0 s (31 %)");
        assert_eq!(told(&workflow, &["search=+2"]), "search +2: 5.0 s instead of 13.0 s, saves 8.0 s (62 %)");
        assert_eq!(told(&workflow, &["write=+3"]), "write +3: saves nothing: 13.0 s; something else holds the run up");
        let both = told(&workflow, &["search=+2", "write=+1"]);
        assert_eq!(both, "search +2 and write +1: 5.0 s instead of 13.0 s, saves 8.0 s (62 %)");
    }

    #[test]
    fn what_binds_otherwise_is_not_lifted() {
        let mut workflow = searches();
        workflow.limits.max_parallel = Some(1);
        assert!(told(&workflow, &["search=+5"]).contains("something else holds the run up"));
        let alone = Workflow::new("one", vec![agent("finder", "search", 1)], vec![step("s", "search", &[], Some(4))]);
        assert_eq!(told(&alone, &["search=+1"]), "search +1: saves nothing: the critical path takes 4.0 s");
    }

    #[test]
    fn what_nobody_asks_for_and_what_is_no_number_is_refused() {
        let workflow = searches();
        assert_eq!(told(&workflow, &["read=+1"]), "no step asks for read; they ask for: search, write");
        for text in ["search", "search=1", "search=+0", "search=+1001", "=+1", "search=+x", "search=+-1"] {
            assert!(text.parse::<More>().is_err_and(|error| error.contains("CAPABILITY=+N")), "{text}");
        }
        assert_eq!("a=+b=+2".parse(), Ok(More { capability: "a=+b".to_owned(), agents: 2 }));
    }
}
