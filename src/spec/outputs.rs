//! What filters take from other steps by `$outputs`: names that no step has.

use crate::model::id::{Name, StepId};
use crate::spec::build::Draft;
use crate::spec::diagnostic::Code;
use crate::spec::expressions::Computed;
use crate::spec::faults::Faults;
use crate::spec::units::is_id;
use crate::spec::words::{NearestName, quote};
use std::collections::HashMap;

/// The variable that holds what steps have returned.
const OUTPUTS: &str = "$outputs";

/// A member of `$outputs` that a filter names.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Named {
    /// The byte of the filter at which `$outputs` stands.
    pub(crate) at: usize,
    pub(crate) name: String,
    /// The byte at which the name begins.
    name_at: usize,
}

/// The members of `$outputs` that a filter names by words or strings. What is computed is not known here.
pub(crate) fn named(filter: &str) -> Vec<Named> {
    let bytes = filter.as_bytes();
    let mut found = Vec::new();
    // What closes the strings, and what is put into them, that are open: code is where none or a bracket is.
    let mut open: Vec<u8> = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        match (open.last(), bytes[at]) {
            (Some(b'"'), b'\\') => {
                at += 1;
                if bytes.get(at) == Some(&b'(') {
                    open.push(b')');
                }
            }
            (Some(closing), byte) if *closing == byte => {
                open.pop();
            }
            (Some(b'"'), _) => {}
            (_, b'"') => open.push(b'"'),
            (_, b'(') => open.push(b')'),
            (_, b'#') => at = (at..bytes.len()).find(|end| bytes[*end] == b'\n').unwrap_or(bytes.len()),
            (_, b'$') if bytes[at..].starts_with(OUTPUTS.as_bytes()) => {
                found.extend(member(filter, at + OUTPUTS.len()).map(|(name, name_at)| Named { at, name, name_at }));
            }
            _ => {}
        }
        at += 1;
    }
    found
}

/// The member behind `$outputs`: `.name`, `."name"`, `["name"]` or `.["name"]`, and where its name begins.
fn member(filter: &str, at: usize) -> Option<(String, usize)> {
    let rest = &filter[at..];
    let inner = rest.strip_prefix(".[").or_else(|| rest.strip_prefix('['));
    let quoted = inner.map(str::trim_start).and_then(|inner| inner.strip_prefix('"'));
    if let Some(text) = quoted.or_else(|| rest.strip_prefix(".\"")) {
        let (name, _) = text.split_once('"').filter(|(name, _)| !name.contains('\\'))?;
        return Some((name.to_owned(), filter.len() - text.len()));
    }
    let text = rest.strip_prefix('.')?;
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(text.len());
    let is_name = end > 0 && !text.starts_with(|c: char| c.is_ascii_digit());
    is_name.then(|| (text[..end].to_owned(), at + 1))
}

/// The step that goes by a name, or whose item does.
pub(crate) fn find(name: &str, ids: &HashMap<Name, StepId>, draft: &Draft) -> Option<StepId> {
    ids.get(name).copied().or_else(|| {
        let (base, number) = name.strip_suffix(']')?.split_once('[')?;
        let step = *ids.get(base)?;
        let is_number = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
        (is_number && draft.steps[step.index()].step.for_each.is_some()).then_some(step)
    })
}

/// Reports names that no step has. Where steps may join while the workflow runs, it is only a warning.
pub(crate) fn report(draft: &Draft, ids: &HashMap<Name, StepId>, faults: &mut Faults<'_>) {
    let grows = draft.steps.iter().any(|step| step.step.expand.is_some());
    let mut nearest = NearestName::default();
    let all = draft.texts.iter().chain(draft.steps.iter().flat_map(|step| &step.texts));
    for one in all {
        let mut places = faults.places(one.span, &one.text);
        for (filter, named) in each(one).filter(|(_, named)| find(&named.name, ids, draft).is_none()) {
            let at = filter + named.name_at;
            let near = longer(&one.text[at..], ids)
                .or_else(|| nearest.of(&named.name, draft.steps.iter().map(|step| &*step.step.id)));
            let message = format!("`{OUTPUTS}` has no member {}: it is no step", quote(&named.name));
            let fault = if grows {
                faults.warning(places.of(at), Code::UnknownStep, message)
            } else {
                faults.error(places.of(at), Code::UnknownStep, message)
            };
            fault.expected("the id of a step").suggest(near.map(|name| written(&name)));
        }
    }
}

/// A member of `$outputs` as jq reads it.
fn written(name: &str) -> String {
    let starts_well = !name.starts_with(|c: char| c.is_ascii_digit());
    if starts_well && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
        format!("{OUTPUTS}.{name}")
    } else {
        format!("{OUTPUTS}[\"{name}\"]")
    }
}

/// Every member of `$outputs` that the filters of a text name, with the place of the filter in the text.
pub(crate) fn each(one: &Computed) -> impl Iterator<Item = (usize, Named)> {
    one.filters.iter().flat_map(|filter| named(filter.text()).into_iter().map(move |named| (filter.at(), named)))
}

/// The longest id of a step that a text begins with: to jq, `fetch-all` is a difference.
fn longer(text: &str, ids: &HashMap<Name, StepId>) -> Option<String> {
    let ends = text.char_indices().map(|(at, c)| at + c.len_utf8()).take(128).take_while(|end| is_id(&text[..*end]));
    ends.filter(|end| ids.contains_key(&text[..*end])).last().map(|end| text[..end].to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_found_in_code_and_not_in_strings_or_comments() {
        let names = |filter: &str| named(filter).into_iter().map(|n| (n.at, n.name, n.name_at)).collect::<Vec<_>>();
        let one = |at: usize, name: &str, name_at: usize| vec![(at, name.to_owned(), name_at)];
        assert_eq!(names("$outputs.a.b + 1"), one(0, "a", 9));
        assert_eq!(names(". | $outputs[\"a b\"]"), one(4, "a b", 14));
        assert_eq!(names("$outputs.\"x-y\""), one(0, "x-y", 10));
        assert_eq!(names("$outputs.[ \"x\"]"), one(0, "x", 12));
        assert_eq!(names("\"$outputs.a \\($outputs.b) \\\" $outputs.c\""), one(14, "b", 23));
        assert_eq!(names("1 # $outputs.a\n + $outputs.b"), one(18, "b", 27));
        for none in [
            "$outputs",
            "$outputs | .a",
            "$outputsx.a",
            "$outputs[0]",
            "$outputs[.a]",
            "$outputs.[]",
            "$outputs[\"a\\n\"]",
        ] {
            assert_eq!(names(none), [], "{none}");
        }
        assert_eq!(names("[$outputs.a, $outputs.b]").len(), 2);
    }
}
