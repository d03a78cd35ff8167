//! Randomness that can be had again: sizes, pauses, and bytes that both ends of a check can compute.

use std::time::Duration;

/// `SplitMix64` (Steele, Lea, Flood, 2014).
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(mix(seed))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        mix(self.0)
    }

    /// From `least` to `most`, both possible.
    pub(crate) fn between(&mut self, least: usize, most: usize) -> usize {
        least + usize::try_from(self.next() % (most - least + 1) as u64).expect("within a usize")
    }

    /// Anything from nothing to twice the mean.
    pub(crate) fn around(&mut self, mean: Duration) -> Duration {
        let twice = u64::try_from(mean.as_nanos() * 2).unwrap_or(u64::MAX - 1);
        Duration::from_nanos(self.next() % (twice + 1))
    }
}

const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

const fn mix(n: u64) -> u64 {
    let n = (n ^ (n >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let n = (n ^ (n >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    n ^ (n >> 31)
}

/// An endless run of bytes in which each position has its byte: what comes back can be checked
/// without keeping what was sent, and a byte lost or doubled shifts all that follow.
#[derive(Debug, Clone)]
pub(crate) struct Pattern {
    seed: u64,
    position: u64,
}

impl Pattern {
    pub(crate) const fn new(seed: u64) -> Self {
        Self { seed, position: 0 }
    }

    pub(crate) const fn position(&self) -> u64 {
        self.position
    }

    /// Appends the next bytes.
    pub(crate) fn write(&mut self, to: &mut Vec<u8>, count: usize) {
        to.reserve(count);
        for _ in 0..count {
            let byte = self.next();
            to.push(byte);
        }
    }

    /// How many of these bytes are not the next ones.
    pub(crate) fn wrong(&mut self, bytes: &[u8]) -> u64 {
        let mut wrong = 0;
        for byte in bytes {
            wrong += u64::from(*byte != self.next());
        }
        wrong
    }

    fn next(&mut self) -> u8 {
        let word = mix(self.seed ^ (self.position >> 3).wrapping_mul(STEP).wrapping_add(1));
        let byte = word.to_le_bytes()[usize::from(self.position.to_le_bytes()[0] & 7)];
        self.position += 1;
        byte
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_knows_itself_in_any_pieces() {
        let mut bytes = Vec::new();
        let mut out = Pattern::new(7);
        out.write(&mut bytes, 1000);
        out.write(&mut bytes, 37);
        let mut back = Pattern::new(7);
        for piece in bytes.chunks(13) {
            assert_eq!(back.wrong(piece), 0);
        }
        assert_eq!(back.position(), 1037);
    }

    #[test]
    fn a_pattern_sees_a_changed_a_lost_and_a_doubled_byte() {
        let mut bytes = Vec::new();
        Pattern::new(7).write(&mut bytes, 1000);
        let mut changed = bytes.clone();
        changed[500] ^= 1;
        assert_eq!(Pattern::new(7).wrong(&changed), 1);
        let mut lost = bytes.clone();
        lost.remove(500);
        assert!(Pattern::new(7).wrong(&lost) > 400);
        bytes.insert(500, bytes[499]);
        assert!(Pattern::new(7).wrong(&bytes) > 400);
    }
}
