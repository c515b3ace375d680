//! A scenario's text: its sections, what agents do, and what comes from outside at which time.

use serde_json::Value;
use std::collections::{BTreeMap, VecDeque};
use upbeat::model::time::{Micros, duration};

/// A scenario as it stands in its file.
#[derive(Debug)]
pub(crate) struct Scenario {
    /// What it shows.
    pub(crate) about: Vec<String>,
    /// The sections, in order: title and text.
    sections: Vec<(String, String)>,
}

/// The titles a file may have, in the order in which they stand.
const TITLES: [&str; 5] = ["workflow", "agents behave", "inputs", "events", "looks"];

impl Scenario {
    /// Takes a file apart.
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        let mut scenario = Self { about: Vec::new(), sections: Vec::new() };
        for line in text.lines() {
            if let Some(title) = line.strip_prefix("== ") {
                let place =
                    TITLES.iter().position(|known| *known == title).ok_or(format!("no such section: {title}"))?;
                let last = scenario.sections.last().and_then(|(last, _)| TITLES.iter().position(|known| known == last));
                if last.is_some_and(|last| last >= place) {
                    return Err(format!("the section {title} stands in the wrong place"));
                }
                scenario.sections.push((title.to_owned(), String::new()));
            } else if let Some((_, body)) = scenario.sections.last_mut() {
                body.push_str(line);
                body.push('\n');
            } else if let Some(about) = line.strip_prefix("# ") {
                scenario.about.push(about.to_owned());
            } else {
                return Err(format!("before the first section only lines with `# ` stand, found: {line}"));
            }
        }
        if scenario.about.is_empty() || scenario.section("workflow").is_empty() {
            return Err("a scenario says what it shows, and has a workflow".to_owned());
        }
        Ok(scenario)
    }

    /// The text of a section; empty where there is none.
    pub(crate) fn section(&self, title: &str) -> &str {
        self.sections.iter().find(|(known, _)| known == title).map_or("", |(_, body)| body.trim_matches('\n'))
    }

    /// The file with what was seen in place of what was expected.
    pub(crate) fn with(&self, events: &str, looks: &str) -> String {
        let mut text: String = self.about.iter().map(|line| format!("# {line}\n")).collect();
        for title in TITLES {
            let body = match title {
                "events" => events.trim_end(),
                "looks" => looks.trim_end(),
                other => self.section(other),
            };
            if !body.is_empty() {
                text.push_str(&format!("== {title}\n{body}\n"));
            }
        }
        text
    }
}

/// How one attempt ends.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Act {
    /// The word: `ok`, `crash` …
    pub(crate) word: String,
    /// How long it takes; else as long as the agent declares.
    pub(crate) after: Option<Micros>,
    /// What is returned, or for how long a limited agent asks to be left alone.
    pub(crate) output: Option<Value>,
    pub(crate) wait: Option<Micros>,
}

/// What attempts do, in order, by step or `undo STEP`; the last act may go on for ever.
#[derive(Debug, Default)]
pub(crate) struct Acts {
    left: BTreeMap<String, VecDeque<Act>>,
    always: BTreeMap<String, Act>,
}

impl Acts {
    /// Reads `STEP: crash, ok after 2s {"x": 1}, rate_limited 3s, crash always`.
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        let mut acts = Self::default();
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            let (who, what) = line.split_once(": ").ok_or(format!("no acts: {line}"))?;
            for part in split(what) {
                match part.strip_suffix(" always") {
                    Some(act) => {
                        acts.always.insert(who.to_owned(), act_of(act)?);
                    }
                    None => acts.left.entry(who.to_owned()).or_default().push_back(act_of(part)?),
                }
            }
        }
        Ok(acts)
    }

    /// What the next attempt does; `None`: what a simulated agent does.
    pub(crate) fn next(&mut self, who: &str) -> Option<Act> {
        self.left.get_mut(who).and_then(VecDeque::pop_front).or_else(|| self.always.get(who).cloned())
    }

    /// Whose acts were never played: a scenario says nothing that does not happen.
    pub(crate) fn unplayed(&self) -> Vec<&str> {
        self.left.iter().filter(|(_, left)| !left.is_empty()).map(|(who, _)| who.as_str()).collect()
    }
}

/// Parts between commas outside brackets.
fn split(text: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut from) = (Vec::new(), 0_i32, 0);
    for (at, sign) in text.char_indices() {
        match sign {
            '{' | '[' => depth += 1,
            '}' | ']' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(text[from..at].trim());
                from = at + 1;
            }
            _ => {}
        }
    }
    parts.push(text[from..].trim());
    parts
}

fn act_of(text: &str) -> Result<Act, String> {
    let (head, output) = match text.find('{') {
        Some(at) => (&text[..at], Some(json(&text[at..])?)),
        None => (text, None),
    };
    let mut words = head.split_whitespace();
    let mut act = Act { word: words.next().unwrap_or_default().to_owned(), after: None, output, wait: None };
    while let Some(word) = words.next() {
        match word {
            "after" => act.after = Some(time(words.next().unwrap_or_default())?),
            wait => act.wait = Some(time(wait)?),
        }
    }
    Ok(act)
}

pub(crate) fn json(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|error| format!("{text}: {error}"))
}

pub(crate) fn time(text: &str) -> Result<Micros, String> {
    duration(text).map_err(|error| format!("{text}: {error}"))
}

/// What comes from outside, and when.
#[derive(Clone, Debug)]
pub(crate) struct Wish {
    pub(crate) at: Micros,
    pub(crate) what: String,
}

/// Reads `at 5s: cancel b`; a line may hold several, with `; ` between.
pub(crate) fn wishes(text: &str) -> Result<VecDeque<Wish>, String> {
    let mut all = VecDeque::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let parts = line.strip_prefix("at ").and_then(|rest| rest.split_once(": "));
        let (at, what) = parts.ok_or(format!("an input reads `at 5s: cancel b`, found: {line}"))?;
        let at = time(at)?;
        if all.back().is_some_and(|last: &Wish| last.at > at) {
            return Err(format!("inputs stand in the order of time: {line}"));
        }
        all.extend(what.split("; ").map(|what| Wish { at, what: what.to_owned() }));
    }
    Ok(all)
}
