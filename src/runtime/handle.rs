//! The one way to the engine from outside: send commands, watch views, read logs.
//!
//! Cloning is cheap; every clone speaks to the same driver. Channels are bounded: a driver that does not keep up makes
//! commands fail with a reason, never the caller wait.

use super::logs::LogStore;
use crate::model::command::{Command, Done, Rejection};
use crate::model::event::Event;
use crate::model::id::{Name, RunId, StepId};
use crate::model::state::EndCause;
use crate::model::time::Micros;
use crate::model::view::{EngineView, RunSummary};
use crate::model::workflow::{FileStamp, Workflow};
use serde_json::Value;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot, watch};

/// Commands that may wait for the driver.
const REQUESTS_MAX: usize = 1_024;

/// A run to be loaded.
#[derive(Clone, Debug)]
pub struct RunOrder {
    /// What to execute.
    pub workflow: Arc<Workflow>,
    /// The run's name (`run_id`).
    pub name: Name,
    /// The seed of its draws.
    pub seed: u64,
    /// What it was read from, to be saved with it. Where there is no store, or it is `None`, the run is not saved.
    pub origin: Option<Origin>,
    /// Outputs of an earlier run that stand for the steps' own, and that run.
    pub reuse: Option<(Name, Outputs)>,
}

/// A run that comes, is done and goes: of which nothing is kept in memory once it has been told.
#[derive(Clone, Debug)]
pub struct Errand {
    /// The run. What is saved of it stays.
    pub order: RunOrder,
    /// The item of a stream that it is about, and its number.
    pub item: Option<(Arc<Value>, u32)>,
}

/// What came of an [`Errand`].
#[derive(Clone, Debug)]
pub struct Told {
    /// How it ended; or where it stands, if it was left to go on another time.
    pub summary: Box<RunSummary>,
    /// When, by the engine's clock.
    pub at: Micros,
}

/// What steps returned.
pub type Outputs = Vec<(StepId, Arc<Value>)>;

/// What a workflow was read from.
#[derive(Clone, Debug, Default)]
pub struct Origin {
    /// The files, as they were.
    pub files: Vec<FileStamp>,
    /// The options it was read with; whoever reads it again understands it.
    pub recipe: Value,
}

/// A saved run to be opened again. Nothing of it starts before a command says so.
#[derive(Clone, Debug)]
pub struct RestoreOrder {
    /// The run's name.
    pub name: Name,
    /// Where its journal has to end: refused if it has moved on since.
    pub seq: Option<u64>,
    /// The definition it is to go on under, if its file has changed.
    pub definition: Option<(Arc<Workflow>, Vec<FileStamp>)>,
    /// Whether a person is there to be asked about attempts whose outcome is unknown.
    pub ask: bool,
}

/// What a [`Handle`] asks of the driver.
#[derive(Debug)]
pub enum Request {
    /// Load a run; it waits for [`Command::Start`].
    Load(Box<RunOrder>, oneshot::Sender<Result<RunId, Rejection>>),
    /// Load runs, start them in one moment, tell what came of each and forget it.
    Errands(Vec<(Errand, oneshot::Sender<Result<Told, Rejection>>)>),
    /// End all errands: those that are saved are left to go on another time, the others are cancelled. Asked again, it
    /// hurries.
    EndErrands(EndCause),
    /// Save a loaded run that has not been started, so that it can be started later.
    Save(RunId, oneshot::Sender<Result<(), Rejection>>),
    /// Open a saved run.
    Restore(Box<RestoreOrder>, oneshot::Sender<Result<RunId, Rejection>>),
    /// A command, and where the answer goes.
    Command(Command, oneshot::Sender<Result<Done, Rejection>>),
    /// Keep `EngineView::detail` filled for this step.
    LookAt(Option<(RunId, StepId)>),
    /// The result so far.
    Summary(RunId, oneshot::Sender<Option<Box<RunSummary>>>),
    /// Every event of every run from now on, in order, none left out: a reader that stops reading holds the engine.
    Subscribe(mpsc::Sender<Arc<Event>>),
    /// End everything that runs, prove it gone, and end the driver.
    Shutdown(oneshot::Sender<()>),
}

/// A sender of requests and a receiver of views.
#[derive(Clone, Debug)]
pub struct Handle {
    requests: mpsc::Sender<Request>,
    view: watch::Receiver<Arc<EngineView>>,
    logs: Arc<LogStore>,
}

/// A [`Handle`] that does not keep the engine going.
#[derive(Clone, Debug)]
pub struct WeakHandle {
    requests: mpsc::WeakSender<Request>,
    view: watch::Receiver<Arc<EngineView>>,
    logs: Arc<LogStore>,
}

impl WeakHandle {
    /// The handle; `None`: every other one is gone, and so is the engine.
    #[must_use]
    pub fn upgrade(&self) -> Option<Handle> {
        let requests = self.requests.upgrade()?;
        Some(Handle { requests, view: self.view.clone(), logs: self.logs.clone() })
    }
}

/// The driver's end of a [`Handle`].
#[derive(Debug)]
pub struct Inbox {
    /// Requests, oldest first.
    pub requests: mpsc::Receiver<Request>,
    /// Where views are published.
    pub view: watch::Sender<Arc<EngineView>>,
    /// Where lines are logged.
    pub logs: Arc<LogStore>,
}

/// A connected pair.
#[must_use]
pub fn channel() -> (Handle, Inbox) {
    let (requests_in, requests) = mpsc::channel(REQUESTS_MAX);
    let (view, view_out) = watch::channel(Arc::new(EngineView::default()));
    let logs = Arc::new(LogStore::default());
    (Handle { requests: requests_in, view: view_out, logs: logs.clone() }, Inbox { requests, view, logs })
}

/// The answer when the driver has ended, or ends before it has recorded anything of what was asked.
pub(crate) fn gone() -> Rejection {
    Rejection::new("the engine has ended or does not keep up")
}

impl Handle {
    /// Loads a run.
    ///
    /// # Errors
    /// The reason, if the engine cannot take it.
    pub async fn load(&self, order: RunOrder) -> Result<RunId, Rejection> {
        let (reply, answer) = oneshot::channel();
        self.requests.send(Request::Load(Box::new(order), reply)).await.map_err(|_| gone())?;
        answer.await.unwrap_or_else(|_| Err(gone()))
    }

    /// Has runs done and forgotten, all begun in one moment. The answer to each comes over its receiver when it has ended, or
    /// stands still until somebody resumes it elsewhere; none comes if the driver has ended. Waits while too much waits for
    /// the driver.
    pub async fn errands(&self, errands: Vec<Errand>) -> Vec<oneshot::Receiver<Result<Told, Rejection>>> {
        let (asked, answers) = errands
            .into_iter()
            .map(|errand| {
                let (reply, answer) = oneshot::channel();
                ((errand, reply), answer)
            })
            .unzip();
        // What is not sent drops its replies, and the receivers hear that.
        let _ = self.requests.send(Request::Errands(asked)).await;
        answers
    }

    /// Ends all errands; each is answered when it has.
    pub async fn end_errands(&self, cause: EndCause) {
        // A driver that is gone has answered them all.
        let _ = self.requests.send(Request::EndErrands(cause)).await;
    }

    /// Saves a loaded run as it is, without starting it.
    ///
    /// # Errors
    /// The reason, if it cannot be saved.
    pub async fn save(&self, run: RunId) -> Result<(), Rejection> {
        let (reply, answer) = oneshot::channel();
        self.requests.send(Request::Save(run, reply)).await.map_err(|_| gone())?;
        answer.await.unwrap_or_else(|_| Err(gone()))
    }

    /// Opens a saved run: what was under way when it was left is settled, and nothing starts.
    ///
    /// # Errors
    /// The reason, if it cannot be opened.
    pub async fn restore(&self, order: RestoreOrder) -> Result<RunId, Rejection> {
        let (reply, answer) = oneshot::channel();
        self.requests.send(Request::Restore(Box::new(order), reply)).await.map_err(|_| gone())?;
        answer.await.unwrap_or_else(|_| Err(gone()))
    }

    /// Sends a command and waits for the engine's answer: what it did to steps.
    ///
    /// # Errors
    /// The reason why it was refused.
    pub async fn command(&self, command: Command) -> Result<Done, Rejection> {
        match self.send(command) {
            Ok(answer) => answer.await.unwrap_or_else(|_| Err(gone())),
            Err(rejection) => Err(rejection),
        }
    }

    /// Sends a command without waiting; the answer comes over the receiver.
    ///
    /// # Errors
    /// If the driver has ended or too much waits for it.
    pub fn send(&self, command: Command) -> Result<oneshot::Receiver<Result<Done, Rejection>>, Rejection> {
        let (reply, answer) = oneshot::channel();
        self.requests.try_send(Request::Command(command, reply)).map_err(|_| gone())?;
        Ok(answer)
    }

    /// Asks for the details of one step in the views to come. Nothing is lost if the driver is busy: the caller asks
    /// again with its next change.
    pub fn look_at(&self, step: Option<(RunId, StepId)>) {
        let _ = self.requests.try_send(Request::LookAt(step));
    }

    /// The views: the newest one is always there, older ones are skipped.
    #[must_use]
    pub fn views(&self) -> watch::Receiver<Arc<EngineView>> {
        self.view.clone()
    }

    /// A way to the same engine that does not keep it going when every handle is gone.
    #[must_use]
    pub fn downgrade(&self) -> WeakHandle {
        WeakHandle { requests: self.requests.downgrade(), view: self.view.clone(), logs: self.logs.clone() }
    }

    /// The log.
    #[must_use]
    pub fn logs(&self) -> &Arc<LogStore> {
        &self.logs
    }

    /// All events from now on. The driver waits for a reader that is slow, so read until the end.
    ///
    /// # Errors
    /// If the driver has ended.
    pub async fn subscribe(&self) -> Result<mpsc::Receiver<Arc<Event>>, Rejection> {
        let (events_in, events) = mpsc::channel(REQUESTS_MAX);
        self.requests.send(Request::Subscribe(events_in)).await.map_err(|_| gone())?;
        Ok(events)
    }

    /// The result of a run so far.
    pub async fn summary(&self, run: RunId) -> Option<Box<RunSummary>> {
        let (reply, answer) = oneshot::channel();
        self.requests.send(Request::Summary(run, reply)).await.ok()?;
        answer.await.ok().flatten()
    }

    /// Ends all attempts, proves their processes gone, and ends the driver.
    pub async fn shutdown(&self) {
        let (reply, answer) = oneshot::channel();
        if self.requests.send(Request::Shutdown(reply)).await.is_ok() {
            let _ = answer.await;
        }
    }
}
