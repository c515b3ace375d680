//! The picture of a run: what the observer has gathered from its events, and what it concludes from that.

use crate::model::completion::FailureClass;
use crate::model::event::EndingWhy;
use crate::model::id::{AgentId, StepId};
use crate::model::policy::{Mode, Resources, Success};
use crate::model::state::{EndCause, RunState, SkipReason, StepState, WaitReason};
use crate::model::step::{Fallback, NeedOn, Step};
use crate::model::time::Micros;
use crate::model::workflow::Workflow;
use std::collections::VecDeque;
use std::sync::Arc;

/// An attempt under way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AtWork {
    pub(crate) attempt: u32,
    pub(crate) agent: AgentId,
    pub(crate) ending: Option<EndingWhy>,
    pub(crate) fallback: Option<u32>,
    pub(crate) undo: bool,
    /// When it began.
    pub(crate) since: Micros,
    /// Since when it is halted.
    pub(crate) halted: Option<Micros>,
    /// How long it was halted before.
    pub(crate) halted_for: Micros,
    /// How often its agent's breaker had changed when it began.
    pub(crate) begun: u32,
    pub(crate) takes: Resources,
}

impl AtWork {
    /// How long it has worked.
    pub(crate) fn worked(&self, now: Micros) -> Micros {
        let halted = self.halted.map_or(Micros::ZERO, |since| now - since);
        now - self.since - self.halted_for - halted
    }
}

/// The picture of a step.
#[derive(Clone, Debug)]
pub(crate) struct StepSeen {
    pub(crate) state: StepState,
    pub(crate) at_work: Option<AtWork>,
    pub(crate) attempts: u32,
    /// Attempts that count against the retries.
    pub(crate) spent: u32,
    /// The most of them there may be, where a person gave it to an agent when they were spent.
    pub(crate) granted: u32,
    /// Attempts of the fallback it is in.
    pub(crate) spent_there: u32,
    pub(crate) fallback: Option<u32>,
    pub(crate) pinned: Option<AgentId>,
    pub(crate) priority: u8,
    /// It has succeeded, and that has not been undone.
    pub(crate) done: bool,
    /// Its output is another run's, or a declared value.
    pub(crate) lent: bool,
    /// Something that makes it succeed has happened.
    pub(crate) answered: bool,
    /// How its last attempt failed, in the input that is being looked at.
    pub(crate) failed: Option<FailureClass>,
    /// How long the agent that it failed on asked to be left alone.
    pub(crate) retry_after: Option<Micros>,
    /// How often it met an agent that takes no more calls.
    pub(crate) limited: u32,
    /// It is to be tried again, and has not been yet.
    pub(crate) planned: bool,
    /// The end of its wait between attempts.
    pub(crate) backoff: Option<Micros>,
    pub(crate) wait: Option<(WaitReason, Option<Micros>)>,
    pub(crate) skip: Option<SkipReason>,
    /// An attempt of it has begun since it was opened.
    pub(crate) begun: bool,
    /// What an attempt of it did is not known.
    pub(crate) in_doubt: bool,
    /// It was undone, or that was given up.
    pub(crate) undone: bool,
    pub(crate) undo_failed: bool,
    /// Attempts to undo it that count.
    pub(crate) undo_spent: u32,
    /// Its state before it was undone.
    pub(crate) before: StepState,
}

/// A mark that the run can go back to.
#[derive(Clone, Debug)]
pub(crate) struct Mark {
    pub(crate) number: u32,
    /// Which steps had ended.
    pub(crate) ended: Vec<bool>,
}

/// The picture of a run.
#[derive(Clone, Debug)]
pub(crate) struct RunSeen {
    pub(crate) workflow: Arc<Workflow>,
    /// Registry places of its agents.
    pub(crate) agents: Vec<AgentId>,
    pub(crate) seq: u64,
    pub(crate) state: RunState,
    pub(crate) steps: Vec<StepSeen>,
    /// Counts resumes.
    pub(crate) epoch: u32,
    pub(crate) frozen: bool,
    pub(crate) cause: Option<EndCause>,
    /// It is being rolled back: to this checkpoint, or whole.
    pub(crate) rollback: Option<Option<u32>>,
    /// It is only what could not be undone before.
    pub(crate) undone_again: bool,
    /// What is to be undone.
    pub(crate) to_undo: VecDeque<StepId>,
    pub(crate) question: bool,
    /// What was said to it.
    pub(crate) said: Option<bool>,
    pub(crate) mode: Mode,
    pub(crate) marks: Vec<Mark>,
    /// Rounds of trying again.
    pub(crate) rounds: u32,
    /// Decisions to try again: those begun and those planned.
    pub(crate) retries: u32,
    /// First attempts.
    pub(crate) firsts: u32,
    pub(crate) deadline: Option<Micros>,
    /// Since when its clock stands.
    pub(crate) stands_since: Option<Micros>,
    /// Times of ended attempts added up.
    pub(crate) busy: Micros,
    /// The step that the input under way gives an end by hand.
    pub(crate) by_hand: Option<StepId>,
    /// What the input under way answers to the run's question.
    pub(crate) answered: Option<bool>,
    pub(crate) reading: bool,
    /// The longest way of each step from one without needs.
    pub(crate) level: Vec<usize>,
}

impl RunSeen {
    pub(crate) fn new(workflow: Arc<Workflow>, agents: Vec<AgentId>) -> Self {
        let step = |spec: &Step| StepSeen {
            state: StepState::Pending,
            at_work: None,
            attempts: 0,
            spent: 0,
            granted: 0,
            spent_there: 0,
            fallback: None,
            pinned: None,
            priority: spec.priority,
            done: false,
            lent: false,
            answered: false,
            failed: None,
            retry_after: None,
            limited: 0,
            planned: false,
            backoff: None,
            wait: None,
            skip: None,
            begun: false,
            in_doubt: false,
            undone: false,
            undo_failed: false,
            undo_spent: 0,
            before: StepState::Pending,
        };
        let steps = workflow.steps.iter().map(step).collect();
        let level = levels(&workflow);
        Self {
            agents,
            seq: 0,
            state: RunState::Pending,
            steps,
            epoch: 0,
            frozen: false,
            cause: None,
            rollback: None,
            undone_again: false,
            to_undo: VecDeque::new(),
            question: false,
            said: None,
            mode: workflow.mode,
            marks: Vec::new(),
            rounds: 0,
            retries: 0,
            firsts: 0,
            deadline: None,
            stands_since: None,
            busy: Micros::ZERO,
            by_hand: None,
            answered: None,
            reading: false,
            level,
            workflow,
        }
    }

    /// Started and not ended.
    pub(crate) const fn is_live(&self) -> bool {
        !self.state.ended() && !matches!(self.state, RunState::Pending)
    }

    pub(crate) fn step(&self, step: StepId) -> &StepSeen {
        &self.steps[step.index()]
    }

    /// What is done about a step: its work, or what undoes it.
    pub(crate) fn spec(&self, step: StepId, undo: bool) -> &Step {
        let spec = self.workflow.step(step);
        if undo { spec.compensate.as_deref().unwrap_or(spec) } else { spec }
    }

    /// What agents are asked for, pins aside.
    pub(crate) fn asks_for(&self, step: StepId, fallback: Option<u32>, undo: bool) -> &str {
        let spec = self.spec(step, undo);
        match fallback.and_then(|at| spec.fallback.get(at as usize)) {
            Some(Fallback::Agent(name) | Fallback::Capability(name)) => name,
            _ => spec.asks_for(),
        }
    }

    /// Steps with an attempt under way.
    pub(crate) fn at_work(&self) -> impl Iterator<Item = (StepId, AtWork)> {
        self.steps.iter().enumerate().filter_map(|(at, seen)| Some((StepId::from_index(at), seen.at_work?)))
    }

    /// Whether a step has ended, also if what it did is being undone.
    pub(crate) fn has_ended(&self, step: StepId) -> bool {
        let seen = self.step(step);
        seen.state.ended() || seen.state == StepState::Compensating && seen.before.ended()
    }

    /// Whether a need is met.
    pub(crate) fn is_met(&self, need: StepId, on: NeedOn) -> bool {
        let seen = self.step(need);
        match on {
            NeedOn::Succeeded => {
                seen.state == StepState::Succeeded
                    || seen.state == StepState::Skipped && seen.skip == Some(SkipReason::ByHand)
            }
            NeedOn::Failed => seen.state == StepState::Failed,
            NeedOn::Completed => self.has_ended(need),
        }
    }

    /// Whether the step did, or may have done, what its compensation undoes.
    pub(crate) fn is_to_be_undone(&self, step: StepId) -> bool {
        let seen = self.step(step);
        let did = seen.state == StepState::Succeeded && !seen.lent || seen.in_doubt;
        did && self.workflow.step(step).compensate.is_some() && !seen.undone && !seen.undo_failed
    }

    /// Whether enough succeeded, and whether all did.
    pub(crate) fn share(&self) -> (bool, bool) {
        let out = |seen: &&StepSeen| matches!(seen.skip, Some(SkipReason::NotNeeded { .. } | SkipReason::ByHand));
        let counted = self.steps.iter().filter(|seen| !out(seen)).count();
        let good = self.steps.iter().filter(|seen| seen.state == StepState::Succeeded).count();
        let enough = match self.workflow.success {
            Success::All => good == counted,
            Success::Any => good > 0 || counted == 0,
            Success::Min(share) => good as f64 + 1e-9 >= share * counted as f64,
        };
        (enough && !self.critical_lost(), good == counted)
    }

    /// Whether a step without which the run fails has failed.
    pub(crate) fn critical_lost(&self) -> bool {
        let mut steps = self.workflow.steps.iter().zip(&self.steps);
        steps.any(|(spec, seen)| spec.critical && seen.state == StepState::Failed)
    }
}

fn levels(workflow: &Workflow) -> Vec<usize> {
    let mut level = vec![0; workflow.steps.len()];
    // Needs stand before what needs them in every drawn workflow.
    for id in workflow.step_ids() {
        let above = workflow.step(id).needs.iter().map(|need| level[need.step.index()] + 1).max();
        level[id.index()] = above.unwrap_or(0);
    }
    level
}
