//! The commands that go on with a saved run, as a person can paste them into a shell.

use crate::model::safe::Safe;
use crate::model::state::{RunState, StepState};
use crate::model::view::{RunSummary, Saving};

/// How to name a run to the command line.
#[derive(Clone, Debug, Default)]
pub struct Ways {
    /// The store's folder, where it is not the one that is looked into without being told.
    store: Option<String>,
    /// The run is named without the number of its last event, because that may not be recorded.
    unsure: bool,
}

impl Ways {
    /// `store`: the store's folder, unless it is the usual one.
    #[must_use]
    pub const fn new(store: Option<String>) -> Self {
        Self { store, unsure: false }
    }

    /// The same for a run of which the last events may not be recorded.
    #[must_use]
    pub fn unsure(self) -> Self {
        Self { unsure: true, ..self }
    }

    /// `upbeat VERB RUN …`, safe to print.
    #[must_use]
    pub fn command(&self, verb: &str, run: &str) -> String {
        Safe::line(&format!("upbeat {verb} {run}{}", self.store())).into_string()
    }

    /// The command that lists the runs, safe to print.
    #[must_use]
    pub fn list(&self) -> String {
        Safe::line(&format!("upbeat runs{}", self.store())).into_string()
    }

    fn store(&self) -> String {
        self.store.as_ref().map_or(String::new(), |store| format!(" --store {}", quoted(store)))
    }

    /// What becomes of a run that has ended, in words: the command, and what it does.
    #[must_use]
    pub fn after(&self, run: &str, state: RunState) -> String {
        match state {
            // What was undone is not taken up again.
            RunState::Succeeded | RunState::Compensated | RunState::CompensationFailed => {
                format!("`{}` does it all again", self.command("rerun", run))
            }
            RunState::Stopped => format!("`{}` goes on with it", self.command("resume", run)),
            _ => format!("`{}` tries again what did not succeed", self.command("retry", run)),
        }
    }

    /// What resumes a run, only if nothing has happened to it since event `seq`.
    #[must_use]
    pub fn resume(&self, run: &str, seq: u64) -> String {
        if self.unsure { self.command("resume", run) } else { self.command("resume", &format!("{run}@{seq}")) }
    }

    /// The command that goes on with a run, if there is something left to be done.
    #[must_use]
    pub fn onward(&self, summary: &RunSummary) -> Option<String> {
        if summary.saving == Saving::Nothing {
            return None;
        }
        // A stopped run has ended, and can all the same go on with what it left.
        if !summary.state.ended() || summary.state == RunState::Stopped {
            return Some(self.resume(&summary.run_name, summary.seq));
        }
        if matches!(summary.state, RunState::Compensated | RunState::CompensationFailed) {
            return Some(self.command("rerun", &summary.run_name));
        }
        let counts = &summary.counts;
        let lost = [StepState::Failed, StepState::Cancelled].iter().any(|state| counts.of(*state) > 0);
        (summary.state != RunState::Succeeded && lost).then(|| self.command("retry", &summary.run_name))
    }
}

/// How safe a run is, in few words.
#[must_use]
pub const fn saving_words(saving: Saving) -> &'static str {
    match saving {
        Saving::Nothing => "nothing of it was saved",
        Saving::Normal => "saved: survives a kill, not a loss of power (`--sync full` does)",
        Saving::Full => "saved: survives a kill and a loss of power",
    }
}

/// A word as a shell takes it for one.
#[must_use]
pub fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:@%+=,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::state::RunStatus;
    use crate::report::sample;

    #[test]
    fn folders_are_quoted_for_the_shell_where_that_is_needed() {
        assert_eq!(Ways::default().command("show", "r1"), "upbeat show r1");
        let ways = |store: &str| Ways::new(Some(store.to_owned())).resume("r1", 7);
        assert_eq!(ways("/var/runs"), "upbeat resume r1@7 --store /var/runs");
        assert_eq!(ways("/my runs/it's"), "upbeat resume r1@7 --store '/my runs/it'\\''s'");
        assert_eq!(Ways::new(Some("/my runs".to_owned())).list(), "upbeat runs --store '/my runs'");
        assert_eq!(quoted(""), "''");
        assert_eq!(Ways::default().unsure().resume("r1", 7), "upbeat resume r1");
    }

    #[test]
    fn a_parked_run_is_resumed_a_failed_one_retried_and_a_good_or_lost_one_left_alone() {
        let ways = Ways::default();
        let mut summary = RunSummary { saving: Saving::Normal, ..sample::summary() };
        assert_eq!(ways.onward(&summary), None);
        summary.state = RunState::Paused;
        assert_eq!(ways.onward(&summary).as_deref(), Some("upbeat resume r1@20"));
        (summary.state, summary.status) = (RunState::Failed, RunStatus::Failed);
        summary.counts.add(StepState::Failed);
        assert_eq!(ways.onward(&summary).as_deref(), Some("upbeat retry r1"));
        summary.state = RunState::Stopped;
        assert_eq!(ways.onward(&summary).as_deref(), Some("upbeat resume r1@20"));
        assert!(ways.after("r1", RunState::Stopped).starts_with("`upbeat resume r1` "));
        summary.state = RunState::Compensated;
        assert_eq!(
            ways.onward(&summary).as_deref(),
            Some("upbeat rerun r1"),
            "nothing of it is left to be tried again"
        );
        for (state, verb) in [(RunState::Succeeded, "rerun"), (RunState::Failed, "retry"), (summary.state, "rerun")] {
            assert!(ways.after("r1", state).starts_with(&format!("`upbeat {verb} r1` ")), "{state:?}");
        }
        summary.saving = Saving::Nothing;
        assert_eq!(ways.onward(&summary), None);
    }
}
