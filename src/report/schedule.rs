//! What a run will take: how long each step is expected to take, on whom, and what lies on the longest way.
//!
//! This is the case in which everything goes well: steps that only run when another fails are left out of it, and a person
//! answers at once. [`crate::report::play`] plays it through.

use super::items::{self, Times};
use crate::model::agent::{Agent, AgentKind, Builtin};
use crate::model::defaults::SIMULATED_DURATION;
use crate::model::id::StepId;
use crate::model::policy::Resources;
use crate::model::step::{Need, NeedOn, Step, Work};
use crate::model::time::{self, Micros};
use crate::model::view::Shape;
use crate::model::workflow::Workflow;
use std::collections::BTreeMap;

/// The agents that offer what a step asks for and have so much, by place in the workflow: backups only without others.
pub(super) fn capable(workflow: &Workflow, step: &Step, taken: Resources) -> Vec<usize> {
    let offers = |agent: &Agent| match &step.work {
        Work::Agent { agent: id } => agent.id == *id,
        Work::Approval { .. } => false,
        _ => agent.capabilities.iter().any(|capability| &**capability == step.asks_for()),
    };
    let has = |agent: &Agent| agent.resources.is_none_or(|all| taken.fits(all, Resources::default()));
    let can = |agent: &Agent| offers(agent) && has(agent);
    let all: Vec<usize> = (0..workflow.agents.len()).filter(|&at| can(&workflow.agents[at])).collect();
    let first: Vec<usize> = all.iter().copied().filter(|&at| !workflow.agents[at].backup).collect();
    if first.is_empty() { all } else { first }
}

/// How long an agent is expected to take; `None`: nobody said.
pub(super) fn on_agent(agent: &Agent, step: &Step) -> Option<Micros> {
    match &agent.kind {
        AgentKind::Simulated(_) | AgentKind::Builtin { builtin: Builtin::Echo } => told(agent, step),
        AgentKind::Builtin { builtin: Builtin::Sleep } if step.input.iter().any(|input| input.key == SLEEP_KEY) => {
            step.estimate.or(Some(SIMULATED_DURATION))
        }
        AgentKind::Builtin { builtin: Builtin::Sleep } => told(agent, step).or(Some(SIMULATED_DURATION)),
        AgentKind::Builtin { builtin: Builtin::Process } | AgentKind::Process(_) => step.estimate,
        // They compute: too short to be noticed, unless somebody knows better.
        AgentKind::Builtin { .. } => Some(step.estimate.unwrap_or(Micros::ZERO)),
    }
}

/// The argument of `sleep`.
const SLEEP_KEY: &str = "duration";

/// What the engine itself goes by when it ranks steps and chooses among agents; `None`: it knows of nothing.
pub(super) fn told(agent: &Agent, step: &Step) -> Option<Micros> {
    match &agent.kind {
        AgentKind::Simulated(simulated) => {
            Some(simulated.duration(step.action.as_deref(), step.estimate).at_speed(simulated.speed))
        }
        AgentKind::Builtin { builtin: Builtin::Echo } => Some(Micros::ZERO),
        AgentKind::Builtin { builtin: Builtin::Sleep } => {
            step.with.get(SLEEP_KEY).and_then(|said| time::from_json(said).ok())
        }
        AgentKind::Process(_) | AgentKind::Builtin { .. } => step.estimate,
    }
}

/// Whether a need is one that its step never gets, when everything goes well.
pub(super) fn is_lost(need: Need, runs: &[bool]) -> bool {
    match need.on {
        NeedOn::Succeeded => !runs[need.step.index()],
        NeedOn::Completed => false,
        NeedOn::Failed => true,
    }
}

/// Who waits for the same agents: steps that ask for the same thing, and as much of it.
pub(super) type Ask = usize;
/// What tells asks apart: whether one agent is named, the name, and the resources as bits.
type AskKey<'w> = (bool, &'w str, [u64; 2]);

/// What is known of the steps of a workflow, each by itself.
#[derive(Clone, Debug)]
pub(crate) struct Works {
    /// Whether the step runs when everything goes well.
    pub(crate) runs: Vec<bool>,
    /// How long an attempt takes then, on its fastest agent.
    pub(crate) time: Vec<Micros>,
    /// Whether that was said by somebody, or is the default.
    pub(crate) known: Vec<bool>,
    /// Which steps ask for the same thing.
    pub(super) ask_of: Vec<Ask>,
    /// The agents that can do what is asked for, by place in the workflow.
    pub(super) agents_of: Vec<Vec<usize>>,
}

impl Works {
    /// Looks at every step once.
    #[must_use]
    pub(crate) fn of(workflow: &Workflow, shape: &Shape) -> Self {
        let count = workflow.steps.len();
        let mut asks: BTreeMap<AskKey<'_>, Ask> = BTreeMap::new();
        let mut agents_of = Vec::new();
        let mut ask_of = Vec::with_capacity(count);
        for step in &workflow.steps {
            let taken = step.resources.unwrap_or_default();
            let amounts = [taken.cpu.to_bits(), taken.memory_mb.to_bits()];
            let key = (matches!(step.work, Work::Agent { .. }), step.asks_for(), amounts);
            let ask = *asks.entry(key).or_insert(agents_of.len());
            if ask == agents_of.len() {
                agents_of.push(capable(workflow, step, taken));
            }
            ask_of.push(ask);
        }
        let fastest = |step: &Step, agents: &[usize]| {
            if step.is_approval() {
                return Some(Micros::ZERO);
            }
            agents.iter().filter_map(|&at| on_agent(&workflow.agents[at], step)).min().or(step.estimate)
        };
        let said: Vec<Option<Micros>> =
            workflow.steps.iter().zip(&ask_of).map(|(step, &ask)| fastest(step, &agents_of[ask])).collect();
        let mut runs = vec![true; count];
        for &id in &shape.order {
            runs[id.index()] = !workflow.step(id).needs.iter().any(|need| is_lost(*need, &runs));
        }
        let known = said.iter().zip(&runs).map(|(said, runs)| said.is_some() || !runs).collect();
        let time =
            (0..count).map(|at| if runs[at] { said[at].unwrap_or(SIMULATED_DURATION) } else { Micros::ZERO }).collect();
        Self { runs, time, known, ask_of, agents_of }
    }

    /// The agents that can do a step, by place in the workflow.
    #[must_use]
    pub(crate) fn capable(&self, step: StepId) -> &[usize] {
        &self.agents_of[self.ask_of[step.index()]]
    }
}

/// Expectations for the steps of a workflow.
#[derive(Clone, Debug)]
pub(crate) struct Expected {
    /// What is known of each step by itself.
    pub(crate) works: Works,
    /// How often each step is done.
    pub(crate) times: Vec<Times>,
    /// How long each step takes with all its items, if agents are never short.
    pub(crate) time: Vec<Micros>,
    /// How much later a step could end without making the critical path longer.
    pub(crate) slack: Vec<Micros>,
    /// The longest chain, in order.
    pub(crate) critical_path: Vec<StepId>,
    /// Its length.
    pub(crate) critical_time: Micros,
}

impl Expected {
    /// Looks at every step once in each direction.
    #[must_use]
    pub(crate) fn of(workflow: &Workflow, shape: &Shape) -> Self {
        let works = Works::of(workflow, shape);
        let times = items::times(workflow);
        let span = |id: StepId| times[id.index()].span(workflow.step(id), works.time[id.index()]);
        let time = workflow.step_ids().map(span).collect();
        let slack = vec![Micros::ZERO; workflow.steps.len()];
        let mut it = Self { works, times, time, slack, critical_path: Vec::new(), critical_time: Micros::ZERO };
        it.walk(workflow, shape);
        it
    }

    /// How much work a step is: its attempts one after the other.
    #[must_use]
    pub(crate) fn work(&self, step: StepId) -> Micros {
        let at = step.index();
        Micros(self.works.time[at].0.saturating_mul(self.times[at].at_least()))
    }

    /// Steps that take so long at least, and nobody knows how much longer: their items are counted when they run, or
    /// their output brings further steps.
    #[must_use]
    pub(crate) fn at_least(&self, workflow: &Workflow) -> Vec<StepId> {
        let open = |id: &StepId| self.times[id.index()] == Times::Unknown || workflow.step(*id).expand.is_some();
        workflow.step_ids().filter(|id| self.works.runs[id.index()] && open(id)).collect()
    }

    fn walk(&mut self, workflow: &Workflow, shape: &Shape) {
        let runs = &self.works.runs;
        let mut finish = vec![Micros::ZERO; self.time.len()];
        // What a step ends with: everything it needs, or, if it never runs, the first need that is lost.
        let mut holds: Vec<Vec<StepId>> = vec![Vec::new(); self.time.len()];
        for &id in &shape.order {
            let needs = &workflow.step(id).needs;
            let end = |need: &Need| finish[need.step.index()];
            if runs[id.index()] {
                finish[id.index()] = needs.iter().map(end).max().unwrap_or_default() + self.time[id.index()];
                needs.iter().for_each(|need| holds[need.step.index()].push(id));
            } else if let Some(lost) = needs.iter().filter(|need| is_lost(**need, runs)).min_by_key(|need| end(need)) {
                finish[id.index()] = end(lost);
                holds[lost.step.index()].push(id);
            }
        }
        let mut remaining = vec![Micros::ZERO; self.time.len()];
        for &id in shape.order.iter().rev() {
            let after = holds[id.index()].iter().map(|next| remaining[next.index()]).max();
            remaining[id.index()] = after.unwrap_or_default() + self.time[id.index()];
        }
        self.critical_time = finish.iter().copied().max().unwrap_or_default();
        for (at, end) in finish.iter().enumerate() {
            let through = *end + remaining[at] - self.time[at];
            self.slack[at] = self.critical_time - through;
        }
        // From where nothing comes before, always on along what has no time to spare and begins as this ends.
        let begins = |at: usize| finish[at] - self.time[at];
        let tight = |id: &StepId| self.slack[id.index()] == Micros::ZERO;
        let mut next = shape.order.iter().copied().find(|id| tight(id) && begins(id.index()) == Micros::ZERO);
        let mut path = Vec::new();
        while let Some(id) = next {
            path.push(id);
            let end = finish[id.index()];
            next = holds[id.index()].iter().copied().find(|next| tight(next) && begins(next.index()) == end);
        }
        path.retain(|id| runs[id.index()]);
        self.critical_path = path;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample::{self, agent, step};

    #[test]
    fn the_trading_example_has_its_critical_path_and_slack() {
        let workflow = sample::workflow();
        let shape = sample::shape(&workflow);
        let expected = Expected::of(&workflow, &shape);
        assert_eq!(expected.critical_time, Micros::from_secs(8));
        assert_eq!(expected.critical_path, [0, 1, 3, 4].map(StepId));
        assert_eq!(expected.slack.iter().map(|s| s.as_millis()).collect::<Vec<_>>(), [0, 0, 1_000, 0, 0]);
    }

    #[test]
    fn a_person_takes_no_time_and_agents_without_the_resources_are_not_capable() {
        let mut workflow = sample::workflow();
        workflow.steps[3] = Step {
            needs: workflow.steps[3].needs.clone(),
            ..Step::new("risk", Work::Approval { prompt: "?".to_owned(), timeout: None, default: None })
        };
        let expected = Expected::of(&workflow, &sample::shape(&workflow));
        assert_eq!(
            (expected.time[3], expected.works.known[3], expected.works.capable(StepId(3)).len()),
            (Micros::ZERO, true, 0)
        );
        assert_eq!(expected.critical_time, Micros::from_secs(7));
        workflow.steps = vec![step("s", "w", &[], Some(1))];
        workflow.agents = vec![agent("small", "w", 1), agent("large", "w", 1)];
        workflow.agents[0].resources = Some(Resources { cpu: 1.0, memory_mb: Resources::UNBOUNDED });
        workflow.steps[0].resources = Some(Resources { cpu: 2.0, memory_mb: 0.0 });
        assert_eq!(Works::of(&workflow, &sample::shape(&workflow)).capable(StepId(0)), [1]);
    }
}
