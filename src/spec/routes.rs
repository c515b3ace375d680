//! Routes and templates seen together: names that lead nowhere, and ways that nothing goes.

use crate::model::agent::Builtin;
use crate::model::step::Work;
use crate::spec::build::Draft;
use crate::spec::diagnostic::Code;
use crate::spec::faults::Faults;
use crate::spec::words::{NearestName, quote};
use std::collections::HashSet;

/// Reports them. A name of a path is a template of the file, or a built-in capability. Templates of a `part`, which another
/// file uses, may be meant for that one.
pub(crate) fn report(draft: &Draft, part: bool, faults: &mut Faults<'_>) {
    let templates: Vec<&str> = draft.templates.iter().map(|draft| &*draft.step.id).collect();
    let mut known: HashSet<&str> = templates.iter().copied().collect();
    known.extend(Builtin::NAMED.iter().map(|builtin| builtin.capability()));
    let mut near = NearestName::default();
    for route in &draft.routes {
        for (name, span) in route.route.path.iter().zip(&route.spans) {
            if !known.contains(&**name) {
                let built = Builtin::NAMED.iter().map(|builtin| builtin.capability());
                let all: Vec<&str> = templates.iter().copied().chain(built).collect();
                let near = near.of(name, all.into_iter());
                faults
                    .error(*span, Code::UnknownTemplate, format!("there is no template {}", quote(name)))
                    .expected("the name of one of `templates`, or a built-in capability such as `validate`")
                    .suggest(near);
            }
        }
    }
    if draft.steps.iter().any(|step| matches!(step.step.work, Work::Route)) {
        return;
    }
    let way_out = "a step with `route: true`, which goes by them";
    if let Some(first) = draft.templates.first().filter(|_| !part) {
        let message = "`templates` have no effect: no step has `route: true`";
        faults.warning(first.span, Code::NoEffect, message).expected(way_out);
    }
    if let Some(first) = draft.routes.first() {
        let message = "`routes` have no effect: no step has `route: true`";
        faults.warning(first.span, Code::NoEffect, message).expected(way_out);
    }
}
