//! What steps share by name: locks, semaphores, barriers.

use super::Broken;
use super::seen::RunSeen;
use crate::model::id::StepId;
use crate::model::state::StepState;

impl RunSeen {
    /// Other steps that have an attempt under way and share this with the step.
    pub(super) fn holders(&self, same: impl Fn(StepId) -> bool) -> Vec<StepId> {
        self.at_work().filter(|(_, work)| !work.undo).map(|(step, _)| step).filter(|step| same(*step)).collect()
    }

    pub(super) fn holders_of_lock(&self, lock: &str) -> Vec<StepId> {
        self.holders(|step| self.workflow.step(step).lock.as_deref() == Some(lock))
    }

    pub(super) fn holders_of_semaphore(&self, name: &str) -> Vec<StepId> {
        self.holders(|step| self.workflow.step(step).semaphore.as_ref().is_some_and(|own| &*own.name == name))
    }

    /// What the step shares lets an attempt of it begin.
    pub(super) fn shared_is_free(&self, step: StepId) -> Result<(), Broken> {
        let spec = self.workflow.step(step);
        if let Some(lock) = &spec.lock {
            let others = self.holders_of_lock(lock);
            rule!(others.is_empty(), "shared: step {} takes the lock {lock} that {others:?} has", step.0);
        }
        if let Some(semaphore) = &spec.semaphore {
            let others = self.holders_of_semaphore(&semaphore.name);
            let free = others.len() < semaphore.permits as usize;
            rule!(free, "shared: step {} takes the semaphore {} that {others:?} have", step.0, semaphore.name);
        }
        let missing = self.missing(step);
        rule!(missing.is_empty(), "shared: step {} passes its barrier without {missing:?}", step.0);
        Ok(())
    }

    /// Who is not yet at the barrier of a step that has not passed it.
    pub(super) fn missing(&self, step: StepId) -> Vec<StepId> {
        let barrier = self.workflow.step(step).barrier.as_ref().filter(|_| !self.step(step).begun);
        let Some(barrier) = barrier else { return Vec::new() };
        let there = |id: StepId| {
            let seen = self.step(id);
            seen.begun || seen.state.ended() || matches!(seen.state, StepState::Ready | StepState::Waiting)
        };
        let members = self.workflow.step_ids().filter(|id| self.workflow.step(*id).barrier.as_ref() == Some(barrier));
        members.filter(|id| *id != step && !there(*id)).collect()
    }
}
