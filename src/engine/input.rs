//! What goes into the engine, and what comes out.

use crate::model::command::Command;
use crate::model::completion::Completion;
use crate::model::effect::{Effect, Timer};
use crate::model::event::Event;
use std::sync::Arc;

/// Something the engine has to decide about.
#[derive(Clone, Debug)]
pub enum Input {
    /// A person's request.
    Command(Command),
    /// The end of an attempt.
    Completion(Completion),
    /// A timer that is due.
    Timer(Timer),
}

/// What follows from an input: facts first, then the work they ask for. Reused by the caller.
#[derive(Debug, Default)]
pub struct Outbox {
    /// To be made durable before any effect is performed.
    pub events: Vec<Arc<Event>>,
    /// To be performed in order.
    pub effects: Vec<Effect>,
}
