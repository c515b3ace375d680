//! The end of the driver, and the ends of others: what runs is ended and proved gone, and so is what dead runs have left
//! behind.

use super::Driver;
use super::attempts::Active;
use crate::engine::Input;
use crate::model::command::{Command, Rejection};
use crate::model::id::Name;
use crate::model::state::EndCause;
use crate::model::view::Saving;
use crate::runtime::reaper::leftovers::{end_leftovers, processes_of};
use crate::runtime::store::disk::Store;
use std::cell::RefCell;
use std::time::Duration;

/// How long what a dead run left behind may take to be ended.
const LEFTOVERS_LIMIT: Duration = Duration::from_secs(5);

impl Driver {
    /// Ends what runs without grace, waits until all of it is proved gone and durable, and closes pool and store.
    pub(super) async fn shut_down(&mut self) {
        // Whoever asks for something now is told that nobody is there.
        self.inbox.requests.close();
        while self.inbox.requests.try_recv().is_ok() {}
        if self.ledger.trouble().is_some() {
            self.ledger.retry();
            self.settle_store().await;
        }
        let runs = self.engine.view(self.clock.now(), None).runs;
        for run in runs.iter().filter(|run| run.started.is_some() && !run.state.ended()) {
            let end = match self.ledger.saving_of(run.id) {
                Saving::Nothing => Command::Cancel { run: run.id, cause: EndCause::Quit },
                Saving::Normal | Saving::Full => Command::Park { run: run.id },
            };
            // Twice: the second one hurries.
            for _ in 0..2 {
                let _ = self.decide(&Input::Command(end.clone()));
            }
        }
        self.beside.end();
        self.commit().await;
        self.settle_store().await;
        if self.ledger.trouble().is_some() {
            // What cannot be recorded is ended all the same; the next one to open the run finds it unfinished.
            self.active.values().for_each(Active::kill);
        }
        while self.active.values().any(Active::is_process) {
            let Some(completion) = self.ended.recv().await else { break };
            self.process_ended(completion);
            self.commit().await;
            self.settle_store().await;
        }
        self.pool.shutdown().await;
        for run in runs {
            self.ledger.left(run.id, &self.engine);
        }
        self.tell().await;
        self.dirty = true;
        self.publish();
        self.ledger.close();
    }

    /// Waits until everything decided is durable, or cannot be.
    pub(super) async fn settle_store(&mut self) {
        while self.ledger.trouble().is_none() && !self.ledger.is_settled() {
            let heard = self.ledger.heard().await;
            self.stored(heard).await;
        }
    }
}

/// Ends what is left of all runs that nobody is at work on.
pub(super) fn nothing_left_in(store: &Store) {
    // Claimed until all is over: a run that was resumed meanwhile would lose its new processes.
    let claims = RefCell::new(Vec::new());
    let is_dead = |run: &str| match store.claim(run) {
        Some(claim) => {
            claims.borrow_mut().push(claim);
            true
        }
        None => false,
    };
    let ended = end_leftovers(&is_dead, LEFTOVERS_LIMIT);
    if ended.found > 0 {
        tracing::warn!(found = ended.found, left = ended.left, "processes of dead runs were ended");
    }
}

/// Ends what is left of a run whose upbeat is dead. Its lock is held, so nobody else can be at work on it.
///
/// # Errors
/// Something cannot be ended: the run would be at work twice.
pub(super) async fn nothing_left_of(run: Name) -> Result<(), Rejection> {
    let look = tokio::task::spawn_blocking(move || {
        let ended = end_leftovers(&|found| found == &*run, LEFTOVERS_LIMIT);
        if ended.left == 0 { Vec::new() } else { processes_of(&run) }
    });
    let left = look.await.unwrap_or_default();
    if left.is_empty() {
        return Ok(());
    }
    let ids: Vec<String> = left.iter().map(u32::to_string).collect();
    Err(Rejection::with_way_out(
        format!("processes that the run left behind cannot be ended: {}", ids.join(", ")),
        "end them by hand, then resume",
    ))
}
