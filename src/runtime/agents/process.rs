//! One attempt of a process: the document goes in, output and log lines come out, and it is over when nothing is left.
//!
//! One task does it all: it writes, reads both streams, listens for a stop, and waits for the reaper's report, whichever is
//! ready. So a process may close its streams, never read, print without end or leave descendants that hold the pipes: the
//! report ends the attempt, and what is in the pipes then is the rest.
//!
//! Whether a time is over is the engine's to say: here a stop is just a stop.

use super::capture::{Beyond, Capture, Lines};
use super::mask::Mask;
use super::request::{self, Request};
use super::verdict::{self, Worker};
use crate::model::completion::{Completion, EndProof, Failure, FailureClass, Outcome, Usage};
use crate::model::effect::AttemptOrder;
use crate::model::id::{AgentId, RunId, StepId};
use crate::model::time::Micros;
use crate::runtime::clock::Clock;
use crate::runtime::logs::{Body, LogLine, LogStore, Stream};
use crate::runtime::reaper::{Ended, Pool, Running, StopHandle, Wish};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::net::unix::pipe;
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

const CHUNK: usize = 64 * 1024;
/// Of the last line on standard error this much goes into the message of a failure.
const LAST_WORDS_CHARS: usize = 300;

/// Holds an attempt: ends it, halts it, and knows when it was last heard.
#[derive(Debug)]
pub struct Grip {
    wish: watch::Sender<Wish>,
    heard: Arc<AtomicU64>,
}

impl Grip {
    /// TERM to the whole tree and KILL after the grace; at once, or the second time: KILL.
    pub fn stop(&self, at_once: bool) {
        self.wish.send_modify(|wish| wish.stop(at_once));
    }
    /// Halts it with all its descendants where they stand, or lets them go on.
    pub fn freeze(&self, frozen: bool) {
        self.wish.send_modify(|wish| wish.frozen = frozen);
    }
    /// A hold on nothing that was heard then.
    #[cfg(test)]
    pub(crate) fn heard_at(at: Micros) -> Self {
        Self { wish: watch::Sender::new(Wish::default()), heard: Arc::new(AtomicU64::new(at.0)) }
    }
    /// When it last printed anything, by the run's clock; never: zero.
    #[must_use]
    pub fn heard(&self) -> Micros {
        Micros(self.heard.load(Ordering::Relaxed))
    }
}

/// Where an attempt's output lines go.
#[derive(Debug)]
pub struct Log {
    logs: Arc<LogStore>,
    clock: Clock,
    run: RunId,
    step: StepId,
    attempt: u32,
    agent: AgentId,
    heard: Arc<AtomicU64>,
}

impl Log {
    /// The lines of this attempt, with times by this clock.
    #[must_use]
    pub fn new(logs: Arc<LogStore>, clock: Clock, order: &AttemptOrder) -> Self {
        let (run, step, attempt, agent) = (order.run, order.step, order.attempt, order.agent);
        Self { logs, clock, run, step, attempt, agent, heard: Arc::default() }
    }

    /// The attempt has printed something.
    fn note_heard(&self) {
        self.heard.store(self.clock.now().0, Ordering::Relaxed);
    }

    /// Never waits: the store drops its oldest lines.
    fn push(&self, stream: Stream, text: &str) {
        self.logs.push(LogLine {
            seq: 0,
            at: self.clock.now(),
            run: self.run,
            step: Some(self.step),
            attempt: Some(self.attempt),
            agent: Some(self.agent),
            body: Body::Text(stream, text.into()),
        });
    }
}

/// How it ended, without what it belongs to.
struct Over {
    outcome: Outcome,
    usage: Option<Usage>,
    proof: EndProof,
}

impl Over {
    const fn unstarted(outcome: Outcome) -> Self {
        Self { outcome, usage: None, proof: EndProof::Proved }
    }
}

/// Begins an attempt when the future is first polled; the completion comes when everything of it is gone.
pub fn attempt(pool: Arc<Pool>, order: &AttemptOrder, log: Log) -> (Grip, impl Future<Output = Completion> + use<>) {
    let (run, step, attempt) = (order.run, order.step, order.attempt);
    let request = request::prepare(order);
    let is_agent = matches!(request, Ok(Request { worker: Worker::Agent, .. }));
    let (wish, wishes) = watch::channel(Wish::default());
    let heard = log.heard.clone();
    let work = async move {
        let over = match request {
            Ok(request) => carry_out(&pool, request, wishes, &log).await,
            Err(failure) => Over::unstarted(Outcome::Failed(failure)),
        };
        let Over { outcome, usage, proof } = over;
        let agent_lost = match &outcome {
            Outcome::Failed(failure) if is_agent && failure.class == FailureClass::Unreachable => {
                Some(failure.message.clone())
            }
            _ => None,
        };
        Completion { run, step, attempt, outcome, usage, proof, agent_lost }
    };
    (Grip { wish, heard }, work)
}

async fn carry_out(pool: &Pool, request: Request, wishes: watch::Receiver<Wish>, log: &Log) -> Over {
    let Request { spec, document, worker, beyond, mask, warnings } = request;
    for warning in warnings {
        log.push(Stream::Note, &mask.text(warning));
    }
    if wishes.borrow().stops > 0 {
        return Over::unstarted(Outcome::Stopped);
    }
    // Not given up when a stop comes meanwhile: it takes milliseconds, and only a started process has a proved end.
    let running = match pool.start(spec).await {
        Ok(running) => running,
        Err(error) => {
            let mut failure = verdict::of_start(worker, &error);
            failure.message = mask.text(failure.message);
            return Over::unstarted(Outcome::Failed(failure));
        }
    };
    let Running { stdin, stdout, stderr, stop, ended, .. } = running;
    let mut talk = Talk {
        stdin: Some(stdin),
        stdout: Some(stdout),
        stderr: Some(stderr),
        document,
        written: 0,
        output: Capture::new(beyond),
        refused: false,
        lines: [Lines::default(), Lines::default()],
        last_words: String::new(),
        is_local: matches!(worker, Worker::Local(_)),
        emit: |stream, line: &str| {
            let line = mask.text(line.to_owned());
            log.push(stream, &line);
            line
        },
        hear: || log.note_heard(),
    };
    let end = talk.until_ended(ended, wishes.clone(), &stop).await;
    talk.take_the_rest();
    let Talk { output, refused, last_words, .. } = talk;
    let Some(end) = end else {
        let failure = Failure::new(FailureClass::Crash, "upbeat lost the process while it was ending");
        return Over { outcome: Outcome::Failed(failure), usage: None, proof: EndProof::Unconfirmed { left: 1 } };
    };
    let outcome = if wishes.borrow().stops > 0 {
        Outcome::Stopped
    } else if refused {
        Outcome::Failed(Failure::new(FailureClass::MalformedOutput, verdict::TOO_LONG))
    } else if let Some(failure) = verdict::of_exit(worker, end.exit, &last_words, &output) {
        Outcome::Failed(failure)
    } else {
        match verdict::read(worker, output) {
            Ok(value) => Outcome::succeeded(Arc::new(mask.value(value))),
            Err(failure) => Outcome::Failed(Failure { message: mask.text(failure.message), ..failure }),
        }
    };
    let proof = if end.left == 0 { EndProof::Proved } else { EndProof::Unconfirmed { left: end.left } };
    let usage = Usage { cpu_s: end.cpu_s, peak_rss_bytes: end.peak_rss_bytes };
    Over { outcome, usage: Some(usage), proof }
}

/// What was heard of a process that is no attempt.
pub(super) struct Heard {
    /// Its end; `None`: upbeat lost it.
    pub(super) ended: Option<Ended>,
    /// Its time was over, and it was ended.
    pub(super) late: bool,
    /// What it printed.
    pub(super) output: Capture,
    /// The last line on standard error.
    pub(super) last_words: String,
}

/// Listens to a process that gets no document until it and all its descendants are gone; after `deadline` it is ended at
/// once. Nothing is logged.
pub(super) async fn listen(running: Running, mask: &Mask, deadline: Instant) -> Heard {
    let Running { stdout, stderr, stop, ended, .. } = running;
    let mut talk = Talk {
        stdin: None,
        stdout: Some(stdout),
        stderr: Some(stderr),
        document: Vec::new(),
        written: 0,
        output: Capture::new(Beyond::KeepEnds),
        refused: false,
        lines: [Lines::default(), Lines::default()],
        last_words: String::new(),
        is_local: false,
        emit: |_, line: &str| mask.text(line.to_owned()),
        hear: || {},
    };
    let (_nobody, wishes) = watch::channel(Wish::default());
    let mut late = false;
    let ended = {
        let mut end = std::pin::pin!(talk.until_ended(ended, wishes, &stop));
        tokio::select! {
            ended = &mut end => ended,
            () = tokio::time::sleep_until(deadline) => {
                late = true;
                stop.kill();
                end.await
            }
        }
    };
    talk.take_the_rest();
    let Talk { output, last_words, .. } = talk;
    Heard { ended, late, output, last_words }
}

/// The conversation with a process. `emit` logs a line and returns it as it may be shown; `hear` is told of every read
/// that gave anything.
struct Talk<E, H> {
    stdin: Option<pipe::Sender>,
    stdout: Option<pipe::Receiver>,
    stderr: Option<pipe::Receiver>,
    document: Vec<u8>,
    written: usize,
    output: Capture,
    /// More output than may be kept.
    refused: bool,
    /// Of standard output and error.
    lines: [Lines; 2],
    last_words: String,
    /// Whether standard output is a log as well.
    is_local: bool,
    emit: E,
    hear: H,
}

impl<E: Fn(Stream, &str) -> String, H: Fn()> Talk<E, H> {
    async fn until_ended(
        &mut self,
        mut ended: oneshot::Receiver<Ended>,
        mut wishes: watch::Receiver<Wish>,
        stop: &StopHandle,
    ) -> Option<Ended> {
        let mut buffer = vec![0; CHUNK];
        let mut sent = Wish::default();
        loop {
            tokio::select! {
                end = &mut ended => return end.ok(),
                // Without a sender nobody wants to stop it any more.
                Ok(wish) = wishes.wait_for(|wish| *wish != sent), if sent.stops < 2 => {
                    sent = hand_on(sent, *wish, stop);
                }
                () = readable(self.stdout.as_ref()), if self.stdout.is_some() => {
                    self.read(Stream::Stdout, &mut buffer);
                    if self.refused {
                        stop.kill();
                    }
                }
                () = readable(self.stderr.as_ref()), if self.stderr.is_some() => self.read(Stream::Stderr, &mut buffer),
                () = writable(self.stdin.as_ref()), if self.stdin.is_some() => self.write(),
            }
            // The engine shares this thread: a process that floods must not keep it from its turn.
            tokio::task::yield_now().await;
        }
    }

    fn write(&mut self) {
        let Some(stdin) = &self.stdin else { return };
        let over = match stdin.try_write(&self.document[self.written..]) {
            Ok(count) => {
                self.written += count;
                self.written == self.document.len()
            }
            // A process that does not read its input is free not to: its exit tells.
            Err(error) => error.kind() != std::io::ErrorKind::WouldBlock,
        };
        if over {
            self.stdin = None;
            self.document = Vec::new();
        }
    }

    fn read(&mut self, stream: Stream, buffer: &mut [u8]) {
        let source = if stream == Stream::Stdout { &self.stdout } else { &self.stderr };
        let Some(source) = source else { return };
        match source.try_read(buffer) {
            Ok(0) => self.close(stream),
            Ok(count) => {
                (self.hear)();
                self.take(stream, &buffer[..count]);
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => self.close(stream),
        }
    }

    fn close(&mut self, stream: Stream) {
        if stream == Stream::Stdout { self.stdout = None } else { self.stderr = None }
    }

    fn take(&mut self, stream: Stream, bytes: &[u8]) {
        let is_output = stream == Stream::Stdout;
        if is_output && !self.output.push(bytes) {
            self.refused = true;
        }
        if !is_output || self.is_local {
            self.lines[usize::from(!is_output)].push(bytes, &mut |line| {
                let line = (self.emit)(stream, line);
                keep_last_words(&mut self.last_words, is_output, &line);
            });
        }
    }

    /// What is in the pipes when everyone is gone. It does not wait, should a descendant have stayed after all.
    fn take_the_rest(&mut self) {
        let mut buffer = vec![0; CHUNK];
        for stream in [Stream::Stdout, Stream::Stderr] {
            let source = if stream == Stream::Stdout { self.stdout.take() } else { self.stderr.take() };
            let mut budget = super::capture::WHOLE_MAX;
            while let Some(source) = &source
                && budget > 0
            {
                // The system is asked, not tokio, which knows what is there only after its next look.
                match rustix::io::read(source, &mut buffer) {
                    Ok(0) => break,
                    Ok(count) => {
                        budget = budget.saturating_sub(count);
                        self.take(stream, &buffer[..count]);
                    }
                    Err(rustix::io::Errno::INTR) => {}
                    Err(_) => break,
                }
            }
            let is_output = stream == Stream::Stdout;
            self.lines[usize::from(!is_output)].finish(&mut |line| {
                let line = (self.emit)(stream, line);
                keep_last_words(&mut self.last_words, is_output, &line);
            });
        }
    }
}

/// Tells the process what is newly wanted of it, and returns what it was told by now.
fn hand_on(sent: Wish, wish: Wish, stop: &StopHandle) -> Wish {
    if wish.frozen != sent.frozen {
        stop.freeze(wish.frozen);
    }
    match wish.stops {
        2 if sent.stops < 2 => stop.kill(),
        1 if sent.stops < 1 => stop.stop(),
        _ => {}
    }
    wish
}

fn keep_last_words(last: &mut String, is_output: bool, line: &str) {
    if !is_output && !line.trim().is_empty() {
        last.clear();
        last.extend(line.trim().chars().take(LAST_WORDS_CHARS));
    }
}

async fn readable(source: Option<&pipe::Receiver>) {
    match source {
        // An error is found by the read that follows.
        Some(source) => drop(source.readable().await),
        None => std::future::pending().await,
    }
}

async fn writable(sink: Option<&pipe::Sender>) {
    match sink {
        Some(sink) => drop(sink.writable().await),
        None => std::future::pending().await,
    }
}
