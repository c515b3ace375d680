//! Shares, gates, orders of work, budgets and figures: stories of what is begun when, and how it is told.

use super::*;

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
        sim.input(&crate::engine::Input::Load { per_core }).unwrap();
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
    let mut sim = Sim::new(|_| (s(4), Outcome::succeeded(Arc::new(json!({})))));
    begin(&mut sim, on_agents(steps, 1));
    let eta = |sim: &Sim| sim.engine.view(sim.now, None).runs[0].eta.unwrap();
    assert_eq!(eta(&sim), s(10), "five estimates on one slot");
    sim.advance_until(s(5));
    assert_eq!(eta(&sim), s(15), "four of four seconds each, one of them for a second already");
}
