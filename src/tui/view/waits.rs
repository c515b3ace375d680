//! Why a step waits, in a few words: the reason first, then how long it still takes, then who has to do with it.

use crate::model::id::AgentId;
use crate::model::safe::Safe;
use crate::model::state::{BreakerState, WaitReason};
use crate::model::time::Micros;
use crate::model::view::{EngineView, StepView};
use crate::report::format::{plural, span};
use crate::tui::texts::Texts;

/// What the words are made from.
#[derive(Clone, Copy)]
pub(super) struct Ground<'a> {
    pub(super) view: &'a EngineView,
    pub(super) texts: &'a Texts,
    /// Now, by the engine's clock.
    pub(super) now: Micros,
}

impl Ground<'_> {
    fn left(&self, until: Micros) -> String {
        span(until.saturating_sub(self.now))
    }
}

/// With so many names there is little room for words, too.
const SHORT: usize = 3;

/// The words; so many names at most.
pub(super) fn words(on: &Ground<'_>, step: &StepView, names: usize) -> String {
    let Some((why, until)) = &step.wait else { return String::new() };
    let texts = &on.texts;
    let left = until.map_or_else(String::new, |until| format!(" {}", on.left(until)));
    let safe = |name: &str| Safe::line(name).into_string();
    match why {
        WaitReason::Backoff { retry, limit } if names > SHORT => format!("backoff{left}, retry {retry} of {limit}"),
        WaitReason::Backoff { retry, limit } => format!("backoff{left} ({retry}/{limit})"),
        WaitReason::Capability { capability, broken } => nobody(on, &safe(capability), broken),
        WaitReason::RateLimit { agents, .. } => format!("rate limit{left}: {}", agent_names(on, agents)),
        WaitReason::Breaker { agents, .. } => breakers(on, agents, *until),
        WaitReason::Approval => match until {
            Some(until) => format!("asks you: yes or no? {} left", on.left(*until)),
            None => "asks you: yes or no?".to_owned(),
        },
        WaitReason::Person => "asks you: retry, fail or a value?".to_owned(),
        WaitReason::Lock { lock, holder } => format!("lock {}: {} has it", safe(lock), texts.step(*holder)),
        WaitReason::Semaphore { semaphore, holders } => {
            format!("semaphore {}: {} has it", safe(semaphore), texts.list(holders, names))
        }
        WaitReason::Barrier { barrier, missing } => {
            format!("barrier {}: lacks {}", safe(barrier), texts.list(missing, names))
        }
    }
}

/// The one figure about a wait: how long it still takes, else one word of at most seven cells.
pub(super) fn figure(on: &Ground<'_>, step: &StepView) -> Option<String> {
    let (why, until) = step.wait.as_ref()?;
    if let Some(until) = until {
        return Some(crate::report::format::span_fixed(until.saturating_sub(on.now)));
    }
    let word = match why {
        WaitReason::Approval => "yes/no?",
        WaitReason::Person => "retry?",
        WaitReason::Capability { .. } => "nobody",
        WaitReason::Backoff { .. } => "backoff",
        WaitReason::RateLimit { .. } => "limit",
        WaitReason::Breaker { .. } => "breaker",
        WaitReason::Lock { .. } => "lock",
        WaitReason::Semaphore { .. } => "permit",
        WaitReason::Barrier { .. } => "barrier",
    };
    Some(word.to_owned())
}

fn agent_names(on: &Ground<'_>, agents: &[AgentId]) -> String {
    match agents {
        [one] => on.texts.agent(*one).to_owned(),
        more => plural(more.len() as u64, "agent"),
    }
}

fn nobody(on: &Ground<'_>, capability: &str, broken: &[AgentId]) -> String {
    let heals = |agent: &AgentId| on.view.agents.get(agent.index()).and_then(|agent| agent.broken.as_ref()?.until);
    let first: Option<Micros> = broken.iter().filter_map(heals).min();
    let left = first.map_or_else(String::new, |until| format!(" for {}", on.left(until)));
    match broken {
        [] => format!("no agent offers {capability}"),
        [one] => format!("no agent{left}: {} is broken", on.texts.agent(*one)),
        more => format!("no agent{left}: all {} for {capability} are broken", more.len()),
    }
}

fn breakers(on: &Ground<'_>, agents: &[AgentId], until: Option<Micros>) -> String {
    let of = |agent: &AgentId| on.view.agents.get(agent.index()).and_then(|agent| agent.breaker);
    let probes = agents.iter().filter_map(of).any(|state| matches!(state, BreakerState::HalfOpen { .. }));
    let forced = agents.iter().filter_map(of).all(|state| state == BreakerState::ForcedOpen);
    let names = agent_names(on, agents);
    match until {
        _ if probes => format!("breaker: a probe of {names} is under way"),
        _ if forced && !agents.is_empty() => format!("breaker forced open: {names}; b opens the way"),
        Some(until) => format!("breaker open {}: {names}", on.left(until)),
        None => format!("breaker open: {names}"),
    }
}
