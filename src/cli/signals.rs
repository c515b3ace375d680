//! INT, TERM and HUP as reasons to end a run.

use super::out::{EXIT_FAULT, Stop, say};
use crate::model::state::EndCause;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// From its making on, the signals no longer kill upbeat.
#[derive(Debug)]
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
}

impl Signals {
    /// Starts listening; has to be called inside the asynchronous runtime.
    pub(crate) fn new() -> Result<Self, Stop> {
        let listen = |kind| {
            signal(kind).map_err(|error| {
                say(&format!("upbeat: cannot listen for signals: {error}"));
                Stop(EXIT_FAULT)
            })
        };
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            hang_up: listen(SignalKind::hangup())?,
        })
    }

    /// The next signal, as the cause it stands for.
    pub(crate) async fn next(&mut self) -> EndCause {
        tokio::select! {
            _ = self.interrupt.recv() => EndCause::Quit,
            _ = self.terminate.recv() => EndCause::Terminate,
            _ = self.hang_up.recv() => EndCause::HangUp,
        }
    }
}
