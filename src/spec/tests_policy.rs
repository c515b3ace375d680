//! What files say about failures, undoing, load and people: what it becomes, what is refused, and what has no effect.

use super::tests::{A, Broken, faults, good, mutated, told};
use super::*;
use crate::model::completion::FailureClass;
use crate::model::defaults;
use crate::model::policy::Mode;
use crate::model::policy::{
    BreakerPolicy, Health, HealthProbe, OnCancel, OnExhausted, OnThresholdMissed, RateLimit, Recovery, Resources,
    RetryBudget,
};
use crate::model::rng::Rng;
use crate::model::step::{Decision, Semaphore, Step, Work};
use crate::model::time::Micros;
use crate::model::workflow::Workflow;
use serde_json::json;

const FULL: &str = r#"
mode: hybrid
parallel_threshold: 4
recovery: rollback
on_threshold_missed: escalate
limits: { retry_budget: { min: 5, share: 10% } }
env: { LANG: C }
agents:
  a:
    kind: simulated
    capabilities: [c]
    breaker: { failures: 5, cooldown: 1m }
    health: { url: "https://example.org:8443/up?x=@y", every: 5s }
    rate_limit: { calls: 100, per: 1m }
    resources: { cpu: 4, memory_mb: 8000 }
  b: { kind: process, command: [cat], capabilities: [d], breaker: off, health: { command: [test, -e, x] }, resources: { cpu: 2 } }
  usual: { kind: simulated, capabilities: [e], breaker: { failures: 1 } }
  nap: { kind: builtin, capabilities: [sleep] }
steps:
  book:
    capability: c
    action: book
    idle_timeout: 10s
    retry: { limit: 1, on: [idle_timeout, rate_limited, quality_rejected] }
    compensate: { action: cancel, with: { fee: 1 } }
    on_cancel: compensate
    on_exhausted: pause
    lock: desk
    semaphore: { name: lines, permits: 2 }
    resources: { cpu: 0.5, memory_mb: 100 }
  pay:
    capability: c
    needs: book
    compensate: { agent: b, retry: { interval: 2s }, timeout: off }
    semaphore: { name: lines, permits: 2 }
    idle_timeout: off
  write:
    run: "touch x"
    cwd: work
    env: { X: y }
    needs: pay
    compensate: { run: "rm x", retry: 1, timeout: 5s }
    resources: { cpu: 1 }
  ship: { capability: c, pivot: true, critical: true, needs: write, compensate: { capability: e, action: back } }
  left: { capability: c, barrier: gate }
  right: { capability: e, barrier: gate }
  ask: { approval: { prompt: "Go?", timeout: 1h, default: reject }, needs: ship, priority: high, output: { a: b } }
"#;

fn undo(step: &Step) -> &Step {
    step.compensate.as_deref().expect("it says how it is undone")
}

#[test]
fn every_policy_reaches_the_model() {
    let outcome = faults("f.yaml", FULL);
    let told: Vec<&str> = outcome.diagnostics.iter().map(|d| d.message.as_str()).collect();
    assert_eq!(told, ["`resources` has no effect: no agent that can do this step says what it has"]);
    let flow = outcome.value.unwrap();
    assert_eq!((flow.mode, flow.parallel_threshold, flow.mode_source.as_str()), (Mode::Hybrid, 4, "the file"));
    assert_eq!((flow.recovery, flow.on_threshold_missed), (Recovery::Rollback, OnThresholdMissed::Escalate));
    assert_eq!(flow.limits.retry_budget, Some(RetryBudget { min: 5, share: 0.1 }));
    let [a, b, usual, nap, ..] = &flow.agents[..] else { panic!("four agents") };
    assert_eq!(a.breaker, Some(BreakerPolicy { failures: 5, cooldown: Micros::from_secs(60) }));
    assert_eq!((b.breaker, nap.breaker), (None, None));
    assert_eq!(usual.breaker, Some(BreakerPolicy { failures: 1, ..defaults::BREAKER }));
    let probe = HealthProbe::Url("https://example.org:8443/up?x=@y".to_owned());
    assert_eq!(a.health, Some(Health { probe, every: Micros::from_secs(5) }));
    let probe = HealthProbe::Command(["test", "-e", "x"].map(str::to_owned).to_vec());
    assert_eq!(b.health, Some(Health { probe, every: defaults::HEALTH_EVERY }));
    assert_eq!(a.rate_limit, Some(RateLimit { calls: 100, per: Micros::from_secs(60) }));
    assert_eq!(a.resources, Some(Resources { cpu: 4.0, memory_mb: 8000.0 }));
    assert_eq!(b.resources, Some(Resources { cpu: 2.0, memory_mb: Resources::UNBOUNDED }));
    let [book, .., left, right, ask] = &flow.steps[..] else { panic!("seven steps") };
    assert_eq!((book.idle_timeout, flow.steps[1].idle_timeout), (Some(Micros::from_secs(10)), None));
    let classes = [FailureClass::IdleTimeout, FailureClass::RateLimited, FailureClass::QualityRejected];
    assert_eq!(book.retry.on.as_deref(), Some(&classes[..]));
    assert_eq!((book.on_cancel, book.on_exhausted), (OnCancel::Compensate, OnExhausted::Pause));
    assert_eq!((book.lock.as_deref(), left.lock.as_deref()), (Some("desk"), None));
    assert_eq!(book.semaphore, Some(Semaphore { name: "lines".into(), permits: 2 }));
    assert_eq!(book.resources, Some(Resources { cpu: 0.5, memory_mb: 100.0 }));
    assert_eq!((left.barrier.as_deref(), right.barrier.as_deref()), (Some("gate"), Some("gate")));
    let timeout = Some(Micros::from_secs(3600));
    assert_eq!(ask.work, Work::Approval { prompt: "Go?".to_owned(), timeout, default: Some(Decision::Reject) });
    assert_eq!((ask.timeout, ask.retry.limit, ask.priority, ask.output.len()), (None, 0, 75, 1));
    let text = serde_json::to_string(&flow).unwrap();
    assert_eq!(serde_json::from_str::<Workflow>(&text).unwrap(), flow, "it survives being saved");
}

#[test]
fn a_compensation_is_a_step_of_its_own_with_five_attempts() {
    let flow = faults("f.yaml", FULL).value.unwrap();
    let [book, pay, write, ship, ..] = &flow.steps[..] else { panic!("seven steps") };
    let undone = undo(book);
    assert_eq!((&*undone.id, &undone.work), ("book", &book.work));
    assert_eq!((undone.action.as_deref(), &undone.with["fee"]), (Some("cancel"), &json!(1)));
    assert_eq!((undone.retry.limit, undone.timeout), (4, Some(Micros::from_secs(30))));
    let undone = undo(pay);
    assert_eq!(undone.work, Work::Agent { agent: "b".into() });
    assert_eq!((undone.retry.limit, undone.retry.interval, undone.timeout), (4, Micros::from_secs(2), None));
    assert!(undone.needs.is_empty() && undone.compensate.is_none());
    let undone = undo(write);
    assert_eq!(undone.work, Work::Run { line: "rm x".to_owned() });
    assert_eq!((undone.cwd.as_deref(), undone.env.len(), undone.retry.limit), (Some("work"), 1, 1));
    assert_eq!(undone.timeout, Some(Micros::from_secs(5)));
    assert_eq!(undo(ship).work, Work::Capability { capability: "e".into() });
    assert!(ship.pivot && ship.critical && !book.pivot && !book.critical);
}

#[test]
fn a_compensation_by_a_process_works_where_all_steps_do() {
    let text = format!(
        "{A}defaults: {{ cwd: w, env: {{ K: v }} }}\nsteps: {{ a: {{ capability: c, compensate: {{ command: [rm, x] }} }} }}\n"
    );
    let flow = good(&text);
    let undone = undo(&flow.steps[0]);
    assert_eq!((undone.cwd.as_deref(), undone.env.len(), flow.steps[0].cwd.as_deref()), (Some("w"), 1, None));
    assert_eq!((undone.timeout, flow.agents.len()), (Some(Micros::from_secs(600)), 2));
}

#[test]
fn all_step_keys_may_stand_in_defaults_and_give_way_to_a_persons_answer() {
    let text = format!(
        "{A}defaults: {{ idle_timeout: 2s, on_cancel: compensate, on_exhausted: pause, lock: l, retry: 3, timeout: 9s, pivot: false, barrier: b, semaphore: {{ name: s, permits: 1 }}, resources: {{ cpu: 1 }} }}\n\
         steps: {{ a: {{ capability: c, compensate: {{ action: u }} }}, b: {{ capability: c }}, q: {{ approval: {{ prompt: p }} }} }}\n"
    );
    let flow = faults("f.yaml", &text).value.unwrap();
    let [a, b, q] = &flow.steps[..] else { panic!("three steps") };
    assert_eq!((a.on_cancel, b.on_cancel), (OnCancel::Compensate, OnCancel::Leave));
    for step in [a, b] {
        assert_eq!((step.idle_timeout, step.lock.as_deref()), (Some(Micros::from_secs(2)), Some("l")));
        assert!(step.barrier.is_some() && step.semaphore.is_some() && step.resources.is_some());
        assert_eq!((step.on_exhausted, step.retry.limit), (OnExhausted::Pause, 3));
    }
    assert_eq!((q.idle_timeout, q.timeout, &q.lock, &q.barrier, &q.semaphore), (None, None, &None, &None, &None));
    assert_eq!(
        (q.resources, q.retry.limit, q.on_cancel, q.on_exhausted),
        (None, 0, OnCancel::Leave, OnExhausted::Fail)
    );
}

#[test]
fn words_that_say_the_usual_are_the_usual() {
    let said = "mode: parallel\nrecovery: continue\non_threshold_missed: fail\nsteps: { a: { run: ls, idle_timeout: off, on_exhausted: fail, on_cancel: leave, pivot: false } }\n";
    let unsaid = "mode: parallel\nsteps: { a: { run: ls } }\n";
    assert_eq!(good(said), good(unsaid));
    for (mode, word) in [(Mode::Auto, "auto"), (Mode::Hybrid, "hybrid")] {
        assert_eq!(good(&format!("mode: {word}\nsteps: {{ a: {{ run: ls }} }}\n")).mode, mode);
    }
    let recovery = |word: &str| {
        good(&format!("recovery: {word}\nsteps: {{ a: {{ run: ls, compensate: {{ run: u }} }} }}\n")).recovery
    };
    assert_eq!([recovery("retry"), recovery("rollback")], [Recovery::Retry, Recovery::Rollback]);
    let budget = |text: &str| {
        good(&format!("limits: {{ retry_budget: {text} }}\nsteps: {{ a: {{ run: ls }} }}\n"))
            .limits
            .retry_budget
            .unwrap()
    };
    assert_eq!(budget("7"), RetryBudget { min: 7, share: 0.0 });
    assert_eq!(budget("{}"), RetryBudget { min: 3, share: 0.2 });
    assert_eq!(budget("{ share: 50% }"), RetryBudget { min: 3, share: 0.5 });
}

#[rustfmt::skip]
const BROKEN: &[Broken] = &[
    ("parallel_threshold: 1\nmode: hybrid\nsteps: { a: { run: ls } }\n", &[("1:21 out_of_range", "`parallel_threshold`", None)]),
    ("recovery: rolback\nsteps: { a: { run: ls } }\n", &[("1:11 unknown_word", "`rolback`", Some("rollback"))]),
    ("on_threshold_missed: ask\nsteps: { a: { run: ls } }\n", &[("1:22 unknown_word", "`ask`", None)]),
    ("limits: { retry_budget: { share: 120% } }\nsteps: { a: { run: ls } }\n", &[("1:34 bad_text", "`120%`", None)]),
    ("limits: { retry_budget: 20% }\nsteps: { a: { run: ls } }\n", &[("1:25 wrong_type", "the text `20%`", None)]),
    ("limits: { retry_budget: -1 }\nsteps: { a: { run: ls } }\n", &[("1:25 out_of_range", "`retry_budget`", None)]),
    ("steps: { a: { run: ls, idle_timeout: 0 } }\n", &[("1:38 out_of_range", "too short", None)]),
    ("steps: { a: { run: ls, on_exhausted: wait } }\n", &[("1:38 unknown_word", "`wait`", None)]),
    ("steps: { a: { run: ls, on_cancel: compensate } }\n", &[("1:35 missing_key", "needs `compensate`", None)]),
    ("steps: { a: { run: ls, pivot: yes } }\n", &[("1:31 wrong_type", "the text `yes`", Some("true"))]),
    ("steps: { a: { run: ls, lock: \"a b\" } }\n", &[("1:30 bad_text", "`a b`", None)]),
    ("steps: { a: { run: ls, semaphore: x } }\n", &[("1:35 wrong_type", "the text `x`", None)]),
    ("steps: { a: { run: ls, semaphore: { name: x } } }\n", &[("1:35 missing_key", "`semaphore` needs `permits`", None)]),
    ("steps: { a: { run: ls, semaphore: { name: x, permits: 0 } } }\n", &[("1:55 out_of_range", "`permits`", None)]),
    ("steps:\n  a: { run: ls, semaphore: { name: x, permits: 2 } }\n  b: { run: ls, semaphore: { name: x, permits: 3 } }\n",
        &[("3:28 conflict", "semaphore `x` has 3 permits here and 2 in line 2", None)]),
    ("steps: { a: { run: ls, resources: {} } }\n", &[("1:35 missing_key", "names nothing", None)]),
    ("steps: { a: { run: ls, resources: { cpu: 0 } } }\n", &[("1:42 out_of_range", "`cpu`", None)]),
    ("steps: { a: { run: ls, resources: { memory: 5 } } }\n", &[("1:37 unknown_key", "`memory`", Some("memory_mb"))]),
    ("agents: { a: { kind: simulated, capabilities: [c], resources: { cpu: 2 } }, b: { kind: simulated, capabilities: [c], resources: { cpu: 1, memory_mb: 50 } } }\nsteps: { x: { capability: c, resources: { cpu: 3 } } }\n",
        &[("2:41 out_of_range", "will ever have cpu 3", None)]),
    ("agents: { a: { kind: simulated, capabilities: [c], resources: { cpu: 2 } }, b: { kind: simulated, resources: { cpu: 9 } } }\nsteps: { x: { agent: b, resources: { cpu: 3 }, fallback: [{ capability: c }] } }\n",
        &[("2:73 out_of_range", "will ever have cpu 3", None)]),
    ("steps: { a: { approval: { timeout: 5s, default: approve } } }\n", &[("1:25 missing_key", "`approval` needs `prompt`", None)]),
    ("steps: { a: { approval: { prompt: \"\" } } }\n", &[("1:35 bad_text", "`prompt`", None)]),
    ("steps: { a: { approval: { prompt: p, default: yes } } }\n", &[("1:47 unknown_word", "`yes`", None)]),
    ("steps: { a: { approval: { prompt: p, timeout: off } } }\n", &[("1:47 bad_text", "does not read as a duration", None)]),
    ("steps: { a: { approval: { prompt: p }, run: ls } }\n", &[("1:15 conflict", "a step does one thing, this one has `run` and `approval`", None)]),
    ("steps: { a: { approval: { prompt: p }, retry: 2, timeout: 5s, lock: l } }\n",
        &[("1:40 conflict", "`retry` has no meaning beside `approval`", None), ("1:50 conflict", "`timeout`", None), ("1:63 conflict", "`lock`", None)]),
    ("steps: { a: { approval: { prompt: p }, cwd: x, input: { k: v } } }\n",
        &[("1:40 conflict", "`cwd` has no meaning", None), ("1:48 conflict", "`input`", None)]),
    ("defaults: { approval: { prompt: p } }\nsteps: { a: { run: ls } }\n", &[("1:13 conflict", "`approval` cannot stand here", None)]),
    ("steps: { a: { run: ls, compensate: { action: undo } } }\n", &[("1:36 missing_key", "does not say who undoes", None)]),
    ("steps: { a: { capability: echo, compensate: { with: { x: 1 } } } }\n", &[("1:45 missing_key", "does not say what undoes", None)]),
    ("steps: { a: { capability: echo, compensate: { run: a, command: [b] } } }\n", &[("1:55 conflict", "a compensation does one thing, this one has `run` and `command`", None)]),
    ("steps: { a: { run: ls, compensate: { agent: nobody } } }\n", &[("1:45 unknown_agent", "`nobody`", None)]),
    ("steps: { a: { run: ls, compensate: { capability: eco } } }\n", &[("1:50 unknown_capability", "`eco`", Some("echo"))]),
    ("steps: { a: { run: ls, compensate: { run: 'rm ${{ x }}' } } }\n", &[("1:47 conflict", "nothing is computed here", None)]),
    ("steps: { a: { run: ls, compensate: { run: u, fallback: [] } } }\n", &[("1:46 unknown_key", "`fallback`", None)]),
    ("steps: { a: { run: ls, compensate: undo } }\n", &[("1:36 wrong_type", "the text `undo`", None)]),
    ("agents: { a: { kind: simulated, breaker: on } }\nsteps: { x: { agent: a } }\n", &[("1:42 unknown_word", "`on`", None)]),
    ("agents: { a: { kind: simulated, breaker: false } }\nsteps: { x: { agent: a } }\n", &[("1:42 wrong_type", "found `false`", Some("off"))]),
    ("agents: { a: { kind: simulated, breaker: { failures: 0 } } }\nsteps: { x: { agent: a } }\n", &[("1:54 out_of_range", "`failures`", None)]),
    ("agents: { a: { kind: simulated, breaker: { cooldown: 6m } } }\nsteps: { x: { agent: a } }\n", &[("1:54 out_of_range", "longer than a breaker ever stays open", None)]),
    ("agents: { a: { kind: simulated, rate_limit: { calls: 5 } } }\nsteps: { x: { agent: a } }\n", &[("1:45 missing_key", "`rate_limit` needs `per`", None)]),
    ("agents: { a: { kind: simulated, rate_limit: { calls: 100001, per: 1s } } }\nsteps: { x: { agent: a } }\n", &[("1:54 out_of_range", "`calls`", None)]),
    ("agents: { a: { kind: simulated, health: { every: 5s } } }\nsteps: { x: { agent: a } }\n", &[("1:41 conflict", "asks nothing", None)]),
    ("agents: { a: { kind: simulated, health: { url: \"http://a\", command: [x] } } }\nsteps: { x: { agent: a } }\n", &[("1:41 conflict", "asks one thing", None)]),
    ("agents: { a: { kind: simulated, health: { url: \"http://a\", every: 1ms } } }\nsteps: { x: { agent: a } }\n", &[("1:67 out_of_range", "too short", None)]),
    ("agents: { a: { kind: simulated, health: { url: \"ftp://a\" } } }\nsteps: { x: { agent: a } }\n", &[("1:48 bad_text", "does not read as an address: `ftp://a`", None)]),
    ("agents: { a: { kind: simulated, health: { url: \"http://me:hush@a/\" } } }\nsteps: { x: { agent: a } }\n", &[("1:48 secret", "not shown", None)]),
    ("steps:\n  a: { run: ls, barrier: g }\n  b: { run: ls, barrier: g, needs: a }\n", &[("3:26 deadlock", ": a -> b ~g~ a", None)]),
    ("steps:\n  a: { run: ls, barrier: g }\n  x: { run: ls, needs: a }\n  b: { run: ls, barrier: g, needs: [x] }\n", &[("4:26 deadlock", "a -> x -> b ~g~ a", None)]),
    ("steps:\n  a: { run: ls, barrier: g }\n  b: { run: ls, barrier: g, needs: c }\n  c: { run: ls, barrier: h }\n  d: { run: ls, barrier: h, needs: a }\n",
        &[("5:26 deadlock", "a -> d ~h~ c -> b ~g~ a", None)]),
    ("steps:\n  a: { run: ls, barrier: g, needs: b }\n  b: { run: ls, barrier: g, needs: a }\n", &[("2:36 cycle", "a -> b -> a", None)]),
];

#[test]
fn broken_policies_are_told_where_and_what_and_what_was_meant() {
    told(Severity::Error, BROKEN);
}

#[rustfmt::skip]
const IDLE: &[Broken] = &[
    ("parallel_threshold: 4\nsteps: { a: { run: ls } }\n", &[("1:1 no_effect", "`parallel_threshold`", None)]),
    ("mode: auto\nparallel_threshold: 4\nsteps: { a: { run: ls } }\n", &[]),
    ("recovery: rollback\nsteps: { a: { run: ls } }\n", &[("1:11 no_effect", "nothing can be rolled back", None)]),
    ("steps: { a: { run: ls, pivot: true } }\n", &[("1:31 no_effect", "`pivot` has no effect", None)]),
    ("steps: { a: { run: ls, barrier: g } }\n", &[("1:33 no_effect", "nobody else waits at `g`", None)]),
    ("steps: { a: { run: ls, timeout: 5s, idle_timeout: 5s } }\n", &[("1:51 no_effect", "`idle_timeout` never strikes", None)]),
    ("steps: { a: { run: ls, timeout: off, idle_timeout: 1d } }\n", &[]),
    ("steps: { a: { approval: { prompt: p, timeout: 5s } } }\n", &[("1:38 no_effect", "`timeout` has no effect without `default`", None)]),
    ("steps: { a: { approval: { prompt: p, default: reject } } }\n", &[("1:38 no_effect", "`default` has no effect without `timeout`", None)]),
    ("steps: { a: { run: ls, retry: { on: [rejected, crash] } } }\n", &[("1:38 no_effect", "`rejected` is never retried", None)]),
    ("agents: { a: { kind: simulated, capabilities: [c], resources: { memory_mb: 9 } } }\nsteps: { x: { capability: c, resources: { cpu: 3 } } }\n", &[]),
    ("agents: { a: { kind: simulated, capabilities: [c] } }\nsteps: { x: { capability: c, resources: { cpu: 3 } } }\n", &[("2:41 no_effect", "`resources` has no effect", None)]),
    ("agents: { a: { kind: simulated, capabilities: [c], resources: { cpu: 1 } }, b: { kind: simulated, capabilities: [c] } }\nsteps: { x: { capability: c, resources: { cpu: 3 } } }\n", &[]),
];

#[rustfmt::skip]
const APART: &[Broken] = &[
    // A machine with one core.
    ("steps: { a: { run: ls, barrier: g }, b: { run: ls, barrier: g } }\n", &[("1:61 apart", "2 of them are `run` or `command` steps, and for that there is 1 slot", None)]),
    ("mode: sequential\nagents: { a: { kind: simulated, capabilities: [c], slots: 2 } }\nsteps: { x: { capability: c, barrier: g }, y: { capability: c, barrier: g } }\n", &[("3:73 apart", "the 2 steps of barrier `g` are released together, but cannot all start then: `mode: sequential` does", None)]),
    ("limits: { max_parallel: 2 }\nagents: { a: { kind: simulated, capabilities: [c], slots: 3 } }\nsteps: { x: { capability: c, barrier: g }, y: { capability: c, barrier: g }, z: { capability: c, barrier: g } }\n", &[("3:73 apart", "at most 2 steps are at work at once (`max_parallel`)", None)]),
    ("agents: { a: { kind: simulated, capabilities: [c], slots: 2 } }\nsteps: { x: { capability: c, barrier: g, lock: l }, y: { capability: c, barrier: g, lock: l } }\n", &[("2:82 apart", "2 of them take the lock `l`", None)]),
    ("agents: { a: { kind: simulated, capabilities: [c], slots: 2 } }\nsteps: { x: { capability: c, barrier: g, lock: l }, y: { capability: c, barrier: g, lock: m } }\n", &[]),
    ("defaults: { capability: c, barrier: g, semaphore: { name: s, permits: 2 } }\nagents: { a: { kind: simulated, capabilities: [c], slots: 9 } }\nsteps: { x: {}, y: {}, z: {} }\n", &[("1:37 apart", "3 of them take the semaphore `s`, which has 2 permits", None)]),
    ("defaults: { capability: c, barrier: g, semaphore: { name: s, permits: 3 } }\nagents: { a: { kind: simulated, capabilities: [c], slots: 9 } }\nsteps: { x: {}, y: {}, z: {} }\n", &[]),
    ("limits: { capability: { c: 1 } }\nagents: { a: { kind: simulated, capabilities: [c], slots: 2 } }\nsteps: { x: { capability: c, barrier: g }, y: { capability: c, barrier: g } }\n", &[("3:73 apart", "2 of them ask for `c`, of which `limits` allows 1 at once", None)]),
    ("agents: { a: { kind: simulated, capabilities: [c] } }\nsteps: { x: { capability: c, barrier: g }, y: { capability: c, barrier: g } }\n", &[("2:73 apart", "2 of them ask for `c`, and for that there is 1 slot", None)]),
    ("agents: { a: { kind: simulated, capabilities: [c] }, b: { kind: simulated, capabilities: [c] } }\nsteps: { x: { capability: c, barrier: g }, y: { capability: c, barrier: g } }\n", &[]),
    ("agents: { a: { kind: simulated, capabilities: [c] }, b: { kind: simulated, capabilities: [c], backup: true } }\nsteps: { x: { capability: c, barrier: g }, y: { capability: c, barrier: g } }\n", &[("2:73 apart", "there is 1 slot", None)]),
    ("agents: { a: { kind: simulated, capabilities: [c], slots: 2 } }\nsteps: { x: { agent: a, barrier: g }, y: { agent: a, barrier: g }, z: { agent: a, barrier: g } }\n", &[("2:63 apart", "agent `a` does 3 of them, and for that there are 2 slots", None)]),
    ("agents: { a: { kind: simulated, capabilities: [c, d] } }\nsteps: { x: { capability: c, barrier: g }, y: { capability: d, barrier: g } }\n", &[("2:73 apart", "they share their agents, and for that there is 1 slot", None)]),
    ("agents: { a: { kind: simulated, capabilities: [c] } }\nsteps: { x: { capability: c, barrier: g }, y: { capability: c, barrier: h }, z: { capability: c } }\n", &[("2:39 no_effect", "nobody else", None), ("2:73 no_effect", "nobody else", None)]),
];

#[test]
fn steps_of_a_barrier_that_there_is_no_room_for_are_told() {
    told(Severity::Warning, APART);
}

#[test]
fn what_has_no_effect_is_said_and_does_not_refuse_a_file() {
    told(Severity::Warning, IDLE);
}

#[test]
fn credentials_in_an_address_are_shown_nowhere() {
    for url in ["https://me:hush@a.b/x", "ftp://me:hush@a", "me:hush@a", "https://me:hu/sh@a", "https://a b@hush"] {
        let text = format!(
            "agents:\n  a: {{ kind: simulated, bogus: 1, health: {{ url: \"{url}\" }} }}\nsteps: {{ x: {{ agent: a }} }}\n"
        );
        let outcome = faults("f.yaml", &text);
        assert!(outcome.value.is_none() && outcome.diagnostics.len() == 2, "{url}");
        let json = serde_json::to_string(&outcome.diagnostics).unwrap();
        assert!(!outcome.render().contains("hu") && !json.contains("hu"), "{}", outcome.render());
    }
}

#[test]
fn a_deadlock_at_barriers_is_found_exactly_where_simulated_starts_stand_still() {
    let mut rng = Rng::new(11);
    let (mut free, mut stuck) = (0, 0);
    for _ in 0..400 {
        let size = 2 + rng.below(6) as usize;
        let barriers: Vec<u64> = (0..size).map(|_| rng.below(4)).collect();
        let needs: Vec<Vec<usize>> = (0..size).map(|at| (0..at).filter(|_| rng.below(4) == 0).collect()).collect();
        let mut text = "steps:\n".to_owned();
        for at in 0..size {
            let list: Vec<String> = needs[at].iter().map(|need| format!("s{need}")).collect();
            let barrier = if barriers[at] > 0 { format!(", barrier: b{}", barriers[at]) } else { String::new() };
            text += &format!("  s{at}: {{ run: ls, needs: [{}]{barrier} }}\n", list.join(", "));
        }
        let mut done = vec![false; size];
        loop {
            let ready = |at: usize| needs[at].iter().all(|&need| done[need]);
            let together =
                |at: usize| (0..size).all(|other| barriers[at] == 0 || barriers[other] != barriers[at] || ready(other));
            let next: Vec<usize> = (0..size).filter(|&at| !done[at] && ready(at) && together(at)).collect();
            if next.is_empty() {
                break;
            }
            next.into_iter().for_each(|at| done[at] = true);
        }
        let outcome = faults("f.yaml", &text);
        let found = outcome.diagnostics.iter().any(|d| d.code == Code::Deadlock);
        assert_eq!(found, done.contains(&false), "{text}{}", outcome.render());
        assert_eq!(outcome.value.is_none(), found);
        *(if found { &mut stuck } else { &mut free }) += 1;
    }
    assert!(free > 50 && stuck > 50, "{free} {stuck}");
}

#[test]
fn a_barrier_of_a_hundred_thousand_steps_is_looked_at_at_once() {
    let lines: Vec<String> = (0..50_000)
        .map(|n| format!("  s{n}: {{ run: ls, barrier: b }}\n  t{n}: {{ run: ls, needs: s{n}, lock: l, semaphore: {{ name: x, permits: 9 }} }}\n"))
        .collect();
    let outcome = faults("f.yaml", &format!("steps:\n{}", lines.concat()));
    assert_eq!(outcome.value.map(|flow| flow.steps.len()), Some(100_000));
    assert_eq!(outcome.diagnostics.iter().map(|d| d.code).collect::<Vec<_>>(), [Code::Apart], "there is one core");
    let closed = format!("steps:\n{}  end: {{ run: ls, needs: t49999, barrier: b }}\n", lines[1..].concat());
    let outcome = faults("f.yaml", &closed);
    assert_eq!(outcome.diagnostics.iter().map(|d| d.code).collect::<Vec<_>>(), [Code::Deadlock]);
    assert!(outcome.diagnostics[0].message.contains("s49999 -> t49999 -> end ~b~ s49999"), "{}", outcome.render());
}

#[test]
fn no_mutation_of_a_file_of_policies_panics_or_loads_without_being_well_formed() {
    let loaded = mutated("f.yaml", FULL, 7, 2_000);
    assert!(loaded > 50, "{loaded}");
}
