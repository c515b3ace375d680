//! The panel: pixels and keys. A pure state ([`app`]), a pure `update`, a pure view, and around them a loop that waits.
//!
//! ```text
//!   key ─▶ keymap ─▶ update(app, view, action) ─▶ requests ─▶ Handle
//!   Handle ─▶ views, log ─▶ app.absorb ─▶ settle ─▶ view::draw ─▶ screen
//! ```

mod answers;
mod app;
mod arrange;
mod caps;
mod consult;
mod diagnostics;
mod dialogs;
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

use crate::runtime::handle::Handle;

/// Shows a run until somebody leaves, then gives the terminal back. Blocks; must not be called from asynchronous code.
/// Runs under way have been told to end and have ended, unless the person would not wait.
///
/// # Errors
/// If the terminal cannot be taken or written to, or the engine ended under the panel.
pub fn run(handle: Handle, options: PanelOptions) -> std::io::Result<PanelEnd> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    diagnostics::listen();
    // The first frame comes before anything is waited for.
    let panel = panel::Panel::open(handle, options)?;
    runtime.block_on(panel.run())
}

#[cfg(test)]
mod tests;
