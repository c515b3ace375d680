//! The world a scenario plays in: the engine, a virtual clock, agents that do as they are told, one person.
//!
//! After every input and at every look the engine is held against its slow oracle, and what it says about waiting steps
//! against the views (`exact`). At a crash and at the end the journal is folded into a new engine, which has to hold the
//! same state.

use super::script::{Act, Acts, Scenario, Wish, wishes};
use super::{commands, exact, words};
use serde_json::Value;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use upbeat::engine::{Engine, Input, Outbox};
use upbeat::model::command::{Command, Rejection};
use upbeat::model::completion::{Completion, EndProof, Failure, FailureClass, Outcome};
use upbeat::model::defaults::GRACE;
use upbeat::model::effect::{AttemptOrder, Effect, Timer};
use upbeat::model::event::Event;
use upbeat::model::id::{RunId, StepId};
use upbeat::model::state::RunState;
use upbeat::model::time::Micros;
use upbeat::model::view::EngineView;
use upbeat::model::workflow::Workflow;
use upbeat::report::events::{Names, event_json};
use upbeat::runtime::agents::simulated::answer;
use upbeat::spec::{Options, Source, read};

pub(crate) const RUN: RunId = RunId(0);
const NAME: &str = "r1";
/// More turns than any scenario has need of.
const TURNS_MAX: usize = 10_000;

/// How long after its end an agent answers that answers late.
const LATE: Micros = Micros::from_millis(1_500);

/// An attempt of a step, or of undoing it.
type Key = (StepId, u32);

enum Due {
    Timer(Timer),
    Answer(Box<Completion>),
}

/// What a scenario came to.
pub(crate) struct Played {
    pub(crate) events: String,
    pub(crate) looks: String,
    /// How the steps stand at the end, by name.
    pub(crate) steps: BTreeMap<String, &'static str>,
}

pub(crate) struct World {
    pub(crate) engine: Engine,
    pub(crate) workflow: Arc<Workflow>,
    pub(crate) now: Micros,
    acts: Acts,
    due: BTreeMap<(Micros, u64), Due>,
    order: u64,
    /// Attempts under way, with the word of their act.
    under_way: BTreeMap<Key, String>,
    halted: BTreeMap<Key, Option<(Micros, Box<Completion>)>>,
    journal: Vec<Arc<Event>>,
    events: String,
    looks: String,
    /// Nothing was to happen any more without a person: what had happened by then.
    stuck_at: Option<usize>,
}

impl World {
    fn new(scenario: &Scenario) -> Result<Self, String> {
        let source = Source::new("scenario.yaml", scenario.section("workflow").to_owned());
        let options = Options { cores: 2, ..Options::default() };
        let outcome = read(&source, &options);
        let said = outcome.render();
        let workflow = Arc::new(outcome.value.ok_or(said)?);
        let mut engine = Engine::new();
        engine.load(workflow.clone(), NAME.into(), 0).map_err(|why| why.to_string())?;
        Ok(Self {
            engine,
            workflow,
            now: Micros::ZERO,
            acts: Acts::read(scenario.section("agents behave"))?,
            due: BTreeMap::new(),
            order: 0,
            under_way: BTreeMap::new(),
            halted: BTreeMap::new(),
            journal: Vec::new(),
            events: String::new(),
            looks: String::new(),
            stuck_at: None,
        })
    }

    pub(crate) fn view(&self) -> EngineView {
        self.engine.view(self.now, None)
    }

    /// Hands an input in and does what follows.
    fn input(&mut self, input: &Input) -> Result<Result<(), Rejection>, String> {
        let mut outbox = Outbox::default();
        let verdict = self.engine.handle(self.now, input, &mut outbox);
        self.follow(outbox)?;
        self.look_closely()?;
        Ok(verdict)
    }

    fn follow(&mut self, outbox: Outbox) -> Result<(), String> {
        let view = self.view();
        let mut names = Names::of(&view.runs[0], &view.agents);
        for event in outbox.events {
            names.hear(&event);
            self.events.push_str(&words::event(&event_json(&event, &names)));
            self.events.push('\n');
            self.journal.push(event);
        }
        outbox.effects.into_iter().try_for_each(|effect| self.effect(effect))
    }

    fn effect(&mut self, effect: Effect) -> Result<(), String> {
        match effect {
            Effect::Start(order) => self.start(&order)?,
            Effect::Compute(_) => {}
            Effect::Stop { step, attempt, at_once, .. } => {
                let key = (step, attempt);
                self.freeze(key, false);
                if let Some(word) = self.under_way.get(&key) {
                    // Who does not listen is ended by force, after grace.
                    let grace = if word == "deaf" && !at_once { GRACE } else { Micros::ZERO };
                    if word == "late" {
                        let output = Arc::new(Value::Null);
                        self.answer(LATE, key, Outcome::succeeded(output), None);
                    } else {
                        self.forget(key);
                    }
                    self.answer(grace, key, Outcome::Stopped, None);
                }
            }
            Effect::Freeze { step, attempt, frozen, .. } => self.freeze((step, attempt), frozen),
            Effect::SetTimer { at, timer } => self.at(at, Due::Timer(timer)),
            Effect::Finished { .. } => {}
        }
        Ok(())
    }

    fn start(&mut self, order: &AttemptOrder) -> Result<(), String> {
        let key = (order.step, order.attempt);
        let id = &order.spec().id;
        let who = if order.undo { format!("undo {id}") } else { id.to_string() };
        let act = self.acts.next(&who);
        let (time, smooth) = answer(order, 1.0).ok_or_else(|| format!("{who} is no work for a simulated agent"))?;
        let word = act.as_ref().map_or("ok", |act| &act.word).to_owned();
        self.under_way.insert(key, word.clone());
        let after = act.as_ref().and_then(|act| act.after).unwrap_or(time);
        let outcome = match act {
            None => Some(smooth),
            Some(act) => outcome(&act, smooth)?,
        };
        if let Some(outcome) = outcome {
            let lost = (word == "unreachable").then(|| "it cannot be started".to_owned());
            self.answer(after, key, outcome, lost);
        }
        Ok(())
    }

    /// An attempt ends so long from now.
    fn answer(&mut self, after: Micros, (step, attempt): Key, outcome: Outcome, agent_lost: Option<String>) {
        let proof = EndProof::Proved;
        let completion = Completion { run: RUN, step, attempt, outcome, usage: None, proof, agent_lost };
        self.at(self.now + after, Due::Answer(Box::new(completion)));
    }

    fn at(&mut self, at: Micros, due: Due) {
        self.order += 1;
        self.due.insert((at, self.order), due);
    }

    /// Takes the answer of an attempt out of time.
    fn forget(&mut self, key: Key) -> Option<(Micros, Box<Completion>)> {
        let ours = |due: &Due| matches!(due, Due::Answer(c) if (c.step, c.attempt) == key);
        let at = self.due.iter().find(|(_, due)| ours(due)).map(|(at, _)| *at)?;
        match self.due.remove(&at)? {
            Due::Answer(completion) => Some((at.0, completion)),
            Due::Timer(_) => None,
        }
    }

    /// Halts an attempt with the time it has left, or lets it go on.
    fn freeze(&mut self, key: Key, frozen: bool) {
        if frozen {
            let left = self.forget(key).map(|(at, completion)| (at - self.now, completion));
            self.halted.insert(key, left);
        } else if let Some(Some((left, completion))) = self.halted.remove(&key) {
            self.at(self.now + left, Due::Answer(completion));
        }
    }

    /// Goes to the next moment at which something is due.
    fn advance(&mut self) -> Result<(), String> {
        let Some(((at, _), due)) = self.due.pop_first() else { return Ok(()) };
        self.now = self.now.max(at);
        let input = match due {
            Due::Timer(timer) => match self.heard_since(timer) {
                Some(again) => {
                    self.at(again, Due::Timer(timer));
                    return Ok(());
                }
                None => Input::Timer(timer),
            },
            Due::Answer(completion) => {
                self.under_way.remove(&(completion.step, completion.attempt));
                Input::Completion(*completion)
            }
        };
        let before = self.journal.len();
        self.input(&input)?.map_err(|why| format!("what happened cannot be refused: {why}"))?;
        let moved = self.journal.len() > before;
        if moved && self.stuck_at == Some(before) {
            return Err(format!("at {} it was stuck, and yet something happened", words::seconds(self.now)));
        }
        Ok(())
    }

    /// Attempts that are not silent are heard all the time: until when the next silence counts.
    fn heard_since(&self, timer: Timer) -> Option<Micros> {
        let Timer::Idle { step, attempt, .. } = timer else { return None };
        let word = self.under_way.get(&(step, attempt))?;
        let silence = self.workflow.step(step).idle_timeout?;
        (word != "silent").then_some(self.now + silence)
    }

    /// What has to hold whenever everything has followed.
    fn look_closely(&mut self) -> Result<(), String> {
        let when = words::seconds(self.now);
        self.engine.check().map_err(|why| format!("at {when}: {why}"))?;
        let view = self.view();
        exact::check(self, &view).map_err(|why| format!("at {when}: {why}"))?;
        self.stuck_at = view.runs[0].stuck.then_some(self.journal.len());
        Ok(())
    }

    /// upbeat dies, and another one opens the journal.
    fn crash(&mut self, ask: bool) -> Result<(), String> {
        self.engine = self.folded()?;
        self.due.clear();
        self.under_way.clear();
        self.halted.clear();
        let mut outbox = Outbox::default();
        self.engine.reopen(self.now, RUN, ask, &mut outbox);
        self.follow(outbox)?;
        if self.view().runs[0].state == RunState::Paused {
            self.command(Command::Resume { run: RUN })?;
        }
        self.look_closely()
    }

    /// What the journal gives, which is what was lived; so does a snapshot, with what stands behind it.
    fn folded(&self) -> Result<Engine, String> {
        if let Some((seq, bytes)) = self.engine.snapshot(RUN) {
            self.restored(Some(&bytes), seq).map_err(|why| format!("from a snapshot: {why}"))?;
        }
        self.restored(None, 0)
    }

    fn restored(&self, snapshot: Option<&[u8]>, after: u64) -> Result<Engine, String> {
        let mut engine = Engine::new();
        let events = self.journal.iter().filter(|event| event.seq > after);
        let events: Vec<Event> = events.map(|event| (*self.engine.for_journal(event)).clone()).collect();
        let restored = engine.restore(self.workflow.clone(), NAME.into(), 0, snapshot, events);
        restored.map_err(|why| why.to_string())?;
        match self.engine.difference(&engine, RUN, true) {
            Some(difference) => Err(format!("the journal gives another state: {difference}")),
            None => Ok(engine),
        }
    }

    fn command(&mut self, command: Command) -> Result<(), String> {
        if let Err(why) = self.input(&Input::Command(command))? {
            self.events.push_str(&format!("{} refused: {why}\n", words::seconds(self.now)));
        }
        Ok(())
    }

    fn wish(&mut self, wish: &Wish) -> Result<(), String> {
        self.now = self.now.max(wish.at);
        if let Some(step) = wish.what.strip_prefix("look ") {
            self.look_closely()?;
            let step = commands::step(self, step)?;
            self.looks.push_str(&words::one(self, step));
            return Ok(());
        }
        if wish.what == "look" {
            self.look_closely()?;
            self.looks.push_str(&words::all(self, "at"));
            return Ok(());
        }
        self.events.push_str(&format!("{} > {}\n", words::seconds(self.now), wish.what));
        match wish.what.as_str() {
            "crash" => self.crash(true),
            "crash headless" => self.crash(false),
            what => match commands::input(self, what)? {
                Input::Command(command) => self.command(command),
                input => self.input(&input)?.map_err(|why| why.to_string()),
            },
        }
    }

    fn has_ended(&self) -> bool {
        self.view().runs[0].state.ended()
    }
}

/// How an attempt with this act ends; `None`: not by itself.
fn outcome(act: &Act, smooth: Outcome) -> Result<Option<Outcome>, String> {
    let class = match act.word.as_str() {
        "ok" => {
            let output = act.output.clone().map(Arc::new);
            return Ok(Some(output.map_or(smooth, Outcome::succeeded)));
        }
        "timeout" | "silent" | "deaf" | "late" => return Ok(None),
        "malformed" => FailureClass::MalformedOutput,
        word => {
            let class = FailureClass::ALL.into_iter().find(|class| class.word() == word);
            class.ok_or_else(|| format!("no attempt ends with {word}"))?
        }
    };
    let failure = Failure { retry_after: act.wait, ..Failure::new(class, "as told") };
    Ok(Some(Outcome::Failed(failure)))
}

/// Plays a scenario to its end.
pub(crate) fn play(scenario: &Scenario) -> Result<Played, String> {
    let mut world = World::new(scenario)?;
    let mut wishes: VecDeque<Wish> = wishes(scenario.section("inputs"))?;
    if !wishes.iter().any(|wish| wish.what == "start") {
        world.command(Command::Start { run: RUN })?;
    }
    let mut last = Micros::ZERO;
    for _ in 0..TURNS_MAX {
        let next = world.due.first_key_value().map(|((at, _), _)| *at);
        let before = world.journal.len();
        match wishes.front() {
            Some(wish) if next.is_none_or(|next| next > wish.at) => {
                let wish = wish.clone();
                wishes.pop_front();
                world.wish(&wish)?;
                last = world.now;
            }
            None if next.is_none() || world.has_ended() => return finish(world, last),
            _ => world.advance()?,
        }
        if world.journal.len() > before {
            last = world.now;
        }
    }
    Err("it does not come to an end".to_owned())
}

/// The last look, at the moment of the last event.
fn finish(mut world: World, last: Micros) -> Result<Played, String> {
    world.now = last;
    let run = &world.view().runs[0];
    if !run.state.ended() && !run.stuck && run.state != RunState::Paused {
        return Err(format!("nothing is due, yet the run is {} and not called stuck", run.state.word()));
    }
    let unplayed = world.acts.unplayed().join(", ");
    if !unplayed.is_empty() {
        return Err(format!("not everything that was to be done was done: {unplayed}"));
    }
    world.folded()?;
    world.looks.push_str(&words::all(&world, "end at"));
    world.looks.push_str(&words::result(&world));
    let steps = &world.view().runs[0].steps;
    let steps = world.workflow.steps.iter().zip(steps).map(|(spec, step)| (spec.id.to_string(), step.state.word()));
    Ok(Played { events: world.events, looks: world.looks, steps: steps.collect() })
}
