//! `upbeat resume`, `retry` and `rerun`: a saved run goes on, parts of it are tried again, or it is begun anew. Each says
//! first what will be done again, by trying it out on an engine without hands.

use super::Next;
use super::args::{GoOnOptions, Output, RerunArgs, ResumeArgs, RetryArgs};
use super::begin::{Begin, GoOn, Start};
use super::load;
use super::out::{Stop, refuse, say};
use super::saved::{self, Folded};
use super::session::{self, Session};
use super::store::{self, Kept};
use super::{checkpoint, control, unreal};
use crate::engine::{Input, Outbox};
use crate::model::command::Command;
use crate::model::id::{Name, StepId};
use crate::model::safe::Safe;
use crate::model::state::{RunState, StepState};
use crate::model::view::Shape;
use crate::model::workflow::{FileStamp, Workflow};
use crate::report::ahead::ahead;
use crate::report::difference::differences;
use crate::report::plain::list;
use crate::runtime::chance;
use crate::runtime::clock::ClockKind;
use crate::runtime::handle::{Origin, RestoreOrder, RunOrder};
use crate::runtime::store::disk::file_hash;
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;

/// A changed definition that a run goes on under, and its files.
type Definition = (Arc<Workflow>, Vec<FileStamp>);

/// `upbeat resume RUN[@SEQ]`.
pub(crate) fn resume(args: &ResumeArgs) -> Result<Next, Stop> {
    if let Some(step) = &args.step {
        return refuse(&format!(
            "a run is resumed as a whole; `upbeat retry RUN --step {}` tries a step again",
            Safe::line(step)
        ));
    }
    let (word, seq) = word_and_seq(&args.run)?;
    let kept = store::existing(&args.place)?;
    let name = saved::find(&kept, word)?;
    if let Some(code) = control::resume(&kept, &name, seq, args)? {
        return Ok(Next::Exit(code));
    }
    let folded = idle(&kept, &name)?;
    if let Some(seq) = seq.filter(|seq| *seq != folded.last_seq) {
        let found = folded.last_seq;
        let show = kept.ways.command("show", &name);
        let way_out = kept.ways.resume(&name, found);
        return refuse(&format!(
            "run {name} has moved on: its last event is {found}, not {seq}; look at it (`{show}`), then `{way_out}`"
        ));
    }
    let state = folded.run_view().state;
    if state.ended() && state != RunState::Stopped {
        let way_out = kept.ways.after(&name, state);
        return refuse(&format!("run {name} has ended, it is {}; {way_out}", state.word()));
    }
    let definition = definition(&kept, &folded, args.accept_changes)?;
    go_on(kept, folded, GoOn::Resume, definition, &args.options)
}

/// `upbeat retry RUN`.
pub(crate) fn retry(args: &RetryArgs) -> Result<Next, Stop> {
    let kept = store::existing(&args.saved.place)?;
    let folded = idle(&kept, &args.saved.run)?;
    mention_changes(&folded);
    let how = match &args.step {
        Some(step) => GoOn::RetryStep(saved::step(&folded.workflow(), step)?),
        None => GoOn::RetryFailed,
    };
    go_on(kept, folded, how, None, &args.options)
}

/// `upbeat rerun RUN`.
pub(crate) fn rerun(args: &RerunArgs) -> Result<Next, Stop> {
    let kept = store::existing(&args.saved.place)?;
    let name = saved::find(&kept, &args.saved.run)?;
    let folded = saved::fold(&kept, &name)?;
    mention_changes(&folded);
    let mut workflow = folded.declared();
    let mut outputs = match &args.from {
        // A step of that name wins.
        Some(from) => match checkpoint::number(from).filter(|_| workflow.find(from).is_none()) {
            Some(number) => checkpoint::outputs(&kept, &folded, number)?,
            None => taken_over(&folded, saved::step(&workflow, from)?),
        },
        None => Vec::new(),
    };
    // What joined the graph of that run joins this one when who brought it is done again.
    outputs.retain(|(step, _)| step.index() < workflow.steps.len() && workflow.step(*step).expand.is_none());
    let output = session::output(args.options.output, args.options.headless);
    let clock = clock(&folded);
    if clock == ClockKind::Real {
        session::measured(&mut workflow, &kept);
    }
    let new = chance::run_id();
    let reused: Vec<String> = outputs.iter().map(|(step, _)| workflow.step(*step).id.to_string()).collect();
    let taken =
        if reused.is_empty() { "nothing is taken over".to_owned() } else { format!("taken over: {}", list(&reused)) };
    let left = workflow.steps.len() - reused.len();
    say(&format!("upbeat: run {new} is a rerun of {name}; {taken}; {left} of {} to do", workflow.steps.len()));
    let files = folded.files.clone().unwrap_or_else(|| folded.header.files.clone());
    let origin = Some(Origin { files, recipe: folded.header.recipe.clone() });
    let (seed, reuse) = (folded.header.seed, Some((name, outputs)));
    let order = RunOrder { workflow: Arc::new(workflow), name: new, seed, origin, reuse };
    let speed = args.options.speed.unwrap_or(folded.header.speed);
    let session = Session::start(clock, speed, Some(kept), store::sync(&args.options.sync))?;
    session.begin(Begin::New(Box::new(order), Start::Now), output)
}

/// Says that a file is not any more what the run was made from: what is done again is what was saved of it.
fn mention_changes(folded: &Folded) {
    for stamp in folded.files.iter().flatten() {
        let is_other = std::fs::read(&stamp.path).is_ok_and(|bytes| file_hash(&bytes) != stamp.hash);
        if is_other {
            let path = Safe::line(&stamp.path);
            say(&format!("upbeat: {path} has changed since; what was saved of it is done, a new run takes the change"));
        }
    }
}

/// `RUN` or `RUN@SEQ`.
fn word_and_seq(text: &str) -> Result<(&str, Option<u64>), Stop> {
    let Some((word, seq)) = text.split_once('@') else { return Ok((text, None)) };
    match seq.parse() {
        Ok(seq) => Ok((word, Some(seq))),
        Err(_) => refuse(&format!(
            "{} is not the number of an event; write RUN@SEQ as upbeat printed it, or RUN alone",
            Safe::line(seq)
        )),
    }
}

/// A run that nobody carries on.
fn idle(kept: &Kept, word: &str) -> Result<Folded, Stop> {
    let name = saved::find(kept, word)?;
    let folded = saved::fold(kept, &name)?;
    if !folded.live {
        return Ok(folded);
    }
    let (by, signal) = match folded.pid {
        Some(pid) => (format!(" in process {pid}"), format!("kill -INT {pid}")),
        None => (String::new(), "INT to its process".to_owned()),
    };
    refuse(&format!(
        "run {name} is under way{by}; leave it there with `q` in its panel or `{signal}`, then resume it here"
    ))
}

fn clock(folded: &Folded) -> ClockKind {
    if folded.header.clock == "virtual" { ClockKind::Virtual } else { ClockKind::Real }
}

/// The definition to go on under, if the run's files have changed and that is accepted.
fn definition(kept: &Kept, folded: &Folded, accepted: bool) -> Result<Option<Definition>, Stop> {
    let Some(recipe) = folded.recipe() else { return Ok(None) };
    let Some(files) = recipe.files() else { return Ok(None) };
    if let Some(gone) = files.iter().find(|path| !Path::new(path).exists()) {
        say(&format!("upbeat: {} is gone; the run goes on with what was saved of it", Safe::line(gone)));
        return Ok(None);
    }
    let loaded = load::again(&recipe);
    let known = |stamp: &FileStamp| folded.files.as_ref().is_some_and(|stamps| stamps.contains(stamp));
    let other: Vec<String> = loaded.files().into_iter().filter(|stamp| !known(stamp)).map(|stamp| stamp.path).collect();
    if !other.is_empty() {
        return changed(kept, folded, &list(&other), loaded, accepted);
    }
    if loaded.is_refused() {
        // As when a file may not be read any more.
        loaded.say();
        say("upbeat: the run goes on with what was saved of its workflow");
    }
    Ok(None)
}

/// Files whose bytes are not what they were: what does that mean for the run?
fn changed(
    kept: &Kept,
    folded: &Folded,
    shown: &str,
    loaded: load::Loaded,
    accepted: bool,
) -> Result<Option<Definition>, Stop> {
    let files = loaded.files();
    let name = folded.name();
    if loaded.is_refused() {
        loaded.say();
        return refuse(&format!(
            "{shown} changed since run {name} was begun and cannot be used as it is; correct it, or put back what it was"
        ));
    }
    let mut workflow = loaded.accept(Output::Text)?;
    let old = folded.declared();
    workflow.start_folder.clone_from(&old.start_folder);
    let differences = differences(&old, &workflow);
    if differences.is_empty() {
        if folded.files.is_some() {
            say(&format!("upbeat: {shown} changed, but nothing in it that the run would notice"));
        }
        return Ok(None);
    }
    say(&format!("upbeat: {shown} changed since run {name} was begun:"));
    differences.iter().for_each(|line| say(&format!("  {line}")));
    if !accepted {
        let command = kept.ways.command("resume", name);
        return refuse(&format!(
            "to go on under the changed file: `{command} --accept-changes`; to go on as before, put the file back"
        ));
    }
    match clock(folded) {
        ClockKind::Real => session::measured(&mut workflow, kept),
        ClockKind::Virtual => unreal::admit(&workflow)?,
    }
    Ok(Some((Arc::new(workflow), files)))
}

/// Says what will happen, and has it happen.
fn go_on(
    kept: Kept,
    mut folded: Folded,
    how: GoOn,
    definition: Option<Definition>,
    options: &GoOnOptions,
) -> Result<Next, Stop> {
    let output = session::output(options.output, options.headless);
    let ask = output.is_none();
    let (name, seq) = (folded.name().clone(), folded.last_seq);
    say(&format!("upbeat: run {name} of {}, {} at event {seq}", Safe::line(&folded.workflow().id), folded.word()));
    for line in preview(&mut folded, how, definition.as_ref(), ask)? {
        say(&format!("upbeat: {line}"));
    }
    let order = RestoreOrder { name, seq: Some(seq), definition, ask };
    let speed = options.speed.unwrap_or(folded.header.speed);
    let session = Session::start(clock(&folded), speed, Some(kept), store::sync(&options.sync))?;
    session.begin(Begin::Saved(order, how), output)
}

/// What would become of the run: everything is decided as it will be, and nothing of it is done.
fn preview(folded: &mut Folded, how: GoOn, definition: Option<&Definition>, ask: bool) -> Result<Vec<String>, Stop> {
    let left = folded.run_view();
    let agents = folded.view().agents;
    let now = folded.now;
    let (engine, run) = folded.engine();
    let mut outbox = Outbox::default();
    let reopened = match definition {
        Some(definition) => engine.reopen_as(now, run, ask, definition.clone(), &mut outbox),
        None => {
            engine.reopen(now, run, ask, &mut outbox);
            Ok(())
        }
    };
    let command = match how {
        GoOn::Resume => None,
        GoOn::RetryFailed => Some(Command::RetryFailed { run }),
        GoOn::RetryStep(step) => Some(Command::RetryStep { run, step }),
    };
    let input = command.map(Input::Command);
    let verdict = reopened.and_then(|()| input.map_or(Ok(()), |input| engine.handle(now, &input, &mut outbox)));
    // What follows by itself when it goes on is told as well: a rollback, an end.
    let stands = engine.summary(now, run).is_some_and(|summary| match summary.state {
        RunState::Paused => true,
        RunState::Stopped => how == GoOn::Resume,
        _ => false,
    });
    let verdict = verdict.and_then(|()| {
        let resume = Input::Command(Command::Resume { run });
        if stands { engine.handle(now, &resume, &mut outbox) } else { Ok(()) }
    });
    if let Err(rejection) = verdict {
        let name = folded.name();
        return refuse(&format!("run {name} cannot go on so: {}", Safe::line(&rejection.to_string())));
    }
    Ok(ahead(&left, &folded.run_view(), &agents))
}

/// The outputs of what succeeded, but for a step and everything that depends on it.
fn taken_over(folded: &Folded, from: StepId) -> Vec<(StepId, Arc<Value>)> {
    let run = folded.run_view();
    let again = downstream(&run.shape, from);
    let outputs = folded.summary().outputs;
    let taken = outputs.into_iter().filter_map(|(name, output): (Name, Arc<Value>)| {
        let step = run.workflow.find(&name)?;
        let succeeded = run.steps[step.index()].state == StepState::Succeeded;
        (succeeded && !again[step.index()]).then_some((step, output))
    });
    taken.collect()
}

/// A step and everything that depends on it.
fn downstream(shape: &Shape, from: StepId) -> Vec<bool> {
    let mut found = vec![false; shape.dependents.len()];
    let mut waiting = vec![from];
    while let Some(step) = waiting.pop() {
        if !std::mem::replace(&mut found[step.index()], true) {
            waiting.extend(&shape.dependents[step.index()]);
        }
    }
    found
}
