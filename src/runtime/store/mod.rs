//! Where journals live. Effects are performed only after their events are durable.
//!
//! A store takes events with the sequence number it is expected to stand at, reads them from a number on, keeps a
//! snapshot, and lets one writer at a time at a run: all that a store on another machine would have to do as well.

pub mod disk;
