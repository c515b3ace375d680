//! The plan of a workflow before it runs: levels, critical path, slack, times, who does what, and what could go wrong.

use super::advice::{Advice, Figures};
use super::expects::{self, Expectation};
use super::items::Times;
use super::plain::{duration, list};
use super::play::{Played, play, strategy};
use super::risks::{Risk, Scene, risks};
use super::schedule::{Expected, capable};
use super::squeeze;
use super::what_if::{More, WhatIf};
use crate::model::id::StepId;
use crate::model::policy::{Mode, Resources};
use crate::model::safe::Safe;
use crate::model::time::Micros;
use crate::model::view::Shape;
use crate::model::workflow::Workflow;
use indexmap::IndexMap;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// Names shown of a long list.
const NAMES_SHOWN: usize = 8;
/// Risks of a kind that are told one by one.
const RISKS_SHOWN: usize = 3;

/// The plan. Times are expectations: from estimates and from what simulated agents have scripted.
#[derive(Clone, Debug)]
pub struct Plan<'a> {
    workflow: &'a Workflow,
    expected: Expected,
    levels: Vec<Vec<StepId>>,
    /// The order of work that is in force, and why, in few words.
    strategy: Mode,
    reason: String,
    sequential: Micros,
    played: Played,
    /// Steps of which the times know only the least.
    at_least: Vec<StepId>,
    advice: Advice,
    quality: Vec<Expectation>,
    resources: IndexMap<String, Resource>,
    risks: Vec<Risk>,
    what_if: Vec<WhatIf>,
}

/// What the steps ask for, and who offers it.
#[derive(Clone, Debug, Default)]
struct Resource {
    steps: usize,
    agents: Vec<usize>,
    backups: Vec<usize>,
    slots: u64,
    busy: Micros,
    limit: Option<u32>,
}

impl<'a> Plan<'a> {
    /// Makes the plan.
    #[must_use]
    pub fn new(workflow: &'a Workflow, shape: &Shape) -> Self {
        let expected = Expected::of(workflow, shape);
        let strategy = strategy(workflow, shape);
        let played = play(workflow, shape, strategy);
        let sequential = play(workflow, shape, Mode::Sequential).time;
        let depth = shape.level.iter().map(|&level| level as usize + 1).max().unwrap_or(0);
        let mut levels = vec![Vec::new(); depth];
        for &id in &shape.order {
            levels[shape.level[id.index()] as usize].push(id);
        }
        let reason = reason(workflow, strategy);
        let resources = resources(workflow, &expected);
        let quality = expects::expectations(workflow, &expected);
        let unmeasured: Vec<StepId> =
            quality.iter().filter(|expectation| expectation.is_unmeasured()).map(|of| of.step).collect();
        let scene = Scene { workflow, shape, expected: &expected, strategy, played, unmeasured: &unmeasured };
        let side_by_side = if strategy == Mode::Parallel { played } else { play(workflow, shape, Mode::Parallel) };
        let advice = Advice::new(Figures {
            independent: squeeze::independent(scene),
            threshold: workflow.parallel_threshold,
            saved: share_saved(sequential, side_by_side.time),
            agents: able(workflow, &expected),
        });
        let mut risks = risks(scene);
        risks.extend(squeeze::risks(scene));
        let (at_least, what_if) = (expected.at_least(workflow), Vec::new());
        Self {
            workflow,
            expected,
            levels,
            strategy,
            reason,
            sequential,
            played,
            at_least,
            advice,
            quality,
            resources,
            risks,
            what_if,
        }
    }

    /// Adds what more agents would change: each by itself, and all together.
    ///
    /// # Errors
    /// If no step asks for a capability.
    pub fn think_of(&mut self, shape: &Shape, more: &[More]) -> Result<(), String> {
        let each = more.chunks(1).chain((more.len() > 1).then_some(more));
        self.what_if =
            each.map(|more| WhatIf::new(self.workflow, shape, more, self.played.time)).collect::<Result<_, _>>()?;
        Ok(())
    }

    fn name(&self, id: StepId) -> &str {
        &self.workflow.step(id).id
    }

    fn names(&self, ids: &[StepId]) -> Vec<&str> {
        ids.iter().map(|&id| self.name(id)).collect()
    }

    /// `at least `, where the times know only the least.
    const fn least(&self) -> &'static str {
        if self.at_least.is_empty() { "" } else { "at least " }
    }

    /// The plan for machines.
    #[must_use]
    pub fn json(&self) -> Value {
        let slack: Map<String, Value> = self
            .workflow
            .step_ids()
            .map(|id| (self.name(id).to_owned(), json!(self.expected.slack[id.index()].as_secs_f64())))
            .collect();
        let resources: Map<String, Value> =
            self.resources.iter().map(|(name, resource)| (name.clone(), self.resource_json(resource))).collect();
        let risks: Vec<Value> = self
            .risks
            .iter()
            .map(|risk| {
                json!({
                    "kind": risk.kind,
                    "steps": self.names(&risk.steps),
                    "agents": self.agent_names(&risk.agents),
                    "message": risk.message,
                    "remediation": risk.remedy,
                })
            })
            .collect();
        let quality: Map<String, Value> = self
            .quality
            .iter()
            .map(|expectation| (self.name(expectation.step).to_owned(), expectation.json()))
            .collect();
        let mut plan = json!({
            "levels": self.levels.iter().map(|level| self.names(level)).collect::<Vec<_>>(),
            "critical_path": self.names(&self.expected.critical_path),
            "critical_path_s": self.expected.critical_time.as_secs_f64(),
            "sequential_s": self.sequential.as_secs_f64(),
            "parallel_s": self.played.time.as_secs_f64(),
            "saved": share_saved(self.sequential, self.played.time),
            "slack": slack,
            "strategy": self.strategy.word(),
            "reason": self.reason,
            "resources": resources,
            "quality": quality,
            "risks": risks,
            "advice": self.advice.json(),
            "advised": self.advice.advised.word(),
            "at_least": self.names(&self.at_least),
        });
        if !self.what_if.is_empty() {
            plan["what_if"] = self.what_if.iter().map(WhatIf::json).collect();
        }
        plan
    }

    fn agent_names(&self, agents: &[usize]) -> Vec<&str> {
        agents.iter().map(|&at| &*self.workflow.agents[at].id).collect()
    }

    fn resource_json(&self, resource: &Resource) -> Value {
        json!({
            "steps": resource.steps,
            "busy_s": resource.busy.as_secs_f64(),
            "agents": self.agent_names(&resource.agents),
            "backups": self.agent_names(&resource.backups),
            "slots": resource.slots,
            "limit": resource.limit,
        })
    }

    /// The plan for people, safe to print, each line ended by a line break.
    #[must_use]
    pub fn text(&self) -> String {
        let workflow = self.workflow;
        let title = workflow.name.as_deref().map_or(String::new(), |name| format!("  {}", Safe::line(name)));
        let mut out = format!("{}{title}\n\n", Safe::line(&workflow.id));
        let mut row = |label: &str, text: String| out += &format!("  {label:13}  {text}\n");
        for (at, level) in self.levels.iter().enumerate() {
            row(if at == 0 { "levels" } else { "" }, format!("{}  {}", at + 1, self.level_text(level)));
        }
        let (path, least) = (arrows(&self.names(&self.expected.critical_path)), self.least());
        row("critical path", format!("{least}{}, {path}", duration(self.expected.critical_time)));
        row("sequential", format!("{least}{} one after the other", duration(self.sequential)));
        let (time, most) = (duration(self.played.time), self.played.most);
        let saved = share_saved(self.sequential, self.played.time) * 100.0;
        row(self.strategy.word(), format!("{least}{time} on these agents, at most {most} at once; {saved:.0} % saved"));
        row("order", Safe::line(&self.reason).into_string());
        for (at, line) in self.advice.lines().into_iter().enumerate() {
            row(if at == 0 { "advised" } else { "" }, line);
        }
        for (at, (name, resource)) in self.resources.iter().enumerate() {
            row(if at == 0 { "agents" } else { "" }, self.resource_text(name, resource));
        }
        for (at, what_if) in self.what_if.iter().enumerate() {
            row(if at == 0 { "what if" } else { "" }, what_if.text());
        }
        for (at, line) in expects::table(workflow, &self.quality).into_iter().enumerate() {
            row(if at == 0 { "quality" } else { "" }, line);
        }
        for (at, line) in self.risk_lines().into_iter().enumerate() {
            row(if at == 0 { "risks" } else { "" }, line);
        }
        out
    }

    /// The risks, each with its way out below it; of a kind only the first few.
    fn risk_lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for of_kind in self.risks.chunk_by(|one, next| one.kind == next.kind) {
            for risk in of_kind.iter().take(RISKS_SHOWN) {
                let steps: Vec<String> = self.names(&risk.steps).iter().map(|&name| name.to_owned()).collect();
                let steps = if steps.is_empty() { String::new() } else { format!(": {}", list(&steps)) };
                lines.push(format!("{}{steps}", risk.words()));
                // The same way leads out of all of a kind.
                if std::ptr::eq(risk, &of_kind[0]) {
                    lines.push(format!("  → {}", risk.remedy));
                }
            }
            if of_kind.len() > RISKS_SHOWN {
                lines
                    .push(format!("and {} more of this kind; `--output json` names them", of_kind.len() - RISKS_SHOWN));
            }
        }
        lines
    }

    fn level_text(&self, level: &[StepId]) -> String {
        let mut shown: Vec<String> = level
            .iter()
            .take(NAMES_SHOWN)
            .map(|&id| {
                let at = id.index();
                let time =
                    if self.expected.works.known[at] { duration(self.expected.time[at]) } else { "?".to_owned() };
                let slack = self.expected.slack[at];
                let spare =
                    if slack == Micros::ZERO { String::new() } else { format!(", {} to spare", duration(slack)) };
                let times = match self.expected.times[at] {
                    Times::Once => String::new(),
                    Times::Items(items) => format!(" for {items} items"),
                    Times::Unknown => " an item".to_owned(),
                };
                format!("{} ({time}{times}{spare})", Safe::line(self.name(id)))
            })
            .collect();
        if level.len() > NAMES_SHOWN {
            shown.push(format!("and {} more", level.len() - NAMES_SHOWN));
        }
        shown.join(" · ")
    }

    fn resource_text(&self, name: &str, resource: &Resource) -> String {
        let agents: Vec<String> = self.agent_names(&resource.agents).iter().map(|&name| name.to_owned()).collect();
        let steps = if resource.steps == 1 { "1 step".to_owned() } else { format!("{} steps", resource.steps) };
        let slots = if resource.slots >= u64::from(crate::model::defaults::BUILTIN_SLOTS) {
            String::new()
        } else {
            format!(" ({} at once)", resource.limit.map_or(resource.slots, |limit| resource.slots.min(limit.into())))
        };
        let backups: Vec<String> = self.agent_names(&resource.backups).iter().map(|&name| name.to_owned()).collect();
        let backup = if backups.is_empty() { String::new() } else { format!(", backup {}", list(&backups)) };
        let who = if agents.is_empty() { "nobody".to_owned() } else { list(&agents) };
        format!("{}: {steps}, {} of work, by {who}{slots}{backup}", Safe::line(name), duration(resource.busy))
    }
}

/// The share of the sequential time that is saved.
fn share_saved(sequential: Micros, time: Micros) -> f64 {
    if sequential == Micros::ZERO { 0.0 } else { 1.0 - time.as_secs_f64() / sequential.as_secs_f64() }
}

/// How many agents can do a step.
fn able(workflow: &Workflow, expected: &Expected) -> usize {
    let able: BTreeSet<usize> = workflow.step_ids().flat_map(|id| expected.works.capable(id).iter().copied()).collect();
    able.len()
}

/// Why the order of work is what it is, for people.
fn reason(workflow: &Workflow, strategy: Mode) -> String {
    let source = &workflow.mode_source;
    match (workflow.mode, strategy) {
        (Mode::Auto, Mode::Sequential) => format!("{source}: auto, and no two steps are independent"),
        (Mode::Auto, _) => {
            format!("{source}: auto, and some steps are independent; load and free agents are looked at when it runs")
        }
        _ => workflow.mode_reason(),
    }
}

fn arrows(names: &[&str]) -> String {
    let safe = |name: &&str| Safe::line(name).into_string();
    if names.len() <= 2 * NAMES_SHOWN {
        return names.iter().map(safe).collect::<Vec<_>>().join(" → ");
    }
    let head: Vec<String> = names[..NAMES_SHOWN].iter().map(safe).collect();
    let tail: Vec<String> = names[names.len() - NAMES_SHOWN..].iter().map(safe).collect();
    format!("{} → … {} more … → {}", head.join(" → "), names.len() - 2 * NAMES_SHOWN, tail.join(" → "))
}

fn resources(workflow: &Workflow, expected: &Expected) -> IndexMap<String, Resource> {
    let mut out: IndexMap<String, Resource> = IndexMap::new();
    for id in workflow.step_ids().filter(|&id| !workflow.step(id).asks_for().is_empty()) {
        let step = workflow.step(id);
        let resource = out.entry(step.asks_for().to_owned()).or_insert_with(|| {
            let agents = capable(workflow, step, Resources::default());
            let slots = agents.iter().map(|&at| u64::from(workflow.agents[at].slots)).sum();
            let spare = |at: &usize| {
                let agent = &workflow.agents[*at];
                agent.backup && !agents.contains(at) && agent.capabilities.iter().any(|c| &**c == step.asks_for())
            };
            let backups = (0..workflow.agents.len()).filter(spare).collect();
            let limit = workflow.limits.capability.get(step.asks_for()).copied();
            Resource { agents, backups, slots, limit, ..Resource::default() }
        });
        resource.steps += 1;
        resource.busy += expected.work(id);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::step::Work;
    use crate::report::sample;

    #[test]
    fn the_plan_for_machines_has_the_members_of_the_contract() {
        let workflow = sample::workflow();
        let shape = sample::shape(&workflow);
        let json = Plan::new(&workflow, &shape).json();
        let keys: Vec<&String> = json.as_object().unwrap().keys().collect();
        let expected = "levels critical_path critical_path_s sequential_s parallel_s saved slack strategy reason \
                        resources quality risks advice advised at_least";
        assert_eq!(keys, expected.split_whitespace().collect::<Vec<_>>());
        assert_eq!(json["levels"], json!([["market"], ["technical", "sentiment"], ["risk"], ["decision"]]));
        assert_eq!(json["critical_path"], json!(["market", "technical", "risk", "decision"]));
        assert_eq!(
            (&json["critical_path_s"], &json["sequential_s"], &json["parallel_s"]),
            (&json!(8.0), &json!(11.0), &json!(8.0))
        );
        assert_eq!(json["slack"]["sentiment"], json!(1.0));
        assert_eq!(json["resources"]["tech"]["agents"], json!(["technical-1"]));
        assert_eq!(json["risks"][0]["kind"], "single_agent");
    }

    #[test]
    fn the_plan_for_people_reads_well() {
        let workflow = sample::workflow();
        let shape = sample::shape(&workflow);
        let text = Plan::new(&workflow, &shape).text();
        assert!(text.starts_with(
            "trading\n\n  levels         1  market (2.0 s)\n                 2  technical (4.0 s) · sentiment (3.0 s, 1.0 s to \
             spare)\n"
        ), "{text}");
        assert!(text.contains("  critical path  8.0 s, market → technical → risk → decision\n"), "{text}");
        assert!(text.contains("  parallel       8.0 s on these agents, at most 2 at once; 27 % saved\n"), "{text}");
        assert!(text.contains("  agents         data: 1 step, 2.0 s of work, by market-1 (1 at once)\n"), "{text}");
    }

    #[test]
    fn an_empty_graph_and_foreign_names_do_no_harm() {
        let mut workflow = sample::workflow();
        workflow.steps[0].id = "a\u{1b}[2J".into();
        let shape = sample::shape(&workflow);
        let text = Plan::new(&workflow, &shape).text();
        assert!(!text.contains('\u{1b}'));
        workflow.steps.clear();
        assert_eq!(Plan::new(&workflow, &Shape::default()).json()["saved"], json!(0.0));
    }

    #[test]
    fn the_plan_says_which_order_is_in_force_and_why() {
        let mut workflow = sample::workflow();
        let shape = sample::shape(&workflow);
        workflow.mode_source = "the file".to_owned();
        let told = |workflow: &Workflow, shape: &Shape| {
            let json = Plan::new(workflow, shape).json();
            [&json["strategy"], &json["reason"]].map(|said| said.as_str().unwrap().to_owned())
        };
        workflow.mode = Mode::Auto;
        let many = "the file: auto, and some steps are independent; load and free agents are looked at when it runs";
        assert_eq!(told(&workflow, &shape), ["parallel", many]);
        assert!(Plan::new(&workflow, &shape).text().contains("\n  parallel       8.0 s on these agents"));
        workflow.steps.truncate(2);
        assert_eq!(
            told(&workflow, &sample::shape(&workflow)),
            ["sequential", "the file: auto, and no two steps are independent"]
        );
        workflow.mode = Mode::Hybrid;
        let levels = "the file: level by level, those of at least 3 steps in parallel";
        assert_eq!(told(&workflow, &sample::shape(&workflow)), ["hybrid", levels]);
    }

    #[test]
    fn a_persons_answer_takes_no_time_and_asks_for_no_agents() {
        let mut workflow = sample::workflow();
        workflow.steps[3].work = Work::Approval { prompt: "?".to_owned(), timeout: None, default: None };
        let json = Plan::new(&workflow, &sample::shape(&workflow)).json();
        let asked: Vec<&String> = json["resources"].as_object().unwrap().keys().collect();
        assert_eq!(asked, ["data", "tech", "senti", "decide"]);
        assert_eq!((&json["critical_path_s"], &json["parallel_s"]), (&json!(7.0), &json!(7.0)));
    }

    #[test]
    fn risks_of_a_kind_are_told_with_one_way_out_and_many_are_counted() {
        let workflow = sample::workflow();
        let text = Plan::new(&workflow, &sample::shape(&workflow)).text();
        let first =
            "  risks          only `market-1` can do it; waiting while it is broken: 1 step and 4 behind: market\n";
        assert!(text.contains(first), "{text}");
        assert_eq!(text.matches("→ add another agent").count(), 1, "{text}");
        assert!(text.contains("and 2 more of this kind; `--output json` names them\n"), "{text}");
    }
}
