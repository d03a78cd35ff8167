//! Extended keys: one secret from which whole trees of ed25519 keys grow.
//!
//! An extended key is 64 bytes: an ed25519 scalar (or its public point) and a chain code. From a
//! parent and a *selector* (any bytes) comes a child, in two ways: **plain**, where whoever has the
//! public parent can make the public child, and **hardened**, where only the holder of the secret
//! parent can. Accounts use plain children only, so that a node can make addresses without a
//! password.
//!
//! The scheme is Chain's `chainkd` as Bytom uses it. With `H(key, data)` = HMAC-SHA512 in two
//! halves:
//!
//! | what | left half | right half |
//! |---|---|---|
//! | root of a seed | `prune(L)` of `H("Root", seed)` | `R` |
//! | hardened child | `prune(L)` of `H(chain, "H" ‖ scalar ‖ selector)` | `R` |
//! | plain child, secret | scalar + `small(L)` of `H(chain, "N" ‖ point ‖ selector)`, as 256-bit integers | `R` |
//! | plain child, public | point + `small(L)`·B of the same | `R` |
//! | signing key | scalar | nonce prefix: right half of `H("Expand", scalar ‖ chain)` |

use std::{fmt, str::FromStr};

use curve25519_dalek::{
    edwards::{CompressedEdwardsY, EdwardsPoint},
    scalar::Scalar,
};
use ed25519_dalek::{
    Signature, VerifyingKey,
    hazmat::{ExpandedSecretKey, raw_sign},
};
use hmac::{Hmac, Mac};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::Sha512;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// Bytes in an extended key, secret or public.
pub const KEY_LEN: usize = 64;

/// Why bytes or text are not an extended key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not 64 bytes.
    #[error("an extended key has {KEY_LEN} bytes, this has {0}")]
    Length(usize),
    /// The text is not 128 hexadecimal digits.
    #[error("bad key string: an extended key is written as 128 hexadecimal digits")]
    Text,
    /// The first half is not a point of the curve.
    #[error("the first half of the extended public key is not a point of the curve")]
    NotAPoint,
    /// The first half was never pruned as `chainkd` prunes scalars.
    #[error("the first half of the extended secret key is not a pruned scalar")]
    NotPruned,
}

/// An extended secret key. Wiped from memory when dropped; never printed.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct XPrv([u8; KEY_LEN]);

/// An extended public key: an ed25519 public key and a chain code.
///
/// Written as 128 hexadecimal digits, in JSON too. The point is checked when the key is made, so
/// deriving cannot fail.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct XPub([u8; KEY_LEN]);

impl XPrv {
    /// The root key of a seed of any length; mnemonics give 64 bytes.
    pub fn root(seed: &[u8]) -> Self {
        let mut key = Self(*hmac_sha512(b"Root", &[seed]));
        prune_root(&mut key.0);
        key
    }

    /// Takes the 64 bytes of a key made elsewhere.
    ///
    /// Scalars that `chainkd` cannot have made are refused: their children could overflow and their
    /// signatures would not belong to their public key in other programs.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, KeyError> {
        let key = Self(
            bytes
                .try_into()
                .map_err(|_| KeyError::Length(bytes.len()))?,
        );
        if key.0[0].trailing_zeros() >= 3 && key.0[31] >> 6 == 0b01 {
            Ok(key)
        } else {
            Err(KeyError::NotPruned)
        }
    }

    /// The 64 secret bytes, for encryption only.
    pub fn expose(&self) -> &[u8; KEY_LEN] {
        &self.0
    }

    /// The public half: anyone may see it, and derive plain children from it.
    pub fn xpub(&self) -> XPub {
        let mut xpub = [0; KEY_LEN];
        xpub[..32].copy_from_slice(EdwardsPoint::mul_base(&self.scalar()).compress().as_bytes());
        xpub[32..].copy_from_slice(self.chain());
        XPub(xpub)
    }

    /// The plain child for `selector`; its public half is `self.xpub().child(selector)`.
    #[must_use]
    pub fn child(&self, selector: &[u8]) -> Self {
        let mut child = Self(*plain_step(&self.xpub(), selector));
        // The sum stays below 2^256: a pruned scalar is under 2^255 and each step adds less than
        // 2^233.
        let mut carry = 0;
        for (byte, parent) in child.0[..32].iter_mut().zip(&self.0) {
            let sum = u16::from(*byte) + u16::from(*parent) + carry;
            *byte = sum.to_le_bytes()[0];
            carry = sum >> 8;
        }
        child
    }

    /// The hardened child for `selector`, which no public key leads to.
    #[must_use]
    pub fn hardened_child(&self, selector: &[u8]) -> Self {
        let mut child = Self(*hmac_sha512(self.chain(), &[b"H", &self.0[..32], selector]));
        prune_root(&mut child.0);
        child
    }

    /// Plain children, one per selector, one after the other.
    #[must_use]
    pub fn derive<S: AsRef<[u8]>>(&self, path: &[S]) -> Self {
        path.iter()
            .fold(self.clone(), |key, selector| key.child(selector.as_ref()))
    }

    /// Signs `message` with ed25519; anyone can check it with [`XPub::verify`].
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        let expanded = hmac_sha512(b"Expand", &[&self.0]);
        let mut secret = ExpandedSecretKey {
            scalar: self.scalar(),
            hash_prefix: [0; 32],
        };
        secret.hash_prefix.copy_from_slice(&expanded[32..]);
        let public = VerifyingKey::from(&secret);
        raw_sign::<Sha512>(&secret, message, &public).to_bytes()
    }

    fn scalar(&self) -> Scalar {
        let mut bytes = Zeroizing::new([0; 32]);
        bytes.copy_from_slice(&self.0[..32]);
        Scalar::from_bytes_mod_order(*bytes)
    }

    fn chain(&self) -> &[u8] {
        &self.0[32..]
    }
}

impl fmt::Debug for XPrv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("XPrv(secret)")
    }
}

impl XPub {
    /// Takes the 64 bytes of a public key.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, KeyError> {
        let key = Self(
            bytes
                .try_into()
                .map_err(|_| KeyError::Length(bytes.len()))?,
        );
        key.decompress().ok_or(KeyError::NotAPoint)?;
        Ok(key)
    }

    /// The 64 bytes: ed25519 public key, then chain code.
    pub fn as_bytes(&self) -> &[u8; KEY_LEN] {
        &self.0
    }

    /// The ed25519 public key, as control programs hold it.
    pub fn public_key(&self) -> [u8; 32] {
        let mut key = [0; 32];
        key.copy_from_slice(&self.0[..32]);
        key
    }

    /// The plain child for `selector`.
    #[must_use]
    pub fn child(&self, selector: &[u8]) -> Self {
        let mut step = plain_step(self, selector);
        let mut offset = [0; 32];
        offset.copy_from_slice(&step[..32]);
        let parent = self
            .decompress()
            .expect("the point was checked when the key was made");
        let point = parent + EdwardsPoint::mul_base(&Scalar::from_bytes_mod_order(offset));
        step[..32].copy_from_slice(point.compress().as_bytes());
        Self(*step)
    }

    /// Plain children, one per selector, one after the other.
    #[must_use]
    pub fn derive<S: AsRef<[u8]>>(&self, path: &[S]) -> Self {
        path.iter()
            .fold(*self, |key, selector| key.child(selector.as_ref()))
    }

    /// Whether `signature` is this key's over `message`. Anything but 64 bytes is not.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        let (Ok(key), Ok(signature)) = (
            VerifyingKey::from_bytes(&self.public_key()),
            Signature::from_slice(signature),
        ) else {
            return false;
        };
        ed25519_dalek::Verifier::verify(&key, message, &signature).is_ok()
    }

    fn decompress(&self) -> Option<EdwardsPoint> {
        CompressedEdwardsY(self.public_key()).decompress()
    }
}

impl fmt::Display for XPub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for XPub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "XPub({self})")
    }
}

impl FromStr for XPub {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let mut bytes = [0; KEY_LEN];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| KeyError::Text)?;
        Self::from_bytes(&bytes)
    }
}

impl Serialize for XPub {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for XPub {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// What a plain child adds to its parent's scalar, and its chain code.
fn plain_step(parent: &XPub, selector: &[u8]) -> Zeroizing<[u8; KEY_LEN]> {
    let mut step = hmac_sha512(&parent.0[32..], &[b"N", &parent.0[..32], selector]);
    prune_step(&mut step);
    step
}

/// Multiple of the cofactor, top bits 010: unlike ed25519's pruning the third highest bit is
/// cleared, which leaves room for the sums of many plain children.
fn prune_root(key: &mut [u8; KEY_LEN]) {
    key[0] &= 0b1111_1000;
    key[31] = key[31] & 0b0001_1111 | 0b0100_0000;
}

/// Multiple of the cofactor below 2^233.
fn prune_step(key: &mut [u8; KEY_LEN]) {
    key[0] &= 0b1111_1000;
    key[29] &= 1;
    key[30] = 0;
    key[31] = 0;
}

fn hmac_sha512(key: &[u8], parts: &[&[u8]]) -> Zeroizing<[u8; KEY_LEN]> {
    let mut mac =
        <Hmac<Sha512> as Mac>::new_from_slice(key).expect("HMAC takes keys of any length");
    for part in parts {
        mac.update(part);
    }
    Zeroizing::new(mac.finalize().into_bytes().into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_secret_is_never_printed() {
        let key = XPrv::root(b"seed");
        let printed = format!("{key:?}");
        assert_eq!(printed, "XPrv(secret)");
    }

    #[test]
    fn foreign_bytes_are_refused_with_a_reason() {
        assert_eq!(
            XPrv::from_bytes(&[0; 63]).unwrap_err(),
            KeyError::Length(63)
        );
        assert_eq!(
            XPrv::from_bytes(&[0xff; 64]).unwrap_err(),
            KeyError::NotPruned
        );
        assert_eq!("0f".parse::<XPub>().unwrap_err(), KeyError::Text);
        assert_eq!("zz".repeat(64).parse::<XPub>().unwrap_err(), KeyError::Text);
        let mut not_a_point = [0; 64];
        not_a_point[0] = 2;
        assert_eq!(
            XPub::from_bytes(&not_a_point).unwrap_err(),
            KeyError::NotAPoint
        );
    }

    #[test]
    fn signatures_of_other_keys_messages_and_lengths_do_not_verify() {
        let key = XPrv::root(b"seed");
        let signature = key.sign(b"message");
        assert!(key.xpub().verify(b"message", &signature));
        assert!(!key.xpub().verify(b"massage", &signature));
        assert!(!key.child(b"x").xpub().verify(b"message", &signature));
        assert!(!key.xpub().verify(b"message", &signature[..63]));
        assert!(!key.xpub().verify(b"message", &[0xff; 64]));
    }

    proptest! {
        #[test]
        fn public_of_child_is_child_of_public(seed: [u8; 32], path: Vec<Vec<u8>>) {
            let root = XPrv::root(&seed);
            prop_assert_eq!(root.derive(&path).xpub(), root.xpub().derive(&path));
        }

        #[test]
        fn children_of_every_kind_sign_for_their_public_key(seed: [u8; 8], selector: Vec<u8>, message: Vec<u8>) {
            let root = XPrv::root(&seed);
            for child in [root.child(&selector), root.hardened_child(&selector)] {
                prop_assert!(child.xpub().verify(&message, &child.sign(&message)));
                prop_assert_eq!(XPrv::from_bytes(child.expose()).unwrap().xpub(), child.xpub());
            }
            prop_assert_ne!(root.hardened_child(&selector).xpub(), root.xpub().child(&selector));
        }

        #[test]
        fn text_of_any_kind_is_parsed_or_refused(text: String, bytes: Vec<u8>) {
            let _ = text.parse::<XPub>();
            let _ = XPub::from_bytes(&bytes);
            let _ = XPrv::from_bytes(&bytes);
        }

        #[test]
        fn a_public_key_survives_json(seed: [u8; 8]) {
            let key = XPrv::root(&seed).xpub();
            let json = serde_json::to_string(&key).unwrap();
            prop_assert_eq!(serde_json::from_str::<XPub>(&json).unwrap(), key);
        }
    }
}
