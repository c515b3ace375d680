//! Bugs planted on purpose, so that it can be shown that the simulation finds them. None is in a program that is used:
//! outside this crate's own tests [`seeded`] is the constant `false`.

/// A bug, named after what goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// The timeout of an attempt ends a later attempt of the step.
    StaleTimeoutAccepted,
    /// The end of an earlier wait ends a later one.
    StaleBackoffAccepted,
    /// A deadline that was moved by a pause still holds.
    DeadlineEpochIgnored,
    /// An agent heals by the timer of an earlier break.
    HealEpochIgnored,
    /// An answer of an older attempt counts for the one under way.
    FenceIgnored,
    /// An agent's slot stays taken after a timeout.
    PermitLeaked,
    /// Limits per capability are not looked at.
    CapabilityLimitIgnored,
    /// A broken agent is given work.
    BrokenAgentGetsWork,
    /// A step starts when the first of its needs is met.
    FirstNeedIsEnough,
    /// The queue forgets a change of priority.
    PriorityNotRequeued,
    /// A retry too many.
    RetryLimitOffByOne,
    /// A step that is done may be opened again.
    DoneStepReopened,
    /// A retry by hand does not count the needs anew.
    ReopenForgetsNeeds,
    /// What relies on a skipped step waits for ever.
    SkipNotPropagated,
    /// A cancelled step leaves its dependents as they are.
    CancelLosesDependents,
    /// A run that is being paused goes on starting steps.
    PauseStillDispatches,
    /// Only the first of the attempts under way is settled after a crash.
    RecoveryForgetsAttempts,
    /// The number of a lost attempt is given again.
    AttemptNumberReused,
    /// An attempt with unknown outcome counts as done.
    UnknownTakenAsDone,
    /// A lost attempt spends a retry.
    LostAttemptSpends,
    /// Waits between attempts have no timer after a crash.
    BackoffNotSetAgain,
    /// Broken agents have no timer after a crash.
    HealNotSetAgain,
    /// A snapshot does not know how many tries are spent.
    SnapshotMissesField,
    /// Effects are performed without waiting for the store.
    EffectsBeforeDurable,
    /// The store acknowledges what is only written.
    AckBeforeSync,
    /// Acknowledging one run's events acknowledges those of all.
    AckAheadOfOthers,
    /// What failed to be written is forgotten.
    FailedBatchDropped,
    /// Half a commit counts as written.
    AppendNotAtomic,
    /// A record's checksum does not cover the one before.
    ChecksumNotChained,
    /// A record's checksum is not looked at.
    ChecksumNotChecked,
    /// A journal that ends early counts as whole.
    HeadNotCompared,
    /// An open breaker lets attempts through.
    OpenBreakerLetsThrough,
    /// An agent that takes no calls is given work.
    ParkedAgentGetsWork,
    /// What attempts take of an agent is not looked at.
    ResourcesIgnored,
    /// A probe that is taken away keeps its permit.
    ProbeNotReleased,
    /// A lock that is held is taken again.
    LockIgnored,
    /// Who waits for a lock is not told that it is free.
    LockNotHandedOn,
    /// An agent that takes no more calls spends a retry.
    RateLimitSpends,
    /// What was done is undone in the order it was done.
    CompensatesForwards,
    /// What was undone is undone again.
    CompensatesTwice,
    /// A step after which there is no way back is undone.
    PivotIgnored,
    /// An attempt that is halted times out.
    FrozenClockRuns,
    /// An agent that takes no calls is never asked again after a crash.
    TimerOfParkingLost,
    /// A run tries again as often as its steps would.
    RetryBudgetIgnored,
    /// A retry is begun that cannot end before the deadline.
    RetriedTooLate,
    /// A step does not wait at its barrier.
    BarrierIgnored,
    /// A declared rate is not looked at.
    RateIgnored,
    /// More than one attempt probes an agent.
    ManyProbes,
    /// An attempt that began before a breaker changed tells it what to do now.
    OldOutcomeCounts,
    /// Time in which an attempt was halted counts as worked.
    HaltCounts,
    /// An attempt that was halted has no timeout any more.
    TimerOfHaltedLost,
    /// A run is frozen, and its attempts go on.
    NotHalted,
    /// A backup is given work while others are there.
    BackupBesideOthers,
    /// What may have been done is not undone.
    DoubtLeftAlone,
    /// In sequential order the next step does not wait for its turn.
    OrderIgnored,
    /// A run asks whether what was done will do while more is done.
    QuestionStays,
    /// What an old journal says of an agent holds for runs under way.
    OldJournalRules,
}

impl Bug {
    /// All of them.
    pub const ALL: [Self; 57] = [
        Self::StaleTimeoutAccepted,
        Self::StaleBackoffAccepted,
        Self::DeadlineEpochIgnored,
        Self::HealEpochIgnored,
        Self::FenceIgnored,
        Self::PermitLeaked,
        Self::CapabilityLimitIgnored,
        Self::BrokenAgentGetsWork,
        Self::FirstNeedIsEnough,
        Self::PriorityNotRequeued,
        Self::RetryLimitOffByOne,
        Self::DoneStepReopened,
        Self::ReopenForgetsNeeds,
        Self::SkipNotPropagated,
        Self::CancelLosesDependents,
        Self::PauseStillDispatches,
        Self::RecoveryForgetsAttempts,
        Self::AttemptNumberReused,
        Self::UnknownTakenAsDone,
        Self::LostAttemptSpends,
        Self::BackoffNotSetAgain,
        Self::HealNotSetAgain,
        Self::SnapshotMissesField,
        Self::EffectsBeforeDurable,
        Self::AckBeforeSync,
        Self::AckAheadOfOthers,
        Self::FailedBatchDropped,
        Self::AppendNotAtomic,
        Self::ChecksumNotChained,
        Self::ChecksumNotChecked,
        Self::HeadNotCompared,
        Self::OpenBreakerLetsThrough,
        Self::ParkedAgentGetsWork,
        Self::ResourcesIgnored,
        Self::ProbeNotReleased,
        Self::LockIgnored,
        Self::LockNotHandedOn,
        Self::RateLimitSpends,
        Self::CompensatesForwards,
        Self::CompensatesTwice,
        Self::PivotIgnored,
        Self::FrozenClockRuns,
        Self::TimerOfParkingLost,
        Self::RetryBudgetIgnored,
        Self::RetriedTooLate,
        Self::BarrierIgnored,
        Self::RateIgnored,
        Self::ManyProbes,
        Self::OldOutcomeCounts,
        Self::HaltCounts,
        Self::TimerOfHaltedLost,
        Self::NotHalted,
        Self::BackupBesideOthers,
        Self::DoubtLeftAlone,
        Self::OrderIgnored,
        Self::QuestionStays,
        Self::OldJournalRules,
    ];
}

/// Whether the bug is planted: never.
#[cfg(not(test))]
#[must_use]
pub const fn seeded(_bug: Bug) -> bool {
    false
}

#[cfg(test)]
pub use planted::{plant, seeded};

#[cfg(test)]
mod planted {
    use super::Bug;
    use std::cell::Cell;

    thread_local! {
        static PLANTED: Cell<Option<Bug>> = const { Cell::new(None) };
    }

    /// Whether the bug is planted in this thread.
    pub fn seeded(bug: Bug) -> bool {
        PLANTED.get() == Some(bug)
    }

    /// Plants a bug in this thread, or none.
    pub fn plant(bug: Option<Bug>) {
        PLANTED.set(bug);
    }
}
