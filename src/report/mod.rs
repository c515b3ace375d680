//! Words and numbers for people and machines: results, plans, graph drawings.

pub mod graph;
