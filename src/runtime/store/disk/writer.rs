//! The one thread that writes the journals of an engine.
//!
//! It commits what has queued while the last commit ran, one transaction per run, and then says up to which ticket
//! everything is stored. There is no timer: a lone batch is committed at once, and under load batches grow by themselves.
//!
//! After a failure nothing is dropped and nothing overtakes: the failed batches and all that come later wait in order
//! until a retry, which opens the failed journals anew and writes what is not in them.

use super::error::{StoreError, StoreErrorKind};
use super::journal::Journal;
use crate::model::event::Event;
use crate::model::id::RunId;
use crate::runtime::clock::now;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// How long it waits awake after a commit, and whoever waits for the commit as well.
pub const AWAKE: Duration = Duration::from_micros(60);

/// What the writer says to its owner, from its own thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ack {
    /// Every batch up to this ticket is stored.
    Durable {
        /// The ticket.
        up_to_ticket: u64,
    },
    /// Something could not be stored. Everything waits for [`Writer::retry`].
    Failed {
        /// Why.
        error: StoreError,
        /// How many events wait to be stored.
        waiting: u64,
    },
}

#[derive(Debug)]
enum Job {
    Open { run: RunId, journal: Box<Journal> },
    Append { ticket: u64, run: RunId, events: Vec<Arc<Event>> },
    Snapshot { run: RunId, seq: u64, bytes: Vec<u8> },
    Release { run: RunId },
    Retry,
    Close,
}

/// The way to the thread that writes. Calls return at once; answers come as [`Ack`]s.
#[derive(Debug)]
pub struct Writer {
    jobs: Sender<Job>,
    thread: Option<JoinHandle<Result<(), StoreError>>>,
}

impl Writer {
    /// Starts the thread. `ack` is called on it and must not block.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub fn start(ack: impl FnMut(Ack) + Send + 'static) -> std::io::Result<Self> {
        let (jobs, queue) = channel();
        let work = Work {
            ack: Box::new(ack),
            journals: BTreeMap::new(),
            waiting: VecDeque::new(),
            failed: BTreeSet::new(),
            error: None,
        };
        let thread = std::thread::Builder::new().name("store".to_owned()).spawn(move || work.run(&queue))?;
        Ok(Self { jobs, thread: Some(thread) })
    }

    /// Takes over a journal. Batches of the run come after it.
    pub fn open(&self, run: RunId, journal: Journal) {
        self.send(Job::Open { run, journal: Box::new(journal) });
    }

    /// Stores events of one run. Tickets are given by the caller and grow from call to call.
    pub fn append(&self, ticket: u64, run: RunId, events: Vec<Arc<Event>>) {
        self.send(Job::Append { ticket, run, events });
    }

    /// Stores a snapshot of the state after the event `seq`, once that event is stored.
    pub fn snapshot(&self, run: RunId, seq: u64, bytes: Vec<u8>) {
        self.send(Job::Snapshot { run, seq, bytes });
    }

    /// Closes a run's journal and gives its lock back, once all that was handed over before is stored.
    pub fn release(&self, run: RunId) {
        self.send(Job::Release { run });
    }

    /// Tries again after [`Ack::Failed`]. The answer is another `Ack`.
    pub fn retry(&self) {
        self.send(Job::Retry);
    }

    /// Stores what waits, copies the logs into the databases, gives the locks back and ends the thread.
    ///
    /// # Errors
    /// Why not everything could be stored, or what could not be closed.
    pub fn close(mut self) -> Result<(), StoreError> {
        self.end()
    }

    fn send(&self, job: Job) {
        // The thread ends only after a close, and that takes the writer along.
        let _ = self.jobs.send(job);
    }

    fn end(&mut self) -> Result<(), StoreError> {
        let Some(thread) = self.thread.take() else { return Ok(()) };
        self.send(Job::Close);
        let fault = || StoreError::new(StoreErrorKind::Io, "the thread that writes the store ended in disorder");
        thread.join().map_err(|_| fault())?
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // Whoever wants to know calls `close`.
        let _ = self.end();
    }
}

/// Something that waits to be written.
enum Item {
    Batch { ticket: u64, run: RunId, events: Vec<Arc<Event>> },
    Snapshot { run: RunId, seq: u64, bytes: Vec<u8> },
    Release { run: RunId },
}

/// What waits of one run.
#[derive(Default)]
struct Share {
    events: Vec<Arc<Event>>,
    /// Where in the queue its newest snapshot stands.
    snapshot: Option<usize>,
    /// Whether it is to be closed afterwards.
    release: bool,
}

struct Work {
    ack: Box<dyn FnMut(Ack) + Send>,
    journals: BTreeMap<RunId, Journal>,
    /// In the order they came.
    waiting: VecDeque<Item>,
    /// Runs whose journals must be reopened. While there is one, nothing is written.
    failed: BTreeSet<RunId>,
    /// What was last reported.
    error: Option<StoreError>,
}

/// The next job. In a chain of steps it comes within microseconds of the last acknowledgement, sooner than a sleeping
/// thread is woken, so it is waited for awake for a moment.
fn next(queue: &Receiver<Job>) -> Option<Job> {
    let until = now() + AWAKE;
    loop {
        match queue.try_recv() {
            Ok(job) => return Some(job),
            Err(TryRecvError::Disconnected) => return None,
            Err(TryRecvError::Empty) if now() >= until => return queue.recv().ok(),
            // Whoever shares the core has the better use for it.
            Err(TryRecvError::Empty) => std::thread::yield_now(),
        }
    }
}

impl Work {
    fn run(mut self, queue: &Receiver<Job>) -> Result<(), StoreError> {
        loop {
            // An owner that is gone without a word has closed as well.
            let Some(first) = next(queue) else { return self.close() };
            let mut retry = false;
            let mut close = false;
            for job in std::iter::once(first).chain(queue.try_iter()) {
                match job {
                    Job::Open { run, journal } => {
                        self.journals.insert(run, *journal);
                    }
                    Job::Append { ticket, run, events } => self.waiting.push_back(Item::Batch { ticket, run, events }),
                    Job::Snapshot { run, seq, bytes } => self.waiting.push_back(Item::Snapshot { run, seq, bytes }),
                    Job::Release { run } => self.waiting.push_back(Item::Release { run }),
                    Job::Retry => retry = true,
                    Job::Close => close = true,
                }
            }
            if close {
                return self.close();
            }
            let ready = if retry { self.reopen() } else { Ok(()) };
            match ready {
                Ok(()) if self.failed.is_empty() => self.write(),
                Ok(()) => {}
                Err(error) => self.report(error),
            }
        }
    }

    /// Writes all that waits, a transaction per run, and says how far that led.
    fn write(&mut self) {
        let mut first_error = None;
        for (run, share) in self.shares() {
            if let Err(error) = self.write_run(run, share) {
                self.failed.insert(run);
                first_error.get_or_insert(error);
            }
        }
        let mut durable = None;
        while self.waiting.front().is_some_and(|item| !self.failed.contains(&item.run())) {
            if let Some(Item::Batch { ticket, .. }) = self.waiting.pop_front() {
                durable = Some(ticket);
            }
        }
        if let Some(up_to_ticket) = durable {
            (self.ack)(Ack::Durable { up_to_ticket });
        }
        if let Some(error) = first_error {
            self.report(error);
        }
    }

    fn shares(&self) -> BTreeMap<RunId, Share> {
        let mut shares: BTreeMap<RunId, Share> = BTreeMap::new();
        for (place, item) in self.waiting.iter().enumerate() {
            let share = shares.entry(item.run()).or_default();
            match item {
                Item::Batch { events, .. } => share.events.extend(events.iter().cloned()),
                Item::Snapshot { .. } => share.snapshot = Some(place),
                Item::Release { .. } => share.release = true,
            }
        }
        shares
    }

    /// Writes what waits of one run: events in one transaction, the newest snapshot after them.
    fn write_run(&mut self, run: RunId, mut share: Share) -> Result<(), StoreError> {
        let Some(journal) = self.journals.get_mut(&run) else {
            // Released in an earlier pass that another run's failure kept in the queue.
            let done = share.release || share.events.is_empty();
            return if done { Ok(()) } else { Err(StoreError::refused(format!("run {} has no journal", run.0))) };
        };
        // What an earlier pass or a failed commit has left is in the journal already.
        let stored = journal.last_seq();
        share.events.retain(|event| event.seq > stored);
        journal.append(stored, &share.events)?;
        if let Some(Item::Snapshot { seq, bytes, .. }) = share.snapshot.and_then(|place| self.waiting.get(place)) {
            journal.put_snapshot(*seq, bytes)?;
        }
        if share.release
            && let Some(journal) = self.journals.remove(&run)
        {
            // All is stored; what can fail here is tidying, which the next one to open the run does again.
            let _ = journal.close();
        }
        Ok(())
    }

    fn reopen(&mut self) -> Result<(), StoreError> {
        while let Some(run) = self.failed.first().copied() {
            if let Some(journal) = self.journals.get_mut(&run) {
                journal.reopen()?;
            }
            self.failed.remove(&run);
        }
        Ok(())
    }

    fn report(&mut self, error: StoreError) {
        let waiting = self.events_waiting();
        self.error = Some(error.clone());
        (self.ack)(Ack::Failed { error, waiting });
    }

    fn close(mut self) -> Result<(), StoreError> {
        let tried = self.reopen();
        match tried {
            Ok(()) => self.write(),
            Err(error) => self.report(error),
        }
        let mut closed = match self.error.take() {
            Some(error) if !self.waiting.is_empty() => Err(error),
            _ => Ok(()),
        };
        for journal in self.journals.into_values() {
            closed = closed.and(journal.close());
        }
        closed
    }

    fn events_waiting(&self) -> u64 {
        let batch = |item: &Item| if let Item::Batch { events, .. } = item { events.len() as u64 } else { 0 };
        self.waiting.iter().map(batch).sum()
    }
}

impl Item {
    fn run(&self) -> RunId {
        match self {
            Self::Batch { run, .. } | Self::Snapshot { run, .. } | Self::Release { run } => *run,
        }
    }
}
