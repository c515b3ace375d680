//! Words and numbers for people and machines: looks of states, formats, results, plans, graph drawings.
#![deny(clippy::iter_over_hash_type)]

pub mod agents;
pub mod ahead;
pub mod asks;
pub mod difference;
pub mod events;
pub mod format;
pub mod graph;
pub mod guide;
pub mod json;
pub mod look;
pub mod plain;
pub mod plan;
mod play;
pub mod result;
pub mod runs;
#[cfg(test)]
mod sample;
mod schedule;
pub mod show;
pub mod summary;
pub mod ways;
pub mod what_if;
pub mod when;
