//! What a seed stands for: workflows, kinds of fault with their rates, the manners of disk, agents and person.
//!
//! Each kind of fault is on in half of the seeds, each time with another rate: a fault that happens all the time hides
//! what goes wrong when it happens once, and the other way round.

use super::drawn::{Taste, agents, below, pick, take_your_time, workflow};
use super::stats::Fault;
use crate::model::agent::Agent;
use crate::model::id::{Name, StepId};
use crate::model::rng::{Rng, unit};
use crate::model::step::NeedOn;
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
    /// Breaks and heals agents, and sets breakers.
    Breaks,
    /// Decides about steps: skips, completes, gives them to others, answers.
    Decides,
    /// Rolls back.
    Undoes,
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
    /// Steps can be undone.
    pub(super) undoes: bool,
    /// The machine's load is looked at now and then.
    pub(super) load: bool,
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
        let taste = Taste::draw(rng);
        let mut team = agents(rng, "a", taste);
        // In some worlds everything takes so long that broken agents heal by themselves meanwhile.
        let slow = rng.chance(0.15);
        let mut runs = vec![run(rng, 0, size, &team, taste)];
        for at in 1..count {
            if !shared {
                team = agents(rng, &format!("r{at}-a"), taste);
            }
            let size = 1 + rng.below(6);
            runs.push(run(rng, at, size, &team, taste));
        }
        if slow {
            runs.iter_mut().for_each(|run| take_your_time(&mut run.workflow));
        }
        Self {
            runs,
            sync_full: rng.chance(0.5),
            rates,
            person: if rng.chance(0.6) { unit(rng.next()) * 0.3 } else { 0.0 },
            habit: pick(
                rng,
                &[Habit::Any, Habit::Retries, Habit::Pauses, Habit::Breaks, Habit::Decides, Habit::Undoes],
            ),
            undoes: taste.undoes(),
            load: rng.chance(0.3),
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
        Fault::AgentBroken | Fault::AgentUnwell => 0.05,
        Fault::AgentLimits => 0.3,
        Fault::AnswerTwice | Fault::SlowDisk => 0.2,
        Fault::AgentRaces | Fault::AgentSilent => 0.5,
        Fault::Kill | Fault::PowerCut => 0.03,
        Fault::TornCommit => 0.9,
        Fault::BitFlip | Fault::RecordSwapped | Fault::RecordMissing | Fault::JournalShortened => 0.6,
    }
}

fn run(rng: &mut Rng, at: u64, steps: u64, team: &[Agent], taste: Taste) -> RunPlan {
    let workflow = workflow(rng, u32::try_from(steps).unwrap_or(1), team, taste);
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
