//! What steps share: permits that have to agree, and resources that somebody has to have.

use crate::model::agent::Agent;
use crate::model::policy::Resources;
use crate::model::step::{Fallback, Step, Work};
use crate::spec::build::Draft;
use crate::spec::build_step::DraftStep;
use crate::spec::diagnostic::Code;
use crate::spec::faults::Faults;
use crate::spec::source::Span;
use crate::spec::words::{join, quote};
use std::collections::HashMap;

/// Agents whose resources a message names.
const AGENTS_SHOWN: usize = 3;

/// Reports semaphores that are given different permits.
pub(crate) fn semaphores<'d>(steps: impl Iterator<Item = &'d DraftStep>, faults: &mut Faults<'_>) {
    let mut known: HashMap<&str, (u32, Span)> = HashMap::new();
    for draft in steps {
        let Some(semaphore) = &draft.step.semaphore else { continue };
        let here = draft.places.semaphore;
        let &mut (permits, first) = known.entry(&semaphore.name).or_insert((semaphore.permits, here));
        if permits != semaphore.permits {
            let (name, line) = (quote(&semaphore.name), faults.line(first));
            let message =
                format!("semaphore {name} has {} permits here and {permits} in line {line}", semaphore.permits);
            faults.error(here, Code::Conflict, message).expected("the same `permits` wherever the name is given");
        }
    }
}

/// Whom an attempt can go to: one agent, or all with a capability.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Asked<'s> {
    Agent(&'s str),
    Capability(&'s str),
}

impl<'s> Asked<'s> {
    fn of_step(step: &'s Step) -> Self {
        match &step.work {
            Work::Agent { agent } => Self::Agent(agent),
            _ => Self::Capability(step.asks_for()),
        }
    }
    fn of_fallback(fallback: &'s Fallback) -> Option<Self> {
        match fallback {
            Fallback::Agent(agent) => Some(Self::Agent(agent)),
            Fallback::Capability(capability) => Some(Self::Capability(capability)),
            Fallback::Value(_) => None,
        }
    }
    fn is_met_by(self, agent: &Agent) -> bool {
        match self {
            Self::Agent(id) => &*agent.id == id,
            Self::Capability(capability) => agent.capabilities.iter().any(|own| &**own == capability),
        }
    }
}

/// What comes of asking for resources.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Fits,
    /// Nobody who could do it says what it has.
    NoEffect,
    /// Nobody who could do it has so much.
    Never,
}

/// Reports steps that take more than any agent has that could do them. `agents` are all of the files and of the option
/// `--agents`; asked only where none of them has a fault of its own, which might be the one that is meant.
pub(crate) fn resources(draft: &Draft, agents: &[Agent], faults: &mut Faults<'_>) {
    let mut known: HashMap<(Asked<'_>, u64, u64), Verdict> = HashMap::new();
    for step in draft.steps.iter().chain(&draft.templates) {
        let Some(taken) = step.step.resources else { continue };
        let itself = (Asked::of_step(&step.step), step.places.resources, true);
        let fallbacks = step.step.fallback.iter().zip(&step.fallback_spans);
        let others = fallbacks.filter_map(|(fallback, span)| Some((Asked::of_fallback(fallback)?, *span, false)));
        for (asked, span, is_itself) in std::iter::once(itself).chain(others) {
            let key = (asked, taken.cpu.to_bits(), taken.memory_mb.to_bits());
            let verdict = *known.entry(key).or_insert_with(|| judge(asked, taken, agents));
            match verdict {
                Verdict::Never => never(asked, taken, span, agents, faults),
                Verdict::NoEffect if is_itself => {
                    let message = "`resources` has no effect: no agent that can do this step says what it has";
                    faults.warning(span, Code::NoEffect, message).expected("`resources` at the agents");
                }
                Verdict::Fits | Verdict::NoEffect => {}
            }
        }
    }
}

fn judge(asked: Asked<'_>, taken: Resources, agents: &[Agent]) -> Verdict {
    let (mut bounded, mut unbounded) = (false, false);
    for agent in agents.iter().filter(|agent| asked.is_met_by(agent)) {
        match agent.resources {
            Some(has) if taken.fits(has, Resources::default()) => return Verdict::Fits,
            Some(_) => bounded = true,
            None => unbounded = true,
        }
    }
    match (bounded, unbounded) {
        (true, false) => Verdict::Never,
        (true, true) => Verdict::Fits,
        // Built-in agents have what is asked; where nobody can do it at all, that is said elsewhere.
        (false, _) => Verdict::NoEffect,
    }
}

fn never(asked: Asked<'_>, taken: Resources, span: Span, agents: &[Agent], faults: &mut Faults<'_>) {
    if faults.is_full() {
        faults.error(span, Code::OutOfRange, String::new());
        return;
    }
    let mut have: Vec<String> = agents
        .iter()
        .filter(|agent| asked.is_met_by(agent))
        .filter_map(|agent| Some(format!("{} with {}", quote(&agent.id), amounts(agent.resources?))))
        .collect();
    let more = have.len().saturating_sub(AGENTS_SHOWN);
    if more > 0 {
        have.truncate(AGENTS_SHOWN);
        have.push(format!("{more} more"));
    }
    let message = format!("no agent that can do this step will ever have {}", amounts(taken));
    faults.error(span, Code::OutOfRange, message).expected(format!("what one of these has: {}", join(have, "and")));
}

/// Resources in words, without what is not asked for or not bounded.
fn amounts(resources: Resources) -> String {
    let all = [("cpu", resources.cpu), ("memory_mb", resources.memory_mb)];
    let said = all.into_iter().filter(|(_, amount)| *amount > 0.0 && *amount < Resources::UNBOUNDED);
    join(said.map(|(name, amount)| format!("{name} {amount}")).collect(), "and")
}
