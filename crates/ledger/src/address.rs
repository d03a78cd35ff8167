//! Addresses: the two standard control programs as text (BIP 173, witness version 0).
//!
//! | address of | control program | data |
//! |---|---|---|
//! | a public key (P2WPKH) | `00 14` and 20 bytes | RIPEMD-160 of the ed25519 public key |
//! | a script (P2WSH) | `00 20` and 32 bytes | SHA3-256 of the script |
//!
//! The text begins with the [`Prefix`] of its network. An address itself belongs to no network: its control
//! program is the same on all. (bytomd v2, `common/address.go`.)

use std::fmt;
use std::str::FromStr;

use bech32::primitives::decode::{
    CheckedHrpstring, CheckedHrpstringError, PaddingError, UncheckedHrpstringError,
};
use bech32::{Bech32, Fe32, Hrp, segwit};
use ripemd::{Digest, Ripemd160};
use thiserror::Error;

use crate::hash::sha3_256;

/// The longest text of an address, in characters (BIP 173).
const MAX_LEN: usize = 90;
/// The shortest and the longest prefix: bytomd wants two letters, and 30 leave room for a script's hash.
const PREFIX_LEN: std::ops::RangeInclusive<usize> = 2..=30;

/// `OP_0` and a push of 20 bytes.
const PUBLIC_KEY_HASH: [u8; 2] = [0, 20];
/// `OP_0` and a push of 32 bytes.
const SCRIPT_HASH: [u8; 2] = [0, 32];

/// The letters that the addresses of a network begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prefix(Hrp);

impl Prefix {
    /// Bytom v2's main network, `bn`.
    pub const MAINNET: Self = Self(Hrp::parse_unchecked("bn"));
    /// Bytom v2's test network, `tn`.
    pub const WISDOM: Self = Self(Hrp::parse_unchecked("tn"));
    /// A solonet, `sn`.
    pub const SOLONET: Self = Self(Hrp::parse_unchecked("sn"));
}

/// The text is not 2 to 30 small letters.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("address prefix {0:?}: 2 to 30 small letters wanted")]
pub struct PrefixError(String);

impl FromStr for Prefix {
    type Err = PrefixError;

    fn from_str(text: &str) -> Result<Self, PrefixError> {
        let letters = text.bytes().all(|byte| byte.is_ascii_lowercase());
        match Hrp::parse(text) {
            Ok(hrp) if letters && PREFIX_LEN.contains(&text.len()) => Ok(Self(hrp)),
            _ => Err(PrefixError(text.to_owned())),
        }
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A destination of value that can be written as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Address {
    /// Whoever has the key whose hash this is (P2WPKH).
    PublicKeyHash([u8; 20]),
    /// Whoever can satisfy the script whose hash this is (P2WSH).
    ScriptHash([u8; 32]),
}

/// Why a text is not an address of a network.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AddressError {
    /// The text is longer than any address.
    #[error("address of {len} characters, more than the limit of {MAX_LEN}")]
    TooLong {
        /// Its length in bytes.
        len: usize,
    },
    /// There is no `1` between a prefix and data.
    #[error("address {address:?} has no prefix")]
    NoPrefix {
        /// The text.
        address: String,
    },
    /// It is an address of another network.
    #[error("address {address:?} is of another network: its prefix is {found:?}, not {wanted:?}")]
    Network {
        /// The text.
        address: String,
        /// Its prefix.
        found: String,
        /// The prefix of the network.
        wanted: String,
    },
    /// It has a wrong character, or letters of both cases.
    #[error("address {address:?}: {reason}")]
    Text {
        /// The text.
        address: String,
        /// What is wrong.
        reason: String,
    },
    /// It was mistyped: the last six characters do not fit the others.
    #[error("address {address:?}: checksum mismatch")]
    Checksum {
        /// The text.
        address: String,
    },
    /// It has a witness version other than 0.
    #[error("address {address:?}: unsupported witness version {version}")]
    Version {
        /// The text.
        address: String,
        /// Its witness version.
        version: u8,
    },
    /// The bits that fill up its last character are wrong.
    #[error("address {address:?}: {source}")]
    Padding {
        /// The text.
        address: String,
        /// What is wrong.
        source: PaddingError,
    },
    /// Its data is neither the hash of a key nor of a script.
    #[error(
        "address {address:?}: unsupported witness program length {len}: 20 bytes for a public key, 32 for a script"
    )]
    Length {
        /// The text.
        address: String,
        /// The length of its data in bytes.
        len: usize,
    },
}

impl Address {
    /// The address of an ed25519 public key.
    pub fn of_public_key(public_key: &[u8; 32]) -> Self {
        Self::PublicKeyHash(Ripemd160::digest(public_key).into())
    }

    /// The address of a script.
    pub fn of_script(script: &[u8]) -> Self {
        Self::ScriptHash(sha3_256(&[script]).0)
    }

    /// The address that has this control program, if it is a standard one.
    pub fn from_program(program: &[u8]) -> Option<Self> {
        if let Some(hash) = program.strip_prefix(&PUBLIC_KEY_HASH) {
            hash.try_into().ok().map(Self::PublicKeyHash)
        } else if let Some(hash) = program.strip_prefix(&SCRIPT_HASH) {
            hash.try_into().ok().map(Self::ScriptHash)
        } else {
            None
        }
    }

    fn hash(&self) -> &[u8] {
        match self {
            Self::PublicKeyHash(hash) => hash,
            Self::ScriptHash(hash) => hash,
        }
    }

    /// Its control program.
    pub fn program(&self) -> Vec<u8> {
        let start = match self {
            Self::PublicKeyHash(_) => PUBLIC_KEY_HASH,
            Self::ScriptHash(_) => SCRIPT_HASH,
        };
        [&start, self.hash()].concat()
    }

    /// Its text on the network with `prefix`.
    pub fn encode(&self, prefix: Prefix) -> String {
        segwit::encode_v0(prefix.0, self.hash()).expect("prefix and hash are short enough")
    }

    /// Reads the text of an address of the network with `prefix`: all in small letters, or all in capitals.
    pub fn decode(text: &str, prefix: Prefix) -> Result<Self, AddressError> {
        if text.len() > MAX_LEN {
            return Err(AddressError::TooLong { len: text.len() });
        }
        let address = || text.to_owned();
        let Some((found, _)) = text.rsplit_once('1') else {
            return Err(AddressError::NoPrefix { address: address() });
        };
        if !found.eq_ignore_ascii_case(prefix.0.as_str()) {
            return Err(AddressError::Network {
                address: address(),
                found: found.to_owned(),
                wanted: prefix.to_string(),
            });
        }
        let mut data = CheckedHrpstring::new::<Bech32>(text).map_err(|error| match error {
            CheckedHrpstringError::Checksum(_) => AddressError::Checksum { address: address() },
            CheckedHrpstringError::Parse(error) => AddressError::Text {
                address: address(),
                reason: match error {
                    UncheckedHrpstringError::Char(error) => error.to_string(),
                    other => other.to_string(),
                },
            },
            other => AddressError::Text {
                address: address(),
                reason: other.to_string(),
            },
        })?;
        let Some(first) = data.data_part_ascii_no_checksum().first() else {
            return Err(AddressError::Length {
                address: address(),
                len: 0,
            });
        };
        let version = Fe32::from_char(char::from(*first)).expect("the characters are checked");
        if version != Fe32::Q {
            return Err(AddressError::Version {
                address: address(),
                version: version.to_u8(),
            });
        }
        data.remove_witness_version();
        data.validate_segwit_padding()
            .map_err(|source| AddressError::Padding {
                address: address(),
                source,
            })?;
        let hash: Vec<u8> = data.byte_iter().collect();
        match hash.len() {
            20 => Ok(Self::PublicKeyHash(
                hash.try_into().expect("20 bytes were counted"),
            )),
            32 => Ok(Self::ScriptHash(
                hash.try_into().expect("32 bytes were counted"),
            )),
            len => Err(AddressError::Length {
                address: address(),
                len,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use bech32::primitives::iter::{ByteIterExt, Fe32IterExt};
    use proptest::prelude::*;

    use super::*;

    /// Account 1, index 1 of the mnemonic `season version dilemma …`, as a bytomd v2.0.6 showed it.
    const PUBLIC_KEY: &str = "625ee34bd28a473c978936641eaf34ecb8400c753238544a8054890cafe519a2";
    const PROGRAM: &str = "0014132ecd507a05834f267427d0175b5b10c8fb521f";
    const SOLONET: &str = "sn1qzvhv65r6qkp57fn5ylgpwk6mzry0k5sltc0xkz";

    fn decode(text: &str) -> Result<Address, AddressError> {
        Address::decode(text, Prefix::SOLONET)
    }

    /// A solonet's text with any version and length, its checksum right.
    fn encode_any(version: Fe32, hash: &[u8]) -> String {
        let mut text = String::new();
        for character in hash
            .iter()
            .copied()
            .bytes_to_fes()
            .with_checksum::<Bech32>(&Prefix::SOLONET.0)
            .with_witness_version(version)
            .chars()
        {
            text.push(character);
        }
        text
    }

    #[test]
    fn of_a_real_key() {
        let key: Vec<u8> = hex::decode(PUBLIC_KEY).unwrap();
        let address = Address::of_public_key(&key.try_into().unwrap());
        assert_eq!(hex::encode(address.program()), PROGRAM);
        assert_eq!(address.encode(Prefix::SOLONET), SOLONET);
        assert_eq!(decode(SOLONET), Ok(address));
        assert_eq!(decode(&SOLONET.to_uppercase()), Ok(address));
        assert_eq!(Address::from_program(&address.program()), Some(address));
        // v1's prefix changes the text only
        let v1: Prefix = "sm".parse().unwrap();
        let text = "sm1qzvhv65r6qkp57fn5ylgpwk6mzry0k5slepgkjy";
        assert_eq!(address.encode(v1), text);
        assert_eq!(Address::decode(text, v1), Ok(address));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let text = |result: Result<Address, AddressError>| result.unwrap_err().to_string();
        let main = Address::decode(SOLONET, Prefix::MAINNET);
        assert_eq!(
            text(main),
            format!("address {SOLONET:?} is of another network: its prefix is \"sn\", not \"bn\"")
        );
        let mistyped = SOLONET.replace("0xkz", "0xky");
        assert_eq!(
            decode(&mistyped),
            Err(AddressError::Checksum { address: mistyped })
        );
        assert!(matches!(decode(""), Err(AddressError::NoPrefix { .. })));
        assert!(matches!(
            decode("sn1"),
            Err(AddressError::Text { .. } | AddressError::Checksum { .. })
        ));
        assert!(matches!(
            decode("sn1qbbbbbb"),
            Err(AddressError::Text { .. })
        ));
        assert!(text(decode(&SOLONET.replace("sn", "sN"))).contains("case"));
        assert_eq!(
            text(decode(&"1".repeat(91))),
            "address of 91 characters, more than the limit of 90"
        );
        let other_version = encode_any(Fe32::P, &[1; 20]);
        assert!(text(decode(&other_version)).contains("unsupported witness version 1"));
        let no_version = encode_any(Fe32::L, &[1; 20]);
        assert!(text(decode(&no_version)).contains("unsupported witness version 31"));
        let other_length = encode_any(Fe32::Q, &[1; 21]);
        assert!(text(decode(&other_length)).contains("unsupported witness program length 21"));
    }

    #[test]
    fn only_small_letters_are_a_prefix() {
        for bad in ["", "b", "BN", "b1", "bñ", &"b".repeat(31)] {
            assert_eq!(bad.parse::<Prefix>(), Err(PrefixError(bad.to_owned())));
        }
        let longest: Prefix = "b".repeat(30).parse().unwrap();
        let address = Address::ScriptHash([7; 32]);
        let text = address.encode(longest);
        assert_eq!(text.len(), MAX_LEN);
        assert_eq!(Address::decode(&text, longest), Ok(address));
    }

    #[test]
    fn other_programs_have_no_address() {
        for program in ["", "00", "0014", "0014ff", "51", "6a0a68656c6c6f"] {
            assert_eq!(Address::from_program(&hex::decode(program).unwrap()), None);
        }
        assert_eq!(Address::from_program(&[0; 34]), None);
    }

    proptest! {
        #[test]
        fn text_and_program_and_back(key in any::<[u8; 20]>(), script in any::<[u8; 32]>()) {
            for address in [Address::PublicKeyHash(key), Address::ScriptHash(script)] {
                prop_assert_eq!(Address::from_program(&address.program()), Some(address));
                for prefix in [Prefix::MAINNET, Prefix::WISDOM, Prefix::SOLONET] {
                    prop_assert_eq!(Address::decode(&address.encode(prefix), prefix), Ok(address));
                }
            }
        }

        #[test]
        fn random_text_never_panics(text in "(sn1)?\\PC{0,60}", tail in "sn1[qpzry9x8gf2tvdw0s3jn54khce6mua7l]{0,60}") {
            let _ = decode(&text);
            let _ = decode(&tail);
        }

        #[test]
        fn one_wrong_character_is_found(at in 3_usize..42, to in "[qpzry9x8gf2tvdw0s3jn54khce6mua7l]") {
            let mut text = SOLONET.to_owned();
            text.replace_range(at..=at, &to);
            prop_assert_eq!(decode(&text).is_ok(), text == SOLONET);
        }
    }
}
