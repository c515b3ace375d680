//! The children upbeat knows, and what becomes of those it does not.
//!
//! Whoever starts a child of upbeat's own starts it by [`spawn`], which keeps it known as long as the [`Known`] lives.
//! When a reaper dies before its tree (only a hostile or careless agent brings that about), the kernel gives the tree to
//! upbeat. Whatever is upbeat's child then and is not known is such a tree, and is ended.

use super::tree;
use std::collections::BTreeSet;
use std::io;
use std::sync::{Mutex, PoisonError};
use tokio::process::{Child, Command};

static KNOWN: Mutex<BTreeSet<u32>> = Mutex::new(BTreeSet::new());

/// As long as it lives, its child is not taken for an agent's orphan.
#[derive(Debug)]
pub struct Known(u32);

impl Drop for Known {
    fn drop(&mut self) {
        KNOWN.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.0);
    }
}

/// Starts a child of upbeat's own.
///
/// # Errors
/// As the command's.
pub fn spawn(command: &mut Command) -> io::Result<(Child, Known)> {
    // The lock is held over the start: a look at our children sees either no child or a known one.
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let child = command.spawn()?;
    let id = child.id().ok_or(io::ErrorKind::NotFound)?;
    known.insert(id);
    Ok((child, Known(id)))
}

/// Makes upbeat the one that gets orphans when a reaper dies. Elsewhere than on Linux: nothing.
pub fn become_subreaper() {
    #[cfg(target_os = "linux")]
    {
        // It cannot fail on any kernel since 3.4; without it only hostile agents could leave orphans.
        let _ = rustix::process::set_child_subreaper(Some(rustix::process::getpid()));
    }
}

/// Whether a process is a child that upbeat has started itself.
#[cfg(target_os = "linux")]
pub(super) fn is_known(id: u32) -> bool {
    KNOWN.lock().unwrap_or_else(PoisonError::into_inner).contains(&id)
}

/// Ends every child that is not known, with its descendants, for at most this long. Returns how many were ended and how
/// many are left. Blocks.
#[cfg(target_os = "linux")]
pub(super) fn end_orphans(limit: std::time::Duration) -> (u32, u32) {
    use super::id::pid;
    use super::table::Proc;
    use crate::runtime::clock::now;
    use rustix::process::{Signal, WaitOptions, waitpid};
    let (proc, me, deadline) = (Proc::system(), std::process::id(), now() + limit);
    let look = || {
        let known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        proc.descendants(me, &known)
    };
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let (mut ended, mut empty_looks, mut pause) = (BTreeSet::new(), 0, tree::Pause::new());
    loop {
        for process in look().iter().filter(|process| !process.zombie) {
            proc.signal(process, Signal::STOP);
        }
        let (zombies, found): (Vec<_>, Vec<_>) = look().into_iter().partition(|process| process.zombie);
        proc.signal_with_groups(&found, Signal::KILL);
        ended.extend(found.iter().map(|process| process.id));
        for process in zombies.iter().filter(|process| process.parent == me) {
            let _ = waitpid(pid(process.id), WaitOptions::NOHANG);
        }
        let left = look().len();
        // There is no kernel's word here, as the known ones are our children too: what one look misses in a tree that
        // changes under it, the second one finds.
        empty_looks = if left == 0 { empty_looks + 1 } else { 0 };
        if empty_looks == 2 || now() >= deadline {
            return (count(ended.len()), count(left));
        }
        pause.sleep();
    }
}

/// Elsewhere orphans go to the first process of the system.
#[cfg(not(target_os = "linux"))]
pub(super) fn end_orphans(_limit: std::time::Duration) -> (u32, u32) {
    (0, 0)
}
