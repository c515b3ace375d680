//! The graph for Graphviz. Every name is quoted, so none can end its string or be taken for an instruction.

use super::input::{Direction, GraphInput};
use crate::model::safe::Safe;
use std::fmt::Write as _;

/// A `digraph` of the whole graph.
#[must_use]
pub fn dot(input: &GraphInput, name: &str, direction: Direction) -> String {
    let flow = match direction {
        Direction::LeftToRight => "LR",
        Direction::TopToBottom => "TB",
    };
    let mut out = format!("digraph {} {{\n  rankdir={flow};\n  node [shape=box, style=rounded];\n", quoted(name));
    for node in &input.nodes {
        let _ = writeln!(out, "  {} [label={}];", quoted(&node.id), quoted(&node.label));
    }
    let id = |v: u32| input.nodes.get(v as usize).map_or_else(String::new, |n| quoted(&n.id));
    for (from, to) in &input.edges {
        let _ = writeln!(out, "  {} -> {};", id(*from), id(*to));
    }
    out.push_str("}\n");
    out
}

/// Quotes are escaped for the reader, backslashes for the label language (`\N`, `\l`).
fn quoted(text: &str) -> String {
    let safe = Safe::line(text).into_string();
    format!("\"{}\"", safe.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::super::GraphNode;
    use super::*;

    #[test]
    fn a_hostile_name_stays_inside_its_quotes() {
        let nodes = vec![GraphNode::new("a\"];evil\\", 1, 1), GraphNode::new("b", 1, 1)];
        let text = dot(&GraphInput { nodes, edges: vec![(0, 1)] }, "w", Direction::LeftToRight);
        assert_eq!(
            text,
            "digraph \"w\" {\n  rankdir=LR;\n  node [shape=box, style=rounded];\n  \
             \"a\\\"];evil\\\\\" [label=\"a\\\"];evil\\\\\"];\n  \"b\" [label=\"b\"];\n  \"a\\\"];evil\\\\\" -> \"b\";\n}\n"
        );
    }
}
