//! The engine's whole state: runs and the registry they share.

use super::make::new_run;
use super::registry::{Registry, Standing};
use super::run::Run;
use crate::model::command::Rejection;
use crate::model::id::{AgentId, Name, RunId};
use crate::model::workflow::Workflow;
use std::sync::Arc;

/// State.
#[derive(Clone, Debug, Default)]
pub(crate) struct World {
    pub(crate) runs: Vec<Run>,
    pub(crate) registry: Registry,
}

impl World {
    pub(crate) fn run(&self, id: RunId) -> &Run {
        &self.runs[id.index()]
    }
    pub(crate) fn run_mut(&mut self, id: RunId) -> &mut Run {
        &mut self.runs[id.index()]
    }
    /// Steps of all runs.
    pub(crate) fn steps(&self) -> usize {
        self.runs.iter().map(|run| run.steps.len()).sum()
    }
    /// Runs under way that know this agent.
    pub(crate) fn live_runs_with(&self, agent: AgentId) -> impl Iterator<Item = &Run> {
        self.runs.iter().filter(move |run| run.started.is_some() && !run.state.ended() && run.agents.contains(&agent))
    }

    /// Agents of runs under way, and whether they take work.
    pub(crate) fn agents_in_use(&self) -> Vec<(AgentId, Standing)> {
        let ids = (0..self.registry.agents.len()).map(AgentId::from_index);
        let in_use = ids.filter(|id| self.live_runs_with(*id).next().is_some());
        in_use.map(|id| (id, self.registry.agent(id).standing())).collect()
    }

    /// Takes the last run out again; its agents stay known.
    pub(crate) fn unload(&mut self, id: RunId) {
        self.runs.truncate(id.index());
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
        let id = RunId::from_index(self.runs.len());
        self.runs.push(new_run(id, name, workflow, seed, agents));
        Ok(id)
    }
}
