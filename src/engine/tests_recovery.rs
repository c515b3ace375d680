//! Runs that are left, interrupted, opened again, changed and begun anew, in small stories.

use super::Outbox;
use super::graph::tests::{step, workflow};
use super::simulation::{Sim, agent};
use crate::model::command::Command;
use crate::model::completion::{Failure, FailureClass, Outcome};
use crate::model::event::{Event, EventKind};
use crate::model::id::{RunId, StepId};
use crate::model::policy::{OnUnknown, RetryPolicy};
use crate::model::state::{EndCause, RunState, RunStatus, StepState};
use crate::model::step::Step;
use crate::model::time::Micros;
use crate::model::view::RunSummary;
use crate::model::workflow::Workflow;
use serde_json::{Value, json};
use std::sync::Arc;

const RUN: RunId = RunId(0);

fn on_one_agent(steps: Vec<Step>) -> Workflow {
    let mut made = workflow(steps);
    made.agents.push(agent("worker", &["any"], 8));
    made
}

fn summary(sim: &Sim) -> RunSummary {
    sim.engine.summary(sim.now, RUN).unwrap()
}

fn states(sim: &Sim) -> Vec<StepState> {
    summary(sim).steps.iter().map(|step| step.state).collect()
}

/// Started, and gone on until the clock stands there.
fn run_until(mut sim: Sim, workflow: &Workflow, until: Micros) -> Sim {
    sim.load(workflow.clone());
    sim.command(Command::Start { run: RUN }).unwrap();
    sim.advance_until(until);
    sim
}

/// What another process makes of the journal after the first one died.
fn opened_again(before: &Sim, workflow: &Workflow, ask: bool, snapshot: Option<&(u64, Vec<u8>)>) -> Sim {
    let mut sim = Sim::smooth();
    let after = snapshot.map_or(0, |(seq, _)| *seq);
    let events: Vec<Event> = before.events.iter().filter(|e| e.seq > after).map(|e| (**e).clone()).collect();
    let bytes = snapshot.map(|(_, bytes)| bytes.as_slice());
    sim.engine.restore(Arc::new(workflow.clone()), "run".into(), 0, bytes, events).unwrap();
    sim.events.clone_from(&before.events);
    sim.now = before.events.last().map_or(Micros::ZERO, |event| event.at);
    let mut outbox = Outbox::default();
    sim.engine.reopen(sim.now, RUN, ask, &mut outbox);
    sim.events.append(&mut outbox.events);
    sim
}

/// A run that has nothing left to do ended when it was opened.
fn resumed(mut sim: Sim) -> Sim {
    if summary(&sim).state.ended() {
        return sim;
    }
    sim.command(Command::Resume { run: RUN }).unwrap();
    sim.finish(RUN);
    sim
}

#[test]
fn a_step_under_way_at_a_crash_is_done_again_fails_or_asks_as_declared() {
    let made = |on_unknown| {
        on_one_agent(vec![
            step("done", &[], 1.0),
            Step { on_unknown, ..step("caught", &[0], 4.0) },
            step("after", &[1], 1.0),
        ])
    };
    for (on_unknown, ask, caught) in [
        (OnUnknown::Retry, false, StepState::Ready),
        (OnUnknown::Ask, true, StepState::Unknown),
        (OnUnknown::Ask, false, StepState::Failed),
        (OnUnknown::Fail, true, StepState::Failed),
    ] {
        let workflow = made(on_unknown);
        let crashed = run_until(Sim::smooth(), &workflow, Micros::from_secs(2));
        assert_eq!(states(&crashed), [StepState::Succeeded, StepState::Running, StepState::Pending]);
        let opened = opened_again(&crashed, &workflow, ask, None);
        assert_eq!(states(&opened)[1], caught, "{on_unknown:?}");
        assert_eq!(summary(&opened).state, RunState::Paused, "nothing starts or ends before somebody says so");
        if caught == StepState::Failed {
            let opened = resumed(opened);
            let error = &summary(&opened).errors[0];
            assert_eq!((error.failure.class, summary(&opened).status), (FailureClass::Unknown, RunStatus::Failed));
            assert_eq!((summary(&opened).steps_hit, summary(&opened).steps_recovered), (1, 0));
            let way_out = "upbeat retry run --step caught";
            assert_eq!(error.failure.message.contains(way_out), on_unknown == OnUnknown::Ask);
            continue;
        }
        let mut going = opened;
        going.command(Command::Resume { run: RUN }).unwrap();
        if caught == StepState::Unknown {
            assert!(!going.advance(), "a person has to say what is to be done");
            going.command(Command::RetryStep { run: RUN, step: StepId(1) }).unwrap();
        }
        going.finish(RUN);
        let got = summary(&going);
        assert_eq!((got.status, got.attempts, got.retries), (RunStatus::Succeeded, 4, 0), "no retry is spent");
        assert_eq!(got.steps_hit, 0, "no agent failed");
    }
}

#[test]
fn a_timeout_or_cancel_that_was_under_way_at_a_crash_is_carried_through() {
    let slow = Step { timeout: Some(Micros::from_secs(2)), ..step("slow", &[], 9.0) };
    let workflow = on_one_agent(vec![Step { retry: RetryPolicy { limit: 0, ..slow.retry.clone() }, ..slow }]);
    // Its end was asked for, and then nothing more was written.
    let cut = |mut sim: Sim| {
        let asked = sim.events.iter().position(|e| matches!(e.kind, EventKind::AttemptEnding { .. })).unwrap();
        sim.events.truncate(asked + 1);
        sim
    };
    let timed_out = cut(run_until(Sim::smooth(), &workflow, Micros::from_secs(3)));
    let got = summary(&resumed(opened_again(&timed_out, &workflow, true, None)));
    assert_eq!(got.errors[0].failure.class, FailureClass::Timeout);
    let mut running = run_until(Sim::smooth(), &workflow, Micros::from_secs(1));
    running.command(Command::Cancel { run: RUN, cause: EndCause::Cancel }).unwrap();
    let cancelling = running.events.iter().position(|e| matches!(e.kind, EventKind::StepCancelling { .. })).unwrap();
    running.events.truncate(cancelling + 1);
    let opened = opened_again(&running, &workflow, true, None);
    assert_eq!(summary(&opened).state, RunState::Cancelled, "a cancel needs nobody to resume it");
}

#[test]
fn a_run_that_is_left_ends_its_attempts_and_does_them_again() {
    let workflow = on_one_agent(vec![step("a", &[], 1.0), step("b", &[0], 4.0)]);
    let mut sim = run_until(Sim::smooth(), &workflow, Micros::from_secs(2));
    sim.command(Command::Park { run: RUN }).unwrap();
    while sim.advance() {}
    assert_eq!((summary(&sim).state, states(&sim)[1]), (RunState::Paused, StepState::Ready));
    let opened = opened_again(&sim, &workflow, false, None);
    assert_eq!(opened.events.len(), sim.events.len(), "there was nothing to settle");
    let got = summary(&resumed(opened));
    assert_eq!((got.status, got.attempts, got.retries), (RunStatus::Succeeded, 3, 0));
}

#[test]
fn waits_go_on_after_a_crash() {
    let policy = RetryPolicy { interval: Micros::from_secs(30), ..step("x", &[], 1.0).retry };
    let workflow = on_one_agent(vec![Step { retry: RetryPolicy { limit: 1, ..policy }, ..step("a", &[], 1.0) }]);
    let failing =
        Sim::new(|_| (Micros::from_secs(1), Outcome::Failed(Failure::new(FailureClass::Transient, "as told"))));
    let crashed = run_until(failing, &workflow, Micros::from_secs(1));
    assert_eq!(states(&crashed), [StepState::Waiting]);
    let got = summary(&resumed(opened_again(&crashed, &workflow, true, None)));
    assert_eq!((got.status, got.retries), (RunStatus::Succeeded, 1));
}

#[test]
fn a_snapshot_and_what_follows_give_the_same_as_all_of_it() {
    let steps = (0..6).map(|at| step(&format!("s{at}"), if at == 0 { &[] } else { &[0] }, 2.0 + f64::from(at)));
    let workflow = on_one_agent(steps.collect());
    let mut sim = run_until(Sim::smooth(), &workflow, Micros::from_secs(3));
    let snapshot = sim.engine.snapshot(RUN).unwrap();
    sim.advance_until(Micros::from_secs(6));
    let picture = |sim: &Sim| sim.engine.snapshot(RUN).unwrap();
    let (whole, tail) =
        (opened_again(&sim, &workflow, true, None), opened_again(&sim, &workflow, true, Some(&snapshot)));
    assert!(snapshot.0 > 5 && snapshot.0 + 2 < sim.events.len() as u64);
    assert_eq!(picture(&whole), picture(&tail));
    assert_eq!((whole.engine.check(), tail.engine.check()), (Ok(()), Ok(())));
    assert_eq!(whole.events, tail.events);
}

#[test]
fn a_journal_of_something_else_is_refused_and_names_the_event() {
    let workflow = on_one_agent(vec![step("a", &[], 1.0)]);
    let mut sim = Sim::smooth();
    sim.run(workflow.clone());
    let restore = |events: Vec<Event>| {
        let mut engine = super::Engine::new();
        let refused = engine.restore(Arc::new(workflow.clone()), "run".into(), 0, None, events).unwrap_err();
        assert_eq!(engine.runs(), 0, "nothing of it stays");
        refused.reason
    };
    let events = || sim.events.iter().map(|event| (**event).clone()).collect::<Vec<_>>();
    let mut gap = events();
    gap.remove(3);
    assert_eq!(restore(gap), "event 5 does not belong to this run: event 4 was expected");
    let mut foreign = events();
    foreign[2].kind = EventKind::StepCancelling { step: StepId(7), because: None };
    assert!(restore(foreign).starts_with("event 3 does not belong to this run: it names a step"));
    assert!(restore(events().split_off(1)).contains("event 1 was expected"));
}

#[test]
fn a_changed_definition_keeps_what_has_ended_and_begins_the_rest_anew() {
    let old = on_one_agent(vec![step("a", &[], 1.0), step("gone", &[0], 1.0), step("b", &[0], 9.0)]);
    let new = on_one_agent(vec![step("b", &[1], 3.0), step("a", &[], 1.0), step("c", &[0], 1.0)]);
    let mut sim = run_until(Sim::smooth(), &old, Micros::from_secs(3));
    sim.command(Command::Park { run: RUN }).unwrap();
    while sim.advance() {}
    let changed = super::Input::Redefined { run: RUN, workflow: Arc::new(new), files: Vec::new() };
    sim.input(&changed).unwrap();
    assert_eq!(states(&sim), [StepState::Ready, StepState::Succeeded, StepState::Pending]);
    assert_eq!(sim.engine.check(), Ok(()));
    // The journal alone, with the old definition it began with, leads to the same.
    let opened = opened_again(&sim, &old, true, None);
    assert_eq!(opened.engine.snapshot(RUN), sim.engine.snapshot(RUN));
    let done = resumed(sim);
    assert_eq!(summary(&done).status, RunStatus::Succeeded);
    let attempts: Vec<u32> = summary(&done).steps.iter().map(|step| step.attempts).collect();
    assert_eq!(attempts, [2, 1, 1], "numbers of attempts are never given twice");
}

#[test]
fn outputs_of_an_earlier_run_stand_for_steps_that_are_not_done_again() {
    let workflow = on_one_agent(vec![step("a", &[], 1.0), step("b", &[0], 1.0)]);
    let mut sim = Sim::smooth();
    let run = sim.load(workflow);
    let output: Arc<Value> = Arc::new(json!({"n": 1}));
    sim.engine.reuse(run, vec![(StepId(0), output.clone())], "before".into());
    sim.command(Command::Start { run }).unwrap();
    sim.finish(run);
    let got = summary(&sim);
    assert_eq!((got.status, got.attempts, &got.outputs[0].1), (RunStatus::Succeeded, 1, &output));
    assert!(
        sim.events
            .iter()
            .any(|e| matches!(&e.kind, EventKind::StepSucceeded { reused: Some(from), .. } if &**from == "before"))
    );
}

#[test]
fn everything_that_failed_is_tried_again_also_after_a_cancel_or_a_deadline() {
    let mut workflow = on_one_agent(vec![step("a", &[], 1.0), step("b", &[0], 5.0), step("c", &[1], 1.0)]);
    workflow.limits.deadline = Some(Micros::from_secs(3));
    for cause in [EndCause::Cancel, EndCause::Deadline] {
        let mut sim = run_until(Sim::smooth(), &workflow, Micros::from_secs(2));
        if cause == EndCause::Cancel {
            sim.command(Command::Cancel { run: RUN, cause }).unwrap();
        }
        while sim.advance() {}
        assert_eq!((summary(&sim).cause, states(&sim)[0]), (Some(cause), StepState::Succeeded));
        sim.command(Command::RetryFailed { run: RUN }).unwrap();
        assert_eq!(states(&sim)[1], StepState::Running, "{cause:?}: it has its time again");
        assert!(sim.command(Command::RetryFailed { run: RUN }).is_err());
    }
}

#[test]
fn a_changed_definition_may_answer_what_is_to_become_of_an_unknown_outcome() {
    let made = |on_unknown| on_one_agent(vec![Step { on_unknown, ..step("only", &[], 4.0) }]);
    for (after, expected) in [(OnUnknown::Retry, StepState::Ready), (OnUnknown::Ask, StepState::Failed)] {
        let before = made(OnUnknown::Ask);
        let crashed = run_until(Sim::smooth(), &before, Micros::from_secs(1));
        let mut sim = Sim::smooth();
        let events: Vec<Event> = crashed.events.iter().map(|event| (**event).clone()).collect();
        sim.engine.restore(Arc::new(before), "run".into(), 0, None, events).unwrap();
        let definition = (Arc::new(made(after)), Vec::new());
        sim.engine.reopen_as(crashed.now, RUN, false, definition, &mut Outbox::default()).unwrap();
        assert_eq!(states(&sim), [expected], "{after:?}");
    }
}

#[test]
fn a_run_that_waits_for_its_start_can_be_given_another_definition() {
    let (old, new) = (on_one_agent(vec![step("a", &[], 1.0)]), on_one_agent(vec![step("b", &[], 1.0)]));
    let mut sim = Sim::smooth();
    let run = sim.load(old.clone());
    sim.input(&super::Input::Redefined { run, workflow: Arc::new(new), files: Vec::new() }).unwrap();
    let mut again = opened_again(&sim, &old, false, None);
    for sim in [&mut sim, &mut again] {
        sim.command(Command::Start { run }).unwrap();
        sim.finish(run);
        assert_eq!(&*summary(sim).steps[0].step, "b");
    }
}
