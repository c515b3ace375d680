//! What could go wrong with a run, or is not in the figures of its plan: few things, each with its reason and the way out.

use super::format::plural;
use super::plain::duration;
use super::play::Played;
use super::schedule::Expected;
use crate::model::agent::{Agent, AgentKind, Builtin};
use crate::model::aggregate::Strategy;
use crate::model::id::StepId;
use crate::model::policy::{Mode, OnUnknown, Recovery, RetryPolicy};
use crate::model::safe::Safe;
use crate::model::step::{NeedOn, Step, Work};
use crate::model::time::Micros;
use crate::model::view::Shape;
use crate::model::workflow::Workflow;
use std::collections::BTreeMap;

/// Waits between attempts that are added up one by one; those behind them count as the longest.
const WAITS_COUNTED: u32 = 1_000;

/// Something that could go wrong, or that the times do not know.
#[derive(Clone, Debug)]
pub(super) struct Risk {
    pub(super) kind: &'static str,
    pub(super) steps: Vec<StepId>,
    /// By place in the workflow.
    pub(super) agents: Vec<usize>,
    /// The reason; foreign names in it are not safe to print yet.
    pub(super) message: String,
    pub(super) remedy: &'static str,
}

/// What risks are found in.
#[derive(Clone, Copy)]
pub(super) struct Scene<'a> {
    pub(super) workflow: &'a Workflow,
    pub(super) shape: &'a Shape,
    pub(super) expected: &'a Expected,
    pub(super) strategy: Mode,
    pub(super) played: Played,
    /// Steps held against a score that nobody measures.
    pub(super) unmeasured: &'a [StepId],
}

/// What is declared so that it could go wrong, then what the times do not know.
pub(super) fn risks(scene: Scene<'_>) -> Vec<Risk> {
    let mut risks = times(scene);
    risks.extend(single_agents(scene));
    risks.extend(failures(scene));
    risks.extend(not_counted(scene));
    risks
}

impl Scene<'_> {
    fn which(&self, test: impl Fn(&Step, usize) -> bool) -> Vec<StepId> {
        let holds = |id: &StepId| test(self.workflow.step(*id), id.index());
        self.workflow.step_ids().filter(holds).collect()
    }

    /// One risk of all these steps, if there are any.
    fn of(
        &self,
        kind: &'static str,
        message: &str,
        remedy: &'static str,
        test: impl Fn(&Step, usize) -> bool,
    ) -> Option<Risk> {
        let steps = self.which(test);
        let message = message.to_owned();
        (!steps.is_empty()).then_some(Risk { kind, steps, agents: Vec::new(), message, remedy })
    }

    /// Whether anything real is done: simulated and built-in agents leave nothing behind outside.
    fn is_real(&self, at: usize) -> bool {
        let real = |agent: &Agent| {
            matches!(agent.kind, AgentKind::Process(_) | AgentKind::Builtin { builtin: Builtin::Process })
        };
        let capable = self.expected.works.capable(StepId::from_index(at));
        capable.iter().any(|&agent| real(&self.workflow.agents[agent]))
    }
}

/// What runs into a time that somebody set.
fn times(scene: Scene<'_>) -> Vec<Risk> {
    let Scene { workflow, expected, .. } = scene;
    let mut risks: Vec<Risk> = Vec::new();
    risks.extend(scene.of(
        "timeout",
        "expected to take longer than the timeout allows",
        "raise `timeout`, or correct `estimate`",
        |step, at| expected.works.known[at] && step.timeout.is_some_and(|timeout| timeout <= expected.works.time[at]),
    ));
    if let Some(deadline) = workflow.limits.deadline {
        let late = expected.critical_time > deadline;
        let message = if late {
            Some("the critical path is longer than `limits.deadline`".to_owned())
        } else {
            outlasting(workflow, &expected.critical_path, deadline)
        };
        let (kind, remedy) = if late {
            ("deadline", "raise `limits.deadline`, or shorten the path")
        } else {
            ("retries", "lower `timeout` or `retry` on the path, or raise `limits.deadline`")
        };
        let steps = expected.critical_path.clone();
        risks.extend(message.map(|message| Risk { kind, steps, agents: Vec::new(), message, remedy }));
    }
    risks.extend(scene.of(
        "no_timeout",
        "no timeout: an attempt that hangs keeps its agent for ever",
        "give it a `timeout` or an `idle_timeout`",
        |step, _| step.timeout.is_none() && step.idle_timeout.is_none() && !step.is_approval(),
    ));
    risks
}

/// What the critical path could take with every retry used, where that is past the deadline.
fn outlasting(workflow: &Workflow, path: &[StepId], deadline: Micros) -> Option<String> {
    let steps = || path.iter().map(|id| workflow.step(*id)).filter(|step| !step.is_approval());
    let retried = steps().any(|step| step.retry.limit > 0);
    let mut whole = Micros::ZERO;
    for step in steps() {
        let Some(timeout) = step.timeout else {
            // A step without a timeout has a risk of its own.
            return None;
        };
        let attempts = u64::from(step.retry.limit) + 1;
        whole += Micros(timeout.0.saturating_mul(attempts)) + waits(&step.retry);
    }
    (retried && whole > deadline).then(|| {
        let (whole, deadline) = (duration(whole), duration(deadline));
        format!("with every retry used, each up to its timeout, the critical path takes {whole}, past the deadline of {deadline}")
    })
}

/// The longest that all waits between attempts add up to.
fn waits(retry: &RetryPolicy) -> Micros {
    let counted: Micros = (1..=retry.limit.min(WAITS_COUNTED)).map(|n| retry.wait(n, 1.0)).sum();
    let others = u64::from(retry.limit.saturating_sub(WAITS_COUNTED));
    counted + Micros(retry.max_interval.0.saturating_mul(others))
}

/// Agents that nobody could stand in for, and what waits when one breaks.
fn single_agents(scene: Scene<'_>) -> Vec<Risk> {
    let Scene { workflow, shape, .. } = scene;
    let mut able: BTreeMap<(bool, &str), Vec<usize>> = BTreeMap::new();
    let mut of_agent: BTreeMap<usize, Vec<StepId>> = BTreeMap::new();
    for id in workflow.step_ids() {
        let step = workflow.step(id);
        let by_id = matches!(step.work, Work::Agent { .. });
        let agents = able.entry((by_id, step.asks_for())).or_insert_with(|| {
            let offers = |agent: &Agent| {
                if by_id {
                    *agent.id == *step.asks_for()
                } else {
                    agent.capabilities.iter().any(|own| **own == *step.asks_for())
                }
            };
            (0..workflow.agents.len()).filter(|&at| offers(&workflow.agents[at])).collect()
        });
        if let [only] = agents[..]
            && step.fallback.is_empty()
            && !matches!(workflow.agents[only].kind, AgentKind::Builtin { .. })
        {
            of_agent.entry(only).or_default().push(id);
        }
    }
    let risk = |(agent, steps): (usize, Vec<StepId>)| {
        let behind = behind(shape, &steps);
        let wait = plural(steps.len() as u64, "step");
        let wait = if behind == 0 { wait } else { format!("{wait} and {behind} behind") };
        let message = format!("only `{}` can do it; waiting while it is broken: {wait}", workflow.agents[agent].id);
        let remedy = "add another agent for it, also as `backup: true`, or a `fallback`";
        Risk { kind: "single_agent", steps, agents: vec![agent], message, remedy }
    };
    of_agent.into_iter().map(risk).collect()
}

/// How many further steps come after these.
fn behind(shape: &Shape, steps: &[StepId]) -> usize {
    let mut seen = vec![false; shape.dependents.len()];
    steps.iter().for_each(|id| seen[id.index()] = true);
    let mut open = steps.to_vec();
    let mut found = 0;
    while let Some(id) = open.pop() {
        for next in &shape.dependents[id.index()] {
            if !std::mem::replace(&mut seen[next.index()], true) {
                found += 1;
                open.push(*next);
            }
        }
    }
    found
}

/// What a failure, a crash of upbeat or a missing person would lead to.
fn failures(scene: Scene<'_>) -> Vec<Risk> {
    let Scene { workflow, shape, .. } = scene;
    let mut after_pivot = vec![false; workflow.steps.len()];
    for &id in &shape.order {
        let needs = &workflow.step(id).needs;
        after_pivot[id.index()] =
            needs.iter().any(|need| after_pivot[need.step.index()] || workflow.step(need.step).pivot);
    }
    let rolls_back = workflow.recovery == Recovery::Rollback;
    let risks = [
        scene.of(
            "critical",
            "critical without a fallback: when its attempts are spent the run fails, whatever else succeeds",
            "give it a `fallback`",
            |step, _| step.critical && !step.is_approval() && step.fallback.is_empty(),
        ),
        scene.of(
            "not_undone",
            "done again after a failure, and not undone by a rollback",
            "give it `compensate`, or say `idempotent: true` if doing it twice does no harm",
            |step, at| {
                rolls_back
                    && step.retry.limit > 0
                    && step.on_unknown != OnUnknown::Retry
                    && step.compensate.is_none()
                    && !step.pivot
                    && !after_pivot[at]
                    && !shape.dependents[at].is_empty()
                    && !matches!(step.work, Work::Approval { .. } | Work::Aggregate(_))
            },
        ),
        scene.of(
            "approval",
            "a person decides, without a default: a headless run parks here; counted as no time",
            "`upbeat answer RUN STEP approve`, or give it `timeout` and `default`",
            |step, _| matches!(step.work, Work::Approval { default: None, .. }),
        ),
        scene.of(
            "approval_time",
            "a person is waited for, at most for its `timeout`; counted as no time",
            "add its `timeout` to the times where nobody answers",
            |step, _| matches!(step.work, Work::Approval { default: Some(_), .. }),
        ),
        scene.of(
            "unknown_outcome",
            "if upbeat dies while it runs, nobody knows what it did, and a headless `resume` lets it fail",
            "say `idempotent: true` if doing it twice does no harm, or choose `on_unknown`",
            |step, at| step.on_unknown == OnUnknown::Ask && scene.is_real(at),
        ),
    ];
    risks.into_iter().flatten().collect()
}

/// What the times do not know, or take for granted.
fn not_counted(scene: Scene<'_>) -> Vec<Risk> {
    let Scene { workflow, expected, .. } = scene;
    let works = &expected.works;
    let slots = |at: usize| {
        works.capable(StepId::from_index(at)).iter().map(|&a| u64::from(workflow.agents[a].slots)).sum::<u64>()
    };
    let mut risks = vec![
        scene.of(
            "unmeasured",
            "held against a score that nobody measures: no schema gives it, and the simulated output has no such `scores`",
            "give `expect.schema` for completeness, or `scores` in the output",
            |_, at| scene.unmeasured.contains(&StepId::from_index(at)),
        ),
        scene.of("no_estimate", "no `estimate`: counted as 1 s", "give it an `estimate`", |_, at| !works.known[at]),
        scene.of(
            "conditional",
            "only runs when what it needs fails; not counted",
            "nothing to do: it is there for that case",
            |step, at| !works.runs[at] && step.needs.iter().any(|need| need.on == NeedOn::Failed),
        ),
        scene.of(
            "condition",
            "skipped where its `if` does not hold; counted as done",
            "nothing to do: the run may be shorter",
            |step, _| step.condition.is_some(),
        ),
        scene.of(
            "first",
            "ends with the first of what it takes; counted as if it waited for all",
            "nothing to do: the run may be shorter",
            |step, _| matches!(&step.work, Work::Aggregate(aggregate) if aggregate.strategy == Strategy::First),
        ),
        scene.of(
            "unbounded",
            "`for_each` without `max_parallel`: its items may take every slot of their agents from other steps",
            "give it `max_parallel`",
            |step, at| {
                step.for_each.as_ref().is_some_and(|each| each.max_parallel.is_none())
                    && (expected.times[at] == super::items::Times::Unknown || expected.times[at].at_least() >= slots(at))
            },
        ),
    ];
    let grows = scene.which(|step, _| step.expand.is_some());
    let most: u64 = grows.iter().filter_map(|id| workflow.step(*id).expand.as_ref()).map(|by| u64::from(by.max)).sum();
    if !grows.is_empty() {
        let message = format!("its output may bring steps, {most} at most in all: times are the least");
        let remedy = "lower `expand.max`, or set `limits.deadline`";
        risks.push(Some(Risk { kind: "grows", steps: grows, agents: Vec::new(), message, remedy }));
    }
    risks.into_iter().flatten().collect()
}

impl Risk {
    /// What is wrong, for people, safe to print.
    pub(super) fn words(&self) -> String {
        Safe::line(&self.message).into_string()
    }
}
