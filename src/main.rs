//! Parse, choose, exit. Everything else lives in the library.

use std::process::ExitCode;
use upbeat::cli::{self, Next};
use upbeat::runtime::{environment, evaluate, reaper};
use upbeat::tui::{self, Capabilities, PanelOptions};

fn main() -> ExitCode {
    // Before anything else: a reaper is started for every slot, and has no use for options, logs or a terminal. Neither
    // has an evaluator, which is started anew after every filter that ends it.
    match std::env::args_os().nth(1) {
        Some(word) if word == reaper::COMMAND => return ExitCode::from(reaper::child::main()),
        Some(word) if word == evaluate::COMMAND => return ExitCode::from(evaluate::child::main()),
        _ => {}
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
