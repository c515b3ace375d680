//! A seeded world around the engine: random graphs, model agents, a virtual clock, a busy person at the keys.
//!
//! Each seed draws a workflow, agents, failure rates and commands; after every input the engine is compared with its
//! oracle, and the events with what must always hold: no step starts before its needs, none completes twice, attempt
//! numbers only grow, sequence numbers have no gaps, every run ends.

use super::graph::tests::{step, workflow};
use super::{Engine, Input, Outbox};
use crate::model::agent::{Agent, AgentKind, Simulated};
use crate::model::command::Command;
use crate::model::completion::{Completion, EndProof, Failure, FailureClass, Outcome};
use crate::model::effect::{AttemptOrder, Effect, Timer};
use crate::model::event::{Event, EventKind};
use crate::model::id::{AgentId, RunId, StepId};
use crate::model::policy::{Mode, Recovery, Success};
use crate::model::rng::Rng;
use crate::model::state::EndCause;
use crate::model::step::{Fallback, Need, NeedOn, Step, Work};
use crate::model::time::Micros;
use crate::model::workflow::Workflow;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What is due at a time.
#[derive(Clone, Debug)]
pub(crate) enum Due {
    Timer(Timer),
    Completion(Completion),
}

type Behaviour = Box<dyn FnMut(&AttemptOrder) -> (Micros, Outcome)>;

/// An engine, a virtual clock, and model agents that behave as `behave` says.
pub(crate) struct Sim {
    pub(crate) engine: Engine,
    pub(crate) now: Micros,
    pub(crate) events: Vec<Arc<Event>>,
    due: BTreeMap<(Micros, u64), Due>,
    order: u64,
    finished: BTreeSet<RunId>,
    /// The outcome and the length of an attempt.
    behave: Behaviour,
}

impl Sim {
    pub(crate) fn new(behave: impl FnMut(&AttemptOrder) -> (Micros, Outcome) + 'static) -> Self {
        Self {
            engine: Engine::new(),
            now: Micros::ZERO,
            events: Vec::new(),
            due: BTreeMap::new(),
            order: 0,
            finished: BTreeSet::new(),
            behave: Box::new(behave),
        }
    }

    /// A simulation in which every attempt takes its estimate and succeeds.
    pub(crate) fn smooth() -> Self {
        Self::new(|order| {
            let time = order.workflow.step(order.step).estimate.unwrap_or(Micros::from_secs(1));
            (time, Outcome::Succeeded { output: Arc::new(json!({})) })
        })
    }

    pub(crate) fn load(&mut self, workflow: Workflow) -> RunId {
        self.engine.load(Arc::new(workflow), "run".into(), 0).expect("a workflow that can be loaded")
    }

    pub(crate) fn command(&mut self, command: Command) -> Result<(), String> {
        self.input(&Input::Command(command)).map_err(|rejection| rejection.to_string())
    }

    pub(crate) fn input(&mut self, input: &Input) -> Result<(), crate::model::command::Rejection> {
        let mut outbox = Outbox::default();
        let verdict = self.engine.handle(self.now, input, &mut outbox);
        self.events.append(&mut outbox.events);
        for effect in outbox.effects {
            match effect {
                Effect::Start(order) => {
                    let (time, outcome) = (self.behave)(&order);
                    self.complete(self.now + time, order.run, order.step, order.attempt, outcome);
                }
                Effect::Stop { run, step, attempt, .. } => {
                    let ours = |due: &Due| matches!(due, Due::Completion(c) if (c.run, c.step, c.attempt) == (run, step, attempt));
                    if let Some(key) = self.due.iter().find(|(_, due)| ours(due)).map(|(key, _)| *key) {
                        self.due.remove(&key);
                        self.complete(self.now, run, step, attempt, Outcome::Stopped);
                    }
                }
                Effect::SetTimer { at, timer } => self.at(at, Due::Timer(timer)),
                Effect::Finished { run } => {
                    self.finished.insert(run);
                }
            }
        }
        verdict
    }

    fn complete(&mut self, at: Micros, run: RunId, step: StepId, attempt: u32, outcome: Outcome) {
        let proof = EndProof::Proved;
        let completion = Completion { run, step, attempt, outcome, usage: None, proof, agent_lost: None };
        self.at(at, Due::Completion(completion));
    }

    fn at(&mut self, at: Micros, due: Due) {
        self.order += 1;
        self.due.insert((at, self.order), due);
    }

    /// Goes to the next moment at which something is due. False: nothing is.
    pub(crate) fn advance(&mut self) -> bool {
        let Some(((at, _), due)) = self.due.pop_first() else { return false };
        self.now = self.now.max(at);
        let input = match due {
            Due::Timer(timer) => Input::Timer(timer),
            Due::Completion(completion) => Input::Completion(completion),
        };
        self.input(&input).expect("only commands are refused");
        true
    }

    /// Does everything that is due by then, and lets the clock stand there.
    pub(crate) fn advance_until(&mut self, until: Micros) {
        while self.due.first_key_value().is_some_and(|((at, _), _)| *at <= until) {
            self.advance();
        }
        self.now = self.now.max(until);
    }

    /// Runs until the run has ended; panics when it never does.
    pub(crate) fn finish(&mut self, run: RunId) {
        let mut turns = 0;
        while !self.finished.contains(&run) {
            assert!(self.advance(), "nothing is due, yet the run has not ended: {:#?}", self.events.last());
            turns += 1;
            assert!(turns < 1_000_000, "the run does not end");
        }
    }

    /// Starts and finishes a workflow.
    pub(crate) fn run(&mut self, workflow: Workflow) -> RunId {
        let run = self.load(workflow);
        self.command(Command::Start { run }).expect("a loaded run can be started");
        self.finish(run);
        run
    }
}

pub(crate) fn agent(id: &str, capabilities: &[&str], slots: u32) -> Agent {
    Agent {
        capabilities: capabilities.iter().map(|&c| c.into()).collect(),
        slots,
        ..Agent::new(id, AgentKind::Simulated(Simulated::default()), "")
    }
}

fn random_step(rng: &mut Rng, at: u32, capabilities: u64) -> Step {
    let mut made = step(&format!("s{at}"), &[], rng.below(2_000) as f64 / 1_000.0);
    let window = if rng.chance(0.5) { 4 } else { u64::from(at).max(1) };
    for _ in 0..rng.below(4).min(u64::from(at)) {
        let back = 1 + rng.below(window.min(u64::from(at)));
        let need = StepId(at - u32::try_from(back).unwrap());
        let on = [NeedOn::Succeeded, NeedOn::Succeeded, NeedOn::Completed, NeedOn::Failed][rng.below(4) as usize];
        if made.needs.iter().all(|n| n.step != need) {
            made.needs.push(Need { step: need, on });
        }
    }
    made.work = Work::Capability { capability: format!("c{}", rng.below(capabilities)).into() };
    made.priority = (rng.below(5) * 25) as u8;
    made.retry.limit = rng.below(4) as u32;
    made.critical = rng.chance(0.1);
    made.timeout = rng.chance(0.7).then(|| Micros::from_millis(500 + rng.below(2_000)));
    if rng.chance(0.2) {
        made.fallback.push(Fallback::Capability(format!("c{}", rng.below(capabilities)).into()));
    }
    if rng.chance(0.2) {
        made.fallback.push(Fallback::Value(json!({"fallback": true})));
    }
    made
}

fn random_workflow(rng: &mut Rng) -> Workflow {
    let capabilities = 1 + rng.below(4);
    let count = 1 + rng.below(30) as u32;
    let mut made = workflow((0..count).map(|at| random_step(rng, at, capabilities)).collect());
    for capability in 0..capabilities {
        for n in 0..=rng.below(3) {
            let mut one = agent(&format!("a{capability}-{n}"), &[&format!("c{capability}")], 1 + rng.below(3) as u32);
            one.backup = n > 0 && rng.chance(0.3);
            one.weight = 1.0 + rng.below(3) as f64;
            made.agents.push(one);
        }
    }
    made.mode = if rng.chance(0.2) { Mode::Sequential } else { Mode::Parallel };
    made.recovery = if rng.chance(0.2) { Recovery::FailFast } else { Recovery::Continue };
    made.success = [Success::All, Success::Any, Success::Min(0.5)][rng.below(3) as usize];
    made.limits.max_parallel = rng.chance(0.3).then(|| 1 + rng.below(4) as u32);
    made.limits.deadline = rng.chance(0.1).then(|| Micros::from_secs(1 + rng.below(20)));
    if rng.chance(0.3) {
        made.limits.capability.insert("c0".into(), 1);
    }
    made
}

/// A command that a person might think of.
fn random_command(rng: &mut Rng, run: RunId, workflow: &Workflow) -> Command {
    let step = StepId(rng.below(workflow.steps.len() as u64) as u32);
    let agent = AgentId(rng.below(workflow.agents.len() as u64) as u32);
    match rng.below(40) {
        0..8 => Command::Pause { run },
        8..16 => Command::Resume { run },
        16..19 => Command::CancelStep { run, step },
        19..24 => Command::RetryStep { run, step },
        24..28 => Command::SetPriority { run, step, priority: rng.below(101) as u8 },
        28..33 => Command::FailAgent { agent },
        33..38 => Command::HealAgent { agent },
        38 => Command::Stop { run },
        _ => Command::Cancel { run, cause: EndCause::Cancel },
    }
}

/// What must hold of any list of events.
fn check_events(workflow: &Workflow, events: &[Arc<Event>]) {
    let mut ended: BTreeMap<StepId, NeedOn> = BTreeMap::new();
    let mut attempts: BTreeMap<StepId, u32> = BTreeMap::new();
    let (mut open, mut succeeded) = (BTreeSet::new(), BTreeSet::new());
    for (at, event) in events.iter().enumerate() {
        assert_eq!(event.seq, at as u64 + 1, "sequence numbers have no gaps");
        match &event.kind {
            EventKind::StepReady { step, input: Some(_), .. } => {
                for need in &workflow.step(*step).needs {
                    let end = ended.get(&need.step);
                    let met = need.on == NeedOn::Completed && end.is_some() || end == Some(&need.on);
                    assert!(met, "{step:?} was ready before its need {need:?} was met: {end:?}");
                }
                open.insert(*step);
            }
            EventKind::AttemptStarted { step, attempt, .. } => {
                assert!(open.contains(step), "{step:?} started before it was ready");
                assert!(!succeeded.contains(step), "{step:?} started after it had succeeded");
                let last = attempts.insert(*step, *attempt).unwrap_or(0);
                assert_eq!(*attempt, last + 1, "attempt numbers grow by one");
            }
            EventKind::StepSucceeded { step, .. } => {
                assert!(succeeded.insert(*step), "{step:?} completed twice");
                ended.insert(*step, NeedOn::Succeeded);
            }
            EventKind::StepFailed { step, .. } => {
                ended.insert(*step, NeedOn::Failed);
            }
            EventKind::StepSkipped { step, .. } | EventKind::StepCancelled { step, .. } => {
                ended.insert(*step, NeedOn::Completed);
            }
            EventKind::StepReopened { step } => {
                open.remove(step);
                ended.remove(step);
            }
            _ => {}
        }
    }
}

fn simulate(seed: u64) -> Sim {
    let mut rng = Rng::new(seed);
    let workflow = random_workflow(&mut rng);
    let (fail, mut agents) = (rng.below(50) as f64 / 100.0, Rng::new(seed ^ 1));
    let mut sim = Sim::new(move |order| {
        let time = Micros::from_millis(agents.below(1_500));
        let estimate = order.workflow.step(order.step).estimate.unwrap_or(Micros::ZERO);
        let classes = [FailureClass::Transient, FailureClass::Crash, FailureClass::Permanent];
        let outcome = if agents.chance(fail) {
            Outcome::Failed(Failure::new(classes[agents.below(3) as usize], "the model agent failed"))
        } else {
            Outcome::Succeeded { output: Arc::new(json!({"n": order.attempt})) }
        };
        (time.max(estimate), outcome)
    });
    let run = sim.load(workflow.clone());
    sim.command(Command::Start { run }).unwrap();
    let keys = rng.chance(0.5);
    let mut turns = 0;
    while !sim.finished.contains(&run) && turns < 2_000 {
        if keys && rng.chance(0.2) {
            let _ = sim.command(random_command(&mut rng, run, &workflow));
        } else if !sim.advance() {
            break;
        }
        sim.engine.check().unwrap();
        turns += 1;
    }
    // Hands off: resumed and healed, every run must end.
    let _ = sim.command(Command::Resume { run });
    for agent in 0..workflow.agents.len() {
        let _ = sim.command(Command::HealAgent { agent: AgentId(agent as u32) });
    }
    if !sim.finished.contains(&run) {
        sim.finish(run);
    }
    check_events(&workflow, &sim.events);
    let summary = sim.engine.summary(sim.now, run).unwrap();
    assert!(summary.lower_bound <= summary.elapsed || workflow.limits.deadline.is_some(), "{summary:#?}");
    sim
}

#[test]
fn random_runs_keep_their_promises() {
    for seed in 0..6_000 {
        let outcome = std::panic::catch_unwind(|| simulate(seed));
        if let Err(panic) = outcome {
            let text = panic.downcast_ref::<String>().cloned().unwrap_or_default();
            panic!("seed {seed}: {text}");
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_events() {
    for seed in [1, 2, 3, 77, 1_234] {
        assert_eq!(simulate(seed).events, simulate(seed).events);
    }
}

#[test]
fn the_same_events_give_the_same_state() {
    for seed in 0..200 {
        let workflow = random_workflow(&mut Rng::new(seed));
        let live = simulate(seed);
        let mut world = super::world::World::default();
        world.load(Arc::new(workflow), "run".into(), 0).unwrap();
        for event in &live.events {
            super::evolve::evolve(&mut world, event);
        }
        let mut left = Vec::new();
        super::settle::settle(&mut world, &mut left);
        assert!(left.is_empty(), "seed {seed}: the journal leaves nothing to be decided, yet {left:?}");
        let worklists = |world: &mut super::world::World| {
            world.runs[0].open.clear();
            world.runs[0].lost.clear();
            format!("{world:?}")
        };
        let mut lived = live.engine.world.clone();
        assert_eq!(worklists(&mut world), worklists(&mut lived), "seed {seed}");
    }
}
