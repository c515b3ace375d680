//! Files that use others, templates and routes: what they become, and what is refused.

use super::tests::{Broken, faults, good, told};
use super::*;
use crate::model::agent::AgentKind;
use crate::model::expression::Expression;
use crate::model::id::Name;
use crate::model::route::When;
use crate::model::step::{EnvValue, Step, Work};
use crate::model::time::Micros;
use crate::model::workflow::Workflow;
use serde_json::json;

/// Files that lie in a folder, by name; a number stands for a file that uses the next one.
fn shelf(name: &str) -> Option<String> {
    let text = match name {
        "inner.yaml" => INNER,
        "self.yaml" => "steps: { a: { uses: ./self.yaml } }",
        "ring.yaml" => "steps: { a: { uses: ring2.yaml } }",
        "ring2.yaml" => "steps: { a: { run: ls }, b: { uses: ring.yaml } }",
        "bad.yaml" => "steps:\n  a: { run: ls, timeot: 3 }\n  b: { capability: nobody }\n",
        "other.yaml" => {
            "agents: { s: { kind: simulated, capabilities: [c], duration: 9s } }\ntemplates: { t: { run: pwd } }\nsteps: { a: { capability: c }, r: { route: true } }"
        }
        "unknown.yaml" => "steps: { a: { capability: c }, b: { run: ls }, p: { approval: { prompt: ok? } } }",
        "two.yaml" => "steps: { a: { run: ls }, b: { run: ls } }",
        "decides.yaml" => {
            "mode: auto\nlimits: { max_parallel: 1, capability: { none: 1 } }\nrecovery: rollback\nsteps: { a: { run: ls } }"
        }
        "text.txt" => "just text",
        _ => {
            let depth: u32 = name.strip_suffix(".yaml")?.parse().ok()?;
            return Some(format!("steps: {{ a: {{ uses: {}.yaml }} }}", depth + 1))
                .filter(|_| depth < 20)
                .or(Some("steps: { a: { run: ls } }".to_owned()));
        }
    };
    Some(text.to_owned())
}

fn from_shelf(using: &str, file: &str) -> Result<Used, Box<Diagnostic>> {
    let name = file.trim_start_matches("./");
    match shelf(name) {
        Some(text) => {
            Ok(Used { source: Source::new(file, text), path: format!("/shelf/{name}"), hash: format!("#{name}") })
        }
        None => Err(Box::new(Diagnostic::whole_file(using, Code::Unreadable, "there is no such file"))),
    }
}

fn options() -> Options {
    Options { used: Some(from_shelf), file: Some("/shelf/main.yaml".to_owned()), ..Options::default() }
}

fn read_with(text: &str) -> Outcome<Workflow> {
    read(&Source::new("main.yaml", text), &options())
}

/// What is said of a text, by file, place and kind, with the message.
fn said(text: &str) -> Vec<(String, String)> {
    let outcome = read_with(text);
    let place = |d: &Diagnostic| format!("{}:{}:{} {}", d.file, d.line, d.column, d.code.word());
    outcome.diagnostics.iter().map(|d| (place(d), d.message.clone())).collect()
}

const INNER: &str = r#"
data: { topic: none, n: 1 }
env: { A: inner, B: "${{ .n }}" }
agents:
  s: { kind: simulated, capabilities: [c], duration: 2s }
  own: { kind: process, capabilities: [d], command: [cat], cwd: tools }
defaults: { retry: 0 }
templates: { t: { run: ls, cwd: t } }
success: any
steps:
  first: { capability: c, with: { topic: "${{ .topic }}" } }
  second: { run: make, cwd: sub, env: { B: own }, needs: first, estimate: 3s, compensate: { run: undo } }
result: { from: [first, second], strategy: first }
"#;

#[test]
fn a_file_that_is_used_is_read_like_any_other_and_its_agents_join_the_whole() {
    let outcome = read_with(
        "agents: { s: { kind: simulated, capabilities: [c], duration: 2s } }\nenv: { M: main }\ntemplates: { u: { capability: c } }\nsteps:\n  a: { uses: inner.yaml, with: { topic: x }, output: { text: y }, for_each: '[1, 2]', max_parallel: 1, critical: true, priority: 9 }\n  b: { uses: ./inner.yaml, estimate: 1s, needs: a }\n  r: { route: true }\n",
    );
    assert!(outcome.diagnostics.is_empty(), "{}", outcome.render());
    assert_eq!(
        outcome.files.iter().map(|file| (&*file.path, &*file.hash)).collect::<Vec<_>>(),
        [("/shelf/inner.yaml", "#inner.yaml")]
    );
    let flow = outcome.value.unwrap();
    let named: Vec<&str> = flow.agents.iter().map(|agent| &*agent.id).collect();
    assert_eq!(named[..2], ["s", "own"], "{named:?}");
    let AgentKind::Process(own) = &flow.agents[1].kind else { panic!("it is a process") };
    assert_eq!(own.cwd.as_deref(), Some("/shelf/tools"));
    // What its steps ask for is there, and what only its routing could ask for.
    for capability in ["local process", "json", "chunk", "numeric", "validate"] {
        assert!(
            flow.agents.iter().any(|agent| agent.capabilities.iter().any(|own| &**own == capability)),
            "{capability}"
        );
    }
    assert_eq!(flow.templates.keys().map(|name| &**name).collect::<Vec<_>>(), ["u", "t"]);
    assert_eq!(flow.templates["t"].cwd.as_deref(), Some("/shelf/t"));
    let Work::Uses { file, workflow } = &flow.steps[0].work else { panic!("it uses a file") };
    assert_eq!((file.as_str(), &*workflow.id, workflow.data["topic"].as_str()), ("inner.yaml", "inner", Some("none")));
    assert!(workflow.routes.is_empty());
    assert!(workflow.result.is_some() && workflow.success == crate::model::policy::Success::Any);
    let second: &Step = &workflow.steps[1];
    let text = |name: &str, text: &str| (Name::from(name).to_string(), EnvValue::Text(text.to_owned()));
    assert_eq!(second.env, [text("A", "inner"), text("B", "${{ .n }}"), text("B", "own")]);
    assert_eq!(second.cwd.as_deref(), Some("/shelf/sub"));
    let undo = second.compensate.as_deref().unwrap();
    assert_eq!((undo.env.first(), undo.cwd.as_deref()), (Some(&text("A", "inner")), Some("/shelf/sub")));
    assert!(undo.env.iter().all(|(_, value)| *value != EnvValue::Text("${{ .n }}".to_owned())));
    assert_eq!((second.retry.limit, workflow.steps[0].retry.limit), (0, 0));
    let estimates: Vec<_> = flow.steps.iter().map(|step| step.estimate).collect();
    assert_eq!(estimates, [Some(Micros::from_secs(5)), Some(Micros::from_secs(1)), None]);
    assert_eq!((flow.steps[0].with.len(), flow.steps[0].for_each.is_some(), flow.steps[0].critical), (1, true, true));
}

#[test]
fn how_long_it_takes_is_not_made_up() {
    let flow = read_with("agents: { s: { kind: simulated, capabilities: [c] } }\nsteps: { a: { uses: unknown.yaml } }")
        .value
        .unwrap();
    assert_eq!(flow.steps[0].estimate, None);
}

#[test]
fn agents_of_the_option_take_the_place_of_those_of_every_file() {
    let agents =
        read_agents(&Source::new("agents.yaml", "agents: { s: { kind: simulated, capabilities: [c, z] } }"), None);
    let main = "agents: { s: { kind: simulated, capabilities: [c] } }\nsteps: { a: { uses: other.yaml }, b: { capability: z } }\ntemplates: { t: { run: pwd } }";
    let refused = read_with(main);
    assert!(refused.render().contains("agent `s` is another one in main.yaml:1"), "{}", refused.render());
    let outcome = read(&Source::new("main.yaml", main), &Options { agents: agents.value.unwrap(), ..options() });
    let flow = outcome.value.unwrap();
    assert_eq!(flow.agents.iter().filter(|agent| &*agent.id == "s").count(), 1);
    assert_eq!(flow.agents[0].capabilities.len(), 2);
}

#[test]
fn faults_of_files_that_are_used_have_their_own_names_and_places() {
    let rows: &[(&str, &[(&str, &str)])] = &[
        (
            "steps: { a: { uses: bad.yaml }, b: { uses: bad.yaml } }",
            &[("bad.yaml:2:17 unknown_key", "`timeot`"), ("bad.yaml:3:20 unknown_capability", "`nobody`")],
        ),
        (
            "steps: { a: { uses: none.yaml } }",
            &[("main.yaml:1:21 unreadable", "`none.yaml` cannot be used: there is no such file")],
        ),
        ("steps: { a: { uses: text.txt } }", &[("text.txt:1:1 wrong_type", "a workflow has to be a map")]),
        ("steps: { a: { uses: main.yaml } }", &[("main.yaml:1:21 unreadable", "no such file")]),
        ("steps: { a: { uses: self.yaml } }", &[("self.yaml:1:21 cycle", "self.yaml -> self.yaml")]),
        ("steps: [{ id: x, uses: ring.yaml }]", &[("ring2.yaml:1:37 cycle", "ring.yaml -> ring2.yaml -> ring.yaml")]),
        (
            "steps: { a: { uses: 1.yaml } }",
            &[(
                "8.yaml:1:21 too_large",
                "more than 8 deep: main.yaml -> 1.yaml -> 2.yaml -> 3.yaml -> 4.yaml -> 5.yaml -> 6.yaml -> 7.yaml -> 8.yaml -> 9.yaml",
            )],
        ),
        (
            "agents: { s: { kind: simulated, capabilities: [c] } }\ntemplates: { t: { run: ls } }\nsteps: { a: { uses: other.yaml }, r: { route: true } }",
            &[
                ("other.yaml:1:11 duplicate_id", "agent `s` is another one in main.yaml:1"),
                ("other.yaml:2:14 duplicate_id", "template `t` is another one in main.yaml:2"),
            ],
        ),
        (
            "steps: { a: { uses: decides.yaml } }",
            &[
                ("decides.yaml:1:1 no_effect", "`mode` has no effect here"),
                ("decides.yaml:2:1 no_effect", "`limits`"),
                ("decides.yaml:3:1 no_effect", "`recovery`"),
            ],
        ),
    ];
    for (text, expected) in rows {
        let told = said(text);
        let fits = told.len() == expected.len()
            && told.iter().zip(*expected).all(|((place, message), (at, piece))| place == at && message.contains(piece));
        assert!(fits, "{text}\n{told:#?}");
    }
    assert!(read_with("steps: { a: { uses: decides.yaml } }").value.is_some());
    assert!(read_with("steps: { a: { uses: 13.yaml } }").value.is_some(), "eight deep is not too deep");
    assert!(read_with("steps: { a: { uses: 12.yaml } }").value.is_none());
    let mut shallow_then_deep = said("steps: { a: { uses: 14.yaml }, b: { uses: 12.yaml } }");
    assert!(
        shallow_then_deep.pop().is_some_and(
            |(_, message)| message.contains("more than 8 deep: main.yaml -> 12.yaml -> 13.yaml -> 14.yaml")
        )
    );
}

#[test]
fn steps_of_used_files_count_as_often_as_they_are_used() {
    let using = |count: usize| {
        let steps: String = (0..count).map(|at| format!("  - {{ id: s{at}, uses: two.yaml }}\n")).collect();
        read_with(&format!("steps:\n{steps}"))
    };
    assert_eq!(using(100).value.unwrap().steps.len(), 100);
    let refused = using(33_334);
    assert!(refused.value.is_none());
    assert!(refused.render().contains("there are more than 100000"), "{}", refused.render());
}

#[test]
fn without_anybody_who_reads_files_none_is_used() {
    let outcome = faults("main.yaml", "steps: { a: { uses: inner.yaml } }");
    assert!(
        outcome.render().contains("`inner.yaml` cannot be used: no other file is read here"),
        "{}",
        outcome.render()
    );
}

#[test]
fn templates_and_routes_reach_the_model() {
    let flow = good(
        "agents: { s: { kind: simulated, capabilities: [c] } }\ndefaults: { retry: 5, needs: [], critical: true }\ntemplates:\n  clean: { capability: c, with: { a: 1 }, timeout: 3s, expect: { assert: .ok } }\n  json: { capability: c }\nroutes:\n  - { when: .size > 3, path: [clean, validate] }\n  - { when: large_data, path: [json] }\n  - { when: ' structured_data', path: [echo] }\n  - { when: streaming_data, path: [sleep, clean, clean] }\n  - { when: kind.name, path: [clean] }\nsteps:\n  r: { route: true, with: { x: 1 }, input: { y: .z }, required: [y], if: .on, for_each: .list, output: { value: out }, priority: high, critical: false, group: g }\n",
    );
    assert_eq!(flow.steps[0].work, Work::Route);
    let clean = &flow.templates["clean"];
    assert_eq!(
        (&*clean.id, clean.retry.limit, clean.critical, clean.timeout),
        ("clean", 5, false, Some(Micros::from_secs(3)))
    );
    let whens: Vec<&When> = flow.routes.iter().map(|route| &route.when).collect();
    let source = |text: &str| When::Filter(Expression::of_source(text).unwrap());
    let expected =
        [source(".size > 3"), When::LargeData, When::StructuredData, When::StreamingData, source("kind.name")];
    assert_eq!(whens, expected.iter().collect::<Vec<_>>());
    assert_eq!(flow.routes[3].path, ["sleep".into(), "clean".into(), Name::from("clean")]);
    let offered: Vec<&str> = flow.agents.iter().map(|agent| &*agent.id).collect();
    // The template stands in for the built-in agent of its name.
    assert_eq!(offered, ["s", "builtin.echo", "builtin.sleep", "builtin.chunk", "builtin.numeric", "builtin.validate"]);
}

#[rustfmt::skip]
const REFUSED: &[Broken] = &[
    ("steps: { r: { route: false } }\n", &[("1:22 conflict", "`route: false` says that nothing is done", None)]),
    ("steps: { r: { route: yes } }\n", &[("1:22 wrong_type", "`route` has the wrong type", Some("true"))]),
    ("steps: { r: { route: true, run: ls } }\n", &[("1:15 conflict", "this one has `run` and `route`", None)]),
    ("steps: { r: { route: true, timeout: 3 } }\n", &[("1:28 conflict", "`timeout` has no meaning beside `route`", None)]),
    ("steps: { r: { route: true, estimate: 3 } }\n", &[("1:28 conflict", "`estimate` has no meaning beside `route`", None)]),
    ("steps: { r: { route: true, expect: { schema: true }, pivot: true } }\n",
        &[("1:28 conflict", "`expect`", None), ("1:54 conflict", "`pivot`", None)]),
    ("steps: { r: { route: true, barrier: b, for_each: x } }\n",
        &[("1:28 conflict", "exclude each other", None), ("1:28 conflict", "`barrier` has no meaning beside `route`", None)]),
    ("defaults: { route: true }\nsteps: { r: { run: ls } }\n", &[("1:13 conflict", "a way belongs to one step", None)]),
    ("defaults: { uses: x.yaml }\nsteps: { r: { run: ls } }\n", &[("1:13 conflict", "what is used belongs to one step", None)]),
    ("templates: { t: { run: ls, needs: a, critical: true, id: t, for_each: x, approval: { prompt: a } } }\nsteps: { r: { route: true } }\n",
        &[("1:28 conflict", "the path says what comes before it", None), ("1:38 conflict", "the routing step says", None), ("1:54 conflict", "goes by its name", None),
          ("1:61 conflict", "stands at the routing step", None), ("1:74 conflict", "asked of an agent", None)]),
    ("templates: { t: { aggregate: { from: [a], strategy: first } } }\nsteps: { r: { route: true } }\n",
        &[("1:14 missing_key", "this step does nothing", None), ("1:19 conflict", "a template is asked of an agent", None)]),
    ("templates: { t: { run: ls, uses: x, route: true, expand: true, barrier: b } }\nsteps: { r: { route: true } }\n",
        &[("1:28 conflict", "asked of an agent", None), ("1:37 conflict", "further paths", None), ("1:50 conflict", "a step of the file", None), ("1:64 conflict", "not known beforehand", None)]),
    ("templates: { clean: { capability: nobody } }\nsteps: { r: { route: true } }\n", &[("1:35 unknown_capability", "`nobody`", None)]),
    ("templates: { 'a b': { run: ls } }\nsteps: { r: { route: true } }\n", &[("1:14 bad_text", "`a b`", None)]),
    ("templates: { clean: { run: ls } }\nroutes: [{ when: .a, path: [claen, valid, nothing_like_it] }]\nsteps: { r: { route: true } }\n",
        &[("2:29 unknown_template", "no template `claen`", Some("clean")), ("2:36 unknown_template", "`valid`", None), ("2:43 unknown_template", "`nothing_like_it`", None)]),
    ("routes: [{ path: [json] }, { when: .a }, { when: .a, path: [] }]\nsteps: { r: { route: true } }\n",
        &[("1:10 missing_key", "a route needs `when`", None), ("1:28 missing_key", "a route needs `path`", None), ("1:60 out_of_range", "`path` is empty", None)]),
    ("routes: [{ when: 'a b', path: [json] }]\nsteps: { r: { route: true } }\n", &[("1:18 bad_text", "not a data path", Some(".a b"))]),
    ("steps: { r: { uses: \"\" } }\n", &[("1:21 bad_text", "`uses` cannot be ``", None)]),
    ("steps: { r: { uses: [a] } }\n", &[("1:21 wrong_type", "a list", None)]),
];

#[rustfmt::skip]
const WARNED: &[Broken] = &[
    ("templates: { t: { run: ls } }\nroutes: [{ when: .a, path: [t] }]\nsteps: { r: { run: ls } }\n",
        &[("1:14 no_effect", "`templates` have no effect", None), ("2:10 no_effect", "`routes` have no effect", None)]),
];

#[test]
fn what_cannot_be_is_refused_and_what_does_nothing_is_told() {
    told(Severity::Error, REFUSED);
    told(Severity::Warning, WARNED);
}

#[test]
fn keys_beside_uses_are_those_that_concern_the_step_as_a_whole() {
    for key in [
        "action: x",
        "timeout: 3",
        "idle_timeout: 3",
        "retry: 1",
        "fallback: []",
        "env: {A: b}",
        "cwd: x",
        "stdout: json",
        "expect: {schema: true}",
        "on_exhausted: pause",
        "idempotent: true",
        "on_unknown: ask",
        "on_cancel: leave",
        "compensate: {run: ls}",
        "barrier: b",
        "lock: l",
        "semaphore: {name: s, permits: 1}",
        "resources: {cpu: 1}",
        "parallel_safe: false",
        "expand: true",
        "pivot: true",
    ] {
        let told = said(&format!("steps: {{ a: {{ uses: two.yaml, {key} }} }}"));
        let name = key.split(':').next().unwrap();
        let expected = format!("`{name}` has no meaning beside `uses`");
        assert!(told.iter().any(|(_, message)| message.contains(&expected)), "{key}: {told:?}");
    }
    let taken = "steps: { a: { uses: two.yaml, name: n, description: d, group: g, if: .go, with: { x: 1 }, input: { y: .z }, required: [y], output: { a: b }, for_each: .l, max_parallel: 2, chunk: 3, success: any, priority: 5, critical: true, estimate: 3 } }";
    assert_eq!(said(taken), []);
    assert_eq!(read_with(taken).value.unwrap().steps[0].with, *json!({"x": 1}).as_object().unwrap());
}
