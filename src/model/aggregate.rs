//! Bringing outputs together: what is taken, how, and what is done about what is missing.

use super::expression::Expression;
use super::id::StepId;
use serde::{Deserialize, Serialize};

/// An aggregate over what steps returned.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Aggregate {
    /// What is brought together.
    pub from: From,
    /// How.
    pub strategy: Strategy,
    /// What becomes of what is not there.
    #[serde(default)]
    pub missing: Missing,
    /// What is waited for.
    #[serde(default)]
    pub wait: Wait,
}

/// Where the values come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum From {
    /// The outputs of these steps, in this order; a `for_each` step stands for its items.
    Steps(Vec<StepId>),
    /// A list, found by a path or a filter.
    Source(Expression),
}

/// How values become one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// Concatenated: lists one behind the other, what is no list as an element.
    Merge {
        /// Of elements with the same value here only the first one stays.
        unique_by: Option<Expression>,
        /// Elements in the order of their values here, as jq orders them; equal ones as they came.
        sort_by: Option<Expression>,
    },
    /// Numbers become one number.
    Reduce(Operation),
    /// A filter over the list of values.
    Fold(Expression),
    /// A filter over the list of values; the same as [`Strategy::Fold`], under the name that suits a change of shape.
    Transform(Expression),
    /// The value that most of them are, or have there.
    Vote {
        /// What is compared; without it the whole value.
        by: Option<Expression>,
        /// What the winner needs; without it more votes than any other.
        quorum: Option<Quorum>,
    },
    /// The first one that is there; the rest is cancelled.
    First,
}

/// What numbers become.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// Their sum; 0 of none.
    Sum,
    /// Their mean; null of none.
    Mean,
    /// The least; null of none.
    Min,
    /// The greatest; null of none.
    Max,
    /// How many values there are, numbers or not.
    Count,
}

/// How many votes are enough.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Quorum {
    /// So many.
    Votes(u32),
    /// This share of all that could vote, in `0.0..=1.0`.
    Share(f64),
}

impl Quorum {
    /// The votes that are enough where so many could vote; at least 1.
    #[must_use]
    pub fn votes(self, of: usize) -> usize {
        match self {
            Self::Votes(votes) => (votes as usize).max(1),
            Self::Share(share) => {
                let needed = (share * of as f64 - 1e-9).ceil().max(1.0);
                // Bounded by the number of steps of a run.
                needed as usize
            }
        }
    }
}

/// What becomes of a value that is not there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Missing {
    /// It is left out, and named.
    #[default]
    Skip,
    /// `null` stands in its place, and it is named.
    Null,
    /// There is no aggregate.
    Fail,
    /// The mean of its nearest neighbours stands in its place, and it is named: numbers only.
    Interpolate,
}

/// What an aggregate waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wait {
    /// The end of everything it takes.
    #[default]
    All,
    /// The end of the critical ones; what else is not there by then is missing.
    Critical,
}
