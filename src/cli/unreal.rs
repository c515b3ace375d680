//! What the virtual clock asks of a workflow: no time passes on it while real work is done, so none may be in use.

use super::out::{Stop, refuse, say};
use crate::model::agent::{Agent, AgentKind, Builtin};
use crate::model::safe::Safe;
use crate::model::step::{Fallback, Step, Work};
use crate::model::workflow::Workflow;

/// Agents that are named in a message.
const SHOWN: usize = 20;

/// Refuses a workflow that may do real work, and says what is left out of one that does not.
pub(crate) fn admit(workflow: &Workflow) -> Result<(), Stop> {
    let in_use: Vec<&Agent> = workflow.agents.iter().filter(|agent| is_in_use(workflow, agent)).collect();
    let real = in_use.iter().filter(|agent| !agent.kind.is_virtual());
    let real: Vec<String> = real.map(|agent| named(workflow, agent)).collect();
    if !real.is_empty() {
        return refuse(&format!(
            "`--clock virtual` needs every agent in use to be simulated or built in; these are not: {}",
            few(real)
        ));
    }
    let checked = in_use.iter().filter(|agent| agent.health.is_some());
    let checked: Vec<String> = checked.map(|agent| Safe::line(&agent.id).into_string()).collect();
    if !checked.is_empty() {
        say(&format!(
            "upbeat: under the virtual clock no `health` is checked; agents that declare it: {}",
            few(checked)
        ));
    }
    Ok(())
}

/// Whether a step, its compensation or a fallback may be given to an agent.
fn is_in_use(workflow: &Workflow, agent: &Agent) -> bool {
    workflow.steps.iter().any(|step| may_do(agent, step) || undoes(agent, step))
}

fn undoes(agent: &Agent, step: &Step) -> bool {
    step.compensate.as_deref().is_some_and(|undo| may_do(agent, undo))
}

fn may_do(agent: &Agent, step: &Step) -> bool {
    let offers = |capability: &str| agent.capabilities.iter().any(|own| &**own == capability);
    let itself = match &step.work {
        Work::Agent { agent: id } => agent.id == *id,
        _ => offers(step.asks_for()),
    };
    itself
        || step.fallback.iter().any(|fallback| match fallback {
            Fallback::Agent(id) => agent.id == *id,
            Fallback::Capability(capability) => offers(capability),
            Fallback::Value(_) => false,
        })
}

/// An agent, by what a person wrote to have it used.
fn named(workflow: &Workflow, agent: &Agent) -> String {
    let only_undoes = !workflow.steps.iter().any(|step| may_do(agent, step));
    match &agent.kind {
        AgentKind::Builtin { builtin: Builtin::Process } if only_undoes => {
            "`run` and `command` in `compensate`".to_owned()
        }
        AgentKind::Builtin { builtin: Builtin::Process } => "`run` and `command` steps".to_owned(),
        kind if only_undoes => format!("{} ({} in `compensate`)", Safe::line(&agent.id), kind.word()),
        kind => format!("{} ({})", Safe::line(&agent.id), kind.word()),
    }
}

fn few(mut names: Vec<String>) -> String {
    let more = names.len().saturating_sub(SHOWN);
    if more > 0 {
        names.truncate(SHOWN);
        names.push(format!("{more} more"));
    }
    names.join(", ")
}
