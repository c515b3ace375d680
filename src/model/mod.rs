//! Nouns: the vocabulary every other room speaks.
//!
//! Read in this order: [`workflow`] and [`step`] (what is to be done), [`agent`] (by whom), [`command`] (what people
//! ask for), [`event`] (what happened), [`effect`] and [`completion`] (work asked of the outside and its result),
//! [`view`] (pictures of a run for screens and reports). Nothing here reads a clock, a file or a terminal; behaviour is
//! limited to small pure helpers on the nouns themselves.
#![deny(clippy::iter_over_hash_type)]

pub mod action;
pub mod agent;
pub mod aggregate;
pub mod bug;
pub mod command;
pub mod completion;
pub mod computation;
pub mod defaults;
pub mod done;
pub mod effect;
pub mod ending;
pub mod event;
pub mod expression;
pub mod failure;
pub mod growth;
pub mod id;
pub mod mapping;
pub mod parts;
pub mod path;
pub mod policy;
pub mod quality;
pub mod rng;
pub mod route;
pub mod safe;
pub mod state;
pub mod step;
pub mod stream;
pub mod strict_json;
pub mod time;
pub mod view;
pub mod workflow;
