//! The files in which validators remember what they have signed.

use super::{StateFile, comet, guard};

/// A kind of memory. A node has one of them, or none if it signs nothing or has it signed elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Memory {
    /// `CometBFT`'s, with the default name.
    Comet,
    /// `batond`'s sign guard.
    Guard,
}

impl Memory {
    /// All kinds.
    pub(crate) const ALL: [Self; 2] = [Self::Comet, Self::Guard];

    /// Where it lies below the data directory.
    pub(crate) fn file(self) -> &'static str {
        match self {
            Self::Comet => comet::FILE,
            Self::Guard => guard::FILE,
        }
    }

    /// The largest file that is read, in bytes.
    pub(super) fn max_bytes(self) -> u64 {
        match self {
            Self::Comet => comet::MAX_BYTES,
            Self::Guard => guard::BYTES,
        }
    }

    /// What its content tells.
    pub(super) fn parse(self, bytes: &[u8]) -> StateFile {
        match self {
            Self::Comet => comet::parse(bytes),
            Self::Guard => guard::parse(bytes),
        }
    }
}
