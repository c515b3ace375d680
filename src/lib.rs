//! upbeat: a control panel in the terminal for multi-agent workflows, with its own engine.
//!
//! A file becomes a checked [`model::workflow::Workflow`] (`spec`), a pure state machine decides what happens
//! (`engine`), the hands do it (`runtime`), and people watch and steer (`tui`) or scripts do (`cli`):
//!
//! ```text
//!   file ──spec──▶ Workflow ──▶ ┌────────┐ events ▶ journal ┐
//!   keys ──tui──▶ Command ────▶ │ engine │ effects ◀────────┘──▶ agents
//!   agents ──▶ Completion ────▶ └────────┘ view ──▶ tui, cli
//! ```
//!
//! A room imports only from rooms of lower rank (`tests/architecture.rs` enforces it); ARCHITECTURE.md tells why.
//! Read `model` first: it is the vocabulary.

pub mod cli;
pub mod engine;
pub mod model;
pub mod report;
pub mod runtime;
pub mod spec;
pub mod tui;
