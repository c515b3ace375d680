//! Views made by hand: everything that can hold a step up, a run that asks, one that is frozen, one that is undone.

use super::fixtures::{RUN, counts, idle_step, loaded, s, step, workflow};
use crate::model::agent::{Agent, AgentKind, Simulated};
use crate::model::completion::{Failure, FailureClass};
use crate::model::id::{AgentId, StepId};
use crate::model::policy::{OnExhausted, RateLimit, Success};
use crate::model::state::{BreakerState, Broken, RunState, RunStatus, StepState, WaitReason};
use crate::model::step::{Decision, Semaphore, Step, Work};
use crate::model::time::Micros;
use crate::model::view::{
    Busy, CheckpointView, EngineView, Figures, KindFigures, Phases, RollbackView, StepDetail, StepView,
};
use crate::model::workflow::Workflow;
use std::sync::Arc;

/// The prompt of the approval: long enough to scroll, and not to be trusted.
pub(crate) const PROMPT: &str = "Release 1.4 to everybody?\n\nThe tests passed.\u{1b}]0;owned\u{7} Three checks were \
skipped because their machine was away.\n\n- build 7 of 7\n- tests 1,204 of 1,204\n- checks 5 of 8\n\nWho says yes \
answers for it: the release can be taken back for one hour, after that only by a new one. Ask in the channel if you are \
not sure.";

const NAMES: [&str; 10] =
    ["fetch", "parse", "rank", "index", "publish", "approve", "repair", "notify", "archive", "report"];

fn definition() -> Workflow {
    let mut steps: Vec<Step> = NAMES.iter().map(|name| step(name, &[], 2)).collect();
    for (place, need) in [(1, 0), (2, 0), (5, 1), (8, 5), (9, 8)] {
        steps[place].needs = step("x", &[need], 1).needs;
    }
    let timeout = Some(Micros::from_secs(120));
    steps[5].work = Work::Approval { prompt: PROMPT.to_owned(), timeout, default: Some(Decision::Reject) };
    steps[3].lock = Some("db".into());
    steps[4].semaphore = Some(Semaphore { name: "gpu".into(), permits: 2 });
    steps[7].barrier = Some("gate".into());
    steps[6].on_exhausted = OnExhausted::Pause;
    steps[8].critical = true;
    steps[9].work = Work::Agent { agent: "strategy-1".into() };
    let mut undo = step("fetch", &[], 1);
    undo.action = Some("unfetch".into());
    undo.retry.limit = 4;
    steps[0].compensate = Some(Box::new(undo));
    let names = ["market-1", "technical-1", "technical-2", "sentiment-1", "strategy-1"];
    let agents = names.map(|name| {
        let kind = AgentKind::Simulated(Simulated::default());
        let mut agent = Agent::new(name, kind, "analysis");
        if name == "sentiment-1" {
            agent.rate_limit = Some(RateLimit { calls: 10, per: Micros::from_secs(60) });
        }
        agent
    });
    Workflow { agents: agents.to_vec(), steps, ..Workflow::new("release", Vec::new(), Vec::new()) }
}

/// A view with the ten steps, none of them begun, under way for twenty seconds.
fn ten() -> EngineView {
    let mut view = loaded();
    let mut made = definition();
    let (_, shape) = workflow(made.steps.clone());
    made.success = Success::Min(0.8);
    let run = &mut view.runs[0];
    run.workflow = Arc::new(made);
    run.shape = shape;
    run.steps = (0..NAMES.len()).map(|_| idle_step(StepState::Pending)).collect();
    run.state = RunState::Running;
    run.started = Some(Micros::ZERO);
    view.now = s(200);
    run.figures = figures();
    run.attempts = 9;
    run.seq = 40;
    view
}

fn figures() -> Figures {
    let kind = |kind: &str, count, mean| KindFigures {
        kind: kind.into(),
        count,
        mean: s(mean),
        p95: s(mean * 2),
        max: s(mean * 3),
    };
    Figures {
        durations: vec![kind("analyse", 5, 18), kind("unfetch", 1, 4)],
        throughput_per_s: 0.25,
        error_rate: 0.333,
        retry_rate: 0.2,
        phases: Phases { waiting: s(410), running: s(620), backoff: s(55), recovery: s(80) },
        efficiency: 0.71,
        bottleneck: Some(("analysis".into(), 4)),
    }
}

fn waits(why: WaitReason, until: Option<u64>) -> StepView {
    StepView { wait: Some((why, until.map(s))), ..idle_step(StepState::Waiting) }
}

fn done(from: u64, to: u64, agent: u32) -> StepView {
    let (started, ended) = (Some(s(from)), Some(s(to)));
    StepView { agent: Some(AgentId(agent)), attempts: 1, started, ended, ..idle_step(StepState::Succeeded) }
}

fn spent() -> StepView {
    let failure = Failure::new(FailureClass::Crash, "exit 1: cannot\u{1b}[2J write the index");
    StepView {
        agent: Some(AgentId(2)),
        attempts: 3,
        started: Some(s(20)),
        failure: Some(Arc::new(failure)),
        ..waits(WaitReason::Person, None)
    }
}

/// Steps held up by everything that can hold a step up but a person; agents in every condition.
pub(crate) fn held() -> EngineView {
    let mut view = ten();
    let capability = || "analysis".into();
    let agents = |ids: &[u32]| ids.iter().map(|id| AgentId(*id)).collect::<Vec<_>>();
    let run = &mut view.runs[0];
    run.steps = vec![
        StepView {
            agent: Some(AgentId(0)),
            attempts: 1,
            started: Some(s(180)),
            attempt_started: Some(s(180)),
            ..idle_step(StepState::Running)
        },
        waits(WaitReason::RateLimit { capability: capability(), agents: agents(&[3]) }, Some(230)),
        waits(WaitReason::Breaker { capability: capability(), agents: agents(&[1]) }, Some(282)),
        waits(WaitReason::Lock { lock: "db".into(), holder: StepId(0) }, None),
        waits(WaitReason::Semaphore { semaphore: "gpu".into(), holders: vec![StepId(0), StepId(3)] }, None),
        idle_step(StepState::Pending),
        waits(WaitReason::Capability { capability: capability(), broken: agents(&[4]) }, None),
        waits(WaitReason::Barrier { barrier: "gate".into(), missing: vec![StepId(8)] }, None),
        waits(WaitReason::Backoff { retry: 2, limit: 3 }, Some(214)),
        waits(WaitReason::Breaker { capability: capability(), agents: agents(&[2]) }, None),
    ];
    run.steps[3].priority = 25;
    run.steps[4].priority = 75;
    run.counts = counts(&run.steps);
    view.agents[0].busy = vec![Busy { run: RUN, step: StepId(0), attempt: 1, since: s(180) }];
    view.agents[0].succeeded = 3;
    view.agents[0].utilisation = 0.83;
    view.agents[0].slots = 12;
    view.agents[1].breaker = Some(BreakerState::Open { until: s(282), cooldown: s(100) });
    view.agents[1].failed = 3;
    view.agents[1].succeeded = 1;
    view.agents[1].utilisation = 0.4;
    view.agents[2].breaker = Some(BreakerState::HalfOpen { cooldown: s(200) });
    view.agents[2].failed = 2;
    view.agents[3].parked = Some(s(230));
    view.agents[3].succeeded = 10;
    view.agents[3].breaker = Some(BreakerState::Closed);
    let reason = "health check: connection refused".to_owned();
    view.agents[4].broken = Some(Broken { reason, injected: false, since: s(150), until: Some(s(320)) });
    view.detail = Some(StepDetail {
        run: RUN,
        step: StepId(1),
        input: None,
        output: None,
        attempts: Vec::new(),
        why: vec!["sentiment-1 takes no more calls, 3.0 s left".to_owned()],
        dependents: [5, 8, 9].map(StepId).to_vec(),
    });
    view
}

/// An approval, and a step whose retries are spent, wait for a person; something runs beside them.
pub(crate) fn asking() -> EngineView {
    let mut view = ten();
    let run = &mut view.runs[0];
    run.steps[0] = done(0, 20, 0);
    run.steps[1] = done(20, 45, 1);
    run.steps[2] = done(20, 60, 3);
    run.steps[5] = waits(WaitReason::Approval, Some(1_250));
    run.steps[6] = spent();
    run.steps[7] = StepView {
        agent: Some(AgentId(3)),
        attempts: 1,
        started: Some(s(150)),
        attempt_started: Some(s(150)),
        ..idle_step(StepState::Running)
    };
    run.counts = counts(&run.steps);
    view.agents[3].busy = vec![Busy { run: RUN, step: StepId(7), attempt: 1, since: s(150) }];
    run.checkpoints = vec![
        CheckpointView { number: 1, step: StepId(1), at: s(20) },
        CheckpointView { number: 2, step: StepId(8), at: s(50) },
    ];
    run.rollback = Some(RollbackView { undone: vec![StepId(2), StepId(0)], left: vec![StepId(1)], pivot: None });
    view
}

/// Only the approval asks.
pub(crate) fn approval() -> EngineView {
    let mut view = asking();
    view.runs[0].steps[6] = idle_step(StepState::Pending);
    view.runs[0].counts = counts(&view.runs[0].steps);
    view
}

/// Seven of ten succeeded, and a person is asked whether that will do.
pub(crate) fn missed() -> EngineView {
    let mut view = ten();
    let run = &mut view.runs[0];
    for (place, step) in run.steps.iter_mut().enumerate() {
        *step = done(0, 20 + place as u64, 0);
        if place >= 7 {
            step.state = StepState::Failed;
            step.failure = Some(Arc::new(Failure::new(FailureClass::Timeout, "no answer after 20 s")));
        }
    }
    run.question = Some((7, 10));
    run.stuck = true;
    run.counts = counts(&run.steps);
    view
}

/// What runs is halted where it stands.
pub(crate) fn frozen() -> EngineView {
    let mut view = held();
    view.runs[0].state = RunState::Paused;
    view.runs[0].frozen = true;
    view
}

/// Rolling back: two steps are undone, one is being undone, one could not be, one still stands.
pub(crate) fn undoing() -> EngineView {
    let mut view = ten();
    let run = &mut view.runs[0];
    for place in 0..5 {
        run.steps[place] = done(place as u64 * 10, place as u64 * 10 + 8, 1);
    }
    run.steps[5].state = StepState::Failed;
    for later in 6..10 {
        run.steps[later].state = StepState::Cancelled;
    }
    run.steps[4].state = StepState::Compensated;
    run.steps[3].undo_failed = true;
    run.steps[2].state = StepState::Compensated;
    run.steps[1].state = StepState::Compensating;
    run.state = RunState::Compensating;
    run.rollback = Some(RollbackView { undone: vec![StepId(1), StepId(0)], left: Vec::new(), pivot: None });
    run.counts = counts(&run.steps);
    view
}

/// Rolled back, but for one step.
pub(crate) fn undone() -> EngineView {
    let mut view = undoing();
    let run = &mut view.runs[0];
    for place in [0, 1] {
        run.steps[place].state = StepState::Compensated;
    }
    run.state = RunState::CompensationFailed;
    run.status = Some(RunStatus::CompensationFailed);
    run.ended = Some(s(190));
    run.rollback = None;
    run.counts = counts(&run.steps);
    view
}

/// Every one of them.
pub(crate) fn all() -> [(&'static str, EngineView); 7] {
    [
        ("held", held()),
        ("asking", asking()),
        ("approval", approval()),
        ("missed", missed()),
        ("frozen", frozen()),
        ("undoing", undoing()),
        ("undone", undone()),
    ]
}
