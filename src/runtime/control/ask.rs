//! What may be asked of a run over its socket, and what is answered. Steps and agents go by name.

use crate::model::command::{Answer, BreakerMode, Command, Done, Rejection, Which};
use crate::model::id::{AgentId, RunId, StepId};
use crate::model::safe::Safe;
use crate::model::state::{EndCause, RunState};
use crate::model::view::{AgentView, EngineView, RunView};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A request. As JSON: `{"do": "cancel_step", "step": "fetch"}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
pub enum Ask {
    /// Start nothing new; what runs ends first.
    Pause {},
    /// Start nothing new, and halt what runs where it stands.
    Freeze {},
    /// Go on; a run that was not started is started.
    Resume {
        /// Only if the run's last event has this number.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        seq: Option<u64>,
    },
    /// Let what runs end and cancel the rest.
    Stop {},
    /// Cancel the whole run.
    Cancel {},
    /// Cancel a step and what depends on its success.
    CancelStep {
        /// The step.
        step: String,
    },
    /// Cancel the steps of an agent.
    CancelAgent {
        /// The agent.
        agent: String,
        /// Another agent does them, where one can.
        #[serde(default)]
        reassign: bool,
    },
    /// Cancel the steps that ask for a capability.
    CancelCapability {
        /// The capability.
        capability: String,
        /// Another agent does them, where one can.
        #[serde(default)]
        reassign: bool,
    },
    /// Cancel the steps that ask for an action.
    CancelAction {
        /// The action.
        action: String,
        /// Another agent does them, where one can.
        #[serde(default)]
        reassign: bool,
    },
    /// Cancel the steps whose priority lies in a range, both ends included.
    CancelPriority {
        /// The lower end, from 0.
        from: u8,
        /// The upper end, at most 100.
        to: u8,
        /// Another agent does them, where one can.
        #[serde(default)]
        reassign: bool,
    },
    /// Try a step again; without one: everything that did not succeed, once the run has ended.
    Retry {
        /// The step.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        step: Option<String>,
    },
    /// Leave a step out.
    Skip {
        /// The step.
        step: String,
    },
    /// Give a step's output by hand.
    Complete {
        /// The step.
        step: String,
        /// Its output.
        output: Value,
    },
    /// Change a step's place in the queue.
    Priority {
        /// The step.
        step: String,
        /// 0–100, higher first.
        priority: u8,
    },
    /// Give a step to another agent.
    Reassign {
        /// The step.
        step: String,
        /// The agent.
        agent: String,
    },
    /// Answer what a step, or without one the run, asks.
    Answer {
        /// The step.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        step: Option<String>,
        /// The answer: `"approve"`, `"reject"` or `{"value": …}`.
        answer: Answer,
    },
    /// Undo what was done: all of it, or what was done since a checkpoint.
    Rollback {
        /// The checkpoint's number, from 1.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        to: Option<u32>,
    },
    /// Set an agent's breaker by hand.
    Breaker {
        /// The agent.
        agent: String,
        /// How.
        mode: BreakerMode,
    },
}

/// What comes back. As JSON: `{"done": {…}}`, `{"refused": {"reason": …, "way_out": …}}` or `{"leaving": {}}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// It was done, and this is recorded.
    Done(Told),
    /// It was not.
    Refused(Rejection),
    /// It was not, because the process is leaving the run: whoever opens it next can be asked, or the run itself opened.
    Leaving {},
}

/// What a command did to steps, by their names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// Steps that it cancelled.
    #[serde(default)]
    pub cancelled: Vec<String>,
    /// Steps that went with them.
    #[serde(default)]
    pub dependents: Vec<String>,
    /// Steps that were given to another agent instead.
    #[serde(default)]
    pub reassigned: Vec<String>,
}

/// The command that a request means for a run.
///
/// # Errors
/// There is no such run, step, agent or checkpoint in the view, with the nearest name; or a number is out of its range.
pub fn resolve(ask: &Ask, view: &EngineView, run: RunId) -> Result<Command, Rejection> {
    let Some(shown) = view.runs.iter().find(|shown| shown.id == run) else {
        return Err(Rejection::new("the run is not there any more"));
    };
    let step = |name: &String| step(shown, name);
    let of = |which, reassign| Command::CancelWhere { run, which, reassign };
    Ok(match ask {
        Ask::Pause {} => Command::Pause { run },
        Ask::Freeze {} => Command::Freeze { run },
        Ask::Resume { seq } => resume(shown, *seq)?,
        Ask::Stop {} => Command::Stop { run },
        Ask::Cancel {} => Command::Cancel { run, cause: EndCause::Cancel },
        Ask::CancelStep { step: name } => Command::CancelStep { run, step: step(name)? },
        Ask::CancelAgent { agent: name, reassign } => of(Which::Agent(agent(shown, &view.agents, name)?), *reassign),
        Ask::CancelCapability { capability, reassign } => {
            asked(shown, "capability", capability)?;
            of(Which::Capability(capability.as_str().into()), *reassign)
        }
        Ask::CancelAction { action, reassign } => {
            asked(shown, "action", action)?;
            of(Which::Action(action.as_str().into()), *reassign)
        }
        Ask::CancelPriority { from, to, reassign } if from <= to && *to <= PRIORITY_MAX => {
            of(Which::Priority { from: *from, to: *to }, *reassign)
        }
        Ask::CancelPriority { from, to, .. } => {
            return Err(Rejection::with_way_out(
                format!("{from} to {to} is no range of priorities"),
                format!("give two numbers from 0 to {PRIORITY_MAX}, the lower one first"),
            ));
        }
        Ask::Retry { step: None } => Command::RetryFailed { run },
        Ask::Retry { step: Some(name) } => Command::RetryStep { run, step: step(name)? },
        Ask::Skip { step: name } => Command::SkipStep { run, step: step(name)? },
        Ask::Complete { step: name, output } => {
            Command::CompleteStep { run, step: step(name)?, output: output.clone() }
        }
        Ask::Priority { step: name, priority } if *priority <= PRIORITY_MAX => {
            Command::SetPriority { run, step: step(name)?, priority: *priority }
        }
        Ask::Priority { priority, .. } => {
            return Err(Rejection::with_way_out(
                format!("{priority} is no priority"),
                format!("give a number from 0 to {PRIORITY_MAX}"),
            ));
        }
        Ask::Reassign { step: name, agent: to } => {
            Command::ReassignStep { run, step: step(name)?, agent: agent(shown, &view.agents, to)? }
        }
        Ask::Answer { step: name, answer } => {
            Command::Answer { run, step: name.as_ref().map(step).transpose()?, answer: answer.clone() }
        }
        Ask::Rollback { to } => Command::Rollback { run, to: to.map(|to| checkpoint(shown, to)).transpose()? },
        Ask::Breaker { agent: name, mode } => {
            Command::SetBreaker { agent: agent(shown, &view.agents, name)?, mode: *mode }
        }
    })
}

/// The highest priority.
const PRIORITY_MAX: u8 = 100;

fn resume(run: &RunView, seq: Option<u64>) -> Result<Command, Rejection> {
    match seq {
        Some(seq) if seq != run.seq => Err(Rejection::with_way_out(
            format!("the run has moved on: its last event is {}, not {seq}", run.seq),
            "look at it, then resume it without the number",
        )),
        _ if run.state == RunState::Pending => Ok(Command::Start { run: run.id }),
        _ => Ok(Command::Resume { run: run.id }),
    }
}

fn step(run: &RunView, name: &str) -> Result<StepId, Rejection> {
    let names = run.workflow.steps.iter().map(|step| &*step.id);
    run.workflow.find(name).ok_or_else(|| unknown(run, "step", name, names))
}

fn agent(run: &RunView, agents: &[AgentView], name: &str) -> Result<AgentId, Rejection> {
    let names = agents.iter().map(|agent| &*agent.name);
    let found = agents.iter().find(|agent| &*agent.name == name).map(|agent| agent.id);
    found.ok_or_else(|| unknown(run, "agent", name, names))
}

/// Refuses a capability or an action that no step asks for: a misspelt one would cancel nothing and look done.
fn asked(run: &RunView, what: &str, name: &str) -> Result<(), Rejection> {
    let steps = run.workflow.steps.iter();
    let names: Vec<&str> = if what == "action" {
        steps.filter_map(|step| step.action.as_deref()).collect()
    } else {
        steps.map(|step| step.asks_for()).collect()
    };
    if names.contains(&name) {
        return Ok(());
    }
    Err(unknown(run, what, name, names.into_iter()))
}

fn checkpoint(run: &RunView, number: u32) -> Result<u32, Rejection> {
    if run.checkpoints.iter().any(|checkpoint| checkpoint.number == number) {
        return Ok(number);
    }
    let known: Vec<String> = run.checkpoints.iter().map(|checkpoint| checkpoint.number.to_string()).collect();
    let way_out = if known.is_empty() {
        "it has none: they are made before steps that are `critical`".to_owned()
    } else {
        format!("it has {}", known.join(", "))
    };
    Err(Rejection::with_way_out(format!("the run has no checkpoint {number}"), way_out))
}

/// There is no such thing; names the nearest one.
fn unknown<'n>(run: &RunView, what: &str, name: &str, names: impl Iterator<Item = &'n str>) -> Rejection {
    let likeness = |id: &str| strsim::jaro_winkler(name, id);
    let nearest = names.max_by(|a, b| likeness(a).total_cmp(&likeness(b))).filter(|id| likeness(id) > 0.7);
    let shown = Safe::line(name).into_string();
    // Else it might look like the very name that is meant.
    let hidden = if shown == name { "" } else { ", in which there is more than can be shown" };
    let reason = format!("the run has no {what} {shown}{hidden}");
    match nearest {
        Some(nearest) => Rejection::with_way_out(reason, format!("did you mean {}?", Safe::line(nearest))),
        None => Rejection::with_way_out(reason, format!("`upbeat show {}` lists what it has", run.name)),
    }
}

/// What a command did, by names.
#[must_use]
pub fn tell(done: &Done, view: &EngineView, run: RunId) -> Told {
    let shown = view.runs.iter().find(|shown| shown.id == run);
    let names = |steps: &[StepId]| {
        let name = |step: &StepId| Some(shown?.workflow.steps.get(step.index())?.id.to_string());
        steps.iter().filter_map(name).collect()
    };
    Told { cancelled: names(&done.cancelled), dependents: names(&done.dependents), reassigned: names(&done.reassigned) }
}
