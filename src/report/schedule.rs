//! What a run will take: expected durations, and a small pure simulation of the queue on the agents' slots.
//!
//! It follows the engine's rules (needs, priority, remaining critical path, slots, limits, backups last) for the case in
//! which everything goes well. Steps that only run when another fails are left out of that case.

use crate::model::agent::{Agent, AgentKind, Builtin};
use crate::model::defaults::SIMULATED_DURATION;
use crate::model::id::StepId;
use crate::model::policy::Mode;
use crate::model::step::{NeedOn, Step, Work};
use crate::model::time::{self, Micros};
use crate::model::view::Shape;
use crate::model::workflow::Workflow;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

/// The agents that can do a step, by place in the workflow: unbroken ones first choice, backups only without others.
fn capable(workflow: &Workflow, step: &Step) -> Vec<usize> {
    let offers = |agent: &Agent| match &step.work {
        Work::Agent { agent: id } => agent.id == *id,
        _ => agent.capabilities.iter().any(|capability| &**capability == step.asks_for()),
    };
    let all: Vec<usize> = (0..workflow.agents.len()).filter(|&at| offers(&workflow.agents[at])).collect();
    let first: Vec<usize> = all.iter().copied().filter(|&at| !workflow.agents[at].backup).collect();
    if first.is_empty() { all } else { first }
}

/// How long an agent is expected to take; `None`: nobody said.
fn on_agent(agent: &Agent, step: &Step) -> Option<Micros> {
    match &agent.kind {
        AgentKind::Simulated(simulated) => {
            Some(simulated.duration(step.action.as_deref(), step.estimate).at_speed(simulated.speed))
        }
        AgentKind::Builtin { builtin: Builtin::Sleep } => {
            let said = step.with.get("duration").and_then(|said| time::from_json(said).ok());
            said.or(step.estimate).or(Some(SIMULATED_DURATION))
        }
        AgentKind::Builtin { builtin: Builtin::Echo } => Some(step.estimate.unwrap_or(Micros::ZERO)),
        AgentKind::Builtin { builtin: Builtin::Process } | AgentKind::Process(_) => step.estimate,
    }
}

/// Who waits for the same agents: steps that ask for the same thing share a queue.
type Ask = usize;

/// Expectations for the steps of a workflow.
#[derive(Clone, Debug)]
pub(crate) struct Expected {
    /// Whether the step runs when everything goes well.
    pub(crate) runs: Vec<bool>,
    /// How long it takes then, on its fastest agent.
    pub(crate) time: Vec<Micros>,
    /// Whether that was said by somebody, or is the default.
    pub(crate) known: Vec<bool>,
    /// The longest way from a step's start to the end of the run.
    pub(crate) remaining: Vec<Micros>,
    /// How much later a step could end without making the critical path longer.
    pub(crate) slack: Vec<Micros>,
    /// The longest chain, in order.
    pub(crate) critical_path: Vec<StepId>,
    /// Its length.
    pub(crate) critical_time: Micros,
    /// Which steps ask for the same thing.
    ask_of: Vec<Ask>,
    /// The agents that can do what is asked for, by place in the workflow.
    agents_of: Vec<Vec<usize>>,
}

impl Expected {
    /// Looks at every step once in each direction.
    #[must_use]
    pub(crate) fn of(workflow: &Workflow, shape: &Shape) -> Self {
        let count = workflow.steps.len();
        let mut asks: BTreeMap<(bool, &str), Ask> = BTreeMap::new();
        let mut agents_of = Vec::new();
        let mut ask_of = Vec::with_capacity(count);
        for step in &workflow.steps {
            let ask =
                *asks.entry((matches!(step.work, Work::Agent { .. }), step.asks_for())).or_insert(agents_of.len());
            if ask == agents_of.len() {
                agents_of.push(capable(workflow, step));
            }
            ask_of.push(ask);
        }
        let fastest = |step: &Step, agents: &[usize]| {
            agents.iter().filter_map(|&at| on_agent(&workflow.agents[at], step)).min().or(step.estimate)
        };
        let said: Vec<Option<Micros>> =
            workflow.steps.iter().zip(&ask_of).map(|(step, &ask)| fastest(step, &agents_of[ask])).collect();
        let mut runs = vec![true; count];
        for &id in &shape.order {
            runs[id.index()] = workflow.step(id).needs.iter().all(|need| match need.on {
                NeedOn::Succeeded => runs[need.step.index()],
                NeedOn::Completed => true,
                NeedOn::Failed => false,
            });
        }
        let known = said.iter().zip(&runs).map(|(said, runs)| said.is_some() || !runs).collect();
        let time =
            (0..count).map(|at| if runs[at] { said[at].unwrap_or(SIMULATED_DURATION) } else { Micros::ZERO }).collect();
        let zero = vec![Micros::ZERO; count];
        let mut it = Self {
            runs,
            time,
            known,
            remaining: zero.clone(),
            slack: zero,
            critical_path: Vec::new(),
            critical_time: Micros::ZERO,
            ask_of,
            agents_of,
        };
        it.walk(workflow, shape);
        it
    }

    /// The agents that can do a step, by place in the workflow.
    #[must_use]
    pub(crate) fn capable(&self, step: StepId) -> &[usize] {
        &self.agents_of[self.ask_of[step.index()]]
    }

    fn walk(&mut self, workflow: &Workflow, shape: &Shape) {
        let mut finish = vec![Micros::ZERO; self.time.len()];
        for &id in &shape.order {
            let start = workflow.step(id).needs.iter().map(|need| finish[need.step.index()]).max();
            finish[id.index()] = start.unwrap_or_default() + self.time[id.index()];
        }
        for &id in shape.order.iter().rev() {
            let after = shape.dependents[id.index()].iter().map(|next| self.remaining[next.index()]).max();
            self.remaining[id.index()] = after.unwrap_or_default() + self.time[id.index()];
        }
        self.critical_time = finish.iter().copied().max().unwrap_or_default();
        for (at, end) in finish.iter().enumerate() {
            let through = *end + self.remaining[at] - self.time[at];
            self.slack[at] = self.critical_time - through;
        }
        let mut next = shape.order.iter().copied().find(|id| {
            let at = id.index();
            self.runs[at] && self.slack[at] == Micros::ZERO && finish[at] == self.time[at]
        });
        while let Some(id) = next {
            self.critical_path.push(id);
            let end = finish[id.index()];
            next = shape.dependents[id.index()].iter().copied().find(|next| {
                let at = next.index();
                self.runs[at] && self.slack[at] == Micros::ZERO && finish[at] - self.time[at] == end
            });
        }
    }

    /// All expected work, one step after the other.
    #[must_use]
    pub(crate) fn sequential(&self) -> Micros {
        self.time.iter().copied().sum()
    }
}

/// Place in a queue: smaller goes first.
type Rank = (Reverse<u8>, Reverse<Micros>, usize);

/// Plays the run through; gives its length and the most attempts at once.
#[must_use]
pub(crate) fn play(workflow: &Workflow, shape: &Shape, expected: &Expected) -> (Micros, u32) {
    if workflow.mode == Mode::Sequential {
        return (expected.sequential(), u32::from(expected.runs.contains(&true)));
    }
    let mut play = Play::new(workflow, expected);
    for id in workflow.step_ids() {
        play.missing.push(workflow.step(id).needs.len());
    }
    for id in workflow.step_ids() {
        if play.missing[id.index()] == 0 {
            play.ready(id.index(), shape);
        }
    }
    play.dispatch();
    while let Some(Reverse((now, _, _))) = play.running.peek().copied() {
        play.now = now;
        while let Some(&Reverse((end, step, agent))) = play.running.peek()
            && end == now
        {
            play.running.pop();
            play.release(step, agent);
            play.done(step, shape);
        }
        play.dispatch();
    }
    (play.now, play.most)
}

struct Play<'a> {
    workflow: &'a Workflow,
    expected: &'a Expected,
    now: Micros,
    missing: Vec<usize>,
    queues: Vec<BinaryHeap<Reverse<Rank>>>,
    /// Queues whose head may find an agent.
    open: BTreeSet<(Rank, Ask)>,
    /// The queues each agent serves.
    asks_of_agent: Vec<Vec<Ask>>,
    /// Places left in a queue by `limits.capability`.
    places: Vec<u32>,
    free: Vec<u32>,
    running: BinaryHeap<Reverse<(Micros, usize, Option<usize>)>>,
    most: u32,
}

impl<'a> Play<'a> {
    fn new(workflow: &'a Workflow, expected: &'a Expected) -> Self {
        let mut asks_of_agent = vec![Vec::new(); workflow.agents.len()];
        for (ask, agents) in expected.agents_of.iter().enumerate() {
            for &agent in agents {
                asks_of_agent[agent].push(ask);
            }
        }
        let mut places = vec![u32::MAX; expected.agents_of.len()];
        for (step, &ask) in workflow.steps.iter().zip(&expected.ask_of) {
            if let Work::Capability { capability } = &step.work {
                places[ask] = workflow.limits.capability.get(capability).copied().unwrap_or(u32::MAX);
            }
        }
        Self {
            workflow,
            expected,
            now: Micros::ZERO,
            missing: Vec::with_capacity(workflow.steps.len()),
            queues: vec![BinaryHeap::new(); expected.agents_of.len()],
            open: BTreeSet::new(),
            asks_of_agent,
            places,
            free: workflow.agents.iter().map(|agent| agent.slots).collect(),
            running: BinaryHeap::new(),
            most: 0,
        }
    }

    /// A step whose needs are met joins its queue; one that is not expected to run ends at once.
    fn ready(&mut self, step: usize, shape: &Shape) {
        if !self.expected.runs[step] {
            self.done(step, shape);
            return;
        }
        let rank = (Reverse(self.workflow.steps[step].priority), Reverse(self.expected.remaining[step]), step);
        let ask = self.expected.ask_of[step];
        self.queues[ask].push(Reverse(rank));
        self.reopen(ask);
    }

    fn done(&mut self, step: usize, shape: &Shape) {
        let mut ended = vec![step];
        while let Some(step) = ended.pop() {
            for next in &shape.dependents[step] {
                let at = next.index();
                self.missing[at] -= 1;
                if self.missing[at] > 0 {
                    continue;
                }
                if self.expected.runs[at] { self.ready(at, shape) } else { ended.push(at) }
            }
        }
    }

    fn reopen(&mut self, ask: Ask) {
        if let Some(&Reverse(head)) = self.queues[ask].peek() {
            self.open.insert((head, ask));
        }
    }

    fn release(&mut self, step: usize, agent: Option<usize>) {
        let ask = self.expected.ask_of[step];
        self.places[ask] = self.places[ask].saturating_add(1);
        self.reopen(ask);
        if let Some(agent) = agent {
            self.free[agent] += 1;
            for at in 0..self.asks_of_agent[agent].len() {
                self.reopen(self.asks_of_agent[agent][at]);
            }
        }
    }

    /// Starts whatever can start now, in the order of the queue.
    fn dispatch(&mut self) {
        let most = self.workflow.limits.max_parallel.map_or(usize::MAX, |n| n as usize);
        while self.running.len() < most
            && let Some((rank, ask)) = self.open.pop_first()
        {
            if self.queues[ask].peek() != Some(&Reverse(rank)) || self.places[ask] == 0 {
                continue;
            }
            let step = rank.2;
            let agents = &self.expected.agents_of[ask];
            let agent = agents.iter().copied().filter(|&at| self.free[at] > 0).min_by_key(|&at| self.end(at, step));
            if agent.is_none() && !agents.is_empty() {
                continue;
            }
            self.queues[ask].pop();
            if self.places[ask] != u32::MAX {
                self.places[ask] -= 1;
            }
            let end = match agent {
                Some(agent) => {
                    self.free[agent] -= 1;
                    self.end(agent, step)
                }
                None => self.now + self.expected.time[step],
            };
            self.running.push(Reverse((end, step, agent)));
            self.most = self.most.max(u32::try_from(self.running.len()).unwrap_or(u32::MAX));
            self.reopen(ask);
        }
    }

    fn end(&self, agent: usize, step: usize) -> Micros {
        let said = on_agent(&self.workflow.agents[agent], &self.workflow.steps[step]);
        self.now + said.unwrap_or(self.expected.time[step])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample::{self, agent, step};

    fn played(workflow: &Workflow) -> (u64, u32) {
        let shape = sample::shape(workflow);
        let (time, most) = play(workflow, &shape, &Expected::of(workflow, &shape));
        (time.as_millis(), most)
    }

    #[test]
    fn the_trading_example_is_as_long_as_its_critical_path() {
        let workflow = sample::workflow();
        let shape = sample::shape(&workflow);
        let expected = Expected::of(&workflow, &shape);
        assert_eq!(expected.critical_time, Micros::from_secs(8));
        assert_eq!(expected.critical_path, [0, 1, 3, 4].map(StepId));
        assert_eq!(expected.slack.iter().map(|s| s.as_millis()).collect::<Vec<_>>(), [0, 0, 1_000, 0, 0]);
        assert_eq!(expected.sequential(), Micros::from_secs(11));
        assert_eq!(played(&workflow), (8_000, 2));
    }

    #[test]
    fn slots_and_limits_make_it_longer() {
        let mut workflow = sample::workflow();
        workflow.steps = (0..10).map(|n| step(&format!("s{n}"), "w", &[], Some(1))).collect();
        workflow.agents = vec![agent("a", "w", 1), agent("b", "w", 3)];
        assert_eq!(played(&workflow), (3_000, 4));
        workflow.limits.max_parallel = Some(2);
        assert_eq!(played(&workflow), (5_000, 2));
        workflow.limits.max_parallel = None;
        workflow.limits.capability.insert("w".into(), 1);
        assert_eq!(played(&workflow), (10_000, 1));
        workflow.mode = Mode::Sequential;
        assert_eq!(played(&workflow), (10_000, 1));
    }

    #[test]
    fn backups_stand_aside_and_the_longest_chain_goes_first() {
        let mut workflow = sample::workflow();
        workflow.steps =
            vec![step("short", "w", &[], Some(1)), step("first", "w", &[], Some(1)), step("long", "x", &[1], Some(5))];
        workflow.agents = vec![agent("a", "w", 1), agent("spare", "w", 1), agent("b", "x", 1)];
        workflow.agents[1].backup = true;
        assert_eq!(played(&workflow), (6_000, 2));
        workflow.steps[0].priority = 90;
        assert_eq!(played(&workflow), (7_000, 1));
    }

    #[test]
    fn what_runs_only_after_a_failure_takes_no_time() {
        let mut workflow = sample::workflow();
        workflow.steps =
            vec![step("a", "w", &[], Some(1)), step("rescue", "w", &[0], Some(9)), step("after", "w", &[1], Some(9))];
        workflow.steps[1].needs[0].on = NeedOn::Failed;
        workflow.agents = vec![agent("a", "w", 1)];
        assert_eq!(played(&workflow), (1_000, 1));
        workflow.steps[2].needs[0].on = NeedOn::Completed;
        assert_eq!(played(&workflow), (10_000, 1));
    }

    #[test]
    fn a_hundred_thousand_steps_are_played_at_once() {
        let mut workflow = sample::workflow();
        workflow.steps = (0..100_000).map(|n| step(&format!("s{n}"), "w", &[], Some(1))).collect();
        workflow.agents = vec![agent("a", "w", 10)];
        assert_eq!(played(&workflow), (10_000_000, 10));
    }
}
