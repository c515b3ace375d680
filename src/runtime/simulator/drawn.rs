//! Workflows drawn from a seed: agents, steps, and what is declared about them.
//!
//! Each kind of policy is on in some worlds and off in others, so that each is seen alone, and all together now and then.

use crate::model::agent::{Agent, AgentKind, Simulated};
use crate::model::expression::Expression;
use crate::model::id::{Name, StepId};
use crate::model::mapping::{InputMapping, OutputMapping};
use crate::model::path::Path;
use crate::model::policy::{
    BreakerPolicy, Jitter, Mode, OnCancel, OnExhausted, OnThresholdMissed, OnUnknown, RateLimit, Recovery, Resources,
    RetryBudget, Success,
};
use crate::model::rng::Rng;
use crate::model::step::{Decision, Fallback, Need, NeedOn, Semaphore, Step, Work};
use crate::model::time::Micros;
use crate::model::workflow::Workflow;
use serde_json::json;
use std::sync::Arc;

/// Which policies a world has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Taste {
    breakers: bool,
    rates: bool,
    sagas: bool,
    shared: bool,
    people: bool,
    silence: bool,
    resources: bool,
    budget: bool,
    orders: bool,
}

impl Taste {
    pub(super) fn draw(rng: &mut Rng) -> Self {
        let mut on = || rng.chance(0.3);
        Self {
            breakers: on(),
            rates: on(),
            sagas: on(),
            shared: on(),
            people: on(),
            silence: on(),
            resources: on(),
            budget: on(),
            orders: on(),
        }
    }

    /// Whether steps can be undone.
    pub(super) const fn undoes(self) -> bool {
        self.sagas
    }
}

pub(super) fn below(rng: &mut Rng, bound: u32) -> u32 {
    u32::try_from(rng.below(u64::from(bound))).unwrap_or(bound)
}

pub(super) fn pick<T: Copy>(rng: &mut Rng, among: &[T]) -> T {
    among[rng.below(among.len() as u64) as usize]
}

fn capability(rng: &mut Rng, count: u64) -> Name {
    format!("c{}", rng.below(count)).into()
}

pub(super) fn workflow(rng: &mut Rng, steps: u32, team: &[Agent], taste: Taste) -> Workflow {
    let names: std::collections::BTreeSet<&Name> = team.iter().flat_map(|agent| &agent.capabilities).collect();
    let capabilities = names.len() as u64;
    let steps = (0..steps).map(|at| step(rng, at, capabilities, team, taste)).collect();
    let mut made = Workflow::new("simulated", team.to_vec(), steps);
    made.data = json!({"in": {"text": "given"}});
    made.mode = match rng.below(10) {
        0 | 1 => Mode::Sequential,
        2 | 3 if taste.orders => Mode::Hybrid,
        4..7 if taste.orders => Mode::Auto,
        _ => Mode::Parallel,
    };
    made.parallel_threshold = 2 + below(rng, 3);
    made.recovery = if taste.sagas && rng.chance(0.5) {
        Recovery::Rollback
    } else {
        pick(rng, &[Recovery::Continue, Recovery::Continue, Recovery::Continue, Recovery::FailFast, Recovery::Retry])
    };
    made.success = pick(rng, &[Success::All, Success::Any, Success::Min(0.5)]);
    if rng.chance(0.3) {
        made.on_threshold_missed = pick(rng, &[OnThresholdMissed::Retry, OnThresholdMissed::Escalate]);
    }
    made.limits.max_parallel = rng.chance(0.3).then(|| 1 + below(rng, 4));
    made.limits.deadline = rng.chance(0.3).then(|| Micros::from_secs(1 + rng.below(30)));
    if taste.budget {
        let share = [0.0, 0.1, 0.5][rng.below(3) as usize];
        made.limits.retry_budget = Some(RetryBudget { min: below(rng, 4), share });
    }
    if rng.chance(0.3) {
        made.limits.capability.insert(capability(rng, capabilities), 1 + below(rng, 2));
    }
    if taste.shared {
        barrier(rng, &mut made);
    }
    made
}

/// Takes away what ends slow work early.
pub(super) fn take_your_time(workflow: &mut Arc<Workflow>) {
    let workflow = Arc::make_mut(workflow);
    workflow.limits.deadline = None;
    for step in &mut workflow.steps {
        (step.timeout, step.idle_timeout) = (None, None);
        if let Some(undo) = &mut step.compensate {
            (undo.timeout, undo.idle_timeout) = (None, None);
        }
    }
}

/// One to three agents for each of one to four capabilities.
pub(super) fn agents(rng: &mut Rng, prefix: &str, taste: Taste) -> Vec<Agent> {
    let capabilities = 1 + rng.below(4);
    let mut made = Vec::new();
    for at in 0..capabilities {
        for n in 0..=rng.below(3) {
            let mut one =
                Agent::new(format!("{prefix}{at}-{n}"), AgentKind::Simulated(Simulated::default()), format!("c{at}"));
            if rng.chance(0.2) {
                one.capabilities.push(capability(rng, capabilities));
            }
            one.slots = 1 + below(rng, 3);
            one.backup = n > 0 && rng.chance(0.3);
            one.weight = f64::from(1 + below(rng, 3));
            manners(rng, &mut one, taste);
            made.push(one);
        }
    }
    made
}

fn manners(rng: &mut Rng, one: &mut Agent, taste: Taste) {
    if taste.breakers {
        let cooldown = Micros::from_millis(100 + rng.below(10_000));
        one.breaker = rng.chance(0.9).then(|| BreakerPolicy { failures: 1 + below(rng, 3), cooldown });
    } else if rng.chance(0.5) {
        one.breaker = None;
    }
    if taste.rates && rng.chance(0.6) {
        let per = Micros::from_millis(500 + rng.below(5_000));
        one.rate_limit = Some(RateLimit { calls: 1 + below(rng, 4), per });
    }
    if taste.resources && rng.chance(0.7) {
        one.resources = Some(Resources { cpu: f64::from(1 + below(rng, 2)), memory_mb: 512.0 });
    }
}

fn step(rng: &mut Rng, at: u32, capabilities: u64, agents: &[Agent], taste: Taste) -> Step {
    let mut made = Step::new(format!("s{at}"), work(rng, capabilities, agents, taste));
    made.needs = needs(rng, at);
    made.priority = pick(rng, &[0, 25, 50, 75, 100]);
    made.critical = rng.chance(0.1);
    data(rng, at, &mut made);
    if made.is_approval() {
        return made;
    }
    times(rng, &mut made);
    made.retry.limit = below(rng, 4);
    made.on_unknown = pick(rng, &[OnUnknown::Ask, OnUnknown::Retry, OnUnknown::Retry, OnUnknown::Fail]);
    if rng.chance(0.2) {
        made.fallback.push(Fallback::Capability(capability(rng, capabilities)));
    }
    if rng.chance(0.1) {
        made.fallback.push(Fallback::Agent(agents[rng.below(agents.len() as u64) as usize].id.clone()));
    }
    if rng.chance(0.2) {
        made.fallback.push(Fallback::Value(json!({"out": "fallback"})));
    }
    if rng.chance(0.3) {
        made.action = Some(format!("act{}", rng.below(3)).into());
    }
    policies(rng, &mut made, taste);
    if taste.sagas && rng.chance(0.6) {
        made.compensate = Some(Box::new(compensation(rng, at, capabilities, agents)));
        made.on_cancel = pick(rng, &[OnCancel::Leave, OnCancel::Compensate]);
    } else {
        made.pivot = taste.sagas && rng.chance(0.1);
    }
    made
}

fn work(rng: &mut Rng, capabilities: u64, agents: &[Agent], taste: Taste) -> Work {
    if taste.people && rng.chance(0.15) {
        let default = pick(rng, &[None, Some(Decision::Approve), Some(Decision::Reject)]);
        let timeout = default.map(|_| Micros::from_millis(rng.below(20_000) + 1));
        return Work::Approval { prompt: "may it go on?".to_owned(), timeout, default };
    }
    let asks_for = capability(rng, capabilities);
    if rng.chance(0.1) {
        Work::Agent { agent: agents[rng.below(agents.len() as u64) as usize].id.clone() }
    } else {
        Work::Capability { capability: asks_for }
    }
}

/// How long it should take, may take, and waits between attempts.
fn times(rng: &mut Rng, made: &mut Step) {
    made.estimate = rng.chance(0.5).then(|| Micros::from_millis(rng.below(2_000)));
    made.timeout = rng.chance(0.8).then(|| Micros::from_millis(300 + rng.below(2_000)));
    let interval_max = if rng.chance(0.2) { 20_000 } else { 2_000 };
    made.retry.interval = Micros::from_millis(10 + rng.below(interval_max));
    made.retry.jitter = pick(rng, &[Jitter::Full, Jitter::Equal, Jitter::None]);
}

fn policies(rng: &mut Rng, made: &mut Step, taste: Taste) {
    if taste.people && rng.chance(0.4) {
        made.on_exhausted = OnExhausted::Pause;
    }
    if taste.silence && rng.chance(0.5) {
        made.idle_timeout = Some(Micros::from_millis(100 + rng.below(1_000)));
    }
    if taste.resources && rng.chance(0.6) {
        let cpu = [0.25, 0.5, 1.0][rng.below(3) as usize];
        made.resources = Some(Resources { cpu, memory_mb: [0.0, 256.0, 512.0][rng.below(3) as usize] });
    }
    if taste.shared {
        if rng.chance(0.3) {
            made.lock = Some(format!("lock{}", rng.below(2)).into());
        }
        if rng.chance(0.3) {
            made.semaphore = Some(Semaphore { name: "permits".into(), permits: 2 });
        }
    }
}

fn compensation(rng: &mut Rng, at: u32, capabilities: u64, agents: &[Agent]) -> Step {
    let work = if rng.chance(0.1) {
        Work::Agent { agent: agents[rng.below(agents.len() as u64) as usize].id.clone() }
    } else {
        Work::Capability { capability: capability(rng, capabilities) }
    };
    let mut made = Step::new(format!("s{at}"), work);
    made.action = Some("undo".into());
    times(rng, &mut made);
    made.retry.limit = below(rng, 5);
    made
}

/// Steps that do not rest on each other meet.
fn barrier(rng: &mut Rng, workflow: &mut Workflow) {
    let mut members: Vec<usize> = Vec::new();
    for at in 0..workflow.steps.len() {
        if members.len() < 4 && rng.chance(0.3) && !rests_on_any(workflow, at, &members) {
            members.push(at);
            workflow.steps[at].barrier = Some("meeting".into());
        }
    }
}

fn rests_on_any(workflow: &Workflow, at: usize, others: &[usize]) -> bool {
    let mut stack = vec![at];
    while let Some(at) = stack.pop() {
        for need in &workflow.steps[at].needs {
            if others.contains(&need.step.index()) {
                return true;
            }
            stack.push(need.step.index());
        }
    }
    false
}

fn needs(rng: &mut Rng, at: u32) -> Vec<Need> {
    let window = if rng.chance(0.5) { 4 } else { at.max(1) };
    let mut needs: Vec<Need> = Vec::new();
    for _ in 0..rng.below(4).min(u64::from(at)) {
        let step = StepId(at - 1 - below(rng, window.min(at)));
        let on = pick(rng, &[NeedOn::Succeeded, NeedOn::Succeeded, NeedOn::Completed, NeedOn::Failed]);
        if needs.iter().all(|need| need.step != step) {
            needs.push(Need { step, on });
        }
    }
    needs
}

/// What the step takes from the run's data and writes into it.
fn data(rng: &mut Rng, at: u32, made: &mut Step) {
    let path = |text: String| Path::parse(&text).ok();
    if rng.chance(0.3)
        && let Some(path) = path(format!("made.s{at}"))
    {
        made.output.push(OutputMapping { field: "out".to_owned(), path });
    }
    if rng.chance(0.2)
        && let Some(path) = path(format!("made.s{}", below(rng, at + 1)))
    {
        made.input.push(InputMapping {
            key: "from".to_owned(),
            source: Expression::Path(path),
            required: rng.chance(0.1),
        });
    }
}
