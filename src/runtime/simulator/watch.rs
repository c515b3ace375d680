//! An observer that knows nothing of the engine but its events, and holds them against the rules.
//!
//! It keeps its own, small picture of every run. Each event must be allowed in that picture, and after each input the
//! picture must be one in which nothing is forgotten. The rules are those of [`RULES`](super::RULES).

use super::plan::RunPlan;
use crate::model::agent::Agent;
use crate::model::completion::FailureClass;
use crate::model::effect::Timer;
use crate::model::event::{EndingWhy, Event, EventKind};
use crate::model::id::{AgentId, RunId, StepId};
use crate::model::state::{RunState, StepState, WaitReason};
use crate::model::step::{Fallback, NeedOn};
use crate::model::time::Micros;
use crate::model::workflow::Workflow;
use std::collections::BTreeSet;
use std::sync::Arc;

/// What is broken, in words.
pub(super) type Broken = String;

/// An attempt under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct AtWork {
    pub(super) attempt: u32,
    pub(super) agent: AgentId,
    pub(super) ending: Option<EndingWhy>,
    fallback: Option<u32>,
}

/// The picture of a step.
#[derive(Clone, Debug)]
pub(super) struct StepSeen {
    pub(super) state: StepState,
    pub(super) at_work: Option<AtWork>,
    pub(super) attempts: u32,
    /// Attempts that count against the retries.
    spent: u32,
    /// It has once succeeded.
    done: bool,
    /// Something that makes it succeed has happened.
    answered: bool,
    /// How its last attempt failed, in the input that is being looked at.
    failed: Option<FailureClass>,
    /// The end of its wait between attempts.
    backoff: Option<Micros>,
}

/// The picture of a run.
#[derive(Clone, Debug)]
pub(super) struct RunSeen {
    pub(super) workflow: Arc<Workflow>,
    /// Registry places of its agents.
    pub(super) agents: Vec<AgentId>,
    pub(super) seq: u64,
    pub(super) state: RunState,
    pub(super) steps: Vec<StepSeen>,
    /// Counts resumes.
    epoch: u32,
}

/// The picture of an agent.
#[derive(Clone, Debug)]
struct AgentSeen {
    definition: Agent,
    broken: bool,
    breaks: u32,
    heals: bool,
}

/// The observer.
#[derive(Clone, Debug)]
pub(super) struct Watch {
    pub(super) runs: Vec<RunSeen>,
    agents: Vec<AgentSeen>,
    /// Journals of several runs are read one after another: what their runs did at the same time cannot be told.
    apart: bool,
}

macro_rules! rule {
    ($holds:expr, $($words:tt)*) => {
        if !$holds {
            return Err(format!($($words)*));
        }
    };
}

impl Watch {
    /// Before anything has happened; agents are numbered as an engine does that loads the runs in order.
    pub(super) fn new(plans: &[RunPlan]) -> Self {
        let mut agents: Vec<AgentSeen> = Vec::new();
        let mut runs = Vec::new();
        for plan in plans {
            let places = plan.workflow.agents.iter().map(|agent| {
                let known = agents.iter().position(|seen| seen.definition.id == agent.id);
                let place = known.unwrap_or(agents.len());
                let seen = AgentSeen { definition: agent.clone(), broken: false, breaks: 0, heals: false };
                match known {
                    Some(at) => agents[at].definition = seen.definition,
                    None => agents.push(seen),
                }
                AgentId::from_index(place)
            });
            let places = places.collect();
            runs.push(RunSeen::new(plan.workflow.clone(), places));
        }
        Self { runs, agents, apart: false }
    }

    /// Reads a journal: agents of other runs under way stay as they are known from those.
    ///
    /// # Errors
    /// The rule that the journal breaks.
    pub(super) fn read(&mut self, events: &[Event]) -> Result<(), Broken> {
        let in_use = |at: &usize| {
            let agent = AgentId::from_index(*at);
            self.runs.iter().any(|run| run.is_live() && run.agents.contains(&agent))
        };
        let kept: Vec<_> = (0..self.agents.len()).filter(in_use).map(|at| (at, self.agents[at].clone())).collect();
        self.apart = self.runs.len() > 1;
        for event in events {
            let mut event = event.clone();
            let places = &self.runs[event.run.index()].agents;
            event.kind.map_agents(|agent| places[agent.index()]);
            self.event(&event).map_err(|broken| format!("{broken} (in the journal)"))?;
        }
        self.apart = false;
        for (at, seen) in kept {
            self.agents[at] = seen;
        }
        self.at_rest()
    }

    pub(super) fn run(&self, run: RunId) -> &RunSeen {
        &self.runs[run.index()]
    }

    /// How many agents there are.
    pub(super) fn agents(&self) -> usize {
        self.agents.len()
    }

    /// Whether all runs have ended.
    pub(super) fn all_ended(&self) -> bool {
        self.runs.iter().all(|run| run.state.ended())
    }

    /// Takes in an event.
    ///
    /// # Errors
    /// The rule it breaks.
    pub(super) fn event(&mut self, event: &Event) -> Result<(), Broken> {
        let run = &mut self.runs[event.run.index()];
        rule!(event.seq == run.seq + 1, "numbers: event {} follows event {}", event.seq, run.seq);
        run.seq = event.seq;
        if let EventKind::AttemptStarted { step, agent, fallback, .. } = &event.kind {
            self.may_start(event.run, *step, *agent, *fallback)?;
        }
        match &event.kind {
            EventKind::AgentBroken { agent, until, .. } => {
                let seen = &mut self.agents[agent.index()];
                if !seen.broken {
                    (seen.broken, seen.breaks, seen.heals) = (true, seen.breaks + 1, until.is_some());
                }
            }
            EventKind::AgentHealed { agent } => self.agents[agent.index()].broken = false,
            _ => {}
        }
        let run = &mut self.runs[event.run.index()];
        run.run_event(event)?;
        run.attempt_event(event)?;
        run.step_event(event)
    }

    fn may_start(&self, id: RunId, step: StepId, agent: AgentId, fallback: Option<u32>) -> Result<(), Broken> {
        let run = self.run(id);
        let seen = &self.agents[agent.index()];
        let name = &seen.definition.id;
        rule!(self.apart || !seen.broken, "slots: a step is given to {name}, which is broken");
        let all = self.runs.iter().flat_map(|run| &run.steps).filter_map(|step| step.at_work);
        let held = all.filter(|at_work| at_work.agent == agent).count();
        let free = held < seen.definition.slots as usize;
        rule!(self.apart || free, "slots: {name} is given more attempts than it has slots");
        rule!(run.state == RunState::Running, "paused: a step starts while the run is {}", run.state.word());
        let at_work = run.steps.iter().filter(|step| step.at_work.is_some()).count();
        let max = run.workflow.limits.max_parallel.map_or(usize::MAX, |max| max as usize);
        // An attempt that replaces a failed one takes its place: its end stands right before.
        rule!(at_work < max, "limits: more than {max} attempts at once");
        let asked = run.asks_for(step, fallback);
        let able = |agent: &Agent| *agent.id == *asked || agent.capabilities.iter().any(|name| **name == *asked);
        rule!(able(&seen.definition), "slots: {name} cannot do {asked}");
        if let Some(limit) = run.workflow.limits.capability.get(asked) {
            let same = |(at, seen): &(usize, &StepSeen)| {
                seen.at_work.is_some_and(|work| run.asks_for(StepId::from_index(*at), work.fallback) == asked)
            };
            let count = run.steps.iter().enumerate().filter(same).count();
            rule!(count < *limit as usize, "limits: more than {limit} attempts at {asked} at once");
        }
        Ok(())
    }

    /// Whether a timer has nothing to say any more.
    pub(super) fn is_stale(&self, timer: Timer) -> bool {
        match timer {
            Timer::AttemptTimeout { run, step, attempt } => {
                let at_work = self.run(run).steps[step.index()].at_work;
                at_work.is_none_or(|work| work.attempt != attempt || work.ending.is_some())
            }
            Timer::Backoff { run, step, attempt } => {
                let seen = &self.run(run).steps[step.index()];
                seen.backoff.is_none() || seen.attempts != attempt
            }
            Timer::Deadline { run, epoch } => {
                let run = self.run(run);
                let counts = matches!(run.state, RunState::Running | RunState::Pausing | RunState::Stopping);
                epoch != run.epoch || !counts
            }
            Timer::Idle { .. } | Timer::Approval { .. } | Timer::Unpark { .. } | Timer::Breaker { .. } => true,
            Timer::Heal { agent, epoch } => {
                let seen = &self.agents[agent.index()];
                let known = |run: &RunSeen| run.is_live() && run.agents.contains(&agent);
                !seen.broken || seen.breaks != epoch || !self.runs.iter().any(known)
            }
        }
    }

    /// After every input: nothing is left undone that the events ask for.
    ///
    /// # Errors
    /// The rule that is broken.
    pub(super) fn at_rest(&mut self) -> Result<(), Broken> {
        for run in &mut self.runs {
            for step in &mut run.steps {
                step.failed = None;
                if run.state == RunState::Cancelling {
                    let goes_on = step.at_work.is_some_and(|work| work.ending.is_none());
                    rule!(!goes_on, "cancel: an attempt goes on while its run is being cancelled");
                }
            }
        }
        Ok(())
    }

    /// While nothing waits for the disk: whatever has an end by time has a timer.
    ///
    /// # Errors
    /// What waits without one.
    pub(super) fn has_timers(&self, armed: &BTreeSet<Timer>) -> Result<(), Broken> {
        for (at, seen) in self.runs.iter().enumerate().filter(|(_, run)| run.state == RunState::Running) {
            let run = RunId::from_index(at);
            for (at, entry) in seen.steps.iter().enumerate() {
                let (step, attempt) = (StepId::from_index(at), entry.attempts);
                if entry.backoff.is_some() {
                    let timer = Timer::Backoff { run, step, attempt };
                    rule!(armed.contains(&timer), "timers: nothing ends the wait of step {at}");
                }
                if entry.at_work.is_some_and(|work| work.ending.is_none()) && seen.workflow.step(step).timeout.is_some()
                {
                    let timer = Timer::AttemptTimeout { run, step, attempt };
                    rule!(armed.contains(&timer), "timers: nothing ends attempt {attempt} of step {at}");
                }
            }
            for agent in &seen.agents {
                let entry = &self.agents[agent.index()];
                let timer = Timer::Heal { agent: *agent, epoch: entry.breaks };
                let ends = !entry.broken || !entry.heals || armed.contains(&timer);
                rule!(ends, "timers: nothing heals {}", entry.definition.id);
            }
            if seen.workflow.limits.deadline.is_some() {
                let timer = Timer::Deadline { run, epoch: seen.epoch };
                rule!(armed.contains(&timer), "timers: the run's deadline has no timer");
            }
        }
        Ok(())
    }
}

impl RunSeen {
    fn new(workflow: Arc<Workflow>, agents: Vec<AgentId>) -> Self {
        let step = StepSeen {
            state: StepState::Pending,
            at_work: None,
            attempts: 0,
            spent: 0,
            done: false,
            answered: false,
            failed: None,
            backoff: None,
        };
        let steps = vec![step; workflow.steps.len()];
        Self { workflow, agents, seq: 0, state: RunState::Pending, steps, epoch: 0 }
    }

    /// Started and not ended.
    pub(super) const fn is_live(&self) -> bool {
        !self.state.ended() && !matches!(self.state, RunState::Pending)
    }

    fn asks_for(&self, step: StepId, fallback: Option<u32>) -> &str {
        let spec = self.workflow.step(step);
        match fallback.and_then(|at| spec.fallback.get(at as usize)) {
            Some(Fallback::Agent(name) | Fallback::Capability(name)) => name,
            _ => spec.asks_for(),
        }
    }

    fn run_event(&mut self, event: &Event) -> Result<(), Broken> {
        match &event.kind {
            EventKind::RunStarted { .. } => self.state = RunState::Running,
            EventKind::RunPausing { .. } => self.state = RunState::Pausing,
            EventKind::RunPaused { .. } => self.state = RunState::Paused,
            EventKind::RunInterrupted if matches!(self.state, RunState::Running | RunState::Pausing) => {
                self.state = RunState::Paused;
            }
            EventKind::RunResumed | EventKind::RunReopened => {
                let ended = matches!(event.kind, EventKind::RunReopened);
                rule!(self.state.ended() == ended, "states: a run that is {} goes on", self.state.word());
                self.state = RunState::Running;
                self.epoch += 1;
            }
            EventKind::RunStopping => self.state = RunState::Stopping,
            EventKind::RunCancelling { .. } => self.state = RunState::Cancelling,
            EventKind::RunFinished { state, .. } => {
                rule!(!self.state.ended(), "states: a run ends that has ended");
                let open = self.steps.iter().position(|step| !step.state.ended());
                rule!(open.is_none(), "states: the run ends before step {}", open.unwrap_or_default());
                self.state = *state;
            }
            EventKind::AnswerDropped { .. } | EventKind::AgentHealed { .. } => {}
            EventKind::PriorityChanged { .. } if self.state == RunState::Pending => {}
            _ => rule!(self.is_live(), "states: {} in a run that is {}", event.kind.name(), self.state.word()),
        }
        Ok(())
    }

    fn attempt_event(&mut self, event: &Event) -> Result<(), Broken> {
        match &event.kind {
            EventKind::AttemptStarted { step, attempt, agent, fallback, .. } => {
                self.start(*step, *attempt, *agent, *fallback)
            }
            EventKind::AttemptEnding { step, attempt, why } => {
                let Some(work) = &mut self.steps[step.index()].at_work else {
                    return Err(format!("fence: attempt {attempt} is ended, but none is under way"));
                };
                rule!(work.attempt == *attempt, "fence: attempt {attempt} is ended instead of {}", work.attempt);
                work.ending = Some(*why);
                Ok(())
            }
            EventKind::AttemptSucceeded { step, attempt, .. } => {
                let seen = &mut self.steps[step.index()];
                let work = seen.at_work.take();
                rule!(work.is_some_and(|work| work.attempt == *attempt), "fence: attempt {attempt} is not under way");
                seen.answered = true;
                Ok(())
            }
            EventKind::AttemptFailed { step, attempt, failure, .. } => {
                let seen = &mut self.steps[step.index()];
                let work = seen.at_work.take().filter(|work| work.attempt == *attempt);
                let Some(work) = work else { return Err(format!("fence: attempt {attempt} is not under way")) };
                let taken = work.ending == Some(EndingWhy::Park) || failure.class == FailureClass::Unknown;
                if taken || failure.class == FailureClass::Unreachable {
                    seen.spent = seen.spent.saturating_sub(1);
                }
                let by_itself = !matches!(work.ending, Some(EndingWhy::Cancel | EndingWhy::Deadline | EndingWhy::Park));
                seen.failed = (by_itself && work.fallback.is_none()).then_some(failure.class);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn start(&mut self, step: StepId, attempt: u32, agent: AgentId, fallback: Option<u32>) -> Result<(), Broken> {
        let limit = self.workflow.step(step).retry.limit;
        let at = step.index();
        self.needs_met(step)?;
        let seen = &mut self.steps[at];
        rule!(!seen.done, "once: step {at} starts after it succeeded");
        rule!(seen.at_work.is_none(), "fence: step {at} has two attempts at once");
        rule!(attempt == seen.attempts + 1, "fence: attempt {attempt} of step {at} follows attempt {}", seen.attempts);
        let failed = seen.failed.is_some();
        rule!(seen.state == StepState::Ready || failed, "needs: step {at} starts while it is {}", seen.state.word());
        seen.attempts = attempt;
        seen.spent += 1;
        let most = if fallback.is_some() { 1 } else { limit + 1 };
        rule!(seen.spent <= most, "retries: try {} of {most} of step {at}", seen.spent);
        seen.state = StepState::Running;
        seen.backoff = None;
        seen.at_work = Some(AtWork { attempt, agent, ending: None, fallback });
        Ok(())
    }

    fn needs_met(&self, step: StepId) -> Result<(), Broken> {
        for need in &self.workflow.step(step).needs {
            let state = self.steps[need.step.index()].state;
            let met = match need.on {
                NeedOn::Succeeded => state == StepState::Succeeded,
                NeedOn::Failed => state == StepState::Failed,
                NeedOn::Completed => state.ended(),
            };
            // What has begun once stays begun: a person may open a need again behind it.
            let begun = self.steps[step.index()].state != StepState::Pending;
            rule!(met || begun, "needs: step {} begins, but its need {} is {}", step.0, need.step.0, state.word());
        }
        Ok(())
    }

    fn step_event(&mut self, event: &Event) -> Result<(), Broken> {
        let Some(step) = event.kind.step() else { return Ok(()) };
        let at = step.index();
        match &event.kind {
            EventKind::StepReady { input, .. } => {
                if input.is_some() {
                    self.needs_met(step)?;
                }
                let seen = &mut self.steps[at];
                let begins = seen.state == StepState::Pending;
                rule!(begins == input.is_some(), "needs: step {at} is ready while it is {}", seen.state.word());
                rule!(seen.at_work.is_none() && !seen.state.ended(), "states: step {at} is ready again");
                (seen.state, seen.backoff) = (StepState::Ready, None);
            }
            EventKind::StepWaiting { why, until, .. } => {
                let seen = &mut self.steps[at];
                rule!(seen.at_work.is_none() && !seen.state.ended(), "states: step {at} waits");
                seen.state = StepState::Waiting;
                seen.backoff = until.filter(|_| matches!(why, WaitReason::Backoff { .. }));
            }
            EventKind::StepSucceeded { reused, .. } => {
                let seen = &mut self.steps[at];
                rule!(!std::mem::replace(&mut seen.done, true), "once: step {at} succeeds twice");
                rule!(seen.answered || reused.is_some(), "once: step {at} succeeds without an answer");
                self.end(step, StepState::Succeeded)?;
            }
            EventKind::FallbackTaken { fallback, .. } => {
                self.not_too_early(step)?;
                let value =
                    matches!(self.workflow.step(step).fallback.get(*fallback as usize), Some(Fallback::Value(_)));
                let seen = &mut self.steps[at];
                (seen.spent, seen.answered, seen.failed) = (0, value, None);
            }
            EventKind::StepFailed { .. } => {
                self.not_too_early(step)?;
                self.end(step, StepState::Failed)?;
            }
            EventKind::StepSkipped { .. } => self.end(step, StepState::Skipped)?,
            EventKind::StepCancelled { .. } => self.end(step, StepState::Cancelled)?,
            EventKind::StepCancelling { .. } => self.steps[at].state = StepState::Cancelling,
            EventKind::StepUnknown { .. } => self.steps[at].state = StepState::Unknown,
            EventKind::StepReopened { .. } => {
                let seen = &mut self.steps[at];
                rule!(seen.state.ended() && !seen.done, "once: step {at} is opened while it is {}", seen.state.word());
                (seen.state, seen.spent, seen.answered) = (StepState::Pending, 0, false);
            }
            _ => {}
        }
        Ok(())
    }

    fn end(&mut self, step: StepId, state: StepState) -> Result<(), Broken> {
        let seen = &mut self.steps[step.index()];
        rule!(!seen.state.ended(), "states: step {} ends as {} but is {}", step.0, state.word(), seen.state.word());
        rule!(seen.at_work.is_none(), "states: step {} ends before its attempt", step.0);
        (seen.state, seen.backoff) = (state, None);
        Ok(())
    }

    /// A failed attempt is given up only when its retries are spent, or its failure is none that is tried again.
    fn not_too_early(&self, step: StepId) -> Result<(), Broken> {
        let seen = &self.steps[step.index()];
        let policy = &self.workflow.step(step).retry;
        let Some(class) = seen.failed else { return Ok(()) };
        let exempt = matches!(class, FailureClass::Unreachable | FailureClass::Unknown) || !policy.covers(class);
        let spent = seen.spent > policy.limit;
        rule!(
            exempt || spent,
            "retries: step {} is given up after {} of {} tries",
            step.0,
            seen.spent,
            policy.limit + 1
        );
        Ok(())
    }
}
