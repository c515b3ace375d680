//! Every risk with a workflow that has it, and one, as like it as can be, that has not.

use super::plan::Plan;
use crate::model::agent::{Agent, AgentKind, ProcessAgent};
use crate::model::aggregate::{Aggregate, From, Missing, Strategy, Wait};
use crate::model::defaults::GRACE;
use crate::model::expression::Expression;
use crate::model::growth::{Expand, ForEach};
use crate::model::policy::{OnUnknown, RateLimit, Recovery, Success};
use crate::model::quality::{Expect, OnFail, Quality};
use crate::model::step::{Decision, Fallback, NeedOn, Step, Work};
use crate::model::time::Micros;
use crate::model::workflow::Workflow;
use crate::report::sample::{agent, shape, step};
use serde_json::{Value, json};

/// Two steps of 2 s beside each other and one of 1 s behind them, on two agents for all: no risk at all.
fn calm() -> Workflow {
    let steps = vec![step("a", "w", &[], Some(2)), step("b", "w", &[], Some(2)), step("c", "w", &[0, 1], Some(1))];
    Workflow::new("calm", vec![agent("one", "w", 2), agent("two", "w", 2)], steps)
}

fn found(workflow: &Workflow) -> Vec<Value> {
    let json = Plan::new(workflow, &shape(workflow)).json();
    json["risks"].as_array().unwrap().clone()
}

/// The only risk of a workflow that is calm but for what `change` does to it: its kind has to be this one.
#[track_caller]
fn only(kind: &str, change: impl Fn(&mut Workflow)) -> Value {
    let mut workflow = calm();
    change(&mut workflow);
    let risks = found(&workflow);
    assert_eq!(risks.iter().map(|risk| risk["kind"].as_str().unwrap()).collect::<Vec<_>>(), [kind], "{risks:#?}");
    risks[0].clone()
}

#[track_caller]
fn none(change: impl Fn(&mut Workflow)) {
    let mut workflow = calm();
    change(&mut workflow);
    assert_eq!(found(&workflow), Vec::<Value>::new());
}

fn process() -> AgentKind {
    AgentKind::Process(ProcessAgent { command: vec!["x".to_owned()], cwd: None, env: Vec::new(), grace: GRACE })
}

#[test]
fn a_calm_workflow_has_no_risks() {
    none(|_| {});
}

#[test]
fn a_step_that_takes_longer_than_its_timeout() {
    let risk = only("timeout", |w| w.steps[0].timeout = Some(Micros::from_secs(1)));
    assert_eq!(
        (&risk["steps"], &risk["remediation"]),
        (&json!(["a"]), &json!("raise `timeout`, or correct `estimate`"))
    );
    none(|w| w.steps[0].timeout = Some(Micros::from_secs(3)));
}

#[test]
fn a_step_without_a_timeout() {
    assert_eq!(only("no_timeout", |w| w.steps[1].timeout = None)["steps"], json!(["b"]));
    none(|w| {
        w.steps[1].timeout = None;
        w.steps[1].idle_timeout = Some(Micros::from_secs(9));
    });
}

#[test]
fn a_critical_path_longer_than_the_deadline() {
    assert_eq!(only("deadline", |w| w.limits.deadline = Some(Micros::from_secs(2)))["steps"], json!(["a", "c"]));
}

#[test]
fn retries_that_could_outlast_the_deadline() {
    // Three attempts of 30 s and waits of 1 s and 2 s for each of two steps: 186 s.
    let risk = only("retries", |w| w.limits.deadline = Some(Micros::from_secs(185)));
    let told = risk["message"].as_str().unwrap();
    assert!(told.ends_with("the critical path takes 3 m 06 s, past the deadline of 3 m 05 s"), "{told}");
    none(|w| w.limits.deadline = Some(Micros::from_secs(186)));
    none(|w| {
        w.limits.deadline = Some(Micros::from_secs(50));
        w.steps.iter_mut().for_each(|step| step.retry.limit = 0);
    });
}

#[test]
fn an_agent_that_nobody_could_stand_in_for() {
    let alone = |w: &mut Workflow| {
        w.agents[1] = agent("two", "v", 2);
        w.agents.push(agent("three", "v", 1));
        w.steps[1].work = Work::Capability { capability: "v".into() };
    };
    let risk = only("single_agent", alone);
    assert_eq!((&risk["steps"], &risk["agents"]), (&json!(["a", "c"]), &json!(["one"])));
    assert_eq!(risk["message"], "only `one` can do it; waiting while it is broken: 2 steps");
    none(|w| {
        alone(w);
        w.agents.push(Agent { backup: true, ..agent("spare", "w", 2) });
    });
    none(|w| {
        alone(w);
        w.steps.iter_mut().for_each(|step| step.fallback = vec![Fallback::Value(json!(0))]);
    });
}

#[test]
fn a_critical_step_without_a_fallback() {
    assert_eq!(only("critical", |w| w.steps[2].critical = true)["steps"], json!(["c"]));
    none(|w| {
        w.steps[2].critical = true;
        w.steps[2].fallback = vec![Fallback::Capability("w".into())];
    });
}

#[test]
fn a_step_that_is_done_again_and_that_a_rollback_cannot_undo() {
    let rolled_back = |w: &mut Workflow| {
        w.recovery = Recovery::Rollback;
        w.steps[0].retry.limit = 0;
    };
    assert_eq!(only("not_undone", rolled_back)["steps"], json!(["b"]), "nothing can fail behind `c`");
    none(|w| w.steps[0].retry.limit = 0);
    for calmed in [
        (|step: &mut Step| step.on_unknown = OnUnknown::Retry) as fn(&mut Step),
        |step| step.compensate = Some(Box::new(super::sample::step("b", "w", &[], None))),
        |step| step.pivot = true,
    ] {
        none(|w| {
            rolled_back(w);
            calmed(&mut w.steps[1]);
        });
    }
}

#[test]
fn a_person_who_is_waited_for() {
    let asked = |default: Option<Decision>| {
        move |w: &mut Workflow| {
            let timeout = default.map(|_| Micros::from_secs(9));
            w.steps[1].work = Work::Approval { prompt: "?".to_owned(), timeout, default };
        }
    };
    assert_eq!(only("approval", asked(None))["steps"], json!(["b"]));
    only("approval_time", asked(Some(Decision::Approve)));
}

#[test]
fn a_step_of_which_nobody_knows_after_a_crash_what_it_did() {
    let real = |w: &mut Workflow| w.agents.iter_mut().for_each(|agent| agent.kind = process());
    assert_eq!(only("unknown_outcome", real)["steps"], json!(["a", "b", "c"]));
    none(|w| {
        real(w);
        w.steps.iter_mut().for_each(|step| step.on_unknown = OnUnknown::Retry);
    });
}

#[test]
fn slots_limits_and_rates_that_hold_the_run_up() {
    let risk = only("max_parallel", |w| w.limits.max_parallel = Some(1));
    assert_eq!(risk["message"], "`max_parallel` is 1, the widest level has 2: 5.0 s instead of 3.0 s");
    none(|w| w.limits.max_parallel = Some(2));
    let risk = only("slots", |w| {
        w.limits.capability.insert("w".into(), 1);
    });
    assert_eq!(risk["message"], "2 of one level ask for `w`, 1 can be done at once: 5.0 s instead of 3.0 s");
    assert_eq!(risk["steps"], json!(["a", "b"]));
    let limited = |per: u64| {
        move |w: &mut Workflow| {
            w.agents[1].slots = 1;
            w.agents[1].capabilities = vec!["v".into()];
            w.agents.push(agent("three", "v", 1));
            w.agents[0].rate_limit = Some(RateLimit { calls: 2, per: Micros::from_secs(per) });
            w.steps.iter_mut().for_each(|step| step.fallback = vec![Fallback::Value(json!(0))]);
        }
    };
    let risk = only("rate_limit", limited(10));
    assert_eq!(risk["message"], "`one` takes 2 calls in 10.0 s: 11.0 s instead of 3.0 s");
    assert_eq!(risk["agents"], json!(["one"]));
    none(limited(2));
}

#[test]
fn a_score_that_nobody_measures() {
    let expecting = |scores: Value| {
        move |w: &mut Workflow| {
            let thresholds = [("accuracy".into(), 0.8)].into_iter().collect();
            let quality = Some(Quality { domain: "house".into(), thresholds });
            let expect = Expect { schema: None, assert: Vec::new(), quality, on_fail: OnFail::Retry };
            w.steps[0].expect = Some(Box::new(expect));
            w.steps[0].with.insert("scores".to_owned(), scores.clone());
        }
    };
    assert_eq!(only("unmeasured", expecting(json!({"clarity": 1})))["steps"], json!(["a"]));
    none(expecting(json!({"accuracy": 1})));
}

#[test]
fn what_the_times_do_not_know() {
    assert_eq!(
        only("no_estimate", |w| {
            w.agents.iter_mut().for_each(|agent| agent.kind = process());
            w.steps.iter_mut().for_each(|step| step.on_unknown = OnUnknown::Retry);
            w.steps[1].estimate = None;
        })["steps"],
        json!(["b"])
    );
    assert_eq!(only("conditional", |w| w.steps[2].needs[0].on = NeedOn::Failed)["steps"], json!(["c"]));
    let condition = Expression::of_source("enough").ok();
    assert_eq!(only("condition", |w| w.steps[2].condition.clone_from(&condition))["steps"], json!(["c"]));
    let combined = |strategy: Strategy| {
        move |w: &mut Workflow| {
            let from = From::Steps(vec![w.steps[2].needs[0].step, w.steps[2].needs[1].step]);
            let (missing, wait, strategy) = (Missing::Skip, Wait::All, strategy.clone());
            w.steps[2].work = Work::Aggregate(Box::new(Aggregate { from, strategy, missing, wait }));
            w.add_builtins(2);
        }
    };
    assert_eq!(only("first", combined(Strategy::First))["steps"], json!(["c"]));
    none(combined(Strategy::Merge { unique_by: None, sort_by: None }));
}

fn each(items: &str, max_parallel: Option<u32>) -> Option<ForEach> {
    let items = Expression::of_source(items).unwrap();
    Some(ForEach { items, max_parallel, chunk: None, success: Success::All })
}

#[test]
fn items_without_a_bound_and_steps_that_come_while_it_runs() {
    let over = |items: &'static str, most: Option<u32>| {
        move |w: &mut Workflow| {
            w.data = json!({"three": [1, 2, 3], "many": [1, 2, 3, 4, 5, 6]});
            w.steps[0].for_each = each(items, most);
        }
    };
    assert_eq!(only("unbounded", over("unknown", None))["steps"], json!(["a"]));
    none(over("unknown", Some(2)));
    none(over("three", None));
    none(over("many", Some(3)));
    let grows = only("grows", |w| w.steps[1].expand = Some(Expand { allow: None, max: 7 }));
    assert_eq!(grows["message"], "its output may bring steps, 7 at most in all: times are the least");
}

#[test]
fn items_of_a_list_in_the_data_are_spread_and_unknown_ones_give_the_least() {
    let mut workflow = calm();
    workflow.data = json!({"many": [1, 2, 3, 4, 5, 6]});
    let told = |workflow: &Workflow| {
        let plan = Plan::new(workflow, &shape(workflow));
        let json = plan.json();
        let figures = ["critical_path_s", "sequential_s", "parallel_s"].map(|key| json[key].as_f64().unwrap());
        (figures, json["at_least"].clone(), json["levels"].clone(), plan.text())
    };
    let levels = json!([["a", "b"], ["c"]]);
    // Six items and `b` on four slots: two rounds, then `c`.
    workflow.steps[0].for_each = each("many", None);
    let (figures, at_least, seen, text) = told(&workflow);
    assert_eq!((figures, at_least, seen), ([3.0, 15.0, 5.0], json!([]), levels.clone()));
    assert!(text.contains("a (2.0 s for 6 items) · b (2.0 s)"), "{text}");
    // Two at a time: three rounds, and `b` beside them.
    workflow.steps[0].for_each = each("many", Some(2));
    assert_eq!(told(&workflow).0, [7.0, 15.0, 7.0]);
    workflow.steps[0].for_each = each("unknown", Some(2));
    let (figures, at_least, seen, text) = told(&workflow);
    assert_eq!((figures, at_least, seen), ([3.0, 5.0, 3.0], json!(["a"]), levels));
    assert!(text.contains("  critical path  at least 3.0 s, a → c\n"), "{text}");
    assert!(text.contains("a (2.0 s an item)"), "{text}");
    workflow.steps[0].for_each = each("[]", None);
    assert_eq!(told(&workflow).0, [3.0, 3.0, 3.0]);
}
