//! What an attempt's process gets: its command, its folder, its variables, and one JSON document on standard input.

use super::capture::Beyond;
use super::mask::Mask;
use super::verdict::Worker;
use crate::model::agent::{Agent, AgentKind, Builtin};
use crate::model::completion::{Failure, FailureClass};
use crate::model::defaults;
use crate::model::effect::AttemptOrder;
use crate::model::expression::Expression;
use crate::model::step::{EnvValue, StdoutMode, Work};
use crate::model::workflow::Workflow;
use crate::runtime::environment;
use crate::runtime::reaper::ProcessSpec;
use crate::runtime::reaper::leftovers::MARK;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The longest value of `input` that also goes into a variable.
const VARIABLE_BYTES_MAX: usize = 64 * 1024;
/// All of them together: the system takes about 2 MB of arguments and variables, and refuses the start beyond.
const VARIABLES_BYTES_MAX: usize = 512 * 1024;

/// An attempt, ready to be started.
#[derive(Debug)]
pub(super) struct Request {
    /// The process.
    pub(super) spec: ProcessSpec,
    /// Its standard input.
    pub(super) document: Vec<u8>,
    /// Who works.
    pub(super) worker: Worker,
    /// What to keep of its output.
    pub(super) beyond: Beyond,
    /// What must not be shown.
    pub(super) mask: Mask,
    /// What to tell people.
    pub(super) warnings: Vec<String>,
}

/// Puts it together.
///
/// # Errors
/// Class `permanent`: a variable that is refused or missing.
pub(super) fn prepare(order: &AttemptOrder) -> Result<Request, Failure> {
    let step = order.spec();
    if step.is_approval() {
        return Err(permanent(asks_a_person(order)));
    }
    // What was computed was so for the step itself, not for what undoes it.
    let values = order.process.as_deref().filter(|_| !order.undo);
    let (argv, worker, grace, agent_env, agent_cwd) = match (&order.definition.kind, &step.work) {
        (AgentKind::Process(agent), _) => {
            (agent.command.clone(), Worker::Agent, agent.grace, agent.env.as_slice(), agent.cwd.as_ref())
        }
        (AgentKind::Builtin { builtin: Builtin::Process }, Work::Run { line }) => {
            let argv = ["/bin/sh", "-ec", line].map(str::to_owned).to_vec();
            (argv, Worker::Local(step.stdout), defaults::GRACE, [].as_slice(), None)
        }
        (AgentKind::Builtin { builtin: Builtin::Process }, Work::Command { argv }) => {
            let computed = values.and_then(|values| values.argv.as_ref());
            (computed.unwrap_or(argv).clone(), Worker::Local(step.stdout), defaults::GRACE, [].as_slice(), None)
        }
        _ => return Err(permanent(format!("the agent `{}` starts no process", order.definition.id))),
    };
    let mut variables = Variables { env: environment::agent_base_env(), secrets: Vec::new() };
    let computed = values.map_or([].as_slice(), |values| values.env.as_slice());
    for map in [&order.workflow.env, agent_env, &step.env] {
        variables.add(map, computed)?;
    }
    let mut warnings = Vec::new();
    variables.env.extend(own_variables(order, &mut warnings));
    let spec = ProcessSpec {
        argv: argv.into_iter().map(OsString::from).collect(),
        env: variables.env,
        cwd: folder(step.cwd.as_ref().or(agent_cwd), &order.workflow),
        grace: Duration::from_micros(grace.0),
    };
    let beyond = match worker {
        Worker::Agent | Worker::Local(StdoutMode::Json) => Beyond::Refuse,
        Worker::Local(StdoutMode::Auto | StdoutMode::Text) => Beyond::KeepEnds,
    };
    Ok(Request { spec, document: document(order), worker, beyond, mask: Mask::new(variables.secrets), warnings })
}

/// A process of an agent's that is no attempt, with its variables and in its folder. `run`: whose mark it bears.
///
/// # Errors
/// Class `permanent`: a variable that is refused or missing.
pub(super) fn of_agent(
    agent: &Agent,
    workflow: &Workflow,
    argv: &[String],
    run: Option<&str>,
) -> Result<(ProcessSpec, Mask), Failure> {
    let (agent_env, cwd) = match &agent.kind {
        AgentKind::Process(process) => (process.env.as_slice(), process.cwd.as_ref()),
        AgentKind::Simulated(_) | AgentKind::Builtin { .. } => ([].as_slice(), None),
    };
    let mut variables = Variables { env: environment::agent_base_env(), secrets: Vec::new() };
    for map in [&workflow.env, agent_env] {
        variables.add(map, &[])?;
    }
    variables.env.extend(run.map(|run| (MARK.into(), run.into())));
    let spec = ProcessSpec {
        argv: argv.iter().map(OsString::from).collect(),
        env: variables.env,
        cwd: folder(cwd, workflow),
        grace: Duration::from_secs(1),
    };
    Ok((spec, Mask::new(variables.secrets)))
}

/// Why an approval that was given to an agent is refused.
pub(super) fn asks_a_person(order: &AttemptOrder) -> String {
    format!("`{}` asks a person, no agent can answer it", order.spec().id)
}

fn permanent(message: String) -> Failure {
    Failure::new(FailureClass::Permanent, message)
}

fn document(order: &AttemptOrder) -> Vec<u8> {
    let step = order.spec();
    let mut document = json!({
        "run_id": &*order.run_name,
        "workflow": &*order.workflow.id,
        "step_id": &*step.id,
        "agent": &*order.definition.id,
        "attempt": order.attempt,
        "priority": order.priority,
        "idempotency_key": order.idempotency_key,
        "deadline_ms": order.time_left.map(|left| left.as_millis()),
        "action": step.action.as_deref(),
        "input": &*order.input,
    })
    .to_string()
    .into_bytes();
    // Agents that read a line get one.
    document.push(b'\n');
    document
}

/// Relative folders start from the file's; without a folder it is where upbeat was started.
fn folder(declared: Option<&String>, workflow: &Workflow) -> Option<PathBuf> {
    let start = || workflow.start_folder.as_ref().map(PathBuf::from).or_else(environment::start_folder);
    match declared {
        None => start(),
        Some(declared) => {
            let base = workflow.folder.as_ref().map(PathBuf::from).or_else(start).unwrap_or_default();
            Some(if Path::new(declared).is_absolute() { declared.into() } else { base.join(declared) })
        }
    }
}

struct Variables {
    env: Vec<(OsString, OsString)>,
    secrets: Vec<String>,
}

impl Variables {
    /// Adds those of a map. What a text holds filters for stands in `computed`.
    fn add(&mut self, map: &[(String, EnvValue)], computed: &[(String, String)]) -> Result<(), Failure> {
        for (name, value) in map {
            if let Some(why) = refusal(name) {
                return Err(permanent(format!("the variable `{}` is refused: {why}", name.escape_debug())));
            }
            let value = match value {
                EnvValue::Text(text) => {
                    let is_computed = matches!(Expression::of_text(text), Ok(Some(_)));
                    let found = computed.iter().find(|(known, _)| is_computed && known == name);
                    OsString::from(found.map_or(text, |(_, computed)| computed))
                }
                EnvValue::FromEnv { name: source, masked } => {
                    let value = environment::var_os(source).ok_or_else(|| {
                        let hint = format!("set it, or give `{name}` a text");
                        permanent(format!(
                            "`{name}` is to be `{source}`, which is not set where upbeat was started; {hint}"
                        ))
                    })?;
                    if *masked {
                        self.secrets.push(value.to_string_lossy().into_owned());
                    }
                    value
                }
            };
            if value.as_encoded_bytes().contains(&0) {
                return Err(permanent(format!("the variable `{name}` holds a NUL byte")));
            }
            self.env.push((name.into(), value));
        }
        Ok(())
    }
}

/// Why a variable may not be set: these make programs load or run foreign code, or are no names at all.
fn refusal(name: &str) -> Option<&'static str> {
    match name {
        "" => Some("it has no name"),
        "BASH_ENV" | "ENV" => Some("a shell would run the file it names"),
        _ if name.contains(['=', '\0']) => Some("names hold neither `=` nor NUL"),
        _ if name.starts_with("LD_") || name.starts_with("DYLD_") => Some("the program would load what it names"),
        _ => None,
    }
}

/// The variables that upbeat sets itself; no file can set others in their place.
fn own_variables(order: &AttemptOrder, warnings: &mut Vec<String>) -> Vec<(OsString, OsString)> {
    let mut own: Vec<(OsString, OsString)> = vec![
        (MARK.into(), (*order.run_name).into()),
        ("UPBEAT_STEP_ID".into(), (*order.spec().id).into()),
        ("UPBEAT_ATTEMPT".into(), order.attempt.to_string().into()),
        ("UPBEAT_IDEMPOTENCY_KEY".into(), order.idempotency_key.clone().into()),
    ];
    if let Some(left) = order.time_left {
        own.push(("UPBEAT_DEADLINE_MS".into(), left.as_millis().to_string().into()));
    }
    let mut taken: BTreeMap<String, &String> = BTreeMap::new();
    let mut room = VARIABLES_BYTES_MAX;
    for (key, value) in order.input.as_object().into_iter().flatten() {
        let name = variable_name(key);
        let value = match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let why = if value.len() > VARIABLE_BYTES_MAX {
            "it is longer than 64 KiB".to_owned()
        } else if value.contains('\0') {
            "it holds a NUL byte".to_owned()
        } else if let Some(other) = taken.get(&name) {
            format!("`{other}` has it already")
        } else if name.len() + value.len() > room {
            "all together are longer than 512 KiB".to_owned()
        } else {
            room -= name.len() + value.len();
            own.push((name.clone().into(), value.into()));
            taken.insert(name, key);
            continue;
        };
        warnings.push(format!("`input.{key}` is not in the variable {name}: {why}; it is in the document on stdin"));
    }
    own
}

fn variable_name(key: &str) -> String {
    let fold = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    format!("UPBEAT_IN_{}", key.chars().map(fold).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_that_load_or_run_foreign_code_are_refused() {
        for name in ["LD_PRELOAD", "LD_", "DYLD_INSERT_LIBRARIES", "BASH_ENV", "ENV", "A=B", "A\0", ""] {
            assert!(refusal(name).is_some(), "{name}");
        }
        for name in ["PATH", "ENVIRONMENT", "LDFLAGS", "OLD_PATH", "_"] {
            assert_eq!(refusal(name), None, "{name}");
        }
    }

    #[test]
    fn names_of_variables_are_capitals_and_underscores() {
        assert_eq!(variable_name("user.name-1"), "UPBEAT_IN_USER_NAME_1");
        assert_eq!(variable_name("größe"), "UPBEAT_IN_GR__E");
    }

    #[test]
    fn folders_start_from_the_file() {
        let mut workflow = Workflow::new("w", Vec::new(), Vec::new());
        assert_eq!(folder(None, &workflow), environment::start_folder());
        (workflow.folder, workflow.start_folder) = (Some("/flows".to_owned()), Some("/before".to_owned()));
        let declared = |text: &str| folder(Some(&text.to_owned()), &workflow);
        assert_eq!(declared("sub"), Some("/flows/sub".into()));
        assert_eq!(declared("/abs"), Some("/abs".into()));
        assert_eq!(folder(None, &workflow), Some("/before".into()), "also when it goes on elsewhere");
    }

    #[test]
    fn a_variable_of_upbeats_own_has_to_be_set_and_is_secret_if_it_says_so() {
        let mut variables = Variables { env: Vec::new(), secrets: Vec::new() };
        let from = |name: &str, masked| EnvValue::FromEnv { name: name.to_owned(), masked };
        let map = [("A".to_owned(), from("CARGO_PKG_NAME", true)), ("B".to_owned(), from("CARGO_PKG_VERSION", false))];
        variables.add(&map, &[]).unwrap();
        assert_eq!(variables.env[0], ("A".into(), "upbeat".into()));
        assert_eq!(variables.secrets, ["upbeat"]);
        let missing = variables.add(&[("C".to_owned(), from("NO_SUCH_VARIABLE", true))], &[]).unwrap_err();
        assert!(missing.class == FailureClass::Permanent && missing.message.contains("`NO_SUCH_VARIABLE`"));
    }
}
