//! What steps share by name: locks and semaphores, which an attempt holds, and barriers, at which steps meet.
//!
//! A step takes all it needs in one moment, when its attempt begins, and gives it back when the attempt ends; it holds
//! nothing while it waits. So no two steps can wait for each other. (What can never be met, because steps of a barrier
//! need each other, is found by the reader.)

use crate::model::bug::{Bug, seeded};
use crate::model::id::{Name, StepId};
use crate::model::state::WaitReason;
use crate::model::workflow::Workflow;
use std::collections::{BTreeMap, BTreeSet};

/// A lock or a semaphore.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Gate {
    pub(crate) name: Name,
    pub(crate) is_lock: bool,
    pub(crate) permits: u32,
    /// Steps that name it.
    pub(crate) members: Vec<StepId>,
    /// Those with an attempt under way.
    pub(crate) holders: BTreeSet<StepId>,
    /// Steps beside which nothing else may be at work; all other steps of the run pass this gate too.
    pub(crate) alone: BTreeSet<StepId>,
}

/// What steps that want the run to themselves wait for, and others because of them.
const ALONE: &str = "the run to itself";

impl Gate {
    /// Whether a step could take it now.
    pub(crate) fn has_permit(&self, step: StepId) -> bool {
        if !self.alone.is_empty() {
            let others = self.alone.contains(&step);
            return if others { self.holders.is_empty() } else { self.holders.is_disjoint(&self.alone) };
        }
        self.holders.len() < self.permits as usize || seeded(Bug::LockIgnored)
    }
}

/// All of a run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gates {
    pub(crate) gates: Vec<Gate>,
    /// Per step, what it needs; empty where no step needs any.
    of_step: Vec<Vec<usize>>,
    /// Steps that meet, by the barrier's name.
    pub(crate) barriers: BTreeMap<Name, Vec<StepId>>,
    /// Steps that became ready and have not been looked at.
    pub(crate) fresh: Vec<StepId>,
    /// Gates whose permits have to be looked at.
    pub(crate) changed: BTreeSet<usize>,
    /// A step of a barrier has arrived or ended since it was looked.
    pub(crate) arrived: bool,
}

impl Gates {
    pub(crate) fn of(workflow: &Workflow) -> Self {
        let mut all = Self::default();
        let mut known: BTreeMap<(bool, Name), usize> = BTreeMap::new();
        for id in workflow.step_ids() {
            let step = workflow.step(id);
            let lock = step.lock.iter().map(|name| (true, name.clone(), 1));
            let shared = step.semaphore.iter().chain(&step.within);
            let semaphore = shared.map(|own| (false, own.name.clone(), own.permits));
            for (is_lock, name, permits) in lock.chain(semaphore) {
                let at = *known.entry((is_lock, name.clone())).or_insert_with(|| {
                    let (members, holders, alone) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
                    all.gates.push(Gate { name, is_lock, permits, members, holders, alone });
                    all.gates.len() - 1
                });
                all.gates[at].members.push(id);
                all.of_step.resize(workflow.steps.len(), Vec::new());
                all.of_step[id.index()].push(at);
            }
            if let Some(name) = &step.barrier {
                all.barriers.entry(name.clone()).or_default().push(id);
            }
        }
        all.alone(workflow);
        all
    }

    /// One gate for all steps, where some want the run to themselves.
    fn alone(&mut self, workflow: &Workflow) {
        let alone: BTreeSet<StepId> = workflow.step_ids().filter(|id| workflow.step(*id).alone).collect();
        if alone.is_empty() {
            return;
        }
        let (members, holders) = (workflow.step_ids().collect(), BTreeSet::new());
        self.of_step.resize(workflow.steps.len(), Vec::new());
        self.of_step.iter_mut().for_each(|gates| gates.push(self.gates.len()));
        self.gates.push(Gate { name: ALONE.into(), is_lock: true, permits: u32::MAX, members, holders, alone });
    }

    /// Whether any step shares anything.
    pub(crate) fn is_empty(&self) -> bool {
        self.gates.is_empty() && self.barriers.is_empty()
    }

    /// What a step needs.
    pub(crate) fn of_step(&self, step: StepId) -> &[usize] {
        self.of_step.get(step.index()).map_or(&[], Vec::as_slice)
    }

    /// Nobody holds anything, and nothing is to be looked at.
    pub(crate) fn clear(&mut self) {
        self.gates.iter_mut().for_each(|gate| gate.holders.clear());
        self.fresh.clear();
        self.changed.clear();
        self.arrived = false;
    }

    /// An attempt of the step begins.
    pub(crate) fn take(&mut self, step: StepId) {
        for at in self.of_step(step).to_vec() {
            self.gates[at].holders.insert(step);
        }
    }

    /// An attempt of the step has ended.
    pub(crate) fn give_back(&mut self, step: StepId) {
        for at in self.of_step(step).to_vec() {
            self.gates[at].holders.remove(&step);
            self.changed.insert(at);
        }
    }

    /// It may be the turn of others: each gate is looked at again.
    pub(crate) fn turns_changed(&mut self) {
        self.changed.extend(0..self.gates.len());
    }

    /// The step no longer stands where it stood: what it was first in line for may be another's turn.
    pub(crate) fn moved(&mut self, step: StepId) {
        for at in self.of_step(step).to_vec() {
            self.changed.insert(at);
        }
    }
}

impl Gate {
    /// Whether this is what a reason to wait is about.
    pub(crate) fn is_waited_for_in(&self, why: &WaitReason) -> bool {
        match why {
            WaitReason::Lock { lock, .. } => self.is_lock && *lock == self.name,
            WaitReason::Semaphore { semaphore, .. } => !self.is_lock && *semaphore == self.name,
            _ => false,
        }
    }
}

/// The reason to wait for a gate whose permits are taken.
pub(crate) fn gate_reason(gate: &Gate) -> WaitReason {
    let holders: Vec<StepId> = gate.holders.iter().copied().collect();
    match holders.first() {
        Some(&holder) if gate.is_lock => WaitReason::Lock { lock: gate.name.clone(), holder },
        _ => WaitReason::Semaphore { semaphore: gate.name.clone(), holders },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::graph::tests::{step, workflow};
    use crate::model::rng::Rng;
    use crate::model::step::{Semaphore, Step};

    #[test]
    fn permits_are_those_of_a_model_that_counts_over_drawn_comings_and_goings() {
        for seed in 0..200 {
            let mut rng = Rng::new(seed);
            let permits = 1 + u32::try_from(rng.below(3)).unwrap();
            let steps = (0..8).map(|at| {
                let lock = rng.chance(0.4).then(|| "lock".into());
                let semaphore = rng.chance(0.5).then(|| Semaphore { name: "semaphore".into(), permits });
                Step { lock, semaphore, ..step(&format!("s{at}"), &[], 1.0) }
            });
            let made = workflow(steps.collect());
            let mut gates = Gates::of(&made);
            let mut at_work: Vec<StepId> = Vec::new();
            for _ in 0..60 {
                let count = |is: &dyn Fn(&Step) -> bool| at_work.iter().filter(|id| is(made.step(**id))).count();
                let (locked, used) = (count(&|s| s.lock.is_some()), count(&|s| s.semaphore.is_some()));
                let may = |id: StepId| {
                    let spec = made.step(id);
                    !(spec.lock.is_some() && locked > 0 || spec.semaphore.is_some() && used >= permits as usize)
                };
                let id = StepId(u32::try_from(rng.below(8)).unwrap());
                if at_work.contains(&id) {
                    at_work.retain(|other| *other != id);
                    gates.give_back(id);
                } else {
                    let free = gates.of_step(id).iter().all(|at| gates.gates[*at].has_permit(id));
                    assert_eq!(free, may(id), "seed {seed}: {id:?} beside {at_work:?}");
                    if free {
                        at_work.push(id);
                        gates.take(id);
                    }
                }
            }
        }
    }
}
