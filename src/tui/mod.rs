//! The panel: pixels and keys.
