//! When virtual time stands still: as long as a run waits for somebody, or none is under way.

use crate::model::agent::{Agent, AgentKind, Simulated};
use crate::model::command::{Answer, Command};
use crate::model::id::{Name, RunId, StepId};
use crate::model::step::{Need, NeedOn, Step, Work};
use crate::model::time::Micros;
use crate::model::view::EngineView;
use crate::model::workflow::Workflow;
use crate::runtime::clock::ClockKind;
use crate::runtime::handle::{Handle, RunOrder};
use crate::runtime::{Config, start};
use std::sync::Arc;

const fn s(seconds: u64) -> Micros {
    Micros::from_secs(seconds)
}

/// Three seconds of work with a long timeout, then a question, then a second of work; all within an hour.
fn asks() -> Workflow {
    let agent = Agent::new("sim", AgentKind::Simulated(Simulated::default()), "any");
    let work = || Work::Capability { capability: "any".into() };
    let needs = |step: u32| vec![Need { step: StepId(step), on: NeedOn::Succeeded }];
    let question = Work::Approval { prompt: "go on?".to_owned(), timeout: None, default: None };
    let steps = vec![
        Step { estimate: Some(s(3)), timeout: Some(s(500)), ..Step::new("work", work()) },
        Step { needs: needs(0), ..Step::new("question", question) },
        Step { needs: needs(1), estimate: Some(s(1)), ..Step::new("after", work()) },
    ];
    let mut workflow = Workflow::new("asks", vec![agent], steps);
    workflow.limits.deadline = Some(s(3_600));
    workflow
}

async fn load(handle: &Handle, name: &str) -> RunId {
    let order = RunOrder { workflow: Arc::new(asks()), name: Name::from(name), seed: 7, origin: None, reuse: None };
    handle.load(order).await.unwrap()
}

async fn seen(handle: &Handle, is_so: impl Fn(&EngineView) -> bool) -> Arc<EngineView> {
    handle.views().wait_for(|view| is_so(view)).await.unwrap().clone()
}

fn with_engine<T>(work: impl AsyncFnOnce(&Handle) -> T) -> T {
    let config = Config { clock: ClockKind::Virtual, speed: 1.0, program: "upbeat".into(), store: None };
    let runtime = start(config).unwrap();
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio.block_on(async {
        let done = work(runtime.handle()).await;
        runtime.shutdown().await;
        done
    })
}

#[test]
fn virtual_time_stands_still_while_a_run_waits_for_somebody_and_then_goes_on_from_there() {
    with_engine(async |handle| {
        let run = load(handle, "r").await;
        handle.command(Command::Start { run }).await.unwrap();
        let stuck = seen(handle, |view| view.runs.iter().any(|run| run.stuck)).await;
        assert_eq!(stuck.now, s(3));
        let command = Command::Answer { run, step: Some(StepId(1)), answer: Answer::Approve };
        handle.command(command).await.unwrap();
        let ended = seen(handle, |view| view.runs[0].state.ended()).await;
        assert_eq!(ended.runs[0].ended, Some(s(4)), "neither a timeout nor the deadline came between");
    });
}

#[test]
fn virtual_time_stands_still_while_a_run_is_paused_and_for_all_while_one_waits_for_somebody() {
    with_engine(async |handle| {
        let first = load(handle, "first").await;
        handle.command(Command::Start { run: first }).await.unwrap();
        seen(handle, |view| view.runs.iter().any(|run| run.stuck)).await;
        let second = load(handle, "second").await;
        handle.command(Command::Start { run: second }).await.unwrap();
        let waiting = seen(handle, |view| view.runs.iter().any(|run| run.id == second)).await;
        assert_eq!(waiting.now, s(3), "the second one has to wait for the answer");
        handle.command(Command::Pause { run: first }).await.unwrap();
        let both = seen(handle, |view| view.runs[1].stuck).await;
        assert_eq!(both.now, s(6), "a paused run asks nobody");
        handle.command(Command::Pause { run: second }).await.unwrap();
        handle.look_at(Some((second, StepId(0))));
        let paused = seen(handle, |view| view.detail.is_some()).await;
        assert_eq!(paused.now, s(6));
    });
}
