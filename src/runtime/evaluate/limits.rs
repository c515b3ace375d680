//! What an evaluation child may use: memory, processor time, no files, no core dumps.

use super::MEMORY_MAX;
use crate::runtime::clock::now;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::time::Duration;
use tokio::time::Instant;

/// The processor time after which the system ends a child that upbeat has not ended, in seconds: upbeat is halted, or
/// gone. Longer than what upbeat allows a filter.
const CPU_MAX_S: u64 = 4;
/// How often that limit is moved on. Between two moves no more processor time can pass than time.
const MOVED_EVERY: Duration = Duration::from_secs(1);
/// Standard input, output and error; nothing else can be opened.
const FILES_MAX: u64 = 3;
/// Ticks a second in `/proc`: a constant of the kernel's interface.
const TICKS_PER_S: u64 = 100;

/// The limits of this process. They hold as long as it lives, only the one on processor time moves on.
pub(super) struct Limits {
    /// The kernel's figures of this process, opened while that was possible; `None` where there are none.
    figures: Option<File>,
    moved: Option<Instant>,
}

impl Limits {
    /// Sets what holds from now on. Call it on the thread that computes, whose stack then counts as used already.
    pub(super) fn set() -> Self {
        let figures = File::open("/proc/self/stat").ok();
        set(Resource::As, address_space().saturating_add(MEMORY_MAX));
        set(Resource::Core, 0);
        set(Resource::Fsize, 0);
        set(Resource::Nofile, FILES_MAX);
        Self { figures, moved: None }
    }

    /// Gives the next filter its processor time.
    pub(super) fn renew(&mut self) {
        let moment = now();
        if self.moved.is_some_and(|moved| moment.duration_since(moved) < MOVED_EVERY) {
            return;
        }
        self.moved = Some(moment);
        let mut line = [0; 1024];
        let read = self.figures.as_ref().and_then(|file| file.read_at(&mut line, 0).ok());
        if let Some(used) = read.and_then(|length| used_ticks(&line[..length])) {
            let limit = used.div_ceil(TICKS_PER_S) + CPU_MAX_S;
            // The hard limit stays, or this one could not move on.
            let maximum = getrlimit(Resource::Cpu).maximum;
            let _ = setrlimit(Resource::Cpu, Rlimit { current: Some(limit), maximum });
        }
    }
}

/// Sets a limit for good. What is lower already stays; a system that lacks one leaves the others.
fn set(resource: Resource, limit: u64) {
    let limit = getrlimit(resource).maximum.map_or(limit, |highest| highest.min(limit));
    let _ = setrlimit(resource, Rlimit { current: Some(limit), maximum: Some(limit) });
}

/// How large the address space of this process is, in bytes. Where the system does not tell, its stack alone.
fn address_space() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let size = status.lines().find_map(|line| line.strip_prefix("VmSize:"));
    let kilobytes = size.and_then(|size| size.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    kilobytes.map_or(super::STACK as u64, |kilobytes| kilobytes << 10)
}

/// Ticks of processor time, from a `stat` line. The name in brackets is skipped: it may hold anything.
fn used_ticks(line: &[u8]) -> Option<u64> {
    let name_ends = line.iter().rposition(|byte| *byte == b')')?;
    let rest = std::str::from_utf8(&line[name_ends + 1..]).ok()?;
    let mut fields = rest.split_ascii_whitespace().skip(11).map(str::parse::<u64>);
    Some(fields.next()?.ok()? + fields.next()?.ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_read_behind_a_name_that_looks_like_figures() {
        let line = b"31 (x) S 1 2 (3) R 1 1 1 0 -1 4194304 1 2 3 4 11 70 7 8 20 0 1 0 5 9 9";
        assert_eq!(used_ticks(line), Some(81));
        assert_eq!(used_ticks(b"31 (x) S 1 1"), None);
        assert_eq!(used_ticks(b""), None);
    }
}
