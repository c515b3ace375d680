//! The reaper: the process between upbeat and one agent's tree. `upbeat __reaper` with a socket as standard input.
//!
//! It waits for an order without using any time, starts the leader, and then waits for whichever comes first: the leader's
//! end, an order to stop, or the end of upbeat. Stopping is TERM and CONT to the whole tree, the grace, then KILL; a second
//! order is KILL at once. Between start and stop the tree may be halted where it stands, and let go. Whatever the way, an attempt is reported as ended only when no descendant is left, or when the
//! time for that is over and the report says how many are.

use super::id::pid;
use super::launch;
use super::protocol::{Ended, Exit, Order, Report, Spec, receive_order, send_report};
use super::tree;
use crate::runtime::clock::now;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions};
use std::collections::BTreeSet;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::process::Child;
use std::time::Duration;
use tokio::time::Instant;
use wait4::Wait4;

/// How often orphans that ended while their leader works on are collected.
const ORPHANS_EVERY: Duration = Duration::from_secs(10);

/// How long a tree that grows is chased at a time before orders are heard again.
const FREEZING_MAX: Duration = Duration::from_millis(200);
/// The pause before such a tree is chased again.
const FREEZING_PAUSE: Duration = Duration::from_millis(5);

/// How long the tree is hunted when upbeat is gone and nobody waits for a report: what cannot end at once may end later.
const ALONE_LIMIT: Duration = Duration::from_secs(60);

/// How long killed processes may take to be gone, for this grace.
#[must_use]
pub(super) fn kill_limit(grace: Duration) -> Duration {
    grace.min(Duration::from_secs(10)) + Duration::from_secs(1)
}

/// Serves orders until upbeat is gone. Returns the exit code: 0, or 2 where standard input is no socket of upbeat's.
#[must_use]
pub fn main() -> u8 {
    let Ok(socket) = io::stdin().as_fd().try_clone_to_owned().map(UnixStream::from) else { return 2 };
    // Out of the terminal's reach: Ctrl-C is upbeat's to handle. Fails only where it is so already.
    let _ = rustix::process::setsid();
    #[cfg(target_os = "linux")]
    {
        if rustix::process::set_child_subreaper(Some(rustix::process::getpid())).is_err() {
            return 2;
        }
        // An agent may stop its reaper. When upbeat ends, the reaper has to wake to see it. (The signal also comes when
        // only upbeat's starting thread ends; CONT does no harm then.)
        let _ = rustix::process::set_parent_process_death_signal(Some(Signal::CONT));
    }
    loop {
        match receive_order(&socket) {
            Ok(Some(Order::Start(spec, fds))) => {
                if attempt(&socket, &spec, fds).is_err() {
                    return 0;
                }
            }
            Ok(Some(Order::Stop | Order::Freeze | Order::Thaw | Order::Unknown)) => {}
            Ok(None) => return 0,
            Err(_) => return 2,
        }
    }
}

/// One attempt from start to report. An error means that upbeat is gone; the tree is ended all the same.
fn attempt(socket: &UnixStream, spec: &Spec, fds: [OwnedFd; 3]) -> io::Result<()> {
    let cpu_before_s = tree::reaped_cpu_s();
    let child = match launch::start(spec, fds) {
        Ok(child) => child,
        Err(error) => return send_report(socket, &Report::CannotStart(error)),
    };
    let mut attempt = Attempt {
        leader: child.id(),
        child,
        socket,
        grace: spec.grace,
        kill_at: None,
        frozen: None,
        upbeat_gone: false,
    };
    attempt.upbeat_gone = send_report(socket, &Report::Started { pid: attempt.leader }).is_err();
    let ended = attempt.until_over(cpu_before_s);
    let told = match attempt.upbeat_gone {
        true => Err(io::ErrorKind::BrokenPipe.into()),
        false => send_report(socket, &Report::Ended(ended)),
    };
    if told.is_err() && ended.left > 0 {
        tree::end_descendants(attempt.leader, now() + ALONE_LIMIT, &mut BTreeSet::new());
    }
    told
}

struct Attempt<'a> {
    child: Child,
    leader: u32,
    socket: &'a UnixStream,
    grace: Duration,
    /// When the grace is over; `None`: nobody asked for an end.
    kill_at: Option<Instant>,
    frozen: Option<Freezing>,
    upbeat_gone: bool,
}

/// A halted tree.
struct Freezing {
    tree: tree::Frozen,
    /// Whether all of it stood at the last look.
    stands: bool,
}

impl Freezing {
    fn hold(&mut self) {
        self.stands = self.tree.hold(FREEZING_MAX);
    }
}

impl Attempt<'_> {
    fn until_over(&mut self, cpu_before_s: f64) -> Ended {
        let mut killed = BTreeSet::new();
        let over = leader_end(&self.child);
        let mut deadline = None;
        if !self.wait_for_leader(&over) {
            if self.upbeat_gone
                && let Some(group) = pid(self.leader)
            {
                // Before anything that takes time: an agent that goes on stopping its reaper leaves it moments only. The
                // number is the leader's as long as nobody has collected it.
                let _ = rustix::process::kill_process_group(group, Signal::KILL);
            }
            let limit = *deadline.insert(now() + kill_limit(self.grace));
            kill_leader(self.leader, &over, limit, &mut killed);
        }
        #[cfg(not(target_os = "linux"))]
        if self.kill_at.is_none() {
            // While the leader is not collected its group's number cannot be anyone else's.
            tree::kill_all(self.leader, &mut killed);
        }
        // A leader that even KILL does not end (it hangs in a driver) is not waited for: it counts as left.
        let collected = is_ready(&over).then(|| collect(&mut self.child)).flatten();
        self.wait_for_descendants();
        // One limit for all: they are killed together.
        let deadline = deadline.unwrap_or_else(|| now() + kill_limit(self.grace));
        let left = tree::end_descendants(self.leader, deadline, &mut killed);
        killed.remove(&self.leader);
        let descendants_ended = u32::try_from(killed.len()).unwrap_or(u32::MAX).saturating_sub(left);
        let Some((exit, cpu_s, peak_rss_bytes)) = collected else { return Ended::lost(descendants_ended, left) };
        let cpu_s = cpu_s.max(tree::reaped_cpu_s() - cpu_before_s);
        Ended { exit, cpu_s, peak_rss_bytes, descendants_ended, left }
    }

    /// Waits for the leader's end; `false` if its time was over first.
    fn wait_for_leader(&mut self, over: &OwnedFd) -> bool {
        loop {
            let until = if self.upbeat_gone { Some(now()) } else { self.kill_at };
            let look_again =
                if self.frozen.as_ref().is_some_and(|it| !it.stands) { FREEZING_PAUSE } else { ORPHANS_EVERY };
            let timeout = until.map_or(look_again, |until| until.saturating_duration_since(now()));
            let [ended, ordered] = wait_for([Some(over.as_fd()), self.listening()], timeout);
            if ordered {
                self.obey();
            }
            if ended {
                return true;
            }
            if self.upbeat_gone || self.kill_at.is_some_and(|at| now() >= at) {
                return false;
            }
            if until.is_none() && !ordered {
                tree::reap_orphans(self.leader);
                // Also a tree that stood: a stranger may have let part of it go.
                if let Some(frozen) = &mut self.frozen {
                    frozen.hold();
                }
            }
        }
    }

    /// After a gentle stop the leader's descendants get what is left of the grace, too.
    fn wait_for_descendants(&mut self) {
        let mut pause = tree::Pause::new();
        while let Some(kill_at) = self.kill_at
            && !self.upbeat_gone
            && now() < kill_at
            && !tree::is_childless()
        {
            let [_, ordered] = wait_for([None, self.listening()], pause.next().min(kill_at - now()));
            if ordered {
                self.obey();
            }
        }
    }

    fn listening(&self) -> Option<std::os::fd::BorrowedFd<'_>> {
        (!self.upbeat_gone).then(|| self.socket.as_fd())
    }

    fn obey(&mut self) {
        match receive_order(self.socket) {
            Ok(Some(Order::Stop)) if self.kill_at.is_some() => self.kill_at = Some(now()),
            Ok(Some(Order::Stop)) => {
                self.frozen = None;
                self.kill_at = Some(now() + self.grace);
                tree::terminate_all(self.leader);
            }
            Ok(Some(Order::Freeze)) if self.kill_at.is_none() => {
                let begin = || Freezing { tree: tree::Frozen::begin(self.leader), stands: false };
                self.frozen.get_or_insert_with(begin).hold();
            }
            Ok(Some(Order::Thaw)) => {
                if let Some(frozen) = self.frozen.take() {
                    frozen.tree.release();
                }
            }
            // What is being ended goes on until it has.
            Ok(Some(Order::Freeze)) => {}
            Ok(Some(Order::Unknown)) => {}
            // A second start while one runs: whoever sends that is no upbeat any more.
            Ok(Some(Order::Start(..)) | None) | Err(_) => self.upbeat_gone = true,
        }
    }
}

/// A descriptor that becomes readable when the leader has ended, before it is collected.
fn leader_end(child: &Child) -> OwnedFd {
    let leader = Pid::from_child(child);
    #[cfg(target_os = "linux")]
    if let Ok(handle) = rustix::process::pidfd_open(leader, rustix::process::PidfdFlags::empty()) {
        return handle;
    }
    leader_end_by_thread(leader)
}

/// The same without process handles: a thread waits, and its end of a pair closes.
fn leader_end_by_thread(leader: Pid) -> OwnedFd {
    let (ours, theirs) = UnixStream::pair().expect("a reaper holds a handful of descriptors");
    std::thread::spawn(move || {
        while let Err(Errno::INTR) =
            rustix::process::waitid(WaitId::Pid(leader), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT)
        {}
        drop(theirs);
    });
    ours.into()
}

fn wait_for(fds: [Option<std::os::fd::BorrowedFd<'_>>; 2], timeout: Duration) -> [bool; 2] {
    let mut polled: Vec<_> = fds.iter().flatten().map(|fd| PollFd::from_borrowed_fd(*fd, PollFlags::IN)).collect();
    let timeout = Timespec::try_from(timeout).ok();
    // Interrupted: the caller looks at the time and comes again.
    if poll(&mut polled, timeout.as_ref()).is_err() {
        return [false; 2];
    }
    let mut ready = polled.iter().map(|fd| !fd.revents().is_empty());
    fds.map(|fd| fd.is_some() && ready.next().unwrap_or(false))
}

fn is_ready(fd: &OwnedFd) -> bool {
    wait_for([Some(fd.as_fd()), None], Duration::ZERO)[0]
}

fn kill_leader(leader: u32, over: &OwnedFd, deadline: Instant, killed: &mut BTreeSet<u32>) {
    let mut pause = tree::Pause::new();
    while now() < deadline {
        tree::kill_all(leader, killed);
        if wait_for([Some(over.as_fd()), None], pause.next())[0] {
            return;
        }
    }
}

/// Collects an ended leader: how it ended, its processor time in seconds, its largest resident set in bytes.
fn collect(child: &mut Child) -> Option<(Exit, f64, u64)> {
    let end = loop {
        match child.wait4() {
            Ok(end) => break end,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return None,
        }
    };
    let exit = match (end.status.code(), end.status.signal()) {
        (Some(code), _) => Exit::Code(code),
        (None, Some(signal)) => Exit::Signal(signal),
        (None, None) => Exit::Lost,
    };
    Some((exit, (end.rusage.utime + end.rusage.stime).as_secs_f64(), end.rusage.maxrss))
}
