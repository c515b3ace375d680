//! The control socket of a saved run: how another process of the same user steers it.
//!
//! One JSON line in, one JSON line out. A thread of its own listens, so that a client that is slow, silent or hostile
//! holds up nobody but itself. Only the user who runs upbeat is heard.

mod ask;
mod client;
mod place;
mod serve;
#[cfg(test)]
mod tests;

pub use ask::{Ask, Reply, Told, resolve, tell};
pub use client::{Unheard, ask};
pub use serve::LINE_MAX;

use super::handle::WeakHandle;
use crate::model::id::RunId;
use std::collections::BTreeMap;
use std::path::Path;
use std::thread::JoinHandle;
use tokio::sync::{mpsc, watch};

/// Listens for all saved runs of an engine.
#[derive(Debug)]
pub struct Server {
    served: mpsc::UnboundedSender<serve::Served>,
    /// Each tells the listener of a run when to end, and hears when it has.
    listeners: BTreeMap<RunId, (watch::Sender<bool>, std::sync::mpsc::Receiver<()>)>,
    thread: JoinHandle<()>,
}

impl Server {
    /// Starts listening for nothing yet.
    ///
    /// # Errors
    /// If the system gives no thread or no event queue.
    pub fn start(handle: WeakHandle) -> std::io::Result<Self> {
        let (served, orders) = mpsc::unbounded_channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread = std::thread::Builder::new()
            .name("control".to_owned())
            .spawn(move || runtime.block_on(serve::serve(handle, orders)))?;
        Ok(Self { served, listeners: BTreeMap::new(), thread })
    }

    /// Makes the socket of a run whose folder this process has locked. Where none can be made the run goes on without.
    pub fn serve(&mut self, run: RunId, folder: &Path) {
        match place::bind(folder) {
            Ok(bound) => {
                let (closing_in, closing) = watch::channel(false);
                let (ended, end) = std::sync::mpsc::channel();
                // The thread ends only when this sender has gone.
                let _ = self.served.send(serve::Served { run, bound, closing, ended });
                self.listeners.insert(run, (closing_in, end));
            }
            Err(error) => tracing::warn!(%error, "the run cannot be steered from elsewhere"),
        }
    }

    /// Listens for a run no longer; its socket is removed when this returns.
    pub fn leave(&mut self, run: RunId) {
        if let Some((closing, end)) = self.listeners.remove(&run) {
            closing.send_replace(true);
            // Comes or is dropped: the listener removes the socket before it waits for anybody.
            let _ = end.recv();
        }
    }

    /// Lets requests that are under way end, for a moment, and removes the sockets.
    pub fn close(self) {
        drop((self.served, self.listeners));
        let _ = self.thread.join();
    }
}
