//! What a plan says of quality: what each output is held against, who measures it, and what follows where it is not met.

use super::format::{fixed, plural, width};
use super::schedule::Expected;
use crate::model::agent::{Agent, AgentKind, Builtin};
use crate::model::id::{Name, StepId};
use crate::model::quality::{COMPLETENESS, DOMAINS, Expect, OnFail, Quality};
use crate::model::safe::Safe;
use crate::model::step::Step;
use crate::model::workflow::Workflow;
use serde_json::{Map, Value, json};

/// The member of an output that scores stand in.
const SCORES: &str = "scores";
/// What opens a filter in a text.
const FILTER: &str = "${{";

/// Where a score comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    /// It is measured here, by the schema.
    Schema,
    /// The output brings it along.
    Output,
    /// Nothing gives it, as far as can be seen.
    Nobody,
}

/// A score and the least that it has to be.
#[derive(Clone, Debug)]
struct Threshold {
    score: Name,
    least: f64,
    source: Source,
}

/// What one step's output is held against.
#[derive(Clone, Debug)]
pub(super) struct Expectation {
    pub(super) step: StepId,
    domain: Option<Name>,
    thresholds: Vec<Threshold>,
    schema: bool,
    asserts: usize,
    on_fail: OnFail,
    retries: u32,
}

/// The expectations of a workflow, in the order of the file.
pub(super) fn expectations(workflow: &Workflow, expected: &Expected) -> Vec<Expectation> {
    let of = |id: StepId| {
        let step = workflow.step(id);
        let expect = step.expect.as_deref()?;
        let agents: Vec<&Agent> = expected.works.capable(id).iter().map(|&at| &workflow.agents[at]).collect();
        let thresholds = expect.quality.as_ref().map_or_else(Vec::new, |quality| thresholds(quality, step, &agents));
        Some(Expectation {
            step: id,
            domain: expect.quality.as_ref().map(|quality| quality.domain.clone()),
            thresholds,
            schema: expect.schema.is_some(),
            asserts: expect.assert.len(),
            on_fail: expect.on_fail,
            retries: step.retry.limit,
        })
    };
    workflow.step_ids().filter_map(of).collect()
}

/// What is declared, then what holds for the domain where nothing is.
fn thresholds(quality: &Quality, step: &Step, agents: &[&Agent]) -> Vec<Threshold> {
    let mut all: Vec<(Name, f64)> = quality.thresholds.iter().map(|(score, least)| (score.clone(), *least)).collect();
    if let Some((_, completeness, accuracy)) = DOMAINS.iter().find(|(domain, ..)| *domain == &*quality.domain) {
        for (score, least) in [(COMPLETENESS, *completeness), ("accuracy", *accuracy)] {
            if !quality.thresholds.contains_key(score) {
                all.push((score.into(), least));
            }
        }
    }
    let with = |(score, least): (Name, f64)| {
        let source = source(&score, step, agents);
        Threshold { score, least, source }
    };
    all.into_iter().map(with).collect()
}

fn source(score: &str, step: &Step, agents: &[&Agent]) -> Source {
    let has_schema = step.expect.as_deref().is_some_and(|expect: &Expect| expect.schema.is_some());
    if score == COMPLETENESS && has_schema {
        Source::Schema
    } else if agents.is_empty() || agents.iter().any(|agent| may_score(score, step, agent)) {
        Source::Output
    } else {
        Source::Nobody
    }
}

/// Whether an agent's output may hold a score. Only of simulated agents, and of the echo, it is known what they return.
fn may_score(score: &str, step: &Step, agent: &Agent) -> bool {
    let returned = match &agent.kind {
        AgentKind::Simulated(simulated) => simulated.output(step.action.as_deref()),
        AgentKind::Builtin { builtin: Builtin::Echo } => None,
        AgentKind::Builtin { .. } | AgentKind::Process(_) => return true,
    };
    let holds = |scores: &Value| scores.get(score).is_some() || is_computed(scores);
    match returned {
        Some(output) => is_computed(output) || output.get(SCORES).is_some_and(holds),
        // It returns its input.
        None => step.input.iter().any(|input| input.key == SCORES) || step.with.get(SCORES).is_some_and(holds),
    }
}

fn is_computed(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.contains(FILTER))
}

impl Expectation {
    /// Whether it depends on a score that nobody measures.
    pub(super) fn is_unmeasured(&self) -> bool {
        self.thresholds.iter().any(|threshold| threshold.source == Source::Nobody)
    }

    /// For machines.
    pub(super) fn json(&self) -> Value {
        let thresholds: Map<String, Value> =
            self.thresholds.iter().map(|threshold| (threshold.score.to_string(), json!(threshold.least))).collect();
        let unmeasured = self.thresholds.iter().filter(|threshold| threshold.source == Source::Nobody);
        json!({
            "domain": self.domain,
            "thresholds": thresholds,
            "schema": self.schema,
            "assert": self.asserts,
            "on_fail": match self.on_fail {
                OnFail::Retry => "retry",
                OnFail::Fail => "fail",
                OnFail::Warn => "warn",
            },
            "retries": if self.on_fail == OnFail::Retry { self.retries } else { 0 },
            "unmeasured": unmeasured.map(|threshold| &*threshold.score).collect::<Vec<_>>(),
        })
    }

    /// The cells of its row: step, domain, thresholds, what else holds, what follows; safe to print.
    fn cells(&self, workflow: &Workflow) -> [String; 5] {
        let or_none = |text: String| if text.is_empty() { "–".to_owned() } else { text };
        let threshold = |threshold: &Threshold| {
            let from = match threshold.source {
                Source::Schema => " (by the schema)",
                Source::Output => "",
                Source::Nobody => " (nobody measures it)",
            };
            format!("{} ≥ {}{from}", Safe::line(&threshold.score), threshold.least)
        };
        let thresholds: Vec<String> = self.thresholds.iter().map(threshold).collect();
        let mut checks = Vec::new();
        if self.schema {
            checks.push("schema".to_owned());
        }
        if self.asserts > 0 {
            checks.push(plural(self.asserts as u64, "assertion"));
        }
        let unmet = match self.on_fail {
            OnFail::Retry if self.retries > 0 => format!("tried again, at most {}", times(self.retries)),
            OnFail::Retry | OnFail::Fail => "the attempt fails, no other follows".to_owned(),
            OnFail::Warn => "it is said, the output stands".to_owned(),
        };
        let domain = self.domain.as_deref().map_or(String::new(), |domain| Safe::line(domain).into_string());
        let step = Safe::line(&workflow.step(self.step).id).into_string();
        [step, or_none(domain), or_none(thresholds.join(", ")), or_none(checks.join(", ")), unmet]
    }
}

fn times(count: u32) -> String {
    if count == 1 { "once".to_owned() } else { format!("{count} times") }
}

/// A table for people, a line a step below its heading; empty where nothing is expected.
pub(super) fn table(workflow: &Workflow, expectations: &[Expectation]) -> Vec<String> {
    if expectations.is_empty() {
        return Vec::new();
    }
    let heading = ["step", "domain", "at least", "checked", "where it is not met"].map(str::to_owned);
    let rows: Vec<[String; 5]> =
        std::iter::once(heading).chain(expectations.iter().map(|expectation| expectation.cells(workflow))).collect();
    let widths: Vec<usize> = (0..5).map(|at| rows.iter().map(|row| width(&row[at])).max().unwrap_or(0)).collect();
    let line = |row: &[String; 5]| {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| fixed(cell, *width, false)).collect();
        cells.join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    fn expecting(schema: bool, scores: &[(&str, f64)], output: Value) -> Workflow {
        let mut workflow = sample::workflow();
        let thresholds = scores.iter().map(|(score, least)| ((*score).into(), *least)).collect();
        let quality = Some(Quality { domain: "house style".into(), thresholds });
        let schema = schema.then(|| json!({"required": ["text"]}));
        let expect = Expect { schema, assert: Vec::new(), quality, on_fail: OnFail::Retry };
        workflow.steps[1].expect = Some(Box::new(expect));
        let AgentKind::Simulated(simulated) = &mut workflow.agents[1].kind else { unreachable!("they all are") };
        simulated.default.output = Some(output);
        workflow
    }

    fn of(workflow: &Workflow) -> Vec<Expectation> {
        expectations(workflow, &Expected::of(workflow, &sample::shape(workflow)))
    }

    #[test]
    fn a_score_that_neither_schema_nor_output_gives_is_measured_by_nobody() {
        let accuracy: &[(&str, f64)] = &[("accuracy", 0.8)];
        let unmeasured = |workflow: &Workflow| of(workflow)[0].is_unmeasured();
        assert!(unmeasured(&expecting(true, accuracy, json!({"text": "x"}))));
        assert!(unmeasured(&expecting(true, accuracy, json!({"scores": {"clarity": 1}}))));
        assert!(!unmeasured(&expecting(false, accuracy, json!({"scores": {"accuracy": 0.1}}))));
        assert!(!unmeasured(&expecting(false, accuracy, json!("${{ .made }}"))));
        assert!(unmeasured(&expecting(false, &[(COMPLETENESS, 0.8)], json!({}))));
        assert!(!unmeasured(&expecting(true, &[(COMPLETENESS, 0.8)], json!({}))));
    }

    #[test]
    fn thresholds_of_a_known_domain_hold_where_none_is_declared() {
        let mut workflow = expecting(true, &[("accuracy", 0.99)], json!({}));
        workflow.steps[1].expect.as_mut().unwrap().quality.as_mut().unwrap().domain = "technical".into();
        let json = of(&workflow)[0].json();
        assert_eq!(json["thresholds"], json!({"accuracy": 0.99, "completeness": 0.95}));
        assert_eq!(json["unmeasured"], json!(["accuracy"]));
    }

    #[test]
    fn the_table_says_what_is_held_against_what_and_what_follows() {
        let workflow = expecting(true, &[(COMPLETENESS, 0.9), ("accuracy", 0.8)], json!({}));
        let table = table(&workflow, &of(&workflow));
        assert_eq!(table.len(), 2);
        assert!(table[0].starts_with("step       domain       at least"), "{}", table[0]);
        let row = "technical  house style  completeness ≥ 0.9 (by the schema), accuracy ≥ 0.8 (nobody measures it)  \
                   schema   tried again, at most 2 times";
        assert_eq!(table[1], row);
        assert!(super::table(&workflow, &[]).is_empty());
    }
}
