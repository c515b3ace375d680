//! upbeat's side: requests in the order in which they come, one child, and another one when a filter has killed it.
//!
//! One task owns the child. It sends ahead, so that the child never waits for the next request, and knows by the order of
//! the answers which filter the child is at. A filter that ends the child fails; those behind it go to the next child.
//! When nobody did it from inside (the system was short of memory, say), the filter is tried once more: it cannot have
//! done anything that would be done twice.

use super::compile::VARIABLES;
use super::live::{End, Live, Lost};
use super::{MEMORY_MAX, REQUEST_MAX, TIME_MAX, protocol};
use crate::model::expression::{Expression, Filter, Piece, fill, follow};
use serde_json::Value;
use std::collections::VecDeque;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{mpsc, oneshot, watch};

/// As many requests wait in the channel; whoever has more waits himself.
const CHANNEL_MAX: usize = 64;
/// As many are taken from the channel.
const TAKEN_MAX: usize = 256;
/// As many bytes are handed to the child's pipe ahead of what it has read.
const AHEAD_MAX: usize = 64 * 1024;

/// What a filter may see.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'s> {
    /// `.`
    pub input: &'s Value,
    /// `$item`: the item of a `for_each`, else null.
    pub item: &'s Value,
    /// `$index`: its number, else null.
    pub index: &'s Value,
    /// `$outputs`: what the steps returned.
    pub outputs: &'s Value,
    /// `$run`: the run itself.
    pub run: &'s Value,
}

impl<'s> Scope<'s> {
    /// A scope with nothing but an input; the variables are null.
    #[must_use]
    pub const fn of(input: &'s Value) -> Self {
        const NULL: &Value = &Value::Null;
        Self { input, item: NULL, index: NULL, outputs: NULL, run: NULL }
    }
}

/// Why there is no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EvaluationError {
    /// The filter failed, by its own words, or gave what is not one JSON value.
    Failed(String),
    /// The filter took too long.
    Time,
    /// The filter needed too much memory.
    Memory,
    /// The filter needed too much stack.
    Depth,
    /// Filters cannot be computed at all. No filter is to blame.
    Unavailable(String),
}

impl fmt::Display for EvaluationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(why) => f.write_str(why),
            Self::Time => write!(f, "the filter took longer than {} s", TIME_MAX.as_secs()),
            Self::Memory => write!(f, "the filter needed more than {} MB", MEMORY_MAX >> 20),
            Self::Depth => f.write_str("the filter recursed too deeply"),
            Self::Unavailable(why) => write!(f, "filters cannot be computed: {why}"),
        }
    }
}

impl std::error::Error for EvaluationError {}

type Answer = Result<Value, EvaluationError>;

/// Computes filters. Clones share one child, which is started when it is first needed and ends with the last of them.
#[derive(Clone, Debug)]
pub struct Evaluator {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    program: PathBuf,
    jobs: Mutex<Option<mpsc::Sender<Job>>>,
    /// The child at work, for those who want to know.
    child: Arc<watch::Sender<Option<u32>>>,
}

#[derive(Debug)]
struct Job {
    line: Vec<u8>,
    reply: oneshot::Sender<Answer>,
    /// Whether it was tried before, with a child that was ended from outside.
    is_second: bool,
}

impl Evaluator {
    /// An evaluator without a child yet; `program` is upbeat itself.
    #[must_use]
    pub fn new(program: PathBuf) -> Self {
        let shared = Shared { program, jobs: Mutex::default(), child: Arc::new(watch::Sender::new(None)) };
        Self { shared: Arc::new(shared) }
    }

    /// The process id of the child at work; `None`: there is none now.
    #[must_use]
    pub fn child(&self) -> Option<u32> {
        *self.shared.child.borrow()
    }

    /// The value of an expression. `None`: it is a data path at which there is nothing.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn compute(&self, expression: &Expression, scope: Scope<'_>) -> Result<Option<Value>, EvaluationError> {
        Ok(match expression {
            Expression::Path(path) => path.get(scope.input).cloned(),
            Expression::Filter(filter) => Some(self.evaluate(filter, scope).await?),
            Expression::Template(pieces) => {
                let filters = pieces.iter().filter_map(|piece| match piece {
                    Piece::Text(_) => None,
                    Piece::Filter(filter) => Some(self.evaluate(filter, scope)),
                });
                let values = futures_util::future::try_join_all(filters).await?;
                Some(Value::String(fill(pieces, &values)))
            }
        })
    }

    /// The value of a filter. One that only follows a path is answered at once, without the child.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn evaluate(&self, filter: &Filter, scope: Scope<'_>) -> Answer {
        match filter.path() {
            Some(path) => follow(path, scope.input).cloned().map_err(EvaluationError::Failed),
            None => self.ask(filter.text(), scope).await,
        }
    }

    /// The value of a filter, always from the child. Must be called within a tokio runtime with time and events.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn ask(&self, filter: &str, scope: Scope<'_>) -> Answer {
        let values: [&Value; VARIABLES.len()] = [scope.item, scope.index, scope.outputs, scope.run];
        self.send(async { protocol::request(filter, values, scope.input).map_err(|error| no_json(&error)) }).await
    }

    /// Sends a request, which is only written when there is room for it, and waits for the answer.
    pub(super) async fn send(&self, line: impl Future<Output = Result<Vec<u8>, EvaluationError>>) -> Answer {
        let ending = || EvaluationError::Unavailable("upbeat is ending".to_owned());
        let sender = self.sender();
        // Room first: a request that has to wait does not take memory for its line meanwhile.
        let room = sender.reserve().await.map_err(|_| ending())?;
        let line = line.await?;
        if line.len() > REQUEST_MAX {
            let message = format!("the values to be looked at have more than {} MB", REQUEST_MAX >> 20);
            return Err(EvaluationError::Failed(message));
        }
        let (reply, answer) = oneshot::channel();
        room.send(Job { line, reply, is_second: false });
        answer.await.unwrap_or_else(|_| Err(ending()))
    }

    /// The way to the task that owns the child, which is begun if there is none (any longer).
    fn sender(&self) -> mpsc::Sender<Job> {
        let mut jobs = self.shared.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = jobs.as_ref().filter(|sender| !sender.is_closed()) {
            return sender.clone();
        }
        let (sender, receiver) = mpsc::channel(CHANNEL_MAX);
        let (program, child) = (self.shared.program.clone(), self.shared.child.clone());
        tokio::spawn(Worker { program, child, jobs: receiver, taken: VecDeque::new(), live: None }.run());
        jobs.insert(sender).clone()
    }
}

/// Why a request cannot be written.
pub(super) fn no_json(error: &serde_json::Error) -> EvaluationError {
    EvaluationError::Failed(format!("the values for the filter are not JSON: {error}"))
}

struct Worker {
    program: PathBuf,
    child: Arc<watch::Sender<Option<u32>>>,
    jobs: mpsc::Receiver<Job>,
    /// In order; the first so many are with the child.
    taken: VecDeque<Job>,
    live: Option<Live>,
}

impl Worker {
    /// Serves until nobody can ask any more. The child ends with it, being killed when it is dropped.
    async fn run(mut self) {
        while let Some(job) = self.jobs.recv().await {
            self.taken.push_back(job);
            while !self.taken.is_empty() {
                let mut live = match self.live.take().map_or_else(|| self.start(), Ok) {
                    Ok(live) => live,
                    Err(why) => {
                        self.refuse_all(&why);
                        break;
                    }
                };
                match self.serve(&mut live).await {
                    Ok(true) => self.live = Some(live),
                    Ok(false) => return,
                    Err(lost) => self.bury(live, lost).await,
                }
            }
        }
    }

    fn start(&self) -> Result<Live, String> {
        let live =
            Live::start(&self.program).map_err(|error| format!("upbeat could not start its evaluator: {error}"))?;
        self.child.send_replace(live.id());
        Ok(live)
    }

    /// Works until everything taken is answered or no longer asked for. `false`: nobody can ask any more, and so nobody waits.
    async fn serve(&mut self, live: &mut Live) -> Result<bool, Lost> {
        while !self.taken.is_empty() {
            self.give_ahead(live);
            if self.taken.is_empty() {
                break;
            }
            tokio::select! {
                turn = live.turn() => turn?,
                job = self.jobs.recv(), if self.taken.len() < TAKEN_MAX => match job {
                    Some(job) => self.taken.push_back(job),
                    None => return Ok(false),
                },
            }
            while let Some(answer) = live.answer()? {
                self.reply(answer.map_err(EvaluationError::Failed));
            }
        }
        Ok(true)
    }

    fn give_ahead(&mut self, live: &mut Live) {
        while live.unsent() < AHEAD_MAX {
            match self.taken.get(live.in_flight()) {
                None => break,
                Some(job) if job.reply.is_closed() => drop(self.taken.remove(live.in_flight())),
                Some(job) => live.give(&job.line),
            }
        }
    }

    fn reply(&mut self, answer: Answer) {
        if let Some(job) = self.taken.pop_front() {
            // Whoever does not wait any longer does not miss it.
            let _ = job.reply.send(answer);
        }
    }

    /// Makes sure that a child is gone, and settles what it was at. What was behind it goes to the next one.
    async fn bury(&mut self, live: Live, lost: Lost) {
        let end = live.end(lost).await;
        self.child.send_replace(None);
        let is_first = self.taken.front().is_some_and(|job| !job.is_second);
        let error = match end {
            End::Time => EvaluationError::Time,
            End::Memory => EvaluationError::Memory,
            End::Depth => EvaluationError::Depth,
            End::Broken(how) => EvaluationError::Failed(format!("upbeat's evaluator broke at the filter: {how}")),
            End::Outside(_) | End::Unready(_) if is_first => {
                if let Some(job) = self.taken.front_mut() {
                    job.is_second = true;
                }
                return;
            }
            End::Outside(why) => EvaluationError::Unavailable(why),
            // The next start would end the same way.
            End::Unready(why) => return self.refuse_all(&why),
        };
        self.reply(Err(error));
    }

    fn refuse_all(&mut self, why: &str) {
        while !self.taken.is_empty() {
            self.reply(Err(EvaluationError::Unavailable(why.to_owned())));
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.child.send_replace(None);
    }
}
