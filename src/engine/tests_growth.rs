//! Graphs that change while they run: items, aggregates that have enough, steps that bring steps, edits by people; and
//! that a journal and a snapshot give the same graph again.

use super::graph::tests::step;
use super::simulation::{Sim, agent};
use super::{Engine, Input};
use crate::model::aggregate::{Aggregate, From, Missing, Quorum, Strategy, Wait};
use crate::model::command::Command;
use crate::model::completion::{Failure, FailureClass, Outcome};
use crate::model::effect::AttemptOrder;
use crate::model::event::EventKind;
use crate::model::expression::Expression;
use crate::model::growth::{Edit, Expand, ForEach, NewStep};
use crate::model::id::{RunId, StepId};
use crate::model::mapping::OutputMapping;
use crate::model::path::Path;
use crate::model::policy::{RetryPolicy, Success};
use crate::model::state::{RunState, StepState};
use crate::model::step::{Need, NeedOn, Step, Work};
use crate::model::time::Micros;
use crate::model::view::RunSummary;
use crate::model::workflow::Workflow;
use serde_json::{Value, json};
use std::sync::Arc;

fn source(text: &str) -> Expression {
    Expression::of_source(text).unwrap()
}

fn for_each(items: &str, success: Success) -> Option<ForEach> {
    Some(ForEach { items: source(items), max_parallel: None, chunk: None, success })
}

fn flow(data: Value, steps: Vec<Step>) -> Workflow {
    Workflow {
        data,
        ..Workflow::new("flow", vec![agent("a", &["any"], 100), agent("c", &["combine outputs"], 9)], steps)
    }
}

fn once() -> RetryPolicy {
    crate::model::defaults::retry(0)
}

fn combine(id: &str, from: &[u32], strategy: Strategy) -> Step {
    let from: Vec<StepId> = from.iter().map(|at| StepId(*at)).collect();
    let needs = from.iter().map(|step| Need { step: *step, on: NeedOn::Completed }).collect();
    let aggregate = Aggregate { from: From::Steps(from), strategy, missing: Missing::Skip, wait: Wait::All };
    Step { needs, retry: once(), ..Step::new(id, Work::Aggregate(Box::new(aggregate))) }
}

fn merge() -> Strategy {
    Strategy::Merge { unique_by: None, sort_by: None }
}

/// Every attempt takes a second, returns its item (or its input), and fails for good where `fails` says so.
fn sim(fails: impl Fn(&AttemptOrder) -> bool + 'static) -> Sim {
    Sim::new(move |order| {
        let output = order.item.as_ref().map_or_else(|| order.input.clone(), |(item, _)| item.clone());
        let failed = || Outcome::Failed(Failure::new(FailureClass::Permanent, "no"));
        (Micros::from_secs(1), if fails(order) { failed() } else { Outcome::succeeded(output) })
    })
}

fn name(order: &AttemptOrder) -> &str {
    &order.workflow.step(order.step).id
}

fn summary(sim: &Sim, run: RunId) -> RunSummary {
    sim.engine.summary(sim.now, run).unwrap()
}

fn state(sim: &Sim, run: RunId, step: &str) -> StepState {
    let view = sim.engine.view(sim.now, None);
    let at = view.runs[run.index()].workflow.find(step).unwrap_or_else(|| panic!("there is no {step}"));
    view.runs[run.index()].steps[at.index()].state
}

/// The journal so far, folded, gives the same state; so does a snapshot.
fn assert_same_again(sim: &Sim, workflow: &Workflow) {
    let run = RunId(0);
    let mut folded = Engine::new();
    let events = sim.events.iter().map(|event| (**event).clone());
    folded.restore(Arc::new(workflow.clone()), "run".into(), 0, None, events).unwrap();
    assert_eq!(sim.engine.difference(&folded, run, true), None);
    let (_, bytes) = sim.engine.snapshot(run).unwrap();
    let mut taken = Engine::new();
    taken.restore(Arc::new(workflow.clone()), "run".into(), 0, Some(&bytes), []).unwrap();
    assert_eq!(sim.engine.difference(&taken, run, true), None);
}

#[test]
fn a_list_becomes_items_whose_outputs_come_back_in_order() {
    let data = json!({"list": ["x", "y", "z"]});
    let all = vec![
        step("before", &[], 1.0),
        Step {
            for_each: for_each("list", Success::All),
            output: vec![OutputMapping { field: "any".into(), path: Path::parse("found").unwrap() }],
            ..step("each", &[0], 1.0)
        },
        step("after", &[1], 1.0),
    ];
    let workflow = flow(data, all);
    let mut sim = sim(|_| false);
    let run = sim.run(workflow.clone());
    let summary = summary(&sim, run);
    assert_eq!(summary.state, RunState::Succeeded);
    assert_eq!(summary.outputs.iter().find(|(id, _)| &**id == "each").unwrap().1.as_ref(), &json!(["x", "y", "z"]));
    assert_eq!(summary.data["found"], json!(["x", "y", "z"]));
    assert_eq!((summary.attempts, summary.max_parallel, sim.now), (5, 3, Micros::from_secs(3)));
    assert_eq!(state(&sim, run, "each[2]"), StepState::Succeeded);
    assert_same_again(&sim, &workflow);
}

#[test]
fn an_empty_list_is_done_at_once_and_what_is_no_list_fails() {
    for (data, expected) in [(json!({"list": []}), RunState::Succeeded), (json!({"list": 3}), RunState::Failed)] {
        let workflow = flow(data, vec![Step { for_each: for_each("list", Success::All), ..step("each", &[], 1.0) }]);
        let mut sim = sim(|_| false);
        let run = sim.run(workflow);
        assert_eq!(summary(&sim, run).state, expected);
    }
}

#[test]
fn items_at_once_are_limited_where_that_is_said() {
    let data = json!({"list": [1, 2, 3, 4, 5]});
    let limited = ForEach { max_parallel: Some(2), ..for_each("list", Success::All).unwrap() };
    let workflow = flow(data, vec![Step { for_each: Some(limited), ..step("each", &[], 1.0) }]);
    let mut sim = sim(|_| false);
    let run = sim.run(workflow.clone());
    assert_eq!((summary(&sim, run).max_parallel, sim.now), (2, Micros::from_secs(3)));
    assert_same_again(&sim, &workflow);
}

#[test]
fn two_of_ten_items_may_be_lost_where_that_is_declared_and_the_run_is_partial() {
    let lost = |order: &AttemptOrder| ["each[3]", "each[7]"].contains(&name(order));
    for (success, expected) in [
        (Success::Min(0.8), RunState::Partial),
        (Success::Min(0.9), RunState::Failed),
        (Success::All, RunState::Failed),
    ] {
        let each = Step { for_each: for_each("list", success), retry: once(), ..step("each", &[], 1.0) };
        let workflow = flow(json!({"list": (0..10).collect::<Vec<_>>()}), vec![each, combine("all", &[0], merge())]);
        let mut sim = sim(lost);
        let run = sim.run(workflow.clone());
        let summary = summary(&sim, run);
        assert_eq!(summary.state, expected, "{success:?}");
        let output =
            |id: &str| summary.outputs.iter().find(|(name, _)| &**name == id).map(|(_, value)| (**value).clone());
        let there = [0, 1, 2, 4, 5, 6, 8, 9];
        assert_eq!(output("all"), Some(json!({"values": there, "missing": ["each[3]", "each[7]"]})));
        let kept = json!([0, 1, 2, null, 4, 5, 6, null, 8, 9]);
        assert_eq!(output("each"), (expected == RunState::Partial).then_some(kept));
        assert_eq!(summary.errors.iter().filter_map(|error| error.item).collect::<Vec<_>>(), [3, 7]);
        assert_same_again(&sim, &workflow);
    }
}

#[test]
fn eight_of_ten_meet_the_share_of_a_run_as_well() {
    let each = Step { for_each: for_each("list", Success::All), retry: once(), ..step("each", &[], 1.0) };
    let steps = vec![each, combine("all", &[0], merge())];
    let data = json!({"list": (0..10).collect::<Vec<_>>()});
    let workflow = Workflow { success: Success::Min(0.8), ..flow(data, steps) };
    let mut sim = sim(|order| ["each[3]", "each[7]"].contains(&name(order)));
    let run = sim.run(workflow);
    assert_eq!(summary(&sim, run).state, RunState::Partial);
}

#[test]
fn the_first_answer_is_enough_and_the_others_are_cancelled_and_not_counted() {
    let slow =
        |seconds: f64, id: &str| Step { estimate: Some(Micros::from_secs_f64(seconds)), ..step(id, &[], seconds) };
    let steps =
        vec![slow(5.0, "slow"), slow(1.0, "quick"), slow(9.0, "late"), combine("one", &[0, 1, 2], Strategy::First)];
    let workflow = flow(json!({}), steps);
    let mut sim = Sim::new(|order| {
        let time = order.workflow.step(order.step).estimate.unwrap_or(Micros::ZERO);
        (time, Outcome::succeeded(order.input.clone()))
    });
    let run = sim.run(workflow.clone());
    assert_eq!(summary(&sim, run).state, RunState::Succeeded);
    assert_eq!(sim.now, Micros::from_secs(1));
    assert_eq!(state(&sim, run, "late"), StepState::Cancelled);
    assert_same_again(&sim, &workflow);
}

#[test]
fn a_quorum_ends_the_vote_and_a_share_counts_all_who_could_vote() {
    for (quorum, end) in [(Quorum::Votes(2), 2), (Quorum::Share(0.6), 3), (Quorum::Share(1.0), 5)] {
        let strategy = Strategy::Vote { by: None, quorum: Some(quorum) };
        let mut steps: Vec<Step> = (1..=5).map(|at| step(&format!("v{at}"), &[], f64::from(at))).collect();
        steps.push(combine("vote", &[0, 1, 2, 3, 4], strategy));
        let workflow = flow(json!({}), steps);
        let mut sim = Sim::new(|order| {
            let time = order.workflow.step(order.step).estimate.unwrap_or(Micros::ZERO);
            (time, Outcome::succeeded(Arc::new(json!("yes"))))
        });
        let run = sim.run(workflow);
        assert_eq!((summary(&sim, run).state, sim.now), (RunState::Succeeded, Micros::from_secs(end)), "{quorum:?}");
    }
}

#[test]
fn a_condition_that_does_not_hold_skips_and_what_needs_it_goes_on() {
    let gated = Step { condition: Some(source("go")), ..step("gated", &[], 1.0) };
    for (data, expected) in [
        (json!({"go": true}), StepState::Succeeded),
        (json!({"go": 0}), StepState::Succeeded),
        (json!({"go": false}), StepState::Skipped),
        (json!({}), StepState::Skipped),
    ] {
        let mut sim = sim(|_| false);
        let run = sim.run(flow(data.clone(), vec![gated.clone(), step("after", &[0], 1.0)]));
        assert_eq!((state(&sim, run, "gated"), state(&sim, run, "after")), (expected, StepState::Succeeded), "{data}");
        assert_eq!(summary(&sim, run).state, RunState::Succeeded);
    }
}

fn new(id: &str, needs: &[&str]) -> NewStep {
    let needs = needs.iter().map(|need| ((*need).into(), NeedOn::Succeeded)).collect();
    NewStep { step: step(id, &[], 1.0), needs }
}

/// A planner that brings these steps.
fn planned(brings: Vec<NewStep>) -> (Sim, RunId, Workflow) {
    let planner = Step { expand: Some(Expand { allow: None, max: 100 }), retry: once(), ..step("plan", &[], 1.0) };
    let workflow = flow(json!({}), vec![planner, step("end", &[0], 1.0)]);
    let brings = Arc::new(brings);
    let mut sim = Sim::new(move |order| {
        let (output, scores) = (order.input.clone(), None);
        let brings = (order.step == StepId(0)).then(|| brings.clone());
        (Micros::from_secs(1), Outcome::Succeeded { output, scores, brings })
    });
    let run = sim.run(workflow.clone());
    (sim, run, workflow)
}

#[test]
fn a_step_brings_steps_that_wait_for_each_other_and_for_what_was_there() {
    let (sim, run, workflow) = planned(vec![new("a", &[]), new("b", &["a", "end"]), new("c", &["B"])]);
    assert_eq!(summary(&sim, run).state, RunState::Succeeded);
    assert_eq!((summary(&sim, run).attempts, sim.now), (5, Micros::from_secs(4)));
    assert_same_again(&sim, &workflow);
}

#[test]
fn what_cannot_join_as_a_whole_fails_the_step_that_brought_it() {
    let foreign = NewStep { step: Step::new("x", Work::Capability { capability: "other".into() }), needs: Vec::new() };
    let many: Vec<NewStep> = (0..101).map(|at| new(&format!("n{at}"), &[])).collect();
    let cases = [
        (vec![new("a", &[]), new("END", &[])], "a step END already"),
        (vec![new("a", &["nobody"])], "needs nobody"),
        (vec![new("a", &["b"]), new("b", &["a"])], "would need itself"),
        (vec![new("a", &[]), foreign], "no agent of the run offers"),
        (many, "at most 100"),
    ];
    for (brings, expected) in cases {
        let (sim, run, _) = planned(brings);
        let summary = summary(&sim, run);
        assert_eq!(summary.state, RunState::Failed);
        let error = &summary.errors[0];
        assert_eq!(error.failure.class, FailureClass::MalformedOutput);
        assert!(error.failure.message.contains(expected), "{}", error.failure.message);
        assert_eq!(summary.workflow.steps.len(), 2);
    }
}

#[test]
fn an_edit_is_one_transaction_and_can_be_taken_back() {
    let steps = vec![step("a", &[], 5.0), step("b", &[0], 1.0), step("c", &[1], 1.0)];
    let workflow = flow(json!({}), steps);
    let mut sim = Sim::smooth();
    let run = sim.load(workflow.clone());
    sim.command(Command::Start { run }).unwrap();
    let need = |at| Need { step: StepId(at), on: NeedOn::Succeeded };
    let edit = |add, drop, rewire| Command::Edit { run, edit: Box::new(Edit { add, drop, rewire }) };
    let refused = [
        (edit(vec![], vec![], vec![]), "changes nothing"),
        (edit(vec![], vec![StepId(0)], vec![]), "only pending steps"),
        (edit(vec![], vec![StepId(1)], vec![]), "would not be there"),
        (edit(vec![], vec![], vec![(StepId(1), vec![need(2)])]), "would need itself"),
        (edit(vec![new("B", &[])], vec![], vec![]), "a step B already"),
        (edit(vec![], vec![], vec![(StepId(1), vec![need(9)])]), "would not be there"),
    ];
    for (command, expected) in refused {
        let said = sim.command(command).unwrap_err();
        assert!(said.contains(expected), "{said}");
    }
    let all = edit(vec![new("d", &["a"])], vec![StepId(1)], vec![(StepId(2), vec![need(3)])]);
    sim.command(all.clone()).unwrap();
    assert_same_again(&sim, &workflow);
    sim.command(Command::UndoEdit { run }).unwrap();
    assert_same_again(&sim, &workflow);
    assert!(sim.command(Command::UndoEdit { run }).unwrap_err().contains("no edit is left"));
    let Command::Edit { edit: mut again, .. } = all else { unreachable!() };
    // The number of the step that was taken back is not given again.
    again.rewire[0].1 = vec![need(4)];
    sim.command(Command::Edit { run, edit: again }).unwrap();
    sim.finish(run);
    let done: Vec<String> = sim
        .events
        .iter()
        .filter_map(|event| match event.kind {
            EventKind::StepSucceeded { step, .. } => {
                Some(sim.engine.view(sim.now, None).runs[0].workflow.step(step).id.to_string())
            }
            _ => None,
        })
        .collect();
    assert_eq!(done, ["a", "d", "c"]);
    assert_eq!(summary(&sim, run).state, RunState::Succeeded);
    assert!(sim.command(Command::UndoEdit { run }).unwrap_err().contains("cannot be changed"));
    assert_same_again(&sim, &workflow);
}

#[test]
fn a_run_that_is_cut_off_goes_on_with_the_graph_it_had() {
    let each = Step { for_each: for_each("list", Success::All), ..step("each", &[], 1.0) };
    let workflow = flow(json!({"list": [1, 2, 3, 4]}), vec![each, combine("all", &[0], merge())]);
    let (whole, ends) = {
        let mut sim = sim(|_| false);
        sim.run(workflow.clone());
        (sim.events, sim.ends)
    };
    for cut in ends {
        let mut engine = Engine::new();
        let events = whole[..cut].iter().map(|event| (**event).clone());
        let run = engine.restore(Arc::new(workflow.clone()), "run".into(), 0, None, events).unwrap();
        let mut sim = sim(|_| false);
        (sim.engine, sim.now) = (engine, Micros::from_secs(60));
        sim.reopen(run);
        if sim.engine.has_ended(run) {
            continue;
        }
        sim.input(&Input::Command(Command::Resume { run })).unwrap();
        let unknown: Vec<StepId> = sim.engine.view(sim.now, None).runs[0]
            .steps
            .iter()
            .enumerate()
            .filter(|(_, step)| step.state == StepState::Unknown)
            .map(|(at, _)| StepId::from_index(at))
            .collect();
        for step in unknown {
            sim.command(Command::RetryStep { run, step }).unwrap();
        }
        sim.finish(run);
        let summary = summary(&sim, run);
        assert_eq!(summary.state, RunState::Succeeded, "cut after {cut}");
        let all = summary.outputs.iter().find(|(id, _)| &**id == "all").unwrap();
        assert_eq!(*all.1, json!({"values": [1, 2, 3, 4], "missing": []}));
    }
}

/// A workflow of two steps that read and write data of their own.
fn inner(result: bool) -> Workflow {
    let write = |path: &str| vec![OutputMapping { field: "any".into(), path: Path::parse(path).unwrap() }];
    let first = Step { for_each: for_each("names", Success::All), output: write("greeted"), ..step("greet", &[], 1.0) };
    let all = combine("count", &[0], merge());
    let result = result.then(|| Aggregate {
        from: From::Steps(vec![StepId(1)]),
        strategy: merge(),
        missing: Missing::Skip,
        wait: Wait::All,
    });
    Workflow { data: json!({"names": ["nobody"]}), result, ..Workflow::new("inner", vec![], vec![first, all]) }
}

fn uses(id: &str, result: bool) -> Step {
    Step::new(id, Work::Uses { file: "inner.yaml".into(), workflow: Box::new(inner(result).into()) })
}

#[test]
fn another_workflow_is_done_in_place_of_a_step_on_data_of_its_own() {
    for result in [false, true] {
        let with = json!({"names": ["a", "b"]}).as_object().cloned().unwrap();
        let steps = vec![Step { with, ..uses("sub", result) }, step("after", &[0], 1.0)];
        let workflow = flow(json!({"names": [1, 2, 3]}), steps);
        let mut sim = sim(|_| false);
        let run = sim.run(workflow.clone());
        let summary = summary(&sim, run);
        assert_eq!((summary.state, sim.now), (RunState::Succeeded, Micros::from_secs(3)));
        assert_eq!(summary.data, json!({"names": [1, 2, 3]}));
        let counted = json!({"values": ["a", "b"], "missing": []});
        let expected = if result { json!([counted]) } else { json!({"greet": ["a", "b"], "count": counted}) };
        let output = summary.outputs.iter().find(|(id, _)| &**id == "sub").unwrap();
        assert_eq!(*output.1, expected);
        assert_eq!(state(&sim, run, "sub/greet[1]"), StepState::Succeeded);
        assert_same_again(&sim, &workflow);
    }
}

#[test]
fn a_step_may_use_another_workflow_once_for_every_item() {
    let all = Step { for_each: for_each("list", Success::All), ..uses("sub", false) };
    let workflow = flow(json!({"list": [1, 2]}), vec![all]);
    let mut sim = sim(|_| false);
    let run = sim.run(workflow.clone());
    assert_eq!(state(&sim, run, "sub[1]/greet[0]"), StepState::Succeeded);
    let output = summary(&sim, run).outputs.iter().find(|(id, _)| &**id == "sub").unwrap().1.clone();
    let one = json!({"greet": ["nobody"], "count": {"values": ["nobody"], "missing": []}});
    assert_eq!(*output, json!([one, one]));
    assert_same_again(&sim, &workflow);
}

#[test]
fn what_fails_in_another_workflow_fails_the_step_that_uses_it_and_can_be_tried_again() {
    let workflow = flow(json!({}), vec![Step { retry: once(), ..uses("sub", false) }, step("after", &[0], 1.0)]);
    let mut broken = true;
    let mut sim = Sim::new(move |order| {
        let fails = name(order) == "sub/greet[0]" && std::mem::take(&mut broken);
        let failed = Outcome::Failed(Failure::new(FailureClass::Permanent, "no"));
        (Micros::from_secs(1), if fails { failed } else { Outcome::succeeded(order.input.clone()) })
    });
    let run = sim.run(workflow.clone());
    assert_eq!(summary(&sim, run).state, RunState::Failed);
    sim.command(Command::RetryFailed { run }).unwrap();
    sim.advance_until(Micros::from_secs(100));
    assert_eq!(summary(&sim, run).state, RunState::Succeeded);
    assert_eq!(state(&sim, run, "after"), StepState::Succeeded);
    assert_same_again(&sim, &workflow);
}

#[test]
fn a_step_that_is_not_safe_beside_others_has_the_run_to_itself() {
    for (priority, end) in [(0, 6), (50, 7), (100, 6)] {
        let quick = |id: &str| step(id, &[], 2.0);
        let alone = Step { alone: true, priority, ..step("alone", &[], 3.0) };
        let steps = vec![quick("a"), quick("b"), alone, quick("c"), quick("d"), step("e", &[0], 1.0)];
        let workflow = flow(json!({}), steps);
        let mut sim = Sim::smooth();
        let run = sim.run(workflow.clone());
        let summary = summary(&sim, run);
        assert_eq!(summary.state, RunState::Succeeded);
        let time = |id: &str| {
            let step = summary.steps.iter().find(|step| &*step.step == id).unwrap();
            (step.started.unwrap(), step.ended.unwrap())
        };
        let (from, to) = time("alone");
        for id in ["a", "b", "c", "d", "e"] {
            let (began, ended) = time(id);
            assert!(
                ended <= from || began >= to,
                "priority {priority}: {id} {began:?}-{ended:?} beside {from:?}-{to:?}"
            );
        }
        assert_eq!(sim.now, Micros::from_secs(end), "priority {priority}");
        assert_same_again(&sim, &workflow);
    }
}
