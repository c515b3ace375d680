//! One integration binary: everything that needs the real program.

mod attempts;
mod processes;
