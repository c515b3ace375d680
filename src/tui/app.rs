//! What the panel itself knows: focus, selection, scroll, search, what lies on top. Everything else is in the engine's
//! view. Selections are ids, not rows, so nothing slips when the list grows.

use super::arrange::{Arranged, Pane, arrange, remember};
use super::caps::Capabilities;
use super::dialogs::Dialogs;
use super::graph::plan::{Drawing, Wish};
use super::graph::viewport::Viewport;
use super::logbook::Logbook;
use super::texts::Texts;
use crate::model::command::Command;
use crate::model::id::{AgentId, RunId, StepId};
use crate::model::safe::Safe;
use crate::model::state::{EndCause, RunState, StepState};
use crate::model::time::Micros;
use crate::model::view::{EngineView, RunView, Saving};
use crate::report::graph::{Area, Direction};
use crate::report::look::Role;
use ratatui::layout::Rect;
use std::sync::Arc;

/// A toast stays at least so long, and longer for longer texts.
const TOAST_LEAST: Micros = Micros::from_secs(4);
const TOAST_PER_CHARACTER: Micros = Micros::from_millis(50);
/// More toasts than this are too many to read: the oldest go.
const TOASTS_MAX: usize = 4;

/// A message that goes by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Toast {
    /// What it says.
    pub(crate) text: Safe,
    /// What sort of news it is.
    pub(crate) role: Role,
    /// When it goes, by the panel's clock.
    pub(crate) until: Micros,
}

/// Something that has to be answered with yes or no.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Question {
    /// What will happen, one line each.
    pub(crate) lines: Vec<String>,
    /// What is done on yes.
    pub(crate) yes: Answer,
}

/// What a yes does.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Answer {
    /// A command is sent.
    Command(Command),
    /// The panel ends the run and itself.
    Quit,
}

/// What lies on top of the panes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Overlay {
    /// The keys; the first line shown.
    Help(usize),
    /// Why the selected step is where it is; the first line shown.
    Why(usize),
    /// A question.
    Ask(Question),
    /// Something that takes more than a yes or no.
    Dialog(Dialogs),
}

/// What the inspector is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Subject {
    /// The selected step.
    #[default]
    Step,
    /// The selected agent.
    Agent,
    /// The run, in figures.
    Run,
}

/// The panel is on its way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ending {
    /// Why.
    pub(crate) cause: EndCause,
    /// Asked for again: without grace.
    pub(crate) forced: bool,
}

/// The graph pane.
#[derive(Clone, Debug, Default)]
pub(crate) struct GraphPane {
    /// The way edges flow, where somebody asked for one.
    pub(crate) direction: Option<Direction>,
    /// What is in view.
    pub(crate) viewport: Viewport,
    /// The picture, once there is one.
    pub(crate) drawing: Option<Arc<Drawing>>,
    /// What the picture was asked for.
    pub(crate) wish: Option<Wish>,
    /// A picture is being made.
    pub(crate) awaited: bool,
    /// By step: whether it is the selected one, leads to it or comes from it.
    pub(crate) lineage: Vec<bool>,
    lineage_of: Option<(StepId, usize)>,
}

/// First rows shown.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tops {
    pub(crate) steps: usize,
    pub(crate) list: usize,
    pub(crate) inspector: usize,
}

/// The panel's own state.
#[derive(Clone, Debug, Default)]
pub(crate) struct App {
    pub(crate) caps: Capabilities,
    /// The run that is shown.
    pub(crate) run: Option<RunId>,
    /// Where everything is on the screen.
    pub(crate) at: Arranged,
    pub(crate) focus: Pane,
    others: Option<(Pane, Pane)>,
    pub(crate) zoomed: bool,
    /// The selected step.
    pub(crate) step: Option<StepId>,
    /// The selection moves with the run.
    pub(crate) follows: bool,
    /// The selected agent.
    pub(crate) agent: Option<AgentId>,
    /// What the inspector was last asked to be about.
    pub(crate) subject: Subject,
    pub(crate) graph: GraphPane,
    pub(crate) tops: Tops,
    pub(crate) book: Logbook,
    /// The log pane shows what upbeat says about itself.
    pub(crate) diagnostics: bool,
    /// What is searched for in the lists.
    pub(crate) query: String,
    /// What is being typed.
    pub(crate) prompt: Option<String>,
    pub(crate) overlay: Option<Overlay>,
    pub(crate) toasts: Vec<Toast>,
    pub(crate) ending: Option<Ending>,
    pub(crate) texts: Texts,
    /// The panel's own clock, as of the last look.
    pub(crate) now: Micros,
    /// Rows of the inspector and of the overlay, as drawn last: scrolling ends there.
    pub(crate) inspector_rows: usize,
    pub(crate) overlay_rows: usize,
    /// Rows of a dialog's text that do not fit.
    pub(crate) beyond: usize,
}

impl App {
    /// A panel on a run.
    pub(crate) fn new(caps: Capabilities, run: RunId) -> Self {
        Self { caps, run: Some(run), follows: true, ..Self::default() }
    }

    /// The run in a view.
    pub(crate) fn run_in<'v>(&self, view: &'v EngineView) -> Option<&'v RunView> {
        view.runs.iter().find(|run| Some(run.id) == self.run)
    }

    /// Shows a message for as long as it takes to read.
    pub(crate) fn toast(&mut self, role: Role, text: &str) {
        let text = Safe::line(text);
        let reading = Micros(TOAST_PER_CHARACTER.0 * text.as_str().chars().count() as u64);
        let until = self.now + TOAST_LEAST + reading;
        self.toasts.retain(|toast| toast.text != text);
        if self.toasts.len() == TOASTS_MAX {
            self.toasts.remove(0);
        }
        self.toasts.push(Toast { text, role, until });
    }

    /// Lets time pass; tells whether a toast went.
    pub(crate) fn tick(&mut self, now: Micros) -> bool {
        self.now = now;
        let before = self.toasts.len();
        self.toasts.retain(|toast| toast.until > now);
        before != self.toasts.len()
    }

    /// Takes in a new view: names, and the selection that follows the run.
    pub(crate) fn absorb(&mut self, view: &EngineView) {
        let Some(run) = self.run_in(view) else { return };
        self.texts.refresh(view, run);
        let known = |step: StepId| step.index() < run.steps.len();
        self.step = self.step.filter(|step| known(*step)).or_else(|| run.shape.order.first().copied());
        if self.follows {
            let at_work = |step: StepId| run.steps.get(step.index()).is_some_and(|step| step.state.active());
            let failed = |step: StepId| run.steps.get(step.index()).is_some_and(|s| s.state == StepState::Failed);
            let asks = |step: StepId| {
                run.steps.get(step.index()).is_some_and(|step| {
                    let waits = step.wait.as_ref().is_some_and(|(why, _)| why.asks_a_person());
                    step.state == StepState::Unknown || (step.state == StepState::Waiting && waits)
                })
            };
            let mut order = run.shape.order.iter().copied();
            let mut in_question = run.shape.order.iter().copied();
            // At the end it goes to what failed: that is what one would look for.
            let next = if run.state.ended() && !self.step.is_some_and(failed) {
                order.find(|step| failed(*step))
            } else if self.step.is_some_and(at_work) || run.state.ended() {
                None
            } else {
                // Where nothing runs, a step that a person has to decide about is what keeps the run waiting.
                order.find(|step| at_work(*step)).or_else(|| in_question.find(|step| asks(*step)))
            };
            if let Some(next) = next {
                self.select(next);
            }
        }
        self.drop_moot_question(view, run);
        self.agent =
            self.agent.filter(|agent| agent.index() < view.agents.len()).or(view.agents.first().map(|agent| agent.id));
    }

    /// A question that events have answered is not asked any longer.
    fn drop_moot_question(&mut self, view: &EngineView, run: &RunView) {
        let Some(Overlay::Ask(question)) = &self.overlay else { return };
        let moot = match question.yes {
            Answer::Quit => under_way(view).next().is_none(),
            Answer::Command(Command::CancelStep { step, .. } | Command::SkipStep { step, .. }) => {
                run.steps.get(step.index()).is_none_or(|step| step.state.ended())
            }
            Answer::Command(_) => false,
        };
        if moot {
            self.overlay = None;
            self.toast(Role::Ready, "it ended before the question was answered");
        }
    }

    /// Selects a step; the graph comes along.
    pub(crate) const fn select(&mut self, step: StepId) {
        self.step = Some(step);
        self.graph.viewport.held = false;
        self.tops.inspector = 0;
    }

    /// Focuses a pane.
    pub(crate) fn focus(&mut self, pane: Pane) {
        self.focus = pane;
        let subject = match pane {
            Pane::Graph | Pane::Steps => Subject::Step,
            Pane::Agents => Subject::Agent,
            Pane::Logs | Pane::Inspector => self.subject,
        };
        if subject != self.subject {
            self.tops.inspector = 0;
        }
        self.subject = subject;
        self.others = Some(remember(self.sides(), pane));
    }

    /// What the inspector is about: at the end of a run that went well, the run, until somebody selects something.
    pub(crate) fn subject(&self, run: &RunView) -> Subject {
        let well = run.state.ended() && run.counts.of(StepState::Failed) == 0;
        if self.subject == Subject::Step && self.follows && well { Subject::Run } else { self.subject }
    }

    /// Whether keys for an agent mean the selected one: it is what one looks at.
    pub(crate) fn on_agent(&self) -> bool {
        self.focus == Pane::Agents || (self.focus == Pane::Inspector && self.subject == Subject::Agent)
    }

    fn sides(&self) -> (Pane, Pane) {
        self.others.unwrap_or((Pane::Graph, Pane::Agents))
    }

    /// Rows inside a pane's frame.
    pub(crate) fn rows_of(&self, pane: Pane) -> usize {
        self.at.of(pane).map_or(1, |area| usize::from(inner(area).height))
    }

    /// Brings everything that depends on the screen's size into place: call before drawing.
    pub(crate) fn settle(&mut self, screen: Rect, view: &EngineView) {
        self.at = arrange(screen, self.focus, self.zoomed, self.sides());
        let Some(run) = self.run_in(view) else { return };
        let row = self.step.map_or(0, |step| self.texts.row(step));
        let count = self.texts.order().len();
        // One row of the table is its heading.
        let (table, list) = (self.rows_of(Pane::Steps).saturating_sub(1), self.rows_of(Pane::Graph));
        keep_in_view(&mut self.tops.steps, row, count, table);
        keep_in_view(&mut self.tops.list, row, count, list);
        self.settle_lineage(run);
        let room = self.at.of(Pane::Graph).map(inner).map_or((0, 0), |area| (area.width, area.height));
        if let Some(drawing) = &self.graph.drawing {
            let selected = self.step.and_then(|step| drawing.layout.nodes.get(step.index())).map(|node| node.area);
            self.graph.viewport.settle(&drawing.layout, (i32::from(room.0), i32::from(room.1)), selected);
        }
    }

    /// The picture the graph pane wants, if it wants another one than it has.
    pub(crate) fn wished(&self, view: &EngineView) -> Option<Wish> {
        let run = self.run_in(view)?;
        let room = self.at.of(Pane::Graph).filter(|_| !self.at.graph_as_list).map(inner)?;
        let wish = Wish {
            workflow: run.workflow.clone(),
            shape: run.shape.clone(),
            direction: self.graph.direction,
            room: (room.width, room.height),
        };
        (wish.drawable() && self.graph.wish.as_ref() != Some(&wish)).then_some(wish)
    }

    /// The selected step, what leads to it and what comes from it.
    fn settle_lineage(&mut self, run: &RunView) {
        let wanted = self.step.map(|step| (step, run.steps.len()));
        if self.graph.lineage_of == wanted {
            return;
        }
        self.graph.lineage_of = wanted;
        self.graph.lineage = vec![false; run.steps.len()];
        let Some(step) = self.step else { return };
        let lineage = &mut self.graph.lineage;
        for upward in [true, false] {
            let mut open = vec![step];
            while let Some(at) = open.pop() {
                if let Some(mark) = lineage.get_mut(at.index()) {
                    if *mark && at != step {
                        continue;
                    }
                    *mark = true;
                }
                if upward {
                    open.extend(run.workflow.steps.get(at.index()).into_iter().flat_map(|s| &s.needs).map(|n| n.step));
                } else {
                    open.extend(run.shape.dependents.get(at.index()).into_iter().flatten());
                }
            }
        }
    }

    /// The box of the selected step in the picture.
    pub(crate) fn node_at(&self, x: i32, y: i32) -> Option<StepId> {
        let drawing = self.graph.drawing.as_ref()?;
        let cell = crate::report::graph::Point { x, y };
        drawing.layout.node_at(cell).map(StepId)
    }

    /// The part of the picture that is in view.
    pub(crate) fn graph_view(&self, room: Rect) -> Area {
        self.graph.viewport.area((i32::from(room.width), i32::from(room.height)))
    }
}

/// The cells inside a frame.
pub(crate) const fn inner(area: Rect) -> Rect {
    Rect {
        x: area.x + if area.width > 1 { 1 } else { 0 },
        y: area.y + if area.height > 1 { 1 } else { 0 },
        width: area.width.saturating_sub(2),
        height: area.height.saturating_sub(2),
    }
}

/// The same with a free column on either side, where there is room for it.
pub(crate) const fn padded(area: Rect) -> Rect {
    let inside = inner(area);
    if inside.width < 34 { inside } else { Rect { x: inside.x + 1, width: inside.width - 2, ..inside } }
}

/// Moves the first row shown as little as needed for `row` to be seen.
fn keep_in_view(top: &mut usize, row: usize, count: usize, rows: usize) {
    let rows = rows.max(1);
    *top = (*top).clamp(row.saturating_sub(rows - 1), row).min(count.saturating_sub(rows));
}

/// Runs that have to be ended, or saved and left, before upbeat may end.
pub(crate) fn under_way(view: &EngineView) -> impl Iterator<Item = &RunView> {
    let saved = view.store.saving != Saving::Nothing;
    view.runs.iter().filter(move |run| match run.state {
        RunState::Pending => false,
        RunState::Paused => !saved || run.counts.active() > 0,
        state => !state.ended(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_toast_stays_at_least_four_seconds_and_longer_for_longer_texts() {
        let mut app = App::default();
        app.toast(Role::Bad, "no");
        app.toast(Role::Bad, &"a long reason ".repeat(10));
        app.tick(Micros::from_secs(4));
        assert_eq!(app.toasts.len(), 2);
        app.tick(Micros::from_millis(4_200));
        assert_eq!(app.toasts.len(), 1);
        app.tick(Micros::from_secs(12));
        assert!(app.toasts.is_empty());
    }

    #[test]
    fn the_same_toast_is_not_shown_twice() {
        let mut app = App::default();
        for _ in 0..3 {
            app.toast(Role::Bad, "no");
        }
        assert_eq!(app.toasts.len(), 1);
    }

    #[test]
    fn a_list_scrolls_no_further_than_it_must() {
        let mut top = 0;
        keep_in_view(&mut top, 9, 100, 10);
        assert_eq!(top, 0);
        keep_in_view(&mut top, 10, 100, 10);
        assert_eq!(top, 1);
        keep_in_view(&mut top, 99, 100, 10);
        assert_eq!(top, 90);
        keep_in_view(&mut top, 95, 100, 20);
        assert_eq!(top, 80, "a taller pane shows no emptiness while there are rows");
        keep_in_view(&mut top, 0, 0, 0);
        assert_eq!(top, 0);
    }
}
