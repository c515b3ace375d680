//! The plan of a workflow before it runs: levels, critical path, slack, times, who does what, and what could go wrong.

use super::plain::{duration, list};
use super::play::{play, strategy};
use super::schedule::{Expected, capable};
use super::what_if::{More, WhatIf};
use crate::model::agent::AgentKind;
use crate::model::id::StepId;
use crate::model::policy::{Mode, Resources};
use crate::model::safe::Safe;
use crate::model::step::NeedOn;
use crate::model::time::Micros;
use crate::model::view::Shape;
use crate::model::workflow::Workflow;
use indexmap::IndexMap;
use serde_json::{Map, Value, json};

/// Names shown of a long list.
const NAMES_SHOWN: usize = 8;

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
    parallel: Micros,
    most: u32,
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

/// Something that could go wrong, or that the times above do not know.
#[derive(Clone, Debug)]
struct Risk {
    kind: &'static str,
    steps: Vec<StepId>,
    message: String,
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
        let risks = risks(workflow, &expected, &resources);
        let what_if = Vec::new();
        Self { workflow, expected, levels, strategy, reason, sequential, parallel: played.time, most: played.most, resources, risks, what_if }
    }

    /// Adds what more agents would change: each by itself, and all together.
    ///
    /// # Errors
    /// If no step asks for a capability.
    pub fn think_of(&mut self, shape: &Shape, more: &[More]) -> Result<(), String> {
        let each = more.chunks(1).chain((more.len() > 1).then_some(more));
        self.what_if =
            each.map(|more| WhatIf::new(self.workflow, shape, more, self.parallel)).collect::<Result<_, _>>()?;
        Ok(())
    }

    fn name(&self, id: StepId) -> &str {
        &self.workflow.step(id).id
    }

    fn names(&self, ids: &[StepId]) -> Vec<&str> {
        ids.iter().map(|&id| self.name(id)).collect()
    }

    /// The share of the sequential time that is saved.
    fn saved(&self) -> f64 {
        let sequential = self.sequential;
        if sequential == Micros::ZERO { 0.0 } else { 1.0 - self.parallel.as_secs_f64() / sequential.as_secs_f64() }
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
            .map(|risk| json!({"kind": risk.kind, "steps": self.names(&risk.steps), "message": risk.message}))
            .collect();
        let mut plan = json!({
            "levels": self.levels.iter().map(|level| self.names(level)).collect::<Vec<_>>(),
            "critical_path": self.names(&self.expected.critical_path),
            "critical_path_s": self.expected.critical_time.as_secs_f64(),
            "sequential_s": self.sequential.as_secs_f64(),
            "parallel_s": self.parallel.as_secs_f64(),
            "saved": self.saved(),
            "slack": slack,
            "strategy": self.strategy.word(),
            "reason": self.reason,
            "resources": resources,
            "quality": {},
            "risks": risks,
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
        let path = arrows(&self.names(&self.expected.critical_path));
        row("critical path", format!("{}, {path}", duration(self.expected.critical_time)));
        row("sequential", format!("{} one after the other", duration(self.sequential)));
        let (time, saved) = (duration(self.parallel), self.saved() * 100.0);
        row(self.strategy.word(), format!("{time} on these agents, at most {} at once; {saved:.0} % saved", self.most));
        row("order", Safe::line(&self.reason).into_string());
        for (at, (name, resource)) in self.resources.iter().enumerate() {
            row(if at == 0 { "agents" } else { "" }, self.resource_text(name, resource));
        }
        for (at, what_if) in self.what_if.iter().enumerate() {
            row(if at == 0 { "what if" } else { "" }, what_if.text());
        }
        for (at, risk) in self.risks.iter().enumerate() {
            let steps: Vec<String> = self.names(&risk.steps).iter().map(|&name| name.to_owned()).collect();
            row(if at == 0 { "risks" } else { "" }, format!("{}: {}", Safe::line(&risk.message), list(&steps)));
        }
        out
    }

    fn level_text(&self, level: &[StepId]) -> String {
        let mut shown: Vec<String> = level
            .iter()
            .take(NAMES_SHOWN)
            .map(|&id| {
                let at = id.index();
                let time = if self.expected.works.known[at] { duration(self.expected.time[at]) } else { "?".to_owned() };
                let slack = self.expected.slack[at];
                let spare =
                    if slack == Micros::ZERO { String::new() } else { format!(", {} to spare", duration(slack)) };
                format!("{} ({time}{spare})", Safe::line(self.name(id)))
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
    for id in workflow.step_ids().filter(|&id| !workflow.step(id).is_approval()) {
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

fn risks(workflow: &Workflow, expected: &Expected, resources: &IndexMap<String, Resource>) -> Vec<Risk> {
    let which = |test: &dyn Fn(StepId) -> bool| workflow.step_ids().filter(|&id| test(id)).collect::<Vec<_>>();
    let lonely = which(&|id| {
        let step = workflow.step(id);
        let Some(resource) = resources.get(step.asks_for()) else { return false };
        let only = resource.agents.len() + resource.backups.len() == 1;
        let breakable =
            resource.agents.iter().all(|&at| !matches!(workflow.agents[at].kind, AgentKind::Builtin { .. }));
        only && breakable && step.fallback.is_empty()
    });
    let one_try = which(&|id| {
        let step = workflow.step(id);
        step.critical && !step.is_approval() && step.retry.limit == 0 && step.fallback.is_empty()
    });
    let too_short = which(&|id| {
        let at = id.index();
        expected.works.known[at] && workflow.step(id).timeout.is_some_and(|timeout| timeout <= expected.time[at])
    });
    let limited = which(&|id| expected.works.capable(id).iter().any(|&at| workflow.agents[at].rate_limit.is_some()));
    let late = workflow.limits.deadline.is_some_and(|deadline| deadline < expected.critical_time);
    let candidates = [
        ("timeout", too_short, "expected to take longer than the timeout allows"),
        (
            "deadline",
            if late { expected.critical_path.clone() } else { Vec::new() },
            "the critical path is longer than `limits.deadline`",
        ),
        ("single_agent", lonely, "only one agent can do it and there is no fallback"),
        ("single_try", one_try, "critical, with neither retry nor fallback"),
        ("approval", which(&|id| workflow.step(id).is_approval()), "a person decides: counted as no time"),
        ("rate_limit", limited, "an agent takes only so many calls in a time: not counted"),
        ("no_estimate", which(&|id| !expected.works.known[id.index()]), "no `estimate`: counted as 1 s"),
        (
            "conditional",
            which(&|id| {
                !expected.works.runs[id.index()] && workflow.step(id).needs.iter().any(|need| need.on == NeedOn::Failed)
            }),
            "only runs when what it needs fails; not counted",
        ),
    ];
    candidates
        .into_iter()
        .filter(|(_, steps, _)| !steps.is_empty())
        .map(|(kind, steps, message)| Risk { kind, steps, message: message.to_owned() })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::policy::RateLimit;
    use crate::model::step::Work;
    use crate::report::sample;

    #[test]
    fn the_plan_for_machines_has_the_members_of_the_contract() {
        let workflow = sample::workflow();
        let shape = sample::shape(&workflow);
        let json = Plan::new(&workflow, &shape).json();
        let keys: Vec<&String> = json.as_object().unwrap().keys().collect();
        let expected = "levels critical_path critical_path_s sequential_s parallel_s saved slack strategy reason \
                        resources quality risks";
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
    fn a_persons_answer_and_rate_limits_are_risks_and_ask_for_no_agents() {
        let mut workflow = sample::workflow();
        workflow.steps[3].work = Work::Approval { prompt: "?".to_owned(), timeout: None, default: None };
        workflow.steps[3].critical = true;
        workflow.agents[0].rate_limit = Some(RateLimit { calls: 1, per: Micros::from_secs(1) });
        let shape = sample::shape(&workflow);
        let plan = Plan::new(&workflow, &shape);
        let json = plan.json();
        let risk = |kind: &str| {
            let found = json["risks"].as_array().unwrap().iter().find(|risk| risk["kind"] == kind);
            found.map(|risk| risk["steps"].clone())
        };
        assert_eq!((risk("approval"), risk("rate_limit")), (Some(json!(["risk"])), Some(json!(["market"]))));
        assert_eq!(risk("single_agent"), Some(json!(["market", "technical", "sentiment", "decision"])));
        assert_eq!((risk("single_try"), risk("no_estimate")), (None, None));
        let asked: Vec<&String> = json["resources"].as_object().unwrap().keys().collect();
        assert_eq!(asked, ["data", "tech", "senti", "decide"]);
        assert_eq!((&json["critical_path_s"], &json["parallel_s"]), (&json!(7.0), &json!(7.0)));
        assert!(plan.text().contains("a person decides: counted as no time: risk"), "{}", plan.text());
    }

    #[test]
    fn what_could_go_wrong_is_named() {
        let mut workflow = sample::workflow();
        workflow.steps[0].timeout = Some(Micros::from_secs(1));
        workflow.steps[1].estimate = None;
        workflow.agents.clear();
        workflow.limits.deadline = Some(Micros::from_secs(2));
        workflow.steps[2].needs[0].on = NeedOn::Failed;
        let shape = sample::shape(&workflow);
        let plan = Plan::new(&workflow, &shape).json();
        let kinds: Vec<&str> = plan["risks"].as_array().unwrap().iter().map(|r| r["kind"].as_str().unwrap()).collect();
        assert_eq!(kinds, ["timeout", "deadline", "no_estimate", "conditional"]);
    }
}
