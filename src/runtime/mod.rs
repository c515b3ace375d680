//! Hands: clock, driver, store, agents and processes. Everything that touches the world is here.

pub mod agents;
pub mod apart;
pub mod chance;
pub mod clock;
pub mod compute;
pub mod control;
mod driver;
pub mod environment;
pub mod evaluate;
pub mod handle;
pub mod held;
mod ledger;
pub mod logs;
mod machine;
pub mod reaper;
pub mod simulator;
pub mod store;

use clock::ClockKind;
use handle::Handle;
use ledger::Ledger;
use std::path::PathBuf;
use std::thread::JoinHandle;
use store::disk::{Store, SyncMode};
use tokio::signal::unix::{SignalKind, signal};

/// How the engine is to run.
#[derive(Clone, Debug)]
pub struct Config {
    /// Real or virtual time.
    pub clock: ClockKind,
    /// Divides what simulated agents take; 1 is as declared.
    pub speed: f64,
    /// The program that serves as reaper of processes: this one.
    pub program: PathBuf,
    /// Where runs are saved, and how safely; `None`: they are not.
    pub store: Option<(Store, SyncMode)>,
}

/// An engine at work on a thread of its own.
#[derive(Debug)]
pub struct Runtime {
    handle: Handle,
    thread: JoinHandle<()>,
}

impl Runtime {
    /// The way to the engine.
    #[must_use]
    pub const fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Ends everything that runs, proves it gone, and waits for the engine's thread.
    pub async fn shutdown(self) {
        self.handle.shutdown().await;
        // The thread ends right after it has answered; joining it is quick.
        let _ = self.thread.join();
    }
}

/// Starts an engine.
///
/// # Errors
/// If the system gives no thread or no event queue.
pub fn start(config: Config) -> std::io::Result<Runtime> {
    let (handle, inbox) = handle::channel();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let Config { clock, speed, program, store } = config;
    let ledger = match store {
        Some((store, sync)) => {
            let control = control::Server::start(handle.downgrade())?;
            Ledger::saved_in(store, sync, inbox.logs.clone(), control)?
        }
        None => Ledger::unsaved(),
    };
    let thread = std::thread::Builder::new().name("engine".to_owned()).spawn(move || {
        runtime.block_on(async move {
            // Once listened for, the limit on file sizes is an error of the store instead of the end of upbeat.
            let _file_size = signal(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw()));
            let calculator = compute::Calculator::new(program.clone());
            let hands = (reaper::Pool::new(program), calculator);
            driver::Driver::new(clock, speed, ledger, inbox, hands).run().await;
        });
        // The driver has ended what it began. A name that is still being looked up must not hold the end.
        runtime.shutdown_background();
    })?;
    Ok(Runtime { handle, thread })
}
