//! What holds a run up beside its graph: slots, limits and rates, each measured by playing the run without it.

use super::plain::duration;
use super::play::play;
use super::risks::{Risk, Scene};
use crate::model::agent::Agent;
use crate::model::defaults::BUILTIN_SLOTS;
use crate::model::id::{Name, StepId};
use crate::model::policy::Mode;
use crate::model::step::Work;
use crate::model::time::Micros;
use crate::model::workflow::Workflow;
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// Runs that are played for this at most: the tightest places come first.
const PLAYS_MAX: usize = 8;

/// The most steps at work at once that levels allow: of all steps, and per capability.
fn widest<'w>(scene: Scene<'w>) -> (usize, BTreeMap<&'w Name, (usize, Vec<StepId>)>) {
    let depth = scene.shape.level.iter().max().map_or(0, |most| *most as usize + 1);
    let mut all = vec![0; depth];
    let mut of: BTreeMap<(&Name, u32), Vec<StepId>> = BTreeMap::new();
    for id in scene.workflow.step_ids().filter(|id| scene.expected.works.runs[id.index()]) {
        let (step, level) = (scene.workflow.step(id), scene.shape.level[id.index()]);
        let times = usize::try_from(scene.expected.times[id.index()].at_least()).unwrap_or(usize::MAX);
        if !step.is_approval() {
            all[level as usize] += times;
        }
        if let Work::Capability { capability } = &step.work {
            of.entry((capability, level)).or_default().push(id);
        }
    }
    let mut capabilities: BTreeMap<&Name, (usize, Vec<StepId>)> = BTreeMap::new();
    for ((capability, _), steps) in of {
        let times = steps.iter().map(|id| scene.expected.times[id.index()].at_least()).sum::<u64>();
        let times = usize::try_from(times).unwrap_or(usize::MAX);
        let widest = capabilities.entry(capability).or_default();
        if times > widest.0 {
            *widest = (times, steps);
        }
    }
    (all.into_iter().max().unwrap_or(0), capabilities)
}

/// How many steps could run at once if nothing but the graph held them up: those of the widest level.
pub(super) fn independent(scene: Scene<'_>) -> usize {
    widest(scene).0
}

/// The limits that make the run longer, and by how much.
pub(super) fn risks(scene: Scene<'_>) -> Vec<Risk> {
    let Scene { workflow, shape, expected, strategy, played, .. } = scene;
    // One after the other nothing is short; and nothing is shorter than the critical path.
    if strategy == Mode::Sequential || played.time <= expected.critical_time {
        return Vec::new();
    }
    let shorter = |without: &Workflow| {
        let time = play(without, shape, strategy).time;
        (time < played.time).then_some(time)
    };
    let instead = |time: Micros| format!("{} instead of {}", duration(played.time), duration(time));
    let mut risks = Vec::new();
    let (most, capabilities) = widest(scene);
    if let Some(limit) = workflow.limits.max_parallel.filter(|limit| (*limit as usize) < most) {
        let mut without = workflow.clone();
        without.limits.max_parallel = None;
        let risk = |time| Risk {
            kind: "max_parallel",
            steps: Vec::new(),
            agents: Vec::new(),
            message: format!("`max_parallel` is {limit}, the widest level has {most}: {}", instead(time)),
            remedy: "raise `limits.max_parallel`",
        };
        risks.extend(shorter(&without).map(risk));
    }
    let mut short: Vec<_> = capabilities
        .into_iter()
        .map(|(capability, (wanted, steps))| (capability, wanted, places(workflow, capability), steps))
        .filter(|(_, wanted, places, _)| wanted > places)
        .collect();
    short.sort_by_key(|(_, wanted, places, _)| Reverse(wanted - places));
    for (capability, wanted, places, steps) in short.into_iter().take(PLAYS_MAX) {
        let message = |time| {
            format!("{wanted} of one level ask for `{capability}`, {places} can be done at once: {}", instead(time))
        };
        let remedy = "more slots or agents: `upbeat plan FILE --what-if CAPABILITY=+1` says what they save";
        let found = shorter(&lifted(workflow, capability));
        let agents = Vec::new();
        risks.extend(found.map(|time| Risk { kind: "slots", steps, agents, message: message(time), remedy }));
    }
    risks.extend(rates(scene, &shorter, &instead));
    risks
}

/// Agents whose declared rate makes the run longer.
fn rates(
    scene: Scene<'_>,
    shorter: &dyn Fn(&Workflow) -> Option<Micros>,
    instead: &dyn Fn(Micros) -> String,
) -> Vec<Risk> {
    let workflow = scene.workflow;
    let limited = (0..workflow.agents.len()).filter_map(|at| Some((at, workflow.agents[at].rate_limit?)));
    let mut risks = Vec::new();
    for (at, limit) in limited.take(PLAYS_MAX) {
        let mut without = workflow.clone();
        without.agents[at].rate_limit = None;
        let Some(time) = shorter(&without) else { continue };
        let (calls, per) = (limit.calls, duration(limit.per));
        let uses = |id: &StepId| scene.expected.works.capable(*id).contains(&at);
        risks.push(Risk {
            kind: "rate_limit",
            steps: workflow.step_ids().filter(uses).collect(),
            agents: vec![at],
            message: format!("`{}` takes {calls} calls in {per}: {}", workflow.agents[at].id, instead(time)),
            remedy: "raise its `rate_limit`, or add an agent that shares the work",
        });
    }
    risks
}

/// How many attempts at a capability there may be at once.
fn places(workflow: &Workflow, capability: &Name) -> usize {
    let offers = |agent: &&Agent| agent.capabilities.contains(capability);
    let backups = workflow.agents.iter().filter(offers).all(|agent| agent.backup);
    let counted = workflow.agents.iter().filter(offers).filter(|agent| backups || !agent.backup);
    let slots = counted.fold(0_u32, |sum, agent| sum.saturating_add(agent.slots));
    workflow.limits.capability.get(capability).map_or(slots, |limit| slots.min(*limit)) as usize
}

/// The workflow with as many places for a capability as are asked for.
fn lifted(workflow: &Workflow, capability: &Name) -> Workflow {
    let mut without = workflow.clone();
    without.limits.capability.shift_remove(capability);
    for agent in without.agents.iter_mut().filter(|agent| agent.capabilities.contains(capability)) {
        agent.slots = BUILTIN_SLOTS;
    }
    without
}
