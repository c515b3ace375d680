//! The only source of true randomness: seeds and run ids. Every draw of a run comes from its seed.

use crate::model::id::Name;

/// Random bytes of the system; without them (no known system lacks them) the process id stands in.
fn random() -> u64 {
    let mut bytes = [0u8; 8];
    match rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty()) {
        Ok(8) => u64::from_le_bytes(bytes),
        _ => crate::model::rng::mix(u64::from(std::process::id())),
    }
}

/// A seed that people can read out and type: up to nine digits.
#[must_use]
pub fn seed() -> u64 {
    random() % 1_000_000_000
}

/// A run id: twelve characters that sort nowhere and mean nothing.
#[must_use]
pub fn run_id() -> Name {
    format!("{:012x}", random() >> 16).into()
}
