//! The tables of agents, one per kind.

use crate::model::time::Micros;
use crate::spec::keys::{Key, KeyRule, Shape, Table, Word};
use crate::spec::policy_tables::{BREAKER, COMMAND, COUNT, HEALTH, RATE_LIMIT, RESOURCES};

const POSITIVE: Shape = Shape::Number { from: 0.0, inclusive: false, to: 1_000_000.0 };
const RATE: Shape = Shape::Number { from: 0.0, inclusive: true, to: 1.0 };
const TIME: Shape = Shape::Duration { from: Micros::ZERO, off: false };

/// An agent of any kind.
pub(crate) const AGENT: Shape = Shape::Kinds(&[
    (&Word::new("simulated", "Works for a while, then returns."), &SIMULATED),
    (&Word::new("process", "A child process per attempt."), &PROCESS),
    (
        &Word::new(
            "builtin",
            "Part of upbeat: `echo`, `sleep`, `chunk`, `json`, `numeric`, `validate`, `transform` or `aggregate`, named in `capabilities`.",
        ),
        &BUILTIN,
    ),
    (&Word::later("a2a", "A remote agent."), &BUILTIN),
    (&Word::later("mcp", "Tools of a server."), &BUILTIN),
    (&Word::later("llm", "A language model."), &BUILTIN),
    (&Word::later("http", "An HTTP endpoint."), &BUILTIN),
]);

/// The file of the option `--agents`.
pub(crate) const AGENTS_FILE: Table = Table {
    id: "agents_file",
    what: "an agents file",
    groups: &[&[Key::new("agents", Shape::Map(KeyRule::Id, &AGENT), "A map of id to agent.").required()]],
};

const SIMULATED: Table = Table { id: "simulated", what: "a simulated agent", groups: &[COMMON, SIMULATED_KEYS] };
const PROCESS: Table = Table { id: "process", what: "a process agent", groups: &[COMMON, PROCESS_KEYS] };
const BUILTIN: Table = Table { id: "builtin", what: "a built-in agent", groups: &[COMMON] };

/// The keys of a simulated agent.
pub(crate) const SIMULATED_TABLE: &Table = &SIMULATED;
/// The keys of a process agent.
pub(crate) const PROCESS_TABLE: &Table = &PROCESS;
/// The keys of a built-in agent, and of those every agent has.
pub(crate) const COMMON_TABLE: &Table = &BUILTIN;
/// The keys of an entry of a simulated agent's `script`.
pub(crate) const SCRIPT: Table = Table { id: "script", what: "an entry of `script`", groups: &[SCRIPT_KEYS] };

const COMMON: &[Key] = &[
    Key::new("kind", Shape::Filled, "What it is.").required(),
    Key::new("capabilities", Shape::List(&Shape::Name, 0), "What it can do."),
    Key::new("slots", COUNT, "Attempts it takes at once; 1."),
    Key::new("weight", POSITIVE, "Its share among equals; 1."),
    Key::new("backup", Shape::Bool, "`true`: only used when no other is left unbroken."),
    Key::new("allow_faults", Shape::Bool, "`true`: it may be broken on purpose; simulated agents always may."),
    Key::new(
        "breaker",
        BREAKER,
        "When it is left alone after failures: `{failures: 3, cooldown: 10s}` if left out, but for built-in agents.",
    ),
    Key::new("resources", RESOURCES, "What it has to give at once; as much as is asked of what is left out."),
    Key::new("health", Shape::Table(&HEALTH), "How it is found out whether it is well; not under the virtual clock."),
    Key::new("rate_limit", Shape::Table(&RATE_LIMIT), "How often it may be called."),
];

const SCRIPT_KEYS: &[Key] = &[
    Key::new("duration", TIME, "How long it works, divided by `speed`."),
    Key::new("output", Shape::Value, "What it returns, `${{ }}` in it over its input; its input if left out."),
    Key::new("fail_rate", RATE, "Share of attempts that fail, from 0 to 1."),
];

const SIMULATED_KEYS: &[Key] = &[
    Key::new("duration", TIME, "How long it works, divided by `speed`; the step's `estimate` if left out."),
    Key::new("output", Shape::Value, "What it returns, `${{ }}` in it over its input; its input if left out."),
    Key::new("fail_rate", RATE, "Share of attempts that fail, from 0 to 1."),
    Key::new("speed", POSITIVE, "Divides durations; 1."),
    Key::new("jitter", RATE, "Spread of durations: 0.2 means ±20 %."),
    Key::new("script", Shape::Map(KeyRule::Filled, &Shape::Table(&SCRIPT)), "Behaviour per action."),
];

const PROCESS_KEYS: &[Key] = &[
    Key::new("command", COMMAND, "Program and arguments.").required(),
    Key::new("cwd", Shape::Filled, "Its folder; relative: from the file's folder."),
    Key::new("env", ENV, "Variables beside the usual ones."),
    Key::new("protocol", Shape::Words(PROTOCOLS), "How it is spoken to; `oneshot` if left out."),
    Key::new("grace", TIME, "Time between TERM and KILL; 5 s."),
    Key::later("limits", "What it may use."),
];

const PROTOCOLS: &[Word] = &[
    Word::new("oneshot", "One process per attempt, one JSON document in, one out."),
    Word::later("worker", "One long-lived process."),
];

/// Variables of a process agent.
pub(crate) const ENV: Shape =
    Shape::Map(KeyRule::Variable, &Shape::Either(&[Shape::Argument, Shape::Table(&ENV_FROM)]));
/// Variables of steps, whose values may be computed.
pub(crate) const STEP_ENV: Shape =
    Shape::Map(KeyRule::Variable, &Shape::Either(&[Shape::Template, Shape::Table(&ENV_FROM)]));
/// A variable taken from upbeat's own environment.
pub(crate) const ENV_FROM: Table = Table {
    id: "env_from",
    what: "a variable",
    groups: &[&[
        Key::new("env", Shape::Filled, "The variable of upbeat's own environment it is taken from; masked.").required(),
        Key::new("plain", Shape::Bool, "`true`: not masked."),
    ]],
};
