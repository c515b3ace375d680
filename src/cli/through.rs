//! Lines in, runs in between, answers out: what `watch` and `stream` share.
//!
//! A line is taken only while there is room: so many lines may be under way at once, and answers that wait for an earlier
//! one, or for a reader that does not keep up, are bounded too. While there is none, the source is not read.

use super::out::{Printer, Stop, say};
use super::signals::Signals;
use super::source::{Line, Source};
use super::tally::{Moving, Tally};
use crate::model::command::{Command, Rejection};
use crate::model::id::{Name, RunId};
use crate::model::state::EndCause;
use crate::model::view::EngineView;
use crate::report::json;
use crate::runtime::handle::{Errand, Handle, Told};
use futures_util::future::{BoxFuture, join_all};
use futures_util::stream::{FuturesUnordered, StreamExt};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use tokio::sync::watch;

/// Answers that wait for a slow reader before nothing more is taken.
const WAITING_MAX: usize = 1_000;
/// Answers that may wait for an earlier one: so many times the lines that may be under way at once.
const HELD_TIMES: u64 = 4;

/// What came of one run.
pub(crate) type Outcome = Result<Told, Rejection>;

/// What a line asks for.
pub(crate) enum Asked {
    /// These runs, side by side.
    Runs(Vec<Errand>),
    /// Nothing: this is the answer.
    Answer(Value),
}

/// Who says what lines ask for, and what is answered.
pub(crate) trait Desk {
    /// What lines are, in the plural.
    const LINES: &'static str;
    /// What a line asks for. `n`: its number, from 0.
    fn take(&mut self, n: u64, line: Line, tally: &mut Tally) -> Asked;
    /// The answer to a line whose runs have come to rest, in the order they were asked for.
    fn answer(&mut self, n: u64, outcomes: Vec<Outcome>, tally: &mut Tally) -> Value;
    /// A run can only be brought on by a person, and is ended.
    fn stuck(&mut self, run: &Name, tally: &mut Tally);
}

/// How lines go through.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Way {
    /// The most lines under way at once.
    pub(crate) in_flight_max: usize,
    /// Whether answers come in the order of the lines.
    pub(crate) ordered: bool,
    /// Whether runs are saved, and so can be left to go on another time.
    pub(crate) is_saved: bool,
}

/// How it ended.
#[derive(Debug)]
pub(crate) enum End {
    /// The source has ended, and everything is answered.
    Source,
    /// The source could not be read to its end.
    Broken(String),
    /// A signal; what was under way is ended, and answered if somebody reads that.
    Signal(EndCause),
    /// Nobody reads the answers any more.
    Unread,
    /// Nothing can be recorded any more, and why.
    Trouble(String),
}

/// Answers on their way out.
struct Outlet {
    ordered: bool,
    /// The number of the first line that is not answered yet.
    first: u64,
    held: BTreeMap<u64, String>,
    waiting: VecDeque<String>,
}

impl Outlet {
    fn put(&mut self, n: u64, answer: &Value) {
        let line = json::line(answer) + "\n";
        if !self.ordered {
            self.waiting.push_back(line);
            return;
        }
        self.held.insert(n, line);
        while let Some(line) = self.held.remove(&self.first) {
            self.waiting.push_back(line);
            self.first += 1;
        }
    }
}

/// The flow.
pub(crate) struct Through<'h, D> {
    handle: &'h Handle,
    desk: D,
    way: Way,
    tally: Tally,
    outlet: Outlet,
    /// The next line's number.
    next: u64,
    in_flight: FuturesUnordered<BoxFuture<'static, (u64, Vec<Outcome>)>>,
    /// Runs that only a person could bring on, and that were told to end.
    stuck: BTreeSet<RunId>,
    moving: Option<Moving>,
    out: Printer,
    /// Nothing more is taken, because of this.
    ending: Option<EndCause>,
}

impl<'h, D: Desk> Through<'h, D> {
    /// A flow through an engine; has to be made inside the asynchronous runtime.
    pub(crate) fn new(handle: &'h Handle, desk: D, way: Way) -> Self {
        Self {
            handle,
            desk,
            way,
            tally: Tally::default(),
            outlet: Outlet { ordered: way.ordered, first: 0, held: BTreeMap::new(), waiting: VecDeque::new() },
            next: 0,
            in_flight: FuturesUnordered::new(),
            stuck: BTreeSet::new(),
            moving: Moving::new(),
            out: Printer::stdout(),
            ending: None,
        }
    }

    /// Until the source has ended and everything is answered, or something ends it before.
    pub(crate) async fn run(&mut self, source: &mut Source, signals: &mut Signals) -> End {
        let mut views = self.handle.views();
        let mut open = true;
        loop {
            self.say().await;
            let idle = self.in_flight.is_empty();
            if idle && self.outlet.waiting.is_empty() && (!open || self.ending.is_some()) {
                return match (self.ending, source.broken()) {
                    (Some(cause), _) => End::Signal(cause),
                    (None, Some(why)) => End::Broken(why.to_owned()),
                    (None, None) => End::Source,
                };
            }
            let takes = open && self.ending.is_none() && self.has_room(0);
            tokio::select! {
                cause = signals.next() => {
                    if self.ending.is_some() && idle {
                        // Only a reader that stands still is waited for.
                        return End::Signal(cause);
                    }
                    self.ending.get_or_insert(cause);
                    self.handle.end_errands(cause).await;
                }
                room = self.out.ready(), if !self.outlet.waiting.is_empty() => {
                    if !room {
                        return End::Unread;
                    }
                    self.out.offer(self.outlet.waiting.drain(..).collect());
                }
                Some((n, outcomes)) = self.in_flight.next(), if !idle => self.ended(n, outcomes),
                line = source.next(), if takes => match line {
                    Some(line) => self.take(line, source).await,
                    None => open = false,
                },
                seen = look(&mut views, &self.stuck, self.way.is_saved) => match seen {
                    Seen::Trouble(why) => return End::Trouble(why),
                    Seen::Stuck(stuck, view) => self.end_stuck(stuck, &view),
                },
                () = tick(self.moving.as_mut()) => {
                    if let Some(moving) = &mut self.moving {
                        moving.draw(D::LINES, &self.tally, self.in_flight.len());
                    }
                }
            }
        }
    }

    /// Says what people are to be told.
    async fn say(&mut self) {
        let notes = std::mem::take(&mut self.tally.notes);
        match &mut self.moving {
            Some(moving) if !notes.is_empty() => moving.say(&notes).await,
            _ => notes.iter().for_each(|note| say(note)),
        }
    }

    /// Whether another line may come, beside so many that are on their way into the engine.
    fn has_room(&self, coming: usize) -> bool {
        let most = self.way.in_flight_max;
        let ahead = if self.way.ordered { self.next - self.outlet.first } else { 0 };
        self.in_flight.len() + coming < most
            && ahead < most as u64 * HELD_TIMES
            && self.outlet.waiting.len() < WAITING_MAX
    }

    /// Takes a line, and what else is at hand while there is room: all of them begin in one moment.
    async fn take(&mut self, line: Line, source: &mut Source) {
        let mut errands = Vec::new();
        let mut lines: Vec<(u64, usize)> = Vec::new();
        let mut at_hand = Some(line);
        while let Some(line) = at_hand {
            let n = self.next;
            self.next += 1;
            match self.desk.take(n, line, &mut self.tally) {
                Asked::Answer(answer) => {
                    self.tally.lines += 1;
                    self.outlet.put(n, &answer);
                }
                Asked::Runs(asked) => {
                    lines.push((n, asked.len()));
                    errands.extend(asked);
                }
            }
            at_hand = if self.has_room(lines.len()) { source.at_hand() } else { None };
        }
        if errands.is_empty() {
            return;
        }
        let mut answers = self.handle.errands(errands).await.into_iter();
        for (n, runs) in lines {
            let told = answers
                .by_ref()
                .take(runs)
                .map(async |answer| answer.await.unwrap_or_else(|_| Err(Rejection::new("the engine has ended"))));
            let told = join_all(told.collect::<Vec<_>>());
            self.in_flight.push(Box::pin(async move { (n, told.await) }));
        }
    }

    fn ended(&mut self, n: u64, outcomes: Vec<Outcome>) {
        self.tally.lines += 1;
        outcomes.iter().flatten().for_each(|told| self.tally.take(told));
        let answer = self.desk.answer(n, outcomes, &mut self.tally);
        self.outlet.put(n, &answer);
    }

    /// Ends what only a person could bring on.
    fn end_stuck(&mut self, stuck: Vec<(RunId, Name)>, view: &EngineView) {
        self.stuck.retain(|id| view.runs.iter().any(|run| run.id == *id));
        for (run, name) in stuck {
            let leave = Command::Cancel { run, cause: EndCause::Quit };
            // A refusal means that it goes on after all, or has ended.
            let _ = self.handle.send(if self.way.is_saved { Command::Park { run } } else { leave });
            self.stuck.insert(run);
            self.desk.stuck(&name, &mut self.tally);
        }
    }

    /// Prints what is left and takes everything off the screen; gives back what was counted.
    pub(crate) async fn finish(mut self, last: Option<String>, signals: &mut Signals) -> (D, Tally, Result<(), Stop>) {
        if let Some(moving) = self.moving.take() {
            moving.finish().await;
        }
        let Self { out, outlet, desk, tally, .. } = self;
        let print = async {
            out.print(outlet.waiting.into_iter().chain(last).collect()).await;
            out.finish().await
        };
        let printed = tokio::select! {
            printed = print => printed,
            // The rest may be held by a reader that stands still: a signal ends the waiting for it.
            _ = signals.next() => Ok(()),
        };
        (desk, tally, printed)
    }

    /// What was counted so far, and who knows more.
    pub(crate) const fn counted(&self) -> (&D, &Tally) {
        (&self.desk, &self.tally)
    }
}

/// What is seen of the engine.
enum Seen {
    /// Runs that only a person can bring on.
    Stuck(Vec<(RunId, Name)>, Arc<EngineView>),
    /// Nothing can be recorded any more, and why.
    Trouble(String),
}

/// Waits until something has to be done about the engine. May be dropped and called again.
async fn look(views: &mut watch::Receiver<Arc<EngineView>>, known: &BTreeSet<RunId>, is_saved: bool) -> Seen {
    loop {
        if views.changed().await.is_err() {
            return std::future::pending().await;
        }
        let view = views.borrow_and_update().clone();
        if let Some(trouble) = view.store.trouble.as_ref().filter(|_| is_saved) {
            return Seen::Trouble(trouble.message.clone());
        }
        let stuck = view.runs.iter().filter(|run| run.stuck && !known.contains(&run.id));
        let stuck: Vec<(RunId, Name)> = stuck.map(|run| (run.id, run.name.clone())).collect();
        if !stuck.is_empty() {
            return Seen::Stuck(stuck, view);
        }
    }
}

/// Waits until it is time to draw; without anything to draw, for ever.
async fn tick(moving: Option<&mut Moving>) {
    match moving {
        Some(moving) => moving.tick().await,
        None => std::future::pending().await,
    }
}
