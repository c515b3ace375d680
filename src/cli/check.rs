//! `upbeat check FILE…`: every fault of every file, without side effects.

use super::args::{CheckArgs, Output};
use super::load::{Beside, Loaded, Needs};
use super::out::{self, Done, EXIT_USAGE, say};
use crate::model::safe::Safe;
use crate::report::format::plural;
use crate::report::json;

/// Prints the faults, and what is fine.
pub(crate) fn check(args: &CheckArgs) -> Done {
    let mut beside = Beside::read(&args.model, Needs::Agents)?;
    let mut files = Vec::with_capacity(args.files.len());
    for file in &args.files {
        files.push((file, beside.workflow(file)?));
    }
    let beside = beside.faults();
    let refused = beside.counts().0 > 0 || files.iter().any(|(_, loaded)| loaded.is_refused());
    match args.output {
        Output::Json => {
            let own = files.iter().flat_map(|(_, loaded)| loaded.diagnostics());
            let all: Vec<_> = beside.diagnostics().iter().chain(own).collect();
            out::result(&(json::pretty(&all) + "\n"))?;
        }
        Output::Text => {
            beside.say();
            for (file, loaded) in &files {
                loaded.say();
                let name = Safe::line(&file.to_string_lossy()).into_string();
                match verdict(loaded) {
                    Ok(fine) => out::result(&format!("{name}: {fine}\n"))?,
                    Err(faults) => say(&format!("{name}: {faults}")),
                }
            }
        }
    }
    Ok(if refused { EXIT_USAGE } else { 0 })
}

/// A file in one line.
fn verdict(loaded: &Loaded) -> Result<String, String> {
    let (errors, warnings) = loaded.counts();
    let count = |n: usize, noun| plural(n as u64, noun);
    let Some(workflow) = loaded.workflow().filter(|_| errors == 0) else {
        return Err(format!("{}, {}", count(errors, "error"), count(warnings, "warning")));
    };
    let beside = if warnings == 0 { String::new() } else { format!(", {}", count(warnings, "warning")) };
    let (steps, agents) = (count(workflow.steps.len(), "step"), count(workflow.agents.len(), "agent"));
    Ok(format!("ok, {steps}, {agents}{beside}"))
}
