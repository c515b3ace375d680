//! Parse, choose, exit. Everything else lives in the library.

use std::process::ExitCode;
use upbeat::cli::{self, Next};

fn main() -> ExitCode {
    // Before anything else: a reaper is started for every slot, and has no use for options, logs or a terminal.
    if std::env::args_os().nth(1).is_some_and(|word| word == upbeat::runtime::reaper::COMMAND) {
        return ExitCode::from(upbeat::runtime::reaper::child::main());
    }
    ExitCode::from(match cli::main(std::env::args_os()) {
        Next::Exit(code) => code,
        // Until the panel is there, the run that waits for it ends here.
        Next::Panel(order) => cli::after_panel(order),
    })
}
