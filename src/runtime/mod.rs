//! Hands: clock, driver, store, agents and processes. Everything that touches the world is here.

pub mod handle;
pub mod logs;
