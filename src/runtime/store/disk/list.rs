//! All runs of a store, and the one that a word means.

use super::brief::Brief;
use super::error::{StoreError, StoreErrorKind};
use super::folder;
use super::header::Label;
use super::journal::SCHEMA;
use super::saved;
use super::{LAST, Store, check_name, read_undisturbed};
use crate::model::id::Name;
use std::cmp::Reverse;
use std::path::Path;

/// How many candidates an ambiguous prefix is answered with.
const CANDIDATES_MAX: usize = 8;

/// A run in the list.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Its name.
    pub run: Name,
    /// Whether somebody has it open for writing.
    pub live: bool,
    /// What its files take, in bytes.
    pub bytes: u64,
    /// How it began and where it stands, or why that cannot be read.
    pub told: Result<(Label, Brief), StoreError>,
}

impl Entry {
    /// When it was begun; of one that cannot be read nothing better is known than when it was last written to.
    fn began(&self, store: &Store) -> u64 {
        let known = self.told.as_ref().ok().map(|(label, _)| label.began_unix_ms);
        known.or_else(|| store.written_unix_ms(&self.run)).unwrap_or(0)
    }
}

impl Store {
    /// All runs, the newest first. A run that cannot be read is in the list with the reason.
    ///
    /// # Errors
    /// If the folder of the runs cannot be read.
    pub fn list(&self) -> Result<Vec<Entry>, StoreError> {
        let mut entries: Vec<Entry> = self.names()?.iter().map(|run| self.entry(run)).collect();
        entries.sort_by_cached_key(|entry| Reverse((entry.began(self), entry.run.clone())));
        Ok(entries)
    }

    /// The run that a word means: its name, the only one that begins so, or `last`, the newest.
    ///
    /// # Errors
    /// `NotFound`, with the nearest name if one is near; `Ambiguous`, with the candidates; `Io`.
    pub fn find(&self, word: &str) -> Result<Name, StoreError> {
        if word == LAST {
            let newest = self.list()?.into_iter().next();
            return newest.map(|entry| entry.run).ok_or_else(|| {
                StoreError::new(StoreErrorKind::NotFound, "there are no runs yet")
                    .or("begin one with `upbeat run FILE`, or name another store with --store")
            });
        }
        let names = self.names()?;
        if let Some(name) = names.iter().find(|name| &***name == word) {
            return Ok(name.clone());
        }
        let fitting: Vec<&Name> = names.iter().filter(|name| !word.is_empty() && name.starts_with(word)).collect();
        match fitting[..] {
            [] => Err(self.not_found(word)),
            [one] => Ok(one.clone()),
            _ => Err(ambiguous(word, &fitting)),
        }
    }

    /// The names of all runs, sorted.
    fn names(&self) -> Result<Vec<Name>, StoreError> {
        let runs = self.runs();
        folder::check_private(&runs)?;
        let failed = |error: std::io::Error| StoreError::io("read the folder", &runs, &error);
        let mut names = Vec::new();
        for entry in runs.read_dir().map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            if let Some(name) = name.to_str().filter(|name| check_name(name).is_ok()) {
                names.push(Name::from(name));
            }
        }
        names.sort();
        Ok(names)
    }

    fn entry(&self, run: &Name) -> Entry {
        let folder = self.runs().join(&**run);
        let told = folder::check_private(&folder).and_then(|()| {
            read_undisturbed(&folder, &folder.join("journal.db"), SCHEMA, |db, path| saved::outline(db, path, run))
        });
        Entry { run: run.clone(), live: folder::is_locked(&folder), bytes: size(&folder), told }
    }

    pub(super) fn not_found(&self, word: &str) -> StoreError {
        let error = StoreError::new(StoreErrorKind::NotFound, format!("there is no run {word}"));
        let names = self.names().unwrap_or_default();
        let likeness = |name: &&Name| (strsim::jaro_winkler(word, name) * 1e6) as u32;
        match names.iter().max_by_key(likeness).filter(|name| likeness(name) > 700_000) {
            Some(nearest) => error.or(format!("did you mean {nearest}?")),
            None => error,
        }
    }
}

fn ambiguous(word: &str, fitting: &[&Name]) -> StoreError {
    let mut shown = fitting.iter().take(CANDIDATES_MAX).map(|name| &***name).collect::<Vec<_>>().join(", ");
    if let Some(more) = fitting.len().checked_sub(CANDIDATES_MAX).filter(|more| *more > 0) {
        shown += &format!(" and {more} more");
    }
    let message = format!("{} runs begin with {word}: {shown}", fitting.len());
    StoreError::new(StoreErrorKind::Ambiguous, message).or("write more of the name")
}

/// What the files of a folder take.
fn size(folder: &Path) -> u64 {
    let entries = folder.read_dir().into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.metadata().ok()).filter(std::fs::Metadata::is_file).map(|found| found.len()).sum()
}
