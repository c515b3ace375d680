//! Attempts in a driver with orders made by hand: halted and let go, silent and heard, ended meanwhile.

use super::attempts::Active;
use super::{Driver, Due};
use crate::model::agent::{Agent, AgentKind, Simulated};
use crate::model::command::Command;
use crate::model::completion::Outcome;
use crate::model::effect::{AttemptOrder, Effect, Timer};
use crate::model::id::{AgentId, RunId, StepId};
use crate::model::policy::Mode;
use crate::model::state::EndCause;
use crate::model::step::{Step, Work};
use crate::model::time::Micros;
use crate::model::workflow::Workflow;
use crate::runtime::clock::ClockKind;
use crate::runtime::compute::Calculator;
use crate::runtime::handle::{Handle, RunOrder, channel};
use crate::runtime::ledger::Ledger;
use crate::runtime::reaper::Pool;
use std::sync::Arc;

const RUN: RunId = RunId(0);
const STEP: StepId = StepId(0);
pub(super) const KEY: (RunId, StepId, u32) = (RUN, STEP, 1);
const IDLE: Timer = Timer::Idle { run: RUN, step: STEP, attempt: 1 };

pub(super) fn driver(kind: ClockKind) -> (Driver, Handle) {
    let (handle, inbox) = channel();
    let calculator = Calculator::new("upbeat".into());
    (Driver::new(kind, 1.0, Ledger::unsaved(), inbox, (Pool::new("upbeat".into()), calculator)), handle)
}

fn workflow() -> Workflow {
    let agent = Agent::new("sim", AgentKind::Simulated(Simulated::default()), "any");
    let work = Work::Capability { capability: "any".into() };
    let (estimate, idle_timeout) = (Some(s(10)), Some(s(3)));
    Workflow::new("flow", vec![agent], vec![Step { estimate, idle_timeout, ..Step::new("a", work) }])
}

/// An attempt that takes ten seconds and may be silent for three.
pub(super) fn order() -> AttemptOrder {
    let workflow = workflow();
    AttemptOrder {
        run: RUN,
        run_name: "r".into(),
        definition: Arc::new(workflow.agents[0].clone()),
        workflow: Arc::new(workflow),
        step: STEP,
        attempt: 1,
        undo: false,
        agent: AgentId(0),
        input: Arc::new(serde_json::json!({})),
        process: None,
        item: None,
        time_left: None,
        priority: 50,
        idempotency_key: "key".to_owned(),
        draw: 0,
    }
}

pub(super) const fn s(seconds: u64) -> Micros {
    Micros::from_secs(seconds)
}

/// What is due, in order: when, and whether it is an answer.
pub(super) fn due(driver: &Driver) -> Vec<(Micros, bool)> {
    driver.due.iter().map(|((at, _), due)| (*at, matches!(due, Due::Answer(..)))).collect()
}

pub(super) fn freeze(driver: &mut Driver, frozen: bool, now: Micros) {
    driver.clock.jump(now);
    driver.perform(Effect::Freeze { run: RUN, step: STEP, attempt: 1, frozen }, now);
}

pub(super) fn stop(driver: &mut Driver) {
    let now = driver.clock.now();
    driver.perform(Effect::Stop { run: RUN, step: STEP, attempt: 1, at_once: false }, now);
}

#[test]
fn a_timed_attempt_keeps_the_time_that_was_left_when_it_was_halted() {
    let (mut driver, _handle) = driver(ClockKind::Virtual);
    driver.perform(Effect::Start(Box::new(order())), Micros::ZERO);
    assert_eq!(due(&driver), [(s(10), true)]);
    freeze(&mut driver, true, s(4));
    freeze(&mut driver, true, s(5));
    assert_eq!(due(&driver), []);
    freeze(&mut driver, false, s(100));
    freeze(&mut driver, false, s(101));
    assert_eq!(due(&driver), [(s(106), true)], "six seconds were left");
    freeze(&mut driver, true, s(106));
    freeze(&mut driver, false, s(200));
    assert_eq!(due(&driver), [(s(200), true)]);
}

#[test]
fn an_attempt_without_a_process_ends_once_when_it_is_stopped_halted_or_not() {
    for halted in [false, true] {
        let (mut driver, _handle) = driver(ClockKind::Virtual);
        driver.perform(Effect::Start(Box::new(order())), Micros::ZERO);
        if halted {
            freeze(&mut driver, true, s(4));
        }
        stop(&mut driver);
        stop(&mut driver);
        assert_eq!(due(&driver), [], "nothing is left to be heard");
        assert_eq!(driver.at_once.len(), 1);
        assert!(matches!(driver.at_once[0].outcome, Outcome::Stopped));
        freeze(&mut driver, false, s(5));
        assert!(due(&driver).is_empty() && driver.active.is_empty());
    }
}

#[test]
fn a_timed_attempt_is_silent_from_its_start_on() {
    let (mut driver, _handle) = driver(ClockKind::Virtual);
    driver.perform(Effect::Start(Box::new(order())), Micros::ZERO);
    driver.clock.jump(s(3));
    assert!(!driver.is_kept_back(IDLE), "the engine is to hear of it");
    assert!(!driver.is_kept_back(Timer::AttemptTimeout { run: RUN, step: STEP, attempt: 1 }));
    assert!(!driver.is_kept_back(Timer::Idle { run: RUN, step: STEP, attempt: 2 }), "of another attempt");
}

#[test]
fn silence_does_not_count_while_an_attempt_is_halted() {
    let (mut driver, _handle) = driver(ClockKind::Virtual);
    driver.perform(Effect::Start(Box::new(order())), Micros::ZERO);
    driver.perform(Effect::SetTimer { at: s(3), timer: IDLE }, Micros::ZERO);
    freeze(&mut driver, true, s(1));
    freeze(&mut driver, false, s(2));
    driver.perform(Effect::SetTimer { at: s(5), timer: IDLE }, s(2));
    assert_eq!(due(&driver), [(s(5), false), (s(11), true)], "only the last one is left");
    freeze(&mut driver, true, s(4));
    driver.due.retain(|_, due| !matches!(due, Due::Timer(_)));
    driver.clock.jump(s(5));
    assert!(driver.is_kept_back(IDLE) && due(&driver).is_empty(), "the engine sets another when it goes on");
    freeze(&mut driver, false, s(6));
    driver.clock.jump(s(8));
    assert!(driver.is_kept_back(IDLE), "it was let go two seconds ago");
    assert_eq!(due(&driver), [(s(9), false), (s(13), true)]);
    driver.clock.jump(s(9));
    assert!(!driver.is_kept_back(IDLE));
}

#[test]
fn an_idle_timer_of_a_process_that_was_heard_is_set_anew() {
    let (mut driver, _handle) = driver(ClockKind::Virtual);
    driver.active.insert(KEY, Active::heard_at(s(7), s(1), s(3)));
    driver.clock.jump(s(4));
    driver.perform(Effect::SetTimer { at: s(4), timer: IDLE }, s(1));
    driver.due.clear();
    assert!(driver.is_kept_back(IDLE));
    assert_eq!(due(&driver), [(s(10), false)]);
    driver.clock.jump(s(10));
    assert!(!driver.is_kept_back(IDLE));
}

#[test]
fn the_load_is_looked_at_as_long_as_a_run_that_chooses_by_it_is_live() {
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio.block_on(async {
        for (kind, mode, looks) in [
            (ClockKind::Real, Mode::Auto, true),
            (ClockKind::Real, Mode::Parallel, false),
            (ClockKind::Virtual, Mode::Auto, false),
        ] {
            let (mut driver, _handle) = driver(kind);
            let load_is_due = |driver: &Driver| driver.due.values().any(|due| matches!(due, Due::Load));
            let workflow = Arc::new(Workflow { mode, ..workflow() });
            let order = RunOrder { workflow, name: "r".into(), seed: 1, origin: None, reuse: None };
            let run = driver.load(order).unwrap();
            driver.command(Command::Start { run }).unwrap();
            driver.commit().await;
            assert_eq!(load_is_due(&driver), looks);
            driver.due.retain(|_, due| !matches!(due, Due::Load));
            driver.take_load();
            assert_eq!(load_is_due(&driver), looks, "again and again");
            driver.command(Command::Cancel { run, cause: EndCause::Quit }).unwrap();
            driver.commit().await;
            driver.due.clear();
            driver.take_load();
            assert!(!load_is_due(&driver), "until it has ended");
        }
    });
}
