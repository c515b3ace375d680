//! The guide's page "What happens when", row by row: each names its story, and the story ends as the row says.

use super::script::Scenario;
use super::world::{Played, play};
use super::{stories, told};
use crate::program::root;
use std::collections::BTreeSet;
use std::fs;
use upbeat::model::completion::FailureClass;

/// The heading of the table that has to name every class of failure.
const CLASSES: &str = "class";

/// One row: what its table is about, and its cells.
struct Row {
    table: String,
    cells: Vec<String>,
}

fn cells(line: &str) -> Vec<String> {
    line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()
}

/// All rows of all tables.
fn rows(page: &str) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut table = None;
    for line in page.lines() {
        if !line.starts_with('|') {
            table = None;
        } else if table.is_none() {
            table = Some(cells(line)[0].clone());
        } else if let Some(table) = table.as_ref().filter(|_| !line.starts_with("|---")) {
            rows.push(Row { table: table.clone(), cells: cells(line) });
        }
    }
    rows
}

fn word(cell: &str) -> &str {
    cell.trim_matches('`')
}

/// What is wrong with a row.
fn fault(row: &Row) -> Result<(), String> {
    let [first, _, steps, run, story] = &row.cells[..] else { return Err("it has not five cells".to_owned()) };
    let path = stories().remove(word(story)).ok_or_else(|| format!("there is no story {story}"))?;
    let (_, _, played) = told(&path)?;
    ends_so(&played, steps, run)?;
    let class = format!("class={} ", word(first));
    if row.table == CLASSES && !played.events.contains(&class) {
        return Err(format!("nothing in {story} fails with {class}"));
    }
    Ok(())
}

/// The steps and the run end as it is said: `` `a` failed, `b` skipped `` and `failed, exit 1`.
fn ends_so(played: &Played, steps: &str, run: &str) -> Result<(), String> {
    for said in steps.split(", ") {
        let (name, state) = said.split_once(' ').ok_or_else(|| format!("{said} is no step and its state"))?;
        let found = played.steps.get(word(name));
        if found != Some(&state) {
            return Err(format!("{name} is said to be {state} at the end, and is {found:?}"));
        }
    }
    let result = played.looks.lines().find(|line| line.starts_with("result ")).unwrap_or_default();
    if result.starts_with(&format!("result {run},")) {
        Ok(())
    } else {
        Err(format!("it says {run}, and the story {result}"))
    }
}

#[test]
fn every_row_of_the_guides_page_is_what_its_story_shows() {
    let page = fs::read_to_string(root().join("assets/guide/what-happens-when.md")).unwrap();
    let rows = rows(&page);
    let faults = rows.iter().filter_map(|row| Some(format!("{:?}: {}", row.cells, fault(row).err()?)));
    let faults: Vec<String> = faults.collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    let classes: BTreeSet<&str> =
        rows.iter().filter(|row| row.table == CLASSES).map(|row| word(&row.cells[0])).collect();
    let all: BTreeSet<&str> = FailureClass::ALL.iter().map(|class| class.word()).collect();
    assert_eq!(classes, all, "every class of failure has a row");
}

#[test]
fn a_row_that_says_something_else_than_its_story_is_found() {
    let text = "# t\n== workflow\nagents: {w: {kind: simulated, capabilities: [any]}}\nsteps: {a: {capability: any}}\n";
    let played = play(&Scenario::read(text).unwrap()).unwrap();
    assert_eq!(ends_so(&played, "`a` succeeded", "succeeded, exit 0"), Ok(()));
    assert!(ends_so(&played, "`a` failed", "succeeded, exit 0").is_err());
    assert!(ends_so(&played, "`b` succeeded", "succeeded, exit 0").is_err());
    assert!(ends_so(&played, "`a` succeeded", "failed, exit 1").is_err());
    let row = |story: &str| Row {
        table: "t".to_owned(),
        cells: ["", "", "`a` failed", "failed", story].map(str::to_owned).to_vec(),
    };
    assert!(fault(&row("`no_such_story`")).unwrap_err().contains("there is no story"));
}
