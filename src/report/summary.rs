//! The summary after a run, for people: what came out, how it compares, what was recovered, what to do about the rest.
//!
//! Plain lines without colour, safe to print: it stays in the terminal's scrollback after the panel has gone, and it is
//! what `--output text` prints.

use super::plain::{cause_words, duration, failed, list, message};
use super::result::{recovery_status, remediation, speedup, status};
use super::ways::{Ways, saving_words};
use crate::model::id::Name;
use crate::model::safe::Safe;
use crate::model::state::{EndCause, RunState, StepState};
use crate::model::time::Micros;
use crate::model::view::{Figures, RunSummary, StepError};
use serde_json::Value;

/// More failures than this are only counted.
const ERRORS_SHOWN: usize = 20;
/// Columns of the labels.
const LABEL: usize = 11;

/// The summary, each line ended by a line break. `ways`: how the run is named to the command line.
#[must_use]
pub fn text(summary: &RunSummary, ways: &Ways) -> String {
    let mut out = String::new();
    let workflow = Safe::line(&summary.workflow.id);
    out += &format!("{workflow}  {}\n\n", headline(summary));
    let mut row = |label: &str, text: String| {
        out += format!("  {label:LABEL$}{text}\n").trim_end_matches(' ');
    };
    row("steps", steps(summary));
    row("time", time(summary));
    row("order", format!("{}, {}", summary.mode.word(), Safe::line(&summary.mode_reason)));
    if let Some(work) = work(summary) {
        row("work", work);
    }
    if let Some(recovery) = recovery(summary) {
        row("recovery", recovery);
    }
    if let Some(pace) = pace(&summary.figures) {
        row("pace", pace);
    }
    if !summary.undone.is_empty() {
        row("undone", names(&summary.undone));
    }
    if !summary.asks.is_empty() {
        row("waits for", format!("a person: {}", names(&summary.asks)));
    }
    if let Some(data) = data(&summary.data) {
        row("data", data);
    }
    let saved = saving_words(summary.saving);
    row("run", format!("{}, seed {}; {saved}", Safe::line(&summary.run_name), summary.seed));
    if let Some(command) = ways.onward(summary) {
        row(if summary.state.ended() { "try again" } else { "go on" }, command);
    }
    out += &failures(summary);
    out
}

fn headline(summary: &RunSummary) -> String {
    let after =
        if summary.elapsed == Micros::ZERO { String::new() } else { format!(" after {}", duration(summary.elapsed)) };
    let word = match status(summary) {
        "partial" => "succeeded in part",
        "deadline" => "failed: its deadline passed,",
        "rejected" => "failed: a person said no,",
        "compensated" => "rolled back",
        "compensation_failed" => "rolled back in part: not everything could be undone,",
        "parked" if summary.state == RunState::Pending => "is loaded, not started,",
        "parked" => "is parked, not finished,",
        other => other,
    };
    let why = match summary.cause {
        // The word says it.
        Some(EndCause::Deadline | EndCause::Reject | EndCause::Rollback) | None => String::new(),
        Some(cause) => format!(" ({})", cause_words(cause)),
    };
    format!("{}{after}{why}", word.strip_suffix(',').filter(|_| after.is_empty()).unwrap_or(word))
}

/// How many steps there are of each kind.
pub(crate) fn steps(summary: &RunSummary) -> String {
    let counts = &summary.counts;
    let mut text = format!("{} of {} succeeded", counts.of(StepState::Succeeded), counts.total());
    for state in StepState::ALL {
        if state != StepState::Succeeded && counts.of(state) > 0 {
            text += &format!(", {} {}", counts.of(state), state.word());
        }
    }
    text
}

/// Measured against doing everything one after the other, and against what these agents could do at best.
fn time(summary: &RunSummary) -> String {
    if summary.elapsed == Micros::ZERO {
        return "none".to_owned();
    }
    let (elapsed, bound) = (duration(summary.elapsed), duration(summary.lower_bound));
    let times = speedup(summary);
    let against = if times >= 1.05 {
        format!("{elapsed} instead of {} one after the other: {times:.1} times as fast", duration(summary.busy))
    } else {
        format!("{elapsed} for {} of work", duration(summary.busy))
    };
    let slack = summary.elapsed.saturating_sub(summary.lower_bound);
    if slack.0 * 100 <= summary.elapsed.0 {
        format!("{against}; these agents could not have been faster")
    } else {
        format!("{against}; at best {bound} on these agents")
    }
}

fn work(summary: &RunSummary) -> Option<String> {
    let count = |n: u32, one: &str, many: &str| format!("{n} {}", if n == 1 { one } else { many });
    (summary.attempts > 0).then(|| {
        let mut text = format!(
            "{} on {}, at most {} at once",
            count(summary.attempts, "attempt", "attempts"),
            count(summary.agents_used, "agent", "agents"),
            summary.max_parallel
        );
        if summary.retries > 0 {
            text += &format!("; {}", count(summary.retries, "retry", "retries"));
        }
        if summary.fallbacks > 0 {
            text += &format!("; {}", count(summary.fallbacks, "fallback", "fallbacks"));
        }
        text
    })
}

fn recovery(summary: &RunSummary) -> Option<String> {
    let injected = match summary.faults {
        0 => String::new(),
        1 => "; 1 injected fault struck".to_owned(),
        n => format!("; {n} injected faults struck"),
    };
    let mean = summary.mttr.map_or(String::new(), |time| format!(", after {} on average", duration(time)));
    match recovery_status(summary) {
        "none" if summary.faults == 0 => None,
        "none" => Some(format!("nothing to recover{injected}")),
        _ => {
            let steps = if summary.steps_hit == 1 { "step" } else { "steps" };
            Some(format!(
                "{} of {} {steps} with a failed attempt ended well{mean}{injected}",
                summary.steps_recovered, summary.steps_hit
            ))
        }
    }
}

/// The figures that matter, as far as there are any: the rest is in the result document.
fn pace(figures: &Figures) -> Option<String> {
    let mut parts = Vec::new();
    if figures.throughput_per_s > 0.0 {
        let per_minute = figures.throughput_per_s * 60.0;
        parts.push(if figures.throughput_per_s >= 1.0 {
            format!("{:.1} steps a second", figures.throughput_per_s)
        } else {
            format!("{per_minute:.1} steps a minute")
        });
    }
    for (share, what) in [(figures.error_rate, "of attempts failed"), (figures.retry_rate, "of attempts were retries")]
    {
        if share > 0.0 {
            parts.push(format!("{:.0} % {what}", share * 100.0));
        }
    }
    let phases = [(figures.phases.backoff, "between attempts"), (figures.phases.recovery, "recovering")];
    let phases = phases.iter().filter(|(time, _)| *time > Micros::ZERO);
    parts.extend(phases.map(|(time, what)| format!("{} {what}", duration(*time))));
    (!parts.is_empty()).then(|| parts.join(", "))
}

fn names(names: &[Name]) -> String {
    list(&names.iter().map(ToString::to_string).collect::<Vec<_>>())
}

fn data(data: &Value) -> Option<String> {
    const SHOWN: usize = 6;
    let members = data.as_object().filter(|members| !members.is_empty())?;
    let mut names: Vec<String> = members.keys().take(SHOWN).map(|key| Safe::line(key).into_string()).collect();
    if members.len() > SHOWN {
        names.push(format!("{} more", members.len() - SHOWN));
    }
    Some(format!("{} (`--output json` prints it)", names.join(", ")))
}

/// What failed for good and what could not be undone, and the way out of each; empty: nothing did.
#[must_use]
pub fn failures(summary: &RunSummary) -> String {
    let (undo, work): (Vec<&StepError>, Vec<&StepError>) = summary.errors.iter().partition(|error| error.undo);
    section("failed for good", &work) + &section("could not be undone", &undo)
}

fn section(title: &str, errors: &[&StepError]) -> String {
    let mut out = String::new();
    if errors.is_empty() {
        return out;
    }
    out += &format!("\n{title}\n");
    for error in errors.iter().take(ERRORS_SHOWN) {
        let tries = match error.attempts {
            0 => String::new(),
            1 => ", 1 attempt".to_owned(),
            n => format!(", {n} attempts"),
        };
        let agent = error.agent.as_ref().map_or(String::new(), |agent| format!(", last on {}", Safe::line(agent)));
        out += &format!("  {}{tries}{agent}\n", Safe::line(&error.name()));
        out += &format!("    {}\n", failed(&error.failure));
        out += &format!("    → {}\n", message(&remediation(error)));
    }
    if errors.len() > ERRORS_SHOWN {
        out += &format!("  … and {} more (`--output json` lists all)\n", errors.len() - ERRORS_SHOWN);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::completion::FailureClass;
    use crate::model::state::RunStatus;
    use crate::model::view::Saving;
    use crate::report::sample;
    use serde_json::json;

    #[test]
    fn a_good_run_says_what_was_gained() {
        assert_eq!(
            text(&sample::summary(), &Ways::default()),
            "trading  succeeded after 8.0 s\n\
             \n\
             \x20 steps      5 of 5 succeeded\n\
             \x20 time       8.0 s instead of 11.0 s one after the other: 1.4 times as fast; \
             these agents could not have been faster\n\
             \x20 order      parallel, the default\n\
             \x20 work       5 attempts on 5 agents, at most 2 at once\n\
             \x20 data       risk (`--output json` prints it)\n\
             \x20 run        r1, seed 0; nothing of it was saved\n"
        );
    }

    #[test]
    fn a_bad_run_names_each_failure_and_the_way_out() {
        let mut summary = sample::summary();
        summary.counts.remove(StepState::Succeeded);
        summary.counts.add(StepState::Failed);
        summary.errors = vec![sample::error("tech\u{1b}[2Jnical", FailureClass::Timeout, "no answer within 30 s")];
        (summary.state, summary.status) = (RunState::Partial, RunStatus::Partial);
        (summary.steps_hit, summary.steps_recovered, summary.faults) = (2, 1, 1);
        summary.mttr = Some(Micros::from_millis(1_500));
        let text = text(&summary, &Ways::default());
        assert!(text.starts_with("trading  succeeded in part after 8.0 s\n"), "{text}");
        assert!(text.contains("4 of 5 succeeded, 1 failed\n"));
        assert!(text.contains(
            "1 of 2 steps with a failed attempt ended well, after 1.5 s on average; 1 injected fault struck\n"
        ));
        assert!(text.contains(
            "\nfailed for good\n  technical, 3 attempts, last on tech-1\n    timeout: no answer within 30 s\n    → give"
        ));
    }

    #[test]
    fn an_early_end_says_why() {
        let mut summary = sample::summary();
        (summary.state, summary.status, summary.cause) =
            (RunState::Cancelled, RunStatus::Cancelled, Some(EndCause::Quit));
        assert!(text(&summary, &Ways::default()).starts_with("trading  cancelled after 8.0 s (quit)\n"));
        (summary.status, summary.cause) = (RunStatus::Deadline, Some(EndCause::Deadline));
        assert!(text(&summary, &Ways::default()).starts_with("trading  failed: its deadline passed, after 8.0 s\n"));
        (summary.state, summary.cause, summary.elapsed) = (RunState::Paused, None, Micros::ZERO);
        assert!(text(&summary, &Ways::default()).starts_with("trading  is parked, not finished\n"));
    }

    #[test]
    fn a_rollback_says_what_was_undone_and_what_could_not_be() {
        let mut summary = sample::summary();
        (summary.state, summary.status) = (RunState::CompensationFailed, RunStatus::CompensationFailed);
        (summary.cause, summary.undone) = (Some(EndCause::Rollback), vec!["pay".into(), "book".into()]);
        let mut error = sample::error("reserve", FailureClass::Permanent, "no such place");
        error.undo = true;
        summary.errors = vec![sample::error("ship", FailureClass::Permanent, "no"), error];
        let said = text(&summary, &Ways::default());
        assert!(
            said.starts_with("trading  rolled back in part: not everything could be undone, after 8.0 s\n"),
            "{said}"
        );
        assert!(said.contains("\n  undone     pay, book\n"), "{said}");
        let (work, undo) = said.split_once("\ncould not be undone\n  reserve, 3 attempts").unwrap();
        assert!(
            work.contains("\nfailed for good\n  ship") && undo.contains("is still there: undo it by hand"),
            "{said}"
        );
    }

    #[test]
    fn questions_and_the_figures_that_matter_have_a_line_each() {
        let mut summary = sample::summary();
        summary.asks = vec!["review".into()];
        summary.figures.throughput_per_s = 0.25;
        (summary.figures.error_rate, summary.figures.phases.backoff) = (0.125, Micros::from_secs(4));
        let said = text(&summary, &Ways::default());
        assert!(said.contains("\n  waits for  a person: review\n"), "{said}");
        assert!(
            said.contains("\n  pace       15.0 steps a minute, 12 % of attempts failed, 4.0 s between attempts\n"),
            "{said}"
        );
        (summary.state, summary.status) = (RunState::Failed, RunStatus::Rejected);
        summary.cause = Some(EndCause::Reject);
        assert!(text(&summary, &Ways::default()).starts_with("trading  failed: a person said no, after 8.0 s\n"));
    }

    #[test]
    fn a_saved_run_says_how_safe_it_is_and_how_to_go_on() {
        let mut summary = RunSummary { saving: Saving::Normal, ..sample::summary() };
        let said = |summary: &RunSummary| text(summary, &Ways::new(Some("/s".to_owned())));
        let safe = "  run        r1, seed 0; saved: survives a kill, not a loss of power (`--sync full` does)\n";
        assert!(said(&summary).ends_with(safe));
        (summary.state, summary.saving) = (RunState::Paused, Saving::Full);
        assert!(said(&summary).ends_with(
            "seed 0; saved: survives a kill and a loss of power\n  go on      upbeat resume r1@20 --store /s\n"
        ));
        (summary.state, summary.status) = (RunState::Failed, RunStatus::Failed);
        summary.counts.add(StepState::Failed);
        assert!(said(&summary).ends_with("\n  try again  upbeat retry r1 --store /s\n"));
    }

    #[test]
    fn no_summary_grows_with_the_number_of_failures() {
        let mut summary = sample::summary();
        summary.errors = vec![sample::error("a", FailureClass::Crash, "x"); 5_000];
        summary.data = json!({});
        let text = text(&summary, &Ways::default());
        assert!(text.lines().count() < 100 && text.contains("… and 4980 more"));
        assert!(!text.contains("  data"));
    }
}
