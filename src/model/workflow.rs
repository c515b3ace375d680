//! The checked, immutable definition that a run executes.

use super::agent::{Agent, AgentKind, Builtin};
use super::aggregate::Aggregate;
use super::id::{Name, StepId};
use super::policy::{Limits, Mode, OnThresholdMissed, Recovery, Success};
use super::route::Route;
use super::step::{EnvMap, Step, Used, Work};
use super::stream::Streaming;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A file as it was when it was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileStamp {
    /// Where it lay.
    pub path: String,
    /// A hash of its bytes.
    pub hash: String,
}

const fn parallel_threshold() -> u32 {
    super::defaults::PARALLEL_THRESHOLD
}

/// A workflow. Whoever holds one may rely on: every need names a step, there is no cycle, every capability asked for
/// is offered by an agent of `agents` (unless it was read for its graph alone).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Workflow {
    /// Its id: from the file, else the file's stem.
    pub id: Name,
    /// A name for people.
    pub name: Option<String>,
    /// A sentence for people.
    pub description: Option<String>,
    /// The folder that relative folders start from, if it came from a file.
    pub folder: Option<String>,
    /// The folder that upbeat was started in, where processes work that say nothing else; a run that goes on elsewhere
    /// stays with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_folder: Option<String>,
    /// Initial data: always an object.
    pub data: Value,
    /// Variables for process steps.
    pub env: EnvMap,
    /// Order of work.
    pub mode: Mode,
    /// The smallest level that hybrid order runs in parallel.
    #[serde(default = "parallel_threshold")]
    pub parallel_threshold: u32,
    /// Where the mode came from, for people: `the file`, `the option --mode`, `the default`.
    pub mode_source: String,
    /// Upper bounds.
    pub limits: Limits,
    /// What has to succeed.
    pub success: Success,
    /// What a failure does to the rest.
    pub recovery: Recovery,
    /// What happens when too little succeeded.
    #[serde(default)]
    pub on_threshold_missed: OnThresholdMissed,
    /// Agents in the order of the file, then the built-in ones in use.
    pub agents: Vec<Agent>,
    /// Steps in the order of the file.
    pub steps: Vec<Step>,
    /// Named steps that routing steps are done by.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub templates: IndexMap<Name, Step>,
    /// Ways that routing steps go; where none fits the input itself decides.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<Route>,
    /// Types of events that it is a handler of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub on: Vec<Name>,
    /// How the items of a stream go through it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<Streaming>,
    /// What the run's result is made of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Aggregate>,
}

impl From<Workflow> for Used {
    fn from(workflow: Workflow) -> Self {
        let Workflow { id, data, steps, success, result, routes, .. } = workflow;
        Self { id, data, steps, success, result, routes }
    }
}

impl Workflow {
    /// A workflow of these agents and steps that declares nothing else: every default holds.
    #[must_use]
    pub fn new(id: impl Into<Name>, agents: Vec<Agent>, steps: Vec<Step>) -> Self {
        Self {
            id: id.into(),
            name: None,
            description: None,
            folder: None,
            start_folder: None,
            data: Value::Object(serde_json::Map::new()),
            env: Vec::new(),
            mode: Mode::Parallel,
            parallel_threshold: super::defaults::PARALLEL_THRESHOLD,
            mode_source: "the default".to_owned(),
            limits: Limits::default(),
            success: Success::All,
            recovery: Recovery::Continue,
            on_threshold_missed: OnThresholdMissed::default(),
            agents,
            steps,
            templates: IndexMap::new(),
            routes: Vec::new(),
            on: Vec::new(),
            stream: None,
            result: None,
        }
    }
    /// Why the order of work is what it is, for people.
    #[must_use]
    pub fn mode_reason(&self) -> String {
        match self.mode {
            Mode::Parallel => format!("{}: whatever needs, agents and limits allow", self.mode_source),
            Mode::Sequential => format!("{}: one step at a time, in topological order", self.mode_source),
            Mode::Hybrid => format!(
                "{}: level by level, those of at least {} steps in parallel",
                self.mode_source, self.parallel_threshold
            ),
            Mode::Auto => format!("{}: chosen by the graph, the load and the free agents", self.mode_source),
        }
    }
    /// Under what durations of a step are kept from run to run: what is asked for; processes by workflow and step.
    #[must_use]
    pub fn timing_key(&self, step: StepId) -> String {
        let spec = self.step(step);
        if spec.is_process() { format!("{}/{}", self.id, spec.id) } else { spec.kind().to_owned() }
    }
    /// The step of an id.
    #[must_use]
    pub fn step(&self, id: StepId) -> &Step {
        &self.steps[id.index()]
    }
    /// The id of a step's name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<StepId> {
        self.steps.iter().position(|step| &*step.id == name).map(StepId::from_index)
    }
    /// All step ids in the order of the file.
    pub fn step_ids(&self) -> impl ExactSizeIterator<Item = StepId> + use<> {
        (0..self.steps.len()).map(StepId::from_index)
    }
    /// Adds the built-in agents that the steps and templates, those of workflows that are used, and those that outputs may
    /// bring, ask for and no agent of the file offers. `cores` gives the slots of those that compute or run processes; those
    /// that answer at once or only wait have as many slots as they are asked.
    pub fn add_builtins(&mut self, cores: u32) {
        let mut all: Vec<&Step> = Vec::new();
        let mut routes: Vec<&Route> = Vec::new();
        gather(&self.steps, &self.routes, &mut all, &mut routes);
        all.extend(self.templates.values().flat_map(|step| std::iter::once(step).chain(step.compensate.as_deref())));
        let brought = all.iter().filter_map(|step| step.expand.as_ref()?.allow.as_deref()).flatten().cloned();
        let mut asked: Vec<Name> = all.iter().map(|step| step.asks_for().into()).chain(brought).collect();
        if all.iter().any(|step| matches!(step.work, Work::Route)) {
            let by_input = Builtin::ANALYSIS.map(|builtin| builtin.capability().into());
            let named = routes.iter().flat_map(|route| &route.path).cloned().chain(by_input);
            asked.extend(named.filter(|name| !self.templates.contains_key(name)));
        }
        let fallbacks: Vec<super::step::Fallback> = all.iter().flat_map(|step| step.fallback.iter().cloned()).collect();
        let unnamed = [Builtin::Process, Builtin::Combine].into_iter();
        for builtin in unnamed.chain(Builtin::NAMED) {
            let capability = builtin.capability();
            let wanted = asked.iter().any(|asks| &**asks == capability || &**asks == builtin.agent_id())
                || fallbacks.iter().any(|fallback| match fallback {
                    super::step::Fallback::Capability(name) => &**name == capability,
                    super::step::Fallback::Agent(name) => &**name == builtin.agent_id(),
                    super::step::Fallback::Value(_) => false,
                });
            let offered = self.agents.iter().any(|a| a.capabilities.iter().any(|c| &**c == capability));
            if wanted && !offered {
                self.agents.push(Agent {
                    slots: if builtin.takes_a_core() { cores.max(1) } else { super::defaults::BUILTIN_SLOTS },
                    ..Agent::new(builtin.agent_id(), AgentKind::Builtin { builtin }, capability)
                });
            }
        }
    }
}

/// All steps with what undoes them, and all routes: those of workflows that are used too.
fn gather<'w>(steps: &'w [Step], own: &'w [Route], all: &mut Vec<&'w Step>, routes: &mut Vec<&'w Route>) {
    routes.extend(own);
    for step in steps {
        all.extend(std::iter::once(step).chain(step.compensate.as_deref()));
        if let Work::Uses { workflow, .. } = &step.work {
            gather(&workflow.steps, &workflow.routes, all, routes);
        }
    }
}
