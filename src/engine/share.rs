//! What of a run counts, how much of that has succeeded, and whether it is enough.
//!
//! Steps and the items of `for_each` steps are counted, each once: a step that was cut into items is counted by them. What
//! was left out for good reason is not counted: by its condition, by a person, because it was there for another outcome,
//! because somebody else was first. Nor are items that are missing in a step that has enough of them: such a run ends
//! `partial` at best.

use super::run::Run;
use crate::model::aggregate::Strategy;
use crate::model::id::StepId;
use crate::model::policy::Success;
use crate::model::state::{SkipReason, StepState};
use crate::model::step::Work;
use serde_json::Value;

/// Whether so many of so many are enough.
pub(crate) fn enough(success: Success, succeeded: u32, counted: u32) -> bool {
    match success {
        Success::All => succeeded == counted,
        Success::Any => succeeded > 0 || counted == 0,
        Success::Min(share) => f64::from(succeeded) >= share * f64::from(counted) - 1e-9,
    }
}

fn count(steps: impl Iterator<Item = StepId>) -> u32 {
    u32::try_from(steps.count()).unwrap_or(u32::MAX)
}

impl Run {
    /// Whether the share is met.
    pub(crate) fn enough(&self, succeeded: u32, counted: u32) -> bool {
        enough(self.workflow.success, succeeded, counted)
    }

    /// (succeeded, of those that count).
    pub(crate) fn share(&self) -> (u32, u32) {
        let counted = self.step_ids().filter(|id| !self.left_out(*id));
        counted.fold((0, 0), |(succeeded, counted), id| {
            (succeeded + u32::from(self.step(id).state == StepState::Succeeded), counted + 1)
        })
    }

    /// Whether enough succeeded, counting what has not ended as if it had.
    pub(crate) fn may_succeed(&self) -> bool {
        let (_, counted) = self.share();
        let lost = self.step_ids().filter(|&id| {
            let state = self.step(id).state;
            state.ended() && state != StepState::Succeeded && !self.left_out(id) && !self.is_excused(id)
        });
        self.enough(counted - count(lost), counted) && !self.critical_failed()
    }

    /// Whether the step is left out when the share of successes is taken.
    pub(crate) fn left_out(&self, id: StepId) -> bool {
        let entry = self.step(id);
        let cut = entry.cut.as_ref().is_some_and(|cut| !cut.steps.is_empty());
        entry.gone || cut || self.is_needless(id) || self.left_out_as_part(id)
    }

    /// Whether it is a part that its step did without.
    pub(crate) fn left_out_as_part(&self, id: StepId) -> bool {
        let entry = self.step(id);
        let without = |of: StepId| self.step(of).state == StepState::Succeeded || self.is_needless(of);
        entry.state != StepState::Succeeded && entry.part_of.is_some_and(|item| without(item.of))
    }

    /// Whether nothing that counts is missing.
    pub(crate) fn is_all(&self, succeeded: u32, counted: u32) -> bool {
        succeeded == counted && !self.is_degraded()
    }

    /// Whether it was not done for a good reason: left out, or made needless by another step.
    pub(crate) fn is_needless(&self, id: StepId) -> bool {
        let entry = self.step(id);
        let skipped =
            matches!(entry.skip, Some(SkipReason::NotNeeded { .. } | SkipReason::ByHand | SkipReason::Condition));
        skipped || self.is_beaten(id)
    }

    /// Whether another step had enough without it.
    pub(crate) fn is_beaten(&self, id: StepId) -> bool {
        let entry = self.step(id);
        entry.state == StepState::Cancelled && entry.cancelled_by.is_some_and(|by| self.ends_others(by))
    }

    /// Whether a step cancels what it takes as soon as it has enough.
    pub(crate) fn ends_others(&self, id: StepId) -> bool {
        match &self.spec(id).work {
            Work::Aggregate(aggregate) => {
                matches!(aggregate.strategy, Strategy::First | Strategy::Vote { quorum: Some(_), .. })
            }
            _ => false,
        }
    }

    /// Whether it is a part that its step can do without, as far as is known.
    pub(crate) fn is_excused(&self, id: StepId) -> bool {
        let Some(item) = self.step(id).part_of else { return false };
        !self.step(item.of).state.ended() && {
            let (_, lost, counted) = self.parts_so_far(item.of);
            enough(self.success_of(item.of), counted - lost, counted)
        }
    }

    /// What of a step's parts has to succeed.
    pub(crate) fn success_of(&self, id: StepId) -> Success {
        let spec = self.spec(id);
        match (&spec.for_each, &spec.work) {
            (Some(for_each), _) => for_each.success,
            (None, Work::Uses { workflow, .. }) => workflow.success,
            (None, _) => Success::All,
        }
    }

    /// Of a step's parts that count: how many have succeeded, how many are lost, how many there are.
    pub(crate) fn parts_so_far(&self, id: StepId) -> (u32, u32, u32) {
        let items = self.step(id).cut.as_ref().map_or(&[][..], |items| &items.steps);
        let counted: Vec<StepId> = items.iter().copied().filter(|item| !self.is_needless(*item)).collect();
        let state = |id: &StepId| self.step(*id).state;
        let succeeded = counted.iter().copied().filter(|id| state(id) == StepState::Succeeded);
        let lost = counted.iter().copied().filter(|id| state(id).ended() && state(id) != StepState::Succeeded);
        (count(succeeded), count(lost), count(counted.iter().copied()))
    }

    /// Whether a step of many items is done and was not cut: its output is that of another run.
    pub(crate) fn is_whole(&self, id: StepId) -> bool {
        let entry = self.step(id);
        self.spec(id).for_each.is_some() && entry.cut.is_none() && entry.foreign
    }

    /// Whether some step did without some of its parts.
    pub(crate) fn is_degraded(&self) -> bool {
        let short = |id: StepId| {
            let entry = self.step(id);
            let done = entry.state == StepState::Succeeded && entry.cut.is_some() && entry.fallback.is_none();
            let lacks = |list: &Value| list.as_array().is_some_and(|list| list.iter().any(Value::is_null));
            let taken = self.is_whole(id) && entry.output.as_deref().is_some_and(lacks);
            taken || done && self.parts_so_far(id).1 > 0
        };
        self.step_ids().any(short)
    }
}
