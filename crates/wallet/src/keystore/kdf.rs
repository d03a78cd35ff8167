//! How a password becomes a key: scrypt, with a strength to write and limits to read.
//!
//! bytomd writes n=4096, r=8, p=6: 4 MiB, some tens of milliseconds. New files get n=2^17, r=8,
//! p=1, OWASP's first choice for scrypt: 128 MiB and some tenths of a second for each guess. That
//! would be too slow for each of many signatures, which is why unlocked keys are [kept for a
//! while](super::Unlocked). Twice that strength would take 256 MiB of a small node's memory.

use scrypt::Params;
use zeroize::Zeroizing;

/// Bytes derived from a password: half encrypts, half authenticates.
pub(super) const DERIVED_LEN: usize = 32;
/// Most memory that reading a file may take: what bytomd's own "standard" strength (n=2^18, r=8)
/// needs.
pub const MAX_MEMORY_BYTES: u64 = 256 << 20;
/// Most memory times parallelism, which bounds the time: a few seconds.
pub const MAX_WORK_BYTES: u64 = 1 << 30;

/// The cost of guessing one password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Strength {
    log_n: u8,
    r: u32,
    p: u32,
}

impl Strength {
    /// What new files get: n=2^17, r=8, p=1.
    pub const STANDARD: Self = Self {
        log_n: 17,
        r: 8,
        p: 1,
    };
    /// What bytomd writes: n=4096, r=8, p=6.
    pub const BYTOMD: Self = Self {
        log_n: 12,
        r: 8,
        p: 6,
    };

    /// A strength given by scrypt's numbers, as in a file. None if `n` is not a power of two above
    /// one, if scrypt has no such parameters, or above [`MAX_MEMORY_BYTES`] or [`MAX_WORK_BYTES`].
    pub fn new(n: u64, r: u32, p: u32) -> Option<Self> {
        let memory = n.checked_mul(128)?.checked_mul(u64::from(r))?;
        let work = memory.checked_mul(u64::from(p))?;
        let strength = Self {
            log_n: u8::try_from(n.checked_ilog2()?).ok()?,
            r,
            p,
        };
        let possible =
            n > 1 && n.is_power_of_two() && memory <= MAX_MEMORY_BYTES && work <= MAX_WORK_BYTES;
        (possible && strength.params().is_some()).then_some(strength)
    }

    /// Scrypt's cost, a power of two.
    pub fn n(self) -> u64 {
        1 << self.log_n
    }

    /// Scrypt's block size.
    pub fn r(self) -> u32 {
        self.r
    }

    /// Scrypt's parallelism.
    pub fn p(self) -> u32 {
        self.p
    }

    /// Derives; takes the memory and the time that the strength says.
    pub(super) fn derive(self, password: &str, salt: &[u8]) -> Zeroizing<[u8; DERIVED_LEN]> {
        let params = self.params().expect("checked when the strength was made");
        let mut derived = Zeroizing::new([0; DERIVED_LEN]);
        scrypt::scrypt(password.as_bytes(), salt, &params, &mut *derived)
            .expect("32 bytes are a length that scrypt gives");
        derived
    }

    fn params(self) -> Option<Params> {
        Params::new(self.log_n, self.r, self.p, DERIVED_LEN).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_cannot_ask_for_more_than_the_limits() {
        assert_eq!(Strength::new(4096, 8, 6), Some(Strength::BYTOMD));
        assert_eq!(Strength::new(1 << 17, 8, 1), Some(Strength::STANDARD));
        assert!(Strength::new(1 << 18, 8, 4).is_some());
        for (n, r, p) in [
            (1 << 19, 8, 1),
            (1 << 18, 8, 5),
            (u64::MAX, u32::MAX, u32::MAX),
            (1 << 63, 1, 1),
            (2, 1, u32::MAX),
            (2, u32::MAX, 1),
            (0, 8, 1),
            (1, 8, 1),
            (4097, 8, 1),
            (4096, 0, 1),
            (4096, 8, 0),
        ] {
            assert_eq!(Strength::new(n, r, p), None, "n={n} r={r} p={p}");
        }
    }

    #[test]
    fn it_is_scrypt() {
        // RFC 7914, section 12, second vector, first 32 bytes.
        let derived = Strength::new(1024, 8, 16)
            .unwrap()
            .derive("password", b"NaCl");
        assert_eq!(
            hex::encode(*derived),
            "fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b373162"
        );
    }
}
