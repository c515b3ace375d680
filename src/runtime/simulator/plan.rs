//! What a seed stands for: workflows, kinds of fault with their rates, the manners of disk, agents and person.
//!
//! Each kind of fault is on in half of the seeds, each time with another rate: a fault that happens all the time hides
//! what goes wrong when it happens once, and the other way round.

use super::stats::Fault;
use crate::model::agent::{Agent, AgentKind, Simulated};
use crate::model::id::{Name, StepId};
use crate::model::mapping::{InputMapping, OutputMapping, Path};
use crate::model::policy::{Jitter, Mode, OnUnknown, Recovery, Success};
use crate::model::rng::{Rng, unit};
use crate::model::step::{Fallback, Need, NeedOn, Step, Work};
use crate::model::time::Micros;
use crate::model::workflow::Workflow;
use serde_json::{Value, json};
use std::sync::Arc;

/// What the person does most of the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Habit {
    /// This and that.
    Any,
    /// Retries and cancels steps.
    Retries,
    /// Pauses and resumes.
    Pauses,
    /// Breaks and heals agents.
    Breaks,
}

/// One run of the world.
#[derive(Clone, Debug)]
pub(super) struct RunPlan {
    pub(super) workflow: Arc<Workflow>,
    pub(super) name: Name,
    pub(super) seed: u64,
    /// Outputs of an earlier run that are used again.
    pub(super) reuse: Vec<(StepId, Arc<Value>)>,
    /// The checksum of the journal's header.
    pub(super) header: u64,
}

/// Everything that is settled before a world begins.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) runs: Vec<RunPlan>,
    /// Every commit is synced before it is acknowledged.
    pub(super) sync_full: bool,
    rates: [f64; Fault::ALL.len()],
    /// The share of turns in which the person does something.
    pub(super) person: f64,
    pub(super) habit: Habit,
    /// Turns of the part with faults.
    pub(super) turns: u32,
    /// What is due within this time of the next due thing may come before it.
    pub(super) window: Micros,
    /// Events that may wait for the disk before inputs have to wait.
    pub(super) held_max: usize,
    /// The longest time an agent works.
    pub(super) work_max: Micros,
    /// The longest time a write or a sync takes.
    pub(super) disk_max: Micros,
    /// The share of acknowledgements after which a snapshot is taken.
    pub(super) snapshots: f64,
    /// The share of acknowledgements after which the log is folded into the table.
    pub(super) checkpoints: f64,
    /// The share of recoveries in which somebody is there to be asked.
    pub(super) ask: f64,
}

impl Plan {
    pub(super) fn draw(rng: &mut Rng) -> Self {
        let mut rates = [0.0; Fault::ALL.len()];
        for fault in Fault::ALL {
            let (on, share) = (rng.chance(0.5), unit(rng.next()));
            if on {
                rates[fault as usize] = share * highest(fault);
            }
        }
        let count = if rng.chance(0.1) { 2 + rng.below(2) } else { 1 };
        let size = match rng.below(100) {
            0 if count == 1 => 60 + rng.below(141),
            1..40 => 1 + rng.below(6),
            _ => 1 + rng.below(40),
        };
        // Several runs have all agents in common, or none.
        let shared = rng.chance(0.6);
        let mut team = agents(rng, "a");
        // In some worlds everything takes so long that broken agents heal by themselves meanwhile.
        let slow = rng.chance(0.15);
        let mut runs = vec![run(rng, 0, size, &team)];
        for at in 1..count {
            if !shared {
                team = agents(rng, &format!("r{at}-a"));
            }
            let size = 1 + rng.below(6);
            runs.push(run(rng, at, size, &team));
        }
        if slow {
            runs.iter_mut().for_each(|run| take_your_time(&mut run.workflow));
        }
        Self {
            runs,
            sync_full: rng.chance(0.5),
            rates,
            person: if rng.chance(0.6) { unit(rng.next()) * 0.3 } else { 0.0 },
            habit: pick(rng, &[Habit::Any, Habit::Retries, Habit::Pauses, Habit::Breaks]),
            turns: 20 + below(rng, 120),
            window: if rng.chance(0.5) { Micros::from_millis(rng.below(200)) } else { Micros::ZERO },
            held_max: 1 + rng.below(40) as usize,
            work_max: if slow {
                Micros::from_secs(1 + rng.below(400))
            } else {
                Micros::from_millis(1 + rng.below(3_000))
            },
            disk_max: Micros::from_millis(rng.below(40)),
            snapshots: if rng.chance(0.4) { unit(rng.next()) * 0.3 } else { 0.0 },
            checkpoints: unit(rng.next()) * 0.4,
            ask: [0.0, 0.5, 1.0][rng.below(3) as usize],
        }
    }

    /// How often a fault strikes where it can.
    pub(super) const fn rate(&self, fault: Fault) -> f64 {
        self.rates[fault as usize]
    }
}

/// The highest rate at which a fault is drawn.
const fn highest(fault: Fault) -> f64 {
    match fault {
        Fault::AgentFails => 0.6,
        Fault::AgentHangs | Fault::AgentLost | Fault::DiskFull | Fault::WriteError | Fault::SyncError => 0.1,
        Fault::AgentBroken => 0.05,
        Fault::AnswerTwice | Fault::SlowDisk => 0.2,
        Fault::AgentRaces => 0.5,
        Fault::Kill | Fault::PowerCut => 0.03,
        Fault::TornCommit => 0.9,
        Fault::BitFlip | Fault::RecordSwapped | Fault::RecordMissing | Fault::JournalShortened => 0.6,
    }
}

fn below(rng: &mut Rng, bound: u32) -> u32 {
    u32::try_from(rng.below(u64::from(bound))).unwrap_or(bound)
}

fn pick<T: Copy>(rng: &mut Rng, among: &[T]) -> T {
    among[rng.below(among.len() as u64) as usize]
}

fn run(rng: &mut Rng, at: u64, steps: u64, team: &[Agent]) -> RunPlan {
    let workflow = workflow(rng, u32::try_from(steps).unwrap_or(1), team);
    let mut reuse = Vec::new();
    if rng.chance(0.08) {
        let mut used = vec![false; workflow.steps.len()];
        for id in workflow.step_ids() {
            let rests_on_used = workflow.step(id).needs.iter().all(|need| used[need.step.index()]);
            if rests_on_used && rng.chance(0.6) && workflow.step(id).needs.iter().all(|n| n.on != NeedOn::Failed) {
                used[id.index()] = true;
                reuse.push((id, Arc::new(json!({"out": "earlier"}))));
            }
        }
    }
    let (seed, header) = (rng.next(), rng.next());
    RunPlan { workflow: Arc::new(workflow), name: format!("run-{at}").into(), seed, reuse, header }
}

fn capability(rng: &mut Rng, count: u64) -> Name {
    format!("c{}", rng.below(count)).into()
}

fn workflow(rng: &mut Rng, steps: u32, team: &[Agent]) -> Workflow {
    let names: std::collections::BTreeSet<&Name> = team.iter().flat_map(|agent| &agent.capabilities).collect();
    let capabilities = names.len() as u64;
    let steps = (0..steps).map(|at| step(rng, at, capabilities, team)).collect();
    let mut made = Workflow::new("simulated", team.to_vec(), steps);
    made.data = json!({"in": {"text": "given"}});
    made.mode = if rng.chance(0.2) { Mode::Sequential } else { Mode::Parallel };
    made.recovery = if rng.chance(0.2) { Recovery::FailFast } else { Recovery::Continue };
    made.success = pick(rng, &[Success::All, Success::Any, Success::Min(0.5)]);
    made.limits.max_parallel = rng.chance(0.3).then(|| 1 + below(rng, 4));
    made.limits.deadline = rng.chance(0.3).then(|| Micros::from_secs(1 + rng.below(30)));
    if rng.chance(0.3) {
        made.limits.capability.insert(capability(rng, capabilities), 1 + below(rng, 2));
    }
    made
}

/// Takes away what ends slow work early.
fn take_your_time(workflow: &mut Arc<Workflow>) {
    let workflow = Arc::make_mut(workflow);
    workflow.limits.deadline = None;
    workflow.steps.iter_mut().for_each(|step| step.timeout = None);
}

/// One to three agents for each of one to four capabilities.
fn agents(rng: &mut Rng, prefix: &str) -> Vec<Agent> {
    let capabilities = 1 + rng.below(4);
    let mut made = Vec::new();
    for at in 0..capabilities {
        for n in 0..=rng.below(3) {
            let mut one =
                Agent::new(format!("{prefix}{at}-{n}"), AgentKind::Simulated(Simulated::default()), format!("c{at}"));
            if rng.chance(0.2) {
                one.capabilities.push(capability(rng, capabilities));
            }
            one.slots = 1 + below(rng, 3);
            one.backup = n > 0 && rng.chance(0.3);
            one.weight = f64::from(1 + below(rng, 3));
            made.push(one);
        }
    }
    made
}

fn step(rng: &mut Rng, at: u32, capabilities: u64, agents: &[Agent]) -> Step {
    let asks_for = capability(rng, capabilities);
    let work = if rng.chance(0.1) {
        Work::Agent { agent: agents[rng.below(agents.len() as u64) as usize].id.clone() }
    } else {
        Work::Capability { capability: asks_for }
    };
    let mut made = Step::new(format!("s{at}"), work);
    made.needs = needs(rng, at);
    made.priority = pick(rng, &[0, 25, 50, 75, 100]);
    made.critical = rng.chance(0.1);
    made.estimate = rng.chance(0.5).then(|| Micros::from_millis(rng.below(2_000)));
    made.timeout = rng.chance(0.8).then(|| Micros::from_millis(300 + rng.below(2_000)));
    made.retry.limit = below(rng, 4);
    let interval_max = if rng.chance(0.2) { 20_000 } else { 2_000 };
    made.retry.interval = Micros::from_millis(10 + rng.below(interval_max));
    made.retry.jitter = pick(rng, &[Jitter::Full, Jitter::Equal, Jitter::None]);
    made.on_unknown = pick(rng, &[OnUnknown::Ask, OnUnknown::Retry, OnUnknown::Retry, OnUnknown::Fail]);
    if rng.chance(0.2) {
        made.fallback.push(Fallback::Capability(capability(rng, capabilities)));
    }
    if rng.chance(0.1) {
        made.fallback.push(Fallback::Agent(agents[rng.below(agents.len() as u64) as usize].id.clone()));
    }
    if rng.chance(0.2) {
        made.fallback.push(Fallback::Value(json!({"out": "fallback"})));
    }
    data(rng, at, &mut made);
    made
}

fn needs(rng: &mut Rng, at: u32) -> Vec<Need> {
    let window = if rng.chance(0.5) { 4 } else { at.max(1) };
    let mut needs: Vec<Need> = Vec::new();
    for _ in 0..rng.below(4).min(u64::from(at)) {
        let step = StepId(at - 1 - below(rng, window.min(at)));
        let on = pick(rng, &[NeedOn::Succeeded, NeedOn::Succeeded, NeedOn::Completed, NeedOn::Failed]);
        if needs.iter().all(|need| need.step != step) {
            needs.push(Need { step, on });
        }
    }
    needs
}

/// What the step takes from the run's data and writes into it.
fn data(rng: &mut Rng, at: u32, made: &mut Step) {
    let path = |text: String| Path::parse(&text).ok();
    if rng.chance(0.3)
        && let Some(path) = path(format!("made.s{at}"))
    {
        made.output.push(OutputMapping { field: "out".to_owned(), path });
    }
    if rng.chance(0.2)
        && let Some(path) = path(format!("made.s{}", below(rng, at + 1)))
    {
        made.input.push(InputMapping { key: "from".to_owned(), path, required: rng.chance(0.1) });
    }
}
