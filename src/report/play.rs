//! A run played through before it runs: a small pure simulation of the queue on the agents' slots.
//!
//! It follows the engine's rules (order of work, needs, barriers, priority and its ageing, the longest way to the end,
//! choice of agents by what they were seen to take, slots, resources, limits, declared rates, locks and semaphores,
//! backups last) for the case of [`crate::report::schedule`]. What ends at the same moment ends in the order in which it
//! began, as it does under the virtual clock.

use super::crew::Crew;
use super::doors::{Doors, Level};
use super::items::Unfolded;
use super::schedule::{Ask, Works, is_lost, on_agent, told};
use super::turns::{Place, Rank, Turns};
use crate::model::defaults::SIMULATED_DURATION;
use crate::model::id::{Name, StepId};
use crate::model::policy::Mode;
use crate::model::step::{Need, Step, Work};
use crate::model::time::Micros;
use crate::model::view::Shape;
use crate::model::workflow::Workflow;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap};

/// The order of work that is in force with everything well: what `auto` chooses by the graph alone.
#[must_use]
pub(crate) fn strategy(workflow: &Workflow, shape: &Shape) -> Mode {
    match workflow.mode {
        Mode::Auto if is_chain(shape) => Mode::Sequential,
        Mode::Auto => Mode::Parallel,
        mode => mode,
    }
}

/// Whether no two steps are independent: each level then has one step, which needs the one before it.
fn is_chain(shape: &Shape) -> bool {
    let levels = shape.level.iter().map(|&level| level as usize + 1).max().unwrap_or(0);
    levels == shape.level.len()
}

/// What came of playing a run through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Played {
    /// How long it takes.
    pub(crate) time: Micros,
    /// The most attempts at once.
    pub(crate) most: u32,
}

/// Plays the run through in an order of work.
#[must_use]
pub(crate) fn play(workflow: &Workflow, shape: &Shape, mode: Mode) -> Played {
    let unfolded = Unfolded::new(workflow, shape);
    let mut works = Works::of(&unfolded.workflow, &unfolded.shape);
    unfolded.is_join.iter().zip(&mut works.time).filter(|(join, _)| **join).for_each(|(_, time)| *time = Micros::ZERO);
    let mut play = Play::new(&unfolded, &works, mode);
    play.run();
    Played { time: play.ended, most: play.most }
}

/// The longest expected way from each step to the end, as the engine ranks steps: by estimates first.
fn tails(workflow: &Workflow, shape: &Shape) -> Vec<Micros> {
    let mut offers: HashMap<&str, Vec<usize>> = HashMap::new();
    for (at, agent) in workflow.agents.iter().enumerate() {
        for name in agent.capabilities.iter().chain([&agent.id]) {
            offers.entry(name).or_default().push(at);
        }
    }
    let weight = |step: &Step| {
        let able = offers.get(step.asks_for()).map_or(&[][..], Vec::as_slice);
        let told = || able.iter().filter_map(|&at| told(&workflow.agents[at], step)).min();
        step.estimate.or_else(told).or(step.measured).unwrap_or(SIMULATED_DURATION)
    };
    let mut tails: Vec<Micros> = workflow.steps.iter().map(weight).collect();
    for &id in shape.order.iter().rev() {
        let behind = shape.dependents[id.index()].iter().map(|next| tails[next.index()]).max();
        tails[id.index()] += behind.unwrap_or_default();
    }
    tails
}

/// How a step stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stand {
    Pending,
    AtBarrier,
    AtDoor,
    Queued,
    Running,
    Ended,
}

/// Steps that ask for the same and count for the same limits: whether one of them can start says it for all.
#[derive(Clone, Debug, Default)]
struct Class {
    ask: Ask,
    shares: Vec<Share>,
    level: Level,
    alone: bool,
    turns: Turns,
    /// As it stands among the classes that may start something; `None`: nobody of it can for now.
    rank: Option<Rank>,
}

/// Something of which so many attempts may be under way: a capability, the items of a step.
type Share = usize;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Shared<'w> {
    Capability(&'w str),
    Items(usize),
}

/// What happens next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Next {
    /// The attempt of a step ends, on this agent.
    End(usize, Option<usize>),
    /// An agent takes calls again.
    Opens(usize),
}

/// Whose turn it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    Anybody,
    Level(Level),
    Only(usize),
    Nobody,
}

struct Play<'a> {
    workflow: &'a Workflow,
    shape: &'a Shape,
    works: &'a Works,
    item_of: &'a [Option<usize>],
    is_join: &'a [bool],
    mode: Mode,
    now: Micros,
    /// When the last step so far ended.
    ended: Micros,
    tails: Vec<Micros>,
    stands: Vec<Stand>,
    places: Vec<Place>,
    /// Needs that have not ended, per step.
    missing: Vec<usize>,
    class_of: Vec<usize>,
    classes: Vec<Class>,
    /// Classes of steps that bear nothing beside them.
    alone: Vec<usize>,
    classes_of_agent: Vec<Vec<usize>>,
    classes_of_share: Vec<Vec<usize>>,
    left: Vec<u32>,
    /// Classes that may start something, as they were ranked at that time.
    open: BTreeSet<(Rank, usize)>,
    ranked_at: Micros,
    at_level: Level,
    doors: Doors,
    /// Steps that a barrier still waits for, and those that stand there.
    barriers: HashMap<&'a Name, (usize, Vec<usize>)>,
    /// Steps one after the other, and the first of them that has not ended.
    order: Vec<StepId>,
    cursor: usize,
    wide: Vec<bool>,
    crew: Crew<'a>,
    /// What comes, with when an attempt began.
    next: BinaryHeap<Reverse<(Micros, u64, Next, Micros)>>,
    sequence: u64,
    running: u32,
    most: u32,
    /// The step that bears nothing beside it is at work.
    closed: bool,
}

impl<'a> Play<'a> {
    /// Nothing has begun.
    fn new(unfolded: &'a Unfolded<'a>, works: &'a Works, mode: Mode) -> Self {
        let (workflow, shape): (&Workflow, &Shape) = (&unfolded.workflow, &unfolded.shape);
        let count = workflow.steps.len();
        let mut order = shape.order.clone();
        if mode == Mode::Hybrid {
            order.sort_by_key(|id| shape.level[id.index()]);
        }
        let mut in_level = vec![0; shape.level.iter().max().map_or(0, |most| *most as usize + 1)];
        shape.level.iter().for_each(|level| in_level[*level as usize] += 1);
        let mut it = Self {
            workflow,
            shape,
            works,
            item_of: &unfolded.item_of,
            is_join: &unfolded.is_join,
            mode,
            now: Micros::ZERO,
            ended: Micros::ZERO,
            tails: tails(workflow, shape),
            stands: vec![Stand::Pending; count],
            places: vec![(Reverse(0), Reverse(Micros::ZERO), Micros::ZERO, 0); count],
            missing: workflow.steps.iter().map(|step| step.needs.len()).collect(),
            class_of: Vec::with_capacity(count),
            classes: Vec::new(),
            alone: Vec::new(),
            classes_of_agent: vec![Vec::new(); workflow.agents.len()],
            classes_of_share: Vec::new(),
            left: Vec::new(),
            open: BTreeSet::new(),
            ranked_at: Micros::ZERO,
            at_level: 0,
            doors: Doors::of(workflow),
            barriers: HashMap::new(),
            order,
            cursor: 0,
            wide: in_level.iter().map(|steps| *steps >= workflow.parallel_threshold).collect(),
            crew: Crew::of(workflow),
            next: BinaryHeap::new(),
            sequence: 0,
            running: 0,
            most: 0,
            closed: false,
        };
        it.classify();
        for name in workflow.steps.iter().filter_map(|step| step.barrier.as_ref()) {
            it.barriers.entry(name).or_default().0 += 1;
        }
        it
    }

    /// Sorts the steps into classes.
    fn classify(&mut self) {
        let mut known: BTreeMap<(Ask, Vec<Share>, Level, bool), usize> = BTreeMap::new();
        let mut shared: BTreeMap<Shared<'a>, Share> = BTreeMap::new();
        for (at, step) in self.workflow.steps.iter().enumerate() {
            let mut own = Vec::new();
            if let Work::Capability { capability } = &step.work
                && let Some(&limit) = self.workflow.limits.capability.get(capability)
            {
                own.push((Shared::Capability(capability), limit));
            }
            if let Some(of) = self.item_of[at]
                && let Some(most) = self.workflow.steps[of].for_each.as_ref().and_then(|each| each.max_parallel)
            {
                own.push((Shared::Items(of), most));
            }
            let shares = own.into_iter().map(|(what, most)| {
                *shared.entry(what).or_insert_with(|| {
                    self.left.push(most);
                    self.left.len() - 1
                })
            });
            let shares: Vec<Share> = shares.collect();
            let (ask, level) = (self.works.ask_of[at], self.level(at));
            let class = *known.entry((ask, shares, level, step.alone)).or_insert_with_key(|(_, shares, ..)| {
                let (shares, alone) = (shares.clone(), step.alone);
                self.classes.push(Class { ask, shares, level, alone, ..Class::default() });
                self.classes.len() - 1
            });
            self.class_of.push(class);
        }
        self.alone = (0..self.classes.len()).filter(|class| self.classes[*class].alone).collect();
        self.classes_of_share = vec![Vec::new(); self.left.len()];
        for (at, class) in self.classes.iter().enumerate() {
            class.shares.iter().for_each(|&share| self.classes_of_share[share].push(at));
            self.works.agents_of[class.ask].iter().for_each(|&agent| self.classes_of_agent[agent].push(at));
        }
    }

    /// The level of a step, where levels count.
    fn level(&self, step: usize) -> Level {
        if self.mode == Mode::Hybrid { self.shape.level[step] } else { 0 }
    }

    /// Plays until nothing happens any more.
    fn run(&mut self) {
        for at in 0..self.workflow.steps.len() {
            if self.missing[at] == 0 && self.stands[at] == Stand::Pending {
                self.ready(at);
            }
        }
        self.dispatch();
        while let Some(Reverse((now, _, next, began))) = self.next.pop() {
            match next {
                Next::End(step, agent) => {
                    self.now = now;
                    self.release(step, agent, began);
                    self.end(step);
                }
                Next::Opens(agent) => {
                    self.now = now;
                    self.crew.opens(agent);
                    self.reopen_agent(agent);
                }
            }
            self.dispatch();
        }
    }

    /// Whether a step takes neither time nor an agent.
    fn is_at_once(&self, step: usize) -> bool {
        !self.works.runs[step] || self.is_join[step] || self.workflow.steps[step].is_approval()
    }

    /// A step whose needs are met.
    fn ready(&mut self, step: usize) {
        if self.is_at_once(step) { self.end(step) } else { self.arrive(step) }
    }

    /// A step has ended; what only waited for it is ready, and what has lost it ends with it.
    fn end(&mut self, step: usize) {
        let mut ended = vec![step];
        while let Some(step) = ended.pop() {
            let stood = std::mem::replace(&mut self.stands[step], Stand::Ended);
            if stood == Stand::Ended {
                continue;
            }
            self.ended = self.now;
            if stood == Stand::Pending {
                self.meet(step);
            }
            for next in self.shape.dependents[step].iter().map(|next| next.index()) {
                if self.stands[next] != Stand::Pending {
                    continue;
                }
                self.missing[next] = self.missing[next].saturating_sub(1);
                let runs = &self.works.runs;
                let lost = |need: &Need| need.step.index() == step && is_lost(*need, runs);
                let is_lost = !runs[next] && self.workflow.steps[next].needs.iter().any(lost);
                if is_lost || self.missing[next] == 0 && self.is_at_once(next) {
                    ended.push(next);
                } else if self.missing[next] == 0 {
                    self.arrive(next);
                }
            }
        }
    }

    fn arrive(&mut self, step: usize) {
        let spec = &self.workflow.steps[step];
        self.places[step] = (Reverse(spec.priority), Reverse(self.tails[step]), self.now, step);
        match &spec.barrier {
            Some(name) => {
                self.stands[step] = Stand::AtBarrier;
                self.barriers.entry(name).or_default().1.push(step);
                self.meet(step);
            }
            None => self.queue(step),
        }
    }

    /// A step has come to its barrier, or never will.
    fn meet(&mut self, step: usize) {
        let Some(name) = &self.workflow.steps[step].barrier else { return };
        let Some((missing, there)) = self.barriers.get_mut(name) else { return };
        *missing = missing.saturating_sub(1);
        if *missing == 0 {
            for step in std::mem::take(there) {
                self.queue(step);
            }
        }
    }

    /// A step stands in line, or waits at a door.
    fn queue(&mut self, step: usize) {
        let (level, place) = (self.level(step), self.places[step]);
        if let Some(door) = self.doors.shut(step) {
            self.stands[step] = Stand::AtDoor;
            self.doors.wait(door, level, place);
            return;
        }
        self.stands[step] = Stand::Queued;
        self.doors.queued(step, level, true);
        self.classes[self.class_of[step]].turns.insert(place);
        self.rank(self.class_of[step]);
    }

    fn unqueue(&mut self, step: usize) {
        self.doors.queued(step, self.level(step), false);
        self.classes[self.class_of[step]].turns.remove(self.places[step]);
        self.rank(self.class_of[step]);
    }

    /// Ranks a class anew: it may start something.
    fn rank(&mut self, class: usize) {
        let now = matches!(self.mode, Mode::Parallel | Mode::Auto).then_some(self.now);
        let rank = self.classes[class].turns.first(now);
        let old = std::mem::replace(&mut self.classes[class].rank, rank);
        if old != rank {
            old.map(|rank| self.open.remove(&(rank, class)));
            self.open.extend(rank.map(|rank| (rank, class)));
        }
    }

    /// Nobody of a class can start for now.
    fn block(&mut self, class: usize) {
        if let Some(rank) = self.classes[class].rank.take() {
            self.open.remove(&(rank, class));
        }
    }

    fn reopen(&mut self, class: usize) {
        if self.classes[class].rank.is_none() {
            self.rank(class);
        }
    }

    fn reopen_agent(&mut self, agent: usize) {
        for at in 0..self.classes_of_agent[agent].len() {
            self.reopen(self.classes_of_agent[agent][at]);
        }
    }

    /// Starts whatever can start now, in the order of the queue.
    fn dispatch(&mut self) {
        if self.ranked_at != self.now {
            self.ranked_at = self.now;
            let open: Vec<usize> = self.open.iter().map(|(_, class)| *class).collect();
            open.into_iter().for_each(|class| self.rank(class));
        }
        loop {
            let turn = self.turn();
            let level = match turn {
                Turn::Level(level) => level,
                Turn::Only(step) => self.level(step),
                Turn::Anybody | Turn::Nobody => 0,
            };
            if std::mem::replace(&mut self.at_level, level) != level {
                self.doors.turn();
            }
            while let Some(place) = self.doors.next(level) {
                self.queue(place.3);
            }
            if let Turn::Only(step) = turn
                && self.stands[step] == Stand::AtDoor
            {
                // Whoever else stands before the door lets it pass: it is not their turn.
                self.doors.leave(level, self.places[step]);
                self.queue(step);
            }
            let Some((step, agent)) = self.choice(turn) else { return };
            self.unqueue(step);
            if self.doors.shut(step).is_some() {
                self.queue(step);
            } else {
                self.start(step, agent);
            }
        }
    }

    /// Whose turn it is. Who has not come yet, or waits at a barrier, lets others pass.
    fn turn(&mut self) -> Turn {
        if matches!(self.mode, Mode::Parallel | Mode::Auto) {
            return Turn::Anybody;
        }
        let stand = |id: &StepId| self.stands[id.index()];
        while self.order.get(self.cursor).is_some_and(|id| stand(id) == Stand::Ended) {
            self.cursor += 1;
        }
        let passes = |id: &&StepId| matches!(stand(id), Stand::Ended | Stand::Pending | Stand::AtBarrier);
        let Some(first) = self.order[self.cursor..].iter().find(|id| !passes(id)).map(|id| id.index()) else {
            return Turn::Nobody;
        };
        let level = self.level(first);
        if self.mode == Mode::Hybrid && self.wide[level as usize] { Turn::Level(level) } else { Turn::Only(first) }
    }

    /// What starts next, and on whom.
    fn choice(&mut self, turn: Turn) -> Option<(usize, Option<usize>)> {
        let full = self.workflow.limits.max_parallel.is_some_and(|most| self.running >= most);
        if full || self.closed {
            return None;
        }
        let level = match turn {
            Turn::Nobody => return None,
            Turn::Only(step) => {
                let first = self.running == 0 && self.stands[step] == Stand::Queued;
                return if first { Some((step, self.who(step)?)) } else { None };
            }
            Turn::Level(level) => level,
            Turn::Anybody => 0,
        };
        loop {
            let (rank, class) = *self.open.iter().find(|(_, class)| self.classes[*class].level == level)?;
            let step = rank.1.3;
            let kind = &self.classes[class];
            let able = kind.shares.iter().all(|share| self.left[*share] > 0) && (!kind.alone || self.running == 0);
            match self.who(step).filter(|_| able) {
                Some(agent) => return Some((step, agent)),
                None => self.block(class),
            }
        }
    }

    /// Who would do a step: `None`, nobody now; `Some(None)`, nobody ever, so that it counts as done by somebody.
    #[expect(clippy::option_option, reason = "said in the line above")]
    fn who(&self, step: usize) -> Option<Option<usize>> {
        let among = &self.works.agents_of[self.works.ask_of[step]];
        if among.is_empty() { Some(None) } else { self.crew.pick(among, &self.workflow.steps[step]).map(Some) }
    }

    fn start(&mut self, step: usize, agent: Option<usize>) {
        let spec = &self.workflow.steps[step];
        let class = &self.classes[self.class_of[step]];
        self.stands[step] = Stand::Running;
        self.closed = class.alone;
        class.shares.iter().for_each(|share| self.left[*share] -= 1);
        self.doors.held(step, true);
        self.running += 1;
        self.most = self.most.max(self.running);
        let said = agent.and_then(|agent| on_agent(&self.workflow.agents[agent], spec));
        self.later(self.now + said.unwrap_or(self.works.time[step]), Next::End(step, agent));
        let Some(agent) = agent else { return };
        if let Some(until) = self.crew.begin(agent, spec, self.now) {
            self.later(until, Next::Opens(agent));
        }
    }

    fn later(&mut self, at: Micros, next: Next) {
        self.sequence += 1;
        self.next.push(Reverse((at, self.sequence, next, self.now)));
    }

    /// An attempt gives back what it held.
    fn release(&mut self, step: usize, agent: Option<usize>, began: Micros) {
        self.running -= 1;
        self.closed = false;
        self.doors.held(step, false);
        for at in 0..self.classes[self.class_of[step]].shares.len() {
            let share = self.classes[self.class_of[step]].shares[at];
            self.left[share] += 1;
            for at in 0..self.classes_of_share[share].len() {
                self.reopen(self.classes_of_share[share][at]);
            }
        }
        for at in 0..self.alone.len() {
            self.reopen(self.alone[at]);
        }
        let Some(agent) = agent else { return };
        self.crew.end(agent, &self.workflow.steps[step], self.now - began);
        self.reopen_agent(agent);
    }
}
