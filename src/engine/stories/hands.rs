//! Stories of people who freeze, answer, skip, complete, give away and cancel.

use super::*;

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
