//! upbeat's hold on one evaluation child: what is on its way to it, what came back, and how it ended.
#![expect(clippy::disallowed_methods, reason = "the one place that starts an evaluator")]

use super::protocol::{self, LINE_MAX, READY};
use super::{COMMAND, TIME_MAX};
use crate::runtime::clock::now;
use crate::runtime::reaper::own::{self, Known};
use rustix::process::Signal;
use serde_json::Value;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::time::{Instant, sleep_until, timeout};

/// How long a child may take until it may be asked, also on a machine that is busy otherwise.
const START_MAX: Duration = Duration::from_secs(10);
/// How long a killed child may take to be gone.
const GONE_MAX: Duration = Duration::from_secs(10);
/// How much is read of what a child says on its standard error: the last words of a process that breaks.
const WORDS_MAX: u64 = 4096;
/// How many bytes are read at once at most.
const READ_AT_ONCE: usize = 64 * 1024;

/// Why a child cannot be worked with any longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lost {
    /// It took longer than it may.
    Late,
    /// It said what is no answer.
    Nonsense,
    /// It has ended.
    Ended,
}

/// How a child ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The filter took too long.
    Time,
    /// The filter needed too much memory.
    Memory,
    /// The filter needed too much stack.
    Depth,
    /// The filter broke it in another way.
    Broken(String),
    /// Somebody else ended it: no filter is to blame.
    Outside(String),
    /// It never came so far that it could be asked.
    Unready(String),
}

#[derive(Debug)]
pub(super) struct Live {
    child: Child,
    stdin: ChildStdin,
    stdout: ChildStdout,
    stderr: ChildStderr,
    /// What is handed over; up to `sent` it has been.
    to_send: Vec<u8>,
    sent: usize,
    /// What was read; up to `taken` it has been understood, up to `searched` there is no end of a line.
    read: Vec<u8>,
    taken: usize,
    searched: usize,
    is_ready: bool,
    in_flight: usize,
    /// When it began what it does now.
    since: Instant,
    _known: Known,
}

impl Live {
    /// Starts a child. It may be sent requests at once.
    ///
    /// # Errors
    /// If the system does not start it.
    pub(super) fn start(program: &Path) -> io::Result<Self> {
        let mut command = Command::new(program);
        command.arg0("upbeat").arg(COMMAND).env_clear().current_dir("/").kill_on_drop(true);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let (mut child, known) = own::spawn(&mut command)?;
        let (Some(stdin), Some(stdout), Some(stderr)) = (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        Ok(Self {
            child,
            stdin,
            stdout,
            stderr,
            to_send: Vec::new(),
            sent: 0,
            read: Vec::new(),
            taken: 0,
            searched: 0,
            is_ready: false,
            in_flight: 0,
            since: now(),
            _known: known,
        })
    }

    /// Its process id; `None` once it is gone.
    pub(super) fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// How many requests it has been given and not answered.
    pub(super) const fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// How many bytes are still to be handed over.
    pub(super) const fn unsent(&self) -> usize {
        self.to_send.len() - self.sent
    }

    /// Gives it one more request.
    pub(super) fn give(&mut self, line: &[u8]) {
        if self.in_flight == 0 {
            self.since = now();
        }
        self.to_send.extend_from_slice(line);
        self.in_flight += 1;
    }

    /// Waits until something was handed over or read. May be dropped and asked again without losing anything.
    pub(super) async fn turn(&mut self) -> Result<(), Lost> {
        let limit = if self.is_ready { TIME_MAX } else { START_MAX };
        self.read.reserve(READ_AT_ONCE);
        tokio::select! {
            // An answer that is there is taken, also when this process was too slow to look in time.
            biased;
            read = self.stdout.read_buf(&mut self.read) => match read {
                Ok(0) | Err(_) => Err(Lost::Ended),
                Ok(_) => Ok(()),
            },
            written = self.stdin.write(&self.to_send[self.sent..]), if self.sent < self.to_send.len() => match written {
                Ok(length) => {
                    self.sent += length;
                    if self.sent == self.to_send.len() {
                        self.sent = 0;
                        self.to_send.clear();
                        self.to_send.shrink_to(READ_AT_ONCE);
                    }
                    Ok(())
                }
                Err(_) => Err(Lost::Ended),
            },
            () = sleep_until(self.since + limit) => Err(Lost::Late),
        }
    }

    /// The next answer, if all of it is there.
    pub(super) fn answer(&mut self) -> Result<Option<Result<Value, String>>, Lost> {
        while let Some(line) = self.line()? {
            if !self.is_ready {
                if self.read[line] != *READY {
                    return Err(Lost::Nonsense);
                }
                self.is_ready = true;
                self.since = now();
                continue;
            }
            self.in_flight = self.in_flight.checked_sub(1).ok_or(Lost::Nonsense)?;
            self.since = now();
            return protocol::answer(&self.read[line]).ok_or(Lost::Nonsense).map(Some);
        }
        Ok(None)
    }

    /// Where the next line stands, without its end.
    fn line(&mut self) -> Result<Option<std::ops::Range<usize>>, Lost> {
        if let Some(length) = self.read[self.searched..].iter().position(|byte| *byte == b'\n') {
            let line = self.taken..self.searched + length;
            self.taken = line.end + 1;
            self.searched = self.taken;
            return Ok(Some(line));
        }
        self.read.drain(..self.taken);
        self.taken = 0;
        self.searched = self.read.len();
        if self.read.len() > LINE_MAX {
            return Err(Lost::Nonsense);
        }
        if self.read.is_empty() && self.read.capacity() > READ_AT_ONCE * 2 {
            self.read = Vec::new();
        }
        Ok(None)
    }

    /// Ends it, waits until it is gone, and says what it was.
    pub(super) async fn end(mut self, lost: Lost) -> End {
        // Killing what has ended already changes nothing about how it ended.
        let _ = self.child.start_kill();
        let status = timeout(GONE_MAX, self.child.wait()).await;
        let mut words = Vec::new();
        let _ = timeout(GONE_MAX, self.stderr.take(WORDS_MAX).read_to_end(&mut words)).await;
        let status = status.ok().and_then(Result::ok);
        judge(lost, self.is_ready, status, &String::from_utf8_lossy(&words))
    }
}

/// How a child ended, by what was seen of it. The words are those with which Rust ends a process.
fn judge(lost: Lost, was_ready: bool, status: Option<ExitStatus>, words: &str) -> End {
    let signal = status.and_then(|status| status.signal());
    let is = |wanted: Signal| signal == Some(wanted.as_raw());
    let how = || status.map_or("it does not end".to_owned(), |status| status.to_string());
    match lost {
        Lost::Late if was_ready => End::Time,
        Lost::Late => End::Unready(format!("upbeat's evaluator was not ready after {} s", START_MAX.as_secs())),
        Lost::Nonsense if was_ready => End::Broken("its answer is none".to_owned()),
        Lost::Nonsense => End::Unready("what was started is not upbeat's evaluator".to_owned()),
        Lost::Ended if !was_ready => End::Unready(format!("upbeat's evaluator ended before it was ready ({})", how())),
        Lost::Ended if words.contains("has overflowed its stack") => End::Depth,
        Lost::Ended if words.contains("memory allocation of") || words.contains("capacity overflow") => End::Memory,
        Lost::Ended if is(Signal::XCPU) => End::Time,
        // Where the guard below the stack was not known, its end shows so.
        Lost::Ended if is(Signal::SEGV) || is(Signal::BUS) => End::Depth,
        Lost::Ended if signal.is_some() && !is(Signal::ABORT) => {
            End::Outside(format!("upbeat's evaluator was ended from outside ({})", how()))
        }
        Lost::Ended => End::Broken(how()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_told_by_the_signal_and_the_last_words() {
        let by = |signal: Signal| Some(ExitStatus::from_raw(signal.as_raw()));
        let ended = |status, words| judge(Lost::Ended, true, status, words);
        assert_eq!(judge(Lost::Late, true, by(Signal::KILL), ""), End::Time);
        assert_eq!(ended(by(Signal::XCPU), ""), End::Time);
        assert_eq!(ended(by(Signal::ABORT), "\nthread 'x' has overflowed its stack\n"), End::Depth);
        assert_eq!(ended(by(Signal::SEGV), ""), End::Depth);
        assert_eq!(ended(by(Signal::ABORT), "memory allocation of 9 bytes failed"), End::Memory);
        assert_eq!(ended(Some(ExitStatus::from_raw(2 << 8)), "panicked at x:\ncapacity overflow"), End::Memory);
        assert!(matches!(ended(Some(ExitStatus::from_raw(2 << 8)), "panicked"), End::Broken(_)));
        assert!(matches!(judge(Lost::Nonsense, true, by(Signal::KILL), ""), End::Broken(_)));
        assert!(matches!(ended(by(Signal::KILL), ""), End::Outside(_)));
        assert!(matches!(judge(Lost::Ended, false, by(Signal::ABORT), ""), End::Unready(_)));
        assert!(matches!(judge(Lost::Late, false, None, ""), End::Unready(_)));
    }
}
