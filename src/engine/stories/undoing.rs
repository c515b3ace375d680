//! Sagas, checkpoints, pivots: stories of runs that are undone.

use super::*;

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
