//! A run played through before it runs: a small pure simulation of the queue on the agents' slots.
//!
//! It follows the engine's rules (order of work, needs, barriers, priority, remaining critical path, slots, resources,
//! limits, locks and semaphores, backups last) for the case of [`crate::report::schedule`]. Rate limits are left out: they are named
//! as a risk.

use super::schedule::{Ask, Expected, on_agent};
use crate::model::id::{Name, StepId};
use crate::model::policy::{Mode, Resources};
use crate::model::step::{Step, Work};
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

/// Plays the run through; gives its length and the most attempts at once.
#[must_use]
pub(crate) fn play(workflow: &Workflow, shape: &Shape, expected: &Expected) -> (Micros, u32) {
    match strategy(workflow, shape) {
        Mode::Sequential => {
            let works = |at: usize| expected.runs[at] && !workflow.steps[at].is_approval();
            (expected.sequential(), u32::from((0..workflow.steps.len()).any(works)))
        }
        Mode::Hybrid => hybrid(workflow, shape, expected),
        Mode::Parallel | Mode::Auto => {
            let mut play = Play::new(workflow, expected);
            for id in workflow.step_ids().filter(|&id| workflow.step(id).needs.is_empty()) {
                play.ready(id.index(), shape);
            }
            play.run(shape);
            (play.now, play.most)
        }
    }
}

/// Level by level: what a step needs has ended when its level begins.
fn hybrid(workflow: &Workflow, shape: &Shape, expected: &Expected) -> (Micros, u32) {
    // Nothing is released inside a level, so no step has dependents there.
    let alone = Shape { dependents: vec![Vec::new(); workflow.steps.len()], ..Shape::default() };
    let mut play = Play::new(workflow, expected);
    for level in groups(workflow, shape) {
        if level.len() >= workflow.parallel_threshold as usize {
            level.iter().for_each(|id| play.ready(id.index(), &alone));
            play.run(&alone);
        } else {
            play.now += level.iter().map(|id| expected.time[id.index()]).sum();
            play.most = play.most.max(u32::from(level.iter().any(|id| !play.is_at_once(id.index()))));
        }
    }
    (play.now, play.most)
}

/// The levels of hybrid order: topological levels in which all steps of a barrier stand together.
fn groups(workflow: &Workflow, shape: &Shape) -> Vec<Vec<StepId>> {
    let count = workflow.steps.len();
    let mut barriers: HashMap<&Name, usize> = HashMap::new();
    let node_of: Vec<usize> = (0..count)
        .map(|at| workflow.steps[at].barrier.as_ref().map_or(at, |name| *barriers.entry(name).or_insert(at)))
        .collect();
    let mut members: Vec<Vec<usize>> = vec![Vec::new(); count];
    let mut missing = vec![0; count];
    for at in 0..count {
        members[node_of[at]].push(at);
        missing[node_of[at]] += workflow.steps[at].needs.len();
    }
    let mut open: Vec<usize> = (0..count).filter(|&at| node_of[at] == at && missing[at] == 0).collect();
    let mut level = vec![0; count];
    while let Some(node) = open.pop() {
        for next in members[node].iter().flat_map(|&step| &shape.dependents[step]) {
            let other = node_of[next.index()];
            level[other] = level[other].max(level[node] + 1);
            missing[other] -= 1;
            if missing[other] == 0 {
                open.push(other);
            }
        }
    }
    let mut groups = vec![Vec::new(); level.iter().max().map_or(0, |most| most + 1)];
    for &id in &shape.order {
        groups[level[node_of[id.index()]]].push(id);
    }
    groups
}

/// Place in a queue: smaller goes first.
type Rank = (Reverse<u8>, Reverse<Micros>, usize);
/// Steps that ask for the same and share the same: whether one of them can start says it for all.
type Class = usize;
/// Something of which so many may be had at once: a place of a capability, a lock, permits.
type Share = usize;

/// What is shared, by name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Shared<'w> {
    Capability(&'w str),
    Lock(&'w str),
    Semaphore(&'w str),
}

/// What a step shares, and how many may at once.
fn shares<'w>(workflow: &'w Workflow, step: &'w Step) -> Vec<(Shared<'w>, u32)> {
    let mut shares = Vec::new();
    if let Work::Capability { capability } = &step.work
        && let Some(&limit) = workflow.limits.capability.get(capability)
    {
        shares.push((Shared::Capability(capability), limit));
    }
    shares.extend(step.lock.as_deref().map(|name| (Shared::Lock(name), 1)));
    shares.extend(step.semaphore.as_ref().map(|semaphore| (Shared::Semaphore(&semaphore.name), semaphore.permits)));
    shares
}

struct Play<'a> {
    workflow: &'a Workflow,
    expected: &'a Expected,
    now: Micros,
    /// Needs that have not ended, per step.
    missing: Vec<usize>,
    class_of: Vec<Class>,
    ask_of_class: Vec<Ask>,
    shares_of_class: Vec<Vec<Share>>,
    classes_of_share: Vec<Vec<Class>>,
    /// The classes each agent serves.
    classes_of_agent: Vec<Vec<Class>>,
    queues: Vec<BinaryHeap<Reverse<Rank>>>,
    /// Queues whose head may find an agent.
    open: BTreeSet<(Rank, Class)>,
    /// What is left of each share.
    left: Vec<u32>,
    /// Free slots and taken resources, per agent.
    free: Vec<u32>,
    taken: Vec<Resources>,
    /// Steps that a barrier still waits for, and those that stand there.
    barriers: HashMap<&'a Name, (usize, Vec<usize>)>,
    running: BinaryHeap<Reverse<(Micros, usize, Option<usize>)>>,
    most: u32,
}

impl<'a> Play<'a> {
    /// Nothing has begun.
    fn new(workflow: &'a Workflow, expected: &'a Expected) -> Self {
        let mut it = Self {
            workflow,
            expected,
            now: Micros::ZERO,
            missing: workflow.steps.iter().map(|step| step.needs.len()).collect(),
            class_of: Vec::with_capacity(workflow.steps.len()),
            ask_of_class: Vec::new(),
            shares_of_class: Vec::new(),
            classes_of_share: Vec::new(),
            classes_of_agent: vec![Vec::new(); workflow.agents.len()],
            queues: Vec::new(),
            open: BTreeSet::new(),
            left: Vec::new(),
            free: workflow.agents.iter().map(|agent| agent.slots).collect(),
            taken: vec![Resources::default(); workflow.agents.len()],
            barriers: HashMap::new(),
            running: BinaryHeap::new(),
            most: 0,
        };
        let mut classes: BTreeMap<(Ask, Vec<Share>), Class> = BTreeMap::new();
        let mut known: BTreeMap<Shared<'a>, Share> = BTreeMap::new();
        for (at, step) in workflow.steps.iter().enumerate() {
            if let Some(name) = step.barrier.as_ref().filter(|_| expected.runs[at]) {
                it.barriers.entry(name).or_default().0 += 1;
            }
            let shares = shares(workflow, step).into_iter().map(|(shared, limit)| {
                *known.entry(shared).or_insert_with(|| {
                    it.left.push(limit);
                    it.left.len() - 1
                })
            });
            let key = (expected.ask_of[at], shares.collect::<Vec<Share>>());
            let class = *classes.entry(key).or_insert_with_key(|(ask, shares)| {
                it.ask_of_class.push(*ask);
                it.shares_of_class.push(shares.clone());
                it.ask_of_class.len() - 1
            });
            it.class_of.push(class);
        }
        it.classes_of_share = vec![Vec::new(); it.left.len()];
        for class in 0..it.ask_of_class.len() {
            it.shares_of_class[class].iter().for_each(|&share| it.classes_of_share[share].push(class));
            let agents = &expected.agents_of[it.ask_of_class[class]];
            agents.iter().for_each(|&agent| it.classes_of_agent[agent].push(class));
        }
        it.queues = vec![BinaryHeap::new(); it.ask_of_class.len()];
        it
    }

    /// Plays until nothing runs any more.
    fn run(&mut self, shape: &Shape) {
        self.dispatch();
        while let Some(Reverse((now, _, _))) = self.running.peek().copied() {
            self.now = now;
            while let Some(&Reverse((end, step, agent))) = self.running.peek()
                && end == now
            {
                self.running.pop();
                self.release(step, agent);
                self.done(step, shape);
            }
            self.dispatch();
        }
    }

    /// A step whose needs are met joins its queue, or waits at its barrier; one that is not expected to run ends at once,
    /// and so does what a person answers.
    fn ready(&mut self, step: usize, shape: &Shape) {
        let mut ready = vec![step];
        while let Some(step) = ready.pop() {
            if self.is_at_once(step) {
                ready.extend(self.released(step, shape));
            } else {
                self.arrive(step);
            }
        }
    }

    /// Whether a step takes neither time nor an agent.
    fn is_at_once(&self, step: usize) -> bool {
        !self.expected.runs[step] || self.workflow.steps[step].is_approval()
    }

    fn arrive(&mut self, step: usize) {
        let Some(name) = &self.workflow.steps[step].barrier else { return self.queue(step) };
        let Some((missing, there)) = self.barriers.get_mut(name) else { return self.queue(step) };
        *missing = missing.saturating_sub(1);
        there.push(step);
        if *missing == 0 {
            for step in std::mem::take(there) {
                self.queue(step);
            }
        }
    }

    fn queue(&mut self, step: usize) {
        let rank = (Reverse(self.workflow.steps[step].priority), Reverse(self.expected.remaining[step]), step);
        let class = self.class_of[step];
        self.queues[class].push(Reverse(rank));
        self.reopen(class);
    }

    fn done(&mut self, step: usize, shape: &Shape) {
        for next in self.released(step, shape) {
            self.ready(next, shape);
        }
    }

    /// What waited only for this step.
    fn released(&mut self, step: usize, shape: &Shape) -> Vec<usize> {
        let mut released = Vec::new();
        for next in &shape.dependents[step] {
            let missing = &mut self.missing[next.index()];
            *missing = missing.saturating_sub(1);
            if *missing == 0 {
                released.push(next.index());
            }
        }
        released
    }

    fn reopen(&mut self, class: Class) {
        if let Some(&Reverse(head)) = self.queues[class].peek() {
            self.open.insert((head, class));
        }
    }

    fn release(&mut self, step: usize, agent: Option<usize>) {
        let class = self.class_of[step];
        for at in 0..self.shares_of_class[class].len() {
            let share = self.shares_of_class[class][at];
            self.left[share] += 1;
            for at in 0..self.classes_of_share[share].len() {
                self.reopen(self.classes_of_share[share][at]);
            }
        }
        let Some(agent) = agent else { return };
        self.free[agent] += 1;
        let resources = self.workflow.steps[step].resources.unwrap_or_default();
        let taken = &mut self.taken[agent];
        // Sums of fractions drift; an idle agent has everything again.
        *taken = if self.free[agent] == self.workflow.agents[agent].slots {
            Resources::default()
        } else {
            Resources { cpu: taken.cpu - resources.cpu, memory_mb: taken.memory_mb - resources.memory_mb }
        };
        for at in 0..self.classes_of_agent[agent].len() {
            self.reopen(self.classes_of_agent[agent][at]);
        }
    }

    /// Starts whatever can start now, in the order of the queue.
    fn dispatch(&mut self) {
        let most = self.workflow.limits.max_parallel.map_or(usize::MAX, |n| n as usize);
        while self.running.len() < most
            && let Some((rank, class)) = self.open.pop_first()
        {
            let head = self.queues[class].peek() == Some(&Reverse(rank));
            if !head || self.shares_of_class[class].iter().any(|&share| self.left[share] == 0) {
                continue;
            }
            let step = rank.2;
            let agents = &self.expected.agents_of[self.ask_of_class[class]];
            let able = agents.iter().copied().filter(|&at| self.has_room(at, step));
            let agent = able.min_by_key(|&at| self.end(at, step));
            if agent.is_none() && !agents.is_empty() {
                continue;
            }
            self.queues[class].pop();
            self.start(step, agent);
            self.reopen(class);
        }
    }

    fn has_room(&self, agent: usize, step: usize) -> bool {
        let taken = self.workflow.steps[step].resources.unwrap_or_default();
        let fits = |all| taken.fits(all, self.taken[agent]);
        self.free[agent] > 0 && self.workflow.agents[agent].resources.is_none_or(fits)
    }

    fn start(&mut self, step: usize, agent: Option<usize>) {
        for &share in &self.shares_of_class[self.class_of[step]] {
            self.left[share] -= 1;
        }
        let end = agent.map_or(self.now + self.expected.time[step], |agent| self.end(agent, step));
        if let Some(agent) = agent {
            self.free[agent] -= 1;
            let resources = self.workflow.steps[step].resources.unwrap_or_default();
            self.taken[agent].cpu += resources.cpu;
            self.taken[agent].memory_mb += resources.memory_mb;
        }
        self.running.push(Reverse((end, step, agent)));
        self.most = self.most.max(u32::try_from(self.running.len()).unwrap_or(u32::MAX));
    }

    fn end(&self, agent: usize, step: usize) -> Micros {
        let said = on_agent(&self.workflow.agents[agent], &self.workflow.steps[step]);
        self.now + said.unwrap_or(self.expected.time[step])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::step::{NeedOn, Semaphore};
    use crate::report::sample::{self, agent, step};

    fn played(workflow: &Workflow) -> (u64, u32) {
        let shape = sample::shape(workflow);
        let (time, most) = play(workflow, &shape, &Expected::of(workflow, &shape));
        (time.as_millis(), most)
    }

    fn wide(steps: usize, slots: u32) -> Workflow {
        let mut workflow = sample::workflow();
        workflow.steps = (0..steps).map(|n| step(&format!("s{n}"), "w", &[], Some(1))).collect();
        workflow.agents = vec![agent("a", "w", slots)];
        workflow
    }

    #[test]
    fn the_trading_example_is_as_long_as_its_critical_path() {
        assert_eq!(played(&sample::workflow()), (8_000, 2));
    }

    #[test]
    fn slots_and_limits_make_it_longer() {
        let mut workflow = sample::workflow();
        workflow.steps = (0..10).map(|n| step(&format!("s{n}"), "w", &[], Some(1))).collect();
        workflow.agents = vec![agent("a", "w", 1), agent("b", "w", 3)];
        assert_eq!(played(&workflow), (3_000, 4));
        workflow.limits.max_parallel = Some(2);
        assert_eq!(played(&workflow), (5_000, 2));
        workflow.limits.max_parallel = None;
        workflow.limits.capability.insert("w".into(), 1);
        assert_eq!(played(&workflow), (10_000, 1));
        workflow.mode = Mode::Sequential;
        assert_eq!(played(&workflow), (10_000, 1));
    }

    #[test]
    fn backups_stand_aside_and_the_longest_chain_goes_first() {
        let mut workflow = sample::workflow();
        workflow.steps =
            vec![step("short", "w", &[], Some(1)), step("first", "w", &[], Some(1)), step("long", "x", &[1], Some(5))];
        workflow.agents = vec![agent("a", "w", 1), agent("spare", "w", 1), agent("b", "x", 1)];
        workflow.agents[1].backup = true;
        assert_eq!(played(&workflow), (6_000, 2));
        workflow.steps[0].priority = 90;
        assert_eq!(played(&workflow), (7_000, 1));
    }

    #[test]
    fn what_runs_only_after_a_failure_takes_no_time() {
        let mut workflow = sample::workflow();
        workflow.steps =
            vec![step("a", "w", &[], Some(1)), step("rescue", "w", &[0], Some(9)), step("after", "w", &[1], Some(9))];
        workflow.steps[1].needs[0].on = NeedOn::Failed;
        workflow.agents = vec![agent("a", "w", 1)];
        assert_eq!(played(&workflow), (1_000, 1));
        workflow.steps[2].needs[0].on = NeedOn::Completed;
        assert_eq!(played(&workflow), (10_000, 1));
    }

    #[test]
    fn a_hundred_thousand_steps_are_played_at_once() {
        let mut workflow = sample::workflow();
        workflow.steps = (0..100_000).map(|n| step(&format!("s{n}"), "w", &[], Some(1))).collect();
        workflow.agents = vec![agent("a", "w", 10)];
        assert_eq!(played(&workflow), (10_000_000, 10));
    }

    #[test]
    fn locks_and_semaphores_let_only_so_many_work_at_once() {
        let mut workflow = wide(6, 9);
        for step in &mut workflow.steps[..4] {
            step.lock = Some("l".into());
        }
        assert_eq!(played(&workflow), (4_000, 3));
        for step in &mut workflow.steps {
            step.lock = None;
            step.semaphore = Some(Semaphore { name: "s".into(), permits: 2 });
        }
        assert_eq!(played(&workflow), (3_000, 2));
        workflow.steps[0].lock = Some("l".into());
        workflow.steps[1].lock = Some("l".into());
        assert_eq!(played(&workflow), (3_000, 2));
    }

    #[test]
    fn a_step_that_waits_for_a_lock_does_not_hold_up_others_with_the_same_capability() {
        let mut workflow = wide(3, 9);
        workflow.steps[0].priority = 90;
        workflow.steps[1].priority = 80;
        workflow.steps[0].lock = Some("l".into());
        workflow.steps[1].lock = Some("l".into());
        assert_eq!(played(&workflow), (2_000, 2));
    }

    #[test]
    fn resources_of_an_agent_are_shared_out() {
        let mut workflow = wide(6, 9);
        workflow.agents[0].resources = Some(Resources { cpu: 1.0, memory_mb: Resources::UNBOUNDED });
        for step in &mut workflow.steps {
            step.resources = Some(Resources { cpu: 0.1 * 3.0, memory_mb: 1e6 });
        }
        assert_eq!(played(&workflow), (2_000, 3));
        workflow.steps[0].resources = Some(Resources { cpu: 1.0, memory_mb: 0.0 });
        assert_eq!(played(&workflow), (3_000, 3));
    }

    #[test]
    fn steps_of_a_barrier_start_together_and_those_that_never_run_are_not_waited_for() {
        let mut workflow = sample::workflow();
        workflow.steps =
            vec![step("long", "w", &[], Some(5)), step("a", "w", &[], Some(2)), step("b", "w", &[0], Some(1))];
        workflow.agents = vec![agent("a", "w", 9)];
        assert_eq!(played(&workflow), (6_000, 2));
        workflow.steps[1].barrier = Some("g".into());
        workflow.steps[2].barrier = Some("g".into());
        assert_eq!(played(&workflow), (7_000, 2));
        workflow.steps[2].needs[0].on = NeedOn::Failed;
        assert_eq!(played(&workflow), (5_000, 2));
    }

    #[test]
    fn a_person_takes_neither_time_nor_a_place() {
        let mut workflow = wide(3, 9);
        let work = Work::Approval { prompt: "?".to_owned(), timeout: None, default: None };
        workflow.steps[1] = Step::new("ask", work);
        workflow.steps[2].needs = step("x", "w", &[1], None).needs;
        workflow.limits.max_parallel = Some(1);
        assert_eq!(played(&workflow), (2_000, 1));
        workflow.steps.truncate(2);
        workflow.steps.swap_remove(0);
        assert_eq!(played(&workflow), (0, 0));
        workflow.mode = Mode::Sequential;
        assert_eq!(played(&workflow), (0, 0));
    }

    #[test]
    fn hybrid_order_runs_large_levels_in_parallel_and_small_ones_in_order() {
        let mut workflow = wide(8, 9);
        // Two, then four, then two steps; a long step of the first level holds up the second as a whole.
        for at in 2..6 {
            workflow.steps[at].needs = step("x", "w", &[0], None).needs;
        }
        for at in 6..8 {
            workflow.steps[at].needs = step("x", "w", &[2], None).needs;
        }
        workflow.mode = Mode::Hybrid;
        assert_eq!(played(&workflow), (2_000 + 1_000 + 2_000, 4));
        workflow.steps[1].estimate = Some(Micros::from_secs(7));
        assert_eq!(played(&workflow), (8_000 + 1_000 + 2_000, 4));
        workflow.parallel_threshold = 2;
        assert_eq!(played(&workflow), (7_000 + 1_000 + 1_000, 4));
        workflow.parallel_threshold = 5;
        assert_eq!(played(&workflow).1, 1);
        workflow.parallel_threshold = 2;
        workflow.limits.max_parallel = Some(1);
        assert_eq!(played(&workflow), (14_000, 1));
    }

    #[test]
    fn steps_of_a_barrier_stand_in_one_level_of_hybrid_order() {
        let mut workflow = wide(4, 9);
        workflow.steps[2].needs = step("x", "w", &[1], None).needs;
        workflow.steps[3].needs = step("x", "w", &[0], None).needs;
        workflow.steps[0].barrier = Some("g".into());
        workflow.steps[2].barrier = Some("g".into());
        let levels = |workflow: &Workflow| groups(workflow, &sample::shape(workflow));
        assert_eq!(levels(&workflow), [vec![StepId(1)], vec![StepId(0), StepId(2)], vec![StepId(3)]]);
        workflow.mode = Mode::Hybrid;
        workflow.parallel_threshold = 2;
        assert_eq!(played(&workflow), (3_000, 2));
    }

    #[test]
    fn auto_is_sequential_exactly_where_the_graph_is_a_chain() {
        let mut workflow = sample::workflow();
        workflow.mode = Mode::Auto;
        assert_eq!(strategy(&workflow, &sample::shape(&workflow)), Mode::Parallel);
        assert_eq!(played(&workflow), (8_000, 2));
        workflow.steps = vec![
            step("a", "data", &[], Some(1)),
            step("b", "data", &[0], Some(1)),
            step("c", "data", &[0, 1], Some(1)),
        ];
        assert_eq!(strategy(&workflow, &sample::shape(&workflow)), Mode::Sequential);
        assert_eq!(played(&workflow), (3_000, 1));
        workflow.steps[2].needs.remove(1);
        assert_eq!(strategy(&workflow, &sample::shape(&workflow)), Mode::Parallel);
    }
}
