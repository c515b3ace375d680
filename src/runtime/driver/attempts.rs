//! Attempts under way: begun, halted where they stand, let go, ended, and asked whether they still say anything.
//!
//! Halting stops an attempt's clock: what is due for a timed one is taken out and set anew with the time that was left.
//! Silence is counted from the last byte a process printed, from the start, or from the moment it was let go.
//!
//! An answer that still needs something (a filter, a look at what the step expects) is worked on beside, and told when that is
//! done, but not before its time. Whoever is stopped meanwhile ends at once; what is found later finds nobody.

use super::{AttemptKey, Driver, Due};
use crate::model::completion::{Completion, EndProof, Outcome};
use crate::model::effect::{AttemptOrder, Timer};
use crate::model::time::Micros;
use crate::runtime::agents::{builtin, process, simulated};
use crate::runtime::compute::Calculator;
use std::sync::Arc;

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
    /// It was asked to end.
    stopped: bool,
    /// What a process's answer is to be held against, where it cannot be told as it is.
    order: Option<Arc<AttemptOrder>>,
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
    /// Its answer is worked on, and told at this time at the earliest.
    Working(u64, Micros),
    /// Its answer is worked on; so much time passes from when it is let go until it is told.
    WorkingHalted(u64, Micros),
    /// Its process is gone, and what that answered is looked at.
    Closing(u64, Box<Completion>),
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

    /// A process that began at one time and was last heard at another.
    #[cfg(test)]
    pub(super) fn heard_at(heard: Micros, since: Micros, idle_timeout: Micros) -> Self {
        let doing = Doing::Process(process::Grip::heard_at(heard));
        Self { idle_timeout: Some(idle_timeout), ..Self::new(doing, since) }
    }

    /// A process whose answer this order looks at.
    #[cfg(test)]
    pub(super) fn process_of(order: AttemptOrder) -> Self {
        Self { order: Some(Arc::new(order)), ..Self::heard_at(Micros::ZERO, Micros::ZERO, Micros::from_secs(1)) }
    }

    const fn new(doing: Doing, since: Micros) -> Self {
        Self { doing, since, idle_timeout: None, idle: None, frozen: false, stopped: false, order: None }
    }

    /// Which work finds out how it ends.
    const fn work(&self) -> Option<u64> {
        match &self.doing {
            Doing::Working(work, _) | Doing::WorkingHalted(work, _) | Doing::Closing(work, _) => Some(*work),
            Doing::Timed(_) | Doing::Halted(..) | Doing::Process(_) => None,
        }
    }

    fn heard(&self) -> Micros {
        match &self.doing {
            Doing::Process(grip) => grip.heard().max(self.since),
            _ => self.since,
        }
    }
}

impl Driver {
    pub(super) fn start(&mut self, order: Box<AttemptOrder>, now: Micros) {
        let key = (order.run, order.step, order.attempt);
        let order: Arc<AttemptOrder> = order.into();
        let (seed, calculator) = (self.seed_of(order.run), self.calculator.clone());
        let mut closes = false;
        let doing = match simulated::answer(&order, self.speed) {
            Some((time, outcome)) if Calculator::is_final(&order, &outcome) => {
                Doing::Timed(self.set_due(now + time, Due::Answer(key, outcome)))
            }
            Some((time, outcome)) => {
                let order = order.clone();
                let work = self.begin(key, async move { calculator.finish(&order, seed, outcome).await });
                Doing::Working(work, now + time)
            }
            None if builtin::works(&order.definition.kind) => {
                let order = order.clone();
                let work = self.begin(key, async move { calculator.work(&order, seed).await });
                Doing::Working(work, now)
            }
            None => {
                closes = true;
                let log = process::Log::new(self.inbox.logs.clone(), self.clock, &order);
                let (grip, work) = process::attempt(self.pool.clone(), &order, log);
                let ended = self.ended_in.clone();
                tokio::spawn(async move {
                    let completion = work.await;
                    let _ = ended.send(completion);
                });
                Doing::Process(grip)
            }
        };
        let idle_timeout = order.spec().idle_timeout;
        let order = Some(order).filter(|_| closes);
        self.active.insert(key, Active { idle_timeout, order, ..Active::new(doing, now) });
    }

    /// Begins to find out how an attempt ends; gives the number of that work.
    fn begin(&mut self, key: AttemptKey, outcome: impl Future<Output = Outcome> + Send + 'static) -> u64 {
        self.order += 1;
        self.works.find(key, self.order, outcome);
        self.order
    }

    /// A process is gone. What it answered is looked at first where its step wants that, unless nobody waits for it any
    /// longer.
    pub(super) fn process_ended(&mut self, completion: Completion) {
        let key = (completion.run, completion.step, completion.attempt);
        let active = self.active.get_mut(&key);
        let order = active.and_then(|active| active.order.take().map(|order| (order, active.stopped)));
        match order.filter(|(order, _)| !Calculator::is_final(order, &completion.outcome)) {
            None => self.completion(completion),
            Some((_, true)) => self.completion(Completion { outcome: Outcome::Stopped, ..completion }),
            Some((order, false)) => {
                let (seed, calculator, outcome) =
                    (self.seed_of(order.run), self.calculator.clone(), completion.outcome.clone());
                let work = self.begin(key, async move { calculator.finish(&order, seed, outcome).await });
                if let Some(active) = self.active.get_mut(&key) {
                    active.doing = Doing::Closing(work, Box::new(completion));
                }
            }
        }
    }

    /// It was found out how an attempt ends.
    pub(super) fn worked(&mut self, key: AttemptKey, work: u64, outcome: Outcome) {
        // Of an attempt that was stopped nobody wants to know.
        let Some(mut active) = self.active.remove(&key) else { return };
        if active.work() == Some(work) {
            active.doing = match active.doing {
                Doing::Closing(_, completion) => return self.completion(Completion { outcome, ..*completion }),
                Doing::WorkingHalted(_, left) => Doing::Halted(left, outcome),
                Doing::Working(_, at) => {
                    Doing::Timed(self.set_due(at.max(self.clock.now()), Due::Answer(key, outcome)))
                }
                other => other,
            };
        }
        self.active.insert(key, active);
    }

    pub(super) fn stop(&mut self, key: AttemptKey, at_once: bool) {
        let Some(active) = self.active.get_mut(&key) else { return };
        active.stopped = true;
        if let Doing::Process(grip) = &active.doing {
            return grip.stop(at_once);
        }
        let Some(active) = self.active.remove(&key) else { return };
        let stopped = match active.doing {
            Doing::Closing(_, completion) => Completion { outcome: Outcome::Stopped, ..*completion },
            Doing::Timed(due) => {
                self.due.remove(&due);
                completion_of(key, Outcome::Stopped)
            }
            _ => completion_of(key, Outcome::Stopped),
        };
        self.at_once.push_back(stopped);
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
            Doing::Working(work, at) => Doing::WorkingHalted(work, at - now),
            Doing::WorkingHalted(work, left) => Doing::Working(work, now + left),
            // There is nothing left to halt: it is told when it is known.
            Doing::Closing(work, completion) => Doing::Closing(work, completion),
        };
        self.active.insert(key, active);
    }

    /// Sets a timer. Of an attempt's idle timers the last one counts; an agent's is set once, however many runs ask for it.
    pub(super) fn set_timer(&mut self, at: Micros, timer: Timer) {
        let same = |due: &Due| matches!(due, Due::Timer(set) if *set == timer);
        if timer.run().is_none() && self.due.range((at, 0)..=(at, u64::MAX)).any(|(_, due)| same(due)) {
            return;
        }
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
