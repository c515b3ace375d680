//! `upbeat logs RUN`: what happened and what agents printed, in one order.

use super::args::{LogsArgs, Output};
use super::journal::{self, Events, Lines};
use super::out::{self, Done, EXIT_USAGE, Stop, refuse, say};
use super::saved;
use super::store::{self, told};
use crate::model::event::Event;
use crate::model::id::StepId;
use crate::model::safe::Safe;
use crate::model::time::Micros;
use crate::report::events::Names;
use crate::report::{json, plain};
use crate::runtime::logs::Stream;
use crate::runtime::store::disk::Printed;
use regex::{Regex, RegexBuilder};
use serde_json::{Value, json};

/// What a compiled expression may take, in bytes.
const EXPRESSION_MAX: usize = 4 << 20;

/// The word for upbeat's own remarks among what was printed.
const NOTE: &str = "note";

/// Prints them.
pub(crate) fn logs(args: &LogsArgs) -> Done {
    let kept = store::existing(&args.saved.place)?;
    let run = saved::find(&kept, &args.saved.run)?;
    let header = kept.store.header(&run).map_err(|error| told(&error))?;
    if let Some(step) = args.step.as_deref().filter(|step| header.workflow.find(step).is_none()) {
        // It may have come with another definition.
        saved::step(&saved::fold(&kept, &run)?.workflow(), step)?;
    }
    let grep = args.grep.as_deref().map(expression).transpose()?;
    let mut printer = Printing {
        names: journal::names(run.clone(), header.workflow),
        step: args.step.clone(),
        grep,
        output: args.output,
    };
    let (mut events, mut lines) = (Events::new(&kept, run.clone()), Lines::new(&kept, run.clone()));
    let (mut event, mut line) = (events.next()?, lines.next()?);
    loop {
        match (event.take(), line.take()) {
            (Some(next), behind) if behind.as_ref().is_none_or(|line| next.at <= line.at) => {
                printer.event(&next)?;
                (event, line) = (events.next()?, behind);
            }
            (waiting, Some(next)) => {
                printer.line(&next)?;
                (event, line) = (waiting, lines.next()?);
            }
            (Some(next), None) => {
                printer.event(&next)?;
                event = events.next()?;
            }
            (None, None) => break,
        }
    }
    if let Some(damage) = &events.damage {
        say(&format!("upbeat: {}", Safe::line(&damage.to_string())));
        say(&format!("upbeat: the journal of run {run} is whole up to event {}", events.whole_up_to()));
        return Ok(EXIT_USAGE);
    }
    Ok(0)
}

/// Compiles an expression. Fitting it takes time in proportion to the text, whatever the expression.
fn expression(text: &str) -> Result<Regex, Stop> {
    RegexBuilder::new(text).size_limit(EXPRESSION_MAX).build().or_else(|error| {
        let what = error.to_string();
        let last = what.lines().last().unwrap_or_default().trim_start_matches("error: ");
        refuse(&format!("--grep {}: {}", Safe::line(text), Safe::line(last)))
    })
}

/// Something that can be printed, and what an expression is fitted to.
struct Entry<'e> {
    at: Micros,
    step: Option<StepId>,
    stream: &'static str,
    text: &'e str,
}

struct Printing {
    names: Names,
    /// Only this step. Its number may change with the definition, its name does not.
    step: Option<String>,
    grep: Option<Regex>,
    output: Output,
}

impl Printing {
    fn event(&mut self, event: &Event) -> Result<(), Stop> {
        journal::follow(&mut self.names, event);
        let step = event.kind.step();
        if !plain::is_news(&event.kind) {
            return Ok(());
        }
        let text = plain::event_line(event, &self.names);
        let own = json!({
            "seq": event.seq,
            "event": event.kind.name(),
            "attempt": event.kind.attempt(),
            "agent": event.kind.agent().map(|agent| self.names.agent(agent)),
        });
        self.print(&Entry { at: event.at, step, stream: "event", text: &text }, &own)
    }

    fn line(&self, line: &Printed) -> Result<(), Stop> {
        let stream = match line.stream {
            Stream::Stdout => "stdout",
            Stream::Stderr => "stderr",
            Stream::Note => NOTE,
        };
        let agent = line.agent.map(|agent| self.names.agent(agent));
        let own = json!({"attempt": line.attempt, "agent": agent});
        self.print(&Entry { at: line.at, step: line.step, stream, text: &line.text }, &own)
    }

    fn print(&self, entry: &Entry<'_>, own: &Value) -> Result<(), Stop> {
        let step = entry.step.map(|step| self.names.step(step));
        // A remark about missing lines belongs to no step and is of interest to all.
        let is_remark = entry.stream == NOTE && step.is_none();
        let is_left_out = self.step.is_some() && step != self.step.as_deref() && !is_remark;
        if is_left_out || self.grep.as_ref().is_some_and(|grep| !grep.is_match(entry.text)) {
            return Ok(());
        }
        let since = entry.at.saturating_sub(self.names.started.unwrap_or(entry.at));
        match self.output {
            Output::Text => {
                let at = plain::duration(since);
                let whose = step.map_or(String::new(), |step| format!("{} ", Safe::line(step)));
                let text = Safe::line(entry.text);
                out::result(&match entry.stream {
                    "event" => format!("{at:>9}  {text}\n"),
                    stream => format!("{at:>9}  {whose}{stream}: {text}\n"),
                })
            }
            Output::Json => {
                let mut line = json!({"at_ms": since.as_secs_f64() * 1e3, "step": step, "stream": entry.stream});
                if let (Some(line), Some(own)) = (line.as_object_mut(), own.as_object()) {
                    line.extend(own.iter().filter(|(_, value)| !value.is_null()).map(|(k, v)| (k.clone(), v.clone())));
                    line.insert("text".to_owned(), json!(entry.text));
                }
                out::result(&(json::line(&line) + "\n"))
            }
        }
    }
}
