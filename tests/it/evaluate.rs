//! Filters with the real evaluation child: what they give, what they cannot reach, and that none harms another.
#![expect(clippy::disallowed_methods, reason = "tests are started by nobody they could ask")]
#![expect(clippy::unwrap_used, reason = "a test that cannot set its scene has failed")]

use crate::processes::{DEADLINE, PROGRAM, is_alive};
use futures_util::future::join_all;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::fs;
use std::future::Future;
#[cfg(target_os = "linux")]
use std::io::{BufRead, BufReader, Write};
#[cfg(target_os = "linux")]
use std::os::unix::process::ExitStatusExt;
#[cfg(target_os = "linux")]
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use upbeat::model::expression::Expression;
use upbeat::runtime::evaluate::{COMMAND, EvaluationError, Evaluator, FILTER_BYTES_MAX, Scope};

fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

fn evaluator() -> Evaluator {
    Evaluator::new(PROGRAM.into())
}

async fn ask(evaluator: &Evaluator, filter: &str, input: &Value) -> Result<Value, EvaluationError> {
    tokio::time::timeout(DEADLINE, evaluator.ask(filter, Scope::of(input))).await.expect("nobody is left hanging")
}

/// Asserts that the evaluator works, whatever happened to it before.
async fn works(evaluator: &Evaluator, after: &str) {
    assert_eq!(ask(evaluator, ".a + 1", &json!({"a": 1})).await, Ok(json!(2)), "after {after}");
}

fn gone(pid: u32) {
    let deadline = Instant::now() + DEADLINE;
    while is_alive(pid) {
        assert!(Instant::now() < deadline, "the evaluator {pid} lives on");
        std::thread::yield_now();
    }
}

fn kill(pid: u32) {
    kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), Signal::KILL).unwrap();
}

#[test]
fn ten_thousand_filters_are_answered_by_one_child_each_with_its_own_answer() {
    run(async {
        let evaluator = evaluator();
        assert_eq!(evaluator.child(), None, "none is started before it is needed");
        works(&evaluator, "the start").await;
        let child = evaluator.child().unwrap();
        let inputs: Vec<Value> = (0..10_000).map(|n| json!({"a": n})).collect();
        let filters: Vec<String> = (0..10).map(|n| format!(".a * 10 + {n}")).collect();
        let all = inputs.iter().enumerate().map(|(n, input)| ask(&evaluator, &filters[n % 10], input));
        for (n, answer) in join_all(all).await.into_iter().enumerate() {
            assert_eq!(answer, Ok(json!(n * 10 + n % 10)));
        }
        assert_eq!(evaluator.child(), Some(child));
    });
}

#[test]
fn expressions_see_the_scope_and_keep_their_type_only_alone() {
    run(async {
        let evaluator = evaluator();
        let (input, item, index) = (json!({"a": {"b": [1, 2]}, "s": "x"}), json!({"k": "v"}), json!(3));
        let (outputs, run) = (json!({"step": {"n": 1.5}}), json!({"id": "r1"}));
        let scope = Scope { input: &input, item: &item, index: &index, outputs: &outputs, run: &run };
        let source = async |text: &str| evaluator.compute(&Expression::of_source(text).unwrap(), scope).await;
        let text = async |text: &str| evaluator.compute(&Expression::of_text(text).unwrap().unwrap(), scope).await;
        assert_eq!(source("a.b[1]").await, Ok(Some(json!(2))));
        assert_eq!(source("a.c").await, Ok(None), "a data path that leads nowhere");
        assert_eq!(source(".a.c").await, Ok(Some(Value::Null)), "a filter always has a value");
        assert_eq!(evaluator.child(), None, "paths need no child");
        assert!(matches!(source(".s.x").await, Err(EvaluationError::Failed(why)) if why.contains("string")));
        let all = json!([{"k": "v"}, 3, 1.5, "r1", [1, 2]]);
        assert_eq!(source("[$item, $index, $outputs.step.n, $run.id, .a.b]").await, Ok(Some(all)));
        assert_eq!(text("${{ .a.b | add }}").await, Ok(Some(json!(3))));
        assert_eq!(text("${{ .s }}: ${{ .a }} of ${{ $index + 1 }}").await, Ok(Some(json!("x: {\"b\":[1,2]} of 4"))));
        assert!(text("${{ .s }} ${{ .a | error }}").await.is_err());
    });
}

#[test]
fn a_path_gives_the_same_with_and_without_the_child() {
    run(async {
        let evaluator = evaluator();
        let data = json!({"a": {"b": [1, {"c": "x"}], "odd key": 2}, "n": null, "s": "text", "t": true, "if": 1.0});
        for path in [
            ".",
            ".a",
            ".a.b[0]",
            ".a.b[1].c",
            ".a.b[9]",
            ".a[\"odd key\"]",
            ".a.\"odd key\"",
            ".[\"a\"].b",
            ".n.x[3].y",
            ".nope",
            ".nope.x",
            ".s.x",
            ".s[0]",
            ".t.x",
            ".t[1]",
            ".a.b.c",
            ".a[0]",
            ".[0]",
            ".if",
            ".a.b[1][0].d",
        ] {
            let Expression::Filter(filter) = Expression::of_source(path).unwrap() else { panic!("{path}") };
            assert!(filter.path().is_some(), "{path} is answered at once");
            let inline = evaluator.evaluate(&filter, Scope::of(&data)).await;
            match (inline, ask(&evaluator, path, &data).await) {
                (Err(EvaluationError::Failed(inline)), Err(EvaluationError::Failed(child))) => {
                    assert!(inline.starts_with("cannot index") && child.starts_with("cannot index"), "{path}: {child}");
                }
                (inline, child) => assert_eq!(inline, child, "{path}"),
            }
        }
    });
}

/// How a hostile filter may end.
#[derive(Clone, Copy, Debug)]
enum Hostile {
    Fails(&'static str),
    Time,
    Memory,
    Depth,
    /// One of the limits: which comes first depends on the machine.
    Bounded,
}

const HOSTILE: [(&str, Hostile); 35] = [
    ("def f: f; f", Hostile::Time),
    ("def f: 1 + f; f", Hostile::Depth),
    ("def f: [f]; f", Hostile::Depth),
    ("def f: f, f; f", Hostile::Bounded),
    ("[repeat(1)]", Hostile::Bounded),
    ("last(repeat(1))", Hostile::Time),
    ("reduce repeat(1) as $x (0; . + 1)", Hostile::Time),
    ("reduce range(1000) as $x (\"ab\"; . + .)", Hostile::Memory),
    ("\"abcdefgh\" * 100000000", Hostile::Memory),
    ("\"abcdefgh\" * 1000000000000000000", Hostile::Memory),
    ("[range(1e9)]", Hostile::Bounded),
    ("[limit(1e9; repeat(\"x\"))]", Hostile::Bounded),
    ("reduce limit(1e9; repeat(1)) as $x (0; . + $x)", Hostile::Time),
    ("reduce range(1000000) as $x (0; [.])", Hostile::Bounded),
    ("reduce range(129) as $x (0; [.])", Hostile::Fails("128 levels")),
    ("reduce range(129) as $x (0; {a: .})", Hostile::Fails("128 levels")),
    ("\"[\" * 1000000 | fromjson", Hostile::Bounded),
    ("\"x\" * 20000000", Hostile::Fails("16 MB")),
    ("[range(9000000)]", Hostile::Bounded),
    ("env", Hostile::Fails("no clock, environment")),
    ("$ENV.PATH", Hostile::Fails("no variable `$ENV`")),
    ("halt", Hostile::Fails("`halt`")),
    ("halt_error", Hostile::Fails("`halt_error`")),
    ("stderr", Hostile::Fails("`stderr`")),
    ("debug", Hostile::Fails("`debug`")),
    ("input", Hostile::Fails("`input`")),
    ("now", Hostile::Fails("`now`")),
    ("import \"x\" as x; .", Hostile::Fails("modules")),
    ("1/0", Hostile::Fails("not a number of JSON")),
    ("infinite", Hostile::Fails("not a number of JSON")),
    ("nan", Hostile::Fails("not a number of JSON")),
    ("1e999999999", Hostile::Fails("not a number of JSON")),
    ("pow(10; 400)", Hostile::Fails("not a number of JSON")),
    ("{(1): 2}", Hostile::Fails("")),
    ("repeat(1)", Hostile::Fails("more than one value")),
];

#[test]
fn every_hostile_filter_fails_for_its_own_reason_and_the_next_one_works() {
    run(async {
        let evaluator = evaluator();
        let mut faults = Vec::new();
        for (filter, expected) in HOSTILE {
            let input = json!({"a": 1});
            // One that is honest waits behind it, and is not harmed.
            let (hostile, honest) = tokio::join!(ask(&evaluator, filter, &input), ask(&evaluator, ".a + 1", &input));
            let is_as_expected = match (expected, &hostile) {
                (Hostile::Fails(words), Err(EvaluationError::Failed(why))) => why.contains(words),
                (Hostile::Time, Err(EvaluationError::Time))
                | (Hostile::Memory, Err(EvaluationError::Memory))
                | (Hostile::Depth, Err(EvaluationError::Depth)) => true,
                (Hostile::Bounded, Err(error)) => !matches!(error, EvaluationError::Unavailable(_)),
                _ => false,
            };
            if !is_as_expected || honest != Ok(json!(2)) {
                faults.push(format!("{filter}: {expected:?}, not {hostile:?}; behind it {honest:?}"));
            }
        }
        assert!(faults.is_empty(), "{}", faults.join("\n"));
    });
}

#[test]
fn a_filter_that_nests_as_deeply_as_its_length_allows_harms_nobody() {
    run(async {
        let evaluator = evaluator();
        let times = FILTER_BYTES_MAX / 2 - 1;
        for (open, close) in [("(", ")"), ("[", "]"), ("-", ""), ("1|", ""), ("\"\\(", "")] {
            let filter = format!("{}1{}", open.repeat(times), close.repeat(times));
            let answer = ask(&evaluator, &filter, &Value::Null).await;
            assert!(!matches!(answer, Err(EvaluationError::Unavailable(_))), "{open}: {answer:?}");
            works(&evaluator, open).await;
        }
        let longer = " ".repeat(FILTER_BYTES_MAX + 1);
        assert!(matches!(ask(&evaluator, &longer, &Value::Null).await, Err(EvaluationError::Failed(_))));
    });
}

#[test]
fn regular_expressions_that_are_bombs_elsewhere_are_bounded() {
    run(async {
        let evaluator = evaluator();
        let input = json!("a".repeat(2_000));
        for filter in
            ["test(\"(a*)*b\")", "test(\"(a+)+$\")", "[match(\"(a|aa)+$\"; \"g\")] | length", "test(\"a{1000}{1000}\")"]
        {
            let answer = ask(&evaluator, filter, &input).await;
            assert!(!matches!(answer, Err(EvaluationError::Unavailable(_))), "{filter}: {answer:?}");
            works(&evaluator, filter).await;
        }
        assert_eq!(ask(&evaluator, "test(\"(a*)*b\")", &json!("aaaa")).await, Ok(json!(false)));
    });
}

#[test]
fn a_filter_is_told_that_it_took_too_long_in_words() {
    run(async {
        let error = ask(&evaluator(), "def f: f; f", &Value::Null).await.unwrap_err();
        assert_eq!(error.to_string(), "the filter took longer than 1 s");
    });
    assert_eq!(EvaluationError::Memory.to_string(), "the filter needed more than 256 MB");
    assert_eq!(EvaluationError::Depth.to_string(), "the filter recursed too deeply");
}

#[test]
fn a_child_that_is_killed_from_outside_costs_nobody_an_answer() {
    run(async {
        let evaluator = evaluator();
        works(&evaluator, "the start").await;
        // At rest.
        let first = evaluator.child().unwrap();
        kill(first);
        works(&evaluator, "a kill at rest").await;
        // In the middle of many.
        let second = evaluator.child().unwrap();
        assert_ne!(first, second);
        let input = json!({"a": 1});
        let asked = join_all((0..1_000).map(|_| ask(&evaluator, "[range(1000)] | length + 0", &input)));
        let (answers, ()) = tokio::join!(asked, async { kill(second) });
        assert!(answers.iter().all(|answer| *answer == Ok(json!(1_000))));
        works(&evaluator, "a kill in the middle").await;
        assert_ne!(evaluator.child(), Some(second));
    });
}

#[test]
fn a_child_that_is_killed_again_and_again_is_not_tried_for_ever() {
    run(async {
        let evaluator = evaluator();
        works(&evaluator, "the start").await;
        let slow = tokio::time::timeout(DEADLINE, evaluator.ask("def f: f; f", Scope::of(&Value::Null)));
        let killer = async {
            let mut killed = Vec::new();
            while killed.len() < 2 {
                if let Some(child) = evaluator.child().filter(|child| !killed.contains(child)) {
                    kill(child);
                    killed.push(child);
                }
                tokio::task::yield_now().await;
            }
        };
        let (answer, ()) = tokio::join!(slow, killer);
        assert!(matches!(answer.unwrap(), Err(EvaluationError::Unavailable(why)) if why.contains("evaluator")));
        works(&evaluator, "two kills").await;
    });
}

#[test]
#[cfg(target_os = "linux")]
fn a_child_that_is_halted_costs_one_filter_and_is_replaced() {
    run(async {
        let evaluator = evaluator();
        works(&evaluator, "the start").await;
        let halted = evaluator.child().unwrap();
        kill_process(Pid::from_raw(i32::try_from(halted).unwrap()).unwrap(), Signal::STOP).unwrap();
        let stat = || fs::read_to_string(format!("/proc/{halted}/stat")).unwrap();
        while !stat().contains(") T ") {
            tokio::task::yield_now().await;
        }
        assert_eq!(ask(&evaluator, "1 + 1", &Value::Null).await, Err(EvaluationError::Time));
        gone(halted);
        works(&evaluator, "a halt").await;
    });
}

#[test]
fn large_values_pass_and_too_large_ones_are_refused() {
    run(async {
        let evaluator = evaluator();
        let large = json!(vec!["x".repeat(1_000); 1_000]);
        assert_eq!(ask(&evaluator, ".[1:]  | length", &large).await, Ok(json!(999)));
        assert_eq!(ask(&evaluator, ". | select(true)", &large).await, Ok(large));
        let too_large = json!("x".repeat(65 << 20));
        let error = ask(&evaluator, "length + 0", &too_large).await.unwrap_err();
        assert!(error.to_string().contains("more than 64 MB"), "{error}");
        works(&evaluator, "large values").await;
    });
}

#[test]
fn whoever_stops_waiting_leaves_the_others_their_answers() {
    run(async {
        let evaluator = evaluator();
        let input = json!({"a": 1});
        drop(join_all((0..200).map(|_| ask(&evaluator, ".a + 2", &input))));
        let hurried =
            tokio::time::timeout(Duration::ZERO, join_all((0..200).map(|_| ask(&evaluator, ".a + 3", &input))));
        assert!(hurried.await.is_err());
        works(&evaluator, "two hundred who left").await;
    });
}

#[test]
fn no_child_outlives_its_evaluator_not_even_one_at_work() {
    let (at_rest, at_work) = run(async {
        let evaluator = evaluator();
        works(&evaluator, "the start").await;
        let at_rest = evaluator.child().unwrap();
        drop(evaluator);
        while is_alive(at_rest) {
            tokio::task::yield_now().await;
        }
        let evaluator = self::evaluator();
        works(&evaluator, "the start").await;
        let left =
            tokio::time::timeout(Duration::from_millis(1), evaluator.ask("def f: f; f", Scope::of(&Value::Null)));
        assert!(left.await.is_err());
        (at_rest, evaluator.child().unwrap())
    });
    gone(at_rest);
    gone(at_work);
}

#[test]
fn an_evaluator_goes_on_in_another_runtime() {
    let evaluator = evaluator();
    run(works(&evaluator, "the start"));
    run(works(&evaluator, "the end of the first runtime"));
}

#[test]
fn a_program_that_is_no_evaluator_is_an_error_and_not_a_wait() {
    run(async {
        for (program, words) in [
            ("/nonexistent/upbeat", "could not start"),
            ("/bin/true", "before it was ready"),
            ("/bin/echo", "not upbeat"),
        ] {
            let evaluator = Evaluator::new(program.into());
            let answers = join_all((0..3).map(|_| ask(&evaluator, "1 + 1", &Value::Null))).await;
            for answer in answers {
                let Err(EvaluationError::Unavailable(why)) = answer else { panic!("{program}: {answer:?}") };
                assert!(why.contains(words), "{program}: {why}");
            }
        }
    });
}

#[test]
#[cfg(target_os = "linux")]
fn the_child_has_no_environment_no_terminal_no_folder_and_its_limits() {
    run(async {
        let evaluator = evaluator();
        works(&evaluator, "the start").await;
        let of = |what: &str| format!("/proc/{}/{what}", evaluator.child().unwrap());
        assert_eq!(fs::read(of("environ")).unwrap(), b"");
        assert_eq!(fs::read_link(of("cwd")).unwrap().to_str(), Some("/"));
        for fd in 0..3 {
            let target = fs::read_link(of(&format!("fd/{fd}"))).unwrap();
            assert!(target.to_string_lossy().starts_with("pipe:"), "{target:?}");
        }
        let stat = fs::read_to_string(of("stat")).unwrap();
        let session: u32 = stat.rsplit_once(')').unwrap().1.split_whitespace().nth(3).unwrap().parse().unwrap();
        assert_eq!(Some(session), evaluator.child(), "a session of its own");
        let limits = fs::read_to_string(of("limits")).unwrap();
        let limit = |name: &str| {
            let line = limits.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.split_whitespace().next().unwrap().to_owned()
        };
        assert_eq!((limit("Max core file size").as_str(), limit("Max open files").as_str()), ("0", "3"));
        assert!(limit("Max cpu time").parse::<u64>().unwrap() <= 6);
        let memory: u64 = limit("Max address space").parse().unwrap();
        assert!(memory < 1 << 30, "{memory}");
    });
}

/// A child whose request never ends and whose input stays open, as when upbeat is gone or halted in the middle.
#[cfg(target_os = "linux")]
fn endless(command: &mut Command) -> (Child, u32) {
    let mut started = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(started.stdout.take().unwrap());
    let mut line = String::new();
    said.read_line(&mut line).unwrap();
    let pid = line.trim().parse();
    if pid.is_ok() {
        line.clear();
        said.read_line(&mut line).unwrap();
    }
    assert_eq!(line, "{\"ready\":true}\n");
    started.stdin.as_mut().unwrap().write_all(b"{\"filter\":\"def f: f; f\"}\n").unwrap();
    let pid = pid.unwrap_or(started.id());
    (started, pid)
}

#[test]
#[cfg(target_os = "linux")]
fn a_child_at_work_ends_with_the_process_that_started_it() {
    // The shell names the child before the child says anything: only then does it get its program.
    let line =
        "exec 3<&0; mkfifo \"$1/go\"; (read go <\"$1/go\"; exec \"$0\" __eval <&3) & echo $!; echo >\"$1/go\"; wait";
    let folder = tempfile::tempdir().unwrap();
    let mut shell = Command::new("/bin/sh");
    let shell = shell.env("PATH", "/bin:/usr/bin").arg("-c").arg(line).arg(PROGRAM).arg(folder.path());
    let (mut shell, child) = endless(shell);
    shell.kill().unwrap();
    shell.wait().unwrap();
    gone(child);
}

#[test]
#[cfg(target_os = "linux")]
fn a_child_that_nobody_ends_is_ended_by_its_limit_on_processor_time() {
    let (mut child, _) = endless(Command::new(PROGRAM).arg(COMMAND));
    let ended = child.wait().unwrap();
    assert_eq!(ended.signal(), Some(Signal::XCPU.as_raw()), "{ended}");
}
