//! What keys do: each command key asks for the right thing, or says why not.

use super::fixtures::{self, RUN};
use super::screens::{Stage, press, text};
use crate::model::action::ACTIONS;
use crate::model::command::Command;
use crate::model::id::{AgentId, StepId};
use crate::model::state::{EndCause, RunState, StepState};
use crate::model::view::{EngineView, Saving, StoreTrouble, StoreView};
use crate::tui::app::Overlay;
use crate::tui::arrange::Pane;
use crate::tui::caps::Capabilities;
use crate::tui::mouse::mouse;
use crate::tui::request::Request;
use crate::tui::search::paste;
use crate::tui::steer::parting;
use ratatui::crossterm::event::{KeyModifiers, MouseButton, MouseEvent, MouseEventKind};

fn stage(view: EngineView) -> Stage {
    let mut stage = Stage::new(view, Capabilities::default());
    stage.draw(120, 40);
    stage
}

fn keys(stage: &mut Stage, keys: &[&str]) -> Vec<Request> {
    keys.iter().flat_map(|key| press(stage, key)).collect()
}

fn command(command: Command) -> Vec<Request> {
    vec![Request::Command(command)]
}

fn toast(stage: &Stage) -> String {
    stage.app.toasts.last().map_or_else(String::new, |toast| toast.text.to_string())
}

fn question(stage: &Stage) -> String {
    match &stage.app.overlay {
        Some(Overlay::Ask(question)) => question.lines.join(" | "),
        _ => String::new(),
    }
}

#[test]
fn s_starts_and_p_and_r_pause_and_resume() {
    assert_eq!(keys(&mut stage(fixtures::loaded()), &["s"]), command(Command::Start { run: RUN }));
    let mut running = stage(fixtures::busy());
    assert_eq!(keys(&mut running, &["p"]), command(Command::Pause { run: RUN }));
    running.view.runs[0].state = RunState::Paused;
    assert_eq!(keys(&mut running, &["p"]), command(Command::Resume { run: RUN }));
    assert_eq!(keys(&mut running, &["r"]), command(Command::Resume { run: RUN }));
}

#[test]
fn c_names_the_dependents_asks_and_cancels_only_on_yes() {
    let mut stage = stage(fixtures::busy());
    assert!(keys(&mut stage, &["c"]).is_empty());
    let asked = "cancel technical_analysis and 3 dependents? | risk_assessment, trading_decision, compliance_check";
    assert_eq!(question(&stage), asked);
    assert!(keys(&mut stage, &["x", "p", "n"]).is_empty(), "nothing else is done while a question stands");
    assert_eq!(stage.app.overlay, None);
    let cancel = Command::CancelStep { run: RUN, step: StepId(1) };
    assert_eq!(keys(&mut stage, &["c", "y"]), command(cancel.clone()));
    stage.view.runs[0].steps[1].state = StepState::Cancelling;
    assert_eq!(keys(&mut stage, &["c"]), command(cancel), "again: at once, nothing to ask");
}

#[test]
fn without_details_the_dependents_come_from_the_graph() {
    let mut stage = stage(fixtures::busy());
    stage.view.detail = None;
    keys(&mut stage, &["c"]);
    assert!(question(&stage).contains("3 dependents"), "{}", question(&stage));
}

#[test]
fn x_breaks_the_agent_that_runs_the_step_or_the_selected_one() {
    let mut stage = stage(fixtures::busy());
    assert_eq!(keys(&mut stage, &["x"]), command(Command::FailAgent { agent: AgentId(2) }));
    assert_eq!(keys(&mut stage, &["3", "down", "x"]), command(Command::FailAgent { agent: AgentId(1) }));
    assert!(keys(&mut stage, &["2", "G", "x"]).is_empty());
    assert!(toast(&stage).contains("no agent works on compliance_check"), "{}", toast(&stage));
}

#[test]
fn u_heals_the_selected_agent_or_the_one_the_step_needs() {
    let mut stage = stage(fixtures::busy());
    assert_eq!(keys(&mut stage, &["3", "down", "u"]), command(Command::HealAgent { agent: AgentId(1) }));
    // The selected step has moved to another agent; the broken one could still do it.
    assert_eq!(keys(&mut stage, &["2", "u"]), command(Command::HealAgent { agent: AgentId(1) }));
    assert!(keys(&mut stage, &["2", "G", "u"]).is_empty());
    assert!(toast(&stage).contains("no broken agent could do"), "{}", toast(&stage));
}

#[test]
fn retry_and_priority_concern_the_selected_step() {
    let mut stage = stage(fixtures::failing());
    keys(&mut stage, &["2", "g", "down", "down"]);
    assert_eq!(keys(&mut stage, &["R"]), command(Command::RetryStep { run: RUN, step: StepId(2) }));
    let set = |priority| command(Command::SetPriority { run: RUN, step: StepId(2), priority });
    assert_eq!(keys(&mut stage, &[">"]), set(60));
    assert_eq!(keys(&mut stage, &["<"]), set(40));
    stage.view.runs[0].steps[2].priority = 100;
    assert!(keys(&mut stage, &[">"]).is_empty());
    assert!(toast(&stage).contains("100 already"));
}

#[test]
fn q_asks_once_in_a_run_and_leaves_at_once_where_none_is_under_way() {
    let mut running = stage(fixtures::busy());
    assert!(keys(&mut running, &["q"]).is_empty());
    assert!(question(&running).contains("end the run and quit?"));
    assert_eq!(keys(&mut running, &["y"]), [Request::End { cause: EndCause::Quit, forced: false }]);
    assert!(text(&running.draw(120, 40)).contains("ending"));
    for view in [fixtures::loaded(), fixtures::finished(), EngineView::default()] {
        assert_eq!(keys(&mut stage(view), &["q"]), [Request::Leave]);
    }
    let mut by_enter = stage(fixtures::busy());
    assert_eq!(keys(&mut by_enter, &["q", "enter"]), [Request::End { cause: EndCause::Quit, forced: false }]);
    assert!(keys(&mut stage(fixtures::busy()), &["q", "esc"]).is_empty());
}

#[test]
fn a_saved_run_is_left_and_says_how_it_goes_on() {
    let saved = |mut view: EngineView| {
        view.store.saving = Saving::Normal;
        view
    };
    let mut running = stage(saved(fixtures::busy()));
    keys(&mut running, &["q"]);
    let asked = question(&running);
    assert!(asked.starts_with("leave the run and quit? | 1 step at work: ended now, done again"), "{asked}");
    assert!(asked.contains("a loss of power may take the last moments") && asked.contains("upbeat resume 7f3a"));
    assert!(text(&running.draw(200, 60)).contains("run 7f3a (saved)"));
    assert_eq!(parting(&running.view, RUN, EndCause::Quit), Command::Park { run: RUN });
    let mut paused = saved(fixtures::loaded());
    paused.runs[0].state = RunState::Paused;
    paused.runs[0].seq = 18;
    let mut paused = stage(paused);
    assert!(text(&paused.draw(120, 40)).contains("to go on · saved as 7f3a@18"));
    assert_eq!(keys(&mut paused, &["q"]), [Request::Leave], "all of it is saved already");
}

#[test]
fn a_store_that_takes_nothing_is_told_with_the_key_that_tries_again() {
    let mut stage = stage(fixtures::busy());
    let message = "no room left; make room on that disk".to_owned();
    stage.view.store = StoreView { saving: Saving::Full, trouble: Some(StoreTrouble { message, waiting: 3 }) };
    let screen = text(&stage.draw(120, 40));
    assert!(screen.contains("nothing can be saved: r tries again (3 events wait) · no room left;"), "{screen}");
    for key in ["r", "p"] {
        assert_eq!(keys(&mut stage, &[key]), command(Command::Resume { run: RUN }));
    }
}

#[test]
fn an_unknown_outcome_asks_the_person() {
    let mut view = fixtures::busy();
    let unknown = view.runs[0].steps.iter().position(|step| step.state == StepState::Running).unwrap();
    view.runs[0].steps[unknown].state = StepState::Unknown;
    view.runs[0].counts.remove(StepState::Running);
    view.runs[0].counts.add(StepState::Unknown);
    let mut stage = stage(view);
    let screen = text(&stage.draw(120, 40));
    assert!(screen.contains("what it did is not known: R does it again, c cancels it"), "{screen}");
    assert!(screen.contains("? technical_analysis") && screen.contains("2 waiting"), "{screen}");
}

#[test]
fn ctrl_c_twice_ends_at_once_also_while_ending() {
    let forced = [Request::End { cause: EndCause::Quit, forced: true }];
    assert_eq!(keys(&mut stage(fixtures::busy()), &["ctrl-c", "ctrl-c"]), forced);
    let mut ending = stage(fixtures::busy());
    keys(&mut ending, &["q", "y"]);
    assert_eq!(keys(&mut ending, &["ctrl-c"]), forced);
}

#[test]
fn every_key_that_comes_later_says_so_and_no_built_key_does() {
    for row in ACTIONS {
        let mut stage = stage(fixtures::busy());
        let requests = press(&mut stage, row.keys[0]);
        assert_eq!(toast(&stage).contains("comes later"), !row.built, "{}", row.name);
        assert!(row.built || requests.is_empty(), "{}", row.name);
    }
}

#[test]
fn every_built_key_does_something_somewhere() {
    let quiet = ["back", "search-next", "up", "first", "focus-previous"];
    for row in ACTIONS.iter().filter(|row| row.built && !quiet.contains(&row.name)) {
        let changes = Pane::ALL.iter().any(|pane| {
            let mut stage = stage(fixtures::busy());
            stage.app.focus(*pane);
            let before = text(&stage.draw(120, 40));
            let follows = stage.app.follows;
            stage.app.follows = follows && row.name != "follow";
            let step = stage.app.step;
            if row.name == "left" {
                press(&mut stage, "G");
            }
            let acted = !press(&mut stage, row.keys[0]).is_empty();
            let moved = stage.app.step != step || stage.app.follows != (follows && row.name != "follow");
            acted || moved || text(&stage.draw(120, 40)) != before
        });
        assert!(changes, "{}", row.name);
    }
}

#[test]
fn the_selection_follows_the_run_until_somebody_moves_it() {
    let mut stage = stage(fixtures::busy());
    assert_eq!(stage.app.step, Some(StepId(1)), "the first running step");
    keys(&mut stage, &["2", "up"]);
    assert_eq!(stage.app.step, Some(StepId(0)));
    stage.app.absorb(&stage.view.clone());
    assert_eq!(stage.app.step, Some(StepId(0)), "it stays where it was put");
    keys(&mut stage, &["f"]);
    assert_eq!(stage.app.step, Some(StepId(1)));
}

#[test]
fn in_the_graph_the_selection_moves_along_edges() {
    let mut stage = stage(fixtures::busy());
    stage.draw(240, 60);
    keys(&mut stage, &["1", "left"]);
    assert_eq!(stage.app.step, Some(StepId(0)));
    keys(&mut stage, &["right", "down"]);
    assert_eq!(stage.app.step, Some(StepId(2)));
    keys(&mut stage, &["l", "l"]);
    assert_eq!(stage.app.step, Some(StepId(4)));
    keys(&mut stage, &["v"]);
    stage.draw(240, 60);
    keys(&mut stage, &["k"]);
    assert_eq!(stage.app.step, Some(StepId(3)), "from top to bottom, up is back");
}

#[test]
fn a_search_jumps_while_typing_and_esc_ends_it() {
    let mut stage = stage(fixtures::busy());
    keys(&mut stage, &["2", "/", "C", "o", "m", "p"]);
    assert_eq!(stage.app.step, Some(StepId(5)));
    keys(&mut stage, &["enter", "n"]);
    assert_eq!(stage.app.step, Some(StepId(5)), "there is only one");
    keys(&mut stage, &["esc"]);
    assert!(stage.app.query.is_empty());
    keys(&mut stage, &["/", "q", "q", "enter"]);
    assert!(toast(&stage).contains("nothing here matches"), "typed letters are no commands");
}

#[test]
fn pasted_text_never_runs_a_command() {
    let mut stage = stage(fixtures::busy());
    let before = text(&stage.draw(120, 40));
    paste(&mut stage.app, "q\ny\nx");
    assert_eq!(text(&stage.draw(120, 40)), before);
    keys(&mut stage, &["/"]);
    paste(&mut stage.app, "risk\nq");
    assert_eq!(stage.app.prompt.as_deref(), Some("risk"));
    assert_eq!(stage.app.step, Some(StepId(3)));
}

#[test]
fn a_click_focuses_and_selects_and_the_wheel_scrolls_what_is_under_it() {
    let mut stage = stage(fixtures::busy());
    let screen = text(&stage.draw(120, 40));
    let act = |stage: &mut Stage, kind, column, row| {
        mouse(&mut stage.app, &stage.view, MouseEvent { kind, column, row, modifiers: KeyModifiers::NONE })
    };
    let row = screen.lines().position(|line| line.contains("· compliance_check") && line.contains("pending")).unwrap();
    act(&mut stage, MouseEventKind::Down(MouseButton::Left), 8, row as u16);
    assert_eq!((stage.app.focus, stage.app.step), (Pane::Steps, Some(StepId(5))));
    let row = screen.lines().position(|line| line.contains("◐ technical-2")).unwrap();
    act(&mut stage, MouseEventKind::Down(MouseButton::Left), 80, row as u16);
    assert_eq!((stage.app.focus, stage.app.agent), (Pane::Agents, Some(AgentId(2))));
    let logs = stage.app.at.of(Pane::Logs).unwrap();
    act(&mut stage, MouseEventKind::ScrollUp, logs.x + 2, logs.y + 2);
    assert!(!stage.app.book.follows());
    assert_eq!(stage.app.focus, Pane::Agents, "the wheel moves no focus");
}

#[test]
fn what_is_copied_is_what_is_focused() {
    let mut stage = stage(fixtures::busy());
    assert_eq!(keys(&mut stage, &["2", "y"]), [Request::Copy("technical_analysis".to_owned())]);
    assert_eq!(keys(&mut stage, &["3", "y"]), [Request::Copy("market-1".to_owned())]);
    assert_eq!(keys(&mut stage, &["4", "y"]), [Request::CopyLine(6)]);
    assert_eq!(keys(&mut stage, &["6", "y"]), [Request::CopyInspector]);
}

#[test]
fn four_twice_shows_the_diagnostics_and_enter_in_the_log_one_step() {
    let mut stage = stage(fixtures::busy());
    keys(&mut stage, &["4"]);
    assert!(!stage.app.diagnostics);
    keys(&mut stage, &["4"]);
    assert!(stage.app.diagnostics && text(&stage.draw(120, 40)).contains("own diagnostics"));
    keys(&mut stage, &["4", "enter"]);
    assert_eq!((stage.app.diagnostics, stage.app.book.scope()), (false, Some(StepId(1))));
    keys(&mut stage, &["enter"]);
    assert_eq!(stage.app.book.scope(), None);
}

#[test]
fn esc_and_a_key_in_one_go_are_both() {
    let mut stage = stage(fixtures::busy());
    keys(&mut stage, &["w"]);
    assert!(matches!(stage.app.overlay, Some(Overlay::Why(_))));
    assert_eq!(keys(&mut stage, &["alt-p"]), command(Command::Pause { run: RUN }));
    assert_eq!(stage.app.overlay, None);
}
