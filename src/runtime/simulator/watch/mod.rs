//! An observer that knows nothing of the engine but its events, and holds them against the rules.
//!
//! It keeps its own, small picture of every run and every agent. Each event must be allowed in that picture, and after
//! each input the picture must be one in which nothing is forgotten. The rules are those of
//! [`RULES`](super::RULES); each part of the picture has a file of its own.

macro_rules! rule {
    ($holds:expr, $($words:tt)*) => {
        if !$holds {
            return Err(format!($($words)*));
        }
    };
}

mod agents;
mod attempts;
mod breaker;
mod reasons;
mod runs;
mod saga;
mod seen;
mod shared;
mod steps;
mod timers;

pub(crate) use seen::{AtWork, RunSeen, StepSeen};
pub(crate) use timers::Armed;

use super::plan::RunPlan;
use crate::engine::Input;
use crate::model::command::{Answer, BreakerMode, Command};
use crate::model::effect::Timer;
use crate::model::event::{Event, EventKind};
use crate::model::id::{AgentId, Name, RunId};
use crate::model::state::{BreakerState, RunState};
use crate::model::time::Micros;
use agents::AgentSeen;
use std::collections::BTreeMap;

/// What is broken, in words.
pub(crate) type Broken = String;

/// The observer.
#[derive(Clone, Debug)]
pub(crate) struct Watch {
    pub(crate) runs: Vec<RunSeen>,
    agents: Vec<AgentSeen>,
    /// How often and for how long in all an agent did something well, by what it was.
    measured: BTreeMap<(AgentId, Name), (u64, u64)>,
    /// A journal is being read: what a person or a timer did is not told there.
    reading: bool,
    /// Journals of several runs are read one after another: what their runs did at the same time cannot be told.
    apart: bool,
}

impl Watch {
    /// Before anything has happened; agents are numbered as an engine does that loads the runs in order.
    pub(crate) fn new(plans: &[RunPlan]) -> Self {
        let mut agents: Vec<AgentSeen> = Vec::new();
        let mut runs = Vec::new();
        for plan in plans {
            let places = plan.workflow.agents.iter().map(|agent| {
                let known = agents.iter().position(|seen| seen.definition.id == agent.id);
                let place = known.unwrap_or(agents.len());
                match known {
                    Some(at) => agents[at].definition = agent.clone(),
                    None => agents.push(AgentSeen::new(agent.clone())),
                }
                AgentId::from_index(place)
            });
            let places = places.collect();
            runs.push(RunSeen::new(plan.workflow.clone(), places));
        }
        Self { runs, agents, measured: BTreeMap::new(), reading: false, apart: false }
    }

    /// Reads a journal: agents of other runs under way stay as they are known from those.
    ///
    /// # Errors
    /// The rule that the journal breaks.
    pub(crate) fn read(&mut self, events: &[Event]) -> Result<(), Broken> {
        let in_use = |at: &usize| {
            let agent = AgentId::from_index(*at);
            self.runs.iter().any(|run| run.is_live() && run.agents.contains(&agent))
        };
        let kept: Vec<_> = (0..self.agents.len()).filter(in_use).map(|at| (at, self.agents[at].clone())).collect();
        self.apart = self.runs.len() > 1;
        self.reading = true;
        for event in events {
            let mut event = event.clone();
            let places = &self.runs[event.run.index()].agents;
            event.kind.map_agents(|agent| places[agent.index()]);
            self.event(&event).map_err(|broken| format!("{broken} (in the journal)"))?;
        }
        for (at, seen) in kept {
            self.agents[at].stays(seen);
        }
        self.agents.iter_mut().for_each(AgentSeen::forget_what_is_due);
        (self.apart, self.reading) = (false, false);
        self.at_rest()
    }

    pub(crate) fn run(&self, run: RunId) -> &RunSeen {
        &self.runs[run.index()]
    }

    /// How many agents there are.
    pub(crate) fn agents(&self) -> usize {
        self.agents.len()
    }

    /// Agents that a person has to set free: their breakers are held open.
    pub(crate) fn held_open(&self) -> Vec<AgentId> {
        let held = |at: &usize| self.agents[*at].breaker.state == BreakerState::ForcedOpen;
        (0..self.agents.len()).filter(held).map(AgentId::from_index).collect()
    }

    /// Whether all runs have ended.
    pub(crate) fn all_ended(&self) -> bool {
        self.runs.iter().all(|run| run.state.ended())
    }

    /// Hears what the engine is asked, before it answers.
    pub(crate) fn hear(&mut self, now: Micros, input: &Input) {
        match input {
            Input::Command(Command::SetBreaker { agent, mode }) => {
                let to = match mode {
                    BreakerMode::Automatic => BreakerState::Closed,
                    BreakerMode::ForcedOpen => BreakerState::ForcedOpen,
                    BreakerMode::ForcedClosed => BreakerState::ForcedClosed,
                };
                self.agents[agent.index()].breaker.asked = Some(to);
            }
            Input::Timer(Timer::Breaker { agent, epoch }) => {
                let breaker = &mut self.agents[agent.index()].breaker;
                breaker.asked = breaker.in_time(*epoch, now);
            }
            Input::Command(Command::CompleteStep { run, step, .. } | Command::SkipStep { run, step })
            | Input::Command(Command::Answer { run, step: Some(step), .. })
            | Input::Timer(Timer::Approval { run, step }) => self.runs[run.index()].by_hand = Some(*step),
            Input::Command(Command::Answer { run, step: None, answer }) => {
                self.runs[run.index()].answered = Some(*answer == Answer::Approve);
            }
            _ => {}
        }
    }

    /// Takes in an event.
    ///
    /// # Errors
    /// The rule it breaks.
    pub(crate) fn event(&mut self, event: &Event) -> Result<(), Broken> {
        let run = &mut self.runs[event.run.index()];
        rule!(event.seq == run.seq + 1, "numbers: event {} follows event {}", event.seq, run.seq);
        run.seq = event.seq;
        if let EventKind::AttemptStarted { step, agent, fallback, undo, .. } = &event.kind {
            self.may_start(event, *step, *agent, *fallback, *undo)?;
        }
        self.may_try_again(event)?;
        self.agent_event(event)?;
        let reading = self.reading;
        let run = &mut self.runs[event.run.index()];
        run.reading = reading;
        run.run_event(event)?;
        run.attempt_event(event)?;
        run.saga_event(event)?;
        run.step_event(event)?;
        run.afterwards(event);
        if let EventKind::AttemptStarted { step, agent, .. } = &event.kind
            && let Some(work) = &mut run.steps[step.index()].at_work
        {
            work.begun = self.agents[agent.index()].breaker.changes;
        }
        Ok(())
    }

    /// After every input: nothing is left undone that the events ask for.
    ///
    /// # Errors
    /// The rule that is broken.
    pub(crate) fn at_rest(&mut self) -> Result<(), Broken> {
        for run in &mut self.runs {
            (run.by_hand, run.answered) = (None, None);
            for step in &mut run.steps {
                step.failed = None;
                let Some(work) = step.at_work else { continue };
                let goes_on = work.ending.is_none() && !work.undo;
                rule!(
                    !(goes_on && run.state == RunState::Cancelling),
                    "cancel: an attempt goes on while its run is being cancelled"
                );
                let stands = work.ending.is_some() || work.halted.is_some();
                rule!(!run.frozen || stands, "frozen: an attempt goes on in a run that is frozen");
            }
        }
        self.agents.iter_mut().try_for_each(AgentSeen::at_rest)
    }
}
