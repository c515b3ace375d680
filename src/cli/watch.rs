//! `upbeat watch FILE…`: every event of a source is given to the workflows that name its type, all of them side by side, and
//! answered with one line.

use super::args::{ModelOptions, RunOutput, WatchArgs};
use super::load::{self, Needs};
use super::out::{Done, EXIT_CLOSED, EXIT_FAULT, EXIT_USAGE, Stop, refuse, say};
use super::recipe::{Recipe, STDIN};
use super::refused;
use super::run::{seed, session, suit};
use super::signals::Signals;
use super::source::{Line, Source};
use super::store::{self, Kept};
use super::stream::{exit_of, one_stdin};
use super::tally::Tally;
use super::through::{Asked, Desk, End, Outcome, Through, Way};
use crate::model::agent::Agent;
use crate::model::id::Name;
use crate::model::path::Path as DataPath;
use crate::model::rng;
use crate::model::safe::Safe;
use crate::model::state::RunState;
use crate::model::workflow::{FileStamp, Workflow};
use crate::report::result::{self, EXIT_PARKED};
use crate::report::ways::Ways;
use crate::runtime::chance;
use crate::runtime::handle::{Errand, Handle, Origin, RunOrder};
use clap::ArgMatches;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// The most events under way at once. Their handlers are not counted: all of an event run side by side.
const EVENTS_MAX: usize = 8;

/// Watches.
pub(crate) fn watch(args: &WatchArgs, matches: &ArgMatches) -> Done {
    refused::engine(&args.engine, matches)?;
    let paths = || args.files.iter().chain([&args.events]).map(|path| &**path);
    one_stdin(paths(), &args.model)?;
    let beside = [&args.model.agents, &args.model.data].into_iter().flatten();
    if args.files.len() > 1 && beside.into_iter().any(|path| path.as_os_str() == STDIN) {
        return refuse("what several workflows are read with has to be a file, not standard input");
    }
    let read: Vec<Result<Handler, Stop>> = args.files.iter().map(|file| Handler::read(file, &args.model)).collect();
    let mut handlers = read.into_iter().collect::<Result<Vec<_>, _>>()?;
    same_agents(&handlers)?;
    let kept = store::for_new(&args.engine, matches)?;
    for handler in &mut handlers {
        suit(&mut handler.workflow, &args.engine.pace, kept.as_ref())?;
    }
    let mut source = Source::open(&args.events)?;
    let seed = seed(&args.engine.pace);
    let ways = kept.as_ref().map(|kept| kept.ways.clone());
    let path = DataPath::parse("event").or_else(|why| refuse(&why))?;
    let events = Events { handlers, seed, ways, path, asked: BTreeMap::new(), parked: 0 };
    say(&told(&events, kept.as_ref()));
    let engine = session(&args.engine.pace, kept, store::sync(&args.engine.sync))?;
    engine.during(async |handle| flow(handle, events, &mut source).await)
}

fn told(events: &Events, kept: Option<&Kept>) -> String {
    let saved = if kept.is_some() { "each run is saved" } else { "nothing is saved" };
    let mut types: Vec<&str> =
        events.handlers.iter().flat_map(|handler| &handler.workflow.on).map(|on| &**on).collect();
    types.sort_unstable();
    types.dedup();
    let types: Vec<String> = types.into_iter().map(|on| Safe::line(on).into_string()).collect();
    format!("upbeat: watching for {}; seed {}; {saved}", types.join(", "), events.seed)
}

async fn flow(handle: &Handle, events: Events, source: &mut Source) -> Done {
    let mut signals = Signals::new()?;
    let way = Way { in_flight_max: EVENTS_MAX, ordered: true, is_saved: events.ways.is_some() };
    let mut through = Through::new(handle, events, way);
    let end = through.run(source, &mut signals).await;
    conclude(through, end, &mut signals).await
}

async fn conclude(through: Through<'_, Events>, end: End, signals: &mut Signals) -> Done {
    let (events, tally, printed) = through.finish(None, signals).await;
    let Tally { lines, runs, errors, .. } = tally;
    let times = if runs > 0 { format!("; {}", tally.times()) } else { String::new() };
    say(&format!("upbeat: {lines} events, {runs} handlers run, {errors} failures{times}"));
    if matches!(end, End::Unread) {
        return Ok(EXIT_CLOSED);
    }
    printed?;
    Ok(match end {
        End::Source | End::Unread => 0,
        // What is left can go on, as with any run that is interrupted.
        End::Signal(_) if events.parked > 0 => EXIT_PARKED,
        End::Signal(cause) => exit_of(cause),
        End::Broken(why) => {
            say(&format!("upbeat: the events cannot be read any further: {}", Safe::line(&why)));
            EXIT_FAULT
        }
        End::Trouble(why) => {
            say(&format!("upbeat: runs cannot be recorded any more and are left: {}", Safe::line(&why)));
            EXIT_PARKED
        }
    })
}

/// A workflow that handles events.
struct Handler {
    workflow: Workflow,
    files: Vec<FileStamp>,
    recipe: Recipe,
}

impl Handler {
    fn read(file: &Path, model: &ModelOptions) -> Result<Self, Stop> {
        let (loaded, recipe) = load::with_recipe(file, model, Needs::Agents)?;
        let files = loaded.files();
        let workflow = loaded.accept(RunOutput::Text)?;
        if workflow.on.is_empty() {
            let file = file.to_string_lossy();
            return refuse(&format!(
                "{} handles no events: it needs an `on`, such as `on: [order_placed]`",
                Safe::line(&file)
            ));
        }
        Ok(Self { workflow, files, recipe })
    }

    /// The run for an event.
    fn errand(&self, path: &DataPath, event: &Value, seed: u64, is_saved: bool) -> Errand {
        let mut workflow = self.workflow.clone();
        path.set(&mut workflow.data, event.clone());
        let origin = is_saved.then(|| {
            // Read again with its event, it is the same run again.
            let mut recipe = self.recipe.clone();
            recipe.set.push((path.clone(), event.clone()));
            Origin { files: self.files.clone(), recipe: serde_json::to_value(recipe).unwrap_or_default() }
        });
        let (workflow, name) = (Arc::new(workflow), chance::run_id());
        Errand { order: RunOrder { workflow, name, seed, origin, reuse: None }, item: None }
    }
}

/// All handlers share one registry of agents, so that a name has to mean one agent.
fn same_agents(handlers: &[Handler]) -> Result<(), Stop> {
    let mut known: BTreeMap<&str, (&Agent, &Name)> = BTreeMap::new();
    for Handler { workflow, .. } in handlers {
        for agent in &workflow.agents {
            match known.get(&*agent.id) {
                Some((other, of)) if **other != *agent => {
                    let (id, of, own) = (Safe::line(&agent.id), Safe::line(of), Safe::line(&workflow.id));
                    say(&format!("upbeat: the agent {id} of {own} is another one than that of {of}"));
                    say("upbeat: handlers share their agents: give one of them another id, or define both alike");
                    return Err(Stop(EXIT_USAGE));
                }
                Some(_) => {}
                None => drop(known.insert(&agent.id, (agent, &workflow.id))),
            }
        }
    }
    Ok(())
}

/// What is done with events.
struct Events {
    handlers: Vec<Handler>,
    seed: u64,
    /// How commands name runs, if they are saved.
    ways: Option<Ways>,
    /// Where the event stands in the data.
    path: DataPath,
    /// The type of each event under way, and its handlers by number.
    asked: BTreeMap<u64, (String, Vec<usize>)>,
    /// Runs that were left to go on another time.
    parked: u64,
}

impl Desk for Events {
    const LINES: &'static str = "events";

    fn take(&mut self, n: u64, line: Line, tally: &mut Tally) -> Asked {
        let typed = line.and_then(|event| match event.get("type").and_then(Value::as_str) {
            Some(word) => Ok((word.to_owned(), event)),
            None => Err("an event is an object with a text as its `type`".to_owned()),
        });
        let (word, event) = match typed {
            Ok(typed) => typed,
            Err(why) => {
                tally.errors += 1;
                tally.notes.push(format!("upbeat: line {}: {}", n + 1, Safe::line(&why)));
                return Asked::Answer(json!({"event_type": null, "status": "error", "message": why}));
            }
        };
        let hears = |handler: &Handler| handler.workflow.on.iter().any(|on| **on == *word);
        let numbered = self.handlers.iter().enumerate().filter(|(_, handler)| hears(handler));
        let numbers: Vec<usize> = numbered.map(|(at, _)| at).collect();
        if numbers.is_empty() {
            return Asked::Answer(json!({"event_type": word, "status": "no_handlers"}));
        }
        let errand = |at: &usize| {
            let seed = rng::draw(self.seed, &[n, *at as u64]);
            self.handlers[*at].errand(&self.path, &event, seed, self.ways.is_some())
        };
        let errands = numbers.iter().map(errand).collect();
        self.asked.insert(n, (word, numbers));
        Asked::Runs(errands)
    }

    fn answer(&mut self, n: u64, outcomes: Vec<Outcome>, tally: &mut Tally) -> Value {
        let (word, numbers) = self.asked.remove(&n).unwrap_or_default();
        let mut results = Vec::with_capacity(outcomes.len());
        for (at, outcome) in numbers.into_iter().zip(outcomes) {
            results.push(match outcome {
                Ok(told) => {
                    let summary = &told.summary;
                    if !summary.state.ended() {
                        self.parked += 1;
                    } else if !matches!(summary.state, RunState::Succeeded | RunState::Partial) {
                        tally.errors += 1;
                    }
                    if let Some(ways) = self.ways.as_ref().filter(|_| !summary.state.ended()) {
                        tally
                            .notes
                            .push(format!("upbeat: resume with: {}", ways.resume(&summary.run_name, summary.seq)));
                    }
                    result::document(summary)
                }
                Err(rejection) => {
                    tally.errors += 1;
                    let message = rejection.to_string();
                    tally.notes.push(format!("upbeat: {}", Safe::line(&message)));
                    json!({"status": "error", "workflow": &*self.handlers[at].workflow.id, "message": message})
                }
            });
        }
        json!({"event_type": word, "handlers_executed": results.len(), "results": results})
    }

    fn stuck(&mut self, run: &Name, tally: &mut Tally) {
        tally.notes.push(format!("upbeat: run {} cannot go on by itself; it waits for a person", Safe::line(run)));
    }
}
