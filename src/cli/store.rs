//! Where runs are saved: from options and variables to an open store.

use super::args::{EngineOptions, StorePlace, SyncOption, SyncWord};
use super::out::{EXIT_FAULT, EXIT_USAGE, Stop, refuse, say};
use crate::model::safe::Safe;
use crate::report::ways::{Ways, quoted};
use crate::runtime::environment::var_os;
use crate::runtime::store::disk::{Store, StoreError, StoreErrorKind, SyncMode};
use clap::ArgMatches;
use clap::parser::ValueSource;
use std::path::{Path, PathBuf};

/// An open store.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    /// The store.
    pub(crate) store: Store,
    /// How commands name runs in it.
    pub(crate) ways: Ways,
}

impl Kept {
    fn open(root: &Path) -> Result<Self, StoreError> {
        let store = Store::open(root)?;
        let usual = usual().ok().and_then(|usual| usual.canonicalize().ok());
        let named = (usual.as_deref() != Some(store.root())).then(|| store.root().to_string_lossy().into_owned());
        Ok(Self { store, ways: Ways::new(named) })
    }
}

/// The store for a new run; `None`: the run is not saved. One that was asked for and is not to be had stops the command,
/// the usual one is only missed.
pub(crate) fn for_new(options: &EngineOptions, matches: &ArgMatches) -> Result<Option<Kept>, Stop> {
    let Some(root) = asked_for(options, matches)? else {
        if options.no_store {
            return Ok(None);
        }
        let kept = usual().and_then(|usual| Kept::open(&usual).map_err(|error| error.to_string()));
        return Ok(kept.map_err(|why| say(&format!("upbeat: the run is not saved: {}", Safe::line(&why)))).ok());
    };
    Kept::open(root).map(Some).map_err(|error| {
        let shown = quoted(&root.to_string_lossy());
        let way_out = "name a folder of your own with --store, or save nothing with --no-store";
        say(&format!("upbeat: the store {} cannot be used: {}", Safe::line(&shown), Safe::line(&error.to_string())));
        say(&format!("upbeat: {way_out}"));
        Stop(EXIT_USAGE)
    })
}

/// The folder that was asked for. A flag wins over a variable, and of two variables the one that saves nothing.
fn asked_for<'o>(options: &'o EngineOptions, matches: &ArgMatches) -> Result<Option<&'o Path>, Stop> {
    let flag = |id: &str| matches.value_source(id) == Some(ValueSource::CommandLine);
    let given = given(&options.place);
    match (given, options.no_store) {
        (Some(_), true) if flag("store") && flag("no_store") => refuse("use either --store or --no-store"),
        (Some(root), true) => Ok(flag("store").then_some(root)),
        (given, _) => Ok(given),
    }
}

/// An empty variable is none.
fn given(place: &StorePlace) -> Option<&Path> {
    place.store.as_deref().filter(|root| !root.as_os_str().is_empty())
}

/// The store of runs that are there already. It is not made: a folder that is not there has no runs.
pub(crate) fn existing(place: &StorePlace) -> Result<Kept, Stop> {
    let root = match given(place) {
        Some(root) => root.to_owned(),
        None => usual().or_else(|why| refuse(&format!("there are no saved runs: {why}; name a store with --store")))?,
    };
    if !root.exists() {
        let shown = root.to_string_lossy();
        return refuse(&format!(
            "there are no saved runs: the store {} does not exist; `upbeat run FILE` begins one, --store names another",
            Safe::line(&quoted(&shown))
        ));
    }
    Kept::open(&root).map_err(|error| told(&error))
}

/// Says a store's fault; gives the end it means for the command.
pub(crate) fn told(error: &StoreError) -> Stop {
    say(&format!("upbeat: {}", Safe::line(&error.to_string())));
    Stop(match error.kind {
        StoreErrorKind::Full | StoreErrorKind::Io => EXIT_FAULT,
        _ => EXIT_USAGE,
    })
}

/// How safely to save.
pub(crate) const fn sync(option: &SyncOption) -> SyncMode {
    match option.sync {
        SyncWord::Normal => SyncMode::Normal,
        SyncWord::Full => SyncMode::Full,
    }
}

/// The folder that is used without being named. A relative one in the variable does not count, as its standard says.
fn usual() -> Result<PathBuf, String> {
    let folder = |name: &str| var_os(name).map(PathBuf::from).filter(|folder| folder.is_absolute());
    folder("XDG_STATE_HOME")
        .or_else(|| folder("HOME").map(|home| home.join(".local/state")))
        .map(|state| state.join("upbeat"))
        .ok_or_else(|| "neither XDG_STATE_HOME nor HOME names a folder".to_owned())
}
