//! The graph pane's picture: how much of a step is shown, where every box stands, and which part is in view.
//!
//! Layouts come from `report::graph`; they depend on the shape of the workflow, the pane's size and the direction, never
//! on states, so a running workflow moves nothing.

pub(crate) mod plan;
pub(crate) mod viewport;
