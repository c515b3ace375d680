//! The panel as people see it: screens of hand-made views at every size, and keys pressed on them.

pub(crate) mod fixtures;
mod keys;
mod screens;
