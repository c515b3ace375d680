//! Seeded draws without state: every drawn number is a hash of the seed and of what it is drawn for.
//!
//! No generator has to be saved or replayed, and a draw does not depend on how many were made before it. The mixing
//! function is `splitmix64` (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014).

/// One round of splitmix64.
#[must_use]
pub const fn mix(mut x: u64) -> u64 {
    x = x.wrapping_add(0x9E37_79B9_7F4A_7C15);
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

/// The draw for `what`, a list of numbers that name the occasion (say purpose, step, attempt).
#[must_use]
pub fn draw(seed: u64, what: &[u64]) -> u64 {
    what.iter().fold(mix(seed), |state, &part| mix(state ^ mix(part)))
}

/// A draw as a number in `0.0..1.0`.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
pub fn unit(draw: u64) -> f64 {
    (draw >> 11) as f64 / (1u64 << 53) as f64
}

/// A small sequential generator for seeded searches and tests.
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// The generator of a seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }
    /// The next 64 bits.
    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mix(self.0)
    }
    /// A number below `bound`; 0 for a bound of 0.
    pub const fn below(&mut self, bound: u64) -> u64 {
        if bound == 0 { 0 } else { self.next() % bound }
    }
    /// True with probability `p`.
    pub fn chance(&mut self, p: f64) -> bool {
        unit(self.next()) < p
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_depend_on_the_seed_and_on_every_part_of_the_occasion() {
        let all = [draw(1, &[1, 2]), draw(2, &[1, 2]), draw(1, &[2, 1]), draw(1, &[1, 3]), draw(1, &[1])];
        for (i, a) in all.iter().enumerate() {
            assert!(all.iter().skip(i + 1).all(|b| a != b));
        }
        assert_eq!(draw(7, &[1]), draw(7, &[1]));
    }

    #[test]
    fn unit_draws_fill_the_unit_interval() {
        let mut rng = Rng::new(3);
        let mean = (0..1000).map(|_| unit(rng.next())).sum::<f64>() / 1000.0;
        assert!((0.45..0.55).contains(&mean), "{mean}");
    }
}
