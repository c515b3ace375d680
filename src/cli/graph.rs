//! `upbeat graph`: the drawings of a workflow's graph.

use super::args::{GraphArgs, GraphFormat};
use super::load::{self, Needs};
use super::out::{self, Done};
use crate::model::workflow::Workflow;
use crate::report::format::width;
use crate::report::graph::{Direction, LayoutOptions, TextOptions, dot, from_workflow, json, layout, mermaid, text};
use crate::runtime::clock;

/// Cells around a label: a frame and a space on either side.
const FRAME: u32 = 4;
/// Lines of a box.
const HEIGHT: u32 = 3;
/// Longer labels are cut in the panel.
const LABEL_MAX: u32 = 40;

/// Prints the drawing.
pub(crate) fn graph(args: &GraphArgs) -> Done {
    super::refused::graph(args)?;
    let loaded = load::workflow(&args.file, &args.model, Needs::GraphOnly)?;
    let workflow = loaded.accept(args.output)?;
    out::result(&drawing(&workflow, args)).map(|()| 0)
}

fn drawing(workflow: &Workflow, args: &GraphArgs) -> String {
    let label = |at: usize| u32::try_from(width(&workflow.steps[at].id)).unwrap_or(LABEL_MAX).min(LABEL_MAX);
    let input = from_workflow(workflow, |at| (label(at) + FRAME, HEIGHT));
    let direction = Direction::LeftToRight;
    match args.format {
        GraphFormat::Text | GraphFormat::Svg => {
            text(&input, &TextOptions { collapse: args.collapse, width: args.columns(), ascii: false })
        }
        GraphFormat::Dot => dot(&input, &workflow.id, direction),
        GraphFormat::Mermaid => mermaid(&input, direction),
        GraphFormat::Json => {
            let started = clock::now();
            let drawn = layout(&input, &LayoutOptions::default());
            let layout_ms = clock::now().duration_since(started).as_secs_f64() * 1e3;
            json(&input, &drawn, layout_ms).trim_end().to_owned() + "\n"
        }
    }
}
