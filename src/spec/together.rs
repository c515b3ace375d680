//! Steps of a barrier that are released together and can still not start together, because there is not room for all.
//!
//! Said only of what can never be: how many steps of other kinds are at work at that moment is not known here.

use crate::model::agent::Agent;
use crate::model::policy::Mode;
use crate::model::step::{Step, Work};
use crate::model::workflow::Workflow;
use crate::spec::build_step::DraftStep;
use crate::spec::diagnostic::Code;
use crate::spec::faults::Faults;
use crate::spec::source::Span;
use crate::spec::words::quote;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// The steps of a barrier, and the place of its name at the second one.
pub(crate) struct Meeting {
    members: Vec<usize>,
    place: Span,
}

/// Where steps meet: all barriers of more than one step, in the order of the file.
pub(crate) fn meetings(steps: &[DraftStep]) -> Vec<Meeting> {
    let mut places: HashMap<&str, usize> = HashMap::new();
    let mut all: Vec<Meeting> = Vec::new();
    for (at, draft) in steps.iter().enumerate() {
        let Some(name) = draft.step.barrier.as_deref() else { continue };
        let place = draft.places.barrier;
        let known = *places.entry(name).or_insert(all.len());
        match all.get_mut(known) {
            Some(meeting) => {
                if meeting.members.len() == 1 {
                    meeting.place = place;
                }
                meeting.members.push(at);
            }
            None => all.push(Meeting { members: vec![at], place }),
        }
    }
    all.retain(|meeting| meeting.members.len() > 1);
    all
}

/// Reports barriers whose steps have not room to start together, each with the first reason. The workflow has all its
/// agents.
pub(crate) fn warn(meetings: &[Meeting], workflow: &Workflow, faults: &mut Faults<'_>) {
    if meetings.is_empty() {
        return;
    }
    let doers = Doers::of(&workflow.agents);
    for Meeting { members, place } in meetings {
        let steps: Vec<&Step> = members.iter().map(|at| &workflow.steps[*at]).collect();
        let short = by_order(workflow, steps.len())
            .or_else(|| by_gates(&steps))
            .or_else(|| by_limits(workflow, &steps))
            .or_else(|| doers.short_for(&steps));
        let (Some(short), Some(name)) = (short, steps.first().and_then(|step| step.barrier.as_deref())) else {
            continue;
        };
        let message = format!(
            "the {} steps of barrier {} are released together, but cannot all start then: {}",
            steps.len(),
            quote(name),
            short.why
        );
        faults.warning(*place, Code::Apart, message).expected(short.enough);
    }
}

/// What there is too little of.
struct Short {
    why: String,
    /// What would be enough.
    enough: String,
}

fn by_order(workflow: &Workflow, steps: usize) -> Option<Short> {
    if workflow.mode == Mode::Sequential {
        let why = "`mode: sequential` does one step at a time".to_owned();
        return Some(Short { why, enough: "another `mode`".to_owned() });
    }
    let most = workflow.limits.max_parallel.filter(|most| (*most as usize) < steps)?;
    let why = format!("at most {most} steps are at work at once (`max_parallel`)");
    Some(Short { why, enough: format!("`max_parallel` of {steps} or more") })
}

fn by_gates(steps: &[&Step]) -> Option<Short> {
    let locks = groups(steps, |step| step.lock.as_deref());
    let lock = locks.into_iter().find(|(_, users)| *users > 1).map(|(lock, users)| Short {
        why: format!("{users} of them take the lock {}, which one step holds at a time", quote(lock)),
        enough: "no lock that two of them take".to_owned(),
    });
    lock.or_else(|| {
        let mut semaphores: BTreeMap<&str, (u32, usize)> = BTreeMap::new();
        for semaphore in steps.iter().filter_map(|step| step.semaphore.as_ref()) {
            semaphores.entry(&semaphore.name).or_insert((semaphore.permits, 0)).1 += 1;
        }
        semaphores.into_iter().find(|(_, (most, users))| (*most as usize) < *users).map(|(semaphore, (most, users))| {
            let why = format!("{users} of them take the semaphore {}, which has {most} permits", quote(semaphore));
            Short { why, enough: format!("`permits` of {users} or more") }
        })
    })
}

fn by_limits(workflow: &Workflow, steps: &[&Step]) -> Option<Short> {
    if workflow.limits.capability.is_empty() {
        return None;
    }
    groups(steps, |step| Some(step.asks_for())).into_iter().find_map(|(capability, users)| {
        let most = workflow.limits.capability.get(capability).filter(|most| (**most as usize) < users)?;
        let why = format!("{users} of them ask for {}, of which `limits` allows {most} at once", quote(capability));
        Some(Short { why, enough: format!("a limit of {users} or more") })
    })
}

/// How many steps share each name, in the order of the names.
fn groups<'s>(steps: &[&'s Step], name: impl Fn(&'s Step) -> Option<&'s str>) -> BTreeMap<&'s str, usize> {
    let mut all = BTreeMap::new();
    for name in steps.iter().filter_map(|step| name(step)) {
        *all.entry(name).or_insert(0) += 1;
    }
    all
}

/// Who does what is asked for.
struct Doers<'a> {
    agents: &'a [Agent],
    by_id: HashMap<&'a str, Vec<usize>>,
    /// Backups only where nobody else has the capability.
    by_capability: HashMap<&'a str, Vec<usize>>,
}

impl<'a> Doers<'a> {
    fn of(agents: &'a [Agent]) -> Self {
        let mut by_id: HashMap<&str, Vec<usize>> = HashMap::new();
        let mut by_capability: HashMap<&str, Vec<usize>> = HashMap::new();
        for (at, agent) in agents.iter().enumerate() {
            by_id.entry(&agent.id).or_default().push(at);
            for capability in &agent.capabilities {
                by_capability.entry(capability).or_default().push(at);
            }
        }
        for doers in by_capability.values_mut() {
            if doers.iter().any(|at| !agents[*at].backup) {
                doers.retain(|at| !agents[*at].backup);
            }
        }
        Self { agents, by_id, by_capability }
    }

    fn of_step(&self, step: &Step) -> &[usize] {
        let found = match &step.work {
            Work::Agent { agent } => self.by_id.get(&**agent),
            _ => self.by_capability.get(step.asks_for()),
        };
        found.map_or(&[], Vec::as_slice)
    }

    /// Too few slots for the steps that ask for one thing, or for all of them.
    fn short_for(&self, steps: &[&Step]) -> Option<Short> {
        let mut kinds: BTreeMap<(bool, &str), (usize, &Step)> = BTreeMap::new();
        for step in steps {
            let key = (matches!(step.work, Work::Agent { .. }), step.asks_for());
            kinds.entry(key).or_insert((0, step)).0 += 1;
        }
        for ((is_agent, asked), (users, one)) in &kinds {
            let Some(slots) = self.slots([*one], *users) else { continue };
            let who = match (is_agent, one.is_process()) {
                (true, _) => format!("agent {} does {users} of them", quote(asked)),
                (false, true) => format!("{users} of them are `run` or `command` steps"),
                (false, false) => format!("{users} of them ask for {}", quote(asked)),
            };
            return Some(too_few(&who, slots, *users));
        }
        let slots = self.slots(kinds.values().map(|(_, one)| *one), steps.len())?;
        Some(too_few("they share their agents", slots, steps.len()))
    }

    /// The slots of all who could do one of the steps, if that is fewer than are needed. Nobody at all is said elsewhere.
    fn slots<'s>(&self, steps: impl IntoIterator<Item = &'s Step>, needed: usize) -> Option<usize> {
        let mut counted = BTreeSet::new();
        let mut slots = 0;
        // Everybody has a slot, so that enough of them need not be looked at one by one.
        for at in steps.into_iter().flat_map(|step| self.of_step(step)) {
            if counted.insert(*at) {
                slots += self.agents[*at].slots as usize;
            }
            if slots >= needed {
                return None;
            }
        }
        (slots > 0).then_some(slots)
    }
}

fn too_few(who: &str, slots: usize, needed: usize) -> Short {
    let slots = if slots == 1 { "is 1 slot".to_owned() } else { format!("are {slots} slots") };
    Short { why: format!("{who}, and for that there {slots}"), enough: format!("{needed} slots or more") }
}
