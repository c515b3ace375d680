//! Behaviour in small stories, on a virtual clock.

use super::graph::tests::{step, workflow};
use super::simulation::{Sim, agent};
use crate::model::command::Command;
use crate::model::completion::{Failure, FailureClass, Outcome};
use crate::model::effect::AttemptOrder;
use crate::model::event::EventKind;
use crate::model::expression::Expression;
use crate::model::id::{AgentId, RunId, StepId};
use crate::model::mapping::{InputMapping, OutputMapping};
use crate::model::path::Path;
use crate::model::policy::{Mode, Recovery, Success};
use crate::model::state::{EndCause, RunState, RunStatus, StepState};
use crate::model::step::{Fallback, Need, NeedOn, Step};
use crate::model::time::Micros;
use crate::model::view::RunSummary;
use crate::model::workflow::Workflow;
use serde_json::json;
use std::sync::Arc;

fn on_agents(steps: Vec<Step>, slots: u32) -> Workflow {
    let mut made = workflow(steps);
    made.agents.push(agent("worker", &["any"], slots));
    made
}

fn summary(sim: &Sim) -> RunSummary {
    sim.engine.summary(sim.now, RunId(0)).unwrap()
}

fn states(sim: &Sim) -> Vec<StepState> {
    summary(sim).steps.iter().map(|step| step.state).collect()
}

fn fails_on(names: &'static [&'static str], class: FailureClass) -> Sim {
    Sim::new(move |order: &AttemptOrder| {
        let spec = order.workflow.step(order.step);
        let bad = names.contains(&&*spec.id) || names.contains(&&*order.definition.id);
        let outcome = if bad {
            Outcome::Failed(Failure::new(class, "as told"))
        } else {
            Outcome::succeeded(Arc::new(json!({"from": &*spec.id})))
        };
        (spec.estimate.unwrap(), outcome)
    })
}

#[test]
fn independent_steps_run_side_by_side_and_in_sequence_one_by_one() {
    let steps = || vec![step("a", &[], 2.0), step("b", &[0], 4.0), step("c", &[0], 3.0), step("d", &[1, 2], 1.0)];
    let mut parallel = Sim::smooth();
    parallel.run(on_agents(steps(), 2));
    let got = summary(&parallel);
    assert_eq!((got.elapsed, got.busy, got.max_parallel), (Micros::from_secs(7), Micros::from_secs(10), 2));
    assert_eq!((got.critical_path, got.lower_bound), (Micros::from_secs(7), Micros::from_secs(7)));
    let mut sequential = Sim::smooth();
    let mut one = on_agents(steps(), 2);
    one.mode = Mode::Sequential;
    sequential.run(one);
    assert_eq!(summary(&sequential).elapsed, Micros::from_secs(10));
    assert_eq!(summary(&sequential).max_parallel, 1);
}

#[test]
fn the_queue_goes_by_priority_then_by_the_way_that_is_left() {
    let mut steps =
        vec![step("short", &[], 1.0), step("long", &[], 1.0), step("tail", &[1], 5.0), step("vip", &[], 1.0)];
    steps[3].priority = 90;
    let mut sim = Sim::smooth();
    sim.run(on_agents(steps, 1));
    let starts: Vec<u32> = sim
        .events
        .iter()
        .filter_map(|event| match &event.kind {
            EventKind::AttemptStarted { step, .. } => Some(step.0),
            _ => None,
        })
        .collect();
    assert_eq!(starts, [3, 1, 2, 0]);
}

#[test]
fn a_failed_attempt_goes_to_an_untried_agent_at_once_and_backs_off_only_then() {
    let mut made = workflow(vec![step("a", &[], 1.0)]);
    made.steps[0].retry.limit = 2;
    made.steps[0].retry.jitter = crate::model::policy::Jitter::None;
    made.agents = vec![agent("bad-1", &["any"], 1), agent("bad-2", &["any"], 1)];
    let mut sim = fails_on(&["bad-1", "bad-2"], FailureClass::Crash);
    sim.run(made);
    let got = summary(&sim);
    // 1 s on the first, 1 s on the second at once, then 2 s of backoff (the second retry) and 1 s.
    assert_eq!(got.elapsed, Micros::from_secs(5));
    assert_eq!((got.attempts, got.retries, got.errors.len()), (3, 2, 1));
    assert_eq!(got.status, RunStatus::Failed);
}

#[test]
fn a_permanent_failure_is_not_retried_and_skips_what_relies_on_it() {
    let mut steps = vec![step("a", &[], 1.0), step("b", &[0], 1.0), step("c", &[], 1.0), step("d", &[], 1.0)];
    steps[3].needs = vec![Need { step: StepId(0), on: NeedOn::Failed }];
    let mut sim = fails_on(&["a"], FailureClass::Permanent);
    sim.run(on_agents(steps, 4));
    assert_eq!(states(&sim), [StepState::Failed, StepState::Skipped, StepState::Succeeded, StepState::Succeeded]);
    assert_eq!(summary(&sim).attempts, 3);
    assert_eq!(summary(&sim).status, RunStatus::Failed);
}

#[test]
fn a_step_for_the_case_of_failure_is_left_out_when_there_is_none() {
    let mut steps = vec![step("a", &[], 1.0), step("b", &[], 1.0), step("c", &[1], 1.0)];
    steps[1].needs = vec![Need { step: StepId(0), on: NeedOn::Failed }];
    let mut sim = Sim::smooth();
    sim.run(on_agents(steps, 4));
    assert_eq!(states(&sim), [StepState::Succeeded, StepState::Skipped, StepState::Skipped]);
    assert_eq!(summary(&sim).status, RunStatus::Succeeded);
}

#[test]
fn shares_decide_between_succeeded_partial_and_failed() {
    let outcome = |success, critical| {
        let mut made = on_agents(vec![step("a", &[], 1.0), step("b", &[], 1.0)], 2);
        made.success = success;
        made.steps[0].critical = critical;
        let mut sim = fails_on(&["a"], FailureClass::Permanent);
        sim.run(made);
        summary(&sim).status
    };
    assert_eq!(outcome(Success::All, false), RunStatus::Failed);
    assert_eq!(outcome(Success::Any, false), RunStatus::Partial);
    assert_eq!(outcome(Success::Min(0.5), false), RunStatus::Partial);
    assert_eq!(outcome(Success::Min(0.51), false), RunStatus::Failed);
    assert_eq!(outcome(Success::Any, true), RunStatus::Failed);
}

#[test]
fn fallbacks_are_taken_in_turn_when_retries_are_spent() {
    let mut made = workflow(vec![step("a", &[], 1.0), step("b", &[0], 1.0)]);
    made.steps[0].retry.limit = 0;
    made.steps[0].fallback = vec![Fallback::Capability("other".into()), Fallback::Value(json!({"neutral": true}))];
    made.agents = vec![agent("bad", &["any"], 1), agent("good", &["any"], 1), agent("worse", &["other"], 1)];
    made.agents[1].backup = true;
    let mut sim = fails_on(&["bad", "worse"], FailureClass::Transient);
    // The second step would go to the bad agent too: let it fail there and end by its own retry on the backup.
    made.steps[1].fallback = vec![Fallback::Agent("good".into())];
    made.steps[1].retry.limit = 0;
    sim.run(made);
    let got = summary(&sim);
    assert_eq!(got.status, RunStatus::Succeeded);
    assert_eq!(*got.outputs[0].1, json!({"neutral": true}));
    assert_eq!(got.fallbacks, 3);
    assert_eq!((got.steps_hit, got.steps_recovered), (2, 2));
}

#[test]
fn an_attempt_that_takes_too_long_is_ended_and_counts_as_a_timeout() {
    let mut made = on_agents(vec![step("a", &[], 9.0)], 1);
    made.steps[0].timeout = Some(Micros::from_secs(2));
    made.steps[0].retry.limit = 0;
    let mut sim = Sim::smooth();
    sim.run(made);
    let got = summary(&sim);
    assert_eq!(got.elapsed, Micros::from_secs(2));
    assert_eq!(got.errors[0].failure.class, FailureClass::Timeout);
}

#[test]
fn a_pause_drains_and_a_resume_goes_on() {
    let mut sim = Sim::smooth();
    let run = sim.load(on_agents(vec![step("a", &[], 2.0), step("b", &[0], 1.0)], 1));
    sim.command(Command::Start { run }).unwrap();
    sim.command(Command::Pause { run }).unwrap();
    assert_eq!(summary(&sim).state, RunState::Pausing);
    while summary(&sim).state == RunState::Pausing {
        assert!(sim.advance());
    }
    assert_eq!(states(&sim), [StepState::Succeeded, StepState::Ready]);
    assert!(sim.engine.explain(sim.now, run, StepId(1))[0].contains("the run is paused"));
    assert!(sim.command(Command::Pause { run }).unwrap_err().contains("already"));
    sim.command(Command::Resume { run }).unwrap();
    sim.finish(run);
    assert_eq!(summary(&sim).status, RunStatus::Succeeded);
}

#[test]
fn a_cancel_takes_dependents_along_and_leaves_the_rest() {
    let mut steps = vec![step("a", &[], 5.0), step("b", &[0], 1.0), step("c", &[1], 1.0), step("d", &[], 2.0)];
    steps.push(step("e", &[], 1.0));
    steps[4].needs = vec![Need { step: StepId(0), on: NeedOn::Completed }];
    let mut sim = Sim::smooth();
    let run = sim.load(on_agents(steps, 4));
    sim.command(Command::Start { run }).unwrap();
    sim.command(Command::CancelStep { run, step: StepId(0) }).unwrap();
    sim.finish(run);
    let cancelled = StepState::Cancelled;
    assert_eq!(states(&sim), [cancelled, cancelled, cancelled, StepState::Succeeded, StepState::Succeeded]);
    assert_eq!(summary(&sim).status, RunStatus::Failed);
}

#[test]
fn cancelling_stopping_and_deadlines_end_a_run_each_in_its_own_way() {
    let two = || on_agents(vec![step("a", &[], 5.0), step("b", &[0], 1.0)], 1);
    let ended = |command: fn(RunId) -> Command| {
        let mut sim = Sim::smooth();
        let run = sim.load(two());
        sim.command(Command::Start { run }).unwrap();
        sim.command(command(run)).unwrap();
        sim.finish(run);
        (summary(&sim).state, summary(&sim).status, states(&sim), summary(&sim).elapsed.as_millis())
    };
    let (done, cancelled, failed) = (StepState::Succeeded, StepState::Cancelled, StepState::Failed);
    let quit = ended(|run| Command::Cancel { run, cause: EndCause::Quit });
    assert_eq!(quit, (RunState::Cancelled, RunStatus::Cancelled, vec![cancelled, cancelled], 0));
    let stopped = ended(|run| Command::Stop { run });
    assert_eq!(stopped, (RunState::Stopped, RunStatus::Cancelled, vec![done, cancelled], 5_000));
    let mut late = two();
    late.limits.deadline = Some(Micros::from_secs(3));
    let mut sim = Sim::smooth();
    sim.run(late);
    assert_eq!((summary(&sim).status, states(&sim)), (RunStatus::Deadline, vec![failed, cancelled]));
    assert_eq!(summary(&sim).errors[0].failure.class, FailureClass::Deadline);
}

#[test]
fn fail_fast_cancels_the_rest() {
    let mut made = on_agents(vec![step("a", &[], 1.0), step("b", &[], 5.0), step("c", &[1], 1.0)], 2);
    made.recovery = Recovery::FailFast;
    let mut sim = fails_on(&["a"], FailureClass::Permanent);
    sim.run(made);
    assert_eq!(states(&sim), [StepState::Failed, StepState::Cancelled, StepState::Cancelled]);
    assert_eq!((summary(&sim).status, summary(&sim).elapsed), (RunStatus::Failed, Micros::from_secs(1)));
}

#[test]
fn an_agent_broken_on_purpose_loses_its_step_to_another_and_heals() {
    let mut made = workflow(vec![step("a", &[], 4.0), step("b", &[0], 1.0)]);
    made.agents = vec![agent("one", &["any"], 1), agent("two", &["any"], 1)];
    let mut sim = Sim::smooth();
    let run = sim.load(made);
    sim.command(Command::Start { run }).unwrap();
    sim.command(Command::FailAgent { agent: AgentId(0) }).unwrap();
    sim.advance();
    let view = sim.engine.view(sim.now, Some((run, StepId(0))));
    assert_eq!(view.runs[0].steps[0].agent, Some(AgentId(1)));
    assert!(view.runs[0].steps[0].injected);
    assert!(view.agents[0].broken.as_ref().is_some_and(|broken| broken.injected));
    assert!(sim.command(Command::FailAgent { agent: AgentId(0) }).unwrap_err().contains("broken already"));
    sim.command(Command::FailAgent { agent: AgentId(1) }).unwrap();
    sim.advance();
    // Nobody is left: after its backoff the step waits, and says for whom.
    while sim.engine.view(sim.now, None).runs[0].steps[0].state != StepState::Waiting
        || sim.engine.explain(sim.now, run, StepId(0))[0].contains("backoff")
    {
        assert!(sim.advance());
    }
    let why = sim.engine.explain(sim.now, run, StepId(0)).join("\n");
    assert!(why.contains("nobody unbroken can do any") && why.contains("agent two is broken"), "{why}");
    sim.command(Command::HealAgent { agent: AgentId(0) }).unwrap();
    sim.finish(run);
    let got = summary(&sim);
    assert_eq!((got.status, got.faults, got.steps_hit, got.steps_recovered), (RunStatus::Succeeded, 2, 1, 1));
}

#[test]
fn a_broken_agent_heals_by_itself_after_five_minutes() {
    let mut sim = Sim::smooth();
    let run = sim.load(on_agents(vec![step("a", &[], 1.0)], 1));
    sim.command(Command::Start { run }).unwrap();
    sim.command(Command::FailAgent { agent: AgentId(0) }).unwrap();
    sim.finish(run);
    assert_eq!(summary(&sim).status, RunStatus::Succeeded);
    assert_eq!(summary(&sim).elapsed, Micros::from_secs(301));
}

#[test]
fn data_flows_from_outputs_to_inputs_by_nested_paths() {
    let mut made = on_agents(vec![step("a", &[], 1.0), step("b", &[0], 1.0)], 1);
    made.data = json!({"user": {"names": ["Ada", "Bo"]}});
    made.steps[0].output = vec![OutputMapping { field: "from".into(), path: Path::parse("made.by[1]").unwrap() }];
    let map = |key: &str, path: &str, required| InputMapping {
        key: key.into(),
        source: Expression::Path(Path::parse(path).unwrap()),
        required,
    };
    made.steps[1].input =
        vec![map("who", "user.names[1]", true), map("what", "made.by[1]", true), map("gone", "x.y", false)];
    made.steps[1].with.insert("who".into(), json!("overridden"));
    let mut sim = fails_on(&[], FailureClass::Crash);
    let run = sim.run(made);
    assert_eq!(summary(&sim).data["made"], json!({"by": [null, "a"]}));
    let view = sim.engine.view(sim.now, Some((run, StepId(1))));
    assert_eq!(**view.detail.unwrap().input.as_ref().unwrap(), json!({"who": "Bo", "what": "a"}));
    let missing = sim.events.iter().find_map(|event| match &event.kind {
        EventKind::StepReady { step: StepId(1), missing, .. } => Some(missing.clone()),
        _ => None,
    });
    assert_eq!(missing.unwrap(), ["gone"]);
}

#[test]
fn a_missing_required_input_fails_the_step_without_an_attempt() {
    let mut made = on_agents(vec![step("a", &[], 1.0)], 1);
    made.steps[0].input = vec![InputMapping {
        key: "k".into(),
        source: Expression::Path(Path::parse("no.where").unwrap()),
        required: true,
    }];
    let mut sim = Sim::smooth();
    sim.run(made);
    let got = summary(&sim);
    assert_eq!((got.attempts, got.errors[0].failure.class), (0, FailureClass::Permanent));
    assert!(got.errors[0].failure.message.contains("no.where"));
}

#[test]
fn a_retry_by_hand_reopens_the_step_and_what_was_skipped_because_of_it() {
    let mut broken = true;
    let mut sim = Sim::new(move |order: &AttemptOrder| {
        let fail = std::mem::replace(&mut broken, false);
        let outcome = if fail {
            Outcome::Failed(Failure::new(FailureClass::Permanent, "once"))
        } else {
            Outcome::succeeded(Arc::new(json!(order.attempt)))
        };
        (Micros::from_secs(1), outcome)
    });
    let run = sim.run(on_agents(vec![step("a", &[], 1.0), step("b", &[0], 1.0), step("c", &[1], 1.0)], 1));
    assert_eq!(states(&sim), [StepState::Failed, StepState::Skipped, StepState::Skipped]);
    let refused = sim.command(Command::RetryStep { run, step: StepId(2) }).unwrap_err();
    assert!(refused.contains("retry b first"), "{refused}");
    sim.command(Command::RetryStep { run, step: StepId(0) }).unwrap();
    while summary(&sim).status != RunStatus::Succeeded {
        assert!(sim.advance());
    }
    assert_eq!(*summary(&sim).outputs[0].1, json!(2), "attempt numbers go on");
}

#[test]
fn limits_hold_whatever_the_slots() {
    let steps: Vec<Step> = (0..6).map(|n| step(&format!("s{n}"), &[], 1.0)).collect();
    let mut made = on_agents(steps, 9);
    made.limits.capability.insert("any".into(), 2);
    let mut sim = Sim::smooth();
    sim.run(made);
    assert_eq!((summary(&sim).max_parallel, summary(&sim).elapsed), (2, Micros::from_secs(3)));
}

#[test]
fn equal_agents_share_by_weight_and_backups_wait() {
    let steps: Vec<Step> = (0..4).map(|n| step(&format!("s{n}"), &[], 1.0)).collect();
    let mut made = workflow(steps);
    made.agents = vec![agent("light", &["any"], 9), agent("heavy", &["any"], 9), agent("spare", &["any"], 9)];
    made.agents[1].weight = 3.0;
    made.agents[2].backup = true;
    let mut sim = Sim::smooth();
    let run = sim.load(made);
    sim.command(Command::Start { run }).unwrap();
    let view = sim.engine.view(sim.now, None);
    assert_eq!(view.agents.iter().map(|a| a.busy.len()).collect::<Vec<_>>(), [1, 3, 0]);
}

#[test]
fn two_runs_share_one_registry() {
    let one = || on_agents(vec![step("a", &[], 2.0)], 1);
    let mut sim = Sim::smooth();
    let (first, second) = (sim.load(one()), sim.load(one()));
    sim.command(Command::Start { run: first }).unwrap();
    sim.command(Command::Start { run: second }).unwrap();
    let why = sim.engine.explain(sim.now, second, StepId(0));
    assert!(why[0].contains("1 of 1 slots held by a of run run"), "{why:?}");
    sim.finish(first);
    sim.finish(second);
    assert_eq!(sim.now, Micros::from_secs(4));
}

#[test]
fn a_run_that_is_unloaded_leaves_what_was_learnt_of_agents_and_nothing_else() {
    let one = || on_agents(vec![step("a", &[], 2.0)], 1);
    let mut sim = Sim::smooth();
    let (stays, goes) = (sim.load(one()), sim.run(one()));
    assert!(sim.engine.rests(goes));
    sim.engine.unload(goes);
    assert_eq!((sim.engine.runs(), sim.engine.check()), (1, Ok(())));
    assert!(sim.engine.summary(sim.now, goes).is_none());
    assert!(sim.command(Command::Start { run: goes }).unwrap_err().contains("there is no such run"));
    let late = crate::model::completion::Completion {
        run: goes,
        step: StepId(0),
        attempt: 1,
        outcome: Outcome::Stopped,
        usage: None,
        proof: crate::model::completion::EndProof::Proved,
        agent_lost: None,
    };
    sim.input(&super::Input::Completion(late)).unwrap();
    let next = sim.run(one());
    assert!(next != goes && next != stays, "an id is not given again");
    let view = sim.engine.view(sim.now, None);
    assert_eq!(view.agents[0].succeeded, 2, "its agent has worked for both");
    assert!(!sim.engine.rests(stays) || view.runs.iter().any(|run| run.id == stays && run.started.is_none()));
    sim.command(Command::Start { run: stays }).unwrap();
    assert!(!sim.engine.rests(stays), "it is at work");
    sim.finish(stays);
}

#[test]
fn ids_that_have_all_been_given_are_given_again_but_not_those_in_use() {
    let one = || Arc::new(on_agents(vec![step("a", &[], 1.0)], 1));
    let mut world = super::world::World::starting_at(u32::MAX);
    let load = |world: &mut super::world::World| world.load(one(), "r".into(), 0).unwrap();
    let first = load(&mut world);
    assert_eq!((first, load(&mut world)), (RunId(u32::MAX), RunId(0)));
    let mut world = super::world::World::starting_at(u32::MAX);
    load(&mut world);
    world.take_back(RunId(u32::MAX));
    assert_eq!(load(&mut world), RunId(u32::MAX), "what never came takes no id");
    assert_eq!((load(&mut world), load(&mut world)), (RunId(0), RunId(1)));
}

#[test]
fn the_item_of_a_stream_is_in_the_data_and_with_every_step() {
    let mut sim = Sim::new(|order| {
        let item = order.item.as_ref().map(|(item, index)| json!([**item, index]));
        (Micros::ZERO, Outcome::succeeded(Arc::new(item.unwrap_or_default())))
    });
    let mut made = on_agents(vec![step("a", &[], 1.0)], 1);
    made.data = json!({"item": 1, "rest": 2});
    let run = sim.load(made);
    sim.engine.feed(run, Arc::new(json!({"n": 5})), 7);
    sim.command(Command::Start { run }).unwrap();
    sim.finish(run);
    let summary = summary(&sim);
    assert_eq!(summary.data, json!({"item": {"n": 5}, "rest": 2}));
    assert_eq!(*summary.outputs[0].1, json!([{"n": 5}, 7]));
}

#[test]
fn a_late_answer_is_recorded_and_dropped() {
    let mut sim = Sim::smooth();
    let run = sim.run(on_agents(vec![step("a", &[], 1.0)], 1));
    let outcome = Outcome::succeeded(Arc::new(json!("late")));
    let proof = crate::model::completion::EndProof::Proved;
    let late = crate::model::completion::Completion {
        run,
        step: StepId(0),
        attempt: 1,
        outcome,
        usage: None,
        proof,
        agent_lost: None,
    };
    sim.input(&super::Input::Completion(late)).unwrap();
    assert!(matches!(sim.events.last().unwrap().kind, EventKind::AnswerDropped { .. }));
    assert_eq!(*summary(&sim).outputs[0].1, json!({}));
}

#[test]
fn large_graphs_of_every_shape_end_without_quadratic_work() {
    // Shapes in which something quadratic would show: all into one, one into all, one after the other.
    let count = 20_000;
    let join: Vec<u32> = (0..count).collect();
    let wide = (0..count).map(|n| step(&format!("s{n}"), &[], 1.0)).chain([step("end", &join, 1.0)]).collect();
    let fan =
        std::iter::once(step("start", &[], 1.0)).chain((0..count).map(|n| step(&format!("s{n}"), &[0], 1.0))).collect();
    let chain =
        (0..count).map(|n| step(&format!("s{n}"), if n == 0 { vec![] } else { vec![n - 1] }.as_slice(), 1.0)).collect();
    let shapes: [Vec<Step>; 3] = [wide, fan, chain];
    for steps in shapes {
        let total = steps.len();
        let mut sim = Sim::smooth();
        sim.run(on_agents(steps, 1_000));
        assert_eq!(summary(&sim).counts.of(StepState::Succeeded) as usize, total);
    }
}

#[test]
fn a_restored_run_is_retried_like_one_that_was_never_left() {
    let mut first = fails_on(&["a"], FailureClass::Permanent);
    first.run(on_agents(vec![step("a", &[], 1.0), step("b", &[0], 1.0)], 1));
    assert_eq!(states(&first), [StepState::Failed, StepState::Skipped]);
    let mut again = Sim::smooth();
    let journal = first.events.iter().map(|event| (**event).clone());
    let run = again.engine.restore(summary(&first).workflow, "run".into(), 0, None, journal).unwrap();
    again.now = first.now;
    again.command(Command::RetryFailed { run }).unwrap();
    assert_eq!(states(&again), [StepState::Running, StepState::Pending]);
}
