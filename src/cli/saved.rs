//! A saved run, read back: found by its word, folded by the engine that made it, changed by nobody.

use super::out::{EXIT_USAGE, Stop, refuse, say};
use super::recipe::Recipe;
use super::store::{Kept, told};
use crate::engine::Engine;
use crate::model::event::EventKind;
use crate::model::id::{Name, RunId, StepId};
use crate::model::safe::Safe;
use crate::model::state::RunState;
use crate::model::time::Micros;
use crate::model::view::{EngineView, RunSummary, RunView, Saving};
use crate::model::workflow::{FileStamp, Workflow};
use crate::report::result;
use crate::runtime::clock::unix_ms;
use crate::runtime::store::disk::{Header, Saved, StoreError, StoreErrorKind};
use serde_json::Value;
use std::sync::Arc;

/// The word of a run that was under way when upbeat ended without leaving it.
pub(crate) const INTERRUPTED: &str = "interrupted";

/// The run that a word means.
pub(crate) fn find(kept: &Kept, word: &str) -> Result<Name, Stop> {
    let list = || format!("`{}` lists them", kept.ways.list());
    if word.is_empty() {
        return refuse(&format!("which run? Give its id, the beginning of it, or `last`; {}", list()));
    }
    kept.store.find(word).map_err(|error| match error {
        StoreError { kind: StoreErrorKind::NotFound, way_out: None, message } => {
            told(&StoreError { kind: StoreErrorKind::NotFound, way_out: Some(list()), message })
        }
        error => told(&error),
    })
}

/// A run as its journal tells it.
pub(crate) struct Folded {
    /// What it was begun with.
    pub(crate) header: Header,
    /// The number of its last event.
    pub(crate) last_seq: u64,
    /// Whether a process writes to it, and which.
    pub(crate) live: bool,
    pub(crate) pid: Option<u32>,
    /// The run's own time: of its last event, or now where it goes on.
    pub(crate) now: Micros,
    /// The files of the definition it has now; `None`: not known any more.
    pub(crate) files: Option<Vec<FileStamp>>,
    engine: Engine,
    run: RunId,
}

/// Reads a run and folds it.
pub(crate) fn fold(kept: &Kept, run: &Name) -> Result<Folded, Stop> {
    let live = kept.store.is_live(run);
    let pid = kept.store.writer(run);
    let saved = kept.store.read(run).map_err(|error| told(&error))?;
    let now = now_of(kept, run, &saved, live);
    let Saved { header, snapshot, events, last_seq, .. } = saved;
    let mut engine = Engine::new();
    let changed = events.iter().rev().find_map(|event| match &event.kind {
        EventKind::WorkflowChanged { files, .. } => Some(files.clone()),
        _ => None,
    });
    let bytes = snapshot.as_ref().map(|(_, bytes)| bytes.as_slice());
    let restored = engine.restore(header.workflow.clone(), run.clone(), header.seed, bytes, events);
    let id = match restored {
        Ok(id) => id,
        Err(rejection) => {
            say(&format!("upbeat: run {run} cannot be read: {}", Safe::line(&rejection.to_string())));
            return Err(Stop(EXIT_USAGE));
        }
    };
    let mut folded = Folded { header, last_seq, live, pid, now, files: changed, engine, run: id };
    if folded.files.is_none() && folded.declared() == *folded.header.workflow {
        folded.files = Some(folded.header.files.clone());
    }
    Ok(folded)
}

/// Where a run's clock stands: a process that writes to it has moved on since its last event.
fn now_of(kept: &Kept, run: &str, saved: &Saved, live: bool) -> Micros {
    let last = saved.brief.last_at;
    if !live || saved.header.clock != "real" || saved.brief.state.ended() {
        return last;
    }
    last + since_written(kept, run)
}

/// How long ago a run was last written to.
pub(crate) fn since_written(kept: &Kept, run: &str) -> Micros {
    let since = kept.store.written_unix_ms(run).map_or(0, |then| unix_ms().saturating_sub(then));
    Micros::from_millis(since)
}

impl Folded {
    /// The run's name.
    pub(crate) const fn name(&self) -> &Name {
        &self.header.run
    }

    /// The definition it has now.
    pub(crate) fn workflow(&self) -> Arc<Workflow> {
        self.run_view().workflow
    }

    /// The same as it was declared: without what joined its graph while it ran.
    pub(crate) fn declared(&self) -> Workflow {
        self.engine.declared(self.run)
    }

    /// The picture of its engine.
    pub(crate) fn view(&self) -> EngineView {
        self.engine.view(self.now, None)
    }

    /// The picture of the run.
    pub(crate) fn run_view(&self) -> RunView {
        self.view().runs.swap_remove(self.run.index())
    }

    /// Its numbers.
    pub(crate) fn summary(&self) -> RunSummary {
        let summary = self.engine.summary(self.now, self.run).expect("the run was restored just now");
        RunSummary { saving: Saving::Normal, ..summary }
    }

    /// The result document, as far as there is one.
    pub(crate) fn document(&self) -> Value {
        let tell = if self.live { result::live_document } else { result::document };
        tell(&self.summary())
    }

    /// Where it stands, in a word.
    pub(crate) fn word(&self) -> &'static str {
        let state = self.run_view().state;
        if is_interrupted(state, self.live) { INTERRUPTED } else { state.word() }
    }

    /// How it was read.
    pub(crate) fn recipe(&self) -> Option<Recipe> {
        serde_json::from_value(self.header.recipe.clone()).ok()
    }

    /// The engine, to try out what would become of the run.
    pub(crate) const fn engine(&mut self) -> (&mut Engine, RunId) {
        (&mut self.engine, self.run)
    }
}

/// Whether nobody carries on a run that was under way.
pub(crate) const fn is_interrupted(state: RunState, live: bool) -> bool {
    !live && !state.ended() && !matches!(state, RunState::Pending | RunState::Paused)
}

/// The step of a name; else the command is refused, with the nearest one.
pub(crate) fn step(workflow: &Workflow, name: &str) -> Result<StepId, Stop> {
    if let Some(step) = workflow.find(name) {
        return Ok(step);
    }
    let likeness = |id: &str| strsim::jaro_winkler(name, id);
    let nearest = workflow.steps.iter().map(|step| &*step.id).max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
    let hint = nearest.filter(|id| likeness(id) > 0.7).map_or_else(
        || "`upbeat show RUN` lists its steps".to_owned(),
        |id| format!("did you mean {}?", Safe::line(id)),
    );
    refuse(&format!("{} has no step {}; {hint}", Safe::line(&workflow.id), Safe::line(name)))
}
