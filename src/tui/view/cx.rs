//! What every view is drawn from: the engine's view, the panel's state, and the moment.

use crate::model::id::{AgentId, StepId};
use crate::model::state::{SkipReason, StepState, WaitReason};
use crate::model::time::Micros;
use crate::model::view::{EngineView, RunSummary, RunView, StepView};
use crate::report::format::{plural, span};
use crate::report::look::{self, Look, TURNING};
use crate::runtime::logs::LogStore;
use crate::tui::app::App;
use crate::tui::theme::Theme;

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
    pub(crate) fn look(&self, state: StepState) -> Look {
        let mut look = look::step(state);
        if state == StepState::Running && self.view.clock_rate > 0.0 {
            look.glyph = TURNING[(self.app.now.0 / QUARTER % 4) as usize];
        }
        look
    }

    /// How long a step has been at it, or took; `None` where it never began.
    pub(crate) fn time(&self, step: &StepView) -> Option<Micros> {
        let from = match step.state {
            StepState::Running | StepState::Cancelling => step.attempt_started.or(step.started),
            _ => step.started,
        }?;
        match step.state {
            StepState::Running | StepState::Cancelling => Some(self.now.saturating_sub(from)),
            _ => step.ended.map(|end| end.saturating_sub(from)),
        }
    }

    /// Time left until a moment, as text.
    pub(crate) fn left(&self, until: Micros) -> String {
        span(until.saturating_sub(self.now))
    }

    /// How long the run has taken, pauses left out.
    pub(crate) fn elapsed(&self, run: &RunView) -> Micros {
        let Some(started) = run.started else { return Micros::ZERO };
        let end = run.ended.unwrap_or(self.now);
        end.saturating_sub(started).saturating_sub(run.paused_for)
    }

    fn agent_names(&self, agents: &[AgentId]) -> String {
        match agents {
            [one] => self.app.texts.agent(*one).to_string(),
            more => plural(more.len() as u64, "agent"),
        }
    }

    fn until(&self, until: Option<Micros>) -> String {
        until.map_or_else(String::new, |until| format!(", {}", self.left(until)))
    }

    /// What a step waits for, or why it ended as it did: a few words.
    pub(crate) fn reason(&self, run: &RunView, id: StepId) -> String {
        let Some(step) = run.steps.get(id.index()) else { return String::new() };
        let texts = &self.app.texts;
        match step.state {
            StepState::Waiting => match &step.wait {
                Some((WaitReason::Backoff { retry, limit }, until)) => {
                    let when = until.map_or_else(String::new, |until| format!(" in {}", self.left(until)));
                    format!("retry {retry}/{limit}{when}")
                }
                Some((WaitReason::Capability { capability, broken }, _)) => {
                    let name = crate::model::safe::Safe::line(capability);
                    match broken.as_slice() {
                        [] => format!("no agent offers {name}"),
                        [one] => format!("{} is broken, nobody else offers {name}", texts.agent(*one)),
                        more => format!("all {} that offer {name} are broken", plural(more.len() as u64, "agent")),
                    }
                }
                Some((WaitReason::RateLimit { agents, .. }, until)) => {
                    format!("{} takes no more calls{}", self.agent_names(agents), self.until(*until))
                }
                Some((WaitReason::Breaker { agents, .. }, until)) => {
                    format!("breaker of {} open{}", self.agent_names(agents), self.until(*until))
                }
                Some((WaitReason::Approval, until)) => format!("a asks for your yes or no{}", self.until(*until)),
                Some((WaitReason::Person, _)) => "retries are spent: a, R, S or m".to_owned(),
                Some((WaitReason::Lock { lock, holder }, _)) => {
                    format!("lock {} is held by {}", crate::model::safe::Safe::line(lock), texts.step(*holder))
                }
                Some((WaitReason::Semaphore { semaphore, holders }, _)) => {
                    format!("{} is held by {}", crate::model::safe::Safe::line(semaphore), texts.list(holders, 3))
                }
                Some((WaitReason::Barrier { missing, .. }, _)) => format!("waits for {}", texts.list(missing, 3)),
                None => String::new(),
            },
            StepState::Pending => self.needs(run, id),
            StepState::Unknown => "it ran when upbeat ended; R does it again".to_owned(),
            StepState::Skipped => match step.skip {
                Some(SkipReason::Upstream { need }) => format!("{} did not succeed", texts.step(need)),
                Some(SkipReason::NotNeeded { need }) => format!("{} ended well", texts.step(need)),
                Some(SkipReason::ByHand) => "skipped by hand".to_owned(),
                None => String::new(),
            },
            StepState::Failed => step.failure.as_ref().map_or_else(String::new, |failure| {
                let message = crate::model::safe::Safe::line(failure.message.lines().next().unwrap_or_default());
                format!("{}: {message}", failure.class.word())
            }),
            StepState::Running | StepState::Succeeded if step.fallback.is_some() => "by its fallback".to_owned(),
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
