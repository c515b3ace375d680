//! The guide: pages of Markdown that are part of the program, for a terminal of any width, or as they are.

use super::format::width;
use crate::model::safe::Safe;

/// A page.
#[derive(Clone, Copy, Debug)]
pub struct Page {
    /// What it is asked for by.
    pub topic: &'static str,
    /// Its text, Markdown; the first line is its title.
    pub text: &'static str,
}

/// All pages, in the order they are listed.
pub const PAGES: &[Page] = &[
    Page { topic: "built-in-agents", text: include_str!("../../assets/guide/built-in-agents.md") },
    Page { topic: "control", text: include_str!("../../assets/guide/control.md") },
    Page { topic: "data-flow", text: include_str!("../../assets/guide/data-flow.md") },
    Page { topic: "planning", text: include_str!("../../assets/guide/planning.md") },
    Page { topic: "streams", text: include_str!("../../assets/guide/streams.md") },
    Page { topic: "what-happens-when", text: include_str!("../../assets/guide/what-happens-when.md") },
];

impl Page {
    /// The page of a topic.
    #[must_use]
    pub fn of(topic: &str) -> Option<&'static Self> {
        PAGES.iter().find(|page| page.topic == topic)
    }

    /// Its title.
    #[must_use]
    pub fn title(&self) -> &'static str {
        self.text.lines().next().unwrap_or_default().trim_start_matches(['#', ' '])
    }

    /// Its lines, safe to print. `columns`: paragraphs, points and the rows of tables are wrapped to them, and the marks of
    /// Markdown that only say how a word looks are left out; without, the page comes as it was written.
    #[must_use]
    pub fn lines(&self, columns: Option<usize>) -> Vec<String> {
        let lines = self.text.lines().map(|line| Safe::line(line).into_string());
        let Some(columns) = columns else { return lines.collect() };
        let mut out = Vec::new();
        let mut open = String::new();
        let mut is_code = false;
        for line in lines {
            let fence = line.starts_with("```");
            let own = fence || is_code || line.starts_with(['#', '|']);
            if own || line.is_empty() || line.starts_with("- ") {
                wrap(&std::mem::take(&mut open), columns, &mut out);
            }
            if fence {
                is_code = !is_code;
            } else if is_code {
                out.push(format!("    {line}"));
            } else if line.starts_with('|') {
                row(&line, columns, &mut out);
            } else if own || line.is_empty() {
                out.push(plain(line.trim_start_matches(['#', ' '])));
            } else {
                if !open.is_empty() {
                    open.push(' ');
                }
                open += line.trim_start();
            }
        }
        wrap(&open, columns, &mut out);
        out
    }
}

/// Without the marks of bold type.
fn plain(line: &str) -> String {
    line.replace("**", "")
}

/// A row of a table: its first cell, and under it the others. Tables are wider than most terminals.
fn row(line: &str, columns: usize, out: &mut Vec<String>) {
    let mut cells = line.trim_matches([' ', '|']).split(" | ").map(str::trim);
    let first = cells.next().unwrap_or_default();
    if first.starts_with("---") {
        return;
    }
    wrap(first, columns, out);
    let others: Vec<&str> = cells.collect();
    indented(&others.join(" · "), "    ", "    ", columns, out);
}

/// Breaks a paragraph between words; what follows a point stands under its text.
fn wrap(text: &str, columns: usize, out: &mut Vec<String>) {
    let indent = if text.starts_with("- ") { "  " } else { "" };
    indented(text, "", indent, columns, out);
}

/// Breaks text between words; its first line begins with `first`, the others with `indent`.
fn indented(text: &str, first: &str, indent: &str, columns: usize, out: &mut Vec<String>) {
    let text = plain(text);
    let mut line = first.to_owned();
    for word in text.split_whitespace() {
        if width(&line) + 1 + width(word) > columns && !line.trim().is_empty() {
            out.push(std::mem::replace(&mut line, indent.to_owned()));
        }
        if !line.is_empty() && !line.ends_with(' ') {
            line.push(' ');
        }
        line += word;
    }
    if !line.trim().is_empty() {
        out.push(line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_has_a_title_and_topics_are_words() {
        for page in PAGES {
            assert!(page.text.starts_with("# ") && !page.title().is_empty(), "{}", page.topic);
            assert!(page.topic.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'));
            assert_eq!(Page::of(page.topic).map(|page| page.text), Some(page.text));
        }
    }

    #[test]
    fn paragraphs_and_rows_are_wrapped_and_code_is_not() {
        let page = Page {
            topic: "t",
            text: "# A title\n\nOne **two**\nthree four.\n\n- a point that\n  goes on\n\n```sh\na long line of code here\n```\n\n| a | b | c |\n|---|---|---|\n| one | two | three |\n",
        };
        let expected = [
            "A title",
            "",
            "One two",
            "three four.",
            "",
            "- a point",
            "  that goes",
            "  on",
            "",
            "    a long line of code here",
            "",
            "a",
            "    b · c",
            "one",
            "    two ·",
            "    three",
        ];
        assert_eq!(page.lines(Some(11)), expected);
        assert_eq!(page.lines(None).len(), page.text.lines().count());
    }

    #[test]
    fn no_line_of_prose_is_wider_than_the_terminal() {
        for page in PAGES {
            for columns in [20, 40, 80, 200] {
                for line in page.lines(Some(columns)) {
                    let breaks = line.trim().contains(' ') && !line.starts_with("    ");
                    let title = page.text.contains(&format!("# {line}\n"));
                    assert!(width(&line) <= columns || !breaks || title, "{}, {columns}: {line}", page.topic);
                }
            }
        }
    }
}
