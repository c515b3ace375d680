//! `upbeat stream FILE`: every item of a source through the steps of a workflow, one result a line.
//!
//! For people it is one run; inside, each item is a small run of its own that is forgotten when it has ended, in one engine:
//! agents, breakers and rates are those of the whole stream. Nothing of it is saved.

use super::args::{ModelOptions, RunOutput, StreamArgs};
use super::load::{self, Needs};
use super::out::{Done, EXIT_CLOSED, EXIT_FAULT, Stop, refuse, say};
use super::recipe::STDIN;
use super::run::{seed, session, suit};
use super::signals::Signals;
use super::source::{Line, Source};
use super::tally::Tally;
use super::through::{Asked, Desk, End, Outcome, Through, Way};
use crate::model::completion::FailureClass;
use crate::model::id::Name;
use crate::model::rng;
use crate::model::safe::Safe;
use crate::model::state::{EndCause, RunState};
use crate::model::stream::Streaming;
use crate::model::view::RunSummary;
use crate::model::workflow::Workflow;
use crate::report::{json, result};
use crate::runtime::chance;
use crate::runtime::handle::{Errand, Handle, RunOrder};
use crate::runtime::store::disk::SyncMode;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

/// The exit code where every item failed.
const EXIT_FAILED: u8 = 1;
/// The exit code where some did.
const EXIT_PARTIAL: u8 = 3;

/// Streams.
pub(crate) fn stream(args: &StreamArgs) -> Done {
    one_stdin([&*args.file, &args.items], &args.model)?;
    let loaded = load::workflow(&args.file, &args.model, Needs::Agents)?;
    let mut workflow = loaded.accept(RunOutput::Text)?;
    let Some(streaming) = workflow.stream else {
        let file = args.file.to_string_lossy();
        return refuse(&format!(
            "{} takes no items: it needs a `stream`, such as `stream: {{max_in_flight: 8}}`",
            Safe::line(&file)
        ));
    };
    suit(&mut workflow, &args.pace, None)?;
    let mut source = Source::open(&args.items)?;
    let (id, seed) = (chance::run_id(), seed(&args.pace));
    let engine = session(&args.pace, None, SyncMode::Normal)?;
    say(&format!("upbeat: stream {}, seed {seed}; items are not saved: what is interrupted is gone", Safe::line(&id)));
    let items = Items { workflow: Arc::new(workflow), id, seed, stuck: BTreeSet::new() };
    engine.during(async |handle| flow(handle, items, streaming, &mut source).await)
}

/// Refuses to read standard input twice.
pub(crate) fn one_stdin<'p>(paths: impl IntoIterator<Item = &'p Path>, model: &'p ModelOptions) -> Result<(), Stop> {
    let beside = [&model.agents, &model.data].into_iter().flatten().map(|path| &**path);
    if paths.into_iter().chain(beside).filter(|path| path.as_os_str() == STDIN).count() > 1 {
        return refuse(
            "standard input can be read only once; name a file for one of those that are to be read from it",
        );
    }
    Ok(())
}

async fn flow(handle: &Handle, items: Items, streaming: Streaming, source: &mut Source) -> Done {
    let mut signals = Signals::new()?;
    let in_flight_max = streaming.max_in_flight as usize;
    let way = Way { in_flight_max, ordered: streaming.ordered, is_saved: false };
    let mut through = Through::new(handle, items, way);
    let end = through.run(source, &mut signals).await;
    let last = matches!(end, End::Unread).then(String::new).unwrap_or_else(|| last_line(through.counted().1));
    let (_, tally, printed) = through.finish(Some(last), &mut signals).await;
    let Tally { lines, errors, .. } = tally;
    say(&format!("upbeat: {lines} items, {errors} errors, {:.1}/s; {}", tally.rate(), tally.times()));
    if matches!(end, End::Unread) {
        return Ok(EXIT_CLOSED);
    }
    printed?;
    Ok(match end {
        End::Signal(cause) => exit_of(cause),
        End::Broken(why) | End::Trouble(why) => {
            say(&format!("upbeat: the items cannot be read any further: {}", Safe::line(&why)));
            EXIT_FAULT
        }
        _ if errors == 0 => 0,
        _ if errors == lines => EXIT_FAILED,
        _ => EXIT_PARTIAL,
    })
}

/// The exit code of a signal.
pub(crate) const fn exit_of(cause: EndCause) -> u8 {
    match cause {
        EndCause::Terminate => 143,
        EndCause::HangUp => 129,
        _ => 130,
    }
}

fn last_line(tally: &Tally) -> String {
    let stats = json!({
        "items_processed": tally.lines,
        "errors": tally.errors,
        "rate_per_s": tally.rate(),
        "p50_s": tally.percentile(50).as_secs_f64(),
        "p95_s": tally.percentile(95).as_secs_f64(),
    });
    json::line(&json!({"event": "stream_finished", "stats": stats})) + "\n"
}

/// What is done with items.
struct Items {
    workflow: Arc<Workflow>,
    /// The stream's name; items add their numbers.
    id: Name,
    seed: u64,
    /// Items that were ended because only a person could bring them on.
    stuck: BTreeSet<Name>,
}

impl Desk for Items {
    const LINES: &'static str = "items";

    fn take(&mut self, n: u64, line: Line, tally: &mut Tally) -> Asked {
        match line {
            Ok(item) => {
                let (workflow, name) = (self.workflow.clone(), format!("{}.{n}", self.id).into());
                let seed = rng::draw(self.seed, &[n]);
                let order = RunOrder { workflow, name, seed, origin: None, reuse: None };
                let index = u32::try_from(n).unwrap_or(u32::MAX);
                Asked::Runs(vec![Errand { order, item: Some((Arc::new(item), index)) }])
            }
            Err(why) => {
                tally.errors += 1;
                Asked::Answer(failed(n, FailureClass::Permanent, &why, None))
            }
        }
    }

    fn answer(&mut self, n: u64, outcomes: Vec<Outcome>, tally: &mut Tally) -> Value {
        let summary = match outcomes.into_iter().next() {
            Some(Ok(told)) => told.summary,
            Some(Err(rejection)) => {
                tally.errors += 1;
                return failed(n, FailureClass::Permanent, &rejection.to_string(), None);
            }
            None => unreachable!("every item asked for a run"),
        };
        if matches!(summary.state, RunState::Succeeded | RunState::Partial) {
            return json!({"item": n, "result": result_of(&summary)});
        }
        tally.errors += 1;
        if self.stuck.remove(&summary.run_name) {
            return failed(
                n,
                FailureClass::Cancelled,
                "only a person could have brought it on, and nobody is asked",
                None,
            );
        }
        match summary.errors.first() {
            Some(error) => failed(n, error.failure.class, &error.failure.message, Some(&error.step)),
            None => failed(n, class_of(&summary), &format!("its run ended as {}", result::status(&summary)), None),
        }
    }

    fn stuck(&mut self, run: &Name, _: &mut Tally) {
        self.stuck.insert(run.clone());
    }
}

/// What an item became: the workflow's `result`, else what its steps returned.
fn result_of(summary: &RunSummary) -> Value {
    let outputs = || summary.outputs.iter().map(|(step, output)| (step.to_string(), (**output).clone()));
    summary.result.as_deref().cloned().unwrap_or_else(|| Value::Object(outputs().collect::<Map<_, _>>()))
}

fn class_of(summary: &RunSummary) -> FailureClass {
    match summary.cause {
        Some(EndCause::Deadline) => FailureClass::Deadline,
        Some(EndCause::Reject) => FailureClass::Rejected,
        Some(_) => FailureClass::Cancelled,
        None => FailureClass::Permanent,
    }
}

fn failed(n: u64, class: FailureClass, message: &str, step: Option<&Name>) -> Value {
    json!({"item": n, "error": {"class": class.word(), "message": message, "step": step.map(|step| &**step)}})
}
