//! One unit of work: what is asked, of whom, with what, and what happens when it fails.

use super::aggregate::Aggregate;
use super::defaults;
use super::expression::Expression;
use super::id::{Name, StepId};
use super::mapping::{InputMapping, OutputMapping};
use super::parts::{Expand, ForEach};
use super::policy::{OnCancel, OnExhausted, OnUnknown, Resources, RetryPolicy, Success};
use super::quality::Expect;
use super::route::Route;
use super::time::Micros;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The capability of the built-in agent that does `run` and `command` steps. No file can name it (it has a space).
pub const PROCESS_CAPABILITY: &str = "local process";
/// The capability of the built-in agent that does `aggregate` steps. No file can name it.
pub const COMBINE_CAPABILITY: &str = "combine outputs";

/// Who does a step, and how it is said.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Work {
    /// `/bin/sh -ec LINE`, by the built-in process agent.
    Run {
        /// The command line.
        line: String,
    },
    /// An argument vector, by the built-in process agent.
    Command {
        /// Program and arguments; at least one element.
        argv: Vec<String>,
    },
    /// Any agent that has this capability.
    Capability {
        /// Its name.
        capability: Name,
    },
    /// One agent by id.
    Agent {
        /// Its id.
        agent: Name,
    },
    /// A person says yes or no.
    Approval {
        /// What is asked.
        prompt: String,
        /// How long an answer is waited for, where `default` gives one.
        timeout: Option<Micros>,
        /// What counts as the answer when nobody gives one in time.
        default: Option<Decision>,
    },
    /// What other steps returned is brought together, by the built-in agent for that.
    Aggregate(Box<Aggregate>),
    /// What it is told is looked at, and a path of templates is done in its place.
    Route,
    /// Another workflow is done in its place, with `with` laid over its data.
    Uses {
        /// The file it was read from, as it is named.
        file: String,
        /// It.
        workflow: Box<Used>,
    },
}

/// What is done of a workflow that a step uses: its agents and the order of work are those of the whole.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Used {
    /// Its id.
    pub id: Name,
    /// Its data, an object; the step's `with` and `input` are laid over it.
    pub data: Value,
    /// Its steps; needs and sources are numbered among them.
    pub steps: Vec<Step>,
    /// What of them has to succeed.
    pub success: Success,
    /// What the step returns; without it the outputs by step.
    pub result: Option<Aggregate>,
    /// Ways that its routing steps go; templates are those of the whole.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<Route>,
}

/// What a person says to an approval.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// Yes.
    Approve,
    /// No.
    Reject,
}

/// What a step shares with others by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Semaphore {
    /// Its name; all steps that name it share it.
    pub name: Name,
    /// Attempts at once, at least 1.
    pub permits: u32,
}

/// The end of a need that lets a step start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NeedOn {
    /// Success, also by a fallback.
    Succeeded,
    /// Any end.
    Completed,
    /// Failure.
    Failed,
}

/// One need of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Need {
    /// The step that has to end first.
    pub step: StepId,
    /// How it has to end.
    pub on: NeedOn,
}

/// What stands in for a step whose retries are spent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fallback {
    /// One attempt on this agent.
    Agent(Name),
    /// One attempt on an agent with this capability.
    Capability(Name),
    /// This value as the output.
    Value(Value),
}

/// How the standard output of `run` and `command` is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StdoutMode {
    /// An object or array as the whole output is JSON, anything else is `{"stdout": text}`.
    Auto,
    /// Any JSON and nothing else.
    Json,
    /// Always `{"stdout": text}`.
    Text,
}

/// A value of an environment variable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EnvValue {
    /// Said in the file.
    Text(String),
    /// Taken from upbeat's own environment when the process starts.
    FromEnv {
        /// The variable's name there.
        name: String,
        /// Whether the value is a secret: masked in logs, on screens and in results.
        masked: bool,
    },
}

/// Variables for a process, in the order of the file; later ones win.
pub type EnvMap = Vec<(String, EnvValue)>;

/// A step of a workflow.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Unique in the workflow without regard to case.
    pub id: Name,
    /// A name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// A sentence for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The declared group it is shown in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Who does it.
    pub work: Work,
    /// What is asked of the agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<Name>,
    /// Done only where this holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub condition: Option<Expression>,
    /// Done once for every element of a list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub for_each: Option<ForEach>,
    /// Arguments, filters in them; `input` is laid over them.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub with: Map<String, Value>,
    /// Folder of the process; relative: from the file's folder; `None`: where upbeat was started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cwd: Option<String>,
    /// Variables for the process, over the workflow's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub env: EnvMap,
    /// How standard output is read (`run`, `command`).
    pub stdout: StdoutMode,
    /// What has to end first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<Need>,
    /// Where the payload comes from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub input: Vec<InputMapping>,
    /// Where the output goes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub output: Vec<OutputMapping>,
    /// Longest time of one attempt; `None`: no limit.
    pub timeout: Option<Micros>,
    /// What happens after a failed attempt.
    pub retry: RetryPolicy,
    /// 0–100, higher first.
    pub priority: u8,
    /// Its failure fails the run whatever the share.
    pub critical: bool,
    /// What is tried when retries are spent, in turn.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fallback: Vec<Fallback>,
    /// Expected duration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estimate: Option<Micros>,
    /// How long steps of this kind took in earlier runs, noted when the run was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measured: Option<Micros>,
    /// What becomes of it if upbeat ends while it runs.
    pub on_unknown: OnUnknown,
    /// Longest time without output; `None`: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_timeout: Option<Micros>,
    /// How it is undone: a step of its own, of the same id, without needs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compensate: Option<Box<Self>>,
    /// After it no rollback.
    #[serde(default)]
    pub pivot: bool,
    /// What becomes of it when retries and fallbacks are spent.
    #[serde(default)]
    pub on_exhausted: OnExhausted,
    /// What becomes of its work when it is cancelled.
    #[serde(default)]
    pub on_cancel: OnCancel,
    /// Steps that name the same barrier start together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub barrier: Option<Name>,
    /// Attempts of steps that name the same lock exclude each other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lock: Option<Name>,
    /// Attempts of steps that name the same semaphore share its permits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub semaphore: Option<Semaphore>,
    /// How many items of its `for_each` may be at work at once: said for items only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within: Option<Semaphore>,
    /// What an attempt takes of its agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
    /// The template that it was made from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<Name>,
    /// Nothing else of its run is at work while it is.
    #[serde(default)]
    pub alone: bool,
    /// What its output has to be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect: Option<Box<Expect>>,
    /// Its output brings further steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expand: Option<Expand>,
}

impl Step {
    /// A step of this id and work that declares nothing else: every default holds.
    #[must_use]
    pub fn new(id: impl Into<Name>, work: Work) -> Self {
        let is_process = matches!(work, Work::Run { .. } | Work::Command { .. });
        Self {
            id: id.into(),
            name: None,
            description: None,
            group: None,
            work,
            action: None,
            condition: None,
            for_each: None,
            with: Map::new(),
            cwd: None,
            env: Vec::new(),
            stdout: StdoutMode::Auto,
            needs: Vec::new(),
            input: Vec::new(),
            output: Vec::new(),
            timeout: Some(defaults::timeout(is_process, None)),
            retry: defaults::retry(if is_process { defaults::PROCESS_RETRIES } else { defaults::AGENT_RETRIES }),
            priority: defaults::PRIORITY,
            critical: false,
            fallback: Vec::new(),
            estimate: None,
            measured: None,
            on_unknown: OnUnknown::default(),
            idle_timeout: None,
            compensate: None,
            pivot: false,
            on_exhausted: OnExhausted::default(),
            on_cancel: OnCancel::default(),
            barrier: None,
            lock: None,
            semaphore: None,
            within: None,
            resources: None,
            template: None,
            alone: false,
            expect: None,
            expand: None,
        }
    }
    /// What agents are asked for: capability, agent id, or the built-in process capability; nothing where a person
    /// answers.
    #[must_use]
    pub fn asks_for(&self) -> &str {
        match &self.work {
            Work::Run { .. } | Work::Command { .. } => PROCESS_CAPABILITY,
            Work::Capability { capability } => capability,
            Work::Agent { agent } => agent,
            Work::Approval { .. } | Work::Uses { .. } | Work::Route => "",
            Work::Aggregate(_) => COMBINE_CAPABILITY,
        }
    }
    /// Whether the built-in process agent does it.
    #[must_use]
    pub const fn is_process(&self) -> bool {
        matches!(self.work, Work::Run { .. } | Work::Command { .. })
    }
    /// Whether a person does it.
    #[must_use]
    pub const fn is_approval(&self) -> bool {
        matches!(self.work, Work::Approval { .. })
    }
    /// The kind of step that measured durations are kept for: its action, else what it asks for; processes by id.
    #[must_use]
    pub fn kind(&self) -> &str {
        if self.is_process() { &self.id } else { self.action.as_deref().unwrap_or_else(|| self.asks_for()) }
    }
}
