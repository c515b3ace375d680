//! One integration binary: everything that needs the real program.

mod assembly;
mod attempts;
mod builtins;
mod cli;
mod compute;
mod control;
mod dataflow;
mod docs;
mod edges;
mod evaluate;
mod hands;
mod hostile;
mod patterns;
mod plan_proofs;
mod processes;
mod program;
mod pty;
mod recovery;
mod saga;
mod saved;
mod saved_lists;
mod scenarios;
mod streams;
mod terminal;
mod watching;
mod workflows;
