//! The layout as JSON: one document, the same bytes for the same layout.

use super::drawing::Layout;
use super::input::GraphInput;
use crate::model::safe::is_invisible;
use std::fmt::Write as _;

/// Nodes, edges with the places they pass and their polylines, and the figures. `layout_ms` is the caller's to measure.
#[must_use]
pub fn json(input: &GraphInput, layout: &Layout, layout_ms: f64) -> String {
    let mut out = String::from("{\"nodes\":[");
    for (i, (node, placed)) in input.nodes.iter().zip(&layout.nodes).enumerate() {
        out.push_str(if i > 0 { ",{\"id\":" } else { "{\"id\":" });
        string(&mut out, &node.id);
        let (area, rank, cross) = (placed.area, placed.rank, placed.cross);
        let (x, y, w, h) = (area.x, area.y, area.w, area.h);
        let _ = write!(out, ",\"rank\":{rank},\"cross\":{cross},\"x\":{x},\"y\":{y},\"w\":{w},\"h\":{h}}}");
    }
    out.push_str("],\"edges\":[");
    let name = |v: u32| input.nodes.get(v as usize).map_or("", |n| n.id.as_str());
    for (i, (from, to)) in input.edges.iter().enumerate() {
        out.push_str(if i > 0 { ",{\"from\":" } else { "{\"from\":" });
        string(&mut out, name(*from));
        out.push_str(",\"to\":");
        string(&mut out, name(*to));
        out.push_str(",\"via\":[");
        for (k, place) in layout.via(i).enumerate() {
            let _ = write!(out, "{}{place}", if k > 0 { "," } else { "" });
        }
        out.push_str("],\"points\":[");
        for (k, p) in layout.points(i).iter().enumerate() {
            let _ = write!(out, "{}[{},{}]", if k > 0 { "," } else { "" }, p.x, p.y);
        }
        out.push_str("]}");
    }
    let time = if layout_ms.is_finite() { layout_ms } else { 0.0 };
    let _ = write!(out, "],\"crossings\":{},\"layout_ms\":{time}}}", layout.crossings);
    out
}

/// A JSON string in which nothing can steer a terminal: what is not plainly visible is escaped.
fn string(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if c.is_control() || is_invisible(c) => {
                let mut units = [0; 2];
                for unit in c.encode_utf16(&mut units) {
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::super::{GraphNode, LayoutOptions, layout};
    use super::*;

    #[test]
    fn a_long_edge_names_the_places_it_passes_and_the_document_parses() {
        let nodes = ["a", "b\u{1b}\u{202e}", "c"].map(|id| GraphNode::new(id, 5, 1)).to_vec();
        let input = GraphInput { nodes, edges: vec![(0, 1), (1, 2), (0, 2)] };
        let drawn = layout(&input, &LayoutOptions::default());
        let text = json(&input, &drawn, 1.5);
        assert!(text.chars().all(|c| !c.is_control() && !is_invisible(c)), "{text}");
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["nodes"][1]["id"], "b\u{1b}\u{202e}");
        assert_eq!(value["edges"][2]["via"].as_array().unwrap().len(), 1);
        assert_ne!(value["edges"][2]["via"][0], value["nodes"][1]["cross"]);
        assert_eq!(value["layout_ms"], 1.5);
        assert_eq!(text, json(&input, &layout(&input, &LayoutOptions::default()), 1.5));
    }

    #[test]
    fn an_empty_graph_is_an_empty_document() {
        let input = GraphInput::default();
        let drawn = layout(&input, &LayoutOptions::default());
        assert_eq!(json(&input, &drawn, 0.0), r#"{"nodes":[],"edges":[],"crossings":0,"layout_ms":0}"#);
    }
}
