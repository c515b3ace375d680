//! `upbeat keys`: the one table of keys, for the terminal and for the README.

use crate::model::action::{ACTIONS, ActionRow, Danger, Section};

/// The table for people.
pub(crate) fn text() -> String {
    let mut out = String::new();
    for section in Section::ALL {
        if !out.is_empty() {
            out.push('\n');
        }
        out += section.title();
        out.push('\n');
        for row in rows(section) {
            out += &format!("  {:16}  {}\n", keys(row).join("  "), doc(row));
        }
    }
    out
}

/// The table for the README.
pub(crate) fn markdown() -> String {
    let mut out = "| key | does |\n|---|---|\n".to_owned();
    for row in Section::ALL.into_iter().flat_map(rows) {
        let keys: Vec<String> = keys(row).iter().map(|key| format!("`{}`", key.replace('|', "\\|"))).collect();
        out += &format!("| {} | {} |\n", keys.join(" "), doc(row).replace('|', "\\|"));
    }
    out
}

fn rows(section: Section) -> impl Iterator<Item = &'static ActionRow> {
    ACTIONS.iter().filter(move |row| row.section == section)
}

/// Keys as they stand on a keyboard.
fn keys(row: &ActionRow) -> Vec<String> {
    let caps = |key: &&str| match *key {
        "-" => "-".to_owned(),
        key => key.split('-').map(cap).collect::<Vec<_>>().join("-"),
    };
    row.keys.iter().map(caps).collect()
}

fn cap(key: &str) -> &str {
    match key {
        "up" => "↑",
        "down" => "↓",
        "left" => "←",
        "right" => "→",
        "pageup" => "PgUp",
        "pagedown" => "PgDn",
        "ctrl" => "Ctrl",
        "shift" => "Shift",
        "tab" => "Tab",
        "esc" => "Esc",
        "enter" => "Enter",
        "space" => "Space",
        "home" => "Home",
        "end" => "End",
        "f1" => "F1",
        other => other,
    }
}

fn doc(row: &ActionRow) -> String {
    let asks = if row.danger == Danger::Asks && !row.doc.contains("asks") { " (asks first)" } else { "" };
    let later = if row.built { "" } else { " — comes later" };
    format!("{}{asks}{later}", row.doc)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_action_is_listed_once_with_all_its_keys() {
        for table in [text(), markdown()] {
            assert!(ACTIONS.iter().all(|row| table.contains(row.doc)));
        }
        assert_eq!(markdown().lines().count(), ACTIONS.len() + 2);
        assert!(text().contains("  Shift-Tab         focus the previous pane\n"), "{}", text());
        assert!(text().contains("  -                 less detail"), "{}", text());
        assert!(text().contains("  Ctrl-u            half a page up\n"));
    }
}
