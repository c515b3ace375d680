//! The graph for Mermaid. Nodes are numbered and names stand only in labels, as entities where they could mean more.

use super::input::{Direction, GraphInput};
use crate::model::safe::Safe;
use std::fmt::Write as _;

/// A `flowchart` of the whole graph.
#[must_use]
pub fn mermaid(input: &GraphInput, direction: Direction) -> String {
    let mut out = String::from(match direction {
        Direction::LeftToRight => "flowchart LR\n",
        Direction::TopToBottom => "flowchart TB\n",
    });
    for (i, node) in input.nodes.iter().enumerate() {
        let _ = writeln!(out, "  s{i}[\"{}\"]", label(&node.label));
    }
    for (from, to) in &input.edges {
        let _ = writeln!(out, "  s{from} --> s{to}");
    }
    out
}

fn label(text: &str) -> String {
    let mut out = String::new();
    for c in Safe::line(text).as_str().chars() {
        if matches!(c, '"' | '#' | '&' | '<' | '>' | '`' | '\\' | ';' | '%') {
            let _ = write!(out, "#{};", u32::from(c));
        } else {
            out.push(c);
        }
    }
    if out.is_empty() { String::from(" ") } else { out }
}

#[cfg(test)]
mod tests {
    use super::super::GraphNode;
    use super::*;

    #[test]
    fn a_hostile_name_is_only_text() {
        let nodes = vec![GraphNode::new("x\"]; click s0 <b>", 1, 1), GraphNode::new("end", 1, 1)];
        let text = mermaid(&GraphInput { nodes, edges: vec![(0, 1)] }, Direction::TopToBottom);
        assert_eq!(text, "flowchart TB\n  s0[\"x#34;]#59; click s0 #60;b#62;\"]\n  s1[\"end\"]\n  s0 --> s1\n");
    }
}
