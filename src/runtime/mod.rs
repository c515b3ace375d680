//! Hands: clock, driver, store, agents and processes.
