//! Runs come and go: loaded, opened where they were left, or sent on an errand and forgotten when they have ended.
//!
//! An errand is a run like any other, in the same engine and by the same rules; what it used and learnt of agents is
//! everybody's. Only it leaves nothing behind in memory: no view, no events, no timers, no place among the runs. Its answer is
//! given when its last event is durable and nothing of it is under way.

use super::leaving::nothing_left_of;
use super::{Driver, Due};
use crate::engine::Input;
use crate::model::command::{Command, Rejection};
use crate::model::event::{Event, EventKind};
use crate::model::id::RunId;
use crate::model::state::EndCause;
use crate::model::view::Saving;
use crate::runtime::handle::{Errand, Origin, RestoreOrder, RunOrder, Told};
use crate::runtime::store::disk::Header;
use std::collections::BTreeMap;
use tokio::sync::oneshot;

/// Where an answer goes.
type Reply = oneshot::Sender<Result<Told, Rejection>>;

/// Runs that are on an errand.
#[derive(Debug, Default)]
pub(super) struct Errands {
    replies: BTreeMap<RunId, Reply>,
    /// Those that came to rest by this event, which is durable.
    rested: Vec<(RunId, u64)>,
}

impl Errands {
    /// An event is durable.
    pub(super) fn hear(&mut self, event: &Event) {
        let rests = matches!(event.kind, EventKind::RunFinished { .. } | EventKind::RunPaused { frozen: false });
        if rests && self.replies.contains_key(&event.run) {
            self.rested.push((event.run, event.seq));
        }
    }
}

impl Driver {
    pub(super) fn load(&mut self, order: RunOrder) -> Result<RunId, Rejection> {
        let RunOrder { workflow, name, seed, origin, reuse } = order;
        let run = self.engine.load(workflow.clone(), name.clone(), seed)?;
        self.beside.knows(run, &workflow);
        self.seeds.insert(run, seed);
        let from = reuse.as_ref().map(|(from, _)| from.clone());
        if let Some((from, outputs)) = reuse {
            self.engine.reuse(run, outputs, from);
        }
        if let Some(Origin { files, recipe }) = origin {
            let clock = if self.is_real() { "real" } else { "virtual" };
            let version = env!("CARGO_PKG_VERSION").to_owned();
            let (clock, speed, began_unix_ms) = (clock.to_owned(), self.speed, 0);
            let header =
                Header { run: name, workflow, seed, began_unix_ms, files, recipe, clock, speed, from, version };
            self.ledger.announce(run, header);
        }
        self.dirty = true;
        Ok(run)
    }

    pub(super) async fn restore(&mut self, order: RestoreOrder) -> Result<RunId, Rejection> {
        if self.engine.view(self.clock.now(), None).runs.iter().any(|r| r.started.is_some() && !r.state.ended()) {
            return Err(Rejection::with_way_out("another run is under way", "let it end first"));
        }
        let saved = self.ledger.open(&order)?;
        nothing_left_of(order.name.clone()).await?;
        self.clock.go_on_from(saved.last_at);
        let snapshot = saved.snapshot.as_ref().map(|(_, bytes)| bytes.as_slice());
        let workflow = order.definition.as_ref().map_or(&saved.workflow, |(workflow, _)| workflow).clone();
        let run = self.engine.restore(saved.workflow, order.name.clone(), saved.seed, snapshot, saved.events)?;
        self.beside.knows(run, &workflow);
        self.seeds.insert(run, saved.seed);
        self.ledger.take_up(run, &order.name, saved.snapshot.map_or(0, |(seq, _)| seq), saved.journal);
        let now = self.clock.now();
        let reopened = match order.definition {
            Some(definition) => self.engine.reopen_as(now, run, order.ask, definition, &mut self.outbox),
            None => {
                self.engine.reopen(now, run, order.ask, &mut self.outbox);
                Ok(())
            }
        };
        self.hold(now);
        self.dirty = true;
        reopened.map(|()| run)
    }

    /// Sends a run on an errand.
    pub(super) fn errand(&mut self, errand: Errand, reply: Reply) {
        let Errand { order, item } = errand;
        let run = match self.load(order) {
            Ok(run) => run,
            Err(rejection) => {
                let _ = reply.send(Err(rejection));
                return;
            }
        };
        self.ledger.passes(run);
        if let Some((item, index)) = item {
            self.engine.feed(run, item, index);
        }
        match self.command(Command::Start { run }) {
            Ok(_) => drop(self.errands.replies.insert(run, reply)),
            Err(rejection) => {
                self.forget(run);
                let _ = reply.send(Err(rejection));
            }
        }
    }

    /// Ends all of them.
    pub(super) fn end_errands(&mut self, cause: EndCause) {
        for run in self.errands.replies.keys().copied().collect::<Vec<_>>() {
            let end = match self.ledger.saving_of(run) {
                Saving::Nothing => Command::Cancel { run, cause },
                Saving::Normal | Saving::Full => Command::Park { run },
            };
            // A refusal means that it has ended by itself.
            let _ = self.decide(&Input::Command(end));
        }
    }

    /// Tells what came of errands that have come to rest, and forgets them. Who has gone on since is left alone.
    pub(super) fn let_go(&mut self) {
        for (run, seq) in std::mem::take(&mut self.errands.rested) {
            if !self.engine.rests(run) || self.engine.last_seq(run) != seq {
                continue;
            }
            let at = self.clock.now();
            let summary = self.engine.summary(at, run).map(|mut summary| {
                summary.saving = self.ledger.saving_of(run);
                Box::new(summary)
            });
            self.forget(run);
            if let Some((reply, summary)) = self.errands.replies.remove(&run).zip(summary) {
                // Whoever no longer waits does not want to know.
                let _ = reply.send(Ok(Told { summary, at }));
            }
        }
    }

    /// Forgets a run that rests.
    fn forget(&mut self, run: RunId) {
        self.seeds.remove(&run);
        self.beside.forgets(run);
        self.due.retain(|_, due| match due {
            Due::Timer(timer) => timer.run() != Some(run),
            Due::Answer((of, ..), _) => *of != run,
            Due::Load => true,
        });
        self.ledger.let_go(run);
        self.engine.unload(run);
        self.dirty = true;
    }
}
