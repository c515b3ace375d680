//! The process table of Linux, as `/proc` tells it: who is whose child, and how exactly one process is signalled.
//!
//! A look takes time in which processes come and go, so what is told here is what *was*. Whoever acts on it names a
//! process by its id and its start, looks again, and never takes an empty look for a proof.

use super::id::pid;
use rustix::process::{PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Longer than any `stat` line: 52 numbers and a name of at most 64 bytes.
const STAT_BYTES_MAX: usize = 2048;

/// What `/proc/PID/stat` tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Process {
    pub(super) id: u32,
    pub(super) parent: u32,
    pub(super) group: u32,
    pub(super) session: u32,
    /// Ended with all its threads, and not waited for yet.
    pub(super) zombie: bool,
    /// Halted by a signal.
    pub(super) halted: bool,
    /// When it started, in ticks since the system did: with the id it names a process for ever.
    pub(super) started: u64,
    /// Its own processor time.
    pub(super) own_ticks: u64,
    /// Time of children that were waited for.
    pub(super) reaped_ticks: u64,
}

impl Process {
    /// Its id and its start: no other process ever has both.
    pub(super) const fn name(&self) -> (u32, u64) {
        (self.id, self.started)
    }
}

/// The process table (another folder in tests).
#[derive(Debug)]
pub(super) struct Proc {
    root: PathBuf,
}

impl Proc {
    pub(super) fn system() -> Self {
        Self::at(Path::new("/proc"))
    }

    pub(super) fn at(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// The folder of one process.
    pub(super) fn folder(&self, id: u32) -> PathBuf {
        self.root.join(id.to_string())
    }

    /// Resident memory of a process in bytes; 0 if it has none or is gone.
    pub(super) fn resident(&self, id: u32) -> u64 {
        let status = fs::read_to_string(self.folder(id).join("status")).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kb = line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse::<u64>().ok());
        kb.unwrap_or(0).saturating_mul(1024)
    }

    pub(super) fn process(&self, id: u32) -> Option<Process> {
        let mut line = [0; STAT_BYTES_MAX];
        let mut file = fs::File::open(self.folder(id).join("stat")).ok()?;
        // The kernel gives the whole line at once; a look at many processes has no time for a second question.
        let len = file.read(&mut line).ok()?;
        parse_stat(&line[..len])
    }

    /// Whether this is still the process that was seen, and not another one with its id.
    pub(super) fn is_still(&self, seen: &Process) -> bool {
        self.process(seen.id).is_some_and(|now| now.started == seen.started)
    }

    /// Everyone, by id.
    pub(super) fn everyone(&self) -> BTreeMap<u32, Process> {
        self.ids().into_iter().filter_map(|id| Some((id, self.process(id)?))).collect()
    }

    /// The ids of everyone, the last ones first: those are mostly the newest, and may be gone soonest.
    fn ids(&self) -> Vec<u32> {
        let entries = fs::read_dir(&self.root).into_iter().flatten().flatten();
        let mut ids: Vec<u32> = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
        ids.reverse();
        ids
    }

    /// Stops this process's children, each as soon as it is seen: one that only begets the next and ends is caught here
    /// or nowhere. Nobody but this process waits for them, so their ids stay theirs meanwhile.
    pub(super) fn stop_children(&self) {
        let me = std::process::id();
        let stop = |process: &Process| {
            if let Some(id) = pid(process.id).filter(|_| process.parent == me && !process.zombie) {
                let _ = rustix::process::kill_process(id, Signal::STOP);
            }
        };
        if self.lists_children(me) {
            self.children(me).iter().rev().for_each(stop);
        } else {
            self.ids().into_iter().filter_map(|id| self.process(id)).for_each(|process| stop(&process));
        }
    }

    /// All descendants of `ancestor`, without those under `spared`.
    pub(super) fn descendants(&self, ancestor: u32, spared: &BTreeSet<u32>) -> Vec<Process> {
        if !self.lists_children(ancestor) {
            return under(&self.everyone(), [ancestor], spared);
        }
        walk([ancestor], spared, |parent| self.children(parent))
    }

    /// Whether the kernel was built with lists of children (many are not).
    fn lists_children(&self, id: u32) -> bool {
        self.folder(id).join(format!("task/{id}/children")).exists()
    }

    /// Children by the lists: each thread has its own.
    fn children(&self, id: u32) -> Vec<Process> {
        let Ok(tasks) = fs::read_dir(self.folder(id).join("task")) else { return Vec::new() };
        let lists = tasks.flatten().filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
        let ids: Vec<u32> = lists.flat_map(|l| l.split_whitespace().flat_map(str::parse).collect::<Vec<_>>()).collect();
        ids.into_iter().filter_map(|id| self.process(id)).collect()
    }

    /// Signals exactly the process that was seen: its id may have been given to another one since.
    pub(super) fn signal(&self, seen: &Process, signal: Signal) {
        let Some(id) = pid(seen.id) else { return };
        match pidfd_open(id, PidfdFlags::empty()) {
            Ok(handle) => {
                if self.is_still(seen) {
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

    /// Signals processes that were seen, together with their process groups.
    ///
    /// A chain of processes that each fork once and end is never caught one by one: whoever was seen is gone when its
    /// signal comes. A signal to a group reaches all of its members at one moment, those just forked as well.
    ///
    /// A group belongs to one session, and a session only holds descendants of who began it. So every member is a
    /// descendant of a reaper, as long as the session is not one that this process was born into, nor the group its own.
    pub(super) fn signal_with_groups(&self, seen: &[Process], signal: Signal) {
        if let Some(me) = self.process(std::process::id()) {
            let is_theirs =
                |p: &&Process| p.group > 1 && p.group != me.group && (p.session != me.session || me.session == me.id);
            let groups: BTreeSet<u32> = seen.iter().filter(is_theirs).map(|process| process.group).collect();
            for group in groups.into_iter().filter_map(pid) {
                // An empty one is nobody's; the members that may not be signalled are found by the next look.
                let _ = rustix::process::kill_process_group(group, signal);
            }
        }
        for process in seen {
            self.signal(process, signal);
        }
    }
}

/// Everyone in this look at the table who descends from one of these, without those under `spared`.
pub(super) fn under(
    everyone: &BTreeMap<u32, Process>,
    ancestors: impl IntoIterator<Item = u32>,
    spared: &BTreeSet<u32>,
) -> Vec<Process> {
    let mut by_parent = BTreeMap::<u32, Vec<Process>>::new();
    for process in everyone.values() {
        by_parent.entry(process.parent).or_default().push(*process);
    }
    walk(ancestors, spared, |parent| by_parent.get(&parent).cloned().unwrap_or_default())
}

fn walk(
    ancestors: impl IntoIterator<Item = u32>,
    spared: &BTreeSet<u32>,
    children: impl Fn(u32) -> Vec<Process>,
) -> Vec<Process> {
    let mut parents: Vec<u32> = ancestors.into_iter().collect();
    let mut seen: BTreeSet<u32> = parents.iter().copied().collect();
    let mut found = Vec::new();
    while let Some(parent) = parents.pop() {
        for child in children(parent) {
            if !spared.contains(&child.id) && seen.insert(child.id) {
                parents.push(child.id);
                found.push(child);
            }
        }
    }
    found
}

/// Reads a `stat` line. The name stands in brackets and may itself hold brackets, spaces and line breaks.
fn parse_stat(line: &[u8]) -> Option<Process> {
    let name_ends = line.iter().rposition(|byte| *byte == b')')?;
    let id = std::str::from_utf8(line.split(|byte| *byte == b' ').next()?).ok()?;
    let rest = std::str::from_utf8(&line[name_ends + 1..]).ok()?;
    let mut fields = [""; 20];
    let mut count = 0;
    for (field, place) in rest.split_ascii_whitespace().zip(&mut fields) {
        *place = field;
        count += 1;
    }
    let number = |index: usize| fields[index].parse::<u64>().ok();
    let narrow = |index: usize| number(index).and_then(|number| u32::try_from(number).ok());
    (count == fields.len()).then_some(())?;
    Some(Process {
        id: id.parse().ok()?,
        // A process whose first thread has ended looks ended, and is not as long as it has others.
        zombie: matches!(fields[0], "Z" | "X" | "x") && narrow(17)? <= 1,
        parent: narrow(1)?,
        group: narrow(2)?,
        session: narrow(3)?,
        halted: fields[0] == "T",
        own_ticks: number(11)? + number(12)?,
        reaped_ticks: number(13)? + number(14)?,
        started: number(19)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stat(id: u32, name: &str, state: char, parent: u32, threads: u32) -> String {
        let start = id * 10;
        format!("{id} ({name}) {state} {parent} 1 1 0 -1 4194304 1 2 3 4 5 6 70 8 20 0 {threads} 0 {start} 9 9 9")
    }

    fn table(processes: &[(u32, &str, char, u32)], lists: bool) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for &(id, name, state, parent) in processes {
            let task = root.path().join(format!("{id}/task/{id}"));
            fs::create_dir_all(&task).unwrap();
            fs::write(root.path().join(format!("{id}/stat")), stat(id, name, state, parent, 1)).unwrap();
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
            let mut found: Vec<_> = proc.descendants(20, &BTreeSet::new()).iter().map(|p| (p.id, p.zombie)).collect();
            found.sort_unstable();
            assert_eq!(found, [(30, false), (31, false), (40, true)], "lists: {lists}");
            let spared: Vec<_> = proc.descendants(20, &BTreeSet::from([30])).iter().map(|p| p.id).collect();
            assert_eq!(spared, [31], "what is spared keeps its children, lists: {lists}");
        }
    }

    #[test]
    fn a_name_cannot_forge_a_parent() {
        let process = parse_stat(stat(31, "x) S 999 1 (", 'R', 20, 1).as_bytes()).unwrap();
        assert_eq!((process.id, process.parent, process.zombie, process.started), (31, 20, false, 310));
        assert_eq!((process.own_ticks, process.reaped_ticks), (11, 78));
        assert_eq!(parse_stat(b"31 (x) S 20"), None);
        assert_eq!(parse_stat(b""), None);
    }

    #[test]
    fn a_process_whose_first_thread_has_ended_is_not_taken_for_an_ended_one() {
        let is_zombie = |threads| parse_stat(stat(31, "x", 'Z', 20, threads).as_bytes()).unwrap().zombie;
        assert!(is_zombie(0) && is_zombie(1));
        assert!(!is_zombie(2), "it still works, and has to be ended");
    }

    #[test]
    fn this_very_process_is_found_under_its_parent() {
        let parent = std::os::unix::process::parent_id();
        let found = Proc::system().descendants(parent, &BTreeSet::new());
        assert!(found.iter().any(|process| process.id == std::process::id() && !process.zombie));
    }
}
