//! The two streams: standard output carries the result and nothing else, everything said beside it goes to standard
//! error.

use std::io::{self, ErrorKind, Write};
use tokio::sync::{mpsc, oneshot};

/// The exit code of a program whose reader went away: what a shell shows for SIGPIPE.
pub(crate) const EXIT_CLOSED: u8 = 141;
/// The exit code of a fault that is upbeat's own, or its surroundings'.
pub(crate) const EXIT_FAULT: u8 = 70;
/// The exit code of wrong usage and refused files.
pub(crate) const EXIT_USAGE: u8 = 2;

/// The end of a command before its work was done: everything has been said, this is the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stop(pub(crate) u8);

/// The end of a command.
pub(crate) type Done = Result<u8, Stop>;

/// Says a line on standard error. Nobody to hear it is no reason to stop.
pub(crate) fn say(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// Says what is wrong on standard error and stops.
pub(crate) fn refuse<T>(line: &str) -> Result<T, Stop> {
    say(&format!("upbeat: {line}"));
    Err(Stop(EXIT_USAGE))
}

/// Writes a result to standard output. A reader that went away ends the program quietly.
pub(crate) fn result(text: &str) -> Result<(), Stop> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|error| lost(&error))
}

/// Leaves a text on standard output for whoever may still be there.
pub(crate) fn leave(text: &str) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

fn lost(error: &io::Error) -> Stop {
    if error.kind() == ErrorKind::BrokenPipe {
        return Stop(EXIT_CLOSED);
    }
    say(&format!("upbeat: cannot write to standard output: {error}"));
    Stop(EXIT_FAULT)
}

/// A stream with a thread of its own, so that a reader that stands still holds the writing and nothing else: signals
/// are still heard.
#[derive(Debug)]
pub(crate) struct Printer {
    text: mpsc::Sender<String>,
    end: oneshot::Receiver<Result<(), Stop>>,
}

impl Printer {
    /// To standard output.
    pub(crate) fn stdout() -> Self {
        Self::new(256, result)
    }

    /// To standard error; that it may be closed is nobody's concern.
    pub(crate) fn stderr() -> Self {
        Self::new(16, |text| {
            let _ = io::stderr().lock().write_all(text.as_bytes());
            Ok(())
        })
    }

    /// `waiting_max`: texts that may wait for the thread.
    fn new(waiting_max: usize, write: fn(&str) -> Result<(), Stop>) -> Self {
        let (text, mut texts) = mpsc::channel::<String>(waiting_max);
        let (ended, end) = oneshot::channel();
        std::thread::spawn(move || {
            let mut result = Ok(());
            while let Some(mut text) = texts.blocking_recv() {
                while let Ok(more) = texts.try_recv() {
                    text.push_str(&more);
                }
                result = write(&text);
                if result.is_err() {
                    break;
                }
            }
            drop(texts);
            let _ = ended.send(result);
        });
        Self { text, end }
    }

    /// Prints, and waits while too much is waiting. False: the reader is gone.
    pub(crate) async fn print(&self, text: String) -> bool {
        self.text.send(text).await.is_ok()
    }

    /// Waits until the next text can be taken at once. False: the reader is gone.
    pub(crate) async fn ready(&self) -> bool {
        self.text.reserve().await.is_ok()
    }

    /// Whether the next text can be taken at once.
    pub(crate) fn has_room(&self) -> bool {
        self.text.capacity() > 0
    }

    /// Prints if there is room; callers ask [`Printer::has_room`] first.
    pub(crate) fn offer(&self, text: String) {
        let _ = self.text.try_send(text);
    }

    /// Waits until everything is written.
    pub(crate) async fn finish(self) -> Result<(), Stop> {
        drop(self.text);
        self.end.await.unwrap_or(Err(Stop(EXIT_FAULT)))
    }
}
