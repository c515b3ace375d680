//! Signals, as things that happen in the panel's loop. Installing them also keeps the system from ending or stopping the
//! process before the terminal is given back.

use crate::model::state::EndCause;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// To end.
    End(EndCause),
    /// To stop for a while (Ctrl-Z of another program, `kill -TSTP`).
    Suspend,
    /// To go on.
    Continue,
}

/// The signals that matter to a screen.
#[derive(Debug)]
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
    stop: Signal,
    go_on: Signal,
}

impl Signals {
    pub(crate) fn new() -> std::io::Result<Self> {
        let raw = |signal: rustix::process::Signal| SignalKind::from_raw(signal.as_raw());
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
            stop: signal(raw(rustix::process::Signal::TSTP))?,
            go_on: signal(raw(rustix::process::Signal::CONT))?,
        })
    }

    /// The next one.
    pub(crate) async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.interrupt.recv() => Asked::End(EndCause::Quit),
            _ = self.terminate.recv() => Asked::End(EndCause::Terminate),
            _ = self.hang_up.recv() => Asked::End(EndCause::HangUp),
            _ = self.stop.recv() => Asked::Suspend,
            _ = self.go_on.recv() => Asked::Continue,
        }
    }
}

/// Stops this process and those started with it, as Ctrl-Z does; returns when somebody continues it.
pub(crate) fn stop_here() {
    // The whole group, so that a shell sees its job stopped, also where another program stands between (`cargo run`).
    let stop = rustix::process::Signal::STOP;
    if rustix::process::kill_current_process_group(stop).is_err() {
        let _ = rustix::process::kill_process(rustix::process::getpid(), stop);
    }
}
