//! The panel: pixels and keys. A pure state ([`app`]), a pure `update`, a pure view, and around them a loop that waits.
//!
//! ```text
//!   key ─▶ keymap ─▶ update(app, view, action) ─▶ requests ─▶ Handle
//!   Handle ─▶ views, log ─▶ app.absorb ─▶ settle ─▶ view::draw ─▶ screen
//! ```

mod app;
mod arrange;
mod caps;
mod frame;
mod graph;
mod keymap;
mod logbook;
mod mouse;
mod panel;
mod request;
mod search;
mod signals;
mod steer;
mod terminal;
mod texts;
mod theme;
mod travel;
mod update;
mod view;

pub use caps::{Capabilities, ColourDepth};
pub use panel::{PanelEnd, PanelOptions};

use crate::model::command::Command;
use crate::model::id::RunId;
use crate::model::state::EndCause;
use crate::runtime::handle::Handle;

/// Shows a run until somebody leaves, then gives the terminal back. Blocks; must not be called from asynchronous code.
/// Runs under way have been told to end and have ended, unless the person would not wait.
///
/// # Errors
/// If the terminal cannot be taken or written to, or the engine ended under the panel.
pub fn run(handle: &Handle, options: PanelOptions) -> std::io::Result<PanelEnd> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let run = options.run;
    // The first frame comes before anything is waited for.
    let shown = match panel::Panel::open(handle.clone(), options) {
        Ok(panel) => runtime.block_on(panel.run()),
        Err(error) => Err(error),
    };
    match shown {
        Err(error) if terminal::is_gone(&error) => Ok(runtime.block_on(hang_up(handle, run))),
        shown => shown,
    }
}

/// The terminal went away while it was written to, before its signal came: the same as the signal.
async fn hang_up(handle: &Handle, run: RunId) -> PanelEnd {
    let cause = EndCause::HangUp;
    let interrupted = handle.command(Command::Cancel { run, cause }).await.is_ok();
    PanelEnd { cause, interrupted }
}

#[cfg(test)]
mod tests;
