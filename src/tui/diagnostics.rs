//! upbeat's remarks about itself, as `tracing` events, kept by tui-logger and shown in the logs pane.
//!
//! tui-logger's own mover thread is not started (it would wake a hundred times a second for ever): the panel's loop moves
//! what was said when it wakes for other reasons.

use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Remarks that may wait to be moved.
const WAITING_MAX: usize = 8_192;

/// Begins to listen. Once per process; later calls, and a subscriber that is there already, are left alone.
pub(crate) fn listen() {
    let layer = tui_logger::TuiTracingSubscriberLayer;
    let level = tracing_subscriber::filter::LevelFilter::DEBUG;
    if tracing_subscriber::registry().with(level).with(layer).try_init().is_ok() {
        tui_logger::set_default_level(tui_logger::LevelFilter::Debug);
        tui_logger::set_hot_buffer_depth(WAITING_MAX);
        tui_logger::move_events();
    }
}
