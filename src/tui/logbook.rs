//! Which lines of the run's log the pane shows: an index that grows with the log, so that a frame touches only the rows
//! that are visible. Following the newest line is a state of its own, apart from where the reader stands.

use super::texts::Texts;
use crate::model::id::{RunId, StepId};
use crate::model::safe::Safe;
use crate::report::plain;
use crate::runtime::logs::{Body, LogLine, LogStore};
use std::collections::VecDeque;

/// Lines read from the log at a time.
const CHUNK: usize = 4_096;

/// The index, the reader's place, and what is searched for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Logbook {
    /// Only lines of this step.
    scope: Option<StepId>,
    shown: VecDeque<u64>,
    read_to: u64,
    /// Where the reader stands; `None`: at the newest line, and stays there.
    cursor: Option<u64>,
    /// Lines that came since the reader stopped following.
    pub(crate) unseen: u64,
    query: String,
    found: Vec<u64>,
}

impl Logbook {
    /// Whose lines are shown.
    pub(crate) const fn scope(&self) -> Option<StepId> {
        self.scope
    }
    /// Shows the lines of one step, or all.
    pub(crate) fn set_scope(&mut self, scope: Option<StepId>) {
        if scope != self.scope {
            *self = Self { scope, query: std::mem::take(&mut self.query), ..Self::default() };
        }
    }
    /// Searches; an empty text ends the search.
    pub(crate) fn set_query(&mut self, query: &str) {
        let kept = (self.cursor, self.unseen);
        *self = Self { scope: self.scope, query: query.to_lowercase(), ..Self::default() };
        (self.cursor, self.unseen) = kept;
    }
    /// What is searched for, in lower case.
    pub(crate) fn query(&self) -> &str {
        &self.query
    }
    /// Lines shown in all.
    pub(crate) fn len(&self) -> usize {
        self.shown.len()
    }
    /// Whether the newest line is followed.
    pub(crate) const fn follows(&self) -> bool {
        self.cursor.is_none()
    }
    /// Goes to the newest line and stays there.
    pub(crate) const fn follow(&mut self) {
        self.cursor = None;
        self.unseen = 0;
    }
    /// The row the reader stands in.
    pub(crate) fn row(&self) -> usize {
        let last = self.shown.len().saturating_sub(1);
        self.cursor.map_or(last, |seq| self.shown.partition_point(|shown| *shown < seq).min(last))
    }
    /// The number of the line the reader stands on.
    pub(crate) fn current(&self) -> Option<u64> {
        self.shown.get(self.row()).copied()
    }
    /// Moves by rows. Beyond the last row the newest line is followed again.
    pub(crate) fn step(&mut self, rows: isize) {
        let to = self.row().saturating_add_signed(rows);
        if to >= self.shown.len() && rows > 0 {
            self.follow();
        } else {
            self.cursor = self.shown.get(to).copied();
        }
    }
    /// Goes to a row.
    pub(crate) fn go(&mut self, row: usize) {
        self.cursor = self.shown.get(row.min(self.shown.len().saturating_sub(1))).copied();
    }
    /// The numbers of some rows.
    pub(crate) fn rows(&self, from: usize, most: usize) -> impl Iterator<Item = u64> + '_ {
        self.shown.iter().skip(from).take(most).copied()
    }
    /// Goes to the next line found, or the one before; wraps round. `false`: nothing was found.
    pub(crate) fn find(&mut self, back: bool) -> bool {
        let Some(here) = self.current() else { return false };
        let next = if back {
            let at = self.found.partition_point(|seq| *seq < here);
            self.found.get(at.wrapping_sub(1)).or(self.found.last())
        } else {
            let at = self.found.partition_point(|seq| *seq <= here);
            self.found.get(at).or(self.found.first())
        };
        self.cursor = next.copied().or(self.cursor);
        next.is_some()
    }
    /// Which of how many found lines the reader is at.
    pub(crate) fn found(&self) -> (usize, usize) {
        let here = self.current().unwrap_or(0);
        (self.found.partition_point(|seq| *seq <= here), self.found.len())
    }

    /// Takes in what was logged since the last time; tells whether lines to show have come.
    pub(crate) fn read(&mut self, store: &LogStore, run: RunId, texts: &Texts) -> bool {
        let dropped = store.dropped();
        while self.shown.front().is_some_and(|seq| *seq < dropped) {
            self.shown.pop_front();
        }
        let gone = self.found.partition_point(|seq| *seq < dropped);
        self.found.drain(..gone);
        let before = self.shown.len();
        loop {
            let lines = store.since(self.read_to, CHUNK);
            let Some(last) = lines.last() else { break };
            self.read_to = last.seq + 1;
            for line in &lines {
                if line.run == run && self.scope.is_none_or(|step| line.step == Some(step)) && is_shown(line) {
                    self.shown.push_back(line.seq);
                    if !self.query.is_empty() && text(line, texts).as_str().to_lowercase().contains(&self.query) {
                        self.found.push(line.seq);
                    }
                }
            }
            if lines.len() < CHUNK {
                break;
            }
        }
        let came = self.shown.len().saturating_sub(before);
        if self.cursor.is_some() {
            self.unseen += came as u64;
        }
        came > 0
    }
}

/// Events that say nothing which the lines around them do not say are left out.
fn is_shown(line: &LogLine) -> bool {
    match &line.body {
        Body::Text(..) => true,
        Body::Event(event) => plain::is_news(&event.kind),
    }
}

/// What a line says, safe to show.
pub(crate) fn text(line: &LogLine, texts: &Texts) -> Safe {
    match (&line.body, &texts.names) {
        (Body::Text(_, text), _) => Safe::line(text),
        (Body::Event(event), Some(names)) => Safe::line(&plain::event_line(event, names)),
        (Body::Event(event), None) => Safe::line(event.kind.name()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::Micros;
    use crate::runtime::logs::Stream;

    fn push(store: &LogStore, step: u32, text: &str) {
        let body = Body::Text(Stream::Stdout, text.into());
        let step = Some(StepId(step));
        store.push(LogLine { seq: 0, at: Micros::ZERO, run: RunId(0), step, attempt: None, agent: None, body });
    }

    #[test]
    fn the_reader_stays_where_it_is_while_lines_come_and_follows_again_at_the_end() {
        let (store, texts, mut book) = (LogStore::default(), Texts::default(), Logbook::default());
        for n in 0..10 {
            push(&store, 0, &n.to_string());
        }
        assert!(book.read(&store, RunId(0), &texts));
        assert!(book.follows() && book.current() == Some(9));
        book.step(-3);
        push(&store, 0, "new");
        assert!(book.read(&store, RunId(0), &texts));
        assert_eq!((book.current(), book.unseen, book.follows()), (Some(6), 1, false));
        book.step(100);
        assert_eq!((book.current(), book.unseen, book.follows()), (Some(10), 0, true));
        assert!(!book.read(&store, RunId(0), &texts), "nothing came");
    }

    #[test]
    fn a_scope_shows_one_step_and_a_search_finds_what_comes_later_too() {
        let (store, texts, mut book) = (LogStore::default(), Texts::default(), Logbook::default());
        for n in 0..10 {
            push(&store, n % 2, if n % 4 == 0 { "An Error" } else { "fine" });
        }
        book.set_scope(Some(StepId(0)));
        book.set_query("error");
        book.read(&store, RunId(0), &texts);
        assert_eq!((book.len(), book.found().1), (5, 3));
        assert!(book.find(false));
        assert_eq!(book.current(), Some(0), "wraps round from the end");
        assert!(book.find(true));
        assert_eq!(book.current(), Some(8));
        push(&store, 0, "error again");
        book.read(&store, RunId(0), &texts);
        assert_eq!(book.found().1, 4);
        book.set_query("nothing like this");
        book.read(&store, RunId(0), &texts);
        assert!(!book.find(false));
    }

    #[test]
    fn lines_that_the_log_dropped_are_forgotten() {
        let (store, texts, mut book) = (LogStore::default(), Texts::default(), Logbook::default());
        push(&store, 0, "first");
        book.read(&store, RunId(0), &texts);
        for _ in 0..crate::runtime::logs::LINES_MAX {
            push(&store, 0, "x");
        }
        book.read(&store, RunId(0), &texts);
        assert_eq!(book.len(), crate::runtime::logs::LINES_MAX);
        assert_eq!(book.rows(0, 1).next(), Some(1));
    }
}
