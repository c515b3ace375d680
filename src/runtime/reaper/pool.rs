//! upbeat's side: as many reapers as attempts run at once, kept for the next ones.
//!
//! One task looks after each attempt, from the order to the report. Nothing here wakes by itself while nothing happens.
//! A reaper that an agent has stopped is woken when there is something to answer. One that is stopped again and again,
//! does not answer or dies is made sure to be dead, and its tree, which is upbeat's then, is ended by [`own::end_orphans`].
#![expect(clippy::disallowed_methods, reason = "the one place that starts a reaper")]

use super::child::kill_limit;
use super::id::pid;
use super::launch;
use super::own::{self, Known};
use super::protocol::{
    self, Ended, FREEZE_ORDER, Report, STOP_ORDER, Spec, StartError, StartErrorKind, THAW_ORDER, send_head, start_head,
};
use crate::runtime::clock::now;
use rustix::process::{Signal, WaitId, WaitIdOptions, waitid};
use std::convert::Infallible;
use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::UnixStream;
use tokio::net::unix::pipe;
use tokio::process::{Child, Command};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;

/// How long a reaper may take to answer where it has nothing to wait for.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);
/// How much longer than its own limits a reaper may take over a stop. Nothing is lost if it was merely slow: it is killed,
/// and its tree ended from here.
const STOP_MARGIN: Duration = Duration::from_secs(3);
/// While a reaper has something to answer it is looked at this often: whether an agent has stopped it.
const LOOK_EVERY: Duration = Duration::from_millis(150);
/// How long the tree of a dead reaper may take to be gone.
const ORPHANS_LIMIT: Duration = Duration::from_secs(5);

/// What to start.
#[derive(Clone, Debug)]
pub struct ProcessSpec {
    /// Program and arguments. A program without a slash is looked up in `PATH` of `env`.
    pub argv: Vec<OsString>,
    /// All of its environment; later ones win.
    pub env: Vec<(OsString, OsString)>,
    /// Its folder; `None`: where upbeat was started.
    pub cwd: Option<PathBuf>,
    /// Time between TERM and KILL.
    pub grace: Duration,
}

/// A started process. Whoever drops `ended` ends it at once.
#[derive(Debug)]
pub struct Running {
    /// The leader's process id, and its process group.
    pub pid: u32,
    /// Its standard input.
    pub stdin: pipe::Sender,
    /// Its standard output. A descendant may hold it open until the end is reported.
    pub stdout: pipe::Receiver,
    /// Its standard error.
    pub stderr: pipe::Receiver,
    /// Ends it.
    pub stop: StopHandle,
    /// Comes when the leader has ended and every descendant is gone (or could not be ended: [`Ended::left`]).
    pub ended: oneshot::Receiver<Ended>,
}

/// Ends a process and its descendants. Clones end the same one.
#[derive(Clone, Debug)]
pub struct StopHandle(Arc<watch::Sender<Wish>>);

/// What is wanted of a process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wish {
    /// 1: that it ends; 2: at once.
    pub stops: u8,
    /// That it halts where it stands, as long as it is not to end.
    pub frozen: bool,
}

impl Wish {
    /// One more wish that it ends: at once, or gently the first time.
    pub fn stop(&mut self, at_once: bool) {
        self.stops = if at_once { 2 } else { (self.stops + 1).min(2) };
    }
}

impl StopHandle {
    /// The first time: TERM to the whole tree, after the grace KILL. The second time: KILL at once.
    pub fn stop(&self) {
        self.0.send_modify(|wish| wish.stop(false));
    }
    /// KILL at once.
    pub fn kill(&self) {
        self.0.send_modify(|wish| wish.stop(true));
    }
    /// Halts the process and its descendants where they stand, or lets them go on. One that is to end is let go for it.
    pub fn freeze(&self, frozen: bool) {
        self.0.send_modify(|wish| wish.frozen = frozen);
    }
}

/// The reapers. Dropping the last handle ends every process; [`Pool::shutdown`] also waits for that.
#[derive(Debug)]
pub struct Pool {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    program: PathBuf,
    idle: Mutex<Vec<Reaper>>,
    /// Says that the pool closes: by `true`, or by being dropped.
    closing: watch::Sender<bool>,
    /// Every task holds a clone of the sender: when all are gone the receiver ends.
    tasks: Mutex<Option<mpsc::Sender<Infallible>>>,
    all_done: tokio::sync::Mutex<mpsc::Receiver<Infallible>>,
}

#[derive(Debug)]
struct Reaper {
    socket: UnixStream,
    /// What was read and is not a whole report yet.
    read: Vec<u8>,
    child: Child,
    _known: Known,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn short_of(what: &str, error: &io::Error) -> StartError {
    StartError::new(StartErrorKind::Resources, format!("{what}: {error}"))
}

fn closed() -> StartError {
    StartError::new(StartErrorKind::Resources, "upbeat is ending")
}

impl Pool {
    /// A pool without reapers yet; `program` is upbeat itself. Makes this process a subreaper.
    #[must_use]
    pub fn new(program: PathBuf) -> Self {
        own::become_subreaper();
        let (sender, receiver) = mpsc::channel(1);
        Self {
            shared: Arc::new(Shared {
                program,
                idle: Mutex::default(),
                closing: watch::Sender::new(false),
                tasks: Mutex::new(Some(sender)),
                all_done: tokio::sync::Mutex::new(receiver),
            }),
        }
    }

    /// A pool that starts the very program this is.
    ///
    /// # Errors
    /// If the platform cannot tell where it lies.
    pub fn of_this_program() -> io::Result<Self> {
        Ok(Self::new(crate::runtime::environment::own_program()?))
    }

    /// How many reapers wait for work.
    #[must_use]
    pub fn idle_reapers(&self) -> usize {
        locked(&self.shared.idle).len()
    }

    /// Starts a process. If the future is dropped, the process is ended.
    ///
    /// # Errors
    /// Why it cannot be started.
    pub async fn start(&self, spec: ProcessSpec) -> Result<Running, StartError> {
        let ProcessSpec { argv, env, cwd, grace } = spec;
        let spec = Spec { argv, env, cwd, grace };
        launch::check(&spec)?;
        let task_token = locked(&self.shared.tasks).clone().ok_or_else(closed)?;
        let ends = Ends::new().map_err(|error| short_of("no pipe could be made", &error))?;
        let (stops, stops_seen) = watch::channel(Wish::default());
        let (ended_sender, ended) = oneshot::channel();
        let (started_sender, started) = oneshot::channel();
        let attempt = Attempt {
            shared: Arc::downgrade(&self.shared),
            closing: self.shared.closing.subscribe(),
            stops: stops_seen,
            ended: ended_sender,
            grace,
        };
        let reaper = self.shared.reaper()?;
        tokio::spawn(async move {
            attempt.serve(reaper, spec, ends.theirs, started_sender).await;
            drop(task_token);
        });
        let pid = started.await.unwrap_or_else(|_| Err(closed()))?;
        let [stdin, stdout, stderr] = ends.ours;
        let pipe = |error: io::Error| short_of("a pipe could not be watched", &error);
        Ok(Running {
            pid,
            stdin: pipe::Sender::from_owned_fd(stdin).map_err(pipe)?,
            stdout: pipe::Receiver::from_owned_fd(stdout).map_err(pipe)?,
            stderr: pipe::Receiver::from_owned_fd(stderr).map_err(pipe)?,
            stop: StopHandle(Arc::new(stops)),
            ended,
        })
    }

    /// Ends every process at once, then every reaper, and returns when they are gone.
    pub async fn shutdown(&self) {
        self.shared.closing.send_replace(true);
        locked(&self.shared.tasks).take();
        while self.shared.all_done.lock().await.recv().await.is_some() {}
        let idle = std::mem::take(&mut *locked(&self.shared.idle));
        for reaper in idle {
            reaper.retire().await;
        }
    }
}

/// Both sides' ends of the three pipes.
struct Ends {
    ours: [OwnedFd; 3],
    theirs: [OwnedFd; 3],
}

impl Ends {
    fn new() -> io::Result<Self> {
        // All are close-on-exec, so no other child of upbeat's can keep one open.
        let (stdin, our_stdin) = io::pipe()?;
        let (our_stdout, stdout) = io::pipe()?;
        let (our_stderr, stderr) = io::pipe()?;
        Ok(Self {
            ours: [our_stdin.into(), our_stdout.into(), our_stderr.into()],
            theirs: [stdin.into(), stdout.into(), stderr.into()],
        })
    }
}

impl Shared {
    /// A reaper at rest, or a new one.
    fn reaper(&self) -> Result<Reaper, StartError> {
        loop {
            let Some(reaper) = locked(&self.idle).pop() else { break };
            if reaper.is_alive() {
                reaper.wake();
                return Ok(reaper);
            }
        }
        Reaper::start(&self.program).map_err(|error| short_of("upbeat could not start a reaper", &error))
    }
}

impl Reaper {
    fn start(program: &std::path::Path) -> io::Result<Self> {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let mut command = Command::new(program);
        command.arg0("upbeat").arg(super::COMMAND).env_clear();
        command.stdin(Stdio::from(OwnedFd::from(theirs))).stdout(Stdio::null()).stderr(Stdio::null());
        let (child, known) = own::spawn(&mut command)?;
        Ok(Self { socket: UnixStream::from_std(ours)?, read: Vec::new(), child, _known: known })
    }

    /// Whether it waits for work: one at rest says nothing, a dead one has closed its end.
    fn is_alive(&self) -> bool {
        // Asked of the socket and not of tokio, which would only know once its reactor had run.
        let mut byte = [0_u8; 1];
        let flags = rustix::net::RecvFlags::PEEK | rustix::net::RecvFlags::DONTWAIT;
        matches!(rustix::net::recv(&self.socket, &mut byte, flags), Err(rustix::io::Errno::AGAIN))
    }

    /// Lets it go on, should an agent have stopped it. Its id is its own as long as nobody has waited for it.
    fn wake(&self) {
        if let Some(id) = self.child.id().and_then(pid) {
            let _ = rustix::process::kill_process(id, Signal::CONT);
        }
    }

    /// Whether something has stopped it.
    fn is_held(&self) -> bool {
        let look = WaitIdOptions::STOPPED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        let id = self.child.id().and_then(pid);
        id.is_some_and(|id| matches!(waitid(WaitId::Pid(id), look), Ok(Some(_))))
    }

    /// Wakes it. An error if it was found stopped the last time, too: something goes on stopping it.
    fn nudge(&self, was_held: &mut bool) -> io::Result<()> {
        let is_held = self.is_held();
        if is_held && *was_held {
            return Err(io::ErrorKind::TimedOut.into());
        }
        *was_held = is_held;
        self.wake();
        Ok(())
    }

    /// Sends a start and waits for what comes of it.
    async fn begin(&mut self, spec: &Spec, fds: &[OwnedFd; 3]) -> io::Result<Report> {
        self.order(spec, fds).await?;
        let mut was_held = false;
        loop {
            tokio::select! {
                biased;
                report = self.report() => return report,
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
            // The leader may be faster than its reaper's report, and stop it before.
            self.nudge(&mut was_held)?;
        }
    }

    async fn order(&mut self, spec: &Spec, fds: &[OwnedFd; 3]) -> io::Result<()> {
        let body = spec.encode();
        let head = start_head(body.len()).map_err(io::Error::other)?;
        let fds = [fds[0].as_fd(), fds[1].as_fd(), fds[2].as_fd()];
        let socket = &self.socket;
        socket.async_io(Interest::WRITABLE, || send_head(socket.as_fd(), &head, &fds)).await?;
        self.socket.write_all(&body).await
    }

    /// The next report. May be dropped and asked again without losing anything.
    async fn report(&mut self) -> io::Result<Report> {
        loop {
            if let Some(report) = protocol::take_report(&mut self.read)? {
                return Ok(report);
            }
            if self.socket.read_buf(&mut self.read).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// Lets one at rest go.
    async fn retire(self) {
        self.wake();
        let Self { socket, mut child, _known, .. } = self;
        drop(socket);
        if timeout(ANSWER_LIMIT, child.wait()).await.is_err() {
            // Without the handle's help it would wait for ever: something stopped it.
            let _ = child.start_kill();
            let _ = timeout(ANSWER_LIMIT, child.wait()).await;
        }
    }

    /// Makes sure that it is dead, and ends its tree. Returns how many processes were ended, and how many are left.
    async fn bury(self) -> (u32, u32) {
        let Self { socket, mut child, _known: known, .. } = self;
        let _ = child.start_kill();
        // The tree comes to us before the end of the reaper can be seen here, so a look after it misses nothing.
        let dead = timeout(ANSWER_LIMIT, child.wait()).await.is_ok();
        drop((socket, known));
        let (ended, left) =
            tokio::task::spawn_blocking(|| own::end_orphans(ORPHANS_LIMIT)).await.unwrap_or((0, u32::MAX));
        (ended, if dead { left } else { left.max(1) })
    }
}

/// What a task needs to look after an attempt.
struct Attempt {
    /// Weak: an attempt does not keep the pool alive.
    shared: Weak<Shared>,
    closing: watch::Receiver<bool>,
    stops: watch::Receiver<Wish>,
    ended: oneshot::Sender<Ended>,
    grace: Duration,
}

impl Attempt {
    async fn serve(
        mut self,
        mut reaper: Reaper,
        spec: Spec,
        fds: [OwnedFd; 3],
        started: oneshot::Sender<Result<u32, StartError>>,
    ) {
        let answer = timeout(ANSWER_LIMIT, reaper.begin(&spec, &fds)).await;
        let answer = answer.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        // Ours have to go, or the readers would never see the end of the output.
        drop((fds, spec));
        match answer {
            Ok(Report::Started { pid }) => {
                // Nobody waits any more: `look_after` sees it, since `ended` was dropped as well.
                let _ = started.send(Ok(pid));
                match self.look_after(&mut reaper).await {
                    Ok(end) if end.left == 0 => {
                        self.give_back(reaper).await;
                        let _ = self.ended.send(end);
                    }
                    Ok(end) => {
                        // It still has children: no place for another attempt.
                        let _ = self.ended.send(end);
                        reaper.bury().await;
                    }
                    Err(_) => {
                        let (ended, left) = reaper.bury().await;
                        let _ = self.ended.send(Ended::lost(ended, left));
                    }
                }
            }
            Ok(Report::CannotStart(error)) => {
                self.give_back(reaper).await;
                let _ = started.send(Err(error));
            }
            Ok(Report::Ended(_)) | Err(_) => {
                let why = answer.err().map_or_else(|| "it spoke out of turn".into(), |error| error.to_string());
                reaper.bury().await;
                let message = format!("its reaper did not answer ({why})");
                let _ = started.send(Err(StartError::new(StartErrorKind::Resources, message)));
            }
        }
    }

    /// Puts a reaper back to rest, or waits for its end where the pool closes.
    async fn give_back(&self, reaper: Reaper) {
        match self.shared.upgrade().filter(|_| !*self.closing.borrow()) {
            Some(shared) => locked(&shared.idle).push(reaper),
            None => reaper.retire().await,
        }
    }

    /// Hands on stops until the end is reported. An error: the reaper is dead, or does not do as it is told.
    async fn look_after(&mut self, reaper: &mut Reaper) -> io::Result<Ended> {
        let (mut sent, mut was_held) = (Wish::default(), false);
        // Set by a stop only: without one an attempt may take as long as it likes.
        let mut due = None;
        loop {
            let wanted = tokio::select! {
                biased;
                report = reaper.report() => match report? {
                    Report::Ended(end) => return Ok(end),
                    Report::Started { .. } | Report::CannotStart(_) => return Err(io::ErrorKind::InvalidData.into()),
                },
                () = asked(&mut self.stops, sent), if sent.stops < 2 => *self.stops.borrow(),
                () = at_once(&mut self.closing, &mut self.ended), if sent.stops < 2 => Wish { stops: 2, ..sent },
                () = tokio::time::sleep(LOOK_EVERY), if due.is_some() => {
                    if due.is_some_and(|due| now() >= due) {
                        return Err(io::ErrorKind::TimedOut.into());
                    }
                    reaper.nudge(&mut was_held)?;
                    sent
                }
            };
            if sent.frozen != wanted.frozen && wanted.stops == 0 {
                reaper.socket.write_all(if wanted.frozen { &FREEZE_ORDER } else { &THAW_ORDER }).await?;
                reaper.wake();
            }
            sent.frozen = wanted.frozen;
            while sent.stops < wanted.stops {
                reaper.socket.write_all(&STOP_ORDER).await?;
                sent.stops += 1;
                let grace = if sent.stops == 1 { self.grace } else { Duration::ZERO };
                due = Some(now() + grace + kill_limit(self.grace) + STOP_MARGIN);
                reaper.wake();
            }
        }
    }
}

/// Waits for another wish than was sent.
async fn asked(stops: &mut watch::Receiver<Wish>, sent: Wish) {
    if stops.wait_for(|wish| *wish != sent).await.is_err() {
        // Every handle is gone, and with them the wish to stop.
        std::future::pending::<()>().await;
    }
}

/// Waits for the end of the pool, or of everyone's interest in this attempt.
async fn at_once(closing: &mut watch::Receiver<bool>, ended: &mut oneshot::Sender<Ended>) {
    tokio::select! {
        _ = closing.wait_for(|closing| *closing) => {}
        () = ended.closed() => {}
    }
}
