//! From an exit code and what was printed to an outcome, as the contract says.

use super::capture::Capture;
use super::strict_json;
use crate::model::completion::{Failure, FailureClass};
use crate::model::step::StdoutMode;
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

/// The failure that an exit stands for; `None`: it succeeded. `last_words` is the last line on standard error.
pub(super) fn of_exit(worker: Worker, exit: Exit, last_words: &str) -> Option<Failure> {
    let (class, what) = match exit {
        Exit::Code(0) => return None,
        Exit::Code(code) => {
            let class = match (code, worker) {
                (75, _) => FailureClass::Transient,
                (126 | 127, Worker::Agent) => FailureClass::Unreachable,
                (64..=78 | 126 | 127, _) => FailureClass::Permanent,
                _ => FailureClass::Crash,
            };
            (class, format!("exit code {code}"))
        }
        Exit::Signal(signal) => (FailureClass::Crash, format!("ended by signal {}", signal_name(signal))),
        Exit::Lost => {
            (FailureClass::Crash, "its supervising process was killed, so nobody saw how it ended".to_owned())
        }
    };
    let colon = if last_words.is_empty() { "" } else { ": " };
    Some(Failure::new(class, format!("{what}{colon}{last_words}")))
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
