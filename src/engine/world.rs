//! The engine's whole state: runs and the registry they share.

use super::make::new_run;
use super::registry::{Registry, Standing};
use super::run::Run;
use crate::model::command::Rejection;
use crate::model::id::{AgentId, Name, RunId};
use crate::model::workflow::Workflow;
use std::collections::BTreeMap;
use std::sync::Arc;

/// State.
#[derive(Clone, Debug, Default)]
pub(crate) struct World {
    /// In the order they came: the older one is served first.
    pub(crate) runs: BTreeMap<RunId, Run>,
    /// The id of the next run. Ids are not given again before all others have been, so that what is late for a run that is
    /// gone finds nobody.
    next: u32,
    pub(crate) registry: Registry,
}

impl World {
    /// One whose next run has this id.
    #[cfg(test)]
    pub(crate) fn starting_at(next: u32) -> Self {
        Self { next, ..Self::default() }
    }
    pub(crate) fn run(&self, id: RunId) -> &Run {
        &self.runs[&id]
    }
    pub(crate) fn run_mut(&mut self, id: RunId) -> &mut Run {
        self.runs.get_mut(&id).expect("asked for by its own id")
    }
    /// Steps of all runs.
    pub(crate) fn steps(&self) -> usize {
        self.runs.values().map(|run| run.steps.len()).sum()
    }
    /// Runs under way that know this agent.
    pub(crate) fn live_runs_with(&self, agent: AgentId) -> impl Iterator<Item = &Run> {
        self.runs.values().filter(move |run| run.started.is_some() && !run.state.ended() && run.agents.contains(&agent))
    }

    /// Agents of runs under way, and whether they take work.
    pub(crate) fn agents_in_use(&self) -> Vec<(AgentId, Standing)> {
        let ids = (0..self.registry.agents.len()).map(AgentId::from_index);
        let in_use = ids.filter(|id| self.live_runs_with(*id).next().is_some());
        in_use.map(|id| (id, self.registry.agent(id).standing())).collect()
    }

    /// Takes the last run out again, as if it had never come; its agents stay known.
    pub(crate) fn take_back(&mut self, id: RunId) {
        self.unload(id);
        self.next = id.0;
    }

    /// Takes a run out; its agents stay known, with all that was learnt of them.
    pub(crate) fn unload(&mut self, id: RunId) {
        self.runs.remove(&id);
        for agent in &mut self.registry.agents {
            agent.busy.retain(|(run, _), _| *run != id);
        }
    }

    pub(crate) fn load(&mut self, workflow: Arc<Workflow>, name: Name, seed: u64) -> Result<RunId, Rejection> {
        for agent in &workflow.agents {
            let Some(known) = self.registry.find(&agent.id) else { continue };
            let entry = self.registry.agent(known);
            if *entry.definition != *agent && !entry.busy.is_empty() {
                return Err(Rejection::with_way_out(
                    format!("agent {} is at work under another definition", agent.id),
                    "load the run when that work has ended, or give the agent another id",
                ));
            }
        }
        let agents = workflow.agents.iter().map(|agent| self.registry.put(agent)).collect();
        while self.runs.contains_key(&RunId(self.next)) {
            self.next = self.next.wrapping_add(1);
        }
        let id = RunId(self.next);
        self.next = self.next.wrapping_add(1);
        self.runs.insert(id, new_run(id, name, workflow, seed, agents));
        Ok(id)
    }
}
