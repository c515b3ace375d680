//! `upbeat agents FILE`: every agent of a workflow, tried.

use super::args::{AgentsArgs, ModelOptions, Output};
use super::load::{self, Needs};
use super::out::{self, Done, EXIT_FAULT, Stop, say};
use super::session::block_on;
use crate::model::agent::{Agent, Probe};
use crate::model::workflow::Workflow;
use crate::report::agents::{document, text};
use crate::report::json;
use crate::runtime::agents::probe;
use crate::runtime::environment;
use crate::runtime::reaper::Pool;

/// The exit code where an agent is not there.
const EXIT_MISSING: u8 = 1;

/// Tries them and prints what came of it.
pub(crate) fn agents(args: &AgentsArgs) -> Done {
    let agents = args.agents.clone();
    let model = ModelOptions { agents, data: None, set: Vec::new(), mode: None, max_parallel: None };
    let workflow = load::workflow(&args.file, &model, Needs::Agents)?.accept(args.output)?;
    let tried = block_on(probe_all(&workflow))?;
    let tried: Vec<(&Agent, Probe)> = workflow.agents.iter().zip(tried).collect();
    out::result(&match args.output {
        Output::Text => text(&tried),
        Output::Json => json::pretty(&document(&tried)) + "\n",
    })?;
    Ok(if tried.iter().all(|(_, probe)| probe.reachable.is_ok()) { 0 } else { EXIT_MISSING })
}

/// All at once: one that does not answer holds nobody up.
async fn probe_all(workflow: &Workflow) -> Result<Vec<Probe>, Stop> {
    let program = environment::own_program().map_err(|error| {
        say(&format!("upbeat: cannot find its own program: {error}"));
        Stop(EXIT_FAULT)
    })?;
    let pool = Pool::new(program);
    let probes = workflow.agents.iter().map(|agent| probe(&pool, agent, workflow));
    let tried = futures_util::future::join_all(probes).await;
    pool.shutdown().await;
    Ok(tried)
}
