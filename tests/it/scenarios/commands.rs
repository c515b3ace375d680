//! What a scenario's inputs say, as inputs of the engine.

use super::script::json;
use super::world::{RUN, World};
use upbeat::engine::Input;
use upbeat::model::command::{Answer, BreakerMode, Command, Which};
use upbeat::model::id::{AgentId, StepId};
use upbeat::model::state::EndCause;

pub(crate) fn step(world: &World, name: &str) -> Result<StepId, String> {
    world.workflow.find(name).ok_or_else(|| format!("no such step: {name}"))
}

fn agent(world: &World, name: &str) -> Result<AgentId, String> {
    let at = world.workflow.agents.iter().position(|agent| &*agent.id == name);
    at.map(AgentId::from_index).ok_or_else(|| format!("no such agent: {name}"))
}

fn number<N: std::str::FromStr>(text: &str) -> Result<N, String> {
    text.parse().map_err(|_| format!("no number: {text}"))
}

fn answer(text: &str) -> Result<Answer, String> {
    Ok(match text {
        "approve" => Answer::Approve,
        "reject" => Answer::Reject,
        other => Answer::Value(json(other)?),
    })
}

fn which(world: &World, text: &str) -> Result<(Which, bool), String> {
    let (text, reassign) = text.strip_suffix(" reassign").map_or((text, false), |text| (text, true));
    let (kind, value) = text.split_once(' ').ok_or_else(|| format!("cancel where what: {text}"))?;
    let which = match kind {
        "agent" => Which::Agent(agent(world, value)?),
        "capability" => Which::Capability(value.into()),
        "action" => Which::Action(value.into()),
        "priority" => {
            let (from, to) = value.split_once('-').ok_or_else(|| format!("no range: {value}"))?;
            Which::Priority { from: number(from)?, to: number(to)? }
        }
        other => return Err(format!("nothing is cancelled by its {other}")),
    };
    Ok((which, reassign))
}

/// One input.
pub(crate) fn input(world: &World, text: &str) -> Result<Input, String> {
    let (verb, rest) = text.split_once(' ').unwrap_or((text, ""));
    let run = RUN;
    if verb == "health" {
        let (name, fault) = rest.split_once(": ").ok_or_else(|| format!("health of whom: {text}"))?;
        let fault = (fault != "well").then(|| fault.to_owned());
        return Ok(Input::Health { agent: agent(world, name)?, fault });
    }
    if verb == "load" {
        return Ok(Input::Load { per_core: number(rest)? });
    }
    let command = match (verb, rest) {
        ("start", _) => Command::Start { run },
        ("pause", _) => Command::Pause { run },
        ("freeze", _) => Command::Freeze { run },
        ("resume", _) => Command::Resume { run },
        ("stop", _) => Command::Stop { run },
        ("park", _) => Command::Park { run },
        ("quit", _) => Command::Cancel { run, cause: EndCause::Quit },
        ("rollback", "") => Command::Rollback { run, to: None },
        ("rollback", to) => Command::Rollback { run, to: Some(number(to.trim_start_matches("to "))?) },
        ("retry", "failed") => Command::RetryFailed { run },
        ("cancel", "run") => Command::Cancel { run, cause: EndCause::Cancel },
        ("fail", name) => Command::FailAgent { agent: agent(world, name)? },
        ("heal", name) => Command::HealAgent { agent: agent(world, name)? },
        ("breaker", rest) => return breaker(world, rest),
        ("answer", rest) => {
            let (whom, said) = rest.split_once(' ').ok_or_else(|| format!("answer what: {text}"))?;
            let step = if whom == "run" { None } else { Some(step(world, whom)?) };
            Command::Answer { run, step, answer: answer(said)? }
        }
        ("cancel", rest) if rest.starts_with("where ") => {
            let (which, reassign) = which(world, rest.trim_start_matches("where "))?;
            Command::CancelWhere { run, which, reassign }
        }
        _ => return of_step(world, verb, rest),
    };
    Ok(Input::Command(command))
}

fn breaker(world: &World, rest: &str) -> Result<Input, String> {
    let (name, mode) = rest.split_once(' ').ok_or_else(|| format!("the breaker of whom: {rest}"))?;
    let mode = match mode {
        "open" => BreakerMode::ForcedOpen,
        "closed" => BreakerMode::ForcedClosed,
        "auto" => BreakerMode::Automatic,
        other => return Err(format!("no breaker is {other}")),
    };
    Ok(Input::Command(Command::SetBreaker { agent: agent(world, name)?, mode }))
}

fn of_step(world: &World, verb: &str, rest: &str) -> Result<Input, String> {
    let (name, more) = rest.split_once(' ').unwrap_or((rest, ""));
    let (run, step) = (RUN, step(world, name)?);
    Ok(Input::Command(match verb {
        "cancel" => Command::CancelStep { run, step },
        "retry" => Command::RetryStep { run, step },
        "skip" => Command::SkipStep { run, step },
        "complete" => Command::CompleteStep { run, step, output: json(more)? },
        "reassign" => Command::ReassignStep { run, step, agent: agent(world, more.trim_start_matches("to "))? },
        "priority" => Command::SetPriority { run, step, priority: number(more)? },
        other => return Err(format!("nobody knows how to {other}")),
    }))
}
