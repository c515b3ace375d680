//! What upbeat and its agents' processes use: processor time and memory, as the process table tells it.
//!
//! Time of processes that have ended is found with whoever waited for them: descendants, reapers, or upbeat itself. So the
//! sum over all that live, each with what it has waited for, misses nobody but those whose parents ignored their end.

use crate::model::view::MachineView;
use tokio::time::Instant;

/// Looks again and again, and tells what was used between two looks.
#[derive(Debug, Default)]
pub struct Sampler {
    last: Option<Sample>,
}

#[derive(Clone, Copy, Debug)]
struct Sample {
    at: Instant,
    own_cpu_s: f64,
    children_cpu_s: f64,
}

impl Sampler {
    /// Looks. `None` the first time, for there is no time to compare with, and where there is no process table.
    pub fn look(&mut self, now: Instant) -> Option<MachineView> {
        let (mut view, sample) = imp::look(now)?;
        let last = self.last.replace(sample)?;
        let over_s = (now - last.at).as_secs_f64();
        if over_s <= 0.0 {
            return None;
        }
        // A process may be missed by one look and found by the next: no share is below nothing.
        let share = |now: f64, then: f64| ((now - then) / over_s).max(0.0);
        view.cpu_share = share(sample.own_cpu_s, last.own_cpu_s);
        view.children_cpu_share = share(sample.children_cpu_s, last.children_cpu_s);
        Some(view)
    }
}

#[cfg(target_os = "linux")]
mod imp {
    use super::{Instant, MachineView, Sample};
    use crate::runtime::reaper::own::is_known;
    use crate::runtime::reaper::table::Proc;
    use crate::runtime::reaper::tree::TICKS_PER_S;
    use std::collections::BTreeSet;

    pub(super) fn look(at: Instant) -> Option<(MachineView, Sample)> {
        let proc = Proc::system();
        let me = proc.process(std::process::id())?;
        let mut view = MachineView { rss_bytes: proc.resident(me.id), ..MachineView::default() };
        let mut children_ticks = me.reaped_ticks;
        for process in proc.descendants(me.id, &BTreeSet::new()) {
            children_ticks += process.reaped_ticks;
            // Reapers are no agents: they count only for what they have waited for.
            if process.parent == me.id && is_known(process.id) {
                continue;
            }
            children_ticks += process.own_ticks;
            if !process.zombie {
                view.children += 1;
                view.children_rss_bytes += proc.resident(process.id);
            }
        }
        let seconds =
            |ticks: u64| std::time::Duration::from_millis(ticks.saturating_mul(1_000 / TICKS_PER_S)).as_secs_f64();
        let sample = Sample { at, own_cpu_s: seconds(me.own_ticks), children_cpu_s: seconds(children_ticks) };
        Some((view, sample))
    }
}

#[cfg(not(target_os = "linux"))]
mod imp {
    use super::{Instant, MachineView, Sample};

    pub(super) fn look(_at: Instant) -> Option<(MachineView, Sample)> {
        None
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn figures_are_of_the_time_between_two_looks() {
        let (mut sampler, began) = (Sampler::default(), crate::runtime::clock::now());
        assert_eq!(sampler.look(began), None, "nothing to compare with");
        assert_eq!(sampler.look(began), None, "no time has passed");
        let mut rounds = 0_u64;
        let view = loop {
            // Work that the optimiser cannot know the end of; the clock's tick is 10 ms.
            rounds = (0..1_000_000).fold(rounds, |sum, n| std::hint::black_box(sum ^ n));
            let before = sampler.last;
            let view = sampler.look(began + Duration::from_secs(1)).unwrap();
            if view.cpu_share > 0.0 {
                break view;
            }
            sampler.last = before;
            assert!(began.elapsed() < Duration::from_secs(60), "it never used a tick");
        };
        assert!(view.rss_bytes > 1_000_000, "{view:?}");
    }
}
