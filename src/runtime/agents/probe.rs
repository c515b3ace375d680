//! Whether an agent could be given work, without giving it any: its work may have effects.

use super::health::{Finding, check};
use super::request;
use crate::model::agent::{Agent, AgentKind, Probe};
use crate::model::workflow::Workflow;
use crate::runtime::clock::now;
use crate::runtime::reaper::{Pool, find_program};

/// Looks up an agent's program as a start would find it, and makes its health check, where it declares one. Nothing else
/// is run.
pub async fn probe(pool: &Pool, agent: &Agent, workflow: &Workflow) -> Probe {
    let (found, how) = look_up(agent, workflow);
    if let Err(why) = found {
        return Probe { reachable: Err(why), latency: None, how };
    }
    let began = now();
    let Some(finding) = check(pool, agent, workflow, None).await else {
        return Probe { reachable: Ok(()), latency: None, how };
    };
    let latency = Some(now() - began);
    match finding {
        Finding::Well => Probe { reachable: Ok(()), latency, how: format!("{how}; its health check is well") },
        Finding::Unwell(why) => {
            Probe { reachable: Err(why), latency, how: format!("{how}; its health check was made") }
        }
        Finding::Unknown(why) => {
            let how = format!("{how}; its health check could not be made");
            Probe { reachable: Err(why), latency: None, how }
        }
    }
}

fn look_up(agent: &Agent, workflow: &Workflow) -> (Result<(), String>, String) {
    let process = match &agent.kind {
        AgentKind::Simulated(_) => return (Ok(()), "simulated".to_owned()),
        AgentKind::Builtin { .. } => return (Ok(()), "built in".to_owned()),
        AgentKind::Process(process) => process,
    };
    let program = request::of_agent(agent, workflow, &process.command, None)
        .map_err(|failure| failure.message)
        .and_then(|(spec, mask)| find_program(&spec).map_err(|error| mask.text(error.to_string())));
    match program {
        Ok(place) => (Ok(()), format!("its program is `{}`", place.display())),
        Err(why) => (Err(why), "its program was looked up".to_owned()),
    }
}
