//! The driver with real clocks, real stores and real runs.

use crate::model::agent::{Agent, AgentKind, Simulated};
use crate::model::command::Command;

use crate::model::state::RunStatus;
use crate::model::step::{Need, NeedOn, Step, Work};
use crate::model::time::Micros;
use crate::model::view::{RunSummary, Saving};
use crate::model::workflow::Workflow;
use crate::runtime::clock::ClockKind;
use crate::runtime::handle::{Origin, RunOrder};
use crate::runtime::store::disk::{Store, SyncMode};
use crate::runtime::{Config, start};

use std::path::PathBuf;
use std::sync::Arc;

fn step(id: &str, needs: &[u32]) -> Step {
    let needs = needs.iter().map(|&n| Need { step: crate::model::id::StepId(n), on: NeedOn::Succeeded });
    let work = Work::Capability { capability: "any".into() };
    Step { needs: needs.collect(), estimate: Some(Micros::from_secs(3)), ..Step::new(id, work) }
}

fn chain() -> Workflow {
    let agent = Agent::new("sim", AgentKind::Simulated(Simulated::default()), "any");
    Workflow::new("chain", vec![agent], vec![step("a", &[]), step("b", &[0])])
}

fn run(clock: ClockKind, speed: f64) -> (Box<RunSummary>, Vec<String>) {
    run_in(clock, speed, None)
}

fn run_in(clock: ClockKind, speed: f64, store: Option<Store>) -> (Box<RunSummary>, Vec<String>) {
    let store = store.map(|store| (store, SyncMode::Normal));
    let runtime = start(Config { clock, speed, program: PathBuf::from("upbeat"), store }).unwrap();
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio.block_on(async {
        let handle = runtime.handle().clone();
        let origin = Some(Origin::default());
        let order = RunOrder { workflow: Arc::new(chain()), name: "r".into(), seed: 7, origin, reuse: None };
        let run = handle.load(order).await.unwrap();
        handle.command(Command::Start { run }).await.unwrap();
        let mut events = handle.subscribe().await.unwrap();
        let mut seen = Vec::new();
        while seen.last().is_none_or(|last: &String| !last.contains("run_finished")) {
            let event = events.recv().await.unwrap();
            seen.push(format!("{} {} {}", event.seq, event.at.0, event.kind.name()));
        }
        let summary = handle.summary(run).await.unwrap();
        drop(events);
        runtime.shutdown().await;
        (summary, seen)
    })
}

#[test]
fn the_virtual_clock_gives_exact_times_and_the_same_events_each_time() {
    let (summary, events) = run(ClockKind::Virtual, 1.0);
    assert_eq!((summary.status, summary.elapsed), (RunStatus::Succeeded, Micros::from_secs(6)));
    assert_eq!(events, run(ClockKind::Virtual, 1.0).1);
    assert_eq!(events.first().map(String::as_str), Some("1 0 run_started"), "a late reader gets the whole journal");
}

#[test]
fn a_store_changes_nothing_but_that_everything_is_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("store")).unwrap();
    let (summary, events) = run_in(ClockKind::Virtual, 1.0, Some(store.clone()));
    assert_eq!((summary.saving, summary.elapsed), (Saving::Normal, Micros::from_secs(6)));
    assert_eq!(events, run(ClockKind::Virtual, 1.0).1);
    let saved = store.read("r").unwrap();
    let journal: Vec<_> =
        saved.events.iter().map(|event| format!("{} {} {}", event.seq, event.at.0, event.kind.name())).collect();
    assert_eq!(journal, events);
    assert_eq!((saved.header.seed, saved.brief.succeeded, store.is_live("r")), (7, 2, false));
}

#[test]
fn speed_shortens_what_simulated_agents_take_in_real_time() {
    let (summary, _) = run(ClockKind::Real, 1_000.0);
    assert_eq!(summary.status, RunStatus::Succeeded);
    assert!(summary.elapsed >= Micros::from_millis(6) && summary.elapsed < Micros::from_secs(3));
}
