//! Who passes a gate, and who is held up: what steps share, seen from the run.

use super::gates::{Gate, gate_reason};
use super::run::Run;
use crate::model::bug::{Bug, seeded};
use crate::model::id::StepId;
use crate::model::state::{StepState, WaitReason};

impl Run {
    /// What of its gates follows from the states of the steps.
    pub(crate) fn recount_gates(&mut self) {
        if self.gates.is_empty() {
            return;
        }
        let at_work = self.step_ids().filter(|id| self.step(*id).current.as_ref().is_some_and(|c| !c.undo));
        let at_work: Vec<StepId> = at_work.collect();
        at_work.into_iter().for_each(|step| self.gates.take(step));
        self.gates.changed = (0..self.gates.gates.len()).collect();
        self.gates.arrived = true;
    }

    /// Steps of the barrier that a step stands at which are not there yet; empty once it has begun.
    pub(crate) fn missing_at_barrier(&self, step: StepId) -> Vec<StepId> {
        let waits = self.step(step).started.is_none() && !seeded(Bug::BarrierIgnored);
        let Some(barrier) = self.spec(step).barrier.as_ref().filter(|_| waits) else {
            return Vec::new();
        };
        let there = |id: &StepId| {
            let other = self.step(*id);
            // Whatever else holds it up, it does so behind the barrier.
            let arrived = matches!(other.state, StepState::Ready | StepState::Waiting);
            *id == step || arrived || other.started.is_some() || other.state.ended()
        };
        let members = self.gates.barriers.get(barrier).map_or(&[][..], Vec::as_slice);
        members.iter().filter(|id| !there(id)).copied().collect()
    }

    /// What of the shared holds a step up now.
    pub(crate) fn held_up(&self, step: StepId) -> Option<WaitReason> {
        let missing = self.missing_at_barrier(step);
        if !missing.is_empty() {
            let barrier = self.spec(step).barrier.clone()?;
            return Some(WaitReason::Barrier { barrier, missing });
        }
        let gates = || self.gates.of_step(step).iter().map(|at| &self.gates.gates[*at]);
        let full = gates().find(|gate| !gate.has_permit(step));
        full.map(gate_reason).or_else(|| {
            let (gate, first) = gates().find_map(|gate| Some((gate, self.goes_alone_before(gate, step)?)))?;
            Some(WaitReason::Lock { lock: gate.name.clone(), holder: first })
        })
    }

    /// A step that wants the run to itself and whose turn comes first: it would never find the run empty if others went
    /// before it.
    fn goes_alone_before(&self, gate: &Gate, step: StepId) -> Option<StepId> {
        let stands = |id: &StepId| {
            let entry = self.step(*id);
            let at_gate = || entry.wait.as_ref().is_some_and(|(why, _)| gate.is_waited_for_in(why));
            *id != step && (entry.state == StepState::Ready || entry.state == StepState::Waiting && at_gate())
        };
        let first = gate.alone.iter().copied().filter(stands).filter(|id| self.has_turn(*id));
        first.min_by_key(|id| self.place(*id)).filter(|id| self.place(*id) < self.place(step))
    }

    /// Whether a step that waits at a gate may go on.
    pub(crate) fn is_let_in(&self, gate: usize, step: StepId) -> bool {
        let entry = &self.gates.gates[gate];
        if entry.alone.is_empty() {
            return entry.holders.len() + self.at_the_door(gate) < entry.permits as usize;
        }
        entry.has_permit(step) && self.goes_alone_before(entry, step).is_none()
    }

    /// Who goes next through a gate among those that wait for it: in the order of the queue.
    pub(crate) fn next_at(&self, gate: usize) -> Option<StepId> {
        let waits = |id: &&StepId| {
            let entry = self.step(**id);
            entry.state == StepState::Waiting
                && entry.wait.as_ref().is_some_and(|(why, _)| self.gates.gates[gate].is_waited_for_in(why))
        };
        let members = self.gates.gates[gate].members.iter().filter(waits);
        members.min_by_key(|id| (!self.has_turn(**id), self.place(**id))).copied()
    }

    /// Steps that stand in the queue and are about to take the gate, as far as it is their turn.
    pub(crate) fn at_the_door(&self, gate: usize) -> usize {
        let ready = |id: &&StepId| self.step(**id).state == StepState::Ready && self.has_turn(**id);
        self.gates.gates[gate].members.iter().filter(ready).count()
    }
}
