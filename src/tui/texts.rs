//! Foreign names made safe once, not per frame: of the workflow, its steps and its agents.

use crate::model::id::{AgentId, StepId};
use crate::model::safe::Safe;
use crate::model::view::{EngineView, RunView};
use crate::report::events::Names;
use std::sync::Arc;

/// The names of one run, and the order its steps are listed in.
#[derive(Clone, Debug, Default)]
pub(crate) struct Texts {
    /// The workflow's id.
    pub(crate) workflow: Safe,
    /// The run's name.
    pub(crate) run: Safe,
    /// The workflow's description.
    pub(crate) description: Safe,
    steps: Vec<Safe>,
    agents: Vec<Safe>,
    /// Steps by row.
    order: Vec<StepId>,
    /// Rows by step.
    rows: Vec<u32>,
    /// What event lines need.
    pub(crate) names: Option<Names>,
}

impl Texts {
    /// Brings the texts up to date; cheap where nothing new has come.
    pub(crate) fn refresh(&mut self, view: &EngineView, run: &RunView) {
        let fresh = self.names.as_ref().is_some_and(|names| {
            Arc::ptr_eq(&names.workflow, &run.workflow)
                && names.agents.len() == view.agents.len()
                && names.started == run.started
        });
        if fresh && self.order.len() == run.shape.order.len() {
            return;
        }
        let safe = |text: &str| Safe::line(text);
        self.workflow = safe(&run.workflow.id);
        self.run = safe(&run.name);
        let about = run.workflow.description.as_deref().or(run.workflow.name.as_deref()).unwrap_or_default();
        self.description = safe(about.lines().next().unwrap_or_default());
        self.steps = run.workflow.steps.iter().map(|step| safe(&step.id)).collect();
        self.agents = view.agents.iter().map(|agent| safe(&agent.name)).collect();
        self.order.clone_from(&run.shape.order);
        self.rows = vec![0; self.steps.len()];
        for (row, step) in (0u32..).zip(&self.order) {
            if let Some(place) = self.rows.get_mut(step.index()) {
                *place = row;
            }
        }
        self.names = Some(Names::of(run, &view.agents));
    }

    /// A step's name.
    pub(crate) fn step(&self, id: StepId) -> &str {
        self.steps.get(id.index()).map_or("?", Safe::as_str)
    }
    /// An agent's name.
    pub(crate) fn agent(&self, id: AgentId) -> &str {
        self.agents.get(id.index()).map_or("?", Safe::as_str)
    }
    /// Steps in the order they are listed.
    pub(crate) fn order(&self) -> &[StepId] {
        &self.order
    }
    /// Agents by place.
    pub(crate) fn agents(&self) -> &[Safe] {
        &self.agents
    }
    /// The row a step is listed in.
    pub(crate) fn row(&self, step: StepId) -> usize {
        self.rows.get(step.index()).map_or(0, |row| *row as usize)
    }
    /// Some names, the rest counted: `a, b and 3 more`.
    pub(crate) fn list(&self, steps: &[StepId], most: usize) -> String {
        let shown: Vec<&str> = steps.iter().take(most).map(|step| self.step(*step)).collect();
        match steps.len().saturating_sub(most) {
            0 => shown.join(", "),
            more => format!("{} and {more} more", shown.join(", ")),
        }
    }
}
