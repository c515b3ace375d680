//! The files that a workflow uses, and those that they use: found from the trees, each read once.

use crate::spec::data;
use crate::spec::diagnostic::{Code, Diagnostic};
use crate::spec::faults::{Faults, Findings};
use crate::spec::options::Options;
use crate::spec::source::{LIMITS, Source};
use crate::spec::tree::Node;
use std::collections::{HashMap, HashSet};

/// A file that is used.
#[derive(Debug)]
pub(crate) struct File {
    pub(crate) source: Source,
    /// Where it lies, from the root on.
    pub(crate) path: String,
    pub(crate) hash: String,
    /// `None`: it cannot be read as a map.
    pub(crate) root: Option<Node>,
    pub(crate) found: Findings,
}

/// All of them. The file that is read itself has the number 0, the first of `files` the number 1.
#[derive(Debug, Default)]
pub(crate) struct Library {
    pub(crate) files: Vec<File>,
    /// By a file and what stands in it: the number of the other file, or why it cannot be had.
    links: HashMap<(usize, String), Result<usize, Box<Diagnostic>>>,
}

impl Library {
    /// Finds all files, from the tree of the first one on.
    pub(crate) fn of(main: &Source, root: &Node, options: &Options) -> Self {
        let mut library = Self::default();
        let mut by_path: HashMap<String, usize> = options.file.iter().map(|path| (path.clone(), 0)).collect();
        let mut bytes = 0;
        let mut next = 0;
        let mut names = named(root);
        loop {
            let user = match next {
                0 => main.name().to_owned(),
                at => library.files[at - 1].source.name().to_owned(),
            };
            for name in names {
                let link = library.take(&user, &name, options, &mut by_path, &mut bytes);
                library.links.insert((next, name), link);
            }
            next += 1;
            let Some(file) = library.files.get(next - 1) else { return library };
            names = file.root.as_ref().map(named).unwrap_or_default();
        }
    }

    /// Reads one that is not known yet.
    fn take(
        &mut self,
        user: &str,
        name: &str,
        options: &Options,
        by_path: &mut HashMap<String, usize>,
        bytes: &mut usize,
    ) -> Result<usize, Box<Diagnostic>> {
        let refused = |code, message: String| Box::new(Diagnostic::whole_file(user, code, message));
        let Some(read) = options.used else {
            return Err(refused(Code::Unreadable, "no other file is read here".to_owned()));
        };
        if self.links.len() >= LIMITS.files {
            let message = format!("a workflow uses at most {} files", LIMITS.files);
            return Err(refused(Code::TooLarge, message));
        }
        let used = read(user, name)?;
        if let Some(known) = by_path.get(&used.path) {
            return Ok(*known);
        }
        *bytes += used.source.text().len();
        if *bytes > LIMITS.bytes {
            let message = format!("the files that are used have together more than {} MB", LIMITS.bytes >> 20);
            return Err(refused(Code::TooLarge, message));
        }
        let mut faults = Faults::new(&used.source);
        let root = data::tree(&used.source, &mut faults).filter(|root| data::is_map(root, "a workflow", &mut faults));
        let found = faults.detach();
        self.files.push(File { source: used.source, path: used.path.clone(), hash: used.hash, root, found });
        by_path.insert(used.path, self.files.len());
        Ok(self.files.len())
    }

    /// The number of the file that another one names so.
    pub(crate) fn link(&self, user: usize, name: &str) -> Option<&Result<usize, Box<Diagnostic>>> {
        self.links.get(&(user, name.to_owned()))
    }
}

/// What the steps of a workflow name by `uses`, each once.
fn named(root: &Node) -> Vec<String> {
    let Some(steps) = root.entries().iter().find(|entry| entry.key == "steps") else { return Vec::new() };
    let all = steps.value.list().iter().chain(steps.value.entries().iter().map(|entry| &entry.value));
    let uses = all.flat_map(Node::entries).filter(|entry| entry.key == "uses");
    let mut seen = HashSet::new();
    let texts = uses.filter_map(|entry| entry.value.text()).filter(|text| !text.trim().is_empty());
    texts.filter(|text| seen.insert(*text)).map(str::to_owned).collect()
}
