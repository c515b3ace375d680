//! The panel as people see it: screens of hand-made views at every size, and keys pressed on them.

mod control;
pub(crate) mod fixtures;
pub(crate) mod held;
mod keys;
mod screens;
