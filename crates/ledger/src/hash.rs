//! The two 32-byte names of the ledger: [`struct@Hash`] for entries, transactions and blocks, [`AssetId`] for assets.
//!
//! Both are SHA3-256 digests and both are written as 64 hexadecimal digits; they are two types so that one is
//! never taken for the other.

use std::fmt;
use std::str::FromStr;

use sha3::{Digest, Sha3_256};
use thiserror::Error;

/// Why a text is not the name of a hash or an asset.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum ParseHashError {
    /// The text is not 64 characters long.
    #[error("bad length hash string {found}: 64 hexadecimal digits wanted")]
    Length {
        /// Length of the text in bytes.
        found: usize,
    },
    /// A character is not a hexadecimal digit.
    #[error("hash string {text:?}: {source}")]
    Digit {
        /// The text.
        text: String,
        /// Which digit is wrong.
        source: hex::FromHexError,
    },
}

fn parse(text: &str) -> Result<[u8; 32], ParseHashError> {
    if text.len() != 64 {
        return Err(ParseHashError::Length { found: text.len() });
    }
    let mut bytes = [0; 32];
    hex::decode_to_slice(text, &mut bytes).map_err(|source| ParseHashError::Digit {
        text: text.to_owned(),
        source,
    })?;
    Ok(bytes)
}

macro_rules! name_of_32_bytes {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; 32]);

        impl $name {
            /// All zeros: the absent one.
            pub const ZERO: Self = Self([0; 32]);

            /// The 32 bytes as they are hashed and sent.
            pub fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }

            /// Whether this is [`Self::ZERO`].
            pub fn is_zero(&self) -> bool {
                *self == Self::ZERO
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                for byte in self.0 {
                    write!(f, "{byte:02x}")?;
                }
                Ok(())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl FromStr for $name {
            type Err = ParseHashError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                parse(text).map(Self)
            }
        }

        impl From<[u8; 32]> for $name {
            fn from(bytes: [u8; 32]) -> Self {
                Self(bytes)
            }
        }
    };
}

name_of_32_bytes! {
    /// The SHA3-256 digest that names an entry, a transaction or a block.
    Hash
}

name_of_32_bytes! {
    /// The name of an asset, see [`crate::asset::asset_id`].
    AssetId
}

impl AssetId {
    /// The native asset, 32 bytes `ff`; 1 BTM is 10^8 neu (bytomd v2, `consensus.BTMAssetID`).
    pub const BTM: Self = Self([0xff; 32]);
}

impl Hash {
    /// SHA3-256 of nothing: the merkle root of a block without transactions.
    pub const OF_NOTHING: Self = Self([
        0xa7, 0xff, 0xc6, 0xf8, 0xbf, 0x1e, 0xd7, 0x66, 0x51, 0xc1, 0x47, 0x56, 0xa0, 0x61, 0xd6,
        0x62, 0xf5, 0x80, 0xff, 0x4d, 0xe4, 0x3b, 0x49, 0xfa, 0x82, 0xd8, 0x0a, 0x4b, 0x80, 0xf8,
        0x43, 0x4a,
    ]);
}

/// SHA3-256 (FIPS 202) of `parts` put end to end.
pub fn sha3_256(parts: &[&[u8]]) -> Hash {
    let mut hasher = Sha3_256::new();
    for part in parts {
        hasher.update(part);
    }
    Hash(hasher.finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_back() {
        let text = "512e726d7b90091003f9f0a14ddc6218ce8b25b6c606faf81a552b4e6036d065";
        let hash: Hash = text.parse().unwrap();
        assert_eq!(hash.to_string(), text);
        assert_eq!(format!("{hash:?}"), format!("Hash({text})"));
        assert_eq!(text.to_uppercase().parse::<Hash>().unwrap(), hash);
        assert_eq!(AssetId::BTM.to_string(), "f".repeat(64));
    }

    #[test]
    fn bad_text_is_named() {
        assert_eq!(
            "abcd".parse::<Hash>(),
            Err(ParseHashError::Length { found: 4 })
        );
        let error = "g".repeat(64).parse::<AssetId>().unwrap_err();
        assert!(error.to_string().contains("'g'"), "{error}");
        // 64 bytes of which some are half a character
        assert!("é".repeat(32).parse::<Hash>().is_err());
    }

    #[test]
    fn nothing_hashes_to_its_constant() {
        assert_eq!(sha3_256(&[]), Hash::OF_NOTHING);
        assert_eq!(sha3_256(&[b"ab", b"c"]), sha3_256(&[b"abc"]));
    }
}
