//! Whose turn it is: one at a time in topological order, or level by level.

use super::run::Run;
use crate::model::bug::{Bug, seeded};
use crate::model::id::StepId;
use crate::model::policy::Mode;
use crate::model::state::{StepState, WaitReason};

impl Run {
    /// Whether the step has ended, also if what it did is being undone.
    pub(crate) fn has_had_its_turn(&self, step: StepId) -> bool {
        let state = self.step(step).state;
        state.ended() || state == StepState::Compensating
    }

    /// Who comes first in an order, from that place on. Who waits at a barrier, and who needs it, lets others pass: it
    /// waits for them.
    fn first_from(&self, order: &[StepId], cursor: usize) -> Option<StepId> {
        let lets_pass = |id: StepId| {
            let entry = self.step(id);
            entry.state == StepState::Pending || matches!(entry.wait, Some((WaitReason::Barrier { .. }, _)))
        };
        let open = order.get(cursor..).unwrap_or_default().iter().copied();
        open.into_iter().find(|id| !self.has_had_its_turn(*id) && !lets_pass(*id))
    }

    /// The step whose turn it is in sequential order.
    pub(crate) fn first_in_order(&self) -> Option<StepId> {
        self.first_from(&self.shape.order, self.cursor)
    }

    /// The first step of the level whose turn it is in hybrid order.
    pub(crate) fn first_by_level(&self) -> Option<StepId> {
        self.first_from(&self.by_level, self.level_cursor)
    }

    /// Whether the step's turn has come, as far as the order of work goes.
    pub(crate) fn has_turn(&self, step: StepId) -> bool {
        let alone = |first: Option<StepId>| {
            let others = self.active - u32::from(self.step(step).current.is_some());
            first == Some(step) && others == 0
        };
        match self.mode {
            Mode::Parallel | Mode::Auto => true,
            Mode::Sequential => alone(self.first_in_order()) || seeded(Bug::OrderIgnored),
            Mode::Hybrid => {
                let first = self.first_by_level();
                let level = |step: StepId| self.shape.level[step.index()];
                let same = first.is_some_and(|first| level(first) == level(step));
                if self.is_wide(level(step)) { same } else { alone(first) }
            }
        }
    }

    /// Whether hybrid order does a level in parallel.
    pub(crate) fn is_wide(&self, level: u32) -> bool {
        let from = self.by_level.partition_point(|step| self.shape.level[step.index()] < level);
        let enough = from + self.workflow.parallel_threshold as usize;
        self.by_level.get(enough - 1).is_some_and(|step| self.shape.level[step.index()] == level)
    }
}
