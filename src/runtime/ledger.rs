//! The driver's bookkeeping with the store: what is held, what is durable, which runs are saved, and what to do when the
//! store takes nothing.
//!
//! Decisions are held here until the store has acknowledged their events. Without a store that is at once; with one, a
//! writer thread commits whatever queued while its last commit ran.

use super::clock::{now, unix_ms};
use super::control::Server;
use super::handle::RestoreOrder;
use super::held::{Batch, Held};
use super::logs::{Body, LogStore, Spill};
use super::store::disk::{AWAKE, Ack, Header, Journal, LINES_BYTES_MAX, Printed, Store, StoreError, SyncMode, Writer};
use crate::engine::{Engine, Outbox};
use crate::model::command::Rejection;
use crate::model::event::Event;
use crate::model::id::RunId;
use crate::model::time::Micros;
use crate::model::view::{Saving, StoreTrouble, StoreView};
use crate::model::workflow::Workflow;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// Events kept for readers that come late, where nothing else keeps them.
const RECENT_MAX: usize = 1_000_000;
/// The same beside a store.
const RECENT_MAX_SAVED: usize = 20_000;
/// A snapshot is taken after so many events …
const SNAPSHOT_EVENTS: u64 = 20_000;
/// … and so many for each step of the workflow, so that large workflows are not forever writing themselves down.
const SNAPSHOT_EVENTS_PER_STEP: u64 = 8;
/// A run that is left is snapshotted if it has more events than that: fewer are folded in no time.
const SNAPSHOT_LEFT: u64 = 5_000;

/// What the store says.
#[derive(Debug)]
pub(super) struct Heard(Ack);

/// A saved run, opened.
pub(super) struct Opened {
    pub(super) workflow: Arc<Workflow>,
    pub(super) seed: u64,
    pub(super) snapshot: Option<(u64, Vec<u8>)>,
    pub(super) events: Vec<Event>,
    pub(super) last_at: Micros,
    pub(super) journal: Journal,
}

/// Where runs are saved.
struct Disk {
    store: Store,
    sync: SyncMode,
    writer: Writer,
    acks: mpsc::UnboundedReceiver<Ack>,
    /// What a run that has not begun will be saved with.
    announced: BTreeMap<RunId, Header>,
    /// Saved runs, each with the number of the last event in a snapshot.
    saved: BTreeMap<RunId, u64>,
    /// The runs' printed lines.
    lines: Arc<LogStore>,
    /// How other processes steer them.
    control: Server,
}

/// The books.
pub(super) struct Ledger {
    disk: Option<Disk>,
    held: Held,
    /// Held events that the store has not been given yet, and the ticket that covers them.
    unwritten: Vec<Arc<Event>>,
    ticket: u64,
    /// The last ticket that is acknowledged.
    durable: u64,
    /// Since when something is not.
    waits_since: Option<Instant>,
    trouble: Option<StoreTrouble>,
    recent: VecDeque<Arc<Event>>,
    /// Runs of which nothing is kept for readers that come late.
    passing: BTreeSet<RunId>,
}

impl Ledger {
    /// Books without a store.
    pub(super) fn unsaved() -> Self {
        Self {
            disk: None,
            held: Held::default(),
            unwritten: Vec::new(),
            ticket: 0,
            durable: 0,
            waits_since: None,
            trouble: None,
            recent: VecDeque::new(),
            passing: BTreeSet::new(),
        }
    }

    /// Books that are saved in a store. What agents print goes there from `lines`; saved runs are steered by `control`.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub(super) fn saved_in(
        store: Store,
        sync: SyncMode,
        lines: Arc<LogStore>,
        control: Server,
    ) -> std::io::Result<Self> {
        let (say, acks) = mpsc::unbounded_channel();
        let writer = Writer::start(move |ack| {
            // A driver that is gone has closed the writer.
            let _ = say.send(ack);
        })?;
        let (announced, saved) = (BTreeMap::new(), BTreeMap::new());
        Ok(Self { disk: Some(Disk { store, sync, writer, acks, announced, saved, lines, control }), ..Self::unsaved() })
    }

    /// A run was loaded: this is what it is saved with when it begins.
    pub(super) fn announce(&mut self, run: RunId, header: Header) {
        if let Some(disk) = &mut self.disk {
            disk.announced.insert(run, header);
        }
    }

    /// A run is about to pass through: what happens in it is kept nowhere but in its journal.
    pub(super) fn passes(&mut self, run: RunId) {
        self.passing.insert(run);
    }

    /// Whether it does.
    pub(super) fn is_passing(&self, run: RunId) -> bool {
        self.passing.contains(&run)
    }

    /// A run is unloaded, all of whose events are durable: its journal is closed and given back.
    pub(super) fn let_go(&mut self, run: RunId) {
        self.passing.remove(&run);
        let Some(disk) = &mut self.disk else { return };
        disk.announced.remove(&run);
        if disk.saved.remove(&run).is_some() {
            disk.lines.end_spill(run);
            // While the lock is held: the next one to open the run makes a socket of its own.
            disk.control.leave(run);
            disk.writer.release(run);
        }
    }

    /// Makes the journal of a run that is about to begin.
    pub(super) fn begin(&mut self, run: RunId) -> Result<(), Rejection> {
        let Some(disk) = &mut self.disk else { return Ok(()) };
        let Some(header) = disk.announced.get_mut(&run) else { return Ok(()) };
        header.began_unix_ms = unix_ms();
        let journal = disk.store.create(header, disk.sync).map_err(|error| rejection(&error))?;
        let name = header.run.clone();
        disk.announced.remove(&run);
        disk.take_up(run, &name, journal);
        Ok(())
    }

    /// Opens a saved run for writing.
    pub(super) fn open(&mut self, order: &RestoreOrder) -> Result<Opened, Rejection> {
        let Some(disk) = &self.disk else { return Err(Rejection::new("runs are not saved here")) };
        let (journal, saved) = disk.store.open_journal(&order.name, disk.sync).map_err(|error| rejection(&error))?;
        if let Some(expected) = order.seq
            && expected != saved.last_seq
        {
            let name = &order.name;
            return Err(Rejection::with_way_out(
                format!("the run has moved on: its last event is {}, not {expected}", saved.last_seq),
                format!("look at what became of it: upbeat show {name}"),
            ));
        }
        let printed = (saved.header.clock == "real").then(|| disk.store.last_printed(&order.name)).flatten();
        Ok(Opened {
            workflow: saved.header.workflow.clone(),
            seed: saved.header.seed,
            // What was printed later than anything was recorded shows that the run was at work for longer.
            last_at: saved.brief.last_at.max(printed.unwrap_or_default()),
            snapshot: saved.snapshot,
            events: saved.events,
            journal,
        })
    }

    /// The store, to look for what dead runs have left behind.
    pub(super) fn store(&self) -> Option<Store> {
        self.disk.as_ref().map(|disk| disk.store.clone())
    }

    /// Goes on writing a run that was opened.
    pub(super) fn take_up(&mut self, run: RunId, name: &str, snapshot: u64, journal: Journal) {
        if let Some(disk) = &mut self.disk {
            disk.take_up(run, name, journal);
            disk.saved.insert(run, snapshot);
        }
    }

    /// Holds a decision until it is durable.
    pub(super) fn hold(&mut self, at: Micros, outbox: Outbox, engine: &Engine) {
        let Outbox { events, effects } = outbox;
        if events.is_empty() && effects.is_empty() {
            return;
        }
        if let Some(disk) = &self.disk {
            let saved = events.iter().filter(|event| disk.saved.contains_key(&event.run));
            self.unwritten.extend(saved.map(|event| engine.for_journal(event)));
        }
        self.ticket = self.held.hold(at, events, effects);
    }

    /// Gives the store what it has not been given yet.
    pub(super) fn write(&mut self, engine: &Engine) {
        let Some(disk) = self.disk.as_mut().filter(|_| !self.unwritten.is_empty()) else {
            if self.waits_since.is_none() {
                self.durable = self.ticket;
            }
            return;
        };
        let mut runs: BTreeMap<RunId, Vec<Arc<Event>>> = BTreeMap::new();
        for event in self.unwritten.drain(..) {
            runs.entry(event.run).or_default().push(event);
        }
        // The last share carries the ticket; the store wants a growing number for each.
        let shares = runs.len() as u64;
        for (at, (run, events)) in (1..).zip(runs) {
            let last = events.last().map_or(0, |event| event.seq);
            disk.writer.append((self.ticket << TICKET_SHIFT) + at - shares, run, events);
            disk.snapshot_if_due(run, last, engine);
        }
        self.waits_since.get_or_insert_with(now);
    }

    /// What the store says within the moment in which a commit is usually done. Waits awake: waking up would take as long
    /// again. With a sync that moment is over too soon to be worth it.
    pub(super) fn heard_at_once(&mut self) -> Option<Heard> {
        let disk = self.disk.as_mut().filter(|disk| disk.sync == SyncMode::Normal)?;
        let until = self.waits_since? + AWAKE;
        loop {
            match disk.acks.try_recv() {
                Ok(ack) => return Some(Heard(ack)),
                Err(_) if now() >= until => return None,
                Err(_) => std::thread::yield_now(),
            }
        }
    }

    /// What the store has to say; waits for ever where there is none.
    pub(super) async fn heard(&mut self) -> Heard {
        if let Some(disk) = &mut self.disk
            && let Some(ack) = disk.acks.recv().await
        {
            return Heard(ack);
        }
        std::future::pending().await
    }

    /// Notes what the store said. True: a screen should show it.
    pub(super) fn take(&mut self, Heard(ack): Heard) -> bool {
        match ack {
            Ack::Durable { up_to_ticket } => {
                self.durable = up_to_ticket >> TICKET_SHIFT;
                self.waits_since = (self.durable < self.ticket).then(now);
                self.trouble.take().is_some()
            }
            Ack::Failed { error, waiting } => {
                tracing::error!(%error, "the store takes nothing; nothing more is begun");
                self.trouble = Some(StoreTrouble { message: error.to_string(), waiting });
                true
            }
        }
    }

    /// The next decision whose events are durable.
    pub(super) fn release(&mut self) -> Option<Batch> {
        let batch = self.held.release(self.durable)?;
        let most = if self.disk.is_some() { RECENT_MAX_SAVED } else { RECENT_MAX };
        self.recent.extend(batch.events.iter().filter(|event| !self.passing.contains(&event.run)).cloned());
        self.recent.drain(..self.recent.len().saturating_sub(most));
        Some(batch)
    }

    /// Why the store takes nothing.
    pub(super) fn trouble(&self) -> Option<&str> {
        self.trouble.as_ref().map(|trouble| trouble.message.as_str())
    }

    /// Has the store try again.
    pub(super) fn retry(&mut self) {
        if let Some(disk) = &self.disk
            && self.trouble.take().is_some()
        {
            disk.writer.retry();
        }
    }

    /// Stands for everything that has been decided so far.
    pub(super) const fn ticket(&self) -> u64 {
        self.ticket
    }

    /// Whether what a ticket stands for is durable.
    pub(super) const fn is_durable(&self, ticket: u64) -> bool {
        ticket <= self.durable
    }

    /// Whether everything decided is durable, told and performed.
    pub(super) fn is_settled(&self) -> bool {
        self.held.is_empty()
    }

    /// Events that wait for the store.
    pub(super) const fn waiting(&self) -> usize {
        self.held.events()
    }

    /// How safe a run is.
    pub(super) fn saving_of(&self, run: RunId) -> Saving {
        let saves = |disk: &&Disk| disk.saved.contains_key(&run) || disk.announced.contains_key(&run);
        self.disk.as_ref().filter(saves).map_or(Saving::Nothing, |disk| saving(disk.sync))
    }

    /// The store, for screens.
    pub(super) fn view(&self) -> StoreView {
        let saving = self.disk.as_ref().map_or(Saving::Nothing, |disk| saving(disk.sync));
        StoreView { saving, trouble: self.trouble.clone() }
    }

    /// The newest events that were told, oldest first.
    pub(super) fn recent(&self) -> Vec<Arc<Event>> {
        self.recent.iter().cloned().collect()
    }

    /// A run has ended: how long its steps took is worth knowing for the next one.
    pub(super) fn ended(&mut self, run: RunId, engine: &Engine, is_real: bool) {
        let Some(disk) = self.disk.as_ref().filter(|disk| is_real && disk.saved.contains_key(&run)) else { return };
        let durations = engine.durations(run);
        let pairs = durations.iter().map(|(key, took)| (key.as_str(), *took));
        let noted = disk.store.history().and_then(|mut history| history.add(pairs));
        if let Err(error) = noted {
            tracing::warn!(%error, "how long steps took could not be noted");
        }
    }

    /// A run is left in the middle: opening it again is made quick, if it is long.
    pub(super) fn left(&mut self, run: RunId, engine: &Engine) {
        if let Some(disk) = &mut self.disk
            && disk.saved.get(&run).is_some_and(|last| engine.last_seq(run) > last + SNAPSHOT_LEFT)
            && !engine.has_ended(run)
        {
            disk.snapshot(run, engine);
        }
    }

    /// Writes what waits and closes the store.
    pub(super) fn close(&mut self) {
        if let Some(disk) = self.disk.take() {
            // While the locks are held: the next one to open a run makes sockets of its own.
            disk.control.close();
            disk.lines.end_spills();
            if let Err(error) = disk.writer.close() {
                tracing::error!(%error, "the store could not be closed");
            }
        }
    }
}

/// Room for the shares of one decision under its ticket.
const TICKET_SHIFT: u32 = 20;

impl Disk {
    fn take_up(&mut self, run: RunId, name: &str, journal: Journal) {
        self.writer.open(run, journal);
        self.saved.insert(run, 0);
        self.lines.spill(run, spill(self.store.clone(), name.to_owned()));
        if let Ok(folder) = self.store.run_folder(name) {
            self.control.serve(run, &folder);
        }
    }

    fn snapshot_if_due(&mut self, run: RunId, last: u64, engine: &Engine) {
        let Some(snapshotted) = self.saved.get(&run) else { return };
        let steps = engine.steps(run) as u64;
        if last - snapshotted > SNAPSHOT_EVENTS.max(steps * SNAPSHOT_EVENTS_PER_STEP) {
            self.snapshot(run, engine);
        }
    }

    fn snapshot(&mut self, run: RunId, engine: &Engine) {
        // Where there is none the journal tells the same, only slower; it is not asked for again at once.
        let seq = engine.last_seq(run);
        if let Some((seq, bytes)) = engine.snapshot(run) {
            self.writer.snapshot(run, seq, bytes);
        }
        self.saved.insert(run, seq);
    }
}

/// Saves what agents print. Most runs print nothing: the file is made with the first line.
fn spill(store: Store, run: String) -> Spill {
    let mut opened = None;
    Box::new(move |line| {
        let Body::Text(stream, text) = &line.body else { return };
        let lines = opened.get_or_insert_with(|| {
            let lines = store.write_lines(&run, LINES_BYTES_MAX);
            lines.inspect_err(|error| tracing::warn!(%error, "what agents print is not saved")).ok()
        });
        if let Some(lines) = lines {
            let (at, step, attempt, agent) = (line.at, line.step, line.attempt, line.agent);
            lines.push(Printed { at, step, attempt, agent, stream: *stream, text: text.clone() });
        }
    })
}

const fn saving(sync: SyncMode) -> Saving {
    match sync {
        SyncMode::Normal => Saving::Normal,
        SyncMode::Full => Saving::Full,
    }
}

/// A store's fault as the answer to a request.
pub(super) fn rejection(error: &StoreError) -> Rejection {
    Rejection { reason: error.message.clone(), way_out: error.way_out.clone() }
}
