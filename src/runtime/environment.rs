//! The one reader of upbeat's own environment: variables, folders, and where the program itself lies.
#![expect(clippy::disallowed_methods, reason = "this is the file that owns the environment")]

use std::ffi::OsString;
use std::path::PathBuf;

/// Variables that agents get as they are, beside every `LC_…`.
const PASSED_ON: [&str; 8] = ["PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "TZ", "TMPDIR"];

/// A variable as text; `None` if it is not set. What is no UTF-8 is replaced.
#[must_use]
pub fn var(name: &str) -> Option<String> {
    var_os(name).map(|value| value.to_string_lossy().into_owned())
}

/// A variable as it is; `None` if it is not set.
#[must_use]
pub fn var_os(name: &str) -> Option<OsString> {
    // The standard library answers these two with `None` or a panic, depending on the platform.
    if name.is_empty() || name.contains(['=', '\0']) { None } else { std::env::var_os(name) }
}

/// What every agent gets of upbeat's own environment, and `TERM=dumb`.
#[must_use]
pub fn agent_base_env() -> Vec<(OsString, OsString)> {
    let passed =
        |name: &OsString| name.to_str().is_some_and(|name| PASSED_ON.contains(&name) || name.starts_with("LC_"));
    let mut base: Vec<_> = std::env::vars_os().filter(|(name, _)| passed(name)).collect();
    base.sort();
    base.push(("TERM".into(), "dumb".into()));
    base
}

/// The folder upbeat was started in; `None` if it is gone.
#[must_use]
pub fn start_folder() -> Option<PathBuf> {
    std::env::current_dir().ok()
}

/// A path that starts this very program again, also after its file was replaced by another version.
///
/// # Errors
/// If the platform cannot tell.
pub fn own_program() -> std::io::Result<PathBuf> {
    let link = PathBuf::from("/proc/self/exe");
    if cfg!(target_os = "linux") && link.exists() { Ok(link) } else { std::env::current_exe() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agents_get_the_path_and_a_dumb_terminal_but_not_our_secrets() {
        let base = agent_base_env();
        assert!(base.iter().any(|(name, _)| name == "PATH"));
        assert!(base.iter().any(|(name, value)| name == "TERM" && value == "dumb"));
        // Cargo sets many of these for tests; none is on the list.
        assert!(var("CARGO_MANIFEST_DIR").is_some());
        assert!(!base.iter().any(|(name, _)| name.to_string_lossy().starts_with("CARGO")));
    }

    #[test]
    fn impossible_names_are_simply_not_set() {
        assert_eq!(var(""), None);
        assert_eq!(var("A=B"), None);
        assert_eq!(var("A\0B"), None);
    }
}
