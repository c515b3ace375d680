//! Policies and steering in small stories, on a virtual clock.

use super::graph::tests::{step, workflow};
use super::simulation::{Sim, agent};
use crate::model::command::{Answer, BreakerMode, Command, Which};
use crate::model::completion::{Failure, FailureClass, Outcome};
use crate::model::effect::AttemptOrder;
use crate::model::event::EventKind;
use crate::model::id::{AgentId, RunId, StepId};
use crate::model::policy::{
    Jitter, Mode, OnCancel, OnExhausted, OnThresholdMissed, RateLimit, Recovery, Resources, RetryBudget, Success,
};
use crate::model::state::{BreakerState, EndCause, RunState, RunStatus, StepState, WaitReason};
use crate::model::step::{Decision, Fallback, Semaphore, Step, Work};
use crate::model::time::Micros;
use crate::model::view::{RunSummary, StepView};
use crate::model::workflow::Workflow;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;

const RUN: RunId = RunId(0);

const fn s(seconds: u64) -> Micros {
    Micros::from_secs(seconds)
}

fn on_agents(steps: Vec<Step>, slots: u32) -> Workflow {
    let mut made = workflow(steps);
    made.agents.push(agent("worker", &["any"], slots));
    made
}

fn summary(sim: &Sim) -> RunSummary {
    sim.engine.summary(sim.now, RUN).unwrap()
}

fn seen(sim: &Sim, step: u32) -> StepView {
    sim.engine.view(sim.now, None).runs[0].steps[step as usize].clone()
}

fn states(sim: &Sim) -> Vec<StepState> {
    summary(sim).steps.iter().map(|step| step.state).collect()
}

fn why(sim: &Sim, step: u32) -> String {
    sim.engine.explain(sim.now, RUN, StepId(step)).join("; ")
}

/// Attempts end as scripted, by step (or `undo:STEP`), one word each; then well. Each takes its estimate.
fn scripted(script: &[(&str, &[&str])]) -> Sim {
    let mut script: BTreeMap<String, Vec<String>> = script
        .iter()
        .map(|(id, words)| ((*id).to_owned(), words.iter().rev().map(|word| (*word).to_owned()).collect()))
        .collect();
    Sim::new(move |order: &AttemptOrder| {
        let spec = order.spec();
        let name = if order.undo { format!("undo:{}", spec.id) } else { spec.id.to_string() };
        let word = script.get_mut(&name).and_then(Vec::pop).unwrap_or_default();
        let failure = |class| Outcome::Failed(Failure::new(class, "as told"));
        let outcome = match word.as_str() {
            "crash" => failure(FailureClass::Crash),
            "permanent" => failure(FailureClass::Permanent),
            "limited" => failure(FailureClass::RateLimited),
            "limited-3" => {
                Outcome::Failed(Failure { retry_after: Some(s(3)), ..Failure::new(FailureClass::RateLimited, "429") })
            }
            _ => Outcome::Succeeded { output: Arc::new(json!({"from": name})) },
        };
        (spec.estimate.unwrap_or(s(1)), outcome)
    })
}

fn begin(sim: &mut Sim, workflow: Workflow) {
    let run = sim.load(workflow);
    sim.command(Command::Start { run }).unwrap();
}

fn undoable(mut step: Step) -> Step {
    let work = Work::Capability { capability: "any".into() };
    let mut undo = Step { estimate: Some(s(1)), ..Step::new(step.id.clone(), work) };
    undo.retry.limit = 4;
    undo.retry.jitter = Jitter::None;
    step.compensate = Some(Box::new(undo));
    step
}

fn names(sim: &Sim, pick: impl Fn(&EventKind) -> Option<StepId>) -> Vec<u32> {
    sim.events.iter().filter_map(|event| pick(&event.kind)).map(|step| step.0).collect()
}

fn undone(sim: &Sim) -> Vec<u32> {
    names(sim, |kind| match kind {
        EventKind::StepCompensated { step, .. } => Some(*step),
        _ => None,
    })
}

#[test]
fn an_agent_that_fails_three_times_is_left_alone_probed_once_and_trusted_again() {
    let mut made = on_agents(vec![step("a", &[], 1.0), step("b", &[0], 1.0)], 1);
    made.steps[0].retry.limit = 5;
    made.steps[0].retry.jitter = Jitter::None;
    let mut sim = scripted(&[("a", &["crash", "crash", "crash"])]);
    begin(&mut sim, made);
    // 1 s, backoff 1 s, 1 s, backoff 2 s, 1 s: the third failure is at 6 s; backoff to 10 s, the breaker to 16 s.
    sim.advance_until(s(11));
    let breaker = |sim: &Sim| sim.engine.view(sim.now, None).agents[0].breaker.unwrap();
    assert_eq!(breaker(&sim), BreakerState::Open { until: s(16), cooldown: s(10) });
    let step = seen(&sim, 0);
    assert!(matches!(step.wait, Some((WaitReason::Breaker { .. }, Some(until))) if until == s(16)), "{step:?}");
    assert_eq!(why(&sim, 0), "any: the breaker of worker is open; the next probe is in 5.0 s");
    sim.advance_until(Micros::from_millis(16_500));
    assert!(matches!(breaker(&sim), BreakerState::HalfOpen { .. }));
    sim.finish(RUN);
    assert_eq!((breaker(&sim), summary(&sim).status), (BreakerState::Closed, RunStatus::Succeeded));
    let probes = sim.events.iter().filter(|e| matches!(e.kind, EventKind::BreakerChanged { .. })).count();
    assert_eq!(probes, 3, "open, half-open, closed");
}

#[test]
fn a_breaker_can_be_held_open_and_closed_by_hand() {
    let mut sim = Sim::smooth();
    begin(&mut sim, on_agents(vec![step("a", &[], 1.0), step("b", &[0], 1.0)], 1));
    let set = |mode| Command::SetBreaker { agent: AgentId(0), mode };
    sim.command(set(BreakerMode::ForcedOpen)).unwrap();
    assert!(sim.command(set(BreakerMode::ForcedOpen)).unwrap_err().contains("already"));
    sim.advance_until(s(30));
    assert_eq!(why(&sim, 1), "any: the breaker of worker is held open; press b on it");
    assert!(sim.engine.view(sim.now, None).runs[0].stuck, "only a person can help");
    sim.command(set(BreakerMode::Automatic)).unwrap();
    sim.finish(RUN);
    assert_eq!(summary(&sim).elapsed, s(31));
}

#[test]
fn an_agent_that_takes_no_more_calls_is_left_alone_and_costs_no_attempt() {
    let mut made = on_agents(vec![step("a", &[], 1.0)], 1);
    made.steps[0].retry.limit = 0;
    let mut sim = scripted(&[("a", &["limited-3", "limited-3"])]);
    begin(&mut sim, made);
    sim.advance_until(s(2));
    assert!(matches!(seen(&sim, 0).wait, Some((WaitReason::RateLimit { .. }, Some(until))) if until == s(4)));
    assert_eq!(why(&sim, 0), "any: worker takes no more calls; the next call is in 2.0 s");
    sim.finish(RUN);
    let got = summary(&sim);
    assert_eq!((got.status, got.elapsed, got.retries), (RunStatus::Succeeded, s(9), 0));
}

#[test]
fn who_meets_agents_without_calls_too_often_fails_and_waits_grow_where_no_time_is_said() {
    let mut made = on_agents(vec![step("a", &[], 1.0)], 1);
    made.steps[0].retry.limit = 0;
    let mut sim = scripted(&[("a", &["limited"; 30])]);
    begin(&mut sim, made);
    sim.finish(RUN);
    let got = summary(&sim);
    assert_eq!((got.errors[0].failure.class, got.attempts), (FailureClass::RateLimited, 21));
    assert!(got.errors[0].failure.message.contains("21 times"), "{}", got.errors[0].failure.message);
    assert!(got.elapsed > s(3_000), "waits double up to ten minutes: {:?}", got.elapsed);
}

#[test]
fn a_declared_rate_is_never_exceeded() {
    let steps = (0..7).map(|at| step(&format!("s{at}"), &[], 0.1)).collect();
    let mut made = on_agents(steps, 7);
    made.agents[0].rate_limit = Some(RateLimit { calls: 2, per: s(10) });
    let mut sim = Sim::smooth();
    sim.run(made);
    let starts: Vec<u64> = sim
        .events
        .iter()
        .filter(|event| matches!(event.kind, EventKind::AttemptStarted { .. }))
        .map(|event| event.at.as_millis() / 1_000)
        .collect();
    assert_eq!(starts, [0, 0, 10, 10, 20, 20, 30]);
    let waits = sim.events.iter().filter(|e| matches!(e.kind, EventKind::StepWaiting { .. })).count();
    assert_eq!(waits, 5, "who waits is told once");
}

fn booking(recovery: Recovery) -> Workflow {
    let needs: [&[u32]; 6] = [&[], &[0], &[1], &[2], &[3], &[4]];
    let steps = needs.iter().enumerate().map(|(at, needs)| undoable(step(&format!("s{at}"), needs, 1.0)));
    let mut made = on_agents(steps.collect(), 2);
    made.recovery = recovery;
    made
}

#[test]
fn a_saga_is_undone_in_reverse_and_a_compensation_that_fails_is_tried_again() {
    let mut sim = scripted(&[("s4", &["permanent"]), ("undo:s2", &["crash", "crash"])]);
    begin(&mut sim, booking(Recovery::Rollback));
    sim.finish(RUN);
    assert_eq!(undone(&sim), [3, 2, 1, 0]);
    let got = summary(&sim);
    assert_eq!((got.state, got.status), (RunState::Compensated, RunStatus::Compensated));
    assert_eq!(got.undone.iter().map(|name| &**name).collect::<Vec<_>>(), ["s3", "s2", "s1", "s0"]);
    assert_eq!(states(&sim)[..4], [StepState::Compensated; 4]);
    assert_eq!(states(&sim)[4..], [StepState::Failed, StepState::Cancelled]);
}

#[test]
fn a_compensation_that_never_works_is_an_end_of_its_own_and_can_be_tried_again() {
    let mut sim = scripted(&[("s4", &["permanent"]), ("undo:s2", &["crash"; 5])]);
    begin(&mut sim, booking(Recovery::Rollback));
    sim.finish(RUN);
    assert_eq!(undone(&sim), [3, 1, 0], "the rest is undone all the same");
    let got = summary(&sim);
    assert_eq!(got.status, RunStatus::CompensationFailed);
    let errors: Vec<&str> = got.errors.iter().map(|error| &*error.step).collect();
    assert_eq!(errors, ["s2", "s4"]);
    assert!(got.errors[0].undo && !got.errors[1].undo);
    assert!(seen(&sim, 2).undo_failed && states(&sim)[2] == StepState::Succeeded, "what it did is still there");
    sim.command(Command::RetryFailed { run: RUN }).unwrap();
    while sim.advance() {}
    assert_eq!(undone(&sim), [3, 1, 0, 2]);
    assert_eq!(summary(&sim).status, RunStatus::Compensated);
}

#[test]
fn among_independent_steps_the_last_to_end_is_undone_first_and_what_was_cut_off_is_undone_too() {
    let mut steps: Vec<Step> =
        [("a", 3.0), ("b", 1.0), ("c", 2.0), ("long", 9.0)].map(|(id, time)| undoable(step(id, &[], time))).into();
    steps.push(step("bad", &[], 4.0));
    let mut made = on_agents(steps, 9);
    made.recovery = Recovery::Rollback;
    let mut sim = scripted(&[("bad", &["permanent"])]);
    begin(&mut sim, made);
    sim.finish(RUN);
    assert_eq!(undone(&sim), [3, 0, 2, 1]);
    let told = sim.events.iter().find_map(|event| match &event.kind {
        EventKind::RunCompensating { steps, .. } => Some(steps.len()),
        _ => None,
    });
    assert_eq!(told, Some(4));
}

#[test]
fn after_a_pivot_there_is_only_forwards() {
    let mut made = booking(Recovery::Rollback);
    made.steps[2].pivot = true;
    let mut sim = scripted(&[("s4", &["permanent", "permanent"])]);
    begin(&mut sim, made);
    let refused = |sim: &mut Sim| sim.command(Command::Rollback { run: RUN, to: None }).unwrap_err();
    sim.advance_until(Micros::from_millis(3_500));
    assert!(refused(&mut sim).contains("s2 is done, and after it there is no way back"));
    sim.finish(RUN);
    assert!(undone(&sim).is_empty());
    assert_eq!(summary(&sim).status, RunStatus::Failed);
    let rounds = sim.events.iter().filter(|event| event.kind == EventKind::RetryRound).count();
    assert_eq!((rounds, summary(&sim).errors[0].attempts), (1, 2), "tried once more, forwards");
}

#[test]
fn a_run_goes_back_to_a_checkpoint_and_on_from_there() {
    let mut made = booking(Recovery::Continue);
    made.steps[3].critical = true;
    let mut sim = scripted(&[("s5", &["permanent"])]);
    begin(&mut sim, made);
    sim.finish(RUN);
    assert_eq!(summary(&sim).status, RunStatus::Failed);
    let view = sim.engine.view(sim.now, None);
    assert_eq!((view.runs[0].checkpoints[0].number, view.runs[0].checkpoints[0].step), (1, StepId(3)));
    assert!(
        sim.command(Command::Rollback { run: RUN, to: Some(7) }).unwrap_err().contains("checkpoints of the run: 1")
    );
    let key_before = sim.events.len();
    sim.command(Command::Rollback { run: RUN, to: Some(1) }).unwrap();
    while sim.advance() {}
    assert_eq!(undone(&sim), [4, 3]);
    assert_eq!((summary(&sim).status, states(&sim)), (RunStatus::Succeeded, vec![StepState::Succeeded; 6]));
    let again = sim.events[key_before..].iter().filter(|e| matches!(e.kind, EventKind::StepSucceeded { .. })).count();
    assert_eq!(again, 3, "what was done before the checkpoint is not done again");
    assert!(sim.engine.check().is_ok());
}

#[test]
fn what_is_cancelled_is_undone_where_that_is_declared() {
    let mut made = on_agents(vec![undoable(step("a", &[], 9.0)), step("b", &[], 20.0)], 2);
    made.steps[0].on_cancel = OnCancel::Compensate;
    let mut sim = Sim::smooth();
    begin(&mut sim, made);
    sim.advance_until(s(2));
    sim.command(Command::CancelStep { run: RUN, step: StepId(0) }).unwrap();
    sim.advance_until(s(3));
    let refused = sim.command(Command::CancelStep { run: RUN, step: StepId(0) }).unwrap_err();
    assert!(refused.contains("is being undone") || refused.contains("has ended"), "{refused}");
    sim.finish(RUN);
    assert_eq!((undone(&sim), summary(&sim).status), (vec![0], RunStatus::Failed));
}

fn ten(missed: OnThresholdMissed) -> Workflow {
    let steps = (0..10).map(|at| step(&format!("s{at}"), &[], 1.0)).collect();
    let mut made = on_agents(steps, 10);
    made.success = Success::Min(0.8);
    made.on_threshold_missed = missed;
    made
}

#[test]
fn a_share_that_is_met_is_partial_and_one_that_is_missed_fails_is_retried_or_asked_about() {
    let bad = |count: usize| -> Vec<(&'static str, &'static [&'static str])> {
        ["s1", "s3", "s5"].into_iter().take(count).map(|id| (id, &["permanent"][..])).collect()
    };
    let run = |count, missed| {
        let mut sim = scripted(&bad(count));
        begin(&mut sim, ten(missed));
        while sim.advance() {}
        sim
    };
    assert_eq!(summary(&run(2, OnThresholdMissed::Fail)).status, RunStatus::Partial);
    assert_eq!(summary(&run(3, OnThresholdMissed::Fail)).status, RunStatus::Failed);
    assert_eq!(summary(&run(3, OnThresholdMissed::Retry)).status, RunStatus::Succeeded, "the second time they work");
    assert_eq!(summary(&run(2, OnThresholdMissed::Retry)).status, RunStatus::Partial, "nothing was missed");
    for (answer, status) in [(Answer::Approve, RunStatus::Partial), (Answer::Reject, RunStatus::Rejected)] {
        let mut sim = run(3, OnThresholdMissed::Escalate);
        let view = sim.engine.view(sim.now, None);
        assert_eq!((view.runs[0].question, view.runs[0].stuck), (Some((7, 10)), true));
        assert_eq!(summary(&sim).asks.len(), 1);
        sim.command(Command::Answer { run: RUN, step: None, answer }).unwrap();
        assert_eq!(summary(&sim).status, status);
    }
    let mut sim = run(3, OnThresholdMissed::Escalate);
    sim.command(Command::RetryFailed { run: RUN }).unwrap();
    sim.finish(RUN);
    assert_eq!(summary(&sim).status, RunStatus::Succeeded);
}

#[test]
fn a_frozen_run_stands_still_with_its_clocks() {
    let mut made = on_agents(vec![step("a", &[], 8.0), step("b", &[0], 1.0)], 1);
    made.steps[0].timeout = Some(s(10));
    made.limits.deadline = Some(s(12));
    let mut sim = Sim::smooth();
    begin(&mut sim, made);
    sim.advance_until(s(5));
    sim.command(Command::Freeze { run: RUN }).unwrap();
    assert!(sim.engine.view(sim.now, None).runs[0].frozen);
    assert!(sim.command(Command::Freeze { run: RUN }).is_err());
    sim.advance_until(s(100));
    assert_eq!(
        (states(&sim)[0], why(&sim, 0).as_str()),
        (StepState::Running, "attempt 1 is frozen on worker; r lets it go on")
    );
    sim.command(Command::Resume { run: RUN }).unwrap();
    sim.finish(RUN);
    let got = summary(&sim);
    assert_eq!((got.status, got.busy, sim.now), (RunStatus::Succeeded, s(9), s(104)));
}

#[test]
fn a_frozen_attempt_can_be_cancelled_and_one_that_goes_on_still_times_out() {
    let mut made = on_agents(vec![step("a", &[], 50.0), step("b", &[], 50.0)], 2);
    made.steps.iter_mut().for_each(|step| {
        step.timeout = Some(s(10));
        step.retry.limit = 0;
    });
    let mut sim = Sim::smooth();
    begin(&mut sim, made);
    sim.advance_until(s(5));
    sim.command(Command::Freeze { run: RUN }).unwrap();
    sim.advance_until(s(50));
    sim.command(Command::CancelStep { run: RUN, step: StepId(0) }).unwrap();
    sim.advance_until(s(51));
    assert_eq!(states(&sim), [StepState::Cancelled, StepState::Running]);
    sim.command(Command::Resume { run: RUN }).unwrap();
    sim.finish(RUN);
    assert_eq!((summary(&sim).errors[0].failure.class, sim.now), (FailureClass::Timeout, s(56)));
}

#[test]
fn approvals_are_given_refused_or_answer_themselves() {
    let made = |timeout: Option<Micros>, default| {
        let mut made = on_agents(vec![step("a", &[], 1.0), step("ask", &[0], 1.0), step("c", &[1], 1.0)], 1);
        made.steps[1].work = Work::Approval { prompt: "go on?".to_owned(), timeout, default };
        made
    };
    let mut sim = Sim::smooth();
    begin(&mut sim, made(None, None));
    sim.advance_until(s(60));
    assert!(sim.engine.view(sim.now, None).runs[0].stuck);
    assert_eq!(why(&sim, 1), "a person is asked: go on?; press a");
    let answer = |answer| Command::Answer { run: RUN, step: Some(StepId(1)), answer };
    assert!(sim.command(Command::Answer { run: RUN, step: Some(StepId(0)), answer: Answer::Approve }).is_err());
    sim.command(answer(Answer::Approve)).unwrap();
    sim.finish(RUN);
    assert_eq!(summary(&sim).status, RunStatus::Succeeded);
    let mut sim = Sim::smooth();
    begin(&mut sim, made(None, None));
    sim.advance_until(s(2));
    sim.command(answer(Answer::Reject)).unwrap();
    assert_eq!(
        (summary(&sim).status, summary(&sim).errors[0].failure.class),
        (RunStatus::Rejected, FailureClass::Rejected)
    );
    for (default, status) in [(Decision::Approve, RunStatus::Succeeded), (Decision::Reject, RunStatus::Rejected)] {
        let mut sim = Sim::smooth();
        begin(&mut sim, made(Some(s(10)), Some(default)));
        sim.advance_until(s(5));
        assert!(why(&sim, 1).contains("by itself in 6.0 s") && !sim.engine.view(sim.now, None).runs[0].stuck);
        sim.finish(RUN);
        assert_eq!(summary(&sim).status, status);
    }
}

#[test]
fn a_step_whose_retries_are_spent_waits_for_a_person_who_retries_completes_or_gives_it_up() {
    let end = |answer: Answer| {
        let mut made = on_agents(vec![step("a", &[], 1.0), step("b", &[0], 1.0)], 1);
        made.steps[0].on_exhausted = OnExhausted::Pause;
        made.steps[0].retry.limit = 0;
        let mut sim = scripted(&[("a", &["crash"])]);
        begin(&mut sim, made);
        sim.advance_until(s(9));
        assert!(matches!(seen(&sim, 0).wait, Some((WaitReason::Person, None))));
        assert!(why(&sim, 0).starts_with("its retries are spent, and a person decides"));
        sim.command(Command::Answer { run: RUN, step: Some(StepId(0)), answer }).unwrap();
        sim.finish(RUN);
        (summary(&sim).status, summary(&sim).attempts)
    };
    assert_eq!(end(Answer::Approve), (RunStatus::Succeeded, 3));
    assert_eq!(end(Answer::Value(json!({"by": "hand"}))), (RunStatus::Succeeded, 2));
    assert_eq!(end(Answer::Reject), (RunStatus::Failed, 1));
}

#[test]
fn steps_are_skipped_completed_and_given_away_by_hand_also_while_they_run() {
    let mut made =
        on_agents(vec![step("a", &[], 9.0), step("b", &[0], 1.0), step("c", &[], 9.0), step("d", &[], 9.0)], 3);
    made.agents.push(agent("other", &["any"], 1));
    made.agents.push(agent("stranger", &["else"], 1));
    let mut sim = Sim::smooth();
    begin(&mut sim, made);
    sim.advance_until(s(1));
    sim.command(Command::SkipStep { run: RUN, step: StepId(0) }).unwrap();
    sim.command(Command::CompleteStep { run: RUN, step: StepId(2), output: json!({"x": 1}) }).unwrap();
    let away = |agent| Command::ReassignStep { run: RUN, step: StepId(3), agent: AgentId(agent) };
    let on = seen(&sim, 3).agent.unwrap().0;
    assert!(sim.command(away(2)).unwrap_err().contains("does not have any; these have it: worker, other"));
    assert!(sim.command(away(on)).unwrap_err().contains("already"));
    sim.command(away(1 - on)).unwrap();
    sim.advance_until(Micros::from_millis(1_500));
    assert_eq!(states(&sim)[..3], [StepState::Skipped, StepState::Running, StepState::Succeeded]);
    assert_eq!((seen(&sim, 3).agent, seen(&sim, 3).state), (Some(AgentId(1 - on)), StepState::Running));
    sim.finish(RUN);
    let got = summary(&sim);
    assert_eq!((got.status, got.retries, got.errors.len()), (RunStatus::Succeeded, 0, 0));
    assert!(
        sim.command(Command::SkipStep { run: RUN, step: StepId(1) }).unwrap_err().contains("completes at most once")
    );
}

#[test]
fn a_failed_step_can_be_skipped_or_completed_so_that_the_rest_goes_on() {
    for complete in [false, true] {
        let mut sim = scripted(&[("a", &["permanent"])]);
        begin(&mut sim, on_agents(vec![step("a", &[], 1.0), step("b", &[0], 1.0)], 1));
        sim.finish(RUN);
        assert_eq!(states(&sim), [StepState::Failed, StepState::Skipped]);
        let command = if complete {
            Command::CompleteStep { run: RUN, step: StepId(0), output: json!({}) }
        } else {
            Command::SkipStep { run: RUN, step: StepId(0) }
        };
        sim.command(command).unwrap();
        while sim.advance() {}
        assert_eq!((summary(&sim).status, states(&sim)[1]), (RunStatus::Succeeded, StepState::Succeeded));
    }
}

#[test]
fn cancels_hit_an_agent_a_range_an_action_or_a_capability_or_give_the_work_to_others() {
    let made = || {
        let mut steps: Vec<Step> = (0..4).map(|at| step(&format!("s{at}"), &[], 9.0)).collect();
        steps.push(step("after", &[0], 1.0));
        steps[1].priority = 20;
        steps[2].action = Some("draw".into());
        let mut made = workflow(steps);
        made.agents = vec![agent("one", &["any"], 2), agent("two", &["any"], 2), agent("spare", &["any"], 4)];
        made
    };
    let cancelled = |which: Which, reassign| {
        let mut sim = Sim::smooth();
        begin(&mut sim, made());
        sim.advance_until(s(1));
        sim.command(Command::CancelWhere { run: RUN, which, reassign }).unwrap();
        sim.advance_until(Micros::from_millis(1_100));
        let gone = states(&sim)
            .iter()
            .enumerate()
            .filter(|(_, state)| **state == StepState::Cancelled)
            .map(|(at, _)| at)
            .collect::<Vec<_>>();
        sim.finish(RUN);
        (gone, summary(&sim).attempts)
    };
    assert_eq!(cancelled(Which::Priority { from: 0, to: 25 }, false).0, [1]);
    assert_eq!(cancelled(Which::Action("draw".into()), false).0, [2]);
    assert_eq!(cancelled(Which::Capability("any".into()), false).0, [0, 1, 2, 3, 4]);
    let (gone, _) = cancelled(Which::Agent(AgentId(0)), false);
    assert!(gone.contains(&0) && gone.contains(&4), "with what relies on it: {gone:?}");
    let (gone, attempts) = cancelled(Which::Agent(AgentId(0)), true);
    assert!(gone.is_empty() && attempts > 5, "{gone:?}, {attempts}");
    let mut sim = Sim::smooth();
    begin(&mut sim, made());
    let nobody = Command::CancelWhere { run: RUN, which: Which::Action("sing".into()), reassign: false };
    assert!(sim.command(nobody).unwrap_err().contains("no step"));
}

#[test]
fn locks_semaphores_and_barriers_hold_steps_and_say_who_they_wait_for() {
    let mut steps: Vec<Step> = (0..6).map(|at| step(&format!("s{at}"), &[], 2.0)).collect();
    steps[0].lock = Some("disk".into());
    steps[1].lock = Some("disk".into());
    for step in &mut steps[2..5] {
        step.semaphore = Some(Semaphore { name: "net".into(), permits: 2 });
    }
    let mut sim = Sim::smooth();
    begin(&mut sim, on_agents(steps, 9));
    sim.advance_until(s(1));
    assert_eq!(why(&sim, 1), "the lock disk is held by s0");
    assert_eq!(why(&sim, 4), "the semaphore net is held by s2, s3");
    sim.finish(RUN);
    assert_eq!(summary(&sim).elapsed, s(4));

    let mut steps = vec![step("early", &[], 1.0), step("slow", &[], 5.0), step("late", &[1], 1.0)];
    steps[0].barrier = Some("start".into());
    steps[2].barrier = Some("start".into());
    let mut sim = Sim::smooth();
    begin(&mut sim, on_agents(steps, 9));
    sim.advance_until(s(1));
    assert_eq!(why(&sim, 0), "it waits at the barrier start for late");
    sim.finish(RUN);
    assert_eq!(summary(&sim).steps[0].started, summary(&sim).steps[2].started, "they start together");
    for mode in [Mode::Sequential, Mode::Hybrid] {
        let mut steps = vec![step("early", &[], 1.0), step("slow", &[], 5.0), step("late", &[1], 1.0)];
        steps[0].barrier = Some("start".into());
        steps[2].barrier = Some("start".into());
        let mut made = on_agents(steps, 9);
        made.mode = mode;
        let mut sim = Sim::smooth();
        begin(&mut sim, made);
        sim.finish(RUN);
        assert_eq!(summary(&sim).elapsed, s(7), "one at a time, but nobody waits for what cannot begin");
    }
    let mut sim = scripted(&[("slow", &["permanent"])]);
    let mut steps = vec![step("early", &[], 1.0), step("slow", &[], 5.0), step("late", &[1], 1.0)];
    steps[0].barrier = Some("start".into());
    steps[2].barrier = Some("start".into());
    begin(&mut sim, on_agents(steps, 9));
    sim.finish(RUN);
    assert_eq!(
        states(&sim),
        [StepState::Succeeded, StepState::Failed, StepState::Skipped],
        "nobody is waited for in vain"
    );
}

#[test]
fn agents_are_not_asked_for_more_than_they_have() {
    let mut steps: Vec<Step> = (0..3).map(|at| step(&format!("s{at}"), &[], 2.0)).collect();
    steps.iter_mut().for_each(|step| step.resources = Some(Resources { cpu: 2.0, memory_mb: 100.0 }));
    let mut made = on_agents(steps, 9);
    made.agents[0].resources = Some(Resources { cpu: 4.0, memory_mb: 1_000.0 });
    let mut sim = Sim::smooth();
    begin(&mut sim, made);
    assert!(why(&sim, 2).contains("what is left of the agents' resources is too little"), "{}", why(&sim, 2));
    sim.finish(RUN);
    assert_eq!((summary(&sim).elapsed, summary(&sim).max_parallel), (s(4), 2));
}

#[test]
fn hybrid_order_goes_level_by_level_and_auto_follows_graph_load_and_agents() {
    let mut steps: Vec<Step> = (0..3).map(|at| step(&format!("wide{at}"), &[], 2.0)).collect();
    steps.extend([step("a", &[0], 1.0), step("b", &[1], 1.0)]);
    let mut made = on_agents(steps.clone(), 9);
    made.mode = Mode::Hybrid;
    let mut sim = Sim::smooth();
    begin(&mut sim, made);
    sim.advance_until(Micros::from_millis(2_500));
    assert!(why(&sim, 4).contains("level by level, and a is under way"), "{}", why(&sim, 4));
    sim.finish(RUN);
    assert_eq!(summary(&sim).elapsed, s(4));

    let mut chain = on_agents(vec![step("a", &[], 1.0), step("b", &[0], 1.0)], 9);
    chain.mode = Mode::Auto;
    let mut sim = Sim::smooth();
    begin(&mut sim, chain);
    sim.finish(RUN);
    assert_eq!(summary(&sim).mode, Mode::Sequential);
    let mut made = on_agents(steps, 9);
    made.agents.push(agent("second", &["any"], 1));
    made.mode = Mode::Auto;
    let mut sim = Sim::smooth();
    begin(&mut sim, made);
    let load = |sim: &mut Sim, per_core| {
        sim.input(&super::Input::Load { per_core }).unwrap();
        sim.engine.view(sim.now, None).runs[0].mode
    };
    assert_eq!((load(&mut sim, 0.1), load(&mut sim, 0.9)), (Mode::Parallel, Mode::Hybrid));
    assert_eq!(load(&mut sim, 0.1), Mode::Parallel);
    sim.command(Command::FailAgent { agent: AgentId(1) }).unwrap();
    assert_eq!(load(&mut sim, 0.1), Mode::Hybrid, "one capable agent is left");
}

#[test]
fn a_declared_retry_budget_and_a_deadline_bound_retries() {
    let mut steps: Vec<Step> = (0..4).map(|at| step(&format!("s{at}"), &[], 1.0)).collect();
    steps.iter_mut().for_each(|step| step.retry.jitter = Jitter::None);
    let mut made = on_agents(steps, 4);
    made.agents[0].breaker = None;
    made.limits.retry_budget = Some(RetryBudget { min: 1, share: 0.25 });
    let mut sim = scripted(&[("s0", &["crash"; 3]), ("s1", &["crash"; 3]), ("s2", &["crash"; 3])]);
    begin(&mut sim, made);
    sim.finish(RUN);
    assert_eq!(summary(&sim).retries, 2, "one, and a quarter of four");
    assert!(summary(&sim).errors.iter().any(|error| error.failure.message.contains("retry budget is spent")));

    let mut made = on_agents(vec![step("a", &[], 3.0)], 1);
    made.limits.deadline = Some(s(6));
    made.steps[0].retry.jitter = Jitter::None;
    let mut sim = scripted(&[("a", &["crash"; 3])]);
    begin(&mut sim, made);
    sim.finish(RUN);
    let got = summary(&sim);
    // 3 s of work, 1 s of backoff, 3 s of work: over at 7 s, which is too late; so it is not begun.
    assert_eq!((got.attempts, got.elapsed, got.status), (1, s(3), RunStatus::Failed));
    assert!(got.errors[0].failure.message.contains("could not end before the run's deadline"));
}

#[test]
fn a_health_check_breaks_an_agent_and_heals_it_and_fallbacks_stand_in_where_all_are_broken() {
    let mut made = on_agents(vec![step("a", &[], 5.0), step("b", &[0], 1.0), step("c", &[0], 1.0)], 1);
    made.steps[2].fallback = vec![Fallback::Value(json!("instead"))];
    let mut sim = Sim::smooth();
    begin(&mut sim, made);
    let check = |fault: Option<&str>| super::Input::Health { agent: AgentId(0), fault: fault.map(str::to_owned) };
    sim.input(&check(Some("no answer"))).unwrap();
    sim.advance_until(s(10));
    assert_eq!(
        states(&sim),
        [StepState::Succeeded, StepState::Waiting, StepState::Succeeded],
        "what runs is not cut off"
    );
    assert!(why(&sim, 1).contains("health check: no answer"));
    sim.input(&check(None)).unwrap();
    sim.finish(RUN);
    assert_eq!((summary(&sim).status, summary(&sim).fallbacks), (RunStatus::Succeeded, 1));
}

#[test]
fn a_stopped_run_lets_what_runs_end_and_can_be_taken_up_again() {
    let mut sim = Sim::smooth();
    begin(&mut sim, on_agents(vec![step("a", &[], 2.0), step("b", &[0], 1.0)], 1));
    sim.command(Command::Stop { run: RUN }).unwrap();
    sim.finish(RUN);
    assert_eq!(states(&sim), [StepState::Succeeded, StepState::Cancelled]);
    sim.command(Command::Resume { run: RUN }).unwrap();
    while sim.advance() {}
    assert_eq!((summary(&sim).state, states(&sim)[1]), (RunState::Succeeded, StepState::Succeeded));
    assert_eq!(summary(&sim).cause, None::<EndCause>);
}

#[test]
fn figures_add_up() {
    let mut made = on_agents(vec![step("a", &[], 2.0), step("b", &[0], 4.0)], 1);
    made.steps[0].retry.jitter = Jitter::None;
    let mut sim = scripted(&[("a", &["crash"])]);
    begin(&mut sim, made);
    sim.finish(RUN);
    let got = summary(&sim).figures;
    assert_eq!((got.phases.running, got.phases.backoff), (s(8), s(1)));
    assert_eq!(got.phases.recovery, s(3), "from the failure at 2 s to the end at 5 s");
    assert!((got.error_rate - 1.0 / 3.0).abs() < 1e-9 && (got.retry_rate - 1.0 / 3.0).abs() < 1e-9);
    assert_eq!((got.durations.len(), got.durations[0].mean, got.durations[0].max), (1, s(3), s(4)));
    assert!((summary(&sim).agents[0].utilisation - 8.0 / 9.0).abs() < 1e-9);
}

#[test]
fn the_time_left_goes_by_what_was_measured_and_by_the_slots_there_are() {
    let steps: Vec<Step> = (0..5).map(|at| step(&format!("s{at}"), &[], 2.0)).collect();
    let mut sim = Sim::new(|_| (s(4), Outcome::Succeeded { output: Arc::new(json!({})) }));
    begin(&mut sim, on_agents(steps, 1));
    let eta = |sim: &Sim| sim.engine.view(sim.now, None).runs[0].eta.unwrap();
    assert_eq!(eta(&sim), s(10), "five estimates on one slot");
    sim.advance_until(s(5));
    assert_eq!(eta(&sim), s(15), "four of four seconds each, one of them for a second already");
}
