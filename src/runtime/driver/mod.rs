//! The loop that owns the engine: take inputs, decide, make the events durable, perform, publish.
//!
//! One task, no locks. Requests, ends of processes, due times and the store's acknowledgements come in; events, views and
//! log lines go out. Deciding does not wait for the disk: each decision is held ([`crate::runtime::held`]) until its events are
//! durable, and only then told and performed, so that a slow disk groups commits instead of stopping the engine.
//!
//! Under the virtual clock nothing sleeps: when everything is durable the next due time is taken, and all that is due
//! then; it stands still while a run waits for somebody. A store that takes nothing stops what follows, not what runs:
//! the events wait in memory, nothing new begins, and going on is one command.

mod attempts;
mod beside;
mod coming;
mod leaving;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_attempts;
#[cfg(test)]
mod tests_coming;
#[cfg(test)]
mod tests_standstill;
#[cfg(test)]
mod tests_works;
mod works;

use attempts::{Active, DueAt, completion_of};
use beside::Beside;
use coming::Errands;
use leaving::nothing_left_in;
use works::{Found, Works};

use crate::engine::{Engine, Input, Outbox};
use crate::model::command::{Command, Done, Rejection};
use crate::model::completion::{Completion, Outcome};
use crate::model::done::done;
use crate::model::effect::{Effect, Timer};
use crate::model::event::{Event, EventKind};
use crate::model::id::{RunId, StepId};
use crate::model::time::Micros;
use crate::runtime::clock::{Clock, ClockKind};
use crate::runtime::compute::Calculator;
use crate::runtime::handle::{Inbox, Request};
use crate::runtime::ledger::{Heard, Ledger};
use crate::runtime::reaper::Pool;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

/// Views are published at most this often, but at once after a request.
const PUBLISH_EVERY: Duration = Duration::from_millis(10);
/// Taking views of large runs may use at most one part in so many of the engine's time.
const PUBLISH_SHARE: u32 = 20;
/// A view waits this long at most for what it shows to be durable: for longer there is always something on its way.
const DURABLE_WAIT: Duration = Duration::from_millis(250);
/// Events that may wait for the store before nothing more is decided.
const HELD_EVENTS_MAX: usize = 200_000;
/// What is due later than this was held up (upbeat was stopped, or its machine slept): ends that came meanwhile are
/// heard first, so that an attempt that was in time is not called late.
const LATE: Micros = Micros::from_millis(500);
/// How long ends are listened for then.
const LATE_PATIENCE: Duration = Duration::from_millis(100);

/// Subscribers are told of an event within this time …
const TELL_WITHIN: Duration = Duration::from_millis(2);
/// … or when so many wait to be told.
const UNTOLD_MAX: usize = 512;

/// Names an attempt.
type AttemptKey = (RunId, StepId, u32);

/// The answer to a command.
type Verdict = Result<Done, Rejection>;

/// What is due at a time.
#[derive(Debug)]
enum Due {
    Timer(Timer),
    /// A simulated or built-in agent answers.
    Answer(AttemptKey, Outcome),
    /// The machine's load is looked at.
    Load,
}

/// The driver's state.
pub(super) struct Driver {
    engine: Engine,
    clock: Clock,
    /// Divides what simulated agents take.
    speed: f64,
    ledger: Ledger,
    inbox: Inbox,
    pool: Arc<Pool>,
    due: BTreeMap<DueAt, Due>,
    /// Orders what is due at the same time: first come, first served.
    order: u64,
    /// Until then ends are heard before what is due late; `None`: nothing is late.
    patient_until: Option<Instant>,
    active: BTreeMap<AttemptKey, Active>,
    ended: mpsc::UnboundedReceiver<Completion>,
    ended_in: mpsc::UnboundedSender<Completion>,
    /// Ends that are known at once.
    at_once: VecDeque<Completion>,
    calculator: Calculator,
    works: Works,
    /// What `$run` says of each run.
    seeds: BTreeMap<RunId, u64>,
    errands: Errands,
    beside: Beside,
    subscribers: Vec<mpsc::Sender<Arc<Event>>>,
    /// Events that subscribers have not been told yet, and when they are to be at the latest.
    untold: Vec<Arc<Event>>,
    tell_after: Option<Instant>,
    look_at: Option<(RunId, StepId)>,
    /// Answers to commands; each is given when what it tells is durable.
    answers: VecDeque<(u64, Verdict, oneshot::Sender<Verdict>)>,
    outbox: Outbox,
    /// Something changed since the last view.
    dirty: bool,
    /// When the next view may be published.
    publish_after: Instant,
    /// It waits for what it shows to be durable, until then at most.
    postponed: Option<Instant>,
}

/// Why the loop goes on.
enum Wake {
    Request(Box<Request>),
    Ended(Completion),
    Stored(Heard),
    /// An agent was found well or unwell.
    Found(Input),
    /// Work without a process is done.
    Worked(Vec<Found>),
    Due,
    Publish,
    /// Subscribers have waited for long enough.
    Tell,
    /// Only so that the loop looks around again.
    Again,
    /// No handle is left: nobody can see or ask anything any more.
    Deserted,
}

impl Driver {
    pub(super) fn new(kind: ClockKind, speed: f64, ledger: Ledger, inbox: Inbox, hands: (Pool, Calculator)) -> Self {
        let (pool, calculator) = hands;
        let (ended_in, ended) = mpsc::unbounded_channel();
        let pool = Arc::new(pool);
        Self {
            engine: Engine::new(),
            clock: Clock::new(kind),
            speed,
            ledger,
            inbox,
            beside: Beside::new(pool.clone()),
            pool,
            due: BTreeMap::new(),
            order: 0,
            patient_until: None,
            active: BTreeMap::new(),
            ended,
            ended_in,
            at_once: VecDeque::new(),
            calculator,
            works: Works::new(kind == ClockKind::Real),
            seeds: BTreeMap::new(),
            errands: Errands::default(),
            subscribers: Vec::new(),
            untold: Vec::new(),
            tell_after: None,
            look_at: None,
            answers: VecDeque::new(),
            outbox: Outbox::default(),
            dirty: true,
            publish_after: crate::runtime::clock::now(),
            postponed: None,
        }
    }

    /// Runs until a shutdown is asked for or every handle is gone.
    pub(super) async fn run(mut self) {
        let looks = self.ledger.store().map(|store| tokio::task::spawn_blocking(move || nothing_left_in(&store)));
        let reply = loop {
            match self.wake().await {
                Wake::Request(request) => match *request {
                    Request::Shutdown(reply) => break Some(reply),
                    Request::Errands(errands) => {
                        // They come in crowds: nobody waits for a view of each.
                        errands.into_iter().for_each(|(errand, reply)| self.errand(errand, reply));
                        self.commit().await;
                    }
                    request => {
                        self.request(request).await;
                        self.commit().await;
                        self.publish();
                    }
                },
                Wake::Ended(completion) => {
                    self.process_ended(completion);
                    while let Ok(completion) = self.ended.try_recv() {
                        self.process_ended(completion);
                    }
                    self.commit().await;
                }
                Wake::Worked(found) => {
                    found.into_iter().for_each(|found| self.take_found(found));
                    self.commit().await;
                }
                Wake::Stored(heard) => self.stored(heard).await,
                Wake::Found(verdict) => {
                    let _ = self.decide(&verdict);
                    self.commit().await;
                }
                Wake::Due => {
                    self.take_due();
                    self.commit().await;
                }
                Wake::Publish => self.publish(),
                Wake::Tell => self.tell().await,
                Wake::Again => {}
                Wake::Deserted => break None,
            }
        };
        self.shut_down().await;
        if let Some(looks) = looks {
            // What it has begun to end would otherwise be left halted.
            let _ = looks.await;
        }
        if let Some(reply) = reply {
            let _ = reply.send(());
        }
    }

    async fn wake(&mut self) -> Wake {
        if self.tell_after.is_some_and(|at| at <= crate::runtime::clock::now()) {
            return Wake::Tell;
        }
        let full = self.ledger.waiting() > HELD_EVENTS_MAX;
        let next_due = self.due.first_key_value().map(|((at, _), _)| *at).filter(|_| !full);
        if let Some(at) = next_due
            && self.is_due(at)
            && self.ended.is_empty()
            && self.inbox.requests.is_empty()
        {
            // Even a long burst of due things must not starve the tasks that read pipes.
            tokio::task::consume_budget().await;
            return Wake::Due;
        }
        let due_at = next_due.and_then(|at| self.clock.instant(at)).max(self.patient_until);
        let hears_works = !full && (self.is_real() || self.ledger.is_settled());
        let publish_at = self.dirty.then_some(self.postponed.unwrap_or(self.publish_after));
        tokio::select! {
            biased;
            request = self.inbox.requests.recv() => request.map_or(Wake::Deserted, |r| Wake::Request(Box::new(r))),
            heard = self.ledger.heard() => Wake::Stored(heard),
            Some(completion) = self.ended.recv(), if !full => Wake::Ended(completion),
            Some(found) = self.works.next(), if hears_works => Wake::Worked(found),
            Some(verdict) = self.beside.verdict(), if !full => Wake::Found(verdict),
            () = sleep_until(due_at), if next_due.is_some() => Wake::Again,
            () = sleep_until(publish_at) => Wake::Publish,
            () = sleep_until(self.tell_after) => Wake::Tell,
        }
    }

    const fn is_real(&self) -> bool {
        matches!(self.clock, Clock::Real(..))
    }

    /// Whether what is due at that time is to be taken now.
    fn is_due(&mut self, at: Micros) -> bool {
        if !self.is_real() {
            // Time stands still until everything that has happened is durable, while something is computed (how long that
            // takes is the machine's affair), and while a run waits for somebody: what a person needs takes no virtual time, and timers that have nothing to say any more must not pass meanwhile.
            return self.works.is_empty() && self.ledger.is_settled() && self.engine.goes_on_by_itself();
        }
        let now = self.clock.now();
        if at + LATE >= now {
            self.patient_until = None;
        } else if self.patient_until.is_none() {
            self.patient_until = Some(crate::runtime::clock::later(LATE_PATIENCE));
        }
        at <= now && self.patient_until.is_none_or(|until| until <= crate::runtime::clock::now())
    }

    async fn request(&mut self, request: Request) {
        match request {
            Request::Load(order, reply) => {
                let loaded = self.load(*order);
                let _ = reply.send(loaded);
            }
            Request::EndErrands(cause) => self.end_errands(cause),
            Request::Save(run, reply) => {
                let _ = reply.send(self.ledger.begin(run));
            }
            Request::Restore(order, reply) => {
                let restored = self.restore(*order).await;
                let _ = reply.send(restored);
            }
            Request::Command(command, reply) => {
                let verdict = self.command(command);
                self.answers.push_back((self.ledger.ticket(), verdict, reply));
            }
            Request::LookAt(step) => {
                // Asked again for the same step: its reasons hold times that run down.
                self.dirty |= step.is_some() || self.look_at != step;
                self.look_at = step;
            }
            Request::Summary(run, reply) => {
                let summary = self.engine.summary(self.clock.now(), run).map(|mut summary| {
                    summary.saving = self.ledger.saving_of(run);
                    Box::new(summary)
                });
                let _ = reply.send(summary);
            }
            Request::Subscribe(events) => self.subscribe(events).await,
            Request::Shutdown(_) | Request::Errands(_) => unreachable!("the loop takes it"),
        }
    }

    fn command(&mut self, command: Command) -> Verdict {
        if let Some(trouble) = self.ledger.trouble() {
            if matches!(command, Command::Resume { .. }) {
                self.ledger.retry();
                self.dirty = true;
                return Ok(Done::default());
            }
            return Err(nothing_recorded(trouble));
        }
        if let Command::Start { run } = command {
            self.ledger.begin(run)?;
        }
        self.tell_load_before(&command);
        let now = self.clock.now();
        let verdict = self.engine.handle(now, &Input::Command(command), &mut self.outbox);
        let done = done(self.outbox.events.iter().map(|event| &event.kind));
        self.hold(now);
        verdict.map(|()| done)
    }

    /// A reader of events: first what the journal holds, then everything new.
    async fn subscribe(&mut self, reader: mpsc::Sender<Arc<Event>>) {
        self.tell().await;
        for event in self.ledger.recent() {
            if reader.send(event).await.is_err() {
                return;
            }
        }
        self.subscribers.push(reader);
    }

    /// Takes everything that is due: under the virtual clock what is due at one time, else what is due by now.
    fn take_due(&mut self) {
        let Some(((first, _), _)) = self.due.first_key_value() else { return };
        self.clock.jump(*first);
        let until = self.clock.now();
        while let Some(entry) = self.due.first_entry()
            && entry.key().0 <= until
        {
            match entry.remove() {
                Due::Timer(timer) => {
                    if !self.is_kept_back(timer) {
                        let _ = self.decide(&Input::Timer(timer));
                    }
                }
                Due::Load => self.take_load(),
                Due::Answer(key, outcome) => self.completion(completion_of(key, outcome)),
            }
        }
    }

    fn completion(&mut self, completion: Completion) {
        self.active.remove(&(completion.run, completion.step, completion.attempt));
        let _ = self.decide(&Input::Completion(completion));
    }

    fn take_found(&mut self, found: Found) {
        match found {
            Found::Computed(computed) => drop(self.decide(&Input::Computed(computed))),
            Found::Outcome(key, work, outcome) => self.worked(key, work, outcome),
        }
    }

    fn seed_of(&self, run: RunId) -> u64 {
        self.seeds.get(&run).copied().unwrap_or_default()
    }

    /// Decides about an input; what follows is held until it is durable.
    fn decide(&mut self, input: &Input) -> Result<(), Rejection> {
        let now = self.clock.now();
        let verdict = self.engine.handle(now, input, &mut self.outbox);
        self.hold(now);
        verdict
    }

    fn hold(&mut self, now: Micros) {
        let outbox = std::mem::take(&mut self.outbox);
        self.dirty |= !outbox.events.is_empty();
        self.ledger.hold(now, outbox, &self.engine);
    }

    /// Gives the store what was decided; tells and performs what is durable already.
    async fn commit(&mut self) {
        self.ledger.write(&self.engine);
        if self.ended.is_empty()
            && self.inbox.requests.is_empty()
            && let Some(heard) = self.ledger.heard_at_once()
        {
            self.dirty |= self.ledger.take(heard);
        }
        self.release().await;
    }

    async fn stored(&mut self, heard: Heard) {
        self.dirty |= self.ledger.take(heard);
        self.release().await;
    }

    /// Tells and performs everything durable, and what follows from it at once.
    async fn release(&mut self) {
        loop {
            while let Some(batch) = self.ledger.release() {
                self.note(batch.events).await;
                for effect in batch.effects {
                    self.perform(effect, batch.now);
                }
            }
            self.answer();
            self.let_go();
            if self.at_once.is_empty() {
                if self.ledger.is_settled() {
                    self.postponed = None;
                }
                self.attend();
                return;
            }
            while let Some(completion) = self.at_once.pop_front() {
                self.completion(completion);
            }
            self.ledger.write(&self.engine);
        }
    }

    /// Answers commands: what they led to is durable, or it turns out that nothing can be recorded.
    fn answer(&mut self) {
        while let Some((ticket, ..)) = self.answers.front() {
            let trouble = self.ledger.trouble().map(nothing_recorded);
            if trouble.is_none() && !self.ledger.is_durable(*ticket) {
                return;
            }
            let Some((ticket, verdict, reply)) = self.answers.pop_front() else { return };
            let verdict = match trouble {
                Some(trouble) if verdict.is_ok() && !self.ledger.is_durable(ticket) => Err(trouble),
                _ => verdict,
            };
            let _ = reply.send(verdict);
        }
    }

    /// The log gets events that say something to people; subscribers get all of them, in order and soon. Not each by
    /// itself: to wake a reader costs more than to decide a step.
    async fn note(&mut self, events: Vec<Arc<Event>>) {
        let (mut urgent, said) = (false, !events.is_empty());
        self.beside.hears(&events);
        for event in events {
            tracing::debug!(seq = event.seq, event = event.kind.name(), "journalled");
            self.errands.hear(&event);
            if !self.ledger.is_passing(event.run) {
                self.inbox.logs.tell(&event);
            }
            urgent |= matches!(event.kind, EventKind::RunFinished { .. } | EventKind::RunPaused { .. });
            if !self.subscribers.is_empty() {
                self.untold.push(event);
            }
        }
        if urgent || self.untold.len() >= UNTOLD_MAX {
            self.tell().await;
        } else if said {
            self.tell_after.get_or_insert_with(|| crate::runtime::clock::later(TELL_WITHIN));
        }
    }

    /// Tells the subscribers what they have not been told; waits for those that do not keep up.
    async fn tell(&mut self) {
        self.tell_after = None;
        self.inbox.logs.announce();
        let mut gone = Vec::new();
        for (at, subscriber) in self.subscribers.iter().enumerate() {
            for event in &self.untold {
                if subscriber.send(event.clone()).await.is_err() {
                    gone.push(at);
                    break;
                }
            }
        }
        self.untold.clear();
        for at in gone.into_iter().rev() {
            self.subscribers.swap_remove(at);
        }
    }

    fn perform(&mut self, effect: Effect, now: Micros) {
        match effect {
            Effect::Start(order) => self.start(order, now),
            Effect::Compute(asked) => self.works.compute(self.calculator.clone(), *asked),
            Effect::Stop { run, step, attempt, at_once } => self.stop((run, step, attempt), at_once),
            Effect::Freeze { run, step, attempt, frozen } => self.freeze((run, step, attempt), frozen, now),
            Effect::SetTimer { at, timer } => self.set_timer(at, timer),
            Effect::Finished { run } => {
                tracing::info!(run = run.0, "the run has ended");
                let is_real = self.is_real();
                self.ledger.ended(run, &self.engine, is_real);
            }
        }
    }

    /// Shows the state of things, unless the store is about to acknowledge what it would show.
    fn publish(&mut self) {
        if !self.dirty {
            return;
        }
        if !self.ledger.is_settled() && self.ledger.trouble().is_none() {
            let now = crate::runtime::clock::now();
            if now < *self.postponed.get_or_insert(now + DURABLE_WAIT) {
                return;
            }
        }
        (self.dirty, self.postponed) = (false, None);
        if self.ledger.trouble().is_some() {
            // What was decided since is not recorded, so it has not happened: only that is new.
            let mut view = (**self.inbox.view.borrow()).clone();
            view.store = self.ledger.view();
            self.inbox.view.send_replace(Arc::new(view));
            return;
        }
        let began = crate::runtime::clock::now();
        let mut view = self.engine.view(self.clock.now(), self.look_at);
        view.clock_rate = if self.is_real() { 1.0 } else { 0.0 };
        view.store = self.ledger.view();
        view.machine = self.beside.machine(&view);
        self.inbox.view.send_replace(Arc::new(view));
        let done = crate::runtime::clock::now();
        self.publish_after = done + PUBLISH_EVERY.max((done - began) * PUBLISH_SHARE);
    }
}

fn nothing_recorded(trouble: &str) -> Rejection {
    Rejection::with_way_out(
        format!("nothing can be recorded: {trouble}"),
        "make room, then resume: nothing that was recorded is lost",
    )
}

/// Sleeps until then; for ever without a time.
async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
