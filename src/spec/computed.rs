//! Texts in which something is computed: whether they can be taken apart. Whether a filter is one is asked later, of all
//! at once ([`crate::spec::expressions`]).

use crate::model::expression::{Expression, Fault};
use crate::spec::diagnostic::Code;
use crate::spec::faults::Faults;
use crate::spec::keys::Shape;
use crate::spec::tree::{Kind, Node};
use crate::spec::words::{clip, quote};

/// What the beginning of an expression looks like.
pub(crate) const EXPRESSION: &str = "${{";

/// What a filter begins with where a data path might stand as well.
const FILTER_BEGINS: [char; 5] = ['.', '$', '(', '[', '{'];

/// The longest message about a text that is repeated: it may quote the text.
const SENTENCE_MAX: usize = 200;

/// The longest rewritten text that a message suggests.
const SUGGESTED_MAX: usize = 60;

/// Reports a fault inside the text of a node.
pub(crate) fn report(node: &Node, fault: &Fault, faults: &mut Faults<'_>) {
    let text = node.text().unwrap_or("");
    let place = if text.trim().is_empty() { node.span } else { faults.inside(node.span, text, fault.at) };
    faults.error(place, Code::BadFilter, clip(&fault.message, SENTENCE_MAX));
}

/// Checks a text that is a data path or a filter.
pub(crate) fn source(shape: &Shape, node: &Node, text: &str, name: &str, faults: &mut Faults<'_>) {
    let Err(fault) = Expression::of_source(text) else { return };
    let trimmed = text.trim();
    if trimmed.is_empty() || trimmed.starts_with(FILTER_BEGINS) || text.contains(EXPRESSION) {
        return report(node, &fault, faults);
    }
    // A word that is no path may be a filter whose first character was forgotten.
    let filter = format!(".{trimmed}");
    let near = (trimmed.contains(' ') && filter.len() <= SUGGESTED_MAX && Expression::of_source(&filter).is_ok())
        .then_some(filter);
    let message = format!("{} is not a data path: {}: {}", quote(name), quote(text), fault.message);
    faults.error(node.span, Code::BadText, message).expected(shape.describe()).suggest(near);
}

/// Checks a text that is a filter.
pub(crate) fn filter(node: &Node, text: &str, faults: &mut Faults<'_>) {
    if let Err(fault) = Expression::of_filter(text) {
        report(node, &fault, faults);
    }
}

/// Checks the texts of a value in which `${{ }}` may stand.
pub(crate) fn texts(node: &Node, faults: &mut Faults<'_>) {
    match &node.kind {
        Kind::Text(text) => {
            if let Err(fault) = Expression::of_text(text) {
                report(node, &fault, faults);
            }
        }
        Kind::List(list) => list.iter().for_each(|child| texts(child, faults)),
        Kind::Map(entries) => entries.iter().for_each(|entry| texts(&entry.value, faults)),
        _ => {}
    }
}

/// Checks an argument that may be wholly one `${{ }}`.
pub(crate) fn argument(node: &Node, text: &str, faults: &mut Faults<'_>) {
    match Expression::of_text(text) {
        Err(fault) => report(node, &fault, faults),
        Ok(Some(Expression::Template(_))) => {
            let message =
                format!("`${{{{ }}}}` has to be the whole argument, with nothing beside it, found {}", quote(text));
            faults
                .error(node.span, Code::Conflict, message)
                .expected("two arguments, or one filter that makes the whole text, such as `${{ \"to=\\(.city)\" }}`");
        }
        Ok(_) => {}
    }
}

/// Refuses `${{ }}` wherever it stands in a value.
pub(crate) fn refuse(node: &Node, faults: &mut Faults<'_>) {
    match &node.kind {
        Kind::Text(text) => {
            if let Some(at) = text.find(EXPRESSION) {
                let place = faults.inside(node.span, text, at);
                let message = format!("nothing is computed here, found {}", quote(text));
                faults.error(place, Code::Conflict, message).expected(
                    "literal text; `${{ }}` may stand in the `with`, `env` and `command` of a step, and in what simulated agents return",
                );
            }
        }
        Kind::List(list) => list.iter().for_each(|child| refuse(child, faults)),
        Kind::Map(entries) => entries.iter().for_each(|entry| refuse(&entry.value, faults)),
        _ => {}
    }
}

/// Refuses `${{ }}` in a line for the shell, and says how the value gets there.
pub(crate) fn command_line(node: &Node, text: &str, faults: &mut Faults<'_>) {
    let Some(at) = text.find(EXPRESSION) else { return };
    let expression = &text[at..];
    let whole = expression.find("}}").map_or(expression, |end| &expression[..end + 2]);
    let key = key_for(&whole[EXPRESSION.len()..]);
    let variable = format!("UPBEAT_IN_{}", key.to_ascii_uppercase());
    let message = format!(
        "`${{{{ }}}}` cannot stand in `run`, where it would be read by the shell; give the value by `with` as `{key}` and write \"${variable}\""
    );
    let place = faults.inside(node.span, text, at);
    let suggestion = format!("with: {{ {key}: '{}' }}", clip(whole, SUGGESTED_MAX).replace('\'', "''"));
    let near = (whole.chars().count() < SUGGESTED_MAX && whole.ends_with("}}")).then_some(suggestion);
    faults.error(place, Code::Conflict, message).expected(format!("the variable `{variable}`")).suggest(near);
}

/// A key for the value of an expression: named after the last word in it.
fn key_for(expression: &str) -> String {
    let inner = expression.split("}}").next().unwrap_or("");
    let word = inner.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').rfind(|word| !word.is_empty());
    word.unwrap_or("value").chars().take(40).collect::<String>().to_ascii_lowercase()
}
