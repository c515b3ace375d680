//! The walls between the rooms: ranks, words banned in pure rooms, no circles, and a ratchet on size.

#![expect(clippy::unwrap_used, reason = "a test that cannot read the source has failed")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Rooms and their ranks: a room imports only from rooms of lower rank.
const ROOMS: [(&str, u32); 7] =
    [("model", 0), ("spec", 1), ("engine", 1), ("runtime", 2), ("report", 3), ("cli", 4), ("tui", 5)];

/// What `report` and `tui` may use, tighter than their ranks.
const ALLOWED: [(&str, &[&str]); 3] = [
    ("report", &["crate::model", "crate::report"]),
    (
        "tui",
        &[
            "crate::model",
            "crate::report",
            "crate::tui",
            "crate::runtime::handle",
            "crate::runtime::logs",
            "crate::runtime::clock",
        ],
    ),
    ("spec", &["crate::model", "crate::spec"]),
];

/// Words that have no place in a pure room.
const PURE: [&str; 4] = ["model", "spec", "engine", "report"];
const BANNED: [&str; 9] =
    ["tokio", "std::fs", "std::net", "std::process", "std::env", "std::thread", "Instant::", "SystemTime", "rand::"];

/// Files over 600 lines and functions over 70, each with its size on the day it was let in. It may shrink, not grow.
const LONG_FILES: &[(&str, usize)] = &[];
const LONG_FUNCTIONS: &[(&str, usize)] = &[];
const FILE_LINES_MAX: usize = 600;
const FUNCTION_LINES_MAX: usize = 70;

struct Source {
    path: String,
    room: String,
    text: String,
}

fn sources() -> Vec<Source> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        let mut entries: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        entries.sort();
        for path in entries {
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                found.push(path);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    walk(&root, &mut found);
    let sources = found.into_iter().map(|path| {
        let name = path.strip_prefix(&root).unwrap().to_string_lossy().into_owned();
        let room = name.split('/').next().unwrap().trim_end_matches(".rs").to_owned();
        Source { path: name, room, text: fs::read_to_string(path).unwrap() }
    });
    sources.collect()
}

/// The text without comments and without the test module at its foot.
fn code(text: &str) -> String {
    let end = text.find("#[cfg(test)]\nmod tests {").or_else(|| text.find("#[cfg(test)]\npub(crate) mod tests {"));
    let lines = text[..end.unwrap_or(text.len())].lines();
    lines.map(|line| line.split("//").next().unwrap_or("")).collect::<Vec<_>>().join("\n")
}

/// Every `crate::…` path of a text; grouped imports are unfolded one level.
fn crate_paths(text: &str) -> BTreeSet<String> {
    let mut paths = BTreeSet::new();
    for (at, _) in text.match_indices("crate::") {
        let rest = &text[at..];
        let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')).unwrap_or(rest.len());
        let path = rest[..end].trim_end_matches(':');
        if rest[end..].starts_with('{') {
            let close = rest[end..].find('}').map_or(rest.len(), |close| end + close);
            for name in rest[end + 1..close].split(',').map(str::trim).filter(|name| !name.is_empty()) {
                paths.insert(format!("{path}::{name}"));
            }
        } else {
            paths.insert(path.to_owned());
        }
    }
    paths
}

fn rank(room: &str) -> Option<u32> {
    ROOMS.iter().find(|(name, _)| *name == room).map(|(_, rank)| *rank)
}

#[test]
fn rooms_import_only_from_rooms_below_them() {
    let mut faults = Vec::new();
    for source in sources() {
        let Some(own) = rank(&source.room) else { continue };
        let allowed = ALLOWED.iter().find(|(room, _)| *room == source.room).map(|(_, list)| *list);
        for path in crate_paths(&code(&source.text)) {
            let target = path.split("::").nth(1).unwrap_or_default();
            let upward = target != source.room && rank(target).is_none_or(|rank| rank >= own);
            let foreign = allowed.is_some_and(|list| !list.iter().any(|prefix| path.starts_with(prefix)));
            if upward || foreign {
                faults.push(format!("{} imports {path}", source.path));
            }
        }
        if code(&source.text).contains("super::super") {
            faults.push(format!("{} climbs with super::super; write the crate:: path", source.path));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn pure_rooms_know_no_clock_disk_network_or_tokio() {
    let mut faults = Vec::new();
    for source in sources().iter().filter(|source| PURE.contains(&source.room.as_str())) {
        let code = code(&source.text);
        for word in BANNED.iter().filter(|word| code.contains(**word)) {
            faults.push(format!("{} says {word}", source.path));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// The module a file is, below its room: `decide/step.rs` → `decide::step`, `decide/mod.rs` → `decide`.
fn module(path: &str) -> String {
    let inside = path.split_once('/').map_or("", |(_, inside)| inside);
    inside.trim_end_matches(".rs").trim_end_matches("/mod").replace('/', "::").replace("mod", "")
}

#[test]
fn no_circles_among_the_modules_of_a_room() {
    for (room, _) in ROOMS {
        let of_room: Vec<Source> = sources().into_iter().filter(|source| source.room == room).collect();
        let modules: BTreeSet<String> = of_room.iter().map(|source| module(&source.path)).collect();
        let mut edges: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for source in &of_room {
            let own = module(&source.path);
            if own.is_empty() {
                continue;
            }
            let prefix = format!("crate::{room}::");
            let parent = own.rsplit_once("::").map_or(String::new(), |(parent, _)| format!("{parent}::"));
            let text = code(&source.text).replace("super::", &format!("{prefix}{parent}"));
            for path in crate_paths(&text) {
                let Some(inside) = path.strip_prefix(&prefix) else { continue };
                // The longest module that the path leads through.
                let target = modules
                    .iter()
                    .filter(|m| !m.is_empty() && (inside == **m || inside.starts_with(&format!("{m}::"))));
                let Some(target) = target.max_by_key(|m| m.len()) else { continue };
                // A folder's door and its own rooms belong together.
                let kin = own.starts_with(&format!("{target}::")) || target.starts_with(&format!("{own}::"));
                if *target != own && !kin {
                    edges.entry(own.clone()).or_default().insert(target.clone());
                }
            }
        }
        if let Some(circle) = circle(&edges) {
            panic!("a circle in {room}: {}", circle.join(" -> "));
        }
    }
}

fn circle(edges: &BTreeMap<String, BTreeSet<String>>) -> Option<Vec<String>> {
    fn visit(
        at: &str,
        edges: &BTreeMap<String, BTreeSet<String>>,
        path: &mut Vec<String>,
        done: &mut BTreeSet<String>,
    ) -> Option<Vec<String>> {
        if let Some(start) = path.iter().position(|name| name == at) {
            let mut circle = path[start..].to_vec();
            circle.push(at.to_owned());
            return Some(circle);
        }
        if !done.insert(at.to_owned()) {
            return None;
        }
        path.push(at.to_owned());
        let found = edges.get(at).into_iter().flatten().find_map(|next| visit(next, edges, path, done));
        path.pop();
        found
    }
    let mut done = BTreeSet::new();
    edges.keys().find_map(|start| visit(start, edges, &mut Vec::new(), &mut done))
}

#[test]
fn files_and_functions_stay_short_enough_to_tell_a_story() {
    let mut faults = Vec::new();
    for source in sources() {
        let lines = source.text.lines().count();
        let admitted = LONG_FILES.iter().find(|(path, _)| *path == source.path).map_or(FILE_LINES_MAX, |(_, max)| *max);
        if lines > admitted {
            faults.push(format!("{} has {lines} lines", source.path));
        }
        for (name, length) in functions(&source.text) {
            let admitted =
                LONG_FUNCTIONS.iter().find(|(known, _)| *known == name).map_or(FUNCTION_LINES_MAX, |(_, max)| *max);
            if length > admitted {
                faults.push(format!("{}: {name} has {length} lines", source.path));
            }
        }
        if !source.text.starts_with("//!") {
            faults.push(format!("{} does not tell its story in its first line", source.path));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Functions and their lengths, found by indentation: rustfmt closes an item where it opened it.
fn functions(text: &str) -> Vec<(String, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let Some(name) = line.split_once("fn ").map(|(_, rest)| rest) else { continue };
        let before = line.split("fn ").next().unwrap_or_default().trim();
        if !before.is_empty()
            && !before.split(' ').all(|word| word.starts_with("pub") || ["const", "async", "unsafe"].contains(&word))
        {
            continue;
        }
        let indent = line.len() - line.trim_start().len();
        let close = format!("{}}}", " ".repeat(indent));
        let name = name.split(['(', '<']).next().unwrap_or_default().to_owned();
        if line.trim_end().ends_with([';', '}']) {
            continue;
        }
        if let Some(length) = lines[at..].iter().position(|line| *line == close) {
            found.push((name, length + 1));
        }
    }
    found
}
