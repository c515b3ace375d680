//! The list of saved runs, for people and machines.

use super::format::{count, cut_middle, width};
use super::look::{self, Look};
use super::plain::{duration, message};
use super::when::{ago, utc};
use crate::model::id::Name;
use crate::model::safe::Safe;
use crate::model::state::{RunState, RunStatus};
use crate::model::time::Micros;
use serde_json::{Value, json};

/// The longest name of a workflow that the list shows whole.
const WORKFLOW_CELLS: usize = 28;

/// A saved run.
#[derive(Clone, Debug)]
pub struct RunRow {
    /// Its name.
    pub run: Name,
    /// Whether a process carries it on, and which.
    pub live: bool,
    /// The process.
    pub pid: Option<u32>,
    /// What its files take, in bytes.
    pub bytes: u64,
    /// How it stands, or why that cannot be told.
    pub told: Result<RunTold, String>,
    /// The command that goes on with it, or looks at it.
    pub command: Option<String>,
}

/// How a saved run stands.
#[derive(Clone, Debug)]
pub struct RunTold {
    /// The workflow's id.
    pub workflow: Name,
    /// Its state; `interrupted`: it was under way and nobody carries it on.
    pub state: RunState,
    /// Whether it was under way and nobody carries it on.
    pub interrupted: bool,
    /// The word of its result, once it has ended.
    pub status: Option<RunStatus>,
    /// Steps: all, succeeded, failed, skipped, cancelled.
    pub steps: [u32; 5],
    /// Attempts begun.
    pub attempts: u32,
    /// When it was begun, milliseconds since 1970.
    pub began_unix_ms: u64,
    /// How long it has been at work by its own clock; `None`: it was not started.
    pub took: Option<Micros>,
    /// The seed of its draws.
    pub seed: u64,
    /// The word of its clock.
    pub clock: String,
    /// The run that it is a rerun of.
    pub from: Option<Name>,
    /// The version of upbeat that began it.
    pub version: String,
}

impl RunTold {
    /// The word and sign of its state.
    fn look(&self) -> (char, &'static str) {
        let Look { glyph, word, .. } = look::run(self.state);
        if self.interrupted { ('?', "interrupted") } else { (glyph, word) }
    }
}

/// The list as lines, safe to print. `now`: milliseconds since 1970; `more`: runs that are not in it.
#[must_use]
pub fn text(rows: &[RunRow], more: usize, now: u64) -> String {
    let mut table = vec![["run", "state", "workflow", "steps", "begun", "took", "go on"].map(str::to_owned)];
    table.extend(rows.iter().map(|row| cells(row, now)));
    let widths: Vec<usize> =
        (0..7).map(|column| table.iter().map(|cells| width(&cells[column])).max().unwrap_or(0)).collect();
    let mut out = String::new();
    for cells in &table {
        let mut line = String::new();
        for (cell, wide) in cells.iter().zip(&widths) {
            line += cell;
            line += &" ".repeat(wide.saturating_sub(width(cell)) + 2);
        }
        out += line.trim_end();
        out.push('\n');
    }
    if more > 0 {
        out += &format!("… and {} older; `--limit N` shows more\n", count(more as u64));
    }
    out
}

fn cells(row: &RunRow, now: u64) -> [String; 7] {
    let run = Safe::line(&row.run).into_string();
    let onward = match (row.live, row.pid, &row.command) {
        (true, Some(pid), _) => format!("under way in process {pid}"),
        (true, None, _) => "under way".to_owned(),
        (false, _, command) => command.clone().unwrap_or_default(),
    };
    match &row.told {
        Ok(told) => {
            let (sign, word) = told.look();
            let workflow = Safe::line(&told.workflow);
            let [total, succeeded, failed, skipped, cancelled] = told.steps;
            [
                run,
                format!("{sign} {word}"),
                cut_middle(workflow.as_str(), WORKFLOW_CELLS, false).into_owned(),
                format!("{}/{total}", succeeded + failed + skipped + cancelled),
                ago(told.began_unix_ms, now),
                told.took.map_or_else(|| "–".to_owned(), duration),
                onward,
            ]
        }
        Err(why) => {
            let none = || "–".to_owned();
            [run, "✗ damaged".to_owned(), none(), none(), none(), none(), message(why)]
        }
    }
}

/// The list for machines.
#[must_use]
pub fn document(rows: &[RunRow]) -> Value {
    rows.iter().map(row_json).collect()
}

fn row_json(row: &RunRow) -> Value {
    let told = match &row.told {
        Ok(told) => told,
        Err(why) => {
            return json!({"run_id": &*row.run, "state": "damaged", "live": row.live, "bytes": row.bytes, "error": why});
        }
    };
    let [total, succeeded, failed, skipped, cancelled] = told.steps;
    json!({
        "run_id": &*row.run,
        "workflow": &*told.workflow,
        "state": told.look().1,
        "status": told.status.map(RunStatus::word),
        "live": row.live,
        "pid": row.pid,
        "steps": {
            "total": total, "succeeded": succeeded, "failed": failed, "skipped": skipped, "cancelled": cancelled,
        },
        "attempts": told.attempts,
        "began": utc(told.began_unix_ms),
        "duration_s": told.took.map(Micros::as_secs_f64),
        "seed": told.seed,
        "clock": told.clock,
        "rerun_of": told.from.as_deref(),
        "version": told.version,
        "bytes": row.bytes,
        "command": row.command,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(state: RunState, live: bool) -> RunRow {
        let told = RunTold {
            workflow: "flow\u{1b}[2J".into(),
            state,
            interrupted: !live && state == RunState::Running,
            status: None,
            steps: [5, 2, 1, 0, 0],
            attempts: 4,
            began_unix_ms: 0,
            took: Some(Micros::from_secs(8)),
            seed: 7,
            clock: "real".to_owned(),
            from: None,
            version: "1".to_owned(),
        };
        let command = Some("upbeat resume r1".to_owned());
        RunRow { run: "r1".into(), live, pid: live.then_some(12), bytes: 9, told: Ok(told), command }
    }

    #[test]
    fn a_list_names_state_progress_and_the_way_on() {
        let damaged = RunRow { told: Err("event 7 is\nmissing".to_owned()), ..row(RunState::Failed, false) };
        let rows = [row(RunState::Running, true), row(RunState::Running, false), row(RunState::Paused, false), damaged];
        assert_eq!(
            text(&rows, 1_200, 200_000),
            "run  state          workflow  steps  begun    took   go on\n\
             r1   ▶ running      flow      3/5    3 m ago  8.0 s  under way in process 12\n\
             r1   ? interrupted  flow      3/5    3 m ago  8.0 s  upbeat resume r1\n\
             r1   ‖ paused       flow      3/5    3 m ago  8.0 s  upbeat resume r1\n\
             r1   ✗ damaged      –         –      –        –      event 7 is␊missing\n\
             … and 1,200 older; `--limit N` shows more\n"
        );
    }

    #[test]
    fn machines_get_the_same_with_the_date() {
        let list = document(&[row(RunState::Running, false)]);
        assert_eq!(list[0]["state"], "interrupted");
        assert_eq!(list[0]["began"], "1970-01-01T00:00:00.000Z");
        assert_eq!(list[0]["steps"], json!({"total": 5, "succeeded": 2, "failed": 1, "skipped": 0, "cancelled": 0}));
    }
}
