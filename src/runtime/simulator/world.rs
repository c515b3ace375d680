//! One simulated world: the engine, what it holds back, a writer with its disk, model agents, a person, a clock.
//!
//! A turn takes one thing: something that is due, a wish of the person, or a crash. Where several things are due at
//! about the same time, chance says which comes first; steps of the disk are due things too, so inputs pile up while a
//! commit is under way, exactly as they do in the driver.

use super::disk::Journal;
use super::plan::Plan;
use super::stats::{Fault, Stats};
use super::watch::{Armed, Broken, Watch};
use super::writer::{Progress, Trouble, Writer};
use crate::engine::{Engine, Input, Outbox};
use crate::model::command::{Command, Rejection};
use crate::model::completion::Completion;
use crate::model::effect::{Effect, Timer};
use crate::model::event::{Event, EventKind};
use crate::model::id::{RunId, StepId};
use crate::model::rng::{Rng, mix};
use crate::model::time::Micros;
use crate::runtime::held::Held;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Names an attempt.
pub(super) type AttemptKey = (RunId, StepId, u32);

/// How many due things chance chooses from.
const CHOICE_MAX: u64 = 4;
/// In runs of up to this many steps the state is compared with the journal's after every input.
const SMALL: usize = 3;
/// The engine looks at itself after every input in debug builds, if it is not larger.
const SELF_CHECKED: usize = 64;

/// What is due at a time.
#[derive(Clone, Debug)]
pub(super) enum Due {
    Timer(Timer),
    /// The attempt ends, unless it has ended before.
    Answer(Box<Completion>),
    /// An answer that was given already.
    Again(Box<Completion>),
    /// The next step of a commit.
    Disk,
    /// The disk is tried again.
    Retry,
    /// What the person had in mind.
    Wish(Command),
}

/// What the engine made of an input.
pub(super) struct Decision {
    verdict: Result<(), Rejection>,
    events: Vec<Arc<Event>>,
}

/// A world.
pub(super) struct World {
    pub(super) plan: Plan,
    pub(super) rng: Rng,
    pub(super) engine: Engine,
    pub(super) now: Micros,
    pub(super) due: BTreeMap<(Micros, u64), Due>,
    order: u64,
    pub(super) armed: Armed,
    pub(super) held: Held,
    pub(super) writer: Writer,
    pub(super) disk: Vec<Journal>,
    /// Attempts under way, and where their ends stand among the due things.
    pub(super) active: BTreeMap<AttemptKey, Option<(Micros, u64)>>,
    /// Those of them that are halted, with what was due and when, counted from when they go on.
    pub(super) halted: BTreeMap<AttemptKey, Option<(Micros, Due)>>,
    pub(super) watch: Watch,
    /// All events of each run, as they stand in a journal.
    pub(super) told: Vec<Vec<Arc<Event>>>,
    /// Numbers of the last events of decisions, per run.
    pub(super) ends: Vec<BTreeSet<u64>>,
    /// The last event of each run that was acknowledged.
    pub(super) acknowledged: Vec<u64>,
    /// No faults any more, and nobody at the keys.
    pub(super) calm: bool,
    pub(super) stats: Stats,
    /// What happened, for people, if somebody wants to read it.
    pub(super) story: Option<Vec<String>>,
}

impl World {
    pub(super) fn new(seed: u64, story: bool) -> Result<Self, Broken> {
        let mut rng = Rng::new(mix(seed));
        let plan = Plan::draw(&mut rng);
        let runs = plan.runs.len();
        let mut world = Self {
            engine: Engine::new(),
            now: Micros::ZERO,
            due: BTreeMap::new(),
            order: 0,
            armed: Armed::new(),
            held: Held::default(),
            writer: Writer::new(plan.sync_full),
            disk: plan.runs.iter().map(|run| Journal::new(run.header)).collect(),
            active: BTreeMap::new(),
            halted: BTreeMap::new(),
            watch: Watch::new(&plan.runs),
            told: vec![Vec::new(); runs],
            ends: vec![BTreeSet::from([0]); runs],
            acknowledged: vec![0; runs],
            calm: false,
            stats: Stats { hash: mix(seed), ..Stats::default() },
            story: story.then(Vec::new),
            plan,
            rng,
        };
        for run in 0..runs {
            let plan = &world.plan.runs[run];
            let id =
                world.engine.load(plan.workflow.clone(), plan.name.clone(), plan.seed).map_err(|no| no.to_string())?;
            if !plan.reuse.is_empty() {
                world.engine.reuse(id, plan.reuse.clone(), "earlier".into());
            }
            let at = Micros(if run == 0 { 0 } else { world.rng.below(3_000_000) });
            world.at(at, Due::Wish(Command::Start { run: id }));
        }
        Ok(world)
    }

    /// Whether a fault strikes now.
    pub(super) fn strikes(&mut self, fault: Fault) -> bool {
        let strikes = self.threatens(fault);
        if strikes {
            self.stats.struck(fault);
        }
        strikes
    }

    /// Whether a fault would strike now, if there is something for it to strike.
    fn threatens(&mut self, fault: Fault) -> bool {
        !self.calm && self.plan.rate(fault) > 0.0 && self.rng.chance(self.plan.rate(fault))
    }

    /// Puts something among the due things.
    pub(super) fn at(&mut self, at: Micros, due: Due) -> (Micros, u64) {
        self.order += 1;
        if let Due::Timer(timer) = &due {
            *self.armed.entry(*timer).or_default() += 1;
        }
        self.due.insert((at, self.order), due);
        (at, self.order)
    }

    /// A time up to `most`.
    pub(super) fn a_while(&mut self, most: Micros) -> Micros {
        Micros(self.rng.below(most.0 + 1))
    }

    pub(super) fn tell(&mut self, what: impl FnOnce() -> String) {
        if let Some(story) = &mut self.story {
            story.push(format!("{:>12.6}  {}", self.now.as_secs_f64(), what()));
        }
    }

    /// Takes one due thing. False: nothing is due.
    pub(super) fn take_due(&mut self) -> Result<bool, Broken> {
        let Some(key) = self.choose() else { return Ok(false) };
        let Some(due) = self.due.remove(&key) else { return Ok(false) };
        self.now = self.now.max(key.0);
        match due {
            Due::Timer(timer @ Timer::Idle { .. }) => self.listen(timer)?,
            Due::Timer(timer) => self.timer(timer)?,
            Due::Answer(completion) => {
                let key = (completion.run, completion.step, completion.attempt);
                self.active.remove(&key);
                self.halted.remove(&key);
                self.completion(&completion)?;
                if self.strikes(Fault::AnswerTwice) {
                    let again = self.now + self.a_while(Micros::from_secs(5));
                    self.at(again, Due::Again(completion));
                }
            }
            Due::Again(completion) => self.completion(&completion)?,
            Due::Disk => self.disk_step()?,
            Due::Retry => self.retry()?,
            Due::Wish(command) => {
                let _ = self.command(&command)?;
            }
        }
        Ok(true)
    }

    /// Whether so much waits for the disk that inputs have to wait too.
    pub(super) fn is_full(&self) -> bool {
        self.held.events() > self.plan.held_max
    }

    /// The next due thing, or by chance one that is due a little later. While too much waits for the disk, the disk.
    fn choose(&mut self) -> Option<(Micros, u64)> {
        if self.is_full() {
            let disk = |due: &Due| matches!(due, Due::Disk | Due::Retry);
            return self.due.iter().find(|(_, due)| disk(due)).map(|(key, _)| *key);
        }
        let (first, _) = *self.due.first_key_value()?.0;
        let until = first.max(self.now) + self.plan.window;
        let near = self.due.range(..=(until, u64::MAX)).take(CHOICE_MAX as usize).count() as u64;
        let chosen = usize::try_from(self.rng.below(near.max(1))).unwrap_or(0);
        self.due.keys().nth(chosen).copied()
    }

    /// Takes a timer from those that will be due. False: the same one will be due again.
    pub(super) fn disarm(&mut self, timer: Timer) -> bool {
        let left = self.armed.remove(&timer).unwrap_or(1) - 1;
        if left > 0 {
            self.armed.insert(timer, left);
        }
        left == 0
    }

    pub(super) fn timer(&mut self, timer: Timer) -> Result<(), Broken> {
        self.disarm(timer);
        let stale = self.watch.is_stale(timer, self.now);
        let Decision { events, .. } = self.input(&Input::Timer(timer))?;
        match (stale, events.is_empty()) {
            (true, false) => Err(format!("stale timers: {timer:?} is stale, but led to {}", names(&events))),
            (false, true) => Err(format!("timers: {timer:?} is due, but led to nothing")),
            _ => Ok(()),
        }
    }

    fn completion(&mut self, completion: &Completion) -> Result<(), Broken> {
        let (run, step, attempt) = (completion.run, completion.step, completion.attempt);
        let at_work = self.watch.run(run).steps[step.index()].at_work;
        let late = at_work.is_none_or(|work| work.attempt != attempt);
        let Decision { events, .. } = self.input(&Input::Completion(completion.clone()))?;
        let dropped = |event: &Arc<Event>| matches!(event.kind, EventKind::AnswerDropped { .. });
        if late && !(events.len() == 1 && dropped(&events[0])) {
            return Err(format!("late answers: attempt {attempt} of step {} led to {}", step.0, names(&events)));
        }
        if !late && (events.is_empty() || events.iter().any(dropped)) {
            return Err(format!("answers: attempt {attempt} of step {} led to {}", step.0, names(&events)));
        }
        Ok(())
    }

    /// Has the person ask for something.
    pub(super) fn command(&mut self, command: &Command) -> Result<Result<(), Rejection>, Broken> {
        let Decision { verdict, events } = self.input(&Input::Command(command.clone()))?;
        if verdict.is_err() && events.iter().any(|event| !matches!(event.kind, EventKind::CommandRefused { .. })) {
            return Err(format!("refused: {} was refused, but led to {}", command.word(), names(&events)));
        }
        if verdict.is_ok() {
            self.did_it(command)?;
        }
        Ok(verdict)
    }

    /// Has the engine decide, and keeps what follows until it is durable.
    pub(super) fn input(&mut self, input: &Input) -> Result<Decision, Broken> {
        self.stats.inputs += 1;
        self.tell(|| format!("> {input:?}"));
        let mut outbox = Outbox::default();
        self.watch.hear(self.now, input);
        let verdict = self.engine.handle(self.now, input, &mut outbox);
        let events = self.decided(outbox)?;
        Ok(Decision { verdict, events })
    }

    /// Takes in a decision: checks it and hands it on.
    pub(super) fn decided(&mut self, outbox: Outbox) -> Result<Vec<Arc<Event>>, Broken> {
        let Outbox { events, effects } = outbox;
        self.matches(&events, &effects)?;
        let mut journalled = Vec::with_capacity(events.len());
        for event in &events {
            self.tell(|| format!("  {} {:?}", event.seq, event.kind));
            self.watch.event(event)?;
            let local = self.engine.for_journal(event);
            self.stats.note(event.seq ^ event.at.0.rotate_left(20) ^ u64::from(event.run.0) << 60);
            self.told[event.run.index()].push(local.clone());
            journalled.push(local);
        }
        for (run, told) in self.told.iter().enumerate() {
            self.ends[run].insert(told.len() as u64);
        }
        self.stats.events += events.len() as u64;
        if !events.is_empty() {
            let ticket = self.held.hold(self.now, events.clone(), effects);
            self.writer.submit(ticket, journalled);
        }
        self.at_rest(!events.is_empty())?;
        self.begin_commit();
        Ok(events)
    }

    /// Attempts are begun and ended exactly where events say so.
    fn matches(&self, events: &[Arc<Event>], effects: &[Effect]) -> Result<(), Broken> {
        let key = |event: &Arc<Event>, step, attempt| (event.run, step, attempt);
        let begun = events.iter().filter_map(|event| match event.kind {
            EventKind::AttemptStarted { step, attempt, .. } => Some(key(event, step, attempt)),
            _ => None,
        });
        let starts = effects.iter().filter_map(|effect| match effect {
            Effect::Start(order) => Some((order.run, order.step, order.attempt)),
            _ => None,
        });
        let ended = events.iter().filter_map(|event| match event.kind {
            EventKind::AttemptEnding { step, attempt, .. } => Some(key(event, step, attempt)),
            _ => None,
        });
        let stops = effects.iter().filter_map(|effect| match *effect {
            Effect::Stop { run, step, attempt, .. } => Some((run, step, attempt)),
            _ => None,
        });
        if !begun.eq(starts) || !ended.eq(stops) {
            return Err(format!("effects: {} events, but the effects are {effects:?}", names(events)));
        }
        Ok(())
    }

    /// What has to hold between two inputs.
    fn at_rest(&mut self, changed: bool) -> Result<(), Broken> {
        self.watch.at_rest()?;
        if !changed {
            return Ok(());
        }
        let steps: usize = self.plan.runs.iter().map(|run| run.workflow.steps.len()).sum();
        if !cfg!(debug_assertions) || steps > SELF_CHECKED {
            self.engine.check().map_err(|fault| format!("oracle: {fault}"))?;
        }
        if steps <= SMALL && self.plan.runs.len() == 1 {
            self.same_as_journal(RunId(0))?;
        }
        if self.writer.waiting() > self.plan.held_max + steps + self.watch.agents() + 3 * self.plan.runs.len() {
            return Err(format!("queues: {} decisions wait for the disk", self.writer.waiting()));
        }
        self.has_reasons()
    }

    fn begin_commit(&mut self) {
        if self.writer.begin() {
            self.next_disk_step();
        }
    }

    fn next_disk_step(&mut self) {
        let mut time = self.a_while(self.plan.disk_max);
        if self.strikes(Fault::SlowDisk) {
            time += self.a_while(Micros::from_secs(2));
        }
        self.at(self.now + time, Due::Disk);
    }

    fn disk_step(&mut self) -> Result<(), Broken> {
        let full = self.threatens(Fault::DiskFull);
        let write = full || self.threatens(Fault::WriteError);
        let sync = !write && self.threatens(Fault::SyncError);
        let trouble = Trouble { write, sync };
        let progress =
            self.writer.step(&mut self.disk, trouble, &mut self.rng).map_err(|damage| format!("numbers: {damage}"))?;
        self.tell(|| format!("  disk: {progress:?}"));
        match progress {
            Progress::More => self.next_disk_step(),
            Progress::AckAndMore(ticket) => {
                self.next_disk_step();
                self.release(ticket)?;
            }
            Progress::Ack(ticket) => {
                self.release(ticket)?;
                self.keep_house();
                self.begin_commit();
            }
            Progress::Failed => {
                let fault = if full { Fault::DiskFull } else { Fault::WriteError };
                self.stats.struck(if sync { Fault::SyncError } else { fault });
                if sync {
                    let rng = &mut self.rng;
                    self.disk
                        .iter_mut()
                        .try_for_each(|journal| journal.fail_sync(rng))
                        .map_err(|d| format!("lost: {d}"))?;
                }
                let time = self.a_while(Micros::from_secs(3));
                self.at(self.now + time, Due::Retry);
            }
        }
        Ok(())
    }

    /// The journals are opened again, and what waits is written.
    fn retry(&mut self) -> Result<(), Broken> {
        self.disk.iter_mut().try_for_each(Journal::reopen).map_err(|damage| format!("lost: {damage}"))?;
        for (journal, acknowledged) in self.disk.iter().zip(&self.acknowledged) {
            if journal.written() < *acknowledged {
                return Err(format!(
                    "lost: event {acknowledged} was acknowledged, event {} is the last",
                    journal.written()
                ));
            }
        }
        self.writer.retry();
        self.begin_commit();
        Ok(())
    }

    /// Now and then a snapshot is stored, and the log folded into the table.
    fn keep_house(&mut self) {
        if self.rng.chance(self.plan.snapshots)
            && self.held.is_empty()
            && let Some((seq, bytes)) = self.engine.snapshot(RunId(0))
        {
            self.disk[0].put_snapshot(seq, &bytes);
        }
        if self.rng.chance(self.plan.checkpoints) {
            self.disk.iter_mut().for_each(Journal::checkpoint);
        }
    }

    /// Performs what the store has made durable.
    fn release(&mut self, ticket: u64) -> Result<(), Broken> {
        while let Some(batch) = self.held.release(ticket) {
            for event in &batch.events {
                let run = event.run.index();
                self.acknowledged[run] = self.acknowledged[run].max(event.seq);
                self.is_durable(event.run, event.seq)?;
            }
            for effect in batch.effects {
                self.perform(effect)?;
            }
        }
        if self.held.is_empty() {
            self.watch.has_timers(&self.armed)?;
            self.stands_still()?;
        }
        Ok(())
    }

    /// Whether an event would be there after the worst that its kind of store promises to survive.
    fn is_durable(&self, run: RunId, seq: u64) -> Result<(), Broken> {
        let journal = &self.disk[run.index()];
        let safe = if self.plan.sync_full { journal.synced() } else { journal.written() };
        if seq > safe {
            return Err(format!(
                "durable: event {seq} of run {} is acted upon, but {safe} is the last durable one",
                run.0
            ));
        }
        Ok(())
    }

    fn perform(&mut self, effect: Effect) -> Result<(), Broken> {
        match effect {
            Effect::Start(order) => {
                self.stats.attempts += 1;
                self.start(&order);
            }
            Effect::Compute(_) => {}
            Effect::Stop { run, step, attempt, at_once } => self.stop((run, step, attempt), at_once),
            Effect::Freeze { run, step, attempt, frozen } => self.freeze((run, step, attempt), frozen),
            Effect::SetTimer { at, timer } => {
                self.at(at, Due::Timer(timer));
            }
            Effect::Finished { run } => {
                if !self.told[run.index()].iter().any(|event| matches!(event.kind, EventKind::RunFinished { .. })) {
                    return Err(format!("states: run {} is called finished, but has not ended", run.0));
                }
            }
        }
        Ok(())
    }

    /// The state is the one that the events give.
    pub(super) fn same_as_journal(&self, run: RunId) -> Result<(), Broken> {
        let plan = &self.plan.runs[run.index()];
        let mut folded = Engine::new();
        let events = self.told[run.index()].iter().map(|event| (**event).clone());
        let restored = folded.restore(plan.workflow.clone(), plan.name.clone(), plan.seed, None, events);
        restored.map_err(|no| format!("replay: {no}"))?;
        match self.engine.difference(&folded, run, true) {
            Some(difference) => Err(format!("replay: {difference}")),
            None => Ok(()),
        }
    }
}

fn names(events: &[Arc<Event>]) -> String {
    let names: Vec<&str> = events.iter().map(|event| event.kind.name()).collect();
    if names.is_empty() { "nothing".to_owned() } else { names.join(", ") }
}
