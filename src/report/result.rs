//! The result of a run: the document for machines and the exit code.

use crate::model::completion::FailureClass;
use crate::model::id::Name;
use crate::model::quality::Scores;
use crate::model::route::Decision;
use crate::model::state::{EndCause, RunState, RunStatus, StepState};
use crate::model::time::Micros;
use crate::model::view::{Counts, Figures, Phases, RunSummary, Saving, StepError};
use indexmap::IndexMap;
use serde_json::{Map, Value, json};

/// The word for a run that stands still and could go on.
const PARKED: &str = "parked";
/// The exit code of a parked run.
pub const EXIT_PARKED: u8 = 75;

/// How the run ended, in the word of the result document.
#[must_use]
pub const fn status(summary: &RunSummary) -> &'static str {
    if is_parked(summary) { PARKED } else { summary.status.word() }
}

/// Whether it stands still and could go on. A stopped run could, if it was saved.
const fn is_parked(summary: &RunSummary) -> bool {
    let stopped = matches!((summary.state, summary.saving), (RunState::Stopped, Saving::Normal | Saving::Full));
    stopped || !summary.state.ended()
}

/// The exit code of a run.
#[must_use]
pub const fn exit_code(summary: &RunSummary) -> u8 {
    if is_parked(summary) {
        return EXIT_PARKED;
    }
    match (summary.status, summary.cause) {
        (RunStatus::Succeeded, _) => 0,
        (RunStatus::Failed, _) => 1,
        (RunStatus::Partial, _) => 3,
        (RunStatus::Rejected, _) => 4,
        (RunStatus::Deadline, _) => 5,
        (RunStatus::Compensated, _) => 6,
        (RunStatus::CompensationFailed, _) => 7,
        (RunStatus::Cancelled, Some(EndCause::Quit | EndCause::Stop)) => 130,
        (RunStatus::Cancelled, Some(EndCause::Terminate)) => 143,
        (RunStatus::Cancelled, Some(EndCause::HangUp)) => 129,
        (RunStatus::Cancelled, _) => 8,
    }
}

/// The result document.
#[must_use]
pub fn document(summary: &RunSummary) -> Value {
    let outputs: Map<String, Value> =
        summary.outputs.iter().map(|(step, output)| (step.to_string(), (**output).clone())).collect();
    let mut document = json!({
        "status": status(summary),
        "run_id": &*summary.run_name,
        "workflow": &*summary.workflow.id,
        "seed": summary.seed,
        "data": summary.data,
        "outputs": outputs,
        "metadata": metadata(summary),
        "errors": summary.errors.iter().map(error).collect::<Vec<_>>(),
        "recovery": recovery(summary),
    });
    if let (Some(result), Value::Object(members)) = (&summary.result, &mut document) {
        let place = members.keys().position(|key| key == "metadata").unwrap_or(members.len());
        members.shift_insert(place, "result".to_owned(), (**result).clone());
    }
    document
}

/// The same of a run that a process carries on: its status is its state, since it is not parked.
#[must_use]
pub fn live_document(summary: &RunSummary) -> Value {
    let mut document = document(summary);
    if !summary.state.ended() {
        document["status"] = Value::from(summary.state.word());
    }
    document
}

fn metadata(summary: &RunSummary) -> Value {
    json!({
        "elapsed_s": summary.elapsed.as_secs_f64(),
        "busy_s": summary.busy.as_secs_f64(),
        "speedup": speedup(summary),
        "critical_path_s": summary.critical_path.as_secs_f64(),
        "lower_bound_s": summary.lower_bound.as_secs_f64(),
        "efficiency": ratio(summary.lower_bound, summary.elapsed),
        "max_parallel": summary.max_parallel,
        "agents_used": summary.agents_used,
        "attempts": summary.attempts,
        "retries": summary.retries,
        "fallbacks": summary.fallbacks,
        "success_rate": summary.success_rate,
        "throughput_per_s": throughput(summary),
        "steps": steps(&summary.counts),
        "strategy": summary.mode.word(),
        "strategy_reason": summary.mode_reason,
        "routes": summary.routes.iter().map(route).collect::<Vec<_>>(),
        "pool": {"made": summary.pool.0, "reused": summary.pool.1},
        "quality": quality(summary),
        "resources": summary.usage.map(|usage| usage_json(&usage)),
        "error_rate": summary.figures.error_rate,
        "retry_rate": summary.figures.retry_rate,
        "phases": phases(&summary.figures.phases),
        "durations": durations(&summary.figures),
        "bottleneck": summary.figures.bottleneck.as_ref().map(|(what, steps)| json!({"for": &**what, "steps": steps})),
        "agents": agents(summary),
        "undone": names(&summary.undone),
        "asks": names(&summary.asks),
    })
}

/// Where a routing step went, and why.
fn route((step, made): &(Name, Decision)) -> Value {
    json!({"step": &**step, "path": names(&made.path), "reason": made.reason, "cached": made.cached})
}

/// How good the outputs are that were looked at: the mean of each score, and every step's own.
fn quality(summary: &RunSummary) -> Value {
    let mut means: IndexMap<&str, (f64, u32)> = IndexMap::new();
    let mut steps = Map::new();
    for step in &summary.steps {
        let Some(scores) = &step.scores else { continue };
        steps.insert(step.step.to_string(), scores_json(scores));
        for (name, score) in &scores.scores {
            let (sum, count) = means.entry(name).or_default();
            (*sum, *count) = (*sum + score, *count + 1);
        }
    }
    if steps.is_empty() {
        return json!({});
    }
    let means = means.into_iter().map(|(name, (sum, count))| (name.to_owned(), json!(sum / f64::from(count))));
    json!({"mean": Value::Object(means.collect()), "steps": steps})
}

/// How good an output is.
#[must_use]
pub(crate) fn scores_json(scores: &Scores) -> Value {
    let all: Map<String, Value> = scores.scores.iter().map(|(name, score)| (name.to_string(), json!(score))).collect();
    let mut told = json!({"domain": &*scores.domain, "scores": all});
    if !scores.faults.is_empty() {
        told["faults"] = json!(scores.faults);
    }
    told
}

fn names(names: &[Name]) -> Vec<&str> {
    names.iter().map(|name| &**name).collect()
}

fn phases(phases: &Phases) -> Value {
    json!({
        "waiting_s": phases.waiting.as_secs_f64(),
        "running_s": phases.running.as_secs_f64(),
        "backoff_s": phases.backoff.as_secs_f64(),
        "recovery_s": phases.recovery.as_secs_f64(),
    })
}

/// How long successful attempts took, by kind of step.
fn durations(figures: &Figures) -> Value {
    let kinds = figures.durations.iter().map(|kind| {
        let figures = json!({
            "count": kind.count,
            "mean_s": kind.mean.as_secs_f64(),
            "p95_s": kind.p95.as_secs_f64(),
            "max_s": kind.max.as_secs_f64(),
        });
        (kind.kind.to_string(), figures)
    });
    Value::Object(kinds.collect())
}

fn agents(summary: &RunSummary) -> Value {
    let agents = summary.agents.iter().map(|own| {
        let figures = json!({"succeeded": own.succeeded, "failed": own.failed, "utilisation": own.utilisation});
        (own.agent.to_string(), figures)
    });
    Value::Object(agents.collect())
}

/// How many times as fast as one step after the other: 1 where no time passed.
#[must_use]
pub fn speedup(summary: &RunSummary) -> f64 {
    ratio(summary.busy, summary.elapsed)
}

fn ratio(part: Micros, whole: Micros) -> f64 {
    if whole == Micros::ZERO { 1.0 } else { part.as_secs_f64() / whole.as_secs_f64() }
}

fn throughput(summary: &RunSummary) -> f64 {
    if summary.elapsed == Micros::ZERO {
        return 0.0;
    }
    f64::from(summary.counts.of(StepState::Succeeded)) / summary.elapsed.as_secs_f64()
}

/// Every step is counted under exactly one word, so the parts add up to the total.
fn steps(counts: &Counts) -> Value {
    json!({
        "total": counts.total(),
        "succeeded": counts.of(StepState::Succeeded),
        "failed": counts.of(StepState::Failed),
        "skipped": counts.of(StepState::Skipped),
        "cancelled": counts.of(StepState::Cancelled),
        "compensated": counts.of(StepState::Compensated),
        "pending": counts.of(StepState::Pending) + counts.of(StepState::Ready),
        "running": counts.active() + counts.of(StepState::Compensating),
        "waiting": counts.of(StepState::Waiting) + counts.of(StepState::Unknown),
    })
}

/// What processes used.
#[must_use]
pub(crate) fn usage_json(usage: &crate::model::completion::Usage) -> Value {
    #[expect(clippy::cast_precision_loss, reason = "no process has 2^53 bytes of memory")]
    let peak_rss_mb = usage.peak_rss_bytes as f64 / 1e6;
    json!({"cpu_s": usage.cpu_s, "peak_rss_mb": peak_rss_mb})
}

fn error(error: &StepError) -> Value {
    let mut told = json!({
        "step": &*error.step,
        "item": error.item,
        "class": error.failure.class.word(),
        "message": error.failure.message,
        "attempts": error.attempts,
        "agent": error.agent.as_deref(),
        "injected": error.failure.injected,
        "remediation": remediation(error),
        "retryable": error.failure.class.retryable(),
    });
    if error.undo {
        told["undo"] = Value::Bool(true);
    }
    told
}

/// How a failure's message ends that would have been tried again, had the run not spent its retries …
const OUT_OF_RETRIES: &str = "; the run's retry budget is spent";
/// … or its time.
const OUT_OF_TIME: &str = "; another attempt could not end before the run's deadline";

/// What a person can do about a failure.
#[must_use]
pub fn remediation(error: &StepError) -> String {
    if error.undo {
        return format!(
            "what step `{}` did is still there: undo it by hand, and correct what its `compensate` asks for before the \
             next run",
            error.name()
        );
    }
    if error.failure.injected {
        return "this failure was injected on purpose: heal the agent and retry the step, or give the step a `fallback` \
                so that it survives the next one"
            .to_owned();
    }
    // More retries of the step would be refused as well.
    if error.failure.message.ends_with(OUT_OF_RETRIES) {
        return "the run had no retries left: raise `limits.retry_budget`, or look at why so many attempts fail; then \
                retry the step"
            .to_owned();
    }
    if error.failure.message.ends_with(OUT_OF_TIME) {
        return "the run had no time left for another attempt: raise `limits.deadline`, or shorten the step's `retry` \
                waits or its `timeout`; then retry the step"
            .to_owned();
    }
    let agent = error.agent.as_deref().map_or_else(|| "the agent".to_owned(), |agent| format!("agent `{agent}`"));
    match error.failure.class {
        FailureClass::Transient => format!(
            "likely to pass: run it again; if it stays, raise the step's `retry`, or give it a `fallback` beside {agent}"
        ),
        FailureClass::Timeout => {
            format!("give the step a longer `timeout` or a faster agent, or look at why {agent} did not answer")
        }
        FailureClass::IdleTimeout => {
            format!("give the step a longer `idle_timeout`, or look at why {agent} fell silent")
        }
        FailureClass::RateLimited => format!(
            "{agent} takes no more calls: run it again later, declare its `rate_limit`, or add another agent with the \
             same capability"
        ),
        FailureClass::QualityRejected => {
            "the answer was not good enough: look at what `expect` asks and at the step's output".to_owned()
        }
        FailureClass::Rejected => "a person said no: retry the step to be asked again".to_owned(),
        FailureClass::Crash => {
            format!("{agent} ended in disorder: read the step's log, run its command by hand, then retry the step")
        }
        FailureClass::Unreachable => format!(
            "{agent} could not be started or reached: check that its program is installed and executable, or add \
             another agent with the same capability"
        ),
        FailureClass::MalformedOutput => format!(
            "{agent} has to print exactly one JSON document on its standard output and everything else on its \
             standard error; for free text use `stdout: text`"
        ),
        FailureClass::Permanent => {
            "trying again will not help: correct the step, its input or its command as the message says".to_owned()
        }
        FailureClass::Unknown => {
            "look at what it did; if it may be done again, retry the step (`idempotent: true` in the file does so by \
             itself)"
                .to_owned()
        }
        FailureClass::Cancelled => "it was cancelled: run the workflow again if you need its result".to_owned(),
        FailureClass::Deadline => {
            "the run's time was over: raise `limits.deadline`, or shorten the critical path (`upbeat plan` shows it)"
                .to_owned()
        }
    }
}

/// Whether failed attempts were made good, in the word of the result document.
#[must_use]
pub const fn recovery_status(summary: &RunSummary) -> &'static str {
    if summary.steps_hit == 0 {
        "none"
    } else if summary.steps_recovered == summary.steps_hit {
        "recovered"
    } else {
        "not_recovered"
    }
}

fn recovery(summary: &RunSummary) -> Value {
    json!({
        "status": recovery_status(summary),
        "faults": summary.faults,
        "steps_recovered": summary.steps_recovered,
        "mttr_s": summary.mttr.map(Micros::as_secs_f64),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::view::{AgentSummary, KindFigures};
    use crate::report::json;
    use crate::report::sample;

    #[test]
    fn the_document_of_the_tutorials_pipeline_is_the_contracts() {
        let expected = concat!(
            r#"{"status":"succeeded","run_id":"r1","workflow":"trading","seed":0,"data":{"risk":0.35},"#,
            r#""outputs":{"market":{"n":1}},"#,
            r#""metadata":{"elapsed_s":8.0,"busy_s":11.0,"speedup":1.375,"critical_path_s":8.0,"lower_bound_s":8.0,"#,
            r#""efficiency":1.0,"max_parallel":2,"agents_used":5,"attempts":5,"retries":0,"fallbacks":0,"#,
            r#""success_rate":1.0,"throughput_per_s":0.625,"steps":{"total":5,"succeeded":5,"failed":0,"skipped":0,"#,
            r#""cancelled":0,"compensated":0,"pending":0,"running":0,"waiting":0},"strategy":"parallel","#,
            r#""strategy_reason":"the default","routes":[],"pool":{"made":0,"reused":0},"quality":{},"#,
            r#""resources":null,"error_rate":0.0,"retry_rate":0.0,"#,
            r#""phases":{"waiting_s":0.0,"running_s":0.0,"backoff_s":0.0,"recovery_s":0.0},"durations":{},"#,
            r#""bottleneck":null,"agents":{},"undone":[],"asks":[]},"errors":[],"#,
            r#""recovery":{"status":"none","faults":0,"steps_recovered":0,"mttr_s":null}}"#
        );
        assert_eq!(json::line(&document(&sample::summary())), expected);
    }

    #[test]
    fn no_time_means_no_speedup_and_no_division_by_zero() {
        let mut summary = sample::summary();
        summary.elapsed = Micros::ZERO;
        summary.busy = Micros::ZERO;
        let meta = metadata(&summary);
        assert_eq!([&meta["speedup"], &meta["efficiency"], &meta["throughput_per_s"]], [1.0, 1.0, 0.0]);
    }

    #[test]
    fn exit_codes_follow_the_table() {
        use EndCause::{Cancel, HangUp, Quit, Stop, Terminate};
        let rows = [
            (RunState::Succeeded, RunStatus::Succeeded, None, 0),
            (RunState::Failed, RunStatus::Failed, None, 1),
            (RunState::Failed, RunStatus::Failed, Some(EndCause::FailFast), 1),
            (RunState::Partial, RunStatus::Partial, None, 3),
            (RunState::Failed, RunStatus::Rejected, None, 4),
            (RunState::Failed, RunStatus::Rejected, Some(EndCause::Reject), 4),
            (RunState::Failed, RunStatus::Deadline, Some(EndCause::Deadline), 5),
            (RunState::Compensated, RunStatus::Compensated, Some(EndCause::Rollback), 6),
            (RunState::CompensationFailed, RunStatus::CompensationFailed, Some(EndCause::Rollback), 7),
            (RunState::Cancelled, RunStatus::Cancelled, Some(Cancel), 8),
            (RunState::Cancelled, RunStatus::Cancelled, Some(Quit), 130),
            (RunState::Stopped, RunStatus::Cancelled, Some(Stop), 130),
            (RunState::Cancelled, RunStatus::Cancelled, Some(Terminate), 143),
            (RunState::Cancelled, RunStatus::Cancelled, Some(HangUp), 129),
            (RunState::Paused, RunStatus::Cancelled, None, 75),
        ];
        for (state, status, cause, code) in rows {
            let summary = RunSummary { state, status, cause, ..sample::summary() };
            assert_eq!(exit_code(&summary), code, "{state:?} {status:?} {cause:?}");
        }
        let saving = Saving::Normal;
        let stopped = RunSummary { state: RunState::Stopped, cause: Some(Stop), saving, ..sample::summary() };
        assert_eq!((exit_code(&stopped), status(&stopped)), (75, "parked"));
    }

    #[test]
    fn figures_agents_and_what_was_undone_stand_beside_the_contracts_members() {
        let mut summary = sample::summary();
        let second = Micros::from_secs(1);
        let kind = KindFigures { kind: "tech".into(), count: 3, mean: second, p95: second, max: Micros::from_secs(2) };
        summary.figures = Figures {
            durations: vec![kind],
            error_rate: 0.25,
            phases: Phases { backoff: second, ..Phases::default() },
            bottleneck: Some(("writer".into(), 2)),
            ..Figures::default()
        };
        summary.agents = vec![AgentSummary { agent: "a".into(), succeeded: 3, failed: 1, utilisation: 0.5 }];
        (summary.undone, summary.asks) = (vec!["book".into()], vec!["review".into()]);
        summary.counts.remove(StepState::Succeeded);
        summary.counts.add(StepState::Compensated);
        let meta = metadata(&summary);
        assert_eq!(meta["durations"]["tech"], json!({"count": 3, "mean_s": 1.0, "p95_s": 1.0, "max_s": 2.0}));
        assert_eq!(meta["agents"]["a"], json!({"succeeded": 3, "failed": 1, "utilisation": 0.5}));
        assert_eq!((&meta["phases"]["backoff_s"], &meta["error_rate"]), (&json!(1.0), &json!(0.25)));
        assert_eq!(meta["bottleneck"], json!({"for": "writer", "steps": 2}));
        assert_eq!((&meta["undone"], &meta["asks"]), (&json!(["book"]), &json!(["review"])));
        assert_eq!((&meta["steps"]["compensated"], &meta["steps"]["succeeded"]), (&json!(1), &json!(4)));
    }

    #[test]
    fn every_step_is_counted_under_exactly_one_word() {
        let mut counts = Counts::default();
        StepState::ALL.into_iter().for_each(|state| counts.add(state));
        let told = steps(&counts);
        let parts = told.as_object().unwrap().iter().filter(|(word, _)| *word != "total");
        assert_eq!(parts.map(|(_, n)| n.as_u64().unwrap()).sum::<u64>(), StepState::ALL.len() as u64);
    }

    #[test]
    fn what_could_not_be_undone_says_so_and_what_is_left_to_do() {
        let mut failed = sample::error("book", FailureClass::Permanent, "no such booking");
        assert!(error(&failed).get("undo").is_none());
        failed.undo = true;
        let told = error(&failed);
        assert_eq!(told["undo"], true);
        assert!(told["remediation"].as_str().unwrap().starts_with("what step `book` did is still there"));
    }

    #[test]
    fn what_was_not_tried_again_names_what_the_run_had_none_left_of() {
        for (had, way_out) in [(OUT_OF_RETRIES, "`limits.retry_budget`"), (OUT_OF_TIME, "`limits.deadline`")] {
            for class in FailureClass::ALL {
                let refused = sample::error("a", class, &format!("it broke{had}"));
                assert!(remediation(&refused).contains(way_out), "{class:?}");
                let failed = sample::error("a", class, &format!("it said \"x{had}\""));
                assert_ne!(remediation(&failed), remediation(&refused), "{class:?}");
            }
        }
    }

    #[test]
    fn every_error_says_what_to_do() {
        for class in FailureClass::ALL {
            let mut error = sample::error("a", class, "it broke");
            assert!(remediation(&error).len() > 20, "{class:?}");
            error.failure.injected = true;
            assert!(remediation(&error).contains("on purpose"));
        }
        let json = error(&sample::error("fetch", FailureClass::Timeout, "no answer within 30 s"));
        let keys: Vec<&String> = json.as_object().unwrap().keys().collect();
        assert_eq!(
            keys,
            ["step", "item", "class", "message", "attempts", "agent", "injected", "remediation", "retryable"]
        );
        assert_eq!(json["retryable"], true);
    }

    #[test]
    fn recovery_is_none_without_failed_attempts_and_not_recovered_if_one_stayed() {
        let mut summary = sample::summary();
        for (hit, recovered, word) in [(0, 0, "none"), (2, 2, "recovered"), (2, 1, "not_recovered")] {
            (summary.steps_hit, summary.steps_recovered) = (hit, recovered);
            assert_eq!(recovery(&summary)["status"], word);
        }
    }
}
