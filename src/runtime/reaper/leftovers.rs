//! What dead runs have left behind, and its end.
//!
//! Two things have to come together for an agent to outlive its run: it ends its reaper or goes on stopping it, and upbeat,
//! which would see to the tree then, is killed before it has. What is left is the mark that every agent was born with: its
//! run's id in its environment. So upbeat looks for marks of dead runs when it starts, and for those of one run before it resumes it.
//!
//! A process that has changed its environment *and* lost its parents is not found. Neither is any elsewhere than on Linux.

use std::time::Duration;

/// The variable that holds the id of an agent's run.
pub const MARK: &str = "UPBEAT_RUN_ID";

/// What was found of dead runs, and what became of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Leftovers {
    /// How many processes were found.
    pub found: u32,
    /// How many of them are gone.
    pub ended: u32,
    /// How many are not: another user's, or in the midst of something that the system does not interrupt.
    pub left: u32,
    /// The runs whose marks they bore, each once, in order.
    pub runs: Vec<String>,
}

/// Ends every process of this user that bears the mark of a dead run, with its descendants, whatever marks those bear: an
/// upbeat that an agent has started goes with that agent. Never ends this process, its ancestors or its descendants.
///
/// Blocks: for one look at the process table if there is nothing, otherwise until all are gone, for at most `limit`.
/// `is_dead` is asked once for each run whose mark is seen.
#[must_use]
pub fn end_leftovers(is_dead: &dyn Fn(&str) -> bool, limit: Duration) -> Leftovers {
    imp::end_leftovers(is_dead, limit)
}

/// The ids of the living processes of this user that bear this run's mark, and of their descendants, in order. Empty: the
/// proof that a run may be resumed, within the bounds that the module tells. This process and its ancestors do not count.
#[must_use]
pub fn processes_of(run: &str) -> Vec<u32> {
    imp::processes_of(run)
}

#[cfg(target_os = "linux")]
mod imp {
    use super::{Duration, Leftovers, MARK};
    use crate::runtime::clock::now;
    use crate::runtime::reaper::table::{Proc, Process, under};
    use crate::runtime::reaper::tree::Pause;
    use rustix::process::Signal;
    use std::collections::{BTreeMap, BTreeSet};
    use std::fs;
    use std::io::Read;
    use std::os::unix::fs::MetadataExt;

    /// The system lets no program be started with more.
    const ENVIRONMENT_BYTES_MAX: u64 = 8 * 1024 * 1024;

    pub(super) fn end_leftovers(is_dead: &dyn Fn(&str) -> bool, limit: Duration) -> Leftovers {
        let (mut hunt, deadline) = (Hunt::new(is_dead), now() + limit);
        let (mut empty_looks, mut pause) = (0, Pause::new());
        let left = loop {
            let found = hunt.look();
            if hunt.known.is_empty() {
                return Leftovers::default();
            }
            // A tree that changes under a look may hide from it once.
            empty_looks = if found.is_empty() { empty_looks + 1 } else { 0 };
            if empty_looks == 2 || now() >= deadline {
                break found.len();
            }
            for process in &found {
                hunt.proc.signal(process, Signal::STOP);
            }
            for process in hunt.look() {
                hunt.proc.signal(&process, Signal::KILL);
            }
            pause.sleep();
        };
        hunt.wake_reapers();
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let found = hunt.known.len();
        let runs = hunt.runs.into_iter().filter_map(|(run, is_dead)| is_dead.then_some(run));
        Leftovers { found: count(found), ended: count(found - left), left: count(left), runs: runs.collect() }
    }

    pub(super) fn processes_of(run: &str) -> Vec<u32> {
        let is_it = |marked: &str| marked == run;
        let mut hunt = Hunt::new(&is_it);
        hunt.spares_own = false;
        let mut ids: Vec<u32> = hunt.look().iter().map(|process| process.id).collect();
        ids.sort_unstable();
        ids
    }

    struct Hunt<'a> {
        proc: Proc,
        is_dead: &'a dyn Fn(&str) -> bool,
        /// What was answered for each run.
        runs: BTreeMap<String, bool>,
        /// Everyone found so far, by id and start: without its parents one may not be found a second time.
        known: BTreeSet<(u32, u64)>,
        /// The parents of those that bear marks: their reapers, where those still live.
        parents: BTreeMap<u32, Process>,
        /// Whether this process's descendants are nobody's leftovers.
        spares_own: bool,
        user: u32,
    }

    impl<'a> Hunt<'a> {
        fn new(is_dead: &'a dyn Fn(&str) -> bool) -> Self {
            let user = rustix::process::geteuid().as_raw();
            let (runs, known, parents) = (BTreeMap::new(), BTreeSet::new(), BTreeMap::new());
            Self { proc: Proc::system(), is_dead, runs, known, parents, spares_own: true, user }
        }

        /// Everyone alive who bears a dead run's mark, was found before, or descends from one of these.
        fn look(&mut self) -> Vec<Process> {
            let everyone = self.proc.everyone();
            let spared = self.spared(&everyone);
            let mut roots = Vec::new();
            for process in everyone.values().filter(|process| !spared.contains(&process.id)) {
                if self.known.contains(&(process.id, process.started)) || self.is_marked(process) {
                    roots.push(process.id);
                    let parent = everyone.get(&process.parent).filter(|parent| !spared.contains(&parent.id));
                    self.parents.extend(parent.map(|parent| (parent.id, *parent)));
                }
            }
            let mut found = under(&everyone, roots.iter().copied(), &spared);
            found.extend(roots.iter().filter_map(|id| everyone.get(id)));
            found.retain(|process| !process.zombie);
            self.known.extend(found.iter().map(|process| (process.id, process.started)));
            found
        }

        /// A reaper that its agent has stopped has nothing to do any more but to end, which it can only when it is woken.
        /// Whoever else is a parent of a leftover is no worse for it.
        fn wake_reapers(&self) {
            for parent in self.parents.values().filter(|parent| !self.known.contains(&(parent.id, parent.started))) {
                self.proc.signal(parent, Signal::CONT);
            }
        }

        /// This process, its ancestors, and its descendants where they are not asked for.
        fn spared(&self, everyone: &BTreeMap<u32, Process>) -> BTreeSet<u32> {
            let me = std::process::id();
            let mut spared = BTreeSet::new();
            if self.spares_own {
                spared.extend(under(everyone, [me], &BTreeSet::new()).iter().map(|process| process.id));
            }
            let mut next = Some(me);
            while let Some(id) = next.filter(|id| spared.insert(*id)) {
                next = everyone.get(&id).map(|process| process.parent);
            }
            spared
        }

        fn is_marked(&mut self, process: &Process) -> bool {
            let folder = self.proc.folder(process.id);
            if process.zombie || !fs::metadata(&folder).is_ok_and(|meta| meta.uid() == self.user) {
                return false;
            }
            let mut environment = Vec::new();
            let file = fs::File::open(folder.join("environ"));
            if file.and_then(|file| file.take(ENVIRONMENT_BYTES_MAX).read_to_end(&mut environment)).is_err() {
                return false;
            }
            let Some(run) = mark(&environment) else { return false };
            if let Some(is_dead) = self.runs.get(run) {
                return *is_dead;
            }
            let is_dead = (self.is_dead)(run);
            self.runs.insert(run.to_owned(), is_dead);
            is_dead
        }
    }

    /// The run in an environment. Of several the first one counts, as it does for the program itself.
    fn mark(environment: &[u8]) -> Option<&str> {
        let mut variables = environment.split(|byte| *byte == 0);
        let value = variables.find_map(|entry| entry.strip_prefix(MARK.as_bytes())?.strip_prefix(b"="))?;
        std::str::from_utf8(value).ok()
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn a_mark_is_the_whole_value_of_the_first_variable_of_that_name() {
            assert_eq!(mark(b"A=1\0UPBEAT_RUN_ID=r-1\0UPBEAT_RUN_ID=r-2\0"), Some("r-1"));
            assert_eq!(mark(b"XUPBEAT_RUN_ID=r-1\0UPBEAT_RUN_ID_TOO=r\0A=UPBEAT_RUN_ID=r\0"), None);
            assert_eq!(mark(b"UPBEAT_RUN_ID=\xff\0"), None);
            assert_eq!(mark(b""), None);
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod imp {
    use super::{Duration, Leftovers};

    pub(super) fn end_leftovers(_is_dead: &dyn Fn(&str) -> bool, _limit: Duration) -> Leftovers {
        Leftovers::default()
    }

    pub(super) fn processes_of(_run: &str) -> Vec<u32> {
        Vec::new()
    }
}
