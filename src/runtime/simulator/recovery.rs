//! The end of upbeat in the middle of its work, and its return: journals are opened, runs restored, the rest settled.

use super::disk::{Crash, Harm, Opened};
use super::stats::Fault;
use super::watch::{Broken, Watch};
use super::world::{Due, World};
use super::writer::{Trouble, Writer};
use crate::engine::{Engine, Outbox};
use crate::model::command::Command;
use crate::model::event::Event;
use crate::model::id::RunId;
use crate::model::rng::mix;
use crate::model::state::RunState;
use crate::model::time::Micros;
use crate::runtime::held::Held;
use std::sync::Arc;

/// Faults of stored journals, and what they do.
const HARMS: [(Fault, Harm); 4] = [
    (Fault::BitFlip, Harm::BitFlip),
    (Fault::RecordSwapped, Harm::Swapped),
    (Fault::RecordMissing, Harm::Missing),
    (Fault::JournalShortened, Harm::Shortened),
];

impl World {
    /// Everything in memory is gone, and a new upbeat opens what is left.
    pub(super) fn crash(&mut self, crash: Crash) -> Result<(), Broken> {
        self.stats.crashes += 1;
        self.tell(|| format!("! {crash:?}"));
        if self.writer.writes() && self.strikes(Fault::TornCommit) {
            let trouble = Trouble { write: true, sync: false };
            self.writer.step(&mut self.disk, trouble, &mut self.rng).map_err(|damage| format!("numbers: {damage}"))?;
        }
        for journal in &mut self.disk {
            journal.crash(crash, &mut self.rng);
        }
        self.held = Held::default();
        self.writer = Writer::new(self.plan.sync_full);
        self.active.clear();
        self.halted.clear();
        self.armed.clear();
        // An answer that was on its way may still come, unless the whole machine is gone.
        self.due.retain(|_, due| crash == Crash::Kill && matches!(due, Due::Again(_)));
        let downtime = self.a_while(Micros::from_secs(60));
        self.now += downtime;
        self.recover(crash)
    }

    fn recover(&mut self, crash: Crash) -> Result<(), Broken> {
        let lived = std::mem::take(&mut self.engine);
        self.watch = Watch::new(&self.plan.runs);
        self.stats.recoveries += 1;
        let ask = self.rng.chance(self.plan.ask);
        for at in 0..self.plan.runs.len() {
            let run = RunId::from_index(at);
            self.find_damage(run)?;
            let opened = self.disk[at].open(run).map_err(|damage| format!("lost: an undamaged journal: {damage}"))?;
            self.nothing_is_lost(crash, run, &opened)?;
            let whole = opened.events.len() == self.told[at].len();
            self.take_over(run, &opened.events)?;
            self.restore(run, opened)?;
            let alone = self.plan.runs.len() == 1;
            if let Some(difference) = self.engine.difference(&lived, run, alone).filter(|_| whole) {
                return Err(format!("replay: {difference}"));
            }
            self.settle_what_was_under_way(run, ask)?;
        }
        Ok(())
    }

    /// What the journal holds is what has happened; whatever else was told has not.
    fn take_over(&mut self, run: RunId, events: &[Event]) -> Result<(), Broken> {
        let at = run.index();
        self.told[at].truncate(events.len());
        let kept = self.told[at].len() as u64;
        self.ends[at].retain(|end| *end <= kept);
        self.acknowledged[at] = kept;
        self.disk[at].reopen().map_err(|damage| format!("lost: {damage}"))?;
        // From here on it is relied on, so the next power cut must not take it.
        self.disk[at].sync();
        self.watch.read(events)
    }

    /// A damaged copy of the journal is refused, whatever the damage.
    fn find_damage(&mut self, run: RunId) -> Result<(), Broken> {
        for (fault, harm) in HARMS {
            if self.told[run.index()].is_empty() || !self.strikes(fault) {
                continue;
            }
            let Some(copy) = self.disk[run.index()].damaged(harm, &mut self.rng) else { continue };
            if copy.open(run).is_ok() {
                return Err(format!("damage: {} in a journal was not found", fault.word()));
            }
        }
        Ok(())
    }

    /// What was opened is what was told, up to the end of a decision, and not less than was promised.
    fn nothing_is_lost(&self, crash: Crash, run: RunId, opened: &Opened) -> Result<(), Broken> {
        let at = run.index();
        let count = opened.events.len();
        let promised = match crash {
            Crash::PowerCut if !self.plan.sync_full => self.disk[at].synced(),
            _ => self.acknowledged[at],
        };
        if (count as u64) < promised {
            return Err(format!("lost: event {promised} of run {at} was promised, but the journal has {count}"));
        }
        if !self.ends[at].contains(&(count as u64)) {
            return Err(format!("commits: the journal of run {at} ends in the middle of a decision, at {count}"));
        }
        let same =
            |(told, read): (&Arc<Event>, &Event)| told.kind == read.kind && told.at == read.at && told.seq == read.seq;
        match self.told[at].iter().zip(&opened.events).position(|pair| !same(pair)) {
            Some(wrong) => Err(format!("lost: event {} of run {at} is not the one that was told", wrong + 1)),
            None => Ok(()),
        }
    }

    /// Brings a run to the state of its journal; from a snapshot and what follows it the state is the same.
    fn restore(&mut self, run: RunId, opened: Opened) -> Result<(), Broken> {
        let engine = &mut self.engine;
        let plan = &self.plan.runs[run.index()];
        let load = |engine: &mut Engine, snapshot: Option<&[u8]>, events: Vec<Event>| {
            let restored = engine.restore(plan.workflow.clone(), plan.name.clone(), plan.seed, snapshot, events);
            restored.map_err(|no| format!("replay: {no}"))
        };
        let Opened { events, snapshot } = opened;
        let fresh = events.is_empty();
        if let Some((seq, bytes)) = snapshot.filter(|(seq, _)| *seq <= events.len() as u64) {
            let tail = events.iter().filter(|event| event.seq > seq).cloned().collect();
            let mut whole = Engine::new();
            load(&mut whole, None, events)?;
            load(engine, Some(&bytes), tail)?;
            if let Some(difference) = engine.difference(&whole, run, true) {
                return Err(format!("snapshot: {difference}"));
            }
        } else {
            load(engine, None, events)?;
        }
        if fresh && !plan.reuse.is_empty() {
            engine.reuse(run, plan.reuse.clone(), "earlier".into());
        }
        Ok(())
    }

    /// What was under way is settled; then the person has the run go on.
    fn settle_what_was_under_way(&mut self, run: RunId, ask: bool) -> Result<(), Broken> {
        let mut outbox = Outbox::default();
        self.engine.reopen(self.now, run, ask, &mut outbox);
        self.stats.note(mix(outbox.events.len() as u64));
        self.decided(outbox)?;
        self.engine.check().map_err(|fault| format!("oracle: after opening: {fault}"))?;
        let left = self.watch.run(run).steps.iter().position(|step| step.at_work.is_some());
        if let Some(step) = left {
            return Err(format!("recovery: the attempt of step {step} is neither lost nor under way"));
        }
        let wish = match self.watch.run(run).state {
            RunState::Pending => Command::Start { run },
            _ => Command::Resume { run },
        };
        if self.rng.chance(0.8) {
            let at = self.now + self.a_while(Micros::from_secs(2));
            self.at(at, Due::Wish(wish));
        }
        Ok(())
    }

    /// Reads every journal once more, into an engine of its own: it is as the one that was lived.
    pub(super) fn check_copies(&mut self) -> Result<(), Broken> {
        let lived = std::mem::take(&mut self.engine);
        for at in 0..self.plan.runs.len() {
            let run = RunId::from_index(at);
            let opened = self.disk[at].open(run).map_err(|damage| format!("lost: an undamaged journal: {damage}"))?;
            self.nothing_is_lost(Crash::Kill, run, &opened)?;
            self.restore(run, opened)?;
            let alone = self.plan.runs.len() == 1;
            if let Some(difference) = self.engine.difference(&lived, run, alone) {
                return Err(format!("replay: {difference}"));
            }
        }
        Ok(())
    }
}
