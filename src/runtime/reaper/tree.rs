//! How a tree of processes is found, signalled and ended (Linux: by `/proc`; elsewhere: by the process group).
//!
//! Between two looks a tree may grow, so nothing here trusts one look: everything is stopped first (what is stopped cannot
//! fork), then killed, then looked for again, until the kernel says that there is no child left.
//!
//! Trap: `waitpid(None, …)` of rustix waits for the own process *group* and would say "no child" too early, since agents
//! have groups of their own. It is `wait` everywhere here.

use crate::runtime::clock::now;
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitOptions, wait};
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::time::Instant;

/// The first pause between two looks at what was killed; each is twice as long, up to [`PAUSE_MAX`].
const PAUSE_MIN: Duration = Duration::from_micros(200);
const PAUSE_MAX: Duration = Duration::from_millis(20);

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

pub(super) fn pid(raw: u32) -> Option<Pid> {
    Pid::from_raw(i32::try_from(raw).ok()?)
}

/// Ends all descendants of this process; every child must be one to be ended. Returns how many were left at the
/// deadline; `killed` collects the ids of those that were alive.
pub(super) fn end_descendants(leader: u32, deadline: Instant, killed: &mut BTreeSet<u32>) -> u32 {
    let mut pause = Pause::new();
    loop {
        match wait(WaitOptions::NOHANG) {
            Ok(Some(_)) | Err(Errno::INTR) => {}
            Err(_) => return imp::rest(leader, deadline, killed),
            Ok(None) => {
                kill_all(leader, killed);
                if now() >= deadline {
                    return alive(leader).max(1);
                }
                pause.sleep();
            }
        }
    }
}

/// Whether no child is left; collects those that have ended.
pub(super) fn is_childless() -> bool {
    loop {
        match wait(WaitOptions::NOHANG) {
            Ok(Some(_)) | Err(Errno::INTR) => {}
            Ok(None) => return false,
            Err(_) => return true,
        }
    }
}

#[cfg(target_os = "linux")]
pub(super) use imp::{Proc, signal};
pub(super) use imp::{alive, kill_all, reap_orphans, reaped_cpu_s, terminate_all};

#[cfg(target_os = "linux")]
mod imp {
    use super::{BTreeSet, Instant, Signal, WaitOptions, pid};
    use rustix::process::{PidfdFlags, pidfd_open, pidfd_send_signal};
    use std::collections::BTreeMap;
    use std::fs;
    use std::path::{Path, PathBuf};

    /// Ticks a second in `/proc`: a constant of the kernel's interface, whatever its timer does.
    const TICKS_PER_S: f64 = 100.0;

    /// What `/proc/PID/stat` tells.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(in crate::runtime::reaper) struct Process {
        pub(in crate::runtime::reaper) id: u32,
        pub(in crate::runtime::reaper) parent: u32,
        /// Ended, and not waited for yet.
        pub(in crate::runtime::reaper) zombie: bool,
        /// When it started: with the id it names a process for ever.
        started: u64,
        /// Time of children that were waited for.
        reaped_ticks: u64,
    }

    /// The process table (another folder in tests).
    #[derive(Debug)]
    pub(in crate::runtime::reaper) struct Proc {
        root: PathBuf,
    }

    impl Proc {
        pub(in crate::runtime::reaper) fn system() -> Self {
            Self::at(Path::new("/proc"))
        }

        pub(in crate::runtime::reaper) fn at(root: &Path) -> Self {
            Self { root: root.to_owned() }
        }

        fn process(&self, id: u32) -> Option<Process> {
            parse_stat(&fs::read(self.root.join(id.to_string()).join("stat")).ok()?)
        }

        /// All descendants of `ancestor`, parents before their children, without those under `spared`.
        pub(in crate::runtime::reaper) fn descendants(&self, ancestor: u32, spared: &BTreeSet<u32>) -> Vec<Process> {
            let by_parent = if self.lists_children(ancestor) { None } else { Some(self.by_parent()) };
            let mut found: Vec<Process> = Vec::new();
            let mut seen = BTreeSet::from([ancestor]);
            let mut parents = vec![ancestor];
            while let Some(parent) = parents.pop() {
                let children = match &by_parent {
                    None => self.children(parent),
                    Some(by_parent) => by_parent.get(&parent).cloned().unwrap_or_default(),
                };
                for child in children {
                    if !spared.contains(&child.id) && seen.insert(child.id) {
                        parents.push(child.id);
                        found.push(child);
                    }
                }
            }
            found
        }

        /// Whether the kernel was built with lists of children (many are not).
        fn lists_children(&self, id: u32) -> bool {
            self.root.join(format!("{id}/task/{id}/children")).exists()
        }

        /// Children by the lists: each thread has its own.
        fn children(&self, id: u32) -> Vec<Process> {
            let Ok(tasks) = fs::read_dir(self.root.join(format!("{id}/task"))) else { return Vec::new() };
            let lists = tasks.flatten().filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
            let ids: Vec<u32> =
                lists.flat_map(|l| l.split_whitespace().flat_map(str::parse).collect::<Vec<_>>()).collect();
            ids.into_iter().filter_map(|id| self.process(id)).collect()
        }

        /// Everyone by parent: the way without lists.
        fn by_parent(&self) -> BTreeMap<u32, Vec<Process>> {
            let mut by_parent = BTreeMap::<u32, Vec<Process>>::new();
            for entry in fs::read_dir(&self.root).into_iter().flatten().flatten() {
                let id = entry.file_name().to_str().and_then(|name| name.parse().ok());
                if let Some(process) = id.and_then(|id| self.process(id)) {
                    by_parent.entry(process.parent).or_default().push(process);
                }
            }
            by_parent
        }
    }

    /// Reads a `stat` line. The name stands in brackets and may itself hold brackets, spaces and line breaks.
    fn parse_stat(line: &[u8]) -> Option<Process> {
        let line = String::from_utf8_lossy(line);
        let (id, rest) = line.split_once(" (")?;
        let fields: Vec<&str> = rest.rsplit_once(") ")?.1.split_whitespace().collect();
        let number = |index: usize| fields.get(index).and_then(|field| field.parse::<u64>().ok());
        Some(Process {
            id: id.parse().ok()?,
            zombie: matches!(*fields.first()?, "Z" | "X" | "x"),
            parent: u32::try_from(number(1)?).ok()?,
            reaped_ticks: number(13)? + number(14)?,
            started: number(19)?,
        })
    }

    /// Signals exactly the process that was seen: its id may have been given to another one since.
    pub(in crate::runtime::reaper) fn signal(proc: &Proc, seen: &Process, signal: Signal) {
        let Some(id) = pid(seen.id) else { return };
        match pidfd_open(id, PidfdFlags::empty()) {
            Ok(handle) => {
                if proc.process(seen.id).is_some_and(|now| now.started == seen.started) {
                    // It may have ended meanwhile, or belong to another user: the next look tells.
                    let _ = pidfd_send_signal(handle, signal);
                }
            }
            // A kernel without such handles: the id has to do.
            Err(rustix::io::Errno::NOSYS) => {
                let _ = rustix::process::kill_process(id, signal);
            }
            Err(_) => {}
        }
    }

    fn living(proc: &Proc) -> Vec<Process> {
        let mut found = proc.descendants(std::process::id(), &BTreeSet::new());
        found.retain(|process| !process.zombie);
        found
    }

    pub(in crate::runtime::reaper) fn kill_all(_leader: u32, killed: &mut BTreeSet<u32>) {
        let proc = Proc::system();
        for process in living(&proc) {
            signal(&proc, &process, Signal::STOP);
        }
        for process in living(&proc) {
            signal(&proc, &process, Signal::KILL);
            killed.insert(process.id);
        }
    }

    /// Asks everything to end. What is stopped hears it only when it is continued.
    pub(in crate::runtime::reaper) fn terminate_all(_leader: u32) {
        let proc = Proc::system();
        let all = living(&proc);
        for process in &all {
            signal(&proc, process, Signal::TERM);
        }
        for process in &all {
            signal(&proc, process, Signal::CONT);
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

    #[cfg(test)]
    mod tests {
        use super::*;

        fn stat(id: u32, name: &str, state: char, parent: u32) -> String {
            format!("{id} ({name}) {state} {parent} 1 1 0 -1 4194304 1 2 3 4 5 6 70 8 20 0 1 0 {} 9 9 9", id * 10)
        }

        fn table(processes: &[(u32, &str, char, u32)], lists: bool) -> tempfile::TempDir {
            let root = tempfile::tempdir().unwrap();
            for &(id, name, state, parent) in processes {
                let task = root.path().join(format!("{id}/task/{id}"));
                fs::create_dir_all(&task).unwrap();
                fs::write(root.path().join(format!("{id}/stat")), stat(id, name, state, parent)).unwrap();
                if lists {
                    let children = processes.iter().filter(|p| p.3 == id).map(|p| format!("{} ", p.0));
                    fs::write(task.join("children"), children.collect::<String>()).unwrap();
                }
            }
            fs::write(root.path().join("uptime"), "1 2").unwrap();
            root
        }

        const TREE: [(u32, &str, char, u32); 6] = [
            (1, "init", 'S', 0),
            (20, "reaper", 'S', 1),
            (30, "agent", 'S', 20),
            (31, "detached) Z 1 (", 'R', 20),
            (40, "grand child\n", 'Z', 30),
            (50, "stranger", 'S', 1),
        ];

        #[test]
        fn both_ways_find_the_same_descendants() {
            for lists in [false, true] {
                let root = table(&TREE, lists);
                let proc = Proc::at(root.path());
                assert_eq!(proc.lists_children(20), lists);
                let mut found: Vec<_> =
                    proc.descendants(20, &BTreeSet::new()).iter().map(|p| (p.id, p.zombie)).collect();
                found.sort_unstable();
                assert_eq!(found, [(30, false), (31, false), (40, true)], "lists: {lists}");
                let spared: Vec<_> = proc.descendants(20, &BTreeSet::from([30])).iter().map(|p| p.id).collect();
                assert_eq!(spared, [31], "what is spared keeps its children, lists: {lists}");
            }
        }

        #[test]
        fn a_name_cannot_forge_a_parent() {
            let process = parse_stat(stat(31, "x) S 999 1 (", 'R', 20).as_bytes()).unwrap();
            assert_eq!((process.parent, process.zombie, process.started), (20, false, 310));
            assert_eq!(process.reaped_ticks, 78);
            assert_eq!(parse_stat(b"31 (x) S 20"), None);
            assert_eq!(parse_stat(b""), None);
        }

        #[test]
        fn this_very_process_is_found_under_its_parent() {
            let parent = std::os::unix::process::parent_id();
            let found = Proc::system().descendants(parent, &BTreeSet::new());
            assert!(found.iter().any(|process| process.id == std::process::id() && !process.zombie));
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod imp {
    use super::{BTreeSet, Instant, Pause, Signal, now, pid};
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
