//! What a run will take: how long each step is expected to take, on whom, and what lies on the longest way.
//!
//! This is the case in which everything goes well: steps that only run when another fails are left out of it, and a person
//! answers at once. [`crate::report::play`] plays it through.

use crate::model::agent::{Agent, AgentKind, Builtin};
use crate::model::defaults::SIMULATED_DURATION;
use crate::model::id::StepId;
use crate::model::policy::Resources;
use crate::model::step::{NeedOn, Step, Work};
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
        AgentKind::Simulated(simulated) => {
            Some(simulated.duration(step.action.as_deref(), step.estimate).at_speed(simulated.speed))
        }
        AgentKind::Builtin { builtin: Builtin::Sleep } => {
            let said = step.with.get("duration").and_then(|said| time::from_json(said).ok());
            said.or(step.estimate).or(Some(SIMULATED_DURATION))
        }
        AgentKind::Builtin { builtin: Builtin::Echo } => Some(step.estimate.unwrap_or(Micros::ZERO)),
        AgentKind::Builtin { .. } | AgentKind::Process(_) => step.estimate,
    }
}

/// Who waits for the same agents: steps that ask for the same thing, and as much of it.
pub(super) type Ask = usize;
/// What tells asks apart: whether one agent is named, the name, and the resources as bits.
type AskKey<'w> = (bool, &'w str, [u64; 2]);

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
    pub(super) ask_of: Vec<Ask>,
    /// The agents that can do what is asked for, by place in the workflow.
    pub(super) agents_of: Vec<Vec<usize>>,
}

impl Expected {
    /// Looks at every step once in each direction.
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
        assert_eq!(expected.sequential(), Micros::from_secs(11));
    }

    #[test]
    fn a_person_takes_no_time_and_agents_without_the_resources_are_not_capable() {
        let mut workflow = sample::workflow();
        workflow.steps[3] = Step {
            needs: workflow.steps[3].needs.clone(),
            ..Step::new("risk", Work::Approval { prompt: "?".to_owned(), timeout: None, default: None })
        };
        let expected = Expected::of(&workflow, &sample::shape(&workflow));
        assert_eq!((expected.time[3], expected.known[3], expected.capable(StepId(3)).len()), (Micros::ZERO, true, 0));
        assert_eq!(expected.critical_time, Micros::from_secs(7));
        workflow.steps = vec![step("s", "w", &[], Some(1))];
        workflow.agents = vec![agent("small", "w", 1), agent("large", "w", 1)];
        workflow.agents[0].resources = Some(Resources { cpu: 1.0, memory_mb: Resources::UNBOUNDED });
        workflow.steps[0].resources = Some(Resources { cpu: 2.0, memory_mb: 0.0 });
        assert_eq!(Expected::of(&workflow, &sample::shape(&workflow)).capable(StepId(0)), [1]);
    }
}
