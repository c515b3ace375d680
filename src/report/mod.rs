//! Words and numbers for people and machines: looks of states, formats, results, plans, graph drawings.
#![deny(clippy::iter_over_hash_type)]

mod advice;
pub mod agents;
pub mod ahead;
pub mod asks;
mod crew;
pub mod difference;
mod doors;
pub mod events;
mod expects;
pub mod format;
pub mod graph;
pub mod guide;
mod items;
pub mod json;
pub mod look;
pub mod plain;
pub mod plan;
mod play;
#[cfg(test)]
mod play_tests;
pub mod result;
mod risks;
#[cfg(test)]
mod risks_tests;
pub mod runs;
#[cfg(test)]
mod sample;
mod schedule;
pub mod show;
mod squeeze;
pub mod summary;
mod turns;
pub mod ways;
pub mod what_if;
pub mod when;
