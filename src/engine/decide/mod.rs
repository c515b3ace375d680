//! State and input to facts, or a refusal. One dispatching match; the arms live by family.

pub(crate) mod agent;
pub(crate) mod by_hand;
pub(crate) mod cancel;
mod expand;
mod recover;
pub(crate) mod run;
pub(crate) mod step;
pub(crate) mod undo;

use super::input::Input;
use super::prepare;
use super::run::Run;
use super::world::World;
use crate::model::command::{Command, Rejection};
use crate::model::effect::Timer;
use crate::model::event::EventKind;
use crate::model::id::{RunId, StepId};
use crate::model::time::Micros;

/// Facts under decision, each with the run whose journal it joins.
pub(crate) type Decided = Vec<(RunId, EventKind)>;

pub(crate) fn decide(world: &World, now: Micros, input: &Input, decided: &mut Decided) -> Result<(), Rejection> {
    if about(input).is_some_and(|run| !world.runs.contains_key(&run)) {
        // It is late: the run has been unloaded.
        return Ok(());
    }
    match input {
        Input::Command(command) => decide_command(world, now, command, decided),
        Input::Completion(completion) => {
            step::completed(world, now, completion, decided);
            Ok(())
        }
        Input::Computed(computed) => {
            prepare::answered(world.run(computed.run), now, computed, decided);
            Ok(())
        }
        Input::Timer(timer) => {
            decide_timer(world, now, *timer, decided);
            Ok(())
        }
        Input::Health { agent, fault } => {
            agent::checked(world, *agent, fault.as_deref(), decided);
            Ok(())
        }
        Input::Load { per_core } => {
            world.runs.values().for_each(|run| run::weigh(world, run, *per_core, decided));
            Ok(())
        }
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

/// The run that is told something by the outside.
fn about(input: &Input) -> Option<RunId> {
    match input {
        Input::Completion(completion) => Some(completion.run),
        Input::Computed(computed) => Some(computed.run),
        Input::Timer(timer) => timer.run(),
        _ => None,
    }
}

fn decide_command(world: &World, now: Micros, command: &Command, decided: &mut Decided) -> Result<(), Rejection> {
    if let Some(run) = command.run()
        && !world.runs.contains_key(&run)
    {
        return Err(Rejection::new("there is no such run"));
    }
    match command {
        Command::Start { run } => run::start(world.run(*run), decided),
        Command::Pause { run } => run::pause(world.run(*run), decided),
        Command::Freeze { run } => run::freeze(world.run(*run), decided),
        Command::Resume { run } => run::resume(world.run(*run), decided),
        Command::Stop { run } => run::stop(world.run(*run), decided),
        Command::Park { run } => run::park(world.run(*run), decided),
        Command::RetryFailed { run } => by_hand::retry_failed(world.run(*run), decided),
        Command::Cancel { run, cause } => run::cancel(world.run(*run), *cause, decided),
        Command::CancelStep { run, step } => cancel::step(world.run(*run), *step, decided),
        Command::CancelWhere { run, which, reassign } => {
            cancel::these(world, world.run(*run), which, *reassign, decided)
        }
        Command::RetryStep { run, step } => by_hand::retry(world.run(*run), *step, decided),
        Command::SkipStep { run, step } => by_hand::skip(world.run(*run), *step, decided),
        Command::CompleteStep { run, step, output } => by_hand::complete(world.run(*run), *step, output, decided),
        Command::ReassignStep { run, step, agent } => by_hand::reassign(world, world.run(*run), *step, *agent, decided),
        Command::Answer { run, step, answer } => by_hand::answer(world.run(*run), now, *step, answer, decided),
        Command::Rollback { run, to } => undo::by_hand(world.run(*run), *to, decided),
        Command::Edit { run, edit } => expand::edit(world.run(*run), edit, decided),
        Command::UndoEdit { run } => expand::undo(world.run(*run), decided),
        Command::SetPriority { run, step, priority } => {
            by_hand::set_priority(world.run(*run), *step, *priority, decided)
        }
        Command::FailAgent { agent } => agent::fail(world, now, *agent, decided),
        Command::HealAgent { agent } => agent::heal(world, *agent, decided),
        Command::SetBreaker { agent, mode } => agent::set_breaker(world, *agent, *mode, decided),
    }
}

fn decide_timer(world: &World, now: Micros, timer: Timer, decided: &mut Decided) {
    match timer {
        Timer::AttemptTimeout { run, step, attempt } => step::timed_out(world.run(run), now, step, attempt, decided),
        Timer::Idle { run, step, attempt } => step::fell_silent(world.run(run), step, attempt, decided),
        Timer::Backoff { run, step, attempt } => step::backed_off(world.run(run), step, attempt, decided),
        Timer::Approval { run, step } => step::unanswered(world.run(run), now, step, decided),
        Timer::Deadline { run, epoch } => run::deadline(world.run(run), epoch, decided),
        Timer::Heal { agent, epoch } => agent::healed_by_itself(world, agent, epoch, decided),
        Timer::Unpark { agent, epoch } => agent::unparked(world, agent, epoch, decided),
        Timer::Breaker { agent, epoch } => agent::breaker_due(world, now, agent, epoch, decided),
    }
}

/// The trace of a refused command in the journal of a run under way.
pub(crate) fn refused(world: &World, input: &Input, rejection: &Rejection, decided: &mut Decided) {
    let Input::Command(command) = input else { return };
    let Some(run) = command.run().and_then(|run| world.runs.get(&run)) else { return };
    if run.started.is_some() && !run.state.ended() {
        let kind = EventKind::CommandRefused { command: command.word().into(), reason: rejection.to_string() };
        decided.push((run.id, kind));
    }
}

/// The step's name, if the run has it.
pub(crate) fn existing(run: &Run, step: StepId) -> Result<&str, Rejection> {
    let found = run.workflow.steps.get(step.index());
    found.map(|step| &*step.id).ok_or_else(|| Rejection::new("there is no such step"))
}
