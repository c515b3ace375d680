//! From a workflow to what the layout takes.

use super::input::{GraphInput, GraphNode};
use crate::model::workflow::Workflow;

/// The steps of a workflow as nodes, their needs as edges; `size` gives the cells a step's box takes.
#[must_use]
pub fn from_workflow(workflow: &Workflow, mut size: impl FnMut(usize) -> (u32, u32)) -> GraphInput {
    let mut graph = GraphInput::default();
    for (i, step) in workflow.steps.iter().enumerate() {
        let (w, h) = size(i);
        graph.nodes.push(GraphNode {
            id: step.id.to_string(),
            label: step.id.to_string(),
            kind: if step.is_process() { "process" } else { step.kind() }.to_owned(),
            group: step.group.clone(),
            w,
            h,
        });
        graph.edges.extend(step.needs.iter().map(|need| (need.step.index() as u32, i as u32)));
    }
    graph
}
