//! State and input to facts, or a refusal. One dispatching match; the arms live by family.

pub(crate) mod agent;
mod recover;
mod run;
pub(crate) mod step;

use super::input::Input;
use super::world::World;
use crate::model::command::{Command, Rejection};
use crate::model::effect::Timer;
use crate::model::event::EventKind;
use crate::model::id::RunId;
use crate::model::time::Micros;

/// Facts under decision, each with the run whose journal it joins.
pub(crate) type Decided = Vec<(RunId, EventKind)>;

pub(crate) fn decide(world: &World, now: Micros, input: &Input, decided: &mut Decided) -> Result<(), Rejection> {
    match input {
        Input::Command(command) => decide_command(world, now, command, decided),
        Input::Completion(completion) => {
            step::completed(world, now, completion, decided);
            Ok(())
        }
        Input::Timer(timer) => {
            decide_timer(world, *timer, decided);
            Ok(())
        }
        Input::Health { .. } | Input::Load { .. } => Ok(()),
        Input::Reopened { run, ask } => {
            recover::reopened(world, *run, *ask, decided);
            Ok(())
        }
        Input::Lost { run, step, attempt, ask } => {
            recover::lost(world, now, (*run, *step, *attempt), *ask, decided);
            Ok(())
        }
        Input::Redefined { run, workflow, files } => recover::redefined(world.run(*run), workflow, files, decided),
    }
}

fn decide_command(world: &World, now: Micros, command: &Command, decided: &mut Decided) -> Result<(), Rejection> {
    if let Some(run) = command.run()
        && world.runs.get(run.index()).is_none()
    {
        return Err(Rejection::new("there is no such run"));
    }
    match *command {
        Command::Start { run } => run::start(world.run(run), decided),
        Command::Pause { run } => run::pause(world.run(run), decided),
        Command::Resume { run } => run::resume(world.run(run), decided),
        Command::Stop { run } => run::stop(world.run(run), decided),
        Command::Park { run } => run::park(world.run(run), decided),
        Command::RetryFailed { run } => step::retry_failed(world.run(run), decided),
        Command::Cancel { run, cause } => run::cancel(world.run(run), cause, decided),
        Command::CancelStep { run, step } => step::cancel(world.run(run), step, decided),
        Command::RetryStep { run, step } => step::retry(world.run(run), step, decided),
        Command::SetPriority { run, step, priority } => step::set_priority(world.run(run), step, priority, decided),
        Command::FailAgent { agent } => agent::fail(world, now, agent, decided),
        Command::HealAgent { agent } => agent::heal(world, agent, decided),
        _ => Err(Rejection::new("this is not supported yet")),
    }
}

fn decide_timer(world: &World, timer: Timer, decided: &mut Decided) {
    match timer {
        Timer::AttemptTimeout { run, step, attempt } => step::timed_out(world.run(run), step, attempt, decided),
        Timer::Backoff { run, step, attempt } => step::backed_off(world.run(run), step, attempt, decided),
        Timer::Deadline { run, epoch } => run::deadline(world.run(run), epoch, decided),
        Timer::Heal { agent, epoch } => agent::healed_by_itself(world, agent, epoch, decided),
        Timer::Idle { .. } | Timer::Approval { .. } | Timer::Unpark { .. } | Timer::Breaker { .. } => {}
    }
}

/// The trace of a refused command in the journal of a run under way.
pub(crate) fn refused(world: &World, input: &Input, rejection: &Rejection, decided: &mut Decided) {
    let Input::Command(command) = input else { return };
    let Some(run) = command.run().and_then(|run| world.runs.get(run.index())) else { return };
    if run.started.is_some() && !run.state.ended() {
        let kind = EventKind::CommandRefused { command: command.word().into(), reason: rejection.to_string() };
        decided.push((run.id, kind));
    }
}
