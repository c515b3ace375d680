//! `upbeat runs`: what is in the store.

use super::args::{Output, RunsArgs};
use super::out::{self, Done};
use super::saved::{is_interrupted, since_written};
use super::store::{self, Kept, told};
use crate::model::state::RunState;
use crate::report::runs::{RunRow, RunTold};
use crate::report::{json, runs as list};
use crate::runtime::clock::unix_ms;
use crate::runtime::store::disk::{Brief, Entry, Label};

/// Runs listed for people who do not say how many.
const SHOWN: u64 = 20;

/// Lists the newest runs.
pub(crate) fn runs(args: &RunsArgs) -> Done {
    let kept = store::existing(&args.place)?;
    let entries = kept.store.list().map_err(|error| told(&error))?;
    let most = args.limit.unwrap_or(if args.output == Output::Text { SHOWN } else { u64::MAX });
    let shown = usize::try_from(most).unwrap_or(usize::MAX).min(entries.len());
    let rows: Vec<RunRow> = entries[..shown].iter().map(|entry| row(&kept, entry)).collect();
    out::result(&match args.output {
        Output::Json => json::pretty(&list::document(&rows)) + "\n",
        Output::Text if rows.is_empty() => "no runs yet; `upbeat run FILE` begins one\n".to_owned(),
        Output::Text => list::text(&rows, entries.len() - shown, unix_ms()),
    })?;
    Ok(0)
}

fn row(kept: &Kept, entry: &Entry) -> RunRow {
    let Entry { run, live, bytes, told } = entry;
    let command = told.as_ref().ok().and_then(|(_, brief)| {
        let verb = onward(brief)?;
        (!live).then(|| kept.ways.command(verb, run))
    });
    let pid = if *live { kept.store.writer(run) } else { None };
    let told = match told {
        Ok((label, brief)) => Ok(standing(kept, label, brief, *live)),
        Err(error) => Err(error.to_string()),
    };
    RunRow { run: run.clone(), live: *live, pid, bytes: *bytes, told, command }
}

/// What goes on with a run, if something is left to be done.
const fn onward(brief: &Brief) -> Option<&'static str> {
    match brief.state {
        RunState::Succeeded => None,
        RunState::Compensated | RunState::CompensationFailed => Some("rerun"),
        state if state.ended() => Some("retry"),
        _ => Some("resume"),
    }
}

fn standing(kept: &Kept, label: &Label, brief: &Brief, live: bool) -> RunTold {
    let goes_on = live && label.clock == "real" && !brief.state.ended();
    let took = brief.started_at.map(|start| {
        let known = brief.last_at.saturating_sub(start);
        if goes_on { known + since_written(kept, &label.run) } else { known }
    });
    RunTold {
        workflow: label.workflow.clone(),
        state: brief.state,
        interrupted: is_interrupted(brief.state, live),
        status: brief.status,
        steps: [brief.total, brief.succeeded, brief.failed, brief.skipped, brief.cancelled],
        attempts: brief.attempts,
        began_unix_ms: label.began_unix_ms,
        took,
        seed: label.seed,
        clock: label.clock.clone(),
        from: label.from.clone(),
        version: label.version.clone(),
    }
}
