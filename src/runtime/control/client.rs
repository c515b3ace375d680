//! The asking side: one request to the process that has a run open.

use super::ask::{Ask, Reply};
use super::place;
use super::serve::LINE_MAX;
use crate::runtime::store::disk::Store;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::time::Duration;

/// How long an answer is waited for: longer than the other side waits for its engine.
const PATIENCE: Duration = Duration::from_secs(30);
/// The longest answer: names of steps, of which there may be many.
const ANSWER_MAX: u64 = 64 << 20;

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unheard {
    /// Nobody listens; nothing was asked.
    NobodyThere(String),
    /// It was asked, and whether it was done is not known.
    NoAnswer(String),
    /// It cannot be asked: it is longer than a request may be.
    TooLong,
}

/// Asks the process that has a run of this store open.
///
/// # Errors
/// There is no answer; a refusal is one.
pub fn ask(store: &Store, run: &str, ask: &Ask) -> Result<Reply, Unheard> {
    let mut line = serde_json::to_vec(ask).map_err(|error| Unheard::NobodyThere(error.to_string()))?;
    line.push(b'\n');
    if line.len() > LINE_MAX {
        return Err(Unheard::TooLong);
    }
    let folder = store.run_folder(run).map_err(|error| Unheard::NobodyThere(error.to_string()))?;
    let connected = place::connect(&folder).and_then(|stream| {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(stream)
    });
    let mut stream = connected.map_err(|error| Unheard::NobodyThere(error.to_string()))?;
    let lost = |error: std::io::Error| {
        Unheard::NoAnswer(match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut => {
                format!("its process said nothing for {} s; it may be halted", PATIENCE.as_secs())
            }
            _ => error.to_string(),
        })
    };
    // Who turns a client away says so and reads nothing: an answer may be there although nothing could be written.
    let written = stream.write_all(&line);
    let mut answer = Vec::new();
    BufReader::new(stream.take(ANSWER_MAX)).read_until(b'\n', &mut answer).map_err(lost)?;
    if answer.is_empty() {
        written.map_err(|error| Unheard::NobodyThere(error.to_string()))?;
        return Err(Unheard::NoAnswer("it closed the connection".to_owned()));
    }
    serde_json::from_slice(&answer).map_err(|error| Unheard::NoAnswer(error.to_string()))
}
