//! What is written down agrees with what the program does.

use crate::program::{root, upbeat};
use std::fs;

fn text(name: &str) -> String {
    fs::read_to_string(root().join(name)).expect("a file of the project")
}

#[test]
fn the_readme_lists_the_keys_that_the_program_obeys() {
    let readme = text("README.md");
    let listed =
        readme.split("`upbeat keys --markdown` -->").nth(1).and_then(|rest| rest.split("<!-- /keys -->").next());
    let told = upbeat(&["keys", "--markdown"]);
    assert_eq!(listed.expect("the list stands between its marks").trim(), told.out.trim());
}

#[test]
fn the_ci_script_runs_the_readme_s_test_command() {
    assert!(text("README.md").contains("\ncargo test\n"));
    assert!(text(".ci/run").contains("\ncargo test"));
}

#[test]
fn the_readme_s_picture_and_the_workflows_it_names_are_there() {
    let readme = text("README.md");
    for word in readme.split(|c: char| c.is_whitespace() || "()`".contains(c)) {
        let named = word.starts_with("assets/") || word.starts_with("workflows/");
        assert!(!named || root().join(word).is_file(), "{word} is not there");
    }
}
