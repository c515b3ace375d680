//! What every view is drawn from: the engine's view, the panel's state, and the moment.

use super::waits::{self, Ground};
use crate::model::id::StepId;
use crate::model::state::{RunState, SkipReason, StepState};
use crate::model::time::Micros;
use crate::model::view::{EngineView, RunSummary, RunView, StepView};
use crate::report::format::{plural, span};
use crate::report::look::{self, Look, TURNING};
use crate::runtime::logs::LogStore;
use crate::tui::app::App;
use crate::tui::theme::Theme;

/// The most names in a reason.
const NAMES_MAX: usize = 3;
/// A turning mark takes so long for a quarter.
const QUARTER: u64 = 200_000;

/// Everything a view may look at.
#[derive(Clone, Copy)]
pub(crate) struct Cx<'a> {
    pub(crate) app: &'a App,
    pub(crate) view: &'a EngineView,
    pub(crate) run: Option<&'a RunView>,
    pub(crate) log: &'a LogStore,
    /// The result, once the run has ended.
    pub(crate) summary: Option<&'a RunSummary>,
    /// Now, by the engine's clock.
    pub(crate) now: Micros,
    pub(crate) theme: Theme,
}

impl Cx<'_> {
    /// The look of a step; a running one turns while its clock runs.
    pub(crate) fn look(&self, step: &StepView) -> Look {
        if step.state == StepState::Running { self.running() } else { look::step_of(step) }
    }

    /// The look of what runs.
    pub(crate) fn running(&self) -> Look {
        let mut look = look::step(StepState::Running);
        let frozen = self.run.is_some_and(|run| run.frozen);
        if self.view.clock_rate > 0.0 && !frozen {
            look.glyph = TURNING[(self.app.now.0 / QUARTER % 4) as usize];
        }
        look
    }

    /// How long a step has been at it, or took; `None` where it never began, or its clock is stopped.
    pub(crate) fn time(&self, step: &StepView) -> Option<Micros> {
        if step.state.active() && self.run.is_some_and(|run| run.frozen) {
            return None;
        }
        let from = match step.state {
            StepState::Running | StepState::Cancelling => step.attempt_started.or(step.started),
            _ => step.started,
        }?;
        match step.state {
            StepState::Running | StepState::Cancelling => Some(self.now.saturating_sub(from)),
            _ => step.ended.map(|end| end.saturating_sub(from)),
        }
    }

    /// What words about waits are made from.
    pub(super) fn ground(&self) -> Ground<'_> {
        Ground { view: self.view, texts: &self.app.texts, now: self.now }
    }

    /// Time left until a moment, as text.
    pub(crate) fn left(&self, until: Micros) -> String {
        span(until.saturating_sub(self.now))
    }

    /// How long the run has taken, pauses left out.
    pub(crate) fn elapsed(&self, run: &RunView) -> Micros {
        let Some(started) = run.started else { return Micros::ZERO };
        // A pause stops the clock: between two views it must not run on.
        let still = run.frozen || run.state == RunState::Paused;
        let end = run.ended.unwrap_or(if still { self.view.now } else { self.now });
        end.saturating_sub(started).saturating_sub(run.paused_for)
    }

    /// What a step waits for, or why it ended as it did: a few words.
    pub(crate) fn reason(&self, run: &RunView, id: StepId) -> String {
        let Some(step) = run.steps.get(id.index()) else { return String::new() };
        let texts = &self.app.texts;
        match step.state {
            StepState::Succeeded if step.undo_failed => "it could not be undone".to_owned(),
            StepState::Waiting => waits::words(&self.ground(), step, NAMES_MAX),
            StepState::Running | StepState::Cancelling if run.frozen => "halted where it stands".to_owned(),
            StepState::Pending => self.needs(run, id),
            StepState::Unknown => "it ran when upbeat ended; R does it again".to_owned(),
            StepState::Skipped => match step.skip {
                Some(SkipReason::Upstream { need }) => format!("{} did not succeed", texts.step(need)),
                Some(SkipReason::NotNeeded { need }) => format!("{} ended well", texts.step(need)),
                Some(SkipReason::Condition) => "its condition does not hold".to_owned(),
                Some(SkipReason::ByHand) => "skipped by hand".to_owned(),
                None => String::new(),
            },
            StepState::Failed => step.failure.as_ref().map_or_else(String::new, |failure| {
                let message = crate::model::safe::Safe::line(failure.message.lines().next().unwrap_or_default());
                format!("{}: {message}", failure.class.word())
            }),
            StepState::Running | StepState::Succeeded if step.fallback.is_some() => "by its fallback".to_owned(),
            StepState::Compensated => "undone".to_owned(),
            StepState::Compensating => "being undone".to_owned(),
            StepState::Running if step.attempts > 1 => format!("attempt {}", step.attempts),
            _ => String::new(),
        }
    }

    fn needs(&self, run: &RunView, id: StepId) -> String {
        let needs = &run.workflow.step(id).needs;
        let mut open = needs.iter().filter(|need| !run.steps[need.step.index()].state.ended());
        match (open.next(), open.count() as u64) {
            (None, _) => String::new(),
            (Some(first), 0) => self.app.texts.step(first.step).to_owned(),
            (Some(_), more) => plural(more + 1, "step"),
        }
    }
}
