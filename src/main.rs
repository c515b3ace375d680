//! Parse, choose, exit. Everything else lives in the library.

fn main() {}
