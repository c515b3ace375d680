//! What a simulation counts, and how the figures of many seeds are added up.

use crate::model::rng;
use crate::model::time::Micros;

/// What is done to a run on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// An agent fails, with one of the classes an agent can fail with.
    AgentFails,
    /// An agent does not answer until it is stopped.
    AgentHangs,
    /// An agent can no longer be reached.
    AgentLost,
    /// An agent ends on its own while it is being stopped.
    AgentRaces,
    /// An answer comes a second time, later.
    AnswerTwice,
    /// An agent takes no more calls for a while.
    AgentLimits,
    /// An agent that works gives no sign of it.
    AgentSilent,
    /// A health check comes back with a fault.
    AgentUnwell,
    /// A person breaks an agent.
    AgentBroken,
    /// The disk is full for a while.
    DiskFull,
    /// Writing fails.
    WriteError,
    /// Syncing fails.
    SyncError,
    /// The disk is slow for one commit.
    SlowDisk,
    /// upbeat is killed.
    Kill,
    /// The machine loses power.
    PowerCut,
    /// A commit is torn by a crash.
    TornCommit,
    /// A bit of a stored journal changes.
    BitFlip,
    /// A stored record is replaced by another one of the same number.
    RecordSwapped,
    /// A stored record is missing.
    RecordMissing,
    /// The end of a stored journal is missing.
    JournalShortened,
}

impl Fault {
    /// All kinds.
    pub const ALL: [Self; 20] = [
        Self::AgentFails,
        Self::AgentHangs,
        Self::AgentLost,
        Self::AgentRaces,
        Self::AnswerTwice,
        Self::AgentLimits,
        Self::AgentSilent,
        Self::AgentUnwell,
        Self::AgentBroken,
        Self::DiskFull,
        Self::WriteError,
        Self::SyncError,
        Self::SlowDisk,
        Self::Kill,
        Self::PowerCut,
        Self::TornCommit,
        Self::BitFlip,
        Self::RecordSwapped,
        Self::RecordMissing,
        Self::JournalShortened,
    ];

    /// Its name in reports.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::AgentFails => "agent_fails",
            Self::AgentHangs => "agent_hangs",
            Self::AgentLost => "agent_lost",
            Self::AgentRaces => "agent_races",
            Self::AnswerTwice => "answer_twice",
            Self::AgentLimits => "agent_limits",
            Self::AgentSilent => "agent_silent",
            Self::AgentUnwell => "agent_unwell",
            Self::AgentBroken => "agent_broken",
            Self::DiskFull => "disk_full",
            Self::WriteError => "write_error",
            Self::SyncError => "sync_error",
            Self::SlowDisk => "slow_disk",
            Self::Kill => "kill",
            Self::PowerCut => "power_cut",
            Self::TornCommit => "torn_commit",
            Self::BitFlip => "bit_flip",
            Self::RecordSwapped => "record_swapped",
            Self::RecordMissing => "record_missing",
            Self::JournalShortened => "journal_shortened",
        }
    }
}

/// The figures of one seed, or of many.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Seeds simulated without a failure.
    pub seeds: u64,
    /// Facts decided.
    pub events: u64,
    /// Inputs decided about.
    pub inputs: u64,
    /// Attempts begun.
    pub attempts: u64,
    /// Ends of upbeat in the middle of its work.
    pub crashes: u64,
    /// Journals opened again after that.
    pub recoveries: u64,
    /// How often each of [`Fault::ALL`] struck, in that order.
    pub faults: [u64; Fault::ALL.len()],
    /// Time that passed in the simulated worlds.
    pub simulated: Micros,
    /// A hash of everything that happened: the same seeds give the same, in any order and on any machine.
    pub hash: u64,
}

impl Stats {
    /// Counts a fault.
    pub(super) const fn struck(&mut self, fault: Fault) {
        self.faults[fault as usize] += 1;
    }

    /// Takes something that happened into the hash of one seed.
    pub(super) const fn note(&mut self, what: u64) {
        self.hash = rng::mix(self.hash ^ what);
    }

    /// Adds the figures of other seeds.
    pub fn add(&mut self, other: &Self) {
        self.seeds += other.seeds;
        self.events += other.events;
        self.inputs += other.inputs;
        self.attempts += other.attempts;
        self.crashes += other.crashes;
        self.recoveries += other.recoveries;
        for (own, more) in self.faults.iter_mut().zip(other.faults) {
            *own += more;
        }
        self.simulated += other.simulated;
        self.hash = self.hash.wrapping_add(other.hash);
    }
}
