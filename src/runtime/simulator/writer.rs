//! The store's writer: takes what has queued up while the last commit ran, commits it run by run, and acknowledges.
//!
//! A commit takes time, in steps, so that anything can happen between them. A failed one keeps everything that waits,
//! in order, until the journal has been opened again; what is there already is not written twice.

use super::disk::Journal;
use crate::model::bug::{Bug, seeded};
use crate::model::event::Event;
use crate::model::id::RunId;
use crate::model::rng::Rng;
use crate::runtime::store::disk::record::Damage;
use std::collections::VecDeque;
use std::sync::Arc;

/// What one decision has to have stored.
#[derive(Debug)]
struct Job {
    ticket: u64,
    events: Vec<Arc<Event>>,
}

/// Where the writer stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Idle,
    /// The run whose events are written next.
    Write(usize),
    /// The run whose journal is synced next.
    Sync(usize),
    Failed,
}

/// What goes wrong in a step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Trouble {
    /// Nothing can be written.
    pub(super) write: bool,
    /// What was written cannot be synced.
    pub(super) sync: bool,
}

/// What a step has led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// There is more to do.
    More,
    /// Everything up to this ticket is durable; more follows.
    AckAndMore(u64),
    /// Everything up to this ticket is durable.
    Ack(u64),
    /// It failed: nothing goes on before a retry.
    Failed,
}

/// The writer.
#[derive(Debug)]
pub(super) struct Writer {
    sync_full: bool,
    queue: VecDeque<Job>,
    /// Jobs of the commit under way.
    group: usize,
    stage: Stage,
}

impl Writer {
    pub(super) const fn new(sync_full: bool) -> Self {
        Self { sync_full, queue: VecDeque::new(), group: 0, stage: Stage::Idle }
    }

    /// Takes what a decision wants to be stored, its events in the form of a journal.
    pub(super) fn submit(&mut self, ticket: u64, events: Vec<Arc<Event>>) {
        self.queue.push_back(Job { ticket, events });
    }

    /// How many decisions wait.
    pub(super) fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// Whether half a commit may stand on the disk now.
    pub(super) const fn writes(&self) -> bool {
        matches!(self.stage, Stage::Write(_))
    }

    /// Begins a commit, if there is something to commit and none under way.
    pub(super) fn begin(&mut self) -> bool {
        let begins = self.stage == Stage::Idle && !self.queue.is_empty();
        if begins {
            self.group = self.queue.len();
            self.stage = Stage::Write(0);
        }
        begins
    }

    /// Takes the next step of the commit under way.
    ///
    /// # Errors
    /// If an event is not the next one of its journal.
    pub(super) fn step(
        &mut self,
        journals: &mut [Journal],
        trouble: Trouble,
        rng: &mut Rng,
    ) -> Result<Progress, Damage> {
        match self.stage {
            Stage::Idle | Stage::Failed => Ok(Progress::More),
            Stage::Write(run) => {
                let Some(journal) = journals.get_mut(run) else { return Ok(self.acknowledge()) };
                let events = self.events_of(run, journal.written());
                if events.is_empty() && journal.synced() == journal.written() {
                    self.stage = Stage::Write(run + 1);
                    return self.step(journals, trouble, rng);
                }
                if trouble.write {
                    journal.commit(&events, Some(rng))?;
                    return Ok(self.fail());
                }
                if !events.is_empty() {
                    journal.commit(&events, None)?;
                }
                let syncs = self.sync_full && !seeded(Bug::AckBeforeSync);
                self.stage = if syncs { Stage::Sync(run) } else { Stage::Write(run + 1) };
                Ok(if syncs { Progress::More } else { self.after(run, journals.len()) })
            }
            Stage::Sync(run) => {
                if trouble.sync {
                    return Ok(self.fail());
                }
                journals[run].sync();
                self.stage = Stage::Write(run + 1);
                Ok(self.after(run, journals.len()))
            }
        }
    }

    /// After a failure: everything is tried again.
    pub(super) fn retry(&mut self) {
        if self.stage == Stage::Failed {
            self.stage = Stage::Idle;
        }
    }

    /// What the commit under way holds for one run, and its journal does not have yet.
    fn events_of(&self, run: usize, written: u64) -> Vec<Arc<Event>> {
        let group = self.queue.iter().take(self.group).flat_map(|job| &job.events);
        group.filter(|event| event.run == RunId::from_index(run) && event.seq > written).cloned().collect()
    }

    fn after(&mut self, run: usize, runs: usize) -> Progress {
        if run + 1 == runs {
            return self.acknowledge();
        }
        match self.queue.get(self.group - 1) {
            Some(last) if seeded(Bug::AckAheadOfOthers) => Progress::AckAndMore(last.ticket),
            _ => Progress::More,
        }
    }

    fn acknowledge(&mut self) -> Progress {
        self.stage = Stage::Idle;
        let last = self.queue.drain(..self.group).next_back();
        last.map_or(Progress::More, |job| Progress::Ack(job.ticket))
    }

    fn fail(&mut self) -> Progress {
        self.stage = Stage::Failed;
        if seeded(Bug::FailedBatchDropped) {
            self.queue.drain(..self.group);
        }
        Progress::Failed
    }
}
