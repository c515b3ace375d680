//! Who should do a step: the contract's choice of agent (section 3.2).

use super::registry::{AgentEntry, Registry};
use super::run::{Class, Run};
use crate::model::bug::{Bug, seeded};
use crate::model::defaults::FINISH_TIE;
use crate::model::id::{AgentId, StepId};

/// Unbroken candidates of a class: backups only when no other is left.
pub(crate) fn unbroken<'r>(registry: &'r Registry, class: &'r Class) -> impl Iterator<Item = AgentId> + 'r {
    let sound = |id: &AgentId| registry.agent(*id).broken.is_none();
    let regular = class.candidates.iter().any(|id| sound(id) && !registry.agent(*id).definition.backup);
    class.candidates.iter().copied().filter(move |id| {
        let entry = registry.agent(*id);
        (entry.broken.is_none() || seeded(Bug::BrokenAgentGetsWork)) && (!regular || !entry.definition.backup)
    })
}

/// Whether the class may start one more attempt, agents aside.
pub(crate) fn has_room(run: &Run, class: &Class) -> bool {
    run.workflow.limits.max_parallel.is_none_or(|max| run.active < max)
        && (class.limit.is_none_or(|max| class.active < max) || seeded(Bug::CapabilityLimitIgnored))
}

/// The best free agent for a step in a class: the earliest expected finish; of those within 5 % of it the least loaded
/// for its weight; then the order of the file. `fresh_only` looks at agents that have not tried the step yet; otherwise
/// those still come before the ones that have.
pub(crate) fn pick(registry: &Registry, run: &Run, step: StepId, class: usize, fresh_only: bool) -> Option<AgentId> {
    let spec = run.spec(step);
    let tried = &run.step(step).tried;
    let free = |fresh: bool| {
        unbroken(registry, &run.classes[class])
            .filter(|id| registry.agent(*id).is_free() && tried.contains(id) != fresh)
            .map(|id| (id, registry.agent(id)))
            .collect::<Vec<_>>()
    };
    let mut able = free(true);
    if able.is_empty() && !fresh_only {
        able = free(false);
    }
    let best = able.iter().map(|(_, entry)| entry.expected(spec).as_secs_f64()).reduce(f64::min)?;
    let near = |entry: &AgentEntry| entry.expected(spec).as_secs_f64() <= best * (1.0 + FINISH_TIE);
    let equals = able.iter().filter(|(_, entry)| near(entry));
    equals.min_by(|(_, a), (_, b)| load(a).total_cmp(&load(b))).map(|(id, _)| *id)
}

#[expect(clippy::cast_precision_loss, reason = "slots are far below 2^52")]
fn load(entry: &AgentEntry) -> f64 {
    (entry.busy.len() + 1) as f64 / entry.definition.weight
}
