//! The evaluator: the process that runs filters. `upbeat __eval` with pipes as standard input, output and error.
//!
//! It reads a request, answers it, and reads the next, until its input ends. It does not guard itself against filters:
//! one that uses up the stack or the memory ends it, and upbeat starts another. All its time is spent on one thread with
//! a stack of known size, so that what fits does not depend on the machine's settings.

use super::compile::{Compiled, Data, VARIABLES, compile};
use super::limits::Limits;
use super::protocol::{READY, VALUE, error};
use super::schema::{self, Schemas};
use super::{STACK, answer};
use indexmap::IndexMap;
use jaq_core::{Ctx, Vars, unwrap_valr};
use jaq_json::{Map, Rc, Val, read};
use std::io::{self, BufRead, Write};

/// As many compiled filters are kept: more than a file has in use at once, and few enough for the memory limit.
const KEPT_MAX: usize = 256;
/// The longest message of an error, in bytes: jq repeats values in them.
const MESSAGE_MAX: usize = 500;

/// Serves requests until the input ends. Returns the exit code: 0, or 2 where it could not begin or a filter broke it.
#[must_use]
pub fn main() -> u8 {
    // Out of the terminal's reach: Ctrl-C is upbeat's to handle. Fails only where it is so already.
    let _ = rustix::process::setsid();
    #[cfg(target_os = "linux")]
    {
        // A filter that runs when upbeat is killed would not see the end of its input.
        let _ = rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL));
    }
    let thread = std::thread::Builder::new().stack_size(STACK).spawn(serve);
    match thread.map(std::thread::JoinHandle::join) {
        Ok(Ok(Ok(()))) => 0,
        _ => 2,
    }
}

fn serve() -> io::Result<()> {
    let mut limits = Limits::set();
    answer_all(io::stdin().lock(), io::stdout().lock(), || limits.renew())
}

fn answer_all(mut requests: impl BufRead, mut answers: impl Write, mut before_each: impl FnMut()) -> io::Result<()> {
    let (mut compiled, mut schemas) = (Cache::default(), Schemas::default());
    let (mut line, mut out) = (Vec::new(), READY.to_vec());
    loop {
        // Every answer goes out before the next filter runs, which may never come to an end.
        out.push(b'\n');
        answers.write_all(&out)?;
        answers.flush()?;
        out.clear();
        line.clear();
        if requests.read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        before_each();
        out.extend_from_slice(VALUE.0);
        let answered = if line.starts_with(schema::BEGINS) {
            schemas.answer(&line).map(|found| out.extend_from_slice(found.to_string().as_bytes()))
        } else {
            evaluate(&line, &mut compiled, &mut out)
        };
        match answered {
            Ok(()) => out.extend_from_slice(VALUE.1),
            Err(message) => out = error(&cut(message)),
        }
    }
}

fn cut(mut message: String) -> String {
    if message.len() > MESSAGE_MAX {
        message.truncate(message.floor_char_boundary(MESSAGE_MAX));
        message.push('…');
    }
    message
}

/// Filters that were used last, by their text.
#[derive(Default)]
struct Cache(IndexMap<Box<str>, Rc<Compiled>>);

impl Cache {
    fn get(&mut self, text: &str) -> Result<Rc<Compiled>, String> {
        if let Some(known) = self.0.get(text) {
            return Ok(known.clone());
        }
        let made =
            compile(text).map_err(|fault| format!("the filter is wrong at byte {}: {}", fault.at, fault.message))?;
        if self.0.len() >= KEPT_MAX {
            // The older half goes: dropping one at a time would move all others each time.
            self.0.drain(..KEPT_MAX / 2);
        }
        let made = Rc::new(made);
        self.0.insert(text.into(), made.clone());
        Ok(made)
    }
}

/// Runs the filter of a request and writes its value.
fn evaluate(line: &[u8], compiled: &mut Cache, out: &mut Vec<u8>) -> Result<(), String> {
    let unreadable = |what: &str| format!("the request cannot be read: {what}");
    let request = read::parse_single(line).map_err(|error| unreadable(&error.to_string()))?;
    let Val::Obj(mut request) = request else { return Err(unreadable("it is no object")) };
    let mut take = |name: &str| member(&mut request, name);
    let filter = match take("filter") {
        Val::TStr(text) => String::from_utf8(text.to_vec()).map_err(|_| unreadable("the filter is not UTF-8"))?,
        _ => return Err(unreadable("it has no filter")),
    };
    let input = take("input");
    let mut given = match take("variables") {
        Val::Obj(given) => given,
        _ => Rc::default(),
    };
    let filter = compiled.get(&filter)?;
    let variables = Vars::new(VARIABLES.map(|name| member(&mut given, &name[1..])));
    let context = Ctx::<Data>::new(&filter.lut, variables);
    let mut values = filter.id.run((context, input)).map(unwrap_valr);
    let Some(value) = values.next() else {
        return answer::write(&Val::Null, out);
    };
    let value = value.map_err(in_words)?;
    match values.next() {
        None => answer::write(&value, out),
        Some(Err(error)) => Err(in_words(error)),
        Some(Ok(_)) => {
            Err("the filter gives more than one value; put it in `[…]` for a list, or in `first(…)`".to_owned())
        }
    }
}

/// Takes a member out; null if there is none.
fn member(object: &mut Rc<Map>, name: &str) -> Val {
    Rc::make_mut(object).get_mut(&Val::utf8_str(name.to_owned())).map(std::mem::take).unwrap_or_default()
}

/// An error as a sentence: texts as they are, anything else as JSON.
fn in_words(error: jaq_json::Error) -> String {
    match error.into_val() {
        Val::TStr(text) => String::from_utf8_lossy(&text).into_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(request: &str) -> Result<String, String> {
        let mut out = Vec::new();
        evaluate(request.as_bytes(), &mut Cache::default(), &mut out).map(|()| String::from_utf8(out).unwrap())
    }

    fn value(filter: &str) -> Result<String, String> {
        let request = serde_json::json!({
            "filter": filter, "variables": {"item": 7, "outputs": {"a": [1]}}, "input": {"n": 2, "l": [3, 1, 2]}
        });
        answer(&request.to_string())
    }

    #[test]
    fn a_filter_sees_the_input_and_the_variables() {
        assert_eq!(value(".n + $item").as_deref(), Ok("9"));
        assert_eq!(value("[$outputs.a[0], $index, $run]").as_deref(), Ok("[1,null,null]"));
        assert_eq!(value(".l | sort").as_deref(), Ok("[1,2,3]"));
        assert_eq!(value(".l | add / length").as_deref(), Ok("2"));
    }

    #[test]
    fn none_is_null_and_more_than_one_is_an_error() {
        assert_eq!(value("empty").as_deref(), Ok("null"));
        assert!(value(".l[]").unwrap_err().contains("more than one value"));
        assert_eq!(value("1, error(\"late\")").unwrap_err(), "late");
    }

    #[test]
    fn errors_come_in_words() {
        assert_eq!(value("error(\"my own\")").unwrap_err(), "my own");
        assert_eq!(value("error({a: 1})").unwrap_err(), "{\"a\":1}");
        assert!(value(".n.x").unwrap_err().contains("cannot index 2"));
        assert!(value("nope").unwrap_err().starts_with("the filter is wrong at byte 0: there is no filter `nope`"));
        assert!(answer("[]").unwrap_err().contains("no object"));
        assert!(answer("{\"filter\":1}").unwrap_err().contains("no filter"));
    }

    #[test]
    fn a_filter_is_compiled_once_and_long_messages_are_cut_between_characters() {
        let mut compiled = Cache::default();
        let first = compiled.get("1 + 1").unwrap();
        assert!(Rc::ptr_eq(&first, &compiled.get("1 + 1").unwrap()));
        assert_eq!(cut("short".to_owned()), "short");
        let long = cut("é".repeat(MESSAGE_MAX));
        assert!(long.ends_with("é…") && long.len() <= MESSAGE_MAX + '…'.len_utf8());
    }

    #[test]
    fn the_child_is_ready_and_then_answers_line_by_line() {
        let requests = "{\"filter\":\"1 +\\n1\"}\n{\"filter\":\"error\"}\n{\"filter\":\"[.]\",\"input\":3}\n";
        let mut said = Vec::new();
        answer_all(requests.as_bytes(), &mut said, || ()).unwrap();
        let said = String::from_utf8(said).unwrap();
        let lines: Vec<_> = said.lines().collect();
        assert_eq!(lines, ["{\"ready\":true}", "{\"value\":2}", "{\"error\":\"null\"}", "{\"value\":[3]}"]);
    }

    #[test]
    fn the_cache_of_filters_is_bounded() {
        let mut compiled = Cache::default();
        for n in 0..=KEPT_MAX {
            compiled.get(&n.to_string()).unwrap();
        }
        assert!(compiled.0.len() <= KEPT_MAX && compiled.0.contains_key("256") && !compiled.0.contains_key("0"));
    }
}
