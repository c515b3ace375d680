//! A small world around the engine for tests that tell a story: model agents and a virtual clock, nothing drawn.
//!
//! Worlds drawn from seeds, with a disk, crashes and faults, are `runtime::simulator`.

use super::{Engine, Input, Outbox};
use crate::model::agent::{Agent, AgentKind, Simulated};
use crate::model::command::Command;
use crate::model::completion::{Completion, EndProof, Outcome};
use crate::model::computation::{Computation, Computed, Found, Prepared};
use crate::model::effect::{AttemptOrder, Effect, Timer};
use crate::model::event::Event;
use crate::model::id::{RunId, StepId};
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
    Computed(Computed),
}

type Behaviour = Box<dyn FnMut(&AttemptOrder) -> (Micros, Outcome)>;

/// An engine, a virtual clock, and model agents that behave as `behave` says.
pub(crate) struct Sim {
    pub(crate) engine: Engine,
    pub(crate) now: Micros,
    pub(crate) events: Vec<Arc<Event>>,
    /// How many events there were after each input: what one input led to is recorded as a whole.
    pub(crate) ends: Vec<usize>,
    due: BTreeMap<(Micros, u64), Due>,
    order: u64,
    halted: Vec<((RunId, StepId, u32), Micros, Due)>,
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
            ends: Vec::new(),
            due: BTreeMap::new(),
            order: 0,
            halted: Vec::new(),
            finished: BTreeSet::new(),
            behave: Box::new(behave),
        }
    }

    /// A simulation in which every attempt takes its estimate and succeeds.
    pub(crate) fn smooth() -> Self {
        Self::new(|order| {
            let time = order.workflow.step(order.step).estimate.unwrap_or(Micros::from_secs(1));
            (time, Outcome::succeeded(Arc::new(json!({}))))
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
        self.perform(outbox);
        verdict
    }

    /// Takes up a run whose journal was opened.
    pub(crate) fn reopen(&mut self, run: RunId) {
        let mut outbox = Outbox::default();
        self.engine.reopen(self.now, run, true, &mut outbox);
        self.perform(outbox);
    }

    fn perform(&mut self, mut outbox: Outbox) {
        self.events.append(&mut outbox.events);
        self.ends.push(self.events.len());
        for effect in outbox.effects {
            match effect {
                Effect::Start(order) => {
                    let (time, outcome) = (self.behave)(&order);
                    self.complete(self.now + time, order.run, order.step, order.attempt, outcome);
                }
                Effect::Compute(asked) => self.at(self.now, Due::Computed(compute(&asked))),
                Effect::Stop { run, step, attempt, .. } => {
                    self.freeze((run, step, attempt), false);
                    let ours = |due: &Due| matches!(due, Due::Completion(c) if (c.run, c.step, c.attempt) == (run, step, attempt));
                    if let Some(key) = self.due.iter().find(|(_, due)| ours(due)).map(|(key, _)| *key) {
                        self.due.remove(&key);
                        self.complete(self.now, run, step, attempt, Outcome::Stopped);
                    }
                }
                Effect::Freeze { run, step, attempt, frozen } => self.freeze((run, step, attempt), frozen),
                Effect::SetTimer { at, timer } => self.at(at, Due::Timer(timer)),
                Effect::Finished { run } => {
                    self.finished.insert(run);
                }
            }
        }
    }

    /// Takes the answer of an attempt out of time, or puts it back with the time that was left.
    fn freeze(&mut self, key: (RunId, StepId, u32), frozen: bool) {
        if frozen {
            let ours = |due: &Due| matches!(due, Due::Completion(c) if (c.run, c.step, c.attempt) == key);
            if let Some(at) = self.due.iter().find(|(_, due)| ours(due)).map(|(at, _)| *at) {
                let due = self.due.remove(&at).expect("found just now");
                self.halted.push((key, at.0 - self.now, due));
            }
        } else if let Some(at) = self.halted.iter().position(|(other, ..)| *other == key) {
            let (_, left, due) = self.halted.swap_remove(at);
            self.at(self.now + left, due);
        }
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
            Due::Computed(computed) => Input::Computed(computed),
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

/// What the outside would find, without filters: an aggregate is told what is there, anything else what stands in its file.
fn compute(asked: &Computation) -> Computed {
    let there: Vec<_> = asked.sources.iter().filter_map(|(_, value)| value.as_deref().cloned()).collect();
    let missing: Vec<_> = asked.sources.iter().filter(|(_, value)| value.is_none()).map(|(name, _)| name).collect();
    let found = match asked.step {
        _ if asked.step.is_none() || asked.parts.result => Found::Result(Arc::new(json!(there))),
        _ => Found::Input(Prepared {
            input: Arc::new(json!({"values": there, "missing": missing})),
            ..Prepared::default()
        }),
    };
    Computed { run: asked.run, step: asked.step, ticket: asked.ticket, found: Ok(found) }
}

pub(crate) fn agent(id: &str, capabilities: &[&str], slots: u32) -> Agent {
    Agent {
        capabilities: capabilities.iter().map(|&c| c.into()).collect(),
        slots,
        ..Agent::new(id, AgentKind::Simulated(Simulated::default()), "")
    }
}
