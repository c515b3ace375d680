//! Lines of JSON from a file, a pipe or standard input, read no further than somebody takes them.
//!
//! A thread reads and understands lines and hands them over in batches; it waits while a batch is not wanted, and then so
//! does whoever writes. What is read ahead is bounded: some batches, and one line of the greatest length.

use super::out::{EXIT_USAGE, Stop, say};
use super::recipe::STDIN;
use crate::model::safe::Safe;
use crate::model::strict_json;
use crate::spec::LIMITS;
use serde_json::Value;
use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Read, Result};
use std::path::Path;
use std::vec::IntoIter;
use tokio::sync::mpsc;

/// Bytes read at once, and bytes of lines in a batch but for the last one.
const BATCH_BYTES: usize = 64 * 1024;
/// Lines in a batch.
const BATCH_LINES: usize = 64;
/// A buffer that was needed for a long line is kept up to this size.
const KEPT_BYTES: usize = 1024 * 1024;

/// What a line says, or what is wrong with it.
pub(crate) type Line = std::result::Result<Value, String>;

/// What the thread hands over.
enum Batch {
    Lines(Vec<Line>),
    /// The source cannot be read any further.
    Broken(String),
}

/// A source of lines.
pub(crate) struct Source {
    batches: mpsc::Receiver<Batch>,
    lines: IntoIter<Line>,
    broken: Option<String>,
}

impl Source {
    /// Opens it and begins to read.
    pub(crate) fn open(path: &Path) -> std::result::Result<Self, Stop> {
        let input: Box<dyn Read + Send> = if path.as_os_str() == STDIN {
            Box::new(std::io::stdin())
        } else {
            match File::open(path) {
                Ok(file) => Box::new(file),
                Err(error) => {
                    say(&format!("upbeat: {} cannot be read: {error}", Safe::line(&path.to_string_lossy())));
                    return Err(Stop(EXIT_USAGE));
                }
            }
        };
        let (give, batches) = mpsc::channel(1);
        // It may wait for a line for ever: the end of the program is its end.
        std::thread::spawn(move || read(BufReader::with_capacity(BATCH_BYTES, input), &give));
        Ok(Self { batches, lines: Vec::new().into_iter(), broken: None })
    }

    /// The next line; `None`: there is none any more. May be dropped and asked again.
    pub(crate) async fn next(&mut self) -> Option<Line> {
        loop {
            if let Some(line) = self.lines.next() {
                return Some(line);
            }
            match self.batches.recv().await? {
                Batch::Lines(lines) => self.lines = lines.into_iter(),
                Batch::Broken(why) => self.broken = Some(why),
            }
        }
    }

    /// The next line, if it was read already.
    pub(crate) fn at_hand(&mut self) -> Option<Line> {
        self.lines.next()
    }

    /// Why it ended before its end.
    pub(crate) fn broken(&self) -> Option<&str> {
        self.broken.as_deref()
    }
}

/// Reads to the end, or until nobody wants any more.
fn read<R: Read>(mut input: BufReader<R>, give: &mpsc::Sender<Batch>) {
    let mut text = Vec::new();
    loop {
        let mut lines = Vec::new();
        let mut bytes = 0;
        let end = loop {
            match next(&mut input, &mut text, LIMITS.bytes) {
                Ok(Some(whole)) => {
                    bytes += text.len();
                    lines.push(if whole { understood(&text) } else { Err(too_long()) });
                }
                Ok(None) => break Some(None),
                Err(error) => break Some(Some(error.to_string())),
            }
            if text.capacity() > KEPT_BYTES {
                text = Vec::new();
            }
            // Nobody waits for a batch to become full.
            if lines.len() >= BATCH_LINES || bytes >= BATCH_BYTES || !input.buffer().contains(&b'\n') {
                break None;
            }
        };
        if !lines.is_empty() && give.blocking_send(Batch::Lines(lines)).is_err() {
            return;
        }
        match end {
            None => {}
            Some(why) => {
                if let Some(why) = why {
                    let _ = give.blocking_send(Batch::Broken(why));
                }
                return;
            }
        }
    }
}

/// Reads a line without its end; `None`: there is none, `false`: it is longer than `most` bytes and was passed over.
fn next(input: &mut impl BufRead, line: &mut Vec<u8>, most: usize) -> Result<Option<bool>> {
    line.clear();
    let (mut whole, mut any) = (true, false);
    loop {
        let bytes = match input.fill_buf() {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if bytes.is_empty() {
            return Ok(any.then_some(whole));
        }
        any = true;
        let end = bytes.iter().position(|byte| *byte == b'\n');
        let part = &bytes[..end.unwrap_or(bytes.len())];
        whole &= line.len() + part.len() <= most;
        if whole {
            line.extend_from_slice(part);
        } else {
            line.clear();
        }
        let taken = part.len() + usize::from(end.is_some());
        input.consume(taken);
        if end.is_some() {
            return Ok(Some(whole));
        }
    }
}

fn understood(text: &[u8]) -> Line {
    if text.iter().all(u8::is_ascii_whitespace) {
        return Err("the line is empty; a JSON value is expected".to_owned());
    }
    strict_json::parse(text).map_err(|error| format!("the line is no JSON: {error}"))
}

fn too_long() -> String {
    format!("the line is longer than {} MB and was passed over", LIMITS.bytes / (1024 * 1024))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_cut_at_their_ends_and_long_ones_passed_over() {
        let text = b"12\n\n123456789\n34\r\n5";
        let mut input = BufReader::with_capacity(3, &text[..]);
        let mut line = Vec::new();
        let mut seen = Vec::new();
        while let Some(whole) = next(&mut input, &mut line, 4).unwrap() {
            seen.push((whole, String::from_utf8(line.clone()).unwrap()));
        }
        let expected = [(true, "12"), (true, ""), (false, ""), (true, "34\r"), (true, "5")];
        assert_eq!(seen, expected.map(|(whole, text)| (whole, text.to_owned())));
    }

    #[test]
    fn what_is_no_json_is_said_and_ends_nothing() {
        for bad in ["", "  ", "{", "nope", "{\"a\":1,\"a\":2}", "1 2"] {
            assert!(understood(bad.as_bytes()).is_err(), "{bad}");
        }
        assert_eq!(understood(b" {\"a\": 1}\r").unwrap()["a"], 1);
        assert!(understood(b"\xff").is_err());
    }
}
