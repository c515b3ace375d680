//! What a file may say, as data: tables of keys, and the shape of each key's value.
//!
//! The same tables drive the walker that checks a file ([`crate::spec::walk`]), the reader that builds a workflow from
//! it, and the JSON Schema. A key that is part of the format and not built yet stands here too, so that it is refused
//! by name and never taken for a typing mistake or passed over.

use crate::model::time::Micros;
use crate::spec::words::{any_of, join};

/// The keys of one kind of map.
#[derive(Debug)]
pub(crate) struct Table {
    /// Its name in the JSON Schema.
    pub(crate) id: &'static str,
    /// What it describes, for messages: `a step`.
    pub(crate) what: &'static str,
    /// Its keys, in groups that several tables share.
    pub(crate) groups: &'static [&'static [Key]],
}

impl Table {
    /// All keys.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &'static Key> + use<> {
        self.groups.iter().flat_map(|group| group.iter())
    }
    /// The key that goes by this name or alias.
    pub(crate) fn find(&self, name: &str) -> Option<&'static Key> {
        self.keys().find(|key| key.name == name || key.aliases.contains(&name))
    }
}

/// One key.
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) aliases: &'static [&'static str],
    pub(crate) doc: &'static str,
    pub(crate) shape: Shape,
    pub(crate) required: bool,
}

impl Key {
    /// An optional key without aliases.
    pub(crate) const fn new(name: &'static str, shape: Shape, doc: &'static str) -> Self {
        Self { name, aliases: &[], doc, shape, required: false }
    }
    /// A key that other maps have and this one refuses, and why.
    pub(crate) const fn refused(name: &'static str, why: &'static str) -> Self {
        Self::new(name, Shape::Refused(why), why)
    }
    /// Whether this build takes it.
    pub(crate) const fn is_taken(&self) -> bool {
        !matches!(self.shape, Shape::Later | Shape::Refused(_))
    }
    /// A key of the format that this build refuses.
    pub(crate) const fn later(name: &'static str, doc: &'static str) -> Self {
        Self::new(name, Shape::Later, doc)
    }
    /// With other names.
    pub(crate) const fn alias(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }
    /// That has to be there.
    pub(crate) const fn required(mut self) -> Self {
        self.required = true;
        self
    }
}

/// A word that a value may be.
#[derive(Debug)]
pub(crate) struct Word {
    pub(crate) word: &'static str,
    pub(crate) doc: &'static str,
    pub(crate) built: bool,
}

impl Word {
    /// A word that works.
    pub(crate) const fn new(word: &'static str, doc: &'static str) -> Self {
        Self { word, doc, built: true }
    }
    /// A word of the format that this build refuses.
    pub(crate) const fn later(word: &'static str, doc: &'static str) -> Self {
        Self { word, doc, built: false }
    }
}

/// What the keys of a map of names have to look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyRule {
    /// The rule for ids.
    Id,
    /// The rule for names of capabilities.
    Name,
    /// A name of an environment variable that a process may be given.
    Variable,
    /// Any text that is not empty.
    Filled,
}

/// The shape of a value.
#[derive(Debug)]
pub(crate) enum Shape {
    /// Refused as not supported yet, whatever it is.
    Later,
    /// Refused, whatever it is, with these words.
    Refused(&'static str),
    /// Text for people.
    Text,
    /// Text that is not empty and reaches a process, an agent or a person: no NUL, and nothing is computed in it.
    Filled,
    /// A line for the shell: as `Filled`, and `${{` has its own advice.
    CommandLine,
    /// An argument of a command or a variable of a process: no NUL, and nothing is computed in it.
    Argument,
    /// The same, but it may also be wholly one `${{ }}`.
    ArgumentOrFilter,
    /// The same, and `${{ }}` may stand anywhere in it.
    Template,
    /// An id.
    Id,
    /// The name of a capability.
    Name,
    /// An address on the web; credentials in it are refused and not shown.
    Url,
    /// `true` or `false`.
    Bool,
    /// A whole number in a range.
    Whole(u64, u64),
    /// A number over the first (or equal, if the flag says so), up to the second.
    Number {
        /// The lower end.
        from: f64,
        /// Whether the lower end itself is in the range.
        inclusive: bool,
        /// The upper end, in the range.
        to: f64,
    },
    /// A length of time in a range; `off` stands for none if the flag says so.
    Duration {
        /// The shortest.
        from: Micros,
        /// Whether `off` may be said.
        off: bool,
    },
    /// A share such as `80%`.
    Share,
    /// One of some words.
    Words(&'static [Word]),
    /// A data path or a filter, told apart by the first character.
    PathOrFilter,
    /// A filter.
    Filter,
    /// A data path.
    Path,
    /// Any value in which nothing is computed; `null` is a value.
    Literal,
    /// Any value in whose texts `${{ }}` may stand; `null` is a value.
    Value,
    /// Any map.
    Object,
    /// A list of one shape, with the least number of elements.
    List(&'static Shape, usize),
    /// A map from names to one shape.
    Map(KeyRule, &'static Shape),
    /// A map with the keys of a table.
    Table(&'static Table),
    /// A map whose `kind` says which table it follows, and kinds that are not supported yet.
    Kinds(&'static [(&'static Word, &'static Table)]),
    /// One of several shapes, told apart by the type of the value.
    Either(&'static [Shape]),
}

impl Shape {
    /// Whether `null` is a value here instead of "not given".
    pub(crate) const fn keeps_null(&self) -> bool {
        matches!(self, Self::Literal | Self::Value)
    }
    /// What is expected, in words.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Later => "nothing yet".to_owned(),
            Self::Refused(_) => "nothing here".to_owned(),
            Self::Text | Self::Argument | Self::Template => "text".to_owned(),
            Self::ArgumentOrFilter => "text, or wholly one `${{ … }}`".to_owned(),
            Self::Filled | Self::CommandLine => "text that is not empty".to_owned(),
            Self::Id => "an id: a letter or digit, then up to 127 letters, digits or `._@:+-`".to_owned(),
            Self::Name => "a name without white space, of at most 128 characters".to_owned(),
            Self::Url => "an address such as `https://example.org/health`".to_owned(),
            Self::Bool => "`true` or `false`".to_owned(),
            Self::Whole(from, to) => format!("a whole number from {from} to {to}"),
            Self::Number { from, inclusive: true, to } => format!("a number from {from} to {to}"),
            Self::Number { from, inclusive: false, to } => format!("a number over {from}, at most {to}"),
            Self::Duration { off, .. } => {
                let or_off = if *off { ", or `off`" } else { "" };
                format!("a duration: a number of seconds, or text such as `500ms` or `1m30s`{or_off}")
            }
            Self::Share => "a share from 0% to 100%, such as `80%`".to_owned(),
            Self::Words(words) => {
                any_of(&words.iter().filter(|word| word.built).map(|word| word.word).collect::<Vec<_>>())
            }
            Self::PathOrFilter => "a data path such as `user.names[0]`, or a filter such as `.user | keys`".to_owned(),
            Self::Filter => "a filter such as `map(.id)`".to_owned(),
            Self::Path => "a data path such as `user.names[0]`".to_owned(),
            Self::Literal | Self::Value => "any value".to_owned(),
            Self::Object => "a map".to_owned(),
            Self::List(Self::Table(table), _) => format!("a list, each element {}", table.what),
            Self::List(shape, _) => format!("a list, each element {}", shape.describe()),
            Self::Map(_, Self::Table(table)) => format!("a map of id to {}", table.what.trim_start_matches("a ")),
            Self::Map(_, Self::Kinds(_)) => "a map from ids to agents".to_owned(),
            Self::Map(_, shape) => format!("a map from names to {}", shape.describe()),
            Self::Table(table) => format!("a map with the keys of {}", table.what),
            Self::Kinds(_) => "a map with a `kind`".to_owned(),
            Self::Either(shapes) => join(shapes.iter().map(Self::describe).collect(), "or"),
        }
    }
}
