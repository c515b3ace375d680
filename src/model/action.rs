//! The one table of keys: what every key of the panel means. Help, footer, `upbeat keys`, the README's list and the
//! conflict test are made from it.
//!
//! It lives here because both the panel and the command line speak of it; what an action does is decided in
//! `tui::update` alone.

/// What a key means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each one is documented in ACTIONS, where people read it")]
pub enum Action {
    Start,
    PauseOrResume,
    Resume,
    Freeze,
    CancelStep,
    CancelMore,
    RetryStep,
    SkipStep,
    Answer,
    FailAgent,
    InjectFault,
    Heal,
    ClearFaults,
    Breaker,
    PriorityUp,
    PriorityDown,
    CompleteStep,
    ReassignStep,
    EditGraph,
    FocusNext,
    FocusPrevious,
    FocusGraph,
    FocusSteps,
    FocusAgents,
    FocusLogs,
    FocusTimeline,
    FocusInspector,
    Zoom,
    Direction,
    Up,
    Down,
    Left,
    Right,
    First,
    Last,
    PageUp,
    PageDown,
    HalfPageUp,
    HalfPageDown,
    MoreDetail,
    LessDetail,
    Fold,
    Open,
    Back,
    PreviousTab,
    NextTab,
    Wrap,
    Search,
    SearchNext,
    SearchPrevious,
    Follow,
    NextFailed,
    HideFinished,
    Palette,
    TimeTravel,
    Copy,
    Why,
    Help,
    Quit,
    Interrupt,
    Suspend,
    Redraw,
}

/// Where the footer and the help list an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Section {
    /// Steering the run.
    Run,
    /// Steering a step.
    Step,
    /// Breaking and healing.
    Faults,
    /// Moving about.
    Move,
    /// Panes and views.
    View,
    /// Finding things.
    Find,
    /// Leaving.
    Leave,
}

impl Section {
    /// All, in the order of the help.
    pub const ALL: [Self; 7] = [Self::Run, Self::Step, Self::Faults, Self::Move, Self::View, Self::Find, Self::Leave];
    /// Its heading.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Run => "the run",
            Self::Step => "the selected step",
            Self::Faults => "break and heal",
            Self::Move => "move",
            Self::View => "panes and views",
            Self::Find => "find",
            Self::Leave => "leave",
        }
    }
}

/// Whether an action can be taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Danger {
    /// Acts at once, can be taken back.
    None,
    /// Asks first, and names what will happen.
    Asks,
}

/// A row of the table.
#[derive(Clone, Copy, Debug)]
pub struct ActionRow {
    /// The action.
    pub action: Action,
    /// Its name in configuration and in the palette.
    pub name: &'static str,
    /// The default keys, in the notation of `crokey` (`ctrl-c`, `shift-tab`); capitals are written as such.
    pub keys: &'static [&'static str],
    /// One or two words for the footer.
    pub hint: &'static str,
    /// What it does, for people.
    pub doc: &'static str,
    /// Where it is listed.
    pub section: Section,
    /// Whether it asks first.
    pub danger: Danger,
    /// Whether this build can do it; otherwise the key says that it comes later.
    pub built: bool,
}

const fn row(
    action: Action,
    name: &'static str,
    keys: &'static [&'static str],
    hint: &'static str,
    doc: &'static str,
    section: Section,
) -> ActionRow {
    ActionRow { action, name, keys, hint, doc, section, danger: Danger::None, built: true }
}

const fn asks(row: ActionRow) -> ActionRow {
    ActionRow { danger: Danger::Asks, ..row }
}

const fn later(row: ActionRow) -> ActionRow {
    ActionRow { built: false, ..row }
}

use Section::{Faults, Find, Leave, Move, Run, Step, View};

/// Every action, in the order of the help.
pub const ACTIONS: &[ActionRow] = &[
    row(Action::Start, "start", &["s"], "start", "start the run", Run),
    row(Action::PauseOrResume, "pause", &["p"], "pause", "pause (running steps end first) or resume", Run),
    row(Action::Resume, "resume", &["r"], "resume", "resume", Run),
    row(Action::Freeze, "freeze", &["P"], "freeze", "freeze: running processes are halted too; or resume", Run),
    asks(row(
        Action::CancelMore,
        "cancel-more",
        &["C"],
        "end or undo…",
        "end or undo: by agent, capability, action or priority, the whole run; stop; roll back",
        Run,
    )),
    later(row(Action::EditGraph, "edit", &["e"], "edit", "edit the graph: add, drop, rewire pending steps", Run)),
    asks(row(
        Action::CancelStep,
        "cancel",
        &["c"],
        "cancel",
        "cancel the selected step; names its dependents and asks; again: at once",
        Step,
    )),
    row(Action::RetryStep, "retry", &["R"], "retry", "retry the selected step", Step),
    asks(row(Action::SkipStep, "skip", &["S"], "skip", "skip the selected step; what needs it goes on", Step)),
    row(Action::PriorityUp, "priority-up", &[">"], "priority up", "raise the priority of the selected step", Step),
    row(
        Action::PriorityDown,
        "priority-down",
        &["<"],
        "priority down",
        "lower the priority of the selected step",
        Step,
    ),
    asks(row(
        Action::CompleteStep,
        "complete",
        &["m"],
        "complete…",
        "complete the selected step by hand, with a value",
        Step,
    )),
    asks(row(Action::ReassignStep, "reassign", &["A"], "reassign…", "give the selected step to another agent", Step)),
    asks(row(Action::Answer, "answer", &["a"], "answer…", "answer what the selected step or the run asks", Step)),
    row(Action::Why, "why", &["w"], "why", "why is this step not running?", Step),
    row(
        Action::FailAgent,
        "fail-agent",
        &["x"],
        "fail agent",
        "break the selected agent, or the one that runs the selected step",
        Faults,
    ),
    asks(later(row(Action::InjectFault, "inject", &["X"], "fault…", "choose a fault, its target and limits", Faults))),
    row(
        Action::Heal,
        "heal",
        &["u"],
        "heal",
        "heal the selected agent, or the one that the selected step needs",
        Faults,
    ),
    asks(later(row(Action::ClearFaults, "clear-faults", &["U"], "clear faults", "clear all faults", Faults))),
    row(
        Action::Breaker,
        "breaker",
        &["b"],
        "breaker",
        "the agent's breaker: automatic, forced open, forced closed",
        Faults,
    ),
    row(Action::Up, "up", &["up", "k"], "up", "up; in the graph: to the neighbour above", Move),
    row(Action::Down, "down", &["down", "j"], "down", "down; in the graph: to the neighbour below", Move),
    row(Action::Left, "left", &["left", "h"], "left", "left; in the graph: to what it needs", Move),
    row(Action::Right, "right", &["right", "l"], "right", "right; in the graph: to what needs it", Move),
    row(Action::First, "first", &["g", "home"], "first", "to the first", Move),
    row(Action::Last, "last", &["G", "end"], "last", "to the last", Move),
    row(Action::PageUp, "page-up", &["pageup"], "page up", "a page up", Move),
    row(Action::PageDown, "page-down", &["pagedown"], "page down", "a page down", Move),
    row(Action::HalfPageUp, "half-page-up", &["ctrl-u"], "half page up", "half a page up", Move),
    row(Action::HalfPageDown, "half-page-down", &["ctrl-d"], "half page down", "half a page down", Move),
    row(Action::FocusNext, "focus-next", &["tab"], "next pane", "focus the next pane", View),
    row(Action::FocusPrevious, "focus-previous", &["shift-tab"], "previous pane", "focus the previous pane", View),
    row(Action::FocusGraph, "graph", &["1"], "graph", "focus the graph", View),
    row(Action::FocusSteps, "steps", &["2"], "steps", "focus the steps", View),
    row(Action::FocusAgents, "agents", &["3"], "agents", "focus the agents", View),
    row(Action::FocusLogs, "logs", &["4"], "logs", "focus the logs; again: upbeat's own diagnostics", View),
    later(row(Action::FocusTimeline, "timeline", &["5"], "timeline", "focus the timeline", View)),
    row(
        Action::FocusInspector,
        "inspector",
        &["6"],
        "inspector",
        "focus the inspector; again: the run in figures, and back",
        View,
    ),
    row(Action::Zoom, "zoom", &["z"], "zoom", "give the focused pane the whole screen, and back", View),
    row(Action::Direction, "direction", &["v"], "direction", "lay the graph out left to right or top to bottom", View),
    later(row(Action::MoreDetail, "more", &["+"], "more", "more detail in the graph", View)),
    later(row(Action::LessDetail, "less", &["-"], "less", "less detail in the graph", View)),
    later(row(Action::Fold, "fold", &["space"], "fold", "fold or mark", View)),
    row(Action::Open, "open", &["enter"], "open", "open what is selected in the inspector", View),
    row(Action::Back, "back", &["esc"], "back", "close what is open, end a search, leave the zoom", View),
    later(row(Action::PreviousTab, "previous-tab", &["["], "previous tab", "previous tab, sort column or level", View)),
    later(row(Action::NextTab, "next-tab", &["]"], "next tab", "next tab, sort column or level", View)),
    later(row(Action::Wrap, "wrap", &["W"], "wrap", "wrap long lines", View)),
    row(Action::Follow, "follow", &["f"], "follow", "follow the running step; in the logs: the newest line", View),
    later(row(Action::HideFinished, "hide-finished", &["."], "hide finished", "hide what is finished", View)),
    row(Action::Redraw, "redraw", &["ctrl-l"], "redraw", "draw the screen anew", View),
    row(Action::Search, "search", &["/"], "search", "search in the focused pane", Find),
    row(Action::SearchNext, "search-next", &["n"], "next", "next match", Find),
    row(Action::SearchPrevious, "search-previous", &["N"], "previous", "previous match", Find),
    later(row(Action::NextFailed, "next-failed", &["F"], "next failed", "next failed step", Find)),
    later(row(Action::Palette, "palette", &[":"], "command", "palette: every action and step", Find)),
    later(row(Action::TimeTravel, "time-travel", &["t"], "travel", "time travel through the run's events", Find)),
    row(Action::Copy, "copy", &["y"], "copy", "copy the focused line or selection to the clipboard", Find),
    row(Action::Help, "help", &["?", "f1"], "help", "this help", Leave),
    asks(row(Action::Quit, "quit", &["q"], "quit", "quit; asks once while a run is under way", Leave)),
    row(Action::Interrupt, "interrupt", &["ctrl-c"], "quit", "quit; pressed twice: at once", Leave),
    row(Action::Suspend, "suspend", &["ctrl-z"], "suspend", "suspend upbeat; `fg` brings it back", Leave),
];

/// The row of an action.
#[must_use]
pub fn row_of(action: Action) -> &'static ActionRow {
    ACTIONS.iter().find(|row| row.action == action).expect("the test below proves that every action has a row")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_and_no_name_means_two_things() {
        let keys: Vec<&str> = ACTIONS.iter().flat_map(|row| row.keys).copied().collect();
        let names: Vec<&str> = ACTIONS.iter().map(|row| row.name).collect();
        for list in [keys, names] {
            let mut once = list.clone();
            once.sort_unstable();
            once.dedup();
            assert_eq!(once.len(), list.len());
        }
    }

    #[test]
    fn every_action_has_exactly_one_row() {
        let mut seen = std::collections::HashSet::new();
        assert!(ACTIONS.iter().all(|row| seen.insert(row.action)));
        assert_eq!(seen.len(), Action::Redraw as usize + 1);
    }
}
