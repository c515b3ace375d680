//! One attempt of a process: the document goes in, output and log lines come out, and it is over when nothing is left.
//!
//! One task does it all: it writes, reads both streams, listens for a stop, and waits for the reaper's report, whichever is
//! ready. So a process may close its streams, never read, print without end or leave descendants that hold the pipes: the
//! report ends the attempt, and what is in the pipes then is the rest.
//!
//! Whether a time is over is the engine's to say: here a stop is just a stop.

use super::capture::{Capture, Lines};
use super::request::{self, Request};
use super::verdict::{self, Worker};
use crate::model::completion::{Completion, EndProof, Failure, FailureClass, Outcome, Usage};
use crate::model::effect::AttemptOrder;
use crate::model::id::{AgentId, RunId, StepId};
use crate::runtime::clock::Clock;
use crate::runtime::logs::{Body, LogLine, LogStore, Stream};
use crate::runtime::reaper::{Ended, Pool, Running, StopHandle};
use std::sync::Arc;
use tokio::net::unix::pipe;
use tokio::sync::{oneshot, watch};

const CHUNK: usize = 64 * 1024;
/// Of the last line on standard error this much goes into the message of a failure.
const LAST_WORDS_CHARS: usize = 300;

/// Ends an attempt.
#[derive(Debug)]
pub(crate) struct Stop(watch::Sender<u8>);

impl Stop {
    /// TERM to the whole tree and KILL after the grace; at once, or the second time: KILL.
    pub(crate) fn stop(&self, at_once: bool) {
        self.0.send_modify(|stops| *stops = if at_once { 2 } else { (*stops + 1).min(2) });
    }
}

/// Where an attempt's output lines go.
#[derive(Debug)]
pub(crate) struct Log {
    logs: Arc<LogStore>,
    clock: Clock,
    run: RunId,
    step: StepId,
    attempt: u32,
    agent: AgentId,
}

impl Log {
    pub(crate) fn new(logs: Arc<LogStore>, clock: Clock, order: &AttemptOrder) -> Self {
        Self { logs, clock, run: order.run, step: order.step, attempt: order.attempt, agent: order.agent }
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
pub(crate) fn attempt(
    pool: Arc<Pool>,
    order: &AttemptOrder,
    log: Log,
) -> (Stop, impl Future<Output = Completion> + use<>) {
    let (run, step, attempt) = (order.run, order.step, order.attempt);
    let request = request::prepare(order);
    let is_agent = matches!(request, Ok(Request { worker: Worker::Agent, .. }));
    let (stop, stops) = watch::channel(0);
    let work = async move {
        let over = match request {
            Ok(request) => carry_out(&pool, request, stops, &log).await,
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
    (Stop(stop), work)
}

async fn carry_out(pool: &Pool, request: Request, stops: watch::Receiver<u8>, log: &Log) -> Over {
    let Request { spec, document, worker, beyond, mask, warnings } = request;
    for warning in warnings {
        log.push(Stream::Note, &mask.text(warning));
    }
    if *stops.borrow() > 0 {
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
    };
    let end = talk.until_ended(ended, stops.clone(), &stop).await;
    talk.take_the_rest();
    let Talk { output, refused, last_words, .. } = talk;
    let Some(end) = end else {
        let failure = Failure::new(FailureClass::Crash, "upbeat lost the process while it was ending");
        return Over { outcome: Outcome::Failed(failure), usage: None, proof: EndProof::Unconfirmed { left: 1 } };
    };
    let outcome = if *stops.borrow() > 0 {
        Outcome::Stopped
    } else if refused {
        Outcome::Failed(Failure::new(FailureClass::MalformedOutput, verdict::TOO_LONG))
    } else if let Some(failure) = verdict::of_exit(worker, end.exit, &last_words) {
        Outcome::Failed(failure)
    } else {
        match verdict::read(worker, output) {
            Ok(value) => Outcome::Succeeded { output: Arc::new(mask.value(value)) },
            Err(failure) => Outcome::Failed(Failure { message: mask.text(failure.message), ..failure }),
        }
    };
    let proof = if end.left == 0 { EndProof::Proved } else { EndProof::Unconfirmed { left: end.left } };
    let usage = Usage { cpu_s: end.cpu_s, peak_rss_bytes: end.peak_rss_bytes };
    Over { outcome, usage: Some(usage), proof }
}

/// The conversation with a process. `emit` logs a line and returns it as it may be shown.
struct Talk<E> {
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
}

impl<E: Fn(Stream, &str) -> String> Talk<E> {
    async fn until_ended(
        &mut self,
        mut ended: oneshot::Receiver<Ended>,
        mut stops: watch::Receiver<u8>,
        stop: &StopHandle,
    ) -> Option<Ended> {
        let mut buffer = vec![0; CHUNK];
        let mut sent = 0;
        loop {
            tokio::select! {
                end = &mut ended => return end.ok(),
                // Without a sender nobody wants to stop it any more.
                Ok(stops) = stops.wait_for(|stops| *stops > sent), if sent < 2 => {
                    sent = *stops;
                    if sent == 2 { stop.kill() } else { stop.stop() }
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
            Ok(count) => self.take(stream, &buffer[..count]),
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
