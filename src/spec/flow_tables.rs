//! The tables of data flow: aggregates, what an output has to be, and steps that an output brings.

use crate::spec::keys::{Key, KeyRule, Shape, Table, Word};
use crate::spec::policy_tables::AT_ONCE_MAX;

/// The most steps that one output may bring.
pub(crate) const EXPAND_MAX: u64 = 1_000;
/// How many it may bring where nothing is said.
pub(crate) const EXPAND_USUAL: u32 = 100;

const STRATEGIES: &[Word] = &[
    Word::new("merge", "Lists one behind the other; what is no list is an element."),
    Word::new("reduce", "One value, by `op` or `fold`."),
    Word::new("transform", "What `filter` makes of the list of values."),
    Word::new("vote", "The value that most of them are, or have under `by`."),
    Word::new("first", "The first one that is there; the rest is cancelled."),
];
const OPERATIONS: &[Word] = &[
    Word::new("sum", "Their sum."),
    Word::new("mean", "Their mean."),
    Word::new("min", "The least."),
    Word::new("max", "The greatest."),
    Word::new("count", "How many values there are."),
];
const MISSING: &[Word] = &[
    Word::new("skip", "It is left out, and named."),
    Word::new("null", "`null` stands in its place, and it is named."),
    Word::new("fail", "There is no aggregate."),
    Word::new("interpolate", "The mean of its nearest neighbours stands in its place, and it is named: numbers only."),
];
const WAITS: &[Word] = &[
    Word::new("all", "The end of every step in `from`."),
    Word::new("critical", "The end of those that are `critical`; what else is not there by then is missing."),
];

/// Outputs brought together.
pub(crate) const AGGREGATE: Table = Table {
    id: "aggregate",
    what: "an aggregate",
    groups: &[&[
        Key::new(
            "from",
            Shape::Either(&[Shape::List(&Shape::Id, 1), Shape::PathOrFilter]),
            "Whose outputs: a list of steps; or a data path or filter that gives a list.",
        )
        .required(),
        Key::new("strategy", Shape::Words(STRATEGIES), "How they become one.").required(),
        Key::new(
            "unique_by",
            Shape::PathOrFilter,
            "`merge`: of elements with the same value here only the first stays.",
        ),
        Key::new("sort_by", Shape::PathOrFilter, "`merge`: elements in the order of their values here."),
        Key::new("op", Shape::Words(OPERATIONS), "`reduce`: what numbers become."),
        Key::new("fold", Shape::Filter, "`reduce`: a filter over the list of values."),
        Key::new("filter", Shape::Filter, "`transform`: a filter over the list of values."),
        Key::new("by", Shape::PathOrFilter, "`vote`: what of each value is compared; the whole value if left out."),
        Key::new(
            "quorum",
            Shape::Either(&[Shape::Whole(1, AT_ONCE_MAX), Shape::Share]),
            "`vote`: the votes that the winner needs, a number or a share such as `60%`; more than any other if left out.",
        ),
        Key::new("missing", Shape::Words(MISSING), "What becomes of a value that is not there; `skip` if left out."),
        Key::new("wait", Shape::Words(WAITS), "What is waited for; `all` if left out."),
    ]],
};

const ON_FAIL: &[Word] = &[
    Word::new("retry", "The attempt has failed, and the step's own retries follow."),
    Word::new("fail", "The attempt has failed, and no retry follows."),
    Word::new("warn", "It is said, and the output stands."),
];
/// What an output has to be.
pub(crate) const EXPECT: Table = Table {
    id: "expect",
    what: "`expect`",
    groups: &[&[
        Key::new(
            "schema",
            Shape::Either(&[Shape::Bool, Shape::Object]),
            "A JSON Schema that refers to nothing outside itself.",
        ),
        Key::new(
            "assert",
            Shape::Either(&[Shape::PathOrFilter, Shape::List(&Shape::PathOrFilter, 1)]),
            "Filters over the output, each of which has to give `true`.",
        ),
        Key::new(
            "quality",
            Shape::Either(&[
                Shape::Name,
                Shape::Map(
                    KeyRule::Name,
                    &Shape::Either(&[Shape::Name, Shape::Number { from: 0.0, inclusive: true, to: 1.0 }]),
                ),
            ]),
            "The least scores: a domain (`generic`, `analytical`, `creative`, `technical`), or `{domain, NAME: 0.9}`.",
        ),
        Key::new("on_fail", Shape::Words(ON_FAIL), "What follows where the output is not that; `retry` if left out."),
    ]],
};

/// Steps that an output brings.
pub(crate) const EXPAND: Table = Table {
    id: "expand",
    what: "`expand`",
    groups: &[&[
        Key::new(
            "allow",
            Shape::List(&Shape::Name, 1),
            "The capabilities they may ask for; those of all agents of the file if left out.",
        ),
        Key::new("max", Shape::Whole(1, EXPAND_MAX), "The most steps that one output may bring; 100."),
    ]],
};
