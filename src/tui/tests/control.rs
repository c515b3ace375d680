//! Steering by dialogs: what each key asks for, what it names before, and what happens to text that is typed.

use super::fixtures::{self, RUN};
use super::held::{self, PROMPT};
use super::screens::{Stage, press, text};
use crate::model::command::{Answer, BreakerMode, Command, Which};
use crate::model::id::{AgentId, StepId};
use crate::model::state::{BreakerState, EndCause, RunState, StepState, WaitReason};
use crate::model::view::EngineView;
use crate::tui::app::{Overlay, Subject};
use crate::tui::arrange::Pane;
use crate::tui::caps::Capabilities;
use crate::tui::request::Request;
use crate::tui::search::paste;
use ratatui::style::Modifier;
use serde_json::json;

fn stage(view: EngineView) -> Stage {
    let mut stage = Stage::new(view, Capabilities::default());
    stage.draw(120, 40);
    stage
}

fn keys(stage: &mut Stage, keys: &str) -> Vec<Command> {
    let pressed = keys.split(' ').flat_map(|key| press(stage, key));
    let commands = pressed.map(|request| match request {
        Request::Command(command) => command,
        other => panic!("{other:?}"),
    });
    commands.collect()
}

fn types(stage: &mut Stage, text: &str) {
    for c in text.chars() {
        assert!(press(stage, &c.to_string()).is_empty(), "{c} was typed, and did something");
    }
}

fn shown(stage: &mut Stage) -> String {
    text(&stage.draw(120, 40))
}

#[track_caller]
fn sees(stage: &mut Stage, words: &[&str]) {
    let screen = shown(stage);
    for word in words {
        assert!(screen.contains(*word), "“{word}” is not on\n{screen}");
    }
}

fn toast(stage: &Stage) -> String {
    stage.app.toasts.last().map_or_else(String::new, |toast| toast.text.to_string())
}

fn select(stage: &mut Stage, step: u32) {
    stage.app.focus(Pane::Steps);
    stage.app.follows = false;
    stage.app.select(StepId(step));
}

#[test]
fn capital_p_freezes_and_goes_on() {
    let mut running = stage(fixtures::busy());
    assert_eq!(keys(&mut running, "P"), [Command::Freeze { run: RUN }]);
    let mut frozen = stage(held::frozen());
    sees(&mut frozen, &["▣ frozen", "frozen: fetch halted where it stands; press P to go on", "P resume"]);
    for key in ["P", "p", "r"] {
        assert_eq!(keys(&mut frozen, key), [Command::Resume { run: RUN }]);
    }
}

#[test]
fn the_whole_run_is_cancelled_only_by_enter_after_its_steps_were_named() {
    let mut stage = stage(held::held());
    assert!(keys(&mut stage, "C w").is_empty());
    sees(&mut stage, &["end or undo", "ends 1 step at work: fetch", "cancels 9 steps: parse, rank, index"]);
    assert_eq!(keys(&mut stage, "enter"), [Command::Cancel { run: RUN, cause: EndCause::Cancel }]);
    assert_eq!(stage.app.overlay, None);
    assert!(keys(&mut stage, "C s").is_empty());
    sees(&mut stage, &["lets 1 step at work end: fetch", "cancels 9 steps"]);
    assert_eq!(keys(&mut stage, "enter"), [Command::Stop { run: RUN }]);
}

#[test]
fn an_agent_s_steps_are_cancelled_or_given_to_others() {
    let mut stage = stage(held::held());
    assert!(keys(&mut stage, "C a 1").is_empty());
    sees(&mut stage, &["the steps of market-1", "ends 1 step at work: fetch"]);
    sees(&mut stage, &["and with them 5 steps that depend on them: parse, rank, approve, archive, report"]);
    let cancel = |reassign| Command::CancelWhere { run: RUN, which: Which::Agent(AgentId(0)), reassign };
    assert_eq!(keys(&mut stage, "enter"), [cancel(false)]);
    assert!(keys(&mut stage, "C a 1 g").is_empty());
    sees(&mut stage, &["gives 1 step to other agents: fetch"]);
    assert_eq!(keys(&mut stage, "enter"), [cancel(true)]);
    // It works on nothing, and others can do what it can.
    assert!(keys(&mut stage, "C a 2 enter").is_empty());
    sees(&mut stage, &["technical-1 works on nothing of this run"]);
    // Nobody but it may do the report.
    assert!(keys(&mut stage, "esc 5").is_empty());
    sees(&mut stage, &["the steps of strategy-1", "cancels 1 step: report"]);
    let report = Command::CancelWhere { run: RUN, which: Which::Agent(AgentId(4)), reassign: false };
    assert_eq!(keys(&mut stage, "enter"), [report]);
}

#[test]
fn steps_are_cancelled_by_what_they_ask_for() {
    let mut stage = stage(held::held());
    assert!(keys(&mut stage, "C c").is_empty());
    sees(&mut stage, &["analysis", "8 steps", "ends 1 step at work: fetch", "cancels 7 steps"]);
    let by = |which| Command::CancelWhere { run: RUN, which, reassign: false };
    assert_eq!(keys(&mut stage, "enter"), [by(Which::Capability("analysis".into()))]);
    assert_eq!(keys(&mut stage, "C t enter"), [by(Which::Action("analyse".into()))]);
}

#[test]
fn a_range_of_priorities_is_moved_or_typed_and_names_what_lies_in_it() {
    let mut stage = stage(held::held());
    assert!(keys(&mut stage, "C p").is_empty());
    sees(&mut stage, &["to    49", "cancels 1 step: index", "in use: 25 (1 step), 50 (8 steps), 75 (1 step)"]);
    assert!(keys(&mut stage, "up 6 0 down 1 0 0").is_empty());
    sees(&mut stage, &["from  60", "to   100", "cancels 1 step: publish"]);
    let range = Command::CancelWhere { run: RUN, which: Which::Priority { from: 60, to: 100 }, reassign: false };
    assert_eq!(keys(&mut stage, "enter"), [range]);
    assert!(keys(&mut stage, "C p 5 enter").is_empty(), "nobody has a priority that low");
    sees(&mut stage, &["nothing to cancel"]);
    assert!(keys(&mut stage, "up right right enter").is_empty());
    sees(&mut stage, &["nothing lies between"]);
    assert!(keys(&mut stage, "esc esc").is_empty());
    assert_eq!(stage.app.overlay, None, "one level at a time");
}

#[test]
fn a_rollback_names_what_is_undone_in_its_order_and_what_forbids_it() {
    let mut stage = stage(held::asking());
    assert!(keys(&mut stage, "C u").is_empty());
    sees(
        &mut stage,
        &["undoes 2 steps in this order: rank, fetch", "cannot undo, because nothing is declared for it: parse"],
    );
    sees(&mut stage, &["ends 1 step at work: notify"]);
    assert_eq!(keys(&mut stage, "enter"), [Command::Rollback { run: RUN, to: None }]);
    assert!(keys(&mut stage, "C b down").is_empty());
    sees(&mut stage, &["checkpoint 1, before parse", "undoes 1 step in this order: rank"]);
    assert_eq!(keys(&mut stage, "enter"), [Command::Rollback { run: RUN, to: Some(1) }]);
    stage.view.runs[0].rollback.as_mut().unwrap().pivot = Some(StepId(1));
    assert!(keys(&mut stage, "C u enter").is_empty());
    sees(&mut stage, &["parse is done, and after it there is no way back"]);
    stage.view.runs[0].rollback = None;
    assert!(keys(&mut stage, "enter").is_empty());
    sees(&mut stage, &["nothing that was done declares how it is undone"]);
}

#[test]
fn where_nothing_is_left_every_choice_says_so() {
    let mut stage = stage(fixtures::finished());
    for letter in ["w", "a", "c", "t", "p", "s", "u", "b"] {
        assert!(keys(&mut stage, &format!("C {letter} enter esc")).is_empty(), "{letter}");
        assert_eq!(stage.app.overlay, None, "{letter} led on");
    }
    keys(&mut stage, "C");
    sees(&mut stage, &["nothing is left to end", "every step has ended"]);
}

#[test]
fn a_choice_reads_the_newest_view() {
    let mut stage = stage(held::held());
    keys(&mut stage, "C a 1");
    stage.view.agents[0].busy.clear();
    stage.view.runs[0].steps[0].state = StepState::Succeeded;
    assert!(keys(&mut stage, "enter").is_empty(), "what it would have hit is done");
    sees(&mut stage, &["market-1 works on nothing of this run"]);
}

#[test]
fn a_skip_names_what_goes_on() {
    let mut stage = stage(held::held());
    select(&mut stage, 1);
    assert!(keys(&mut stage, "S").is_empty());
    sees(&mut stage, &["skip parse?", "what goes on without it: approve"]);
    assert_eq!(keys(&mut stage, "y"), [Command::SkipStep { run: RUN, step: StepId(1) }]);
    select(&mut stage, 0);
    keys(&mut stage, "S");
    sees(&mut stage, &["its attempt on market-1 is ended", "parse, rank"]);
    stage.view.runs[0].steps[0].state = StepState::Succeeded;
    stage.app.absorb(&stage.view.clone());
    assert_eq!(stage.app.overlay, None, "it ended by itself");
}

#[test]
fn a_value_is_typed_pasted_checked_and_sent() {
    let mut stage = stage(held::held());
    select(&mut stage, 1);
    assert!(keys(&mut stage, "m").is_empty());
    sees(&mut stage, &["complete parse by hand", "{}", "a whole JSON value: an object"]);
    types(&mut stage, "\"q\": xyPcC");
    sees(&mut stage, &["not JSON yet: expected value at character 7"]);
    assert!(keys(&mut stage, "enter").is_empty(), "what is no JSON is not sent");
    assert!(keys(&mut stage, "ctrl-u").is_empty());
    paste(&mut stage.app, "{\"a\":\n\t[1, 2],\r\n \"b\": \"q\u{1b}\"}");
    sees(&mut stage, &["{\"a\":  [1, 2],   \"b\": \"q\"}"]);
    let output = json!({"a": [1, 2], "b": "q"});
    assert_eq!(keys(&mut stage, "enter"), [Command::CompleteStep { run: RUN, step: StepId(1), output }]);
    assert_eq!(stage.app.overlay, None);
}

#[test]
fn the_cursor_moves_by_characters_and_goes_to_what_is_wrong() {
    let mut stage = stage(held::held());
    select(&mut stage, 1);
    keys(&mut stage, "m ctrl-u");
    paste(&mut stage.app, "{\"größe\": e\u{301}1}");
    assert!(keys(&mut stage, "enter").is_empty());
    keys(&mut stage, "delete");
    sees(&mut stage, &["a whole JSON value"]);
    keys(&mut stage, "end backspace");
    sees(&mut stage, &["not JSON yet"]);
    keys(&mut stage, "}");
    keys(&mut stage, "home right left");
    let output = json!({"größe": 1});
    assert_eq!(keys(&mut stage, "enter"), [Command::CompleteStep { run: RUN, step: StepId(1), output }]);
    keys(&mut stage, "m ctrl-u");
    paste(&mut stage.app, "{\"a\":1,\"a\":2}");
    sees(&mut stage, &["the member `a` stands there twice at character"]);
    assert!(keys(&mut stage, "esc").is_empty());
    assert_eq!(stage.app.overlay, None);
}

#[test]
fn keys_and_pasted_text_never_fall_through_a_dialog() {
    let mut stage = stage(held::held());
    select(&mut stage, 1);
    keys(&mut stage, "m");
    stage.view.runs[0].steps[1].state = StepState::Succeeded;
    stage.app.absorb(&stage.view.clone());
    types(&mut stage, "qyxcCPs");
    sees(&mut stage, &["it is done already: a value would be refused"]);
    assert!(keys(&mut stage, "enter").is_empty());
    assert!(keys(&mut stage, "alt-x").is_empty(), "Esc and a letter in one go: the letter was text");
    assert_eq!(stage.app.overlay, None);
    keys(&mut stage, "C");
    let before = shown(&mut stage);
    paste(&mut stage.app, "w\ny\nq");
    assert_eq!(shown(&mut stage), before);
    keys(&mut stage, "esc m");
    assert!(toast(&stage).contains("parse is done: there is nothing to complete"));
    select(&mut stage, 2);
    keys(&mut stage, "m");
    paste(&mut stage.app, &"x".repeat(300 << 10));
    sees(&mut stage, &["307200 bytes do not fit"]);
}

#[test]
fn another_agent_is_chosen_with_its_state_its_load_and_its_time() {
    let mut stage = stage(held::held());
    select(&mut stage, 0);
    assert!(keys(&mut stage, "A").is_empty());
    sees(&mut stage, &["give fetch to", "market-1 has it already", "busy, 1/12 slots, done in ~1.8 s"]);
    sees(&mut stage, &["sentiment-1", "parked, 0/1 slots, done in ~4.8 s", "breaker open, 0/1 slots"]);
    assert!(keys(&mut stage, "enter").is_empty());
    keys(&mut stage, "4");
    sees(&mut stage, &["its attempt on market-1 is ended and spends no retry; it starts anew on"]);
    let give = Command::ReassignStep { run: RUN, step: StepId(0), agent: AgentId(3) };
    assert_eq!(keys(&mut stage, "enter"), [give]);
    keys(&mut stage, "A 5");
    sees(&mut stage, &["strategy-1 is broken: it waits until strategy-1 is healed"]);
    keys(&mut stage, "esc");
    select(&mut stage, 5);
    keys(&mut stage, "A");
    sees(&mut stage, &["a person answers it: press a"]);
}

#[test]
fn an_approval_shows_its_prompt_made_safe_and_is_answered_by_a_letter() {
    let mut stage = stage(held::approval());
    select(&mut stage, 7);
    assert!(keys(&mut stage, "a").is_empty(), "it is the only thing that asks");
    sees(&mut stage, &["approve asks for your yes or no", "Release 1.4 to everybody?", "The tests passed. Three"]);
    sees(&mut stage, &["without an answer it counts as no in 1m45s", "y  yes", "n  no"]);
    assert!(!shown(&mut stage).contains("owned"));
    assert!(keys(&mut stage, "x p enter").is_empty(), "only its own letters answer");
    let answer = |answer| Command::Answer { run: RUN, step: Some(StepId(5)), answer };
    assert_eq!(keys(&mut stage, "y"), [answer(Answer::Approve)]);
    assert_eq!(keys(&mut stage, "a n"), [answer(Answer::Reject)]);
    assert!(keys(&mut stage, "a e").is_empty());
    keys(&mut stage, "ctrl-u 4 2");
    assert_eq!(keys(&mut stage, "enter"), [answer(Answer::Value(json!(42)))]);
    keys(&mut stage, "a e esc");
    sees(&mut stage, &["approve asks for your yes or no"]);
}

#[test]
fn a_long_prompt_scrolls_to_its_end_and_no_further() {
    let mut stage = stage(held::approval());
    keys(&mut stage, "a");
    let small = |stage: &mut Stage| text(&stage.draw(40, 12));
    let first = small(&mut stage);
    assert!(first.contains("more") && first.contains("Release 1.4"), "{first}");
    assert!(first.contains("y  yes") && first.contains("n  no"), "{first}");
    for _ in 0..100 {
        keys(&mut stage, "down");
        small(&mut stage);
    }
    let last = small(&mut stage);
    assert!(last.contains("without an answer") && !last.contains("more"), "{last}");
    keys(&mut stage, "up");
    assert_ne!(small(&mut stage), last, "it went no further than its end");
    let words = PROMPT.split_whitespace().next_back().unwrap();
    keys(&mut stage, "G up");
    assert!(small(&mut stage).contains(words) || small(&mut stage).contains("not"), "{words}");
}

#[test]
fn a_step_whose_retries_are_spent_is_tried_again_failed_or_given_a_value() {
    let mut stage = stage(held::asking());
    select(&mut stage, 6);
    keys(&mut stage, "a");
    sees(
        &mut stage,
        &["repair asks what is to be done", "it failed after 3 attempts", "crash: exit 1: cannot write the index"],
    );
    let answer = |answer| Command::Answer { run: RUN, step: Some(StepId(6)), answer };
    assert_eq!(keys(&mut stage, "r"), [answer(Answer::Approve)]);
    assert_eq!(keys(&mut stage, "a f"), [answer(Answer::Reject)]);
    assert_eq!(keys(&mut stage, "a e enter"), [answer(Answer::Value(json!({})))]);
}

#[test]
fn where_several_things_ask_one_is_chosen_and_where_nothing_does_it_says_so() {
    let mut stage = stage(held::asking());
    select(&mut stage, 0);
    assert!(keys(&mut stage, "a").is_empty());
    sees(&mut stage, &["what is to be answered?", "approve", "repair"]);
    keys(&mut stage, "2");
    sees(&mut stage, &["repair asks what is to be done"]);
    keys(&mut stage, "esc");
    sees(&mut stage, &["what is to be answered?"]);
    stage.view = fixtures::busy();
    stage.app.overlay = None;
    assert!(keys(&mut stage, "a").is_empty());
    assert!(toast(&stage).contains("nothing asks"));
}

#[test]
fn a_question_answered_elsewhere_takes_no_answer_any_more() {
    let mut stage = stage(held::approval());
    keys(&mut stage, "a");
    stage.view.runs[0].steps[5].state = StepState::Succeeded;
    stage.view.runs[0].steps[5].wait = None;
    stage.app.absorb(&stage.view.clone());
    assert!(keys(&mut stage, "y n r").is_empty());
    sees(&mut stage, &["this has been answered"]);
    keys(&mut stage, "esc");
    assert_eq!(stage.app.overlay, None);
}

#[test]
fn the_run_s_own_question_is_answered() {
    let mut stage = stage(held::missed());
    sees(&mut stage, &["press a to answer: 7 of 10 succeeded, 80 % needed: accept, retry or fail?"]);
    keys(&mut stage, "a");
    sees(&mut stage, &["the run asks", "7 of 10 succeeded, 80 % are needed", "failed: notify, archive, report"]);
    let answer = |answer| Command::Answer { run: RUN, step: None, answer };
    assert_eq!(keys(&mut stage, "y"), [answer(Answer::Approve)]);
    assert_eq!(keys(&mut stage, "a n"), [answer(Answer::Reject)]);
    assert_eq!(keys(&mut stage, "a r"), [Command::RetryFailed { run: RUN }]);
}

#[test]
fn b_goes_round_the_settings_of_the_breaker() {
    let mut stage = stage(held::held());
    keys(&mut stage, "3 down");
    let set = |mode| [Command::SetBreaker { agent: AgentId(1), mode }];
    for (state, mode) in [
        (BreakerState::Open { until: fixtures::s(1), cooldown: fixtures::s(1) }, BreakerMode::ForcedOpen),
        (BreakerState::Closed, BreakerMode::ForcedOpen),
        (BreakerState::ForcedOpen, BreakerMode::ForcedClosed),
        (BreakerState::ForcedClosed, BreakerMode::Automatic),
    ] {
        stage.view.agents[1].breaker = Some(state);
        assert_eq!(keys(&mut stage, "b"), set(mode));
    }
    keys(&mut stage, "up");
    assert!(keys(&mut stage, "b").is_empty());
    assert!(toast(&stage).contains("market-1 has no breaker"));
    select(&mut stage, 1);
    assert!(keys(&mut stage, "b").is_empty());
    assert!(toast(&stage).contains("has had no agent yet"));
    stage.view.agents[0].breaker = Some(BreakerState::Closed);
    select(&mut stage, 0);
    let own = Command::SetBreaker { agent: AgentId(0), mode: BreakerMode::ForcedOpen };
    assert_eq!(keys(&mut stage, "b"), [own]);
}

#[test]
fn what_asks_a_person_is_seen_at_every_size_with_its_key() {
    for view in [held::asking(), held::approval(), held::missed()] {
        for (w, h) in [(120, 40), (80, 24), (40, 12)] {
            let mut stage = Stage::new(view.clone(), Capabilities::default());
            for pane in Pane::ALL {
                stage.app.focus(pane);
                let screen = text(&stage.draw(w, h));
                let lines: Vec<&str> = screen.lines().collect();
                assert!(lines[0].contains("◆ a"), "{w}x{h} header\n{screen}");
                assert!(lines[usize::from(h) - 1].contains("a answer"), "{w}x{h} footer\n{screen}");
                assert!(h < 24 || lines[1].contains("press a to answer"), "{w}x{h} news\n{screen}");
                // It stands out from afar, without colours too.
                let buffer = stage.draw(w, h);
                let reversed = |x: u16, y: u16| buffer[(x, y)].modifier.contains(Modifier::REVERSED);
                assert!(h < 24 || (0..w).all(|x| reversed(x, 1)), "{w}x{h} news");
                assert!((0..w).any(|x| reversed(x, h - 1)) && (0..w).any(|x| reversed(x, 0)), "{w}x{h}");
            }
        }
        let mut tiny = Stage::new(view, Capabilities::default());
        assert_eq!(text(&tiny.draw(1, 1)).trim(), "◆");
    }
}

#[test]
fn every_wait_shows_its_reason_and_its_countdown() {
    let mut stage = stage(held::held());
    stage.app.focus(Pane::Steps);
    stage.app.zoomed = true;
    sees(
        &mut stage,
        &[
            "rate limit 3.0 s: sentiment-1",
            "breaker open 8.2 s: technical-1",
            "lock db: fetch has it",
            "semaphore gpu: fetch, index has it",
            "no agent for 12.0 s: strategy-1 is broken",
            "barrier gate: lacks archive",
            "backoff 1.4 s (2/3)",
            "breaker: a probe of technical-2 is under way",
        ],
    );
    let mut asks = Stage::new(held::asking(), Capabilities::default());
    asks.app.focus(Pane::Steps);
    asks.app.zoomed = true;
    let screen = text(&asks.draw(120, 40));
    assert!(screen.contains("asks you: yes or no? 1m45s left") && screen.contains("◆ repair"), "{screen}");
}

#[test]
fn the_inspector_tells_all_about_a_step_an_agent_and_the_run() {
    let mut stage = stage(held::held());
    select(&mut stage, 4);
    keys(&mut stage, "6");
    stage.app.zoomed = true;
    sees(&mut stage, &["semaphore gpu (2 permits)", "2 retries after 1.0 s, x2 up to 30.0 s, full jitter"]);
    sees(&mut stage, &["technical-1 open 8.2 s, technical-2 half-open, 1 closed"]);
    keys(&mut stage, "6");
    assert_eq!(stage.app.subject, Subject::Run);
    sees(&mut stage, &["6 run  7f3a", "33 % of attempts fail, 20 % are retries", "15.0/min, of steps that ended well"]);
    sees(
        &mut stage,
        &[
            "the bottleneck is analysis: 4 steps in line",
            "analyse      5  1.8 s  3.6 s  5.4 s",
            "71 % of what is possible",
        ],
    );
    keys(&mut stage, "6");
    sees(&mut stage, &["6 step  publish"]);
    keys(&mut stage, "z 3 down down enter z");
    sees(&mut stage, &["6 agent  technical-2", "half-open: one probe goes through", "0 succeeded, 2 failed (100 %)"]);
    keys(&mut stage, "z 3 down z");
    stage.app.zoomed = true;
    keys(&mut stage, "enter");
    sees(&mut stage, &["6 agent  sentiment-1", "takes no calls for 3.0 s", "10 calls in 1m00s"]);
    keys(&mut stage, "3 g enter enter");
    sees(&mut stage, &["6 step  fetch", "capability analysis, action unfetch"]);
}

#[test]
fn a_rollback_is_followed_and_what_was_not_undone_is_named() {
    let mut undoing = stage(held::undoing());
    sees(&mut undoing, &["↶ compensating", "undone 3 of 5", "rolling back: undoing parse", "≠ index"]);
    let mut undone = stage(held::undone());
    sees(&mut undone, &["compensation failed", "rolled back in part", "could not be undone: index"]);
}

#[test]
fn what_most_steps_wait_for_stands_in_the_header() {
    let mut view = held::held();
    for place in 3..9 {
        view.runs[0].steps[place].wait = Some((WaitReason::Backoff { retry: 1, limit: 2 }, None));
    }
    let mut stage = stage(view);
    sees(&mut stage, &["waiting (backoff)"]);
    stage.view.runs[0].state = RunState::Running;
    let header = text(&stage.draw(200, 50)).lines().next().unwrap().to_owned();
    assert!(header.contains("1 broken · 1 breaker open · 1 probing · 1 parked"), "{header}");
}

#[test]
fn a_menu_takes_the_wheel_and_leaves_clicks_alone() {
    use crate::tui::mouse::mouse;
    use ratatui::crossterm::event::{KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
    let mut stage = stage(held::held());
    keys(&mut stage, "C");
    let act = |stage: &mut Stage, kind| {
        let event = MouseEvent { kind, column: 60, row: 20, modifiers: KeyModifiers::NONE };
        mouse(&mut stage.app, &stage.view, event)
    };
    assert!(act(&mut stage, MouseEventKind::ScrollDown));
    assert!(!act(&mut stage, MouseEventKind::Down(MouseButton::Left)));
    assert!(matches!(stage.app.overlay, Some(Overlay::Dialog(_))));
    assert!(keys(&mut stage, "enter").is_empty(), "the second row leads on");
    sees(&mut stage, &["cancel by agent"]);
}
