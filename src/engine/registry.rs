//! The agents known now: what they can do, what they are doing, how long things took them.

use super::breaker::Breaker;
use super::window::Window;
use crate::model::agent::Agent;
use crate::model::bug::{Bug, seeded};
use crate::model::id::{AgentId, Name, RunId, StepId};
use crate::model::policy::Resources;
use crate::model::state::Broken;
use crate::model::step::Step;
use crate::model::time::Micros;
use crate::model::view::Busy;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What the registry notes of an attempt when it begins.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Begun {
    /// The breaker's epoch.
    pub(crate) epoch: u32,
    /// What it takes of the agent's resources.
    pub(crate) takes: Resources,
}

/// One agent and its doings.
#[derive(Clone, Debug)]
pub(crate) struct AgentEntry {
    pub(crate) definition: Arc<Agent>,
    pub(crate) broken: Option<Broken>,
    /// Counts how often it broke: the epoch of heal timers.
    pub(crate) breaks: u32,
    /// Attempts under way.
    pub(crate) busy: BTreeMap<(RunId, StepId), Busy>,
    /// What was noted when they began.
    pub(crate) begun: BTreeMap<(RunId, StepId), Begun>,
    pub(crate) breaker: Breaker,
    /// It takes no calls until then.
    pub(crate) parked: Option<Micros>,
    /// Counts how often it was parked: the epoch of its timers.
    pub(crate) parkings: u32,
    /// How often in a row it asked to be left alone without saying how long.
    pub(crate) said: u32,
    /// Its last calls, where their number is limited.
    pub(crate) window: Window,
    /// Times of ended attempts added up.
    pub(crate) worked: Micros,
    pub(crate) succeeded: u64,
    pub(crate) failed: u64,
    /// Successful attempts and their total time, per kind of step.
    measured: BTreeMap<Name, (u32, Micros)>,
}

/// Whether an agent takes work.
#[derive(Clone, Debug)]
pub(crate) struct Standing {
    broken: Option<Broken>,
    breaks: u32,
    breaker: Breaker,
    parked: Option<Micros>,
    parkings: u32,
    said: u32,
}

impl AgentEntry {
    /// Whether it takes work, to be noted while a journal is read that knows it otherwise.
    pub(crate) fn standing(&self) -> Standing {
        let (breaker, broken) = (self.breaker.clone(), self.broken.clone());
        let (breaks, parked, parkings, said) = (self.breaks, self.parked, self.parkings, self.said);
        Standing { broken, breaks, breaker, parked, parkings, said }
    }
    /// It stands as it was noted.
    pub(crate) fn stands(&mut self, standing: Standing) {
        (self.broken, self.breaks, self.breaker) = (standing.broken, standing.breaks, standing.breaker);
        (self.parked, self.parkings, self.said) = (standing.parked, standing.parkings, standing.said);
    }
    /// Whether it takes work at all, room aside.
    pub(crate) fn is_open(&self) -> bool {
        let sound = self.broken.is_none() || seeded(Bug::BrokenAgentGetsWork);
        sound && (self.parked.is_none() || seeded(Bug::ParkedAgentGetsWork)) && self.admits()
    }
    fn admits(&self) -> bool {
        self.breaker.admits() || seeded(Bug::OpenBreakerLetsThrough)
    }
    /// Whether it counts as working: neither broken nor behind a breaker.
    pub(crate) fn is_sound(&self) -> bool {
        self.broken.is_none() && self.breaker.is_closed()
    }
    /// Whether it has room for an attempt that takes this much.
    pub(crate) fn has_room(&self, demand: Resources) -> bool {
        let fits = || self.definition.resources.is_none_or(|all| demand.fits(all, self.taken()));
        self.busy.len() < self.definition.slots as usize && (fits() || seeded(Bug::ResourcesIgnored))
    }
    /// What attempts under way take.
    pub(crate) fn taken(&self) -> Resources {
        self.begun.values().fold(Resources::default(), |sum, begun| Resources {
            cpu: sum.cpu + begun.takes.cpu,
            memory_mb: sum.memory_mb + begun.takes.memory_mb,
        })
    }
    /// Successful attempts and their total time, per kind of step.
    pub(crate) const fn measured(&self) -> &BTreeMap<Name, (u32, Micros)> {
        &self.measured
    }
    /// Takes over what earlier attempts came to.
    pub(crate) fn set_measured(&mut self, succeeded: u64, failed: u64, measured: BTreeMap<Name, (u32, Micros)>) {
        (self.succeeded, self.failed, self.measured) = (succeeded, failed, measured);
    }
    /// Notes how long a successful attempt took.
    pub(crate) fn measure(&mut self, kind: &str, time: Micros) {
        if let Some((count, total)) = self.measured.get_mut(kind) {
            if *count == u32::MAX {
                // The older half counts no longer.
                (*count, *total) = (*count / 2, Micros(total.0 / 2));
            }
            *count += 1;
            *total += time;
        } else {
            self.measured.insert(kind.into(), (1, time));
        }
    }
    /// How long it should take: measured, else known, else the default.
    pub(crate) fn expected(&self, step: &Step) -> Micros {
        self.known(step).unwrap_or(crate::model::defaults::SIMULATED_DURATION)
    }
    /// How long it takes, as far as that was measured or said.
    pub(crate) fn known(&self, step: &Step) -> Option<Micros> {
        let measured = self.measured.get(step.kind()).map(|(count, total)| Micros(total.0 / u64::from(*count)));
        measured.or_else(|| super::graph::agent_time(&self.definition.kind, step))
    }
}

/// All agents, in the order they came.
#[derive(Clone, Debug, Default)]
pub(crate) struct Registry {
    pub(crate) agents: Vec<AgentEntry>,
}

impl Registry {
    pub(crate) fn agent(&self, id: AgentId) -> &AgentEntry {
        &self.agents[id.index()]
    }
    pub(crate) fn agent_mut(&mut self, id: AgentId) -> &mut AgentEntry {
        &mut self.agents[id.index()]
    }
    pub(crate) fn find(&self, name: &str) -> Option<AgentId> {
        self.agents.iter().position(|entry| &*entry.definition.id == name).map(AgentId::from_index)
    }
    /// Adds an agent, or replaces the definition of one by the same name.
    pub(crate) fn put(&mut self, definition: &Agent) -> AgentId {
        let known = self.find(&definition.id);
        if let Some(id) = known.filter(|id| *self.agent(*id).definition == *definition) {
            return id;
        }
        let definition = Arc::new(definition.clone());
        if let Some(id) = known {
            self.agent_mut(id).definition = definition;
            return id;
        }
        self.agents.push(AgentEntry {
            definition,
            broken: None,
            breaks: 0,
            busy: BTreeMap::new(),
            begun: BTreeMap::new(),
            breaker: Breaker::default(),
            parked: None,
            parkings: 0,
            said: 0,
            window: Window::default(),
            worked: Micros::ZERO,
            succeeded: 0,
            failed: 0,
            measured: BTreeMap::new(),
        });
        AgentId::from_index(self.agents.len() - 1)
    }
}
