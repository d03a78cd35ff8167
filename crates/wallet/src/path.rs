//! Where in the tree of an extended key an account's or an asset's keys lie.
//!
//! A path is a list of selectors, each a few bytes. Bytom has two rules. The current one, number 1,
//! follows BIP 44 with four-byte selectors (44, 153, account, change, address; **not** hardened,
//! little endian). The former one, number 0, which assets still use, starts with nine bytes: the
//! key space and the account's or asset's number, and for accounts ends with the address's number
//! in eight.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// BIP 44's purpose.
const PURPOSE: u32 = 44;
/// Bytom's coin type in SLIP 44.
const COIN_TYPE: u32 = 153;

/// Most selectors in a path that comes from outside; Bytom's own have at most five.
pub const MAX_SELECTORS: usize = 16;
/// Most bytes in one selector that comes from outside; Bytom's own have at most nine.
pub const MAX_SELECTOR_LEN: usize = 64;

/// Why a path cannot be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// No such rule.
    #[error("invalid key derive rule {0}: there are rules 0 (BIP 32) and 1 (BIP 44)")]
    Rule(u8),
    /// The number does not fit BIP 44's four bytes.
    #[error("{what} number {number} does not fit a BIP 44 path, whose numbers have 32 bits")]
    TooLarge {
        /// `account` or `address`.
        what: &'static str,
        /// The number asked for.
        number: u64,
    },
    /// A path from outside has too many or too long selectors.
    #[error(
        "a derivation path has at most {MAX_SELECTORS} selectors of at most {MAX_SELECTOR_LEN} bytes"
    )]
    TooLong,
}

/// How an account derives its addresses' keys; `derive_rule` in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DeriveRule {
    /// Rule 0: Chain's, with nine-byte selectors.
    Bip32,
    /// Rule 1: BIP 44's, the rule of new accounts.
    Bip44,
}

impl TryFrom<u8> for DeriveRule {
    type Error = PathError;

    fn try_from(rule: u8) -> Result<Self, PathError> {
        match rule {
            0 => Ok(Self::Bip32),
            1 => Ok(Self::Bip44),
            other => Err(PathError::Rule(other)),
        }
    }
}

impl From<DeriveRule> for u8 {
    fn from(rule: DeriveRule) -> Self {
        match rule {
            DeriveRule::Bip32 => 0,
            DeriveRule::Bip44 => 1,
        }
    }
}

impl Serialize for DeriveRule {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u8((*self).into())
    }
}

impl<'de> Deserialize<'de> for DeriveRule {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        u8::deserialize(from)?
            .try_into()
            .map_err(serde::de::Error::custom)
    }
}

/// The first byte of a rule 0 path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum KeySpace {
    Asset = 0,
    Account = 1,
}

/// A list of selectors, from the root down. In JSON a list of hexadecimal strings, as in templates.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct KeyPath(Vec<Vec<u8>>);

impl KeyPath {
    /// The path of an account's address.
    ///
    /// Rule 0 knows no change addresses and ignores `change`.
    pub fn of_address(
        rule: DeriveRule,
        account: u64,
        change: bool,
        address: u64,
    ) -> Result<Self, PathError> {
        match rule {
            DeriveRule::Bip32 => Ok(Self(vec![
                space_selector(KeySpace::Account, account),
                address.to_le_bytes().to_vec(),
            ])),
            DeriveRule::Bip44 => {
                let short = |what, number: u64| {
                    u32::try_from(number).map_err(|_| PathError::TooLarge { what, number })
                };
                let levels = [
                    PURPOSE,
                    COIN_TYPE,
                    short("account", account)?,
                    u32::from(change),
                    short("address", address)?,
                ];
                Ok(Self(
                    levels
                        .iter()
                        .map(|level| level.to_le_bytes().to_vec())
                        .collect(),
                ))
            }
        }
    }

    /// The path of an asset's issuance keys: always rule 0.
    pub fn of_asset(asset: u64) -> Self {
        Self(vec![space_selector(KeySpace::Asset, asset)])
    }

    /// Takes selectors that come from outside, such as a template's.
    pub fn from_selectors(selectors: Vec<Vec<u8>>) -> Result<Self, PathError> {
        if selectors.len() > MAX_SELECTORS
            || selectors.iter().any(|one| one.len() > MAX_SELECTOR_LEN)
        {
            return Err(PathError::TooLong);
        }
        Ok(Self(selectors))
    }

    /// The selectors, for [`XPub::derive`](crate::chainkd::XPub::derive).
    pub fn selectors(&self) -> &[Vec<u8>] {
        &self.0
    }
}

impl Serialize for KeyPath {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(self.0.iter().map(hex::encode))
    }
}

impl<'de> Deserialize<'de> for KeyPath {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        let selectors = Vec::<String>::deserialize(from)?
            .iter()
            .map(hex::decode)
            .collect::<Result<_, _>>()
            .map_err(|_| Error::custom("a derivation path is a list of hexadecimal strings"))?;
        Self::from_selectors(selectors).map_err(Error::custom)
    }
}

fn space_selector(space: KeySpace, number: u64) -> Vec<u8> {
    let mut selector = vec![space as u8];
    selector.extend_from_slice(&number.to_le_bytes());
    selector
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn json(path: &KeyPath) -> String {
        serde_json::to_string(path).unwrap()
    }

    #[test]
    fn rule_1_is_bip_44_in_little_endian() {
        let path = KeyPath::of_address(DeriveRule::Bip44, 1, false, 6).unwrap();
        assert_eq!(
            json(&path),
            r#"["2c000000","99000000","01000000","00000000","06000000"]"#
        );
        let change = KeyPath::of_address(DeriveRule::Bip44, 258, true, 1).unwrap();
        assert_eq!(
            json(&change),
            r#"["2c000000","99000000","02010000","01000000","01000000"]"#
        );
    }

    #[test]
    fn rule_0_starts_with_the_space_and_the_number() {
        let account = KeyPath::of_address(DeriveRule::Bip32, 258, false, 3).unwrap();
        assert_eq!(
            json(&account),
            r#"["010201000000000000","0300000000000000"]"#
        );
        assert_eq!(json(&KeyPath::of_asset(1)), r#"["000100000000000000"]"#);
    }

    #[test]
    fn what_does_not_fit_is_refused_with_a_reason() {
        let error = KeyPath::of_address(DeriveRule::Bip44, 1, false, 1 << 32).unwrap_err();
        assert_eq!(
            error.to_string(),
            "address number 4294967296 does not fit a BIP 44 path, whose numbers have 32 bits"
        );
        assert!(KeyPath::of_address(DeriveRule::Bip32, 1, false, 1 << 32).is_ok());
        assert_eq!(DeriveRule::try_from(2), Err(PathError::Rule(2)));
        assert_eq!(
            KeyPath::from_selectors(vec![vec![0]; 17]),
            Err(PathError::TooLong)
        );
        assert_eq!(
            KeyPath::from_selectors(vec![vec![0; 65]]),
            Err(PathError::TooLong)
        );
        assert!(serde_json::from_str::<KeyPath>(r#"["0g"]"#).is_err());
    }

    proptest! {
        #[test]
        fn paths_survive_json(selectors in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..=MAX_SELECTOR_LEN), 0..=MAX_SELECTORS)) {
            let path = KeyPath::from_selectors(selectors).unwrap();
            prop_assert_eq!(serde_json::from_str::<KeyPath>(&json(&path)).unwrap(), path);
        }
    }
}
