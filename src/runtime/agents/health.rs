//! Health checks: whether an agent is well, asked again and again by a program or an address of its file.
//!
//! A check by program is a process like an attempt: it has a tree of its own, is ended with all of it when its time is
//! over, bears the run's mark, and is proved gone before the next one begins. What it prints is not logged; the last line
//! on standard error goes into the fault.

use super::http::Http;
use super::process::{self, Heard};
use super::request;
use super::verdict::{self, Worker};
use crate::model::agent::Agent;
use crate::model::id::{AgentId, Name};
use crate::model::policy::{Health, HealthProbe};
use crate::model::step::StdoutMode;
use crate::model::workflow::Workflow;
use crate::runtime::clock::{later, now};
use crate::runtime::reaper::{Pool, StartErrorKind};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// No check may take longer, however seldom it is made.
const LIMIT_MAX: Duration = Duration::from_secs(10);

/// Checks are no nearer to each other, whatever is declared.
const EVERY_MIN: Duration = Duration::from_millis(100);

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// The agent is well.
    Well,
    /// It is not, for this reason. Foreign text: sanitise before it meets a terminal.
    Unwell(String),
    /// Nothing was found out: this machine was short of something.
    Unknown(String),
}

/// An agent, as a run knows it.
#[derive(Clone, Debug)]
pub struct Subject {
    /// The run's name.
    pub run: Name,
    /// Its workflow.
    pub workflow: Arc<Workflow>,
    /// The agent's place in it.
    pub at: usize,
}

impl Subject {
    fn is_same(&self, other: &Self) -> bool {
        self.run == other.run && self.at == other.at && Arc::ptr_eq(&self.workflow, &other.workflow)
    }
}

/// Finds out once whether an agent is well; `None`: it declares no check. `run`: whose mark a program bears.
pub async fn check(pool: &Pool, agent: &Agent, workflow: &Workflow, run: Option<&str>) -> Option<Finding> {
    let health = agent.health.as_ref()?;
    Some(ask(pool, (agent, health), workflow, run, &mut None).await)
}

/// The same with a client that is made when it is needed first.
async fn ask(
    pool: &Pool,
    (agent, health): (&Agent, &Health),
    workflow: &Workflow,
    run: Option<&str>,
    client: &mut Option<Http>,
) -> Finding {
    let url = match &health.probe {
        HealthProbe::Command(argv) => return by_program(pool, argv, limit(health), agent, workflow, run).await,
        HealthProbe::Url(url) => url,
    };
    let http = match client {
        Some(made) => made,
        None => {
            let (url, limit) = (url.clone(), limit(health));
            // Certificates are read from files.
            let made = tokio::task::spawn_blocking(move || Http::new(&url, limit)).await;
            match made.unwrap_or_else(|error| Err(error.to_string())) {
                Ok(made) => client.insert(made),
                Err(why) => return Finding::Unwell(unwell(&why)),
            }
        }
    };
    by_address(http).await
}

fn limit(health: &Health) -> Duration {
    every(health).min(LIMIT_MAX)
}

fn every(health: &Health) -> Duration {
    Duration::from_micros(health.every.0).max(EVERY_MIN)
}

fn unwell(why: &str) -> String {
    format!("the health check failed: {why}")
}

async fn by_address(http: &Http) -> Finding {
    match http.status().await {
        Ok(200..=299) => Finding::Well,
        Ok(status) => Finding::Unwell(unwell(&format!("it was answered with status {status}, 200 to 299 is expected"))),
        Err(why) => Finding::Unwell(unwell(&why)),
    }
}

async fn by_program(
    pool: &Pool,
    argv: &[String],
    limit: Duration,
    agent: &Agent,
    workflow: &Workflow,
    run: Option<&str>,
) -> Finding {
    let (spec, mask) = match request::of_agent(agent, workflow, argv, run) {
        Ok(prepared) => prepared,
        Err(failure) => return Finding::Unwell(unwell(&failure.message)),
    };
    let running = match pool.start(spec).await {
        Ok(running) => running,
        Err(error) if error.kind == StartErrorKind::Resources => return Finding::Unknown(error.to_string()),
        Err(error) => return Finding::Unwell(unwell(&mask.text(error.to_string()))),
    };
    let Heard { ended, late, output, last_words } = process::listen(running, &mask, later(limit)).await;
    let Some(ended) = ended else { return Finding::Unknown("upbeat is ending".to_owned()) };
    if late {
        return Finding::Unwell(unwell(&format!("it took longer than {} s", limit.as_secs_f64())));
    }
    if ended.left > 0 {
        return Finding::Unwell(unwell(&format!("{} of its processes cannot be ended", ended.left)));
    }
    match verdict::of_exit(Worker::Local(StdoutMode::Text), ended.exit, &last_words, &output) {
        None => Finding::Well,
        Some(failure) => Finding::Unwell(unwell(&failure.message)),
    }
}

/// What was found of an agent, told when it is found first and when it changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The agent.
    pub agent: AgentId,
    /// What is wrong with it; `None`: it is well.
    pub fault: Option<String>,
}

/// Watches agents: a task for each. Dropping it ends them.
#[derive(Debug)]
pub struct Monitor {
    pool: Arc<Pool>,
    verdicts: mpsc::UnboundedSender<Verdict>,
    watched: BTreeMap<AgentId, (Subject, Watch)>,
}

#[derive(Debug)]
struct Watch(JoinHandle<()>);

impl Drop for Watch {
    fn drop(&mut self) {
        // With the task its check is dropped, and whoever drops a process ends it.
        self.0.abort();
    }
}

impl Monitor {
    /// A monitor of nobody yet, and what it will find.
    #[must_use]
    pub fn new(pool: Arc<Pool>) -> (Self, mpsc::UnboundedReceiver<Verdict>) {
        let (verdicts, found) = mpsc::unbounded_channel();
        (Self { pool, verdicts, watched: BTreeMap::new() }, found)
    }

    /// Watches these agents from now on, and no others. Those that were watched before go on being so. Has to be called
    /// on a runtime.
    pub fn watch(&mut self, subjects: BTreeMap<AgentId, Subject>) {
        self.watched.retain(|id, (subject, _)| subjects.get(id).is_some_and(|wanted| wanted.is_same(subject)));
        for (id, subject) in subjects {
            self.watched.entry(id).or_insert_with(|| {
                let (pool, verdicts) = (self.pool.clone(), self.verdicts.clone());
                let watch = Watch(tokio::spawn(look_after(pool, id, subject.clone(), verdicts)));
                (subject, watch)
            });
        }
    }
}

/// Checks one agent as often as it says. Checks do not overlap: one that takes long delays the next.
async fn look_after(pool: Arc<Pool>, id: AgentId, subject: Subject, verdicts: mpsc::UnboundedSender<Verdict>) {
    let Subject { run, workflow, at } = subject;
    let Some((agent, health)) = workflow.agents.get(at).and_then(|agent| Some((agent, agent.health.as_ref()?))) else {
        return;
    };
    let (mut was_well, mut client) = (None, None);
    loop {
        let began = now();
        let fault = match ask(&pool, (agent, health), &workflow, Some(&*run), &mut client).await {
            Finding::Well => Some(None),
            Finding::Unwell(why) => Some(Some(why)),
            Finding::Unknown(why) => {
                tracing::warn!(agent = &*agent.id, why, "a health check could not be made");
                None
            }
        };
        if let Some(fault) = fault
            && was_well.replace(fault.is_none()) != Some(fault.is_none())
            && verdicts.send(Verdict { agent: id, fault }).is_err()
        {
            return;
        }
        tokio::time::sleep_until(began + every(health)).await;
    }
}
