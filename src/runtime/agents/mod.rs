//! Agents: what works on attempts.

pub(crate) mod process;
pub(crate) mod simulated;
