//! Runs played through by hand-counted examples.

use super::play::{play, strategy};
use crate::model::policy::{Mode, Resources};
use crate::model::step::{NeedOn, Semaphore, Step, Work};
use crate::model::time::Micros;
use crate::model::workflow::Workflow;
use crate::report::sample::{self, agent, step};

fn played(workflow: &Workflow) -> (u64, u32) {
    let shape = sample::shape(workflow);
    let played = play(workflow, &shape, strategy(workflow, &shape));
    (played.time.as_millis(), played.most)
}

fn wide(steps: usize, slots: u32) -> Workflow {
    let mut workflow = sample::workflow();
    workflow.steps = (0..steps).map(|n| step(&format!("s{n}"), "w", &[], Some(1))).collect();
    workflow.agents = vec![agent("a", "w", slots)];
    workflow
}

#[test]
fn the_trading_example_is_as_long_as_its_critical_path() {
    assert_eq!(played(&sample::workflow()), (8_000, 2));
}

#[test]
fn slots_and_limits_make_it_longer() {
    let mut workflow = sample::workflow();
    workflow.steps = (0..10).map(|n| step(&format!("s{n}"), "w", &[], Some(1))).collect();
    workflow.agents = vec![agent("a", "w", 1), agent("b", "w", 3)];
    assert_eq!(played(&workflow), (3_000, 4));
    workflow.limits.max_parallel = Some(2);
    assert_eq!(played(&workflow), (5_000, 2));
    workflow.limits.max_parallel = None;
    workflow.limits.capability.insert("w".into(), 1);
    assert_eq!(played(&workflow), (10_000, 1));
    workflow.mode = Mode::Sequential;
    assert_eq!(played(&workflow), (10_000, 1));
}

#[test]
fn backups_stand_aside_and_the_longest_chain_goes_first() {
    let mut workflow = sample::workflow();
    workflow.steps =
        vec![step("short", "w", &[], Some(1)), step("first", "w", &[], Some(1)), step("long", "x", &[1], Some(5))];
    workflow.agents = vec![agent("a", "w", 1), agent("spare", "w", 1), agent("b", "x", 1)];
    workflow.agents[1].backup = true;
    assert_eq!(played(&workflow), (6_000, 2));
    workflow.steps[0].priority = 90;
    assert_eq!(played(&workflow), (7_000, 1));
}

#[test]
fn what_runs_only_after_a_failure_takes_no_time() {
    let mut workflow = sample::workflow();
    workflow.steps =
        vec![step("a", "w", &[], Some(1)), step("rescue", "w", &[0], Some(9)), step("after", "w", &[1], Some(9))];
    workflow.steps[1].needs[0].on = NeedOn::Failed;
    workflow.agents = vec![agent("a", "w", 1)];
    assert_eq!(played(&workflow), (1_000, 1));
    workflow.steps[2].needs[0].on = NeedOn::Completed;
    assert_eq!(played(&workflow), (10_000, 1));
}

#[test]
fn a_hundred_thousand_steps_are_played_at_once() {
    let mut workflow = sample::workflow();
    workflow.steps = (0..100_000).map(|n| step(&format!("s{n}"), "w", &[], Some(1))).collect();
    workflow.agents = vec![agent("a", "w", 10)];
    assert_eq!(played(&workflow), (10_000_000, 10));
}

#[test]
fn locks_and_semaphores_let_only_so_many_work_at_once() {
    let mut workflow = wide(6, 9);
    for step in &mut workflow.steps[..4] {
        step.lock = Some("l".into());
    }
    assert_eq!(played(&workflow), (4_000, 3));
    for step in &mut workflow.steps {
        step.lock = None;
        step.semaphore = Some(Semaphore { name: "s".into(), permits: 2 });
    }
    assert_eq!(played(&workflow), (3_000, 2));
    workflow.steps[0].lock = Some("l".into());
    workflow.steps[1].lock = Some("l".into());
    assert_eq!(played(&workflow), (3_000, 2));
}

#[test]
fn a_step_that_waits_for_a_lock_does_not_hold_up_others_with_the_same_capability() {
    let mut workflow = wide(3, 9);
    workflow.steps[0].priority = 90;
    workflow.steps[1].priority = 80;
    workflow.steps[0].lock = Some("l".into());
    workflow.steps[1].lock = Some("l".into());
    assert_eq!(played(&workflow), (2_000, 2));
}

#[test]
fn resources_of_an_agent_are_shared_out() {
    let mut workflow = wide(6, 9);
    workflow.agents[0].resources = Some(Resources { cpu: 1.0, memory_mb: Resources::UNBOUNDED });
    for step in &mut workflow.steps {
        step.resources = Some(Resources { cpu: 0.1 * 3.0, memory_mb: 1e6 });
    }
    assert_eq!(played(&workflow), (2_000, 3));
    workflow.steps[0].resources = Some(Resources { cpu: 1.0, memory_mb: 0.0 });
    assert_eq!(played(&workflow), (3_000, 3));
}

#[test]
fn steps_of_a_barrier_start_together_and_those_that_never_run_are_not_waited_for() {
    let mut workflow = sample::workflow();
    workflow.steps = vec![step("long", "w", &[], Some(5)), step("a", "w", &[], Some(2)), step("b", "w", &[0], Some(1))];
    workflow.agents = vec![agent("a", "w", 9)];
    assert_eq!(played(&workflow), (6_000, 2));
    workflow.steps[1].barrier = Some("g".into());
    workflow.steps[2].barrier = Some("g".into());
    assert_eq!(played(&workflow), (7_000, 2));
    // That it never runs is known only when the step it needs has succeeded.
    workflow.steps[2].needs[0].on = NeedOn::Failed;
    assert_eq!(played(&workflow), (7_000, 1));
}

#[test]
fn a_person_takes_neither_time_nor_a_place() {
    let mut workflow = wide(3, 9);
    let work = Work::Approval { prompt: "?".to_owned(), timeout: None, default: None };
    workflow.steps[1] = Step::new("ask", work);
    workflow.steps[2].needs = step("x", "w", &[1], None).needs;
    workflow.limits.max_parallel = Some(1);
    assert_eq!(played(&workflow), (2_000, 1));
    workflow.steps.truncate(2);
    workflow.steps.swap_remove(0);
    assert_eq!(played(&workflow), (0, 0));
    workflow.mode = Mode::Sequential;
    assert_eq!(played(&workflow), (0, 0));
}

#[test]
fn hybrid_order_runs_large_levels_in_parallel_and_small_ones_in_order() {
    let mut workflow = wide(8, 9);
    // Two, then four, then two steps; a long step of the first level holds up the second as a whole.
    for at in 2..6 {
        workflow.steps[at].needs = step("x", "w", &[0], None).needs;
    }
    for at in 6..8 {
        workflow.steps[at].needs = step("x", "w", &[2], None).needs;
    }
    workflow.mode = Mode::Hybrid;
    assert_eq!(played(&workflow), (2_000 + 1_000 + 2_000, 4));
    workflow.steps[1].estimate = Some(Micros::from_secs(7));
    assert_eq!(played(&workflow), (8_000 + 1_000 + 2_000, 4));
    workflow.parallel_threshold = 2;
    assert_eq!(played(&workflow), (7_000 + 1_000 + 1_000, 4));
    workflow.parallel_threshold = 5;
    assert_eq!(played(&workflow).1, 1);
    workflow.parallel_threshold = 2;
    workflow.limits.max_parallel = Some(1);
    assert_eq!(played(&workflow), (14_000, 1));
}

#[test]
fn steps_of_a_barrier_stand_in_one_level_of_hybrid_order() {
    let mut workflow = wide(4, 9);
    workflow.steps[2].needs = step("x", "w", &[1], None).needs;
    workflow.steps[3].needs = step("x", "w", &[0], None).needs;
    workflow.steps[0].barrier = Some("g".into());
    workflow.steps[2].barrier = Some("g".into());
    workflow.mode = Mode::Hybrid;
    workflow.parallel_threshold = 2;
    assert_eq!(played(&workflow), (3_000, 2));
}

#[test]
fn auto_is_sequential_exactly_where_the_graph_is_a_chain() {
    let mut workflow = sample::workflow();
    workflow.mode = Mode::Auto;
    assert_eq!(strategy(&workflow, &sample::shape(&workflow)), Mode::Parallel);
    assert_eq!(played(&workflow), (8_000, 2));
    workflow.steps =
        vec![step("a", "data", &[], Some(1)), step("b", "data", &[0], Some(1)), step("c", "data", &[0, 1], Some(1))];
    assert_eq!(strategy(&workflow, &sample::shape(&workflow)), Mode::Sequential);
    assert_eq!(played(&workflow), (3_000, 1));
    workflow.steps[2].needs.remove(1);
    assert_eq!(strategy(&workflow, &sample::shape(&workflow)), Mode::Parallel);
}
