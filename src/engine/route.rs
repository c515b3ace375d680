//! Who should do a step: the contract's choice of agent (section 3.2), and why nobody can.

use super::registry::{AgentEntry, Registry};
use super::run::{Class, Run};
use crate::model::bug::{Bug, seeded};
use crate::model::defaults::FINISH_TIE;
use crate::model::id::{AgentId, StepId};
use crate::model::state::{BreakerState, WaitReason};
use crate::model::time::Micros;

/// Unbroken candidates of a class: backups only while no other one works (is unbroken, its breaker closed).
pub(crate) fn unbroken<'r>(registry: &'r Registry, class: &'r Class) -> impl Iterator<Item = AgentId> + 'r {
    unbroken_without(registry, class, None)
}

/// The same as if one of them were gone: an agent that is just being found to be broken stands in for nobody.
pub(crate) fn unbroken_without<'r>(
    registry: &'r Registry,
    class: &'r Class,
    gone: Option<AgentId>,
) -> impl Iterator<Item = AgentId> + 'r {
    let others = move || class.candidates.iter().copied().filter(move |id| Some(*id) != gone);
    let regular = others().map(|id| registry.agent(id)).any(|entry| entry.is_sound() && !entry.definition.backup);
    others().filter(move |id| {
        let entry = registry.agent(*id);
        (entry.broken.is_none() || seeded(Bug::BrokenAgentGetsWork))
            && (!regular || !entry.definition.backup || seeded(Bug::BackupBesideOthers))
    })
}

/// Candidates that take work, whether or not they have room for more now.
pub(crate) fn open<'r>(registry: &'r Registry, class: &'r Class) -> impl Iterator<Item = AgentId> + 'r {
    unbroken(registry, class).filter(|id| registry.agent(*id).is_open())
}

/// Why nobody takes work of this class, and until when; `None`: somebody does.
pub(crate) fn obstacle(registry: &Registry, class: &Class) -> Option<(WaitReason, Option<Micros>)> {
    if open(registry, class).next().is_some() {
        return None;
    }
    let capability = class.asks_for.clone();
    let all: Vec<AgentId> = unbroken(registry, class).collect();
    if all.is_empty() {
        let broken = class.candidates.clone();
        let until = broken.iter().filter_map(|id| registry.agent(*id).broken.as_ref()?.until).min();
        return Some((WaitReason::Capability { capability, broken }, until));
    }
    // What ends first is the reason: an agent both parked and behind a breaker waits for the later of the two.
    let parked = |id: &AgentId| registry.agent(*id).parked;
    let opens = |id: &AgentId| match registry.agent(*id).breaker.state {
        BreakerState::Open { until, .. } => Some(until.max(parked(id).unwrap_or_default())),
        _ => None,
    };
    let behind = |id: &AgentId| !registry.agent(*id).breaker.admits();
    let limited: Vec<AgentId> = all.iter().copied().filter(|id| !behind(id)).collect();
    let next_call = limited.iter().filter_map(parked).min();
    let next_probe = all.iter().filter(|id| behind(id)).filter_map(opens).min();
    let calls_first = next_call.is_some_and(|call| next_probe.is_none_or(|probe| call <= probe));
    if calls_first {
        return Some((WaitReason::RateLimit { capability, agents: limited }, next_call));
    }
    let agents = all.into_iter().filter(behind).collect();
    Some((WaitReason::Breaker { capability, agents }, next_probe))
}

/// Whether the class may start one more attempt, agents aside.
pub(crate) fn has_room(run: &Run, class: &Class) -> bool {
    run.workflow.limits.max_parallel.is_none_or(|max| run.active < max)
        && (class.limit.is_none_or(|max| run.active_of_limit(class) < max) || seeded(Bug::CapabilityLimitIgnored))
}

/// Whether somebody else can take a step when an agent is gone.
pub(crate) fn has_others(registry: &Registry, class: &Class, gone: AgentId) -> bool {
    unbroken_without(registry, class, Some(gone)).next().is_some()
}

/// The best free agent for a step in a class: the earliest expected finish; of those within 5 % of it the least loaded
/// for its weight; then the order of the file. `fresh_only` looks at agents that have not tried the step yet; otherwise
/// those still come before the ones that have.
pub(crate) fn pick(registry: &Registry, run: &Run, step: StepId, class: usize, fresh_only: bool) -> Option<AgentId> {
    pick_without(registry, run, step, class, fresh_only, None)
}

/// The same as if one agent were gone.
pub(crate) fn pick_without(
    registry: &Registry,
    run: &Run,
    step: StepId,
    class: usize,
    fresh_only: bool,
    gone: Option<AgentId>,
) -> Option<AgentId> {
    let spec = run.spec_now(step);
    let tried = &run.step(step).tried;
    let class = &run.classes[class];
    let free = |fresh: bool| {
        unbroken_without(registry, class, gone)
            .filter(|id| registry.agent(*id).is_open())
            .filter(|id| registry.agent(*id).has_room(class.demand) && tried.contains(id) != fresh)
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
