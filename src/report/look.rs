//! The one table of looks: how a state of a run, a step or an agent is shown, everywhere.
//!
//! Each state has a glyph of one cell, the same in plain ASCII, a word, and a colour role. A state is never told by
//! colour alone: glyph or word is always beside it. Which colour a role gets is the theme's business.

use crate::model::state::{BreakerState, RunState, StepState};
use crate::model::view::{AgentView, RunView, StepView};

/// What a colour means. Nothing on a screen is coloured for any other reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Has not begun.
    Idle,
    /// Could begin.
    Ready,
    /// Works.
    Active,
    /// Waits for something, with a reason.
    Waiting,
    /// Is being ended.
    Ending,
    /// Ended well.
    Good,
    /// Ended badly.
    Bad,
    /// Left out, or ended by a decision.
    Off,
    /// Broken on purpose.
    Fault,
}

impl Role {
    /// All roles.
    pub const ALL: [Self; 9] = [
        Self::Idle,
        Self::Ready,
        Self::Active,
        Self::Waiting,
        Self::Ending,
        Self::Good,
        Self::Bad,
        Self::Off,
        Self::Fault,
    ];
}

/// How one state looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// One cell, for terminals that can.
    pub glyph: char,
    /// One cell in ASCII.
    pub ascii: char,
    /// The word people read.
    pub word: &'static str,
    /// What its colour means.
    pub role: Role,
}

impl Look {
    const fn new(glyph: char, ascii: char, word: &'static str, role: Role) -> Self {
        Self { glyph, ascii, word, role }
    }
    /// The glyph of the set in use.
    #[must_use]
    pub const fn sign(&self, ascii: bool) -> char {
        if ascii { self.ascii } else { self.glyph }
    }
}

/// What was broken on purpose carries this mark wherever it appears.
pub const INJECTED: Look = Look::new('↯', '!', "injected", Role::Fault);

/// A run whose running processes are halted where they stand.
pub const FROZEN: Look = Look::new('▣', '#', "frozen", Role::Waiting);

/// A step that waits for a person.
pub const ASKS: Look = Look::new('◆', '@', "asks you", Role::Waiting);

/// A step whose work could not be undone.
pub const UNDO_FAILED: Look = Look::new('≠', '=', "not undone", Role::Bad);

/// Marks of a running step, one after the other; the first one is its look. ASCII has no turning mark.
pub const TURNING: [char; 4] = ['◐', '◓', '◑', '◒'];

/// The look of a step's state.
#[must_use]
pub const fn step(state: StepState) -> Look {
    match state {
        StepState::Pending => Look::new('·', '.', "pending", Role::Idle),
        StepState::Ready => Look::new('○', 'o', "ready", Role::Ready),
        StepState::Running => Look::new('◐', '*', "running", Role::Active),
        StepState::Waiting => Look::new('↻', '~', "waiting", Role::Waiting),
        StepState::Cancelling => Look::new('⊖', '%', "cancelling", Role::Ending),
        StepState::Succeeded => Look::new('✓', '+', "succeeded", Role::Good),
        StepState::Failed => Look::new('✗', 'x', "failed", Role::Bad),
        StepState::Skipped => Look::new('⊘', '-', "skipped", Role::Off),
        StepState::Cancelled => Look::new('⊗', '/', "cancelled", Role::Off),
        StepState::Unknown => Look::new('?', '?', "unknown", Role::Bad),
        StepState::Compensating => Look::new('↶', '<', "compensating", Role::Ending),
        StepState::Compensated => Look::new('↺', '&', "compensated", Role::Off),
    }
}

/// The look of a step in a run: its state, and what its state alone does not tell.
#[must_use]
pub fn step_of(step: &StepView) -> Look {
    let asks = step.wait.as_ref().is_some_and(|(why, _)| why.asks_a_person());
    match step.state {
        StepState::Waiting if asks => ASKS,
        state if step.undo_failed && state != StepState::Compensating => UNDO_FAILED,
        state => self::step(state),
    }
}

/// The look of a run: its state, and whether it is frozen.
#[must_use]
pub const fn run_of(run: &RunView) -> Look {
    if run.frozen && !run.state.ended() { FROZEN } else { self::run(run.state) }
}

/// The look of a run's state.
#[must_use]
pub const fn run(state: RunState) -> Look {
    match state {
        RunState::Pending => Look::new('○', 'o', "pending", Role::Ready),
        RunState::Running => Look::new('▶', '>', "running", Role::Active),
        RunState::Pausing => Look::new('▷', ':', "pausing", Role::Waiting),
        RunState::Paused => Look::new('‖', '=', "paused", Role::Waiting),
        RunState::Stopping => Look::new('□', '[', "stopping", Role::Ending),
        RunState::Stopped => Look::new('■', ']', "stopped", Role::Off),
        RunState::Cancelling => Look::new('⊖', '%', "cancelling", Role::Ending),
        RunState::Succeeded => Look::new('✓', '+', "succeeded", Role::Good),
        RunState::Partial => Look::new('±', '^', "partial", Role::Waiting),
        RunState::Failed => Look::new('✗', 'x', "failed", Role::Bad),
        RunState::Cancelled => Look::new('⊗', '/', "cancelled", Role::Off),
        RunState::Compensating => Look::new('↶', '<', "compensating", Role::Ending),
        RunState::Compensated => Look::new('↺', '&', "compensated", Role::Off),
        RunState::CompensationFailed => Look::new('≠', '!', "compensation failed", Role::Bad),
    }
}

/// What an agent does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AgentState {
    /// Nothing to do.
    Idle,
    /// At least one attempt is under way.
    Busy,
    /// Takes no work.
    Broken,
    /// Takes no work on purpose: somebody broke it.
    BrokenOnPurpose,
    /// Held back until nobody else is left.
    Backup,
    /// Left alone by its breaker.
    BreakerOpen,
    /// Its breaker lets one attempt through to see whether it works again.
    Probing,
    /// Takes no calls for a while.
    Parked,
}

impl AgentState {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Idle,
        Self::Busy,
        Self::Broken,
        Self::BrokenOnPurpose,
        Self::Backup,
        Self::BreakerOpen,
        Self::Probing,
        Self::Parked,
    ];

    /// Whether it takes no work now, for whatever reason.
    #[must_use]
    pub const fn is_out(self) -> bool {
        matches!(self, Self::Broken | Self::BrokenOnPurpose | Self::BreakerOpen | Self::Probing | Self::Parked)
    }
    /// What the view of an agent says.
    #[must_use]
    pub const fn of(agent: &AgentView) -> Self {
        match &agent.broken {
            Some(broken) if broken.injected => Self::BrokenOnPurpose,
            Some(_) => Self::Broken,
            None if matches!(agent.breaker, Some(BreakerState::Open { .. } | BreakerState::ForcedOpen)) => {
                Self::BreakerOpen
            }
            None if matches!(agent.breaker, Some(BreakerState::HalfOpen { .. })) => Self::Probing,
            None if !agent.busy.is_empty() => Self::Busy,
            None if agent.parked.is_some() => Self::Parked,
            None if agent.backup => Self::Backup,
            None => Self::Idle,
        }
    }
}

/// The look of an agent.
#[must_use]
pub const fn agent(state: AgentState) -> Look {
    match state {
        AgentState::Idle => Look::new('○', 'o', "idle", Role::Idle),
        AgentState::Busy => Look::new('◐', '*', "busy", Role::Active),
        AgentState::Broken => Look::new('✗', 'x', "broken", Role::Bad),
        AgentState::BrokenOnPurpose => Look::new('↯', '!', "broken", Role::Fault),
        AgentState::Backup => Look::new('◇', '_', "backup", Role::Idle),
        AgentState::BreakerOpen => Look::new('⊠', '#', "breaker open", Role::Bad),
        AgentState::Probing => Look::new('⊡', '?', "probing", Role::Waiting),
        AgentState::Parked => Look::new('◷', 'z', "parked", Role::Waiting),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;
    use unicode_width::UnicodeWidthChar;

    const RUNS: [RunState; 14] = [
        RunState::Pending,
        RunState::Running,
        RunState::Pausing,
        RunState::Paused,
        RunState::Stopping,
        RunState::Stopped,
        RunState::Cancelling,
        RunState::Succeeded,
        RunState::Partial,
        RunState::Failed,
        RunState::Cancelled,
        RunState::Compensating,
        RunState::Compensated,
        RunState::CompensationFailed,
    ];

    fn groups() -> [Vec<Look>; 3] {
        let steps = StepState::ALL.map(step).into_iter().chain([ASKS, UNDO_FAILED]);
        let runs = RUNS.map(run).into_iter().chain([FROZEN]);
        [steps.collect(), runs.collect(), AgentState::ALL.map(agent).to_vec()]
    }

    #[test]
    fn every_glyph_takes_one_cell_and_every_stand_in_is_ascii() {
        for look in groups().into_iter().flatten().chain([INJECTED]) {
            assert_eq!(look.glyph.width(), Some(1), "{look:?}");
            assert!(look.ascii.is_ascii_graphic(), "{look:?}");
        }
        assert!(TURNING.iter().all(|glyph| glyph.width() == Some(1)));
    }

    #[test]
    fn no_two_states_share_a_glyph() {
        for looks in groups() {
            for ascii in [false, true] {
                let signs: HashSet<char> = looks.iter().map(|look| look.sign(ascii)).collect();
                assert_eq!(signs.len(), looks.len());
            }
        }
    }

    #[test]
    fn words_are_those_of_the_contract() {
        assert!(StepState::ALL.iter().all(|&state| step(state).word == state.word()));
        assert!(RUNS.iter().all(|&state| run(state).word == state.word().replace('_', " ")));
    }
}
