//! How a tree of processes is signalled and ended (Linux: by the process table; elsewhere: by the process group).
//!
//! Between two looks a tree may grow, so nothing here trusts one look: everything is stopped first (what is stopped cannot
//! fork), then killed, then looked for again, until the kernel says that there is no child left.
//!
//! Trap: `waitpid(None, …)` of rustix waits for the own process *group* and would say "no child" too early, since agents
//! have groups of their own. It is `wait` everywhere here.

use crate::runtime::clock::now;
use rustix::io::Errno;
use rustix::process::{Signal, WaitOptions, wait};
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::time::Instant;

/// The first pause between two looks at what was killed; each is twice as long, up to [`PAUSE_MAX`].
const PAUSE_MIN: Duration = Duration::from_micros(200);
const PAUSE_MAX: Duration = Duration::from_millis(20);
/// How long ended children are collected before those that live are looked at. Collecting is quicker than begetting, and a
/// look is slow as long as thousands wait to be collected.
const COLLECTING_MAX: Duration = Duration::from_millis(100);

/// Growing pauses.
#[derive(Debug)]
pub(super) struct Pause(Duration);

impl Pause {
    pub(super) const fn new() -> Self {
        Self(PAUSE_MIN)
    }
    /// The length of the next pause.
    pub(super) fn next(&mut self) -> Duration {
        let pause = self.0;
        self.0 = (pause * 2).min(PAUSE_MAX);
        pause
    }
    pub(super) fn sleep(&mut self) {
        std::thread::sleep(self.next());
    }
}

/// Ends all descendants of this process; every child must be one to be ended. Returns how many were left at the
/// deadline; `killed` collects the ids of those that were alive.
pub(super) fn end_descendants(leader: u32, deadline: Instant, killed: &mut BTreeSet<u32>) -> u32 {
    let mut pause = Pause::new();
    while !is_childless() {
        kill_all(leader, killed);
        if now() >= deadline {
            return if is_childless() { imp::rest(leader, deadline, killed) } else { alive(leader).max(1) };
        }
        pause.sleep();
    }
    imp::rest(leader, deadline, killed)
}

/// Collects children that have ended. Whether the kernel says that none is left.
pub(super) fn is_childless() -> bool {
    let until = now() + COLLECTING_MAX;
    loop {
        match wait(WaitOptions::NOHANG) {
            // Processes that each beget one and end keep this busy for ever.
            Ok(Some(_)) | Err(Errno::INTR) if now() < until => {}
            Ok(_) | Err(Errno::INTR) => return false,
            Err(_) => return true,
        }
    }
}

pub(super) use imp::{alive, kill_all, reap_orphans, reaped_cpu_s, terminate_all};

#[cfg(target_os = "linux")]
mod imp {
    use super::{BTreeSet, Instant, Signal, WaitOptions};
    use crate::runtime::reaper::id::pid;
    use crate::runtime::reaper::table::{Proc, Process};

    /// Ticks a second in `/proc`: a constant of the kernel's interface, whatever its timer does.
    const TICKS_PER_S: f64 = 100.0;

    fn living(proc: &Proc) -> Vec<Process> {
        let mut found = proc.descendants(std::process::id(), &BTreeSet::new());
        found.retain(|process| !process.zombie);
        found
    }

    pub(in crate::runtime::reaper) fn kill_all(_leader: u32, killed: &mut BTreeSet<u32>) {
        let proc = Proc::system();
        proc.stop_children();
        for process in living(&proc) {
            proc.signal(&process, Signal::STOP);
        }
        let found = living(&proc);
        proc.kill_with_groups(&found);
        killed.extend(found.iter().map(|process| process.id));
    }

    /// Asks everything to end. What is stopped hears it only when it is continued.
    pub(in crate::runtime::reaper) fn terminate_all(_leader: u32) {
        let proc = Proc::system();
        let all = living(&proc);
        for process in &all {
            proc.signal(process, Signal::TERM);
        }
        for process in &all {
            proc.signal(process, Signal::CONT);
        }
    }

    pub(in crate::runtime::reaper) fn alive(_leader: u32) -> u32 {
        u32::try_from(living(&Proc::system()).len()).unwrap_or(u32::MAX)
    }

    /// What is left after the last child is gone: nothing can be, orphans would be children.
    pub(in crate::runtime::reaper) fn rest(_leader: u32, _deadline: Instant, _killed: &mut BTreeSet<u32>) -> u32 {
        0
    }

    /// Collects orphans that have ended, and leaves the leader to whoever waits for it.
    pub(in crate::runtime::reaper) fn reap_orphans(leader: u32) {
        let me = std::process::id();
        let ended = Proc::system().descendants(me, &BTreeSet::from([leader]));
        for orphan in ended.iter().filter(|process| process.zombie && process.parent == me) {
            let _ = rustix::process::waitpid(pid(orphan.id), WaitOptions::NOHANG);
        }
    }

    /// Processor time of everything this process has waited for, and of what that waited for.
    pub(in crate::runtime::reaper) fn reaped_cpu_s() -> f64 {
        let ticks = Proc::system().process(std::process::id()).map_or(0, |me| me.reaped_ticks);
        f64::from(u32::try_from(ticks).unwrap_or(u32::MAX)) / TICKS_PER_S
    }
}

#[cfg(not(target_os = "linux"))]
mod imp {
    use super::{BTreeSet, Instant, Pause, Signal, now};
    use crate::runtime::reaper::id::pid;
    use rustix::process::{kill_process_group, test_kill_process_group};

    fn signal(leader: u32, signal: Signal) -> bool {
        pid(leader).is_some_and(|group| kill_process_group(group, signal).is_ok())
    }

    pub(in crate::runtime::reaper) fn kill_all(leader: u32, _killed: &mut BTreeSet<u32>) {
        signal(leader, Signal::STOP);
        signal(leader, Signal::KILL);
    }

    pub(in crate::runtime::reaper) fn terminate_all(leader: u32) {
        signal(leader, Signal::TERM);
        signal(leader, Signal::CONT);
    }

    pub(in crate::runtime::reaper) fn alive(leader: u32) -> u32 {
        pid(leader).map_or(0, |group| u32::from(test_kill_process_group(group).is_ok()))
    }

    /// Orphans are not our children here: the group has to be empty.
    pub(in crate::runtime::reaper) fn rest(leader: u32, deadline: Instant, killed: &mut BTreeSet<u32>) -> u32 {
        let mut pause = Pause::new();
        while alive(leader) > 0 {
            kill_all(leader, killed);
            if now() >= deadline {
                return alive(leader);
            }
            pause.sleep();
        }
        0
    }

    pub(in crate::runtime::reaper) fn reap_orphans(_leader: u32) {}

    pub(in crate::runtime::reaper) fn reaped_cpu_s() -> f64 {
        0.0
    }
}
