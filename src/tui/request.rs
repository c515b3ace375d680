//! What the panel asks of the world: the only way out of the pure part.

use crate::model::command::Command;
use crate::model::state::EndCause;

/// What the panel asks of the world.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Request {
    /// Send this to the engine.
    Command(Command),
    /// Put this on the clipboard.
    Copy(String),
    /// Put a line of the log on the clipboard.
    CopyLine(u64),
    /// Put the inspector's text on the clipboard.
    CopyInspector,
    /// End the runs under way, then leave. `forced`: without grace.
    End { cause: EndCause, forced: bool },
    /// Leave now.
    Leave,
    /// Stop the process until somebody continues it.
    Suspend,
    /// Draw everything anew.
    Redraw,
}
