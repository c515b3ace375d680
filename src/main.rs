//! Parse, choose, exit. Everything else lives in the library.

use std::process::ExitCode;
use upbeat::cli::{self, Next};
use upbeat::runtime::{environment, reaper};
use upbeat::tui::{self, Capabilities, PanelOptions};

fn main() -> ExitCode {
    // Before anything else: a reaper is started for every slot, and has no use for options, logs or a terminal.
    if std::env::args_os().nth(1).is_some_and(|word| word == reaper::COMMAND) {
        return ExitCode::from(reaper::child::main());
    }
    ExitCode::from(match cli::main(std::env::args_os()) {
        Next::Exit(code) => code,
        Next::Panel(order) => {
            let capabilities = Capabilities::detect(environment::var);
            let shown = tui::run(order.handle().clone(), PanelOptions { run: order.run, capabilities });
            let code = cli::after_panel(order);
            shown.map_or_else(|error| cli::own_fault(&format!("the panel failed: {error}")), |_| code)
        }
    })
}
