//! What has to be true of a world between two inputs, beyond what its events say.

use super::watch::{AtWork, Broken};
use super::world::World;
use crate::model::command::{Command, Which};
use crate::model::id::{RunId, StepId};
use crate::model::state::{RunState, StepState};
use crate::model::step::NeedOn;

/// The share of inputs after which a view is compared with the picture.
const VIEWS: f64 = 0.1;

impl World {
    /// A command that was accepted did what it says.
    pub(super) fn did_it(&self, command: &Command) -> Result<(), Broken> {
        match command {
            Command::CancelStep { run, step } => self.cancelled_along(*run, *step),
            Command::CancelWhere { run, which, reassign: false } => self.cancelled_all(*run, which),
            Command::Freeze { run } => {
                let state = self.watch.run(*run).state;
                if state == RunState::Paused || state.ended() {
                    return Ok(());
                }
                Err(format!("frozen: a run is {} after it was frozen", state.word()))
            }
            _ => Ok(()),
        }
    }

    /// What relies on the success of a cancelled step is cancelled with it.
    fn cancelled_along(&self, run: RunId, step: StepId) -> Result<(), Broken> {
        let seen = self.watch.run(run);
        for id in seen.workflow.step_ids() {
            let state = seen.step(id).state;
            let mut needs = seen.workflow.step(id).needs.iter();
            let relies = needs.any(|need| need.step == step && need.on == NeedOn::Succeeded);
            let gone = state.ended() || matches!(state, StepState::Cancelling | StepState::Compensating);
            if relies && !gone {
                return Err(format!(
                    "cancel: step {} is {} although step {} was cancelled",
                    id.0,
                    state.word(),
                    step.0
                ));
            }
        }
        Ok(())
    }

    /// No step of those that were meant goes on.
    fn cancelled_all(&self, run: RunId, which: &Which) -> Result<(), Broken> {
        let seen = self.watch.run(run);
        let meant = |id: StepId| match which {
            Which::Agent(agent) => {
                // What was begun since then is not meant.
                let before = |work: AtWork| work.agent == *agent && work.since < self.now && !work.undo;
                seen.step(id).at_work.is_some_and(|work| before(work) && work.ending.is_none())
            }
            Which::Capability(name) => seen.workflow.step(id).asks_for() == &**name,
            Which::Action(name) => seen.workflow.step(id).action.as_ref() == Some(name),
            Which::Priority { from, to } => (*from..=*to).contains(&seen.step(id).priority),
        };
        let goes_on = |id: &StepId| {
            let state = seen.step(*id).state;
            !state.ended() && !matches!(state, StepState::Cancelling | StepState::Compensating)
        };
        match seen.workflow.step_ids().find(|id| meant(*id) && goes_on(id)) {
            Some(id) => Err(format!("cancel: step {} is {}", id.0, seen.step(id).state.word())),
            None => Ok(()),
        }
    }

    /// While nothing waits for the disk: what is frozen stands still, and nothing else does.
    pub(super) fn stands_still(&self) -> Result<(), Broken> {
        for key in self.active.keys() {
            let (run, step, attempt) = *key;
            let work = self.watch.run(run).step(step).at_work.filter(|work| work.attempt == attempt);
            let stands = work.is_some_and(|work| work.halted.is_some());
            if stands != self.halted.contains_key(key) {
                let is = if stands { "goes on" } else { "is halted" };
                return Err(format!("frozen: attempt {attempt} of step {} {is}", step.0));
            }
        }
        Ok(())
    }

    /// One step, chosen by chance, can say why it is where it is, and is right; now and then all steps.
    pub(super) fn has_reasons(&mut self) -> Result<(), Broken> {
        let run = RunId::from_index(usize::try_from(self.rng.below(self.engine.runs() as u64)).unwrap_or(0));
        let seen = self.watch.run(run);
        let step = StepId::from_index(usize::try_from(self.rng.below(seen.steps.len() as u64)).unwrap_or(0));
        let why = self.engine.explain(self.now, run, step);
        let state = seen.step(step).state;
        let Some(first) = why.first() else {
            return Err(format!("reasons: step {} is {} without a reason", step.0, state.word()));
        };
        let wrong = match state {
            StepState::Ready if seen.state == RunState::Running => first.contains("it starts now"),
            StepState::Pending => {
                !seen.workflow.step(step).needs.iter().any(|need| {
                    let open = !seen.step(need.step).state.ended();
                    open && why
                        .iter()
                        .any(|line| line.contains(&*seen.workflow.step(need.step).id) || line.starts_with("and "))
                }) && seen.is_live()
            }
            _ => false,
        };
        if wrong {
            return Err(format!("reasons: step {} is {}, and says: {}", step.0, state.word(), why.join("; ")));
        }
        if self.rng.chance(VIEWS) { self.looks_right(run, step) } else { Ok(()) }
    }

    fn looks_right(&self, run: RunId, step: StepId) -> Result<(), Broken> {
        let view = self.engine.view(self.now, Some((run, step)));
        let (seen, shown) = (self.watch.run(run), &view.runs[run.index()]);
        self.watch.agrees(shown)?;
        let (Some(wait), Some(detail)) = (&shown.steps[step.index()].wait, &view.detail) else { return Ok(()) };
        if !self.watch.names_it(seen, wait, &detail.why) {
            return Err(format!("reasons: step {} waits for {wait:?}, and says: {}", step.0, detail.why.join("; ")));
        }
        Ok(())
    }
}
