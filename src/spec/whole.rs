//! A workflow and all that it uses: every file is read by the same road, and what is used is put in its place.
//!
//! The agents and the templates of all files are those of the whole; steps, data, defaults and results stay inside. What
//! decides how a run goes as a whole is said by the file that is run.

use crate::model::id::Name;
use crate::model::policy::{Limits, Mode, OnThresholdMissed, Recovery};
use crate::model::step::{EnvMap, EnvValue, Step, Work};
use crate::model::workflow::{FileStamp, Workflow};
use crate::spec::Outcome;
use crate::spec::build::{self, Draft};
use crate::spec::check;
use crate::spec::computed::EXPRESSION;
use crate::spec::crew::Crew;
use crate::spec::data;
use crate::spec::diagnostic::{Code, Diagnostic};
use crate::spec::expected::critical_path;
use crate::spec::faults::Faults;
use crate::spec::library::Library;
use crate::spec::options::Options;
use crate::spec::source::{LIMITS, Source, Span};
use crate::spec::tables::WORKFLOW;
use crate::spec::tree::Node;
use crate::spec::walk::{self, Fields};
use crate::spec::words::quote;
use indexmap::IndexMap;
use std::collections::HashMap;
use std::io::{self, Write};
use std::path::Path;

/// Reads a workflow file, and the files that it uses.
#[must_use]
pub fn read(source: &Source, options: &Options) -> Outcome<Workflow> {
    let mut faults = Faults::new(source);
    let root = data::tree(source, &mut faults).filter(|root| data::is_map(root, "a workflow", &mut faults));
    let Some(root) = root else { return Outcome::new(None, faults) };
    let mut library = Library::of(source, &root, options);
    let found: Vec<_> = library.files.iter_mut().map(|file| std::mem::take(&mut file.found)).collect();
    let library = library;
    let mut parts = vec![Part { draft: Some(first(source, &root, options, &mut faults)), faults, done: None }];
    for (file, found) in library.files.iter().zip(found) {
        let mut faults = Faults::with(&file.source, found);
        let draft = file.root.as_ref().map(|root| used(&file.source, root, &file.path, &mut faults));
        parts.push(Part { draft, faults, done: None });
    }
    let mut crew = Crew::default();
    for Part { draft, faults, .. } in &mut parts {
        if let Some(draft) = draft {
            crew.join(&draft.agents, &options.agents, faults);
        }
    }
    crew.complete(&options.agents);
    let templates = templates(&mut parts);
    let mut whole = Whole { library: &library, parts, crew, templates, options };
    whole.finish(0, &mut Vec::new());
    whole.into_outcome()
}

/// The file that is run: what the options say is laid over it.
fn first(source: &Source, root: &Node, options: &Options, faults: &mut Faults<'_>) -> Draft {
    walk::table(&WORKFLOW, root, root.span, faults);
    let mut draft = build::workflow(root, &source.stem(), faults);
    data::lay_over(&mut draft.workflow.data, options.data.as_ref(), &options.set);
    draft.workflow.folder.clone_from(&options.folder);
    if let Some((mode, said_by)) = &options.mode {
        draft.workflow.mode = *mode;
        draft.workflow.mode_source.clone_from(said_by);
    }
    if options.max_parallel.is_some() {
        draft.workflow.limits.max_parallel = options.max_parallel;
    }
    draft
}

/// Keys that a workflow has no use for where another one uses it.
const DECIDED_ABOVE: [&str; 5] = ["mode", "parallel_threshold", "limits", "recovery", "on_threshold_missed"];

/// A file that is used: its variables and folders are given to its steps.
fn used(source: &Source, root: &Node, path: &str, faults: &mut Faults<'_>) -> Draft {
    walk::table(&WORKFLOW, root, root.span, faults);
    let fields = Fields::of(&WORKFLOW, root);
    for key in DECIDED_ABOVE {
        if let Some(place) = fields.key_span(key) {
            let message = format!("`{key}` has no effect here: this file is used by another one, which decides that");
            faults.warning(place, Code::NoEffect, message).expected("the key in the file that is run");
        }
    }
    let mut draft = build::workflow(root, &source.stem(), faults);
    let workflow = &mut draft.workflow;
    (workflow.mode, workflow.recovery) = (Mode::Parallel, Recovery::Continue);
    (workflow.limits, workflow.on_threshold_missed) = (Limits::default(), OnThresholdMissed::default());
    (draft.limited, draft.rollback, draft.idle_threshold) = (Vec::new(), None, None);
    let folder = Path::new(path).parent();
    for draft in draft.steps.iter_mut().chain(&mut draft.templates) {
        settle(&mut draft.step, &workflow.env, folder);
    }
    for agent in draft.agents.iter_mut().filter_map(|draft| draft.agent.as_mut()) {
        if let crate::model::agent::AgentKind::Process(process) = &mut agent.kind {
            process.cwd = process.cwd.as_deref().map(|cwd| from(folder, cwd));
        }
    }
    draft
}

/// Gives a step of a used file what it has from that file.
fn settle(step: &mut Step, env: &EnvMap, folder: Option<&Path>) {
    step.cwd = step.cwd.as_deref().map(|cwd| from(folder, cwd));
    if step.is_process() {
        step.env = env.iter().chain(&step.env).cloned().collect();
    }
    if let Some(undo) = &mut step.compensate {
        // What is computed is computed for the step itself.
        let is_literal = |value: &EnvValue| !matches!(value, EnvValue::Text(text) if text.contains(EXPRESSION));
        let env: EnvMap = env.iter().filter(|(_, value)| is_literal(value)).cloned().collect();
        settle(undo, &env, folder);
    }
}

/// A relative folder of a used file, from the root on.
fn from(folder: Option<&Path>, cwd: &str) -> String {
    folder.map_or_else(|| cwd.to_owned(), |folder| folder.join(cwd).to_string_lossy().into_owned())
}

/// The templates of all files. Two of one name have to be the same.
fn templates(parts: &mut [Part<'_>]) -> IndexMap<Name, Step> {
    let mut all: IndexMap<Name, Step> = IndexMap::new();
    let mut places: HashMap<Name, String> = HashMap::new();
    for Part { draft, faults, .. } in parts {
        for draft in draft.iter().flat_map(|draft| &draft.templates) {
            let name = &draft.step.id;
            match all.get(name) {
                Some(known) if *known != draft.step => {
                    let place = places.get(name).map_or("", String::as_str);
                    let message = format!(
                        "template {} is another one in {place}, which uses this file or is used with it",
                        quote(name)
                    );
                    faults
                        .error(draft.span, Code::DuplicateId, message)
                        .expected("the same template in both files, or one of another name");
                }
                Some(_) => {}
                None => {
                    places.insert(name.clone(), format!("{}:{}", faults.name(), faults.line(draft.span)));
                    all.insert(name.clone(), draft.step.clone());
                }
            }
        }
    }
    all
}

/// A file on its way.
struct Part<'s> {
    faults: Faults<'s>,
    /// Until it is finished.
    draft: Option<Draft>,
    done: Option<Done>,
}

/// A file that was read with all that it uses.
struct Done {
    workflow: Workflow,
    /// Its steps, those of what it uses counted as often as they are used.
    steps: usize,
    /// The bytes of its JSON.
    bytes: usize,
    /// The longest way down from it, itself first.
    deepest: Vec<usize>,
}

struct Whole<'s, 'o> {
    library: &'s Library,
    parts: Vec<Part<'s>>,
    crew: Crew,
    templates: IndexMap<Name, Step>,
    options: &'o Options,
}

impl Whole<'_, '_> {
    /// Finishes a file after those that it uses. `chain`: the files that lead to it.
    fn finish(&mut self, at: usize, chain: &mut Vec<usize>) {
        let Some(mut draft) = self.parts[at].draft.take() else { return };
        chain.push(at);
        let (mut steps, mut bytes, mut deepest) = (draft.steps.len(), 0, Vec::new());
        for draft in &mut draft.steps {
            let Work::Uses { file, .. } = &draft.step.work else { continue };
            let (file, place) = (file.clone(), draft.asks_span);
            let Some(other) = self.find(at, &file, place, chain) else { continue };
            let Some(used) = &self.parts[other].done else { continue };
            if chain.len() + used.deepest.len() > LIMITS.nesting + 1 {
                let way: Vec<usize> = chain.iter().chain(&used.deepest).copied().collect();
                self.too_deep(at, place, &way);
                continue;
            }
            steps += used.steps;
            bytes += used.bytes;
            if used.deepest.len() > deepest.len() {
                deepest.clone_from(&used.deepest);
            }
            let (too_many, too_large) = (steps > LIMITS.steps, bytes > LIMITS.used_bytes);
            if too_many || too_large {
                let message = if too_many {
                    format!(
                        "with the steps of the files that are used, each as often as it is used, there are more than {}",
                        LIMITS.steps
                    )
                } else {
                    format!(
                        "the workflows that are used, each as often as it is used, come to more than {} MB",
                        LIMITS.used_bytes >> 20
                    )
                };
                self.parts[at].faults.error(place, Code::TooLarge, message).expected("less of them");
                break;
            }
            let known = || critical_path(&used.workflow, &self.crew.agents);
            draft.step.estimate = draft.step.estimate.or_else(known);
            let workflow = Box::new(used.workflow.clone().into());
            draft.step.work = Work::Uses { file, workflow };
        }
        deepest.insert(0, at);
        let faults = &mut self.parts[at].faults;
        let workflow = check::finish(draft, &self.crew, &self.templates, self.options, at > 0, faults);
        self.parts[at].done = workflow.map(|workflow| {
            let bytes = if at > 0 { size(&workflow) } else { 0 };
            Done { workflow, steps, bytes, deepest }
        });
        chain.pop();
    }

    /// The number of a file that another one uses, which is finished then.
    fn find(&mut self, user: usize, file: &str, place: Span, chain: &mut Vec<usize>) -> Option<usize> {
        let faults = &mut self.parts[user].faults;
        let other = match self.library.link(user, file)? {
            Ok(other) => *other,
            Err(why) if why.code == Code::Encoding => {
                let message = format!("{} cannot be used, line {}: {}", quote(file), why.line, why.message);
                faults.error(place, why.code, message).expected("text in UTF-8");
                return None;
            }
            Err(why) => {
                faults
                    .error(place, why.code, format!("{} cannot be used: {}", quote(file), why.message))
                    .expected("the name of a workflow file, from the folder of this one");
                return None;
            }
        };
        if let Some(from) = chain.iter().position(|part| *part == other) {
            let circle: Vec<usize> = chain[from..].iter().copied().chain([other]).collect();
            let message = format!("these files use each other without end: {}", self.way(&circle));
            let faults = &mut self.parts[user].faults;
            faults.error(place, Code::Cycle, message).expected("a file that does not lead back to this one");
            return None;
        }
        if chain.len() > LIMITS.nesting {
            let way: Vec<usize> = chain.iter().copied().chain([other]).collect();
            self.too_deep(user, place, &way);
            return None;
        }
        self.finish(other, chain);
        Some(other)
    }

    fn too_deep(&mut self, user: usize, place: Span, way: &[usize]) {
        let message = format!("files use each other more than {} deep: {}", LIMITS.nesting, self.way(way));
        self.parts[user].faults.error(place, Code::TooLarge, message).expected("a shorter way down");
    }

    /// Files by their names, each followed by one that it uses.
    fn way(&self, files: &[usize]) -> String {
        let names: Vec<&str> = files.iter().map(|at| self.parts[*at].faults.name()).collect();
        names.join(" -> ")
    }

    fn into_outcome(self) -> Outcome<Workflow> {
        let files = self.library.files.iter();
        let files = files.map(|file| FileStamp { path: file.path.clone(), hash: file.hash.clone() }).collect();
        let refused = self.parts.iter().any(|part| part.faults.any_error());
        let mut value = None;
        let (mut diagnostics, mut more): (Vec<Diagnostic>, usize) = (Vec::new(), 0);
        for (at, part) in self.parts.into_iter().enumerate() {
            let (found, others) = part.faults.finish();
            diagnostics.extend(found);
            more += others;
            if at == 0 {
                value = part.done.map(|done| done.workflow).filter(|_| !refused);
            }
        }
        if diagnostics.len() > LIMITS.diagnostics {
            more += diagnostics.len() - LIMITS.diagnostics;
            // Warnings of one file must not push out what refuses another.
            diagnostics.sort_by_key(|diagnostic| diagnostic.severity);
            diagnostics.truncate(LIMITS.diagnostics);
        }
        Outcome { value, diagnostics, more, files }
    }
}

/// How much there is of a workflow, by the bytes of its JSON.
fn size(workflow: &Workflow) -> usize {
    struct Count(usize);
    impl Write for Count {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    match serde_json::to_writer(&mut count, workflow) {
        Ok(()) => count.0,
        Err(_) => usize::MAX / 2,
    }
}
