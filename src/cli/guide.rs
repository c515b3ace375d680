//! `upbeat guide [TOPIC]`: the pages of the guide.

use super::args::GuideArgs;
use super::out::{self, Done, refuse};
use crate::model::safe::Safe;
use crate::report::guide::{PAGES, Page};
use std::io::IsTerminal;

/// The most columns a page is wrapped to: longer lines are hard to read.
const COLUMNS_MAX: u16 = 100;

/// Prints a page, or the list.
pub(crate) fn guide(args: &GuideArgs) -> Done {
    let Some(topic) = &args.topic else {
        let wide = PAGES.iter().map(|page| page.topic.len()).max().unwrap_or(0);
        let list: String = PAGES.iter().map(|page| format!("  {:wide$}  {}\n", page.topic, page.title())).collect();
        out::result(&format!("{list}\n`upbeat guide TOPIC` prints a page\n"))?;
        return Ok(0);
    };
    let Some(page) = Page::of(topic) else {
        let topics: Vec<&str> = PAGES.iter().map(|page| page.topic).collect();
        return refuse(&format!("the guide has no page {}; it has {}", Safe::line(topic), topics.join(", ")));
    };
    out::result(&(page.lines(columns()).join("\n") + "\n"))?;
    Ok(0)
}

/// The columns of the terminal; `None`: standard output is none.
fn columns() -> Option<usize> {
    let stdout = std::io::stdout();
    if !stdout.is_terminal() {
        return None;
    }
    let size = rustix::termios::tcgetwinsize(stdout).ok()?;
    (size.ws_col > 0).then(|| usize::from(size.ws_col.min(COLUMNS_MAX)))
}
