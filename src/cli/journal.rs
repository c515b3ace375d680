//! A saved run's events and printed lines, read a page at a time: a long run is never in memory as a whole.

use super::out::Stop;
use super::store::{Kept, told};
use crate::model::event::{Event, EventKind};
use crate::model::id::Name;
use crate::model::workflow::Workflow;
use crate::report::events::Names;
use crate::runtime::store::disk::{Printed, StoreError};
use std::collections::VecDeque;
use std::sync::Arc;

/// Events or lines read at once.
const PAGE: usize = 1_000;

/// The events of a run, in order.
pub(crate) struct Events<'k> {
    kept: &'k Kept,
    run: Name,
    page: VecDeque<Event>,
    /// The number of the last event that was read.
    read: u64,
    more: bool,
    /// What is wrong with the event behind the last one, if something is.
    pub(crate) damage: Option<StoreError>,
}

impl<'k> Events<'k> {
    /// From the first one on.
    pub(crate) const fn new(kept: &'k Kept, run: Name) -> Self {
        Self { kept, run, page: VecDeque::new(), read: 0, more: true, damage: None }
    }

    /// The next event; `None`: there is none, or it is damaged.
    pub(crate) fn next(&mut self) -> Result<Option<Event>, Stop> {
        if self.page.is_empty() && self.more {
            let (events, damage) =
                self.kept.store.events_page(&self.run, self.read, PAGE).map_err(|error| told(&error))?;
            self.more = events.len() == PAGE;
            self.read = events.last().map_or(self.read, |event| event.seq);
            self.page = events.into();
            self.damage = damage;
        }
        Ok(self.page.pop_front())
    }

    /// The number of the last event that is good.
    pub(crate) const fn whole_up_to(&self) -> u64 {
        self.read
    }
}

/// The printed lines of a run, in order.
pub(crate) struct Lines<'k> {
    kept: &'k Kept,
    run: Name,
    page: VecDeque<Printed>,
    next: Option<u64>,
}

impl<'k> Lines<'k> {
    /// From the first one on.
    pub(crate) const fn new(kept: &'k Kept, run: Name) -> Self {
        Self { kept, run, page: VecDeque::new(), next: Some(0) }
    }

    /// The next line.
    pub(crate) fn next(&mut self) -> Result<Option<Printed>, Stop> {
        if let Some(from) = self.next.filter(|_| self.page.is_empty()) {
            let page = self.kept.store.lines_page(&self.run, from, PAGE).map_err(|error| told(&error))?;
            self.next = page.next;
            self.page = page.lines.into();
        }
        Ok(self.page.pop_front())
    }
}

/// The names in a journal before its first event: agents are numbered by their place in the workflow.
pub(crate) fn names(run: Name, workflow: Arc<Workflow>) -> Names {
    let agents = workflow.agents.iter().map(|agent| agent.id.clone()).collect();
    Names { run, workflow, agents, started: None, joined: Vec::new(), items: std::collections::BTreeMap::new() }
}

/// Follows an event: the run starts, grows, or goes on under another definition.
pub(crate) fn follow(names: &mut Names, event: &Event) {
    names.hear(event);
    match &event.kind {
        EventKind::RunStarted { .. } => names.started = Some(event.at),
        EventKind::WorkflowChanged { workflow, .. } => {
            *names = Names { started: names.started, ..self::names(names.run.clone(), workflow.clone()) };
        }
        _ => {}
    }
}
