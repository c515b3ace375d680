//! Breakers, rate limits, health checks, resources: stories of agents that cannot do all they are asked for.

use super::*;

#[test]
fn an_agent_that_fails_three_times_is_left_alone_probed_once_and_trusted_again() {
    let mut made = on_agents(vec![step("a", &[], 1.0), step("b", &[0], 1.0)], 1);
    made.steps[0].retry.limit = 5;
    made.steps[0].retry.jitter = Jitter::None;
    let mut sim = scripted(&[("a", &["crash", "crash", "crash"])]);
    begin(&mut sim, made);
    // 1 s, backoff 1 s, 1 s, backoff 2 s, 1 s: the third failure is at 6 s; backoff to 10 s, the breaker to 16 s.
    sim.advance_until(s(11));
    let breaker = |sim: &Sim| sim.engine.view(sim.now, None).agents[0].breaker.unwrap();
    assert_eq!(breaker(&sim), BreakerState::Open { until: s(16), cooldown: s(10) });
    let step = seen(&sim, 0);
    assert!(matches!(step.wait, Some((WaitReason::Breaker { .. }, Some(until))) if until == s(16)), "{step:?}");
    assert_eq!(why(&sim, 0), "any: the breaker of worker is open; the next probe is in 5.0 s");
    sim.advance_until(Micros::from_millis(16_500));
    assert!(matches!(breaker(&sim), BreakerState::HalfOpen { .. }));
    sim.finish(RUN);
    assert_eq!((breaker(&sim), summary(&sim).status), (BreakerState::Closed, RunStatus::Succeeded));
    let probes = sim.events.iter().filter(|e| matches!(e.kind, EventKind::BreakerChanged { .. })).count();
    assert_eq!(probes, 3, "open, half-open, closed");
}

#[test]
fn a_breaker_can_be_held_open_and_closed_by_hand() {
    let mut sim = Sim::smooth();
    begin(&mut sim, on_agents(vec![step("a", &[], 1.0), step("b", &[0], 1.0)], 1));
    let set = |mode| Command::SetBreaker { agent: AgentId(0), mode };
    sim.command(set(BreakerMode::ForcedOpen)).unwrap();
    assert!(sim.command(set(BreakerMode::ForcedOpen)).unwrap_err().contains("already"));
    sim.advance_until(s(30));
    assert_eq!(why(&sim, 1), "any: the breaker of worker is held open; press b on it");
    assert!(sim.engine.view(sim.now, None).runs[0].stuck, "only a person can help");
    sim.command(set(BreakerMode::Automatic)).unwrap();
    sim.finish(RUN);
    assert_eq!(summary(&sim).elapsed, s(31));
}

#[test]
fn an_agent_that_takes_no_more_calls_is_left_alone_and_costs_no_attempt() {
    let mut made = on_agents(vec![step("a", &[], 1.0)], 1);
    made.steps[0].retry.limit = 0;
    let mut sim = scripted(&[("a", &["limited-3", "limited-3"])]);
    begin(&mut sim, made);
    sim.advance_until(s(2));
    assert!(matches!(seen(&sim, 0).wait, Some((WaitReason::RateLimit { .. }, Some(until))) if until == s(4)));
    assert_eq!(why(&sim, 0), "any: worker takes no more calls; the next call is in 2.0 s");
    sim.finish(RUN);
    let got = summary(&sim);
    assert_eq!((got.status, got.elapsed, got.retries), (RunStatus::Succeeded, s(9), 0));
}

#[test]
fn who_meets_agents_without_calls_too_often_fails_and_waits_grow_where_no_time_is_said() {
    let mut made = on_agents(vec![step("a", &[], 1.0)], 1);
    made.steps[0].retry.limit = 0;
    let mut sim = scripted(&[("a", &["limited"; 30])]);
    begin(&mut sim, made);
    sim.finish(RUN);
    let got = summary(&sim);
    assert_eq!((got.errors[0].failure.class, got.attempts), (FailureClass::RateLimited, 21));
    assert!(got.errors[0].failure.message.contains("21 times"), "{}", got.errors[0].failure.message);
    assert!(got.elapsed > s(3_000), "waits double up to ten minutes: {:?}", got.elapsed);
}

#[test]
fn a_declared_rate_is_never_exceeded() {
    let steps = (0..7).map(|at| step(&format!("s{at}"), &[], 0.1)).collect();
    let mut made = on_agents(steps, 7);
    made.agents[0].rate_limit = Some(RateLimit { calls: 2, per: s(10) });
    let mut sim = Sim::smooth();
    sim.run(made);
    let starts: Vec<u64> = sim
        .events
        .iter()
        .filter(|event| matches!(event.kind, EventKind::AttemptStarted { .. }))
        .map(|event| event.at.as_millis() / 1_000)
        .collect();
    assert_eq!(starts, [0, 0, 10, 10, 20, 20, 30]);
    let waits = sim.events.iter().filter(|e| matches!(e.kind, EventKind::StepWaiting { .. })).count();
    assert_eq!(waits, 5, "who waits is told once");
}

#[test]
fn agents_are_not_asked_for_more_than_they_have() {
    let mut steps: Vec<Step> = (0..3).map(|at| step(&format!("s{at}"), &[], 2.0)).collect();
    steps.iter_mut().for_each(|step| step.resources = Some(Resources { cpu: 2.0, memory_mb: 100.0 }));
    let mut made = on_agents(steps, 9);
    made.agents[0].resources = Some(Resources { cpu: 4.0, memory_mb: 1_000.0 });
    let mut sim = Sim::smooth();
    begin(&mut sim, made);
    assert!(why(&sim, 2).contains("what is left of the agents' resources is too little"), "{}", why(&sim, 2));
    sim.finish(RUN);
    assert_eq!((summary(&sim).elapsed, summary(&sim).max_parallel), (s(4), 2));
}

#[test]
fn a_health_check_breaks_an_agent_and_heals_it_and_fallbacks_stand_in_where_all_are_broken() {
    let mut made = on_agents(vec![step("a", &[], 5.0), step("b", &[0], 1.0), step("c", &[0], 1.0)], 1);
    made.steps[2].fallback = vec![Fallback::Value(json!("instead"))];
    let mut sim = Sim::smooth();
    begin(&mut sim, made);
    let check =
        |fault: Option<&str>| crate::engine::Input::Health { agent: AgentId(0), fault: fault.map(str::to_owned) };
    sim.input(&check(Some("no answer"))).unwrap();
    sim.advance_until(s(10));
    assert_eq!(
        states(&sim),
        [StepState::Succeeded, StepState::Waiting, StepState::Succeeded],
        "what runs is not cut off"
    );
    assert!(why(&sim, 1).contains("health check: no answer"));
    sim.input(&check(None)).unwrap();
    sim.finish(RUN);
    assert_eq!((summary(&sim).status, summary(&sim).fallbacks), (RunStatus::Succeeded, 1));
}
