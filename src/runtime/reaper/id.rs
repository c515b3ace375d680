//! Process ids: numbers here, a type of its own where the system is spoken to.

use rustix::process::Pid;

/// The system's name for a process; `None` for a number that is none's.
pub(super) fn pid(raw: u32) -> Option<Pid> {
    Pid::from_raw(i32::try_from(raw).ok()?)
}
