//! The tables of policies: what a step or an agent says about failures, undoing, load and people.

use crate::model::defaults::{HEALTH_EVERY_MIN, RATE_LIMIT_CALLS_MAX, RETRY_INTERVAL_MIN, RETRY_LIMIT_MAX};
use crate::model::time::Micros;
use crate::spec::keys::{Key, KeyRule, Shape, Table, Word};

/// More at once than any machine has use for; keeps counts within 32 bits.
pub(crate) const AT_ONCE_MAX: u64 = 1_000_000;
/// How many may be at work at once.
pub(crate) const COUNT: Shape = Shape::Whole(1, AT_ONCE_MAX);
/// A length of time that is not nothing.
pub(crate) const SOME_TIME: Shape = Shape::Duration { from: Micros(1), off: false };
/// The same, or `off`.
pub(crate) const SOME_TIME_OR_OFF: Shape = Shape::Duration { from: Micros(1), off: true };
/// Retries: how many, or all about them.
pub(crate) const RETRIES: Shape = Shape::Either(&[Shape::Whole(0, RETRY_LIMIT_MAX as u64), Shape::Table(&RETRY)]);
/// Arguments, whose values may be computed.
pub(crate) const ARGUMENTS: Shape = Shape::Map(KeyRule::Filled, &Shape::Value);
/// An argument vector.
pub(crate) const COMMAND: Shape = Shape::List(&Shape::Argument, 1);
/// An argument vector of a step, whose arguments may be computed.
pub(crate) const STEP_COMMAND: Shape = Shape::List(&Shape::ArgumentOrFilter, 1);
/// What is had, or taken.
pub(crate) const RESOURCES: Shape = Shape::Table(&RESOURCES_TABLE);
/// A breaker, or none.
pub(crate) const BREAKER: Shape = Shape::Either(&[Shape::Words(OFF), Shape::Table(&BREAKER_TABLE)]);
/// How many retries a run may spend.
pub(crate) const RETRY_BUDGET: Shape =
    Shape::Either(&[Shape::Whole(0, RETRY_LIMIT_MAX as u64), Shape::Table(&RETRY_BUDGET_TABLE)]);

const RETRY_TIME: Shape = Shape::Duration { from: RETRY_INTERVAL_MIN, off: false };
const AMOUNT: Shape = Shape::Number { from: 0.0, inclusive: false, to: 1_000_000_000.0 };

const OFF: &[Word] = &[Word::new("off", "It is never left alone.")];
const JITTERS: &[Word] = &[
    Word::new("full", "Uniform between nothing and the whole wait."),
    Word::new("equal", "Half the wait plus a uniform half."),
    Word::new("none", "Exactly the wait."),
];
const DECISIONS: &[Word] = &[Word::new("approve", "Yes."), Word::new("reject", "No.")];
/// Failure classes that `retry.on` may name.
const CLASSES: &[Word] = &[
    Word::new("transient", "The agent asked to be tried again."),
    Word::new("timeout", "The attempt took too long."),
    Word::new("idle_timeout", "No output for too long."),
    Word::new("crash", "The agent ended in disorder."),
    Word::new("unreachable", "The agent cannot be started."),
    Word::new("rate_limited", "The agent takes no more calls; spends no retry."),
    Word::new("malformed_output", "The answer is not what is due."),
    Word::new("quality_rejected", "The output was not good enough."),
    Word::new("permanent", "Never retried."),
    Word::new("rejected", "A person said no; never retried."),
    Word::new("cancelled", "Never retried."),
    Word::new("deadline", "Never retried."),
    Word::new("unknown", "upbeat ended while it ran: `on_unknown` decides."),
];

/// When a failed attempt is tried again.
pub(crate) const RETRY: Table = Table {
    id: "retry",
    what: "`retry`",
    groups: &[&[
        Key::new(
            "limit",
            Shape::Whole(0, RETRY_LIMIT_MAX as u64),
            "Retries after the first attempt; 2, and 4 for a compensation.",
        ),
        Key::new("interval", RETRY_TIME, "Wait before the first retry that backs off; 1 s."),
        Key::new(
            "backoff",
            Shape::Number { from: 1.0, inclusive: true, to: 1000.0 },
            "Factor from one wait to the next; 2.",
        ),
        Key::new("max_interval", RETRY_TIME, "The longest wait; 30 s, or `interval` if that is longer."),
        Key::new("jitter", Shape::Words(JITTERS), "Spread of the waits; `full`."),
        Key::new("on", Shape::List(&Shape::Words(CLASSES), 1), "Classes that are retried; all that can be."),
    ]],
};
/// Retries of a whole run.
pub(crate) const RETRY_BUDGET_TABLE: Table = Table {
    id: "retry_budget",
    what: "`retry_budget`",
    groups: &[&[
        Key::new("min", Shape::Whole(0, RETRY_LIMIT_MAX as u64), "Retries that may be spent in any case; 3."),
        Key::new("share", Shape::Share, "And this share of the first attempts begun so far; 20%."),
    ]],
};
/// How a step is undone.
pub(crate) const COMPENSATE: Table = Table {
    id: "compensate",
    what: "`compensate`",
    groups: &[&[
        Key::new("action", Shape::Filled, "What is asked; of whom the step itself asks, if nobody else is named."),
        Key::new("capability", Shape::Name, "Any agent that has this capability does it.").alias(&["agent_capability"]),
        Key::new("agent", Shape::Id, "This agent does it."),
        Key::new("run", Shape::Filled, "`/bin/sh -ec LINE` does it, in the step's folder and environment."),
        Key::new("command", COMMAND, "A program with arguments does it, in the step's folder and environment."),
        Key::new("with", Shape::Map(KeyRule::Filled, &Shape::Literal), "Literal arguments."),
        Key::new("retry", RETRIES, "Retries after the first attempt: 4.").alias(&["retry_count"]),
        Key::new("timeout", SOME_TIME_OR_OFF, "Longest time of one attempt: 30 s; 10 min for `run` and `command`."),
    ]],
};
/// A question to a person.
pub(crate) const APPROVAL: Table = Table {
    id: "approval",
    what: "`approval`",
    groups: &[&[
        Key::new("prompt", Shape::Filled, "What is asked.").required(),
        Key::new("timeout", SOME_TIME, "How long an answer is waited for; then `default` is the answer."),
        Key::new("default", Shape::Words(DECISIONS), "The answer when nobody gives one in time."),
    ]],
};
/// Permits that steps share.
pub(crate) const SEMAPHORE: Table = Table {
    id: "semaphore",
    what: "`semaphore`",
    groups: &[&[
        Key::new("name", Shape::Name, "Steps that give the same name share it.").required(),
        Key::new("permits", COUNT, "Attempts at once; the same wherever the name is given.").required(),
    ]],
};
/// What an agent has, or an attempt takes of it.
pub(crate) const RESOURCES_TABLE: Table = Table {
    id: "resources",
    what: "`resources`",
    groups: &[&[Key::new("cpu", AMOUNT, "Processor cores."), Key::new("memory_mb", AMOUNT, "Memory in megabytes.")]],
};
/// When an agent is left alone.
pub(crate) const BREAKER_TABLE: Table = Table {
    id: "breaker",
    what: "`breaker`",
    groups: &[&[
        Key::new("failures", COUNT, "Failures in a row that open it; 3."),
        Key::new("cooldown", SOME_TIME, "How long it stays open at first; 10 s."),
    ]],
};
/// How an agent is probed.
pub(crate) const HEALTH: Table = Table {
    id: "health",
    what: "`health`",
    groups: &[&[
        Key::new("command", COMMAND, "A program that ends with 0 if the agent is well."),
        Key::new("url", Shape::Url, "An address that answers with a status of 200 to 299 if the agent is well."),
        Key::new(
            "every",
            Shape::Duration { from: HEALTH_EVERY_MIN, off: false },
            "Time from one probe to the next; 30 s.",
        ),
    ]],
};
/// How often an agent may be called.
pub(crate) const RATE_LIMIT: Table = Table {
    id: "rate_limit",
    what: "`rate_limit`",
    groups: &[&[
        Key::new("calls", Shape::Whole(1, RATE_LIMIT_CALLS_MAX as u64), "Attempts that may begin …").required(),
        Key::new("per", SOME_TIME, "… within any stretch of this length.").required(),
    ]],
};
