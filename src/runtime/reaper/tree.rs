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

/// Ticks a second in `/proc`: a constant of the kernel's interface, whatever its timer does.
#[cfg(target_os = "linux")]
pub(super) const TICKS_PER_S: u64 = 100;

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

pub(super) use imp::{Frozen, alive, kill_all, reap_orphans, reaped_cpu_s, terminate_all};

#[cfg(target_os = "linux")]
mod imp {
    use super::{BTreeSet, Duration, Instant, Signal, TICKS_PER_S, WaitOptions};
    use crate::runtime::clock::now;
    use crate::runtime::reaper::id::pid;
    use crate::runtime::reaper::table::{Proc, Process};

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
        proc.signal_with_groups(&found, Signal::KILL);
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

    /// A tree that is halted where it stands.
    #[derive(Debug)]
    pub(in crate::runtime::reaper) struct Frozen {
        /// Who had been halted by somebody else before, by id and start: they stay so afterwards.
        halted_before: BTreeSet<(u32, u64)>,
        /// Who was told to halt.
        told: BTreeSet<(u32, u64)>,
    }

    impl Frozen {
        pub(in crate::runtime::reaper) fn begin(_leader: u32) -> Self {
            let halted = living(&Proc::system()).into_iter().filter(|process| process.halted);
            Self { halted_before: halted.map(|process| process.name()).collect(), told: BTreeSet::new() }
        }

        /// Halts whoever is not halted yet, for at most this long. Whether two looks in turn found nobody who had not
        /// been told: what was told cannot fork any more, and what one look missed in a tree that grew under it, the
        /// next one finds.
        pub(in crate::runtime::reaper) fn hold(&mut self, limit: Duration) -> bool {
            let (proc, deadline) = (Proc::system(), now() + limit);
            let mut quiet_looks = 0;
            while quiet_looks < 2 && now() < deadline {
                let is_new = |process: &Process| {
                    let name = process.name();
                    !self.halted_before.contains(&name) && (!process.halted || !self.told.contains(&name))
                };
                let found: Vec<Process> = living(&proc).into_iter().filter(is_new).collect();
                let (again, first): (Vec<Process>, Vec<Process>) =
                    found.into_iter().partition(|process| self.told.contains(&process.name()));
                // One that was told and runs has not heard it yet, or was let go by a stranger.
                again.iter().for_each(|process| proc.signal(process, Signal::STOP));
                proc.signal_with_groups(&first, Signal::STOP);
                quiet_looks = if first.is_empty() { quiet_looks + 1 } else { 0 };
                self.told.extend(first.iter().map(Process::name));
            }
            quiet_looks == 2
        }

        /// Lets everyone go on who was not halted before.
        pub(in crate::runtime::reaper) fn release(self) {
            let proc = Proc::system();
            // All are listed before the first one goes on and the tree moves again.
            for process in living(&proc).iter().filter(|process| !self.halted_before.contains(&process.name())) {
                proc.signal(process, Signal::CONT);
            }
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
        Duration::from_millis(ticks.saturating_mul(1_000 / TICKS_PER_S)).as_secs_f64()
    }
}

#[cfg(not(target_os = "linux"))]
mod imp {
    use super::{BTreeSet, Duration, Instant, Pause, Signal, now};
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

    /// A process group that is halted where it stands.
    #[derive(Debug)]
    pub(in crate::runtime::reaper) struct Frozen {
        leader: u32,
    }

    impl Frozen {
        pub(in crate::runtime::reaper) fn begin(leader: u32) -> Self {
            Self { leader }
        }

        /// One signal reaches every member at one moment.
        pub(in crate::runtime::reaper) fn hold(&mut self, _limit: Duration) -> bool {
            signal(self.leader, Signal::STOP);
            true
        }

        pub(in crate::runtime::reaper) fn release(self) {
            signal(self.leader, Signal::CONT);
        }
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
