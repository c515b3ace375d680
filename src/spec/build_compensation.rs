//! How a step is undone: a step of its own, of the same id and without needs.

use crate::model::defaults;
use crate::model::step::{EnvMap, EnvValue, Step, Work};
use crate::spec::build_agent::env;
use crate::spec::build_policy::retry;
use crate::spec::build_work::{self, Chosen};
use crate::spec::computed::EXPRESSION;
use crate::spec::diagnostic::Code;
use crate::spec::faults::Faults;
use crate::spec::policy_tables::COMPENSATE;
use crate::spec::source::Span;
use crate::spec::tree::{Kind, Node};
use crate::spec::walk::Fields;
use crate::spec::words::quote;

/// Keys of which a compensation gives one at most.
const WAYS: [&str; 4] = ["run", "command", "capability", "agent"];

/// Builds the compensation of a step from `compensate`, and says where it names who does it. It works in the folder and
/// with the variables of the step, else of those that all steps `shared`.
pub(crate) fn compensation(
    id: &str,
    undone: &Chosen<'_>,
    shared: &Fields<'_>,
    faults: &mut Faults<'_>,
) -> Option<(Step, Span)> {
    let node = undone.fields.get("compensate").filter(|node| matches!(node.kind, Kind::Map(_)))?;
    let fields = Fields::of(&COMPENSATE, node);
    let (work, span) = work(&fields, node, undone, faults)?;
    let is_process = matches!(work, Work::Run { .. } | Work::Command { .. });
    let of_process = |name: &str| undone.fields.get(name).or_else(|| shared.get(name)).filter(|_| is_process);
    let step = Step {
        action: fields.text("action").map(Into::into),
        with: fields.get("with").map(Node::to_object).unwrap_or_default(),
        cwd: of_process("cwd").and_then(Node::text).map(str::to_owned),
        env: of_process("env").map(|node| variables(node, faults)).unwrap_or_default(),
        timeout: if fields.has("timeout") {
            fields.time("timeout")
        } else {
            defaults::timeout(is_process, None).into()
        },
        retry: retry(&fields, defaults::COMPENSATION_RETRIES, defaults::COMPENSATION_RETRIES, faults),
        ..Step::new(id, work)
    };
    Some((step, span))
}

/// The variables of the step, but for those that are computed: that is done for the step itself.
fn variables(node: &Node, faults: &mut Faults<'_>) -> EnvMap {
    let mut all = env(node);
    let is_computed = |value: &EnvValue| matches!(value, EnvValue::Text(text) if text.contains(EXPRESSION));
    for (name, _) in all.iter().filter(|(_, value)| is_computed(value)) {
        let message = format!("what undoes this step is not given the variable {}, which is computed", quote(name));
        faults.warning(node.span, Code::NoEffect, message).expected("literal text, if it is needed there");
    }
    all.retain(|(_, value)| !is_computed(value));
    all
}

/// Who undoes it: whoever is named, else whom the step itself asks.
fn work(fields: &Fields<'_>, node: &Node, undone: &Chosen<'_>, faults: &mut Faults<'_>) -> Option<(Work, Span)> {
    let ways = build_work::ways(fields, &WAYS);
    build_work::more_than_one("a compensation", &ways, fields, node.span, faults);
    if let Some((way, named)) = ways.first().and_then(|&way| Some((way, fields.get(way)?))) {
        return Some((build_work::of(way, named, faults), named.span));
    }
    match &undone.work {
        // A step that does nothing is reported as such.
        Work::Run { line } if line.is_empty() => None,
        Work::Run { .. } | Work::Command { .. } => {
            faults
                .error(node.span, Code::MissingKey, "this compensation does not say who undoes what a command did")
                .expected("one of `run`, `command`, `capability` or `agent`");
            None
        }
        _ if !fields.has("action") => {
            faults
                .error(node.span, Code::MissingKey, "this compensation does not say what undoes the step")
                .expected("`action`, or one of `run`, `command`, `capability` or `agent`");
            None
        }
        work => Some((work.clone(), undone.span)),
    }
}
