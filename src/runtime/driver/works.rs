//! Work that answers later without a process: questions of the engine's, built-in agents, answers that are completed.
//!
//! Each is a task of its own. Under the virtual clock time stands still while one is under way, and they are heard when all of
//! them have ended, in the order in which they were begun: neither the machine's load nor its disk shows in the journal,
//! so two runs of the same seed have the same one. Under the real clock they are heard as they end.

use super::AttemptKey;
use crate::model::completion::{Failure, FailureClass, Outcome};
use crate::model::computation::{Computation, Computed};
use crate::runtime::compute::Calculator;
use futures_util::stream::{FuturesOrdered, FuturesUnordered, StreamExt};
use std::future::Future;
use std::pin::Pin;

/// What came of it.
#[derive(Debug)]
pub(super) enum Found {
    /// An answer to a question.
    Computed(Computed),
    /// How an attempt ends, and which work found that out.
    Outcome(AttemptKey, u64, Outcome),
}

type Work = Pin<Box<dyn Future<Output = Found> + Send>>;

/// What is under way.
pub(super) enum Works {
    /// And what has ended before the others.
    InOrder(FuturesOrdered<Work>, Vec<Found>),
    AsTheyEnd(FuturesUnordered<Work>),
}

/// Why there is no answer: a fault of this program, which must not take the run with it.
const BROKE: &str = "upbeat broke at this; please report it";

impl Works {
    pub(super) fn new(is_real: bool) -> Self {
        if is_real {
            Self::AsTheyEnd(FuturesUnordered::new())
        } else {
            Self::InOrder(FuturesOrdered::new(), Vec::new())
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::InOrder(works, ended) => works.is_empty() && ended.is_empty(),
            Self::AsTheyEnd(works) => works.is_empty(),
        }
    }

    /// What is to be heard next; `None`: none is under way. May be dropped and asked again. Under the virtual clock it is to
    /// be asked only when everything that was decided has been performed: what is under way then does not depend on the disk.
    pub(super) async fn next(&mut self) -> Option<Vec<Found>> {
        match self {
            Self::InOrder(works, ended) => {
                while let Some(found) = works.next().await {
                    ended.push(found);
                }
                Some(std::mem::take(ended)).filter(|all| !all.is_empty())
            }
            Self::AsTheyEnd(works) => works.next().await.map(|found| vec![found]),
        }
    }

    /// Begins to answer a question.
    pub(super) fn compute(&mut self, calculator: Calculator, asked: Computation) {
        let (run, step, ticket) = (asked.run, asked.step, asked.ticket);
        let task = tokio::spawn(async move { calculator.compute(asked).await });
        self.push(Box::pin(async move {
            let broke = || Computed { run, step, ticket, found: Err(BROKE.to_owned()) };
            Found::Computed(task.await.unwrap_or_else(|_| broke()))
        }));
    }

    /// Begins to find out how an attempt ends.
    pub(super) fn find(&mut self, key: AttemptKey, work: u64, outcome: impl Future<Output = Outcome> + Send + 'static) {
        let task = tokio::spawn(outcome);
        self.push(Box::pin(async move {
            let broke = |_| Outcome::Failed(Failure::new(FailureClass::Permanent, BROKE));
            Found::Outcome(key, work, task.await.unwrap_or_else(broke))
        }));
    }

    fn push(&mut self, work: Work) {
        match self {
            Self::InOrder(works, _) => works.push_back(work),
            Self::AsTheyEnd(works) => works.push(work),
        }
    }
}
