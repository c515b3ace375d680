//! When to draw: after a change at most thirty times a second, after a key at once (but not within 8 ms), and while
//! something moves by itself ten times a second. Nothing changes and nothing moves: never.

use crate::model::state::{BreakerState, RunState, StepState};
use crate::model::time::Micros;
use crate::model::view::{EngineView, RunView};

/// Between two frames that nobody waits for.
const CALM: Micros = Micros::from_millis(33);
/// Between two frames of which the second answers a key.
const QUICK: Micros = Micros::from_millis(8);
/// Between two frames in which only time has passed.
const MOVING: Micros = Micros::from_millis(100);
const TICKING: Micros = Micros::from_millis(1_000);

/// Keeps the times of frames.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pacer {
    last: Option<Micros>,
    /// When the next frame is due.
    due: Option<Micros>,
}

impl Pacer {
    fn want(&mut self, now: Micros, gap: Micros) {
        let at = self.last.map_or(now, |last| (last + gap).max(now));
        self.due = Some(self.due.map_or(at, |due| due.min(at)));
    }
    /// Something has changed.
    pub(crate) fn changed(&mut self, now: Micros) {
        self.want(now, CALM);
    }
    /// A person waits for the answer to a key.
    pub(crate) fn pressed(&mut self, now: Micros) {
        self.want(now, QUICK);
    }
    /// Whether a frame is due.
    pub(crate) fn is_due(&self, now: Micros) -> bool {
        self.due.is_some_and(|due| due <= now)
    }
    /// A frame was drawn.
    pub(crate) fn drawn(&mut self, now: Micros) {
        self.last = Some(now);
        self.due = None;
    }
    /// When to wake: the next frame due, or the next one that time alone asks for.
    pub(crate) fn wake(&self, now: Micros, moves: Option<Micros>) -> Option<Micros> {
        let moving = moves.map(|gap| self.last.map_or(now, |last| last + gap));
        match (self.due, moving) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }
}

/// How often time alone changes the picture; `None`: never.
pub(crate) fn moves(view: &EngineView, run: Option<&RunView>, looked_at: bool) -> Option<Micros> {
    let run = run.filter(|_| view.clock_rate > 0.0)?;
    let waits = run.counts.of(StepState::Waiting) > 0;
    let works = run.counts.active() > 0 || view.agents.iter().any(|agent| !agent.busy.is_empty());
    // Agents that take work again by themselves, with the time until then on the screen.
    let heals = view.agents.iter().any(|agent| {
        let open = matches!(agent.breaker, Some(BreakerState::Open { .. }));
        open || agent.parked.is_some() || agent.broken.as_ref().is_some_and(|broken| broken.until.is_some())
    });
    if run.frozen {
        return heals.then_some(TICKING);
    }
    let under_way = !run.state.ended() && run.state != RunState::Pending;
    if under_way && looked_at && (works || (waits && run.state == RunState::Running)) {
        Some(MOVING)
    } else if (under_way && (heals || run.state != RunState::Paused)) || works {
        Some(TICKING)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::tests::held;

    const fn ms(n: u64) -> Micros {
        Micros::from_millis(n)
    }

    #[test]
    fn changes_wait_for_the_next_frame_and_keys_do_not() {
        let mut pacer = Pacer::default();
        pacer.changed(ms(0));
        assert!(pacer.is_due(ms(0)), "the first frame is due at once");
        pacer.drawn(ms(0));
        assert!(!pacer.is_due(ms(500)), "nothing changed");
        pacer.drawn(ms(500));
        pacer.changed(ms(510));
        assert!(!pacer.is_due(ms(532)) && pacer.is_due(ms(533)));
        pacer.pressed(ms(512));
        assert!(pacer.is_due(ms(512)), "8 ms after the last one are over");
        pacer.drawn(ms(512));
        pacer.pressed(ms(513));
        assert!(!pacer.is_due(ms(519)) && pacer.is_due(ms(520)));
    }

    #[test]
    fn without_change_and_motion_there_is_nothing_to_wake_for() {
        let mut pacer = Pacer::default();
        pacer.drawn(ms(7));
        assert_eq!(pacer.wake(ms(8), None), None);
        assert_eq!(pacer.wake(ms(8), Some(MOVING)), Some(ms(107)));
        assert_eq!(moves(&EngineView::default(), None, true), None);
    }

    #[test]
    fn countdowns_of_agents_tick_and_what_is_frozen_stands_still() {
        let mut view = held::held();
        assert_eq!(moves(&view, Some(&view.runs[0]), true), Some(MOVING));
        view.runs[0].frozen = true;
        assert_eq!(moves(&view, Some(&view.runs[0]), true), Some(TICKING), "a breaker's time runs on");
        for agent in &mut view.agents {
            (agent.breaker, agent.parked, agent.broken) = (None, None, None);
        }
        assert_eq!(moves(&view, Some(&view.runs[0]), true), None);
    }
}
