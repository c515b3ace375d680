//! Agents: what works on attempts.

pub mod builtin;
mod capture;
pub mod health;
mod http;
mod mask;
mod probe;
pub mod process;
mod request;
pub mod simulated;
mod verdict;

pub use probe::probe;
