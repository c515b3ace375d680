//! Whole files through the whole room: what a good one becomes, what broken ones are told, and that nothing hangs.

use super::*;
use crate::model::agent::AgentKind;
use crate::model::expression::Expression;
use crate::model::path::Path;
use crate::model::policy::Mode;
use crate::model::policy::{Jitter, Recovery, Success};
use crate::model::rng::Rng;
use crate::model::step::{EnvValue, Fallback, NeedOn, StdoutMode, Work};
use crate::model::time::Micros;
use crate::model::workflow::Workflow;
use serde_json::json;

const FULL: &str = r#"
id: full
name: Everything this build takes
description: ~
data: { user: { names: [ada, bob] }, n: 0x10 }
env: { LANG: C, TOKEN: { env: SECRET }, SHOWN: { env: PLAIN, plain: true } }
mode: sequential
limits: { max_parallel: 4, deadline: 1h, capability: { search: 2 } }
defaults: { priority: high, cwd: work }
success: { min: 80% }
recovery: fail_fast
on_threshold_missed: fail
agents:
  s1:
    kind: simulated
    capabilities: [search, search]
    slots: 3
    weight: 2.5
    backup: true
    breaker: off
    speed: 2
    duration: 1.5
    jitter: 0.1
    fail_rate: 0.25
    output: null
    script: { find: { duration: 2s, output: { a: [1] }, fail_rate: 0 } }
  p1: { kind: process, command: [cat, "-"], cwd: x, env: { A: b }, grace: 100ms, protocol: oneshot, allow_faults: true }
  nap: { kind: builtin, capabilities: [sleep, doze], slots: 2 }
steps:
  find:
    capability: search
    action: find
    with: { q: [1, { two: true }] }
    input: { name: "user.names[0]", n: n }
    required: [name]
    output: { a: found.list }
    timeout: off
    retry: { limit: 5, interval: 60s, backoff: 1.5, jitter: none, on: [crash, timeout] }
    critical: true
    fallback: [{ agent: p1 }, { capability: doze }, { value: null }]
    estimate: 1m30s
    group: g
  list: { run: "ls \"$UPBEAT_IN_A\"", needs: find, input: { a: found.list }, stdout: text, env: { X: y } }
  argv: { command: [git, status], needs: [find, list], priority: 7, timeout: 5, stdout: json, cwd: other }
  last: { agent: p1, needs: { argv: { on: completed }, list: { on: failed }, find: {} }, priority: low, retry: 0 }
"#;

pub(super) fn good(text: &str) -> Workflow {
    let outcome = read(&Source::new("dir/my flow.yaml", text), &Options::default());
    assert!(outcome.diagnostics.is_empty(), "{}", outcome.render());
    outcome.value.unwrap()
}

pub(super) fn faults(name: &str, text: &str) -> Outcome<Workflow> {
    read(&Source::new(name, text), &Options::default())
}

#[test]
fn every_key_of_this_build_reaches_the_model() {
    let flow = good(FULL);
    assert_eq!((&*flow.id, flow.description.as_deref(), flow.mode_source.as_str()), ("full", None, "the file"));
    assert_eq!(flow.data, json!({"user": {"names": ["ada", "bob"]}, "n": 16}));
    let from = |name: &str, masked| EnvValue::FromEnv { name: name.to_owned(), masked };
    let env =
        [("LANG", EnvValue::Text("C".to_owned())), ("TOKEN", from("SECRET", true)), ("SHOWN", from("PLAIN", false))];
    assert_eq!(flow.env, env.map(|(name, value)| (name.to_owned(), value)));
    assert_eq!((flow.mode, flow.success, flow.recovery), (Mode::Sequential, Success::Min(0.8), Recovery::FailFast));
    assert_eq!((flow.limits.max_parallel, flow.limits.deadline), (Some(4), Some(Micros::from_secs(3600))));
    assert_eq!(flow.limits.capability["search"], 2);
    let AgentKind::Simulated(simulated) = &flow.agents[0].kind else { panic!("s1 is simulated") };
    assert_eq!((flow.agents[0].slots, flow.agents[0].weight, flow.agents[0].backup), (3, 2.5, true));
    assert_eq!((flow.agents[0].capabilities.len(), simulated.speed, simulated.jitter), (1, 2.0, 0.1));
    assert_eq!(simulated.default.output, Some(json!(null)));
    assert_eq!(simulated.duration(None, None), Micros::from_millis(1_500));
    assert_eq!(simulated.duration(Some("find"), None), Micros::from_secs(2));
    let AgentKind::Process(process) = &flow.agents[1].kind else { panic!("p1 is a process") };
    assert_eq!(
        (process.command.join(" "), process.grace, flow.agents[1].allow_faults),
        ("cat -".to_owned(), Micros::from_millis(100), true)
    );
    assert_eq!((flow.agents[2].slots, flow.agents[3].slots), (2, 1));
    assert_eq!(flow.agents.len(), 4, "the built-in process agent was added, the built-in sleep was not");
    let find = &flow.steps[0];
    assert_eq!((find.timeout, find.critical, find.priority, find.cwd.as_deref()), (None, true, 75, None));
    assert_eq!(
        (find.input[0].source.clone(), find.input[0].required, find.input[1].required),
        (Expression::Path(Path::parse("user.names[0]").unwrap()), true, false)
    );
    assert_eq!(
        (find.retry.limit, find.retry.max_interval, find.retry.jitter),
        (5, Micros::from_secs(60), Jitter::None)
    );
    assert_eq!(
        find.fallback,
        [Fallback::Agent("p1".into()), Fallback::Capability("doze".into()), Fallback::Value(json!(null))]
    );
    let list = &flow.steps[1];
    assert_eq!((list.timeout, list.retry.limit, list.stdout), (Some(Micros::from_secs(600)), 0, StdoutMode::Text));
    assert_eq!((list.cwd.as_deref(), flow.steps[2].cwd.as_deref()), (Some("work"), Some("other")));
    assert_eq!(flow.steps[2].work, Work::Command { argv: vec!["git".to_owned(), "status".to_owned()] });
    let ons: Vec<(u32, NeedOn)> = flow.steps[3].needs.iter().map(|need| (need.step.0, need.on)).collect();
    assert_eq!(ons, [(2, NeedOn::Completed), (1, NeedOn::Failed), (0, NeedOn::Succeeded)]);
}

#[test]
fn what_is_left_out_takes_the_defaults_of_the_contract() {
    let flow = good(
        "agents: { a: { kind: simulated, capabilities: [c] } }\nsteps: [{ id: x, capability: c }, { id: y, capability: c, estimate: 20 }]\n",
    );
    assert_eq!(
        (&*flow.id, flow.mode, flow.success, flow.recovery),
        ("my-flow", Mode::Parallel, Success::All, Recovery::Continue)
    );
    let x = &flow.steps[0];
    assert_eq!((x.timeout, x.retry.limit, x.priority), (Some(Micros::from_secs(30)), 2, 50));
    assert_eq!(flow.steps[1].timeout, Some(Micros::from_secs(60)));
    assert_eq!(flow.data, json!({}));
}

const DATACLASS: &str = r#"{"workflow_id": "w1", "name": "Dump", "description": null, "steps": [
  {"step_id": "a", "action": "collect", "agent_capability": "c1", "input_mapping": {"s": "symbols"},
   "output_mapping": {"d": "raw"}, "dependencies": [], "timeout": 10, "retry_count": 2, "estimated_duration": null},
  {"step_id": "b", "action": "x", "agent_capability": "c2", "input_mapping": {"d": "raw", "p": "p.current"},
   "output_mapping": {"o": "l.pos"}, "dependencies": ["a"], "timeout": 30.5, "retry_count": 1}],
 "initial_data": {"symbols": ["A"], "p": {"current": {"A": 1}}}}"#;

#[test]
fn a_dump_of_the_dataclasses_loads_unchanged_with_an_agents_file() {
    let agents =
        "agents:\n  one: { kind: simulated, capabilities: [c1] }\n  two: { kind: simulated, capabilities: [c2] }\n";
    let agents = read_agents(&Source::new("agents.yaml", agents), None).value.unwrap();
    let options = Options { agents, ..Options::default() };
    let outcome = read(&Source::new("w.json", DATACLASS), &options);
    assert!(outcome.diagnostics.is_empty(), "{}", outcome.render());
    let flow = outcome.value.unwrap();
    assert_eq!((&*flow.id, flow.steps.len(), flow.agents.len()), ("w1", 2, 2));
    assert_eq!(flow.steps[1].needs.len(), 1);
    assert_eq!(flow.steps[1].timeout, Some(Micros::from_millis(30_500)));
    assert_eq!(flow.steps[0].retry.limit, 2);
    let alone = read(&Source::new("w.json", DATACLASS), &Options::default());
    assert_eq!(alone.diagnostics.iter().filter(|d| d.code == Code::UnknownCapability).count(), 2);
    let for_its_graph =
        read(&Source::new("w.json", DATACLASS), &Options { agents_needed: false, ..Options::default() });
    assert!(for_its_graph.value.is_some());
}

#[test]
fn the_agents_file_wins_over_an_agent_of_the_same_id() {
    let agents =
        read_agents(&Source::new("a", "agents: { A: { kind: simulated, capabilities: [d], slots: 9 } }"), None)
            .value
            .unwrap();
    let text = "agents: { a: { kind: simulated, capabilities: [c] } }\nsteps: { x: { capability: d } }\n";
    let flow = read(&Source::new("w", text), &Options { agents, ..Options::default() }).value.unwrap();
    assert_eq!((flow.agents.len(), flow.agents[0].slots, &*flow.agents[0].id), (1, 9, "A"));
}

#[test]
fn options_are_laid_over_the_file() {
    let data = read_data(&Source::new("d", "a: { z: 1 }\nb: 2\n")).value;
    let options = Options {
        data,
        set: vec![data::parse_set("a.y=3").unwrap()],
        mode: Some((Mode::Sequential, "the option --mode".to_owned())),
        max_parallel: Some(3),
        folder: Some("f".to_owned()),
        cores: 8,
        ..Options::default()
    };
    let flow = read(&Source::new("w", "data: { a: { x: 0 } }\nsteps: { x: { run: ls } }\n"), &options).value.unwrap();
    assert_eq!(flow.data, json!({"a": {"z": 1, "y": 3}, "b": 2}));
    assert_eq!((flow.mode, flow.limits.max_parallel, flow.folder.as_deref()), (Mode::Sequential, Some(3), Some("f")));
    assert_eq!((flow.mode_source.as_str(), flow.agents[0].slots), ("the option --mode", 8));
}

/// A broken file: its text, and for each fault in order `line:column code`, a piece of the message, and the suggestion.
pub(super) type Broken = (&'static str, &'static [(&'static str, &'static str, Option<&'static str>)]);

pub(super) const A: &str = "agents: { a: { kind: simulated, capabilities: [c] } }\n";

#[rustfmt::skip]
const BROKEN: &[Broken] = &[
    ("steps: [", &[("1:8 syntax", "not YAML", None)]),
    ("", &[("1:1 empty", "empty", None)]),
    ("- a\n", &[("1:1 wrong_type", "a workflow has to be a map, found a list", None)]),
    ("just text\n", &[("1:1 wrong_type", "found text", None)]),
    ("id: x\n", &[("1:1 missing_key", "a workflow needs `steps`", None)]),
    ("steps: []\n", &[("1:8 out_of_range", "`steps` is empty", None)]),
    ("steps: {}\n", &[("1:8 out_of_range", "`steps` is empty", None)]),
    ("step: { a: { run: ls } }\n", &[("1:1 unknown_key", "`step`", Some("steps"))]),
    ("steps: { a: { run: ls, timeot: 5 } }\n", &[("1:24 unknown_key", "`timeot`", Some("timeout"))]),
    ("steps: { a: { run: ls, timeout: soon } }\n", &[("1:33 bad_text", "does not read as a duration: `soon`", None)]),
    ("steps: { a: { run: ls, timeout: \"10\" } }\n", &[("1:33 bad_text", "duration", Some("10s"))]),
    ("steps: { a: { run: ls, timeout: 0 } }\n", &[("1:33 out_of_range", "too short: `0`", None)]),
    ("steps: { a: { run: ls, timeout: 367d } }\n", &[("1:33 out_of_range", "`367d`", None)]),
    ("steps: { a: { run: ls, timeout: -5 } }\n", &[("1:33 out_of_range", "`-5`", None)]),
    ("steps: { a: { run: ls, timeout: false } }\n", &[("1:33 wrong_type", "found `false`", Some("off"))]),
    ("steps: { a: { run: ls, retry: 2000000 } }\n", &[("1:31 out_of_range", "`retry`", None)]),
    ("steps: { a: { run: ls, retry: 1.5 } }\n", &[("1:31 wrong_type", "`retry`", None)]),
    ("steps: { a: { run: ls, retry: \"3\" } }\n", &[("1:31 wrong_type", "the text `3`", Some("3"))]),
    ("steps: { a: { run: ls, retry: { interval: 9ms } } }\n", &[("1:43 out_of_range", "too short", None)]),
    ("steps: { a: { run: ls, retry: { on: [crahs] } } }\n", &[("1:38 unknown_word", "`crahs`", Some("crash"))]),
    ("steps: { a: { run: ls, retry: { interval: 9s, max_interval: 1s } } }\n", &[("1:61 out_of_range", "shorter than `interval`", None)]),
    ("steps: { a: { run: ls, priority: hihg } }\n", &[("1:34 unknown_word", "`hihg`", Some("high"))]),
    ("steps: { a: { run: ls, priority: 101 } }\n", &[("1:34 out_of_range", "101", None)]),
    ("steps: { a: { run: ls, critical: yes } }\n", &[("1:34 wrong_type", "the text `yes`", Some("true"))]),
    ("steps: { a: { run: ls, critical: True } }\n", &[("1:34 wrong_type", "the text `True`", Some("true"))]),
    ("steps: { a: { run: ls, priority: 007 } }\n", &[("1:34 ambiguous_number", "`007` is the number 7", None)]),
    ("steps: { a: { run: ls, priority: 1_0 } }\n", &[("1:34 ambiguous_number", "the number 10 to YAML 1.1", None)]),
    ("steps: { a: { run: ls }, a: { run: ls } }\n", &[("1:26 duplicate_key", "first in line 1", None)]),
    ("steps: [{ id: a, run: ls }, { id: A, run: ls }]\n", &[("1:35 duplicate_id", "without regard to case", None)]),
    ("steps: [{ id: a, run: ls }, { id: a, run: ls }]\n", &[("1:35 duplicate_id", "`a` is there twice, first in line 1", None)]),
    ("steps: [{ run: ls }]\n", &[("1:9 missing_key", "a step needs `id`", None)]),
    ("steps: [{ id: \"a b\", run: ls }]\n", &[("1:15 bad_text", "`a b`", None)]),
    ("steps: { _a: { run: ls } }\n", &[("1:10 bad_text", "`_a` cannot be a name here", None)]),
    ("steps: { 1: { run: ls } }\n", &[("1:10 key_not_text", "a number 1", Some("\"1\""))]),
    ("steps: [{ id: 1, run: ls }]\n", &[("1:15 wrong_type", "`1`, a number", Some("\"1\""))]),
    ("steps: { a: { name: x } }\n", &[("1:10 missing_key", "this step does nothing", None)]),
    ("steps: { a: { run: ls, command: [ls] } }\n", &[("1:24 conflict", "`run` and `command`", None)]),
    ("steps: { a: { run: \"\" } }\n", &[("1:20 bad_text", "`run` cannot be ``", None)]),
    ("steps: { a: { command: ls } }\n", &[("1:24 wrong_type", "the text `ls`", Some("[ls]"))]),
    ("steps: { a: { command: [] } }\n", &[("1:24 out_of_range", "`command` is empty", None)]),
    ("steps: { a: { run: 'echo ${{ .user.name }}' } }\n", &[("1:26 conflict", "\"$UPBEAT_IN_NAME\"", Some("with: { name: '${{ .user.name }}' }"))]),
    ("steps: { a: { run: ls, input: { k: a..b } } }\n", &[("1:36 bad_text", "not a data path", None)]),
    ("data: { x: 1 }\nsteps: { a: { run: ls, input: { key: x }, required: [kye] } }\n", &[("2:54 unknown_key", "`kye` is required", Some("key"))]),
    ("steps: { a: { run: ls, output: { k: 'a[x]' } } }\n", &[("1:37 bad_text", "an index is a whole number", None)]),
    ("steps: { a: { run: ls, env: { LD_PRELOAD: x } } }\n", &[("1:31 bad_text", "`LD_PRELOAD`", None)]),
    ("steps: { a: { run: ls, env: { PORT: 80 } } }\n", &[("1:37 wrong_type", "`80`", Some("\"80\""))]),
    ("mode: paralel\nsteps: { a: { run: ls } }\n", &[("1:7 unknown_word", "`paralel`", Some("parallel"))]),
    ("success: { min: 0.8 }\nsteps: { a: { run: ls } }\n", &[("1:17 wrong_type", "`0.8`", None)]),
    ("success: { min: 120% }\nsteps: { a: { run: ls } }\n", &[("1:17 bad_text", "`120%`", None)]),
    ("success: most\nsteps: { a: { run: ls } }\n", &[("1:10 unknown_word", "`most`", None)]),
    ("limits: { max_parallel: 0 }\nsteps: { a: { run: ls } }\n", &[("1:25 out_of_range", "`max_parallel`", None)]),
    ("id: w\nworkflow_id: w\nsteps: { a: { run: ls } }\n", &[("2:1 duplicate_key", "another name of `id`", None)]),
    ("data: [1]\nsteps: { a: { run: ls } }\n", &[("1:7 wrong_type", "a list", None)]),
    ("groups: {}\nsteps: { a: { run: ls } }\n", &[("1:1 unsupported", "`groups`", None)]),
    ("steps:\n  fetch: { run: ls }\n  use: { run: ls, needs: fetsh }\n", &[("3:26 unknown_step", "`use` needs `fetsh`", Some("fetch"))]),
    ("steps:\n  a: { run: ls, needs: c }\n  b: { run: ls, needs: a }\n  c: { run: ls, needs: [b] }\n",
        &[("2:24 cycle", "a -> b -> c -> a", None)]),
    ("steps:\n  a: { run: ls, needs: a }\n  b: { run: ls, needs: c }\n  c: { run: ls, needs: b }\n",
        &[("2:24 cycle", "a -> a", None), ("3:24 cycle", "b -> c -> b", None)]),
    ("steps: { a: { agent: nobody } }\n", &[("1:22 unknown_agent", "`nobody`", None)]),
    ("steps: { a: { capability: eco } }\n", &[("1:27 unknown_capability", "`eco`", Some("echo"))]),
    ("steps: { a: { run: ls, fallback: [{ agent: x, value: 1 }] } }\n", &[("1:35 conflict", "names one thing", None)]),
    ("steps: { a: { run: ls, fallback: [{ agent: builtin.ech }] } }\n", &[("1:44 unknown_agent", "builtin.ech", Some("builtin.echo"))]),
    ("agents: { a: { capabilities: [c] } }\nsteps: { x: { capability: c } }\n", &[("1:11 missing_key", "agent `a` needs `kind`", None)]),
    ("agents: { a: { kind: llm, model: x, capabilities: [c] } }\nsteps: { x: { capability: c } }\n", &[("1:22 unsupported", "`llm` as a `kind`", None)]),
    ("agents: { a: { kind: simulatd, capabilities: [c] } }\nsteps: { x: { capability: c } }\n", &[("1:22 unknown_word", "`simulatd`", Some("simulated"))]),
    ("agents: { a: { kind: process, capabilities: [c] } }\nsteps: { x: { capability: c } }\n", &[("1:11 missing_key", "a process agent needs `command`", None)]),
    ("agents: { a: { kind: process, command: [x], protocol: worker } }\nsteps: { x: { agent: a } }\n", &[("1:55 unsupported", "`worker`", None)]),
    ("agents: { a: { kind: simulated, fail_rate: 2 } }\nsteps: { x: { agent: a } }\n", &[("1:44 out_of_range", "`fail_rate`", None)]),
    ("agents: { a: { kind: builtin } }\nsteps: { x: { agent: a } }\n", &[("1:11 bad_text", "not clear which built-in", None)]),
    ("agents: { builtin.x: { kind: simulated } }\nsteps: { x: { run: ls } }\n", &[("1:11 bad_text", "belong to the built-in agents", None)]),
    ("agents: { a: { kind: simulated, capabilities: [\"a b\"] } }\nsteps: { x: { run: ls } }\n", &[("1:48 bad_text", "`a b`", None)]),
    ("defaults: { id: x }\nsteps: { a: { run: ls } }\n", &[("1:13 conflict", "`id` cannot stand here: every step has its own", None)]),
    ("steps: { a: &x { run: ls, <<: *x } }\n", &[("1:27 yaml_feature", "merge keys", None), ("1:31 bad_alias", "inside the value", None)]),
    ("base: &b { retry: 1 }\nsteps: { a: { run: ls, <<: *b } }\n", &[("1:1 unknown_key", "`base`", None), ("2:24 yaml_feature", "merge keys", None)]),
    ("steps: { a: { run: !sh ls } }\n", &[("1:24 yaml_feature", "tags are not supported, found `!sh`", None)]),
    ("steps: { a: { run: ls } }\n---\nsteps: {}\n", &[("2:1 second_document", "second document", None)]),
    ("steps: { a: { run: ls, timeout: .inf } }\n", &[("1:33 number_range", "not a finite number", None)]),
];

/// Holds files against what is to be said about them at one severity.
pub(super) fn told(severity: Severity, rows: &[Broken]) {
    let mut wrong = String::new();
    for (text, expected) in rows {
        let outcome = faults("f.yaml", text);
        let told: Vec<&Diagnostic> = outcome.diagnostics.iter().filter(|d| d.severity == severity).collect();
        let fits = told.len() == expected.len()
            && told.iter().zip(*expected).all(|(fault, (place, piece, suggestion))| {
                format!("{}:{} {}", fault.line, fault.column, fault.code.word()) == *place
                    && fault.message.contains(piece)
                    && fault.suggestion.as_deref() == *suggestion
            });
        if !fits || outcome.value.is_some() == (severity == Severity::Error) {
            wrong.push_str(&format!("{text}{}expected {expected:?}\n\n", outcome.render()));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn broken_files_are_told_where_and_what_and_what_was_meant() {
    assert!(BROKEN.len() > 65);
    told(Severity::Error, BROKEN);
}

#[test]
fn a_json_file_is_strict_json() {
    let outcome = faults("f.json", "{\"steps\": {\"a\": {\"run\": \"ls\",}}}");
    assert_eq!((outcome.diagnostics[0].column, outcome.diagnostics[0].code), (30, Code::Syntax));
    assert!(faults("f.yaml", "{\"steps\": {\"a\": {\"run\": \"ls\",}}}").value.is_some());
}

#[test]
fn all_faults_of_a_file_are_reported_in_one_go_with_excerpts() {
    let text = format!(
        "{A}mode: paralel\nsteps:\n  one: {{ capability: c, timeot: 5s, priority: 900 }}\n  two: {{ capability: d, needs: [on], route: x }}\n"
    );
    let outcome = faults("flow.yaml", &text);
    let codes: Vec<&str> = outcome.diagnostics.iter().map(|d| d.code.word()).collect();
    assert_eq!(
        codes,
        ["unknown_word", "unknown_key", "out_of_range", "unknown_capability", "unknown_step", "conflict", "wrong_type"]
    );
    let rendered = outcome.render();
    assert!(rendered.contains("flow.yaml:4:25: error[unknown_key]: unknown key `timeot`\n  4 |   one: { capability: c, timeot: 5s, priority: 900 }\n    |                         ^^^^^^\n"), "{rendered}");
    assert!(rendered.contains("\n  help: did you mean `timeout`?\n"));
}

#[test]
fn warnings_do_not_refuse_a_file() {
    let text = "data: { known: 1 }\nsteps:\n  a: { run: ls, output: { x: out.a } }\n  b: { run: ls, output: { x: out.a } }\n  c: { run: ls, needs: [a, a], input: { k: out.a, l: nowhere, m: known, n: out } }\n  d: { run: ls, input: { k: out.a.deep } }\n";
    let outcome = faults("w.yaml", text);
    assert!(outcome.value.is_some());
    let found: Vec<String> =
        outcome.diagnostics.iter().map(|d| format!("{}:{} {}", d.line, d.column, d.message)).collect();
    let expected = [
        "4:30 `a` and `b` both write `out.a`, in no fixed order",
        "5:28 `a` is needed already",
        "5:54 nothing provides `nowhere`: it is not in `data`, and no step writes it",
        "6:29 `out.a.deep` is written by `a`, which this step does not wait for",
    ];
    assert_eq!(found, expected);
    let ordered = "steps:\n  a: { run: ls, output: { x: o } }\n  m: { run: ls, needs: a }\n  b: { run: ls, needs: m, input: { i: o }, output: { x: o } }\n";
    assert!(faults("w.yaml", ordered).diagnostics.is_empty());
    let echo = "agents: { mine: { kind: simulated, capabilities: [echo] } }\nsteps: { a: { capability: echo } }\n";
    let outcome = faults("w.yaml", echo);
    assert_eq!((outcome.diagnostics[0].severity, outcome.diagnostics[0].code), (Severity::Note, Code::ReplacesBuiltin));
    assert_eq!(outcome.value.unwrap().agents.len(), 1);
}

#[test]
fn hostile_names_are_shown_safely() {
    let rendered =
        faults("f\u{1b}]0;x\u{7}.yaml", "steps: { a: { \"\\u001b[31mred\\u202e\": 1, run: ls } }\n").render();
    assert!(!rendered.contains(['\u{1b}', '\u{7}', '\u{202e}']), "{rendered:?}");
}

#[test]
fn bytes_that_are_no_text_or_too_many_are_refused_with_a_place() {
    let fault = source_from_bytes("f", b"a: 1\nb: \xff".to_vec()).unwrap_err();
    assert_eq!((fault.line, fault.column, fault.code), (2, 4, Code::Encoding));
    assert_eq!(source_from_bytes("f", vec![b' '; LIMITS.bytes + 1]).unwrap_err().code, Code::TooLarge);
    assert!(source_from_bytes("f", "\u{feff}steps: { a: { run: ls } }".into()).is_ok());
}

#[test]
fn limits_hold_for_steps_needs_and_diagnostics() {
    let steps = |count: usize, extra: &str| {
        let lines: Vec<String> = (0..count).map(|n| format!("  s{n}: {{ run: ls{extra} }}\n")).collect();
        format!("steps:\n{}", lines.concat())
    };
    let all = faults("f.yaml", &steps(100_000, ""));
    assert_eq!(all.value.unwrap().steps.len(), 100_000);
    assert_eq!(faults("f.yaml", &steps(100_001, "")).diagnostics[0].code, Code::TooLarge);
    let many = faults("f.yaml", &steps(20_000, ", timeot: 1"));
    assert_eq!((many.diagnostics.len(), many.more), (1_000, 19_000));
    assert!(many.render().ends_with("… and 19000 more (at most 1000 are shown)\n"));
}

#[test]
fn one_line_of_a_megabyte_and_a_huge_text_are_no_trouble() {
    let steps: Vec<String> = (0..20_000).map(|n| format!("{{\"id\":\"s{n}\",\"run\":\"ls\",\"bad{n}\":1}}")).collect();
    let outcome = faults("f.yaml", &format!("{{\"steps\":[{}]}}", steps.join(",")));
    assert_eq!((outcome.diagnostics.len(), outcome.more), (1_000, 19_000));
    let huge = format!("data: {{ x: \"{}\" }}\nsteps: {{ a: {{ run: ls }} }}\n", "y".repeat(8 << 20));
    assert!(faults("f.yaml", &huge).value.is_some());
    let long_key =
        format!("{{\"data\": {{\"{}\": 1}}, \"steps\": {{\"a\": {{\"run\": \"ls\"}}}}}}", "k".repeat(1 << 20));
    assert!(faults("f.json", &long_key).value.is_some());
    assert!(!faults("f.yaml", &"[".repeat(1 << 20)).diagnostics.is_empty());
    assert!(!faults("f.yaml", &"a: ".repeat(1 << 18)).diagnostics.is_empty());
}

/// Changes a file at random `rounds` times; each time it has to load well-formed or be refused. How often it loaded.
pub(super) fn mutated(name: &str, base: &str, seed: u64, rounds: usize) -> usize {
    let pieces = [
        "\u{0}", "\n", "  ", "- ", ": ", "{", "}", "[", "]", "\"", "'", "&a ", "*a", "!t ", "|", ">", "#", "%", "é",
        "0", "_", "~", "<<: ", "---\n", "${{",
    ];
    let mut rng = Rng::new(seed);
    let mut loaded = 0;
    for _ in 0..rounds {
        let mut text: Vec<char> = base.chars().collect();
        for _ in 0..=rng.below(4) {
            if text.is_empty() {
                break;
            }
            let at = rng.below(text.len() as u64) as usize;
            match rng.below(4) {
                0 => drop(text.remove(at)),
                1 => drop(text.splice(at..at, pieces[rng.below(pieces.len() as u64) as usize].chars())),
                2 => text.truncate(at.max(1)),
                _ => {
                    let other = rng.below(text.len() as u64) as usize;
                    text.swap(at, other);
                }
            }
        }
        let text: String = text.into_iter().collect();
        let outcome = read(&Source::new(name, text.as_str()), &Options { agents_needed: false, ..Options::default() });
        assert!(outcome.value.is_some() || outcome.diagnostics.iter().any(|d| d.severity == Severity::Error), "{text}");
        assert!(outcome.diagnostics.iter().all(|d| d.line >= 1 && d.column >= 1));
        let _ = outcome.render();
        if let Some(flow) = outcome.value {
            loaded += 1;
            assert!(flow.steps.iter().all(|step| step.needs.iter().all(|need| need.step.index() < flow.steps.len())));
        }
    }
    loaded
}

#[test]
fn no_mutation_of_a_valid_file_panics_or_loads_without_being_well_formed() {
    let loaded = mutated("f.json", DATACLASS, 2024, 1_000) + mutated("f.yaml", FULL, 2025, 2_000);
    assert!(loaded > 100, "{loaded}");
}
