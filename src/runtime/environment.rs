//! The only reader of the environment.
#![expect(clippy::disallowed_methods, reason = "this file owns the environment")]

/// A variable as text, if it is set and valid UTF-8.
#[must_use]
pub fn var(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
