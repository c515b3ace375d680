//! Words in messages: quoting what a file said, listing what is possible, finding the nearest name.

use crate::model::safe::Safe;

/// The most characters of a foreign text that a message repeats.
const QUOTED_MAX: usize = 60;

/// A foreign text in backticks: safe to show, cut when it is long.
pub(crate) fn quote(text: &str) -> String {
    format!("`{}`", clip(text, QUOTED_MAX))
}

/// A foreign text, safe to show, of at most `max` characters.
pub(crate) fn clip(text: &str, max: usize) -> String {
    let head: String = text.chars().take(max + 1).collect();
    if head.chars().count() > max {
        let cut: String = head.chars().take(max - 1).collect();
        format!("{}…", Safe::line(&cut))
    } else {
        Safe::line(&head).into_string()
    }
}

/// `a`, `b` or `c`.
pub(crate) fn any_of(words: &[&str]) -> String {
    join(words.iter().map(|word| format!("`{word}`")).collect(), "or")
}

/// `a, b and c`, with the last word given.
pub(crate) fn join(mut words: Vec<String>, last: &str) -> String {
    match words.pop() {
        None => String::new(),
        Some(only) if words.is_empty() => only,
        Some(end) => format!("{} {last} {end}", words.join(", ")),
    }
}

/// Names that are compared in all to find nearest ones: each wrong name takes a walk over all of them.
const COMPARED_MAX: usize = 200_000;

/// Finds nearest names for as many wrong ones as a fixed effort reaches.
#[derive(Debug, Default)]
pub(crate) struct NearestName {
    compared: usize,
}

impl NearestName {
    /// The same as [`nearest`], or `None` once too many were compared.
    pub(crate) fn of<'n>(&mut self, found: &str, names: impl ExactSizeIterator<Item = &'n str>) -> Option<String> {
        self.compared += names.len();
        if self.compared <= COMPARED_MAX { nearest(found, names) } else { None }
    }
}

/// The name that was probably meant, if one is near enough: a third of its letters may differ, and letter case and
/// `-` for `_` do not count. Among equally near ones the first.
pub(crate) fn nearest<'n>(found: &str, names: impl IntoIterator<Item = &'n str>) -> Option<String> {
    if found.chars().count() > 128 {
        return None;
    }
    let plain = |text: &str| text.to_lowercase().replace('-', "_");
    let wanted = plain(found);
    let length = wanted.chars().count();
    let mut best: Option<(usize, &str)> = None;
    for name in names {
        let longer = length.max(name.chars().count());
        let limit = if longer < 3 { 0 } else { longer / 3 };
        if name.chars().count().abs_diff(length) > limit || best.is_some_and(|(distance, _)| distance == 0) {
            continue;
        }
        let distance = strsim::osa_distance(&wanted, &plain(name));
        if distance <= limit && distance < length && best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, name));
        }
    }
    best.map(|(_, name)| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_found_and_a_far_one_is_not() {
        let names = ["timeout", "retry", "priority", "depends_on", "id", "if"];
        assert_eq!(nearest("timeot", names).as_deref(), Some("timeout"));
        assert_eq!(nearest("Depends-On", names).as_deref(), Some("depends_on"));
        assert_eq!(nearest("priorty", names).as_deref(), Some("priority"));
        assert_eq!(nearest("banana", names), None);
        assert_eq!(nearest("x", names), None);
        assert_eq!(nearest("ig", names), None);
        assert_eq!(nearest("ID", names).as_deref(), Some("id"));
        assert_eq!(nearest(&"t".repeat(100_000), names), None);
    }

    #[test]
    fn quoted_text_is_short_and_safe() {
        assert_eq!(quote("a\u{1b}[31mb\n"), "`ab␊`");
        assert!(quote(&"x".repeat(1_000_000)).chars().count() <= QUOTED_MAX + 2);
        assert_eq!(any_of(&["a", "b", "c"]), "`a`, `b` or `c`");
    }
}
