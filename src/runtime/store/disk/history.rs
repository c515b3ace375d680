//! How long successful attempts took, by kind of step, over all runs: what estimates are made of.
//!
//! For each key the count and a mean are kept. The first [`MEAN_OVER`] durations weigh the same; after that each new one
//! weighs one part in [`MEAN_OVER`], so that the mean follows a step that has become slower or quicker.

use super::base::{self, Schema, SyncMode};
use super::error::StoreError;
use super::{Store, folder};
use crate::model::time::Micros;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};
use std::path::PathBuf;

/// About how many of the last durations a mean looks back on.
pub const MEAN_OVER: u32 = 16;

const SCHEMA: Schema = Schema {
    steps: &["CREATE TABLE durations (key TEXT PRIMARY KEY, count INTEGER NOT NULL, mean_us REAL NOT NULL) STRICT;"],
};

/// What is known of a kind of step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Timing {
    /// How many durations were taken in.
    pub count: u64,
    /// Their mean, the later ones weighing more.
    pub mean: Micros,
}

/// The durations of a store. Several processes may use them at once.
#[derive(Debug)]
pub struct History {
    db: Connection,
    path: PathBuf,
}

impl Store {
    /// Opens the durations, making the file where it is missing.
    ///
    /// # Errors
    /// `Io`, `Full`, `Damaged`, `TooNew`. A run needs no estimates: it can go on without them.
    pub fn history(&self) -> Result<History, StoreError> {
        folder::check_private(self.root())?;
        let path = self.root().join("history.db");
        let db = base::open(&path, SCHEMA, SyncMode::Normal)?;
        Ok(History { db, path })
    }
}

impl History {
    /// Takes in durations by key, all or none.
    ///
    /// # Errors
    /// `Io`, `Full`, or `InUse` if another process holds the file for longer than two seconds.
    pub fn add<'a>(&mut self, durations: impl IntoIterator<Item = (&'a str, Micros)>) -> Result<(), StoreError> {
        let write = || {
            let change = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
            {
                let mut put = change.prepare_cached(
                    "INSERT INTO durations (key, count, mean_us) VALUES (?1, 1, ?2) ON CONFLICT (key) DO UPDATE SET
                     mean_us = mean_us + (excluded.mean_us - mean_us) / min(count + 1, ?3), count = count + 1",
                )?;
                for (key, duration) in durations {
                    put.execute(params![key, duration.as_secs_f64() * 1e6, MEAN_OVER])?;
                }
            }
            change.commit()
        };
        write().map_err(|error| StoreError::sqlite("write to", &self.path, &error))
    }

    /// What is known of each key, in their order.
    ///
    /// # Errors
    /// `Io`, or `Damaged` if the file is not what was written.
    pub fn get(&self, keys: &[&str]) -> Result<Vec<Option<Timing>>, StoreError> {
        let read = || {
            let mut query = self.db.prepare_cached("SELECT count, mean_us FROM durations WHERE key = ?1")?;
            let timing = |row: &rusqlite::Row<'_>| {
                let mean = Micros::from_secs_f64(row.get::<_, f64>(1)? / 1e6);
                Ok(Timing { count: row.get::<_, i64>(0)?.unsigned_abs(), mean })
            };
            keys.iter().map(|key| query.query_row([key], timing).optional()).collect::<rusqlite::Result<Vec<_>>>()
        };
        read().map_err(|error| StoreError::sqlite("read", &self.path, &error))
    }
}
