//! What goes on beside the attempts as long as runs are live: agents' health, the machine's load, and what upbeat and its
//! children use.
//!
//! Live is a run that has begun, has not ended and is not paused. Checks and load are of the real clock only: under the
//! virtual one nothing of the machine may be seen.

use super::{Driver, Due};
use crate::engine::Input;
use crate::model::command::Command;
use crate::model::event::{Event, EventKind};
use crate::model::id::{AgentId, RunId};
use crate::model::policy::Mode;
use crate::model::state::RunState;
use crate::model::time::Micros;
use crate::model::view::{EngineView, MachineView, RunView};
use crate::model::workflow::Workflow;
use crate::runtime::agents::health::{Monitor, Subject, Verdict};
use crate::runtime::clock::now;
use crate::runtime::machine::load_per_core;
use crate::runtime::reaper::Pool;
use crate::runtime::reaper::figures::Sampler;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// Time between two looks at the machine's load.
const LOAD_EVERY: Micros = Micros::from_secs(5);
/// Figures of processes are no fresher than that …
const FIGURES_EVERY: Duration = Duration::from_secs(2);
/// … and take at most one part in so many of the engine's time, however many processes there are.
const FIGURES_SHARE: u32 = 100;

/// The watchers, and what they need to know of the runs.
#[derive(Debug)]
pub(super) struct Beside {
    monitor: Monitor,
    verdicts: mpsc::UnboundedReceiver<Verdict>,
    /// A loaded run has agents that say how it is found out whether they are well.
    checks: bool,
    /// Loaded runs that choose their order of work by the load.
    auto: BTreeSet<RunId>,
    /// A run began, ended, or went in or out of a pause.
    moved: bool,
    /// A run that chooses by the load is live.
    wants_load: bool,
    /// The next look at the load stands among the due things.
    load_is_due: bool,
    sampler: Sampler,
    /// Not before then is looked again; `None`: no run has been live since the last look.
    look_after: Option<Instant>,
    machine: Option<MachineView>,
}

impl Beside {
    pub(super) fn new(pool: Arc<Pool>) -> Self {
        let (monitor, verdicts) = Monitor::new(pool);
        Self {
            monitor,
            verdicts,
            checks: false,
            auto: BTreeSet::new(),
            moved: false,
            wants_load: false,
            load_is_due: false,
            sampler: Sampler::default(),
            look_after: None,
            machine: None,
        }
    }

    /// The next thing that was found of an agent.
    pub(super) async fn verdict(&mut self) -> Option<Input> {
        self.verdicts.recv().await.map(|Verdict { agent, fault }| Input::Health { agent, fault })
    }

    /// A run was loaded, under this definition.
    pub(super) fn knows(&mut self, run: RunId, workflow: &Workflow) {
        self.checks |= workflow.agents.iter().any(|agent| agent.health.is_some());
        if workflow.mode == Mode::Auto {
            self.auto.insert(run);
        } else {
            self.auto.remove(&run);
        }
    }

    /// A run is gone.
    pub(super) fn forgets(&mut self, run: RunId) {
        self.auto.remove(&run);
    }

    /// These things happened.
    pub(super) fn hears(&mut self, events: &[Arc<Event>]) {
        self.moved |= events.iter().any(|event| {
            matches!(
                event.kind,
                EventKind::RunStarted { .. }
                    | EventKind::RunPaused { .. }
                    | EventKind::RunResumed
                    | EventKind::RunReopened
                    | EventKind::RunFinished { .. }
            )
        });
    }

    /// Ends all checks.
    pub(super) fn end(&mut self) {
        self.monitor.watch(BTreeMap::new());
        self.wants_load = false;
    }

    /// What upbeat and its children use while a run is live; looked at when a view is taken anyway, and seldom.
    pub(super) fn machine(&mut self, view: &EngineView) -> Option<MachineView> {
        if !view.runs.iter().any(is_live) {
            (self.sampler, self.look_after, self.machine) = (Sampler::default(), None, None);
            return None;
        }
        let began = now();
        if self.look_after.is_none_or(|at| at <= began) {
            self.machine = self.sampler.look(began);
            let done = now();
            self.look_after = Some(done + FIGURES_EVERY.max((done - began) * FIGURES_SHARE));
        }
        self.machine
    }
}

fn is_live(run: &RunView) -> bool {
    run.started.is_some() && !run.state.ended() && run.state != RunState::Paused
}

impl Driver {
    /// After runs have begun, ended, paused or gone on: watches the agents of those that are live.
    pub(super) fn attend(&mut self) {
        let moved = std::mem::take(&mut self.beside.moved);
        if !moved || !self.is_real() || (!self.beside.checks && self.beside.auto.is_empty()) {
            return;
        }
        let view = self.engine.view(self.clock.now(), None);
        let live = || view.runs.iter().filter(|run| is_live(run));
        let mut subjects = BTreeMap::new();
        for run in live() {
            for (at, agent) in run.workflow.agents.iter().enumerate().filter(|(_, agent)| agent.health.is_some()) {
                let id = view.agents.iter().find(|known| known.name == agent.id).map(|known| known.id);
                let subject = || Subject { run: run.name.clone(), workflow: run.workflow.clone(), at };
                subjects.extend(id.map(|id: AgentId| (id, subject())));
            }
        }
        self.beside.wants_load = live().any(|run| self.beside.auto.contains(&run.id));
        self.beside.monitor.watch(subjects);
        self.set_load_due();
    }

    /// Before a run begins or goes on: the load that its order of work is to be chosen by.
    pub(super) fn tell_load_before(&mut self, command: &Command) {
        let begins = matches!(command, Command::Start { .. } | Command::Resume { .. } | Command::RetryFailed { .. });
        if begins && self.is_real() && command.run().is_some_and(|run| self.beside.auto.contains(&run)) {
            self.tell_load();
        }
    }

    /// The next look at the load is due.
    pub(super) fn take_load(&mut self) {
        self.beside.load_is_due = false;
        if self.beside.wants_load {
            self.tell_load();
            self.set_load_due();
        }
    }

    fn tell_load(&mut self) {
        if let Some(per_core) = load_per_core() {
            let _ = self.decide(&Input::Load { per_core });
        }
    }

    fn set_load_due(&mut self) {
        if self.beside.wants_load && !std::mem::replace(&mut self.beside.load_is_due, true) {
            self.set_due(self.clock.now() + LOAD_EVERY, Due::Load);
        }
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;
    use crate::engine::{Engine, Outbox};
    use crate::model::agent::{Agent, AgentKind, Simulated};
    use crate::model::step::{Step, Work};

    #[test]
    fn figures_are_told_while_a_run_is_live_and_looked_at_seldom() {
        let agent = Agent::new("sim", AgentKind::Simulated(Simulated::default()), "any");
        let step = Step::new("a", Work::Capability { capability: "any".into() });
        let mut engine = Engine::new();
        let run = engine.load(Arc::new(Workflow::new("flow", vec![agent], vec![step])), "r".into(), 0).unwrap();
        let view = |engine: &Engine| engine.view(Micros::ZERO, None);
        let mut beside = Beside::new(Arc::new(Pool::new("upbeat".into())));
        assert_eq!(beside.machine(&view(&engine)), None);
        assert!(beside.look_after.is_none(), "it has not begun");
        engine.handle(Micros::ZERO, &Input::Command(Command::Start { run }), &mut Outbox::default()).unwrap();
        let live = view(&engine);
        assert_eq!(beside.machine(&live), None, "there is nothing to compare with");
        let soonest = beside.look_after.unwrap();
        assert!(soonest >= now() + FIGURES_EVERY.saturating_sub(Duration::from_secs(1)));
        assert_eq!((beside.machine(&live), beside.look_after), (None, Some(soonest)), "it was looked at just now");
        beside.look_after = None;
        assert!(beside.machine(&live).is_some_and(|machine| machine.rss_bytes > 0));
        assert!(beside.machine(&live).is_some(), "until the next look");
        assert_eq!(beside.machine(&EngineView::default()), None);
        assert!(beside.look_after.is_none() && beside.machine.is_none());
    }
}
