//! The loop that owns the engine: take an input, decide, make the events durable, perform, publish.
//!
//! One task, no locks. Requests, ends of processes and due times come in; events, views and log lines go out. Under the
//! virtual clock nothing sleeps: the next due time is simply taken, requests first.

use super::agents::{process, simulated};
use super::clock::{Clock, ClockKind};
use super::handle::{Inbox, Request, RunOrder};
use super::logs::{Body, LogLine, LogStore, Stream};
use super::reaper::Pool;
use super::store::Store;
use crate::engine::{Engine, Input, Outbox};
use crate::model::command::{Command, Rejection};
use crate::model::completion::{Completion, EndProof, Outcome};
use crate::model::effect::{AttemptOrder, Effect, Timer};
use crate::model::event::{Event, EventKind};
use crate::model::id::{RunId, StepId};
use crate::model::state::EndCause;
use crate::model::time::Micros;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

/// Views are published at most this often, but at once after a request.
const PUBLISH_EVERY: Duration = Duration::from_millis(10);
/// Taking views of large runs may use at most one part in so many of the engine's time.
const PUBLISH_SHARE: u32 = 20;

/// Names an attempt.
type AttemptKey = (RunId, StepId, u32);

/// What is due at a time.
#[derive(Debug)]
enum Due {
    Timer(Timer),
    /// A simulated or built-in agent answers, unless its attempt was stopped before.
    Answer(AttemptKey, Outcome),
}

/// An attempt under way.
#[derive(Debug)]
enum Active {
    /// Its answer stands among the due things.
    Timed,
    /// A process, and how to end it.
    Process(process::Stop),
}

/// The driver's state.
pub(super) struct Driver {
    engine: Engine,
    clock: Clock,
    /// Divides what simulated agents take.
    speed: f64,
    store: Store,
    inbox: Inbox,
    pool: Arc<Pool>,
    due: BTreeMap<(Micros, u64), Due>,
    /// Orders what is due at the same time: first come, first served.
    order: u64,
    active: BTreeMap<AttemptKey, Active>,
    ended: mpsc::UnboundedReceiver<Completion>,
    ended_in: mpsc::UnboundedSender<Completion>,
    /// Ends that are known at once.
    at_once: VecDeque<Completion>,
    subscribers: Vec<mpsc::Sender<Arc<Event>>>,
    look_at: Option<(RunId, StepId)>,
    outbox: Outbox,
    /// Something changed since the last view.
    dirty: bool,
    /// When the next view may be published.
    publish_after: Instant,
    /// The store failed: nothing more is begun.
    store_error: Option<String>,
}

/// Why the loop goes on.
enum Wake {
    Request(Box<Request>),
    Ended(Completion),
    Due,
    Publish,
    /// No handle is left: nobody can see or ask anything any more.
    Deserted,
}

impl Driver {
    pub(super) fn new(kind: ClockKind, speed: f64, store: Store, inbox: Inbox, pool: Pool) -> Self {
        let (ended_in, ended) = mpsc::unbounded_channel();
        Self {
            engine: Engine::new(),
            clock: Clock::new(kind),
            speed,
            store,
            inbox,
            pool: Arc::new(pool),
            due: BTreeMap::new(),
            order: 0,
            active: BTreeMap::new(),
            ended,
            ended_in,
            at_once: VecDeque::new(),
            subscribers: Vec::new(),
            look_at: None,
            outbox: Outbox::default(),
            dirty: true,
            publish_after: super::clock::now(),
            store_error: None,
        }
    }

    /// Runs until a shutdown is asked for or every handle is gone.
    pub(super) async fn run(mut self) {
        let reply = loop {
            match self.wake().await {
                Wake::Request(request) => match *request {
                    Request::Shutdown(reply) => break Some(reply),
                    request => {
                        self.request(request).await;
                        self.publish();
                    }
                },
                Wake::Ended(completion) => self.completion(completion).await,
                Wake::Due => self.take_due().await,
                Wake::Publish => self.publish(),
                Wake::Deserted => break None,
            }
        };
        self.shut_down().await;
        if let Some(reply) = reply {
            let _ = reply.send(());
        }
    }

    async fn wake(&mut self) -> Wake {
        let next_due = self.due.first_key_value().map(|((at, _), _)| *at);
        let ready = next_due.is_some_and(|at| at <= self.clock.now()) || matches!(self.clock, Clock::Virtual(_));
        let jump = ready && next_due.is_some() && self.ended.is_empty();
        if jump && self.inbox.requests.is_empty() {
            // Even a long burst of due things must not starve the tasks that read pipes.
            tokio::task::consume_budget().await;
            return Wake::Due;
        }
        let due_at = next_due.and_then(|at| self.clock.instant(at));
        let publish_at = self.dirty.then_some(self.publish_after);
        tokio::select! {
            biased;
            request = self.inbox.requests.recv() => request.map_or(Wake::Deserted, |r| Wake::Request(Box::new(r))),
            Some(completion) = self.ended.recv() => Wake::Ended(completion),
            () = sleep_until(due_at) => Wake::Due,
            () = sleep_until(publish_at) => Wake::Publish,
        }
    }

    async fn request(&mut self, request: Request) {
        match request {
            Request::Load(RunOrder { workflow, name, seed }, reply) => {
                let loaded = self.engine.load(workflow, name, seed);
                self.dirty = true;
                let _ = reply.send(loaded);
            }
            Request::Command(command, reply) => self.command(command, reply).await,
            Request::LookAt(step) => {
                // Asked again for the same step: its reasons hold times that run down.
                self.dirty |= step.is_some() || self.look_at != step;
                self.look_at = step;
            }
            Request::Summary(run, reply) => {
                let _ = reply.send(self.engine.summary(self.clock.now(), run).map(Box::new));
            }
            Request::Subscribe(events) => self.subscribe(events).await,
            Request::Shutdown(_) => unreachable!("the loop takes it"),
        }
    }

    async fn command(&mut self, command: Command, reply: oneshot::Sender<Result<(), Rejection>>) {
        let verdict = match &self.store_error {
            Some(error) if !matches!(command, Command::Cancel { .. }) => {
                Err(Rejection::new(format!("the store failed: {error}")))
            }
            _ => self.handle(&Input::Command(command)).await,
        };
        let _ = reply.send(verdict);
    }

    /// A reader of events: first what the journal holds, then everything new.
    async fn subscribe(&mut self, reader: mpsc::Sender<Arc<Event>>) {
        let runs = self.engine.runs();
        let old: Vec<_> = (0..runs).flat_map(|run| self.store.read_from(RunId::from_index(run), 0).cloned()).collect();
        for event in old {
            if reader.send(event).await.is_err() {
                return;
            }
        }
        self.subscribers.push(reader);
    }

    async fn take_due(&mut self) {
        let Some(((at, _), due)) = self.due.pop_first() else { return };
        self.clock.jump(at);
        match due {
            Due::Timer(timer) => {
                let _ = self.handle(&Input::Timer(timer)).await;
            }
            Due::Answer((run, step, attempt), outcome) => {
                if self.active.contains_key(&(run, step, attempt)) {
                    let proof = EndProof::Proved;
                    let completion = Completion { run, step, attempt, outcome, usage: None, proof, agent_lost: None };
                    self.completion(completion).await;
                }
            }
        }
    }

    async fn completion(&mut self, completion: Completion) {
        self.active.remove(&(completion.run, completion.step, completion.attempt));
        let _ = self.handle(&Input::Completion(completion)).await;
    }

    /// Decides, makes durable, performs; then the same for ends that are known at once.
    async fn handle(&mut self, input: &Input) -> Result<(), Rejection> {
        let verdict = self.handle_one(input).await;
        while let Some(completion) = self.at_once.pop_front() {
            self.active.remove(&(completion.run, completion.step, completion.attempt));
            let _ = self.handle_one(&Input::Completion(completion)).await;
        }
        verdict
    }

    async fn handle_one(&mut self, input: &Input) -> Result<(), Rejection> {
        let now = self.clock.now();
        let mut outbox = std::mem::take(&mut self.outbox);
        let verdict = self.engine.handle(now, input, &mut outbox);
        if let Err(error) = self.store.append(&outbox.events) {
            tracing::error!(%error, "the store failed; nothing more is begun");
            self.store_error = Some(error.to_string());
        }
        self.dirty |= !outbox.events.is_empty();
        for event in outbox.events.drain(..) {
            self.tell(event).await;
        }
        for effect in outbox.effects.drain(..) {
            self.perform(effect, now);
        }
        self.outbox = outbox;
        verdict
    }

    /// Subscribers get every event, in order; the log gets those that say something to people.
    async fn tell(&mut self, event: Arc<Event>) {
        tracing::debug!(seq = event.seq, event = event.kind.name(), "journalled");
        log_event(&self.inbox.logs, &event);
        let mut gone = Vec::new();
        for (at, subscriber) in self.subscribers.iter().enumerate() {
            if subscriber.send(event.clone()).await.is_err() {
                gone.push(at);
            }
        }
        for at in gone.into_iter().rev() {
            self.subscribers.swap_remove(at);
        }
    }

    fn perform(&mut self, effect: Effect, now: Micros) {
        match effect {
            Effect::Start(order) if self.store_error.is_none() => self.start(&order, now),
            Effect::Start(order) => self.end_at_once((order.run, order.step, order.attempt)),
            Effect::Stop { run, step, attempt, at_once } => match self.active.get(&(run, step, attempt)) {
                Some(Active::Timed) => self.end_at_once((run, step, attempt)),
                Some(Active::Process(stop)) => stop.stop(at_once),
                None => {}
            },
            Effect::SetTimer { at, timer } => self.set_due(at, Due::Timer(timer)),
            Effect::Finished { run } => tracing::info!(run = run.0, "the run has ended"),
        }
    }

    fn start(&mut self, order: &AttemptOrder, now: Micros) {
        let key = (order.run, order.step, order.attempt);
        if let Some((time, outcome)) = simulated::answer(order, self.speed) {
            self.active.insert(key, Active::Timed);
            self.set_due(now + time, Due::Answer(key, outcome));
            return;
        }
        let log = process::Log::new(self.inbox.logs.clone(), self.clock, order);
        let (stop, work) = process::attempt(self.pool.clone(), order, log);
        self.active.insert(key, Active::Process(stop));
        let ended = self.ended_in.clone();
        tokio::spawn(async move {
            let completion = work.await;
            let _ = ended.send(completion);
        });
    }

    fn end_at_once(&mut self, (run, step, attempt): AttemptKey) {
        let (outcome, proof) = (Outcome::Stopped, EndProof::Proved);
        self.at_once.push_back(Completion { run, step, attempt, outcome, usage: None, proof, agent_lost: None });
    }

    fn set_due(&mut self, at: Micros, due: Due) {
        self.order += 1;
        self.due.insert((at, self.order), due);
    }

    fn publish(&mut self) {
        if !self.dirty {
            return;
        }
        self.dirty = false;
        let began = super::clock::now();
        let mut view = self.engine.view(self.clock.now(), self.look_at);
        view.clock_rate = if matches!(self.clock, Clock::Virtual(_)) { 0.0 } else { 1.0 };
        self.inbox.view.send_replace(Arc::new(view));
        let done = super::clock::now();
        self.publish_after = done + PUBLISH_EVERY.max((done - began) * PUBLISH_SHARE);
    }

    /// Ends what runs without grace, waits until all of it is proved gone, and closes the pool.
    async fn shut_down(&mut self) {
        let runs = self.engine.view(self.clock.now(), None).runs;
        for run in runs.iter().filter(|run| run.started.is_some()) {
            // Twice: the second one hurries.
            for _ in 0..2 {
                let cancel = Command::Cancel { run: run.id, cause: EndCause::Quit };
                let _ = self.handle(&Input::Command(cancel)).await;
            }
        }
        while self.active.values().any(|active| matches!(active, Active::Process(_))) {
            let Some(completion) = self.ended.recv().await else { break };
            self.completion(completion).await;
        }
        self.pool.shutdown().await;
        self.dirty = true;
        self.publish();
    }
}

/// Sleeps until then; for ever without a time.
async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// Events belong into the log people read, but for the ones that a fuller line stands for.
fn log_event(logs: &LogStore, event: &Arc<Event>) {
    if let EventKind::AttemptEnding { .. } | EventKind::StrategyChosen { .. } = event.kind {
        return;
    }
    logs.push(LogLine {
        seq: 0,
        at: event.at,
        run: event.run,
        step: event.kind.step(),
        attempt: event.kind.attempt(),
        agent: event.kind.agent(),
        body: Body::Event(event.clone()),
    });
    let note = |text: String| {
        let body = Body::Text(Stream::Note, text.into());
        let (step, attempt, agent) = (event.kind.step(), event.kind.attempt(), None);
        logs.push(LogLine { seq: 0, at: event.at, run: event.run, step, attempt, agent, body });
    };
    match &event.kind {
        EventKind::StepReady { missing, .. } if !missing.is_empty() => {
            note(format!("input left out, because its path leads nowhere: {}", missing.join(", ")));
        }
        EventKind::DataChanged { missing, .. } if !missing.is_empty() => {
            note(format!("the output lacks fields that are mapped: {}", missing.join(", ")));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use crate::model::agent::{Agent, AgentKind, Simulated};
    use crate::model::command::Command;

    use crate::model::state::RunStatus;
    use crate::model::step::{Need, NeedOn, Step, Work};
    use crate::model::time::Micros;
    use crate::model::view::RunSummary;
    use crate::model::workflow::Workflow;
    use crate::runtime::clock::ClockKind;
    use crate::runtime::handle::RunOrder;
    use crate::runtime::{Config, start};

    use std::path::PathBuf;
    use std::sync::Arc;

    fn step(id: &str, needs: &[u32]) -> Step {
        let needs = needs.iter().map(|&n| Need { step: crate::model::id::StepId(n), on: NeedOn::Succeeded });
        let work = Work::Capability { capability: "any".into() };
        Step { needs: needs.collect(), estimate: Some(Micros::from_secs(3)), ..Step::new(id, work) }
    }

    fn chain() -> Workflow {
        let agent = Agent::new("sim", AgentKind::Simulated(Simulated::default()), "any");
        Workflow::new("chain", vec![agent], vec![step("a", &[]), step("b", &[0])])
    }

    fn run(clock: ClockKind, speed: f64) -> (Box<RunSummary>, Vec<String>) {
        let runtime = start(Config { clock, speed, program: PathBuf::from("upbeat") }).unwrap();
        let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        tokio.block_on(async {
            let handle = runtime.handle().clone();
            let order = RunOrder { workflow: Arc::new(chain()), name: "r".into(), seed: 7 };
            let run = handle.load(order).await.unwrap();
            handle.command(Command::Start { run }).await.unwrap();
            let mut events = handle.subscribe().await.unwrap();
            let mut seen = Vec::new();
            while seen.last().is_none_or(|last: &String| !last.contains("run_finished")) {
                let event = events.recv().await.unwrap();
                seen.push(format!("{} {} {}", event.seq, event.at.0, event.kind.name()));
            }
            let summary = handle.summary(run).await.unwrap();
            drop(events);
            runtime.shutdown().await;
            (summary, seen)
        })
    }

    #[test]
    fn the_virtual_clock_gives_exact_times_and_the_same_events_each_time() {
        let (summary, events) = run(ClockKind::Virtual, 1.0);
        assert_eq!((summary.status, summary.elapsed), (RunStatus::Succeeded, Micros::from_secs(6)));
        assert_eq!(events, run(ClockKind::Virtual, 1.0).1);
        assert_eq!(events.first().map(String::as_str), Some("1 0 run_started"), "a late reader gets the whole journal");
    }

    #[test]
    fn speed_shortens_what_simulated_agents_take_in_real_time() {
        let (summary, _) = run(ClockKind::Real, 1_000.0);
        assert_eq!(summary.status, RunStatus::Succeeded);
        assert!(summary.elapsed >= Micros::from_millis(6) && summary.elapsed < Micros::from_secs(3));
    }
}
