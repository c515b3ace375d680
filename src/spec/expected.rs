//! How long a workflow that is used is expected to take, where the files say so.

use crate::model::agent::{Agent, AgentKind, Builtin};
use crate::model::step::{Step, Work};
use crate::model::time::Micros;
use crate::model::workflow::Workflow;

/// Its longest chain of steps by their expected times, as if nothing but needs held them up. `None`: of some step it is not
/// known, or it may be done any number of times. The steps stand in no order, and there is no circle.
pub(crate) fn critical_path(workflow: &Workflow, agents: &[Agent]) -> Option<Micros> {
    let times: Vec<Micros> = workflow.steps.iter().map(|step| time(step, agents)).collect::<Option<_>>()?;
    let mut missing: Vec<usize> = workflow.steps.iter().map(|step| step.needs.len()).collect();
    let mut dependants = vec![Vec::new(); times.len()];
    for (at, step) in workflow.steps.iter().enumerate() {
        step.needs.iter().for_each(|need| dependants[need.step.index()].push(at));
    }
    let mut open: Vec<usize> = (0..times.len()).filter(|&at| missing[at] == 0).collect();
    let mut starts = vec![Micros::ZERO; times.len()];
    let mut longest = Micros::ZERO;
    while let Some(at) = open.pop() {
        let end = starts[at] + times[at];
        longest = longest.max(end);
        for &next in &dependants[at] {
            starts[next] = starts[next].max(end);
            missing[next] -= 1;
            if missing[next] == 0 {
                open.push(next);
            }
        }
    }
    Some(longest)
}

/// The shortest time that anybody takes who can do it.
fn time(step: &Step, agents: &[Agent]) -> Option<Micros> {
    if step.for_each.is_some() {
        return None;
    }
    match &step.work {
        Work::Approval { .. } | Work::Route => None,
        Work::Aggregate(_) => Some(step.estimate.unwrap_or(Micros::ZERO)),
        Work::Run { .. } | Work::Command { .. } | Work::Uses { .. } => step.estimate,
        Work::Capability { capability } => {
            let offers = |agent: &&Agent| agent.capabilities.contains(capability);
            let known = agents.iter().filter(offers).filter_map(|agent| on_agent(agent, step)).min();
            known.or_else(|| of_builtin(capability, step)).or(step.estimate)
        }
        Work::Agent { agent } => {
            let own = agents.iter().find(|own| own.id == *agent);
            own.and_then(|own| on_agent(own, step)).or_else(|| of_builtin(agent, step)).or(step.estimate)
        }
    }
}

fn on_agent(agent: &Agent, step: &Step) -> Option<Micros> {
    match &agent.kind {
        AgentKind::Simulated(simulated) => {
            Some(simulated.duration(step.action.as_deref(), step.estimate).at_speed(simulated.speed))
        }
        AgentKind::Builtin { builtin } => of_builtin(builtin.capability(), step),
        AgentKind::Process(_) => step.estimate,
    }
}

/// What is built in answers at once, but for the one that waits.
fn of_builtin(asked: &str, step: &Step) -> Option<Micros> {
    let named = |builtin: &Builtin| builtin.capability() == asked || builtin.agent_id() == asked;
    match Builtin::NAMED.into_iter().find(named)? {
        Builtin::Sleep => step.estimate,
        _ => Some(step.estimate.unwrap_or(Micros::ZERO)),
    }
}
