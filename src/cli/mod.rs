//! The headless commands and their exit codes.
