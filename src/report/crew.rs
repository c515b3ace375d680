//! The agents of a run that is played through: their room, their calls, and what they were seen to take.

use super::schedule::told;
use crate::model::agent::Agent;
use crate::model::defaults::{FINISH_TIE, SIMULATED_DURATION};
use crate::model::policy::Resources;
use crate::model::step::Step;
use crate::model::time::Micros;
use crate::model::workflow::Workflow;
use std::collections::{HashMap, VecDeque};

/// An agent at work.
#[derive(Clone, Debug)]
struct Worker<'a> {
    agent: &'a Agent,
    busy: u32,
    taken: Resources,
    /// When its last calls began, where their number is limited.
    calls: VecDeque<Micros>,
    /// It takes no call for now.
    parked: bool,
    /// Attempts and their total time, per kind of step.
    seen: HashMap<&'a str, (u64, Micros)>,
}

/// All agents, in the order of the file.
#[derive(Clone, Debug)]
pub(super) struct Crew<'a>(Vec<Worker<'a>>);

impl<'a> Crew<'a> {
    pub(super) fn of(workflow: &'a Workflow) -> Self {
        let worker = |agent| Worker {
            agent,
            busy: 0,
            taken: Resources::default(),
            calls: VecDeque::new(),
            parked: false,
            seen: HashMap::new(),
        };
        Self(workflow.agents.iter().map(worker).collect())
    }

    /// Who of these would do a step: the earliest expected end, near-equals by load and weight, then the first of them.
    pub(super) fn pick(&self, among: &[usize], step: &Step) -> Option<usize> {
        let able = || among.iter().map(|&at| (at, &self.0[at])).filter(|(_, worker)| worker.has_room(step));
        let best = able().map(|(_, worker)| worker.expected(step).as_secs_f64()).reduce(f64::min)?;
        let near = |worker: &Worker<'_>| worker.expected(step).as_secs_f64() <= best * (1.0 + FINISH_TIE);
        let equals = able().filter(|(_, worker)| near(worker));
        equals.min_by(|(_, a), (_, b)| a.load().total_cmp(&b.load())).map(|(at, _)| at)
    }

    /// An attempt begins. Gives the time until which the agent takes no further call, if it takes none now.
    pub(super) fn begin(&mut self, agent: usize, step: &Step, now: Micros) -> Option<Micros> {
        let worker = &mut self.0[agent];
        let takes = step.resources.unwrap_or_default();
        worker.busy += 1;
        worker.taken.cpu += takes.cpu;
        worker.taken.memory_mb += takes.memory_mb;
        let limit = worker.agent.rate_limit?;
        worker.calls.push_back(now);
        while worker.calls.len() > limit.calls as usize {
            worker.calls.pop_front();
        }
        let first = worker.calls.front().filter(|_| worker.calls.len() >= limit.calls as usize)?;
        let until = *first + limit.per;
        worker.parked = until > now;
        worker.parked.then_some(until)
    }

    /// An attempt that took so long has ended.
    pub(super) fn end(&mut self, agent: usize, step: &'a Step, took: Micros) {
        let worker = &mut self.0[agent];
        let takes = step.resources.unwrap_or_default();
        worker.busy -= 1;
        // Sums of fractions drift; an idle agent has everything again.
        worker.taken = if worker.busy == 0 {
            Resources::default()
        } else {
            Resources { cpu: worker.taken.cpu - takes.cpu, memory_mb: worker.taken.memory_mb - takes.memory_mb }
        };
        let (count, total) = worker.seen.entry(step.kind()).or_default();
        *count += 1;
        *total += took;
    }

    /// An agent takes calls again.
    pub(super) fn opens(&mut self, agent: usize) {
        self.0[agent].parked = false;
    }
}

impl Worker<'_> {
    fn has_room(&self, step: &Step) -> bool {
        let takes = step.resources.unwrap_or_default();
        let fits = |all| takes.fits(all, self.taken);
        !self.parked && self.busy < self.agent.slots && self.agent.resources.is_none_or(fits)
    }

    /// How long a step should take: as it was seen to, else as it is told.
    fn expected(&self, step: &Step) -> Micros {
        let seen = self.seen.get(step.kind()).map(|(count, total)| Micros(total.0 / count));
        seen.or_else(|| told(self.agent, step)).unwrap_or(SIMULATED_DURATION)
    }

    fn load(&self) -> f64 {
        f64::from(self.busy + 1) / self.agent.weight
    }
}
