//! Answers that are worked on beside: their order, and what becomes of them when attempts are halted, let go or stopped.

use super::attempts::{Active, completion_of};
use super::tests_attempts::{KEY, driver, due, freeze, order, s, stop};
use super::works::{Found, Works};
use super::{Driver, Micros};
use crate::model::completion::{Completion, FailureClass, Outcome, Usage};
use crate::model::computation::{self, Computation, Parts};
use crate::model::effect::{AttemptOrder, Effect};
use crate::model::expression::Expression;
use crate::model::id::StepId;
use crate::model::quality::Expect;
use crate::runtime::clock::ClockKind;
use serde_json::json;
use std::sync::Arc;
use tokio::sync::oneshot;

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

/// An attempt of ten seconds whose answer is held against something.
fn expecting() -> AttemptOrder {
    let mut order = order();
    let assert = vec![Expression::of_source(".ok").unwrap()];
    let step = &mut Arc::make_mut(&mut order.workflow).steps[0];
    step.expect = Some(Box::new(Expect { assert, ..Expect::default() }));
    order.input = Arc::new(json!({"ok": true}));
    order
}

async fn hear(driver: &mut Driver) {
    let found = driver.works.next().await.unwrap();
    found.into_iter().for_each(|found| driver.take_found(found));
}

/// The numbers of the works that are heard next.
async fn numbers(works: &mut Works) -> Vec<u64> {
    let number = |found| match found {
        Found::Outcome(_, work, _) => work,
        Found::Computed(computed) => panic!("{computed:?}"),
    };
    works.next().await.unwrap_or_default().into_iter().map(number).collect()
}

#[test]
fn works_are_heard_in_the_order_in_which_they_were_begun_or_as_they_end() {
    block_on(async {
        let mut works = Works::new(false);
        let (release, wait) = oneshot::channel::<()>();
        works.find(KEY, 1, async {
            let _ = wait.await;
            Outcome::Stopped
        });
        // It ends first.
        works.find(KEY, 2, async {
            let _ = release.send(());
            Outcome::Stopped
        });
        assert_eq!(numbers(&mut works).await, [1, 2]);
        assert!(works.is_empty() && works.next().await.is_none());
        let mut works = Works::new(true);
        let (release, wait) = oneshot::channel::<()>();
        works.find(KEY, 1, async {
            let _ = wait.await;
            Outcome::Stopped
        });
        works.find(KEY, 2, async { Outcome::Stopped });
        assert_eq!(numbers(&mut works).await, [2], "nobody waits for the slower one");
        release.send(()).unwrap();
        assert_eq!(numbers(&mut works).await, [1]);
    });
}

#[test]
fn work_that_breaks_is_a_failure_of_its_attempt() {
    block_on(async {
        let mut works = Works::new(true);
        works.find(KEY, 1, async { panic!("on purpose") });
        let found = works.next().await.unwrap_or_default();
        let [Found::Outcome(_, _, Outcome::Failed(failure))] = &found[..] else { panic!("{found:?}") };
        assert_eq!(failure.class, FailureClass::Permanent);
    });
}

#[test]
fn an_answer_that_is_worked_on_comes_at_its_time() {
    block_on(async {
        let (mut driver, _handle) = driver(ClockKind::Virtual);
        driver.perform(Effect::Start(Box::new(expecting())), Micros::ZERO);
        assert!(due(&driver).is_empty() && !driver.works.is_empty());
        hear(&mut driver).await;
        assert_eq!(due(&driver), [(s(10), true)]);
        assert!(driver.works.is_empty());
    });
}

#[test]
fn an_answer_that_is_known_while_its_attempt_is_halted_keeps_the_time_that_was_left() {
    block_on(async {
        for known_while_halted in [true, false] {
            let (mut driver, _handle) = driver(ClockKind::Virtual);
            driver.perform(Effect::Start(Box::new(expecting())), Micros::ZERO);
            freeze(&mut driver, true, s(4));
            if known_while_halted {
                hear(&mut driver).await;
                assert_eq!(due(&driver), []);
            }
            freeze(&mut driver, false, s(100));
            if !known_while_halted {
                assert_eq!(due(&driver), []);
                hear(&mut driver).await;
            }
            assert_eq!(due(&driver), [(s(106), true)], "six seconds were left");
        }
    });
}

#[test]
fn whoever_is_stopped_while_his_answer_is_worked_on_ends_at_once_and_once() {
    block_on(async {
        for halted in [false, true] {
            let (mut driver, _handle) = driver(ClockKind::Virtual);
            driver.perform(Effect::Start(Box::new(expecting())), Micros::ZERO);
            if halted {
                freeze(&mut driver, true, s(4));
            }
            stop(&mut driver);
            stop(&mut driver);
            assert_eq!(driver.at_once.len(), 1);
            assert!(matches!(driver.at_once[0].outcome, Outcome::Stopped));
            hear(&mut driver).await;
            assert!(due(&driver).is_empty() && driver.active.is_empty(), "nobody waits for the answer");
            assert_eq!(driver.at_once.len(), 1);
        }
    });
}

#[test]
fn a_process_that_is_stopped_while_its_answer_is_looked_at_keeps_its_figures() {
    block_on(async {
        let usage = Some(Usage { cpu_s: 1.5, peak_rss_bytes: 7 });
        let answered = || Outcome::succeeded(Arc::new(json!({"ok": true})));
        let ended = || Completion { usage, ..completion_of(KEY, answered()) };
        let (mut driver, _handle) = driver(ClockKind::Real);
        driver.active.insert(KEY, Active::process_of(expecting()));
        driver.process_ended(ended());
        assert!(!driver.works.is_empty() && !driver.active[&KEY].is_process());
        stop(&mut driver);
        let told = driver.at_once.pop_front().unwrap();
        assert_eq!(told, Completion { outcome: Outcome::Stopped, ..ended() });
        hear(&mut driver).await;
        assert!(driver.at_once.is_empty() && driver.active.is_empty());
    });
}

#[test]
fn questions_are_answered_by_the_driver() {
    block_on(async {
        let (mut driver, _handle) = driver(ClockKind::Virtual);
        let mut workflow = (*order().workflow).clone();
        workflow.steps[0].with = json!({"x": "${{ .a[1] }}"}).as_object().unwrap().clone();
        let asked = |ticket| Computation {
            run: KEY.0,
            run_name: "r".into(),
            seed: 1,
            step: Some(StepId(0)),
            ticket,
            workflow: Arc::new(workflow.clone()),
            data: Arc::new(json!({"a": [1, ticket]})),
            item: None,
            outputs: Vec::new(),
            sources: Vec::new(),
            parts: Parts::default(),
        };
        for ticket in 0..10 {
            driver.perform(Effect::Compute(Box::new(asked(ticket))), Micros::ZERO);
        }
        let found = driver.works.next().await.unwrap();
        assert_eq!(found.len(), 10);
        for (ticket, found) in (0..).zip(found) {
            let Found::Computed(computed) = found else { panic!("no answer") };
            assert_eq!((computed.step, computed.ticket), (Some(StepId(0)), ticket));
            let Ok(computation::Found::Input(prepared)) = computed.found else { panic!("{:?}", computed.found) };
            assert_eq!(*prepared.input, json!({ "x": ticket }));
        }
        assert!(driver.works.is_empty());
    });
}
