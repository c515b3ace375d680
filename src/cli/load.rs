//! From paths and options to a workflow and its diagnostics: files are read here, and understood in `spec`.

use super::args::{ModeWord, ModelOptions, RunOutput};
use super::out::{self, EXIT_USAGE, Stop, refuse, say};
use super::recipe::{Input, Recipe, STDIN};
use crate::model::policy::Mode;
use crate::model::workflow::{FileStamp, Workflow};
use crate::report::json;
use crate::runtime::environment;
use crate::runtime::evaluate;
use crate::runtime::store::disk::file_hash;
use crate::spec::{self, Code, Diagnostic, LIMITS, Options, Outcome, Severity, Source};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Filters are compiled by what will compute them.
const COMPILE: Option<spec::Compile> = Some(evaluate::check);

/// Files that a workflow uses are read here as it is itself.
const USED: Option<spec::ReadUsed> = Some(used);

/// What the workflow is read for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Needs {
    /// To be run or planned: everything asked for has to be offered.
    Agents,
    /// To be drawn.
    GraphOnly,
}

/// What came of the files.
#[derive(Debug, Default)]
pub(crate) struct Loaded {
    workflow: Option<Workflow>,
    diagnostics: Vec<Diagnostic>,
    /// Diagnostics beyond the limit.
    more: usize,
    /// The files that were read.
    files: Vec<FileStamp>,
}

impl Loaded {
    /// Takes over what was said about a file; gives its value.
    fn add<T>(&mut self, outcome: Outcome<T>) -> Option<T> {
        self.diagnostics.extend(outcome.diagnostics);
        self.more += outcome.more;
        self.files.extend(outcome.files);
        outcome.value
    }

    /// The text of a file, or of standard input, noted as read.
    fn source(&mut self, path: &Path) -> Option<Source> {
        match read(path) {
            Ok((source, hash)) => {
                if let Input::File(path) = Input::of(path) {
                    self.files.push(FileStamp { path, hash });
                }
                Some(source)
            }
            Err(fault) => {
                self.diagnostics.push(*fault);
                None
            }
        }
    }

    /// The workflow, unless its file is refused.
    pub(crate) const fn workflow(&self) -> Option<&Workflow> {
        self.workflow.as_ref()
    }

    /// The files that were read.
    pub(crate) fn files(&self) -> Vec<FileStamp> {
        self.files.clone()
    }

    /// Everything there is to say.
    pub(crate) fn diagnostics(&self) -> &[Diagnostic] {
        &self.diagnostics
    }

    /// What was said about files beside a workflow, then about the workflow.
    fn and(mut self, workflow: Self) -> Self {
        self.diagnostics.extend(workflow.diagnostics);
        self.files.extend(workflow.files);
        self.more += workflow.more;
        self.workflow = workflow.workflow;
        self
    }

    /// Errors, and the rest.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let errors = self.diagnostics.iter().filter(|d| d.severity == Severity::Error).count();
        (errors, self.diagnostics.len() - errors)
    }

    /// Whether there is nothing to run.
    pub(crate) fn is_refused(&self) -> bool {
        self.workflow.is_none() || self.counts().0 > 0
    }

    /// Says everything on standard error.
    pub(crate) fn say(&self) {
        if !self.diagnostics.is_empty() {
            say(spec::render_all(&self.diagnostics, self.more).trim_end());
        }
    }

    /// The workflow; else its faults are told where and as `output` wants them, and that was all.
    pub(crate) fn accept(self, output: impl Into<RunOutput>) -> Result<Workflow, Stop> {
        if !self.is_refused() {
            self.say();
            let mut workflow = self.workflow.ok_or(Stop(EXIT_USAGE))?;
            workflow.start_folder = environment::start_folder().and_then(|folder| Some(folder.to_str()?.to_owned()));
            return Ok(workflow);
        }
        match output.into() {
            RunOutput::Text => self.say(),
            RunOutput::Json => out::result(&(json::pretty(&self.diagnostics) + "\n"))?,
            RunOutput::Jsonl => out::result(&json::lines(&self.diagnostics))?,
        }
        Err(Stop(EXIT_USAGE))
    }
}

/// What comes from beside the workflow's file; read once, for however many workflows.
#[derive(Debug)]
pub(crate) struct Beside {
    options: Options,
    faults: Loaded,
    stdin_taken: bool,
}

impl Beside {
    /// Reads the files and values that the options name.
    pub(crate) fn read(model: &ModelOptions, needs: Needs) -> Result<Self, Stop> {
        let mut faults = Loaded::default();
        let mut set = Vec::with_capacity(model.set.len());
        for text in &model.set {
            match spec::data::parse_set(text) {
                Ok(pair) => set.push(pair),
                Err(why) => return refuse(&format!("--set: {}", crate::model::safe::Safe::line(&why))),
            }
        }
        let stdin = |path: &Option<PathBuf>| path.as_ref().is_some_and(|path| path.as_os_str() == STDIN);
        if stdin(&model.agents) && stdin(&model.data) {
            return refuse("--agents and --data cannot both be read from standard input");
        }
        let mut value = |path: &Option<PathBuf>| faults.source(path.as_deref()?);
        let (agents, data) = (value(&model.agents), value(&model.data));
        let agents = agents.and_then(|source| faults.add(spec::read_agents(&source, COMPILE)));
        let data = data.and_then(|source| faults.add(spec::read_data(&source)));
        let mode = model.mode.map(ModeWord::mode);
        let options = Options {
            // Without the agents that were to come from outside, every capability would seem to be missing.
            agents_needed: needs == Needs::Agents && (model.agents.is_none() || agents.is_some()),
            agents: agents.unwrap_or_default(),
            data,
            set,
            mode: mode.map(by_option),
            max_parallel: model.max_parallel,
            folder: None,
            cores: cores(),
            file: None,
            used: USED,
            compile: COMPILE,
        };
        Ok(Self { options, faults, stdin_taken: stdin(&model.agents) || stdin(&model.data) })
    }

    /// What is wrong with the files beside the workflow.
    pub(crate) const fn faults(&self) -> &Loaded {
        &self.faults
    }

    /// Reads a workflow.
    pub(crate) fn workflow(&mut self, path: &Path) -> Result<Loaded, Stop> {
        let mut loaded = Loaded::default();
        if path.as_os_str() == STDIN && std::mem::replace(&mut self.stdin_taken, true) {
            return refuse("standard input can be read only once");
        }
        if let Some(source) = loaded.source(path) {
            self.options.folder = folder(path);
            self.options.file = place(path);
            loaded.workflow = loaded.add(spec::read(&source, &self.options));
        }
        Ok(loaded)
    }

    /// What a workflow from `path` can be read again by.
    fn recipe(&self, path: &Path, model: &ModelOptions) -> Recipe {
        let options = &self.options;
        Recipe {
            workflow: Input::of(path),
            agents: model.agents.as_deref().map(Input::of),
            data: options.data.clone(),
            set: options.set.clone(),
            mode: options.mode.as_ref().map(|(mode, _)| *mode),
            max_parallel: options.max_parallel,
            cores: options.cores,
        }
    }
}

/// Reads one workflow with everything that belongs to it.
pub(crate) fn workflow(path: &Path, model: &ModelOptions, needs: Needs) -> Result<Loaded, Stop> {
    with_recipe(path, model, needs).map(|(loaded, _)| loaded)
}

/// The same, and what it can be read again by.
pub(crate) fn with_recipe(path: &Path, model: &ModelOptions, needs: Needs) -> Result<(Loaded, Recipe), Stop> {
    let mut beside = Beside::read(model, needs)?;
    let loaded = beside.workflow(path)?;
    let recipe = beside.recipe(path, model);
    Ok((beside.faults.and(loaded), recipe))
}

/// Reads a workflow again as it was read for a saved run. The paths are those of `recipe.files()`.
pub(crate) fn again(recipe: &Recipe) -> Loaded {
    let mut all = Loaded::default();
    let Some(files) = recipe.files() else { return all };
    let agents = files.get(1).and_then(|path| all.source(Path::new(path)));
    let agents = agents.and_then(|source| all.add(spec::read_agents(&source, COMPILE)));
    let path = Path::new(files[0]);
    let options = Options {
        agents_needed: files.len() < 2 || agents.is_some(),
        agents: agents.unwrap_or_default(),
        data: recipe.data.clone(),
        set: recipe.set.clone(),
        mode: recipe.mode.map(by_option),
        max_parallel: recipe.max_parallel,
        folder: folder(path),
        cores: recipe.cores,
        file: place(path),
        used: USED,
        compile: COMPILE,
    };
    let mut loaded = Loaded::default();
    if let Some(source) = loaded.source(path) {
        loaded.workflow = loaded.add(spec::read(&source, &options));
    }
    all.and(loaded)
}

/// A mode, and where it was said.
fn by_option(mode: Mode) -> (Mode, String) {
    (mode, "the option --mode".to_owned())
}

/// Slots for processes.
fn cores() -> u32 {
    std::thread::available_parallelism().map_or(1, |n| u32::try_from(n.get()).unwrap_or(u32::MAX))
}

/// The folder of a file, from the root on: upbeat may be asked from anywhere.
fn folder(path: &Path) -> Option<String> {
    if path.as_os_str() == STDIN {
        return None;
    }
    let whole = std::path::absolute(path).ok()?;
    whole.parent().and_then(Path::to_str).map(str::to_owned)
}

/// Where a file lies: the same for every way to name it.
fn place(path: &Path) -> Option<String> {
    if path.as_os_str() == STDIN {
        return None;
    }
    std::fs::canonicalize(path).ok()?.to_str().map(str::to_owned)
}

/// A file that another one uses, from the folder of that one on.
fn used(using: &str, file: &str) -> Result<spec::Used, Box<Diagnostic>> {
    let folder = if using == STDIN { Path::new("") } else { Path::new(using).parent().unwrap_or(Path::new("")) };
    let path = folder.join(file);
    let refused =
        |why: &str| Box::new(Diagnostic::whole_file(&path.to_string_lossy(), Code::Unreadable, why.to_owned()));
    // What is no file may never come to an end, or never answer.
    if std::fs::metadata(&path).is_ok_and(|about| !about.is_file() && !about.is_dir()) {
        return Err(refused("this is no regular file"));
    }
    let (source, hash) = read_file(&path)?;
    let path = place(&path).ok_or_else(|| refused("its path is not UTF-8"))?;
    Ok(spec::Used { source, path, hash })
}

/// The text of a file, or of standard input, and its hash; never more of it than a file may have.
fn read(path: &Path) -> Result<(Source, String), Box<Diagnostic>> {
    if path.as_os_str() == STDIN { read_from(path, || Ok(io::stdin().lock())) } else { read_file(path) }
}

fn read_file(path: &Path) -> Result<(Source, String), Box<Diagnostic>> {
    read_from(path, || File::open(path))
}

fn read_from<R: Read>(path: &Path, open: impl FnOnce() -> io::Result<R>) -> Result<(Source, String), Box<Diagnostic>> {
    let name = path.to_string_lossy();
    let mut bytes = Vec::new();
    let most = LIMITS.bytes as u64 + 1;
    match open().and_then(|file| file.take(most).read_to_end(&mut bytes)) {
        Ok(_) => {
            let hash = file_hash(&bytes);
            spec::source_from_bytes(&name, bytes).map(|source| (source, hash))
        }
        Err(error) => Err(Box::new(Diagnostic::whole_file(&name, Code::Unreadable, unreadable(path, &error)))),
    }
}

fn unreadable(path: &Path, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => match nearest(path) {
            Some(near) => format!("there is no such file; did you mean {near}?"),
            None => "there is no such file".to_owned(),
        },
        io::ErrorKind::IsADirectory => "this is a folder; a file is needed".to_owned(),
        io::ErrorKind::PermissionDenied => "it may not be read (permission denied)".to_owned(),
        _ => format!("it cannot be read: {error}"),
    }
}

/// A file of nearly that name in the same folder.
fn nearest(path: &Path) -> Option<String> {
    const LOOKED_AT: usize = 1_000;
    let wanted = path.file_name()?.to_str()?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    let names = std::fs::read_dir(folder).ok()?.take(LOOKED_AT).flatten();
    let mut near: Vec<(usize, String)> = names
        .filter_map(|entry| entry.file_name().into_string().ok())
        .map(|name| (strsim::damerau_levenshtein(wanted, &name), name))
        .filter(|(distance, _)| *distance <= 2 || *distance * 5 <= wanted.len())
        .collect();
    near.sort();
    let (_, name) = near.into_iter().next()?;
    Some(path.with_file_name(name).to_string_lossy().into_owned())
}
