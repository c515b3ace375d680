//! Processes that are gone when they are called gone.
//!
//! ```text
//!   upbeat ── Pool ──socket pair──▶ upbeat __reaper ──spawn──▶ leader ──▶ its children, theirs, …
//!            (one reaper per attempt at once,           ▲                      │
//!             started on first need, reused)            └── orphans come here ─┘
//! ```
//!
//! A reaper is a session of its own and a *child subreaper*: whatever an agent starts, however often it forks and
//! detaches, becomes the reaper's child when its parent ends, and so cannot be lost. An attempt is over when its leader
//! has ended and the kernel tells the reaper that it has no child left (`ECHILD`): that is the proof. When upbeat ends in
//! any way, `kill -9` too, the socket closes, and every reaper ends its tree and itself. When an agent kills its reaper,
//! the tree comes to upbeat, which is a subreaper too and ends it ([`own`]). Only when both are killed at once something
//! stays; the next upbeat finds it by its mark ([`leftovers`]).
//!
//! Elsewhere than Linux there are no subreapers: there a tree is the leader's process group, a process that leaves the
//! group is not found, and the proof covers the group only.
//!
//! [`Pool`] is upbeat's side, [`child`] the reaper's, `protocol` what they say, `table` how a tree is found, `tree` how it
//! is ended.

pub mod child;
pub mod figures;
mod id;
mod launch;
pub mod leftovers;
pub mod own;
pub mod pool;
mod protocol;
#[cfg(target_os = "linux")]
mod table;
mod tree;

pub use launch::find_program;
pub use pool::{Pool, ProcessSpec, Running, StopHandle, Wish};
pub use protocol::{Ended, Exit, StartError, StartErrorKind};

/// The hidden word that makes upbeat a reaper.
pub const COMMAND: &str = "__reaper";
