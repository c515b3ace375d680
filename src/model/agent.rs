//! Agents: workers with capabilities and slots.

use super::id::Name;
use super::policy::{BreakerPolicy, Health, RateLimit, Resources};
use super::step::EnvMap;
pub use super::step::{COMBINE_CAPABILITY, PROCESS_CAPABILITY};
use super::time::Micros;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::time::Duration;

/// The id of the built-in agent that does `run` and `command` steps.
pub const PROCESS_AGENT: &str = "builtin.process";

/// An agent of a workflow file, or a built-in one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Agent {
    /// Unique in the workflow without regard to case.
    pub id: Name,
    /// What it is.
    pub kind: AgentKind,
    /// What it can do.
    pub capabilities: Vec<Name>,
    /// Attempts it takes at once, at least 1.
    pub slots: u32,
    /// Its share among equals, over 0.
    pub weight: f64,
    /// Only used when no other is left unbroken.
    pub backup: bool,
    /// Whether a real agent may be broken on purpose; simulated ones always may.
    pub allow_faults: bool,
    /// When it is left alone after failures; `None`: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub breaker: Option<BreakerPolicy>,
    /// How often it may be called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<RateLimit>,
    /// How it is found out whether it is well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<Health>,
    /// What it has to give; `None`: as much as is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
}

impl Agent {
    /// An agent of this id, kind and capability that declares nothing else: every default holds.
    #[must_use]
    pub fn new(id: impl Into<Name>, kind: AgentKind, capability: impl Into<Name>) -> Self {
        Self {
            id: id.into(),
            breaker: if matches!(kind, AgentKind::Builtin { .. }) { None } else { Some(super::defaults::BREAKER) },
            kind,
            capabilities: vec![capability.into()],
            slots: super::defaults::SLOTS,
            weight: 1.0,
            backup: false,
            allow_faults: false,
            rate_limit: None,
            health: None,
            resources: None,
        }
    }
    /// Whether faults may be injected into it.
    #[must_use]
    pub const fn takes_faults(&self) -> bool {
        self.allow_faults || matches!(self.kind, AgentKind::Simulated(_))
    }
}

/// What an agent is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum AgentKind {
    /// Works for a while, then returns.
    Simulated(Simulated),
    /// A child process per attempt.
    Process(ProcessAgent),
    /// Part of upbeat.
    Builtin {
        /// Which.
        builtin: Builtin,
    },
}

impl AgentKind {
    /// The word of the file.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Simulated(_) => "simulated",
            Self::Process(_) => "process",
            Self::Builtin { .. } => "builtin",
        }
    }
    /// Whether it works under the virtual clock.
    #[must_use]
    pub const fn is_virtual(&self) -> bool {
        !matches!(self, Self::Process(_) | Self::Builtin { builtin: Builtin::Process })
    }
}

/// The built-in agents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Builtin {
    /// Runs `run` and `command` steps.
    Process,
    /// Returns its input.
    Echo,
    /// Waits for `duration` (a duration, default 1 s) and returns its input.
    Sleep,
    /// Cuts text or lists into pieces.
    Chunk,
    /// Reads JSON and says what is in it.
    Json,
    /// Finds numbers and computes with them.
    Numeric,
    /// Holds a value against rules.
    Validate,
    /// Changes the shape of a value.
    Transform,
    /// Brings a list of values together.
    Aggregate,
    /// Brings what steps returned together, for `aggregate` steps.
    Combine,
}

impl Builtin {
    /// What the input of a routing step is done by where no route fits it, in the order in which they follow each other.
    pub const ANALYSIS: [Self; 4] = [Self::Json, Self::Chunk, Self::Numeric, Self::Validate];
    /// Whether an attempt of it keeps a core busy.
    #[must_use]
    pub const fn takes_a_core(self) -> bool {
        !matches!(self, Self::Echo | Self::Sleep)
    }
    /// Those with a capability of their own name that a file may ask for.
    pub const NAMED: [Self; 8] = [
        Self::Echo,
        Self::Sleep,
        Self::Chunk,
        Self::Json,
        Self::Numeric,
        Self::Validate,
        Self::Transform,
        Self::Aggregate,
    ];
    /// The capability's name.
    #[must_use]
    pub const fn capability(self) -> &'static str {
        match self {
            Self::Process => PROCESS_CAPABILITY,
            Self::Echo => "echo",
            Self::Sleep => "sleep",
            Self::Chunk => "chunk",
            Self::Json => "json",
            Self::Numeric => "numeric",
            Self::Validate => "validate",
            Self::Transform => "transform",
            Self::Aggregate => "aggregate",
            Self::Combine => COMBINE_CAPABILITY,
        }
    }
    /// The id of the agent that is there without an entry.
    #[must_use]
    pub const fn agent_id(self) -> &'static str {
        match self {
            Self::Process => PROCESS_AGENT,
            Self::Echo => "builtin.echo",
            Self::Sleep => "builtin.sleep",
            Self::Chunk => "builtin.chunk",
            Self::Json => "builtin.json",
            Self::Numeric => "builtin.numeric",
            Self::Validate => "builtin.validate",
            Self::Transform => "builtin.transform",
            Self::Aggregate => "builtin.aggregate",
            Self::Combine => "builtin.combine",
        }
    }
}

/// How a simulated agent behaves for one action; `None` falls back to the agent, then to the step.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Script {
    /// How long it works, before `speed`.
    pub duration: Option<Micros>,
    /// What it returns.
    pub output: Option<Value>,
    /// Share of attempts that fail (class `transient`), in `0.0..=1.0`.
    pub fail_rate: Option<f64>,
}

/// A simulated agent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Simulated {
    /// Divides durations; over 0.
    pub speed: f64,
    /// Spread of durations as a share: 0.2 means ±20 %.
    pub jitter: f64,
    /// Behaviour for actions without an entry in `script`.
    pub default: Script,
    /// Behaviour per action.
    pub script: IndexMap<Name, Script>,
}

impl Default for Simulated {
    fn default() -> Self {
        Self { speed: 1.0, jitter: 0.0, default: Script::default(), script: IndexMap::new() }
    }
}

impl Simulated {
    /// How long it works on `action`, before speed and jitter, given the step's estimate. With no duration anywhere:
    /// one second.
    #[must_use]
    pub fn duration(&self, action: Option<&str>, estimate: Option<Micros>) -> Micros {
        let scripted = action.and_then(|action| self.script.get(action)).and_then(|script| script.duration);
        scripted.or(self.default.duration).or(estimate).unwrap_or(super::defaults::SIMULATED_DURATION)
    }
    /// What it returns for `action`; `None`: its input.
    #[must_use]
    pub fn output(&self, action: Option<&str>) -> Option<&Value> {
        let scripted = action.and_then(|action| self.script.get(action)).and_then(|script| script.output.as_ref());
        scripted.or(self.default.output.as_ref())
    }
    /// The share of attempts at `action` that fail.
    #[must_use]
    pub fn fail_rate(&self, action: Option<&str>) -> f64 {
        let scripted = action.and_then(|action| self.script.get(action)).and_then(|script| script.fail_rate);
        scripted.or(self.default.fail_rate).unwrap_or(0.0)
    }
}

/// A process agent: one child per attempt, JSON in and out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessAgent {
    /// Program and arguments; at least one element.
    pub command: Vec<String>,
    /// Its folder; relative: from the file's folder; `None`: where upbeat was started.
    pub cwd: Option<String>,
    /// Variables beside the usual ones.
    pub env: EnvMap,
    /// Time between TERM and KILL.
    pub grace: Micros,
}

/// What came of trying an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// Whether it could be given work, or why not.
    pub reachable: Result<(), String>,
    /// How long its health check took, if one was made.
    pub latency: Option<Duration>,
    /// How that was found out, for people.
    pub how: String,
}
