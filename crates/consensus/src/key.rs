//! The node's key: a chainkd extended key that signs as ed25519.
//!
//! An extended secret key is 64 bytes: an ed25519 scalar and a chain code. What ed25519 calls the hash prefix, from
//! which nonces are made, is the right half of HMAC-SHA512 under `Expand` (B§7). Signatures verify as plain ed25519
//! under the first 32 bytes of the extended public key.

use std::fmt;

use curve25519_dalek::scalar::Scalar;
use ed25519_dalek::VerifyingKey;
use ed25519_dalek::hazmat::{ExpandedSecretKey, raw_sign};
use hmac::{Hmac, Mac};
use sha2::Sha512;
use zeroize::Zeroizing;

use baton_ledger::params::Xpub;

use crate::context::{Address, Signature};

/// The secret with which a node proposes and votes. Wiped from memory when dropped; never printed.
pub struct NodeKey {
    secret: ExpandedSecretKey,
    public: VerifyingKey,
    chain_code: [u8; 32],
}

/// The bytes are no extended secret key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the node key is not an extended secret key: its scalar was never pruned")]
pub struct NotAKey;

impl NodeKey {
    /// Takes the 64 bytes of an extended secret key: scalar and chain code.
    pub fn from_xprv(xprv: &Zeroizing<[u8; 64]>) -> Result<Self, NotAKey> {
        if xprv[0].trailing_zeros() < 3 || xprv[31] >> 6 != 0b01 {
            return Err(NotAKey);
        }
        let mut mac = <Hmac<Sha512> as Mac>::new_from_slice(b"Expand")
            .expect("HMAC takes keys of any length");
        mac.update(xprv.as_slice());
        let expanded = Zeroizing::new(<[u8; 64]>::from(mac.finalize().into_bytes()));
        let (mut scalar, mut hash_prefix) = (Zeroizing::new([0; 32]), [0; 32]);
        scalar.copy_from_slice(&xprv[..32]);
        hash_prefix.copy_from_slice(&expanded[32..]);
        let mut chain_code = [0; 32];
        chain_code.copy_from_slice(&xprv[32..]);
        // ed25519's own constructor would prune the scalar once more, and change it
        let secret = ExpandedSecretKey {
            scalar: Scalar::from_bytes_mod_order(*scalar),
            hash_prefix,
        };
        let public = VerifyingKey::from(&secret);
        Ok(Self {
            secret,
            public,
            chain_code,
        })
    }

    /// The extended public key, which names the node among validators.
    pub fn xpub(&self) -> Xpub {
        let mut xpub = [0; 64];
        xpub[..32].copy_from_slice(self.public.as_bytes());
        xpub[32..].copy_from_slice(&self.chain_code);
        xpub
    }

    /// The address among validators.
    pub(crate) fn address(&self) -> Address {
        Address(self.public.to_bytes())
    }

    pub(crate) fn public(&self) -> &VerifyingKey {
        &self.public
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Signature {
        Signature(raw_sign::<Sha512>(&self.secret, message, &self.public).to_bytes())
    }
}

impl fmt::Debug for NodeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NodeKey({})", self.address())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A key of a number, for tests.
    pub(crate) fn key(number: u8) -> NodeKey {
        let mut bytes = Zeroizing::new([number; 64]);
        bytes[0] &= 0b1111_1000;
        bytes[31] = bytes[31] & 0b0001_1111 | 0b0100_0000;
        NodeKey::from_xprv(&bytes).unwrap()
    }

    #[test]
    fn signatures_verify_under_the_first_half_of_the_xpub() {
        let key = key(7);
        let signature = key.sign(b"message");
        let public = VerifyingKey::from_bytes(key.xpub()[..32].try_into().unwrap()).unwrap();
        let signature = ed25519_dalek::Signature::from_bytes(&signature.0);
        assert!(public.verify_strict(b"message", &signature).is_ok());
        assert!(public.verify_strict(b"massage", &signature).is_err());
    }

    /// Made with `XPrv::root(b"baton").sign(b"message")` of the wallet crate.
    #[test]
    fn it_signs_as_the_wallet_does() {
        let mut bytes = Zeroizing::new([0; 64]);
        hex::decode_to_slice(XPRV, bytes.as_mut_slice()).unwrap();
        let key = NodeKey::from_xprv(&bytes).unwrap();
        assert_eq!(hex::encode(key.xpub()), XPUB);
        assert_eq!(hex::encode(key.sign(b"message").0), SIGNATURE);
    }
    const XPRV: &str = "e046c4ea2f675e8d50ce74c4d1899ac459ad2c5272acdf26c18565b4b0eade5987ce57d0c1d0cc554df2caf3faadcaf33225fe8048689275f9afb8c683481aca";
    const XPUB: &str = "3d6a87d0b560fccd51e09ebcadd3e2d7ca7edc733772e90241080b0574079f2e87ce57d0c1d0cc554df2caf3faadcaf33225fe8048689275f9afb8c683481aca";
    const SIGNATURE: &str = "bb6dd520d1283153a78b7ac497f3e37fd3b1f64e28817f7b673f3a8ef77c20817ca42ff80550671273c5384ab67198145b131747df97dedfd5f1f2a9727b2406";

    #[test]
    fn bytes_that_are_no_key_are_refused_and_secrets_not_printed() {
        assert_eq!(
            NodeKey::from_xprv(&Zeroizing::new([0xff; 64])).unwrap_err(),
            NotAKey
        );
        assert!(format!("{:?}", key(1)).starts_with("NodeKey("));
    }
}
