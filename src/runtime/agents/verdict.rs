//! From an exit code and what was printed to an outcome, as the contract says.

use super::capture::Capture;
use crate::model::completion::{Failure, FailureClass};
use crate::model::step::StdoutMode;
use crate::model::strict_json;
use crate::model::time::{self, BadDuration, Micros};
use crate::runtime::reaper::{Exit, StartError, StartErrorKind};
use serde_json::{Value, json};

/// Who works, and so how its output is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Worker {
    /// An agent of the file: one JSON document on standard output.
    Agent,
    /// A `run` or `command` step.
    Local(StdoutMode),
}

/// The exit code that asks to be tried again.
const TRY_AGAIN: i32 = 75;

/// The failure that an exit stands for; `None`: it succeeded. `last_words` is the last line on standard error, `output`
/// what was printed.
pub(super) fn of_exit(worker: Worker, exit: Exit, last_words: &str, output: &Capture) -> Option<Failure> {
    let colon = if last_words.is_empty() { "" } else { ": " };
    let mut unreadable = None;
    if (worker, exit) == (Worker::Agent, Exit::Code(TRY_AGAIN)) {
        match rate_limit(output) {
            Some(Ok(retry_after)) => {
                let message = format!("the agent takes no more calls for now{colon}{last_words}");
                return Some(Failure { retry_after, ..Failure::new(FailureClass::RateLimited, message) });
            }
            Some(Err(why)) => unreadable = Some(why),
            None => {}
        }
    }
    let (class, what) = match exit {
        Exit::Code(0) => return None,
        Exit::Code(code) => {
            let class = match (code, worker) {
                (TRY_AGAIN, _) => FailureClass::Transient,
                (126 | 127, Worker::Agent) => FailureClass::Unreachable,
                (64..=78 | 126 | 127, _) => FailureClass::Permanent,
                _ => FailureClass::Crash,
            };
            let unreadable = unreadable.map(|why| format!(" (its `retry_after` cannot be read: {why})"));
            (class, format!("exit code {code}{}", unreadable.unwrap_or_default()))
        }
        Exit::Signal(signal) => (FailureClass::Crash, format!("ended by signal {}", signal_name(signal))),
        Exit::Lost => {
            (FailureClass::Crash, "its supervising process was killed, so nobody saw how it ended".to_owned())
        }
    };
    Some(Failure::new(class, format!("{what}{colon}{last_words}")))
}

/// Reads `{"error": "rate_limited", "retry_after": …}`, the time being left out or `null` where the agent does not know
/// it. `None`: it is something else. An error: the time is none.
fn rate_limit(output: &Capture) -> Option<Result<Option<Micros>, BadDuration>> {
    let document = strict_json::parse(output.whole()?).ok()?;
    (document.get("error")?.as_str()? == FailureClass::RateLimited.word()).then_some(())?;
    match document.get("retry_after") {
        None | Some(Value::Null) => Some(Ok(None)),
        Some(time) => Some(time::from_json(time).map(Some)),
    }
}

/// The failure of what could not be started. The agent is to blame but for the two kinds where it is not: what the step
/// hands over, and a shortage on this machine.
pub(super) fn of_start(worker: Worker, error: &StartError) -> Failure {
    let class = match (error.kind, worker) {
        (StartErrorKind::Resources, _) => FailureClass::Transient,
        (StartErrorKind::Invalid, _) | (_, Worker::Local(_)) => FailureClass::Permanent,
        (_, Worker::Agent) => FailureClass::Unreachable,
    };
    Failure::new(class, error.to_string())
}

/// Reads what a successful attempt printed.
///
/// # Errors
/// `malformed_output` with place and reason.
pub(super) fn read(worker: Worker, output: Capture) -> Result<Value, Failure> {
    let text_mode = match worker {
        Worker::Local(StdoutMode::Text) => true,
        Worker::Local(StdoutMode::Auto) => !output.whole().is_some_and(looks_structured),
        Worker::Local(StdoutMode::Json) | Worker::Agent => false,
    };
    if text_mode {
        return Ok(json!({ "stdout": output.into_text() }));
    }
    let malformed = |why: String| Failure::new(FailureClass::MalformedOutput, why);
    let Some(bytes) = output.whole() else { return Err(malformed(TOO_LONG.to_owned())) };
    match strict_json::parse(bytes) {
        Ok(value) => Ok(value),
        Err(_) if worker == Worker::Local(StdoutMode::Auto) => Ok(json!({ "stdout": output.into_text() })),
        Err(_) if bytes.trim_ascii().is_empty() => {
            Err(malformed("stdout is empty; one JSON document is expected there (logs belong on stderr)".to_owned()))
        }
        Err(why) => Err(malformed(format!("stdout is not one JSON document: {why}"))),
    }
}

/// Why output beyond the limit is refused.
pub(super) const TOO_LONG: &str = "stdout is longer than 16 MB";

/// Whether it could be an object or an array: spares trying to read every log as JSON.
fn looks_structured(bytes: &[u8]) -> bool {
    let bytes = bytes.trim_ascii();
    (bytes.starts_with(b"{") && bytes.ends_with(b"}")) || (bytes.starts_with(b"[") && bytes.ends_with(b"]"))
}

/// The name people know, with the number.
fn signal_name(signal: i32) -> String {
    const NAMES: [(i32, &str); 11] = [
        (1, "HUP"),
        (2, "INT"),
        (3, "QUIT"),
        (4, "ILL"),
        (6, "ABRT"),
        (8, "FPE"),
        (9, "KILL"),
        (11, "SEGV"),
        (13, "PIPE"),
        (14, "ALRM"),
        (15, "TERM"),
    ];
    NAMES
        .iter()
        .find(|(number, _)| *number == signal)
        .map_or_else(|| signal.to_string(), |(number, name)| format!("{number} ({name})"))
}

#[cfg(test)]
mod tests {
    use super::super::capture::Beyond;
    use super::*;

    const LOCAL: Worker = Worker::Local(StdoutMode::Auto);

    /// The failure of an exit that printed this.
    fn printed(worker: Worker, exit: Exit, last_words: &str, text: &str) -> Option<Failure> {
        let mut output = Capture::new(Beyond::Refuse);
        output.push(text.as_bytes());
        super::of_exit(worker, exit, last_words, &output)
    }

    fn of_exit(worker: Worker, exit: Exit, last_words: &str) -> Option<Failure> {
        printed(worker, exit, last_words, "")
    }

    #[test]
    fn an_agent_that_takes_no_more_calls_says_so_in_one_document_and_with_its_exit() {
        let ask = |text: &str| printed(Worker::Agent, Exit::Code(75), "", text).unwrap();
        let limited = |text: &str| {
            let failure = ask(text);
            assert_eq!(failure.class, FailureClass::RateLimited, "{text}");
            failure.retry_after
        };
        assert_eq!(limited(r#"{"error": "rate_limited", "retry_after": 3}"#), Some(Micros::from_secs(3)));
        assert_eq!(
            limited(r#"{"error": "rate_limited", "retry_after": 0.5, "more": 1}"#),
            Some(Micros::from_millis(500))
        );
        assert_eq!(limited(r#"{"error": "rate_limited", "retry_after": "1m30s"}"#), Some(Micros::from_secs(90)));
        assert_eq!(limited(r#"{"error": "rate_limited", "retry_after": null}"#), None);
        assert_eq!(limited(" {\"error\": \"rate_limited\"}\n"), None);
        for other in
            ["", "{}", "rate_limited", "\"rate_limited\"", r#"{"error": "busy"}"#, r#"{"error": "rate_limited"} {}"#]
        {
            assert_eq!(ask(other), Failure::new(FailureClass::Transient, "exit code 75"), "{other}");
        }
        let bad = ask(r#"{"error": "rate_limited", "retry_after": "soon"}"#);
        assert!(
            bad.class == FailureClass::Transient && bad.message.contains("`retry_after` cannot be read"),
            "{bad:?}"
        );
        let word = r#"{"error": "rate_limited"}"#;
        assert_eq!(printed(LOCAL, Exit::Code(75), "", word).unwrap().class, FailureClass::Transient);
        assert_eq!(printed(Worker::Agent, Exit::Code(74), "", word).unwrap().class, FailureClass::Permanent);
        assert!(printed(Worker::Agent, Exit::Code(75), "quota", word).unwrap().message.ends_with(": quota"));
    }

    #[test]
    fn exit_codes_are_classed_as_the_contract_says() {
        use FailureClass::{Crash, Permanent, Transient, Unreachable};
        let cases = [
            (1, Crash, Crash),
            (2, Crash, Crash),
            (63, Crash, Crash),
            (64, Permanent, Permanent),
            (65, Permanent, Permanent),
            (74, Permanent, Permanent),
            (75, Transient, Transient),
            (76, Permanent, Permanent),
            (78, Permanent, Permanent),
            (79, Crash, Crash),
            (125, Crash, Crash),
            (126, Permanent, Unreachable),
            (127, Permanent, Unreachable),
            (128, Crash, Crash),
            (255, Crash, Crash),
        ];
        for (code, local, agent) in cases {
            assert_eq!(of_exit(LOCAL, Exit::Code(code), "").unwrap().class, local, "{code}");
            assert_eq!(of_exit(Worker::Agent, Exit::Code(code), "").unwrap().class, agent, "{code}");
        }
        assert_eq!(of_exit(LOCAL, Exit::Code(0), "a warning"), None);
        assert_eq!(of_exit(LOCAL, Exit::Signal(9), ""), Some(Failure::new(Crash, "ended by signal 9 (KILL)")));
        assert_eq!(of_exit(LOCAL, Exit::Signal(64), "").unwrap().message, "ended by signal 64");
        assert_eq!(of_exit(LOCAL, Exit::Code(3), "no such file").unwrap().message, "exit code 3: no such file");
        assert_eq!(of_exit(LOCAL, Exit::Lost, "").unwrap().class, Crash);
    }

    #[test]
    fn what_cannot_start_breaks_agents_but_not_for_what_the_step_hands_over() {
        let class = |worker, kind| of_start(worker, &StartError { kind, message: String::new() }).class;
        for kind in [StartErrorKind::NotFound, StartErrorKind::NotExecutable, StartErrorKind::Folder] {
            assert_eq!(class(Worker::Agent, kind), FailureClass::Unreachable);
            assert_eq!(class(LOCAL, kind), FailureClass::Permanent);
        }
        assert_eq!(class(Worker::Agent, StartErrorKind::Invalid), FailureClass::Permanent);
        assert_eq!(class(Worker::Agent, StartErrorKind::Resources), FailureClass::Transient);
    }

    fn reading(worker: Worker, text: &str) -> Result<Value, FailureClass> {
        let mut output = Capture::new(Beyond::KeepEnds);
        output.push(text.as_bytes());
        read(worker, output).map_err(|failure| failure.class)
    }

    #[test]
    fn output_is_json_only_where_the_contract_says_so() {
        let text = |text: &str| Ok(json!({ "stdout": text }));
        let malformed = Err(FailureClass::MalformedOutput);
        assert_eq!(reading(LOCAL, " {\"a\": 1}\n"), Ok(json!({"a": 1})));
        assert_eq!(reading(LOCAL, "[1, 2]\n"), Ok(json!([1, 2])));
        for plain in ["", "12\n", "\"word\"", "null", "{\"a\":1}{}", "{\"a\":1,\"a\":2}", "log\n{\"a\": 1}\n", "{x}"] {
            assert_eq!(reading(LOCAL, plain), text(plain));
        }
        let json = Worker::Local(StdoutMode::Json);
        assert_eq!(reading(json, "12\n"), Ok(json!(12)));
        assert_eq!(reading(json, "hello"), malformed);
        assert_eq!(reading(Worker::Local(StdoutMode::Text), "{\"a\": 1}"), text("{\"a\": 1}"));
        assert_eq!(reading(Worker::Agent, "null"), Ok(Value::Null));
        for bad in ["", "\n", "hello", "{\"a\":1,\"a\":2}", "{} {}", "1e999"] {
            assert_eq!(reading(Worker::Agent, bad), malformed, "{bad}");
        }
    }
}
