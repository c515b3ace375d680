//! Policies from the tree: what steps and agents say about failures and load, with the defaults of the contract.

use crate::model::completion::FailureClass;
use crate::model::defaults;
use crate::model::policy::{
    BreakerPolicy, Health, HealthProbe, Jitter, RateLimit, Resources, RetryBudget, RetryPolicy, Success,
};
use crate::model::step::Semaphore;
use crate::spec::diagnostic::Code;
use crate::spec::faults::Faults;
use crate::spec::policy_tables::{
    BREAKER_TABLE, HEALTH, RATE_LIMIT, RESOURCES_TABLE, RETRY, RETRY_BUDGET_TABLE, SEMAPHORE,
};
use crate::spec::tables::SUCCESS;
use crate::spec::tree::Node;
use crate::spec::units::share;
use crate::spec::walk::{Fields, count};

/// The retries of a step or a compensation. `usual` are those of one that says nothing about them, `in_map` those of
/// one that says other things about them.
pub(crate) fn retry(fields: &Fields<'_>, usual: u32, in_map: u32, faults: &mut Faults<'_>) -> RetryPolicy {
    let Some(node) = fields.get("retry") else { return defaults::retry(usual) };
    if let Some(limit) = count(node) {
        return defaults::retry(limit);
    }
    let fields = Fields::of(&RETRY, node);
    let mut policy = defaults::retry(in_map);
    policy.limit = fields.count("limit").unwrap_or(policy.limit);
    policy.interval = fields.time("interval").unwrap_or(policy.interval);
    policy.backoff = fields.number("backoff").unwrap_or(policy.backoff);
    policy.max_interval = fields.time("max_interval").unwrap_or(policy.max_interval.max(policy.interval));
    if policy.max_interval < policy.interval
        && let Some(node) = fields.get("max_interval")
    {
        faults
            .error(node.span, Code::OutOfRange, "`max_interval` is shorter than `interval`")
            .expected("at least `interval`");
    }
    policy.jitter = match fields.text("jitter") {
        Some("equal") => Jitter::Equal,
        Some("none") => Jitter::None,
        _ => policy.jitter,
    };
    policy.on = fields.get("on").map(|node| classes(node, faults));
    policy
}

fn classes(node: &Node, faults: &mut Faults<'_>) -> Vec<FailureClass> {
    let mut classes = Vec::new();
    for node in node.list() {
        let Some(class) = FailureClass::ALL.into_iter().find(|class| Some(class.word()) == node.text()) else {
            continue;
        };
        if !class.retryable() {
            let message = format!("a failure of class `{}` is never retried", class.word());
            faults.warning(node.span, Code::NoEffect, message);
        }
        classes.push(class);
    }
    classes
}

/// What has to succeed, of steps or items.
pub(crate) fn success(fields: &Fields<'_>) -> Success {
    let Some(node) = fields.get("success") else { return Success::All };
    if node.text() == Some("any") {
        return Success::Any;
    }
    let min = Fields::of(&SUCCESS, node).text("min").and_then(share);
    min.map_or(Success::All, Success::Min)
}

/// The retries of a whole run, from the keys of `limits`.
pub(crate) fn retry_budget(fields: &Fields<'_>) -> Option<RetryBudget> {
    let node = fields.get("retry_budget")?;
    if let Some(min) = count(node) {
        return Some(RetryBudget { min, share: 0.0 });
    }
    let fields = Fields::of(&RETRY_BUDGET_TABLE, node);
    Some(RetryBudget {
        min: fields.count("min").unwrap_or(defaults::RETRY_BUDGET_MIN),
        share: fields.text("share").and_then(share).unwrap_or(defaults::RETRY_BUDGET_SHARE),
    })
}

/// What is had or taken; of what is left out beside something else: `rest`.
pub(crate) fn resources(fields: &Fields<'_>, rest: f64, faults: &mut Faults<'_>) -> Option<Resources> {
    let node = fields.get("resources")?;
    let fields = Fields::of(&RESOURCES_TABLE, node);
    if node.entries().is_empty() || !node.entries().iter().any(|entry| !entry.value.is_null()) {
        faults.error(node.span, Code::MissingKey, "`resources` names nothing").expected("`cpu`, `memory_mb` or both");
    }
    let amount = |name: &str| fields.number(name).unwrap_or(rest);
    Some(Resources { cpu: amount("cpu"), memory_mb: amount("memory_mb") })
}

/// The permits a step shares.
pub(crate) fn semaphore(fields: &Fields<'_>) -> Option<Semaphore> {
    let fields = Fields::of(&SEMAPHORE, fields.get("semaphore")?);
    Some(Semaphore { name: fields.text("name")?.into(), permits: fields.count("permits")? })
}

/// When an agent is left alone; `usual` where it does not say.
pub(crate) fn breaker(
    fields: &Fields<'_>,
    usual: Option<BreakerPolicy>,
    faults: &mut Faults<'_>,
) -> Option<BreakerPolicy> {
    let Some(node) = fields.get("breaker") else { return usual };
    if node.text() == Some("off") {
        return None;
    }
    let fields = Fields::of(&BREAKER_TABLE, node);
    let BreakerPolicy { failures, cooldown } = defaults::BREAKER;
    if let Some(node) = fields.get("cooldown")
        && fields.time("cooldown").is_some_and(|time| time > defaults::BREAKER_COOLDOWN_MAX)
    {
        let most = defaults::BREAKER_COOLDOWN_MAX.as_millis() / 1_000;
        faults
            .error(node.span, Code::OutOfRange, "`cooldown` is longer than a breaker ever stays open")
            .expected(format!("at most {most} s"));
    }
    Some(BreakerPolicy {
        failures: fields.count("failures").unwrap_or(failures),
        cooldown: fields.time("cooldown").unwrap_or(cooldown),
    })
}

/// How an agent is probed.
pub(crate) fn health(fields: &Fields<'_>, faults: &mut Faults<'_>) -> Option<Health> {
    let node = fields.get("health")?;
    let fields = Fields::of(&HEALTH, node);
    let probe = match (fields.get("command"), fields.text("url")) {
        (Some(command), None) if !fields.has("url") => {
            HealthProbe::Command(command.list().iter().filter_map(Node::text).map(str::to_owned).collect())
        }
        (None, Some(url)) => HealthProbe::Url(url.to_owned()),
        (None, None) if fields.has("url") => return None,
        (asked, _) => {
            let message = if asked.is_none() { "`health` asks nothing" } else { "`health` asks one thing" };
            faults.error(node.span, Code::Conflict, message).expected("one of `command` or `url`");
            return None;
        }
    };
    Some(Health { probe, every: fields.time("every").unwrap_or(defaults::HEALTH_EVERY) })
}

/// How often an agent may be called.
pub(crate) fn rate_limit(fields: &Fields<'_>) -> Option<RateLimit> {
    let fields = Fields::of(&RATE_LIMIT, fields.get("rate_limit")?);
    Some(RateLimit { calls: fields.count("calls")?, per: fields.time("per")? })
}
