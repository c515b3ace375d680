//! `upbeat replay RUN`: what a journal tells, without doing any of it again.

use super::args::{ReplayArgs, RunOutput};
use super::headless::last_line;
use super::journal::{self, Events};
use super::out::{self, Done, EXIT_USAGE, Stop, say};
use super::saved;
use super::store::{self, Kept, told};
use crate::model::event::{Event, EventKind};
use crate::model::id::Name;
use crate::model::safe::Safe;
use crate::report::events::{Names, event_json};
use crate::report::{json, plain};

/// Reads it back.
pub(crate) fn replay(args: &ReplayArgs) -> Done {
    let kept = store::existing(&args.saved.place)?;
    let run = saved::find(&kept, &args.saved.run)?;
    let header = kept.store.header(&run).map_err(|error| told(&error))?;
    let mut events = Events::new(&kept, run.clone());
    let mut names = journal::names(run.clone(), header.workflow);
    // The last event is held back: if it ended the run it becomes the last line, with the result.
    let mut last: Option<Event> = None;
    while let Some(event) = events.next()? {
        if let Some(event) = &last {
            tell(event, &names, args.output)?;
        }
        journal::follow(&mut names, &event);
        last = Some(event);
    }
    if let Some(damage) = &events.damage {
        if let Some(event) = &last {
            tell(event, &names, args.output)?;
        }
        say(&format!("upbeat: {}", Safe::line(&damage.to_string())));
        say(&format!("upbeat: the journal of run {run} is whole up to event {}", events.whole_up_to()));
        return Ok(EXIT_USAGE);
    }
    conclude(&kept, &run, &names, last.as_ref(), args.output)
}

/// Tells the last event, and the result where it is asked for.
fn conclude(kept: &Kept, run: &Name, names: &Names, last: Option<&Event>, output: RunOutput) -> Done {
    let folded = || saved::fold(kept, run);
    match (output, last) {
        (RunOutput::Text, None) => out::result(&format!("run {run} has not been started\n"))?,
        (RunOutput::Text, Some(event)) => tell(event, names, output)?,
        (RunOutput::Json, _) => out::result(&(json::pretty(&folded()?.document()) + "\n"))?,
        (RunOutput::Jsonl, _) => {
            if let Some(event) = last.filter(|event| !matches!(event.kind, EventKind::RunFinished { .. })) {
                tell(event, names, output)?;
            }
            out::result(&(last_line(last, names, &folded()?.summary()) + "\n"))?;
        }
    }
    Ok(0)
}

fn tell(event: &Event, names: &Names, output: RunOutput) -> Result<(), Stop> {
    match output {
        RunOutput::Text if plain::is_news(&event.kind) => {
            let at = plain::duration(event.at.saturating_sub(names.started.unwrap_or(event.at)));
            out::result(&format!("{at:>9}  {}\n", plain::event_line(event, names)))
        }
        RunOutput::Text | RunOutput::Json => Ok(()),
        RunOutput::Jsonl => out::result(&(json::line(&event_json(event, names)) + "\n")),
    }
}
