//! Attempts under way: begun, halted where they stand, let go, ended, and asked whether they still say anything.
//!
//! Halting stops an attempt's clock: what is due for a timed one is taken out and set anew with the time that was left.
//! Silence is counted from the last byte a process printed, from the start, or from the moment it was let go.

use super::{AttemptKey, Driver, Due};
use crate::model::completion::{Completion, EndProof, Outcome};
use crate::model::effect::{AttemptOrder, Timer};
use crate::model::time::Micros;
use crate::runtime::agents::{process, simulated};

/// A place among the due things.
pub(super) type DueAt = (Micros, u64);

/// An attempt under way.
#[derive(Debug)]
pub(super) struct Active {
    doing: Doing,
    /// When it began, or was last let go.
    since: Micros,
    /// The longest silence.
    idle_timeout: Option<Micros>,
    /// Where its idle timer stands: there is one at most.
    idle: Option<DueAt>,
    frozen: bool,
}

/// How it works.
#[derive(Debug)]
enum Doing {
    /// Its answer stands among the due things.
    Timed(DueAt),
    /// Its answer comes when it has been let go and so much time has passed.
    Halted(Micros, Outcome),
    /// A process, and how to hold it.
    Process(process::Grip),
}

impl Active {
    /// Ends a process without grace; what is no process has nothing to end.
    pub(super) fn kill(&self) {
        if let Doing::Process(grip) = &self.doing {
            grip.stop(true);
        }
    }

    pub(super) const fn is_process(&self) -> bool {
        matches!(self.doing, Doing::Process(_))
    }

    pub(super) const fn is_halted(&self) -> bool {
        self.frozen
    }

    /// A process that began at one time and was last heard at another.
    #[cfg(test)]
    pub(super) fn heard_at(heard: Micros, since: Micros, idle_timeout: Micros) -> Self {
        let doing = Doing::Process(process::Grip::heard_at(heard));
        Self { doing, since, idle_timeout: Some(idle_timeout), idle: None, frozen: false }
    }

    fn heard(&self) -> Micros {
        match &self.doing {
            Doing::Process(grip) => grip.heard().max(self.since),
            Doing::Timed(_) | Doing::Halted(..) => self.since,
        }
    }
}

impl Driver {
    pub(super) fn start(&mut self, order: &AttemptOrder, now: Micros) {
        let key = (order.run, order.step, order.attempt);
        let doing = match simulated::answer(order, self.speed) {
            Some((time, outcome)) => Doing::Timed(self.set_due(now + time, Due::Answer(key, outcome))),
            None => {
                let log = process::Log::new(self.inbox.logs.clone(), self.clock, order);
                let (grip, work) = process::attempt(self.pool.clone(), order, log);
                let ended = self.ended_in.clone();
                tokio::spawn(async move {
                    let completion = work.await;
                    let _ = ended.send(completion);
                });
                Doing::Process(grip)
            }
        };
        let idle_timeout = order.spec().idle_timeout;
        self.active.insert(key, Active { doing, since: now, idle_timeout, idle: None, frozen: false });
    }

    pub(super) fn stop(&mut self, key: AttemptKey, at_once: bool) {
        match self.active.get(&key).map(|active| &active.doing) {
            Some(Doing::Process(grip)) => grip.stop(at_once),
            Some(Doing::Timed(_) | Doing::Halted(..)) => {
                if let Some(Active { doing: Doing::Timed(due), .. }) = self.active.remove(&key) {
                    self.due.remove(&due);
                }
                self.at_once.push_back(completion_of(key, Outcome::Stopped));
            }
            None => {}
        }
    }

    /// Halts an attempt, or lets it go on. `now`: when that was decided.
    pub(super) fn freeze(&mut self, key: AttemptKey, frozen: bool, now: Micros) {
        if self.active.get(&key).is_none_or(|active| active.frozen == frozen) {
            return;
        }
        // Taken out and put back, since it changes together with what is due.
        let Some(mut active) = self.active.remove(&key) else { return };
        active.frozen = frozen;
        if !frozen {
            active.since = now;
        }
        active.doing = match active.doing {
            Doing::Process(grip) => {
                grip.freeze(frozen);
                Doing::Process(grip)
            }
            Doing::Timed(at) => match self.due.remove(&at) {
                Some(Due::Answer(_, outcome)) => Doing::Halted(at.0 - now, outcome),
                // Its answer has been heard: it ends.
                _ => Doing::Timed(at),
            },
            Doing::Halted(left, outcome) => Doing::Timed(self.set_due(now + left, Due::Answer(key, outcome))),
        };
        self.active.insert(key, active);
    }

    /// Sets a timer. Of an attempt's idle timers the last one counts.
    pub(super) fn set_timer(&mut self, at: Micros, timer: Timer) {
        let due = self.set_due(at, Due::Timer(timer));
        if let Timer::Idle { run, step, attempt } = timer
            && let Some(active) = self.active.get_mut(&(run, step, attempt))
            && let Some(former) = active.idle.replace(due)
        {
            self.due.remove(&former);
        }
    }

    /// Whether a timer that is due is not the engine's to hear: an idle timer of an attempt that was heard in time, which is
    /// set anew, or of one that is halted, for which the engine sets another when it goes on.
    pub(super) fn is_kept_back(&mut self, timer: Timer) -> bool {
        let Timer::Idle { run, step, attempt } = timer else { return false };
        let Some(active) = self.active.get_mut(&(run, step, attempt)) else { return false };
        active.idle = None;
        if active.frozen {
            return true;
        }
        let Some(limit) = active.idle_timeout else { return false };
        let at = active.heard() + limit;
        if at <= self.clock.now() {
            return false;
        }
        self.set_timer(at, timer);
        true
    }

    /// Puts something among the due things, and tells where.
    pub(super) fn set_due(&mut self, at: Micros, due: Due) -> DueAt {
        self.order += 1;
        self.due.insert((at, self.order), due);
        (at, self.order)
    }
}

/// The end of an attempt that was no process.
pub(super) const fn completion_of((run, step, attempt): AttemptKey, outcome: Outcome) -> Completion {
    Completion { run, step, attempt, outcome, usage: None, proof: EndProof::Proved, agent_lost: None }
}
