//! The agents known now: what they can do, what they are doing, how long things took them.

use crate::model::agent::Agent;
use crate::model::bug::{Bug, seeded};
use crate::model::id::{AgentId, Name, RunId, StepId};
use crate::model::state::Broken;
use crate::model::step::Step;
use crate::model::time::Micros;
use crate::model::view::Busy;
use std::collections::BTreeMap;
use std::sync::Arc;

/// One agent and its doings.
#[derive(Clone, Debug)]
pub(crate) struct AgentEntry {
    pub(crate) definition: Arc<Agent>,
    pub(crate) broken: Option<Broken>,
    /// Counts how often it broke: the epoch of heal timers.
    pub(crate) breaks: u32,
    /// Attempts under way.
    pub(crate) busy: BTreeMap<(RunId, StepId), Busy>,
    pub(crate) succeeded: u64,
    pub(crate) failed: u64,
    /// Successful attempts and their total time, per kind of step.
    measured: BTreeMap<Name, (u32, Micros)>,
}

impl AgentEntry {
    pub(crate) fn is_free(&self) -> bool {
        (self.broken.is_none() || seeded(Bug::BrokenAgentGetsWork)) && self.busy.len() < self.definition.slots as usize
    }
    /// Successful attempts and their total time, per kind of step.
    pub(crate) const fn measured(&self) -> &BTreeMap<Name, (u32, Micros)> {
        &self.measured
    }
    /// Takes over what earlier attempts came to.
    pub(crate) fn set_measured(&mut self, succeeded: u64, failed: u64, measured: BTreeMap<Name, (u32, Micros)>) {
        (self.succeeded, self.failed, self.measured) = (succeeded, failed, measured);
    }
    /// Notes how long a successful attempt took.
    pub(crate) fn measure(&mut self, kind: &str, time: Micros) {
        if let Some((count, total)) = self.measured.get_mut(kind) {
            *count += 1;
            *total += time;
        } else {
            self.measured.insert(kind.into(), (1, time));
        }
    }
    /// How long it should take: measured, else known, else the default.
    pub(crate) fn expected(&self, step: &Step) -> Micros {
        if let Some((count, total)) = self.measured.get(step.kind()) {
            return Micros(total.0 / u64::from(*count));
        }
        super::graph::agent_time(&self.definition.kind, step).unwrap_or(crate::model::defaults::SIMULATED_DURATION)
    }
}

/// All agents, in the order they came.
#[derive(Clone, Debug, Default)]
pub(crate) struct Registry {
    pub(crate) agents: Vec<AgentEntry>,
}

impl Registry {
    pub(crate) fn agent(&self, id: AgentId) -> &AgentEntry {
        &self.agents[id.index()]
    }
    pub(crate) fn agent_mut(&mut self, id: AgentId) -> &mut AgentEntry {
        &mut self.agents[id.index()]
    }
    pub(crate) fn find(&self, name: &str) -> Option<AgentId> {
        self.agents.iter().position(|entry| &*entry.definition.id == name).map(AgentId::from_index)
    }
    /// Adds an agent, or replaces the definition of one by the same name.
    pub(crate) fn put(&mut self, definition: &Agent) -> AgentId {
        let definition = Arc::new(definition.clone());
        if let Some(id) = self.find(&definition.id) {
            self.agent_mut(id).definition = definition;
            return id;
        }
        self.agents.push(AgentEntry {
            definition,
            broken: None,
            breaks: 0,
            busy: BTreeMap::new(),
            succeeded: 0,
            failed: 0,
            measured: BTreeMap::new(),
        });
        AgentId::from_index(self.agents.len() - 1)
    }
}
