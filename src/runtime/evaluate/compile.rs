//! The language of filters: jq without what reads clock, environment, files and terminal, or ends the process.
//!
//! What is left out is not there at all, neither the functions nor the definitions built on them, so a filter that names
//! one is refused before it runs. Modules cannot be loaded either.

use crate::model::expression::Fault;
use jaq_core::compile::Undefined;
use jaq_core::load::{self, Arena, File, Loader, lex, parse};
use jaq_core::{Compiler, data};
use jaq_json::Val;
use std::collections::BTreeMap;
use std::io;
use std::sync::LazyLock;

/// What filters work on.
pub(super) type Data = data::JustLut<Val>;
/// A filter that can be run.
pub(super) type Compiled = jaq_core::Filter<Data>;

/// The variables a filter may name, in the order in which their values are given.
pub const VARIABLES: [&str; 4] = ["$item", "$index", "$outputs", "$run"];

/// The longest filter, in bytes. It bounds how deep one can nest, and with it the stack that compiling takes.
pub const FILTER_BYTES_MAX: usize = 8 * 1024;

/// The stack that filters are checked on, in bytes: enough for whatever that many bytes can nest. It is used only as far
/// as it is needed. (In a child that has less, a filter of that kind fails when it is run.)
const STACK: usize = 256 << 20;

/// Names that are not there. The last two are what `debug` and `stderr` are made of.
const LEFT_OUT: [&str; 12] = [
    "env",
    "now",
    "localtime",
    "strflocaltime",
    "halt",
    "halt_error",
    "input",
    "inputs",
    "debug",
    "stderr",
    "debug_empty",
    "stderr_empty",
];

/// The definitions of the language, parsed once.
static DEFINITIONS: LazyLock<Vec<parse::Def<&'static str>>> = LazyLock::new(|| {
    let all = jaq_core::defs().chain(jaq_std::defs()).chain(jaq_json::defs());
    all.filter(|definition| !LEFT_OUT.contains(&definition.name)).collect()
});

/// Says what is wrong with each of these filters, without running anything. Equal ones are compiled once.
///
/// # Errors
/// If the system gives no thread: the filters may nest deeper than the caller's stack is high.
pub fn check(filters: &[&str]) -> io::Result<Vec<Result<(), Fault>>> {
    std::thread::scope(|scope| {
        let work = || {
            let mut known = BTreeMap::new();
            filters.iter().map(|&text| known.entry(text).or_insert_with(|| compile(text).map(drop)).clone()).collect()
        };
        let thread = std::thread::Builder::new().name("filters".to_owned()).stack_size(STACK);
        thread.spawn_scoped(scope, work)?.join().map_err(|_| io::Error::other("the compiler of filters failed"))
    })
}

/// Makes a filter ready to run. What nests deeply needs a stack like [`STACK`].
pub(super) fn compile(text: &str) -> Result<Compiled, Fault> {
    if text.len() > FILTER_BYTES_MAX {
        let message = format!("the filter has {} bytes; {FILTER_BYTES_MAX} is the most", text.len());
        return Err(Fault { at: FILTER_BYTES_MAX, message });
    }
    let arena = Arena::default();
    let loader = Loader::new(DEFINITIONS.iter().cloned());
    let file = File { code: text, path: () };
    let loaded = loader.load(&arena, file).map_err(|errors| of_loading(text, errors))?;
    // A module of data would be a variable that nobody gives a value.
    load::import(&loaded, |_| Err(String::new())).map_err(|errors| of_loading(text, errors))?;
    let natives = jaq_core::funs::<Data>().chain(jaq_std::funs()).chain(jaq_json::funs());
    let natives = natives.filter(|(name, _, _)| !LEFT_OUT.contains(name));
    let compiler = Compiler::default().with_funs(natives).with_global_vars(VARIABLES);
    compiler.compile(loaded).map_err(|errors| of_compiling(text, errors))
}

/// The first fault of the filter itself.
fn first<E>(text: &str, errors: load::Errors<&str, (), E>, fault: impl FnOnce(E) -> Option<Fault>) -> Fault {
    let own = errors.into_iter().find(|(file, _)| std::ptr::eq(file.code, text));
    let unknown = || Fault { at: 0, message: "this is not a jq filter".to_owned() };
    own.and_then(|(_, error)| fault(error)).unwrap_or_else(unknown)
}

fn of_loading(text: &str, errors: load::Errors<&str, ()>) -> Fault {
    let place = |part: &str| load::span(text, part).start;
    first(text, errors, |error| match error {
        load::Error::Io(paths) => {
            let (path, _) = paths.first()?;
            Some(Fault { at: place(path), message: "a filter cannot load modules".to_owned() })
        }
        load::Error::Lex(faults) => {
            let (expected, found) = faults.first()?;
            Some(Fault { at: place(found), message: expected_here(wanted_by_lexer(expected), found) })
        }
        load::Error::Parse(faults) => {
            let (expected, found) = faults.first()?;
            Some(Fault { at: place(found), message: expected_here(&wanted_by_parser(expected), found) })
        }
    })
}

fn expected_here(wanted: &str, found: &str) -> String {
    match found.chars().next() {
        None => format!("the filter ends where {wanted} is expected"),
        Some(_) => {
            let word: String = found.chars().take_while(|c| !c.is_whitespace()).take(20).collect();
            format!("{wanted} is expected here, not `{word}`")
        }
    }
}

fn wanted_by_lexer(expected: &lex::Expect<&str>) -> &'static str {
    match expected {
        lex::Expect::Digit => "a digit",
        lex::Expect::Ident => "a name",
        lex::Expect::Delim("(") => "a closing `)`",
        lex::Expect::Delim("[") => "a closing `]`",
        lex::Expect::Delim("{") => "a closing `}`",
        lex::Expect::Delim(_) => "a closing `\"`",
        lex::Expect::Escape => "an escape like `\\n` or `\\(.a)`",
        lex::Expect::Unicode => "a character's code of four hexadecimal digits",
        _ => "a word, a number, a string or a sign of jq",
    }
}

fn wanted_by_parser(expected: &parse::Expect<&str>) -> String {
    let words = match expected {
        parse::Expect::Just(word) => return format!("`{word}`"),
        parse::Expect::Var => "a variable like `$x`",
        parse::Expect::Pattern => "a variable or a pattern like `[$a, $b]`",
        parse::Expect::ElseOrEnd => "`else` or `end`",
        parse::Expect::CommaOrRBrack => "`,` or `]`",
        parse::Expect::CommaOrRBrace => "`,` or `}`",
        parse::Expect::SemicolonOrRParen => "`;` or `)`",
        parse::Expect::Term => "a value or a filter",
        parse::Expect::Key => "a key like `.a`",
        parse::Expect::Ident => "a name",
        parse::Expect::Arg => "an argument's name",
        parse::Expect::Str => "a string",
        _ => "the end of the filter",
    };
    words.to_owned()
}

fn of_compiling(text: &str, errors: load::Errors<&str, (), Vec<(&str, Undefined)>>) -> Fault {
    first(text, errors, |faults| {
        let (name, missing) = faults.into_iter().next()?;
        let message = match missing {
            Undefined::Filter(_) if LEFT_OUT.contains(&name) => {
                format!("there is no `{name}` here: a filter knows no clock, environment, files or terminal")
            }
            Undefined::Filter(arguments) => match arities(name) {
                known if known.is_empty() => format!("there is no filter `{name}`"),
                known => format!("there is no filter `{name}` with {arguments} arguments, only with {known}"),
            },
            Undefined::Var => {
                format!("there is no variable `{name}`; besides your own there are {}", VARIABLES.join(", "))
            }
            other => format!("there is no {} `{name}`", other.as_str()),
        };
        Some(Fault { at: load::span(text, name).start, message })
    })
}

/// How many arguments the filters of a name take: `0 or 1`.
fn arities(name: &str) -> String {
    let natives = jaq_core::funs::<Data>().chain(jaq_std::funs()).chain(jaq_json::funs());
    let natives = natives.filter(|(known, _, _)| *known == name).map(|(_, arguments, _)| arguments.len());
    let defined = DEFINITIONS.iter().filter(|definition| definition.name == name);
    let mut all: Vec<usize> = natives.chain(defined.map(|definition| definition.args.len())).collect();
    all.sort_unstable();
    all.dedup();
    all.iter().map(usize::to_string).collect::<Vec<_>>().join(" or ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(filter: &str) -> Fault {
        check(&[filter]).unwrap().remove(0).unwrap_err()
    }

    #[test]
    fn what_jq_can_do_with_values_is_there() {
        let filters = [
            ".",
            ".a + 1",
            "$item, $index, $outputs.x, $run.id",
            "map(select(. > 1)) | add",
            "def f(x): x * 2; f(.a)",
            "to_entries | from_entries",
            "[limit(3; repeat(1))]",
            "test(\"a+\")",
            "\"\\(.a) and @base64 \\(.b)\"",
            "@csv \"\\(.a)\"",
            ".a // empty",
            "try error(\"x\") catch .",
            "todate",
            "strftime(\"%Y\")",
            "walk(.)",
            "reduce .[] as [$a, $b] (0; . + $a * $b)",
            "label $out | foreach .[] as $x (0; . + $x; ., break $out)",
            "infinite, nan",
            "ascii_downcase",
            "tojson | fromjson",
            "paths",
            "group_by(.a)",
            "splits(\", *\")",
        ];
        let results = check(&filters).unwrap();
        for (filter, result) in filters.iter().zip(results) {
            // `@csv` is one the library lacks; all others are there.
            assert_eq!(result.is_ok(), !filter.starts_with("@csv"), "{filter}: {result:?}");
        }
    }

    #[test]
    fn what_reaches_outside_is_not_there() {
        for filter in [
            "env",
            "env.PATH",
            "$ENV",
            "$ENV.PATH",
            "now",
            "localtime",
            "strflocaltime(\"%c\")",
            "halt",
            "halt(1)",
            "halt_error",
            "halt_error(1)",
            "input",
            "inputs",
            "[inputs]",
            "debug",
            "debug(\"x\")",
            "stderr",
            "debug_empty",
            "stderr_empty",
            "input_filename",
            "input_line_number",
            "$__prog_args",
            "getpath([\"a\"]) | env",
            "import \"a\" as a; .",
            "include \"a\"; .",
            "import \"a\" as $a; $a",
            "import \"a\" as $a; .",
            "get_search_list",
            "ltrimstr(now)",
            "def f: halt; f",
            "splits(env)",
            "limit(1; input)",
            "$__loc__file",
        ] {
            assert!(check(&[filter]).unwrap()[0].is_err(), "{filter}");
        }
        let message = fault(".a | now").message;
        assert!(message.contains("`now`") && message.contains("no clock"), "{message}");
        assert!(fault("import \"a\" as $a; .").message.contains("modules"));
    }

    #[test]
    fn faults_show_their_place() {
        for (filter, at, words) in [
            (".a | nope", 5, "there is no filter `nope`"),
            (".a | map(.; .)", 5, "with 2 arguments, only with 1"),
            (".a + $nope", 5, "there is no variable `$nope`"),
            ("(.a", 3, "closing `)`"),
            ("[.a, {b: 1]", 10, "`}`"),
            (".a +", 4, "ends where"),
            (".a } .b", 3, "not `}`"),
            ("\"a\\q\"", 3, "escape"),
            ("if .a then 1", 12, "`else` or `end`"),
            ("é", 0, "not `é`"),
            ("break $x", 6, "there is no label"),
        ] {
            let fault = fault(filter);
            assert_eq!(fault.at, at, "{filter}: {fault:?}");
            assert!(fault.message.contains(words), "{filter}: {fault:?}");
        }
    }

    #[test]
    fn no_filter_of_the_greatest_length_exhausts_the_compiler() {
        let full = |unit: &str| unit.repeat(FILTER_BYTES_MAX / unit.len());
        let nested = |open: &str, close: &str| {
            let times = (FILTER_BYTES_MAX - 1) / (open.len() + close.len());
            format!("{}1{}", open.repeat(times), close.repeat(times))
        };
        let filters = [
            full("("),
            full("["),
            full("{"),
            full("-"),
            full("\"\\("),
            full(".a|"),
            full("1+"),
            full("try "),
            full(".."),
            full("def f: "),
            full(". as $x|"),
            full("if 1 then "),
            full("reduce "),
            full("label $x|"),
            full(".[0]"),
            full("1,"),
            full("?"),
            full("//"),
            nested("(", ")"),
            nested("[", "]"),
            nested("{a:", "}"),
            nested("-", ""),
            nested("\"\\(", ")\""),
            nested(". as $x|", ""),
            nested("1+", ""),
            nested("1|", ""),
            nested("try ", ""),
            nested("def f:1;", ""),
            nested("if 1 then 1 else ", " end"),
            nested("label $x|", ""),
            nested("1//", ""),
            nested("map(", ")"),
            nested("def f:", ";1"),
            nested(".[", "]"),
            nested("1 as [$a]|", ""),
        ];
        let texts: Vec<&str> = filters.iter().map(String::as_str).collect();
        assert_eq!(check(&texts).unwrap().len(), filters.len());
        assert!(fault(&" ".repeat(FILTER_BYTES_MAX + 1)).message.contains("is the most"));
    }
}
