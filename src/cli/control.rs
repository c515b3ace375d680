//! `upbeat pause`, `cancel`, `answer`, and `resume` of a run that is paused elsewhere: asked of the process that has the
//! run open, else done to the parked run itself.

use super::args::{AnswerArgs, CancelArgs, Output, PauseArgs, ResumeArgs};
use super::out::{self, Done, EXIT_FAULT, Stop, refuse, say};
use super::parked;
use super::saved;
use super::store::{self, Kept};
use crate::model::command::Answer;
use crate::model::id::Name;
use crate::model::safe::Safe;
use crate::model::state::RunState;
use crate::report::asks::RUN_ITSELF;
use crate::report::json;
use crate::report::plain::list;
use crate::runtime::control::{self, Ask, LINE_MAX, Reply, Told, Unheard};
use serde_json::{Value, json};
use std::time::Duration;

/// How often and how long a process that opens or leaves a run is waited for.
const TRIES: u32 = 40;
const PAUSE: Duration = Duration::from_millis(50);

/// Where it was done.
enum Steered {
    /// In the process that has the run open.
    There(Told),
    /// To the parked run; this is its state now.
    Parked(Told, RunState),
}

/// `upbeat pause RUN`.
pub(crate) fn pause(args: &PauseArgs) -> Done {
    if args.step.is_some() {
        return refuse("a step cannot be paused by itself; pause the run, or cancel the step and retry it later");
    }
    let kept = store::existing(&args.saved.place)?;
    let run = saved::find(&kept, &args.saved.run)?;
    let ask = if args.freeze { Ask::Freeze {} } else { Ask::Pause {} };
    steer(&kept, &run, &ask)?;
    let by = by(&kept, &run);
    let (status, text) = if args.freeze {
        ("frozen", format!("run {run} is frozen{by}: what runs is halted where it stands"))
    } else {
        ("pausing", format!("run {run} pauses{by}: what runs ends first, nothing new starts"))
    };
    tell(args.output, &text, &json!({"status": status}))
}

/// `upbeat cancel RUN`.
pub(crate) fn cancel(args: &CancelArgs) -> Done {
    let ask = cancelled(args)?;
    let kept = store::existing(&args.saved.place)?;
    let run = saved::find(&kept, &args.saved.run)?;
    let (told, state) = match steer(&kept, &run, &ask)? {
        Steered::There(told) => (told, None),
        Steered::Parked(told, state) => (told, Some(state)),
    };
    let after = state.map_or(String::new(), |state| now(&kept, &run, state));
    let Told { cancelled, dependents, reassigned } = &told;
    match &ask {
        Ask::Cancel {} => {
            let text = match state {
                Some(state) if state.ended() => format!("run {run} is cancelled"),
                // What was cut off is to be undone first, and nothing is begun before it goes on.
                Some(_) => {
                    let resume = kept.ways.command("resume", &run);
                    format!("run {run} is being cancelled: something of it is still to be undone; `{resume}` does that")
                }
                None => format!("run {run} is being cancelled"),
            };
            tell(args.output, &text, &json!({"status": "cancelled", "dependents": []}))
        }
        Ask::Stop {} => {
            let text = match state {
                Some(state) => format!("run {run} is {}", state.word()),
                None => format!("run {run} stops: what runs ends first, the rest is cancelled"),
            };
            tell(args.output, &text, &json!({"status": "stopping", "dependents": []}))
        }
        Ask::CancelStep { step } => {
            let with =
                if dependents.is_empty() { String::new() } else { format!(", and with it {}", list(dependents)) };
            let text = format!("step {} is cancelled{with}{after}", Safe::line(step));
            tell(args.output, &text, &json!({"status": "cancelled", "dependents": dependents}))
        }
        _ => {
            let parts = [("cancelled", cancelled), ("with them", dependents), ("given to another agent", reassigned)];
            let parts = parts.iter().filter(|(_, names)| !names.is_empty());
            let parts: Vec<String> = parts.map(|(what, names)| format!("{what}: {}", list(names))).collect();
            let text = if parts.is_empty() { "nothing had to be cancelled".to_owned() } else { parts.join("; ") };
            let document = json!({
                "status": "cancelled", "cancelled": cancelled, "dependents": dependents, "reassigned": reassigned,
            });
            tell(args.output, &(text + &after), &document)
        }
    }
}

/// What the options mean.
fn cancelled(args: &CancelArgs) -> Result<Ask, Stop> {
    let (what, reassign) = (&args.what, args.reassign);
    Ok(if let Some(step) = what.step.clone() {
        Ask::CancelStep { step }
    } else if let Some(agent) = what.agent.clone() {
        Ask::CancelAgent { agent, reassign }
    } else if let Some(capability) = what.capability.clone() {
        Ask::CancelCapability { capability, reassign }
    } else if let Some(action) = what.action.clone() {
        Ask::CancelAction { action, reassign }
    } else if let Some((from, to)) = what.priority {
        Ask::CancelPriority { from, to, reassign }
    } else if reassign {
        return refuse("--reassign needs to know what: use it with --agent, --capability, --action or --priority");
    } else if what.stop {
        Ask::Stop {}
    } else {
        Ask::Cancel {}
    })
}

/// `upbeat answer RUN STEP approve|reject|JSON`.
pub(crate) fn answer(args: &AnswerArgs) -> Done {
    let answer = meant(&args.answer)?;
    let kept = store::existing(&args.place)?;
    let run = saved::find(&kept, &args.run)?;
    let step = if args.step == RUN_ITSELF {
        let workflow = saved::fold(&kept, &run)?.workflow();
        workflow.find(RUN_ITSELF).map(|_| args.step.clone())
    } else {
        Some(args.step.clone())
    };
    let of = step.as_ref().map_or_else(|| format!("run {run}"), |step| format!("step {}", Safe::line(step)));
    let word = match &answer {
        Answer::Approve => format!("{of} is approved"),
        Answer::Reject => format!("{of} is rejected"),
        Answer::Value(_) => format!("{of} is given its output"),
    };
    let text = match steer(&kept, &run, &Ask::Answer { step, answer })? {
        Steered::There(_) => word + &by(&kept, &run),
        Steered::Parked(_, state) => word + &now(&kept, &run, state),
    };
    tell(args.output, &text, &json!({"status": "answered"}))
}

/// An answer as it is written on the command line.
fn meant(text: &str) -> Result<Answer, Stop> {
    match text {
        "approve" => Ok(Answer::Approve),
        "reject" => Ok(Answer::Reject),
        _ => serde_json::from_str(text).map(Answer::Value).or_else(|_| {
            refuse(&format!(
                "{} is neither `approve` nor `reject` nor JSON; a text is JSON in quotes: '\"yes\"'",
                Safe::line(&crate::report::ways::quoted(text))
            ))
        }),
    }
}

/// `upbeat resume` of a run that is paused in another process. `None`: it is to be resumed here.
pub(crate) fn resume(kept: &Kept, run: &Name, seq: Option<u64>, args: &ResumeArgs) -> Result<Option<u8>, Stop> {
    if !kept.store.is_live(run) {
        return Ok(None);
    }
    let folded = saved::fold(kept, run)?;
    if !folded.live || !matches!(folded.run_view().state, RunState::Paused | RunState::Pausing) {
        return Ok(None);
    }
    let by = by(kept, run);
    if args.accept_changes || args.options.speed.is_some() {
        return refuse(&format!(
            "run {run} is open{by}: neither its workflow nor its speed can be changed there; leave it there with `q`, \
             then resume it here"
        ));
    }
    if there(kept, run, &Ask::Resume { seq })?.is_none() {
        return Ok(None);
    }
    let output = args.options.output.map_or(Output::Text, |output| match output {
        super::args::RunOutput::Text => Output::Text,
        super::args::RunOutput::Json | super::args::RunOutput::Jsonl => Output::Json,
    });
    tell(output, &format!("run {run} goes on{by}"), &json!({"status": "running"})).map(Some)
}

fn tell(output: Output, text: &str, document: &Value) -> Done {
    out::result(&match output {
        Output::Text => text.to_owned() + "\n",
        Output::Json => json::line(document) + "\n",
    })?;
    Ok(0)
}

/// ` in process N`, where that is known.
fn by(kept: &Kept, run: &Name) -> String {
    kept.store.writer(run).map_or_else(String::new, |pid| format!(" in process {pid}"))
}

/// What has become of a parked run, to stand behind what was done to it.
fn now(kept: &Kept, run: &Name, state: RunState) -> String {
    if state.ended() {
        format!("; run {run} has ended, it is {}", state.word())
    } else {
        format!("; `{}` goes on", kept.ways.command("resume", run))
    }
}

/// Asks whoever has the run open, or does it to the parked run; a run changes hands only so often.
fn steer(kept: &Kept, run: &Name, ask: &Ask) -> Result<Steered, Stop> {
    for _ in 0..TRIES {
        if let Some(told) = there(kept, run, ask)? {
            return Ok(Steered::There(told));
        }
        if let Some((told, state)) = parked::steer(kept, run, ask)? {
            return Ok(Steered::Parked(told, state));
        }
        std::thread::sleep(PAUSE);
    }
    refuse(&format!("run {run} is opened and left again and again; try once more"))
}

/// Asks the process that has the run open. `None`: none has, any more.
fn there(kept: &Kept, run: &Name, ask: &Ask) -> Result<Option<Told>, Stop> {
    let mut why = String::new();
    for _ in 0..TRIES {
        if !kept.store.is_live(run) {
            return Ok(None);
        }
        match control::ask(&kept.store, run, ask) {
            Ok(Reply::Done(told)) => return Ok(Some(told)),
            Ok(Reply::Refused(rejection)) => return refuse(&Safe::line(&rejection.to_string()).into_string()),
            Err(Unheard::TooLong) => {
                return refuse(&format!("that is too much: a request has at most {LINE_MAX} bytes"));
            }
            Err(Unheard::NoAnswer(why)) => {
                let show = kept.ways.command("show", run);
                let why = Safe::line(&why);
                say(&format!(
                    "upbeat: run {run} was asked, and no answer came ({why}); `{show}` says what became of it"
                ));
                return Err(Stop(EXIT_FAULT));
            }
            // It is just being opened, or left.
            Ok(Reply::Leaving {}) => why.clear(),
            Err(Unheard::NobodyThere(reason)) => why = reason,
        }
        std::thread::sleep(PAUSE);
    }
    let by = by(kept, run);
    if why.is_empty() {
        return refuse(&format!("run {run} is being left{by}; try again in a moment"));
    }
    refuse(&format!("run {run} is open{by}, which cannot be asked ({}); steer it there", Safe::line(&why)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_words_or_json_and_nothing_else() {
        assert_eq!(meant("approve"), Ok(Answer::Approve));
        assert_eq!(meant("reject"), Ok(Answer::Reject));
        assert_eq!(meant("\"approve\""), Ok(Answer::Value(json!("approve"))));
        assert_eq!(meant("{\"a\": [1]}"), Ok(Answer::Value(json!({"a": [1]}))));
        for bad in ["yes", "", "{", "Approve"] {
            assert!(meant(bad).is_err(), "{bad}");
        }
    }
}
