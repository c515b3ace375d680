//! Agents: what works on attempts.

mod capture;
mod mask;
pub(crate) mod process;
mod request;
pub(crate) mod simulated;
mod strict_json;
mod verdict;
