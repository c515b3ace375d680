//! The panel's loop: wait for a key, a view, a line, a signal, an answer or a deadline; take in all there is; draw if it
//! is time. The loop owns what touches the world; what is decided is decided in `update`.

use super::answers::accepted;
use super::app::{App, under_way};
use super::caps::Capabilities;
use super::frame::{Pacer, moves};
use super::graph::plan::{Drawing, Wish, draw as draw_graph};
use super::keymap::{Key, Keymap};
use super::mouse::mouse;
use super::request::Request;
use super::search::paste;
use super::signals::{Asked, Signals, stop_here};
use super::steer::{end, parting};
use super::terminal::{Terminal, is_gone, restore};
use super::theme::Theme;
use super::update::press;
use super::view::{self, Cx};
use crate::model::command::{Command, Done, Rejection};
use crate::model::id::{RunId, StepId};
use crate::model::safe::Safe;
use crate::model::state::{EndCause, StepState};
use crate::model::time::Micros;
use crate::model::view::{EngineView, RunSummary};
use crate::report::look::Role;
use crate::runtime::clock::{Clock, ClockKind, later};
use crate::runtime::handle::Handle;
use futures_util::StreamExt;
use ratatui::crossterm::event::{self, Event, EventStream, KeyEventKind};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// Events of the terminal taken in before the next frame.
const EVENTS_MAX: usize = 1_000;
/// After "at once" the run has so long to end before the panel leaves.
const FORCED_WAIT: Micros = Micros::from_secs(2);
/// How often the diagnostics are looked at while they are shown.
const DIAGNOSTICS_EVERY: Micros = Micros::from_millis(1_000);

/// How often a reason with a time in it is asked for anew.
const LOOK_EVERY: Micros = Micros::from_millis(1_000);

/// What the panel is to show.
#[derive(Clone, Copy, Debug)]
pub struct PanelOptions {
    /// The run.
    pub run: RunId,
    /// What the terminal can do.
    pub capabilities: Capabilities,
}

/// How the panel ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PanelEnd {
    /// Who asked: `Quit` for a person (or INT), `Terminate` and `HangUp` for signals.
    pub cause: EndCause,
    /// Whether a run was under way then; it has been told to end.
    pub interrupted: bool,
}

/// Answers and finished work, on their way into the loop.
enum News {
    Answer(Command, Result<Done, Rejection>),
    Summary(Option<Box<RunSummary>>),
    Drawing(Wish, Box<Drawing>),
}

/// What woke the loop.
enum Wake {
    Terminal(Option<std::io::Result<Event>>),
    View(bool),
    Log,
    Signal(Asked),
    News(News),
    Deadline,
}

/// The panel's loop and what it owns.
pub(crate) struct Panel {
    handle: Handle,
    app: App,
    keymap: Keymap,
    theme: Theme,
    view: Arc<EngineView>,
    /// When the view came, by the panel's clock.
    received: Micros,
    clock: Clock,
    pacer: Pacer,
    terminal: Terminal,
    news: mpsc::UnboundedReceiver<News>,
    news_in: mpsc::UnboundedSender<News>,
    summary: Option<Box<RunSummary>>,
    /// The sequence number the summary was asked for at.
    summary_for: Option<u64>,
    looked_at: Option<(RunId, StepId)>,
    /// When it was asked for.
    looked: Micros,
    /// The terminal is gone.
    closed: bool,
    /// The process was stopped by the panel itself.
    stopped: bool,
    /// Whether the terminal has the focus.
    seen: bool,
    /// Who asked to end, and whether a run was under way then.
    leaving: Option<PanelEnd>,
    forced_at: Option<Micros>,
    done: bool,
}

impl Panel {
    /// Takes the terminal and paints the first frame, before anything is known.
    pub(crate) fn open(handle: Handle, options: PanelOptions) -> std::io::Result<Self> {
        let terminal = Terminal::take()?;
        let (news_in, news) = mpsc::unbounded_channel();
        let mut panel = Self {
            handle,
            app: App::new(options.capabilities, options.run),
            keymap: Keymap::default(),
            theme: Theme::new(options.capabilities),
            view: Arc::default(),
            received: Micros::ZERO,
            clock: Clock::new(ClockKind::Real),
            pacer: Pacer::default(),
            terminal,
            news,
            news_in,
            summary: None,
            summary_for: None,
            looked_at: None,
            looked: Micros::ZERO,
            closed: false,
            stopped: false,
            seen: true,
            leaving: None,
            forced_at: None,
            done: false,
        };
        panel.draw()?;
        Ok(panel)
    }

    /// Runs until somebody leaves.
    pub(crate) async fn run(mut self) -> std::io::Result<PanelEnd> {
        let mut events = EventStream::new();
        let mut views = self.handle.views();
        let mut grown = self.handle.logs().grown();
        let mut signals = Signals::new()?;
        views.mark_changed();
        grown.mark_changed();
        loop {
            let wake = self.wait(&mut events, &mut views, &mut grown, &mut signals).await;
            self.app.tick(self.clock.now());
            self.take_in(wake, &mut views)?;
            tui_logger::move_events();
            if is_gone() {
                self.hang_up()?;
            }
            self.after()?;
            if self.done {
                let end = self.leaving.unwrap_or(PanelEnd { cause: EndCause::Quit, interrupted: false });
                return Ok(end);
            }
            let now = self.clock.now();
            if self.pacer.is_due(now) {
                self.draw()?;
            }
        }
    }

    async fn wait(
        &mut self,
        events: &mut EventStream,
        views: &mut watch::Receiver<Arc<EngineView>>,
        grown: &mut watch::Receiver<u64>,
        signals: &mut Signals,
    ) -> Wake {
        let now = self.clock.now();
        let deadline = self.deadline(now);
        let sleep = async {
            match deadline {
                Some(at) => tokio::time::sleep_until(later(Duration::from_micros(at.saturating_sub(now).0))).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            event = events.next(), if !self.closed => Wake::Terminal(event),
            asked = signals.next() => Wake::Signal(asked),
            Some(news) = self.news.recv() => Wake::News(news),
            () = sleep => Wake::Deadline,
            changed = views.changed() => Wake::View(changed.is_ok()),
            Ok(()) = grown.changed() => Wake::Log,
        }
    }

    /// When the loop has to wake though nothing happens.
    fn deadline(&self, now: Micros) -> Option<Micros> {
        let run = self.app.run_in(&self.view);
        let mut moving = moves(&self.view, run, self.seen);
        if self.app.diagnostics {
            moving = Some(moving.map_or(DIAGNOSTICS_EVERY, |gap| gap.min(DIAGNOSTICS_EVERY)));
        }
        let toast = self.app.toasts.iter().map(|toast| toast.until).min();
        let forced = self.forced_at.map(|at| at + FORCED_WAIT);
        [self.pacer.wake(now, moving), toast, forced].into_iter().flatten().min()
    }

    fn take_in(&mut self, wake: Wake, views: &mut watch::Receiver<Arc<EngineView>>) -> std::io::Result<()> {
        let now = self.clock.now();
        match wake {
            Wake::Terminal(first) => {
                // More may be there already. The stream must not be polled for it outside the loop's own wait: it keeps
                // the first waker it is given, and would wake nobody afterwards.
                let mut next = Some(first);
                for _ in 0..EVENTS_MAX {
                    match next.take() {
                        Some(Some(Ok(event))) => self.event(event)?,
                        // The terminal is gone; whatever stands behind it is, too.
                        Some(_) => {
                            self.hang_up()?;
                            break;
                        }
                        None => break,
                    }
                    if event::poll(Duration::ZERO).unwrap_or(false) {
                        next = Some(Some(event::read()));
                    }
                }
            }
            Wake::View(true) => {
                self.view = views.borrow_and_update().clone();
                self.received = now;
                self.app.absorb(&self.view);
                self.pacer.changed(now);
            }
            Wake::View(false) => return Err(std::io::Error::other("the engine has ended")),
            Wake::Log => {}
            Wake::Signal(asked) => self.signal(asked)?,
            Wake::News(news) => self.news(news),
            Wake::Deadline => self.pacer.changed(now),
        }
        Ok(())
    }

    fn event(&mut self, event: Event) -> std::io::Result<()> {
        let now = self.clock.now();
        match event {
            Event::Key(key) if key.kind != KeyEventKind::Release => {
                let requests = press(&mut self.app, &self.view, &self.keymap, Key::of(key));
                self.pacer.pressed(now);
                for request in requests {
                    self.request(request)?;
                }
            }
            Event::Key(_) => {}
            Event::Mouse(event) => {
                if mouse(&mut self.app, &self.view, event) {
                    self.pacer.pressed(now);
                }
            }
            Event::Paste(text) => {
                paste(&mut self.app, &text);
                self.pacer.pressed(now);
            }
            Event::Resize(..) => {
                self.terminal.forget()?;
                self.pacer.pressed(now);
            }
            Event::FocusGained => {
                self.seen = true;
                self.pacer.changed(now);
            }
            Event::FocusLost => self.seen = false,
        }
        Ok(())
    }

    fn request(&mut self, request: Request) -> std::io::Result<()> {
        match request {
            Request::Command(command) => self.command(command),
            Request::Copy(text) => self.copy(&text)?,
            Request::CopyLine(seq) => {
                if let Some(line) = self.handle.logs().since(seq, 1).first() {
                    let text = super::logbook::text(line, &self.app.texts);
                    self.copy(text.as_str())?;
                }
            }
            Request::CopyInspector => {
                let cx = Cx {
                    app: &self.app,
                    view: &self.view,
                    run: self.app.run_in(&self.view),
                    log: self.handle.logs(),
                    summary: None,
                    now: self.engine_now(),
                    theme: self.theme,
                };
                let text = view::inspector_text(&cx);
                self.copy(&text)?;
            }
            Request::End { cause, forced } => self.end(cause, forced),
            Request::Leave => self.done = true,
            Request::Suspend => self.suspend()?,
            Request::Redraw => {
                self.terminal.forget()?;
                self.pacer.pressed(self.clock.now());
            }
        }
        Ok(())
    }

    fn copy(&mut self, text: &str) -> std::io::Result<()> {
        Terminal::copy(text)?;
        let first = text.lines().next().unwrap_or_default();
        let shown = crate::report::format::cut(first, 40, self.app.caps.ascii);
        let more = match text.lines().count().saturating_sub(1) {
            0 => String::new(),
            n => format!(" and {}", crate::report::format::plural(n as u64, "more line")),
        };
        let words = format!("copied “{shown}”{more}");
        self.app.toast(Role::Good, &words);
        Ok(())
    }

    /// Sends a command; its answer comes as news.
    fn command(&mut self, command: Command) {
        match self.handle.send(command.clone()) {
            Ok(answer) => {
                let news = self.news_in.clone();
                tokio::spawn(async move {
                    let gone = || Err(Rejection::new("the engine has ended"));
                    let answer = answer.await.unwrap_or_else(|_| gone());
                    let _ = news.send(News::Answer(command, answer));
                });
            }
            Err(rejection) => self.refused(&command, &rejection),
        }
    }

    fn refused(&mut self, command: &Command, rejection: &Rejection) {
        let reason = Safe::line(&rejection.to_string());
        self.app.toast(Role::Bad, &format!("cannot {}: {reason}", command.word()));
        self.pacer.pressed(self.clock.now());
    }

    fn news(&mut self, news: News) {
        let now = self.clock.now();
        match news {
            News::Answer(command, Err(rejection)) if self.app.ending.is_none() => self.refused(&command, &rejection),
            News::Answer(command, Ok(done)) => {
                if let Some(words) = accepted(&self.app.texts, &command, &done) {
                    self.app.toast(Role::Good, &words);
                }
            }
            News::Answer(..) => {}
            News::Summary(summary) => self.summary = summary,
            News::Drawing(wish, drawing) => {
                // An older wish may have been overtaken by a newer one.
                if self.app.graph.wish.as_ref() == Some(&wish) {
                    self.app.graph.drawing = Some(Arc::from(drawing));
                    self.app.graph.awaited = false;
                }
            }
        }
        self.pacer.pressed(now);
    }

    /// The terminal is gone: nothing is read from it and nothing drawn on it any more.
    fn hang_up(&mut self) -> std::io::Result<()> {
        if std::mem::replace(&mut self.closed, true) || self.app.ending.is_some() {
            return Ok(());
        }
        self.signal(Asked::End(EndCause::HangUp))
    }

    fn signal(&mut self, asked: Asked) -> std::io::Result<()> {
        match asked {
            Asked::End(cause) => {
                // A closed terminal is told twice, by the signal and by itself: that asks for no hurry.
                let forced = self.app.ending.is_some() && cause != EndCause::HangUp;
                if self.app.ending.is_some() && !forced {
                    return Ok(());
                }
                for request in end(&mut self.app, cause, forced) {
                    self.request(request)?;
                }
                self.pacer.pressed(self.clock.now());
            }
            Asked::Suspend => self.suspend()?,
            // Our own stop has taken the terminal back already.
            Asked::Continue if std::mem::take(&mut self.stopped) => {}
            Asked::Continue => self.terminal.retake()?,
        }
        self.pacer.pressed(self.clock.now());
        Ok(())
    }

    fn suspend(&mut self) -> std::io::Result<()> {
        restore();
        self.stopped = true;
        stop_here();
        self.terminal.retake()?;
        self.pacer.pressed(self.clock.now());
        Ok(())
    }

    /// Tells every run under way to end; the panel leaves when they have.
    fn end(&mut self, cause: EndCause, forced: bool) {
        let runs: Vec<RunId> = under_way(&self.view).map(|run| run.id).collect();
        let parting: Vec<Command> = runs.iter().map(|run| parting(&self.view, *run, cause)).collect();
        self.leaving.get_or_insert(PanelEnd { cause, interrupted: !runs.is_empty() });
        if forced && self.forced_at.is_none() {
            self.forced_at = Some(self.clock.now());
            // The first one may not have been sent yet: "at once" is what a second one means.
            parting.iter().for_each(|command| self.command(command.clone()));
        }
        parting.iter().for_each(|command| self.command(command.clone()));
    }

    /// What follows from the state after everything was taken in.
    fn after(&mut self) -> std::io::Result<()> {
        let now = self.clock.now();
        if self.app.ending.is_some() {
            let overdue = self.forced_at.is_some_and(|at| at + FORCED_WAIT <= now);
            // Where nothing can be recorded, nothing more is waited for here: the runtime ends what runs.
            let stuck = self.view.store.trouble.is_some();
            self.done |= overdue || stuck || under_way(&self.view).next().is_none();
        }
        self.look(now);
        let run = self.app.run_in(&self.view).map(|run| (run.id, run.seq, run.state.ended()));
        match run {
            Some((run, seq, true)) if self.summary_for != Some(seq) => {
                self.summary_for = Some(seq);
                let (handle, news) = (self.handle.clone(), self.news_in.clone());
                tokio::spawn(async move {
                    let _ = news.send(News::Summary(handle.summary(run).await));
                });
            }
            Some((_, _, false)) if self.summary.is_some() => self.summary = None,
            _ => {}
        }
        if let Some(run) = self.app.run
            && self.app.book.read(self.handle.logs(), run, &self.app.texts)
        {
            self.pacer.changed(now);
        }
        Ok(())
    }

    /// Asks for the details of the selected step; again from time to time while the reason holds a time that runs down.
    fn look(&mut self, now: Micros) {
        let looked_at = self.app.run.zip(self.app.step);
        let run = self.app.run_in(&self.view);
        let step = self.app.step.and_then(|step| run.and_then(|run| run.steps.get(step.index())));
        let runs_down = self.view.clock_rate > 0.0
            && step.is_some_and(|step| step.state == StepState::Waiting || step.state.active())
            && self.seen;
        if looked_at != self.looked_at || (runs_down && self.looked + LOOK_EVERY <= now) {
            self.looked_at = looked_at;
            self.looked = now;
            self.handle.look_at(looked_at);
        }
    }

    /// Asks for the picture of the graph that the pane wants; a small one is there at once.
    fn picture(&mut self) {
        let Some(wish) = self.app.wished(&self.view) else { return };
        self.app.graph.wish = Some(wish.clone());
        if wish.at_once() {
            self.app.graph.drawing = Some(Arc::new(draw_graph(&wish)));
            self.app.graph.awaited = false;
            return;
        }
        let other = self.app.graph.drawing.as_ref().is_some_and(|d| d.layout.nodes.len() != wish.workflow.steps.len());
        if other {
            self.app.graph.drawing = None;
        }
        self.app.graph.awaited = self.app.graph.drawing.is_none();
        let news = self.news_in.clone();
        let make = move || {
            let drawing = Box::new(draw_graph(&wish));
            let _ = news.send(News::Drawing(wish, drawing));
        };
        // Without a thread the list stays: the graph is a convenience.
        if std::thread::Builder::new().name("graph".to_owned()).spawn(make).is_err() {
            self.app.graph.awaited = false;
        }
    }

    /// Now, by the engine's clock.
    fn engine_now(&self) -> Micros {
        let passed = self.clock.now().saturating_sub(self.received).as_secs_f64() * self.view.clock_rate;
        self.view.now + Micros::from_secs_f64(passed)
    }

    fn draw(&mut self) -> std::io::Result<()> {
        let area = self.terminal.area();
        self.app.tick(self.clock.now());
        self.app.settle(area, &self.view);
        self.picture();
        self.app.settle(area, &self.view);
        let now = self.engine_now();
        // Field by field, so that the terminal stays free to be drawn to.
        let cx = Cx {
            app: &self.app,
            view: &self.view,
            run: self.app.run_in(&self.view),
            log: self.handle.logs(),
            summary: self.summary.as_deref(),
            now,
            theme: self.theme,
        };
        let mut drawn = view::Drawn::default();
        let result = self.terminal.draw(|buffer| drawn = view::draw(buffer, &cx));
        self.app.inspector_rows = drawn.inspector_rows;
        self.app.overlay_rows = drawn.overlay_rows;
        self.app.beyond = drawn.beyond;
        self.pacer.drawn(self.clock.now());
        result
    }
}
