//! The tables of the workflow file: the workflow, its steps, and what they are made of.

use crate::model::defaults::PARALLEL_THRESHOLD_MIN;
use crate::model::stream::IN_FLIGHT_MAX;
use crate::model::time::Micros;
use crate::spec::agent_tables::{AGENT, STEP_ENV};
use crate::spec::flow_tables::{AGGREGATE, EXPAND, EXPECT};
use crate::spec::keys::{Key, KeyRule, Shape, Table, Word};
use crate::spec::policy_tables::{
    APPROVAL, ARGUMENTS, AT_ONCE_MAX, COMPENSATE, COUNT, RESOURCES, RETRIES, RETRY_BUDGET, SEMAPHORE, SOME_TIME,
    SOME_TIME_OR_OFF, STEP_COMMAND,
};

const ANY_DURATION: Shape = Shape::Duration { from: Micros::ZERO, off: false };

/// A workflow file.
pub(crate) const WORKFLOW: Table =
    Table { id: "workflow", what: "a workflow", groups: &[WORKFLOW_KEYS, WORKFLOW_LATER] };

/// A way that routing steps may go.
pub(crate) const ROUTE: Table = Table {
    id: "route",
    what: "a route",
    groups: &[&[
        Key::new(
            "when",
            Shape::PathOrFilter,
            "A filter over the step's input that gives neither `false` nor `null`; or `large_data`, `structured_data`, `streaming_data`.",
        )
        .required(),
        Key::new("path", Shape::List(&Shape::Name, 1), "Templates, or built-in capabilities, in order.").required(),
    ]],
};

const WORKFLOW_KEYS: &[Key] = &[
    Key::new("id", Shape::Id, "The workflow's id; the file's stem if left out.").alias(&["workflow_id"]),
    Key::new("name", Shape::Text, "A name for people."),
    Key::new("description", Shape::Text, "A sentence for people."),
    Key::new("data", Shape::Object, "Initial data: the document that steps read from and write to.")
        .alias(&["initial_data"]),
    Key::new("env", STEP_ENV, "Variables for `run` and `command` steps."),
    Key::new("mode", Shape::Words(MODES), "In which order and how many at a time; `parallel` if left out."),
    Key::new(
        "parallel_threshold",
        Shape::Whole(PARALLEL_THRESHOLD_MIN as u64, AT_ONCE_MAX),
        "The smallest group of independent steps that `hybrid` runs in parallel; 3.",
    ),
    Key::new("limits", Shape::Table(&LIMITS), "Upper bounds; with the agents' slots, the smallest holds."),
    Key::new("defaults", Shape::Table(&DEFAULTS), "Step keys: taken for every step that does not give them."),
    Key::new("success", SOME_SUCCESS, "What has to succeed; `all` if left out."),
    Key::new("recovery", Shape::Words(RECOVERIES), "What a failure does to the rest; `continue` if left out."),
    Key::new(
        "on_threshold_missed",
        Shape::Words(ON_MISSED),
        "What happens when too little succeeded; `fail` if left out.",
    ),
    Key::new("agents", Shape::Map(KeyRule::Id, &AGENT), "Who does the work: a map of id to agent."),
    Key::new(
        "steps",
        Shape::Either(&[Shape::List(&Shape::Table(&STEP), 1), Shape::Map(KeyRule::Id, &Shape::Table(&STEP_IN_MAP))]),
        "What is to be done: a list of steps, or a map of id to step.",
    )
    .required(),
    Key::new(
        "on",
        Shape::Either(&[Shape::Filled, Shape::List(&Shape::Filled, 1)]),
        "Types of events that the workflow handles under `upbeat watch`: one text, or a list.",
    ),
    Key::new("stream", Shape::Table(&STREAM), "How items go through the steps under `upbeat stream`."),
    Key::new("result", Shape::Table(&AGGREGATE), "What steps returned, brought together when the run has ended."),
    Key::new(
        "templates",
        Shape::Map(KeyRule::Id, &Shape::Table(&TEMPLATE)),
        "Steps by name, which routing steps are done by.",
    ),
    Key::new(
        "routes",
        Shape::List(&Shape::Table(&ROUTE), 0),
        "Ways that routing steps go, the first that fits; where none does the input itself decides.",
    ),
];

const WORKFLOW_LATER: &[Key] = &[Key::later("groups", "Declared folds of the graph.")];

const MODES: &[Word] = &[
    Word::new("parallel", "Whatever needs, agents and limits allow."),
    Word::new("sequential", "One step at a time, in topological order."),
    Word::new("hybrid", "Level by level: larger groups in parallel, the rest in order."),
    Word::new("auto", "Chosen by the graph, the load and the free agents."),
];
const SUCCESSES: &[Word] = &[Word::new("all", "Every one."), Word::new("any", "At least one.")];
const RECOVERIES: &[Word] = &[
    Word::new("continue", "The independent rest still runs."),
    Word::new("fail_fast", "Everything else is cancelled."),
    Word::new("retry", "When nothing more can run, failed steps are tried once more."),
    Word::new("rollback", "When the run can no longer succeed, what was done is undone by `compensate`, in reverse."),
];
const ON_MISSED: &[Word] = &[
    Word::new("fail", "The run fails."),
    Word::new("retry", "Failed steps are tried once more, at most once a run."),
    Word::new("escalate", "A person is asked."),
];

pub(crate) const STREAM: Table = Table {
    id: "stream",
    what: "`stream`",
    groups: &[&[
        Key::new(
            "max_in_flight",
            Shape::Whole(1, IN_FLIGHT_MAX as u64),
            "The most items under way at once; 8 if left out. The source is not read further meanwhile.",
        ),
        Key::new("ordered", Shape::Bool, "`false`: results come as items end, not in the order of the items."),
    ]],
};

pub(crate) const LIMITS: Table = Table {
    id: "limits",
    what: "`limits`",
    groups: &[&[
        Key::new("max_parallel", COUNT, "The most attempts at once."),
        Key::new("deadline", SOME_TIME, "The longest the run may take."),
        Key::new("capability", Shape::Map(KeyRule::Name, &COUNT), "The most attempts at once per capability."),
        Key::new(
            "retry_budget",
            RETRY_BUDGET,
            "Retries of the whole run, a number or `{min, share}`; without it only the steps' own limits hold.",
        ),
    ]],
};
const SOME_SUCCESS: Shape = Shape::Either(&[Shape::Words(SUCCESSES), Shape::Table(&SUCCESS)]);
pub(crate) const SUCCESS: Table = Table {
    id: "success",
    what: "`success`",
    groups: &[&[Key::new("min", Shape::Share, "The least share that has to succeed.").required()]],
};

/// A step in a list.
pub(crate) const STEP: Table =
    Table { id: "step", what: "a step", groups: &[STEP_ID, STEP_KEYS, STEP_PLACED, STEP_ALONE] };
/// A step in a map, where the key is its id.
pub(crate) const STEP_IN_MAP: Table =
    Table { id: "step_in_map", what: "a step", groups: &[STEP_ID_AGAIN, STEP_KEYS, STEP_PLACED, STEP_ALONE] };
/// What all steps share.
pub(crate) const DEFAULTS: Table =
    Table { id: "defaults", what: "`defaults`", groups: &[STEP_KEYS, STEP_PLACED, NOT_SHARED] };
/// A step that routing steps are done by.
pub(crate) const TEMPLATE: Table = Table { id: "template", what: "a template", groups: &[STEP_KEYS, NOT_IN_TEMPLATES] };

const STEP_ID: &[Key] =
    &[Key::new("id", Shape::Id, "Unique in the workflow without regard to case.").alias(&["step_id"]).required()];
const STEP_ID_AGAIN: &[Key] = &[Key::new("id", Shape::Id, "The same as the key, if given.").alias(&["step_id"])];

const STEP_KEYS: &[Key] = &[
    Key::new("name", Shape::Text, "A name for people."),
    Key::new("description", Shape::Text, "A sentence for people."),
    Key::new("group", Shape::Text, "The group it is shown in."),
    Key::new("capability", Shape::Name, "Any agent that has this capability does it.").alias(&["agent_capability"]),
    Key::new("agent", Shape::Id, "This agent does it."),
    Key::new("run", Shape::CommandLine, "`/bin/sh -ec LINE` does it."),
    Key::new(
        "command",
        STEP_COMMAND,
        "A program with arguments does it, without a shell; an argument may be wholly one `${{ }}`.",
    ),
    Key::new("action", Shape::Filled, "What is asked of the agent."),
    Key::new("with", ARGUMENTS, "Arguments, `${{ }}` in them computed; `input` is laid over them."),
    Key::new("cwd", Shape::Filled, "Folder of `run` and `command`; relative: from the file's folder."),
    Key::new("env", STEP_ENV, "Variables for `run` and `command`, over the workflow's."),
    Key::new("stdout", Shape::Words(STDOUTS), "How the output of `run` and `command` is read."),
    Key::new(
        "if",
        Shape::PathOrFilter,
        "A data path or filter: where it gives `false` or `null`, the step is skipped, and what needs it goes on.",
    ),
    Key::new(
        "input",
        Shape::Map(KeyRule::Filled, &Shape::PathOrFilter),
        "Payload key to the data path or filter that its value comes from.",
    )
    .alias(&["input_mapping"]),
    Key::new("required", Shape::List(&Shape::Filled, 0), "Keys of `input` whose path must exist."),
    Key::new("output", Shape::Map(KeyRule::Filled, &Shape::Path), "Output field to the data path it is written to.")
        .alias(&["output_mapping"]),
    Key::new(
        "timeout",
        SOME_TIME_OR_OFF,
        "Longest time of one attempt: 30 s or 3 × `estimate`, the longer; 10 min for `run` and `command`.",
    ),
    Key::new("idle_timeout", SOME_TIME_OR_OFF, "Longest time without output; `off` if left out."),
    Key::new("retry", RETRIES, "Retries after the first attempt: 2 on agents, 0 for `run` and `command`.")
        .alias(&["retry_count"]),
    Key::new(
        "priority",
        Shape::Either(&[Shape::Words(PRIORITIES), Shape::Whole(0, 100)]),
        "Higher first; `normal` if left out.",
    ),
    Key::new("fallback", Shape::List(&Shape::Table(&FALLBACK), 0), "Tried in turn when retries are spent."),
    Key::new("estimate", ANY_DURATION, "Expected duration.").alias(&["estimated_duration"]),
    Key::new("idempotent", Shape::Bool, "May be done twice: after a crash it is simply done again."),
    Key::new(
        "on_unknown",
        Shape::Words(ON_UNKNOWN),
        "What becomes of it if upbeat ends while it runs; `ask`, or `retry` where it is idempotent.",
    ),
    Key::new(
        "on_exhausted",
        Shape::Words(ON_EXHAUSTED),
        "What happens when retries and fallbacks are spent; `fail` if left out.",
    ),
    Key::new("compensate", Shape::Table(&COMPENSATE), "How what it did is undone."),
    Key::new("pivot", Shape::Bool, "`true`: once it is done, nothing is rolled back any more."),
    Key::new(
        "on_cancel",
        Shape::Words(ON_CANCEL),
        "What happens to the work of a step that is cancelled while it runs; `leave` if left out.",
    ),
    Key::new("lock", Shape::Name, "Attempts of steps that give the same name exclude each other."),
    Key::new("semaphore", Shape::Table(&SEMAPHORE), "Attempts of steps that give the same name share its permits."),
    Key::new("resources", RESOURCES, "What an attempt takes of the resources of its agent."),
    Key::new("parallel_safe", Shape::Bool, "`false`: nothing else of the run is at work while it is."),
    Key::new("expect", Shape::Table(&EXPECT), "What its output has to be."),
];

/// What a step has by its place among others: templates have none.
const STEP_PLACED: &[Key] = &[
    Key::new(
        "needs",
        Shape::Either(&[Shape::Id, Shape::List(&Shape::Id, 0), Shape::Map(KeyRule::Id, &Shape::Table(&NEED))]),
        "What has to end first: an id, a list, or a map of id to `{on: …}`.",
    )
    .alias(&["dependencies", "depends_on"]),
    Key::new("critical", Shape::Bool, "Its failure fails the run whatever the share."),
    Key::new("barrier", Shape::Name, "Steps that give the same name start together, when all are ready."),
];

/// What cannot stand in `defaults`.
const STEP_ALONE: &[Key] = &[
    Key::new("approval", Shape::Table(&APPROVAL), "A person decides: yes or no."),
    Key::new("aggregate", Shape::Table(&AGGREGATE), "What other steps returned is brought together."),
    Key::new(
        "for_each",
        Shape::PathOrFilter,
        "A data path or filter that gives a list: the step is done once for every element, which is `$item`.",
    ),
    Key::new("max_parallel", COUNT, "The most items of `for_each` at once."),
    Key::new("chunk", COUNT, "Elements per item of `for_each`; an item is a list then."),
    Key::new("success", SOME_SUCCESS, "What of the items of `for_each` has to succeed; `all` if left out."),
    Key::new(
        "expand",
        Shape::Either(&[Shape::Bool, Shape::Table(&EXPAND)]),
        "The `steps` of its output join the running graph.",
    ),
    Key::new(
        "uses",
        Shape::Filled,
        "Another workflow file, from this file's folder, is done in its place; `with` and `input` are laid over its data.",
    ),
    Key::new("route", Shape::Bool, "`true`: its input is looked at, and a path of templates is done in its place."),
];

/// The same keys in `defaults`.
const NOT_SHARED: &[Key] = &[
    Key::refused("id", "every step has its own"),
    Key::refused("approval", "a question belongs to one step"),
    Key::refused("aggregate", "what is brought together belongs to one step"),
    Key::refused("for_each", "a list belongs to one step"),
    Key::refused("max_parallel", "it goes with the `for_each` of one step"),
    Key::refused("chunk", "it goes with the `for_each` of one step"),
    Key::refused("success", "it goes with the `for_each` of one step"),
    Key::refused("expand", "steps join by the output of one step"),
    Key::refused("uses", "what is used belongs to one step"),
    Key::refused("route", "a way belongs to one step"),
];

/// The same keys, and what belongs to a place among steps, in a template.
const NOT_IN_TEMPLATES: &[Key] = &[
    Key::refused("id", "a template goes by its name"),
    Key::refused("needs", "the path says what comes before it"),
    Key::refused("critical", "the routing step says whether it is"),
    Key::refused("barrier", "which steps take its path is not known beforehand"),
    Key::refused("approval", "a template is asked of an agent"),
    Key::refused("aggregate", "a template is asked of an agent"),
    Key::refused("uses", "a template is asked of an agent"),
    Key::refused("route", "a path does not lead to further paths"),
    Key::refused("for_each", "it stands at the routing step"),
    Key::refused("max_parallel", "it goes with the `for_each` of the routing step"),
    Key::refused("chunk", "it goes with the `for_each` of the routing step"),
    Key::refused("success", "it goes with the `for_each` of the routing step"),
    Key::refused("expand", "steps join by the output of a step of the file"),
];

/// Keys of which a step gives exactly one, in the order of messages.
pub(crate) const WORK_KEYS: [&str; 8] =
    ["run", "command", "capability", "agent", "approval", "aggregate", "uses", "route"];

const STDOUTS: &[Word] =
    &[Word::new("json", "Any JSON and nothing else."), Word::new("text", "Always text, as `{\"stdout\": …}`.")];
const PRIORITIES: &[Word] =
    &[Word::new("low", "25"), Word::new("normal", "50"), Word::new("high", "75"), Word::new("urgent", "90")];
const ON_UNKNOWN: &[Word] = &[
    Word::new("ask", "A person is asked in the panel; without one it fails and says how to go on."),
    Word::new("retry", "It is done again, with the same idempotency key."),
    Word::new("fail", "It fails."),
];
const ON_EXHAUSTED: &[Word] = &[Word::new("fail", "It fails."), Word::new("pause", "It waits for a person.")];
const ON_CANCEL: &[Word] = &[
    Word::new("leave", "It stays as it is."),
    Word::new(
        "compensate",
        "It is undone by `compensate`; a step without one that takes this from `defaults` is left.",
    ),
];
const NEED_ON: &[Word] = &[
    Word::new("succeeded", "Success, also by a fallback."),
    Word::new("completed", "Any end."),
    Word::new("failed", "Failure."),
];
pub(crate) const NEED: Table = Table {
    id: "need",
    what: "a need",
    groups: &[&[Key::new("on", Shape::Words(NEED_ON), "The end that is waited for; `succeeded`.")]],
};
pub(crate) const FALLBACK: Table = Table {
    id: "fallback",
    what: "a fallback",
    groups: &[&[
        Key::new("agent", Shape::Id, "One attempt on this agent."),
        Key::new("capability", Shape::Name, "One attempt on an agent with this capability."),
        Key::new("value", Shape::Literal, "This value as the output."),
    ]],
};
