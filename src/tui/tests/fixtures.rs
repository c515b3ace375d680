//! Views made by hand: a trading pipeline of six steps at five moments, and random ones of any shape.

use crate::model::completion::{Failure, FailureClass};
use crate::model::event::{Event, EventKind};
use crate::model::id::{AgentId, RunId, StepId};
use crate::model::policy::Mode;
use crate::model::rng::Rng;
use crate::model::state::{BreakerState, Broken, RunState, RunStatus, SkipReason, StepState, WaitReason};
use crate::model::step::{Need, NeedOn, Step, Work};
use crate::model::time::Micros;
use crate::model::view::{
    AgentView, AttemptView, Busy, CheckpointView, Counts, EngineView, KindFigures, RollbackView, RunSummary, RunView,
    Saving, Shape, StepDetail, StepView, StoreView,
};
use crate::model::workflow::Workflow;
use crate::runtime::logs::{Body, LogLine, LogStore, Stream};
use serde_json::json;
use std::sync::Arc;

pub(crate) const RUN: RunId = RunId(0);

pub(crate) const fn s(tenths: u64) -> Micros {
    Micros::from_millis(tenths * 100)
}

pub(crate) fn step(id: &str, needs: &[u32], estimate: u64) -> Step {
    Step {
        action: Some("analyse".into()),
        needs: needs.iter().map(|n| Need { step: StepId(*n), on: NeedOn::Succeeded }).collect(),
        estimate: Some(Micros::from_secs(estimate)),
        ..Step::new(id, Work::Capability { capability: "analysis".into() })
    }
}

/// A workflow of steps that need earlier ones.
pub(crate) fn workflow(steps: Vec<Step>) -> (Arc<Workflow>, Arc<Shape>) {
    let workflow = Workflow {
        description: Some("Market data to a decision, two analyses side by side".to_owned()),
        ..Workflow::new("trading_pipeline", Vec::new(), steps)
    };
    let mut shape = Shape { dependents: vec![Vec::new(); workflow.steps.len()], ..Shape::default() };
    for id in workflow.step_ids() {
        let needs = &workflow.step(id).needs;
        shape.order.push(id);
        shape.level.push(needs.iter().map(|need| shape.level[need.step.index()] + 1).max().unwrap_or(0));
        shape.slack.push(Micros::ZERO);
        for need in needs {
            shape.dependents[need.step.index()].push(id);
        }
    }
    (Arc::new(workflow), Arc::new(shape))
}

pub(crate) fn idle_step(state: StepState) -> StepView {
    StepView {
        state,
        wait: None,
        skip: None,
        agent: None,
        priority: 50,
        attempts: 0,
        injected: false,
        fallback: None,
        started: None,
        attempt_started: None,
        ended: None,
        failure: None,
        pinned: None,
        undo_failed: false,
        preparing: false,
        part_of: None,
        parts: None,
        gone: false,
        scores: None,
    }
}

fn agent(id: u32, name: &str) -> AgentView {
    AgentView {
        id: AgentId(id),
        name: name.into(),
        kind: "simulated",
        capabilities: vec!["analysis".into()],
        slots: 1,
        backup: false,
        takes_faults: true,
        broken: None,
        busy: Vec::new(),
        succeeded: 0,
        failed: 0,
        breaker: None,
        parked: None,
        utilisation: 0.0,
    }
}

pub(crate) fn counts(steps: &[StepView]) -> Counts {
    let mut counts = Counts::default();
    steps.iter().for_each(|step| counts.add(step.state));
    counts
}

/// The pipeline, loaded and not started.
pub(crate) fn loaded() -> EngineView {
    let mut steps = vec![
        step("market_data", &[], 2),
        step("technical_analysis", &[0], 4),
        step("sentiment_analysis", &[0], 3),
        step("risk_assessment", &[1, 2], 1),
        step("trading_decision", &[3], 1),
        step("compliance_check", &[4], 1),
    ];
    // Nobody here can do the last one: what is broken is not what it lacks.
    steps[5].work = Work::Capability { capability: "compliance".into() };
    let (workflow, mut shape) = workflow(steps);
    let path = Arc::get_mut(&mut shape).expect("nobody else holds it");
    path.critical_path = [0, 1, 3, 4, 5].map(StepId).to_vec();
    path.critical_path_time = Micros::from_secs(9);
    let steps: Vec<StepView> = (0..6).map(|_| idle_step(StepState::Pending)).collect();
    let run = RunView {
        id: RUN,
        name: "7f3a".into(),
        workflow,
        shape,
        state: RunState::Pending,
        status: None,
        cause: None,
        seed: 7,
        started: None,
        ended: None,
        paused_for: Micros::ZERO,
        undoing: false,
        counts: counts(&steps),
        steps,
        attempts: 0,
        faults: 0,
        eta: None,
        mode: Mode::Parallel,
        frozen: false,
        question: None,
        stuck: false,
        checkpoints: Vec::new(),
        rollback: None,
        figures: crate::model::view::Figures::default(),
        seq: 0,
    };
    let names = ["market-1", "technical-1", "technical-2", "sentiment-1", "strategy-1"];
    let agents = (0..).zip(names).map(|(id, name)| agent(id, name)).collect();
    EngineView {
        now: Micros::ZERO,
        clock_rate: 1.0,
        revision: 1,
        runs: vec![run],
        agents,
        detail: None,
        store: StoreView::default(),
        machine: None,
    }
}

/// Two at work, one of them after an injected crash; one waits for its retry.
pub(crate) fn busy() -> EngineView {
    let mut view = loaded();
    view.now = s(52);
    let run = &mut view.runs[0];
    run.state = RunState::Running;
    run.started = Some(Micros::ZERO);
    run.eta = Some(s(50));
    run.faults = 1;
    run.attempts = 4;
    run.seq = 12;
    run.steps[0] = StepView {
        agent: Some(AgentId(0)),
        attempts: 1,
        started: Some(s(0)),
        ended: Some(s(20)),
        ..idle_step(StepState::Succeeded)
    };
    run.steps[1] = StepView {
        agent: Some(AgentId(2)),
        attempts: 2,
        injected: true,
        started: Some(s(20)),
        attempt_started: Some(s(40)),
        ..idle_step(StepState::Running)
    };
    run.steps[2] = StepView {
        wait: Some((WaitReason::Backoff { retry: 1, limit: 2 }, Some(s(83)))),
        agent: Some(AgentId(3)),
        attempts: 1,
        started: Some(s(20)),
        failure: Some(Arc::new(Failure::new(FailureClass::Timeout, "no answer after 20 s"))),
        ..idle_step(StepState::Waiting)
    };
    run.counts = counts(&run.steps);
    view.agents[0].succeeded = 1;
    view.agents[1].failed = 1;
    view.agents[1].broken = Some(Broken {
        reason: "crash, asked for by key".to_owned(),
        injected: true,
        since: s(40),
        until: Some(s(3_040)),
    });
    view.agents[2].busy = vec![Busy { run: RUN, step: StepId(1), attempt: 2, since: s(40) }];
    view.agents[3].failed = 1;
    view.agents[4].backup = true;
    view.detail = Some(detail());
    view
}

fn detail() -> StepDetail {
    let crash = Failure { injected: true, ..Failure::new(FailureClass::Crash, "broken on purpose") };
    StepDetail {
        run: RUN,
        step: StepId(1),
        input: Some(Arc::new(json!({"symbols": ["ABC", "XYZ"], "window": 20}))),
        output: None,
        attempts: vec![
            AttemptView {
                attempt: 1,
                agent: AgentId(1),
                started: s(20),
                ended: Some(s(40)),
                failure: Some(Arc::new(crash)),
                fallback: None,
            },
            AttemptView { attempt: 2, agent: AgentId(2), started: s(40), ended: None, failure: None, fallback: None },
        ],
        why: vec!["it runs on technical-2 for 1.2 s".to_owned()],
        dependents: [3, 4, 5].map(StepId).to_vec(),
    }
}

/// One step failed for good, the rest cannot go on, another agent is broken by itself.
pub(crate) fn failing() -> EngineView {
    let mut view = busy();
    view.now = s(120);
    let run = &mut view.runs[0];
    run.steps[1] = StepView { attempt_started: None, ended: Some(s(80)), ..run.steps[1].clone() };
    run.steps[1].state = StepState::Succeeded;
    run.steps[2] = StepView {
        agent: Some(AgentId(3)),
        attempts: 3,
        started: Some(s(20)),
        ended: Some(s(115)),
        failure: Some(Arc::new(Failure::new(FailureClass::Timeout, "no answer\u{1b}[31m after 20 s"))),
        ..idle_step(StepState::Failed)
    };
    for later in 3..6 {
        run.steps[later] =
            StepView { skip: Some(SkipReason::Upstream { need: StepId(2) }), ..idle_step(StepState::Skipped) };
    }
    run.state = RunState::Failed;
    run.status = Some(RunStatus::Failed);
    run.ended = Some(s(115));
    run.eta = None;
    run.counts = counts(&run.steps);
    view.agents[2].busy.clear();
    view.agents[2].succeeded = 1;
    view.agents[3].broken = Some(Broken {
        reason: "cannot be started: no such file".to_owned(),
        injected: false,
        since: s(115),
        until: None,
    });
    view.detail = None;
    view
}

/// Everything went well, with one recovered step.
pub(crate) fn finished() -> EngineView {
    let mut view = busy();
    view.now = s(91);
    let run = &mut view.runs[0];
    for (place, (from, to)) in [(0, 20), (20, 60), (20, 52), (60, 70), (70, 80), (80, 90)].into_iter().enumerate() {
        let old = run.steps[place].clone();
        run.steps[place] = StepView {
            agent: Some(AgentId(place as u32 % 5)),
            attempts: old.attempts.max(1),
            injected: old.injected,
            started: Some(s(from)),
            ended: Some(s(to)),
            ..idle_step(StepState::Succeeded)
        };
    }
    run.state = RunState::Succeeded;
    run.status = Some(RunStatus::Succeeded);
    run.attempts = 8;
    run.figures.throughput_per_s = 6.0 / 9.0;
    run.figures.error_rate = 0.25;
    run.figures.retry_rate = 0.25;
    run.figures.efficiency = 1.0;
    run.ended = Some(s(90));
    run.eta = None;
    run.counts = counts(&run.steps);
    for agent in &mut view.agents {
        agent.busy.clear();
        agent.broken = None;
        agent.succeeded = 1;
    }
    view.detail = None;
    view
}

/// Asked to pause while something runs, or paused.
pub(crate) fn paused() -> EngineView {
    let mut view = busy();
    view.runs[0].state = RunState::Pausing;
    view
}

/// What the finished run came to.
pub(crate) fn summary(view: &EngineView) -> RunSummary {
    let run = &view.runs[0];
    RunSummary {
        run_name: run.name.clone(),
        workflow: run.workflow.clone(),
        state: run.state,
        status: run.status.unwrap_or(RunStatus::Succeeded),
        cause: None,
        seed: 7,
        seq: 20,
        saving: Saving::default(),
        data: json!({}),
        routes: Vec::new(),
        pool: (0, 0),
        result: None,
        outputs: Vec::new(),
        elapsed: s(90),
        busy: s(132),
        critical_path: s(90),
        lower_bound: s(90),
        max_parallel: 2,
        agents_used: 5,
        attempts: 8,
        retries: 2,
        fallbacks: 0,
        success_rate: 1.0,
        counts: run.counts,
        mode: Mode::Parallel,
        mode_reason: "the default".to_owned(),
        usage: None,
        errors: Vec::new(),
        steps_hit: 2,
        steps_recovered: u32::from(run.status == Some(RunStatus::Succeeded)) * 2,
        faults: 1,
        mttr: None,
        figures: crate::model::view::Figures::default(),
        agents: Vec::new(),
        undone: Vec::new(),
        asks: Vec::new(),
        steps: Vec::new(),
    }
}

/// A log with lines of agents and of the engine.
pub(crate) fn log() -> LogStore {
    let store = LogStore::default();
    let mut seq = 0;
    let mut event = |at: Micros, kind: EventKind| {
        seq += 1;
        let step = kind.step();
        let event = Event { seq, at, run: RUN, kind };
        store.push(LogLine {
            seq: 0,
            at,
            run: RUN,
            step,
            attempt: None,
            agent: None,
            body: Body::Event(Arc::new(event)),
        });
    };
    event(s(0), EventKind::RunStarted { seed: 7 });
    event(
        s(0),
        EventKind::AttemptStarted { step: StepId(0), attempt: 1, agent: AgentId(0), fallback: None, undo: false },
    );
    event(
        s(20),
        EventKind::StepSucceeded { step: StepId(0), output: Arc::new(json!({})), fallback: None, reused: None },
    );
    event(
        s(20),
        EventKind::AttemptStarted { step: StepId(1), attempt: 1, agent: AgentId(1), fallback: None, undo: false },
    );
    event(
        s(40),
        EventKind::AgentBroken {
            agent: AgentId(1),
            reason: "crash, asked for by key".to_owned(),
            injected: true,
            until: Some(s(3_040)),
        },
    );
    for (at, text) in [(45, "GET https://news.example/feed?page=1"), (46, "\u{1b}[32mok\u{1b}[0m\t200 日本語")] {
        let body = Body::Text(Stream::Stderr, text.into());
        store.push(LogLine {
            seq: 0,
            at: s(at),
            run: RUN,
            step: Some(StepId(2)),
            attempt: Some(1),
            agent: Some(AgentId(3)),
            body,
        });
    }
    store
}

const NAMES: [&str; 8] = [
    "a",
    "日本語のとても長いステップの名前",
    "x\u{1b}[2Jy",
    "e\u{301}\u{301}\u{301}",
    "very_long_name_very_long_name_very_long_name_",
    "ß",
    "\u{202e}rtl",
    " ",
];

fn random_time(rng: &mut Rng) -> Option<Micros> {
    (rng.below(3) > 0).then(|| Micros(rng.below(1 << 40)))
}

fn random_name(rng: &mut Rng) -> &'static str {
    NAMES[rng.below(8) as usize]
}

/// Any reason to wait that fits a workflow of so many steps.
fn random_wait(rng: &mut Rng, steps: u64) -> WaitReason {
    let name = || "w\u{7}\u{202e}".into();
    let step = |rng: &mut Rng| StepId(rng.below(steps) as u32);
    let agents = vec![AgentId(0), AgentId(rng.below(300) as u32)];
    match rng.below(9) {
        0 => WaitReason::Backoff { retry: 1, limit: 2 },
        1 => WaitReason::Capability { capability: name(), broken: agents },
        2 => WaitReason::RateLimit { capability: name(), agents },
        3 => WaitReason::Breaker { capability: name(), agents },
        4 => WaitReason::Approval,
        5 => WaitReason::Person,
        6 => WaitReason::Lock { lock: name(), holder: step(rng) },
        7 => WaitReason::Semaphore { semaphore: name(), holders: vec![step(rng), step(rng)] },
        _ => WaitReason::Barrier { barrier: name(), missing: vec![step(rng)] },
    }
}

fn random_step(rng: &mut Rng, steps: u64) -> StepView {
    let wait = (rng.below(3) > 0).then(|| (random_wait(rng, steps), random_time(rng)));
    StepView {
        state: StepState::ALL[rng.below(StepState::ALL.len() as u64) as usize],
        wait,
        agent: (rng.below(2) > 0).then(|| AgentId(rng.below(5) as u32)),
        priority: rng.below(101) as u8,
        attempts: rng.below(100_000) as u32,
        injected: rng.below(2) > 0,
        started: random_time(rng),
        attempt_started: random_time(rng),
        ended: random_time(rng),
        pinned: (rng.below(4) == 0).then(|| AgentId(rng.below(200) as u32)),
        undo_failed: rng.below(5) == 0,
        failure: (rng.below(2) > 0)
            .then(|| Arc::new(Failure::new(FailureClass::Crash, "\u{1b}[1mit\u{202e} broke\n\u{9b}2J twice"))),
        ..idle_step(StepState::Pending)
    }
}

fn random_agent(rng: &mut Rng, id: u32, steps: u64) -> AgentView {
    let mut busy = Vec::new();
    for attempt in 0..if steps > 0 { rng.below(4) as u32 } else { 0 } {
        busy.push(Busy { run: RUN, step: StepId(rng.below(steps) as u32), attempt, since: Micros(5) });
    }
    let injected = rng.below(2) > 0;
    let until = random_time(rng);
    let broken = Broken { reason: "\u{9b}31m it broke".to_owned(), injected, since: Micros(1), until };
    AgentView {
        slots: 1 + rng.below(12) as u32,
        backup: rng.below(9) == 0,
        breaker: [
            None,
            Some(BreakerState::Closed),
            Some(BreakerState::Open { until: Micros(rng.below(1 << 40)), cooldown: Micros(9) }),
            Some(BreakerState::HalfOpen { cooldown: Micros(9) }),
            Some(BreakerState::ForcedOpen),
            Some(BreakerState::ForcedClosed),
        ][rng.below(6) as usize],
        parked: random_time(rng).filter(|time| time.0 % 3 == 0),
        utilisation: rng.below(120) as f64 / 100.0,
        succeeded: rng.below(1_000_000),
        failed: rng.below(1_000),
        busy,
        broken: (rng.below(5) == 0).then_some(broken),
        ..agent(id, random_name(rng))
    }
}

const RUN_STATES: [RunState; 14] = [
    RunState::Pending,
    RunState::Running,
    RunState::Pausing,
    RunState::Paused,
    RunState::Stopping,
    RunState::Stopped,
    RunState::Cancelling,
    RunState::Compensating,
    RunState::Succeeded,
    RunState::Partial,
    RunState::Failed,
    RunState::Cancelled,
    RunState::Compensated,
    RunState::CompensationFailed,
];

/// Any view: names that hurt, every state, agents in every condition.
pub(crate) fn random(rng: &mut Rng) -> EngineView {
    let count = rng.below(40);
    let mut steps = Vec::new();
    for place in 0..count {
        let fan = if place > 0 { rng.below(4) } else { 0 };
        let mut needs: Vec<u32> = (0..fan).map(|_| rng.below(place) as u32).collect();
        needs.sort_unstable();
        needs.dedup();
        steps.push(step(&format!("{}{place}", random_name(rng)), &needs, rng.below(100_000)));
    }
    let mut view = loaded();
    view.now = Micros(rng.below(1 << 40));
    view.clock_rate = [0.0, 1.0, 50.0][rng.below(3) as usize];
    let run = &mut view.runs[0];
    run.state = RUN_STATES[rng.below(RUN_STATES.len() as u64) as usize];
    run.frozen = rng.below(5) == 0;
    run.question = (rng.below(4) == 0).then_some((3, 9));
    run.stuck = rng.below(3) == 0;
    run.started = random_time(rng);
    run.ended = random_time(rng);
    run.eta = random_time(rng);
    run.faults = rng.below(3) as u32;
    (run.workflow, run.shape) = workflow(steps);
    run.steps = (0..count).map(|_| random_step(rng, count)).collect();
    if count > 0 {
        let mut any = || StepId(rng.below(count) as u32);
        run.rollback = Some(RollbackView { undone: vec![any(), any()], left: vec![any()], pivot: Some(any()) });
        run.checkpoints = vec![CheckpointView { number: 1, step: any(), at: Micros(5) }];
        run.rollback = run.rollback.take().filter(|_| rng.below(2) > 0);
    }
    let kind = KindFigures {
        kind: random_name(rng).into(),
        count: u32::MAX,
        mean: Micros(u64::MAX),
        p95: Micros(1),
        max: Micros::ZERO,
    };
    run.figures.durations = vec![kind; rng.below(60) as usize];
    run.figures.phases.running = Micros(rng.below(1 << 50));
    run.figures.bottleneck = Some((random_name(rng).into(), 7));
    run.figures.throughput_per_s = [0.0, f64::NAN, 1e300][rng.below(3) as usize];
    run.counts = counts(&run.steps);
    view.agents = (0..rng.below(200) as u32).map(|id| random_agent(rng, id, count)).collect();
    view
}
