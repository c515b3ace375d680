//! Errands: told, and forgotten.

use crate::model::agent::{Agent, AgentKind, Builtin, Simulated};
use crate::model::policy::BreakerPolicy;
use crate::model::state::{EndCause, RunState};
use crate::model::step::{Step, Work};
use crate::model::time::Micros;
use crate::model::workflow::Workflow;
use crate::runtime::clock::ClockKind;
use crate::runtime::handle::{Errand, Handle, Origin, RunOrder, Told};
use crate::runtime::store::disk::{Store, SyncMode};
use crate::runtime::{Config, start};
use serde_json::json;
use std::sync::Arc;

fn workflow(agent: Agent) -> Workflow {
    Workflow::new("flow", vec![agent], vec![Step::new("a", Work::Capability { capability: "any".into() })])
}

fn echo() -> Workflow {
    workflow(Agent::new("echo", AgentKind::Builtin { builtin: Builtin::Echo }, "any"))
}

fn slow() -> Workflow {
    workflow(Agent { slots: 9, ..Agent::new("sim", AgentKind::Simulated(Simulated::default()), "any") })
}

fn errand(workflow: &Arc<Workflow>, name: &str) -> Errand {
    let origin = Some(Origin::default());
    let order = RunOrder { workflow: workflow.clone(), name: name.into(), seed: 1, origin, reuse: None };
    Errand { order, item: Some((Arc::new(json!(name)), 0)) }
}

/// Does something with an engine; gives what it gives.
fn with<T>(clock: ClockKind, store: Option<Store>, work: impl AsyncFnOnce(&Handle) -> T) -> T {
    let store = store.map(|store| (store, SyncMode::Normal));
    let runtime = start(Config { clock, speed: 1.0, program: "upbeat".into(), store }).unwrap();
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio.block_on(async {
        let done = work(runtime.handle()).await;
        runtime.shutdown().await;
        done
    })
}

async fn told(handle: &Handle, errands: Vec<Errand>) -> Vec<Told> {
    let mut told = Vec::new();
    for answer in handle.errands(errands).await {
        told.push(answer.await.unwrap().unwrap());
    }
    told
}

#[test]
fn of_errands_nothing_is_kept_but_what_was_learnt_of_agents() {
    with(ClockKind::Real, None, async |handle| {
        let flow = Arc::new(echo());
        for round in 0..50 {
            let names: Vec<String> = (0..8).map(|n| format!("r{round}.{n}")).collect();
            let all = told(handle, names.iter().map(|name| errand(&flow, name)).collect()).await;
            for (name, told) in names.iter().zip(all) {
                assert_eq!((told.summary.state, &*told.summary.run_name), (RunState::Succeeded, name.as_str()));
                assert_eq!(told.summary.data["item"], **name);
            }
        }
        let mut views = handle.views();
        let view = views.wait_for(|view| view.agents.iter().any(|agent| agent.succeeded == 400)).await.unwrap();
        assert!(view.runs.is_empty());
        drop(view);
        assert_eq!(handle.logs().next_seq(), 0);
        assert!(handle.subscribe().await.unwrap().try_recv().is_err(), "there is no earlier event to be told");
    });
}

#[test]
fn errands_that_come_together_begin_in_one_moment() {
    with(ClockKind::Virtual, None, async |handle| {
        let flow = Arc::new(slow());
        for told in told(handle, ["a", "b", "c"].map(|name| errand(&flow, name)).to_vec()).await {
            assert_eq!((told.summary.elapsed, told.at), (Micros::from_secs(1), Micros::from_secs(1)));
        }
    });
}

#[test]
fn errands_are_ended_together_and_those_that_are_saved_can_go_on() {
    let folder = tempfile::tempdir().unwrap();
    for saved in [false, true] {
        let store = saved.then(|| Store::open(folder.path()).unwrap());
        let kept = store.clone();
        let flow = Arc::new(slow());
        with(ClockKind::Real, store, async |handle| {
            let answers = handle.errands(vec![errand(&flow, "x"), errand(&flow, "y")]).await;
            handle.end_errands(EndCause::Terminate).await;
            for answer in answers {
                let summary = answer.await.unwrap().unwrap().summary;
                let expected = if saved { RunState::Paused } else { RunState::Cancelled };
                assert_eq!(summary.state, expected);
                // The lock was given back with the answer on its way: another one may have it at once.
                let Some(kept) = &kept else { continue };
                let opened = (0..1_000).find_map(|_| kept.open_journal(&summary.run_name, SyncMode::Normal).ok());
                assert!(opened.is_some(), "the journal is given back");
            }
        });
    }
}

#[test]
fn an_agent_that_broke_is_broken_for_the_errands_after() {
    let failing = Simulated {
        default: crate::model::agent::Script { fail_rate: Some(1.0), ..Default::default() },
        ..Simulated::default()
    };
    let breaker = Some(BreakerPolicy { failures: 2, cooldown: Micros::from_secs(1_000) });
    let agent = Agent { breaker, ..Agent::new("sim", AgentKind::Simulated(failing), "any") };
    let mut flow = workflow(agent);
    flow.steps[0].retry = crate::model::defaults::retry(0);
    flow.limits.deadline = Some(Micros::from_secs(10));
    let flow = Arc::new(flow);
    with(ClockKind::Virtual, None, async |handle| {
        let mut causes = Vec::new();
        for name in ["a", "b", "c"] {
            causes.push(told(handle, vec![errand(&flow, name)]).await.remove(0).summary.cause);
        }
        assert_eq!(causes, [None, None, Some(EndCause::Deadline)], "nobody is left for the third");
    });
}
